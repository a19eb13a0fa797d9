"""The Rust core. Private: `hookward` and `hookward.django` are what to import.

Times are whole microseconds since 1970 (UTC). Whatever takes long gives the GIL up. Every method may be called from any
thread, and after a fork.
"""

import builtins
from collections.abc import Mapping, Sequence
from typing import Any, Literal, final

__all__ = [
    "Answer",
    "BodyExpired",
    "Claimed",
    "Config",
    "ConfigError",
    "Diagnostic",
    "DynamoDb",
    "Event",
    "Fenced",
    "HookwardError",
    "Kept",
    "KeyFetch",
    "Leased",
    "NotFound",
    "Receiver",
    "Screened",
    "SecretError",
    "Signed",
    "SourceFacts",
    "StoreError",
    "TooLarge",
    "Unavailable",
    "__version__",
    "accepted",
    "parse_json",
    "providers",
    "read_body",
    "retry_later",
    "retry_wait",
    "verify",
]

__version__: str

class HookwardError(Exception):
    """What everything here raises derives from this."""

class ConfigError(HookwardError):
    """The settings are wrong. `diagnostics` has all that is, not only the first."""

    diagnostics: list[Diagnostic]

class SecretError(HookwardError):
    """Secrets are missing, weak or cannot be looked up. `diagnostics` has all of them; no text has a secret in it."""

    diagnostics: list[Diagnostic]

class StoreError(HookwardError):
    """The store did not do it."""

class Unavailable(StoreError):
    """The store cannot be reached, or throttles: try again later. Whether an event was kept is not known."""

class Fenced(StoreError):
    """The lease is no longer the caller's: stop working on the event."""

class NotFound(StoreError):
    """No such event."""

class BodyExpired(StoreError):
    """The body of this event was forgotten: it cannot be run again."""

class TooLarge(StoreError):
    """The event is larger than what the store keeps."""

@final
class Diagnostic:
    path: str
    """The key it is about, as in the gateway's file: `sources.stripe.secrets[1]`."""
    message: str
    help: str | None
    severity: Literal["error", "warning"]

@final
class Config:
    """Settings that were read: complete, without contradictions. Secrets are references, not followed yet."""

    @staticmethod
    def parse(settings: Mapping[str, Any], *, literals: bool = False) -> Config:
        """Reads settings in the gateway's language: the tables and keys of docs/configuration.md as nested mappings.

        Of its tables `sources`, `limits.unverified*`, `secrets`, `server.trusted_proxies` and `store` (DynamoDB) count.
        `literals` lets secrets be written literally: for DEBUG and tests. Raises ConfigError.
        """
    @property
    def warnings(self) -> list[Diagnostic]: ...
    @property
    def sources(self) -> list[SourceFacts]: ...

@final
class SourceFacts:
    """What is configured of a source, for checks and pages. Nothing secret."""

    name: str
    provider: str | None
    path: str
    body_max: int
    rate: str | None
    signs_time: bool
    tolerance_secs: int | None
    keep_secs: int
    remember_secs: int | None
    retry_horizon_secs: int | None
    """How long the provider goes on trying, where that is known."""
    methods: list[str]
    """POST, and GET or HEAD where the provider asks a question by it."""
    takes_forms: bool
    takes_multipart: bool
    secrets: list[str]
    """The references, such as `env:STRIPE_WH`; a literal one is `literal`."""
    covers: str
    """What the signature covers, in a sentence."""

@final
class Receiver:
    """The sources with their secrets and budgets: judges requests. One in a process."""

    def __new__(cls, config: Config) -> Receiver:
        """Looks all secrets up. Raises SecretError."""
    def screen(
        self,
        source: str,
        method: str,
        target: str,
        headers: Sequence[tuple[str | bytes, str | bytes]],
        peer: str,
        now: int,
    ) -> Screened | Answer:
        """Judges what precedes the body.

        `headers` as they came, duplicates included, text being a character a byte; those with an underscore in their
        names are dropped. `peer` is the address of the connection: empty for a socket of this machine, which counts as
        127.0.0.1. An unknown source, a refusal and a question that needs no body are an Answer.
        """
    def tend(self) -> list[str]:
        """Looks secrets up again where it is time, or a signature was wrong. Blocks. What changed, in sentences."""
    @property
    def tend_after(self) -> float:
        """Seconds until `tend` has something to do: 0 once a signature was wrong that a new secret might have made."""
    def keys_due(self, now: int) -> list[KeyFetch]:
        """Published keys that are to be fetched now."""
    def sign(self, source: str, body: bytes, id: str, now: int) -> Signed:
        """Signs as the sender does: for tests and `webhooks_send`. Raises HookwardError where only the sender can."""
    def set_budget_clock(self, seconds: float | None) -> None:
        """Freezes the clock of the budgets, for tests."""

