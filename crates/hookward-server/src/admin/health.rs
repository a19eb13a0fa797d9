//! Whether the gateway lives, whether it can take webhooks, and what it counts.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::AdminError;
use crate::gateway::Gateway;

/// The process answers.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Webhooks can be taken: the store works, and the gateway is not stopping.
pub(super) async fn readyz(State(gateway): State<Arc<Gateway>>) -> Response {
    if gateway.is_stopping() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    match gateway.store.health().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => {
            tracing::warn!(%error, "not ready: the store does not work");
            (StatusCode::SERVICE_UNAVAILABLE, "the store does not work\n").into_response()
        }
    }
}

/// All metrics, in the text format of OpenMetrics. A store that does not answer takes only its own metrics with it.
pub(super) async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    let counts = gateway.store.counts().await.ok();
    let oldest = counts.and_then(|counts| counts.oldest_pending);
    let age = oldest.map_or_else(Default::default, |oldest| gateway.clock.now().since(oldest));
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    gateway.metrics.age_secrets(gateway.clock.elapsed());
    let rendered = gateway.metrics.render(counts, age, &gateway.store.usage());
    ([(header::CONTENT_TYPE, content_type)], rendered).into_response()
}

#[derive(Serialize)]
pub(super) struct Status {
    pending: u64,
    leased: u64,
    dead: u64,
    finished: u64,
    oldest_pending: Option<String>,
    stored_bytes: u64,
    sources: Vec<String>,
    version: &'static str,
}

/// A summary for people.
pub(super) async fn status(
    State(gateway): State<Arc<Gateway>>,
) -> Result<Json<Status>, AdminError> {
    let counts = gateway.store.counts().await?;
    Ok(Json(Status {
        pending: counts.pending,
        leased: counts.leased,
        dead: counts.dead,
        finished: counts.finished,
        oldest_pending: counts.oldest_pending.map(|at| at.to_string()),
        stored_bytes: counts.stored_bytes,
        sources: gateway
            .routes()
            .sources()
            .iter()
            .map(|source| source.name().to_string())
            .collect(),
        version: env!("CARGO_PKG_VERSION"),
    }))
}
