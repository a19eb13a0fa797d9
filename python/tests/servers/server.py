"""A Django project under gunicorn or uvicorn, on a port of the kernel's choice."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.process import children, cpu_seconds, until


class Server:
    """A server with worker processes. It listens before it runs: connections wait until a worker takes them."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path) -> None:
        """`{fd}` in the command stands for the listening socket."""
        with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
            # Accepted sockets have it from here; uvicorn takes a socket that it is handed for one of another family.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.port = int(listener.getsockname()[1])
            listener.set_inheritable(True)
            fd = listener.fileno()
            with log.open("ab") as output:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", *(part.format(fd=fd) for part in command)],
                    cwd=folder,
                    env={**os.environ, **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=[fd],
                )
        self.log = log

    @property
    def pid(self) -> int:
        return self.process.pid

    def workers(self) -> list[int]:
        return children(self.pid)

    def cpu_seconds(self) -> float:
        return sum(cpu_seconds(pid) for pid in [self.pid, *self.workers()])

    def stop(self, patience: float = 30.0) -> int:
        """Asks it to end, as a service manager does, and waits for it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            for pid in [*self.workers(), self.pid]:
                os.kill(pid, signal.SIGKILL)
            self.process.wait()
            raise

    def killed(self, pid: int) -> None:
        """Kills one of its workers, which then is no more."""
        os.kill(pid, signal.SIGKILL)
        until(lambda: pid not in self.workers(), f"worker {pid} to be gone")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def gunicorn(workers: int = 2, threads: int = 8, *more: str, wsgi: str = "project.wsgi") -> list[str]:
    command = ["gunicorn", "--bind", "fd://{fd}", "--workers", str(workers), "--no-control-socket"]
    return [*command, *(["--threads", str(threads)] if threads > 1 else []), *more, wsgi]


def uvicorn(workers: int = 1, *more: str, asgi: str = "project.asgi:application") -> list[str]:
    command = ["uvicorn", "--fd", "{fd}", "--workers", str(workers), "--lifespan", "off", "--no-access-log"]
    return [*command, "--log-level", "warning", *more, asgi]
