//! The program as a child process, with a folder, a configuration and secrets of its own.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use hookward_core::{
    Source, SourceName,
    provider::Provider,
    scheme::Sample,
    secret::{Secret, Validity},
    source::SourceRules,
};
use hookward_server::{Clock as _, SystemClock};
use tempfile::TempDir;

use crate::application::Application;

pub(crate) const ORDERS_SECRET: &str = "whsec_q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=";
pub(crate) const OTHER_SECRET: &str = "whsec_Uk4p1mXc7QyG9sVb2LzJw8eTf3HdNa6KoRiBt5PvWqE=";
pub(crate) const PLAIN_SECRET: &str = "5f1b9c27e0d84a6f93b2c7d1806e4fa25f1b9c27e0d84a6f";
pub(crate) const DELIVERY_SECRET: &str = "whsec_7GfXk0n2QvQm1cZbW9yJtR4uLhEaPsDo3iVxBwKg5fM=";
pub(crate) const ADMIN_TOKEN: &str = "b7e1c4f09a2d4c3e8f5061728394a5b6";

/// A secret without the prefix that marks it: what must not be shown.
pub(crate) fn bare(secret: &str) -> &str {
    secret.trim_start_matches("whsec_")
}

/// How long anything may take before a test says that it does not happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How a command ended.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Asserts that it went well; what it printed.
    #[track_caller]
    pub(crate) fn well(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// Asserts that it failed with this code and named each of these; what it said.
    #[track_caller]
    pub(crate) fn badly(self, code: i32, said: &[&str]) -> String {
        assert_eq!(self.code, code, "{self:?}");
        for said in said {
            assert!(self.err.contains(said), "{said:?} is not in: {}", self.err);
        }
        self.err
    }

    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.well()).unwrap()
    }
}

/// A folder with a configuration, and an application that it delivers to.
#[derive(Debug)]
pub(crate) struct Place {
    folder: TempDir,
    pub app: Application,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::with(Application::start())
    }

    pub(crate) fn with(app: Application) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap(), app };
        place.secret("orders.secret", ORDERS_SECRET);
        place.configure(|text| text);
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// A file that only its owner can read.
    pub(crate) fn secret(&self, name: &str, text: &str) {
        self.write(name, text);
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(self.path().join(name), mode).unwrap();
    }

    /// Writes `hookward.toml`: the usual one, changed.
    pub(crate) fn configure(&self, change: impl FnOnce(String) -> String) {
        let text = BASE.replace("{app}", &self.app.address().to_string());
        self.write("hookward.toml", &change(text));
    }

    /// The program with these arguments, in this folder, with the secrets in its environment and nothing else.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hookward"));
        command.args(arguments).current_dir(self.path()).env_clear().stdin(Stdio::null());
        command.env("TMPDIR", self.path());
        command.env("PLAIN_SECRET", PLAIN_SECRET).env("DELIVERY_SECRET", DELIVERY_SECRET);
        command.env("ADMIN_TOKEN", ADMIN_TOKEN);
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments))
    }

    /// Starts the gateway and waits until it takes webhooks.
    pub(crate) fn serves(&self) -> Gateway {
        Gateway::start(self.command(&["serve"]))
    }

    /// Writes `running.toml`: the same configuration with the ports that the gateway has.
    pub(crate) fn knows(&self, gateway: &Gateway) {
        let text = fs::read_to_string(self.path().join("hookward.toml")).unwrap();
        let text = text.replacen("127.0.0.1:0", &gateway.address.to_string(), 1).replacen(
            "127.0.0.1:0",
            &gateway.admin.to_string(),
            1,
        );
        self.write("running.toml", &text);
    }
}

const BASE: &str = r#"
[server]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
token = "env:ADMIN_TOKEN"
[store]
path = "events"
[sources.orders]
provider = "standard-webhooks"
secret = "file:orders.secret"
destination = "app"
[sources.plain]
provider = "hmac"
secret = "env:PLAIN_SECRET"
destination = "app"
[destinations.app]
url = "http://{app}/webhooks"
secret = "env:DELIVERY_SECRET"
retry_first = "100ms"
retry_longest = "1s"
[log]
format = "json"
level = "debug"
"#;

/// Runs a command to its end.
pub(crate) fn ran(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// A running gateway. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Gateway {
    child: Child,
    log: Arc<Log>,
    reader: Option<JoinHandle<()>>,
    pub address: SocketAddr,
    pub admin: SocketAddr,
}

#[derive(Debug, Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

impl Gateway {
    pub(crate) fn start(command: Command) -> Self {
        Self::start_heard(command, |_| {})
    }

