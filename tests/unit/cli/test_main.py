"""How the command itself ends, whatever happens in it."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAILING = """
import sys
from flows.cli import main
main.app = lambda **options: 1 / 0
sys.argv[1:] = {words}
main.main()
"""


def ended(words: list[str], **env: str) -> tuple[int, list[str]]:
    """Return the exit code of the command when something in it fails, and what it told."""
    done = subprocess.run([sys.executable, "-c", FAILING.format(words=words)], env=env, capture_output=True, text=True)
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["status"], "set KOMMUNEKORT_DEBUG=1 to see where"),
        (["run", "--data", ""], "an argument is empty: a variable of the shell that is not set?"),
    ],
)
def test_a_failure_is_one_sentence(words: list[str], told: str) -> None:
    code, lines = ended(words)
    assert (code, len(lines), told in lines[0]) == (1, 1, True)


def test_what_nobody_foresaw_is_shown_whole_when_asked() -> None:
    code, lines = ended(["status"], KOMMUNEKORT_DEBUG="1")
    assert (code, lines[0], lines[-1]) == (
        1,
        "Traceback (most recent call last):",
        "ZeroDivisionError: division by zero",
    )
