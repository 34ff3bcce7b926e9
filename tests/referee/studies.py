"""Simulated worlds with known truth, and how often the models are right in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tests.unit.models.simulator import (
    METHOD_EFFECTS,
    MUNICIPALITIES,
    TRAITS,
    assessed,
    counted,
    departed,
    exposures,
    people,
    true_weeks,
)
from tests.unit.models.test_programme import compare
from transforms.models.durations import model_durations
from transforms.models.expected import model_shares
from transforms.models.methods import method_effects
from transforms.models.spells import exposure_spans, histories
from transforms.statistics.hazard import build_cells, fit_hazard
from transforms.statistics.intervals import Z95

METHOD_TRAITS = ["sex", "age", "ready"]


@dataclass(frozen=True)
class Found:
    """What one world gave: share covered by the 95 % intervals, false calls, share of true effects called, rank."""

    covered: float
    false_calls: int
    power: float
    rank: float


@dataclass(frozen=True)
class Row:
    """A study's line in the table; the error is the Monte Carlo standard error of the figure before it."""

    name: str
    worlds: int
    covered: float
    covered_error: float
    any_false: float
    any_error: float
    power: float
    rank: float


def judge(out: pd.DataFrame, effect: np.ndarray, difference: np.ndarray, better: float = 1.0) -> Found:
    """Return how a model's rows compare with the planted effects and differences."""
    low, high = (out[c].to_numpy(np.float64) for c in ("single_low", "single_high"))
    called = out["assessment"].map({"better": better, "worse": -better}).fillna(0).to_numpy(np.float64)
    false = (called != 0) & (np.sign(difference) != called)
    real = np.abs(effect) > 0.1
    hit = (called != 0) & ~false & real
    shrunk = out["shrunk_difference"].astype("float64")
    rank = shrunk.corr(pd.Series(difference, shrunk.index), method="spearman") if real.any() else np.nan
    covered = float(np.nanmean((low <= difference) & (difference <= high)))
    return Found(covered, int(false.sum()), float(hit.sum() / max(real.sum(), 1)), float(rank))


def shares(seed: int, departure: str | None = None, sd: float = 0.0, conditions: int = 3, icc: float = 0.3) -> Found:
    """Return what a world of shares gave."""
    counts, frame, areas, truth = departed(seed, departure, sd, conditions, icc)
    out = assessed(model_shares({"2016": (counts, frame)}, outcome_id="a", least=5, areas=areas), "a")
    # A municipality without an own effect differs by nothing; the calculation of the truth leaves 1e-15.
    difference = truth["difference"].where(truth["effect"] != 0, 0.0)
    return judge(out, truth["effect"].to_numpy(), difference.to_numpy())


def together(seed: int, sd: float = 0.0, years: int = 6) -> Found:
    """Return what the newest of several years, fitted together, gave; own effects stay the same throughout."""
    effect = np.random.default_rng(5000 + seed).normal(0, sd, 98) if sd else np.zeros(98)
    worlds = {str(2016 + year): departed(1000 * seed + year, own=effect, conditions=12) for year in range(years)}
    given = {period: world[:2] for period, world in worlds.items()}
    newest, (_, _, areas, truth) = list(worlds.items())[-1]
    modelled = model_shares(given, outcome_id="a", least=5, areas=areas)
    out = assessed(modelled, "a")
    difference = truth["difference"].where(truth["effect"] != 0, 0.0)
    return judge(out[out["period"] == newest].reset_index(drop=True), truth["effect"].to_numpy(), difference.to_numpy())


def durations(seed: int, departure: str | None = None, sd: float = 0.0) -> Found:
    """Return what a world of times to a job gave: plain, with a trend over cohorts, or with an area effect."""
    persons, areas = people(seed, sd=sd), None
    rng = np.random.default_rng(1000 + seed)
    area = dict(zip(MUNICIPALITIES, rng.integers(0, 25, 98), strict=True))
    areas = pd.DataFrame({"municipality_code": list(area), "commuting_area_code": [f"a{a}" for a in area.values()]})
    added = np.zeros(len(persons))
    if departure == "area":
        added = persons["municipality_code"].map(area).map(dict(enumerate(rng.normal(0, 0.15, 25)))).to_numpy()
    year = (persons["permit_year"] - persons["permit_year"].min()).to_numpy()
    if departure in {"rising", "falling"}:
        added = (0.4 if departure == "rising" else -0.4) * np.clip((year - 5) / 2, 0, 1)
    if departure:
        persons = redrawn(persons, added, year if departure in {"rising", "falling"} else None, rng)
    out = assessed(
        model_durations(counted(persons, TRAITS), TRAITS, outcome_id="weeks", period="2016", areas=areas), "weeks"
    )
    out = out[(out["n_count"] >= 80).fillna(False)].set_index("municipality_code")
    effect = persons.groupby("municipality_code")["effect"].first().reindex(out.index).to_numpy()
    truth = true_weeks(persons).reindex(out.index).where(effect != 0, 0.0).to_numpy()
    return judge(out, effect, truth, better=-1.0)


