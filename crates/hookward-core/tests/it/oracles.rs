//! The providers' own packages (see `tests/oracles/official.py` and `official.mjs`) as second opinion: what they sign we admit, what
//! we sign they take, what somebody changed both refuse, and where the two differ is written down here.
//!
//! None of them signs or verifies `v1a` (Ed25519): that has the published vector in `tests/vectors/standard-webhooks.json`.

use std::{collections::BTreeSet, fs, sync::LazyLock};

use hookward_core::{
    Refusal, Timestamp,
    provider::{Evidence, PROVIDERS, Provider},
    scheme::{Format, Sample},
};

use crate::support::{NOW, Recorded, root, rules, source_of};

mod atlassian;
mod borderline;
pub(crate) mod library;
mod tamper;

use library::{Bodies, Library, Question, Secret, secrets, verdicts};
use tamper::tampered;

/// Providers that have an official library which is not here, and why.
const NOT_HERE: &[(&str, &str)] =
    &[("pagerduty", "its library is for Go"), ("recurly", "its library that verifies is for Go")];

/// Those of schemes that are code are compared apart: they want to know more than a secret.
static LIBRARIES: LazyLock<Vec<Library>> = LazyLock::new(|| {
    let all = Library::all().into_iter();
    all.filter(|it| rules(&it.provider).scheme.code.is_none()).collect()
});

#[test]
fn every_provider_whose_official_library_was_run_has_it_here() {
    let libraries = &*LIBRARIES;
    let packages: BTreeSet<_> = libraries.iter().map(Library::name).collect();
    assert!(packages.len() >= 39, "only {} packages: {packages:?}", packages.len());
    let here: BTreeSet<_> = libraries.iter().map(|it| &*it.provider).collect();
    let not_here: BTreeSet<_> = NOT_HERE.iter().map(|(provider, _)| *provider).collect();
    let run = PROVIDERS.iter().filter(|it| it.evidence == Evidence::OfficialLibrary);
    // Schemes that are code are compared where their code is.
    let run: BTreeSet<_> = run.filter(|it| it.scheme.code.is_none()).map(|it| it.name).collect();
    assert_eq!(run, here.union(&not_here).copied().collect());
}

