//! How HTTP/1 heads say how long their bodies are, where hyper does not tell all of it.
//!
//! Of a head with both `Content-Length` and `Transfer-Encoding` hyper removes the former, and of two equal lengths the second,
//! before anyone sees them. A proxy in front may have believed the other one. So the bytes are read along here, far enough to
//! find each head, and [`Heads::restore`] gives back what hyper took away: the request is then refused like any other that two
//! readers could understand differently.
//!
//! And hyper has one timeout for a head that is slow and for a connection that rests between two requests, and none for a
//! client that does not read its answers. Whoever reads along knows them apart: all three are timed here.

use std::{
    io::{self, BufRead as _, IoSlice},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, header};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::patience::Patience;

/// A stream whose heads are read along.
#[derive(Debug)]
pub(crate) struct Framed<S> {
    stream: S,
    reader: Reader,
    timeouts: Timeouts,
    waits: Waits,
    reading: Patience,
    writing: Patience,
}

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// For a head: the first one from the beginning of the connection, each further one from its first byte.
    pub head: Duration,
    /// Between an answer and the next head.
    pub idle: Duration,
    /// To take some bytes of an answer.
    pub answer: Duration,
}

/// What a connection waits for its client to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// A head: the first one, or the rest of one that has begun.
    Head,
    /// The next request.
    Idle,
    /// Nothing, or a body, which is timed where it is read.
    No,
}

/// The requests of a connection in the order of their heads: what these said of the lengths of their bodies, and how far
/// they were answered.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    found: AtomicU64,
    taken: AtomicU64,
    answered: AtomicU64,
    /// The few that say something else than one length or one encoding, by their number.
    odd: Mutex<Vec<(u64, Said)>>,
}

/// What one head said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Said {
    lengths: usize,
    encodings: usize,
}

impl<S> Framed<S> {
    /// Reads along on a new connection.
    pub(crate) fn new(stream: S, timeouts: Timeouts) -> (Self, Arc<Heads>) {
        let heads = Arc::new(Heads::default());
        let framed = Self {
            stream,
            reader: Reader::new(Arc::clone(&heads)),
            timeouts,
            waits: Waits::No,
            reading: Patience::default(),
            writing: Patience::default(),
        };
        (framed, heads)
    }

    /// Notes what came, and that it did.
    fn came(&mut self, bytes: &[u8]) {
        let heads = self.reader.found;
        self.reader.read(bytes);
        // The rest of a head that comes bit by bit is one wait.
        if self.waits != Waits::Head || self.reader.found != heads {
            self.waits = Waits::No;
        }
    }

