"""A suite can be read: the rules of one table and how they went last."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from flows.cli.run import show_suite
from flows.settings import Settings
from transforms.errors import UsageError
from transforms.warehouse import Warehouse


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    rows = [
        {
            "run_id": "r", "table_name": "staging.statbank_ras201", "rule_id": rule, "severity": "critical",
            "action": "stop", "description": f"what {rule} asks", "success": rule != "period_level",
            "n_violations": int(rule == "period_level"), "rows_scanned": 9,
            "examples": "period=2024" if rule == "period_level" else "", "engine": "none",
        }
        for rule in ("unique_key", "period_level")
    ]  # fmt: skip
    with Warehouse.open(tmp_path / "refused.duckdb") as warehouse:
        warehouse.execute("CREATE SCHEMA meta")
        warehouse.load("meta.validation", pa.Table.from_pylist(rows))
    return Settings(data=tmp_path)


def test_a_suite_tells_its_rules_broken_ones_first(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    show_suite(settings, "statbank_ras201")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "period_level  critical  1 broken"
    assert lines[1:3] == ["    what period_level asks", "    e.g. period=2024"]
    assert lines[3] == "unique_key  critical  holds"


def test_all_suites_are_listed_with_their_counts(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    show_suite(settings, "all")
    assert capsys.readouterr().out.splitlines() == [
        "statbank_ras201  critical  1 broken", "    2 rules over 9 rows", "    e.g. period_level",
    ]  # fmt: skip


def test_an_unknown_suite_names_those_there_are(settings: Settings) -> None:
    with pytest.raises(UsageError, match="known: statbank_ras201"):
        show_suite(settings, "nothing")


def test_what_was_never_validated_is_told(settings: Settings) -> None:
    os.mkfifo(settings.root / "validated.duckdb")  # a reader would wait there for ever
    with Warehouse.open(settings.published) as warehouse:
        warehouse.execute("CREATE SCHEMA mart")
    with pytest.raises(UsageError, match=r"meta\.validation is not there; `kommunekort validate` makes it anew"):
        show_suite(settings, "all")


def test_nothing_validated_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="kommunekort validate"):
        show_suite(Settings(data=tmp_path), "all")
