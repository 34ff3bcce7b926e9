"""How each municipality organises the effort: the answers of an invented questionnaire.

The fields are those of the organisation record. Nothing here helps anyone into work by itself; some
fields are contexts in which a method works better (see `world_truth`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flows.sample.world_areas import Floats, Places, stream
from flows.sample.world_conditions import Conditions, at, standardise
from flows.sample.world_truth import CONTEXTS, KINDS

if TYPE_CHECKING:
    import pandas as pd

_MODELS = (
    "single_interdisciplinary_unit",
    "jobcenter_general",
    "jobcenter_special_team",
    "separate_integration_department",
    "split_authorities",
    "external_main_provider",
    "joint_municipal",
    "other",
)
_THEMES = ("leadership", "targeting", "firm", "danish", "family_health", "data_use")
# How likely a person in the middle is to be offered each kind of measure, before local habits.
BASE_USE: dict[str, float] = {
    "private_praktik": 0.30,
    "public_praktik": 0.22,
    "private_loentilskud": 0.08,
    "public_loentilskud": 0.06,
    "igu": 0.05,
    "mentor": 0.15,
    "danskuddannelse": 0.90,
    "opkvalificering": 0.14,
    "branchepakke": 0.08,
}


def draw_organisation(seed: int, places: Places, conditions: Conditions) -> pd.DataFrame:
    """Return one row per municipality (98): the questionnaire fields, `use_*_pct` as intended use."""
    import pandas as pd

    rng = stream(seed, "organisation")
    n = len(places.codes)
    model = rng.choice(_MODELS, n, p=[0.22, 0.20, 0.22, 0.10, 0.14, 0.04, 0.04, 0.04])
    one_unit = model == "single_interdisciplinary_unit"
    start_days = np.clip(rng.gamma(4, 9, n) - 6 * one_unit, 3, 150).round().astype(int)
    frame = pd.DataFrame(
        {
            "municipality_code": places.codes,
            "org_model": model,
            "physical_colocation": np.where(
                rng.random(n) < np.where(one_unit, 0.85, 0.35), "same_site", "several_sites"
            ),
            "family_coordinator": rng.choice(["none", "some_families", "all_families"], n, p=[0.4, 0.4, 0.2]),
            "contract_responsible": rng.choice(
                ["jobcenter", "integration_unit", "social_dept", "shared", "external"], n, p=[0.5, 0.25, 0.1, 0.1, 0.05]
            ),
            "contract_within_1_month_pct": np.clip(rng.normal(82, 12, n), 20, 100).round(),
            "start_firm_directed_days_median": start_days,
            "started_within_14_days_pct": np.clip(90 * np.exp(-start_days / 22), 0, 100).round(),
            "started_within_30_days_pct": np.clip(98 * np.exp(-start_days / 70), 0, 100).round(),
            "caseload_per_caseworker": np.clip(rng.normal(48, 14, n), 15, 120).round(1),
            "job_consultants_fte": np.clip(
                at(conditions.population, 2016.0) / 25_000 * rng.gamma(3, 0.5, n), 0.2, None
            ).round(1),
            "is_dedicated_to_refugees": rng.random(n) < 0.45,
            "danish_provider": rng.choice(["own", "municipal_joint", "private", "mixed"], n, p=[0.4, 0.25, 0.2, 0.15]),
            "danish_parallel_with_placement": rng.choice(
                ["always", "mostly", "sometimes", "rarely"], n, p=[0.2, 0.3, 0.3, 0.2]
            ),
            "is_danish_workplace_based": rng.random(n) < 0.3,
            "health_assessment_offered": rng.choice(
                ["all", "by_need", "quota_refugees_only", "not_systematic"], n, p=[0.3, 0.45, 0.15, 0.1]
            ),
            "health_assessment_timing_days": np.clip(rng.gamma(3, 20, n), 5, 300).round().astype(int),
            "is_day1_job_ready_rule": rng.random(n) < 0.6,
            "intake_screening_tool": rng.choice(["none", "own", "national"], n, p=[0.35, 0.3, 0.35]),
            "political_committee": rng.choice(
                ["employment", "integration", "social", "finance", "other"], n, p=[0.6, 0.1, 0.15, 0.1, 0.05]
            ),
            "is_political_goal_set": rng.random(n) < 0.5,
            "programme_expenditure_per_person_year_dkk": at(conditions.spending_dkk, 2016.0).round(-2).astype(int),
            "branchepakker_used": rng.choice(["none", "LG_concept", "own_concept"], n, p=[0.55, 0.2, 0.25]),
            "firm_partnerships_count": rng.poisson(18, n),
        }
    )
    frame = frame.assign(**{f"use_{kind}_pct": _use(rng, kind, frame) for kind in KINDS})
    scores = {f"self_evaluation_{theme}_score": rng.integers(1, 6, n) for theme in _THEMES}
    frame = frame.assign(**scores)
    return frame[[size != "islet" for size in places.sizes]].reset_index(drop=True)


def _use(rng: np.random.Generator, kind: str, frame: pd.DataFrame) -> Floats:
    """Return the intended use of one kind of measure in pct. of programme persons."""
    base = BASE_USE[kind] / (1 - BASE_USE[kind])
    local = rng.normal(0, 0.45, len(frame))
    if kind == "branchepakke":
        local = local + np.where(frame["branchepakker_used"] == "none", -1.5, 1.0)
    odds = base * np.exp(local)
    return np.asarray((100 * odds / (1 + odds)).round(1))


def contexts(frame: pd.DataFrame, conditions: Conditions, places: Places) -> Floats:
    """Return the context of every place (places × CONTEXTS) in which methods work better or worse."""
    at_row = frame.set_index("municipality_code").reindex(list(places.codes))
    consultants = at_row["job_consultants_fte"].to_numpy(dtype=float) / at(conditions.population, 2016.0) * 25_000
    columns = {
        "is_colocated": (at_row["physical_colocation"] == "same_site").to_numpy(dtype=float),
        "job_consultants_z": standardise_known(consultants),
        "manufacturing_share_z": standardise(conditions.manufacturing_share),
        "has_danish_parallel": at_row["danish_parallel_with_placement"]
        .isin(["always", "mostly"])
        .to_numpy(dtype=float),
    }
    return np.column_stack([columns[name] for name in CONTEXTS])


def standardise_known(values: Floats) -> Floats:
    """Return standardised values, 0 where unknown."""
    known = np.isfinite(values)
    return np.where(known, (values - values[known].mean()) / values[known].std(), 0.0)
