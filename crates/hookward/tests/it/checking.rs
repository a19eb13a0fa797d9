//! `hookward check`, and what `serve` refuses to start with.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::program::{ADMIN_TOKEN, ORDERS_SECRET, Place, bare, ran};

#[test]
fn a_good_configuration_is_called_good() {
    let place = Place::new();
    let said = place.run(&["check"]).well();
    assert!(
        said.contains("hookward.toml: good (2 sources, 1 destinations, secrets found and strong"),
        "{said}"
    );
    let json = place.run(&["check", "--json"]).json();
    assert_eq!(json["ok"], true);
    assert_eq!(json["sources"], serde_json::json!(["orders", "plain"]));
    let mut elsewhere = place.command(&["check"]);
    elsewhere.env("HOOKWARD_CONFIG", place.path().join("hookward.toml")).current_dir("/");
    ran(elsewhere).well();
}

#[test]
fn all_mistakes_are_told_at_once_and_each_with_its_place() {
    let place = Place::new();
    place.write(
        "hookward.toml",
        r#"
[server]
listen = "nowhere"
[admin]
tokn = "env:ADMIN_TOKEN"
[sources.a]
provider = "strip"
secret = "env:A"
[sources.b]
provider = "hmac"
secret = "env:B"
destination = "ap"
[destinations.app]
url = "ftp://127.0.0.1/"
secret = "env:D"
"#,
    );
    for command in ["check", "serve"] {
        let said = place.run(&[command]).badly(78, &["stripe", "tokn", "token", "listen"]);
        for line in [3, 5, 7, 12, 14] {
            assert!(said.contains(&format!("hookward.toml:{line}:")), "line {line}: {said}");
        }
    }
    // Nothing was made.
    assert!(!place.path().join("hookward-data").exists());
}

#[test]
fn the_example_is_a_configuration() {
    let place = Place::new();
    let example = place.run(&["check", "--example"]).well();
    place.write("example.toml", &example);
    let said = place.run(&["check", "--no-secrets", "--strict", "-c", "example.toml"]).well();
    assert!(said.contains("secrets not looked at, 0 warnings"), "{said}");
    // Its secrets are not here, and each of them is named.
    let missing = ["STRIPE_WEBHOOK_SECRET", "GITHUB_WEBHOOK_SECRET", "HOOKWARD_DELIVERY_SECRET"];
    place.run(&["check", "-c", "example.toml"]).badly(78, &missing);
    let schema = place.run(&["check", "--schema"]).json();
    assert!(schema["properties"]["sources"].is_object());
}

#[test]
fn a_warning_is_a_mistake_where_that_is_asked_for() {
    let place = Place::new();
    place.configure(|text| {
        text.replacen("destination = \"app\"\n[destinations", "[destinations", 1)
    });
    place.run(&["check"]).well();
    place.run(&["check", "--strict"]).badly(78, &["plain", "never delivered"]);
}

#[test]
fn a_secret_that_is_none_is_refused_with_the_reason_and_never_shown() {
    let place = Place::new();
    for (secret, reason) in [
        (None, "environment variable is not set"),
        (Some(""), "environment variable is not set"),
        (Some("kq3v9x"), "at least 24 are needed"),
        (Some("change_me_please_before_production_0"), "well-known placeholder"),
        (Some("ababababababababababababababab"), "different characters"),
        (Some("5f1b9c27e0d84a6f93b2c7d1 806e4fa2"), "white space"),
        (Some("\"5f1b9c27e0d84a6f93b2c7d1806e4fa2\"\n"), "white space"),
    ] {
        for command in ["check", "serve"] {
            let mut command = place.command(&[command]);
            match secret {
                Some(secret) => command.env("PLAIN_SECRET", secret),
                None => command.env_remove("PLAIN_SECRET"),
            };
            let said = ran(command).badly(78, &["plain", reason]);
            if let Some(secret) = secret.filter(|it| !it.is_empty()) {
                assert!(!said.contains(secret.trim()), "{said}");
            }
        }
    }
}

