//! The senders that Hookward knows by name. A provider is data: `provider = "stripe"` in a source means its row here.

use http::HeaderName;

use crate::{
    identity::IdentityRule,
    json::Pointer,
    scheme::{SchemeRules, github, hmac, shopify, slack, standard_webhooks, stripe},
    source::EventTypeRule,
};

/// What is known of a sender.
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// The name in a configuration.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// How it signs.
    pub scheme: fn() -> SchemeRules,
    /// Where its events have their identity: always in signed bytes.
    pub identity: Place,
    /// Where it says what type an event is of.
    pub event_type: Place,
    /// The unsigned header with its own id, kept for people to search by.
    pub sender_id: Option<&'static str>,
    /// Whether it sends forms too.
    pub forms: bool,
    /// The challenge that it sends inside a signed event: where its kind is, what the kind is called, where the text to echo is.
    pub challenge: Option<ChallengeRule>,
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
}

/// Where something is in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At this JSON pointer in the body.
    Body(&'static str),
    /// In the header that the scheme signs as id.
    SignedHeader,
    /// In this header, which no signature covers.
    UnsignedHeader(&'static str),
    /// Nowhere; for an identity: the body itself.
    Nowhere,
}

/// A challenge inside a verified request: the sender asks whether anyone is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChallengeRule {
    /// The pointer to what tells a challenge from an event.
    pub kind: &'static str,
    /// What stands there.
    pub is: &'static str,
    /// The pointer to the text to echo.
    pub echo: &'static str,
}

/// The table. In the order in which `hookward providers list` shows it.
pub static PROVIDERS: &[Provider] = &[
    Provider {
        name: "hmac",
        title: "Generic HMAC",
        scheme: hmac::rules,
        identity: Place::Body("/id"),
        event_type: Place::Body("/type"),
        sender_id: Some("x-event-id"),
        forms: false,
        challenge: None,
        answer_secs: None,
        retries: "as the sender does",
        secret: "text, 24 characters or more",
        docs: "docs/configuration.md",
        note: "Signs no time: a captured request stays valid until the secret changes, so keys are remembered for ever by default.",
    },
    Provider {
        name: "standard-webhooks",
        title: "Standard Webhooks",
        scheme: standard_webhooks::rules,
        identity: Place::SignedHeader,
        event_type: Place::Body("/type"),
        sender_id: Some("webhook-id"),
        forms: false,
        challenge: None,
        answer_secs: Some(15),
        retries: "about 3 days",
        secret: "whsec_ and base64 (v1), or whpk_ and base64 (v1a, Ed25519)",
        docs: "https://www.standardwebhooks.com",
        note: "Signs id, time and body: the scheme to choose for senders of your own.",
    },
    Provider {
        name: "svix",
        title: "Svix",
        scheme: standard_webhooks::svix,
        identity: Place::SignedHeader,
        event_type: Place::Body("/type"),
        sender_id: Some("svix-id"),
        forms: false,
        challenge: None,
        answer_secs: Some(15),
        retries: "about 28 hours",
        secret: "whsec_ and base64",
        docs: "https://docs.svix.com/receiving/verifying-payloads/how-manual",
        note: "Standard Webhooks under the header names svix-id, svix-timestamp and svix-signature.",
    },
    Provider {
        name: "stripe",
        title: "Stripe",
        scheme: stripe::rules,
        identity: Place::Body("/id"),
        event_type: Place::Body("/type"),
        sender_id: None,
        forms: false,
        challenge: None,
        answer_secs: None,
        retries: "3 days in live mode",
        secret: "whsec_…, taken as text",
        docs: "https://docs.stripe.com/webhooks",
        note: "Gives no order. Test and live events have different secrets; `expect = { \"/livemode\" = true }` keeps them apart for certain.",
    },
    Provider {
        name: "github",
        title: "GitHub",
        scheme: github::rules,
        identity: Place::Nowhere,
        event_type: Place::UnsignedHeader("x-github-event"),
        sender_id: Some("x-github-delivery"),
        forms: false,
        challenge: None,
        answer_secs: Some(10),
        retries: "none: redelivery by hand for 3 days",
        secret: "text of your own choice",
        docs: "https://docs.github.com/webhooks",
        note: "Signs the body only: events are told apart by their content, and X-GitHub-Delivery and X-GitHub-Event are information. \
               Choose the content type application/json.",
    },
    Provider {
        name: "shopify",
        title: "Shopify",
        scheme: shopify::rules,
        identity: Place::Nowhere,
        event_type: Place::UnsignedHeader("x-shopify-topic"),
        sender_id: Some("x-shopify-event-id"),
        forms: false,
        challenge: None,
        answer_secs: Some(5),
        retries: "8 times in 4 hours, then the subscription is deleted",
        secret: "the app's client secret, taken as text",
        docs: "https://shopify.dev/docs/apps/build/webhooks",
        note: "Signs the body only: events are told apart by their content, and the id and topic headers are information.",
    },
    Provider {
        name: "slack",
        title: "Slack",
        scheme: slack::rules,
        identity: Place::Body("/event_id"),
        event_type: Place::Body("/event/type"),
        sender_id: None,
        forms: true,
        challenge: Some(ChallengeRule {
            kind: "/type",
            is: "url_verification",
            echo: "/challenge",
        }),
        answer_secs: Some(3),
        retries: "3 times in about an hour",
        secret: "the app's signing secret",
        docs: "https://docs.slack.dev/authentication/verifying-requests-from-slack",
        note: "Slash commands and interactions are forms: they are told apart by their content, and held to `expect` and `types` by their fields. Give them a source of their own where events have a schema.",
    },
];

impl Provider {
    /// The provider of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PROVIDERS.iter().find(|provider| provider.name == name)
    }

    /// Where its events have their identity.
    pub fn identity_rule(&self) -> IdentityRule {
        match self.identity {
            Place::Body(pointer) => IdentityRule::Body(constant(pointer)),
            Place::SignedHeader => IdentityRule::SignedHeader,
            Place::UnsignedHeader(_) | Place::Nowhere => IdentityRule::Content,
        }
    }

    /// Where it says what type an event is of.
    pub fn event_type_rule(&self) -> EventTypeRule {
        match self.event_type {
            Place::Body(pointer) => EventTypeRule::Body(constant(pointer)),
            Place::UnsignedHeader(name) => EventTypeRule::Header(HeaderName::from_static(name)),
            Place::SignedHeader | Place::Nowhere => EventTypeRule::None,
        }
    }
}

fn constant(pointer: &str) -> Pointer {
    Pointer::parse(pointer).expect("a constant pointer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_makes_sense() {
        for provider in PROVIDERS {
            let rules = (provider.scheme)();
            assert_eq!(rules.check(), Ok(()), "{}", provider.name);
            assert_eq!(
                PROVIDERS.iter().filter(|it| it.name == provider.name).count(),
                1,
                "{} twice",
                provider.name
            );
            assert_eq!(
                provider.identity_rule() == IdentityRule::SignedHeader,
                rules.covers().id,
                "{}: an identity in a header must be signed",
                provider.name
            );
            provider.event_type_rule();
            assert!(!provider.note.is_empty() && !provider.docs.is_empty());
        }
    }
}
