//! Kinds of values: how each is read, what it is called, which JSON Schema it has.
//!
//! What is wrong with a single value is found here; what is wrong between values is found in
//! [`resolve`](super::resolve).

use std::{
    marker::PhantomData, net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration,
};

use http::{HeaderName, Uri};
use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::{
    diagnostic::{did_you_mean, quoted, similar},
    section::{At, Context, Section, SectionDoc, Spot, schema_of},
    unit::{duration_text, parse_duration, parse_size, size_text},
};
use crate::{
    Timestamp,
    address::{self, Cidrs},
    json::Pointer,
    provider::{PROVIDERS, Provider},
    rate::Rate,
    secret::{Secret, SecretRef},
    source::Expected,
};

/// A kind of value.
pub(super) trait Kind {
    /// What it is read as.
    type Out;

    /// Reads a value; what is wrong with it is reported.
    fn read(
        &self,
        value: &DeValue<'_>,
        spot: &Spot,
        context: &mut Context<'_>,
    ) -> Option<Self::Out>;

    /// What it is called, such as `a duration from 1s to 24h`.
    fn words(&self) -> String;

    /// The JSON Schema of it.
    fn schema(&self) -> Json;

    /// How a value of it is written.
    fn show(&self, _value: &Self::Out) -> Json {
        Json::Null
    }

    /// The sections that values of it are.
    fn subsections(&self, _path: &str, _into: &mut Vec<SectionDoc>) {}
}

/// `true` or `false`.
pub(super) struct Flag;

impl Kind for Flag {
    type Out = bool;

    fn read(&self, value: &DeValue<'_>, spot: &Spot, context: &mut Context<'_>) -> Option<bool> {
        value.as_bool().or_else(|| mistyped(self, value, spot, context))
    }

    fn words(&self) -> String {
        "true or false".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "boolean" })
    }

    fn show(&self, value: &bool) -> Json {
        (*value).into()
    }
}

/// A whole number in a range.
pub(super) struct Whole(pub RangeInclusive<u32>);

impl Kind for Whole {
    type Out = u32;

    fn read(&self, value: &DeValue<'_>, spot: &Spot, context: &mut Context<'_>) -> Option<u32> {
        if !value.is_integer() {
            return mistyped(self, value, spot, context);
        }
        let number = integer(value).and_then(|number| u32::try_from(number).ok());
        number
            .filter(|number| self.0.contains(number))
            .or_else(|| out_of_range(self, spot, context))
    }

    fn words(&self) -> String {
        format!("a whole number from {} to {}", self.0.start(), self.0.end())
    }

    fn schema(&self) -> Json {
        json!({ "type": "integer", "minimum": self.0.start(), "maximum": self.0.end() })
    }

    fn show(&self, value: &u32) -> Json {
        (*value).into()
    }
}

