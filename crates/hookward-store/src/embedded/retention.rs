//! Forgetting: segments go from the oldest on, once all their events are finished and their bodies have expired.
//!
//! Only from the oldest on: what became of an event stands behind it in the log, so a segment never goes before an
//! older one whose events' ends it tells. Keys that are still held go to a small file of their own first.

use std::{
    io::{self, ErrorKind},
    sync::{Arc, PoisonError},
};

use bytes::Bytes;
use hookward_core::{ContentDigest, EventKey, EventParts, Intake, SourceName, Timestamp};

use super::{
    book::{Facts, Standing},
    codec::{Put, Reader},
    disk::remove_if_there,
    keeper::{index_name, spare_name, write_snapshot},
    keyfile::{KeyFile, Terms},
    log::{Log, Spare},
    record::{Place, Record, intake_code, intake_from},
    segment::{ReadError, SEGMENT_HEADER_BYTES, Scan, Step, log_name},
    snapshot::{SNAPSHOT, end_code, end_from},
};
use crate::{DeadReason, Expired, Kept, State, StoreError};

/// What is kept of an event whose body is gone, in bytes.
pub(crate) const HUSK_BYTES: usize = 64;

/// The file of the keys that outlive their segment.
pub(crate) fn keys_name(number: u32) -> String {
    format!("{number:010}.keys")
}

/// What is left of an event when its body is gone: enough to know it again and to say what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Husk {
    pub(crate) key: EventKey,
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
    let Some((number, held)) = state.segments.last_key_value() else { return false };
    // What comes from here on is not meant, so the watermark need not stand behind the whole segment.
    let end = state.tail.offset.saturating_sub(1);
    let end = if state.tail.segment == *number { end } else { u32::MAX };
    held.events > 0
        && state.book.is_over(Place { segment: *number, offset: end }, held.terms.bodies)
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
            .take_while(|(number, held)| {
                state.book.is_over(Place::last_of(**number), held.terms.bodies)
            })
            .map(|(number, _)| *number)
            .collect()
    };
    if !going.is_empty() {
        // From here on no snapshot speaks of an unfinished event in a segment that goes. All that one says is in the log.
        if let Err(error) = write_snapshot(log) {
            tracing::warn!(error = %error, "no snapshot; without a later one the next opening reads the whole log");
            remove_if_there(log.disk.as_ref(), SNAPSHOT).map_err(unavailable)?;
        }
    }
    let sizes = log.disk.files().map_err(unavailable)?;
    let size =
        |wanted: &str| sizes.iter().find(|(name, _)| name == wanted).map_or(0, |(_, size)| *size);
    for number in going.iter().copied() {
        retire(log, number, &going, &mut expired)?;
        expired.bytes += size(&log_name(number)) + size(&index_name(number));
    }
    forget_keys(log, &mut expired)?;
    Ok(expired)
}

/// Gives back, on a full disk, what can be made again: the next segment's file, and where the keys of these segments are.
/// Says whether there was any use in it.
fn made_room(log: &Log, going: &[u32], error: &ReadError) -> bool {
    let ReadError::Disk(error) = error else { return false };
    if !matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        return false;
    }
    let disk = log.disk.as_ref();
    let mut made = going.iter().all(|number| remove_if_there(disk, &index_name(*number)).is_ok());
    let mut state = log.state();
    if matches!(state.spare, Spare::Ready) {
        // Whoever wants it next must not meet it half removed, so the lock is held.
        made &= remove_if_there(disk, &spare_name(state.tail.segment + 1)).is_ok();
        state.spare = Spare::Missing;
    }
    made
}

/// Removes the oldest segment; its held keys go to a file first.
fn retire(log: &Log, number: u32, going: &[u32], expired: &mut Expired) -> Result<(), StoreError> {
    let disk = log.disk.as_ref();
    let (segment, events, outlived) = {
        let state = log.state();
        let Some(held) = state.segments.get(&number) else { return Ok(()) };
        let expired_at = state.book.watermarks.over(Place::last_of(number));
        let outlived = held.terms.keys.is_none_or(|at| at > expired_at);
        (Arc::clone(&held.segment), held.events, outlived)
    };
    let mut kept = 0;
    if outlived {
        let file = match write_keys(log, &segment) {
            Err(error) if made_room(log, going, &error) => write_keys(log, &segment),
            other => other,
        };
        let file = file.inspect_err(|error| log.note_damage(error))?;
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
    remove_if_there(disk, &index_name(number)).map_err(unavailable)?;
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
        let watermarks = state.book.watermarks.clone();
        let gone = |number: u32, file: &KeyFile| {
            file.terms.keys.is_some_and(|at| at <= watermarks.over(Place::last_of(number)))
        };
        let going = state.retired.iter().filter(|(number, file)| gone(**number, file));
        let going = going.map(|(_, file)| Arc::clone(file)).collect();
        state.retired.retain(|number, file| !gone(*number, file));
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