@final
class KeyFetch:
    """A document to fetch. Who gets one says what came of it, once; who drops it says so that it failed."""

    url: str
    post: bytes | None
    """JSON to post; None is a GET. Holds credentials."""
    def here(self, body: bytes, max_age: int | None, now: int) -> bool:
        """This came, and may be kept for `max_age` seconds; whether there are keys in it."""
    def not_there(self, now: int) -> None:
        """The sender says that there is no such thing: 404 or 410."""
    def failed(self, now: int) -> None:
        """Nothing came, or nothing that counts."""

@final
class Signed:
    headers: list[tuple[str, str]]
    body: bytes
    query: str | None

@final
class Screened:
    """A head that is worth reading a body for. Nothing is proven."""

    body_max: int
    client: str
    """The client's address, past trusted proxies."""
    def verify(self, body: bytes) -> Event | Answer: ...

@final
class Answer:
    """What to tell the sender. Only this library makes one."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    reason: str
    """The stable name of a refusal, such as `wrong_signature`; `handshake` for an answered question."""
    message: str
    """For the log: why. Never a secret or a part of the request's body."""
    verified: bool
    """Whether the sender had proven who it is."""
    visit: str | None
    """A URL to visit so that a subscription is confirmed (SNS); the scheme vouches for it."""
    learnt: bool
    """Whether the answer holds only if a secret that came with it is kept: refused here, unless it was kept."""

@final
class Event:
    """A request that was admitted: proof that its bytes were verified. Only `Screened.verify` makes one."""

    source: str
    key: str
    """The de-duplication key: 32 hex digits."""
    id: str | None
    type: str | None
    content: bytes
    """Digest of what was signed, 16 bytes."""
    received_at: int
    quarantine: str | None
    """Why it is kept as a dead letter in place of being handled, if so."""
    headers: list[tuple[str, bytes]]
    body: bytes
    body_expires_at: int
    key_expires_at: int | None
    def data(self) -> Any:
        """The body as Python objects: JSON with its integers exact, or a form as a dict of str to str or list of str.

        None for other bodies, and for one that is quarantined because it is not strict JSON.
        """
    def into_conflict(self) -> Event:
        """The same bytes under a key of their own, quarantined as `id_conflict`."""

def accepted(receiver: Receiver, source: str, duplicate: bool) -> Answer:
    """The one acknowledgement of a source."""

def retry_later(receiver: Receiver, source: str, retry_after: float | None) -> Answer:
    """503 with Retry-After, spread upwards."""

def retry_wait(attempt: int, after: float | None, jitter: float) -> int:
    """Microseconds to wait after the `attempt`-th attempt, the first being 1: by the rule of gateways.

    Exponential backoff with full jitter (`jitter` in 0 … 1, uniformly random), so that events that failed together do
    not come back together. `after`, in seconds, is a lower bound, itself bounded by a day.
    """

def read_body(media_type: str, body: bytes) -> Any:
    """A body of this Content-Type as Python objects: strict JSON, or a form as a dict of str to str or list; None for
    another one.
    """

def parse_json(body: bytes) -> Any:
    """Strict JSON as Python objects: no duplicate keys, NaN, invalid UTF-8, bounded depth. Raises ValueError."""

