"""What a process has of webhooks, made when it is first needed: settings, receiver, store, keeper. Made anew when
settings change.

`current()` is public to the commands, the admin and the test plugin of this package.
"""

from __future__ import annotations

import os
import threading
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.core.signals import setting_changed
from django.dispatch import receiver as on_signal

from hookward import _core
from hookward.django import settings
from hookward.django.keeper import Keeper
from hookward.django.validation import Validate, validator

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookward.django.settings import WebhookSettings
    from hookward.django.stores.base import Store

# How long it is remembered that a secret could not be found: forgers must not make us ask AWS each time.
_MISSING_SECRET_SECS = 5.0


def now() -> int:
    """Whole microseconds since 1970. The only place of this package that asks the wall clock."""
    return time.time_ns() // 1_000


class Runtime:
    """One set of settings at work."""

    def __init__(self, read: WebhookSettings, *, clock: Callable[[], int] = now, store: Store | None = None) -> None:
        self.settings = read
        self.clock = clock
        self.keeper = Keeper(self)
        self._lock = threading.Lock()
        self._receiver: _core.Receiver | None = None
        self._without: tuple[_core.HookwardError, float] | None = None
        self._validators: dict[str, Validate | None] = {}
        if store is not None:
            self.store = store

    @property
    def receiver(self) -> _core.Receiver:
        """Raises SecretError while secrets cannot be found."""
        if self._receiver is None:
            with self._lock:
                if self._receiver is None:
                    self._receiver = self._find_secrets()
        return self._receiver

    @cached_property
    def store(self) -> Store:
        table = self.settings.table
        if table is None:
            from hookward.django.stores.orm import OrmStore

            return OrmStore(self.settings.database)
        from hookward.django.stores.dynamodb import DynamoDbStore

        return DynamoDbStore(
            _core.DynamoDb(
                table.table,
                region=table.region,
                endpoint=table.endpoint,
                large_bodies_bucket=table.large_bodies_bucket,
                recovered_by_sender=table.recovery == "sender",
            )
        )

    @property
    def is_transactional(self) -> bool:
        """Whether the store is the database of handlers, so that the end of an event commits together with their
        changes.
        """
        return hasattr(self.store, "hold")

    def validator_of(self, source: str) -> Validate | None:
        """That of the source's MODEL. Raises ImproperlyConfigured for what is no model."""
        if source not in self._validators:
            model: Any = self.settings.sources[source].model
            self._validators[source] = None if model is None else validator(model)
        return self._validators[source]

    def expire(self) -> int:
        """Forgets events and marks of effects that are past their time; how many. To be called now and then."""
        from hookward.django.stores.orm import forget_effects

        at = self.clock()
        return self.store.expire(at) + forget_effects(self.settings.database, at)

    def _find_secrets(self) -> _core.Receiver:
        if self._without is not None and time.monotonic() < self._without[1]:
            raise self._without[0]
        try:
            return _core.Receiver(self.settings.config)
        except _core.HookwardError as error:
            self._without = (error, time.monotonic() + _MISSING_SECRET_SECS)
            raise


_lock = threading.Lock()
_current: Runtime | None = None


def current() -> Runtime:
    """That of the project's settings. Raises SettingsError."""
    global _current
    runtime = _current
    if runtime is None:
        with _lock:
            if _current is None:
                _current = Runtime(settings.current())
            runtime = _current
    return runtime


def replace(runtime: Runtime | None) -> Runtime | None:
    """For tests: puts another one in place, or None to make it anew; returns the former one."""
    global _current
    with _lock:
        former, _current = _current, runtime
    if former is not None and former is not runtime:
        former.keeper.stop()
    return former


def _after_fork() -> None:
    """A thread of the parent may have held these."""
    global _lock
    _lock = threading.Lock()
    if _current is not None:
        _current._lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


@on_signal(setting_changed, dispatch_uid="hookward.django.runtime")
def _forget(*, setting: str, **_: Any) -> None:
    if setting in ("WEBHOOKS", "DEBUG", "DATABASES"):
        replace(None)
