"""Counts that carry a discrete-time likelihood: persons alike share a cell, so millions of persons stay few rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from transforms.models.ranking import Floats

if TYPE_CHECKING:
    import pandas as pd

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cells:
    """Counts per cell and period, only where somebody is at risk, sorted by period and cell; covariates per cell."""

    design: Floats  # cells x covariates; numeric ones standardised, categories as dummies
    names: tuple[str, ...]
    persons: Floats  # per cell: those who start in it
    group: Integers  # per cell: index of its municipality in `groups`
    groups: tuple[str, ...]
    cell: Integers  # from here on one entry per count
    period: Integers
    at_risk: Floats  # persons x intervals at risk
    events: Floats
    periods: int
    of_span: Integers  # one entry per span with time at risk: its cell

    def by_cell(self, values: Floats) -> Floats:
        """Return the sum of values (one per count) per cell."""
        return np.bincount(self.cell, values, len(self.group)).astype(np.float64)

    def by_group(self, values: Floats) -> Floats:
        """Return the sum of values (one per cell) per municipality."""
        return np.bincount(self.group, values, len(self.groups)).astype(np.float64)

    def by_group_period(self, values: Floats) -> Floats:
        """Return the sum of values (one per count) as municipalities x periods."""
        key = self.group[self.cell] * self.periods + self.period
        total = np.bincount(key, values, len(self.groups) * self.periods).astype(np.float64)
        return total.reshape(-1, self.periods)

    def by_group_design(self, values: Floats) -> Floats:
        """Return the design summed with values (one per cell) as municipalities x covariates."""
        from scipy.sparse import csr_matrix

        rows = (values, (self.group, np.arange(len(self.group))))
        table = csr_matrix(rows, shape=(len(self.groups), len(self.group)))
        return np.asarray(table @ self.design, dtype=np.float64)

    def by_period_design(self, values: Floats) -> Floats:
        """Return the design summed with values (one per count) as periods x covariates."""
        from scipy.sparse import csr_matrix

        edges = np.searchsorted(self.period, np.arange(self.periods + 1))
        table = csr_matrix((values, self.cell, edges), shape=(self.periods, len(self.group)))
        return np.asarray(table @ self.design, dtype=np.float64)


def is_numeric(column: pd.Series[float]) -> bool:
    """Return whether a covariate enters as a number; text, categories and booleans enter as dummies."""
    import pandas as pd

    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def build_cells(
    spans: pd.DataFrame, covariates: list[str], periods: int, *, intervals_per_period: int = 1, bits: int = 0
) -> Cells:
    """Return the cells of spans at risk.

    Input `spans`: municipality_code, first (first interval at risk), stop (the one after the last), has_event (in the
    last interval), the `covariates`, and, when `bits` > 0, mask: an integer whose bits become the first columns of the
    design, 0 or 1 each. Text, boolean and categorical covariates become dummies against the commonest value (an empty
    one is the value `unknown`); numeric ones are standardised over persons. A period holds `intervals_per_period`
    intervals of one baseline hazard.
    """
    import pandas as pd

    spans = spans[spans["stop"] > spans["first"]]
    columns = ["municipality_code", *covariates, *(["mask"] if bits else [])]
    frame = pd.DataFrame(
        {
            c: spans[c].to_numpy() if c == "mask" or is_numeric(spans[c])
            else pd.Categorical(spans[c].astype("object").where(spans[c].notna(), "unknown"))
            for c in columns
        }
    )  # fmt: skip
    cell: Integers = frame.groupby(columns, observed=True, sort=True).ngroup().to_numpy().astype(np.int64)
    size = int(cell.max()) + 1 if len(cell) else 0
    example = np.empty(size, dtype=np.int64)
    example[cell[::-1]] = np.arange(len(cell))[::-1]
    unique = frame.iloc[example].reset_index(drop=True)
    first: Integers = spans["first"].to_numpy().astype(np.int64)
    stop: Integers = spans["stop"].to_numpy().astype(np.int64)
    persons = np.bincount(cell, first == 0, size).astype(np.float64)
    counts = _counts(cell, first, stop, spans["has_event"].to_numpy(bool), size, periods, intervals_per_period)
    design, names = _design(unique[covariates], np.bincount(cell, stop - first, size).astype(np.float64))
    if bits:
        mask = unique["mask"].to_numpy(np.int64)
        exposed = ((mask[:, None] >> np.arange(bits)[None, :]) & 1).astype(np.float64)
        design, names = np.column_stack([exposed, design]), (*(f"bit{b}" for b in range(bits)), *names)
    municipality = unique["municipality_code"].cat.remove_unused_categories()
    groups = tuple(str(c) for c in municipality.cat.categories)
    group = municipality.cat.codes.to_numpy().astype(np.int64)
    return Cells(design, names, persons, group, groups, *counts, periods, cell)


def _counts(
    cell: Integers, first: Integers, stop: Integers, event: npt.NDArray[np.bool_],
    size: int, periods: int, length: int,
) -> tuple[Integers, Integers, Floats, Floats]:  # fmt: skip
    """Return cell, period, at_risk and events of every period in which a cell has somebody at risk."""
    parts: list[tuple[Integers, Integers, Floats, Floats]] = []
    for period in range(periods):
        low, high = period * length, (period + 1) * length
        here = (first < high) & (stop > low)
        overlap = np.minimum(stop[here], high) - np.maximum(first[here], low)
        at_risk = np.bincount(cell[here], overlap, size).astype(np.float64)
        now = here & event & (stop <= high)
        events = np.bincount(cell[now], minlength=size).astype(np.float64)
        rows = np.flatnonzero(at_risk > 0)
        parts.append((rows, np.full(rows.size, period), at_risk[rows], events[rows]))
    cells, period_of, at_risk, events = (np.concatenate(column) for column in zip(*parts, strict=True))
    return cells.astype(np.int64), period_of.astype(np.int64), at_risk, events


def _design(unique: pd.DataFrame, weight: Floats) -> tuple[Floats, tuple[str, ...]]:
    """Return the design matrix of the cells; a covariate that does not vary gives no column."""
    columns: list[Floats] = []
    names: list[str] = []
    for name in unique.columns:
        column = unique[name]
        if is_numeric(column):
            values = column.to_numpy(np.float64)
            mean = np.average(values, weights=weight)
            spread = np.sqrt(np.average((values - mean) ** 2, weights=weight))
            if spread > 1e-9 * max(1.0, abs(mean)):
                columns.append((values - mean) / spread)
                names.append(str(name))
            continue
        codes, values_of = column.cat.codes.to_numpy(), list(column.cat.categories)
        size = np.bincount(codes, weights=weight, minlength=len(values_of))
        for i, value in enumerate(values_of):
            if size[i] > 0 and i != int(np.argmax(size)):
                columns.append((codes == i).astype(np.float64))
                names.append(f"{name}={value}")
    return (np.column_stack(columns) if columns else np.empty((len(unique), 0))), tuple(names)
