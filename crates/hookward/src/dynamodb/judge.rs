//! Whether a table is set up as the configuration wants it.

use hookward_core::config::DynamoDb;

use super::{
    advice::FOREIGN_TABLE,
    connection::Refusal,
    inspect::{Answer, Billing, Inspected, Isolation, Keys, Status, WRITE_ISOLATION},
    wanted::{EXPIRY, PARTITION_KEY, RECOVERY_DAYS, SORT_KEY},
};
use crate::doctor::finding::{Finding, Severity};

/// What is right and what is not. Errors are what loses events, handles them twice, or keeps the gateway from
/// working; what only Amazon has is no more than a warning elsewhere.
pub(crate) fn judge(found: &Inspected, wanted: &DynamoDb, is_amazon: bool) -> Vec<Finding> {
    let table = Subject { name: &wanted.table, is_amazon };
    let mut findings = vec![table.is_there(found), table.keys(&found.keys)];
    // How a table of somebody else's is set up is nobody's business here.
    if is_foreign(&findings) {
        return findings;
    }
    findings.extend(table.indexes(found.indexes));
    findings.extend(table.billing(found.billing, wanted.write_units_max));
    findings.push(table.time_to_live(&found.time_to_live));
    findings.push(table.recovery(&found.recovery_days));
    findings.push(table.deletion_protection(found.deletion_protection));
    findings.push(table.encryption(found, wanted.kms_key.as_deref()));
    findings.extend(table.isolation(&found.isolation));
    findings
}

/// Whether a table was found not to be Hookward's.
pub(crate) fn is_foreign(findings: &[Finding]) -> bool {
    findings.iter().any(|it| it.check == "key-schema" && it.severity == Severity::Error)
}

struct Subject<'t> {
    name: &'t str,
    is_amazon: bool,
}

/// What to run for what is merely switched off.
const CREATE: &str = "run `hookward dynamodb create`, which turns on what is off";

/// What to run where Alternator does not keep writes apart.
const ISOLATE: &str = "run `hookward dynamodb create --alternator`, which sets the table's tag system:write_isolation to always_use_lwt; with only_rmw_uses_lwt de-duplication holds too, with forbid_rmw and unsafe_rmw it does not";

