//! Signed requests, changed in every way that an attacker without the secret would try.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hookward_core::scheme::{Format, KeyEncoding, Location, SchemeRules, TimePlace, TimeUnit};

use super::library::secrets;
use crate::support::{NOW, Recorded, rules};

/// Where a scheme's headers have what.
struct Shape {
    signature: String,
    /// What stands before a signature; empty where nothing does.
    label: String,
    /// Beside the signature's header.
    others: Vec<String>,
    /// The header that holds the time, and the time in it before and after a second has passed.
    time: Option<(String, String, String)>,
    /// Whether the time is in the body, which then has to be readable before anything is verified.
    reads_body: bool,
    /// Whether all signatures have one length.
    fixed: bool,
}

fn shape(scheme: &SchemeRules) -> Shape {
    let Location::Header(names) = &scheme.signature else { panic!("not in a header") };
    let signature = names.first().to_string();
    let version = &scheme.versions[0];
    let label = match &scheme.format {
        Format::Single { prefix, .. } => prefix.to_string(),
        Format::List { assign, .. } => format!("{}{assign}", version.label),
        Format::Plain { .. } => String::new(),
    };
    let mut others: Vec<_> = scheme.require.iter().map(|(name, _)| name.to_string()).collect();
    others.extend(scheme.id.as_ref().map(|names| names.first().to_string()));
    let mut time_header = None;
    let mut reads_body = false;
    match scheme.time.as_ref().map(|time| &time.place) {
        Some(TimePlace::Header(names)) => {
            others.push(names.first().to_string());
            time_header = Some(names.first().to_string());
        }
        Some(TimePlace::Element(_) | TimePlace::First) => time_header = Some(signature.clone()),
        Some(TimePlace::Field(_)) => reads_body = true,
        Some(TimePlace::Code) | None => {}
    }
    let time = time_header.map(|header| match scheme.time.as_ref().map(|time| time.unit) {
        Some(TimeUnit::Rfc3339) => (header, "T00:00:00".to_owned(), "T00:00:01".to_owned()),
        Some(TimeUnit::HttpDate) => (header, "00:00:00 GMT".to_owned(), "00:00:01 GMT".to_owned()),
        _ => (header, NOW.to_string(), (NOW + 1).to_string()),
    });
    let fixed = version.algorithm.signature_bytes().is_some();
    Shape { signature, label, others, time, reads_body, fixed }
}

/// Another secret than those that requests are signed with; `None` where there is no third.
fn another_secret(provider: &str, scheme: &SchemeRules, configured: &[String]) -> Option<String> {
    if scheme.versions[0].algorithm.is_asymmetric() {
        let other = secrets(provider).into_iter().find(|it| !configured.contains(&it.verifies));
        return other.map(|it| it.verifies);
    }
    Some(match scheme.key {
        KeyEncoding::Utf8 | KeyEncoding::Pem => "0f7c3b1e6a5d4928a1b2c3d4e5f60718".to_owned(),
        KeyEncoding::Hex => "0f7c3b1e6a5d4928a1b2c3d4e5f60718".repeat(2),
        KeyEncoding::StandardWebhooks | KeyEncoding::Base64 | KeyEncoding::WhsecOrUtf8 => {
            format!("whsec_{}", BASE64.encode(b"another secret of 32 bytes, say."))
        }
    })
}

/// The next digit in place of the first: `v1=` becomes `v2=`, `sha256=` becomes `sha356=`.
fn relabelled(label: &str) -> String {
    let Some(at) = label.find(|c: char| c.is_ascii_digit()) else { return format!("{label}9") };
    let next = (label.as_bytes()[at] - b'0' + 1) % 10;
    format!("{}{next}{}", &label[..at], &label[at + 1..])
}

/// Each changed request, and the refusal that it must meet; `None` where any will do.
pub(super) fn tampered(signed: &Recorded) -> Vec<(Recorded, Option<&'static str>)> {
    let scheme = rules(&signed.provider).scheme;
    let Shape { signature, label, others, time, reads_body, fixed } = shape(&scheme);
    let mut all = Vec::new();
    let mut with = |what: &str, expected, change: &dyn Fn(&mut Recorded)| {
        let mut request = signed.clone();
        request.case = format!("{} but {what}", signed.case);
        change(&mut request);
        all.push((request, expected));
    };
    let wrong = (!reads_body).then_some("wrong_signature");
    let last = signed.body.len() - 1;
    for part in 0..=4 {
        let at = last * part / 4;
        with(&format!("its byte at {part}/4 changed"), wrong, &|it| it.body[at] ^= 1);
    }
    with("a byte more", wrong, &|it| it.body.push(b'\n'));
    with("a byte less", wrong, &|it| it.body.truncate(last));
    with("an empty body", wrong, &|it| it.body.clear());
    if let Some((header, before, after)) = &time {
        with("a fresher time", Some("wrong_signature"), &|it| {
            let value = it.header_mut(header);
            assert!(value.contains(before), "{value}");
            *value = value.replace(before, after);
        });
    }
    with("all signatures changed", Some("wrong_signature"), &|it| {
        let value = it.header_mut(&signature);
        let starts: Vec<_> = if label.is_empty() {
            vec![0]
        } else {
            value.match_indices(&label).map(|(at, _)| at + label.len()).collect()
        };
        for at in starts {
            let other = if &value[at..=at] == "a" { "b" } else { "a" };
            value.replace_range(at..=at, other);
        }
    });
    if !label.is_empty() {
        with("labelled as another version", Some("malformed_signature"), &|it| {
            let value = it.header_mut(&signature);
            *value = value.replace(&label, &relabelled(&label));
        });
    }
    if label == "v1," {
        with("labelled as v1a", Some("malformed_signature"), &|it| {
            let value = it.header_mut(&signature);
            *value = value.replace("v1,", "v1a,");
        });
    }
    let short = if fixed { "malformed_signature" } else { "wrong_signature" };
    with("all signatures cut short", Some(short), &|it| {
        let value = it.header_mut(&signature);
        let separators = [' ', ',', ';'];
        let cut = value.split_inclusive(separators).map(|part| {
            let separator = part.rfind(separators).unwrap_or(part.len());
            let (text, separator) = part.split_at(separator);
            if text.len() < 28 {
                part.to_owned()
            } else {
                format!("{}{separator}", &text[..text.len() - 4])
            }
        });
        *value = cut.collect();
    });
    if let Some(other) = another_secret(&signed.provider, &scheme, &signed.secrets) {
        with("under another secret", Some("wrong_signature"), &|it| {
            it.secrets = vec![other.clone()];
        });
    }
    for header in [vec![signature.clone()], others].concat() {
        with(&format!("no {header}"), Some("missing_signature"), &|it| {
            it.headers.retain(|(name, _)| *name != header);
        });
        with(&format!("an empty {header}"), Some("missing_signature"), &|it| {
            it.header_mut(&header).clear();
        });
        with(&format!("{header} twice"), Some("ambiguous_signature"), &|it| {
            let twice = (header.clone(), it.header_mut(&header).clone());
            it.headers.push(twice);
        });
        if header.ends_with("-id") {
            with("another id", Some("wrong_signature"), &|it| it.header_mut(&header).push('0'));
        }
    }
    if let Some(time) = &scheme.time {
        with("too late", Some("stale"), &|it| it.now += time.past.as_secs() + 1);
        with("too early", Some("from_the_future"), &|it| it.now -= time.future.as_secs() + 1);
    }
    all
}
