//! Whether destinations answer.

use bytes::Bytes;
use hookward_core::config::{Config, DestinationConfig};
use hookward_server::{Clock as _, SystemClock};
use http::{HeaderMap, Method, Uri};

use super::{Finding, clock};
use crate::{client::Http, failure::Failure};

/// Asks each destination for the head of an answer. Any answer will do: what a delivery would be answered, only a
/// delivery tells.
pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let http = Http::new();
    let mut findings = Vec::new();
    for destination in &config.destinations {
        findings.extend(ask(&http, destination).await);
    }
    findings
}

async fn ask(http: &Http, destination: &DestinationConfig) -> Vec<Finding> {
    let about = format!("{} ({})", destination.name, shown(&destination.url));
    match http.send(Method::HEAD, &destination.url, HeaderMap::new(), Bytes::new()).await {
        Ok(answered) => {
            let status = answered.status;
            let said = format!("answers ({} to HEAD)", status.as_u16());
            let answers = if status.is_server_error() {
                Finding::warning(
                    "destination",
                    &about,
                    format!("{said}, which is a failure of its own"),
                )
                .with("see that the application runs behind its proxy")
            } else if status.is_redirection() {
                Finding::warning(
                    "destination",
                    &about,
                    format!("{said}, which is a redirect; none is followed"),
                )
                .with("name the URL that it leads to")
            } else {
                Finding::good("destination", &about, said)
            };
            let skew = clock::look(&about, &answered.headers, SystemClock::start().now());
            std::iter::once(answers).chain(skew).collect()
        }
        Err(error) => {
            let said = Failure::of("it does not answer", &error);
            let todo = "start the application, or correct `url`; until then events wait and are tried again";
            vec![Finding::error("destination", &about, said, todo)]
        }
    }
}

/// A URL without its query, in which people put tokens.
fn shown(url: &Uri) -> String {
    let url = url.to_string();
    url.split_once('?').map_or(url.as_str(), |(before, _)| before).to_owned()
}
