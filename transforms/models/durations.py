"""Expected against observed time to a first job of at least 13 weeks: `mart.expected` from person rows.

Observed and expected are two life tables over the SAME persons at risk in the same intervals: late intervals come from
early cohorts in both, so a change from cohort to cohort moves neither against the other. What a municipality could
expect comes from all the other delivering municipalities (`random_effect.py`), as for shares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from transforms.models.expected import CARD, Modelled, _area_of, assemble, estimates_of, model_card
from transforms.models.persons import FOLLOW_UP_WEEKS, INTERVAL_WEEKS
from transforms.statistics.hazard import Cells, HazardFit, build_cells, cloglog, fit_hazard, is_numeric
from transforms.statistics.intervals import Z95, Floats
from transforms.statistics.random_effect import LevelFit, fit_levels

if TYPE_CHECKING:
    import pandas as pd

METHOD = "discrete_time_cloglog+levels"
MIN_N = 80  # AKF 2006 reports only municipalities with at least 80 persons
FEWEST = 5
"""Where nobody says otherwise, fewer persons, or fewer with a job, are told nothing of (the disclosure threshold)."""
Few = Callable[[str, int], bool]
"""Tells whether the number of persons of a municipality, or a group, is too small to tell anything of them."""
MIN_MUNICIPALITIES = 30
"""Fewer delivering municipalities are no yardstick: with 30, one of them moves the mean of the others by 3 per cent."""
TOLERANCE_WEEKS = 0.5
"""No expectation is taken to be known better than this (one standard deviation); the page prints whole weeks."""


def restricted_mean(hazard: Floats, interval_weeks: int = INTERVAL_WEEKS) -> Floats:
    """Return the mean weeks without a job within the horizon, per row of interval hazards (trapezoid rule)."""
    survival = np.cumprod(1 - hazard, axis=-1)
    before = np.concatenate([np.ones_like(survival[..., :1]), survival[..., :-1]], axis=-1)
    return np.asarray(interval_weeks * (before + survival).sum(axis=-1) / 2, dtype=np.float64)


@dataclass(frozen=True)
class LifeTables:
    """Persons at risk, jobs and leavers per municipality and interval, and the hazards the traits predict."""

    at_risk: Floats
    events: Floats
    left: Floats  # who left the country or died in the interval: a competing end
    cells: Cells
    linear: Floats  # linear predictor of each count, without any municipality

    def expected_hazard(self, level: Floats) -> Floats:
        """Return the expected hazard over the persons at risk, when each municipality's level is `level`."""
        eta = self.linear + level[self.cells.group[self.cells.cell]]
        fitted = self.cells.by_group_period(self.cells.at_risk * cloglog(eta))
        return np.asarray(fitted / np.maximum(self.at_risk, 1e-9), dtype=np.float64)

    @property
    def observed_hazard(self) -> Floats:
        """Return jobs over persons at risk."""
        return np.asarray(self.events / np.maximum(self.at_risk, 1e-9), dtype=np.float64)


def life_tables(cells: Cells, fit: HazardFit, left: Floats) -> LifeTables:
    """Return the life tables of a fit's cells; `left`: leavers as municipalities x intervals."""
    linear = fit.baseline[cells.period] + (cells.design @ fit.beta)[cells.cell]
    return LifeTables(
        cells.by_group_period(cells.at_risk), cells.by_group_period(cells.events), left, cells, np.asarray(linear)
    )


def greenwood(hazard: Floats, at_risk: Floats, interval_weeks: int = INTERVAL_WEEKS) -> Floats:
    """Return the variance of the restricted mean per row (Greenwood 1926), at the given hazards.

    With the expected hazard in place of the observed, a municipality where nobody found a job is not thereby certain.
    """
    survival = np.cumprod(1 - hazard, axis=1)
    before = np.concatenate([np.ones((len(survival), 1)), survival[:, :-1]], axis=1)
    area = interval_weeks * (before + survival) / 2
    # What a relative change of interval j's survival does to the mean: half of j and all that follows.
    beyond = np.cumsum(area[:, ::-1], axis=1)[:, ::-1] - area + interval_weeks * survival / 2
    return np.asarray(np.sum(beyond**2 * hazard / (np.maximum(at_risk, 1e-9) * (1 - hazard)), axis=1))


