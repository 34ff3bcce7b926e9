"""The steps that compute the tables `model.<name>`, and how each is handed to the pure models of `transforms/models`.

Each step takes frames out of the warehouse (`inputs/*.sql`), hands them to the models, and returns the frame that
`transforms/mart/<table>.sql` publishes, in the dictionary's types. A step whose sources are missing returns None: its
table then has the columns that `tables.yml` gives it and no rows, so that a mapping can still be built. What each reads
stands there as well.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transforms.catalogue import YamlFile
from transforms.disclosure import Gate
from transforms.models import persons as person_figures
from transforms.models.persons import PersonData, with_conditions, with_origin_group
from transforms.tables import Model
from transforms.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

    from transforms.models.expected import Modelled

HERE = Path(__file__).parent
Step = Callable[[Warehouse], "pd.DataFrame | None"]
Fits = dict[str, "Modelled"]
"""What was fitted, by outcome: laid down by the step that fits, read by those that assess and tell. Exact figures of
persons stay here and never enter the warehouse."""


def python_models(as_of: date, persons: PersonData | None = None, gate: Gate | None = None) -> dict[str, Model]:
    """Return model table -> how it is computed.

    `as_of` is the day deadlines are judged on; `persons` the deliveries in force, None when there are none; `gate` what
    figures made of them pass.
    """
    gate = gate or Gate()
    fits: Fits = {}
    steps: dict[str, Step] = {
        "commuting_area": commuting_area_step,
        "area_condition": area_condition_step,
        "expected": lambda warehouse: expected_step(warehouse, fits),
        "assessment": lambda warehouse: assessment_step(persons, gate, fits),
        "card": lambda warehouse: card_step(fits, gate, persons),
        "peer": peer_step,
        "industry_match": lambda warehouse: industry_step(warehouse, gate),
        "absorption": absorption_step,
        "finding": finding_step,
        "method_candidate": method_step,
        "eligibility": lambda warehouse: eligibility_step(warehouse, as_of),
    }
    return person_models(persons, gate, fits) | _models("registers", steps)


def person_models(data: PersonData | None, gate: Gate, fits: Fits) -> dict[str, Model]:
    """Return the person-level model tables. Exact counts stay in memory; only what passed the gate is in the tables."""
    return _models("persons", {} if data is None else _person_steps(data, gate, fits))


def _person_steps(data: PersonData, gate: Gate, fits: Fits) -> dict[str, Step]:
    @cache
    def placements(warehouse: Warehouse) -> tuple[pd.DataFrame, pd.DataFrame]:
        return person_figures.placement_counts(data, reference_table(warehouse, "industry_crosswalk"), gate)

    return {
        "newcomer_share": lambda warehouse: person_figures.newcomer_shares(data, gate),
        "duration": lambda warehouse: duration_step(warehouse, data, gate, fits),
        "first_job": lambda warehouse: first_job_step(data, gate),
        "method_effect": lambda warehouse: method_effect_step(warehouse, data, gate),
        "placement": lambda warehouse: placements(warehouse)[0],
        "placement_industry": lambda warehouse: placements(warehouse)[1],
        "organisation": lambda warehouse: person_figures.guarded_organisation(data, gate),
        "protection": lambda warehouse: protection_step(gate),
    }


def _models(group: str, steps: Mapping[str, Step]) -> dict[str, Model]:
    """Return the tables of a group of `tables.yml`; one without a step is without rows."""

    def compute(name: str, columns: list[str], warehouse: Warehouse) -> pd.DataFrame:
        import pandas as pd

        frame = steps[name](warehouse) if name in steps else None
        if frame is None or frame.columns.empty:
            return pd.DataFrame({column: pd.Series(dtype="str") for column in columns})
        return frame

    tables = YamlFile(HERE / "tables.yml").data[group]
    return {
        f"model.{name}": Model(frozenset(table["reads"]), partial(compute, name, table.get("columns", [])))
        for name, table in tables.items()
    }


# Frames the models read: plain queries from core and mart tables to pandas.


def read(warehouse: Warehouse, name: str, *values: object) -> pd.DataFrame:
    """Return what `inputs/<name>.sql` selects, as its head tells; `values` stand for $1 and so on."""
    return warehouse.frame((HERE / "inputs" / f"{name}.sql").read_text(encoding="utf-8"), values)


def reference_table(warehouse: Warehouse, name: str, numbers: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return a reference table as text columns, those in `numbers` as numbers."""
    frame = warehouse.frame(f"SELECT * FROM reference.{name} ORDER BY ALL")
    return frame.astype(dict.fromkeys(numbers, "float64"))


