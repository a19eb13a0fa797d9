//! What the program tells without doing anything.

use hookward_core::{
    provider::{PROVIDERS, Provider},
    scheme::{Algorithm, KeyEncoding},
};

use crate::{
    engine,
    program::{Place, Ran, ask, ran},
};

#[test]
fn the_known_providers_are_listed_and_shown() {
    let place = Place::new();
    let table = place.run(&["providers", "list"]).well();
    let listed = place.run(&["providers", "list", "--json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), PROVIDERS.len());
    for provider in PROVIDERS.iter() {
        assert!(table.contains(provider.name), "{table}");
        let shown = place.run(&["providers", "show", provider.name]).well();
        assert!(shown.contains(provider.title) && shown.contains("covers"), "{shown}");
        let json = place.run(&["providers", "show", provider.name, "--json"]).json();
        assert_eq!(json["name"], provider.name);
        assert_eq!(json["covers"]["body"], provider.scheme.covers().body);

        // What is shown to be pasted is right as it is.
        let (_, source) = shown.split_once("\n[sources.").unwrap();
        let app = "\n[destinations.app]\nurl = \"http://127.0.0.1:9/\"\nsecret = \"env:DELIVERY_SECRET\"\n";
        place.write("pasted.toml", &format!("[sources.{source}{app}"));
        place.run(&["check", "--no-secrets", "-c", "pasted.toml"]).well();
    }
    place.run(&["providers", "show", "strpe"]).badly(1, &["no provider is called", "stripe"]);
}

/// Where a secret is that signs for this provider.
fn secret(place: &Place, provider: &Provider) -> String {
    let pem = |name: &str| {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../hookward-core/tests/fixtures");
        place
            .secret("key.pem", &std::fs::read_to_string(format!("{fixtures}/{name}.pem")).unwrap());
        "file:key.pem".to_owned()
    };
    let text = match (provider.scheme.versions[0].algorithm, provider.scheme.key) {
        (Algorithm::Ed25519, _) => return pem("ed25519"),
        (Algorithm::EcdsaP256Sha256, _) => return pem("p256"),
        (
            Algorithm::RsaSha256
            | Algorithm::RsaSha1
            | Algorithm::RsaPssSha256
            | Algorithm::RsaPssSha512,
            _,
        ) => return pem("rsa"),
        (_, KeyEncoding::Base64 | KeyEncoding::StandardWebhooks) => {
            "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k="
        }
        _ => "c21acdf7adbdf2b9d9f1e2a66bd5a3c8c21acdf7adbdf2b9d9f1e2a66bd5a3c8",
    };
    place.secret("secret", text);
    "file:secret".to_owned()
}

#[test]
fn a_sample_is_signed_as_any_provider_or_it_is_said_why_not() {
    let place = Place::new();
    let mut unable = Vec::new();
    for provider in PROVIDERS.iter() {
        let secret = secret(&place, provider);
        let mut arguments = vec!["send", provider.name, "--url", "http://127.0.0.1:9/hooks/it"];
        arguments.extend(["--secret", &secret, "--dry-run"]);
        let wanted = provider.scheme.code.as_ref().map_or(&[][..], |code| code.wants());
        let options: Vec<_> = wanted
            .iter()
            .filter(|it| it.required)
            .map(|it| format!("{}={}", it.name, it.example))
            .collect();
        for option in &options {
            arguments.extend(["--option", option]);
        }
        let ran = place.run(&arguments);
        if ran.code == 0 {
            assert!(ran.out.starts_with("POST http://127.0.0.1:9/hooks/it"), "{}", ran.out);
        } else {
            unable.push(provider.name);
            ran.badly(1, &["hookward: "]);
        }
    }
    // Whose keys nobody else has, and whose algorithm signs nothing any more: as their entry says.
    unable.sort_unstable();
    let expected =
        ["aws-sns", "google-pubsub", "kinde", "paddle-classic", "paypal", "plaid", "travis"];
    assert_eq!(unable, expected);
    let mut said: Vec<_> = PROVIDERS.iter().filter(|it| !it.scheme.signer().is_here()).collect();
    said.sort_unstable_by_key(|it| it.name);
    assert_eq!(said.iter().map(|it| it.name).collect::<Vec<_>>(), expected);
    for provider in said {
        let shown = place.run(&["providers", "show", provider.name]).well();
        assert!(shown.contains("not signed: "), "{shown}");
    }
}

#[test]
fn completions_are_made_for_each_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let completions = place.run(&["completions", shell]).well();
        assert!(completions.contains("hookward") && completions.contains("providers"), "{shell}");
    }
    place.run(&["completions", "cmd"]).badly(2, &["bash"]);
}