def weeks_per_level(hazard: Floats, interval_weeks: int = INTERVAL_WEEKS) -> Floats:
    """Return the weeks saved per unit of the linear predictor, per row of hazards."""
    step = 0.01
    up, down = (restricted_mean(-np.expm1(np.exp(d) * np.log1p(-hazard)), interval_weeks) for d in (step, -step))
    return np.asarray((down - up) / (2 * step))


def share_in_job(hazard: Floats, leaving: Floats, intervals: int) -> Floats:
    """Return the share (0-1) who got a job within `intervals`, leaving being a competing end (Aalen and Johansen 1978).

    Whoever has left cannot get a job here, so the share is of all who came, not of those who would have stayed. Who
    leaves in an interval is not at risk of a job in it: `hazard` is of those who stay.
    """
    stays = np.cumprod((1 - hazard) * (1 - leaving), axis=1)
    before = np.concatenate([np.ones((len(stays), 1)), stays[:, :-1]], axis=1)
    return np.asarray((before * (1 - leaving) * hazard)[:, :intervals].sum(axis=1))


def median_weeks(hazard: Floats, interval_weeks: int = INTERVAL_WEEKS) -> Floats:
    """Return the weeks after which half have a job, by straight lines within intervals; not a number when never."""
    survival = np.cumprod(1 - hazard, axis=1)
    before = np.concatenate([np.ones((len(survival), 1)), survival[:, :-1]], axis=1)
    reached = survival <= 0.5
    first = np.argmax(reached, axis=1)
    row = np.arange(len(survival))
    top, bottom = before[row, first], survival[row, first]
    within = (top - 0.5) / np.maximum(top - bottom, 1e-12)
    return np.where(reached.any(axis=1), interval_weeks * (first + within), np.nan)


def _fit_levels(
    tables: LifeTables, conditions: pd.DataFrame, areas: npt.NDArray[np.object_] | None, interval_weeks: int
) -> LevelFit:
    """Return the levels: one step of a municipality is its observed minus expected weeks over weeks per level."""
    observed = restricted_mean(tables.observed_hazard, interval_weeks)

    def respond(level: Floats) -> tuple[Floats, Floats]:
        hazard = tables.expected_hazard(level)
        slope = weeks_per_level(hazard, interval_weeks)
        step = (restricted_mean(hazard, interval_weeks) - observed) / slope
        return step, greenwood(hazard, tables.at_risk, interval_weeks) / slope**2

    return fit_levels(respond, np.zeros(len(observed)), conditions, areas)


@dataclass(frozen=True)
class Companion:
    """A figure told beside the mean weeks: its outcome id, how it comes from hazards, and what it multiplies by."""

    outcome_id: str
    intervals: int  # 0: the median


COMPANIONS = (
    Companion("first_job_within_1_year_pct", 4),
    Companion("first_job_within_2_years_pct", 8),
    Companion("first_job_within_3_years_pct", 12),
    Companion("first_job_median_weeks", 0),
)
"""Told with their own 95 % interval; the assessment is that of the mean weeks alone."""


def _figure(companion: Companion, hazard: Floats, leaving: Floats, interval_weeks: int) -> Floats:
    if companion.intervals:
        return 100 * share_in_job(hazard, leaving, companion.intervals)
    return median_weeks(hazard, interval_weeks)


