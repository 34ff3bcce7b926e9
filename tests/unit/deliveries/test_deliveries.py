from __future__ import annotations

import datetime as dt
import gzip
import pickle
from pathlib import Path

import pytest

from flows.deliveries.contract import load_contracts
from flows.deliveries.intake import Request, _open, deliver
from flows.deliveries.keys import keygen
from tests.unit.deliveries.delivery_files import CASES, Door, case_rows, cpr, csv_bytes, xlsx_bytes, zip_bytes
from transforms.catalogue import KINDS, load_catalogue
from transforms.errors import UsageError


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def test_the_contracts_are_sources_of_the_catalogue() -> None:
    assert set(load_contracts()) == set(KINDS.values())
    ids = {source.id for source in load_catalogue().sources.values() if source.connector == "delivery"}
    assert ids == {f"delivery_{kind}" for kind in KINDS.values()}


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "cp850", "utf-16"])
def test_any_usual_delimiter_and_encoding_gives_the_same_rows(door: Door, delimiter: str, encoding: str) -> None:
    receipt = door.one("sager_2016K1.csv", csv_bytes(CASES, case_rows(30), delimiter, encoding))
    assert (receipt.verdict, receipt.kind, receipt.period) == ("godkendt", "cases", "2016K1")
    assert (receipt.rows_in, receipt.rows_accepted, receipt.persons) == (30, 30, 30)
    assert receipt.dropped == ("Navn",)
    assert door.rows(
        'SELECT DISTINCT origin_country_code, residence_basis_code, children_count FROM restricted."case"'
    ) == [("SYR", "quota", 2)]


def test_the_order_of_columns_and_lines_above_the_heading_do_not_matter(door: Door) -> None:
    headings = ("antal boern", "OPRINDELSESLAND", "Grundlag", "opholdstilladelse", "Personnummer")
    rows = [["2", "SYRIEN", "Kvote", "1/2-2015", cpr(n)] for n in range(10)]
    content = b"Udtraek fra fagsystem;;;;\r\n\r\n" + csv_bytes(headings, rows)
    receipt = door.one("x.csv", content, period="2016K1")
    assert (receipt.verdict, receipt.rows_accepted) == ("godkendt", 10)


def test_derived_columns_are_stored_and_the_number_is_not(door: Door) -> None:
    door.one("sager_2016K1.csv", csv_bytes(CASES, [["010180-1234", "A", "31-12-2015", "Kvote", "Syrien", ""]]))
    ((person, sex, age, checked),) = door.rows(
        'SELECT person_id, sex_code, age_at_permit_years, is_modulus11 FROM restricted."case"'
    )
    assert (len(person), sex, age, checked) == (32, "K", 35, False)


def test_every_row_is_accepted_or_rejected_with_its_number_and_rule(door: Door) -> None:
    rows = case_rows(40)
    rows[3][0] = "321380-1234"  # row 5
    rows[4][2] = "31-02-2015"  # row 6
    rows[5][3] = "Kvoteflygtnin"  # row 7
    rows[6] = [*rows[6], "en for meget"]  # row 8
    rows[7] = rows[0]  # row 9 repeats row 2
    rows[8][2] = "01-01-2017"  # row 10, after receipt
    rows.append(["", "", "", "", "", ""])
    receipt = door.one("sager_2016K1.csv", csv_bytes(CASES, rows))
    assert (receipt.rows_in, receipt.rows_accepted, receipt.rows_rejected, receipt.rows_blank) == (40, 34, 6, 1)
    found = {(fault.row, fault.rule) for fault in receipt.faults}
    assert found == {
        (5, "cpr"),
        (6, "date"),
        (7, "unknown_value"),
        (8, "row_shape"),
        (9, "duplicate"),
        (10, "permit_in_future"),
    }
    assert receipt.verdict == "godkendt med bemærkninger"
    assert door.rows('SELECT count(*) FROM restricted."case"') == [(34,)]
    assert {fault.shown for fault in receipt.faults if fault.rule == "date"} == {"31-02-2015"}


def test_many_faults_refuse_the_whole_delivery_and_store_nothing(door: Door) -> None:
    rows = case_rows(10)
    for row in rows[:3]:
        row[3] = "?!"
    receipt = door.one("sager_2016K1.csv", csv_bytes(CASES, rows))
    assert receipt.is_refused
    assert (receipt.rows_in, receipt.rows_accepted, receipt.rows_rejected) == (10, 0, 10)
    assert door.rows('SELECT count(*) FROM restricted."case"') == [(0,)]
    assert door.rows("SELECT verdict, rows_in FROM restricted.delivery") == [("afvist", 10)]


