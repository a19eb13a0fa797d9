//! The providers' own packages (`stripe`, `slack-sdk`, `standardwebhooks`, `svix`, see `tests/oracles`) as second opinion:
//! what they sign we admit, what we sign they take, and where the two differ is written down here.
//!
//! None of them signs or verifies `v1a` (Ed25519): that has the published vector in `tests/vectors/standard-webhooks.json`.

use std::{collections::BTreeSet, fs, process::Command};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hookward_core::Refusal;
use ring::hmac;

use crate::support::{self, NOW, Recorded, ask, installed, root, rules, source_of};

/// One of the programs in `tests/oracles`.
fn python(script: &str) -> Command {
    let mut command = Command::new(installed("venv/bin/python"));
    command.arg(root().join("tests/oracles").join(script));
    command
}

/// What the official packages signed.
fn signed_by_them() -> Vec<Recorded> {
    let signed: Vec<Recorded> = ask(&mut python("sign.py"), &());
    assert!(signed.len() >= 100, "only {} requests", signed.len());
    signed
}

/// Why the official packages refuse each request; `None` where they take it.
fn verdicts(requests: &[Recorded]) -> Vec<Option<String>> {
    let verdicts: Vec<_> = ask(&mut python("verify.py"), &requests);
    assert_eq!(verdicts.len(), requests.len());
    verdicts
}

fn outcome(request: &Recorded) -> &'static str {
    request.admit().as_ref().map_or_else(Refusal::as_str, |_| "admitted")
}

#[test]
fn what_the_official_packages_sign_is_admitted_byte_for_byte() {
    for request in signed_by_them() {
        let event = request.admit().unwrap_or_else(|refusal| panic!("{}: {refusal}", request.case));
        assert_eq!(event.body, request.body, "{}", request.case);
        let mut later = request.clone();
        later.now += 300;
        let again =
            later.admit().unwrap_or_else(|refusal| panic!("{} later: {refusal}", request.case));
        assert_eq!(again.key, event.key, "{}: repeated", request.case);
    }
}

/// Where a provider's headers have what.
struct Shape {
    signature: &'static str,
    /// What stands before a signature.
    label: &'static str,
    /// The label that a version has that does not count.
    other_label: &'static str,
    /// Beside the signature's header.
    others: &'static [&'static str],
    /// The header that holds the time.
    time: &'static str,
}

fn shape(provider: &str) -> Shape {
    match provider {
        "stripe" => Shape {
            signature: "stripe-signature",
            label: "v1=",
            other_label: "v0=",
            others: &[],
            time: "stripe-signature",
        },
        "slack" => Shape {
            signature: "x-slack-signature",
            label: "v0=",
            other_label: "v1=",
            others: &["x-slack-request-timestamp"],
            time: "x-slack-request-timestamp",
        },
        "standard-webhooks" => Shape {
            signature: "webhook-signature",
            label: "v1,",
            other_label: "v1a,",
            others: &["webhook-id", "webhook-timestamp"],
            time: "webhook-timestamp",
        },
        "svix" => Shape {
            signature: "svix-signature",
            label: "v1,",
            other_label: "v2,",
            others: &["svix-id", "svix-timestamp"],
            time: "svix-timestamp",
        },
        other => panic!("no official package for {other}"),
    }
}

