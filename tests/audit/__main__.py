"""`python -m tests.audit`: hold the locked and installed distributions against what is known; end with 1 on a fault."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from flows.settings import ROOT
from tests.audit.advisories import LIST, check_advisories, read_advisories
from tests.audit.checks import (
    Finding,
    check_installed,
    check_lock,
    check_requirements,
    everything_installed,
    lock_lines,
    pins,
)


def audit(lock: Path = ROOT / "requirements.lock", advisories: Path = LIST, today: date | None = None) -> int:
    """Print the verdict of each check and return the exit code: 0, or 1 for a fault.

    Raises OSError when a file is absent, ValueError when the list of advisories cannot be read.
    """
    known, locked, present = read_advisories(advisories), pins(lock), everything_installed()
    packages = {name for name, _ in locked} | set(present)
    held = f"{len(packages)} packages held against {known.count} advisories of {known.compiled}"
    faults = [
        verdict("lock", f"{len(lock_lines(lock))} requirements", check_lock(lock), "pinned, hashed, no place named"),
        verdict("installed", f"{len(present)} distributions", check_installed(lock), "as locked"),
        verdict("requirements", "of every distribution", check_requirements(), "met"),
        verdict("advisories", held, check_advisories(known, locked, present, today or date.today()), "no hit"),
    ]
    return int(any(faults))


def verdict(name: str, subject: str, findings: Iterable[Finding], good: str) -> bool:
    """Print one line for a check, and one per finding; return whether a fault was found."""
    found = list(findings)
    faults = sum(finding.fault for finding in found)
    print(f"{'FAULT' if faults else 'holds':<6} {name}: {subject}, {f'{faults} faulty' if faults else good}")
    for finding in found:
        print(f"  {'fault' if finding.fault else 'warning'}: {finding.text}")
    return faults > 0


if __name__ == "__main__":
    sys.exit(audit())
