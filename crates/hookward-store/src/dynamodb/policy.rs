//! Who may do what to the table: least privilege as data.
//!
//! Every item's partition key begins with what the item is for, so that a policy can bound each action by the keys
//! that it touches (`dynamodb:LeadingKeys`). [`Policy::of`] is a pure function of a role and of what the
//! configuration uses. It is evaluated here ([`Policy::allows`]) and printed elsewhere, from the same statements: a test
//! compares them with the calls that a gateway really makes ([`Policy::refused`], [`Policy::unused`]).

use std::fmt;

/// Who works with the table. Each is a policy of its own, for a principal of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The gateway: `hookward serve`.
    Gateway,
    /// What takes webhooks in the application's own processes and keeps them by claims: the Python library. No node.
    Library,
    /// A person or a program that reads the table, and changes nothing: `hookward events`, where no gateway runs. No node.
    Reader,
    /// A person who replays or drops dead letters where no gateway runs: a node of its own that takes no webhooks.
    Replayer,
    /// What trains dictionaries for bodies: `hookward dynamodb train`. No node: it reads events and writes none.
    Trainer,
    /// What sets the table up: `hookward dynamodb create`, a deployment.
    Provisioner,
    /// What looks at how the table is set up: `hookward doctor`.
    Doctor,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 7] = [
        Self::Gateway,
        Self::Library,
        Self::Reader,
        Self::Replayer,
        Self::Trainer,
        Self::Provisioner,
        Self::Doctor,
    ];

    /// The stable name, for people and for the names of what is made from it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Library => "library",
            Self::Reader => "reader",
            Self::Replayer => "replayer",
            Self::Trainer => "trainer",
            Self::Provisioner => "provisioner",
            Self::Doctor => "doctor",
        }
    }

    /// What it is for, in a sentence.
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Gateway => "runs `hookward serve`: takes, delivers and retries events",
            Self::Library => {
                "takes webhooks in the application's own processes, with the Python library: claims, runs and retries events, and decides about dead letters"
            }
            Self::Reader => {
                "reads the table and changes nothing: `hookward events`, `hookward dead list` and `dead show` where no gateway runs, and tools of its own"
            }
            Self::Replayer => {
                "runs `hookward dead replay` and `dead drop` where no gateway runs: a node that takes no webhooks"
            }
            Self::Trainer => {
                "runs `hookward dynamodb train`: reads events, and keeps dictionaries that make them smaller"
            }
            Self::Provisioner => "sets the table up: `hookward dynamodb create`, a deployment",
            Self::Doctor => "looks at how the table is set up: `hookward doctor`",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a configuration uses, as far as policies depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a feature, in any combination")]
pub struct Features {
    /// The gateway has an admin listener: it looks at events and replays dead letters for people.
    pub admin: bool,
    /// `completion = "each"`: an event's state is written on its own item.
    pub each: bool,
    /// The table is encrypted under a key of the customer's.
    pub customer_key: bool,
    /// Bodies that do not fit into an item are in a bucket.
    pub large_bodies: bool,
    /// References lead to AWS Secrets Manager.
    pub secrets: bool,
    /// References lead to parameters of AWS Systems Manager.
    pub parameters: bool,
}

