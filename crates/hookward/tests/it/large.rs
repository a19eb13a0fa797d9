//! Events that are larger than an item of a table can be: refused without a bucket, delivered with one, on DynamoDB Local and
//! a server that speaks S3.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
};

use hookward_core::{
    Source, SourceName,
    provider::Provider,
    scheme::Sample,
    secret::{Secret, Validity},
    source::SourceRules,
};
use hookward_server::{Clock as _, SystemClock};

use crate::{
    bucket, engine,
    program::{Gateway, ORDERS_SECRET, PATIENCE, Place, ran},
};

/// A folder whose configuration names a new table, and more of [store].
fn place(table: &str, more: &str) -> Place {
    let place = Place::new();
    let store = format!(
        "[store]\nkind = \"dynamodb\"\ntable = \"{table}-{}\"\nregion = \"eu-central-1\"\nendpoint = \"http://{}\"\n{more}",
        std::process::id(),
        engine::address()
    );
    place.configure(|text| text.replace("[store]\npath = \"events\"", &store));
    ran(program(&place, &["dynamodb", "create"])).well();
    place
}

/// The program with credentials that everybody here takes.
fn program(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.command(arguments);
    command.env("AWS_ACCESS_KEY_ID", "hookward").env("AWS_SECRET_ACCESS_KEY", "hookward");
    command.env("AWS_ENDPOINT_URL_S3", format!("http://{}", bucket::address()));
    command
}

/// Sends a request as it is; the whole answer.
fn ask(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Asks the S3 server to put something; it believes whoever says who they are.
fn puts(path: &str, body: &str) {
    let scope =
        "Credential=hookward/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    let answer = ask(
        bucket::address(),
        &format!(
            "PUT {path} HTTP/1.1\r\nhost: {}\r\nauthorization: AWS4-HMAC-SHA256 {scope}\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            bucket::address(),
            body.len()
        ),
    );
    assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
}

/// A body that compresses to three quarters of these bytes.
fn body(bytes: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = 7_u64;
    let noise = std::iter::repeat_with(|| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(LETTERS[usize::try_from(state >> 58).unwrap()])
    });
    format!(r#"{{"type":"export.ready","data":"{}"}}"#, noise.take(bytes).collect::<String>())
}

/// A signed request of the source `orders` with this body.
fn request(body: &str) -> String {
    let provider = Provider::named("standard-webhooks").unwrap();
    let rules = SourceRules::of_provider(SourceName::parse("orders").unwrap(), "/", provider);
    let secret = Secret::new(ORDERS_SECRET.to_owned());
    let sender = Source::new(rules, vec![(secret, Validity::default())]).unwrap();
    let signed = sender
        .scheme()
        .sign(Sample { id: "msg_1", at: SystemClock::start().now(), body: body.as_bytes() })
        .unwrap()
        .headers;
    let lines: Vec<_> =
        signed.into_iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!(
        "POST /hooks/orders HTTP/1.1\r\nhost: gateway.test\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n{}\r\n{body}",
        body.len(),
        lines.concat()
    )
}

