//! An application behind the gateway: takes deliveries, or does not, and remembers them.

use std::{
    collections::HashMap,
    fmt,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    thread,
};

use crate::program::PATIENCE;

/// One delivery.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// Where it was posted to.
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: String,
    /// What it was answered.
    pub status: u16,
}

impl Delivery {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value)
    }
}

type Answers = dyn Fn(&Delivery) -> Option<u16> + Send + Sync;

/// Listens until the test's process ends.
#[derive(Clone)]
pub(crate) struct Application {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    /// What it answers to some.
    answers: Box<Answers>,
    /// What it answers to all others.
    status: AtomicU16,
    deliveries: Mutex<Vec<Delivery>>,
    arrived: Condvar,
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Application").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Application {
    pub(crate) fn start() -> Self {
        Self::that_answers(|_| None)
    }

    /// One that answers some deliveries differently.
    pub(crate) fn that_answers(
        answers: impl Fn(&Delivery) -> Option<u16> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            answers: Box::new(answers),
            status: AtomicU16::new(200),
            deliveries: Mutex::default(),
            arrived: Condvar::new(),
        });
        let application = Self { address, shared: Arc::clone(&shared) };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // A gateway that is killed in the middle takes its connection with it.
                thread::spawn(move || take(&shared, &stream).unwrap_or_default());
            }
        });
        application
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it answers from now on.
    pub(crate) fn answers(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    /// Waits until what has arrived is as it should be.
    pub(crate) fn waits_for(
        &self,
        what: &str,
        holds: impl Fn(&[Delivery]) -> bool,
    ) -> Vec<Delivery> {
        let deliveries = self.waits(&holds);
        assert!(holds(&deliveries), "not within {PATIENCE:?}: {what}; there are {deliveries:?}");
        deliveries
    }

    /// Waits until what has arrived is as it should be, or nobody would wait any longer; what has arrived.
    pub(crate) fn waits(&self, holds: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
        let deliveries = self.shared.deliveries.lock().unwrap();
        let waiting = |deliveries: &mut Vec<Delivery>| !holds(deliveries);
        let waited = self.shared.arrived.wait_timeout_while(deliveries, PATIENCE, waiting);
        waited.unwrap().0.clone()
    }

    /// Waits for so many deliveries.
    pub(crate) fn got(&self, count: usize) -> Vec<Delivery> {
        self.waits_for("deliveries", |deliveries| deliveries.len() >= count)
    }
}

fn take(shared: &Shared, stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut headers = HashMap::new();
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|it| it.parse().ok()).unwrap_or_default();
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).unwrap();
    let mut delivery = Delivery { path, headers, body, status: 0 };
    delivery.status =
        (shared.answers)(&delivery).unwrap_or_else(|| shared.status.load(Ordering::SeqCst));
    let status = delivery.status;
    shared.deliveries.lock().unwrap().push(delivery);
    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let mut stream = stream;
    let answered = stream.write_all(answer.as_bytes());
    shared.arrived.notify_all();
    answered
}
