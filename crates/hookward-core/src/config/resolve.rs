//! From what was written to what it means; finds what single values cannot show.
//!
//! What cannot be made is left out and the rest is looked at all the same, so that one run reports everything.
//! Whatever is left out has been reported.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
};

use http::{HeaderName, Uri};

use super::{
    Admin, Circuit, Completion, Config, DestinationConfig, DynamoDb, Embedded, LargeBodies, Limits,
    LogConfig, Server, StoreConfig, Tls,
    diagnostic::{did_you_mean, quoted, similar},
    file::{self, File, StoreKind},
    section::{At, Context, Slot, Spot},
};
use crate::{
    address::{Cidrs, ForwardedHeader, TrustedProxies},
    rate::Budget,
    retry::Retry,
    secret::SecretRef,
    source::DestinationName,
};

mod source;

pub(super) use source::described_signature as signature;

/// Nothing can be made of it, which is reported.
#[derive(Debug)]
struct Reported;

/// What a file means. `None` when something is missing that is reported.
pub(super) fn config(
    file: File,
    read_file: &mut dyn FnMut(&Path) -> Result<String, String>,
    context: &mut Context<'_>,
) -> Option<Config> {
    let mut secrets = Secrets::default();
    context.refuse_gateway_key(&file.admin, "the library has no admin listener");
    let why = "the application itself handles the events: there is nowhere to deliver them";
    context.refuse_gateway_key(&file.destinations, why);
    let listen = file.server.value.listen.clone();
    let server = server(file.server.value, context);
    let admin = admin(file.admin, &listen, &mut secrets, context);
    let segment = file.store.value.segment.clone();
    let store = store(file.store.value, context);
    let unverified_bytes = file.limits.value.unverified_bytes.spot.clone();
    let limits = limits(&file.limits.value);

    let written = file.destinations.value().unwrap_or_default();
    let names: Vec<_> = written.iter().map(|(name, _)| name.clone()).collect();
    let mut sources = source::Sources {
        destinations: &names,
        bills_writes: matches!(store, StoreConfig::DynamoDb(_)),
        bodies_fit_items: matches!(&store, StoreConfig::DynamoDb(it) if it.large_bodies.is_none()),
        secrets: &mut secrets,
        read_file,
        context,
    };
    let room = [At { value: limits.unverified_bytes as u64, spot: unverified_bytes }, segment];
    let (sources, used) = sources.all(file.sources, &room);
    if matches!(store, StoreConfig::DynamoDb(_)) {
        let secrets = sources.iter().flatten().flat_map(|source| &source.secrets);
        for secret in secrets.filter(|it| matches!(it.reference, SecretRef::Learned(_))) {
            context.warning_at(
                &secret.place,
                "a file of this machine: where several gateways share the table, only the one that was asked learns the secret",
                "let one gateway take this source, or put the secret where all of them read it once it is known",
            );
        }
    }
    for name in names.iter().filter(|name| !used.contains(&name.value)) {
        context.gateway_warning(
            &name.spot,
            "no source delivers to it",
            "name it as `destination` in a source, or remove it",
        );
    }
    let destinations: Vec<_> = written
        .into_iter()
        .map(|(name, written)| destination(&name, written.value, &mut secrets, context))
        .collect();

    Some(Config {
        server,
        admin: admin.ok()?,
        store,
        secrets: super::Secrets {
            refresh: file.secrets.value.refresh.value,
            region: file.secrets.value.region.value(),
        },
        limits,
        sources: sources.into_iter().collect::<Option<_>>()?,
        destinations: destinations.into_iter().collect::<Option<_>>()?,
        log: LogConfig { format: file.log.value.format.value, level: file.log.value.level.value },
    })
}

fn server(written: file::Server, context: &mut Context<'_>) -> Server {
    let listen = written.listen;
    let tls = written
        .tls
        .ok()
        .and_then(|tls| Some(Tls { cert: tls.value.cert.value()?, key: tls.value.key.value()? }));
    let has_proxies = written.trusted_proxies.get().is_some_and(|it| !it.value.is_empty());
    if let (false, Some(header)) = (has_proxies, written.client_address_header.get()) {
        context.error_with_help(
            &header.spot,
            "nobody is believed in this header",
            "name the proxies that set it in `trusted_proxies`, or remove it",
        );
    }
    if !listen.value.ip().is_loopback() && tls.is_none() && !has_proxies {
        context.gateway_warning(
            &listen.spot,
            "webhooks are taken without TLS from outside this machine, for everyone on the way to read",
            "set `tls`; or put a proxy that speaks TLS in front and name it in `trusted_proxies`",
        );
    }
    let trusted_proxies =
        written.trusted_proxies.ok().filter(|_| has_proxies).and_then(|proxies| {
            let header = written.client_address_header.value();
            let header = header
                .map_or(Ok(ForwardedHeader::XForwardedFor), |name| name.as_str().parse())
                .ok()?;
            match TrustedProxies::new(networks(&proxies.value), header) {
                Ok(trusted) => Some(trusted),
                Err(wrong) => {
                    context.error(&proxies.spot, wrong);
                    None
                }
            }
        });
    Server {
        listen: listen.value,
        tls,
        http2_cleartext: written.http2_cleartext.value,
        trusted_proxies: trusted_proxies.unwrap_or_default(),
        drain: written.drain.value,
    }
}

