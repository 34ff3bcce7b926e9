"""Build tables from SQL files: in the order of their dependencies, created from the dictionary."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from transforms.areas import reference_rows
from transforms.dictionary import Dictionary
from transforms.errors import DataRefused, UsageError
from transforms.warehouse import (
    DatabaseError,
    Warehouse,
    explain_database_error,
    quote_identifier,
    quote_literal,
    quote_table,
)

if TYPE_CHECKING:
    import pandas as pd


# SQL files: one SELECT per file, whose path is the table's name and whose header describes it.


ROOT = Path(__file__).parent
BUILT_SCHEMAS = ("quarantine", "staging", "core", "mart", "meta")
_HEADER = re.compile(r"^--\s*([a-z_]+):\s*(.+?)\s*$")
_CONTINUED = re.compile(r"^--\s{2,}(\S.*?)\s*$")
_EVERY = re.compile(r"\bFROM ([a-z]+\.[a-z0-9_]+_)\*")
_KEYS = {"label_da", "label_en", "description", "grain"}


@dataclass(frozen=True)
class SqlFile:
    """One table: its name, what its header says, and its SELECT."""

    table: str
    label_da: str
    label_en: str
    description: str
    grain: tuple[str, ...]
    select: str

    def comment(self) -> str:
        """Return the comment stored in the database."""
        return f"{self.label_da} / {self.label_en}. {self.description} Grain: {', '.join(self.grain)}."


def read_sql_file(path: Path) -> SqlFile:
    """Read one file; UsageError when a header key is missing or unknown."""
    table = f"{path.parent.name}.{path.stem}"
    header, select = header_and_select(path.read_text(encoding="utf-8"), _KEYS)
    missing = sorted(_KEYS - header.keys())
    if missing:
        raise UsageError(f"transforms/{path.parent.name}/{path.name}: the header lacks `-- {missing[0]}: …`")
    grain = tuple(part.strip() for part in header["grain"].split(","))
    return SqlFile(table, header["label_da"], header["label_en"], header["description"], grain, select)


def header_and_select(text: str, keys: Collection[str] | None = None) -> tuple[dict[str, str], str]:
    """Return what the comments at the top of an SQL file say, key by key (any, or those of `keys`), and its SELECT."""
    header: dict[str, str] = {}
    lines = text.splitlines()
    last, top = "", 0
    for line in lines:
        match, continued = _HEADER.match(line), _CONTINUED.match(line)
        if match and (keys is None or match[1] in keys):
            last = match[1]
            header[last] = match[2]
        elif last and continued:
            header[last] += f" {continued[1]}"
        else:
            break
        top += 1
    return header, "\n".join(lines[top:]).strip().rstrip(";")


def read_all(root: Path = ROOT) -> dict[str, SqlFile]:
    """Return table name -> file for every schema folder under `root`.

    `FROM schema.prefix_*` stands for all tables built here whose name begins so, put together by column name;
    UsageError when there is none.
    """
    paths = (path for schema in BUILT_SCHEMAS for path in sorted((root / schema).glob("*.sql")))
    files = {file.table: file for file in map(read_sql_file, paths)}
    return {table: replace(file, select=_put_together(file, sorted(files))) for table, file in files.items()}


def _put_together(file: SqlFile, tables: Sequence[str]) -> str:
    def union(match: re.Match[str]) -> str:
        found = [table for table in tables if table.startswith(match[1])]
        if not found:
            raise UsageError(f"transforms/{file.table.replace('.', '/')}.sql: no table is named {match[1]}…")
        return " UNION ALL BY NAME ".join(f"FROM {table}" for table in found)

    return _EVERY.sub(union, file.select)


def tables_read(warehouse: Warehouse, sql: str) -> set[str]:
    """Return the `schema.table` names a SELECT reads, from DuckDB's own parser, without binding it.

    Raises UsageError with the parser's message when the SQL does not parse.
    """
    error = warehouse.scalar("SELECT json_serialize_sql(?) ->> 'error_message'", [sql])
    if error is not None:
        raise UsageError(error)
    found = warehouse.rows(
        "SELECT DISTINCT concat(value ->> '$.schema_name', '.', value ->> '$.table_name') "
        "FROM json_tree(json_serialize_sql(?)) WHERE type = 'OBJECT' "
        "AND (value ->> '$.type') = 'BASE_TABLE' AND (value ->> '$.schema_name') <> ''",
        [sql],
    )
    return {table for (table,) in found}


SCHEMAS = ("reference", "raw", "run", "model", "staging", "core", "mart", "meta", "quarantine")

STATUSES = ("observed", "zero", "suppressed", "missing", "not_applicable", "provisional", "estimated")
_STATUS = f"ENUM ({', '.join(map(quote_literal, STATUSES))})"


@dataclass(frozen=True)
class Model:
    """A table computed in Python: the tables it reads, and the function from the warehouse to its frame."""

    reads: frozenset[str]
    compute: Callable[[Warehouse], pd.DataFrame]


@dataclass(frozen=True)
class BuildOrder:
    """The tables in the order they can be built, and what each reads."""

    order: tuple[str, ...]
    reads: Mapping[str, frozenset[str]]


def prepare(warehouse: Warehouse) -> None:
    """Create the schemas and macros every build needs."""
    for schema in SCHEMAS:
        warehouse.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    macros = (ROOT / "macros.sql").read_text(encoding="utf-8")
    warehouse.execute(re.sub("<([a-z_]+)>", rf"'\1'::{_STATUS}", macros))


def plan(warehouse: Warehouse, files: Mapping[str, SqlFile], models: Mapping[str, Model]) -> BuildOrder:
    """Order tables and models by what they read.

    Raises UsageError for SQL that does not parse, a table read that nobody builds, or a circle.
    """
    reads: dict[str, frozenset[str]] = {name: model.reads for name, model in models.items()}
    for table, file in files.items():
        try:
            reads[table] = frozenset(tables_read(warehouse, file.select) - {table})
        except UsageError as error:
            raise UsageError(f"transforms/{table.replace('.', '/')}.sql: {error}") from None
    given = ("reference.", "raw.", "run.")
    for table, wanted in reads.items():
        unknown = sorted(name for name in wanted if name not in reads and not name.startswith(given))
        if unknown:
            raise UsageError(f"transforms/{table.replace('.', '/')}.sql reads {unknown[0]}, which nothing builds")
    try:
        sorter = TopologicalSorter({name: sorted(wanted & reads.keys()) for name, wanted in sorted(reads.items())})
        return BuildOrder(tuple(sorter.static_order()), reads)
    except CycleError as error:
        raise UsageError(f"the tables depend on each other in a circle: {' -> '.join(error.args[1])}") from None


def create_table(
    warehouse: Warehouse, file: SqlFile, dictionary: Dictionary, constants: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Create the empty table of a file: types, keys and checks from the dictionary, comments included.

    `constants`: columns that hold the same text in every row. They are kept once, and INSERT leaves them out.
    Staging tables get no key or checks in DDL (an index over ten million rows costs more than the load);
    the validation enforces the same facts there and moves the rows that break them to quarantine.
    """
    enforced = not file.table.startswith("staging.")
    names = [name for name, _ in warehouse.columns(file.select)]
    if not enforced:
        names.append("_is_filled")
    missing = [name for name in file.grain if name not in names]
    if missing:
        raise UsageError(f"transforms/{file.table.replace('.', '/')}.sql: the grain names {missing[0]}, no column")
    columns = {name: dictionary.column(name, file.table) for name in names}
    parts = [
        f"{quote_identifier(name)} {column.type} AS ({quote_literal(constants[name])}) VIRTUAL"
        if name in constants
        else column.definition(
            name, key=enforced and name in file.grain, checked=enforced, listed=not enforced and name == "value_status"
        )
        for name, column in columns.items()
    ]
    if enforced:
        parts.append(f"PRIMARY KEY ({', '.join(quote_identifier(name) for name in file.grain)})")
    table = quote_table(file.table)
    warehouse.execute(f"DROP TABLE IF EXISTS {table}")
    warehouse.execute(f"CREATE TABLE {table} ({', '.join(parts)})")
    warehouse.execute(f"COMMENT ON TABLE {table} IS {quote_literal(file.comment())}")
    for name, column in columns.items():
        target = f"{table}.{quote_identifier(name)}"
        warehouse.execute(f"COMMENT ON COLUMN {target} IS {quote_literal(column.comment())}")


