"""What publishers do overnight, met by the fetch alone: what becomes of the source, in which words, and of the others.

Against the replica of `tests/fixtures/replica.py`, which is no code of the sample world's.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from flows.cli.health import tell_preflight
from flows.connectors.http import Patience
from flows.connectors.statbank.client import canonical_rows
from flows.connectors.statbank.query import make_plan, parse_tableinfo
from flows.run.fetch import fetch, preflight
from flows.run.record import FetchReport
from flows.settings import Settings
from flows.store.snapshots import Snapshot, SnapshotStore
from tests.fixtures.replica import Replica, Variable, serving
from transforms.areas import area_code
from transforms.catalogue import SOURCES, Catalogue, load_catalogue
from transforms.errors import DataRefused
from transforms.load import CanonicalRows

ONLY = [f"statbank_{table}" for table in ("folk1a", "indoph1", "ras201", "auk01", "hfudd11")] + ["jobindsats_otij01"]


@dataclass
class Night:
    """The servers, and a data folder that is fetched into."""

    replica: Replica
    settings: Settings

    def fetch(self, catalogue: Catalogue | None = None) -> FetchReport:
        return fetch(self.settings, catalogue or load_catalogue(), "live", ONLY)

    def snapshots(self) -> dict[str, str]:
        store = SnapshotStore(self.settings.snapshots)
        newest = {source: store.newest(source) for source in ONLY}
        return {source: snapshot.id for source, snapshot in newest.items() if snapshot is not None}


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the snapshots of one quiet night."""
    folder = tmp_path_factory.mktemp("quiet")
    with night_in(folder) as first:
        report = first.fetch()
    assert sorted(report.new) == sorted(ONLY)
    assert not report.kept_old
    return folder


@contextmanager
def night_in(folder: Path) -> Iterator[Night]:
    """Yield a night over fresh servers that fetches into a folder."""
    replica = Replica()
    with serving(replica) as root:
        settings = Settings(
            data=folder,
            statbank_url=f"{root}/v1",
            jobindsats_url=f"{root}/v3",
            jobindsats_token=SecretStr("hemmelig"),
        )
        yield Night(replica, settings)


@pytest.fixture(params=["on a good folder", pytest.param("on the first night", marks=pytest.mark.long)])
def night(request: pytest.FixtureRequest, quiet: Path, tmp_path: Path) -> Iterator[Night]:
    """Yield a night on a good folder, or the first one; every table has been updated since."""
    if request.param == "on a good folder":
        shutil.copytree(quiet / "snapshots", tmp_path / "snapshots")
    with night_in(tmp_path) as made:
        made.replica.updated("2026-11-27")
        yield made


def _new_code(table: str, variable: str) -> Callable[[Replica], None]:
    return lambda replica: replica.tables[table].variable(variable).codes.append(("53", "Ny tilladelse", "New permit"))


def _drop_code(table: str, variable: str, code: str) -> Callable[[Replica], None]:
    def change(replica: Replica) -> None:
        found = replica.tables[table].variable(variable)
        found.codes = [each for each in found.codes if each[0] != code]

    return change


def _rename(replica: Replica) -> None:
    replica.tables["HFUDD11"].variable("HFUDD").id = "HFUDD25"


def _education_anew(replica: Replica) -> None:
    """Give the education another id, its total another code and one of its groups too."""
    variable = replica.tables["HFUDD11"].variable("HFUDD")
    variable.id = "UDD25"
    anew = {"TOT": "000", "H70": "L70"}
    variable.codes = [(anew.get(code, code), danish, english) for code, danish, english in variable.codes]
    figure = replica.tables["HFUDD11"].figure
    ours = {theirs: code for code, theirs in anew.items()}
    replica.tables["HFUDD11"].figure = lambda at: figure({**at, "HFUDD": ours.get(at["UDD25"], at["UDD25"])})


def with_line(folder: Path, source: str, old: str, new: str) -> Catalogue:
    """Return the catalogue of a copy of the source files in which one place of one file reads otherwise."""
    shutil.copytree(SOURCES, folder)
    text = (folder / f"{source}.yml").read_text("utf-8")
    assert text.count(old) == 1
    (folder / f"{source}.yml").write_text(text.replace(old, new), "utf-8")
    return load_catalogue(folder)


