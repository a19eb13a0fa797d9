//! Requests on which two verifiers might not agree, for the schemes that most others are like.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::hmac;

use crate::support::{NOW, Recorded};

/// The providers that it has requests of.
pub(super) const PROVIDERS: [&str; 4] = ["stripe", "slack", "standard-webhooks", "svix"];

const STRIPE_SECRET: &str = "whsec_T7kPq2vLz9WcXfR4sB1nYd8mGh3jKe6A";
const SLACK_SECRET: &str = "c21acdf7adbdf2b9d9f1e2a66bd5a3c8";
const BASE64_SECRET: &str = "whsec_kYwUNXqv3TgEOLzkRJBJpx8a1JhLwPTQ";
const BODY: &[u8] = br#"{"id":"evt_1","type":"invoice.paid"}"#;

/// The written signature of a request, by another implementation than ours and theirs. `time` is any text.
fn signature(provider: &str, id: &str, time: &str, body: &[u8]) -> String {
    let mac = |secret: &[u8], content: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), &[content.as_bytes(), body].concat())
    };
    match provider {
        "stripe" => hex::encode(mac(STRIPE_SECRET.as_bytes(), &format!("{time}."))),
        "slack" => hex::encode(mac(SLACK_SECRET.as_bytes(), &format!("v0:{time}:"))),
        _ => {
            let secret = BASE64.decode(BASE64_SECRET.strip_prefix("whsec_").unwrap()).unwrap();
            BASE64.encode(mac(&secret, &format!("{id}.{time}.")))
        }
    }
}

/// A request that is signed rightly, with this id, time and body. `signatures` makes the header's value of the signature.
fn request(
    provider: &str,
    case: &str,
    (id, time, body): (&str, &str, &[u8]),
    signatures: &dyn Fn(&str) -> String,
) -> Recorded {
    let value = signatures(&signature(provider, id, time, body));
    let (secret, headers) = match provider {
        "stripe" => (STRIPE_SECRET, vec![("stripe-signature", value)]),
        "slack" => (
            SLACK_SECRET,
            vec![("x-slack-request-timestamp", time.to_owned()), ("x-slack-signature", value)],
        ),
        "svix" => (
            BASE64_SECRET,
            vec![
                ("svix-id", id.to_owned()),
                ("svix-timestamp", time.to_owned()),
                ("svix-signature", value),
            ],
        ),
        _ => (
            BASE64_SECRET,
            vec![
                ("webhook-id", id.to_owned()),
                ("webhook-timestamp", time.to_owned()),
                ("webhook-signature", value),
            ],
        ),
    };
    let headers = headers.into_iter().chain([("content-type", "application/json".to_owned())]);
    Recorded {
        provider: provider.to_owned(),
        case: case.to_owned(),
        secrets: vec![secret.to_owned()],
        headers: headers.map(|(name, value)| (name.to_owned(), value)).collect(),
        body: body.to_vec(),
        now: NOW,
    }
}

