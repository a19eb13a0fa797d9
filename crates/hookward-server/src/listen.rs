//! Taking connections: bounded in number, each one's slowness its own problem, drained at the end.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
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

use crate::{framing::Framed, gateway::Gateway, receive::receive, tls::Tls};

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
    pub tls: Option<Arc<Tls>>,
    /// Whether to speak HTTP/2 without TLS to clients that start with it.
    pub http2_cleartext: bool,
}

/// Takes connections until `stop` says so, then lets those that are open finish what they are at.
///
/// Returns when all are closed; whoever cannot wait for that drops the future, which closes them.
pub(crate) async fn run(gateway: Arc<Gateway>, listen: Listen, mut stop: watch::Receiver<bool>) {
    let Listen { listener, tls, http2_cleartext } = listen;
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
        let connection = serve(
            Arc::clone(&gateway),
            stream,
            peer,
            acceptor.clone(),
            http2_cleartext,
            stop.clone(),
        );
        connections.spawn(async move {
            connection.await;
            drop(place);
        });
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
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    http2_cleartext: bool,
    stop: watch::Receiver<bool>,
) {
    // Answers are small and wanted at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "connection without TCP_NODELAY");
    }
    if let Some(acceptor) = acceptor {
        // Who does not finish the handshake is not worth a log line: port scanners come by every minute.
        let handshake = timeout(gateway.limits.tls_handshake_timeout, acceptor.accept(stream));
        let Ok(Ok(stream)) = handshake.await else { return };
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        speak(gateway, stream, peer, protocol, stop).await;
    } else {
        let http2 = http2_cleartext && starts_with_http2(&stream).await;
        speak(gateway, stream, peer, if http2 { Protocol::Http2 } else { Protocol::Http1 }, stop)
            .await;
    }
}

/// Whether the client begins with the preface of HTTP/2. Looks without taking.
async fn starts_with_http2(stream: &TcpStream) -> bool {
    const START: &[u8] = b"PRI ";
    let mut start = [0; START.len()];
    let peeked = timeout(limits::HEADER_TIMEOUT, async {
        loop {
            match stream.peek(&mut start).await {
                Ok(count)
                    if count < START.len()
                        && START.get(..count) == start.get(..count)
                        && count > 0 =>
                {
                    // The preface came in pieces: rare enough to ask again a little later.
                    sleep(Duration::from_millis(5)).await;
                }
                Ok(_) => return start == START,
                Err(_) => return false,
            }
        }
    });
    peeked.await.unwrap_or(false)
}

async fn speak<S>(
    gateway: Arc<Gateway>,
    stream: S,
    peer: SocketAddr,
    protocol: Protocol,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config::Limits { header_timeout, keep_alive, .. } = gateway.limits;
    let answer = move |request: http::Request<Incoming>| {
        let gateway = Arc::clone(&gateway);
        async move { Ok::<_, Infallible>(receive(&gateway, peer.ip(), request).await) }
    };
    // A connection that breaks rules, stalls or goes away ends by itself; its requests were counted where they were read.
    match protocol {
        Protocol::Http1 => {
            let (stream, lengths) = Framed::new(stream, header_timeout);
            let service = service_fn(move |mut request: http::Request<Incoming>| {
                lengths.restore(request.headers_mut());
                answer(request)
            });
            let mut connection = std::pin::pin!(
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    // Waiting for a head that has begun ends sooner, in `Framed`.
                    .header_read_timeout(keep_alive.max(header_timeout))
                    .max_buf_size(limits::HEAD_BYTES_MAX)
                    .max_headers(limits::HEADERS_MAX)
                    .half_close(false)
                    .serve_connection(TokioIo::new(stream), service)
            );
            tokio::select! {
                ended = connection.as_mut() => return log_end(peer, ended),
                _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
            }
            log_end(peer, connection.await);
        }
        Protocol::Http2 => {
            let mut connection = std::pin::pin!(
                http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .max_concurrent_streams(limits::HTTP2_STREAMS_MAX)
                    .max_header_list_size(u32::try_from(limits::HEAD_BYTES_MAX).unwrap_or(u32::MAX))
                    .max_pending_accept_reset_streams(HTTP2_RESETS_MAX)
                    .max_local_error_reset_streams(HTTP2_RESETS_MAX)
                    .keep_alive_interval(keep_alive)
                    .keep_alive_timeout(limits::HEADER_TIMEOUT)
                    .serve_connection(TokioIo::new(stream), service_fn(answer))
            );
            tokio::select! {
                ended = connection.as_mut() => return log_end(peer, ended),
                _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
            }
            log_end(peer, connection.await);
        }
    }
}

/// Streams that a client opens and resets, or makes us reset, before it is told to go away: HTTP/2's cheapest floods.
const HTTP2_RESETS_MAX: usize = 64;

fn log_end(peer: SocketAddr, ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection ended early");
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
