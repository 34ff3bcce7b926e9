"""The tables computed in Python: `model.<name>`, what each reads, and the function that makes it.

Each step takes frames out of the warehouse (`frames.py`), hands them to the pure models of `transforms/models`, and
returns the frame that `transforms/mart/<table>.sql` casts. A step whose sources are missing returns an empty frame
of the right columns, so that a mapping can still be built, and says so by having no rows.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from transforms import frames
from transforms.industry_steps import INDUSTRY_TABLES, industry_step
from transforms.person_steps import person_models
from transforms.runner import Model
from transforms.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

    from transforms.persons import PersonData

OUTCOME = "employment_rate_non_western_pct"
NON_WESTERN = "25"
PERIODS = 3
"""Years for which expectations are computed: the newest ones RAS201 holds."""


def python_models(as_of: date, persons: PersonData | None = None) -> dict[str, Model]:
    """Return model table -> how it is computed.

    `as_of` is the day deadlines are judged on; `persons` the deliveries in force, None when there are none.
    """
    indicator_tables = frozenset({"mart.indicator_value", "mart.indicator", "mart.municipality"})
    return person_models(persons) | {
        "model.commuting_area": Model(
            frozenset({"staging.statbank_pend100", "mart.municipality"}), commuting_area_step
        ),
        "model.area_condition": Model(
            frozenset({"model.commuting_area", "core.indicator_area_value", "mart.indicator", "core.area"}),
            area_condition_step,
        ),
        "model.expected": Model(
            indicator_tables | {"staging.statbank_ras201", "core.area", "reference.peer_weights"}, expected_step
        ),
        "model.peer": Model(indicator_tables | {"reference.peer_weights"}, peer_step),
        "model.industry_match": Model(INDUSTRY_TABLES, industry_step),
        "model.absorption": Model(
            frozenset(
                {
                    "model.commuting_area",
                    "staging.statbank_ras302",
                    "staging.statbank_ras308",
                    "core.area",
                    "core.measure",
                    "reference.industry_crosswalk",
                }
            ),
            absorption_step,
        ),
        "model.finding": Model(FACT_TABLES | {"reference.finding_rules"}, finding_step),
        "model.method_candidate": Model(FACT_TABLES | {"reference.methods", "reference.method_rules"}, method_step),
        "model.eligibility": Model(
            frozenset({"mart.municipality", "reference.programmes", "reference.programme_participants"}),
            lambda warehouse: eligibility_step(warehouse, as_of),
        ),
    }


FACT_TABLES = frozenset(
    {
        "mart.indicator_value",
        "mart.indicator",
        "mart.indicator_national",
        "mart.municipality",
        "mart.expected",
        "mart.organisation",
        "mart.peer",
    }
)


def commuting_area_step(warehouse: Warehouse) -> pd.DataFrame:
    """Return the commuting area of every municipality; without PEND100 each is an area of its own, status missing."""
    import pandas as pd

    from transforms.models.commuting import commuting_areas

    codes = frames.municipalities(warehouse)
    flows = frames.commuting_flows(warehouse)
    if flows.empty:
        alone = pd.DataFrame({"municipality_code": codes, "commuting_area_code": codes})
        return alone.assign(
            commuting_area_size=1,
            self_containment_share=float("nan"),
            employed_count=float("nan"),
            is_cut_off=False,
            value_status="missing",
        )
    return commuting_areas(flows, codes, int(flows["year"].max()))


def area_condition_step(warehouse: Warehouse) -> pd.DataFrame:
    """Return each ratio indicator over the whole commuting area, per municipality and period."""
    from transforms.models.commuting import area_conditions

    parts = frames.ratio_parts(warehouse)
    areas = warehouse.frame("SELECT * FROM model.commuting_area WHERE value_status <> 'missing' ORDER BY 1")
    if parts.empty or areas.empty:
        return frames.empty(AREA_VALUE_COLUMNS)
    dates = parts.groupby(["indicator_id", "period"], as_index=False)["reference_date"].first()
    told = area_conditions(parts.drop(columns="reference_date"), areas)
    return told.merge(dates, on=["indicator_id", "period"])


def expected_step(warehouse: Warehouse) -> pd.DataFrame:
    """Return expected against observed employment of non-western immigrants for the newest years of RAS201."""
    import pandas as pd

    from transforms.models.contract import COLUMNS
    from transforms.models.expected import indirect_standardisation, municipal_expectations

    cells = frames.labour_cells(warehouse, NON_WESTERN)
    if cells.empty:
        return frames.empty(COLUMNS)
    parts = []
    for period in sorted(cells["period"].unique())[-PERIODS:]:
        now = cells[cells["period"] == period].drop(columns="period")
        counts = indirect_standardisation(now, ["age_code", "sex_code"])
        parts.append(
            municipal_expectations(counts, wide_conditions(warehouse, period), outcome_id=OUTCOME, period=period)
        )
    return pd.concat(parts, ignore_index=True)


def wide_conditions(warehouse: Warehouse, period: str) -> pd.DataFrame:
    """Return one column per framework condition that is known everywhere; the model leaves out no municipality.

    The employment rate of persons of Danish origin is left out: it shares its November with the outcome.
    """
    import pandas as pd

    long = frames.conditions(warehouse, period)
    wide = long.pivot(index="municipality_code", columns="indicator_id", values="value").astype("float64")
    known = wide.dropna(axis="columns", how="any").drop(columns="employment_rate_danish_pct", errors="ignore")
    return pd.DataFrame(known.reset_index())


def peer_step(warehouse: Warehouse) -> pd.DataFrame:
    """Return the seven nearest municipalities of each on the newest framework conditions."""
    from transforms.models.peers import find_peers

    long = frames.conditions(warehouse)
    if long["value"].isna().all():
        return frames.empty(PEER_COLUMNS)
    weights = frames.reference_table(warehouse, "peer_weights", ("weight",))
    groups = warehouse.frame(
        "SELECT municipality_code, municipality_group_code AS municipality_group FROM mart.municipality ORDER BY 1"
    )
    return find_peers(long, weights, groups).peers


PEER_COLUMNS = [
    "municipality_code",
    "peer_code",
    "rank",
    "distance",
    "condition_1",
    "condition_1_gap",
    "condition_2",
    "condition_2_gap",
    "condition_3",
    "condition_3_gap",
    "compared_weight_share",
    "same_group",
]


def absorption_step(warehouse: Warehouse) -> pd.DataFrame:
    """Return the absorption to be expected from the industries in reach, and the gap to what is observed.

    One row per municipality and indicator: municipality_code, indicator_id, period, reference_date, value,
    value_status.
    """
    from transforms.models.industries import expected_absorption, jobs_in_reach

    jobs = frames.industry_jobs(warehouse)
    employed = frames.national_industries(warehouse)
    observed = frames.non_western_employment_share(warehouse)
    if jobs.empty or employed.empty or observed.empty:
        return frames.empty(AREA_VALUE_COLUMNS)
    areas = warehouse.frame("SELECT * FROM model.commuting_area ORDER BY 1")
    reach = jobs_in_reach(jobs, areas, int(jobs["year"].max()))
    crosswalk = frames.reference_table(warehouse, "industry_crosswalk")
    share = observed[["municipality_code", "non_western_employment_pct"]]
    told = expected_absorption(reach, employed, share, crosswalk)
    names = {"expected_absorption_pct": "expected_absorption_pct", "absorption_gap_pct_points": "absorption_gap_pp"}
    long = told.rename(columns=names).melt(
        ["municipality_code", "value_status"], list(names.values()), "indicator_id", "value"
    )
    return long.assign(period=observed["period"].iloc[0], reference_date=observed["reference_date"].iloc[0])


AREA_VALUE_COLUMNS = ["municipality_code", "indicator_id", "period", "reference_date", "value", "value_status"]


def finding_step(warehouse: Warehouse) -> pd.DataFrame:
    """Return challenges and potentials: the rules of `finding_rules.csv` that the figures meet."""
    from transforms.models.findings import find

    rules = frames.reference_table(warehouse, "finding_rules", ("medium_from", "strong_from"))
    names = warehouse.frame(
        "SELECT municipality_code, municipality_name AS name_da, municipality_name_en AS name_en "
        "FROM mart.municipality ORDER BY 1"
    )
    return find(frames.facts(warehouse), rules, names)


def method_step(warehouse: Warehouse) -> pd.DataFrame:
    """Return the methods each municipality's figures point to, by the rules of `method_rules.csv`."""
    from transforms.models.methods import method_candidates

    return method_candidates(
        frames.facts(warehouse),
        frames.reference_table(warehouse, "methods"),
        frames.reference_table(warehouse, "method_rules"),
    )


def eligibility_step(warehouse: Warehouse, as_of: date) -> pd.DataFrame:
    """Return who takes part in and who may apply to each programme."""
    from transforms.models.eligibility import eligibility

    programmes = frames.reference_table(warehouse, "programmes")
    participants = frames.reference_table(warehouse, "programme_participants")
    return eligibility(frames.municipalities(warehouse), programmes, participants, as_of)
