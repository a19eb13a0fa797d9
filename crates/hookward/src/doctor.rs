//! `hookward doctor`: whether what a configuration names is there and in order.

use clap::Args;
use hookward_core::{
    config::{Config, Diagnostic, StoreConfig},
    secret::SecretRef,
};
use hookward_secrets::{Backends, Vault, sources};
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
        let runtime = runtime()?;
        let vault = runtime.block_on(settings::look(&config, &Backends::default()));
        findings.extend(secrets(&config, &vault, self.role));
        findings.extend(certificate(&config));
        findings.extend(runtime.block_on(live(&config, self.role)));

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
fn secrets(config: &Config, vault: &Vault, role: Role) -> Vec<Finding> {
    let found = |about: String, references: &[&SecretRef], wrong: Vec<Diagnostic>| {
        let denied = |it: &&SecretRef| matches!(vault.get(it), Some(Err(why)) if why.is_denied());
        if wrong.is_empty() {
            Finding::good("secrets", about, "found and strong")
        } else if !matches!(role, Role::Gateway | Role::Library)
            && references.iter().copied().all(|it| denied(&it))
        {
            let said =
                format!("not for the {role} to read: look as the gateway, with --role gateway");
            Finding::skipped("secrets", about, said)
        } else {
            let why: Vec<_> = wrong.iter().map(ToString::to_string).collect();
            let todo = "make the reference lead to the secret";
            Finding::error("secrets", about, why.join("; "), todo)
        }
    };
    let mut findings = Vec::new();
    for source in &config.sources {
        let references: Vec<_> = sources::references(source).collect();
        let (_, wrong) = sources::source_secrets(source, vault);
        findings.push(found(format!("source {}", source.name()), &references, wrong));
    }
    for destination in &config.destinations {
        let references: Vec<_> = settings::of_destination(destination).collect();
        let (_, wrong) = settings::destination_secrets(destination, vault);
        findings.push(found(format!("destination {}", destination.name), &references, wrong));
    }
    if let Some(admin) = &config.admin {
        let (_, wrong) = settings::token_of(admin, vault);
        findings.push(found("admin".to_owned(), &[&admin.token], wrong.into_iter().collect()));
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
