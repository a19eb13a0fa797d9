//! Every key that a configuration file may have: what it is called, what it takes, what its absence means.
//!
//! The doc comments here are the reference that people read.

use std::{
    marker::PhantomData, net::SocketAddr, num::NonZeroU32, ops::RangeInclusive, path::PathBuf,
    time::Duration,
};

use http::{HeaderName, Uri};
use toml::de::DeTable;

use super::{
    Completion, LogFormat,
    kind::{
        Choice, Flag, HEADER, ID, Id, LISTEN, Length, ListOf, MapOf, Memory, Moment, NAME, NETWORK,
        NON_EMPTY, OneOrMore, OrTable, Origin, Origins, PATH, POINTER, ProviderName, RATE, ROUTE,
        Scalar, SecretReference, ShortOrLong, Size, Status, TEXT, TYPE, TableOf, Text, Type, Url,
        Whole,
    },
    section::{At, Context, Section as _, SectionDoc, Slot, Spot, section},
};
use crate::{
    Timestamp,
    handshake::{BadPhrase, Place},
    json::Pointer,
    limits,
    provider::{Evidence, Provider},
    rate::{Budget, Rate},
    schema::Additional,
    scheme::{Algorithm, Encoding, KeyEncoding, TimeUnit},
    secret::SecretRef,
    source::{BadName, Expected, Malformed, UnknownTypes},
};

section! {
    /// A configuration of Hookward.
    pub(super) struct File {
        /// Where webhooks are taken.
        section server: TableOf::<Server>::NEW => Server;
        /// Where the gateway is operated: health, metrics, dead letters, replay.
        optional admin: TableOf::<Admin>::NEW => Admin = "no admin listener";
        /// Where events are kept.
        section store: TableOf::<Store>::NEW => Store;
        /// How secrets are kept up to date.
        section secrets: TableOf::<Secrets>::NEW => Secrets;
        /// Who sends: a table for each source, under the source's name.
        optional sources: MapOf { keys: SECTION_NAME, values: TableOf::<Source>::NEW } => Vec<(At<String>, At<Source>)> = "nobody: at least one source is needed";
        /// Where events go: a table for each destination, under the destination's name.
        optional destinations: MapOf { keys: SECTION_NAME, values: TableOf::<Destination>::NEW } => Vec<(At<String>, At<Destination>)> = "nowhere: events are kept";
        /// What strangers can make the gateway hold, before anything they send is verified.
        section limits: TableOf::<Limits>::NEW => Limits;
        /// What is logged, and how.
        section log: TableOf::<Log>::NEW => Log;
    }
}

section! {
    /// Where webhooks are taken.
    pub(super) struct Server {
        /// The address and port. Port 0 lets the system pick one.
        default listen: LISTEN => SocketAddr = loopback(8080);
        /// The certificate, for a gateway that itself speaks TLS. Its files are read again when they change.
        optional tls: TableOf::<Tls>::NEW => Tls = "plain HTTP, for a proxy in front to speak TLS";
        /// Whether HTTP/2 is taken without TLS, as some proxies speak it.
        default http2_cleartext: Flag => bool = false;
        /// The proxies in front of the gateway: they, and nobody else, are believed when they say for whom they speak.
        optional trusted_proxies: ListOf(NETWORK) => Vec<At<String>> = "the client is who opened the connection";
        /// The header in which the proxies say it, which each of them must set or extend itself: `X-Forwarded-For`, `Forwarded`, or one with a single address.
        optional client_address_header: HEADER => HeaderName = "`X-Forwarded-For`";
        /// How long a stopping gateway waits for requests and deliveries in progress.
        default drain: length(0, 600) => Duration = limits::DRAIN_DEFAULT;
    }
}

section! {
    /// The files of a certificate, in PEM.
    pub(super) struct Tls {
        /// The certificate, and those that lead to its root.
        required cert: PATH => PathBuf;
        /// Its private key.
        required key: PATH => PathBuf;
    }
}

section! {
    /// Where the gateway is operated: health, metrics, dead letters, replay. Without this section there is no such listener.
    pub(super) struct Admin {
        /// The address and port. Keep it on loopback: whoever has the token can read and replay every event.
        default listen: LISTEN => SocketAddr = loopback(8081);
        /// The bearer token that lets in.
        required token: SecretReference => SecretRef;
    }
}

