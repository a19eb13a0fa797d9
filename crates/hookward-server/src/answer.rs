//! What a sender is told: the core's answers, and those to what the store does not keep.

use bytes::Bytes;
use hookward_core::{
    Refusal,
    answer::{Statuses, Told},
};
use hookward_store::StoreError;
use http::Response;
use http_body_util::Full;

/// An answer to a sender.
pub type Answer = Response<Full<Bytes>>;

/// Why a request was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// It was not admitted.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was admitted, and the store did not keep it, or not in time.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was admitted, and the store did not answer in time; whether it keeps it is not known.
    #[error("the store did not answer in time")]
    StoreTimeout,
    /// The gateway is stopping.
    #[error("the gateway is shutting down")]
    ShuttingDown,
}

impl ReceiveError {
    /// The answer. `chance` is in `0.0..1.0` and spreads `Retry-After`, so that senders do not come back together.
    pub fn answer(&self, statuses: Statuses, chance: f64) -> Answer {
        self.told(statuses).answer(chance).map(Full::new)
    }

    fn told(&self, statuses: Statuses) -> Told {
        match self {
            Self::Refused(refusal) => Told::of_refusal(refusal, statuses),
            Self::Store(StoreError::TooLarge { max }) => Told::too_large_to_keep(*max),
            Self::Store(StoreError::OverBudget { retry_after }) => {
                Told::over_budget(statuses, *retry_after)
            }
            Self::Store(StoreError::Full) => Told::queue_full(),
            Self::Store(
                StoreError::Fenced
                | StoreError::NotFound
                | StoreError::BodyExpired
                | StoreError::Unsupported { .. }
                | StoreError::Closed
                | StoreError::Unavailable(_)
                | StoreError::Damaged { .. },
            )
            | Self::StoreTimeout => Told::unavailable(None),
            Self::ShuttingDown => Told::unavailable(None).closing(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn check(error: impl Into<ReceiveError>, status: u16, code: &str, retry_after: Option<&str>) {
        let error = error.into();
        let told = error.told(Statuses::default());
        assert_eq!((told.status.as_u16(), told.code), (status, code));
        let answer = error.answer(Statuses::default(), 0.0);
        assert_eq!(answer.headers().get("retry-after").map(|it| it.to_str().unwrap()), retry_after);
    }

    #[test]
    fn answers_say_whether_to_come_back() {
        check(Refusal::UnknownSource, 404, "not_found", None);
        let spent = StoreError::OverBudget { retry_after: Duration::ZERO };
        check(spent, 503, "over_budget", Some("1"));
        check(StoreError::Full, 503, "queue_full", Some("5"));
        check(StoreError::Closed, 503, "unavailable", Some("5"));
        check(StoreError::TooLarge { max: 1 }, 413, "too_large", None);
        check(ReceiveError::StoreTimeout, 503, "unavailable", Some("5"));
        check(ReceiveError::ShuttingDown, 503, "unavailable", Some("5"));
    }
}