/// Whether the one signature that its package looks at is not the one that counts.
fn looks_at_another(question: &Question) -> bool {
    let (name, case) = (question.name(), &question.request.case);
    ONE_SIGNATURE.iter().any(|(package, which, _)| *package == name && case.ends_with(which))
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// Bodies in the shape that a package can judge: by name, with their media type.
fn bodies(library: &Library) -> Vec<(&'static str, String, &'static str)> {
    let sample = Provider::named(&library.provider).unwrap().sample.body("0f3a5c7e9b1d2468", NOW);
    assert!(sample.starts_with(['{', '[']), "{}: {sample}", library.provider);
    let with = |member: &str| sample.replacen('{', &format!("{{{member},"), 1);
    let mut bodies = vec![
        ("an event", sample.clone(), JSON),
        ("text of many scripts", with(r#""odd":"Zoë Łukasz 東京 🦀 עברית""#), JSON),
        ("100 kB", with(&format!(r#""odd":"{}""#, "0123456789abcdef".repeat(6_400))), JSON),
    ];
    if library.bodies != Bodies::Compact {
        bodies.extend([
            ("escapes", with(r#""odd":"Zo\u00eb \ud83e\udd80 \/ \" \\""#), JSON),
            ("CRLF and indentation", format!("{}\r\n", with("\r\n\t\"odd\" :  1")), JSON),
            (
                "numbers that do not survive re-writing",
                with(r#""odd":[1.0,12345678901234567890,1E2]"#),
                JSON,
            ),
        ]);
    }
    if library.bodies == Bodies::Any {
        bodies.push(("an empty object", "{}".to_owned(), JSON));
    }
    if rules(&library.provider).media.forms {
        let command =
            "token=x&team_id=T1&command=%2Fdeploy&text=caf%C3%A9+%26+tea&trigger_id=1.2.ab";
        let interaction = "payload=%7B%22type%22%3A%22block_actions%22%7D";
        bodies.push(("a slash command", command.to_owned(), FORM));
        bodies.push(("an interaction", interaction.to_owned(), FORM));
    }
    bodies
}

type Headers = Vec<(String, String)>;

/// What precedes a body beside its signature.
fn unsigned_headers(library: &Library, media_type: &str) -> Headers {
    let sample = Provider::named(&library.provider).unwrap().sample.headers("0f3a5c7e", NOW);
    let sample = sample.into_iter().map(|(name, value)| (name.to_string(), value));
    let needed = |name: &str| library.needs.iter().any(|(it, _)| it == name);
    let mut headers: Vec<_> = sample.filter(|(name, _)| !needed(name)).collect();
    headers.extend(library.needs.iter().cloned());
    headers.push(("content-type".to_owned(), media_type.to_owned()));
    headers
}

/// Every body as a question to each package, by one of the two secrets, not signed yet.
fn unsigned(libraries: &[Library]) -> Vec<(Question, [Secret; 2])> {
    let mut all = Vec::new();
    for library in libraries {
        let secrets = secrets(&library.provider);
        for (what, body, media_type) in bodies(library) {
            let request = Recorded {
                provider: library.provider.clone(),
                case: what.to_owned(),
                secrets: Vec::new(),
                headers: unsigned_headers(library, media_type),
                body: body.into_bytes(),
                now: NOW,
            };
            all.push((library.asked(request), secrets.clone()));
        }
    }
    all
}

/// What Hookward signs of it, and the body that goes with it.
fn ours(question: &Question, secret: &Secret) -> (Headers, Vec<u8>) {
    let request = &question.request;
    let source = source_of(rules(&request.provider), std::slice::from_ref(&secret.signs));
    let at = Timestamp::from_secs(request.now);
    let signed = source.scheme().sign(Sample { id: question.id, at, body: &request.body }).unwrap();
    assert!(signed.query.is_empty());
    let headers = signed.headers.into_iter().map(|(name, value)| (name.to_string(), value));
    (headers.collect(), signed.body)
}

/// While a secret is rolled, a sender signs with both: one time, several signatures. `None` where its headers have one place.
fn rotated(provider: &str, new: &Headers, old: &Headers) -> Option<Headers> {
    let scheme = rules(provider).scheme;
    let Format::List { separator, assign, .. } = scheme.format else { return None };
    let label = format!("{}{assign}", scheme.versions[0].label);
    let mut both = new.clone();
    let signature = old.iter().find_map(|(_, value)| value.find(&label).map(|at| &value[at..]));
    let signature = signature.unwrap();
    let (_, value) = both.iter_mut().find(|(_, value)| value.contains(&label)).unwrap();
    *value = format!("{value}{separator}{signature}");
    Some(both)
}

/// The requests that follow from the headers that each of two secrets gives.
fn requests(question: &Question, secrets: &[Secret; 2], [new, old]: [Headers; 2]) -> Vec<Question> {
    let [by_new, by_old] = secrets.each_ref().map(|it| it.verifies.clone());
    let with = |case: &str, secrets: &[&String], headers: Headers| {
        let mut question = question.clone();
        question.request.case.push_str(case);
        question.request.secrets = secrets.iter().copied().cloned().collect();
        question.request.headers.splice(0..0, headers);
        question
    };
    let both = rotated(&question.request.provider, &new, &old);
    let mut all =
        vec![with("", &[&by_new], new), with(", two secrets configured", &[&by_new, &by_old], old)];
    all.extend(both.into_iter().flat_map(|both| {
        [
            with(", signed twice, the first known", &[&by_new], both.clone()),
            with(", signed twice, the second known", &[&by_old], both),
        ]
    }));
    all
}

/// What the official packages signed.
static SIGNED_BY_THEM: LazyLock<Vec<Question>> = LazyLock::new(|| {
    let signs: Vec<_> = LIBRARIES.iter().filter(|it| it.signs).cloned().collect();
    assert!(signs.len() >= 13, "only {} sign", signs.len());
    let unsigned = unsigned(&signs);
    let ask = unsigned.iter().flat_map(|(question, secrets)| {
        secrets.iter().map(|secret| {
            let mut question = question.clone();
            question.request.secrets = vec![secret.signs.clone()];
            question
        })
    });
    let signed = library::sign(&ask.collect::<Vec<_>>());
    let (pairs, rest) = signed.as_chunks::<2>();
    assert!(rest.is_empty() && pairs.len() == unsigned.len());
    let all = unsigned.iter().zip(pairs);
    all.flat_map(|((question, secrets), pair)| requests(question, secrets, pair.clone())).collect()
});

/// What Hookward signs for each package to judge.
static SIGNED_BY_US: LazyLock<Vec<Question>> = LazyLock::new(|| {
    let signed = unsigned(&LIBRARIES).into_iter().flat_map(|(mut question, secrets)| {
        let [(new, body), (old, _)] = secrets.each_ref().map(|secret| ours(&question, secret));
        question.request.body = body;
        requests(&question, &secrets, [new, old])
    });
    signed.collect()
});

fn outcome(request: &Recorded) -> &'static str {
    request.admit().as_ref().map_or_else(Refusal::as_str, |_| "admitted")
}

#[test]
fn what_the_official_packages_sign_is_admitted_byte_for_byte() {
    for question in &*SIGNED_BY_THEM {
        let (name, request) = (question.name(), &question.request);
        let case = format!("{name}, {}: {}", request.provider, request.case);
        let event = request.admit().unwrap_or_else(|refusal| panic!("{case}: {refusal}"));
        assert_eq!(event.body, request.body, "{case}");
        let mut later = request.clone();
        later.now += rules(&request.provider).scheme.time.map_or(300, |time| time.past.as_secs());
        let again = later.admit().unwrap_or_else(|refusal| panic!("{case} later: {refusal}"));
        assert_eq!(again.key, event.key, "{case}: repeated");
    }
}

/// What is signed by either side, as far as it is worth changing: the size of a body and how it is written make no difference.
fn signed() -> impl Iterator<Item = &'static Question> {
    let signed = SIGNED_BY_THEM.iter().chain(&*SIGNED_BY_US);
    let worthwhile = ["an event", "text of many scripts"];
    signed.filter(move |it| worthwhile.iter().any(|case| it.request.case.starts_with(case)))
}

#[test]
fn what_was_signed_and_somebody_changed_is_refused() {
    let mut refused = 0;
    for signed in signed() {
        for (request, expected) in tampered(&signed.request) {
            let outcome = outcome(&request);
            let case = format!("{}, {}", request.provider, request.case);
            match expected {
                Some(expected) => assert_eq!(outcome, expected, "{case}"),
                None => assert_ne!(outcome, "admitted", "{case}"),
            }
            refused += 1;
        }
    }
    assert!(refused > 5_000, "only {refused}");
}

#[test]
fn the_official_packages_take_what_we_sign() {
    let questions = &*SIGNED_BY_US;
    let (taken, refused): (Vec<_>, Vec<_>) =
        questions.iter().zip(verdicts(questions)).partition(|(_, verdict)| verdict.is_none());
    let unexpected: Vec<_> = refused.iter().filter(|(it, _)| !looks_at_another(it)).collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    let unneeded = taken.iter().find(|(it, _)| looks_at_another(it));
    assert!(unneeded.is_none(), "taken after all: {unneeded:?}");
    // For the same question asked by pytest, where the answer is part of its report.
    let taken: Vec<_> = taken.into_iter().map(|(question, _)| question).collect();
    let directory = root().join(".cache/oracles");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("signed-by-hookward.json"), serde_json::to_vec(&taken).unwrap())
        .unwrap();
}

/// Packages that look at one signature only where a sender may send several while it rolls a secret: which cases they refuse.
/// We look at all.
const ONE_SIGNATURE: &[(&str, &str, &str)] = &[
    ("npm:@paddle/paddle-node-sdk", "the first known", "it looks at the last"),
    ("pypi:elevenlabs", "the first known", "it looks at the last"),
    ("npm:@workos-inc/node", "the second known", "it looks at the first"),
    ("npm:@sanity/webhook", "the first known", "it takes no list of two"),
    ("npm:@sanity/webhook", "the second known", "it takes no list of two"),
    ("pypi:workos", "the first known", "it takes no list of two"),
    ("pypi:workos", "the second known", "it takes no list of two"),
];

const STRIPE: &[&str] = &["pypi:stripe"];
const SLACK: &[&str] = &["pypi:slack-sdk"];
const STANDARD: &[&str] = &["pypi:standardwebhooks", "pypi:svix"];
const BOTH_STANDARD: &[&str] = &["npm:standardwebhooks", "pypi:standardwebhooks", "pypi:svix"];
const NO_TIME: &[&str] = &[
    "npm:@sanity/webhook",
    "npm:@sendgrid/eventwebhook",
    "npm:@zoom/rivet",
    "npm:discord-interactions",
    "npm:replicate",
    "pypi:discord-interactions",
    "pypi:sendgrid",
];
const PAST_ONLY: &[&str] = &[
    "npm:@mux/mux-node",
    "npm:@paddle/paddle-node-sdk",
    "npm:@workos-inc/node",
    "pypi:cloudinary",
    "pypi:elevenlabs",
    "pypi:hubspot-api-client",
];
const ANY_VERSION: &[&str] =
    &["npm:@liveblocks/node", "npm:@workos-inc/node", "npm:replicate", "pypi:workos"];
const ANY_STANDARD_VERSION: &[&str] = &["npm:@liveblocks/node", "npm:replicate"];
const WRITES_ANEW: &[&str] = &["npm:@workos-inc/node", "npm:@zoom/rivet"];
/// What a framework makes of a header that is there twice.
const JOINED: &str = "a framework that joins them hides it";

/// Where we and an official package differ on purpose: package, case, our outcome (theirs is the opposite), why. Whatever we
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
    (STRIPE, "but too early", "from_the_future", "stripe looks at the past only"),
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
        BOTH_STANDARD,
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
        BOTH_STANDARD,
        "an id with a dot",
        "malformed_signature",
        "the specification forbids it: the dot separates what is signed",
    ),
    (BOTH_STANDARD, "an id with a space", "malformed_signature", "an id is visible ASCII"),
    (
        BOTH_STANDARD,
        "an id of 257 characters",
        "malformed_signature",
        "an id has 256 bytes at most",
    ),
    (
        &["pypi:standardwebhooks"],
        "but webhook-signature twice",
        "ambiguous_signature",
        "a framework that joins them hides it",
    ),
    (
        &["pypi:svix"],
        "but svix-signature twice",
        "ambiguous_signature",
        "a framework that joins them hides it",
    ),
    // Packages that leave out what their provider signs.
    (NO_TIME, "but too late", "stale", "the package does not look at the time"),
    (NO_TIME, "but too early", "from_the_future", "the package does not look at the time"),
    (PAST_ONLY, "but too early", "from_the_future", "the package looks at the past only"),
    (
        ANY_VERSION,
        "but labelled as another version",
        "malformed_signature",
        "the package does not look at the version",
    ),
    (
        ANY_STANDARD_VERSION,
        "but labelled as v1a",
        "malformed_signature",
        "the package does not look at the version",
    ),
    (
        WRITES_ANEW,
        "but a byte more",
        "wrong_signature",
        "the package verifies what it writes anew of the JSON, not what was sent",
    ),
    // A header that is there twice.
    (&["pypi:elevenlabs"], "but elevenlabs-signature twice", "ambiguous_signature", JOINED),
    (&["npm:@mux/mux-node"], "but mux-signature twice", "ambiguous_signature", JOINED),
    (&["npm:@paddle/paddle-node-sdk"], "but paddle-signature twice", "ambiguous_signature", JOINED),
    (&["npm:@workos-inc/node"], "but workos-signature twice", "ambiguous_signature", JOINED),
    (
        &["npm:@clerk/backend", "npm:resend"],
        "but svix-signature twice",
        "ambiguous_signature",
        JOINED,
    ),
    (
        &["npm:@clerk/backend", "npm:resend"],
        "but svix-timestamp twice",
        "ambiguous_signature",
        "JavaScript's parseInt() reads the first of two times",
    ),
    (
        &["npm:@polar-sh/sdk", "npm:standardwebhooks"],
        "but webhook-timestamp twice",
        "ambiguous_signature",
        "JavaScript's parseInt() reads the first of two times",
    ),
    (
        &[
            "npm:@liveblocks/node",
            "npm:@polar-sh/sdk",
            "npm:replicate",
            "npm:standardwebhooks",
            "pypi:anthropic",
            "pypi:openai",
        ],
        "but webhook-signature twice",
        "ambiguous_signature",
        JOINED,
    ),
    (
        &["npm:gocardless-nodejs"],
        "but webhook-signature twice",
        "ambiguous_signature",
        "Node's hex decoder stops at the first character that is no digit",
    ),
    (
        &["npm:@sendgrid/eventwebhook", "pypi:sendgrid"],
        "but x-twilio-email-event-webhook-signature twice",
        "ambiguous_signature",
        "their base64 decoders stop at the padding of the first",
    ),
    // They are stricter, or crash.
    (
        STRIPE,
        "a body that is not UTF-8",
        "admitted",
        "stripe decodes it first; we verify bytes and quarantine what is no JSON",
    ),
    (SLACK, "a body that is not UTF-8", "admitted", "slack-sdk decodes it first"),
    (BOTH_STANDARD, "a body that is not UTF-8", "admitted", "standardwebhooks decodes it first"),
    (STRIPE, "hex in upper case", "admitted", "stripe compares text, we compare bytes"),
    (SLACK, "hex in upper case", "admitted", "slack-sdk compares text, we compare bytes"),
    (
        STRIPE,
        "a time with a zero before",
        "admitted",
        "stripe signs the number, we sign the text as sent",
    ),
    (
        BOTH_STANDARD,
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
    let libraries = &*LIBRARIES;
    let mut questions = Vec::new();
    for request in borderline::borderline() {
        let judges = libraries.iter().filter(|it| it.provider == request.provider);
        questions.extend(judges.map(|library| library.asked(request.clone())));
    }
    for signed in signed().filter(|it| !looks_at_another(it)) {
        questions.extend(tampered(&signed.request).into_iter().map(|(mut request, _)| {
            let what = request.case.strip_prefix(&signed.request.case).unwrap().trim_start();
            request.case = what.to_owned();
            let mut question = signed.clone();
            question.request = request;
            question
        }));
    }
    let differences: BTreeSet<_> = questions
        .iter()
        .zip(verdicts(&questions))
        .filter(|(question, theirs)| (outcome(&question.request) == "admitted") != theirs.is_none())
        .map(|(question, _)| {
            (question.name(), question.request.case.clone(), outcome(&question.request))
        })
        .collect();
    let written: BTreeSet<_> = DIFFERENCES
        .iter()
        .flat_map(|(packages, case, ours, _)| {
            packages.iter().map(|it| ((*it).to_owned(), (*case).to_owned(), *ours))
        })
        .collect();
    let unwritten: Vec<_> = differences.difference(&written).collect();
    let outdated: Vec<_> = written.difference(&differences).collect();
    assert!(
        unwritten.is_empty() && outdated.is_empty(),
        "not written: {unwritten:#?}, no longer true: {outdated:#?}"
    );
}
