//! `hookward check`: every mistake in a configuration, offline.

use clap::Args;
use hookward_core::config::{self, Config};

use crate::{
    failure::Failure,
    output::{self, say},
    settings::ConfigFile,
};

/// Finds every mistake in a configuration at once, with its line and what to do. Starts nothing.
///
/// Once the file itself is right, secrets are looked up and judged, unless `--no-secrets` says that they are not on this machine.
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
        if !self.no_secrets {
            self.file.follow(&config)?;
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
        let secrets =
            if self.no_secrets { "secrets not looked at" } else { "secrets found and strong" };
        say!(
            "{}: good ({} sources, {} destinations, {secrets}, {} warnings)",
            self.file.config.display(),
            config.sources.len(),
            config.destinations.len(),
            warnings.len()
        )
    }
}
