//! Sources: from what was written to the rules of a sender.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use http::header;

use super::{
    At, Context, HeaderName, Path, Reported, SecretRef, Secrets, Slot, Spot, did_you_mean, file,
    networks, quoted, similar,
};
use crate::{
    SourceName,
    address::Cidrs,
    config::{
        SecretConfig, SourceConfig,
        kind::{Id, Origins, ShortOrLong, Type},
        providers,
        unit::{duration_text, size_text},
    },
    handshake::{Handshake, Is},
    identity::IdentityRule,
    json::Pointer,
    limits,
    rate::{Budget, Rate},
    schema::{Additional, Schema},
    scheme::{SchemeRules, Settings},
    secret::Validity,
    source::{DestinationName, EventTypeRule, Schemas, SourceRules, UnknownTypes},
};

mod signature;

pub(in crate::config) use signature::scheme as described_signature;

/// What resolving the sources needs.
pub(super) struct Sources<'a, 't> {
    pub destinations: &'a [At<String>],
    /// Whether the store has write units.
    pub bills_writes: bool,
    /// Whether a body has to fit into an item of a table: there is no bucket for larger ones.
    pub bodies_fit_items: bool,
    pub secrets: &'a mut Secrets,
    pub read_file: &'a mut dyn FnMut(&Path) -> Result<String, String>,
    pub context: &'a mut Context<'t>,
}

impl Sources<'_, '_> {
    /// All of them, `None` for one that is wrong, and the names of the destinations in use. A body has to fit each `room`:
    /// what may be read at once, and a segment of the store.
    pub(super) fn all(
        &mut self,
        written: Slot<Vec<(At<String>, At<file::Source>)>>,
        room: &[At<u64>; 2],
    ) -> (Vec<Option<SourceConfig>>, BTreeSet<String>) {
        let written = match written {
            Slot::Is(written) => written.value,
            // Who would have used what is not known, so nothing is said to be unused.
            Slot::Wrong => {
                return (vec![None], self.destinations.iter().map(|it| it.value.clone()).collect());
            }
            Slot::Absent => Vec::new(),
        };
        if written.is_empty() {
            self.context.error_with_help(
                &Spot { offset: 0, path: String::new() },
                "there is no source, so nobody could send anything",
                "add one: [sources.stripe] with provider = \"stripe\" and secret = \"env:STRIPE_WEBHOOK_SECRET\"",
            );
        }
        let mut used = BTreeSet::new();
        let mut paths: Vec<(String, String)> = Vec::new();
        let mut sources = Vec::with_capacity(written.len());
        for (name, source) in written {
            let source = source.value;
            used.extend(source.destination.get().map(|destination| destination.value.clone()));
            let path = source.path.get().cloned();
            let path = path.unwrap_or_else(|| At {
                value: format!("/hooks/{}", name.value),
                spot: name.spot.clone(),
            });
            match paths.iter().find(|(taken, _)| *taken == path.value) {
                Some((_, other)) => self.context.error_with_help(
                    &path.spot,
                    format!("{} is also the path of sources.{other}", path.value),
                    "give each source a path of its own: nothing else tells which one a request is for",
                ),
                None => paths.push((path.value.clone(), name.value.clone())),
            }
            let [read, segment] = room;
            let body_max = &source.body_max;
            let record_max = body_max.value.saturating_add(limits::EVENT_OVERHEAD_BYTES_MAX as u64);
            for (room, needed) in [(read, body_max.value), (segment, record_max)] {
                if needed > room.value {
                    self.context.error_with_help(
                        &body_max.spot,
                        format!("a body of {} would never fit", size_text(body_max.value)),
                        format!("raise {} above it", room.spot.path),
                    );
                }
            }
            // The usual limit is nobody's wish for large bodies: that is only noted.
            let item_max = limits::DYNAMODB_ITEM_BYTES_MAX as u64;
            let wants_large = body_max.value != limits::BODY_BYTES_DEFAULT as u64;
            if self.bodies_fit_items && wants_large && body_max.value > item_max {
                self.context.warning(
                    &body_max.spot,
                    format!(
                        "a body of more than {} once it is compressed does not fit into an item of the table, and is refused with 413",
                        size_text(item_max)
                    ),
                    "set `large_bodies_bucket` in [store], or lower this",
                );
            }
            sources.push(self.source(&name, source, &path.value));
        }
        (sources, used)
    }

