"""The vectors that judge the core in Rust too: a file for each provider."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hookward import _core

FOLDER = Path(__file__).parents[3] / "crates/hookward-core/tests/vectors"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
PEER = "192.0.2.1"


def file(provider: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / f"{provider}.json").read_text())
    return content


@dataclass(frozen=True)
class Sent:
    """A request to a source, as a file says it."""

    provider: str
    now: int
    secrets: list[str]
    url: str | None
    options: dict[str, list[str]]
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    verify_token: str | None

    @staticmethod
    def of(whole: dict[str, Any], case: dict[str, Any]) -> Sent:
        body = base64.b64decode(case["body_base64"]) if "body_base64" in case else case["body"].encode()
        return Sent(
            provider=whole["provider"],
            now=case.get("now", whole["now"]) * 1_000_000,
            secrets=case.get("secrets", whole["secrets"]),
            url=case.get("url", whole.get("url")),
            options=case.get("options", whole.get("options", {})),
            method=case.get("method", "POST"),
            target=case.get("target", f"/hooks/{whole['provider']}"),
            headers=[(name, value) for name, value in case["headers"]],
            body=body,
            verify_token=case.get("verify_token"),
        )

    def receiver(self, learned: Path | None = None) -> _core.Receiver:
        """`learned` is the file for a secret that the sender brings, where there is none yet."""
        source: dict[str, Any] = {"provider": self.provider, "options": self.options, "url": self.url}
        if self.secrets:
            source["secrets"] = self.secrets
        elif learned is not None:
            source["secret"] = f"learned:{learned}"
        settings = {"sources": {self.provider: source}}
        return _core.Receiver(_core.Config.parse(settings, literals=True))

    def judge(self, receiver: _core.Receiver) -> _core.Event | _core.Answer:
        headers = [(name, value.encode()) for name, value in self.headers]
        screened = receiver.screen(self.provider, self.method, self.target, headers, PEER, self.now)
        return screened if isinstance(screened, _core.Answer) else screened.verify(self.body)

    def verify(self) -> _core.Event | _core.Answer:
        return _core.verify(
            self.provider,
            self.headers,
            self.body,
            self.secrets,
            now=self.now,
            method=self.method,
            target=self.target,
            url=self.url,
            options=self.options,
            verify_token=self.verify_token,
        )