macro_rules! actions {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        /// An action, as policies name it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "AWS documents its actions")]
        pub enum Action { $($variant),+ }

        impl Action {
            /// All actions that a policy here can name.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name with the service before it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

actions! {
    BatchGetItem = "dynamodb:BatchGetItem",
    BatchWriteItem = "dynamodb:BatchWriteItem",
    ConditionCheckItem = "dynamodb:ConditionCheckItem",
    DeleteItem = "dynamodb:DeleteItem",
    GetItem = "dynamodb:GetItem",
    PutItem = "dynamodb:PutItem",
    Query = "dynamodb:Query",
    Scan = "dynamodb:Scan",
    UpdateItem = "dynamodb:UpdateItem",
    CreateTable = "dynamodb:CreateTable",
    DeleteTable = "dynamodb:DeleteTable",
    DescribeContinuousBackups = "dynamodb:DescribeContinuousBackups",
    DescribeTable = "dynamodb:DescribeTable",
    DescribeTimeToLive = "dynamodb:DescribeTimeToLive",
    ListTagsOfResource = "dynamodb:ListTagsOfResource",
    PutResourcePolicy = "dynamodb:PutResourcePolicy",
    TagResource = "dynamodb:TagResource",
    UpdateContinuousBackups = "dynamodb:UpdateContinuousBackups",
    UpdateTable = "dynamodb:UpdateTable",
    UpdateTimeToLive = "dynamodb:UpdateTimeToLive",
    PartiQLDelete = "dynamodb:PartiQLDelete",
    PartiQLInsert = "dynamodb:PartiQLInsert",
    PartiQLSelect = "dynamodb:PartiQLSelect",
    PartiQLUpdate = "dynamodb:PartiQLUpdate",
    KmsCreateGrant = "kms:CreateGrant",
    KmsDecrypt = "kms:Decrypt",
    KmsDescribeKey = "kms:DescribeKey",
    KmsEncrypt = "kms:Encrypt",
    KmsGenerateDataKey = "kms:GenerateDataKey",
    KmsGenerateDataKeyWithoutPlaintext = "kms:GenerateDataKeyWithoutPlaintext",
    KmsReEncryptFrom = "kms:ReEncryptFrom",
    KmsReEncryptTo = "kms:ReEncryptTo",
    S3DeleteObject = "s3:DeleteObject",
    S3GetBucketPublicAccessBlock = "s3:GetBucketPublicAccessBlock",
    S3GetEncryptionConfiguration = "s3:GetEncryptionConfiguration",
    S3GetLifecycleConfiguration = "s3:GetLifecycleConfiguration",
    S3GetObject = "s3:GetObject",
    S3ListBucket = "s3:ListBucket",
    S3PutObject = "s3:PutObject",
    SecretsManagerGetSecretValue = "secretsmanager:GetSecretValue",
    SsmGetParameter = "ssm:GetParameter",
}

impl Action {
    /// The action of this name, such as `PutItem` or `dynamodb:PutItem`.
    pub fn named(name: &str) -> Option<Self> {
        let same = |it: &Self| it.as_str() == name || it.as_str().split(':').nth(1) == Some(name);
        Self::ALL.iter().copied().find(same)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a statement lets or forbids. What forbids wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It lets.
    Allow,
    /// It forbids, whatever else lets.
    Deny,
}

/// What a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The table as a whole.
    Table,
    /// Items of the table, by patterns of their partition keys in which `*` is any text.
    Items(&'static [&'static str]),
    /// The customer's key, used by DynamoDB on behalf of the caller.
    Key,
    /// The bucket of large bodies as a whole.
    Bucket,
    /// The large bodies in it.
    Bodies,
    /// The secrets that the configuration names.
    Secrets,
    /// The parameters that the configuration names.
    Parameters,
}

/// A statement of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its name.
    pub sid: &'static str,
    /// Whether it lets or forbids.
    pub effect: Effect,
    /// The actions.
    pub actions: &'static [Action],
    /// What they are done to.
    pub target: Target,
}

/// A call to DynamoDB, as far as policies look at it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Call {
    /// What was done.
    pub action: Action,
    /// The partition keys of the items that it was done to; none for what is done to a table, and for a scan.
    pub leading_keys: Vec<String>,
}

impl Call {
    /// A call on the item or items under one partition key.
    pub fn on(action: Action, leading_key: impl Into<String>) -> Self {
        Self { action, leading_keys: vec![leading_key.into()] }
    }
}

/// What a role may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whose it is.
    pub role: Role,
    /// Its statements.
    pub statements: Vec<Statement>,
}