/// One of some statuses.
pub(super) struct Status(pub &'static [u16]);

impl Kind for Status {
    type Out = u16;

    fn read(&self, value: &DeValue<'_>, spot: &Spot, context: &mut Context<'_>) -> Option<u16> {
        if !value.is_integer() {
            return mistyped(self, value, spot, context);
        }
        let number = integer(value).and_then(|number| u16::try_from(number).ok());
        number
            .filter(|number| self.0.contains(number))
            .or_else(|| out_of_range(self, spot, context))
    }

    fn words(&self) -> String {
        alternatives(&self.0.iter().map(u16::to_string).collect::<Vec<_>>())
    }

    fn schema(&self) -> Json {
        json!({ "enum": self.0 })
    }

    fn show(&self, value: &u16) -> Json {
        (*value).into()
    }
}

/// A length of time in a range.
pub(super) struct Length(pub RangeInclusive<Duration>);

impl Length {
    fn range(&self) -> String {
        format!("from {} to {}", duration_text(*self.0.start()), duration_text(*self.0.end()))
    }
}

impl Kind for Length {
    type Out = Duration;

    fn read(
        &self,
        value: &DeValue<'_>,
        spot: &Spot,
        context: &mut Context<'_>,
    ) -> Option<Duration> {
        let Some(text) = value.as_str() else { return mistyped(self, value, spot, context) };
        let Some(duration) = parse_duration(text) else {
            context.error_with_help(
                spot,
                format!("{} is not a duration", quoted(text)),
                "write a whole number and one of ms, s, m, h, d, such as \"30s\"",
            );
            return None;
        };
        Some(duration)
            .filter(|it| self.0.contains(it))
            .or_else(|| out_of_range(self, spot, context))
    }

    fn words(&self) -> String {
        format!("a duration {}", self.range())
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": DURATION_PATTERN })
    }

    fn show(&self, value: &Duration) -> Json {
        duration_text(*value).into()
    }
}

const DURATION_PATTERN: &str = "^[0-9]+(ms|s|m|h|d)$";

/// How long something is remembered: a length of time, or for ever (`None`).
pub(super) struct Memory(pub Length);

impl Kind for Memory {
    type Out = Option<Duration>;

    fn read(
        &self,
        value: &DeValue<'_>,
        spot: &Spot,
        context: &mut Context<'_>,
    ) -> Option<Self::Out> {
        match value.as_str() {
            Some("forever") => Some(None),
            Some(text) if parse_duration(text).is_none() => {
                context.error_with_help(
                    spot,
                    format!("{} is neither a duration nor \"forever\"", quoted(text)),
                    "write a whole number and one of ms, s, m, h, d, such as \"35d\"",
                );
                None
            }
            Some(_) => self.0.read(value, spot, context).map(Some),
            None => mistyped(self, value, spot, context),
        }
    }

    fn words(&self) -> String {
        format!("a duration {}, or \"forever\"", self.0.range())
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": "^(forever|[0-9]+(ms|s|m|h|d))$" })
    }
}

/// A number of bytes in a range.
pub(super) struct Size(pub RangeInclusive<u64>);

impl Kind for Size {
    type Out = u64;

    fn read(&self, value: &DeValue<'_>, spot: &Spot, context: &mut Context<'_>) -> Option<u64> {
        let Some(text) = value.as_str() else { return mistyped(self, value, spot, context) };
        let Some(size) = parse_size(text) else {
            context.error_with_help(
                spot,
                format!("{} is not a size", quoted(text)),
                "write a whole number and one of B, KiB, MiB, GiB, such as \"256KiB\"",
            );
            return None;
        };
        Some(size).filter(|it| self.0.contains(it)).or_else(|| out_of_range(self, spot, context))
    }

    fn words(&self) -> String {
        format!("a size from {} to {}", size_text(*self.0.start()), size_text(*self.0.end()))
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)$" })
    }

    fn show(&self, value: &u64) -> Json {
        size_text(*value).into()
    }
}

/// One of some words, each with its meaning.
pub(super) struct Choice<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Kind for Choice<T> {
    type Out = T;

    fn read(&self, value: &DeValue<'_>, spot: &Spot, context: &mut Context<'_>) -> Option<T> {
        let Some(text) = value.as_str() else { return mistyped(self, value, spot, context) };
        if let Some((_, meaning)) = self.0.iter().find(|(word, _)| *word == text) {
            return Some(*meaning);
        }
        let words = self.0.iter().map(|(word, _)| *word);
        let help =
            similar(text, words).map_or_else(|| format!("use {}", self.words()), did_you_mean);
        context.error_with_help(spot, format!("unknown value {}", quoted(text)), help);
        None
    }

    fn words(&self) -> String {
        alternatives(&self.0.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>())
    }

    fn schema(&self) -> Json {
        json!({ "enum": self.0.iter().map(|(word, _)| *word).collect::<Vec<_>>() })
    }

    fn show(&self, value: &T) -> Json {
        self.0.iter().find(|(_, meaning)| meaning == value).map(|(word, _)| *word).into()
    }
}

/// A text that says what it is by how it is read.
pub(super) struct Text<T> {
    /// What it is called.
    pub words: &'static str,
    /// The pattern that editors check.
    pub pattern: &'static str,
    /// Reads it; a mistake is a sentence, and perhaps what to do about it.
    pub parse: fn(&str) -> Result<T, Wrong>,
    /// How a value of it is written.
    pub show: fn(&T) -> String,
}

/// What is wrong with a text, and perhaps what to do about it.
pub(super) type Wrong = (String, Option<String>);

impl<T> Kind for Text<T> {
    type Out = T;

