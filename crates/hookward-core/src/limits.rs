//! Every limit, with its reason. A limit that a configuration may change is a default here and has its largest
//! value beside it. What bounds the embedded store alone (segments, dead letters, bytes that wait for its writer) is in
//! `hookward-store`: its `embedded::Options`, and beside the code that keeps it.

use std::time::Duration;

/// The largest body taken unless a source says otherwise, in bytes: 99.9 % of webhooks are below 256 KiB, and
/// Stripe, Shopify and Slack stay below it always.
pub const BODY_BYTES_DEFAULT: usize = 1024 * 1024;

/// The largest body that a source may allow, in bytes: GitHub's own cap is 25 MB.
pub const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How long a body may take to arrive, from the end of the head: senders give up after 3 s (Slack) to 30 s.
pub const BODY_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// How long a head may take to arrive: one packet, normally; a slow sender holds a connection for so long.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a TLS handshake may take: two round trips, normally.
pub const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may idle between requests: longer than the pause of a busy sender, shorter than most proxies' 60 s.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(55);

/// The largest head, in bytes: hyper's buffer, in which a head must fit; senders stay below 4 KiB.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The most header lines: senders stay below 40.
pub const HEADERS_MAX: usize = 64;

/// The most signatures looked at in one request: one per active secret and version while secrets rotate.
pub const SIGNATURES_MAX: usize = 8;

/// The most notifications in one body that are each verified on their own: Microsoft Graph's batches are the largest known, and
/// an HMAC for each under [`SECRETS_MAX`] secrets takes some milliseconds.
pub const NOTIFICATIONS_MAX: usize = 1_000;

/// The most secrets of one source: two while rotating, and some room.
pub const SECRETS_MAX: usize = 8;

/// The longest id in a signed header, in bytes: Standard Webhooks ids are about 30.
pub const HEADER_ID_BYTES_MAX: usize = 256;

/// The longest value of a sender's challenge that is answered with, in bytes: Microsoft Graph's have some hundreds.
pub const CHALLENGE_BYTES_MAX: usize = 1024;

/// The longest event type or sender's id kept for people, in bytes; a longer one is cut. Keys use the whole id.
pub const LABEL_BYTES_MAX: usize = 256;

/// The longest header value that is kept beside an event, in bytes.
pub const KEPT_HEADER_BYTES_MAX: usize = 1024;

/// The deepest JSON, in levels: webhooks stay below 20, DynamoDB and many parsers stop at 32, stacks at some thousands.
pub const JSON_DEPTH_MAX: usize = 64;

/// Connections at once: 1,000 need about 32 MiB.
pub const CONNECTIONS_DEFAULT: usize = 10_000;

/// Connections at once from one address (IPv6: one /64): a sender's proxy pool, not a flood.
pub const CONNECTIONS_PER_ADDRESS_DEFAULT: usize = 1_024;

/// Requests at once whose body did not come with the head and is being read: bounds what unverified senders can make us hold.
pub const UNVERIFIED_IN_FLIGHT_DEFAULT: usize = 2_048;

/// Bytes at once in bodies that are being read and are not verified yet.
pub const UNVERIFIED_BYTES_DEFAULT: usize = 256 * 1024 * 1024;

/// Unverified requests a second from one address. A verified request gives its share back, so this bounds only what fails.
pub const UNVERIFIED_PER_SECOND_DEFAULT: u32 = 50;

/// Unverified requests from one address at a stroke, before the rate holds.
pub const UNVERIFIED_BURST_DEFAULT: u32 = 2_048;

/// Addresses remembered at once for the unverified budget: about 4 MiB.
pub const ADDRESSES_MAX: usize = 65_536;

/// Events not yet delivered that the store takes before it answers 503: about 350 bytes of memory each,
/// bodies aside (measured with a million, all leased).
pub const QUEUE_DEFAULT: usize = 1_000_000;

/// The entries of a forwarding header that are followed from the right: real chains have two or three proxies.
pub const HOPS_MAX: usize = 32;