impl Policy {
    /// The policy of a role under a configuration that uses these features.
    pub fn of(role: Role, features: Features) -> Self {
        let mut statements: Vec<Statement> = Vec::new();
        let mut grant = |grants: &[Statement]| statements.extend_from_slice(grants);
        match role {
            Role::Gateway => {
                grant(NODE);
                grant(TAKE);
                if features.admin {
                    grant(LIST);
                    grant(DECIDE);
                }
            }
            Role::Library => grant(CLAIM),
            Role::Replayer => {
                grant(NODE);
                grant(LIST);
                grant(DECIDE);
            }
            Role::Reader => {
                grant(READ);
                grant(LIST);
            }
            Role::Trainer => grant(TRAIN),
            Role::Provisioner => grant(PROVISION),
            Role::Doctor => grant(DIAGNOSE),
        }
        // A gateway may update events anyhow.
        if features.each && role == Role::Replayer {
            grant(STATUS);
        }
        if features.customer_key {
            grant(match role {
                Role::Gateway | Role::Library | Role::Replayer | Role::Trainer => WRITE_UNDER_KEY,
                Role::Reader => READ_UNDER_KEY,
                Role::Provisioner => PROVISION_UNDER_KEY,
                // What describes a table reads no item.
                Role::Doctor => &[],
            });
        }
        if features.large_bodies {
            grant(match role {
                Role::Gateway | Role::Library => KEEP_BODIES,
                Role::Reader | Role::Replayer | Role::Trainer => READ_BODIES,
                // The bucket is the deployment's.
                Role::Provisioner => &[],
                Role::Doctor => DIAGNOSE_BUCKET,
            });
            grant(NEVER_FORGET_A_BODY);
        }
        // Whoever else reads the configuration does without its secrets.
        let verifies = matches!(role, Role::Gateway | Role::Library);
        if verifies && features.secrets {
            grant(READ_SECRETS);
        }
        if verifies && features.parameters {
            grant(READ_PARAMETERS);
        }
        grant(if role == Role::Provisioner { NEVER_TO_PROVISION } else { NEVER });
        Self { role, statements }
    }

    /// Whether the policy lets this be done: something lets it and nothing forbids it.
    ///
    /// `leading_keys` are the partition keys of all items that the call touches; none where the call touches the
    /// table as a whole.
    pub fn allows(&self, action: Action, leading_keys: &[&str]) -> bool {
        let applies = |effect| {
            self.statements
                .iter()
                .filter(move |statement| statement.effect == effect)
                .any(|statement| statement.applies(action, leading_keys))
        };
        applies(Effect::Allow) && !applies(Effect::Deny)
    }

    /// The calls that the policy would not let through: where there is one, the policy allows less than is needed.
    pub fn refused<'c>(&self, calls: &'c [Call]) -> Vec<&'c Call> {
        let lets = |call: &&Call| {
            let keys: Vec<_> = call.leading_keys.iter().map(String::as_str).collect();
            self.allows(call.action, &keys)
        };
        calls.iter().filter(|call| !lets(call)).collect()
    }

    /// What the policy lets be done and no call did, as action and pattern of keys (`None`: the table, or the key that it
    /// is encrypted under): where there is one, the policy allows more than is needed.
    pub fn unused(&self, calls: &[Call]) -> Vec<(Action, Option<&'static str>)> {
        let used = |action: Action, pattern: Option<&str>| {
            calls.iter().filter(|call| call.action == action).any(|call| {
                let keys = &call.leading_keys;
                pattern.is_none_or(|pattern| keys.iter().any(|key| matches(pattern, key)))
            })
        };
        self.grants().filter(|(action, pattern)| !used(*action, *pattern)).collect()
    }

    /// Each action that the policy lets be done, with each pattern of keys that it is let be done to.
    pub fn grants(&self) -> impl Iterator<Item = (Action, Option<&'static str>)> {
        let allowing = self.statements.iter().filter(|it| it.effect == Effect::Allow);
        allowing.flat_map(|statement| {
            let patterns = match statement.target {
                Target::Items(patterns) => patterns.iter().copied().map(Some).collect(),
                Target::Table
                | Target::Key
                | Target::Bucket
                | Target::Bodies
                | Target::Secrets
                | Target::Parameters => vec![None],
            };
            let actions = statement.actions.iter().copied();
            actions.flat_map(move |action| {
                patterns.clone().into_iter().map(move |pattern| (action, pattern))
            })
        })
    }
}