    fn source(
        &mut self,
        name: &At<String>,
        written: file::Source,
        path: &str,
    ) -> Option<SourceConfig> {
        let settings = settings(written.url, written.options);
        let signs_with_published_keys = written.provider.get().is_some_and(|provider| {
            let code = provider.value.scheme.code.as_ref();
            code.is_some_and(|code| !code.wants_secret(&settings))
        });
        let secrets = match (&written.secret, &written.secrets) {
            (Slot::Absent, Slot::Absent) if signs_with_published_keys => Some(Vec::new()),
            (Slot::Is(At { spot, .. }), _) | (_, Slot::Is(At { spot, .. }))
                if signs_with_published_keys =>
            {
                self.context.error_with_help(
                    spot,
                    "this sender signs with keys that it publishes, so that there is no secret",
                    "remove it",
                );
                None
            }
            _ => self.secrets(name, written.secret, written.secrets),
        };
        let destination = self.destination(name, written.destination);
        let schemas = self.schemas(written.schema, written.schemas, written.additional.value);

        let context = &mut *self.context;
        let known = written.provider.get().map(|provider| provider.value);
        let provider = known.map(|provider| provider.name);
        let handshakes = written.handshakes.ok();
        let base = base(name, path, written.provider, written.signature, context);
        let budget = budget(written.budget, written.burst, context);
        let write_budget = written.write_budget.ok().map(|rate| {
            if !self.bills_writes {
                context.gateway_warning(
                    &rate.spot,
                    "the embedded store bills no write units, so nothing is held to this",
                    "use `budget`, or remove it",
                );
            }
            Budget { rate: rate.value, burst: rate.value.count() }
        });
        let origin = written.origin.ok().and_then(|origin| {
            let listed = match (origin.value, known) {
                (Origins::Listed(listed), _) => listed,
                (Origins::Provider, Some(known)) if !known.origin.is_empty() => {
                    context.warning(
                        &origin.spot,
                        format!("these networks are from {}", known.origin_source),
                        "see that the list is current: others are refused, and a signature proves more than an address",
                    );
                    return Cidrs::parse(known.origin.iter().map(String::as_str)).ok();
                }
                (Origins::Provider, _) => {
                    context.error_with_help(
                        &origin.spot,
                        "no networks of this sender are known here",
                        "list them, or remove it to take requests from anywhere: a signature proves more than an address",
                    );
                    return None;
                }
            };
            if listed.is_empty() {
                context.error_with_help(
                    &origin.spot,
                    "an empty list would refuse everybody",
                    "name the sender's networks, or remove it to take requests from anywhere",
                );
                return None;
            }
            Some(networks(&listed))
        });
        let expect = written.expect.value().unwrap_or_default();
        for (pointer, _) in &expect {
            is_field(pointer, context);
        }
        let keep_headers = keep_headers(written.keep_headers, context);
        let types = types(written.types, written.unknown_types, &schemas, context);
        let needs_type = types.0.is_some() || !schemas.by_type.is_empty();

        // What follows depends on the scheme: without one it could only mislead.
        let base = base?;
        let mut scheme = base.scheme;
        scheme.settings = settings;
        check_settings(&scheme, &name.spot, context)?;
        let handshakes = match handshakes {
            Some(written) => {
                let written = written.value.into_iter();
                written.map(|it| providers::handshake(it, context)).collect::<Option<_>>()?
            }
            None => base.handshakes.clone(),
        };
        if !scheme.covers().body && handshakes.iter().any(Handshake::signs_for_strangers) {
            context.error_with_help(
                &name.spot,
                "a question without a signature is answered with one, and signatures here do not cover the body: strangers could have events signed",
                "set verified = true for that question, or remove it",
            );
            return None;
        }
        let verify_token = verify_token(written.verify_token, &handshakes, &name.spot, context);
        if let Some(tolerance) = written.tolerance.ok() {
            set_tolerance(&mut scheme, &tolerance, context);
        }
        let identity = written.id.ok().and_then(|id| identity(id, &scheme, context));
        let identity = identity.unwrap_or(base.identity);
        let event_type =
            written.r#type.ok().map(|place| event_type(place, &scheme, needs_type, context));
        let signed_time = scheme.fresh_for();
        let keep = written.keep;
        let key_retention = match written.remember.get() {
            Some(remember) => remember.value,
            None if identity == IdentityRule::Each => Some(keep.value),
            None => signed_time.map(|tolerance| keep.value.saturating_add(tolerance)),
        };
        if let Some(remember) = key_retention
            && remember < keep.value
        {
            context.error_with_help(
                written.remember.get().map_or(&keep.spot, |remember| &remember.spot),
                format!("ids would be forgotten before bodies are ({})", duration_text(keep.value)),
                "raise `remember`, or lower `keep`",
            );
        }
        let rules = SourceRules {
            identity,
            event_type: event_type.unwrap_or(base.event_type),
            types: types.0,
            unknown_types: types.1,
            malformed: written.malformed.value,
            schemas,
            expect: expect
                .into_iter()
                .map(|(pointer, value)| (pointer.value, value.value))
                .collect(),
            origin,
            body_bytes_max: usize::try_from(written.body_max.value)
                .unwrap_or(limits::BODY_BYTES_MAX),
            body_timeout: written.body_timeout.value,
            budget,
            write_budget,
            over_budget_status: written
                .over_budget
                .value()
                .unwrap_or_else(|| if context.dialect.is_library() { 429 } else { 503 }),
            accepted_status: written.answer.value().unwrap_or(base.accepted_status),
            handshakes,
            tell_duplicates: written.tell_duplicates.value,
            keep_headers,
            body_retention: keep.value,
            key_retention,
            destination: destination.ok()?,
            handled_here: context.dialect.is_library(),
            scheme,
            ..base
        };
        if let (Some(open), Some(remember)) = (rules.replay_window(), written.remember.get()) {
            context.warning(&remember.spot, open, "");
        }
        let verify_token = verify_token.map(|token| SecretConfig {
            place: context.place(&token.spot),
            reference: token.value,
            validity: Validity::default(),
        });
        let place = context.place(&name.spot);
        Some(SourceConfig { rules, provider, secrets: secrets?, verify_token, place })
    }

