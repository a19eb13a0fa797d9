//! A connection to DynamoDB for what is done once: setting up and looking.

use std::{fmt, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
};
use hookward_core::config::DynamoDb;

use crate::{
    aws::{self, Access},
    failure::{Failure, chain},
};

/// A call may take so long with all its tries: a person waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One try may take so long.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(6);

/// A person does one thing at a time.
const CONNECTIONS: usize = 4;

/// A table, and a client that waits as a person does.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub client: Client,
    pub table: String,
    /// Where DynamoDB is spoken.
    pub endpoint: String,
}

impl Connection {
    pub(crate) async fn open(store: &DynamoDb) -> Result<Self, Failure> {
        Ok(Self::over(Access::of(store, CONNECTIONS).await?, store))
    }

    /// Over a way that is found already.
    pub(crate) fn over(access: Access, store: &DynamoDb) -> Self {
        let Access { connection, endpoint } = access;
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(PATIENCE)
            .build();
        let config = connection
            .behavior_version(BehaviorVersion::v2026_01_12())
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(timeouts)
            .build();
        Self { client: Client::from_conf(config), table: store.table.clone(), endpoint }
    }

    /// Whether this is Amazon itself, and not something that speaks its language.
    pub(crate) fn is_amazon(&self) -> bool {
        aws::is_amazon(&self.endpoint)
    }
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
                let told = chain(error);
                if told.contains("credential") {
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
