//! Who may ask how often: rates, and the buckets that hold a caller to one.
//!
//! A bucket is one number (GCRA): the time at which it will be full again. So it costs 8 bytes, fills
//! without a timer, and a full bucket is the same as none. Times are monotonic, measured from any fixed
//! start; a time before an earlier one is safe, it only fills nothing.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    net::IpAddr,
    num::{NonZeroU32, NonZeroUsize},
    str::FromStr,
    sync::{
        LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{address::AddressGroup, limits};

/// How many per unit of time, written `100/s`, `5000/m`, `20000/h` or `1000000/d`.
///
/// At least one, at most [`Rate::PER_SECOND_MAX`] per second on average.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    count: NonZeroU32,
    per: Unit,
}

impl Rate {
    /// The fastest rate, per second. Above it, counting in nanoseconds would not be exact enough.
    pub const PER_SECOND_MAX: u32 = 1_000_000;

    /// How many, in the unit that the rate was written in: a sensible burst, if none is given.
    pub const fn count(self) -> NonZeroU32 {
        self.count
    }

    /// The time between two at an even pace.
    pub const fn interval(self) -> Duration {
        Duration::from_nanos(self.interval_nanos())
    }

    const fn interval_nanos(self) -> u64 {
        self.per.nanos() / self.count.get() as u64
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Unit {
    Second,
    Minute,
    Hour,
    Day,
}

impl Unit {
    const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Hour, Self::Day];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "m",
            Self::Hour => "h",
            Self::Day => "d",
        }
    }

    const fn secs(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    const fn nanos(self) -> u64 {
        self.secs() * 1_000_000_000
    }
}

/// The form that [`Rate::from_str`] reads.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.per.as_str())
    }
}

impl FromStr for Rate {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Self, NotARate> {
        let (count, unit) = text.split_once('/').ok_or(NotARate::Malformed)?;
        let per = Unit::ALL.into_iter().find(|known| known.as_str() == unit);
        let per = per.ok_or(NotARate::Malformed)?;
        if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotARate::Malformed);
        }
        let count: u32 = count.parse().map_err(|_| NotARate::TooFast)?;
        let count = NonZeroU32::new(count).ok_or(NotARate::Zero)?;
        if u64::from(count.get()) > u64::from(Self::PER_SECOND_MAX) * per.secs() {
            return Err(NotARate::TooFast);
        }
        Ok(Self { count, per })
    }
}

/// Why a text is not a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotARate {
    /// It has another form.
    #[error("a rate is a whole number, a slash and one of s, m, h, d, such as 100/s or 5000/m")]
    Malformed,
    /// It allows nothing.
    #[error("a rate of 0 would refuse everything; leave the key out to have no limit")]
    Zero,
    /// It allows more than can be counted.
    #[error("a rate is at most {} per second", Rate::PER_SECOND_MAX)]
    TooFast,
}

/// What a bucket holds its caller to: a rate in the long run, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The rate in the long run.
    pub rate: Rate,
    /// How many may come at once out of a full bucket.
    pub burst: NonZeroU32,
}

impl Budget {
    /// The decision for a bucket that will be full at `full_at`: when it is full after one more was
    /// taken, or how long until there is one to take.
    fn take(self, full_at: u64, now: u64) -> Result<u64, RetryAfter> {
        let interval = self.rate.interval_nanos();
        let next = full_at.max(now).saturating_add(interval);
        // A burst that takes centuries to fill again saturates, and is then a little smaller than asked for.
        let holds = interval.saturating_mul(u64::from(self.burst.get()));
        match next.saturating_sub(now).checked_sub(holds) {
            None | Some(0) => Ok(next),
            Some(missing) => Err(RetryAfter(Duration::from_nanos(missing))),
        }
    }

    fn refund(self, full_at: u64) -> u64 {
        full_at.saturating_sub(self.rate.interval_nanos())
    }
}

/// How often the secrets of a source may be doubted: wrong signatures have them looked up again no more often.
pub static DOUBT_BUDGET: LazyLock<Budget> = LazyLock::new(|| Budget {
    rate: format!("{}/m", limits::SECRETS_DOUBTED_PER_MINUTE).parse().expect("a constant rate"),
    burst: NonZeroU32::MIN,
});

