//! Amazon's own DynamoDB Local, and a client that asks it directly.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    config::{Builder, Credentials, Region},
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
        Projection, ProjectionType, ScalarAttributeType,
    },
};
use hookward_store::dynamodb::{self, Options};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::sleep,
};

use super::Result;

/// The index of the design that has one.
pub(super) const INDEX: &str = "queue";

/// DynamoDB Local, as long as this is kept.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) address: SocketAddr,
    _process: Child,
}

impl Engine {
    pub(super) async fn start() -> Result<Self> {
        let folder = installed("dynamodb-local/node_modules/amplify-dynamodb-simulator/emulator")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        // It ends with this process also where that is killed: its standard input ends then.
        let process = Command::new("sh")
            .arg("-c")
            .arg(
                "java -Xmx512m -Djava.library.path=DynamoDBLocal_lib -jar DynamoDBLocal.jar \
                 -inMemory -sharedDb -disableTelemetry -port \"$0\" >/dev/null 2>&1 </dev/null & \
                 engine=$!; read -r _; kill \"$engine\"",
            )
            .arg(port.to_string())
            .current_dir(folder)
            .stdin(Stdio::piped())
            .spawn()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        for _ in 0..1_200 {
            if TcpStream::connect(address).await.is_ok() {
                return Ok(Self { address, _process: process });
            }
            sleep(Duration::from_millis(100)).await;
        }
        Err("DynamoDB Local does not start".into())
    }
}

/// What `scripts/install-tools` installed.
pub(super) fn installed(path: &str) -> Result<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache").join(path);
    if found.exists() {
        Ok(found)
    } else {
        Err(format!("{path} is not installed: run scripts/install-tools").into())
    }
}

/// The client of the gateway, with patience for a busy machine.
pub(super) fn client(endpoint: SocketAddr) -> Client {
    let connection = Builder::new()
        .endpoint_url(format!("http://{endpoint}"))
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("hookward", "secret", None, None, "bench"))
        .http_client(dynamodb::http_client(64));
    let mut options = Options::new("any");
    options.patience.attempt = Duration::from_secs(20);
    options.patience.operation = Duration::from_mins(1);
    dynamodb::client(connection, &options)
}

/// A new table, with a sparse index that has keys only where that is asked for.
pub(super) async fn create_table(client: &Client, name: &str, with_index: bool) -> Result<()> {
    let key =
        |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let text = |name: &str| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
    };
    let mut create = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(text("pk")?)
        .attribute_definitions(text("sk")?)
        .key_schema(key("pk", KeyType::Hash)?)
        .key_schema(key("sk", KeyType::Range)?);
    if with_index {
        let keys_only = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
        let index = GlobalSecondaryIndex::builder()
            .index_name(INDEX)
            .key_schema(key("qp", KeyType::Hash)?)
            .key_schema(key("qs", KeyType::Range)?)
            .projection(keys_only)
            .build()?;
        create = create
            .attribute_definitions(text("qp")?)
            .attribute_definitions(text("qs")?)
            .global_secondary_indexes(index);
    }
    create.send().await?;
    Ok(())
}
