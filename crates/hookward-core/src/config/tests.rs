use std::ops::Range;

use proptest::prelude::*;
use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

use super::{file::File, section::Absent, *};
use crate::{
    identity::IdentityRule,
    json::Pointer,
    scheme::{Algorithm, Format, TimePlace, TimeUnit},
    source::{EventTypeRule, Expected, Malformed, UnknownTypes},
};

const FULL: &str = include_str!("../../tests/fixtures/config/full.toml");

/// Senders in every way in which they can be described.
const SENDERS: &str = include_str!("../../tests/fixtures/config/senders.toml");

/// The store that [`FULL`] does not have.
const DYNAMODB: &str = include_str!("../../tests/fixtures/config/dynamodb.toml");

/// What makes a file complete; put behind what a test is about, so that its lines count from 1.
const REST: &str = "
[admin]
token = 'env:ADMIN'
[sources.rest]
provider = 'github'
secret = 'env:REST'
destination = 'rest'
[destinations.rest]
url = 'http://127.0.0.1/'
secret = 'env:REST_DELIVERY'
";

fn parse(text: &str) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    Config::parse(text, Dialect::File, &mut |path| match path.to_str() {
        Some("any.json" | "schemas/any.json" | "schemas/invoice.json") => {
            Ok("{\"type\":\"object\"}".to_owned())
        }
        Some("broken.json") => Ok("{".to_owned()),
        Some("wrong.json") => Ok("{\"type\":\"objekt\"}".to_owned()),
        _ => Err("no such file".to_owned()),
    })
}

fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|wrong| panic!("{text}\n{}", lines(&wrong))).0
}

fn part(range: Range<usize>) -> &'static str {
    FULL.get(range).expect("whole characters")
}

fn lines(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|it| it.to_string() + "\n").collect()
}

/// What is said about a text that [`REST`] completes.
#[track_caller]
fn check(text: &str, expected: &str) {
    let found = match parse(&format!("{text}{REST}")) {
        Ok((_, warnings)) => warnings,
        Err(all) => {
            assert!(all.iter().any(|it| it.severity == Severity::Error), "an error without one");
            all
        }
    };
    assert_eq!(lines(&found).trim_end(), expected.trim(), "\n{text}");
}

/// What is said about a source's lines, of which the first is line 2.
#[track_caller]
fn check_source(lines: &str, expected: &str) {
    check(&format!("[sources.a]\n{lines}\ndestination = 'rest'\n"), expected);
}

#[track_caller]
fn check_destination(lines: &str, expected: &str) {
    let source = "[sources.a]\nprovider = 'stripe'\nsecret = 'env:A'\ndestination = 'app'";
    check(&format!("[destinations.app]\n{lines}\n{source}\n"), expected);
}

/// What is said about a described signature's lines, of which the first is line 2.
#[track_caller]
fn check_signature(lines: &str, expected: &str) {
    let source = "[sources.a]\nsecret = 'env:A'\ndestination = 'rest'";
    check(&format!("[sources.a.signature]\n{lines}\n{source}\n"), expected);
}

#[test]
fn the_example_is_without_mistakes_and_warnings() {
    let (config, warnings) = parse(Config::EXAMPLE).unwrap();
    assert_eq!(lines(&warnings), "");
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.admin.as_ref().unwrap().listen.to_string(), "127.0.0.1:8081");
    assert_eq!(config.limits, Limits::default());
    let names: Vec<_> = config.sources.iter().map(|source| source.name().as_str()).collect();
    assert_eq!(names, ["stripe", "github"], "in the order of the file");
    let stripe = config.source("stripe").unwrap();
    assert_eq!((&*stripe.rules.path, stripe.provider), ("/hooks/stripe", Some("stripe")));
    assert_eq!(stripe.rules.expect, [(Pointer::parse("/livemode").unwrap(), Expected::Bool(true))]);
    assert_eq!(
        config.source("github").unwrap().rules.key_retention,
        None,
        "for ever: no time is signed"
    );
    assert_eq!(config.destination("app").unwrap().url.path(), "/webhooks/");
}

#[test]
fn every_mistake_is_reported_at_once_in_the_order_of_the_file() {
    check(
        r#"
[server]
listen = ":8080"
port = 1
tls = { cert = "a", kye = "b" }
[limits]
connections = 0
keep_alive = 30
lisen = 1
timeout = "5s"
[sources.stripe]
provider = "strip"
secrt = "env:X"
body_max = "1MB"
destination = "rset"
zzz = 1
"#,
        r#"
3:10: server.listen: ":8080" is not an address and port; write "127.0.0.1:8080"
4:1: server: unknown key "port"; write it into `listen`, such as "127.0.0.1:8080"
5:21: server.tls: unknown key "kye", did you mean "key"?
7:15: limits.connections: out of range: expected a whole number from 1 to 1000000
8:14: limits.keep_alive: expected a duration from 1s to 1h; found a whole number
9:1: limits: unknown key "lisen"; known here: connections, connections_per_address, unverified, unverified_burst, unverified_in_flight, unverified_bytes, header_timeout, tls_handshake_timeout, keep_alive
10:1: limits: unknown key "timeout"; it is a key of [destinations.<name>]
12:12: sources.stripe.provider: unknown provider "strip", did you mean "stripe"?
13:1: sources.stripe: unknown key "secrt", did you mean "secret"?
14:12: sources.stripe.body_max: "1MB" is not a size; write a whole number and one of B, KiB, MiB, GiB, such as "256KiB"
15:15: sources.stripe.destination: there is no destination "rset", did you mean "rest"?
16:1: sources.stripe: unknown key "zzz"; known here: provider, signature, options, url, verify_token, handshakes, path, secret, secrets, destination, tolerance, id, type, types, unknown_types, malformed, schema, schemas, additional, expect, origin, body_max, body_timeout, budget, burst, write_budget, over_budget, answer, tell_duplicates, keep_headers, keep, remember
"#,
    );
}

#[test]
fn what_is_no_toml_is_reported_before_anything_else() {
    check(
        "a = \nb = 1\nb = 2\n[x\n",
        "1:5: not TOML: string values must be quoted, expected literal string
3:1: not TOML: duplicate key
4:3: not TOML: unclosed table, expected `]`",
    );
}

#[test]
fn values_have_one_form() {
    let check = |section: &str, line: &str, expected: &str| {
        check(
            &format!("[{section}]\n{line}"),
            &expected.replace('$', &format!("2:{}: {section}", line.find("= ").unwrap() + 3)),
        );
    };
    check(
        "server",
        "drain = \"1.5s\"",
        "$.drain: \"1.5s\" is not a duration; write a whole number and one of ms, s, m, h, d, such as \"30s\"",
    );
    check("server", "drain = \"11m\"", "$.drain: out of range: expected a duration from 0s to 10m");
    check(
        "server",
        "http2_cleartext = \"yes\"",
        "$.http2_cleartext: expected true or false; found text",
    );
    check(
        "server",
        "listen = \"localhost:80\"",
        "$.listen: \"localhost:80\" is not an address and port; write \"127.0.0.1:80\"",
    );
    check(
        "store",
        "kind = \"embeded\"",
        "$.kind: unknown value \"embeded\", did you mean \"embedded\"?",
    );
    check(
        "store",
        "kind = \"sqlite\"",
        "$.kind: unknown value \"sqlite\"; use \"embedded\" or \"dynamodb\"",
    );
    check(
        "store",
        "table = \"events\"",
        "$.table: table means nothing to an embedded store; leave it out, or use kind = \"dynamodb\"",
    );
    check(
        "store",
        "table = \"my events\"",
        "$.table: \"my events\" is not the name of a table; use 3 to 255 letters, digits and any of _ . -",
    );
    check(
        "store",
        "region = \"EU (Frankfurt)\"",
        "$.region: \"EU (Frankfurt)\" is not an AWS region; write it as AWS does, such as \"eu-central-1\"",
    );
    check("store", "path = \"\"", "$.path: the path is empty");
    check(
        "store",
        "queue_max = 1.0",
        "$.queue_max: expected a whole number from 1 to 100000000; found a fraction",
    );
    check(
        "store",
        "queue_max = 99999999999999999999",
        "$.queue_max: out of range: expected a whole number from 1 to 100000000",
    );
    check(
        "limits",
        "unverified = \"0/s\"",
        "$.unverified: \"0/s\": a rate of 0 would refuse everything; leave the key out to have no limit",
    );
    check(
        "log",
        "level = \"verbose\"",
        "$.level: \"verbose\" is not a level; use error, warn, info, debug, trace or off, or parts such as \"info,hookward_server=debug\"",
    );
    check(
        "log",
        "format = \"text\"",
        "$.format: unknown value \"text\"; use \"auto\", \"human\" or \"json\"",
    );
    check(
        "log",
        "format = \"j\\u001b[1m\"",
        "$.format: unknown value \"j\\u{1b}[1m\"; use \"auto\", \"human\" or \"json\"",
    );
}

