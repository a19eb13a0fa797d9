//! Providers in words: what `hookward providers show` prints and `docs/providers.md` holds.

use std::fmt::Write as _;

use http::Method;

use super::{PROVIDERS, Provider};
use crate::{
    handshake::{Handshake, Is},
    identity::IdentityRule,
    scheme::Coverage,
    source::EventTypeRule,
};

impl Provider {
    /// What is known of it, as names and values in the order in which people should read them.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let scheme = &self.scheme;
        let mut facts = vec![("signature", self.signature())];
        facts.push(("covers", scheme.covers().to_string()));
        facts.push(("not covered", not_covered(scheme.covers())));
        facts.push(("time", self.time()));
        facts.push(("identity", self.identity()));
        if let Some(name) = &self.sender_id {
            facts.push(("sender's id", format!("header {name}, for people to search by")));
        }
        facts.push(("event type", self.event_type()));
        facts.push(("bodies", self.bodies()));
        facts.extend(self.handshakes.iter().map(|it| ("handshake", handshake(it))));
        facts.push(("answer", self.answer()));
        facts.push(("tries again", self.retries.to_owned()));
        facts.push(("secret", self.secret.to_owned()));
        for wanted in scheme.code.as_ref().map_or(&[][..], |code| code.wants()) {
            let need = if wanted.required { "needed" } else { "optional" };
            facts.push(("option", format!("{} ({need}): {}", wanted.name, wanted.doc)));
        }
        if !self.origin.is_empty() {
            facts.push((
                "sends from",
                format!("{} ({})", self.origin.join(", "), self.origin_source),
            ));
        }
        facts.push(("sample", scheme.signer().to_string()));
        facts.push(("documented", self.docs.to_owned()));
        facts.push(("evidence", self.evidence.to_string()));
        facts
    }

    /// What to write into a configuration.
    pub fn configuration(&self) -> String {
        let name = self.name;
        let variable = name.to_ascii_uppercase().replace('-', "_");
        let mut text =
            format!("[sources.{name}]\nprovider = \"{name}\"\npath = \"/hooks/{name}\"\n");
        let mut line = |key: &str, value: String| writeln!(text, "{key} = {value}");
        let asks_token =
            |it: &Handshake| it.check.iter().chain(&it.when).any(|(_, is)| *is == Is::VerifyToken);
        let mut write = || -> std::fmt::Result {
            let code = self.scheme.code.as_ref();
            if code.is_none_or(|code| code.wants_secret(&self.scheme.settings)) {
                line("secrets", format!("[\"env:{variable}_SECRET\"]"))?;
            }
            if self.scheme.wants_url() {
                line("url", format!("\"https://hooks.example.com/hooks/{name}\""))?;
            }
            let wanted = self.scheme.code.as_ref().map_or(&[][..], |code| code.wants());
            let wanted: Vec<_> = wanted.iter().filter(|it| it.required).collect();
            if !wanted.is_empty() {
                let options: Vec<_> =
                    wanted.iter().map(|it| format!("{} = {:?}", it.name, it.example)).collect();
                line("options", format!("{{ {} }}", options.join(", ")))?;
            }
            if self.handshakes.iter().any(asks_token) {
                line("verify_token", format!("\"env:{variable}_VERIFY_TOKEN\""))?;
            }
            line("destination", "\"app\"".to_owned())?;
            if !self.origin.is_empty() {
                line("# origin", "\"provider\"  # once its list is checked".to_owned())?;
            }
            Ok(())
        };
        write().expect("a string takes everything");
        text
    }

    /// How it signs, in a sentence.
    pub fn signature(&self) -> String {
        let scheme = &self.scheme;
        if let Some(code) = &scheme.code {
            return code.to_string();
        }
        let algorithms: Vec<_> =
            scheme.versions.iter().map(|version| version.algorithm.to_string()).collect();
        let mut places = vec![scheme.signature.to_string()];
        places.extend(scheme.more_headers.iter().map(ToString::to_string));
        let place = places.join(" or ");
        if scheme.is_token() {
            return format!("{place}: the secret itself");
        }
        format!("{place}: {} of {}", algorithms.join(" or "), scheme.content)
    }

    /// Where its events have their identity.
    pub fn identity(&self) -> String {
        match &self.identity {
            IdentityRule::Body(pointer) => format!("body {pointer}"),
            IdentityRule::SignedHeader => self
                .scheme
                .id
                .as_ref()
                .map_or_else(String::new, |names| format!("header {names} (signed)")),
            IdentityRule::Content => "content of the body".to_owned(),
            IdentityRule::Each => "none: every request is an event".to_owned(),
        }
    }

    /// Where it says what type an event is of.
    pub fn event_type(&self) -> String {
        match &self.event_type {
            EventTypeRule::Body(pointer) => format!("body {pointer}"),
            EventTypeRule::Header(name) => format!("header {name} (not signed)"),
            EventTypeRule::None => "not said".to_owned(),
        }
    }

    fn time(&self) -> String {
        self.scheme.time.as_ref().map_or_else(
            || {
                "none is signed, so ids are remembered for ever unless configured otherwise"
                    .to_owned()
            },
            |time| {
                format!(
                    "signed; {} s old or {} s ahead at most",
                    time.past.as_secs(),
                    time.future.as_secs()
                )
            },
        )
    }

    fn bodies(&self) -> String {
        let mut bodies = vec!["JSON".to_owned()];
        if self.media.arrays {
            bodies.push("arrays of events".to_owned());
        }
        if self.media.forms {
            bodies.push("forms".to_owned());
        }
        bodies.extend(self.media.json.iter().map(ToString::to_string));
        bodies.extend(self.media.opaque.iter().map(|it| format!("{it} (not looked into)")));
        bodies.join(", ")
    }

    fn answer(&self) -> String {
        let text = self.accepted_text.map_or_else(String::new, |text| format!(" with {text:?}"));
        let within = self
            .answer_secs
            .map_or_else(|| "no limit published".to_owned(), |secs| format!("within {secs} s"));
        format!(
            "{}{text} {within}; {} to what cannot be verified",
            self.accepted_status, self.refused_status
        )
    }
}

