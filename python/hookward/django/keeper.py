"""What has to be done now and then in each process: looking secrets up again, fetching published keys, confirming
subscriptions, forgetting what is past its time.

A daemon thread does it. It is started by the first request of a process, and by the first one after a fork, never at
import.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import queue
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

from django.db import connections

if TYPE_CHECKING:
    from hookward import _core
    from hookward.django.runtime import Runtime

logger = logging.getLogger("hookward")

# What is fetched is a page of keys or a short confirmation.
_ANSWER_BYTES_MAX = 256 * 1024
_TIMEOUT_SECS = 10.0
_EXPIRE_SECS = 3600.0
# Keys become due by the clock and by requests that name an unknown one: so often is asked.
_PAUSE_MAX_SECS = 5.0
_VISITS_MAX = 100
# Client errors after which asking again may bring something else.
_NOT_FINAL = (408, 429)


class Keeper:
    """The thread of one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        # By process: no lock, since a fork may find one that nobody in the child gives back.
        self._starters: dict[int, object] = {}
        self._stopped = threading.Event()
        self._wanted = threading.Event()
        self._visits: queue.Queue[str] = queue.Queue(_VISITS_MAX)

    def ensure(self) -> None:
        """Starts the thread where there is none in this process."""
        process, starter = os.getpid(), object()
        if process in self._starters or self._starters.setdefault(process, starter) is not starter:
            return
        self._stopped, self._wanted = threading.Event(), threading.Event()
        self._visits = queue.Queue(_VISITS_MAX)
        thread = threading.Thread(target=self._run, args=(self._stopped, self._wanted), name="hookward-keeper")
        thread.daemon = True
        thread.start()

    def wake(self) -> None:
        """Says that there may be something to do: a signature was wrong, or keys are missing."""
        self._wanted.set()

    def visit(self, url: str) -> None:
        """Will fetch a URL that a sender's signature vouches for. More than a few at once are left to the sender's next
        try.
        """
        try:
            self._visits.put_nowait(url)
        except queue.Full:
            logger.warning("webhooks: too many subscriptions to confirm at once; left one to its sender's next try")
        self.wake()

    def stop(self) -> None:
        """Ends the thread when it is next idle."""
        self._stopped.set()
        self._wanted.set()

    def tend(self) -> None:
        """One round, without forgetting anything."""
        receiver = self._runtime.receiver
        if receiver.tend_after <= 0:
            for change in receiver.tend():
                logger.warning("webhooks: %s", change)
        for key_fetch in receiver.keys_due(self._runtime.clock()):
            _fetch_keys(key_fetch, self._runtime)
        while True:
            try:
                url = self._visits.get_nowait()
            except queue.Empty:
                return
            _confirm(url)

    def _run(self, stopped: threading.Event, wanted: threading.Event) -> None:
        expire_at = time.monotonic() + _EXPIRE_SECS
        while not stopped.is_set():
            try:
                self.tend()
                # By the clock and not by rounds: forged requests make rounds.
                if time.monotonic() >= expire_at:
                    expire_at = time.monotonic() + _EXPIRE_SECS
                    self._expire()
                pause = min(max(self._runtime.receiver.tend_after, 0.05), _PAUSE_MAX_SECS)
            except Exception:
                logger.exception("webhooks: upkeep failed, and is tried again")
                pause = _PAUSE_MAX_SECS
            wanted.wait(pause)
            wanted.clear()

    def _expire(self) -> None:
        try:
            self._runtime.expire()
        finally:
            connections.close_all()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


# No proxies of the environment are left out: that is where a company lets traffic out.
_opener = urllib.request.build_opener(_NoRedirects)


def _fetch(url: str, post: bytes | None = None) -> tuple[bytes, int | None]:
    """The content, and for how many seconds it is good. Raises OSError or ValueError."""
    _refuse_unsafe(url)
    headers = {"Accept": "application/json"}
    if post is not None:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data=post, headers=headers)
    with _opener.open(request, timeout=_TIMEOUT_SECS) as answer:
        body = answer.read(_ANSWER_BYTES_MAX + 1)
        if len(body) > _ANSWER_BYTES_MAX:
            raise ValueError(f"more than {_ANSWER_BYTES_MAX} bytes came")
        age = re.search(r"max-age=(\d{1,9})", answer.headers.get("Cache-Control") or "")
        return body, int(age[1]) if age else None


def _refuse_unsafe(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        return
    host = parts.hostname or ""
    try:
        is_here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_here = host == "localhost"
    if parts.scheme != "http" or not is_here:
        raise ValueError("it is neither https nor on this machine")


def _fetch_keys(wanted: _core.KeyFetch, runtime: Runtime) -> None:
    host = urllib.parse.urlsplit(wanted.url).hostname
    try:
        body, max_age = _fetch(wanted.url, wanted.post)
    except urllib.error.HTTPError as error:
        error.close()
        if 400 <= error.code < 500 and error.code not in _NOT_FINAL:
            wanted.not_there(runtime.clock())
        else:
            wanted.failed(runtime.clock())
        logger.warning("webhooks: keys could not be fetched from %s: it answered %d", host, error.code)
    except (OSError, ValueError) as error:
        wanted.failed(runtime.clock())
        logger.warning("webhooks: keys could not be fetched from %s: %s", host, type(error).__name__)
    else:
        if not wanted.here(body, max_age, runtime.clock()):
            logger.warning("webhooks: what %s publishes is no key that was asked for", host)


def _confirm(url: str) -> None:
    host = urllib.parse.urlsplit(url).hostname
    try:
        _fetch(url)
    except (OSError, ValueError) as error:
        logger.error("webhooks: a subscription could not be confirmed at %s: %s", host, error)
    else:
        logger.info("webhooks: confirmed a subscription at %s", host)
