"""What a municipality could expect under its conditions, from counts: `mart.expected` without person data.

Source of the form: KORA 2016 and 2017 and the ministry's benchmark compute the outcome from conditions without
municipality effects; the observed minus that expectation is what the municipality adds. See `ranking.py` for
intervals and groups, `random_effect.py` for the fit, `durations.py` for person-level times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from transforms.statistics.intervals import (
    Z95,
    Floats,
    classify,
    difference_interval,
    explained_share,
    rank_intervals,
    wilson_interval,
)
from transforms.statistics.random_effect import RandomEffectFit, binomial_random_effect

if TYPE_CHECKING:
    import pandas as pd


# The shape of `mart.expected` rows, shared by the models that fill it.


COLUMNS = [
    "municipality_code", "outcome_id", "period", "observed", "expected", "difference", "difference_low",
    "difference_high", "shrunk_difference", "rank_low", "rank_high", "n_count", "assessment",
    "explained_share", "method", "value_status",
]  # fmt: skip
FLOATS = [*COLUMNS[3:9], "explained_share"]
INTEGERS = ["rank_low", "rank_high", "n_count"]
TEXTS = ["municipality_code", "outcome_id", "period", "assessment", "method", "value_status"]


def assemble(base: pd.DataFrame, estimates: pd.DataFrame, outcome_id: str, period: str, method: str) -> pd.DataFrame:
    """Return COLUMNS with one row per row of `base`, sorted by code; what was not estimated is empty, never NaN.

    `base`: municipality_code, value_status, n_count. `estimates`: municipality_code and any of the other columns.
    A municipality without estimate is `too_small` when suppressed and has an empty assessment when missing.
    """
    out = base.merge(estimates, on="municipality_code", how="left", validate="one_to_one")
    out = out.sort_values("municipality_code", ignore_index=True)
    out["outcome_id"], out["period"], out["method"] = outcome_id, period, method
    out = out.reindex(columns=COLUMNS)
    suppressed = out["value_status"] == "suppressed"
    out["n_count"] = out["n_count"].where(~suppressed)
    out["assessment"] = out["assessment"].astype("string").mask(suppressed, "too_small")
    types = {**dict.fromkeys(FLOATS, "Float64"), **dict.fromkeys(INTEGERS, "Int64"), **dict.fromkeys(TEXTS, "string")}
    return out.astype(types)


METHOD = "indirect_standardisation+binomial_random_effect"
MIN_N = 20  # no rate from a denominator below 20
SUPPRESS_BELOW = 5


def indirect_standardisation(cells: pd.DataFrame, strata: list[str]) -> pd.DataFrame:
    """Return observed and expected shares per municipality from national rates per stratum.

    Input: municipality_code, the `strata` columns, n (persons), k (persons with the outcome); an unknown count
    is missing, never 0. The national rate of a stratum is taken over the cells where both are known, and
    expected = sum_c n_mc r_c / sum_c n_mc (Inskip 2005, Standardization methods). Output, one row per
    municipality: municipality_code, n, k, expected_rate (0-1), value_status (observed | suppressed | missing):
    `suppressed` where a count is hidden (no k is made up), `missing` where no n is known or a stratum has no rate.
    """
    import pandas as pd

    frame = cells[["municipality_code", *strata, "n", "k"]].copy()
    known = frame[frame["n"].notna() & frame["k"].notna()]
    national = known.groupby(strata, dropna=False, observed=True)[["n", "k"]].sum()
    rate = (national["k"] / national["n"].where(national["n"] > 0)).rename("rate").reset_index()
    frame = frame.merge(rate, on=strata, how="left")
    frame["hidden"] = frame["k"].isna()
    frame["unusable"] = frame["n"].isna() | (frame["rate"].isna() & (frame["n"] > 0))
    frame["fitted"] = frame["n"] * frame["rate"].fillna(0)
    out = frame.groupby("municipality_code", as_index=False).agg(
        n=("n", "sum"), k=("k", "sum"), fitted=("fitted", "sum"), hidden=("hidden", "any"), unusable=("unusable", "any")
    )
    empty = out["n"] <= 0
    out["value_status"] = np.select([out["unusable"] | empty, out["hidden"]], ["missing", "suppressed"], "observed")
    out["expected_rate"] = (out["fitted"] / out["n"].where(~empty)).where(out["value_status"] != "missing")
    out["k"] = out["k"].where(out["value_status"] == "observed")
    out["n"] = out["n"].where(out["value_status"] != "missing")
    return pd.DataFrame(out[["municipality_code", "n", "k", "expected_rate", "value_status"]])


def difference_z(k: Floats, n: Floats, fit: RandomEffectFit) -> tuple[Floats, Floats]:
    """Return the z-value of "no own effect" per municipality and the correlation of its two error parts.

    The signed root of the binomial deviance (skew counts keep their tail) is scaled down by the uncertainty
    of the fixed part; both parts share the municipality's own data, hence the correlation.
    """
    from scipy.special import xlogy

    p = fit.expected
    noise = 1 / (n * p * (1 - p))
    deviance = 2 * (xlogy(k, k / (n * p)) + xlogy(n - k, (n - k) / (n * (1 - p))))
    z = np.sign(k - n * p) * np.sqrt(np.maximum(deviance, 0))
    both = fit.sd**2 + noise
    variance = noise + fit.linear_variance - 2 * noise * fit.linear_variance / both
    leverage = np.clip(fit.linear_variance / both, 0, 1)
    return z * np.sqrt(noise / np.maximum(variance, 1e-12)), np.sqrt(leverage * noise / both)


def _status(frame: pd.DataFrame, conditions: list[str]) -> pd.Series[str]:
    """Return per row: missing, suppressed, or estimated when the model can speak of it."""
    missing = frame["n"].isna() | (frame["n"] <= 0) | frame[conditions].isna().any(axis=1)
    status = frame["value_status"].where(frame["value_status"].isin(["suppressed", "missing"]), "estimated")
    status = status.where(~(frame["k"].isna() & (status == "estimated")), "missing")
    status = status.where(~(missing & (status == "estimated")), "missing")
    return status.where(~(frame["n"] < SUPPRESS_BELOW), "suppressed")


def _estimates(k: Floats, n: Floats, fit: RandomEffectFit, higher_is_better: bool, min_n: int) -> pd.DataFrame:
    """Return the estimated columns of `mart.expected`, shares as pct and differences as percentage points."""
    import pandas as pd

    expected = fit.expected
    z, correlation = difference_z(k, n, fit)
    margin = Z95 * np.sqrt(fit.linear_variance)
    fitted = (expected, 1 / (1 + np.exp(margin - fit.linear)), 1 / (1 + np.exp(-margin - fit.linear)))
    low, high = difference_interval((k / n, *wilson_interval(k, n)), fitted, correlation)
    error = expected * (1 - expected) * fit.effect_sd
    first, last = rank_intervals(fit.shrunk_difference, error, higher_is_better=higher_is_better)
    judged = n >= min_n
    return pd.DataFrame({
        "observed": 100 * k / n, "expected": 100 * expected, "difference": 100 * (k / n - expected),
        "difference_low": 100 * low, "difference_high": 100 * high,
        "shrunk_difference": 100 * fit.shrunk_difference, "rank_low": first, "rank_high": last,
        "assessment": classify(z, n, min_n, higher_is_better),
        "explained_share": explained_share(k[judged] / n[judged], expected[judged]),
    })  # fmt: skip


def municipal_expectations(
    counts: pd.DataFrame, conditions: pd.DataFrame, *, outcome_id: str, period: str,
    higher_is_better: bool = True, min_n: int = MIN_N,
) -> pd.DataFrame:  # fmt: skip
    """Return the rows of `mart.expected` for one outcome and period: every municipality of `counts`, once.

    Input `counts`: municipality_code, k, n, value_status, optional expected_rate (0-1, from
    `indirect_standardisation`, enters as offset logit). Input `conditions`: municipality_code and one numeric
    column per framework condition. Output: `contract.COLUMNS`; shares in pct, differences in percentage points,
    rank 1 = best. Rows that cannot be judged keep a status and no number: `suppressed` under 5 persons or hidden
    at the source, `missing` without count or condition. Raises DataRefused when too few municipalities are left
    for the conditions.
    """
    import pandas as pd

    names = [c for c in conditions.columns if c != "municipality_code"]
    frame = counts.merge(conditions, on="municipality_code", how="left", validate="one_to_one")
    frame["value_status"] = _status(frame, names)
    frame["n_count"] = frame["n"].round()
    part = frame[frame["value_status"] == "estimated"].sort_values("municipality_code", ignore_index=True)
    estimates = pd.DataFrame({"municipality_code": part["municipality_code"]})
    if len(part):
        offset = None
        if "expected_rate" in part:
            rate = part["expected_rate"].to_numpy(np.float64).clip(1e-4, 1 - 1e-4)
            offset = np.log(rate / (1 - rate))
        k, n = part["k"].to_numpy(np.float64), part["n"].to_numpy(np.float64)
        fit = binomial_random_effect(k, n, part[names], offset)
        estimates = pd.concat([estimates, _estimates(k, n, fit, higher_is_better, min_n)], axis=1)
    base = frame[["municipality_code", "value_status", "n_count"]]
    return assemble(base, estimates, outcome_id, period, METHOD)
