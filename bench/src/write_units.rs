//! What events cost on DynamoDB, by what becomes of them: for the gateway as people run it, and for two other designs.
//!
//! Everything that is asked of DynamoDB goes through a [`counter`], which sums what the answers say. What a gateway says in
//! its metrics has to be the same.

mod application;
mod bodies;
mod counter;
mod designs;
mod document;
mod engine;
mod gateway;

use std::{error::Error, path::Path, time::Duration};

use tokio::time::{Instant, sleep};

use self::{
    application::{Application, Mood},
    bodies::{Bodies, Body, Kind, PROMISED},
    designs::Design,
    engine::{Engine, client, create_table},
    gateway::{Fate, Gateway, Setup, Units, Webhook},
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The most write units that a delivered event of at most 900 bytes may use under load, its share of everything else with it.
const PROMISED_UNITS: f64 = 1.1;

/// A gateway that has nothing else to say says how far it has come after a second.
const CHECKPOINT: Duration = Duration::from_millis(1_500);

/// How many events are measured of each kind.
#[derive(Clone, Copy, Debug)]
struct Scale {
    alone: usize,
    load: usize,
    /// Webhooks that are on their way at once under load.
    at_once: usize,
    refused: usize,
}

const FULL: Scale = Scale { alone: 20, load: 1_000, at_once: 64, refused: 20 };
/// For a machine that does a hundred other things.
const QUICK: Scale = Scale { alone: 3, load: 600, at_once: 32, refused: 3 };

/// Read units and write units of an event, in the mean.
type Used = [f64; 2];

/// What an event uses, by what becomes of it. Whole lives: what it took to keep the event is in it.
#[derive(Clone, Copy, Debug, Default)]
struct Outcomes {
    /// Delivered at the first attempt, while nothing else was on its way.
    alone: Used,
    /// Delivered at the first attempt, under load.
    load: Used,
    /// Delivered at the second attempt.
    retried: Used,
    /// Given up after the first attempt.
    dead: Used,
    /// Came before, and was remembered.
    remembered: Used,
    /// Came before, to somebody who did not know.
    forgotten: Used,
    /// Signed, and not what it should be: kept as a dead letter.
    malformed: Used,
    /// Refused, for whatever reason: the most that there was.
    refused: Used,
    /// Calls to DynamoDB that were made again, since this machine was too slow.
    again: u64,
    /// Found and read after a crash, where that was measured.
    recovered: Option<Used>,
}

/// What was measured of one kind of body.
#[derive(Clone, Debug)]
struct OfBodies {
    bodies: Bodies,
    mean_bytes: f64,
    hookward: Outcomes,
    others: Vec<(Design, Outcomes)>,
}

/// What a node needs that is there.
#[derive(Clone, Copy, Debug)]
struct Idle {
    seconds: f64,
    used: Used,
}

/// What it took to take over a dead node's events.
#[derive(Clone, Debug)]
struct TakenOver {
    what: String,
    events: usize,
    /// For finding them and making them its own.
    taken: Used,
    /// With that they were delivered, and noted so.
    delivered: Used,
}

/// What events used that came at a rate.
#[derive(Clone, Debug)]
struct AtRate {
    journal_delay: &'static str,
    /// Events a second, as they were taken.
    rate: f64,
    /// Write units of each, all told.
    writes: f64,
    /// Events that shared a journal item.
    shared: f64,
    /// Webhooks that had to be sent again.
    resent: u32,
}

/// All that was measured.
#[derive(Clone, Debug)]
struct Report {
    of_bodies: Vec<OfBodies>,
    idle: Idle,
    taken_over: Vec<TakenOver>,
    at_rates: Vec<AtRate>,
    /// What is not as it was promised.
    wrong: Vec<String>,
}

/// Where everything happens.
#[derive(Debug)]
struct World<'a> {
    hookward: &'a Path,
    engine: Engine,
    application: Application,
}

/// Checks in some seconds that refusals use nothing, and that small events under load use what was promised. `Err` says what
/// is wrong.
pub async fn check(hookward: &Path) -> Result<()> {
    let world = World::new(hookward).await?;
    let mut wrong = Vec::new();
    world.lives(PROMISED, QUICK, &mut wrong).await?;
    settle(&wrong)
}

/// Measures everything and writes it down in a file. `Err` says what is not as it was promised.
pub async fn document(hookward: &Path, file: &Path) -> Result<()> {
    let prices = document::Prices::of(hookward)?;
    let report = World::new(hookward).await?.measure().await?;
    std::fs::write(file, document::written(&report, &prices)?)?;
    settle(&report.wrong)
}

