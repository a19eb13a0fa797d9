//! `hookward dynamodb create`: the table, made and set up.

use std::time::Duration;

use aws_sdk_dynamodb::{
    operation::create_table::builders::CreateTableFluentBuilder,
    types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, OnDemandThroughput,
        PointInTimeRecoverySpecification, ScalarAttributeType, SseSpecification, SseType, Tag,
        TimeToLiveSpecification,
    },
};
use clap::Args;
use hookward_core::config::DynamoDb;
use serde::Serialize;

use super::{
    advice::NO_CREDENTIALS,
    connection::{Connection, Refusal},
    inspect::{Answer, Billing, Inspected, Isolation, Status, WRITE_ISOLATION},
    judge::{is_foreign, judge},
    wanted::{EXPIRY, PARTITION_KEY, RECOVERY_DAYS, SORT_KEY, Wanted},
};
use crate::{
    doctor::finding::{Finding, Severity},
    failure::Failure,
    output::say,
    serve::runtime,
    settings::ConfigFile,
};

/// How often a table that is not ready is looked at again.
const LOOK: Duration = Duration::from_secs(1);

/// Creates the table, and turns on what is off.
///
/// On demand with a cap on write units, time to live, point-in-time recovery, deletion protection and encryption. What is
/// there already is left alone; what differs is said. Run it as often as you like.
#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    file: ConfigFile,
    /// How long to wait until the table is active, in seconds
    #[arg(long, default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    wait: u64,
    /// The table is in ScyllaDB Alternator: its tag says that each write is a lightweight transaction, which
    /// de-duplication needs
    #[arg(long)]
    alternator: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Something that was done, or found done.
#[derive(Clone, Debug, Serialize)]
struct Step {
    what: &'static str,
    done: Done,
    #[serde(skip_serializing_if = "String::is_empty")]
    said: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Done {
    /// It is new.
    Created,
    /// It was off and is on now.
    Set,
    /// It was so before.
    Already,
    /// The endpoint has no such thing.
    Missing,
    /// It did not work.
    Failed,
}

impl Create {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let wanted = Wanted::load(&self.file)?;
        let (steps, findings) = runtime()?.block_on(async {
            let connection = Connection::open(&wanted.store).await?;
            let deadline = Duration::from_secs(self.wait);
            let setting = Setting { connection, wanted: &wanted.store, alternator: self.alternator };
            tokio::time::timeout(deadline, setting.up()).await.unwrap_or_else(|_| {
                Err(Failure::new(format!(
                    "the table is not ready after {} s; run the command again, it goes on where it was",
                    self.wait
                )))
            })
        })?;
        let failed = steps.iter().any(|step| step.done == Done::Failed)
            || findings.iter().any(|it| it.severity == Severity::Error);
        let differs: Vec<_> = findings.iter().filter(|it| it.severity != Severity::Good).collect();
        let said = if self.json {
            say!("{:#}", serde_json::json!({ "ok": !failed, "steps": steps, "differs": differs }))
        } else {
            steps
                .iter()
                .try_for_each(|step| say!("{step}"))
                .and_then(|()| differs.iter().try_for_each(|finding| say!("{finding}")))
        };
        if failed {
            Err(Failure::new("the table is not as the configuration wants it"))
        } else {
            said
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { what, done, said } = self;
        let done = match done {
            Done::Created => "created",
            Done::Set => "set",
            Done::Already => "already",
            Done::Missing => "missing",
            Done::Failed => "FAILED",
        };
        write!(f, "{done:<8}{what}")?;
        if said.is_empty() { Ok(()) } else { write!(f, ": {said}") }
    }
}

/// Creates a table on something that speaks DynamoDB's language and may have less than Amazon.
pub(crate) async fn table(connection: Connection, wanted: &DynamoDb) -> Result<(), Failure> {
    let (steps, _) = Setting { connection, wanted, alternator: false }.up().await?;
    match steps.iter().find(|step| step.done == Done::Failed) {
        Some(step) => Err(Failure::new(format!("cannot set up table {}: {step}", wanted.table))),
        None => Ok(()),
    }
}

struct Setting<'w> {
    connection: Connection,
    wanted: &'w DynamoDb,
    alternator: bool,
}