def municipalities(warehouse: Warehouse) -> list[str]:
    """Return the codes of the 98 municipalities, ascending."""
    return [str(code) for (code,) in warehouse.rows("SELECT municipality_code FROM mart.municipality ORDER BY 1")]


def least_rate_denominator(warehouse: Warehouse) -> int:
    """Return the fewest a rate of a register's counts may rest on, by the setting: over fewer it is noise."""
    return int(warehouse.scalar("SELECT least_rate_denominator FROM run.release"))


def areas(warehouse: Warehouse, *, with_unknown: bool = False) -> pd.DataFrame:
    """Return the labour market of each municipality, on request also of those of which nothing is known."""
    return read(warehouse, "areas", with_unknown)


LABOUR_MARKET = {
    "reach_net_unemployed_pct": "net_unemployed_pct",
    "reach_jobs_share_manufacturing_pct": "jobs_share_manufacturing_pct",
}
"""The labour market a newcomer meets, by the indicator whose mean over the places residents work in it is."""


def labour_market(warehouse: Warehouse) -> pd.DataFrame | None:
    """Return the labour market within reach year by year: municipality_code, year and the columns of LABOUR_MARKET.

    A year in which one of them is not known takes the nearest year in which it is. None when one is not known at all.
    """
    import pandas as pd

    from transforms.models.commuting import reach_conditions

    long = read(warehouse, "labour_market", list(LABOUR_MARKET.values()))
    if set(long["indicator_id"]) != set(LABOUR_MARKET.values()):
        return None
    wide = long.pivot(index=["municipality_code", "year"], columns="indicator_id", values="value")
    keys = ["municipality_code", "year"]
    every = pd.MultiIndex.from_product([sorted(long[key].unique()) for key in keys], names=keys)
    wide = wide.reindex(every).rename(columns={value: name for name, value in LABOUR_MARKET.items()})
    known = wide.groupby(level=0).ffill().groupby(level=0).bfill().reset_index()
    return reach_conditions(known[[*keys, *LABOUR_MARKET]], read(warehouse, "commuting_flows"))


def wide_conditions(warehouse: Warehouse, period: str) -> pd.DataFrame:
    """Return one column per framework condition, gaps included: the model fills them and tells.

    The employment rate of persons of Danish origin is left out: it shares its November with the outcome.
    """
    import pandas as pd

    long = read(warehouse, "conditions", period)
    wide = long.pivot(index="municipality_code", columns="indicator_id", values="value").astype("float64")
    known = wide.dropna(axis="columns", how="all").drop(columns="employment_rate_danish_pct", errors="ignore")
    return pd.DataFrame(known.reset_index())


# The steps that need person rows: durations, newcomers, placements, organisation, methods.


DURATION = "first_job_weeks"


def protection_step(gate: Gate) -> pd.DataFrame | None:
    """Return what the gate withheld and the mean error it added, per figure."""
    import pandas as pd

    rows = [
        (figure, cost.cells, cost.withheld, cost.error / shown if (shown := cost.cells - cost.withheld) else None)
        for figure, cost in sorted(gate.costs.items())
    ]
    columns = ["figure_id", "cells_count", "withheld_count", "mean_error"]
    return pd.DataFrame(rows, columns=columns) if rows else None


