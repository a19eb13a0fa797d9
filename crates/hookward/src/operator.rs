//! An operator's hand on the events: through the running gateway's admin API, or on the store itself when none runs.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use hookward_core::{
    EventKey, SourceName, Timestamp,
    config::{Config, StoreConfig},
};
use hookward_secrets::{self as secrets, sources};
use hookward_server::{
    Clock as _, SystemClock,
    admin::{
        audit,
        view::{EventView, PageView},
    },
};
use hookward_store::{Cursor, Kept, Page, Query, State, Store, StoreError, dynamodb::Reader};
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use tokio::net::TcpStream;

use crate::{
    aws,
    client::{Http, NoAnswer},
    failure::Failure,
    serve,
};

/// Where the events are reached.
pub(crate) enum Operator {
    /// A gateway runs: it owns the store.
    Gateway { http: Box<Http>, base: String, authorization: HeaderValue },
    /// None runs: the store is ours for as long as this command takes.
    Store(Arc<dyn Store>),
    /// None runs here, and the store is others' too: it is looked at as it is.
    Reader(Reader),
}

/// What somebody is going to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Only look.
    Look,
    /// Replay and drop dead letters.
    Decide,
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

impl Wanted {
    fn query(&self) -> Result<Query, Failure> {
        let source = self.source.as_deref().map(SourceName::parse).transpose();
        Ok(Query {
            source: source.map_err(|error| Failure::of("--source", &error))?,
            state: self.state,
            since: self.since,
            before: self.before,
            cursor: self.cursor.map(Cursor),
            limit: self.limit,
        })
    }
}

fn only_looks() -> Failure {
    Failure::new("the store was opened for looking only")
}

impl Operator {
    /// Asks the gateway if it answers, and opens the store only if nobody listens.
    pub(crate) async fn connect(config: &Config, intent: Intent) -> Result<Self, Failure> {
        let Some(admin) = &config.admin else {
            return Self::open(config, intent).await.map_err(|failure| {
                failure.and("to look into a running gateway, give it an [admin] section")
            });
        };
        let token = secrets::follow(&admin.token, sources::region(config)).await;
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
            Err(Unanswered::NobodyListens) => Self::open(config, intent).await,
            Err(Unanswered::Failed(failure)) => Err(failure),
        }
    }

    /// Opens the store itself. Whoever only looks at a table leaves no trace there.
    async fn open(config: &Config, intent: Intent) -> Result<Self, Failure> {
        match (&config.store, intent) {
            (StoreConfig::DynamoDb(config), Intent::Look) => {
                aws::open_reader(config).await.map(Self::Reader)
            }
            (StoreConfig::DynamoDb(_) | StoreConfig::Embedded(_), _) => {
                serve::open_store(config, false, Arc::default()).await.map(Self::Store)
            }
        }
    }

    /// Events, newest first.
    pub(crate) async fn list(&self, wanted: &Wanted) -> Result<PageView, Failure> {
        let told = |listed: Result<Page, StoreError>| match listed {
            Ok(page) => Ok(PageView::from(&page)),
            Err(error) => Err(Failure::of("cannot list", &error)),
        };
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
            Self::Store(store) => told(store.list(&wanted.query()?).await),
            Self::Reader(reader) => told(reader.list(&wanted.query()?).await),
        }
    }

    /// One event with its attempts, and its body if asked for.
    pub(crate) async fn show(&self, key: EventKey, body: bool) -> Result<EventView, Failure> {
        let told = |kept: Result<Option<Kept>, StoreError>| match kept {
            Ok(Some(kept)) => Ok(EventView::of(&kept).with_content(&kept, body)),
            Ok(None) => Err(Failure::new(format!("no event has the key {key}"))),
            Err(error) => Err(Failure::of("cannot read", &error)),
        };
        match self {
            Self::Gateway { .. } => self
                .ask(Method::GET, &format!("/v1/events/{key}?body={body}"))
                .await
                .map_err(Failure::from),
            Self::Store(store) => told(store.get(key).await),
            Self::Reader(reader) => told(reader.get(key).await),
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
            Self::Reader(_) => Err(only_looks()),
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
            Self::Reader(_) => Err(only_looks()),
        }
    }

    /// Makes what was done durable.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Gateway { .. } | Self::Reader(_) => Ok(()),
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