section! {
    /// Where events are kept.
    pub(super) struct Store {
        /// The kind of store: `embedded` is files of this machine, which one gateway owns. `dynamodb` is a table in Amazon DynamoDB, which any number of gateways share.
        default kind: Choice(&[("embedded", StoreKind::Embedded), ("dynamodb", StoreKind::DynamoDb)]) => StoreKind = StoreKind::Embedded;
        /// The folder of an embedded store. It is made when it is not there.
        default path: PATH => PathBuf = PathBuf::from("hookward-data");
        /// How many undelivered events are taken before senders are told to come back; each needs about 350 bytes of memory.
        default queue_max: Whole(1..=100_000_000) => u32 = QUEUE_DEFAULT;
        /// How large a segment of the log is. Room is given back a segment at a time. The largest `body_max` of a source, and 20 KiB beside it, has to fit. For `embedded`.
        default segment: Size(1 << 20..=1 << 30) => u64 = 64 << 20;
        /// The table. For `dynamodb`, like all keys below.
        optional table: TABLE => String = "`hookward`";
        /// The AWS region of the table, such as `eu-central-1`.
        optional region: REGION => String = "what the environment says: `AWS_REGION`, the AWS profile, or the machine";
        /// The URL that speaks DynamoDB, where it is not Amazon's own: ScyllaDB Alternator, DynamoDB Local, a VPC endpoint. Plain http only on loopback.
        optional endpoint: Url => Uri = "Amazon's own for the region, or what `AWS_ENDPOINT_URL_DYNAMODB` says";
        /// How it is written that an event is finished: by each node about once a second for all its events (`checkpoint`), or in addition on each event's own item as `status`, `processed_at` and `attempts` (`each`), for teams that read the table themselves. `each` doubles the write units.
        optional completion: Choice(&[("checkpoint", Completion::Checkpoint), ("each", Completion::Each)]) => Completion = "`checkpoint`";
        /// How long a gateway that is not heard of any more keeps its events, before the others deliver them.
        optional node_lease: length(5, 600) => Duration = "`30s`";
        /// How long an event waits for others to share a journal item with. Only where events come closer together than that: one that comes alone waits for nobody. Longer is cheaper and later: at 6 events a second, `500ms` saves two thirds of the journal.
        optional journal_delay: Length(Duration::ZERO..=limits::JOURNAL_DELAY_MAX) => Duration = "`25ms`";
        /// The KMS key that encrypts the table: its ARN, id or alias. For `hookward dynamodb` and `doctor`; the gateway itself does not use it.
        optional kms_key: NON_EMPTY => String = "a key that AWS owns, free of charge";
        /// The S3 bucket for bodies that are larger than an item of the table can be, about 350 KiB once compressed; `AWS_ENDPOINT_URL_S3` says where S3 is, if it is not Amazon's own. Without one, such events are refused.
        optional large_bodies_bucket: BUCKET => String = "none";
        /// What the keys of such bodies begin with.
        optional large_bodies_prefix: PREFIX => String = "`hookward/`";
        /// The most write units a second that the table may cost: what `hookward dynamodb create` sets as its cap.
        optional write_units_max: Whole(1..=10_000_000) => u32 = "`4000`, what a new table takes at once";
    }
}

section! {
    /// How secrets are kept up to date. See [Secrets](secrets.md).
    pub(super) struct Secrets {
        /// How often references (all but `env:`) are followed again while the gateway runs: what was revoked counts no longer than this.
        default refresh: length(30, DAY) => Duration = limits::SECRETS_REFRESH_DEFAULT;
        /// The AWS region of `aws-sm:` and `aws-ssm:` references by name. An ARN has its own.
        optional region: REGION => String = "that of a `dynamodb` store, or what the environment says: `AWS_REGION`, the AWS profile, or the machine";
    }
}

impl Store {
    /// The keys that only a DynamoDB store has, where they are written.
    pub(super) fn dynamodb_keys(&self) -> Vec<(&'static str, &Spot)> {
        fn written<'a, T>(
            name: &'static str,
            key: &'a Slot<T>,
        ) -> Option<(&'static str, &'a Spot)> {
            key.get().map(|at| (name, &at.spot))
        }
        let keys = [
            written("table", &self.table),
            written("region", &self.region),
            written("endpoint", &self.endpoint),
            written("completion", &self.completion),
            written("node_lease", &self.node_lease),
            written("journal_delay", &self.journal_delay),
            written("kms_key", &self.kms_key),
            written("large_bodies_bucket", &self.large_bodies_bucket),
            written("large_bodies_prefix", &self.large_bodies_prefix),
            written("write_units_max", &self.write_units_max),
        ];
        keys.into_iter().flatten().collect()
    }
}

/// The kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreKind {
    Embedded,
    DynamoDb,
}

