//! Amazon's own DynamoDB Local, started once for all tests of a process and ended with them. The program's tests use it too.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

/// The running engine. It ends when its standard input does, so also when this process is killed.
struct Engine {
    address: SocketAddr,
    _process: Child,
}

static ENGINE: OnceLock<Engine> = OnceLock::new();

/// Where DynamoDB Local listens.
pub(crate) fn address() -> SocketAddr {
    ENGINE.get_or_init(start).address
}

fn folder() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join(".cache/dynamodb-local/node_modules/amplify-dynamodb-simulator/emulator")
}

fn start() -> Engine {
    let folder = folder();
    assert!(
        folder.join("DynamoDBLocal.jar").exists(),
        "DynamoDB Local is not installed: run scripts/install-tools"
    );
    // The port is free when it is asked for; if somebody else is faster, the next one is tried.
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut process = Command::new("sh")
            .arg("-c")
            .arg(
                "java -Xmx512m -Djava.library.path=DynamoDBLocal_lib -jar DynamoDBLocal.jar \
                 -inMemory -sharedDb -disableTelemetry -port \"$0\" >/dev/null 2>&1 </dev/null & \
                 engine=$!; read -r _; kill \"$engine\"",
            )
            .arg(port.to_string())
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if comes_up(address) {
            return Engine { address, _process: process };
        }
        process.kill().unwrap();
        process.wait().unwrap();
    }
    panic!("DynamoDB Local does not start");
}

/// Java takes some seconds, and on a busy machine a minute.
fn comes_up(address: SocketAddr) -> bool {
    for _ in 0..1_200 {
        if TcpStream::connect(address).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}
