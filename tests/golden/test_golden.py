"""The mart of the small synthetic extracts, against what it was when somebody last looked.

After a meant change: `pytest tests/golden --update-golden`, then read the diff.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.fixtures.world import Published

HERE = Path(__file__).parent
# The largest, the smallest and an ordinary municipality.
SOME = "('101', '825', '461')"
QUERIES = {
    "municipality": "SELECT * FROM mart.municipality ORDER BY municipality_code",
    "indicator_national": "SELECT * EXCLUDE (_snapshot_id) FROM mart.indicator_national ORDER BY indicator_id, period",
    "indicator_value": "SELECT * EXCLUDE (_snapshot_id) FROM mart.indicator_value "
    f"WHERE municipality_code IN {SOME} ORDER BY municipality_code, indicator_id, period",
    "value_status": "SELECT indicator_id, period, value_status, count(*) AS municipalities, sum(value) AS value_sum "
    "FROM mart.indicator_value GROUP BY ALL ORDER BY ALL",
}


def as_csv(published: Published, query: str) -> str:
    names = [row[0] for row in published.rows(f"DESCRIBE {query}")]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\n")
    writer.writerow(names)
    writer.writerows(published.rows(query))
    return text.getvalue()


def compare(path: Path, found: str, update: bool) -> None:
    if update:
        path.write_text(found, encoding="utf-8")
    assert path.is_file(), f"{path.name} is not there: pytest tests/golden --update-golden"
    known = path.read_text(encoding="utf-8").splitlines()
    fresh = found.splitlines()
    lost = [f"- {line}" for line in known if line not in set(fresh)]
    new = [f"+ {line}" for line in fresh if line not in set(known)]
    assert not lost + new, f"{path.name}:\n" + "\n".join([*lost[:10], *new[:10]])
    assert known == fresh, f"{path.name}: the order has changed"


@pytest.mark.parametrize("name", QUERIES)
def test_rows_are_those_of_the_golden_file(name: str, tiny_run: Published, pytestconfig: pytest.Config) -> None:
    compare(HERE / f"{name}.csv", as_csv(tiny_run, QUERIES[name]), pytestconfig.getoption("--update-golden"))


def test_the_contract_of_the_mart(tiny_run: Published, pytestconfig: pytest.Config) -> None:
    """Names, types, keys and numbers of rows of every mart table: what analysts build upon."""
    tables: dict[str, dict[str, object]] = {}
    for table, name, kind in tiny_run.rows(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE schema_name = 'mart' ORDER BY table_name, column_index"
    ):
        tables.setdefault(table, {"columns": {}})["columns"][name] = kind  # type: ignore[index]
    for table, key in tiny_run.rows(
        "SELECT table_name, constraint_column_names FROM duckdb_constraints() "
        "WHERE schema_name = 'mart' AND constraint_type = 'PRIMARY KEY'"
    ):
        tables[table]["key"] = list(key)
        tables[table]["rows"] = tiny_run.rows(f"SELECT count(*) FROM mart.{table}")[0][0]
    found = json.dumps(tables, indent=1, ensure_ascii=False) + "\n"
    compare(HERE / "mart.json", found, pytestconfig.getoption("--update-golden"))