DURATION_DIGITS = {
    "observed": 0, "expected": 0, "difference": 0, "standard_error": 0, "single_low": 0, "single_high": 0,
    "difference_low": 0, "difference_high": 0, "shrunk_difference": 0, "explained_share": 2,
}  # fmt: skip
"""Decimals of what is published of durations, in weeks or per cent. One of 15 persons moves a mean within three years
by up to ten weeks, and intervals span tens of them: whole weeks lose nothing, and tell no person."""


def duration_step(warehouse: Warehouse, data: PersonData, gate: Gate, fits: Fits) -> pd.DataFrame | None:
    """Return the observed weeks to a first lasting job per municipality, through the gate; the fit is laid down."""
    from transforms.models.durations import model_durations
    from transforms.models.expected import COLUMNS

    market = labour_market(warehouse)
    if market is None:
        return None
    states = states_of(data)
    followed = with_origin_group(data.counts.durations, data.counts.origins, is_own=True)
    fits[DURATION] = modelled = model_durations(
        with_conditions(followed, market),
        [*person_figures.TRAITS, *LABOUR_MARKET],
        outcome_id=DURATION,
        period=data.period,
        municipalities=municipalities(warehouse),
        areas=areas(warehouse),
        is_few=lambda code, n: gate.is_few(f"{DURATION}: jobs", states.get(code, code), n),
    )
    told = modelled.rows[modelled.rows["outcome_id"] == DURATION]
    return duration_gate(told[COLUMNS], data, replace(gate, costs={}))


def first_job_step(data: PersonData, gate: Gate) -> pd.DataFrame:
    """Return the shares with a first job within one to three years, by organisation model and trait, by the gate.

    Shares are made of rounded numbers of persons and their intervals, in whole per cent, move with them.
    """
    import numpy as np
    import pandas as pd

    from transforms.models.durations import FIRST_JOB_COLUMNS, first_job_shares

    models = person_figures.organisation_models(data.organisation)
    persons = data.counts.first_jobs
    places = persons.values("municipality_code")
    model = np.array([models.get(code) for code in places], dtype=object)
    persons = persons.with_columns({"country": np.full(len(persons), "000"), "org_model_code": model})
    followed = data.counts.first_job_persons.frame("n").set_index(["breakdown_id", "breakdown_code"])["n"].to_dict()
    parts = []
    for kind in person_figures.FIRST_JOB_GROUPS:
        groups = {str(code): persons.where(persons.codes[kind] == place)
                  for place, code in enumerate(persons.levels[kind]) if code is not None}  # fmt: skip
        n = {code: int(followed.get((kind, code), 0)) for code in groups}
        shares = first_job_shares(groups, n, is_few=partial(_is_few, gate, f"first_job:{kind}", data.state))
        told = [_first_job_row(row, kind, data.state, gate) for row in shares.to_dict("records")]
        parts.append(pd.DataFrame(told).assign(breakdown_id=kind))
    return pd.DataFrame(pd.concat(parts, ignore_index=True)[["breakdown_id", *FIRST_JOB_COLUMNS]])


def _is_few(gate: Gate, figure: str, state: str, name: str, count: int) -> bool:
    return (gate.rounded(f"{figure}: {name}", state, count) or 0) < gate.least


def _first_job_row(row: dict[Hashable, Any], kind: str, state: str, gate: Gate) -> dict[Hashable, Any]:
    """Return one row of `first_job_shares` with its share of rounded numbers of persons; empty where it is withheld."""
    names = ("first_job_share_pct", "first_job_share_low_pct", "first_job_share_high_pct")
    share, low, high = (row[name] for name in names)
    figure, n = f"first_job:{kind}: {row['breakdown_code']}", int(row["n_count"])
    if row["value_status"] == "suppressed":
        gate.note(figure, None)
        return row | dict.fromkeys((*names, "n_count"))
    cell = gate.share(f"{figure}: {row['within_years']}", state, round(share * n / 100), n, figure)
    if cell.value is None:
        return row | dict.fromkeys((*names, "n_count")) | {"value_status": "suppressed"}
    moved = cell.value - share
    ends = (float(max(round(low + moved), 0)), float(min(round(high + moved), 100)))
    return row | dict(zip(names, (cell.value, *ends), strict=True)) | {"n_count": cell.denominator}


