"""Every disturbance a publisher is known to make, each alone, as whole nights: what is published, alarmed and told.

On a good folder and on the first night, over the replica and over the stand-in served as if it were live. Every other
table has news that night, which must be published. `python -m tests.flows.test_live_matrix` prints the whole matrix;
the tests play each night over one of the two, and all of them with MATRIX=whole.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest

from flows.connectors.http import Patience
from flows.run import ages
from flows.run.record import standing_alarm
from flows.run.summary import markdown_summary
from flows.settings import Settings
from tests.conftest import make_once
from tests.fixtures.publisher import STATBANK
from tests.fixtures.replica import Replica, Variable
from tests.fixtures.standin_live import StandIn
from tests.fixtures.world import Published, hurry, run_from
from transforms.areas import _names, areas
from transforms.catalogue import SOURCES, Catalogue, Source, load_catalogue
from transforms.errors import KommunekortError, NothingNew

TABLES = ("FOLK1A", "INDOPH1", "AUK01", "HFUDD11", "PEND101")
ONLY = [*(f"statbank_{table.lower()}" for table in TABLES), "jobindsats_otij01"]
REQUIRED = ("statbank_folk1a", "statbank_indoph1")
"""Of the sources that are required these two are played, so that a night takes seconds."""
NEWS = ("INDOPH1", "HFUDD11", "AUK01", "PEND101")
PUBLISHERS: dict[str, Callable[[], Replica]] = {"replica": Replica, "stand-in": lambda: StandIn.of(*TABLES)}
FOLDERS = ("good", "first")
MERGED = "086;Region Østdanmark;Region Østdanmark;region;084 085;\n"
Change = Callable[[Replica], object]


@dataclass(frozen=True)
class Case:
    """One disturbance: whose it is, what the publisher does, what is told, and how it ends.

    `ends`: the new extract is `read`; it is read and `alarm`ed; it is `refused`, and the last one kept with an alarm;
    or it `waits` for a better night. `line`: a place of the source file and how it reads with the cure in it; `merged`:
    areas.csv has the row of the new region.
    """

    source: str
    change: Change
    told: str
    ends: str
    line: tuple[str, str] | None = None
    merged: bool = False
    still: bool = False
    first: str = ""
    """How it ends on the first night, where that is another way."""


def _code(table: str, variable: str, *code: str) -> Change:
    return lambda replica: replica.tables[table].variable(variable).codes.append((code[0], code[1], code[2]))


def _withdraw(table: str, variable: str, code: str) -> Change:
    def change(replica: Replica) -> None:
        found = replica.tables[table].variable(variable)
        found.codes = [each for each in found.codes if each[0] != code]

    return change


def _add(table: str, *, eliminable: bool) -> Change:
    new = Variable("ORDNING", [("TOT", "I alt", "Total"), ("A", "Ordning A", "Scheme A")], elimination=eliminable)
    return lambda replica: replica.tables[table].variables.insert(0, new)


def _drop(table: str, variable: str) -> Change:
    return lambda replica: replica.tables[table].variables.remove(replica.tables[table].variable(variable))


def _rename(*given: Any) -> Change:
    return lambda replica: replica.rename(*given)


def _industries_anew(replica: Replica) -> None:
    """Let PEND101 have the groups of DB25 (NACE 2.1), under another id of the dimension."""
    theirs = [("A", "Landbrug"), ("BCDE", "Industri"), ("F", "Bygge"), ("GHI", "Handel"), ("STUV", "Andet")]
    replica.rename("PEND101", "BRANCHE07", "BRANCHE25")
    variable = replica.tables["PEND101"].variable("BRANCHE25")
    variable.codes = [variable.codes[0], *((code, text, text) for code, text in theirs)]
    replica.anew["PEND101", "BRANCHE25"] = {}


def _merge(replica: Replica) -> None:
    STATBANK["regions merged"](replica, "AUK01", Random(0))


def _stand_still(replica: Replica) -> None:
    time = replica.tables["AUK01"].variable("Tid")
    time.codes = time.codes[:-1]
    replica.tables["AUK01"].updated = "2026-11-20T08:00:00"


def _other_region(replica: Replica) -> None:
    """Let Nordjylland hold another area than its municipalities: the figures of another region too."""
    figure = replica.tables["AUK01"].figure
    replica.tables["AUK01"].figure = lambda at: str(int(figure(at)) * (2 if at["OMRÅDE"] == "081" else 1))
    replica.anew["AUK01", "OMRÅDE"] = {"081": ["081", "082"]}


def _column(replica: Replica) -> None:
    held = replica.jobindsats["otij01"]
    held["columns"] = [*held["columns"], "Ny måling"]
    held["rows"] = [[*row, 1] for row in held["rows"]]


def _heading(replica: Replica) -> None:
    columns = replica.jobindsats["otij01"]["columns"]
    place = next(n for n, heading in enumerate(columns) if heading.startswith("Antal personer med ordinære"))
    columns[place] = "Antal med ordinære timer"


def _twice(change: Callable[[Any], Any]) -> Change:
    """Let the answer give a row twice, with `change` done to the figures of the second."""

    def added(replica: Replica) -> None:
        held = replica.jobindsats["otij01"]
        total = next(row for row in held["rows"] if row[1] == "Hele landet")
        held["rows"].append([change(cell) if isinstance(cell, int | float) else cell for cell in total])

    return added


CASES: dict[str, Case] = {
    "a new category code": Case(
        "statbank_indoph1", _code("INDOPH1", "OPHGR1", "53", "Ny tilladelse", "New permit"),
        r'code 53 "Ny tilladelse" \("New permit"\) of OPHGR1 is new: add it to first_permit in .*codelists\.csv',
        "read"),
    "a new part of a whole without a total": Case(
        "statbank_pend101", _code("PEND101", "KØN", "X", "Andet", "Other"),
        r'code X "Andet" \("Other"\) of KØN is new: add it to sex_m_k in .*codelists\.csv', "refused"),
    "a new area": Case(
        "statbank_folk1a", _code("FOLK1A", "OMRÅDE", "412", "Ny Ø", "New Island"),
        r'code 412 "Ny Ø" \("New Island"\) of OMRÅDE is new: add it to transforms/reference/areas\.csv', "read"),
    "a residual area": Case(
        "statbank_auk01", _code("AUK01", "OMRÅDE", "950", "Uden for Danmark", "Outside Denmark"), "", "read"),
    "a code withdrawn that is asked for": Case(
        "statbank_hfudd11", _withdraw("HFUDD11", "HFUDD", "H70"),
        r"HFUDD: select 'H70' finds no code in HFUDD11.*correct the select", "refused"),
    "a municipality withdrawn": Case(
        "statbank_auk01", _withdraw("AUK01", "OMRÅDE", "840"),
        r"dimension OMRÅDE: AUK01 of 2026-11-27 has no code 840 any more", "refused", first="taken back"),
    "a dimension added that may be left out": Case(
        "statbank_indoph1", _add("INDOPH1", eliminable=True),
        r"dimension ORDNING is new in INDOPH1 and stands at its total; add it", "read"),
    "a dimension added that must be asked for": Case(
        "statbank_indoph1", _add("INDOPH1", eliminable=False), r"dimensions: ORDNING is missing here", "refused"),
    "a dimension renamed": Case(
        "statbank_hfudd11", _rename("HFUDD11", "HFUDD", "UDD25", {"TOT": "000", "H70": "L70"}),
        r"dimensions: HFUDD is not in the table.*add `also: \{UDD25: \{\}\}`", "refused"),
    "a dimension renamed, with the line": Case(
        "statbank_hfudd11", _rename("HFUDD11", "HFUDD", "UDD25", {"TOT": "000", "H70": "L70"}), "", "read",
        ("{id: HFUDD,", '{id: HFUDD, also: {UDD25: {"000": TOT, L70: H70}},')),
    "a dimension dropped": Case(
        "statbank_hfudd11", _drop("HFUDD11", "ALDER"), r"dimensions: ALDER is not in the table", "refused"),
    "a table gone": Case(
        "statbank_auk01", lambda replica: replica.tables.pop("AUK01"),
        r"AUK01: Table does not exist: AUK01 \(EXTRACT-NOTFOUND\)", "refused"),
    "a table closed": Case(
        "statbank_auk01", lambda replica: setattr(replica.tables["AUK01"], "active", False),
        r"AUK01 is closed: StatBank gives it no new periods.*write the day it ended as `ended:`", "alarm"),
    "a table that stands still": Case(
        "statbank_auk01", _stand_still,
        r"its newest period is \w+, and the next was due by [\d-]+: closed, replaced or late", "alarm", still=True),
    "no answer for a table": Case(
        "statbank_auk01", lambda replica: replica.down.add("AUK01"), r"given up after 2 tries, try later", "waits"),
    "DB25": Case(
        "statbank_pend101", _industries_anew,
        r"BRANCHE25 is what BRANCHE07 was, add `also: \{BRANCHE25: \{\}\}`", "refused"),
    "DB25, with the line": Case(
        "statbank_pend101", _industries_anew, r"PEND101 has no 1, 2, 3, .* of BRANCHE07", "read",
        ("{id: BRANCHE07,", "{id: BRANCHE07, also: {BRANCHE25: {}},")),
    "regions merged": Case(
        "statbank_auk01", _merge,
        r'code 086 "Region Østdanmark" of OMRÅDE is new: add it to transforms/reference/areas\.csv', "read"),
    "regions merged, with the line": Case(
        "statbank_auk01", _merge, r"AUK01 has no 084, 085 of OMRÅDE", "read", merged=True),
    "a region that is not the sum of its municipalities": Case(
        "statbank_auk01", _other_region,
        r"statbank_auk01: rule total_far_from_sum_area_code: .*area_code=081", "refused", first="taken back"),
    "an extra measure": Case("jobindsats_otij01", _column, "", "read"),
    "a measure renamed": Case(
        "jobindsats_otij01", _heading, r"no column for measure with_hours_count.*add it under `headings:`", "refused"),
    "equal double categories": Case(
        "jobindsats_otij01", _twice(lambda cell: cell), r"3 cells came twice with the same figure and count once",
        "read"),
    "unequal double categories": Case(
        "jobindsats_otij01", _twice(lambda cell: cell + 1), r"is given twice, as [\d.]+ and as [\d.]+", "refused"),
    "a token refused": Case(
        "jobindsats_otij01", lambda replica: setattr(replica, "token_refused", True),
        r"Jobindsats refuses the token \(401\); renew it with STAR", "refused"),
    "a Jobindsats table gone": Case(
        "jobindsats_otij01", lambda replica: replica.jobindsats.clear(),
        r"answered 422: Unknown table: otij01", "refused"),
}  # fmt: skip


@cache
def small_catalogue(source: str = "", old: str = "", new: str = "") -> Catalogue:
    """Return the catalogue in which few sources are required, and a place of one source file reads otherwise."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(SOURCES, Path(scratch) / "sources"))
        for path in folder.glob("*.yml"):
            text = path.read_text("utf-8")
            if path.stem not in REQUIRED:
                text = text.replace("\nrequired: true\n", "\nrequired: false\n")
            if path.stem == source:
                assert text.count(old) == 1
                text = text.replace(old, new)
            path.write_text(text, "utf-8")
        return load_catalogue(folder)


