"""Whole nights with the live registers, played by the replica: one source's trouble stays its own."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr

from flows.connectors.http import Patience
from flows.run import ages
from flows.run.record import standing_alarm
from flows.settings import Settings
from tests.fixtures.publisher import JOBINDSATS, STATBANK
from tests.fixtures.replica import Replica, serving
from tests.fixtures.world import Published, hurry, run_from
from transforms.areas import _names, areas
from transforms.catalogue import Source, load_catalogue
from transforms.errors import DataRefused, NothingNew

pytestmark = pytest.mark.long

REQUIRED = [f"statbank_{table}" for table in ("folk1a", "folk1e", "indoph1", "ras200", "ras201")]
ONLY = [*REQUIRED, "statbank_auk01", "statbank_hfudd11", "jobindsats_otij01"]
Change = Callable[[Replica], object]
NIGHTS = int(os.environ.get("NIGHTS", "3"))
"""How many nights with a disturbance are drawn; each takes some ten seconds."""
TABLES = [source.removeprefix("statbank_").upper() for source in ONLY if source.startswith("statbank")]
EVERY = [(kind, table) for kind in STATBANK for table in TABLES] + [(kind, "otij01") for kind in JOBINDSATS]


@contextmanager
def servers(folder: Path, replica: Replica) -> Iterator[Published]:
    """Yield the data folder of a night over the replica."""
    with pytest.MonkeyPatch.context() as patch, serving(replica) as root:
        hurry(patch)
        patch.setattr("flows.run.ages.next_due", lambda *_: None)  # the replica's years do not go on
        settings = Settings(
            data=folder,
            key_file=folder / "key",
            statbank_url=f"{root}/v1",
            jobindsats_url=f"{root}/v3",
            jobindsats_token=SecretStr("hemmelig"),
            threads=1,
        )
        yield Published(settings, Path("live"))


def news(replica: Replica) -> None:
    """Let another period come in tables of three sources."""
    for table, period in (("INDOPH1", "2026"), ("HFUDD11", "2026"), ("AUK01", "2026K2")):
        replica.tables[table].variable("Tid").codes.append((period, period, period.replace("K", "Q")))
        replica.tables[table].updated = "2026-11-27T08:00:00"


def measures(published: Published, but: str = "") -> set[tuple[object, ...]]:
    """Return every measure of every source but one."""
    rows = published.rows(
        "SELECT measure_id, area_code, period, value, value_status, split_part(_snapshot_id, '/', 1) FROM core.measure"
    )
    return {row[:-1] for row in rows if row[-1] != but}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data folder after one quiet night."""
    folder = tmp_path_factory.mktemp("good") / "data"
    with servers(folder, Replica()) as night:
        assert run_from(night.settings, "live", only=ONLY).status == "published"
    return folder


@pytest.fixture(scope="module")
def undisturbed(good: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[tuple[object, ...]]]:
    """Return source -> the measures of all others after an undisturbed second night."""
    folder = tmp_path_factory.mktemp("next") / "data"
    shutil.copytree(good, folder, symlinks=True)
    replica = Replica()
    news(replica)
    with servers(folder, replica) as night:
        run_from(night.settings, "live", only=ONLY)
        return {source: measures(night, but=source) for source in ONLY}


def unbalanced(replica: Replica) -> None:
    """Let one benefit of one municipality be doubled, so that the net unemployed are not the sum of their parts."""
    figure = replica.tables["AUK01"].figure
    doubled = ("840", "DP")
    replica.tables["AUK01"].figure = lambda at: str(
        int(figure(at)) * (2 if (at["OMRÅDE"], at["YDELSESTYPE"]) == doubled else 1)
    )


def negative(replica: Replica) -> None:
    """Let every figure of one benefit be below nought: more rows than may go to quarantine."""
    figure = replica.tables["AUK01"].figure
    replica.tables["AUK01"].figure = lambda at: f"-{figure(at)}" if at["YDELSESTYPE"] == "DP" else figure(at)


