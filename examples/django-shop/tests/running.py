"""The shop, and the gateway in front of it, as they run in production."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60.0
T = TypeVar("T")


def environment(folder: Path, settings: str) -> dict[str, str]:
    """What both find in their environment: secrets that nobody else has."""
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": settings,
        "SHOP_DATABASE": str(folder / "shop.sqlite3"),
        "STRIPE_WEBHOOK_SECRET": f"whsec_{secrets.token_hex(24)}",
        "GITHUB_WEBHOOK_SECRET": secrets.token_hex(24),
        "HOOKWARD_DELIVERY_SECRET": secrets.token_hex(32),
        "HOOKWARD_ADMIN_TOKEN": secrets.token_hex(24),
    }


@contextmanager
def shop(env: dict[str, str]) -> Iterator[str]:
    """Two processes of gunicorn; their URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        bound = ["--bind", f"fd://{listener.fileno()}", "--workers", "2", "--no-control-socket"]
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *bound, "shop.wsgi"], cwd=ROOT, env=env, pass_fds=[listener.fileno()]
        )
    with stopped_at_the_end(server):
        yield url


@contextmanager
def gateway(env: dict[str, str], folder: Path, application: str) -> Iterator[str]:
    """`hookward serve` with the shop's own file, but for the ports; its URL."""
    file = folder / "hookward.toml"
    written = (ROOT / "hookward.toml").read_text().replace("http://127.0.0.1:8000", application)
    file.write_text(
        '[server]\nlisten = "127.0.0.1:0"\n' + written.replace("[admin]", '[admin]\nlisten = "127.0.0.1:0"')
    )
    log = folder / "gateway.log"
    with log.open("w") as output:
        server = subprocess.Popen([hookward(), "serve", "--config", file], env=env, stdout=output, stderr=output)
    with stopped_at_the_end(server):
        found = until(lambda: re.search(r"taking webhooks at (http://[0-9.:]+)", log.read_text()), "the gateway")
        yield found[1]


def send(env: dict[str, str], provider: str, url: str, body: Path) -> int:
    """`hookward send`, which signs as the provider does; the status of the answer."""
    secret = f"env:{provider.upper()}_WEBHOOK_SECRET"
    command = [hookward(), "send", provider, "--url", url, "--secret", secret, "--body", body]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    status = re.search(r"\b([1-5][0-9][0-9]) ", done.stdout + done.stderr)
    assert status, done.stderr
    return int(status[1])


def manage(env: dict[str, str], *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=env, check=True, capture_output=True, text=True
    ).stdout


def hookward() -> str:
    """The command, which the package has brought along."""
    found = shutil.which("hookward", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found, "the package hookward is not installed here"
    return found


def until(condition: Callable[[], T | None], what: str) -> T:
    deadline = time.monotonic() + PATIENCE
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s for {what}"
        time.sleep(0.05)
    return answer


@contextmanager
def stopped_at_the_end(server: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
            raise