section! {
    /// A sender. What is known of it comes with `provider`; a sender that is not known describes its signature in `signature` instead.
    pub(super) struct Source {
        /// The sender, when it is one that Hookward knows: brings how it signs, where ids and types are.
        optional provider: ProviderName => &'static Provider = "described in `signature`";
        /// How the sender signs, when it is not a known provider.
        optional signature: TableOf::<Signature>::NEW => Signature = "what `provider` says";
        /// What a provider has to be told beside its secret, by name: `hookward providers show` lists it.
        optional options: MapOf { keys: NON_EMPTY, values: OneOrMore } => Vec<(At<String>, At<Vec<String>>)> = "nothing";
        /// The URL that the sender calls, as it knows it, where its signature covers that: never made up from `Host` or what a proxy says.
        optional url: Url => Uri = "the signature covers none";
        /// The token that a sender shows when it asks whether anyone is there.
        optional verify_token: SecretReference => SecretRef = "such questions are refused";
        /// Questions of a sender that `provider` does not know.
        optional handshakes: ListOf(TableOf::<Handshake>::NEW) => Vec<At<Handshake>> = "those of `provider`";
        /// The one path that it is reached at.
        optional path: ROUTE => String = "`/hooks/` and the source's name";
        /// The secret that it signs with.
        optional secret: SecretReference => SecretRef = "listed in `secrets`";
        /// Its secrets, when there are several: each counts, within its time, so that a secret can be changed without a gap.
        optional secrets: ListOf(OrTable { short: SecretReference, long: PhantomData::<Secret> }) => Vec<At<ShortOrLong<SecretRef, Secret>>> = "the one in `secret`";
        /// The destination that its events are delivered to.
        optional destination: NAME => String = "events are kept and delivered nowhere";
        /// How old a signed time may be, and how far ahead. For schemes that sign a time.
        optional tolerance: Length(Duration::from_secs(1)..=limits::TOLERANCE_MAX) => Duration = "`5m`, or what the provider is known to need";
        /// Where the identity of an event is: at a JSON pointer in its body, in the whole body (`content`), or in the header that the signature covers as an id (`header`). The same identity is the same event. `each` is for a sender that says no more than that something changed: every request is an event, also one that is repeated or replayed.
        optional id: ID => Id = "what the provider is known to have; otherwise `header` where an id is signed and `/id` where none is";
        /// Where the type of an event is: at a JSON pointer in its body, in a header (`header:X-Event`), or nowhere (`none`).
        optional r#type: TYPE => Type = "what the provider is known to have, otherwise `/type`";
        /// The types that are expected. A form has its type in a field right below the top (`/command`), or none.
        optional types: ListOf(NON_EMPTY) => Vec<At<String>> = "any";
        /// What becomes of other types: they are delivered like any other, kept as dead letters (`quarantine`), or refused.
        optional unknown_types: Choice(UNKNOWN_TYPES) => UnknownTypes = "`quarantine` when there are `types`";
        /// What becomes of verified requests that are not JSON, do not match their schema or have no id: kept as dead letters and acknowledged (`quarantine`), or refused (`reject`), which makes many senders try again.
        default malformed: Choice(&[("quarantine", Malformed::Quarantine), ("reject", Malformed::Reject)]) => Malformed = Malformed::Quarantine;
        /// The JSON Schema that bodies must match, as a file. Forms match none.
        optional schema: PATH => PathBuf = "any JSON object";
        /// JSON Schemas of single types: they go before `schema`.
        optional schemas: MapOf { keys: TYPE_NAME, values: PATH } => Vec<(At<String>, At<PathBuf>)> = "none";
        /// Whether fields that a schema does not name are tolerated or refused, where the schema itself says nothing about it.
        default additional: Choice(&[("tolerate", Additional::Tolerate), ("refuse", Additional::Refuse)]) => Additional = Additional::Tolerate;
        /// Fields that must have a value, by JSON pointer, such as `{ "/livemode" = true }`. Other events are kept as dead letters. Forms are held to it by their fields, right below the top and as text.
        optional expect: MapOf { keys: POINTER, values: Scalar } => Vec<(At<Pointer>, At<Expected>)> = "nothing";
        /// The networks that it sends from, or `"provider"` for those that the provider publishes (`hookward providers show`). Others are refused before anything else is looked at.
        optional origin: Origin => Origins = "anywhere";
        /// The largest body.
        default body_max: Size(1 << 10..=limits::BODY_BYTES_MAX as u64) => u64 = limits::BODY_BYTES_DEFAULT as u64;
        /// How long a body may take to arrive.
        default body_timeout: length(1, 300) => Duration = limits::BODY_TIMEOUT_DEFAULT;
        /// How many verified requests are taken, in the long run.
        optional budget: RATE => Rate = "no limit";
        /// How many verified requests are taken at a stroke.
        optional burst: Whole(1..=10_000_000) => u32 = "the number in `budget`";
        /// How many write units of DynamoDB its events may use at each gateway, in the long run; as many as the number says at a stroke. Counted is what the calls for this source cost, its share of the journal aside. Above it the sender is told to come later, before anything is written.
        optional write_budget: RATE => Rate = "no limit";
        /// The status that tells it that it is over its budget. 429 for senders that are known to try again after it.
        optional over_budget: Status(&[429, 503]) => u16 = "`503`; in the Python library `429`";
        /// The status that tells it that an event was accepted.
        optional answer: Status(&[200, 201, 202, 204]) => u16 = "what the provider wants, otherwise 200";
        /// Whether the answer to a duplicate has the header `Hookward-Duplicate: 1`. It tells whoever holds the secret which ids are known; otherwise only logs and metrics tell.
        default tell_duplicates: Flag => bool = false;
        /// The headers that are kept beside the body and handed on. They are not signed: whoever captured a request can change them.
        optional keep_headers: ListOf(HEADER) => Vec<At<HeaderName>> = "`Content-Type`, which is always kept";
        /// How long bodies are kept: shown, delivered and replayed. On DynamoDB the bytes stay as long as the id is remembered, since it deletes whole items; so set `remember` too where that matters.
        default keep: length(3_600, 3_650 * DAY) => Duration = limits::BODY_RETENTION_DEFAULT;
        /// How long ids are remembered, so that the same event is not delivered twice. At least as long as `keep`.
        optional remember: Memory(length(3_600, 3_650 * DAY)) => Option<Duration> = "`keep` and twice the tolerance; for ever when the scheme signs no time";
    }
}

section! {
    /// An item of `secrets` with the time in which it counts: `{ ref = "env:NAME", not_after = 2026-12-01T00:00:00Z }`.
    pub(super) struct Secret {
        /// Where it is.
        required r#ref: SecretReference => SecretRef;
        /// From when it counts.
        optional not_before: Moment => Timestamp = "it counts already";
        /// Until when it counts.
        optional not_after: Moment => Timestamp = "it counts until it is removed";
    }
}

