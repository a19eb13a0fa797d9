//! The application behind the gateway: answers as its script says, verifies and records what it gets.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use hookward_core::{
    Head, Refusal, Request, Source, SourceName,
    provider::Provider,
    secret::{Secret, Validity},
    source::SourceRules,
};
use hookward_server::Clock;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::{
    body::{Body, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
    task::{JoinHandle, JoinSet},
};

use crate::world::soon;

/// How one delivery is answered.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Status(u16),
    With(u16, &'static str, String),
    /// 200, with this `Cache-Control` and this body.
    Document(&'static str, String),
    /// Never.
    Hang,
    /// The connection closes without an answer.
    HangUp,
    /// Not before the test says so.
    After(Arc<Notify>, u16),
    /// 200, and a body that does not end.
    Endless,
}

/// One delivery as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// What the official scheme says of its signature under the current secret.
    pub verified: Result<(), Refusal>,
}

impl Delivery {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

#[derive(Debug)]
pub(crate) struct Application {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    verifier: Source,
    clock: Arc<dyn Clock>,
    replies: Mutex<VecDeque<Reply>>,
    always: Mutex<Reply>,
    deliveries: Mutex<Vec<Delivery>>,
    count: watch::Sender<usize>,
}

/// Verifies as an application does: by the official scheme and a secret.
pub(crate) fn verifier(secret: &str) -> Source {
    let provider = Provider::named("standard-webhooks").unwrap();
    let rules =
        SourceRules::of_provider(SourceName::parse("gateway").unwrap(), "/webhooks", provider);
    Source::new(rules, vec![(Secret::new(secret.to_owned()), Validity::default())]).unwrap()
}

impl Application {
    /// Listens on a free port and answers 200 until told otherwise.
    pub(crate) async fn start(secret: &str, clock: Arc<dyn Clock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            verifier: verifier(secret),
            clock,
            replies: Mutex::default(),
            always: Mutex::new(Reply::Status(200)),
            deliveries: Mutex::default(),
            count: watch::Sender::new(0),
        });
        let listening = Some(tokio::spawn(listen(listener, Arc::clone(&shared))));
        Self { address, shared, listening }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next deliveries are answered so; those after them with 200, or what [`always`](Self::always) said.
    pub(crate) fn answers(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.replies.lock().unwrap().extend(replies);
    }

    /// All deliveries that have no reply of their own are answered so.
    pub(crate) fn always(&self, reply: Reply) {
        *self.shared.always.lock().unwrap() = reply;
    }

    /// Waits until so many deliveries have arrived, and returns all.
    pub(crate) async fn got(&self, count: usize) -> Vec<Delivery> {
        let mut counted = self.shared.count.subscribe();
        let arrived = soon("deliveries arrive", counted.wait_for(|got| *got >= count)).await;
        drop(arrived.unwrap());
        self.deliveries()
    }

    /// What has arrived so far.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.shared.deliveries.lock().unwrap().clone()
    }

    /// Goes away: its port refuses connections.
    pub(crate) async fn goes_away(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
            assert!(listening.await.unwrap_err().is_cancelled());
        }
    }

    /// Comes back on the same port.
    pub(crate) async fn comes_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.listening = Some(tokio::spawn(listen(listener, Arc::clone(&self.shared))));
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| handle(Arc::clone(&shared), request));
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
        });
    }
}

type Outgoing = Either<Full<Bytes>, Endless>;

async fn handle(
    shared: Arc<Shared>,
    request: http::Request<Incoming>,
) -> io::Result<Response<Outgoing>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let head = Head { method: &parts.method, target: parts.uri.path(), headers: &parts.headers };
    let request = Request { head, body: body.clone() };
    let verified = shared.verifier.verify(request, shared.clock.now()).map(drop);
    let path = parts.uri.to_string();
    let delivery = Delivery { path, headers: parts.headers, body, verified };
    shared.deliveries.lock().unwrap().push(delivery);
    let reply = shared.replies.lock().unwrap().pop_front();
    let reply = reply.unwrap_or_else(|| shared.always.lock().unwrap().clone());
    shared.count.send_modify(|count| *count += 1);

    let empty = || Either::Left(Full::default());
    let (status, body) = match &reply {
        Reply::Status(status) | Reply::With(status, ..) => (*status, empty()),
        Reply::Document(_, body) => (200, Either::Left(Full::from(body.clone()))),
        Reply::Hang => std::future::pending().await,
        Reply::HangUp => return Err(io::ErrorKind::ConnectionReset.into()),
        Reply::After(told, status) => {
            told.notified().await;
            (*status, empty())
        }
        Reply::Endless => (200, Either::Right(Endless)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    let line = match reply {
        Reply::With(_, name, value) => Some((name, value)),
        Reply::Document(cache, _) => Some(("cache-control", cache.to_owned())),
        Reply::Status(_) | Reply::Hang | Reply::HangUp | Reply::After(..) | Reply::Endless => None,
    };
    if let Some((name, value)) = line {
        let name = HeaderName::from_static(name);
        response.headers_mut().insert(name, HeaderValue::try_from(value).unwrap());
    }
    Ok(response)
}

struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 16 * 1024])))))
    }
}