def other_rate(replica: Replica) -> None:
    """Let RAS200 answer with the activity rate: five points above what RAS201 counts."""
    figure = replica.tables["RAS200"].figure
    replica.tables["RAS200"].figure = lambda at: f"{float(figure(at)) + 5:.1f}" if figure(at) != ".." else ".."
    replica.tables["RAS200"].updated = "2026-11-27T08:00:00"


def gone(replica: Replica) -> None:
    del replica.tables["AUK01"]


DISTURBED: dict[str, tuple[str, Change, str]] = {
    "sums that do not add up": (
        "statbank_auk01", unbalanced, r"rule total_\w+: .*is used in its place"),
    "another rate": (
        "statbank_ras200", other_rate, r"rule (country_level|employment_rate_matches_counts): .*is used in its place"),
    "a table gone": ("statbank_auk01", gone, r"Table does not exist: AUK01"),
    "a refused token": (
        "jobindsats_otij01", lambda replica: setattr(replica, "token_refused", True), r"refuses the token"),
}  # fmt: skip


@pytest.mark.parametrize("what", DISTURBED)
def test_every_other_source_is_published_as_on_an_undisturbed_night(
    what: str, good: Path, undisturbed: dict[str, set[tuple[object, ...]]], tmp_path: Path
) -> None:
    source, change, sentence = DISTURBED[what]
    shutil.copytree(good, tmp_path / "data", symlinks=True)
    replica = Replica()
    news(replica)
    change(replica)
    with servers(tmp_path / "data", replica) as night:
        before = night.release["snapshots"].get(source)
        result = run_from(night.settings, "live", only=ONLY)
        assert result.status == "published"
        assert measures(night, but=source) == undisturbed[source]
        assert night.release["snapshots"].get(source) == before, "its last good extract"
        alarm = standing_alarm(night.settings)
        assert alarm is not None
        assert re.search(sentence, alarm["message"]), alarm["message"]
        assert source in alarm["message"]
        assert "network" not in alarm["message"]
        # The next night nothing is new, and the trouble is no smaller for that.
        with pytest.raises(NothingNew):
            run_from(night.settings, "live", only=ONLY)
        again = standing_alarm(night.settings)
        assert again is not None
        assert source in again["message"]
        assert again["since"] == alarm["since"]


