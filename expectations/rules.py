"""All rules: derived from the source file, the code lists and the dictionary, or written in `rules/*.sql`."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import cast, get_args

from expectations.row_rules import row_rules
from expectations.set_rules import set_rules
from expectations.terms import Action, Rule, Severity
from transforms.catalogue import Catalogue, Source
from transforms.dictionary import Dictionary
from transforms.errors import UsageError
from transforms.sqlfile import SqlFile

__all__ = ["Rule", "read_rule_files", "rules_for_staging"]

FOLDER = Path(__file__).parent / "rules"
_HEADER = re.compile(r"^--\s*([a-z_]+):\s*(.+?)\s*$")
_CONTINUED = re.compile(r"^--\s{2,}(\S.*?)\s*$")
_KEYS = ("table", "severity", "action", "reason", "owner")


def rules_for_staging(source: Source, file: SqlFile, dictionary: Dictionary, catalogue: Catalogue) -> list[Rule]:
    """Return every derived rule of one staging table: first those for single rows, then those for the whole table."""
    return [*row_rules(source, file, dictionary, catalogue), *set_rules(source, file, catalogue)]


@lru_cache(maxsize=4)
def read_rule_files(folder: Path = FOLDER) -> tuple[Rule, ...]:
    """Return the hand-written rules of `folder`, by file name.

    Raises UsageError naming the file for a header key that is missing, unknown or has no known value.
    """
    return tuple(_read(path) for path in sorted(folder.glob("*.sql")))


def _read(path: Path) -> Rule:
    where = f"expectations/rules/{path.name}"
    header: dict[str, str] = {}
    last = ""
    body: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        match = _HEADER.match(line) if not body else None
        continued = _CONTINUED.match(line) if not body and last else None
        if match:
            last = match.group(1)
            header[last] = match.group(2)
        elif continued:
            header[last] += " " + continued.group(1)
        else:
            body.append(line)
    for key in _KEYS:
        if key not in header:
            raise UsageError(f"{where}: the header lacks `-- {key}: …`")
    unknown = sorted(header.keys() - set(_KEYS))
    if unknown:
        raise UsageError(f"{where}: unknown header key `{unknown[0]}`; use {', '.join(_KEYS)}")
    for key, values in (("severity", get_args(Severity)), ("action", get_args(Action))):
        if header[key] not in values:
            raise UsageError(f"{where}: {key} is {header[key]!r}; use one of {', '.join(values)}")
    if (header["severity"] == "critical") != (header["action"] == "stop"):
        raise UsageError(f"{where}: a critical rule has action stop, and a warning has report or quarantine")
    return Rule(
        rule_id=path.stem,
        table=header["table"],
        kind="set",
        severity=cast(Severity, header["severity"]),
        action=cast(Action, header["action"]),
        description=header["reason"],
        sql="\n".join(body).strip().rstrip(";"),
        owner=header["owner"],
    )