fn not_covered(covers: Coverage) -> String {
    let all = [(covers.body, "body"), (covers.time, "time"), (covers.id, "an id in a header")];
    let open: Vec<_> = all.iter().filter_map(|(is, name)| (!is).then_some(*name)).collect();
    if open.is_empty() { "nothing that matters".to_owned() } else { open.join(", ") }
}

fn handshake(it: &Handshake) -> String {
    let places: Vec<_> = it
        .when
        .iter()
        .map(|(place, is)| match is {
            Is::There => place.to_string(),
            Is::Absent => format!("no {place}"),
            Is::Text(text) => format!("{place} = {text}"),
            Is::VerifyToken => format!("{place} = verify_token"),
        })
        .collect();
    let signed = if it.verified { ", signed" } else { "" };
    let with =
        if places.is_empty() { String::new() } else { format!(" with {}", places.join(", ")) };
    let secret = if it.secret.is_some() { "; brings the secret" } else { "" };
    let method = if it.method == Method::POST { "POST" } else { it.method.as_str() };
    format!("{method}{with}{signed}: answered with {}{secret}", it.status)
}

/// The page about all of them, in Markdown.
pub fn reference_markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    let mut write = || -> std::fmt::Result {
        for provider in PROVIDERS.iter() {
            writeln!(
                page,
                "| [{}](#{}) | {} | {} | {} |",
                provider.title,
                provider.name,
                provider.scheme.covers(),
                cell(&provider.identity()),
                cell(provider.retries),
            )?;
        }
        for provider in PROVIDERS.iter() {
            write!(
                page,
                "\n## {}\n\n**{}.** {}\n\n| | |\n|---|---|\n",
                provider.name,
                provider.title.trim_end_matches('.'),
                provider.note
            )?;
            for (name, value) in provider.facts() {
                writeln!(page, "| {name} | {} |", cell(&value))?;
            }
            write!(page, "\n```toml\n{}```\n", provider.configuration())?;
        }
        Ok(())
    };
    write().expect("a string takes everything");
    page
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "\\<").replace('\n', "\\n")
}

const INTRODUCTION: &str = "\
<!-- Written by `cargo run -p hookward-core --example write_config_docs`: change the table of providers, not this file. -->

# Providers

The senders that Hookward knows by name: `provider = \"stripe\"` is all that a source needs beside its secret. `hookward providers
show stripe` prints what is here, and `hookward send stripe` sends a signed sample, where **sample** says that it can be signed. A
sender that is not here is described in the same words in `[sources.<name>.signature]` ([configuration](configuration.md)).

**Covers** is what an attacker who captured a request cannot change. Where no time is covered, a captured request stays valid, and
only its remembered identity stops it; where an id is not covered, events are told apart by what is.
**Evidence** says what an entry rests on. Addresses are no proof of who sends: they are a second fence, and they change.

| provider | signature covers | identity | tries again |
|---|---|---|---|
";
