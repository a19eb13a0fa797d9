//! Work on an event ended.

use hookward_core::Timestamp;

use super::{Encoded, Kind, Place, Put, Reader};
use crate::Attempt;

/// What came of one attempt, and where the one before it is: an event's attempts are a chain through the log.
///
/// Says all that is true of the event afterwards, so that applying it twice, or over a newer state that it led to,
/// is the same as applying it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutcomeRecord {
    /// The event's record.
    pub(crate) event: Place,
    /// The record of the attempt before this one.
    pub(crate) previous: Option<Place>,
    pub(crate) verdict: Verdict,
    /// Attempts since the event was kept or last requeued, this one included.
    pub(crate) attempts: u32,
    pub(crate) replays: u32,
    /// `None` when there was none: the lease was given back.
    pub(crate) attempt: Option<Attempt>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    /// It is due again.
    Again(Timestamp),
    Dead,
}

impl OutcomeRecord {
    pub(crate) fn encode(&self) -> Encoded {
        Encoded::short(Kind::Outcome, |out| {
            self.event.put(out);
            Place::put_option(self.previous, out);
            match self.verdict {
                Verdict::Done => out.put_u8(1),
                Verdict::Again(at) => {
                    out.put_u8(2);
                    out.put_time(at);
                }
                Verdict::Dead => out.put_u8(3),
            }
            out.put_varint(self.attempts.into());
            out.put_varint(self.replays.into());
            match &self.attempt {
                None => out.put_u8(0),
                Some(attempt) => {
                    out.put_u8(1);
                    out.put_time(attempt.at);
                    out.put_varint(attempt.status.map_or(0, |status| u64::from(status) + 1));
                    out.put_sized(attempt.note.as_bytes());
                }
            }
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let event = Place::read(reader)?;
        let mut previous = None;
        Place::read_option(reader, &mut previous)?;
        Some(Self {
            event,
            previous,
            verdict: match reader.u8()? {
                1 => Verdict::Done,
                2 => Verdict::Again(reader.time()?),
                3 => Verdict::Dead,
                _ => return None,
            },
            attempts: reader.varint_u32()?,
            replays: reader.varint_u32()?,
            attempt: match reader.u8()? {
                0 => None,
                1 => Some(Attempt {
                    at: reader.time()?,
                    status: match reader.varint()? {
                        0 => None,
                        status => Some(u16::try_from(status - 1).ok()?),
                    },
                    note: reader.text()?.into(),
                }),
                _ => return None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::{option, prelude::*};

    use super::{
        super::{Record, tests::round_trip},
        *,
    };

    proptest! {
        #[test]
        fn an_outcome_is_read_as_it_was_written(
            event: u64, previous in option::of(1_u64 << 32..), which in 0..3_usize, at: u64, attempts: u32,
            replays: u32, attempt in option::of((any::<u64>(), any::<Option<u16>>(), ".{0,100}")),
        ) {
            let record = OutcomeRecord {
                event: Place::from_u64(event),
                previous: previous.map(Place::from_u64),
                verdict: [Verdict::Done, Verdict::Again(Timestamp::from_micros(at)), Verdict::Dead][which],
                attempts,
                replays,
                attempt: attempt.map(|(at, status, note)| Attempt {
                    at: Timestamp::from_micros(at),
                    status,
                    note: note.into(),
                }),
            };
            let (read, _) = round_trip(record.encode());
            let Record::Outcome(read) = read else { panic!("{read:?}") };
            prop_assert_eq!(read, record);
        }
    }
}