fn settle(wrong: &[String]) -> Result<()> {
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

impl<'a> World<'a> {
    async fn new(hookward: &'a Path) -> Result<Self> {
        let (engine, application) = (Engine::start().await?, Application::start().await?);
        Ok(Self { hookward, engine, application })
    }

    fn setup<'s>(&'s self, table: &'s str, store: &'s str) -> Setup<'s> {
        let Self { hookward, engine, application } = self;
        Setup { hookward, engine, application, table, store }
    }

    async fn gateway(&self, table: &str, store: &str) -> Result<Gateway> {
        Gateway::start(self.setup(table, store)).await
    }

    async fn table(&self, name: &str) -> Result<()> {
        create_table(&client(self.engine.address), name, false).await
    }

    async fn measure(&self) -> Result<Report> {
        let (mut of_bodies, mut wrong) = (Vec::new(), Vec::new());
        for (place, bodies) in bodies::ALL.into_iter().enumerate() {
            says(bodies.name);
            let hookward = self.lives(bodies, FULL, &mut wrong).await?;
            let made =
                bodies.make(if bodies.kind == Kind::GitHub { usize::MAX } else { FULL.alone })?;
            let mut others = Vec::new();
            for (number, design) in designs::ALL.into_iter().enumerate() {
                let table = format!("design-{place}-{number}");
                others.push((design, design.measure(&self.engine, table, &made).await?));
            }
            let sum: usize = made.iter().map(|it| it.bytes.len()).sum();
            let mean_bytes = number(sum) / number(made.len());
            of_bodies.push(OfBodies { bodies, mean_bytes, hookward, others });
        }
        says("takeovers, and a node that idles");
        let (idle, taken_over) = tokio::join!(self.idle(), self.take_overs());
        says("rates");
        let at_rates = self.at_rates().await?;
        Ok(Report { of_bodies, idle: idle?, taken_over: taken_over?, at_rates, wrong })
    }

    /// What becomes of events of one kind at a gateway as it is without a word in its configuration, on a table of its own.
    async fn lives(
        &self,
        bodies: Bodies,
        scale: Scale,
        wrong: &mut Vec<String>,
    ) -> Result<Outcomes> {
        let table = format!("lives-{:?}-{}", bodies.kind, bodies.bytes);
        self.table(&table).await?;
        let gateway = self.gateway(&table, "").await?;
        let is_recorded = bodies.kind == Kind::GitHub;
        let few = bodies.make(if is_recorded { usize::MAX } else { scale.alone })?;
        let many = bodies.make(if is_recorded { usize::MAX } else { scale.load })?;
        let mut outcomes = Outcomes::default();

        self.application.is(Mood::Takes);
        let alone = webhooks(bodies.kind, Fate::Alone, "alone", &few)?;
        let used = used(&gateway, || gateway.takes(alone.clone(), 1)).await?;
        outcomes.alone = mean(used.of_events(), few.len());
        let used = self::used(&gateway, || gateway.takes(alone.clone(), 1)).await?;
        outcomes.remembered = mean(used.of_events(), few.len());

        let load = webhooks(bodies.kind, Fate::Load, "load", &many)?;
        let used = self::used(&gateway, || async {
            gateway.takes(load, scale.at_once).await?;
            sleep(CHECKPOINT).await;
            Ok(())
        })
        .await?;
        outcomes.load = mean(used.all(), many.len());

        self.application.is(Mood::FailsFirst);
        let retried = webhooks(bodies.kind, Fate::Retried, "retried", &few)?;
        let used = self::used(&gateway, || gateway.takes(retried.clone(), 1)).await?;
        outcomes.retried = mean(used.of_events(), few.len());

        self.application.is(Mood::Fails);
        let dead = webhooks(bodies.kind, Fate::Dead, "dead", &few)?;
        let used = self::used(&gateway, || gateway.takes(dead.clone(), 1)).await?;
        outcomes.dead = mean(used.of_events(), few.len());
        self.application.is(Mood::Takes);

        let mut broken = few.clone();
        for body in &mut broken {
            // It loses its last brace.
            body.bytes.pop();
        }
        let malformed = webhooks(bodies.kind, Fate::Dead, "malformed", &broken)?;
        let used = self::used(&gateway, || gateway.takes(malformed.clone(), 1)).await?;
        outcomes.malformed = mean(used.of_events(), few.len());

        // The one that there is a budget for.
        let [first] =
            &webhooks(bodies.kind, Fate::Tight, "first", few.get(..1).unwrap_or_default())?[..]
        else {
            return Err("there is no body".into());
        };
        gateway.takes(vec![first.clone()], 1).await?;
        for Refused { reason, status, webhooks } in refusals(bodies.kind, &few, scale.refused)? {
            let count = webhooks.len();
            let used = self::used(&gateway, || refuses(&gateway, status, webhooks)).await?;
            let used = used.of_events();
            if used != [0.0, 0.0] {
                wrong.push(format!("{}: {count} {reason} used {used:?}", bodies.name));
            }
            outcomes.refused = [outcomes.refused[0].max(used[0]), outcomes.refused[1].max(used[1])];
        }
        outcomes.again = gateway.asked_again();
        gateway.stop().await?;

        // Somebody who was not there.
        let gateway = self.gateway(&table, "").await?;
        let used = self::used(&gateway, || gateway.takes(alone.clone(), 1)).await?;
        outcomes.forgotten = mean(used.of_events(), few.len());
        outcomes.again += gateway.asked_again();
        gateway.stop().await?;

        if bodies.kind != Kind::GitHub && bodies.bytes <= 900 && outcomes.load[1] > PROMISED_UNITS {
            wrong.push(format!(
                "{}: {:.3} write units for each event under load, and not {PROMISED_UNITS}",
                bodies.name, outcomes.load[1]
            ));
        }
        Ok(outcomes)
    }

    /// A gateway that has nothing to do.
    async fn idle(&self) -> Result<Idle> {
        let seconds = 40;
        self.table("idle").await?;
        let gateway = self.gateway("idle", "").await?;
        let before = gateway.units().await?;
        sleep(Duration::from_secs(seconds)).await;
        let used = gateway.units().await?.since(&before).all();
        gateway.stop().await?;
        Ok(Idle { seconds: number(usize::try_from(seconds)?), used })
    }

    /// Gateways that die before anything is delivered, and others that find out.
    async fn take_overs(&self) -> Result<Vec<TakenOver>> {
        const STORE: &str = "node_lease = \"5s\"";
        let kilobyte = Bodies { name: "1 KB, JSON", kind: Kind::Json, bytes: 1_024 }.make(200)?;
        let cases = [
            ("a node without events", Kind::Json, Vec::new()),
            ("1 KB, JSON", Kind::Json, kilobyte),
            ("GitHub", Kind::GitHub, bodies::ALL[7].make(usize::MAX)?),
        ];
        self.application.is(Mood::Hangs);
        for (number, (_, kind, bodies)) in cases.iter().enumerate() {
            let table = format!("takeover-{number}");
            self.table(&table).await?;
            let dying = self.gateway(&table, STORE).await?;
            dying.takes(webhooks(*kind, Fate::Alone, "alone", bodies)?, FULL.at_once).await?;
            dying.kill().await?;
        }
        self.application.is(Mood::Takes);
        let mut taken_over = Vec::new();
        for (number, (what, _, bodies)) in cases.into_iter().enumerate() {
            let successor = self.gateway(&format!("takeover-{number}"), STORE).await?;
            let used = loop {
                sleep(Duration::from_secs(1)).await;
                let used = successor.settled().await?;
                if used.of(&["takeover"])[1] > 0.0 {
                    break used;
                }
            };
            successor.stop().await?;
            let events = bodies.len();
            let (taken, delivered) = (used.of(&["takeover"]), used.of_events());
            taken_over.push(TakenOver { what: what.to_owned(), events, taken, delivered });
        }
        Ok(taken_over)
    }

    /// What load makes events share journal items.
    async fn at_rates(&self) -> Result<Vec<AtRate>> {
        const SECONDS: u32 = 4;
        /// A write at Amazon takes some milliseconds, and here less than one.
        const FAR_AWAY: Duration = Duration::from_millis(5);
        let mut at_rates = Vec::new();
        for (place, journal_delay) in ["10ms", "25ms", "50ms"].into_iter().enumerate() {
            let (table, store) =
                (format!("rates-{place}"), format!("journal_delay = \"{journal_delay}\""));
            self.table(&table).await?;
            let gateway = self.gateway(&table, &store).await?;
            gateway.is_far_away(FAR_AWAY);
            for rate in [10, 50, 100, 200, 400, 800] {
                let bodies = PROMISED.make(usize::try_from(rate * SECONDS)?)?;
                let all = webhooks(PROMISED.kind, Fate::Paced, &format!("{rate:03}"), &bodies)?;
                let before = gateway.settled().await?;
                let resent = gateway.resent();
                let began = Instant::now();
                gateway.takes_paced(all, 512, Some(Duration::from_secs(1) / rate)).await?;
                let seconds = began.elapsed().as_secs_f64();
                sleep(CHECKPOINT).await;
                let used = gateway.settled().await?.since(&before);
                let count = number(bodies.len());
                at_rates.push(AtRate {
                    journal_delay,
                    rate: count / seconds,
                    writes: used.all()[1] / count,
                    shared: count / used.of(&["journal"])[1].max(1.0),
                    resent: gateway.resent() - resent,
                });
            }
            gateway.stop().await?;
        }
        Ok(at_rates)
    }
}

