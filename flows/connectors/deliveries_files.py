"""One delivered table file: recognised by its bytes, hashed, its encoding told; and how large it may be."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Literal

from flows.connectors.deliveries_faults import Refusal

CHUNK = 1 << 20
ZIP_MAGIC = b"PK\x03\x04"
OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)
UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
BOM = b"\xef\xbb\xbf"
OTHER_KINDS = {
    b"%pdf": "PDF", b"{\\rt": "RTF", b"\x1f\x8b\x08": "gzip", b"7z\xbc\xaf": "7-Zip", b"rar!": "RAR",
    b"<htm": "HTML", b"<!do": "HTML", b"<?xm": "XML",
}  # fmt: skip
# The bytes of æ ø å Æ Ø Å in the two eight-bit encodings municipal systems still write.
CP850, CP1252 = b"\x91\x9b\x86\x92\x9d\x8f", b"\xe6\xf8\xe5\xc6\xd8\xc5"


@dataclass(frozen=True)
class Bounds:
    """How much a delivery may hold before it is refused unread. Bytes unless the name says otherwise."""

    file: int = 4 << 30
    unpacked: int = 4 << 30
    workbook: int = 1 << 30
    ratio: int = 250
    members: int = 200
    line: int = 4 << 20
    columns: int = 300
    cells: int = 10_000_000
    faults: int = 2_000


@dataclass(frozen=True)
class Part:
    """One table file: a CSV or a workbook, by itself or in a ZIP. `label` is safe to print, `hint` is not."""

    label: str
    hint: str
    form: Literal["csv", "xlsx"]
    open: Callable[[], IO[bytes]]
    sha256: str
    encoding: str


def part_of(label: str, hint: str, open_part: Callable[[], IO[bytes]], start: bytes, bounds: Bounds) -> Part:
    """Return one part after a single pass over its bytes: hash and, for text, encoding."""
    if not start:
        raise Refusal(label, "Filen er tom; send den igen.", "the file is empty; deliver it again")
    if start.startswith(OLE_MAGIC):
        raise _refuse_ole(label, open_part)
    form: Literal["csv", "xlsx"] = "xlsx" if start.startswith(ZIP_MAGIC) else "csv"
    other = next((kind for magic, kind in OTHER_KINDS.items() if start.lower().startswith(magic)), None)
    if other:
        raise Refusal(
            label,
            f"Filen er {other}; send CSV, XLSX eller en ZIP af dem.",
            f"this is {other}; deliver CSV, XLSX or a ZIP of them",
        )
    with open_part() as stream:
        digest, encoding = _inspect(stream, label, text=form == "csv")
    return Part(label, hint, form, open_part, digest, encoding)


def _inspect(stream: IO[bytes], label: str, *, text: bool) -> tuple[str, str]:
    """Return SHA-256 and encoding: UTF-8 where every byte agrees, else UTF-16 by its mark, else Windows or DOS."""
    import codecs

    digest, decoder = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")()
    utf8, marked, dos, windows = True, "", 0, 0
    while chunk := read_chunk(stream, label):
        digest.update(chunk)
        if not text:
            continue
        marked = marked or UTF16.get(chunk[:2], "-")
        if marked == "-" and b"\0" in chunk:
            raise Refusal(
                label,
                "Filen er ikke en tekstfil; send CSV, XLSX eller en ZIP af dem.",
                "this is no text file; deliver CSV, XLSX or a ZIP of them",
            )
        try:
            utf8 = utf8 and decoder.decode(chunk) is not None
        except UnicodeDecodeError:
            utf8 = False
        if not utf8:  # what came before the first letter that is no UTF-8 tells nothing
            dos += sum(chunk.count(byte) for byte in CP850)
            windows += sum(chunk.count(byte) for byte in CP1252)
    if marked in UTF16.values():
        return digest.hexdigest(), marked
    return digest.hexdigest(), "utf-8" if utf8 else "cp850" if dos > windows else "cp1252"


def read_chunk(stream: IO[bytes], label: str) -> bytes:
    """Return the next megabyte of a stream; Refusal when what lies under it is damaged."""
    try:
        return stream.read(CHUNK)
    except ZIP_ERRORS:
        raise Refusal(
            label,
            "Filen kan ikke læses til ende; pak eller gem den igen.",
            "cannot be read to its end; pack or save it again",
        ) from None


def _refuse_ole(label: str, open_part: Callable[[], IO[bytes]]) -> Refusal:
    import msoffcrypto

    with open_part() as stream:
        try:
            encrypted = msoffcrypto.OfficeFile(io.BytesIO(stream.read(64 << 20))).is_encrypted()
        except Exception:
            encrypted = False
    if encrypted:
        return Refusal(
            label,
            "Projektmappen er beskyttet med adgangskode; gem den uden, og send den igen.",
            "the workbook is protected by a password; save it without and deliver again",
        )
    return Refusal(
        label,
        "Filen er i et gammelt Office-format; gem den som .xlsx, og send den igen.",
        "an old Office file; save it as .xlsx and deliver again",
    )


def check_sizes(entries: list[zipfile.ZipInfo], label: str, limit: int, ratio: int) -> None:
    """Refuse an archive that would unpack to more than `limit` bytes or swells suspiciously."""
    total, packed = sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)
    if total > limit or (total > (10 << 20) and total > ratio * max(packed, 1)):
        raise Refusal(
            label,
            f"Indholdet vokser fra {packed:,} til {total:,} bytes ved udpakning; det er ikke sandsynligt.",
            f"unpacks from {packed:,} to {total:,} bytes, which is not plausible; refused unread",
        )
