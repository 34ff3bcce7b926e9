"""Progress between a frozen baseline and a later mapping, participants against others, in the same definitions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from transforms.errors import DataRefused
from transforms.models.wording import TEXTS
from transforms.statistics.intervals import Floats

# Two figures may be compared only when they mean the same.


FIELDS = ("population_definition", "age_from", "age_to", "residence_basis", "job_definition", "period_type")


def differing_fields(a: Mapping[str, object], b: Mapping[str, object]) -> list[str]:
    """Return the fields of FIELDS in which two indicator definitions differ; a field not stated differs from all."""

    def text(definition: Mapping[str, object], field: str) -> str:
        value = definition.get(field)
        return "" if value is None or str(value) in {"nan", "<NA>", "NaT"} else str(value).strip()

    return [f for f in FIELDS if not text(a, f) or text(a, f) != text(b, f)]


def comparable(a: Mapping[str, object], b: Mapping[str, object]) -> None:
    """Return nothing when two indicators may be compared; raise DataRefused naming every field that differs.

    `a` and `b`: the definition of an indicator (a row of `mart.indicator` as a mapping) with indicator_id and
    FIELDS. The commonest error of this field is to subtract shares of different groups: Rebild's 10 pct.
    (self-supporting after a year, 2009-13) and 55 pct. (wage employment, 2017) are not a rise of 45 points.
    """
    fields = differing_fields(a, b)
    if fields:
        pairs = "; ".join(f"{f}: {a.get(f)!r} against {b.get(f)!r}" for f in fields)
        names = " and ".join(str(d.get("indicator_id", "indicator")) for d in (a, b))
        raise DataRefused(
            f"{names} cannot be compared: {pairs}; "
            "rule: population, ages, residence basis, job definition and period type must agree; "
            "choose two with one definition"
        )


GROUPS = ("participant", "sister_pool", "other", "unknown")
MIN_KNOWN = 10


def later_than(baseline_period: str, later_period: str) -> None:
    """Return nothing when the second period is later than the first; raise DataRefused otherwise."""
    if str(later_period) <= str(baseline_period):
        raise DataRefused(
            f"follow-up: the baseline tells of {baseline_period} and the later mapping of {later_period}; "
            "rule: a later period; compare again when newer figures are published"
        )


def changes(
    baseline: pd.DataFrame, later: pd.DataFrame, definitions: tuple[Mapping[str, object], Mapping[str, object]],
    groups: pd.DataFrame,
) -> pd.DataFrame:  # fmt: skip
    """Return the change of one outcome per municipality, beside what its starting point alone leads one to expect.

    Input `baseline` and `later`: municipality_code, value (missing where not known), in any unit. `definitions`: the
    indicator rows of the two; they must agree, or DataRefused names what differs. `groups`: municipality_code, group
    (GROUPS), optional project_unit (municipalities that applied as one). Output: municipality_code, group,
    project_unit, baseline_value, later_value, change, expected_change, change_beyond_regression (change minus
    expected), value_status (estimated | missing).

    The expectation is the straight line of later on baseline value within the groups, at the level of the comparison
    municipalities (analysis of covariance; Senn 2006, Stat. Med. 25:4334). Its slope holds the reliability of the
    figure AND the correlation of its errors between the dates, since both are in how those measured low came out later;
    neither must be known, and persons counted at both dates do no harm.
    """
    comparable(*definitions)
    frame = groups.merge(baseline[["municipality_code", "value"]], on="municipality_code", how="left")
    frame = frame.merge(
        later[["municipality_code", "value"]], on="municipality_code", how="left", suffixes=("", "_later")
    )
    known = frame[["value", "value_later"]].notna().all(axis=1)
    out = frame[["municipality_code", "group"]].copy()
    out["project_unit"] = _project_unit(frame)
    out["value_status"] = np.where(known, "estimated", "missing")
    value, after = (frame.loc[known, c].to_numpy(np.float64) for c in ("value", "value_later"))
    if value.size < MIN_KNOWN:
        raise DataRefused(
            f"follow-up: {value.size} municipalities are known at both times; rule: at least {MIN_KNOWN}; "
            "check the two mappings"
        )
    group = frame.loc[known, "group"].to_numpy()
    usable = np.isin(group, ["participant", "other"])
    slope, level = _common_slope(value[usable], after[usable], group[usable])
    expected = level + slope * value - value
    columns = {
        "baseline_value": value, "later_value": after, "change": after - value, "expected_change": expected,
        "change_beyond_regression": after - value - expected,
    }  # fmt: skip
    for name, numbers in columns.items():
        out[name] = pd.Series(numbers, index=frame.index[known]).reindex(frame.index).astype("Float64")
    return out


def _project_unit(frame: pd.DataFrame) -> pd.Series[str]:
    """Return what each municipality applied as: the unit of those that applied together, else its own code."""
    unit = frame.get("project_unit", pd.Series(pd.NA, index=frame.index)).astype("object")
    return unit.where(unit.notna(), frame["municipality_code"])


def _by_unit(panel: pd.DataFrame, groups: pd.DataFrame) -> pd.DataFrame:
    """Return the known figures of a panel as unit x period, by group: participants that applied as one are one."""
    frame = panel.dropna(subset=["value"]).merge(groups, on="municipality_code", how="inner")
    own = frame["municipality_code"].astype("object")
    frame["unit"] = own.where(frame["group"] != "participant", _project_unit(frame))
    return frame.pivot_table(index=["group", "unit"], columns="period", values="value", aggfunc="mean")


def _common_slope(value: Floats, after: Floats, group: npt.NDArray[np.object_]) -> tuple[float, float]:
    """Return the slope within groups and the intercept of the comparison group (of all, when it is empty)."""
    centred_x, centred_y = value.copy(), after.copy()
    for name in np.unique(group.astype(str)):
        here = group == name
        centred_x[here] -= value[here].mean()
        centred_y[here] -= after[here].mean()
    spread = float(centred_x @ centred_x)
    slope = float(centred_x @ centred_y) / spread if spread > 1e-12 else 1.0
    others = group == "other"
    base = others if others.any() else np.ones(len(value), dtype=bool)
    return slope, float(after[base].mean() - slope * value[base].mean())


def _slope_variance(table: pd.DataFrame) -> float:
    """Return the variance of the slope within groups, of participants and others."""
    part = table[table["group"].isin(["participant", "other"])]
    numbers = part[["baseline_value", "later_value"]].astype("float64")
    centred = (numbers - numbers.groupby(part["group"]).transform("mean")).to_numpy()
    spread = float(centred[:, 0] @ centred[:, 0])
    free = len(part) - 3
    if spread <= 1e-12 or free < 1:
        return 0.0
    slope = float(centred[:, 0] @ centred[:, 1]) / spread
    return float(np.sum((centred[:, 1] - slope * centred[:, 0]) ** 2)) / free / spread


def matched_difference(changes_frame: pd.DataFrame, peers: pd.DataFrame) -> pd.DataFrame:
    """Return each participant's change minus the mean change of its peers outside both programmes.

    Input: `changes` output, and peers (municipality_code, peer_code, rank) from `peers.find_peers`. Output:
    municipality_code, change, peer_change, peers_used_count, difference, difference_beyond_regression, value_status
    (`missing` when the participant or all its allowed peers are unknown). Peers in group `other` only: the sister
    pool is treated too, and a group that is not known is no comparison.
    """
    known = changes_frame[changes_frame["value_status"] == "estimated"].set_index("municipality_code")
    allowed = known[known["group"] == "other"]
    served = allowed[["change", "change_beyond_regression"]].rename_axis("peer_code").reset_index()
    joined = peers.merge(served, on="peer_code", how="inner")
    each = joined.groupby("municipality_code").agg(
        peer_change=("change", "mean"),
        _beyond=("change_beyond_regression", "mean"),
        peers_used_count=("peer_code", "size"),
    )
    mine = changes_frame[changes_frame["group"] == "participant"].merge(each, on="municipality_code", how="left")
    mine["difference"] = mine["change"] - mine["peer_change"]
    mine["difference_beyond_regression"] = mine["change_beyond_regression"] - mine["_beyond"]
    mine["peers_used_count"] = mine["peers_used_count"].fillna(0).astype("int64")
    mine["value_status"] = np.where(mine["difference"].isna(), "missing", "estimated")
    columns = ["municipality_code", "change", "peer_change", "peers_used_count", "difference",
               "difference_beyond_regression", "value_status"]  # fmt: skip
    return pd.DataFrame(mine[columns].reset_index(drop=True))


def _units(changes_frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per unit: municipalities that applied together are one, with the mean of their figures."""
    known = changes_frame[changes_frame["value_status"] == "estimated"]
    keys = known.assign(unit=_project_unit(known).where(known["group"] == "participant", known["municipality_code"]))
    numbers = [c for c in ("baseline_value", "later_value", "change", "change_beyond_regression") if c in keys]
    return keys.astype(dict.fromkeys(numbers, "float64")).groupby(["unit", "group"], as_index=False)[numbers].mean()


