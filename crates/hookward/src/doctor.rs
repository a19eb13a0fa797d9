//! `hookward doctor`: whether what a configuration names is there and in order.

use clap::Args;
use hookward_core::config::{Config, Diagnostic, StoreConfig};
use hookward_store::dynamodb::policy::Role;

use crate::{
    dynamodb::iam::parse_role,
    failure::Failure,
    output::say,
    serve::runtime,
    settings::{self, ConfigFile},
};

mod bucket;
mod clock;
mod destination;
pub(crate) mod finding;
mod folder;
mod permissions;
mod table;

use finding::Finding;

/// Looks at what a configuration names: secrets, certificates, destinations, the store, the clock.
///
/// Changes nothing. Findings are errors where webhooks would be lost, refused or handled twice, and warnings where something is
/// less safe or dearer than it could be. The exit code is 1 when there is an error.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    file: ConfigFile,
    /// Whose the AWS credentials are: they are compared with this role's policy
    #[arg(long, default_value = "doctor", value_parser = parse_role)]
    role: Role,
    /// Treat warnings as errors
    #[arg(long)]
    strict: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (config, warnings) = self.file.load()?;
        let mut findings: Vec<Finding> =
            warnings.iter().map(|it| configuration(&self.file, it)).collect();
        let file = self.file.config.display();
        findings
            .extend(config.notes().iter().map(|note| Finding::good("configuration", &file, note)));
        findings.extend(secrets(&config));
        findings.extend(certificate(&config));
        findings.extend(runtime()?.block_on(live(&config, self.role)));

        let count = |severity| findings.iter().filter(|it| it.severity == severity).count();
        let errors = count(finding::Severity::Error);
        let warnings = count(finding::Severity::Warning);
        let healthy = errors == 0 && (warnings == 0 || !self.strict);
        let said = if self.json {
            say!("{:#}", serde_json::json!({ "ok": healthy, "findings": findings }))
        } else {
            findings.iter().try_for_each(|finding| say!("{finding}"))
        };
        if healthy {
            return said;
        }
        Err(Failure::new(format!("{errors} errors and {warnings} warnings")))
    }
}

/// What needs the network or the disk.
async fn live(config: &Config, role: Role) -> Vec<Finding> {
    let mut findings = match &config.store {
        StoreConfig::Embedded(store) => folder::look(store),
        StoreConfig::DynamoDb(_) => table::look(config, role).await,
    };
    findings.extend(destination::look(config).await);
    findings
}

/// What `hookward check` warns of.
fn configuration(file: &ConfigFile, warning: &Diagnostic) -> Finding {
    let Diagnostic { line, column, path, message, help, .. } = warning;
    let about = format!("{}:{line}:{column}", file.config.display());
    let found = if path.is_empty() { message.clone() } else { format!("{path}: {message}") };
    let finding = Finding::warning("configuration", about, found);
    match help {
        Some(help) => finding.with(help),
        None => finding,
    }
}

/// Whether every reference leads to a secret that is strong enough.
fn secrets(config: &Config) -> Vec<Finding> {
    let found = |about: String, looked_up: Result<(), Vec<Diagnostic>>| match looked_up {
        Ok(()) => Finding::good("secrets", about, "found and strong"),
        Err(wrong) => {
            let why: Vec<_> = wrong.iter().map(ToString::to_string).collect();
            Finding::error(
                "secrets",
                about,
                why.join("; "),
                "make the reference lead to the secret",
            )
        }
    };
    let mut findings = Vec::new();
    for source in &config.sources {
        let made = settings::source(source).map(|_| ());
        findings.push(found(format!("source {}", source.name()), made));
    }
    for destination in &config.destinations {
        let made = settings::destination(destination).map(|_| ());
        findings.push(found(format!("destination {}", destination.name), made));
    }
    if let Some(admin) = &config.admin {
        let made = settings::admin_token(admin).map(|_| ()).map_err(|wrong| vec![wrong]);
        findings.push(found("admin".to_owned(), made));
    }
    findings
}

/// Whether the gateway can speak TLS, where it is to.
fn certificate(config: &Config) -> Option<Finding> {
    let tls = config.server.tls.as_ref()?;
    let about = tls.cert.display();
    Some(match hookward_server::tls::Tls::load(&tls.cert, &tls.key) {
        Ok(_) => Finding::good("certificate", about, "it and its key go together"),
        Err(error) => {
            let said = Failure::of("it cannot be used", &error);
            Finding::error("certificate", about, said, "put a PEM certificate and its key there")
        }
    })
}
