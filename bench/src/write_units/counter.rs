//! A proxy before DynamoDB that counts what is consumed, by what DynamoDB answers: independent of whoever asks.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use serde_json::Value;
use tokio::{net::TcpListener, task::AbortHandle};

use super::Result;

/// What was consumed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counted {
    pub(super) reads: f64,
    pub(super) writes: f64,
    /// Calls that were made again, since their first answers came too late.
    pub(super) again: u64,
}

impl std::ops::Sub for Counted {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            reads: self.reads - before.reads,
            writes: self.writes - before.writes,
            again: self.again - before.again,
        }
    }
}

/// The proxy. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Counter {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    engine: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    counted: Mutex<Counted>,
    late: Mutex<Duration>,
}

impl Counter {
    pub(super) async fn before(engine: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let shared =
            Arc::new(Shared { engine, client, counted: Mutex::default(), late: Mutex::default() });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                drop(stream.set_nodelay(true));
                let shared = Arc::clone(&serving);
                let pass = service_fn(move |request| pass(Arc::clone(&shared), request));
                connections
                    .spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), pass));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, shared, task: task.abort_handle() })
    }

    /// How much longer each answer takes from now on.
    pub(super) fn is_late(&self, by: Duration) {
        *self.shared.late.lock().unwrap_or_else(PoisonError::into_inner) = by;
    }

    pub(super) fn counted(&self) -> Counted {
        *self.shared.counted()
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes a call on, and counts what its answer says.
async fn pass(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    let answer = match forward(&shared, request).await {
        Ok(answer) => answer,
        Err(error) => {
            let mut answer = Response::new(Full::from(error.to_string()));
            *answer.status_mut() = StatusCode::BAD_GATEWAY;
            answer
        }
    };
    Ok(answer)
}

async fn forward(shared: &Shared, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let (mut head, body) = request.into_parts();
    let target = head.headers.get("x-amz-target").and_then(|it| it.to_str().ok());
    let operation = target.and_then(|it| it.rsplit('.').next()).unwrap_or_default().to_owned();
    let attempt = head.headers.get("amz-sdk-request").and_then(|it| it.to_str().ok());
    let is_again = attempt.is_some_and(|it| !it.contains("attempt=1;"));
    let body = body.collect().await?.to_bytes();
    head.uri = format!("http://{}/", shared.engine).parse()?;
    let answer = shared.client.request(Request::from_parts(head, Full::new(body))).await?;
    let (mut head, body) = answer.into_parts();
    let body = body.collect().await?.to_bytes();
    head.headers.remove("transfer-encoding");
    let late = *shared.late.lock().unwrap_or_else(PoisonError::into_inner);
    if !late.is_zero() {
        tokio::time::sleep(late).await;
    }
    let used = used(&serde_json::from_slice(&body).unwrap_or_default());
    {
        let mut counted = shared.counted();
        counted.again += u64::from(is_again);
        if ["PutItem", "UpdateItem", "DeleteItem"].contains(&&*operation) {
            counted.writes += used;
        } else {
            counted.reads += used;
        }
    }
    Ok(Response::from_parts(head, Full::new(body)))
}

/// The units that an answer says, or that a condition that was not true is billed with: DynamoDB does not say those.
fn used(answer: &Value) -> f64 {
    let refused =
        answer["__type"].as_str().is_some_and(|it| it.ends_with("ConditionalCheckFailedException"));
    if refused {
        return refused_units(&answer["Item"]);
    }
    let units = |it: &Value| it["CapacityUnits"].as_f64().unwrap_or_default();
    match &answer["ConsumedCapacity"] {
        Value::Array(tables) => tables.iter().map(units).sum(),
        table => units(table),
    }
}

/// By the size of the item that is there, and at least one.
fn refused_units(item: &Value) -> f64 {
    let attributes = item.as_object().into_iter().flatten();
    let bytes: usize = attributes.map(|(name, value)| name.len() + size(value)).sum();
    let units = u32::try_from(bytes.div_ceil(1024).max(1)).unwrap_or(u32::MAX);
    f64::from(units)
}

/// The size of a value, as DynamoDB documents it.
fn size(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|it| it.iter().next()) else { return 0 };
    let text = value.as_str().unwrap_or_default();
    match &**kind {
        "S" => text.len(),
        // In base64: three bytes for four characters.
        "B" => text.trim_end_matches('=').len() * 3 / 4,
        "N" => text.trim_start_matches('-').len().div_ceil(2) + 1,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn units_are_read_from_every_kind_of_answer() {
        let check = |answer: Value, expected: f64| {
            let found = used(&answer);
            assert!((found - expected).abs() < f64::EPSILON, "{answer}: {found}");
        };
        check(json!({}), 0.0);
        check(json!({ "ConsumedCapacity": { "CapacityUnits": 3.0 } }), 3.0);
        let two = [json!({ "CapacityUnits": 1.5 }), json!({ "CapacityUnits": 2.0 })];
        check(json!({ "ConsumedCapacity": two }), 3.5);
        let kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
        check(json!({ "__type": kind }), 1.0);
        // 2 + 1,019 + 1 + 3 bytes: one more than a kilobyte.
        let item = json!({ "pk": { "S": "x".repeat(1_019) }, "b": { "B": "AAAA" } });
        check(json!({ "__type": kind, "Item": item }), 2.0);
        check(json!({ "__type": "x#ThrottlingException" }), 0.0);
    }
}