def covariance_difference(value: Floats, after: Floats, treated: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return the difference at the same starting point, its standard error, and the degrees of freedom.

    Least squares of the later value on the baseline and on taking part. Errors by HC2, degrees of freedom by Bell and
    McCaffrey (2002, Survey Methodology 28:169; Imbens and Kolesár 2016, Rev. Econ. Stat. 98:701), which is what few
    participants need. Not a number with fewer than two on a side.
    """
    if treated.sum() < 2 or (~treated).sum() < 2:
        return float("nan"), float("nan"), float("nan")
    design = np.column_stack([np.ones(len(value)), value, treated.astype(np.float64)])
    inverse = np.linalg.pinv(design.T @ design)
    hat = design @ inverse @ design.T
    beta = inverse @ design.T @ after
    residual = after - design @ beta
    left = np.maximum(1 - np.diag(hat), 1e-9)
    weight = (design @ inverse)[:, 2] / np.sqrt(left)
    error = float(np.sqrt(np.sum((weight * residual) ** 2)))
    spread = (np.eye(len(value)) - hat) * weight[None, :]
    product = spread.T @ spread
    freedom = float(np.trace(product) ** 2 / np.sum(product**2))
    return float(beta[2]), error, freedom


def _plain_difference(change: Floats, treated: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return the difference in mean change, its standard error, and Welch's degrees of freedom."""
    groups = [change[treated], change[~treated]]
    if min(len(g) for g in groups) < 2:
        return float("nan"), float("nan"), float("nan")
    parts = [float(np.var(g, ddof=1)) / len(g) for g in groups]
    total = sum(parts)
    freedom = total**2 / sum(p**2 / (len(g) - 1) for p, g in zip(parts, groups, strict=True)) if total > 0 else 1.0
    return float(groups[0].mean() - groups[1].mean()), float(np.sqrt(total)), float(freedom)


def _matched_estimate(
    matched: pd.DataFrame, column: str, peers: pd.DataFrame, changed: pd.DataFrame
) -> tuple[float, float, float]:
    """Return the mean matched difference over units, its error (peers counted as often as used), and the freedom."""
    used = matched[matched["value_status"] == "estimated"]
    own = "change" if column == "difference" else "change_beyond_regression"
    table = changed[changed["value_status"] == "estimated"].set_index("municipality_code", drop=False)
    unit_of = _project_unit(table).reindex(used["municipality_code"]).to_numpy()
    weight_of = 1 / (used.groupby(unit_of)[column].transform("size").to_numpy(np.float64) * len(set(unit_of)))
    estimate = float(weight_of @ used[column].to_numpy(np.float64))
    treated = table.loc[used["municipality_code"], own].astype("float64").groupby(unit_of).mean().to_numpy()
    controls = table[table["group"] == "other"]
    pairs = peers[peers["municipality_code"].isin(used["municipality_code"]) & peers["peer_code"].isin(controls.index)]
    share = 1 / pairs.groupby("municipality_code")["peer_code"].transform("size")
    share = share * pairs["municipality_code"].map(dict(zip(used["municipality_code"], weight_of, strict=True)))
    weight = share.groupby(pairs["peer_code"]).sum().reindex(controls.index).fillna(0).to_numpy(np.float64)
    if len(treated) < 2 or len(controls) < 2:
        return estimate, float("nan"), float("nan")
    variance = float(np.var(treated, ddof=1)) / len(treated)
    variance += float(np.var(controls[own].to_numpy(np.float64), ddof=1)) * float(np.sum(weight**2))
    if own != "change" and "baseline_value" in table:
        # The slope is estimated too: its error counts as far as participants and their peers started apart.
        start = table["baseline_value"].astype("float64")
        apart = float(weight_of @ start.reindex(used["municipality_code"]).to_numpy()) - float(
            weight @ start.reindex(controls.index).to_numpy()
        )
        variance += _slope_variance(table) * apart**2
    return estimate, float(np.sqrt(variance)), float(len(treated) - 1)


def difference_in_differences(changes_frame: pd.DataFrame, peers: pd.DataFrame) -> pd.DataFrame:
    """Return participants against others, with and without what the starting point alone leads one to expect.

    Rows by `comparison`: `matched` and `matched_beyond_regression` against the peers; `all_others` (difference in
    change) and `same_starting_point` (analysis of covariance) against all others. The last two bracket what holds
    when it is not known how participants were chosen (Ding and Li 2019, Political Analysis 27:605).

    Output: comparison, difference, difference_low, difference_high (95 %, Student's t over project units; matched
    peers weighted by how often they serve, Abadie and Imbens 2006), if_sister_pool_alike (what the difference would
    be if the SISTER_POOL municipalities of a pool whose names are not known stood among the others with the same
    effect; empty when the names are known), participants_count, units_count, others_count, sister_pool_count
    (shown apart, in neither side; empty when the names are not known), caution_da, caution_en.
    Raises DataRefused when no participant has a known change and a known peer.
    """
    from scipy.stats import t

    matched = matched_difference(changes_frame, peers)
    used = int((matched["value_status"] == "estimated").sum())
    if used == 0:
        raise DataRefused("follow-up: no participant with a known peer; rule: at least one; check groups and peers")
    known = changes_frame[changes_frame["value_status"] == "estimated"]["group"]
    units = _units(changes_frame)
    units = units[units["group"].isin(["participant", "other"])]
    treated = (units["group"] == "participant").to_numpy(dtype=np.bool_)
    found: list[tuple[str, tuple[float, float, float]]] = [
        (name, _matched_estimate(matched, column, peers, changes_frame))
        for name, column in (("matched", "difference"), ("matched_beyond_regression", "difference_beyond_regression"))
    ]
    if "baseline_value" in units:
        value, after = units["baseline_value"].to_numpy(np.float64), units["later_value"].to_numpy(np.float64)
        found.append(("all_others", _plain_difference(after - value, treated)))
        found.append(("same_starting_point", covariance_difference(value, after, treated)))
    others, sisters = int((known == "other").sum()), int((known == "sister_pool").sum())
    hidden = 0 if sisters else SISTER_POOL
    rows = []
    for name, (estimate, error, freedom) in found:
        half = float(t.ppf(0.975, freedom)) * error
        alike = estimate / (1 - hidden / others) if hidden and others > hidden else float("nan")
        rows.append((name, estimate, estimate - half, estimate + half, alike, used, int(treated.sum()), others,
                     sisters or pd.NA))  # fmt: skip
    columns = ["comparison", "difference", "difference_low", "difference_high", "if_sister_pool_alike",
               "participants_count", "units_count", "others_count", "sister_pool_count"]  # fmt: skip
    kinds = dict.fromkeys(columns[1:5], "Float64") | {"sister_pool_count": "Int64"}
    out = pd.DataFrame(rows, columns=columns).astype(kinds)
    return out.assign(**{f"caution_{language}": text for language, text in TEXTS["follow_up"].items()})


SISTER_POOL = 11
"""Municipalities of the sister pool whose names are not published in a form that is at hand; see domain notes."""


def group_means(changes_frame: pd.DataFrame) -> pd.DataFrame:
    """Return municipalities, mean change and mean expected change per group, the sister pool apart."""
    known = changes_frame[changes_frame["value_status"] == "estimated"]
    out = known.groupby("group").agg(
        municipality_count=("municipality_code", "size"),
        change=("change", "mean"),
        expected_change=("expected_change", "mean"),
    )
    return pd.DataFrame(out.reindex([g for g in GROUPS if g in out.index]).reset_index())


def event_study(panel: pd.DataFrame, groups: pd.DataFrame, baseline_period: str) -> pd.DataFrame:
    """Return the difference between participants and others year by year, set to nought in the baseline's year.

    Input `panel`: municipality_code, period, value, every year there is; `groups` as in `changes`. Output per period:
    period, is_before, difference, difference_low, difference_high (95 %, Welch's t over project units), units_count,
    others_count. Before the baseline it shows whether the two went alike; if they did not, or dipped just before it,
    what comes after is no effect. The sister pool and unknown groups are left out.
    """
    from scipy.stats import t

    wide = _by_unit(panel, groups[groups["group"].isin(["participant", "other"])])
    columns = ["period", "is_before", "difference", "difference_low", "difference_high", "units_count", "others_count"]
    rows = []
    for period in wide.columns if baseline_period in wide.columns else []:
        change = (wide[period] - wide[baseline_period]).dropna()
        treated = change.index.get_level_values("group") == "participant"
        estimate, error, freedom = _plain_difference(change.to_numpy(np.float64), np.asarray(treated, dtype=np.bool_))
        half = float(t.ppf(0.975, freedom)) * error if period != baseline_period else float("nan")
        rows.append((period, period < baseline_period, estimate, estimate - half, estimate + half,
                     int(treated.sum()), int((~treated).sum())))  # fmt: skip
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[2:5], "Float64"))


