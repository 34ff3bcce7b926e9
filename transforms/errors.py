"""Errors that end in one sentence and an exit code; everything else is a fault of the program."""

from __future__ import annotations

import re


class KommunekortError(Exception):
    """An expected failure. The message is one line: file, row, value, rule, next step."""

    exit_code = 1


class Interrupted(BaseException):
    """A signal came while DuckDB was at work, which does not say which one. Like KeyboardInterrupt, no Exception."""


class UsageError(KommunekortError):
    """The program was asked for something it cannot do, or its own files are wrong (exit 1)."""


class DataRefused(KommunekortError):
    """Data were refused; what was published before stands untouched (exit 2)."""

    exit_code = 2


class NothingNew(KommunekortError):
    """Nothing has changed since the last publication (exit 3)."""

    exit_code = 3


def of_the_machine(error: OSError) -> UsageError:
    """Return in one sentence what the machine refused: a full disk, missing rights, a file system that cannot."""
    where = f"{error.filename}: " if error.filename is not None else ""
    return UsageError(
        f"{where}{error.strerror or type(error).__name__}; what was published before stands. Free space or check the "
        "rights (`kommunekort doctor`), and run again"
    )


def fault_sentence(fault: BaseException) -> str:
    """Return one line for what nobody foresaw, too little memory for Python and paths that lead nowhere apart."""
    if isinstance(fault, MemoryError) or "failed to map segment" in str(fault):
        return "too little memory; free some, or raise the limit (`ulimit -v`), and run again"
    if isinstance(fault, RuntimeError) and re.match("Symlink loop|Could not determine home", str(fault)):
        return f"a path leads nowhere ({str(fault).rstrip('.')}); correct it and run again"
    return f"a fault of the program: {type(fault).__name__}: {' '.join(str(fault).split())[:300]}"
