//! Taking connections: bounded in number, each one's slowness its own problem, drained at the end.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use hookward_core::{address::AddressGroup, config, limits};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    framing::{Framed, Timeouts},
    gateway::Gateway,
    patience::Patience,
    receive::receive,
    tls::Tls,
    workers::Workers,
};

/// Which protocol speaks on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// What the webhook listener needs to know beside the gateway.
#[derive(Debug)]
pub(crate) struct Listen {
    pub listener: TcpListener,
    pub workers: Workers,
    pub tls: Option<Arc<Tls>>,
    /// Whether to speak HTTP/2 without TLS to clients that start with it.
    pub http2_cleartext: bool,
}

/// Takes connections until `stop` says so, then lets those that are open finish what they are at.
///
/// Returns when all are closed; whoever cannot wait for that drops the future, which closes them.
pub(crate) async fn run(gateway: Arc<Gateway>, listen: Listen, mut stop: watch::Receiver<bool>) {
    let Listen { listener, workers, tls, http2_cleartext } = listen;
    let acceptor = tls.map(|tls| TlsAcceptor::from(tls.server_config()));
    let open = Arc::new(OpenConnections::default());
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                after_accept_error(&error).await;
                continue;
            }
        };
        let Some(place) = open.take(peer.ip(), &gateway) else {
            gateway.metrics.connections_refused.inc();
            continue;
        };
        let stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(error) => {
                after_accept_error(&error).await;
                continue;
            }
        };
        let connection = serve(
            Arc::clone(&gateway),
            stream,
            peer,
            acceptor.clone(),
            http2_cleartext,
            stop.clone(),
        );
        let connection = async move {
            connection.await;
            drop(place);
        };
        connections.spawn_on(connection, workers.next());
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Out of file descriptors, mostly: those that are open will close.
async fn after_accept_error(error: &io::Error) {
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        return;
    }
    tracing::error!(%error, "cannot take connections");
    sleep(Duration::from_millis(100)).await;
}

async fn serve(
    gateway: Arc<Gateway>,
    stream: std::net::TcpStream,
    peer: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    http2_cleartext: bool,
    mut stop: watch::Receiver<bool>,
) {
    let stream = match TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => return after_accept_error(&error).await,
    };
    // Answers are small and wanted at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "connection without TCP_NODELAY");
    }
    if let Some(acceptor) = acceptor {
        // Who does not finish the handshake is not worth a log line: port scanners come by every minute.
        let handshake = timeout(gateway.limits.tls_handshake_timeout, acceptor.accept(stream));
        let Some(Ok(Ok(stream))) = unless_stopped(&mut stop, handshake).await else { return };
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        speak(gateway, stream, peer, protocol, stop).await;
    } else {
        let protocol = if http2_cleartext {
            let first = timeout(gateway.limits.header_timeout, protocol_of(&stream));
            let Some(Ok(Some(protocol))) = unless_stopped(&mut stop, first).await else { return };
            protocol
        } else {
            Protocol::Http1
        };
        speak(gateway, stream, peer, protocol, stop).await;
    }
}

/// `None` when the gateway is told to stop first: a connection on which nothing was asked yet is not waited for.
async fn unless_stopped<T>(
    stop: &mut watch::Receiver<bool>,
    future: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => None,
        done = future => Some(done),
    }
}

/// What a client speaks that begins with the preface of HTTP/2 or with something else; `None` when it went away. Looks
/// without taking.
async fn protocol_of(stream: &TcpStream) -> Option<Protocol> {
    const START: &[u8] = b"PRI ";
    let mut start = [0; START.len()];
    loop {
        match stream.peek(&mut start).await {
            Ok(0) | Err(_) => return None,
            Ok(count) if count < START.len() && START.get(..count) == start.get(..count) => {
                // The preface came in pieces: rare enough to ask again a little later.
                sleep(Duration::from_millis(5)).await;
            }
            Ok(_) if start == START => return Some(Protocol::Http2),
            Ok(_) => return Some(Protocol::Http1),
        }
    }
}

/// Answers what comes on a connection. One that breaks rules, stalls or goes away ends by itself; its requests were counted
/// where they were read.
async fn speak<S>(
    gateway: Arc<Gateway>,
    stream: S,
    peer: SocketAddr,
    protocol: Protocol,
    stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let ended = match protocol {
        Protocol::Http1 => speak_http1(&gateway, stream, peer, stop).await,
        Protocol::Http2 => speak_http2(gateway, stream, peer, stop).await,
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection ended early");
    }
}