section! {
    /// How a sender signs that is not a known provider. The table of providers is written in the same words.
    pub(super) struct Signature {
        /// The header with the signature.
        optional header: HEADER => HeaderName = "`x-signature`, unless it is in a `field` or in the `query`";
        /// Other names of that header. Only one of them may be there.
        optional header_aliases: ListOf(HEADER) => Vec<At<HeaderName>> = "none";
        /// Further headers with a signature each, any of which may be the right one.
        optional more_headers: ListOf(HEADER) => Vec<At<HeaderName>> = "none";
        /// The field of the body with the signature, by JSON pointer; in a form, its only key is the field's name.
        optional field: POINTER => Pointer = "it is in `header`";
        /// The name in the URL's query with the signature or token.
        optional query: NON_EMPTY => String = "it is in `header`";
        /// What precedes the signature in it, such as `sha256=`.
        optional prefix: TEXT => String = "nothing";
        /// Whether the prefix may be missing.
        default prefix_optional: Flag => bool = false;
        /// How the header's value is written when it is a list of labelled signatures, such as `t=…,v1=…`.
        optional list: TableOf::<List>::NEW => List = "one signature behind `prefix`";
        /// How the signature's bytes are written. A token is `plain`.
        default encoding: Choice(ENCODINGS) => Encoding = Encoding::Hex;
        /// The algorithm. Those with SHA-1 only together with `allow_sha1`. `sha256` and `sha1` are hashes of a `content` with `{secret}`. `token` is the secret itself: it proves who sends, and covers nothing of what is sent.
        default algorithm: Choice(ALGORITHMS) => Algorithm = Algorithm::HmacSha256;
        /// Whether SHA-1 is taken, for a sender that has nothing else.
        default allow_sha1: Flag => bool = false;
        /// What is signed: `{body}`, and `{timestamp}` and `{id}` where they are signed, with what stands between them; also `{method}`, `{url}`, `{secret}`, `{header:<name>}` and `{field:<JSON pointer>}`.
        default content: TEXT => String = "{body}".to_owned();
        /// Whether `content` may leave the body out, for a sender that has nothing better: whoever captured a request can then put another body into it.
        default allow_unsigned_body: Flag => bool = false;
        /// How the secret's text becomes the key: as it is (`utf8`), decoded, as Standard Webhooks writes it, or a public key in PEM.
        default key: Choice(KEYS) => KeyEncoding = KeyEncoding::Utf8;
        /// What the sender puts behind the secret's text.
        default key_suffix: TEXT => String = String::new();
        /// Where the signed time is.
        optional timestamp: TableOf::<SignatureTime>::NEW => SignatureTime = "no time is signed";
        /// The header with the signed id.
        optional id_header: HEADER => HeaderName = "no id is signed";
        /// Other names of that header. Only one of them may be there.
        optional id_header_aliases: ListOf(HEADER) => Vec<At<HeaderName>> = "none";
        /// Headers that must have these values.
        optional require: MapOf { keys: HEADER, values: NON_EMPTY } => Vec<(At<HeaderName>, At<String>)> = "nothing";
    }
}

section! {
    /// How a list of signatures is written.
    pub(super) struct List {
        /// The label of the signatures that count. Others are ignored.
        optional label: NON_EMPTY => String = "elements have no labels: the time comes first, then signatures";
        /// Labels of signatures by other algorithms that count too.
        optional more: MapOf { keys: NON_EMPTY, values: Choice(ALGORITHMS) } => Vec<(At<String>, At<Algorithm>)> = "none";
        /// What stands between the elements.
        default separator: CHARACTER => char = ',';
        /// What stands between an element's label and its value.
        default assign: CHARACTER => char = '=';
    }
}

section! {
    /// Where the signed time is: in a header of its own, in the list of signatures, or in the body.
    pub(super) struct SignatureTime {
        /// The header.
        optional header: HEADER => HeaderName = "it is elsewhere";
        /// Other names of that header. Only one of them may be there.
        optional header_aliases: ListOf(HEADER) => Vec<At<HeaderName>> = "none";
        /// The label in the list.
        optional label: NON_EMPTY => String = "it is elsewhere";
        /// Whether it is the first element of a list without labels.
        default first: Flag => bool = false;
        /// The field of the body, by JSON pointer.
        optional field: POINTER => Pointer = "it is elsewhere";
        /// What it counts since 1970, or how it is written.
        default unit: Choice(&[("s", TimeUnit::Seconds), ("ms", TimeUnit::Milliseconds), ("rfc3339", TimeUnit::Rfc3339)]) => TimeUnit = TimeUnit::Seconds;
        /// How old it may be, unless the source has a `tolerance`.
        default past: Length(Duration::from_secs(1)..=limits::TOLERANCE_MAX) => Duration = limits::TOLERANCE_DEFAULT;
        /// How far ahead it may be, unless the source has a `tolerance`.
        default future: Length(Duration::from_secs(1)..=limits::TOLERANCE_MAX) => Duration = limits::TOLERANCE_DEFAULT;
    }
}

