//! `hookward dynamodb terraform`: the table as Terraform.

use clap::Args;
use hookward_core::config::LargeBodies;
use hookward_store::dynamodb::policy::{Effect, Policy, Role, Statement, Target};

use super::{
    document::{BucketNames, KeyNames, Names, conditions},
    secrets::Named,
    tree::Tree,
    wanted::{EXPIRY, PARTITION_KEY, RECOVERY_DAYS, SORT_KEY, Wanted},
};
use crate::{failure::Failure, output::say, settings::ConfigFile};

/// Prints the table as Terraform.
///
/// On demand with a cap on write units, time to live, point-in-time recovery, deletion protection and encryption;
/// Terraform refuses to destroy it.
#[derive(Debug, Args)]
pub(crate) struct Terraform {
    #[command(flatten)]
    file: ConfigFile,
    /// With a policy for each role that works with the table
    #[arg(long)]
    policies: bool,
    /// With the bucket for large bodies
    #[arg(long)]
    bucket: bool,
}

impl Terraform {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let wanted = Wanted::load(&self.file)?;
        let mut lines = Lines::default();
        table(&wanted, &mut lines);
        if self.bucket {
            bucket(wanted.bucket()?, wanted.bodies_days, &mut lines);
        }
        if self.policies {
            policies(&wanted, &mut lines);
        }
        say!("{}", lines.0.join("\n"))
    }
}

/// Who works with a table that Terraform has set up.
const ROLES: [Role; 6] =
    [Role::Gateway, Role::Library, Role::Reader, Role::Replayer, Role::Trainer, Role::Doctor];

fn table(wanted: &Wanted, lines: &mut Lines) {
    let key = wanted.store.kms_key.as_deref().map(Key::named);
    let encryption = match &key {
        Some(Key { arn, .. }) => {
            format!("server_side_encryption {{\n    enabled     = true\n    kms_key_arn = {arn}\n  }}")
        }
        None => "# Encrypted under a key that AWS owns: what DynamoDB does without server_side_encryption."
            .to_owned(),
    };
    lines.add(
        0,
        format!(
            r#"# The table in which Hookward keeps webhooks.

terraform {{
  required_providers {{
    aws = {{
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }}
  }}
}}

variable "hookward_write_units_max" {{
  description = "The most write units a second: what a flood can cost is bounded"
  type        = number
  default     = {write_units_max}
}}

resource "aws_dynamodb_table" "hookward" {{
  name                        = {name}
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "{PARTITION_KEY}"
  range_key                   = "{SORT_KEY}"
  deletion_protection_enabled = true

  attribute {{
    name = "{PARTITION_KEY}"
    type = "S"
  }}

  attribute {{
    name = "{SORT_KEY}"
    type = "S"
  }}

  on_demand_throughput {{
    max_write_request_units = var.hookward_write_units_max
  }}

  ttl {{
    attribute_name = "{EXPIRY}"
    enabled        = true
  }}

  point_in_time_recovery {{
    enabled                 = true
    recovery_period_in_days = {RECOVERY_DAYS}
  }}

  {encryption}

  lifecycle {{
    prevent_destroy = true
  }}
}}

output "hookward_table_arn" {{
  value = aws_dynamodb_table.hookward.arn
}}"#,
            write_units_max = wanted.store.write_units_max,
            name = quoted(&wanted.store.table),
        ),
    );
    if let Some(lookup) = key.and_then(|key| key.lookup) {
        lines.add(0, lookup);
    }
}

/// A bucket for one owner, encrypted, that deletes bodies once nobody can need them.
fn bucket(large: &LargeBodies, days: u64, lines: &mut Lines) {
    lines.add(
        0,
        format!(
            r#"
resource "aws_s3_bucket" "hookward_bodies" {{
  bucket = {bucket}

  lifecycle {{
    prevent_destroy = true
  }}
}}

resource "aws_s3_bucket_public_access_block" "hookward_bodies" {{
  bucket                  = aws_s3_bucket.hookward_bodies.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}}

resource "aws_s3_bucket_server_side_encryption_configuration" "hookward_bodies" {{
  bucket = aws_s3_bucket.hookward_bodies.id

  rule {{
    apply_server_side_encryption_by_default {{
      sse_algorithm = "AES256"
    }}
  }}
}}

resource "aws_s3_bucket_lifecycle_configuration" "hookward_bodies" {{
  bucket = aws_s3_bucket.hookward_bodies.id

  rule {{
    id     = "hookward-bodies"
    status = "Enabled"

    filter {{
      prefix = {prefix}
    }}

    expiration {{
      days = {days}
    }}
  }}
}}"#,
            bucket = quoted(&large.bucket),
            prefix = quoted(&large.prefix),
        ),
    );
}

/// The customer's key.
struct Key {
    /// The expression for its ARN.
    arn: String,
    /// What looks it up, where it is not named by its ARN: a policy can name the key then, and not only its alias.
    lookup: Option<String>,
}

impl Key {
    /// The key that has this ARN, id or alias.
    fn named(name: &str) -> Self {
        if name.starts_with("arn:") && !name.contains(":alias/") {
            return Self { arn: quoted(name), lookup: None };
        }
        let lookup =
            format!("\ndata \"aws_kms_key\" \"hookward\" {{\n  key_id = {}\n}}", quoted(name));
        Self { arn: "data.aws_kms_key.hookward.arn".to_owned(), lookup: Some(lookup) }
    }
}

/// DynamoDB as the caller of KMS.
const VIA: &str =
    "dynamodb.${data.aws_region.current.region}.${data.aws_partition.current.dns_suffix}";

