"""The attacks themselves: a correct receiver withstands them, and each flaw that is planted in one is found by some."""

import unittest
from collections.abc import Callable

import pytest
from hookward import _core
from hookward.attacks import Attack, Request, attacks_on
from hookward.django import settings
from hookward.django.stores.memory import MemoryStore
from hookward.test import Sender, with_secrets

from tests.ops.events import NOW


class Project:
    """A receiver without Django: judges, claims, counts."""

    def __init__(self, provider: str) -> None:
        def config(salt: str) -> _core.Config:
            written = with_secrets({"SOURCES": {provider: {"SCHEME": provider}}}, salt)
            return settings.read(written, literals=True).config

        self.provider = provider
        ours = config("ours")
        self.receiver = _core.Receiver(ours)
        self.sender = Sender(self.receiver, _core.Receiver(config("a stranger's")), ours.sources[0], NOW)
        self.store = MemoryStore()
        self.handled = 0

    def __call__(self, request: Request) -> int:
        answer = self.judge(request)
        if isinstance(answer, _core.Answer):
            return answer.status
        claimed = self.store.claim(answer, NOW, NOW + 60_000_000)
        if claimed.kind == "claimed":
            self.handled += 1
            self.store.settle(claimed.lease, "done", NOW)
        return 200

    def judge(self, request: Request) -> _core.Event | _core.Answer:
        target = f"/hooks?{request.query}" if request.query else "/hooks"
        headers = [(name.encode(), value.encode("latin-1")) for name, value in request.headers]
        screened = self.receiver.screen(self.provider, request.method, target, headers, "192.0.2.1", NOW)
        return screened if isinstance(screened, _core.Answer) else screened.verify(request.body)


def withstands(project: Callable[[Request], int], sender: Sender, attack: Attack, handled: Callable[[], int]) -> bool:
    *genuine, forged = attack.requests(sender)
    for request in genuine:
        assert project(request) == 200, "the genuine event is accepted"
    return project(forged) in attack.statuses and handled() <= attack.effects


def can_be_set_up(provider: str) -> bool:
    """Whether a source of this provider needs no more than a secret that anyone can make."""
    try:
        Project(provider)
    except (_core.HookwardError, settings.SettingsError):
        return False
    return True


PROVIDERS = [provider for provider in _core.providers() if can_be_set_up(provider)]


def test_most_senders_can_be_played():
    assert len(PROVIDERS) > 100


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_core_withstands(provider):
    assert found_in(Project, provider) == set()


@pytest.mark.parametrize(
    "provider", ["stripe", "github", "slack", "shopify", "standard-webhooks", "zoom", "gitlab", "paddle"]
)
def test_genuine_events_are_handled(provider):
    project = Project(provider)
    assert project(project.sender.signed(attacks_on(provider)[0].payload)) == 200
    assert project.handled == 1


def found_in(flawed: type[Project], provider: str) -> set[str]:
    """The attacks that a receiver with a flaw does not withstand."""
    found = set()
    for attack in attacks_on(provider):
        project = flawed(provider)
        try:
            if not withstands(project, project.sender, attack, lambda project=project: project.handled):
                found.add(attack.name)
        except unittest.SkipTest:
            continue
    return found


class Believes(Project):
    """Verifies nothing."""

    def __call__(self, request):
        self.handled += 1
        return 200


class ForgetsThatItCame(Project):
    """Verifies, and takes everything for new."""

    def __call__(self, request):
        self.store = MemoryStore()
        return super().__call__(request)


class TrustsIdHeaders(Project):
    """Takes an unsigned header for the identity of an event."""

    def __call__(self, request):
        if request.header("X-Event-Id"):
            self.store = MemoryStore()
        return super().__call__(request)


class TakesOldOnes(Project):
    """Verifies with a clock that is whatever the request says."""

    def judge(self, request):
        for off in (-301, 301, 0):
            headers = list(request.headers)
            screened = self.receiver.screen(
                self.provider, request.method, "/hooks", headers, "192.0.2.1", NOW + off * 1_000_000
            )
            if isinstance(screened, _core.Screened):
                return screened.verify(request.body)
        return screened


class Crashes(Project):
    """Answers what it cannot read with 500."""

    def judge(self, request):
        answer = super().judge(request)
        if isinstance(answer, _core.Event) and answer.quarantine:
            return super().judge(request.with_header("stripe-signature", None))
        return answer

    def __call__(self, request):
        status = super().__call__(request)
        return status if status == 200 else 500


@pytest.mark.parametrize(
    ("flawed", "by"),
    [
        (
            Believes,
            {"tampered_body", "wrong_secret", "missing_signature", "truncated_signature", "stale", "replay", "nan"},
        ),
        (ForgetsThatItCame, {"replay", "replay_under_new_ids"}),
        (TrustsIdHeaders, {"replay_under_new_ids"}),
        (TakesOldOnes, {"stale", "future"}),
        (Crashes, {"missing_signature", "not_json", "deep_nesting"}),
    ],
)
def test_finds_planted_flaws(flawed, by):
    assert by <= found_in(flawed, "stripe")


def test_names_are_readable_and_there_once():
    names = [attack.__name__ for attack in attacks_on("stripe")]
    assert len(set(names)) == len(names) >= 30
    assert str(attacks_on("stripe")[0]) == "stripe: tampered_body"
