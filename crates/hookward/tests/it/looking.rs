//! What the program tells without doing anything.

use hookward_core::provider::PROVIDERS;

use crate::program::Place;

#[test]
fn the_known_providers_are_listed_and_shown() {
    let place = Place::new();
    let table = place.run(&["providers", "list"]).well();
    let listed = place.run(&["providers", "list", "--json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), PROVIDERS.len());
    for provider in PROVIDERS {
        assert!(table.contains(provider.name), "{table}");
        let shown = place.run(&["providers", "show", provider.name]).well();
        assert!(shown.contains(provider.title) && shown.contains("covers"), "{shown}");
        let json = place.run(&["providers", "show", provider.name, "--json"]).json();
        assert_eq!(json["name"], provider.name);
        assert_eq!(json["covers"]["body"], true);

        // What is shown to be pasted is right as it is.
        let (_, source) = shown.split_once("\n[sources.").unwrap();
        let app = "\n[destinations.app]\nurl = \"http://127.0.0.1:9/\"\nsecret = \"env:DELIVERY_SECRET\"\n";
        place.write("pasted.toml", &format!("[sources.{source}{app}"));
        place.run(&["check", "--no-secrets", "-c", "pasted.toml"]).well();
    }
    place.run(&["providers", "show", "strpe"]).badly(1, &["no provider is called", "stripe"]);
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

#[test]
fn the_first_round_goes_as_it_should() {
    let place = Place::new();
    let said = place.run(&["dev", "--once", "--listen", "127.0.0.1:0"]).well();
    for row in ["a good webhook", "replay", "forgery", "stale", "malformed", "burst"] {
        let line = said.lines().find(|line| line.contains(row));
        assert!(line.is_some_and(|line| line.contains(" ok ")), "{row}: {said}");
    }
    assert!(!said.contains(" ! "), "{said}");
    // Its folder is gone with it.
    let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}
