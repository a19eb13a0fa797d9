//! The table of providers: from what is written there to what it means.

use http::Method;

use super::{
    Dialect, Severity,
    file::{self, KnownSender, KnownSenders, QuestionMethod},
    kind::{Id, Type},
    resolve,
    section::{At, Context},
};
use crate::{
    handshake::{BadPhrase, Handshake, Is, Phrase, Place, Says, Value},
    identity::IdentityRule,
    limits,
    provider::{Media, Provider, sample_template},
    scheme::{Code, SchemeRules, SignedTime, TimePlace},
    source::{EventTypeRule, Expected},
};

/// Reads the table. It is part of the program, so that a mistake in it is one in the program, and every test would show it.
pub(crate) fn providers(text: &str) -> Vec<Provider> {
    let mut context = Context::new(text, Dialect::File);
    let rows = KnownSenders::parse(text, &mut context);
    let providers: Vec<_> =
        rows.into_iter().filter_map(|(name, row)| provider(name, row, &mut context)).collect();
    let mistakes: Vec<_> = context
        .into_diagnostics()
        .into_iter()
        .filter(|it| it.severity == Severity::Error)
        .map(|it| it.to_string())
        .collect();
    assert!(mistakes.is_empty(), "the table of providers: {mistakes:#?}");
    providers
}

fn provider(name: String, row: KnownSender, context: &mut Context<'_>) -> Option<Provider> {
    let scheme = match (row.signature.ok(), row.code.ok()) {
        (Some(signature), None) => resolve::signature(signature, context)?,
        (None, Some(code)) => {
            let settings = row.code_settings.value().unwrap_or_default();
            let settings = settings.into_iter().map(|(name, value)| (name.value, value.value));
            let Some(found) = Code::named(&code.value, settings.collect()) else {
                context.error(&code.spot, "no code has this name, or its settings are wrong");
                return None;
            };
            let time = row.code_tolerance.value().map(|tolerance| SignedTime {
                place: TimePlace::Code,
                unit: found.time_unit(),
                past: tolerance,
                // Clocks do not differ by as much as a retry may be late.
                future: tolerance.min(limits::TOLERANCE_DEFAULT),
            });
            SchemeRules { time, ..SchemeRules::of_code(found) }
        }
        (Some(_), Some(_)) | (None, None) => {
            context.error_with_help(
                &row.note.get()?.spot,
                "nothing says how it signs, or two things do",
                "a row has `signature` or `code`",
            );
            return None;
        }
    };
    let handshakes = row.handshakes.value().unwrap_or_default();
    let handshakes: Option<_> =
        handshakes.into_iter().map(|written| handshake(written, context)).collect();
    let texts = |list: Option<Vec<At<String>>>| -> Vec<Box<str>> {
        let list = list.unwrap_or_default();
        list.into_iter().map(|text| text.value.to_ascii_lowercase().into()).collect()
    };
    let lasting = |text: String| -> &'static str { text.leak() };
    let sample_headers = row.sample_headers.value().unwrap_or_default();
    let sample_headers = sample_headers
        .into_iter()
        .map(|(name, value)| (name.value, lasting(value.value)))
        .collect();
    Some(Provider {
        name: lasting(name),
        title: lasting(row.title.value()?),
        scheme,
        identity: match row.id.value {
            Id::Body(pointer) => IdentityRule::Body(pointer),
            Id::Content => IdentityRule::Content,
            Id::Header => IdentityRule::SignedHeader,
            Id::Each => IdentityRule::Each,
        },
        event_type: match row.r#type.value {
            Type::Body(pointer) => EventTypeRule::Body(pointer),
            Type::Header(name) => EventTypeRule::Header(name),
            Type::None => EventTypeRule::None,
        },
        sender_id: row.sender_id.value(),
        media: Media {
            json: texts(row.json_types.value()),
            opaque: texts(row.opaque_types.value()),
            forms: row.forms.value,
            arrays: row.arrays.value,
        },
        handshakes: handshakes?,
        accepted_status: row.answer.value,
        accepted_text: row.answer_text.value().map(lasting),
        refused_status: row.refused.value,
        answer_secs: row.answer_within.value(),
        retries: lasting(row.retries.value()?),
        secret: lasting(row.secret.value()?),
        docs: lasting(row.docs.value()?),
        note: lasting(row.note.value()?),
        evidence: row.evidence.value()?,
        origin: row.origin.value().unwrap_or_default().into_iter().map(|it| it.value).collect(),
        origin_source: row.origin_source.value().map_or("", lasting),
        sample: sample_template(
            lasting(row.sample.value()?),
            lasting(row.sample_type.value),
            sample_headers,
        ),
    })
}

/// A question as it is written, here or in a source.
pub(super) fn handshake(
    written: At<file::Handshake>,
    context: &mut Context<'_>,
) -> Option<Handshake> {
    let At { value: written, spot } = written;
    let says = match (written.text.ok(), written.json.ok()) {
        (None, None) => Says::Nothing,
        (Some(text), None) => Says::Text(phrase(&text, context)?),
        (None, Some(json)) => {
            let mut fields = Vec::with_capacity(json.value.len());
            for (name, value) in json.value {
                let value = match value.value {
                    Expected::Text(text) => {
                        let text = At { value: text.into_string(), spot: value.spot };
                        Value::Text(phrase(&text, context)?)
                    }
                    Expected::Integer(number) => Value::Integer(number),
                    Expected::Bool(is) => Value::Bool(is),
                };
                fields.push((name.value.into(), value));
            }
            Says::Json(fields)
        }
        (Some(_), Some(json)) => {
            context.error_with_help(&json.spot, "an answer is text or JSON", "remove one of them");
            return None;
        }
    };
    let headers = written.headers.value().unwrap_or_default();
    let mut phrased = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        phrased.push((name.value, phrase(&value, context)?));
    }
    let method = match written.method.value {
        QuestionMethod::Post => Method::POST,
        QuestionMethod::Get => Method::GET,
        QuestionMethod::Head => Method::HEAD,
    };
    let when: Vec<_> = conditions(written.when.value());
    if when.is_empty() && method == Method::POST {
        context.error_with_help(
            &spot,
            "nothing tells this question from an event",
            "add `when`, such as when = { \"query:challenge\" = \"*\" }",
        );
        return None;
    }
    Some(Handshake {
        method,
        verified: written.verified.value,
        when,
        check: conditions(written.check.value()),
        otherwise: written.otherwise.value,
        status: written.status.value,
        says,
        headers: phrased,
        secret: written.secret.value(),
        visit: written.visit.value(),
    })
}

fn phrase(written: &At<String>, context: &mut Context<'_>) -> Option<Phrase> {
    let parsed: Result<Phrase, BadPhrase> = written.value.parse();
    parsed.map_err(|wrong| context.error(&written.spot, wrong)).ok()
}

fn conditions(written: Option<Vec<(At<Place>, At<String>)>>) -> Vec<(Place, Is)> {
    let written = written.unwrap_or_default();
    written
        .into_iter()
        .map(|(place, is)| {
            let Ok(is) = is.value.parse();
            (place.value, is)
        })
        .collect()
}
