"""Discrete-time hazard of a first job with a random intercept per municipality, fitted on counts, not on persons.

Persons alike in every covariate and municipality share a cell; each cell carries persons at risk and jobs per
interval. The likelihood is that of a complementary log-log GLM on cells x intervals (Prentice and Gloeckler 1978,
Biometrics 34:57: the grouped proportional hazards model), but neither the design nor what comes of it is ever held per
cell and interval: covariates are places in small tables, and everything else is summed in blocks of cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from transforms.machine import ahead, give_back
from transforms.statistics.intervals import Floats
from transforms.statistics.tally import Codes, Integers, Tally, grouped

if TYPE_CHECKING:
    from scipy.sparse import csr_array

BLOCK = 2**19
"""Cells worked on at a time: some tens of megabytes of floats."""
TABLE = 2**20
"""Most entries of a table of municipalities by levels that sums are taken into at once."""
Design = Floats | npt.NDArray[np.uint8]
"""Columns of the design per level: numbers, or dummies of 0 and 1 in a byte each."""


# Counts that carry a discrete-time likelihood: persons alike share a cell, so millions of persons stay few rows.


@dataclass(frozen=True)
class Covariate:
    """One covariate within a factor: its level per level of the factor, and its columns of the design per level."""

    level: Codes
    table: Design
    places: Integers  # of its columns in the design


@dataclass(frozen=True)
class Factor:
    """Covariates that stand together: the place of each cell in `table` (levels x some columns of the design)."""

    codes: Codes
    table: Design
    places: Integers  # of the table's columns in the design
    columns: tuple[Covariate, ...]

    @property
    def numbers(self) -> Floats:
        """Return the table as floats, for the product of matrices: eight times as large, so never kept."""
        return self.table.astype(np.float64)


@dataclass(frozen=True)
class Cells:
    """Counts per cell and period, cells sorted by municipality and covariates."""

    factors: tuple[Factor, ...]  # the exposures' first, when there are any
    names: tuple[str, ...]  # of the columns of the design; numeric ones standardised, categories as dummies
    tables: dict[str, tuple[Design, Integers]]  # per covariate: level x columns, and their places in the design
    group: Codes  # per cell: index of its municipality in `groups`
    groups: tuple[str, ...]
    at_risk: Codes  # periods x cells: persons x intervals at risk
    events: csr_array[Any]  # periods x cells: hardly any cell has one

    @property
    def periods(self) -> int:
        """Return the number of periods."""
        return len(self.at_risk)

    def blocks(self) -> Iterator[slice]:
        """Yield the cells in blocks."""
        for start in range(0, len(self.group), BLOCK):
            yield slice(start, start + BLOCK)

    def linear(self, beta: Floats) -> Floats:
        """Return the part of the linear predictor that the covariates give, per cell."""
        out = np.zeros(len(self.group))
        for factor in self.factors:
            out += (factor.numbers @ beta[factor.places])[factor.codes]
        return out

    def by_group(self, values: Floats) -> Floats:
        """Return the sum of values (one per cell) per municipality."""
        return np.bincount(self.group, values, len(self.groups)).astype(np.float64)

    def by_group_exposure(self, values: Floats) -> Floats:
        """Return the sum of values (one per cell) over the exposed, as municipalities x exposures (bits)."""
        exposure = self.factors[0]
        return _by_group(self.group, len(self.groups), exposure.codes, exposure.table, values)

    def totals(self) -> tuple[Floats, Floats]:
        """Return persons at risk and jobs as municipalities x periods."""
        at_risk, events = (
            np.stack([np.bincount(self.group, row, len(self.groups)) for row in table], axis=1)
            for table in (self.at_risk, self.events.toarray())
        )
        return at_risk.astype(np.float64), events.astype(np.float64)


def crossed(
    rows: npt.NDArray[np.integer[Any]],
    size: int,
    columns: npt.NDArray[np.integer[Any]],
    width: int,
    values: Floats | Integers,
) -> Floats:
    """Return values summed into a table of size x width."""
    key = np.multiply(rows, width, dtype=np.int64)
    key += columns
    return np.bincount(key, values, size * width).astype(np.float64).reshape(size, width)


def is_numeric(levels: Sequence[Any]) -> bool:
    """Return whether a covariate of such levels enters as a number; text, categories and booleans enter as dummies."""
    return bool(levels) and all(isinstance(level, (int, float)) and not isinstance(level, bool) for level in levels)


def named_levels(cells: Tally, covariates: list[str]) -> Tally:
    """Return the cells with the value `unknown` for an empty one of a covariate that is not a number."""
    for name in covariates:
        if None in cells.levels[name]:
            cells = cells.renamed(name, name, lambda level: "unknown" if level is None else level)
    return cells


def build_cells(
    spans: Tally | Iterable[Tally], covariates: list[str], periods: int, *, intervals_per_period: int = 1, bits: int = 0
) -> Cells:
    """Return the cells of spans at risk, given at once or one whole municipality after another, with common levels.

    Columns of `spans`: municipality_code, first (first interval at risk), stop (the one after the last), has_event (in
    the last interval), the `covariates`, and, when `bits` > 0, mask: an integer whose bits become the first columns of
    the design, 0 or 1 each. Text and boolean covariates become dummies against the commonest value (`named_levels`);
    numeric ones are standardised over the time at risk. A period holds `intervals_per_period` intervals of one baseline
    hazard.
    """
    from scipy.sparse import hstack

    give_back()
    keys = ["municipality_code", *covariates]
    codes: dict[str, list[Codes]] = {name: [] for name in keys}
    masks: list[Codes] = []
    counts: list[list[Any]] = []
    levels: dict[str, tuple[Any, ...]] = {}
    for chunk in [spans] if isinstance(spans, Tally) else spans:
        first, stop = (chunk.values(name).astype(np.int64) for name in ("first", "stop"))
        at_all = stop > first
        chunk, first, stop = chunk.where(at_all), first[at_all], stop[at_all]
        mask = chunk.values("mask").astype(np.int64) if bits else np.zeros(len(chunk), dtype=np.int64)
        columns = [(chunk.codes[name], len(chunk.levels[name])) for name in keys]
        order, new = grouped([*columns, (mask.astype(np.uint32), 2**bits)], len(chunk))
        cell = np.empty(len(chunk), dtype=np.int64)
        cell[order] = np.repeat(np.arange(len(new)), np.diff(new, append=len(chunk)))
        event = chunk.values("has_event").astype(bool)
        counts.append(_counts(cell, first, stop, event, chunk.count, len(new), periods, intervals_per_period))
        for name in keys:
            codes[name].append(chunk.codes[name][order[new]])
        masks.append(mask[order[new]].astype(np.uint32))
        levels = dict(chunk.levels)
    if not counts:
        raise ValueError("no spans")
    at_risk = np.concatenate([each.pop() for each in counts], axis=1)
    events = hstack([each.pop() for each in counts], format="csr")
    whole = {name: np.concatenate(codes.pop(name)) for name in keys}
    give_back()
    weight = at_risk.sum(axis=0, dtype=np.float64)
    names: list[str] = [f"bit{b}" for b in range(bits)]
    tables: dict[str, tuple[Design, Integers]] = {}
    for name in covariates:
        by_level = np.bincount(whole[name], weight, len(levels[name])).astype(np.float64)
        table, own = _columns(name, levels[name], by_level)
        tables[name] = table, np.arange(len(names), len(names) + len(own))
        names += own
    factors: list[Factor] = []
    del weight
    if bits:
        mask = np.concatenate(masks)
        values = np.flatnonzero(np.bincount(mask))
        exposed = ((values[:, None] >> np.arange(bits)[None, :]) & 1).astype(np.uint8)
        places = np.arange(bits)
        found, each = _narrowed(np.searchsorted(values, mask)), np.arange(len(values), dtype=np.uint32)
        factors.append(Factor(found, exposed, places, (Covariate(each, exposed, places),)))
    numeric = [name for name in covariates if is_numeric(levels[name])]
    for together in ([name for name in covariates if name not in numeric], numeric):
        shown = [name for name in together if tables[name][0].shape[1]]
        if shown:
            factors.append(_factor([(whole[name], *tables[name]) for name in shown]))
    municipality = whole["municipality_code"]
    present = np.flatnonzero(np.bincount(municipality, minlength=len(levels["municipality_code"])))
    to = np.zeros(len(levels["municipality_code"]), dtype=np.uint16)
    to[present] = np.arange(len(present))
    groups = tuple(str(levels["municipality_code"][place]) for place in present)
    return Cells(tuple(factors), tuple(names), tables, to[municipality], groups, at_risk, events)


def _factor(covariates: Sequence[tuple[Codes, Design, Integers]]) -> Factor:
    """Return covariates (codes per cell, table per level, places of its columns) as one factor of those that occur."""
    size = len(covariates[0][0])
    order, new = grouped([(codes, len(table)) for codes, table, _ in covariates], size)
    found = np.empty(size, dtype=np.uint32)
    found[order] = np.repeat(np.arange(len(new), dtype=np.uint32), np.diff(new, append=size))
    columns = tuple(Covariate(codes[order[new]], table, places) for codes, table, places in covariates)
    table = np.concatenate([column.table[column.level] for column in columns], axis=1)
    return Factor(_narrowed(found), table, np.concatenate([column.places for column in columns]), columns)


def _counts(
    cell: Integers, first: Integers, stop: Integers, event: npt.NDArray[np.bool_], count: Integers,
    size: int, periods: int, length: int,
) -> list[Any]:  # fmt: skip
    """Return events and at_risk as periods x cells, in as few bytes as they need."""
    from scipy.sparse import csr_array

    at_risk, events = list[Codes](), list[Codes]()
    for period in range(periods):
        low, high = period * length, (period + 1) * length
        here = np.flatnonzero((first < high) & (stop > low))
        overlap = np.minimum(stop[here], high) - np.maximum(first[here], low)
        at_risk.append(_narrowed(np.bincount(cell[here], overlap * count[here], size)))
        now = here[event[here] & (stop[here] <= high)]
        events.append(_narrowed(np.bincount(cell[now], count[now], size)))
    return [csr_array(np.stack(events)), np.stack(at_risk)]


def _narrowed(counts: npt.NDArray[Any]) -> Codes:
    return counts.astype(np.min_scalar_type(int(counts.max(initial=0))), copy=False)


def _columns(name: str, levels: Sequence[Any], weight: Floats) -> tuple[Design, list[str]]:
    """Return a covariate's columns of the design per level, and their names; one that does not vary gives none."""
    if is_numeric(levels):
        known = weight > 0
        values = np.where(known, np.array(levels, dtype=np.float64), 0.0)
        mean = float((values * weight).sum() / max(weight.sum(), 1e-300))
        spread = float(np.sqrt((weight * (values - mean) ** 2).sum() / max(weight.sum(), 1e-300)))
        if spread <= 1e-9 * max(1.0, abs(mean)):
            return np.empty((len(levels), 0)), []
        return np.where(known, (values - mean) / spread, 0.0)[:, None], [name]
    shown = [i for i in range(len(levels)) if weight[i] > 0 and i != int(np.argmax(weight))]
    return np.eye(len(levels), dtype=np.uint8)[:, shown], [f"{name}={levels[i]}" for i in shown]


