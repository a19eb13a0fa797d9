//! Whether the bucket for large bodies is there, and keeps them as long as they are needed and for nobody else.

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, retry::RetryConfig, timeout::TimeoutConfig},
    types::{
        ExpirationStatus, LifecycleRule, PublicAccessBlockConfiguration,
        ServerSideEncryptionConfiguration,
    },
};
use hookward_core::config::LargeBodies;
use hookward_store::dynamodb::policy::Role;

use super::Finding;
use crate::{
    aws,
    dynamodb::{
        connection::{ATTEMPT, PATIENCE, Refusal},
        inspect::Answer,
        wanted::Wanted,
    },
};

/// Looks at the bucket of a configuration, if it names one.
pub(super) async fn look(wanted: &Wanted, role: Role) -> Vec<Finding> {
    let Some(large) = &wanted.store.large_bodies else { return Vec::new() };
    let subject = Subject { large, role, days: wanted.bodies_days };
    let client = match aws::bucket_connection(&wanted.store).await {
        Ok(connection) => {
            let timeouts = TimeoutConfig::builder()
                .operation_attempt_timeout(ATTEMPT)
                .operation_timeout(PATIENCE)
                .build();
            let config = connection
                .behavior_version(BehaviorVersion::v2026_01_12())
                .retry_config(RetryConfig::standard().with_max_attempts(3))
                .timeout_config(timeouts);
            Client::from_conf(config.build())
        }
        Err(failure) => {
            let todo = "say where S3 is: AWS_ENDPOINT_URL_S3, if it is not Amazon's own";
            return vec![Finding::error("bucket", &large.bucket, failure, todo)];
        }
    };
    let there = is_there(&client, &large.bucket).await;
    let is_lost = matches!(there, Err(Refusal::NotFound | Refusal::Failed(_)));
    let mut findings = vec![subject.is_there(&there)];
    if is_lost {
        return findings;
    }
    let (rules, private, encrypted) = tokio::join!(
        rules(&client, &large.bucket),
        is_private(&client, &large.bucket),
        encryption(&client, &large.bucket)
    );
    findings.push(subject.lifecycle(&rules));
    findings.push(subject.public_access(&private));
    findings.push(subject.encryption(&encrypted));
    findings
}

/// An answer to this has no text: its status says it.
async fn is_there(client: &Client, bucket: &str) -> Answer<()> {
    let Err(error) = client.head_bucket().bucket(bucket).send().await else { return Ok(()) };
    let status = error.raw_response().map(|response| response.status().as_u16());
    Err(match status {
        Some(404) => Refusal::NotFound,
        Some(403) => Refusal::Denied("s3:ListBucket".to_owned()),
        Some(301 | 400) => Refusal::Failed("it is in another region".to_owned()),
        _ => Refusal::of(&error),
    })
}

/// A rule by which a bucket deletes what is in it, as far as it can be about large bodies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rule {
    prefix: String,
    /// After how many days; `None` with a date, which is some day in the past.
    days: Option<u64>,
    /// Whether it is only about some of what has the prefix.
    is_narrow: bool,
}

impl Rule {
    /// `None` for one that is off, and for one that deletes nothing.
    fn of(rule: &LifecycleRule) -> Option<Self> {
        let expiration = rule.expiration().filter(|it| it.days.is_some() || it.date.is_some())?;
        let is_on = *rule.status() == ExpirationStatus::Enabled;
        let filter = rule.filter();
        let and = filter.and_then(|filter| filter.and());
        #[expect(deprecated, reason = "old rules have their prefix here")]
        let prefix = filter
            .and_then(|filter| filter.prefix())
            .or_else(|| and.and_then(|and| and.prefix()))
            .or_else(|| rule.prefix());
        let is_narrow = and.is_some()
            || filter.is_some_and(|it| {
                it.tag.is_some()
                    || it.object_size_less_than.is_some()
                    || it.object_size_greater_than.is_some()
            });
        is_on.then(|| Self {
            prefix: prefix.unwrap_or_default().to_owned(),
            days: expiration.days.and_then(|days| u64::try_from(days).ok()),
            is_narrow,
        })
    }
}

