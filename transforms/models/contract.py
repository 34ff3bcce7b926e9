"""The shape of `mart.expected` rows, shared by the models that fill it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

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
