//! `hookward bench`: pre-signed, unique webhooks over keep-alive connections, and what a gateway makes of them.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use clap::Args;
use hdrhistogram::Histogram;
use hookward_core::{
    Source,
    provider::Provider,
    scheme::Sample,
    secret::{Secret, SecretRef, Validity},
    source::{SourceName, SourceRules},
};
use hookward_secrets as secrets;
use hookward_server::{Clock, SystemClock};
use serde::Serialize;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
    sync::Semaphore,
    task::JoinSet,
};

use crate::{client, failure::Failure, output::say, providers, sample, serve::runtime};

/// Drives a gateway with pre-signed, unique webhooks and prints requests per second and latency.
///
/// Without `--url` it measures a gateway of its own: this program, in another process, on the embedded store in a
/// temporary folder. Traffic goes to loopback only.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// The endpoint to drive; on loopback
    #[arg(long, requires = "secret")]
    url: Option<String>,
    /// Where the endpoint's secret is: env:NAME, file:PATH, or any other reference that a configuration takes
    #[arg(long, requires = "url")]
    secret: Option<String>,
    /// The provider to sign as
    #[arg(long, default_value = "hmac")]
    provider: String,
    /// Connections at once
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    /// Requests in all
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    requests: u32,
    /// The body's size, in bytes
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(64..=1_000_000))]
    body_bytes: u32,
    /// Requests a second, evenly spread, sent whether or not earlier ones are answered (open loop); as fast as
    /// the answers come when left out (closed loop)
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// Give every request a wrong signature
    #[arg(long)]
    forged: bool,
    /// Where the temporary store is; the system's folder for such when left out
    #[arg(long, value_name = "FOLDER", conflicts_with = "url")]
    store: Option<std::path::PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    requests: u64,
    errors: u64,
    /// Answers by status.
    statuses: Vec<(u16, u64)>,
    seconds: f64,
    requests_per_second: f64,
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
    p999_us: u64,
    max_us: u64,
    /// CPU time of the gateway per request, where the gateway is our own child.
    server_cpu_us_per_request: Option<f64>,
    /// The gateway's largest resident memory, where it is our own child.
    server_peak_kib: Option<u64>,
}

