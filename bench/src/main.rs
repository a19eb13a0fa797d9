//! The gateway against a bare hyper server that reads the body and answers 200: in turns, in one run, on one machine, under
//! the same load.
//!
//! `cargo run --release -p hookward-bench` runs the comparison; it builds nothing and wants `hookward` built beside it
//! (`cargo build --release`). `hookward-bench bare` is the bare server alone.
//!
//! `cargo run --release -p hookward-bench -- write-units` measures what events cost on DynamoDB, and writes docs/write-units.md. It
//! builds `hookward`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::{
    convert::Infallible,
    error::Error,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How often each side is measured; the median counts.
const ROUNDS: usize = 5;

/// One way to load a server.
struct Load {
    name: &'static str,
    arguments: &'static [&'static str],
}

const LOADS: [Load; 3] = [
    Load {
        name: "accept: 256 connections, 1 KiB, closed loop",
        arguments: &["--connections", "256", "--body-bytes", "1024", "--requests", "200000"],
    },
    Load {
        name: "accept: 10,000/s, 64 connections, 1 KiB, open loop",
        arguments: &[
            "--connections",
            "64",
            "--body-bytes",
            "1024",
            "--requests",
            "60000",
            "--rate",
            "10000",
        ],
    },
    Load {
        name: "forged: 256 connections, 1 KiB, closed loop",
        arguments: &[
            "--connections",
            "256",
            "--body-bytes",
            "1024",
            "--requests",
            "200000",
            "--forged",
        ],
    },
];

fn main() -> ExitCode {
    let outcome = match std::env::args().nth(1).as_deref() {
        None => compare(),
        Some("bare") => bare(),
        Some("write-units") => write_units(),
        Some(other) => Err(format!(
            "{other:?} is unknown: say `bare`, `write-units`, or nothing for the comparison"
        )
        .into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hookward-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures both sides in turns, so that a slow minute of the machine falls on both.
fn compare() -> Result<()> {
    let hookward = beside("hookward")?;
    println!("medians of {ROUNDS} rounds, both sides in turns; latencies in microseconds");
    for load in LOADS {
        println!("\n{}", load.name);
        let (mut bare, mut gateway) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bare.push(Measured::of_bare(&hookward, &load)?);
            gateway.push(Measured::of_gateway(&hookward, &load)?);
        }
        let (bare, gateway) = (Measured::median(bare)?, Measured::median(gateway)?);
        println!("  {:<14}{:>10}{:>8}{:>8}{:>12}", "", "req/s", "p50", "p99", "us CPU/req");
        bare.print("bare hyper");
        gateway.print("gateway");
        println!("  ratio         {:>10.2}", gateway.per_second / bare.per_second);
    }
    Ok(())
}

/// What one run of `hookward bench` said.
#[derive(Clone)]
struct Measured {
    per_second: f64,
    p50: f64,
    p99: f64,
    cpu: Option<f64>,
}

impl Measured {
    fn of_gateway(hookward: &Path, load: &Load) -> Result<Self> {
        Self::run(Command::new(hookward).args(["bench", "--json"]).args(load.arguments))
    }

    fn of_bare(hookward: &Path, load: &Load) -> Result<Self> {
        let mut server = Bare::start()?;
        let mut command = Command::new(hookward);
        command
            .args([
                "bench",
                "--json",
                "--url",
                &format!("http://{}/hooks/bench", server.address),
                "--secret",
                "env:HOOKWARD_BENCH_SECRET",
            ])
            .env(
                "HOOKWARD_BENCH_SECRET",
                "5ddf7bb6c1c44a0e8e2c5ad7f8db2f5d1cf4ef28a3ba1fdd4b9d0a3e2ffb2e0c",
            )
            .args(load.arguments);
        let before = server.cpu_us();
        let mut measured = Self::run(&mut command)?;
        let requests = measured.cpu.take();
        let after = server.cpu_us();
        measured.cpu = before
            .zip(after)
            .zip(requests)
            .map(|((before, after), requests)| (after - before) / requests);
        server.stop()?;
        Ok(measured)
    }

    /// In `cpu` is the CPU time a request where the gateway knows it, and otherwise the number of requests, for the caller to
    /// divide by.
    fn run(command: &mut Command) -> Result<Self> {
        let output = command.stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(format!("{command:?} failed: {}", output.status).into());
        }
        let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let number = |name: &str| report.get(name).and_then(serde_json::Value::as_f64);
        let needed = |name: &str| number(name).ok_or_else(|| format!("the report has no {name}"));
        Ok(Self {
            per_second: needed("requests_per_second")?,
            p50: needed("p50_us")?,
            p99: needed("p99_us")?,
            cpu: number("server_cpu_us_per_request").or_else(|| number("requests")),
        })
    }

    fn median(mut all: Vec<Self>) -> Result<Self> {
        all.sort_by(|left, right| left.per_second.total_cmp(&right.per_second));
        all.get(all.len() / 2).cloned().ok_or_else(|| "nothing was measured".into())
    }

    fn print(&self, name: &str) {
        let cpu = self.cpu.map_or_else(|| "-".to_owned(), |cpu| format!("{cpu:.1}"));
        println!(
            "  {name:<14}{:>10.0}{:>8.0}{:>8.0}{cpu:>12}",
            self.per_second, self.p50, self.p99
        );
    }
}

/// The bare server in a process of its own.
struct Bare {
    child: Child,
    address: String,
}

impl Bare {
    fn start() -> Result<Self> {
        let mut child =
            Command::new(std::env::current_exe()?).arg("bare").stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or("the bare server says nothing")?;
        let mut address = String::new();
        BufReader::new(output).read_line(&mut address)?;
        Ok(Self { child, address: address.trim().to_owned() })
    }

    /// CPU time so far, in microseconds.
    fn cpu_us(&self) -> Option<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        let ticks: u32 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<u32>().ok())
            .sum();
        Some(f64::from(ticks) * 10_000.0)
    }

    fn stop(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // Stopped already, unless a measurement failed.
        if let Err(error) = self.stop() {
            eprintln!("hookward-bench: {error}");
        }
    }
}

/// A program that was built beside this one.
fn beside(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    if program.exists() {
        Ok(program)
    } else {
        Err("hookward is not built: `cargo build --release` first".into())
    }
}

/// Measures what events cost on DynamoDB, with a gateway that is built for it.
#[tokio::main]
async fn write_units() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut build = Command::new("cargo");
    build.args(["build", "-p", "hookward"]).current_dir(&root);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    if !build.status()?.success() {
        return Err("hookward cannot be built".into());
    }
    let document = root.join("docs/write-units.md");
    let hookward = beside("hookward")?;
    let measured = Box::pin(hookward_bench::write_units::document(&hookward, &document)).await;
    measured.map_err(|error| error.to_string().into())
}

/// Reads the body, answers 200: what HTTP alone costs.
#[tokio::main]
async fn bare() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)),
        );
    }
}

async fn answer(
    request: Request<Incoming>,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    // A body that breaks off breaks the connection with it.
    let read = request.into_body().collect().await;
    let body =
        if read.is_ok() { Bytes::from_static(br#"{"status":"accepted"}"#) } else { Bytes::new() };
    Ok(Response::new(Full::new(body)))
}
