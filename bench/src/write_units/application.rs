//! The application behind the gateways, which does what it is told.

use std::{
    collections::HashSet,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::Result;

/// What it does with a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mood {
    /// Takes it.
    #[default]
    Takes,
    /// Takes it the second time.
    FailsFirst,
    /// Fails.
    Fails,
    /// Does not answer.
    Hangs,
}

/// It listens until this process ends.
#[derive(Clone, Debug)]
pub(super) struct Application {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    mood: Mood,
    seen: HashSet<Vec<u8>>,
}

impl Application {
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let application = Self { address: listener.local_addr()?, state: Arc::default() };
        let serving = application.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let application = serving.clone();
                let answer = service_fn(move |request| application.clone().answer(request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        Ok(application)
    }

    /// What it does from now on.
    pub(super) fn is(&self, mood: Mood) {
        *self.state() = State { mood, seen: HashSet::new() };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(
        self,
        request: Request<Incoming>,
    ) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
        let event = request.headers().get("hookward-event-id").map(|it| it.as_bytes().to_vec());
        let _read = request.into_body().collect().await;
        let mood = {
            let mut state = self.state();
            let is_first = state.seen.insert(event.unwrap_or_default());
            match state.mood {
                Mood::FailsFirst if is_first => Mood::Fails,
                Mood::FailsFirst => Mood::Takes,
                other => other,
            }
        };
        if mood == Mood::Hangs {
            std::future::pending::<()>().await;
        }
        let mut answer = Response::new(Full::default());
        if mood == Mood::Fails {
            *answer.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
        }
        Ok(answer)
    }
}
