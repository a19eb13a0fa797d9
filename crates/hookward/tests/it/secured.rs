//! As it runs where it speaks TLS itself and systemd hands its secrets over.

use std::{fs, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{Request, StatusCode, Version};
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::program::{Gateway, ORDERS_SECRET, PATIENCE, Place, ran, signed_order};

#[test]
fn it_speaks_tls_and_http_2_with_secrets_that_systemd_hands_over() {
    let place = Place::new();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    place.write("cert.pem", &made.cert.pem());
    place.secret("key.pem", &made.signing_key.serialize_pem());
    let credentials = place.path().join("credentials");
    fs::create_dir(&credentials).unwrap();
    place.secret("credentials/orders", &format!("{ORDERS_SECRET}\n"));
    place.configure(|text| {
        let tls = "[server]\ntls = { cert = \"cert.pem\", key = \"key.pem\" }\n";
        text.replacen("[server]\n", tls, 1).replace("file:orders.secret", "credential:orders")
    });

    // What is not handed over is said to be missing, with its place.
    let missing =
        ["hookward.toml:12:10: sources.orders.secret: credential:orders", "LoadCredential"];
    place.run(&["check"]).badly(78, &missing);
    let with_credentials = |command: &str| {
        let mut command = place.command(&[command]);
        command.env("CREDENTIALS_DIRECTORY", &credentials);
        command
    };
    ran(with_credentials("check")).well();

    let gateway = Gateway::start(with_credentials("serve"));
    assert!(gateway.logs("taking webhooks at").contains("https://"));
    let mut believed = RootCertStore::empty();
    believed.add(made.cert.der().clone()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sent = runtime.block_on(async {
        let over_both = async {
            let over_2 = post(gateway.address, believed.clone(), b"h2", 1).await;
            (over_2, post(gateway.address, believed, b"http/1.1", 2).await)
        };
        tokio::time::timeout(PATIENCE, over_both).await.unwrap()
    });
    let ok = StatusCode::OK;
    assert_eq!(sent, ((ok, Version::HTTP_2), (ok, Version::HTTP_11)));
    let deliveries = place.app.got(2);
    assert_eq!(deliveries[0].body, signed_order(ORDERS_SECRET, 1).1);
    gateway.stops();
}

/// Posts an order over TLS by this protocol; the status and the version of the answer.
async fn post(
    address: SocketAddr,
    believed: RootCertStore,
    protocol: &[u8],
    number: usize,
) -> (StatusCode, Version) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.unwrap().with_root_certificates(believed).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));

    let (headers, body) = signed_order(ORDERS_SECRET, number);
    let is_2 = protocol == b"h2";
    let target = if is_2 { "https://localhost/hooks/orders" } else { "/hooks/orders" };
    let mut request = Request::post(target);
    if !is_2 {
        request = request.header("host", "localhost");
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let stream = TokioIo::new(stream);
    let answer = if is_2 {
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await
    } else {
        let (mut sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await
    };
    let answer = answer.unwrap();
    (answer.status(), answer.version())
}
