"""Binomial model with one normal random effect per municipality, fitted by exact marginal likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from transforms.errors import DataRefused
from transforms.statistics.intervals import Floats

if TYPE_CHECKING:
    import pandas as pd


NODES = 21


@dataclass(frozen=True)
class RandomEffectFit:
    """What the fit of logit p_m = offset_m + a + x_m'b + u_m, u_m ~ N(0, s2) gives, one entry per municipality."""

    coefficients: pd.Series[float]  # a and b, b per standard deviation of the condition
    standard_errors: pd.Series[float]
    sd: float  # s
    linear: Floats  # offset + a + x'b: the fixed part
    linear_variance: Floats  # variance of the estimated fixed part
    effect: Floats  # posterior mean of u
    effect_sd: Floats  # posterior error of u, with the uncertainty of a and b
    shrunk_difference: Floats  # posterior mean of p minus the expectation, on the scale of shares
    constant: tuple[str, ...]  # conditions left out because they do not vary
    log_likelihood: float

    @property
    def expected(self) -> Floats:
        """Return the expected share: the fixed part only, an average municipality under the same conditions."""
        return _share(self.linear)


def _share(linear: Floats) -> Floats:
    from scipy.special import expit

    return np.asarray(expit(linear), dtype=np.float64)


def _mode(k: Floats, n: Floats, eta: Floats, s: float) -> tuple[Floats, Floats]:
    """Return the mode of u given the data and the curvature-based standard deviation there (Newton, vectorised)."""
    u = np.zeros_like(eta)
    for _ in range(50):
        p = _share(eta + u)
        step = (k - n * p - u / s**2) / (n * p * (1 - p) + 1 / s**2)
        u = u + np.clip(step, -2, 2)
        if np.max(np.abs(step), initial=0) < 1e-10:
            break
    p = _share(eta + u)
    return u, 1 / np.sqrt(n * p * (1 - p) + 1 / s**2)


def _posterior(k: Floats, n: Floats, eta: Floats, s: float) -> tuple[Floats, Floats, Floats]:
    """Return log marginal likelihood per municipality, quadrature points of u and their posterior weights."""
    from scipy.special import gammaln, logsumexp

    points, weights = np.polynomial.hermite.hermgauss(NODES)
    mode, width = _mode(k, n, eta, s)
    u = mode[:, None] + np.sqrt(2) * width[:, None] * points[None, :]
    linear = eta[:, None] + u
    log_f = k[:, None] * linear - n[:, None] * np.logaddexp(0, linear)
    log_f = log_f - u**2 / (2 * s**2) - np.log(s) + np.log(width)[:, None]
    log_f = log_f + (np.log(weights) + points**2)[None, :] - 0.5 * np.log(np.pi)
    total = np.asarray(logsumexp(log_f, axis=1))
    choose = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return total + choose, u, np.exp(log_f - total[:, None])


def _objective(
    theta: Floats, k: Floats, n: Floats, design: Floats, offset: Floats, scale: float
) -> tuple[float, Floats]:
    """Return the penalised negative log likelihood and its gradient (Fisher's identity)."""
    beta, s = theta[:-1], float(np.exp(theta[-1]))
    eta = offset + design @ beta
    log_l, u, weight = _posterior(k, n, eta, s)
    residual = k - n * np.sum(weight * _share(eta[:, None] + u), axis=1)
    d_s = float(np.sum(np.sum(weight * u**2, axis=1) / s**2 - 1))
    gradient = np.append(design.T @ residual, d_s + 1)
    return -(float(log_l.sum()) + float(theta[-1])) / scale, -gradient / scale


def standardise(conditions: pd.DataFrame) -> tuple[Floats, list[str], tuple[str, ...]]:
    """Return conditions with mean 0 and standard deviation 1, their names, and the names that do not vary."""
    values = conditions.to_numpy(dtype=np.float64)
    spread = values.std(axis=0)
    varies = spread > 1e-9 * np.maximum(1.0, np.abs(values).max(axis=0, initial=0))
    scaled = (values[:, varies] - values[:, varies].mean(axis=0)) / spread[varies]
    names = [str(c) for c, keep in zip(conditions.columns, varies, strict=True) if keep]
    return scaled, names, tuple(str(c) for c, keep in zip(conditions.columns, varies, strict=True) if not keep)


def binomial_random_effect(
    k: Floats, n: Floats, conditions: pd.DataFrame, offset: Floats | None = None
) -> RandomEffectFit:
    """Fit k_m ~ Binomial(n_m, p_m), logit p_m = offset_m + a + x_m'b + u_m, u_m ~ N(0, s2).

    k and n: one entry per municipality, no missing value, n > 0. `conditions`: one row per municipality, numeric.
    Marginal likelihood by adaptive Gauss-Hermite quadrature (Pinheiro and Bates 1995), maximised with its
    gradient; log(s) is added so that s stays above 0 (Chung et al. 2013, Psychometrika 78:685), since s = 0
    would claim certainty that every municipality is alike. Errors of a and b come from the mixed-model
    information, those of u add them (Prasad and Rao 1990). Raises DataRefused when there are fewer than three
    municipalities per condition.
    """
    import pandas as pd
    from scipy.optimize import minimize

    scaled, names, constant = standardise(conditions)
    if k.size < 3 * (len(names) + 1):
        raise DataRefused(
            f"expected: {k.size} municipalities cannot carry {len(names)} conditions; "
            "rule: three municipalities per condition; take conditions away"
        )
    shift = np.zeros(k.size) if offset is None else offset
    design = np.column_stack([np.ones(k.size), scaled])
    level = (k.sum() + 0.5) / (n.sum() + 1)
    start = np.zeros(design.shape[1] + 1)
    start[0], start[-1] = np.log(level / (1 - level)) - np.average(shift, weights=n), np.log(0.2)
    bounds = [(-15.0, 15.0)] * design.shape[1] + [(np.log(1e-3), np.log(5.0))]
    best = minimize(
        _objective, start, (k, n, design, shift, float(k.size)), "L-BFGS-B", jac=True, bounds=bounds,
        options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-8},
    )  # fmt: skip
    beta, s = best.x[:-1], float(np.exp(best.x[-1]))
    eta = shift + design @ beta
    log_l, u, weight = _posterior(k, n, eta, s)
    p = _share(eta)
    information = n * p * (1 - p)
    cov = np.linalg.pinv(design.T @ (design / (s**2 + 1 / np.maximum(information, 1e-9))[:, None]))
    linear_variance = np.einsum("ij,jk,ik->i", design, cov, design)
    mean = np.sum(weight * u, axis=1)
    variance = np.sum(weight * (u - mean[:, None]) ** 2, axis=1)
    names = ["intercept", *names]
    return RandomEffectFit(
        coefficients=pd.Series(beta, index=names),
        standard_errors=pd.Series(np.sqrt(np.diag(cov)), index=names),
        sd=s,
        linear=eta,
        linear_variance=linear_variance,
        effect=mean,
        effect_sd=np.sqrt(variance + (variance * information) ** 2 * linear_variance),
        shrunk_difference=np.sum(weight * _share(eta[:, None] + u), axis=1) - p,
        constant=constant,
        log_likelihood=float(log_l.sum()),
    )
