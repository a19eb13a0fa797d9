//! What a sender is told: the one place where a refusal becomes a status, for the gateway and for the library alike.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use crate::{Quarantine, Refusal, handshake::Challenge, source::SourceRules};

/// An answer to a sender.
pub type Answer = Response<Bytes>;

/// The statuses in which sources differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl Statuses {
    /// Those of a source.
    pub fn of(rules: &SourceRules) -> Self {
        Self { over_budget: rules.over_budget_status, refused: rules.refused_status }
    }
}

/// A status, with the stable code and the plain sentence that go with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The status.
    pub status: StatusCode,
    /// The stable code, for programs.
    pub code: &'static str,
    /// The sentence, for people.
    pub message: Cow<'static, str>,
    /// When it is worth trying again, if it is.
    pub retry_after: Option<Duration>,
    /// Whether the connection ends with it.
    pub close: bool,
}

impl Told {
    fn new(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message: message.into(), retry_after: None, close: false }
    }

    fn later(code: &'static str, message: &'static str, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
        }
    }

    /// With the end of the connection.
    #[must_use]
    pub fn closing(self) -> Self {
        Self { close: true, ..self }
    }

    /// One answer for everything that is not verified: which check failed is nobody's business.
    fn unverified(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
        Self::new(status, "forbidden", "the request could not be verified")
    }

    /// Verified, and more than the source may send or cost.
    pub fn over_budget(statuses: Statuses, wait: Duration) -> Self {
        let status = StatusCode::from_u16(statuses.over_budget);
        Self {
            status: status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
            ..Self::later("over_budget", "over the budget of this source, try again later", wait)
        }
    }

    /// Verified, and larger than what can be kept. Its sender cannot know the limit otherwise: it is below that of the source.
    pub fn too_large_to_keep(max: usize) -> Self {
        Self {
            message: format!("the event is larger than the {max} bytes that can be kept").into(),
            ..Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "")
        }
    }

    /// Verified, and too much waits already.
    pub fn queue_full() -> Self {
        Self::later("queue_full", "too much is waiting, try again later", A_WHILE)
    }

    /// Verified, and not kept or not done; `wait` where something says how long it takes.
    pub fn unavailable(wait: Option<Duration>) -> Self {
        Self::later("unavailable", "not kept, try again later", wait.unwrap_or(A_WHILE))
    }

    /// Why a request was not admitted.
    pub fn of_refusal(refusal: &Refusal, statuses: Statuses) -> Self {
        match refusal {
            Refusal::UnknownSource => {
                Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here")
            }
            Refusal::MethodNotAllowed => Self::new(
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
            | Refusal::FromTheFuture { .. } => Self::unverified(statuses.refused),
            Refusal::UnverifiedBudget { retry_after } | Refusal::KeyPending { retry_after } => {
                Self {
                    retry_after: Some(*retry_after),
                    ..Self::new(
                        StatusCode::TOO_MANY_REQUESTS,
                        "too_many_requests",
                        "too many requests, try again later",
                    )
                }
            }
            Refusal::BodyTooLarge { .. } => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "the body is larger than this endpoint takes",
            )
            .closing(),
            Refusal::UnsupportedType => Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_type",
                "send the body as application/json in UTF-8",
            ),
            Refusal::UnsupportedEncoding => Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_encoding",
                "send the body without a content encoding",
            ),
            Refusal::BodyTooSlow => Self::new(
                StatusCode::REQUEST_TIMEOUT,
                "too_slow",
                "the body did not arrive in time",
            )
            .closing(),
            Refusal::BadFraming(_) => Self::new(
                StatusCode::BAD_REQUEST,
                "bad_request",
                "the request breaks the rules of HTTP",
            )
            .closing(),
            Refusal::SourceBudget { retry_after } => Self::over_budget(statuses, *retry_after),
            Refusal::Rejected(Quarantine::SchemaViolation) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "schema_violation",
                "the body does not match the schema of its type",
            ),
            Refusal::Rejected(Quarantine::MissingId) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "missing_id",
                "the body has no usable id",
            ),
            Refusal::Rejected(
                Quarantine::NotJson
                | Quarantine::UnknownType
                | Quarantine::UnexpectedValue
                | Quarantine::IdConflict,
            ) => Self::new(
                StatusCode::BAD_REQUEST,
                "malformed",
                "the body is not what this endpoint takes",
            ),
            Refusal::TypeRefused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "unknown_type",
                "this endpoint does not take this event type",
            ),
            Refusal::HandshakeRefused { status } => Self::unverified(*status),
            Refusal::Handshake(_) => Self::new(StatusCode::OK, "challenge", ""),
        }
    }

    /// The answer. `chance` is in `0.0..1.0` and spreads `Retry-After`, so that senders do not come back together.
    pub fn answer(&self, chance: f64) -> Answer {
        let Self { status, code, message, retry_after, close } = self;
        let body = serde_json::json!({ "error": { "code": code, "message": message } }).to_string();
        let mut answer = json(*status, Bytes::from(body));
        let headers = answer.headers_mut();
        if let Some(wait) = retry_after {
            // Up to half as much again.
            let longer = 1.0 + chance.clamp(0.0, 1.0) / 2.0;
            let secs = (wait.as_secs_f64() * longer).ceil().max(1.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "saturates, and is at least 1"
            )]
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs as u64));
        }
        if *status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if *close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