impl Subject<'_> {
    fn good(&self, check: &'static str, found: impl std::fmt::Display) -> Finding {
        Finding::good(check, self.name, found)
    }

    /// A warning with what to do, which is nothing where only Amazon has what is missing.
    fn missing(&self, check: &'static str, found: &str, todo: &str) -> Finding {
        if self.is_amazon {
            Finding::warning(check, self.name, found).with(todo)
        } else {
            Finding::warning(check, self.name, format!("{found}: this is not Amazon's DynamoDB"))
        }
    }

    /// What could not be looked at.
    fn unseen(&self, check: &'static str, refusal: &Refusal) -> Finding {
        match refusal {
            Refusal::Unsupported(_) | Refusal::Invalid(_) if !self.is_amazon => {
                Finding::warning(check, self.name, "not known to this endpoint")
            }
            Refusal::NotFound
            | Refusal::Denied(_)
            | Refusal::Credentials(_)
            | Refusal::Unsupported(_)
            | Refusal::Busy(_)
            | Refusal::Invalid(_)
            | Refusal::Condition
            | Refusal::Failed(_) => Finding::skipped(check, self.name, refusal),
        }
    }

    fn is_there(&self, found: &Inspected) -> Finding {
        match found.status {
            Status::Active => self.good("table", "is there and active"),
            Status::Updating => self.good("table", "is there, and being changed"),
            Status::Unusable => {
                let todo = "wait until it is active; `hookward dynamodb create` does so";
                Finding::error("table", self.name, "is there, but not active", todo)
            }
        }
    }

    fn keys(&self, keys: &Keys) -> Finding {
        let wanted =
            Keys { partition: Some(PARTITION_KEY.to_owned()), sort: Some(SORT_KEY.to_owned()) };
        if *keys == wanted {
            return self.good("key-schema", format!("{PARTITION_KEY} and {SORT_KEY}"));
        }
        let shown = |key: &Option<String>| key.clone().unwrap_or_else(|| "no text".to_owned());
        let said = format!(
            "its keys are {} and {}, and not {PARTITION_KEY} and {SORT_KEY}: it is not a table of Hookward's",
            shown(&keys.partition),
            shown(&keys.sort)
        );
        Finding::error("key-schema", self.name, said, FOREIGN_TABLE)
    }

    fn indexes(&self, indexes: usize) -> Option<Finding> {
        (indexes > 0).then(|| {
            let said = format!(
                "{indexes} indexes: each makes writes dearer, and a busy one throttles the table"
            );
            Finding::warning("indexes", self.name, said).with("delete them: Hookward reads none")
        })
    }

    fn billing(&self, billing: Billing, wanted: u32) -> Option<Finding> {
        let update = format!(
            "aws dynamodb update-table --table-name {} --on-demand-throughput MaxWriteRequestUnits={wanted}",
            self.name
        );
        Some(match billing {
            Billing::Provisioned if self.is_amazon => {
                let said = "its capacity is reserved: above it, senders are told to come back";
                Finding::warning("billing", self.name, said).with(format!(
                    "aws dynamodb update-table --table-name {} --billing-mode PAY_PER_REQUEST",
                    self.name
                ))
            }
            // Elsewhere nothing is billed.
            Billing::Provisioned => return None,
            Billing::OnDemand { write_cap: None } => {
                self.missing("write-cap", "nothing caps what a flood can cost", CREATE)
            }
            Billing::OnDemand { write_cap: Some(cap) } if cap == u64::from(wanted) => {
                self.good("write-cap", format!("{cap} write units a second"))
            }
            Billing::OnDemand { write_cap: Some(cap) } => {
                let said = format!("{cap} write units a second, but write_units_max is {wanted}");
                Finding::warning("write-cap", self.name, said).with(update)
            }
        })
    }

    fn time_to_live(&self, found: &Answer<Option<String>>) -> Finding {
        match found {
            Ok(Some(attribute)) if attribute == EXPIRY => {
                self.good("time-to-live", format!("on, by {attribute}"))
            }
            Ok(Some(attribute)) => {
                let said =
                    format!("by {attribute}, and not by {EXPIRY}: nothing of Hookward's expires");
                let todo = format!("turn it off, wait an hour, then: {CREATE}");
                Finding::error("time-to-live", self.name, said, todo)
            }
            Ok(None) => {
                let said = "off: nothing is ever deleted, and storage is paid for for ever";
                Finding::warning("time-to-live", self.name, said).with(CREATE)
            }
            Err(refusal) => self.unseen("time-to-live", refusal),
        }
    }

    fn recovery(&self, found: &Answer<Option<u32>>) -> Finding {
        match found {
            Ok(Some(days)) if *days < RECOVERY_DAYS => {
                let said = format!("for {days} days; {RECOVERY_DAYS} would cost the same");
                self.good("recovery", said)
            }
            Ok(Some(days)) => self.good("recovery", format!("for {days} days")),
            Ok(None) => {
                let said = "off: what is deleted or overwritten by mistake is gone";
                self.missing("recovery", said, CREATE)
            }
            Err(refusal) => self.unseen("recovery", refusal),
        }
    }

    fn deletion_protection(&self, is_on: bool) -> Finding {
        if is_on {
            return self.good("deletion-protection", "on");
        }
        self.missing("deletion-protection", "off: one call deletes every event", CREATE)
    }

    fn encryption(&self, found: &Inspected, wanted: Option<&str>) -> Finding {
        let check = "encryption";
        if found.key_is_lost {
            let todo = "enable the key again: after seven days DynamoDB archives the table";
            return Finding::error(
                check,
                self.name,
                "its KMS key cannot be used: nothing can be read or written",
                todo,
            );
        }
        match (wanted, found.kms_key.as_deref()) {
            (None, None) => self.good(check, "under a key that AWS owns"),
            (None, Some(key)) => {
                let said = format!(
                    "under {key}, which the configuration does not name: the policies leave it out"
                );
                Finding::warning(check, self.name, said).with("write it as `kms_key` in [store]")
            }
            (Some(_), None) if !self.is_amazon => self.missing(check, "not under `kms_key`", ""),
            (Some(wanted), None) => Finding::error(
                check,
                self.name,
                format!("under a key that AWS owns, and not under {wanted}"),
                self.encrypt(wanted),
            ),
            (Some(wanted), Some(key)) if is_same(wanted, key) => {
                self.good(check, format!("under {key}"))
            }
            (Some(wanted), Some(key)) if wanted.contains("alias/") => {
                let said =
                    format!("under {key}; whether {wanted} is an alias of it, only KMS can tell");
                Finding::skipped(check, self.name, said)
            }
            (Some(wanted), Some(key)) => Finding::error(
                check,
                self.name,
                format!("under {key}, and not under {wanted}"),
                self.encrypt(wanted),
            ),
        }
    }

    fn isolation(&self, isolation: &Isolation) -> Option<Finding> {
        let Isolation::Chosen { tag, is_alternator } = isolation else { return None };
        let check = "write-isolation";
        let (found, counts) = match tag {
            Ok(Some(tag)) => return Some(self.tagged(tag)),
            Ok(None) => (format!("the table has no tag {WRITE_ISOLATION}"), "counts"),
            Err(refusal) => {
                (format!("the tag {WRITE_ISOLATION} cannot be read ({refusal})"), "may count")
            }
        };
        let perhaps = if *is_alternator { "" } else { "if this is ScyllaDB Alternator, " };
        let said = format!(
            "{found}: {perhaps}the cluster's alternator_write_isolation {counts}, under which two equal events at once may both be taken for new"
        );
        Some(Finding::warning(check, self.name, said).with(ISOLATE))
    }

    /// What a tag makes of de-duplication, which is a condition on a write. Alternator looks at the first letter.
    fn tagged(&self, tag: &str) -> Finding {
        let check = "write-isolation";
        match tag {
            "a" | "always" | "always_use_lwt" => self.good(check, tag),
            "o" | "only_rmw_uses_lwt" => {
                let said = format!(
                    "{tag}: conditional writes are kept apart from each other, but not from plain writes of the same item"
                );
                Finding::warning(check, self.name, said).with(ISOLATE)
            }
            "f" | "forbid" | "forbid_rmw" => {
                let said =
                    format!("{tag}: conditional writes are refused, so no event can be kept");
                Finding::error(check, self.name, said, ISOLATE)
            }
            _ => {
                let said = format!("{tag}: of two equal events at once, both are taken for new");
                Finding::error(check, self.name, said, ISOLATE)
            }
        }
    }

    fn encrypt(&self, key: &str) -> String {
        format!(
            "aws dynamodb update-table --table-name {} --sse-specification Enabled=true,SSEType=KMS,KMSMasterKeyId={key}",
            self.name
        )
    }
}