def _add(*, eliminable: bool) -> Callable[[Replica], None]:
    new = Variable("BRANCHE25", [("TOT", "I alt", "Total"), ("A", "Landbrug", "Agriculture")], elimination=eliminable)
    return lambda replica: replica.tables["INDOPH1"].variables.insert(0, new)


def _drop(replica: Replica) -> None:
    table = replica.tables["HFUDD11"]
    table.variables = [variable for variable in table.variables if variable.id != "ALDER"]


def _weeks(replica: Replica) -> None:
    replica.tables["INDOPH1"].variable("Tid").codes.append(("2026U03", "2026U03", "2026U03"))


def _heading(old: str, new: str | None) -> Callable[[Replica], None]:
    def change(replica: Replica) -> None:
        columns = replica.jobindsats["otij01"]["columns"]
        columns[columns.index(old)] = new

    return change


def _unequal(replica: Replica) -> None:
    rows = replica.jobindsats["otij01"]["rows"]
    rows.append([*rows[0][:4], 999, 99, 9.9, 1.5, 1.6])


def _truncated(replica: Replica) -> None:
    """Let the answer lack every area from 510 on; what BULK leaves out would be zero."""
    replica.bent["data", "INDOPH1"] = lambda body: b"\r\n".join(
        line for line in body.split(b"\r\n") if not line[:1].isdigit() or line.split(b";")[1] < b"510"
    )


