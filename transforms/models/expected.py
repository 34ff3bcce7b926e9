"""What a municipality could expect under its conditions, set against what is observed: `mart.expected`.

Source of the form: KORA 2016 and 2017 and the ministry's benchmark compute the outcome from conditions without
municipality effects; observed minus expected is what the conditions do not explain. The expectation of each
municipality comes from all the OTHERS (`random_effect.py`); interval, ranks and assessment are read off one
difference and one standard error (`assess`). `durations.py` does the same for times from person rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from transforms.statistics.intervals import Z95, Floats, compare_all, explained_share, rank_interval
from transforms.statistics.random_effect import LevelFit, Year, fit_levels

COLUMNS = [
    "municipality_code", "outcome_id", "period", "observed", "expected", "difference", "standard_error",
    "single_low", "single_high", "difference_low", "difference_high", "shrunk_difference", "rank_low", "rank_high",
    "n_count", "assessment", "is_unusual", "filled_conditions_count", "explained_share", "method", "value_status",
]  # fmt: skip
"""The columns of `mart.expected`, shared by the models that fill it."""
FLOATS = [*COLUMNS[3:12], "explained_share", "shrunk_error", "unusual_z"]
INTEGERS = ["rank_low", "rank_high", "n_count", "filled_conditions_count"]
TEXTS = ["municipality_code", "outcome_id", "period", "assessment", "method", "value_status"]
INNER = ["shrunk_error", "unusual_z", "is_judged", "is_higher_better", "family"]
"""What `assess` needs beside COLUMNS; never published."""
CARD = ["outcome_id", "period", "term", "kind", "value", "standard_error"]
"""The columns of `meta.model`, the model card: one row per coefficient, spread, size or check of a model."""
METHOD = "indirect_standardisation+binomial_levels"
MIN_N = 80
"""A municipality is judged from 80 persons on, for shares and times alike (AKF 2006 reports no smaller ones)."""
TOLERANCE_PCT_POINTS = 0.25
"""No expectation is taken to be known better than this (one standard deviation): the margin of relevance. It keeps a
very large municipality from being called over a difference that one decimal on the page would hide."""
UNUSUAL_Z = 3.09
"""Funnel limit of 998 in 1,000 (Spiegelhalter 2005) around what ordinary variation between municipalities allows."""


@dataclass(frozen=True)
class Modelled:
    """Rows of one outcome and period with what `assess` needs, and the model card they came from."""

    rows: pd.DataFrame
    card: pd.DataFrame


def assemble(base: pd.DataFrame, estimates: pd.DataFrame, outcome_id: str, period: str, method: str) -> pd.DataFrame:
    """Return COLUMNS and INNER, one row per row of `base`, sorted by code; what was not estimated is empty.

    `base`: municipality_code, value_status, n_count. `estimates`: municipality_code and any of the other columns.
    A municipality without estimate is `too_small` when suppressed and has an empty assessment when missing.
    """
    out = base.merge(estimates, on="municipality_code", how="left", validate="one_to_one")
    out = out.sort_values("municipality_code", ignore_index=True)
    out["outcome_id"], out["period"], out["method"] = outcome_id, period, method
    out = out.reindex(columns=[*COLUMNS, *INNER])
    suppressed = out["value_status"] == "suppressed"
    out["n_count"] = out["n_count"].where(~suppressed)
    out["assessment"] = out["assessment"].astype("string").mask(suppressed, "too_small")
    out["family"] = out["family"].fillna(f"{outcome_id} {period}").astype("string")
    out["is_judged"] = out["is_judged"].astype("boolean").fillna(False)
    return typed(out)


def typed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return COLUMNS and INNER in their types: what is unknown is empty, never NaN."""
    texts, truths = [*TEXTS, "family"], ["is_unusual", "is_higher_better", "is_judged"]
    types = {**dict.fromkeys(FLOATS, "Float64"), **dict.fromkeys(INTEGERS, "Int64")}
    return rows.astype({**types, **dict.fromkeys(texts, "string"), **dict.fromkeys(truths, "boolean")})


def held_against(codes: Iterable[str], observed: Floats, expected: Floats, error: Floats) -> pd.DataFrame:
    """Return what is observed beside what is expected: their difference, its standard error, and its 95 % interval."""
    difference = observed - expected
    return pd.DataFrame({
        "municipality_code": pd.Series(list(codes), dtype="object"), "observed": observed, "expected": expected,
        "difference": difference, "standard_error": error,
        "single_low": difference - Z95 * error, "single_high": difference + Z95 * error,
    })  # fmt: skip