impl Bench {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let provider = providers::named(&self.provider)?;
        runtime()?.block_on(async {
            if let Some(url) = &self.url {
                let Ok(reference) = self.secret.as_deref().unwrap_or_default().parse::<SecretRef>();
                let secret = secrets::follow(&reference, None).await;
                let secret = secret.map_err(|error| Failure::of("--secret", &error))?;
                let uri = client::url(url)?;
                let address = loopback(&uri)?;
                let report = self.drive(provider, secret, address, uri.path(), None).await?;
                return self.print(&report);
            }
            let secret = sample::secret(provider);
            let own = OwnGateway::start(provider, &secret, self.store.as_deref()).await?;
            let report = self
                .drive(provider, Secret::new(secret), own.address, "/hooks/bench", Some(&own))
                .await;
            own.stop().await;
            self.print(&report?)
        })
    }

    async fn drive(
        &self,
        provider: &'static Provider,
        secret: Secret,
        address: SocketAddr,
        path: &str,
        own: Option<&OwnGateway>,
    ) -> Result<Report, Failure> {
        let clock = SystemClock::start();
        let requests = Arc::new(self.signed(provider, secret, path, clock.as_ref())?);
        let schedule = Arc::new(Schedule {
            next: AtomicUsize::new(0),
            every: self.rate.map(|rate| Duration::from_secs(1) / rate),
            due: Semaphore::new(0),
            started: clock.elapsed(),
        });
        if let Some(every) = schedule.every {
            let (schedule, clock) = (Arc::clone(&schedule), Arc::clone(&clock));
            let count = requests.len();
            // A thread of its own: the runtime's timers are exact to a millisecond only.
            thread::spawn(move || schedule.pace(every, count, clock.as_ref()));
        }
        let cpu_before = own.and_then(OwnGateway::cpu);
        let seen = Arc::new(Mutex::new(Seen::new()));
        let mut tasks = JoinSet::new();
        for _ in 0..self.connections {
            let (requests, schedule, seen, clock) = (
                Arc::clone(&requests),
                Arc::clone(&schedule),
                Arc::clone(&seen),
                Arc::clone(&clock),
            );
            tasks.spawn(async move {
                let own = connection(address, &requests, &schedule, clock.as_ref()).await;
                seen.lock().unwrap_or_else(PoisonError::into_inner).add(own);
            });
        }
        while tasks.join_next().await.is_some() {}
        let seconds = clock.elapsed().saturating_sub(schedule.started).as_secs_f64();
        let cpu_after = own.and_then(OwnGateway::cpu);

        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = seen.latencies.len();
        #[expect(clippy::cast_precision_loss, reason = "a report for people")]
        let per = |total: f64| total / (answered.max(1) as f64);
        #[expect(clippy::cast_precision_loss, reason = "a report for people")]
        Ok(Report {
            requests: answered,
            errors: seen.errors,
            statuses: seen.statuses.clone(),
            seconds,
            requests_per_second: answered as f64 / seconds,
            p50_us: seen.latencies.value_at_quantile(0.5),
            p90_us: seen.latencies.value_at_quantile(0.9),
            p99_us: seen.latencies.value_at_quantile(0.99),
            p999_us: seen.latencies.value_at_quantile(0.999),
            max_us: seen.latencies.max(),
            server_cpu_us_per_request: cpu_before
                .zip(cpu_after)
                .map(|(before, after)| per(after.saturating_sub(before).as_secs_f64() * 1e6)),
            server_peak_kib: own.and_then(OwnGateway::peak_kib),
        })
    }

    /// Every request as the bytes that go over the wire, each with an id of its own.
    fn signed(
        &self,
        provider: &Provider,
        secret: Secret,
        path: &str,
        clock: &dyn Clock,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let name = SourceName::parse("bench").map_err(|error| Failure::of("source", &error))?;
        let source = Source::new(
            SourceRules::of_provider(name, path, provider),
            vec![(secret, Validity::default())],
        )
        .map_err(|error| Failure::of("--secret", &error))?;
        let run = sample::random_hex(12);
        let body_bytes = self.body_bytes as usize;
        let mut all = Vec::with_capacity(self.requests as usize);
        for number in 0..self.requests {
            let start = format!(
                r#"{{"id":"{run}-{number}","event_id":"{run}-{number}","type":"bench","pad":""#
            );
            let pad = "x".repeat(body_bytes.saturating_sub(start.len() + 2));
            let body = format!(r#"{start}{pad}"}}"#);
            let id = format!("msg_{run}_{number}");
            let sample = Sample { id: &id, at: clock.now(), body: body.as_bytes() };
            let signed = source.scheme().sign(sample);
            let mut head = format!(
                "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
                body.len()
            );
            for (name, value) in
                signed.ok_or_else(|| Failure::new("this secret can verify and not sign"))?.headers
            {
                head = format!("{head}{name}: {value}\r\n");
            }
            let body = if self.forged { body.replacen("\"bench\"", "\"forge\"", 1) } else { body };
            all.push([head.as_bytes(), b"\r\n", body.as_bytes()].concat());
        }
        Ok(all)
    }

    /// Says how it went. A report that cannot be said takes nothing from the verdict.
    fn print(&self, report: &Report) -> Result<(), Failure> {
        let said = if self.json {
            let json = serde_json::to_string_pretty(report)
                .map_err(|error| Failure::of("report", &error))?;
            say!("{json}")
        } else {
            self.describe(report)
        };
        if report.errors == 0 {
            said
        } else {
            Err(Failure::new(format!("{} requests got no answer", report.errors)))
        }
    }

    fn describe(&self, report: &Report) -> Result<(), Failure> {
        let loop_kind = self
            .rate
            .map_or_else(|| "closed loop".to_owned(), |rate| format!("open loop at {rate}/s"));
        say!(
            "{} requests of {} bytes, {} connections, {loop_kind}",
            report.requests,
            self.body_bytes,
            self.connections
        )?;
        say!("requests/s  {:.0}   in {:.2} s", report.requests_per_second, report.seconds)?;
        say!(
            "latency     p50 {} us   p90 {} us   p99 {} us   p99.9 {} us   max {} us",
            report.p50_us,
            report.p90_us,
            report.p99_us,
            report.p999_us,
            report.max_us
        )?;
        let statuses: Vec<_> =
            report.statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
        say!("answers     {}   errors {}", statuses.join(", "), report.errors)?;
        if let (Some(cpu), Some(peak)) = (report.server_cpu_us_per_request, report.server_peak_kib)
        {
            say!(
                "gateway     {cpu:.1} us CPU a request, {:.1} MiB at its peak",
                f64::from(u32::try_from(peak).unwrap_or(u32::MAX)) / 1024.0
            )?;
        }
        Ok(())
    }
}

