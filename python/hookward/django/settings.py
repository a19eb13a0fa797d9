"""`WEBHOOKS` as written, and what it means. Reads no secret and asks nobody.

Its language is that of docs/configuration.md in upper case, with nested dicts for its tables. Keys that are names or
JSON pointers (`OPTIONS`, `EXPECT`, `SCHEMAS`, `REQUIRE` …) stay as they are. Durations may be `timedelta`s. What Django
people are used to is understood too: `SCHEME` for `PROVIDER`, `RATE` for `BUDGET` (both `"50/s"`), `MAX_BODY` (bytes,
or `"256KiB"`) for `BODY_MAX`.

Beside that:

- at the top: `SOURCES`, `DEFAULTS` (keys of every source), `MODE`, `STORE`, `DATABASE`, `ATTEMPTS`, `LEASE`, `ATOMIC`,
  `QUEUE`, `GATEWAY`, `TRUSTED_PROXIES`, `CLIENT_ADDRESS_HEADER`, `LIMITS`, `SECRETS`
- in a source: `MODEL`, `ATOMIC`
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, get_args

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.test import utils as test_utils

from hookward import _core

Mode = Literal["inline", "queue", "gateway"]

ATTEMPTS = 16
"""As the gateway's destinations."""
GATEWAY = "gateway"
"""As what the core knows the gateway, in gateway mode: one sender for all sources."""
LEASE_SECS = 60
"""Longer than servers let a request run (gunicorn: 30 s), so that no event is run by two while one of them lives."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in the settings, in the shape of the core's diagnostics."""

    path: str
    message: str
    help: str | None = None
    severity: Literal["error", "warning"] = "error"


class SettingsError(ImproperlyConfigured):
    """`WEBHOOKS` is wrong. `diagnostics` has all that is, not only the first."""

    def __init__(self, diagnostics: list[_core.Diagnostic | Problem]) -> None:
        super().__init__("\n".join(_sentence(it) for it in diagnostics))
        self.diagnostics = diagnostics


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """What Django has to know of a source; the rest is the core's."""

    model: Any
    atomic: bool
    rejects_malformed: bool


@dataclass(frozen=True, slots=True)
class TableSettings:
    """The DynamoDB table that events are kept on."""

    table: str
    region: str | None
    endpoint: str | None
    large_bodies_bucket: str | None
    recovery: Literal["sender", "worker"]
    """Who comes back, in inline mode, for an event whose process died in its handler. Its sender had no answer and
    tries again; that a worker finds it too takes two more writes for each event. What was answered is safe in any case.
    """


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Settings without contradictions. Secrets are references that nobody has followed yet."""

    config: _core.Config = field(repr=False)
    facts: Mapping[str, _core.SourceFacts] = field(repr=False)
    sources: Mapping[str, SourceSettings]
    mode: Mode
    table: TableSettings | None
    """None: the project's database."""
    database: str
    """The alias of events (with the ORM store) and of the marks of effects."""
    attempts: int
    lease: int
    """Microseconds."""
    queue: str
    """Who runs events in queue mode: `worker`, `django.tasks`, `celery`, `rq`, or a dotted path of a function."""
    proxies: int
    """How many addresses proxies of our own have put at the right end of X-Forwarded-For; 0 leaves it to the core."""

    def sender(self, source: str) -> str:
        """As whom the core knows who sends the webhooks of a source."""
        return GATEWAY if self.mode == "gateway" and source in self.sources else source