section! {
    /// A question that a sender asks to see whether anyone is there, and the answer. A place in it is `query:<name>`, `header:<name>` or `field:<JSON pointer>`. A phrase may have places in braces: `{query:challenge}`, `{hmac-sha256-hex:field:/token}`.
    pub(super) struct Handshake {
        /// The method that it comes by.
        default method: Choice(&[("POST", QuestionMethod::Post), ("GET", QuestionMethod::Get), ("HEAD", QuestionMethod::Head)]) => QuestionMethod = QuestionMethod::Post;
        /// Whether it is signed like an event.
        default verified: Flag => bool = false;
        /// What tells it from an event: what stands at a place (`"*"`: anything; `""`: nothing).
        optional when: MapOf { keys: QUESTION_PLACE, values: TEXT } => Vec<(At<Place>, At<String>)> = "the method";
        /// What must stand at a place beside that; `"{verify_token}"` is the source's `verify_token`.
        optional check: MapOf { keys: QUESTION_PLACE, values: TEXT } => Vec<(At<Place>, At<String>)> = "nothing";
        /// The status where it does not.
        default otherwise: Status(&[400, 401, 403, 404]) => u16 = 403;
        /// The status of the answer.
        default status: Status(&[200, 201, 202, 204]) => u16 = 200;
        /// The answer, as plain text.
        optional text: TEXT => String = "`json`, or nothing";
        /// The answer's fields, as JSON.
        optional json: MapOf { keys: NON_EMPTY, values: Scalar } => Vec<(At<String>, At<Expected>)> = "`text`, or nothing";
        /// Headers of the answer.
        optional headers: MapOf { keys: HEADER, values: TEXT } => Vec<(At<HeaderName>, At<String>)> = "none";
        /// Where it brings the secret that the sender signs with from then on: it is kept in the file that the source's `secret` names by `learned:`.
        optional secret: QUESTION_PLACE => Place = "nowhere";
        /// Where it brings a URL to fetch in order to agree.
        optional visit: QUESTION_PLACE => Place = "nowhere";
    }
}

section! {
    /// What is known of a sender: a row of the table of providers.
    pub(super) struct KnownSender {
        /// Its name for people.
        required title: NON_EMPTY => String;
        /// How it signs.
        optional signature: TableOf::<Signature>::NEW => Signature = "by `code`";
        /// The code that verifies, where no description would do.
        optional code: NON_EMPTY => String = "`signature` describes it";
        /// How old and how far ahead a time may be that the code finds.
        optional code_tolerance: Length(Duration::from_secs(1)..=limits::TOLERANCE_MAX) => Duration = "the code finds no signed time";
        /// Settings of the code.
        optional code_settings: MapOf { keys: NON_EMPTY, values: NON_EMPTY } => Vec<(At<String>, At<String>)> = "none";
        /// Where the identity of an event is, in signed bytes.
        default id: ID => Id = Id::Content;
        /// Where the type of an event is.
        default r#type: TYPE => Type = Type::None;
        /// The header with its own id, signed or not, for people to search by.
        optional sender_id: HEADER => HeaderName = "none";
        /// The media types of its events beside `application/json` whose content is JSON.
        optional json_types: ListOf(NON_EMPTY) => Vec<At<String>> = "none";
        /// The media types whose content is not looked into.
        optional opaque_types: ListOf(NON_EMPTY) => Vec<At<String>> = "none";
        /// Whether it sends forms.
        default forms: Flag => bool = false;
        /// Whether it sends arrays of events.
        default arrays: Flag => bool = false;
        /// Its questions.
        optional handshakes: ListOf(TableOf::<Handshake>::NEW) => Vec<At<Handshake>> = "none";
        /// The status that it wants for an event that was accepted.
        default answer: Status(&[200, 201, 202, 204]) => u16 = 200;
        /// What it wants to read in that answer.
        optional answer_text: NON_EMPTY => String = "nothing in particular";
        /// The status that it wants where a signature is wrong.
        default refused: Status(&[400, 401, 403, 498]) => u16 = 403;
        /// How long it waits for an answer, in seconds.
        optional answer_within: Whole(1..=600) => u32 = "not published";
        /// For how long it tries again.
        required retries: NON_EMPTY => String;
        /// What its secret looks like.
        required secret: NON_EMPTY => String;
        /// Where it documents this.
        required docs: NON_EMPTY => String;
        /// What to know before relying on it.
        required note: NON_EMPTY => String;
        /// What this row rests on.
        required evidence: Choice(EVIDENCE) => Evidence;
        /// The networks that it publishes as its own.
        optional origin: ListOf(NETWORK) => Vec<At<String>> = "none published, or none here";
        /// Where and when they were published.
        optional origin_source: NON_EMPTY => String = "there are none";
        /// A body as it sends it; `%ID%` stands for an id, `%TIME%` for the time in seconds.
        required sample: NON_EMPTY => String;
        /// The sample's media type.
        default sample_type: NON_EMPTY => String = "application/json".to_owned();
        /// Headers that go with the sample.
        optional sample_headers: MapOf { keys: HEADER, values: NON_EMPTY } => Vec<(At<HeaderName>, At<String>)> = "none";
    }
}

section! {
    /// The table of providers.
    pub(super) struct KnownSenders {
        /// A row for each.
        required providers: MapOf { keys: SECTION_NAME, values: TableOf::<KnownSender>::NEW } => Vec<(At<String>, At<KnownSender>)>;
    }
}

impl KnownSenders {
    /// Reads the table. What is wrong with it is reported.
    pub(super) fn parse(text: &str, context: &mut Context<'_>) -> Vec<(String, KnownSender)> {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let offset = error.span().map_or(0, |span| span.start);
            context.error(&Spot { offset, path: String::new() }, error.message());
        }
        let top = Spot { offset: 0, path: String::new() };
        let rows = Self::read(table.get_ref(), top, context).providers.value().unwrap_or_default();
        rows.into_iter().map(|(name, row)| (name.value, row.value)).collect()
    }
}

