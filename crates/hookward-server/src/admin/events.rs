//! Looking at events.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
};
use hookward_core::{EventKey, SourceName, Timestamp, limits};
use hookward_store::{Cursor, State as EventState, StoreError};
use serde::Deserialize;

use super::{
    AdminError,
    view::{EventView, PageView},
};
use crate::gateway::Gateway;

/// The filters of a list, as query parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    source: Option<String>,
    state: Option<String>,
    since: Option<String>,
    before: Option<String>,
    cursor: Option<u64>,
    limit: Option<usize>,
}

impl Filter {
    fn query(self) -> Result<hookward_store::Query, AdminError> {
        let time = |text: Option<String>| {
            text.map(|text| {
                Timestamp::parse_rfc3339(&text).ok_or_else(|| {
                    AdminError::BadRequest(format!(
                        "{text:?} is no RFC 3339 time such as 2026-11-24T08:00:00Z"
                    ))
                })
            })
            .transpose()
        };
        let source = self.source.map(|name| SourceName::parse(&name)).transpose();
        let state = self.state.map(|text| {
            EventState::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
                let names = EventState::ALL.map(EventState::as_str).join(", ");
                AdminError::BadRequest(format!("unknown state {text:?}: use one of {names}"))
            })
        });
        Ok(hookward_store::Query {
            source: source.map_err(|error| AdminError::BadRequest(format!("source: {error}")))?,
            state: state.transpose()?,
            since: time(self.since)?,
            before: time(self.before)?,
            cursor: self.cursor.map(Cursor),
            limit: self.limit.unwrap_or(50).clamp(1, limits::ADMIN_PAGE_MAX),
        })
    }
}

/// A page of events, newest first.
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<PageView>, AdminError> {
    let Query(filter) = filter.map_err(|error| AdminError::BadRequest(error.body_text()))?;
    let page = gateway.store.list(&filter.query()?).await?;
    Ok(Json(PageView::from(&page)))
}

/// What of an event is shown.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Show {
    #[serde(default)]
    body: bool,
}

/// One event with its attempts.
pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    Path(key): Path<String>,
    Query(show): Query<Show>,
) -> Result<Json<EventView>, AdminError> {
    let kept = gateway.store.get(parse_key(&key)?).await?.ok_or(StoreError::NotFound)?;
    Ok(Json(EventView::of(&kept).with_content(&kept, show.body)))
}

pub(super) fn parse_key(text: &str) -> Result<EventKey, AdminError> {
    text.parse().map_err(|error| AdminError::BadRequest(format!("{text:?}: {error}")))
}
