//! Sources, requests, and other people's programs.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use hookward_core::{
    Event, Head, Refusal, Request, Source, SourceName, Timestamp,
    provider::Provider,
    scheme::Sample,
    secret::{Secret, Validity},
    source::{DestinationName, SourceRules},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

/// 2026-11-24T00:00:00Z, the present of all tests here.
pub(crate) const NOW: u64 = 1_795_478_400;

/// The rules of a source of this provider, with a destination; named like the provider.
pub(crate) fn rules(provider: &str) -> SourceRules {
    let row = Provider::named(provider).unwrap_or_else(|| panic!("no provider {provider}"));
    let name = SourceName::parse(provider).unwrap();
    let mut rules = SourceRules::of_provider(name, &format!("/hooks/{provider}"), row);
    rules.destination = Some(DestinationName::parse("app").unwrap());
    if rules.scheme.wants_url() {
        rules.scheme.settings.url = Some(url(provider).into());
    }
    rules
}

/// The URL that a provider calls.
pub(crate) fn url(provider: &str) -> String {
    format!("https://hooks.example.com/hooks/{provider}")
}

pub(crate) fn source_of(rules: SourceRules, secrets: &[String]) -> Source {
    let secrets = secrets.iter().map(|it| (Secret::new(it.clone()), Validity::default())).collect();
    Source::new(rules, secrets).unwrap()
}

/// A request as files and the oracles' programs spell it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recorded {
    pub(crate) provider: String,
    /// What is special about it, in words.
    pub(crate) case: String,
    pub(crate) secrets: Vec<String>,
    pub(crate) headers: Vec<(String, String)>,
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub(crate) body: Vec<u8>,
    pub(crate) now: u64,
}

impl Recorded {
    pub(crate) fn admit(&self) -> Result<Event, Refusal> {
        let source = source_of(rules(&self.provider), &self.secrets);
        admit(&source, &self.headers, &self.body, self.now)
    }

    pub(crate) fn header_mut(&mut self, name: &str) -> &mut String {
        let found = self.headers.iter_mut().find(|(it, _)| it == name);
        &mut found.unwrap_or_else(|| panic!("{}: no header {name}", self.case)).1
    }
}

/// The headers of a rightly signed body.
pub(crate) fn sign(source: &Source, id: &str, now: u64, body: &[u8]) -> Vec<(HeaderName, String)> {
    let sample = Sample { id, at: Timestamp::from_secs(now), body };
    source.scheme().sign(sample).unwrap().headers
}

/// Pushes a request through the door.
pub(crate) fn admit(
    source: &Source,
    headers: &[(String, String)],
    body: &[u8],
    now: u64,
) -> Result<Event, Refusal> {
    admit_as(source, &Method::POST, &source.rules().path, headers, body, now)
}

/// The same, by this method and with this path and query.
pub(crate) fn admit_as(
    source: &Source,
    method: &Method,
    target: &str,
    headers: &[(String, String)],
    body: &[u8],
    now: u64,
) -> Result<Event, Refusal> {
    let head = Head { method, target, headers: &map_of(headers) };
    let request = Request { head, body: Bytes::copy_from_slice(body) };
    source.admit(request, Timestamp::from_secs(now))
}

fn map_of(headers: &[(String, String)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    map
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    BASE64.decode(text).map_err(serde::de::Error::custom)
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("the crate is two levels below the root")
}

/// Something that `./scripts/test` installs.
pub(crate) fn installed(path: &str) -> PathBuf {
    let path = root().join(".cache").join(path);
    assert!(path.exists(), "{} is missing: run ./scripts/test, which installs it", path.display());
    path
}

/// Starts a program, hands it `input` as JSON and reads its answer. One that hangs fails the test.
pub(crate) fn ask<T: DeserializeOwned>(command: &mut Command, input: &impl Serialize) -> T {
    const PATIENCE: Duration = Duration::from_mins(2);
    let input = serde_json::to_vec(input).unwrap();
    let name = format!("{command:?}");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap_or_else(|error| {
            panic!("{name}: {error}; run ./scripts/test, which installs what it needs")
        });
    let mut stdin = child.stdin.take().expect("it is piped");
    let mut stdout = child.stdout.take().expect("it is piped");
    let (sender, answer) = mpsc::channel();
    // A program that ends before it has read everything says so by its status, so a broken pipe is no news.
    thread::spawn(move || stdin.write_all(&input));
    thread::spawn(move || {
        let mut read = Vec::new();
        sender.send(stdout.read_to_end(&mut read).map(|_| read))
    });
    let Ok(answer) = answer.recv_timeout(PATIENCE) else {
        child.kill().unwrap();
        panic!("{name} gave no answer within {PATIENCE:?}");
    };
    let status = child.wait().unwrap();
    assert!(status.success(), "{name}: {status}, see its message above");
    serde_json::from_slice(&answer.unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"))
}
