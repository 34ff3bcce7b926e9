"""The table files in what was delivered, a ZIP or a file by itself: checked before unpacked, never written to disk."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO

from flows.connectors.deliveries_faults import Refusal
from flows.connectors.deliveries_files import ZIP_ERRORS, ZIP_MAGIC, Bounds, Part, check_sizes, part_of, read_chunk
from transforms.errors import UsageError
from transforms.pseudonym import mask


def parts_of(path: Path, bounds: Bounds) -> list[Part]:
    """Return the table files in `path`, whose form is told by its first bytes and not by its name.

    Raises UsageError when the file cannot be opened, and Refusal for what is no table file, protected by a
    password, or larger than `bounds`.
    """
    label = mask(path.name)
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise UsageError(f"{label}: cannot be read ({error.strerror})") from None
    if size > bounds.file:
        raise Refusal(
            label,
            f"Filen fylder mere end {bounds.file:,} bytes; del den op.",
            f"{size:,} bytes is more than the {bounds.file:,} allowed; split the file",
        )
    if start.startswith(ZIP_MAGIC):
        with _archive(path, label) as archive:
            if not _is_workbook(archive):
                return _members(path, archive, label, bounds)
    return [part_of(label, path.name, lambda: path.open("rb"), start, bounds)]


def _archive(path: Path, label: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except ZIP_ERRORS:
        raise Refusal(
            label,
            "ZIP-filen eller projektmappen er beskadiget; pak eller gem den igen.",
            "a damaged ZIP or workbook; pack or save it again",
        ) from None


def _is_workbook(archive: zipfile.ZipFile) -> bool:
    return "xl/workbook.xml" in {name.lstrip("/") for name in archive.namelist()}


def _members(path: Path, archive: zipfile.ZipFile, label: str, bounds: Bounds) -> list[Part]:
    """Return the table files of a ZIP, all of them checked before the first is unpacked."""
    entries = [
        entry
        for entry in archive.infolist()
        if not entry.is_dir()
        and not entry.filename.startswith("__MACOSX/")
        and not entry.filename.endswith(".DS_Store")
    ]
    if not entries or len(entries) > bounds.members:
        raise Refusal(
            label,
            f"ZIP-filen rummer {len(entries)} filer; send 1 til {bounds.members}.",
            f"holds {len(entries)} files; deliver 1 to {bounds.members}",
        )
    for entry in entries:
        name = PurePosixPath(entry.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
            raise Refusal(
                label,
                "Et filnavn i ZIP-filen peger ud af den; pak den igen.",
                "a file name in the ZIP points outside it; pack it again",
            )
        if entry.flag_bits & 0x1:
            raise Refusal(
                label,
                "ZIP-filen er beskyttet med adgangskode; pak den uden.",
                "the ZIP is protected by a password; pack it without",
            )
    check_sizes(entries, label, bounds.unpacked, bounds.ratio)
    return [_member(path, entry, label, bounds) for entry in entries]


def _member(path: Path, entry: zipfile.ZipInfo, label: str, bounds: Bounds) -> Part:
    inside = f"{label}/{mask(PurePosixPath(entry.filename).name)}"
    try:
        with zipfile.ZipFile(path) as archive, archive.open(entry) as stream:
            start = stream.read(8)
    except ZIP_ERRORS:
        raise Refusal(
            inside, "Filen er beskadiget i ZIP-filen; pak den igen.", "damaged in the ZIP; pack it again"
        ) from None

    def open_member() -> IO[bytes]:
        if start.startswith(ZIP_MAGIC):
            return _unpacked(path, entry, inside, bounds)
        return zipfile.ZipFile(path).open(entry)

    if start.startswith(ZIP_MAGIC):
        with _archive_in(open_member(), inside) as nested:
            if not _is_workbook(nested):
                raise Refusal(
                    inside,
                    "Der ligger en ZIP i ZIP-filen; pak filerne én gang.",
                    "a ZIP inside the ZIP; pack the files once",
                )
    return part_of(inside, entry.filename, open_member, start, bounds)


def _unpacked(path: Path, entry: zipfile.ZipInfo, label: str, bounds: Bounds) -> io.BytesIO:
    if entry.file_size > bounds.workbook // 4:
        raise Refusal(
            label,
            f"Projektmappen fylder mere end {bounds.workbook // 4:,} bytes; send den som CSV.",
            f"the workbook is larger than {bounds.workbook // 4:,} bytes; deliver it as CSV",
        )
    with zipfile.ZipFile(path) as archive, archive.open(entry) as stream:
        content = b""
        while chunk := read_chunk(stream, label):
            content += chunk
    return io.BytesIO(content)


def _archive_in(stream: IO[bytes], label: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(stream)
    except ZIP_ERRORS:
        raise Refusal(
            label,
            "ZIP-filen eller projektmappen er beskadiget; pak eller gem den igen.",
            "a damaged ZIP or workbook; pack or save it again",
        ) from None
