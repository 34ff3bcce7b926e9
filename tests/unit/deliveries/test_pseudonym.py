from __future__ import annotations

import hmac
from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.deliveries.keys import (
    MASK,
    KeyedHash,
    Pseudonymiser,
    birth_date,
    is_modulus11,
    looks_like_cpr,
    mask,
    normalise_cpr,
    sex_code,
)


@pytest.mark.parametrize(
    "text",
    [
        "070761-4285",
        "0707614285",
        " 070761 4285 ",
        "070761–4285",
        "707614285",
        "70761-4285",
        "707614285.0",
        "０７０７６１-４２８５",
    ],
)
def test_every_way_of_writing_a_number_gives_the_same_ten_digits(text: str) -> None:
    assert normalise_cpr(text) == "0707614285"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "070761",
        "07076142850",
        "320161-4285",
        "001361-4285",
        "070761-428",
        "07-07-61-4285",
        "abc",
        "310290-1234",
        "010180AB12",
    ],
)
def test_what_is_no_number_is_none(text: str) -> None:
    assert normalise_cpr(text) is None


@pytest.mark.parametrize(
    ("digits", "born"),
    [
        ("0101001234", date(1900, 1, 1)),
        ("0101993999", date(1999, 1, 1)),
        ("0101364000", date(2036, 1, 1)),
        ("0101374000", date(1937, 1, 1)),
        ("0101575000", date(2057, 1, 1)),
        ("0101585000", date(1858, 1, 1)),
        ("0101369000", date(2036, 1, 1)),
        ("0101379000", date(1937, 1, 1)),
        ("2902008000", date(2000, 2, 29)),
    ],
)
def test_the_seventh_digit_tells_the_century(digits: str, born: date) -> None:
    assert birth_date(digits) == born


def test_the_check_digit_is_a_flag_and_never_a_rule() -> None:
    people = Pseudonymiser([b"s" * 32]).people(pa.array(["070761-4285", "010180-1234"]))
    assert people.person_id.null_count == 0
    assert is_modulus11("0707614285")
    assert people.is_modulus11.to_pylist() == [True, False]
    assert people.sex_code.to_pylist() == ["M", "K"] == [sex_code("0707614285"), sex_code("0101801234")]


def test_the_pseudonym_is_the_hmac_of_the_ten_digits_whatever_the_spelling() -> None:
    secret = b"0123456789abcdef0123456789abcdef"
    pseudonym = Pseudonymiser([secret]).pseudonym("70761-4285")
    assert pseudonym is not None
    assert pseudonym == hmac.new(secret, b"0707614285", "sha256").hexdigest()[:32]
    assert "070761" not in pseudonym


@given(st.binary(min_size=0, max_size=200), st.text(max_size=100))
def test_the_keyed_hash_is_hmac_sha_256(secret: bytes, message: str) -> None:
    assert KeyedHash(secret).ids([message]) == [hmac.new(secret, message.encode(), "sha256").hexdigest()[:32]]


DIGITS = st.tuples(st.integers(0, 35), st.integers(0, 14), st.integers(0, 99), st.integers(0, 9999)).map(
    lambda parts: f"{parts[0]:02d}{parts[1]:02d}{parts[2]:02d}-{parts[3]:04d}"
)
SPELLINGS = st.one_of(
    DIGITS,
    DIGITS.map(lambda text: text.replace("-", "")),
    DIGITS.map(lambda text: text.replace("-", " ")),
    DIGITS.map(lambda text: f" {text.removeprefix('0')}"),
    st.text(max_size=12),
    st.sampled_from(["", "2902008000", "０１０１８０１２３４", "0101801234.0", "010180-12345", "0101801234\n"]),
)


@settings(deadline=None)  # the first column imports pyarrow
@given(st.lists(st.lists(SPELLINGS, max_size=20), max_size=3))
def test_a_column_is_read_as_its_texts_are_one_by_one(blocks: list[list[str]]) -> None:
    people = Pseudonymiser([b"a" * 32, b"b" * 32])
    for texts in blocks:
        # An odd start: Arrow arrays cut from longer ones hold their rows at an offset.
        column = people.people(pa.array(["x", *texts], pa.string())[1:])
        alone = [normalise_cpr(text) for text in texts]
        expected = [
            (people.pseudonym(one), birth_date(one), sex_code(one), is_modulus11(one)) if one else (None,) * 4
            for one in alone
        ]
        assert list(zip(*(part.to_pylist() for part in column), strict=True)) == expected
        assert column.person_id.null_count == alone.count(None)


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.deliveries.keys._MOST_REMEMBERED", 3)
    people = Pseudonymiser([b"a" * 32])
    for day in range(1, 9):
        texts = [f"{day:02d}0180-1234", "010280-1234", f"{day:02d}0180-1234"]
        found = people.people(pa.array(texts)).person_id.to_pylist()
        assert found == [people.pseudonym(text) for text in texts]
        assert len(people._ids) <= 3


def test_another_key_gives_another_pseudonym_and_a_chain_can_be_followed_without_the_number() -> None:
    first, second = b"a" * 32, b"b" * 32
    old, new = (Pseudonymiser(chain).pseudonym("070761-4285") for chain in ([first], [first, second]))
    assert old is not None
    assert new is not None
    assert old != new
    assert KeyedHash(second).ids([old]) == [new]


@pytest.mark.parametrize(
    "text",
    [
        "010180-1234",
        "0101801234",
        "01-01-80-1234",
        "010180 1234",
        "01 01 80 12 34",
        "101801234",
        "cpr:010180/1234.",
        "０１０１８０１２３４",
    ],
)
def test_whatever_may_be_a_number_is_masked(text: str) -> None:
    hidden = mask(f"sag {text} om noget")
    assert looks_like_cpr(text)
    assert MASK in hidden
    assert "1234" not in hidden
    assert hidden.startswith("sag ")


@pytest.mark.parametrize(
    "text", ["Rebild_2016K1.csv", "31-03-2016", "561010", "37,5", "Kvoteflygtning (§ 8)", "12345678"]
)
def test_what_cannot_be_a_number_is_left(text: str) -> None:
    assert mask(text) == text