    fn read(&self, value: &DeValue<'_>, spot: &Spot, context: &mut Context<'_>) -> Option<T> {
        let Some(text) = value.as_str() else { return mistyped(self, value, spot, context) };
        match (self.parse)(text) {
            Ok(value) => Some(value),
            Err((message, Some(help))) => {
                context.error_with_help(spot, message, help);
                None
            }
            Err((message, None)) => {
                context.error(spot, message);
                None
            }
        }
    }

    fn words(&self) -> String {
        self.words.to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": self.pattern })
    }

    fn show(&self, value: &T) -> Json {
        (self.show)(value).into()
    }
}

/// Any text.
pub(super) const TEXT: Text<String> = Text {
    words: "text",
    pattern: "",
    parse: |text| Ok(text.to_owned()),
    show: |text| text.clone(),
};

/// Text that says something.
pub(super) const NON_EMPTY: Text<String> = Text {
    words: "text",
    pattern: "^.+$",
    parse: |text| {
        if text.is_empty() { Err(("it is empty".to_owned(), None)) } else { Ok(text.to_owned()) }
    },
    show: |text| text.clone(),
};

/// The name of another section.
pub(super) const NAME: Text<String> =
    Text { words: "the name of a destination", pattern: "^[a-z0-9][a-z0-9_-]*$", ..TEXT };

/// An address and port to listen on.
pub(super) const LISTEN: Text<SocketAddr> = Text {
    words: "an address and port, such as \"127.0.0.1:8080\"",
    pattern: "^.+:[0-9]+$",
    parse: |text| {
        text.parse().map_err(|_| {
            let help = match text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':')) {
                Some(port) if port.parse::<u16>().is_ok() => format!("write \"127.0.0.1:{port}\""),
                _ => "write both, such as \"127.0.0.1:8080\" or \"[::]:8080\"".to_owned(),
            };
            (format!("{} is not an address and port", quoted(text)), Some(help))
        })
    },
    show: SocketAddr::to_string,
};

/// A file or folder.
pub(super) const PATH: Text<PathBuf> = Text {
    words: "a path",
    pattern: "^.+$",
    parse: |text| match text {
        "" => Err(("the path is empty".to_owned(), None)),
        text if text.contains('\0') => Err(("a path has no NUL character".to_owned(), None)),
        text => Ok(text.into()),
    },
    show: |path| path.display().to_string(),
};

/// The path of a source. Written in the one way in which everybody reads it.
pub(super) const ROUTE: Text<String> = Text {
    words: "a path, such as \"/hooks/stripe\"",
    pattern: "^/[^%?#]*$",
    parse: |text| {
        let segments = || text.split('/').skip(1);
        let message = if !text.starts_with('/') {
            "a path starts with a slash"
        } else if text == "/" {
            "a path of its own is needed, such as /hooks/stripe"
        } else if text.contains(['%', '?', '#', '\\', ';']) {
            "a path has no %, ?, #, ; and \\, which not everybody reads alike"
        } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            "a path has visible ASCII characters only"
        } else if segments().any(|segment| matches!(segment, "." | "..")) {
            "a path has no . and .. segments"
        } else if segments().any(str::is_empty) {
            "a path has no empty segments: no // and no slash at its end"
        } else {
            return Ok(text.to_owned());
        };
        Err((format!("{}: {message}", quoted(text)), None))
    },
    show: String::clone,
};

/// The name of a header.
pub(super) const HEADER: Text<HeaderName> = Text {
    words: "the name of a header",
    pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
    parse: |text| {
        text.parse().map_err(|_| (format!("{} is not a header's name", quoted(text)), None))
    },
    show: HeaderName::to_string,
};

/// An address or network.
pub(super) const NETWORK: Text<String> = Text {
    words: "an address or network, such as \"192.0.2.0/24\"",
    pattern: "^[0-9A-Fa-f:.]+(/[0-9]+)?$",
    parse: |text| match Cidrs::parse([text]) {
        Ok(_) => Ok(text.to_owned()),
        Err(address::NotACidr::HostBits { meant, .. }) => {
            let message = format!("{} has bits set beyond its prefix", quoted(text));
            Err((message, Some(did_you_mean(&meant.to_string()))))
        }
        Err(address::NotACidr::Malformed(_)) => {
            let help = "write it such as \"192.0.2.7\", \"192.0.2.0/24\" or \"2001:db8::/32\"";
            Err((format!("{} is not an address or network", quoted(text)), Some(help.to_owned())))
        }
    },
    show: String::clone,
};

