//! Random histories, told to a store and to the model at once: each answer must be the same.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use hookward_core::{
    ContentDigest, Event, EventKey, EventParts, Intake, Quarantine, SourceName, Timestamp,
    event::testing,
};
use hookward_store::{
    Attempt, Claim, Counts, Kept, Lease, Outcome, Query, Receipt, State, Store, StoreError,
    memory::Memory,
};
use proptest::{collection::vec, prelude::*};

/// Keys that histories use: few, so that they meet.
pub(crate) const KEYS: u8 = 12;

/// Something that is done to a store.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Append(Appended),
    /// Appends at once, so that they share a group.
    Burst(Vec<Appended>),
    Lease {
        sources: u8,
        limit: usize,
    },
    Settle {
        which: usize,
        how: How,
    },
    Extend {
        which: usize,
    },
    Requeue(u8),
    Discard(u8),
    Expire,
    Wait {
        seconds: u64,
    },
    Get(u8),
    List {
        state: Option<usize>,
        source: Option<u8>,
        limit: usize,
    },
    Counts,
    /// The store is closed, or just dropped, and opened again.
    Restart {
        close: bool,
    },
}

/// An append of a history.
#[derive(Clone, Debug)]
pub(crate) struct Appended {
    pub(crate) key: u8,
    other_content: bool,
    source: u8,
    intake: u8,
    body: u16,
    claim: bool,
    body_kept: u64,
    key_kept: Option<u64>,
}

/// How a lease is settled.
#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    Done,
    Again,
    Release,
    Dead,
}

prop_compose! {
    fn appended()(
        key in 0..KEYS, other_content in prop::bool::weighted(0.1), source in 0..3_u8,
        intake in prop_oneof![8 => Just(0_u8), 1 => Just(1), 1 => Just(2)],
        body in prop_oneof![5 => 0..200_u16, 1 => 200..3_000_u16],
        claim in prop::bool::weighted(0.3), body_kept in 0..500_u64, key_kept in prop::option::weighted(0.8, 0..900_u64),
    ) -> Appended {
        Appended { key, other_content, source, intake, body, claim, body_kept, key_kept }
    }
}

/// A step of any kind.
pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => appended().prop_map(Step::Append),
        5 => vec(appended(), 2..6).prop_map(Step::Burst),
        20 => (1..8_u8, 1..6_usize).prop_map(|(sources, limit)| Step::Lease { sources, limit }),
        30 => (any::<usize>(), prop_oneof![4 => Just(How::Done), 2 => Just(How::Again), 1 => Just(How::Release), 1 => Just(How::Dead)])
            .prop_map(|(which, how)| Step::Settle { which, how }),
        2 => any::<usize>().prop_map(|which| Step::Extend { which }),
        5 => (0..KEYS).prop_map(Step::Requeue),
        4 => (0..KEYS).prop_map(Step::Discard),
        6 => Just(Step::Expire),
        10 => (1..200_u64).prop_map(|seconds| Step::Wait { seconds }),
        5 => (0..KEYS).prop_map(Step::Get),
        3 => (prop::option::of(0..5_usize), prop::option::of(0..3_u8), 1..8_usize)
            .prop_map(|(state, source, limit)| Step::List { state, source, limit }),
        2 => Just(Step::Counts),
        4 => any::<bool>().prop_map(|close| Step::Restart { close }),
    ]
}

/// A store and its model, and what a history knows of them.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) model: Arc<Memory>,
    now: Timestamp,
    leases: Vec<(Lease, Lease)>,
    expired: bool,
}

/// What can be seen of an event, in any store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    state: State,
    replays: u32,
    attempts: u32,
    body: Option<Vec<u8>>,
}

