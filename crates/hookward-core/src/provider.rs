//! The senders that Hookward knows by name. A provider is data: `provider = "stripe"` in a source means its row in
//! `provider/table.toml`, which is written in the words in which users describe senders of their own.

use std::{fmt, sync::LazyLock, time::Duration};

use http::HeaderName;

use crate::{
    config, handshake::Handshake, identity::IdentityRule, scheme::SchemeRules,
    source::EventTypeRule,
};

mod description;

pub use description::reference_markdown;

/// What is known of a sender.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The name in a configuration.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// How it signs.
    pub scheme: SchemeRules,
    /// Where its events have their identity: always in signed bytes.
    pub identity: IdentityRule,
    /// Where it says what type an event is of.
    pub event_type: EventTypeRule,
    /// The header with its own id, signed or not, kept for people to search by.
    pub sender_id: Option<HeaderName>,
    /// What its bodies are.
    pub media: Media,
    /// The questions that it asks to see whether anyone is there.
    pub handshakes: Vec<Handshake>,
    /// The status that it wants for an event that was accepted.
    pub accepted_status: u16,
    /// What it wants to read in that answer, if anything.
    pub accepted_text: Option<&'static str>,
    /// The status that it wants where a signature is wrong.
    pub refused_status: u16,
    /// How long it waits for an answer, in seconds, if it says so.
    pub answer_secs: Option<u32>,
    /// For how long it tries again.
    pub retries: &'static str,
    /// What its secret looks like.
    pub secret: &'static str,
    /// Where it documents all this.
    pub docs: &'static str,
    /// What to know before relying on it.
    pub note: &'static str,
    /// What this rests on.
    pub evidence: Evidence,
    /// The networks that it publishes as its own; empty: none that are known.
    pub origin: Vec<String>,
    /// Where and when they were published.
    pub origin_source: &'static str,
    /// A webhook as it sends it.
    pub sample: SampleTemplate,
}

/// What a sender's bodies are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// The media types that mean JSON beside `application/json`, in lower case.
    pub json: Vec<Box<str>>,
    /// The media types of bodies that are not looked into, in lower case.
    pub opaque: Vec<Box<str>>,
    /// Whether forms (`application/x-www-form-urlencoded`) are taken. They are held to types and expected values by their
    /// fields, and match no schema.
    pub forms: bool,
    /// Whether the outermost value of JSON may be an array.
    pub arrays: bool,
}

/// A webhook as a provider sends it, with places for what differs each time.
#[derive(Clone, Copy, Debug)]
pub struct SampleTemplate {
    body: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    headers: &'static [(HeaderName, &'static str)],
}

impl SampleTemplate {
    /// A body with this id, made at this time, in seconds since 1970.
    pub fn body(&self, id: &str, secs: u64) -> String {
        self.body.replace("%ID%", id).replace("%TIME%", &secs.to_string())
    }

    /// The unsigned headers that go with it.
    pub fn headers(&self, id: &str, secs: u64) -> Vec<(HeaderName, String)> {
        let fill = |text: &str| text.replace("%ID%", id).replace("%TIME%", &secs.to_string());
        self.headers.iter().map(|(name, value)| (name.clone(), fill(value))).collect()
    }
}

/// What a row of the table rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The provider's own library was run.
    OfficialLibrary,
    /// The provider's documentation was read.
    OfficialDocumentation,
    /// Independent implementations that are in use were read.
    IndependentImplementations,
    /// It is recalled and was not checked.
    Recalled,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OfficialLibrary => "the official library was run",
            Self::OfficialDocumentation => "the official documentation was read",
            Self::IndependentImplementations => "independent implementations were read",
            Self::Recalled => "recalled, not checked: try it before relying on it",
        })
    }
}

/// The table, in its order.
pub static PROVIDERS: LazyLock<Vec<Provider>> =
    LazyLock::new(|| config::providers(include_str!("provider/table.toml")));

impl Provider {
    /// The provider of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PROVIDERS.iter().find(|provider| provider.name == name)
    }
}

impl Provider {
    /// For how long it tries again, as far as its row says so in minutes, hours or days.
    pub fn retry_horizon(&self) -> Option<Duration> {
        if self.retries.starts_with("none") {
            return None;
        }
        let words: Vec<_> = self
            .retries
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect();
        let lengths = words.windows(2).filter_map(|pair| {
            let [number, unit] = pair else { return None };
            let unit = match *unit {
                "minutes" => 60,
                "hours" => 3_600,
                "days" => 86_400,
                _ => return None,
            };
            Some(Duration::from_secs(number.parse::<u64>().ok()?.saturating_mul(unit)))
        });
        lengths.max()
    }
}

/// Standard Webhooks: how deliveries are signed too.
pub fn standard_webhooks() -> SchemeRules {
    let row = Provider::named("standard-webhooks").expect("the table has this row");
    row.scheme.clone()
}

pub(crate) fn sample_template(
    body: &'static str,
    media_type: &'static str,
    headers: Vec<(HeaderName, &'static str)>,
) -> SampleTemplate {
    SampleTemplate { body, media_type, headers: headers.leak() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::BadScheme;

    #[test]
    fn every_row_makes_sense() {
        for provider in PROVIDERS.iter() {
            let rules = &provider.scheme;
            // A URL and options come with the configuration.
            assert!(
                matches!(rules.check(), Ok(()) | Err(BadScheme::NoUrl | BadScheme::NoOption(_))),
                "{}: {:?}",
                provider.name,
                rules.check()
            );
            let named = PROVIDERS.iter().filter(|it| it.name == provider.name).count();
            assert_eq!(named, 1, "{} twice", provider.name);
            match &provider.identity {
                IdentityRule::SignedHeader => {
                    assert!(rules.covers().id, "{}: the id is not signed", provider.name);
                }
                IdentityRule::Body(pointer) => assert!(
                    rules.covers_field(pointer),
                    "{}: {pointer} is not signed",
                    provider.name
                ),
                IdentityRule::Content | IdentityRule::Each => {}
            }
        }
    }

    #[test]
    fn how_long_a_sender_tries_again_is_read_from_its_row() {
        let check = |name: &str, hours: Option<u64>| {
            let horizon = Provider::named(name).unwrap().retry_horizon();
            assert_eq!(horizon, hours.map(|hours| Duration::from_secs(hours * 3_600)), "{name}");
        };
        check("stripe", Some(72));
        check("github", None);
    }

    #[test]
    fn every_sample_is_what_its_row_says() {
        for provider in PROVIDERS.iter() {
            let body = provider.sample.body("0123456789abcdef", 1_700_000_000);
            if provider.sample.media_type == "application/json" {
                let body: serde_json::Value = serde_json::from_str(&body)
                    .unwrap_or_else(|wrong| panic!("{}: {wrong}", provider.name));
                if let EventTypeRule::Body(pointer) = &provider.event_type {
                    let found = body.pointer(pointer.as_str());
                    assert!(found.is_some(), "{}: no type at {pointer}", provider.name);
                }
            }
        }
    }
}
