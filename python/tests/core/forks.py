"""Running something in a child of this process, which may hang: then it is ended, and the test fails."""

from __future__ import annotations

import os
import pickle
import select
import signal
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE = 60.0


def in_child(run: Callable[[], T]) -> T:
    """What `run` returns in a child process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            try:
                said: tuple[bool, Any] = (True, run())
            except BaseException:  # noqa: BLE001, whatever it is, the parent tells
                said = (False, traceback.format_exc())
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(said, pipe)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        ready, _, _ = select.select([pipe], [], [], PATIENCE)
        if not ready:
            os.kill(child, signal.SIGKILL)
        told: tuple[bool, Any] = pickle.load(pipe) if ready else (False, "the child hangs")
    os.waitpid(child, 0)
    succeeded, result = told
    assert succeeded, result
    returned: T = result
    return returned
