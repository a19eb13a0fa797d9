//! A signature that the file describes: from what was written to a scheme.

use super::{At, Context, HeaderName, Slot, Spot, file};
use crate::scheme::{
    Algorithm, BadScheme, Encoding, Format, KeyEncoding, Location, Names, SchemeRules, Settings,
    SignedTime, Template, TimePlace, Version,
};

/// The scheme; `None` when it makes none, which is reported.
pub(in crate::config) fn scheme(
    written: At<file::Signature>,
    context: &mut Context<'_>,
) -> Option<SchemeRules> {
    let At { value: written, spot } = written;
    algorithm(&written, context);
    let content = content(&written.content, context);
    let signature = location(&written, &spot, context)?;
    let (format, label, more) = format(&written, context)?;
    let time_spot = match &written.timestamp {
        Slot::Is(time) => time.spot.clone(),
        Slot::Absent => written.content.spot.clone(),
        Slot::Wrong => return None,
    };
    let time = match written.timestamp.ok() {
        Some(time) => Some(signed_time(time, &label, context)?),
        None => None,
    };
    let id_spot = written.id_header.get().map_or(&spot, |id| &id.spot).clone();
    let id = names(written.id_header.ok(), written.id_header_aliases.ok());
    let mut headers: Vec<HeaderName> = match &signature {
        Location::Header(names) => names.iter().cloned().collect(),
        Location::Field(_) | Location::Query(_) => Vec::new(),
    };
    for (more, at) in [(time.as_ref().and_then(headers_of), &time_spot), (id.clone(), &id_spot)] {
        for header in more.iter().flat_map(Names::iter) {
            if headers.contains(header) {
                context.error_with_help(
                    at,
                    format!("{header} is named twice"),
                    "each part of a signature has a header of its own",
                );
            }
            headers.push(header.clone());
        }
    }

    let version = |label: String, algorithm| Version {
        label: label.into(),
        algorithm,
        encoding: written.encoding.value,
    };
    let versions = std::iter::once(version(label, written.algorithm.value))
        .chain(more.into_iter().map(|(label, algorithm)| version(label, algorithm)))
        .collect();
    let more_headers = written.more_headers.value().unwrap_or_default();
    let require = written.require.value().unwrap_or_default();
    let rules = SchemeRules {
        signature,
        more_headers: more_headers.into_iter().map(|header| header.value).collect(),
        format,
        versions,
        content: content?,
        body_unsigned: written.allow_unsigned_body.value,
        time,
        id,
        key: written.key.value,
        key_suffix: written.key_suffix.value.into(),
        require: require
            .into_iter()
            .map(|(name, value)| (name.value, value.value.into()))
            .collect(),
        code: None,
        settings: Settings::default(),
    };
    match rules.check() {
        // The URL comes with the source.
        Ok(()) | Err(BadScheme::NoUrl) => Some(rules),
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
                BadScheme::SecretNotHashed => (
                    &written.content.spot,
                    "use an hmac algorithm, or put {secret} where the sender puts it",
                ),
                BadScheme::NoVersion
                | BadScheme::Tolerance
                | BadScheme::NoUrl
                | BadScheme::NoOption(_)
                | BadScheme::BadOption(_) => (&spot, "see `hookward providers show hmac`"),
            };
            context.error_with_help(at, wrong, help);
            None
        }
    }
}

fn algorithm(written: &file::Signature, context: &mut Context<'_>) {
    let At { value: algorithm, spot } = &written.algorithm;
    let more = written.list.get().and_then(|list| list.value.more.get());
    let more = more.into_iter().flat_map(|more| &more.value).map(|(_, more)| more.value);
    let is_sha1 = algorithm.is_sha1() || more.into_iter().any(Algorithm::is_sha1);
    match (is_sha1, written.allow_sha1.value) {
        (true, false) => context.error_with_help(
            spot,
            "SHA-1 is taken only where it is asked for by name",
            "use an algorithm with SHA-256 if the sender has it, or add allow_sha1 = true",
        ),
        (true, true) => context.warning(
            spot,
            "SHA-1 is broken as a hash; as an HMAC it holds, and nobody should begin with it",
            "use an algorithm with SHA-256 as soon as the sender has it",
        ),
        (false, _) => {}
    }
    let as_text = matches!(written.key.value, KeyEncoding::Utf8 | KeyEncoding::WhsecOrUtf8);
    if algorithm.is_asymmetric() && as_text {
        let name = if *algorithm == Algorithm::Ed25519 { "an Ed25519" } else { "a" };
        context.error_with_help(
            spot,
            format!("{name} public key is not text"),
            "add key = \"hex\", key = \"base64\" or key = \"pem\", as the sender shows it",
        );
    }
    let plain = written.encoding.value == Encoding::Plain;
    if plain && *algorithm != Algorithm::Token {
        context.error_with_help(
            &written.encoding.spot,
            "a signature is bytes, which have to be written somehow",
            "use hex, base64 or base64url, as the sender does",
        );
    }
    if *algorithm == Algorithm::Token {
        context.warning(
            spot,
            "a token covers nothing of what is sent: whoever sees one request can send any other",
            "use a signature as soon as the sender has one; take requests over TLS only",
        );
    }
    if written.allow_unsigned_body.value {
        context.warning(
            &written.allow_unsigned_body.spot,
            "the body is not signed: whoever captured a request can put another body into it",
            "use the body for no more than what to look up at the sender",
        );
    }
}

