//! Reading a body: bounded in bytes and in time, whatever its sender says and does.

use std::{pin::pin, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body;

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    TooLarge,
    TooSlow,
    Broken,
}

/// Reads the whole body. The deadline is absolute: a sender that drips one byte at a time does not move it.
pub(crate) async fn read<B>(
    body: B,
    bytes_max: usize,
    timeout: Duration,
) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes>,
{
    tokio::time::timeout(timeout, collect(body, bytes_max)).await.unwrap_or(Err(BodyError::TooSlow))
}

async fn collect<B>(body: B, bytes_max: usize) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes>,
{
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // Trailers are not looked at: nothing in them is signed.
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        if first.len() + rest.len() + data.len() > bytes_max {
            return Err(BodyError::TooLarge);
        }
        // Nearly all webhooks come in one piece: handed on as it is, without a copy.
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll},
    };

    use http_body_util::Full;
    use hyper::body::Frame;

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    /// A body that comes in these pieces, and then ends or keeps its reader waiting.
    struct Pieces {
        pieces: std::slice::Iter<'static, &'static [u8]>,
        ends: bool,
    }

    fn pieces(pieces: &'static [&'static [u8]]) -> Pieces {
        Pieces { pieces: pieces.iter(), ends: true }
    }

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.pieces.next() {
                Some(piece) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece))))),
                None if self.ends => Poll::Ready(None),
                None => Poll::Pending,
            }
        }
    }

    #[tokio::test]
    async fn a_body_is_whole_in_one_piece_or_many() {
        assert_eq!(read(Full::new(Bytes::from_static(b"abc")), 3, LONG).await.unwrap(), "abc");
        assert_eq!(read(pieces(&[b"a", b"", b"bc", b"d"]), 4, LONG).await.unwrap(), "abcd");
        assert_eq!(read(pieces(&[]), 4, LONG).await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_byte_too_many_is_too_many() {
        assert_eq!(read(pieces(&[b"ab", b"c"]), 2, LONG).await, Err(BodyError::TooLarge));
        assert_eq!(
            read(Full::new(Bytes::from_static(b"abc")), 2, LONG).await,
            Err(BodyError::TooLarge)
        );
    }

    #[tokio::test]
    async fn a_body_that_never_ends_ends_at_the_deadline() {
        let body = Pieces { ends: false, ..pieces(&[b"a"]) };
        assert_eq!(read(body, 2, Duration::from_millis(1)).await, Err(BodyError::TooSlow));
    }
}
