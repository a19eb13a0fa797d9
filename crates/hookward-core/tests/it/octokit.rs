//! GitHub's recorded payloads (`@octokit/webhooks-examples`) through the door: signed, changed, and held against the
//! schemas that the same people publish (`@octokit/webhooks-schemas`).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs,
    process::Command,
    sync::Arc,
};

use hookward_core::{
    Event, EventKey, Intake, Quarantine, Source,
    schema::{Additional, Schema},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{self, NOW, admit, ask, installed, root, rules, source_of};

const SECRET: &str = "c21acdf7adbdf2b9d9f1e2a66bd5a3c8";

/// Payloads that the schemas of the same release refuse, by the reason. Exact: neither one more nor one less. All are the
/// first example of their event, taken from GitHub's documentation as it once was; a second implementation (ajv) refuses
/// the same ones.
const REFUSED_BY_SCHEMA: &[(&str, &[&str])] = &[
    (
        "the repository lacks what GitHub added later and the schema requires: is_template, web_commit_signoff_required, \
         topics, visibility, custom_properties",
        &[
            "000.branch_protection_rule.edited.json",
            "005.check_run.created.json",
            "014.check_suite.completed.json",
            "029.commit_comment.created.json",
            "034.create.json",
            "039.delete.json",
            "043.dependabot_alert.fixed.json",
            "046.deploy_key.created.json",
            "053.deployment_status.created.json",
            "057.discussion.created.json",
            "076.fork.json",
            "081.gollum.json",
            "142.member.added.json",
            "151.merge_group.checks_requested.json",
            "153.meta.deleted.json",
            "155.milestone.created.json",
            "169.package.published.json",
            "172.page_build.json",
            "179.project.created.json",
            "182.project_card.created.json",
            "191.project_column.created.json",
            "202.public.json",
            "243.pull_request_review_thread.resolved.json",
            "246.push.json",
            "266.repository_dispatch.on-demand-test.json",
            "268.repository.publicized.json",
            "281.repository_import.json",
            "295.star.created.json",
            "298.status.json",
            "302.team.added_to_repository.json",
            "308.team_add.json",
            "311.watch.started.json",
            "314.workflow_dispatch.json",
        ],
    ),
    (
        "so does the repository, and the event's own object lacks what was added later",
        &[
            "048.deployment.created.json",
            "072.discussion_comment.created.json",
            "094.issue_comment.created.json",
            "103.issues.edited.json",
            "132.label.deleted.json",
            "175.ping.json",
            "205.pull_request.opened.json",
            "234.pull_request_review.submitted.json",
            "238.pull_request_review_comment.created.json",
            "316.workflow_job.in_progress.json",
        ],
    ),
    (
        "the event's own object lacks what was added later",
        &[
            "084.installation.deleted.json",
            "091.installation_repositories.added.json",
            "287.security_advisory.published.json",
            "292.sponsorship.pending_tier_change.json",
        ],
    ),
    (
        "app.created_at is not in the format date-time: it has no offset",
        &["012.check_run.rerequested.json", "013.check_run.rerequested.json"],
    ),
    (
        "the alert has updated_at and fixed_at, which its schema excludes",
        &["023.code_scanning_alert.reopened.json"],
    ),
    ("the release has no name and no body, which must be texts", &["253.release.published.json"]),
    (
        "the sender is not the one account that the schema allows",
        &["283.repository_vulnerability_alert.create.json"],
    ),
    (
        "the run has no conclusion, which a completed one must have",
        &["324.workflow_run.completed.json"],
    ),
];

struct Payload {
    file: String,
    event: String,
    body: Vec<u8>,
}

/// All recorded payloads, minified as GitHub sends them.
fn payloads() -> Vec<Payload> {
    let mut payloads: Vec<_> = fs::read_dir(installed("node/payloads"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let file = path.file_name().and_then(|name| name.to_str()).unwrap().to_owned();
            let event = file.split('.').nth(1).unwrap().to_owned();
            Payload { file, event, body: fs::read(path).unwrap() }
        })
        .collect();
    payloads.sort_by(|a, b| a.file.cmp(&b.file));
    assert!(payloads.len() >= 300, "only {} recorded payloads", payloads.len());
    payloads
}

fn github() -> Source {
    source_of(rules("github"), &[SECRET.to_owned()])
}

/// The headers that GitHub sends with a payload.
fn headers(source: &Source, payload: &Payload) -> Vec<(String, String)> {
    let signed = support::sign(source, "", NOW, &payload.body);
    let delivery = format!("72d3162e-cc78-11e3-81ab-{}", &payload.file[..3]);
    let own = [
        ("content-type", "application/json"),
        ("x-github-event", &payload.event),
        ("x-github-delivery", &delivery),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    signed.into_iter().map(|(name, value)| (name.to_string(), value)).chain(own).collect()
}

fn deliver(source: &Source, payload: &Payload) -> Event {
    let event = admit(source, &headers(source, payload), &payload.body, NOW);
    event.unwrap_or_else(|refusal| panic!("{}: {refusal}", payload.file))
}

#[test]
fn every_recorded_payload_is_admitted_byte_for_byte_and_told_apart_by_its_content() {
    let source = github();
    let mut keys: HashMap<Vec<u8>, EventKey> = HashMap::new();
    for payload in payloads() {
        let event = deliver(&source, &payload);
        assert_eq!(event.body, payload.body, "{}", payload.file);
        assert_eq!(event.intake, Intake::Deliver, "{}", payload.file);
        assert_eq!(event.event_type.as_deref(), Some(&*payload.event));
        assert!(event.sender_id.as_deref().unwrap().ends_with(&payload.file[..3]));
        assert_eq!(deliver(&source, &payload).key, event.key, "{}: repeated", payload.file);
        let known = keys.insert(payload.body, event.key);
        assert!(known.is_none_or(|key| key == event.key), "{}: same body, other key", payload.file);
    }
    let distinct: HashSet<_> = keys.values().collect();
    assert_eq!(distinct.len(), keys.len(), "two bodies share a key");
    assert!(keys.len() >= 300, "only {} different payloads", keys.len());
}

#[test]
fn no_recorded_payload_survives_a_changed_byte() {
    let source = github();
    for payload in payloads() {
        let headers = headers(&source, &payload);
        let last = payload.body.len() - 1;
        for part in 0..=8 {
            let mut body = payload.body.clone();
            body[last * part / 8] ^= 1;
            let refusal = admit(&source, &headers, &body, NOW).unwrap_err();
            assert_eq!(refusal.as_str(), "wrong_signature", "{} at {part}/8", payload.file);
        }
        let shorter = admit(&source, &headers, &payload.body[..last], NOW).unwrap_err();
        assert_eq!(shorter.as_str(), "wrong_signature", "{} without its last byte", payload.file);
    }
}

#[test]
fn octokit_signs_as_we_do_and_agrees_on_every_verdict() {
    #[derive(Serialize)]
    struct Question {
        secret: &'static str,
        signatures: BTreeMap<String, String>,
    }

    #[derive(Debug, Deserialize, PartialEq, Eq)]
    #[serde(deny_unknown_fields)]
    struct Verdict {
        signature: String,
        accepts: bool,
        accepts_changed: bool,
        accepts_other_secret: bool,
    }

    let source = github();
    let ours = |payload: Payload| {
        let mut headers = headers(&source, &payload).into_iter();
        let (_, signature) = headers.find(|(name, _)| name == "x-hub-signature-256").unwrap();
        (payload.file, signature)
    };
    let signatures: BTreeMap<_, _> = payloads().into_iter().map(ours).collect();
    let mut node = Command::new("node");
    node.arg(root().join("tests/oracles/octokit.mjs"));
    node.arg(installed("node/node_modules")).arg(installed("node/payloads"));
    let question = Question { secret: SECRET, signatures: signatures.clone() };
    let verdicts: BTreeMap<String, Verdict> = ask(&mut node, &question);
    let expected = signatures.into_iter().map(|(file, signature)| {
        let verdict = Verdict {
            signature,
            accepts: true,
            accepts_changed: false,
            accepts_other_secret: false,
        };
        (file, verdict)
    });
    assert_eq!(verdicts, expected.collect());
}

/// The schema of one event: its definition and those that it refers to.
fn schema_of(event: &str, definitions: &Value) -> Schema {
    let name = [format!("{event}_event"), format!("{event}$event")]
        .into_iter()
        .find(|name| definitions.get(name).is_some())
        .unwrap_or_else(|| panic!("no schema for {event}"));
    let mut used = BTreeSet::from([name.clone()]);
    let mut open = vec![name.clone()];
    while let Some(name) = open.pop() {
        references(&definitions[&name], &mut |referred| {
            if used.insert(referred.to_owned()) {
                open.push(referred.to_owned());
            }
        });
    }
    let used: serde_json::Map<_, _> =
        used.into_iter().map(|name| (name.clone(), definitions[&name].clone())).collect();
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": format!("#/definitions/{name}"),
        "definitions": used,
    });
    Schema::compile(&schema, Additional::Tolerate)
        .unwrap_or_else(|error| panic!("the schema of {event}: {error}"))
}

