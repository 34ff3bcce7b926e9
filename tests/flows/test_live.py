"""Whole nights with the live registers, played by the replica: one source's trouble stays its own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr

from flows.run.record import standing_alarm
from flows.settings import Settings
from tests.fixtures.replica import Replica, serving
from tests.fixtures.world import Published, hurry, run_from
from transforms.errors import DataRefused, NothingNew

pytestmark = pytest.mark.long

REQUIRED = [f"statbank_{table}" for table in ("folk1a", "folk1e", "indoph1", "ras200", "ras201")]
ONLY = [*REQUIRED, "statbank_auk01", "statbank_hfudd11", "jobindsats_otij01"]
Change = Callable[[Replica], object]


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


def test_a_bad_extract_of_a_source_that_may_be_missing_leaves_it_missing(tmp_path: Path) -> None:
    replica = Replica()
    unbalanced(replica)
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