/// Lines about refusals that a source may log a second, in the long run: enough to see what is going on, and about 100 MB
/// a day of a flood.
pub const REFUSALS_LOGGED_PER_SECOND: u32 = 5;

/// Lines about refusals that a source may log at a stroke: a deployment with a wrong secret shows whole.
pub const REFUSALS_LOGGED_BURST: u32 = 20;

/// HTTP/2 streams at once on one connection: enough for a sender's burst, bounded for a flood.
pub const HTTP2_STREAMS_MAX: u32 = 256;

/// Streams that a client of HTTP/2 opens and resets, or makes us reset, before it is told to go away: the protocol's
/// cheapest floods.
pub const HTTP2_RESETS_MAX: usize = 64;

/// How long a client may take none of an answer: it fits into the socket's buffer, unless nobody reads.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The share of what unverified requests may hold at once that those of one address may: eight addresses fill it.
pub const IN_FLIGHT_SHARE_OF_ADDRESS: usize = 8;

/// How long a store may take to make an event durable before the sender is told to try again: below Slack's 3 s.
pub const APPEND_TIMEOUT: Duration = Duration::from_millis(2_500);

/// How long a stopping gateway waits for requests and deliveries in progress.
pub const DRAIN_DEFAULT: Duration = Duration::from_secs(30);

/// The time window of schemes that sign a time, each way: what Standard Webhooks, Stripe and Slack use.
pub const TOLERANCE_DEFAULT: Duration = Duration::from_mins(5);

/// The widest time window a configuration may ask for: Cloudinary's two hours is the widest known.
pub const TOLERANCE_MAX: Duration = Duration::from_hours(24);

/// How often secrets are looked up again: a revoked one counts for no longer, and two calls each are 17,000 a month, about 9 cents.
pub const SECRETS_REFRESH_DEFAULT: Duration = Duration::from_mins(5);

/// How soon secrets are looked up again that could not be, unless they are looked up more often anyway.
pub const SECRETS_RETRY: Duration = Duration::from_secs(30);

/// How often secrets of a source are looked up a minute because a signature was wrong: a secret that was changed is noticed
/// before the sender's next retry, and a forger causes no more calls than this.
pub const SECRETS_DOUBTED_PER_MINUTE: u32 = 1;

/// How long a secret's backend may take, with all tries: a gateway that starts or reloads waits for it.
pub const SECRETS_TIMEOUT: Duration = Duration::from_secs(10);

/// How often it is logged that a secret still cannot be looked up.
pub const SECRETS_TROUBLE_LOGGED: Duration = Duration::from_hours(1);

/// How long bodies are kept: longer than the longest retry horizon of a sender (Wise: two weeks).
pub const BODY_RETENTION_DEFAULT: Duration = Duration::from_hours(30 * 24);

/// How long a delivery attempt may take.
pub const DELIVERY_TIMEOUT_DEFAULT: Duration = Duration::from_secs(15);

/// Deliveries at once to one destination: eight workers of a small application, twice.
pub const DELIVERY_CONCURRENCY_DEFAULT: usize = 16;

/// How many attempts an event gets: with [`RETRY_FIRST`] doubling to [`RETRY_LONGEST`] about a day and a half.
pub const ATTEMPTS_DEFAULT: u32 = 16;

/// The first retry comes after up to so long.
pub const RETRY_FIRST: Duration = Duration::from_secs(5);

/// No retry waits longer by its own schedule.
pub const RETRY_LONGEST: Duration = Duration::from_hours(4);

/// No destination can put a retry off for longer by `Retry-After`.
pub const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// How much longer than an attempt its lease is: for what the store takes to settle it, many times over.
pub const LEASE_MARGIN: Duration = Duration::from_secs(15);

