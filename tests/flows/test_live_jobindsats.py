"""Every table of Jobindsats as municipalities' jobs receive it, fetched, checked and published by typed commands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flows.connectors.jobindsats import canonical_rows, query_of
from flows.run.record import standing_alarm
from flows.settings import Settings
from flows.store.snapshots import SnapshotStore
from tests.fixtures.replica import Replica, _areas
from tests.fixtures.replica_jobindsats import TABLES, answers
from tests.fixtures.world import Published, hurry, run_from
from tests.flows.test_run_cli import Answer, kommunekort
from transforms.catalogue import load_catalogue
from transforms.warehouse import Warehouse

CATALOGUE = load_catalogue()
SOURCES = {query_of(source).table: source for source in CATALOGUE.sources.values() if source.connector == "jobindsats"}


@contextmanager
def typed_over(replica: Replica, data: Path) -> Iterator[Typed]:
    """Yield what types commands over a replica."""
    with replica.registers() as reached:
        yield Typed(data, {f"KOMMUNEKORT_{name.upper()}": value for name, value in reached.items()})


class Typed:
    """Types commands for one data folder."""

    def __init__(self, data: Path, environment: dict[str, str]):
        self.data = data
        self.environment = environment

    def __call__(self, *words: str) -> Answer:
        return kommunekort(*words, data=self.data, **self.environment)


@pytest.mark.long
def test_every_table_is_fetched_as_it_comes(tmp_path: Path) -> None:
    replica = Replica(jobindsats=answers())
    wanted = [word for source in SOURCES.values() for word in ("--only", source.id)]
    with typed_over(replica, tmp_path) as typed:
        answer = typed("fetch", "--from", "live", *wanted)
    assert answer.code == 0, answer
    store = SnapshotStore(Settings(data=tmp_path).snapshots)
    for table, source in SOURCES.items():
        newest = store.newest(source.id)
        assert newest is not None, source.id
        rows = canonical_rows(source, newest, CATALOGUE, tmp_path / source.id)
        asked, query = TABLES[table], query_of(source)
        assert not rows.rejected
        header, *lines = rows.paths[0].read_text("utf-8").splitlines()
        cells = {tuple(line.split(";")[:-1]): line.split(";")[-1] for line in lines}
        by_text = 1
        for dimension in query.dimensions:
            heading = next((name for name in asked.dimensions if name in dimension.headings), None)
            by_text *= len(set(asked.texts[heading])) if heading else 1
        assert len(cells) == len(asked.periods) * 8 * by_text * len(query.measures), (source.id, header)
        assert {key[0] for key in cells} == {"000", "840", "825", "101", "RAR Nordjylland", "081", "998", "997"}
        places = {measure.id: n for n, measure in enumerate(query.measures)}
        for key, value in cells.items():
            measure = query.measures[places[key[-2]]]
            count = cells[(*key[:-2], measure.of, key[-1])] if measure.of else None
            assert not (count == ".." and value not in ("..", "...")), "a share beside a withheld count"
        withheld = {value for key, value in cells.items() if key[0] == "825"}
        assert withheld <= {"..", "..."} or any(m.of is None for m in query.measures if m.unit in ("pct", "pct_points"))


@pytest.mark.long
def test_the_preflight_finds_every_table_as_it_should_be(tmp_path: Path) -> None:
    replica = Replica(jobindsats=answers())
    with typed_over(replica, tmp_path) as typed:
        answer = typed("doctor", "--from", "live", "--json")
    found = {each["source_id"]: each for each in json.loads(answer.out) if each["source_id"].startswith("jobindsats")}
    assert len(found) == 8
    by_sex = found.pop("jobindsats_y35a02")
    assert (by_sex["level"], by_sex["text"]) == ("new", "y35a02 is not by Herkomst: taken as «Personer i alt»")
    assert {source: each["level"] for source, each in found.items()} == dict.fromkeys(found, "ok")
    assert not [request for request in replica.requests if "/v3/data" in request]


@pytest.mark.long
def test_job_titles_are_no_industries(tmp_path: Path) -> None:
    made = answers()
    made["y25i10"] = made.pop("y25i07")
    with typed_over(Replica(jobindsats=made), tmp_path) as typed:
        told = typed("doctor", "--from", "live")
        assert (
            "y25i10 has no hierarchy for Branche; it has _nykom (Område), _esco_uri (Stillingsbetegnelse)" in told.out
        )
        answer = typed("fetch", "--from", "live", "--only", "jobindsats_y25i10")
    assert answer.code != 0, answer
    assert not SnapshotStore(Settings(data=tmp_path).snapshots).sources()


@pytest.mark.long
def test_all_tables_are_published_by_one_typed_night(tmp_path: Path) -> None:
    areas = ["Hele landet", *(name for _, name, _ in _areas("municipality")), "Uoplyst område", "RAR Nordjylland"]
    replica = Replica(jobindsats=answers(areas))
    required = [source.id for source in CATALOGUE.sources.values() if source.required]
    wanted = [word for source in [*required, *(s.id for s in SOURCES.values())] for word in ("--only", source)]
    with typed_over(replica, tmp_path) as typed:
        answer = typed("run", "--plain", "--from", "live", *wanted)
        assert answer.code == 0, answer
        assert typed("run", "--plain", "--from", "live", *wanted).code == 3
    with Warehouse.open(tmp_path / "kommunekort.duckdb", read_only=True) as warehouse:
        used = {row[0] for row in warehouse.rows("SELECT source_id FROM meta.source WHERE _snapshot_id IS NOT NULL")}
        shown = {
            source.id: warehouse.scalar(f"SELECT count(value) FROM staging.{source.id}") for source in SOURCES.values()
        }
    assert {source.id for source in SOURCES.values()} <= used
    assert min(shown.values()) > 0, shown


@pytest.mark.long
def test_an_answer_that_costs_published_figures_is_not_used(tmp_path: Path) -> None:
    """Shares may be lacking here and there, so no rule of their own table stops it: the mapping would lose them all."""
    areas = ["Hele landet", *(name for _, name, _ in _areas("municipality"))]
    replica = Replica(jobindsats={"y21mm13": answers(areas)["y21mm13"]})
    sizes = [137 + 7 * n for n in range(len(areas) - 1)]
    for row in replica.jobindsats["y21mm13"]["rows"]:
        of = [sizes[areas.index(row[1]) - 1]] if row[1] != areas[0] else sizes
        month = int(row[0][-2:])
        whole, working, steady = sum(of), sum(n // 2 + month for n in of), sum(n // 3 + month for n in of)
        row[2:] = [whole, working, round(100 * working / whole, 1), steady, round(100 * steady / whole, 1)]
    only = [*(source.id for source in CATALOGUE.sources.values() if source.required), "jobindsats_refugees"]
    with pytest.MonkeyPatch.context() as patch, replica.registers() as reached:
        hurry(patch)
        patch.setattr("flows.run.ages.next_due", lambda *_: None)
        given: dict[str, Any] = {**reached, "data": tmp_path, "key_file": tmp_path / "key", "threads": 1}
        night = Published(Settings(**given), Path("live"))
        replica.tables["INDOPH1"].variable("Tid").codes.pop()
        first = run_from(night.settings, "live", only=only)
        assert not first.taken_back
        before = night.release["snapshots"]
        replica.tables["INDOPH1"].variable("Tid").codes.append(("2025", "2025", "2025"))
        replica.updated("2026-11-27")
        for row in replica.jobindsats["y21mm13"]["rows"]:
            row[4] = None
        result = run_from(night.settings, "live", only=only)
        now, alarm = night.release["snapshots"], standing_alarm(night.settings)
    assert now["jobindsats_refugees"] == before["jobindsats_refugees"]
    assert now["statbank_indoph1"] != before["statbank_indoph1"], "the others' news is published"
    assert set(result.taken_back) == {"jobindsats_refugees"}
    assert alarm is not None
    assert re.search(r"jobindsats_refugees: .*rule drift_\w+: .* is used in its place", alarm["message"]), alarm
