"""Every written rule holds on rows that keep it and finds the row that breaks it."""

from __future__ import annotations

import pytest

from expectations import check
from expectations.rules import read_rule_files
from tests.unit.expectations.rule_cases import CASES, Case, Tables
from transforms.warehouse import Warehouse

RULES = {rule.rule_id: rule for rule in read_rule_files()}


def violations(rule_id: str, tables: Tables) -> list[str]:
    """Return the details of the violations of one rule over the given tables."""
    import pyarrow as pa

    rule = RULES[rule_id]
    with Warehouse.open() as warehouse:
        check.prepare(warehouse)
        for name, rows in tables.items():
            warehouse.execute(f"CREATE SCHEMA IF NOT EXISTS {name.split('.')[0]}")
            warehouse.load(name, pa.Table.from_pylist(rows))
            if "newest_reference_date" in rows[0]:
                warehouse.execute(f"ALTER TABLE {name} ALTER newest_reference_date TYPE DATE")
        check.run_set_rule(warehouse, rule, {})
        return [detail for (detail,) in warehouse.rows("SELECT detail FROM quarantine.violation")]


def changed(case: Case) -> Tables:
    """Return the good tables of a case with the first row of the named ones changed."""
    return {
        name: [{**rows[0], **case.bad[name]}, *rows[1:]] if name in case.bad else rows
        for name, rows in case.good.items()
    }


def test_every_written_rule_has_a_case() -> None:
    assert sorted(CASES) == sorted(RULES)


@pytest.mark.parametrize("rule_id", sorted(RULES))
def test_a_rule_tells_good_from_bad(rule_id: str) -> None:
    case = CASES[rule_id]
    assert violations(rule_id, case.good) == []
    found = violations(rule_id, changed(case))
    assert len(found) == case.violations
    assert all(found)
