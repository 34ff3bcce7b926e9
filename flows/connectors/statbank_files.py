"""StatBank extracts as people have them: recognised by content, written as canonical CSV, or refused in a sentence.

What comes in is CSV, BULK, XLSX or JSON-stat, in Danish or English, with codes or texts; what goes out is one form
(see `normalise`). The forms are those of the StatBank API and of statistikbanken.dk's own downloads.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.connectors.statbank_canonical import (
    COUNTED_UNITS,
    canonical_scan,
    guess_rectangle,
    is_canonical,
    lacks_cells,
)
from flows.connectors.statbank_decode import FileShape, Limits, one_line, refusal
from flows.connectors.statbank_fit import Candidate, Misfit
from flows.connectors.statbank_open import DEFAULT_LIMITS, open_table, sniff
from flows.connectors.statbank_recognise import Recognised, recognise
from flows.connectors.statbank_write import Reject, write_table
from transforms.errors import DataRefused

if TYPE_CHECKING:
    from transforms.catalogue import Catalogue, Source

__all__ = [
    "Directory",
    "FileShape",
    "Limits",
    "Normalised",
    "Recognised",
    "Reject",
    "guess_rectangle",
    "is_canonical",
    "normalise",
    "recognise",
    "recognise_directory",
    "sniff",
]


@dataclass(frozen=True)
class Normalised:
    """What became of a file: `rows_in == rows_out + len(rejects)`.

    `canonical`: the file itself can be scanned and nothing was written. `complete`: a combination the file lacks means
    zero (see guess_rectangle). `duplicates`: rows whose key came before, None when not counted (canonical files, and
    beyond a million rows); they are written, the database's keys refuse them.
    """

    rows_in: int
    rows_out: int
    rejects: list[Reject]
    canonical: bool
    complete: bool
    duplicates: int | None = None


@dataclass(frozen=True)
class Directory:
    """The files of a folder: those recognised, in the order of their paths, and the others with the reason."""

    accepted: list[tuple[Path, Recognised]]
    refused: list[tuple[Path, str]]


def normalise(
    path: Path, source: Source, catalogue: Catalogue, out: Path, limits: Limits = DEFAULT_LIMITS
) -> Normalised:
    """Write the file's rows to `out` as canonical CSV, or find that the file is canonical and write nothing.

    Canonical: UTF-8 without BOM, `;`, LF, header = the source's dimension ids in upper case and in its order +
    INDHOLD, codes only, numbers with a point and no thousands marks, marks (`..` `-` `.` `...` blank) as received;
    a file scanned in place may have a BOM and CRLF. Rows keep their order. A row with an unknown code or an unreadable
    number is left out and returned as a Reject. CSV streams in constant memory. Raises DataRefused, leaving no `out`,
    when the file cannot be read or does not fit the source, when it holds another selector than the source's, when
    numbers contradict each other or could mean two things, and beyond 10,000 rejects.
    """
    scan = canonical_scan(path, source, catalogue) if path.is_file() else None
    if scan is not None:
        # guess_rectangle's second half needs every cell; without an absent combination there is nothing to fill.
        complete = source.unit in COUNTED_UNITS and not scan.has_zero
        return Normalised(scan.rows, scan.rows, [], canonical=True, complete=complete)
    table = open_table(path, limits)
    fit = Candidate(table, catalogue).place(source)
    if isinstance(fit, Misfit):
        raise fit.reason
    working = out.with_name(out.name + ".part")
    try:
        tally = write_table(table, fit, catalogue, working)
        working.replace(out)
    finally:
        working.unlink(missing_ok=True)
    counted = source.unit in COUNTED_UNITS and not tally.has_zero
    complete = counted and lacks_cells(tally.rows_out, tally.codes)
    return Normalised(tally.rows_in, tally.rows_out, tally.rejects, False, complete, tally.duplicates)


def recognise_directory(folder: Path, catalogue: Catalogue, limits: Limits = DEFAULT_LIMITS) -> Directory:
    """Recognise every file below a folder; a file that is refused never stops the others.

    Subfolders are walked, links that lead out of the folder are refused, not followed. Several files of one source are
    accepted. Raises DataRefused only when the folder itself does not exist.
    """
    if not folder.is_dir():
        raise refusal(folder, "no such folder", "give the folder that holds the downloaded files")
    found = Directory([], [])
    for path in _files(folder):
        try:
            if not path.resolve().is_relative_to(folder.resolve()):
                raise refusal(path, "a link that leads out of the folder", "copy the file itself into the folder")
            found.accepted.append((path, recognise(path, catalogue, limits)))
        except DataRefused as refused:
            found.refused.append((path, str(refused)))
        except OSError as error:
            reason = refusal(path, f"cannot be read ({error.strerror})", "check the file and its permissions")
            found.refused.append((path, one_line(str(reason))))
    return found


def _files(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder in a fixed order; a linked folder counts as one entry and is not entered."""
    for parent, folders, files in os.walk(folder, followlinks=False):
        folders.sort()
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in sorted([*files, *links]):
            yield Path(parent) / name
