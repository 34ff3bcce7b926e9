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

from transforms.models.ranking import Floats

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Cells:
    """Counts per cell and interval with the cell's covariates."""

    design: Floats  # cells x covariates; numeric ones standardised, categories as dummies
    names: tuple[str, ...]
    at_risk: Floats  # cells x intervals
    events: Floats
    group: npt.NDArray[np.int64]  # municipality index of the cell
    groups: tuple[str, ...]

    @property
    def persons(self) -> Floats:
        """Return persons per cell."""
        return self.at_risk[:, 0]


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


def make_cells(persons: pd.DataFrame, covariates: list[str], intervals: int, extra: tuple[str, ...] = ()) -> Cells:
    """Return cells from `person_periods` rows with interval_count > 0 and no missing numeric covariate.

    Text, boolean and categorical covariates become dummies against the commonest value (an empty one is the value
    `unknown`); numeric ones are standardised over persons. `extra` names numeric covariates kept in their own unit.
    """
    import pandas as pd

    frame = persons.loc[persons["interval_count"] > 0, ["municipality_code", *covariates, *extra]]
    counts = persons.loc[frame.index, ["interval_count", "job_interval"]]
    keys = {c: pd.Categorical(frame[c].astype("object").where(frame[c].notna(), "unknown")) if not _numeric(frame[c])
            else frame[c].astype("float64") for c in frame.columns}  # fmt: skip
    frame = pd.DataFrame(keys, index=frame.index)
    cell = frame.groupby(list(frame.columns), observed=True, sort=True).ngroup().to_numpy(np.int64)
    size = int(cell.max()) + 1
    first = np.empty(size, dtype=np.int64)
    first[cell[::-1]] = np.arange(len(cell))[::-1]
    unique = frame.iloc[first].reset_index(drop=True)
    last = np.minimum(counts["interval_count"].to_numpy(np.int64), intervals) - 1
    ended = np.bincount(cell * intervals + last, minlength=size * intervals).reshape(size, intervals)
    job = counts["job_interval"].to_numpy(bool)
    events = np.bincount(cell[job] * intervals + last[job], minlength=size * intervals).reshape(size, intervals)
    at_risk = ended[:, ::-1].cumsum(axis=1)[:, ::-1].astype(np.float64)
    design, names = _design(unique.drop(columns="municipality_code"), at_risk[:, 0], extra)
    municipality = unique["municipality_code"].cat.remove_unused_categories()
    groups = tuple(str(c) for c in municipality.cat.categories)
    group = municipality.cat.codes.to_numpy().astype(np.int64)
    return Cells(design, names, at_risk, events.astype(np.float64), group, groups)


def _numeric(column: pd.Series[float]) -> bool:
    import pandas as pd

    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _design(unique: pd.DataFrame, persons: Floats, extra: tuple[str, ...]) -> tuple[Floats, tuple[str, ...]]:
    """Return the design matrix of the cells; a covariate that does not vary gives no column."""
    columns: list[Floats] = []
    names: list[str] = []
    for name in unique.columns:
        column = unique[name]
        if _numeric(column):
            values = column.to_numpy(np.float64)
            mean = np.average(values, weights=persons)
            spread = np.sqrt(np.average((values - mean) ** 2, weights=persons))
            if spread > 1e-9 * max(1.0, abs(mean)):
                columns.append(values if name in extra else (values - mean) / spread)
                names.append(str(name))
            continue
        codes, values_of = column.cat.codes.to_numpy(), list(column.cat.categories)
        size = np.bincount(codes, weights=persons, minlength=len(values_of))
        for i, value in enumerate(values_of):
            if size[i] > 0 and i != int(np.argmax(size)):
                columns.append((codes == i).astype(np.float64))
                names.append(f"{name}={value}")
    return (np.column_stack(columns) if columns else np.empty((len(unique), 0))), tuple(names)


def cloglog(eta: Floats) -> Floats:
    """Return the hazard 1 - exp(-exp(eta)), eta held within [-25, 4]."""
    return np.asarray(-np.expm1(-np.exp(np.clip(eta, -25, 4))), dtype=np.float64)


def score_weight(events: Floats, at_risk: Floats, eta: Floats) -> tuple[Floats, Floats]:
    """Return the score and the Fisher weight of each count with respect to its linear predictor."""
    rate = np.exp(np.clip(eta, -25, 4))
    mu = -np.expm1(-rate)
    return (events - at_risk * mu) * rate / mu, at_risk * rate**2 * (1 - mu) / mu


