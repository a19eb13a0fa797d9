//! A configuration file, read, resolved, its references followed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use hookward_core::{
    Source,
    config::{Config, DestinationConfig, Diagnostic, Dialect, SourceConfig},
    secret::SecretRef,
};
use hookward_server::{admin::AdminToken, destination::Destination, gateway::RoutesBuilder};

use crate::{failure::Failure, secrets};

/// Which configuration file.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigFile {
    /// The configuration file
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        default_value = "hookward.toml",
        env = "HOOKWARD_CONFIG"
    )]
    pub config: PathBuf,
}

impl ConfigFile {
    /// Reads and resolves the file. Warnings come beside it; mistakes are one failure that lists them all.
    pub(crate) fn load(&self) -> Result<(Config, Vec<Diagnostic>), Failure> {
        let text = fs::read_to_string(&self.config).map_err(|error| {
            Failure::config(format!(
                "cannot read {}: {error}; name it with --config, or see `hookward check --example`",
                self.config.display()
            ))
        })?;
        let folder = self.folder();
        let mut read_file =
            |path: &Path| fs::read_to_string(folder.join(path)).map_err(|error| error.to_string());
        let parsed = Config::parse(&text, Dialect::File, &mut read_file);
        let (config, warnings) =
            parsed.map_err(|mistakes| Failure::config(self.listed(&mistakes)))?;
        Ok((config.relative_to(&folder), warnings))
    }

    /// Diagnostics, a line each, behind the file's name.
    pub(crate) fn listed(&self, diagnostics: &[Diagnostic]) -> String {
        let line = |it: &Diagnostic| format!("{}:{it}", self.config.display());
        diagnostics.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn folder(&self) -> PathBuf {
        match self.config.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        }
    }
}

/// Follows every reference and makes sources and destinations; what fails is told all at once.
pub(crate) fn routes(config: &Config) -> Result<RoutesBuilder, Failure> {
    let mut mistakes = Vec::new();
    let sources = sorted(config.sources.iter().map(source), &mut mistakes);
    let destinations = sorted(config.destinations.iter().map(destination), &mut mistakes);
    if mistakes.is_empty() {
        Ok(RoutesBuilder::new(sources, destinations))
    } else {
        Err(Failure::config(mistakes.join("\n")))
    }
}

/// What was made, the mistakes put to the others.
fn sorted<T>(made: impl Iterator<Item = Result<T, String>>, mistakes: &mut Vec<String>) -> Vec<T> {
    made.filter_map(|made| made.map_err(|mistake| mistakes.push(mistake)).ok()).collect()
}

/// A source with its secrets.
pub(crate) fn source(config: &SourceConfig) -> Result<Source, String> {
    let name = config.name();
    let follow =
        |it: &hookward_core::config::SecretConfig| Ok((followed(&it.reference)?, it.validity));
    let secrets = config.secrets.iter().map(follow).collect::<Result<Vec<_>, String>>();
    let secrets = secrets.map_err(|mistake| format!("source {name}: {mistake}"))?;
    Source::new(config.rules.clone(), secrets).map_err(|error| format!("source {name}: {error}"))
}

/// A destination with its secrets.
pub(crate) fn destination(config: &DestinationConfig) -> Result<Destination, String> {
    let references = std::iter::once(&config.secret).chain(&config.previous_secret);
    let secrets = references.map(followed).collect::<Result<Vec<_>, _>>();
    let secrets = secrets.map_err(|mistake| format!("destination {}: {mistake}", config.name))?;
    Destination::new(config.clone(), secrets).map_err(|error| {
        format!(
            "destination {}: {error}; make one with `echo whsec_$(openssl rand -base64 32)`",
            config.name
        )
    })
}

/// The admin API's token, if there is an admin API.
pub(crate) fn admin_token(config: &Config) -> Result<Option<AdminToken>, Failure> {
    let token = |reference: &SecretRef| {
        let secret = followed(reference)?;
        AdminToken::new(secret).map_err(|why| format!("{reference} is refused: {why}"))
    };
    let admin = config.admin.as_ref().map(|admin| token(&admin.token));
    admin.transpose().map_err(|mistake| Failure::config(format!("admin token: {mistake}")))
}

fn followed(reference: &SecretRef) -> Result<hookward_core::secret::Secret, String> {
    secrets::follow(reference).map_err(|error| {
        let cause =
            std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{error}{cause}")
    })
}
