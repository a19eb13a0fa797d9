//! An operator's decisions: replay, drop. Each one leaves a line in the log.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};

use super::{AdminError, audit, events::parse_key};
use crate::gateway::Gateway;

/// Delivers an event again, whatever became of it.
pub(super) async fn replay(
    State(gateway): State<Arc<Gateway>>,
    Path(key): Path<String>,
) -> Result<Json<serde_json::Value>, AdminError> {
    let key = parse_key(&key)?;
    gateway.store.requeue(key, gateway.clock.now()).await?;
    gateway.metrics.replays.inc();
    for lane in gateway.routes().lanes.values() {
        lane.wake.notify_one();
    }
    audit::replayed(key);
    Ok(Json(serde_json::json!({ "status": "queued", "key": key.to_string() })))
}

/// Takes a dead letter off the list.
pub(super) async fn discard(
    State(gateway): State<Arc<Gateway>>,
    Path(key): Path<String>,
) -> Result<Json<serde_json::Value>, AdminError> {
    let key = parse_key(&key)?;
    gateway.store.discard(key, gateway.clock.now()).await?;
    audit::dropped(key);
    Ok(Json(serde_json::json!({ "status": "dropped", "key": key.to_string() })))
}