@hypothesis_settings(
    max_examples=NIGHTS, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(what=st.sampled_from(EVERY), seed=st.integers(0, 1000))
def test_whatever_one_publisher_does_the_others_are_published_as_they_were_to_be(
    what: tuple[str, str],
    seed: int,
    good: Path,
    undisturbed: dict[str, set[tuple[object, ...]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    kind, table = what
    source = f"statbank_{table.lower()}" if table in TABLES else f"jobindsats_{table}"
    folder = tmp_path_factory.mktemp("night") / "data"
    shutil.copytree(good, folder, symlinks=True)
    replica = Replica()
    news(replica)
    if table in TABLES:
        replica.tables[table].updated = "2026-11-27T08:00:00"
    replica.jobindsats_updated = "2026-11-27"
    (STATBANK if table in TABLES else JOBINDSATS)[kind](replica, table, Random(seed))
    with servers(folder, replica) as night, pytest.MonkeyPatch.context() as patch:
        patch.setattr("flows.connectors.http.Patience", lambda: Patience(attempts=2, wait_initial=0.01))
        result = run_from(night.settings, "live", only=ONLY)
        assert result.status == "published"
        assert measures(night, but=source) == undisturbed[source]
        assert set(result.taken_back) | set(result.fetched.failed) <= {source}
    shutil.rmtree(folder)


ROW = "086;Region Østdanmark;Region Østdanmark;region;084 085;\n"
COPIED = ("transforms.areas.REFERENCE", "transforms.tables.FOLDER")


@pytest.mark.parametrize("known", [False, True])
def test_merged_regions_are_published_as_they_came(
    known: bool,
    good: Path,
    undisturbed: dict[str, set[tuple[object, ...]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if known:
        shutil.copytree(Path("transforms/reference"), tmp_path / "reference")
        with (tmp_path / "reference" / "areas.csv").open("a", encoding="utf-8") as file:
            file.write(ROW)
        for name in COPIED:
            monkeypatch.setattr(name, tmp_path / "reference")
        areas.cache_clear()
        _names.cache_clear()
    shutil.copytree(good, tmp_path / "data", symlinks=True)
    replica = Replica()
    news(replica)
    STATBANK["regions merged"](replica, "AUK01", Random(0))
    try:
        with servers(tmp_path / "data", replica) as night:
            result = run_from(night.settings, "live", only=ONLY)
            assert measures(night, but="statbank_auk01") == undisturbed["statbank_auk01"]
            assert not result.taken_back
            assert not result.fetched.failed
            told = "; ".join(result.fetched.notes.get("statbank_auk01", ()))
            assert ('code 086 "Region Østdanmark" of OMRÅDE is new: add it to transforms' in told) != known
            codes = {row[0] for row in night.rows("SELECT DISTINCT area_code FROM staging.statbank_auk01")}
            assert ("086" in codes, "840" in codes, "085" in codes) == (True, True, False)
            assert standing_alarm(night.settings) is None
    finally:
        areas.cache_clear()
        _names.cache_clear()


def test_a_table_that_stands_still_is_published_and_alarms_until_its_end_is_known(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(good, tmp_path / "data", symlinks=True)
    due = ages.next_due
    replica = Replica()
    news(replica)
    replica.tables["AUK01"] = Replica().tables["AUK01"]  # no news of this one

    def of_one(source: Source, periods: Sequence[str], published_at: str | None) -> datetime | None:
        """Let some four hundred days have gone by for one table."""
        found = due(source, periods, published_at)
        return found - timedelta(days=400) if found and source.id == "statbank_auk01" else None

    with servers(tmp_path / "data", replica) as night:
        monkeypatch.setattr("flows.run.ages.next_due", of_one)
        assert run_from(night.settings, "live", only=ONLY).status == "published"
        alarm = standing_alarm(night.settings)
        assert alarm is not None
        assert re.search(r"statbank_auk01.* newest period is 2026K1, and the next was due by 202", alarm["message"])
        catalogue = load_catalogue()
        ended = catalogue.sources["statbank_auk01"].model_copy(update={"ended": date(2026, 3, 31)})
        catalogue.sources["statbank_auk01"] = ended
        monkeypatch.setattr("flows.run.night.load_catalogue", lambda: catalogue)
        with pytest.raises(NothingNew):
            run_from(night.settings, "live", only=ONLY)
        assert standing_alarm(night.settings) is None


@pytest.mark.parametrize("spoil", [unbalanced, negative])
def test_a_bad_extract_of_a_source_that_may_be_missing_leaves_it_missing(
    spoil: Callable[[Replica], None], tmp_path: Path
) -> None:
    replica = Replica()
    spoil(replica)
    with servers(tmp_path / "data", replica) as night:
        result = run_from(night.settings, "live", only=ONLY)
        assert result.status == "published"
        assert "there is no earlier extract, so the source is missing" in result.taken_back["statbank_auk01"]
        assert night.rows("SELECT count(*) FROM staging.statbank_auk01") == [(0,)]
        assert night.rows("SELECT count(*) FROM quarantine.row WHERE source_id = 'statbank_auk01'") == [(0,)]
        assert "statbank_auk01" not in night.release["snapshots"]


def test_a_bad_extract_of_a_required_source_refuses_the_first_publication(tmp_path: Path) -> None:
    replica = Replica()
    figure = replica.tables["FOLK1A"].figure
    replica.tables["FOLK1A"].figure = lambda at: "9" if at["OMRÅDE"] == "000" else figure(at)
    with servers(tmp_path / "data", replica) as night:
        with pytest.raises(DataRefused, match=r"not published: staging.statbank_folk1a: rule "):
            run_from(night.settings, "live", only=ONLY)
        assert not night.settings.published.exists()


def test_without_a_required_source_nothing_is_published(tmp_path: Path) -> None:
    replica = Replica()
    del replica.tables["RAS201"]
    with servers(tmp_path / "data", replica) as night:
        with pytest.raises(DataRefused, match=r"nothing is published without statbank_ras201: required, and never"):
            run_from(night.settings, "live", only=ONLY)
        alarm = standing_alarm(night.settings)
        assert alarm is not None
        assert "Table does not exist: RAS201" in alarm["message"]
        assert not night.settings.published.exists()


def test_a_cured_source_takes_the_alarm_back(good: Path, tmp_path: Path) -> None:
    shutil.copytree(good, tmp_path / "data", symlinks=True)
    replica = Replica()
    replica.tables["AUK01"] = replace(replica.tables["AUK01"], updated="2026-11-26T08:00:00")
    unbalanced(replica)
    with servers(tmp_path / "data", replica) as night:
        assert run_from(night.settings, "live", only=ONLY).taken_back
        assert standing_alarm(night.settings) is not None
    cured = Replica()
    cured.tables["AUK01"].updated = "2026-11-27T08:00:00"
    with servers(tmp_path / "data", cured) as night:
        assert not run_from(night.settings, "live", only=ONLY).taken_back
        assert standing_alarm(night.settings) is None


def test_a_changed_figure_is_kept_over_all_later_publications(good: Path, tmp_path: Path) -> None:
    shutil.copytree(good, tmp_path / "data", symlinks=True)
    replica = Replica()
    figure = replica.tables["RAS200"].figure
    revised = {"OMRÅDE": "840", "HERKOMST": "25", "KØN": "TOT", "Tid": "2024"}

    def change(at: dict[str, str]) -> str:
        return "61.5" if revised.items() <= at.items() else figure(at)

    replica.tables["RAS200"] = replace(replica.tables["RAS200"], figure=change, updated="2026-11-26T08:00:00")
    asked = (
        "SELECT run_id, indicator_id, value_before, value_after, value_status_before, value_status_after, "
        "snapshot_id_before <> snapshot_id_after FROM meta.revision WHERE municipality_code = '840' "
        "AND indicator_id = 'employment_rate_non_western_pct'"
    )
    with servers(tmp_path / "data", replica) as night:
        result = run_from(night.settings, "live", only=ONLY)
        first = night.rows(asked)
        assert [row[1:] for row in first] == [
            ("employment_rate_non_western_pct", Decimal("60.8"), Decimal("61.5"), "observed", "observed", True)
        ]
        assert result.revisions["count"] == night.rows("SELECT count(*) FROM meta.revision")[0][0] >= 1
        assert any(row["municipality_code"] == "840" for row in result.revisions["largest"])
        assert (night.settings.exports / "meta.revision.parquet").is_file()
        # A later publication that changes other figures keeps these.
        news(replica)
        later = run_from(night.settings, "live", only=ONLY)
        assert night.rows(asked) == first
        assert (
            later.revisions["count"]
            == night.rows(f"SELECT count(*) FROM meta.revision WHERE run_id = '{later.run.run_id}'")[0][0]
        )


def test_a_night_without_news_asks_one_description_a_table_and_takes_no_time(
    sample_run: Published, tmp_path: Path
) -> None:
    """Over every source there is, by the command: exit code 3, under three seconds of the processor."""
    shutil.copytree(sample_run.settings.root, tmp_path / "data", symlinks=True)
    asked: list[str] = []
    send = httpx.Client.send

    def counted(client: httpx.Client, request: httpx.Request, **more: Any) -> httpx.Response:
        asked.append(request.url.path)
        return send(client, request, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.Client, "send", counted)
        with pytest.raises(NothingNew):
            run_from(Settings(data=tmp_path / "data"), "sample")
    sources = load_catalogue().sources.values()
    statbank = [source for source in sources if source.connector == "statbank"]
    assert asked.count("/v1/tableinfo") == len(statbank)
    assert {path for path in asked if path.startswith("/v1/")} == {"/v1/tableinfo"}
    assert not [path for path in asked if "/data/" in path]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(
        [sys.executable, "-m", "flows.cli.main", "run", "--plain", "--data", str(tmp_path / "data"), "--quiet"],
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.returncode == 3
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3
