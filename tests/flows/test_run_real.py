"""A run on real publisher files, where they are at hand: what is there is published, what is missing is named."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from flows.connectors.statbank.files import recognise_directory
from flows.settings import Settings
from tests.fixtures.world import Published, hurry, run_from
from transforms.catalogue import load_catalogue

pytestmark = [pytest.mark.real, pytest.mark.long]


@pytest.fixture(scope="module")
def real_run(real_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Return a data folder with one run from the real CSV files."""
    published = Published(Settings(data=tmp_path_factory.mktemp("real") / "data", threads=1), real_dir / "statbank/csv")
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        result = run_from(published.settings, published.origin)
    assert result.status == "published"
    assert not result.release["is_synthetic"]
    assert set(result.fetched.new) == {"statbank_folk1am", "statbank_hfudd11", "statbank_indkp101"}
    assert {"statbank_folk1e", "statbank_ras200", "statbank_indoph1"} <= set(result.fetched.missing)
    assert set(result.fetched.refused_files) == {"folk1b_syria_q1.csv", "van1aar_syria.csv"}
    for name, reason in result.fetched.refused_files.items():
        assert reason.startswith(f"{name}: only area and time, so nothing in the file says which table it is")
    return published


def test_98_municipalities_are_published_with_what_is_known(real_run: Published) -> None:
    assert real_run.rows(
        "SELECT count(*), count(population_count), count(non_western_share_pct) FROM mart.mapping"
    ) == [(98, 98, 0)]
    assert real_run.rows("SELECT is_synthetic, data_mark FROM meta.release") == [(False, None)]


def test_the_population_is_the_line_of_the_file(real_run: Published) -> None:
    with (real_run.origin / "folk1am_population_by_municipality.csv").open(encoding="utf-8-sig") as stream:
        header, *rows = csv.reader(stream, delimiter=";")
    lines = [line for line in rows if {"Copenhagen", "København", "101"} & set(line)]
    assert lines, header
    newest = max(lines, key=lambda line: line[-2])
    [(value, period)] = real_run.rows(
        "SELECT value, period FROM mart.indicator_value "
        "WHERE municipality_code = '101' AND indicator_id = 'population_count' AND is_newest"
    )
    assert period == newest[-2]
    assert int(value) == int(newest[-1].replace(".", ""))


def test_every_line_of_the_files_is_accounted_for(real_run: Published) -> None:
    for source, rows_in, loaded, rejected in real_run.rows(
        "SELECT source_id, rows_in_count, rows_loaded_count, rows_rejected_count FROM meta.snapshot"
    ):
        table = source.removeprefix("statbank_")
        files = [path for path in real_run.origin.glob("*.csv") if path.name.startswith(table)]
        lines = sum(path.read_bytes().rstrip(b"\r\n").count(b"\n") for path in files)
        assert (rows_in, loaded + rejected) == (lines, lines), source


def test_sources_that_are_missing_are_told(real_run: Published) -> None:
    absent = real_run.rows("SELECT count(*) FROM meta.source WHERE connector = 'statbank' AND _snapshot_id IS NULL")
    assert absent == [(16,)]


def test_workbooks_are_read_or_refused_with_the_reason(real_dir: Path) -> None:
    found = recognise_directory(real_dir / "statbank" / "xlsx", load_catalogue())
    told = {path.name: reason for path, reason in found.refused}
    assert len(found.accepted) + len(told) == len(list((real_dir / "statbank" / "xlsx").iterdir()))
    for name, reason in told.items():
        assert reason.startswith(f"{name}: "), reason
        assert "; " in reason, f"no next step: {reason}"
