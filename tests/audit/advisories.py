"""Known advisories, read from a list beside this file, and the distributions they hit."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from tests.audit.checks import BROUGHT, Finding

LIST = Path(__file__).with_name("advisories.csv")
COLUMNS = ["package", "affected", "advisory", "published", "summary"]
IDENTIFIER = re.compile(r"CVE-\d{4}-\d{4,}|GHSA(-[23456789cfghjmpqrvwx]{4}){3}")
OLD_AFTER_DAYS = 180


@dataclass(frozen=True)
class Advisory:
    """One range of versions of a package with a known hole; an advisory with several ranges has several."""

    package: str
    affected: SpecifierSet
    identifier: str
    published: date
    summary: str


@dataclass(frozen=True)
class AdvisoryList:
    """The advisories and the day the list was compiled."""

    compiled: date
    advisories: tuple[Advisory, ...]

    @property
    def count(self) -> int:
        """Return how many advisories there are, those with several ranges counted once."""
        return len({advisory.identifier for advisory in self.advisories})


def read_advisories(path: Path = LIST) -> AdvisoryList:
    """Return the list. Raises ValueError, naming the line, for a row or a first line that cannot be read."""
    with path.open(encoding="utf-8", newline="") as file:
        told = re.match(r"# .*?(\d{4}-\d{2}-\d{2})", file.readline())
        if told is None:
            raise ValueError(f"{path.name}:1: the day the list was compiled is missing")
        rows = csv.reader(file, delimiter=";", quoting=csv.QUOTE_NONE)
        if next(rows, []) != COLUMNS:
            raise ValueError(f"{path.name}:2: the columns are {';'.join(COLUMNS)}")
        advisories = []
        for number, row in enumerate(rows, start=3):
            try:
                advisories.append(_advisory(row))
            except (ValueError, InvalidSpecifier) as error:
                raise ValueError(f"{path.name}:{number}: {error}") from error
    return AdvisoryList(date.fromisoformat(told[1]), tuple(advisories))


def _advisory(row: list[str]) -> Advisory:
    package, affected, identifier, published, summary = row
    if not (package and affected and summary):
        raise ValueError("a field is empty")
    if not IDENTIFIER.fullmatch(identifier):
        raise ValueError(f"{identifier!r} is not the id of an advisory")
    return Advisory(
        canonicalize_name(package), SpecifierSet(affected), identifier, date.fromisoformat(published), summary
    )


def check_advisories(
    known: AdvisoryList, locked: Iterable[tuple[str, str]], installed: dict[str, str], today: date
) -> Iterator[Finding]:
    """Yield a fault per advisory that hits a locked or installed version, and a warning when the list has grown old.

    What came with the interpreter and is not locked only warns: the checkout cannot choose it.
    """
    pinned = set(locked)
    brought = {name for name in BROUGHT if name not in dict(pinned)}
    for name, version in sorted(pinned | set(installed.items())):
        for advisory in known.advisories:
            if advisory.package == name and advisory.affected.contains(version, prereleases=True):
                told = f"{name} {version} is hit by {advisory.identifier} ({advisory.affected}): {advisory.summary}"
                yield Finding(told, fault=name not in brought)
    age = (today - known.compiled).days
    if age > OLD_AFTER_DAYS:
        yield Finding(f"the list is {age} days old; run pip-audit -r requirements.lock and renew it", fault=False)