/// How long an unused connection to a destination is kept: below the 5 s after which uvicorn, the shortest of the usual
/// servers, closes it, so that no delivery runs into a connection that is being closed.
pub const DELIVERY_IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// How long the rest of a destination's answer is waited for, once its status is known: the status has decided, and all
/// that is to be gained is a connection to use again.
pub const DELIVERY_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// How much of a destination's answer is read before the connection is given up, in bytes: answers are not used.
pub const DELIVERY_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// How long a gateway on a shared store that is not heard of keeps its events: longer than a pause of a virtual machine
/// or a short loss of the network, shorter than a sender's patience with its own retries.
pub const NODE_LEASE_DEFAULT: Duration = Duration::from_secs(30);

/// How long an event waits at most for others to share a journal item with: a few round trips to the store, which no sender
/// minds; at 400 events a second, ten share one.
pub const JOURNAL_DELAY_DEFAULT: Duration = Duration::from_millis(25);

/// The longest that it can be told to wait: senders give an answer some seconds.
pub const JOURNAL_DELAY_MAX: Duration = Duration::from_millis(500);

/// The largest item of a DynamoDB table that is written, in bytes: DynamoDB refuses one of 400 KiB, and this leaves room for the
/// attributes beside the compressed body.
pub const DYNAMODB_ITEM_BYTES_MAX: usize = 350 * 1024;

/// The cap on a shared store's write units a second: what a new on-demand table takes at once.
pub const WRITE_UNITS_MAX_DEFAULT: u32 = 4_000;

/// How large a trained dictionary is unless asked otherwise, in bytes: the 64 KiB that were measured, 16 read units a load.
pub const DICTIONARY_BYTES_DEFAULT: usize = 64 * 1024;

/// The smallest dictionary that is trained, in bytes: below that, zstd refuses many samples.
pub const DICTIONARY_BYTES_MIN: usize = 1024;

/// The largest dictionary that is trained, in bytes: zstd's own tool stops at 110 KiB by default, and an item has to hold it.
pub const DICTIONARY_BYTES_MAX: usize = 128 * 1024;

/// How many stored events a dictionary is trained and measured on, unless asked otherwise: of 8 KiB, 100 times its size for
/// each half, which is what zstd advises.
pub const DICTIONARY_EVENTS_DEFAULT: usize = 2_000;

/// With fewer events nothing is trained: a half of 50 says little about the events to come.
pub const DICTIONARY_EVENTS_MIN: usize = 100;

/// The most bytes of bodies that are looked at for a dictionary: they are in memory twice.
pub const DICTIONARY_SAMPLES_BYTES_MAX: usize = 128 * 1024 * 1024;

/// How often a gateway looks for a newer dictionary of a source: a read unit each time, and the events of so long after a
/// training cost what they did before.
pub const DICTIONARY_REFRESH: Duration = Duration::from_mins(5);

/// How long the first event of a source waits for its dictionary: some round trips to the store, and far below
/// [`APPEND_TIMEOUT`].
pub const DICTIONARY_WAIT: Duration = Duration::from_millis(300);

/// How many former dictionaries a gateway keeps for reading before it forgets them: about 300 KiB of memory each.
pub const DICTIONARIES_LOADED_MAX: usize = 64;

/// How much longer than the longest body a bucket keeps what is in it, at least: the week by which unfinished events are
/// given more time, and a day, since S3 counts from midnight to midnight.
pub const LARGE_BODIES_EXTRA: Duration = Duration::from_hours(8 * 24);

/// How often expired events are forgotten and the certificate's files looked at: retention counts in hours, and a renewed
/// certificate comes days before the former one ends.
pub const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(30);

/// How long a stopping gateway waits for its store to close, once all else has ended or was cut off: a snapshot of a
/// million events takes below 2 s, and a store that is not closed loses nothing but the time it takes to read it again.
pub const STORE_CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an operator's request may take: a list over a large store reads from disk.
pub const ADMIN_TIMEOUT: Duration = Duration::from_secs(30);

/// The most events on a page of the admin API: about 1 MiB of JSON.
pub const ADMIN_PAGE_MAX: usize = 1_000;

