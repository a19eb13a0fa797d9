//! The operator's side: health, metrics, events and dead letters, on a listener of its own.
//!
//! `/healthz` and `/readyz` answer anyone who reaches the listener and tell nothing but yes or no; everything else asks
//! for the bearer token. Bodies are shown only when asked for.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hookward_core::{
    limits,
    secret::{Secret, WeakSecret},
};
use hookward_store::StoreError;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::{net::TcpListener, time::timeout};

use crate::gateway::Gateway;

pub mod audit;
mod dead;
mod events;
mod health;
pub mod view;

/// The bearer token, as a digest: nothing that a memory dump or a log could give away.
#[derive(Clone)]
pub struct AdminToken([u8; 32]);

impl AdminToken {
    /// Takes a token that is not weak.
    pub fn new(token: Secret) -> Result<Self, WeakSecret> {
        Ok(Self(Sha256::digest(token.strong()?.expose()).into()))
    }

    fn matches(&self, presented: &str) -> bool {
        let presented: [u8; 32] = Sha256::digest(presented).into();
        self.0.ct_eq(&presented).into()
    }
}

/// Compared in constant time.
impl PartialEq for AdminToken {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminToken(***)")
    }
}

/// Serves the admin API until the task is aborted.
pub(crate) async fn run(gateway: Arc<Gateway>, listener: TcpListener, token: AdminToken) {
    if let Err(error) = axum::serve(listener, router(gateway, token)).await {
        tracing::error!(%error, "the admin listener ended");
    }
}

fn router(gateway: Arc<Gateway>, token: AdminToken) -> Router {
    let guarded = Router::new()
        .route("/metrics", get(health::metrics))
        .route("/v1/status", get(health::status))
        .route("/v1/events", get(events::list))
        .route("/v1/events/{key}", get(events::show))
        .route("/v1/events/{key}/replay", post(dead::replay))
        .route("/v1/events/{key}/drop", post(dead::discard))
        .layer(middleware::from_fn_with_state(token, authorise));
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .merge(guarded)
        .fallback(|| async { AdminError::NoSuchPath })
        .layer(middleware::from_fn(bounded))
        .with_state(gateway)
}

async fn authorise(State(token): State<AdminToken>, request: Request, next: Next) -> Response {
    let presented = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match presented {
        Some((_, presented)) if token.matches(presented) => next.run(request).await,
        _ => AdminError::Unauthorized.into_response(),
    }
}

async fn bounded(request: Request, next: Next) -> Response {
    let mut response = match timeout(limits::ADMIN_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => AdminError::TooSlow.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

/// Why an operator's request was not answered as hoped.
#[derive(Debug)]
enum AdminError {
    Unauthorized,
    NoSuchPath,
    BadRequest(String),
    Store(StoreError),
    TooSlow,
}

impl From<StoreError> for AdminError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        let (status, code, message) = match self {
            Self::Unauthorized => {
                let message = "send the admin token as `Authorization: Bearer …`";
                let mut response = error(StatusCode::UNAUTHORIZED, "unauthorized", message);
                response.headers_mut().insert(
                    header::WWW_AUTHENTICATE,
                    header::HeaderValue::from_static("Bearer realm=\"hookward\""),
                );
                return response;
            }
            Self::NoSuchPath => {
                (StatusCode::NOT_FOUND, "not_found", "there is nothing at this path".to_owned())
            }
            Self::BadRequest(message) => (StatusCode::BAD_REQUEST, "bad_request", message),
            Self::TooSlow => (
                StatusCode::GATEWAY_TIMEOUT,
                "too_slow",
                "the store did not answer in time".to_owned(),
            ),
            Self::Store(store) => {
                let message = store.to_string();
                if let StoreError::Unavailable(cause) = &store {
                    tracing::warn!(%cause, "an operator was not answered: {message}");
                }
                match store {
                    StoreError::NotFound => (StatusCode::NOT_FOUND, "not_found", message),
                    StoreError::BodyExpired => (StatusCode::GONE, "body_expired", message),
                    StoreError::Fenced
                    | StoreError::Full
                    | StoreError::OverBudget { .. }
                    | StoreError::TooLarge { .. } => (StatusCode::CONFLICT, "conflict", message),
                    StoreError::Closed
                    | StoreError::Unavailable(_)
                    | StoreError::Damaged { .. } => {
                        (StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
                    }
                }
            }
        };
        error(status, code, &message)
    }
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(serde_json::json!({ "error": { "code": code, "message": message } })))
        .into_response()
}
