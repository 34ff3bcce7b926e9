from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from pydantic import SecretStr

from flows.connectors.jobindsats import connect, fetch
from flows.connectors.jobindsats_tidy import tidy
from flows.sample.jobindsats import JobindsatsWorld
from flows.sample.jobindsats_api import TOKEN, RefusedError, answer_v3, create_app
from flows.sample.standin import running_app
from flows.sample.world import build_world
from transforms.catalogue import load_catalogue
from transforms.errors import DataRefused

SOURCES = [each.id for each in load_catalogue().sources.values() if each.connector == "jobindsats"]


@pytest.fixture(scope="module")
def world() -> JobindsatsWorld:
    return JobindsatsWorld(build_world(vintage=date(2016, 12, 31), persons=12_000))


@pytest.fixture(scope="module")
def root(world: JobindsatsWorld) -> Iterator[str]:
    with running_app(create_app(lambda: world)) as address:
        yield address


@pytest.mark.parametrize("source_id", SOURCES)
def test_both_versions_of_the_protocol_give_the_same_tidy_rows(root: str, tmp_path: Path, source_id: str) -> None:
    source = load_catalogue().source(source_id)
    for version in (3, 2):
        with connect(f"{root}/v{version}", SecretStr(TOKEN)) as client:
            files, _ = fetch(source, client, tmp_path)
        (path, kind), *rest = files.values()
        assert (kind, rest) == (f"jobindsats-v{version}", [])
        assert tidy(path, source, tmp_path / f"{version}.csv").rows_out > 98
    assert (tmp_path / "2.csv").read_bytes() == (tmp_path / "3.csv").read_bytes()


def test_the_stand_in_refuses_as_the_real_one(root: str, tmp_path: Path) -> None:
    source = load_catalogue().source("jobindsats_refugees")
    with connect(f"{root}/v3", SecretStr("forkert")) as client, pytest.raises(DataRefused, match="refuses the token"):
        fetch(source, client, tmp_path)
    asks = {**(source.jobindsats or {}), "hierarchies": {"_omrade": "*"}}
    with (
        connect(f"{root}/v3", SecretStr(TOKEN)) as client,
        pytest.raises(DataRefused, match=r"Unknown hierarchies: \['_omrade'\]"),
    ):
        fetch(source.model_copy(update={"jobindsats": asks}), client, tmp_path)


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


def test_the_latest_periods_are_whole_and_known(world: JobindsatsWorld) -> None:
    assert world.periods("M", 2) == ["2016M11", "2016M12"]
    assert world.periods("QMAT", 2) == ["2016QMAT03", "2016QMAT04"]
    early = JobindsatsWorld(build_world(vintage=date(2016, 12, 30), persons=50))
    assert early.periods("M", 1) == ["2016M11"]
    assert early.periods("Y", 1) == ["2015Y01"]
