//! Measures what an append to the DynamoDB store takes of this machine's CPU, and how much of that is Amazon's SDK.
//!
//! ```text
//! cargo run --release -p hookward-store --features conformance --example dynamodb_append_bench -- [events] [submitters] [body bytes]
//! ```
//!
//! DynamoDB is another process, which answers each call with the same few bytes: it takes no CPU that counts, and no time.
#![expect(clippy::print_stdout, reason = "this is a program for a terminal")]
#![expect(clippy::disallowed_methods, reason = "a benchmark asks what time it is")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::{
    Client,
    config::{Builder, Credentials, Region},
    primitives::Blob,
    types::{
        AttributeValue, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure as OnFailure,
    },
};
use hookward_core::{
    ContentDigest, Event, EventKey, EventParts, Intake, SourceName, Timestamp, event::testing,
};
use hookward_store::{
    Claim, Store as _,
    dynamodb::{self, DynamoDb, Options},
};
use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;

type Outcomes<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What every call is answered: the number of a new node, for whoever asks for one.
const ANSWER: &str =
    r#"{"ConsumedCapacity":{"TableName":"t","CapacityUnits":1.0},"Attributes":{"c":{"N":"1"}}}"#;

#[derive(Clone, Copy)]
struct Load {
    events: u64,
    submitters: u64,
    body_bytes: usize,
}

fn main() -> Outcomes<()> {
    let mut arguments = env::args().skip(1).peekable();
    if arguments.next_if(|it| it == "answer").is_some() {
        return answer();
    }
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse::<u64>());
    let (events, submitters) = (number(30_000)?, number(64)?);
    let load = Load { events, submitters, body_bytes: usize::try_from(number(1_024)?)? };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let responder = Responder::start()?;
    println!("{events} events of {} bytes, {submitters} at once", load.body_bytes);
    // In turns, so that a slow minute of the machine falls on all.
    for _ in 0..3 {
        runtime.block_on(async {
            appends(load, responder.address).await?;
            puts(load, responder.address).await
        })?;
    }
    Ok(())
}

/// What a webhook costs here.
async fn appends(load: Load, endpoint: SocketAddr) -> Outcomes<()> {
    let options = Options { queue_max: 10_000_000, ..Options::new("t") };
    let client = dynamodb::client(connection(endpoint), &options);
    let store = Arc::new(DynamoDb::open(client, options, at(0)).await?);
    let body: Arc<[u8]> = json(load.body_bytes).into();
    // Connections are opened and caches filled before it counts.
    for (count, counts) in [(load.events / 10, false), (load.events, true)] {
        let measured = Measured::start();
        let first = if counts { load.events } else { 0 };
        let (store, body) = (Arc::clone(&store), Arc::clone(&body));
        at_once(load.submitters, count, move |number| {
            let (store, body) = (Arc::clone(&store), Arc::clone(&body));
            async move {
                store.append(event(first + number, &body), Claim::Queue).await?;
                Ok(())
            }
        })
        .await?;
        if counts {
            measured.print("append", count);
        }
    }
    Ok(())
}

/// What Amazon's SDK alone needs for one write of about the same size.
async fn puts(load: Load, endpoint: SocketAddr) -> Outcomes<()> {
    let client = dynamodb::client(connection(endpoint), &Options::new("t"));
    let body: Arc<[u8]> = json(load.body_bytes / 2).into();
    let measured = Measured::start();
    at_once(load.submitters, load.events, move |number| {
        let (client, body) = (client.clone(), Arc::clone(&body));
        async move { put(&client, number, &body).await }
    })
    .await?;
    measured.print("the SDK's put alone", load.events);
    Ok(())
}

async fn put(client: &Client, number: u64, body: &[u8]) -> Outcomes<()> {
    client
        .put_item()
        .table_name("t")
        .item("pk", AttributeValue::S(format!("e#{number:032x}")))
        .item("sk", AttributeValue::S("e".to_owned()))
        .item("o", AttributeValue::N(number.to_string()))
        .item("t", AttributeValue::N("1700000000000000".to_owned()))
        .item("b", AttributeValue::B(Blob::new(body)))
        .condition_expression("attribute_not_exists(pk) OR #x <= :now")
        .expression_attribute_names("#x", "x")
        .expression_attribute_values(":now", AttributeValue::N("1700000000".to_owned()))
        .return_values_on_condition_check_failure(OnFailure::AllOld)
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await?;
    Ok(())
}

fn connection(endpoint: SocketAddr) -> Builder {
    Builder::new()
        .endpoint_url(format!("http://{endpoint}"))
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("hookward", "secret", None, None, "bench"))
        .http_client(dynamodb::http_client(1_024))
}

/// Does something so many times, some at once.
async fn at_once<W: Future<Output = Outcomes<()>> + Send + 'static>(
    submitters: u64,
    count: u64,
    work: impl Fn(u64) -> W + Clone + Send + 'static,
) -> Outcomes<()> {
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..submitters {
        let (next, work) = (Arc::clone(&next), work.clone());
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Outcomes::Ok(());
                }
                work(number).await?;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// Time and CPU time since a moment.
struct Measured {
    began: Instant,
    cpu: Duration,
}

impl Measured {
    fn start() -> Self {
        Self { began: Instant::now(), cpu: cpu_time() }
    }

    fn print(&self, what: &str, count: u64) {
        let (elapsed, cpu) = (self.began.elapsed(), cpu_time().saturating_sub(self.cpu));
        let (each, rate) =
            (cpu.as_secs_f64() * 1e6 / count as f64, count as f64 / elapsed.as_secs_f64());
        println!("  {what:<20}{each:>8.1} us CPU each{rate:>10.0}/s");
    }
}

/// User and system time of all threads of this process.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// Something that speaks as much of DynamoDB as an append needs, in a process of its own.
struct Responder {
    child: Child,
    address: SocketAddr,
}

impl Responder {
    fn start() -> Outcomes<Self> {
        let mut child =
            Command::new(env::current_exe()?).arg("answer").stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or("the responder says nothing")?;
        let mut address = String::new();
        BufReader::new(output).read_line(&mut address)?;
        Ok(Self { child, address: address.trim().parse()? })
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        // It has nothing to lose, and may be gone already.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn answer() -> Outcomes<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        // An end of the other side is the end of the connection.
        thread::spawn(move || converse(&stream).unwrap_or_default());
    }
    Ok(())
}

fn converse(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{ANSWER}",
        ANSWER.len()
    );
    let (mut line, mut body) = (String::new(), Vec::new());
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let Some((name, value)) = line.trim_end().split_once(':') else {
                if line.trim_end().is_empty() {
                    break;
                }
                continue;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or_default();
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        writer.write_all(answer.as_bytes())?;
    }
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + second)
}

fn event(number: u64, body: &[u8]) -> Event {
    let spread = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    testing::event(EventParts {
        key: EventKey::from_bytes(spread.to_be_bytes()),
        source: SourceName::parse("stripe").expect("a valid name"),
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
    let field = |number: u32| {
        format!("\"field_{number}\":\"{:x}\",", number.wrapping_mul(2_654_435_761)).into_bytes()
    };
    std::iter::once(vec![b'{']).chain((1..).map(field)).flatten().take(bytes).collect()
}
