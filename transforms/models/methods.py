"""Candidate methods for a municipality, from its mapping: `mart.method_candidate`. Never a borrowed effect size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from transforms.errors import UsageError
from transforms.machine import ahead
from transforms.models.findings import apply_rules, check_rules
from transforms.models.spells import TWO_PARTS, Variant, exposure_spans
from transforms.models.wording import TEXTS
from transforms.statistics.hazard import (
    Cells,
    build_cells,
    fit_hazard,
    is_numeric,
    named_levels,
    score_weight_by_cell,
)
from transforms.statistics.intervals import Z95, Floats, Pooled, compare_all, e_value, pool
from transforms.statistics.tally import Tally, added

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


# How taking part in each method goes together with getting a job, in which context: `mart.method_effect`.


PERIOD_STEPS = 3  # one baseline hazard per 12 weeks
MIN_EXPOSED = 50
MIN_MUNICIPALITIES = 10


def _municipal(cells: Cells, bits: int, context: Floats | None) -> tuple[list[Pooled | None], Floats]:
    """Return the pooled log hazard ratio of each exposure bit and the number of municipalities with information.

    Each municipality's own log ratio is one Fisher step, own level profiled out, from the common one plus what its
    contexts predict; fit, pool and predict are repeated until that prediction stands, so the step is short.
    """
    size = len(cells.groups)
    moderators = np.zeros((size, 0)) if context is None else context
    complete: npt.NDArray[np.bool_] = np.asarray(np.isfinite(moderators).all(axis=1), dtype=np.bool_)
    filled = np.where(complete[:, None], moderators, 0.0)
    shift = np.zeros((size, bits))
    pools: list[Pooled | None] = [None] * bits
    used = np.zeros(bits)
    exposed = cells.factors[0]
    for _ in range(1 if context is None else 3):
        offset = (shift @ exposed.numbers.T)[cells.group, exposed.codes]
        fit = fit_hazard(cells, offset)
        linear = offset + cells.linear(fit.beta) + fit.effect[cells.group]
        s, w = score_weight_by_cell(cells, fit.baseline, linear)
        level_s, level_w = cells.by_group(s), np.maximum(cells.by_group(w), 1e-9)
        exposed_s, exposed_w = cells.by_group_exposure(s), cells.by_group_exposure(w)
        for k in range(bits):
            own_w = exposed_w[:, k]
            information = own_w * (1 - own_w / level_w)
            score = exposed_s[:, k] - own_w / level_w * level_s
            rows = np.flatnonzero(np.where(complete, information, 0) > 0.05)
            used[k] = len(rows)
            if used[k] < max(MIN_MUNICIPALITIES, 3 * (moderators.shape[1] + 1)):
                pools[k] = None
                continue
            estimate = fit.beta[k] + shift[rows, k] + score[rows] / information[rows]
            # Baseline and traits are estimated too, once for all: an error every municipality shares.
            place = cells.periods + k
            shared = max(0.0, float(fit.covariance[place, place]) - 1 / float(information.sum()))
            pools[k] = found = pool(estimate, 1 / information[rows], filled[rows], shared)
            shift[:, k] = filled @ found.coefficients[1:]
    return pools, used


def _cells(histories: Tally, methods: list[str], covariates: list[str], variant: Variant) -> Cells:
    """Return the cells of one variant of the analysis, its time at risk cut one municipality at a time."""
    bits = len(methods) * (2 if variant in TWO_PARTS else 1)
    periods = -(-int(histories.values("stop").max()) // PERIOD_STEPS)
    spans = ahead(lambda part: exposure_spans(part, methods, variant), histories.parts("municipality_code"))
    cells = build_cells(spans, covariates, periods, intervals_per_period=PERIOD_STEPS, bits=bits)
    last = int(np.flatnonzero(cells.at_risk.any(axis=1))[-1]) + 1
    return replace(cells, at_risk=cells.at_risk[:last], events=cells.events[:last])


def trait_scores(histories: Tally, methods: list[str], covariates: list[str]) -> npt.NDArray[np.float64]:
    """Return each cell's part of the linear predictor that the traits give, from the model with all methods in it.

    The other analyses carry this one number instead of every trait: a prognostic score (Hansen 2008, Biometrika
    95:481), estimated with the exposures beside it so that they do not leak into it. Rounded to 0.02.
    """
    cells = _cells(histories, methods, covariates, "started")
    fit = fit_hazard(cells)
    score = np.zeros(len(histories))
    for name, (table, places) in cells.tables.items():
        score += (table.astype(np.float64) @ fit.beta[places])[histories.codes[name]]
    return np.asarray(np.round(score * 50) / 50 + 0.0, dtype=np.float64)


def _fit(
    scored: Tally, methods: list[str], contexts: pd.DataFrame | None, variant: Variant
) -> list[tuple[list[Pooled | None], Floats]]:
    """Return pooled exposures of one variant of the analysis, and by context after it; `scored` carries trait_score."""
    cells = _cells(scored, methods, ["trait_score"], variant)
    bits = len(methods) * (2 if variant in TWO_PARTS else 1)
    tables = [] if contexts is None else [contexts.reindex(list(cells.groups)).to_numpy(np.float64)]
    return [_municipal(cells, bits, table) for table in (None, *tables)]


def standardise_contexts(contexts: pd.DataFrame) -> pd.DataFrame:
    """Return contexts by municipality_code: yes/no as 0 and 1, numbers with mean 0 and standard deviation 1."""
    table = contexts.set_index("municipality_code").astype("float64")
    for name in table.columns:
        if not set(table[name].dropna().unique()) <= {0.0, 1.0}:
            spread = table[name].std(ddof=0)
            table[name] = (table[name] - table[name].mean()) / spread if spread > 0 else 0.0
    return table.loc[:, table.std(ddof=0) > 0]


def method_effects(
    histories: Tally, exposed: Mapping[str, int], covariates: list[str], *, outcome_id: str,
    contexts: pd.DataFrame | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return method x context x outcome: hazard ratios of a first job, with interval and what they are not.

    Input: `spells.histories` with the `covariates`; `exposed`: method -> persons exposed to it in the time they were
    followed, for every method there is; `contexts`: municipality_code and one
    column per organisation or framework context (yes/no or number). All methods stand in one discrete-time model with
    time-varying exposure, own municipal level, and municipal differences pooled (DerSimonian-Laird).

    Output: method_code, context_code, outcome_id, hazard_ratio, hazard_ratio_low, hazard_ratio_high, interaction_ratio,
    interaction_low, interaction_high, interaction_stands (when all interactions are compared), n_persons, n_exposed,
    n_municipalities, prediction_low and prediction_high (95 % for one more municipality), heterogeneity (tau: standard
    deviation of the log ratio between municipalities), hazard_ratio_lagged (counted from 13 weeks after the start),
    hazard_ratio_without_first_weeks (the time behind the first four weeks), e_value, e_value_low (of the limit nearest
    1), value_status (estimated | missing), what_it_is_not_da, what_it_is_not_en. context_code: `all`; `during` and
    `after` (lock-in against the time behind it); `first_weeks`, the negative control (Lipsitch, Tchetgen Tchetgen and
    Cohen 2010, Epidemiology 21:383): whoever finds a job within four weeks of the start was on the way to it before,
    so a ratio away from 1 there tells how those who get the measure differ; or a context, where hazard_ratio holds
    where it is present (or one standard deviation above the mean), the other contexts at their mean, and
    interaction_ratio against its absence (or the mean). Under MIN_EXPOSED exposed persons or MIN_MUNICIPALITIES
    municipalities: `missing`, no figure.
    """
    import pandas as pd

    codes, persons = sorted(exposed), int(histories.count.sum())
    histories = named_levels(histories, covariates)
    for name in covariates:
        if is_numeric(histories.levels[name]):
            histories = histories.where(~np.isnan(histories.values(name)))
    scored = histories.with_columns({"trait_score": trait_scores(histories, codes, covariates)})
    took = [name for name in histories.levels if name not in {"municipality_code", *covariates}]
    scored = added([scored.only(["municipality_code", "trait_score", *took])])
    table = None if contexts is None else standardise_contexts(contexts)
    variants: list[tuple[pd.DataFrame | None, Variant]]
    variants = [(table, "started"), (None, "lagged"), (None, "first_weeks"), (None, "phases")]
    [(main, used), *by_context], [(lagged, _)], [(weeks, weeks_used)], [(phases, phase_used)] = ahead(
        lambda each: _fit(scored, codes, *each), variants, threads=2
    )
    rows: list[dict[str, object]] = []
    for k, code in enumerate(codes):
        n = {"method_code": code, "n_persons": persons, "n_exposed": exposed[code]}
        rows.append(n | _row("all", main[k], used[k]) | _sensitivity(main[k], lagged[k], weeks[k + len(codes)]))
        rows.append(n | _row("during", phases[k], phase_used[k]))
        rows.append(n | _row("after", phases[k + len(codes)], phase_used[k + len(codes)]))
        rows.append(n | _row("first_weeks", weeks[k], weeks_used[k]))
    if table is not None:
        [(found, used)] = by_context
        centre = table.mean().to_numpy(np.float64)
        for k, code in enumerate(codes):
            n = {"method_code": code, "n_persons": persons, "n_exposed": exposed[code]}
            for j, name in enumerate(table.columns):
                rows.append(n | _row(str(name), found[k], used[k], j, centre))
    ratios = ["hazard_ratio", "hazard_ratio_low", "hazard_ratio_high", "interaction_ratio", "interaction_low",
              "interaction_high"]  # fmt: skip
    extra = ["prediction_low", "prediction_high", "heterogeneity", "hazard_ratio_lagged",
             "hazard_ratio_without_first_weeks", "e_value", "e_value_low"]  # fmt: skip
    numbers = ["n_persons", "n_exposed", "n_municipalities"]
    out = pd.DataFrame(rows).reindex(columns=["method_code", "context_code", *ratios, *numbers, *extra])
    out = out.astype({**dict.fromkeys([*ratios, *extra], "Float64"), **dict.fromkeys(numbers, "Int64")})
    few = (out["n_exposed"] < MIN_EXPOSED) | (out["n_municipalities"] < MIN_MUNICIPALITIES) | out["hazard_ratio"].isna()
    out.loc[few, [*ratios, *extra]] = pd.NA
    out["interaction_stands"] = _standing(out)
    out["n_exposed"] = out["n_exposed"].mask(out["n_exposed"].between(1, 4))
    out.insert(2, "outcome_id", outcome_id)
    out["value_status"] = np.where(few, "missing", "estimated")
    for language, text in TEXTS["method_effect"].items():
        out[f"what_it_is_not_{language}"] = text
    return out


