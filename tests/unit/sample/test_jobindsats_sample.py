from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from httpx import Response
from pydantic import SecretStr

from flows.connectors import FetchOptions
from flows.connectors.jobindsats import connect, download, fetch_all, query_of, write_rows
from flows.sample.jobindsats import (
    TABLES,
    TOKEN,
    JobindsatsWorld,
    RefusedError,
    answer_v2,
    answer_v3,
    create_app,
    describe_v3,
)
from flows.sample.standin import running_app
from flows.sample.world import build_world
from flows.store.snapshots import SnapshotStore
from tests.fixtures.answering import answered
from transforms.catalogue import PERIOD_KINDS, load_catalogue, load_codelists
from transforms.errors import DataRefused

ASKED = [each for each in load_catalogue().sources.values() if each.connector == "jobindsats"]
SOURCES = [each.id for each in ASKED]
LEAVES = [code.code for code in load_codelists()["db07_37"] if code.kind == "leaf"]


@pytest.fixture(scope="module")
def world() -> JobindsatsWorld:
    return JobindsatsWorld(build_world(vintage=date(2016, 12, 31), persons=12_000))


@pytest.fixture(scope="module")
def root(world: JobindsatsWorld) -> Iterator[str]:
    with running_app(create_app(world)) as address:
        yield address


@pytest.mark.long
@pytest.mark.parametrize("source_id", SOURCES)
def test_both_versions_of_the_protocol_give_the_same_rows(root: str, tmp_path: Path, source_id: str) -> None:
    source = load_catalogue().source(source_id)
    for version in (3, 2):
        with connect(f"{root}/v{version}", SecretStr(TOKEN)) as client:
            files, _ = download(source, client, tmp_path)
        (path, kind), *rest = files.values()
        assert (kind, rest) == (f"jobindsats-v{version}", [])
        rows = write_rows(source, [path], load_catalogue(), tmp_path / str(version))
        assert (rows.rows or 0) > 98
        assert not rows.rejected
        assert not rows.new_codes
    one, other = (tmp_path / version / f"{source_id}.csv" for version in ("2", "3"))
    assert one.read_bytes() == other.read_bytes()


def test_the_stand_in_refuses_as_the_real_one(root: str, tmp_path: Path) -> None:
    source = load_catalogue().source("jobindsats_refugees")
    with connect(f"{root}/v3", SecretStr("forkert")) as client, pytest.raises(DataRefused, match="refuses the token"):
        download(source, client, tmp_path)
    asks = query_of(source).model_copy(update={"area_hierarchy": "_omrade"})
    with (
        connect(f"{root}/v3", SecretStr(TOKEN)) as client,
        pytest.raises(DataRefused, match=r"Unknown hierarchies: \['_omrade'\]"),
    ):
        download(source.model_copy(update={"jobindsats": asks}), client, tmp_path)


def test_the_refugee_measures_agree_with_the_people(world: JobindsatsWorld) -> None:
    asked = {"period.M": "2016M06", "hierarchy._nykom": "*"}
    rows = answer_v3(world, "Y21MM13", asked)["rows"]
    country = rows[0]
    persons = world._world.persons
    day = "2016-06-30"
    resident = persons[
        (persons["permit_date"] <= day) & ~(persons["end_date"] <= day) & (persons["residence_basis"] != "other_family")
    ]
    assert country[1] == "Hele landet"
    assert 0.8 * len(resident) < country[2] <= len(resident)
    assert country[3] >= country[5] > 0
    assert country[4] == pytest.approx(100 * country[3] / country[2], abs=0.06)
    shown = sum(row[2] or 0 for row in rows[1:])
    assert shown <= country[2] <= shown + 2 * len(rows)
    counts = [cell for row in rows for cell in (row[2], row[3], row[5])]
    assert None in counts
    assert not {1, 2} & set(counts)


def test_the_benchmark_ranks_by_percentage_points(world: JobindsatsWorld) -> None:
    rows = [
        row
        for row in answer_v3(world, "y30r21", {"period.QMAT": "latest:1", "hierarchy._nykom": "*"})["rows"]
        if row[2]
    ]
    ranked = sorted(rows, key=lambda row: row[8])
    assert [row[7] for row in ranked] == sorted((row[7] for row in ranked), reverse=True)


@pytest.mark.parametrize("asked", [{"period.A": "latest:2"}, {}, {"period.M": "latest:2", "hierarchy._x": "*"}])
def test_questions_the_api_does_not_know_are_refused(world: JobindsatsWorld, asked: dict[str, str]) -> None:
    with pytest.raises(RefusedError):
        answer_v3(world, "y21mm13", asked)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_answers_for_the_periods_it_describes_and_refuses_others(world: JobindsatsWorld, table: str) -> None:
    described = {each["periodtype_id"]: each["values"] for each in describe_v3(world, table, {})["periods"]}
    assert {query_of(each).period_kind for each in ASKED if query_of(each).table.lower() == table} <= described.keys()
    for kind in PERIOD_KINDS:
        asked = {f"period.{kind}": "latest:2", "hierarchy._nykom": "*"}
        if kind in described:
            periods = {row[0] for row in answer_v3(world, table, asked)["rows"]}
            assert periods == {each["period_id"] for each in described[kind][-2:]}
            assert answer_v2(world, table, {"period": f"l({kind.lower()}:2)"})[0]["Data"]
        else:
            with pytest.raises(RefusedError, match="Unknown period type"):
                answer_v3(world, table, asked)
            with pytest.raises(RefusedError, match="Unknown period"):
                answer_v2(world, table, {"period": f"l({kind.lower()}:2)"})


