"""The key file: the secrets behind pseudonyms and the restricted database, kept outside the data.

One file holds a chain of keys. A pseudonym under keys 1…n is the pseudonym under keys 1…n-1 hashed once more with
key n. Rotation therefore needs no CPR number: `rotate` appends a key, hashes every stored pseudonym once more and
encrypts the database anew, and later deliveries of the same persons still meet their earlier rows. Who has
learnt an earlier key can no longer compute today's pseudonyms. The earlier keys must stay in the file.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flows.store.snapshots import refuse_no_file
from transforms.areas import DASH_SIGNS
from transforms.errors import UsageError
from transforms.periods import utc_text

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


# CPR numbers: recognised, turned into keyed pseudonyms, and masked wherever else they turn up.
#
# Structure of the number: https://www.cpr.dk/cpr-systemet/opbygning-af-cpr-nummeret. Numbers issued since
# 1 October 2007 need not satisfy modulus 11 and are fully valid; they were issued first for people born on
# 1 January, a date registered for many refugees. The check digit is therefore a flag here and never a rule.


MASK = "»skjult«"
WEIGHTS = (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)
PSEUDONYM_LENGTH = 32
_DASH = f"\\-{DASH_SIGNS}"
_BREAK = rf"[\s{_DASH}./]"
_CPR = re.compile(
    rf"(?:(\d{{5,6}})|(\d{{1,2}})[\s./]{{1,2}}(\d\d)[\s./]{{1,2}}(\d\d)){_BREAK}{{0,3}}(\d{{4}})(?:[.,]0+)?"
)
# Nine digits or more with at most three other signs between them: a CPR number however it is broken up,
# also without the leading zero that Excel drops.
_LOOKS_LIKE_CPR = re.compile(r"\d(?:[\W_]{0,3}\d){8,}")
# Written as CPR numbers are; lists of years, times and run ids are none.
_WRITTEN_AS_CPR = re.compile(r"(?<!\w)(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d\d[-\u2010-\u2013\u2212. ]?\d{4}(?!\w)")
_PLAINLY_WRITTEN = "^[0-9]{6}-?[0-9]{4}$"
_MOST_REMEMBERED = 2_000_000


class People(NamedTuple):
    """What leaves the door in place of a column of CPR numbers, row for row; null where the text is none.

    Sex is M or K; the birth date is for deriving ages only.
    """

    person_id: pa.StringArray
    birth_date: pa.Date32Array
    sex_code: pa.StringArray
    is_modulus11: pa.BooleanArray


def normalise_cpr(text: str) -> str | None:
    """Return the ten digits of a CPR number, or None when `text` is none.

    Takes spaces, dots or nothing between day, month and year, those or a hyphen before the serial, full-width digits,
    signs that cannot be seen, a leading zero lost in Excel and `.0` behind a number read as decimal. The birth date
    must exist, and the serial 0000, which is never issued, is none. Never raises.
    """
    digits = _ten_digits(text)
    return digits if digits and birth_date(digits) else None


def _ten_digits(text: str) -> str | None:
    if len(text) == 11 and text[6] == "-" and text.isascii():  # nearly always; half the time of the pattern
        digits = text[:6] + text[7:]
        if digits.isdigit():
            return digits
    match = _CPR.fullmatch((text if text.isascii() else visible(text)).strip())
    if match is None:
        return None
    born = match[1] or match[2] + match[3] + match[4]
    digits = born.zfill(6) + match[5]
    return digits if digits.isascii() else None


def visible(text: str) -> str:
    """Return `text` with usual letters and spaces for odd ones, and without signs that cannot be seen.

    Those are the Unicode categories Cf (zero-width spaces, marks of direction, soft hyphens, a byte-order mark inside
    the text) and Cc (control signs), save those that are spaces, and the variation selectors.
    """
    plain = unicodedata.normalize("NFKC", text)
    return "".join(
        sign
        for sign in plain
        if sign.isspace() or (unicodedata.category(sign) not in ("Cf", "Cc") and not "\ufe00" <= sign <= "\ufe0f")
    )


def why_no_cpr(text: str) -> str:
    """Return the id of the rule that a text which is no CPR number breaks."""
    plain = visible(text).strip()
    if re.fullmatch(r"\d+([.,]\d+)?e\+?\d+", plain.casefold()):
        return "cpr_shortened"
    if re.fullmatch(rf"\d{{6}}{_BREAK}?(?=\w*[^\W\d])\w{{4}}", plain) or re.match(r"[6-9]\d{5}\D?\d{4}$", plain):
        return "cpr_replacement"
    return "cpr"


def birth_date(digits: str) -> date | None:
    """Return the birth date in ten CPR digits, or None when there is no such day or the serial is 0000."""
    if digits.endswith("0000"):
        return None
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
    """Return `text` with everything that may be a CPR number replaced by »skjult«."""
    return _LOOKS_LIKE_CPR.sub(MASK, visible(text))


def mask_written(text: str) -> str:
    """Return `text` with what is written as a CPR number replaced by »skjult«; other long numbers stay."""
    seen = visible(text)
    return _WRITTEN_AS_CPR.sub(MASK, seen) if _WRITTEN_AS_CPR.search(seen) else text


def looks_like_cpr(text: str) -> bool:
    """Tell whether `text` holds something that may be a CPR number."""
    return _LOOKS_LIKE_CPR.search(visible(text)) is not None


class KeyedHash:
    """HMAC-SHA-256 under one secret, with the two key blocks hashed once instead of per value (half the time)."""

    def __init__(self, secret: bytes):
        block = (hashlib.sha256(secret).digest() if len(secret) > 64 else secret).ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def ids(self, texts: Iterable[str]) -> list[str]:
        """Return the first 32 hexadecimal digits (128 bits) of the HMAC over each text.

        128 bits keep the chance of two of ten million persons sharing an id below 1 in 10^24.
        """
        copy_inner, copy_outer = self._inner.copy, self._outer.copy
        found: list[str] = []
        for text in texts:
            inner, outer = copy_inner(), copy_outer()
            inner.update(text.encode())
            outer.update(inner.digest())
            found.append(outer.hexdigest()[:PSEUDONYM_LENGTH])
        return found


class Pseudonymiser:
    """Turns CPR texts into persons by a chain of secrets, remembering the ids it has made.

    The chain is how a key is changed without the CPR numbers: the id under keys 1…n is the id under keys
    1…n-1 hashed once more with key n, so ids already stored can follow (`flows.deliveries.store`).
    """

    def __init__(self, secrets: Sequence[bytes]):
        self._keys = tuple(KeyedHash(secret) for secret in secrets)
        self._ids: dict[str, str] = {}

    def pseudonym(self, text: str) -> str | None:
        """Return the pseudonym of the person behind a CPR text, or None when it is no CPR number."""
        digits = normalise_cpr(text)
        return self._hashed([digits])[0] if digits else None

    def people(self, texts: pa.StringArray, tidy: Callable[[str], str] = str.strip) -> People:
        """Return the person behind each text; texts not plainly written go through `tidy` first."""
        encoded = texts.dictionary_encode()  # who has several measures is read once
        return People(*(column.take(encoded.indices) for column in self._distinct(encoded.dictionary, tidy)))

    def _distinct(self, texts: pa.StringArray, tidy: Callable[[str], str]) -> People:
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
            digits = key.ids(digits)
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
    issued = table[:, 6:].any(axis=1)
    exists = issued & (month >= 1) & (month <= 12) & (day >= 1) & (days.astype("datetime64[M]") == months)
    return np.where(exists, days, np.datetime64("NaT"))


SECRET_BYTES = 32


@dataclass(frozen=True)
class Keys:
    """The chain, oldest first. `key_id` names the newest key and gives nothing away; secrets are never printed."""

    key_id: str
    _secrets: tuple[bytes, ...] = field(repr=False)

    @property
    def database_key(self) -> str:
        """Return the key of the restricted database."""
        return _derived(self._secrets[-1], "database").hex()

    def pseudonymiser(self) -> Pseudonymiser:
        """Return the function from CPR numbers to pseudonyms."""
        return Pseudonymiser([_derived(secret, "person") for secret in self._secrets])

    def last_step(self) -> bytes:
        """Return the secret of the newest link, which carries pseudonyms of the chain before it over."""
        return _derived(self._secrets[-1], "person")

    @property
    def rounding_key(self) -> bytes:
        """Return the secret that published counts are rounded with; the first key's, so a change of key moves none."""
        return _derived(self._secrets[0], "rounding")

    def content_id(self, sha256: str, what: str) -> str:
        """Return a keyed hash of delivered bytes; without the key nobody can test a guess at the content.

        The first key is used, so that the same bytes are recognised after a rotation too.
        """
        return hmac.digest(_derived(self._secrets[0], "content"), f"{sha256}:{what}".encode(), "sha256").hex()


