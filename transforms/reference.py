"""The project's own small facts, one CSV each, as tables `reference.<stem>` with every value as text."""

from __future__ import annotations

import csv
from pathlib import Path

from transforms.errors import UsageError
from transforms.shortage import check_shortage
from transforms.warehouse import DatabaseError, Warehouse, explain_database_error, quote_identifier, quote_literal

FOLDER = Path(__file__).parent / "reference"


def load_reference(warehouse: Warehouse, folder: Path = FOLDER) -> list[str]:
    """Load every CSV of the folder (`;`, UTF-8, header, `"` quotes); return the table names.

    Raises UsageError naming the file whose rows do not fit its header, and an entry of the shortage classes that cannot
    be used.
    """
    check_shortage(folder)
    return [_load(warehouse, path) for path in sorted(folder.glob("*.csv"))]


def _load(warehouse: Warehouse, path: Path) -> str:
    with path.open(encoding="utf-8", newline="") as stream:
        header = next(csv.reader(stream, delimiter=";"))
    columns = ", ".join(f"{quote_literal(name)}: 'VARCHAR'" for name in header)
    table = f"reference.{quote_identifier(path.stem)}"
    try:
        warehouse.execute(
            f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM read_csv({quote_literal(str(path))}, delim=';', "
            f"header=true, auto_detect=false, quote='\"', escape='\"', nullstr='', columns={{{columns}}})"
        )
    except DatabaseError as error:
        told = explain_database_error(error, f"reading transforms/reference/{path.name}")
        raise UsageError(str(told)) from None
    comment = f"Faste fakta / Reference facts. Project file transforms/reference/{path.name}."
    warehouse.execute(f"COMMENT ON TABLE {table} IS {quote_literal(comment)}")
    return f"reference.{path.stem}"
