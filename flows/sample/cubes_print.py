"""Figures as the publisher prints them: text with a point, `..` where nothing is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flows.sample.cubes_ask import Ask
from flows.sample.world_areas import Floats

if TYPE_CHECKING:
    import pyarrow as pa

MARK = ".."


def as_table(ask: Ask, shown: list[str], values: list[Floats], suppress_below: int) -> pa.Table:
    """Return the cells as a table of text columns; `values` holds one array per period."""
    import pyarrow as pa

    cells = np.stack(values, axis=-1) if values else np.zeros([len(codes) for codes in ask.selection.values()])
    shape = tuple(len(codes) for codes in ask.selection.values())
    cells = np.where((cells > 0) & (cells < suppress_below), np.nan, cells.reshape(shape)).ravel()
    columns = {}
    for axis, (name, codes) in enumerate(ask.selection.items()):
        if name in shown:
            inner = int(np.prod(shape[axis + 1 :]))
            position = np.tile(np.repeat(np.arange(shape[axis]), inner), int(np.prod(shape[:axis])))
            columns[name] = pa.array(codes, pa.string()).take(pa.array(position))
    return pa.table({**columns, "value": _printed(cells, ask.source.decimals)})


def _printed(cells: Floats, decimals: int) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    missing = np.isnan(cells)
    units = np.round(np.where(missing, 0, cells) * 10**decimals).astype(np.int64)
    text = pc.cast(pa.array(np.abs(units) // 10**decimals), pa.string())
    if decimals:
        after = pc.utf8_lpad(pc.cast(pa.array(np.abs(units) % 10**decimals), pa.string()), decimals, "0")
        text = pc.binary_join_element_wise(text, after, ".")
    if (units < 0).any():
        text = pc.if_else(pa.array(units < 0), pc.binary_join_element_wise("-", text, ""), text)
    return pc.if_else(pa.array(missing), MARK, text)
