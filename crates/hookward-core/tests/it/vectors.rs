//! Written vectors, one file for each provider: the same files judge the Python package. `generate.py` beside them made
//! them, with nothing but Python's standard library.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use hookward_core::{
    Event, Head, Intake, Quarantine, Refusal, Request, Source, Timestamp,
    handshake::{Challenge, Handshake},
    provider::PROVIDERS,
    scheme::{Code, Location, SchemeRules},
    secret::Secret,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Deserialize;

use crate::{
    published,
    support::{rules, source_of},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) provider: String,
    /// The time at which requests arrive unless a case says otherwise, in seconds since 1970.
    now: u64,
    /// The secrets that are configured unless a case says otherwise.
    secrets: Vec<String>,
    /// The URL that is configured, for senders that sign it.
    url: Option<String>,
    /// What a source has to be told beside its secrets.
    #[serde(default)]
    options: BTreeMap<String, Vec<String>>,
    /// What its sender publishes.
    #[serde(default)]
    published: published::Published,
    cases: Vec<Case>,
    /// What the sender asks to see whether anyone is there.
    #[serde(default)]
    handshakes: Vec<Question>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    now: Option<u64>,
    secrets: Option<Vec<String>>,
    url: Option<String>,
    options: Option<BTreeMap<String, Vec<String>>>,
    /// POST, unless it says otherwise.
    method: Option<String>,
    /// Path and query, where they are not the path of the source.
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
    /// A question, answered with this.
    Answered(String),
    Admitted {
        /// The de-duplication key, in hex.
        key: String,
        event_type: Option<String>,
        /// The quarantine's reason, if it is kept as a dead letter.
        quarantine: Option<String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    name: String,
    now: Option<u64>,
    secrets: Option<Vec<String>>,
    verify_token: Option<String>,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
    expect: Answer,
}

/// What becomes of a question.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Answer {
    Answered {
        status: u16,
        media_type: Option<String>,
        body: String,
        /// Further headers.
        headers: BTreeMap<String, String>,
        /// The secret that the question brought.
        secret: Option<String>,
    },
    /// Refused, for the reason of this name, with this status where the question decides about it.
    Refused { reason: String, status: Option<u16> },
    /// It was none, but an event.
    Admitted,
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

/// A request to a source, as a file says it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    now: u64,
    secrets: Vec<String>,
    url: Option<String>,
    options: BTreeMap<String, Vec<String>>,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Sent {
    fn of(file: &File, case: &Case) -> Self {
        let body = match (&case.body, &case.body_base64) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(text)) => BASE64.decode(text).unwrap(),
            _ => panic!("{}: {}: one body", file.provider, case.name),
        };
        Self {
            now: case.now.unwrap_or(file.now),
            secrets: case.secrets.as_ref().unwrap_or(&file.secrets).clone(),
            url: case.url.clone().or_else(|| file.url.clone()),
            options: case.options.as_ref().unwrap_or(&file.options).clone(),
            method: case.method.clone().unwrap_or_else(|| "POST".to_owned()),
            target: case.target.clone().unwrap_or_else(|| format!("/hooks/{}", file.provider)),
            headers: case.headers.clone(),
            body,
        }
    }

    fn source(&self, provider: &str) -> Source {
        let mut rules = rules(provider);
        rules.scheme.settings.url = self.url.as_deref().map(Into::into);
        let options = self.options.iter().map(|(name, values)| {
            (name.as_str().into(), values.iter().map(|it| it.as_str().into()).collect())
        });
        rules.scheme.settings.options = options.collect();
        source_of(rules, &self.secrets)
    }

    /// Goes the way of a request through the gateway: a question without a signature is answered, all else is an event.
    fn judge(&self, source: &Source) -> Result<Event, Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let method: Method = self.method.parse().unwrap();
        let head = Head { method: &method, target: &self.target, headers: &headers };
        let now = Timestamp::from_secs(self.now);
        if let Some(answer) = source.greeting(&head, None, now) {
            return Err(Refusal::Handshake(answer?.into()));
        }
        let screened = source.screen(&head, now);
        if screened.is_err()
            && source.may_greet_in_body(&method)
            && let Some(answer) = source.greeting(&head, Some(&self.body), now)
        {
            return Err(Refusal::Handshake(answer?.into()));
        }
        let request = Request { head, body: Bytes::copy_from_slice(&self.body) };
        source.verify_screened(screened?, request, now)?.admit()
    }

    /// What stands where the signature has its place.
    fn signatures(&self, place: &Location) -> Vec<String> {
        match place {
            Location::Header(names) => self
                .headers
                .iter()
                .filter(|(name, _)| names.iter().any(|it| it.as_str() == name))
                .map(|(_, value)| value.clone())
                .collect(),
            Location::Query(name) => {
                let (_, query) = self.target.split_once('?').unwrap_or_default();
                let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                pairs.filter(|(key, _)| *key == &**name).map(|(_, value)| value.into()).collect()
            }
            Location::Field(pointer) => {
                let key = pointer.as_str().rsplit('/').next().unwrap();
                let opening = format!("\"{key}\":\"");
                let body = String::from_utf8_lossy(&self.body);
                let after = body.split(&opening).skip(1);
                after.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
            }
        }
    }

    /// The same without what holds the signature.
    fn but_for_signatures(&self, place: &Location) -> Self {
        let mut rest = self.clone();
        match place {
            Location::Header(names) => {
                rest.headers.retain(|(name, _)| names.iter().all(|it| it.as_str() != name));
            }
            Location::Query(_) => rest.target.clear(),
            Location::Field(_) => rest.body.clear(),
        }
        rest
    }
}