/// Which request is next, and when.
struct Schedule {
    next: AtomicUsize,
    every: Option<Duration>,
    /// In the open loop, one for each request that is due.
    due: Semaphore,
    started: Duration,
}

impl Schedule {
    /// When a request is due.
    fn at(&self, number: usize, every: Duration) -> Duration {
        self.started + every.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// Says of each request when it is due, until the last one is.
    fn pace(&self, every: Duration, count: usize, clock: &dyn Clock) {
        for number in 0..count {
            let wait = self.at(number, every).saturating_sub(clock.elapsed());
            if !wait.is_zero() {
                thread::sleep(wait);
            }
            self.due.add_permits(1);
        }
    }
}

/// What one or all connections saw.
struct Seen {
    latencies: Histogram<u64>,
    statuses: Vec<(u16, u64)>,
    errors: u64,
}

impl Seen {
    fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1, 600_000_000, 3).expect("constant bounds");
        Self { latencies, statuses: Vec::new(), errors: 0 }
    }

    fn answer(&mut self, status: u16, took: Duration) {
        self.latencies
            .saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1));
        self.count(status, 1);
    }

    fn count(&mut self, status: u16, count: u64) {
        match self.statuses.iter_mut().find(|(known, _)| *known == status) {
            Some((_, total)) => *total += count,
            None => self.statuses.push((status, count)),
        }
    }

    fn add(&mut self, other: Self) {
        self.latencies += other.latencies;
        self.errors += other.errors;
        for (status, count) in other.statuses {
            self.count(status, count);
        }
    }
}

/// Sends what is next until all is sent. In the open loop a request's latency counts from when it was due, so that a
/// stall is not hidden by sending less.
async fn connection(
    address: SocketAddr,
    requests: &[Vec<u8>],
    schedule: &Schedule,
    clock: &dyn Clock,
) -> Seen {
    let mut seen = Seen::new();
    let mut stream = None;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let number = schedule.next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = requests.get(number) else { return seen };
        let due = match schedule.every {
            Some(every) => {
                // The schedule closes for nobody: an error would mean that it is due now.
                if let Ok(due) = schedule.due.acquire().await {
                    due.forget();
                }
                schedule.at(number, every)
            }
            None => clock.elapsed(),
        };
        let open = match stream.take() {
            Some(open) => Ok(open),
            None => connect(address).await,
        };
        match open {
            Ok(mut open) => match exchange(&mut open, request, &mut buffer).await {
                Ok((status, keep)) => {
                    seen.answer(status, clock.elapsed().saturating_sub(due));
                    stream = keep.then_some(open);
                }
                Err(_) => seen.errors += 1,
            },
            Err(_) => seen.errors += 1,
        }
    }
}