/// Requests on which two verifiers might not agree. All but those that say so are signed rightly, by a holder of the secret.
pub(super) fn borderline() -> Vec<Recorded> {
    let now = NOW.to_string();
    let mut all = Vec::new();
    for provider in PROVIDERS {
        let usual = |time: &str| {
            let (provider, time) = (provider.to_owned(), time.to_owned());
            move |signature: &str| match &*provider {
                "stripe" => format!("t={time},v1={signature}"),
                "slack" => format!("v0={signature}"),
                _ => format!("v1,{signature}"),
            }
        };
        let mut add =
            |case: &str, parts: (&str, &str, &[u8]), signatures: &dyn Fn(&str) -> String| {
                all.push(request(provider, case, parts, signatures));
            };

        let at = |offset: i64| NOW.saturating_add_signed(offset).to_string();
        for (case, time) in [
            ("now", now.clone()),
            ("the oldest time", at(-300)),
            ("a second too old", at(-301)),
            ("the furthest time ahead", at(300)),
            ("a second too far ahead", at(301)),
            ("a year ahead", at(31_536_000)),
            ("a time with a sign", format!("+{now}")),
            ("a negative time", format!("-{now}")),
            ("a time with a zero before", format!("0{now}")),
            ("a time with a fraction", format!("{now}.0")),
            ("a time with underscores", "1_795_478_400".to_owned()),
            ("a time with an exponent", "1795478400e0".to_owned()),
            ("a time in milliseconds", format!("{now}000")),
            ("a time in words", "now".to_owned()),
            ("a time that is no number", "nan".to_owned()),
            ("an infinite time", "inf".to_owned()),
        ] {
            add(case, ("msg_1", &*time, BODY), &usual(&time));
        }
        add("an empty body", ("msg_1", &now, b""), &usual(&now));
        add("a body that is not JSON", ("msg_1", &now, b"hello"), &usual(&now));
        add("a body that is not UTF-8", ("msg_1", &now, b"{\"id\":\"\xff\"}"), &usual(&now));

        let parts = ("msg_1", &*now, BODY);
        match provider {
            "stripe" | "slack" => {
                add("hex in upper case", parts, &|it| usual(&now)(&it.to_uppercase()));
                add("a byte too many", parts, &|it| usual(&now)(&format!("{it}00")));
            }
            _ => {
                let prefix = if provider == "svix" { "svix" } else { "webhook" };
                add("base64 without padding", parts, &|it| usual(&now)(it.trim_end_matches('=')));
                add("junk within the base64", parts, &|it| {
                    usual(&now)(&format!("{}!{}", &it[..9], &it[9..]))
                });
                add("no version", parts, &str::to_owned);
                add("a version that is not known first", parts, &|it| format!("v9,abcd v1,{it}"));
                add("another signature first", parts, &|it| {
                    format!("v1,{} v1,{it}", BASE64.encode([7; 32]))
                });
                add("a word first", parts, &|it| format!("word v1,{it}"));
                add("a signature that cannot be decoded first", parts, &|it| {
                    format!("v1,abcde v1,{it}")
                });
                add("two spaces between", parts, &|it| format!("v1,abcd  v1,{it}"));
                add("signatures separated by a comma", parts, &|it| format!("v1,abcd,v1,{it}"));
                add("nine signatures", parts, &|it| format!("{}v1,{it}", "v1,abcd ".repeat(8)));
                add("an id with a dot", ("msg.1", &now, BODY), &usual(&now));
                add("an id with a space", ("msg 1", &now, BODY), &usual(&now));
                add("an id of 257 characters", (&"m".repeat(257), &now, BODY), &usual(&now));
                let mut both_names =
                    request(provider, "the other header names", parts, &usual(&now));
                for (name, _) in &mut both_names.headers {
                    let other = if provider == "svix" { "webhook" } else { "svix" };
                    *name = name.replace(prefix, other);
                }
                all.push(both_names);
            }
        }
        if provider == "stripe" {
            let mut add = |case: &str, value: &dyn Fn(&str) -> String| {
                all.push(request(provider, case, parts, value));
            };
            add("only v0", &|it| format!("t={now},v0={it}"));
            add("v0 and v1", &|it| format!("t={now},v0={},v1={it}", "0".repeat(64)));
            add("v1 before the time", &|it| format!("v1={it},t={now}"));
            add("another signature first", &|it| format!("t={now},v1={},v1={it}", "0".repeat(64)));
            add("a signature that is not hex first", &|it| format!("t={now},v1=zz,v1={it}"));
            add("nine signatures", &|it| format!("t={now},{}v1={it}", "v1=00,".repeat(8)));
            add("a space after the comma", &|it| format!("t={now}, v1={it}"));
            add("a space before the time", &|it| format!("t= {now},v1={it}"));
            add("a word between", &|it| format!("t={now},word,v1={it}"));
            add("the time twice", &|it| format!("t={now},t={now},v1={it}"));
            add("a second time after the signed one", &|it| format!("t={now},v1={it},t=1"));
            add("a second time before the signed one", &|it| format!("t=1,t={now},v1={it}"));
            add("no time", &|it| format!("v1={it}"));
        }
    }
    all
}
