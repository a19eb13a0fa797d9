//! Errands off the requests' path: fetching the keys that senders publish, and visiting the URL by which one wants a
//! subscription confirmed.
//!
//! What is to be fetched and when the [rings](hookward_core::scheme::KeyRing) of the sources say: at the start, each time
//! that keys grow old, and when a request wants one. Nothing follows a redirect; nothing is asked over plain HTTP but this
//! machine; no answer may be large or slow. A sender that cannot be reached keeps the keys that it had.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use hookward_core::{
    SourceName, limits,
    scheme::key_ring::{Due, Fetch, Fetched},
};
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::GaiResolver},
    },
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    destination::{Guarded, USER_AGENT, chain},
    gateway::{Gateway, LOG_BUDGET, Route},
    metrics::KeyOutcome,
};

/// What there is to do.
#[derive(Debug, Default)]
pub(crate) struct Errands {
    wake: Notify,
    visits: Mutex<VecDeque<Visit>>,
}

#[derive(Debug)]
struct Visit {
    source: SourceName,
    url: String,
}

impl Errands {
    /// Has somebody look at what is to be fetched.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Has a URL visited, which a scheme vouches for. `false` when too many wait.
    pub(crate) fn visit(&self, source: &SourceName, url: String) -> bool {
        let mut visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = visits.len() < limits::VISITS_MAX;
        if has_room {
            visits.push_back(Visit { source: source.clone(), url });
        }
        drop(visits);
        self.wake();
        has_room
    }

