"""The absent cells of a rectangle, found by one bit per cell: half the time and a tenth of the memory of a join."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

from transforms.warehouse import Warehouse, quote_identifier, quote_literal

if TYPE_CHECKING:
    import pyarrow as pa

CELLS_AT_A_TIME = 2_000_000


def absent_cells(
    warehouse: Warehouse, table: str, codes: Mapping[str, Sequence[str]], period: str
) -> Iterator[pa.Table]:
    """Yield the combinations of `codes` (column -> codes) that no row of `table` has, about two million at a time.

    `period` is the column by which the bits are grouped; it must be in `codes`. Rows with other codes count for
    nothing. Nothing is absent where a column has no codes.
    """
    import pyarrow as pa

    if not all(codes.values()):
        return
    found: list[pa.Table] = []
    waiting = 0
    for moment, bits in _bits(warehouse, table, codes, period):
        part = _decoded(bits, moment, codes, period)
        found.append(part)
        waiting += part.num_rows
        if waiting >= CELLS_AT_A_TIME:
            yield pa.concat_tables(found)
            found, waiting = [], 0
    if waiting:
        yield pa.concat_tables(found)


def _bits(
    warehouse: Warehouse, table: str, codes: Mapping[str, Sequence[str]], period: str
) -> Iterator[tuple[str, str | None]]:
    """Yield each period asked for with a text of 0 and 1 per cell, or None when no row has the period."""
    # Joined with one small table per column: twice as fast as looking the codes up in an ENUM.
    joins, places, only, cells = [], [], ["true"], 1
    for number, column in enumerate(name for name in codes if name != period):
        if len(codes[column]) == 1:  # a plain comparison does
            only.append(f"t.{quote_identifier(column)} = {quote_literal(codes[column][0])}")
            continue
        listed = ", ".join(f"({quote_literal(code)}, {n * cells}::BIGINT)" for n, code in enumerate(codes[column]))
        joins.append(f"JOIN (VALUES {listed}) m{number}(code, place) ON m{number}.code = t.{quote_identifier(column)}")
        places.append(f"m{number}.place")
        cells *= len(codes[column])
    rows = warehouse.rows(
        f"SELECT t.{quote_identifier(period)}, bitstring_agg({' + '.join(places) or '0'}, 0, {cells - 1})::VARCHAR "
        f"FROM {table} t {' '.join(joins)} WHERE {' AND '.join(only)} GROUP BY ALL"
    )
    held = {moment: bits for moment, bits in rows if bits is not None}
    yield from ((moment, held.get(moment)) for moment in codes[period])


def _decoded(bits: str | None, moment: str, codes: Mapping[str, Sequence[str]], period: str) -> pa.Table:
    """Return the cells whose bit is 0 as columns of codes."""
    import numpy as np
    import pyarrow as pa

    others = {name: known for name, known in codes.items() if name != period}
    size = prod(len(known) for known in others.values())
    signs = np.zeros(size, np.uint8) if bits is None else np.frombuffer(bits.encode(), np.uint8) - ord("0")
    left = np.flatnonzero(signs == 0)
    columns = {period: pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(left), np.int32)), pa.array([moment]))}
    stride = 1
    for name, known in others.items():
        place = (left // stride % len(known)).astype(np.int32)
        columns[name] = pa.DictionaryArray.from_arrays(pa.array(place), pa.array(list(known)))
        stride *= len(known)
    return pa.table(columns)