/// A JSON pointer.
pub(super) const POINTER: Text<Pointer> = Text {
    words: "a JSON pointer, such as \"/data/id\"",
    pattern: "^(/.*)?$",
    parse: pointer,
    show: Pointer::to_string,
};

fn pointer(text: &str) -> Result<Pointer, Wrong> {
    Pointer::parse(text).map_err(|wrong| (format!("{}: {wrong}", quoted(text)), None))
}

/// A rate.
pub(super) const RATE: Text<Rate> = Text {
    words: "a rate, such as \"500/s\"",
    pattern: "^[0-9]+/(s|m|h|d)$",
    parse: |text| text.parse().map_err(|wrong| (format!("{}: {wrong}", quoted(text)), None)),
    show: Rate::to_string,
};

/// Where the identity of an event is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Id {
    /// At this place in the body.
    Body(Pointer),
    /// In the whole body.
    Content,
    /// In the signed header.
    Header,
    /// Nowhere.
    Each,
}

/// Where the identity of an event is.
pub(super) const ID: Text<Id> = Text {
    words: "a JSON pointer, \"content\", \"header\" or \"each\"",
    pattern: "^(content|header|each|/.+)$",
    parse: |text| {
        match text {
        "content" => Ok(Id::Content),
        "header" => Ok(Id::Header),
        "each" => Ok(Id::Each),
        text if text.starts_with("header:") => Err((
            "an id is taken from a header only when the signature covers it".to_owned(),
            Some(
                "where it does, write \"header\"; otherwise a captured request could be replayed under any \
                 number of new ids: use a pointer into the body, or \"content\""
                    .to_owned(),
            ),
        )),
        text if text.starts_with('/') => pointer(text).map(Id::Body),
        text => Err((
            format!("{} says nowhere where the id is", quoted(text)),
            Some("use a pointer into the body such as \"/id\", or \"content\", or \"header\"".to_owned()),
        )),
    }
    },
    show: |_| String::new(),
};

/// Where the type of an event is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// At this place in the body.
    Body(Pointer),
    /// In this header.
    Header(HeaderName),
    /// Nowhere.
    None,
}

/// Where the type of an event is.
pub(super) const TYPE: Text<Type> = Text {
    words: "a JSON pointer, \"header:<name>\" or \"none\"",
    pattern: "^(none|header:.+|/.+)$",
    parse: |text| match (text, text.strip_prefix("header:")) {
        ("none", _) => Ok(Type::None),
        (_, Some(name)) => (HEADER.parse)(name.trim()).map(Type::Header),
        (text, None) if text.starts_with('/') => pointer(text).map(Type::Body),
        (text, None) => Err((
            format!("{} says nowhere where the type is", quoted(text)),
            Some(
                "use a pointer into the body such as \"/type\", or \"header:X-Event\", or \"none\""
                    .to_owned(),
            ),
        )),
    },
    show: |_| String::new(),
};

/// The name of a provider.
pub(super) struct ProviderName;

impl Kind for ProviderName {
    type Out = &'static Provider;

    fn read(
        &self,
        value: &DeValue<'_>,
        spot: &Spot,
        context: &mut Context<'_>,
    ) -> Option<Self::Out> {
        let Some(text) = value.as_str() else { return mistyped(self, value, spot, context) };
        let provider = Provider::named(text);
        if provider.is_none() {
            let names = PROVIDERS.iter().map(|provider| provider.name);
            let help = similar(text, names).map_or_else(
                || {
                    format!(
                        "use {}, or describe its signature in [{}.signature]",
                        self.words(),
                        parent(spot)
                    )
                },
                did_you_mean,
            );
            context.error_with_help(spot, format!("unknown provider {}", quoted(text)), help);
        }
        provider
    }

    fn words(&self) -> String {
        "the name of a provider (`hookward providers list`)".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "enum": PROVIDERS.iter().map(|provider| provider.name).collect::<Vec<_>>() })
    }
}

fn parent(spot: &Spot) -> &str {
    spot.path.rsplit_once('.').map_or("", |(parent, _)| parent)
}

/// A reference to a secret. Nothing that is written here is ever shown, as it might be the secret.
pub(super) struct SecretReference;

