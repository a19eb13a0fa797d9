//! What a sender is told. The one place where a refusal or a failure becomes a status.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use hookward_core::{Quarantine, Refusal, handshake::Challenge};
use hookward_store::StoreError;
use http::{HeaderValue, Response, StatusCode, header};
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

/// A status with the stable code and the plain sentence that go with it.
struct Told {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
    close: bool,
}

/// The statuses in which sources differ.
#[derive(Clone, Copy, Debug)]
pub struct Statuses {
    /// For who is over the source's budget.
    pub over_budget: u16,
    /// For whatever cannot be verified.
    pub refused: u16,
}

impl Default for Statuses {
    fn default() -> Self {
        Self { over_budget: 503, refused: 403 }
    }
}

impl ReceiveError {
    /// The answer. `chance` is in `0.0..1.0` and spreads `Retry-After`, so that senders do not come back together.
    pub fn answer(&self, statuses: Statuses, chance: f64) -> Answer {
        let Told { status, code, message, retry_after, close } = self.told(statuses);
        let body = serde_json::json!({ "error": { "code": code, "message": message } }).to_string();
        let mut answer = json(status, Bytes::from(body));
        if let Some(wait) = retry_after {
            // Up to half as much again.
            let secs =
                wait.mul_f64(1.0 + chance.clamp(0.0, 1.0) / 2.0).as_secs_f64().ceil().max(1.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "saturates, and is at least 1"
            )]
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs as u64));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if close {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    fn told(&self, statuses: Statuses) -> Told {
        let told = |status, code, message: &'static str| Told {
            status,
            code,
            message: message.into(),
            retry_after: None,
            close: false,
        };
        let later = |code, message: &'static str, wait| Told {
            retry_after: Some(wait),
            ..told(StatusCode::SERVICE_UNAVAILABLE, code, message)
        };
        let over_its_budget = |wait| Told {
            status: StatusCode::from_u16(statuses.over_budget)
                .unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
            ..later("over_budget", "over the budget of this source, try again later", wait)
        };
        let closing = |told: Told| Told { close: true, ..told };
        // One answer for everything that is not verified: which check failed is nobody's business.
        let unverified = |status| {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
            told(status, "forbidden", "the request could not be verified")
        };
        let forbidden = || unverified(statuses.refused);
        match self {
            Self::Refused(refusal) => match refusal {
                Refusal::UnknownSource => {
                    told(StatusCode::NOT_FOUND, "not_found", "there is nothing here")
                }
                Refusal::MethodNotAllowed => told(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "method_not_allowed",
                    "webhooks are sent by POST",
                ),
                Refusal::AddressNotAllowed
                | Refusal::MissingSignature { .. }
                | Refusal::AmbiguousSignature { .. }
                | Refusal::MalformedSignature { .. }
                | Refusal::WrongSignature
                | Refusal::WrongClaim { .. }
                | Refusal::Stale { .. }
                | Refusal::FromTheFuture { .. } => forbidden(),
                Refusal::UnverifiedBudget { retry_after } | Refusal::KeyPending { retry_after } => {
                    Told {
                        retry_after: Some(*retry_after),
                        ..told(
                            StatusCode::TOO_MANY_REQUESTS,
                            "too_many_requests",
                            "too many requests, try again later",
                        )
                    }
                }
                Refusal::BodyTooLarge { .. } => closing(told(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "too_large",
                    "the body is larger than this endpoint takes",
                )),
                Refusal::UnsupportedType => told(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "unsupported_type",
                    "send the body as application/json in UTF-8",
                ),
                Refusal::UnsupportedEncoding => told(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "unsupported_encoding",
                    "send the body without a content encoding",
                ),
                Refusal::BodyTooSlow => closing(told(
                    StatusCode::REQUEST_TIMEOUT,
                    "too_slow",
                    "the body did not arrive in time",
                )),
                Refusal::BadFraming(_) => closing(told(
                    StatusCode::BAD_REQUEST,
                    "bad_request",
                    "the request breaks the rules of HTTP",
                )),
                Refusal::SourceBudget { retry_after } => over_its_budget(*retry_after),
                Refusal::Rejected(Quarantine::SchemaViolation) => told(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "schema_violation",
                    "the body does not match the schema of its type",
                ),
                Refusal::Rejected(Quarantine::MissingId) => told(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "missing_id",
                    "the body has no usable id",
                ),
                Refusal::Rejected(
                    Quarantine::NotJson
                    | Quarantine::UnknownType
                    | Quarantine::UnexpectedValue
                    | Quarantine::IdConflict,
                ) => told(
                    StatusCode::BAD_REQUEST,
                    "malformed",
                    "the body is not what this endpoint takes",
                ),
                Refusal::TypeRefused => told(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "unknown_type",
                    "this endpoint does not take this event type",
                ),
                Refusal::HandshakeRefused { status } => unverified(*status),
                Refusal::Handshake(_) => told(StatusCode::OK, "challenge", ""),
            },
            // Its sender is verified, and cannot know the limit otherwise: it is below that of the source.
            Self::Store(StoreError::TooLarge { max }) => Told {
                message: format!("the event is larger than the {max} bytes that can be kept")
                    .into(),
                ..told(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "")
            },
            Self::Store(StoreError::OverBudget { retry_after }) => over_its_budget(*retry_after),
            Self::Store(StoreError::Full) => {
                later("queue_full", "too much is waiting, try again later", A_WHILE)
            }
            Self::Store(
                StoreError::Fenced
                | StoreError::NotFound
                | StoreError::BodyExpired
                | StoreError::Unsupported { .. }
                | StoreError::Closed
                | StoreError::Unavailable(_)
                | StoreError::Damaged { .. },
            )
            | Self::StoreTimeout => later("unavailable", "not kept, try again later", A_WHILE),
            Self::ShuttingDown => {
                closing(later("unavailable", "not kept, try again later", A_WHILE))
            }
        }
    }
}

