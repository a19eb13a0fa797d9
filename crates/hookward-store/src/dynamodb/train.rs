//! Training a dictionary from a source's stored events, and saying what it is worth.

use std::{fmt, sync::Arc};

use hookward_core::{
    EventParts, SourceName, Timestamp,
    limits::{DICTIONARY_EVENTS_MIN, DICTIONARY_SAMPLES_BYTES_MAX},
};

use super::{
    Options, Shared,
    dictionary::Dictionary,
    duplicate::RACES_MAX,
    item::{
        billed_bytes,
        body::Stored,
        dictionary::{self, DictionaryItem},
        event::{self, ReceiptId},
    },
    table::{For, Guard, Written},
    trouble::Trouble,
    usage::Purpose,
};
use crate::{Query, StoreError};

/// Events that are read together.
const READ_MAX: usize = 16;

/// What DynamoDB bills a write for each started one of.
const UNIT_BYTES: usize = 1024;

/// A table as somebody sees it who is no node of it: reads events, and keeps dictionaries.
#[derive(Debug)]
pub struct Trainer {
    shared: Arc<Shared>,
}

/// A dictionary, and what it is worth.
#[derive(Clone)]
pub struct Trained {
    content: Vec<u8>,
    /// How many events it was trained on.
    pub events: usize,
    /// How many other events it was measured with.
    pub held_out: usize,
    /// What those cost without a dictionary.
    pub without: Cost,
    /// What they cost with the dictionary that the source has already, and its number.
    pub present: Option<(u64, Cost)>,
    /// What they cost with the new one.
    pub with: Cost,
}

/// What putting an event costs, in the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Bytes of the stored body.
    pub body_bytes: f64,
    /// Write units of the item.
    pub write_units: f64,
}

/// Why there is no dictionary.
#[derive(Debug, thiserror::Error)]
pub enum Untrained {
    /// There are too few events to train on and to measure with.
    #[error("{found} events are too few to tell: at least {DICTIONARY_EVENTS_MIN} are needed")]
    TooFew {
        /// How many there are.
        found: usize,
    },
    /// zstd finds nothing that the events have in common, or too little of it for a dictionary of this size.
    #[error("zstd makes no dictionary of these events: {0}")]
    NoDictionary(#[source] std::io::Error),
}

impl fmt::Debug for Trained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { content, events, held_out, without, present, with } = self;
        f.debug_struct("Trained")
            .field("bytes", &content.len())
            .field("events", events)
            .field("held_out", held_out)
            .field("without", without)
            .field("present", present)
            .field("with", with)
            .finish()
    }
}

impl Trained {
    /// How large the dictionary is.
    pub fn bytes(&self) -> usize {
        self.content.len()
    }

    /// Whether events cost fewer write units with it than with what is used now.
    pub fn pays(&self) -> bool {
        let now = self.present.map_or(self.without, |(_, present)| present);
        self.with.write_units < now.write_units
    }
}

impl Trainer {
    /// Looks at a table. Fails when it is not there or not for us.
    pub async fn open(
        client: aws_sdk_dynamodb::Client,
        options: Options,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        Ok(Self { shared: Shared::looking(client, options, now).await? })
    }

