//! A small HTTP client for the commands: one request, one answer, no redirects.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::failure::Failure;

/// How long an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Sends requests over connections that are kept.
#[derive(Clone, Debug)]
pub(crate) struct Http(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answered {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("cannot connect")]
    Connect(#[source] hyper_util::client::legacy::Error),
    #[error("the request failed")]
    Request(#[source] hyper_util::client::legacy::Error),
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    #[error("the answer cannot be read: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
}

impl Http {
    pub(crate) fn new() -> Self {
        let connector =
            HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        uri: &Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answered, NoAnswer> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers;
        let exchange = async {
            let answer = self.0.request(request).await.map_err(|error| {
                if error.is_connect() { NoAnswer::Connect(error) } else { NoAnswer::Request(error) }
            })?;
            let (parts, body) = answer.into_parts();
            let body =
                Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(NoAnswer::Body)?;
            Ok(Answered { status: parts.status, headers: parts.headers, body: body.to_bytes() })
        };
        tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or(Err(NoAnswer::Timeout))
    }
}

/// A URL from the command line.
pub(crate) fn url(text: &str) -> Result<Uri, Failure> {
    let uri: Uri =
        text.parse().map_err(|error| Failure::new(format!("{text:?} is no URL: {error}")))?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(_)) => Ok(uri),
        _ => Err(Failure::new(format!(
            "{text:?} is no absolute URL such as http://127.0.0.1:8080/hooks/stripe"
        ))),
    }
}
