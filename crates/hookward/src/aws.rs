//! Where and as whom AWS is spoken to: what the configuration says, and the environment where it says nothing.

use std::{net::IpAddr, sync::Arc, time::Duration};

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::{
    Client,
    config::{Builder, Region, retry::RetryConfig, timeout::TimeoutConfig},
};
use hookward_core::{config, limits};
use hookward_server::{Clock as _, SystemClock};
use hookward_store::{
    StoreError,
    dynamodb::{
        self, DynamoDb, Options, WriteBudgets,
        bodies::{Bucket, LargeBodies},
        train::Trainer,
    },
};
use http::Uri;

use crate::{failure::Failure, secrets};

/// Connections to S3 that are kept: large bodies are few.
const BUCKET_CONNECTIONS: usize = 16;

/// Connections for secrets: one for each that is asked for at once.
const SECRET_CONNECTIONS: usize = 8;

/// One try for a secret may take so long.
const SECRET_ATTEMPT: Duration = Duration::from_secs(3);

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

/// A client for the table, and options that have the bucket.
async fn client(
    access: Access,
    config: &config::DynamoDb,
    options: Options,
) -> Result<(Client, Options), Failure> {
    let client = dynamodb::client(access.connection, &options);
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
        StoreError::Unavailable(cause) => Failure::new(format!(
            "{wrong}: {cause}\n`hookward doctor` looks at credentials, endpoint and table; `hookward dynamodb create` makes the table"
        )),
        other => Failure::of(wrong, &other),
    }
}

fn options(config: &config::DynamoDb, serving: bool) -> Options {
    let defaults = Options::new(&*config.table);
    Options {
        name: secrets::variable("HOSTNAME").unwrap_or(defaults.name),
        completion: match config.completion {
            config::Completion::Checkpoint => dynamodb::Completion::Checkpoint,
            config::Completion::Each => dynamodb::Completion::Each,
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
        let (shared, region) = found(config, connections).await?;
        let mut connection = Builder::from(&shared);
        let endpoint = if let Some(endpoint) = &config.endpoint {
            connection = connection.endpoint_url(endpoint.to_string());
            endpoint.to_string()
        } else {
            let events = |variable| encrypted(variable, "event");
            ENDPOINT_VARIABLES.into_iter().try_for_each(events)?;
            let environment = ENDPOINT_VARIABLES.into_iter().find_map(secrets::variable);
            environment.unwrap_or_else(|| amazons_own(region.as_ref()))
        };
        Ok(Self { connection, endpoint })
    }
}

/// Where the environment says where DynamoDB is spoken. The first one that is set counts.
pub(crate) const ENDPOINT_VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"];

/// The endpoint that Amazon has in a region.
fn amazons_own(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://dynamodb.{region}.amazonaws.com{suffix}")
}

/// Whether this is an endpoint of Amazon itself, and not of something that speaks its language.
pub(crate) fn is_amazon(endpoint: &str) -> bool {
    let endpoint: Option<Uri> = endpoint.parse().ok();
    let host = endpoint.as_ref().and_then(Uri::host).unwrap_or_default();
    ["amazonaws.com", "amazonaws.com.cn", "api.aws"].iter().any(|amazon| {
        host.strip_suffix(amazon).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// The way to the bucket of large bodies. Only the environment says where S3 is, if not at Amazon.
pub(crate) async fn bucket_connection(
    config: &config::DynamoDb,
) -> Result<aws_sdk_s3::config::Builder, Failure> {
    let (shared, _) = found(config, BUCKET_CONNECTIONS).await?;
    let variables = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
    variables.into_iter().try_for_each(|variable| encrypted(variable, "event"))?;
    // What is not Amazon's own seldom has a name for each bucket.
    let elsewhere = variables.into_iter().any(|variable| secrets::variable(variable).is_some());
    Ok(aws_sdk_s3::config::Builder::from(&shared).force_path_style(elsewhere))
}

/// Clients for secrets, with the patience of who waits for a gateway to start.
#[derive(Debug)]
pub(crate) struct SecretClients {
    pub secrets: aws_sdk_secretsmanager::Client,
    pub parameters: aws_sdk_ssm::Client,
    /// Whether a region is known without being named.
    pub has_region: bool,
}

/// The way to secrets, `region` being the one of those that name none. Only the environment says where they are, if not at Amazon.
pub(crate) async fn secret_clients(region: Option<&str>) -> Result<SecretClients, Failure> {
    const VARIABLES: [&str; 3] =
        ["AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL"];
    VARIABLES.into_iter().try_for_each(|variable| encrypted(variable, "secret"))?;
    let shared = environment(region, SECRET_CONNECTIONS).await;
    let retry = RetryConfig::standard().with_max_attempts(3);
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(SECRET_ATTEMPT)
        .operation_timeout(limits::SECRETS_TIMEOUT)
        .build();
    let secrets = aws_sdk_secretsmanager::config::Builder::from(&shared)
        .retry_config(retry.clone())
        .timeout_config(timeouts.clone());
    let parameters =
        aws_sdk_ssm::config::Builder::from(&shared).retry_config(retry).timeout_config(timeouts);
    Ok(SecretClients {
        secrets: aws_sdk_secretsmanager::Client::from_conf(secrets.build()),
        parameters: aws_sdk_ssm::Client::from_conf(parameters.build()),
        has_region: shared.region().is_some(),
    })
}

/// What the AWS SDK finds in the environment, in this region if it is said.
async fn environment(region: Option<&str>, connections: usize) -> aws_config::SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(dynamodb::http_client(connections));
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    loader.load().await
}

/// What the AWS SDK finds in the environment, in the region that the file says.
async fn found(
    config: &config::DynamoDb,
    connections: usize,
) -> Result<(aws_config::SdkConfig, Region), Failure> {
    let shared = environment(config.region.as_deref(), connections).await;
    match shared.region().cloned() {
        Some(region) => Ok((shared, region)),
        None => {
            Err(Failure::config("no AWS region: write `region` into [store], or set AWS_REGION"))
        }
    }
}

/// What the file may not say, the environment may not say either: see `endpoint` in the configuration.
fn encrypted(variable: &str, shown: &str) -> Result<(), Failure> {
    let Some(url) = secrets::variable(variable) else { return Ok(()) };
    if is_plain_to_another_machine(&url) {
        return Err(Failure::config(format!(
            "{variable}: plain http to another machine would show every {shown} to the network; use https"
        )));
    }
    Ok(())
}

fn is_plain_to_another_machine(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else { return false };
    url.scheme_str() == Some("http") && !is_here(&url)
}

/// Whether this machine is meant.
pub(crate) fn is_here(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    literal == "localhost" || literal.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
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
        check("https://123456789012.ddb.eu-central-1.amazonaws.com", true);
        check("https://dynamodb.eu-central-1.api.aws", true);
        check("http://127.0.0.1:8000", false);
        check("https://amazonaws.com.example.org", false);
        check("https://notamazonaws.com", false);
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        for (url, is_refused) in [
            ("http://127.0.0.1:8000", false),
            ("http://localhost:8000", false),
            ("http://[::1]:8000", false),
            ("https://dynamodb.eu-central-1.amazonaws.com", false),
            ("http://10.0.0.1:8000", true),
            ("http://alternator:8000", true),
        ] {
            assert_eq!(is_plain_to_another_machine(url), is_refused, "{url}");
        }
    }
}