impl Kind for SecretReference {
    type Out = SecretRef;

    fn read(
        &self,
        value: &DeValue<'_>,
        spot: &Spot,
        context: &mut Context<'_>,
    ) -> Option<SecretRef> {
        let Some(text) = value.as_str() else { return mistyped(self, value, spot, context) };
        let Ok(reference) = text.parse::<SecretRef>();
        let variable = |name: &str| {
            !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        let (message, help) = match &reference {
            SecretRef::Env(name) | SecretRef::EnvIfSet(name) if !variable(name) => (
                "what follows env: is not the name of an environment variable",
                "a name has letters, digits and _, such as env:STRIPE_WEBHOOK_SECRET",
            ),
            SecretRef::Credential(name) if name.contains('/') || name == "." || name == ".." => (
                "what follows credential: is not the name of a credential",
                "a credential is a file directly in the folder that systemd provides: use file: for any other",
            ),
            SecretRef::File(path) | SecretRef::Learned(path)
                if path.as_os_str().as_encoded_bytes().contains(&0) =>
            {
                ("a path has no NUL character", "write file: and a path")
            }
            SecretRef::AwsSm { name, .. } if !secret_name(name) => (
                "what follows aws-sm: is not the name or ARN of a secret",
                "a name has letters, digits and any of / _ + = . @ - such as aws-sm:prod/stripe; behind # is a key of its JSON",
            ),
            SecretRef::AwsSm { key: Some(key), .. } if key.is_empty() => (
                "no key follows the #",
                "write the key of the secret's JSON that holds the text, such as aws-sm:prod/webhooks#stripe",
            ),
            SecretRef::AwsSsm(name) if !parameter_name(name) => (
                "what follows aws-ssm: is not the name or ARN of a parameter",
                "a name has letters, digits and any of / _ . - and names no version, such as aws-ssm:/prod/stripe",
            ),
            SecretRef::Env(_)
            | SecretRef::EnvIfSet(_)
            | SecretRef::File(_)
            | SecretRef::Learned(_)
            | SecretRef::Credential(_)
            | SecretRef::AwsSm { .. }
            | SecretRef::AwsSsm(_) => {
                return Some(reference);
            }
            SecretRef::Literal(_) if text.starts_with('$') => (
                "variables are not expanded in this file",
                "write env: and the name of the variable, without $ and braces",
            ),
            SecretRef::Literal(_)
                if ["env:", "file:", "learned:", "credential:", "aws-sm:", "aws-ssm:"]
                    .contains(&text) =>
            {
                ("nothing follows the colon", WHERE)
            }
            SecretRef::Literal(_) if context.dialect.takes_literals() => {
                return Some(SecretRef::Literal(Secret::new(text.to_owned())));
            }
            SecretRef::Literal(_) if context.dialect.is_library() => (
                "a secret is not written in settings, where it would be copied along with them",
                WHERE,
            ),
            SecretRef::Literal(_) => (
                "a secret is not written in this file, where it would be copied along with it",
                WHERE,
            ),
        };
        context.error_with_help(spot, message, help);
        None
    }

    fn words(&self) -> String {
        "a reference to a secret: \"env:NAME\", \"file:/path\", \"credential:NAME\", \"aws-sm:NAME\" or \"aws-ssm:NAME\"".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": "^(env|file|learned|credential|aws-sm|aws-ssm):.+$" })
    }
}

const WHERE: &str =
    "write where it is: env:NAME, file:/path, credential:NAME, aws-sm:NAME or aws-ssm:NAME";

/// Whether AWS Secrets Manager could have a secret of this name or ARN.
fn secret_name(name: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || b"/_+=.@-".contains(&b);
    is_of_aws(name, "secretsmanager", "secret:", 512, known)
}

/// Whether AWS Systems Manager could have a parameter of this name or ARN.
fn parameter_name(name: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || b"/_.-".contains(&b);
    is_of_aws(name, "ssm", "parameter/", 1011, known)
}

/// Whether it is `arn:partition:service:region:account:kind` and a name, or a name alone.
fn is_of_aws(
    name: &str,
    service: &str,
    kind: &str,
    max: usize,
    known: impl Fn(u8) -> bool,
) -> bool {
    let named = |name: &str| (1..=max).contains(&name.len()) && name.bytes().all(&known);
    let Some(arn) = name.strip_prefix("arn:") else { return named(name) };
    let mut parts = arn.splitn(5, ':');
    let plain = |part: Option<&str>| {
        part.is_some_and(|it| {
            !it.is_empty()
                && it.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
    };
    plain(parts.next())
        && parts.next() == Some(service)
        && plain(parts.next())
        && parts.next().is_some_and(|it| it.len() == 12 && it.bytes().all(|b| b.is_ascii_digit()))
        && parts.next().and_then(|it| it.strip_prefix(kind)).is_some_and(named)
}

/// The absolute URL of a destination.
pub(super) struct Url;

impl Kind for Url {
    type Out = Uri;

    fn read(&self, value: &DeValue<'_>, spot: &Spot, context: &mut Context<'_>) -> Option<Uri> {
        let Some(text) = value.as_str() else { return mistyped(self, value, spot, context) };
        match url(text) {
            Ok(url) => Some(url),
            Err((message, help)) => {
                context.error_with_help(spot, message, help);
                None
            }
        }
    }

    fn words(&self) -> String {
        "an absolute http or https URL".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": "^https?://[^#@]+$" })
    }
}

/// Reads a destination's URL. Messages do not quote it: people put tokens into URLs.
fn url(text: &str) -> Result<Uri, (String, String)> {
    let wrong = |message: &str, help: &str| Err((message.to_owned(), help.to_owned()));
    if text.contains('#') {
        return wrong(
            "the URL has a fragment, which is never sent",
            "leave out # and what follows it",
        );
    }
    if !text.is_ascii() {
        return wrong(
            "the URL is not ASCII",
            "write the host in its xn-- form, and other characters in the path as %XX",
        );
    }
    let uri: Option<Uri> = text.parse().ok();
    let parts = uri.as_ref().and_then(|uri| Some((uri, uri.scheme_str()?, uri.authority()?)));
    let Some((uri, scheme, authority)) = parts else {
        return wrong(
            "this is not an absolute URL",
            "write it with scheme and host, such as \"http://127.0.0.1:8000/webhooks/\"",
        );
    };
    if !matches!(scheme, "http" | "https") {
        return wrong("the URL's scheme is neither http nor https", "deliveries are HTTP requests");
    }
    if authority.as_str().contains('@') {
        return wrong(
            "the URL contains a user or a password",
            "leave it out: deliveries are signed with `secret`, which the application verifies",
        );
    }
    let host = authority.host();
    let port = authority.as_str().get(host.len()..).unwrap_or_default();
    if host.is_empty() || (!port.is_empty() && authority.port_u16().is_none_or(|port| port == 0)) {
        return wrong("the URL's host or port is not one", "a port is a number from 1 to 65535");
    }
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = literal.parse()
        && let Some(what) = address::is_forbidden_destination(address)
    {
        return wrong(
            &format!("{address} is {what}"),
            "nothing is ever delivered there; name the application's own address",
        );
    }
    let last_label = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let numeric =
        last_label.starts_with("0x") || last_label.bytes().all(|byte| byte.is_ascii_digit());
    if numeric && host.parse::<std::net::Ipv4Addr>().is_err() {
        return wrong(
            "the URL's host looks like a number and is no IPv4 address",
            "write an address as four decimal numbers, such as 127.0.0.1",
        );
    }
    Ok(uri.clone())
}

/// A point in time.
pub(super) struct Moment;

impl Kind for Moment {
    type Out = Timestamp;

    fn read(
        &self,
        value: &DeValue<'_>,
        spot: &Spot,
        context: &mut Context<'_>,
    ) -> Option<Timestamp> {
        let datetime = value.as_datetime().map(ToString::to_string);
        let Some(text) = datetime.or_else(|| value.as_str().map(str::to_owned)) else {
            return mistyped(self, value, spot, context);
        };
        let moment = Timestamp::parse_rfc3339(&text);
        if moment.is_none() {
            context.error_with_help(
                spot,
                format!("{} is not a date and time with an offset", quoted(&text)),
                "write it such as 2026-12-01T00:00:00Z",
            );
        }
        moment
    }

    fn words(&self) -> String {
        "a date and time, such as 2026-12-01T00:00:00Z".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "format": "date-time" })
    }
}

/// What a field of a body must be.
pub(super) struct Scalar;

impl Kind for Scalar {
    type Out = Expected;

