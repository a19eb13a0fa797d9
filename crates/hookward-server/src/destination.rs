//! Where events are delivered to: an HTTP endpoint of the operator's own, addressed safely and signed for.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    circuit::{Circuit, CircuitRules},
    slots::Slots,
};
use bytes::Bytes;
use hookward_core::{
    EventParts, Timestamp, address,
    config::DestinationConfig,
    limits,
    provider::standard_webhooks,
    retry::AttemptEnd,
    scheme::{Sample, Scheme, SchemeError},
    secret::{Secret, Validity},
    source::DestinationName,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{
            HttpConnector,
            dns::{GaiResolver, Name},
        },
    },
    rt::{TokioExecutor, TokioTimer},
};

/// An HTTP destination, ready to be delivered to.
pub struct Destination {
    config: DestinationConfig,
    /// The current secret, and the one before it while the application moves over.
    signers: Vec<Scheme>,
    client: Client<HttpsConnector<HttpConnector<Guarded>>, Full<Bytes>>,
    pub(crate) slots: Arc<Slots>,
    pub(crate) circuit: Mutex<Circuit>,
}

impl Destination {
    /// Makes a destination of its configuration and its signing secrets, the current one first.
    pub fn new(config: DestinationConfig, secrets: Vec<Secret>) -> Result<Self, SchemeError> {
        let signers = secrets.into_iter().map(signer).collect::<Result<Vec<_>, _>>()?;
        if signers.is_empty() {
            return Err(SchemeError::NoSecret);
        }
        let mut connector = HttpConnector::new_with_resolver(Guarded(GaiResolver::new()));
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(config.timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(limits::DELIVERY_IDLE_TIMEOUT)
            .pool_max_idle_per_host(config.concurrency)
            .build(connector);
        Ok(Self { slots: Arc::default(), circuit: Mutex::default(), config, signers, client })
    }

    /// Its name.
    pub fn name(&self) -> &DestinationName {
        &self.config.name
    }

    /// Its configuration.
    pub fn config(&self) -> &DestinationConfig {
        &self.config
    }

    pub(crate) fn circuit(&self) -> Circuit {
        *self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over from a destination of the same name. What is still on its way counts, unless it is on its way to another
    /// machine; the circuit stays as it is, unless it is about another endpoint.
    pub(crate) fn succeed(&mut self, former: &Self) {
        let (new, old) = (&self.config.url, &former.config.url);
        if new.authority() == old.authority() {
            self.slots = Arc::clone(&former.slots);
        }
        if new == old {
            self.circuit = Mutex::new(former.circuit());
        }
    }

    pub(crate) fn circuit_rules(&self) -> CircuitRules {
        CircuitRules {
            failures: self.config.circuit.failures,
            open_for: self.config.circuit.open_for,
        }
    }

    /// Makes one attempt. Takes no longer than the configured timeout, follows no redirect, believes no body.
    pub(crate) async fn post(&self, delivery: &Delivery<'_>, now: Timestamp) -> Posted {
        let mut request = Request::new(Full::new(delivery.event.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.config.url.clone();
        *request.headers_mut() = self.headers(delivery, now);
        match tokio::time::timeout(self.config.timeout, self.client.request(request)).await {
            Err(_) => Posted::no_answer(format!("no answer within {:?}", self.config.timeout)),
            Ok(Err(error)) => Posted::no_answer(chain(&error)),
            Ok(Ok(answer)) => {
                let status = answer.status().as_u16();
                let retry_after = retry_after(answer.headers(), now);
                // Read what is left, within reason, so that the connection can be used again.
                let rest =
                    Limited::new(answer.into_body(), limits::DELIVERY_ANSWER_BYTES_MAX).collect();
                let read = tokio::time::timeout(limits::DELIVERY_ANSWER_TIMEOUT, rest).await;
                let cut = if matches!(read, Ok(Ok(_))) {
                    ""
                } else {
                    " (its body was not read to the end)"
                };
                Posted {
                    end: AttemptEnd::Answered { status, retry_after },
                    note: format!("answered {status}{cut}").into(),
                }
            }
        }
    }

    /// What goes with the body: the gateway's own signature, and what it knows of the event.
    fn headers(&self, delivery: &Delivery<'_>, now: Timestamp) -> HeaderMap {
        let event = delivery.event;
        let mut headers = HeaderMap::with_capacity(16);
        for (name, value) in &event.headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(&**name), HeaderValue::from_bytes(value))
            {
                headers.insert(name, value);
            }
        }
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        let told = [
            (SOURCE, Some(event.source.as_str().to_owned())),
            (EVENT_TYPE, event.event_type.as_deref().map(str::to_owned)),
            (EVENT_ID, event.sender_id.as_deref().map(str::to_owned)),
            (EVENT_KEY, Some(event.key.to_string())),
            (RECEIVED_AT, Some(event.received_at.to_string())),
            (ATTEMPT, Some(delivery.attempt.to_string())),
        ];
        for (name, value) in told {
            // A label that cannot stand in a header is left out: the body says it too.
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        let id = delivery.id();
        let sample = Sample { id: &id, at: now, body: &event.body };
        for signed in self.signers.iter().filter_map(|signer| signer.sign(sample)) {
            for (name, value) in signed.headers {
                let value = match headers.get(&name).and_then(|before| before.to_str().ok()) {
                    // Two secrets, two signatures, side by side.
                    Some(before) if name == SIGNATURE => format!("{before} {value}"),
                    _ => value,
                };
                if let Ok(value) = HeaderValue::try_from(value) {
                    headers.insert(name, value);
                }
            }
        }
        headers
    }
}

/// What signs deliveries with this secret. Refuses weak secrets, and those that can only verify: deliveries would go out
/// unsigned.
pub fn signer(secret: Secret) -> Result<Scheme, SchemeError> {
    let scheme = Scheme::new(standard_webhooks(), vec![(secret, Validity::default())])?;
    if scheme.can_sign() { Ok(scheme) } else { Err(SchemeError::CannotSign) }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Destination").field("name", self.name()).finish_non_exhaustive()
    }
}

pub(crate) const USER_AGENT: &str = concat!("hookward/", env!("CARGO_PKG_VERSION"));
const SIGNATURE: &str = "webhook-signature";

/// The source that admitted the event.
pub const SOURCE: &str = "hookward-source";
/// The event's type, where the source knows it.
pub const EVENT_TYPE: &str = "hookward-event-type";
/// The sender's own id.
pub const EVENT_ID: &str = "hookward-event-id";
/// The event's key: the same for each attempt and each replay.
pub const EVENT_KEY: &str = "hookward-event-key";
/// When the gateway received it.
pub const RECEIVED_AT: &str = "hookward-received-at";
/// Which attempt this is, from 1.
pub const ATTEMPT: &str = "hookward-attempt";

/// One attempt to make.
pub(crate) struct Delivery<'e> {
    pub event: &'e EventParts,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How often the event was replayed.
    pub replays: u32,
}

impl Delivery<'_> {
    /// The delivery id: the same for each attempt, so that the application can tell them, and new for each replay, so that
    /// it does not swallow it.
    fn id(&self) -> String {
        match self.replays {
            0 => format!("hw_{}", self.event.key),
            replays => format!("hw_{}_{replays}", self.event.key),
        }
    }
}

