//! Measures the embedded store: durable appends a second, CPU for each, latency, disk, and opening again.
//!
//! ```text
//! cargo run --release -p hookward-store --features conformance --example append_bench -- <directory> [events] [submitters] [body bytes]
//! ```
#![expect(clippy::print_stdout, reason = "this is a program for a terminal")]
#![expect(clippy::disallowed_methods, reason = "a benchmark asks what time it is")]
#![expect(
    clippy::cast_precision_loss,
    clippy::unchecked_time_subtraction,
    clippy::format_push_string,
    reason = "figures for people, between times in order"
)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hookward_core::{
    ContentDigest, Event, EventKey, EventParts, Intake, SourceName, Timestamp, event::testing,
};
use hookward_store::{
    Attempt, Claim, Outcome, Store,
    embedded::{Embedded, Options},
};

type Outcomes<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Clone)]
struct Load {
    directory: PathBuf,
    events: u64,
    submitters: u64,
    body: Vec<u8>,
}

fn main() -> Outcomes<()> {
    let mut arguments = env::args().skip(1);
    let directory =
        PathBuf::from(arguments.next().ok_or("give a directory that may be filled and emptied")?);
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse::<u64>());
    let (events, submitters) = (number(1_000_000)?, number(64)?);
    let body = json(usize::try_from(number(1_024)?)?);
    let load = Load { directory, events, submitters, body };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    runtime.block_on(async {
        closed_loop(&load, false).await?;
        closed_loop(&load, true).await?;
        reopen(&load).await?;
        for rate in [1_000, 5_000, 10_000, 20_000] {
            open_loop(&load, rate).await?;
        }
        fs::remove_dir_all(&load.directory)?;
        Ok(())
    })
}

/// Each submitter appends the next event when the last one is durable; a worker leases and settles, if asked to.
async fn closed_loop(load: &Load, deliver: bool) -> Outcomes<()> {
    let store = fresh(load)?;
    let next = Arc::new(AtomicU64::new(0));
    let (cpu, start) = (cpu_time()?, Instant::now());
    let worker = deliver.then(|| Worker::start(&store));
    let mut tasks = Vec::new();
    for _ in 0..load.submitters {
        let (store, next, load) = (Arc::clone(&store), Arc::clone(&next), load.clone());
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= load.events {
                    return Ok::<_, hookward_store::StoreError>(latencies);
                }
                let asked = Instant::now();
                store.append(event(number, &load.body), Claim::Queue).await?;
                latencies.push(asked.elapsed());
            }
        }));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.append(&mut task.await??);
    }
    if let Some(worker) = worker {
        worker.finish(load.events).await?;
    }
    let (elapsed, cpu) = (start.elapsed(), cpu_time()? - cpu);
    let what = if deliver { "append + settle" } else { "append" };
    println!(
        "{what}, {} submitters: {:.0}/s, {:.1} us CPU each, {}",
        load.submitters,
        load.events as f64 / elapsed.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / load.events as f64,
        percentiles(latencies),
    );
    let closing = Instant::now();
    store.close().await?;
    let closing = closing.elapsed();
    let (taken, used) = disk_bytes(&load.directory)?;
    let one = event(0, &load.body);
    let labels = [one.event_type.as_deref(), one.sender_id.as_deref(), Some(one.source.as_str())];
    let labels: usize = labels.into_iter().flatten().map(str::len).sum();
    let headers: usize = one.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    let payload = (load.events * (load.body.len() + labels + headers) as u64) as f64;
    println!(
        "  disk: {:.3} x payload, {:.3} x with the room that the last segment has taken; closed in {closing:?}",
        used as f64 / payload,
        taken as f64 / payload,
    );
    Ok(())
}

/// Opens what the closed loop left, with its snapshot, without it, and without any derived file.
async fn reopen(load: &Load) -> Outcomes<()> {
    for (what, without) in [
        ("a snapshot", &[][..]),
        ("no snapshot", &["snapshot"]),
        ("nothing but the log", &["snapshot", "idx"]),
    ] {
        for file in fs::read_dir(&load.directory)? {
            let path = file?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if without.iter().any(|without| name.ends_with(without)) {
                fs::remove_file(path)?;
            }
        }
        let start = Instant::now();
        let store = Embedded::open(&load.directory, Options::default())?;
        let opened = start.elapsed();
        let counts = store.counts().await?;
        println!(
            "open {} events with {what}: {opened:?} ({} pending)",
            load.events, counts.pending
        );
    }
    Ok(())
}

