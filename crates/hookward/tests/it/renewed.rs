//! Secrets in AWS, and secrets that change while the gateway runs.

use std::net::SocketAddr;

use crate::{
    program::{
        ADMIN_TOKEN, DELIVERY_SECRET, Gateway, ORDERS_SECRET, OTHER_SECRET, PLAIN_SECRET, Place,
        ask, bare, order, post, ran,
    },
    vault::{Vault, creates, deletes, puts_parameter, restores, rotates},
};

const THIRD_SECRET: &str = "whsec_w2Zk7TqYp0xVb5NcR8sLmJdHfGa1Ue3KoiBt6PvWqEM=";

/// A folder whose sources' secrets are where a test says.
fn place(orders: &str, plain: &str) -> Place {
    let place = Place::new();
    place.configure(|text| {
        text.replace("file:orders.secret", orders).replace("env:PLAIN_SECRET", plain)
    });
    place
}

fn name(what: &str) -> String {
    format!("{what}/{}", std::process::id())
}

/// The status that an order gets.
fn answered(gateway: &Gateway, secret: &str, number: usize) -> Option<u16> {
    post(gateway.address, &order(secret, number))
}

/// Waits until an order gets this status.
#[track_caller]
fn comes_to(gateway: &Gateway, secret: &str, number: usize, status: u16) {
    gateway.comes_to(status, || answered(gateway, secret, number));
}

fn admin(address: SocketAddr, path: &str, token: &str) -> String {
    let head = "host: x\r\nconnection: close";
    ask(address, &format!("GET {path} HTTP/1.1\r\n{head}\r\nauthorization: Bearer {token}\r\n\r\n"))
        .unwrap()
}