def verify(
    provider: str,
    headers: Sequence[tuple[str | bytes, str | bytes]],
    body: bytes,
    secrets: Sequence[str],
    *,
    now: int,
    method: str = "POST",
    target: str = "/",
    url: str | None = None,
    tolerance: float | None = None,
    options: Mapping[str, str | Sequence[str]] | None = None,
    verify_token: str | None = None,
) -> Event | Answer:
    """One verification without settings, of a provider whose secret both sides hold.

    Raises ConfigError and SecretError. A question that brings a secret is refused: there is nowhere to keep it.
    """

def providers() -> list[str]: ...

@final
class DynamoDb:
    """Claims on a DynamoDB table, for processes that come and go. Connects at its first call in each process."""

    def __new__(
        cls,
        table: str,
        *,
        region: str | None = None,
        endpoint: str | None = None,
        large_bodies_bucket: str | None = None,
        recovered_by_sender: bool = False,
    ) -> DynamoDb:
        """`recovered_by_sender`: a claimed event whose process died waits for its sender, and not for whoever leases
        next, which saves two writes for each event.
        """
    def claim(self, event: Event, now: int, until: int) -> Claimed:
        """Keeps the event under a lease, or says what holds its key; takes a lease that lapsed or was given back."""
    def accept(self, event: Event, now: int | None = None) -> Claimed:
        """Keeps the event for whoever leases next. `now` is when the event was received, unless it is said."""
    def lease(self, sources: Sequence[str], now: int, until: int, limit: int) -> tuple[list[Leased], int | None]:
        """Up to `limit` due events, and when the next one is due."""
    def extend(self, key: str, token: int, now: int, until: int) -> None: ...
    def settle(
        self,
        key: str,
        token: int,
        outcome: Literal["done", "again", "release", "dead"],
        now: int,
        due_at: int | None = None,
        status: int | None = None,
        note: str = "",
    ) -> None:
        """Says how the work under a lease ended. Raises Fenced when it is no longer the caller's."""
    def get(self, key: str, now: int | None = None) -> Kept | None:
        """What is known of an event. What has expired by `now` (the machine's time, unless it is said) is not there."""
    def list(
        self,
        *,
        source: str | None = None,
        state: str | None = None,
        since: int | None = None,
        before: int | None = None,
        cursor: str | None = None,
        limit: int = 50,
        now: int | None = None,
    ) -> tuple[builtins.list[Kept], str | None]:
        """Events without bodies, and where it goes on: pending or dead ones, the latest first.

        Raises StoreError for other states and for all of them: finding those would take an index or a scan.
        """
    def counts(self, now: int | None = None) -> dict[str, int]:
        """How many are `pending` and `dead`, and since when the oldest one is pending (`oldest_pending`), if any is."""
    def requeue(self, key: str, now: int) -> None: ...
    def discard(self, key: str, now: int) -> None: ...
    def health(self) -> None: ...
    def usage(self) -> builtins.list[tuple[str | None, str, float, float]]:
        """Source, what for, read units, write units; since this process first called."""
    def description(self) -> dict[str, Any]:
        """The live table: status, ttl, encryption, point_in_time_recovery, deletion_protection. None: unreadable."""
    def create(self) -> bool:
        """Creates the table with time to live; False when it was there."""

@final
class Claimed:
    kind: Literal["claimed", "kept", "running", "done", "dead", "conflict", "quarantined"]
    """claimed: the caller has the lease. kept: durable, nobody works on it (accept). running: somebody else has the
    lease, or it waits in the queue. done, dead, quarantined: what has become of it. conflict: other content holds the
    key, and this event was kept as a dead letter."""
    token: int | None
    attempts: int
    new: bool
    """Whether this call made it durable."""
    until: int | None
    """When the lease of whoever works on it lapses."""

@final
class Leased:
    token: int
    until: int
    attempts: int
    replays: int
    event: Kept

@final
class Kept:
    key: str
    source: str
    type: str | None
    id: str | None
    received_at: int
    state: Literal["pending", "done", "archived", "dead", "dropped"]
    dead_reason: str | None
    attempts: int
    replays: int
    due_at: int | None
    body: bytes
    body_bytes: int
    body_expired: bool
    headers: list[tuple[str, bytes]]
    history: list[tuple[int, int | None, str]]
    """Time, status, note; oldest first."""