/// Networks of which each one was read before.
fn networks(texts: &[At<String>]) -> Cidrs {
    Cidrs::parse(texts.iter().map(|text| &*text.value)).unwrap_or_default()
}

/// `None` when there is to be no admin listener.
fn admin(
    written: Slot<file::Admin>,
    server: &At<SocketAddr>,
    secrets: &mut Secrets,
    context: &mut Context<'_>,
) -> Result<Option<Admin>, Reported> {
    let written = match written {
        Slot::Is(written) => written.value,
        Slot::Wrong => return Err(Reported),
        Slot::Absent => {
            context.gateway_warning(
                &Spot { offset: 0, path: String::new() },
                "without [admin] there is no health check, no metrics and no replay of dead letters",
                "add [admin] with token = \"env:HOOKWARD_ADMIN_TOKEN\"; it listens on loopback",
            );
            return Ok(None);
        }
    };
    let listen = written.listen;
    let (address, taken) = (listen.value, server.value);
    let same_address =
        address.ip() == taken.ip() || address.ip().is_unspecified() || taken.ip().is_unspecified();
    if address.port() != 0 && address.port() == taken.port() && same_address {
        context.error_with_help(
            &listen.spot,
            format!("{address} is where webhooks are taken ({taken})"),
            "use another port: the admin listener has to stay out of reach of senders",
        );
    }
    if !address.ip().is_loopback() {
        context.warning(
            &listen.spot,
            "the admin listener can be reached from outside this machine, and speaks no TLS",
            "listen on 127.0.0.1, or let nothing but a private network reach it",
        );
    }
    let token = written.token.ok();
    if let Some(token) = &token {
        must_be_set(token, context);
        secrets.claim(token, "the admin token", context);
    }
    let token = token.ok_or(Reported)?;
    Ok(Some(Admin { listen: address, place: context.place(&token.spot), token: token.value }))
}

fn store(written: file::Store, context: &mut Context<'_>) -> StoreConfig {
    match written.kind.value {
        StoreKind::Embedded => {
            for (key, spot) in written.dynamodb_keys() {
                context.error_with_help(
                    spot,
                    format!("{key} means nothing to an embedded store"),
                    "leave it out, or use kind = \"dynamodb\"",
                );
            }
            StoreConfig::Embedded(Embedded {
                path: written.path.value,
                queue_max: written.queue_max.value as usize,
                segment_bytes: written.segment.value,
            })
        }
        StoreKind::DynamoDb => {
            if let Some(endpoint) = written.endpoint.get() {
                refuse_plain_http(endpoint, context);
            }
            if let (Some(prefix), None) =
                (written.large_bodies_prefix.get(), written.large_bodies_bucket.get())
            {
                context.error_with_help(
                    &prefix.spot,
                    "large_bodies_prefix means nothing without a bucket",
                    "write large_bodies_bucket too, or leave it out",
                );
            }
            let prefix = written.large_bodies_prefix.value();
            let large_bodies = written.large_bodies_bucket.value().map(|bucket| LargeBodies {
                bucket,
                prefix: prefix.unwrap_or_else(|| "hookward/".to_owned()),
            });
            StoreConfig::DynamoDb(DynamoDb {
                table: written.table.value().unwrap_or_else(|| "hookward".to_owned()),
                region: written.region.value(),
                endpoint: written.endpoint.value(),
                completion: written.completion.value().unwrap_or(Completion::Checkpoint),
                node_lease: written.node_lease.value().unwrap_or(crate::limits::NODE_LEASE_DEFAULT),
                journal_delay: written
                    .journal_delay
                    .value()
                    .unwrap_or(crate::limits::JOURNAL_DELAY_DEFAULT),
                queue_max: written.queue_max.value as usize,
                kms_key: written.kms_key.value(),
                large_bodies,
                write_units_max: written
                    .write_units_max
                    .value()
                    .unwrap_or(crate::limits::WRITE_UNITS_MAX_DEFAULT),
            })
        }
    }
}

/// Events, and what is learnt of credentials from signed requests, do not cross a network in the clear.
fn refuse_plain_http(endpoint: &At<Uri>, context: &mut Context<'_>) {
    let host = endpoint.value.host().unwrap_or_default();
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let loopback = literal == "localhost"
        || literal.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if endpoint.value.scheme_str() == Some("http") && !loopback {
        context.error_with_help(
            &endpoint.spot,
            "plain http to another machine would show every event to the network",
            "use https",
        );
    }
}

