"""Challenges and potentials of a municipality, by rules anyone can read: `mart.finding`."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from transforms.errors import UsageError
from transforms.models.wording import Language, gap, level, number

if TYPE_CHECKING:
    import pandas as pd


# Rules from a reference file applied to what is known of each municipality; shared by findings and methods.


REFERENCES = {"peers": "peer_value", "nation": "nation_value", "expected": "expected_value"}
FACTS = ["municipality_code", "indicator_id", "value", "text_value", "peer_value", "nation_value", "expected_value",
         "assessment", "n_count", "unit"]  # fmt: skip


def check_rules(rules: pd.DataFrame, file: str) -> None:
    """Return nothing when every rule can be applied; raise UsageError naming file, row and value otherwise."""
    comparisons = {*REFERENCES, "value", "text", "assessment"}
    for row, rule in enumerate(rules.to_dict("records"), start=2):
        where = f"{file}: row {row} ({rule['rule_id']})"
        if rule["compare_to"] not in comparisons:
            raise UsageError(
                f"{where}: compare_to '{rule['compare_to']}'; rule: one of {', '.join(sorted(comparisons))}"
            )
        numeric = rule["compare_to"] not in {"text", "assessment"}
        if numeric and rule["operator"] not in {"above", "below"}:
            raise UsageError(f"{where}: operator '{rule['operator']}'; rule: above or below for a number")
        if not numeric and rule["operator"] != "one_of":
            raise UsageError(f"{where}: operator '{rule['operator']}'; rule: one_of for a text")
    if rules["rule_id"].duplicated().any():
        raise UsageError(f"{file}: rule_id occurs twice: {rules.loc[rules['rule_id'].duplicated(), 'rule_id'].iloc[0]}")


def apply_rules(facts: pd.DataFrame, rules: pd.DataFrame) -> pd.DataFrame:
    """Return one row per municipality and rule that could be tried, with its values and whether it is met.

    Input `facts`: FACTS (one row per municipality and indicator; unknown values missing). Input `rules`: rule_id,
    indicator_id, compare_to (peers | nation | expected | value | text | assessment), operator (above | below |
    one_of), threshold (a number in the indicator's unit, or words separated by spaces).
    Met: `above` when value - reference >= threshold, `below` when reference - value >= threshold (against a bare
    `value` the threshold itself is the reference and must be passed), `one_of` when the text is one of the words.
    Output: facts and rule columns plus reference_value, gap (value minus reference) and is_met. A fact that is not
    known gives no row, so a rule can never be met by a gap in the data.
    """
    import pandas as pd

    frame = facts.reindex(columns=FACTS).merge(rules, on="indicator_id", how="inner")
    parts = []
    for (compare_to, operator), part in frame.groupby(["compare_to", "operator"], sort=True):
        rows = part.copy()
        if operator == "one_of":
            text = rows["text_value" if compare_to == "text" else "assessment"]
            rows = rows[text.notna()]
            pairs = zip(text[text.notna()].astype(str), rows["threshold"].astype(str), strict=True)
            rows["is_met"] = [word in words.split() for word, words in pairs]
            rows["reference_value"] = rows["expected_value"] if compare_to == "assessment" else np.nan
            rows["gap"] = rows["value"].astype("Float64") - rows["reference_value"].astype("Float64")
        else:
            threshold = rows["threshold"].astype("float64")
            column = threshold if compare_to == "value" else rows[REFERENCES[str(compare_to)]]
            rows["reference_value"] = column.astype("Float64")
            rows["gap"] = rows["value"].astype("Float64") - rows["reference_value"]
            signed = rows["gap"] if operator == "above" else -rows["gap"]
            least = 0.0 if compare_to == "value" else threshold
            rows["is_met"] = signed >= least
            rows = rows[rows["is_met"].notna()]
        rows["is_met"] = rows["is_met"].astype(bool)
        rows["reference_value"] = rows["reference_value"].astype("Float64")
        parts.append(rows)
    columns = [*frame.columns, "is_met", "reference_value", "gap"]
    if not parts:
        return pd.DataFrame(columns=columns).astype({"is_met": bool, "gap": "Float64", "reference_value": "Float64"})
    out = pd.concat(parts)[columns]
    return out.sort_values(["municipality_code", "rule_id"], ignore_index=True)


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