def as_before(replica: Replica) -> Replica:
    """Take the newest period of some tables away: it is the news of the night that is played."""
    for name in NEWS:
        time = replica.tables[name].variable("Tid")
        time.codes = time.codes[:-1]
    return replica


def with_news(replica: Replica) -> Replica:
    """Let every table have been updated."""
    replica.updated("2026-11-27")
    return replica


def due_for_one(source: Source, periods: tuple[str, ...], published_at: str | None) -> datetime | None:
    """Let four hundred days have gone by for AUK01 alone."""
    found = _due(source, periods, published_at)
    return found - timedelta(days=400) if found and source.id == "statbank_auk01" else None


_due = ages.next_due


@contextmanager
def night_over(folder: Path, replica: Replica, case: Case | None = None) -> Iterator[Published]:
    """Yield the data folder of a night over a publisher."""
    with pytest.MonkeyPatch.context() as patch, replica.registers() as reached:
        hurry(patch)
        patch.setattr("flows.run.ages.next_due", due_for_one if case and case.still else lambda *_: None)
        patch.setattr("flows.connectors.http.Patience", lambda: Patience(attempts=2, wait_initial=0.01))
        line = (case.source, *case.line) if case and case.line else ()
        patch.setattr("flows.run.night.load_catalogue", lambda: small_catalogue(*line))
        if case and case.merged:
            shutil.copytree(Path("transforms/reference"), folder.parent / "reference")
            with (folder.parent / "reference" / "areas.csv").open("a", encoding="utf-8") as file:
                file.write(MERGED)
            for name in ("transforms.areas.REFERENCE", "transforms.tables.FOLDER"):
                patch.setattr(name, folder.parent / "reference")
            forget_what_is_known()
        given: dict[str, Any] = {**reached, "data": folder, "key_file": folder / "key", "threads": 1}
        yield Published(Settings(**given), Path("live"))
    if case and case.merged:
        forget_what_is_known()


