//! Something between the program and a server that speaks as AWS does for secrets: it counts, and it can refuse.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::{Arc, Mutex, Once},
    thread,
};

use serde_json::{Value, json};

use crate::{
    bucket,
    program::{Place, ask},
};

/// Secrets of one account. Those of another test have other names.
#[derive(Clone, Debug)]
pub(crate) struct Vault {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The code that everything is answered with.
    refuses: Option<&'static str>,
    /// What was asked, as the name of the operation and of the secret.
    asked: Vec<(String, String)>,
}

impl Vault {
    pub(crate) fn start() -> Self {
        // What the server loads at the first call takes longer than the program waits.
        static LOADED: Once = Once::new();
        LOADED.call_once(|| {
            manager("ListSecrets", &json!({}));
            says("ssm", "AmazonSSM.DescribeParameters", &json!({}));
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || relay(&shared, &stream).unwrap_or_default());
            }
        });
        Self { address, state }
    }

    /// Answers everything with this code from now on.
    pub(crate) fn refuses(&self, code: Option<&'static str>) {
        self.state.lock().unwrap().refuses = code;
    }

    /// How often a secret was asked for.
    pub(crate) fn asked(&self, secret: &str) -> usize {
        self.state.lock().unwrap().asked.iter().filter(|(_, about)| about == secret).count()
    }

    /// The program with credentials that everybody here takes.
    pub(crate) fn program(&self, place: &Place, arguments: &[&str]) -> Command {
        let mut command = place.command(arguments);
        let here = format!("http://{}", self.address);
        command.env("AWS_ENDPOINT_URL_SECRETS_MANAGER", &here).env("AWS_ENDPOINT_URL_SSM", here);
        command.env("AWS_ACCESS_KEY_ID", "hookward").env("AWS_SECRET_ACCESS_KEY", "hookward");
        command.env("AWS_REGION", "eu-central-1");
        command
    }
}

pub(crate) fn creates(name: &str, text: &str) {
    manager("CreateSecret", &json!({ "Name": name, "SecretString": text }));
}

/// Makes this the current version, and the current one the previous one.
pub(crate) fn rotates(name: &str, text: &str) {
    manager("PutSecretValue", &json!({ "SecretId": name, "SecretString": text }));
}

/// Marks it for deletion.
pub(crate) fn deletes(name: &str) {
    manager("DeleteSecret", &json!({ "SecretId": name }));
}

pub(crate) fn restores(name: &str) {
    manager("RestoreSecret", &json!({ "SecretId": name }));
}

pub(crate) fn puts_parameter(name: &str, kind: &str, text: &str) {
    let asked = json!({ "Name": name, "Value": text, "Type": kind, "Overwrite": true });
    says("ssm", "AmazonSSM.PutParameter", &asked);
}
fn manager(operation: &str, asked: &Value) {
    says("secretsmanager", &format!("secretsmanager.{operation}"), asked);
}

/// Asks the server itself; it believes whoever says who they are.
fn says(service: &str, target: &str, asked: &Value) {
    let scope = format!(
        "Credential=hookward/20260101/eu-central-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let body = asked.to_string();
    let answer = ask(
        bucket::address(),
        &format!(
            "POST / HTTP/1.1\r\nhost: {}\r\nauthorization: AWS4-HMAC-SHA256 {scope}\r\nx-amz-target: {target}\r\n\
             content-type: application/x-amz-json-1.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            bucket::address(),
            body.len()
        ),
    );
    let answer = answer.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{target} {asked}: {answer}");
}

fn relay(state: &Mutex<State>, mut stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length, mut target) = (String::new(), 0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            head.push_str(&line);
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "connection" => continue,
            "content-length" => length = value.parse().unwrap(),
            "x-amz-target" => value.clone_into(&mut target),
            _ => {}
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let about = asked["SecretId"].as_str().or_else(|| asked["Name"].as_str()).unwrap_or_default();
    let refuses = {
        let mut state = state.lock().unwrap();
        state.asked.push((target, about.to_owned()));
        state.refuses
    };
    if let Some(code) = refuses {
        let answer = json!({ "__type": code, "message": "the test says no" }).to_string();
        return write!(
            stream,
            "HTTP/1.1 400 X\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
            answer.len()
        );
    }
    let mut server = TcpStream::connect(bucket::address())?;
    server.write_all(format!("{head}connection: close\r\n\r\n").as_bytes())?;
    server.write_all(&body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    stream.write_all(&answer)
}
