from __future__ import annotations

import json
import logging
import re
import traceback
from pathlib import Path

import pytest

from flows.deliveries.intake import deliver
from flows.deliveries.receipts import VERDICT_EN, FaultLine, Receipt, Remark, as_html, as_json, worst, write_receipt
from tests.unit.deliveries.delivery_files import CASES, Door, case_rows, cpr, csv_bytes, xlsx_bytes, zip_bytes
from transforms.errors import KommunekortError

PLANTED = ["010180-4321", "3112894322", "0203044323", "010190 4324", "150785-4325", "120360-4326"]
NAMES = ["Fatima Alsayed", "Yonas Tesfay"]


def bare(text: str) -> str:
    return re.sub(r"\D", "", text)


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def everything_written(door: Door) -> bytes:
    return b"\n".join(path.name.encode() + path.read_bytes() for path in door.data.rglob("*") if path.is_file())


def assert_clean(content: bytes) -> None:
    """Assert that no planted number, nor its digits however separated, nor a name is in `content`."""
    text = content.decode("latin-1")
    for name in NAMES:
        assert name.encode() not in content
        assert name.split()[1].encode() not in content
    for number in PLANTED:
        digits = bare(number)
        for wanted in (digits, digits.lstrip("0")):
            assert re.search(r"[\s.\-/ ]?".join(wanted), text) is None, f"planted number {number} was found"


