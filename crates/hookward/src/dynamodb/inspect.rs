//! How a table is set up, read without changing anything.

use aws_sdk_dynamodb::types::{
    BillingMode, KeyType, OnDemandThroughput, PointInTimeRecoveryStatus, ScalarAttributeType,
    TableDescription, TableStatus, TimeToLiveStatus,
};

use super::connection::{Connection, Refusal};

/// What was found out about one thing.
pub(crate) type Answer<T> = Result<T, Refusal>;

/// A table as it is.
#[derive(Clone, Debug)]
pub(crate) struct Inspected {
    pub arn: Option<String>,
    pub status: Status,
    pub keys: Keys,
    pub indexes: usize,
    pub billing: Billing,
    pub deletion_protection: bool,
    /// The key of the customer's, or of the account's, that it is encrypted under. `None`: one that AWS owns.
    pub kms_key: Option<String>,
    /// Whether that key cannot be used any more.
    pub key_is_lost: bool,
    /// The attribute that says when an item may go.
    pub time_to_live: Answer<Option<String>>,
    /// For how many days it can be restored; `None`: it cannot.
    pub recovery_days: Answer<Option<u32>>,
    pub isolation: Isolation,
}

/// How two writes of one item at once are kept apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Always, and there is nothing to choose: in Amazon's DynamoDB, and in DynamoDB Local.
    Given,
    /// As ScyllaDB Alternator is told by the table's tag [`WRITE_ISOLATION`]; without one, its configuration tells it.
    Chosen {
        tag: Answer<Option<String>>,
        /// Whether it is known to be Alternator. Otherwise it may be anything that speaks DynamoDB's language.
        is_alternator: bool,
    },
}

/// The tag that tells ScyllaDB Alternator how writes are kept apart.
pub(crate) const WRITE_ISOLATION: &str = "system:write_isolation";

/// How the ARNs of tables begin in ScyllaDB Alternator, and in DynamoDB Local.
const ALTERNATOR: &str = "arn:scylla:alternator:";
const DYNAMODB_LOCAL: &str = "arn:aws:dynamodb:ddblocal:";

/// The attributes that a table is keyed by, both of them texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keys {
    pub partition: Option<String>,
    pub sort: Option<String>,
}

/// Whether a table can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Takes requests, and changes of how it is set up.
    Active,
    /// Takes requests, while how it is set up is being changed.
    Updating,
    /// Being made, deleted or archived, or without its key.
    Unusable,
}

/// How units are paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Billing {
    /// By use, with this cap on write units a second.
    OnDemand { write_cap: Option<u64> },
    /// Units that are reserved.
    Provisioned,
}

impl Inspected {
    /// Looks at the table. An error where the table itself cannot be looked at.
    pub(crate) async fn look(connection: &Connection) -> Answer<Self> {
        let Connection { client, table, .. } = connection;
        let described = client.describe_table().table_name(table).send().await;
        let described = described.map_err(|error| Refusal::of(&error))?;
        let Some(described) = described.table else {
            return Err(Refusal::Failed("an answer without a table".to_owned()));
        };
        let found = Self::of(&described);
        let (time_to_live, recovery_days, isolation) = tokio::join!(
            time_to_live(connection),
            recovery_days(connection),
            Box::pin(isolation(connection, found.arn.as_deref()))
        );
        Ok(Self { time_to_live, recovery_days, isolation, ..found })
    }

