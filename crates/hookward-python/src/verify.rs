//! One verification without settings.

use std::collections::BTreeMap;

use bytes::Bytes;
use hookward_core::{
    Event as Admitted, Head, Refusal, Request, Source, SourceName, Timestamp,
    answer::Statuses,
    config::{self, Place},
    provider::{PROVIDERS, Provider},
    scheme::{SchemeError, Settings},
    secret::{Secret, Validity},
    source::SourceRules,
};
use pyo3::{exceptions::PyValueError, prelude::*, pybacked::PyBackedBytes, types::PyBytes};

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
    provider, headers, body, secrets, *, now, method = "POST", target = "/", url = None, tolerance = None, options = None
))]
#[expect(clippy::too_many_arguments, reason = "keywords in Python")]
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
) -> PyResult<Verdict> {
    guarded(|| {
        let wrong = |path: &str, message: String, help: Option<&str>| {
            let place = Place { line: 1, column: 1, path: path.to_owned() };
            config::Diagnostic::error(&place, message, help.map(str::to_owned))
        };
        let known = Provider::named(provider).ok_or_else(|| {
            let help = "`hookward.providers()` lists those that are known";
            config_error(
                py,
                vec![wrong("provider", format!("no provider is called {provider:?}"), Some(help))],
            )
        })?;
        let name =
            SourceName::parse(known.name).map_err(|bad| PyValueError::new_err(bad.to_string()))?;
        let mut rules = SourceRules::of_provider(name, "/", known);
        rules.handled_here = true;
        rules.scheme.settings = settings(url, options);
        if let Some(seconds) = tolerance {
            let tolerance = std::time::Duration::try_from_secs_f64(seconds)
                .map_err(|bad| PyValueError::new_err(format!("tolerance: {bad}")))?;
            let Some(time) = &mut rules.scheme.time else {
                let message =
                    "the signature covers no time, so there is none to hold to a tolerance";
                return Err(config_error(
                    py,
                    vec![wrong("tolerance", message.to_owned(), Some("leave it out"))],
                ));
            };
            (time.past, time.future) = (tolerance, tolerance);
        }
        if rules.scheme.code.as_ref().is_some_and(|code| !code.wants_secret(&rules.scheme.settings))
        {
            let message = format!(
                "{} signs with keys that it publishes, which have to be fetched and kept",
                known.title
            );
            let help = "use a `Receiver`, or the Django library, which fetch them";
            return Err(config_error(py, vec![wrong("provider", message, Some(help))]));
        }
        let secrets = secrets.into_iter().map(|it| (Secret::new(it), Validity::default()));
        let source = Source::new(rules, secrets.collect()).map_err(|error| match error {
            SchemeError::WeakSecret { index, reason } => secret_error(
                py,
                vec![wrong(&format!("secrets[{index}]"), format!("it is refused: {reason}"), None)],
            ),
            other => config_error(py, vec![wrong("provider", other.to_string(), None)]),
        })?;
        let raw = Bytes::from_owner(PyBackedBytes::from(body.clone()));
        let now = Timestamp::from_micros(now);
        let judge = || judge(&source, method, target, &headers, raw, now);
        let judged =
            if body.as_bytes().len() < LARGE_BODY_BYTES { judge() } else { py.detach(judge) };
        Ok(match judged {
            Ok(event) => Verdict::Event(Event::new(event, body.unbind())),
            Err((Refusal::Handshake(challenge), verified)) => {
                Verdict::Answer(Answer::challenge(*challenge, verified))
            }
            Err((refusal, _)) => {
                Verdict::Answer(Answer::refused(&refusal, Statuses::of(source.rules())))
            }
        })
    })
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

/// The way of a request, but for addresses and budgets, which take more than one request to mean something.
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
    let answered = |answer: Result<_, Refusal>| match answer {
        Ok(challenge) => unproven(Refusal::Handshake(Box::new(challenge))),
        Err(refusal) => unproven(refusal),
    };
    if let Some(answer) = source.greeting(&head, None, now) {
        return Err(answered(answer));
    }
    let screened = source.screen(&head, now);
    if screened.is_err()
        && source.may_greet_in_body(&method)
        && let Some(answer) = source.greeting(&head, Some(&body), now)
    {
        return Err(answered(answer));
    }
    let request = Request { head, body };
    let verified = screened.and_then(|it| source.verify_screened(it, request, now));
    verified.map_err(unproven)?.admit().map_err(|refusal| (refusal, true))
}
