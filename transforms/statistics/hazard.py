"""Discrete-time hazard of a first job with a random intercept per municipality, fitted on counts, not on persons.

Persons alike in every covariate and municipality share a cell; each cell carries persons at risk and jobs per
interval. The likelihood is that of a complementary log-log GLM on cells x intervals (Prentice and Gloeckler 1978,
Biometrics 34:57: the grouped proportional hazards model), but the design matrix is never repeated per interval,
which is why two million persons fit in memory; statsmodels' GLM needs that expanded matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from transforms.statistics.intervals import Floats

if TYPE_CHECKING:
    import pandas as pd


# Counts that carry a discrete-time likelihood: persons alike share a cell, so millions of persons stay few rows.


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


@dataclass(frozen=True)
class HazardFit:
    """A fitted cloglog hazard: eta = baseline_t + z'beta + u_m, u_m ~ N(0, s2)."""

    baseline: Floats
    beta: Floats
    covariance: Floats  # of (baseline, beta), municipality variation included
    sd: float
    effect: Floats  # posterior mean of u
    effect_sd: Floats  # its error, with that of the fixed part
    information: Floats  # on u, per municipality
    fixed_variance: Floats  # variance of the fixed part's mean linear predictor, per municipality
    score_z: Floats  # z-value of "no own effect" (positive: more jobs than expected)


def cloglog(eta: Floats) -> Floats:
    """Return the hazard 1 - exp(-exp(eta)), eta held within [-25, 4]."""
    return np.asarray(-np.expm1(-np.exp(np.clip(eta, -25, 4))), dtype=np.float64)


def score_weight(events: Floats, at_risk: Floats, eta: Floats) -> tuple[Floats, Floats]:
    """Return the score and the Fisher weight of each count with respect to its linear predictor."""
    rate = np.exp(np.clip(eta, -25, 4))
    mu = -np.expm1(-rate)
    return (events - at_risk * mu) * rate / mu, at_risk * rate**2 * (1 - mu) / mu


def linear_predictor(cells: Cells, theta: Floats, offset: Floats) -> Floats:
    """Return eta per count from (baseline, beta) and an offset per cell."""
    linear = cells.design @ theta[cells.periods :] + offset
    return np.asarray(theta[cells.period] + linear[cells.cell], dtype=np.float64)


def _accumulate(cells: Cells, theta: Floats, offset: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Return the information and score of (baseline, beta), those of u per municipality, and their cross information.

    Order: information, score, score of u, information of u, cross (municipalities x coefficients).
    """
    t = cells.periods
    s, w = score_weight(cells.events, cells.at_risk, linear_predictor(cells, theta, offset))
    cell_s, cell_w = cells.by_cell(s), cells.by_cell(w)
    h = np.zeros((len(theta), len(theta)))
    h[np.arange(t), np.arange(t)] = np.bincount(cells.period, w, t)
    h[:t, t:] = cells.by_period_design(w)
    h[t:, :t] = h[:t, t:].T
    h[t:, t:] = _cross(cells.design, cell_w)
    g = np.concatenate([np.bincount(cells.period, s, t), cell_s @ cells.design])
    cross = np.column_stack([cells.by_group_period(w), cells.by_group_design(cell_w)])
    return h, g, cells.by_group(cell_s), cells.by_group(cell_w), cross


def _cross(design: Floats, weight: Floats, rows: int = 100_000) -> Floats:
    """Return design' diag(weight) design, in blocks so that no second copy of the design is held."""
    out = np.zeros((design.shape[1], design.shape[1]))
    for a in range(0, len(design), rows):
        block = design[a : a + rows]
        out += block.T @ (block * weight[a : a + rows, None])
    return out


def between_sd(estimate: Floats, variance: Floats) -> float:
    """Return s of estimate_m ~ N(0, s2 + variance_m) by likelihood plus log(s), so that s > 0 (Chung et al. 2013)."""
    from scipy.optimize import minimize_scalar

    def objective(log_s: float) -> float:
        total = np.exp(2 * log_s) + variance
        return float(0.5 * np.sum(np.log(total) + estimate**2 / total) - log_s)

    return float(np.exp(minimize_scalar(objective, bounds=(np.log(1e-3), np.log(3.0)), method="bounded").x))


def fit_hazard(cells: Cells, offset: Floats | None = None, rounds: int = 40, random_effect: bool = True) -> HazardFit:
    """Fit the hazard; the fixed part holds no municipality effect, so it is what an average one would achieve.

    Penalised quasi-likelihood (Breslow and Clayton 1993, JASA 88:9): joint Fisher scoring of baseline, beta and the
    municipalities' effects given s, then s from the effects' unshrunk values. Errors of the fixed part come from
    the mixed-model information (clusters counted), those of u add them (Prasad and Rao 1990). Without
    `random_effect` it is the plain GLM. `offset`: a known part of the linear predictor, one entry per cell.
    """
    t, size = cells.periods, len(cells.groups)
    known = np.zeros(len(cells.group)) if offset is None else offset
    theta = np.zeros(t + cells.design.shape[1])
    events, at_risk = np.bincount(cells.period, cells.events, t), np.bincount(cells.period, cells.at_risk, t)
    theta[:t] = np.log(-np.log1p(-np.minimum((events + 0.5) / (at_risk + 1), 0.999)))
    u, s = np.zeros(size), 0.2
    for _ in range(rounds):
        h, g, score, weight, cross = _accumulate(cells, theta, known + u[cells.group])
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
    h, _, _, weight, cross = _accumulate(cells, theta, known + u[cells.group])
    shrink = 1 / (weight + 1 / s**2)
    if random_effect:
        h = h - cross.T @ (cross * shrink[:, None])
    covariance = np.asarray(np.linalg.pinv(h), dtype=np.float64)
    mean = cross / np.maximum(weight, 1e-9)[:, None]
    fixed = np.einsum("ij,jk,ik->i", mean, covariance, mean)
    # Score test of u = 0, its variance reduced by the municipality's own part in the fixed part.
    s0, w0 = score_weight(cells.events, cells.at_risk, linear_predictor(cells, theta, known))
    noise = 1 / np.maximum(cells.by_group(cells.by_cell(w0)), 1e-9)
    variance = noise + fixed - 2 * noise * fixed / (s**2 + noise)
    return HazardFit(
        theta[:t], theta[t:], covariance, s, u,
        np.sqrt(shrink + (shrink * weight) ** 2 * fixed), weight, fixed,
        cells.by_group(cells.by_cell(s0)) * noise / np.sqrt(np.maximum(variance, 1e-12)),
    )  # fmt: skip


def _solve(information: Floats, score: Floats) -> Floats:
    """Return the scoring step; a direction without information is not moved along."""
    ridge = 1e-9 * np.eye(len(score))
    return np.asarray(np.linalg.lstsq(information + ridge, score, rcond=None)[0], dtype=np.float64)
