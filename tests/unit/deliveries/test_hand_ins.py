"""Hand-ins as municipalities really send them: taken as they were meant, or told; all persons are invented."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from flows.deliveries.intake import deliver
from flows.deliveries.receipts import Receipt, as_html, as_json
from tests.unit.deliveries.delivery_files import Door, Styled, csv_bytes, xlsb_bytes, xlsx_bytes, zip_bytes

pytestmark = pytest.mark.long

LATER = dt.datetime(2017, 3, 1, 9, tzinfo=dt.UTC)
HEAD = ("Kommune", "CPR-nr", "Opholdstilladelse", "Opholdsgrundlag")
JOBS = ("Kommune", "CPR-nr", "Ansat fra", "Ansat til", "Timer pr. uge", "Branche (DB07)", "Støttet ansættelse")


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def rows(count: int = 6, year: int = 90, month: int = 2, basis: str = "Konventionsstatus") -> list[list[str]]:
    """Return `count` faultless rows of Rebild, permits on the first days of a month of 2016."""
    return [["Rebild", f"{10 + n}01{year}-1234", f"{n + 1:02d}-{month:02d}-2016", basis] for n in range(count)]


def take(door: Door, name: str, content: bytes, municipality: str | None = None, **options: Any) -> Receipt:
    return door.one(name, content, municipality, received_at=LATER, **options)


def asks(receipt: Receipt) -> list[str]:
    return [remark.text_en for remark in receipt.remarks if remark.severity != "info"]


def dates(door: Door, column: str = "permit_date") -> list[Any]:
    return [day for (day,) in door.rows(f'SELECT {column} FROM restricted."case" ORDER BY _row_number')]


IN_FORCE = "SELECT delivery_id FROM restricted.delivery WHERE verdict <> 'afvist' AND superseded_by IS NULL"


# What a name says.


def test_a_correction_with_a_day_in_its_name_replaces_the_first(door: Door) -> None:
    take(door, "Sager_Rebild.csv", csv_bytes(HEAD, rows(8, month=5)))
    second = take(door, "Sager_Rebild_rettet_2016-07-05.csv", csv_bytes(HEAD, rows(6, basis="Kvoteflygtning")))
    assert second.period == "2016K2"
    assert door.rows(IN_FORCE) == [(second.delivery_id,)]


@pytest.mark.parametrize("name", ["Sager_Rebild_rettet.csv", "Rebild ny version sager.csv", "rettelse.csv", "b.csv"])
def test_a_correction_whose_rows_moved_back_still_replaces(door: Door, name: str) -> None:
    take(door, "Sager_Rebild.csv", csv_bytes(HEAD, rows(8, month=5)))
    second = take(door, name, csv_bytes(HEAD, rows(8, month=2)))
    assert second.period == "2016K1"
    assert door.rows(IN_FORCE) == [(second.delivery_id,)]


def test_both_in_one_hand_in_leave_the_correction_in_force(door: Door) -> None:
    files = {"Sager_Rebild_rettet.csv": rows(6), "Sager_Rebild.csv": rows(8, month=5)}
    receipts = hand_in(door, {name: csv_bytes(HEAD, each) for name, each in files.items()})
    assert [receipt.rows_accepted for receipt in receipts] == [8, 6]
    assert door.rows(IN_FORCE) == [(receipts[1].delivery_id,)]


@pytest.mark.parametrize(
    ("name", "period", "is_asked"),
    [
        ("Rebild_15-1987-2016.csv", "2016K1", False),
        ("Rebild 2015-2016.csv", "2016K1", False),
        ("Rebild_2062.csv", "2016K1", True),
        ("Rebild_2062K1.csv", "2016K1", True),
        ("Rebild_1987.csv", "2016K1", True),
        ("Rebild_2015K4.csv", "2016K1", True),
        ("Rebild_01-01-2016.csv", "2016K1", False),
        ("Rebild_2016-04-02.csv", "2016K1", False),
        ("Rebild_20160402.csv", "2016K1", False),
        ("Rebild_2016K2.csv", "2016K2", False),
        ("Rebild 2. kvartal 2016.csv", "2016K2", False),
        ("Rebild_2016.csv", "2016", False),
        ("Rebild feb 2016.csv", "2016K1", False),
        ("Rebild januar-februar_2016.csv", "2016K1", False),
        ("Rebild juni 2016.csv", "2016K2", False),
        ("Rebild 1. halvår 2016.csv", "2016K2", False),
        ("Rebild uge 8 2016.csv", "2016K1", False),
        ("Rebild_2016-02.csv", "2016K1", False),
        ("Rebild_201605.csv", "2016K2", False),
        ("Rebild 05-2016.csv", "2016K2", False),
        ("Rebild team 2016.csv", "2016", False),
        ("Rebild maj 2015.csv", "2016K1", True),
        ("Rebild_2031-01-01.csv", "2016K1", True),
    ],
)
def test_a_period_in_a_name_is_held_against_the_rows_and_told(
    door: Door, name: str, period: str, is_asked: bool
) -> None:
    receipt = take(door, name, csv_bytes(HEAD, rows()))
    assert (receipt.period, receipt.rows_accepted) == (period, 6)
    assert any("eriod" in remark.text_en for remark in receipt.remarks)
    assert bool(asks(receipt)) == is_asked


@pytest.mark.parametrize("name", ["Rebild_15-1987-2016.csv", "Rebild 2015-2016.csv", "Rebild 2014, 2015 og 2016.csv"])
def test_several_years_in_a_name_say_nothing_and_are_told(door: Door, name: str) -> None:
    receipt = take(door, name, csv_bytes(HEAD, rows()))
    assert any("nævner flere årstal" in remark.text_da and "2016" in remark.text_da for remark in receipt.remarks)


@pytest.mark.parametrize("period", ["2015", "2015K4", "2062", "2031K1"])
@pytest.mark.parametrize("stated", ["option", "column"])
def test_a_stated_period_that_cannot_be_is_refused(door: Door, period: str, stated: str) -> None:
    if stated == "option":
        receipt = take(door, "a.csv", csv_bytes(HEAD, rows()), period=period)
    else:
        receipt = take(door, "a.csv", csv_bytes((*HEAD, "Periode"), [[*row, period] for row in rows()]))
    assert receipt.is_refused
    assert period in receipt.remarks[0].text_da


def test_a_mistyped_year_does_not_stand_in_front_of_later_deliveries(door: Door) -> None:
    from flows.deliveries.keys import load_keys
    from flows.deliveries.store import deliveries_in_force, newest_periods, open_restricted

    take(door, "Rebild_2016K1.csv", csv_bytes(HEAD, rows()))
    with open_restricted(door.data / "restricted", load_keys(door.key).database_key) as warehouse:
        warehouse.execute("UPDATE restricted.delivery SET period = '2062K1'")  # as an earlier version stored it
    later = door.one("Rebild_2017K1.csv", csv_bytes(HEAD, rows(7)), received_at=LATER + dt.timedelta(days=90))
    with open_restricted(door.data / "restricted", load_keys(door.key).database_key) as warehouse:
        counting = newest_periods(deliveries_in_force(warehouse, synthetic=False), "cases")
    assert [delivery.delivery_id for delivery in counting] == [later.delivery_id]


PLAIN = [row[1:] for row in rows()]


@pytest.mark.parametrize(
    "name", ["sager_461 borgere.csv", "461 sager.csv", "sag 2016.csv", "Rebild Odense.csv", "851-1.csv"]
)
def test_a_number_of_citizens_is_no_municipality(door: Door, name: str) -> None:
    receipt = take(door, name, csv_bytes(HEAD[1:], PLAIN))
    assert receipt.is_refused or receipt.municipality_code == "851"
    assert "municipality" in receipt.remarks[0].text_en or "Filed under" in asks(receipt)[0]


@pytest.mark.parametrize("name", ["sager_0840.csv", "kommune 840 sager.csv", "sager_840_2016K1.csv", "sager-840.csv"])
def test_a_code_in_a_name_counts_when_it_is_the_only_sign_and_is_told(door: Door, name: str) -> None:
    receipt = take(door, name, csv_bytes(HEAD[1:], PLAIN))
    assert receipt.municipality_code == "840"
    assert any("Filed under Rebild because" in text for text in asks(receipt))


def test_a_name_wins_over_a_number_and_the_rows_over_both(door: Door) -> None:
    assert take(door, "Rebild 461.csv", csv_bytes(HEAD[1:], PLAIN)).municipality_code == "840"
    receipt = take(door, "Odense sager.csv", csv_bytes(HEAD, rows(7)))
    assert receipt.municipality_code == "840"
    assert any("the rows were followed" in text for text in asks(receipt))


def test_a_row_of_another_municipality_is_rejected_alone(door: Door) -> None:
    mixed = [["Odense", *rows()[0][1:]], *rows(8)[1:]]
    receipt = take(door, "a.csv", csv_bytes(HEAD, mixed))
    assert (receipt.municipality_code, receipt.rows_accepted) == ("840", 7)
    assert [(fault.row, fault.rule) for fault in receipt.faults] == [(2, "other_municipality")]


@pytest.mark.parametrize(
    "written",
    ["Rebild (840)", "840 Rebild", "840 - Rebild Kommune", "Rebilds Kommune", "Jobcenter Rebild", "0840", "REBILD"],
)
def test_a_municipality_by_any_usual_name(door: Door, written: str) -> None:
    receipt = take(door, "a.csv", csv_bytes(HEAD, [[written, *row[1:]] for row in rows()]))
    assert (receipt.municipality_code, receipt.rows_accepted) == ("840", 6)


# Several tables of one kind.


def hand_in(door: Door, files: dict[str, bytes], municipality: str | None = None, **options: Any) -> list[Receipt]:
    """Deliver several files together."""
    paths = []
    for name, content in files.items():
        path = door.inbox / name
        path.write_bytes(content)
        paths.append(path)
    options.setdefault("received_at", LATER)
    return deliver(paths, municipality, door.data, door.key, **options)


def book(sheets: dict[str, list[list[Any]]]) -> bytes:
    import openpyxl

    made = openpyxl.Workbook()
    made.remove(made.worksheets[0])
    for name, lines in sheets.items():
        sheet = made.create_sheet(name)
        for line in lines:
            sheet.append(line)
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


NORTH, SOUTH = rows(8), rows(7, year=91)


@pytest.mark.parametrize("form", ["sheets", "files", "zip folders"])
def test_two_teams_in_one_hand_in_are_one_delivery(door: Door, form: str) -> None:
    if form == "sheets":
        files = {"sager.xlsx": book({"Team Nord": [list(HEAD), *NORTH], "Team Syd": [list(HEAD), *SOUTH]})}
    elif form == "files":
        files = {"nord.csv": csv_bytes(HEAD, NORTH), "syd.csv": csv_bytes(HEAD, SOUTH, ",")}
    else:
        files = {
            "alt.zip": zip_bytes({"nord/sager.csv": csv_bytes(HEAD, NORTH), "syd/sager.csv": csv_bytes(HEAD, SOUTH)})
        }
    (receipt,) = hand_in(door, files)
    assert (receipt.verdict, receipt.rows_in, receipt.rows_accepted, receipt.persons) == ("godkendt", 15, 15, 15)
    assert door.rows('SELECT count(*) FROM restricted."case"') == [(15,)]
    (again,) = hand_in(door, dict(reversed(files.items())))
    assert again.is_unchanged


def test_faults_of_joined_tables_name_their_file(door: Door) -> None:
    bad = [*SOUTH[:-1], ["Rebild", "200191-1234", "31-02-2016", "Kvoteflygtning"]]
    (receipt,) = hand_in(door, {"nord.csv": csv_bytes(HEAD, NORTH), "syd.csv": csv_bytes(HEAD, bad)})
    assert [(fault.file, fault.row, fault.rule) for fault in receipt.faults] == [("syd.csv", 8, "date")]
    assert (receipt.rows_in, receipt.rows_accepted) == (15, 14)


def test_a_table_that_lacks_a_column_takes_its_sister_down(door: Door) -> None:
    take(door, "alt.csv", csv_bytes(HEAD, NORTH + SOUTH))
    short = csv_bytes(HEAD[:3], [row[:3] for row in SOUTH])
    receipts = hand_in(door, {"nord.csv": csv_bytes(HEAD, NORTH), "syd.csv": short})
    assert all(receipt.is_refused for receipt in receipts)
    assert "belong together" in receipts[0].remarks[0].text_en
    assert door.rows('SELECT count(*) FROM restricted."case"') == [(15,)]


def test_the_same_persons_in_two_tables_are_counted_once_or_refused(door: Door) -> None:
    (receipt,) = hand_in(door, {"a.csv": csv_bytes(HEAD, NORTH), "b.csv": csv_bytes(HEAD, NORTH)})
    assert (receipt.rows_in, receipt.rows_accepted) == (8, 8)  # the same bytes twice
    (receipt,) = hand_in(door, {"a.csv": csv_bytes(HEAD, NORTH), "b.csv": csv_bytes(HEAD, [*NORTH, *SOUTH[:1]])})
    assert receipt.is_refused
    assert {total.rule for total in receipt.totals} >= {"duplicate"}


def test_municipalities_periods_and_kinds_in_one_hand_in_stay_apart(door: Door) -> None:
    other = [["Odense", *row[1:]] for row in SOUTH]
    files = {
        "a 2016K1.csv": csv_bytes(HEAD, NORTH), "b.csv": csv_bytes(HEAD, other), "c 2016K2.csv": csv_bytes(HEAD, SOUTH),
    }  # fmt: skip
    receipts = hand_in(door, files)
    assert [(r.municipality_code, r.period, r.rows_accepted) for r in receipts] == [
        ("840", "2016K1", 8), ("461", "2016K1", 7), ("840", "2016K2", 7),
    ]  # fmt: skip


def test_a_delivery_of_other_persons_that_replaces_the_former_is_asked_about(door: Door) -> None:
    take(door, "nord.csv", csv_bytes(HEAD, NORTH))
    receipt = take(door, "syd.csv", csv_bytes(HEAD, SOUTH))
    assert any("Less than half of the persons" in text for text in asks(receipt))


# Line ends and shapes of CSV.

TEXT = "\n".join(";".join(row) for row in (HEAD, *rows())) + "\n"


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\r\r\n"])
@pytest.mark.parametrize(
    "title", ["", "Udtræk fra fagsystem\nDato: 30-06-2016\n", '"Udtræk\nfra system";;;\n', "sep=;\n"]
)
def test_any_line_end_gives_the_same_rows(door: Door, end: str, title: str) -> None:
    receipt = take(door, "a.csv", (title + TEXT).replace("\n", end).encode())
    assert (receipt.verdict, receipt.rows_in, receipt.rows_accepted) == ("godkendt", 6, 6)


@pytest.mark.parametrize("seed", range(40))
def test_line_ends_may_differ_from_line_to_line(door: Door, seed: int) -> None:
    import random

    rng = random.Random(seed)
    title = rng.choice(["", "Udtræk\n", '"Udtræk\nfra system"\n'])
    head = TEXT.replace("CPR-nr", '"CPR-\nnr"', 1) if seed % 3 == 0 else TEXT
    mixed = "".join(rng.choice(["\n", "\r", "\r\n", "\r\r\n"]) if sign == "\n" else sign for sign in title + head)
    if mixed.startswith("\r\n") and not title:
        return
    receipt = take(door, "a.csv", mixed.encode())
    assert (receipt.rows_in, receipt.rows_accepted) == (6, 6)
    assert dates(door) == [dt.date(2016, 2, day) for day in range(1, 7)]


def test_blank_columns_at_the_end_are_none(door: Door) -> None:
    lines = TEXT.splitlines()
    longer = "\n".join([lines[0], *(f"{line};;" for line in lines[1:])]) + "\n"
    assert take(door, "a.csv", longer.encode()).rows_accepted == 6
    wider = csv_bytes((*HEAD, "Slutdato", "Ophørsårsag", "", ""), [])[:-2].decode() + "\n" + "\n".join(lines[1:]) + "\n"
    receipt = take(door, "b 2016K2.csv", wider.encode())
    assert (receipt.verdict, receipt.rows_accepted) == ("godkendt", 6)


@pytest.mark.parametrize("note", ["Hansen, Anna", "15,5"])
def test_a_delimiter_within_every_row_is_told_for_what_it_is(door: Door, note: str) -> None:
    lines = [[*row, note] for row in rows()]
    receipt = take(door, "a.csv", csv_bytes((*HEAD, "Bemærkninger"), lines, ","))
    assert receipt.is_refused
    assert "andet antal felter end overskriften" in receipt.remarks[0].text_da


def test_a_row_torn_in_two_is_no_short_row(door: Door) -> None:
    head = (*HEAD, "Bemærkninger", "Slutdato", "Ophørsårsag", "Antal børn", "Har partner")
    full = [[*row, "ok", "31-12-2016", "Job", "2", "Ja"] for row in rows(20)]
    lines = csv_bytes(head, full).decode().replace("ok", "første linje\nanden", 1)
    receipt = take(door, "a.csv", lines.encode())
    assert receipt.rows_in == receipt.rows_accepted + receipt.rows_rejected
    assert receipt.rows_accepted == 19
    assert dates(door, "end_date") == [dt.date(2016, 12, 31)] * 19


@pytest.mark.parametrize(
    ("line", "is_row"),
    [
        ("I alt;6;;", False), ("Total;6", False), ("Kilde: fagsystem, udtrukket 01-07-2016;;;", False),
        ("Kilde: fagsystem", False), (";I alt;;", False), ("Kommune;CPR-nr;Opholdstilladelse;Opholdsgrundlag", False),
        ("---", False), (";;;", False), ("", False), ("Rebild;;05-02-2016;Kvoteflygtning", True),
        ("Anna Hansen;6;;", True), ("Rebild;200190-1234;I alt;Kvoteflygtning", True),
    ],
)  # fmt: skip
def test_lines_below_the_table_are_told_and_no_rows(door: Door, line: str, is_row: bool) -> None:
    receipt = take(door, "a.csv", (TEXT + "\n" + line + "\n").encode())
    assert (receipt.rows_in, receipt.rows_accepted) == (7 if is_row else 6, 6)
    assert receipt.rows_rejected == int(is_row)
    if not is_row and line.strip(";"):
        assert any("passed over: line 9" in remark.text_en for remark in receipt.remarks)


WITH_CHILDREN = ((*HEAD, "Antal børn"), [[*row, "12"] for row in rows()])


@pytest.mark.parametrize("cut", range(1, 24))
def test_a_file_that_is_cut_off_never_gives_a_wrong_value(door: Door, cut: int) -> None:
    content = csv_bytes(*WITH_CHILDREN)[:-2]
    receipt = take(door, "a.csv", content[:-cut])
    assert receipt.rows_in == receipt.rows_accepted + receipt.rows_rejected
    assert set(door.rows('SELECT children_count, residence_basis_code FROM restricted."case"')) == {(12, "convention")}
    assert receipt.rows_accepted == 5
    assert [fault.rule for fault in receipt.faults] in (["cut_off"], ["row_shape"])


@pytest.mark.parametrize("last", ["Konventionsstatus", '"Konventionsstatus"'])
def test_a_last_value_that_is_seen_to_be_whole_is_taken(door: Door, last: str) -> None:
    receipt = take(door, "a.csv", csv_bytes(HEAD, [*rows(5), [*rows()[5][:3], last]])[:-2])
    assert (receipt.rows_accepted, receipt.verdict) == (6, "godkendt")
    assert any("without a line break" in remark.text_en for remark in receipt.remarks)


def test_a_text_that_may_go_on_is_not_taken_from_the_end_of_a_file(door: Door) -> None:
    content = csv_bytes(HEAD, [*rows(5), [*rows()[5][:3], "Familiesammenført"]])[:-2]
    assert [fault.rule for fault in take(door, "a.csv", content).faults] == ["cut_off"]


ISLES = [["Sønderborg", *row[1:3], "Særlov"] for row in rows()]


@pytest.mark.parametrize(
    ("encoding", "is_asked"),
    [("utf-8", False), ("utf-8-sig", False), ("cp1252", False), ("cp850", False), ("mac_roman", True),
     ("utf-16", False), ("utf-16-le", False), ("utf-16-be", False), ("utf-32", False)],
)  # fmt: skip
def test_encodings(door: Door, encoding: str, is_asked: bool) -> None:
    receipt = take(door, "a.csv", csv_bytes(HEAD, ISLES, encoding=encoding))
    assert (receipt.municipality, receipt.rows_accepted, bool(asks(receipt))) == ("Sønderborg", 6, is_asked)


@pytest.mark.parametrize("encoding", ["cp1252", "cp850", "mac_roman"])
@pytest.mark.parametrize("sign", ["\u00a0", "\u2013"])
def test_a_hard_space_or_a_dash_alone_tells_the_encoding(door: Door, encoding: str, sign: str) -> None:
    if sign == "\u2013" and encoding == "cp850":
        return  # which has no such dash
    lines = [[row[0], row[1].replace("-", sign), f"{row[2]}\u00a0", row[3]] for row in rows()]
    receipt = take(door, "a.csv", csv_bytes(HEAD, lines, encoding=encoding))
    assert (receipt.rows_accepted, receipt.persons) == (6, 6)


def test_lines_in_another_encoding_than_the_rest(door: Door) -> None:
    head, tail = csv_bytes(HEAD, ISLES[:5]), csv_bytes(HEAD, ISLES[5:], encoding="cp1252").split(b"\r\n", 1)[1]
    receipt = take(door, "a.csv", head + tail)
    assert receipt.rows_accepted == 6
    assert "mixes two encodings" in asks(receipt)[0]


# Workbooks.


def formatted(head: tuple[str, ...], lines: list[list[Any]], formats: dict[str, str], **options: Any) -> bytes:
    """Return a workbook with number formats by cell («F2»)."""
    import openpyxl
    from openpyxl.utils.datetime import CALENDAR_MAC_1904

    made = openpyxl.Workbook()
    if options.get("mac"):
        made.epoch = CALENDAR_MAC_1904
    sheet = made.worksheets[0]
    for line in (head, *lines):
        sheet.append(list(line))
    for cell, code in formats.items():
        sheet[cell].number_format = code
    if "change" in options:
        options["change"](sheet)
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


ORG = ("Kommune", "Opgørelsesdato", "Besvaret af", "Organisationsmodel", "Startet inden for 14 dage (pct.)",
       "Startet inden for 30 dage (pct.)", "Branchespor (DB07)")  # fmt: skip
DAY = dt.datetime(2016, 6, 30)


def test_per_cent_cells_are_per_cent(door: Door) -> None:
    line = ["Rebild", DAY, "Leder", "Anden model", 0.145, 0.8, 10.71]
    receipt = take(door, "o.xlsx", formatted(ORG, [line], {"E2": "0.0%", "F2": "0%"}))
    assert receipt.verdict == "godkendt"
    found = door.rows(
        "SELECT started_within_14d_pct, started_within_30d_pct, industry_track_codes FROM restricted.organisation"
    )
    assert [(float(a), float(b), c) for a, b, c in found] == [(14.5, 80.0, ["107100"])]


def test_a_share_below_one_is_asked_about(door: Door) -> None:
    receipt = take(door, "o.xlsx", xlsx_bytes([ORG, ["Rebild", DAY, "Leder", "Anden model", 0.45, 0.8, None]]))
    assert [total.rule for total in receipt.totals] == ["share_below_one"] * 2
    assert receipt.verdict == "godkendt med bemærkninger"


def test_a_unit_that_is_not_the_fields_is_a_fault(door: Door) -> None:
    line = ["Rebild", "100190-1234", "01-02-2016", None, 0.37, "561010", "Nej"]
    receipt = take(door, "e.xlsx", formatted(JOBS, [line], {"E2": "0%"}))
    assert [fault.rule for fault in receipt.faults] == ["unit"]


def job(industry: Any, n: int = 0) -> list[Any]:
    return ["Rebild", f"{10 + n}0190-1234", dt.datetime(2016, 2, 1 + n), None, 37, industry, "Nej"]


@pytest.mark.parametrize(
    ("value", "code", "expected"),
    [
        (dt.datetime(2026, 11, 1), "d-mmm", "011100"),
        (dt.datetime(2026, 11, 1), "dd/mm", "011100"),
        (dt.datetime(1971, 10, 1), "mmm-yy", "107100"),
        (dt.time(10, 20), "h:mm", "102000"),
        (dt.timedelta(hours=47, minutes=19), "[h]:mm:ss", "471900"),
        (1.11, "General", "011100"),
        (10.71, "General", "107100"),
        (11100, "General", "011100"),
        (561010, "General", "561010"),
        ("01.11", "@", "011100"),
        (dt.datetime(2026, 11, 1), "yyyy-mm-dd", None),
        (dt.datetime(1971, 10, 1), "dd-mm-yyyy", None),
        (dt.datetime(2026, 11, 1, 12, 30), "yyyy-mm-dd hh:mm", None),
        (56101, "General", None),
        (2026.11, "General", None),
        ("10,71", "@", None),
    ],
)
def test_a_code_that_became_a_date_a_time_or_a_number_is_restored_or_refused(
    door: Door, value: Any, code: str, expected: str | None
) -> None:
    receipt = take(
        door, "e.xlsx", formatted(JOBS, [job(value), *(job("561010", n) for n in range(1, 8))], {"F2": code})
    )
    stored = door.rows("SELECT industry_code FROM restricted.employment WHERE _row_number = 2")
    assert stored == ([(expected,)] if expected else [])
    assert len(receipt.faults) == (0 if expected else 1)
    assert all(fault.rule in ("industry", "cpr_misplaced") for fault in receipt.faults)


CASE = (*HEAD, "Slutdato", "Ophørsårsag", "Antal børn")


def case(n: int, end: Any = None, reason: Any = None) -> list[Any]:
    return ["Rebild", f"{10 + n}0190-1234", dt.datetime(2016, 2, 1 + n), "Konventionsstatus", end, reason, None]


@pytest.mark.parametrize(
    ("end", "rule"),
    [("#N/A", "error_value"), ("#REF!", "error_value"), ("#VALUE!", "error_value"), ("=DATE(2016,12,31)", "formula"),
     ("=NA()", "formula")],
)  # fmt: skip
def test_errors_and_lost_formulas_are_faults_and_never_an_open_end(door: Door, end: str, rule: str) -> None:
    lines = [case(0, end, "Job"), *(case(n, dt.datetime(2016, 12, 31), "Job") for n in range(1, 8))]
    receipt = take(door, "c.xlsx", xlsx_bytes([CASE, *lines]))
    assert [(fault.row, fault.field, fault.rule) for fault in receipt.faults] == [(2, "Slutdato", rule)]
    assert dates(door, "end_date") == [dt.date(2016, 12, 31)] * 7


@pytest.mark.parametrize("text", ["#N/A", "#REF!", "#REFERENCE!", "#VÆRDI!", "#I/T", "####", "Err:502"])
def test_errors_in_a_csv_are_faults_too(door: Door, text: str) -> None:
    lines = [[*row, "31-12-2016" if n else text] for n, row in enumerate(rows())]
    receipt = take(door, "c.csv", csv_bytes((*HEAD, "Slutdato"), lines))
    assert [(fault.row, fault.rule) for fault in receipt.faults if fault.rule == "error_value"] == [(2, "error_value")]


def test_days_of_a_1904_workbook_count_from_1904_in_general_cells(door: Door) -> None:
    lines = [["Rebild", f"{10 + n}0190-1234", 40939 + n, "Konventionsstatus", None, None, None] for n in range(5)]
    receipt = take(door, "1904.xlsx", formatted(CASE, lines, {}, mac=True))
    assert (receipt.period, dates(door)) == ("2016K1", [dt.date(2016, 2, 1 + n) for n in range(5)])


def test_hidden_rows_and_merged_cells_are_read_and_told(door: Door) -> None:
    def change(sheet: Any) -> None:
        sheet.row_dimensions[3].hidden = True
        sheet.row_dimensions[4].hidden = True
        for row in range(3, 7):
            sheet.cell(row, 1).value = None
        sheet.merge_cells("A2:A6")

    receipt = take(door, "c.xlsx", formatted(CASE, [case(n) for n in range(5)], {}, change=change))
    assert (receipt.municipality_code, receipt.rows_accepted) == ("840", 5)
    assert [text.split()[0] for text in asks(receipt)] == ["2", "5"]


def test_a_hidden_sheet_with_rows_is_told(door: Door) -> None:
    import openpyxl

    made = openpyxl.load_workbook(io.BytesIO(book({"A": [list(HEAD), *NORTH], "B": [list(HEAD), *SOUTH]})))
    made["B"].sheet_state = "hidden"
    stream = io.BytesIO()
    made.save(stream)
    receipt = take(door, "c.xlsx", stream.getvalue())
    assert receipt.rows_accepted == 8
    assert "hidden sheet no. 2" in asks(receipt)[0]


# Binary workbooks.

EXCEL_DAY = (dt.date(2016, 2, 1) - dt.date(1899, 12, 30)).days


def test_a_binary_workbook_is_read_as_any_other(door: Door) -> None:
    lines = [
        [
            "Rebild",
            1001901234 + n * 100_000_000,
            Styled(EXCEL_DAY + n, "dd-mm-yyyy"),
            "Konventionsstatus",
            None,
            None,
            n,
        ]
        for n in range(5)
    ]
    lines[0][4] = Styled(EXCEL_DAY + 300, "[$-406]d. mmmm yyyy")
    receipt = take(door, "sager.xlsb", xlsb_bytes({"Sager": [["Udtræk"], CASE, *lines]}, hidden=[4, 5]))
    assert (receipt.municipality_code, receipt.rows_accepted, receipt.period) == ("840", 5, "2016K1")
    assert dates(door) == [dt.date(2016, 2, 1 + n) for n in range(5)]
    assert dates(door, "end_date") == [dt.date(2016, 11, 27), *[None] * 4]
    assert [n for (n,) in door.rows('SELECT children_count FROM restricted."case" ORDER BY _row_number')] == [*range(5)]
    assert asks(receipt) == ["2 hidden or filtered rows were read too."]


def test_formats_errors_and_merged_cells_of_a_binary_workbook(door: Door) -> None:
    line = ["Rebild", "30-06-2016", "Leder", "Anden model", Styled(0.145, "0.0%"), Styled(0.8, "0%"), 10.71]
    assert take(door, "o.xlsb", xlsb_bytes({"A": [ORG, line]})).verdict == "godkendt"
    shares = "SELECT started_within_14d_pct, started_within_30d_pct, industry_track_codes FROM restricted.organisation"
    assert [(float(a), float(b), c) for a, b, c in door.rows(shares)] == [(14.5, 80.0, ["107100"])]
    first = (dt.date(2026, 11, 1) - dt.date(1899, 12, 30)).days
    jobs = [["Rebild", f"{10 + n}0190-1234", "01-02-2016", None, 37, "561010", "Nej"] for n in range(8)]
    jobs[0][5] = Styled(first, "d-mmm")
    jobs[1][3] = Styled(error=0x2A)
    for line in jobs[1:5]:
        line[0] = None
    receipt = take(door, "e.xlsb", xlsb_bytes({"A": [JOBS, *jobs]}, merged="A2:A6"))
    assert [(fault.row, fault.rule, fault.shown) for fault in receipt.faults] == [(3, "error_value", "#N/A")]
    assert receipt.rows_accepted == 7
    assert door.rows("SELECT industry_code FROM restricted.employment WHERE _row_number = 2") == [("011100",)]
    assert [text.split(" ", 2)[:2] for text in asks(receipt)] == [["5", "merged"], ["1", "industry"]]


def test_a_binary_workbook_that_counts_from_1904_and_one_of_two_teams(door: Door) -> None:
    lines = [["Rebild", f"{10 + n}0190-1234", 40939 + n, "Konventionsstatus"] for n in range(5)]
    receipt = take(door, "a.xlsb", xlsb_bytes({"A": [HEAD, *lines]}, mac=True))
    assert (receipt.period, dates(door)) == ("2016K1", [dt.date(2016, 2, 1 + n) for n in range(5)])
    teams = xlsb_bytes({"Nord": [HEAD, *NORTH], "Syd": [HEAD, *SOUTH]})
    assert take(door, "b.zip", zip_bytes({"sager.xlsb": teams, "brev.pdf": b"%PDF"})).rows_accepted == 15


@pytest.mark.parametrize("keep", [40, 200, 900, -1])
def test_a_damaged_binary_workbook_is_refused_in_words(door: Door, keep: int) -> None:
    whole = xlsb_bytes({"A": [HEAD, *NORTH]})
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["xl/worksheets/sheet1.bin"] = parts["xl/worksheets/sheet1.bin"][:keep]
    receipt = take(door, "a.xlsb", zip_bytes(parts))
    assert receipt.is_refused
    assert "beskadiget" in receipt.remarks[0].text_da


# Dates, signs for «open», numbers of persons.


@pytest.mark.parametrize(
    "sign",
    ["31-12-9999", "9999-12-31", "31-12-9999 23:59:59", "9999-12-31T23:59:59Z", "31.12.2999", "NULL", "NaT", "\\N",
     "null", "", "-", "d.d.", "00-00-0000", "0001-01-01", "01-01-1900", "99-99-9999", "2958465", "<NA>", "None",
     "12-31-9999", "0", "00000000", "31-12-2099", "01-01-1753", "Ingen slutdato"],
)  # fmt: skip
def test_signs_for_open_are_open(door: Door, sign: str) -> None:
    receipt = take(door, "a.csv", csv_bytes((*HEAD, "Slutdato"), [[*row, sign] for row in rows()]))
    assert (receipt.verdict, receipt.rows_accepted) == ("godkendt", 6)
    assert set(dates(door, "end_date")) == {None}


@pytest.mark.parametrize("sign", ["31-12-9999", "01-01-1900", "d.d.", "99-99-9999", "00-00-0000", "0001-01-01"])
def test_the_same_signs_are_faults_where_a_day_is_required(door: Door, sign: str) -> None:
    receipt = take(door, "a.csv", csv_bytes(HEAD, [[*rows()[0][:2], sign, "Kvote"], *rows(8)[1:]]))
    assert [fault.row for fault in receipt.faults] == [2]


def test_one_person_however_the_number_is_written(door: Door) -> None:
    forms = ["010190-1234", "0101901234", "101901234", "010190 1234", "01.01.90-1234", "01 01 90 1234",
             "010190–1234", "'0101901234", '="0101901234"', "0101901234.0", "101901234,0", "010190/1234",
             "010190 - 1234", "010190- 1234",
             "\u200b010190-1234", "010190-1234\u200b", "010190\u00ad1234", "\ufeff010190-1234", "010190\u00a0-1234",
             "\u202a010190-1234\u202c", "010190-1234\u200e", "010190\u2060-1234", "010190\u200d-\u200c1234",
             "０１０１９０-１２３４", "\u2007010190-1234", "010190-1234\ufe0f"]  # fmt: skip
    lines = [[row[0], form, f"{n % 28 + 1:02d}-0{n // 28 + 1}-2016", "Kvote"] for n, (row, form) in
             enumerate(zip(rows(1) * len(forms), forms, strict=True))]  # fmt: skip
    receipt = take(door, "a.csv", csv_bytes(HEAD, lines))
    assert (receipt.rows_accepted, receipt.persons) == (len(forms), 1)


@pytest.mark.parametrize(
    ("text", "rule"),
    [("1,01E+09", "cpr_shortened"), ("1.01901E+09", "cpr_shortened"), ("010190-XXXX", "cpr_replacement"),
     ("010190-12A4", "cpr_replacement"), ("610190-1234", "cpr_replacement"), ("010190-0000", "cpr"),
     ("DK0101901245", "cpr"), ("310290-1234", "cpr"), ("#N/A", "error_value")],
)  # fmt: skip
def test_odd_numbers_are_rejected_with_the_reason(door: Door, text: str, rule: str) -> None:
    receipt = take(door, "a.csv", csv_bytes(HEAD, [["Rebild", text, "01-02-2016", "Kvote"], *rows(8)[1:]]))
    assert [(fault.row, fault.rule) for fault in receipt.faults] == [(2, rule)]


# What lies beside a table, and what wraps it.


def test_names_packed_by_windows_and_others_are_readable(door: Door) -> None:
    for number, raw in enumerate(("sager_Sønderborg.csv".encode("cp850"), "sager_Sønderborg.csv".encode())):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(
                "sager_S#nderborg.csv".replace("#", "x" * (len(raw) - 19)), csv_bytes(HEAD[1:], PLAIN[: 5 + number])
            )
        packed = stream.getvalue().replace(b"sager_S" + b"x" * (len(raw) - 19) + b"nderborg.csv", raw)
        receipt = take(door, f"{number}.zip", packed)
        assert receipt.municipality == "Sønderborg"
        assert "Sønderborg" in receipt.file


@pytest.mark.parametrize(
    ("name", "content"),
    [("følgebrev.pdf", b"%PDF-1.4"), ("læsmig.txt", "Hermed sager for første kvartal.".encode()),
     ("brev.docx", zip_bytes({"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>"})),
     ("logo.png", b"\x89PNG\r\n"), ("__MACOSX/._sager.csv", b"\0\5\x16\7"), ("Thumbs.db", b"\xd0\xcf")],
)  # fmt: skip
def test_a_stranger_beside_a_table_in_a_zip_is_named_and_harms_nothing(door: Door, name: str, content: bytes) -> None:
    receipt = take(door, "a.zip", zip_bytes({"sager.csv": csv_bytes(HEAD, rows()), name: content}))
    assert (receipt.verdict, receipt.rows_accepted) == ("godkendt", 6)
    left = any(name in remark.text_en for remark in receipt.remarks)
    assert left == (name not in ("__MACOSX/._sager.csv", "Thumbs.db"))


def test_a_damaged_table_beside_a_good_one_is_asked_about(door: Door) -> None:
    damaged = book({"A": [list(HEAD), *SOUTH]})[:900]
    receipts = hand_in(door, {"a.zip": zip_bytes({"sager.csv": csv_bytes(HEAD, rows()), "syd.xlsx": damaged})})
    assert [receipt.is_refused for receipt in receipts] == [False, True]
    assert "could not be read: a.zip/syd.xlsx" in asks(receipts[0])[0]


def test_a_packed_csv_is_read(door: Door) -> None:
    assert take(door, "sager.csv.gz", gzip.compress(csv_bytes(HEAD, rows()))).rows_accepted == 6
    bomb = gzip.compress(b"0" * (40 << 20))
    assert take(door, "bombe.csv.gz", bomb).is_refused


def ods(lines: str, styles: str = "") -> bytes:
    """Return an OpenDocument spreadsheet of the given rows, as LibreOffice writes them."""
    spaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "table", "text", "style")
    )
    body = (
        f'<office:document-content {spaces} xmlns:calcext="urn:org:documentfoundation:calcext:1.0">'
        f"<office:automatic-styles>{styles}</office:automatic-styles><office:body><office:spreadsheet>"
        f'<table:table table:name="Ark1">{lines}</table:table></office:spreadsheet></office:body>'
        "</office:document-content>"
    )
    return zip_bytes({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": body.encode()})


def cell(text: str, **attributes: str) -> str:
    """Return a cell with its `office:` attributes; a text when there are none."""
    told = attributes or {"value_type": "string"}
    listed = "".join(f' office:{name.replace("_", "-")}="{value}"' for name, value in told.items())
    return f"<table:table-cell{listed}><text:p>{text}</text:p></table:table-cell>"


def line(*cells: str, attributes: str = "") -> str:
    return f"<table:table-row{attributes}>{''.join(cells)}</table:table-row>"


def test_an_opendocument_spreadsheet_is_read(door: Door) -> None:
    head = line(*map(cell, (*HEAD, "Slutdato", "Antal børn")))
    end = cell("31-12-16", value_type="date", date_value="2016-12-31")
    children = cell("2", value_type="float", value="2")
    filtered = ' table:visibility="filter"'
    lines = [line(*map(cell, row), end, children, attributes=filtered * (n == 1)) for n, row in enumerate(rows())]
    empty = '<table:table-cell table:number-columns-repeated="16384"/>'
    rest = line(empty, attributes=' table:number-rows-repeated="1048569"')
    receipt = take(door, "sager.ods", ods(head + "".join(lines) + rest))
    assert receipt.rows_accepted == 6
    assert set(door.rows('SELECT children_count, end_date FROM restricted."case"')) == {(2, dt.date(2016, 12, 31))}
    assert asks(receipt)[0].startswith("1 hidden")


def test_per_cent_and_errors_in_opendocument(door: Door) -> None:
    share = cell("80%", value_type="percentage", value="0.8")
    error = cell("#N/A", value_type="string").replace(
        "office:value-type", 'calcext:value-type="error" office:value-type'
    )
    start = ["Rebild", "30-06-2016", "Leder", "Anden model"]
    good = line(*map(cell, start), cell(""), share)
    bad = line(*map(cell, [*start[:2], "Lærer", start[3]]), error, share)
    receipt = take(door, "o.ods", ods(line(*map(cell, ORG)) + good + bad))
    assert [(fault.row, fault.rule) for fault in receipt.faults] == [(3, "error_value")]
    stored = door.rows("SELECT started_within_30d_pct FROM restricted.organisation")
    assert [float(share) for (share,) in stored] == [80.0]


@pytest.mark.parametrize("content", [b"<?xml version='1.0'?><a/>", b""])
def test_an_empty_opendocument_is_refused_in_words(door: Door, content: bytes) -> None:
    packed = zip_bytes({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": content})
    receipt = take(door, "sager.ods", packed)
    assert receipt.is_refused
    assert ".xlsx" in receipt.remarks[0].text_da


# The receipt.


def test_a_receipt_shows_every_row_that_needs_action_in_words_and_danish_time(door: Door) -> None:
    many = [[*row[:3], "Hvad?"] if n % 7 == 3 else row for n, row in enumerate(long_rows(3000))]
    receipt = take(door, "a.csv", csv_bytes(HEAD, many))
    page = as_html(receipt)
    (total,) = [total for total in receipt.totals if total.severity == "reject"]
    assert [int(row) for row in total.rows.split(", ")] == [n + 2 for n in range(3000) if n % 7 == 3]
    assert total.rows in page
    assert "1. marts 2017 kl. 10.00" in page
    assert "Hvad sker der nu?" in page
    assert "unknown_value" not in page
    assert "unknown_value" in as_json(receipt)
    assert page.count("ikke modulus 11") == 1


def long_rows(count: int) -> list[list[str]]:
    return [["Rebild", f"{n % 28 + 1:02d}01{60 + n // 28 % 40}-{1000 + n // 1120:04d}", "01-02-2016", "Kvote"]
            for n in range(count)]  # fmt: skip


@pytest.mark.parametrize(
    "word", ["sager", "Sager", "cases", "indsatser", "ansættelser", "spørgeskema", "beskæftigelse"]
)
def test_kinds_are_known_by_their_danish_words(word: str) -> None:
    from flows.deliveries.contract import kind_named

    assert kind_named(word, "--kind") in ("cases", "measures", "employment", "organisation")


def test_an_unknown_kind_gets_the_nearest_word() -> None:
    from flows.deliveries.contract import kind_named
    from transforms.errors import UsageError

    with pytest.raises(UsageError, match=r"did you mean sager\?"):
        kind_named("saget", "--kind")


@pytest.mark.parametrize("rejected", [1, 2])
def test_the_share_of_rejected_rows_is_that_of_the_source_file(door: Door, rejected: int) -> None:
    from transforms.catalogue import load_catalogue

    assert load_catalogue().sources["delivery_cases"].expectations.quarantine_max_share == 0.2
    assert load_catalogue().sources["delivery_organisation"].expectations.quarantine_max_share == 0.5
    lines = rows(8)
    for line in lines[:rejected]:
        line[3] = "?!"
    assert take(door, "a.csv", csv_bytes(HEAD, lines)).is_refused == (rejected > 0.2 * len(lines))