def keygen(path: Path, data_dir: Path | None = None) -> str:
    """Write a new key file (mode 0600) and return its key id; UsageError when it exists or lies inside the data."""
    path = path.expanduser()
    _refuse_inside(path, data_dir)
    if path.exists():
        raise UsageError(f"{path}: a key is there already; without it nothing stored can be linked, so it is kept")
    entry = _new_entry()
    _write(path, [entry])
    return str(entry["id"])


def load_keys(path: Path, data_dir: Path | None = None) -> Keys:
    """Return the keys in force. Raises UsageError when the file is absent, open to others, or inside the data."""
    entries = _entries(path.expanduser(), data_dir)
    if any(entry["state"] == "pending" for entry in entries):
        raise UsageError(f"{path}: a change of key was interrupted; finish it with `kommunekort keygen --rotate`")
    return _keys(entries)


def begin_rotation(path: Path, data_dir: Path) -> tuple[Keys, Keys]:
    """Return (keys before, keys after) with a new key written to the file as pending; again after a crash: the same."""
    path = path.expanduser()
    entries = _entries(path, data_dir)
    if entries[-1]["state"] != "pending":
        entries = [*entries, {**_new_entry(), "state": "pending"}]
        _write(path, entries)
    return _keys(entries[:-1]), _keys(entries)