def synthetic_controls(
    panel: pd.DataFrame, groups: pd.DataFrame, baseline_period: str, later_period: str
) -> pd.DataFrame:
    """Return each project unit against a weighted mean of others that went as it did up to the baseline.

    Synthetic control with an intercept (Abadie, Diamond and Hainmueller 2010, JASA 105:493; Ferman and Pinto 2021,
    Quantitative Economics 12:1197): weights at least 0 that sum to 1, on the years up to the baseline, each series
    less its own mean. Every other municipality is treated as if it took part (placebo): the interval leaves out what
    19 of 20 placebos show, and placebo_p is the share of placebos at least as far from nought.

    Output per unit: project_unit, difference (later value minus the synthetic, both less their means before),
    difference_low, difference_high, placebo_p, fit_error (root mean square before), years_count, others_count. Empty
    with fewer than three years up to the baseline or ten others: then a weighted mean fits anything.
    """
    wide = _by_unit(panel, groups)
    years = [p for p in wide.columns if p <= baseline_period]
    columns = ["project_unit", "difference", "difference_low", "difference_high", "placebo_p", "fit_error",
               "years_count", "others_count"]  # fmt: skip
    if later_period not in wide.columns or len(years) < 3:
        return pd.DataFrame(columns=columns)
    whole = wide[[*years, later_period]].dropna()
    groups_of = whole.index.get_level_values("group")
    others = whole[groups_of == "other"].to_numpy(np.float64)
    if len(others) < MIN_KNOWN:
        return pd.DataFrame(columns=columns)
    placebos = np.array([_synthetic_gap(others[i], np.delete(others, i, axis=0))[0] for i in range(len(others))])
    reach = float(np.quantile(np.abs(placebos), 0.95))
    rows = []
    mine = whole[groups_of == "participant"]
    for name, series in zip(mine.index.get_level_values("unit"), mine.to_numpy(np.float64), strict=True):
        gap, error = _synthetic_gap(series, others)
        extreme = (1 + int((np.abs(placebos) >= abs(gap)).sum())) / (1 + len(placebos))
        rows.append((name, gap, gap - reach, gap + reach, extreme, error, len(years), len(others)))
    return pd.DataFrame(rows, columns=columns)


def _synthetic_gap(own: Floats, others: Floats) -> tuple[float, float]:
    """Return the last value less the synthetic one, and the root mean square error of the years before it."""
    from scipy.optimize import nnls

    before, after = slice(0, -1), -1
    mine = own[before] - own[before].mean()
    theirs = (others[:, before] - others[:, before].mean(axis=1, keepdims=True)).T
    # Sum to one: a heavy row. A light ridge spreads the weights where the years cannot tell others apart.
    scale = max(float(np.abs(theirs).max()), 1e-9)
    ridge = 0.1 * float(np.std(theirs)) * np.eye(len(others))
    system = np.vstack([theirs, ridge, 1e3 * scale * np.ones((1, len(others)))])
    target = np.concatenate([mine, np.zeros(len(others)), [1e3 * scale]])
    weight = nnls(system, target)[0]
    weight = weight / weight.sum()
    error = float(np.sqrt(np.mean((mine - theirs @ weight) ** 2)))
    later = others[:, after] - others[:, before].mean(axis=1)
    return float(own[after] - own[before].mean() - weight @ later), error
