//! `hookward dynamodb`, and what `hookward doctor` finds of a table. `tests/oracles/test_dynamodb.py` has linters judge
//! what is printed.

use std::fs;

use serde_json::{Value, json};

use crate::{
    amazon::{Amazon, State, everything, table},
    engine,
    program::{Gateway, Place, Ran, ask, ran},
};

const STORE: &str = r#"
[store]
kind = "dynamodb"
table = "webhooks"
region = "eu-central-1"
write_units_max = 750
"#;

const SOURCE: &str = r#"
[sources.orders]
provider = "hmac"
secret = "env:ORDERS"
"#;

fn place(more: &str) -> Place {
    let place = Place::new();
    place.write("hookward.toml", &format!("{STORE}{more}{SOURCE}"));
    place
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn the_cost_is_shown_with_its_arithmetic() {
    let place = Place::new();
    let cost = ["dynamodb", "cost", "--events-per-day", "1000000", "--bytes", "700"];
    let said = place.run(&cost).well();
    // 700 bytes are between 637, which were stored as 405, and 1,521 (636).
    for part in [
        "1,000,000 events × 1 units",
        "(421 B body + ",
        "journal",
        "heartbeat and checkpoint",
        "point-in-time recovery",
        "assumed: what zstd level 3 makes of",
        "give --compressed-bytes",
        "put, then update of the same item",
        "By default: completion checkpoint; journal_delay 25 ms",
        "Events are taken to stay 30 days",
        "costs at most 1.1 units from 314 events a second on",
        "With `journal_delay = \"500ms\"` it would be 1.51 at this rate",
        "these are list prices",
        "https://aws.amazon.com/dynamodb/pricing/on-demand/",
        "as of 20",
    ] {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }

    let json = place.run(&[&cost[..], &["--json"]].concat()).json();
    let lines = json["estimate"]["lines"].as_array().unwrap();
    let sum: f64 = lines.iter().map(|line| number(&line["usd_month"])).sum();
    assert!((sum - number(&json["estimate"]["usd_month"])).abs() < 1e-6, "{json}");
    assert!(lines.iter().all(|line| line["arithmetic"].as_str().is_some_and(|it| !it.is_empty())));
    assert_eq!(json["assumptions"]["compressed_bytes"], 421);
}

#[test]
fn what_was_measured_goes_before_what_is_assumed() {
    let place = Place::new();
    let cost = |more: &[&str]| {
        let cost = ["dynamodb", "cost", "--events-per-day", "1000000", "--bytes", "700", "--json"];
        place.run(&[&cost[..], more].concat()).json()
    };
    let measured = cost(&["--compressed-bytes", "1500", "--journal-batch", "20"]);
    assert_eq!(measured["estimate"]["item_write_units"], 2);
    assert_eq!(measured["assumptions"]["compression"], "as given");
    assert_eq!(measured["assumptions"]["journal_batch"].to_string(), "20.0");

    // Prices of another region: twice as much for writes, nothing for the rest.
    let priced = |write: &str| {
        let prices = ["--write-price", write, "--read-price", "0", "--storage-price", "0"];
        cost(&[&prices[..], &["--backup-price", "0"]].concat())
    };
    let (once, twice) = (priced("0.625"), priced("1.25"));
    let usd = |json: &Value| number(&json["estimate"]["usd_month"]);
    assert!((usd(&twice) - 2.0 * usd(&once)).abs() < 1e-6, "{once} {twice}");
    assert_eq!(twice["prices"]["source"], "as given");
}

#[test]
fn the_cost_is_that_of_a_configuration_where_one_is_named() {
    let place = place("completion = \"each\"\njournal_delay = \"100ms\"\n");
    let file = fs::read_to_string(place.path().join("hookward.toml")).unwrap();
    let other = "[sources.other]\nprovider = \"stripe\"\nsecret = \"env:OTHER\"\nkeep = \"7d\"\n";
    place.write("hookward.toml", &format!("{file}{other}"));
    let run = |more: &[&str]| {
        let cost = ["dynamodb", "cost", "--events-per-day", "1000000", "--bytes", "700"];
        place.run(&[&cost[..], &["-c", "hookward.toml"], more].concat())
    };
    let taken = |more: &[&str]| {
        let json = run(&[more, &["--json"]].concat()).json();
        let it = &json["assumptions"];
        (it["completion"].clone(), it["journal_delay_ms"].clone(), it["keep_days"].clone())
    };
    // The source that signs no time remembers for ever, and is the one whose events stay longest.
    assert_eq!(taken(&[]), (json!("each"), json!(100), json!("forever")));
    let (.., days) = taken(&["--source", "other"]);
    assert!((7.0..7.1).contains(&number(&days)), "{days}");
    // What is given goes before.
    let given = ["--each=false", "--journal-delay", "5", "--keep-days", "90"];
    assert_eq!(taken(&given), (json!("checkpoint"), json!(5), json!(90.0)));

    let said = run(&[]).well();
    for part in [
        "From hookward.toml: completion each; journal_delay 100 ms",
        "source orders, whose events stay longest",
        "remember for ever",
        "each year adds as much",
        "The table is in eu-central-1, and the prices are those of us-east-1",
    ] {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
    assert!(!said.contains("are taken to stay 30 days"), "{said}");
    assert!(run(&given).well().contains("Given: completion checkpoint; journal_delay 5 ms"));
    let large = ["--compressed-bytes", "400000"];
    assert!(run(&large).well().contains("refused with 413, and cost nothing"));

    run(&["--source", "others"])
        .badly(78, &["no source is called others: there are orders, other"]);
    let cost = ["dynamodb", "cost", "--events-per-day", "1", "--bytes", "1", "-c", "nowhere.toml"];
    place.run(&cost).badly(78, &["nowhere.toml"]);
}

#[test]
fn impossible_traffic_is_a_mistake_of_the_command_line() {
    let place = Place::new();
    let check = |more: &[&str], said: &str| {
        let cost = ["dynamodb", "cost", "--events-per-day", "1000", "--bytes", "700"];
        place.run(&[&cost[..], more].concat()).badly(2, &[said]);
    };
    check(&["--duplicates", "101"], "from 0 to 100");
    check(&["--failures", "NaN"], "from 0 to 100");
    check(&["--nodes", "0"], "0 is not in");
    check(&["--keep-days", "0"], "or forever");
    check(&["--source", "orders"], "--config");
    check(&["--write-price=-1"], "use dollars");
    place.run(&["dynamodb", "cost", "--bytes", "700"]).badly(2, &["--events-per-day"]);
}

#[test]
fn policies_are_for_what_the_configuration_uses() {
    let statements = |place: &Place| {
        let run = ["dynamodb", "iam", "--account", "123456789012", "--role", "gateway"];
        let policy = place.run(&run).json();
        let sids = policy["Statement"].as_array().unwrap().iter().map(|it| it["Sid"].clone());
        (sids.collect::<Vec<_>>(), policy)
    };
    let (plain, policy) = statements(&place(""));
    assert!(!plain.contains(&json!("TakeOffTheList")) && !plain.contains(&json!("WriteUnderKey")));
    let table = "arn:aws:dynamodb:eu-central-1:123456789012:table/webhooks";
    assert_eq!(policy["Statement"][0]["Resource"], table);

    let (all, policy) = statements(&place(
        "kms_key = \"11111111-2222-3333-4444-555555555555\"\n[admin]\ntoken = \"env:ADMIN_TOKEN\"\n",
    ));
    assert!(all.contains(&json!("TakeOffTheList")));
    let under_key = all.iter().position(|sid| sid == "WriteUnderKey").unwrap();
    let key = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555";
    assert_eq!(policy["Statement"][under_key]["Resource"], key);
}

#[test]
fn every_role_is_explained() {
    let place = place("");
    let said = place.run(&["dynamodb", "iam", "--account", "123456789012"]).well();
    for role in [
        "gateway: runs",
        "library: takes",
        "reader: reads",
        "replayer: runs",
        "trainer: runs",
        "provisioner: sets",
        "doctor: looks",
    ] {
        assert!(said.contains(role), "{role}: {said}");
    }
}

#[test]
fn the_region_is_from_the_command_line_the_file_or_the_environment() {
    let place = place("");
    let resource = |command: &[&str], region: Option<&str>| {
        let mut command = place.command(&[&["dynamodb", "iam"], command].concat());
        command.args(["--account", "123456789012", "--role", "doctor"]);
        region.map(|region| command.env("AWS_REGION", region));
        ran(command)
    };
    let named = |ran: Ran| ran.json()["Statement"][0]["Resource"].clone();
    let table = |partition: &str, region: &str| {
        json!(format!("arn:{partition}:dynamodb:{region}:123456789012:table/webhooks"))
    };
    assert_eq!(named(resource(&[], Some("us-east-1"))), table("aws", "eu-central-1"));
    let china = named(resource(&["--region", "cn-north-1"], None));
    assert_eq!(china, table("aws-cn", "cn-north-1"));

    place.write(
        "hookward.toml",
        &format!("{}{SOURCE}", STORE.replace("region = \"eu-central-1\"\n", "")),
    );
    let government = named(resource(&[], Some("us-gov-west-1")));
    assert_eq!(government, table("aws-us-gov", "us-gov-west-1"));
    resource(&[], None).badly(78, &["which region?", "AWS_REGION", "--region"]);
    let sovereign = named(resource(&["--region", "eusc-de-east-1"], None));
    assert_eq!(sovereign, table("aws-eusc", "eusc-de-east-1"));
    resource(&["--region", "EU"], None).badly(2, &["eu-central-1"]);
}

#[test]
fn a_key_that_is_named_by_its_alias_is_the_one_that_has_it() {
    let place = place("kms_key = \"alias/webhooks\"\n");
    let under_key = |policy: &Value| {
        let all = policy["Statement"].as_array().unwrap();
        all.iter().find(|it| it["Sid"] == "WriteUnderKey").unwrap().clone()
    };
    let iam = ["dynamodb", "iam", "--account", "123456789012", "--role", "gateway"];
    let statement = under_key(&place.run(&iam).json());
    assert_eq!(statement["Resource"], "arn:aws:kms:eu-central-1:123456789012:key/*");
    let condition = |via: Value| {
        json!({
            "StringEquals": { "kms:ViaService": via },
            "ForAnyValue:StringEquals": { "kms:ResourceAliases": ["alias/webhooks"] },
        })
    };
    assert_eq!(statement["Condition"], condition(json!("dynamodb.eu-central-1.amazonaws.com")));

    let template = place.run(&["dynamodb", "cloudformation", "--policies", "--json"]).json();
    let encryption = &template["Resources"]["Table"]["Properties"]["SSESpecification"];
    assert_eq!(encryption["KMSMasterKeyId"], "alias/webhooks");
    let policy = &template["Resources"]["GatewayPolicy"]["Properties"]["PolicyDocument"];
    let statement = under_key(policy);
    let all =
        json!({ "Fn::Sub": "arn:${AWS::Partition}:kms:${AWS::Region}:${AWS::AccountId}:key/*" });
    assert_eq!(statement["Resource"], all);
    let via = json!({ "Fn::Sub": "dynamodb.${AWS::Region}.${AWS::URLSuffix}" });
    assert_eq!(statement["Condition"], condition(via));
}

#[test]
fn that_larger_bodies_need_a_bucket_is_noted() {
    let check =
        |place: &Place, more: &[&str]| place.run(&[&["check", "--no-secrets"], more].concat());
    let usual = place("");
    let said = check(&usual, &[]).well();
    assert!(said.contains("\nnote: a body of more than 350KiB"), "{said}");
    assert!(check(&usual, &["--json"]).json()["notes"][0].is_string());
    let bucket = place("large_bodies_bucket = \"bodies\"\n");
    assert!(!check(&bucket, &[]).well().contains("note:"));
    usual.write("hookward.toml", &format!("{STORE}{SOURCE}body_max = \"1025KiB\"\n"));
    let said = ["sources.orders.body_max: a body of more than 350KiB", "set `large_bodies_bucket`"];
    check(&usual, &["--strict"]).badly(78, &said);
}

#[test]
fn what_cannot_be_printed_says_why() {
    let iam = ["dynamodb", "iam", "--account", "123456789012"];
    let usual = Place::new();
    for command in [&iam[..], &["dynamodb", "cloudformation"], &["dynamodb", "terraform"]] {
        usual.run(command).badly(78, &["embedded store", "kind = \"dynamodb\""]);
    }
    let place = place("");
    place.run(&["dynamodb", "iam"]).badly(2, &["--account"]);
    place.run(&["dynamodb", "iam", "--account", "1234"]).badly(2, &["12 digits"]);
    place.run(&[&iam[..], &["--role", "root"]].concat()).badly(2, &["gateway, library, reader"]);
    let service = ["dynamodb", "cloudformation", "--gateway-service", "ecs-tasks.amazonaws.com"];
    place.run(&service).badly(2, &["--policies"]);
}

/// A place whose table is at a fake of Amazon.
fn at(amazon: &Amazon, more: &str) -> Place {
    place(&format!("endpoint = \"http://{}\"\n{more}", amazon.address))
}

/// The program with credentials, such as they are.
fn with_credentials(place: &Place, arguments: &[&str]) -> Ran {
    let mut command = place.command(arguments);
    command.env("AWS_ACCESS_KEY_ID", "hookward").env("AWS_SECRET_ACCESS_KEY", "hookward");
    ran(command)
}

fn checks(json: &Value, list: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = json[list].as_array().unwrap_or_else(|| panic!("{json}"));
    let (name, verdict) = if list == "steps" { ("what", "done") } else { ("check", "severity") };
    all.iter().map(|it| (text(&it[name]), text(&it[verdict]))).collect()
}

#[test]
fn a_table_is_created_once_and_set_up() {
    let amazon = Amazon::start(State { slow: 1, ..State::default() });
    let place = at(&amazon, "");
    let said = with_credentials(&place, &["dynamodb", "create"]).well();
    for line in [
        "created table: webhooks",
        "set     time to live: by x",
        "set     point-in-time recovery: for 35 days",
    ] {
        assert!(said.contains(line), "{line:?} is not in: {said}");
    }
    let created =
        amazon.with(|state| state.asked.iter().find(|(name, _)| name == "CreateTable").cloned());
    let (_, created) = created.unwrap();
    assert_eq!(created["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(created["OnDemandThroughput"]["MaxWriteRequestUnits"], 750);
    assert_eq!(created["DeletionProtectionEnabled"], true);
    assert_eq!(created["SSESpecification"], Value::Null);
    assert_eq!(amazon.changes(), ["CreateTable", "UpdateTimeToLive", "UpdateContinuousBackups"]);

    // Again: nothing is changed.
    amazon.with(|state| state.asked.clear());
    let json =
        serde_json::from_str(&with_credentials(&place, &["dynamodb", "create", "--json"]).well())
            .unwrap();
    assert!(checks(&json, "steps").iter().all(|(_, done)| done == "already"), "{json}");
    assert_eq!(json["differs"], json!([]));
    assert_eq!(amazon.changes(), [""; 0]);
}

#[test]
fn a_table_is_encrypted_under_the_configured_key() {
    let key = "arn:aws:kms:eu-central-1:123456789012:key/1-2-3";
    let amazon = Amazon::start(State::default());
    let place = at(&amazon, &format!("kms_key = \"{key}\"\n"));
    with_credentials(&place, &["dynamodb", "create"]).well();
    let created =
        amazon.with(|state| state.asked.iter().find(|(name, _)| name == "CreateTable").cloned());
    let encryption = json!({ "Enabled": true, "SSEType": "KMS", "KMSMasterKeyId": key });
    assert_eq!(created.unwrap().1["SSESpecification"], encryption);
}

#[test]
fn what_is_off_is_turned_on_and_what_differs_is_said() {
    let mut bare = table();
    bare["DeletionProtectionEnabled"] = json!(false);
    bare["OnDemandThroughput"] = Value::Null;
    let amazon = Amazon::start(State { table: Some(bare), ..State::default() });
    let place = at(&amazon, "");
    let said = with_credentials(&place, &["dynamodb", "create"]).well();
    for line in [
        "already table: webhooks",
        "set     deletion protection",
        "set     cap on write units: 750 a second",
    ] {
        assert!(said.contains(line), "{line:?} is not in: {said}");
    }
    let changes = ["UpdateTimeToLive", "UpdateContinuousBackups", "UpdateTable", "UpdateTable"];
    assert_eq!(amazon.changes(), changes);

    // Another cap and another key are somebody's decision.
    amazon.with(|state| {
        let table = state.table.as_mut().unwrap();
        table["OnDemandThroughput"] = json!({ "MaxWriteRequestUnits": 9 });
        table["SSEDescription"] =
            json!({ "Status": "ENABLED", "KMSMasterKeyArn": "arn:aws:kms:a:1:key/other" });
        state.asked.clear();
    });
    let said = with_credentials(&place, &["dynamodb", "create"]).well();
    assert!(
        said.contains(
            "WARNING write-cap: webhooks: 9 write units a second, but write_units_max is 750"
        ),
        "{said}"
    );
    assert!(
        said.contains("WARNING encryption: webhooks: under arn:aws:kms:a:1:key/other"),
        "{said}"
    );
    assert_eq!(amazon.changes(), [""; 0]);
}

#[test]
fn a_table_of_somebody_elses_is_left_alone() {
    let mut other = table();
    other["KeySchema"] = json!([{ "AttributeName": "pk", "KeyType": "HASH" }]);
    let amazon = Amazon::start(State { table: Some(other), ..State::default() });
    let ran = with_credentials(&at(&amazon, ""), &["dynamodb", "create"]);
    assert!(
        ran.out.contains("ERROR   key-schema: webhooks: its keys are pk and no text"),
        "{ran:?}"
    );
    ran.badly(1, &["not as the configuration wants it"]);
    assert_eq!(amazon.changes(), [""; 0]);
}

#[test]
fn of_a_table_of_somebody_elses_only_that_is_told() {
    let mut other = table();
    other["KeySchema"] = json!([{ "AttributeName": "pk", "KeyType": "HASH" }]);
    other["DeletionProtectionEnabled"] = json!(false);
    let amazon = Amazon::start(State { table: Some(other), ..State::default() });
    let place = at(&amazon, "");
    let ran = with_credentials(&place, &["doctor", "--role", "gateway"]);
    assert!(ran.out.contains("give another name as `table` in [store]"), "{ran:?}");
    for advice in
        ["which turns on what is off", "time-to-live", "deletion-protection", "permissions"]
    {
        assert!(!ran.out.contains(advice), "{advice}: {ran:?}");
    }
    let looks = ["DescribeTable", "DescribeTimeToLive", "DescribeContinuousBackups"];
    let asked = amazon.with(|state| state.asked.clone());
    assert!(asked.iter().all(|(name, _)| looks.contains(&&**name)), "nothing is tried: {asked:?}");
}

#[test]
fn a_table_that_is_not_there_is_told_with_what_to_do() {
    let amazon = Amazon::start(State::default());
    let place = at(&amazon, "");
    for command in
        [&["events", "list"][..], &["dead", "list"], &["dynamodb", "train", "--source", "orders"]]
    {
        let said = ["ResourceNotFoundException", "run `hookward dynamodb create`"];
        with_credentials(&place, command).badly(1, &said);
    }
}

#[test]
fn an_endpoint_of_the_environment_that_is_none_is_told_by_its_variable() {
    let place = place("");
    for command in [
        &["dynamodb", "create"][..],
        &["dynamodb", "train", "--source", "orders"],
        &["events", "list"],
        &["serve"],
    ] {
        for (variable, url) in [
            ("AWS_ENDPOINT_URL_DYNAMODB", "foo"),
            ("AWS_ENDPOINT_URL", "localhost:8000"),
            ("AWS_ENDPOINT_URL_DYNAMODB", "ftp://127.0.0.1"),
        ] {
            let mut command = place.command(command);
            command.env(variable, url).env("ORDERS", crate::program::PLAIN_SECRET);
            command.env("AWS_ACCESS_KEY_ID", "hookward").env("AWS_SECRET_ACCESS_KEY", "hookward");
            let said = [&*format!("{variable} is \"{url}\""), "such as http://127.0.0.1:8000"];
            ran(command).badly(78, &said);
        }
    }
}

#[test]
fn a_table_that_is_never_ready_is_not_waited_for_for_ever() {
    let amazon = Amazon::start(State { slow: usize::MAX, ..State::default() });
    let ran = with_credentials(&at(&amazon, ""), &["dynamodb", "create", "--wait", "1"]);
    ran.badly(1, &["not ready after 1 s", "run the command again"]);
}

#[test]
fn what_is_no_amazon_may_have_less() {
    let unknown = vec!["UpdateContinuousBackups", "DescribeContinuousBackups"];
    let amazon = Amazon::start(State { unknown, ..State::default() });
    let place = at(&amazon, "");
    let said = with_credentials(&place, &["dynamodb", "create", "--alternator"]).well();
    assert!(
        said.contains("missing point-in-time recovery: this endpoint does not have it"),
        "{said}"
    );
    assert!(said.contains("WARNING recovery: webhooks: not known to this endpoint"), "{said}");
    let created =
        amazon.with(|state| state.asked.iter().find(|(name, _)| name == "CreateTable").cloned());
    let tag = json!([{ "Key": "system:write_isolation", "Value": "always_use_lwt" }]);
    assert_eq!(created.unwrap().1["Tags"], tag);
}

/// A table in ScyllaDB Alternator.
fn in_alternator() -> Value {
    let mut table = table();
    table["TableArn"] = json!("arn:scylla:alternator:alternator_webhooks:scylla:table/webhooks");
    table
}

#[test]
fn a_table_that_is_there_gets_the_tag_that_alternator_needs() {
    let amazon = Amazon::start(State { table: Some(in_alternator()), ..everything() });
    let place = at(&amazon, "");
    let tag = || amazon.with(|state| state.tags.clone());
    let wanted = || vec![("system:write_isolation".to_owned(), "always_use_lwt".to_owned())];

    // Without the flag, only told.
    let said = with_credentials(&place, &["dynamodb", "create"]).well();
    assert!(said.contains("WARNING write-isolation: webhooks: the table has no tag"), "{said}");
    assert!(said.contains("run `hookward dynamodb create --alternator`"), "{said}");
    assert_eq!(amazon.changes(), [""; 0]);

    let set = ["dynamodb", "create", "--alternator"];
    let said = with_credentials(&place, &set).well();
    assert!(said.contains("set     write isolation: always_use_lwt\n"), "{said}");
    assert!(!said.contains("WARNING write-isolation"), "{said}");
    assert_eq!(tag(), wanted());
    let said = with_credentials(&place, &set).well();
    assert!(said.contains("already write isolation: always_use_lwt"), "{said}");

    amazon.with(|state| state.tags[0].1 = "unsafe_rmw".to_owned());
    let said = with_credentials(&place, &set).well();
    assert!(said.contains("set     write isolation: always_use_lwt, and no more unsafe_rmw"));
    assert_eq!(tag(), wanted());
    assert_eq!(amazon.changes(), ["TagResource", "TagResource"]);

    // What cannot be set is a person's to set.
    amazon.with(|state| {
        state.tags.clear();
        state.unknown = vec!["TagResource"];
    });
    let ran = with_credentials(&place, &set);
    assert!(ran.out.contains("FAILED  write isolation: not known here"), "{ran:?}");
    assert!(ran.out.contains("set the table's tag system:write_isolation to always_use_lwt"));
    ran.badly(1, &["not as the configuration wants it"]);
}

#[test]
fn without_credentials_or_an_answer_nothing_is_created() {
    let place = place("endpoint = \"http://127.0.0.1:1\"\n");
    let ran = with_credentials(&place, &["dynamodb", "create"]);
    assert!(ran.err.contains("onnection refused") && !ran.err.contains('{'), "{ran:?}");
    ran.badly(1, &["cannot look at table webhooks at http://127.0.0.1:1/"]);
    let amazon = Amazon::start(State { lets: Some(Vec::new()), ..State::default() });
    let ran = with_credentials(&at(&amazon, ""), &["dynamodb", "create"]);
    ran.badly(1, &["these credentials may not: User is not authorized"]);
}

/// What a printed policy lets, as the fake of Amazon takes it.
fn lets(place: &Place, role: &str) -> Vec<(String, String)> {
    let policy =
        place.run(&["dynamodb", "iam", "--account", "123456789012", "--role", role]).json();
    let mut lets = Vec::new();
    for statement in policy["Statement"].as_array().unwrap() {
        if statement["Effect"] != "Allow" {
            continue;
        }
        let keys = &statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"];
        let keys = keys.as_array().map_or_else(|| vec![json!("")], Clone::clone);
        for action in statement["Action"].as_array().unwrap() {
            let action = action.as_str().unwrap().split_once(':').unwrap().1;
            lets.extend(
                keys.iter().map(|key| (action.to_owned(), key.as_str().unwrap().to_owned())),
            );
        }
    }
    lets
}

#[test]
fn the_doctor_finds_a_table_in_order() {
    let amazon = Amazon::start(everything());
    let place = at(&amazon, "");
    let allowed = lets(&place, "doctor");
    amazon.with(|state| state.lets = Some(allowed));
    let mut command = place.command(&["doctor", "--json"]);
    command.env("AWS_ACCESS_KEY_ID", "hookward").env("AWS_SECRET_ACCESS_KEY", "hookward");
    command.env("ORDERS", crate::program::PLAIN_SECRET);
    let json = ran(command).json();
    let found = checks(&json, "findings");
    for check in [
        "endpoint",
        "credentials",
        "table",
        "key-schema",
        "write-cap",
        "time-to-live",
        "recovery",
        "deletion-protection",
        "encryption",
        "permissions",
    ] {
        assert!(found.contains(&(check.to_owned(), "good".to_owned())), "{check}: {json:#}");
    }
    let explained = include_str!("../../../../docs/dynamodb.md");
    for (check, _) in found {
        assert!(
            explained.contains(&format!("`{check}`")),
            "docs/dynamodb.md does not explain {check}"
        );
    }
    assert_eq!(amazon.changes(), ["UpdateTimeToLive"], "an attempt that is refused");
}

/// What `doctor` says of this check under these credentials.
fn doctor(place: &Place, role: &str, check: &str) -> Vec<(String, String)> {
    let out = with_credentials(place, &["doctor", "--role", role, "--json"]).out;
    let json: Value = serde_json::from_str(&out).unwrap();
    let all = json["findings"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let these = all.iter().filter(|it| it["check"] == check);
    these.map(|it| (text(&it["severity"]), text(&it["found"]))).collect()
}

#[test]
fn credentials_that_may_more_or_less_than_their_role_are_told() {
    let amazon = Amazon::start(everything());
    let place = at(&amazon, "");
    for role in ["gateway", "library", "reader", "replayer", "trainer"] {
        let mut allowed = lets(&place, role);
        amazon.with(|state| state.lets = Some(allowed.clone()));
        let [(severity, found)] = &doctor(&place, role, "permissions")[..] else {
            panic!("{role}")
        };
        assert_eq!(severity, "good", "{role}: {found}");
        let [(severity, found)] = &doctor(&place, role, "table")[..] else { panic!("{role}") };
        assert!(
            severity == "skipped" && found.contains("the doctor's credentials would"),
            "{role}: {found}"
        );

        allowed.push(("DeleteItem".to_owned(), "*".to_owned()));
        allowed.push(("Scan".to_owned(), String::new()));
        amazon.with(|state| state.lets = Some(allowed.clone()));
        let [(severity, found)] = &doctor(&place, role, "permissions")[..] else {
            panic!("{role}")
        };
        assert_eq!(severity, "warning", "{role}: {found}");
        assert!(
            found.contains("dynamodb:DeleteItem on e#hookward-doctor")
                && found.contains("dynamodb:Scan"),
            "{found}"
        );

        allowed.retain(|(action, _)| action != "BatchGetItem");
        amazon.with(|state| state.lets = Some(allowed));
        let found = doctor(&place, role, "permissions");
        assert!(
            found[0].0 == "error" && found[0].1.contains("may not: dynamodb:BatchGetItem"),
            "{found:?}"
        );
    }
    // An endpoint that lets everything has no permissions to compare.
    amazon.with(|state| state.lets = None);
    let [(severity, found)] = &doctor(&place, "gateway", "permissions")[..] else { panic!() };
    assert!(severity == "skipped" && found.contains("looks at no permissions"), "{found}");
}

/// All items of a table in DynamoDB Local.
fn items(table: &str) -> Value {
    let asked = json!({ "TableName": table, "ConsistentRead": true }).to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\
         content-type: application/x-amz-json-1.0\r\nx-amz-target: DynamoDB_20120810.Scan\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=hookward/20260101/eu-central-1/dynamodb/aws4_request, \
         SignedHeaders=host, Signature=none\r\n\r\n{asked}",
        asked.len()
    );
    let answer = ask(engine::address(), &request).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str::<Value>(body).unwrap_or_else(|error| panic!("{error}: {answer}"))["Items"]
        .take()
}

#[test]
fn what_the_doctor_tries_changes_no_item() {
    let place = Place::new();
    let table = format!("tried-{}", std::process::id());
    let store = format!(
        "[store]\nkind = \"dynamodb\"\ntable = \"{table}\"\nregion = \"eu-central-1\"\nendpoint = \"http://{}\"",
        engine::address()
    );
    place.configure(|text| text.replace("[store]\npath = \"events\"", &store));
    with_credentials(&place, &["dynamodb", "create"]).well();
    let mut serve = place.command(&["serve"]);
    serve.env("AWS_ACCESS_KEY_ID", "hookward").env("AWS_SECRET_ACCESS_KEY", "hookward");
    let gateway = Gateway::start(serve);
    assert_eq!(gateway.takes_order(1), 200);
    place.app.got(1);
    gateway.stops();

    let before = items(&table);
    assert!(before.as_array().is_some_and(|items| items.len() > 1), "{before}");
    let [(severity, found)] = &doctor(&place, "gateway", "permissions")[..] else { panic!() };
    // Each of them is one that DynamoDB understands.
    assert!(severity == "skipped" && found.contains("in 35 attempts"), "{found}");
    assert_eq!(items(&table), before);
}

#[test]
fn each_thing_that_credentials_may_beyond_their_role_is_named() {
    let amazon = Amazon::start(everything());
    let place = at(&amazon, "");
    for (role, action, key) in [
        ("reader", "PutItem", "r#hookward-doctor"),
        ("reader", "PutItem", "j#hookward-doctor"),
        ("library", "PutItem", "j#hookward-doctor"),
        ("gateway", "PutItem", "w#hookward-doctor"),
        ("reader", "Query", "w#hookward-doctor"),
        ("reader", "UpdateItem", "e#hookward-doctor"),
        ("reader", "UpdateItem", "n"),
        ("gateway", "UpdateItem", "r#hookward-doctor"),
        ("gateway", "UpdateItem", "j#hookward-doctor"),
        ("gateway", "UpdateItem", "d#hookward-doctor"),
        ("trainer", "DeleteItem", "n"),
        ("gateway", "DeleteItem", "r#hookward-doctor"),
        ("gateway", "DeleteItem", "j#hookward-doctor"),
        ("gateway", "DeleteItem", "x#hookward-doctor"),
        ("doctor", "Query", "j#hookward-doctor"),
        ("trainer", "Query", "x#hookward-doctor"),
        ("reader", "Query", "e#hookward-doctor"),
        ("gateway", "BatchWriteItem", "e#hookward-doctor"),
        ("replayer", "BatchWriteItem", "e#hookward-doctor"),
    ] {
        let mut allowed = lets(&place, role);
        allowed.retain(|(it, of)| (&**it, &**of) != (action, key));
        allowed.push((action.to_owned(), key.to_owned()));
        amazon.with(|state| state.lets = Some(allowed));
        let [(severity, found)] = &doctor(&place, role, "permissions")[..] else {
            panic!("{role}")
        };
        let expected = format!("may more than they need: dynamodb:{action} on {key}");
        assert!(severity == "warning" && found.ends_with(&expected), "{role}: {found}");
    }
}

#[test]
fn the_doctor_says_what_is_missing_and_what_to_do() {
    let amazon = Amazon::start(State::default());
    let place = at(&amazon, "");
    let [(severity, found)] = &doctor(&place, "doctor", "table")[..] else { panic!() };
    assert!(severity == "error" && found.contains("there is no such table"), "{found}");
    let ran = with_credentials(&place, &["doctor"]);
    assert!(ran.out.contains("run `hookward dynamodb create`"), "{ran:?}");
    ran.badly(1, &["errors"]);

    amazon.with(|state| state.table = Some(table()));
    assert_eq!(doctor(&place, "doctor", "write-isolation"), [], "DynamoDB Local has no choice");

    amazon.with(|state| state.table = Some(in_alternator()));
    let [(severity, found)] = &doctor(&place, "doctor", "write-isolation")[..] else { panic!() };
    assert!(severity == "warning" && found.contains("has no tag"), "{found}");

    amazon.with(|state| {
        state.tags = vec![("system:write_isolation".to_owned(), "unsafe_rmw".to_owned())];
        state.unknown = vec!["DescribeContinuousBackups"];
    });
    let of = |check| doctor(&place, "doctor", check).remove(0);
    assert_eq!(of("write-isolation").0, "error");
    assert_eq!(of("recovery").0, "warning");
    assert_eq!(of("time-to-live").0, "warning");

    let nobody = self::place("endpoint = \"http://127.0.0.1:1\"\n");
    let [(severity, _)] = &doctor(&nobody, "doctor", "endpoint")[..] else { panic!() };
    assert_eq!(severity, "error");
}

#[test]
fn missing_credentials_are_told_as_such() {
    let amazon = Amazon::start(everything());
    let place = at(&amazon, "");
    let mut command = place.command(&["doctor"]);
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    let ran = ran(command);
    assert!(
        ran.out.contains("ERROR   credentials: AWS: the credentials are missing or not taken"),
        "{ran:?}"
    );
    assert!(ran.out.contains("set AWS_PROFILE or AWS_ACCESS_KEY_ID"), "{ran:?}");
}
