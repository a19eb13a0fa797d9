//! What the program does when its standard output is not there to take what it says.

use std::{
    fs::OpenOptions,
    io::pipe,
    net::TcpListener,
    process::{Command, Stdio},
};

use crate::program::{ORDERS_SECRET, Place, Ran, ran};

/// Commands that answer on standard output, at length or in a word.
const COMMANDS: &[&[&str]] = &[
    &["--help"],
    &["dev", "--help"],
    &["--version"],
    &["check"],
    &["check", "--example"],
    &["check", "--json"],
    &["check", "--schema"],
    &["completions", "bash"],
    &["completions", "powershell"],
    &["dead", "list"],
    &["doctor"],
    &["doctor", "--json"],
    &["dynamodb", "cloudformation", "-c", "table.toml"],
    &["dynamodb", "cost", "--events-per-day", "1000", "--bytes", "700"],
    &["dynamodb", "cost", "--events-per-day", "1000", "--bytes", "700", "--json"],
    &["dynamodb", "iam", "-c", "table.toml", "--account", "123456789012"],
    &["dynamodb", "terraform", "-c", "table.toml"],
    &["events", "list"],
    &["events", "list", "--json"],
    &["providers", "list"],
    &["providers", "list", "--json"],
    &["providers", "show", "stripe"],
    &["send", "--source", "orders", "--dry-run"],
];

fn place() -> Place {
    let place = Place::new();
    place.configure(|text| {
        let text =
            text.replace("[store]\n", "[store]\nkind = \"dynamodb\"\nregion = \"eu-west-1\"\n");
        text.replace("path = \"events\"\n", "")
    });
    std::fs::rename(place.path().join("hookward.toml"), place.path().join("table.toml")).unwrap();
    place.configure(|text| text);
    place
}

fn into(mut command: Command, out: impl Into<Stdio>) -> Ran {
    command.stdout(out);
    ran(command)
}

#[test]
fn who_reads_no_further_is_no_failure() {
    let place = place();
    for arguments in COMMANDS {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let ran = into(place.command(arguments), writer);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
fn full() -> std::fs::File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let place = place();
    for arguments in COMMANDS {
        let said = into(place.command(arguments), full()).badly(1, &[]);
        let wanted = "hookward: could not write to standard output: No space left on device";
        assert!(said.starts_with(wanted) && said.lines().count() == 1, "{arguments:?}: {said}");
    }
}

/// What a command found out is its exit code, whether or not what it says is read.
#[test]
fn a_verdict_stands_although_nobody_reads_it() {
    let place = Place::new();
    place.secret("orders.secret", "short");
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    into(place.command(&["doctor"]), writer).badly(1, &["1 errors"]);

    place.secret("orders.secret", ORDERS_SECRET);
    let gateway = place.serves();
    let url = format!("http://{}/nowhere", gateway.address);
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let send = ["send", "hmac", "--secret", "env:PLAIN_SECRET", "--url", &url];
    into(place.command(&send), writer).badly(1, &["the endpoint answered 404"]);
}

/// A mistake is told by the exit code where standard error cannot take it.
#[cfg(target_os = "linux")]
#[test]
fn a_failure_that_cannot_be_said_is_still_one() {
    let place = Place::new();
    let silent = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.stderr(full());
        ran(command).code
    };
    assert_eq!(silent(&["providers", "show", "strpe"]), 1);
    assert_eq!(silent(&["check", "-c", "nowhere.toml"]), 78);
    assert_eq!(silent(&["nonsense"]), 2);
}

/// A log on a full disk costs lines, and no webhooks.
#[cfg(target_os = "linux")]
#[test]
fn a_gateway_whose_log_is_full_still_takes_webhooks() {
    use std::time::Instant;

    use crate::program::{PATIENCE, order, post};

    let place = Place::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    place.configure(|text| text.replacen("127.0.0.1:0", &free.to_string(), 1));
    let mut serve = place.command(&["serve"]);
    let mut child = serve.stdout(Stdio::null()).stderr(full()).spawn().unwrap();
    #[expect(clippy::disallowed_methods, reason = "a log that is full cannot say when it is up")]
    let began = Instant::now();
    let answered = loop {
        let answer = post(free, &order(ORDERS_SECRET, 1));
        if answer.is_some() || began.elapsed() > PATIENCE {
            break answer;
        }
        std::thread::yield_now();
    };
    let again = post(free, &order(ORDERS_SECRET, 2));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!((answered, again), (Some(200), Some(200)));
}
