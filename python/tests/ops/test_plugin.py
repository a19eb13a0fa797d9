"""The pytest plugin from outside: in projects of its own, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import hookward
import pytest

PACKAGES = str(Path(hookward.__file__).parents[1])


@pytest.fixture
def project(tmp_path):
    """Runs pytest on a file in a folder of its own, with the plugin and without any settings; what it printed."""

    def run(tests: str, *args: str, **files: str) -> str:
        (tmp_path / "test_it.py").write_text(tests)
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        env = {
            name: value
            for name, value in os.environ.items()
            if name not in ("DJANGO_SETTINGS_MODULE", "PYTEST_ADDOPTS")
        }
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *args],
            cwd=tmp_path,
            env={**env, "PYTHONPATH": os.pathsep.join([PACKAGES, str(tmp_path)])},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.stdout + done.stderr

    return run


# The plugin is loaded by its entry point where the package is installed.
PLUGIN = """
import importlib.metadata
if not importlib.metadata.entry_points(group="pytest11", name="hookward"):
    pytest_plugins = ["hookward.pytest_plugin"]
"""


def test_does_nothing_where_it_is_not_used(project):
    tests = (
        "import sys\ndef test_it():\n    assert 'django' not in sys.modules\n"
        "    assert 'hookward.test' not in sys.modules\n"
    )
    assert "1 passed" in project(tests, "-p", "no:django", conftest=PLUGIN)


def test_attacks_need_no_settings(project):
    tests = (
        "import sys, pytest\nfrom hookward.test import webhooks_attacks\n"
        "@pytest.mark.parametrize('attack', webhooks_attacks('stripe'))\n"
        "def test_it(attack):\n    assert 'django' not in sys.modules\n"
    )
    out = project(tests, "-p", "no:django", conftest=PLUGIN)
    assert "test_it[tampered_body]" in out
    assert "failed" not in out


def test_says_that_settings_are_missing(project):
    out = project("def test_it(webhooks):\n    pass\n", conftest=PLUGIN)
    assert "the fixture `webhooks` needs Django's settings" in out
