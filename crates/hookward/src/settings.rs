//! A configuration file, read, resolved, its references followed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use hookward_core::{
    Source,
    config::{
        Admin, Config, DestinationConfig, Diagnostic, Dialect, Place, SecretConfig, SourceConfig,
    },
    scheme::{Scheme, SchemeError},
    secret::{Secret, SecretRef},
};
use hookward_server::{
    admin::AdminToken,
    destination::{self, Destination},
    gateway::RoutesBuilder,
};

use crate::{failure::Failure, secrets};

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

    /// Follows every reference of a configuration that was [`load`](Self::load)ed; what is wrong with secrets is one failure
    /// that lists all of it.
    pub(crate) fn follow(&self, config: &Config) -> Result<Followed, Failure> {
        follow(config).map_err(|mistakes| Failure::config(self.listed(&mistakes)))
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

/// Follows every reference and judges every secret. All that is wrong is told at once, in the order of the file, each with
/// its place.
pub(crate) fn follow(config: &Config) -> Result<Followed, Vec<Diagnostic>> {
    let sources = all(config.sources.iter().map(source));
    let destinations = all(config.destinations.iter().map(destination));
    let token = config.admin.as_ref().map(admin_token).transpose().map_err(|it| vec![it]);
    match (sources, destinations, token) {
        (Ok(sources), Ok(destinations), Ok(token)) => {
            Ok(Followed { routes: RoutesBuilder::new(sources, destinations), token })
        }
        (sources, destinations, token) => {
            let mistakes = [sources.err(), destinations.err(), token.err()];
            let mut mistakes: Vec<_> = mistakes.into_iter().flatten().flatten().collect();
            mistakes.sort_by_key(|it| (it.line, it.column));
            Err(mistakes)
        }
    }
}

/// All that was made, or all mistakes.
fn all<T>(
    made: impl Iterator<Item = Result<T, Vec<Diagnostic>>>,
) -> Result<Vec<T>, Vec<Diagnostic>> {
    let (mut good, mut mistakes) = (Vec::new(), Vec::new());
    for made in made {
        match made {
            Ok(made) => good.push(made),
            Err(wrong) => mistakes.extend(wrong),
        }
    }
    if mistakes.is_empty() { Ok(good) } else { Err(mistakes) }
}

/// A source with its secrets.
pub(crate) fn source(config: &SourceConfig) -> Result<Source, Vec<Diagnostic>> {
    let secrets = all(config.secrets.iter().map(|it| {
        let SecretConfig { reference, validity, place } = it;
        let scheme = |secret| Scheme::new(config.rules.scheme.clone(), vec![(secret, *validity)]);
        let secret = judged(reference, place, None, scheme);
        secret.map(|(secret, _)| (secret, *validity)).map_err(|wrong| vec![wrong])
    }))?;
    let token = config.verify_token.as_ref().map(|it| {
        let strong = |secret: Secret| {
            let reason = secret.clone().strong().err();
            reason.map_or(Ok(secret), |reason| Err(SchemeError::WeakSecret { index: 0, reason }))
        };
        judged(&it.reference, &it.place, None, strong).map(|(token, _)| token)
    });
    let token = token.transpose().map_err(|wrong| vec![wrong])?;
    Source::new(config.rules.clone(), secrets)
        .map(|source| source.with_verify_token(token))
        .map_err(|wrong| vec![Diagnostic::error(&config.place, wrong.to_string(), None)])
}

/// A destination with its secrets.
pub(crate) fn destination(config: &DestinationConfig) -> Result<Destination, Vec<Diagnostic>> {
    const HELP: &str = "make one with `echo whsec_$(openssl rand -base64 32)`";
    let current = (&config.secret, &config.secret_place);
    let previous = config.previous_secret.iter().zip(&config.previous_secret_place);
    let secrets = all(std::iter::once(current).chain(previous).map(|(reference, place)| {
        judged(reference, place, Some(HELP), destination::signer)
            .map(|(secret, _)| secret)
            .map_err(|wrong| vec![wrong])
    }))?;
    Destination::new(config.clone(), secrets)
        .map_err(|wrong| vec![Diagnostic::error(&config.place, wrong.to_string(), None)])
}

/// The admin API's token.
pub(crate) fn admin_token(config: &Admin) -> Result<AdminToken, Diagnostic> {
    judged(&config.token, &config.place, None, |secret| {
        AdminToken::new(secret).map_err(|reason| SchemeError::WeakSecret { index: 0, reason })
    })
    .map(|(_, token)| token)
}

/// The secret that a reference leads to and what is made of it, if it is one to use. What is wrong with it is about the place of the reference.
fn judged<T>(
    reference: &SecretRef,
    place: &Place,
    help: Option<&str>,
    use_it: impl FnOnce(Secret) -> Result<T, SchemeError>,
) -> Result<(Secret, T), Diagnostic> {
    let mistake =
        |message, help: Option<&str>| Diagnostic::error(place, message, help.map(str::to_owned));
    let secret = secrets::follow(reference).map_err(|error| {
        let cause =
            std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        mistake(format!("{error}{cause}"), None)
    })?;
    match use_it(secret.clone()) {
        Ok(made) => Ok((secret, made)),
        Err(SchemeError::WeakSecret { reason, .. }) => {
            Err(mistake(format!("{reference} is refused: {reason}"), help))
        }
        Err(other) => Err(mistake(format!("{reference} is refused: {other}"), help)),
    }
}