#[test]
fn a_source_has_secrets_that_are_not_written_here() {
    check_source(
        "provider = 'stripe'",
        r#"1:10: sources.a: a source without a secret: anyone could send; add secret = "env:NAME""#,
    );
    check_source(
        "provider = 'stripe'\nsecret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'",
        "3:10: sources.a.secret: a secret is not written in this file, where it would be copied along with it; write where it is: env:NAME, file:/path, credential:NAME, aws-sm:NAME or aws-ssm:NAME",
    );
    check_source(
        "provider = 'stripe'\nsecret = '$STRIPE'",
        "3:10: sources.a.secret: variables are not expanded in this file; write env: and the name of the variable, without $ and braces",
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:'",
        "3:10: sources.a.secret: nothing follows the colon; write where it is: env:NAME, file:/path, credential:NAME, aws-sm:NAME or aws-ssm:NAME",
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:MY SECRET'",
        "3:10: sources.a.secret: what follows env: is not the name of an environment variable; a name has letters, digits and _, such as env:STRIPE_WEBHOOK_SECRET",
    );
    check_source(
        "provider = 'stripe'\nsecret = 'credential:../a'",
        "3:10: sources.a.secret: what follows credential: is not the name of a credential; a credential is a file directly in the folder that systemd provides: use file: for any other",
    );
    for reference in ["aws-sm:", "aws-ssm:"] {
        check_source(
            &format!("provider = 'stripe'\nsecret = '{reference}'"),
            "3:10: sources.a.secret: nothing follows the colon; write where it is: env:NAME, file:/path, credential:NAME, aws-sm:NAME or aws-ssm:NAME",
        );
    }
    for reference in [
        "aws-sm:prod/stripe+a=b.c@d-e_f",
        "aws-sm:prod/webhooks#stripe key",
        "aws-sm:arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:prod/stripe-AbCdEf#key",
        "aws-ssm:/prod/stripe",
        "aws-ssm:arn:aws:ssm:eu-central-1:123456789012:parameter/prod/stripe",
    ] {
        check_source(&format!("provider = 'stripe'\nsecret = '{reference}'"), "");
    }
    for name in [
        "prod stripe",
        "prod:stripe",
        "#key",
        "arn:aws:secretsmanager:eu-central-1:123456789012:stripe",
        "arn:aws:secretsmanager:eu-central-1:12345:secret:stripe-AbCdEf",
        "arn:aws:ssm:eu-central-1:123456789012:parameter/stripe",
        "arn:aws:secretsmanager::123456789012:secret:stripe-AbCdEf",
    ] {
        check_source(
            &format!("provider = 'stripe'\nsecret = 'aws-sm:{name}'"),
            "3:10: sources.a.secret: what follows aws-sm: is not the name or ARN of a secret; a name has letters, digits and any of / _ + = . @ - such as aws-sm:prod/stripe; behind # is a key of its JSON",
        );
    }
    check_source(
        "provider = 'stripe'\nsecret = 'aws-sm:prod/stripe#'",
        "3:10: sources.a.secret: no key follows the #; write the key of the secret's JSON that holds the text, such as aws-sm:prod/webhooks#stripe",
    );
    for name in
        ["/prod/stripe:3", "/prod/stripe#a", "/a b", "arn:aws:ssm:eu-central-1:1:parameter/a"]
    {
        check_source(
            &format!("provider = 'stripe'\nsecret = 'aws-ssm:{name}'"),
            "3:10: sources.a.secret: what follows aws-ssm: is not the name or ARN of a parameter; a name has letters, digits and any of / _ . - and names no version, such as aws-ssm:/prod/stripe",
        );
    }
    check_source(
        "provider = 'stripe'\nsecret = 12345",
        r#"3:10: sources.a.secret: expected a reference to a secret: "env:NAME", "file:/path", "credential:NAME", "aws-sm:NAME" or "aws-ssm:NAME"; found a whole number"#,
    );
    check_source(
        "provider = 'stripe'\nsecrets = 'env:A'",
        r#"3:11: sources.a.secrets: expected a list; each item is a reference to a secret: "env:NAME", "file:/path", "credential:NAME", "aws-sm:NAME" or "aws-ssm:NAME"; or a table; found text"#,
    );
    check_source(
        "provider = 'stripe'\nsecrets = []",
        "3:11: sources.a.secrets: there are 0 secrets; list at least one and at most 8: each one is tried",
    );
    check_source(
        "provider = 'stripe'\nsecrets = ['env:A', 'env:A']",
        "3:21: sources.a.secrets[1]: the same secret twice; remove one of them",
    );
    check_source(
        "provider = 'stripe'\nsecrets = ['a', 'env:A', { not_after = 2030-01-01 }]",
        r#"3:12: sources.a.secrets[0]: a secret is not written in this file, where it would be copied along with it; write where it is: env:NAME, file:/path, credential:NAME, aws-sm:NAME or aws-ssm:NAME
3:26: sources.a.secrets[2]: "ref" is missing; it is a reference to a secret: "env:NAME", "file:/path", "credential:NAME", "aws-sm:NAME" or "aws-ssm:NAME"
3:40: sources.a.secrets[2].not_after: "2030-01-01" is not a date and time with an offset; write it such as 2026-12-01T00:00:00Z"#,
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nsecrets = ['env:B']",
        "3:10: sources.a.secret: there is `secret` and `secrets`; list all of them in `secrets`",
    );
    check_source(
        "provider = 'stripe'\nsecrets = ['env:1A', 'env:B', 'env:C', 'env:D', 'env:E', 'env:F', 'env:G', 'env:H', 'env:I', 'env:J']",
        "3:11: sources.a.secrets: there are 9 secrets; list at least one and at most 8: each one is tried
3:12: sources.a.secrets[0]: what follows env: is not the name of an environment variable; a name has letters, digits and _, such as env:STRIPE_WEBHOOK_SECRET",
    );
    check_source(
        "provider = 'stripe'\nsecrets = [{ ref = 'env:A', not_before = 2030-01-01T00:00:00Z, not_after = 2029-01-01T00:00:00Z }, 'env:B']",
        "3:12: sources.a.secrets[0]: the secret would end before it begins; swap `not_before` and `not_after`",
    );
    check_source(
        "provider = 'stripe'\nsecrets = [{ ref = 'env:A', not_after = 2029-01-01T00:00:00Z }]",
        "3:11: warning: sources.a.secrets: every one of these secrets ends, and with the last one the source does; add the secret that follows, or leave out `not_after` of the newest",
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:REST'",
        "10:10: sources.rest.secret: env:REST is also used for sources.a; use a secret of its own: what one of them signs, the other would take",
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:REST_DELIVERY'",
        "14:10: destinations.rest.secret: env:REST_DELIVERY is also used for sources.a; use a secret of its own: what one of them signs, the other would take",
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:ADMIN'",
        "3:10: sources.a.secret: env:ADMIN is also used for the admin token; use a secret of its own: what one of them signs, the other would take",
    );
}

#[test]
fn a_variable_that_need_not_be_set_is_for_verifying_alone() {
    check_source("provider = 'github'\nsecrets = ['env:NEW', 'env:OLD?']", "");
    check_source(
        "provider = 'github'\nsecret = 'env:?'",
        "3:10: sources.a.secret: what follows env: is not the name of an environment variable; \
         a name has letters, digits and _, such as env:STRIPE_WEBHOOK_SECRET",
    );
    check_destination(
        "url = 'http://127.0.0.1/x'\nsecret = 'env:APP?'\nprevious_secret = 'env:APP_OLD?'",
        "3:10: destinations.app.secret: this secret has to be there; leave the question mark out",
    );
}

#[test]
fn a_source_says_how_its_sender_signs() {
    check_source(
        "secret = 'env:A'",
        r#"1:10: sources.a: nothing says how it signs; add provider = "…" (`hookward providers list`), or describe it in [sources.a.signature]"#,
    );
    check_source(
        "secret = 'env:A'\nprovider = 'acme-shop'",
        r#"3:12: sources.a.provider: unknown provider "acme-shop"; use the name of a provider (`hookward providers list`), or describe its signature in [sources.a.signature]"#,
    );
    check_source(
        "provider = 'paypal'\noptions = { webhook_id = 'WH1' }\nsecret = 'env:A'",
        "4:10: sources.a.secret: this sender signs with keys that it publishes, so that there is no secret; remove it",
    );
    check_source("provider = 'paypal'\noptions = { webhook_id = 'WH1' }", "");
    check_source(
        "provider = 'livekit'\noptions = { api_key = 'a' }",
        r#"1:10: sources.a: a source without a secret: anyone could send; add secret = "env:NAME""#,
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nsignature = { header = 'X-A' }",
        r#"4:13: sources.a.signature: provider = "stripe" says already how it signs; remove one of them"#,
    );
}

