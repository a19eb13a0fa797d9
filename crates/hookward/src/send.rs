//! `hookward send`: a signed sample for an endpoint, so that it can be tried without the sender.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use clap::Args;
use hookward_core::{
    Source,
    provider::Provider,
    scheme::{Sample, Settings},
    secret::{SecretRef, Validity},
    source::{SourceName, SourceRules},
};
use hookward_secrets::{self as secrets, Backends, Vault, sources};
use hookward_server::{Clock as _, SystemClock};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::{
    client::{self, Http},
    failure::Failure,
    output::say,
    providers, sample,
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
    #[arg(long)]
    secret: Option<String>,
    /// What the provider has to be told beside its secret, as name=value: `hookward providers show` lists it
    #[arg(long = "option", value_name = "NAME=VALUE")]
    options: Vec<String>,
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
            None => provider.sample.body(&id, now.as_secs()).into_bytes(),
        };
        let body = Bytes::from(body);

        let mut headers = HeaderMap::new();
        let media_type = HeaderValue::from_static(provider.sample.media_type);
        headers.insert(header::CONTENT_TYPE, media_type);
        for (name, value) in provider.sample.headers(&id, now.as_secs()) {
            insert(&mut headers, name, value)?;
        }
        let id = format!("msg_{id}");
        let sample = Sample { id: &id, at: now, body: &body };
        let signed = source.scheme().sign(sample).ok_or_else(|| {
            Failure::new(
                "this secret verifies and does not sign, or the body is not what the provider signs: for a provider with \
                 public keys, a private key of your own (PEM, PKCS #8) signs samples, and its public half verifies them",
            )
        })?;
        for (name, value) in signed.headers {
            insert(&mut headers, name, value)?;
        }
        let url = with_query(&url, &signed.query)?;
        self.post(&url, headers, signed.body.into())
    }

    /// Who is sent as, and where to.
    fn endpoint(&self) -> Result<(Source, &'static Provider, http::Uri), Failure> {
        if let Some(name) = &self.source {
            let (config, _) = self.file.load()?;
            let found = settings::source_named(&config, name)?;
            let references: Vec<_> = sources::references(found).cloned().collect();
            let region = sources::region(&config);
            let backends = Backends::default();
            let vault = runtime()?.block_on(Vault::of(&references, region, &backends));
            let source = sources::source(found, &vault)
                .map_err(|mistakes| Failure::config(self.file.listed(&mistakes)))?;
            let scheme = if config.server.tls.is_some() { "https" } else { "http" };
            let own = format!("{scheme}://{}{}", config.server.listen, found.rules.path);
            let provider = providers::named(found.provider.unwrap_or("hmac"))?;
            return Ok((source, provider, client::url(self.url.as_deref().unwrap_or(&own))?));
        }
        let provider = providers::named(self.provider.as_deref().unwrap_or_default())?;
        let url =
            self.url.as_deref().ok_or_else(|| Failure::new("name the endpoint with --url"))?;
        let settings = self.settings(url)?;
        if provider.scheme.code.as_ref().is_some_and(|code| !code.wants_secret(&settings)) {
            return Err(Failure::new(format!(
                "{} signs with keys that only it has, and what it publishes of them is all that a gateway takes: nobody else \
                 can sign a sample for it",
                provider.title
            )));
        }
        let secret = self.secret.as_deref().ok_or_else(|| {
            Failure::new("say where the secret is: --secret env:NAME or --secret file:PATH")
        })?;
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
        let mut rules = SourceRules::of_provider(name, "/", provider);
        rules.scheme.settings = settings;
        let source = Source::new(rules, vec![(secret, Validity::default())])
            .map_err(|error| Failure::of("--secret", &error))?;
        Ok((source, provider, client::url(url)?))
    }

    /// What the scheme has to be told: the URL as the sender knows it is the one that is posted to.
    fn settings(&self, url: &str) -> Result<Settings, Failure> {
        let mut settings = Settings { url: Some(url.into()), ..Settings::default() };
        for option in &self.options {
            let (name, value) = option.split_once('=').ok_or_else(|| {
                Failure::new(format!("--option {option}: write a name, = and a value"))
            })?;
            settings.options.entry(name.into()).or_default().push(value.into());
        }
        Ok(settings)
    }

    fn post(&self, url: &http::Uri, headers: HeaderMap, body: Bytes) -> Result<(), Failure> {
        if self.dry_run {
            say!("POST {url}")?;
            for (name, value) in &headers {
                say!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
            }
            return say!("\n{}", String::from_utf8_lossy(&body));
        }
        let sent = runtime()?.block_on(Http::new().send(Method::POST, url, headers, body));
        let answer = sent.map_err(|error| Failure::of(format!("POST {url}"), &error))?;
        let text = String::from_utf8_lossy(&answer.body);
        let said = if self.json {
            say!("{}", serde_json::json!({ "status": answer.status.as_u16(), "body": text }))
        } else {
            say!("{} {text}", answer.status)
        };
        if answer.status.is_success() {
            said
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

/// A URL with something more in its query.
fn with_query(url: &http::Uri, query: &str) -> Result<http::Uri, Failure> {
    if query.is_empty() {
        return Ok(url.clone());
    }
    let separator = if url.query().is_some() { '&' } else { '?' };
    client::url(&format!("{url}{separator}{query}"))
}
