//! Written vectors, one file for each provider: the same files judge the Python package. `generate.py` beside them made
//! them, with nothing but Python's standard library.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hookward_core::{
    Intake, Quarantine,
    scheme::{Code, Location},
};
use serde::Deserialize;

use crate::support::{admit_as, greeting, rules, source_of};

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
    /// `POST` unless the case says otherwise.
    method: Option<String>,
    /// Path and query as they arrive; the source's path unless the case says otherwise.
    target: Option<String>,
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
    /// A question that is asked without a signature, and the text of its answer.
    Answered(String),
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
    let method = case.method.as_deref().unwrap_or("POST").parse().unwrap();
    let target = case.target.as_deref().unwrap_or_else(|| &source.rules().path);
    let now = case.now.unwrap_or(file.now);
    if let Some(answer) = greeting(&source, &method, target, &case.headers, now) {
        return match answer {
            Ok(challenge) => Expect::Answered(challenge.body),
            Err(refusal) => Expect::Refused(refusal.as_str().to_owned()),
        };
    }
    match admit_as(&source, &method, target, &case.headers, &body, now) {
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
                wrong.push(format!(
                    "{}: {}: {verdict:?}, not {:?}",
                    file.provider, case.name, case.expect
                ));
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
                Expect::Answered(_) => "answered",
                Expect::Admitted { .. } => "admitted",
            })
            .collect();
        let scheme = rules(&file.provider).scheme;
        let timed = if scheme.time.is_some() { WITH_TIME } else { &[] };
        let mut expected: BTreeSet<_> = ALWAYS.iter().chain(timed).copied().collect();
        if matches!(scheme.code, Some(Code::Adyen | Code::MicrosoftGraph))
            || (scheme.code.is_none() && matches!(scheme.signature, Location::Field(_)))
        {
            // In a body: JSON with a key twice is malformed, and a form with a field twice has none.
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