def forget_what_is_known() -> None:
    """Let the areas and the catalogue be read anew."""
    for known in (areas, _names, small_catalogue):
        known.cache_clear()


def measures(published: Published, but: str = "") -> set[tuple[object, ...]]:
    """Return every published measure of every source but one."""
    rows = published.rows(
        "SELECT measure_id, area_code, period, value, value_status, split_part(_snapshot_id, '/', 1) FROM core.measure"
    )
    return {row[:-1] for row in rows if row[-1] != but}


@dataclass(frozen=True)
class Ended:
    """How a night ended: exit code, sentence, what is published (source -> snapshot), alarm, summary."""

    exit_code: int
    message: str
    snapshots: Mapping[str, str]
    alarm: dict[str, Any] | None
    summary: str
    measures: frozenset[tuple[object, ...]] = frozenset()


def play(folder: Path, replica: Replica, case: Case | None = None) -> Ended:
    """Play one night and return how it ended, and the next one too, which brings nothing new."""
    with night_over(folder, replica, case) as night:
        exit_code, message, summary = 0, "", ""
        try:
            summary = markdown_summary(run_from(night.settings, "live", only=ONLY), night.settings)
        except KommunekortError as error:
            exit_code, message = error.exit_code, str(error)
        published = night.settings.published.exists()
        ended = Ended(
            exit_code,
            message,
            dict(night.release["snapshots"]) if published else {},
            standing_alarm(night.settings),
            summary,
            frozenset(measures(night, case.source if case else "")) if published else frozenset(),
        )
        if exit_code == 0:
            with pytest.raises(NothingNew):
                run_from(night.settings, "live", only=ONLY)
            again = standing_alarm(night.settings)
            assert (again and again["since"]) == (ended.alarm and ended.alarm["since"]), "as it was"
    return ended


