"""Bad input: each fault ends in one sentence, with its exit code, and leaves what is published as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.run.build import Candidate
from flows.run.fetch import fetch
from flows.settings import Settings
from tests.fixtures.extracts import copy_extracts
from tests.fixtures.world import Published, run_from
from transforms.catalogue import load_catalogue
from transforms.errors import DataRefused, UsageError
from transforms.warehouse import Warehouse

HTML = "<!DOCTYPE html><html><body><h1>Lukket for vedligeholdelse</h1></body></html>"
ERROR = '{"errorTypeCode":"EXTRACT-NOTFOUND","message":"Tabellen blev ikke fundet."}'


def lines(text: str, change: Callable[[list[str]], list[str]]) -> str:
    """Return a file with its header kept and its rows changed."""
    header, *rows = text.splitlines()
    return "\n".join([header, *change(rows)]) + "\n"


def header(text: str, old: str, new: str) -> str:
    first, rest = text.split("\n", 1)
    assert old in first
    return f"{first.replace(old, new)}\n{rest}"


def cell(text: str, row: int, column: int, value: str) -> str:
    """Return a file with one cell changed; row 1 is the first below the header."""
    rows = [line.split(";") for line in text.splitlines()]
    rows[row][column] = value
    return "\n".join(";".join(row) for row in rows) + "\n"


def without_column(text: str, name: str) -> str:
    rows = [line.split(";") for line in text.splitlines()]
    place = rows[0].index(name)
    return "\n".join(";".join(row[:place] + row[place + 1 :]) for row in rows) + "\n"


def every_value(text: str, change: Callable[[str], str]) -> str:
    return lines(text, lambda rows: [f"{row.rsplit(';', 1)[0]};{change(row.rsplit(';', 1)[1])}" for row in rows])


def drop(prefix: str) -> Callable[[str], str]:
    return lambda text: lines(text, lambda rows: [row for row in rows if not row.startswith(prefix)])


def with_extra_column(text: str) -> str:
    rows = [line.rsplit(";", 1) for line in text.splitlines()]
    extra = ["HERKOMST", *("5" for _ in rows[1:])]
    return "".join(f"{keys};{more};{value}\n" for (keys, value), more in zip(rows, extra, strict=True))


def with_second_unit(text: str) -> str:
    return lines(text, lambda rows: [*rows, *(row.replace(";116;", ";101;") for row in rows)])


# What is wrong -> the table, the change that makes it so, and the sentence.
NOT_TAKEN_IN: dict[str, tuple[str, Callable[[str], str], str]] = {
    "renamed column": (
        "FOLK1AM",
        lambda t: header(t, "KØN", "GENDER"),
        r"row 1: 'GENDER': no dimension of .*; download",
    ),
    "missing area": ("FOLK1AM", lambda t: without_column(t, "OMRÅDE"), r"row 1: column OMRÅDE of .* is missing"),
    "missing figures": ("FOLK1AM", lambda t: without_column(t, "INDHOLD"), r"no figures .*; download the table again"),
    "extra column": ("FOLK1AM", with_extra_column, r"row 2: '5': neither a code nor a text of HERKOMST"),
    "unknown area": ("FOLK1AM", lambda t: cell(t, 7, 0, "ZZZ"), r"row 8: 'ZZZ': neither .* of OMRÅDE in FOLK1AM"),
    "area of before 2007": ("FOLK1AM", lambda t: cell(t, 7, 0, "105"), r"row 8: '105': .* OMRÅDE in FOLK1AM; nearest"),
    "unknown category": ("FOLK1AM", lambda t: cell(t, 7, 1, "X"), r"row 8: 'X': neither .* of KØN in FOLK1AM"),
    "unknown period": ("FOLK1AM", lambda t: cell(t, 7, 3, "2025M13"), r"row 8: '2025M13': not a period .* in FOLK1AM"),
    "web page": ("FOLK1AM", lambda t: HTML, r"the file is a web page, not data; download"),
    "error answer": ("FOLK1AM", lambda t: ERROR, r"an error answer instead of data \(EXTRACT-NOTFOUND: Tabellen"),
    "empty file": ("FOLK1AM", lambda t: "", r"the file is empty; download it again"),
    "header alone": ("FOLK1AM", lambda t: t.split("\n", 1)[0] + "\n", r"a header but no rows; download"),
    "cut off in a row": (
        "FOLK1AM",
        lambda t: t[: len(t) // 2 - 5],
        r"may be cut off inside a value; download it again",
    ),
    "another unit": (
        "INDKP101",
        lambda t: t.replace(";116;", ";101;"),
        r"row 2: '101': the source holds ENHED 116 only",
    ),
    "two units": ("INDKP101", with_second_unit, r"row 222: '101': the source holds ENHED 116 only; download INDKP101"),
    "languages mixed": (
        "FOLK1A",
        lambda t: t.replace(";1;", ";Mænd;").replace(";2;", ";Women;"),
        r"English beside Danish",
    ),
    "a key with two figures": (
        "FOLK1AM",
        lambda t: lines(t, lambda rows: [*rows, rows[3] + "1"]),
        r"row \d+: '\d+': 084 TOT IALT \w+ is \d+ here and \d+ in folk1am\.csv row 5; keep the file that is right",
    ),
    "every figure zero": (
        "FOLK1AM",
        lambda t: every_value(t, lambda v: "0"),
        r"every figure is 0, which FOLK1AM never is",
    ),
    "figures that are no numbers": (
        "FOLK1AM",
        lambda t: cell(cell(cell(t, 7, 4, "abc"), 9, 4, "abc"), 11, 4, "abc"),
        r"row 8: 'abc': the first of 3 rows that cannot be read: INDHOLD: must be a whole number or a mark",
    ),
}

REFUSED: dict[str, tuple[Callable[[str], str], str]] = {
    "cut off between rows": (
        lambda t: lines(t, lambda rows: rows[: len(rows) // 2]),
        r"rule municipalities_complete_area_code: 50 violations \(area_code=410\): all 98 areas",
    ),
    "97 municipalities": (drop("825;"), r"municipalities_complete_area_code: 1 violation \(area_code=825\)"),
    "every figure withheld": (lambda t: every_value(t, lambda v: ".."), r"rule figures_vary: 2 violations"),
    "one figure read as another": (lambda t: cell(t, 7, 4, "1.234"), r"rule total_is_sum_area_code: 2 violations"),
}


def folder_with(extracts: Path, folder: Path, table: str, change: Callable[[str], str]) -> Path:
    """Return a folder of one changed extract."""
    copy_extracts(extracts, folder, table)
    path = folder / f"{table.lower()}.csv"
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    return folder


def last_record(published: Published) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(max(published.settings.runs.glob("*.json")).read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("fault", NOT_TAKEN_IN)
def test_a_file_that_is_no_extract_is_named_and_not_taken_in(fault: str, sample_extracts: Path, tmp_path: Path) -> None:
    table, change, sentence = NOT_TAKEN_IN[fault]
    folder = folder_with(sample_extracts, tmp_path / "in", table, change)
    settings = Settings(data=tmp_path / "data")
    with pytest.raises(DataRefused) as refused:
        fetch(settings, load_catalogue(), str(folder), [])
    reason = str(refused.value)
    assert reason.startswith(f"{folder}: none of 1 files could be read ({table.lower()}.csv: ")
    assert re.search(sentence, reason), reason
    assert "\n" not in reason
    assert not list(settings.snapshots.rglob("manifest.json"))


def test_a_run_on_a_bad_file_keeps_the_old_snapshot_and_says_why(own_data: Published, tmp_path: Path) -> None:
    before = own_data.state()
    folder = folder_with(own_data.origin, tmp_path / "in", "FOLK1AM", lambda text: HTML)
    with pytest.raises(DataRefused, match=r"none of 1 files could be read \(folk1am\.csv: the file is a web page, not"):
        run_from(own_data.settings, folder)
    assert last_record(own_data)["status"] == "refused"
    assert own_data.state() == before


@pytest.mark.long
@pytest.mark.parametrize("fault", REFUSED)
@pytest.mark.usefixtures("in_a_hurry")
def test_data_that_break_a_rule_are_refused_whole(fault: str, own_data: Published, tmp_path: Path) -> None:
    change, sentence = REFUSED[fault]
    before = own_data.state()
    folder = folder_with(own_data.origin, tmp_path / "in", "FOLK1AM", change)
    with pytest.raises(DataRefused) as refused:
        run_from(own_data.settings, folder)
    text = str(refused.value)
    assert text.startswith("not published: staging.statbank_folk1am: ")
    assert re.search(sentence, text), text
    assert "\n" not in text
    assert str(own_data.settings.root / "refused.duckdb") in text
    assert own_data.state() == before
    assert last_record(own_data)["status"] == "refused"
    with Warehouse.open(own_data.settings.root / "refused.duckdb", read_only=True) as warehouse:
        assert warehouse.scalar("SELECT count(*) FROM meta.validation WHERE NOT success AND severity = 'critical'")


@pytest.mark.long
@pytest.mark.usefixtures("in_a_hurry")
def test_small_faults_are_set_aside_and_published_around(own_data: Published, tmp_path: Path) -> None:
    """A row twice, a mark, and Christiansø left out: 98 areas of 99 are enough, and no mark becomes 0."""

    def change(text: str) -> str:
        return lines(drop("411;")(cell(text, 7, 4, "..")), lambda rows: [*rows, rows[3]])

    area = (own_data.origin / "folk1am.csv").read_text(encoding="utf-8").splitlines()[7].split(";")
    folder = folder_with(own_data.origin, tmp_path / "in", "FOLK1AM", change)
    assert run_from(own_data.settings, folder).status == "published"
    assert own_data.rows("SELECT count(*) FROM quarantine.row") == [(0,)], "an equal row counts once and is no fault"
    marked = f"area_code = '{area[0]}' AND period = '{area[3]}'"
    found = own_data.rows(f"SELECT value, value_status FROM staging.statbank_folk1am WHERE {marked}")
    assert found == [(None, "suppressed")]
    warned = own_data.rows("SELECT rule_id FROM meta.validation WHERE NOT success AND table_name LIKE '%folk1am'")
    assert {row[0] for row in warned} == {"areas_complete_area_code", "withheld_anew"}
    counts = own_data.rows(
        "SELECT rows_in_count, rows_loaded_count, rows_repeated_count FROM meta.snapshot "
        "WHERE source_id = 'statbank_folk1am'"
    )
    assert counts == [(209, 208, 1)]


@pytest.mark.long
@pytest.mark.usefixtures("in_a_hurry")
def test_thousands_dots_and_texts_are_the_same_figures(own_data: Published, tmp_path: Path) -> None:
    wanted = own_data.rows("SELECT area_code, period, value FROM staging.statbank_folk1am ORDER BY ALL")

    def change(text: str) -> str:
        dotted = every_value(text, lambda value: f"{int(value):,}".replace(",", "."))
        return dotted.replace(";TOT;", ";I alt;").replace(";IALT;", ";Alder i alt;")

    folder = folder_with(own_data.origin, tmp_path / "in", "FOLK1AM", change)
    assert run_from(own_data.settings, folder).status == "published"
    assert own_data.rows("SELECT area_code, period, value FROM staging.statbank_folk1am ORDER BY ALL") == wanted


@pytest.mark.long
def test_a_snapshot_whose_bytes_changed_is_left_out_and_told(own_data: Published) -> None:
    [path] = own_data.settings.snapshots.rglob("folk1am.csv")
    path.write_text(path.read_text(encoding="utf-8").replace("5", "6"), encoding="utf-8")
    before = own_data.state()
    candidate = build_again(own_data)
    assert "folk1am.csv: the bytes are not those of the manifest" in candidate.taken_back["statbank_folk1am"]
    assert "statbank_folk1am" not in candidate.release["snapshots"]
    assert own_data.state() == before


def build_again(published: Published) -> Candidate:
    from flows.run.night import build_step
    from flows.run.record import RunInfo

    run = RunInfo.start(published.settings, str(published.origin))
    return build_step(published.settings, load_catalogue(), run, force=True)


def test_a_folder_that_is_not_there_is_one_sentence(own_data: Published, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere: no such folder; give the folder that holds the downloaded files"):
        run_from(own_data.settings, tmp_path / "nowhere")


def test_a_source_nobody_knows_is_one_sentence(own_data: Published) -> None:
    with pytest.raises(UsageError, match=r"no source statbank_x; `kommunekort sources` lists them"):
        run_from(own_data.settings, own_data.origin, only=["statbank_x"])


@pytest.mark.long
def test_real_and_invented_figures_never_meet(own_data: Published, tmp_path: Path) -> None:
    """Files without the mark SYNTHETIC count as real: a build from them takes no snapshot of invented ones."""
    folder = copy_extracts(own_data.origin, tmp_path / "in", "AULKP01")
    (folder / "SYNTHETIC").unlink()
    with pytest.raises(DataRefused, match=r"not published: mart.municipality: rule municipality_has_population"):
        run_from(own_data.settings, folder)
    with Warehouse.open(own_data.settings.root / "refused.duckdb", read_only=True) as warehouse:
        assert warehouse.rows("SELECT source_id, is_synthetic FROM meta.snapshot") == [("statbank_aulkp01", False)]
