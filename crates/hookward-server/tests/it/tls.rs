//! TLS, and HTTP/2 over it.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use hookward_server::Pace;
use http::{Request, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt as _, net::TcpStream, task::JoinHandle};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    wire::{Answer, Letter, Wire},
    world::{ORDERS_SECRET, Setup, World, log, soon},
};

/// A certificate for localhost that signs itself, in two files.
struct Certificate {
    folder: TempDir,
    der: CertificateDer<'static>,
}

impl Certificate {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let der = Self::write(folder.path());
        Self { folder, der }
    }

    fn write(folder: &Path) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap()
    }

    fn on(&self, setup: Setup) -> Setup {
        let (cert, key) = (self.folder.path().join("cert.pem"), self.folder.path().join("key.pem"));
        setup.but(move |config| {
            config.server.tls = Some(hookward_core::config::Tls { cert, key });
        })
    }
}

/// A client that believes these certificates.
async fn connect(
    address: SocketAddr,
    believed: &[&CertificateDer<'static>],
    protocols: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for der in believed {
        roots.add((*der).clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

type Sender = http2::SendRequest<Full<Bytes>>;

async fn speak_http2<S>(stream: S) -> (Sender, JoinHandle<hyper::Result<()>>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let spoken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = spoken.unwrap();
    (sender, tokio::spawn(connection))
}

/// Sends a letter as a stream of HTTP/2.
async fn sends(sender: &mut Sender, letter: &Letter) -> hyper::Result<Answer> {
    let mut request = Request::builder()
        .method(&*letter.method)
        .uri(format!("https://localhost{}", letter.target))
        .version(Version::HTTP_2);
    for (name, value) in letter.headers.iter().filter(|(name, _)| name != "host") {
        request = request.header(name, &value[..]);
    }
    let body = Full::new(Bytes::from(letter.body.clone()));
    let (parts, body) = sender.send_request(request.body(body).unwrap()).await?.into_parts();
    assert_eq!(parts.version, Version::HTTP_2);
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value)));
    let body = body.collect().await?.to_bytes().to_vec();
    Ok(Answer { status: parts.status.as_u16(), headers: headers.collect(), body })
}

#[tokio::test]
async fn http_2_is_spoken_over_tls() {
    let certificate = Certificate::new();
    let setup = certificate.on(Setup::default());
    let world = setup.but_source("plain", |rules| rules.body_bytes_max = 1_000).begins().await;
    let stream = connect(world.address(), &[&certificate.der], &[b"h2"]).await.unwrap();
    let (mut sender, _connection) = speak_http2(stream).await;

    let first = sends(&mut sender, &world.order(1)).await.unwrap();
    assert_eq!((first.status, first.text()), (200, r#"{"status":"accepted"}"#));
    let again = sends(&mut sender, &world.order(1)).await.unwrap();
    assert_eq!(first.but_date(), again.but_date());
    let large = world.letter("plain", "", "x".repeat(2_000));
    let method = world.order(1).by("GET");
    for (letter, expected) in [
        (world.order(2).saying("{}"), 403),
        (world.order(2).without("webhook-signature"), 403),
        (world.order(2).at("/elsewhere"), 404),
        (world.order(2).with("content-type", "text/plain"), 415),
        (large, 413),
        (method, 405),
    ] {
        let answer = sends(&mut sender, &letter).await.unwrap();
        assert_eq!(answer.status, expected, "{letter:?}");
        // HTTP/2 has no such header.
        assert_eq!(answer.header("connection"), None);
    }

    let mut streams = tokio::task::JoinSet::new();
    for number in 2..=50 {
        let (mut sender, letter) = (sender.clone(), world.order(number));
        streams.spawn(async move { sends(&mut sender, &letter).await.unwrap().status });
    }
    assert!(streams.join_all().await.iter().all(|status| *status == 200));
    let deliveries = world.delivers(50).await;
    assert!(deliveries.iter().all(|delivery| delivery.verified == Ok(())));

    // What the protocol's own crate logs, at the level of most detail, gives nothing away either.
    let (log, letter) = (log(), world.order(1));
    assert!(log.contains("\"target\":\"h2::"));
    let signature = letter.header("webhook-signature").trim_start_matches("v1,").to_owned();
    for hidden in [&signature, ORDERS_SECRET, "order.paid"] {
        let found = log.lines().find(|line| line.contains(hidden));
        assert_eq!(found, None, "{hidden}");
    }
}

#[tokio::test]
async fn http_1_is_spoken_over_tls_to_who_asks_for_nothing_else() {
    let certificate = Certificate::new();
    let world = certificate.on(Setup::default()).begins().await;
    for protocols in [&[b"http/1.1" as &[u8]] as &[&[u8]], &[]] {
        let stream = connect(world.address(), &[&certificate.der], protocols).await.unwrap();
        assert_eq!(Wire::over(stream).sends(&world.order(1)).await.status, 200);
    }
    // Without TLS there is nothing to be had.
    let mut plain = Wire::to(world.address()).await;
    plain.write(world.order(2).bytes()).await;
    assert!(!plain.rest().await.starts_with(b"HTTP"));
    world.delivers(1).await;
}

#[tokio::test]
async fn a_new_certificate_is_used_from_the_next_connection_on() {
    let certificate = Certificate::new();
    let mut world = certificate.on(Setup::default()).begins().await;
    let before = connect(world.address(), &[&certificate.der], &[b"http/1.1"]).await.unwrap();
    let mut before = Wire::over(before);
    assert_eq!(before.sends(&world.order(1)).await.status, 200);

    let renewed = Certificate::write(certificate.folder.path());
    world.reloads(|_| {}).await;
    assert!(connect(world.address(), &[&certificate.der], &[b"http/1.1"]).await.is_err());
    let after = connect(world.address(), &[&renewed], &[b"http/1.1"]).await.unwrap();
    assert_eq!(Wire::over(after).sends(&world.order(2)).await.status, 200);
    assert_eq!(before.sends(&world.order(3)).await.status, 200);

    // With one of no use nothing is taken up, neither it nor the rest of the configuration.
    std::fs::write(certificate.folder.path().join("cert.pem"), "no certificate").unwrap();
    let wrong = world.tries_to_reload(|config| config.sources.truncate(1)).await.unwrap_err();
    assert!(wrong.to_string().contains("cert.pem holds no usable certificate"), "{wrong}");
    let after = connect(world.address(), &[&renewed], &[b"http/1.1"]).await.unwrap();
    let mut after = Wire::over(after);
    assert_eq!(after.sends(&world.order(4)).await.status, 200);
    assert_eq!(after.sends(&world.letter("plain", "", r#"{"id":1}"#)).await.status, 200);
}

#[tokio::test]
async fn a_renewed_certificate_is_noticed_without_being_told() {
    let certificate = Certificate::new();
    let pace = Pace { housekeeping: Duration::from_millis(10), ..Pace::default() };
    let world = certificate.on(Setup::default()).at_pace(pace).begins().await;
    let connect_to = async |der| connect(world.address(), &[der], &[b"http/1.1"]).await;
    connect_to(&certificate.der).await.unwrap();

    let renewed = Certificate::write(certificate.folder.path());
    world.keeps_house().await;
    assert!(connect_to(&certificate.der).await.is_err());
    let stream = connect_to(&renewed).await.unwrap();
    assert_eq!(Wire::over(stream).sends(&world.order(1)).await.status, 200);
    assert!(log().contains("certificate reloaded"));

    std::fs::write(certificate.folder.path().join("key.pem"), "no key").unwrap();
    world.keeps_house().await;
    assert!(log().contains("certificate not reloaded, the former stays in use"));
    let stream = connect_to(&renewed).await.unwrap();
    assert_eq!(Wire::over(stream).sends(&world.order(2)).await.status, 200);
}

#[tokio::test]
async fn who_does_not_finish_the_handshake_is_let_go() {
    let certificate = Certificate::new();
    let setup = certificate.on(Setup::default()).but(|config| {
        config.limits.tls_handshake_timeout = Duration::from_millis(100);
    });
    let world = setup.begins().await;
    for start in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut wire = Wire::to(world.address()).await;
        wire.write(start).await;
        assert_eq!(wire.rest().await, b"");
    }
}

#[tokio::test]
async fn http_2_without_tls_is_spoken_only_where_it_is_asked_for() {
    let mut closed = World::new().await;
    let stream = TcpStream::connect(closed.address()).await.unwrap();
    let (mut sender, _connection) = speak_http2(stream).await;
    assert!(sends(&mut sender, &closed.order(1)).await.is_err());
    assert!(closed.stored().await.is_empty());
    assert!(soon("it stops", closed.stops(Duration::from_secs(20))).await.unwrap());

    let open = Setup::default().but(|config| config.server.http2_cleartext = true).begins().await;
    let stream = TcpStream::connect(open.address()).await.unwrap();
    let (mut sender, _connection) = speak_http2(stream).await;
    assert_eq!(sends(&mut sender, &open.order(1)).await.unwrap().status, 200);
    // And HTTP/1.1 still is.
    open.takes_orders([2]).await;
    open.delivers(2).await;
}

#[tokio::test]
async fn streams_in_progress_are_finished_while_the_gateway_stops() {
    let certificate = Certificate::new();
    let mut world = certificate.on(Setup::default()).begins().await;
    let stream = connect(world.address(), &[&certificate.der], &[b"h2"]).await.unwrap();
    let (mut sender, connection) = speak_http2(stream).await;
    let gate = world.store.hold(hookward_store::fault::Op::Append);
    let letter = world.order(1);
    let answer = tokio::spawn(async move { sends(&mut sender, &letter).await });
    gate.arrived(1).await;
    let stopping = world.stops(Duration::from_secs(20));
    world.refuses_connections().await;
    gate.open();
    assert_eq!(answer.await.unwrap().unwrap().status, 200);
    assert!(soon("the gateway stops", stopping).await.unwrap());
    soon("the connection ends", connection).await.unwrap().unwrap();
    assert_eq!(world.stored().await.len(), 1);
}

#[tokio::test]
async fn a_connection_that_asks_nothing_does_not_hold_up_the_end() {
    let certificate = Certificate::new();
    let mut world = certificate.on(Setup::default()).begins().await;
    let before_tls = TcpStream::connect(world.address()).await.unwrap();
    let stream = connect(world.address(), &[&certificate.der], &[b"h2"]).await.unwrap();
    assert!(soon("it stops", world.stops(Duration::from_mins(10))).await.unwrap());
    drop((before_tls, stream));
}

#[tokio::test]
async fn a_client_of_http_2_has_to_ask_for_something() {
    let certificate = Certificate::new();
    let setup = certificate.on(Setup::default().delivering_nowhere()).but(|config| {
        config.limits.header_timeout = Duration::from_millis(200);
        config.limits.keep_alive = Duration::from_millis(300);
    });
    let world = setup.begins().await;
    let connect = async || connect(world.address(), &[&certificate.der], &[b"h2"]).await;
    // One says nothing, one only speaks the protocol, and one asks once. Each answers every ping, and keeps its end open.
    let mut silent = connect().await.unwrap();
    let (_idle, idles) = speak_http2(connect().await.unwrap()).await;
    let (mut sender, rests) = speak_http2(connect().await.unwrap()).await;
    assert_eq!(sends(&mut sender, &world.order(1)).await.unwrap().status, 200);
    let mut said = Vec::new();
    let ended = soon("the silent one is left", silent.read_to_end(&mut said)).await;
    // Whoever has not begun is left without a farewell of TLS.
    let cut_off = |error: &std::io::Error| error.kind() == std::io::ErrorKind::UnexpectedEof;
    assert!(ended.as_ref().map_or_else(cut_off, |_| true), "{ended:?}");
    soon("the idle one is told to go", idles).await.unwrap().unwrap();
    soon("the resting one is told to go", rests).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_flood_of_reset_streams_is_told_to_go_away() {
    use tokio::io::AsyncWriteExt as _;
    let setup = Setup::default().but(|config| config.server.http2_cleartext = true);
    let world = setup.begins().await;
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
    for number in 0..1_000_u32 {
        let id = (number * 2 + 1).to_be_bytes();
        // HEADERS with `:method: POST`, `:scheme: http`, `:path: /`, END_HEADERS; then RST_STREAM, CANCEL.
        bytes.extend_from_slice(&[0, 0, 3, 1, 4]);
        bytes.extend_from_slice(&id);
        bytes.extend_from_slice(&[0x83, 0x86, 0x84]);
        bytes.extend_from_slice(&[0, 0, 4, 3, 0]);
        bytes.extend_from_slice(&id);
        bytes.extend_from_slice(&[0, 0, 0, 8]);
    }
    // It may close before it has read all.
    let written = stream.write_all(&bytes).await;
    let mut said = Vec::new();
    let ended = soon("it closes", stream.read_to_end(&mut said)).await;
    assert!(written.is_err() || ended.is_err() || goes_away(&said), "{said:?}");
    // Others are served.
    world.takes_orders([1]).await;
}

/// Whether among these frames is a GOAWAY that asks for calm.
fn goes_away(mut frames: &[u8]) -> bool {
    while let Some((head, rest)) = frames.split_at_checked(9) {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let Some((payload, rest)) = rest.split_at_checked(length) else { return false };
        if head[3] == 7 {
            return payload[4..8] == [0, 0, 0, 11];
        }
        frames = rest;
    }
    false
}
