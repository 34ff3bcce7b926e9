"""What is taken out of a build: Parquet and CSV of every mart table, a data package and a DCAT-AP record."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flows.store.snapshots import sha256_of, sync
from transforms.warehouse import Warehouse, quote_identifier, quote_literal, quote_table

TITLE_DA = "Kortlægning af kommunernes afsæt, organisering og rammevilkår"
TITLE_EN = "Mapping of the municipalities' starting point, organisation and framework conditions"
ABOUT_DA = (
    "Én række pr. kommune og emne: indikatorer, det forventede, sammenligningskommuner, udfordringer og potentialer, "
    "med kilde, dato og status."
)
ABOUT_EN = (
    "One row per municipality and subject: indicators, what could be expected, peers, challenges and potentials, with "
    "source, date and status."
)
LICENCE = "CC-BY-4.0"
LICENCE_TITLE = "Creative Commons Attribution 4.0 International"
LICENCE_URL = "https://creativecommons.org/licenses/by/4.0/"
WORKBOOK = "kommunekort.xlsx"
SYNTHETIC = "SYNTETISKE DATA / SYNTHETIC DATA"
_SAME_DAY = (1980, 1, 1, 0, 0, 0)
# DuckDB's types as Table Schema names them (https://datapackage.org/standard/table-schema/).
_FIELD_TYPES = {
    "VARCHAR": "string",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "INTEGER": "integer",
    "BIGINT": "integer",
    "DOUBLE": "number",
}


def export_parquet(database: Path, folder: Path) -> dict[str, str]:
    """Write `mart.<table>.parquet` for every mart table, and `meta.revision.parquet`; return file name -> SHA-256.

    Rows are sorted by their key. Decimals are written as DOUBLE, which pandas, Polars, R and Excel calculate with.
    Title, licence, what the build is made of (its fingerprint) and the synthetic mark stand in each file's metadata.
    The run id does not: the same rows of the mart give the same bytes. The folder appears at once, whole and synced.
    """
    partial = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    hashes: dict[str, str] = {}
    with Warehouse.open(database, read_only=True) as warehouse:
        release = _release(warehouse)
        told = {"title": TITLE_EN, "title_da": TITLE_DA, "licence": LICENCE, "fingerprint": release["fingerprint"]}
        told |= {"data_mark": release["data_mark"]} if release["data_mark"] else {}
        metadata = ", ".join(f"{name}: {quote_literal(str(value))}" for name, value in told.items())
        rows_of = {f"mart.{table}": _calculable(warehouse, table) for table in mart_tables(warehouse)}
        if warehouse.exists("meta.revision"):
            rows_of["meta.revision"] = (
                "SELECT * REPLACE (value_before::DOUBLE AS value_before, value_after::DOUBLE AS value_after) "
                "FROM meta.revision ORDER BY run_id, municipality_code, indicator_id, period"
            )
        for name, rows in rows_of.items():
            target = partial / f"{name}.parquet"
            warehouse.execute(
                f"COPY ({rows}) TO {quote_literal(str(target))} "
                f"(FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{metadata}}})"
            )
            hashes[target.name] = sha256_of(target)
            sync(target)
    sync(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return hashes


def write_package(database: Path, folder: Path) -> list[Path]:
    """Write a zipped CSV of every mart table beside its Parquet, `datapackage.json` and `dcat.jsonld`; return them.

    The package is a Frictionless Data Package with a table schema per table; the record follows DCAT-AP 3.
    """
    with Warehouse.open(database, read_only=True, threads=1) as warehouse:
        release = _release(warehouse)
        tables = mart_tables(warehouse)
        made = [_write_csv(warehouse, table, folder) for table in tables]
        package = _package(warehouse, tables, release, folder)
        sources = _sources(warehouse)
    for name, content in (("datapackage.json", package), ("dcat.jsonld", _dcat(package, release, sources))):
        path = folder / name
        path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        made.append(path)
    return made


def mart_tables(warehouse: Warehouse) -> list[str]:
    """Return the names of the mart's tables, sorted."""
    found = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'mart' ORDER BY table_name"
    return [table for (table,) in warehouse.rows(found)]


