//! The table as the configuration wants it, and the names that AWS gives to it.

use clap::Args;
use hookward_core::{
    config::{Completion, Config, DynamoDb, LargeBodies, StoreConfig},
    limits,
};
use hookward_secrets as secrets;
use hookward_store::dynamodb::policy::Features;

use super::{
    document::{BucketNames, KeyNames, Names},
    secrets::{Named, Secrets},
    tree::Tree,
};
use crate::{aws, failure::Failure, settings::ConfigFile};

/// The partition key, the sort key, and the attribute that says when an item may be deleted.
pub(crate) use hookward_store::dynamodb::{EXPIRES as EXPIRY, PK as PARTITION_KEY, SK as SORT_KEY};

/// How far back the table can be restored, in days: the most that there is, since the price is the same.
pub(crate) const RECOVERY_DAYS: u32 = 35;

/// The table as the configuration wants it.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub store: DynamoDb,
    pub features: Features,
    /// The secrets in AWS that the configuration names.
    pub secrets: Secrets,
    /// For how many days large bodies stay in their bucket at least: longer than any event needs its own.
    pub bodies_days: u64,
}

impl Wanted {
    /// What a configuration file wants.
    pub(crate) fn load(file: &ConfigFile) -> Result<Self, Failure> {
        let (config, _) = file.load()?;
        Self::within(&config, file)
    }

    /// What a configuration that came from this file wants.
    pub(crate) fn within(config: &Config, file: &ConfigFile) -> Result<Self, Failure> {
        Self::of(config).ok_or_else(|| {
            Failure::config(format!(
                "{} has an embedded store: set kind = \"dynamodb\" in [store]",
                file.config.display()
            ))
        })
    }

    /// `None` where the store is not in DynamoDB.
    pub(crate) fn of(config: &Config) -> Option<Self> {
        let StoreConfig::DynamoDb(store) = &config.store else { return None };
        let secrets = Secrets::of(config);
        let features = Features {
            secrets: !secrets.secrets.is_empty(),
            parameters: !secrets.parameters.is_empty(),
            admin: config.admin.is_some(),
            each: store.completion == Completion::Each,
            customer_key: store.kms_key.is_some(),
            large_bodies: store.large_bodies.is_some(),
        };
        let kept = config.sources.iter().map(|source| source.rules.body_retention).max();
        let kept = kept.unwrap_or(limits::BODY_RETENTION_DEFAULT) + limits::LARGE_BODIES_EXTRA;
        let bodies_days = kept.as_secs().div_ceil(24 * 3_600);
        Some(Self { store: store.clone(), features, secrets, bodies_days })
    }

    /// The bucket that `--bucket` is about.
    pub(crate) fn bucket(&self) -> Result<&LargeBodies, Failure> {
        self.store.large_bodies.as_ref().ok_or_else(|| {
            Failure::config("--bucket: write `large_bodies_bucket` into [store] first")
        })
    }

    /// The region that the file or the environment says.
    pub(crate) fn region(&self) -> Option<String> {
        let environment = || secrets::variable("AWS_REGION");
        let older = || secrets::variable("AWS_DEFAULT_REGION");
        self.store.region.clone().or_else(environment).or_else(older)
    }
}

/// Whose the table is.
#[derive(Clone, Debug, Args)]
pub(crate) struct Owner {
    /// The AWS account that has the table: 12 digits
    #[arg(long, value_name = "ID", value_parser = parse_account)]
    account: String,
    /// The region, when neither the configuration nor AWS_REGION says it
    #[arg(long, value_name = "REGION", value_parser = parse_region)]
    region: Option<String>,
}

impl Owner {
    /// The literal ARNs of what the configuration names.
    pub(crate) fn names(&self, wanted: &Wanted) -> Result<Names, Failure> {
        let region = self.region.clone().or_else(|| wanted.region()).ok_or_else(|| {
            Failure::config("which region? set `region` in [store] or AWS_REGION, or give --region")
        })?;
        let account = &self.account;
        let aws::Partition { name: partition, suffix } = aws::partition(&region);
        let table =
            format!("arn:{partition}:dynamodb:{region}:{account}:table/{}", wanted.store.table);
        let key = wanted.store.kms_key.as_deref().map(|key| {
            let KeyArn { arn, alias } =
                KeyArn::of(key, &format!("arn:{partition}:kms:{region}:{account}"));
            let via = format!("dynamodb.{region}.{suffix}");
            KeyNames { arn: Tree::from(arn), alias, via: Tree::from(via) }
        });
        let bucket = wanted.store.large_bodies.as_ref().map(|large| {
            let arn = format!("arn:{partition}:s3:::{}", large.bucket);
            let bodies = Tree::from(format!("{arn}/{}*", large.prefix));
            BucketNames { arn: Tree::from(arn), bodies }
        });
        let arns = |named: &[Named]| {
            named.iter().map(|it| Tree::from(it.arn(partition, &region, account))).collect()
        };
        let (secrets, parameters) =
            (arns(&wanted.secrets.secrets), arns(&wanted.secrets.parameters));
        Ok(Names { table: Tree::from(table), key, bucket, secrets, parameters })
    }
}

/// A key of the customer's, as a policy can name it: a `Resource` that is an alias is the alias, and not the key that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyArn {
    /// The ARN of the key, or of all keys of its account and region.
    pub arn: String,
    /// The alias that it has to have then.
    pub alias: Option<String>,
}

impl KeyArn {
    /// Of the key that has this ARN, id, alias or alias's ARN. `prefix` is how ARNs of keys begin where the table is.
    pub(crate) fn of(key: &str, prefix: &str) -> Self {
        // An alias's ARN says where the alias and its key are.
        let alias =
            key.split_once(":alias/").or_else(|| Some((prefix, key.strip_prefix("alias/")?)));
        if let Some((prefix, name)) = alias {
            Self { arn: format!("{prefix}:key/*"), alias: Some(format!("alias/{name}")) }
        } else if key.starts_with("arn:") {
            Self { arn: key.to_owned(), alias: None }
        } else {
            Self { arn: format!("{prefix}:key/{key}"), alias: None }
        }
    }
}

fn parse_account(text: &str) -> Result<String, String> {
    let digits = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    if digits { Ok(text.to_owned()) } else { Err("use the 12 digits of the account".to_owned()) }
}

fn parse_region(text: &str) -> Result<String, String> {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !text.is_empty() && text.bytes().all(known) {
        Ok(text.to_owned())
    } else {
        Err("use a region as AWS writes it, such as eu-central-1".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_named_by_arn_id_or_alias() {
        let prefix = "arn:aws:kms:eu-central-1:123456789012";
        let check = |key, arn: &str, alias: Option<&str>| {
            let expected = KeyArn { arn: arn.to_owned(), alias: alias.map(str::to_owned) };
            assert_eq!(KeyArn::of(key, prefix), expected, "{key}");
        };
        check("1-2-3", "arn:aws:kms:eu-central-1:123456789012:key/1-2-3", None);
        check("arn:aws:kms:a:1:key/4", "arn:aws:kms:a:1:key/4", None);
        let all = "arn:aws:kms:eu-central-1:123456789012:key/*";
        check("alias/webhooks", all, Some("alias/webhooks"));
        check("arn:aws:kms:a:1:alias/web/hooks", "arn:aws:kms:a:1:key/*", Some("alias/web/hooks"));
    }

    #[test]
    fn accounts_are_twelve_digits() {
        assert!(parse_account("123456789012").is_ok());
        for text in ["", "12345678901", "1234567890123", "12345678901a"] {
            assert!(parse_account(text).is_err(), "{text:?}");
        }
    }
}
