"""CPR numbers: recognised, turned into keyed pseudonyms, and masked wherever else they turn up.

Structure of the number: https://www.cpr.dk/cpr-systemet/opbygning-af-cpr-nummeret. Numbers issued since
1 October 2007 need not satisfy modulus 11 and are fully valid; they were issued first for people born on
1 January, a date registered for many refugees. The check digit is therefore a flag here and never a rule.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import NamedTuple

MASK = "«skjult»"
PSEUDONYM_LENGTH = 32
_DASH = "\\-‐‑‒–—−"
_CPR = re.compile(rf"(\d{{5,6}})[\s{_DASH}./]?(\d{{4}})(?:[.,]0+)?")
# Nine digits or more with at most three other signs between them: a CPR number however it is broken up,
# also without the leading zero that Excel drops.
_LOOKS_LIKE_CPR = re.compile(r"\d(?:[\W_]{0,3}\d){8,}")
_CACHE_LIMIT = 2_000_000


class Person(NamedTuple):
    """What leaves the door in place of a CPR number. Sex is M or K; the birth date is for deriving ages only."""

    person_id: str
    birth_date: date
    sex_code: str
    is_modulus11: bool


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
    return _front(digits[:7])[0]


def sex_code(digits: str) -> str:
    """Return M (odd last digit) or K (even)."""
    return _back(digits[7:])[0]


def is_modulus11(digits: str) -> bool:
    """Tell whether the check digit fits; a number without it is just as valid (see the module's text)."""
    return (_front(digits[:7])[1] + _back(digits[7:])[1]) % 11 == 0


@lru_cache(maxsize=500_000)
def _front(seven: str) -> tuple[date | None, int]:
    """Return birth date and weighted digit sum of the first seven digits; few differ, so remembered."""
    day, month, year, seventh = int(seven[:2]), int(seven[2:4]), int(seven[4:6]), int(seven[6])
    if seventh <= 3:
        century = 1900
    elif seventh in (4, 9):
        century = 2000 if year <= 36 else 1900
    else:
        century = 2000 if year <= 57 else 1800
    weighted = sum(int(digit) * weight for digit, weight in zip(seven, (4, 3, 2, 7, 6, 5, 4), strict=True))
    try:
        return date(century + year, month, day), weighted
    except ValueError:
        return None, weighted


@lru_cache(maxsize=1_000)
def _back(three: str) -> tuple[str, int]:
    """Return sex and weighted digit sum of the last three digits."""
    return "M" if int(three[2]) % 2 else "K", int(three[0]) * 3 + int(three[1]) * 2 + int(three[2])


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

    def hexdigest(self, message: bytes) -> str:
        """Return the HMAC in hexadecimal."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.hexdigest()


def keyed_id(key: KeyedHash, text: str) -> str:
    """Return the first 32 hexadecimal digits (128 bits) of the HMAC over `text`.

    128 bits keep the chance of two of ten million persons sharing an id below 1 in 10^24.
    """
    return key.hexdigest(text.encode())[:PSEUDONYM_LENGTH]


class Pseudonymiser:
    """Turns CPR texts into persons by a chain of secrets, remembering what it has seen.

    The chain is how a key is changed without the CPR numbers: the id under keys 1…n is the id under keys
    1…n-1 hashed once more with key n, so ids already stored can follow (`flows.connectors.deliveries_rotation`).
    """

    def __init__(self, secrets: Sequence[bytes]):
        self._keys = tuple(KeyedHash(secret) for secret in secrets)
        self._seen: dict[str, Person | None] = {}

    def person(self, text: str) -> Person | None:
        """Return the person behind a CPR text, or None when it is no CPR number."""
        if text in self._seen:
            return self._seen[text]
        digits = _ten_digits(text)
        found = None if digits is None else self._derive(digits)
        if len(self._seen) >= _CACHE_LIMIT:
            self._seen.clear()
        self._seen[text] = found
        return found

    def people(self, texts: Sequence[str]) -> list[Person | None]:
        """Return `person` of each text."""
        found = list(map(self._seen.get, texts))
        return [self.person(text) if person is None else person for person, text in zip(found, texts, strict=True)]

    def _derive(self, digits: str) -> Person | None:
        born, front = _front(digits[:7])
        sex, back = _back(digits[7:])
        if born is None:
            return None
        person_id = digits
        for key in self._keys:
            person_id = keyed_id(key, person_id)
        return Person(person_id, born, sex, (front + back) % 11 == 0)