#[test]
fn every_kind_of_secret_is_judged() {
    let place = Place::new();
    // The deliveries' secret has to be base64, and the token strong.
    let mut command = place.command(&["check"]);
    command.env("DELIVERY_SECRET", "5f1b9c27-e0d84a6f-93b2c7d1-806e4fa2");
    let expected = [
        "hookward.toml:19:10: destinations.app.secret: env:DELIVERY_SECRET is refused: it is not base64",
        "whsec_$(openssl rand -base64 32)",
    ];
    let said = ran(command).badly(78, &expected);
    assert!(!said.contains("806e4fa2"), "{said}");
    // A public key verifies; deliveries have to be signed.
    let mut command = place.command(&["serve"]);
    command.env("DELIVERY_SECRET", "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    ran(command).badly(78, &["19:10: destinations.app.secret: env:DELIVERY_SECRET is refused: it can verify and not sign"]);
    let mut command = place.command(&["check"]);
    command.env("ADMIN_TOKEN", "letmein9x");
    let expected = ["hookward.toml:6:9: admin.token: env:ADMIN_TOKEN is refused:", "at least 24"];
    let said = ran(command).badly(78, &expected);
    assert!(!said.contains("letmein9x"), "{said}");

    // A file that anyone can read, and one that is not there.
    let file = place.path().join("orders.secret");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let said = place.run(&["check"]).badly(78, &["orders", "readable by others", "chmod 600"]);
    assert!(!said.contains(bare(ORDERS_SECRET)), "{said}");
    fs::remove_file(&file).unwrap();
    place.run(&["check"]).badly(78, &["orders", "cannot read", "orders.secret"]);

    // A line break at the end of a file is the editor's.
    place.secret("orders.secret", &format!("{ORDERS_SECRET}\n"));
    place.run(&["check"]).well();
}

#[test]
fn all_bad_secrets_are_told_at_once_and_each_with_its_place() {
    let place = Place::new();
    place.write(
        "hookward.toml",
        r#"
[sources.a]
provider = "hmac"
secrets = [
    "env:SHORT",
    { ref = "env:MISSING", not_after = 2030-01-01T00:00:00Z },
    "env:PLAIN_SECRET",
    "file:orders.secret.old",
]
destination = "app"
[admin]
token = "env:WEAK"
[destinations.app]
url = "http://127.0.0.1:9/"
secret = "env:PUBLIC"
previous_secret = "credential:old"
[sources.b]
provider = "standard-webhooks"
secret = "env:NOT_BASE64"
destination = "app"
"#,
    );
    for command in ["check", "serve"] {
        let mut command = place.command(&[command]);
        command.env("SHORT", "kq3v9x").env("WEAK", "ababababababababababababababab");
        command.env("PUBLIC", "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
        command.env("NOT_BASE64", "5f1b9c27-e0d84a6f-93b2c7d1-806e4fa2");
        let said = ran(command).badly(78, &[]);
        let told: Vec<_> = said.trim_start_matches("hookward: ").lines().collect();
        let expected = [
            "5:5: sources.a.secrets[0]: env:SHORT is refused: it has 6 characters",
            "6:13: sources.a.secrets[1].ref: env:MISSING: the environment variable is not set",
            "8:5: sources.a.secrets[3]: file:./orders.secret.old: cannot read",
            "12:9: admin.token: env:WEAK is refused: it has only 2 different characters",
            "15:10: destinations.app.secret: env:PUBLIC is refused: it can verify and not sign",
            "16:19: destinations.app.previous_secret: credential:old: CREDENTIALS_DIRECTORY",
            "19:10: sources.b.secret: env:NOT_BASE64 is refused: it is not base64",
        ];
        assert_eq!(told.len(), expected.len(), "{said}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.starts_with(&format!("hookward.toml:{expected}")), "{told}\n{expected}");
        }
        for secret in ["kq3v9x", "abababab", "11qYAYKx", "806e4fa2"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}

#[test]
fn a_secret_that_is_written_into_the_file_is_refused_and_not_repeated() {
    let place = Place::new();
    place.configure(|text| text.replace("file:orders.secret", ORDERS_SECRET));
    for command in ["check", "serve"] {
        let said = place.run(&[command]).badly(78, &["hookward.toml:11:", "sources.orders"]);
        assert!(!said.contains(bare(ORDERS_SECRET)), "{said}");
    }
}

#[test]
fn two_sources_with_one_secret_are_refused() {
    let place = Place::new();
    place.configure(|text| text.replace("file:orders.secret", "env:PLAIN_SECRET"));
    place.run(&["check"]).badly(78, &["env:PLAIN_SECRET is also used for"]);
}

#[test]
fn a_wrong_command_line_is_told_apart_from_a_wrong_configuration() {
    let place = Place::new();
    place.run(&["chek"]).badly(2, &["check"]);
    place.run(&["check", "--exmple"]).badly(2, &["--example"]);
    place.run(&[]).badly(2, &["Usage"]);
    place.run(&["check", "-c", "missing.toml"]).badly(78, &["missing.toml", "check --example"]);
    place.write("binary.toml", "\u{0}\u{1}");
    place.run(&["check", "-c", "binary.toml"]).badly(78, &["not TOML"]);
}

#[test]
fn the_token_of_a_check_is_in_nothing_that_it_says() {
    let place = Place::new();
    for arguments in [&["check"][..], &["check", "--json"], &["check", "--example"]] {
        assert!(!place.run(arguments).well().contains(ADMIN_TOKEN));
    }
}
