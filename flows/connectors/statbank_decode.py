"""Bytes to text: which form a StatBank extract has, and its lines, or one sentence that says why not."""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from transforms.errors import DataRefused

BLOCK = 1 << 20
UTF8_BOM = codecs.BOM_UTF8
# UTF-8 read as Windows-1252 gives Ã or Â followed by what stands for a continuation byte.
_MOJIBAKE = re.compile("[ÃÂ][\u0080-\u00bf\u0152-\u02dc\u2013-\u2122]|\ufffd")
_SIGNATURES = {
    b"PK\x03\x04": "zip",
    b"\xd0\xcf\x11\xe0": "an old .xls or a password-protected workbook; save it as .xlsx without password",
    b"%PDF": "a PDF; download the table as CSV",
    b"\x89PNG": "an image; download the table as CSV",
    b"\xff\xd8\xff": "an image; download the table as CSV",
    b"PAR1": "a Parquet file; download the table as CSV",
    b"\xff\xfe": "in UTF-16; save it as CSV UTF-8",
    b"\xfe\xff": "in UTF-16; save it as CSV UTF-8",
}

Format = Literal["csv", "xlsx", "jsonstat"]


@dataclass(frozen=True)
class Limits:
    """How much one file may ask for before it is refused unread."""

    in_memory_bytes: int = 100_000_000  # forms that must be read whole: XLSX, JSON-stat, wide CSV
    unzipped_bytes: int = 300_000_000
    unzip_ratio: int = 200
    line_chars: int = 1_000_000


@dataclass(frozen=True)
class FileShape:
    """What a file is made of, told from its bytes alone.

    `layout` is `long` (one row per cell, a value column) or `wide` (periods as columns); `header` is the first
    line's fields of a long CSV and empty for the other forms; `newline` is the one the first line ends with.
    """

    format: Format
    gz: bool = False
    encoding: str = "utf-8"
    bom: bool = False
    newline: str = "\n"
    delimiter: str = ";"
    layout: Literal["long", "wide"] = "long"
    header: tuple[str, ...] = ()


def refusal(path: Path, rule: str, next_step: str, *, row: int | None = None, value: str | None = None) -> DataRefused:
    """Return the error for one file on one line: file, row, value, rule, next step."""
    parts = [path.name]
    if row is not None:
        parts.append(f"row {row}")
    if value is not None:
        parts.append(f"'{value[:60]}'")
    return DataRefused(one_line(f"{': '.join(parts)}: {rule}; {next_step}"))


def one_line(text: str) -> str:
    """Return `text` without line breaks and control characters, which a file may carry into a message."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def is_gzip(path: Path) -> bool:
    """Return whether the file begins as a gzip stream; its name is not asked."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def blocks(path: Path, gz: bool) -> Iterator[bytes]:
    """Yield the file's (unzipped) bytes in blocks; DataRefused for a gzip stream that is cut off or damaged."""
    with cast(BinaryIO, gzip.open(path, "rb")) if gz else path.open("rb") as stream:
        while True:
            try:
                block = stream.read(BLOCK)
            except EOFError:
                raise refusal(path, "the gzip stream is cut off", "download it again") from None
            except (gzip.BadGzipFile, zlib.error):
                raise refusal(path, "the gzip stream is damaged", "download it again") from None
            if not block:
                return
            yield block


def read_whole(path: Path, gz: bool, limits: Limits) -> bytes:
    """Return all (unzipped) bytes of a file that must be read whole; DataRefused above the bound."""
    parts, size = [], 0
    for block in blocks(path, gz):
        size += len(block)
        if size > limits.in_memory_bytes:
            raise refusal(
                path,
                f"over {limits.in_memory_bytes // 1_000_000} MB in a format that is read into memory",
                "download it as CSV with codes",
            )
        parts.append(block)
    return b"".join(parts)


def signature_of(path: Path, head: bytes) -> str | None:
    """Return `zip` or None for text; DataRefused for an empty file, another binary format or a web page."""
    if not head.strip():
        raise refusal(path, "the file is empty", "download it again")
    for signature, meaning in _SIGNATURES.items():
        if head.startswith(signature):
            if meaning == "zip":
                return meaning
            raise refusal(path, f"the file is {meaning.split(';')[0]}", meaning.split("; ")[1])
    if b"\x00" in head:
        raise refusal(path, "the file is binary, not an extract", "download the table as CSV")
    if re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype|html|\?xml|!--)", head, re.IGNORECASE):
        raise refusal(path, "the file is a web page, not data", "download the table as CSV")
    return None


def encoding_of(path: Path, gz: bool) -> str:
    """Return `utf-8` or `cp1252`, whichever reads every byte; DataRefused when neither does."""
    utf8 = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in blocks(path, gz):
            utf8.decode(block)
        utf8.decode(b"", final=True)
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            raise refusal(path, "cut off inside a letter at the end of the file", "download it again") from None
    else:
        return "utf-8"
    ansi = codecs.getincrementaldecoder("cp1252")()
    try:
        for block in blocks(path, gz):
            ansi.decode(block)
    except UnicodeDecodeError as error:
        rule = f"byte 0x{error.object[error.start]:02x} is neither UTF-8 nor Windows-1252"
        raise refusal(path, rule, "save it as CSV UTF-8") from None
    return "cp1252"


def check_text(path: Path, text: str, first_row: int = 1) -> None:
    """Raise DataRefused when letters were already lost in an earlier conversion (U+FFFD, «Ã¸» for «ø»)."""
    if ("Ã" in text or "Â" in text or "\ufffd" in text) and (lost := _MOJIBAKE.search(text)):
        around = text[max(lost.start() - 12, 0) : lost.end() + 12]
        row = first_row + text.count("\n", 0, lost.start())
        raise refusal(
            path,
            "letters were garbled by an earlier conversion",
            "download it again and open it as UTF-8",
            row=row,
            value=around,
        )


def line_chunks(path: Path, shape: FileShape, limits: Limits) -> Iterator[list[str]]:
    """Yield the file's lines, BOM and line ends removed, a block at a time; the memory used stays constant.

    Raises DataRefused for garbled letters, an endless line, and a last line without its line break: StatBank
    ends every line, so the end of such a file, perhaps the last digits of a value, is missing.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig" if shape.encoding == "utf-8" else shape.encoding)()
    rest, row = "", 1
    for block in blocks(path, shape.gz):
        text = decoder.decode(block)
        check_text(path, text, row)
        lines = (rest + text).replace("\r\n", "\n").split("\n")
        rest = lines.pop()
        if len(rest) > limits.line_chars:
            raise refusal(path, "a line has no end", "download it again as CSV with line breaks")
        row += len(lines)
        if lines:
            yield lines
    if rest.strip():
        raise refusal(
            path,
            "the last line has no line break, so the file may be cut off inside a value",
            "download it again, or add the line break if the line is whole",
            value=rest[-60:],
        )