def plant_everywhere() -> dict[str, bytes]:
    rows = case_rows(30)
    rows[0][1] = NAMES[0]
    rows[1][2] = PLANTED[0]  # in a date
    rows[2][3] = PLANTED[1]  # in a code
    rows[3][4] = NAMES[1]  # a name in the country
    rows[4][5] = PLANTED[2]  # in a count
    rows[5][0] = PLANTED[3] + "x"  # a number with something behind
    noted = [[*row, f"se også {PLANTED[4]} {NAMES[0]}"] for row in rows]
    notes = csv_bytes((*CASES, "Bemærkninger", f"Kolonne {PLANTED[5]}"), [[*row, "y"] for row in noted])
    shifted = csv_bytes(CASES, [[NAMES[0], PLANTED[0], PLANTED[1], NAMES[1], "x", PLANTED[2]]] * 5)
    no_heading = csv_bytes((PLANTED[0], NAMES[0], "01-01-2015"), [[PLANTED[1], NAMES[1], "01-01-2015"]])
    unclosed = csv_bytes(CASES, [*case_rows(3), [f'"{PLANTED[0]}', NAMES[0], "", "", "", ""], *case_rows(3)])
    too_wide = csv_bytes(CASES, [[*row, PLANTED[0], NAMES[0]] for row in case_rows(5)])
    book = xlsx_bytes([[*CASES, "Notat"], *[[*row, PLANTED[2]] for row in rows]], title=PLANTED[3])
    return {
        f"sager {PLANTED[0]} 2016K1.csv": notes,
        "shifted_2016K1.csv": shifted,
        "no_heading.csv": no_heading,
        "unclosed_2016K1.csv": unclosed,
        "wide_2016K1.csv": too_wide,
        f"bog_{bare(PLANTED[1])}_2016K1.xlsx": book,
        "pakke.zip": zip_bytes({f"{PLANTED[4]}/{PLANTED[2]}_2016K1.csv": notes, "b.xlsx": book}),
        f"{PLANTED[5]}.pdf": b"%PDF-1.4 " + PLANTED[0].encode(),
        f"nested {PLANTED[5]}.zip": zip_bytes({f"{PLANTED[3]}.zip": zip_bytes({"a.csv": notes})}),
        "damaged.xlsx": book[: len(book) // 2] + PLANTED[0].encode(),
    }


def test_no_planted_number_or_name_is_written_logged_or_raised(
    door: Door, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    spoken: list[str] = []
    with caplog.at_level(logging.DEBUG):
        for name, content in plant_everywhere().items():
            try:
                receipts = door.deliver(name, content)
                spoken += [receipt.line() + repr(receipt) for receipt in receipts]
            except KommunekortError as error:
                spoken += traceback.format_exception(error)
        with pytest.raises(KommunekortError) as caught:
            deliver([door.inbox / f"findes ikke {PLANTED[0]}.csv"], "840", door.data, door.key)
        spoken += traceback.format_exception(caught.value)
    printed = capfd.readouterr()
    # The traceback shows this test's own source line, which names no number.
    assert_clean("\n".join(spoken).encode())
    assert_clean((caplog.text + printed.out + printed.err).encode())
    assert_clean(everything_written(door))
    assert len(list((door.data / "receipts").glob("*.html"))) >= 9
    stored = door.rows('SELECT * FROM restricted."case"') + door.rows("SELECT * FROM restricted.delivery")
    assert stored
    assert_clean(repr(stored).encode())


def test_the_log_tells_no_number_of_rows(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    """Rows are persons, and a log is read by more than the municipality."""
    with caplog.at_level(logging.DEBUG):
        receipts = [receipt for name, content in plant_everywhere().items() for receipt in door.deliver(name, content)]
    told = [record.getMessage() for record in caplog.records if record.name.startswith("flows.")]
    assert len(told) >= len(receipts) > 8
    for receipt in receipts:
        line = f"{receipt.delivery_id} {receipt.file}: {VERDICT_EN[receipt.verdict]}"
        assert line in told
        told.remove(line)
    assert not [line for line in told if re.search(r"\b\d+ (of|rows|persons|faults)|rows", line)]


def test_the_search_would_find_a_number(door: Door) -> None:
    (door.data / "receipts").mkdir(parents=True)
    (door.data / "receipts" / "x.json").write_text(f"... {PLANTED[3]} ...", encoding="utf-8")
    with pytest.raises(AssertionError):
        assert_clean(everything_written(door))


def test_the_page_escapes_everything_and_loads_nothing(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    receipt = Receipt(
        "L000001", f"{evil}.csv", "afvist", "2016-04-15T09:00:00Z", remarks=(Remark(evil, evil),), undeclared=(evil,),
        faults=(FaultLine(2, evil, evil, f'"{evil}'),), faults_total=1, is_synthetic=True,
    )  # fmt: skip
    page = write_receipt(receipt, tmp_path).read_text(encoding="utf-8")
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 5
    assert "SYNTETISKE DATA" in page
    assert re.findall(r'(?:src|href|url\()\s*=?\s*["\'(]?(?:https?:)?//', page) == []


def test_the_page_and_the_json_say_the_same(door: Door) -> None:
    rows = case_rows(30)
    rows[0][2] = "31-02-2015"
    receipt = door.one("sager_2016K1.csv", csv_bytes((*CASES, "Skostørrelse"), [[*row, "43"] for row in rows]))
    page = Path(receipt.path_html).read_text(encoding="utf-8")
    content = json.loads(Path(receipt.path_html).with_suffix(".json").read_text(encoding="utf-8"))
    assert content["rows_in"] == content["rows_accepted"] + content["rows_rejected"] == 30
    assert (content["verdict"], content["verdict_en"]) == ("godkendt med bemærkninger", "accepted with remarks")
    assert content["faults"] == [
        {"row": 2, "field": "Dato for opholdstilladelse", "rule": "date", "shown": "31-02-2015"}
    ]
    assert content["undeclared"] == ["Skostørrelse"]
    for expected in (
        "Godkendt med bemærkninger",
        "Rebild (840)",
        "31-02-2015",
        "Skostørrelse",
        "Ikke en dato",
        "2016K1",
    ):
        assert expected in page
    assert 'lang="da"' in page


def test_the_next_delivery_is_compared_with_the_one_before(door: Door) -> None:
    door.one("sager_2016K1.csv", csv_bytes(CASES, case_rows(30)))
    receipt = door.one("sager_2016K1.csv", csv_bytes(CASES, case_rows(10)))
    assert receipt.previous is not None
    assert receipt.previous.persons == 30
    assert any("complete?" in remark.text_en for remark in receipt.remarks)
    assert "-20" in as_html(receipt)


def test_faults_beyond_the_limit_are_counted(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.deliveries.receipts.MOST_FAULTS", 10)
    rows = case_rows(400)
    for row in rows[:60]:
        row[5] = "1,5"
    receipt = door.one("sager_2016K1.csv", csv_bytes(CASES, rows))
    assert len(receipt.faults) == 10
    assert [(total.rule, total.count) for total in receipt.totals if total.severity == "reject"] == [
        ("whole_number", 60)
    ]
    assert receipt.rows_rejected == 60


def test_modulus_11_is_information_and_no_remark(door: Door) -> None:
    receipt = door.one("sager_2016K1.csv", csv_bytes(CASES, case_rows(30)))
    (total,) = receipt.totals
    assert (total.rule, total.severity, receipt.verdict) == ("cpr_without_modulus11", "info", "godkendt")
    assert total.count > 20
    assert json.loads(as_json(receipt))["faults"] == []


def test_the_worst_verdict_counts(door: Door) -> None:
    good = door.one("a_2016K1.csv", csv_bytes(CASES, case_rows(5)))
    bad = door.one("b.csv", b"intet;her\n1;2\n")
    assert (worst([]), worst([good]), worst([good, bad])) == ("godkendt", "godkendt", "afvist")
    assert cpr(0) not in good.line()