    /// Starts it; each line of its log is told.
    pub(crate) fn start_heard(
        mut command: Command,
        mut hears: impl FnMut(&str) + Send + 'static,
    ) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Log::default());
        let written = Arc::clone(&log);
        let reader = Some(thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                hears(&line);
                written.lines.lock().unwrap().push(line);
                written.more.notify_all();
            }
        }));
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut gateway = Self { child, log, reader, address: nowhere, admin: nowhere };
        let address = |line: String| {
            let (_, address) = line.split_once("://").unwrap();
            address.split('"').next().unwrap().parse().unwrap()
        };
        gateway.address = address(gateway.logs("taking webhooks at"));
        gateway.admin = address(gateway.logs("admin API and metrics at"));
        gateway
    }

    /// Waits for a line with this in it.
    pub(crate) fn logs(&self, wanted: &str) -> String {
        let find = |lines: &Vec<String>| lines.iter().find(|line| line.contains(wanted)).cloned();
        let lines = self.log.lines.lock().unwrap();
        let waiting = |lines: &mut Vec<String>| find(lines).is_none();
        let (lines, _) = self.log.more.wait_timeout_while(lines, PATIENCE, waiting).unwrap();
        find(&lines).unwrap_or_else(|| panic!("never logged: {wanted:?}; but {lines:#?}"))
    }

    /// Asks until it answers with this status: secrets are looked up beside what is asked.
    #[track_caller]
    pub(crate) fn comes_to(&self, status: u16, ask: impl Fn() -> Option<u16>) {
        let wait = Duration::from_millis(20);
        for _ in 0..PATIENCE.as_millis() / wait.as_millis() {
            if ask() == Some(status) {
                return;
            }
            thread::sleep(wait);
        }
        panic!("never {status}: {:#?}", self.log());
    }

    /// Everything logged so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lines.lock().unwrap().clone()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end; how it ended, and all that it logged.
    pub(crate) fn ends(mut self) -> (ExitStatus, Vec<String>) {
        let status = self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        (status, self.log())
    }

    /// Asks it to stop and asserts that it does so in order.
    pub(crate) fn stops(self) -> Vec<String> {
        self.signal(rustix::process::Signal::TERM);
        let (status, log) = self.ends();
        assert_eq!(status.code(), Some(0), "{log:#?}");
        log
    }

    /// `kill -9`.
    pub(crate) fn dies(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        let (status, log) = self.ends();
        assert_eq!(status.code(), None);
        log
    }

    /// Posts a webhook of the source `orders`, signed with its secret; the status of the answer.
    pub(crate) fn takes_order(&self, number: usize) -> u16 {
        post(self.address, &order(ORDERS_SECRET, number)).expect("an answer")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

/// What every body has in it, and nothing else.
pub(crate) const CANARY: &str = "4929-1234-canary";

/// A signed request of the source `orders`: its headers and its body.
pub(crate) fn signed_order(secret: &str, number: usize) -> (Vec<(String, String)>, String) {
    let body = format!(r#"{{"type":"order.paid","order":{number},"card":"{CANARY}"}}"#);
    let provider = Provider::named("standard-webhooks").unwrap();
    let rules = SourceRules::of_provider(SourceName::parse("orders").unwrap(), "/", provider);
    let secret = Secret::new(secret.to_owned());
    let sender = Source::new(rules, vec![(secret, Validity::default())]).unwrap();
    let now = SystemClock::start().now();
    let id = format!("msg_{number}");
    let signed =
        sender.scheme().sign(Sample { id: &id, at: now, body: body.as_bytes() }).unwrap().headers;
    let mut headers: Vec<_> =
        signed.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
    headers.push(("content-type".to_owned(), "application/json".to_owned()));
    (headers, body)
}

/// A signed request of the source `orders`, ready to be sent.
pub(crate) fn order(secret: &str, number: usize) -> String {
    let (headers, body) = signed_order(secret, number);
    let lines: Vec<_> =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let lines = lines.concat();
    format!(
        "POST /hooks/orders HTTP/1.1\r\nhost: gateway.test\r\nconnection: close\r\n\
         content-length: {}\r\n{lines}\r\n{body}",
        body.len()
    )
}

/// Sends a request as it is; the status of the answer, if there is one.
pub(crate) fn post(address: SocketAddr, request: &str) -> Option<u16> {
    status_of(&ask(address, request)?)
}

/// Sends a request as it is; the answer, if there is one.
pub(crate) fn ask(address: SocketAddr, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    answer(stream)
}

/// The status of the answer that comes.
pub(crate) fn status(stream: TcpStream) -> Option<u16> {
    status_of(&answer(stream)?)
}

pub(crate) fn status_of(answer: &str) -> Option<u16> {
    answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

fn answer(mut stream: TcpStream) -> Option<String> {
    let mut answer = String::new();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // A reset after the answer takes nothing from it.
    let read = stream.read_to_string(&mut answer);
    (read.is_ok() || !answer.is_empty()).then_some(answer)
}
