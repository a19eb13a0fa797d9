//! One verification without settings.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use hookward_core::{
    Event as Admitted, Head, Intake, Quarantine, Refusal, Request, Source, SourceName, Timestamp,
    answer::Statuses,
    config::{self, Place},
    provider::{PROVIDERS, Provider},
    reception,
    scheme::{SchemeError, Settings},
    secret::{Secret, Validity},
    source::SourceRules,
};
use pyo3::{prelude::*, pybacked::PyBackedBytes, types::PyBytes};

use crate::{
    answer::Answer,
    error::{config_error, guarded, secret_error},
    event::Event,
    headers::{self, Raw},
    receiver::{LARGE_BODY_BYTES, Verdict},
};

/// The names of the providers that are known.
#[pyfunction]
pub(crate) fn providers() -> Vec<&'static str> {
    PROVIDERS.iter().map(|provider| provider.name).collect()
}

/// One value of an option, or several.
#[derive(FromPyObject)]
pub(crate) enum Values {
    One(String),
    Several(Vec<String>),
}

/// One verification without settings.
#[pyfunction]
#[pyo3(signature = (
    provider, headers, body, secrets, *, now, method = "POST", target = "/", url = None, tolerance = None, options = None,
    verify_token = None
))]
#[expect(clippy::too_many_arguments, reason = "keywords in Python")]
#[expect(clippy::needless_pass_by_value, reason = "what PyO3 hands over")]
pub(crate) fn verify(
    py: Python<'_>,
    provider: &str,
    headers: Vec<(Raw, Raw)>,
    body: Bound<'_, PyBytes>,
    secrets: Vec<String>,
    now: u64,
    method: &str,
    target: &str,
    url: Option<&str>,
    tolerance: Option<f64>,
    options: Option<BTreeMap<String, Values>>,
    verify_token: Option<String>,
) -> PyResult<Verdict> {
    guarded(|| {
        let provider = known(py, provider)?;
        let settings = settings(url, options);
        let secrets: Vec<_> = secrets.into_iter().map(Secret::new).collect();
        let source = source(py, provider, settings, tolerance, secrets)?
            .with_verify_token(verify_token.map(Secret::new));
        let raw = Bytes::from_owner(PyBackedBytes::from(body.clone()));
        let now = Timestamp::from_micros(now);
        let judge = || judge(&source, method, target, &headers, raw, now);
        let judged =
            if body.as_bytes().len() < LARGE_BODY_BYTES { judge() } else { py.detach(judge) };
        let refusal = match judged {
            Ok(event) => match event.intake {
                Intake::Quarantine(why @ Quarantine::NotJson) => Refusal::Rejected(why),
                // Whoever has no settings expects nothing else of an event.
                Intake::Deliver | Intake::Archive | Intake::Quarantine(_) => {
                    return Ok(Verdict::Event(Event::new(event, body.unbind())));
                }
            },
            Err((Refusal::Handshake(challenge), verified)) => {
                if challenge.secret.is_none() {
                    return Ok(Verdict::Answer(Answer::challenge(*challenge, verified)));
                }
                // There is nowhere to keep the secret that the sender would sign with from then on.
                Refusal::HandshakeRefused { status: 403 }
            }
            Err((refusal, _)) => refusal,
        };
        Ok(Verdict::Answer(Answer::refused(&refusal, Statuses::of(source.rules()))))
    })
}

fn known(py: Python<'_>, name: &str) -> PyResult<&'static Provider> {
    Provider::named(name).ok_or_else(|| {
        let help = "`hookward.providers()` lists those that are known";
        config_error(py, vec![wrong("provider", format!("no provider is called {name:?}"), help)])
    })
}

/// A source of this provider, with nothing beside what its row says but this.
fn source(
    py: Python<'_>,
    provider: &'static Provider,
    settings: Settings,
    tolerance: Option<f64>,
    secrets: Vec<Secret>,
) -> PyResult<Source> {
    let refused = |path: &str, message: String, help: &str| {
        config_error(py, vec![wrong(path, message, help)])
    };
    let name =
        SourceName::parse(provider.name).map_err(|bad| refused("provider", bad.to_string(), ""))?;
    let mut rules = SourceRules::of_provider(name, "/", provider);
    rules.handled_here = true;
    rules.scheme.settings = settings;
    if let Some(seconds) = tolerance {
        let tolerance = Duration::try_from_secs_f64(seconds)
            .map_err(|bad| refused("tolerance", bad.to_string(), "give a time of at least 0 s"))?;
        let Some(time) = &mut rules.scheme.time else {
            let message = "the signature covers no time, so there is none to hold to a tolerance";
            return Err(refused("tolerance", message.to_owned(), "leave it out"));
        };
        (time.past, time.future) = (tolerance, tolerance);
    }
    let publishes_keys = || {
        let message = format!(
            "{} signs with keys that it publishes, which have to be fetched and kept",
            provider.title
        );
        refused("provider", message, "use the Django library or the gateway, which do that")
    };
    let code = rules.scheme.code.as_ref();
    if code.is_some_and(|code| !code.wants_secret(&rules.scheme.settings)) {
        return Err(publishes_keys());
    }
    let secrets = secrets.into_iter().map(|secret| (secret, Validity::default())).collect();
    let source = Source::new(rules, secrets).map_err(|error| match error {
        SchemeError::WeakSecret { index, reason } => {
            let path = format!("secrets[{index}]");
            secret_error(py, vec![wrong(&path, format!("it is refused: {reason}"), "")])
        }
        none @ SchemeError::NoSecret => {
            secret_error(py, vec![wrong("secrets", none.to_string(), "")])
        }
        other => refused("provider", other.to_string(), ""),
    })?;
    if source.scheme().key_ring().is_some() { Err(publishes_keys()) } else { Ok(source) }
}

/// What is wrong with an argument.
fn wrong(path: &str, message: String, help: &str) -> config::Diagnostic {
    let place = Place { line: 1, column: 1, path: path.to_owned() };
    let help = Some(help.to_owned()).filter(|help| !help.is_empty());
    config::Diagnostic::error(&place, message, help)
}

fn settings(url: Option<&str>, options: Option<BTreeMap<String, Values>>) -> Settings {
    let options = options.unwrap_or_default().into_iter().map(|(name, values)| {
        let values = match values {
            Values::One(value) => vec![value.into()],
            Values::Several(values) => values.into_iter().map(Into::into).collect(),
        };
        (name.into(), values)
    });
    Settings { url: url.map(Into::into), options: options.collect() }
}

/// The way of a request, but for addresses and budgets, which take more than one request to mean something. Why there is no event,
/// and whether the sender had proven who it is when a question was found.
fn judge(
    source: &Source,
    method: &str,
    target: &str,
    headers: &[(Raw, Raw)],
    body: Bytes,
    now: Timestamp,
) -> Result<Admitted, (Refusal, bool)> {
    let unproven = |refusal| (refusal, false);
    let method = headers::method(method).map_err(unproven)?;
    let headers = headers::headers(headers).map_err(unproven)?;
    let head = Head { method: &method, target, headers: &headers };
    let awaited = reception::screen(source, &head, now).map_err(unproven)?;
    let request = Request { head, body };
    let verified = reception::verify(source, awaited, request, now);
    verified.map_err(unproven)?.admit().map_err(|refusal| (refusal, true))
}