/// Where the signature is: in one place.
fn location(written: &file::Signature, spot: &Spot, context: &mut Context<'_>) -> Option<Location> {
    match (&written.header, &written.field, &written.query) {
        (Slot::Wrong, _, _) | (_, Slot::Wrong, _) | (_, _, Slot::Wrong) => None,
        (Slot::Is(header), Slot::Absent, Slot::Absent) => {
            let aliases = written.header_aliases.get().map(|aliases| aliases.value.iter());
            let aliases = aliases.into_iter().flatten().map(|alias| alias.value.clone());
            Some(Location::Header(Names::with_others(header.value.clone(), aliases)))
        }
        (Slot::Absent, Slot::Is(field), Slot::Absent) => Some(Location::Field(field.value.clone())),
        (Slot::Absent, Slot::Absent, Slot::Is(query)) => {
            Some(Location::Query(query.value.as_str().into()))
        }
        (Slot::Absent, Slot::Absent, Slot::Absent) => {
            Some(Location::Header(Names::one(HeaderName::from_static("x-signature"))))
        }
        _ => {
            context.error_with_help(
                spot,
                "the signature is in one place",
                "name its `header`, its `field` in the body, or its name in the `query`",
            );
            None
        }
    }
}

fn names(
    header: Option<At<HeaderName>>,
    aliases: Option<At<Vec<At<HeaderName>>>>,
) -> Option<Names> {
    let aliases = aliases.map_or_else(Vec::new, |aliases| aliases.value);
    Some(Names::with_others(header?.value, aliases.into_iter().map(|alias| alias.value)))
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

/// The format, the label of the signatures that count, and labels of such by other algorithms.
#[expect(clippy::type_complexity, reason = "read in one place")]
fn format(
    written: &file::Signature,
    context: &mut Context<'_>,
) -> Option<(Format, String, Vec<(String, Algorithm)>)> {
    match (&written.prefix, &written.list) {
        (Slot::Is(prefix), Slot::Is(_)) => {
            context.error_with_help(
                &prefix.spot,
                "a list of signatures has labels and no prefix",
                "remove `prefix` or `list`",
            );
            None
        }
        (Slot::Absent, Slot::Is(list)) => {
            if !matches!((&written.field, &written.query), (Slot::Absent, Slot::Absent)) {
                context.error_with_help(
                    &list.spot,
                    "a list of signatures is in a header",
                    "remove `list`, or `field` and `query`",
                );
                return None;
            }
            let list = &list.value;
            let (separator, assign) = (list.separator.value, list.assign.value);
            let spaced = list.spaced.value;
            let label = match (&list.label, &list.first_prefix) {
                (Slot::Is(_), Slot::Is(prefix)) => {
                    context.error_with_help(
                        &prefix.spot,
                        "a list with labels has its time under a label",
                        "use timestamp = { label = \"t\" }, or remove `label`",
                    );
                    return None;
                }
                (Slot::Is(label), _) => label.value.clone(),
                (Slot::Absent, prefix) => {
                    let prefix = prefix.get().map(|prefix| prefix.value.clone());
                    let first_prefix = prefix.unwrap_or_default().into();
                    let format = Format::Plain { separator, spaced, first_prefix };
                    return Some((format, String::new(), Vec::new()));
                }
                (Slot::Wrong, _) => return None,
            };
            if separator == assign {
                context.error_with_help(
                    &list.assign.spot,
                    "the same character separates elements and follows labels",
                    "see how the sender writes the header, such as t=1,v1=2",
                );
                return None;
            }
            let more = list.more.get().map(|more| more.value.iter());
            let more = more
                .into_iter()
                .flatten()
                .map(|(label, algorithm)| (label.value.clone(), algorithm.value))
                .collect();
            Some((Format::List { separator, assign, spaced }, label, more))
        }
        (prefix, Slot::Absent) => {
            let prefix = prefix.get().map(|prefix| prefix.value.clone()).unwrap_or_default();
            let optional = written.prefix_optional.value;
            Some((Format::Single { prefix: prefix.into(), optional }, String::new(), Vec::new()))
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
    let unit = written.unit.value;
    let (past, future) = (written.past.value, written.future.value);
    let header = names(written.header.get().cloned(), written.header_aliases.ok());
    let place = match (header, written.label, written.field, written.first.value) {
        (Some(names), Slot::Absent, Slot::Absent, false) => TimePlace::Header(names),
        (None, Slot::Is(time_label), Slot::Absent, false) => {
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
        (None, Slot::Absent, Slot::Is(field), false) => TimePlace::Field(field.value),
        (None, Slot::Absent, Slot::Absent, true) => TimePlace::First,
        (_, Slot::Wrong, _, _) | (_, _, Slot::Wrong, _) => return None,
        _ => {
            context.error_with_help(
                &spot,
                "the signed time is in one place",
                "name its `header`, its `label` in the list, or its `field` in the body",
            );
            return None;
        }
    };
    Some(SignedTime { place, unit, past, future })
}

fn headers_of(time: &SignedTime) -> Option<Names> {
    match &time.place {
        TimePlace::Header(names) => Some(names.clone()),
        TimePlace::Element(_) | TimePlace::First | TimePlace::Field(_) | TimePlace::Code => None,
    }
}
