"""CPR numbers: recognised, turned into keyed pseudonyms, and masked wherever else they turn up.

Structure of the number: https://www.cpr.dk/cpr-systemet/opbygning-af-cpr-nummeret. Numbers issued since
1 October 2007 need not satisfy modulus 11 and are fully valid; they were issued first for people born on
1 January, a date registered for many refugees. The check digit is therefore a flag here and never a rule.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

MASK = "«skjult»"
WEIGHTS = (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)
PSEUDONYM_LENGTH = 32
_DASH = "\\-‐‑‒–—−"
_CPR = re.compile(rf"(\d{{5,6}})[\s{_DASH}./]?(\d{{4}})(?:[.,]0+)?")
# Nine digits or more with at most three other signs between them: a CPR number however it is broken up,
# also without the leading zero that Excel drops.
_LOOKS_LIKE_CPR = re.compile(r"\d(?:[\W_]{0,3}\d){8,}")
_PLAINLY_WRITTEN = "^[0-9]{6}-?[0-9]{4}$"
_MOST_REMEMBERED = 2_000_000


class Person(NamedTuple):
    """What leaves the door in place of a CPR number. Sex is M or K; the birth date is for deriving ages only."""

    person_id: str
    birth_date: date
    sex_code: str
    is_modulus11: bool


class People(NamedTuple):
    """A column of persons, row for row; null in every part where the text is no CPR number."""

    person_id: pa.StringArray
    birth_date: pa.Date32Array
    sex_code: pa.StringArray
    is_modulus11: pa.BooleanArray


def normalise_cpr(text: str) -> str | None:
    """Return the ten digits of a CPR number, or None when `text` is none.

    Takes hyphen, space or nothing between birth date and serial, full-width digits, a leading zero lost in
    Excel and `.0` behind a number read as decimal. The birth date must exist. Never raises.
    """
    digits = _ten_digits(text)
    return digits if digits and birth_date(digits) else None


def _ten_digits(text: str) -> str | None:
    if len(text) == 11 and text[6] == "-" and text.isascii():  # nearly always; half the time of the pattern
        digits = text[:6] + text[7:]
        if digits.isdigit():
            return digits
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    match = _CPR.fullmatch(plain) or _CPR.fullmatch(plain.strip())
    if match is None:
        return None
    digits = match[1].zfill(6) + match[2]
    return digits if digits.isascii() else None


def birth_date(digits: str) -> date | None:
    """Return the birth date in ten CPR digits, or None when there is no such day."""
    day, month, year, seventh = int(digits[:2]), int(digits[2:4]), int(digits[4:6]), int(digits[6])
    if seventh <= 3:
        century = 1900
    elif seventh in (4, 9):
        century = 2000 if year <= 36 else 1900
    else:
        century = 2000 if year <= 57 else 1800
    try:
        return date(century + year, month, day)
    except ValueError:
        return None


def sex_code(digits: str) -> str:
    """Return M (odd last digit) or K (even)."""
    return "M" if int(digits[9]) % 2 else "K"


def is_modulus11(digits: str) -> bool:
    """Tell whether the check digit fits; a number without it is just as valid (see the module's text)."""
    return sum(int(digit) * weight for digit, weight in zip(digits, WEIGHTS, strict=True)) % 11 == 0


def mask(text: str) -> str:
    """Return `text` with everything that may be a CPR number replaced by «skjult»."""
    return _LOOKS_LIKE_CPR.sub(MASK, unicodedata.normalize("NFKC", text))


def looks_like_cpr(text: str) -> bool:
    """Tell whether `text` holds something that may be a CPR number."""
    return _LOOKS_LIKE_CPR.search(unicodedata.normalize("NFKC", text)) is not None


class KeyedHash:
    """HMAC-SHA-256 under one secret, with the two key blocks hashed once instead of per value (half the time)."""

    def __init__(self, secret: bytes):
        block = (hashlib.sha256(secret).digest() if len(secret) > 64 else secret).ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def hexdigests(self, messages: Iterable[str]) -> list[str]:
        """Return the HMAC of each message in hexadecimal."""
        copy_inner, copy_outer = self._inner.copy, self._outer.copy
        found: list[str] = []
        for message in messages:
            inner, outer = copy_inner(), copy_outer()
            inner.update(message.encode())
            outer.update(inner.digest())
            found.append(outer.hexdigest())
        return found


def keyed_ids(key: KeyedHash, texts: Iterable[str]) -> list[str]:
    """Return the first 32 hexadecimal digits (128 bits) of the HMAC over each text.

    128 bits keep the chance of two of ten million persons sharing an id below 1 in 10^24.
    """
    return [found[:PSEUDONYM_LENGTH] for found in key.hexdigests(texts)]


class Pseudonymiser:
    """Turns CPR texts into persons by a chain of secrets, remembering the ids it has made.

    The chain is how a key is changed without the CPR numbers: the id under keys 1…n is the id under keys
    1…n-1 hashed once more with key n, so ids already stored can follow (`flows.connectors.deliveries_rotation`).
    """

    def __init__(self, secrets: Sequence[bytes]):
        self._keys = tuple(KeyedHash(secret) for secret in secrets)
        self._ids: dict[str, str] = {}

    def person(self, text: str) -> Person | None:
        """Return the person behind a CPR text, or None when it is no CPR number."""
        digits = _ten_digits(text)
        born = birth_date(digits) if digits else None
        if digits is None or born is None:
            return None
        return Person(self._hashed([digits])[0], born, sex_code(digits), is_modulus11(digits))

    def people(self, texts: pa.StringArray, tidy: Callable[[str], str] = str.strip) -> People:
        """Return what `person` gives for each text; texts not plainly written go through `tidy` first."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        written = _digits_of(texts, tidy)
        table = _digit_table(written)
        born = _birth_dates(table)
        valid = pc.and_(written.is_valid(), pa.array(~np.isnat(born)))
        nothing = pa.scalar(None, pa.string())
        digits = pc.if_else(valid, written, nothing).to_pylist()
        ids = list(map(self._ids.get, digits))
        fresh = list(dict.fromkeys(one for one, known in zip(digits, ids, strict=True) if known is None and one))
        if fresh:
            if len(self._ids) + len(fresh) > _MOST_REMEMBERED:
                self._ids.clear()
                fresh = list(dict.fromkeys(filter(None, digits)))
            self._ids.update(zip(fresh, self._hashed(fresh), strict=True))
            ids = list(map(self._ids.get, digits))
        return People(
            pa.array(ids, pa.string()),
            pc.if_else(valid, pa.array(born), pa.scalar(None, pa.date32())),
            pc.if_else(valid, pc.if_else(pa.array(table[:, 9] % 2 == 1), "M", "K"), nothing),
            pc.if_else(valid, pa.array(table @ np.array(WEIGHTS, np.int16) % 11 == 0), pa.scalar(None, pa.bool_())),
        )

    def _hashed(self, digits: list[str]) -> list[str]:
        for key in self._keys:
            digits = keyed_ids(key, digits)
        return digits


def _digits_of(texts: pa.StringArray, tidy: Callable[[str], str]) -> pa.StringArray:
    """Return the ten digits in each text, null where there are none; a birth date need not exist."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = pc.match_substring_regex(texts, _PLAINLY_WRITTEN)
    digits = pc.replace_substring(texts, "-", "", max_replacements=1)
    others = np.flatnonzero(~plain.to_numpy(zero_copy_only=False))
    if not len(others):
        return digits
    read = [_ten_digits(tidy(text)) for text in texts.take(pa.array(others)).to_pylist()]
    return pc.replace_with_mask(digits, pc.invert(plain), pa.array(read, pa.string()))


def _digit_table(digits: pa.StringArray) -> np.ndarray:
    """Return one row of ten small integers per text; noughts where it is null."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    filled = pc.fill_null(digits, "0" * 10).cast(pa.binary()).cast(pa.binary(10))
    flat = np.frombuffer(filled.buffers()[1], np.uint8, 10 * len(filled), 10 * filled.offset)
    return flat.reshape(-1, 10).astype(np.int16) - ord("0")


def _birth_dates(table: np.ndarray) -> np.ndarray:
    """Return what `birth_date` gives for each row of digits as days; NaT where there is no such day."""
    import numpy as np

    day, month, year = (table[:, n] * 10 + table[:, n + 1] for n in (0, 2, 4))
    seventh = table[:, 6]
    late = np.where(np.isin(seventh, (4, 9)), year <= 36, year <= 57)
    century = np.where(seventh <= 3, 1900, np.where(late, 2000, np.where(np.isin(seventh, (4, 9)), 1900, 1800)))
    months = (century + year - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (month - 1)
    days = months.astype("datetime64[D]") + (day - 1)
    exists = (month >= 1) & (month <= 12) & (day >= 1) & (days.astype("datetime64[M]") == months)
    return np.where(exists, days, np.datetime64("NaT"))