impl World {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let now = Timestamp::from_secs(1_000_000);
        Self { store, model: Arc::new(Memory::default()), now, leases: Vec::new(), expired: false }
    }

    /// Does the step to both; `Err` says how they differ.
    pub(crate) async fn step(
        &mut self,
        step: &Step,
        reopen: &mut dyn FnMut() -> Arc<dyn Store>,
    ) -> Result<(), String> {
        match step {
            Step::Append(append) => {
                let event = event(append, self.now);
                self.append(append, event).await
            }
            Step::Burst(appends) => self.burst(appends).await,
            Step::Lease { sources, limit } => self.lease(*sources, *limit).await,
            Step::Settle { which, how } => self.settle(*which, *how).await,
            Step::Extend { which } => self.extend(*which).await,
            Step::Requeue(key) => {
                let (real, model) = (
                    self.store.requeue(name(*key), self.now).await,
                    self.model.requeue(name(*key), self.now).await,
                );
                same(&format!("requeue {key}"), real.map_err(kind), model.map_err(kind))
            }
            Step::Discard(key) => {
                let (real, model) = (
                    self.store.discard(name(*key), self.now).await,
                    self.model.discard(name(*key), self.now).await,
                );
                same(&format!("discard {key}"), real.map_err(kind), model.map_err(kind))
            }
            Step::Expire => {
                self.expired = true;
                let (real, model) =
                    (self.store.expire(self.now).await, self.model.expire(self.now).await);
                same("expire", real.map(drop).map_err(kind), model.map(drop).map_err(kind))
            }
            Step::Wait { seconds } => {
                self.now = self.now.saturating_add(Duration::from_secs(*seconds));
                Ok(())
            }
            Step::Get(key) => self.compare(*key).await,
            Step::List { state, source, limit } => self.list(*state, *source, *limit).await,
            Step::Counts => self.counts().await,
            Step::Restart { close } => {
                if *close {
                    self.store.close().await.map_err(|error| format!("closing: {error}"))?;
                }
                self.store = Arc::new(Memory::default());
                self.store = reopen();
                self.model = Arc::new(self.model.restarted());
                // Holders from before are fenced from now on.
                Ok(())
            }
        }
    }

    /// Compares all keys, all lists and the counts.
    pub(crate) async fn compare_all(&self) -> Result<(), String> {
        for key in 0..KEYS {
            self.compare(key).await?;
        }
        for state in [None, Some(0), Some(1), Some(2), Some(3), Some(4)] {
            self.list(state, None, 100).await?;
        }
        self.counts().await
    }

    async fn append(&mut self, append: &Appended, event: Event) -> Result<(), String> {
        let claim = self.claim(append);
        let real = self.store.append(event.clone(), claim).await;
        let model = self.model.append(event, claim).await;
        if let (Ok(Receipt::Kept { lease: Some(real) }), Ok(Receipt::Kept { lease: Some(model) })) =
            (&real, &model)
        {
            self.leases.push((real.clone(), model.clone()));
        }
        same(
            &format!("append {append:?}"),
            real.map(receipt).map_err(kind),
            model.map(receipt).map_err(kind),
        )
    }

    /// All at once. In which order they arrive is the store's affair, and is asked afterwards.
    async fn burst(&mut self, appends: &[Appended]) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        let appends = appends.iter().filter(|append| seen.insert(append.key)).cloned();
        let mut arriving = Vec::new();
        for append in appends {
            let (store, event) = (Arc::clone(&self.store), event(&append, self.now));
            let appending = tokio::spawn(async move { store.append(event, Claim::Queue).await });
            arriving.push((append, appending));
        }
        let mut arrived = Vec::new();
        for (append, appending) in arriving {
            arrived.push((append, appending.await.map_err(|error| error.to_string())?));
        }
        let all = Query { limit: usize::MAX, ..Query::default() };
        let listed = self.store.list(&all).await.map_err(|error| format!("list: {error}"))?.events;
        let position = |key| listed.iter().position(|kept| kept.event.key == name(key));
        arrived.sort_by_key(|(append, _)| std::cmp::Reverse(position(append.key)));
        for (append, real) in arrived {
            let model = self.model.append(event(&append, self.now), Claim::Queue).await;
            same(
                &format!("append {append:?}"),
                real.map(receipt).map_err(kind),
                model.map(receipt).map_err(kind),
            )?;
        }
        Ok(())
    }

    fn claim(&self, append: &Appended) -> Claim {
        if append.claim { Claim::Lease { until: self.lease_end() } } else { Claim::Queue }
    }

    fn lease_end(&self) -> Timestamp {
        self.now.saturating_add(Duration::from_mins(1))
    }

    async fn lease(&mut self, sources: u8, limit: usize) -> Result<(), String> {
        let sources: Vec<SourceName> =
            (0..3).filter(|bit| sources & (1 << bit) != 0).map(source).collect();
        let until = self.lease_end();
        let real = self.store.lease(&sources, self.now, until, limit).await.map_err(kind)?;
        let model = self.model.lease(&sources, self.now, until, limit).await.map_err(kind)?;
        same("next due", real.next_due, model.next_due)?;
        same("leased", real.leased.len(), model.leased.len())?;
        for (real, model) in real.leased.into_iter().zip(model.leased) {
            same("leased event", &real.event, &model.event)?;
            same("its progress", (real.attempts, real.replays), (model.attempts, model.replays))?;
            same(
                "its lease",
                (real.lease.key, real.lease.until),
                (model.lease.key, model.lease.until),
            )?;
            let former = self.leases.iter().filter(|(former, _)| former.key == real.lease.key);
            if former.map(|(former, _)| former.token).any(|token| token >= real.lease.token) {
                return Err(format!("the token of {:?} is not higher than before", real.lease));
            }
            self.leases.push((real.lease, model.lease));
        }
        Ok(())
    }

    async fn settle(&mut self, which: usize, how: How) -> Result<(), String> {
        let Some((real, model)) = pick(&self.leases, which) else { return Ok(()) };
        let attempt = Attempt {
            at: self.now,
            status: Some(200),
            note: format!("settled {which} as {how:?}").into(),
        };
        let at = self.now.saturating_add(Duration::from_secs(which as u64 % 90));
        let outcome = match how {
            How::Done => Outcome::Done(attempt),
            How::Again => Outcome::Again { at, attempt },
            How::Release => Outcome::Release { at },
            How::Dead => Outcome::Dead(attempt),
        };
        let (real, model) = (
            self.store.settle(real, outcome.clone(), self.now).await,
            self.model.settle(model, outcome, self.now).await,
        );
        same(&format!("settle {how:?}"), real.map_err(kind), model.map_err(kind))
    }

    async fn extend(&mut self, which: usize) -> Result<(), String> {
        let Some((real, model)) = pick(&self.leases, which) else { return Ok(()) };
        let until = self.lease_end();
        let (real, model) = (
            self.store.extend(&real, self.now, until).await,
            self.model.extend(&model, self.now, until).await,
        );
        same(
            "extend",
            real.map(|lease| lease.until).map_err(kind),
            model.map(|lease| lease.until).map_err(kind),
        )
    }

    async fn compare(&self, key: u8) -> Result<(), String> {
        let real =
            self.store.get(name(key)).await.map_err(|error| format!("get {key}: {error}"))?;
        let model = self.model.get(name(key)).await.map_err(kind)?;
        same(&format!("get {key}"), real.map(view), model.map(view))
    }

    async fn list(
        &self,
        state: Option<usize>,
        source_of: Option<u8>,
        limit: usize,
    ) -> Result<(), String> {
        let state = state.map(|state| State::ALL[state]);
        let mut query = Query { state, source: source_of.map(source), limit, ..Query::default() };
        let mut reals = Vec::new();
        loop {
            let page = self.store.list(&query).await.map_err(|error| format!("list: {error}"))?;
            reals.extend(page.events.into_iter().map(view));
            query.cursor = page.next;
            if page.next.is_none() {
                break;
            }
        }
        query.limit = usize::MAX;
        let model = self.model.list(&query).await.map_err(kind)?;
        same(&format!("list {state:?}"), reals, model.events.into_iter().map(view).collect())
    }

    async fn counts(&self) -> Result<(), String> {
        let blur = |counts: Counts| Counts { stored_bytes: 0, finished: 0, ..counts };
        let real = self.store.counts().await.map_err(kind)?;
        let model = self.model.counts().await.map_err(kind)?;
        same("counts", blur(real), blur(model))?;
        // What has expired is counted until its segment goes.
        let right = if self.expired {
            real.finished >= model.finished
        } else {
            real.finished == model.finished
        };
        if right {
            Ok(())
        } else {
            Err(format!("finished: {}, the model says {}", real.finished, model.finished))
        }
    }
}

