"""Shares with a first job: against the truth, against a plain count, and withheld where too little stands behind."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

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


def by_person(persons: pd.DataFrame, years: int) -> float:
    """Return the share with a job within so many years, interval by interval, from the persons one by one."""
    here = persons[persons["interval_count"] > persons["first_interval"]]
    stays, share = 1.0, 0.0
    for t in range(4 * years):
        risk = ((here["first_interval"] <= t) & (here["interval_count"] > t)).sum()
        jobs = (here["job_interval"] & (here["interval_count"] == t + 1)).sum()
        gone = (here["has_left"] & ~here["job_interval"] & (here["interval_count"] == t)).sum()
        stays *= risk / (risk + gone) if gone else 1.0
        share += stays * jobs / risk if risk else 0.0
        stays *= 1 - jobs / risk if risk else 1.0
    return 100 * share


def mixed(municipalities: int, each: int) -> pd.DataFrame:
    """Return persons of whom some came late, some left and some are followed for a short time only."""
    persons = followed(0.12, municipalities, each, seed=7, spread=0.4)
    rng = np.random.default_rng(7)
    persons["first_interval"] = np.where(rng.random(len(persons)) < 0.2, rng.integers(1, 6, len(persons)), 0)
    cut = rng.integers(1, 13, len(persons))
    short = (cut < persons["interval_count"]) & (rng.random(len(persons)) < 0.5)
    persons.loc[short, "interval_count"], persons.loc[short, "job_interval"] = cut[short], False
    persons["has_left"] = short & (rng.random(len(persons)) < 0.5)
    return persons


def test_shares_and_their_jackknife_by_person_when_some_come_late_and_some_leave() -> None:
    persons = mixed(12, 30)
    shares = shares_of(persons, pd.Series("all", index=persons.index)).set_index("within_years")
    codes = persons.loc[persons["interval_count"] > persons["first_interval"], "municipality_code"].unique()
    for years in (1, 2, 3):
        whole = by_person(persons, years)
        without = np.array([by_person(persons[persons["municipality_code"] != code], years) for code in codes])
        half = student(11).ppf(0.975) * np.sqrt(11 / 12 * ((without - without.mean()) ** 2).sum())
        row = shares.loc[years]
        assert row["first_job_share_pct"] == pytest.approx(whole)
        assert row["first_job_share_low_pct"] == pytest.approx(max(whole - half, 0))
        assert row["first_job_share_high_pct"] == pytest.approx(min(whole + half, 100))
    assert (shares["municipality_count"] == 12).all()
    assert (shares["n_count"] == (persons["interval_count"] > persons["first_interval"]).sum()).all()


def test_an_interval_ends_at_none_and_at_all() -> None:
    """One municipality where all find a job at once beside others where nobody does, and the other way round."""
    persons = followed(0.1, 12, 20).assign(interval_count=12, job_interval=False)
    lucky = persons["municipality_code"] == "100"
    few = persons.assign(job_interval=lucky, interval_count=np.where(lucky, 1, 12))
    many = persons.assign(job_interval=~lucky, interval_count=np.where(lucky, 12, 1))
    for world, end, bound in ((few, "low", 0.0), (many, "high", 100.0)):
        told = shares_of(world, pd.Series("all", index=world.index))
        assert (told[f"first_job_share_{end}_pct"] == bound).all()


@pytest.mark.parametrize(("municipalities", "told"), [(9, True), (8, False)])
def test_ten_municipalities_are_enough_for_an_interval(municipalities: int, told: bool) -> None:
    persons = followed(0.1, municipalities, 30)
    single = persons.iloc[:1].assign(municipality_code="999", interval_count=1, job_interval=False)
    persons = pd.concat([persons, single], ignore_index=True)
    # Who was never at risk anywhere tells nothing of a municipality.
    nobody = followed(0.1, 11, 1).assign(interval_count=0, job_interval=False)
    shares = shares_of(
        pd.concat([persons, nobody], ignore_index=True), pd.Series("all", index=range(len(persons) + 11))
    )
    assert (shares["value_status"] == ("estimated" if told else "suppressed")).all()


def test_few_who_are_followed_to_the_last_interval_are_told_nothing_of() -> None:
    """The twelfth interval of three years is begun by 15 persons or by 14; after two years there are more."""
    persons = followed(0.1, 20, 10).assign(job_interval=False, interval_count=11)
    for count, told in ((15, True), (14, False)):
        persons.loc[: count - 1, "interval_count"] = 12
        persons.loc[count:, "interval_count"] = 11
        shares = shares_of(persons, pd.Series("all", index=persons.index)).set_index("within_years")
        assert (shares.loc[[1, 2], "value_status"] == "estimated").all()
        assert shares.loc[3, "value_status"] == ("estimated" if told else "suppressed")