impl Statement {
    /// Whether the statement says anything about this call.
    ///
    /// As the printed conditions do: what lets needs at least one key, and all of them within its patterns
    /// (`ForAllValues` and the guard against `Null`); what forbids is content with one (`ForAnyValue`).
    fn applies(&self, action: Action, leading_keys: &[&str]) -> bool {
        let within =
            |patterns: &[&str], key: &str| patterns.iter().any(|pattern| matches(pattern, key));
        self.actions.contains(&action)
            && match (self.target, self.effect) {
                (
                    Target::Table
                    | Target::Key
                    | Target::Bucket
                    | Target::Bodies
                    | Target::Secrets
                    | Target::Parameters,
                    _,
                ) => true,
                (Target::Items(patterns), Effect::Allow) => {
                    !leading_keys.is_empty() && leading_keys.iter().all(|key| within(patterns, key))
                }
                (Target::Items(patterns), Effect::Deny) => {
                    leading_keys.iter().any(|key| within(patterns, key))
                }
            }
    }
}

/// Whether a text is of a pattern, as `StringLike` takes it: `*` is any text, also none.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((before, mut rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(before) else { return false };
    while let Some((part, after)) = rest.split_once('*') {
        let Some((_, behind)) = text.split_once(part) else { return false };
        (text, rest) = (behind, after);
    }
    text.ends_with(rest)
}

const fn allow(sid: &'static str, actions: &'static [Action], target: Target) -> Statement {
    Statement { sid, effect: Effect::Allow, actions, target }
}

const fn deny(sid: &'static str, actions: &'static [Action], target: Target) -> Statement {
    Statement { sid, effect: Effect::Deny, actions, target }
}

/// What makes a node: it says that it is there, knows what became of events, and decides what is to become of them.
///
/// Events and their tickets are read together: one statement has to let a request with both kinds of keys.
const NODE: &[Statement] = &[
    allow("ReadEventsWithTickets", &[Action::BatchGetItem], Target::Items(&["e#*", "r#*"])),
    allow("Tickets", &[Action::PutItem], Target::Items(&["r#*"])),
    allow("Journal", &[Action::PutItem, Action::Query], Target::Items(&["j#*"])),
    allow(
        "Nodes",
        &[Action::GetItem, Action::PutItem, Action::UpdateItem, Action::DeleteItem, Action::Query],
        Target::Items(&["n"]),
    ),
    allow("Counters", &[Action::GetItem, Action::UpdateItem], Target::Items(&["n#table"])),
    allow("FormerNodes", &[Action::GetItem, Action::PutItem], Target::Items(&["n#ended"])),
    allow("LoadDictionaries", &[Action::GetItem], Target::Items(&["d#*"])),
];

/// What only a node that takes webhooks does: new events, what became of one that had no answer or was there before, more
/// time for one that would expire before it is delivered, new dead letters, and what new bodies are compressed with.
const TAKE: &[Statement] = &[
    allow(
        "TakeEvents",
        &[Action::PutItem, Action::GetItem, Action::UpdateItem],
        Target::Items(&["e#*"]),
    ),
    allow("ReadTickets", &[Action::GetItem], Target::Items(&["r#*"])),
    allow("MarkDeadLetters", &[Action::PutItem], Target::Items(&["x#*"])),
    allow("FindDictionaries", &[Action::Query], Target::Items(&["d#*"])),
];

/// What the library does: its events with what becomes of them, marks of what waits, and marks of dead letters.
const CLAIM: &[Statement] = &[
    allow(
        "Events",
        &[Action::BatchGetItem, Action::GetItem, Action::PutItem, Action::UpdateItem],
        Target::Items(&["e#*"]),
    ),
    allow(
        "WhatWaits",
        &[Action::DeleteItem, Action::GetItem, Action::PutItem, Action::Query, Action::UpdateItem],
        Target::Items(&["w#*"]),
    ),
    allow(
        "DeadLetters",
        &[Action::DeleteItem, Action::PutItem, Action::Query],
        Target::Items(&["x#*"]),
    ),
];