async fn rules(client: &Client, bucket: &str) -> Answer<Vec<Rule>> {
    match client.get_bucket_lifecycle_configuration().bucket(bucket).send().await {
        Ok(found) => Ok(found.rules().iter().filter_map(Rule::of).collect()),
        Err(error) => none_if(Refusal::of(&error), "NoSuchLifecycleConfiguration", Vec::new()),
    }
}

async fn is_private(client: &Client, bucket: &str) -> Answer<bool> {
    match client.get_public_access_block().bucket(bucket).send().await {
        Ok(found) => {
            let is_blocked = |block: &PublicAccessBlockConfiguration| {
                let all = [
                    block.block_public_acls,
                    block.block_public_policy,
                    block.ignore_public_acls,
                    block.restrict_public_buckets,
                ];
                all.iter().all(|it| *it == Some(true))
            };
            Ok(found.public_access_block_configuration().is_some_and(is_blocked))
        }
        Err(error) => none_if(Refusal::of(&error), "NoSuchPublicAccessBlockConfiguration", false),
    }
}

/// How what is written is encrypted, if it is.
async fn encryption(client: &Client, bucket: &str) -> Answer<Option<String>> {
    match client.get_bucket_encryption().bucket(bucket).send().await {
        Ok(found) => {
            let rules = found
                .server_side_encryption_configuration()
                .map(ServerSideEncryptionConfiguration::rules);
            let by_default = rules
                .unwrap_or_default()
                .iter()
                .find_map(|rule| rule.apply_server_side_encryption_by_default());
            Ok(by_default.map(|it| it.sse_algorithm().as_str().to_owned()))
        }
        Err(error) => {
            none_if(Refusal::of(&error), "ServerSideEncryptionConfigurationNotFoundError", None)
        }
    }
}

/// A refusal that says that there is no such thing is an answer.
fn none_if<T>(refusal: Refusal, code: &str, none: T) -> Answer<T> {
    match &refusal {
        Refusal::Failed(said) if said.starts_with(code) => Ok(none),
        _ => Err(refusal),
    }
}

struct Subject<'w> {
    large: &'w LargeBodies,
    role: Role,
    /// What a body may be needed for.
    days: u64,
}

/// What to print for what is missing.
const PRINT: &str = "see what `hookward dynamodb cloudformation --bucket` prints";

