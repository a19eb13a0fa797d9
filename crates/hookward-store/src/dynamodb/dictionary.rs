//! Dictionaries that bodies are compressed with: what a node knows of them, and how it finds them.
//!
//! A source's newest one is looked for when its first event comes, and again from time to time while others go on with
//! what is known. Without one, and when it cannot be had, bodies are compressed without: no event is refused for it. An
//! event names the dictionary that it was written with, and whoever reads it loads that one.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use hookward_core::{
    EventParts, SourceName,
    limits::{DICTIONARIES_LOADED_MAX, DICTIONARY_WAIT},
};
use zstd::{
    bulk::{Compressor, Decompressor},
    dict::{DecoderDictionary, EncoderDictionary},
};

use super::{
    Shared, bodies,
    item::{
        Item,
        body::{COMPRESS_LEVEL, Place, Stored},
        dictionary::{self, DictionaryItem},
        event::{self, EventItem},
    },
    table::{For, Range},
    usage::Purpose,
};
use crate::StoreError;

/// A dictionary, ready for use.
pub(crate) struct Dictionary {
    pub(crate) number: u64,
    encoder: EncoderDictionary<'static>,
    decoder: DecoderDictionary<'static>,
}

impl Dictionary {
    /// `None` where zstd does not take it.
    pub(crate) fn new(number: u64, content: &[u8]) -> Option<Self> {
        Some(Self {
            number,
            encoder: EncoderDictionary::try_copy(content, COMPRESS_LEVEL).ok()?,
            decoder: DecoderDictionary::try_copy(content).ok()?,
        })
    }

    /// What it makes of a body. The result says which dictionary it was, so that another one is noticed.
    pub(crate) fn compress(&self, body: &[u8]) -> Option<Vec<u8>> {
        Compressor::with_prepared_dictionary(&self.encoder).ok()?.compress(body).ok()
    }

    /// The body of this size.
    pub(crate) fn decompress(&self, stored: &[u8], size: usize) -> Option<Vec<u8>> {
        Decompressor::with_prepared_dictionary(&self.decoder).ok()?.decompress(stored, size).ok()
    }
}

impl fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dictionary").field("number", &self.number).finish_non_exhaustive()
    }
}

/// What a node knows of dictionaries.
#[derive(Debug, Default)]
pub(super) struct Dictionaries {
    newest: Mutex<HashMap<SourceName, Newest>>,
    loaded: Mutex<HashMap<(SourceName, u64), Arc<Dictionary>>>,
}

/// The dictionary that a source's events are written with.
#[derive(Debug)]
struct Newest {
    dictionary: Option<Arc<Dictionary>>,
    /// When it was looked for, by this node's clock.
    looked_at: Duration,
}

impl Dictionaries {
    fn newest(&self) -> MutexGuard<'_, HashMap<SourceName, Newest>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn loaded(&self) -> MutexGuard<'_, HashMap<(SourceName, u64), Arc<Dictionary>>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, source: &SourceName) -> Option<Arc<Dictionary>> {
        self.newest().get(source)?.dictionary.clone()
    }

    fn find(&self, source: &SourceName, number: u64) -> Option<Arc<Dictionary>> {
        if let Some(known) = self.known(source).filter(|known| known.number == number) {
            return Some(known);
        }
        self.loaded().get(&(source.clone(), number)).cloned()
    }

    fn keep(&self, source: &SourceName, dictionary: &Arc<Dictionary>) {
        let mut loaded = self.loaded();
        // What is still needed is read again.
        if loaded.len() >= DICTIONARIES_LOADED_MAX {
            loaded.clear();
        }
        loaded.insert((source.clone(), dictionary.number), Arc::clone(dictionary));
    }
}

impl Shared {
    /// What bodies of a source are compressed with at present. Only a source's first event ever waits for it, and that
    /// one not for long.
    pub(super) async fn dictionary_of(
        self: &Arc<Self>,
        source: &SourceName,
    ) -> Option<Arc<Dictionary>> {
        let now = self.options.clock.elapsed();
        let is_first = {
            let mut newest = self.dictionaries.newest();
            match newest.get_mut(source) {
                None => {
                    let nothing = Newest { dictionary: None, looked_at: now };
                    newest.insert(source.clone(), nothing);
                    true
                }
                Some(known) => {
                    let age = now.saturating_sub(known.looked_at);
                    if age < self.options.dictionary_refresh {
                        return known.dictionary.clone();
                    }
                    known.looked_at = now;
                    false
                }
            }
        };
        let (shared, of) = (Arc::clone(self), source.clone());
        let looking = tokio::spawn(async move { shared.look_for_newest(&of).await });
        if is_first {
            // Whether it came in time or not, what is known by then is used.
            drop(tokio::time::timeout(DICTIONARY_WAIT, looking).await);
        }
        self.dictionaries.known(source)
    }

