"""Great Expectations on DuckDB: every expectation type we use must tell good from bad, and agree with our SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from expectations import check
from expectations.gx import STOCK, record_with_gx
from expectations.rules import Outcome, Rule
from transforms import tables
from transforms.dictionary import load_dictionary
from transforms.errors import DataRefused
from transforms.tables import ROOT, read_sql_file
from transforms.warehouse import Warehouse

RULES = [
    Rule("good", "staging.x", "set", "critical", "stop", "nothing is wrong", "SELECT 1 AS a WHERE false"),
    Rule("bad", "staging.x", "set", "warning", "report", "it's {odd}", "SELECT 'k' || i AS key FROM range(30) t(i)"),
]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return a closed build file in which two rules were run: one holds, one is broken 30 times."""
    path = tmp_path / "candidate.duckdb"
    with Warehouse.open(path) as warehouse:
        check.prepare(warehouse)
        check.plan(warehouse, RULES)
        for rule in RULES:
            check.run_set_rule(warehouse, rule, {})
        check.mark_run(warehouse, RULES, 500)
    return path


def outcomes(database: Path) -> list[Outcome]:
    with Warehouse.open(database) as warehouse:
        return check.outcomes(warehouse, RULES)


def run(database: Path, sql: str) -> None:
    with Warehouse.open(database) as warehouse:
        warehouse.execute(sql)


def test_gx_records_every_rule_and_leaves_the_file_writable(database: Path, capfd: pytest.CaptureFixture[str]) -> None:
    frame = record_with_gx(database, outcomes(database), "run-1")
    by_rule = {row["rule_id"]: row for row in frame.to_dict("records")}
    assert (by_rule["good"]["success"], by_rule["good"]["n_violations"]) == (True, 0)
    assert (by_rule["bad"]["success"], by_rule["bad"]["n_violations"]) == (False, 30)
    assert by_rule["bad"]["examples"] == "key=k0 | key=k1 | key=k10"
    assert by_rule["every_planned_rule_was_run"]["success"]
    assert set(frame["engine"]) == {"great_expectations 1.24.1"}
    assert set(frame["run_id"]) == {"run-1"}
    assert capfd.readouterr() == ("", "")
    with Warehouse.open(database) as warehouse:
        tables.prepare(warehouse)
        warehouse.load("run.validation", frame)
        assert tables.build_table(warehouse, read_sql_file(ROOT / "meta" / "validation.sql"), load_dictionary()) == 3


def test_an_empty_violation_table_without_the_run_of_its_rules_is_refused(database: Path) -> None:
    run(database, "DELETE FROM quarantine.violation; DELETE FROM quarantine.rule_run WHERE rule_id = 'good'")
    clean = [replace(outcome, n_violations=0, success=True) for outcome in outcomes(database)]
    with pytest.raises(DataRefused, match="every planned rule must have been run"):
        record_with_gx(database, clean, "run-1")


def test_rules_that_looked_at_no_row_are_refused(database: Path) -> None:
    run(database, "UPDATE quarantine.rule_run SET rows_scanned = 0")
    with pytest.raises(DataRefused, match="looked at rows"):
        record_with_gx(database, outcomes(database), "run-1")


def test_counts_that_disagree_are_refused(database: Path) -> None:
    given = outcomes(database)
    run(database, "DELETE FROM quarantine.violation")
    with pytest.raises(DataRefused, match="bad has 30 violations by SQL and 0 by Great Expectations"):
        record_with_gx(database, given, "run-1")


def test_an_outcome_left_out_is_refused(database: Path) -> None:
    with pytest.raises(DataRefused, match=r"staging\.x bad was planned and has no outcome"):
        record_with_gx(database, outcomes(database)[:1], "run-1")


def test_a_stop_is_recorded_rather_than_refused_here(database: Path) -> None:
    stop = Outcome("max_age", "meta.source", "critical", "stop", "too old", 2, 19, ("statbank_x: 700 days",), False)
    frame = record_with_gx(database, [*outcomes(database), stop], "run-1").set_index("rule_id")
    assert frame.loc["max_age", "n_violations"] == 2
    assert frame.loc["max_age", "examples"] == "statbank_x: 700 days"


GOOD = {
    "mart.municipality": "SELECT (101 + i)::VARCHAR AS municipality_code, '08' || (1 + i % 5) AS region_code "
    "FROM range(98) t(i)",
    "mart.indicator": "SELECT 'a' || i AS indicator_id, 'En andel.' AS definition_da FROM range(3) t(i)",
    "mart.mapping": "SELECT i FROM range(98) t(i)",
}
BAD = {
    "gx_98_municipalities": ("mart.municipality", "FROM good LIMIT 97", 1),
    "gx_98_mappings": ("mart.mapping", "FROM good UNION ALL SELECT 411", 1),
    "gx_code_once": ("mart.municipality", "FROM (FROM good LIMIT 97) UNION ALL (FROM good LIMIT 1)", 2),
    "gx_code_three_digits": (
        "mart.municipality", "SELECT * REPLACE ('0' || municipality_code AS municipality_code) FROM good", 98,
    ),
    "gx_known_region": (
        "mart.municipality", "SELECT * REPLACE (replace(region_code, '085', '086') AS region_code) FROM good", 19,
    ),
    "gx_indicator_once": ("mart.indicator", "FROM good UNION ALL FROM good", 6),
    "gx_indicator_defined": (
        "mart.indicator", "SELECT * REPLACE (nullif(indicator_id, 'a1') AS definition_da) FROM good", 1,
    ),
}  # fmt: skip


@pytest.fixture
def marts(database: Path) -> Callable[..., Any]:
    """Return a function that stores the small tables, one of them changed, and returns the recorded frame."""

    def stored(table: str = "", sql: str = "FROM good") -> Any:
        with Warehouse.open(database) as warehouse:
            warehouse.execute("CREATE SCHEMA mart")
            for name, select in GOOD.items():
                query = sql if name == table else "FROM good"
                warehouse.execute(f"CREATE TABLE {name} AS WITH good AS ({select}) {query}")
        stop = Outcome("stop", "mart.x", "critical", "stop", "keeps the refusal for later", 1, 1, (), False)
        return record_with_gx(database, [*outcomes(database), stop], "run-1").set_index("rule_id")

    return stored


def test_stock_expectations_hold_on_good_tables(marts: Callable[..., Any]) -> None:
    frame = marts()
    assert {stock.rule_id for stock in STOCK} <= set(frame.index)
    assert all(frame.loc[stock.rule_id, "success"] for stock in STOCK)


@pytest.mark.parametrize("rule_id", sorted(stock.rule_id for stock in STOCK))
def test_stock_expectations_find_the_fault(marts: Callable[..., Any], rule_id: str) -> None:
    table, sql, number = BAD[rule_id]
    row = marts(table, sql).loc[rule_id]
    assert (row["success"], row["n_violations"], row["severity"]) == (False, number, "critical")


def test_a_stock_failure_alone_refuses_the_build(database: Path) -> None:
    run(database, "CREATE SCHEMA mart; CREATE TABLE mart.mapping AS SELECT i FROM range(97) t(i)")
    with pytest.raises(DataRefused, match="98 municipalities"):
        record_with_gx(database, outcomes(database), "run-1")
