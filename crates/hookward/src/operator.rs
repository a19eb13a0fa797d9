//! An operator's hand on the events: through the running gateway's admin API, or on the store itself when none runs.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use hookward_core::{EventKey, SourceName, Timestamp, config::Config};
use hookward_server::{
    Clock as _, SystemClock,
    admin::{
        audit,
        view::{EventView, PageView},
    },
};
use hookward_store::{Cursor, Query, State, Store};
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use tokio::net::TcpStream;

use crate::{
    client::{Http, NoAnswer},
    failure::Failure,
    secrets, serve, settings,
};

/// Where the events are reached.
pub(crate) enum Operator {
    /// A gateway runs: it owns the store.
    Gateway { http: Box<Http>, base: String, authorization: HeaderValue },
    /// None runs: the store is ours for as long as this command takes.
    Store(Arc<dyn Store>),
}

/// What to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub source: Option<String>,
    pub state: Option<State>,
    pub since: Option<Timestamp>,
    pub before: Option<Timestamp>,
    pub cursor: Option<u64>,
    pub limit: usize,
}

impl Operator {
    /// Asks the gateway if it answers, and opens the store only if nobody listens.
    pub(crate) async fn connect(config: &Config) -> Result<Self, Failure> {
        let Some(admin) = &config.admin else {
            return serve::open_store(config, false, Arc::default())
                .await
                .map(Self::Store)
                .map_err(|failure| {
                    Failure::new(format!(
                        "{failure}; to look into a running gateway, give it an [admin] section"
                    ))
                });
        };
        let token = secrets::follow(&admin.token, settings::secrets_region(config)).await;
        let token = match token {
            // Where no gateway runs there is nobody to show it to.
            Err(error) if error.is_denied() && !listens(admin.listen).await => {
                return serve::open_store(config, false, Arc::default()).await.map(Self::Store);
            }
            token => token.map_err(|error| Failure::of("admin token", &error))?,
        };
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_| Failure::config("the admin token holds characters that no header can"))?;
        authorization.set_sensitive(true);
        let gateway = Self::Gateway {
            http: Box::new(Http::new()),
            base: format!("http://{}", admin.listen),
            authorization,
        };
        match gateway.ask::<serde_json::Value>(Method::GET, "/v1/status").await {
            Ok(_) => Ok(gateway),
            Err(Unanswered::NobodyListens) => {
                serve::open_store(config, false, Arc::default()).await.map(Self::Store)
            }
            Err(Unanswered::Failed(failure)) => Err(failure),
        }
    }

    /// Events, newest first.
    pub(crate) async fn list(&self, wanted: &Wanted) -> Result<PageView, Failure> {
        match self {
            Self::Gateway { .. } => {
                let mut parameters = vec![format!("limit={}", wanted.limit)];
                parameters.extend(wanted.source.as_ref().map(|it| format!("source={it}")));
                parameters.extend(wanted.state.map(|it| format!("state={}", it.as_str())));
                parameters.extend(wanted.since.map(|it| format!("since={it}")));
                parameters.extend(wanted.before.map(|it| format!("before={it}")));
                parameters.extend(wanted.cursor.map(|it| format!("cursor={it}")));
                self.ask(Method::GET, &format!("/v1/events?{}", parameters.join("&")))
                    .await
                    .map_err(Failure::from)
            }
            Self::Store(store) => {
                let query = Query {
                    source: wanted
                        .source
                        .as_deref()
                        .map(SourceName::parse)
                        .transpose()
                        .map_err(|error| Failure::of("--source", &error))?,
                    state: wanted.state,
                    since: wanted.since,
                    before: wanted.before,
                    cursor: wanted.cursor.map(Cursor),
                    limit: wanted.limit,
                };
                let page =
                    store.list(&query).await.map_err(|error| Failure::of("cannot list", &error))?;
                Ok(PageView::from(&page))
            }
        }
    }

    /// One event with its attempts, and its body if asked for.
    pub(crate) async fn show(&self, key: EventKey, body: bool) -> Result<EventView, Failure> {
        match self {
            Self::Gateway { .. } => self
                .ask(Method::GET, &format!("/v1/events/{key}?body={body}"))
                .await
                .map_err(Failure::from),
            Self::Store(store) => {
                let kept =
                    store.get(key).await.map_err(|error| Failure::of("cannot read", &error))?;
                let kept =
                    kept.ok_or_else(|| Failure::new(format!("no event has the key {key}")))?;
                Ok(EventView::of(&kept).with_content(&kept, body))
            }
        }
    }

    /// Makes an event due again.
    pub(crate) async fn replay(&self, key: EventKey) -> Result<(), Failure> {
        match self {
            Self::Gateway { .. } => self.tell(&format!("/v1/events/{key}/replay")).await,
            Self::Store(store) => {
                let now = SystemClock::start().now();
                store
                    .requeue(key, now)
                    .await
                    .map_err(|error| Failure::of(format!("cannot replay {key}"), &error))?;
                audit::replayed(key);
                Ok(())
            }
        }
    }

    /// Takes a dead letter off the list.
    pub(crate) async fn discard(&self, key: EventKey) -> Result<(), Failure> {
        match self {
            Self::Gateway { .. } => self.tell(&format!("/v1/events/{key}/drop")).await,
            Self::Store(store) => {
                let now = SystemClock::start().now();
                store
                    .discard(key, now)
                    .await
                    .map_err(|error| Failure::of(format!("cannot drop {key}"), &error))?;
                audit::dropped(key);
                Ok(())
            }
        }
    }

    /// Makes what was done durable.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Gateway { .. } => Ok(()),
            Self::Store(store) => {
                store.close().await.map_err(|error| Failure::of("cannot close the store", &error))
            }
        }
    }

    async fn tell(&self, path: &str) -> Result<(), Failure> {
        let _: serde_json::Value = self.ask(Method::POST, path).await?;
        Ok(())
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
    ) -> Result<T, Unanswered> {
        let Self::Gateway { http, base, authorization } = self else {
            return Err(Failure::new("no gateway to ask").into());
        };
        let uri: Uri =
            format!("{base}{path}").parse().map_err(|error| Failure::of(path, &error))?;
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, authorization.clone())]);
        let answer = match http.send(method, &uri, headers, Bytes::new()).await {
            Ok(answer) => answer,
            Err(NoAnswer::Connect(_)) => return Err(Unanswered::NobodyListens),
            Err(error) => return Err(Failure::of(uri.to_string(), &error).into()),
        };
        if !answer.status.is_success() {
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let message = body
                .pointer("/error/message")
                .and_then(serde_json::Value::as_str)
                .unwrap_or("no reason given");
            return Err(
                Failure::new(format!("the gateway answered {}: {message}", answer.status)).into()
            );
        }
        serde_json::from_slice(&answer.body)
            .map_err(|error| Failure::of("the gateway's answer", &error).into())
    }
}

/// Whether somebody listens there.
async fn listens(address: SocketAddr) -> bool {
    TcpStream::connect(address).await.is_ok()
}

enum Unanswered {
    NobodyListens,
    Failed(Failure),
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Unanswered> for Failure {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::NobodyListens => Self::new("the gateway went away"),
            Unanswered::Failed(failure) => failure,
        }
    }
}