/// How an attempt ended.
pub(crate) struct Posted {
    pub end: AttemptEnd,
    pub note: Box<str>,
}

impl Posted {
    fn no_answer(note: String) -> Self {
        Self { end: AttemptEnd::NoAnswer, note: note.into() }
    }
}

/// An error and its causes in one line. They name addresses and faults, never a body.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    line
}

/// `Retry-After` in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // So many digits that they are no number any more still mean: not soon.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let since_epoch = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_secs(since_epoch.as_secs()).since(now))
}

/// Resolves names and leaves out the addresses that no destination may have: those of cloud metadata services above all. The
/// check is on what is connected to, so that neither a name that points there nor one that changes its mind gets through.
#[derive(Clone)]
pub(crate) struct Guarded(pub(crate) GaiResolver);

impl tower_service::Service<Name> for Guarded {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, io::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolving = self.0.call(name);
        Box::pin(async move { allowed(resolving.await?) })
    }
}

fn allowed(
    resolved: impl Iterator<Item = SocketAddr>,
) -> io::Result<std::vec::IntoIter<SocketAddr>> {
    let mut forbidden = None;
    let mut allowed = Vec::new();
    for address in resolved {
        match address::is_forbidden_destination(address.ip()) {
            Some(why) => forbidden = Some(why),
            None => allowed.push(address),
        }
    }
    match forbidden {
        Some(why) if allowed.is_empty() => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("the name resolves to a forbidden address: {why}"),
        )),
        _ => Ok(allowed.into_iter()),
    }
}

/// The names that a source's kept headers cannot have on their way to a destination, because the gateway sets them.
pub fn is_own_header(name: &str) -> bool {
    name.starts_with("hookward-") || name.starts_with("webhook-")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn check_retry_after(value: &'static str, expected: Option<u64>) {
        let headers =
            HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static(value))]);
        assert_eq!(retry_after(&headers, NOW), expected.map(Duration::from_secs), "{value}");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        check_retry_after("120", Some(120));
        check_retry_after("Tue, 14 Nov 2023 22:14:20 GMT", Some(60));
        check_retry_after("Tue, 14 Nov 2023 22:12:20 GMT", Some(0));
        check_retry_after("99999999999999999999999", Some(u64::MAX));
        check_retry_after("soon", None);
        check_retry_after("-1", None);
    }

    #[test]
    fn no_name_leads_to_the_metadata_service() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let metadata = address("169.254.169.254:80");
        let private = address("10.0.0.7:80");
        assert_eq!(
            allowed([metadata].into_iter()).unwrap_err().kind(),
            io::ErrorKind::PermissionDenied
        );
        assert_eq!(
            allowed([metadata, private].into_iter()).unwrap().collect::<Vec<_>>(),
            [private]
        );
        assert!(allowed([address("[::ffff:169.254.169.254]:80")].into_iter()).is_err());
    }
}
