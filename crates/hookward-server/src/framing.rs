//! How HTTP/1 heads say how long their bodies are, where hyper does not tell all of it.
//!
//! Of a head with both `Content-Length` and `Transfer-Encoding` hyper removes the former, and of two equal lengths the second,
//! before anyone sees them. A proxy in front may have believed the other one. So the bytes are read along here, far enough to
//! find each head, and [`Lengths::restore`] gives back what hyper took away: the request is then refused like any other that two
//! readers could understand differently.
//!
//! And hyper has one timeout for a head that is slow and for a connection that rests between two requests. Whoever reads along
//! knows them apart: the former is timed here.

use std::{
    collections::VecDeque,
    io::{self, BufRead as _, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, header};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// A stream whose heads are read along.
#[derive(Debug)]
pub(crate) struct Framed<S> {
    stream: S,
    reader: Reader,
    head_timeout: Duration,
    /// When the head that is waited for has to be there.
    deadline: Option<Pin<Box<Sleep>>>,
}

/// What the heads of a connection said of the lengths of their bodies, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lengths(Arc<Mutex<VecDeque<Said>>>);

/// What one head said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Said {
    lengths: usize,
    encodings: usize,
}

impl<S> Framed<S> {
    /// Reads along on a new connection. The first head has to be there within the timeout, and each further one from its first
    /// byte on.
    pub(crate) fn new(stream: S, head_timeout: Duration) -> (Self, Lengths) {
        let lengths = Lengths::default();
        let reader = Reader { said: lengths.clone(), ..Reader::default() };
        (Self { stream, reader, head_timeout, deadline: None }, lengths)
    }
}

impl Lengths {
    /// Puts into the next head's headers what was there more than once. Call it once for each head, in their order.
    pub(crate) fn restore(&self, headers: &mut HeaderMap) {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        // A head that was not found here and was there: the two readings differ, which is what must not be.
        let lengths =
            said.map_or(
                2,
                |said| {
                    if said.encodings > 0 || said.lengths > 1 { said.lengths } else { 0 }
                },
            );
        let there = headers.get_all(header::CONTENT_LENGTH).iter().count();
        for _ in there..lengths {
            headers.append(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
    }
}

/// Finds the heads among the bytes of a connection.
#[derive(Debug, Default)]
struct Reader {
    at: At,
    /// The line that is not complete yet: no longer than the head that hyper reads before it refuses it.
    line: Vec<u8>,
    length: u64,
    head: Said,
    heads: u64,
    said: Lengths,
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
    /// Whether a head has begun, or the first one has yet to come.
    fn waits_for_head(&self) -> bool {
        match self.at {
            At::Start => self.heads == 0 || !self.line.is_empty(),
            At::Head => true,
            At::Body(_) | At::ChunkSize | At::Chunk(_) | At::Trailers | At::Lost => false,
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
                self.said.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.head);
                self.heads += 1;
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
            let heads = this.reader.heads;
            this.reader.read(buffer.filled().get(before..).unwrap_or_default());
            if this.reader.heads != heads {
                this.deadline = None;
            }
            return Poll::Ready(read);
        }
        if !this.reader.waits_for_head() {
            return Poll::Pending;
        }
        let timeout = this.head_timeout;
        let deadline = this.deadline.get_or_insert_with(|| Box::pin(sleep(timeout)));
        deadline.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The heads found, as (lengths, encodings): all at once, and byte by byte.
    fn check(bytes: &str, expected: &[(usize, usize)]) {
        let bytes = bytes.replace('\n', "\r\n");
        for size in [1, 7, bytes.len()] {
            let mut reader = Reader::default();
            for piece in bytes.as_bytes().chunks(size) {
                reader.read(piece);
            }
            let said = reader.said.0.lock().unwrap();
            let found: Vec<_> = said.iter().map(|it| (it.lengths, it.encodings)).collect();
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
            let lengths = Lengths::default();
            if let Some((lengths_said, encodings)) = said {
                let said = Said { lengths: lengths_said, encodings };
                lengths.0.lock().unwrap().push_back(said);
            }
            let mut headers = HeaderMap::new();
            for _ in 0..there {
                headers.append(header::CONTENT_LENGTH, HeaderValue::from_static("2"));
            }
            lengths.restore(&mut headers);
            headers.get_all(header::CONTENT_LENGTH).iter().count()
        };
        assert_eq!(restored(Some((0, 0)), 0), 0);
        assert_eq!(restored(Some((1, 0)), 1), 1);
        assert_eq!(restored(Some((0, 1)), 0), 0);
        assert_eq!(restored(Some((1, 1)), 0), 1);
        assert_eq!(restored(Some((2, 0)), 1), 2);
        assert_eq!(restored(None, 0), 2);
    }
}