/// Lists of events and dead letters, for people.
const LIST: &[Statement] = &[allow("List", &[Action::Query], Target::Items(&["n#ended", "x#*"]))];

/// A person's decision about a dead letter takes it from the list.
const DECIDE: &[Statement] =
    &[allow("TakeOffTheList", &[Action::DeleteItem], Target::Items(&["x#*"]))];

/// What `completion = "each"` writes on an event.
const STATUS: &[Statement] =
    &[allow("WriteStatus", &[Action::UpdateItem], Target::Items(&["e#*"]))];

/// Whatever there is to read about events, by key.
const READ: &[Statement] = &[
    allow(
        "ReadEventsWithTickets",
        &[Action::BatchGetItem, Action::GetItem],
        Target::Items(&["e#*", "r#*"]),
    ),
    allow("ReadNodes", &[Action::GetItem], Target::Items(&["n", "n#ended", "n#table"])),
    allow("ReadJournals", &[Action::Query], Target::Items(&["j#*", "n"])),
    allow("ReadDictionaries", &[Action::GetItem, Action::Query], Target::Items(&["d#*"])),
];

/// Events of a source, as lists find them, and its dictionaries: written, and never taken away.
const TRAIN: &[Statement] = &[
    allow("ReadEventsWithTickets", &[Action::BatchGetItem], Target::Items(&["e#*", "r#*"])),
    allow("ReadNodes", &[Action::GetItem], Target::Items(&["n", "n#ended", "n#table"])),
    allow("ReadJournals", &[Action::Query], Target::Items(&["j#*", "n", "n#ended"])),
    allow(
        "Dictionaries",
        &[Action::GetItem, Action::PutItem, Action::Query],
        Target::Items(&["d#*"]),
    ),
];

const PROVISION: &[Statement] = &[allow(
    "Provision",
    &[
        Action::CreateTable,
        Action::DescribeTable,
        Action::UpdateTable,
        Action::DescribeTimeToLive,
        Action::UpdateTimeToLive,
        Action::DescribeContinuousBackups,
        Action::UpdateContinuousBackups,
        Action::TagResource,
    ],
    Target::Table,
)];

const DIAGNOSE: &[Statement] = &[allow(
    "Diagnose",
    &[Action::DescribeTable, Action::DescribeTimeToLive, Action::DescribeContinuousBackups],
    Target::Table,
)];

/// A table is read under the key of who reads it: DynamoDB decrypts the table's key in the caller's name.
const READ_UNDER_KEY: &[Statement] =
    &[allow("ReadUnderKey", &[Action::KmsDecrypt, Action::KmsDescribeKey], Target::Key)];

const WRITE_UNDER_KEY: &[Statement] = &[allow(
    "WriteUnderKey",
    &[Action::KmsDecrypt, Action::KmsDescribeKey, Action::KmsEncrypt, Action::KmsGenerateDataKey],
    Target::Key,
)];

/// What DynamoDB's documentation asks for of who encrypts a table; the wildcards in it spelled out.
const PROVISION_UNDER_KEY: &[Statement] = &[allow(
    "EncryptUnderKey",
    &[
        Action::KmsCreateGrant,
        Action::KmsDecrypt,
        Action::KmsDescribeKey,
        Action::KmsEncrypt,
        Action::KmsGenerateDataKey,
        Action::KmsGenerateDataKeyWithoutPlaintext,
        Action::KmsReEncryptFrom,
        Action::KmsReEncryptTo,
    ],
    Target::Key,
)];

/// Bodies that do not fit into an item.
const KEEP_BODIES: &[Statement] = &[
    allow("Bodies", &[Action::S3GetObject, Action::S3PutObject], Target::Bodies),
    allow("TellWhatIsNotThere", &[Action::S3ListBucket], Target::Bucket),
];