#[test]
fn every_command_explains_itself() {
    let place = Place::new();
    let help = place.run(&["--help"]).well();
    assert!(help.contains("Exit codes: 0 all went well"), "{help}");
    let commands = [
        "dev",
        "serve",
        "check",
        "doctor",
        "send",
        "events",
        "dead",
        "providers",
        "dynamodb",
        "bench",
        "completions",
    ];
    for command in commands {
        assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
        assert!(place.run(&[command, "--help"]).well().contains("Usage: hookward"));
    }
    assert!(place.run(&["--version"]).well().starts_with("hookward 0."));
}

fn assert_all_as_expected(said: &str) {
    for row in ["a good webhook", "replay", "forgery", "stale", "malformed", "burst"] {
        let line = said.lines().find(|line| line.contains(row));
        assert!(line.is_some_and(|line| line.contains(" ok ")), "{row}: {said}");
    }
    assert!(!said.contains(" ! "), "{said}");
}

#[test]
fn the_first_round_goes_as_it_should() {
    let place = Place::new();
    let said = place.run(&["dev", "--once", "--listen", "127.0.0.1:0"]).well();
    assert_all_as_expected(&said);
    // Its folder is gone with it.
    let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

/// `dev` on DynamoDB, with nothing of AWS in the environment but this.
fn dev_on_dynamodb(place: &Place, environment: &[(&str, &str)]) -> Ran {
    let arguments = ["dev", "--store", "dynamodb", "--once", "--listen", "127.0.0.1:0"];
    let mut command = place.command(&arguments);
    command.envs(environment.iter().copied()).env("AWS_EC2_METADATA_DISABLED", "true");
    ran(command)
}

#[test]
fn the_first_round_goes_as_it_should_on_dynamodb_and_tells_its_cost() {
    let place = Place::new();
    let endpoint = format!("http://{}", engine::address());
    let endpoint = ("AWS_ENDPOINT_URL_DYNAMODB", &*endpoint);
    for also in [
        &[][..],
        // What the SDK is told to ignore is no reason to go to AWS.
        &[
            ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "somebody"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ][..],
    ] {
        let said = dev_on_dynamodb(&place, &[&[endpoint], also].concat()).well();
        assert_all_as_expected(&said);
        let units = |what: &str| -> Vec<f64> {
            let line = said.lines().find(|line| line.contains(&format!("│ {what} "))).unwrap();
            line.split(['│', '┆']).filter_map(|it| it.trim().parse().ok()).collect()
        };
        // One kilobyte each: the good one, the malformed one, and ten or more of the burst.
        assert!(units("accepted")[0] >= 12.0, "{said}");
        assert_eq!(units("duplicate"), [0.0, 0.0], "{said}");
        assert_eq!(units("dead")[0].to_string(), "1", "{said}");
        assert!(units("in all")[0] > units("accepted")[0], "{said}");
    }
    // Its table is gone with it.
    let list = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\
                content-type: application/x-amz-json-1.0\r\nx-amz-target: DynamoDB_20120810.ListTables\r\n\
                authorization: AWS4-HMAC-SHA256 Credential=hookward/20260101/eu-central-1/dynamodb/aws4_request, \
                SignedHeaders=host, Signature=none\r\n\r\n{}";
    let tables = ask(engine::address(), list).unwrap();
    assert!(tables.contains("\"TableNames\"") && !tables.contains("hookward-dev-"), "{tables}");
}

#[test]
fn dev_makes_no_table_elsewhere() {
    let place = Place::new();
    let check = |environment: &[(&str, &str)], code: i32, said: &[&str]| {
        dev_on_dynamodb(&place, environment).badly(code, said);
    };
    check(&[], 78, &["set AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:8000", "docs/dynamodb.md"]);
    for elsewhere in [
        "https://dynamodb.eu-central-1.amazonaws.com",
        "http://10.0.0.1:8000",
        "https://localhost.example.org",
        "localhost:8000",
    ] {
        let said = [elsewhere, "only at a loopback address"];
        check(&[("AWS_ENDPOINT_URL_DYNAMODB", elsewhere)], 78, &said);
        check(&[("AWS_ENDPOINT_URL", elsewhere)], 78, &said);
        // The nearer one counts.
        let both =
            [("AWS_ENDPOINT_URL_DYNAMODB", elsewhere), ("AWS_ENDPOINT_URL", "http://127.0.0.1:1")];
        check(&both, 78, &said);
    }
    let nobody = [("AWS_ENDPOINT_URL", "http://127.0.0.1:1")];
    check(&nobody, 1, &["cannot look at table hookward-dev-", "http://127.0.0.1:1/"]);
}
