"""What may be wrong with the locked and the installed distributions, found without network."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from flows.cli.health import installed, locked_versions

PLACE = re.compile(r"://|\s@\s|\b(?:[a-z0-9-]+\.)+(?:com|dk|eu|io|net|org)\b", re.IGNORECASE)
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}(?!\S)")
# They come with the interpreter or the virtual environment, whatever the lock says.
BROUGHT = frozenset({"pip", "setuptools", "wheel"})
OURS = "kommunekort"


@dataclass(frozen=True)
class Finding:
    """One thing to tell; a fault ends the audit with 1, a warning does not."""

    text: str
    fault: bool = True


def lock_lines(lock: Path) -> list[str]:
    """Return the requirements of a lock file with their hashes, each on one line, without comments."""
    joined = lock.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    return [line.strip() for line in joined if line.strip() and not line.lstrip().startswith("#")]


def check_lock(lock: Path) -> Iterator[Finding]:
    """Yield a fault per requirement that is not pinned and hashed, and per line that names a place to fetch from."""
    for number, line in enumerate(lock.read_text(encoding="utf-8").splitlines(), start=1):
        if PLACE.search(line):
            yield Finding(f"line {number} of {lock.name} names a place to fetch from")
    for line in lock_lines(lock):
        told = line.split(" --hash")[0].strip()
        if line.startswith("-"):
            yield Finding(f"{told} is an option, not a requirement")
            continue
        try:
            requirement = Requirement(told)
        except InvalidRequirement:
            yield Finding(f"{told} cannot be read as a requirement")
            continue
        if not pinned(requirement):
            yield Finding(f"{told} is not pinned with ==")
        if not HASH.search(line):
            yield Finding(f"{told} has no sha256 hash")


def pinned(requirement: Requirement) -> str | None:
    """Return the one version a requirement allows, or None."""
    clauses = list(requirement.specifier)
    exact = len(clauses) == 1 and clauses[0].operator == "==" and "*" not in clauses[0].version
    return clauses[0].version if exact else None


def pins(lock: Path) -> list[tuple[str, str]]:
    """Return name and version of every pin of a lock file, those for other machines too; skip what is no pin."""
    found: list[tuple[str, str]] = []
    for line in lock_lines(lock):
        try:
            requirement = Requirement(line.split(" --hash")[0].strip())
        except InvalidRequirement:
            continue
        if version := pinned(requirement):
            found.append((canonicalize_name(requirement.name), version))
    return found


def everything_installed() -> dict[str, str]:
    """Return name -> version of every installed distribution, the one that is imported where a name is there twice."""
    versions: dict[str, str] = {}
    for found in metadata.distributions():
        versions.setdefault(canonicalize_name(found.name), found.version)
    return versions


def check_installed(lock: Path) -> Iterator[Finding]:
    """Yield a fault per locked distribution that is absent or of another version, a warning per one beyond the lock."""
    try:
        locked: dict[str, str] = {canonicalize_name(name): told for name, told in locked_versions(lock).items()}
    except InvalidRequirement as error:
        yield Finding(f"what is installed cannot be held against {lock.name}: {error}")
        return
    for name, version in locked.items():
        found = installed(name)
        if found != version:
            yield Finding(f"{name} is {found or 'not installed'}, locked is {version}")
    # A tool one put into one's own environment is no fault of the lock; an advisory against it still is.
    for name, version in sorted(everything_installed().items()):
        if name not in locked and name not in BROUGHT and name != OURS:
            yield Finding(f"{name} {version} is installed beyond the lock", fault=False)


def check_requirements() -> Iterator[Finding]:
    """Yield a fault per requirement of an installed distribution that is not met, as `pip check` tells it."""
    if installed("pip") is None:
        yield from unmet_requirements()
        return
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        for line in (answer.stdout + answer.stderr).splitlines():
            yield Finding(line)


def unmet_requirements() -> Iterator[Finding]:
    """Yield a fault per unmet requirement read from the metadata: for an environment without pip."""
    versions = everything_installed()
    for distribution in metadata.distributions():
        for text in distribution.requires or []:
            requirement = Requirement(text)
            # What only an extra asks for is not asked for here, as in `pip check`.
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            found = versions.get(canonicalize_name(requirement.name))
            if found is None or not requirement.specifier.contains(found, prereleases=True):
                asked = f"{distribution.name} {distribution.version} requires {requirement}"
                yield Finding(f"{asked}, which is {found or 'not installed'}")