def build_table(warehouse: Warehouse, file: SqlFile, dictionary: Dictionary) -> int:
    """Create and fill one table; return its number of rows. DataRefused when the data break its contract."""
    try:
        create_table(warehouse, file, dictionary)
        order = ", ".join(quote_identifier(name) for name in file.grain)
        warehouse.execute(f"INSERT INTO {quote_table(file.table)} BY NAME FROM ({file.select}) ORDER BY {order}")
    except DatabaseError as error:
        raise explain_database_error(error, f"building {file.table}") from None
    return int(warehouse.scalar(f"SELECT count(*) FROM {quote_table(file.table)}"))


def build_model(warehouse: Warehouse, name: str, model: Model) -> int:
    """Compute one Python model into its `model.` table; return its number of rows."""
    frame = model.compute(warehouse)
    if frame.columns.duplicated().any():
        raise DataRefused(f"{name}: the model gives a column twice")
    warehouse.load(name, frame)
    return len(frame)


def build(
    warehouse: Warehouse, files: Mapping[str, SqlFile], models: Mapping[str, Model], dictionary: Dictionary,
    tables: Iterable[str], on_table: Callable[[str, int], None] = lambda table, rows: None,
    reads: Mapping[str, Collection[str]] | None = None,
) -> dict[str, int]:  # fmt: skip
    """Build `tables` (already in order) and return table -> rows.

    Who says what each reads has two built at a time, models always beside the tables that do not need them.
    """
    order = list(tables)
    if reads is None:
        reads = {table: [before] for before, table in pairwise(order)}
    sorter = TopologicalSorter({table: set(reads.get(table, ())) & set(order) for table in order})
    sorter.prepare()
    counts: dict[str, int] = {}
    waiting: list[str] = []
    beside: dict[Future[int], str] = {}

    def build_one(where: Warehouse, table: str) -> int:
        if table in models:
            return build_model(where, table, models[table])
        return build_table(where, files[table], dictionary)

    def ended(table: str, rows: int) -> None:
        counts[table] = rows
        on_table(table, rows)
        sorter.done(table)

    with warehouse.beside() as other, ThreadPoolExecutor(1) as pool:
        while sorter.is_active():
            waiting = sorted(
                [*waiting, *sorter.get_ready()], key=lambda table: (table not in models, order.index(table))
            )
            if waiting and not beside and (waiting[0] in models or len(waiting) > 1):
                table = waiting.pop(0)
                beside[pool.submit(build_one, other, table)] = table
            own = next((table for table in waiting if table not in models), None)
            if own is not None:
                waiting.remove(own)
                ended(own, build_one(warehouse, own))
            for future in wait(beside, None if own is None else 0, FIRST_COMPLETED).done if beside else ():
                ended(beside.pop(future), future.result())
    return {table: counts[table] for table in order}


