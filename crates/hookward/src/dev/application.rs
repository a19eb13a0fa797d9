//! The sample application behind the gateway: it believes only what the gateway signed, and counts.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use hookward_core::{
    Source, Timestamp,
    provider::Provider,
    secret::{Secret, Validity},
    source::{SourceName, SourceRules},
};
use hookward_server::{Clock, SystemClock};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::failure::Failure;

/// A running application. Ends with the process.
#[derive(Debug)]
pub(crate) struct Application {
    address: SocketAddr,
    received: Arc<AtomicUsize>,
}

impl Application {
    pub(crate) async fn start(secrets: Vec<(Secret, Validity)>) -> Result<Self, Failure> {
        let provider =
            Provider::named("standard-webhooks").ok_or_else(|| Failure::new("no such provider"))?;
        let name = SourceName::parse("gateway").map_err(|error| Failure::of("source", &error))?;
        let source = Source::new(SourceRules::of_provider(name, "/webhooks", provider), secrets);
        let source = Arc::new(source.map_err(|error| Failure::of("delivery secret", &error))?);
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(|error| Failure::of("cannot listen", &error))?;
        let address =
            listener.local_addr().map_err(|error| Failure::of("cannot listen", &error))?;
        let received = Arc::default();
        let (count, clock) = (Arc::clone(&received), SystemClock::start());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (source, count, clock) =
                    (Arc::clone(&source), Arc::clone(&count), Arc::clone(&clock));
                let service = service_fn(move |request| {
                    let (source, count, now) =
                        (Arc::clone(&source), Arc::clone(&count), clock.now());
                    async move { Ok::<_, Infallible>(handle(&source, &count, request, now).await) }
                });
                tokio::spawn(async move {
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
                });
            }
        });
        Ok(Self { address, received })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many events it got so far.
    pub(crate) fn received(&self) -> usize {
        self.received.load(Ordering::SeqCst)
    }
}

async fn handle(
    source: &Source,
    count: &AtomicUsize,
    request: Request<Incoming>,
    now: Timestamp,
) -> Response<Full<Bytes>> {
    const BODY_BYTES_MAX: usize = 1024 * 1024;
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return answer(StatusCode::BAD_REQUEST);
    };
    let head = hookward_core::Head {
        method: &parts.method,
        target: parts.uri.path(),
        headers: &parts.headers,
    };
    match source.verify(hookward_core::Request { head, body: body.to_bytes() }, now) {
        Ok(_) => {
            count.fetch_add(1, Ordering::SeqCst);
            answer(StatusCode::OK)
        }
        Err(_) => answer(StatusCode::FORBIDDEN),
    }
}

fn answer(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}
