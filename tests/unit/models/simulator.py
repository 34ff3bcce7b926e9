"""A small planted world: municipalities with known conditions and known own effects, and people drawn from it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from transforms.models.expected import COLUMNS, Modelled, assess
from transforms.statistics.intervals import Floats
from transforms.statistics.tally import Tally, tally

MUNICIPALITIES = [f"{100 + 7 * i}" for i in range(98)]


def sizes(rng: np.random.Generator, low: int = 80, high: int = 2500) -> Floats:
    """Return 98 target-group sizes, log-uniform: many small, few large."""
    return np.round(np.exp(rng.uniform(np.log(low), np.log(high), 98)))


def aggregates(
    seed: int, sd: float = 0.25, low: int = 80, high: int = 2500, slopes: tuple[float, ...] = (0.4, -0.3, 0.2)
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return counts, conditions and truth (effect on the logit scale, difference in points) for one world."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(98, len(slopes)))
    effect = rng.normal(0, sd, 98) if sd else np.zeros(98)
    linear = -0.6 + x @ np.array(slopes)
    p, fixed = 1 / (1 + np.exp(-linear - effect)), 1 / (1 + np.exp(-linear))
    n = sizes(rng, low, high)
    counts = pd.DataFrame({"municipality_code": MUNICIPALITIES, "n": n, "k": rng.binomial(n.astype(int), p) * 1.0})
    counts["value_status"] = "observed"
    conditions = pd.DataFrame(x, columns=[f"condition_{j}" for j in range(len(slopes))])
    conditions.insert(0, "municipality_code", MUNICIPALITIES)
    truth = pd.DataFrame({"municipality_code": MUNICIPALITIES, "effect": effect, "difference": 100 * (p - fixed)})
    return counts, conditions, truth


DEPARTURES = ("households", "curved", "outlier", "area", "threshold", "product")


def departed(
    seed: int,
    departure: str | None = None,
    sd: float = 0.0,
    conditions: int = 3,
    icc: float = 0.3,
    own: Floats | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return counts, conditions, areas and truth of a world that departs from the model in one way.

    households: families of one to five get jobs together; curved: a condition acts by its square; outlier: the largest
    municipality lies 0.5 above; area: labour markets share an effect of 0.15 that no condition tells; threshold: a
    condition acts by a step; product: two conditions act together. `own`: the own effects, instead of drawn ones.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(98, conditions))
    slopes = np.array([0.4, -0.3, 0.2, *([0.1] * conditions)])[:conditions]
    effect = rng.normal(0, sd, 98) if sd else np.zeros(98)
    effect = effect if own is None else own.copy()
    linear, area, n = -0.6 + x @ slopes, rng.integers(0, 25, 98), sizes(rng).astype(int)
    if departure == "curved":
        linear = linear + 0.2 * (x[:, 0] ** 2 - 1)
    if departure == "threshold":
        linear = linear + 0.4 * (x[:, 0] > 0.5)
    if departure == "product":
        linear = linear + 0.15 * x[:, 0] * x[:, 1]
    if departure == "outlier":
        n[0], effect[0] = 20_000, effect[0] + 0.5
    if departure == "area":
        linear = linear + rng.normal(0, 0.15, 25)[area]
    p = 1 / (1 + np.exp(-linear - effect))
    k = _family_counts(rng, n, p, icc) if departure == "households" else rng.binomial(n, p).astype(np.float64)
    counts = pd.DataFrame({"municipality_code": MUNICIPALITIES, "n": n * 1.0, "k": k, "value_status": "observed"})
    frame = pd.DataFrame(x, columns=[f"condition_{j}" for j in range(conditions)])
    frame.insert(0, "municipality_code", MUNICIPALITIES)
    areas = pd.DataFrame({"municipality_code": MUNICIPALITIES, "commuting_area_code": [f"area {a}" for a in area]})
    difference = 100 * (p - 1 / (1 + np.exp(-linear)))
    truth = pd.DataFrame({"municipality_code": MUNICIPALITIES, "effect": effect, "difference": difference})
    return counts, frame, areas, truth


def _family_counts(rng: np.random.Generator, n: np.ndarray, p: Floats, icc: float) -> Floats:
    """Return counts in which members of a family share a beta-distributed chance of intra-class correlation `icc`."""
    k = np.zeros(len(n))
    for m in range(len(n)):
        members = rng.choice([1, 2, 3, 4, 5], n[m], p=[0.25, 0.2, 0.2, 0.2, 0.15])
        members = members[: int(np.searchsorted(members.cumsum(), n[m])) + 1]
        members[-1] -= members.sum() - n[m]
        spread = (1 - icc) / icc
        k[m] = rng.binomial(members, rng.beta(p[m] * spread, (1 - p[m]) * spread, len(members))).sum()
    return k


def people(seed: int, persons: int = 40_000, sd: float = 0.2, areas: int = 25, years: int = 8) -> pd.DataFrame:
    """Return persons as `spells.person_periods` gives them, with planted municipal effects in the column `effect`.

    Hazard per 13 weeks: cloglog, falling baseline, traits, two labour-market conditions of the commuting area.
    """
    rng = np.random.default_rng(seed)
    share = sizes(rng)
    m = rng.choice(98, persons, p=share / share.sum())
    area = rng.integers(0, areas, 98)
    effect = rng.normal(0, sd, 98) if sd else np.zeros(98)
    market = rng.normal(size=(areas, years, 2)) * [0.25, 0.15]
    year = rng.integers(0, years, persons)
    frame = pd.DataFrame({"municipality_code": np.array(MUNICIPALITIES)[m]})
    frame["sex"] = rng.choice(["M", "K"], persons, p=[0.6, 0.4])
    frame["age"] = rng.choice(["18-29", "30-39", "40-64"], persons)
    frame["basis"] = rng.choice(["asylum", "family"], persons)
    frame["education"] = rng.choice(["none", "basic", "more"], persons, p=[0.3, 0.4, 0.3])
    frame["market_1"], frame["market_2"] = market[area[m], year, 0], market[area[m], year, 1]
    linear = (
        -3.0 + 0.5 * (frame["sex"] == "M") - 0.4 * (frame["age"] == "40-64") + 0.3 * (frame["education"] == "more")
        - 0.2 * (frame["basis"] == "family") + frame["market_1"] - frame["market_2"]
    ).to_numpy() + effect[m]  # fmt: skip
    count = np.full(persons, 12)
    late = rng.random(persons) < 0.3
    count[late] = rng.integers(1, 13, late.sum())
    job = np.zeros(persons, dtype=bool)
    ended = count.copy()
    for t in range(12):
        hazard = -np.expm1(-np.exp(linear + 0.3 - 0.06 * t))
        hit = ~job & (t < count) & (rng.random(persons) < hazard)
        ended[hit] = t + 1
        job |= hit
    frame["interval_count"], frame["job_interval"], frame["has_job"] = ended, job, job
    frame["weeks"] = 13.0 * ended - np.where(job, rng.uniform(0.1, 12.9, persons), 0)
    frame["linear"], frame["effect"], frame["permit_year"] = linear, effect[m], 2008 + year
    return frame


TRAITS = ["sex", "age", "basis", "education", "market_1", "market_2"]


def true_weeks(frame: pd.DataFrame) -> pd.Series:
    """Return per municipality the planted difference in mean weeks: with minus without its effect."""
    baseline = 0.3 - 0.06 * np.arange(12)

    def weeks(linear: Floats) -> Floats:
        survival = np.cumprod(np.exp(-np.exp(linear[:, None] + baseline)), axis=1)
        return np.asarray(13 * ((1 + survival[:, 0]) / 2 + (survival[:, :-1] + survival[:, 1:]).sum(axis=1) / 2))

    linear = frame["linear"].to_numpy()
    change = pd.Series(weeks(linear) - weeks(linear - frame["effect"].to_numpy()), index=frame.index)
    return change.groupby(frame["municipality_code"]).mean()


METHOD_EFFECTS = {"private": 0.40, "public": 0.0, "danish": 0.20}
INTERACTION = 0.30  # private placement where staff sit together


def exposures(seed: int, persons: int = 30_000, ready_effect: float = 0.8) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return persons and measures: methods begin at random times, only for those still looking, and raise the hazard.

    `public` does nothing but is given to those who are job-ready and find work anyway.
    """
    rng = np.random.default_rng(seed)
    m = rng.integers(0, 98, persons)
    colocated, factory = (np.arange(98) % 2).astype(float), np.sin(np.arange(98))
    effect, slope = rng.normal(0, 0.15, 98), rng.normal(0, 0.1, (98, 3))
    ready = rng.random(persons) < 0.5
    frame = pd.DataFrame({"person_id": np.arange(persons), "municipality_code": np.array(MUNICIPALITIES)[m]})
    frame["sex"] = rng.choice(["M", "K"], persons)
    frame["age"] = rng.choice(["18-29", "30-64"], persons)
    frame["ready"] = np.where(ready, "yes", "no")
    linear = -4.2 + 0.5 * (frame["sex"] == "M").to_numpy() + ready_effect * ready + effect[m]
    chance = np.column_stack([np.full(persons, 0.4), np.where(ready, 0.6, 0.15), np.full(persons, 0.7)])
    start = np.where(rng.random((persons, 3)) < chance, rng.gamma(2, 16, (persons, 3)), np.inf)
    log_ratio = np.array(list(METHOD_EFFECTS.values())) + slope[m]
    log_ratio[:, 0] += INTERACTION * (colocated[m] - 0.5)
    weeks, job = np.full(persons, 156.0), np.zeros(persons, dtype=bool)
    for step in range(39):
        begun = start <= 4 * step
        hazard = -np.expm1(-np.exp(linear + (begun * log_ratio).sum(axis=1)))
        hit = ~job & (rng.random(persons) < hazard)
        weeks[hit] = 4 * step + rng.uniform(0.1, 3.9, hit.sum())
        job |= hit
    frame["weeks"], frame["has_job"] = weeks, job
    who, kind = np.nonzero(start < weeks[:, None])
    begin = start[who, kind]
    measures = pd.DataFrame(
        {"person_id": who, "method_code": np.array(list(METHOD_EFFECTS))[kind], "start_week": begin}
    )
    measures["end_week"] = np.minimum(begin + 13, weeks[who])
    frame.attrs["contexts"] = pd.DataFrame(
        {"municipality_code": MUNICIPALITIES, "is_colocated": colocated, "factory_share": factory}
    )
    return frame, measures


def assessed(modelled: Modelled, outcome_id: str) -> pd.DataFrame:
    """Return the rows of `mart.expected` for one outcome, compared among themselves."""
    rows = assess(modelled.rows)[COLUMNS]
    return rows[rows["outcome_id"] == outcome_id].reset_index(drop=True)


FOLLOWED = ["first_interval", "interval_count", "job_interval", "has_left"]


def counted(persons: pd.DataFrame, covariates: list[str]) -> Tally:
    """Return persons in cells; where nothing else is told, followed from the first interval on, and nobody left."""
    told = persons.assign(first_interval=persons.get("first_interval", 0), has_left=persons.get("has_left", False))
    return tally(told, ["municipality_code", *covariates, *FOLLOWED])
