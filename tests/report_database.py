"""A made-up published database with every table the report can show; small to make, the same for the same seed."""

from __future__ import annotations

import csv
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from transforms.areas import areas_at
from transforms.dictionary import load_dictionary
from transforms.warehouse import Warehouse

REFERENCE = Path(__file__).resolve().parent.parent / "transforms" / "reference"
YEARS = tuple(range(2018, 2025))
HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)> \u202egnirts\u202c =1+1 & </span>'
SUPPRESSED_CODE, MISSING_CODE = "825", "563"
LEVELS = {
    "pct": (10, 60),
    "pp": (5, 30),
    "per_1000": (2, 20),
    "persons": (40, 9000),
    "jobs": (900, 90000),
    "dkk": (60000, 260000),
    "dkk_thousand": (500, 90000),
}


def reference(name: str) -> pd.DataFrame:
    """Return a reference file of the project with every value as text."""
    with (REFERENCE / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        return pd.DataFrame(list(csv.DictReader(stream, delimiter=";")))


def make_database(
    path: Path, *, municipalities: int = 98, models: bool = True, seed: int = 1, hostile: bool = False
) -> Path:
    """Write the database; without `models` only what the first builds had. `hostile` puts hostile text into it."""
    rng = np.random.default_rng(seed)
    areas = areas_at(["municipality"])[-municipalities:]
    codes = [area.code for area in areas]
    frames: dict[str, pd.DataFrame] = {"mart.municipality": _municipalities(areas, rng)}
    frames["mart.indicator"] = indicators = _indicators()
    if hostile:
        frames["mart.municipality"].loc[0, "project_unit"] = HOSTILE
        indicators.loc[0, ["label_da", "label_en", "definition_da", "definition_en"]] = HOSTILE
    frames["mart.indicator_value"], frames["mart.indicator_national"] = _values(codes, indicators, rng)
    frames["mart.mapping"] = pd.DataFrame(
        {"municipality_code": codes, "completeness_pct": rng.uniform(80, 100, len(codes))}
    )
    frames |= _meta(hostile)
    if models:
        frames |= _models(codes, rng, hostile)
    frames["meta.data_dictionary"] = _dictionary(frames)
    path.unlink(missing_ok=True)
    with Warehouse.open(path) as warehouse:
        for schema in ("mart", "meta", "quarantine", "reference"):
            warehouse.execute(f"CREATE SCHEMA {schema}")
        for table, frame in frames.items():
            warehouse.load(table, frame)
        warehouse.checkpoint()
    return path


def _municipalities(areas: list[Any], rng: np.random.Generator) -> pd.DataFrame:
    groups = reference("municipality_groups").set_index("municipality_code")
    regions = {area.code: area.name_da for area in areas_at(["region", "province"])}
    participants = set(reference("programme_participants")["municipality_code"])
    rows = []
    for area in areas:
        population = int(rng.integers(2_000, 300_000))
        rows.append(
            {
                "municipality_code": area.code,
                "municipality_name": area.name_da,
                "municipality_name_en": area.name_en,
                "region_code": area.region_code,
                "region_name": regions[area.region_code],
                "province_code": area.province_code,
                "province_name": regions[area.province_code],
                "municipality_group_code": groups["group_code"].get(area.code),
                "municipality_group_da": groups["group_da"].get(area.code),
                "municipality_group_en": groups["group_en"].get(area.code),
                "population_count": population,
                "size_band": "small" if population < 40_000 else "large",
                "is_participant": area.code in participants,
                "project_unit": area.name_da if area.code in participants else None,
            }
        )
    return pd.DataFrame(rows)


def _indicators() -> pd.DataFrame:
    frame = reference("indicators")
    frame["scale"] = frame["scale"].astype(int)
    for column in ("age_from", "age_to"):
        frame[column] = pd.to_numeric(frame[column]).astype("Int64")
    frame["is_headline"] = frame["is_headline"] == "1"
    frame["denominator_measure"] = frame["denominator_measure"].replace("", None)
    return frame.assign(producer="Danmarks Statistik", licence="CC BY 4.0")


def _values(codes: list[str], indicators: pd.DataFrame, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows, nation = [], []
    for indicator in indicators.itertuples():
        low, high = LEVELS.get(str(indicator.unit), (1, 40))
        level = rng.uniform(low, high, len(codes))
        for year in YEARS:
            drift = level + rng.normal(0, (high - low) * 0.02, len(codes))
            for code, value in zip(codes, drift, strict=True):
                status = {SUPPRESSED_CODE: "suppressed", MISSING_CODE: "missing"}.get(code, "observed")
                known = status == "observed"
                rows.append(
                    (
                        code,
                        indicator.indicator_id,
                        str(year),
                        date(year, 1, 1),
                        round(value, 4) if known else None,
                        10.0 if known else None,
                        400.0 if known else None,
                        status,
                        year == YEARS[-1],
                    )
                )
            nation.append(
                (
                    indicator.indicator_id,
                    str(year),
                    date(year, 1, 1),
                    float(drift.mean()),
                    1.0,
                    2.0,
                    "observed",
                    year == YEARS[-1],
                )
            )
    columns = [
        "indicator_id",
        "period",
        "reference_date",
        "value",
        "numerator",
        "denominator",
        "value_status",
        "is_newest",
    ]
    return (
        pd.DataFrame(rows, columns=["municipality_code", *columns]).assign(_snapshot_id="statbank_folk1e/x"),
        pd.DataFrame(nation, columns=columns).assign(_snapshot_id="statbank_folk1e/x"),
    )


def _meta(hostile: bool) -> dict[str, pd.DataFrame]:
    sources = sorted(set(reference("indicators")["source_id"]))
    # The last published source has not come; what municipalities deliver has no snapshot in a release.
    given = [source for source in sources if not source.startswith("delivery_")][:-1]
    now = datetime(2026, 1, 15, 2, 0)
    source = pd.DataFrame(
        {
            "source_id": sources,
            "connector": "statbank",
            "publisher_table": [s.removeprefix("statbank_").upper() for s in sources],
            "title_da": [HOSTILE if hostile else f"Kilde {s}" for s in sources],
            "title_en": [f"Source {s}" for s in sources],
            "producer": "Danmarks Statistik",
            "licence": "CC BY 4.0",
            "url": ["javascript:alert(1)" if hostile else "https://www.statistikbanken.dk/" + s for s in sources],
            "owner": "data-team",
            "frequency": "year",
            "max_age_days": 400,
            "is_required": False,
            "_snapshot_id": "x",
        }
    )
    snapshot = pd.DataFrame(
        {
            "_snapshot_id": [f"{s}/20260110-abc" for s in given],
            "source_id": given,
            "retrieved_at": datetime(2026, 1, 10),
            "published_at": datetime(2025, 12, 1),
            "origin": "sample",
            "is_synthetic": True,
            "file_count": 1,
            "byte_count": 1000,
            "sha256": "ab" * 32,
            "rows_in_count": 1200,
            "rows_loaded_count": 1198,
            "rows_rejected_count": 2,
            "rows_filled_count": 30,
        }
    )
    validation = pd.DataFrame(
        [
            (
                "r",
                "mart.indicator_value",
                "value_fits_status",
                "critical",
                "stop",
                "A withheld, missing or impossible figure has no value.",
                True,
                0,
                9000,
                None,
                "gx",
            ),
            (
                "r",
                "staging.x",
                "drift_source_shrunk",
                "warning",
                "report",
                HOSTILE if hostile else "a source must not bring fewer than 80 % of the rows of the last build",
                False,
                3,
                100,
                "2024: 3",
                "gx",
            ),
        ],
        columns=[
            "run_id",
            "table_name",
            "rule_id",
            "severity",
            "action",
            "description",
            "success",
            "n_violations",
            "rows_scanned",
            "examples",
            "engine",
        ],
    )
    return {
        "meta.source": source,
        "meta.snapshot": snapshot,
        "meta.validation": validation,
        "meta.run": pd.DataFrame(
            {
                "run_id": ["20260115T020000000Z"],
                "started_at": [now],
                "origin": ["sample"],
                "as_of": [pd.NaT],
                "code_version": ["c"],
                "is_synthetic": [True],
            }
        ),
        "meta.release": pd.DataFrame(
            {
                "run_id": ["20260115T020000000Z"],
                "fingerprint": ["f" * 64],
                "code_version": ["c"],
                "suppression_threshold_count": [5],
                "minimum_denominator_count": [15],
                "rounding_base_count": [5],
                "least_rate_denominator_count": [20],
                "is_synthetic": [True],
                "data_mark": ["SYNTETISKE DATA / SYNTHETIC DATA"],
            }
        ),
        "quarantine.row": pd.DataFrame({"source_id": ["statbank_folk1e"], "row_text": [HOSTILE]}),
    }


def _models(codes: list[str], rng: np.random.Generator, hostile: bool) -> dict[str, pd.DataFrame]:
    size = len(codes)
    judged = rng.choice(["better", "as_expected", "as_expected", "as_expected", "worse", "too_small"], size)
    gap = np.where(judged == "better", -12.0, np.where(judged == "worse", 14.0, rng.normal(0, 3, size)))
    expected = pd.DataFrame(
        {
            "municipality_code": codes,
            "outcome_id": "first_job_weeks",
            "period": "2024",
            "observed": 90 + gap,
            "expected": 90.0,
            "difference": gap,
            "standard_error": 2.5,
            "single_low": gap - 5,
            "single_high": gap + 5,
            "difference_low": gap - 7,
            "difference_high": gap + 7,
            "shrunk_difference": gap / 2,
            "rank_low": 10,
            "rank_high": 60,
            "n_count": rng.integers(80, 900, size),
            "assessment": judged,
            "explained_share": 0.41,
            "is_unusual": False,
            "filled_conditions_count": 0,
            "estimation_method": "discrete_time_cloglog+levels",
            "value_status": "estimated",
        }
    )
    near = [
        (code, other, rank) for code in codes for rank, other in enumerate([c for c in codes if c != code][:7], start=1)
    ]
    peer = pd.DataFrame(near, columns=["municipality_code", "peer_code", "peer_rank"]).assign(
        distance=0.8, condition_1="unemployment_pct", condition_1_gap=1.2, condition_2="disposable_income_dkk",
        condition_2_gap=-0.7, condition_3="population_count_log", condition_3_gap=0.3,
    )  # fmt: skip
    sentence = (
        HOSTILE
        if hostile
        else "Det tager 12 uger længere end forventet at finde et første job af mindst 13 uger (312 personer)."
    )
    finding = pd.DataFrame(
        [
            {
                "municipality_code": c,
                "finding_id": f"f{k}",
                "finding_kind": kind,
                "indicator_id": "unemployment_pct",
                "strength": strength,
                "sentence_da": sentence,
                "sentence_en": "It takes 12 weeks more than expected to find a first job (312 persons).",
            }
            for c in codes
            for k, (kind, strength) in enumerate(
                [("challenge", "strong"), ("challenge", "weak"), ("potential", "medium")]
            )
        ]
    )
    methods = reference("methods").head(4).rename(columns={"label_da": "method_name_da", "label_en": "method_name_en"})
    method = pd.DataFrame(
        [
            {
                "municipality_code": c,
                "candidate_rank": k,
                **row,
                "reasons_da": "Privat praktik bruges mindre end i sammenligningskommunerne.",
                "reasons_en": "Private placements are used less than among the peers.",
                "conditions_met_count": 1,
            }
            for c in codes
            for k, row in enumerate(methods.to_dict("records"), start=1)
        ]
    )
    effect = pd.DataFrame(
        {
            "method_code": ["placement_private", "workplace_danish"],
            "context_code": "all",
            "outcome_id": "first_job",
            "hazard_ratio": [1.3, None],
            "hazard_ratio_low": [1.1, None],
            "hazard_ratio_high": [1.5, None],
            "interaction_ratio": None,
            "interaction_low": None,
            "interaction_high": None,
            "n_count": 9000,
            "exposed_count": [800, None],
            "value_status": ["estimated", "missing"],
            "what_it_is_not_da": "En sammenhæng, ikke en effekt.",
            "what_it_is_not_en": "An association, not an effect.",
        }
    )
    industry = pd.DataFrame(
        [
            {
                "municipality_code": c,
                "industry_code": i,
                "industry_name_da": f"{i} Branche nummer {k + 1}",
                "industry_name_en": f"{i} Industry number {k + 1}",
                "jobs_in_reach_count": 1200.0 + k,
                "jobs_growth_pct": 2.5 - k,
                "absorption_pct": 9.1,
                "openings_count": None if k else 40.0,
                "openings_status": "suppressed" if k else "observed",
                "placement_to_job_pct": 34.25,
                "placement_to_job_status": "observed",
                "present_use_pct": None,
                "present_use_status": "missing",
                "score_factors": "jobs_in_reach_count absorption_pct",
                "value_status": "estimated",
                "match_score": 100.0 - 13 * k,
                "match_rank": k + 1,
                "is_estimated": True,
                "reason_da": f"Branche {i}: 1.200 job inden for rækkevidde; 9,1 pct. er ikke-vestlige indvandrere.",
                "reason_en": f"Industry {i}: 1,200 jobs within reach; 9.1 per cent are non-western immigrants.",
            }
            for c in codes
            for k, i in enumerate("ABCDEFG")
        ]
    )
    organisation = pd.DataFrame(
        {
            "municipality_code": codes,
            "reference_date": date(2026, 1, 1),
            "org_model": "jobcenter_special_team",
            "org_model_value_source": "survey",
            "org_model_confidence": "high",
            "caseload_per_caseworker": rng.uniform(20, 60, size),
            "day1_job_ready_rule": True,
            "firm_partnerships_n": 4,
            **{f"answer_{k}": "quota_refugees_only" for k in range(16)},
        }
    )
    eligibility = pd.DataFrame(
        [
            {
                "municipality_code": c,
                "programme_id": p,
                "programme_name_da": "Programmet",
                "programme_name_en": "The programme",
                "takes_part": False,
                "may_apply": p == "bot_2016",
                "reason_da": "Kommunen er omfattet af puljens ansøgerkreds.",
                "reason_en": "The municipality belongs to those who may apply.",
            }
            for c in codes
            for p in ("i_maal_2016", "bot_2016")
        ]
    )
    card = pd.DataFrame(
        [
            ("first_job_weeks", "2024", "unemployment_pct", "coefficient", -0.04, 0.03),
            ("first_job_weeks", "2024", "between_municipalities", "spread", 0.2, None),
            ("first_job_weeks", "2024", "municipalities", "size", 98.0, None),
            ("first_job_weeks", "2023", "dispersion", "spread", 1.3, None),
        ],
        columns=["outcome_id", "period", "term", "term_kind", "term_value", "term_error"],
    )
    return {
        "mart.expected": expected,
        "meta.model": card,
        "mart.peer": peer,
        "mart.finding": finding,
        "mart.method_candidate": method,
        "mart.method_effect": effect,
        "mart.industry_match": industry,
        "mart.organisation": organisation,
        "mart.eligibility": eligibility,
        "reference.peer_weights": reference("peer_weights"),
        "reference.methods": reference("methods"),
        "reference.method_rules": reference("method_rules"),
    }


def _dictionary(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    known = load_dictionary().columns
    rows = []
    for table, frame in frames.items():
        for place, name in enumerate(frame.columns, start=1):
            column = known.get(str(name))
            rows.append(
                {
                    "table_name": table,
                    "column_name": name,
                    "column_position": place,
                    "data_type": column.type if column else "VARCHAR",
                    "unit": column.unit if column else None,
                    "label_da": column.label_da if column else name,
                    "label_en": column.label_en if column else name,
                    "description": column.description if column else "",
                    "description_da": column.description_da if column else "",
                    "allowed_values": None,
                    "is_key": place == 1,
                    "table_label_da": table,
                    "table_label_en": table,
                    "rests_on_sources": None,
                }
            )
    return pd.DataFrame(rows)
