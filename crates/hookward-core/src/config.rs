//! The configuration: one TOML file, from what was written to what it means.
//!
//! Two steps. [`mod@file`] holds every key that a file may have, in one place: from it come what is accepted, the
//! [JSON Schema](json_schema) for editors and the [reference](reference_markdown) for people, so that none of them can
//! differ from the others. [`resolve`] makes a [`Config`] of it and finds what single values cannot show. Both
//! collect: a file's mistakes are reported all at once, each with its line, its column and what to do.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use http::Uri;

use crate::{
    address::TrustedProxies,
    limits,
    rate::Budget,
    retry::Retry,
    secret::{SecretRef, Validity},
    source::{DestinationName, SourceName, SourceRules},
};

mod diagnostic;
mod file;
mod kind;
mod providers;
mod reference;
mod resolve;
mod restart;
mod section;
#[cfg(test)]
mod tests;
mod unit;
mod written;

pub use diagnostic::{Diagnostic, Place, Severity};
pub(crate) use providers::providers;
pub use reference::{json_schema, reference_markdown};
pub use written::Written;

/// What a configuration file means: complete, every default filled in, without contradictions.
///
/// Secrets are references; whoever may do I/O follows them. A relative path is relative to the folder of the
/// configuration file, which [`relative_to`](Self::relative_to) makes true.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where webhooks are taken.
    pub server: Server,
    /// Where the gateway is operated. `None`: nowhere, no listener is opened.
    pub admin: Option<Admin>,
    /// Where events are kept.
    pub store: StoreConfig,
    /// How secrets are kept up to date.
    pub secrets: Secrets,
    /// What strangers can make the gateway hold.
    pub limits: Limits,
    /// Who sends: at least one, in the order of the file, no path and no secret twice.
    pub sources: Vec<SourceConfig>,
    /// Where events go, in the order of the file. Each destination that a source names is here.
    pub destinations: Vec<DestinationConfig>,
    /// What is logged, and how.
    pub log: LogConfig,
}

/// Which promises a configuration must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A file that serves: secrets are references.
    File,
    /// What `hookward dev` makes up and throws away: secrets may be literal, and little is warned of.
    Dev,
    /// Settings of the Python library: the application itself handles the events, so that there are no destinations, and its
    /// server listens.
    Library {
        /// Whether secrets may be literal: for tests.
        literals: bool,
    },
}

impl Dialect {
    /// Whether a secret may be written literally.
    fn takes_literals(self) -> bool {
        matches!(self, Self::Dev | Self::Library { literals: true })
    }

    fn is_library(self) -> bool {
        matches!(self, Self::Library { .. })
    }
}

impl Config {
    /// An example to start from: Stripe and GitHub in front of a Django application. Parses without a mistake and
    /// without a warning.
    pub const EXAMPLE: &str = include_str!("config/example.toml");