def test_a_corrected_delivery_replaces_the_former_and_both_stay_on_record(door: Door) -> None:
    first = door.one("sager_2016K1.csv", csv_bytes(CASES, case_rows(20)))
    other = door.one("sager_2016K1.csv", csv_bytes(CASES, case_rows(5)), municipality="730")
    second = door.one("rettet_2016K1.csv", csv_bytes(CASES, case_rows(22)))
    assert second.previous is not None
    assert (second.previous.delivery_id, second.previous.rows_accepted) == (first.delivery_id, 20)
    assert door.rows('SELECT municipality_code, count(*) FROM restricted."case" GROUP BY ALL ORDER BY 1') == [
        ("730", 5),
        ("840", 22),
    ]
    assert door.rows("SELECT delivery_id, superseded_by FROM restricted.delivery ORDER BY 1") == [
        (first.delivery_id, second.delivery_id), (other.delivery_id, None), (second.delivery_id, None)
    ]  # fmt: skip


def test_another_period_stands_beside_the_first(door: Door) -> None:
    door.one("sager_2016K1.csv", csv_bytes(CASES, case_rows(20)))
    door.one("sager_2016K2.csv", csv_bytes(CASES, case_rows(20)))
    assert door.rows('SELECT count(*) FROM restricted."case"') == [(40,)]


def test_the_same_bytes_twice_change_nothing(door: Door) -> None:
    content = csv_bytes(CASES, case_rows(20))
    first, again = door.one("sager_2016K1.csv", content), door.one("andet_navn_2016K1.csv", content)
    assert again.is_unchanged
    assert again.delivery_id == first.delivery_id
    assert door.rows("SELECT count(*) FROM restricted.delivery") == [(1,)]
    refused = csv_bytes(("CPR", "Opholdsgrundlag"), [[cpr(1), "Kvote"]])
    door.one("r_2016K1.csv", refused)
    door.one("r_2016K1.csv", refused)
    assert door.rows("SELECT count(*) FROM restricted.delivery") == [(2,)]


def test_the_earlier_content_can_be_delivered_back(door: Door) -> None:
    old, new = csv_bytes(CASES, case_rows(20)), csv_bytes(CASES, case_rows(21))
    for content, count in ((old, 20), (new, 21), (old, 20)):
        door.one("sager_2016K1.csv", content)
        assert door.rows('SELECT count(*) FROM restricted."case"') == [(count,)]


def test_a_refused_correction_leaves_the_former_in_force(door: Door) -> None:
    door.one("sager_2016K1.csv", csv_bytes(CASES, case_rows(20)))
    bad = door.one("sager_2016K1.csv", csv_bytes(CASES, [["x"] * 6] * 20))
    assert bad.is_refused
    assert bad.previous is not None
    assert door.rows('SELECT count(*) FROM restricted."case"') == [(20,)]


def test_the_municipality_is_told_by_column_file_name_or_sender(door: Door) -> None:
    with_column = csv_bytes(("Kommune", *CASES), [["Rebild Kommune", *row] for row in case_rows(10)])
    assert door.one("x_2016K1.csv", with_column, municipality=None).municipality_code == "840"
    plain = csv_bytes(CASES, case_rows(11))
    assert door.one("Faaborg-Midtfyn sager 2016K1.csv", plain, municipality=None).municipality_code == "430"
    assert door.one("sager_0730_2016K1.csv", plain, municipality=None).municipality_code == "730"
    assert door.one("sager_2016K1.csv", plain, municipality="Skive").municipality_code == "779"
    assert door.one("sager_2016K1.csv", csv_bytes(CASES, case_rows(12)), municipality=None).is_refused
    with pytest.raises(UsageError, match="did you mean Rebild"):
        door.one("x.csv", plain, municipality="Rebilt")


def test_rows_of_another_municipality_are_rejected(door: Door) -> None:
    rows = [["840" if n else "Randers", *row] for n, row in enumerate(case_rows(20))]
    receipt = door.one("x_2016K1.csv", csv_bytes(("Kommunekode", *CASES), rows))
    assert [(fault.row, fault.rule) for fault in receipt.faults] == [(2, "other_municipality")]


