//! Reading a body: bounded in bytes and in time, whatever its sender says and does.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use hyper::body::Body;

use crate::in_flight::{Holding, NoRoom};

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    TooLarge,
    TooSlow,
    Broken,
    NoRoom,
}

impl From<NoRoom> for BodyError {
    fn from(NoRoom: NoRoom) -> Self {
        Self::NoRoom
    }
}

/// Reads the whole body. The deadline is absolute: a sender that drips one byte at a time does not move it. A body that
/// did not come with its head takes a place in `holding`, and room for what has come of it.
pub(crate) async fn read<B>(
    body: B,
    bytes_max: usize,
    timeout: Duration,
    holding: &mut Holding<'_>,
) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes>,
{
    let mut body = pin!(body);
    let mut read = BytesMut::new();
    // Nearly all webhooks are there at once, and need neither a place nor a timer.
    let at_once = poll_fn(|context| {
        Poll::Ready(poll_to_end(body.as_mut(), bytes_max, &mut read, &mut |_| Ok(()), context))
    });
    match at_once.await {
        Poll::Ready(Ok(())) => return Ok(read.freeze()),
        Poll::Ready(Err(error)) => return Err(error),
        Poll::Pending => holding.begin(read.len())?,
    }
    let rest = poll_fn(|context| {
        poll_to_end(body.as_mut(), bytes_max, &mut read, &mut |bytes| holding.grow(bytes), context)
    });
    tokio::time::timeout(timeout, rest).await.unwrap_or(Err(BodyError::TooSlow))?;
    Ok(read.freeze())
}

/// What comes is copied, each byte once while the body is short: a body is kept for long, and must not keep the buffer of its
/// connection, which is many times as large.
fn poll_to_end<B>(
    mut body: Pin<&mut B>,
    bytes_max: usize,
    read: &mut BytesMut,
    grow: &mut impl FnMut(usize) -> Result<(), NoRoom>,
    context: &mut Context<'_>,
) -> Poll<Result<(), BodyError>>
where
    B: Body<Data = Bytes>,
{
    while let Some(frame) = ready!(body.as_mut().poll_frame(context)) {
        // Trailers are not looked at: nothing in them is signed.
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        if read.len() + data.len() > bytes_max {
            return Poll::Ready(Err(BodyError::TooLarge));
        }
        grow(data.len())?;
        read.extend_from_slice(&data);
    }
    Poll::Ready(Ok(()))
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll},
    };

    use hookward_core::config;
    use http_body_util::Full;
    use hyper::body::Frame;

    use super::*;
    use crate::in_flight::InFlight;

    const LONG: Duration = Duration::from_hours(1);

    async fn read<B>(body: B, bytes_max: usize, timeout: Duration) -> Result<Bytes, BodyError>
    where
        B: Body<Data = Bytes>,
    {
        let in_flight = InFlight::new(&config::Limits::default());
        let mut holding = in_flight.request([192, 0, 2, 1].into(), bytes_max);
        super::read(body, bytes_max, timeout, &mut holding).await
    }

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