@dataclass(frozen=True)
class HazardFit:
    """A fitted cloglog hazard: eta = baseline_t + z'beta + u_m, u_m ~ N(0, s2)."""

    cells: Cells
    offset: Floats | None
    baseline: Floats
    beta: Floats
    sd: float
    effect: Floats  # posterior mean of u
    random_effect: bool

    @cached_property
    def covariance(self) -> Floats:
        """Return that of (baseline, beta), municipality variation included. It takes as long as a round of the fit."""
        theta = np.concatenate([self.baseline, self.beta])
        h, _, _, weight, cross = _accumulate(self.cells, theta, self.offset, self.effect)
        if self.random_effect:
            shrink = 1 / (weight + 1 / self.sd**2)
            h = h - cross.T @ (cross * shrink[:, None])
        return np.asarray(np.linalg.pinv(h), dtype=np.float64)


LEAST, MOST = float(np.exp(-25)), float(np.exp(4))
"""Between these the cumulated hazard of an interval is held."""


def chance(rate: Floats) -> Floats:
    """Return the hazard 1 - exp(-rate) of intervals with the cumulated hazard `rate`."""
    return np.asarray(-np.expm1(-np.clip(rate, LEAST, MOST)), dtype=np.float64)


def score_weight(events: Floats | Codes, at_risk: Floats | Codes, rate: Floats) -> tuple[Floats, Floats]:
    """Return the score and the Fisher weight of each count with respect to the logarithm of `rate`."""
    rate = np.clip(rate, LEAST, MOST)
    mu = np.negative(rate)
    np.negative(np.expm1(mu, out=mu), out=mu)
    slope, score = rate / mu, at_risk * mu
    np.subtract(events, score, out=score)
    score *= slope
    rate *= at_risk
    rate *= np.subtract(1, mu, out=mu)
    rate *= slope
    return score, rate


