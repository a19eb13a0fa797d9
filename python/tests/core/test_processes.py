"""A worker that was forked from a process in which everything was used does not hang, and shares nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings

import pytest
from hookward import _core

from .amazon import secrets_manager
from .forks import in_child
from .samples import NOW, OTHER, SECRET, forge, judge, reason, receiver, send, signed

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")


@pytest.fixture(autouse=True)
def forks_with_threads() -> None:
    """Newer Pythons warn of what these tests are about."""
    warnings.filterwarnings("ignore", message=".*multi-threaded.*fork.*", category=DeprecationWarning)


def test_a_receiver_goes_on_in_a_child_whatever_threads_do_in_its_parent() -> None:
    stripe = receiver({"limits": {"unverified": "1000000/s", "unverified_burst": 10_000_000}}, body_max="1MiB")
    large = b'{"id":"evt_1","text":"' + b"x" * 500_000 + b'"}'
    genuine = signed(stripe, large)
    stop = threading.Event()

    def work() -> None:
        # A large body is verified without the GIL, and what is counted for it behind locks.
        while not stop.is_set():
            judge(stripe, genuine, large)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            assert in_child(lambda: [reason(send(stripe)), reason(forge(stripe)), stripe.tend()]) == [
                "event",
                "wrong_signature",
                [],
            ]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert reason(send(stripe)) == "event"


def test_a_head_that_was_screened_before_a_fork_is_verified_after_it() -> None:
    stripe = receiver()
    screened = stripe.screen("stripe", "POST", "/", signed(stripe), "192.0.2.1", NOW)
    assert isinstance(screened, _core.Screened)
    body = b'{"id":"evt_1","object":"event","type":"invoice.paid"}'
    assert in_child(lambda: reason(screened.verify(body))) == "event"


def test_secrets_are_looked_up_again_in_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"hook": SECRET}
    with secrets_manager(monkeypatch, known):
        settings = {"sources": {"stripe": {"provider": "stripe", "secret": "aws-sm:hook"}}}
        stripe = _core.Receiver(_core.Config.parse(settings))
        assert reason(send(stripe)) == "event"
        known["hook"] = OTHER

        def find_it_changed() -> list[object]:
            found: list[object] = [reason(forge(stripe)), stripe.tend_after, stripe.tend(), reason(forge(stripe))]
            # And once more: a child of a child.
            return [*found, in_child(lambda: [_core.Receiver(_core.Config.parse(settings)) is not None])]

        expected = ["wrong_signature", 0.0, ["aws-sm:hook: the secret was changed"], "event", [True]]
        assert in_child(find_it_changed) == expected
        assert in_child(find_it_changed) == expected
        assert find_it_changed() == expected
        del known["hook"]
        stripe.set_budget_clock(1e6)
        assert stripe.tend() == [
            "aws-sm:hook: the secret was changed",
            "sources.stripe: no secret of it counts any more: it takes nothing",
        ]
        assert reason(forge(stripe)) == "wrong_signature"


def test_children_do_not_throw_the_same_dice() -> None:
    stripe = receiver()

    def throws() -> list[str]:
        return [dict(_core.retry_later(stripe, "stripe", 1e6).headers)["retry-after"] for _ in range(5)]

    throws()
    assert in_child(throws) != in_child(throws)


def test_importing_starts_no_thread_and_a_sub_interpreter_is_told_what_to_do() -> None:
    code = """
import os, sys
import hookward
hookward.verification.providers()
threads = len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 1
assert threads == 1, threads
if sys.version_info >= (3, 13):
    import _interpreters as interpreters
    failed = interpreters.exec(interpreters.create("legacy"), "import hookward")
    said = failed.formatted
else:
    import _xxsubinterpreters as interpreters
    try:
        interpreters.run_string(interpreters.create(), "import hookward")
    except interpreters.RunFailedError as error:
        said = str(error)
assert "WSGIApplicationGroup %{GLOBAL}" in said, said
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=120)


def test_a_large_body_is_verified_without_the_gil() -> None:
    stripe = receiver({"limits": {"unverified": "1000000/s", "unverified_burst": 10_000_000}}, body_max="4MiB")
    large = b'{"id":"evt_1","text":"' + b"x" * 4_000_000 + b'"}'
    screened = stripe.screen("stripe", "POST", "/", signed(stripe, large), "192.0.2.1", NOW)
    assert isinstance(screened, _core.Screened)
    order: list[str] = []
    begun = threading.Event()

    def verify() -> None:
        begun.set()
        for _ in range(20):
            screened.verify(large)
        order.append("verified")

    interval = sys.getswitchinterval()
    # Nobody is made to give the GIL up, so that whoever runs meanwhile was let.
    sys.setswitchinterval(1e6)
    try:
        thread = threading.Thread(target=verify)
        thread.start()
        begun.wait()
        order.append("meanwhile")
    finally:
        sys.setswitchinterval(interval)
    thread.join()
    assert order == ["meanwhile", "verified"]


def test_threads_share_a_receiver_and_exceed_nothing_together() -> None:
    stripe = receiver(budget="100/d", burst=100)
    stripe.set_budget_clock(0.0)
    found: list[str] = []

    def work() -> None:
        found.extend(reason(send(stripe)) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found.count("event"), found.count("source_budget")) == (100, 300)


def test_time_passes_for_budgets_by_itself() -> None:
    stripe = receiver(budget="100/s", burst=1)
    deadline = time.monotonic() + 60
    assert reason(send(stripe)) == "event"
    while reason(send(stripe)) != "event":
        assert time.monotonic() < deadline