def good_folder(publisher: str, folder: Path) -> None:
    """Make the data folder of one quiet night."""
    folder.mkdir()
    assert play(folder / "data", as_before(PUBLISHERS[publisher]())).exit_code == 0


@pytest.fixture(scope="session")
def good(shared_folder: Path) -> Callable[[str], Path]:
    """Return publisher -> a data folder after one quiet night."""

    def made(publisher: str) -> Path:
        return make_once(shared_folder / f"quiet-{publisher}", lambda folder: good_folder(publisher, folder)) / "data"

    return made


def undisturbed(publisher: str, good: Path, folder: Path) -> frozenset[tuple[object, ...]]:
    """Return what is published after an undisturbed night with the same news, as (source, measure …)."""
    shutil.copytree(good, folder / "data", symlinks=True)
    with night_over(folder / "data", with_news(PUBLISHERS[publisher]())) as night:
        run_from(night.settings, "live", only=ONLY)
        return frozenset(
            night.rows(
                "SELECT split_part(_snapshot_id, '/', 1), measure_id, area_code, period, value, value_status "
                "FROM core.measure"
            )
        )


@pytest.fixture(scope="session")
def expected(
    good: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], frozenset[tuple[object, ...]]]:
    """Return (publisher, source) -> the measures of all other sources on an undisturbed night."""

    @cache
    def all_of_them(publisher: str) -> frozenset[tuple[object, ...]]:
        return undisturbed(publisher, good(publisher), tmp_path_factory.mktemp("undisturbed"))

    return lambda publisher, source: frozenset(row[1:] for row in all_of_them(publisher) if row[0] != source)