def read(webhooks: Mapping[str, Any], *, literals: bool) -> WebhookSettings:
    """What a `WEBHOOKS` means. `literals`: whether secrets may be written in it. Raises SettingsError with all
    mistakes.
    """
    problems: list[_core.Diagnostic | Problem] = []
    if not isinstance(webhooks, Mapping):
        raise SettingsError([Problem("", "is no dict")])
    reader = _Reader(webhooks, problems)
    mode = reader.choice("MODE", get_args(Mode), "inline")
    proxies = reader.get("TRUSTED_PROXIES", (int, list, tuple), 0)
    defaults = _synonyms("defaults", reader.get("DEFAULTS", (Mapping,), {}), problems)
    written_sources = reader.get("SOURCES", (Mapping,), {})
    sources, of_core = {}, {}
    for name, source in written_sources.items():
        if not isinstance(source, Mapping):
            problems.append(Problem(f"sources.{name}", "is no dict"))
            continue
        keys = defaults | _synonyms(f"sources.{name}", source, problems)
        sources[name] = SourceSettings(
            model=keys.pop("MODEL", None),
            atomic=bool(keys.pop("ATOMIC", webhooks.get("ATOMIC", True))),
            rejects_malformed=keys.get("MALFORMED") == "reject",
        )
        of_core[name] = _lower(keys)
    if mode == "gateway":
        of_core = _behind_gateway(of_core, reader.get("GATEWAY", (Mapping,), {}), problems)
    written = {
        "sources": of_core,
        "limits": _lower(reader.get("LIMITS", (Mapping,), {})),
        "secrets": _lower(reader.get("SECRETS", (Mapping,), {})),
        "server": {
            "trusted_proxies": None if isinstance(proxies, int) else list(proxies),
            "client_address_header": reader.get("CLIENT_ADDRESS_HEADER", (str,), None),
        },
    }
    result: dict[str, Any] = {
        "sources": sources,
        "mode": mode,
        "table": _table(reader.get("STORE", (str, Mapping), "database"), problems),
        "database": reader.get("DATABASE", (str,), "default"),
        "attempts": reader.at_least_one("ATTEMPTS", ATTEMPTS),
        "lease": _micros(reader.get("LEASE", (int, timedelta), LEASE_SECS)),
        "queue": reader.get("QUEUE", (str,), "worker"),
        "proxies": proxies if isinstance(proxies, int) else 0,
    }
    if result["lease"] <= 0:
        problems.append(Problem("LEASE", "is no time in which anything can be done"))
    reader.refuse_others()
    try:
        config = _core.Config.parse(written, literals=literals)
    except _core.ConfigError as error:
        raise SettingsError([*problems, *error.diagnostics]) from None
    except TypeError as error:
        raise SettingsError([*problems, Problem("", str(error))]) from None
    if problems:
        raise SettingsError(problems)
    return WebhookSettings(config=config, facts={it.name: it for it in config.sources}, **result)  # type: ignore[arg-type]


def current() -> WebhookSettings:
    """What the project's settings mean, read anew. Raises SettingsError.

    Secrets may stand in them literally with DEBUG, and in a test run.
    """
    in_test_run = hasattr(test_utils._TestState, "saved_data")
    return read(getattr(django_settings, "WEBHOOKS", {}), literals=django_settings.DEBUG or in_test_run)


_TOP = (
    "SOURCES",
    "DEFAULTS",
    "MODE",
    "STORE",
    "DATABASE",
    "ATTEMPTS",
    "LEASE",
    "ATOMIC",
    "QUEUE",
    "GATEWAY",
    "TRUSTED_PROXIES",
    "CLIENT_ADDRESS_HEADER",
    "LIMITS",
    "SECRETS",
)
_SYNONYMS = {"SCHEME": "PROVIDER", "RATE": "BUDGET", "MAX_BODY": "BODY_MAX"}
# Tables whose keys are names, and no keys of ours.
_FREE = ("OPTIONS", "SCHEMAS", "EXPECT", "REQUIRE", "MORE", "WHEN", "CHECK", "JSON", "HEADERS")


class _Reader:
    """Takes keys out of a mapping, and remembers which."""

    def __init__(self, written: Mapping[str, Any], problems: list[_core.Diagnostic | Problem]) -> None:
        self.written = written
        self.problems = problems

    def get(self, key: str, kinds: tuple[type, ...], default: Any) -> Any:
        value = self.written.get(key)
        if value is None:
            return default
        if isinstance(value, kinds) and not isinstance(value, bool):
            return value
        wanted = " or ".join("dict" if kind is Mapping else kind.__name__ for kind in kinds)
        self.problems.append(Problem(key, f"expected {wanted}; found {type(value).__name__}"))
        return default

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        value = self.get(key, (str,), default)
        if value in choices:
            return str(value)
        self.problems.append(Problem(key, f"is none of {', '.join(choices)}", _near(value, choices)))
        return default

    def at_least_one(self, key: str, default: int) -> int:
        value = self.get(key, (int,), default)
        if value < 1:
            self.problems.append(Problem(key, "is less than 1"))
        return int(value)

    def refuse_others(self) -> None:
        atomic = self.written.get("ATOMIC")
        if not isinstance(atomic, bool | None):
            self.problems.append(Problem("ATOMIC", f"expected True or False; found {type(atomic).__name__}"))
        for key in self.written:
            if key not in _TOP:
                known = _near(key, _TOP) or f"known here: {', '.join(_TOP)}"
                self.problems.append(Problem(str(key), f'unknown key "{key}"', known))