    /// The newest events of a source that still have a body: at most so many, and no more than memory is meant for.
    pub async fn events(
        &self,
        source: &SourceName,
        limit: usize,
    ) -> Result<Vec<Arc<EventParts>>, StoreError> {
        let mut query = Query { source: Some(source.clone()), limit, ..Query::default() };
        let (mut events, mut bytes) = (Vec::new(), 0);
        loop {
            let page = self.shared.list(&query).await?;
            for some in page.events.chunks(READ_MAX) {
                let gets = some.iter().map(|kept| self.shared.get(kept.event.key));
                for kept in futures_util::future::join_all(gets).await {
                    match kept {
                        Ok(Some(kept)) if !kept.event.body.is_empty() => {
                            bytes += kept.event.body.len();
                            events.push(kept.event);
                        }
                        Ok(_) => {}
                        // One of them says nothing about the others.
                        Err(StoreError::Damaged { place }) => {
                            tracing::warn!("an event is left out: the store is damaged: {place}");
                        }
                        Err(error) => return Err(error),
                    }
                }
                if events.len() >= limit || bytes >= DICTIONARY_SAMPLES_BYTES_MAX {
                    events.truncate(limit);
                    return Ok(events);
                }
            }
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => return Ok(events),
            }
        }
    }

    /// Trains a dictionary of at most so many bytes on every other event, and measures it with the rest.
    ///
    /// `Ok(Err(_))` when there is nothing to train it on.
    pub async fn train(
        &self,
        source: &SourceName,
        events: &[Arc<EventParts>],
        bytes_max: usize,
    ) -> Result<Result<Trained, Untrained>, StoreError> {
        let present = self.shared.newest_after(source, 0).await;
        let present = present.and_then(|it| it.as_ref().map(DictionaryItem::prepared).transpose());
        let present = match present {
            // Gateways do without it too.
            Err(StoreError::Damaged { place }) => {
                tracing::warn!(
                    "the present dictionary cannot be used: the store is damaged: {place}"
                );
                None
            }
            other => other?,
        };
        Ok(self.trained(events, bytes_max, present.as_ref()))
    }

    fn trained(
        &self,
        events: &[Arc<EventParts>],
        bytes_max: usize,
        present: Option<&Dictionary>,
    ) -> Result<Trained, Untrained> {
        if events.len() < DICTIONARY_EVENTS_MIN {
            return Err(Untrained::TooFew { found: events.len() });
        }
        let half = |first: usize| events.iter().skip(first).step_by(2);
        let samples: Vec<&[u8]> = half(0).map(|event| &*event.body).collect();
        let content =
            zstd::dict::from_samples(&samples, bytes_max).map_err(Untrained::NoDictionary)?;
        // A number that costs as much as a real one.
        let number = present.map_or(1, |present| present.number + 1);
        let dictionary = Dictionary::new(number, &content).ok_or_else(|| {
            Untrained::NoDictionary(std::io::Error::other("it does not take its own"))
        })?;
        let cost = |dictionary| self.cost(half(1), dictionary);
        Ok(Trained {
            events: samples.len(),
            held_out: half(1).count(),
            without: cost(None),
            present: present.map(|present| (present.number, cost(Some(present)))),
            with: cost(Some(&dictionary)),
            content,
        })
    }

    /// What events cost as a gateway writes them.
    #[expect(clippy::cast_precision_loss, reason = "a mean is not exact to sixteen digits")]
    fn cost<'e>(
        &self,
        events: impl Iterator<Item = &'e Arc<EventParts>>,
        dictionary: Option<&Dictionary>,
    ) -> Cost {
        let (mut count, mut bytes, mut units) = (0_usize, 0, 0);
        for event in events {
            let stored = Stored::pack(&event.body, dictionary);
            count += 1;
            bytes += stored.at_hand().map_or(0, bytes::Bytes::len);
            let item = event::encode(event, stored, 1, 1_000_000, ReceiptId([0; 8]));
            let item = self.shared.with_status(item, event.intake);
            units += billed_bytes(&item).div_ceil(UNIT_BYTES);
        }
        let mean = |sum: usize| sum as f64 / count.max(1) as f64;
        Cost { body_bytes: mean(bytes), write_units: mean(units) }
    }

    /// Keeps a dictionary as the source's newest. Where it is kept: gateways find it by themselves.
    pub async fn keep(
        &self,
        source: &SourceName,
        trained: &Trained,
        now: Timestamp,
    ) -> Result<String, StoreError> {
        for _ in 0..RACES_MAX {
            let newest = self.shared.newest_item_after(source, 0).await?;
            let newest = newest.as_ref().map(dictionary::number_of).transpose()?;
            let item = DictionaryItem {
                source: source.clone(),
                number: newest.unwrap_or_default() + 1,
                content: trained.content.clone(),
                trained_at: now,
                events: trained.events as u64,
            };
            let guard = Guard::when("attribute_not_exists(pk)");
            let why = For { source: Some(source), purpose: Purpose::Dictionary };
            match self.shared.table.put(item.clone().encode(), guard, why).await? {
                Written::Done => return Ok(item.key().to_string()),
                // A retry that met its own first try.
                Written::Refused(Some(there)) if DictionaryItem::decode(&there)? == item => {
                    return Ok(item.key().to_string());
                }
                Written::Refused(_) => {}
            }
        }
        Err(Trouble::not_tried("others keep dictionaries of this source all the time").into())
    }
}
