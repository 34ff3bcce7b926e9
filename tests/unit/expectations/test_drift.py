"""What changed since the last publication: losses stop, movements are told, other worlds are not compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from expectations.check import check_tables
from expectations.drift import check_drift
from expectations.rules import Outcome, blocking
from transforms.errors import KommunekortError
from transforms.warehouse import Warehouse

SOURCE = "statbank_folk1a"
Cell = dict[str, Any]
MUNICIPALITIES = [str(code) for code in range(101, 131)]


def cells() -> list[Cell]:
    return [
        {
            "indicator_id": indicator, "municipality_code": code, "period": period, "value": 1000.0,
            "value_status": "observed", "_snapshot_id": f"{SOURCE}/1",
        }
        for indicator in ("a_count", "b_count") for code in MUNICIPALITIES for period in ("2015", "2016")
    ]  # fmt: skip


def fill(
    warehouse: Warehouse, held: list[Cell], *, rows: int = 100, origin: str = "live", as_of: str | None = None,
    indicators: tuple[str, ...] = ("a_count", "b_count"), published: bool = False,
) -> None:  # fmt: skip
    import pyarrow as pa

    for schema in ("mart", "meta", "run"):
        warehouse.execute(f"CREATE SCHEMA {schema}")
    warehouse.load("mart.indicator_value", pa.Table.from_pylist(held))
    warehouse.load("mart.indicator", pa.table({"indicator_id": indicators}))
    schema, loaded = ("meta", "rows_loaded_count") if published else ("run", "rows_loaded")
    snapshot = {
        "source_id": [SOURCE],
        "origin": [origin],
        "is_synthetic": [origin == "sample"],
        loaded: [rows],
        "is_renamed": [False],
    }
    warehouse.load(f"{schema}.snapshot", pa.table(snapshot))
    as_of_text = f"TIMESTAMP '{as_of}'" if as_of else "NULL::TIMESTAMP"
    warehouse.execute(f"CREATE TABLE {schema}.run AS SELECT '{origin}' AS origin, {as_of_text} AS as_of")


def drift(folder: Path, now: list[Cell], before: list[Cell] | None = None, **facts: Any) -> dict[str, Outcome]:
    with Warehouse.open(folder / "old.duckdb") as old:
        fill(old, before or cells(), published=True)
    with Warehouse.open() as warehouse:
        fill(warehouse, now, **facts)
        return {outcome.rule_id: outcome for outcome in check_drift(warehouse, folder / "old.duckdb")}


def broken(outcomes: dict[str, Outcome]) -> list[str]:
    return sorted(rule_id for rule_id, outcome in outcomes.items() if not outcome.success)


def test_the_same_build_has_not_drifted(tmp_path: Path) -> None:
    outcomes = drift(tmp_path, cells())
    assert broken(outcomes) == []
    assert outcomes["drift_values_moved"].rows_scanned == len(cells())
    assert outcomes["drift_source_shrunk"].rows_scanned == 1


@pytest.mark.parametrize(
    ("lost", "rule_id"),
    [
        ({"indicator_id": "a_count"}, "drift_indicator_lost"),
        ({"indicator_id": "a_count", "municipality_code": "101"}, "drift_municipality_lost"),
        ({"indicator_id": "a_count", "period": "2016"}, "drift_period_lost"),
    ],
)
@pytest.mark.parametrize("how", ["absent", "missing"])
def test_lost_figures_stop(tmp_path: Path, lost: Cell, rule_id: str, how: str) -> None:
    now = []
    for cell in cells():
        gone = lost.items() <= cell.items()
        if gone and how == "missing":
            now.append({**cell, "value": None, "value_status": "missing"})
        elif not gone:
            now.append(cell)
    outcomes = drift(tmp_path, now)
    assert outcomes[rule_id].n_violations == 1
    assert rule_id in [outcome.rule_id for outcome in blocking(outcomes.values())]
    assert "indicator_id=a_count" in outcomes[rule_id].examples[0]


def test_scattered_losses_stop_above_one_in_a_hundred(tmp_path: Path) -> None:
    def less(number: int) -> list[Cell]:
        return [cell for place, cell in enumerate(cells()) if not (place % 2 and place < 2 * number)]

    before = cells() + [{**cell, "period": str(year)} for cell in cells() for year in (2013, 2014)]
    few = drift(tmp_path, [*less(1), *before[len(cells()) :]], before)
    assert broken(few) == []
    (tmp_path / "old.duckdb").unlink()
    many = drift(tmp_path, [*less(5), *before[len(cells()) :]], before)
    assert broken(many) == ["drift_cells_lost"]


def test_the_oldest_period_may_go_when_a_new_one_comes(tmp_path: Path) -> None:
    rolled = [{**cell, "period": str(int(cell["period"]) + 1)} for cell in cells()]
    assert broken(drift(tmp_path, rolled)) == []


def test_moved_and_withheld_figures_are_told(tmp_path: Path) -> None:
    now = [{**cell, "value": 1200.0} if cell["municipality_code"] < "107" else cell for cell in cells()]
    now[-1] = {**now[-1], "value": None, "value_status": "suppressed"}
    outcomes = drift(tmp_path, now)
    assert broken(outcomes) == ["drift_newly_suppressed", "drift_values_moved"]
    assert blocking(outcomes.values()) == []
    assert "moved=12" in outcomes["drift_values_moved"].examples[0]


def test_small_moves_of_many_are_revisions(tmp_path: Path) -> None:
    assert broken(drift(tmp_path, [{**cell, "value": 1050.0} for cell in cells()])) == []


def test_an_indicator_no_longer_defined_is_told_not_stopped(tmp_path: Path) -> None:
    now = [cell for cell in cells() if cell["indicator_id"] == "b_count"]
    outcomes = drift(tmp_path, now, indicators=("b_count",))
    assert broken(outcomes) == ["drift_indicator_withdrawn"]


@pytest.mark.parametrize(("rows", "rule_ids"), [(79, ["drift_source_shrunk"]), (151, ["drift_source_grew"]), (90, [])])
def test_source_rows_are_bounded(tmp_path: Path, rows: int, rule_ids: list[str]) -> None:
    assert broken(drift(tmp_path, cells(), rows=rows)) == rule_ids


@pytest.mark.parametrize("facts", [{"origin": "sample"}, {"as_of": "2016-12-31"}])
def test_another_world_or_another_time_is_not_compared(tmp_path: Path, facts: dict[str, str]) -> None:
    outcomes = drift(tmp_path, cells()[:4], rows=1, **facts)
    assert broken(outcomes) == []
    assert {outcome.rows_scanned for outcome in outcomes.values()} == {0}


def test_a_file_from_before_is_not_compared_and_no_database_is_refused(tmp_path: Path) -> None:
    with Warehouse.open(tmp_path / "older.duckdb") as old:
        old.execute("CREATE TABLE something AS SELECT 1 AS a")
    (tmp_path / "text.duckdb").write_text("no database at all", encoding="utf-8")
    with Warehouse.open() as warehouse:
        assert check_drift(warehouse, tmp_path / "older.duckdb") == []
        with pytest.raises(KommunekortError, match=r"comparing with text.duckdb") as caught:
            check_drift(warehouse, tmp_path / "text.duckdb")
    assert "\n" not in str(caught.value)


def test_unknown_municipalities_and_indicators_stop() -> None:
    import pyarrow as pa

    from transforms.dictionary import load_dictionary
    from transforms.tables import read_all

    name = "mart.indicator_national"
    file = {name: read_all()[name]}
    with Warehouse.open() as warehouse:
        for schema in ("mart", "reference"):
            warehouse.execute(f"CREATE SCHEMA {schema}")
        warehouse.load("reference.areas", pa.table({"code": ["101", "411"], "level": ["municipality", "christiansoe"]}))
        warehouse.load("mart.indicator", pa.table({"indicator_id": ["a_count"]}))
        rows = {"municipality_code": ["101", "411"], "indicator_id": ["a_count", "z_count"]}
        warehouse.load(name, pa.table(rows))
        outcomes = {o.rule_id: o for o in _derived(check_tables, warehouse, file, load_dictionary())}
    assert outcomes["known_municipality_code"].examples == ("municipality_code=411, rows_found=1",)
    assert outcomes["known_indicator_id"].examples == ("indicator_id=z_count, rows_found=1",)


def _derived(check: Any, *given: Any) -> list[Outcome]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("expectations.check.read_rule_files", lambda: ())
        found: list[Outcome] = check(*given)
    return found


def test_a_rule_whose_table_was_not_built_stops() -> None:
    from transforms.dictionary import load_dictionary
    from transforms.tables import read_all

    files = {"mart.mapping": read_all()["mart.mapping"]}
    with Warehouse.open() as warehouse:
        outcomes = check_tables(warehouse, files, load_dictionary())
    assert {outcome.table_name for outcome in blocking(outcomes)} == {"mart.mapping"}
    assert all("was not run" in outcome.description for outcome in outcomes)


def test_a_changed_reference_file_is_told_and_another_form_of_it_too(tmp_path: Path) -> None:
    found = {}
    for name, now in {
        "the same": "(VALUES ('101', '2016', '5'), ('147', '2016', '7')) AS t(code, year, quota)",
        "a line": "(VALUES ('101', '2016', '50'), ('147', '2016', '7')) AS t(code, year, quota)",
        "a column": "(VALUES ('101', '2016'), ('147', '2016')) AS t(code, year)",
    }.items():
        folder = tmp_path / name
        folder.mkdir()
        with Warehouse.open(folder / "old.duckdb") as old:
            fill(old, cells(), published=True)
            old.execute("CREATE SCHEMA reference")
            old.execute(
                "CREATE TABLE reference.quotas AS FROM (VALUES ('101', '2016', '5'), ('147', '2016', '7')) "
                "AS t(code, year, quota)"
            )
        with Warehouse.open() as warehouse:
            fill(warehouse, cells())
            warehouse.execute("CREATE SCHEMA reference")
            warehouse.execute(f"CREATE TABLE reference.quotas AS FROM {now}")
            found[name] = [o for o in check_drift(warehouse, folder / "old.duckdb") if not o.success]
    assert found["the same"] == []
    for name, lines in (("a line", 1), ("a column", 2)):
        (outcome,) = found[name]
        assert (outcome.rule_id, outcome.severity) == ("drift_reference_changed", "warning")
        assert outcome.examples == (f"file=quotas, gone={lines}, new={lines}",)
