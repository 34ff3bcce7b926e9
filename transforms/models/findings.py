"""Challenges and potentials of a municipality, by rules anyone can read: `mart.finding`."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from decimal import Decimal

import numpy as np
import pandas as pd

from transforms.errors import UsageError
from transforms.models.wording import Language, gap, level, number, official_name, shown, unit_of
from transforms.statistics.intervals import Z95

# Rules from a reference file applied to what is known of each municipality; shared by findings and methods.


REFERENCES = {"peers": "peer_value", "nation": "nation_value", "expected": "expected_value"}
FACTS = ["municipality_code", "indicator_id", "value", "text_value", "peer_value", "nation_value", "expected_value",
         "assessment", "n_count", "unit", "value_error", "peer_gap_error", "peer_kind"]  # fmt: skip
ERRORS = {"peers": "peer_gap_error", "nation": "value_error", "value": "value_error"}
"""Which standard error goes with which comparison; one that is not known counts as nought."""
GROUP = {
    "da": ("sammenligningskommunerne", "de øvrige kommuner i kommunegruppen"),
    "en": ("its peers", "the others of its municipality group"),
}
"""What a sentence says of the peers, and what where too few of them have a figure and the group stands in."""


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
        if rule["operator"] not in ({"above", "below"} if numeric else {"one_of"}):
            told = "above or below for a number" if numeric else "one_of for a text"
            raise UsageError(f"{where}: operator '{rule['operator']}'; rule: {told}")
    if rules["rule_id"].duplicated().any():
        raise UsageError(f"{file}: rule_id occurs twice: {rules.loc[rules['rule_id'].duplicated(), 'rule_id'].iloc[0]}")


def apply_rules(facts: pd.DataFrame, rules: pd.DataFrame) -> pd.DataFrame:
    """Return one row per municipality and rule that could be tried, with its values and whether it is met.

    Input `facts`: FACTS (one row per municipality and indicator; unknown values missing). Input `rules`: rule_id,
    indicator_id, compare_to (peers | nation | expected | value | text | assessment), operator (above | below |
    one_of), threshold (a number in the indicator's unit, or words separated by spaces).
    Met: `above` when value - reference clears the threshold, `below` when reference - value does (against a bare
    `value` the threshold itself is the reference and must be passed), `one_of` when the text is one of the words.
    Clears: the lower limit of its 95 % interval does, where the figures are shares of few and have an error
    (value_error; peer_gap_error, that of the value minus the peers' mean), so that chance makes no finding.
    Output: facts and rule columns plus reference_value, gap (value minus reference) and is_met. A fact that is not
    known gives no row, so a rule can never be met by a gap in the data.
    """
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
            error = (
                rows[ERRORS[compare]] if (compare := str(compare_to)) in ERRORS else pd.Series(0.0, index=rows.index)
            )
            sure = signed - Z95 * error.astype("Float64").fillna(0.0)
            # A bare value has to pass its threshold; lying on it is keeping it.
            rows["is_met"] = sure > 0 if compare_to == "value" else sure >= threshold
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
    indicator's unit; relative_gap: |gap| in pct. of the reference; none: the rule is about no difference),
    medium_from, strong_from, is_self_reported (the municipality's own answer on a form), template_da, template_en.
    Input `names`: municipality_code, name_da, name_en. Output: COLUMNS. A difference that is shown as nought is no
    finding, unless the rule is about an assessment. Strength is the size of the difference: weak, then medium and
    strong from the two limits; medium for a rule on words, which have no distance; never strong for what the
    municipality tells of itself. Templates may use {municipality} (the official name) {value} {reference} {gap} {size}
    (the value without sign) {n}. Sorted by municipality, challenges first, strongest first. Raises UsageError when a
    rule cannot be applied.
    """
    check_rules(rules, FILE)
    met = apply_rules(facts, rules)
    met = met[met["is_met"] & ~_shown_as_nought(met)]
    met["compare_to"] = met["peer_kind"].where(met["compare_to"] == "peers", met["compare_to"]).fillna("peers")
    met = met.merge(names, on="municipality_code", how="left", validate="many_to_one")
    distance = met["gap"].abs()
    relative = (100 * distance / met["reference_value"].abs()).where(met["reference_value"] != 0)
    met["strength_value"] = distance.where(met["strength_formula"] == "gap", relative).astype("Float64")
    met.loc[met["strength_formula"] == "none", "strength_value"] = None
    known = met["strength_value"].notna()
    size = met["strength_value"].fillna(0).to_numpy(np.float64)
    limits = [met[c].astype("float64").to_numpy() for c in ("strong_from", "medium_from")]
    met["strength"] = np.where(
        known, np.select([size >= limits[0], size >= limits[1]], ["strong", "medium"], "weak"), "medium"
    )
    own_words = met["is_self_reported"].astype(str).str.lower() == "true"
    met["strength"] = met["strength"].mask(own_words & (met["strength"] == "strong"), "medium")
    met["finding_id"] = met["rule_id"]
    for language in ("da", "en"):
        met[f"sentence_{language}"] = [_sentence(row, language) for row in met.to_dict("records")]
    order = pd.Series({"strong": 0, "medium": 1, "weak": 2})
    met["_order"] = met["strength"].map(order)
    met = met.sort_values(["municipality_code", "kind", "_order", "finding_id"], ignore_index=True)
    return met[COLUMNS]


def _shown_as_nought(rows: pd.DataFrame) -> pd.Series[bool]:
    """Tell which differences are so small that the reader would see 0."""
    told = [
        how != "assessment"
        and not (_absent(difference) or _absent(reference))
        and _shown_gap(value, reference, difference, how, unit) == 0
        for value, reference, difference, how, unit in zip(
            rows["value"], rows["reference_value"], rows["gap"], rows["compare_to"], rows["unit"], strict=True
        )
    ]
    return pd.Series(told, index=rows.index, dtype=bool)


def _shown_gap(value: object, reference: object, difference: object, compare_to: object, unit: object) -> Decimal:
    """Return the difference as the sentence shows it.

    Where the sentence shows both figures, it is the difference of the figures as shown, so that it adds up. Against
    the expected it is the difference that mart.expected holds, since that one stands in a table of its own.
    """
    decimals = unit_of(str(unit)).decimals
    if compare_to in ("expected", "assessment"):
        return shown(float(str(difference)), decimals)
    return shown(float(str(value)), decimals) - shown(float(str(reference)), decimals)


def _sentence(row: Mapping[Hashable, object], language: Language) -> str:
    """Return the rule's sentence with the municipality's numbers, in the language's own number format."""
    unit = str(row["unit"])
    unknown = "ukendt" if language == "da" else "unknown"

    def told(value: object) -> str:
        return unknown if _absent(value) else level(float(str(value)), unit, language)

    value, reference, difference, n = row["value"], row["reference_value"], row["gap"], row["n_count"]
    if _absent(difference):
        distance = unknown
    else:
        distance = gap(_shown_gap(value, reference, difference, row["compare_to"], unit), unit, language)
    sentence = str(row[f"template_{language}"]).format(
        municipality=official_name(str(row[f"name_{language}"]), language),
        value=told(value), reference=told(reference), gap=distance,
        size=unknown if _absent(value) else gap(float(str(value)), unit, language),
        n=unknown if _absent(n) else number(float(str(n)), 0, language),
    )  # fmt: skip
    if row["compare_to"] == "municipality_group":
        sentence = sentence.replace(*GROUP[language])
    return sentence[:1].upper() + sentence[1:]


def _absent(value: object) -> bool:

    return value is None or value is pd.NA or value != value