HURT: dict[str, tuple[str, Callable[[Replica], object], str]] = {
    "a new part of a whole without a total": (
        "statbank_ras201",
        _new_code("RAS201", "SOCIO"),
        r'code 53 "Ny tilladelse" \("New permit"\) of SOCIO is new: add it to labour_status_ras201 in .*codelists\.csv',
    ),
    "a code withdrawn that is asked for": (
        "statbank_hfudd11", _drop_code("HFUDD11", "HFUDD", "H70"), r"HFUDD: select 'H70' finds no code in HFUDD11"),
    "a municipality withdrawn": (
        "statbank_auk01", _drop_code("AUK01", "OMRÅDE", "840"), r"AUK01 of 2026-11-27 has no code 840 any more"),
    "the total withdrawn": (
        "statbank_indoph1", _drop_code("INDOPH1", "OPHGR1", "000"), r"the total 0 is not in the table, and which code"),
    "a dimension renamed": (
        "statbank_hfudd11", _rename, r"dimensions: HFUDD is not in the table; HFUDD25 is missing here"),
    "a dimension dropped": ("statbank_hfudd11", _drop, r"dimensions: ALDER is not in the table"),
    "a dimension added that must be asked for": (
        "statbank_indoph1", _add(eliminable=False), r"dimensions: BRANCHE25 is missing here"),
    "periods of another kind": ("statbank_indoph1", _weeks, r"2026U03 is no year"),
    "a table gone": (
        "statbank_auk01", lambda replica: replica.tables.pop("AUK01"), r"Table does not exist: AUK01 \(EXTRACT-NOTF"),
    "an answer that ends in its midst": (
        "statbank_indoph1", _truncated, r"no row for \d\d of 98 municipalities, first 510; the answer is not whole"),
    "another table's description": (
        "statbank_auk01", lambda replica: setattr(replica.tables["AUK01"], "id", "AUK03"),
        r"StatBank AUK01: the description is that of AUK03"),
    "a token refused": (
        "jobindsats_otij01", lambda replica: setattr(replica, "token_refused", True), r"refuses the token \(401\)"),
    "a Jobindsats table gone": (
        "jobindsats_otij01", lambda replica: replica.jobindsats.clear(), r"answered 422: Unknown table: otij01"),
    "a measure renamed": (
        "jobindsats_otij01",
        _heading("Antal personer med ordinære timer", "Antal med ordinære timer"),
        r"no column for measure with_hours_count; .*add it under `headings:`",
    ),
    "unequal double categories": ("jobindsats_otij01", _unequal, r"is given twice, as 51 and as 99"),
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("what", HURT)
def test_trouble_for_good_is_that_source_s_alone(night: Night, what: str) -> None:
    source, change, sentence = HURT[what]
    before = night.snapshots()
    if what == "a municipality withdrawn" and not before:
        pytest.skip("nothing says that it was there before; its rule tells when the extract is loaded")
    change(night.replica)
    report = night.fetch()
    assert re.search(sentence, report.kept_old[source]), report.kept_old[source]
    assert set(report.troubles) == {source}
    assert not re.search("network|later|tries", report.kept_old[source])
    assert night.snapshots().get(source) == before.get(source)
    assert (source in report.missing) == (not before)
    others = set(ONLY) - {source, "jobindsats_otij01"}
    assert others <= set(report.new), "the news of every other source"


KEPT: dict[str, tuple[str, Callable[[Replica], object], str]] = {
    "a new permit": (
        "statbank_indoph1",
        _new_code("INDOPH1", "OPHGR1"),
        r'code 53 "Ny tilladelse" \("New permit"\) of OPHGR1 is new: add it to first_permit in .*/codelists\.csv',
    ),
    "a new region": (
        "statbank_folk1a",
        lambda replica: replica.tables["FOLK1A"].variable("OMRÅDE").codes.append(
            ("086", "Region Østdanmark", "Region Østdanmark")
        ),
        r'code 086 "Region Østdanmark" of OMRÅDE is new: add it to transforms/reference/areas\.csv',
    ),
    "a dimension added that may be left out": (
        "statbank_indoph1", _add(eliminable=True), r"dimension BRANCHE25 is new in INDOPH1 and stands at its total"),
    "a further measure": (
        "jobindsats_otij01",
        lambda replica: replica.jobindsats["otij01"].update(
            columns=[*replica.jobindsats["otij01"]["columns"], "Ny måling"],
            rows=[[*row, 1] for row in replica.jobindsats["otij01"]["rows"]],
        ),
        r"measure 'Ny måling' is not asked for and left out",
    ),
    "equal double categories": (
        "jobindsats_otij01",
        lambda replica: replica.jobindsats["otij01"]["rows"].append(replica.jobindsats["otij01"]["rows"][0]),
        r"3 cells came twice with the same figure and count once",
    ),
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("what", KEPT)
def test_what_changes_no_figure_is_kept_and_told(night: Night, what: str) -> None:
    source, change, sentence = KEPT[what]
    change(night.replica)
    report = night.fetch()
    assert source in report.new
    assert not report.kept_old
    assert not report.troubles
    assert re.search(sentence, "\n".join(report.notes[source])), report.notes[source]


def test_another_unit_is_told(quiet: Path, tmp_path: Path) -> None:
    shutil.copytree(quiet / "snapshots", tmp_path / "snapshots")
    with night_in(tmp_path) as night:
        night.replica.updated("2026-11-27")
        night.replica.tables["AUK01"].unit = "Per cent"
        notes = night.fetch().notes
    assert any("the unit is «Per cent», before «Number»" in note for note in notes["statbank_auk01"])
    assert "unit" not in str({source: lines for source, lines in notes.items() if source != "statbank_auk01"})


@pytest.mark.long
def test_what_ended_before_it_ever_came_alarms_nobody(tmp_path: Path) -> None:
    known = with_line(tmp_path / "s", "statbank_auk01", "table: AUK01", "table: AUK01\nended: 2026-07-01")
    with night_in(tmp_path / "first") as night:
        night.replica.tables.pop("AUK01")
        report = night.fetch(known)
        found = preflight(night.settings, known, "live", ONLY)
    assert report.missing == ["statbank_auk01"]
    assert not report.troubles
    (told,) = [finding for finding in found if finding.source_id == "statbank_auk01"]
    assert (told.level, told.text) == (
        "ok", "ended on 2026-07-01: StatBank AUK01: Tabel findes ikke: AUK01 (EXTRACT-NOTFOUND)"
    )  # fmt: skip


@pytest.mark.long
def test_many_new_codes_are_told_in_few_lines(quiet: Path, tmp_path: Path) -> None:
    shutil.copytree(quiet / "snapshots", tmp_path / "snapshots")
    with night_in(tmp_path) as night:
        night.replica.updated("2026-11-27")
        codes = night.replica.tables["INDOPH1"].variable("OPHGR1").codes
        codes.extend((f"9{n:03d}", f"Ny {n}", f"New {n}") for n in range(130))
        report = night.fetch()
    told = [note for note in report.notes["statbank_indoph1"] if "new" in note]
    assert len(told) == 6
    assert told[-1].endswith("and 125 more codes of OPHGR1 are new")
    assert "statbank_indoph1" in report.new


@pytest.mark.long
def test_regions_merge_and_municipalities_keep_their_codes(night: Night) -> None:
    areas = night.replica.tables["AUK01"].variable("OMRÅDE")
    areas.codes = [code for code in areas.codes if code[0] not in ("084", "085")]
    areas.codes.insert(1, ("086", "Region Østdanmark", "Region Østdanmark"))
    report = night.fetch()
    assert "statbank_auk01" in report.new
    assert any("has no 084, 085 of OMRÅDE" in note for note in report.notes["statbank_auk01"])


@pytest.mark.long
def test_a_dimension_renamed_is_read_with_one_line(night: Night, tmp_path: Path) -> None:
    before = night.snapshots()
    _education_anew(night.replica)
    report = night.fetch()
    assert "where UDD25 is what HFUDD was, add `also: {UDD25: {}}`" in report.kept_old["statbank_hfudd11"]
    assert night.snapshots().get("statbank_hfudd11") == before.get("statbank_hfudd11")
    known = with_line(
        tmp_path / "sources", "statbank_hfudd11", "{id: HFUDD,", '{id: HFUDD, also: {UDD25: {"000": TOT, L70: H70}},'
    )
    report = night.fetch(known)
    assert "statbank_hfudd11" in report.new
    assert not report.kept_old
    source = known.sources["statbank_hfudd11"]
    newest = SnapshotStore(night.settings.snapshots).newest(source.id)
    assert newest is not None
    read = canonical_rows(source, newest, known, tmp_path / "canonical")
    plain = canonical_rows(source, _as_it_was(tmp_path, source.id), known, tmp_path / "plain")
    assert not read.rejected
    assert _lines(read) == _lines(plain), "the same figures under our own names"
    assert not night.fetch(known).new, "known on the next night"


def _as_it_was(folder: Path, source: str) -> Snapshot:
    with night_in(folder / "was") as first:
        first.replica.updated("2026-11-27")
        first.fetch()
        newest = SnapshotStore(first.settings.snapshots).newest(source)
    assert newest is not None
    return newest


def _lines(rows: CanonicalRows) -> list[str]:
    return sorted(line for path in rows.paths for line in path.read_text("utf-8-sig").split())


@pytest.mark.long
def test_new_industries_are_read_at_their_total_with_one_line(tmp_path: Path) -> None:
    """DB25 groups the industries otherwise; where a table has a total, that is the same and the parts are left out."""
    theirs = [("TOT", "I alt"), ("A", "Landbrug"), ("BCDE", "Industri"), ("GHI", "Handel"), ("STUV", "Andet")]
    old = load_catalogue().sources["statbank_pend101"]
    variables = [
        {
            "id": "BRANCHE25" if dimension.id == "BRANCHE07" else dimension.id,
            "text": dimension.text_da,
            "elimination": dimension.id != "PENDLING",
            "time": dimension.role == "time",
            "values": [
                {"id": code, "text": text}
                for code, text in (
                    theirs if dimension.id == "BRANCHE07"
                    else [("2023", "2023"), ("2024", "2024")] if dimension.role == "time"
                    else [(code.code, code.text_da) for code in load_catalogue().codes(old, dimension)]
                )
            ],
        }
        for dimension in old.dimensions
    ]  # fmt: skip
    described = {"id": "PEND101", "text": "", "unit": "Number", "updated": "2027-05-11T08:00:00"}
    raw = json.dumps({**described, "variables": variables}).encode()
    with pytest.raises(DataRefused, match=r"BRANCHE25 is what BRANCHE07 was, add `also: \{BRANCHE25: \{\}\}`"):
        make_plan(old, parse_tableinfo(raw, old), load_catalogue())
    known = with_line(tmp_path / "s", old.id, "{id: BRANCHE07,", "{id: BRANCHE07, also: {BRANCHE25: {}},")
    source = known.sources[old.id]
    held = {"BRANCHE07": ["TOT", "1", "2"]}
    plan = make_plan(source, parse_tableinfo(raw, source), known, before=held)
    asked = {each["code"]: each["values"] for each in plan.query.body()["variables"]}
    assert asked["BRANCHE25"] == ["TOT"]
    assert plan.record()["rectangle"]["BRANCHE07"] == ["TOT"]
    assert any("PEND101 has no 1, 2, 3, 4" in note for note in plan.notes)


@pytest.mark.long
def test_a_table_that_ended_may_go_without_a_word(quiet: Path, tmp_path: Path) -> None:
    shutil.copytree(quiet / "snapshots", tmp_path / "snapshots")
    with night_in(tmp_path) as gone:
        gone.replica.tables.pop("AUK01")
        told = gone.fetch()
        assert "or write the day it ended as `ended:` in its source file" in told.kept_old["statbank_auk01"]
        known = with_line(tmp_path / "s", "statbank_auk01", "table: AUK01", "table: AUK01\nended: 2026-07-01")
        report = gone.fetch(known)
    assert not report.troubles
    assert not report.kept_old
    assert "statbank_auk01" in report.unchanged


@pytest.mark.long
def test_a_closed_table_is_told_on_the_day_it_is_met(night: Night) -> None:
    night.replica.tables["AUK01"].active = False
    report = night.fetch()
    assert "statbank_auk01" in report.new
    assert re.search(r"AUK01 is closed: .*the last is 2026K1", report.troubles["statbank_auk01"])


@pytest.mark.long
def test_a_server_that_is_down_is_no_trouble_for_good(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.connectors.http.Patience", lambda: Patience(attempts=2, wait_initial=0.01))
    night.replica.down = {"AUK01"}
    report = night.fetch()
    assert report.passing == ["statbank_auk01"]
    assert not report.troubles
    assert "given up after 2 tries, try later" in report.kept_old["statbank_auk01"]


def test_a_quiet_night_asks_one_description_a_table(quiet: Path, tmp_path: Path) -> None:
    shutil.copytree(quiet / "snapshots", tmp_path / "snapshots")
    with night_in(tmp_path) as second:
        report = second.fetch()
    assert not report.new
    statbank = [request for request in second.replica.requests if "/v1/" in request]
    assert len(statbank) == len([source for source in ONLY if source.startswith("statbank")])
    assert all("/v1/tableinfo" in request for request in statbank)
    assert [request.split()[1] for request in second.replica.requests if "/v3/" in request] == [
        "/v3/tables?format=json"
    ]


@pytest.mark.long
def test_preflight_tells_every_source_before_anything_is_fetched(tmp_path: Path) -> None:
    with night_in(tmp_path) as first:
        _drop_code("HFUDD11", "HFUDD", "H70")(first.replica)
        first.replica.tables["AUK01"].active = False
        found = preflight(first.settings, load_catalogue(), "live", ONLY)
    levels = {source: {finding.level for finding in found if finding.source_id == source} for source in ONLY}
    assert levels["statbank_folk1a"] == {"ok"}
    assert levels["statbank_hfudd11"] == levels["statbank_auk01"] - {"new"} == {"fault"}
    assert levels["statbank_indoph1"] == {"new"}
    told = "\n".join(finding.text for finding in found)
    assert "select 'H70' finds no code in HFUDD11" in told
    assert "AUK01 is closed" in told
    assert 'codes of OPHGR1 have other texts than first_permit in transforms/reference/codelists.csv: 13 "Gr' in told
    assert not [request for request in first.replica.requests if "/data" in request]


def test_the_command_ends_with_2_when_a_source_would_not_be_fetched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        night_in(tmp_path) as first,
        pytest.raises(DataRefused, match=r"\d+ of 27 sources would not bring what they should"),
    ):
        tell_preflight(first.settings, "live")
    assert "ok    statbank_folk1a: 945 cells by BULK" in capsys.readouterr().out


RESIDUAL = {"Not stated municipality": "998", "Abroad": "997"}


@pytest.mark.long
@pytest.mark.real
def test_areas_as_they_were_recorded_are_fetched_without_a_word(real_dir: Path, tmp_path: Path) -> None:
    recorded = real_dir.parent / "cases" / "live" / "areas_as_recorded.csv"
    if not recorded.is_file():
        pytest.skip("the recorded area lists are not here")
    with recorded.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter=";")]
    with night_in(tmp_path) as first:
        for name in ("FOLK1A", "AUK01", "HFUDD11"):
            listed = [row for row in rows if row["table"] == name]
            codes = {row["text_en"]: RESIDUAL.get(row["text_en"]) or area_code(row["text_en"]) for row in listed}
            assert [text for text, code in codes.items() if code is None] == []
            areas = first.replica.tables[name].variable(listed[0]["dimension"])
            areas.codes = [(str(code), text, text) for text, code in codes.items()]
        report = first.fetch()
    assert sorted(report.new) == sorted(ONLY)
    assert not report.kept_old
    told = "; ".join(line for source in ONLY for line in report.notes.get(source, ()))
    assert not re.search("OMRÅDE|BOPOMR", told), told