def duration_gate(rows: pd.DataFrame, data: PersonData, gate: Gate) -> pd.DataFrame:
    """Return rows of durations as they may be published; who is called on a limit that rounds to nought is not.

    Shares are made of rounded numbers of persons, weeks are whole.
    """
    outcome = str(rows["outcome_id"].iloc[0]) if len(rows) else DURATION
    if outcome.endswith("_pct"):
        return gate.estimated_shares(rows, outcome, states_of(data), f"{DURATION}: persons")
    told = gate.estimates(rows, DURATION, states_of(data), DURATION_DIGITS, outcome)
    for _ in range(int((told["value_status"] == "not_applicable").sum())):
        gate.note(outcome, 0.0)  # that fewer than half got a job is told, and as it is
    low, high = told["difference_low"].astype("Float64"), told["difference_high"].astype("Float64")
    called = told["assessment"].isin(["better", "worse"])
    unclear = (called & ((low <= 0) & (high >= 0))).fillna(False).astype(bool)
    told["assessment"] = told["assessment"].mask(unclear, "as_expected")
    return told


def states_of(data: PersonData) -> dict[str, str]:
    """Return what stands for the deliveries of each municipality, its code included."""
    return {code: f"{code}:{state}" for code, state in data.states.items()}


def method_effect_step(warehouse: Warehouse, data: PersonData, gate: Gate) -> pd.DataFrame | None:
    """Return how each measure goes together with getting a job, in each organisation and labour market.

    The numbers of persons are rounded; the ratios are of the whole country and published with two decimals.
    """
    import pandas as pd

    from transforms.models.methods import method_effects

    market = labour_market(warehouse)
    if market is None:
        return None
    followed = with_origin_group(data.counts.histories, data.counts.origins, is_own=False)
    told = method_effects(
        with_conditions(followed, market),
        {str(code): int(n) for code, n in data.counts.exposed.frame("n").itertuples(index=False)},
        [*person_figures.TRAITS, *person_figures.JUDGED_TRAITS, *LABOUR_MARKET],
        outcome_id=DURATION,
        contexts=contexts(data, market),
    )
    exposed = zip(told["method_code"], told["n_exposed"], strict=True)
    told["n_persons"] = [gate.rounded("followed", data.state, int(n)) or pd.NA for n in told["n_persons"]]
    told["n_exposed"] = [
        pd.NA if pd.isna(n) else gate.rounded(f"exposed:{code}", data.state, int(n)) or pd.NA for code, n in exposed
    ]
    return told


def contexts(data: PersonData, market: pd.DataFrame) -> pd.DataFrame:
    """Return the contexts in which methods are compared: organisation from the questionnaire, manufacturing jobs."""
    newest = (
        person_figures.organisation_rows(data)
        .sort_values("reference_date")
        .drop_duplicates("municipality_code", keep="last")
    )
    persons = data.counts.cases.frame("n").set_index("municipality_code")["n"]
    per_hundred = 100 * newest["job_consultants_fte"].astype("float64") / newest["municipality_code"].map(persons)
    told = newest[["municipality_code"]].assign(
        is_colocated=newest["physical_colocation_code"] == "same_site",
        job_consultants_per_100=per_hundred,
        has_danish_parallel=newest["danish_parallel_with_placement_code"].isin(["always", "mostly"]),
    )
    newest_market = market.sort_values("year").drop_duplicates("municipality_code", keep="last")
    jobs = newest_market[["municipality_code", "reach_jobs_share_manufacturing_pct"]]
    return told.merge(jobs, on="municipality_code").dropna()


# The steps of the registers.


OUTCOME = "employment_rate_non_western_pct"
NON_WESTERN = "25"