fn limits(written: &file::Limits) -> Limits {
    Limits {
        connections: written.connections.value as usize,
        connections_per_address: written.connections_per_address.value as usize,
        unverified: Budget {
            rate: written.unverified.value,
            burst: file::at_least_one(written.unverified_burst.value),
        },
        unverified_in_flight: written.unverified_in_flight.value as usize,
        unverified_bytes: usize::try_from(written.unverified_bytes.value).unwrap_or(usize::MAX),
        header_timeout: written.header_timeout.value,
        tls_handshake_timeout: written.tls_handshake_timeout.value,
        keep_alive: written.keep_alive.value,
    }
}

fn destination(
    name: &At<String>,
    written: file::Destination,
    secrets: &mut Secrets,
    context: &mut Context<'_>,
) -> Option<DestinationConfig> {
    let (url, secret, previous_secret) =
        (written.url.ok(), written.secret.ok(), written.previous_secret.ok());
    if let Some(url) = &url
        && url.value.scheme_str() == Some("http")
        && is_public(&url.value)
    {
        context.warning(&url.spot, "events leave this network unencrypted", "use https");
    }
    // Endpoints of one application may share its secret; two applications may not.
    let authority = url.as_ref().and_then(|url| url.value.authority()).map(ToString::to_string);
    let owner = authority
        .map_or_else(|| format!("destinations.{}", name.value), |it| format!("deliveries to {it}"));
    if let Some(secret) = &secret {
        must_be_set(secret, context);
    }
    for secret in secret.iter().chain(&previous_secret) {
        secrets.claim(secret, &owner, context);
    }
    if let (Some(secret), Some(previous)) = (&secret, &previous_secret)
        && secret.value == previous.value
    {
        context.error_with_help(
            &previous.spot,
            "the previous secret is the current one",
            "remove it, or put the new secret into `secret`",
        );
    }
    if written.retry_first.value > written.retry_longest.value {
        context.error_with_help(
            &written.retry_first.spot,
            "the first retry waits longer than the longest one",
            "raise `retry_longest` or lower `retry_first`",
        );
    }
    let secret_place = context.place(&secret.as_ref()?.spot);
    let previous_secret_place = previous_secret.as_ref().map(|it| context.place(&it.spot));
    Some(DestinationConfig {
        name: DestinationName::parse(&name.value).ok()?,
        url: url?.value,
        secret: secret?.value,
        previous_secret: previous_secret.map(|secret| secret.value),
        timeout: written.timeout.value,
        concurrency: written.concurrency.value as usize,
        retry: Retry {
            attempts_max: written.attempts.value,
            first: written.retry_first.value,
            longest: written.retry_longest.value,
        },
        secret_place,
        previous_secret_place,
        circuit: Circuit {
            failures: written.circuit.value.failures.value,
            open_for: written.circuit.value.open.value,
        },
        place: context.place(&name.spot),
    })
}

/// Without it, nothing could be signed, or nobody let in.
fn must_be_set(secret: &At<SecretRef>, context: &mut Context<'_>) {
    if matches!(secret.value, SecretRef::EnvIfSet(_)) {
        context.error_with_help(
            &secret.spot,
            "this secret has to be there",
            "leave the question mark out",
        );
    }
}

/// Whether a URL's host is on the internet, as far as its name tells.
fn is_public(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches([']', '.']);
    match host.parse() {
        Ok(IpAddr::V4(v4)) => !(v4.is_loopback() || v4.is_private()),
        Ok(IpAddr::V6(v6)) => {
            !(v6.is_loopback() || v6.is_unique_local() || v6.to_ipv4_mapped().is_some())
        }
        Err(_) => host.rsplit_once('.').is_some_and(|(_, top)| {
            let private = [
                "arpa",
                "corp",
                "home",
                "internal",
                "intranet",
                "lan",
                "local",
                "localdomain",
                "localhost",
            ];
            let private = private.iter().chain(&["private", "svc", "test", "example", "invalid"]);
            !private.into_iter().any(|it| it.eq_ignore_ascii_case(top))
        }),
    }
}

/// Which secrets are whose: nobody may have another's.
#[derive(Debug, Default)]
struct Secrets {
    claimed: Vec<(SecretRef, String)>,
}

impl Secrets {
    fn claim(&mut self, secret: &At<SecretRef>, owner: &str, context: &mut Context<'_>) {
        match self.claimed.iter().find(|(claimed, _)| *claimed == secret.value) {
            Some((_, other)) if other != owner => context.error_with_help(
                &secret.spot,
                format!("{} is also used for {other}", secret.value),
                "use a secret of its own: what one of them signs, the other would take",
            ),
            Some(_) => {}
            None => self.claimed.push((secret.value.clone(), owner.to_owned())),
        }
    }
}