    fn next_visit(&self) -> Option<Visit> {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// Runs errands until the gateway stops. One at a time for each source, and one visit.
pub(crate) async fn run(gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    let web = Web::new();
    let (mut fetching, mut visiting) = (JoinSet::new(), JoinSet::new());
    loop {
        let mut wait: Option<Duration> = None;
        for route in gateway.routes().all() {
            let Some(ring) = route.source.scheme().key_ring() else { continue };
            match ring.due(gateway.clock.now()) {
                Due::Now(fetch) => {
                    let (gateway, web, route) =
                        (Arc::clone(&gateway), web.clone(), Arc::clone(route));
                    fetching.spawn(async move { get_keys(&gateway, &web, &route, &fetch).await });
                }
                Due::In(after) => wait = wait.into_iter().chain(after).min(),
            }
        }
        if visiting.is_empty()
            && let Some(visit) = gateway.errands.next_visit()
        {
            let web = web.clone();
            visiting.spawn(async move { go(&web, &visit).await });
        }
        // The clock of the rings is the wall clock, which can be put forward.
        let nap = wait.unwrap_or_default().min(NAP_MAX);
        tokio::select! {
            () = gateway.errands.wake.notified() => {}
            Some(_) = fetching.join_next() => {}
            Some(_) = visiting.join_next() => {}
            () = sleep(nap), if wait.is_some() => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
    }
}

const NAP_MAX: Duration = Duration::from_mins(1);

/// Fetches one document and hands it to the source's ring.
async fn get_keys(gateway: &Gateway, web: &Web, route: &Route, fetch: &Fetch) {
    let Some(ring) = route.source.scheme().key_ring() else { return };
    let source = route.source.name();
    let got = web.get(fetch).await;
    let fetched = match &got {
        Ok((body, max_age)) => Fetched::Here { body, max_age: *max_age },
        Err(WebError::Status(status)) if is_final(*status) => Fetched::NotThere,
        Err(_) => Fetched::Failed,
    };
    let settled = ring.settle(fetch, fetched, webpki_roots::TLS_SERVER_ROOTS, gateway.clock.now());
    let outcome = match (&got, &settled) {
        (Ok(_), Ok(())) => KeyOutcome::Fetched,
        (Ok(_), Err(_)) => KeyOutcome::Unusable,
        (Err(WebError::Status(status)), _) if is_final(*status) => KeyOutcome::NotThere,
        (Err(_), _) => KeyOutcome::Failed,
    };
    let keys = ring.len();
    gateway.metrics.keys(source.as_str(), outcome, keys);
    // Strangers can have a certificate asked for; the host is the sender's in any case.
    let within = route.log_budget.take(&LOG_BUDGET, gateway.clock.elapsed()).is_ok();
    match (got, settled) {
        (Ok(_), Ok(())) => tracing::info!(%source, keys, "the sender's keys were fetched"),
        (Ok(_), Err(cause)) if within => {
            tracing::warn!(%source, keys, url = fetch.url, %cause, "the sender's keys are of no use, the former stay");
        }
        (Err(cause), _) if within => {
            tracing::warn!(%source, keys, url = fetch.url, %cause, "the sender's keys were not fetched, the former stay");
        }
        (Ok(_) | Err(_), _) => {}
    }
}

/// Whether asking again would bring the same.
fn is_final(status: StatusCode) -> bool {
    status.is_client_error()
        && status != StatusCode::TOO_MANY_REQUESTS
        && status != StatusCode::REQUEST_TIMEOUT
}

/// Visits a URL, a few times if need be. It holds a token, so that it is never shown.
async fn go(web: &Web, visit: &Visit) {
    let source = &visit.source;
    let mut pauses = VISIT_PAUSES.into_iter();
    loop {
        let Err(cause) = web.send(Method::GET, &visit.url, None).await else {
            tracing::warn!(%source, "the sender's subscription was confirmed");
            return;
        };
        let Some(pause) = pauses.next() else {
            tracing::error!(%source, %cause, "the sender's subscription was not confirmed: request it again there");
            return;
        };
        tracing::info!(%source, %cause, "the sender's subscription is not confirmed yet");
        sleep(pause).await;
    }
}

const VISIT_PAUSES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];

/// Asks other machines, carefully.
#[derive(Clone)]
struct Web(Client<HttpsConnector<HttpConnector<Guarded>>, Full<Bytes>>);

#[derive(Debug, thiserror::Error)]
enum WebError {
    #[error("plain HTTP is for this machine only")]
    Insecure,
    #[error("it is no URL")]
    NoUrl,
    #[error("no answer within {:?}", limits::KEYS_TIMEOUT)]
    Late,
    #[error("answered {0}")]
    Status(StatusCode),
    #[error("it redirects ({0}), which is not followed")]
    Redirect(StatusCode),
    #[error("its answer is larger than {} bytes, or broke off", limits::KEYS_BYTES_MAX)]
    Body,
    #[error("{0}")]
    Network(String),
}

impl Web {
    fn new() -> Self {
        let mut connector = HttpConnector::new_with_resolver(Guarded(GaiResolver::new()));
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(limits::KEYS_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        // Asked too seldom for a connection to be worth keeping.
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Self(client)
    }

    /// A document with keys, and for how long it may be kept.
    async fn get(&self, fetch: &Fetch) -> Result<(Bytes, Option<Duration>), WebError> {
        let method = if fetch.post.is_some() { Method::POST } else { Method::GET };
        let body = fetch.post.as_ref().map(|post| Bytes::copy_from_slice(post.as_bytes()));
        let (headers, body) = self.send(method, &fetch.url, body).await?;
        Ok((body, max_age(&headers)))
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        body: Option<Bytes>,
    ) -> Result<(HeaderMap, Bytes), WebError> {
        let url: Uri = url.parse().map_err(|_| WebError::NoUrl)?;
        if url.scheme_str() != Some("https") && !is_this_machine(&url) {
            return Err(WebError::Insecure);
        }
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::ACCEPT, "application/json, application/jwk-set+json, */*;q=0.5")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|_| WebError::NoUrl)?;
        let asking = async {
            let answer = self.0.request(request).await;
            let answer = answer.map_err(|error| WebError::Network(chain(&error)))?;
            let status = answer.status();
            if status.is_redirection() {
                return Err(WebError::Redirect(status));
            }
            if status != StatusCode::OK {
                return Err(WebError::Status(status));
            }
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, limits::KEYS_BYTES_MAX).collect().await;
            Ok((parts.headers, body.map_err(|_| WebError::Body)?.to_bytes()))
        };
        timeout(limits::KEYS_TIMEOUT, asking).await.map_err(|_| WebError::Late)?
    }
}

fn is_this_machine(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// For how long an answer may be kept; the ring bounds it.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(header::CACHE_CONTROL).iter();
    let mut directives = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim);
    directives.find_map(|directive| {
        if ["no-store", "no-cache"].iter().any(|it| directive.eq_ignore_ascii_case(it)) {
            return Some(Duration::ZERO);
        }
        let (name, secs) = directive.split_once('=')?;
        let secs = secs.trim_matches('"').parse().ok()?;
        name.eq_ignore_ascii_case("max-age").then_some(Duration::from_secs(secs))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn cache_control_says_for_how_long() {
        let check = |value: &'static str, expected: Option<u64>| {
            let headers =
                HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static(value))]);
            assert_eq!(max_age(&headers), expected.map(Duration::from_secs), "{value}");
        };
        check("public, max-age=19845, must-revalidate, no-transform", Some(19_845));
        check("no-store", Some(0));
        check("max-age=\"60\"", Some(60));
        check("s-maxage=60", None);
        check("max-age=-1", None);
    }

    #[tokio::test]
    async fn plain_http_is_for_this_machine_only() {
        let web = Web::new();
        for url in ["http://keys.hookward.test/", "http://10.0.0.1/", "ftp://127.0.0.2x/"] {
            let refused = web.send(Method::GET, url, None).await;
            assert!(matches!(refused, Err(WebError::Insecure)), "{url}: {refused:?}");
        }
    }
}
