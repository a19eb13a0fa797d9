//! The operator's side: health, metrics, events and dead letters, on a listener of its own.
//!
//! `/healthz` and `/readyz` answer anyone who reaches the listener and tell nothing but yes or no; everything else asks
//! for the bearer token. Bodies are shown only when asked for.

use std::sync::Arc;

use arc_swap::ArcSwap;
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
use subtle::{Choice, ConstantTimeEq as _};
use tokio::{net::TcpListener, time::timeout};

use crate::gateway::Gateway;

pub mod audit;
mod dead;
mod events;
mod health;
pub mod view;

/// The bearer token, as a digest: nothing that a memory dump or a log could give away. While it is being changed there are
/// two, and none once it was revoked.
#[derive(Clone)]
pub struct AdminToken(Vec<[u8; 32]>);

impl AdminToken {
    /// Takes a token that is not weak.
    pub fn new(token: Secret) -> Result<Self, WeakSecret> {
        Ok(Self(vec![Sha256::digest(token.strong()?.expose()).into()]))
    }

    /// Takes either token.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Takes none: the token was revoked while the gateway ran.
    pub fn revoked() -> Self {
        Self(Vec::new())
    }

    /// Compares in constant time.
    fn matches(&self, presented: &str) -> bool {
        let presented: [u8; 32] = Sha256::digest(presented).into();
        let matching = |so_far, token: &[u8; 32]| so_far | token.ct_eq(&presented);
        self.0.iter().fold(Choice::from(0), matching).into()
    }
}

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminToken(***)")
    }
}

/// The token of this moment.
pub(crate) type SharedToken = Arc<ArcSwap<AdminToken>>;

/// Serves the admin API until the task is aborted.
pub(crate) async fn run(gateway: Arc<Gateway>, listener: TcpListener, token: SharedToken) {
    if let Err(error) = axum::serve(listener, router(gateway, token)).await {
        tracing::error!(%error, "the admin listener ended");
    }
}

fn router(gateway: Arc<Gateway>, token: SharedToken) -> Router {
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

async fn authorise(State(token): State<SharedToken>, request: Request, next: Next) -> Response {
    let presented = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match presented {
        Some((_, presented)) if token.load().matches(presented) => next.run(request).await,
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
                    | StoreError::Unsupported { .. }
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
