"""Expected against observed time to a first job of at least 13 weeks: `mart.expected` from person rows.

Observed and expected are two life tables over the SAME persons at risk in the same intervals: late intervals come from
early cohorts in both, so a change from cohort to cohort moves neither against the other. What a municipality could
expect comes from all the other delivering municipalities (`random_effect.py`), as for shares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from transforms.machine import ahead
from transforms.models.expected import CARD, MIN_N, Modelled, area_of, assemble, estimates_of, held_against, model_card
from transforms.models.spells import FOLLOW_UP_WEEKS, INTERVAL_WEEKS
from transforms.statistics.hazard import (
    Cells,
    HazardFit,
    build_cells,
    chance,
    counts_at_risk,
    crossed,
    fit_hazard,
    is_numeric,
)
from transforms.statistics.intervals import Floats
from transforms.statistics.random_effect import LevelFit, Year, fit_levels
from transforms.statistics.tally import Tally

METHOD = "discrete_time_cloglog+levels"
INTERVALS = FOLLOW_UP_WEEKS // INTERVAL_WEEKS
FEWEST = 5
"""Where nobody says otherwise, fewer persons, or fewer with a job, are told nothing of (the disclosure threshold)."""
Few = Callable[[str, int], bool]
"""Tells whether the number of persons of a municipality, or a group, is too small to tell anything of them."""
MIN_MUNICIPALITIES = 30
"""Fewer delivering municipalities are no yardstick: with 30, one of them moves the mean of the others by 3 per cent."""
TOLERANCE_WEEKS = 0.5
"""No expectation is taken to be known better than this (one standard deviation); the page prints whole weeks."""


def _before(survival: Floats) -> Floats:
    """Return who was still waiting when each interval began, from who is when it ends."""
    return np.concatenate([np.ones_like(survival[..., :1]), survival[..., :-1]], axis=-1)


def _survival(hazard: Floats) -> tuple[Floats, Floats]:
    """Return the shares still waiting when each interval begins and when it ends, per row of interval hazards."""
    survival = np.asarray(np.cumprod(1 - hazard, axis=-1), dtype=np.float64)
    return _before(survival), survival


def restricted_mean(hazard: Floats) -> Floats:
    """Return the mean weeks without a job within the horizon, per row of interval hazards (trapezoid rule)."""
    before, survival = _survival(hazard)
    return np.asarray(INTERVAL_WEEKS * (before + survival).sum(axis=-1) / 2, dtype=np.float64)


@dataclass(frozen=True)
class LifeTables:
    """Persons at risk, jobs and leavers per municipality and interval, and the hazards the traits predict."""

    at_risk: Floats
    events: Floats
    left: Floats  # who left the country or died in the interval: a competing end
    cells: Cells
    baseline: Floats
    linear: Floats  # linear predictor of each cell, without baseline and municipality

    def expected_hazard(self, level: Floats) -> Floats:
        """Return the expected hazard over the persons at risk, when each municipality's level is `level`."""
        fitted = np.zeros_like(self.at_risk)
        for block in self.cells.blocks():
            group = self.cells.group[block]
            linear = self.linear[block] + level[group]
            for period, rows, at_risk, _, rate in counts_at_risk(self.cells, block, self.baseline, linear):
                fitted[:, period] += np.bincount(group[rows], at_risk * chance(rate), len(fitted))
        return np.asarray(fitted / np.maximum(self.at_risk, 1e-9), dtype=np.float64)

    @property
    def observed_hazard(self) -> Floats:
        """Return jobs over persons at risk."""
        return np.asarray(self.events / np.maximum(self.at_risk, 1e-9), dtype=np.float64)


def life_tables(cells: Cells, fit: HazardFit, left: Floats) -> LifeTables:
    """Return the life tables of a fit's cells; `left`: leavers as municipalities x intervals."""
    return LifeTables(*cells.totals(), left, cells, fit.baseline, cells.linear(fit.beta))