/// The method of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QuestionMethod {
    Post,
    Get,
    Head,
}

const EVIDENCE: &[(&str, Evidence)] = &[
    ("official library", Evidence::OfficialLibrary),
    ("official documentation", Evidence::OfficialDocumentation),
    ("independent implementations", Evidence::IndependentImplementations),
    ("recalled", Evidence::Recalled),
];

/// A place in a question.
const QUESTION_PLACE: Text<Place> = Text {
    words: "\"query:<name>\", \"header:<name>\" or \"field:<JSON pointer>\"",
    pattern: "^(query|header|field):.+$",
    parse: |text| text.parse().map_err(|wrong: BadPhrase| (wrong.to_string(), None)),
    show: Place::to_string,
};

section! {
    /// Where events go: an HTTP endpoint, to which they are delivered signed as Standard Webhooks.
    pub(super) struct Destination {
        /// The absolute URL that events are posted to.
        required url: Url => Uri;
        /// The secret that deliveries are signed with: base64, with or without `whsec_` before it. The application verifies with the same.
        required secret: SecretReference => SecretRef;
        /// The secret before it, while the application moves over: deliveries are signed with both.
        optional previous_secret: SecretReference => SecretRef = "none";
        /// How long an attempt may take.
        default timeout: length(1, 300) => Duration = limits::DELIVERY_TIMEOUT_DEFAULT;
        /// How many attempts are made at once.
        default concurrency: Whole(1..=4_096) => u32 = CONCURRENCY_DEFAULT;
        /// How many attempts an event gets before it becomes a dead letter.
        default attempts: Whole(1..=1_000) => u32 = limits::ATTEMPTS_DEFAULT;
        /// How long the first retry waits at most. The wait doubles with each further one.
        default retry_first: Length(Duration::from_millis(100)..=Duration::from_secs(DAY)) => Duration = limits::RETRY_FIRST;
        /// No retry waits longer.
        default retry_longest: length(1, 7 * DAY) => Duration = limits::RETRY_LONGEST;
        /// When attempts are paused.
        section circuit: TableOf::<Circuit>::NEW => Circuit;
    }
}

section! {
    /// When attempts at a destination are paused.
    pub(super) struct Circuit {
        /// After how many failures in a row.
        default failures: Whole(1..=10_000) => u32 = 10;
        /// For how long. Then one attempt tells whether the destination is back.
        default open: length(1, 3_600) => Duration = Duration::from_secs(30);
    }
}

section! {
    /// What strangers can make the gateway hold, before anything they send is verified. The defaults suit a small machine.
    pub(super) struct Limits {
        /// Connections at once.
        default connections: Whole(1..=1_000_000) => u32 = CONNECTIONS_DEFAULT;
        /// Connections at once from one address (IPv6: one /64). Trusted proxies are not counted.
        default connections_per_address: Whole(1..=1_000_000) => u32 = CONNECTIONS_PER_ADDRESS_DEFAULT;
        /// Unverified requests from one address, in the long run. A verified request gives its share back.
        default unverified: RATE => Rate = unverified_rate_default();
        /// Unverified requests from one address at a stroke.
        default unverified_burst: Whole(1..=10_000_000) => u32 = limits::UNVERIFIED_BURST_DEFAULT;
        /// Requests at once whose body did not come with the head and is being read. An eighth of them at most from one address.
        default unverified_in_flight: Whole(1..=1_000_000) => u32 = IN_FLIGHT_DEFAULT;
        /// Bytes at once in their bodies. At least the largest `body_max` of a source. An eighth of them at most from one
        /// address, or one body.
        default unverified_bytes: Size(1 << 10..=1 << 40) => u64 = limits::UNVERIFIED_BYTES_DEFAULT as u64;
        /// How long a head may take to arrive.
        default header_timeout: length(1, 120) => Duration = limits::HEADER_TIMEOUT;
        /// How long a TLS handshake may take.
        default tls_handshake_timeout: length(1, 120) => Duration = limits::TLS_HANDSHAKE_TIMEOUT;
        /// How long a connection may idle between requests.
        default keep_alive: length(1, 3_600) => Duration = limits::KEEP_ALIVE_TIMEOUT;
    }
}

section! {
    /// What is logged, and how.
    pub(super) struct Log {
        /// The form: lines for people (`human`), one JSON object a line (`json`), or whichever suits where it goes (`auto`).
        default format: Choice(&[("auto", LogFormat::Auto), ("human", LogFormat::Human), ("json", LogFormat::Json)]) => LogFormat = LogFormat::Auto;
        /// What: `error`, `warn`, `info`, `debug`, `trace` or `off`; or parts such as `info,hookward_server=debug`.
        default level: LEVEL => String = "info".to_owned();
    }
}

impl File {
    /// Reads a whole file. `None` when it is no TOML; otherwise what is wrong is reported and read as if it were not there.
    pub(super) fn parse(text: &str, context: &mut Context<'_>) -> Option<Self> {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let offset = error.span().map_or(0, |span| span.start);
            context.error(
                &Spot { offset, path: String::new() },
                format!("not TOML: {}", error.message()),
            );
        }
        let top = Spot { offset: 0, path: String::new() };
        errors.is_empty().then(|| Self::read(table.get_ref(), top, context))
    }

    /// All sections, the file itself first.
    pub(super) fn sections() -> Vec<SectionDoc> {
        let mut sections = vec![SectionDoc::of::<Self>("")];
        Self::subsections("", &mut sections);
        sections
    }
}

