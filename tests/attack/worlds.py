"""Whole data folders for the attacker: sample worlds of any seed, and releases one after another. SYNTHETIC."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flows.deliveries.intake import deliver
from flows.deliveries.keys import keygen, load_keys
from flows.deliveries.store import open_restricted, person_ids, person_tables
from flows.sample.deliveries import DeliveryTables, quarter_of, write_deliveries
from flows.sample.world import World, build_world
from flows.settings import Settings
from tests.fixtures.world import hurry, run_from
from transforms.areas import areas
from transforms.models.persons import COHORT_YEARS
from transforms.warehouse import Warehouse


def world_of(settings: Settings) -> tuple[World, date]:
    """Return the sample world of the settings' seed and the first day its deliveries tell of."""
    world = build_world(seed=settings.sample_seed, vintage=settings.sample_vintage)
    return world, date(world.vintage.year - COHORT_YEARS + 1, 1, 1)


def first_release(folder: Path, seed: int, extracts: Path, *, dressed: bool = False, **options: Any) -> Settings:
    """Deliver the persons of a sample world, faultless, and publish a mapping of them; with report if `dressed`.

    The registers are those of `extracts`, which take seconds where the whole sample world takes minutes; every figure
    that rests on persons is made as in any night.
    """
    settings = Settings(data=folder, sample_seed=seed, **options)
    key = settings.key_file.expanduser()
    if not key.exists():
        keygen(key, settings.root)
    deliver_all(settings)
    return release(settings, extracts, dressed=dressed)


def deliver_all(settings: Settings) -> None:
    """Deliver the persons of a sample world as known on its vintage, faultless."""
    world, since = world_of(settings)
    inbox = settings.root.with_name(f"{settings.root.name}-inbox-{world.vintage}")
    write_deliveries(world, inbox, dirt=False, since=since)
    moment = datetime.combine(world.vintage, time(12), UTC)
    key = settings.key_file.expanduser()
    deliver(sorted(inbox.iterdir()), None, settings.root, key, synthetic=True, received_at=moment)


def full_release(folder: Path, seed: int, **options: Any) -> Settings:
    """Publish a mapping of the whole sample world, its registers served as in any night, its deliveries with faults."""
    settings = Settings(data=folder, sample_seed=seed, **options)
    return release(settings, "sample")


def release(settings: Settings, extracts: Path | str, *, dressed: bool = False) -> Settings:
    """Publish what is in force."""
    with pytest.MonkeyPatch.context() as patch:
        if not dressed:
            hurry(patch)
        run_from(settings, extracts, force=True)
    return settings


def deliver_more(settings: Settings, count: int, municipalities: Iterable[str] | None = None) -> None:
    """Deliver the cases of municipalities (all when None) anew, with `count` newcomers more than at first in each."""
    world, since = world_of(settings)
    tables, before = DeliveryTables(world, since), DeliveryTables(world)
    codes = list(municipalities) if municipalities is not None else tables.codes
    taken = {row[0] for code in tables.codes for row in tables.table("cases", code)[1]}
    unused = (row for code in tables.codes for row in before.table("cases", code)[1] if row[0] not in taken)
    inbox = settings.root.with_name(f"{settings.root.name}-inbox-{world.vintage}-{count}")
    inbox.mkdir()
    for code in codes:
        names, rows = tables.table("cases", code)
        newest = max(row[names.index("permit_date")] for row in rows)
        for other in [next(unused) for _ in range(count)]:
            rows.append(_newcomer(dict(zip(names, other, strict=True)), newest, names))
        (inbox / f"{areas()[code].name_da} sager rettet {count}.csv").write_text(_table(names, rows), "utf-8")
    key, moment = settings.key_file.expanduser(), datetime.combine(world.vintage, time(12), UTC)
    received = moment + timedelta(minutes=count)
    files, period = sorted(inbox.iterdir()), quarter_of(world.vintage)
    deliver(files, None, settings.root, key, period=period, synthetic=True, received_at=received)


def _newcomer(person: dict[str, Any], permit: date, names: list[str]) -> list[Any]:
    """Return the row of somebody whose case is new."""
    changed = {"permit_date": permit, "takeover_date": permit, "end_date": None, "end_reason_code": None}
    return [{**person, **changed}[name] for name in names]