def redrawn(
    persons: pd.DataFrame, added: np.ndarray, year: np.ndarray | None, rng: np.random.Generator
) -> pd.DataFrame:
    """Return the persons with times drawn anew, `added` to their linear predictor; late cohorts followed shortly."""
    linear = persons["linear"].to_numpy() + added
    size = len(persons)
    count = np.full(size, 12)
    late = rng.random(size) < 0.3
    count[late] = rng.integers(1, 13, late.sum())
    if year is not None:
        count = np.clip(4 * (8 - year) - rng.integers(0, 4, size), 1, 12)
    job, ended = np.zeros(size, dtype=bool), count.copy()
    for t in range(12):
        hazard = -np.expm1(-np.exp(linear + 0.3 - 0.06 * t))
        hit = ~job & (t < count) & (rng.random(size) < hazard)
        ended[hit] = t + 1
        job |= hit
    return persons.assign(
        interval_count=ended, job_interval=job, has_job=job, linear=linear, weeks=13.0 * ended - np.where(job, 6.0, 0.0)
    )


STUDIES: dict[str, Callable[[int], Found]] = {
    "shares, nobody differs": lambda seed: shares(seed),
    "shares, families (ICC 0.1)": lambda seed: shares(seed, "households", icc=0.1),
    "shares, families (ICC 0.3)": lambda seed: shares(seed, "households"),
    "shares, a condition acts curved": lambda seed: shares(seed, "curved"),
    "shares, a condition acts as a step": lambda seed: shares(seed, "threshold"),
    "shares, two conditions act together": lambda seed: shares(seed, "product"),
    "shares, one outlier of 0.5": lambda seed: shares(seed, "outlier"),
    "shares, area effect of 0.15": lambda seed: shares(seed, "area"),
    "shares, twelve conditions, nobody differs": lambda seed: shares(seed, conditions=12),
    "shares, twelve conditions, families (ICC 0.3)": lambda seed: shares(seed, "households", conditions=12),
    "shares, twelve conditions, one curved": lambda seed: shares(seed, "curved", conditions=12),
    "shares, own effects of 0.25": lambda seed: shares(seed, sd=0.25),
    "shares, twelve conditions, own effects of 0.25": lambda seed: shares(seed, sd=0.25, conditions=12),
    "shares, twelve conditions and six years, nobody differs": lambda seed: together(seed),
    "shares, twelve conditions and six years, own effects of 0.25": lambda seed: together(seed, sd=0.25),
    "shares, twelve conditions, a step": lambda seed: shares(seed, "threshold", conditions=12),
    "times, nobody differs": lambda seed: durations(seed),
    "times, rising trend over cohorts": lambda seed: durations(seed, "rising"),
    "times, falling trend over cohorts": lambda seed: durations(seed, "falling"),
    "times, area effect of 0.15": lambda seed: durations(seed, "area"),
    "times, own effects of 0.2": lambda seed: durations(seed, sd=0.2),
}


def run(name: str, worlds: int) -> Row:
    """Return a study's line over `worlds` worlds, seeds 0, 1, 2, …"""
    found = [STUDIES[name](seed) for seed in range(worlds)]
    covered, calls = np.array([f.covered for f in found]), np.array([f.false_calls > 0 for f in found])
    share = float(calls.mean())
    return Row(
        name, worlds, float(covered.mean()), float(covered.std() / np.sqrt(worlds)), share,
        float(np.sqrt(max(share * (1 - share), 1 / worlds / 4) / worlds)), float(np.mean([f.power for f in found])),
        float(np.mean([f.rank for f in found])),
    )  # fmt: skip


def follow_up(
    correlation: float, effect: float, worlds: int, chosen_on: str = "measured"
) -> list[tuple[str, float, float, float]]:
    """Return per comparison its mean error, the Monte Carlo error of that, and the share of intervals that cover."""
    found = [compare(seed, effect, correlation, chosen_on) for seed in range(worlds)]
    rows = []
    for name in ("all_others", "same_starting_point", "matched_beyond_regression"):
        values = np.array([float(out.loc[name, "difference"]) for out in found]) - effect
        hits = [out.loc[name, "difference_low"] <= effect <= out.loc[name, "difference_high"] for out in found]
        rows.append((name, float(values.mean()), float(values.std() / np.sqrt(worlds)), float(np.mean(hits))))
    return rows


def methods(worlds: int, persons: int = 20_000) -> list[tuple[str, str, float, float, float]]:
    """Return per method and way of fitting the mean error of its log ratio, its Monte Carlo error, and the coverage.

    Two stages is what is published (each municipality's ratio, then pooled); one stage fits one ratio for all.
    """
    found: dict[tuple[str, str], list[tuple[float, bool]]] = {}
    for seed in range(worlds):
        frame, measures = exposures(100 + seed, persons)
        told, exposed = histories(frame, measures, METHOD_TRAITS)
        two = method_effects(told, exposed, METHOD_TRAITS, outcome_id="weeks").set_index(
            ["method_code", "context_code"]
        )
        codes = sorted(exposed)
        cells = build_cells([exposure_spans(told, codes)], METHOD_TRAITS, 13, intervals_per_period=3, bits=len(codes))
        one = fit_hazard(cells)
        for k, code in enumerate(codes):
            planted, row = METHOD_EFFECTS[code], two.loc[(code, "all")]
            low, high = np.log(row["hazard_ratio_low"]), np.log(row["hazard_ratio_high"])
            error = float(np.log(row["hazard_ratio"])) - planted
            found.setdefault((code, "two stages"), []).append((error, bool(low <= planted <= high)))
            place = cells.periods + k
            half = Z95 * float(np.sqrt(one.covariance[place, place]))
            miss = float(one.beta[k]) - planted
            found.setdefault((code, "one stage"), []).append((miss, abs(miss) <= half))
    rows = []
    for (code, way), results in found.items():
        errors = np.array([error for error, _ in results])
        error = float(errors.std() / np.sqrt(worlds))
        rows.append((code, way, float(errors.mean()), error, float(np.mean([hit for _, hit in results]))))
    return rows
