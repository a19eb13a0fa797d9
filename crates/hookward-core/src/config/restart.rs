//! What a running gateway cannot take up from a new configuration.

use super::{Admin, Config, DynamoDb, Embedded, Limits, LogConfig, Server, StoreConfig};

impl Config {
    /// The keys that are other ones in `new` and count only from a gateway's start: all but those of secrets, sources and
    /// destinations.
    pub fn needs_restart_for(&self, new: &Self) -> Vec<&'static str> {
        let Self { server, admin, store, secrets: _, limits, sources: _, destinations: _, log } =
            self;
        let mut keys = of_server(server, &new.server);
        keys.extend(of_admin(admin.as_ref(), new.admin.as_ref()));
        keys.extend(of_store(store, &new.store));
        keys.extend(of_limits(limits, &new.limits));
        keys.extend(of_log(log, &new.log));
        keys
    }
}

/// The keys whose values are not the same.
fn changed<const N: usize>(keys: [(&'static str, bool); N]) -> Vec<&'static str> {
    keys.into_iter().filter_map(|(key, same)| (!same).then_some(key)).collect()
}

fn of_server(old: &Server, new: &Server) -> Vec<&'static str> {
    let Server { listen, tls, http2_cleartext, trusted_proxies, drain } = old;
    changed([
        ("server.listen", *listen == new.listen),
        ("server.tls", *tls == new.tls),
        ("server.http2_cleartext", *http2_cleartext == new.http2_cleartext),
        ("server.trusted_proxies", *trusted_proxies == new.trusted_proxies),
        ("server.drain", *drain == new.drain),
    ])
}

fn of_admin(old: Option<&Admin>, new: Option<&Admin>) -> Vec<&'static str> {
    match (old, new) {
        (None, None) => Vec::new(),
        (Some(Admin { listen, token: _, place: _ }), Some(new)) => {
            changed([("admin.listen", *listen == new.listen)])
        }
        (Some(_), None) | (None, Some(_)) => vec!["admin"],
    }
}

fn of_store(old: &StoreConfig, new: &StoreConfig) -> Vec<&'static str> {
    match (old, new) {
        (StoreConfig::Embedded(old), StoreConfig::Embedded(new)) => of_embedded(old, new),
        (StoreConfig::DynamoDb(old), StoreConfig::DynamoDb(new)) => of_dynamodb(old, new),
        (StoreConfig::Embedded(_), StoreConfig::DynamoDb(_))
        | (StoreConfig::DynamoDb(_), StoreConfig::Embedded(_)) => vec!["store.kind"],
    }
}

fn of_embedded(old: &Embedded, new: &Embedded) -> Vec<&'static str> {
    let Embedded { path, queue_max, segment_bytes } = old;
    changed([
        ("store.path", *path == new.path),
        ("store.queue_max", *queue_max == new.queue_max),
        ("store.segment", *segment_bytes == new.segment_bytes),
    ])
}

fn of_dynamodb(old: &DynamoDb, new: &DynamoDb) -> Vec<&'static str> {
    let DynamoDb {
        table,
        region,
        endpoint,
        completion,
        node_lease,
        journal_delay,
        queue_max,
        large_bodies,
        // Of the table, not of the gateway.
        kms_key: _,
        write_units_max: _,
    } = old;
    let both = [large_bodies.as_ref(), new.large_bodies.as_ref()];
    let buckets = both.map(|large| large.map(|large| &large.bucket));
    let prefixes = both.map(|large| large.map(|large| &large.prefix));
    changed([
        ("store.table", *table == new.table),
        ("store.region", *region == new.region),
        ("store.endpoint", *endpoint == new.endpoint),
        ("store.completion", *completion == new.completion),
        ("store.node_lease", *node_lease == new.node_lease),
        ("store.journal_delay", *journal_delay == new.journal_delay),
        ("store.queue_max", *queue_max == new.queue_max),
        ("store.large_bodies_bucket", buckets[0] == buckets[1]),
        ("store.large_bodies_prefix", prefixes[0] == prefixes[1]),
    ])
}

fn of_limits(old: &Limits, new: &Limits) -> Vec<&'static str> {
    let Limits {
        connections,
        connections_per_address,
        unverified,
        unverified_in_flight,
        unverified_bytes,
        header_timeout,
        tls_handshake_timeout,
        keep_alive,
    } = old;
    changed([
        ("limits.connections", *connections == new.connections),
        ("limits.connections_per_address", *connections_per_address == new.connections_per_address),
        ("limits.unverified", unverified.rate == new.unverified.rate),
        ("limits.unverified_burst", unverified.burst == new.unverified.burst),
        ("limits.unverified_in_flight", *unverified_in_flight == new.unverified_in_flight),
        ("limits.unverified_bytes", *unverified_bytes == new.unverified_bytes),
        ("limits.header_timeout", *header_timeout == new.header_timeout),
        ("limits.tls_handshake_timeout", *tls_handshake_timeout == new.tls_handshake_timeout),
        ("limits.keep_alive", *keep_alive == new.keep_alive),
    ])
}

fn of_log(old: &LogConfig, new: &LogConfig) -> Vec<&'static str> {
    let LogConfig { format, level } = old;
    changed([("log.format", *format == new.format), ("log.level", *level == new.level)])
}
