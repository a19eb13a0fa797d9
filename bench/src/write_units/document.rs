//! What was measured, as a page for people.

use std::{fmt::Write as _, path::Path, process::Command};

use super::{AtRate, Idle, OfBodies, Outcomes, PROMISED_UNITS, Report, Result, TakenOver, Used};

/// What the gateway's own estimate takes units to cost.
#[derive(Clone, Debug)]
pub(super) struct Prices {
    write: f64,
    read: f64,
    source: String,
}

impl Prices {
    /// What `hookward dynamodb cost` says.
    pub(super) fn of(hookward: &Path) -> Result<Self> {
        let cost = ["dynamodb", "cost", "--events-per-day", "1000000", "--bytes", "700", "--json"];
        let output = Command::new(hookward).args(cost).output()?;
        let said: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let said = said.get("prices").ok_or("there are no prices")?;
        let source = said.get("source").and_then(|it| it.as_str()).unwrap_or_default();
        let price = |name: &str| said.get(name)?.as_f64();
        Ok(Self {
            write: price("write_units_million_usd").ok_or("writes have no price")?,
            read: price("read_units_million_usd").ok_or("reads have no price")?,
            source: source.split(';').next().unwrap_or_default().to_owned(),
        })
    }

    /// Of a million events.
    fn million(&self, [reads, writes]: Used) -> f64 {
        reads * self.read + writes * self.write
    }
}

/// The page.
pub(super) fn written(report: &Report, prices: &Prices) -> Result<String> {
    let mut page = String::from(HEAD);
    writeln!(page, "## A million events\n")?;
    writeln!(
        page,
        "US dollars for a million events that are delivered at their first attempt under load, at ${} a million write units \
         and ${} a million read units: {}.\n",
        prices.write, prices.read, prices.source
    )?;
    table_head(&mut page, "bodies", report.of_bodies.first())?;
    for of_bodies in &report.of_bodies {
        let cells = of_bodies.columns(|it| it.load).map(|it| format!("{:.2}", prices.million(it)));
        row(&mut page, of_bodies.bodies.name, cells)?;
    }
    writeln!(page, "\n## By outcome\n")?;
    writeln!(page, "{BY_OUTCOME}")?;
    for of_bodies in &report.of_bodies {
        outcomes(&mut page, of_bodies)?;
    }
    taken_over(&mut page, report)?;
    at_rates(&mut page, &report.at_rates)?;
    idle(&mut page, report.idle, prices)?;
    page.push_str(FOOT);
    let again: u64 = report.of_bodies.iter().map(|it| it.hookward.again).sum();
    writeln!(
        page,
        "- **In this run** {again} calls of the gateways that are measured by outcome were made again, since DynamoDB Local had not \
         answered the first within 800 ms. What such a call used the first time only the proxy knows; the tables have what the gateways say."
    )?;
    Ok(page)
}

impl OfBodies {
    fn columns(&self, of: impl Fn(&Outcomes) -> Used) -> impl Iterator<Item = Used> {
        let others = self.others.iter().map(|(_, outcomes)| of(outcomes)).collect::<Vec<_>>();
        std::iter::once(of(&self.hookward)).chain(others)
    }
}

