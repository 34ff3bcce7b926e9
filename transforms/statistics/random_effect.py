"""What each municipality's level would be if it were like the others under its conditions, and how far it is from it.

One engine for every outcome: the levels of the municipalities on a linear scale (log odds, log hazard) are a sum of
conditions, a bend of each condition, what a labour market shares, an own deviation, and chance. Shares and durations
differ only in how a level and its chance variance are read off their counts (`Response`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from transforms.errors import DataRefused
from transforms.statistics.intervals import Floats

if TYPE_CHECKING:
    import pandas as pd

Response = Callable[[Floats], tuple[Floats, Floats]]
"""From an expected level per municipality: one scoring step towards its own level, and the variance of that step."""
DISPERSION_PENALTY = 1.5
"""Weight of log(dispersion) in the likelihood: families are assumed to matter only as far as the counts show it."""
EXTRA_PENALTY = 6.0
"""Weight of the variance of areas, bends and products, per median chance variance: they are believed when seen."""
MAX_DISPERSION = 6.0


@dataclass(frozen=True)
class LevelFit:
    """Levels of municipalities: level = intercept + x'b + bend + area + own + chance; one entry per municipality."""

    expected: Floats  # level predicted from all the OTHER municipalities, area and bend included
    own: Floats  # own level minus that prediction
    own_error: Floats  # standard error of `own` as an estimate of the own deviation
    unusual: Floats  # `own` in standard deviations of what ordinary municipalities show: the funnel's z
    coefficients: pd.Series[float]  # intercept and b, per standard deviation of the condition
    standard_errors: pd.Series[float]
    sd: float  # of own deviations between municipalities of one labour market
    area_sd: float  # of what a labour market shares
    bend_sd: dict[str, float]  # of each condition's bend and of all products of two, where above 0
    dispersion: float  # variance of chance over that of independent persons, at least 1
    constant: tuple[str, ...]  # conditions left out because they do not vary


@dataclass(frozen=True)
class _Parts:
    """A linear mixed model at given variances: P, the covariance of the coefficients, and the coefficients."""

    projection: Floats
    covariance: Floats
    coefficients: Floats


def standardise(conditions: pd.DataFrame) -> tuple[Floats, list[str], tuple[str, ...]]:
    """Return conditions with mean 0 and standard deviation 1, their names, and the names that do not vary."""
    values = conditions.to_numpy(dtype=np.float64)
    spread = values.std(axis=0)
    varies = spread > 1e-9 * np.maximum(1.0, np.abs(values).max(axis=0, initial=0))
    scaled = (values[:, varies] - values[:, varies].mean(axis=0)) / spread[varies]
    names = [str(c) for c, keep in zip(conditions.columns, varies, strict=True) if keep]
    return scaled, names, tuple(str(c) for c, keep in zip(conditions.columns, varies, strict=True) if not keep)


def bends(scaled: Floats, names: list[str]) -> dict[str, Floats]:
    """Return the covariances of what conditions may do beside acting straight, each with a mean variance of 1.

    One per condition: a natural cubic spline (Green and Silverman 1994), whose straight part stands in the design;
    and one for all products of two conditions together, `products`, freed of straight and square parts.
    """
    size, count = scaled.shape
    out: dict[str, Floats] = {}

    def residual(given: Floats) -> Floats:
        return np.asarray(np.eye(size) - given @ np.linalg.pinv(given), dtype=np.float64)

    ones = np.ones((size, 1))
    for j, name in enumerate(names):
        free = residual(np.column_stack([ones, scaled[:, j]]))
        spline = free @ (np.abs(scaled[:, j, None] - scaled[None, :, j]) ** 3) @ free
        if np.trace(spline) > 1e-6 * size:
            out[f"bend {name}"] = spline * size / np.trace(spline)
    if count > 1:
        pairs = np.column_stack([scaled[:, i] * scaled[:, j] for i in range(count) for j in range(i)])
        product = residual(np.column_stack([ones, scaled, scaled**2])) @ pairs
        if np.var(product) > 1e-6:
            out["products"] = product @ product.T * size / np.sum(product**2)
    return out


def _mixed_model(level: Floats, design: Floats, total: Floats) -> tuple[_Parts, float]:
    """Return the generalised least squares at a total covariance, and minus twice its restricted log likelihood."""
    inverse = np.linalg.inv(total)
    weighted = inverse @ design
    information = design.T @ weighted
    covariance = np.asarray(np.linalg.inv(information), dtype=np.float64)
    projection = inverse - weighted @ covariance @ weighted.T
    fit = float(np.linalg.slogdet(total)[1] + np.linalg.slogdet(information)[1] + level @ projection @ level)
    return _Parts(np.asarray(projection), covariance, covariance @ (weighted.T @ level)), fit