/// To who may not list a bucket, S3 says of an object that is not there that it is refused: a body that is lost would look like
/// a permission that is missing.
const READ_BODIES: &[Statement] = &[
    allow("ReadBodies", &[Action::S3GetObject], Target::Bodies),
    allow("TellWhatIsNotThere", &[Action::S3ListBucket], Target::Bucket),
];

const DIAGNOSE_BUCKET: &[Statement] = &[allow(
    "DiagnoseBucket",
    &[
        Action::S3GetBucketPublicAccessBlock,
        Action::S3GetEncryptionConfiguration,
        Action::S3GetLifecycleConfiguration,
        Action::S3ListBucket,
    ],
    Target::Bucket,
)];

/// What sources, destinations and the admin API are verified and signed with.
const READ_SECRETS: &[Statement] =
    &[allow("ReadSecrets", &[Action::SecretsManagerGetSecretValue], Target::Secrets)];

const READ_PARAMETERS: &[Statement] =
    &[allow("ReadParameters", &[Action::SsmGetParameter], Target::Parameters)];

/// The bucket's own rule deletes bodies, once they are over.
const NEVER_FORGET_A_BODY: &[Statement] =
    &[deny("NeverForgetABody", &[Action::S3DeleteObject], Target::Bodies)];

/// What nobody who works with events may do, whatever other policies the principal has: it would take events or
/// their protection away, or read round the keys.
const NEVER: &[Statement] = &[
    deny(
        "NeverForgetAnEvent",
        &[Action::BatchWriteItem, Action::DeleteItem],
        Target::Items(&["d#*", "e#*", "j#*", "n#*", "r#*"]),
    ),
    deny(
        "NeverTouchTheTable",
        &[
            Action::DeleteTable,
            Action::UpdateTable,
            Action::UpdateTimeToLive,
            Action::UpdateContinuousBackups,
            Action::PutResourcePolicy,
        ],
        Target::Table,
    ),
    deny("NeverBySql", PARTIQL, Target::Table),
];

const NEVER_TO_PROVISION: &[Statement] = &[
    deny("NeverDeleteTheTable", &[Action::DeleteTable, Action::PutResourcePolicy], Target::Table),
    deny(
        "NeverReadOrWriteItems",
        &[
            Action::BatchGetItem,
            Action::BatchWriteItem,
            Action::ConditionCheckItem,
            Action::DeleteItem,
            Action::GetItem,
            Action::PutItem,
            Action::Query,
            Action::Scan,
            Action::UpdateItem,
        ],
        Target::Table,
    ),
    deny("NeverBySql", PARTIQL, Target::Table),
];

