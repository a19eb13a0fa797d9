//! The sample of each provider, signed as its row says, comes through the door of a source that is made from the same row.

use std::{fs, path::Path};

use hookward_core::{
    Intake, Source, SourceName, Timestamp,
    provider::{PROVIDERS, Provider},
    scheme::{Algorithm, KeyEncoding, Sample, TimePlace},
    secret::{Secret, Validity},
    source::SourceRules,
};
use http::{HeaderMap, Method};

use crate::support::NOW;

/// A secret that signs for this provider.
fn secret(provider: &Provider) -> String {
    let pem = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        fs::read_to_string(path).unwrap()
    };
    match (provider.scheme.versions[0].algorithm, provider.scheme.key) {
        (Algorithm::Ed25519, _) => pem("ed25519.pem"),
        (Algorithm::EcdsaP256Sha256, _) => pem("p256.pem"),
        (
            Algorithm::RsaSha256
            | Algorithm::RsaSha1
            | Algorithm::RsaPssSha256
            | Algorithm::RsaPssSha512,
            _,
        ) => pem("rsa.pem"),
        (_, KeyEncoding::Hex) => "9f86d081884c7d659a2feaa0c55ad015".repeat(2),
        (_, KeyEncoding::Base64 | KeyEncoding::StandardWebhooks | KeyEncoding::WhsecOrUtf8) => {
            "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=".to_owned()
        }
        (_, KeyEncoding::Utf8 | KeyEncoding::Pem) => {
            "user:9f86d081884c7d659a2feaa0c55ad015".to_owned()
        }
    }
}

fn source(provider: &'static Provider) -> Option<Source> {
    let name = SourceName::parse(provider.name).unwrap();
    let mut rules = SourceRules::of_provider(name, "/hooks/it", provider);
    rules.scheme.settings.url = Some("https://hooks.test/hooks/it".into());
    let secrets = vec![(Secret::new(secret(provider)), Validity::default())];
    Source::new(rules, secrets).ok()
}

#[test]
fn each_sample_is_signed_and_admitted_and_another_byte_is_not() {
    let mut unable = Vec::new();
    for provider in PROVIDERS.iter().filter(|it| it.scheme.code.is_none()) {
        let Some(source) = source(provider) else {
            unable.push(provider.name);
            continue;
        };
        let body = provider.sample.body("0123456789abcdef", NOW);
        let sample = Sample { id: "msg_1", at: Timestamp::from_secs(NOW), body: body.as_bytes() };
        let signed = source.scheme().sign(sample).unwrap_or_else(|| panic!("{}", provider.name));
        let mut headers = HeaderMap::new();
        headers.insert("content-type", provider.sample.media_type.parse().unwrap());
        for (name, value) in provider.sample.headers("0123456789abcdef", NOW) {
            headers.insert(name, value.parse().unwrap());
        }
        for (name, value) in signed.headers {
            headers.insert(name, value.parse().unwrap());
        }
        let target = match &*signed.query {
            "" => "/hooks/it".to_owned(),
            query => format!("/hooks/it?{query}"),
        };
        let admit = |body: Vec<u8>| {
            let head =
                hookward_core::Head { method: &Method::POST, target: &target, headers: &headers };
            let request = hookward_core::Request { head, body: body.into() };
            source.admit(request, Timestamp::from_secs(NOW))
        };
        let event = admit(signed.body.clone())
            .unwrap_or_else(|refusal| panic!("{}: {refusal}", provider.name));
        assert_eq!(event.intake, Intake::Archive, "{}", provider.name);
        if provider.scheme.covers().body {
            for at in 0..signed.body.len() {
                let mut other = signed.body.clone();
                other[at] ^= 1;
                let refusal = admit(other).map(drop).unwrap_err();
                // A body that has to be read for its signed time may not even be JSON any more.
                let reads_body = matches!(
                    provider.scheme.time.as_ref().map(|time| &time.place),
                    Some(TimePlace::Field(_))
                );
                let unreadable = ["malformed_signature", "missing_signature"];
                assert!(
                    refusal.as_str() == "wrong_signature"
                        || (reads_body && unreadable.contains(&refusal.as_str())),
                    "{}: byte {at}: {refusal}",
                    provider.name
                );
            }
        }
    }
    // Its library makes no signatures with RSA and SHA-1.
    assert_eq!(unable, ["travis"]);
}
