"""`manage.py webhooks_send`: a signed webhook, as the sender would send it."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import CommandError
from django.test import Client

from hookward.django import operate
from hookward.django.management.command import OperatorCommand, check_source
from hookward.django.routes import path_of
from hookward.django.runtime import current

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from hookward import _core

# A handler that takes longer would not please the sender either.
_PATIENCE_SECS = 30


class Command(OperatorCommand):
    help = (
        "Signs a file as the source's sender does and posts it: to --url, or without one to the project in this "
        "process, where the handlers then really run. Needs the secrets of the settings. For senders with public keys "
        "only they can sign."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", help="The source of WEBHOOKS to send as.")
        parser.add_argument("fixture", type=Path, metavar="FIXTURE.json", help="The body, sent byte for byte.")
        parser.add_argument("--url", help="Where to post it, such as http://127.0.0.1:8000/hooks/stripe/.")
        parser.add_argument("--id", help="The id for senders that sign one in a header; random when left out.")
        parser.add_argument("--header", action="append", default=[], metavar="NAME:VALUE", help="Another header.")

    def handle(self, *args: Any, **options: Any) -> None:
        source = options["source"]
        check_source(source)
        try:
            body = options["fixture"].read_bytes()
        except OSError as error:
            raise CommandError(f"Cannot read {options['fixture']}: {error.strerror}.") from None
        signed = current().receiver.sign(source, body, options["id"] or f"msg_{uuid.uuid4().hex}", operate.now())
        headers = {"Content-Type": "application/json"} | dict(signed.headers) | dict(map(_header, options["header"]))
        if options["url"]:
            status, answer = _post(options["url"], signed, headers)
        else:
            status, answer = _call(source, signed, headers)
        self.stdout.write(f"{status} {operate.plain(answer.decode(errors='replace'))}")
        if not 200 <= status < 300:
            raise CommandError("It was not accepted. The log of the server says why; the answer does not.")


def _call(source: str, signed: _core.Signed, headers: dict[str, str]) -> tuple[int, bytes]:
    path = path_of(source)
    if path is None:
        raise CommandError(f"No view of the URLconf takes {source!r}: include hookward.django.urls, or give --url.")
    hosts = [host.lstrip(".") for host in settings.ALLOWED_HOSTS if host != "*"]
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    response = client.generic(
        "POST",
        path if signed.query is None else f"{path}?{signed.query}",
        signed.body,
        content_type=headers.pop("Content-Type"),
        headers=headers,
        secure=True,
        SERVER_NAME=hosts[0] if hosts else "localhost",
    )
    return response.status_code, response.content


def _post(url: str, signed: _core.Signed, headers: dict[str, str]) -> tuple[int, bytes]:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CommandError(f"--url {url}: write an absolute http or https URL.")
    if signed.query is not None:
        url = urllib.parse.urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, signed.query)))))
    request = urllib.request.Request(url, signed.body, headers, method="POST")
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=_PATIENCE_SECS) as response:
            return response.status, response.read(4096)
    except urllib.error.HTTPError as error:
        return error.code, error.read(4096)
    except OSError as error:
        raise CommandError(f"{url} does not answer: {getattr(error, 'reason', error)}.") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """No sender follows one: a missing slash in a URL must be seen here."""

    def redirect_request(self, *args: Any) -> None:
        return None


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise CommandError(f"--header {text}: write a name, a colon and a value.")
    return name.strip(), value.strip()
