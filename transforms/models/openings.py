"""Openings within reach of a municipality, from the openings posted in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def openings_in_reach(openings: pd.DataFrame, areas: pd.DataFrame) -> pd.DataFrame:
    """Return openings within the municipality's commuting area, per municipality and industry, as jobs in reach are.

    Input `openings`: municipality_code, industry_code, openings_posted_count (over twelve months), value_status. Input
    `areas`: municipality_code, commuting_area_code. Output: municipality_code, industry_code, openings_count,
    openings_status (observed | zero | suppressed | missing). A withheld part withholds the sum and an absent one leaves
    it missing: an area is not half counted. No row for an industry that no part has.
    """
    frame = areas[["municipality_code", "commuting_area_code"]].merge(openings, on="municipality_code")
    frame["is_suppressed"] = frame["value_status"] == "suppressed"
    frame["posted"] = frame["openings_posted_count"].astype("Float64")
    members = areas.groupby("commuting_area_code")["municipality_code"].nunique().to_dict()
    table = frame.groupby(["commuting_area_code", "industry_code"]).agg(
        total=("posted", "sum"), known=("posted", "count"), suppressed=("is_suppressed", "any")
    )
    incomplete = table["known"] < table.index.get_level_values(0).map(members)
    table["openings_count"] = table["total"].mask(table["suppressed"] | incomplete)
    states = [table["suppressed"], incomplete, table["total"] == 0]
    table["openings_status"] = np.select(states, ["suppressed", "missing", "zero"], "observed")
    table = table[["openings_count", "openings_status"]].reset_index()
    out = areas[["municipality_code", "commuting_area_code"]].merge(table, on="commuting_area_code")
    return out.drop(columns="commuting_area_code").sort_values(
        ["municipality_code", "industry_code"], ignore_index=True
    )
