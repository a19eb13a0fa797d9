"""A Django request as the core judges it: the bytes that came, and nothing that was made of them."""

from __future__ import annotations

import io
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, RawPostDataException, UnreadablePostError

Header = tuple[str | bytes, str | bytes]


class Refused(Exception):
    """The body cannot be taken. Its sender is told `status`; nobody has been proven yet."""

    def __init__(self, status: int, code: str, told: str, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.code = code
        self.told = told


def headers(request: HttpRequest) -> list[Header]:
    """As they came. Under ASGI each of several with one name; a WSGI server has joined those already."""
    scope = getattr(request, "scope", None)
    if scope is not None:
        return list(scope["headers"])
    found: list[Header] = []
    for name, value in request.META.items():
        if name.startswith("HTTP_"):
            found.append((name[5:].replace("_", "-").lower(), _bytes(value)))
        elif name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            found.append((name.replace("_", "-").lower(), _bytes(value)))
    return found


def target(request: HttpRequest) -> str:
    """Path and query, as the sender wrote them, as far as the server tells."""
    return request.get_full_path()


def peer(request: HttpRequest, proxies: int) -> str:
    """Who opened the connection; or whom the outermost of so many proxies of our own speaks for.

    What a stranger writes into X-Forwarded-For stands further to the left, and is not believed.
    """
    opened_by = str(request.META.get("REMOTE_ADDR") or "")
    if proxies <= 0:
        return opened_by
    forwarded = [it.strip() for it in _forwarded(request).split(",")]
    if len(forwarded) < proxies:
        return opened_by
    return _address(forwarded[-proxies]) or opened_by


def body(request: HttpRequest, limit: int) -> bytes:
    """All of it, read once. Raises Refused, without having read more than the limit."""
    limit, declared = _limit_and_declared(request, limit)
    try:
        read = request.body if declared >= 0 or hasattr(request, "_body") else _of_unknown_length(request, limit)
    except RawPostDataException:
        raise Refused(
            500,
            "body_was_read",
            "The endpoint is not set up right.",
            "something before the view (a middleware, probably) has read request.POST or the body's stream, so that the"
            " signature cannot be verified: let it leave the paths of webhooks alone",
        ) from None
    except UnreadablePostError as error:
        raise Refused(400, "body_incomplete", "The body did not arrive.", f"its body did not arrive: {error}") from None
    if len(read) > limit:
        raise _too_large(limit)
    return read


async def body_of(receive: Callable[[], Awaitable[dict[str, Any]]], request: HttpRequest, limit: int) -> bytes:
    """All of it from an ASGI server. Raises Refused, without having read more than the limit."""
    limit, _ = _limit_and_declared(request, limit)
    chunks: list[bytes] = []
    left, more = limit, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "body_incomplete", "The body did not arrive.", "its sender hung up before its end")
        chunks.append(message.get("body", b""))
        left -= len(chunks[-1])
        more = message.get("more_body", False)
        if left < 0:
            raise _too_large(limit)
    return _has_read(request, b"".join(chunks))


def _limit_and_declared(request: HttpRequest, limit: int) -> tuple[int, int]:
    """The most that is read, and the length that was told: -1, if none was. Raises Refused where that is too much."""
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    limit = limit if most is None else min(limit, most)
    try:
        declared = int(request.META.get("CONTENT_LENGTH") or -1)
    except ValueError:
        raise Refused(400, "bad_framing", "The length is no number.", "its Content-Length is no number") from None
    if declared > limit:
        raise _too_large(limit)
    return limit, declared


def _of_unknown_length(request: HttpRequest, limit: int) -> bytes:
    """A body without a declared length: chunked, or HTTP/2."""
    stream: Any = request
    if not hasattr(request, "scope"):
        environ = getattr(request, "environ", {})
        if "HTTP_TRANSFER_ENCODING" not in request.META:
            return request.body
        if not environ.get("wsgi.input_terminated"):
            raise Refused(
                411,
                "length_required",
                "Say the length of the body.",
                "it is chunked, and this WSGI server does not say where a body ends",
            )
        # Django itself would take it for empty.
        stream = environ["wsgi.input"]
    return _has_read(request, stream.read(limit + 1))


def _has_read(request: HttpRequest, read: bytes) -> bytes:
    """Makes it what `request.body` gives from now on."""
    request._body = read
    request._stream = io.BytesIO(read)  # type: ignore[attr-defined]
    return read


def _too_large(limit: int) -> Refused:
    return Refused(413, "body_too_large", "The body is too large.", f"its body is larger than {limit} bytes")


def _forwarded(request: HttpRequest) -> str:
    scope = getattr(request, "scope", None)
    if scope is None:
        return str(request.META.get("HTTP_X_FORWARDED_FOR", ""))
    return ",".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for")


def _address(written: str) -> str | None:
    """An address, as proxies write it: alone, with a port, or in brackets."""
    for candidate in (written, written.partition("]")[0].lstrip("["), written.rpartition(":")[0]):
        try:
            return str(ipaddress.ip_address(candidate))
        except ValueError:
            continue
    return None


def _bytes(value: Any) -> bytes:
    return value.encode("latin-1", "replace") if isinstance(value, str) else str(value).encode()