def _table(store: str | Mapping[str, Any], problems: list[_core.Diagnostic | Problem]) -> TableSettings | None:
    if store == "database":
        return None
    texts = ("TABLE", "REGION", "ENDPOINT", "LARGE_BODIES_BUCKET")
    known = (*texts, "RECOVERY")
    if isinstance(store, str) or not isinstance(store.get("TABLE"), str):
        problems.append(Problem("STORE", 'is neither "database" nor a dict with the TABLE of DynamoDB'))
        return None
    for key, value in store.items():
        if key not in known:
            problems.append(Problem(f"STORE.{key}", f'unknown key "{key}"', _near(key, known)))
        elif value is not None and not isinstance(value, str):
            problems.append(Problem(f"STORE.{key}", f"expected str; found {type(value).__name__}"))
    recovery: Any = store.get("RECOVERY") or "worker"
    if recovery not in ("sender", "worker"):
        problems.append(Problem("STORE.RECOVERY", "is neither sender nor worker"))
    return TableSettings(
        store["TABLE"], store.get("REGION"), store.get("ENDPOINT"), store.get("LARGE_BODIES_BUCKET"), recovery
    )


def _behind_gateway(
    sources: dict[str, Any], gateway: Mapping[str, Any], problems: list[_core.Diagnostic | Problem]
) -> dict[str, Any]:
    """Sources as the gateway delivers their events: it has verified them, and signs for that."""
    if not gateway.get("SECRETS"):
        problems.append(
            Problem(
                "GATEWAY",
                "has no SECRETS",
                "list what the gateway's destination has as its secret, and its previous one",
            )
        )
    known = ("SECRETS", "TOLERANCE")
    problems += [
        Problem(f"GATEWAY.{key}", f'unknown key "{key}"', _near(key, known)) for key in gateway if key not in known
    ]
    largest = [source["body_max"] for source in sources.values() if "body_max" in source]
    if any(not isinstance(it, str) for it in largest) or len(set(largest)) > 1:
        problems.append(Problem("MODE", "gateway: sources have different MAX_BODY: put one into DEFAULTS"))
    delivery = {
        "provider": "standard-webhooks",
        **_lower(gateway),
        "id": "header",
        "type": "none",
        "malformed": "quarantine",
    }
    return {GATEWAY: delivery | ({"body_max": largest[0]} if largest else {})}


def _synonyms(path: str, written: Mapping[str, Any], problems: list[_core.Diagnostic | Problem]) -> dict[str, Any]:
    """The same with one name for one thing."""
    keys = {}
    for key, value in written.items():
        name = _SYNONYMS.get(key, key)
        if name != key and name in written:
            problems.append(
                Problem(f"{path}.{key.lower()}", f'"{key}" is another word for "{name}": only one may be there')
            )
        keys[name] = f"{value}B" if name == "BODY_MAX" and type(value) is int else value
    return keys


def _lower(written: Any, *, free: bool = False) -> Any:
    if isinstance(written, Mapping):
        return {
            key if free or not isinstance(key, str) else key.lower(): _lower(value, free=not free and key in _FREE)
            for key, value in written.items()
        }
    if isinstance(written, list | tuple):
        return [_lower(it) for it in written]
    return written


def _micros(duration: int | timedelta) -> int:
    if isinstance(duration, timedelta):
        return duration // timedelta(microseconds=1)
    return duration * 1_000_000


def _near(word: Any, known: tuple[str, ...]) -> str | None:
    near = difflib.get_close_matches(str(word).upper(), [it.upper() for it in known], 1)
    found = next((it for it in known if near and it.upper() == near[0]), None)
    return None if found is None else f'did you mean "{found}"?'


def _sentence(diagnostic: _core.Diagnostic | Problem) -> str:
    place = "WEBHOOKS" + "".join(f"[{part}]" for part in _parts(diagnostic.path))
    return f"{place}: {diagnostic.message}" + (f"; {diagnostic.help}" if diagnostic.help else "")


def _parts(path: str) -> Iterator[str]:
    """The keys of a path as this file's settings write them."""
    for depth, part in enumerate(it for it in path.split(".") if it):
        key, bracket, index = part.partition("[")
        yield f'"{key}"' if depth == 1 else f'"{key.upper()}"'
        if bracket:
            yield index.rstrip("]")