def greenwood(hazard: Floats, at_risk: Floats) -> Floats:
    """Return the variance of the restricted mean per row (Greenwood 1926), at the given hazards.

    With the expected hazard in place of the observed, a municipality where nobody found a job is not thereby certain.
    """
    before, survival = _survival(hazard)
    area = INTERVAL_WEEKS * (before + survival) / 2
    # What a relative change of interval j's survival does to the mean: half of j and all that follows.
    beyond = np.cumsum(area[:, ::-1], axis=1)[:, ::-1] - area + INTERVAL_WEEKS * survival / 2
    return np.asarray(np.sum(beyond**2 * hazard / (np.maximum(at_risk, 1e-9) * (1 - hazard)), axis=1))


def _moved(hazard: Floats, step: float) -> Floats:
    """Return hazards with the linear predictor moved by a step."""
    return np.asarray(-np.expm1(np.exp(step) * np.log1p(-hazard)))


def weeks_per_level(hazard: Floats) -> Floats:
    """Return the weeks saved per unit of the linear predictor, per row of hazards."""
    step = 0.01
    up, down = (restricted_mean(_moved(hazard, d)) for d in (step, -step))
    return np.asarray((down - up) / (2 * step))


def share_in_job(hazard: Floats, leaving: Floats, intervals: int) -> Floats:
    """Return the share (0-1) who got a job within `intervals`, leaving being a competing end (Aalen and Johansen 1978).

    Whoever has left cannot get a job here, so the share is of all who came, not of those who would have stayed. Who
    leaves in an interval is not at risk of a job in it: `hazard` is of those who stay.
    """
    before = _before(np.asarray(np.cumprod((1 - hazard) * (1 - leaving), axis=1), dtype=np.float64))
    return np.asarray((before * (1 - leaving) * hazard)[:, :intervals].sum(axis=1))


def median_weeks(hazard: Floats) -> Floats:
    """Return the weeks after which half have a job, by straight lines within intervals; not a number when never."""
    before, survival = _survival(hazard)
    reached = survival <= 0.5
    first = np.argmax(reached, axis=1)
    row = np.arange(len(survival))
    top, bottom = before[row, first], survival[row, first]
    within = (top - 0.5) / np.maximum(top - bottom, 1e-12)
    return np.where(reached.any(axis=1), INTERVAL_WEEKS * (first + within), np.nan)


def _fit_levels(tables: LifeTables, conditions: pd.DataFrame, areas: npt.NDArray[np.object_] | None) -> LevelFit:
    """Return the levels: one step of a municipality is its observed minus expected weeks over weeks per level."""
    observed = restricted_mean(tables.observed_hazard)

    def respond(level: Floats) -> tuple[Floats, Floats]:
        hazard = tables.expected_hazard(level)
        slope = weeks_per_level(hazard)
        step = (restricted_mean(hazard) - observed) / slope
        return step, greenwood(hazard, tables.at_risk) / slope**2

    return fit_levels([Year(respond, np.zeros(len(observed)), conditions, areas)])[0]


MEDIAN = "first_job_median_weeks"
COMPANIONS = {
    "first_job_within_1_year_pct": 4,
    "first_job_within_2_years_pct": 8,
    "first_job_within_3_years_pct": 12,
    MEDIAN: 0,
}
"""Told beside the mean weeks: outcome id -> the intervals a share is within, 0 for the median. Each with its own 95 %
interval; the assessment is that of the mean weeks alone."""


def _figure(intervals: int, hazard: Floats, leaving: Floats) -> Floats:
    return 100 * share_in_job(hazard, leaving, intervals) if intervals else median_weeks(hazard)