#[test]
fn a_source_has_one_path_of_its_own() {
    check_source(
        r#"provider = 'stripe'
secret = 'env:A'
path = "hooks""#,
        r#"4:8: sources.a.path: "hooks": a path starts with a slash"#,
    );
    check_source(
        r#"provider = 'stripe'
secret = 'env:A'
path = "/""#,
        r#"4:8: sources.a.path: "/": a path of its own is needed, such as /hooks/stripe"#,
    );
    check_source(
        r#"provider = 'stripe'
secret = 'env:A'
path = "/a//b""#,
        r#"4:8: sources.a.path: "/a//b": a path has no empty segments: no // and no slash at its end"#,
    );
    check_source(
        r#"provider = 'stripe'
secret = 'env:A'
path = "/a/""#,
        r#"4:8: sources.a.path: "/a/": a path has no empty segments: no // and no slash at its end"#,
    );
    check_source(
        r#"provider = 'stripe'
secret = 'env:A'
path = "/a/./b""#,
        r#"4:8: sources.a.path: "/a/./b": a path has no . and .. segments"#,
    );
    check_source(
        r#"provider = 'stripe'
secret = 'env:A'
path = "/../a""#,
        r#"4:8: sources.a.path: "/../a": a path has no . and .. segments"#,
    );
    check_source(
        r#"provider = 'stripe'
secret = 'env:A'
path = "/a%2fb""#,
        r#"4:8: sources.a.path: "/a%2fb": a path has no %, ?, #, ; and \, which not everybody reads alike"#,
    );
    check_source(
        r#"provider = 'stripe'
secret = 'env:A'
path = "/a?b""#,
        r#"4:8: sources.a.path: "/a?b": a path has no %, ?, #, ; and \, which not everybody reads alike"#,
    );
    check_source(
        r#"provider = 'stripe'
secret = 'env:A'
path = "/a b""#,
        r#"4:8: sources.a.path: "/a b": a path has visible ASCII characters only"#,
    );
    check_source(
        r#"provider = 'stripe'
secret = 'env:A'
path = "/a ""#,
        r#"4:8: sources.a.path: "/a ": a path has visible ASCII characters only"#,
    );
    check_source(
        r#"provider = 'stripe'
secret = 'env:A'
path = "/hooks/rest""#,
        "9:10: sources.rest: /hooks/rest is also the path of sources.a; give each source a path of its own: nothing else tells which one a request is for",
    );
    check_source(
        r#"provider = 'stripe'
secret = 'env:A'
path = "/\u00e9""#,
        r#"4:8: sources.a.path: "/é": a path has visible ASCII characters only"#,
    );
}

#[test]
fn identity_comes_from_what_is_signed() {
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nid = 'header'",
        r#"4:6: sources.a.id: the signature covers time, body and no id, so whoever captured a request could replay it under any number of new ids; use a pointer into the body such as "/id", or "content""#,
    );
    check_source(
        "provider = 'github'\nsecret = 'env:A'\nid = 'header'",
        r#"4:6: sources.a.id: the signature covers body and no id, so whoever captured a request could replay it under any number of new ids; use a pointer into the body such as "/id", or "content""#,
    );
    check_source(
        "provider = 'github'\nsecret = 'env:A'\nid = 'header:X-GitHub-Delivery'",
        r#"4:6: sources.a.id: an id is taken from a header only when the signature covers it; where it does, write "header"; otherwise a captured request could be replayed under any number of new ids: use a pointer into the body, or "content""#,
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nid = 'id'",
        r#"4:6: sources.a.id: "id" says nowhere where the id is; use a pointer into the body such as "/id", or "content", or "header""#,
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nid = '/a~2'",
        r#"4:6: sources.a.id: "/a~2": in a JSON pointer a tilde is written ~0 and a slash within a key ~1"#,
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\ntype = 'X-Type'",
        r#"4:8: sources.a.type: "X-Type" says nowhere where the type is; use a pointer into the body such as "/type", or "header:X-Event", or "none""#,
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\ntype = 'header:'",
        r#"4:8: sources.a.type: "" is not a header's name"#,
    );
    check_source("provider = 'standard-webhooks'\nsecret = 'env:A'\nid = 'header'", "");
}

#[test]
fn time_is_held_to_a_tolerance_and_memory_outlasts_it() {
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\ntolerance = '0s'",
        "4:13: sources.a.tolerance: out of range: expected a duration from 1s to 1d",
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\ntolerance = '25h'",
        "4:13: sources.a.tolerance: out of range: expected a duration from 1s to 1d",
    );
    check_source(
        "provider = 'github'\nsecret = 'env:A'\ntolerance = '5m'",
        "4:13: sources.a.tolerance: the signature covers no time, so there is none to hold to a tolerance; remove it: a replay is recognised by its id, for as long as `remember` says",
    );
    check_source(
        "provider = 'github'\nsecret = 'env:A'\nremember = '35d'",
        "4:12: warning: sources.a.remember: the scheme signs no time, so a captured request can be replayed once its key is forgotten: leave `remember` out to remember keys for ever",
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\ntolerance = '12h'\nkeep = '1h'\nremember = '2h'",
        "6:12: warning: sources.a.remember: keys are forgotten while their requests are still fresh, so they can be replayed: raise `remember` above twice the tolerance",
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nremember = '7d'",
        "4:12: sources.a.remember: ids would be forgotten before bodies are (30d); raise `remember`, or lower `keep`",
    );
    check_source("provider = 'stripe'\nsecret = 'env:A'\nkeep = '40d'", "");
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nkeep = '1s'",
        "4:8: sources.a.keep: out of range: expected a duration from 1h to 3650d",
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nremember = 'always'",
        r#"4:12: sources.a.remember: "always" is neither a duration nor "forever"; write a whole number and one of ms, s, m, h, d, such as "35d""#,
    );
    check_source("provider = 'stripe'\nsecret = 'env:A'\nremember = 'forever'", "");
}

#[test]
fn types_schemas_and_values_go_together() {
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\ntypes = []",
        "4:9: sources.a.types: an empty list would know no type at all; list the types that the application handles, or remove it",
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\ntypes = ['a', '']",
        "4:15: sources.a.types[1]: it is empty",
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nunknown_types = 'refuse'",
        "4:17: sources.a.unknown_types: without `types`, no type is known or unknown; list the types that the application handles in `types`",
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\ntypes = ['a']\nunknown_types = 'deliver'",
        "5:17: warning: sources.a.unknown_types: this makes `types` have no effect; remove one of them",
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\ntypes = ['a']\ntype = 'none'",
        r#"5:8: sources.a.type: `types` and `schemas` need to know the type; say where it is, such as "/type"; or remove them"#,
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\ntypes = ['a']\ntype = 'header:X-Type'",
        "5:8: warning: sources.a.type: the signature does not cover this header: whoever captured a request can give it another type; take the type from the body, if it is there too",
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\ntypes = ['a']\nschemas = { b = 'any.json' }",
        r#"4:9: warning: sources.a.types: "b" has a schema and is not among the types; add it, or remove its schema"#,
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nschema = 'missing.json'",
        r#"4:10: sources.a.schema: "missing.json" cannot be read: no such file; a path is relative to the folder of this file"#,
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nschema = 'broken.json'",
        r#"4:10: sources.a.schema: "broken.json" is no JSON Schema to use: it is not JSON: EOF while parsing an object at line 1 column 1"#,
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nschema = 'wrong.json'\nschemas = { a = 'any.json', b = 'missing.json' }",
        r#"4:10: sources.a.schema: "wrong.json" is no JSON Schema to use: not a JSON Schema, at "/type": "objekt" is not valid under any of the schemas listed in the 'anyOf' keyword
5:33: sources.a.schemas.b: "missing.json" cannot be read: no such file; a path is relative to the folder of this file"#,
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nexpect = { livemode = true, '' = 1, '/a' = [1], '/b' = 9223372036854775808 }",
        r#"4:12: sources.a.expect.livemode: "livemode": a JSON pointer starts with a slash, such as /data/id
4:29: sources.a.expect."": the empty pointer is the whole body; point to a field, such as "/livemode"
4:44: sources.a.expect."/a": expected a text, a whole number of 64 bits, true or false; found a list
4:56: sources.a.expect."/b": out of range: expected a text, a whole number of 64 bits, true or false"#,
    );
}

#[test]
fn budgets_origins_and_headers_make_sense() {
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nburst = 5",
        r#"4:9: sources.a.burst: a burst of no budget; add budget = "500/s", or remove it"#,
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nbudget = '5'",
        r#"4:10: sources.a.budget: "5": a rate is a whole number, a slash and one of s, m, h, d, such as 100/s or 5000/m"#,
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nwrite_budget = '0/s'",
        r#"4:16: sources.a.write_budget: "0/s": a rate of 0 would refuse everything; leave the key out to have no limit"#,
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nwrite_budget = '9/s'",
        "4:16: warning: sources.a.write_budget: the embedded store bills no write units, so nothing is held to this; use `budget`, or remove it",
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\norigin = []",
        "4:10: sources.a.origin: an empty list would refuse everybody; name the sender's networks, or remove it to take requests from anywhere",
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\norigin = ['192.0.2.1/24', '192.0.2.0/33', 'example.com']",
        r#"4:11: sources.a.origin[0]: "192.0.2.1/24" has bits set beyond its prefix, did you mean "192.0.2.0/24"?
4:27: sources.a.origin[1]: "192.0.2.0/33" is not an address or network; write it such as "192.0.2.7", "192.0.2.0/24" or "2001:db8::/32"
4:43: sources.a.origin[2]: "example.com" is not an address or network; write it such as "192.0.2.7", "192.0.2.0/24" or "2001:db8::/32""#,
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nover_budget = 500",
        "4:15: sources.a.over_budget: out of range: expected 429 or 503",
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nanswer = 418",
        "4:10: sources.a.answer: out of range: expected 200, 201, 202 or 204",
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nbody_max = '64MiB'",
        "4:12: sources.a.body_max: out of range: expected a size from 1KiB to 32MiB",
    );
    check_source(
        "provider = 'stripe'\nsecret = 'env:A'\nkeep_headers = ['Authorization', 'Content-Length', 'Webhook-Id', 'a b', 'X-Ok']",
        r#"4:17: sources.a.keep_headers[0]: authorization: it holds a credential, which is not to be kept; remove it
4:34: sources.a.keep_headers[1]: content-length: it belongs to the sender's connection and means nothing on another one; remove it
4:52: sources.a.keep_headers[2]: webhook-id: deliveries have headers of that name of their own; remove it
4:66: sources.a.keep_headers[3]: "a b" is not a header's name"#,
    );
}

