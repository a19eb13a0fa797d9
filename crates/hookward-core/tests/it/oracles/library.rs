//! The official packages, as the programs in `tests/oracles` have them: what there is, what it signs, what it says.

use std::{collections::BTreeMap, process::Command};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hookward_core::scheme::{Algorithm, KeyEncoding};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde::{Deserialize, Serialize};

use crate::support::{Recorded, ask, installed, root, rules, url};

/// Where a package comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Registry {
    PyPi,
    Npm,
}

/// Which bodies a package judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Bodies {
    Any,
    /// Those that look like an event of its provider.
    Shaped,
    /// Those that look like one and are written as JSON is written without spaces: it judges what it writes anew.
    Compact,
}

/// A package and one provider whose requests it judges.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Library {
    #[serde(skip, default = "nowhere")]
    registry: Registry,
    package: String,
    pub(crate) provider: String,
    pub(crate) signs: bool,
    pub(crate) bodies: Bodies,
    /// Headers that it wants to see and that are not signed.
    pub(crate) needs: Vec<(String, String)>,
}

fn nowhere() -> Registry {
    Registry::PyPi
}

/// A request, and the package that it is for.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Question {
    package: String,
    registry: Registry,
    url: String,
    /// The id to sign.
    pub(crate) id: &'static str,
    #[serde(flatten)]
    pub(crate) request: Recorded,
}

impl Question {
    /// The same for another URL.
    pub(crate) fn at(self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self }
    }

    /// Which package it is for.
    pub(crate) fn name(&self) -> String {
        name(self.registry, &self.package)
    }
}

fn name(registry: Registry, package: &str) -> String {
    match registry {
        Registry::PyPi => format!("pypi:{package}"),
        Registry::Npm => format!("npm:{package}"),
    }
}

impl Library {
    /// All of them.
    pub(crate) fn all() -> Vec<Self> {
        [Registry::PyPi, Registry::Npm]
            .into_iter()
            .flat_map(|registry| {
                let listed: Vec<Self> = ask(&mut program(registry, "list"), &());
                listed.into_iter().map(move |library| Self { registry, ..library })
            })
            .collect()
    }

    /// Its name, such as `npm:resend`.
    pub(crate) fn name(&self) -> String {
        name(self.registry, &self.package)
    }

    pub(crate) fn asked(&self, request: Recorded) -> Question {
        assert_eq!(request.provider, self.provider);
        Question {
            package: self.package.clone(),
            registry: self.registry,
            url: url(&self.provider),
            id: "msg_1",
            request,
        }
    }
}

/// One of the programs in `tests/oracles`.
fn program(registry: Registry, what: &str) -> Command {
    let directory = root().join("tests/oracles");
    let mut command = match registry {
        Registry::PyPi => {
            let mut python = Command::new(installed("venv/bin/python"));
            python.arg(directory.join("ask.py"));
            python
        }
        Registry::Npm => {
            let mut node = Command::new("node");
            node.arg("--no-warnings").arg(directory.join("ask.mjs"));
            node.arg(installed("node/node_modules"));
            node
        }
    };
    command.arg(what);
    command
}

/// Asks each registry's program once, and puts the answers where the questions are.
fn answers<T: for<'de> Deserialize<'de>>(what: &str, questions: &[Question]) -> Vec<T> {
    let mut answers = BTreeMap::new();
    for registry in [Registry::PyPi, Registry::Npm] {
        let numbered = questions.iter().enumerate().filter(|(_, it)| it.registry == registry);
        let (numbers, questions): (Vec<_>, Vec<_>) = numbered.unzip();
        let answered: Vec<T> = ask(&mut program(registry, what), &questions);
        assert_eq!(answered.len(), questions.len());
        answers.extend(numbers.into_iter().zip(answered));
    }
    answers.into_values().collect()
}

/// Has the packages sign: the headers that each request gets.
pub(crate) fn sign(questions: &[Question]) -> Vec<Vec<(String, String)>> {
    answers("sign", questions)
}