def _release(warehouse: Warehouse) -> dict[str, Any]:
    if not warehouse.exists("meta.release"):
        return {"run_id": "", "fingerprint": "", "is_synthetic": False, "data_mark": None}
    names = "run_id", "fingerprint", "is_synthetic", "data_mark"
    return dict(zip(names, warehouse.rows(f"SELECT {', '.join(names)} FROM meta.release")[0], strict=True))


def _calculable(warehouse: Warehouse, table: str) -> str:
    """Return the SELECT of a table in the order of its key, decimals as DOUBLE."""
    columns = [
        f"{quote_identifier(name)}::DOUBLE AS {quote_identifier(name)}" if kind.startswith("DECIMAL") else
        quote_identifier(name)
        for name, kind in warehouse.columns(f"SELECT * FROM {quote_table(f'mart.{table}')}")
    ]  # fmt: skip
    key = ", ".join(quote_identifier(name) for name in _key_of(warehouse, table))
    return f"SELECT {', '.join(columns)} FROM {quote_table(f'mart.{table}')} ORDER BY {key}"


def _key_of(warehouse: Warehouse, table: str) -> list[str]:
    names: list[str] = warehouse.scalar(
        "SELECT constraint_column_names FROM duckdb_constraints() "
        "WHERE schema_name = 'mart' AND table_name = ? AND constraint_type = 'PRIMARY KEY'",
        [table],
    )
    return names


