//! `hookward dynamodb cloudformation`: the table as a template.

use clap::Args;
use hookward_core::config::LargeBodies;
use hookward_store::dynamodb::policy::{Policy, Role};

use super::{
    document::{BucketNames, KeyNames, Names, document},
    secrets::Named,
    tree::Tree,
    wanted::{EXPIRY, KeyArn, PARTITION_KEY, RECOVERY_DAYS, SORT_KEY, Wanted},
};
use crate::{failure::Failure, output::say, settings::ConfigFile};

/// Prints a CloudFormation template of the table.
///
/// On demand with a cap on write units, time to live, point-in-time recovery, deletion protection and encryption; kept
/// when the stack is deleted.
#[derive(Debug, Args)]
pub(crate) struct CloudFormation {
    #[command(flatten)]
    file: ConfigFile,
    /// With a managed policy for each role that works with the table
    #[arg(long)]
    policies: bool,
    /// With the bucket for large bodies
    #[arg(long)]
    bucket: bool,
    /// With a role for the gateway that this service takes on, such as ecs-tasks.amazonaws.com
    #[arg(long, value_name = "SERVICE", requires = "policies", value_parser = parse_service)]
    gateway_service: Option<String>,
    /// Print it as JSON and not as YAML
    #[arg(long)]
    json: bool,
}

impl CloudFormation {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let wanted = Wanted::load(&self.file)?;
        let template = self.template(&wanted)?;
        say!("{}", if self.json { template.to_json() } else { template.to_yaml() })
    }

    fn template(&self, wanted: &Wanted) -> Result<Tree, Failure> {
        let mut resources = vec![("Table".to_owned(), table(wanted))];
        let mut outputs = vec![
            ("TableName".to_owned(), output("The table", reference("Table"))),
            ("TableArn".to_owned(), output("The table's ARN", attribute("Table", "Arn"))),
        ];
        if self.bucket {
            resources.push(("Bodies".to_owned(), bucket(wanted.bucket()?, wanted.bodies_days)));
            let arn = attribute("Bodies", "Arn");
            outputs.push(("BodiesArn".to_owned(), output("The bucket for large bodies", arn)));
        }
        if self.policies {
            let names = names(wanted);
            for role in ROLES {
                let name = logical(role, "Policy");
                resources.push((name.clone(), managed_policy(role, wanted, &names)));
                let description = format!("For who {}", role.purpose());
                outputs.push((format!("{name}Arn"), output(&description, reference(&name))));
            }
        }
        if let Some(service) = &self.gateway_service {
            resources.push(("GatewayRole".to_owned(), gateway_role(service)));
            let arn = attribute("GatewayRole", "Arn");
            outputs.push(("GatewayRoleArn".to_owned(), output("The gateway's role", arn)));
        }
        Ok(Tree::map([
            ("AWSTemplateFormatVersion", Tree::from("2010-09-09")),
            ("Description", Tree::from("The table in which Hookward keeps webhooks")),
            ("Parameters", parameters(wanted)),
            ("Resources", Tree::Map(resources)),
            ("Outputs", Tree::Map(outputs)),
        ]))
    }
}

/// Who works with a table that a stack has set up.
const ROLES: [Role; 6] =
    [Role::Gateway, Role::Library, Role::Reader, Role::Replayer, Role::Trainer, Role::Doctor];

fn parameters(wanted: &Wanted) -> Tree {
    Tree::map([
        (
            "TableName",
            Tree::map([
                ("Type", Tree::from("String")),
                ("Default", Tree::from(wanted.store.table.as_str())),
                ("AllowedPattern", Tree::from("[A-Za-z0-9_.-]{3,255}")),
                ("Description", Tree::from("As `table` in [store] of the configuration")),
            ]),
        ),
        (
            "MaxWriteRequestUnits",
            Tree::map([
                ("Type", Tree::from("Number")),
                ("Default", Tree::from(wanted.store.write_units_max)),
                ("MinValue", Tree::from(1)),
                (
                    "Description",
                    Tree::from("The most write units a second: what a flood can cost is bounded"),
                ),
            ]),
        ),
    ])
}

fn table(wanted: &Wanted) -> Tree {
    let key = |name, kind| {
        Tree::map([("AttributeName", Tree::from(name)), ("KeyType", Tree::from(kind))])
    };
    let text =
        |name| Tree::map([("AttributeName", Tree::from(name)), ("AttributeType", Tree::from("S"))]);
    let mut properties = vec![
        ("TableName", reference("TableName")),
        ("AttributeDefinitions", Tree::List(vec![text(PARTITION_KEY), text(SORT_KEY)])),
        ("KeySchema", Tree::List(vec![key(PARTITION_KEY, "HASH"), key(SORT_KEY, "RANGE")])),
        ("BillingMode", Tree::from("PAY_PER_REQUEST")),
        (
            "OnDemandThroughput",
            Tree::map([("MaxWriteRequestUnits", reference("MaxWriteRequestUnits"))]),
        ),
        (
            "TimeToLiveSpecification",
            Tree::map([("AttributeName", Tree::from(EXPIRY)), ("Enabled", Tree::from(true))]),
        ),
        (
            "PointInTimeRecoverySpecification",
            Tree::map([
                ("PointInTimeRecoveryEnabled", Tree::from(true)),
                ("RecoveryPeriodInDays", Tree::from(RECOVERY_DAYS)),
            ]),
        ),
        ("DeletionProtectionEnabled", Tree::from(true)),
    ];
    // Without it, DynamoDB encrypts under a key that AWS owns.
    if let Some(key) = &wanted.store.kms_key {
        let encryption = Tree::map([
            ("SSEEnabled", Tree::from(true)),
            ("SSEType", Tree::from("KMS")),
            ("KMSMasterKeyId", Tree::from(key.as_str())),
        ]);
        properties.push(("SSESpecification", encryption));
    }
    Tree::map([
        ("Type", Tree::from("AWS::DynamoDB::Table")),
        ("DeletionPolicy", Tree::from("Retain")),
        ("UpdateReplacePolicy", Tree::from("Retain")),
        ("Properties", Tree::map(properties)),
    ])
}

