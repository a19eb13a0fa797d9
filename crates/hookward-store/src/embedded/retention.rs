//! Forgetting: segments go from the oldest on, once all their events are finished and their bodies have expired.
//!
//! Only from the oldest on: what became of an event stands behind it in the log, so a segment never goes before an
//! older one whose events' ends it tells. Keys that are still held go to a small file of their own first.

use std::{
    io,
    sync::{Arc, PoisonError},
};

use bytes::Bytes;
use hookward_core::{ContentDigest, EventKey, EventParts, Intake, SourceName, Timestamp};

use super::{
    book::{Facts, Standing},
    codec::{Put, Reader},
    keeper::{index_name, write_snapshot},
    keyfile::{KeyFile, Terms},
    log::{Held, Log},
    record::{Place, Record, intake_code, intake_from},
    segment::{ReadError, SEGMENT_HEADER_BYTES, Scan, Step, log_name},
    snapshot::{end_code, end_from},
};
use crate::{DeadReason, Expired, Kept, State, StoreError};

/// What is kept of an event whose body is gone, in bytes.
const HUSK_BYTES: usize = 64;

/// The file of the keys that outlive their segment.
pub(crate) fn keys_name(number: u32) -> String {
    format!("{number:010}.keys")
}

/// What is left of an event when its body is gone: enough to know it again and to say what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Husk {
    key: EventKey,
    pub(crate) content: ContentDigest,
    source: SourceName,
    intake: Intake,
    received_at: Timestamp,
    body_expires_at: Timestamp,
    pub(crate) held_until: Option<Timestamp>,
    pub(crate) state: State,
    dead: Option<DeadReason>,
    attempts: u16,
    replays: u16,
}

impl Husk {
    fn put(
        out: &mut Vec<u8>,
        content: ContentDigest,
        facts: &Facts,
        standing: &Standing,
        source: u16,
    ) {
        let progress = standing.progress.unwrap_or_default();
        out.put(facts.key.as_bytes());
        out.put(content.as_bytes());
        out.put_time(facts.received_at);
        out.put_time(facts.body_expires_at);
        out.put_time(facts.held_until.unwrap_or(Timestamp::from_micros(u64::MAX)));
        out.put_u8(intake_code(facts.intake));
        out.put_u8(end_code(standing.state, standing.dead));
        out.put_u16(source);
        out.put_u16(progress.attempts.try_into().unwrap_or(u16::MAX));
        out.put_u16(progress.replays.try_into().unwrap_or(u16::MAX));
    }

    /// Reads an entry; `sources` is what stands beside the entries.
    pub(crate) fn read(entry: &[u8], sources: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(entry);
        let key = EventKey::from_bytes(reader.array()?);
        let content = ContentDigest::from_bytes(reader.array()?);
        let received_at = reader.time()?;
        let body_expires_at = reader.time()?;
        let held_until = Some(reader.time()?).filter(|at| at.as_micros() != u64::MAX);
        let intake = intake_from(reader.u8()?)?;
        let end = reader.u8()?;
        let source = source_at(sources, reader.u16()?)?;
        let facts = Facts { key, source, intake, received_at, body_expires_at, held_until };
        let (state, dead) = end_from(end, &facts)?;
        Some(Self {
            key,
            content,
            source: facts.source,
            intake,
            received_at,
            body_expires_at,
            held_until,
            state,
            dead,
            attempts: reader.u16()?,
            replays: reader.u16()?,
        })
    }

    /// For people: all that is known is what the key file says.
    pub(crate) fn kept(self) -> Kept {
        Kept {
            event: Arc::new(EventParts {
                key: self.key,
                source: self.source,
                event_type: None,
                sender_id: None,
                content: self.content,
                received_at: self.received_at,
                intake: self.intake,
                headers: Vec::new(),
                body: Bytes::new(),
                body_expires_at: self.body_expires_at,
                key_expires_at: self.held_until,
            }),
            body_bytes: 0,
            state: self.state,
            dead: self.dead,
            attempts: self.attempts.into(),
            replays: self.replays.into(),
            due_at: None,
            history: Vec::new(),
            body_expired: true,
        }
    }
}

/// Whether the open segment holds nothing but what has expired, so that it may be closed and go too.
pub(crate) fn open_segment_has_expired(log: &Log) -> bool {
    let state = log.state();
    let open = state.segments.last_key_value();
    open.is_some_and(|(number, held)| held.events > 0 && has_expired(&state, *number, held))
}

