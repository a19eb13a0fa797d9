from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.dynamodb_local import CREDENTIALS, Engine, dynamodb_local
from tests.servers.proxy import Proxy
from tests.servers.running_site import Mode, Site

_tables = itertools.count()

# Of the site's settings: leases that lapse while a test waits for it.
LEASE = {"LEASE": 2}


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """DynamoDB Local, started once."""
    with dynamodb_local() as engine:
        yield engine


@pytest.fixture
def way(engine: Engine) -> Iterator[Proxy]:
    """The way to DynamoDB, which a test can cut."""
    with Proxy(engine.port) as proxy:
        yield proxy


@pytest.fixture(params=["orm", "dynamodb"])
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


NewSite = Callable[..., Site]


@pytest.fixture
def new_site(tmp_path: Path, store: str, request: pytest.FixtureRequest) -> Iterator[NewSite]:
    """Makes a site on the store that the test runs with."""
    with ExitStack() as stack:

        def make(mode: Mode = "inline", **more: Any) -> Site:
            settings = None
            if store == "dynamodb":
                way = request.getfixturevalue("way")
                settings = {
                    "TABLE": _table(request.getfixturevalue("engine")),
                    "ENDPOINT": f"http://127.0.0.1:{way.port}",
                    "REGION": CREDENTIALS["AWS_REGION"],
                }
            site = stack.enter_context(Site(tmp_path, mode, settings, {**LEASE, **more}))
            site.manage("migrate", "--verbosity", "0")
            return site

        yield make


def _table(engine: Engine) -> str:
    client = boto3.client(
        "dynamodb",
        endpoint_url=engine.endpoint,
        region_name=CREDENTIALS["AWS_REGION"],
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
    name = f"site{next(_tables)}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    return name
