//! Keys that a sender publishes and changes, and that somebody else fetches: nothing here does I/O.
//!
//! A scheme asks its [`KeyRing`] for a key by its name: the `kid` of a JWT, the URL of a certificate. A key that is not here
//! is noted as wanted, and its request is refused for the moment ([`Refusal::KeyPending`]); whoever has the ring asks it what
//! is [`due`](KeyRing::due), fetches that and tells what came of it ([`settle`](KeyRing::settle)).
//!
//! What a stranger's request can bring about is bounded: where keys are fetched is fixed by the configuration (of a URL in a
//! request the scheme has compared the host first), none is asked for more often than each few seconds, and a key that its
//! sender does not know is not asked for again for a while. A flood of forged names does not keep a genuine key from being
//! fetched: see [`wanted`](super::wanted). What was fetched last stays in use when a sender cannot be reached.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use zeroize::Zeroizing;

use super::{
    jwks::{self, BadKeys, PublicKey, Signing, TrustAnchor},
    wanted::Wanted,
};
use crate::{
    Refusal, Timestamp, limits,
    secret::{Secret, Validity},
};

/// Where a ring's keys come from.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum KeySource {
    /// All of them are in one document.
    Set { url: Box<str>, signing: Signing },
    /// Each is asked for by its id, with credentials: Plaid.
    Asked { url: Box<str>, client_id: Box<str>, secret: Secret, signing: Signing },
    /// Each is a certificate at the URL that is its name.
    Certificates {
        /// What is asked in place of the URL's host: for tests.
        endpoint: Option<Box<str>>,
        /// What the certificate's name must end in, where an authority has to vouch for it.
        vouched_name: Option<&'static str>,
    },
}

/// The keys of a sender, shared by who verifies and who fetches. Cheap to clone.
#[derive(Clone)]
pub struct KeyRing(Arc<Ring>);

struct Ring {
    source: KeySource,
    state: Mutex<State>,
}

#[derive(Clone)]
struct State {
    keys: BTreeMap<Box<str>, Entry>,
    /// Names that their sender does not know.
    absent: BTreeMap<Box<str>, Absent>,
    /// Names that requests wait for; of a set, at most one.
    wanted: Wanted,
    /// When the set was last read.
    read_at: Option<Timestamp>,
    /// When the set is to be read again.
    stale_at: Timestamp,
    /// Nothing is asked before this time.
    quiet_until: Timestamp,
    /// How often in a row it failed.
    failures: u32,
    is_asking: bool,
}

#[derive(Clone)]
struct Entry {
    key: Arc<PublicKey>,
    validity: Validity,
    /// When it is to be asked for again.
    stale_at: Option<Timestamp>,
}

#[derive(Clone, Copy)]
struct Absent {
    /// It is not asked for again before this time.
    until: Timestamp,
    /// How often its sender said so.
    times: u32,
}

/// What is to be done for a ring.
#[derive(Debug)]
pub enum Due {
    /// This is to be fetched, and the ring told how it went.
    Now(Fetch),
    /// Nothing before this time has passed, or a request wants a key; `None`: before a request does.
    In(Option<Duration>),
}

/// Something to fetch: by GET, or by a POST of JSON.
pub struct Fetch {
    /// From here.
    pub url: String,
    /// What to post: it holds credentials.
    pub post: Option<Zeroizing<String>>,
    name: Option<Box<str>>,
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetch").field("url", &self.url).finish_non_exhaustive()
    }
}

/// How a fetch went.
#[derive(Clone, Copy, Debug)]
pub enum Fetched<'a> {
    /// This came.
    Here {
        /// The document.
        body: &'a [u8],
        /// For how long it may be kept, if it says so.
        max_age: Option<Duration>,
    },
    /// The sender says that there is no such thing.
    NotThere,
    /// Nothing came, or nothing that counts.
    Failed,
}

impl KeyRing {
    pub(super) fn new(source: KeySource) -> Self {
        let state = State {
            keys: BTreeMap::new(),
            absent: BTreeMap::new(),
            wanted: Wanted::new(limits::KEYS_WANTED_MAX),
            read_at: None,
            stale_at: Timestamp::default(),
            quiet_until: Timestamp::default(),
            failures: 0,
            is_asking: false,
        };
        Self(Arc::new(Ring { source, state: Mutex::new(state) }))
    }