    /// Whether the wait for what the client has to send next takes too long.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let waits = self.reader.waits();
        if waits != self.waits {
            self.waits = waits;
            self.reading.renew();
        }
        let at_most = match waits {
            Waits::Head => self.timeouts.head,
            Waits::Idle => self.timeouts.idle,
            Waits::No => return Poll::Pending,
        };
        self.reading.poll(at_most, context).map(|()| io::ErrorKind::TimedOut.into())
    }

    /// Bounds how long the client takes none of an answer.
    fn written<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        match polled {
            Poll::Ready(written) => {
                self.writing.renew();
                Poll::Ready(written)
            }
            Poll::Pending => {
                ready!(self.writing.poll(self.timeouts.answer, context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl Heads {
    /// Puts into the next head's headers what was there more than once, and says that the request is being answered until
    /// what it returns is dropped. Call it once for each head, in their order.
    pub(crate) fn restore(&self, headers: &mut HeaderMap) -> Answering<'_> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        let lengths = if number >= self.found.load(Ordering::Relaxed) {
            // A head that was not found here and was there: the two readings differ, which is what must not be.
            2
        } else {
            self.odd(number).map_or(0, |said| said.lengths)
        };
        let there = headers.get_all(header::CONTENT_LENGTH).iter().count();
        for _ in there..lengths {
            headers.append(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Answering(self)
    }

    /// Only one task reads a connection and answers it, so that plain loads and stores would do.
    fn found(&self, said: Said) {
        let number = self.found.load(Ordering::Relaxed);
        if said.lengths > 1 || said.encodings > 0 {
            self.odd.lock().unwrap_or_else(PoisonError::into_inner).push((number, said));
        }
        self.found.store(number + 1, Ordering::Relaxed);
    }

    fn odd(&self, number: u64) -> Option<Said> {
        let mut odd = self.odd.lock().unwrap_or_else(PoisonError::into_inner);
        let index = odd.iter().position(|(odd, _)| *odd == number)?;
        Some(odd.swap_remove(index).1)
    }

    fn all_answered(&self) -> bool {
        self.found.load(Ordering::Relaxed) == self.answered.load(Ordering::Relaxed)
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Answering<'a>(&'a Heads);

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// Finds the heads among the bytes of a connection.
#[derive(Debug)]
struct Reader {
    at: At,
    /// The line that is not complete yet: no longer than the head that hyper reads before it refuses it.
    line: Vec<u8>,
    length: u64,
    head: Said,
    found: u64,
    heads: Arc<Heads>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// Before a request line; empty lines may precede it.
    #[default]
    Start,
    /// In the lines of a head.
    Head,
    /// So many bytes before the next request line.
    Body(u64),
    /// Before the size of a chunk.
    ChunkSize,
    /// So many bytes before the next size, the line break behind the chunk among them.
    Chunk(u64),
    /// In the lines behind the last chunk.
    Trailers,
    /// Nowhere: what comes is not understood. Hyper does not understand it either, and closes.
    Lost,
}

impl Reader {
    fn new(heads: Arc<Heads>) -> Self {
        let (at, head) = (At::default(), Said::default());
        Self { at, line: Vec::new(), length: 0, head, found: 0, heads }
    }

    fn waits(&self) -> Waits {
        match self.at {
            At::Head => Waits::Head,
            At::Start if self.found == 0 || !self.line.is_empty() => Waits::Head,
            At::Start if self.heads.all_answered() => Waits::Idle,
            At::Start | At::Body(_) | At::ChunkSize | At::Chunk(_) | At::Trailers | At::Lost => {
                Waits::No
            }
        }
    }

    fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.at {
                At::Body(left) => {
                    let left = skip(&mut bytes, left);
                    self.at = if left == 0 { At::Start } else { At::Body(left) };
                }
                At::Chunk(left) => {
                    let left = skip(&mut bytes, left);
                    self.at = if left == 0 { At::ChunkSize } else { At::Chunk(left) };
                }
                At::Lost => return,
                At::Start | At::Head | At::ChunkSize | At::Trailers => {
                    // Reading from memory does not fail.
                    bytes.read_until(b'\n', &mut self.line).unwrap_or_default();
                    if self.line.ends_with(b"\n") {
                        let mut line = std::mem::take(&mut self.line);
                        self.at = self.after_line(line.trim_ascii_end());
                        line.clear();
                        self.line = line;
                    }
                }
            }
        }
    }

    fn after_line(&mut self, line: &[u8]) -> At {
        match self.at {
            At::Start if line.is_empty() => At::Start,
            At::Start => {
                (self.head, self.length) = (Said::default(), 0);
                At::Head
            }
            At::Head if line.is_empty() => {
                self.heads.found(self.head);
                self.found += 1;
                match (self.head.encodings, self.length) {
                    (0, 0) => At::Start,
                    (0, length) => At::Body(length),
                    (_, _) => At::ChunkSize,
                }
            }
            At::Head => self.after_header(line),
            At::ChunkSize => match chunk_size(line) {
                Some(0) => At::Trailers,
                Some(size) => At::Chunk(size.saturating_add(2)),
                None => At::Lost,
            },
            At::Trailers if line.is_empty() => At::Start,
            At::Trailers => At::Trailers,
            At::Body(_) | At::Chunk(_) | At::Lost => self.at,
        }
    }

    fn after_header(&mut self, line: &[u8]) -> At {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let Some((name, value)) = line.split_at_checked(colon) else { return At::Lost };
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.head.encodings += 1;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            self.head.lengths += 1;
            let digits = value.strip_prefix(b":").unwrap_or_default().trim_ascii();
            let Some(length) = number(digits, 10) else { return At::Lost };
            self.length = length;
        }
        At::Head
    }
}

/// Takes up to `left` bytes away; how many are left then.
fn skip(bytes: &mut &[u8], left: u64) -> u64 {
    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    *bytes = bytes.get(taken..).unwrap_or_default();
    left - taken as u64
}

/// The size before a chunk; what follows a `;` is nothing here.
fn chunk_size(line: &[u8]) -> Option<u64> {
    number(line.split(|byte| *byte == b';').next()?.trim_ascii_end(), 16)
}

fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    text.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(())?;
    u64::from_str_radix(text, radix).ok()
}

impl<S: AsyncRead + Unpin> AsyncRead for Framed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(context, buffer) {
            this.came(buffer.filled().get(before..).unwrap_or_default());
            return Poll::Ready(read);
        }
        this.poll_patience(context).map(Err)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.written(polled, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.written(polled, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_flush(context);
        this.written(polled, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_shutdown(context);
        this.written(polled, context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        time::{Instant, sleep, timeout},
    };

    use super::*;

    /// The heads found, as (lengths, encodings): all at once, and byte by byte.
    fn check(bytes: &str, expected: &[(usize, usize)]) {
        let bytes = bytes.replace('\n', "\r\n");
        for size in [1, 7, bytes.len()] {
            let heads = Arc::new(Heads::default());
            let mut reader = Reader::new(Arc::clone(&heads));
            let mut found = Vec::new();
            for piece in bytes.as_bytes().chunks(size) {
                reader.read(piece);
            }
            for number in 0..heads.found.load(Ordering::Relaxed) {
                // What is not odd says one length or none, which hyper tells.
                found.push(heads.odd(number).map(|said| (said.lengths, said.encodings)));
            }
            let odd = |it: &(usize, usize)| (it.0 > 1 || it.1 > 0).then_some(*it);
            let expected: Vec<_> = expected.iter().map(odd).collect();
            assert_eq!(found, expected, "{bytes:?} in pieces of {size}");
        }
    }

    #[test]
    fn heads_are_found_behind_bodies_of_any_kind() {
        check("POST / HTTP/1.1\nhost: a\n\n", &[(0, 0)]);
        check("POST / HTTP/1.1\nhost: a", &[]);
        check(
            "\n\nGET / HTTP/1.1\n\nPOST / HTTP/1.1\nContent-Length: 4\n\nab\nPOST / HTTP/1.1\n\n",
            &[(0, 0), (1, 0), (0, 0)],
        );
        check(
            "POST / HTTP/1.1\ntransfer-encoding: chunked\n\n4;x=y\nab\n\n2\ncd\n0\nx-trailer: 1\n\nGET / HTTP/1.1\n\n",
            &[(0, 1), (0, 0)],
        );
    }

    #[test]
    fn what_is_said_twice_is_counted() {
        check(
            "POST / HTTP/1.1\nContent-Length: 2\ncontent-length: 2\n\nabGET / HTTP/1.1\n\n",
            &[(2, 0), (0, 0)],
        );
        check("POST / HTTP/1.1\nCONTENT-LENGTH: 2\nTransfer-Encoding: chunked\n\n0\n\n", &[(1, 1)]);
        check("POST / HTTP/1.1\ncontent-length: +2\n\nGET / HTTP/1.1\n\n", &[]);
        check("POST / HTTP/1.1\ntransfer-encoding: chunked\n\nzz\nGET / HTTP/1.1\n\n", &[(0, 1)]);
    }

    #[test]
    fn only_what_is_ambiguous_is_given_back() {
        let restored = |said: Option<(usize, usize)>, there: usize| {
            let heads = Heads::default();
            if let Some((lengths, encodings)) = said {
                heads.found(Said { lengths, encodings });
            }
            let mut headers = HeaderMap::new();
            for _ in 0..there {
                headers.append(header::CONTENT_LENGTH, HeaderValue::from_static("2"));
            }
            drop(heads.restore(&mut headers));
            headers.get_all(header::CONTENT_LENGTH).iter().count()
        };
        assert_eq!(restored(Some((0, 0)), 0), 0);
        assert_eq!(restored(Some((1, 0)), 1), 1);
        assert_eq!(restored(Some((0, 1)), 0), 0);
        assert_eq!(restored(Some((1, 1)), 0), 1);
        assert_eq!(restored(Some((2, 0)), 1), 2);
        assert_eq!(restored(None, 0), 2);
    }

    const TIMEOUTS: Timeouts = Timeouts {
        head: Duration::from_secs(10),
        idle: Duration::from_secs(50),
        answer: Duration::from_secs(20),
    };

    /// After how many seconds the next read ends, and how: with so many bytes, or without patience.
    async fn next_read(framed: &mut Framed<DuplexStream>) -> (u64, Option<usize>) {
        let started = Instant::now();
        let read = framed.read(&mut [0; 256]).await;
        let outcome = match read {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => None,
            Err(error) => panic!("{error}"),
        };
        (started.elapsed().as_secs(), outcome)
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_has_begun_and_a_connection_that_rests_are_timed_apart() {
        const WHOLE: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nab";
        let (mut client, server) = duplex(1024);
        let (mut framed, heads) = Framed::new(server, TIMEOUTS);
        client.write_all(WHOLE).await.unwrap();
        assert_eq!(next_read(&mut framed).await, (0, Some(WHOLE.len())));
        // While it is answered nobody waits for the client.
        let answering = heads.restore(&mut HeaderMap::new());
        assert!(timeout(Duration::from_secs(500), next_read(&mut framed)).await.is_err());
        drop(answering);
        assert_eq!(next_read(&mut framed).await, (50, None));

        // The next one comes in two pieces, too slowly although each comes soon.
        let (mut client, server) = duplex(1024);
        let (mut framed, heads) = Framed::new(server, TIMEOUTS);
        client.write_all(WHOLE).await.unwrap();
        assert_eq!(next_read(&mut framed).await, (0, Some(WHOLE.len())));
        drop(heads.restore(&mut HeaderMap::new()));
        let slow = async {
            for bytes in [&b"PO"[..], b"ST ", b"/ "] {
                sleep(Duration::from_secs(6)).await;
                client.write_all(bytes).await.unwrap();
            }
            pending::<()>().await;
        };
        let reads = async {
            let mut reads = Vec::new();
            for _ in 0..3 {
                reads.push(next_read(&mut framed).await);
            }
            reads
        };
        tokio::select! {
            () = slow => unreachable!(),
            reads = reads => assert_eq!(reads, [(6, Some(2)), (6, Some(3)), (4, None)]),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_head_has_to_come() {
        let (_client, server) = duplex(64);
        let (mut framed, _) = Framed::new(server, TIMEOUTS);
        assert_eq!(next_read(&mut framed).await, (10, None));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_read_the_answer_is_left() {
        let (mut client, server) = duplex(64);
        let (mut framed, _) = Framed::new(server, TIMEOUTS);
        let started = Instant::now();
        let writes = framed.write_all(&[7; 200]);
        let reads = async {
            sleep(Duration::from_secs(15)).await;
            client.read_exact(&mut [0; 64]).await.unwrap();
            pending::<()>().await;
        };
        tokio::select! {
            () = reads => unreachable!(),
            written = writes => assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut),
        }
        assert_eq!(started.elapsed().as_secs(), 35, "reading some of it gives more time");
    }
}