def disturbed(publisher: str, on: str, case: Case, good: Path, folder: Path) -> Ended:
    """Play the night of a case on a good folder or as the first one."""
    if on == "good":
        shutil.copytree(good, folder / "data", symlinks=True)
    replica = with_news(PUBLISHERS[publisher]())
    case.change(replica)
    return play(folder / "data", replica, case)


def hold(ended: Ended, case: Case, on: str, before: Mapping[str, str]) -> None:
    """Assert how a night ended: exit code, the source, the news of the others, the alarm, the sentence."""
    ends = (case.first or case.ends) if on == "first" else case.ends
    held = before if on == "good" else {}
    if ends not in ("read", "alarm") and on == "first" and case.source in REQUIRED:
        assert (ended.exit_code, ended.snapshots) == (2, {}), "nothing is published without a required source"
        assert f"nothing is published without {case.source}" in ended.message
    else:
        assert ended.exit_code == 0, ended.message
        others = {source: ended.snapshots.get(source) for source in ONLY if source != case.source}
        news = {f"statbank_{table.lower()}" for table in NEWS} - {case.source}
        assert None not in others.values()
        assert all(others[source] != held.get(source) for source in news), "their newer extracts are published"
        newest = ended.snapshots.get(case.source)
        if ends not in ("read", "alarm"):
            assert newest == held.get(case.source), "the last good extract, or none"
        elif not case.still:  # Jobindsats may not even answer with a measure that is not asked for
            assert newest is not None
            assert newest != held.get(case.source) or case.source.startswith("jobindsats")
        assert ends != case.ends or re.search(case.told, ended.summary), ended.summary
    if ends in ("read", "waits") and ended.exit_code == 0:
        assert ended.alarm is None, ended.alarm
        return
    assert ended.alarm is not None
    told = str(ended.alarm["message"])
    assert case.source in told
    assert ends != case.ends or re.search(case.told, told), told
    assert not re.search("network|tries", told)


NIGHTS = [(what, publisher, on) for what in CASES for publisher in PUBLISHERS for on in FOLDERS]


def _is_played(what: str, publisher: str, on: str) -> bool:
    """Tell whether a night is one of those every gate plays: each case on both folders, over one publisher each."""
    turned = list(CASES).index(what) % 2
    return os.environ.get("MATRIX") == "whole" or (publisher == "replica") == ((on == "good") ^ bool(turned))


@pytest.mark.long
@pytest.mark.parametrize(("what", "publisher", "on"), [each for each in NIGHTS if _is_played(*each)])
def test_one_source_s_trouble_is_its_own_all_night(
    what: str,
    publisher: str,
    on: str,
    good: Callable[[str], Path],
    expected: Callable[[str, str], frozenset[tuple[object, ...]]],
    tmp_path: Path,
) -> None:
    case, before = CASES[what], good(publisher)
    ended = disturbed(publisher, on, case, before, tmp_path)
    hold(ended, case, on, snapshots_of(before))
    if ended.exit_code == 0:
        assert ended.measures == expected(publisher, case.source)