/// How long a sender is asked to wait when nothing says how long it takes.
const A_WHILE: Duration = Duration::from_secs(5);

/// The one acknowledgement: the same for a new event and for a repeated one, unless the source is to be told of duplicates.
/// `text` is what the sender wants to read in it, if anything.
pub fn accepted(status: u16, text: Option<&'static str>, tell_duplicate: bool) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    // 204 and 205 have no body.
    let mut answer = if status == StatusCode::NO_CONTENT || status == StatusCode::RESET_CONTENT {
        let mut answer = Response::new(Full::new(Bytes::new()));
        *answer.status_mut() = status;
        answer
    } else if let Some(text) = text {
        let mut answer = plain(Bytes::from_static(text.as_bytes()), TEXT);
        *answer.status_mut() = status;
        answer
    } else {
        json(status, Bytes::from_static(br#"{"status":"accepted"}"#))
    };
    if tell_duplicate {
        answer.headers_mut().insert(DUPLICATE, HeaderValue::from_static("1"));
    }
    answer
}

/// Tells a sender that its event was there before.
const DUPLICATE: &str = "hookward-duplicate";

const TEXT: &str = "text/plain; charset=utf-8";

/// The answer to a sender's question: what it brought, which nothing is to take for a page.
pub fn challenge(challenge: &Challenge) -> Answer {
    let body = Bytes::copy_from_slice(challenge.body.as_bytes());
    let mut answer = match challenge.media_type {
        Some(media_type) => plain(body, media_type),
        None => Response::new(Full::new(Bytes::new())),
    };
    *answer.status_mut() = StatusCode::from_u16(challenge.status).unwrap_or(StatusCode::OK);
    for (name, value) in &challenge.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

fn plain(body: Bytes, media_type: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(body));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn json(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn check(
        error: impl Into<ReceiveError>,
        status: u16,
        code: &str,
        retry_after: Option<&str>,
    ) {
        let answer = error.into().answer(Statuses::default(), 0.0);
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers().get("retry-after").map(|it| it.to_str().unwrap()), retry_after);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["code"], code);
    }

    #[tokio::test]
    async fn answers_say_whether_to_come_back() {
        check(Refusal::UnknownSource, 404, "not_found", None).await;
        check(Refusal::BodyTooSlow, 408, "too_slow", None).await;
        check(
            Refusal::UnverifiedBudget { retry_after: Duration::from_millis(1200) },
            429,
            "too_many_requests",
            Some("2"),
        )
        .await;
        let pending = Refusal::KeyPending { retry_after: Duration::from_secs(2) };
        check(pending, 429, "too_many_requests", Some("2")).await;
        check(Refusal::SourceBudget { retry_after: Duration::ZERO }, 503, "over_budget", Some("1"))
            .await;
        let spent = StoreError::OverBudget { retry_after: Duration::ZERO };
        check(spent, 503, "over_budget", Some("1")).await;
        check(StoreError::Full, 503, "queue_full", Some("5")).await;
        check(ReceiveError::ShuttingDown, 503, "unavailable", Some("5")).await;
        check(Refusal::Rejected(Quarantine::SchemaViolation), 422, "schema_violation", None).await;
    }

    #[tokio::test]
    async fn whatever_could_not_be_verified_gets_the_same_bytes() {
        let unverified = [
            Refusal::AddressNotAllowed,
            Refusal::MissingSignature { header: "x-signature".into() },
            Refusal::AmbiguousSignature { header: "x-signature".into() },
            Refusal::MalformedSignature { header: "x-signature".into() },
            Refusal::WrongSignature,
            Refusal::WrongClaim { claim: "aud".into() },
            Refusal::Stale { age_secs: 301, max_secs: 300 },
            Refusal::FromTheFuture { ahead_secs: 301, max_secs: 300 },
        ];
        let mut seen = Vec::new();
        for refusal in unverified {
            let (parts, body) =
                ReceiveError::from(refusal).answer(Statuses::default(), 0.5).into_parts();
            seen.push(format!(
                "{} {:?} {:?}",
                parts.status,
                parts.headers,
                body.collect().await.unwrap().to_bytes()
            ));
        }
        seen.dedup();
        assert_eq!(seen.len(), 1, "{seen:?}");
    }

    #[test]
    fn waits_are_spread_upwards() {
        let error = ReceiveError::Store(StoreError::Full);
        let wait = |chance| {
            error.answer(Statuses::default(), chance).headers()["retry-after"]
                .to_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!([wait(0.0), wait(0.5), wait(1.0)], ["5", "7", "8"]);
    }
}
