"""Pooling of municipal estimates, and how strong something unknown must be to explain a ratio away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transforms.models.ranking import Floats


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
