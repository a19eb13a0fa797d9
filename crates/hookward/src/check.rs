//! `hookward check`: every mistake in a configuration, offline.

use clap::Args;
use hookward_core::config::{self, Config};

use crate::{
    failure::Failure,
    output::{self, say},
    settings::{self, ConfigFile},
};
use hookward_secrets::{Vault, is_elsewhere};

/// Finds every mistake in a configuration at once, with its line and what to do. Starts nothing.
///
/// Once the file itself is right, secrets are looked up and judged, unless `--no-secrets` says that they are not on this machine.
/// Those in AWS are not: `hookward doctor` does that.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Check {
    #[command(flatten)]
    file: ConfigFile,
    /// Do not follow references to secrets: they are elsewhere
    #[arg(long)]
    no_secrets: bool,
    /// Treat warnings as mistakes
    #[arg(long)]
    strict: bool,
    /// Print an example configuration, and check nothing
    #[arg(long, conflicts_with_all = ["schema", "no_secrets", "strict"])]
    example: bool,
    /// Print the JSON Schema of the configuration file, for editors, and check nothing
    #[arg(long, conflicts_with_all = ["no_secrets", "strict"])]
    schema: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(crate) fn run(self) -> Result<(), Failure> {
        if self.example {
            return output::text(Config::EXAMPLE.as_bytes());
        }
        if self.schema {
            return say!("{:#}", config::json_schema());
        }
        let (config, warnings) = self.file.load()?;
        let references = settings::references(&config);
        let elsewhere = references.iter().filter(|it| is_elsewhere(it)).count();
        if !self.no_secrets {
            let wrong = settings::mistakes(&config, &Vault::here(&references));
            if !wrong.is_empty() {
                return Err(Failure::config(self.file.listed(&wrong)));
            }
        }
        let listed = self.file.listed(&warnings);
        if self.strict && !warnings.is_empty() {
            return Err(Failure::config(listed));
        }
        let notes = config.notes();
        let told = notes.iter().map(|note| format!("note: {note}"));
        let listed: Vec<_> =
            Some(listed).into_iter().filter(|it| !it.is_empty()).chain(told).collect();
        let listed = listed.join("\n");
        if self.json {
            let sources: Vec<_> =
                config.sources.iter().map(|source| source.name().as_str()).collect();
            let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
            return say!(
                "{}",
                serde_json::json!({ "ok": true, "sources": sources, "warnings": warnings, "notes": notes })
            );
        }
        if !listed.is_empty() {
            say!("{listed}")?;
        }
        let secrets = match elsewhere {
            _ if self.no_secrets => "secrets not looked at".to_owned(),
            0 => "secrets found and strong".to_owned(),
            _ if elsewhere == references.len() => {
                "secrets in AWS, where `hookward doctor` looks".to_owned()
            }
            _ => format!(
                "secrets found and strong but for {elsewhere} in AWS, where `hookward doctor` looks"
            ),
        };
        say!(
            "{}: good ({} sources, {} destinations, {secrets}, {} warnings)",
            self.file.config.display(),
            config.sources.len(),
            config.destinations.len(),
            warnings.len()
        )
    }
}