def test_the_period_can_come_from_the_newest_date_and_is_remarked(door: Door) -> None:
    receipt = door.one("sager.csv", csv_bytes(CASES, case_rows(10)))
    assert receipt.period == "2015K1"
    assert "derived" in receipt.remarks[0].text_en


def test_missing_columns_are_named(door: Door) -> None:
    receipt = door.one("x_2016K1.csv", csv_bytes(("CPR", "Opholdsgrundlag"), [[cpr(1), "Kvote"]]))
    assert receipt.is_refused
    assert "Dato for opholdstilladelse" in receipt.remarks[0].text_da


def test_a_column_twice_is_refused(door: Door) -> None:
    receipt = door.one(
        "x_2016K1.csv", csv_bytes((*CASES, "Opholdstilladelse"), [[*row, "01-01-2015"] for row in case_rows(3)])
    )
    assert receipt.is_refused
    assert "two columns" in receipt.remarks[0].text_en


MEASURES = ("CPR", "Indsats", "Start", "Slut", "Timer/uge", "Branche")
JOBS = ("CPR", "Ansat fra", "Ansat til", "Timer", "Branche", "Støttet")


def test_measures_and_employment_are_told_apart(door: Door) -> None:
    measures = csv_bytes(
        MEASURES, [[cpr(n), "Privat praktik", "01-02-2016", "01.05.16", "20,5", "56.10.10"] for n in range(9)]
    )
    jobs = csv_bytes(JOBS, [[cpr(n), "01-02-2016", "", "37", "561010", "Nej"] for n in range(9)])
    first, second = door.one("a_2016K1.csv", measures), door.one("b_2016K1.csv", jobs)
    assert (first.kind, first.verdict, second.kind, second.verdict) == (
        "measures",
        "godkendt",
        "employment",
        "godkendt",
    )
    assert door.rows("SELECT DISTINCT measure_kind_code, weekly_hours, industry_code FROM restricted.measure") == [
        ("placement_private", 20.5, "561010")
    ]
    persons = "SELECT count(*) FROM restricted.measure SEMI JOIN restricted.employment USING (person_id)"
    assert door.rows(persons) == [(9,)]


def test_a_workbook_of_several_sheets_gives_a_receipt_each(door: Door) -> None:
    import io

    import openpyxl

    book = openpyxl.Workbook()
    notes, cases, measures = book.worksheets[0], book.create_sheet("Sager"), book.create_sheet("Indsatser")
    notes.append(["Kontakt jobcentret ved spørgsmål"])
    cases.append([])
    cases.append(list(CASES))
    for n in range(8):
        # Numbers as Excel keeps them: the leading zero lost, dates as dates, counts as floats.
        cases.append([int(cpr(n).replace("-", "")), "N", dt.datetime(2015, 2, 1), "Kvote", "Irak", 2])
    measures.append(list(MEASURES))
    measures.append([cpr(1), "IGU", dt.date(2016, 1, 1), None, 37.5, 561010])
    stream = io.BytesIO()
    book.save(stream)
    receipts = door.deliver("udtræk_2016K1.xlsx", stream.getvalue())
    assert [(r.kind, r.verdict, r.rows_in) for r in receipts] == [("cases", "godkendt", 8), ("measures", "godkendt", 1)]
    assert door.rows("SELECT weekly_hours, start_date FROM restricted.measure") == [(37.5, dt.date(2016, 1, 1))]
    assert door.rows('SELECT min(_row_number) FROM restricted."case"') == [(3,)]


def test_a_zip_of_files_gives_a_receipt_each(door: Door) -> None:
    measures = xlsx_bytes([MEASURES, [cpr(1), "IGU", "01-01-2016", "", "37", ""]])
    receipts = door.deliver(
        "alt.zip", zip_bytes({"a/sager_2016K1.csv": csv_bytes(CASES, case_rows(4)), "i_2016K1.xlsx": measures})
    )
    assert [(r.kind, r.rows_accepted) for r in receipts] == [("cases", 4), ("measures", 1)]