    fn read(
        &self,
        value: &DeValue<'_>,
        spot: &Spot,
        context: &mut Context<'_>,
    ) -> Option<Expected> {
        match value {
            DeValue::String(text) => Some(Expected::Text((&**text).into())),
            DeValue::Boolean(value) => Some(Expected::Bool(*value)),
            DeValue::Integer(_) => integer(value)
                .and_then(|number| i64::try_from(number).ok())
                .map(Expected::Integer)
                .or_else(|| out_of_range(self, spot, context)),
            DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                mistyped(self, value, spot, context)
            }
        }
    }

    fn words(&self) -> String {
        "a text, a whole number of 64 bits, true or false".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": ["string", "integer", "boolean"] })
    }
}

/// A list of values of a kind.
pub(super) struct ListOf<K>(pub K);

impl<K: Kind> Kind for ListOf<K> {
    type Out = Vec<At<K::Out>>;

    fn read(
        &self,
        value: &DeValue<'_>,
        spot: &Spot,
        context: &mut Context<'_>,
    ) -> Option<Self::Out> {
        let Some(items) = value.as_array() else { return mistyped(self, value, spot, context) };
        let mut read = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let spot = spot.item(index, item.span().start);
            if let Some(value) = self.0.read(item.get_ref(), &spot, context) {
                read.push(At { value, spot });
            }
        }
        // An empty list and one of nothing but mistakes are different things.
        (items.is_empty() || !read.is_empty()).then_some(read)
    }

    fn words(&self) -> String {
        format!("a list; each item is {}", self.0.words())
    }

    fn schema(&self) -> Json {
        json!({ "type": "array", "items": self.0.schema() })
    }

    fn show(&self, value: &Self::Out) -> Json {
        value.iter().map(|item| self.0.show(&item.value)).collect()
    }

    fn subsections(&self, path: &str, into: &mut Vec<SectionDoc>) {
        self.0.subsections(path, into);
    }
}