def _table(names: list[str], rows: list[list[Any]]) -> str:
    """Return a delivery as CSV, its values in plain words."""
    from flows.deliveries.contract import load_contracts
    from flows.sample.deliveries import Hand, _text

    contract = load_contracts()["cases"]
    fields = [contract.field(name) for name in names]
    hand = Hand(0, "plain", "cases", dirt=False)
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=";")
    writer.writerow([field.label_da for field in fields])
    for row in rows:
        writer.writerow([_text(value, field, hand) for value, field in zip(row, fields, strict=True)])
    return stream.getvalue()


def from_parquet(folder: Path, like: Path, database: Path) -> Path:
    """Return a database of the tables in a folder of Parquet files, a frozen baseline's or the exports'."""
    return _laid_out(
        {path.stem: pd.read_parquet(path) for path in sorted(folder.glob("mart.*.parquet"))}, like, database
    )


def from_workbook(workbook: Path, like: Path, database: Path) -> Path:
    """Return a database of what the sheets of a workbook show; AssertionError for a formula, which might tell more."""
    from openpyxl import load_workbook

    book = load_workbook(workbook, read_only=True, data_only=False)
    tables = {}
    for sheet in book:
        shown: list[list[Any]] = []
        for row in sheet.iter_rows():
            assert not [cell for cell in row if cell.data_type == "f"], f"{sheet.title}: a formula"
            shown.append([cell.value for cell in row])
        keys = {"municipality_code", "indicator_id", "breakdown_id", "method_code"}
        head = next((place for place, row in enumerate(shown[:3]) if keys & {*row}), None)
        if head is not None and sheet.title != "Ordbog":
            width = len([name for name in shown[head] if name is not None])
            empty = [None] * width  # a row ends with its last value
            frame = pd.DataFrame([[*row, *empty][:width] for row in shown[head + 1 :]], columns=shown[head][:width])
            name = {"Tidsserier": "mart.series", "Ændrede tal": "meta.revision"}.get(sheet.title, f"mart.{sheet.title}")
            tables[name] = frame.infer_objects().convert_dtypes()
    return _laid_out(tables, like, database)


def _laid_out(tables: Mapping[str, pd.DataFrame], like: Path, database: Path) -> Path:
    """Lay tables into a database, with the lineage that is published in another."""
    with Warehouse.open(like, read_only=True) as warehouse:
        lineage = warehouse.frame("SELECT table_name, reads_table FROM meta.lineage")
    lineage.loc[len(lineage)] = ["mart.series", "mart.indicator_value"]
    with Warehouse.open(database) as warehouse:
        for schema in ("mart", "meta"):
            warehouse.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for name, frame in {**tables, "meta.lineage": lineage}.items():
            warehouse.load(name, frame)
    return database


def secrets_of(settings: Settings) -> set[str]:
    """Return the CPR numbers (ten digits) and the pseudonyms of everybody delivered."""
    world, since = world_of(settings)
    tables = DeliveryTables(world, since)
    numbers = {str(row[0]) for code in tables.codes for row in tables.table("cases", code)[1]}
    key = load_keys(settings.key_file, settings.root).database_key
    with open_restricted(settings.restricted, key, read_only=True) as warehouse:
        return numbers | {name for table in person_tables(warehouse) for name in person_ids(warehouse, table)}


def texts_in(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of everything a file holds: members of archives, text columns of tables."""
    if path.suffix in (".zip", ".xlsx"):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield name, archive.read(name).decode("utf-8", "replace")
    elif path.suffix == ".duckdb":
        with Warehouse.open(path, read_only=True) as warehouse:
            columns = warehouse.rows(
                "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE NOT internal "
                "AND data_type LIKE 'VARCHAR%'"
            )
            for schema, table, column in columns:
                sql = f'SELECT DISTINCT "{column}" FROM "{schema}"."{table}" WHERE "{column}" IS NOT NULL'
                yield f"{schema}.{table}.{column}", "\n".join(str(value) for (value,) in warehouse.rows(sql))
    elif path.suffix == ".parquet":
        frame = pd.read_parquet(path)
        for column in frame.select_dtypes(exclude="number"):
            yield str(column), "\n".join(map(str, frame[column].dropna().unique()))
    else:
        yield path.name, path.read_bytes().decode("utf-8", "replace")


def tokens(text: str) -> set[str]:
    """Return what in a text may be a CPR number, without its hyphen, or a pseudonym."""
    return {found.replace("-", "") for found in re.findall(r"(?<!\d)\d{6}-?\d{4}(?!\d)|[0-9A-Za-z]{16,}", text)}
