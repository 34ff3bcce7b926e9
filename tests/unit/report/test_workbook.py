"""The workbook read back: the same rows, typed cells, nothing that runs, withheld figures marked."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape
from xlsxwriter.worksheet import Worksheet

from flows.report.workbook import ADDED_LABELS, CODED, DICTIONARY, GUIDE, ILLEGAL, ORDER, SERIES, write_workbook
from tests.report_database import SUPPRESSED_CODE, make_database
from transforms.errors import UsageError
from transforms.warehouse import Warehouse

FORMULA = '=HYPERLINK("http://example.org","x")'


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("workbook")
    database = make_database(root / "a.duckdb", municipalities=12)
    with Warehouse.open(database) as warehouse:
        warehouse.execute(
            "UPDATE mart.municipality SET municipality_group_da = ?, municipality_group_en = '+1', "
            "project_unit = '@a', province_name = '-2', region_name = chr(7) || 'x' WHERE municipality_code = '851'",
            [FORMULA],
        )
    return database, write_workbook(database, root / "out" / "a.xlsx")


@pytest.fixture(scope="module")
def book(files: tuple[Path, Path]) -> openpyxl.Workbook:
    return openpyxl.load_workbook(files[1])


CONDITIONS = ("condition_1", "condition_2", "condition_3")


def rows_of(book: openpyxl.Workbook, sheet: str) -> tuple[list[str], list[dict[str, Any]]]:
    rows = list(book[sheet].iter_rows(values_only=True))
    names = [str(name) for name in rows[2]]
    return names, [dict(zip(names, row, strict=False)) for row in rows[3:]]


@pytest.mark.long
def test_every_table_reads_back_equal(files: tuple[Path, Path], book: openpyxl.Workbook) -> None:
    database, _ = files
    with Warehouse.open(database, read_only=True) as warehouse:
        tables = [t for (t,) in warehouse.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'mart'")]
        assert set(book.sheetnames) == {GUIDE, SERIES, DICTIONARY, *(table[:31] for table in tables)}
        shown = [name for name in book.sheetnames if name in ORDER]
        assert shown == [name for name in ORDER if name in shown], "the sheets stand in reading order"
        for table in tables:
            names, rows = rows_of(book, table[:31])
            query = f'SELECT * FROM mart."{table}"'
            own = [name for name, _ in warehouse.columns(query)]
            added = [name for name in names if name not in own]
            assert [name for name in names if name in own] == own
            assert set(added) <= {"municipality_name", *ADDED_LABELS, *(f"{name}_text" for name in CODED)}
            assert {f"{name}_text" for name in own if name in CODED} <= set(added), "every code has its words beside it"
            for row in rows:
                told = {name: row.pop(name) for name in added}
                named = ("municipality_name", "peer_name", "outcome_label")
                named += ("indicator_label",) if row["indicator_id" if "indicator_id" in row else names[0]] else ()
                assert None not in {told.get(name, "") for name in named}, table
                assert all(told.get(f"{name}_label", "") for name in row if row[name] and name in CONDITIONS), table
                for name, text in told.items():
                    code = row.get(name.removesuffix("_text"))
                    assert not name.endswith("_text") or (text is None) == (code is None), (table, name, code)
                    assert not name.endswith("_text") or text is None or "_" not in text, (table, name, code)
            expected = [
                tuple(_as_read(value) for value in row)
                for row in warehouse.rows(query)
            ]  # fmt: skip
            assert sorted(map(repr, (tuple(map(_as_read, row.values())) for row in rows))) == sorted(
                map(repr, expected)
            ), table


def _as_read(value: Any) -> Any:
    """Return a database value as openpyxl gives it back."""
    if isinstance(value, str):
        return value.replace("\x07", "\ufffd") or None
    if hasattr(value, "isoformat") and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)
    if isinstance(value, float):
        return int(value) if value.is_integer() else float(f"{value:.12g}")
    return value


def test_text_that_looks_like_a_formula_stays_text(book: openpyxl.Workbook) -> None:
    sheet = book["municipality"]
    found = {cell.value: cell for row in sheet.iter_rows(min_row=4) for cell in row if isinstance(cell.value, str)}
    for text in (FORMULA, "+1", "@a", "-2"):
        assert found[text].data_type == "s", text
        assert found[text].quotePrefix, text
    assert not [cell for row in sheet.iter_rows() for cell in row if cell.data_type == "f"]


def test_cells_are_typed_and_formatted(book: openpyxl.Workbook) -> None:
    sheet = book["indicator_value"]
    names = [cell.value for cell in sheet[3]]
    row = {name: cell for name, cell in zip(names, sheet[4], strict=False)}
    assert row["municipality_code"].data_type == "s"
    assert row["value"].data_type == "n"
    assert row["value"].number_format.startswith("#,##0")
    assert row["reference_date"].is_date
    assert row["reference_date"].number_format == "dd\\.mm\\.yyyy"
    assert row["is_newest"].data_type == "b"


def test_headers_stay_in_sight_and_can_be_filtered(book: openpyxl.Workbook) -> None:
    for name in book.sheetnames[1:]:
        assert book[name].freeze_panes == "B4", name
        assert book[name].auto_filter.ref.startswith("A3:"), name


def test_a_withheld_figure_is_empty_and_marked(book: openpyxl.Workbook) -> None:
    sheet = book["indicator_value"]
    names = [cell.value for cell in sheet[3]]
    value, status, code = (names.index(name) for name in ("value", "value_status", "municipality_code"))
    withheld = [row for row in sheet.iter_rows(min_row=4) if row[code].value == SUPPRESSED_CODE]
    assert withheld
    assert all(row[value].value is None for row in withheld)
    assert all(row[status].value == "suppressed" for row in withheld)
    assert all(row[status].fill.fgColor.rgb == "FFD9D6CD" for row in withheld)


def test_every_sheet_bears_the_mark_of_synthetic_data(book: openpyxl.Workbook) -> None:
    for name in book.sheetnames:
        top = [value for row in book[name].iter_rows(max_row=2, values_only=True) for value in row]
        assert "SYNTETISKE DATA / SYNTHETIC DATA" in top, name


@pytest.mark.long
def test_a_large_table_goes_in_with_its_newest_period_and_says_so(files: tuple[Path, Path], tmp_path: Path) -> None:
    path = write_workbook(files[0], tmp_path / "b.xlsx", most_rows=500)
    smaller = openpyxl.load_workbook(path)
    _, rows = rows_of(smaller, "indicator_value")
    assert rows
    assert all(row["is_newest"] for row in rows)
    guide = [row for row in smaller[GUIDE].iter_rows(values_only=True) if row[0] == "indicator_value"]
    assert "kun nyeste periode" in str(guide[0][1])
    assert guide[0][2] == len(rows) < guide[0][3]


TEXTS = (
    FORMULA, "=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "{=1}", "#N/A", "TRUE", "007", "1e5", "http://example.org",
    "internal:'mapping'!A1", "<r><t>a</t></r>", "<r></r>", "<r>", "<r></c></row>", "_x0041_", "\ufffe", "a\r\nb\rc",
    " a ", "\x00\x0b=1", "a" * 32_767,
)  # fmt: skip


def texts_read_back(folder: Path, texts: Sequence[str]) -> list[openpyxl.cell.Cell]:
    """Return the cells that texts in a table of the mart become."""
    database = folder / "texts.duckdb"
    database.unlink(missing_ok=True)
    with Warehouse.open(database) as warehouse:
        warehouse.execute("CREATE SCHEMA mart")
        warehouse.load("mart.texts", pd.DataFrame({"place": range(len(texts)), "text": texts}))
    sheet = openpyxl.load_workbook(write_workbook(database, folder / "texts.xlsx"))["texts"]
    return [row[1] for row in sheet.iter_rows(min_row=3)]


def as_shown(text: str) -> str:
    """Return a text as a cell shows it: what XML cannot hold replaced, every end of line the same."""
    return text.translate(ILLEGAL).replace("\r\n", "\n").replace("\r", "\n")


def test_no_text_becomes_a_formula_a_link_or_markup(tmp_path: Path) -> None:
    for cell, text in zip(texts_read_back(tmp_path, TEXTS), TEXTS, strict=True):
        assert cell.data_type == "s", text
        assert cell.hyperlink is None, text
        assert unescape(cell.value) == as_shown(text), text
        assert bool(cell.quotePrefix) == text.startswith(("=", "+", "-", "@", "\t", "\r", "<r>")), text


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@settings(max_examples=4, deadline=None)
@given(st.lists(ANY_TEXT | st.tuples(st.sampled_from(TEXTS[:20]), ANY_TEXT).map("".join), min_size=1, max_size=200))
def test_any_text_reads_back(texts: list[str]) -> None:
    with TemporaryDirectory() as folder:
        cells = texts_read_back(Path(folder), texts)
    assert [unescape(cell.value) for cell in cells] == [as_shown(text) for text in texts]
    assert {cell.data_type for cell in cells} == {"s"}


def test_every_kind_of_value_is_itself_and_no_number_is_empty(tmp_path: Path) -> None:
    with Warehouse.open(tmp_path / "a.duckdb") as warehouse:
        warehouse.execute(
            "CREATE SCHEMA mart; CREATE TABLE mart.kinds AS SELECT 1 AS place, 'nan'::DOUBLE AS not_a_number, "
            "'-inf'::DOUBLE AS endless, 12.5::DECIMAL(18,4) AS exact, 170141183460469231731687303715884105727 AS huge, "
            "DATE '2024-02-29' AS day, TIMESTAMP '2024-02-29 12:30:00' AS moment, TIME '12:30:00' AS clock, "
            "INTERVAL 36 HOUR AS span, [1, 2] AS list, true AS yes, NULL::INTEGER AS none"
        )
    book = openpyxl.load_workbook(write_workbook(tmp_path / "a.duckdb", tmp_path / "a.xlsx"))
    row = {name.value: cell for name, cell in zip(book["kinds"][2], book["kinds"][3], strict=False)}
    told = {name: cell.value for name, cell in row.items()}
    assert {name for name, value in told.items() if value is None} == {"not_a_number", "endless", "none"}
    assert (told["exact"], told["huge"], told["yes"], told["list"]) == (12.5, pytest.approx(2.0**127), True, "1, 2")
    assert (told["day"], told["moment"]) == (datetime(2024, 2, 29), datetime(2024, 2, 29, 12, 30))
    assert (told["clock"], told["span"]) == (time(12, 30), timedelta(hours=36))


def test_a_long_name_is_cut_and_none_is_lost(tmp_path: Path) -> None:
    names = [f"{'a' * 31}{end}" for end in ("", "b", "c")]
    with Warehouse.open(tmp_path / "a.duckdb") as warehouse:
        warehouse.execute("CREATE SCHEMA mart")
        for place, name in enumerate(names):
            warehouse.execute(f"CREATE TABLE mart.{name} AS SELECT {place} AS place")
    book = openpyxl.load_workbook(write_workbook(tmp_path / "a.duckdb", tmp_path / "a.xlsx"))
    assert book.sheetnames[0] == GUIDE
    assert len({name.casefold() for name in book.sheetnames}) == 4
    assert all(len(name) <= 31 for name in book.sheetnames)
    assert [book[name]["A3"].value for name in book.sheetnames[1:]] == [0, 1, 2]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "a.duckdb"
    with Warehouse.open(path) as warehouse:
        warehouse.execute("CREATE SCHEMA mart; CREATE TABLE mart.a AS SELECT i FROM range(9) rows(i)")
    return path


@pytest.mark.parametrize("fails", ["a row", "the packing"])
def test_a_full_disk_is_told_as_one_and_leaves_nothing_behind(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "a.xlsx"
    path.write_text("what stood there before", encoding="utf-8")
    monkeypatch.setattr(*((Worksheet, "_write_row") if fails == "a row" else (zipfile.ZipFile, "write")), full)
    with pytest.raises(OSError, match="No space left") as refused:
        write_workbook(small, path)
    assert type(refused.value) is OSError
    assert refused.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text(encoding="utf-8") == "what stood there before"


def test_what_an_ended_writing_left_is_cleared_away(small: Path, tmp_path: Path) -> None:
    (tmp_path / ".a.xlsx.part").mkdir()
    (tmp_path / ".a.xlsx.part" / "tmpabc").write_text("half a sheet", encoding="utf-8")
    (tmp_path / ".b.xlsx.part").write_text("half a workbook", encoding="utf-8")
    for name in ("a.xlsx", "b.xlsx"):
        write_workbook(small, tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.xlsx", "b.xlsx"]


def test_a_place_that_is_no_folder_is_an_error_of_the_machine(small: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(NotADirectoryError):
        write_workbook(small, tmp_path / "file" / "a.xlsx")


def test_a_file_without_mart_is_refused(tmp_path: Path) -> None:
    with Warehouse.open(tmp_path / "x.duckdb") as warehouse:
        warehouse.execute("CREATE TABLE a AS SELECT 1 AS b")
    with pytest.raises(UsageError, match="no mart table"):
        write_workbook(tmp_path / "x.duckdb", tmp_path / "x.xlsx")
    assert not (tmp_path / "x.xlsx").exists()


@pytest.mark.long
@pytest.mark.skipif(shutil.which("soffice") is None, reason="no LibreOffice: apt-get install libreoffice-calc-nogui")
def test_libreoffice_opens_it_and_sees_the_same_cells(
    files: tuple[Path, Path], book: openpyxl.Workbook, tmp_path: Path
) -> None:
    command = ["soffice", f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}", "--headless"]
    subprocess.run(
        [*command, "--convert-to", "xlsx", "--outdir", str(tmp_path / "saved"), str(files[1])],
        check=True,
        capture_output=True,
        timeout=300,
    )
    saved = openpyxl.load_workbook(tmp_path / "saved" / files[1].name, data_only=True)
    assert saved.sheetnames == book.sheetnames
    for name in book.sheetnames:
        ours, theirs = ([list(row) for row in each[name].iter_rows(values_only=True)] for each in (book, saved))
        width = len(ours[0])
        # Floating point to twelve digits: LibreOffice saves fifteen.
        assert [list(map(_as_read, row[:width])) for row in theirs[: len(ours)]] == [
            list(map(_as_read, row)) for row in ours
        ], name


def test_every_sheet_prints_on_pages_and_tells_what_its_columns_mean(book: openpyxl.Workbook) -> None:
    assert book.properties.title.startswith("Kortlægning")
    assert book.properties.creator == "kommunekort"
    for name in book.sheetnames[1:]:
        sheet = book[name]
        assert sheet.page_setup.orientation == "landscape", name
        assert sheet.sheet_properties.pageSetUpPr.fitToPage, name
        assert sheet.page_setup.fitToWidth in (None, 1), name  # one page is what stands for nothing said
        assert sheet.page_setup.fitToHeight == 0, name
        assert sheet.page_setup.paperSize == 9, name
        assert (sheet.oddFooter.left.text, sheet.oddFooter.right.text) == ("&A", "Side &P af &N"), name
        assert sheet.print_title_rows == "$2:$3", name
    notes = {cell.value: cell.comment.text for cell in book["expected"][3] if cell.comment}
    assert notes["difference"].startswith("Faktisk minus forventet")


def test_the_years_stand_side_by_side_and_are_the_figures(files: tuple[Path, Path], book: openpyxl.Workbook) -> None:
    names, rows = rows_of(book, SERIES)
    assert names[:5] == ["indicator_id", "indicator_label", "unit", "municipality_code", "municipality_name"]
    assert [int(name) for name in names[5:]] == list(range(2018, 2025))
    with Warehouse.open(files[0], read_only=True) as warehouse:
        figures = {
            (indicator, code, str(day.year)): value
            for indicator, code, day, value in warehouse.rows(
                "SELECT indicator_id, municipality_code, reference_date, value FROM mart.indicator_value"
            )
        }
    told = {(r["indicator_id"], r["municipality_code"], y): r[y] for r in rows for y in names[5:]}
    assert len(told) > 1000
    assert all(value is None or value == pytest.approx(figures[key]) for key, value in told.items())
    assert sum(value is not None for value in told.values()) == sum(v is not None for v in figures.values())