async fn speak_http1<S>(
    gateway: &Gateway,
    stream: S,
    peer: SocketAddr,
    stop: watch::Receiver<bool>,
) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config::Limits { header_timeout: head, keep_alive: idle, .. } = gateway.limits;
    let (stream, heads) =
        Framed::new(stream, Timeouts { head, idle, answer: limits::ANSWER_TIMEOUT });
    let heads = &*heads;
    let service = service_fn(|mut request: http::Request<Incoming>| {
        let answering = heads.restore(request.headers_mut());
        async move {
            let answer = receive(gateway, peer.ip(), request).await;
            drop(answering);
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        // All that a client can keep us waiting for is timed in `Framed`.
        .header_read_timeout(None)
        .max_buf_size(limits::HEAD_BYTES_MAX)
        .max_headers(limits::HEADERS_MAX)
        .half_close(false)
        // An answer is so short that copying its parts together costs less than handing them over apart.
        .writev(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut stopping = Stopping::new(gateway, stop);
    let ends = |context: &mut Context<'_>| stopping.poll(context);
    tend(pin!(connection), ends, http1::Connection::graceful_shutdown).await
}

async fn speak_http2<S>(
    gateway: Arc<Gateway>,
    stream: S,
    peer: SocketAddr,
    stop: watch::Receiver<bool>,
) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config::Limits { header_timeout, keep_alive, .. } = gateway.limits;
    let streams = Arc::new(Streams::default());
    let service = service_fn(|request: http::Request<Incoming>| {
        let (gateway, stream) = (Arc::clone(&gateway), Streams::open(&streams));
        async move {
            let answer = receive(&gateway, peer.ip(), request).await;
            drop(stream);
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::HTTP2_STREAMS_MAX)
        .max_header_list_size(u32::try_from(limits::HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(limits::HTTP2_RESETS_MAX)
        .max_local_error_reset_streams(limits::HTTP2_RESETS_MAX)
        .keep_alive_interval(keep_alive)
        .keep_alive_timeout(header_timeout)
        .serve_connection(TokioIo::new(stream), service);
    let mut stopping = Stopping::new(&gateway, stop);
    let mut idle = Idle { streams: &streams, opened: 0, patience: Patience::default() };
    let ends = |context: &mut Context<'_>| {
        let stopping = stopping.poll(context);
        let idle = idle.poll(header_timeout, keep_alive, context);
        if stopping.is_ready() || idle.is_ready() { Poll::Ready(()) } else { Poll::Pending }
    };
    tend(pin!(connection), ends, http2::Connection::graceful_shutdown).await
}

/// Sees a connection to its end. When `ends` is ready for the first time, the connection finishes what it is at; when it is
/// ready again, that has taken too long.
async fn tend<C>(
    mut connection: Pin<&mut C>,
    mut ends: impl FnMut(&mut Context<'_>) -> Poll<()>,
    finish: impl Fn(Pin<&mut C>),
) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut finishing = false;
    poll_fn(move |context| {
        if ends(context).is_ready() {
            if finishing {
                return Poll::Ready(Ok(()));
            }
            finishing = true;
            finish(connection.as_mut());
        }
        connection.as_mut().poll(context)
    })
    .await
}

/// Ready once, when the gateway is told to stop.
struct Stopping<'g> {
    gateway: &'g Gateway,
    /// Wakes the connection's task.
    told: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    asked: bool,
}

impl<'g> Stopping<'g> {
    fn new(gateway: &'g Gateway, mut stop: watch::Receiver<bool>) -> Self {
        let told = async move {
            // A sender that is gone has stopped as well.
            drop(stop.wait_for(|stop| *stop).await);
        };
        Self { gateway, told: Some(Box::pin(told)), asked: false }
    }

    /// Asking the channel takes locks, so it is asked once, to be woken, and again when the flag says that it is time. The
    /// task to be woken stays the same.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.asked && !self.gateway.is_stopping() {
            return Poll::Pending;
        }
        self.asked = true;
        let Some(told) = &mut self.told else { return Poll::Pending };
        ready!(told.as_mut().poll(context));
        self.told = None;
        Poll::Ready(())
    }
}

/// The streams of a connection of HTTP/2.
#[derive(Debug, Default)]
struct Streams {
    opened: AtomicU64,
    open: AtomicU64,
}

/// A stream that is open until this is dropped.
struct OpenStream(Arc<Streams>);

impl Streams {
    fn open(streams: &Arc<Self>) -> OpenStream {
        streams.opened.fetch_add(1, Ordering::Relaxed);
        streams.open.fetch_add(1, Ordering::Relaxed);
        OpenStream(Arc::clone(streams))
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Notices that nothing is asked on a connection of HTTP/2: hyper's pings only notice that nobody is there.
struct Idle<'s> {
    streams: &'s Streams,
    opened: u64,
    patience: Patience,
}

impl Idle<'_> {
    fn poll(&mut self, first: Duration, next: Duration, context: &mut Context<'_>) -> Poll<()> {
        let opened = self.streams.opened.load(Ordering::Relaxed);
        if opened != self.opened || self.streams.open.load(Ordering::Relaxed) > 0 {
            self.opened = opened;
            self.patience.renew();
        }
        if self.streams.open.load(Ordering::Relaxed) > 0 {
            return Poll::Pending;
        }
        ready!(self.patience.poll(if opened == 0 { first } else { next }, context));
        // Once more, for the client to see that it is told to go.
        self.patience.renew();
        // Not ready yet, but this task is woken when it is.
        let _armed = self.patience.poll(limits::ANSWER_TIMEOUT, context);
        Poll::Ready(())
    }
}

/// How many connections are open, in all and from each address.
#[derive(Debug, Default)]
struct OpenConnections {
    by_group: Mutex<HashMap<AddressGroup, usize>>,
}

/// A place among the open connections, given back when dropped.
struct Place {
    open: Arc<OpenConnections>,
    group: AddressGroup,
    gateway: Arc<Gateway>,
}

impl OpenConnections {
    fn take(self: &Arc<Self>, peer: IpAddr, gateway: &Arc<Gateway>) -> Option<Place> {
        let group = AddressGroup::of(peer);
        let mut by_group = self.by_group.lock().unwrap_or_else(PoisonError::into_inner);
        if gateway.metrics.connections.get()
            >= i64::try_from(gateway.limits.connections).unwrap_or(i64::MAX)
        {
            return None;
        }
        // A proxy's connections carry many senders'; they are bounded by the total alone.
        let from_here = by_group.entry(group).or_default();
        if *from_here >= gateway.limits.connections_per_address
            && !gateway.trusted_proxies.contains(peer)
        {
            return None;
        }
        *from_here += 1;
        gateway.metrics.connections.inc();
        Some(Place { open: Arc::clone(self), group, gateway: Arc::clone(gateway) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gateway.metrics.connections.dec();
        let mut by_group = self.open.by_group.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_group.get_mut(&self.group) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                by_group.remove(&self.group);
            }
        }
    }
}