def _write_csv(warehouse: Warehouse, table: str, folder: Path) -> Path:
    """Write `mart.<table>.csv.zip`; the same rows give the same bytes."""
    plain = folder / f"mart.{table}.csv"
    warehouse.execute(f"COPY ({_calculable(warehouse, table)}) TO {quote_literal(str(plain))} (FORMAT csv, HEADER)")
    target = plain.with_name(f"{plain.name}.zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as packed:
        entry = zipfile.ZipInfo(plain.name, _SAME_DAY)
        entry.compress_type = zipfile.ZIP_DEFLATED
        with plain.open("rb") as read, packed.open(entry, "w", force_zip64=True) as written:
            shutil.copyfileobj(read, written, 1 << 20)
    plain.unlink()
    return target


def _sources(warehouse: Warehouse) -> list[dict[str, str]]:
    rows = warehouse.arrow(
        "SELECT DISTINCT title_en AS title, producer, url AS path, licence FROM meta.source "
        "WHERE _snapshot_id IS NOT NULL ORDER BY ALL"
    )
    return [{name: str(value) for name, value in row.items() if value} for row in rows.to_pylist()]


def _package(warehouse: Warehouse, tables: list[str], release: dict[str, Any], folder: Path) -> dict[str, Any]:
    mark = f"{release['data_mark']}. " if release["data_mark"] else ""
    return {
        "$schema": "https://datapackage.org/profiles/1.0/datapackage.json",
        "name": "kommunekort",
        "id": f"kommunekort-{release['run_id']}",
        "title": f"{mark}{TITLE_DA} / {TITLE_EN}",
        "version": release["run_id"],
        "licenses": [{"name": LICENCE, "title": LICENCE_TITLE, "path": LICENCE_URL}],
        "sources": [{key: value for key, value in row.items() if key != "licence"} for row in _sources(warehouse)],
        "synthetic": bool(release["is_synthetic"]),
        "fingerprint": release["fingerprint"],
        "resources": [_resource(warehouse, table, folder) for table in tables],
    }


def _resource(warehouse: Warehouse, table: str, folder: Path) -> dict[str, Any]:
    packed = folder / f"mart.{table}.csv.zip"
    columns = warehouse.arrow(
        "SELECT column_name AS name, data_type AS type, label_da, label_en, description, unit, allowed_values, "
        "table_label_da, table_label_en, rests_on_sources FROM meta.data_dictionary WHERE table_name = ? "
        "ORDER BY column_position",
        [f"mart.{table}"],
    ).to_pylist()
    return {
        "name": f"mart.{table}".replace("_", "-"),
        "title": f"{columns[0]['table_label_da']} / {columns[0]['table_label_en']}",
        "path": packed.name,
        "innerpath": f"mart.{table}.csv",
        "compression": "zip",
        "profile": "tabular-data-resource",
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "parquet": f"mart.{table}.parquet",
        "restsOnSources": [part for part in (columns[0]["rests_on_sources"] or "").split(", ") if part],
        "schema": {"fields": list(_fields(columns)), "primaryKey": _key_of(warehouse, table), "missingValues": [""]},
    }


def _fields(columns: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for column in columns:
        kind = "number" if column["type"].startswith("DECIMAL") else _FIELD_TYPES.get(column["type"], "any")
        field = {
            "name": column["name"],
            "type": kind,
            "title": f"{column['label_da']} / {column['label_en']}",
            "description": column["description"],
        }
        if column["type"].startswith("TIMESTAMP"):
            field |= {"type": "datetime", "format": "%Y-%m-%d %H:%M:%S"}
        if column["unit"]:
            field["unit"] = column["unit"]
        if column["allowed_values"]:
            field["constraints"] = {"enum": column["allowed_values"].split(", ")}
        yield field


def _in_both_languages(mark: str, danish: str, english: str) -> list[dict[str, str]]:
    return [{"@value": mark + text, "@language": lang} for lang, text in (("da", danish), ("en", english))]


def _dcat(package: dict[str, Any], release: dict[str, Any], sources: list[dict[str, str]]) -> dict[str, Any]:
    """Return the dataset as JSON-LD by DCAT-AP 3 (https://semiceu.github.io/DCAT-AP/releases/3.0.0/)."""
    mark = f"{release['data_mark']}. " if release["data_mark"] else ""
    access = "http://publications.europa.eu/resource/authority/access-right/"
    formats = "http://publications.europa.eu/resource/authority/file-type/"
    distributions = [
        {
            "@id": f"urn:kommunekort:{release['run_id']}:{path}",
            "@type": "dcat:Distribution",
            "dct:title": path,
            "dcat:accessURL": {"@id": path},
            "dcat:downloadURL": {"@id": path},
            "dct:format": {"@id": f"{formats}{kind}"},
            "dct:license": {"@id": LICENCE_URL},
        }
        for resource in package["resources"]
        for path, kind in ((resource["path"], "CSV"), (resource["parquet"], "PARQUET"))
    ]
    return {
        "@context": {
            "dcat": "http://www.w3.org/ns/dcat#",
            "dct": "http://purl.org/dc/terms/",
            "foaf": "http://xmlns.com/foaf/0.1/",
        },
        "@id": f"urn:kommunekort:{release['run_id']}",
        "@type": "dcat:Dataset",
        "dct:identifier": release["run_id"],
        "dct:title": _in_both_languages(mark, TITLE_DA, TITLE_EN),
        "dct:description": _in_both_languages(mark, ABOUT_DA, ABOUT_EN),
        "dct:publisher": {"@id": "urn:kommunekort:publisher", "@type": "foaf:Agent", "foaf:name": "kommunekort"},
        "dct:accessRights": {"@id": f"{access}PUBLIC"},
        "dcat:keyword": ["kommuner", "integration", "beskæftigelse", "municipalities", "employment"],
        "dcat:theme": {"@id": "http://publications.europa.eu/resource/authority/data-theme/SOCI"},
        "dct:spatial": {"@id": "http://publications.europa.eu/resource/authority/country/DNK"},
        "dct:source": [
            {
                "@id": row["path"],
                "@type": "dcat:Dataset",
                "dct:title": row["title"],
                "dct:description": f"{row['title']}. {row['producer']}.",
            }
            for row in sources
            if row.get("path")
        ],
        "dcat:distribution": distributions,
    }