def estimates_of(
    codes: Iterable[str], observed: Floats, expected: Floats, fit: LevelFit, slope: Floats,
    tolerance: float, judged: npt.NDArray[np.bool_], higher_is_better: bool,
) -> pd.DataFrame:  # fmt: skip
    """Return estimates on the outcome's own scale, from a fit on the linear scale and the slope between the two.

    One difference and one standard error carry everything that is said of a municipality: chance (families
    included), the error of what the others predict, and the tolerance.
    """
    difference = observed - expected
    error = np.sqrt((slope * fit.own_error) ** 2 + tolerance**2)
    between = (slope * fit.sd) ** 2
    weight = between / (between + error**2)
    return held_against(codes, observed, expected, error).assign(
        shrunk_difference=weight * difference, shrunk_error=np.sqrt(weight) * error,
        unusual_z=difference / np.sqrt(between + error**2), is_judged=judged, is_higher_better=higher_is_better,
        explained_share=explained_share(observed[judged], expected[judged]),
    )  # fmt: skip


def assess(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one or more outcomes with interval, ranks and assessment filled in, all of one comparison.

    Municipalities and outcomes of one `family` are compared together. `difference_low` and `difference_high` are
    adjusted for that comparison: they leave out zero for exactly those called better or worse. Ranks are those the
    two ends would have among the others. `is_unusual` says more: outside the funnel of ordinary variation between
    municipalities. Rows that are too small keep the interval and get no assessment but `too_small`.
    """
    out = rows.reset_index(drop=True)
    estimated = out["value_status"] == "estimated"
    for _, part in out[estimated].groupby("family", sort=True):
        z = (part["difference"] / part["standard_error"]).to_numpy(np.float64)
        found = compare_all(z, part["is_judged"].to_numpy(dtype=np.bool_))
        reach = found.critical * part["standard_error"]
        out.loc[part.index, "difference_low"] = part["difference"] - reach
        out.loc[part.index, "difference_high"] = part["difference"] + reach
        better = (z > 0) == part["is_higher_better"].to_numpy(dtype=np.bool_)
        small = ~part["is_judged"].to_numpy(dtype=np.bool_)
        words = np.select([small, ~found.called, better], ["too_small", "as_expected", "better"], "worse")
        out.loc[part.index, "assessment"] = words
        out.loc[part.index, "is_unusual"] = np.abs(part["unusual_z"].to_numpy(np.float64)) > UNUSUAL_Z
    for _, part in out[estimated & out["family"].notna()].groupby(["outcome_id", "period"], sort=True):
        low, high, best, spread = (
            out.loc[part.index, c].to_numpy(np.float64)
            for c in ("difference_low", "difference_high", "shrunk_difference", "shrunk_error")
        )
        first, last = rank_interval(low, high, best, spread, bool(part["is_higher_better"].iloc[0]))
        out.loc[part.index, "rank_low"], out.loc[part.index, "rank_high"] = first, last
    out.loc[out["assessment"] == "too_small", "is_unusual"] = None
    return out


def model_card(
    outcome_id: str, period: str, fit: LevelFit, observed: Floats, expected: Floats, n: Floats,
    *, judged: npt.NDArray[np.bool_], extra: list[tuple[str, str, float]],
) -> pd.DataFrame:  # fmt: skip
    """Return CARD rows: what the model used and how it did; coefficients on the linear scale, checks on the outcome's.

    Checks are out of sample, since every expectation comes from the other municipalities: the explained share, and
    the mean observed and expected in each fifth of the expectations (1 = lowest), which agree when it is calibrated.
    """
    rows: list[tuple[str, str, float, float | None]] = [
        (str(name), "coefficient", float(value), float(error))
        for name, value, error in zip(fit.coefficients.index, fit.coefficients, fit.standard_errors, strict=True)
    ]
    rows += [(name, "left_out", 0.0, None) for name in fit.constant]
    rows += [
        ("between_municipalities", "spread", fit.sd, None), ("labour_market_area", "spread", fit.area_sd, None),
        *((name, "spread", value, None) for name, value in fit.bend_sd.items()),
        ("dispersion", "spread", fit.dispersion, None),
        ("municipalities", "size", float(len(observed)), None), ("judged", "size", float(judged.sum()), None),
        ("persons", "size", float(5 * np.round(n.sum() / 5)), None),
    ]  # fmt: skip
    share = explained_share(observed[judged], expected[judged])
    if share is not None:
        rows.append(("explained_out_of_sample", "check", share, None))
    fifth = np.floor(5 * np.argsort(np.argsort(expected, kind="stable"), kind="stable") / len(expected)).astype(int)
    for i in np.unique(fifth):
        here = fifth == i
        rows.append((f"fifth_{i + 1}_expected", "check", float(np.average(expected[here], weights=n[here])), None))
        rows.append((f"fifth_{i + 1}_observed", "check", float(np.average(observed[here], weights=n[here])), None))
    rows += [(term, kind, value, None) for term, kind, value in extra]
    card = pd.DataFrame(rows, columns=["term", "kind", "value", "standard_error"])
    return card.assign(outcome_id=outcome_id, period=period)[CARD]


def fill_conditions(
    conditions: pd.DataFrame, areas: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, pd.Series[int], dict[str, int]]:
    """Return conditions without gaps, the number filled in per municipality, and how often per condition.

    A gap takes the mean of the municipality's labour market, else that of all: the municipality stays and so does
    the condition, and what was filled in is told. A condition known for fewer than four in five is left out: the
    count then stands in the last result as minus the number that is known.
    """
    table = conditions.set_index("municipality_code").astype("float64")
    told: dict[str, int] = {}
    filled = pd.Series(0, index=table.index)
    for name in table.columns:
        gaps = table[name].isna()
        if gaps.mean() > 0.2:
            told[str(name)] = -int((~gaps).sum())
            table = table.drop(columns=name)
        elif gaps.any():
            told[str(name)] = int(gaps.sum())
            filled += gaps.astype("int64")
            near = pd.Series(np.nan, index=table.index)
            if areas is not None:
                area = areas.set_index("municipality_code")["commuting_area_code"].reindex(table.index)
                near = table[name].groupby(area).transform("mean")
            table[name] = table[name].fillna(near).fillna(table[name].mean())
    return table.reset_index(), filled, told


def indirect_standardisation(cells: pd.DataFrame, strata: list[str]) -> pd.DataFrame:
    """Return observed and expected shares per municipality from national rates per stratum.

    Input: municipality_code, the `strata` columns, n (persons), k (persons with the outcome); an unknown count
    is missing, never 0. The national rate of a stratum is taken over the cells where both are known, and
    expected = sum_c n_mc r_c / sum_c n_mc (Inskip 2005, Standardization methods). Output, one row per
    municipality: municipality_code, n, k, expected_rate (0-1), value_status (observed | suppressed | missing):
    `suppressed` where a count is hidden (no k is made up), `missing` where no n is known or a stratum has no rate.
    """
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


def _status(frame: pd.DataFrame, least: int) -> pd.Series[str]:
    """Return per row: missing, suppressed, or estimated when the model can speak of it."""
    status = frame["value_status"].where(frame["value_status"].isin(["suppressed", "missing"]), "estimated")
    unknown = frame["n"].isna() | frame["k"].isna() | ~frame["has_conditions"]
    status = status.where(~(unknown & (status == "estimated")), "missing")
    return status.where(~(frame["n"] < least), "suppressed")


@dataclass(frozen=True)
class _Shares:
    """A year's counts beside its conditions: all rows, the rows a model can speak of, and what was filled in."""

    frame: pd.DataFrame
    part: pd.DataFrame
    names: list[str]
    filled: pd.Series[int]
    told: dict[str, int]

    @property
    def counts(self) -> tuple[Floats, Floats, Floats]:
        """Return persons with the outcome, persons, and the logit of what age and sex lead one to expect."""
        k, n = self.part["k"].to_numpy(np.float64), self.part["n"].to_numpy(np.float64)
        if "expected_rate" not in self.part:
            return k, n, np.zeros(len(n))
        rate = self.part["expected_rate"].to_numpy(np.float64).clip(1e-4, 1 - 1e-4)
        return k, n, np.log(rate / (1 - rate))

    def as_year(self, areas: pd.DataFrame | None) -> Year:
        """Return the year as log odds of shares; `Response` is one scoring step of a binomial."""
        from scipy.special import expit

        k, n, offset = self.counts

        def respond(level: Floats) -> tuple[Floats, Floats]:
            p = np.asarray(expit(np.clip(level + offset, -9, 9)), dtype=np.float64)
            return (k / n - p) / (p * (1 - p)), 1 / (n * p * (1 - p))

        level = np.log((k.sum() + 0.5) / (n.sum() - k.sum() + 0.5)) - np.average(offset, weights=n)
        area = area_of(self.part["municipality_code"], areas)
        return Year(respond, np.full(len(n), level), self.part[self.names], area)


def _shares(counts: pd.DataFrame, conditions: pd.DataFrame, areas: pd.DataFrame | None, least: int) -> _Shares:
    table, filled, told = fill_conditions(conditions, areas)
    frame = counts.merge(table, on="municipality_code", how="left", validate="one_to_one")
    frame["has_conditions"] = frame["municipality_code"].isin(table["municipality_code"])
    frame["value_status"] = _status(frame, least)
    frame["n_count"] = frame["n"].round()
    part = frame[frame["value_status"] == "estimated"].sort_values("municipality_code", ignore_index=True)
    return _Shares(frame, part, [str(c) for c in table.columns if c != "municipality_code"], filled, told)


def model_shares(
    years: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]], *, outcome_id: str, least: int,
    higher_is_better: bool = True, min_n: int = MIN_N, areas: pd.DataFrame | None = None,
) -> Modelled:  # fmt: skip
    """Return a share held against what the other municipalities predict, before it is assessed (`assess`).

    `years` by period: counts and conditions. All are fitted together: each has its own coefficients, and the spread of
    municipalities, labour markets, bends and chance is one for all of them. Counts: municipality_code, k, n,
    value_status, optional expected_rate (0-1, from `indirect_standardisation`, enters as offset logit). Conditions:
    municipality_code and one numeric column per framework condition; a gap is filled and told (`fill_conditions`).
    Input `areas`: municipality_code, commuting_area_code. Shares in pct, differences in percentage points. Rows that
    cannot be judged keep a status and no number: `suppressed` over fewer than `least` persons or hidden at the source,
    `missing` without count or without any condition. Raises DataRefused when too few municipalities are left for the
    conditions.
    """
    shares = {period: _shares(*given, areas, least) for period, given in years.items()}
    fitted = {period: year for period, year in shares.items() if len(year.part)}
    fits = dict(zip(fitted, fit_levels([year.as_year(areas) for year in fitted.values()]), strict=True))
    rows, cards = [], []
    for period, year in shares.items():
        estimates, card = pd.DataFrame({"municipality_code": year.part["municipality_code"]}), None
        if period in fits:
            estimates, card = _estimated(year, fits[period], outcome_id, period, min_n, higher_is_better)
        base = year.frame[["municipality_code", "value_status", "n_count"]]
        rows.append(assemble(base, estimates, outcome_id, period, METHOD))
        cards.append(pd.DataFrame(columns=CARD) if card is None else card)
    return Modelled(pd.concat(rows, ignore_index=True), pd.concat(cards, ignore_index=True))