@pytest.mark.long
@pytest.mark.parametrize(("publisher", "known"), [("replica", True), ("stand-in", False)])
def test_regions_merge_in_every_table_on_one_day(
    publisher: str, known: bool, good: Callable[[str], Path], tmp_path: Path
) -> None:
    """On 1 January 2027 all tables change at once: every municipality is published as it would have been."""
    whole = undisturbed(publisher, good(publisher), tmp_path)
    shutil.rmtree(tmp_path / "data")
    case = Case("", lambda replica: [STATBANK["regions merged"](replica, table, Random(0)) for table in TABLES], "",
                "read", merged=known)  # fmt: skip
    ended = disturbed(publisher, "good", case, good(publisher), tmp_path)
    assert ended.exit_code == 0
    assert ended.alarm is None
    before = snapshots_of(good(publisher))
    assert all(ended.snapshots[f"statbank_{table.lower()}"] != before[f"statbank_{table.lower()}"] for table in TABLES)
    told = 'code 086 "Region Østdanmark" of OMRÅDE is new: add it to transforms/reference/areas.csv'
    assert (told in ended.summary) != known
    lasting = {area.code for area in areas().values() if area.level in ("country", "municipality")}
    assert {row for row in ended.measures if row[1] in lasting} == {row[1:] for row in whole if row[2] in lasting}


def snapshots_of(folder: Path) -> dict[str, str]:
    """Return source -> the snapshot a data folder's publication was made of."""
    found: dict[str, str] = Published(Settings(data=folder), Path("live")).release["snapshots"]
    return found


def in_words(ended: Ended, case: Case, held: Mapping[str, str]) -> str:
    """Return a night in a few words: exit code, which extract of the source is published, whether it is alarmed."""
    newest = ended.snapshots.get(case.source)
    extract = "missing" if newest is None else "the last" if newest == held.get(case.source) else "the new"
    return f"{ended.exit_code}, {extract if ended.snapshots else 'nothing'}{', alarm' if ended.alarm else ''}"


def main() -> None:
    """Print the matrix as a table: a row per disturbance (that has a word given), a column per publisher and night."""
    played = {what: case for what, case in CASES.items() if not sys.argv[1:] or any(w in what for w in sys.argv[1:])}
    columns = [(publisher, on) for publisher in PUBLISHERS for on in FOLDERS]
    print(f"| disturbance | {' | '.join(f'{publisher}, {on}' for publisher, on in columns)} |")
    print("|---" * (1 + len(columns)) + "|")
    nights = 0
    with tempfile.TemporaryDirectory() as scratch:
        good, whole = {}, {}
        for publisher in PUBLISHERS:
            good_folder(publisher, Path(scratch) / publisher)
            good[publisher] = Path(scratch) / publisher / "data"
            whole[publisher] = undisturbed(publisher, good[publisher], Path(scratch) / f"undisturbed-{publisher}")
        for what, case in played.items():
            told = [what]
            for publisher, on in columns:
                folder, before = Path(tempfile.mkdtemp(dir=scratch)), snapshots_of(good[publisher])
                ended = disturbed(publisher, on, case, good[publisher], folder)
                hold(ended, case, on, before)
                others = {row[1:] for row in whole[publisher] if row[0] != case.source}
                assert not ended.snapshots or ended.measures == others
                told.append(in_words(ended, case, before if on == "good" else {}))
                nights += 1
                shutil.rmtree(folder)
            print(f"| {' | '.join(told)} |", flush=True)
    print(f"{nights} nights; every other source is published as on the undisturbed night wherever something is.")


if __name__ == "__main__":
    main()