/// What to do about a key that has another name here, or belongs to another product.
pub(super) fn renamed(path: &str, key: &str) -> Option<String> {
    let (_, _, note) = RENAMED.iter().find(|(section, name, _)| {
        let mut steps = path.split('.');
        *name == key
            && section
                .split('.')
                .all(|step| steps.next().is_some_and(|it| step == "*" || it == step))
    })?;
    Some((*note).to_owned())
}

/// Section (`*` is any name), key, what to write instead.
pub(super) const RENAMED: &[(&str, &str, &str)] = &[
    ("admin", "secret", "the admin token is `token`"),
    ("admin", "password", "the admin token is `token`"),
    ("sources.*", "allow_sha1", "it belongs into [sources.<name>.signature]"),
    ("sources.*", "endpoint", "it is called `path`"),
    ("sources.*", "route", "it is called `path`"),
    (
        "sources.*",
        "scheme",
        "how a sender signs is `provider`, or [sources.<name>.signature] for one that is not known",
    ),
    (
        "sources.*",
        "verify",
        "every source is verified; how its sender signs is `provider`, or [sources.<name>.signature]",
    ),
    ("sources.*", "max_body", "it is called `body_max`"),
    ("sources.*", "rate", "it is called `budget`"),
    ("sources.*", "rate_limit", "it is called `budget`"),
    ("sources.*", "retention", "bodies are kept for `keep`, ids for `remember`"),
    ("sources.*", "status", "it is called `answer`"),
    ("sources.*", "event_types", "it is called `types`"),
    ("sources.*", "allow", "it is called `origin`"),
    ("sources.*", "allow_ips", "it is called `origin`"),
    ("sources.*", "headers", "it is called `keep_headers`"),
    ("sources.*", "dedupe", "what makes an event the same is `id`, for how long is `remember`"),
    ("sources.*", "idempotency_key", "it is called `id`"),
    (
        "sources.*",
        "not_before",
        "it belongs to a single secret: secrets = [{ ref = \"env:NAME\", not_before = … }]",
    ),
    (
        "sources.*",
        "not_after",
        "it belongs to a single secret: secrets = [{ ref = \"env:NAME\", not_after = … }]",
    ),
    ("destinations.*", "retries", "it is called `attempts`, and counts the first one too"),
    ("destinations.*", "max_attempts", "it is called `attempts`"),
    ("destinations.*", "endpoint", "it is called `url`"),
    ("destinations.*", "target", "it is called `url`"),
    ("server", "port", "write it into `listen`, such as \"127.0.0.1:8080\""),
    ("server", "host", "write it into `listen`, such as \"127.0.0.1:8080\""),
    ("server", "bind", "it is called `listen`"),
    ("server", "address", "it is called `listen`"),
    ("store", "dir", "it is called `path`"),
    ("store", "directory", "it is called `path`"),
    ("store", "table_name", "it is called `table`"),
    ("store", "endpoint_url", "it is called `endpoint`"),
    ("store", "aws_region", "it is called `region`"),
    ("log", "filter", "it is called `level`"),
];

/// The section that a key belongs to, when it is none of where it stands.
pub(super) fn elsewhere(key: &str) -> Option<String> {
    let sections = File::sections();
    let section =
        sections.iter().find(|section| section.keys.iter().any(|known| known.name == key))?;
    Some(if section.path.is_empty() {
        "the top of the file".to_owned()
    } else {
        format!("[{}]", section.path)
    })
}

/// What strangers get without being configured.
pub(super) fn unverified_budget_default() -> Budget {
    Budget {
        rate: unverified_rate_default(),
        burst: at_least_one(limits::UNVERIFIED_BURST_DEFAULT),
    }
}

/// A number that was read from 1 upwards.
pub(super) fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

fn unverified_rate_default() -> Rate {
    format!("{}/s", limits::UNVERIFIED_PER_SECOND_DEFAULT).parse().expect("a constant rate")
}

/// The name of a source or destination.
const SECTION_NAME: Text<String> = Text {
    words: "a name",
    pattern: "^[a-z0-9][a-z0-9_-]{0,63}$",
    parse: |text| match crate::SourceName::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(wrong @ BadName) => Err((wrong.to_string(), None)),
    },
    show: String::clone,
};

/// The name of a table.
const TABLE: Text<String> = Text {
    words: "the name of a table",
    pattern: "^[A-Za-z0-9_.-]{3,255}$",
    parse: |text| {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if (3..=255).contains(&text.len()) && text.chars().all(known) {
            Ok(text.to_owned())
        } else {
            let help = "use 3 to 255 letters, digits and any of _ . -";
            Err((
                format!("{} is not the name of a table", super::diagnostic::quoted(text)),
                Some(help.to_owned()),
            ))
        }
    },
    show: String::clone,
};

/// A region of AWS.
const BUCKET: Text<String> = Text {
    words: "the name of a bucket",
    pattern: "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
    parse: |text| {
        let known =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
        let ends = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let bytes = text.as_bytes();
        if (3..=63).contains(&bytes.len())
            && bytes.iter().copied().all(known)
            && ends(bytes.first())
            && ends(bytes.last())
        {
            Ok(text.to_owned())
        } else {
            let help = "use 3 to 63 small letters, digits and any of . - between them";
            Err((
                format!("{} is not the name of a bucket", super::diagnostic::quoted(text)),
                Some(help.to_owned()),
            ))
        }
    },
    show: String::clone,
};

