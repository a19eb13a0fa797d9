"""Measures the library against plain Django views: requests a second and CPU time a request, in turns, in one run.

Everything shares this machine's cores: the load generator (`hookward bench`), the server, and DynamoDB Local. So
requests a second are a comparison and no absolute figure, and the CPU time of the server's own processes is the
steadier one of the two.

    .cache/python/bin/python bench/django/compare.py [--rounds 5] [--servers gunicorn,uvicorn] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "python"))

import boto3  # noqa: E402

from tests.dynamodb_local import CREDENTIALS, Engine, dynamodb_local  # noqa: E402
from tests.process import cpu_seconds  # noqa: E402
from tests.servers.server import Server, gunicorn, uvicorn  # noqa: E402


@dataclass(frozen=True)
class Load:
    name: str
    requests: int
    forged: bool
    status: int


@dataclass(frozen=True)
class Side:
    name: str
    path: str
    forged_status: int
    admins: bool = False
    guard: bool = False
    recovery: str = "worker"


VALID = Load("valid", 1_000, forged=False, status=200)
FORGED = Load("forged", 4_000, forged=True, status=403)

SIDES = [
    Side("plain, common", "/plain/common/", 400),
    Side("plain, common, ADMINS set", "/plain/common/", 400, admins=True),
    Side("plain, careful", "/plain/careful/", 403),
    Side("hookward", "/hooks/orders/", 403),
    Side("hookward, RECOVERY sender", "/hooks/orders/", 403, recovery="sender"),
    Side("hookward, the same, guarded", "/hooks/orders/", 403, recovery="sender", guard=True),
]

SERVERS: dict[str, Callable[[Side], list[str]]] = {
    "gunicorn": lambda side: gunicorn(2, 8, wsgi=f"project.wsgi:{'guarded' if side.guard else 'application'}"),
    "gunicorn-sync": lambda side: gunicorn(2, 1, wsgi=f"project.wsgi:{'guarded' if side.guard else 'application'}"),
    "uvicorn": lambda side: uvicorn(2, asgi=f"project.asgi:{'guarded' if side.guard else 'application'}"),
}


@dataclass(frozen=True)
class Measured:
    per_second: float
    cpu_us: float
    engine_us: float
    p50_us: int
    p99_us: int


def drive(
    binary: Path, engine: Engine, server: Server, side: Side, load: Load, connections: int, secret: str
) -> Measured:
    command = [str(binary), "bench", "--json", "--url", f"http://127.0.0.1:{server.port}{side.path}"]
    command += ["--secret", "env:BENCH_SECRET", "--connections", str(connections)]
    environment = {**os.environ, "BENCH_SECRET": secret}

    def run(requests: int) -> dict[str, object]:
        arguments = ["--requests", str(requests), *(["--forged"] if load.forged else [])]
        done = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{side.name}, {load.name}: {done.stderr}{done.stdout}\n{server.log.read_text()[-4000:]}")
        report: dict[str, object] = json.loads(done.stdout)
        return report

    expected = side.forged_status if load.forged else load.status
    run(200)  # so that every worker has its connections and has imported what it imports late
    before, engine_before = server.cpu_seconds(), cpu_seconds(engine.pid)
    report = run(load.requests)
    cpu, engine_cpu = server.cpu_seconds() - before, cpu_seconds(engine.pid) - engine_before
    if report["statuses"] != [[expected, load.requests]]:
        raise SystemExit(f"{side.name}, {load.name}: answers {report['statuses']}, not {expected}")
    return Measured(
        float(str(report["requests_per_second"])),
        cpu / load.requests * 1e6,
        engine_cpu / load.requests * 1e6,
        int(str(report["p50_us"])),
        int(str(report["p99_us"])),
    )


def make_tables(endpoint: str) -> dict[str, str]:
    client = boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name=CREDENTIALS["AWS_REGION"],
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )

    def make(name: str, *keys: tuple[str, str]) -> None:
        client.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
            KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys],
        )

    make("plain", ("event_id", "HASH"))
    make("hookward", ("pk", "HASH"), ("sk", "RANGE"))
    return {"BENCH_PLAIN_TABLE": "plain", "BENCH_HOOKWARD_TABLE": "hookward"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hookward", type=Path, default=ROOT / "target/release/hookward", help="the load generator")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--servers", default="gunicorn,uvicorn", help=f"of {', '.join(SERVERS)}")
    parser.add_argument("--sides", default="", help="only those whose name contains one of these")
    parser.add_argument("--json", type=Path, help="where every single measurement is written")
    arguments = parser.parse_args()
    wanted = [word.strip() for word in arguments.sides.split(";") if word.strip()]
    sides = [side for side in SIDES if not wanted or any(word in side.name for word in wanted)]

    secret = secrets.token_hex(32)
    results: dict[tuple[str, str, str], list[Measured]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch, dynamodb_local() as engine:
        environment = {
            **CREDENTIALS,
            **make_tables(engine.endpoint),
            "AWS_ENDPOINT_URL_DYNAMODB": engine.endpoint,
            "BENCH_SECRET": secret,
        }
        for number in range(arguments.rounds):
            for name in arguments.servers.split(","):
                for side in sides:
                    log = Path(scratch) / f"{name}-{side.name}.log"
                    chosen = {**environment, "BENCH_RECOVERY": side.recovery, "BENCH_ADMINS": "1" * side.admins}
                    with Server(SERVERS[name](side), HERE, chosen, log) as server:
                        for load in (VALID, FORGED):
                            measured = drive(
                                arguments.hookward, engine, server, side, load, arguments.connections, secret
                            )
                            results[name, load.name, side.name].append(measured)
                            print(
                                f"{number + 1} {name:14} {load.name:7} {side.name:27}"
                                f" {measured.per_second:8.0f}/s {measured.cpu_us:7.0f} us CPU"
                                f"  {measured.engine_us:5.0f} us engine"
                                f"  p50 {measured.p50_us / 1000:.1f} ms  p99 {measured.p99_us / 1000:.1f} ms",
                                flush=True,
                            )
    print(table(results, [side.name for side in sides]))
    if arguments.json:
        arguments.json.write_text(
            json.dumps({" | ".join(key): [vars(one) for one in value] for key, value in results.items()}, indent=1)
        )


def table(results: dict[tuple[str, str, str], list[Measured]], sides: list[str]) -> str:
    """Medians of the rounds, as Markdown."""
    lines = [
        "| server | load | | req/s | of careful | CPU a request | of careful | p99 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for server, load in dict.fromkeys((server, load) for server, load, _ in results):

        def median(side: str, of: Callable[[Measured], float]) -> float:
            return statistics.median(of(one) for one in results[server, load, side])  # noqa: B023

        for side in sides:
            speed, cpu = median(side, lambda one: one.per_second), median(side, lambda one: one.cpu_us)
            against = "plain, careful" if "plain, careful" in sides else side
            faster = speed / median(against, lambda one: one.per_second)
            cheaper = median(against, lambda one: one.cpu_us) / cpu
            p99 = median(side, lambda one: one.p99_us) / 1000
            lines.append(
                f"| {server} | {load} | {side} | {speed:,.0f} | {faster:.2f}x"
                f" | {cpu:,.0f} us | {cheaper:.2f}x | {p99:.1f} ms |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