/// The bucket is empty: there will be one to take after this time, if nobody else takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("over the budget for {:.3} s more", .0.as_secs_f64())]
pub struct RetryAfter(pub Duration);

/// One caller's bucket, full at first.
///
/// Taking costs one token; a bucket that refuses is left as it was, so that asking in vain does not
/// put off the next success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    full_at: u64,
}

impl Bucket {
    /// Takes one token, or says how long until there is one.
    pub fn take(&mut self, budget: &Budget, now: Duration) -> Result<(), RetryAfter> {
        self.full_at = budget.take(self.full_at, nanos(now))?;
        Ok(())
    }

    /// Gives one token back that was taken before under the same budget. A full bucket stays full.
    pub fn refund(&mut self, budget: &Budget) {
        self.full_at = budget.refund(self.full_at);
    }

    /// Whether nothing is missing, so that the bucket might as well be forgotten.
    pub fn is_full(&self, now: Duration) -> bool {
        self.full_at <= nanos(now)
    }
}

/// A [`Bucket`] that many threads take from without a lock: for the budget of a source.
#[derive(Debug, Default)]
pub struct SharedBucket {
    full_at: AtomicU64,
}

impl SharedBucket {
    /// Takes one token, or says how long until there is one.
    pub fn take(&self, budget: &Budget, now: Duration) -> Result<(), RetryAfter> {
        let now = nanos(now);
        // The number guards nothing but itself, so no ordering is needed.
        let mut full_at = self.full_at.load(Ordering::Relaxed);
        loop {
            let next = budget.take(full_at, now)?;
            match self.full_at.compare_exchange_weak(
                full_at,
                next,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(()),
                Err(changed) => full_at = changed,
            }
        }
    }

    /// Takes so many tokens whether they are there or not: what has been spent is not asked for. Nobody else gets one
    /// before that is made up for.
    pub fn charge(&self, budget: &Budget, tokens: u32, now: Duration) {
        let (now, interval) = (nanos(now), budget.rate.interval_nanos());
        let spent = interval.saturating_mul(tokens.into());
        let charge = |full_at: u64| full_at.max(now).saturating_add(spent);
        self.full_at.update(Ordering::Relaxed, Ordering::Relaxed, charge);
    }

    /// Gives one token back that was taken before under the same budget. A full bucket stays full.
    pub fn refund(&self, budget: &Budget) {
        self.full_at.update(Ordering::Relaxed, Ordering::Relaxed, |full_at| budget.refund(full_at));
    }
}

/// A bucket for each address group that was seen lately, in bounded memory: the budget for requests
/// that are not verified yet.
///
/// A full bucket is dropped, as it is the same as none. When every bucket is in use and the table is
/// full, the one goes that would be full soonest. So whoever wants an empty bucket of their own forgotten
/// must first empty *all others*, each from an address of its own: a table of `max` entries makes them
/// spend about `max` bursts to regain one. Newcomers are always let in, for a real sender's first request
/// may arrive during such a flood.
///
/// A verified request gives its token back ([`refund`](Self::refund)): a real sender never uses up a
/// budget that is meant for strangers, whatever its own rate.
#[derive(Debug)]
pub struct AddressBudgets {
    budget: Budget,
    entries_max: usize,
    full_at: HashMap<AddressGroup, u64>,
    /// The same entries, the one that is full soonest first.
    soonest: BTreeSet<(u64, AddressGroup)>,
}

impl AddressBudgets {
    /// An empty table that holds each group to `budget` and keeps at most `entries_max` of them (about
    /// 100 bytes each).
    pub fn new(budget: Budget, entries_max: NonZeroUsize) -> Self {
        Self {
            budget,
            entries_max: entries_max.get(),
            full_at: HashMap::new(),
            soonest: BTreeSet::new(),
        }
    }

    /// Takes one token from the bucket of `group`, or says how long until there is one.
    pub fn take(&mut self, group: AddressGroup, now: Duration) -> Result<(), RetryAfter> {
        let now = nanos(now);
        let before = self.full_at.get(&group).copied();
        let after = self.budget.take(before.unwrap_or(0), now)?;
        match before {
            Some(before) => {
                self.soonest.remove(&(before, group));
            }
            None => self.make_room(now),
        }
        self.full_at.insert(group, after);
        self.soonest.insert((after, group));
        Ok(())
    }

