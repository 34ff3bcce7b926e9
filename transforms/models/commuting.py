"""Commuting areas built from flows between home and workplace (StatBank PEND100), and conditions within them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from transforms.errors import DataRefused
from transforms.statistics.intervals import Floats

SELF_CONTAINMENT = 0.70
MIN_EMPLOYED = 20_000
YEARS = 3


def average_flows(flows: pd.DataFrame, municipalities: list[str], year: int) -> Floats:
    """Return the mean yearly flow from home (rows) to workplace (columns) over the YEARS years up to `year`.

    Input: home_code, work_code, year, employed_count; areas outside `municipalities` (abroad, totals) are left
    out. A cell with no row in a year that was delivered is zero; a year with no row at all is an absent year and
    the mean is over those present. Raises DataRefused when none is present.
    """
    wanted = flows[flows["year"].between(year - YEARS + 1, year)]
    present = int(wanted["year"].nunique())
    if present == 0:
        raise DataRefused(f"commuting: no flows in {year - YEARS + 1}-{year}; rule: at least one year; fetch PEND100")
    inside = wanted[wanted["home_code"].isin(municipalities) & wanted["work_code"].isin(municipalities)]
    table = inside.pivot_table(index="home_code", columns="work_code", values="employed_count", aggfunc="sum")
    table = table.reindex(index=municipalities, columns=municipalities).fillna(0)
    return table.to_numpy(dtype=np.float64) / present


def _relative_flow(flow: Floats) -> Floats:
    """Return the symmetric relative flow T_ij^2/(O_i D_j) + T_ji^2/(O_j D_i) of areas, none with oneself."""
    out_total = np.maximum(flow.sum(axis=1), 1e-9)
    in_total = np.maximum(flow.sum(axis=0), 1e-9)
    one_way = flow**2 / np.outer(out_total, in_total)
    relative = one_way + one_way.T
    np.fill_diagonal(relative, -np.inf)
    return np.asarray(relative, dtype=np.float64)


def _self_containment(flow: Floats) -> Floats:
    """Return per area the smaller of: share of residents working inside, share of jobs held by residents."""
    stay = np.diag(flow)
    lived = stay / np.maximum(flow.sum(axis=1), 1e-9)
    worked = stay / np.maximum(flow.sum(axis=0), 1e-9)
    return np.asarray(np.minimum(lived, worked), dtype=np.float64)


def commuting_areas(
    flows: pd.DataFrame, municipalities: list[str], year: int, *,
    self_containment: float = SELF_CONTAINMENT, min_employed: float = MIN_EMPLOYED,
) -> pd.DataFrame:  # fmt: skip
    """Return one commuting area per municipality, from flows averaged over the last YEARS years.

    Rule, after the travel-to-work areas of Coombes, Green and Openshaw (1986, J. Oper. Res. Soc. 37:943): every
    municipality starts alone; the area that fails most, min(self-containment/threshold, employed/threshold), is
    merged with the area of its strongest symmetric relative flow T_ij^2/(O_i D_j) + T_ji^2/(O_j D_i); stop when
    all pass. Ties go to the lowest code. An area that has no flow to or from any other stays as it is.

    Output: municipality_code, commuting_area_code (the member municipality with most jobs), commuting_area_size
    (members), self_containment_share (0-1; empty when unknown), employed_count, is_cut_off (fails the
    thresholds but has no flow to any other area), value_status: `estimated`, or `missing` when the municipality
    has no flows at all (it is then an area of its own).
    """
    codes = sorted(municipalities)
    base = average_flows(flows, codes, year)
    member = np.arange(len(codes))  # area index of each municipality: the lowest index among its members
    flow = base.copy()
    active = np.ones(len(codes), dtype=bool)
    cut_off = np.zeros(len(codes), dtype=bool)
    while True:
        score = np.minimum(_self_containment(flow) / self_containment, flow.sum(axis=1) / min_employed)
        failing = active & ~cut_off & (score < 1)
        if not failing.any():
            break
        worst = int(np.argmin(np.where(failing, score, np.inf)))
        relative = np.where(active, _relative_flow(flow)[worst], -np.inf)
        partner = int(np.argmax(relative))
        if relative[partner] <= 0:
            cut_off[worst] = True
            continue
        keep, gone = min(worst, partner), max(worst, partner)
        flow[keep] += flow[gone]
        flow[:, keep] += flow[:, gone]
        flow[gone], flow[:, gone] = 0, 0
        active[gone] = False
        # A merged area may now reach areas its parts could not.
        cut_off[keep] = False
        member[member == gone] = keep
    jobs = base.sum(axis=0)
    centre = {a: max(np.flatnonzero(member == a), key=lambda i: (jobs[i], -i)) for a in np.unique(member)}
    seen = (base.sum(axis=1) + jobs) > 0
    containment = _self_containment(flow)[member]
    out = pd.DataFrame({"municipality_code": codes})
    out["commuting_area_code"] = [codes[int(centre[a])] for a in member]
    out["commuting_area_size"] = np.bincount(member, minlength=len(codes))[member]
    out["self_containment_share"] = pd.Series(np.where(seen, containment, np.nan)).astype("Float64")
    out["employed_count"] = pd.Series(np.where(seen, flow.sum(axis=1)[member], np.nan)).round().astype("Int64")
    out["is_cut_off"] = cut_off[member]
    out["value_status"] = np.where(seen, "estimated", "missing")
    return out


LEAST_KNOWN_SHARE = 0.8


def reach_conditions(conditions: pd.DataFrame, flows: pd.DataFrame) -> pd.DataFrame:
    """Return each condition as the residents meet it at work: its mean over the places they work, by how many do.

    A labour market without a border (accessibility by observed flows; Hansen 1959, J. Am. Inst. Plann. 25:73), where a
    commuting area is one for all inside it. Input `conditions`: municipality_code, year and a number per condition;
    `flows`: see `average_flows`. Output: the same columns, one row per municipality and year. The mean is over the
    workplaces with a known value when they hold at least LEAST_KNOWN_SHARE of the residents' jobs, else it is empty; a
    municipality without flows has its own value.
    """
    codes = sorted(conditions["municipality_code"].unique())
    flow = np.eye(len(codes))
    if not flows.empty:
        seen = average_flows(flows, codes, int(flows["year"].max()))
        flow = np.where(seen.sum(axis=1, keepdims=True) > 0, seen, flow)
    weight = flow / flow.sum(axis=1, keepdims=True)
    parts = []
    for year, rows in conditions.groupby("year"):
        values = rows.set_index("municipality_code").reindex(codes).drop(columns="year")
        known = values.notna().to_numpy(np.float64)
        share = weight @ known
        met = weight @ values.fillna(0).to_numpy(np.float64) / np.maximum(share, 1e-9)
        reached = pd.DataFrame(np.where(share >= LEAST_KNOWN_SHARE, met, np.nan), columns=values.columns)
        parts.append(reached.assign(municipality_code=codes, year=year))
    if not parts:
        return conditions
    return pd.concat(parts, ignore_index=True)[list(conditions.columns)]


def area_conditions(conditions: pd.DataFrame, areas: pd.DataFrame) -> pd.DataFrame:
    """Return each ratio indicator over the whole commuting area of the municipality: sum of parts, not mean of ratios.

    Input `conditions`: municipality_code, indicator_id, period, numerator, denominator. Output per municipality,
    indicator and period: municipality_code, commuting_area_code, indicator_id, period, value (numerator sum over
    denominator sum), denominator, covered_share (known municipalities of the area, 0-1), value_status: `estimated`
    when all are known, `missing` (and no value or denominator) when any is not or the denominator is zero: a part is
    never guessed.
    """
    keys = ["indicator_id", "period"]
    wanted = conditions[keys].drop_duplicates().merge(areas[["municipality_code", "commuting_area_code"]], how="cross")
    frame = wanted.merge(conditions, on=["municipality_code", *keys], how="left")
    frame["known"] = frame["numerator"].notna() & frame["denominator"].notna()
    area = ["commuting_area_code", *keys]
    total = frame.groupby(area, as_index=False).agg(
        numerator=("numerator", "sum"), denominator=("denominator", "sum"), covered_share=("known", "mean")
    )
    usable = (total["covered_share"] == 1) & (total["denominator"] > 0)
    total["denominator"] = total["denominator"].where(usable).astype("Float64")
    total["value"] = total["numerator"].astype("Float64") / total["denominator"]
    total["value_status"] = np.where(usable, "estimated", "missing")
    told = ["value", "denominator", "covered_share", "value_status"]
    columns = ["municipality_code", "commuting_area_code", *keys, *told]
    out = wanted.merge(total, on=area, how="left")[columns]
    return pd.DataFrame(out.sort_values(["municipality_code", *keys], ignore_index=True))