/// The networks of a sender, or that they are the provider's.
pub(super) struct Origin;

/// The networks of a sender.
#[derive(Debug)]
pub(super) enum Origins {
    Listed(Vec<At<String>>),
    Provider,
}

impl Kind for Origin {
    type Out = Origins;

    fn read(&self, value: &DeValue<'_>, spot: &Spot, context: &mut Context<'_>) -> Option<Origins> {
        match value.as_str() {
            Some("provider") => Some(Origins::Provider),
            Some(_) | None => ListOf(NETWORK).read(value, spot, context).map(Origins::Listed),
        }
    }

    fn words(&self) -> String {
        format!("{}, or \"provider\"", ListOf(NETWORK).words())
    }

    fn schema(&self) -> Json {
        json!({ "anyOf": [{ "const": "provider" }, ListOf(NETWORK).schema()] })
    }
}

/// A text, or a list of some.
pub(super) struct OneOrMore;

impl Kind for OneOrMore {
    type Out = Vec<String>;

    fn read(
        &self,
        value: &DeValue<'_>,
        spot: &Spot,
        context: &mut Context<'_>,
    ) -> Option<Vec<String>> {
        if value.is_str() {
            return NON_EMPTY.read(value, spot, context).map(|text| vec![text]);
        }
        let listed = ListOf(NON_EMPTY).read(value, spot, context)?;
        Some(listed.into_iter().map(|text| text.value).collect())
    }

    fn words(&self) -> String {
        "text, or a list of texts".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "anyOf": [{ "type": "string" }, ListOf(NON_EMPTY).schema()] })
    }
}

/// A table with fixed keys.
pub(super) struct TableOf<S>(PhantomData<S>);

impl<S> TableOf<S> {
    pub(super) const NEW: Self = Self(PhantomData);
}

impl<S: Section> Kind for TableOf<S> {
    type Out = S;

    fn read(&self, value: &DeValue<'_>, spot: &Spot, context: &mut Context<'_>) -> Option<S> {
        match value.as_table() {
            Some(table) => Some(S::read(table, spot.clone(), context)),
            None => mistyped(self, value, spot, context),
        }
    }

    fn words(&self) -> String {
        "a table".to_owned()
    }