impl Setting<'_> {
    /// Makes the table, sets it up, and looks at what came of it.
    async fn up(&self) -> Result<(Vec<Step>, Vec<Finding>), Failure> {
        let mut steps = Vec::new();
        let found = match Inspected::look(&self.connection).await {
            Ok(found) => {
                steps.push(step("table", Done::Already, &self.wanted.table));
                found
            }
            Err(Refusal::NotFound) => {
                steps.push(self.create().await?);
                self.active().await?
            }
            Err(refusal) => return Err(self.cannot("look at", &refusal)),
        };
        let found = if found.status == Status::Active { found } else { self.active().await? };
        let verdict = judge(&found, self.wanted, self.connection.is_amazon());
        // Another table's items must not begin to expire.
        if is_foreign(&verdict) {
            return Ok((steps, verdict));
        }
        steps.push(self.time_to_live(&found).await);
        steps.push(self.recovery(&found).await);
        steps.push(self.deletion_protection(&found).await?);
        steps.extend(self.write_cap(&found).await?);
        if self.alternator {
            steps.extend(self.write_isolation(&found).await);
        }
        let found = self.active().await?;
        Ok((steps, judge(&found, self.wanted, self.connection.is_amazon())))
    }

    fn cannot(&self, what: &str, refusal: &Refusal) -> Failure {
        let place = &self.connection.endpoint;
        let todo = match refusal {
            Refusal::Credentials(_) => format!("; {NO_CREDENTIALS}"),
            Refusal::Denied(_) => {
                "; give them the policy of `hookward dynamodb iam --role provisioner`".to_owned()
            }
            Refusal::NotFound
            | Refusal::Unsupported(_)
            | Refusal::Busy(_)
            | Refusal::Invalid(_)
            | Refusal::Condition
            | Refusal::Failed(_) => String::new(),
        };
        Failure::new(format!(
            "cannot {what} table {} at {place}: {refusal}{todo}",
            self.wanted.table
        ))
    }

    async fn create(&self) -> Result<Step, Failure> {
        let refusal = match self.send(self.with_everything()).await {
            Ok(()) => return Ok(step("table", Done::Created, &self.wanted.table)),
            Err(refusal) => refusal,
        };
        // What speaks DynamoDB's language may not know all of its words.
        let plain = matches!(refusal, Refusal::Invalid(_) | Refusal::Unsupported(_));
        if self.connection.is_amazon() || !plain {
            return Err(self.cannot("create", &refusal));
        }
        self.send(self.plain()).await.map_err(|refusal| self.cannot("create", &refusal))?;
        let said =
            format!("{}, without what this endpoint does not have ({refusal})", self.wanted.table);
        Ok(step("table", Done::Created, said))
    }

    async fn send(&self, request: Result<CreateTableFluentBuilder, Refusal>) -> Answer<()> {
        match request?.send().await {
            Ok(_) => Ok(()),
            Err(error) => match Refusal::of(&error) {
                // Somebody else is creating it.
                Refusal::Busy(_) => Ok(()),
                refusal => Err(refusal),
            },
        }
    }

    fn plain(&self) -> Result<CreateTableFluentBuilder, Refusal> {
        let incomplete = |error| Refusal::Invalid(format!("{error}"));
        let attribute = |name| {
            AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S)
                .build()
                .map_err(incomplete)
        };
        let key = |name, kind| {
            KeySchemaElement::builder()
                .attribute_name(name)
                .key_type(kind)
                .build()
                .map_err(incomplete)
        };
        let mut request = self
            .connection
            .client
            .create_table()
            .table_name(&self.wanted.table)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(attribute(PARTITION_KEY)?)
            .attribute_definitions(attribute(SORT_KEY)?)
            .key_schema(key(PARTITION_KEY, KeyType::Hash)?)
            .key_schema(key(SORT_KEY, KeyType::Range)?);
        if self.alternator {
            request = request.tags(isolation_tag().map_err(incomplete)?);
        }
        Ok(request)
    }

    fn with_everything(&self) -> Result<CreateTableFluentBuilder, Refusal> {
        let request =
            self.plain()?.deletion_protection_enabled(true).on_demand_throughput(self.cap());
        // Without it, DynamoDB encrypts under a key that AWS owns.
        Ok(match &self.wanted.kms_key {
            None => request,
            Some(key) => request.sse_specification(
                SseSpecification::builder()
                    .enabled(true)
                    .sse_type(SseType::Kms)
                    .kms_master_key_id(key)
                    .build(),
            ),
        })
    }

    fn cap(&self) -> OnDemandThroughput {
        let cap = i64::from(self.wanted.write_units_max);
        OnDemandThroughput::builder().max_write_request_units(cap).build()
    }

    /// Waits until the table takes requests and changes.
    async fn active(&self) -> Result<Inspected, Failure> {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            match Inspected::look(&self.connection).await {
                Ok(found) if found.status == Status::Active => return Ok(found),
                // A table that was just made may not be known everywhere.
                Ok(_) | Err(Refusal::NotFound | Refusal::Busy(_)) => {}
                Err(refusal) => return Err(self.cannot("look at", &refusal)),
            }
        }
    }

    async fn time_to_live(&self, found: &Inspected) -> Step {
        const WHAT: &str = "time to live";
        if let Ok(Some(attribute)) = &found.time_to_live {
            return step(WHAT, Done::Already, format!("by {attribute}"));
        }
        let specification =
            TimeToLiveSpecification::builder().enabled(true).attribute_name(EXPIRY).build();
        let Ok(specification) = specification else { return step(WHAT, Done::Failed, "") };
        let request = self.connection.client.update_time_to_live();
        let request = request.table_name(&self.wanted.table);
        let sent = request.time_to_live_specification(specification).send().await;
        self.turned_on(
            WHAT,
            format!("by {EXPIRY}"),
            sent.map(drop).map_err(|error| Refusal::of(&error)),
        )
    }

    /// It can be turned on only a while after the table was made.
    async fn recovery(&self, found: &Inspected) -> Step {
        const WHAT: &str = "point-in-time recovery";
        if let Ok(Some(days)) = found.recovery_days {
            return step(WHAT, Done::Already, format!("for {days} days"));
        }
        let days = i32::try_from(RECOVERY_DAYS).unwrap_or(i32::MAX);
        let specification = PointInTimeRecoverySpecification::builder()
            .point_in_time_recovery_enabled(true)
            .recovery_period_in_days(days)
            .build();
        let Ok(specification) = specification else { return step(WHAT, Done::Failed, "") };
        let mut tries = tokio::time::interval(LOOK);
        let sent = loop {
            tries.tick().await;
            let request = self.connection.client.update_continuous_backups();
            let request = request.table_name(&self.wanted.table);
            let sent = request
                .point_in_time_recovery_specification(specification.clone())
                .send()
                .await
                .map(drop)
                .map_err(|error| Refusal::of(&error));
            if !matches!(sent, Err(Refusal::Busy(_))) {
                break sent;
            }
        };
        self.turned_on(WHAT, format!("for {RECOVERY_DAYS} days"), sent)
    }

    async fn deletion_protection(&self, found: &Inspected) -> Result<Step, Failure> {
        const WHAT: &str = "deletion protection";
        if found.deletion_protection {
            return Ok(step(WHAT, Done::Already, ""));
        }
        let request = self.connection.client.update_table().table_name(&self.wanted.table);
        let sent = request.deletion_protection_enabled(true).send().await;
        let sent = sent.map(drop).map_err(|error| Refusal::of(&error));
        self.active().await?;
        Ok(self.turned_on(WHAT, String::new(), sent))
    }

    async fn write_cap(&self, found: &Inspected) -> Result<Option<Step>, Failure> {
        const WHAT: &str = "cap on write units";
        let said = format!("{} a second", self.wanted.write_units_max);
        match found.billing {
            Billing::Provisioned => return Ok(None),
            Billing::OnDemand { write_cap: Some(cap) } => {
                return Ok(Some(step(WHAT, Done::Already, format!("{cap} a second"))));
            }
            Billing::OnDemand { write_cap: None } => {}
        }
        let request = self.connection.client.update_table().table_name(&self.wanted.table);
        let sent = request.on_demand_throughput(self.cap()).send().await;
        let sent = sent.map(drop).map_err(|error| Refusal::of(&error));
        self.active().await?;
        Ok(Some(self.turned_on(WHAT, said, sent)))
    }

    /// A table that was there before may have no tag, or another one: what is asked for by a flag of its own is done.
    /// `None` where nothing can be chosen.
    async fn write_isolation(&self, found: &Inspected) -> Option<Step> {
        const WHAT: &str = "write isolation";
        let Isolation::Chosen { tag, .. } = &found.isolation else { return None };
        let before = match tag {
            Ok(Some(tag)) if tag.starts_with('a') => {
                return Some(step(WHAT, Done::Already, tag.as_str()));
            }
            Ok(Some(tag)) => format!(", and no more {tag}"),
            // Whoever may not read tags may perhaps set them.
            Ok(None) | Err(_) => String::new(),
        };
        let (Some(arn), Ok(tag)) = (&found.arn, isolation_tag()) else {
            return Some(step(WHAT, Done::Failed, "the table has no ARN to set its tag by"));
        };
        let sent = self.connection.client.tag_resource().resource_arn(arn).tags(tag).send().await;
        Some(match sent.map(drop).map_err(|error| Refusal::of(&error)) {
            Ok(()) => step(WHAT, Done::Set, format!("{ISOLATED}{before}")),
            Err(refusal) => step(
                WHAT,
                Done::Failed,
                format!("{refusal}; set the table's tag {WRITE_ISOLATION} to {ISOLATED} yourself"),
            ),
        })
    }

    fn turned_on(&self, what: &'static str, said: String, sent: Answer<()>) -> Step {
        match sent {
            Ok(()) => step(what, Done::Set, said),
            Err(Refusal::Unsupported(_) | Refusal::Invalid(_)) if !self.connection.is_amazon() => {
                step(what, Done::Missing, "this endpoint does not have it")
            }
            Err(refusal) => step(what, Done::Failed, refusal.to_string()),
        }
    }
}

/// Each write of an item is kept apart from all others.
const ISOLATED: &str = "always_use_lwt";

fn isolation_tag() -> Result<Tag, aws_sdk_dynamodb::error::BuildError> {
    Tag::builder().key(WRITE_ISOLATION).value(ISOLATED).build()
}

fn step(what: &'static str, done: Done, said: impl Into<String>) -> Step {
    Step { what, done, said: said.into() }
}
