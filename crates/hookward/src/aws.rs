//! Where and as whom AWS is spoken to: what the configuration says, and the environment where it says nothing.

use std::sync::Arc;

use aws_sdk_dynamodb::{Client, config::Builder};
use hookward_core::config;
use hookward_secrets::{self as secrets, aws};
use hookward_server::{Clock as _, SystemClock};
use hookward_store::{
    StoreError,
    dynamodb::{
        self as store, DynamoDb, Options, Reader, WriteBudgets,
        bodies::{Bucket, LargeBodies},
        train::Trainer,
    },
};
use http::Uri;

use crate::{
    dynamodb::advice,
    failure::{Failure, chain},
};

/// Opens the store as a node of its table. One that is not `serving` leaves the work of nodes that are gone to others.
pub(crate) async fn open(
    config: &config::DynamoDb,
    serving: bool,
    write_budgets: Arc<WriteBudgets>,
) -> Result<DynamoDb, Failure> {
    let options = Options { write_budgets, ..options(config, serving) };
    let access = Access::of(config, options.in_flight_max).await?;
    enter(access, config, options).await
}

/// Opens the store as a node that serves, over a way that is found already.
pub(crate) async fn open_over(
    access: Access,
    config: &config::DynamoDb,
) -> Result<DynamoDb, Failure> {
    enter(access, config, options(config, true)).await
}

async fn enter(
    access: Access,
    config: &config::DynamoDb,
    options: Options,
) -> Result<DynamoDb, Failure> {
    let (client, options) = client(access, config, options).await?;
    let opened = DynamoDb::open(client, options, SystemClock::start().now()).await;
    opened.map_err(|error| not_opened(config, error))
}

/// Opens the store for training: as no node of its table.
pub(crate) async fn open_trainer(config: &config::DynamoDb) -> Result<Trainer, Failure> {
    let options = options(config, false);
    let access = Access::of(config, options.in_flight_max).await?;
    let (client, options) = client(access, config, options).await?;
    let opened = Trainer::open(client, options, SystemClock::start().now()).await;
    opened.map_err(|error| not_opened(config, error))
}

/// Opens the store for looking: as no node of its table, and without a write.
pub(crate) async fn open_reader(config: &config::DynamoDb) -> Result<Reader, Failure> {
    let options = options(config, false);
    let access = Access::of(config, options.in_flight_max).await?;
    let (client, options) = client(access, config, options).await?;
    let opened = Reader::open(client, options, SystemClock::start().now()).await;
    opened.map_err(|error| not_opened(config, error))
}

/// A client for the table, and options that have the bucket.
async fn client(
    access: Access,
    config: &config::DynamoDb,
    options: Options,
) -> Result<(Client, Options), Failure> {
    let client = store::client(access.connection, &options);
    let Some(large) = &config.large_bodies else { return Ok((client, options)) };
    let connection = bucket_connection(config).await?;
    let bodies = Arc::new(Bucket::new(connection, &*large.bucket, &options.patience));
    let large_bodies = Some(LargeBodies { bodies, prefix: large.prefix.clone() });
    Ok((client, Options { large_bodies, ..options }))
}

fn not_opened(config: &config::DynamoDb, error: StoreError) -> Failure {
    let wrong = format!("cannot open the store in the DynamoDB table {}", config.table);
    match error {
        // The cause says more than that it is unavailable.
        StoreError::Unavailable(cause) => {
            let cause = chain(&*cause);
            Failure::new(format!("{wrong}: {cause}\n{}", advice::about(&cause)))
        }
        other => Failure::of(wrong, &other),
    }
}

fn options(config: &config::DynamoDb, serving: bool) -> Options {
    let defaults = Options::new(&*config.table);
    Options {
        name: secrets::variable("HOSTNAME").unwrap_or(defaults.name),
        completion: match config.completion {
            config::Completion::Checkpoint => store::Completion::Checkpoint,
            config::Completion::Each => store::Completion::Each,
        },
        lease: config.node_lease,
        journal_delay: config.journal_delay,
        queue_max: config.queue_max,
        takes_over: serving,
        ..defaults
    }
}