    /// Takes over what another ring has, when it is fetched from the same place with the same credentials.
    pub fn succeed(&self, former: &Self) {
        if self.0.source == former.0.source && !Arc::ptr_eq(&self.0, &former.0) {
            let mut state = former.state().clone();
            // Whoever asks for the former tells the former.
            state.is_asking = false;
            *self.state() = state;
        }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.state().keys.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The key of this name. One that is not here is wanted from now on, unless it is known not to be anywhere.
    pub(super) fn key(&self, name: &str, now: Timestamp) -> Result<Arc<PublicKey>, Refusal> {
        let mut state = self.state();
        if name.is_empty() || name.len() > limits::KEY_NAME_BYTES_MAX {
            return Err(Refusal::WrongSignature);
        }
        match state.keys.get(name) {
            Some(Entry { key, validity, .. }) if validity.contains(now) => {
                return Ok(Arc::clone(key));
            }
            // A key that has ended stays so; a certificate too.
            Some(_) => return Err(Refusal::WrongSignature),
            None if state.absent.get(name).is_some_and(|it| now < it.until) => {
                return Err(Refusal::WrongSignature);
            }
            None => {}
        }
        match &self.0.source {
            KeySource::Set { .. } => {
                // Just read, and not in it.
                if state.read_at.is_some_and(|at| now.since(at) < limits::KEYS_PAUSE && at <= now) {
                    return Err(Refusal::WrongSignature);
                }
                if state.wanted.is_empty() {
                    state.wanted.ask(name, false);
                }
            }
            KeySource::Asked { .. } | KeySource::Certificates { .. } => {
                let in_vain = state.absent.contains_key(name);
                state.wanted.ask(name, in_vain);
            }
        }
        Err(Refusal::KeyPending { retry_after: limits::KEY_RETRY_AFTER })
    }

    /// What is to be done now. Who gets a fetch carries it out and [`settle`](Self::settle)s it: until then there is no other.
    pub fn due(&self, now: Timestamp) -> Due {
        let mut state = self.state();
        if state.is_asking {
            return Due::In(None);
        }
        let is_set = matches!(self.0.source, KeySource::Set { .. });
        let stale = if is_set {
            Some((None, if state.read_at.is_some() { state.stale_at } else { now }))
        } else {
            let known = state.keys.iter();
            let stale = known.filter_map(|(name, entry)| Some((name, entry.stale_at?)));
            stale.min_by_key(|(_, at)| *at).map(|(name, at)| (Some(name.clone()), at))
        };
        let is_wanted = !state.wanted.is_empty();
        let at = if is_wanted { Some(now) } else { stale.as_ref().map(|(_, at)| *at) };
        let Some(at) = at else { return Due::In(None) };
        // A clock that was put back does not silence a ring for long.
        let quiet_until = state.quiet_until.min(now.saturating_add(limits::KEYS_REFRESH_MIN));
        let at = at.max(quiet_until);
        if at > now {
            return Due::In(Some(at.since(now)));
        }
        // A key that was found once goes first: no name that strangers bring keeps it from being looked at again.
        let stale = stale.filter(|(_, at)| is_set || !is_wanted || *at <= now);
        let name = match stale {
            Some((name, _)) => name,
            None => state.wanted.take().map(|name| (*name).into()),
        };
        if is_set {
            state.wanted.clear();
        }
        state.is_asking = true;
        state.quiet_until = now.saturating_add(self.pause());
        drop(state);
        Due::Now(self.fetch(name))
    }

    /// Takes what came of a fetch. Keys that are here stay when nothing better came. `anchors` are the authorities that may
    /// vouch for a sender's certificate.
    pub fn settle(
        &self,
        fetch: &Fetch,
        fetched: Fetched<'_>,
        anchors: &[TrustAnchor<'_>],
        now: Timestamp,
    ) -> Result<(), BadKeys> {
        let read = match fetched {
            Fetched::Here { body, max_age } => Some(self.read(fetch, body, max_age, anchors, now)),
            Fetched::NotThere | Fetched::Failed => None,
        };
        let mut state = self.state();
        state.is_asking = false;
        match (read, &fetch.name, fetched) {
            (Some(Ok(read)), _, _) => {
                state.failures = 0;
                if fetch.name.is_none() {
                    // A set is taken whole: a key that is no longer in it was withdrawn.
                    state.keys.clear();
                    state.wanted.clear();
                    state.read_at = Some(now);
                    state.stale_at = read.stale_at;
                }
                for (name, entry) in read.keys {
                    state.insert(name, entry);
                }
                Ok(())
            }
            (None, Some(name), Fetched::NotThere) => {
                state.keys.remove(name);
                let times = state.absent.get(name).map_or(0, |it| it.times);
                let pause = limits::KEY_ABSENT.saturating_mul(1 << times.min(8));
                let until = now.saturating_add(pause.min(limits::KEY_ABSENT_MAX));
                state.miss(name.clone(), Absent { until, times: times.saturating_add(1) });
                Ok(())
            }
            (read, name, _) => {
                state.failures = state.failures.saturating_add(1);
                let pause = self.pause().saturating_mul(1 << state.failures.min(8));
                let pause = pause.min(limits::KEYS_REFRESH_MIN);
                match name {
                    None => state.quiet_until = now.saturating_add(pause),
                    // What is asked for by name fails by name: others need not wait for it.
                    Some(name) => {
                        let unusable = matches!(read, Some(Err(_)));
                        if let Some(entry) = state.keys.get_mut(name) {
                            entry.stale_at = Some(now.saturating_add(pause));
                        } else if unusable {
                            let until = now.saturating_add(pause.min(limits::KEYS_PAUSE));
                            state.miss(name.clone(), Absent { until, times: 0 });
                        }
                    }
                }
                match read {
                    Some(Err(bad)) => Err(bad),
                    Some(Ok(_)) | None => Ok(()),
                }
            }
        }
    }

    fn read(
        &self,
        fetch: &Fetch,
        body: &[u8],
        max_age: Option<Duration>,
        anchors: &[TrustAnchor<'_>],
        now: Timestamp,
    ) -> Result<Read, BadKeys> {
        let refresh = max_age
            .unwrap_or(limits::KEYS_REFRESH_DEFAULT)
            .clamp(limits::KEYS_REFRESH_MIN, limits::KEYS_REFRESH_MAX);
        let stale_at = now.saturating_add(refresh);
        let name = || fetch.name.clone().unwrap_or_default();
        let keys = match &self.0.source {
            KeySource::Set { signing, .. } => jwks::key_set(body, *signing)?
                .into_iter()
                .map(|(id, key)| {
                    let validity = Validity::default();
                    (id.into(), Entry { key: key.into(), validity, stale_at: None })
                })
                .collect(),
            KeySource::Asked { signing, .. } => {
                let answer = jwks::strict_json(body).ok_or(BadKeys::NotADocument)?;
                let written = answer.get("key").ok_or(BadKeys::NotADocument)?;
                let (id, key) = jwks::jwk(written, *signing).ok_or(BadKeys::NoKey)?;
                if *id != *name() {
                    return Err(BadKeys::NoKey);
                }
                let ended = match written.get("expired_at") {
                    None | Some(serde_json::Value::Null) => None,
                    Some(at) => {
                        Some(Timestamp::from_secs(at.as_u64().ok_or(BadKeys::NotADocument)?))
                    }
                };
                let validity = Validity { not_before: None, not_after: ended };
                vec![(name(), Entry { key: key.into(), validity, stale_at: Some(stale_at) })]
            }
            KeySource::Certificates { vouched_name, .. } => {
                let (key, validity) = match vouched_name {
                    Some(suffix) => jwks::trusted_certificate(body, suffix, anchors, now)?,
                    None => jwks::certificate(body, now)?,
                };
                vec![(name(), Entry { key: key.into(), validity, stale_at: None })]
            }
        };
        Ok(Read { keys, stale_at })
    }

    fn fetch(&self, name: Option<Box<str>>) -> Fetch {
        match &self.0.source {
            KeySource::Set { url, .. } => Fetch { url: url.to_string(), post: None, name: None },
            KeySource::Asked { url, client_id, secret, .. } => {
                let id = name.as_deref().unwrap_or_default();
                let post = serde_json::json!({
                    "client_id": client_id, "secret": secret.expose(), "key_id": id,
                });
                Fetch { url: url.to_string(), post: Some(post.to_string().into()), name }
            }
            KeySource::Certificates { endpoint, .. } => {
                let url = name.as_deref().unwrap_or_default();
                Fetch { url: at_endpoint(url, endpoint.as_deref()), post: None, name }
            }
        }
    }

    fn pause(&self) -> Duration {
        match self.0.source {
            KeySource::Set { .. } => limits::KEYS_PAUSE,
            KeySource::Asked { .. } | KeySource::Certificates { .. } => limits::KEYS_PAUSE_BY_NAME,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in another thread leaves the state whole: its steps are single insertions and removals.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Read {
    keys: Vec<(Box<str>, Entry)>,
    stale_at: Timestamp,
}

impl State {
    /// Keeps a bounded number of keys: what ends first goes.
    fn insert(&mut self, name: Box<str>, entry: Entry) {
        self.absent.remove(&name);
        if !self.keys.contains_key(&name) && self.keys.len() >= limits::KEYS_MAX {
            let first = self.keys.iter().min_by_key(|(_, entry)| entry.validity.not_after);
            let first = first.map(|(name, _)| name.clone());
            first.and_then(|name| self.keys.remove(&name));
        }
        self.keys.insert(name, entry);
    }

    /// Keeps a bounded number of names that are nowhere: what may be asked for again first goes.
    fn miss(&mut self, name: Box<str>, absent: Absent) {
        if !self.absent.contains_key(&name) && self.absent.len() >= limits::KEYS_ABSENT_MAX {
            let first = self.absent.iter().min_by_key(|(_, absent)| absent.until);
            let first = first.map(|(name, _)| name.clone());
            first.and_then(|name| self.absent.remove(&name));
        }
        self.absent.insert(name, absent);
    }
}

/// A URL, or its path and query at the endpoint that is asked in its place.
pub(super) fn at_endpoint(url: &str, endpoint: Option<&str>) -> String {
    let after_host = || url.split_once("://")?.1.split_once('/');
    match (endpoint, after_host()) {
        (Some(endpoint), Some((_, path))) => format!("{}/{path}", endpoint.trim_end_matches('/')),
        (Some(_), None) | (None, _) => url.to_owned(),
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("keys", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn after(secs: u64) -> Timestamp {
        START.saturating_add(Duration::from_secs(secs))
    }

    fn set_of(url: &str) -> KeyRing {
        KeyRing::new(KeySource::Set { url: url.into(), signing: Signing::P256 })
    }

    fn asked() -> KeyRing {
        KeyRing::new(KeySource::Asked {
            url: "https://keys.hookward.test/get".into(),
            client_id: "client".into(),
            secret: Secret::new("9f86d081884c7d659a2feaa0c55ad015".to_owned()),
            signing: Signing::P256,
        })
    }

    fn jwk(id: &str) -> String {
        let (x, y) = ("A".repeat(43), "A".repeat(43));
        format!(r#"{{"kty":"EC","crv":"P-256","kid":"{id}","x":"{x}","y":"{y}"}}"#)
    }

    fn keys(ids: &[&str]) -> String {
        let keys: Vec<_> = ids.iter().map(|id| jwk(id)).collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    fn fetch(ring: &KeyRing, now: Timestamp) -> Fetch {
        match ring.due(now) {
            Due::Now(fetch) => fetch,
            Due::In(after) => panic!("nothing is due for {after:?}"),
        }
    }

    fn waits(ring: &KeyRing, now: Timestamp) -> Option<u64> {
        match ring.due(now) {
            Due::Now(fetch) => panic!("{fetch:?} is due"),
            Due::In(after) => after.map(|after| after.as_secs()),
        }
    }

    fn reads(
        ring: &KeyRing,
        body: &str,
        max_age: Option<u64>,
        now: Timestamp,
    ) -> Result<(), BadKeys> {
        let fetch = fetch(ring, now);
        let max_age = max_age.map(Duration::from_secs);
        ring.settle(&fetch, Fetched::Here { body: body.as_bytes(), max_age }, &[], now)
    }

    fn asks(ring: &KeyRing, id: &str, now: Timestamp) -> &'static str {
        ring.key(id, now).map_or_else(|refusal| refusal.as_str(), |_| "found")
    }

    #[test]
    fn a_set_is_read_at_the_start_and_whole_each_time() {
        let ring = set_of("https://keys.hookward.test/");
        assert_eq!(asks(&ring, "a", START), "key_pending");
        reads(&ring, &keys(&["a", "b"]), Some(600), START).unwrap();
        assert_eq!((asks(&ring, "a", START), asks(&ring, "b", START)), ("found", "found"));
        assert_eq!(waits(&ring, after(1)), Some(599));
        reads(&ring, &keys(&["b", "c"]), Some(600), after(600)).unwrap();
        assert_eq!(asks(&ring, "a", after(601)), "wrong_signature");
        assert_eq!(asks(&ring, "c", after(601)), "found");
    }

    #[test]
    fn cache_control_is_believed_within_bounds() {
        for (max_age, expected) in [
            (Some(0), limits::KEYS_REFRESH_MIN),
            (Some(u64::MAX / 2_000_000), limits::KEYS_REFRESH_MAX),
            (None, limits::KEYS_REFRESH_DEFAULT),
        ] {
            let ring = set_of("https://keys.hookward.test/");
            reads(&ring, &keys(&["a"]), max_age, START).unwrap();
            assert_eq!(waits(&ring, START), Some(expected.as_secs()), "{max_age:?}");
        }
    }

    #[test]
    fn an_unknown_id_has_a_set_read_again_but_not_more_often_than_that() {
        let ring = set_of("https://keys.hookward.test/");
        reads(&ring, &keys(&["a"]), None, START).unwrap();
        assert_eq!(asks(&ring, "b", after(9)), "wrong_signature");
        assert_eq!(asks(&ring, "b", after(10)), "key_pending");
        for id in 0..1_000 {
            assert_eq!(asks(&ring, &format!("id {id}"), after(10)), "key_pending");
        }
        reads(&ring, &keys(&["a", "b"]), None, after(10)).unwrap();
        assert_eq!(asks(&ring, "b", after(10)), "found");
        assert_eq!(asks(&ring, "id 1", after(19)), "wrong_signature");
        assert_eq!(waits(&ring, after(19)), Some(3_591));
    }

    #[test]
    fn what_was_read_last_stays_while_nothing_better_comes() {
        let ring = set_of("https://keys.hookward.test/");
        reads(&ring, &keys(&["a"]), Some(300), START).unwrap();
        let mut now = after(300);
        let mut pauses = Vec::new();
        for bad in
            [None, Some(""), Some("{}"), Some(r#"{"keys":[]}"#), Some(r#"{"keys":[],"keys":[]}"#)]
        {
            let fetch = fetch(&ring, now);
            let fetched = match bad {
                None => Fetched::Failed,
                Some(body) => Fetched::Here { body: body.as_bytes(), max_age: None },
            };
            assert_eq!(ring.settle(&fetch, fetched, &[], now).is_err(), bad.is_some());
            assert_eq!(asks(&ring, "a", now), "found");
            let pause = waits(&ring, now).unwrap();
            pauses.push(pause);
            now = now.saturating_add(Duration::from_secs(pause));
        }
        assert_eq!(pauses, [20, 40, 80, 160, 300]);
        reads(&ring, &keys(&["b"]), Some(300), now).unwrap();
        assert_eq!(asks(&ring, "a", now), "wrong_signature");
    }

    #[test]
    fn one_fetch_is_under_way_at_a_time() {
        let ring = set_of("https://keys.hookward.test/");
        let first = fetch(&ring, START);
        assert_eq!(waits(&ring, after(100)), None);
        ring.settle(&first, Fetched::Failed, &[], after(100)).unwrap();
        drop(fetch(&ring, after(120)));
    }

    #[test]
    fn a_name_that_is_nowhere_is_asked_for_ever_less_often() {
        let ring = asked();
        assert_eq!(waits(&ring, START), None, "nothing is fetched before a request wants it");
        let mut now = START;
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(asks(&ring, "a", now), "key_pending");
            let fetch = fetch(&ring, now);
            assert!(fetch.post.as_ref().unwrap().contains("\"a\""));
            assert!(!format!("{fetch:?}").contains("9f86"));
            ring.settle(&fetch, Fetched::NotThere, &[], now).unwrap();
            let until = now.saturating_add(Duration::from_mins(pause));
            let before = until.saturating_sub(Duration::from_secs(1));
            assert_eq!(asks(&ring, "a", before), "wrong_signature", "known not to be anywhere");
            assert_eq!(waits(&ring, before), None);
            now = until;
        }
    }

    /// Lives through a flood of forged names and one genuine key, in ticks of 10 ms; after how many seconds that is there.
    fn found_after(
        forged: impl Fn(u64) -> Option<String>,
        genuine: impl Fn(u64) -> bool,
    ) -> Option<u64> {
        let ring = asked();
        let body = format!(r#"{{"key":{}}}"#, jwk("genuine"));
        for tick in 0..360_000 {
            let now = START.saturating_add(Duration::from_millis(10 * tick));
            if genuine(tick) && asks(&ring, "genuine", now) == "found" {
                return Some(tick / 100);
            }
            for number in 0..10 {
                if let Some(name) = forged(10 * tick + number) {
                    assert_ne!(asks(&ring, &name, now), "found");
                }
            }
            if let Due::Now(fetch) = ring.due(now) {
                let here = Fetched::Here { body: body.as_bytes(), max_age: None };
                let is_genuine = fetch.name.as_deref() == Some("genuine");
                ring.settle(&fetch, if is_genuine { here } else { Fetched::NotThere }, &[], now)
                    .unwrap();
            }
        }
        None
    }

    #[test]
    fn a_flood_of_forged_names_delays_a_genuine_key_by_seconds() {
        // A thousand forged requests each second, and one genuine one each half second.
        let genuine = |tick| tick % 50 == 0;
        assert_eq!(found_after(|_| None, genuine), Some(0));
        assert_eq!(found_after(|number| Some(format!("new {number}")), genuine), Some(2));
        let thrice = |number| Some(format!("thrice {}", number / 3));
        assert_eq!(found_after(thrice, genuine), Some(2));
        // Forged names that are repeated more often than the genuine one cost one fetch each, which is two seconds.
        for names in [10, 100] {
            let repeated = |number| Some(format!("repeated {}", number % names));
            let after = found_after(repeated, genuine).unwrap();
            assert!(after <= 2 * (names + 2), "{names}: {after} s");
        }
    }

    #[test]
    fn a_known_key_is_looked_at_again_in_a_flood_too() {
        let ring = asked();
        assert_eq!(asks(&ring, "genuine", START), "key_pending");
        let body = format!(r#"{{"key":{}}}"#, jwk("genuine"));
        reads(&ring, &body, Some(300), START).unwrap();
        for (secs, expected) in [(298, "forged 298"), (300, "genuine")] {
            assert_eq!(asks(&ring, &format!("forged {secs}"), after(secs)), "key_pending");
            let fetch = fetch(&ring, after(secs));
            assert_eq!(fetch.name.as_deref(), Some(expected));
            ring.settle(&fetch, Fetched::Failed, &[], after(secs)).unwrap();
        }
        assert_eq!(fetch(&ring, after(302)).name.as_deref(), Some("forged 300"));
    }

    #[test]
    fn a_ring_stays_bounded_and_forgets_no_key_for_what_is_nowhere() {
        let ring = asked();
        let mut now = START;
        let mut take = |id: &str, there: bool| {
            now = now.saturating_add(limits::KEYS_PAUSE_BY_NAME);
            assert_eq!(asks(&ring, id, now), "key_pending");
            let fetch = fetch(&ring, now);
            let body = format!(r#"{{"key":{}}}"#, jwk(id));
            let here = Fetched::Here { body: body.as_bytes(), max_age: Some(Duration::MAX) };
            ring.settle(&fetch, if there { here } else { Fetched::NotThere }, &[], now).unwrap();
            now
        };
        take("good", true);
        for id in 0..2_000 {
            take(&format!("id {id}"), false);
        }
        let now = take("last", true);
        assert_eq!((asks(&ring, "good", now), asks(&ring, "last", now)), ("found", "found"));
        assert_eq!((ring.len(), ring.state().absent.len()), (2, limits::KEYS_ABSENT_MAX));
    }

    #[test]
    fn a_reloaded_source_keeps_keys_from_the_same_place_only() {
        let ring = set_of("https://keys.hookward.test/");
        reads(&ring, &keys(&["a"]), None, START).unwrap();
        for (url, expected) in [
            ("https://keys.hookward.test/", "found"),
            ("https://other.hookward.test/", "key_pending"),
        ] {
            let next = set_of(url);
            next.succeed(&ring);
            assert_eq!(asks(&next, "a", START), expected);
        }
    }

    #[test]
    fn an_endpoint_takes_the_place_of_a_host() {
        let check = |endpoint, expected: &str| {
            assert_eq!(at_endpoint("https://sns.eu.amazonaws.com/a?b=c", endpoint), expected);
        };
        check(None, "https://sns.eu.amazonaws.com/a?b=c");
        check(Some("http://127.0.0.1:4566"), "http://127.0.0.1:4566/a?b=c");
        check(Some("http://127.0.0.1:4566/"), "http://127.0.0.1:4566/a?b=c");
    }
}
