"""The pytest plugin: the fixture `webhooks`. Nothing of Django is imported before a test asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hookward.test import Webhooks


@pytest.fixture
def webhooks(request: pytest.FixtureRequest) -> Iterator[Webhooks]:
    """A sender of webhooks for the project under test, a clock that stands still, and what became of events.

    Signs for every source of `WEBHOOKS` that anyone but the sender can sign for, with secrets made for the tests, and
    keeps events in memory. Brings pytest-django's `db` with it: sync handlers run in a transaction.
    """
    try:
        from django.conf import settings

        configured = settings.configured or bool(_named_settings())
    except ImportError:
        configured = False
    if not configured:
        pytest.fail(
            "the fixture `webhooks` needs Django's settings: name them for pytest-django (DJANGO_SETTINGS_MODULE)",
            pytrace=False,
        )
    from hookward.test import webhooks_in_tests

    if request.config.pluginmanager.has_plugin("django"):
        request.getfixturevalue("db")
    with webhooks_in_tests() as webhooks:
        yield webhooks


def _named_settings() -> str | None:
    import os

    return os.environ.get("DJANGO_SETTINGS_MODULE")
