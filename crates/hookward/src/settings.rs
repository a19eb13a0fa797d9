//! A configuration file, read, resolved, its references followed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use hookward_core::{
    config::{Admin, Config, DestinationConfig, Diagnostic, Dialect, SourceConfig},
    scheme::SchemeError,
    secret::{Secret, SecretRef},
};
use hookward_secrets::{
    Look, Vault, distinct,
    sources::{self, used},
};
use hookward_server::{
    admin::AdminToken,
    destination::{self, Destination},
    gateway::RoutesBuilder,
};

use crate::failure::Failure;

/// The source that somebody named, or which ones there are.
pub(crate) fn source_named<'c>(
    config: &'c Config,
    name: &str,
) -> Result<&'c SourceConfig, Failure> {
    config.source(name).ok_or_else(|| {
        let names: Vec<_> = config.sources.iter().map(|source| source.name().as_str()).collect();
        Failure::new(format!(
            "the configuration has no source {name:?}: there are {}",
            names.join(", ")
        ))
    })
}

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

    /// Makes everything of a configuration that was [`load`](Self::load)ed; what is wrong with secrets is one failure
    /// that lists all of it. The configuration is not to blame for what may be there at another try.
    pub(crate) fn follow(&self, config: &Config, vault: &Vault) -> Result<Followed, Failure> {
        follow(config, vault).map_err(|mistakes| {
            let listed = self.listed(&mistakes);
            if vault.may_pass() { Failure::new(listed) } else { Failure::config(listed) }
        })
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

/// What a configuration makes once its references are followed.
#[derive(Debug)]
pub(crate) struct Followed {
    /// The sources and destinations.
    pub routes: RoutesBuilder,
    /// The admin API's token, if there is an admin API.
    pub token: Option<AdminToken>,
}

/// Every reference to a secret, each one once.
pub(crate) fn references(config: &Config) -> Vec<SecretRef> {
    let sources = config.sources.iter().flat_map(sources::references);
    let destinations = config.destinations.iter().flat_map(of_destination);
    let token = config.admin.iter().map(|admin| &admin.token);
    distinct(sources.chain(destinations).chain(token))
}

/// The references of a destination.
pub(crate) fn of_destination(config: &DestinationConfig) -> impl Iterator<Item = &SecretRef> {
    std::iter::once(&config.secret).chain(&config.previous_secret)
}

/// What all references of a configuration lead to.
pub(crate) async fn look(config: &Config, backends: &dyn Look) -> Vault {
    Vault::of(&references(config), sources::region(config), backends).await
}

/// What is wrong with the secrets that were looked up: all of it, in the order of the file, each with its place.
pub(crate) fn mistakes(config: &Config, vault: &Vault) -> Vec<Diagnostic> {
    let sources = config.sources.iter().flat_map(|it| sources::mistakes(it, vault));
    let destinations = config.destinations.iter().flat_map(|it| destination_secrets(it, vault).1);
    let token = config.admin.iter().filter_map(|it| token_of(it, vault).1);
    let mut mistakes: Vec<_> = sources.chain(destinations).chain(token).collect();
    mistakes.sort_by_key(|it| (it.line, it.column));
    mistakes
}

/// Makes everything of secrets that were looked up, or says all that is wrong with them.
pub(crate) fn follow(config: &Config, vault: &Vault) -> Result<Followed, Vec<Diagnostic>> {
    let wrong = mistakes(config, vault);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let sources =
        config.sources.iter().map(|it| sources::source(it, vault)).collect::<Result<_, _>>()?;
    let destinations = config.destinations.iter().map(|it| destination(it, vault));
    let destinations = destinations.collect::<Result<_, _>>()?;
    let token = config.admin.as_ref().map(|it| admin_token(it, vault)).transpose()?;
    Ok(Followed { routes: RoutesBuilder::new(sources, destinations), token })
}

/// What becomes of a running gateway when secrets have changed: whatever has one left goes on. With what is wrong.
pub(crate) fn go_on(config: &Config, vault: &Vault) -> (Followed, Vec<Diagnostic>) {
    let mut wrong = mistakes(config, vault);
    let mut sources = Vec::with_capacity(config.sources.len());
    for it in &config.sources {
        let (source, revoked) = sources::go_on(it, vault);
        wrong.extend(revoked);
        sources.push(source);
    }
    let mut destinations = Vec::with_capacity(config.destinations.len());
    for it in &config.destinations {
        if let Ok(made) = destination(it, vault) {
            destinations.push(made);
        } else {
            let what = "there is no secret to sign with any more: its events wait";
            wrong.push(Diagnostic::error(&it.place, what, None));
        }
    }
    let token = config.admin.as_ref().map(|it| {
        token_of(it, vault).0.unwrap_or_else(|| {
            let what = "there is no token any more: it lets nobody in";
            wrong.push(Diagnostic::error(&it.place, what, None));
            AdminToken::revoked()
        })
    });
    (Followed { routes: RoutesBuilder::new(sources, destinations), token }, wrong)
}

/// Whether everything that a reference is for can do with this secret.
pub(crate) fn suits(
    config: &Config,
    reference: &SecretRef,
    secret: &Secret,
) -> Result<(), SchemeError> {
    sources::suits(&config.sources, reference, secret)?;
    if config.destinations.iter().flat_map(of_destination).any(|it| it == reference) {
        signs(secret.clone())?;
    }
    if config.admin.iter().any(|admin| admin.token == *reference) {
        lets_in(secret.clone())?;
    }
    Ok(())
}

/// A destination with its secrets.
pub(crate) fn destination(
    config: &DestinationConfig,
    vault: &Vault,
) -> Result<Destination, Vec<Diagnostic>> {
    let (secrets, wrong) = destination_secrets(config, vault);
    if secrets.is_empty() && !wrong.is_empty() {
        return Err(wrong);
    }
    Destination::new(config.clone(), secrets)
        .map_err(|wrong| vec![Diagnostic::error(&config.place, wrong.to_string(), None)])
}

/// The secrets that deliveries are signed with, the current one first, none without it; and what is wrong with the others.
pub(crate) fn destination_secrets(
    config: &DestinationConfig,
    vault: &Vault,
) -> (Vec<Secret>, Vec<Diagnostic>) {
    const HELP: &str = "make one with `echo whsec_$(openssl rand -base64 32)`";
    let look = |reference, place| used(vault, reference, place, Some(HELP), signs);
    let (mut secrets, current_wrong) = look(&config.secret, &config.secret_place);
    let mut wrong: Vec<_> = current_wrong.into_iter().collect();
    if let (Some(reference), Some(place)) = (&config.previous_secret, &config.previous_secret_place)
    {
        let (previous, previous_wrong) = look(reference, place);
        wrong.extend(previous_wrong);
        if !secrets.is_empty() {
            secrets.extend(previous.into_iter().take(1));
        }
    }
    (secrets.into_iter().map(|(secret, ())| secret).collect(), wrong)
}

/// The admin API's token.
pub(crate) fn admin_token(config: &Admin, vault: &Vault) -> Result<AdminToken, Vec<Diagnostic>> {
    match token_of(config, vault) {
        (Some(token), None) => Ok(token),
        (_, wrong) => Err(wrong.into_iter().collect()),
    }
}

pub(crate) fn token_of(config: &Admin, vault: &Vault) -> (Option<AdminToken>, Option<Diagnostic>) {
    let (tokens, wrong) = used(vault, &config.token, &config.place, None, lets_in);
    (tokens.into_iter().map(|(_, token)| token).reduce(AdminToken::or), wrong)
}

fn signs(secret: Secret) -> Result<(), SchemeError> {
    destination::signer(secret).map(drop)
}

fn lets_in(secret: Secret) -> Result<AdminToken, SchemeError> {
    AdminToken::new(secret).map_err(|reason| SchemeError::WeakSecret { index: 0, reason })
}