#[test]
fn a_described_signature_covers_what_it_must() {
    check_signature("header = 'X-A'", "");
    check_signature(
        "content = '{id}.{timestamp}'",
        "2:11: sources.a.signature.content: the signed content must contain {body}: otherwise the body can be replaced at will; add {body} to `content`",
    );
    check_signature("content = '{body'", "2:11: sources.a.signature.content: a { has no }");
    check_signature(
        "content = '{boddy}'",
        "2:11: sources.a.signature.content: {boddy} is unknown: use {id}, {timestamp}, {body}, {method}, {url}, {secret}, {header:<name>} or {field:<JSON pointer>}",
    );
    check_signature(
        "content = '{timestamp}.{body}'",
        r#"2:11: sources.a.signature.content: a timestamp must be both located and part of the signed content: an unsigned one proves nothing; add timestamp = { header = "…" }, or remove {timestamp}"#,
    );
    check_signature(
        "content = '{id}.{body}'",
        "2:11: sources.a.signature.content: an id header must be both named and part of the signed content: an unsigned one proves nothing; add `id_header`, or remove {id}",
    );
    check_signature(
        "timestamp = { header = 'X-T' }",
        "1:1: sources.a.signature.content: a timestamp must be both located and part of the signed content: an unsigned one proves nothing; add {timestamp} to `content`, or remove `timestamp`",
    );
    check_signature(
        "id_header = 'X-Id'",
        "1:1: sources.a.signature.content: an id header must be both named and part of the signed content: an unsigned one proves nothing; add {id} to `content`, or remove `id_header`",
    );
    check_signature(
        "content = '{id}{body}'\nid_header = 'X-Id'",
        "2:11: sources.a.signature.content: nothing stands between the id and its neighbour, so that a captured request could be cut into another id; put between them what the sender signs there, such as {id}.{timestamp}.{body}",
    );
    check_signature(
        "content = '{timestamp}{id}.{body}'\nid_header = 'X-Id'\ntimestamp = { header = 'X-T' }",
        "2:11: sources.a.signature.content: nothing stands between the id and its neighbour, so that a captured request could be cut into another id; put between them what the sender signs there, such as {id}.{timestamp}.{body}",
    );
    check_signature(
        "content = '{timestamp}.{body}'\ntimestamp = { label = 't' }",
        r#"3:13: sources.a.signature.timestamp: the timestamp is in the signature header, which then must be a list; add list = { label = "v1" }, or name a header"#,
    );
    check_signature(
        "content = '{timestamp}.{body}'\ntimestamp = { label = 'v1' }\nlist = { label = 'v1' }",
        "3:23: sources.a.signature.timestamp.label: the time has the label of the signatures; see how the sender writes the header, such as t=1,v1=2",
    );
    check_signature(
        "content = '{timestamp}.{body}'\ntimestamp = { label = 't', header = 'X-T' }",
        "3:13: sources.a.signature.timestamp: the signed time is in one place; name its `header`, its `label` in the list, or its `field` in the body",
    );
    check_signature(
        "content = '{timestamp}.{body}'\ntimestamp = {}",
        "3:13: sources.a.signature.timestamp: the signed time is in one place; name its `header`, its `label` in the list, or its `field` in the body",
    );
    check_signature(
        "content = '{timestamp}.{body}'\ntimestamp = { header = 'X-Signature' }",
        "3:13: sources.a.signature.timestamp: x-signature is named twice; each part of a signature has a header of its own",
    );
    check_signature(
        "list = { label = 'v1', separator = '=' }",
        "2:8: sources.a.signature.list.assign: the same character separates elements and follows labels; see how the sender writes the header, such as t=1,v1=2",
    );
    check_signature(
        "list = { label = 'v1', separator = 'ab' }\nprefix = 'a'",
        "2:36: sources.a.signature.list.separator: this is not one ASCII character that is no letter or digit
3:10: sources.a.signature.prefix: a list of signatures has labels and no prefix; remove `prefix` or `list`",
    );
    check_signature(
        "list = {}\nprefix = 'a'",
        "3:10: sources.a.signature.prefix: a list of signatures has labels and no prefix; remove `prefix` or `list`",
    );
    check_signature(
        "algorithm = 'hmac-sha1'",
        "2:13: sources.a.signature.algorithm: SHA-1 is taken only where it is asked for by name; use an algorithm with SHA-256 if the sender has it, or add allow_sha1 = true",
    );
    check_signature(
        "algorithm = 'hmac-sha1'\nallow_sha1 = true",
        "2:13: warning: sources.a.signature.algorithm: SHA-1 is broken as a hash; as an HMAC it holds, and nobody should begin with it; use an algorithm with SHA-256 as soon as the sender has it",
    );
    check_signature(
        "algorithm = 'md5'",
        r#"2:13: sources.a.signature.algorithm: unknown value "md5"; use "hmac-sha256", "hmac-sha512", "hmac-sha1", "sha256", "sha1", "ed25519", "ecdsa-p256-sha256", "rsa-sha256", "rsa-sha1" or "token""#,
    );
    check_signature(
        "algorithm = 'ed25519'",
        r#"2:13: sources.a.signature.algorithm: an Ed25519 public key is not text; add key = "hex", key = "base64" or key = "pem", as the sender shows it"#,
    );
}

#[test]
fn a_destination_is_an_endpoint_of_ones_own() {
    check_destination(
        r#"url = "/webhooks"
secret = 'env:D'"#,
        r#"2:7: destinations.app.url: this is not an absolute URL; write it with scheme and host, such as "http://127.0.0.1:8000/webhooks/""#,
    );
    check_destination(
        r#"url = "app:8000"
secret = 'env:D'"#,
        r#"2:7: destinations.app.url: this is not an absolute URL; write it with scheme and host, such as "http://127.0.0.1:8000/webhooks/""#,
    );
    check_destination(
        r#"url = "ftp://a/"
secret = 'env:D'"#,
        "2:7: destinations.app.url: the URL's scheme is neither http nor https; deliveries are HTTP requests",
    );
    check_destination(
        r#"url = "http://u:p@a/"
secret = 'env:D'"#,
        "2:7: destinations.app.url: the URL contains a user or a password; leave it out: deliveries are signed with `secret`, which the application verifies",
    );
    check_destination(
        r#"url = "http://a/#b"
secret = 'env:D'"#,
        "2:7: destinations.app.url: the URL has a fragment, which is never sent; leave out # and what follows it",
    );
    check_destination(
        r#"url = "http://a:0/"
secret = 'env:D'"#,
        "2:7: destinations.app.url: the URL's host or port is not one; a port is a number from 1 to 65535",
    );
    check_destination(
        r#"url = "http://a:99999/"
secret = 'env:D'"#,
        "2:7: destinations.app.url: the URL's host or port is not one; a port is a number from 1 to 65535",
    );
    check_destination(
        r#"url = "http://169.254.169.254/latest"
secret = 'env:D'"#,
        "2:7: destinations.app.url: 169.254.169.254 is a cloud's metadata service; nothing is ever delivered there; name the application's own address",
    );
    check_destination(
        r#"url = "http://[::ffff:169.254.169.254]/"
secret = 'env:D'"#,
        "2:7: destinations.app.url: ::ffff:169.254.169.254 is a cloud's metadata service; nothing is ever delivered there; name the application's own address",
    );
    check_destination(
        r#"url = "http://0.0.0.0/"
secret = 'env:D'"#,
        "2:7: destinations.app.url: 0.0.0.0 is an unspecified address; nothing is ever delivered there; name the application's own address",
    );
    check_destination(
        r#"url = "http://2130706433/"
secret = 'env:D'"#,
        "2:7: destinations.app.url: the URL's host looks like a number and is no IPv4 address; write an address as four decimal numbers, such as 127.0.0.1",
    );
    check_destination(
        r#"url = "http://127.1/"
secret = 'env:D'"#,
        "2:7: destinations.app.url: the URL's host looks like a number and is no IPv4 address; write an address as four decimal numbers, such as 127.0.0.1",
    );
    check_destination(
        r#"url = "http://0x7f.1/"
secret = 'env:D'"#,
        "2:7: destinations.app.url: the URL's host looks like a number and is no IPv4 address; write an address as four decimal numbers, such as 127.0.0.1",
    );
    check_destination(
        r#"url = "http://é/"
secret = 'env:D'"#,
        "2:7: destinations.app.url: the URL is not ASCII; write the host in its xn-- form, and other characters in the path as %XX",
    );
    check_destination(
        r#"url = "http://app.acme.com/"
secret = 'env:D'"#,
        "2:7: warning: destinations.app.url: events leave this network unencrypted; use https",
    );
    check_destination(
        r#"url = "http://app.local/"
secret = 'env:D'"#,
        "",
    );
    check_destination(
        r#"url = "http://10.0.0.1/"
secret = 'env:D'"#,
        "",
    );
    check_destination(
        r#"url = "https://app.acme.com/a?b=c"
secret = 'env:D'"#,
        "",
    );
    check_destination(
        r#"url = "http:///x"
secret = 'env:D'"#,
        r#"2:7: destinations.app.url: this is not an absolute URL; write it with scheme and host, such as "http://127.0.0.1:8000/webhooks/""#,
    );
    check_destination(
        "url = 'http://app/'",
        r#"1:15: destinations.app: "secret" is missing; it is a reference to a secret: "env:NAME", "file:/path", "credential:NAME", "aws-sm:NAME" or "aws-ssm:NAME""#,
    );
    check_destination(
        "secret = 'env:D'",
        r#"1:15: destinations.app: "url" is missing; it is an absolute http or https URL"#,
    );
    check_destination(
        "url = 'http://app/'\nsecret = 'env:D'\nprevious_secret = 'env:D'",
        "4:19: destinations.app.previous_secret: the previous secret is the current one; remove it, or put the new secret into `secret`",
    );
    check_destination(
        "url = 'http://app/'\nsecret = 'env:REST_DELIVERY'",
        "17:10: destinations.rest.secret: env:REST_DELIVERY is also used for deliveries to app; use a secret of its own: what one of them signs, the other would take",
    );
    check_destination("url = 'http://127.0.0.1/b'\nsecret = 'env:REST_DELIVERY'", "");
    check_destination(
        "url = 'http://app/'\nsecret = 'env:D'\nretry_first = '2h'\nretry_longest = '1h'",
        "4:15: destinations.app.retry_first: the first retry waits longer than the longest one; raise `retry_longest` or lower `retry_first`",
    );
    check_destination(
        "url = 'http://app/'\nsecret = 'env:D'\ncircuit = { failures = 0 }\nconcurrency = -1",
        "4:24: destinations.app.circuit.failures: out of range: expected a whole number from 1 to 10000
5:15: destinations.app.concurrency: out of range: expected a whole number from 1 to 4096",
    );
    check_destination(
        "url = 'http://app/'\nsecret = 'env:D'\nretries = 3",
        r#"4:1: destinations.app: unknown key "retries"; it is called `attempts`, and counts the first one too"#,
    );
}