/// Why the packages refuse each request; `None` where they take it.
pub(crate) fn verdicts(questions: &[Question]) -> Vec<Option<String>> {
    answers("verify", questions)
}

/// A secret in its two roles: the same text for whoever shares it.
#[derive(Clone)]
pub(crate) struct Secret {
    pub(crate) signs: String,
    pub(crate) verifies: String,
}

/// The secret in use, and the one that it replaced, in the shape that a provider gives them.
pub(crate) fn secrets(provider: &str) -> [Secret; 2] {
    let scheme = rules(provider).scheme;
    let shared = |text: &str| Secret { signs: text.to_owned(), verifies: text.to_owned() };
    let pem = |der: &[u8]| {
        let text = BASE64.encode(der);
        format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
    };
    match (scheme.versions[0].algorithm, scheme.key) {
        (Algorithm::Ed25519, _) => [[7; 32], [8; 32]].map(|seed| {
            // A private key of Ed25519 in PKCS #8 is its seed behind these bytes.
            let der = hex::decode("302e020100300506032b657004220420").unwrap();
            let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
            Secret {
                signs: pem(&[&der[..], &seed].concat()),
                verifies: hex::encode(pair.public_key()),
            }
        }),
        (Algorithm::EcdsaP256Sha256, _) => P256.map(|(private, public)| Secret {
            signs: pem(&BASE64.decode(private).unwrap()),
            verifies: public.to_owned(),
        }),
        (_, KeyEncoding::Hex) => HEX.map(shared),
        (_, KeyEncoding::StandardWebhooks | KeyEncoding::Base64) => BASE64_SECRETS.map(shared),
        (_, KeyEncoding::WhsecOrUtf8) => [BASE64_SECRETS[0], TEXT[0]].map(shared),
        (_, KeyEncoding::Utf8 | KeyEncoding::Pem) => TEXT.map(shared),
    }
}

// Random, once. Text that looks like base64 behind a prefix tells those who decode it from those who take it as it is.
const TEXT: [&str; 2] =
    ["whsec_T7kPq2vLz9WcXfR4sB1nYd8mGh3jKe6A", "whsec_J4xQeM8aZr1TnV6wKc9pLb2yUd5hSg7F"];
const BASE64_SECRETS: [&str; 2] =
    ["whsec_kYwUNXqv3TgEOLzkRJBJpx8a1JhLwPTQ", "whsec_9mHvUm5dTpfV3PzqOBjaDJHkyuVBVXcl"];
const HEX: [&str; 2] = [
    "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056",
    "9d1c7e5f0b3a48266f1de2a90c57b48e31f6ad0295c83e7b4a60d1f2c9e8b735",
];
/// A private key in PKCS #8 and its public half as SPKI.
const P256: [(&str, &str); 2] = [
    (
        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgZllBoWXUNO9FDcI0ggLDkiK0iiwbvUeZuDKJIVNf7Oeh\
         RANCAAQpYvdABn8g3F+ZktX/EiA1VCcSrR50ejJ9L+Hr86RTzsg8ZHV0b+EiK5O2+9oMoC7DqMutj3pgyMwBpOiw+iDA",
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEKWL3QAZ/INxfmZLV/xIgNVQnEq0edHoyfS/h6/OkU87IPGR1dG/hIiuT\
         tvvaDKAuw6jLrY96YMjMAaTosPogwA==",
    ),
    (
        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgTJyCZVF3f9jxmMlIpkOPIqWkaVyQ4yPNjktLFItV+AWh\
         RANCAAQ/9ek5WKSFnQnN4gaESmRhfoVPcBoUTY44Z5i6+vKQfRskjtfUyybqHoPsNyENB0n+cd8XFYl9MQ92xHERm0YZ",
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEP/XpOVikhZ0JzeIGhEpkYX6FT3AaFE2OOGeYuvrykH0bJI7X1Msm6h6D\
         7DchDQdJ/nHfFxWJfTEPdsRxEZtGGQ==",
    ),
];
