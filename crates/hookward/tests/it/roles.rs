//! What the commands for people ask of a table where no gateway runs, held against the policies of who runs them.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    process::Command,
    sync::{Arc, Mutex},
};

use aws_sdk_dynamodb::{
    config::{Credentials, Region},
    types::AttributeValue,
};
use hookward_store::dynamodb::{
    self, Options,
    policy::{Action, Call, Features, Policy, Role},
};
use serde_json::Value;

use crate::{
    engine,
    program::{Gateway, Place, ran},
    proxy::{self, Fault, Proxy},
};

/// A table with dead letters, that no gateway works with any more, and a way to it that writes down what is asked.
struct Table {
    place: Place,
    name: String,
    calls: Arc<Mutex<Vec<Call>>>,
    runtime: tokio::runtime::Runtime,
    _proxy: Proxy,
}

fn program(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.command(arguments);
    command.env("AWS_ACCESS_KEY_ID", "hookward").env("AWS_SECRET_ACCESS_KEY", "hookward");
    command
}

fn configure(place: &Place, table: &str, endpoint: SocketAddr) {
    let store = format!(
        "[store]\nkind = \"dynamodb\"\ntable = \"{table}\"\nregion = \"eu-central-1\"\nendpoint = \"http://{endpoint}\""
    );
    place.configure(|text| text.replace("[store]\npath = \"events\"", &store));
}

impl Table {
    fn with_dead_letters(name: &str, count: usize) -> Self {
        let name = format!("{name}-{}", std::process::id());
        let place = Place::new();
        configure(&place, &name, engine::address());
        ran(program(&place, &["dynamodb", "create"])).well();
        let gateway = Gateway::start(program(&place, &["serve"]));
        place.app.answers(410);
        for number in 0..count {
            assert_eq!(gateway.takes_order(number), 200);
        }
        place.app.got(count);
        gateway.stops();

        let runtime = tokio::runtime::Runtime::new().unwrap();
        let proxy = runtime.block_on(Proxy::before(engine::address()));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let written_down = Arc::clone(&calls);
        proxy.does(move |asked| {
            written_down.lock().unwrap().push(call(asked));
            Fault::None
        });
        configure(&place, &name, proxy.address);
        Self { place, name, calls, runtime, _proxy: proxy }
    }

    fn run(&self, arguments: &[&str]) -> String {
        ran(program(&self.place, arguments)).well()
    }

    /// The keys of the dead letters.
    fn dead(&self) -> Vec<String> {
        let listed: Value = serde_json::from_str(&self.run(&["dead", "list", "--json"])).unwrap();
        let key = |event: &Value| event["key"].as_str().unwrap().to_owned();
        listed.as_array().unwrap().iter().map(key).collect()
    }

    /// Everything that is in it.
    fn items(&self) -> BTreeMap<String, HashMap<String, AttributeValue>> {
        let connection = dynamodb::client(
            aws_sdk_dynamodb::config::Builder::new()
                .endpoint_url(format!("http://{}", engine::address()))
                .region(Region::new("eu-central-1"))
                .credentials_provider(Credentials::new("hookward", "hookward", None, None, "test"))
                .http_client(dynamodb::http_client(1)),
            &Options::new(&*self.name),
        );
        let scan = connection.scan().table_name(&self.name).consistent_read(true).send();
        let items = self.runtime.block_on(scan).unwrap().items.unwrap();
        let place =
            |item: &HashMap<String, AttributeValue>| format!("{:?}{:?}", item["pk"], item["sk"]);
        items.into_iter().map(|item| (place(&item), item)).collect()
    }

    /// What was asked is no more than a role may; and it was something.
    #[track_caller]
    fn was_asked_by(&self, role: Role) {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        let policy = Policy::of(role, Features::default());
        assert!(!calls.is_empty());
        assert!(policy.refused(&calls).is_empty(), "{role}: {:?}", policy.refused(&calls));
    }
}

/// A call as policies see it.
fn call(asked: &proxy::Call) -> Call {
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    let key = |item: &Value| item["pk"]["S"].as_str().unwrap().to_owned();
    let leading_keys = match &*asked.operation {
        "PutItem" => vec![key(&body["Item"])],
        "Query" => {
            vec![body["ExpressionAttributeValues"][":p"]["S"].as_str().unwrap().to_owned()]
        }
        "BatchGetItem" => {
            let tables = body["RequestItems"].as_object().unwrap().values();
            tables.flat_map(|table| table["Keys"].as_array().unwrap()).map(key).collect()
        }
        _ => vec![key(&body["Key"])],
    };
    Call { action: Action::named(&asked.operation).unwrap(), leading_keys }
}

#[test]
fn looking_needs_no_more_than_a_reader_may_and_changes_nothing() {
    let table = Table::with_dead_letters("looking", 3);
    let before = table.items();
    let keys = table.dead();
    assert_eq!(keys.len(), 3);
    for command in [&["events", "list"][..], &["events", "list", "--state", "done"]] {
        table.run(command);
    }
    for command in ["events", "dead"] {
        let shown = table.run(&[command, "show", &keys[0], "--body"]);
        assert!(shown.contains("answered 410") && shown.contains("\"order\":"), "{shown}");
    }
    table.was_asked_by(Role::Reader);
    assert_eq!(table.items(), before);
}

#[test]
fn deciding_needs_no_more_than_a_replayer_may() {
    let table = Table::with_dead_letters("deciding", 3);
    let keys = table.dead();
    assert_eq!(table.run(&["dead", "drop", &keys[0]]).trim(), "1 dropped");
    assert_eq!(table.run(&["dead", "replay", "--all"]).trim(), "2 queued for delivery");
    assert_eq!(table.dead(), [""; 0]);
    table.was_asked_by(Role::Replayer);

    // The next gateway delivers what was left to it.
    configure(&table.place, &table.name, engine::address());
    table.place.app.answers(200);
    let gateway = Gateway::start(program(&table.place, &["serve"]));
    table.place.app.got(5);
    gateway.stops();
}
