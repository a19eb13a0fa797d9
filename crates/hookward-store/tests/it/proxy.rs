//! A proxy between a node and DynamoDB Local that does what a network and a busy DynamoDB do, and no emulator.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::AbortHandle,
};

/// A call on its way.
pub(crate) struct Call {
    /// Such as `PutItem`.
    pub(crate) operation: String,
    /// What is sent, as JSON.
    pub(crate) body: String,
}

impl Call {
    /// Whether this writes an item of a kind, by the beginning of its key.
    pub(crate) fn puts(&self, prefix: &str) -> bool {
        self.operation == "PutItem" && self.body.contains(&format!("\"pk\":{{\"S\":\"{prefix}"))
    }
}

/// What happens to a call.
#[derive(Clone)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// It arrives and takes effect; its answer does not arrive.
    LosesReply,
    /// It does not arrive, and the connection ends.
    Lost,
    /// Nobody ever hears of it, and the connection stays.
    Silence,
    /// It is answered without taking effect.
    Says(u16, String),
    /// It arrives when the gate opens.
    Waits(Arc<Gate>),
    /// It arrives, and its answer takes so long.
    Late(Duration),
}

/// Lets nobody through until it is opened, and tells when somebody waits.
#[derive(Debug)]
pub(crate) struct Gate {
    waiting: Semaphore,
    open: Semaphore,
}

impl Gate {
    pub(crate) fn closed() -> Arc<Self> {
        Arc::new(Self { waiting: Semaphore::new(0), open: Semaphore::new(0) })
    }

    /// Returns when one more waits.
    pub(crate) async fn somebody_waits(&self) {
        self.waiting.acquire().await.unwrap().forget();
    }

    pub(crate) fn open(&self) {
        self.open.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    async fn pass(&self) {
        self.waiting.add_permits(1);
        drop(self.open.acquire().await.unwrap());
    }
}

type Rule = Box<dyn FnMut(&Call) -> Fault + Send>;

/// The proxy. It ends when it is dropped, and all connections with it.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    rule: Arc<Mutex<Rule>>,
    task: AbortHandle,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Proxy {
    /// A proxy without a fault.
    pub(crate) async fn before(engine: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let rule: Arc<Mutex<Rule>> = Arc::new(Mutex::new(Box::new(|_| Fault::None)));
        let rules = Arc::clone(&rule);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let rules = Arc::clone(&rules);
                connections.spawn(async move {
                    // An end of either side is the end of the connection.
                    drop(serve(client, engine, &rules).await);
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, rule, task: task.abort_handle() }
    }

    /// What happens from now on.
    pub(crate) fn does(&self, rule: impl FnMut(&Call) -> Fault + Send + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
    }

    /// Nothing more happens.
    pub(crate) fn recovers(&self) {
        self.does(|_| Fault::None);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut client: TcpStream,
    engine: SocketAddr,
    rules: &Mutex<Rule>,
) -> std::io::Result<()> {
    let mut upstream = TcpStream::connect(engine).await?;
    loop {
        let Some(request) = Message::read(&mut client).await? else { return Ok(()) };
        let call = Call {
            operation: request.header("x-amz-target").rsplit('.').next().unwrap().to_owned(),
            body: String::from_utf8_lossy(&request.body).into_owned(),
        };
        let fault = (rules.lock().unwrap())(&call);
        match &fault {
            Fault::Lost => return Ok(()),
            Fault::Silence => std::future::pending().await,
            Fault::Says(status, body) => {
                let head = format!(
                    "HTTP/1.1 {status} Fault\r\ncontent-type: application/x-amz-json-1.0\r\n\
                     content-length: {}\r\n\r\n",
                    body.len()
                );
                client.write_all(head.as_bytes()).await?;
                client.write_all(body.as_bytes()).await?;
                continue;
            }
            Fault::Waits(gate) => gate.pass().await,
            Fault::None | Fault::LosesReply | Fault::Late(_) => {}
        }
        upstream.write_all(&request.bytes()).await?;
        let Some(answer) = Message::read(&mut upstream).await? else { return Ok(()) };
        match fault {
            Fault::LosesReply => return Ok(()),
            Fault::Late(by) => tokio::time::sleep(by).await,
            _ => {}
        }
        client.write_all(&answer.bytes()).await?;
    }
}

/// What is read up to a mark, itself included; `None` at the end.
async fn read_through(stream: &mut TcpStream, mark: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
    let mut read = Vec::new();
    while !read.ends_with(mark) {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return Ok(None);
        }
        read.push(byte[0]);
    }
    Ok(Some(read))
}

/// An HTTP message.
struct Message {
    head: String,
    body: Vec<u8>,
}

impl Message {
    async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Self>> {
        let Some(head) = read_through(stream, b"\r\n\r\n").await? else { return Ok(None) };
        let mut message = Self { head: String::from_utf8(head).unwrap(), body: Vec::new() };
        if message.header("transfer-encoding").eq_ignore_ascii_case("chunked") {
            // Passed on as it is: the last chunk is the empty one.
            while !message.body.ends_with(b"\r\n0\r\n\r\n") {
                let Some(more) = read_through(stream, b"\r\n").await? else { return Ok(None) };
                message.body.extend(more);
            }
            return Ok(Some(message));
        }
        message.body = vec![0; message.header("content-length").parse().unwrap()];
        stream.read_exact(&mut message.body).await?;
        Ok(Some(message))
    }

    fn header(&self, name: &str) -> &str {
        let value = self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        });
        value.unwrap_or_default()
    }

    fn bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), &self.body].concat()
    }
}

/// An answer of DynamoDB that says no.
pub(crate) fn says(status: u16, code: &str, rest: &str) -> Fault {
    let body = format!(
        "{{\"__type\":\"com.amazonaws.dynamodb.v20120810#{code}\",\"message\":\"a fault\"{rest}}}"
    );
    Fault::Says(status, body)
}
