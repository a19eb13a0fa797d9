//! A server that speaks S3, started once for all tests of a process and ended with them. The program's tests use it too.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

/// The running server. It ends when its standard input does, so also when this process is killed.
struct Server {
    address: SocketAddr,
    _process: Child,
}

static SERVER: OnceLock<Server> = OnceLock::new();

/// Where it listens.
pub(crate) fn address() -> SocketAddr {
    SERVER.get_or_init(start).address
}

fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/venv/bin/python")
}

fn start() -> Server {
    let python = python();
    assert!(python.exists(), "the Python packages are not installed: run scripts/install-tools");
    // The port is free when it is asked for; if somebody else is faster, the next one is tried.
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut process = Command::new("sh")
            .arg("-c")
            .arg(
                "\"$0\" -m moto.server -H 127.0.0.1 -p \"$1\" >/dev/null 2>&1 </dev/null & \
                 server=$!; read -r _; kill \"$server\"",
            )
            .arg(&python)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if comes_up(address) {
            return Server { address, _process: process };
        }
        process.kill().unwrap();
        process.wait().unwrap();
    }
    panic!("the S3 server does not start");
}

/// Python takes some seconds, and on a busy machine a minute.
fn comes_up(address: SocketAddr) -> bool {
    for _ in 0..1_200 {
        if TcpStream::connect(address).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}