def commuting_area_step(warehouse: Warehouse) -> pd.DataFrame:
    """Return the commuting area of every municipality; without PEND100 each is an area of its own, status missing."""
    import pandas as pd

    from transforms.models.commuting import commuting_areas

    codes = municipalities(warehouse)
    flows = read(warehouse, "commuting_flows")
    if flows.empty:
        return pd.DataFrame({
            "municipality_code": codes, "commuting_area_code": codes, "commuting_area_size": 1,
            "self_containment_share": float("nan"), "employed_count": float("nan"), "is_cut_off": False,
            "value_status": "missing",
        })  # fmt: skip
    return commuting_areas(flows, codes, int(flows["year"].max()))


def area_condition_step(warehouse: Warehouse) -> pd.DataFrame | None:
    """Return each ratio indicator over the whole commuting area, per municipality and period."""
    from transforms.models.commuting import area_conditions

    parts = read(warehouse, "ratio_parts")
    within = areas(warehouse)
    if parts.empty or within.empty:
        return None
    dates = parts.groupby(["indicator_id", "period"], as_index=False)["reference_date"].first()
    told = area_conditions(parts.drop(columns="reference_date"), within)
    return told.merge(dates, on=["indicator_id", "period"])


def expected_step(warehouse: Warehouse, fits: Fits) -> pd.DataFrame | None:
    """Return expected against observed employment of non-western immigrants for every year of RAS201, not yet assessed.

    A year before the framework conditions begin has no expectation and no rows.
    """
    from transforms.models.expected import COLUMNS, indirect_standardisation, model_shares

    cells = read(warehouse, "labour_cells", NON_WESTERN)
    years = {}
    for period in sorted(cells["period"].unique()):
        known = wide_conditions(warehouse, period)
        if known.drop(columns="municipality_code").isna().all(axis=None):
            continue
        now = cells[cells["period"] == period].drop(columns="period")
        years[str(period)] = indirect_standardisation(now, ["age_code", "sex_code"]), known
    if not years:
        return None
    least = least_rate_denominator(warehouse)
    fits[OUTCOME] = model_shares(years, outcome_id=OUTCOME, least=least, areas=areas(warehouse))
    return fits[OUTCOME].rows[COLUMNS]


def assessment_step(data: PersonData | None, gate: Gate, fits: Fits) -> pd.DataFrame | None:
    """Return every outcome assessed: the newest period of all headline outcomes in one comparison, each other alone.

    What rests on person rows passes the gate after it was compared.
    """
    import pandas as pd

    from transforms.models.expected import COLUMNS, assess

    if not fits:
        return None
    both = pd.concat([fit.rows for fit in fits.values()], ignore_index=True)
    newest = both.groupby("outcome_id")["period"].transform("max") == both["period"]
    both["family"] = both["family"].mask(both["family"].notna() & newest, "newest of all outcomes")
    told = assess(both)[COLUMNS]
    registered = told["outcome_id"] == OUTCOME
    parts = [told[registered]]
    if data is not None:
        parts += [duration_gate(part, data, gate) for _, part in told[~registered].groupby("outcome_id", sort=True)]
    return pd.concat(parts, ignore_index=True)


def card_step(fits: Fits, gate: Gate, data: PersonData | None) -> pd.DataFrame | None:
    """Return the model cards of the models that were fitted in this build.

    Those of persons tell their number rounded, checks in whole weeks, and the rest with three decimals.
    """
    import pandas as pd

    cards = []
    for outcome, fit in fits.items():
        card = fit.card.copy()
        if outcome != OUTCOME and data is not None:
            digits = card["kind"].map({"check": 0}).fillna(3).where(card["term"] != "explained_out_of_sample", 2)
            for column in ("value", "standard_error"):
                told = [round(x, int(d)) if x == x else x for x, d in zip(card[column], digits, strict=True)]
                card[column] = pd.array(told, dtype="Float64")
            people = card["term"] == "persons"
            card.loc[people, "value"] = [
                gate.rounded(f"{DURATION}: all persons", data.state, int(n)) for n in card.loc[people, "value"]
            ]
        cards.append(card)
    return pd.concat(cards, ignore_index=True) if cards else None