    /// Reads the text of a configuration file.
    ///
    /// Either it is right, and what is worth a second look comes with it as warnings; or all that is wrong is
    /// reported at once, warnings included, in the order of the file. No diagnostic contains a secret, even where one was
    /// written literally.
    ///
    /// `read_file` gets the JSON Schema files that the text names, by their paths as written, and answers with the
    /// file's text or the reason why there is none.
    pub fn parse(
        text: &str,
        dialect: Dialect,
        read_file: &mut dyn FnMut(&Path) -> Result<String, String>,
    ) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let mut context = section::Context::new(text, dialect);
        let config = file::File::parse(text, &mut context)
            .and_then(|file| resolve::config(file, read_file, &mut context));
        let diagnostics = context.into_diagnostics();
        match config {
            Some(config) if diagnostics.iter().all(|it| it.severity == Severity::Warning) => {
                Ok((config, diagnostics))
            }
            _ => Err(diagnostics),
        }
    }

    /// Reads settings that a program holds, as [`parse`](Self::parse) reads a file that says the same. In the diagnostics,
    /// only the path of a place means anything.
    pub fn parse_written(
        settings: &Written,
        dialect: Dialect,
        read_file: &mut dyn FnMut(&Path) -> Result<String, String>,
    ) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        Self::parse(&settings.file(), dialect, read_file)
    }

    /// What is right, and may not be what somebody expects.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let item_max = limits::DYNAMODB_ITEM_BYTES_MAX;
        let is_larger = |source: &SourceConfig| source.rules.body_bytes_max > item_max;
        let large = match &self.store {
            StoreConfig::DynamoDb(DynamoDb { large_bodies: None, .. }) => {
                self.sources.iter().any(is_larger)
            }
            StoreConfig::DynamoDb(_) | StoreConfig::Embedded(_) => false,
        };
        let note = large.then(|| {
            format!(
                "a body of more than {} once it is compressed is refused with 413, whatever `body_max` allows: set `large_bodies_bucket` in [store] if there are such",
                unit::size_text(item_max as u64)
            )
        });
        note.into_iter().collect()
    }

    /// Makes every relative path relative to `folder`, the one that holds the configuration file.
    #[must_use]
    pub fn relative_to(mut self, folder: &Path) -> Self {
        let anchor = |path: &mut PathBuf| *path = folder.join(&*path);
        let anchor_secret = |secret: &mut SecretRef| match secret {
            SecretRef::File(path) | SecretRef::Learned(path) => anchor(path),
            SecretRef::Env(_)
            | SecretRef::EnvIfSet(_)
            | SecretRef::Credential(_)
            | SecretRef::AwsSm { .. }
            | SecretRef::AwsSsm(_)
            | SecretRef::Literal(_) => {}
        };
        if let Some(tls) = &mut self.server.tls {
            anchor(&mut tls.cert);
            anchor(&mut tls.key);
        }
        match &mut self.store {
            StoreConfig::Embedded(store) => anchor(&mut store.path),
            StoreConfig::DynamoDb(_) => {}
        }
        if let Some(admin) = &mut self.admin {
            anchor_secret(&mut admin.token);
        }
        let sources = self.sources.iter_mut();
        for secret in sources.flat_map(|it| it.secrets.iter_mut().chain(&mut it.verify_token)) {
            anchor_secret(&mut secret.reference);
        }
        for destination in &mut self.destinations {
            anchor_secret(&mut destination.secret);
            destination.previous_secret.iter_mut().for_each(anchor_secret);
        }
        self
    }

    /// The source of this name.
    pub fn source(&self, name: &str) -> Option<&SourceConfig> {
        self.sources.iter().find(|source| source.name().as_str() == name)
    }

    /// The destination of this name.
    pub fn destination(&self, name: &str) -> Option<&DestinationConfig> {
        self.destinations.iter().find(|destination| destination.name.as_str() == name)
    }
}

/// Where webhooks are taken.
#[derive(Clone, Debug)]
pub struct Server {
    /// The address and port.
    pub listen: SocketAddr,
    /// The certificate, when the gateway itself speaks TLS.
    pub tls: Option<Tls>,
    /// Whether HTTP/2 is taken without TLS.
    pub http2_cleartext: bool,
    /// The proxies that are believed when they say for whom they speak.
    pub trusted_proxies: TrustedProxies,
    /// How long a stopping gateway waits for what is in progress.
    pub drain: Duration,
}

/// The files of a certificate, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, and those that lead to its root.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Where the gateway is operated.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The address and port; loopback unless the file says otherwise.
    pub listen: SocketAddr,
    /// The bearer token that lets in.
    pub token: SecretRef,
    /// Where the token is written, for what is found when it is followed.
    pub place: Place,
}

/// Where events are kept.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum StoreConfig {
    /// In files of this machine.
    Embedded(Embedded),
    /// In a table in Amazon DynamoDB, or in what speaks its language.
    DynamoDb(DynamoDb),
}

/// The embedded store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// Its directory, which one process owns.
    pub path: PathBuf,
    /// How many undelivered events it takes before senders are told to come back.
    pub queue_max: usize,
    /// How large a segment of the log is; room is given back a segment at a time.
    pub segment_bytes: u64,
}

/// The DynamoDB store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamoDb {
    /// The table.
    pub table: String,
    /// The region. `None`: what the environment says.
    pub region: Option<String>,
    /// Where DynamoDB is spoken, when the file says it: https, or on loopback. `None`: what the environment says, or
    /// Amazon's own for the region.
    pub endpoint: Option<Uri>,
    /// How it is written that an event is finished.
    pub completion: Completion,
    /// How long a gateway that is not heard of any more keeps its events.
    pub node_lease: Duration,
    /// How long an event waits at most for others to share a journal item with.
    pub journal_delay: Duration,
    /// How many undelivered events a gateway takes before senders are told to come back.
    pub queue_max: usize,
    /// The KMS key that encrypts the table. `None`: one that AWS owns.
    pub kms_key: Option<String>,
    /// Where bodies are kept that do not fit into an item. `None`: their events are refused.
    pub large_bodies: Option<LargeBodies>,
    /// The cap on the table's write units a second.
    pub write_units_max: u32,
}

/// How secrets are kept up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// How often they are looked up again. What was revoked counts no longer than this.
    pub refresh: Duration,
    /// The AWS region of secrets that are not named by an ARN. `None`: that of a DynamoDB store, or what the environment says.
    pub region: Option<String>,
}

