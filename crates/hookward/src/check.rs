//! `hookward check`: every mistake in a configuration, offline.

use clap::Args;
use hookward_core::config::{self, Config};

use crate::{
    failure::Failure,
    secrets::{Vault, is_elsewhere},
    settings::{self, ConfigFile},
};

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
    #[expect(clippy::print_stdout, reason = "the binary talks to the terminal")]
    pub(crate) fn run(self) -> Result<(), Failure> {
        if self.example {
            print!("{}", Config::EXAMPLE);
            return Ok(());
        }
        if self.schema {
            println!("{:#}", config::json_schema());
            return Ok(());
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
        if self.json {
            let sources: Vec<_> =
                config.sources.iter().map(|source| source.name().as_str()).collect();
            let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
            println!(
                "{}",
                serde_json::json!({ "ok": true, "sources": sources, "warnings": warnings })
            );
            return Ok(());
        }
        if !listed.is_empty() {
            println!("{listed}");
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
        println!(
            "{}: good ({} sources, {} destinations, {secrets}, {} warnings)",
            self.file.config.display(),
            config.sources.len(),
            config.destinations.len(),
            warnings.len()
        );
        Ok(())
    }
}
