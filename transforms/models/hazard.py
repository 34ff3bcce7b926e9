"""Discrete-time hazard of a first job with a random intercept per municipality, fitted on counts, not on persons.

Persons alike in every covariate and municipality share a cell; each cell carries persons at risk and jobs per
interval. The likelihood is that of a complementary log-log GLM on cells x intervals (Prentice and Gloeckler 1978,
Biometrics 34:57: the grouped proportional hazards model), but the design matrix is never repeated per interval,
which is why two million persons fit in memory; statsmodels' GLM needs that expanded matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transforms.models.cells import Cells
from transforms.models.ranking import Floats


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
