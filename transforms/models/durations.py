"""Expected weeks to a first job of at least 13 weeks, given traits and labour market: `mart.expected` from spells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from transforms.models.expected import assemble
from transforms.models.persons import FOLLOW_UP_WEEKS, INTERVAL_WEEKS
from transforms.statistics.hazard import (
    Cells,
    HazardFit,
    build_cells,
    cloglog,
    fit_hazard,
    is_numeric,
    linear_predictor,
)
from transforms.statistics.intervals import Z95, Floats, classify, explained_share, rank_intervals

if TYPE_CHECKING:
    import pandas as pd


METHOD = "discrete_time_cloglog+random_effect"
MIN_N = 80  # AKF 2006 reports only municipalities with at least 80 persons
SUPPRESS_BELOW = 5


def restricted_mean(hazard: Floats, interval_weeks: int = INTERVAL_WEEKS) -> Floats:
    """Return the mean weeks without a job within the horizon, per row of interval hazards (trapezoid rule)."""
    survival = np.cumprod(1 - hazard, axis=-1)
    before = np.concatenate([np.ones_like(survival[..., :1]), survival[..., :-1]], axis=-1)
    return np.asarray(interval_weeks * (before + survival).sum(axis=-1) / 2, dtype=np.float64)


def _model_weeks(cells: Cells, fit: HazardFit, effect: Floats, interval_weeks: int) -> Floats:
    """Return the model's restricted mean per municipality when its effect is `effect`, over its own persons."""
    linear = cells.design @ fit.beta + effect[cells.group]
    survival = np.ones(len(linear))
    weeks = np.zeros(len(linear))
    for level in fit.baseline:
        after = survival * (1 - cloglog(level + linear))
        weeks += interval_weeks * (survival + after) / 2
        survival = after
    return cells.by_group(cells.persons * weeks) / cells.by_group(cells.persons)


def _life_table(cells: Cells, fit: HazardFit, interval_weeks: int) -> tuple[Floats, Floats]:
    """Return the observed restricted mean per municipality (Kaplan-Meier on intervals) and its variance.

    Not a number where nobody is followed through the last interval. The variance is Greenwood's with the fitted
    hazard, so that a municipality where nobody found a job is not thereby certain.
    """
    eta = linear_predictor(cells, np.concatenate([fit.baseline, fit.beta]), fit.effect[cells.group])
    at_risk, events = cells.by_group_period(cells.at_risk), cells.by_group_period(cells.events)
    fitted = cells.by_group_period(cells.at_risk * cloglog(eta))
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard, smooth = events / at_risk, fitted / at_risk
        survival = np.cumprod(1 - smooth, axis=1)
        before = np.concatenate([np.ones((len(survival), 1)), survival[:, :-1]], axis=1)
        area = interval_weeks * (before + survival) / 2
        # What a relative change of interval j's survival does to the mean: half of j and all that follows.
        beyond = np.cumsum(area[:, ::-1], axis=1)[:, ::-1] - area + interval_weeks * survival / 2
        variance = np.sum(beyond**2 * smooth / (at_risk * (1 - smooth)), axis=1)
    return restricted_mean(hazard, interval_weeks), variance


def _estimates(cells: Cells, fit: HazardFit, min_n: int, interval_weeks: int) -> pd.DataFrame:
    import pandas as pd

    size = len(cells.groups)
    n = cells.by_group(cells.persons)
    observed, variance = _life_table(cells, fit, interval_weeks)
    expected = _model_weeks(cells, fit, np.zeros(size), interval_weeks)
    shrunk = _model_weeks(cells, fit, fit.effect, interval_weeks) - expected
    step = 0.01
    up, down = (_model_weeks(cells, fit, np.full(size, d), interval_weeks) for d in (step, -step))
    slope = (down - up) / (2 * step)  # weeks saved per unit of the linear predictor
    noise, between = variance / slope**2, fit.sd**2
    shared = noise * fit.fixed_variance / (between + noise)
    error = slope * np.sqrt(np.maximum(noise + fit.fixed_variance - 2 * shared, 0))
    first, last = rank_intervals(shrunk, slope * fit.effect_sd, higher_is_better=False)
    judged = (n >= min_n) & np.isfinite(observed)
    out = pd.DataFrame({
        "municipality_code": cells.groups, "observed": observed, "expected": expected,
        "difference": observed - expected, "difference_low": observed - expected - Z95 * error,
        "difference_high": observed - expected + Z95 * error, "shrunk_difference": shrunk,
        "rank_low": first, "rank_high": last,
        "assessment": classify(-fit.score_z, n, min_n, higher_is_better=False),
        "explained_share": explained_share(observed[judged], expected[judged]),
    })  # fmt: skip
    return out[np.isfinite(observed)]


def municipal_durations(
    persons: pd.DataFrame, covariates: list[str], *, outcome_id: str, period: str,
    municipalities: list[str] | None = None, min_n: int = MIN_N,
    follow_up_weeks: int = FOLLOW_UP_WEEKS, interval_weeks: int = INTERVAL_WEEKS,
) -> pd.DataFrame:  # fmt: skip
    """Return the rows of `mart.expected` for weeks to a first job: observed minus expected, shorter is better.

    observed = restricted mean weeks without such a job within three years (Kaplan-Meier on intervals of 13 weeks);
    expected = the same from traits and labour market, the municipality's effect set to zero; difference in weeks
    with a 95 % interval; shrunk_difference from the random effect; groups by score test and `classify`.

    Input `persons`: rows of `spells.person_periods` with the `covariates` (traits as text, labour market of the
    commuting area as numbers; never anything the municipality decides). Output: `contract.COLUMNS`, one row per
    municipality in `persons` or `municipalities`: under 5 persons `suppressed`, under `min_n` (80, AKF's rule) the
    assessment `too_small`; `missing` where nobody has known labour-market conditions or nobody is followed for
    the whole horizon.
    """
    import pandas as pd

    intervals = follow_up_weeks // interval_weeks
    numeric = [c for c in covariates if is_numeric(persons[c])]
    used = persons[(persons["interval_count"] > 0) & persons[numeric].notna().all(axis=1)]
    n = used.groupby("municipality_code").size()
    codes = sorted(set(municipalities or []) | set(persons["municipality_code"]))
    base = pd.DataFrame({"municipality_code": codes})
    base["n_count"] = base["municipality_code"].map(n).fillna(0).astype("int64")
    part = used[used["municipality_code"].isin(base.loc[base["n_count"] >= SUPPRESS_BELOW, "municipality_code"])]
    estimates = pd.DataFrame({"municipality_code": pd.Series([], dtype="object")})
    if len(part) and part["job_interval"].any():
        spans = part.assign(first=0, stop=part["interval_count"].clip(upper=intervals), has_event=part["job_interval"])
        cells = build_cells(spans, covariates, intervals)
        estimates = _estimates(cells, fit_hazard(cells), min_n, interval_weeks)
    known = base["municipality_code"].isin(estimates["municipality_code"])
    few = base["n_count"].between(1, SUPPRESS_BELOW - 1)
    base["value_status"] = np.select([known, few], ["estimated", "suppressed"], "missing")
    return assemble(base, estimates, outcome_id, period, METHOD)