    fn secrets(
        &mut self,
        source: &At<String>,
        one: Slot<SecretRef>,
        several: Slot<Vec<At<ShortOrLong<SecretRef, file::Secret>>>>,
    ) -> Option<Vec<SecretConfig>> {
        let owner = format!("sources.{}", source.value);
        let listed = match (one, several) {
            (Slot::Wrong, _) | (Slot::Absent, Slot::Wrong) => return None,
            (Slot::Absent, Slot::Absent) => {
                self.context.error_with_help(
                    &source.spot,
                    "a source without a secret: anyone could send",
                    "add secret = \"env:NAME\"",
                );
                return None;
            }
            (Slot::Is(one), Slot::Absent) => {
                self.secrets.claim(&one, &owner, self.context);
                let place = self.context.place(&one.spot);
                return Some(vec![SecretConfig {
                    reference: one.value,
                    validity: Validity::default(),
                    place,
                }]);
            }
            (Slot::Is(one), Slot::Is(_) | Slot::Wrong) => {
                self.context.error_with_help(
                    &one.spot,
                    "there is `secret` and `secrets`",
                    "list all of them in `secrets`",
                );
                return None;
            }
            (Slot::Absent, Slot::Is(several)) => several,
        };
        if listed.value.is_empty() || listed.value.len() > limits::SECRETS_MAX {
            self.context.error_with_help(
                &listed.spot,
                format!("there are {} secrets", listed.value.len()),
                format!("list at least one and at most {}: each one is tried", limits::SECRETS_MAX),
            );
        }
        let mut secrets: Vec<SecretConfig> = Vec::with_capacity(listed.value.len());
        for At { value, spot } in listed.value {
            let (reference, validity) = match value {
                ShortOrLong::Short(reference) => {
                    (Some(At { value: reference, spot }), Validity::default())
                }
                ShortOrLong::Long(secret) => {
                    let not_after = secret.not_after.get().map(|end| end.value);
                    let not_before = secret.not_before.get().map(|start| start.value);
                    if let (Some(start), Some(end)) = (not_before, not_after)
                        && start >= end
                    {
                        self.context.error_with_help(
                            &spot,
                            "the secret would end before it begins",
                            "swap `not_before` and `not_after`",
                        );
                    }
                    (secret.r#ref.ok(), Validity { not_before, not_after })
                }
            };
            let reference = reference?;
            if secrets.iter().any(|known| known.reference == reference.value) {
                self.context.error_with_help(
                    &reference.spot,
                    "the same secret twice",
                    "remove one of them",
                );
            }
            self.secrets.claim(&reference, &owner, self.context);
            let place = self.context.place(&reference.spot);
            secrets.push(SecretConfig { reference: reference.value, validity, place });
        }
        if !secrets.is_empty() && secrets.iter().all(|secret| secret.validity.not_after.is_some()) {
            self.context.warning(
                &listed.spot,
                "every one of these secrets ends, and with the last one the source does",
                "add the secret that follows, or leave out `not_after` of the newest",
            );
        }
        Some(secrets)
    }

    /// `None` when events are delivered nowhere.
    fn destination(
        &mut self,
        source: &At<String>,
        written: Slot<String>,
    ) -> Result<Option<DestinationName>, Reported> {
        let why = "the application itself handles the events: there is nowhere to deliver them";
        self.context.refuse_gateway_key(&written, why);
        let written = match written {
            Slot::Is(written) => written,
            Slot::Wrong => return Err(Reported),
            Slot::Absent => {
                self.context.gateway_warning(
                    &source.spot,
                    "without `destination`, events are kept and never delivered",
                    "name a [destinations.<name>] if an application is to have them",
                );
                return Ok(None);
            }
        };
        let known = || self.destinations.iter().map(|name| &*name.value);
        if known().any(|name| name == written.value) {
            return DestinationName::parse(&written.value).map(Some).map_err(|_| Reported);
        }
        let help = match similar(&written.value, known()) {
            Some(meant) => did_you_mean(meant),
            None if self.destinations.is_empty() => {
                "add [destinations.app] with url and secret".to_owned()
            }
            None => format!("there are: {}", known().collect::<Vec<_>>().join(", ")),
        };
        self.context.error_with_help(
            &written.spot,
            format!("there is no destination {}", quoted(&written.value)),
            help,
        );
        Err(Reported)
    }

    fn schemas(
        &mut self,
        fallback: Slot<PathBuf>,
        by_type: Slot<Vec<(At<String>, At<PathBuf>)>>,
        additional: Additional,
    ) -> Schemas {
        let mut compiled = BTreeMap::new();
        let mut compile = |file: &At<PathBuf>| -> Option<Arc<Schema>> {
            if let Some(schema) = compiled.get(&file.value) {
                return Some(Arc::clone(schema));
            }
            let shown = quoted(&file.value.to_string_lossy());
            let text = match (self.read_file)(&file.value) {
                Ok(text) => text,
                Err(reason) => {
                    let help = "a path is relative to the folder of this file";
                    self.context.error_with_help(
                        &file.spot,
                        format!("{shown} cannot be read: {reason}"),
                        help,
                    );
                    return None;
                }
            };
            match compile(&text, additional) {
                Ok(schema) => {
                    compiled.insert(file.value.clone(), Arc::clone(&schema));
                    Some(schema)
                }
                Err(reason) => {
                    self.context
                        .error(&file.spot, format!("{shown} is no JSON Schema to use: {reason}"));
                    None
                }
            }
        };
        let fallback = fallback.ok().and_then(|file| compile(&file));
        let by_type = by_type.value().unwrap_or_default();
        let by_type = by_type
            .into_iter()
            .filter_map(|(name, file)| Some((name.value.into(), compile(&file)?)));
        let by_type = by_type.collect();
        Schemas { fallback, by_type }
    }
}

fn compile(text: &str, additional: Additional) -> Result<Arc<Schema>, String> {
    let schema = serde_json::from_str(text).map_err(|wrong| format!("it is not JSON: {wrong}"))?;
    Schema::compile(&schema, additional).map(Arc::new).map_err(|wrong| wrong.to_string())
}

/// The rules with every default, as the provider or the described signature has them.
fn base(
    name: &At<String>,
    path: &str,
    provider: Slot<&'static crate::provider::Provider>,
    signature: Slot<file::Signature>,
    context: &mut Context<'_>,
) -> Option<SourceRules> {
    let source = SourceName::parse(&name.value).ok()?;
    match (provider, signature) {
        (Slot::Is(provider), Slot::Is(signature)) if provider.value.name != "hmac" => {
            context.error_with_help(
                &signature.spot,
                format!("provider = {:?} says already how it signs", provider.value.name),
                "remove one of them",
            );
            None
        }
        (Slot::Is(provider), Slot::Absent) => {
            Some(SourceRules::of_provider(source, path, provider.value))
        }
        (Slot::Is(_) | Slot::Absent, Slot::Is(signature)) => {
            let scheme = signature::scheme(signature, context)?;
            let mut rules = SourceRules::with_defaults(source, path, scheme);
            if rules.identity == IdentityRule::Content {
                rules.identity = IdentityRule::Body(Pointer::parse("/id").ok()?);
            }
            rules.event_type = EventTypeRule::Body(Pointer::parse("/type").ok()?);
            rules.sender_id = rules.scheme.id.as_ref().map(|names| names.first().clone());
            Some(rules)
        }
        (Slot::Absent, Slot::Absent) => {
            context.error_with_help(
                &name.spot,
                "nothing says how it signs",
                format!("add provider = \"…\" (`hookward providers list`), or describe it in [{}.signature]", name.spot.path),
            );
            None
        }
        (Slot::Wrong, _) | (_, Slot::Wrong) => None,
    }
}

/// Options as they are written: by name, with their values.
type Options = Vec<(At<String>, At<Vec<String>>)>;

/// What is configured of a scheme beside its secrets.
fn settings(url: Slot<http::Uri>, options: Slot<Options>) -> Settings {
    let options = options.value().unwrap_or_default();
    let options = options.into_iter().map(|(name, values)| {
        (name.value.into(), values.value.into_iter().map(Into::into).collect())
    });
    Settings { url: url.value().map(|url| url.to_string().into()), options: options.collect() }
}

/// Finds what a scheme has to be told and is not, and what it is told and does not need.
fn check_settings(scheme: &SchemeRules, spot: &Spot, context: &mut Context<'_>) -> Option<()> {
    let settings = &scheme.settings;
    if settings.url.is_none() && scheme.wants_url() {
        context.error_with_help(
            spot,
            "the signature covers the URL that the sender calls, which has to be known",
            "add url = \"https://…\", exactly as the sender has it",
        );
        return None;
    }
    if settings.url.is_some() && !scheme.wants_url() {
        context.warning(spot, "the signature covers no URL", "remove `url`");
    }
    let wanted = scheme.code.as_ref().map_or(&[][..], |code| code.wants());
    for name in settings.options.keys() {
        if !wanted.iter().any(|it| *it.name == **name) {
            let names: Vec<_> = wanted.iter().map(|it| it.name).collect();
            let help = if names.is_empty() {
                "it has no options: remove them".to_owned()
            } else {
                format!("there are: {}", names.join(", "))
            };
            context.error_with_help(spot, format!("unknown option {}", quoted(name)), help);
            return None;
        }
    }
    for wanted in wanted.iter().filter(|it| it.required) {
        if settings.option(wanted.name).is_empty() {
            context.error_with_help(
                spot,
                format!("the option {:?} is missing: {}", wanted.name, wanted.doc),
                format!("add options = {{ {} = \"…\" }}", wanted.name),
            );
            return None;
        }
    }
    Some(())
}

/// The token that questions have to show.
fn verify_token(
    written: Slot<SecretRef>,
    handshakes: &[Handshake],
    spot: &Spot,
    context: &mut Context<'_>,
) -> Option<At<SecretRef>> {
    let is_asked = handshakes
        .iter()
        .any(|it| it.check.iter().chain(&it.when).any(|(_, is)| *is == Is::VerifyToken));
    match (written, is_asked) {
        (Slot::Absent, true) => {
            context.warning(
                spot,
                "the sender asks with a token of your choice whether anyone is there, and is refused without one",
                "add verify_token = \"env:NAME\"",
            );
            None
        }
        (Slot::Is(token), false) => {
            context.warning(&token.spot, "no question shows a token", "remove it");
            None
        }
        (written, _) => written.ok(),
    }
}

fn set_tolerance(
    scheme: &mut SchemeRules,
    tolerance: &At<std::time::Duration>,
    context: &mut Context<'_>,
) {
    match &mut scheme.time {
        Some(time) => (time.past, time.future) = (tolerance.value, tolerance.value),
        None => context.error_with_help(
            &tolerance.spot,
            "the signature covers no time, so there is none to hold to a tolerance",
            "remove it: a replay is recognised by its id, for as long as `remember` says",
        ),
    }
}

fn identity(id: At<Id>, scheme: &SchemeRules, context: &mut Context<'_>) -> Option<IdentityRule> {
    match id.value {
        Id::Body(pointer) if scheme.covers_field(&pointer) => Some(IdentityRule::Body(pointer)),
        Id::Body(pointer) => {
            context.error_with_help(
                &id.spot,
                format!("the signature does not cover {pointer}, so whoever captured a request could change it"),
                "leave `id` out",
            );
            None
        }
        Id::Content => Some(IdentityRule::Content),
        Id::Each => {
            context.warning(
                &id.spot,
                "nothing tells a repeated or replayed request from a new event",
                "use it only where an event says no more than what to look up",
            );
            Some(IdentityRule::Each)
        }
        Id::Header if scheme.covers().id => Some(IdentityRule::SignedHeader),
        Id::Header => {
            let message = format!(
                "the signature covers {} and no id, so whoever captured a request could replay it under any number \
                 of new ids",
                scheme.covers()
            );
            context.error_with_help(
                &id.spot,
                message,
                "use a pointer into the body such as \"/id\", or \"content\"",
            );
            None
        }
    }
}

fn event_type(
    place: At<Type>,
    scheme: &SchemeRules,
    needed: bool,
    context: &mut Context<'_>,
) -> EventTypeRule {
    match place.value {
        Type::Body(pointer) => EventTypeRule::Body(pointer),
        Type::Header(header) => {
            if needed
                && !scheme.id.as_ref().is_some_and(|names| names.iter().any(|it| *it == header))
            {
                context.warning(
                    &place.spot,
                    "the signature does not cover this header: whoever captured a request can give it another type",
                    "take the type from the body, if it is there too",
                );
            }
            EventTypeRule::Header(header)
        }
        Type::None => {
            if needed {
                context.error_with_help(
                    &place.spot,
                    "`types` and `schemas` need to know the type",
                    "say where it is, such as \"/type\"; or remove them",
                );
            }
            EventTypeRule::None
        }
    }
}

/// The types that are known, and what becomes of others. Whoever lists types wants to hear of others.
fn types(
    types: Slot<Vec<At<String>>>,
    unknown: Slot<UnknownTypes>,
    schemas: &Schemas,
    context: &mut Context<'_>,
) -> (Option<BTreeSet<Box<str>>>, UnknownTypes) {
    match (types, unknown.ok()) {
        (Slot::Is(types), unknown) => {
            if types.value.is_empty() {
                context.error_with_help(
                    &types.spot,
                    "an empty list would know no type at all",
                    "list the types that the application handles, or remove it",
                );
            }
            if let Some(unknown) = &unknown
                && unknown.value == UnknownTypes::Deliver
            {
                context.warning(
                    &unknown.spot,
                    "this makes `types` have no effect",
                    "remove one of them",
                );
            }
            let names: BTreeSet<Box<str>> =
                types.value.iter().map(|name| name.value.as_str().into()).collect();
            if let Some(name) = schemas.by_type.keys().find(|name| !names.contains(*name)) {
                let message = format!("{} has a schema and is not among the types", quoted(name));
                context.warning(&types.spot, message, "add it, or remove its schema");
            }
            (Some(names), unknown.map_or(UnknownTypes::Quarantine, |unknown| unknown.value))
        }
        (Slot::Absent, Some(unknown)) => {
            context.error_with_help(
                &unknown.spot,
                "without `types`, no type is known or unknown",
                "list the types that the application handles in `types`",
            );
            (None, UnknownTypes::default())
        }
        (Slot::Absent | Slot::Wrong, _) => (None, UnknownTypes::default()),
    }
}

fn budget(rate: Slot<Rate>, burst: Slot<u32>, context: &mut Context<'_>) -> Option<Budget> {
    match (rate, burst) {
        (Slot::Is(rate), burst) => {
            let burst = burst.value().map_or_else(|| rate.value.count(), file::at_least_one);
            Some(Budget { rate: rate.value, burst })
        }
        (Slot::Absent, Slot::Is(burst)) => {
            context.error_with_help(
                &burst.spot,
                "a burst of no budget",
                "add budget = \"500/s\", or remove it",
            );
            None
        }
        (Slot::Absent | Slot::Wrong, _) => None,
    }
}

fn is_field(pointer: &At<Pointer>, context: &mut Context<'_>) {
    if pointer.value.as_str().is_empty() {
        context.error_with_help(
            &pointer.spot,
            "the empty pointer is the whole body",
            "point to a field, such as \"/livemode\"",
        );
    }
}

/// `Content-Type`, which says what the body is, and what is asked for besides.
fn keep_headers(written: Slot<Vec<At<HeaderName>>>, context: &mut Context<'_>) -> Vec<HeaderName> {
    let mut keep = vec![header::CONTENT_TYPE];
    for name in written.value().unwrap_or_default() {
        let text = name.value.as_str();
        let why_not = if matches!(
            name.value,
            header::AUTHORIZATION | header::COOKIE | header::PROXY_AUTHORIZATION
        ) {
            Some("it holds a credential, which is not to be kept")
        } else if HOP_BY_HOP.contains(&text) {
            Some("it belongs to the sender's connection and means nothing on another one")
        } else if text.starts_with("webhook-") || text.starts_with("hookward-") {
            Some("deliveries have headers of that name of their own")
        } else {
            None
        };
        match why_not {
            Some(why_not) => {
                context.error_with_help(&name.spot, format!("{text}: {why_not}"), "remove it");
            }
            None if keep.contains(&name.value) => {}
            None => keep.push(name.value),
        }
    }
    keep
}

const HOP_BY_HOP: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