async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One request, one answer: its status, and whether the connection can be used again.
async fn exchange(
    stream: &mut TcpStream,
    request: &[u8],
    buffer: &mut [u8],
) -> std::io::Result<(u16, bool)> {
    use std::io::{Error, ErrorKind};
    stream.write_all(request).await?;
    let mut filled = 0;
    loop {
        let room = buffer
            .get_mut(filled..)
            .filter(|room| !room.is_empty())
            .ok_or(ErrorKind::FileTooLarge)?;
        let read = stream.read(room).await?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut answer = httparse::Response::new(&mut headers);
        let received = buffer.get(..filled).unwrap_or_default();
        let httparse::Status::Complete(head) = answer.parse(received).map_err(Error::other)? else {
            continue;
        };
        let value = |name: &str| {
            answer.headers.iter().find(|it| it.name.eq_ignore_ascii_case(name)).map(|it| it.value)
        };
        let length = value("content-length")
            .and_then(|it| std::str::from_utf8(it).ok()?.parse().ok())
            .unwrap_or(0_usize);
        if filled >= head + length {
            let close = value("connection").is_some_and(|it| it.eq_ignore_ascii_case(b"close"));
            return Ok((answer.code.unwrap_or(0), !close));
        }
    }
}

fn loopback(uri: &http::Uri) -> Result<SocketAddr, Failure> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let address = if host == "localhost" { "127.0.0.1" } else { host };
    let address: std::net::IpAddr = address
        .parse()
        .map_err(|_| Failure::new(format!("{host:?}: name the address, such as 127.0.0.1")))?;
    if !address.is_loopback() || uri.scheme_str() != Some("http") {
        return Err(Failure::new(
            "the benchmark drives only http on loopback: run it on the machine of the gateway",
        ));
    }
    Ok((address, uri.port_u16().unwrap_or(80)).into())
}

/// This program as a gateway in another process, on a store that goes away with it.
struct OwnGateway {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl OwnGateway {
    async fn start(
        provider: &Provider,
        secret: &str,
        folder: Option<&Path>,
    ) -> Result<Self, Failure> {
        let failed = |error: &dyn std::error::Error| Failure::of("cannot start a gateway", error);
        let folder = match folder {
            Some(folder) => tempfile::tempdir_in(folder),
            None => tempfile::tempdir(),
        }
        .map_err(|error| failed(&error))?;
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[store]\nkind = \"embedded\"\npath = \"store\"\n[log]\nformat = \"json\"\n\
             [sources.bench]\nprovider = \"{}\"\npath = \"/hooks/bench\"\nsecret = \"env:HOOKWARD_BENCH_SECRET\"\n",
            provider.name
        );
        let file = folder.path().join("hookward.toml");
        fs::write(&file, config).map_err(|error| failed(&error))?;
        let program = std::env::current_exe().map_err(|error| failed(&error))?;
        let mut child = Command::new(program)
            .args(["serve", "--config"])
            .arg(&file)
            .env("HOOKWARD_BENCH_SECRET", secret)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(&error))?;
        let log = child.stderr.take().ok_or_else(|| Failure::new("the gateway has no log"))?;
        let mut lines = BufReader::new(log).lines();
        let mut said = String::new();
        let address = loop {
            let Some(line) = lines.next_line().await.map_err(|error| failed(&error))? else {
                return Err(Failure::new(format!("the gateway did not start:\n{said}")));
            };
            if let Some((_, rest)) = line.split_once("taking webhooks at http://") {
                let address = rest.split(['"', ' ']).next().unwrap_or_default();
                break address.parse().map_err(|error| failed(&error))?;
            }
            said = format!("{said}{line}\n");
        };
        // Whoever does not read a pipe stops its writer.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, address, _folder: folder })
    }

    /// CPU time so far, of all its threads.
    fn cpu(&self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()?)).ok()?;
        // Behind the name in parentheses, which may hold anything; user and system time are fields 14 and 15 of the line.
        let (_, fields) = stat.rsplit_once(')')?;
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<u64>().ok())
            .sum();
        // Linux counts in hundredths of a second for user space, on every architecture that matters here.
        Some(Duration::from_millis(ticks * 10))
    }

    fn peak_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    }

    async fn stop(mut self) {
        // It is our own, and its store goes away: nothing is to be finished.
        if let Err(error) = self.child.kill().await {
            tracing::warn!(%error, "the gateway of the benchmark was gone already");
        }
    }
}
