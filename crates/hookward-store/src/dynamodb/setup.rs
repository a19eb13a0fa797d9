//! The table itself, for those who have no `hookward` command at hand: made as plainly as it works, and looked at.
//! `hookward dynamodb create` turns on what else a table should have.

use aws_sdk_dynamodb::{
    Client,
    operation::create_table::CreateTableError,
    types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, PointInTimeRecoveryStatus,
        ScalarAttributeType, SseStatus, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
    },
};
use tokio::time::{Duration, sleep};

use super::{EXPIRES, PK, SK, trouble::Trouble};
use crate::StoreError;

/// How a table is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its status, as DynamoDB names it: `ACTIVE`.
    pub status: String,
    /// Whether DynamoDB deletes what has expired. `None`: it could not be found out.
    pub ttl: Option<bool>,
    /// Whether it is encrypted under a key that AWS does not own. One that AWS owns encrypts every other table.
    pub own_key: bool,
    /// Whether it can be restored. `None`: it could not be found out.
    pub point_in_time_recovery: Option<bool>,
    /// Whether it is protected from being deleted.
    pub deletion_protection: bool,
}

/// How often a table that is not ready is looked at again.
const LOOK: Duration = Duration::from_millis(500);

/// Looks so often at most: five minutes.
const LOOKS_MAX: u32 = 600;

/// Creates the table, on demand and with time to live, and waits until it can be used. `false` when it was there, whatever its
/// settings are.
pub async fn create(client: &Client, table: &str) -> Result<bool, StoreError> {
    const CALL: &str = "CreateTable";
    let incomplete = |_| StoreError::from(Trouble::not_tried("the table has no keys"));
    let mut request =
        client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in [(PK, KeyType::Hash), (SK, KeyType::Range)] {
        let attribute = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S);
        let key = KeySchemaElement::builder().attribute_name(name).key_type(kind);
        request = request
            .attribute_definitions(attribute.build().map_err(incomplete)?)
            .key_schema(key.build().map_err(incomplete)?);
    }
    match request.send().await {
        Ok(_) => {}
        Err(error)
            if error
                .as_service_error()
                .is_some_and(CreateTableError::is_resource_in_use_exception) =>
        {
            return Ok(false);
        }
        Err(error) => return Err(Trouble::of(CALL, error).into()),
    }
    let mut looks = 0;
    while describe(client, table).await?.status != TableStatus::Active.as_str() {
        looks += 1;
        if looks == LOOKS_MAX {
            return Err(Trouble::not_tried("the table does not become active").into());
        }
        sleep(LOOK).await;
    }
    let expiry = TimeToLiveSpecification::builder().enabled(true).attribute_name(EXPIRES);
    let request = client
        .update_time_to_live()
        .table_name(table)
        .time_to_live_specification(expiry.build().map_err(incomplete)?);
    request.send().await.map_err(|error| Trouble::of("UpdateTimeToLive", error))?;
    Ok(true)
}

/// Looks at the table without changing anything.
pub async fn describe(client: &Client, table: &str) -> Result<Description, StoreError> {
    let described = client.describe_table().table_name(table).send().await;
    let described = described.map_err(|error| Trouble::of("DescribeTable", error))?;
    let described = described.table;
    let found = described.as_ref();
    let status = found.and_then(|it| it.table_status()).map_or("UNKNOWN", TableStatus::as_str);
    let encryption = found.and_then(|it| it.sse_description()?.status());
    let (ttl, recovery) = tokio::join!(
        client.describe_time_to_live().table_name(table).send(),
        client.describe_continuous_backups().table_name(table).send()
    );
    let ttl = ttl.ok().map(|it| {
        let status = it.time_to_live_description.and_then(|it| it.time_to_live_status);
        matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling))
    });
    let recovery = recovery.ok().map(|it| {
        let described =
            it.continuous_backups_description.and_then(|it| it.point_in_time_recovery_description);
        let status = described.and_then(|it| it.point_in_time_recovery_status);
        status == Some(PointInTimeRecoveryStatus::Enabled)
    });
    Ok(Description {
        status: status.to_owned(),
        ttl,
        own_key: matches!(encryption, Some(SseStatus::Enabled | SseStatus::Updating)),
        point_in_time_recovery: recovery,
        deletion_protection: found.and_then(|it| it.deletion_protection_enabled) == Some(true),
    })
}