/// The way to DynamoDB.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// Region, endpoint, credentials and HTTP client.
    pub connection: Builder,
    /// Where DynamoDB is spoken.
    pub endpoint: String,
}

impl Access {
    pub(crate) async fn of(config: &config::DynamoDb, connections: usize) -> Result<Self, Failure> {
        let configured = config.endpoint.as_ref().map(ToString::to_string);
        let (region, configured) = (config.region.as_deref(), configured.as_deref());
        let (connection, region) =
            aws::table(region, configured, connections).await.map_err(unfit)?;
        let environment = || aws::ENDPOINT_VARIABLES.into_iter().find_map(secrets::variable);
        let endpoint = configured.map(str::to_owned).or_else(environment);
        let endpoint = endpoint.unwrap_or_else(|| amazons_own(region.as_ref()));
        Ok(Self { connection, endpoint })
    }
}

/// The endpoint that Amazon has in a region.
fn amazons_own(region: &str) -> String {
    format!("https://dynamodb.{region}.{}", partition(region).suffix)
}

/// A part of AWS that has nothing in common with the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    /// Its name in ARNs.
    pub name: &'static str,
    /// What the names of its endpoints end with.
    pub suffix: &'static str,
}

/// The part of AWS that a region is in.
pub(crate) fn partition(region: &str) -> Partition {
    let (name, suffix) = if region.starts_with("cn-") {
        ("aws-cn", "amazonaws.com.cn")
    } else if region.starts_with("us-gov-") {
        ("aws-us-gov", "amazonaws.com")
    } else if region.starts_with("eusc-") {
        ("aws-eusc", "amazonaws.eu")
    } else {
        ("aws", "amazonaws.com")
    };
    Partition { name, suffix }
}

/// What the names of Amazon's endpoints end with, in all its parts, also where IPv6 is spoken.
const AMAZON: [&str; 6] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "api.aws",
    "api.amazonwebservices.com.cn",
    "api.amazonwebservices.eu",
];

/// Whether this is an endpoint of Amazon itself, and not of something that speaks its language.
pub(crate) fn is_amazon(endpoint: &str) -> bool {
    let endpoint: Option<Uri> = endpoint.parse().ok();
    let host = endpoint.as_ref().and_then(Uri::host).unwrap_or_default();
    AMAZON.iter().any(|amazon| {
        host.strip_suffix(amazon).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// The way to the bucket of large bodies.
pub(crate) async fn bucket_connection(
    config: &config::DynamoDb,
) -> Result<aws_sdk_s3::config::Builder, Failure> {
    aws::bucket(config.region.as_deref()).await.map_err(unfit)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unfit(wrong: aws::Unfit) -> Failure {
    Failure::config(wrong.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amazon_is_known_by_its_names() {
        let check = |endpoint: &str, expected| {
            assert_eq!(is_amazon(endpoint), expected, "{endpoint}");
        };
        check(&amazons_own("eu-central-1"), true);
        check(&amazons_own("cn-north-1"), true);
        check(&amazons_own("eusc-de-east-1"), true);
        check("https://123456789012.ddb.eu-central-1.amazonaws.com", true);
        check("https://dynamodb.eu-central-1.api.aws", true);
        check("http://127.0.0.1:8000", false);
        check("https://amazonaws.com.example.org", false);
        check("https://notamazonaws.com", false);
    }

    #[test]
    fn a_region_says_which_part_of_aws_it_is_in() {
        let check = |region, name, endpoint: &str| {
            assert_eq!(partition(region).name, name, "{region}");
            assert_eq!(amazons_own(region), endpoint);
        };
        check("eu-central-1", "aws", "https://dynamodb.eu-central-1.amazonaws.com");
        check("cn-north-1", "aws-cn", "https://dynamodb.cn-north-1.amazonaws.com.cn");
        check("us-gov-west-1", "aws-us-gov", "https://dynamodb.us-gov-west-1.amazonaws.com");
        check("eusc-de-east-1", "aws-eusc", "https://dynamodb.eusc-de-east-1.amazonaws.eu");
    }
}
