"""A placed table written as canonical CSV, chunk by chunk; rows that cannot be read become rejects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from flows.connectors.statbank_canonical import ZEROS, header_of
from flows.connectors.statbank_decode import refusal
from flows.connectors.statbank_fit import Fit
from flows.connectors.statbank_labels import Resolver, refusal_parts
from flows.connectors.statbank_numbers import MixedStyles, NumberReader, Style, Undecided, readings
from flows.connectors.statbank_table import Chunk, Table

if TYPE_CHECKING:
    from transforms.catalogue import Catalogue
    from transforms.errors import DataRefused

MAX_REJECTS = 10_000
COUNT_DUPLICATES_UP_TO = 1_000_000


@dataclass(frozen=True)
class Reject:
    """A row left out of the canonical file: its row in the received file, the field, what it said, the rule."""

    row: int
    field: str
    value: str
    rule: str


@dataclass
class Tally:
    """What was counted while rows passed; `keys` holds hashes of the keys, None once there are too many to keep."""

    codes: list[set[str]]
    rows_in: int = 0
    rows_out: int = 0
    has_zero: bool = False
    rejects: list[Reject] = field(default_factory=list)
    keys: set[int] | None = field(default_factory=set)

    @property
    def duplicates(self) -> int | None:
        """Rows whose key came before; None when there were too many rows to count them."""
        return None if self.keys is None else self.rows_out - len(self.keys)


class _Codes(dict[str, str | None]):
    """Cell text to code for one column, each distinct text resolved once; None when it has no code."""

    def __init__(self, resolver: Resolver) -> None:
        super().__init__()
        self.resolver = resolver

    def __missing__(self, cell: str) -> str | None:
        match = self.resolver.match(cell)
        self[cell] = code = match.code if match else None
        return code


def write_table(table: Table, fit: Fit, catalogue: Catalogue, out: Path) -> Tally:
    """Write the placed table to `out` and return what was counted; DataRefused when the file as a whole is at fault."""
    decimals = fit.source.decimals
    try:
        return _Writer(table, fit, catalogue, NumberReader(decimals)).write(out)
    except Undecided as undecided:
        reader = NumberReader(decimals, _deciding_style(table, fit, undecided.text))
        return _Writer(table, fit, catalogue, reader).write(out)


class _Writer:
    def __init__(self, table: Table, fit: Fit, catalogue: Catalogue, numbers: NumberReader) -> None:
        self.table = table
        self.fit = fit
        self.numbers = numbers
        self.maps = [_Codes(Resolver(catalogue, fit.source, dimension)) for dimension in fit.source.dimensions]
        self.tally = Tally([set() for _ in self.maps])

    def write(self, out: Path) -> Tally:
        with out.open("w", encoding="utf-8", newline="\n") as file:
            file.write(header_of(self.fit.source) + "\n")
            for chunk in self.table.chunks():
                self._write_chunk(chunk, file)
        if not self.tally.rows_in:
            raise refusal(self.table.path, "a header but no rows", "download the table again")
        return self.tally

    def _write_chunk(self, chunk: Chunk, file: TextIO) -> None:
        """Map whole columns at once: no Python statement runs per row unless a row is rejected."""
        tally = self.tally
        tally.rows_in += len(chunk.values)
        values: Sequence[str | None] = self._numbers(chunk)
        columns = [self._codes(chunk, mapping) for mapping in self.maps]
        used = [set(column) for column in columns]
        self._check_pins(chunk, columns, used)
        if None in values or any(None in codes for codes in used):
            columns, values = self._without_rejects(chunk, columns, values)
            used = [set(column) for column in columns]
        for known, codes in zip(tally.codes, used, strict=True):
            known.update(codes)  # type: ignore[arg-type]  # no None is left
        keys = list(map(";".join, zip(*columns, strict=True)))
        file.write("\n".join(map(";".join, zip(keys, values, strict=True))) + "\n" * bool(keys))  # type: ignore[arg-type]
        tally.rows_out += len(keys)
        tally.has_zero = tally.has_zero or not ZEROS.isdisjoint(values)
        if tally.keys is not None:
            tally.keys.update(map(hash, keys))
            if tally.rows_out > COUNT_DUPLICATES_UP_TO:
                tally.keys = None

    def _codes(self, chunk: Chunk, codes: _Codes) -> list[str | None]:
        name = codes.resolver.dimension.id
        if name in self.fit.columns:
            return list(map(codes.__getitem__, chunk.columns[self.fit.columns[name]]))
        return list(repeat(self.fit.filled[name], len(chunk.values)))

    def _numbers(self, chunk: Chunk) -> list[str | None]:
        try:
            return list(map(self.numbers.__getitem__, chunk.values))
        except MixedStyles as mixed:
            row = chunk.rows[list(chunk.values).index(mixed.text)]
            rule = f"contradicts '{mixed.earlier}' before it: one is Danish, the other English"
            step = "download the table in one language"
            raise refusal(self.table.path, rule, step, row=row, value=mixed.text) from None

    def _check_pins(
        self, chunk: Chunk, columns: Sequence[Sequence[str | None]], used: Sequence[set[str | None]]
    ) -> None:
        for codes, column, found in zip(self.maps, columns, used, strict=True):
            dimension = codes.resolver.dimension
            if dimension.role != "selector":
                continue
            pin = dimension.select[0]
            strange = found - {None, pin}
            if strange:
                at = next(i for i, code in enumerate(column) if code in strange)
                rule = f"the source holds {dimension.id} {pin} only"
                step = f"download {self.fit.source.table} with that one"
                raise refusal(self.table.path, rule, step, row=chunk.rows[at], value=column[at])

    def _without_rejects(
        self, chunk: Chunk, columns: Sequence[Sequence[str | None]], values: Sequence[str | None]
    ) -> tuple[list[list[str | None]], list[str | None]]:
        kept = []
        for at, value in enumerate(values):
            bad = next((i for i, column in enumerate(columns) if column[at] is None), None)
            if bad is not None:
                self._reject(self._unknown_code(chunk, at, bad))
            elif value is None:
                rule = "a whole number or a mark" if self.numbers.decimals == 0 else "a number or a mark"
                self._reject(Reject(chunk.rows[at], "INDHOLD", chunk.values[at], f"must be {rule}"))
            else:
                kept.append(at)
        return [[column[at] for at in kept] for column in columns], [values[at] for at in kept]

    def _unknown_code(self, chunk: Chunk, at: int, which: int) -> Reject:
        resolver = self.maps[which].resolver
        name = resolver.dimension.id
        cell = chunk.columns[self.fit.columns[name]][at]
        rule, hint = refusal_parts(resolver, cell)
        return Reject(chunk.rows[at], name, cell, f"{rule}; {hint}")

    def _reject(self, reject: Reject) -> None:
        self.tally.rejects.append(reject)
        if len(self.tally.rejects) > MAX_REJECTS:
            first = self.tally.rejects[0]
            raise self._too_many(first)

    def _too_many(self, first: Reject) -> DataRefused:
        rule = f"the first of more than {MAX_REJECTS:,} unreadable rows: {first.field}: {first.rule}"
        return refusal(self.table.path, rule, "download the table again", row=first.row, value=first.value)


def _deciding_style(table: Table, fit: Fit, doubtful: str) -> Style:
    """Return the style of the first value that only one style can read; DataRefused when there is none."""
    for chunk in table.chunks():
        for value in chunk.values:
            found = readings(value.strip(), fit.source.decimals)
            if len(found) == 1:
                return next(iter(found))
    rule = "can be a thousands group or decimals, and no other value decides which"
    raise refusal(table.path, rule, "download the table in English with codes", value=doubtful)
