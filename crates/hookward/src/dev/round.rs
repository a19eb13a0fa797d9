//! The first round: a good webhook, and what an attacker or a bad day makes of it.

use std::time::Duration;

use bytes::Bytes;
use hookward_core::{Source, Timestamp, scheme::Sample};
use hookward_server::{Clock as _, Server, SystemClock};
use hookward_store::{Store, StoreError};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::time::timeout;

use super::{Application, BURST, Secrets, signer};
use crate::{
    client::{self, Answered, Http},
    failure::Failure,
    output::say,
    sample, table,
};

/// What happened to one kind of request.
struct Row {
    sent: &'static str,
    answer: String,
    became: String,
    as_expected: bool,
}

/// Sends the round and prints a table of the answers; whether each one was as it should be.
pub(super) async fn show(
    server: &Server,
    application: &Application,
    secrets: &Secrets,
) -> Result<bool, Failure> {
    let rows = Round::new(server, application, secrets)?.all().await?;
    let mut table = table::with_headings(["sent", "answer", "what became of it", ""]);
    for row in &rows {
        table.add_row([
            row.sent,
            &row.answer,
            &row.became,
            if row.as_expected { "ok" } else { "!" },
        ]);
    }
    say!("{table}")?;
    Ok(rows.iter().all(|row| row.as_expected))
}

struct Round<'r> {
    application: &'r Application,
    store: &'r dyn Store,
    http: Http,
    orders: (Source, http::Uri),
    plain: (Source, http::Uri),
    now: Timestamp,
    id: String,
}

impl<'r> Round<'r> {
    fn new(
        server: &'r Server,
        application: &'r Application,
        secrets: &Secrets,
    ) -> Result<Self, Failure> {
        let endpoint = |path: &str| client::url(&format!("http://{}{path}", server.address()));
        Ok(Self {
            application,
            store: &*server.gateway().store,
            http: Http::new(),
            orders: (signer("standard-webhooks", &secrets.orders)?, endpoint("/hooks/orders")?),
            plain: (signer("hmac", &secrets.plain)?, endpoint("/hooks/plain")?),
            now: SystemClock::start().now(),
            id: sample::random_hex(12),
        })
    }

