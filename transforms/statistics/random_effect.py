"""What each municipality's level would be if it were like the others under its conditions, and how far it is from it.

One engine for every outcome: the levels of the municipalities on a linear scale (log odds, log hazard) are a sum of
conditions, a bend or step of each condition, what a labour market shares, an own deviation, and chance. Shares and
durations differ only in how a level and its chance variance are read off their counts (`Response`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from transforms.errors import DataRefused
from transforms.statistics.intervals import Floats

Response = Callable[[Floats], tuple[Floats, Floats]]
"""From an expected level per municipality: one scoring step towards its own level, and the variance of that step."""
DISPERSION_PENALTY = 1.5
"""Weight of log(dispersion) in the likelihood: families are assumed to matter only as far as the counts show it."""
EXTRA_PENALTY = 12.0
"""Weight of the variance of areas, bends, steps and products, per median chance variance: believed when seen."""
MAX_DISPERSION = 6.0


@dataclass(frozen=True)
class LevelFit:
    """Levels of municipalities: level = intercept + x'b + bend + area + own + chance; one entry per municipality."""

    expected: Floats  # level predicted from all the OTHER municipalities, area and bend included
    own_error: Floats  # standard error of own level minus that prediction, as an estimate of the own deviation
    coefficients: pd.Series[float]  # intercept and b, per standard deviation of the condition
    standard_errors: pd.Series[float]
    sd: float  # of own deviations between municipalities of one labour market
    area_sd: float  # of what a labour market shares
    bend_sd: dict[str, float]  # of each condition's bend and step and of all products of two, where above 0
    dispersion: float  # variance of chance over that of independent persons, at least 1
    constant: tuple[str, ...]  # conditions left out because they do not vary


@dataclass(frozen=True)
class Year:
    """What is seen of the municipalities in one period."""

    respond: Response
    start: Floats  # a first guess of the expected levels
    conditions: pd.DataFrame  # one numeric column each, nothing missing
    areas: npt.NDArray[np.object_] | None = None  # labour market of each municipality, None when not known


@dataclass(frozen=True)
class Linear:
    """A year as a linear mixed model: levels, their chance variances, the design, and the covariance of each part."""

    level: Floats
    variance: Floats
    design: Floats
    components: dict[str, Floats]


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

    Two per condition, whose straight part stands in the design: `bend`, a natural cubic spline (Green and Silverman
    1994), and `step`, a spline of straight pieces (a random walk; Wahba 1978, JRSS B 40:364), for what sets in at a
    limit. And one for all products of two conditions together, `products`, freed of straight and square parts.
    """
    size, count = scaled.shape
    out: dict[str, Floats] = {}

    def residual(given: Floats) -> Floats:
        return np.asarray(np.eye(size) - given @ np.linalg.pinv(given), dtype=np.float64)

    ones = np.ones((size, 1))
    for j, name in enumerate(names):
        free = residual(np.column_stack([ones, scaled[:, j]]))
        apart = np.abs(scaled[:, j, None] - scaled[None, :, j])
        for kind, kernel in (("bend", apart**3), ("step", -apart)):
            spline = free @ kernel @ free
            if np.trace(spline) > 1e-6 * size:
                out[f"{kind} {name}"] = spline * size / np.trace(spline)
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


def penalty_of(component: str, variance: Floats) -> float:
    """Return what a unit of a component's variance costs in the likelihood; own deviations cost nothing."""
    return 0.0 if component == "own" else EXTRA_PENALTY / float(np.median(variance))


def restricted_likelihood(years: Sequence[Linear], start: dict[str, float]) -> tuple[dict[str, float], list[_Parts]]:
    """Return the variance of each component and the `dispersion`, common to all years, and each year's model at them.

    In each year level ~ N(design b, sum_j variance_j component_j + dispersion diag(variance)), by restricted maximum
    likelihood (Patterson and Thompson 1971, Biometrika 58:545): degrees of freedom spent on b are paid for, so s is not
    too small. Years have their own b and share the variances: the likelihoods are added up, which is consistent though
    the same persons stand in several years (composite likelihood; Varin, Reid and Firth 2011, Stat. Sinica 21:5).
    Components are charged `penalty_of`; the dispersion pays DISPERSION_PENALTY log.
    """
    from scipy.optimize import minimize

    names = list(start)
    spread = max(float(np.mean([np.var(year.level) for year in years])), 1e-6)
    scale = np.array([1.0 if name == "dispersion" else spread for name in names])
    stacks = [np.stack([*year.components.values(), np.diag(year.variance)]) for year in years]
    places = [np.array([names.index(name) for name in (*year.components, "dispersion")]) for year in years]
    penalties = np.zeros(len(names))
    for year, place in zip(years, places, strict=True):
        penalties[place[:-1]] += [penalty_of(name, year.variance) for name in year.components]
    paid = DISPERSION_PENALTY * len(years)
    last = names.index("dispersion")

    def models(found: Floats) -> Iterator[tuple[Linear, _Parts, float]]:
        for year, stack, place in zip(years, stacks, places, strict=True):
            yield year, *_mixed_model(year.level, year.design, np.tensordot(found[place], stack, axes=1))

    def objective(theta: Floats) -> tuple[float, Floats]:
        found = theta * scale
        value, slope = float(penalties @ found + paid * np.log(found[last])), penalties.copy()
        slope[last] += paid / found[last]
        for (year, model, fit), stack, place in zip(models(found), stacks, places, strict=True):
            residual = model.projection @ year.level
            value += 0.5 * fit
            flat = stack.reshape(len(stack), -1)
            slope[place] += 0.5 * (flat @ (model.projection - np.outer(residual, residual)).ravel())
        return value, slope * scale

    bounds = [(1.0, MAX_DISPERSION) if name == "dispersion" else (0.0, 10.0) for name in names]
    guess = np.array([start[name] for name in names]) / scale
    best = minimize(objective, guess, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-10})
    found = np.asarray(best.x * scale, dtype=np.float64)
    return dict(zip(names, found.tolist(), strict=True)), [model for _, model, _ in models(found)]