#[test]
fn without_a_bucket_what_no_item_takes_is_refused_for_good() {
    let place = place("refused", "");
    let gateway = Gateway::start(program(&place, &["serve"]));
    let answer = ask(gateway.address, &request(&body(600_000)));
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let told = r#"{"code":"too_large","message":"the event is larger than the 358400 bytes that can be kept"}"#;
    assert!(answer.contains(told), "{answer}");
    let logged = gateway.logs("its sender told that it is too large");
    assert!(logged.contains("358400 bytes") && logged.contains("large_bodies_bucket"), "{logged}");
    // What compresses is not too large.
    let text = format!(r#"{{"type":"export.ready","data":"{}"}}"#, "a".repeat(900_000));
    let answer = ask(gateway.address, &request(&text));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    gateway.stops();
}

#[test]
fn with_a_bucket_it_is_delivered_and_looked_at() {
    let name = format!("large-{}", std::process::id());
    let place = place("large", &format!("large_bodies_bucket = \"{name}\""));
    puts(&format!("/{name}"), "");
    let gateway = Gateway::start(program(&place, &["serve"]));
    let sent = body(600_000);
    let answer = ask(gateway.address, &request(&sent));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let delivered = place.app.got(1);
    assert!(delivered[0].body == sent, "{} bytes", delivered[0].body.len());
    gateway.stops();
    // Who looks has nothing of it in memory.
    let list = ran(program(&place, &["events", "list", "--json"])).json();
    assert_eq!((&list[0]["state"], &list[0]["body_bytes"]), (&"done".into(), &sent.len().into()));
    let show = ["events", "show", list[0]["key"].as_str().unwrap(), "--body", "--json"];
    let shown = ran(program(&place, &show)).json();
    assert!(shown["body"] == *sent, "{} bytes", shown["body"].as_str().unwrap().len());
}

/// What the doctor finds of a check, as its severity and text.
fn found(place: &Place, check: &str) -> (String, String) {
    let json: serde_json::Value =
        serde_json::from_str(&ran(program(place, &["doctor", "--json"])).out).unwrap();
    let finding = json["findings"].as_array().unwrap().iter().find(|it| it["check"] == check);
    let finding = finding.unwrap_or_else(|| panic!("{check}: {json:#}"));
    let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    (text("severity"), format!("{}; {}", text("found"), text("todo")))
}

#[test]
fn the_doctor_looks_at_the_bucket() {
    let name = format!("doctor-{}", std::process::id());
    let place = place("looked-at", &format!("large_bodies_bucket = \"{name}\""));
    let check = |check: &str, severity: &str, said: &str| {
        let (found, text) = found(&place, check);
        assert!(found == severity && text.contains(said), "{check}: {found}: {text}");
    };
    check("bucket", "error", "there is no such bucket");
    puts(&format!("/{name}"), "");
    check("bucket", "good", "is there");
    check("bucket-lifecycle", "warning", "nothing is ever deleted");
    check("bucket-public-access", "warning", "put-public-access-block");
    let rule = |days: u32| {
        let rule = format!(
            "<LifecycleConfiguration><Rule><ID>a</ID><Filter><Prefix>hookward/</Prefix></Filter>\
             <Status>Enabled</Status><Expiration><Days>{days}</Days></Expiration></Rule></LifecycleConfiguration>"
        );
        puts(&format!("/{name}?lifecycle"), &rule);
    };
    rule(7);
    check("bucket-lifecycle", "error", "after 7 days, and bodies may be needed for 38 days");
    rule(38);
    check("bucket-lifecycle", "good", "after 38 days");
    let all = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
    let all = all.map(|name| format!("<{name}>true</{name}>")).concat();
    let block = format!("<PublicAccessBlockConfiguration>{all}</PublicAccessBlockConfiguration>");
    puts(&format!("/{name}?publicAccessBlock"), &block);
    check("bucket-public-access", "good", "blocked");
    let rule = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
                <SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>\
                </ServerSideEncryptionConfiguration>";
    puts(&format!("/{name}?encryption"), rule);
    check("bucket-encryption", "good", "AES256");
    let explained = include_str!("../../../../docs/dynamodb.md");
    for check in ["bucket", "bucket-lifecycle", "bucket-public-access", "bucket-encryption"] {
        assert!(
            explained.contains(&format!("`{check}`")),
            "docs/dynamodb.md does not explain {check}"
        );
    }
}

#[test]
fn where_s3_is_said_to_be_is_not_spoken_to_in_the_clear() {
    let place = place("clear", "large_bodies_bucket = \"bodies\"");
    let mut command = program(&place, &["events", "list"]);
    command.env("AWS_ENDPOINT_URL_S3", "http://10.0.0.1:9000");
    ran(command).badly(78, &["AWS_ENDPOINT_URL_S3: plain http to another machine"]);
}