/// A signed request with one thing changed, in every way that an attacker without the secret would try, and the
/// refusal that it must meet.
fn tampered(signed: &Recorded) -> Vec<(Recorded, &'static str)> {
    let Shape { signature, label, other_label, others, time } = shape(&signed.provider);
    let mut all = Vec::new();
    let mut with = |what: &str, expected, change: &dyn Fn(&mut Recorded)| {
        let mut request = signed.clone();
        request.case = format!("{} but {what}", signed.case);
        change(&mut request);
        all.push((request, expected));
    };
    let last = signed.body.len() - 1;
    for part in 0..=4 {
        let at = last * part / 4;
        with(&format!("byte {at} changed"), "wrong_signature", &|it| it.body[at] ^= 1);
    }
    with("a byte more", "wrong_signature", &|it| it.body.push(b'\n'));
    with("a byte less", "wrong_signature", &|it| it.body.truncate(last));
    with("an empty body", "wrong_signature", &|it| it.body.clear());
    let (fresh, refreshed) = (NOW.to_string(), (NOW + 1).to_string());
    with("a fresher time", "wrong_signature", &|it| {
        let value = it.header_mut(time);
        *value = value.replace(&fresh, &refreshed);
    });
    with("all signatures changed", "wrong_signature", &|it| {
        let value = it.header_mut(signature);
        for at in value.match_indices(label).map(|(at, _)| at + label.len()).collect::<Vec<_>>() {
            let other = if &value[at..=at] == "a" { "b" } else { "a" };
            value.replace_range(at..=at, other);
        }
    });
    with("labelled as another version", "malformed_signature", &|it| {
        let value = it.header_mut(signature);
        *value = value.replace(label, other_label);
    });
    with("all signatures cut short", "malformed_signature", &|it| {
        let value = it.header_mut(signature);
        let cut = value.split_inclusive([' ', ',']).map(|part| {
            let separator = part.rfind([' ', ',']).unwrap_or(part.len());
            let (text, separator) = part.split_at(separator);
            if text.len() < 40 {
                part.to_owned()
            } else {
                format!("{}{separator}", &text[..text.len() - 4])
            }
        });
        *value = cut.collect();
    });
    with("under another secret", "wrong_signature", &|it| {
        it.secrets = vec![match &*it.provider {
            "stripe" | "slack" => "0f7c3b1e6a5d4928a1b2c3d4e5f60718".to_owned(),
            _ => format!("whsec_{}", BASE64.encode(b"another secret of 32 bytes, say.")),
        }];
    });
    for header in [&[signature], others].concat() {
        with(&format!("no {header}"), "missing_signature", &|it| {
            it.headers.retain(|(name, _)| name != header);
        });
        with(&format!("an empty {header}"), "missing_signature", &|it| {
            it.header_mut(header).clear();
        });
        with(&format!("{header} twice"), "ambiguous_signature", &|it| {
            let twice = (header.to_owned(), it.header_mut(header).clone());
            it.headers.push(twice);
        });
        if header.ends_with("-id") {
            with("another id", "wrong_signature", &|it| it.header_mut(header).push('0'));
        }
    }
    with("301 s later", "stale", &|it| it.now += 301);
    with("301 s too early", "from_the_future", &|it| it.now -= 301);
    all
}

#[test]
fn what_the_official_packages_signed_and_somebody_changed_is_refused() {
    for signed in signed_by_them() {
        for (request, expected) in tampered(&signed) {
            assert_eq!(outcome(&request), expected, "{}", request.case);
        }
    }
}