/// Whether a configured key is the one with this ARN. An alias is not known to be.
fn is_same(wanted: &str, arn: &str) -> bool {
    wanted == arn || arn.rsplit_once("key/").is_some_and(|(_, id)| id == wanted)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hookward_core::config::Completion;

    use super::*;
    use crate::doctor::finding::Severity::{Error, Good, Skipped, Warning};

    const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1-2-3";

    fn wanted() -> DynamoDb {
        DynamoDb {
            table: "webhooks".to_owned(),
            region: None,
            endpoint: None,
            completion: Completion::Checkpoint,
            node_lease: Duration::from_secs(30),
            journal_delay: Duration::ZERO,
            queue_max: 1,
            kms_key: None,
            large_bodies: None,
            write_units_max: 100,
        }
    }

    fn right() -> Inspected {
        Inspected {
            arn: None,
            status: Status::Active,
            keys: Keys { partition: Some("pk".to_owned()), sort: Some("sk".to_owned()) },
            indexes: 0,
            billing: Billing::OnDemand { write_cap: Some(100) },
            deletion_protection: true,
            kms_key: None,
            key_is_lost: false,
            time_to_live: Ok(Some("x".to_owned())),
            recovery_days: Ok(Some(35)),
            isolation: Isolation::Given,
        }
    }

    /// One thing is not as it should be: only that check says so, here and elsewhere.
    #[track_caller]
    fn check(
        found: &Inspected,
        wanted: &DynamoDb,
        name: &str,
        amazon: Severity,
        elsewhere: Severity,
    ) {
        for (is_amazon, expected) in [(true, amazon), (false, elsewhere)] {
            let findings = judge(found, wanted, is_amazon);
            let severity = |it: &&Finding| it.check == name;
            assert_eq!(
                findings.iter().find(severity).map(|it| it.severity),
                Some(expected),
                "{findings:#?}"
            );
            let others = findings.iter().filter(|it| it.check != name);
            assert!(others.into_iter().all(|it| it.severity == Good), "{findings:#?}");
        }
    }

    #[test]
    fn a_table_as_it_should_be_is_good() {
        for is_amazon in [true, false] {
            let findings = judge(&right(), &wanted(), is_amazon);
            assert!(findings.iter().all(|it| it.severity == Good), "{findings:#?}");
            assert_eq!(findings.len(), 7);
        }
    }

    #[test]
    fn what_is_wrong_is_told_and_only_that() {
        let keys = |sort: Option<&str>| Keys { sort: sort.map(str::to_owned), ..right().keys };
        let denied = || Refusal::Denied("not you".to_owned());
        let unknown = || Refusal::Unsupported(String::new());
        let with = |change: fn(&mut Inspected)| {
            let mut found = right();
            change(&mut found);
            found
        };
        let wanted = wanted();
        check(&with(|it| it.status = Status::Unusable), &wanted, "table", Error, Error);
        check(&Inspected { keys: keys(None), ..right() }, &wanted, "key-schema", Error, Error);
        check(&Inspected { keys: keys(Some("s")), ..right() }, &wanted, "key-schema", Error, Error);
        check(&with(|it| it.indexes = 1), &wanted, "indexes", Warning, Warning);
        check(
            &with(|it| it.billing = Billing::OnDemand { write_cap: None }),
            &wanted,
            "write-cap",
            Warning,
            Warning,
        );
        check(
            &with(|it| it.billing = Billing::OnDemand { write_cap: Some(9) }),
            &wanted,
            "write-cap",
            Warning,
            Warning,
        );
        check(&with(|it| it.time_to_live = Ok(None)), &wanted, "time-to-live", Warning, Warning);
        check(
            &with(|it| it.time_to_live = Ok(Some("ttl".to_owned()))),
            &wanted,
            "time-to-live",
            Error,
            Error,
        );
        check(
            &Inspected { time_to_live: Err(denied()), ..right() },
            &wanted,
            "time-to-live",
            Skipped,
            Skipped,
        );
        check(&with(|it| it.recovery_days = Ok(None)), &wanted, "recovery", Warning, Warning);
        check(&with(|it| it.recovery_days = Ok(Some(7))), &wanted, "recovery", Good, Good);
        check(
            &Inspected { recovery_days: Err(unknown()), ..right() },
            &wanted,
            "recovery",
            Skipped,
            Warning,
        );
        check(
            &with(|it| it.deletion_protection = false),
            &wanted,
            "deletion-protection",
            Warning,
            Warning,
        );
        check(&with(|it| it.key_is_lost = true), &wanted, "encryption", Error, Error);
        let reserved = judge(&with(|it| it.billing = Billing::Provisioned), &wanted, true);
        assert!(reserved.iter().any(|it| it.check == "billing" && it.severity == Warning));
    }

    #[test]
    fn writes_that_are_not_kept_apart_are_told() {
        let chosen = |tag: Answer<Option<&str>>, is_alternator| {
            let isolation =
                Isolation::Chosen { tag: tag.map(|tag| tag.map(str::to_owned)), is_alternator };
            Inspected { isolation, ..right() }
        };
        let check_tag = |tag, expected| {
            check(&chosen(Ok(Some(tag)), true), &wanted(), "write-isolation", expected, expected);
        };
        check_tag("always_use_lwt", Good);
        check_tag("always", Good);
        check_tag("only_rmw_uses_lwt", Warning);
        check_tag("forbid_rmw", Error);
        check_tag("unsafe_rmw", Error);
        check_tag("u", Error);
        check_tag("something new", Error);

        let said = |found: &Inspected| {
            check(found, &wanted(), "write-isolation", Warning, Warning);
            let findings = judge(found, &wanted(), false);
            let finding = findings.into_iter().find(|it| it.check == "write-isolation").unwrap();
            assert!(finding.todo.unwrap().contains("dynamodb create --alternator"));
            finding.found
        };
        let untagged = said(&chosen(Ok(None), true));
        assert!(untagged.contains("no tag") && untagged.contains("alternator_write_isolation"));
        assert!(!untagged.contains("if this is"), "{untagged}");
        assert!(said(&chosen(Ok(None), false)).contains("if this is ScyllaDB Alternator"));
        let denied = Err(Refusal::Denied("not you".to_owned()));
        assert!(said(&chosen(denied, true)).contains("cannot be read (these credentials may not"));
        let unknown = Err(Refusal::Unsupported("no such call".to_owned()));
        assert!(said(&chosen(unknown, false)).contains("not known here: no such call"));
    }

    #[test]
    fn a_key_is_the_one_that_is_wanted_or_it_is_not() {
        let check_key = |configured: Option<&str>, found: Option<&str>, amazon, elsewhere| {
            let wanted = DynamoDb { kms_key: configured.map(str::to_owned), ..wanted() };
            let found = Inspected { kms_key: found.map(str::to_owned), ..right() };
            check(&found, &wanted, "encryption", amazon, elsewhere);
        };
        check_key(Some(KEY), Some(KEY), Good, Good);
        check_key(Some("1-2-3"), Some(KEY), Good, Good);
        check_key(Some("2-3"), Some(KEY), Error, Error);
        check_key(Some("alias/webhooks"), Some(KEY), Skipped, Skipped);
        check_key(Some(KEY), None, Error, Warning);
        check_key(None, Some(KEY), Warning, Warning);
    }
}