/// What can be seen of each key.
pub(crate) async fn observe(store: &dyn Store) -> Result<Vec<Option<Seen>>, String> {
    let mut all = Vec::new();
    for key in 0..KEYS {
        let kept = store.get(name(key)).await.map_err(|error| format!("get {key}: {error}"))?;
        all.push(kept.map(|kept| Seen {
            state: kept.state,
            replays: kept.replays,
            attempts: if kept.body_expired { 0 } else { kept.attempts },
            body: (!kept.body_expired).then(|| kept.event.body.to_vec()),
        }));
    }
    Ok(all)
}

/// Leases all that is pending, and gives back which keys that are.
pub(crate) async fn drain(store: &dyn Store) -> Result<Vec<EventKey>, String> {
    let sources: Vec<SourceName> = (0..3).map(source).collect();
    let never = Timestamp::from_micros(u64::MAX);
    let work = store
        .lease(&sources, never, never, 1_000)
        .await
        .map_err(|error| format!("lease: {error}"))?;
    Ok(work.leased.into_iter().map(|leased| leased.lease.key).collect())
}

/// Whether the event is one that is to be delivered, for [`drain`] to give back.
pub(crate) fn is_pending(seen: &Option<Seen>) -> bool {
    seen.as_ref().is_some_and(|seen| seen.state == State::Pending)
}

