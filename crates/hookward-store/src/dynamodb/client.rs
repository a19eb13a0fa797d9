//! A client of DynamoDB that gives up before a sender does.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    config::{
        BehaviorVersion, Builder, SharedHttpClient, StalledStreamProtectionConfig,
        retry::{RetryConfig, RetryPartition, TokenBucket},
        timeout::TimeoutConfig,
    },
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use super::options::{Options, Patience};

/// A connection that idles so long is closed before the other side does it in the middle of a request.
const IDLE_MAX: Duration = Duration::from_secs(15);

/// No backoff is longer; all of them fit into [`Patience::operation`] anyhow.
const BACKOFF_MAX: Duration = Duration::from_millis(400);

/// How many retries may be on their way before further failures are not tried again: a store that is down is not hammered.
const RETRY_TOKENS: usize = 2_000;

/// The HTTP client for AWS, also for whatever finds the credentials: rustls over ring, as everywhere else.
pub fn http_client(connections_max: usize) -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(connections_max)
        .build_https()
}

/// A client with this store's patience. `connection` says where and as whom: region, endpoint, credentials, HTTP client.
pub fn client(connection: Builder, options: &Options) -> Client {
    patient_client(connection, &options.patience)
}

/// The same with a patience of one's own.
pub fn patient_client(connection: Builder, patience: &Patience) -> Client {
    let Patience { connect, attempt, operation, attempts, first_backoff } = *patience;
    let retry = RetryConfig::standard()
        .with_max_attempts(attempts)
        .with_initial_backoff(first_backoff)
        .with_max_backoff(BACKOFF_MAX);
    let timeout = TimeoutConfig::builder()
        .connect_timeout(connect)
        .read_timeout(attempt)
        .operation_attempt_timeout(attempt)
        .operation_timeout(operation)
        .build();
    let partition =
        RetryPartition::custom("hookward").token_bucket(TokenBucket::new(RETRY_TOKENS)).build();
    let config = connection
        .behavior_version(BehaviorVersion::v2026_01_12())
        .retry_config(retry)
        .retry_partition(partition)
        .timeout_config(timeout)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    Client::from_conf(config)
}
