"""Numbers in Danish and English print become the same plain number, and nothing is guessed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.connectors.statbank.forms import MixedStyles, NumberReader, Style, Undecided, plain_number, readings


def printed(number: Decimal, decimals: int, language: str, grouped: bool) -> str:
    text = f"{number:{',' if grouped else ''}.{decimals}f}"
    return text if language == "en" else text.translate(str.maketrans(",.", ".,"))


@given(st.integers(-(10**12), 10**12), st.integers(0, 2), st.sampled_from(["da", "en"]), st.booleans())
def test_what_is_printed_is_read_back(scaled: int, decimals: int, language: str, grouped: bool) -> None:
    number = Decimal(scaled).scaleb(-decimals)
    text = NumberReader(decimals)[printed(number, decimals, language, grouped)]
    assert text is not None
    assert Decimal(text) == number
    assert not set(text) - set("-.0123456789")


@given(st.integers(-(10**12), 10**12), st.integers(3, 4), st.sampled_from(["da", "en"]))
def test_with_three_decimals_or_more_the_column_decides(scaled: int, decimals: int, language: str) -> None:
    number = Decimal(scaled).scaleb(-decimals)
    # A value no one can misread comes first; four-digit fractions settle the language.
    reader = NumberReader(decimals)
    assert reader[printed(Decimal("12.3456"), 4, language, False)] == "12.3456"
    text = reader[printed(number, decimals, language, True)]
    assert text is not None
    assert Decimal(text) == number


@pytest.mark.parametrize("mark", ["..", "-", ".", "...", ""])
@pytest.mark.parametrize("decimals", [0, 1])
def test_marks_stay_marks(mark: str, decimals: int) -> None:
    assert NumberReader(decimals)[f" {mark} "] == mark


@pytest.mark.parametrize(
    ("text", "decimals", "expected"),
    [
        ("1.229", 0, "1229"),
        ("1,229", 0, "1229"),
        ("1 229", 0, "1229"),
        ("1\u00a0229", 0, "1229"),
        ("1229.0", 0, "1229"),
        ("1.229.000", 0, "1229000"),
        ("1.229", 1, "1229"),
        ("1.229,5", 1, "1229.5"),
        ("1,229.5", 1, "1229.5"),
        ("0.123", 1, "0.123"),
        ("7.345", 1, "7345"),
        ("7.300", 0, "7300"),
        ("63,5", 1, "63.5"),
        ("−5", 0, "-5"),
        ("5867412", 0, "5867412"),
        ("007", 0, "007"),
    ],
)
def test_single_values(text: str, decimals: int, expected: str) -> None:
    assert NumberReader(decimals)[text] == expected


@pytest.mark.parametrize(
    "text", ["12.5", "12,25", "1.22", "1.229.00", "12.34,5.6", "5,8 mio.", "n/k", "1e5", "٣", "--", "+5"]
)
def test_what_is_no_whole_number_is_none(text: str) -> None:
    assert NumberReader(0)[text] is None


def test_one_column_has_one_language() -> None:
    reader = NumberReader(1)
    assert reader["12,5"] == "12.5"
    with pytest.raises(MixedStyles) as fault:
        reader["12.5"]
    assert fault.value.args == ("12.5", "12,5")
    counts = NumberReader(0)
    assert counts["1.229"] == "1229"
    with pytest.raises(MixedStyles):
        counts["1,229"]


def test_two_meanings_are_not_guessed() -> None:
    assert readings("1.229", 3) == {"en": "1.229", "da": "1229"}
    with pytest.raises(Undecided):
        NumberReader(3)["1.229"]
    assert NumberReader(3, "da")["1.229"] == "1229"
    assert NumberReader(3, "en")["1.229"] == "1.229"


@pytest.mark.parametrize("text", ["7.300", "7,300", "12.500", "7.000", "-7.300"])
@pytest.mark.parametrize("decimals", [1, 2])
def test_decimals_filled_up_with_zeros_are_not_taken_for_thousands(text: str, decimals: int) -> None:
    with pytest.raises(Undecided):
        NumberReader(decimals)[text]
    own: Style = "en" if "." in text else "da"
    assert float(str(NumberReader(decimals, own)[text])) == float(text.replace(",", "."))
    thousands: Style = "da" if own == "en" else "en"
    assert NumberReader(decimals, thousands)[text] == text.replace(".", "").replace(",", "")


@given(st.floats(-1e17, 1e17, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-6))
def test_a_spreadsheets_number_keeps_its_value_whatever_the_style(number: float) -> None:
    text = plain_number(number)
    assert Decimal(text) == Decimal(repr(number))
    for style in ("en", "da"):
        read = NumberReader(1, "en" if style == "en" else None)[text]
        assert read is not None
        assert Decimal(read) == Decimal(repr(number))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e300, "1e999999999", "1e-999999999"])
def test_no_number_blows_up(number: float | str) -> None:
    assert len(plain_number(number)) < 400


@given(st.text(max_size=30), st.integers(0, 4))
def test_any_text_is_read_or_left(text: str, decimals: int) -> None:
    try:
        read = NumberReader(decimals)[text]
    except Undecided:
        assert decimals >= 1
        return
    assert read is None or read in {"", ".", "..", "...", "-"} or Decimal(read) is not None
