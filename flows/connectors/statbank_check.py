"""Is the answer what was asked for? Header, every code, every period, and a last line that is whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flows.connectors.statbank_api import TableInfo, Variable
from flows.connectors.statbank_plan import Query, Selected, near
from transforms.errors import DataRefused

Presentation = Literal["Code", "Value", "CodeAndValue", "ValueAndCode"]

TAIL = 64 * 1024
SLICE = 32 * 1024**2


@dataclass(frozen=True)
class Checked:
    """How many well-formed rows an answer has, and how it writes its categories."""

    rows: int
    presentation: Presentation


def check_answer(path: Path, query: Query, infos: Iterable[TableInfo]) -> Checked:
    """Return the row count and the presentation of a CSV or BULK answer on disk.

    `infos` are the table's descriptions in the languages the texts may be in. Raises DataRefused for other
    columns than asked for, a cut-off last line, a code that is unknown or was not asked for, a period without
    any row, more rows than the rectangle has cells, and no rows at all.
    """
    _check_header(path, query)
    _check_end(path, query)
    rows, found = _distinct(path, query)
    if not rows:
        raise DataRefused(f"StatBank {query.table}: the answer has no rows; check the select of the source")
    if rows > query.cells:
        raise DataRefused(
            f"StatBank {query.table}: {rows:,} rows for {query.cells:,} cells, so some come twice; fetch again"
        )
    known = list(infos)
    ways = [_check_column(query, chosen, found[chosen.code], known) for chosen in query.variables]
    return Checked(rows, next((way for way in ways if way != "Code"), "Code"))


def _check_header(path: Path, query: Query) -> None:
    with path.open("rb") as reader:
        first = reader.readline(TAIL)
    try:
        header = tuple(first.decode("utf-8-sig").rstrip("\r\n").split(";"))
    except UnicodeDecodeError:
        raise DataRefused(f"StatBank {query.table}: the header is not UTF-8; fetch again") from None
    if header != query.header:
        raise DataRefused(
            f"StatBank {query.table}: the columns are {';'.join(header)[:200]}, asked for "
            f"{';'.join(query.header)}; correct the source file if the table has changed"
        )


def _check_end(path: Path, query: Query) -> None:
    """Refuse a last line with too few fields; a missing line end alone is no fault."""
    with path.open("rb") as reader:
        reader.seek(max(0, path.stat().st_size - TAIL))
        tail = reader.read()
    last = tail.rstrip(b"\r\n").rsplit(b"\n", 1)[-1]
    whole = last.count(b";") == len(query.header) - 1 and (tail.endswith(b"\n") or not last.endswith(b";"))
    if not whole:
        shown = last.decode("utf-8", "replace")[-80:]
        raise DataRefused(f"StatBank {query.table}: the answer is cut off in its last line «{shown}»; fetch again")


def _distinct(path: Path, query: Query) -> tuple[int, dict[str, set[str]]]:
    """Return the row count and the distinct values of each column but the last, in one scan of the file."""
    import pyarrow as pa
    import pyarrow.csv as pacsv

    keys = list(query.header[:-1])
    asked = {
        "read_options": pacsv.ReadOptions(column_names=list(query.header), block_size=SLICE // 32),
        # Malformed lines are left out here; the load counts and quarantines them one by one.
        "parse_options": pacsv.ParseOptions(delimiter=";", quote_char=False, invalid_row_handler=lambda row: "skip"),
        "convert_options": pacsv.ConvertOptions(
            column_types=dict.fromkeys(keys, pa.dictionary(pa.int32(), pa.string())), include_columns=keys
        ),
    }
    rows = 0
    found: dict[str, set[str]] = {key: set() for key in keys}
    try:
        for lines in _slices(path):
            table = pacsv.read_csv(pa.BufferReader(lines), **asked)
            rows += table.num_rows
            for key in keys:
                for chunk in table.column(key).chunks:
                    found[key].update(chunk.dictionary.to_pylist())
    except pa.ArrowInvalid as error:
        raise DataRefused(
            f"StatBank {query.table}: the answer cannot be read as CSV ({' '.join(str(error).split())[:200]})"
        ) from None
    codes = [chosen.code for chosen in query.variables]
    return rows, dict(zip(codes, found.values(), strict=True))


def _slices(path: Path) -> Iterator[bytes]:
    """Yield the lines under the header in slices of whole lines, so that a large answer is never in memory whole."""
    with path.open("rb") as reader:
        reader.readline()
        while block := reader.read(SLICE):
            yield block + reader.readline()


def _check_column(query: Query, chosen: Selected, found: set[str], infos: list[TableInfo]) -> Presentation:
    """Return how one column writes its categories; DataRefused when it holds anything but the codes asked for."""
    variables = [v for v in (info.variable(chosen.code) for info in infos) if v is not None]
    way, codes = _understood(found, variables)
    if way is None:
        strange = sorted(found - _written(variables[0], "Code").keys())[0]
        raise DataRefused(
            f"StatBank {query.table}: column {chosen.code.upper()} holds {strange!r}, which tableinfo does not "
            f"have; near it: {near(strange, variables[0])}; fetch again, or correct the source file"
        )
    if way == "Code" and (extra := sorted(codes - set(chosen.values))):
        raise DataRefused(
            f"StatBank {query.table}: column {chosen.code.upper()} holds {extra[0]!r}, which was not asked for"
        )
    if variables[0].time and (absent := sorted(set(chosen.values) - codes)):
        raise DataRefused(
            f"StatBank {query.table}: no row for {len(absent)} of {len(chosen.values)} periods, first "
            f"{absent[0]}; the answer is not whole, fetch again"
        )
    return way


def _understood(found: set[str], variables: list[Variable]) -> tuple[Presentation | None, set[str]]:
    """Return the first presentation under which every value is known, and the codes the values stand for."""
    ways: tuple[Presentation, ...] = ("Code", "Value", "CodeAndValue", "ValueAndCode")
    for way in ways:
        for variable in variables:
            written = _written(variable, way)
            if found <= written.keys():
                return way, {written[value] for value in found}
    return None, set()


def _written(variable: Variable, way: Presentation) -> dict[str, str]:
    """Return what `way` writes for each code of `variable` -> the code."""
    if way == "Code":
        return {value.id: value.id for value in variable.values}
    if way == "Value":
        return {value.text: value.id for value in variable.values}
    if way == "CodeAndValue":
        return {f"{value.id} {value.text}": value.id for value in variable.values}
    return {f"{value.text} {value.id}": value.id for value in variable.values}