def _companions(
    tables: LifeTables, fit: LevelFit, n: Floats, is_few: Few, outcome: str, interval_weeks: int
) -> list[tuple[str, pd.DataFrame]]:
    """Return the companions' estimates: observed, expected and a 95 % interval by the slope in the level.

    The median is withheld where few got a job or few did not; for shares the gate sees to that.
    """
    import pandas as pd

    expected_hazard, observed_hazard = tables.expected_hazard(fit.expected), tables.observed_hazard
    leaving = tables.left / np.maximum(tables.at_risk + tables.left, 1e-9)
    step, out = 0.01, []
    jobs = tables.events.sum(axis=1)
    few = [
        any(is_few(str(c), int(k)) for k in told) for c, *told in zip(tables.cells.groups, jobs, n - jobs, strict=True)
    ]
    for companion in COMPANIONS:
        if companion.intervals > tables.at_risk.shape[1]:
            continue
        observed, expected, up, down = (
            _figure(companion, h, leaving, interval_weeks)
            for h in (
                observed_hazard, expected_hazard,
                -np.expm1(np.exp(step) * np.log1p(-expected_hazard)),
                -np.expm1(np.exp(-step) * np.log1p(-expected_hazard)),
            )
        )  # fmt: skip
        error = np.abs(up - down) / (2 * step) * fit.own_error
        frame = pd.DataFrame({
            "municipality_code": tables.cells.groups, "observed": observed, "expected": expected,
            "difference": observed - expected, "standard_error": error,
            "single_low": observed - expected - Z95 * error, "single_high": observed - expected + Z95 * error,
        })  # fmt: skip
        name = companion.outcome_id.replace("first_job", outcome.removesuffix("_weeks"))
        frame["is_withheld"] = few if companion.intervals == 0 else False
        out.append((name, frame[frame["is_withheld"] | (np.isfinite(error) & np.isfinite(observed))]))
    return out


