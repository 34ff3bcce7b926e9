"""SQL files: one SELECT per file, whose path is the table's name and whose header describes it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transforms.errors import UsageError
from transforms.warehouse import Warehouse

ROOT = Path(__file__).parent
SCHEMAS = ("quarantine", "staging", "core", "mart", "meta")
_HEADER = re.compile(r"^--\s*([a-z_]+):\s*(.+?)\s*$")
_CONTINUED = re.compile(r"^--\s{2,}(\S.*?)\s*$")
_KEYS = {"label_da", "label_en", "description", "grain"}


@dataclass(frozen=True)
class SqlFile:
    """One table: its name, what its header says, and its SELECT."""

    table: str
    label_da: str
    label_en: str
    description: str
    grain: tuple[str, ...]
    select: str

    def comment(self) -> str:
        """Return the comment stored in the database."""
        return f"{self.label_da} / {self.label_en}. {self.description} Grain: {', '.join(self.grain)}."


def read_sql_file(path: Path) -> SqlFile:
    """Read one file; UsageError when a header key is missing or unknown."""
    table = f"{path.parent.name}.{path.stem}"
    header: dict[str, str] = {}
    last = ""
    body: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        match = _HEADER.match(line) if not body else None
        continued = _CONTINUED.match(line) if not body and last else None
        if match and match.group(1) in _KEYS:
            last = match.group(1)
            header[last] = match.group(2)
        elif continued:
            header[last] += " " + continued.group(1)
        else:
            body.append(line)
    missing = sorted(_KEYS - header.keys())
    if missing:
        raise UsageError(f"transforms/{path.parent.name}/{path.name}: the header lacks `-- {missing[0]}: …`")
    select = "\n".join(body).strip().rstrip(";")
    grain = tuple(part.strip() for part in header["grain"].split(","))
    return SqlFile(table, header["label_da"], header["label_en"], header["description"], grain, select)


def read_all(root: Path = ROOT) -> dict[str, SqlFile]:
    """Return table name -> file for every schema folder under `root`."""
    files = (path for schema in SCHEMAS for path in sorted((root / schema).glob("*.sql")))
    return {file.table: file for file in map(read_sql_file, files)}


def tables_read(warehouse: Warehouse, sql: str) -> set[str]:
    """Return the `schema.table` names a SELECT reads, from DuckDB's own parser, without binding it.

    Raises UsageError with the parser's message when the SQL does not parse.
    """
    tree = json.loads(warehouse.scalar("SELECT json_serialize_sql(?)", [sql]))
    if tree.get("error"):
        raise UsageError(f"{tree.get('error_message', 'cannot parse')}")
    found: set[str] = set()
    _collect(tree, found)
    return found


def _collect(node: Any, found: set[str]) -> None:
    if isinstance(node, dict):
        if node.get("type") == "BASE_TABLE" and node.get("schema_name"):
            found.add(f"{node['schema_name']}.{node['table_name']}")
        for value in node.values():
            _collect(value, found)
    elif isinstance(node, list):
        for value in node:
            _collect(value, found)
