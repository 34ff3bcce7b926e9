"""Intervals, ranks and groups: how far a difference may be read, shared by every expectation model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

Z95 = 1.959963984540054
ALPHA = 0.05


@dataclass(frozen=True)
class Comparison:
    """Which of many differences stand, and the number of standard errors that decides it for all of them."""

    called: npt.NDArray[np.bool_]
    critical: float


def compare_all(z: Floats, judged: npt.NDArray[np.bool_]) -> Comparison:
    """Return which z-values stand when all judged ones are compared, and the limit that this amounts to.

    Benjamini-Hochberg (1995, JRSS B 57:289) at ALPHA: where nobody differs, the chance of calling even one is at
    most ALPHA (family-wise); where some differ, at most ALPHA of those called are false on average. The limit is
    that of the intervals of Benjamini and Yekutieli (2005, JASA 100:71): value +- critical x error leaves out zero
    for exactly those called, and of the called ones' intervals at most ALPHA miss the truth on average.
    """
    from scipy.stats import t

    count = int(judged.sum())
    if count == 0:
        return Comparison(np.zeros(z.size, dtype=np.bool_), Z95)
    # Student's t: the spread of chance is estimated from as many units.
    chance = t(max(count - 1, 1))
    p = np.sort(2 * chance.sf(np.abs(z[judged])))
    passed = np.flatnonzero(p <= ALPHA * np.arange(1, count + 1) / count)
    found = int(passed[-1]) + 1 if passed.size else 0
    critical = float(chance.isf(ALPHA * max(found, 1) / count / 2))
    return Comparison(judged & (np.abs(z) >= critical) & (found > 0), critical)


def rank_interval(
    low: Floats, high: Floats, best: Floats, spread: Floats, higher_is_better: bool = True
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the best and worst rank (1 = best) that the ends of each unit's interval would give it.

    `low` and `high`: a unit's interval; `best` and `spread`: the best guess of the others and its error. The number
    of others ahead is a sum of probabilities, cut to the side that promises less. Because the ranks are read off the
    interval, a unit that stands clear of zero stands clear of the middle, and one that does not, does not (Goldstein
    and Spiegelhalter 1996, JRSS A 159:385, rank from estimates and errors; here from the interval compared).
    """
    from scipy.stats import norm

    sign = 1.0 if higher_is_better else -1.0
    ends = np.sort(np.column_stack([sign * low, sign * high]), axis=1)
    others = ~np.eye(best.size, dtype=bool)
    width = np.maximum(spread, 1e-9)[None, :]
    ahead_of_best = (norm.sf((ends[:, 1, None] - sign * best[None, :]) / width) * others).sum(axis=1)
    behind_worst = (norm.cdf((ends[:, 0, None] - sign * best[None, :]) / width) * others).sum(axis=1)
    first = 1 + np.floor(ahead_of_best + 1e-9)
    last = best.size - np.floor(behind_worst + 1e-9)
    return first.astype(np.int64), np.maximum(first, last).astype(np.int64)


def explained_share(observed: Floats, expected: Floats) -> float | None:
    """Return V_exp = 1 - Var(observed - expected) / Var(observed) over units; None when nothing varies.

    The share of the variation between municipalities that the framework conditions account for, as in
    KORA 2017 table 3.1. Chance stays in both variances, so small units pull it down. With expectations that a unit
    took no part in, it is the share explained out of sample, and may be negative.
    """
    if observed.size < 2 or np.var(observed) <= 1e-15:
        return None
    return float(1 - np.var(observed - expected) / np.var(observed))


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
