"""A store that is not there: the sender is told to come again, and nothing that was taken is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.servers.conftest import NewSite
from tests.servers.proxy import Proxy
from tests.servers.running_site import Site
from tests.servers.server import gunicorn, uvicorn

SERVERS = {"gunicorn": gunicorn(2, 8), "uvicorn": uvicorn(workers=1)}


@contextmanager
def locked(site: Site) -> Iterator[None]:
    """Somebody else writes, and does not come to an end."""
    with closing(sqlite3.connect(site.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def removed(site: Site) -> Iterator[None]:
    """The file of the database is not there. SQLite makes an empty one for whoever asks."""
    aside = site.folder / "aside"
    site.database.rename(aside)
    yield
    aside.replace(site.database)


@pytest.mark.parametrize("store", ["orm"], indirect=True)
@pytest.mark.parametrize("outage", [locked, removed])
@pytest.mark.parametrize("mode", ["inline", "queue"])
@pytest.mark.parametrize("server", SERVERS)
def test_database(new_site: NewSite, server: str, mode: str, outage: type) -> None:
    site = new_site(mode)
    site.environment["SITE_DATABASE_TIMEOUT"] = "0.2"
    with site.serve(SERVERS[server]) as running:
        sender = site.sender(running)
        assert sender.send("evt_before").status == 200
        with outage(site):
            answers = [sender.send("evt_during") for _ in range(4)]
        assert {answer.status for answer in answers} == {503}
        assert all(answer.retry_after is not None for answer in answers)
        sender.send_until_taken("evt_during")
        _all_have_their_effect(site, mode, "evt_before", "evt_during")


@pytest.mark.parametrize("store", ["dynamodb"], indirect=True)
@pytest.mark.parametrize("mode", ["inline", "queue"])
@pytest.mark.parametrize("server", SERVERS)
def test_dynamodb(new_site: NewSite, way: Proxy, server: str, mode: str) -> None:
    site = new_site(mode)
    with site.serve(SERVERS[server]) as running:
        sender = site.sender(running)
        assert sender.send("evt_before").status == 200
        way.cut()
        answers = [sender.send("evt_during") for _ in range(4)]
        way.mend()
        assert {answer.status for answer in answers} == {503}
        assert all(answer.retry_after is not None for answer in answers)
        sender.send_until_taken("evt_during")
        _all_have_their_effect(site, mode, "evt_before", "evt_during")


def _all_have_their_effect(site: Site, mode: str, *events: str) -> None:
    if mode == "queue":
        with site.worker():
            for event in events:
                site.until_effect(event)
    assert site.effects() == dict.fromkeys(events, 1)