#[test]
fn listeners_are_safe_and_apart() {
    check(
        "server.listen = '0.0.0.0:8080'",
        "1:17: warning: server.listen: webhooks are taken without TLS from outside this machine, for everyone on the way to read; set `tls`; or put a proxy that speaks TLS in front and name it in `trusted_proxies`",
    );
    check("server.listen = '0.0.0.0:8080'\nserver.trusted_proxies = ['10.0.0.0/8']", "");
    check("server.listen = '0.0.0.0:8080'\nserver.tls = { cert = 'a', key = 'b' }", "");
    check(
        "server.trusted_proxies = ['0.0.0.0/0']",
        "1:26: server.trusted_proxies: trusting every address as a proxy lets every sender choose its own address; name the proxies' networks, such as 10.0.0.0/8",
    );
    check(
        "server.client_address_header = 'X-Real-IP'",
        "1:32: server.client_address_header: nobody is believed in this header; name the proxies that set it in `trusted_proxies`, or remove it",
    );
    check(
        "server.listen = '0.0.0.0:8081'",
        "1:17: warning: server.listen: webhooks are taken without TLS from outside this machine, for everyone on the way to read; set `tls`; or put a proxy that speaks TLS in front and name it in `trusted_proxies`
2:1: admin.listen: 127.0.0.1:8081 is where webhooks are taken (0.0.0.0:8081); use another port: the admin listener has to stay out of reach of senders",
    );
    check("limits.connections = 10", "");
    check(
        "limits.unverified_bytes = '512KiB'",
        "4:10: sources.rest.body_max: a body of 1MiB would never fit; raise limits.unverified_bytes above it",
    );
    // A segment has to hold the body and what is kept beside it.
    check(
        "store.segment = '1MiB'",
        "4:10: sources.rest.body_max: a body of 1MiB would never fit; raise store.segment above it",
    );
    check(
        "store.segment = '2MiB'\nsources.a = { provider = 'stripe', secret = 'env:A', destination = 'rest', body_max = '2MiB' }",
        "2:87: sources.a.body_max: a body of 2MiB would never fit; raise store.segment above it",
    );
    check("store.segment = '2MiB'", "");
}