def _companions(
    tables: LifeTables, expected_hazard: Floats, own_error: Floats, n: Floats, is_few: Few, outcome: str
) -> list[tuple[str, pd.DataFrame]]:
    """Return the companions' estimates: observed, expected and a 95 % interval by the slope in the level.

    The median is withheld where few got a job or few did not; for shares the gate sees to that. Where fewer than half
    got a job it is `not_applicable`; where fewer than half are expected to, it stands without an expectation.
    """
    observed_hazard = tables.observed_hazard
    leaving = tables.left / np.maximum(tables.at_risk + tables.left, 1e-9)
    step, out = 0.01, []
    jobs = tables.events.sum(axis=1)
    few = [
        any(is_few(str(c), int(k)) for k in told) for c, *told in zip(tables.cells.groups, jobs, n - jobs, strict=True)
    ]
    for companion, intervals in COMPANIONS.items():
        if intervals > tables.at_risk.shape[1]:
            continue
        observed, expected, up, down = (
            _figure(intervals, h, leaving)
            for h in (
                observed_hazard, expected_hazard, _moved(expected_hazard, step), _moved(expected_hazard, -step),
            )
        )  # fmt: skip
        error = np.abs(up - down) / (2 * step) * own_error
        expected = np.where(np.isfinite(error), expected, np.nan)
        frame = held_against(tables.cells.groups, observed, expected, error)
        withheld = np.array(few, dtype=np.bool_) & (intervals == 0)
        frame["value_status"] = np.select(
            [withheld, np.isfinite(observed)], ["suppressed", "estimated"], "not_applicable"
        )
        out.append((companion.replace("first_job", outcome.removesuffix("_weeks")), frame))
    return out


def model_durations(
    persons: Tally, covariates: list[str], *, outcome_id: str, period: str,
    municipalities: list[str] | None = None, min_n: int = MIN_N, areas: pd.DataFrame | None = None,
    min_municipalities: int = MIN_MUNICIPALITIES, is_few: Few = lambda code, n: n < FEWEST,
) -> Modelled:  # fmt: skip
    """Return weeks to a first job held against what the other municipalities predict, with companions; see `assess`.

    observed = restricted mean weeks without such a job within three years, from the life table of the municipality's
    own persons; expected = the same from the hazards that traits, labour market and the other municipalities predict
    for those very persons at risk; difference in weeks, shorter is better. Companions: the shares in job within one,
    two and three years (leaving is a competing end) and the median weeks.

    Input `persons`: counted by municipality_code, the `covariates` (traits as text, labour market of the commuting
    area at the time as numbers; never anything the municipality decides) and, of `spells.person_periods`,
    first_interval (who moved in is at risk from then on), interval_count, job_interval and has_left. `areas`:
    municipality_code, commuting_area_code. Output: one row per outcome and municipality in `persons` or
    `municipalities`: fewer than FEWEST persons, or few (`is_few`) of them
    with a job, are `suppressed` (a mean just below the horizon would tell how few they are), under `min_n` (80, AKF's
    rule) the assessment is `too_small`; `missing` where nobody has known labour-market conditions or nobody is followed
    for the whole horizon, and everywhere when fewer than `min_municipalities` deliver enough: that is no yardstick.
    """
    numeric = [name for name in covariates if is_numeric(persons.levels[name])]
    usable = np.ones(len(persons), dtype=np.bool_)
    for name in numeric:
        usable &= ~np.isnan(persons.values(name))
    count = persons.values("interval_count")
    used = persons.where((count > persons.values("first_interval")) & usable)
    places = persons.levels["municipality_code"]
    codes = sorted(set(municipalities or []) | set(places))
    n_of = dict(zip(places, used.by("municipality_code").tolist(), strict=True))
    base = pd.DataFrame({"municipality_code": codes, "n_count": [n_of.get(code, 0) for code in codes]})
    # A municipality nobody of which is followed to the horizon has no mean within it, and is no yardstick either.
    longest = np.zeros(len(places), dtype=np.int64)
    np.maximum.at(longest, used.codes["municipality_code"], used.values("interval_count").astype(np.int64))
    enough = np.array([n_of[code] >= FEWEST for code in places], dtype=bool) & (longest >= INTERVALS)
    part = used.where(enough[used.codes["municipality_code"]])
    estimates = pd.DataFrame({"municipality_code": pd.Series([], dtype="object")})
    companions: list[tuple[str, pd.DataFrame]] = []
    without_jobs: set[object] = set()
    card = pd.DataFrame(columns=CARD)
    delivering = int((base["n_count"] >= min_n).sum())
    if len(part) and part.values("job_interval").any() and delivering >= min_municipalities:
        spans = ahead(_spans, part.parts("municipality_code"))
        cells = build_cells(spans, covariates, INTERVALS)
        tables = life_tables(cells, fit_hazard(cells), _leavers(part, cells))
        table = _means(part, numeric).reindex(list(cells.groups))
        fit = _fit_levels(tables, table, area_of(pd.Series(cells.groups), areas))
        hazard = tables.expected_hazard(fit.expected)
        observed = restricted_mean(tables.observed_hazard)
        expected = restricted_mean(hazard)
        n = base.set_index("municipality_code")["n_count"].reindex(list(cells.groups)).to_numpy(np.float64)
        judged = n >= min_n
        slope = weeks_per_level(hazard)
        estimates = estimates_of(
            list(cells.groups), observed, expected, fit, slope, TOLERANCE_WEEKS, judged, higher_is_better=False
        )
        companions = _companions(tables, hazard, fit.own_error, n, is_few, outcome_id)
        without_jobs = {
            c for c, k in zip(cells.groups, tables.events.sum(axis=1), strict=True) if is_few(str(c), int(k))
        }
        card = model_card(
            outcome_id, period, fit, observed, expected, n, judged=judged,
            extra=[("traits_and_conditions", "size", float(len(cells.names)))],
        )  # fmt: skip
    known = base["municipality_code"].isin(estimates["municipality_code"])
    few = base["n_count"].between(1, FEWEST - 1)
    unseen = few | (known & base["municipality_code"].isin(without_jobs))
    base["value_status"] = np.select([unseen, known], ["suppressed", "estimated"], "missing")
    told = estimates[~estimates["municipality_code"].isin(without_jobs)]
    rows = [assemble(base, told, outcome_id, period, METHOD)]
    for name, frame in companions:
        states = base["municipality_code"].map(frame.set_index("municipality_code")["value_status"])
        given = frame[frame["value_status"] == "estimated"].drop(columns="value_status")
        states = states.fillna("missing").mask(few, "suppressed")
        told = assemble(base.assign(value_status=states), given, name, period, METHOD)
        told["assessment"] = told["assessment"].mask(told["value_status"] != "suppressed")
        rows.append(told.assign(family=pd.array([pd.NA] * len(told), dtype="string")))
    return Modelled(pd.concat(rows, ignore_index=True), card)