@pytest.mark.parametrize("period", ["2016", "2016M13", "2017M01", "2016Q01", "sidste måned"])
def test_a_period_the_table_has_not_is_refused(world: JobindsatsWorld, period: str) -> None:
    with pytest.raises(RefusedError, match="Unknown periods"):
        answer_v3(world, "y25i10", {"period.M": f"2016M11,{period}", "hierarchy._nykom": "*"})


def test_openings_by_year_are_refused_over_the_line(root: str) -> None:
    with connect(f"{root}/v3", SecretStr(TOKEN)) as client:
        answer = client.get("data/y25i10", params={"period.Y": "latest:1", "hierarchy._nykom": "*"})
    assert (answer.status_code, answer.json()["cause"]) == (422, "Unknown period type: Y")


def test_the_latest_periods_are_whole_and_known(world: JobindsatsWorld) -> None:
    assert world.periods("M", 2) == ["2016M11", "2016M12"]
    assert world.periods("QMAT", 2) == ["2016QMAT03", "2016QMAT04"]
    early = JobindsatsWorld(build_world(vintage=date(2016, 12, 30), persons=50))
    assert early.periods("M", 1) == ["2016M11"]
    assert early.periods("Y", 1) == ["2015Y01"]


def test_openings_are_posted_by_industry(world: JobindsatsWorld) -> None:
    answer = answer_v3(world, "y25i10", {"period.M": "latest:12", "hierarchy._nykom": "*", "hierarchy._branche": "*"})
    rows, last = answer["rows"], answer["columns"].index("Antal nyopslåede stillinger")
    assert len({row[0] for row in rows}) == 12
    assert len({row[1] for row in rows}) == 99
    jobs = world._world.labour.sums(2015).workers.sum()
    country = [row for row in rows if row[1] == "Hele landet"]
    year = sum(row[last] for row in country if row[2] == "Brancher i alt")
    assert 0.02 * jobs < year < 0.12 * jobs
    assert sum(row[last] for row in country if row[2] != "Brancher i alt") == year
    assert {0, 1, 2} < {row[last] for row in rows}
    assert len(rows) == 12 * 99 * (1 + len(LEAVES))


@pytest.mark.long
def test_industries_are_read_as_codes(world: JobindsatsWorld, root: str, tmp_path: Path) -> None:
    source = load_catalogue().source("jobindsats_y25i10")
    with connect(f"{root}/v3", SecretStr(TOKEN)) as client:
        files, _ = download(source, client, tmp_path)
    rows = write_rows(source, [path for path, _ in files.values()], load_catalogue(), tmp_path)
    header, *lines = rows.paths[0].read_text(encoding="utf-8").splitlines()
    assert header == "OMRÅDE;INDUSTRY_CODE;MÅLING;TID;INDHOLD"
    assert {line.split(";")[1] for line in lines} == {code for code in LEAVES} | {"TOT"}
    assert not {line.split(";")[-1] for line in lines} & {"..", "..."}


def test_an_industry_without_a_code_is_kept_and_named(world: JobindsatsWorld, tmp_path: Path) -> None:
    source = load_catalogue().source("jobindsats_y25i10")
    answer = answer_v3(world, "y25i10", {"period.M": "latest:1", "hierarchy._nykom": "*"})
    for row in answer["rows"]:
        row[2] = row[2].replace("Rejsebureauer, rengøring og anden operationel service", "Rengøringsassistent")
    (tmp_path / "answer.json").write_text(json.dumps(answer), encoding="utf-8")
    rows = write_rows(source, [tmp_path / "answer.json"], load_catalogue(), tmp_path)
    assert [code.code for code in rows.new_codes["INDUSTRY_CODE"]] == ["Rengøringsassistent"]
    assert "Rengøringsassistent" in rows.notes[0]
    (dimension,) = query_of(source).dimensions
    named = dimension.model_copy(update={"texts": {"rengøringsassistent": "N"}})
    told = source.model_copy(update={"jobindsats": query_of(source).model_copy(update={"dimensions": [named]})})
    known = write_rows(told, [tmp_path / "answer.json"], load_catalogue(), tmp_path)
    assert not known.new_codes
    assert "000;N;posted_count;2016M12;" in known.paths[0].read_text(encoding="utf-8")


def test_job_titles_are_no_industries(world: JobindsatsWorld, tmp_path: Path) -> None:
    source = load_catalogue().source("jobindsats_y25i10")
    rows = [["2016M12", "Rebild", title, 3] for title in ("I alt", "Kok", "Tømrer", "Lærer")]
    answer = {"columns": ["Periode", "Område", "Branche", "Nyopslåede stillinger"], "rows": rows}
    (tmp_path / "answer.json").write_text(json.dumps(answer), encoding="utf-8")
    with pytest.raises(DataRefused, match=r"'Kok'.* have no code in db07_37; this is another breakdown"):
        write_rows(source, [tmp_path / "answer.json"], load_catalogue(), tmp_path)


def test_an_answer_no_build_could_read_is_no_snapshot(tmp_path: Path) -> None:
    columns = {"columns": ["Område", "Periode", "Stilling"], "rows": [["Rebild", "2016M12", "1"]]}
    catalogue = load_catalogue()
    with connect("https://api.jobindsats.dk/v3", SecretStr(TOKEN)) as client:
        answered(client, lambda _: Response(200, json=columns))
        [result] = fetch_all(
            client, [catalogue.source("jobindsats_y25i10")], SnapshotStore(tmp_path), catalogue, FetchOptions()
        )
    assert (result.status, result.snapshot, result.passes) == ("failed", None, False)
    assert "no column for measure posted_count; the answer has Område, Periode, Stilling" in result.message
    assert SnapshotStore(tmp_path).sources() == []
