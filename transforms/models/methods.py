"""Candidate methods for a municipality, from its mapping: `mart.method_candidate`. Never a borrowed effect size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transforms.errors import UsageError
from transforms.models.rules import apply_rules, check_rules

if TYPE_CHECKING:
    import pandas as pd

FILE = "transforms/reference/method_rules.csv"
GRADES = {"effect_study": 3, "register_correlation": 2, "practice_experience": 1}
COLUMNS = [
    "municipality_code", "method_code", "rank", "conditions_met_count", "conditions_known_count", "conditions_met",
    "reasons_da", "reasons_en", "evidence_grade", "evidence_population_da", "evidence_population_en", "caution_da",
    "caution_en", "source_url", "label_da", "label_en",
]  # fmt: skip


def method_candidates(facts: pd.DataFrame, methods: pd.DataFrame, rules: pd.DataFrame) -> pd.DataFrame:
    """Return the methods a municipality's mapping points to: at least one of the method's conditions is met.

    Input `facts`: see `rules.FACTS`. Input `methods` (reference/methods.csv): method_code, label_da, label_en,
    evidence_grade (effect_study | register_correlation | practice_experience), evidence_population_da and _en,
    caution_da, caution_en, source_url. Input `rules` (reference/method_rules.csv): rule_id, method_code,
    indicator_id, compare_to, operator, threshold, reason_da, reason_en. Output: COLUMNS, one row per municipality and
    candidate; ranked by conditions met, then the evidence grade, then the share of the known conditions met, then
    the code. The rank orders a discussion; it is no estimate of effect, and no effect found in another population
    is carried over. Raises UsageError on an unknown grade, a rule without method, or a rule that cannot be applied.
    """
    import pandas as pd

    check_rules(rules, FILE)
    unknown = set(methods["evidence_grade"]) - set(GRADES)
    if unknown:
        raise UsageError(
            f"transforms/reference/methods.csv: evidence_grade '{min(unknown)}'; rule: one of {', '.join(GRADES)}"
        )
    stray = set(rules["method_code"]) - set(methods["method_code"])
    if stray:
        raise UsageError(f"{FILE}: method_code '{min(stray)}' is not in methods.csv; rule: describe the method first")
    tried = apply_rules(facts, rules)
    keys = ["municipality_code", "method_code"]
    known = tried.groupby(keys).size().rename("conditions_known_count")
    met = tried[tried["is_met"]].groupby(keys).agg(
        conditions_met_count=("rule_id", "size"), conditions_met=("rule_id", " ".join),
        reasons_da=("reason_da", " ".join), reasons_en=("reason_en", " ".join),
    )  # fmt: skip
    out = met.join(known).reset_index().merge(methods, on="method_code", how="left")
    out["_grade"] = out["evidence_grade"].map(GRADES)
    out["_share"] = out["conditions_met_count"] / out["conditions_known_count"]
    order = ["municipality_code", "conditions_met_count", "_grade", "_share", "method_code"]
    out = out.sort_values(order, ascending=[True, False, False, False, True], ignore_index=True)
    out["rank"] = out.groupby("municipality_code").cumcount() + 1
    return pd.DataFrame(out[COLUMNS])