def _spans(part: Tally) -> Tally:
    """Return the cells with what `build_cells` reads."""
    stop = np.minimum(part.values("interval_count"), INTERVALS)
    first, event = part.values("first_interval"), part.values("job_interval")
    return part.with_columns({"first": first, "stop": stop, "has_event": event})


def _means(part: Tally, numeric: list[str]) -> pd.DataFrame:
    """Return the mean of numeric covariates over persons, per municipality."""
    codes, places = part.codes["municipality_code"], part.levels["municipality_code"]
    persons = np.maximum(part.by("municipality_code"), 1)
    means = {name: np.bincount(codes, part.count * part.values(name), len(places)) / persons for name in numeric}
    return pd.DataFrame(means, index=pd.Index(places, name="municipality_code"))


def _leavers(part: Tally, cells: Cells) -> Floats:
    """Return who left as municipalities x intervals: in the interval after the last one they were followed through."""
    gone = part.where(_left(part))
    place = {code: i for i, code in enumerate(cells.groups)}
    row = np.array([place.get(code, 0) for code in part.levels["municipality_code"]], dtype=np.int64)
    places, left_at = row[gone.codes["municipality_code"]], gone.values("interval_count")
    return crossed(places, len(cells.groups), left_at, INTERVALS, gone.count)


def _left(part: Tally) -> npt.NDArray[np.bool_]:
    left, job = (part.values(name).astype(bool) for name in ("has_left", "job_interval"))
    return np.asarray(left & ~job & (part.values("interval_count") < INTERVALS), dtype=np.bool_)