/// What a gateway used until everything that this does was settled.
async fn used<W: Future<Output = Result<()>>>(
    gateway: &Gateway,
    work: impl FnOnce() -> W,
) -> Result<Units> {
    let before = gateway.settled().await?;
    work().await?;
    Ok(gateway.settled().await?.since(&before))
}

/// Sends webhooks, each of which is to be refused with this status.
async fn refuses(gateway: &Gateway, wanted: u16, webhooks: Vec<Webhook>) -> Result<()> {
    for webhook in webhooks {
        let path = webhook.path.clone();
        let status = gateway.send(webhook).await?;
        if status != wanted {
            return Err(format!("{path} was to answer {wanted}, and answered {status}").into());
        }
    }
    Ok(())
}

/// Webhooks of a source with these bodies, each with an id of its own.
fn webhooks(kind: Kind, fate: Fate, prefix: &str, bodies: &[Body]) -> Result<Vec<Webhook>> {
    let webhook = |(number, body)| Webhook::new(kind, fate, &id(prefix, number), body);
    bodies.iter().enumerate().map(webhook).collect()
}

/// As long as the ids of senders are.
fn id(prefix: &str, number: usize) -> String {
    format!("msg_{prefix}{number:0>width$}", width = 27_usize.saturating_sub(prefix.len()))
}