#[test]
fn names_are_known_or_known_elsewhere() {
    check("listen = ':1'", r#"1:1: unknown key "listen"; it is a key of [server]"#);
    check("tolerance = '5m'", r#"1:1: unknown key "tolerance"; it is a key of [sources.<name>]"#);
    check("source = {}", r#"1:1: unknown key "source", did you mean "sources"?"#);
    check(
        "sources.a-B = {}",
        "1:9: sources.a-B: a name is 1 to 64 of a-z, 0-9, - and _, and starts with a letter or digit",
    );
    check(
        "destinations.unused = { url = 'http://a/', secret = 'env:X' }",
        "1:14: warning: destinations.unused: no source delivers to it; name it as `destination` in a source, or remove it",
    );
}

#[test]
fn a_dynamodb_store_needs_no_more_than_its_kind() {
    let store = |text: &str| {
        let StoreConfig::DynamoDb(store) = good(&format!("{text}{REST}")).store else {
            panic!("another store")
        };
        store
    };
    let plain = DynamoDb {
        table: "hookward".into(),
        region: None,
        endpoint: None,
        completion: Completion::Checkpoint,
        node_lease: Duration::from_secs(30),
        journal_delay: Duration::from_millis(25),
        queue_max: limits::QUEUE_DEFAULT,
        kms_key: None,
        large_bodies: None,
        write_units_max: 4_000,
    };
    assert_eq!(store("[store]\nkind = 'dynamodb'"), plain);
    let full = DynamoDb {
        table: "webhooks".into(),
        region: Some("eu-central-1".into()),
        endpoint: Some(Uri::from_static("http://127.0.0.1:8000")),
        completion: Completion::Each,
        node_lease: Duration::from_secs(10),
        journal_delay: Duration::ZERO,
        queue_max: 7,
        kms_key: Some("alias/webhooks".into()),
        large_bodies: Some(LargeBodies {
            bucket: "webhooks-bodies".into(),
            prefix: "orders/".into(),
        }),
        write_units_max: 100,
    };
    assert_eq!(store(DYNAMODB), full);
    let budget = Budget { rate: "50/s".parse().unwrap(), burst: file::at_least_one(50) };
    let billing = &good(&format!("{DYNAMODB}{REST}")).sources[0].rules;
    assert_eq!((billing.name.as_str(), billing.write_budget), ("billing", Some(budget)));
    let large = store("[store]\nkind = 'dynamodb'\nlarge_bodies_bucket = 'a.b-c'").large_bodies;
    assert_eq!(large, Some(LargeBodies { bucket: "a.b-c".into(), prefix: "hookward/".into() }));
}

#[test]
fn large_bodies_need_a_bucket_and_names_that_mean_nothing_else() {
    let found = |keys: &str| {
        let text = format!("[store]\nkind = 'dynamodb'\n{keys}\n{REST}");
        parse(&text).map_or_else(|wrong| lines(&wrong), |_| String::new())
    };
    let alone = found("large_bodies_prefix = 'a/'");
    assert!(
        alone.contains("store.large_bodies_prefix: large_bodies_prefix means nothing without"),
        "{alone}"
    );
    for bucket in ["ab", "Bodies", "-bodies", "bodies.", "bod/ies", "bod*ies"] {
        let found = found(&format!("large_bodies_bucket = '{bucket}'"));
        assert!(found.contains("is not the name of a bucket"), "{bucket}: {found}");
    }
    for prefix in ["", "/a", "a*", "a b", "${x}"] {
        let keys = format!("large_bodies_bucket = 'bodies'\nlarge_bodies_prefix = '{prefix}'");
        let found = found(&keys);
        assert!(found.contains("is not the beginning of a key"), "{prefix:?}: {found}");
    }
}

#[test]
fn bodies_that_no_item_of_a_table_takes_need_a_bucket() {
    let check = |store: &str, body_max: &str, warned: bool, noted: bool| {
        let source = format!("[sources.a]\nprovider = 'stripe'\nsecret = 'env:A'\n{body_max}\n");
        let (config, warnings) = parse(&format!("[store]\n{store}\n{source}")).unwrap();
        let expected = "sources.a.body_max: a body of more than 350KiB once it is compressed does not fit into an item of the \
                        table, and is refused with 413; set `large_bodies_bucket` in [store], or lower this";
        let warnings = lines(&warnings);
        assert_eq!(warnings.contains(expected), warned, "{store} {body_max}: {warnings}");
        assert_eq!(warnings.contains("body_max"), warned, "{store} {body_max}: {warnings}");
        let notes = config.notes().join("");
        assert_eq!(notes.contains("`large_bodies_bucket`"), noted, "{store} {body_max}: {notes}");
    };
    let dynamodb = "kind = 'dynamodb'";
    check(dynamodb, "body_max = '351KiB'", true, true);
    check(dynamodb, "body_max = '2MiB'", true, true);
    // The usual limit is above it too, and nobody asked for it.
    check(dynamodb, "", false, true);
    check(dynamodb, "body_max = '350KiB'", false, false);
    check("kind = 'dynamodb'\nlarge_bodies_bucket = 'bodies'", "body_max = '2MiB'", false, false);
    check("kind = 'embedded'", "body_max = '2MiB'", false, false);
}

#[test]
fn events_do_not_cross_a_network_in_the_clear() {
    let found = |endpoint: &str| {
        let text = format!("[store]\nkind = 'dynamodb'\nendpoint = '{endpoint}'\n{REST}");
        parse(&text).map_or_else(|wrong| lines(&wrong), |_| String::new())
    };
    for good in ["https://dynamodb.example", "http://localhost:8000", "http://[::1]:8000"] {
        assert_eq!(found(good), "");
    }
    let expected = "3:12: store.endpoint: plain http to another machine would show every event to the network; use https";
    assert_eq!(found("http://10.0.0.1:8000").trim_end(), expected);
    assert_eq!(found("http://alternator:8000").trim_end(), expected);
}

#[test]
fn a_list_of_tables_is_no_table_of_names() {
    let expected = "1:1: sources: expected tables with names; found a list; write [sources.<name>] in one pair of \
                    brackets, each with a name";
    let found = parse("[[sources]]\nsecret = 'env:A'\n[admin]\ntoken = 'env:B'").unwrap_err();
    assert_eq!(lines(&found).trim_end(), expected);
}

#[test]
fn a_file_without_sources_serves_nobody() {
    for text in ["", "# nothing\n", "sources = {}"] {
        let found = parse(text).unwrap_err();
        let errors = found.iter().filter(|it| it.severity == Severity::Error);
        let messages: Vec<_> = errors.map(|it| (it.line, &*it.message)).collect();
        assert_eq!(messages, [(1, "there is no source, so nobody could send anything")], "{text}");
    }
}

#[test]
fn every_key_means_what_it_says() {
    let (config, warnings) = parse(FULL).unwrap_or_else(|wrong| panic!("{}", lines(&wrong)));
    assert_eq!(warnings.len(), 3, "{}", lines(&warnings));
    let Config {
        server,
        admin,
        store: StoreConfig::Embedded(store),
        secrets,
        limits,
        sources,
        destinations,
        log,
    } = config
    else {
        panic!("another store")
    };
    assert_eq!(server.listen.to_string(), "[::1]:8080");
    assert_eq!(
        server.tls,
        Some(Tls { cert: "tls/cert.pem".into(), key: "/etc/hookward/key.pem".into() })
    );
    assert!(server.http2_cleartext);
    assert_eq!(server.drain, Duration::from_secs(20));
    let proxies = format!("{:?}", server.trusted_proxies);
    assert!(proxies.contains("10.0.0.0/8") && proxies.contains("Forwarded"), "{proxies}");
    assert_eq!(admin.unwrap().token, SecretRef::Credential("admin-token".to_owned()));
    let region = Some("eu-west-1".to_owned());
    assert_eq!(secrets, Secrets { refresh: Duration::from_secs(90), region });
    assert_eq!(store, Embedded { path: "data".into(), queue_max: 5000, segment_bytes: 16 << 20 });
    assert_eq!(
        limits,
        Limits {
            connections: 500,
            connections_per_address: 50,
            unverified: Budget { rate: "100/m".parse().unwrap(), burst: file::at_least_one(10) },
            unverified_in_flight: 20,
            unverified_bytes: 64 << 20,
            header_timeout: Duration::from_secs(5),
            tls_handshake_timeout: Duration::from_secs(6),
            keep_alive: Duration::from_mins(1),
        }
    );
    assert_eq!(
        log,
        LogConfig { format: LogFormat::Json, level: "info,hookward_server=debug".to_owned() }
    );

    let [stripe, shop, bell] = &sources[..] else { panic!("three sources") };
    let day = 24 * 3600;
    let rules = &stripe.rules;
    assert_eq!(&*rules.path, "/hooks/payments");
    assert_eq!(stripe.secrets[0].reference, SecretRef::Env("STRIPE_NEW".to_owned()));
    assert_eq!(stripe.secrets[0].validity, Validity::default());
    assert_eq!(
        stripe.secrets[0].place,
        Place { line: 40, column: 5, path: "sources.stripe.secrets[0]".to_owned() }
    );
    assert_eq!(
        stripe.secrets[1].validity.not_after,
        crate::Timestamp::parse_rfc3339("2026-11-30T23:00:00Z")
    );
    assert_eq!(rules.destination.as_ref().unwrap().as_str(), "app");
    let time = rules.scheme.time.as_ref().unwrap();
    assert_eq!((time.past, time.future), (Duration::from_mins(10), Duration::from_mins(10)));
    assert_eq!(rules.identity, IdentityRule::Body(Pointer::parse("/id").unwrap()));
    assert_eq!(rules.event_type, EventTypeRule::Body(Pointer::parse("/type").unwrap()));
    assert_eq!(rules.types.as_ref().unwrap().len(), 2);
    assert_eq!((rules.unknown_types, rules.malformed), (UnknownTypes::Refuse, Malformed::Reject));
    assert!(rules.schemas.fallback.is_some() && rules.schemas.by_type.contains_key("invoice.paid"));
    assert_eq!(rules.expect[2].1, Expected::Integer(2));
    assert!(rules.origin.as_ref().unwrap().contains("192.0.2.9".parse().unwrap()));
    assert_eq!((rules.body_bytes_max, rules.body_timeout), (2 << 20, Duration::from_secs(5)));
    let budget = Budget { rate: "500/s".parse().unwrap(), burst: file::at_least_one(1000) };
    assert_eq!(rules.budget, Some(budget));
    assert_eq!((rules.over_budget_status, rules.accepted_status), (429, 202));
    assert!(rules.tell_duplicates);
    assert_eq!(rules.keep_headers, ["content-type", "x-request-id"]);
    assert_eq!(rules.body_retention, Duration::from_secs(7 * day));
    assert_eq!(rules.key_retention, Some(Duration::from_secs(35 * day)));

    let scheme = &shop.rules.scheme;
    assert_eq!((shop.provider, shop.rules.key_retention), (None, None));
    assert_eq!(shop.rules.identity, IdentityRule::SignedHeader, "an id is signed");
    assert_eq!(shop.rules.event_type, EventTypeRule::Body(Pointer::parse("/type").unwrap()));
    assert_eq!(shop.rules.sender_id.as_ref().unwrap(), "x-shop-id");
    assert_eq!(scheme.signature.to_string(), "header x-shop-signature");
    assert_eq!(scheme.format, Format::List { separator: ';', assign: ':' });
    assert_eq!(
        (&*scheme.versions[0].label, scheme.versions[0].algorithm),
        ("v2", Algorithm::HmacSha1)
    );
    let time = scheme.time.as_ref().unwrap();
    assert_eq!((&time.place, time.unit), (&TimePlace::Element("t".into()), TimeUnit::Milliseconds));

    let scheme = &bell.rules.scheme;
    assert_eq!(scheme.format, Format::Single { prefix: "ed=".into(), optional: false });
    assert_eq!(bell.rules.identity, IdentityRule::Body(Pointer::parse("/id").unwrap()));
    assert_eq!(
        bell.rules.key_retention,
        Some(Duration::from_secs(30 * day + 600)),
        "keep and twice the tolerance"
    );

    let [app] = &destinations[..] else { panic!("one destination") };
    assert_eq!(app.url.to_string(), "https://app.example/webhooks/?tenant=1");
    assert_eq!(app.previous_secret, Some(SecretRef::Env("DELIVERY_SECRET_OLD".to_owned())));
    assert_eq!(app.secret_place.path, "destinations.app.secret");
    let previous = app.previous_secret_place.as_ref().unwrap();
    assert_eq!(previous.path, "destinations.app.previous_secret");
    assert_eq!((app.timeout, app.concurrency), (Duration::from_secs(20), 4));
    let retry = Retry {
        attempts_max: 3,
        first: Duration::from_millis(500),
        longest: Duration::from_hours(1),
    };
    assert_eq!(app.retry, retry);
    assert_eq!(app.circuit, Circuit { failures: 3, open_for: Duration::from_secs(10) });
    assert!(!format!("{app:?}").contains("tenant"), "queries may hold tokens");
}

#[test]
fn what_counts_only_from_the_start_is_named_when_it_changes() {
    let full = good(FULL);
    let check = |from: &str, to: &str, expected: &[&str]| {
        assert!(FULL.contains(from), "{from}");
        let changed = good(&FULL.replacen(from, to, 1));
        assert_eq!(full.needs_restart_for(&changed), expected, "{to}");
        assert_eq!(changed.needs_restart_for(&full), expected, "{to}");
    };
    check("timeout = \"20s\"", "timeout = \"21s\"", &[]);
    check("body_max = \"2MiB\"", "body_max = \"3MiB\"", &[]);
    check("[::1]:8080", "[::1]:8082", &["server.listen"]);
    check("tls/cert.pem", "tls/other.pem", &["server.tls"]);
    check("http2_cleartext = true", "http2_cleartext = false", &["server.http2_cleartext"]);
    check("10.0.0.0/8", "10.0.0.0/9", &["server.trusted_proxies"]);
    let header = ["\"Forwarded\"", "\"X-Real-IP\""];
    check(header[0], header[1], &["server.trusted_proxies"]);
    check("drain = \"20s\"", "drain = \"21s\"", &["server.drain"]);
    check("127.0.0.1:9090", "127.0.0.1:9091", &["admin.listen"]);
    check("credential:admin-token", "credential:other-token", &[]);
    let admin = "[admin]\nlisten = \"127.0.0.1:9090\"\ntoken = \"credential:admin-token\"\n";
    check(admin, "", &["admin"]);
    check("path = \"data\"", "path = \"elsewhere\"", &["store.path"]);
    check("queue_max = 5000", "queue_max = 5001", &["store.queue_max"]);
    check("segment = \"16MiB\"", "segment = \"32MiB\"", &["store.segment"]);
    for (key, from, to) in [
        ("limits.connections", "connections = 500", "connections = 501"),
        ("limits.connections_per_address", "per_address = 50", "per_address = 51"),
        ("limits.unverified", "\"100/m\"", "\"101/m\""),
        ("limits.unverified_burst", "burst = 10\n", "burst = 11\n"),
        ("limits.unverified_in_flight", "in_flight = 20", "in_flight = 21"),
        ("limits.unverified_bytes", "\"64MiB\"", "\"65MiB\""),
        ("limits.header_timeout", "header_timeout = \"5s\"", "header_timeout = \"6s\""),
        ("limits.tls_handshake_timeout", "\"6s\"", "\"7s\""),
        ("limits.keep_alive", "keep_alive = \"1m\"", "keep_alive = \"2m\""),
    ] {
        check(from, to, &[key]);
    }
    check("info,hookward_server=debug", "debug", &["log.level"]);
    check("format = \"json\"", "format = \"human\"", &["log.format"]);
}

#[test]
fn a_table_counts_from_the_start_and_what_provisions_it_does_not() {
    let store = |keys: &str| good(&format!("[store]\nkind = 'dynamodb'\n{keys}\n{REST}"));
    let plain = store("");
    for (keys, expected) in [
        ("table = 'others'", "store.table"),
        ("region = 'eu-central-1'", "store.region"),
        ("endpoint = 'http://127.0.0.1:8000'", "store.endpoint"),
        ("completion = 'each'", "store.completion"),
        ("node_lease = '1m'", "store.node_lease"),
        ("journal_delay = '1ms'", "store.journal_delay"),
        ("queue_max = 5", "store.queue_max"),
    ] {
        assert_eq!(plain.needs_restart_for(&store(keys)), [expected]);
    }
    let bucket = store("large_bodies_bucket = 'bodies'");
    let both = ["store.large_bodies_bucket", "store.large_bodies_prefix"];
    assert_eq!(plain.needs_restart_for(&bucket), both);
    let elsewhere = store("large_bodies_bucket = 'bodies'\nlarge_bodies_prefix = 'a/'");
    assert_eq!(bucket.needs_restart_for(&elsewhere), both[1..]);
    let provisioned = store("kms_key = 'alias/hooks'\nwrite_units_max = 10");
    assert_eq!(plain.needs_restart_for(&provisioned), [""; 0]);
    assert_eq!(plain.needs_restart_for(&good(REST)), ["store.kind"]);
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let config = good(FULL).relative_to(Path::new("/etc/hw"));
    let StoreConfig::Embedded(store) = &config.store else { panic!("another store") };
    assert_eq!(store.path, Path::new("/etc/hw/data"));
    assert_eq!(config.server.tls.as_ref().unwrap().cert, Path::new("/etc/hw/tls/cert.pem"));
    assert_eq!(config.server.tls.as_ref().unwrap().key, Path::new("/etc/hookward/key.pem"));
    let old = &config.source("stripe").unwrap().secrets[1].reference;
    assert_eq!(*old, SecretRef::File("/etc/hw/secrets/stripe-old".into()));
}

#[test]
fn a_trial_takes_literal_secrets_and_warns_of_nothing() {
    let text = "[sources.a]\nprovider = 'github'\nsecret = '9f86d081884c7d659a2feaa0c55ad015'";
    let (config, warnings) =
        Config::parse(text, Dialect::Dev, &mut |_| Err(String::new())).unwrap();
    assert!(matches!(config.sources[0].secrets[0].reference, SecretRef::Literal(_)));
    assert_eq!(warnings, []);
    assert!(!format!("{config:?}").contains("9f86"));
    assert!(parse(text).is_err());
}

#[test]
fn settings_of_the_library_need_no_gateway() {
    let table = |entries: &[(&str, Written)]| {
        Written::Table(
            entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
        )
    };
    let text = |text: &str| Written::Text(text.to_owned());
    let library = |literals, settings: &Written| {
        let mut no_files = |_: &Path| Err(String::new());
        Config::parse_written(settings, Dialect::Library { literals }, &mut no_files)
    };
    let literal = "9f86d081884c7d659a2feaa0c55ad015";
    let of = |secret: &str| {
        table(&[("provider", text("stripe")), ("secrets", Written::List(vec![text(secret)]))])
    };
    let settings = |secret: &str| table(&[("sources", table(&[("stripe", of(secret))]))]);
    let (config, warnings) = library(false, &settings("env:STRIPE_WH?")).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let [stripe] = &config.sources[..] else { panic!("one source") };
    assert_eq!(stripe.secrets[0].reference, SecretRef::EnvIfSet("STRIPE_WH".to_owned()));
    assert!(stripe.rules.handled_here && stripe.rules.destination.is_none());
    assert_eq!(stripe.rules.over_budget_status, 429);
    library(true, &settings(literal)).unwrap();
    let wrong = library(false, &settings(literal)).unwrap_err();
    assert_eq!(wrong[0].path, "sources.stripe.secrets[0]");
    assert!(!lines(&wrong).contains(literal));

    let destination = table(&[("url", text("http://127.0.0.1/")), ("secret", text("env:APP"))]);
    let gateways = table(&[
        ("admin", table(&[("token", text("env:ADMIN"))])),
        ("destinations", table(&[("app", destination)])),
        ("sources", table(&[("stripe", of("env:STRIPE_WH"))])),
    ]);
    let wrong = library(false, &gateways).unwrap_err();
    let paths: Vec<_> = wrong.iter().map(|it| &*it.path).collect();
    assert_eq!(paths, ["admin", "destinations"]);
}

/// Whether a section of the reference is this table of a file: `sources.<name>.signature` is `sources.shop.signature`.
fn is_below(pattern: &str, path: &[String]) -> bool {
    let steps: Vec<_> = pattern.split('.').filter(|step| !step.is_empty()).collect();
    steps.len() == path.len()
        && steps.iter().zip(path).all(|(step, it)| *step == "<name>" || step == it)
}

type Tables<'t> = Vec<(Vec<String>, &'t DeTable<'t>)>;

fn tables<'t>(value: &'t DeValue<'t>, path: &[String], into: &mut Tables<'t>) {
    for item in value.as_array().into_iter().flatten() {
        tables(item.get_ref(), path, into);
    }
    let Some(table) = value.as_table() else { return };
    into.push((path.to_vec(), table));
    for (key, value) in table {
        tables(value.get_ref(), &[path, &[key.get_ref().clone().into_owned()]].concat(), into);
    }
}

#[test]
fn every_key_is_tried_documented_and_in_the_schema() {
    let full = DeValue::Table(DeTable::parse(FULL).unwrap().into_inner());
    let dynamodb = DeValue::Table(DeTable::parse(DYNAMODB).unwrap().into_inner());
    let mut written = Vec::new();
    tables(&full, &[], &mut written);
    tables(&dynamodb, &[], &mut written);
    let senders = DeValue::Table(DeTable::parse(SENDERS).unwrap().into_inner());
    tables(&senders, &[], &mut written);
    let (reference, schema) = (reference_markdown(), json_schema().to_string());
    for section in File::sections() {
        for key in &section.keys {
            let name = format!("{}.{}", section.path, key.name);
            let is_tried = written
                .iter()
                .any(|(path, table)| is_below(&section.path, path) && table.contains_key(key.name));
            assert!(is_tried, "{name} is not in full.toml, dynamodb.toml or senders.toml");
            assert!(!key.doc.is_empty() && key.doc.ends_with('.'), "{name}: {}", key.doc);
            let is_documented =
                section.path.is_empty() || reference.contains(&format!("| `{}` |", key.name));
            assert!(is_documented, "{name}");
            let described = Json::from(key.doc.as_str()).to_string();
            assert!(schema.contains(&described), "{name} is not in the schema");
        }
    }
}

#[test]
fn senders_are_described_as_they_sign_and_ask() {
    let (config, warnings) = parse(SENDERS).unwrap_or_else(|wrong| panic!("{}", lines(&wrong)));
    let warned: Vec<_> = warnings.iter().map(|it| &*it.path).collect();
    assert_eq!(
        warned,
        ["sources.body.signature.allow_unsigned_body", "sources.query.signature.algorithm"],
        "{}",
        lines(&warnings)
    );
    let [headers, body, query, plain, labelled] = &config.sources[..] else { panic!("five") };
    let covers = |source: &SourceConfig| source.rules.scheme.covers().to_string();
    assert_eq!(covers(headers), "id, time, method, URL, body");
    assert_eq!(covers(body), "time");
    assert_eq!(covers(query), "nothing");
    assert_eq!(covers(plain), "time, body");
    assert_eq!(covers(labelled), "body");
    let time = headers.rules.scheme.time.as_ref().unwrap();
    assert_eq!((time.past.as_secs(), time.future.as_secs()), (600, 60));
    assert_eq!(headers.rules.handshakes.len(), 3);
    assert!(headers.verify_token.is_some() && headers.rules.learns_secret());
    assert_eq!(plain.rules.scheme.format, Format::Plain { separator: ';' });
    assert_eq!(labelled.rules.scheme.versions[1].algorithm, Algorithm::Ed25519);
}

#[test]
fn renamed_keys_name_sections_that_there_are_and_no_key() {
    let sections = File::sections();
    for (path, key, _) in file::RENAMED {
        let pattern = path.replace('*', "<name>");
        let section = sections
            .iter()
            .find(|section| section.path == pattern)
            .unwrap_or_else(|| panic!("{path}"));
        assert!(section.keys.iter().all(|known| known.name != *key), "{path}.{key} is a key");
    }
}

/// Writing a default out changes nothing, and every default is a value that its key takes.
#[test]
fn defaults_are_what_the_reference_says() {
    let required = |path: &str| match path {
        "sources.<name>" => "provider = 'stripe', secret = 'env:A', destination = 'n'",
        "sources.<name>.signature" => "",
        "sources.<name>.signature.list" => "label = 'v1'",
        "sources.<name>.signature.timestamp" => "label = 't'",
        "destinations.<name>" => "url = 'http://a/', secret = 'env:B'",
        "admin" => "token = 'env:C'",
        _ => "",
    };
    let check = |path: &str, defaults: &str| -> Config {
        let of = |section: &str| {
            let all = [required(section), if section == path { defaults } else { "" }];
            format!(
                "{{ {} }}",
                all.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(", ")
            )
        };
        let [server, admin, store, limits, log] =
            ["server", "admin", "store", "limits", "log"].map(of);
        let circuit = of("destinations.<name>.circuit");
        let signature = of("sources.<name>.signature");
        good(&format!(
            "server = {server}\nadmin = {admin}\nstore = {store}\nlimits = {limits}\nlog = {log}\n\
             sources.n = {}\nsources.m.secret = 'env:M'\nsources.m.signature = {signature}\n\
             destinations.n = {}\ndestinations.m = {{ url = 'http://b/', secret = 'env:D', circuit = {circuit} }}",
            of("sources.<name>"),
            of("destinations.<name>"),
        ))
    };
    let plain = format!("{:?}", check("", ""));
    for section in File::sections() {
        let defaults = section.keys.iter().filter_map(|key| match &key.absent {
            Absent::Default(value) => Some((key, value)),
            Absent::Required | Absent::Means(_) | Absent::Section => None,
        });
        for (key, value) in defaults {
            assert!(
                jsonschema::is_valid(&key.schema, value),
                "{}.{} = {value}",
                section.path,
                key.name
            );
            let written = check(&section.path, &format!("{} = {value}", key.name));
            assert_eq!(format!("{written:?}"), plain, "{}.{} = {value}", section.path, key.name);
        }
    }
}

#[test]
fn the_schema_takes_what_is_right_and_refuses_unknown_keys() {
    fn json(value: &DeValue<'_>) -> Json {
        match value {
            DeValue::String(text) => (&**text).into(),
            DeValue::Integer(number) => number.as_str().parse::<i64>().unwrap().into(),
            DeValue::Boolean(value) => (*value).into(),
            DeValue::Datetime(datetime) => datetime.to_string().into(),
            DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
            DeValue::Table(entries) => table(entries),
            DeValue::Float(_) => unreachable!("no key takes one"),
        }
    }
    fn table(table: &DeTable<'_>) -> Json {
        table
            .iter()
            .map(|(key, value)| (key.get_ref().clone().into_owned(), json(value.get_ref())))
            .collect()
    }
    let schema = jsonschema::validator_for(&json_schema()).unwrap();
    let is_valid = |text: &str| schema.is_valid(&table(DeTable::parse(text).unwrap().get_ref()));
    assert!(is_valid(Config::EXAMPLE));
    assert!(is_valid(FULL));
    assert!(!is_valid(&format!("{}\nsecrt = 'env:A'", Config::EXAMPLE)), "an unknown key");
    assert!(!is_valid("sourcs = {}"));
    assert!(!is_valid("[sources.a]\nprovider = 'strip'"));
    assert!(!is_valid("[sources.A]\nprovider = 'stripe'"));
    assert!(!is_valid("[sources.a]\nsecret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'"));
    assert!(!is_valid("[destinations.a]\nurl = 'http://a/'"), "a required key");
    assert!(!is_valid("[server]\ndrain = 30"));
}

#[test]
fn the_written_documentation_is_up_to_date() {
    let check = |file: &str, expected: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file);
        let written = std::fs::read_to_string(path).unwrap_or_default();
        let advice = "run `cargo run -p hookward-core --example write_config_docs`";
        assert!(written == expected, "docs/{file} is out of date: {advice}");
    };
    check("configuration.md", &reference_markdown());
    check("providers.md", &crate::provider::reference_markdown());
    check("config.schema.json", &format!("{:#}\n", json_schema()));
}

