"""Is the answer what was asked for? Header, every code, every period, and a last line that is whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from flows.connectors.http import Blocks
from flows.connectors.statbank_api import TableInfo, Variable
from flows.connectors.statbank_plan import Query, Selected, near
from transforms.errors import DataRefused

Presentation = Literal["Code", "Value", "CodeAndValue", "ValueAndCode"]

LONGEST_LINE = 64 * 1024
PART = 1024**2
MOST_WAITING = 4


@dataclass(frozen=True)
class Checked:
    """How many well-formed rows an answer has, and how it writes its categories."""

    rows: int
    presentation: Presentation


def check_answer(path: Path, query: Query, infos: Iterable[TableInfo]) -> Checked:
    """Return the row count and the presentation of a CSV or BULK answer on disk; see AnswerCheck."""
    with AnswerCheck(query, infos) as check, path.open("rb") as reader:
        take = check.begin()
        while block := reader.read(PART):
            take(block)
        return check.result()


class AnswerCheck:
    """The check of one answer while it arrives, on a thread of its own, so that it costs no time afterwards.

    `infos` are the table's descriptions in the languages the texts may be in. DataRefused, as soon as it is seen, for
    other columns than asked for, text that is no CSV and more rows than the rectangle has cells; and in the end for a
    cut-off last line, no rows at all, a CSV of fewer rows than cells, a code that is unknown or was not asked for and
    a period without any row.
    """

    def __init__(self, query: Query, infos: Iterable[TableInfo]):
        self._query = query
        self._infos = list(infos)

    def __enter__(self) -> Self:
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="check")
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._beside.shutdown(cancel_futures=True)

    def begin(self) -> Blocks:
        """Forget what was seen, since the answer begins (anew); return what takes its blocks in their order."""
        self._body = _Body(self._query, self._beside)
        return self._body.take

    def result(self) -> Checked:
        """Return what the whole answer holds."""
        query = self._query
        rows, found = self._body.end()
        if not rows:
            raise DataRefused(f"StatBank {query.table}: the answer has no rows; check the select of the source")
        ways = [_check_column(query, chosen, found[chosen.code], self._infos) for chosen in query.variables]
        return Checked(rows, next((way for way in ways if way != "Code"), "Code"))


class _Body:
    """The blocks of one answer: cut at line ends, its rows counted and the distinct values of its columns kept."""

    def __init__(self, query: Query, beside: ThreadPoolExecutor):
        self._query = query
        self._beside = beside
        self._waiting: deque[Future[None]] = deque()
        self._header_seen = False
        self._blocks: list[bytes] = []
        self._size = 0
        self._tail = b""
        self._rows = 0
        self._found: dict[str, set[str]] = {key: set() for key in query.header[:-1]}

    def take(self, block: bytes) -> None:
        """Take the next block; waits when the check is more than a few parts behind."""
        self._tail = (self._tail + block)[-LONGEST_LINE:]
        self._blocks.append(block)
        self._size += len(block)
        if self._size >= PART or not self._header_seen:
            self._cut()

    def end(self) -> tuple[int, dict[str, set[str]]]:
        """Return the row count, and code -> the distinct values of its column, once all blocks are taken."""
        if not self._header_seen:
            self._check_header(b"".join(self._blocks))
            self._blocks = []
        self._check_end()
        self._hand_over(b"".join(self._blocks))
        while self._waiting:
            self._waiting.popleft().result()
        # BULK leaves zero cells out; CSV prints them, so there a missing row is a lost one.
        if self._query.file_format == "CSV" and 0 < self._rows < self._query.cells:
            raise self._refused(f"{self._rows:,} rows of {self._query.cells:,}; the answer is not whole, fetch again")
        codes = [chosen.code for chosen in self._query.variables]
        return self._rows, dict(zip(codes, self._found.values(), strict=True))

    def _cut(self) -> None:
        """Hand over the whole lines that have come, and keep what follows the last line end."""
        joined = b"".join(self._blocks)
        lines, end, rest = joined.rpartition(b"\n")
        if len(rest) > LONGEST_LINE:
            raise self._refused(f"the answer has a line of more than {LONGEST_LINE:,} bytes; fetch again")
        if end and not self._header_seen:
            header, _, lines = (lines + end).partition(b"\n")
            self._check_header(header)
            self._header_seen = True
        self._blocks, self._size = [rest], len(rest)
        self._hand_over(lines + end)

    def _hand_over(self, lines: bytes) -> None:
        if lines.strip():
            self._waiting.append(self._beside.submit(self._read, lines))
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft().result()

    def _read(self, lines: bytes) -> None:
        import pyarrow as pa
        import pyarrow.csv as pacsv

        keys = list(self._found)
        try:
            table = pacsv.read_csv(
                pa.BufferReader(lines),
                read_options=pacsv.ReadOptions(column_names=list(self._query.header), block_size=len(lines) + 1),
                # Malformed lines are left out here; the load counts and quarantines them one by one.
                parse_options=pacsv.ParseOptions(
                    delimiter=";", quote_char=False, invalid_row_handler=lambda row: "skip"
                ),
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(keys, pa.string()), include_columns=keys
                ),
            )
        except pa.ArrowInvalid as error:
            said = " ".join(str(error).split())[:200]
            raise self._refused(f"the answer cannot be read as CSV ({said})") from None
        self._rows += table.num_rows
        if self._rows > self._query.cells:
            raise self._refused(f"more rows than the {self._query.cells:,} cells, so some come twice; fetch again")
        for key in keys:
            self._found[key].update(table.column(key).unique().to_pylist())

    def _check_header(self, line: bytes) -> None:
        try:
            header = tuple(line.decode("utf-8-sig").rstrip("\r\n").split(";"))
        except UnicodeDecodeError:
            raise self._refused("the header is not UTF-8; fetch again") from None
        if header != self._query.header:
            raise self._refused(
                f"the columns are {';'.join(header)[:200]}, asked for {';'.join(self._query.header)}; "
                f"correct the source file if the table has changed"
            )

    def _check_end(self) -> None:
        """Refuse a last line with too few fields or without its end: the figure before it may have lost digits."""
        last = self._tail.rstrip(b"\r\n").rsplit(b"\n", 1)[-1]
        if last.count(b";") != len(self._query.header) - 1 or not self._tail.endswith(b"\n"):
            shown = last.decode("utf-8", "replace")[-80:]
            raise self._refused(f"the answer is cut off in its last line «{shown}»; fetch again")

    def _refused(self, why: str) -> DataRefused:
        return DataRefused(f"StatBank {self._query.table}: {why}")


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
