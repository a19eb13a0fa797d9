//! A connection to DynamoDB for what is done once: setting up and looking.

use std::{fmt, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, retry::RetryConfig, timeout::TimeoutConfig},
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
};
use hookward_core::config::DynamoDb;

use crate::{aws, failure::Failure, secrets};

/// A call may take so long with all its tries: a person waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One try may take so long.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(6);

/// A person does one thing at a time.
const CONNECTIONS: usize = 4;

/// DynamoDB, as the configuration and the environment say where and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub client: Client,
    pub table: String,
    /// Where DynamoDB is spoken.
    pub endpoint: String,
}

impl Connection {
    pub(crate) async fn open(store: &DynamoDb) -> Result<Self, Failure> {
        let config = aws::connection(store, CONNECTIONS).await?;
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(PATIENCE)
            .build();
        let config = config
            .behavior_version(BehaviorVersion::v2026_01_12())
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(timeouts)
            .build();
        let written = store.endpoint.as_ref().map(ToString::to_string);
        let environment = || secrets::variable("AWS_ENDPOINT_URL_DYNAMODB");
        let for_all = || secrets::variable("AWS_ENDPOINT_URL");
        let amazon = config.region().map(|region| amazons_own(region.as_ref()));
        let endpoint = written.or_else(environment).or_else(for_all).or(amazon).unwrap_or_default();
        Ok(Self { client: Client::from_conf(config), table: store.table.clone(), endpoint })
    }

    /// Whether this is Amazon itself, and not something that speaks its language.
    pub(crate) fn is_amazon(&self) -> bool {
        let endpoint: Option<http::Uri> = self.endpoint.parse().ok();
        let host = endpoint.as_ref().and_then(http::Uri::host).unwrap_or_default();
        ["amazonaws.com", "amazonaws.com.cn", "api.aws"].iter().any(|amazon| {
            host.strip_suffix(amazon).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }
}

/// The endpoint that Amazon has in a region.
fn amazons_own(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://dynamodb.{region}.amazonaws.com{suffix}")
}

/// Why a call did nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such table.
    NotFound,
    /// These credentials may not.
    Denied(String),
    /// There are no credentials, or they are not taken.
    Credentials(String),
    /// What is asked does not know this call.
    Unsupported(String),
    /// Another change of the table is under way, or something is not ready yet: a little later it may work.
    Busy(String),
    /// The request is not what can be done.
    Invalid(String),
    /// A condition was not true.
    Condition,
    /// Nobody answers, or with a failure.
    Failed(String),
}

impl Refusal {
    pub(crate) fn of<E>(error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let said = error.message().unwrap_or_default().to_owned();
        match error.code() {
            Some("ResourceNotFoundException" | "TableNotFoundException") => Self::NotFound,
            Some("AccessDeniedException" | "AccessDenied") => Self::Denied(said),
            Some(
                code @ ("ExpiredTokenException"
                | "IncompleteSignatureException"
                | "InvalidSignatureException"
                | "MissingAuthenticationTokenException"
                | "UnrecognizedClientException"),
            ) => Self::Credentials(format!("{code}: {said}")),
            Some("UnknownOperationException") => Self::Unsupported(said),
            Some(
                "ResourceInUseException"
                | "LimitExceededException"
                | "ContinuousBackupsUnavailableException"
                | "TableInUseException",
            ) => Self::Busy(said),
            Some("ValidationException") => Self::Invalid(said),
            Some("ConditionalCheckFailedException") => Self::Condition,
            Some(code) => Self::Failed(format!("{code}: {said}")),
            None => {
                let told = DisplayErrorContext(error).to_string();
                if told.contains("credentials") {
                    Self::Credentials(told)
                } else {
                    Self::Failed(told)
                }
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("there is no such table"),
            Self::Denied(said) => write!(f, "these credentials may not: {said}"),
            Self::Credentials(said) => {
                write!(f, "the credentials are missing or not taken: {said}")
            }
            Self::Unsupported(said) => write!(f, "not known here: {said}"),
            Self::Busy(said) => write!(f, "not now: {said}"),
            Self::Invalid(said) => write!(f, "not possible: {said}"),
            Self::Condition => f.write_str("the condition was not true"),
            Self::Failed(said) => f.write_str(said),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn amazon_is_known_by_its_names() {
        let check = |endpoint: &str, expected| {
            let config = aws_sdk_dynamodb::Config::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .build();
            let connection = Connection {
                client: Client::from_conf(config),
                table: String::new(),
                endpoint: endpoint.to_owned(),
            };
            assert_eq!(connection.is_amazon(), expected, "{endpoint}");
        };
        check(&amazons_own("eu-central-1"), true);
        check(&amazons_own("cn-north-1"), true);
        check("https://123456789012.ddb.eu-central-1.amazonaws.com", true);
        check("https://dynamodb.eu-central-1.api.aws", true);
        check("http://127.0.0.1:8000", false);
        check("https://amazonaws.com.example.org", false);
        check("https://notamazonaws.com", false);
    }
}
