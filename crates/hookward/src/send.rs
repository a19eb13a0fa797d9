//! `hookward send`: a signed sample for an endpoint, so that it can be tried without the sender.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use clap::Args;
use hookward_core::{
    Source,
    provider::Provider,
    secret::{SecretRef, Validity},
    source::{SourceName, SourceRules},
};
use hookward_server::{Clock as _, SystemClock};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::{
    client::{self, Http},
    failure::Failure,
    providers, sample,
    secrets::{self, Backends, Vault},
    serve::runtime,
    settings::{self, ConfigFile},
};

/// Signs a sample webhook and posts it.
///
/// With a source of the configuration (`hookward send --source stripe`) everything is known; for any other endpoint
/// name the provider, the URL and the secret.
#[derive(Debug, Args)]
pub(crate) struct Send {
    /// The provider to send as, such as stripe
    #[arg(required_unless_present = "source")]
    provider: Option<String>,
    /// The source of the configuration to send to
    #[arg(long, conflicts_with_all = ["provider", "secret"])]
    source: Option<String>,
    #[command(flatten)]
    file: ConfigFile,
    /// Where to post; the configuration's own address and path when left out
    #[arg(long)]
    url: Option<String>,
    /// Where the secret is: env:NAME, file:PATH, or any other reference that a configuration takes
    #[arg(long, required_unless_present = "source")]
    secret: Option<String>,
    /// A file with the body to send instead of a sample
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// The id of the event; random when left out
    #[arg(long)]
    id: Option<String>,
    /// Print the request and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Send {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (source, provider, url) = self.endpoint()?;
        let now = SystemClock::start().now();
        let id = self.id.clone().unwrap_or_else(|| sample::random_hex(16));
        let body = match &self.body {
            Some(path) => fs::read(path)
                .map_err(|error| Failure::of(format!("cannot read {}", path.display()), &error))?,
            None => sample::body(provider, &id, now).into_bytes(),
        };
        let body = Bytes::from(body);

        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in sample::headers(provider, &id) {
            insert(&mut headers, HeaderName::from_static(name), value)?;
        }
        let signed = source.scheme().sign(&format!("msg_{id}"), now, &body);
        for (name, value) in signed
            .ok_or_else(|| Failure::new("this secret can verify and not sign: a whsk_ key signs"))?
        {
            insert(&mut headers, name, value)?;
        }
        self.post(&url, headers, body)
    }

    /// Who is sent as, and where to.
    fn endpoint(&self) -> Result<(Source, &'static Provider, http::Uri), Failure> {
        if let Some(name) = &self.source {
            let (config, _) = self.file.load()?;
            let found = config.source(name).ok_or_else(|| {
                let names: Vec<_> =
                    config.sources.iter().map(|source| source.name().as_str()).collect();
                Failure::new(format!(
                    "the configuration has no source {name:?}: there are {}",
                    names.join(", ")
                ))
            })?;
            let references: Vec<_> = settings::of_source(found).cloned().collect();
            let region = settings::secrets_region(&config);
            let backends = Backends::default();
            let vault = runtime()?.block_on(Vault::of(&references, region, &backends));
            let source = settings::source(found, &vault)
                .map_err(|mistakes| Failure::config(self.file.listed(&mistakes)))?;
            let scheme = if config.server.tls.is_some() { "https" } else { "http" };
            let own = format!("{scheme}://{}{}", config.server.listen, found.rules.path);
            let provider = providers::named(found.provider.unwrap_or("hmac"))?;
            return Ok((source, provider, client::url(self.url.as_deref().unwrap_or(&own))?));
        }
        let provider = providers::named(self.provider.as_deref().unwrap_or_default())?;
        let url =
            self.url.as_deref().ok_or_else(|| Failure::new("name the endpoint with --url"))?;
        let secret = self.secret.as_deref().unwrap_or_default();
        let Ok(reference) = secret.parse::<SecretRef>();
        if matches!(reference, SecretRef::Literal(_)) {
            return Err(Failure::new(
                "--secret takes env:NAME, file:PATH or another reference: a secret on a command line is seen by everyone on the machine",
            ));
        }
        let secret = runtime()?.block_on(secrets::follow(&reference, None));
        let secret = secret.map_err(|error| Failure::of("--secret", &error))?;
        let name =
            SourceName::parse(provider.name).map_err(|error| Failure::of("provider", &error))?;
        let source = Source::new(
            SourceRules::of_provider(name, "/", provider),
            vec![(secret, Validity::default())],
        )
        .map_err(|error| Failure::of("--secret", &error))?;
        Ok((source, provider, client::url(url)?))
    }

    #[expect(clippy::print_stdout, reason = "the binary talks to the terminal")]
    fn post(&self, url: &http::Uri, headers: HeaderMap, body: Bytes) -> Result<(), Failure> {
        if self.dry_run {
            println!("POST {url}");
            for (name, value) in &headers {
                println!("{name}: {}", String::from_utf8_lossy(value.as_bytes()));
            }
            println!("\n{}", String::from_utf8_lossy(&body));
            return Ok(());
        }
        let sent = runtime()?.block_on(Http::new().send(Method::POST, url, headers, body));
        let answer = sent.map_err(|error| Failure::of(format!("POST {url}"), &error))?;
        let text = String::from_utf8_lossy(&answer.body);
        if self.json {
            println!("{}", serde_json::json!({ "status": answer.status.as_u16(), "body": text }));
        } else {
            println!("{} {text}", answer.status);
        }
        if answer.status.is_success() {
            Ok(())
        } else {
            Err(Failure::new(format!("the endpoint answered {}", answer.status)))
        }
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: String) -> Result<(), Failure> {
    let value = HeaderValue::try_from(value)
        .map_err(|error| Failure::of(format!("header {name}"), &error))?;
    headers.insert(name, value);
    Ok(())
}
