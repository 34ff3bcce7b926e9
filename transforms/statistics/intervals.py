"""Intervals, ranks and groups: how far a difference may be read, shared by every expectation model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd


Floats = npt.NDArray[np.float64]

Z95 = 1.959963984540054


def wilson_interval(count: Floats, total: Floats, z: float = Z95) -> tuple[Floats, Floats]:
    """Return the Wilson (1927) 95 % limits of a share, element by element, both within [0, 1]."""
    share = count / total
    centre = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def difference_interval(
    observed: tuple[Floats, Floats, Floats],
    expected: tuple[Floats, Floats, Floats],
    correlation: Floats,
) -> tuple[Floats, Floats]:
    """Return the 95 % limits of observed minus expected, each argument being (value, low, high).

    The limits of the two parts are recovered into limits of the difference (MOVER, Zou and Donner 2008,
    Statistics in Medicine 27:1693), so skew parts give a skew interval. `correlation` is that between the
    errors of the two parts: a municipality also took part in estimating its own expectation.
    """
    (value, low, high), (fitted, fitted_low, fitted_high) = observed, expected
    down, fitted_up = value - low, fitted_high - fitted
    up, fitted_down = high - value, fitted - fitted_low
    lower = value - fitted - np.sqrt(np.maximum(down**2 + fitted_up**2 - 2 * correlation * down * fitted_up, 0))
    upper = value - fitted + np.sqrt(np.maximum(up**2 + fitted_down**2 - 2 * correlation * up * fitted_down, 0))
    return lower, upper


def rank_intervals(
    est: Floats, se: Floats, draws: int = 4000, seed: int = 2016, higher_is_better: bool = True
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the lowest and highest rank (1 = best) that holds 95 % of simulated rankings, per unit.

    Each draw takes every unit from N(est, se) and ranks the draw (Goldstein and Spiegelhalter 1996,
    JRSS A 159:385). Give shrunk estimates with their posterior errors: raw ones would count the noise twice.
    Deterministic for a seed. Raises ValueError when est and se differ in length or hold a missing value.
    """
    if est.shape != se.shape or not (np.isfinite(est).all() and np.isfinite(se).all()):
        raise ValueError("rank_intervals needs one finite estimate and one finite error per unit")
    if est.size == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    sample = np.random.default_rng(seed).normal(est, se, size=(draws, est.size))
    order = np.argsort(-sample if higher_is_better else sample, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, est.size + 1)[None, :], axis=1)
    low, high = np.quantile(ranks, [0.025, 0.975], axis=0, method="inverted_cdf")
    return low.astype(np.int64), high.astype(np.int64)


def classify(
    z: Floats, n: Floats, min_n: float, higher_is_better: bool = True, alpha: float = 0.05
) -> npt.NDArray[np.object_]:
    """Return better | as_expected | worse | too_small per unit, from its z-value and its size.

    Two-sided p-values of the units with n >= min_n go through Benjamini-Hochberg (1995, JRSS B 57:289) at
    `alpha`: where no unit differs, the chance of calling even one is at most `alpha`; where some differ, at
    most `alpha` of those called are false on average. A single test at 5 % would call five of 98 by chance.
    """
    from scipy.stats import false_discovery_control, norm

    group = np.full(z.size, "too_small", dtype=object)
    judged = np.flatnonzero((n >= min_n) & np.isfinite(z))
    if judged.size == 0:
        return group
    group[judged] = "as_expected"
    called = false_discovery_control(2 * norm.sf(np.abs(z[judged]))) <= alpha
    good = (z[judged] > 0) == higher_is_better
    group[judged[called & good]] = "better"
    group[judged[called & ~good]] = "worse"
    return group


def explained_share(observed: Floats, expected: Floats) -> float | None:
    """Return V_exp = 1 - Var(observed - expected) / Var(observed) over units; None when nothing varies.

    The share of the variation between municipalities that the framework conditions account for, as in
    KORA 2017 table 3.1. Chance stays in both variances, so small units pull it down; it may be negative.
    """
    if observed.size < 2 or np.var(observed) <= 1e-15:
        return None
    return float(1 - np.var(observed - expected) / np.var(observed))


def published_differences(frame: pd.DataFrame) -> pd.DataFrame:
    """Add difference_count (expected minus actual) and actual_to_expected to a published benchmark list.

    Input: actual_count, expected_count. The printed rank of such a list is NOT the rank of the ratio (autumn
    2018: Frederiksberg has the lowest ratio and is second), so no rank is derived here.
    """
    return frame.assign(
        difference_count=frame["expected_count"] - frame["actual_count"],
        actual_to_expected=frame["actual_count"] / frame["expected_count"],
    )


# Pooling of municipal estimates, and how strong something unknown must be to explain a ratio away.


@dataclass(frozen=True)
class Pooled:
    """A meta-regression of municipal estimates: coefficients (intercept first), their errors, and tau."""

    coefficients: Floats
    covariance: Floats
    tau: float


def pool(estimate: Floats, variance: Floats, moderators: Floats, shared: float = 0.0) -> Pooled:
    """Return the random-effects pool of municipal estimates on moderators (DerSimonian and Laird 1986, general form).

    tau2 by the moment of Q; errors scaled by Knapp and Hartung (2003), never below the unscaled. `shared`: variance of
    an error common to all estimates, which no number of municipalities averages out.
    """
    design = np.column_stack([np.ones(len(estimate)), moderators])
    fixed = 1 / variance
    q, hat = _weighted(estimate, fixed, design)[2:]
    free = len(estimate) - design.shape[1]
    slack = fixed.sum() - float(np.trace(hat @ (design.T @ (design * fixed[:, None] ** 2))))
    tau2 = max(0.0, (q - free) / slack) if slack > 0 else 0.0
    beta, cov, q_star, _ = _weighted(estimate, 1 / (variance + tau2), design)
    cov = cov * max(1.0, q_star / max(free, 1))
    cov[0, 0] += shared
    return Pooled(beta, cov, float(np.sqrt(tau2)))


def _weighted(y: Floats, weight: Floats, design: Floats) -> tuple[Floats, Floats, float, Floats]:
    cov = np.asarray(np.linalg.pinv(design.T @ (design * weight[:, None])), dtype=np.float64)
    beta = cov @ (design.T @ (weight * y))
    return beta, cov, float(weight @ (y - design @ beta) ** 2), cov


def e_value(ratio: float) -> float:
    """Return the E-value of a hazard ratio with a common outcome (VanderWeele and Ding 2017, Ann Intern Med 167:268).

    How strongly something unknown would have to go with both the measure and the job to explain it away; 1 = nothing.
    """
    rr = (1 - 0.5 ** np.sqrt(ratio)) / (1 - 0.5 ** np.sqrt(1 / ratio))
    rr = max(rr, 1 / rr)
    return float(rr + np.sqrt(rr * (rr - 1)))
