"""Runs kept events: those of queue mode, those whose handler asked to be called again, and those whose request died.

Any number of workers may run, on any number of machines: each event is leased by one of them.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from django.db import close_old_connections, connections
from django.http import HttpRequest
from django.urls import get_resolver

from hookward import _core
from hookward.django.attempt import attempt
from hookward.django.event import of_kept
from hookward.django.handlers import registry
from hookward.django.steps import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hookward.django.runtime import Runtime
    from hookward.django.stores.base import Lease, Leased

logger = logging.getLogger("hookward")

POLL_SECS = 1.0
"""How often a store is asked for new events when nothing is known to be due."""
_EXPIRE_SECS = 3600.0


class Worker:
    """Runs events in threads until it is stopped."""

    def __init__(self, runtime: Runtime, *, threads: int = 4, poll: float = POLL_SECS) -> None:
        self._runtime = runtime
        self._threads = threads
        self._poll = poll
        self._stopped = threading.Event()
        self._finished = threading.Event()
        self._expired_at = time.monotonic()

    def stop(self) -> None:
        """Takes nothing more; `work` returns when what runs has ended. May be called from a signal handler."""
        self._stopped.set()
        self._finished.set()

    def work(self, *, until_idle: bool = False) -> int:
        """Runs events until `stop`, or until nothing is due and nothing runs; how many attempts there were."""
        load_handlers()
        attempts = 0
        running: set[Future[None]] = set()
        with ThreadPoolExecutor(self._threads, thread_name_prefix="webhooks") as pool:
            while not self._stopped.is_set():
                self._finished.clear()
                running = {it for it in running if not it.done()}
                leased, next_due = self._lease(self._threads - len(running))
                for item in leased:
                    future = pool.submit(self._run, item)
                    future.add_done_callback(lambda _: self._finished.set())
                    running.add(future)
                attempts += len(leased)
                self._expire_now_and_then()
                if leased:
                    continue
                if until_idle:
                    if not running:
                        break
                    wait(running, return_when="FIRST_COMPLETED")
                    continue
                if not self._stopped.is_set():
                    self._finished.wait(self._pause(next_due))
        return attempts

    def _lease(self, free: int) -> tuple[list[Leased], int | None]:
        if free <= 0:
            return [], None
        now = self._runtime.clock()
        sources = list(self._runtime.settings.sources)
        close_old_connections()
        try:
            return self._runtime.store.lease(sources, now, now + self._runtime.settings.lease, free)
        except _core.Unavailable:
            logger.exception("webhooks: the store has nothing to say; it is asked again")
            return [], None

    def _pause(self, next_due: int | None) -> float:
        if next_due is None:
            return self._poll
        return min(self._poll, max(0.0, (next_due - self._runtime.clock()) / 1_000_000) + 0.01)

    def _run(self, item: Leased) -> None:
        close_old_connections()
        try:
            run_one(self._runtime, item)
        finally:
            close_old_connections()

    def _expire_now_and_then(self) -> None:
        if time.monotonic() - self._expired_at < _EXPIRE_SECS:
            return
        self._expired_at = time.monotonic()
        with contextlib.suppress(_core.StoreError):
            self._runtime.expire()


def run_some(runtime: Runtime, limit: int) -> int:
    """Leases up to so many due events and runs them one after the other, in this thread."""
    load_handlers()
    ran = 0
    while ran < limit:
        now = runtime.clock()
        leased, _ = runtime.store.lease(list(runtime.settings.sources), now, now + runtime.settings.lease, 1)
        if not leased:
            break
        run_one(runtime, leased[0])
        ran += 1
    return ran


def run_one(runtime: Runtime, item: Leased) -> None:
    """Makes an attempt at a leased event, and holds the lease meanwhile. What fails is logged and told to the store."""
    kept = item.event
    settings = runtime.settings
    event = of_kept(kept, remember_secs=settings.facts[kept.source].remember_secs, database=settings.database)
    try:
        handler = registry.owner(kept.source, kept.type)
        validate = handler.validate if handler is not None else None
        event = event.validated_by(validate or runtime.validator_of(kept.source))
        with _extended(runtime, item.lease):
            run(attempt(runtime, event, handler, lease=item.lease, request=_request(item)))
    except Exception:
        logger.exception(
            "webhook not run: source=%s key=%s: it is tried again when its lease lapses", kept.source, kept.key
        )


def load_handlers() -> None:
    """Imports the URLconf, and with it the views that handle what is kept. The registry was filled when the app got
    ready.
    """
    get_resolver().url_patterns  # noqa: B018, reading it imports it


@contextlib.contextmanager
def _extended(runtime: Runtime, lease: Lease) -> Iterator[None]:
    """Holds the lease as long as the work within lasts."""
    ended = threading.Event()

    def extend() -> None:
        span = runtime.settings.lease
        try:
            while not ended.wait(span / 3_000_000):
                now = runtime.clock()
                try:
                    runtime.store.extend(lease, now, now + span)
                except _core.Fenced:
                    return
                except _core.Unavailable as error:
                    logger.warning("webhook lease not extended yet: %s: %s", lease.key, error)
        finally:
            connections.close_all()

    extender = threading.Timer(0, extend)
    extender.daemon = True
    extender.start()
    try:
        yield
    finally:
        ended.set()
        extender.join()


def _request(item: Leased) -> HttpRequest:
    """What a view that takes a request gets here: method, headers and body, as they were kept."""
    request = HttpRequest()
    request.method = "POST"
    for name, value in item.event.headers:
        written = name.upper().replace("-", "_")
        request.META[written if written == "CONTENT_TYPE" else f"HTTP_{written}"] = value.decode("latin-1")
    request.META["CONTENT_LENGTH"] = str(len(item.event.body))
    request._body = item.event.body  # type: ignore[attr-defined]
    return request