pub(crate) fn name(key: u8) -> EventKey {
    let mut bytes = [0; 16];
    for (i, byte) in (0_u8..).zip(&mut bytes) {
        *byte = key.wrapping_mul(151).wrapping_add(i).wrapping_mul(73);
    }
    EventKey::from_bytes(bytes)
}

fn source(number: u8) -> SourceName {
    SourceName::parse(["shop", "bank", "post"][usize::from(number)]).unwrap()
}

pub(crate) fn event(append: &Appended, now: Timestamp) -> Event {
    let after = |seconds| now.saturating_add(Duration::from_secs(seconds));
    let body: Vec<u8> = (0..append.body).map(|i| (i % 251) as u8 ^ append.key).collect();
    testing::event(EventParts {
        key: name(append.key),
        source: source(append.source),
        event_type: append.key.is_multiple_of(2).then(|| "paid".into()),
        sender_id: Some(format!("id-{}", append.key).into()),
        content: ContentDigest::from_bytes(
            [append.key ^ if append.other_content { 0x80 } else { 0 }; 16],
        ),
        received_at: now,
        intake: match append.intake {
            0 => Intake::Deliver,
            1 => Intake::Archive,
            _ => Intake::Quarantine(Quarantine::MissingId),
        },
        headers: vec![("x".into(), [append.key].into())],
        body: body.into(),
        body_expires_at: after(append.body_kept),
        key_expires_at: append.key_kept.map(after),
    })
}

/// One of the latest: the early ones are fenced long since.
fn pick<T: Clone>(from: &[T], which: usize) -> Option<T> {
    let recent = &from[from.len().saturating_sub(6)..];
    recent.get(which % recent.len().max(1)).cloned()
}

fn receipt(receipt: Receipt) -> String {
    match receipt {
        Receipt::Kept { lease } => {
            format!("kept, leased until {:?}", lease.map(|lease| lease.until))
        }
        Receipt::Duplicate { state } => format!("duplicate of {state:?}"),
        Receipt::Conflict { state } => format!("conflict with {state:?}"),
    }
}

fn kind(error: StoreError) -> String {
    error.to_string()
}

/// What stores agree on about an event. Of one whose body has expired they may know little.
fn view(kept: Kept) -> String {
    let event = &kept.event;
    if kept.body_expired {
        return format!(
            "{} {} {:?} {:?} {:?}: {:?} {:?} replayed {}, expired",
            event.key,
            event.source,
            event.content,
            event.received_at,
            event.intake,
            kept.state,
            kept.dead,
            kept.replays
        );
    }
    format!("{kept:?}")
}

fn same<T: std::fmt::Debug + PartialEq>(what: &str, real: T, model: T) -> Result<(), String> {
    if real == model { Ok(()) } else { Err(format!("{what}: {real:?}, the model says {model:?}")) }
}
