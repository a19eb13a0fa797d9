//! The power is cut at each point of random histories, and whatever the disk makes of what was not synced: all that was
//! acknowledged is there.

use std::{collections::BTreeSet, sync::Arc};

use hookward_store::{
    Store,
    embedded::{Embedded, OpenError, Options},
};
use proptest::{
    collection::vec,
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use crate::{
    sim::SimDisk,
    story::{KEYS, Seen, Step, World, drain, is_pending, name, observe, step},
    subjects::small,
};

/// Histories that are told; each is cut at each of its points.
const HISTORIES: u64 = 2_400;

/// Ways in which a disk may treat what was not synced.
#[derive(Clone, Copy, Debug)]
enum Torn {
    Nothing,
    Everything,
    Some(u64),
}

/// What may be seen of each key after a cut at a point.
struct Moment {
    /// The first point of the trace at which the step had been answered.
    answered: usize,
    allowed: Vec<BTreeSet<Option<Seen>>>,
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_is_cut_at_any_point() {
    let threads: Vec<_> = (0..2)
        .map(|half| {
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                for seed in (half..HISTORIES).step_by(2) {
                    if let Err(loss) = runtime.block_on(one_history(seed)) {
                        panic!("history {seed}: {loss}");
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

async fn one_history(seed: u64) -> Result<(), String> {
    let mut chance = Chance(seed);
    let mut disk = Arc::new(SimDisk::default());
    let mut floor: Option<Vec<BTreeSet<Option<Seen>>>> = None;
    // A second life begins where a cut left the first one: recovery is cut too.
    for life in 0..2 {
        let steps = story(seed.wrapping_mul(31).wrapping_add(life));
        let moments = live(&disk, &steps, floor.take())
            .await
            .map_err(|error| format!("life {life}: {error}"))?;
        let end = disk.now();
        let mut survivor = None;
        for cut in 0..=end {
            let torn = match chance.below(4) {
                0 => Torn::Nothing,
                1 => Torn::Everything,
                _ => Torn::Some(chance.next()),
            };
            let allowed = allowed_at(&moments, cut);
            let files = image(&disk, cut, torn);
            let restarted = Arc::new(SimDisk::with_files(files));
            survives(&restarted, &allowed).await.map_err(|loss| {
                format!("life {life}, cut at {cut} of {end}, {torn:?}: {loss}\n{steps:#?}")
            })?;
            if survivor.is_none() && chance.below(end as u64) == 0 {
                survivor = Some((image(&disk, cut, torn), allowed));
            }
        }
        let Some((files, allowed)) = survivor else { break };
        disk = Arc::new(SimDisk::with_files(files));
        floor = Some(allowed);
    }
    Ok(())
}

/// Lives through a history, and notes after each step what may be seen from then on.
async fn live(
    disk: &Arc<SimDisk>,
    steps: &[Step],
    before: Option<Vec<BTreeSet<Option<Seen>>>>,
) -> Result<Vec<Moment>, String> {
    let nothing = || vec![BTreeSet::from([None]); usize::from(KEYS)];
    let mut open =
        || -> Arc<dyn Store> { Arc::new(Embedded::open_on(disk.clone(), small()).unwrap()) };
    let second = before.is_some();
    let mut moments = vec![Moment { answered: 0, allowed: before.unwrap_or_else(nothing) }];
    let mut world = World::new(open());
    let mut allowed: Vec<BTreeSet<Option<Seen>>> =
        observe(&*world.store).await?.into_iter().map(|seen| BTreeSet::from([seen])).collect();
    moments.push(Moment { answered: disk.now(), allowed: allowed.clone() });
    for step in steps {
        let told = world.step(step, &mut open).await;
        if !second {
            // In a second life the model does not know what the first one left.
            told?;
        }
        for (seen, allowed) in observe(&*world.store).await?.into_iter().zip(&mut allowed) {
            // Reading waits until all that was said is durable, so earlier states are past.
            *allowed = BTreeSet::from([seen]);
        }
        moments.push(Moment { answered: disk.now(), allowed: allowed.clone() });
    }
    Ok(moments)
}

/// What is durable at a cut, and what the step that was on its way may have made of it.
fn allowed_at(moments: &[Moment], cut: usize) -> Vec<BTreeSet<Option<Seen>>> {
    let answered = moments.iter().rposition(|moment| moment.answered <= cut).unwrap_or_default();
    let mut allowed = moments[answered].allowed.clone();
    if let Some(next) = moments.get(answered + 1) {
        for (allowed, next) in allowed.iter_mut().zip(&next.allowed) {
            allowed.extend(next.iter().cloned());
        }
    }
    allowed
}

fn image(disk: &SimDisk, cut: usize, torn: Torn) -> std::collections::BTreeMap<String, Vec<u8>> {
    disk.image(cut, &mut |sector| match torn {
        Torn::Nothing => false,
        Torn::Everything => true,
        Torn::Some(seed) => Chance(seed ^ (sector as u64 / 512)).next().is_multiple_of(2),
    })
}

async fn survives(disk: &Arc<SimDisk>, allowed: &[BTreeSet<Option<Seen>>]) -> Result<(), String> {
    let disk: Arc<SimDisk> = Arc::clone(disk);
    let store = match Embedded::open_on(disk, small()) {
        Ok(store) => store,
        Err(error @ OpenError::Damaged { .. }) => return Err(format!("taken for damage: {error}")),
        Err(error) => return Err(error.to_string()),
    };
    let seen = observe(&store).await?;
    for (key, (seen, allowed)) in seen.iter().zip(allowed).enumerate() {
        if !allowed.contains(seen) {
            return Err(format!("key {key} is {seen:?}, but must be one of {allowed:?}"));
        }
    }
    let due = drain(&store).await?;
    let promised = (0..KEYS).filter(|key| is_pending(&seen[usize::from(*key)])).map(name);
    let (due, promised): (BTreeSet<_>, BTreeSet<_>) =
        (due.into_iter().collect(), promised.collect());
    if due == promised {
        Ok(())
    } else {
        Err(format!("due after the cut: {due:?}, pending: {promised:?}"))
    }
}

fn story(seed: u64) -> Vec<Step> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    vec(step(), 1..18).new_tree(&mut runner).unwrap().current()
}

/// A fixed sequence of numbers for each seed (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

#[test]
fn what_an_append_says_is_durable_even_in_the_middle_of_a_group() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let disk = Arc::new(SimDisk::default());
        let options = Options { segment_bytes: 1024 * 1024, ..Options::default() };
        let store: Arc<dyn Store> = Arc::new(Embedded::open_on(disk.clone(), options).unwrap());
        let mut world = World::new(store);
        let mut open = || unreachable!("no restart in this history");
        for seed in 0..40 {
            for step in
                story(seed).iter().filter(|step| matches!(step, Step::Append(_) | Step::Burst(_)))
            {
                world.step(step, &mut open).await.unwrap();
                let seen = observe(&*world.store).await.unwrap();
                let cut = SimDisk::with_files(disk.image(disk.now(), &mut |_| false));
                let after = Embedded::open_on(Arc::new(cut), Options::default()).unwrap();
                assert_eq!(observe(&after).await.unwrap(), seen, "after {step:?}");
            }
        }
    });
}