    fn of(table: &TableDescription) -> Self {
        let text = |name: &str| {
            let is_this = |it: &&aws_sdk_dynamodb::types::AttributeDefinition| {
                it.attribute_name() == name && *it.attribute_type() == ScalarAttributeType::S
            };
            table.attribute_definitions().iter().any(|it| is_this(&it)).then(|| name.to_owned())
        };
        let key = |kind: &KeyType| {
            let keys = table.key_schema().iter();
            keys.filter(|it| it.key_type() == kind).find_map(|it| text(it.attribute_name()))
        };
        let by_use = table
            .billing_mode_summary()
            .and_then(aws_sdk_dynamodb::types::BillingModeSummary::billing_mode)
            == Some(&BillingMode::PayPerRequest);
        let cap =
            table.on_demand_throughput().and_then(OnDemandThroughput::max_write_request_units);
        let billing = if by_use {
            // -1 is what a cap that was taken away is told as.
            Billing::OnDemand { write_cap: cap.and_then(|cap| u64::try_from(cap).ok()) }
        } else {
            Billing::Provisioned
        };
        let encryption = table.sse_description();
        Self {
            arn: table.table_arn().map(str::to_owned),
            status: match table.table_status() {
                Some(TableStatus::Active) => Status::Active,
                Some(TableStatus::Updating) => Status::Updating,
                _ => Status::Unusable,
            },
            keys: Keys { partition: key(&KeyType::Hash), sort: key(&KeyType::Range) },
            indexes: table.global_secondary_indexes().len() + table.local_secondary_indexes().len(),
            billing,
            deletion_protection: table.deletion_protection_enabled() == Some(true),
            kms_key: encryption.and_then(|it| it.kms_master_key_arn()).map(str::to_owned),
            key_is_lost: encryption
                .is_some_and(|it| it.inaccessible_encryption_date_time().is_some()),
            time_to_live: Ok(None),
            recovery_days: Ok(None),
            isolation: Isolation::Given,
        }
    }
}

async fn time_to_live(connection: &Connection) -> Answer<Option<String>> {
    let Connection { client, table, .. } = connection;
    let answer = client.describe_time_to_live().table_name(table).send().await;
    let answer = answer.map_err(|error| Refusal::of(&error))?;
    let Some(described) = answer.time_to_live_description else { return Ok(None) };
    let is_on = matches!(
        described.time_to_live_status(),
        Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
    );
    Ok(described.attribute_name.filter(|_| is_on))
}

async fn recovery_days(connection: &Connection) -> Answer<Option<u32>> {
    let Connection { client, table, .. } = connection;
    let answer = client.describe_continuous_backups().table_name(table).send().await;
    let answer = answer.map_err(|error| Refusal::of(&error))?;
    let described =
        answer.continuous_backups_description.and_then(|it| it.point_in_time_recovery_description);
    let Some(described) = described else { return Ok(None) };
    let is_on =
        described.point_in_time_recovery_status() == Some(&PointInTimeRecoveryStatus::Enabled);
    // An answer from before the period could be chosen does not have it: it was the longest.
    let days = described.recovery_period_in_days().and_then(|days| u32::try_from(days).ok());
    Ok(is_on.then(|| days.unwrap_or(super::wanted::RECOVERY_DAYS)))
}

async fn isolation(connection: &Connection, arn: Option<&str>) -> Isolation {
    let begins = |with: &str| arn.is_some_and(|arn| arn.starts_with(with));
    if connection.is_amazon() || begins(DYNAMODB_LOCAL) {
        return Isolation::Given;
    }
    Isolation::Chosen {
        tag: isolation_tag(connection, arn).await,
        is_alternator: begins(ALTERNATOR),
    }
}

async fn isolation_tag(connection: &Connection, arn: Option<&str>) -> Answer<Option<String>> {
    let Some(arn) = arn else {
        return Err(Refusal::Failed("the table has no ARN to ask for its tags by".to_owned()));
    };
    let mut next = None;
    loop {
        let request = connection.client.list_tags_of_resource().resource_arn(arn);
        let answer = request.set_next_token(next).send().await;
        let answer = answer.map_err(|error| Refusal::of(&error))?;
        if let Some(tag) = answer.tags().iter().find(|tag| tag.key() == WRITE_ISOLATION) {
            return Ok(Some(tag.value().to_owned()));
        }
        next = answer.next_token;
        if next.is_none() {
            return Ok(None);
        }
    }
}
