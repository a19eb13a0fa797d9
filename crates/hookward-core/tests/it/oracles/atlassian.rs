//! Atlassian's own library and ours, both ways, on requests whose URLs are written in every way.

use hookward_core::{Refusal, Source, Timestamp, provider::Provider, scheme::Sample};
use http::Method;

use super::library::{Library, Question, sign, verdicts};
use crate::support::{NOW, Recorded, admit_as, rules, source_of};

const PROVIDER: &str = "atlassian-connect";
const SECRET: &str = "c21acdf7adbdf2b9d9f1e2a66bd5a3c8";
const HOST: &str = "https://hooks.test";

const TARGETS: &[&str] = &[
    "/",
    "/hooks/jira",
    "/hooks/jira/",
    "/hooks//jira",
    "/hooks/a&b",
    "/hooks/caf%C3%A9",
    "/hooks?a=1",
    "/hooks?b=2&a=1",
    "/hooks?a=2&a=1&a=10",
    "/hooks?a=x+y&b=x%20y&c=x%2By",
    "/hooks?a=%C3%A9%E6%9D%B1&%C3%A9=1",
    "/hooks?a=(1)!*'~-._&b=a,b&c=a%2Cb",
    "/hooks?a=&b&c==",
    "/hooks?A=1&a=2&_=3&~=4",
    "/hooks?user_id=%7B1%7D&issue=PROJ-1&jwt2=x",
];

fn source(url: &str) -> Source {
    let mut rules = rules(PROVIDER);
    rules.scheme.settings.url = Some(url.into());
    rules.scheme.settings.options.insert("client_key".into(), vec!["client-1".into()]);
    source_of(rules, &[SECRET.to_owned()])
}

fn question(library: &Library, url: &str, headers: Vec<(String, String)>) -> Question {
    let body = Provider::named(PROVIDER).unwrap().sample.body("0f3a5c7e9b1d2468", NOW);
    let asked = library.asked(Recorded {
        provider: PROVIDER.to_owned(),
        case: url.to_owned(),
        secrets: vec![SECRET.to_owned()],
        headers,
        body: body.into_bytes(),
        now: NOW,
    });
    asked.at(url)
}

/// What becomes of a request with these headers at this path and query, whose source knows the path.
fn judge(target: &str, mut headers: Vec<(String, String)>) -> Result<(), Refusal> {
    let (path, _) = target.split_once('?').unwrap_or((target, ""));
    headers.push(("content-type".to_owned(), "application/json".to_owned()));
    let source = source(&format!("{HOST}{path}"));
    admit_as(&source, &Method::POST, target, &headers, b"{}", NOW).map(drop)
}

#[test]
fn atlassians_library_and_we_agree_on_every_url() {
    let libraries = Library::all();
    let library = libraries.iter().find(|it| it.provider == PROVIDER).unwrap();
    let urls: Vec<_> = TARGETS.iter().map(|target| format!("{HOST}{target}")).collect();
    let unsigned: Vec<_> = urls.iter().map(|url| question(library, url, Vec::new())).collect();
    for (target, headers) in TARGETS.iter().zip(sign(&unsigned)) {
        judge(target, headers.clone()).unwrap_or_else(|refusal| panic!("{target}: {refusal}"));
        let other = format!("{target}{}z=1", if target.contains('?') { '&' } else { '?' });
        let refused = judge(&other, headers).unwrap_err();
        assert_eq!(refused, Refusal::WrongClaim { claim: "qsh".into() }, "{other}");
    }

    let ours = |url: &String| {
        let at = Timestamp::from_secs(NOW);
        let signed = source(url).scheme().sign(Sample { id: "x", at, body: b"{}" }).unwrap();
        signed.headers.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
    };
    let signed: Vec<_> = urls.iter().map(|url| question(library, url, ours(url))).collect();
    for (url, verdict) in urls.iter().zip(verdicts(&signed)) {
        assert_eq!(verdict, None, "{url}");
    }
    let elsewhere: Vec<_> =
        urls.iter().map(|url| question(library, &format!("{HOST}/other"), ours(url))).collect();
    assert!(verdicts(&elsewhere).iter().all(Option::is_some));
}
