"""Deliveries that are damaged, hostile or too large: refused with a reason, in bounded memory and time."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.deliveries.delivery_files import CASES, Door, case_rows, cpr, csv_bytes, xlsx_bytes, zip_bytes


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def edited_workbook(edit: Callable[[str], str], rows: int = 5) -> bytes:
    """Return a faultless workbook whose first sheet's XML went through `edit`."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(xlsx_bytes([CASES, *case_rows(rows)]))) as old, zipfile.ZipFile(stream, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename == "xl/worksheets/sheet1.xml":
                content = edit(content.decode()).encode()
            new.writestr(entry.filename, content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def encrypted_workbook() -> bytes:
    from msoffcrypto.format.ooxml import OOXMLFile

    stream = io.BytesIO()
    OOXMLFile(io.BytesIO(xlsx_bytes([CASES, *case_rows(3)]))).encrypt("hemmelig", stream)
    return stream.getvalue()


def swollen_zip() -> bytes:
    return zip_bytes({f"{n}.csv": b"0" * (8 << 20) for n in range(4)})


def lying_zip() -> bytes:
    """Return a ZIP whose directory says 10 bytes where 8 MB lie."""
    content = bytearray(zip_bytes({"a_2016K1.csv": csv_bytes(CASES, case_rows(20_000))}))
    at = content.rindex(b"PK\x01\x02")
    struct.pack_into("<I", content, at + 24, 10)
    return bytes(content)


def encrypted_zip() -> bytes:
    content = bytearray(zip_bytes({"a.csv": csv_bytes(CASES, case_rows(2))}))
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.index(magic) + offset
        content[at] |= 1
    return bytes(content)


GOOD = csv_bytes(CASES, case_rows(5))
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.csv": (lambda: b"", "is empty"),
    "pdf.csv": (lambda: b"%PDF-1.7\n" + GOOD, "this is PDF"),
    "page.csv": (lambda: b"<html><body>Log ind</body></html>", "this is HTML"),
    "binary.csv": (lambda: bytes(range(256)) * 50, "no text file"),
    "no_heading.csv": (lambda: b"a;b\n1;2\n", "no row with the headings"),
    "only_heading.csv": (lambda: csv_bytes(CASES, []), "no rows"),
    "twice_encoded.csv": (lambda: "Opgørelse;Oprindelæ\n1;2\n".encode().decode("latin-1").encode(), "encoded twice"),
    "unclosed_quote.csv": (
        lambda: csv_bytes(
            CASES, [*case_rows(3), ['"' + cpr(9), "x", "01-01-2015", "Kvote", "Irak", "1"], *case_rows(9, 20)]
        ),
        "opened and not closed",
    ),
    "one_line.csv": (lambda: GOOD + b"x" * (20 << 20), "a line longer"),
    "one_line_no_heading.csv": (lambda: b"x" * (20 << 20), "no row with the headings"),
    "old.xls": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "old Office"),
    "password.xlsx": (encrypted_workbook, "protected by a password"),
    "cut.xlsx": (lambda: xlsx_bytes([CASES, *case_rows(50)])[:-300], "damaged"),
    "far_cell.xlsx": (
        lambda: edited_workbook(
            lambda xml: xml.replace("</sheetData>", '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>')
        ),
        "spans 1,048,576 rows and 16,384 columns",
    ),
    "hidden_far_cell.xlsx": (
        lambda: edited_workbook(lambda xml: re.sub(r'r="A3"', "r='XFD1048000'", xml)),
        "spans",
    ),
    "utf16_sheet.xlsx": (lambda: edited_workbook(lambda xml: xml.encode("utf-16").decode("latin-1")), "workbook"),
    "no_sheet.xlsx": (lambda: xlsx_bytes([["Hej"], ["Der"]]), "no sheet has the headings"),
    "bomb.zip": (swollen_zip, "not plausible"),
    "lying.zip": (lying_zip, "damaged in the ZIP"),
    "encrypted.zip": (encrypted_zip, "protected by a password"),
    "nested.zip": (lambda: zip_bytes({"a.zip": zip_bytes({"b.csv": GOOD})}), "a ZIP inside the ZIP"),
    "traversal.zip": (lambda: zip_bytes({"../../a.csv": GOOD}), "points outside"),
    "absolute.zip": (lambda: zip_bytes({"/etc/cron.d/a.csv": GOOD}), "points outside"),
    "windows.zip": (lambda: zip_bytes({"..\\..\\a.csv": GOOD}), "points outside"),
    "many.zip": (lambda: zip_bytes({f"{n}.csv": GOOD for n in range(300)}), "holds 300 files"),
    "nothing.zip": (lambda: zip_bytes({"a/": b""}), "holds 0 files"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_bad_file_is_refused_with_a_reason_and_a_receipt(door: Door, name: str) -> None:
    make, reason = REFUSED[name]
    receipts = door.deliver(name, make(), period="2016K1")
    assert receipts
    for receipt in receipts:
        assert receipt.is_refused
        assert reason in receipt.remarks[0].text_en
        assert receipt.rows_in == receipt.rows_accepted + receipt.rows_rejected
        assert Path(receipt.path_html).is_file()
    assert list(door.inbox.iterdir()) == [door.inbox / name]
    outside = [path for path in door.folder.rglob("*.csv") if path.parent != door.inbox]
    assert outside == []


def test_a_file_above_the_bound_is_refused_unread(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.deliveries.files.MOST_PACKED", 100)
    receipt = door.one("a_2016K1.csv", GOOD)
    assert receipt.is_refused
    assert "more than the 100 bytes allowed" in receipt.remarks[0].text_en


def test_a_workbook_swelling_beyond_reason_is_refused(door: Door) -> None:
    content = edited_workbook(lambda xml: xml.replace("</sheetData>", "<row/>" * 3_000_000 + "</sheetData>"))
    assert len(content) < 1 << 20
    assert "not plausible" in door.one("a_2016K1.xlsx", content).remarks[0].text_en


def test_an_honest_note_over_several_lines_is_no_fault(door: Door) -> None:
    rows = [[*row, f'"ringet {n}\r\nikke hjemme; ring igen"'] for n, row in enumerate(case_rows(6))]
    receipt = door.one("a_2016K1.csv", csv_bytes((*CASES, "Notat"), rows))
    assert (receipt.verdict, receipt.rows_accepted) == ("godkendt", 6)


def test_inches_in_a_note_are_no_fault(door: Door) -> None:
    rows = [[*row, 'rør 5" bred'] for row in case_rows(7)]
    receipt = door.one("a_2016K1.csv", csv_bytes((*CASES, "Notat"), rows))
    assert (receipt.verdict, receipt.rows_accepted) == ("godkendt", 7)


def test_row_numbers_are_right_across_blocks(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.deliveries.files.BLOCK", 700)
    monkeypatch.setattr("flows.deliveries.files.LONGEST_LINE", 2000)
    rows = case_rows(300)
    for number in (3, 77, 150, 299):
        rows[number][2] = "nej"
    rows[120] = [*rows[120], "for meget"]
    content = csv_bytes(CASES, rows).replace(b"\r\n", b"\r\n", 1)
    receipt = door.one("a_2016K1.csv", content)
    assert [(fault.row, fault.rule) for fault in receipt.faults] == [
        (5, "date"), (79, "date"), (122, "row_shape"), (152, "date"), (301, "date")
    ]  # fmt: skip
    assert receipt.rows_in == 300


def test_two_deliveries_at_once_give_one_sentence(door: Door) -> None:
    import subprocess
    import sys

    from flows.deliveries.keys import load_keys
    from flows.deliveries.store import open_restricted

    path = door.inbox / "a_2016K1.csv"
    path.write_bytes(GOOD)
    code = (
        "from pathlib import Path; from flows.deliveries.intake import deliver\n"
        f"deliver([Path({str(path)!r})], '840', Path({str(door.data)!r}), Path({str(door.key)!r}))"
    )
    with open_restricted(door.data / "restricted", load_keys(door.key).database_key):
        root = Path(__file__).parents[2]
        ended = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "UsageError: cannot open the encrypted database" in ended.stderr


@pytest.mark.long
def test_a_process_killed_while_storing_leaves_the_former_delivery(door: Door) -> None:
    import subprocess
    import sys

    door.one("a_2016K1.csv", GOOD)
    path = door.inbox / "b_2016K1.csv"
    path.write_bytes(csv_bytes(CASES, case_rows(200)))
    code = (
        "import os, signal; from pathlib import Path; from flows.deliveries import store\n"
        "from flows.deliveries.intake import deliver\n"
        "store.enter = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"deliver([Path({str(path)!r})], '840', Path({str(door.data)!r}), Path({str(door.key)!r}), period='2016K1')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, check=False
    )
    assert ended.returncode == -9
    assert door.rows('SELECT count(*) FROM restricted."case"') == [(5,)]
    assert door.one("b_2016K1.csv", path.read_bytes()).rows_accepted == 200