/// How long a sender is asked to wait when nothing says how long it takes.
const A_WHILE: Duration = Duration::from_secs(5);

/// The one acknowledgement: the same for a new event and for a repeated one, unless the source is to be told of duplicates.
/// What the sender wants to read in it is in the rules, if it wants anything.
pub fn accepted(rules: &SourceRules, duplicate: bool) -> Answer {
    let status = StatusCode::from_u16(rules.accepted_status).unwrap_or(StatusCode::OK);
    // 204 and 205 have no body.
    let mut answer = if status == StatusCode::NO_CONTENT || status == StatusCode::RESET_CONTENT {
        let mut answer = Response::new(Bytes::new());
        *answer.status_mut() = status;
        answer
    } else if let Some(text) = rules.accepted_text {
        let mut answer = plain(Bytes::from_static(text.as_bytes()), TEXT);
        *answer.status_mut() = status;
        answer
    } else {
        json(status, Bytes::from_static(br#"{"status":"accepted"}"#))
    };
    if duplicate && rules.tell_duplicates {
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
        None => Response::new(Bytes::new()),
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
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn json(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(refusal: &Refusal) -> Told {
        Told::of_refusal(refusal, Statuses::default())
    }

    fn check(told: &Told, status: u16, code: &str, retry_after: Option<&str>) {
        let answer = told.answer(0.0);
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers().get("retry-after").map(|it| it.to_str().unwrap()), retry_after);
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(body["error"]["code"], code);
    }

    #[test]
    fn answers_say_whether_to_come_back() {
        check(&told(&Refusal::UnknownSource), 404, "not_found", None);
        check(&told(&Refusal::BodyTooSlow), 408, "too_slow", None);
        let unverified = Refusal::UnverifiedBudget { retry_after: Duration::from_millis(1200) };
        check(&told(&unverified), 429, "too_many_requests", Some("2"));
        let pending = Refusal::KeyPending { retry_after: Duration::from_secs(2) };
        check(&told(&pending), 429, "too_many_requests", Some("2"));
        let spent = Refusal::SourceBudget { retry_after: Duration::ZERO };
        check(&told(&spent), 503, "over_budget", Some("1"));
        let unmatched = Refusal::Rejected(Quarantine::SchemaViolation);
        check(&told(&unmatched), 422, "schema_violation", None);
        check(&Told::queue_full(), 503, "queue_full", Some("5"));
        check(&Told::unavailable(Some(Duration::from_secs(30))), 503, "unavailable", Some("30"));
    }

    #[test]
    fn whatever_could_not_be_verified_gets_the_same_bytes() {
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
        let mut seen: Vec<_> = unverified.iter().map(told).collect();
        seen.dedup();
        assert_eq!(seen.len(), 1, "{seen:?}");
    }

    #[test]
    fn waits_are_spread_upwards() {
        let told = Told::queue_full();
        let wait =
            |chance| told.answer(chance).headers()["retry-after"].to_str().unwrap().to_owned();
        assert_eq!([wait(0.0), wait(0.5), wait(1.0)], ["5", "7", "8"]);
        let longest = Told::unavailable(Some(Duration::MAX)).answer(1.0);
        assert_eq!(longest.headers()["retry-after"], u64::MAX.to_string().as_str());
    }
}