def counts_at_risk(
    cells: Cells, block: slice, baseline: Floats, linear: Floats
) -> Iterator[tuple[int, Integers, Codes, Codes, Floats]]:
    """Yield per period of a block: period, the cells at risk (places in the block), at_risk, events and rate.

    `linear`: the linear predictor of the block's cells without the baseline.
    """
    own, shared = np.exp(linear), np.exp(baseline)
    del linear
    for period in range(cells.periods):
        counts = cells.at_risk[period, block]
        rows = np.flatnonzero(counts > 0)
        events = cells.events[[period], block].toarray()[0]
        yield period, rows, counts[rows], events[rows], own[rows] * shared[period]


def score_weight_by_cell(cells: Cells, baseline: Floats, linear: Floats) -> tuple[Floats, Floats]:
    """Return score and Fisher weight per cell, given the linear predictor of each without the baseline."""
    score, weight = np.zeros(len(cells.group)), np.zeros(len(cells.group))
    for block in cells.blocks():
        for _, rows, at_risk, events, rate in counts_at_risk(cells, block, baseline, linear[block]):
            s, w = score_weight(events, at_risk, rate)
            score[block][rows] += s
            weight[block][rows] += w
    return score, weight


def _accumulate(
    cells: Cells, theta: Floats, offset: Floats | None, u: Floats
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Return the information and score of (baseline, beta), those of u per municipality, and their cross information.

    Order: information, score, score of u, information of u, cross (municipalities x coefficients).
    """
    t, size, factors = cells.periods, len(cells.groups), cells.factors
    h, g, cross = np.zeros((len(theta), len(theta))), np.zeros(len(theta)), np.zeros((size, len(theta)))
    level_weight = [np.zeros((t, len(factor.table))) for factor in factors]
    level_score = [np.zeros(len(factor.table)) for factor in factors]
    pairs = [(many, few, np.zeros((len(many.table), few.table.shape[1]))) for many, few in _pairs(factors)]
    group_score = np.zeros(size)
    effects = [factor.numbers @ theta[t + factor.places] for factor in factors]

    def linear(block: slice) -> Floats:
        out = u[cells.group[block]] if offset is None else offset[block] + u[cells.group[block]]
        for effect, factor in zip(effects, factors, strict=True):
            out += effect[factor.codes[block]]
        return out

    def over_time(block: slice) -> tuple[slice, Floats, Floats]:
        group = cells.group[block]
        score, weight = np.zeros(len(group)), np.zeros(len(group))
        for period, rows, at_risk, events, rate in counts_at_risk(cells, block, theta[:t], linear(block)):
            s, w = score_weight(events, at_risk, rate)
            score[rows] += s
            weight[rows] += w
            g[period] += s.sum()
            cross[:, period] += np.bincount(group[rows], w, size)
            for factor, table in zip(factors, level_weight, strict=True):
                table[period] += np.bincount(factor.codes[block][rows], w, len(factor.table))
        return block, score, weight

    for block, score, weight in ahead(over_time, cells.blocks()):
        group = cells.group[block]
        group_score += np.bincount(group, score, size)
        for factor, sums in zip(factors, level_score, strict=True):
            sums += np.bincount(factor.codes[block], score, len(factor.table))
            for column in _narrow(factor, size):
                level = column.level[factor.codes[block]]
                cross[:, t + column.places] += _by_group(group, size, level, column.table, weight)
        for many, few, table in pairs:
            for place in range(table.shape[1]):
                values = weight * few.table[few.codes[block], place]
                table[:, place] += np.bincount(many.codes[block], values, len(table))
    if len(cells.group) > BLOCK:
        give_back()
    h[np.arange(t), np.arange(t)] = cross[:, :t].sum(axis=0)
    for factor, table, sums in zip(factors, level_weight, level_score, strict=True):
        places, numbers = t + factor.places, factor.numbers
        g[places] = sums @ numbers
        h[:t, places] = table @ numbers
        del numbers
        h[places, :t] = h[:t, places].T
        h[np.ix_(places, places)] = _cross(factor.table, table.sum(axis=0))
    for many, few, table in pairs:
        rows, columns = t + many.places, t + few.places
        h[np.ix_(rows, columns)] = many.numbers.T @ table
        h[np.ix_(columns, rows)] = h[np.ix_(rows, columns)].T
    return h, g, group_score, cross[:, :t].sum(axis=1), cross


def _pairs(factors: Sequence[Factor]) -> list[tuple[Factor, Factor]]:
    """Return every pair of factors, the one with fewer columns last: its columns are summed one by one."""
    both = [(one, other) for i, one in enumerate(factors) for other in factors[i + 1 :]]
    return [(b, a) if a.table.shape[1] < b.table.shape[1] else (a, b) for a, b in both]


def _narrow(factor: Factor, groups: int) -> tuple[Covariate, ...]:
    """Return the factor as one column where a table of municipalities by its levels is small, else its covariates."""
    if groups * len(factor.table) > TABLE:
        return factor.columns
    return (Covariate(np.arange(len(factor.table), dtype=np.uint32), factor.table, factor.places),)


def _by_group(group: Codes, size: int, level: Codes, table: Design, weight: Floats) -> Floats:
    """Return the rows of `table` that cells have, times their weight, summed per municipality."""
    if size * len(table) <= TABLE:
        return np.asarray(crossed(group, size, level, len(table), weight) @ table.astype(np.float64), dtype=np.float64)
    return np.stack([np.bincount(group, weight * column[level], size) for column in table.T], axis=1)


BLOCK_ROWS = 100_000


def _cross(design: Design, weight: Floats) -> Floats:
    """Return design' diag(weight) design, in blocks so that no copy of the design is held."""
    out = np.zeros((design.shape[1], design.shape[1]))
    for a in range(0, len(design), BLOCK_ROWS):
        block = design[a : a + BLOCK_ROWS].astype(np.float64)
        out += block.T @ (block * weight[a : a + BLOCK_ROWS, None])
    return out


def between_sd(estimate: Floats, variance: Floats) -> float:
    """Return s of estimate_m ~ N(0, s2 + variance_m) by likelihood plus log(s), so that s > 0 (Chung et al. 2013)."""
    from scipy.optimize import minimize_scalar

    def objective(log_s: float) -> float:
        total = np.exp(2 * log_s) + variance
        return float(0.5 * np.sum(np.log(total) + estimate**2 / total) - log_s)

    return float(np.exp(minimize_scalar(objective, bounds=(np.log(1e-3), np.log(3.0)), method="bounded").x))


ROUNDS = 40


def fit_hazard(cells: Cells, offset: Floats | None = None, random_effect: bool = True) -> HazardFit:
    """Fit the hazard; the fixed part holds no municipality effect, so it is what an average one would achieve.

    Penalised quasi-likelihood (Breslow and Clayton 1993, JASA 88:9): joint Fisher scoring of baseline, beta and the
    municipalities' effects given s, then s from the effects' unshrunk values. Errors of the fixed part come from
    the mixed-model information (clusters counted). Without `random_effect` it is the plain GLM. `offset`: a known part
    of the linear predictor, one entry per cell.
    """
    give_back()  # of what making the cells has taken, half is not theirs
    t, size = cells.periods, len(cells.groups)
    theta = np.zeros(t + len(cells.names))
    events, at_risk = (table.sum(axis=1, dtype=np.float64) for table in (cells.events, cells.at_risk))
    theta[:t] = np.log(-np.log1p(-(events + 0.5) / (at_risk + 1)))
    u, s = np.zeros(size), 0.2
    for _ in range(ROUNDS):
        h, g, score, weight, cross = _accumulate(cells, theta, offset, u)
        shrink = 1 / (weight + 1 / s**2) if random_effect else np.zeros(size)
        left = score - u / s**2
        step = _solve(h - cross.T @ (cross * shrink[:, None]), g - cross.T @ (shrink * left))
        moved = shrink * (left - cross @ step)
        theta, u = theta + np.clip(step, -2, 2), np.clip(u + np.clip(moved, -2, 2), -3, 3)
        if random_effect:
            safe = np.maximum(weight, 1e-9)
            informed = weight > 1e-6
            s = between_sd((u * (1 + 1 / (safe * s**2)))[informed], 1 / safe[informed])
        if max(np.max(np.abs(step), initial=0), np.max(np.abs(moved), initial=0)) < 1e-5:
            break
    return HazardFit(cells, offset, theta[:t], theta[t:], s, u, random_effect)


def _solve(information: Floats, score: Floats) -> Floats:
    """Return the scoring step; a direction without information is not moved along."""
    ridge = 1e-9 * np.eye(len(score))
    return np.asarray(np.linalg.lstsq(information + ridge, score, rcond=None)[0], dtype=np.float64)