    async fn all(&self) -> Result<Vec<Row>, Failure> {
        let body = format!(r#"{{"id":"evt_{}","type":"order.paid","amount":4200}}"#, self.id);
        let dearer = body.replace("4200", "1");
        let good = signed(&self.orders.0, &format!("msg_{}", self.id), self.now, &body)?;
        let hour_ago = self.now.saturating_sub(Duration::from_hours(1));
        let stale = signed(&self.orders.0, &format!("msg_{}_old", self.id), hour_ago, &body)?;
        let broken = r#"{"id":"evt_broken","id":"evt_twice"}"#;
        let malformed =
            signed(&self.orders.0, &format!("msg_{}_malformed", self.id), self.now, broken)?;
        let unsigned = HeaderMap::from_iter([(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )]);

        Ok(vec![
            self.row("a good webhook", &good, &body, StatusCode::OK, 1, "stored, then delivered")
                .await?,
            self.row(
                "the same once more (replay)",
                &good,
                &body,
                StatusCode::OK,
                0,
                "duplicate: same answer, not delivered again",
            )
            .await?,
            self.row(
                "its signature on another body (forgery)",
                &good,
                &dearer,
                StatusCode::FORBIDDEN,
                0,
                "nothing stored",
            )
            .await?,
            self.row(
                "no signature at all",
                &unsigned,
                &body,
                StatusCode::FORBIDDEN,
                0,
                "nothing stored, body not read",
            )
            .await?,
            self.row(
                "signed an hour ago (stale)",
                &stale,
                &body,
                StatusCode::FORBIDDEN,
                0,
                "nothing stored",
            )
            .await?,
            self.row(
                "signed, but a key twice (malformed)",
                &malformed,
                broken,
                StatusCode::OK,
                0,
                "kept as a dead letter, not delivered",
            )
            .await?,
            self.burst().await?,
        ])
    }

    async fn row(
        &self,
        sent: &'static str,
        headers: &HeaderMap,
        body: &str,
        expected: StatusCode,
        delivered: usize,
        became: &str,
    ) -> Result<Row, Failure> {
        let before = self.application.received();
        let answer = self.post(&self.orders.1, headers.clone(), body.to_owned().into()).await?;
        let got = self.deliveries().await?;
        let as_expected = answer.status == expected && got == before + delivered;
        let became = format!("{became} (application has {got})");
        Ok(Row { sent, answer: shown(&answer), became, as_expected })
    }

    /// Five times what the source may send at a stroke, all valid.
    async fn burst(&self) -> Result<Row, Failure> {
        let before = self.application.received();
        let mut sends = tokio::task::JoinSet::new();
        for number in 0..BURST * 5 {
            let body = format!(r#"{{"id":"evt_{}_{number}","type":"order.paid"}}"#, self.id);
            let headers = signed(&self.plain.0, "", self.now, &body)?;
            let (http, uri) = (self.http.clone(), self.plain.1.clone());
            sends.spawn(async move { http.send(Method::POST, &uri, headers, body.into()).await });
        }
        let (mut accepted, mut put_off, mut other) = (0, 0, 0);
        while let Some(sent) = sends.join_next().await {
            match sent.map(|answer| {
                answer
                    .map(|answer| (answer.status, answer.headers.contains_key(header::RETRY_AFTER)))
            }) {
                Ok(Ok((StatusCode::OK, _))) => accepted += 1,
                Ok(Ok((StatusCode::SERVICE_UNAVAILABLE, true))) => put_off += 1,
                _ => other += 1,
            }
        }
        let delivered = self.deliveries().await? - before;
        Ok(Row {
            sent: "a burst of 50, five times the budget",
            answer: format!("{accepted} x 200, {put_off} x 503 with Retry-After"),
            became: format!("{delivered} delivered, the others told when to come back"),
            as_expected: accepted >= BURST && put_off > 0 && other == 0 && delivered == accepted,
        })
    }

    /// How many events the application got, once nothing more is to be delivered: what is accepted is in the store before
    /// it is answered, and pending there until its delivery has ended.
    async fn deliveries(&self) -> Result<usize, Failure> {
        const A_WHILE: Duration = Duration::from_secs(10);
        let nothing_pending = async {
            while self.store.counts().await?.pending > 0 {
                tokio::task::yield_now().await;
            }
            Ok::<_, StoreError>(())
        };
        match timeout(A_WHILE, nothing_pending).await {
            Ok(ended) => ended.map_err(|error| Failure::of("the store", &error))?,
            Err(_) => return Err(Failure::new(format!("not delivered within {A_WHILE:?}"))),
        }
        Ok(self.application.received())
    }

    async fn post(
        &self,
        uri: &http::Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answered, Failure> {
        self.http
            .send(Method::POST, uri, headers, body)
            .await
            .map_err(|error| Failure::of(format!("POST {uri}"), &error))
    }
}

fn signed(source: &Source, id: &str, at: Timestamp, body: &str) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::from_iter([(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )]);
    let sample = Sample { id, at, body: body.as_bytes() };
    let signed = source.scheme().sign(sample).ok_or_else(|| Failure::new("cannot sign"))?;
    for (name, value) in signed.headers {
        headers.insert(
            name,
            HeaderValue::try_from(value).map_err(|error| Failure::of("signature", &error))?,
        );
    }
    Ok(headers)
}

/// A status, and the word that the answer's body has for it.
fn shown(answer: &Answered) -> String {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let word = body.get("status").or_else(|| body.pointer("/error/code"));
    format!(
        "{} {}",
        answer.status.as_u16(),
        word.and_then(serde_json::Value::as_str).unwrap_or_default()
    )
}