def restricted_likelihood(
    level: Floats, variance: Floats, design: Floats, components: list[Floats], penalties: Floats, start: Floats
) -> tuple[Floats, _Parts]:
    """Return the variances (one per component, the dispersion last) and the model at them.

    level ~ N(design b, sum_j variance_j component_j + dispersion diag(variance)), by restricted maximum likelihood
    (Patterson and Thompson 1971, Biometrika 58:545): degrees of freedom spent on b are paid for, so s is not too
    small. `penalties` are added per unit of each component's variance; the dispersion pays DISPERSION_PENALTY log.
    """
    from scipy.optimize import minimize

    parts = np.stack([*components, np.diag(variance)])
    flat = parts.reshape(len(parts), -1)
    scale = np.append(np.full(len(components), max(float(np.var(level)), 1e-6)), 1.0)

    def objective(theta: Floats) -> tuple[float, Floats]:
        found = theta * scale
        model, fit = _mixed_model(level, design, (found @ flat).reshape(parts.shape[1:]))
        residual = model.projection @ level
        slope = 0.5 * (flat @ (model.projection - np.outer(residual, residual)).ravel())
        slope[:-1] += penalties
        slope[-1] += DISPERSION_PENALTY / found[-1]
        value = 0.5 * fit + penalties @ found[:-1] + DISPERSION_PENALTY * np.log(found[-1])
        return float(value), slope * scale

    bounds = [(0.0, 10.0)] * len(components) + [(1.0, MAX_DISPERSION)]
    best = minimize(objective, start / scale, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-10})
    found = np.asarray(best.x * scale, dtype=np.float64)
    return found, _mixed_model(level, design, (found @ flat).reshape(parts.shape[1:]))[0]


def fit_levels(
    respond: Response, start: Floats, conditions: pd.DataFrame, areas: npt.NDArray[np.object_] | None = None
) -> LevelFit:
    """Fit the levels of municipalities and hold each against what all the others predict for it.

    `respond`: see `Response`; `start`: a first guess of the expected levels. `conditions`: one numeric column each,
    nothing missing. `areas`: labour market of each municipality, None when not known.

    Pseudo-likelihood (Wolfinger and O'Connell 1993, J. Stat. Comput. Simul. 48:233): the counts are linearised at
    the expected level, the linear mixed model fitted by restricted likelihood, until the expectation stands. The
    own deviation is the deletion residual own_m = (P y)_m / P_mm with variance 1 / P_mm (Christensen, Pearson and
    Johnson 1992, Technometrics 34:38): what is left when m and its outlying neighbours take no part in m's own
    expectation. Without s2 that variance is the error of `own`; with it, own / sqrt(1/P_mm) is the funnel that
    allows for ordinary variation (Spiegelhalter 2005, Stat. Med. 24:1185). Conditions may bend and multiply
    (`bends`) as far as the data show: the size of each bend is a variance of its own, so that a straight world pays
    next to nothing (Ruppert, Wand and Carroll 2003, Semiparametric Regression). Raises DataRefused with fewer than
    three municipalities per condition.
    """
    import pandas as pd

    scaled, names, constant = standardise(conditions)
    size = len(start)
    if size < 3 * (len(names) + 1):
        raise DataRefused(
            f"expected: {size} municipalities cannot carry {len(names)} conditions; "
            "rule: three municipalities per condition; take conditions away"
        )
    design = np.column_stack([np.ones(size), scaled])
    components = {"own": np.eye(size)}
    if areas is not None and 1 < len(set(areas)) < size:
        components["area"] = (areas[:, None] == areas[None, :]).astype(np.float64)
    components |= bends(scaled, names)
    expected, theta = start, np.zeros(0)
    for _ in range(12):
        step, variance = respond(expected)
        level = expected + step
        penalty = np.array([0.0 if c == "own" else EXTRA_PENALTY / float(np.median(variance)) for c in components])
        if not len(theta):
            theta = np.append(np.full(len(components), 0.05 * float(np.var(level)) + 1e-6), 1.1)
        theta, model = restricted_likelihood(level, variance, design, list(components.values()), penalty, theta)
        own = model.projection @ level / np.diag(model.projection)
        moved = float(np.max(np.abs(level - own - expected)))
        expected = level - own
        if moved < 1e-5:
            break
    found = dict(zip(components, theta[:-1].tolist(), strict=True))
    s2, area2 = found.pop("own"), found.pop("area", 0.0)
    predictive = 1 / np.diag(model.projection)
    index = ["intercept", *names]
    return LevelFit(
        expected=expected,
        own=own,
        own_error=np.sqrt(np.maximum(predictive - s2, variance)),
        unusual=own / np.sqrt(predictive),
        coefficients=pd.Series(model.coefficients, index=index),
        standard_errors=pd.Series(np.sqrt(np.diag(model.covariance)), index=index),
        sd=float(np.sqrt(s2)), area_sd=float(np.sqrt(area2)),
        bend_sd={name: float(np.sqrt(v)) for name, v in found.items() if v > 1e-8},
        dispersion=float(theta[-1]), constant=constant,
    )  # fmt: skip