def _row(
    context: str, found: Pooled | None, used: float, j: int | None = None, centre: Floats | None = None
) -> dict[str, object]:
    """Return the ratio columns of one method in one context."""
    row: dict[str, object] = {"context_code": context, "n_municipalities": int(used)}
    if found is None:
        return row
    at = np.zeros(len(found.coefficients))
    at[0] = 1
    if j is not None and centre is not None:
        at[1:], at[j + 1] = centre, 1
        step = np.zeros_like(at)
        step[j + 1] = 1
        row |= dict(zip(("interaction_ratio", "interaction_low", "interaction_high"), _ratio(found, step), strict=True))
    row |= dict(zip(("hazard_ratio", "hazard_ratio_low", "hazard_ratio_high"), _ratio(found, at), strict=True))
    return row | {"heterogeneity": found.tau} | _prediction(found, at, used)


def _prediction(found: Pooled, at: Floats, used: float) -> dict[str, object]:
    """Return where the ratio of one more municipality may lie (Higgins et al. 2009, JRSS A 172:137).

    The mean's interval tells how well the mean is known; this one adds how far municipalities lie apart.
    """
    from scipy.stats import t

    free = used - len(found.coefficients) - 1
    value = float(at @ found.coefficients)
    half = float(t.ppf(0.975, free)) * float(np.sqrt(found.tau**2 + at @ found.covariance @ at))
    return {"prediction_low": float(np.exp(value - half)), "prediction_high": float(np.exp(value + half))}


