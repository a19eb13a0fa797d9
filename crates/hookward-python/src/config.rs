//! The settings, and what of them checks and pages show.

use std::{fs, path::Path, sync::Arc};

use hookward_core::{
    config::{self, Dialect, Severity},
    handshake::Handshake,
    provider::Provider,
    secret::SecretRef,
};
use pyo3::{exceptions::PyTypeError, prelude::*};

use crate::{
    error::{config_error, guarded},
    settings,
};

/// Settings that were read: complete, without contradictions. Secrets are references that nobody has followed yet.
#[pyclass(frozen, module = "hookward._core")]
pub(crate) struct Config {
    pub(crate) meant: Arc<config::Config>,
    warnings: Vec<config::Diagnostic>,
}

#[pymethods]
impl Config {
    #[staticmethod]
    #[pyo3(signature = (settings, *, literals = false))]
    fn parse(py: Python<'_>, settings: &Bound<'_, PyAny>, literals: bool) -> PyResult<Self> {
        guarded(|| {
            let written = settings::written(settings)?;
            if !matches!(written, config::Written::Table(_)) {
                return Err(PyTypeError::new_err("settings are a mapping"));
            }
            let mut read_file =
                |path: &Path| fs::read_to_string(path).map_err(|error| error.to_string());
            let dialect = Dialect::Library { literals };
            let (meant, warnings) =
                config::Config::parse_written(&written, dialect, &mut read_file)
                    .map_err(|wrong| config_error(py, wrong))?;
            Ok(Self { meant: Arc::new(meant), warnings })
        })
    }

    #[getter]
    fn warnings(&self) -> Vec<Diagnostic> {
        self.warnings.iter().cloned().map(Diagnostic::from).collect()
    }

    #[getter]
    fn sources(&self) -> Vec<SourceFacts> {
        self.meant.sources.iter().map(SourceFacts::of).collect()
    }

    fn __repr__(&self) -> String {
        let names: Vec<_> = self.meant.sources.iter().map(|it| it.name().as_str()).collect();
        format!("<Config: {}>", names.join(", "))
    }
}

/// Something that is wrong with the settings, or worth a second look.
#[pyclass(frozen, get_all, module = "hookward._core")]
#[derive(Clone)]
pub(crate) struct Diagnostic {
    path: String,
    message: String,
    help: Option<String>,
    severity: &'static str,
}

impl From<config::Diagnostic> for Diagnostic {
    fn from(it: config::Diagnostic) -> Self {
        let severity = match it.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        Self { path: it.path, message: it.message, help: it.help, severity }
    }
}

#[pymethods]
impl Diagnostic {
    fn __repr__(&self) -> String {
        format!("<{}: {}: {}>", self.severity, self.path, self.message)
    }
}

/// What is configured of a source, for checks and pages. Nothing secret.
#[pyclass(frozen, get_all, module = "hookward._core")]
pub(crate) struct SourceFacts {
    name: String,
    provider: Option<&'static str>,
    path: String,
    body_max: usize,
    rate: Option<String>,
    signs_time: bool,
    tolerance_secs: Option<u64>,
    keep_secs: u64,
    remember_secs: Option<u64>,
    retry_horizon_secs: Option<u64>,
    methods: Vec<String>,
    takes_forms: bool,
    takes_multipart: bool,
    secrets: Vec<String>,
    covers: String,
}

impl SourceFacts {
    fn of(source: &config::SourceConfig) -> Self {
        let rules = &source.rules;
        let covers = rules.scheme.covers();
        let known = source.provider.and_then(Provider::named);
        let questions = rules.handshakes.iter().map(|it: &Handshake| it.method.to_string());
        let mut methods = vec!["POST".to_owned()];
        for method in questions {
            if !methods.contains(&method) {
                methods.push(method);
            }
        }
        Self {
            name: rules.name.to_string(),
            provider: source.provider,
            path: rules.path.to_string(),
            body_max: rules.body_bytes_max,
            rate: rules.budget.map(|budget| budget.rate.to_string()),
            signs_time: covers.time,
            tolerance_secs: rules.scheme.time.as_ref().map(|time| time.past.as_secs()),
            keep_secs: rules.body_retention.as_secs(),
            remember_secs: rules.key_retention.map(|it| it.as_secs()),
            retry_horizon_secs: known.and_then(Provider::retry_horizon).map(|it| it.as_secs()),
            methods,
            takes_forms: rules.media.forms,
            takes_multipart: rules.media.opaque.iter().any(|it| it.starts_with("multipart/")),
            secrets: source.secrets.iter().map(|it| shown(&it.reference)).collect(),
            covers: covers.to_string(),
        }
    }
}

#[pymethods]
impl SourceFacts {
    fn __repr__(&self) -> String {
        format!("<SourceFacts: {}>", self.name)
    }
}

fn shown(reference: &SecretRef) -> String {
    match reference {
        SecretRef::Literal(_) => "literal".to_owned(),
        SecretRef::Env(_)
        | SecretRef::EnvIfSet(_)
        | SecretRef::File(_)
        | SecretRef::Learned(_)
        | SecretRef::Credential(_)
        | SecretRef::AwsSm { .. }
        | SecretRef::AwsSsm(_) => reference.to_string(),
    }
}