/// A bucket for one owner, encrypted, that deletes bodies once nobody can need them.
fn bucket(large: &LargeBodies, days: u64) -> Tree {
    let yes = || Tree::from(true);
    let private =
        ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"];
    let encryption = Tree::map([("SSEAlgorithm", Tree::from("AES256"))]);
    let encryption = Tree::map([("ServerSideEncryptionByDefault", encryption)]);
    let rule = Tree::map([
        ("Id", Tree::from("hookward-bodies")),
        ("Status", Tree::from("Enabled")),
        ("Prefix", Tree::from(large.prefix.as_str())),
        ("ExpirationInDays", Tree::Number(days)),
    ]);
    let owner = Tree::map([("ObjectOwnership", Tree::from("BucketOwnerEnforced"))]);
    Tree::map([
        ("Type", Tree::from("AWS::S3::Bucket")),
        ("DeletionPolicy", Tree::from("Retain")),
        ("UpdateReplacePolicy", Tree::from("Retain")),
        (
            "Properties",
            Tree::map([
                ("BucketName", Tree::from(large.bucket.as_str())),
                (
                    "BucketEncryption",
                    Tree::map([(
                        "ServerSideEncryptionConfiguration",
                        Tree::List(vec![encryption]),
                    )]),
                ),
                ("PublicAccessBlockConfiguration", Tree::map(private.map(|name| (name, yes())))),
                ("OwnershipControls", Tree::map([("Rules", Tree::List(vec![owner]))])),
                ("LifecycleConfiguration", Tree::map([("Rules", Tree::List(vec![rule]))])),
            ]),
        ),
    ])
}

fn names(wanted: &Wanted) -> Names {
    let key = wanted.store.kms_key.as_deref().map(|key| {
        let KeyArn { arn, alias } =
            KeyArn::of(key, "arn:${AWS::Partition}:kms:${AWS::Region}:${AWS::AccountId}");
        let arn = if arn.contains("${") { substituted(&arn) } else { Tree::from(arn) };
        KeyNames { arn, alias, via: substituted("dynamodb.${AWS::Region}.${AWS::URLSuffix}") }
    });
    // Also where the bucket is not of this template.
    let bucket = wanted.store.large_bodies.as_ref().map(|large| {
        let arn = format!("arn:${{AWS::Partition}}:s3:::{}", large.bucket);
        let bodies = substituted(&format!("{arn}/{}*", large.prefix));
        BucketNames { arn: substituted(&arn), bodies }
    });
    let arns = |named: &[Named]| {
        let arn = |it: &Named| it.arn("${AWS::Partition}", "${AWS::Region}", "${AWS::AccountId}");
        let written = |arn: String| {
            if arn.contains("${") { substituted(&arn) } else { Tree::from(arn) }
        };
        named.iter().map(|it| written(arn(it))).collect()
    };
    let (secrets, parameters) = (arns(&wanted.secrets.secrets), arns(&wanted.secrets.parameters));
    Names { table: attribute("Table", "Arn"), key, bucket, secrets, parameters }
}

fn managed_policy(role: Role, wanted: &Wanted, names: &Names) -> Tree {
    let description = format!("For who {}", role.purpose());
    Tree::map([
        ("Type", Tree::from("AWS::IAM::ManagedPolicy")),
        (
            "Properties",
            Tree::map([
                ("Description", Tree::from(description)),
                ("PolicyDocument", document(&Policy::of(role, wanted.features), names)),
            ]),
        ),
    ])
}

fn gateway_role(service: &str) -> Tree {
    let trust = Tree::map([
        ("Effect", Tree::from("Allow")),
        ("Principal", Tree::map([("Service", Tree::from(service))])),
        ("Action", Tree::from("sts:AssumeRole")),
    ]);
    let trust =
        Tree::map([("Version", Tree::from("2012-10-17")), ("Statement", Tree::List(vec![trust]))]);
    let policies = Tree::List(vec![reference(&logical(Role::Gateway, "Policy"))]);
    Tree::map([
        ("Type", Tree::from("AWS::IAM::Role")),
        (
            "Properties",
            Tree::map([("AssumeRolePolicyDocument", trust), ("ManagedPolicyArns", policies)]),
        ),
    ])
}

/// The name of a role's resource in the template.
fn logical(role: Role, what: &str) -> String {
    let name = role.as_str();
    let (first, rest) = name.split_at_checked(1).unwrap_or(("", name));
    format!("{}{rest}{what}", first.to_ascii_uppercase())
}

fn reference(name: &str) -> Tree {
    Tree::map([("Ref", Tree::from(name))])
}

fn attribute(of: &str, name: &str) -> Tree {
    Tree::map([("Fn::GetAtt", Tree::texts([of, name]))])
}

fn substituted(text: &str) -> Tree {
    Tree::map([("Fn::Sub", Tree::from(text))])
}

fn output(description: &str, value: Tree) -> Tree {
    Tree::map([("Description", Tree::from(description)), ("Value", value)])
}

fn parse_service(text: &str) -> Result<String, String> {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    if text.contains('.') && text.bytes().all(known) {
        Ok(text.to_owned())
    } else {
        Err("use a service as AWS writes it, such as ecs-tasks.amazonaws.com".to_owned())
    }
}
