//! A signature that the file describes: from what was written to a scheme.

use super::{At, Context, HeaderName, Slot, file};
use crate::{
    limits,
    scheme::{
        Algorithm, BadScheme, Format, KeyEncoding, SchemeRules, SignedTime, Template, TimePlace,
        Version,
    },
};

/// The scheme; `None` when it makes none, which is reported.
pub(super) fn scheme(
    written: At<file::Signature>,
    context: &mut Context<'_>,
) -> Option<SchemeRules> {
    let At { value: written, spot } = written;
    algorithm(&written, context);
    let content = content(&written.content, context);
    let (format, label) = format(written.prefix, written.list, context)?;
    let time_spot = match &written.timestamp {
        Slot::Is(time) => time.spot.clone(),
        Slot::Absent => written.content.spot.clone(),
        Slot::Wrong => return None,
    };
    let time = match written.timestamp.ok() {
        Some(time) => Some(signed_time(time, &label, context)?),
        None => None,
    };
    let id = written.id_header.get().map(|header| header.value.clone());
    let mut headers = vec![&written.header.value];
    for (header, at) in [
        (time.as_ref().and_then(header_of), &time_spot),
        (id.as_ref(), written.id_header.get().map_or(&spot, |id| &id.spot)),
    ] {
        let Some(header) = header else { continue };
        if headers.contains(&header) {
            context.error_with_help(
                at,
                format!("{header} is named twice"),
                "each part of a signature has a header of its own",
            );
        }
        headers.push(header);
    }

    let rules = SchemeRules {
        header: written.header.value.clone(),
        format,
        versions: vec![Version {
            label: label.into(),
            algorithm: written.algorithm.value,
            encoding: written.encoding.value,
        }],
        content: content?,
        time,
        id,
        key: written.key.value,
    };
    match rules.check() {
        Ok(()) => Some(rules),
        Err(wrong) => {
            let (at, help) = match wrong {
                BadScheme::BodyNotSigned => (&written.content.spot, "add {body} to `content`"),
                BadScheme::TimeNotSigned if rules.time.is_some() => {
                    (&written.content.spot, "add {timestamp} to `content`, or remove `timestamp`")
                }
                BadScheme::TimeNotSigned => (
                    &written.content.spot,
                    "add timestamp = { header = \"…\" }, or remove {timestamp}",
                ),
                BadScheme::IdNotSigned if rules.id.is_some() => {
                    (&written.content.spot, "add {id} to `content`, or remove `id_header`")
                }
                BadScheme::IdNotSigned => {
                    (&written.content.spot, "add `id_header`, or remove {id}")
                }
                BadScheme::TimeElementWithoutList => {
                    (&time_spot, "add list = { label = \"v1\" }, or name a header")
                }
                BadScheme::NoVersion | BadScheme::Tolerance => {
                    (&spot, "see `hookward providers show hmac`")
                }
            };
            context.error_with_help(at, wrong, help);
            None
        }
    }
}

fn algorithm(written: &file::Signature, context: &mut Context<'_>) {
    let At { value: algorithm, spot } = &written.algorithm;
    match (algorithm, written.allow_sha1.value) {
        (Algorithm::HmacSha1, false) => context.error_with_help(
            spot,
            "SHA-1 is taken only where it is asked for by name",
            "use hmac-sha256 if the sender has it, or add allow_sha1 = true",
        ),
        (Algorithm::HmacSha1, true) => context.warning(
            spot,
            "SHA-1 is broken as a hash; as an HMAC it holds, and nobody should begin with it",
            "use hmac-sha256 as soon as the sender has it",
        ),
        (Algorithm::Ed25519, _) if written.key.value == KeyEncoding::Utf8 => context
            .error_with_help(
                spot,
                "an Ed25519 public key is not text",
                "add key = \"hex\" or key = \"base64\", as the sender shows it",
            ),
        (Algorithm::HmacSha256 | Algorithm::HmacSha512 | Algorithm::Ed25519, _) => {}
    }
}

fn content(written: &At<String>, context: &mut Context<'_>) -> Option<Template> {
    if written.value.contains("{id}{") || written.value.contains("}{id}") {
        // The same signed bytes could be cut in two ways, and so have a second id.
        context.error_with_help(
            &written.spot,
            "nothing stands between the id and its neighbour, so that a captured request could be cut into another id",
            "put between them what the sender signs there, such as {id}.{timestamp}.{body}",
        );
        return None;
    }
    match written.value.parse() {
        Ok(template) => Some(template),
        Err(wrong) => {
            context.error(&written.spot, wrong);
            None
        }
    }
}

/// The format, and the label of the signatures that count.
fn format(
    prefix: Slot<String>,
    list: Slot<file::List>,
    context: &mut Context<'_>,
) -> Option<(Format, String)> {
    match (prefix, list) {
        (Slot::Is(prefix), Slot::Is(_)) => {
            context.error_with_help(
                &prefix.spot,
                "a list of signatures has labels and no prefix",
                "remove `prefix` or `list`",
            );
            None
        }
        (Slot::Absent, Slot::Is(list)) => {
            let (separator, assign) = (list.value.separator.value, list.value.assign.value);
            if separator == assign {
                context.error_with_help(
                    &list.value.assign.spot,
                    "the same character separates elements and follows labels",
                    "see how the sender writes the header, such as t=1,v1=2",
                );
                return None;
            }
            let label = list.value.label.value()?;
            Some((Format::List { separator, assign }, label))
        }
        (prefix, Slot::Absent) => {
            let prefix = prefix.value().unwrap_or_default();
            Some((Format::Single { prefix: prefix.into() }, String::new()))
        }
        (_, Slot::Wrong) | (Slot::Wrong, Slot::Is(_)) => None,
    }
}

fn signed_time(
    written: At<file::SignatureTime>,
    label: &str,
    context: &mut Context<'_>,
) -> Option<SignedTime> {
    let At { value: written, spot } = written;
    let place = match (written.header, written.label) {
        (Slot::Is(header), Slot::Absent) => TimePlace::Header(header.value),
        (Slot::Absent, Slot::Is(time_label)) => {
            if time_label.value == label {
                context.error_with_help(
                    &time_label.spot,
                    "the time has the label of the signatures",
                    "see how the sender writes the header, such as t=1,v1=2",
                );
                return None;
            }
            TimePlace::Element(time_label.value.into())
        }
        (Slot::Absent, Slot::Absent) | (Slot::Is(_), Slot::Is(_)) => {
            context.error_with_help(
                &spot,
                "the signed time is in one place",
                "name its `header`, or its `label` in the list",
            );
            return None;
        }
        (Slot::Wrong, _) | (_, Slot::Wrong) => return None,
    };
    let tolerance = limits::TOLERANCE_DEFAULT;
    Some(SignedTime { place, unit: written.unit.value, past: tolerance, future: tolerance })
}

fn header_of(time: &SignedTime) -> Option<&HeaderName> {
    match &time.place {
        TimePlace::Header(header) => Some(header),
        TimePlace::Element(_) => None,
    }
}