fn policies(wanted: &Wanted, lines: &mut Lines) {
    let key = wanted.store.kms_key.as_deref().map(|name| {
        let arn = Tree::from(Key::named(name).arn);
        KeyNames { arn, alias: None, via: Tree::from(VIA) }
    });
    let large = wanted.store.large_bodies.as_ref();
    let bucket = large.map(|LargeBodies { bucket, prefix }| {
        let arn = format!("arn:${{data.aws_partition.current.partition}}:s3:::{bucket}");
        let bodies = Tree::from(format!("{arn}/{prefix}*"));
        BucketNames { arn: Tree::from(arn), bodies }
    });
    let arns = |named: &[Named]| -> Vec<Tree> {
        let arn = |it: &Named| {
            it.arn(
                "${data.aws_partition.current.partition}",
                "${data.aws_region.current.region}",
                "${data.aws_caller_identity.current.account_id}",
            )
        };
        named.iter().map(|it| Tree::from(arn(it))).collect()
    };
    let (secrets, parameters) = (arns(&wanted.secrets.secrets), arns(&wanted.secrets.parameters));
    let named = secrets.iter().chain(&parameters).map(value).collect::<String>();
    let looks_up = |what: &str| named.contains(&format!("data.{what}.current."));
    if key.is_some() || looks_up("aws_region") {
        lines.add(0, "\ndata \"aws_region\" \"current\" {}");
    }
    if key.is_some() || bucket.is_some() || looks_up("aws_partition") {
        lines.add(0, "\ndata \"aws_partition\" \"current\" {}");
    }
    if looks_up("aws_caller_identity") {
        lines.add(0, "\ndata \"aws_caller_identity\" \"current\" {}");
    }
    let names = Names { table: Tree::from(""), key, bucket, secrets, parameters };
    for role in ROLES {
        let policy = Policy::of(role, wanted.features);
        lines.add(0, format!("\n# For who {}.", role.purpose()));
        lines.add(0, format!("data \"aws_iam_policy_document\" \"hookward_{role}\" {{"));
        for (place, statement) in policy.statements.iter().enumerate() {
            if place > 0 {
                lines.add(0, "");
            }
            add_statement(statement, &names, lines);
        }
        lines.add(0, "}\n");
        lines.add(0, format!("resource \"aws_iam_policy\" \"hookward_{role}\" {{"));
        lines.add(1, format!("name_prefix = \"hookward-{role}-\""));
        lines.add(1, format!("policy      = data.aws_iam_policy_document.hookward_{role}.json"));
        lines.add(0, "}");
    }
}

/// The table is named by what makes it.
fn add_statement(statement: &Statement, names: &Names, lines: &mut Lines) {
    let Names { key, bucket, secrets, parameters, .. } = names;
    let key = key.as_ref();
    let list = |arns: &[Tree]| arns.iter().map(value).collect::<Vec<_>>().join(", ");
    let resource = match (statement.target, key, bucket) {
        (Target::Table | Target::Items(_), ..) => "aws_dynamodb_table.hookward.arn".to_owned(),
        (Target::Key, Some(KeyNames { arn: Tree::Text(arn), .. }), _) => arn.clone(),
        (Target::Bucket, _, Some(BucketNames { arn, .. })) => value(arn),
        (Target::Bodies, _, Some(BucketNames { bodies, .. })) => value(bodies),
        (Target::Secrets, ..) => list(secrets),
        (Target::Parameters, ..) => list(parameters),
        // There is no such statement without a key or a bucket.
        (Target::Key | Target::Bucket | Target::Bodies, ..) => return,
    };
    let effect = match statement.effect {
        Effect::Allow => "Allow",
        Effect::Deny => "Deny",
    };
    lines.add(1, "statement {");
    lines.add(2, format!("sid    = {}", quoted(statement.sid)));
    lines.add(2, format!("effect = {}", quoted(effect)));
    lines.add(2, "actions = [");
    for action in statement.actions {
        lines.add(3, format!("{},", quoted(action.as_str())));
    }
    lines.add(2, "]");
    lines.add(2, format!("resources = [{resource}]"));
    for condition in conditions(statement, key) {
        let values = match &condition.values {
            Tree::List(values) => values.iter().map(value).collect::<Vec<_>>().join(", "),
            one => value(one),
        };
        lines.add(0, "");
        lines.add(2, "condition {");
        lines.add(3, format!("test     = {}", quoted(condition.operator)));
        lines.add(3, format!("variable = {}", quoted(condition.variable)));
        lines.add(3, format!("values   = [{values}]"));
        lines.add(2, "}");
    }
    lines.add(1, "}");
}

/// The text so far. What is added may have several lines; the first of them is indented.
#[derive(Debug, Default)]
struct Lines(Vec<String>);

impl Lines {
    fn add(&mut self, depth: usize, line: impl AsRef<str>) {
        self.0.push(format!("{}{}", "  ".repeat(depth), line.as_ref()));
    }
}

/// A value of a condition: a text in which `${…}` is an expression.
fn value(tree: &Tree) -> String {
    match tree {
        Tree::Text(text) => format!("\"{text}\""),
        Tree::Number(_) | Tree::Flag(_) | Tree::List(_) | Tree::Map(_) => tree.to_json(),
    }
}

/// A text as Terraform writes it; nothing in it is an expression.
fn quoted(text: &str) -> String {
    let text = text.replace("${", "$${").replace("%{", "%%{");
    serde_json::Value::from(text).to_string()
}
