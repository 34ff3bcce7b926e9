"""The project's own small facts, one CSV each, as tables `reference.<stem>` with every value as text."""

from __future__ import annotations

from pathlib import Path

from transforms.warehouse import Warehouse, quote_identifier, quote_literal

FOLDER = Path(__file__).parent / "reference"


def load_reference(warehouse: Warehouse, folder: Path = FOLDER) -> list[str]:
    """Load every CSV of the folder (`;`, UTF-8, header); return the table names."""
    tables = []
    for path in sorted(folder.glob("*.csv")):
        table = f"reference.{quote_identifier(path.stem)}"
        warehouse.execute(
            f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM read_csv({quote_literal(str(path))}, "
            "delim=';', header=true, all_varchar=true, quote='\"', nullstr='')"
        )
        source = f"Reference / Reference. Project file transforms/reference/{path.name}."
        warehouse.execute(f"COMMENT ON TABLE {table} IS {quote_literal(source)}")
        tables.append(f"reference.{path.stem}")
    return tables