# Rows for `meta`: what every column means, and which table is made from which.


def lineage_frame(plan: BuildOrder) -> pd.DataFrame:
    """Return one row per table and table it reads: table_name, reads_table."""
    import pandas as pd

    pairs = [(table, read) for table in plan.order for read in sorted(plan.reads[table])]
    return pd.DataFrame(sorted(pairs), columns=["table_name", "reads_table"])


def dictionary_frame(
    warehouse: Warehouse, files: Mapping[str, SqlFile], dictionary: Dictionary, sources: Mapping[str, str]
) -> pd.DataFrame:
    """Return one row per table and column of the database, with labels, type, unit, meaning and sources.

    `sources` gives table -> the ids of the sources it rests on, by lineage.
    """
    import pandas as pd

    rows = []
    for table, file in sorted(files.items()):
        names = warehouse.rows(
            "SELECT column_name, data_type, column_index FROM duckdb_columns() "
            "WHERE schema_name || '.' || table_name = ? ORDER BY column_index",
            [table],
        )
        for name, data_type, index in names:
            column = dictionary.column(name, table)
            rows.append({
                "table_name": table, "column_name": name, "column_position": index, "data_type": data_type,
                **column.model_dump(include={*COLUMN_LABELS, "protection"}),
                "description_da": column.description_da or None,
                "allowed_values": ", ".join(column.allowed or ()) or None,
                "is_key": name in file.grain, "table_label_da": file.label_da, "table_label_en": file.label_en,
                "rests_on_sources": sources.get(table) or None,
            })  # fmt: skip
    return pd.DataFrame(rows)


COLUMN_LABELS = ("label_da", "label_en", "unit", "description", "description_da")


def column_labels(dictionary: Dictionary) -> pd.DataFrame:
    """Return one row per described column: column_name, label_da, label_en, unit, description, description_da."""
    import pandas as pd

    columns = sorted(dictionary.columns.items())
    rows = [{"column_name": name} | column.model_dump(include={*COLUMN_LABELS}) for name, column in columns]
    return pd.DataFrame(rows, columns=["column_name", *COLUMN_LABELS]).astype({"unit": "string"})