/// Webhooks that are refused.
#[derive(Debug)]
struct Refused {
    reason: &'static str,
    /// With this answer.
    status: u16,
    webhooks: Vec<Webhook>,
}

/// Webhooks that are refused, by the reason.
fn refusals(kind: Kind, bodies: &[Body], count: usize) -> Result<Vec<Refused>> {
    let some = bodies.get(..count.min(bodies.len())).unwrap_or_default();
    let of = |fate| webhooks(kind, fate, "refused", some);
    let forged = of(Fate::Alone)?.into_iter().map(Webhook::forged).collect();
    let mut broken = some.to_vec();
    let mut large = some.to_vec();
    for (broken, large) in broken.iter_mut().zip(&mut large) {
        broken.bytes.pop();
        // Spaces after it change nothing.
        large.bytes.resize(large.bytes.len().max(1_025), b' ');
    }
    let mut nowhere = of(Fate::Alone)?;
    for webhook in &mut nowhere {
        webhook.path.push('x');
    }
    // Verified, within what its source may send, and larger than an item can be: there is no bucket for it.
    let huge = webhooks(kind, Fate::Alone, "huge", &bodies::TOO_LARGE.make(some.len())?)?;
    let refused = |reason, status, webhooks| Refused { reason, status, webhooks };
    let mut refusals = vec![
        refused("forged", 403, forged),
        refused("malformed", 400, webhooks(kind, Fate::Strict, "refused", &broken)?),
        refused("too large", 413, webhooks(kind, Fate::Small, "refused", &large)?),
        refused("too large for an item", 413, huge),
        refused("over the budget", 503, of(Fate::Tight)?),
        refused("to a path that is none", 404, nowhere),
    ];
    // GitHub signs no time.
    if kind != Kind::GitHub {
        let stale = |(number, body)| Webhook::stale(kind, Fate::Alone, &id("stale", number), body);
        let stale = some.iter().enumerate().map(stale).collect::<Result<_>>()?;
        refusals.push(refused("stale", 403, stale));
    }
    Ok(refusals)
}

fn mean([reads, writes]: Used, count: usize) -> Used {
    let count = number(count.max(1));
    [reads / count, writes / count]
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

#[expect(clippy::print_stderr, reason = "a command that takes minutes says where it is")]
fn says(what: &str) {
    eprintln!("measuring: {what}");
}