/// Removes what has expired and may go. Reads and writes the disk: not for the async runtime's threads.
pub(crate) fn collect(log: &Log) -> Result<Expired, StoreError> {
    let _housekeeping = log.housekeeping.lock().unwrap_or_else(PoisonError::into_inner);
    let mut expired = Expired::default();
    let going: Vec<u32> = {
        let state = log.state();
        let closed = state.segments.len().saturating_sub(1);
        let oldest = state.segments.iter().take(closed);
        oldest
            .take_while(|(number, held)| has_expired(&state, **number, held))
            .map(|(number, _)| *number)
            .collect()
    };
    if !going.is_empty() {
        // From here on no snapshot speaks of an unfinished event in a segment that goes.
        write_snapshot(log).map_err(unavailable)?;
    }
    let sizes = log.disk.files().map_err(unavailable)?;
    let size =
        |wanted: &str| sizes.iter().find(|(name, _)| name == wanted).map_or(0, |(_, size)| *size);
    for number in going {
        retire(log, number, &mut expired)?;
        expired.bytes += size(&log_name(number)) + size(&index_name(number));
    }
    forget_keys(log, &mut expired)?;
    Ok(expired)
}

fn has_expired(state: &super::log::State, number: u32, held: &Held) -> bool {
    let places = Place { segment: number, offset: 0 }..Place { segment: number + 1, offset: 0 };
    held.terms.bodies <= state.book.expired_at && state.book.pending.range(places).next().is_none()
}

/// Removes the oldest segment; its held keys go to a file first.
fn retire(log: &Log, number: u32, expired: &mut Expired) -> Result<(), StoreError> {
    let disk = log.disk.as_ref();
    let (segment, events, outlived) = {
        let state = log.state();
        let Some(held) = state.segments.get(&number) else { return Ok(()) };
        let outlived = held.terms.keys.is_none_or(|at| at > state.book.expired_at);
        (Arc::clone(&held.segment), held.events, outlived)
    };
    let mut kept = 0;
    if outlived {
        let file = write_keys(log, &segment).inspect_err(|error| log.note_damage(error))?;
        kept = file.count as u64;
        log.state().retired.insert(number, Arc::new(file));
    }
    {
        let mut state = log.state();
        state.segments.remove(&number);
        state.unindexed.retain(|unindexed| *unindexed != number);
        state.book.forget_before(number + 1);
        state.arrange();
    }
    disk.remove(&log_name(number)).map_err(unavailable)?;
    match disk.remove(&index_name(number)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unavailable(error)),
        Ok(()) | Err(_) => {}
    }
    expired.bodies += events;
    expired.keys += events.saturating_sub(kept);
    Ok(())
}

/// Writes down the keys of a segment that are still held.
fn write_keys(log: &Log, segment: &super::segment::Segment) -> Result<KeyFile, ReadError> {
    let disk = log.disk.as_ref();
    let number = segment.header.number;
    let mut scan = Scan::new(disk, segment);
    let (mut offset, mut entries, mut terms) = (SEGMENT_HEADER_BYTES, Vec::new(), Terms::NONE);
    let mut sources: Vec<SourceName> = Vec::new();
    loop {
        match scan.step(offset)? {
            Step::Record { record: Record::Seal, .. } => break,
            Step::Record { record, next, .. } => {
                if let Record::Event(event) = record {
                    let facts = Facts::from(&event);
                    let standing = log.state().book.standing(scan.place(offset), &facts);
                    if !standing.forgotten {
                        let known = sources.iter().position(|source| *source == facts.source);
                        let source = known.unwrap_or_else(|| {
                            sources.push(facts.source.clone());
                            sources.len() - 1
                        });
                        terms.add(facts.body_expires_at, facts.held_until);
                        let source = u16::try_from(source).unwrap_or(u16::MAX);
                        Husk::put(&mut entries, event.event.content, &facts, &standing, source);
                    }
                }
                offset = next;
            }
            Step::End => {
                return Err(ReadError::Damaged(format!(
                    "{}, byte {offset}: the rest is missing",
                    segment.name
                )));
            }
            Step::Bad(what) => {
                return Err(ReadError::Damaged(format!("{}, byte {offset}: {what}", segment.name)));
            }
        }
    }
    let mut extra = Vec::new();
    for source in &sources {
        extra.put_sized(source.as_str().as_bytes());
    }
    Ok(KeyFile::write(disk, &keys_name(number), number, terms, &extra, HUSK_BYTES, &entries)?)
}

fn source_at(sources: &[u8], number: u16) -> Option<SourceName> {
    let mut reader = Reader::new(sources);
    for _ in 0..number {
        reader.sized()?;
    }
    SourceName::parse(reader.text()?).ok()
}

/// Removes key files whose last key has expired.
fn forget_keys(log: &Log, expired: &mut Expired) -> Result<(), StoreError> {
    let going: Vec<Arc<KeyFile>> = {
        let mut state = log.state();
        let expired_at = state.book.expired_at;
        let gone = |file: &KeyFile| file.terms.keys.is_some_and(|at| at <= expired_at);
        let going = state.retired.values().filter(|file| gone(file)).map(Arc::clone).collect();
        state.retired.retain(|_, file| !gone(file));
        state.arrange();
        going
    };
    for file in going {
        log.disk.remove(&file.name).map_err(unavailable)?;
        expired.keys += file.count as u64;
    }
    Ok(())
}

fn unavailable(error: io::Error) -> StoreError {
    StoreError::Unavailable(Arc::new(error))
}