def sources_by_table(plan: BuildOrder) -> dict[str, str]:
    """Return table -> the sources its rows come from, comma separated, followed through the lineage."""
    resolved: dict[str, frozenset[str]] = {}
    for table in plan.order:
        found: set[str] = set()
        for read in plan.reads[table]:
            if read.startswith("raw."):
                found.add(read.removeprefix("raw."))
            found |= resolved.get(read, frozenset())
        resolved[table] = frozenset(found)
    return {table: ", ".join(sorted(found)) for table, found in resolved.items()}


# The project's own small facts, one CSV each, as tables `reference.<stem>` with every value as text.


FOLDER = Path(__file__).parent / "reference"


def load_reference(warehouse: Warehouse, folder: Path = FOLDER) -> list[str]:
    """Load every CSV of the folder (`;`, UTF-8, header, `"` quotes); return the table names.

    Raises UsageError naming the file whose rows do not fit its header, and an entry of the shortage classes that cannot
    be used.
    """
    check_shortage(folder)
    return [_load(warehouse, path) for path in sorted(folder.glob("*.csv"))]


def _load(warehouse: Warehouse, path: Path) -> str:
    with path.open(encoding="utf-8", newline="") as stream:
        header = next(csv.reader(stream, delimiter=";"))
    columns = ", ".join(f"{quote_literal(name)}: 'VARCHAR'" for name in header)
    table = f"reference.{quote_identifier(path.stem)}"
    try:
        warehouse.execute(
            f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM read_csv({quote_literal(str(path))}, delim=';', "
            f"header=true, auto_detect=false, quote='\"', escape='\"', nullstr='', columns={{{columns}}})"
        )
    except DatabaseError as error:
        told = explain_database_error(error, f"reading transforms/reference/{path.name}")
        raise UsageError(str(told)) from None
    comment = f"Faste fakta / Reference facts. Project file transforms/reference/{path.name}."
    warehouse.execute(f"COMMENT ON TABLE {table} IS {quote_literal(comment)}")
    return f"reference.{path.stem}"


# The shortage classes the programme enters by hand: `reference/industry_shortage.csv` checked before it is used.
#
# Arbejdsmarkedsbalancen gives a class per job title and labour market region, twice a year; its list of classes has
# changed, so each entry names the list it was taken from (`reference/shortage_classes.csv`, whose `in_force_on` is a
# day the list is known to have been in force, empty when none is known). An entry is about a region or a province.


INDUSTRIES = "db07_37"


def check_shortage(folder: Path) -> None:
    """Raise UsageError with file, line, value and rule for the first entry that cannot be used.

    A folder without the file has no entries.
    """
    path = folder / "industry_shortage.csv"
    if not path.is_file():
        return
    industries = {row["code"] for row in reference_rows("codelists.csv", folder) if row["codelist"] == INDUSTRIES}
    areas = {row["code"] for row in reference_rows("areas.csv", folder) if row["level"] in ("region", "province")}
    classes = {(row["class_list"], row["shortage_class"]) for row in reference_rows("shortage_classes.csv", folder)}
    seen: dict[tuple[str, str, str], int] = {}
    for line, row in enumerate(reference_rows(path.name, folder), start=2):
        first = seen.setdefault((row["area_code"], row["industry_code"], row["valid_from"]), line)
        is_known = (row["class_list"], row["shortage_class"]) in classes
        listed = f"a class of the list {row['class_list']!r} in shortage_classes.csv"
        checks = (
            ("industry_code", row["industry_code"] in industries, f"an industry of {INDUSTRIES}"),
            ("area_code", row["area_code"] in areas, "the code of a region or a province"),
            ("shortage_class", is_known, listed),
            ("valid_from", _is_day(row["valid_from"]), "a day as 2019-07-01"),
            ("source", bool(row["source"]), "where the entry was taken from"),
            ("valid_from", first == line, f"one entry a day; line {first} is the same"),
        )
        for column, holds, rule in checks:
            if not holds:
                raise UsageError(
                    f"transforms/reference/{path.name}: line {line}: {column} {row[column]!r} is not {rule}; "
                    "correct the line"
                )


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


# What a result was made from: one hash over the code and facts that decide it.


PACKAGES = ("transforms", "expectations", "flows")
SUFFIXES = {".py", ".sql", ".yml", ".csv"}


@lru_cache(maxsize=1)
def code_version() -> str:
    """Return the first 16 hexadecimals of one SHA-256 over every code, SQL and reference file of the project."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix in SUFFIXES and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(root)).encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