#[track_caller]
fn shows(gateway: &Gateway, token: &str, lines: &[&str]) {
    let metrics = admin(gateway.admin, "/metrics", token);
    for line in lines {
        assert!(metrics.contains(line), "{line} is not in: {metrics}");
    }
    assert!(admin(gateway.admin, "/readyz", token).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_rotation_is_seen_at_the_first_wrong_signature_and_forgers_cause_no_more_calls() {
    let vault = Vault::start();
    let (orders, plain) = (name("rotated/orders"), format!("/{}", name("rotated/plain")));
    creates(&orders, "changeme");
    rotates(&orders, ORDERS_SECRET);
    puts_parameter(&plain, "SecureString", PLAIN_SECRET);
    let place = place(&format!("aws-sm:{orders}"), &format!("aws-ssm:{plain}"));
    let gateway = Gateway::start(vault.program(&place, &["serve"]));
    // The placeholder before the first secret does no harm.
    assert_eq!(answered(&gateway, ORDERS_SECRET, 1), Some(200));
    assert_eq!((vault.asked(&orders), vault.asked(&plain)), (2, 1));

    rotates(&orders, OTHER_SECRET);
    assert_eq!(answered(&gateway, OTHER_SECRET, 2), Some(403));
    gateway.logs("the secret was changed");
    comes_to(&gateway, OTHER_SECRET, 2, 200);
    // Who has not moved over yet is not turned away.
    assert_eq!(answered(&gateway, ORDERS_SECRET, 3), Some(200));
    for number in 4..40 {
        assert_eq!(answered(&gateway, THIRD_SECRET, number), Some(403));
    }
    assert_eq!(answered(&gateway, OTHER_SECRET, 40), Some(200));
    shows(
        &gateway,
        ADMIN_TOKEN,
        &[
            &format!("hookward_secret_age_seconds{{reference=\"aws-sm:{orders}\"}}"),
            &format!("hookward_secret_refresh_failures_total{{reference=\"aws-sm:{orders}\"}} 0"),
            &format!("hookward_secret_revoked{{reference=\"aws-ssm:{plain}\"}} 0"),
        ],
    );
    place.app.got(4);
    gateway.stops();
    // The start and one look; nobody has forged the other source.
    assert_eq!((vault.asked(&orders), vault.asked(&plain)), (4, 1));
}

#[test]
fn a_secret_that_is_deleted_counts_no_longer_and_takes_nothing_else_with_it() {
    let vault = Vault::start();
    let orders = name("deleted/orders");
    creates(&orders, ORDERS_SECRET);
    let place = place(&format!("aws-sm:{orders}"), "env:PLAIN_SECRET");
    let gateway = Gateway::start(vault.program(&place, &["serve"]));
    assert_eq!(answered(&gateway, ORDERS_SECRET, 1), Some(200));
    deletes(&orders);
    assert_eq!(answered(&gateway, THIRD_SECRET, 2), Some(403));
    let line = gateway.logs("AWS Secrets Manager is about to delete it");
    assert!(line.contains("hookward.toml:11:10: sources.orders.secret: aws-sm:"), "{line}");
    gateway.logs("no secret of it counts any more");
    comes_to(&gateway, ORDERS_SECRET, 3, 403);
    let revoked = format!("hookward_secret_revoked{{reference=\"aws-sm:{orders}\"}} 1");
    shows(&gateway, ADMIN_TOKEN, &[&revoked]);
    // It is no reload: that takes up a configuration whole or not at all.
    gateway.signal(rustix::process::Signal::HUP);
    gateway.logs("configuration not reloaded, the former stays");
    restores(&orders);
    gateway.signal(rustix::process::Signal::HUP);
    gateway.logs("configuration reloaded");
    comes_to(&gateway, ORDERS_SECRET, 4, 200);
    gateway.stops();
}

#[test]
fn what_cannot_be_asked_for_stays() {
    for code in ["ThrottlingException", "AccessDeniedException"] {
        let vault = Vault::start();
        let orders = name(&format!("kept/{code}"));
        creates(&orders, ORDERS_SECRET);
        let place = place(&format!("aws-sm:{orders}"), "env:PLAIN_SECRET");
        let gateway = Gateway::start(vault.program(&place, &["serve"]));
        rotates(&orders, OTHER_SECRET);
        vault.refuses(Some(code));
        assert_eq!(answered(&gateway, OTHER_SECRET, 1), Some(403));
        let line = gateway.logs("the secret cannot be looked up, the last good one stays");
        assert!(line.contains(code) && line.contains(&orders), "{line}");
        assert_eq!(answered(&gateway, ORDERS_SECRET, 2), Some(200));
        let failures = "hookward_secret_refresh_failures_total";
        let failed = format!("{failures}{{reference=\"aws-sm:{orders}\"}} 1");
        shows(&gateway, ADMIN_TOKEN, &[&failed]);

        // A reload does not stop for what is known already.
        place.configure(|text| {
            let text = text.replace("file:orders.secret", &format!("aws-sm:{orders}"));
            text.replace("[sources.plain]", "[sources.late]")
        });
        gateway.signal(rustix::process::Signal::HUP);
        gateway.logs("configuration reloaded");
        assert_eq!(answered(&gateway, ORDERS_SECRET, 3), Some(200));

        vault.refuses(None);
        gateway.signal(rustix::process::Signal::HUP);
        comes_to(&gateway, OTHER_SECRET, 4, 200);
        gateway.stops();
    }
}

#[test]
fn what_cannot_be_looked_up_does_not_start() {
    let vault = Vault::start();
    let orders = name("missing/orders");
    let place = place(&format!("aws-sm:{orders}#orders"), "aws-ssm:/missing/plain");
    let serve = || ran(vault.program(&place, &["serve"]));
    let at = "hookward.toml:11:10: sources.orders.secret: aws-sm:";
    let missing =
        "AWS Secrets Manager does not have it; create or restore it, or correct its name, region";
    let parameter = "sources.plain.secret: aws-ssm:/missing/plain: AWS Systems Manager does not";
    serve().badly(78, &[at, missing, parameter]);

    let check = |text: &str, said: &str| {
        rotates(&orders, text);
        serve().badly(78, &[at, said]);
    };
    creates(&orders, "{}");
    check("{\"other\":\"a\"}", "its JSON has no such key; put the secret there");
    check(ORDERS_SECRET, "it is no JSON object, and a key of one is asked for");
    check("{\"orders\":\"hunter2\"}", "#orders is refused: it has 7 characters");
    puts_parameter("/missing/plain", "String", PLAIN_SECRET);
    serve().badly(78, &["it is no SecureString, so that it is kept unencrypted"]);

    vault.refuses(Some("AccessDeniedException"));
    let denied = "AWS Secrets Manager says AccessDeniedException: the test says no; let these credentials secretsmanager:GetSecretValue on it, and kms:Decrypt on its key";
    serve().badly(78, &[at, denied, "let these credentials ssm:GetParameter on it"]);
    // What may pass is no mistake in the configuration: systemd tries again.
    vault.refuses(Some("InternalServiceError"));
    serve().badly(1, &[at, "AWS Secrets Manager says InternalServiceError"]);
    let mut nowhere = vault.program(&place, &["serve"]);
    nowhere.env_remove("AWS_REGION").env("AWS_EC2_METADATA_DISABLED", "true");
    ran(nowhere).badly(78, &[at, "no AWS region: write `region` into [secrets]"]);
    let mut clear = vault.program(&place, &["serve"]);
    clear.env("AWS_ENDPOINT_URL_SSM", "http://10.0.0.1:9000");
    ran(clear).badly(
        78,
        &["AWS_ENDPOINT_URL_SSM: plain http to another machine would show every secret"],
    );
}

#[test]
fn check_asks_nobody_and_the_doctor_does() {
    let vault = Vault::start();
    let (orders, plain) = (name("looked-at/orders"), name("looked-at/plain"));
    creates(&orders, ORDERS_SECRET);
    let place = place(&format!("aws-sm:{orders}"), &format!("aws-sm:{plain}"));
    let said = ran(vault.program(&place, &["check"])).well();
    let told = "secrets found and strong but for 2 in AWS, where `hookward doctor` looks";
    assert!(said.contains(told), "{said}");
    assert_eq!((vault.asked(&orders), vault.asked(&plain)), (0, 0));

    let doctor = |arguments: &[&str]| {
        let ran = ran(vault.program(&place, arguments));
        assert!(!format!("{ran:?}").contains(bare(ORDERS_SECRET)), "{ran:?}");
        ran.out
    };
    let said = doctor(&["doctor"]);
    assert!(said.contains("good    secrets: source orders: found and strong"), "{said}");
    assert!(said.contains("ERROR   secrets: source plain: "), "{said}");
    assert!(said.contains("AWS Secrets Manager does not have it"), "{said}");
    // A doctor who may not read secrets is as it should be.
    vault.refuses(Some("AccessDeniedException"));
    let said = doctor(&["doctor"]);
    assert!(said.contains("skipped secrets: source orders: not for the doctor to read"), "{said}");
    let said = doctor(&["doctor", "--role", "gateway"]);
    assert!(said.contains("ERROR   secrets: source orders: "), "{said}");
}

#[test]
fn deliveries_and_operators_move_over_too_and_nothing_shows_a_secret() {
    let vault = Vault::start();
    let (all, token) = (name("all/webhooks"), format!("/{}", name("all/token")));
    let secrets = |delivery: &str| {
        serde_json::json!({ "orders": ORDERS_SECRET, "delivery": delivery, "other": 7 }).to_string()
    };
    creates(&all, &secrets(DELIVERY_SECRET));
    rotates(&all, &secrets(OTHER_SECRET));
    puts_parameter(&token, "SecureString", ADMIN_TOKEN);
    let place = place(&format!("aws-sm:{all}#orders"), "env:PLAIN_SECRET");
    place.configure(|text| {
        text.replace("file:orders.secret", &format!("aws-sm:{all}#orders"))
            .replace("env:DELIVERY_SECRET", &format!("aws-sm:{all}#delivery"))
            .replace("env:ADMIN_TOKEN", &format!("aws-ssm:{token}"))
            .replace("level = \"debug\"", "level = \"trace\"")
    });
    let gateway = Gateway::start(vault.program(&place, &["serve"]));
    // Three keys of one secret are read at once.
    assert_eq!((vault.asked(&all), vault.asked(&token)), (2, 1));
    assert_eq!(answered(&gateway, ORDERS_SECRET, 1), Some(200));
    let delivered = place.app.got(1);
    let signatures = delivered[0].header("webhook-signature");
    assert_eq!(signatures.split(' ').count(), 2, "{signatures}");
    let status = || admin(gateway.admin, "/v1/status", ADMIN_TOKEN);
    assert!(status().starts_with("HTTP/1.1 200 "), "{}", status());
    place.knows(&gateway);
    let list = ["events", "list", "--json", "-c", "running.toml"];
    ran(vault.program(&place, &list)).well();

    // A token that was changed lets in, and the former one does not.
    puts_parameter(&token, "SecureString", "0f1e2d3c4b5a69788796a5b4c3d2e1f0");
    gateway.signal(rustix::process::Signal::HUP);
    gateway.logs("configuration reloaded");
    assert!(status().starts_with("HTTP/1.1 401 "), "{}", status());

    let log = gateway.stops().join("\n");
    for secret in [ORDERS_SECRET, OTHER_SECRET, DELIVERY_SECRET, ADMIN_TOKEN] {
        assert!(!log.contains(bare(secret)), "a secret is in the log");
    }

    // Where no gateway runs, there is nobody to show the token to.
    vault.refuses(Some("AccessDeniedException"));
    ran(vault.program(&place, &list)).well();
}

#[test]
fn a_mounted_file_that_is_replaced_is_read_again() {
    let place = Place::new();
    let gateway = place.serves();
    place.secret("orders.secret", OTHER_SECRET);
    assert_eq!(answered(&gateway, OTHER_SECRET, 1), Some(403));
    comes_to(&gateway, OTHER_SECRET, 1, 200);
    assert_eq!(answered(&gateway, ORDERS_SECRET, 2), Some(403));
    gateway.stops();

    // One that is gone, or half written, is no secret that was revoked.
    let gateway = place.serves();
    place.secret("orders.secret", "whsec_Uk4p1mXc7QyG9sVb2LzJw8eT");
    assert_eq!(answered(&gateway, THIRD_SECRET, 3), Some(403));
    gateway.logs("the last good one stays: file:");
    assert_eq!(answered(&gateway, OTHER_SECRET, 3), Some(200));
    gateway.stops();
}