    fn schema(&self) -> Json {
        schema_of::<S>()
    }

    fn subsections(&self, path: &str, into: &mut Vec<SectionDoc>) {
        into.push(SectionDoc::of::<S>(path));
        S::subsections(path, into);
    }
}

/// A table whose keys are names of the user's own, each with a value of a kind; in the order of the file.
pub(super) struct MapOf<K, V> {
    pub keys: Text<K>,
    pub values: V,
}

impl<K, V: Kind> Kind for MapOf<K, V> {
    type Out = Vec<(At<K>, At<V::Out>)>;

    fn read(
        &self,
        value: &DeValue<'_>,
        spot: &Spot,
        context: &mut Context<'_>,
    ) -> Option<Self::Out> {
        let Some(table) = value.as_table() else {
            if value.is_array() {
                let help = format!(
                    "write [{}.<name>] in one pair of brackets, each with a name",
                    spot.path
                );
                context.error_with_help(spot, "expected tables with names; found a list", help);
                return None;
            }
            return mistyped(self, value, spot, context);
        };
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut read = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key_spot = spot.key(key.get_ref(), key.span().start);
            let name =
                self.keys.read(&DeValue::String((&**key.get_ref()).into()), &key_spot, context);
            // A section is at its name, which `[…]` shows; a value is where it stands.
            let offset =
                if value.get_ref().is_table() { key.span().start } else { value.span().start };
            let value_spot = Spot { offset, ..key_spot.clone() };
            let value = self.values.read(value.get_ref(), &value_spot, context);
            if let (Some(name), Some(value)) = (name, value) {
                read.push((At { value: name, spot: key_spot }, At { value, spot: value_spot }));
            }
        }
        (table.is_empty() || !read.is_empty()).then_some(read)
    }

    fn words(&self) -> String {
        format!("a table; each key is {}, each value {}", self.keys.words, self.values.words())
    }

    fn schema(&self) -> Json {
        json!({
            "type": "object",
            "propertyNames": { "pattern": self.keys.pattern },
            "additionalProperties": self.values.schema(),
        })
    }

    fn subsections(&self, path: &str, into: &mut Vec<SectionDoc>) {
        self.values.subsections(&format!("{path}.<name>"), into);
    }
}

/// One kind, or a table that says more.
pub(super) struct OrTable<K, S> {
    pub short: K,
    pub long: PhantomData<S>,
}

/// A value that was written in the short or in the long form.
#[derive(Debug)]
pub(super) enum ShortOrLong<T, S> {
    Short(T),
    Long(S),
}

impl<K: Kind, S: Section> Kind for OrTable<K, S> {
    type Out = ShortOrLong<K::Out, S>;

    fn read(
        &self,
        value: &DeValue<'_>,
        spot: &Spot,
        context: &mut Context<'_>,
    ) -> Option<Self::Out> {
        match value.as_table() {
            Some(table) => Some(ShortOrLong::Long(S::read(table, spot.clone(), context))),
            None if value.is_str() => self.short.read(value, spot, context).map(ShortOrLong::Short),
            None => mistyped(self, value, spot, context),
        }
    }

    fn words(&self) -> String {
        format!("{}; or a table", self.short.words())
    }

    fn schema(&self) -> Json {
        json!({ "anyOf": [self.short.schema(), schema_of::<S>()] })
    }

    fn subsections(&self, path: &str, into: &mut Vec<SectionDoc>) {
        into.push(SectionDoc::of::<S>(path));
    }
}

/// Reports a value of another type. Does not quote it: it might be a secret.
fn mistyped<T>(
    kind: &impl Kind,
    value: &DeValue<'_>,
    spot: &Spot,
    context: &mut Context<'_>,
) -> Option<T> {
    let found = match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    context.error(spot, format!("expected {}; found {found}", kind.words()));
    None
}

fn out_of_range<T>(kind: &impl Kind, spot: &Spot, context: &mut Context<'_>) -> Option<T> {
    context.error(spot, format!("out of range: expected {}", kind.words()));
    None
}

fn integer(value: &DeValue<'_>) -> Option<i128> {
    let integer = value.as_integer()?;
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// `a`, `a or b`, `a, b or c`.
fn alternatives(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [others @ .., last] => format!("{} or {last}", others.join(", ")),
    }
}