/// Every text value of the full file in turn becomes a secret: no diagnostic shows it.
#[test]
fn a_secret_in_the_wrong_place_is_never_shown() {
    for canary in ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "9f86d081884c7d659a2feaa0c55ad015"] {
        let values: Vec<_> = FULL.match_indices('"').map(|(at, _)| at).collect();
        for value in values.chunks(2) {
            let [start, end] = value else { panic!("quotes come in pairs") };
            for canary in
                [canary.to_owned(), format!("env: {canary}"), format!("https://user:{canary}@a/")]
            {
                let text = format!("{}{canary}{}", part(0..start + 1), part(*end..FULL.len()));
                let said = match parse(&text) {
                    Ok((_, warnings)) => warnings,
                    Err(all) => all,
                };
                let secret = canary.trim_start_matches("env: ");
                assert!(!lines(&said).contains(secret), "{}\n{text}", lines(&said));
            }
        }
    }
}

fn is_sound(text: &str) {
    for dialect in [Dialect::File, Dialect::Dev] {
        match Config::parse(text, dialect, &mut |_| Err("no".to_owned())) {
            Ok((config, warnings)) => {
                assert!(!config.sources.is_empty());
                assert!(warnings.iter().all(|it| it.severity == Severity::Warning));
            }
            Err(all) => {
                assert!(
                    all.iter().any(|it| it.severity == Severity::Error),
                    "refused without a reason"
                );
                assert!(all.iter().all(|it| it.line > 0 && it.column > 0));
                assert!(all.is_sorted_by_key(|it| (it.line, it.column)));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*") {
        is_sound(&text);
    }

    #[test]
    fn any_damage_to_a_file_is_read_or_refused(
        from in 0..FULL.len(), len in 0..200_usize, put in "[-\"'{}\\[\\]=.,\n a-z0-9_é]{0,12}",
    ) {
        let (from, to) = (FULL.floor_char_boundary(from), FULL.floor_char_boundary(from + len));
        is_sound(&format!("{}{put}{}", part(0..from), part(to..FULL.len())));
    }

    #[test]
    fn any_value_under_any_key_is_read_or_refused(
        section in any::<prop::sample::Index>(),
        key in any::<prop::sample::Index>(),
        value in prop::sample::select(&[
            "0", "-1", "1.5", "nan", "true", "''", "'a'", "'/'", "'env:A'", "'1s'", "'1KiB'", "'1/s'", "[]", "['a', 1]",
            "[[]]", "{}", "{ a = 1 }", "{ ref = 'env:B' }", "2030-01-01", "1979-05-27T07:32:00-08:00", "'\\u0000'",
            "0xffffffffffffffffffffffffffffffffff", "'{body}'", "'http://[::1]:1/'",
        ][..]),
    ) {
        let sections = File::sections();
        let section = &sections[section.index(sections.len())];
        let key = section.keys[key.index(section.keys.len())].name;
        let path = section.path.replace("<name>", "n");
        let header = if path.is_empty() { String::new() } else { format!("[{path}]\n") };
        is_sound(&format!("{header}{key} = {value}\n"));
    }
}
