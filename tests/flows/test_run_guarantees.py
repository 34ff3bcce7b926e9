"""What every publication promises, checked on one small whole run."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.run.night import build_step
from flows.run.record import RunInfo
from flows.settings import Settings
from flows.store.exports import export_parquet
from tests.fixtures.world import Published, run_from
from transforms.catalogue import load_catalogue
from transforms.errors import NothingNew
from transforms.tables import read_all
from transforms.warehouse import Warehouse

SCHEMAS = {"core", "mart", "meta", "quarantine", "reference", "staging"}


def test_the_run_published_98_municipalities_from_nineteen_sources(tiny_run: Published) -> None:
    assert tiny_run.rows("SELECT count(*), count_if(is_participant) FROM mart.mapping") == [(98, 17)]
    assert len(tiny_run.release["snapshots"]) == 19
    assert tiny_run.release["is_synthetic"]
    marks = tiny_run.rows("SELECT data_mark, is_synthetic FROM meta.release")
    assert marks == [("SYNTETISKE DATA / SYNTHETIC DATA", True)]


@pytest.mark.long
@pytest.mark.parametrize("built", ["few_run", "tiny_run"])
def test_two_builds_of_the_same_snapshots_export_the_same_bytes(
    built: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    first: Published = request.getfixturevalue(built)
    settings = Settings(data=tmp_path / "data", threads=1)
    shutil.copytree(first.settings.snapshots, settings.snapshots)
    again = build_step(settings, load_catalogue(), RunInfo.start(settings, str(first.origin)), force=True)
    assert again.release["run_id"] != first.release["run_id"]
    assert again.release["fingerprint"] == first.release["fingerprint"]
    assert export_parquet(again.path, tmp_path / "exports") == first.release["exports"]
    assert len(first.release["exports"]) > 5


def test_the_release_names_the_hash_of_every_export(tiny_run: Published) -> None:
    tables = {f"mart.{name}.parquet" for (name,) in tiny_run.rows("SHOW TABLES FROM mart")}
    assert set(tiny_run.release["exports"]) == tables | {"meta.revision.parquet"}
    state = tiny_run.state()
    for name, digest in tiny_run.release["exports"].items():
        assert state[f"builds/exports-{tiny_run.release['run_id']}/{name}"] == digest


def test_exports_hold_the_rows_of_the_database(tiny_run: Published) -> None:
    with Warehouse.open(tiny_run.settings.published, read_only=True) as warehouse:
        for file in sorted(tiny_run.settings.exports.glob("*.parquet")):
            table = file.stem
            both = f"SELECT * FROM {table} EXCEPT ALL SELECT * FROM read_parquet('{file}')"
            assert warehouse.scalar(f"SELECT count(*) FROM ({both})") == 0, table
            assert warehouse.scalar(f"SELECT count(*) FROM '{file}'") == warehouse.scalar(
                f"SELECT count(*) FROM {table}"
            )


def test_every_table_and_column_of_the_mart_carries_its_comment(tiny_run: Published) -> None:
    bare = tiny_run.rows(
        "SELECT schema_name, table_name, NULL FROM duckdb_tables() "
        "WHERE schema_name IN ('mart', 'meta', 'core', 'staging', 'quarantine') AND coalesce(comment, '') = '' "
        "UNION ALL SELECT schema_name, table_name, column_name FROM duckdb_columns() "
        "WHERE schema_name IN ('mart', 'meta', 'core', 'staging') AND coalesce(comment, '') = ''"
    )
    assert bare == []


def test_every_published_table_is_described_in_the_dictionary(tiny_run: Published) -> None:
    missing = tiny_run.rows(
        "SELECT schema_name || '.' || table_name AS t, column_name FROM duckdb_columns() "
        "WHERE schema_name IN ('mart', 'core', 'staging') AND NOT internal "
        "EXCEPT SELECT table_name, column_name FROM meta.data_dictionary"
    )
    assert missing == []
    undescribed = tiny_run.rows(
        "SELECT table_name, column_name FROM meta.data_dictionary WHERE coalesce(label_da, '') = '' "
        "OR coalesce(label_en, '') = '' OR coalesce(description, '') = '' OR coalesce(table_label_da, '') = ''"
    )
    assert undescribed == []


def test_the_dictionary_covers_meta_tables_but_itself_and_the_validation(tiny_run: Published) -> None:
    built = {name for name in read_all() if name.startswith("meta.")}
    described = {row[0] for row in tiny_run.rows("SELECT DISTINCT table_name FROM meta.data_dictionary")}
    assert built - described == {"meta.data_dictionary", "meta.validation"}


def test_lineage_leads_from_every_mart_table_to_its_sources(tiny_run: Published) -> None:
    reads: dict[str, set[str]] = {}
    for table, read in tiny_run.rows("SELECT table_name, reads_table FROM meta.lineage"):
        reads.setdefault(table, set()).add(read)
    built = set(read_all())
    assert {read for found in reads.values() for read in found if read.startswith(("core.", "mart."))} <= built
    for table in sorted(name for name in built if name.startswith(("core.", "mart.", "staging."))):
        assert ends_of(table, reads), table
    assert "raw.statbank_folk1e" in ends_of("mart.mapping", reads)


def ends_of(table: str, reads: dict[str, set[str]]) -> set[str]:
    """Return what a table rests on in the end: raw extracts and reference files."""
    found, waiting = set(), [table]
    while waiting:
        for read in reads.get(waiting.pop(), set()):
            if read.startswith(("raw.", "reference.", "restricted.")):
                found.add(read)
            elif read not in found:
                waiting.append(read)
    return found


def test_every_row_of_every_snapshot_is_loaded_or_in_quarantine(tiny_run: Published) -> None:
    counts = tiny_run.rows(
        "SELECT source_id, _snapshot_id, rows_in_count, rows_loaded_count, rows_rejected_count, rows_filled_count "
        "FROM meta.snapshot"
    )
    assert len(counts) == 19
    for source, snapshot, rows_in, loaded, rejected, filled in counts:
        path = tiny_run.settings.snapshots / snapshot / f"{source.removeprefix('statbank_')}.csv"
        assert rows_in == path.read_text(encoding="utf-8").count("\n") - 1, source
        assert rows_in == loaded + rejected, source
        held = tiny_run.rows(f"SELECT count(*) FILTER (NOT _is_filled), count_if(_is_filled) FROM staging.{source}")
        quarantined = tiny_run.rows(
            f"SELECT count(DISTINCT row_number) FROM quarantine.row WHERE source_id = '{source}'"
        )
        assert held[0][0] + quarantined[0][0] == rows_in, source
        assert held[0][1] == filled, source


def test_only_bulk_extracts_are_filled_with_zeros(tiny_run: Published) -> None:
    filled = tiny_run.rows("SELECT source_id FROM meta.snapshot WHERE rows_filled_count > 0 ORDER BY 1")
    assert filled == [("statbank_pend100",), ("statbank_ras302",)]
    assert tiny_run.rows("SELECT DISTINCT value, value_status FROM staging.statbank_ras302 WHERE _is_filled") == [
        (0, "zero")
    ]


def test_nothing_of_the_workshop_is_published(tiny_run: Published) -> None:
    found = {row[0] for row in tiny_run.rows("SELECT DISTINCT schema_name FROM duckdb_tables()")}
    assert found == SCHEMAS
    assert tiny_run.rows("SELECT view_name FROM duckdb_views() WHERE NOT internal") == []
    assert not tiny_run.settings.published.resolve().with_suffix(".duckdb.wal").exists()
    assert not list(tiny_run.settings.builds.glob(".*"))


def test_every_rule_is_recorded_and_every_critical_one_holds(tiny_run: Published) -> None:
    rules = tiny_run.rows("SELECT severity, success, rows_scanned FROM meta.validation")
    assert len(rules) > 300
    assert [rule for rule in rules if rule[0] == "critical" and not rule[1]] == []
    unproven = tiny_run.rows(
        "SELECT table_name, rule_id FROM meta.validation WHERE rows_scanned = 0 AND table_name LIKE 'staging.%'"
    )
    assert unproven == []


def test_nothing_new_changes_nothing(own_data: Published) -> None:
    before = own_data.state()
    with pytest.raises(NothingNew, match=r"nothing new since build \d{8}T\d{9}Z: same snapshots, code and settings"):
        run_from(own_data.settings, own_data.origin)
    assert own_data.state() == before
    ledger = sorted(own_data.settings.runs.glob("*.json"))
    assert [json.loads(path.read_text())["status"] for path in ledger] == ["published", "nothing_new"]


def test_runs_sort_in_their_order_even_when_the_clock_goes_back(own_data: Published) -> None:
    ahead = own_data.settings.runs / "29991231T235959999Z.json"
    ahead.write_text("{}", encoding="utf-8")
    run = RunInfo.start(own_data.settings, "sample")
    assert run.run_id == "30000101T000000000Z"
    assert (datetime.now(UTC) - run.started_at).total_seconds() < 60


def test_the_catalog_has_the_same_name_whatever_the_build(tiny_run: Published) -> None:
    """Written with the catalog, a query goes on working after the next publication, also through the link's target."""
    for path in (tiny_run.settings.published, tiny_run.settings.published.resolve()):
        with Warehouse.open(path, read_only=True) as warehouse:
            assert warehouse.scalar("SELECT current_catalog()") == "kommunekort"
            assert warehouse.scalar("SELECT count(*) FROM kommunekort.mart.mapping") == 98


@pytest.mark.long
def test_no_extract_is_taken_back_for_what_was_hidden_in_what_is_published(
    sample_run: Published, tmp_path: Path, in_a_hurry: None
) -> None:
    """Withheld shares, noughts among them, stand in the published staging tables and as they came in the extract."""
    shutil.copytree(sample_run.settings.root, tmp_path / "data", symlinks=True)
    again = Published(Settings(data=tmp_path / "data"), sample_run.origin)
    before = again.release
    assert run_from(again.settings, "sample", first="build", force=True).status == "published"
    assert again.release["run_id"] != before["run_id"]
    assert again.release["taken_back"] == {}
    assert again.release["snapshots"] == before["snapshots"]