/// A row of a table, and what it is about.
type Row = (&'static str, fn(&Outcomes) -> Used);

fn outcomes(page: &mut String, of_bodies: &OfBodies) -> Result<()> {
    writeln!(
        page,
        "### {}: {:.0} bytes in the mean\n",
        of_bodies.bodies.name, of_bodies.mean_bytes
    )?;
    table_head(page, "outcome", Some(of_bodies))?;
    let rows: [Row; 8] = [
        ("delivered, one by one", |it| it.alone),
        ("delivered, under load", |it| it.load),
        ("delivered at the second attempt", |it| it.retried),
        ("dead after one attempt", |it| it.dead),
        ("malformed, kept as a dead letter", |it| it.malformed),
        ("duplicate, remembered", |it| it.remembered),
        ("duplicate, not remembered", |it| it.forgotten),
        (
            "forged, stale, malformed, too large (for the source, or for an item), over the budget",
            |it| it.refused,
        ),
    ];
    for (name, of) in rows {
        row(page, name, of_bodies.columns(of).map(units))?;
    }
    let recovered =
        of_bodies.others.iter().map(|(_, it)| it.recovered.map_or_else(String::new, units));
    row(
        page,
        "found again after a crash",
        std::iter::once("see below".to_owned()).chain(recovered),
    )?;
    writeln!(page)?;
    Ok(())
}

fn taken_over(page: &mut String, report: &Report) -> Result<()> {
    writeln!(page, "## Takeover\n\n{TAKEOVER}")?;
    writeln!(
        page,
        "| what it had | events | to take them over | and until they are delivered | for each event |"
    )?;
    writeln!(page, "|---|---|---|---|---|")?;
    let node =
        report.taken_over.iter().find(|it| it.events == 0).map_or([0.0; 2], |it| it.delivered);
    for TakenOver { what, events, taken, delivered } in &report.taken_over {
        let more = [delivered[0] - node[0], delivered[1] - node[1]];
        let each = if *events == 0 { String::new() } else { units(super::mean(more, *events)) };
        let (taken, delivered) = (units(*taken), units(*delivered));
        writeln!(page, "| {what} | {events} | {taken} | {delivered} | {each} |")?;
    }
    writeln!(page)?;
    Ok(())
}

fn at_rates(page: &mut String, at_rates: &[AtRate]) -> Result<()> {
    writeln!(page, "## What load it takes\n\n{RATES}")?;
    writeln!(
        page,
        "| `journal_delay` | events a second | events in a journal item | write units for each event |"
    )?;
    writeln!(page, "|---|---|---|---|")?;
    for AtRate { journal_delay, rate, writes, shared, resent } in at_rates {
        let again = if *resent > 0 { format!(" ({resent} sent again)") } else { String::new() };
        let mark = if *writes <= PROMISED_UNITS { "**" } else { "" };
        writeln!(
            page,
            "| {journal_delay} | {rate:.0}{again} | {shared:.1} | {mark}{writes:.2}{mark} |"
        )?;
    }
    writeln!(page)?;
    Ok(())
}

fn idle(page: &mut String, Idle { seconds, used }: Idle, prices: &Prices) -> Result<()> {
    let [reads, writes] = used.map(|it| it / seconds * 24.0 * 3_600.0);
    writeln!(
        page,
        "## A node that idles\n\nIn {seconds} seconds it used {}, which is {writes:.0} write units and {reads:.0} read units a \
         day: ${:.3}. It says that it is there, and looks for others, each ten seconds.\n",
        units(used),
        prices.million([reads, writes]) / 1e6
    )?;
    Ok(())
}

fn table_head(page: &mut String, first: &str, of_bodies: Option<&OfBodies>) -> Result<()> {
    let others = of_bodies.into_iter().flat_map(|it| &it.others).map(|(design, _)| design.name);
    let names: Vec<_> = [first, "Hookward"].into_iter().chain(others).collect();
    row(
        page,
        names.first().copied().unwrap_or_default(),
        names.iter().skip(1).map(|it| (*it).to_owned()),
    )?;
    writeln!(page, "|{}", "---|".repeat(names.len()))?;
    Ok(())
}

fn row(page: &mut String, name: &str, cells: impl Iterator<Item = String>) -> Result<()> {
    writeln!(page, "| {name} | {} |", cells.collect::<Vec<_>>().join(" | "))?;
    Ok(())
}

/// Write units, and read units where there are any.
fn units([reads, writes]: Used) -> String {
    let short = |value: f64| {
        let text = format!("{value:.2}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match (reads > 0.0, writes > 0.0) {
        (true, true) => format!("{} + {} r", short(writes), short(reads)),
        (true, false) => format!("{} r", short(reads)),
        (false, _) => short(writes),
    }
}

const HEAD: &str = "\
# What an event costs

Measured, not worked out: `cargo run --release -p hookward-bench -- write-units` starts DynamoDB Local and `hookward serve`, sends
webhooks, and writes this page; it fails if a refusal uses anything, or an event of at most 900 bytes under load more than 1.1
write units. A test does the same in small. Where each number comes from is below, under \"How it is measured\".

The gateways are the program as people run it, with the defaults of the configuration. Beside them are two designs as they are usually
built, asked directly through Amazon's SDK:

- **put, update**: one item for each event, with payload and status in it. A conditional put keeps it, an update says what became of it.
- **index**: the same, and what is to be done is in a sparse index with keys only, from which the update takes it.

Each is measured with bodies as they came, and with bodies compressed like Hookward's (*zstd*). Neither has what Hookward's journal is
for: with *put, update* finding what a crash left behind is a scan of the table, and with *index* each event pays for it.

";

const BY_OUTCOME: &str = "\
Write units for each event, in the mean, with everything that it took to keep it; `r` are read units. What a node uses that is there is in
the row \"under load\" and in no other: see \"A node that idles\".
";

const TAKEOVER: &str = "\
A gateway takes events that the application does not answer, and is killed; another one notices, makes them its own and
delivers them. Write units, and read units (`r`), for all of them; each event gets a ticket, is journaled again, and its ticket is
closed when it is delivered.
";

const RATES: &str = "\
Where events come closer together than `journal_delay` (25 ms unless it is configured), each waits that long at most for others to share a
journal item with, and while an item is written the next one fills. So as many share one as come in `journal_delay` and the time of a
write; an event that comes alone has an item to itself, and waits for nobody. Events of 900 random bytes, sent at a rate, and each answer of DynamoDB Local held back for 5 ms, since Amazon is
farther away; in bold what is within 1.1 write units.
";

const FOOT: &str = "\
## How it is measured

- **Bodies.** *JSON*: an invoice as a payment provider writes it, with random ids, times and amounts. *random*: one text of random printable
  characters, of which zstd saves a fifth: as near as JSON comes to what does not compress. *GitHub*: the recorded payloads of
  `@octokit/webhooks-examples`, minified, each once. Hookward stores what zstd at level 3 makes of a body, where that is smaller.
- **Units.** A proxy between each gateway and DynamoDB Local sums the `ConsumedCapacity` of all answers. The gateway's own
  `hookward_store_units_total` has to be the same to the last unit, or the command fails (unless calls were made again: see the end). The other designs go through the same proxy.
- **A condition that was not true** is billed by the item that is there, and no answer says how much that was: the
  proxy works it out from the item that comes with the answer, Hookward from what it decodes, each for itself.
- **Reads.** DynamoDB Local counts a consistent read of one item as Amazon documents it: one unit for each started four kilobytes, and one for an item
  that is not there.
- **What DynamoDB Local says wrongly**: transactions, at up to twice what Amazon documents. Neither Hookward nor the two
  designs use any. Puts, updates, conditions and index writes it counts as documented. It never throttles.
- **Under load**: 64 webhooks on their way at once, as fast as they are answered.
- **Not measured**: Amazon itself. What is billed there is what its documentation says that these calls use.
";
