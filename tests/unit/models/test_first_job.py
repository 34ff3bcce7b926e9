"""Shares with a first job: against the truth, against a plain count, and withheld where too little stands behind."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from transforms.models.durations import first_job_shares
from transforms.statistics.tally import tally


def followed(hazard: float, municipalities: int, each: int, seed: int = 1, spread: float = 0.0) -> pd.DataFrame:
    """Return persons followed for twelve intervals, each with the same chance of a job in every interval."""
    rng = np.random.default_rng(seed)
    codes = np.repeat([f"{100 + i}" for i in range(municipalities)], each)
    level = np.repeat(np.exp(rng.normal(0, spread, municipalities)), each)
    waits = rng.geometric(np.minimum(hazard * level, 0.9))
    job = waits <= 12
    return pd.DataFrame(
        {
            "person_id": [f"p{i}" for i in range(len(codes))],
            "municipality_code": codes,
            "first_interval": 0,
            "interval_count": np.where(job, waits, 12),
            "job_interval": job,
            "has_left": False,
        }
    )


def shares_of(persons: pd.DataFrame, group: pd.Series, few: int = 15) -> pd.DataFrame:
    """Return the shares per group, nobody having been in two municipalities."""
    names = ["municipality_code", "first_interval", "interval_count", "job_interval", "has_left"]
    parts = {str(code): tally(part, names) for code, part in persons.groupby(group)}
    seen = persons[persons["interval_count"] > persons["first_interval"]]
    followed = {str(code): len(part) for code, part in seen.groupby(group)}
    return first_job_shares(parts, followed, is_few=lambda name, n: n < few)


def test_without_censoring_the_share_is_the_plain_count() -> None:
    persons = followed(0.1, 20, 50)
    group = pd.Series(np.where(np.arange(len(persons)) % 2 == 0, "a", "b"), index=persons.index)
    shares = shares_of(persons, group).set_index(["breakdown_code", "within_years"])
    for code in ("a", "b"):
        part = persons[group == code]
        for years in (1, 2, 3):
            plain = 100 * (part["job_interval"] & (part["interval_count"] <= 4 * years)).mean()
            assert shares.loc[(code, years), "first_job_share_pct"] == pytest.approx(plain, abs=1e-9)


def test_the_interval_covers_the_truth_when_municipalities_differ() -> None:
    covered = 0
    for seed in range(60):
        shares = shares_of(followed(0.1, 30, 60, seed, 0.3), pd.Series("all", index=range(1800)))
        levels = np.exp(np.random.default_rng(9).normal(0, 0.3, 4000))
        truth = np.mean(1 - (1 - np.minimum(0.1 * levels, 0.9)) ** 4)
        low, high = shares.loc[0, ["first_job_share_low_pct", "first_job_share_high_pct"]]
        covered += low <= 100 * truth <= high
    assert covered >= 52


def test_leaving_is_a_competing_end_and_not_the_end_of_what_is_known() -> None:
    persons = followed(0.1, 20, 50)
    gone = persons.assign(has_left=False)
    half = gone.index % 2 == 0
    gone.loc[half, ["interval_count", "job_interval", "has_left"]] = [0, False, True]
    gone.loc[half, "interval_count"] = 1
    shares = shares_of(gone, pd.Series("all", index=gone.index))
    plain = 100 * (gone["job_interval"]).mean()
    assert shares.loc[2, "first_job_share_pct"] == pytest.approx(plain, abs=1e-9)


def test_few_persons_or_municipalities_are_withheld() -> None:
    for persons in (followed(0.1, 20, 1), followed(0.1, 9, 100)):
        shares = shares_of(persons, pd.Series("all", index=persons.index), 25)
        assert set(shares["value_status"]) == {"suppressed"}
        assert shares["first_job_share_pct"].isna().all()