def _accumulate(cells: Cells, theta: Floats, offset: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the information and score of (baseline, beta), and the score and information of u per municipality."""
    intervals, width = cells.at_risk.shape[1], cells.design.shape[1]
    size = len(cells.groups)
    h, g = np.zeros((intervals + width, intervals + width)), np.zeros(intervals + width)
    group_score, group_weight = np.zeros(size), np.zeros(size)
    linear = cells.design @ theta[intervals:] + offset
    total_s, total_w = np.zeros(len(linear)), np.zeros(len(linear))
    for t in range(intervals):
        s, w = score_weight(cells.events[:, t], cells.at_risk[:, t], theta[t] + linear)
        h[t, t], g[t] = w.sum(), s.sum()
        h[t, intervals:] = w @ cells.design
        total_s += s
        total_w += w
    h[intervals:, :intervals] = h[:intervals, intervals:].T
    h[intervals:, intervals:] = cells.design.T @ (cells.design * total_w[:, None])
    g[intervals:] = total_s @ cells.design
    group_score += np.bincount(cells.group, total_s, size)
    group_weight += np.bincount(cells.group, total_w, size)
    return h, g, group_score, group_weight


def _group_means(cells: Cells, theta: Floats, offset: Floats) -> Floats:
    """Return per municipality the weighted sum of its design rows: the cross information of u and (baseline, beta)."""
    intervals, size = cells.at_risk.shape[1], len(cells.groups)
    linear = cells.design @ theta[intervals:] + offset
    out = np.zeros((size, len(theta)))
    total = np.zeros(len(linear))
    for t in range(intervals):
        w = score_weight(cells.events[:, t], cells.at_risk[:, t], theta[t] + linear)[1]
        out[:, t] = np.bincount(cells.group, w, size)
        total += w
    for j in range(cells.design.shape[1]):
        out[:, intervals + j] = np.bincount(cells.group, total * cells.design[:, j], size)
    return out


def between_sd(estimate: Floats, variance: Floats) -> float:
    """Return s of estimate_m ~ N(0, s2 + variance_m) by likelihood plus log(s), so that s > 0 (Chung et al. 2013)."""
    from scipy.optimize import minimize_scalar

    def objective(log_s: float) -> float:
        total = np.exp(2 * log_s) + variance
        return float(0.5 * np.sum(np.log(total) + estimate**2 / total) - log_s)

    return float(np.exp(minimize_scalar(objective, bounds=(np.log(1e-3), np.log(3.0)), method="bounded").x))


def fit_hazard(cells: Cells, rounds: int = 25, random_effect: bool = True) -> HazardFit:
    """Fit the hazard; the fixed part holds no municipality effect, so it is what an average one would achieve.

    Penalised quasi-likelihood (Breslow and Clayton 1993, JASA 88:9): Fisher scoring of baseline and beta with the
    municipalities' effects as offset, then the effects' mode given s, then s. Errors of the fixed part come from
    the mixed-model information (clusters counted), those of u add them (Prasad and Rao 1990). Without
    `random_effect` it is the plain GLM.
    """
    intervals, size = cells.at_risk.shape[1], len(cells.groups)
    theta = np.zeros(intervals + cells.design.shape[1])
    raw = (cells.events.sum(axis=0) + 0.5) / (cells.at_risk.sum(axis=0) + 1)
    theta[:intervals] = np.log(-np.log1p(-np.minimum(raw, 0.999)))
    u, s = np.zeros(size), 0.1
    for _ in range(rounds):
        h, g, group_score, weight = _accumulate(cells, theta, u[cells.group])
        step = np.linalg.lstsq(h + 1e-9 * np.eye(len(h)), g, rcond=None)[0]
        theta = theta + np.clip(step, -2, 2)
        moved = float(np.max(np.abs(step), initial=0))
        if random_effect:
            safe = np.maximum(weight, 1e-9)
            working = u + group_score / safe
            s = between_sd(working[weight > 1e-6], 1 / safe[weight > 1e-6])
            target = np.clip(weight * working / (weight + 1 / s**2), -3, 3)
            moved, u = max(moved, float(np.max(np.abs(target - u)))), target
        if moved < 1e-6:
            break
    h, _, _, weight = _accumulate(cells, theta, u[cells.group])
    cross = _group_means(cells, theta, u[cells.group])
    shrink = 1 / (weight + 1 / s**2)
    if random_effect:
        h = h - cross.T @ (cross * shrink[:, None])
    covariance = np.asarray(np.linalg.pinv(h), dtype=np.float64)
    mean = cross / np.maximum(weight, 1e-9)[:, None]
    fixed = np.einsum("ij,jk,ik->i", mean, covariance, mean)
    # Score test of u = 0, its variance reduced by the municipality's own part in the fixed part.
    _, _, score0, weight0 = _accumulate(cells, theta, np.zeros(len(cells.group)))
    noise = 1 / np.maximum(weight0, 1e-9)
    variance = noise + fixed - 2 * noise * fixed / (s**2 + noise)
    return HazardFit(
        theta[:intervals], theta[intervals:], covariance, s, u,
        np.sqrt(shrink + (shrink * weight) ** 2 * fixed), weight, fixed,
        score0 * noise / np.sqrt(np.maximum(variance, 1e-12)),
    )  # fmt: skip