impl Subject<'_> {
    fn good(&self, check: &'static str, found: impl std::fmt::Display) -> Finding {
        Finding::good(check, &self.large.bucket, found)
    }

    fn warning(&self, check: &'static str, found: impl std::fmt::Display) -> Finding {
        Finding::warning(check, &self.large.bucket, found)
    }

    /// What could not be asked.
    fn unseen(&self, check: &'static str, refusal: &Refusal) -> Finding {
        match refusal {
            Refusal::Denied(_) if self.role != Role::Doctor => {
                let said = format!(
                    "how it is set up is not for the {} to see; the doctor's credentials would",
                    self.role
                );
                Finding::skipped(check, &self.large.bucket, said)
            }
            _ => self.warning(check, format!("could not be asked: {refusal}")).with(
                "give them the policy of `hookward dynamodb iam --role doctor`, or look at it yourself",
            ),
        }
    }

    fn is_there(&self, found: &Answer<()>) -> Finding {
        const CHECK: &str = "bucket";
        match found {
            Ok(()) => self.good(CHECK, "is there"),
            Err(Refusal::NotFound) => {
                let said = "there is no such bucket: events with large bodies are answered 503";
                let todo =
                    format!("make it ({PRINT}), or correct `large_bodies_bucket` in [store]");
                Finding::error(CHECK, &self.large.bucket, said, todo)
            }
            Err(refusal @ Refusal::Failed(_)) => {
                let todo = "the region, the network, a VPC's gateway endpoint, AWS_ENDPOINT_URL_S3";
                Finding::error(CHECK, &self.large.bucket, refusal, todo)
            }
            Err(refusal) => self.unseen(CHECK, refusal),
        }
    }

    fn lifecycle(&self, found: &Answer<Vec<Rule>>) -> Finding {
        const CHECK: &str = "bucket-lifecycle";
        let rules = match found {
            Ok(rules) => rules,
            Err(refusal) => return self.unseen(CHECK, refusal),
        };
        let prefix = &*self.large.prefix;
        let touches =
            |rule: &&Rule| rule.prefix.starts_with(prefix) || prefix.starts_with(&*rule.prefix);
        let is_short = |rule: &&Rule| rule.days.is_none_or(|days| days < self.days);
        if let Some(rule) = rules.iter().filter(touches).find(is_short) {
            let when = match rule.days {
                Some(days) => format!("after {days} days"),
                None => "at a date".to_owned(),
            };
            let said = format!(
                "deletes {:?} {when}, and bodies may be needed for {} days",
                rule.prefix, self.days
            );
            let todo =
                format!("let the rule for {prefix:?} delete after {} days or more", self.days);
            return Finding::error(CHECK, &self.large.bucket, said, todo);
        }
        let covers = |rule: &&Rule| !rule.is_narrow && prefix.starts_with(&*rule.prefix);
        if let Some(days) = rules.iter().find(covers).and_then(|rule| rule.days) {
            let said = format!("deletes {prefix:?} after {days} days; {} are needed", self.days);
            return self.good(CHECK, said);
        }
        let said = "nothing is ever deleted, and storage is paid for for ever";
        let todo = format!("a rule that deletes {prefix:?} after {} days: {PRINT}", self.days);
        self.warning(CHECK, said).with(todo)
    }

    fn public_access(&self, found: &Answer<bool>) -> Finding {
        const CHECK: &str = "bucket-public-access";
        match found {
            Ok(true) => self.good(CHECK, "blocked"),
            Ok(false) => {
                let said = "not blocked: one wrong policy shows bodies to everybody";
                let todo = format!(
                    "aws s3api put-public-access-block --bucket {} --public-access-block-configuration BlockPublicAcls=true,BlockPublicPolicy=true,IgnorePublicAcls=true,RestrictPublicBuckets=true",
                    self.large.bucket
                );
                self.warning(CHECK, said).with(todo)
            }
            Err(refusal) => self.unseen(CHECK, refusal),
        }
    }

    fn encryption(&self, found: &Answer<Option<String>>) -> Finding {
        const CHECK: &str = "bucket-encryption";
        match found {
            Ok(Some(how)) => self.good(CHECK, how),
            Ok(None) => {
                let said = "nothing is encrypted unless it is asked for";
                self.warning(CHECK, said).with(format!("turn default encryption on: {PRINT}"))
            }
            Err(refusal) => self.unseen(CHECK, refusal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Severity, *};

    fn rule(prefix: &str, days: Option<u64>) -> Rule {
        Rule { prefix: prefix.to_owned(), days, is_narrow: false }
    }

    #[track_caller]
    fn check(rules: &Answer<Vec<Rule>>, role: Role, expected: Severity) {
        let large = LargeBodies { bucket: "bodies".to_owned(), prefix: "hookward/".to_owned() };
        let found = Subject { large: &large, role, days: 38 }.lifecycle(rules);
        assert_eq!(found.severity, expected, "{found}");
    }

    #[test]
    fn a_rule_must_not_be_shorter_than_bodies_are_needed() {
        let check = |rules: &[Rule], expected| check(&Ok(rules.to_vec()), Role::Doctor, expected);
        check(&[rule("hookward/", Some(38))], Severity::Good);
        check(&[rule("", Some(400))], Severity::Good);
        check(&[rule("hookward/", Some(37))], Severity::Error);
        check(&[rule("", Some(7))], Severity::Error);
        check(&[rule("hookward/ab", Some(7))], Severity::Error);
        check(&[rule("hookward/", None)], Severity::Error);
        check(&[rule("hookward/", Some(38)), rule("", Some(7))], Severity::Error);
        check(&[rule("logs/", Some(7))], Severity::Warning);
        check(&[rule("logs/", Some(7)), rule("hook", Some(90))], Severity::Good);
        check(&[], Severity::Warning);
        check(&[Rule { is_narrow: true, ..rule("hookward/", Some(90)) }], Severity::Warning);
    }

    #[test]
    fn what_cannot_be_asked_is_a_warning_unless_it_is_not_for_them_to_ask() {
        let denied = || Err(Refusal::Denied("no".to_owned()));
        check(&denied(), Role::Doctor, Severity::Warning);
        check(&denied(), Role::Gateway, Severity::Skipped);
        let failed = Err(Refusal::Failed("InternalError: no".to_owned()));
        check(&failed, Role::Gateway, Severity::Warning);
    }
}