YEARS = (1, 2, 3)
FIRST_JOB_COLUMNS = [
    "breakdown_code", "within_years", "first_job_share_pct", "first_job_share_low_pct", "first_job_share_high_pct",
    "n_count", "municipality_count", "value_status",
]  # fmt: skip
FEWEST_MUNICIPALITIES = 10
"""Fewer municipalities tell too little of how much they differ for an interval to be estimated from."""


def first_job_shares(persons: Mapping[str, Tally], followed: Mapping[str, int], *, is_few: Few) -> pd.DataFrame:
    """Return the share with a first job within one, two and three years, per group of persons, with 95 % intervals.

    Input `persons`: group -> its persons by municipality_code, first_interval, interval_count, job_interval, has_left,
    as `person_periods` gives them; `followed`: group -> how many persons, each once wherever they were. Output:
    breakdown_code, within_years, first_job_share_pct with its _low_ and _high_, n_count (persons followed),
    municipality_count, value_status (estimated, or suppressed: few persons by `is_few`, few followed in the last
    interval, or fewer than FEWEST_MUNICIPALITIES municipalities).

    Share: Aalen and Johansen (1978), leaving the country being a competing end. Interval: delete-one-group jackknife
    over municipalities with t (Shao and Wu 1989), since persons of one municipality are alike; it says nothing of why
    groups differ.
    """
    from scipy import stats

    rows: list[tuple[object, ...]] = []
    for code in sorted(persons):
        at_risk, events, left = _totals(persons[code])
        served = int((at_risk.sum(axis=1) > 0).sum())
        n = followed.get(code, 0)
        whole = _shares(at_risk.sum(axis=0)[None], events.sum(axis=0)[None], left.sum(axis=0)[None])[0]
        without = _shares(*(table.sum(axis=0) - table for table in (at_risk, events, left)))
        spread = np.sqrt((served - 1) / max(served, 1) * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
        half = stats.t.ppf(0.975, max(served - 1, 1)) * spread
        for place, years in enumerate(YEARS):
            seen = int(at_risk[:, years * 52 // INTERVAL_WEEKS - 1].sum())
            few = is_few(str(code), n) or is_few(f"{code}: followed {years}", seen)
            told = not few and served >= FEWEST_MUNICIPALITIES
            bounds = (whole[place], max(whole[place] - half[place], 0.0), min(whole[place] + half[place], 100.0))
            figures = bounds if told else (None, None, None)
            rows.append((code, years, *figures, n, served, "estimated" if told else "suppressed"))
    return pd.DataFrame(rows, columns=FIRST_JOB_COLUMNS)


def _totals(part: Tally) -> tuple[Floats, Floats, Floats]:
    """Return persons at risk, jobs and leavers as municipalities x intervals."""
    present, place = np.unique(part.codes["municipality_code"], return_inverse=True)
    first, count = (part.values(name).astype(np.int64) for name in ("first_interval", "interval_count"))
    followed = count > first
    job = followed & part.values("job_interval").astype(bool)
    gone = followed & _left(part)

    def summed(wanted: npt.NDArray[np.bool_], column: npt.NDArray[np.int64]) -> Floats:
        return crossed(place[wanted], len(present), column[wanted], INTERVALS + 1, part.count[wanted])

    change = summed(followed, first) - summed(followed, count)
    events, left = summed(job, count - 1), summed(gone, count)
    return np.cumsum(change, axis=1)[:, :INTERVALS], events[:, :INTERVALS], left[:, :INTERVALS]


def _shares(at_risk: Floats, events: Floats, left: Floats) -> Floats:
    """Return per row the shares (per cent) with a job within YEARS."""
    hazard = events / np.maximum(at_risk, 1e-9)
    leaving = left / np.maximum(at_risk + left, 1e-9)
    return np.stack([100 * share_in_job(hazard, leaving, years * 52 // INTERVAL_WEEKS) for years in YEARS], axis=1)