    async fn look_for_newest(&self, source: &SourceName) {
        let known = self.dictionaries.known(source).map_or(0, |known| known.number);
        let found = self.newest_after(source, known).await;
        let prepared = found.and_then(|it| it.as_ref().map(DictionaryItem::prepared).transpose());
        match prepared {
            Ok(None) => {}
            Ok(Some(dictionary)) => {
                tracing::info!(source = %source, number = dictionary.number, "bodies are compressed with a new dictionary");
                let dictionary = Arc::new(dictionary);
                // Events may name the former one for as long as they are kept.
                let before = self
                    .dictionaries
                    .newest()
                    .get_mut(source)
                    .and_then(|newest| newest.dictionary.replace(dictionary));
                if let Some(before) = before {
                    self.dictionaries.keep(source, &before);
                }
            }
            Err(error) => {
                let why: &dyn std::error::Error = &error;
                let cause = why.source().unwrap_or(why);
                tracing::warn!(source = %source, "bodies are compressed as before: no newer dictionary could be had: {cause}");
            }
        }
    }

    /// The newest dictionary of a source, if its number is higher.
    pub(super) async fn newest_after(
        &self,
        source: &SourceName,
        number: u64,
    ) -> Result<Option<DictionaryItem>, StoreError> {
        let item = self.newest_item_after(source, number).await?;
        item.as_ref().map(DictionaryItem::decode).transpose()
    }

    /// The same, whatever is in it.
    pub(super) async fn newest_item_after(
        &self,
        source: &SourceName,
        number: u64,
    ) -> Result<Option<Item>, StoreError> {
        let range = Range {
            from: Some(dictionary::range(number.saturating_add(1))),
            newest_first: true,
            limit: Some(1),
            ..Range::all(dictionary::partition(source))
        };
        let why = For { source: Some(source), purpose: Purpose::Dictionary };
        Ok(self.table.query(&range, why).await?.items.pop())
    }

    /// The dictionary that an event names.
    async fn dictionary(
        &self,
        source: &SourceName,
        number: u64,
    ) -> Result<Arc<Dictionary>, StoreError> {
        if let Some(known) = self.dictionaries.find(source, number) {
            return Ok(known);
        }
        let place = dictionary::key_of(source, number);
        let why = For { source: Some(source), purpose: Purpose::Dictionary };
        let item = self.table.get(place.clone(), why).await?;
        let item = item.ok_or_else(|| StoreError::Damaged {
            place: format!("{place}: events were compressed with it, and it is not there"),
        })?;
        let loaded = Arc::new(DictionaryItem::decode(&item)?.prepared()?);
        self.dictionaries.keep(source, &loaded);
        Ok(loaded)
    }

    /// The body of an event that was read.
    pub(super) async fn body(&self, item: &EventItem) -> Result<Bytes, StoreError> {
        let dictionary = match item.stored.dictionary {
            None => None,
            Some(number) => Some(self.dictionary(&item.event.source, number).await?),
        };
        let bytes = match &item.stored.place {
            Place::Item(bytes) => bytes.clone(),
            Place::Object(key) => bodies::object(self.options.large_bodies.as_ref(), key).await?,
        };
        let body = item.stored.unpack(&bytes, dictionary.as_deref());
        body.ok_or_else(|| Stored::damaged(&event::key_of(item.event.key)))
    }

    /// An event that was read, with its body.
    pub(super) async fn whole(&self, item: EventItem) -> Result<EventParts, StoreError> {
        let body = self.body(&item).await?;
        Ok(EventParts { body, ..item.event })
    }

    /// The same where nothing more has to be read for it. Otherwise whoever delivers it reads it: what is wrong with one
    /// body is then that event's trouble, and no other's.
    pub(super) fn at_hand(&self, item: &EventItem) -> Option<Arc<EventParts>> {
        let dictionary = match item.stored.dictionary {
            None => None,
            Some(number) => Some(self.dictionaries.find(&item.event.source, number)?),
        };
        let body = item.stored.unpack(item.stored.at_hand()?, dictionary.as_deref())?;
        Some(Arc::new(EventParts { body, ..item.event.clone() }))
    }
}