/// A place for bodies that do not fit into an item of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LargeBodies {
    /// The S3 bucket.
    pub bucket: String,
    /// What the keys in it begin with.
    pub prefix: String,
}

/// How a DynamoDB store writes that an event is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// Each node for all its events at once.
    Checkpoint,
    /// In addition on each event's own item.
    Each,
}

/// What strangers can make the gateway hold, before anything they send is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address.
    pub connections_per_address: usize,
    /// Unverified requests from one address; a verified one gives its share back.
    pub unverified: Budget,
    /// Requests at once whose body is being read or verified.
    pub unverified_in_flight: usize,
    /// Bytes at once in their bodies. Each source's largest body fits.
    pub unverified_bytes: usize,
    /// How long a head may take to arrive.
    pub header_timeout: Duration,
    /// How long a TLS handshake may take.
    pub tls_handshake_timeout: Duration,
    /// How long a connection may idle between requests.
    pub keep_alive: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: limits::CONNECTIONS_DEFAULT,
            connections_per_address: limits::CONNECTIONS_PER_ADDRESS_DEFAULT,
            unverified: file::unverified_budget_default(),
            unverified_in_flight: limits::UNVERIFIED_IN_FLIGHT_DEFAULT,
            unverified_bytes: limits::UNVERIFIED_BYTES_DEFAULT,
            header_timeout: limits::HEADER_TIMEOUT,
            tls_handshake_timeout: limits::TLS_HANDSHAKE_TIMEOUT,
            keep_alive: limits::KEEP_ALIVE_TIMEOUT,
        }
    }
}

/// A sender, with references to its secrets.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// What it must keep to.
    pub rules: SourceRules,
    /// The provider that it was made from; `None` when its signature is described in the file.
    pub provider: Option<&'static str>,
    /// Its secrets: at least one, at most [`limits::SECRETS_MAX`].
    pub secrets: Vec<SecretConfig>,
    /// The token that it has to show when it asks whether anyone is there.
    pub verify_token: Option<SecretConfig>,
    /// Where it is written, for what is found later.
    pub place: Place,
}

impl SourceConfig {
    /// Its name.
    pub fn name(&self) -> &SourceName {
        &self.rules.name
    }
}

/// A secret of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretConfig {
    /// Where to find it.
    pub reference: SecretRef,
    /// When it counts.
    pub validity: Validity,
    /// Where it is written, for what is found when it is followed.
    pub place: Place,
}

/// Where events go.
#[derive(Clone)]
pub struct DestinationConfig {
    /// Its name.
    pub name: DestinationName,
    /// Its absolute `http` or `https` URL, without user and fragment; not a literal address that no destination may have.
    pub url: Uri,
    /// What deliveries are signed with, as Standard Webhooks.
    pub secret: SecretRef,
    /// What they are signed with beside it, while the application moves from one secret to the other.
    pub previous_secret: Option<SecretRef>,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// How many attempts are made at once.
    pub concurrency: usize,
    /// When a failed attempt is made again.
    pub retry: Retry,
    /// When attempts are paused.
    pub circuit: Circuit,
    /// Where it is written, for what is found later.
    pub place: Place,
    /// Where its secret is written, for what is found when it is followed.
    pub secret_place: Place,
    /// Where its previous secret is written.
    pub previous_secret_place: Option<Place>,
}

/// Without the URL's query, in which people put tokens.
impl fmt::Debug for DestinationConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            url,
            secret,
            previous_secret,
            timeout,
            concurrency,
            retry,
            circuit,
            place,
            secret_place: _,
            previous_secret_place: _,
        } = self;
        let whole = url.to_string();
        let shown = whole.split_once('?').map_or(&*whole, |(before, _)| before);
        f.debug_struct("DestinationConfig")
            .field("name", name)
            .field("url", &shown)
            .field("secret", secret)
            .field("previous_secret", previous_secret)
            .field("timeout", timeout)
            .field("concurrency", concurrency)
            .field("retry", retry)
            .field("circuit", circuit)
            .field("place", place)
            .finish()
    }
}

/// When attempts at a destination are paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circuit {
    /// After so many failures in a row.
    pub failures: u32,
    /// For so long; then one attempt tells whether it is back.
    pub open_for: Duration,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The form.
    pub format: LogFormat,
    /// What: a level, or `target=level` parts, separated by commas.
    pub level: String,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people on a terminal, JSON otherwise.
    Auto,
    /// Lines for people.
    Human,
    /// One JSON object a line.
    Json,
}
