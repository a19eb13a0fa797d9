//! Why a call to DynamoDB failed, in words that say what to do about it.

use std::{error::Error, sync::Arc};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::StoreError;

/// A call that failed. Whether a write took place is not known, unless it was refused.
#[derive(Debug, thiserror::Error)]
#[error("{call}: {kind}")]
pub(crate) struct Trouble {
    /// Which call.
    pub(crate) call: &'static str,
    pub(crate) kind: TroubleKind,
}

/// What kind of failure it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TroubleKind {
    /// With the reasons that DynamoDB gives, such as `TableWriteMaxOnDemandThroughputExceeded`.
    #[error("DynamoDB throttles: {}", .0.join(", "))]
    Throttled(Vec<String>),
    #[error("DynamoDB did not answer in time")]
    TimedOut,
    #[error("DynamoDB cannot be reached: {0}")]
    Unreachable(String),
    /// Access, credentials, or a table that is not there: a person must act.
    #[error("DynamoDB refuses: {0}")]
    Refused(String),
    #[error("DynamoDB failed: {0}")]
    Failed(String),
    /// Not asked: too much is on its way already, or this node may not speak for its events.
    #[error("{0}")]
    NotTried(&'static str),
}

/// Codes of errors that trying again does not mend.
const REFUSALS: &[&str] = &[
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "ResourceNotFoundException",
    "UnrecognizedClientException",
    "ValidationException",
];

impl Trouble {
    pub(crate) fn of<E>(call: &'static str, error: SdkError<E>) -> Self
    where
        E: Error + Send + Sync + 'static,
        SdkError<E>: Into<aws_sdk_dynamodb::Error>,
    {
        Self { call, kind: TroubleKind::of(error) }
    }

    pub(crate) const fn not_tried(why: &'static str) -> Self {
        Self { call: "not asked", kind: TroubleKind::NotTried(why) }
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        Self::Unavailable(Arc::new(trouble))
    }
}

impl From<Arc<Trouble>> for StoreError {
    fn from(trouble: Arc<Trouble>) -> Self {
        Self::Unavailable(trouble)
    }
}

/// An error and what caused it, each in its own words.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    told
}

impl TroubleKind {
    fn of<E>(error: SdkError<E>) -> Self
    where
        E: Error + Send + Sync + 'static,
        SdkError<E>: Into<aws_sdk_dynamodb::Error>,
    {
        if let SdkError::TimeoutError(_) = &error {
            return Self::TimedOut;
        }
        if let SdkError::DispatchFailure(failure) = &error {
            let told = chain(&error);
            return if failure.is_timeout() {
                Self::TimedOut
            } else if told.contains("credential") {
                Self::Refused(format!("there are no credentials: {told}"))
            } else {
                Self::Unreachable(told)
            };
        }
        if let SdkError::ConstructionFailure(_) = &error {
            return Self::Refused(chain(&error));
        }
        let error = error.into();
        let code = error.code().unwrap_or("an answer that is none").to_owned();
        let reasons = if let aws_sdk_dynamodb::Error::ThrottlingException(it) = &error {
            it.throttling_reasons()
        } else if let aws_sdk_dynamodb::Error::ProvisionedThroughputExceededException(it) = &error {
            it.throttling_reasons()
        } else if let aws_sdk_dynamodb::Error::RequestLimitExceeded(it) = &error {
            it.throttling_reasons()
        } else if REFUSALS.contains(&&*code) {
            let message = error.message().map(|text| format!(": {text}")).unwrap_or_default();
            return Self::Refused(format!("{code}{message}"));
        } else {
            return Self::Failed(code);
        };
        let named: Vec<String> = reasons.iter().filter_map(|it| it.reason.clone()).collect();
        Self::Throttled(if named.is_empty() { vec![code] } else { named })
    }
}
