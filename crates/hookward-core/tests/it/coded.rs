//! The schemes that are code, each with the sample of its provider: what they sign they take, and what anyone can change makes
//! no new event.

use hookward_core::{
    Event, Refusal, Source, Timestamp,
    provider::{PROVIDERS, Provider},
    scheme::{Code, Sample, Settings},
};
use http::Method;

use crate::support::{NOW, admit_as, rules, source_of};

const TEXT: &str = "c21acdf7adbdf2b9d9f1e2a66bd5a3c8c21acdf7adbdf2b9d9f1e2a66bd5a3c8";

struct Letter {
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fn source(provider: &Provider) -> Source {
    let mut rules = rules(provider.name);
    let settings = &mut rules.scheme.settings;
    settings.url = Some("https://hooks.test/hooks/a".into());
    let code = rules.scheme.code.as_ref().unwrap();
    for wanted in code.wants().iter().filter(|it| it.required) {
        settings.options.insert(wanted.name.into(), vec![option(code).into()]);
    }
    source_of(rules, &[TEXT.to_owned()])
}

/// The value of the option that each scheme must be told.
fn option(code: &Code) -> &'static str {
    match code {
        Code::Braintree => "9hprv5fmxkq4ncsr",
        Code::HttpMessage => "hmac-sha256",
        Code::Adyen
        | Code::Contentful
        | Code::Jwt(_)
        | Code::Mandrill
        | Code::MicrosoftGraph
        | Code::PaddleClassic
        | Code::PayPal
        | Code::Sns
        | Code::Twilio => "",
    }
}

fn letter(provider: &Provider, source: &Source) -> Letter {
    let body = provider.sample.body("0123456789abcdef", NOW);
    let sample = Sample { id: "msg_1", at: Timestamp::from_secs(NOW), body: body.as_bytes() };
    let signed = source.scheme().sign(sample).unwrap_or_else(|| panic!("{}", provider.name));
    let mut headers: Vec<_> =
        signed.headers.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
    headers.push(("content-type".to_owned(), provider.sample.media_type.to_owned()));
    let query = if signed.query.is_empty() { String::new() } else { format!("?{}", signed.query) };
    Letter { target: format!("/hooks/a{query}"), headers, body: signed.body }
}

fn send(source: &Source, letter: &Letter) -> Result<Event, Refusal> {
    admit_as(source, &Method::POST, &letter.target, &letter.headers, &letter.body, NOW)
}

/// The providers with schemes that are code; Paddle Classic's can only be verified.
fn coded() -> impl Iterator<Item = &'static Provider> {
    // Those that sign with keys that they publish have tests of their own.
    let with_secret = |code: &Code| {
        !matches!(code, Code::Jwt(_) | Code::PaddleClassic)
            && code.wants_secret(&Settings::default())
    };
    PROVIDERS.iter().filter(move |it| it.scheme.code.as_ref().is_some_and(with_secret))
}

#[test]
fn what_is_signed_is_taken() {
    for provider in coded() {
        let source = source(provider);
        let event = send(&source, &letter(provider, &source));
        let event = event.unwrap_or_else(|refusal| panic!("{}: {refusal}", provider.name));
        assert_eq!(event.intake, hookward_core::Intake::Deliver, "{}", provider.name);
    }
}

#[test]
fn a_changed_byte_makes_no_new_event() {
    for provider in coded().filter(|it| it.scheme.code != Some(Code::MicrosoftGraph)) {
        let source = source(provider);
        let right = letter(provider, &source);
        let key = send(&source, &right).unwrap().key;
        for at in 0..right.body.len() {
            for mask in [1, 0x20, 0x80] {
                let mut changed = letter(provider, &source);
                changed.body[at] ^= mask;
                if let Ok(event) = send(&source, &changed) {
                    assert_eq!(event.key, key, "{}: byte {at} ^ {mask}", provider.name);
                }
            }
        }
        for at in 0..right.headers.len() - 1 {
            let mut without = letter(provider, &source);
            without.headers.remove(at);
            assert!(send(&source, &without).is_err(), "{}: {at}", provider.name);
        }
    }
}

#[test]
fn the_notifications_of_one_body_are_bounded() {
    for (name, list) in [("adyen", "notificationItems"), ("microsoft-graph", "value")] {
        let provider = Provider::named(name).unwrap();
        let source = source(provider);
        let mut right = letter(provider, &source);
        let mut document: serde_json::Value = serde_json::from_slice(&right.body).unwrap();
        let item = document[list][0].take();
        for (count, expected) in [(1_000, "ok"), (1_001, "malformed_signature")] {
            document[list] = vec![item.clone(); count].into();
            right.body = serde_json::to_vec(&document).unwrap();
            let outcome = send(&source, &right);
            let outcome = outcome.as_ref().map_or_else(Refusal::as_str, |_| "ok");
            assert_eq!(outcome, expected, "{name}: {count}");
        }
    }
}