#[test]
fn the_official_packages_take_what_we_sign() {
    let mut requests = signed_by_them();
    for request in &mut requests {
        let source = source_of(rules(&request.provider), &request.secrets);
        let id = request.headers.iter().find(|(name, _)| name.ends_with("-id"));
        let id = id.map_or("", |(_, id)| id).to_owned();
        let signed = support::sign(&source, &id, request.now, &request.body);
        request.headers =
            signed.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
    }
    let refused: Vec<_> =
        requests.iter().zip(verdicts(&requests)).filter(|(_, verdict)| verdict.is_some()).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    // For the same question asked by pytest, where the answer is part of its report.
    let directory = root().join(".cache/oracles");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("signed-by-hookward.json"), serde_json::to_vec(&requests).unwrap())
        .unwrap();
}

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
fn borderline() -> Vec<Recorded> {
    let now = NOW.to_string();
    let mut all = Vec::new();
    for provider in ["stripe", "slack", "standard-webhooks", "svix"] {
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

const STRIPE: &[&str] = &["stripe"];
const SLACK: &[&str] = &["slack"];
const STANDARD: &[&str] = &["standard-webhooks", "svix"];

/// Where we and an official package differ on purpose: provider, case, our outcome (theirs is the opposite), why. Whatever we
/// admit here is signed by a holder of the secret.
const DIFFERENCES: &[(&[&str], &str, &str, &str)] = &[
    // We are stricter.
    (
        STRIPE,
        "a second too far ahead",
        "from_the_future",
        "stripe looks at the past only: such a request stays fresh",
    ),
    (STRIPE, "a year ahead", "from_the_future", "stripe looks at the past only"),
    (STRIPE, "a time in milliseconds", "from_the_future", "stripe looks at the past only"),
    (STRIPE, "but 301 s too early", "from_the_future", "stripe looks at the past only"),
    (STRIPE, "the time twice", "ambiguous_signature", "stripe believes the first"),
    (
        STRIPE,
        "a second time after the signed one",
        "ambiguous_signature",
        "stripe believes the first",
    ),
    (
        STRIPE,
        "but stripe-signature twice",
        "ambiguous_signature",
        "a framework that joins them hides it from stripe",
    ),
    (
        STRIPE,
        "a space before the time",
        "malformed_signature",
        "Python's int() takes it; a time is digits",
    ),
    (
        SLACK,
        "a time with a sign",
        "malformed_signature",
        "Python's int() takes it; a time is digits",
    ),
    (
        SLACK,
        "a time with underscores",
        "malformed_signature",
        "Python's int() takes it; a time is digits",
    ),
    (
        STRIPE,
        "nine signatures",
        "malformed_signature",
        "eight are looked at: each one costs a comparison",
    ),
    (
        STANDARD,
        "nine signatures",
        "malformed_signature",
        "eight are looked at: each one costs a comparison",
    ),
    (
        STANDARD,
        "junk within the base64",
        "malformed_signature",
        "Python's b64decode() skips what is not base64",
    ),
    (
        STANDARD,
        "an id with a dot",
        "malformed_signature",
        "the specification forbids it: the dot separates what is signed",
    ),
    (STANDARD, "an id with a space", "malformed_signature", "an id is visible ASCII"),
    (STANDARD, "an id of 257 characters", "malformed_signature", "an id has 256 bytes at most"),
    (
        &["standard-webhooks"],
        "but webhook-signature twice",
        "ambiguous_signature",
        "a framework that joins them hides it",
    ),
    (
        &["svix"],
        "but svix-signature twice",
        "ambiguous_signature",
        "a framework that joins them hides it",
    ),
    // They are stricter, or crash.
    (
        STRIPE,
        "a body that is not UTF-8",
        "admitted",
        "stripe decodes it first; we verify bytes and quarantine what is no JSON",
    ),
    (SLACK, "a body that is not UTF-8", "admitted", "slack-sdk decodes it first"),
    (STANDARD, "a body that is not UTF-8", "admitted", "standardwebhooks decodes it first"),
    (STRIPE, "hex in upper case", "admitted", "stripe compares text, we compare bytes"),
    (SLACK, "hex in upper case", "admitted", "slack-sdk compares text, we compare bytes"),
    (
        STRIPE,
        "a time with a zero before",
        "admitted",
        "stripe signs the number, we sign the text as sent",
    ),
    (
        STANDARD,
        "a time with a zero before",
        "admitted",
        "standardwebhooks signs the number, we sign the text as sent",
    ),
    (
        STRIPE,
        "a space after the comma",
        "admitted",
        "stripe takes the space for a part of the label",
    ),
    (
        STANDARD,
        "a word first",
        "admitted",
        "standardwebhooks crashes on an element without a comma",
    ),
    (STANDARD, "two spaces between", "admitted", "standardwebhooks crashes on an empty element"),
    (
        STANDARD,
        "a signature that cannot be decoded first",
        "admitted",
        "standardwebhooks crashes on what is not base64",
    ),
];

#[test]
fn we_and_the_official_packages_differ_only_where_it_is_written() {
    let mut requests = borderline();
    for signed in signed_by_them() {
        requests.extend(tampered(&signed).into_iter().map(|(mut request, _)| {
            let what = request.case.strip_prefix(&signed.case).unwrap().trim_start().to_owned();
            request.case = what;
            request
        }));
    }
    let differences: BTreeSet<_> = requests
        .iter()
        .zip(verdicts(&requests))
        .filter(|(request, theirs)| (outcome(request) == "admitted") != theirs.is_none())
        .map(|(request, _)| (&*request.provider, &*request.case, outcome(request)))
        .collect();
    let written: BTreeSet<_> = DIFFERENCES
        .iter()
        .flat_map(|(providers, case, ours, _)| {
            providers.iter().map(|provider| (*provider, *case, *ours))
        })
        .collect();
    let unwritten: Vec<_> = differences.difference(&written).collect();
    let outdated: Vec<_> = written.difference(&differences).collect();
    assert!(
        unwritten.is_empty() && outdated.is_empty(),
        "not written: {unwritten:#?}, no longer true: {outdated:#?}"
    );
}
