//! A policy as the document that AWS reads.

use hookward_store::dynamodb::policy::{Effect, Policy, Statement, Target};

use super::{secrets::resource, tree::Tree};

/// What a policy is about, as the document that holds it writes names: literal ARNs, or references.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// The table's ARN.
    pub table: Tree,
    /// The KMS key, when a table is encrypted under one of the customer's.
    pub key: Option<KeyNames>,
    /// The bucket, when large bodies are in one.
    pub bucket: Option<BucketNames>,
    /// The ARNs of secrets.
    pub secrets: Vec<Tree>,
    /// The ARNs of parameters.
    pub parameters: Vec<Tree>,
}

/// The bucket of large bodies.
#[derive(Clone, Debug)]
pub(crate) struct BucketNames {
    /// Its ARN.
    pub arn: Tree,
    /// The pattern of the ARNs of the bodies.
    pub bodies: Tree,
}

/// The customer's KMS key.
#[derive(Clone, Debug)]
pub(crate) struct KeyNames {
    /// Its ARN.
    pub arn: Tree,
    /// DynamoDB as the caller of KMS, such as `dynamodb.eu-central-1.amazonaws.com`.
    pub via: Tree,
}

/// The document.
pub(crate) fn document(policy: &Policy, names: &Names) -> Tree {
    let statements = policy.statements.iter().filter_map(|it| statement(it, names)).collect();
    Tree::map([("Version", Tree::from("2012-10-17")), ("Statement", Tree::List(statements))])
}

/// `None` for a statement about a key, a bucket or secrets that there are not.
fn statement(statement: &Statement, names: &Names) -> Option<Tree> {
    let resource = match statement.target {
        Target::Table | Target::Items(_) => names.table.clone(),
        Target::Key => names.key.as_ref()?.arn.clone(),
        Target::Bucket => names.bucket.as_ref()?.arn.clone(),
        Target::Bodies => names.bucket.as_ref()?.bodies.clone(),
        Target::Secrets => resource(&names.secrets)?,
        Target::Parameters => resource(&names.parameters)?,
    };
    let effect = match statement.effect {
        Effect::Allow => "Allow",
        Effect::Deny => "Deny",
    };
    let mut entries = vec![
        ("Sid", Tree::from(statement.sid)),
        ("Effect", Tree::from(effect)),
        ("Action", Tree::texts(statement.actions.iter().map(|action| action.as_str()))),
        ("Resource", resource),
    ];
    let conditions = conditions(statement, names.key.as_ref());
    if !conditions.is_empty() {
        let conditions =
            conditions.into_iter().map(|it| (it.operator, Tree::map([(it.variable, it.values)])));
        entries.push(("Condition", Tree::map(conditions)));
    }
    Some(Tree::map(entries))
}

/// A condition of a statement.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub operator: &'static str,
    pub variable: &'static str,
    pub values: Tree,
}

/// All conditions of a statement; each has an operator of its own.
///
/// `ForAllValues` also holds where there is no value at all, such as in a scan, therefore the guard: `Null` is false.
pub(crate) fn conditions(statement: &Statement, key: Option<&KeyNames>) -> Vec<Condition> {
    let new = |operator, variable, values| Condition { operator, variable, values };
    match (statement.target, statement.effect) {
        (
            Target::Table | Target::Bucket | Target::Bodies | Target::Secrets | Target::Parameters,
            _,
        ) => Vec::new(),
        (Target::Items(patterns), Effect::Allow) => vec![
            new(
                "ForAllValues:StringLike",
                "dynamodb:LeadingKeys",
                Tree::texts(patterns.iter().copied()),
            ),
            new("Null", "dynamodb:LeadingKeys", Tree::from("false")),
        ],
        (Target::Items(patterns), Effect::Deny) => {
            let patterns = Tree::texts(patterns.iter().copied());
            vec![new("ForAnyValue:StringLike", "dynamodb:LeadingKeys", patterns)]
        }
        (Target::Key, _) => {
            let via = key.map(|key| new("StringEquals", "kms:ViaService", key.via.clone()));
            via.into_iter().collect()
        }
    }
}
