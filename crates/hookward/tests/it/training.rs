//! `hookward dynamodb train` beside a gateway that runs on DynamoDB Local.

use std::process::Command;

use crate::{
    engine,
    program::{Gateway, Place, ran},
};

/// A folder whose configuration names a new table.
fn place(table: &str) -> Place {
    let place = Place::new();
    let store = format!(
        "[store]\nkind = \"dynamodb\"\ntable = \"{table}-{}\"\nregion = \"eu-central-1\"\nendpoint = \"http://{}\"",
        std::process::id(),
        engine::address()
    );
    place.configure(|text| text.replace("[store]\npath = \"events\"", &store));
    ran(program(&place, &["dynamodb", "create"])).well();
    place
}

/// The program with credentials that DynamoDB Local takes.
fn program(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.command(arguments);
    command.env("AWS_ACCESS_KEY_ID", "hookward").env("AWS_SECRET_ACCESS_KEY", "hookward");
    command
}

#[test]
fn a_dictionary_is_trained_beside_a_gateway_and_kept_if_it_pays_or_is_wanted() {
    let place = place("training");
    let gateway = Gateway::start(program(&place, &["serve"]));
    let train = ["dynamodb", "train", "--source", "orders"];
    let unknown = ["dynamodb", "train", "--source", "nope"];
    ran(program(&place, &unknown)).badly(1, &["has no source \"nope\": there are ", "orders"]);
    let said = "source orders: nothing was kept: 0 events are too few to tell: at least 100";
    ran(program(&place, &train)).badly(1, &[said]);
    for number in 0..120 {
        assert_eq!(gateway.takes_order(number), 200);
    }

    // Small orders fit into a write unit as they are.
    let json = ran(program(&place, &[&train[..], &["--json"]].concat())).json();
    assert_eq!((&json["events"], &json["held_out"]), (&60.into(), &60.into()), "{json}");
    assert_eq!((&json["pays"], &json["kept"]), (&false.into(), &serde_json::Value::Null), "{json}");
    let bytes = |with: &str| json[with]["body_bytes"].as_f64().unwrap();
    assert!(bytes("with") < bytes("without"), "{json}");
    let said = ran(program(&place, &train)).well();
    assert!(said.contains("it does not pay: nothing was kept"), "{said}");
    let said = ran(program(&place, &[&train[..], &["--force"]].concat())).well();
    let kept = "kept all the same as d#orders/000000000001; running gateways find it within 5";
    assert!(said.contains(kept), "{said}");

    // The next gateway uses it, and people read what was written with it.
    gateway.stops();
    let gateway = Gateway::start(program(&place, &["serve"]));
    assert_eq!(gateway.takes_order(120), 200);
    gateway.logs("bodies are compressed with a new dictionary");
    place.app.got(121);
    gateway.stops();
    let list = ["events", "list", "--limit", "1", "--json"];
    let newest = ran(program(&place, &list)).json();
    let key = newest[0]["key"].as_str().unwrap();
    let shown = ran(program(&place, &["events", "show", key, "--body", "--json"])).json();
    assert!(shown["body"].as_str().unwrap().contains("\"order\":120"), "{shown}");
}

#[test]
fn what_makes_no_sense_is_a_mistake_of_the_command_line() {
    let place = Place::new();
    let train = |more: &[&str]| {
        let train = ["dynamodb", "train", "--source", "orders"];
        place.run(&[&train[..], more].concat())
    };
    train(&["--events", "99"]).badly(2, &["from 100 on"]);
    train(&["--bytes", "1000000"]).badly(2, &["from 1024 to 131072"]);
    train(&[]).badly(78, &["embedded store"]);
    place.run(&["dynamodb", "train", "--source", "Or ders"]).badly(2, &["--source"]);
}