def _estimated(
    year: _Shares, fit: LevelFit, outcome_id: str, period: str, min_n: int, higher_is_better: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a year's estimates in pct and its model card."""
    from scipy.special import expit

    k, n, offset = year.counts
    p, judged = np.asarray(expit(fit.expected + offset), dtype=np.float64), n >= min_n
    estimates = estimates_of(
        year.part["municipality_code"], 100 * k / n, 100 * p, fit, 100 * p * (1 - p), TOLERANCE_PCT_POINTS, judged,
        higher_is_better,
    )  # fmt: skip
    estimates["filled_conditions_count"] = year.part["municipality_code"].map(year.filled).to_numpy()
    extra = [
        (name, "filled_in" if count > 0 else "known_too_seldom", float(abs(count))) for name, count in year.told.items()
    ]
    return estimates, model_card(outcome_id, period, fit, 100 * k / n, 100 * p, n, judged=judged, extra=extra)


def area_of(codes: pd.Series[str], areas: pd.DataFrame | None) -> npt.NDArray[np.object_] | None:
    """Return the labour market of each municipality; one that is not named is a labour market of its own."""
    if areas is None or areas.empty:
        return None
    known = areas.set_index("municipality_code")["commuting_area_code"]
    return np.asarray(codes.map(known).fillna(codes), dtype=object)