/// Nothing in it means something in a policy or in a URL.
const PREFIX: Text<String> = Text {
    words: "the beginning of a key",
    pattern: "^[A-Za-z0-9_.-][A-Za-z0-9_./-]{0,199}$",
    parse: |text| {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
        if (1..=200).contains(&text.len()) && text.chars().all(known) && !text.starts_with('/') {
            Ok(text.to_owned())
        } else {
            let help = "use letters, digits and any of _ . - and / such as hookward/";
            Err((
                format!("{} is not the beginning of a key", super::diagnostic::quoted(text)),
                Some(help.to_owned()),
            ))
        }
    },
    show: String::clone,
};

const REGION: Text<String> = Text {
    words: "an AWS region",
    pattern: "^[a-z0-9-]+$",
    parse: |text| {
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !text.is_empty() && text.chars().all(known) {
            Ok(text.to_owned())
        } else {
            let help = "write it as AWS does, such as \"eu-central-1\"";
            Err((
                format!("{} is not an AWS region", super::diagnostic::quoted(text)),
                Some(help.to_owned()),
            ))
        }
    },
    show: String::clone,
};

const TYPE_NAME: Text<String> = Text { words: "a type", ..NON_EMPTY };

const CHARACTER: Text<char> = Text {
    words: "one ASCII character that is no letter or digit",
    pattern: "^[^0-9A-Za-z]$",
    parse: |text| {
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) if c.is_ascii_punctuation() || c == ' ' => Ok(c),
            _ => {
                Err(("this is not one ASCII character that is no letter or digit".to_owned(), None))
            }
        }
    },
    show: char::to_string,
};

const LEVEL: Text<String> = Text {
    words: "a level: \"error\", \"warn\", \"info\", \"debug\", \"trace\" or \"off\"; or parts such as \"info,hookward_server=debug\"",
    pattern: "^[a-z0-9_:=,]+$",
    parse: |text| {
        let level = |it: &str| matches!(it, "error" | "warn" | "info" | "debug" | "trace" | "off");
        let target = |it: &str| {
            !it.is_empty()
                && it.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':'))
        };
        let part = |it: &str| match it.split_once('=') {
            Some((name, it)) => target(name) && level(it),
            None => level(it),
        };
        if text.split(',').all(part) {
            Ok(text.to_owned())
        } else {
            let help = "use error, warn, info, debug, trace or off, or parts such as \"info,hookward_server=debug\"";
            Err((
                format!("{} is not a level", super::diagnostic::quoted(text)),
                Some(help.to_owned()),
            ))
        }
    },
    show: String::clone,
};

const UNKNOWN_TYPES: &[(&str, UnknownTypes)] = &[
    ("deliver", UnknownTypes::Deliver),
    ("quarantine", UnknownTypes::Quarantine),
    ("refuse", UnknownTypes::Refuse),
];

const ALGORITHMS: &[(&str, Algorithm)] = &[
    ("hmac-sha256", Algorithm::HmacSha256),
    ("hmac-sha512", Algorithm::HmacSha512),
    ("hmac-sha1", Algorithm::HmacSha1),
    ("sha256", Algorithm::Sha256),
    ("sha1", Algorithm::Sha1),
    ("ed25519", Algorithm::Ed25519),
    ("ecdsa-p256-sha256", Algorithm::EcdsaP256Sha256),
    ("rsa-sha256", Algorithm::RsaSha256),
    ("rsa-sha1", Algorithm::RsaSha1),
    ("token", Algorithm::Token),
];

const ENCODINGS: &[(&str, Encoding)] = &[
    ("hex", Encoding::Hex),
    ("base64", Encoding::Base64),
    ("base64url", Encoding::Base64Url),
    ("plain", Encoding::Plain),
];

const KEYS: &[(&str, KeyEncoding)] = &[
    ("utf8", KeyEncoding::Utf8),
    ("base64", KeyEncoding::Base64),
    ("hex", KeyEncoding::Hex),
    ("standard-webhooks", KeyEncoding::StandardWebhooks),
    ("whsec-or-utf8", KeyEncoding::WhsecOrUtf8),
    ("pem", KeyEncoding::Pem),
];

const DAY: u64 = 24 * 3_600;

/// Limits are sizes of memory; a file holds numbers.
const QUEUE_DEFAULT: u32 = small(limits::QUEUE_DEFAULT);
const CONNECTIONS_DEFAULT: u32 = small(limits::CONNECTIONS_DEFAULT);
const CONNECTIONS_PER_ADDRESS_DEFAULT: u32 = small(limits::CONNECTIONS_PER_ADDRESS_DEFAULT);
const IN_FLIGHT_DEFAULT: u32 = small(limits::UNVERIFIED_IN_FLIGHT_DEFAULT);
const CONCURRENCY_DEFAULT: u32 = small(limits::DELIVERY_CONCURRENCY_DEFAULT);

#[expect(clippy::cast_possible_truncation, reason = "checked, and only for constants")]
const fn small(number: usize) -> u32 {
    assert!(number <= u32::MAX as usize, "a limit that no file could hold");
    number as u32
}

const fn length(from_secs: u64, to_secs: u64) -> Length {
    Length(RangeInclusive::new(Duration::from_secs(from_secs), Duration::from_secs(to_secs)))
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
