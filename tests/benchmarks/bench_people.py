"""Time and memory of persons from the encrypted database to all person figures. SYNTHETIC: nobody is meant.

For every person five rows of measures and employment. Run: `python -m tests.benchmarks.bench_people FOLDER PERSONS
[WORKERS]`, which writes FOLDER when it is not there, and prints seconds, peak memory and a digest of the figures.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from flows.deliveries.buckets import load_person_data
from flows.deliveries.contract import load_contracts
from flows.deliveries.keys import keygen, load_keys
from flows.deliveries.store import OF_EVERY_ROW, Delivery, enter, open_restricted, prepare_table
from flows.settings import Settings
from transforms.areas import areas_at
from transforms.disclosure import Gate
from transforms.models import steps
from transforms.tables import FOLDER
from transforms.warehouse import Warehouse

CODES = [area.code for area in areas_at(["municipality"])]
KINDS = ["placement_private", "placement_public", "subsidy_private", "igu", "mentor", "danish", "upskilling", "other"]
J = "j"


def drawn(salt: int, row: str = "i") -> str:
    """Return SQL of a whole number drawn for a row."""
    return f"(hash({row} * 101 + {salt}) >> 20)"


PERMITS = f"(DATE '2016-01-01' + ({drawn(1)} % 3450)::INTEGER)"


def one_of(values: list[str | None], salt: int, row: str = "i") -> str:
    """Return SQL that draws one of some values."""
    listed = ", ".join("NULL" if value is None else f"'{value}'" for value in values)
    return f"([{listed}])[(1 + {drawn(salt, row)} % {len(values)})::BIGINT]"


PERSON = f"""
    md5('p' || i) AS person_id, {one_of(["M", "K"], 2)} AS sex_code, (18 + {drawn(3)} % 46)::INTEGER
    AS age_at_permit_years, true AS is_modulus11, {PERMITS} AS permit_date,
    {PERMITS} + ({drawn(4)} % 120)::INTEGER AS takeover_date,
    {one_of(["asylum", "quota", "family_refugee", "family_other"], 5)} AS residence_basis_code,
    {one_of([*"ABCDEFGHIJKLMNOP", *"AAABBC"], 6)} AS origin_country_code,
    {one_of(["none", "primary", "secondary", "higher", None], 7)} AS education_code,
    {one_of(["true", "false", None], 8)}::BOOLEAN AS has_partner,
    ({drawn(9)} % 4)::INTEGER AS children_count,
    {one_of(["du1", "du2", "du3", None], 10)} AS danish_track_code,
    {one_of(["job_ready", "activity_ready", None], 11)} AS match_category_code,
    CASE WHEN {drawn(12)} % 20 = 0 THEN {PERMITS} + 400 END AS end_date,
    CASE WHEN {drawn(12)} % 20 = 0 THEN 'left_denmark' END AS end_reason_code
"""
MEASURE = f"""
    md5('p' || i) AS person_id, {one_of(list(KINDS), 14, "j")} AS measure_kind_code,
    {PERMITS} + ({drawn(15, J)} % 1100)::INTEGER AS start_date,
    {PERMITS} + ({drawn(15, J)} % 1100 + 20 + {drawn(16, J)} % 200)::INTEGER AS end_date,
    37 AS weekly_hours,
    {one_of(["561010", "812100", "477110", "107120", None], 17, "j")} AS industry_code
"""
JOB = f"""
    md5('p' || i) AS person_id, {PERMITS} + ({drawn(18, J)} % 2600)::INTEGER AS start_date,
    {PERMITS} + ({drawn(18, J)} % 2600 + 30 + {drawn(19, J)} % 500)::INTEGER AS end_date,
    37 AS weekly_hours,
    {one_of(["561010", "812100", "477110"], 20, "j")} AS industry_code,
    {drawn(21, J)} % 5 = 0 AS is_subsidised
