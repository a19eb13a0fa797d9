//! A DynamoDB store, as the configuration and the environment say where and as whom.

use std::{net::IpAddr, sync::Arc};

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::{
    Client,
    config::{Builder, Region},
};
use hookward_core::config;
use hookward_server::{Clock as _, SystemClock};
use hookward_store::{
    StoreError,
    dynamodb::{
        self, DynamoDb, Options,
        bodies::{Bucket, LargeBodies},
        train::Trainer,
    },
};
use http::Uri;

use crate::{failure::Failure, secrets};

/// Connections to S3 that are kept: large bodies are few.
const BUCKET_CONNECTIONS: usize = 16;

/// Opens the store as a node of its table. One that is not `serving` leaves the work of nodes that are gone to others.
pub(crate) async fn open(config: &config::DynamoDb, serving: bool) -> Result<DynamoDb, Failure> {
    let (client, options) = client(config, options(config, serving)).await?;
    let opened = DynamoDb::open(client, options, SystemClock::start().now()).await;
    opened.map_err(|error| not_opened(config, error))
}

/// Opens the store for training: as no node of its table.
pub(crate) async fn open_trainer(config: &config::DynamoDb) -> Result<Trainer, Failure> {
    let (client, options) = client(config, options(config, false)).await?;
    let opened = Trainer::open(client, options, SystemClock::start().now()).await;
    opened.map_err(|error| not_opened(config, error))
}

/// A client for the table, and options that have the bucket.
async fn client(config: &config::DynamoDb, options: Options) -> Result<(Client, Options), Failure> {
    let connection = connection(config, options.in_flight_max).await?;
    let client = dynamodb::client(connection, &options);
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
        StoreError::Unavailable(cause) => Failure::new(format!("{wrong}: {cause}")),
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

/// Region, endpoint and credentials: what the file says, and otherwise what the AWS SDK finds in the environment.
pub(crate) async fn connection(
    config: &config::DynamoDb,
    connections: usize,
) -> Result<Builder, Failure> {
    let shared = found(config, connections).await?;
    let mut connection = Builder::from(&shared);
    if let Some(endpoint) = &config.endpoint {
        connection = connection.endpoint_url(endpoint.to_string());
    } else {
        ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"].into_iter().try_for_each(encrypted)?;
    }
    Ok(connection)
}

/// The same for the bucket of large bodies, except that only the environment says where S3 is.
pub(crate) async fn bucket_connection(
    config: &config::DynamoDb,
) -> Result<aws_sdk_s3::config::Builder, Failure> {
    let shared = found(config, BUCKET_CONNECTIONS).await?;
    let variables = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
    variables.into_iter().try_for_each(encrypted)?;
    // What is not Amazon's own seldom has a name for each bucket.
    let elsewhere = variables.into_iter().any(|variable| secrets::variable(variable).is_some());
    Ok(aws_sdk_s3::config::Builder::from(&shared).force_path_style(elsewhere))
}

/// What the AWS SDK finds in the environment, in the region that the file says.
async fn found(
    config: &config::DynamoDb,
    connections: usize,
) -> Result<aws_config::SdkConfig, Failure> {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(dynamodb::http_client(connections));
    if let Some(region) = &config.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let shared = loader.load().await;
    if shared.region().is_none() {
        return Err(Failure::config(
            "no AWS region: write `region` into [store], or set AWS_REGION",
        ));
    }
    Ok(shared)
}

/// What the file may not say, the environment may not say either: see `endpoint` in the configuration.
fn encrypted(variable: &str) -> Result<(), Failure> {
    let Some(url) = secrets::variable(variable) else { return Ok(()) };
    if is_plain_to_another_machine(&url) {
        return Err(Failure::config(format!(
            "{variable}: plain http to another machine would show every event to the network; use https"
        )));
    }
    Ok(())
}

fn is_plain_to_another_machine(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else { return false };
    let host = url.host().unwrap_or_default();
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_here = literal == "localhost"
        || literal.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    url.scheme_str() == Some("http") && !is_here
}

#[cfg(test)]
mod tests {
    use super::*;

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