fn references(schema: &Value, found: &mut impl FnMut(&str)) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                found(
                    reference
                        .strip_prefix("#/definitions/")
                        .expect("a reference into the document"),
                );
            }
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// GitHub with the published schema of every event that was recorded.
fn github_with_schemas(payloads: &[Payload]) -> Source {
    let published = fs::read(installed("node/node_modules/@octokit/webhooks-schemas/schema.json"));
    let published: Value = serde_json::from_slice(&published.unwrap()).unwrap();
    let events: BTreeSet<_> = payloads.iter().map(|payload| &*payload.event).collect();
    assert!(events.len() >= 50, "only {} events", events.len());
    let mut rules = rules("github");
    rules.schemas.by_type = events
        .into_iter()
        .map(|event| (event.into(), Arc::new(schema_of(event, &published["definitions"]))))
        .collect();
    source_of(rules, &[SECRET.to_owned()])
}

#[test]
fn recorded_payloads_match_the_published_schema_of_their_event() {
    let payloads = payloads();
    let source = github_with_schemas(&payloads);
    let mut refused = Vec::new();
    for payload in &payloads {
        match deliver(&source, payload).intake {
            Intake::Deliver => {}
            Intake::Quarantine(Quarantine::SchemaViolation) => {
                let why = source.rules().schemas.by_type[&*payload.event].check(&payload.body);
                println!("{}: {}", payload.file, why.unwrap_err());
                refused.push(&*payload.file);
            }
            intake => panic!("{}: {intake:?}", payload.file),
        }
    }
    let mut listed: Vec<_> =
        REFUSED_BY_SCHEMA.iter().flat_map(|(_, files)| *files).copied().collect();
    listed.sort_unstable();
    assert_eq!(refused, listed, "what is refused is not what is listed as refused");
}

#[test]
fn a_payload_that_breaks_its_schema_is_kept_as_a_dead_letter() {
    let payloads = payloads();
    let source = github_with_schemas(&payloads);
    let mut broken = 0;
    for payload in payloads {
        let mut value: Value = serde_json::from_slice(&payload.body).unwrap();
        let Some(sender) = value.get_mut("sender") else { continue };
        *sender = json!(7);
        broken += 1;
        let payload = Payload { body: serde_json::to_vec(&value).unwrap(), ..payload };
        let intake = deliver(&source, &payload).intake;
        assert_eq!(intake, Intake::Quarantine(Quarantine::SchemaViolation), "{}", payload.file);
    }
    assert!(broken >= 300, "only {broken} payloads have a sender");
}
