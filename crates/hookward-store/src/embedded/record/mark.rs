//! The small records: what operators decided, what was forgotten, that the store was opened.

use hookward_core::Timestamp;

use super::{Encoded, Kind, Place, Put, Reader};

/// An operator made an event due again: its attempts are back at zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Requeued {
    /// The event's record.
    pub(crate) event: Place,
    /// The record of its latest attempt: history goes on across replays.
    pub(crate) previous: Option<Place>,
    pub(crate) replays: u32,
    pub(crate) due_at: Timestamp,
}

impl Requeued {
    pub(crate) fn encode(self) -> Encoded {
        Encoded::short(Kind::Requeued, |out| {
            self.event.put(out);
            Place::put_option(self.previous, out);
            out.put_varint(self.replays.into());
            out.put_time(self.due_at);
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let event = Place::read(reader)?;
        let mut previous = None;
        Place::read_option(reader, &mut previous)?;
        Some(Self { event, previous, replays: reader.varint_u32()?, due_at: reader.time()? })
    }
}

/// An operator was done with a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Discarded {
    /// The event's record.
    pub(crate) event: Place,
}

impl Discarded {
    pub(crate) fn encode(self) -> Encoded {
        Encoded::short(Kind::Discarded, |out| self.event.put(out))
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { event: Place::read(reader)? })
    }
}

/// What stands before this record, was finished and had expired at this time was forgotten, and stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watermark {
    pub(crate) expired_at: Timestamp,
}

impl Watermark {
    pub(crate) fn encode(self) -> Encoded {
        Encoded::short(Kind::Watermark, |out| out.put_time(self.expired_at))
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { expired_at: reader.time()? })
    }
}

/// The store was opened: all records before this one had been read and found whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    /// One more than the last time; the upper half of the tokens of all leases until the next one.
    pub(crate) generation: u32,
}

impl Opened {
    pub(crate) fn encode(self) -> Encoded {
        Encoded::short(Kind::Opened, |out| out.put_u32(self.generation))
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { generation: reader.u32()? })
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
        fn marks_are_read_as_they_were_written(
            event: u64, previous in option::of(1_u64 << 32..), replays: u32, at: u64, generation: u32,
        ) {
            let (event, at) = (Place::from_u64(event), Timestamp::from_micros(at));
            let requeued = Requeued { event, previous: previous.map(Place::from_u64), replays, due_at: at };
            prop_assert!(matches!(round_trip(requeued.encode()).0, Record::Requeued(read) if read == requeued));
            let discarded = Discarded { event };
            prop_assert!(matches!(round_trip(discarded.encode()).0, Record::Discarded(read) if read == discarded));
            let watermark = Watermark { expired_at: at };
            prop_assert!(matches!(round_trip(watermark.encode()).0, Record::Watermark(read) if read == watermark));
            let opened = Opened { generation };
            prop_assert!(matches!(round_trip(opened.encode()).0, Record::Opened(read) if read == opened));
        }
    }
}