def test_formulas_in_a_workbook_are_values_and_remarked(door: Door) -> None:
    rows = [
        MEASURES,
        *[[cpr(n), "IGU", "01-01-2016", "", "37", ""] for n in range(9)],
        [cpr(9), "=1+1", "01-01-2016", "", "37", ""],
    ]
    receipt = door.one("i_2016K1.xlsx", xlsx_bytes(rows))
    assert any("formula" in remark.text_en for remark in receipt.remarks)
    assert receipt.rows_rejected == 1


def test_a_high_rating_needs_evidence_and_its_text_is_not_kept(door: Door) -> None:
    headings = [
        "Kommune",
        "Opgørelsesdato",
        "Besvaret af",
        "Organisationsmodel",
        "Vurdering 1-5: ledelse",
        "Begrundelse: ledelse",
    ]
    rows = [
        ["Rebild", "01-04-2016", "Leder", "Én tværfaglig enhed", "5", "Fatima Hansen følger op"],
        ["Rebild", "01-04-2016", "Sagsbehandler", "Delt", "5", ""],
        ["Rebild", "01-04-2016", "Dansklærer", "Jobcenter", "3", ""],
    ]
    receipt = door.one("org.csv", csv_bytes(headings, rows))
    assert (receipt.period, receipt.rows_accepted) == ("2016K2", 2)
    assert [(fault.row, fault.rule) for fault in receipt.faults] == [(3, "evidence_leadership")]
    assert door.rows("SELECT has_evidence_leadership FROM restricted.organisation ORDER BY _row_number") == [
        (True,),
        (False,),
    ]


def test_the_database_is_encrypted_and_closed_to_others(door: Door) -> None:
    door.one("sager_2016K1.csv", csv_bytes(CASES, case_rows(50)))
    folder = door.data / "restricted"
    file = folder / "restricted.duckdb"
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    content = file.read_bytes()
    assert b"residence_basis_code" not in content
    assert b"840" not in content or b"municipality_code" not in content
    from flows.deliveries.store import open_restricted

    keygen(door.folder / "other.key")
    with pytest.raises(UsageError, match="cannot open"):
        deliver([door.inbox / "sager_2016K1.csv"], "840", door.data, door.folder / "other.key")
    with pytest.raises(UsageError), open_restricted(folder, "wrong"):
        pass


def _break(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("010180-1234 Navn Navnesen")

    monkeypatch.setattr(where, fail)


@pytest.mark.parametrize(
    "where",
    [
        "flows.deliveries.store.store_incoming",
        "flows.deliveries.store.enter",
        "flows.deliveries.store.broken_rules",
    ],
)
def test_an_unforeseen_error_stores_nothing_and_quotes_nothing(
    door: Door, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    import traceback

    from transforms.errors import KommunekortError

    door.one("sager_2016K1.csv", csv_bytes(CASES, case_rows(5)))
    with monkeypatch.context() as patched:
        _break(patched, where)
        with pytest.raises(KommunekortError) as caught:
            door.one("sager_2016K1.csv", csv_bytes(CASES, case_rows(6)))
    assert "1234" not in "".join(traceback.format_exception(caught.value))
    assert door.rows('SELECT count(*) FROM restricted."case"') == [(5,)]


def test_a_short_file_whose_last_letter_is_cut_through_is_no_table(door: Door) -> None:
    receipt = door.one("sager.csv", csv_bytes(CASES, case_rows(30), encoding="utf-16")[:-1])
    assert (receipt.verdict, receipt.kind, receipt.rows_in) == ("afvist", None, 0)
    assert "utf-16" in receipt.remarks[0].text_en


def test_a_table_is_read_alike_by_another_process(tmp_path: Path) -> None:
    content = csv_bytes(CASES, case_rows(3))
    files = {
        "a.csv": content, "b.csv.gz": gzip.compress(content), "c.xlsx": xlsx_bytes([list(CASES), *case_rows(3)]),
        "d.zip": zip_bytes({"1.csv": content, "2.xlsx": xlsx_bytes([list(CASES), *case_rows(3)])}),
    }  # fmt: skip
    tables = []
    for name, each in files.items():
        (tmp_path / name).write_bytes(each)
        tables += _open(tmp_path / name, Request(municipality="840")).tables
    assert len(tables) == 5
    for table in tables:
        there = pickle.loads(pickle.dumps(table))
        (here,), (again,) = (list(each.blocks()) for each in (table, there))
        assert again.rows.tolist() == here.rows.tolist()
        assert len(here.rows) == 3
        assert again.columns == here.columns