def peer_step(warehouse: Warehouse) -> pd.DataFrame | None:
    """Return the seven nearest municipalities of each on the newest framework conditions."""
    from transforms.models.peers import find_peers

    long = read(warehouse, "conditions", None)
    if long["value"].isna().all():
        return None
    weights = reference_table(warehouse, "peer_weights", ("weight",))
    return find_peers(long, weights, read(warehouse, "municipality_names"))


def industry_step(warehouse: Warehouse, gate: Gate) -> pd.DataFrame | None:
    """Return how each industry fits each municipality: jobs and openings in reach, growth, absorption and shortage."""
    from transforms.models import industries

    jobs = read(warehouse, "industry_jobs")
    employed = read(warehouse, "national_industries")
    if jobs.empty or employed.empty:
        return None
    within = areas(warehouse, with_unknown=True)
    taken = warehouse.frame("SELECT * FROM model.placement ORDER BY 1, 2")
    followed = warehouse.frame(
        "SELECT * FROM model.placement_industry WHERE followed_by_job_count IS NOT NULL ORDER BY 1"
    )
    posted, entered = read(warehouse, "openings"), read(warehouse, "shortage")
    return industries.match_industries(
        industries.jobs_in_reach(jobs, within, int(jobs["year"].max())),
        industries.national_absorption(employed, least_rate_denominator(warehouse)),
        read(warehouse, "industries"),
        openings=None if posted.empty else industries.openings_in_reach(posted, within),
        shortage=None if entered.empty else entered,
        to_job=None if followed.empty else industries.placement_to_job(followed, gate.least),
        use=None if taken.empty else industries.present_use(taken, gate.least),
    )


def absorption_step(warehouse: Warehouse) -> pd.DataFrame | None:
    """Return the absorption to be expected from the industries in reach, and the gap to what is observed.

    One row per municipality and indicator: municipality_code, indicator_id, period, reference_date, value,
    denominator (none: it is a model's), value_status.
    """
    from transforms.models.industries import expected_absorption, jobs_in_reach

    jobs = read(warehouse, "industry_jobs")
    employed = read(warehouse, "national_industries")
    observed = read(warehouse, "non_western_employment_share")
    if jobs.empty or employed.empty or observed.empty:
        return None
    reach = jobs_in_reach(jobs, areas(warehouse, with_unknown=True), int(jobs["year"].max()))
    crosswalk = reference_table(warehouse, "industry_crosswalk")
    share = observed[["municipality_code", "non_western_employment_pct"]]
    told = expected_absorption(reach, employed, share, crosswalk, least_rate_denominator(warehouse))
    long = told.rename(columns={"absorption_gap_pct_points": "absorption_gap_pp"}).melt(
        ["municipality_code", "value_status"], ["expected_absorption_pct", "absorption_gap_pp"], "indicator_id", "value"
    )
    day = observed["reference_date"].iloc[0]
    return long.assign(period=observed["period"].iloc[0], reference_date=day, denominator=None)


def finding_step(warehouse: Warehouse) -> pd.DataFrame:
    """Return challenges and potentials: the rules of `finding_rules.csv` that the figures meet."""
    from transforms.models.findings import find

    rules = reference_table(warehouse, "finding_rules", ("medium_from", "strong_from"))
    return find(read(warehouse, "facts"), rules, read(warehouse, "municipality_names"))


def method_step(warehouse: Warehouse) -> pd.DataFrame:
    """Return the methods each municipality's figures point to, by the rules of `method_rules.csv`."""
    from transforms.models.methods import method_candidates

    methods, rules = (reference_table(warehouse, name) for name in ("methods", "method_rules"))
    return method_candidates(read(warehouse, "facts"), methods, rules)


def eligibility_step(warehouse: Warehouse, as_of: date) -> pd.DataFrame:
    """Return who takes part in and who may apply to each programme."""
    from transforms.models.eligibility import eligibility

    programmes = reference_table(warehouse, "programmes")
    participants = reference_table(warehouse, "programme_participants")
    return eligibility(municipalities(warehouse), programmes, participants, as_of)