def finish_rotation(path: Path, data_dir: Path) -> None:
    """Mark the pending key as the one in force."""
    path = path.expanduser()
    _write(path, [{**entry, "state": "active"} for entry in _entries(path, data_dir)])


def _new_entry() -> dict[str, str]:
    secret = secrets.token_bytes(SECRET_BYTES)
    return {
        "id": _derived(secret, "id").hex()[:8],
        "created_at": utc_text(datetime.now(UTC)),
        "secret": base64.b64encode(secret).decode(),
        "state": "active",
    }


def _entries(path: Path, data_dir: Path | None) -> list[dict[str, Any]]:
    _refuse_inside(path, data_dir)
    try:
        refuse_no_file(path)
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: no key there; make one with `kommunekort keygen`") from None
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"{path}: the key cannot be read") from None
    if mode & 0o077:
        raise UsageError(f"{path}: others than its owner can read the key (mode {mode & 0o777:o}); run chmod 600 on it")
    try:
        entries = json.loads(text)["keys"]
        for entry in entries:
            secret = base64.b64decode(entry["secret"], validate=True)
            if len(secret) < SECRET_BYTES or _derived(secret, "id").hex()[:8] != entry["id"]:
                raise ValueError
        _keys(entries)
    except (ValueError, KeyError, TypeError, IndexError):
        raise UsageError(f"{path}: this is no key file or it is damaged; restore it from your backup") from None
    return list(entries)


def _keys(entries: list[dict[str, Any]]) -> Keys:
    return Keys(entries[-1]["id"], tuple(base64.b64decode(entry["secret"]) for entry in entries))


def _derived(secret: bytes, use: str) -> bytes:
    """Return the key for one use, so that no use tells anything about another."""
    return hmac.digest(secret, f"kommunekort {use} 1".encode(), "sha256")


def _refuse_inside(path: Path, data_dir: Path | None) -> None:
    if data_dir is not None and path.resolve().is_relative_to(data_dir.expanduser().resolve()):
        raise UsageError(f"{path}: the key must not lie inside the data directory; keep it elsewhere")


def _write(path: Path, entries: list[dict[str, Any]]) -> None:
    """Replace the file as a whole, readable by its owner alone from the first byte on."""
    partial = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial.unlink(missing_ok=True)
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as writer:
            json.dump({"keys": entries}, writer, indent=1)
            writer.flush()
            os.fsync(writer.fileno())
        partial.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: the key cannot be written ({error.strerror})") from None