#[test]
fn every_vector_gets_its_verdict() {
    let mut wrong = Vec::new();
    for file in files() {
        for case in &file.cases {
            let sent = Sent::of(&file, case);
            let source = sent.source(&file.provider);
            let judged = match sent.judge(&source) {
                Err(Refusal::KeyPending { .. }) => {
                    file.published.fetch_for(&source, sent.now);
                    sent.judge(&source)
                }
                judged => judged,
            };
            let found = match judged {
                Err(Refusal::Handshake(challenge)) => Expect::Answered(challenge.body),
                Err(refusal) => Expect::Refused(refusal.as_str().to_owned()),
                Ok(event) => {
                    assert_eq!(event.body, sent.body, "{}: {}", file.provider, case.name);
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
            };
            if found != case.expect {
                wrong.push(format!(
                    "{}: {}: {found:?}, not {:?}",
                    file.provider, case.name, case.expect
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_question_gets_its_answer() {
    let mut wrong = Vec::new();
    for file in files() {
        for case in &file.handshakes {
            let sent = Sent {
                now: case.now.unwrap_or(file.now),
                secrets: case.secrets.as_ref().unwrap_or(&file.secrets).clone(),
                url: file.url.clone(),
                options: file.options.clone(),
                method: case.method.clone(),
                target: case.target.clone(),
                headers: case.headers.clone(),
                body: case.body.clone().into_bytes(),
            };
            let token = case.verify_token.clone().map(Secret::new);
            let found = match sent.judge(&sent.source(&file.provider).with_verify_token(token)) {
                Ok(_) => Answer::Admitted,
                Err(Refusal::Handshake(challenge)) => answered(&challenge),
                Err(refusal) => Answer::Refused {
                    reason: refusal.as_str().to_owned(),
                    status: match refusal {
                        Refusal::HandshakeRefused { status } => Some(status),
                        _ => None,
                    },
                },
            };
            if found != case.expect {
                wrong.push(format!(
                    "{}: {}: {found:?}, not {:?}",
                    file.provider, case.name, case.expect
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn answered(challenge: &Challenge) -> Answer {
    assert_eq!(challenge.visit, None, "no sender here wants a URL to be fetched");
    let header = |(name, value): &(HeaderName, String)| (name.to_string(), value.clone());
    Answer::Answered {
        status: challenge.status,
        media_type: challenge.media_type.map(str::to_owned),
        body: challenge.body.clone(),
        headers: challenge.headers.iter().map(header).collect(),
        secret: challenge.secret.as_ref().map(|secret| secret.expose().to_owned()),
    }
}

/// The cases that show that something weaker than what the sender signs with is not taken; each sender has one of them.
const DOWNGRADES: &[&str] =
    &["a weaker algorithm", "SHA-1", "only v0", "labelled v1", "v1 labelled v2"];

/// What the set holds is seen in the requests and not in the names of the cases: each of them is a right request but for one thing.
#[test]
fn every_provider_has_the_standard_set() {
    for file in files() {
        let names: BTreeSet<_> = file.cases.iter().map(|case| &*case.name).collect();
        assert_eq!(names.len(), file.cases.len(), "{}: a name twice", file.provider);
        let known: BTreeSet<_> = Quarantine::ALL.iter().map(|reason| reason.as_str()).collect();
        let mut set = Set { rights: Vec::new(), refused: Vec::new() };
        for case in &file.cases {
            match &case.expect {
                Expect::Refused(reason) => {
                    set.refused.push((&**reason, &*case.name, Sent::of(&file, case)));
                }
                Expect::Answered(_) => {}
                Expect::Admitted { quarantine: None, .. } => set.rights.push(Sent::of(&file, case)),
                Expect::Admitted { quarantine: Some(reason), .. } => {
                    assert!(
                        known.contains(&**reason),
                        "{}: {}: {reason}",
                        file.provider,
                        case.name
                    );
                }
            }
        }
        let scheme = rules(&file.provider).scheme;
        if scheme.code.is_some() || file.provider == "mailgun-forms" {
            outcomes(&file, &scheme);
            continue;
        }
        let lacking = set.lacks(&scheme);
        assert!(lacking.is_empty(), "{} lacks {lacking:?}", file.provider);
    }
}

/// Code knows for itself where its signature is, and a form hides it, so that here only the outcomes show.
fn outcomes(file: &File, scheme: &SchemeRules) {
    const ALWAYS: &[&str] = &[
        "admitted",
        "missing_signature",
        "malformed_signature",
        "ambiguous_signature",
        "wrong_signature",
    ];
    const WITH_TIME: &[&str] = &["stale", "from_the_future"];
    let outcomes: BTreeSet<_> = file
        .cases
        .iter()
        .map(|case| match &case.expect {
            Expect::Refused(reason) => &**reason,
            Expect::Answered(_) => "answered",
            Expect::Admitted { .. } => "admitted",
        })
        .collect();
    let timed = if scheme.time.is_some() { WITH_TIME } else { &[] };
    let mut expected: BTreeSet<_> = ALWAYS.iter().chain(timed).copied().collect();
    let in_json = matches!(scheme.code, Some(Code::Adyen | Code::MicrosoftGraph));
    if in_json || ["kinde", "mailgun-forms"].contains(&&*file.provider) {
        // JSON with a key twice is malformed, a form with a field twice has none, and a body is there once.
        expected.remove("ambiguous_signature");
    }
    assert!(outcomes.is_superset(&expected), "{}: {outcomes:?}", file.provider);
}

/// The cases of a sender: what it sends, and what is refused, with the reason and the name of each.
struct Set<'a> {
    rights: Vec<Sent>,
    refused: Vec<(&'a str, &'a str, Sent)>,
}

impl Set<'_> {
    fn lacks(&self, scheme: &SchemeRules) -> Vec<&'static str> {
        let mut lacking = Vec::new();
        let mut want = |what, there: bool| {
            if !there {
                lacking.push(what);
            }
        };
        want("a right request", !self.rights.is_empty());
        want(
            "a right request under a second secret",
            self.rights.iter().any(|right| right.secrets.len() > 1),
        );
        want(
            "a secret that was retired",
            self.has(&["wrong_signature"], |right, sent| {
                right.secrets != sent.secrets
                    && *right == Sent { secrets: right.secrets.clone(), ..sent.clone() }
            }),
        );
        if scheme.time.is_some() {
            for reason in ["stale", "from_the_future"] {
                want(
                    reason,
                    self.has(&[reason], |right, sent| {
                        *right == Sent { now: right.now, ..sent.clone() }
                    }),
                );
            }
        }
        if !scheme.is_token() {
            want(
                "another body",
                self.has(&["wrong_signature"], |right, sent| {
                    right.body != sent.body
                        && *right == Sent { body: right.body.clone(), ..sent.clone() }
                }),
            );
            want("a downgrade", self.refused.iter().any(|(_, name, _)| DOWNGRADES.contains(name)));
        }
        let place = &scheme.signature;
        let at_place = |reasons: &[&str], holds: &dyn Fn(&str, &[String]) -> bool| {
            self.has(reasons, |right, sent| {
                right.but_for_signatures(place) == sent.but_for_signatures(place)
                    && matches!(&right.signatures(place)[..],
                        [signature] if holds(signature, &sent.signatures(place)))
            })
        };
        want(
            "another signature",
            at_place(
                &["wrong_signature"],
                &|right, found| matches!(found, [it] if it.len() == right.len() && it != right),
            ),
        );
        want("no signature", at_place(&["missing_signature"], &|_, found| found.is_empty()));
        want("an empty signature", at_place(&["missing_signature"], &|_, found| found == [""]));
        want(
            "half a signature",
            at_place(
                &["malformed_signature", "wrong_signature"],
                &|right, found| matches!(found, [it] if !it.is_empty() && it.len() < right.len() && right.starts_with(&**it)),
            ),
        );
        want(
            "what cannot be a signature",
            at_place(&["malformed_signature"], &|_, found| matches!(found, [it] if !it.is_empty())),
        );
        // A key that is twice in a body makes the body unreadable.
        let ambiguous = match place {
            Location::Field(_) => "malformed_signature",
            Location::Header(_) | Location::Query(_) => "ambiguous_signature",
        };
        want(
            "the signature twice",
            at_place(&[ambiguous], &|right, found| found == [right, right]),
        );
        if let Location::Header(names) = place
            && names.iter().count() > 1
        {
            want(
                "both names of the header",
                self.has(&["ambiguous_signature"], |_, sent| {
                    names.iter().all(|name| sent.headers.iter().any(|(it, _)| name.as_str() == it))
                }),
            );
        }
        lacking
    }

    /// Whether something was refused for one of these reasons that is so related to a right request.
    fn has(&self, reasons: &[&str], related: impl Fn(&Sent, &Sent) -> bool) -> bool {
        let refused = self.refused.iter().filter(|(reason, ..)| reasons.contains(reason));
        refused.into_iter().any(|(_, _, sent)| self.rights.iter().any(|right| related(right, sent)))
    }
}

#[test]
fn every_question_of_the_table_is_asked_rightly_and_wrongly() {
    let files = files();
    for provider in PROVIDERS.iter() {
        let file = files.iter().find(|file| file.provider == provider.name);
        let asked = file.map_or(&[][..], |file| &file.handshakes);
        if provider.scheme.code.is_some() {
            let answered = |case: &Case| matches!(case.expect, Expect::Answered(_));
            let any = file.is_some_and(|file| file.cases.iter().any(answered));
            assert_eq!(any, !provider.handshakes.is_empty(), "{}", provider.name);
            continue;
        }
        assert_eq!(asked.is_empty(), provider.handshakes.is_empty(), "{}", provider.name);
        let names: BTreeSet<_> = asked.iter().map(|case| &*case.name).collect();
        assert_eq!(names.len(), asked.len(), "{}: a name twice", provider.name);
        for handshake in &provider.handshakes {
            let lacking = lacks(handshake, asked);
            assert!(lacking.is_empty(), "{} lacks {lacking:?}", provider.name);
        }
    }
}

fn lacks(handshake: &Handshake, asked: &[Question]) -> Vec<&'static str> {
    let answered = |case: &&Question| {
        handshake.method.as_str() == case.method
            && matches!(&case.expect, Answer::Answered { status, secret, .. }
                if *status == handshake.status && secret.is_some() == handshake.secret.is_some())
    };
    let refused = |name: &str, of: Option<u16>| {
        asked.iter().any(|case| {
            matches!(&case.expect, Answer::Refused { reason, status } if reason == name && *status == of)
        })
    };
    let mut wanted = vec![
        ("an answer", asked.iter().any(|case| answered(&case))),
        (
            "what is no question",
            asked.iter().any(|case| {
                matches!(&case.expect, Answer::Refused { status: None, .. } | Answer::Admitted)
            }),
        ),
    ];
    if !handshake.check.is_empty() {
        wanted.push((
            "one that does not show what it must",
            refused("handshake_refused", Some(handshake.otherwise)),
        ));
    }
    if handshake.verified {
        wanted.push(("a forged one", refused("wrong_signature", None)));
        wanted.push(("one without a signature", refused("missing_signature", None)));
    }
    wanted.into_iter().filter(|(_, there)| !there).map(|(what, _)| what).collect()
}