    /// Gives one token back to `group`, taken before by a request that turned out to be genuine. Without
    /// effect on a group that is not in the table: its bucket is full.
    pub fn refund(&mut self, group: AddressGroup) {
        if let Some(full_at) = self.full_at.get_mut(&group) {
            let before = *full_at;
            *full_at = self.budget.refund(before);
            self.soonest.remove(&(before, group));
            self.soonest.insert((*full_at, group));
        }
    }

    /// How many groups have a bucket now.
    pub fn len(&self) -> usize {
        self.full_at.len()
    }

    /// Whether no group has a bucket now.
    pub fn is_empty(&self) -> bool {
        self.full_at.is_empty()
    }

    /// Drops what is full, two at most, so that no single call pays for a past flood; and one that is
    /// not, if the table has no room for another.
    fn make_room(&mut self, now: u64) {
        for _ in 0..2 {
            let Some((full_at, group)) = self.soonest.first().copied() else { return };
            if full_at > now && self.full_at.len() < self.entries_max {
                return;
            }
            self.soonest.pop_first();
            self.full_at.remove(&group);
        }
    }
}

/// The budgets of addresses for what is not verified, behind a lock for each part of them, to be shared by threads.
pub struct SharedAddressBudgets {
    shards: Vec<Mutex<AddressBudgets>>,
}

/// Enough for as many cores to rarely wait for each other.
const SHARDS: NonZeroUsize = NonZeroUsize::new(16).expect("not zero");

impl SharedAddressBudgets {
    /// Empty tables that hold each group to `budget` and keep [`limits::ADDRESSES_MAX`] of them together.
    pub fn new(budget: Budget) -> Self {
        let entries =
            NonZeroUsize::new(limits::ADDRESSES_MAX / SHARDS).unwrap_or(NonZeroUsize::MIN);
        let shards =
            (0..SHARDS.get()).map(|_| Mutex::new(AddressBudgets::new(budget, entries))).collect();
        Self { shards }
    }

    /// Takes one token from the bucket of this address's group, or says how long until there is one.
    pub fn take(&self, address: IpAddr, now: Duration) -> Result<(), RetryAfter> {
        self.with(address, |budgets, group| budgets.take(group, now))
    }

    /// Gives one token back, taken before by a request that turned out to be genuine.
    pub fn refund(&self, address: IpAddr) {
        self.with(address, AddressBudgets::refund);
    }

    fn with<T>(
        &self,
        address: IpAddr,
        act: impl FnOnce(&mut AddressBudgets, AddressGroup) -> T,
    ) -> T {
        let group = AddressGroup::of(address);
        let shard = self
            .shards
            .get(shard_of(group, SHARDS))
            .expect("shard_of stays below the number of shards");
        // A panic in another thread leaves the table whole: its steps are single insertions and removals.
        act(&mut shard.lock().unwrap_or_else(PoisonError::into_inner), group)
    }
}

impl fmt::Debug for SharedAddressBudgets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedAddressBudgets").field("shards", &self.shards.len()).finish()
    }
}