def model_durations(
    persons: pd.DataFrame, covariates: list[str], *, outcome_id: str, period: str,
    municipalities: list[str] | None = None, min_n: int = MIN_N, areas: pd.DataFrame | None = None,
    follow_up_weeks: int = FOLLOW_UP_WEEKS, interval_weeks: int = INTERVAL_WEEKS,
    min_municipalities: int = MIN_MUNICIPALITIES, is_few: Few = lambda code, n: n < FEWEST,
) -> Modelled:  # fmt: skip
    """Return weeks to a first job held against what the other municipalities predict, with companions; see `assess`.

    observed = restricted mean weeks without such a job within three years, from the life table of the municipality's
    own persons; expected = the same from the hazards that traits, labour market and the other municipalities predict
    for those very persons at risk; difference in weeks, shorter is better. Companions: the shares in job within one,
    two and three years (leaving is a competing end) and the median weeks.

    Input `persons`: rows of `persons.person_periods` with the `covariates` (traits as text, labour market of the
    commuting area at the time as numbers; never anything the municipality decides), optional first_interval (who
    moved in is at risk from then on) and has_left. `areas`: municipality_code, commuting_area_code. Output: one row
    per outcome and municipality in `persons` or `municipalities`: fewer than FEWEST persons, or few (`is_few`) of them
    with a job, are `suppressed` (a mean just below the horizon would tell how few they are), under `min_n` (80, AKF's
    rule) the assessment is `too_small`; `missing` where nobody has known labour-market conditions or nobody is followed
    for the whole horizon, and everywhere when fewer than `min_municipalities` deliver enough: that is no yardstick.
    """
    import pandas as pd

    intervals = follow_up_weeks // interval_weeks
    numeric = [c for c in covariates if is_numeric(persons[c])]
    used = persons.assign(first_interval=persons.get("first_interval", 0))
    used = used[(used["interval_count"] > used["first_interval"]) & used[numeric].notna().all(axis=1)]
    codes = sorted(set(municipalities or []) | set(persons["municipality_code"]))
    base = pd.DataFrame({"municipality_code": codes})
    base["n_count"] = base["municipality_code"].map(used.groupby("municipality_code").size()).fillna(0).astype("int64")
    # A municipality nobody of which is followed to the horizon has no mean within it, and is no yardstick either.
    whole = used.groupby("municipality_code")["interval_count"].max() >= intervals
    enough = base.loc[base["n_count"] >= FEWEST, "municipality_code"]
    part = used[used["municipality_code"].isin(enough) & used["municipality_code"].map(whole)]
    estimates = pd.DataFrame({"municipality_code": pd.Series([], dtype="object")})
    companions: list[tuple[str, pd.DataFrame]] = []
    without_jobs: set[object] = set()
    card = pd.DataFrame(columns=CARD)
    delivering = int((base["n_count"] >= min_n).sum())
    if len(part) and part["job_interval"].any() and delivering >= min_municipalities:
        spans = part.assign(
            first=part["first_interval"], stop=part["interval_count"].clip(upper=intervals),
            has_event=part["job_interval"],
        )  # fmt: skip
        cells = build_cells(spans, covariates, intervals)
        tables = life_tables(cells, fit_hazard(cells), _leavers(part, cells, intervals))
        table = part.groupby("municipality_code")[numeric].mean().reindex(list(cells.groups))
        fit = _fit_levels(tables, table, _area_of(pd.Series(cells.groups), areas), interval_weeks)
        hazard = tables.expected_hazard(fit.expected)
        observed = restricted_mean(tables.observed_hazard, interval_weeks)
        expected = restricted_mean(hazard, interval_weeks)
        n = base.set_index("municipality_code")["n_count"].reindex(list(cells.groups)).to_numpy(np.float64)
        judged = n >= min_n
        slope = weeks_per_level(hazard, interval_weeks)
        estimates = estimates_of(
            list(cells.groups), observed, expected, fit, slope, TOLERANCE_WEEKS, judged, higher_is_better=False
        )
        companions = _companions(tables, fit, n, is_few, outcome_id, interval_weeks)
        without_jobs = {
            c for c, k in zip(cells.groups, tables.events.sum(axis=1), strict=True) if is_few(str(c), int(k))
        }
        card = model_card(
            outcome_id, period, fit, observed, expected, n, judged=judged,
            extra=[("traits_and_conditions", "size", float(cells.design.shape[1]))],
        )  # fmt: skip
    known = base["municipality_code"].isin(estimates["municipality_code"])
    few = base["n_count"].between(1, FEWEST - 1)
    unseen = few | (known & base["municipality_code"].isin(without_jobs))
    base["value_status"] = np.select([unseen, known], ["suppressed", "estimated"], "missing")
    told = estimates[~estimates["municipality_code"].isin(without_jobs)]
    rows = [assemble(base, told, outcome_id, period, METHOD)]
    for name, frame in companions:
        held = base["municipality_code"].isin(frame.loc[frame["is_withheld"], "municipality_code"]) | few
        told_of = base["municipality_code"].isin(frame["municipality_code"])
        states = np.select([held, told_of], ["suppressed", "estimated"], "missing")
        given = frame[~frame["is_withheld"]].drop(columns="is_withheld")
        told = assemble(base.assign(value_status=states), given, name, period, METHOD)
        told["assessment"] = told["assessment"].mask(told["value_status"] != "suppressed")
        rows.append(told.assign(family=pd.array([pd.NA] * len(told), dtype="string")))
    return Modelled(pd.concat(rows, ignore_index=True), card)


def _leavers(part: pd.DataFrame, cells: Cells, intervals: int) -> Floats:
    """Return who left as municipalities x intervals: in the interval after the last one they were followed through."""
    out = np.zeros((len(cells.groups), intervals))
    if "has_left" in part:
        gone = part[part["has_left"].astype(bool) & ~part["job_interval"] & (part["interval_count"] < intervals)]
        place = {code: i for i, code in enumerate(cells.groups)}
        np.add.at(out, (gone["municipality_code"].map(place).to_numpy(), gone["interval_count"].to_numpy()), 1)
    return out


YEARS = (1, 2, 3)
FEWEST_MUNICIPALITIES = 10
"""Fewer municipalities tell too little of how much they differ for an interval to be estimated from."""