/// What a stored event takes beside its body, in bytes, at most: the headers that are kept came in a head of
/// [`HEAD_BYTES_MAX`], names and labels are short, and a record's own fields take some hundreds.
pub const EVENT_OVERHEAD_BYTES_MAX: usize = HEAD_BYTES_MAX + 4 * 1024;

/// How far two clocks seem apart when they are not: whole seconds, and an answer that was on its way.
pub const CLOCK_SKEW_SEEN: Duration = Duration::from_secs(5);

/// How far this machine's clock may be off: beyond half of [`TOLERANCE_DEFAULT`], slow but genuine webhooks are refused.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(150);

/// Beside what an embedded store needs at once, so many free bytes are little: a day of 10 events of 1 KiB a second.
pub const FREE_BYTES_LOW: u64 = 1 << 30;

/// The longest JWT in a header, in bytes: senders stay below 2 KiB, and a head below [`HEAD_BYTES_MAX`].
pub const JWT_BYTES_MAX: usize = 8 * 1024;

/// The longest header part of a JWT, in base64: an algorithm, a key's id, a type.
pub const JWT_HEADER_BYTES_MAX: usize = 1024;

/// How long before its end a JWT may be seen at the earliest: Google's last an hour. What is valid for longer is as good as
/// valid for ever, and would outlast the records that recognise a replay.
pub const JWT_LIFETIME_MAX: Duration = Duration::from_hours(24);

/// The most keys that are kept of a sender: some publish a handful, and strangers can name certificates.
pub const KEYS_MAX: usize = 64;

/// The longest name of a key (a `kid`, or a certificate's URL), in bytes.
pub const KEY_NAME_BYTES_MAX: usize = 256;

/// The most keys that are waited for at once, by name: strangers can name them. A name that is asked for twice within as many
/// forged ones stands before all of them; in memory these are a megabyte at most.
pub const KEYS_WANTED_MAX: usize = 4_096;

/// The most names that are remembered as known not to be anywhere: strangers can name them.
pub const KEYS_ABSENT_MAX: usize = 1_024;

/// The largest document with keys or certificates, in bytes: Google's has 2 KiB, a chain of certificates 8 KiB.
pub const KEYS_BYTES_MAX: usize = 256 * 1024;

/// How long a sender may take to answer with its keys.
pub const KEYS_TIMEOUT: Duration = Duration::from_secs(10);

/// The shortest time between two looks at a sender's keys, whatever strangers ask for; after failures it doubles, up to
/// [`KEYS_REFRESH_MIN`].
pub const KEYS_PAUSE: Duration = Duration::from_secs(10);

/// The same where each key is asked for by its name: few enough for the sender not to mind.
pub const KEYS_PAUSE_BY_NAME: Duration = Duration::from_secs(2);

/// How long a key that a sender does not know is not asked for again. It doubles each time, up to [`KEY_ABSENT_MAX`].
pub const KEY_ABSENT: Duration = Duration::from_mins(1);

/// See [`KEY_ABSENT`]: a name that strangers repeat costs a fetch each hour.
pub const KEY_ABSENT_MAX: Duration = Duration::from_hours(1);

/// How often keys are looked at anew where the sender does not say, by `Cache-Control`.
pub const KEYS_REFRESH_DEFAULT: Duration = Duration::from_hours(1);

/// The shortest and the longest time that a sender's `Cache-Control` can ask for.
pub const KEYS_REFRESH_MIN: Duration = Duration::from_mins(5);

/// See [`KEYS_REFRESH_MIN`]: a key that was withdrawn counts for so long at most.
pub const KEYS_REFRESH_MAX: Duration = Duration::from_hours(24);

/// When to come back for a request whose key is being fetched.
pub const KEY_RETRY_AFTER: Duration = Duration::from_secs(2);

/// The confirmations that wait at once for the URL in them to be visited.
pub const VISITS_MAX: usize = 16;
