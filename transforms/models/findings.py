"""Challenges and potentials of a municipality, by rules anyone can read: `mart.finding`."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from transforms.models.rules import apply_rules, check_rules
from transforms.models.wording import Language, gap, level, number

if TYPE_CHECKING:
    import pandas as pd

FILE = "transforms/reference/finding_rules.csv"
COLUMNS = [
    "municipality_code", "finding_id", "rule_version", "kind", "indicator_id", "compare_to", "strength",
    "strength_value", "value", "reference_value", "gap", "n_count", "sentence_da", "sentence_en",
]  # fmt: skip


def find(facts: pd.DataFrame, rules: pd.DataFrame, names: pd.DataFrame) -> pd.DataFrame:
    """Return the findings: one row per municipality and rule that is met.

    Input `facts`: see `rules.FACTS`. Input `rules` (reference/finding_rules.csv): rule_id, rule_version, kind
    (challenge | potential), indicator_id, compare_to, operator, threshold, strength_formula (gap: |gap| in the
    indicator's unit; relative_gap: |gap| in pct. of the reference), medium_from, strong_from, template_da,
    template_en. Input `names`: municipality_code, name_da, name_en. Output: COLUMNS; strength is weak, then medium
    and strong from the two limits, and medium for a rule on words, which have no distance. Templates may use
    {municipality} {value} {reference} {gap} {n}. Sorted by municipality, challenges first, strongest first.
    Raises UsageError when a rule cannot be applied.
    """
    import pandas as pd

    check_rules(rules, FILE)
    met = apply_rules(facts, rules)
    met = met[met["is_met"]].merge(names, on="municipality_code", how="left", validate="many_to_one")
    distance = met["gap"].abs()
    relative = (100 * distance / met["reference_value"].abs()).where(met["reference_value"] != 0)
    met["strength_value"] = distance.where(met["strength_formula"] == "gap", relative).astype("Float64")
    known = met["strength_value"].notna()
    size = met["strength_value"].fillna(0).to_numpy(np.float64)
    limits = [met[c].astype("float64").to_numpy() for c in ("strong_from", "medium_from")]
    met["strength"] = np.where(
        known, np.select([size >= limits[0], size >= limits[1]], ["strong", "medium"], "weak"), "medium"
    )
    met["finding_id"] = met["rule_id"]
    for language in ("da", "en"):
        met[f"sentence_{language}"] = [_sentence(row, language) for row in met.to_dict("records")]
    order = pd.Series({"strong": 0, "medium": 1, "weak": 2})
    met["_order"] = met["strength"].map(order)
    met = met.sort_values(["municipality_code", "kind", "_order", "finding_id"], ignore_index=True)
    return met[COLUMNS]


def _sentence(row: Mapping[Hashable, object], language: Language) -> str:
    """Return the rule's sentence with the municipality's numbers, in the language's own number format."""
    unit = str(row["unit"])

    def shown(column: str) -> str:
        value = row[column]
        if _absent(value):
            return "ukendt" if language == "da" else "unknown"
        return (gap if column == "gap" else level)(float(str(value)), unit, language)

    n = row["n_count"]
    people = (
        number(float(str(n)), 0, language)
        if not _absent(n)
        else ("ukendt antal" if language == "da" else "unknown number")
    )
    return str(row[f"template_{language}"]).format(
        municipality=row[f"name_{language}"], value=shown("value"), reference=shown("reference_value"),
        gap=shown("gap"), n=people,
    )  # fmt: skip


def _absent(value: object) -> bool:
    import pandas as pd

    return value is None or value is pd.NA or value != value