/// Which of `shards` tables is in charge of `group`, always the same one; 0 when there is but one.
///
/// Who picks addresses can pick the shard: what a flood must fill is one shard's table, so size each of
/// them to bear it.
pub fn shard_of(group: AddressGroup, shards: NonZeroUsize) -> usize {
    // Fibonacci hashing: the high half of the product depends on all bits of the group.
    let mixed = group.bits().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    usize::try_from(mixed >> 32).unwrap_or_default() % shards
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Duration = Duration::from_secs(1_000);

    fn budget(rate: &str, burst: u32) -> Budget {
        Budget { rate: rate.parse().unwrap(), burst: NonZeroU32::new(burst).unwrap() }
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn group(number: u32) -> AddressGroup {
        AddressGroup::of(std::net::Ipv4Addr::from_bits(number).into())
    }

    fn budgets(budget: Budget, entries_max: usize) -> AddressBudgets {
        AddressBudgets::new(budget, NonZeroUsize::new(entries_max).unwrap())
    }

    /// Takes at each of these milliseconds after the start: 0 is a success, else milliseconds to wait.
    fn check(budget: Budget, takes: &[(u64, u64)]) {
        let mut bucket = Bucket::default();
        let shared = SharedBucket::default();
        let mut table = budgets(budget, 1);
        for (at, wait) in takes {
            let expected = if *wait == 0 { Ok(()) } else { Err(RetryAfter(millis(*wait))) };
            let now = START + millis(*at);
            assert_eq!(bucket.take(&budget, now), expected, "at {at} ms");
            assert_eq!(shared.take(&budget, now), expected, "shared, at {at} ms");
            assert_eq!(table.take(group(1), now), expected, "in the table, at {at} ms");
        }
    }

    #[test]
    fn a_rate_is_written_as_it_is_read() {
        for text in ["1/s", "100/s", "5000/m", "20000/h", "1000000/d", "1000000/s", "60000000/m"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        assert_eq!("0100/s".parse::<Rate>().unwrap().to_string(), "100/s");
        assert_eq!("4/m".parse::<Rate>().unwrap().interval(), Duration::from_secs(15));
        assert_eq!("24/d".parse::<Rate>().unwrap().interval(), Duration::from_hours(1));
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in [
            "",
            "100",
            "/s",
            "100/",
            "100/sec",
            "100/S",
            "-1/s",
            "+1/s",
            "1.5/s",
            "1 /s",
            "1/s/s",
            "1_000/s",
            "\u{661}/s",
        ] {
            assert_eq!(text.parse::<Rate>(), Err(NotARate::Malformed), "{text}");
        }
        assert_eq!("0/s".parse::<Rate>(), Err(NotARate::Zero));
        for text in ["1000001/s", "60000001/m", "4294967296/d", "99999999999999999999/d"] {
            assert_eq!(text.parse::<Rate>(), Err(NotARate::TooFast), "{text}");
        }
    }

    #[test]
    fn a_full_bucket_allows_its_burst_and_then_the_rate() {
        check(
            budget("10/s", 3),
            &[(0, 0), (0, 0), (0, 0), (0, 100), (40, 60), (99, 1), (100, 0), (100, 100)],
        );
        check(budget("10/s", 1), &[(0, 0), (0, 100), (100, 0), (150, 50), (200, 0)]);
        check(budget("1/d", 1), &[(0, 0), (1, 86_399_999), (86_400_000, 0)]);
    }

    #[test]
    fn a_bucket_never_holds_more_than_its_burst() {
        check(budget("10/s", 2), &[(0, 0), (0, 0), (60_000, 0), (60_000, 0), (60_000, 100)]);
    }

    #[test]
    fn asking_in_vain_does_not_put_off_the_next_success() {
        let mut takes = vec![(0, 0)];
        takes.extend((1..100).map(|at| (at, 100 - at)));
        takes.push((100, 0));
        check(budget("10/s", 1), &takes);
    }

    #[test]
    fn a_clock_that_steps_back_fills_nothing() {
        check(budget("10/s", 1), &[(1_000, 0), (0, 1_100), (1_000, 100), (1_100, 0)]);
    }

    #[test]
    fn a_refund_is_one_token_and_never_more_than_full() {
        let budget = budget("10/s", 2);
        let mut bucket = Bucket::default();
        let shared = SharedBucket::default();
        for _ in 0..1_000 {
            assert_eq!(bucket.take(&budget, START), Ok(()));
            assert_eq!(shared.take(&budget, START), Ok(()));
            bucket.refund(&budget);
            shared.refund(&budget);
        }
        assert!(bucket.is_full(START));
        for _ in 0..10 {
            bucket.refund(&budget);
            shared.refund(&budget);
        }
        for _ in 0..2 {
            assert_eq!(bucket.take(&budget, START), Ok(()));
            assert_eq!(shared.take(&budget, START), Ok(()));
        }
        assert_eq!(bucket.take(&budget, START), Err(RetryAfter(millis(100))));
        assert_eq!(shared.take(&budget, START), Err(RetryAfter(millis(100))));
    }

    #[test]
    fn extreme_budgets_and_times_do_not_wrap() {
        let mut bucket = Bucket::default();
        let slow = budget("1/d", u32::MAX);
        for now in [Duration::ZERO, START, Duration::MAX, START] {
            assert_eq!(bucket.take(&slow, now), Ok(()));
            bucket.refund(&slow);
        }
    }

    #[test]
    fn threads_share_one_budget() {
        let budget = budget("1/d", 1_000);
        let shared = SharedBucket::default();
        let taken: usize = std::thread::scope(|scope| {
            let take_all = || (0..1_000).filter(|_| shared.take(&budget, START).is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take_all)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken, 1_000);
    }

    #[test]
    fn groups_have_budgets_of_their_own() {
        let mut table = budgets(budget("1/s", 1), 10);
        assert_eq!(table.take(group(1), START), Ok(()));
        assert_eq!(table.take(group(1), START), Err(RetryAfter(Duration::from_secs(1))));
        assert_eq!(table.take(group(2), START), Ok(()));
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn a_real_sender_never_uses_up_the_unverified_budget() {
        let mut table = budgets(budget("1/m", 2), 10);
        for _ in 0..10_000 {
            assert_eq!(table.take(group(1), START), Ok(()));
            table.refund(group(1));
        }
        table.refund(group(2));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn rotating_addresses_neither_grows_the_table_nor_empties_it_of_debtors() {
        let mut table = budgets(budget("1/m", 5), 100);
        for _ in 0..5 {
            assert_eq!(table.take(group(0), START), Ok(()));
        }
        for other in 1..10_000 {
            assert_eq!(table.take(group(other), START), Ok(()), "newcomers are let in");
            assert!(table.len() <= 100);
        }
        assert!(table.take(group(0), START).is_err(), "and the debtor is still known");
    }

    #[test]
    fn a_table_shrinks_once_a_flood_is_over() {
        let mut table = budgets(budget("10/s", 1), 1_000);
        for other in 0..1_000 {
            assert_eq!(table.take(group(other), START), Ok(()));
        }
        assert_eq!(table.len(), 1_000);
        for other in 2_000..3_000 {
            assert_eq!(table.take(group(other), START + millis(u64::from(other))), Ok(()));
        }
        assert!(table.len() <= 102, "{}", table.len());
    }

    #[test]
    fn shards_are_stable_and_even() {
        let shards = NonZeroUsize::new(8).unwrap();
        let mut counts = [0; 8];
        for number in 0..8_000 {
            let shard = shard_of(group(number), shards);
            assert_eq!(shard, shard_of(group(number), shards));
            counts[shard] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
        let mut counts = [0; 8];
        for number in 0..8_000_u128 {
            let address = std::net::Ipv6Addr::from_bits(0x2001_0db8 << 96 | number << 64);
            counts[shard_of(AddressGroup::of(address.into()), shards)] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
    }

    proptest! {
        #[test]
        fn no_window_sees_more_than_burst_and_rate(
            count in 1_u32..2_000,
            burst in 1_u32..50,
            steps in prop::collection::vec(0_u64..50, 1..300),
        ) {
            let budget = budget(&format!("{count}/s"), burst);
            let mut bucket = Bucket::default();
            let mut now = START;
            let mut taken = 0_u32;
            for step in steps {
                now += millis(step);
                match bucket.take(&budget, now) {
                    Ok(()) => taken += 1,
                    Err(RetryAfter(wait)) => {
                        let mut later = bucket;
                        prop_assert_eq!(later.take(&budget, now + wait), Ok(()));
                        let too_early = wait.saturating_sub(Duration::from_nanos(1));
                        prop_assert!(bucket.take(&budget, now + too_early).is_err());
                    }
                }
                // The interval is cut to nanoseconds, hence the one more.
                let passed = now.saturating_sub(START).as_secs_f64();
                let most = passed * f64::from(count) + f64::from(burst) + 1.0;
                prop_assert!(f64::from(taken) <= most, "{} > {}", taken, most);
            }
        }

        #[test]
        fn a_table_with_room_is_as_strict_as_buckets(
            takes in prop::collection::vec((0_u32..5, 0_u64..400, any::<bool>()), 1..200),
        ) {
            let budget = budget("5/s", 3);
            let mut table = budgets(budget, 5);
            let mut buckets = [Bucket::default(); 5];
            let mut now = START;
            for (number, step, refund) in takes {
                now += millis(step);
                let bucket = &mut buckets[number as usize];
                let expected = bucket.take(&budget, now);
                prop_assert_eq!(table.take(group(number), now), expected);
                if refund && expected.is_ok() {
                    bucket.refund(&budget);
                    table.refund(group(number));
                }
                prop_assert_eq!(table.full_at.len(), table.soonest.len());
            }
        }
    }
}
