//! Nodes and tables on DynamoDB Local.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    config::{Builder, Credentials, Region},
    types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType},
};
use hookward_core::Timestamp;
use hookward_store::{
    StoreError,
    dynamodb::{self, Clock, DynamoDb, Options, Patience},
};
use tokio::sync::Notify;

pub(crate) use crate::engine::address;

static TABLES: AtomicU64 = AtomicU64::new(0);

/// Where and as whom the store speaks: DynamoDB Local, or a proxy before it.
pub(crate) fn connection(endpoint: SocketAddr) -> Builder {
    Builder::new()
        .endpoint_url(format!("http://{endpoint}"))
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("hookwardtest", "secret", None, None, "tests"))
        .http_client(dynamodb::http_client(64))
}

/// Calls as long as a busy machine needs: no test is about this patience unless it says so.
pub(crate) fn patient() -> Patience {
    Patience {
        connect: Duration::from_secs(20),
        attempt: Duration::from_secs(20),
        operation: Duration::from_mins(1),
        attempts: 4,
        first_backoff: Duration::from_millis(5),
    }
}

/// A client without a fault on its way, for what a test looks at itself.
pub(crate) fn client() -> Client {
    dynamodb::client(connection(address()), &Options { patience: patient(), ..Options::new("any") })
}

/// A new table.
pub(crate) async fn table() -> String {
    let name = format!("t{}-{}", std::process::id(), TABLES.fetch_add(1, Ordering::Relaxed));
    let key = |name: &str, kind| {
        KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
    };
    let text = |name: &str| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
            .unwrap()
    };
    client()
        .create_table()
        .table_name(&name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(text("pk"))
        .attribute_definitions(text("sk"))
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .send()
        .await
        .unwrap();
    name
}

/// A clock that stands still until a test moves it.
#[derive(Debug, Default)]
pub(crate) struct HandClock {
    now: Mutex<Duration>,
    moved: Notify,
}

impl HandClock {
    pub(crate) fn advance(&self, by: Duration) {
        *self.now.lock().unwrap() += by;
        self.moved.notify_waiters();
    }
}

impl Clock for HandClock {
    fn elapsed(&self) -> Duration {
        *self.now.lock().unwrap()
    }

    fn sleep(&self, time: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let until = self.elapsed() + time;
            loop {
                let mut moved = std::pin::pin!(self.moved.notified());
                moved.as_mut().enable();
                if self.elapsed() >= until {
                    return;
                }
                moved.await;
            }
        })
    }
}

/// Options for a table whose leases end by a test's hand.
pub(crate) fn options(table: &str, clock: &Arc<HandClock>) -> Options {
    let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
    Options { patience: patient(), clock, ..Options::new(table) }
}

/// A node on a table. A machine that stands still for a while is no fault of the store.
pub(crate) async fn node(endpoint: SocketAddr, options: Options, now: Timestamp) -> DynamoDb {
    let client = dynamodb::client(connection(endpoint), &options);
    for _ in 0..5 {
        match DynamoDb::open(client.clone(), options.clone(), now).await {
            Ok(node) => return node,
            Err(StoreError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("DynamoDB Local does not answer");
}

/// Longer than a lease and its margin.
pub(crate) const LAPSE: Duration = Duration::from_secs(36);
