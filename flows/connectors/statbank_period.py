"""One period asked for anew: its rows replace those of the newest snapshot, all other rows stay as they were."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path

from flows.connectors.statbank_plan import Query
from flows.snapshots import Snapshot
from transforms.errors import DataRefused


@dataclass(frozen=True)
class Rest:
    """What a snapshot holds beside one period: files (name -> path, format), and the period's own lines."""

    files: dict[str, tuple[Path, str]]
    taken_out: frozenset[bytes]


def one_period(query: Query, period: str) -> Query:
    """Return the query cut down to one period; DataRefused when the table has no such period."""
    periods = query.variables[-1]
    if period not in periods.values:
        near = difflib.get_close_matches(period, periods.values, 3, 0.5) or periods.values[-3:]
        raise DataRefused(f"{query.table} has no period {period}; near it: {', '.join(near)}")
    return replace(query, variables=(*query.variables[:-1], replace(periods, values=(period,), whole=False)))


def rest_of(previous: Snapshot | None, query: Query, period: str, folder: Path) -> Rest:
    """Write the files of `previous` without the rows of `period` into `folder`; files left empty are dropped.

    `query` is the whole source's. Raises DataRefused when the snapshot does not answer that query: then its other
    periods are not those to keep.
    """
    if previous is None or previous.manifest.query != query.record():
        raise DataRefused(
            f"{query.table}: no snapshot of the whole table as it is asked for now; fetch it without period"
        )
    previous.verify()
    files: dict[str, tuple[Path, str]] = {}
    taken_out: set[bytes] = set()
    wanted = period.encode()
    for entry, source in zip(previous.manifest.data_files, previous.data_paths(), strict=True):
        target = folder / f"rest-{entry.name}"
        kept = 0
        with source.open("rb") as reader, target.open("wb") as writer:
            writer.write(next(reader, b""))
            for line in reader:
                # The period is the last column but one; codes hold no delimiter.
                if line.rsplit(b";", 2)[-2] == wanted:
                    taken_out.add(line.rstrip())
                else:
                    writer.write(line)
                    kept += 1
        if kept:
            files[entry.name] = (target, entry.format)
    if not taken_out and period in query.variables[-1].values:  # each had rows when it came
        raise DataRefused(
            f"{query.table}: {previous.id} does not write its periods as codes, so {period} cannot be taken out of it; "
            f"fetch the whole table with --again"
        )
    return Rest(files, frozenset(taken_out))


def lines_of(path: Path) -> frozenset[bytes]:
    """Return the data lines of an answer."""
    with path.open("rb") as reader:
        next(reader, b"")
        return frozenset(line.rstrip() for line in reader)