def first_job_shares(persons: pd.DataFrame, group: pd.Series[str], *, is_few: Few) -> pd.DataFrame:
    """Return the share with a first job within one, two and three years, per group of persons, with 95 % intervals.

    Input `persons`: as `person_periods` gives them, with municipality_code and has_left; `group`: each row's group,
    missing where it has none. Output: breakdown_code, within_years, first_job_share_pct with its _low_ and _high_,
    n_count (persons followed), municipality_count, value_status (estimated, or suppressed: few persons by `is_few`, few
    followed in the last interval, or fewer than FEWEST_MUNICIPALITIES municipalities).

    Share: Aalen and Johansen (1978), leaving the country being a competing end. Interval: delete-one-group jackknife
    over municipalities with t (Shao and Wu 1989), since persons of one municipality are alike; it says nothing of why
    groups differ.
    """
    import pandas as pd
    from scipy import stats

    intervals = FOLLOW_UP_WEEKS // INTERVAL_WEEKS
    rows: list[tuple[object, ...]] = []
    for code, part in persons.groupby(group.astype("object"), sort=True):
        at_risk, events, left = _totals(part, intervals)
        served = int((at_risk.sum(axis=1) > 0).sum())
        n = int(part.loc[part["interval_count"] > part["first_interval"], "person_id"].nunique())
        whole = _shares(at_risk.sum(axis=0)[None], events.sum(axis=0)[None], left.sum(axis=0)[None])[0]
        without = _shares(*(table.sum(axis=0) - table for table in (at_risk, events, left)))
        spread = np.sqrt((served - 1) / max(served, 1) * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
        half = stats.t.ppf(0.975, max(served - 1, 1)) * spread
        for place, years in enumerate(YEARS):
            followed = int(at_risk[:, years * 52 // INTERVAL_WEEKS - 1].sum())
            few = is_few(str(code), n) or is_few(f"{code}: followed {years}", followed)
            told = not few and served >= FEWEST_MUNICIPALITIES
            bounds = (whole[place], max(whole[place] - half[place], 0.0), min(whole[place] + half[place], 100.0))
            figures = bounds if told else (None, None, None)
            rows.append((code, years, *figures, n, served, "estimated" if told else "suppressed"))
    names = ["breakdown_code", "within_years", "first_job_share_pct", "first_job_share_low_pct"]
    names += ["first_job_share_high_pct", "n_count", "municipality_count", "value_status"]
    return pd.DataFrame(rows, columns=names)


def _totals(part: pd.DataFrame, intervals: int) -> tuple[Floats, Floats, Floats]:
    """Return persons at risk, jobs and leavers as municipalities x intervals."""
    codes, place = np.unique(part["municipality_code"].to_numpy(str), return_inverse=True)
    first = part["first_interval"].to_numpy(np.int64)
    count = part["interval_count"].to_numpy(np.int64)
    followed = count > first
    change = np.zeros((len(codes), intervals + 1))
    np.add.at(change, (place[followed], first[followed]), 1)
    np.add.at(change, (place[followed], count[followed]), -1)
    events, left = np.zeros((len(codes), intervals)), np.zeros((len(codes), intervals))
    job = followed & part["job_interval"].to_numpy(bool)
    np.add.at(events, (place[job], count[job] - 1), 1)
    gone = followed & part["has_left"].to_numpy(bool) & ~part["job_interval"].to_numpy(bool) & (count < intervals)
    np.add.at(left, (place[gone], count[gone]), 1)
    return np.cumsum(change, axis=1)[:, :intervals], events, left


def _shares(at_risk: Floats, events: Floats, left: Floats) -> Floats:
    """Return per row the shares (per cent) with a job within YEARS."""
    hazard = events / np.maximum(at_risk, 1e-9)
    leaving = left / np.maximum(at_risk + left, 1e-9)
    return np.stack([100 * share_in_job(hazard, leaving, years * 52 // INTERVAL_WEEKS) for years in YEARS], axis=1)
