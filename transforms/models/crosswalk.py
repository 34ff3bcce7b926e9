"""DB07 in its groupings: 10, 19 letters, 37 groups, and by their first two digits 127 groups and six-digit codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transforms.errors import DataRefused

if TYPE_CHECKING:
    import pandas as pd

LEVELS = ("division_code", "db07_37_code", "db07_19_code", "db07_10_code")  # finest first
DETAILED = ("db07_127", "db07_6")  # a division is their first two digits


def classification_of(codes: pd.Series[str], crosswalk: pd.DataFrame) -> str:
    """Return the one grouping (a column of the crosswalk) that holds every code; raise DataRefused otherwise.

    A letter may belong to both 19 and 37 groups; the coarser is returned when both fit. A column that mixes a group
    with its own parts (C and CA), or carries a total, fits none and is refused: its sum would count jobs twice.
    Divisions are never guessed, since 10 and 11 are also codes of the ten-group list.
    """
    given = set(codes.astype(str))
    for level in ("db07_10_code", "db07_19_code", "db07_37_code"):
        if given <= set(crosswalk[level]):
            return level
    letters = set(crosswalk["db07_19_code"]) | set(crosswalk["db07_37_code"])
    odd = sorted(given - letters) or sorted(given - set(crosswalk["db07_19_code"]))
    raise DataRefused(
        f"industries: '{odd[0]}' does not belong with the other codes; rule: one grouping per column (10, 19 or 37), "
        "no totals; map every row to one grouping first"
    )


def to_level(codes: pd.Series[str], source: str, target: str, crosswalk: pd.DataFrame) -> pd.Series[str]:
    """Return each code in a coarser grouping; `source` is a LEVELS or DETAILED name, `target` one of LEVELS.

    Raises DataRefused on a code that is not of the source grouping, and on a target finer than the source: jobs of
    a group cannot be split without inventing figures.
    """
    text = codes.astype(str)
    if source in DETAILED:
        # Six-digit codes lose their leading zero in spreadsheets: 11100 is 011100.
        text = text.str.zfill(6 if source == "db07_6" else 5).str[:2]
        source = "division_code"
    if LEVELS.index(target) < LEVELS.index(source):
        raise DataRefused(f"industries: {source} cannot be split into {target}; rule: only to coarser groupings")
    out = text.map(dict(zip(crosswalk[source], crosswalk[target], strict=True)))
    if out.isna().any():
        odd = text[out.isna()].iloc[0]
        raise DataRefused(f"industries: '{odd}' is not a code of {source}; rule: known DB07 codes; correct the row")
    return out


def sum_to_level(
    frame: pd.DataFrame, values: list[str], by: list[str], target: str, crosswalk: pd.DataFrame
) -> pd.DataFrame:
    """Return `values` summed to a coarser grouping within `by`; the industry column is industry_code.

    Raises DataRefused on mixed groupings, see `classification_of`. A sum with an unknown part is unknown.
    """
    source = classification_of(frame["industry_code"], crosswalk)
    if source == "db07_19_code" and target == "db07_37_code" and set(frame["industry_code"]) <= set(crosswalk[target]):
        source = target
    out = frame.assign(industry_code=to_level(frame["industry_code"], source, target, crosswalk))
    keys = [*by, "industry_code"]
    total = out.groupby(keys)[values].sum()
    known = out[values].notna().groupby([out[k] for k in keys]).all()
    return total.where(known).reset_index()
