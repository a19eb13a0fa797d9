"""`_core.pyi` says what is there, all of it, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import hookward

PACKAGE = Path(hookward.__file__).parent


def test_the_stubs_are_what_is_there() -> None:
    environment = {**os.environ, "MYPYPATH": str(PACKAGE.parent), "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-m", "mypy.stubtest", "hookward._core"]
    checked = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()