def fit_levels(years: Sequence[Year]) -> list[LevelFit]:
    """Fit the levels of municipalities and hold each against what all the others predict for it, in each year.

    Pseudo-likelihood (Wolfinger and O'Connell 1993, J. Stat. Comput. Simul. 48:233): the counts are linearised at
    the expected level, the linear mixed model fitted by restricted likelihood, until the expectation stands. The
    own deviation is the deletion residual own_m = (P y)_m / P_mm with variance 1 / P_mm (Christensen, Pearson and
    Johnson 1992, Technometrics 34:38): what is left when m and its outlying neighbours take no part in m's own
    expectation. Without s2 that variance is the error of `own`; with it, own / sqrt(1/P_mm) is the funnel that
    allows for ordinary variation (Spiegelhalter 2005, Stat. Med. 24:1185). Conditions may bend, step and multiply
    (`bends`) as far as the data show: the size of each bend is a variance of its own, so that a straight world pays
    next to nothing (Ruppert, Wand and Carroll 2003, Semiparametric Regression). Raises DataRefused with fewer than
    three municipalities per condition.
    """
    if not years:
        return []
    scaled = [standardise(year.conditions) for year in years]
    shapes = [_components(year, *found[:2]) for year, found in zip(years, scaled, strict=True)]
    designs = [np.column_stack([np.ones(len(found[0])), found[0]]) for found in scaled]
    expected, theta = [year.start for year in years], dict[str, float]()
    for _ in range(12):
        seen = [year.respond(now) for year, now in zip(years, expected, strict=True)]
        linear = [
            Linear(now + step, variance, design, components)
            for now, (step, variance), design, components in zip(expected, seen, designs, shapes, strict=True)
        ]
        if not theta:
            first = 0.05 * float(np.mean([np.var(year.level) for year in linear])) + 1e-6
            theta = dict.fromkeys((name for shape in shapes for name in shape), first) | {"dispersion": 1.1}
        theta, models = restricted_likelihood(linear, theta)
        own = [
            model.projection @ year.level / np.diag(model.projection)
            for model, year in zip(models, linear, strict=True)
        ]
        before, expected = expected, [year.level - away for year, away in zip(linear, own, strict=True)]
        if max(float(np.max(np.abs(a - b))) for a, b in zip(before, expected, strict=True)) < 1e-5:
            break
    fits = []
    for year, model, now, (_, names, constant) in zip(linear, models, expected, scaled, strict=True):
        predictive, index = 1 / np.diag(model.projection), ["intercept", *names]
        fits.append(LevelFit(
            expected=now,
            own_error=np.sqrt(np.maximum(predictive - theta["own"], year.variance)),
            coefficients=pd.Series(model.coefficients, index=index),
            standard_errors=pd.Series(np.sqrt(np.diag(model.covariance)), index=index),
            sd=float(np.sqrt(theta["own"])), area_sd=float(np.sqrt(theta.get("area", 0.0))),
            bend_sd={
                name: float(np.sqrt(theta[name]))
                for name in year.components
                if name not in ("own", "area") and theta[name] > 1e-8
            },
            dispersion=theta["dispersion"], constant=constant,
        ))  # fmt: skip
    return fits


def _components(year: Year, scaled: Floats, names: list[str]) -> dict[str, Floats]:
    """Return the covariance of each part of a year's levels but chance; raise DataRefused when conditions are many."""
    size = len(year.start)
    if size < 3 * (len(names) + 1):
        raise DataRefused(
            f"expected: {size} municipalities cannot carry {len(names)} conditions; "
            "rule: three municipalities per condition; take conditions away"
        )
    components = {"own": np.eye(size)}
    if year.areas is not None and 1 < len(set(year.areas)) < size:
        components["area"] = (year.areas[:, None] == year.areas[None, :]).astype(np.float64)
    return components | bends(scaled, names)