"""


def settings_in(folder: Path, **more: Any) -> Settings:
    """Return the settings of a prepared folder."""
    return Settings(data=folder / "data", key_file=folder / "key", **more)


def prepare(folder: Path, persons: int) -> None:
    """Fill an encrypted restricted database as deliveries of 98 municipalities would have filled it."""
    settings = settings_in(folder)
    if settings.restricted.exists():
        return
    keygen(settings.key_file, settings.root)
    codes, owner = CODES, f"{drawn(13, J)} % {persons} AS i"
    key = load_keys(settings.key_file, settings.root).database_key
    with open_restricted(settings.restricted, key, memory_limit="4GB") as warehouse:
        for number, (kind, contract) in enumerate(sorted(load_contracts().items())):
            prepare_table(warehouse, contract.table, OF_EVERY_ROW | contract.columns)
            ids = {code: f"L{number:03}{code}" for code in codes}
            listed = ", ".join(f"'{code}'" for code in codes)
            place = f"([{listed}])[1 + (power({drawn(22)} % 1000 / 1000.0, 2) * 98)::INTEGER % 98]"
            rows = {
                "cases": (PERSON, f"range({persons}) t(i)"),
                "measures": (MEASURE, f"(SELECT j, {owner} FROM range({3 * persons}) t(j))"),
                "employment": (JOB, f"(SELECT j, {owner} FROM range({2 * persons}) t(j))"),
                "organisation": (
                    "DATE '2025-01-01' AS reference_date, 'joint' AS respondent_role_code, "
                    f"{one_of(['joint', 'split', 'outside'], 23)} AS org_model_code, "
                    f"{one_of(['same_site', 'apart'], 24)} AS physical_colocation_code, 3 AS job_consultants_fte, "
                    f"{one_of(['always', 'seldom'], 25)} AS danish_parallel_with_placement_code",
                    "range(98) t(i)",
                ),
            }[kind]
            if kind == "organisation":
                place = f"([{listed}])[1 + i]"
            name = f'restricted."{contract.table}"'
            order = "1" if kind == "organisation" else "1, person_id"
            warehouse.execute(
                f"INSERT INTO {name} BY NAME SELECT 'L{number:03}' || municipality_code AS delivery_id, *, "
                f"row_number() OVER () AS _row_number FROM (SELECT {place} AS municipality_code, {rows[0]} "
                f"FROM {rows[1]}) ORDER BY {order}"
            )
            counts = dict(warehouse.rows(f"SELECT municipality_code, count(*) FROM {name} GROUP BY ALL"))
            for code, name in ids.items():
                n = int(counts.get(code, 0))
                received = "2025-07-01T00:00:00Z"
                sizes = (n, n, 0, n, True)
                enter(warehouse, Delivery(name, kind, code, "2025K2", received, name, 1, "k", "godkendt", *sizes))
        warehouse.checkpoint()


@contextmanager
def register_tables() -> Iterator[Warehouse]:
    """Open a small warehouse with what the person models read of the registers."""
    codes = CODES
    with Warehouse.open() as warehouse:
        for schema in ("mart", "model", "reference"):
            warehouse.execute(f"CREATE SCHEMA {schema}")
        warehouse.load("mart.municipality", pd.DataFrame({"municipality_code": codes}))
        near = [codes[place // 4 * 4] for place in range(len(codes))]
        told = pd.DataFrame({"municipality_code": codes, "commuting_area_code": near, "value_status": "observed"})
        warehouse.load("model.commuting_area", told)
        crosswalk = pd.read_csv(FOLDER / "industry_crosswalk.csv", sep=";", dtype=str)
        warehouse.load("reference.industry_crosswalk", crosswalk)
        yield warehouse


def market(*given: object) -> pd.DataFrame:
    """Return a made-up labour market of every municipality and year."""
    rng = np.random.default_rng(1)
    keys = pd.MultiIndex.from_product([CODES, range(2014, 2025)], names=["municipality_code", "year"])
    names = list(steps.LABOUR_MARKET)
    return pd.DataFrame(rng.normal(10, 2, (len(keys), len(names))), keys, names).reset_index()


@dataclass(frozen=True)
class Figures:
    """What the models made of the persons, and how long loading and fitting took."""

    tables: dict[str, pd.DataFrame]
    loaded: float
    fitted: float

    def digest(self) -> str:
        """Return one text for all of it, to the last digit."""
        texts = [f"{name}\n{frame.to_csv(index=False)}" for name, frame in sorted(self.tables.items())]
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def figures(settings: Settings) -> Figures:
    """Return all person figures of a prepared folder."""
    start = time.perf_counter()
    data = load_person_data(settings, synthetic=True)
    assert data is not None
    loaded = time.perf_counter() - start
    tables: dict[str, pd.DataFrame] = {}
    fits: steps.Fits = {}
    with register_tables() as warehouse, patch.object(steps, "labour_market", market):
        start = time.perf_counter()
        for name, model in steps.person_models(data, Gate(secret=b"benchmark"), fits).items():
            tables[name] = model.compute(warehouse)
        tables |= {f"fit {outcome}": fit.rows for outcome, fit in fits.items()}
        return Figures(tables, loaded, time.perf_counter() - start)


if __name__ == "__main__":
    from tests.benchmarks.harness import peak_mb

    where, size = Path(sys.argv[1]), int(sys.argv[2])
    if not (where / "data").exists():
        subprocess.run(
            [sys.executable, "-c", f"from {__spec__.name} import *; prepare(Path({str(where)!r}), {size})"], check=True
        )
    more = {"workers": int(sys.argv[3])} if len(sys.argv) > 3 else {}
    made = figures(settings_in(where, **more))
    if len(sys.argv) > 4:
        pd.to_pickle(made.tables, sys.argv[4])
    total = made.loaded + made.fitted
    told = {"persons": size, "load s": made.loaded, "models s": made.fitted, "total s": total}
    told |= {"CPU s": time.process_time(), "peak MB": peak_mb()}
    print(json.dumps({name: round(value, 1) for name, value in told.items()} | {"digest": made.digest()}))