/// Appends come at a rate, whether or not the last one was answered; latency counts from when each should have come.
async fn open_loop(load: &Load, rate: u64) -> Outcomes<()> {
    let store = fresh(load)?;
    let events = rate * 5;
    let (cpu, start) = (cpu_time()?, Instant::now());
    let worker = Worker::start(&store);
    let mut tasks = Vec::new();
    let mut sent = 0;
    while sent < events {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let due =
            (start.elapsed().as_micros() * u128::from(rate) / 1_000_000).min(u128::from(events));
        while u128::from(sent) < due {
            let (store, event, asked) =
                (Arc::clone(&store), event(sent, &load.body), Instant::now());
            tasks.push(tokio::spawn(async move {
                store.append(event, Claim::Queue).await?;
                Ok::<_, hookward_store::StoreError>(asked.elapsed())
            }));
            sent += 1;
        }
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.push(task.await??);
    }
    worker.finish(events).await?;
    let cpu = cpu_time()? - cpu;
    let each = cpu.as_secs_f64() * 1e6 / events as f64;
    println!("append + settle at {rate}/s: {each:.1} us CPU each, {}", percentiles(latencies));
    store.close().await?;
    Ok(())
}

/// Delivers whatever comes.
struct Worker {
    stop: Arc<AtomicBool>,
    delivered: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<Result<(), hookward_store::StoreError>>,
}

impl Worker {
    fn start(store: &Arc<dyn Store>) -> Self {
        let (stop, delivered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopping, settled, store) =
            (Arc::clone(&stop), Arc::clone(&delivered), Arc::clone(store));
        let task = tokio::spawn(async move {
            let sources = [source()];
            while !stopping.load(Ordering::Relaxed) {
                let work = store.lease(&sources, at(10), at(1_000), 64).await?;
                if work.leased.is_empty() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                for leased in work.leased {
                    let attempt = Attempt { at: at(10), status: Some(200), note: "".into() };
                    store.settle(leased.lease, Outcome::Done(attempt), at(10)).await?;
                    settled.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok(())
        });
        Self { stop, delivered, task }
    }

    async fn finish(self, events: u64) -> Outcomes<()> {
        while self.delivered.load(Ordering::Relaxed) < events && !self.task.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.task.await??)
    }
}

fn fresh(load: &Load) -> Outcomes<Arc<dyn Store>> {
    if load.directory.exists() {
        fs::remove_dir_all(&load.directory)?;
    }
    let options = Options { queue_max: 10_000_000, ..Options::default() };
    Ok(Arc::new(Embedded::open(&load.directory, options)?))
}

fn source() -> SourceName {
    SourceName::parse("stripe").expect("a valid name")
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + second)
}

fn event(number: u64, body: &[u8]) -> Event {
    let spread = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    testing::event(EventParts {
        key: EventKey::from_bytes(spread.to_be_bytes()),
        source: source(),
        event_type: Some("invoice.paid".into()),
        sender_id: Some(format!("evt_1NG8Du2eZvKYlo{number:08}").into()),
        content: ContentDigest::from_bytes(spread.to_le_bytes()),
        received_at: at(0).saturating_add(Duration::from_micros(number)),
        intake: Intake::Deliver,
        headers: vec![("content-type".into(), (*b"application/json").into())],
        body: body.to_vec().into(),
        body_expires_at: at(30 * 24 * 3600),
        key_expires_at: Some(at(31 * 24 * 3600)),
    })
}

/// Something like JSON.
fn json(bytes: usize) -> Vec<u8> {
    let mut text = String::from("{");
    let mut field = 0_u32;
    while text.len() < bytes {
        field += 1;
        text += &format!("\"field_{field}\":\"{:x}\",", field.wrapping_mul(2_654_435_761));
    }
    text.truncate(bytes);
    text.into_bytes()
}

fn percentiles(mut latencies: Vec<Duration>) -> String {
    latencies.sort_unstable();
    let at =
        |share: usize| latencies.get(latencies.len() * share / 1_000).copied().unwrap_or_default();
    format!("p50 {:?}, p99 {:?}, p99.9 {:?}", at(500), at(990), at(999))
}

/// User and system time of this process, from the kernel, in hundredths of a second.
fn cpu_time() -> Outcomes<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("an odd /proc/self/stat")?;
    let mut fields = fields.split(' ').skip(11);
    let mut ticks = || {
        fields.next().and_then(|field| field.parse::<u64>().ok()).ok_or("an odd /proc/self/stat")
    };
    Ok(Duration::from_millis((ticks()? + ticks()?) * 10))
}

/// Bytes of all files, and without the zeros at the end of each: the room that segments have taken in advance.
fn disk_bytes(directory: &Path) -> Outcomes<(u64, u64)> {
    let (mut taken, mut used) = (0, 0);
    for file in fs::read_dir(directory)? {
        let bytes = fs::read(file?.path())?;
        taken += bytes.len() as u64;
        used += bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
    }
    Ok((taken, used))
}
