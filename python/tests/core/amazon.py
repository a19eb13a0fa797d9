"""A stand-in for AWS Secrets Manager, on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@contextmanager
def secrets_manager(monkeypatch: pytest.MonkeyPatch, secrets: dict[str, str]) -> Iterator[None]:
    """Has the environment lead to a server that knows these secrets, by name, as they are when it is asked."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            text = secrets.get(asked["SecretId"]) if asked["VersionStage"] == "AWSCURRENT" else None
            if text is None:
                self.answer(400, {"__type": "ResourceNotFoundException", "Message": "not found"})
            else:
                self.answer(200, {"Name": asked["SecretId"], "SecretString": text, "VersionId": str(hash(text))})

        def answer(self, status: int, content: dict[str, str]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", "application/x-amz-json-1.1")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://127.0.0.1:{server.server_port}")
    for name, value in [
        ("AWS_ACCESS_KEY_ID", "hookwardtest"),
        ("AWS_SECRET_ACCESS_KEY", "hookwardtest"),
        ("AWS_REGION", "eu-central-1"),
    ]:
        monkeypatch.setenv(name, value)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
