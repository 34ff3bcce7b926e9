"""Periods, dates, names and numbers as a Danish and an English reader write them."""

from __future__ import annotations

from datetime import date

import pytest

from transforms.models.wording import UNITS, danish_key, date_text, gap, level, listed, number, period_text, signed


def test_months_quarters_years_and_spans() -> None:
    da = ["jan.", "feb.", "marts", "april", "maj", "juni", "juli", "aug.", "sept.", "okt.", "nov.", "dec."]
    en = ["Jan", "Feb", "Mar", "Apr", "May", "June", "July", "Aug", "Sept", "Oct", "Nov", "Dec"]
    for month in range(1, 13):
        assert period_text(f"2016M{month:02d}") == (f"{da[month - 1]} 2016", f"{en[month - 1]} 2016")
        assert date_text(date(2016, month, 5), "da") == f"05.{month:02d}.2016"
        assert date_text(date(2016, month, 5), "en") == f"5 {en[month - 1]} 2016"
    for quarter in "1234":
        assert period_text(f"2016K{quarter}") == (f"{quarter}. kvt. 2016", f"Q{quarter} 2016")
        assert period_text(f"2025QMAT0{quarter}") == (
            f"året til og med {quarter}. kvt. 2025",
            f"the year to Q{quarter} 2025",
        )
    assert period_text("2018-2025") == ("2018–2025", "2018–2025")
    for other in ("2016", "2016M00", "2016M13", "2016K5", "i fjor"):
        assert period_text(other) == (other, other)


@pytest.mark.parametrize(
    ("names", "da", "en"),
    [([], "", ""), (["A"], "A", "A"), (["A", "B"], "A og B", "A and B"), (["A", "B", "C"], "A, B og C", "A, B and C")],
)
def test_names_in_a_row(names: list[str], da: str, en: str) -> None:
    assert (listed(names, "da"), listed(names, "en")) == (da, en)


def test_signs_are_told_of_what_is_shown() -> None:
    assert [signed(v, 1, "da") for v in (2.5, -2.5, 0.04, -0.04, 0.05)] == ["+2,5", "−2,5", "0,0", "0,0", "+0,1"]
    assert number(-1234.5, 1, "da") == "−1.234,5"
    assert number(-1234.5, 1, "en") == "−1,234.5"


def test_units_decide_decimals_and_one_is_singular() -> None:
    assert [level(v, "weeks", "da") for v in (0, 1, 1.4, 2, -1)] == ["0 uger", "1 uge", "1 uge", "2 uger", "−1 uge"]
    assert [gap(v, "days", "en") for v in (1, -1, 2)] == ["1 day", "1 day", "2 days"]
    assert level(1, "pct", "da") == "1,0 pct."
    assert gap(-12.34, "pct", "en") == "12.3 percentage points"
    assert level(1.234, "ratio", "en") == "1.23"
    assert level(1.25, "no such unit", "da") == "1,3"
    decimals = {name: unit.decimals for name, unit in UNITS.items()}
    assert {name for name, count in decimals.items() if count == 1} == {"pct", "pp", "per_1000", "fte"}
    assert {name for name, count in decimals.items() if count == 2} == {"ratio"}


def test_danish_names_sort_with_their_letters_last() -> None:
    names = ["Ærø", "Aabenraa", "Odense", "Ølstykke", "Århus", "Aarhus", "Brøndby"]
    assert sorted(names, key=danish_key) == ["Brøndby", "Odense", "Ærø", "Ølstykke", "Aabenraa", "Århus", "Aarhus"]