def _standing(rows: pd.DataFrame) -> pd.Series[bool]:
    """Return whether an interaction stands when all of them are compared (`compare_all`); empty where there is none."""
    import pandas as pd

    known = rows["interaction_ratio"].notna()
    logs = [np.log(rows.loc[known, f"interaction_{c}"].to_numpy(np.float64)) for c in ("ratio", "low", "high")]
    stands = pd.Series(pd.NA, index=rows.index, dtype="boolean")
    if known.any():
        z = logs[0] / np.maximum((logs[2] - logs[1]) / (2 * Z95), 1e-12)
        stands[known] = compare_all(z, np.ones(len(z), dtype=np.bool_)).called
    return stands


def _ratio(found: Pooled, at: Floats) -> tuple[float, float, float]:
    value, half = float(at @ found.coefficients), Z95 * float(np.sqrt(at @ found.covariance @ at))
    return float(np.exp(value)), float(np.exp(value - half)), float(np.exp(value + half))


def _sensitivity(main: Pooled | None, lagged: Pooled | None, later: Pooled | None) -> dict[str, object]:
    """Return the sensitivity columns; the E-value of an interval that holds 1 is 1."""
    row: dict[str, object] = {}
    for name, other in (("hazard_ratio_lagged", lagged), ("hazard_ratio_without_first_weeks", later)):
        row[name] = None if other is None else float(np.exp(other.coefficients[0]))
    if main is not None:
        ratio, low, high = _ratio(main, np.ones(1))
        nearest = low if ratio >= 1 else high
        row |= {"e_value": e_value(ratio), "e_value_low": 1.0 if low <= 1 <= high else e_value(nearest)}
    return row