const PARTIQL: &[Action] =
    &[Action::PartiQLDelete, Action::PartiQLInsert, Action::PartiQLSelect, Action::PartiQLUpdate];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const EVERYTHING: Features = Features {
        admin: true,
        each: true,
        customer_key: true,
        large_bodies: true,
        secrets: true,
        parameters: true,
    };

    fn policies() -> impl Iterator<Item = Policy> {
        let plain = Features::default();
        let features = [
            plain,
            Features { admin: true, ..plain },
            Features { each: true, ..plain },
            Features { customer_key: true, ..plain },
            Features { large_bodies: true, ..plain },
            Features { secrets: true, ..plain },
            Features { parameters: true, ..plain },
            EVERYTHING,
        ];
        features
            .into_iter()
            .flat_map(|features| Role::ALL.into_iter().map(move |role| Policy::of(role, features)))
    }

    #[test]
    fn patterns_match_as_string_like_does() {
        let check = |pattern, text, expected| {
            assert_eq!(matches(pattern, text), expected, "{pattern:?} {text:?}");
        };
        check("n", "n", true);
        check("n", "n#", false);
        check("e#*", "e#stripe#evt_1", true);
        check("e#*", "e#", true);
        check("e#*", "xe#", false);
        check("e#*", "E#a", false);
        check("*", "", true);
        check("a*c*e", "abcde", true);
        check("a*c*e", "ace", true);
        check("a*c*e", "abde", false);
        check("a*a", "a", false);
    }

    #[test]
    fn a_call_needs_every_one_of_its_keys_allowed_and_none_forbidden() {
        let gateway = Policy::of(Role::Gateway, EVERYTHING);
        assert!(gateway.allows(Action::BatchGetItem, &["e#a", "r#a", "e#b"]));
        assert!(!gateway.allows(Action::BatchGetItem, &["e#a", "d#b"]));
        // Each key is let by a statement, but no statement lets them together.
        assert!(
            gateway.allows(Action::GetItem, &["e#a"]) && gateway.allows(Action::GetItem, &["n"])
        );
        assert!(!gateway.allows(Action::GetItem, &["e#a", "n"]));
        assert!(!gateway.allows(Action::BatchGetItem, &[]), "no key is no way round the keys");
        // Forbidden for one of its keys, though another statement lets it for all of them.
        let mut wide = gateway;
        wide.statements.push(allow("Wide", &[Action::DeleteItem], Target::Items(&["*"])));
        assert!(wide.allows(Action::DeleteItem, &["z#a"]));
        assert!(!wide.allows(Action::DeleteItem, &["z#a", "e#a"]));
    }

    #[test]
    fn nobody_may_take_away_events_or_the_table() {
        for policy in policies() {
            let role = policy.role;
            assert!(!policy.allows(Action::DeleteItem, &["e#stripe#evt_1"]), "{role}");
            for action in [Action::Scan, Action::DeleteTable, Action::PutResourcePolicy] {
                assert!(!policy.allows(action, &[]), "{role}: {action}");
            }
            for action in PARTIQL {
                assert!(!policy.allows(*action, &["e#stripe#evt_1"]), "{role}: {action}");
            }
            let provisions = role == Role::Provisioner;
            for action in [Action::UpdateTable, Action::UpdateTimeToLive, Action::CreateTable] {
                assert_eq!(policy.allows(action, &[]), provisions, "{role}: {action}");
            }
            for write in [Action::PutItem, Action::UpdateItem, Action::DeleteItem] {
                let may = matches!(role, Role::Gateway | Role::Library | Role::Replayer);
                let any = ["e#a", "w#0", "r#a", "j#1", "n", "n#table", "n#ended", "x#1#0", "zzz"];
                let writes = any.iter().any(|key| policy.allows(write, &[key]));
                assert_eq!(writes, may, "{role}: {write}");
            }
            let takes = matches!(role, Role::Gateway | Role::Library);
            assert_eq!(policy.allows(Action::PutItem, &["e#a"]), takes, "{role}");
            for write in [Action::PutItem, Action::UpdateItem, Action::DeleteItem] {
                assert_eq!(policy.allows(write, &["w#0"]), role == Role::Library, "{role}");
                let nodes = ["r#a", "j#1", "n", "n#table", "n#ended"];
                let is_node = nodes.iter().any(|key| policy.allows(write, &[key]));
                assert!(!(is_node && role == Role::Library), "{role}: {write}");
            }
            assert_eq!(policy.allows(Action::PutItem, &["d#a"]), role == Role::Trainer, "{role}");
            assert!(!policy.allows(Action::DeleteItem, &["d#a"]), "{role}");
            let mut wide = policy.clone();
            let all = &[Action::BatchWriteItem, Action::DeleteItem];
            wide.statements.push(allow("Wide", all, Target::Items(&["*"])));
            for (action, key) in [
                (Action::BatchWriteItem, "e#a"),
                (Action::BatchWriteItem, "n#table"),
                (Action::DeleteItem, "n#ended"),
                (Action::DeleteItem, "n#table"),
            ] {
                assert!(!wide.allows(action, &[key]), "{role}: {action} {key}");
            }
            // A policy that forbids everything else lets what it is for.
            assert!(
                policy
                    .unused(&[])
                    .iter()
                    .all(|(action, pattern)| { policy.allows(*action, pattern.as_slice()) })
            );
        }
    }

    #[test]
    fn what_is_not_used_is_not_granted() {
        let of = |features| Policy::of(Role::Gateway, features);
        let plain = of(Features::default());
        assert!(!plain.allows(Action::Query, &["x#20000#0"]));
        let with_admin = of(Features { admin: true, ..Features::default() });
        assert!(with_admin.allows(Action::Query, &["x#20000#0"]));
        assert!(with_admin.allows(Action::DeleteItem, &["x#20000#0"]));
        let each = Features { each: true, ..Features::default() };
        assert!(!of(each).allows(Action::Query, &["x#20000#0"]));
        let replayer = |features| Policy::of(Role::Replayer, features);
        assert!(replayer(each).allows(Action::UpdateItem, &["e#a"]));
        assert!(!replayer(Features::default()).allows(Action::UpdateItem, &["e#a"]));
        for policy in [plain, with_admin, of(each)] {
            let others =
                [Target::Key, Target::Bucket, Target::Bodies, Target::Secrets, Target::Parameters];
            assert!(policy.statements.iter().all(|it| !others.contains(&it.target)));
        }
        assert!(Policy::of(Role::Reader, EVERYTHING).allows(Action::KmsDecrypt, &[]));
        assert!(!Policy::of(Role::Reader, EVERYTHING).allows(Action::KmsEncrypt, &[]));
        for role in Role::ALL {
            let with = Policy::of(role, EVERYTHING);
            let works = !matches!(role, Role::Provisioner | Role::Doctor);
            assert_eq!(with.allows(Action::S3GetObject, &[]), works, "{role}");
            let takes = matches!(role, Role::Gateway | Role::Library);
            assert_eq!(with.allows(Action::S3PutObject, &[]), takes, "{role}");
            assert!(!with.allows(Action::S3DeleteObject, &[]), "{role}");
            for read in [Action::SecretsManagerGetSecretValue, Action::SsmGetParameter] {
                assert_eq!(with.allows(read, &[]), takes, "{role}: {read}");
            }
        }
    }

    #[test]
    fn a_policy_that_allows_more_or_less_than_the_calls_is_told() {
        let mut policy = Policy::of(Role::Doctor, Features::default());
        let call = |action| Call { action, leading_keys: Vec::new() };
        let mut calls: Vec<_> = DIAGNOSE[0].actions.iter().copied().map(call).collect();
        assert_eq!(policy.refused(&calls), Vec::<&Call>::new());
        assert_eq!(policy.unused(&calls), []);

        // Less: a call that it has no statement for.
        calls.push(Call::on(Action::GetItem, "e#a"));
        assert_eq!(policy.refused(&calls), [&calls[3]]);

        // More: a statement that no call needs; a call under another key does not use it.
        policy.statements.push(allow("More", &[Action::GetItem], Target::Items(&["e#*", "d#*"])));
        assert_eq!(policy.refused(&calls), Vec::<&Call>::new());
        assert_eq!(policy.unused(&calls), [(Action::GetItem, Some("d#*"))]);
    }

    #[test]
    fn statements_have_names_of_their_own_and_say_something() {
        for policy in policies() {
            let names: BTreeSet<_> = policy.statements.iter().map(|it| it.sid).collect();
            assert_eq!(names.len(), policy.statements.len(), "{policy:?}");
            for statement in &policy.statements {
                assert!(!statement.actions.is_empty(), "{}", statement.sid);
                assert!(statement.sid.bytes().all(|b| b.is_ascii_alphanumeric()));
                if let Target::Items(patterns) = statement.target {
                    assert!(!patterns.is_empty() && !patterns.contains(&"*"), "{}", statement.sid);
                }
            }
        }
    }

    #[test]
    fn actions_are_found_by_name() {
        for action in Action::ALL {
            assert_eq!(Action::named(action.as_str()), Some(*action));
            assert!(!action.as_str().contains('*'));
        }
        assert_eq!(Action::named("PutItem"), Some(Action::PutItem));
        assert_eq!(Action::named("Put"), None);
    }
}
