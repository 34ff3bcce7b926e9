"""Commands as other users start them: each in a process of its own, under a user of the machine who may be another."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.faults.child import ROOT

OWNER, OTHER = 61_811, 61_812
"""Two users no machine knows: neither has an entry in passwd."""
HURRIED = """
import os
os.environ.setdefault("HOME", "/nonexistent")
import pytest
from tests.fixtures.world import hurry
hurry(pytest.MonkeyPatch())
from flows.cli.main import main
main()
"""


@dataclass(frozen=True)
class Answer:
    """What a command ended with and printed."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """Return what it said last of all, without the program's name."""
        lines = (self.err or self.out).strip().splitlines()
        return lines[-1].removeprefix("kommunekort: ") if lines else ""

    def fault(self) -> str | None:
        """Return what is wrong with how it ended: a fault of the program, a traceback, more or less than a sentence."""
        told = self.err.strip()
        if "fault of the program" in told or "Traceback" in told or self.code not in (0, 1, 2, 3):
            return f"exit {self.code}: {told[-400:]}"
        sentences = [line for line in told.splitlines() if line.startswith("kommunekort: ")]
        if self.code in (1, 2) and len(sentences) != 1:
            return f"exit {self.code} with {len(sentences)} sentences: {told[-400:]}"
        return None


@dataclass(frozen=True)
class User:
    """Who starts commands: a number (None: whoever runs this), and what the environment holds beside the path."""

    uid: int | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    umask: int = -1
    shell: str = ""
    """The words of a shell that start the command, which is `"$@"` to it."""

    def command(self, *words: str | Path, hurried: bool = False) -> list[str]:
        """Return the command line of `kommunekort` with these words."""
        python = sys.executable if self.uid is None else (python_for(self.uid) or sys.executable)
        return [python, *(["-c", HURRIED] if hurried else ["-m", "flows.cli.main"]), *map(str, words)]

    def environment(self) -> dict[str, str]:
        """Return the environment: what Python needs, and what is asked for. Neither HOME nor a user's name."""
        return {"PATH": os.defpath, "PYTHONPATH": python_path(), "KOMMUNEKORT_THREADS": "1", **self.env}

    def run(
        self, *words: str | Path, hurried: bool = False, seconds: float = 1800, cwd: Path | str = "/", input: str = ""
    ) -> Answer:
        """Run the command to its end."""
        done = subprocess.run(
            [*(["sh", "-c", self.shell, "sh"] if self.shell else []), *self.command(*words, hurried=hurried)],
            env=self.environment(),
            cwd=cwd,
            input=input,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            user=self.uid,
            group=self.uid,
            extra_groups=None if self.uid is None else [],
            umask=self.umask,
        )
        return Answer(done.returncode, done.stdout, done.stderr)


def python_path() -> str:
    """Return where the project and its libraries lie, for a Python that is not the environment's own."""
    return os.pathsep.join([str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))])


@cache
def python_for(uid: int) -> str | None:
    """Return a Python of this version that another user may start, with the libraries of this one; None without."""
    if os.geteuid() != 0:
        return None
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    found = [
        sys.executable,
        *(path for place in ("/usr/local/bin", "/usr/bin") if (path := shutil.which(version, path=place))),
    ]
    for python in found:
        try:
            tried = subprocess.run(
                [
                    python,
                    "-c",
                    f"import sys, flows.cli.main, duckdb; assert sys.version_info[:2] == {sys.version_info[:2]}",
                ],
                env={"PATH": os.defpath, "PYTHONPATH": python_path()},
                cwd="/",
                capture_output=True,
                user=uid,
                group=uid,
                extra_groups=[],
            )
        except OSError:
            continue
        if tried.returncode == 0:
            return python
    return None


def give(uid: int, *places: Path) -> None:
    """Give whole folders to a user, and let every user reach them."""
    for place in places:
        for path in [place, *place.rglob("*")]:
            os.chown(path, uid, uid, follow_symlinks=False)
        for parent in place.parents:
            if (
                parent.stat().st_uid == os.getuid()
                and parent.is_relative_to(tempfile.gettempdir())
                and str(parent) != tempfile.gettempdir()
            ):
                parent.chmod(parent.stat().st_mode | 0o711)


def answers(users: Sequence[int]) -> bool:
    """Tell whether commands can be started as these users here."""
    return all(python_for(uid) for uid in users)
