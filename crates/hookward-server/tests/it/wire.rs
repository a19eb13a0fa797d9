//! HTTP/1.1 by hand, for where its bytes matter: a request to be bent, a connection, an answer.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use crate::world::soon;

/// A request that is not sent yet.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub method: String,
    pub target: String,
    pub version: &'static str,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    /// The body goes in chunks of this size, without its length being declared.
    pub chunks: Option<usize>,
}

impl Letter {
    /// A POST with nothing but a host.
    pub(crate) fn to(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: "POST".to_owned(),
            target: target.to_owned(),
            version: "HTTP/1.1",
            headers: vec![("host".to_owned(), b"gateway.test".to_vec())],
            body: body.into(),
            chunks: None,
        }
    }

    /// One more header line.
    #[must_use]
    pub(crate) fn and(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Without any line of this name.
    #[must_use]
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(it, _)| it != name);
        self
    }

    /// With this line in place of those of the same name.
    #[must_use]
    pub(crate) fn with(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.without(name).and(name, value)
    }

    /// The same signature over another body.
    #[must_use]
    pub(crate) fn saying(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    #[must_use]
    pub(crate) fn by(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    #[must_use]
    pub(crate) fn at(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    #[must_use]
    pub(crate) fn in_chunks(mut self, bytes: usize) -> Self {
        self.chunks = Some(bytes);
        self
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(it, _)| it == name);
        found.map_or("", |(_, value)| std::str::from_utf8(value).unwrap())
    }

    /// What precedes the body. Says how long the body is, unless the letter says something about it itself.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} {}\r\n", self.method, self.target, self.version).into_bytes();
        for (name, value) in &self.headers {
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        }
        let says = |wanted: &str| self.headers.iter().any(|(name, _)| name == wanted);
        if self.chunks.is_some() {
            head.extend_from_slice(b"transfer-encoding: chunked\r\n");
        } else if !says("content-length") && !says("transfer-encoding") {
            head.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    /// All of it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        match self.chunks {
            None => bytes.extend_from_slice(&self.body),
            Some(size) => {
                for chunk in self.body.chunks(size) {
                    bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    bytes.extend_from_slice(chunk);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
        }
        bytes
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| &**value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The stable code of an error.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The seconds of `Retry-After`.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.header("retry-after").map(|secs| secs.parse().unwrap())
    }

    /// All that could tell one answer from another, the date apart.
    pub(crate) fn but_date(mut self) -> Self {
        self.headers.retain(|(name, _)| name != "date");
        self
    }
}

/// A connection to the gateway.
#[derive(Debug)]
pub(crate) struct Wire<S = TcpStream> {
    stream: S,
    unread: Vec<u8>,
}

impl Wire {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        Self::try_to(address).await.unwrap()
    }

    pub(crate) async fn try_to(address: SocketAddr) -> io::Result<Self> {
        Ok(Self::over(TcpStream::connect(address).await?))
    }

    /// From an address of this machine's own choice: all of 127.0.0.0/8 is here.
    pub(crate) async fn from(local: &str, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{local}:0").parse().unwrap()).unwrap();
        Self::over(socket.connect(address).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, unread: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Writes, unless the gateway has said already that it does not want all of it.
    pub(crate) async fn write_what_is_taken(&mut self, bytes: impl AsRef<[u8]>) {
        if let Err(error) = self.stream.write_all(bytes.as_ref()).await {
            let gone = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
            assert!(gone.contains(&error.kind()), "{error}");
        }
    }

    /// Says that nothing more comes.
    pub(crate) async fn ends(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    pub(crate) async fn sends(&mut self, letter: &Letter) -> Answer {
        self.write(letter.bytes()).await;
        self.answer().await
    }

    /// The next answer.
    pub(crate) async fn answer(&mut self) -> Answer {
        soon("an answer", self.try_answer()).await.expect("an answer, not the end")
    }

    /// The next answer; `None` when the connection ends before one.
    pub(crate) async fn try_answer(&mut self) -> Option<Answer> {
        loop {
            if let Some((answer, taken)) = parse(&self.unread) {
                self.unread.drain(..taken);
                return Some(answer);
            }
            let mut more = [0; 4096];
            match self.stream.read(&mut more).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.unread.extend_from_slice(&more[..count]),
            }
        }
    }

    /// Waits for the gateway to close, and returns what it still had to say.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        let mut more = [0; 4096];
        loop {
            match soon("the end", self.stream.read(&mut more)).await {
                // A reset says as well that there is nothing more.
                Ok(0) | Err(_) => return self.unread,
                Ok(count) => self.unread.extend_from_slice(&more[..count]),
            }
        }
    }
}

/// A whole answer at the start of the bytes, and how long it is.
fn parse(bytes: &[u8]) -> Option<(Answer, usize)> {
    let mut lines = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut lines);
    let httparse::Status::Complete(head) = response.parse(bytes).unwrap() else { return None };
    let status = response.code.unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let headers: Vec<_> = response
        .headers
        .iter()
        .map(|line| (line.name.to_ascii_lowercase(), text(line.value)))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = match (status, length) {
        (100..=199 | 204 | 304, _) | (_, None) => 0,
        (_, Some((_, length))) => length.parse().unwrap(),
    };
    let body = bytes.get(head..head + length)?;
    Some((Answer { status, headers, body: body.to_vec() }, head + length))
}
