"""The default run: the sample world, fetched over HTTP from the stand-in on loopback, whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flows.settings import Settings
from tests.fixtures.world import Published, run_from
from transforms.catalogue import load_catalogue
from transforms.errors import NothingNew

pytestmark = pytest.mark.long


def test_every_source_of_the_sample_world_arrives_and_is_published(sample_run: Published) -> None:
    wanted = {source.id for source in load_catalogue().sources.values() if source.connector == "statbank"}
    found = sample_run.rows("SELECT source_id, origin, is_synthetic, rows_rejected_count FROM meta.snapshot")
    assert {row[0] for row in found} >= wanted
    assert {row[1:] for row in found} == {("sample", True, 0)}
    assert sample_run.rows("SELECT count(*), count(*) FILTER (completeness_pct >= 80) FROM mart.mapping") == [(98, 98)]


def test_every_statbank_indicator_has_values(sample_run: Published) -> None:
    empty = sample_run.rows(
        "SELECT indicator_id FROM mart.indicator LEFT JOIN mart.indicator_value USING (indicator_id) "
        "WHERE source_id LIKE 'statbank_%' GROUP BY indicator_id HAVING count(value) = 0"
    )
    assert empty == []


def test_no_critical_rule_is_broken_and_every_page_is_marked(sample_run: Published) -> None:
    assert sample_run.rows("SELECT count(*) FROM meta.validation WHERE severity = 'critical' AND NOT success") == [(0,)]
    pages = list(sample_run.settings.report.glob("*.html"))
    assert pages
    for page in pages:
        assert "SYNTETISKE DATA" in page.read_text(encoding="utf-8"), page.name


def test_every_verdict_is_recorded_by_great_expectations(sample_run: Published) -> None:
    ((engine, rules),) = sample_run.rows("SELECT engine, count(*) FROM meta.validation GROUP BY engine")
    assert engine.startswith("great_expectations")
    assert rules > 300


def test_a_second_night_downloads_and_builds_nothing(sample_run: Published, tmp_path: Path) -> None:
    own = tmp_path / "data"
    shutil.copytree(sample_run.settings.root, own, symlinks=True)
    copy = Published(Settings(data=own), sample_run.origin)
    before = copy.state()
    with pytest.raises(NothingNew):
        run_from(copy.settings, "sample")
    assert copy.state() == before
