//! Written vectors, one file for each provider: the same files judge the Python package. `generate.py` beside them made
//! them, with nothing but Python's standard library.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hookward_core::{Intake, Quarantine, Refusal};
use serde::Deserialize;

use crate::{
    published,
    support::{admit, rules, source_of},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) provider: String,
    /// The time at which requests arrive unless a case says otherwise, in seconds since 1970.
    now: u64,
    /// The secrets that are configured unless a case says otherwise.
    secrets: Vec<String>,
    /// The URL that the sender calls, where a source has to know it.
    url: Option<String>,
    /// What a source has to be told beside its secrets.
    #[serde(default)]
    options: BTreeMap<String, Vec<String>>,
    /// What its sender publishes.
    #[serde(default)]
    published: published::Published,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    now: Option<u64>,
    secrets: Option<Vec<String>>,
    url: Option<String>,
    options: Option<BTreeMap<String, Vec<String>>>,
    headers: Vec<(String, String)>,
    /// The body as text, or as base64 where it is none.
    body: Option<String>,
    body_base64: Option<String>,
    expect: Expect,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Expect {
    /// Refused, for the reason of this name.
    Refused(String),
    Admitted {
        /// The de-duplication key, in hex.
        key: String,
        event_type: Option<String>,
        /// The quarantine's reason, if it is kept as a dead letter.
        quarantine: Option<String>,
    },
}

pub(crate) fn files() -> Vec<File> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let json = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    json.map(|path| {
        let file: File = serde_json::from_slice(&fs::read(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), Some(&*file.provider));
        file
    })
    .collect()
}

fn judge(file: &File, case: &Case) -> Expect {
    let mut rules = rules(&file.provider);
    let settings = &mut rules.scheme.settings;
    settings.url = case.url.as_deref().or(file.url.as_deref()).map(Into::into);
    let options = case.options.as_ref().unwrap_or(&file.options).iter();
    settings.options = options
        .map(|(name, values)| {
            (name.as_str().into(), values.iter().map(|it| it.as_str().into()).collect())
        })
        .collect();
    let source = source_of(rules, case.secrets.as_ref().unwrap_or(&file.secrets));
    let body = match (&case.body, &case.body_base64) {
        (Some(text), None) => text.clone().into_bytes(),
        (None, Some(text)) => BASE64.decode(text).unwrap(),
        _ => panic!("{}: {}: one body", file.provider, case.name),
    };
    let now = case.now.unwrap_or(file.now);
    let first = admit(&source, &case.headers, &body, now);
    let admitted = match first {
        Err(Refusal::KeyPending { .. }) => {
            file.published.fetch_for(&source, now);
            admit(&source, &case.headers, &body, now)
        }
        other => other,
    };
    match admitted {
        // What a question brings about is for other tests.
        Err(Refusal::Handshake(_)) => Expect::Refused("handshake".to_owned()),
        Err(refusal) => Expect::Refused(refusal.as_str().to_owned()),
        Ok(event) => {
            assert_eq!(event.body, body, "{}: {}", file.provider, case.name);
            Expect::Admitted {
                key: event.key.to_string(),
                event_type: event.event_type.as_deref().map(str::to_owned),
                quarantine: match event.intake {
                    Intake::Deliver => None,
                    Intake::Quarantine(reason) => Some(reason.as_str().to_owned()),
                    Intake::Archive => panic!("the source has a destination"),
                },
            }
        }
    }
}

#[test]
fn every_vector_gets_its_verdict() {
    let mut wrong = Vec::new();
    for file in files() {
        for case in &file.cases {
            let verdict = judge(&file, case);
            if verdict != case.expect {
                let Case { name, expect, .. } = case;
                wrong.push(format!("{}: {name}: {verdict:?}, not {expect:?}", file.provider));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_provider_has_the_standard_set() {
    const ALWAYS: &[&str] = &[
        "admitted",
        "missing_signature",
        "malformed_signature",
        "ambiguous_signature",
        "wrong_signature",
    ];
    const WITH_TIME: &[&str] = &["stale", "from_the_future"];
    for file in files() {
        let names: BTreeSet<_> = file.cases.iter().map(|case| &*case.name).collect();
        assert_eq!(names.len(), file.cases.len(), "{}: a name twice", file.provider);
        let outcomes: BTreeSet<_> = file
            .cases
            .iter()
            .map(|case| match &case.expect {
                Expect::Refused(reason) => &**reason,
                Expect::Admitted { .. } => "admitted",
            })
            .collect();
        let scheme = rules(&file.provider).scheme;
        let timed = if scheme.time.is_some() { WITH_TIME } else { &[] };
        let mut expected: BTreeSet<_> = ALWAYS.iter().chain(timed).copied().collect();
        if file.provider == "kinde" {
            // What is the whole body cannot be there twice.
            expected.remove("ambiguous_signature");
        }
        assert!(outcomes.is_superset(&expected), "{}: {outcomes:?}", file.provider);
        let known: BTreeSet<_> = Quarantine::ALL.iter().map(|reason| reason.as_str()).collect();
        for case in &file.cases {
            if let Expect::Admitted { quarantine: Some(reason), .. } = &case.expect {
                assert!(known.contains(&**reason), "{}: {}: {reason}", file.provider, case.name);
            }
        }
    }
}
