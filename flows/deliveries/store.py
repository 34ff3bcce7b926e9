"""The restricted database: person rows by pseudonym in an encrypted file, and the ledger of deliveries.

A delivery is one table of one municipality for one period. It replaces the delivery it corrects (see
`delete_superseded`). The ledger keeps every delivery ever received, without its content.

One module, since person rows, the ledger of deliveries and the change of keys are one encrypted file.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from datetime import date, datetime
from itertools import accumulate
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.deliveries.keys import KeyedHash, Keys, begin_rotation, finish_rotation, load_keys
from flows.settings import Settings
from flows.store.baselines import baselines
from flows.store.builds import published_release
from flows.store.snapshots import sync
from transforms.catalogue import KINDS, DeliveryRule
from transforms.errors import DataRefused, KommunekortError, UsageError
from transforms.machine import give_back
from transforms.models.persons import ROW_COLUMNS, PersonRows, organisation_models
from transforms.periods import COPENHAGEN, span, utc_text
from transforms.warehouse import Warehouse, quote_identifier, quote_literal, quote_table

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pandas as pd
    import pyarrow as pa


FILE = "restricted.duckdb"
LEDGER_COMMENT = "Alle modtagne leverancer / Every delivery received. One row per delivery; none is ever deleted."


@dataclass(frozen=True)
class Delivery:
    """One line of the ledger. `content_id` is a keyed hash of the bytes; counts are rows, persons are distinct.

    `is_from_folder`: its content has lain in the drop folder; `period_source`: whether its period was `stated`, or read
    from the `name`, a `day` in the name or the `rows`. None: entered before that was recorded. `part_ids`: of several
    tables taken as one delivery the content id of each, with commas between.
    """

    delivery_id: str
    kind: str
    municipality_code: str | None
    period: str | None
    received_at: str
    content_id: str
    contract_version: int
    key_id: str
    verdict: str
    rows_in: int
    rows_accepted: int
    rows_rejected: int
    persons: int | None
    is_synthetic: bool
    superseded_by: str | None = None
    is_from_folder: bool | None = None
    period_source: str | None = None
    part_ids: str | None = None


@dataclass(frozen=True)
class Known:
    """What is known of the ledger: lines received at or before `by` and entered no later than `upto`; None: no bound.

    `by` is a question about time. `upto` is what a build really met: receipts may be dated back, and deliveries of a
    night's own drop folder are received after its run has started. `until` leaves out deliveries that tell of later.
    """

    by: datetime | None = None
    upto: str | None = None
    until: date | None = None

    @property
    def bounds(self) -> list[str | None]:
        """Return `by` and `upto` as the ledger writes them, for the parameters of a query."""
        return [utc_text(self.by) if self.by else None, self.upto]

    def tell_until(self, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """Return the deliveries that tell of nothing after `until`."""
        return [each for each in deliveries if self.until is None or told_until(each) <= self.until]


EVERYTHING = Known()

SQL_TYPES = {"int": "BIGINT", "bool": "BOOLEAN", "str": "VARCHAR"}
OF_EVERY_ROW = {"delivery_id": "VARCHAR", "municipality_code": "VARCHAR", "_row_number": "BIGINT"}
"""What every table of delivered rows has beside its own columns."""


@contextmanager
def hide_unforeseen(doing: str) -> Iterator[None]:
    """Turn an unforeseen error into one that names its place and type only: its own text may quote a person's row."""
    try:
        yield
    except KommunekortError:
        raise
    except Exception as error:
        last = extract_tb(error.__traceback__)[-1]
        raise KommunekortError(
            f"{doing}: unexpected {type(error).__name__} at {Path(last.filename).name}:{last.lineno}; "
            "nothing of it was stored, report this to the data team"
        ) from None


@contextmanager
def open_restricted(
    folder: Path, key: str, *, read_only: bool = False, memory_limit: str = "1GB"
) -> Iterator[Warehouse]:
    """Open the encrypted database in `folder` (mode 0700, file 0600), making both when absent.

    It begins on one thread: the many small statements of a usual delivery take a quarter less time so.

    Raises UsageError when another process has it open or the key is not the one it was written with.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    path = folder / FILE
    with Warehouse.open(
        path,
        read_only=read_only,
        encryption_key=key,
        memory_limit=memory_limit,
        threads=1,
        temp_directory=_spill(folder),
    ) as warehouse:
        # What does not fit in memory is spilled to disk; that must be unreadable too.
        warehouse.execute("SET temp_file_encryption = true; SET preserve_insertion_order = false")
        path.chmod(0o600)
        if not read_only:
            for left in folder.glob("spill*"):  # by a process that was killed; nobody else reads or writes now
                shutil.rmtree(left, ignore_errors=True)
            with warehouse.transaction():
                _create_ledger(warehouse)
        yield warehouse


def _spill(folder: Path) -> Path:
    """Return a folder that nobody else spills into: two processes in one overwrite each other's files, and crash."""
    return folder / f"spill-{secrets.token_hex(8)}"


def _create_ledger(warehouse: Warehouse) -> None:
    """Create the ledger, or add to one of an earlier version what it lacks."""
    is_new = not warehouse.exists("restricted.delivery")
    warehouse.execute("CREATE SCHEMA IF NOT EXISTS restricted")
    prepare_table(warehouse, "delivery", {each.name: SQL_TYPES[str(each.type).split()[0]] for each in fields(Delivery)})
    if is_new:
        warehouse.execute(f"COMMENT ON TABLE restricted.delivery IS {quote_literal(LEDGER_COMMENT)}")


def prepare_table(
    warehouse: Warehouse, table: str, columns: Mapping[str, str], comments: Mapping[str, str] | None = None
) -> None:
    """Create `restricted.<table>` with `columns` (name -> SQL type), or add those a newer version of it has."""
    name = quote_table(f"restricted.{table}")
    present: set[str] = set()
    if warehouse.exists(f"restricted.{table}"):
        present = {column for column, _ in warehouse.columns(f"SELECT * FROM {name}")}
    else:
        listed = ", ".join(f"{quote_identifier(column)} {kind}" for column, kind in columns.items())
        warehouse.execute(f"CREATE TABLE {name} ({listed})")
    for column in [column for column in columns if column not in present]:
        quoted = quote_identifier(column)
        if present:
            warehouse.execute(f"ALTER TABLE {name} ADD COLUMN {quoted} {columns[column]}")
        if comments and column in comments:
            warehouse.execute(f"COMMENT ON COLUMN {name}.{quoted} IS {quote_literal(comments[column])}")


def next_delivery_id(warehouse: Warehouse) -> str:
    """Return the id of the next delivery: L000001, L000002, …"""
    return f"L{int(warehouse.scalar('SELECT count(*) FROM restricted.delivery')) + 1:06d}"


def current_delivery(warehouse: Warehouse, new: Delivery) -> Delivery | None:
    """Return the accepted delivery in force of the municipality, kind and period of a new one, or None.

    Invented and real deliveries never meet: the sample must not put a municipality's own delivery out of force.
    """
    sql = (
        "SELECT * FROM restricted.delivery WHERE kind = ? AND municipality_code = ? AND period = ? "
        "AND is_synthetic = ? AND verdict <> 'afvist' AND superseded_by IS NULL"
    )
    rows = warehouse.rows(sql, [new.kind, new.municipality_code, new.period, new.is_synthetic])
    return Delivery(*rows[0]) if rows else None


def newest_in_force(warehouse: Warehouse, new: Delivery) -> Delivery | None:
    """Return the accepted delivery in force that tells furthest of the municipality and kind of a new one, or None."""
    in_force = deliveries_in_force(warehouse, synthetic=new.is_synthetic)
    found = newest_periods([each for each in in_force if each.municipality_code == new.municipality_code], new.kind)
    return found[0] if found else None


def received_before(warehouse: Warehouse, new: Delivery) -> Delivery | None:
    """Return a delivery of the same bytes and sort that is in force, or was refused and not followed by another.

    Of a new one from the drop folder also one superseded since that came from there: a file and its correction lie side
    by side night after night, and would else supersede each other for ever; and one that was made of the same parts and
    more, so that a file taken out of the folder takes no rows with it. The ledger notes that it came this way too.
    """
    sql = (
        "SELECT * FROM restricted.delivery WHERE kind = ? AND municipality_code IS NOT DISTINCT FROM ? "
        "AND is_synthetic = ? AND (superseded_by IS NULL OR (? AND coalesce(is_from_folder, true))) "
        "AND (content_id = ? OR (? AND is_from_folder AND verdict <> 'afvist' "
        "AND list_has_all(string_split(part_ids, ','), ?))) "
        "ORDER BY content_id = ? DESC, delivery_id DESC LIMIT 1"
    )
    parts = (new.part_ids or new.content_id).split(",")
    sort = [new.kind, new.municipality_code, new.is_synthetic]
    given = [new.is_from_folder, new.content_id, new.is_from_folder, parts, new.content_id]
    rows = warehouse.rows(sql, [*sort, *given])
    if not rows:
        return None
    known = Delivery(*rows[0])
    if new.is_from_folder and not known.is_from_folder:
        warehouse.execute(
            "UPDATE restricted.delivery SET is_from_folder = true WHERE delivery_id = ?", [known.delivery_id]
        )
    return known


def known_content(warehouse: Warehouse) -> frozenset[str]:
    """Return the content id of every delivery there has been."""
    return frozenset(str(name) for (name,) in warehouse.rows("SELECT DISTINCT content_id FROM restricted.delivery"))


def enter(warehouse: Warehouse, delivery: Delivery) -> None:
    """Write a delivery into the ledger."""
    marks = ", ".join("?" for _ in fields(Delivery))
    warehouse.execute(f"INSERT INTO restricted.delivery VALUES ({marks})", astuple(delivery))


def person_tables(warehouse: Warehouse) -> list[str]:
    """Return the tables that hold pseudonyms."""
    return _tables(warehouse, "column_name = 'person_id'")


def _tables(warehouse: Warehouse, where: str) -> list[str]:
    """Return the tables of which a column answers to a predicate over `information_schema.columns`."""
    sql = (
        "SELECT DISTINCT table_name FROM information_schema.columns WHERE table_catalog = current_database() "
        f"AND table_schema = 'restricted' AND {where} ORDER BY 1"
    )
    return [str(name) for (name,) in warehouse.rows(sql)]


def person_ids(warehouse: Warehouse, table: str) -> list[str]:
    """Return the distinct pseudonyms of a table."""
    sql = f"SELECT DISTINCT person_id FROM {quote_table(f'restricted.{table}')} WHERE person_id IS NOT NULL"
    return [str(name) for (name,) in warehouse.rows(sql)]


def replace_person_ids(warehouse: Warehouse, table: str, mapping: Mapping[str, str]) -> None:
    """Replace every pseudonym of a table by the one it is mapped to."""
    import pyarrow as pa

    ids = pa.table([pa.array(each, pa.string()) for each in (mapping.keys(), mapping.values())], ["old", "new"])
    with warehouse.registered("_mapping", ids):
        name = quote_table(f"restricted.{table}")
        warehouse.execute(f"UPDATE {name} SET person_id = m.new FROM _mapping m WHERE person_id = m.old")


def copy_database(warehouse: Warehouse, source: Path, key: str) -> None:
    """Copy everything of another encrypted restricted database into this empty one."""
    warehouse.execute("DROP SCHEMA restricted CASCADE")
    warehouse.execute(f"ATTACH {quote_literal(str(source))} AS copied (ENCRYPTION_KEY {quote_literal(key)}, READ_ONLY)")
    warehouse.execute("COPY FROM DATABASE copied TO restricted_file")
    warehouse.execute("DETACH copied")


# The rows of one delivery while they are judged: a temporary table, whose rows move on together or not at all.


def begin_incoming(warehouse: Warehouse, columns: Mapping[str, str]) -> None:
    """Make the empty temporary table a delivery's rows wait in until they are judged; they are read as `incoming`."""
    listed = ", ".join(
        f"{quote_identifier(column)} {kind}" for column, kind in {"_row_number": "BIGINT", **columns}.items()
    )
    end_incoming(warehouse)
    warehouse.execute(f"CREATE TEMP TABLE waiting ({listed}); CREATE TEMP VIEW incoming AS FROM temp.waiting")


def end_incoming(warehouse: Warehouse) -> None:
    """Forget the rows that waited."""
    warehouse.execute("DROP VIEW IF EXISTS temp.incoming; DROP TABLE IF EXISTS temp.waiting")
    warehouse.unregister("_block")


def add_incoming(warehouse: Warehouse, columns: Mapping[str, str], rows: pa.Table) -> None:
    """Add typed rows."""
    with warehouse.registered("_block", rows):
        warehouse.execute(f"INSERT INTO temp.waiting BY NAME {_stored_form(columns, rows)}")


def put_incoming(warehouse: Warehouse, columns: Mapping[str, str], rows: pa.Table) -> None:
    """Let typed rows wait that were judged elsewhere; they are not copied."""
    warehouse.register("_block", rows)
    warehouse.execute(f"CREATE OR REPLACE TEMP VIEW incoming AS {_stored_form(columns, rows)}")


def _stored_form(columns: Mapping[str, str], rows: pa.Table) -> str:
    """Return the query of `_block` as stored: `age_at_permit_years` is whole years from `birth_date`, which is not."""
    present = set(rows.column_names)
    chosen = ["row_number AS _row_number"]
    for column, kind in columns.items():
        if column == "age_at_permit_years":
            expression = "date_sub('year', birth_date, permit_date)"
        else:
            expression = quote_identifier(column) if column in present else "NULL"
        chosen.append(f"CAST({expression} AS {kind}) AS {quote_identifier(column)}")
    return f"SELECT {', '.join(chosen)} FROM _block"


@contextmanager
def open_scratch(folder: Path) -> Iterator[Warehouse]:
    """Open a database in memory in which rows are judged; what does not fit is spilled encrypted."""
    with Warehouse.open(memory_limit="1GB", threads=1, temp_directory=_spill(folder)) as warehouse:
        warehouse.execute("SET temp_file_encryption = true")
        yield warehouse


LEAST_SHARED, MOVED = 10, 0.2


def duplicate_rows(warehouse: Warehouse, key: Sequence[str]) -> list[int]:
    """Return the row numbers that repeat the key of an earlier row of the delivery."""
    columns = ", ".join(quote_identifier(column) for column in key)
    # Grouping by a hash first keeps the usual case, no duplicates, cheap for millions of rows.
    suspects = f"SELECT hash({columns}) AS h FROM temp.incoming GROUP BY h HAVING count(*) > 1"
    sql = (
        f"SELECT _row_number FROM temp.incoming WHERE hash({columns}) IN ({suspects}) "
        f"QUALIFY row_number() OVER (PARTITION BY {columns} ORDER BY _row_number) > 1 ORDER BY 1"
    )
    return [int(row) for (row,) in warehouse.rows(sql)]


def broken_rules(
    warehouse: Warehouse, rules: Sequence[DeliveryRule], received_on: date
) -> list[tuple[DeliveryRule, int, list[int]]]:
    """Return (rule, rows breaking it, their numbers) for every rule broken; one pass counts.

    `received_on` may be used in a rule. Of one that is only told for information the numbers are not wanted.
    """
    if not rules:
        return []
    source = f"(SELECT *, DATE '{received_on.isoformat()}' AS received_on FROM temp.incoming)"
    counts = ", ".join(f"count(*) FILTER (WHERE {rule.breaks})" for rule in rules)
    found = warehouse.rows(f"SELECT {counts} FROM {source}")[0]
    broken = []
    for rule, count in zip(rules, found, strict=True):
        if count:
            sql = f"SELECT _row_number FROM {source} WHERE {rule.breaks} ORDER BY 1"
            listed = warehouse.rows(sql) if rule.severity != "info" else []
            broken.append((rule, int(count), [int(row) for (row,) in listed]))
    return broken


def remove_incoming(warehouse: Warehouse, rows: Collection[int]) -> None:
    """Delete rows by their numbers."""
    import pyarrow as pa

    with warehouse.registered("_listed", pa.table({"row": pa.array(rows, pa.int64())})):
        warehouse.execute("DELETE FROM temp.waiting WHERE _row_number IN (SELECT row FROM _listed)")


def count_incoming(warehouse: Warehouse, columns: Collection[str]) -> tuple[int, int | None]:
    """Return the rows waiting and the distinct persons among them, None where rows are no persons'."""
    persons = "count(DISTINCT person_id)" if "person_id" in columns else "NULL"
    rows, distinct = warehouse.rows(f"SELECT count(*), {persons} FROM temp.incoming")[0]
    return rows, distinct


def newest_date(warehouse: Warehouse, column: str, received_on: date) -> date | None:
    """Return the newest date of a column of the rows waiting that is not after their receipt."""
    quoted = quote_identifier(column)
    found = warehouse.scalar(f"SELECT max({quoted}) FROM temp.incoming WHERE {quoted} <= ?", [received_on])
    return found if isinstance(found, date) else None


def count_shared_persons(warehouse: Warehouse, table: str, delivery: Delivery) -> int:
    """Return how many persons of a stored delivery are among the rows waiting."""
    sql = (
        f"SELECT count(DISTINCT person_id) FROM {quote_table(f'restricted.{table}')} WHERE delivery_id = ? "
        "AND person_id IN (SELECT person_id FROM temp.incoming)"
    )
    return int(warehouse.scalar(sql, [delivery.delivery_id]))


def differences(
    warehouse: Warehouse, table: str, key: Sequence[str], columns: Iterable[str], delivery: Delivery
) -> tuple[list[str], float]:
    """Return the columns that more often than in one of five rows say something else than a stored delivery did, and
    the share of its rows that are not there any more.

    Rows are the same when their key is. Fewer than ten in common say nothing of columns.
    """
    others = [column for column in columns if column not in key]
    differs = ", ".join(
        f"avg((now.{name} IS DISTINCT FROM before.{name})::INTEGER)" for name in map(quote_identifier, others)
    )
    joined = " AND ".join(f"now.{name} IS NOT DISTINCT FROM before.{name}" for name in map(quote_identifier, key))
    counted, *shares = warehouse.rows(
        f"SELECT count(*), {differs or 0} FROM temp.incoming AS now "
        f"JOIN {quote_table(f'restricted.{table}')} AS before ON before.delivery_id = ? AND {joined}",
        [delivery.delivery_id],
    )[0]
    moved = [name for name, share in zip(others, shares, strict=False) if counted >= LEAST_SHARED and share > MOVED]
    return moved, max(1 - counted / max(delivery.rows_accepted, 1), 0)


def store_incoming(warehouse: Warehouse, table: str, delivery: Delivery) -> None:
    """Move the rows waiting into `restricted.<table>` under their delivery."""
    # A bucket of persons is a range of pseudonyms: rows that lie in their order are read without the others.
    order = " ORDER BY person_id" if "person_id" in dict(warehouse.columns("SELECT * FROM temp.incoming")) else ""
    warehouse.execute(
        f"INSERT INTO {quote_table(f'restricted.{table}')} BY NAME SELECT {quote_literal(delivery.delivery_id)} "
        f"AS delivery_id, {quote_literal(delivery.municipality_code or '')} AS municipality_code, * FROM temp.incoming"
        f"{order}"
    )


# Superseded deliveries, and what was in force before them: their rows are kept for that, and deleted in time.
#
# The rows of a delivery that is corrected move to `restricted.superseded_<table>`, where a build as of a day, or of a
# frozen baseline, finds them again.


def supersede(warehouse: Warehouse, table: str, replaced: Delivery, by: Delivery) -> None:
    """Move the rows of the delivery that `by` corrects among the superseded ones, and mark it in the ledger."""
    name, kept = quote_table(f"restricted.{table}"), quote_table(f"restricted.{_superseded(table)}")
    prepare_table(warehouse, _superseded(table), dict(warehouse.columns(f"SELECT * FROM {name}")))
    replaced_id = [replaced.delivery_id]
    warehouse.execute(f"INSERT INTO {kept} BY NAME SELECT * FROM {name} WHERE delivery_id = ?", replaced_id)
    warehouse.execute(f"DELETE FROM {name} WHERE delivery_id = ?", replaced_id)
    warehouse.execute(
        "UPDATE restricted.delivery SET superseded_by = ? WHERE delivery_id = ?", [by.delivery_id, replaced.delivery_id]
    )


def _superseded(table: str) -> str:
    return f"superseded_{table}"


def deliveries_in_force(warehouse: Warehouse, known: Known = EVERYTHING, *, synthetic: bool) -> list[Delivery]:
    """Return the accepted deliveries, real or invented, that nothing known had superseded, by id."""
    accepted = _accepted(warehouse, synthetic, known)
    ids = {each.delivery_id for each in accepted}
    return known.tell_until(each for each in accepted if each.superseded_by not in ids)


def _accepted(warehouse: Warehouse, synthetic: bool, known: Known = EVERYTHING) -> list[Delivery]:
    """Return every accepted delivery of which the line in the ledger is known, by id."""
    sql = (
        "SELECT * FROM restricted.delivery WHERE verdict <> 'afvist' AND is_synthetic = ? "
        "AND received_at <= coalesce(?, received_at) AND delivery_id <= coalesce(?, delivery_id) ORDER BY delivery_id"
    )
    return [Delivery(*row) for row in warehouse.rows(sql, [synthetic, *known.bounds])]


def newest_periods(deliveries: Iterable[Delivery], kind: str) -> list[Delivery]:
    """Return of each municipality the delivery of a kind that counts: the one that tells furthest, by municipality."""
    of_kind = (delivery for delivery in deliveries if delivery.kind == kind)
    ordered = sorted(of_kind, key=lambda each: (each.municipality_code or "", told_until(each), each.delivery_id))
    return list({delivery.municipality_code: delivery for delivery in ordered}.values())


def told_until(delivery: Delivery) -> date:
    """Return the last day a delivery can tell of: the end of its period, but never after the day it was received."""
    received = datetime.fromisoformat(delivery.received_at).astimezone(COPENHAGEN).date()
    return min(span(delivery.period)[1], received) if delivery.period else received


def rows_of(
    warehouse: Warehouse,
    table: str,
    deliveries: Sequence[str],
    *,
    superseded: bool = False,
    between: tuple[str, str] | None = None,
    columns: Sequence[str] = ("*",),
    as_codes: bool = False,
) -> pa.Table:
    """Return the stored rows of deliveries, by id; one row per stored row.

    `superseded`: some of the deliveries may have been superseded since; their rows are kept elsewhere. `between`: only
    persons whose pseudonym is at or after the first text and before the second. `columns`: only these of the table.
    `as_codes`: see `_coded`. Person rows: for aggregation under `transforms.disclosure` only, never for export.
    """
    source = _stored(warehouse, table, superseded=superseded)
    part = "AND person_id >= ? AND person_id < ? " if between else ""
    rows = warehouse.arrow(
        f"SELECT {', '.join(columns)}, municipality_code::BIGINT << 40 | _row_number AS place FROM ({source}) "
        f"WHERE delivery_id IN (SELECT unnest(?)) {part}",
        [list(deliveries), *(between or ())],
    )
    # As codes and in this order here: DuckDB would take as long again to sort texts, and rows lie nearly so.
    rows = _coded(rows) if as_codes else rows
    order = np.argsort(rows["place"].to_numpy(), kind="stable")
    return rows.drop_columns("place").take(order)


def _stored(warehouse: Warehouse, table: str, *, superseded: bool) -> str:
    """Return the query of the rows of a table, with or without superseded ones."""
    names = [table]
    if superseded and warehouse.exists(f"restricted.{_superseded(table)}"):
        names.append(_superseded(table))
    return " UNION ALL BY NAME ".join(f"SELECT * FROM {quote_table(f'restricted.{name}')}" for name in names)


def delete_superseded(warehouse: Warehouse, before: datetime, needed: Collection[str]) -> list[str]:
    """Delete the rows of deliveries superseded before a moment, save those of `needed`; return whose rows went, by id.

    Their lines stay in the ledger.
    """
    due = (
        "SELECT d.delivery_id FROM restricted.delivery d JOIN restricted.delivery later "
        "ON later.delivery_id = d.superseded_by WHERE later.received_at < ? AND d.delivery_id NOT IN (SELECT unnest(?))"
    )
    gone: set[str] = set()
    for table in _tables(warehouse, f"starts_with(table_name, {quote_literal(_superseded(''))})"):
        sql = f"DELETE FROM {quote_table(f'restricted.{table}')} WHERE delivery_id IN ({due}) RETURNING delivery_id"
        gone |= {str(name) for (name,) in warehouse.rows(sql, [utc_text(before), sorted(needed)])}
    return sorted(gone)


# Person rows for a build: read from the restricted database when there is one and its key is at hand.
#
# `known` says which deliveries count: all of them, those received by a moment, or those a frozen build had met.


log = logging.getLogger(__name__)
TABLES = tuple(KINDS.items())


@dataclass(frozen=True)
class LedgerState:
    """The deliveries in force as one short text (None without any), and the last line of the ledger that was met."""

    state: str | None = None
    last_delivery: str = ""


def read_ledger(settings: Settings, *, synthetic: bool, known: Known = EVERYTHING) -> LedgerState:
    """Return the state of the ledger; `state` changes with every accepted delivery of the wanted kind."""
    if not (settings.restricted / FILE).is_file():
        return LedgerState()
    with open_deliveries(settings, read_only=True) as warehouse:
        deliveries = deliveries_in_force(warehouse, known, synthetic=synthetic)
        forgotten = forgotten_rows(warehouse)
        sql = "SELECT max(delivery_id) FROM restricted.delivery WHERE delivery_id <= coalesce(?, delivery_id)"
        last = str(warehouse.scalar(sql, [known.upto]) or "")  # which sorts first, without any
    rows: list[tuple[str | int, ...]] = [(each.delivery_id, each.content_id) for each in deliveries]
    ids = [each.delivery_id for each in deliveries]
    rows += sorted((name, forgotten[name]) for name in ids if name in forgotten)
    return LedgerState(hashlib.sha256(repr(rows).encode()).hexdigest()[:16] if rows else None, last)


@dataclass(frozen=True)
class Wanted:
    """Which person rows count, as it is told to whoever counts a bucket: ids of deliveries by kind, no person, no key.

    `superseded`: some of them have been superseded since.
    """

    deliveries: Mapping[str, tuple[str, ...]]
    superseded: bool
    until: date
    untils: Mapping[str, date]
    models: Mapping[str, str]


@dataclass(frozen=True)
class Chosen:
    """The deliveries that count, by municipality, with how many person rows they hold and what is no person's."""

    wanted: Wanted
    rows: int
    organisation: pd.DataFrame
    deliveries: Mapping[str, tuple[str, ...]]
    turns: Mapping[str, int]


def choose(settings: Settings, warehouse: Warehouse, *, synthetic: bool, known: Known = EVERYTHING) -> Chosen | None:
    """Return the deliveries that count, or None when a kind was not delivered. Invented and real are never mixed.

    Of a municipality whose deliveries in force differ by too few persons from what is published, those published count
    (`publishable`). Raises DataRefused when a delivery counts whose rows are gone.
    """
    in_force = deliveries_in_force(warehouse, known, synthetic=synthetic)
    counting = {kind: newest_periods(in_force, kind) for _, kind in TABLES}
    for kind, deliveries in counting.items():
        if not deliveries:
            log.info("no %s were delivered; person-level results wait for them", kind)
            return None
    frozen = [baseline.manifest["release"] for baseline in baselines(settings)]
    shown = [release for release in (published_release(settings), *frozen) if release]
    states = publishable(warehouse, counting, known, settings.suppression_threshold, synthetic, shown)
    taken = {kind: [each for state in states.values() for each in state if each.kind == kind] for _, kind in TABLES}
    for table, kind in TABLES:
        refuse_lost(warehouse, table, taken[kind])
    ids = {kind: tuple(each.delivery_id for each in deliveries) for kind, deliveries in taken.items()}
    late = any(each.superseded_by for deliveries in taken.values() for each in deliveries)
    organisation = rows_of(warehouse, "organisation", ids["organisation"], superseded=late).to_pandas()
    earlier = _published_states(warehouse, shown, synthetic)
    wanted = Wanted(
        ids,
        late,
        max(told_until(each) for each in counting["cases"]),
        {code: told_until(each) for code, state in states.items() for each in state if each.kind == "cases"},
        organisation_models(organisation),
    )
    return Chosen(
        wanted,
        sum(each.rows_accepted for kind in PERSON_KINDS for each in taken[kind]),
        organisation,
        {code: tuple(each.delivery_id for each in state) for code, state in states.items()},
        {code: _turn(state, earlier.get(code, [])) for code, state in sorted(states.items())},
    )


def person_rows(warehouse: Warehouse, wanted: Wanted, buckets: int = 1, number: int = 0) -> PersonRows:
    """Return the rows of the persons of one bucket: those whose pseudonym lies in its part of all there could be.

    In as few bytes as they need: a number stands for each pseudonym, and codes are categories.
    """
    import pyarrow as pa

    give_back()  # what the bucket before has left
    low, high = (f"{2**32 * edge // buckets:08x}" for edge in (number, number + 1))
    between = None if buckets == 1 else (low, high if number + 1 < buckets else "g")
    tables = [
        rows_of(warehouse, table, wanted.deliveries[kind], superseded=wanted.superseded, between=between,
                columns=columns, as_codes=True)
        for (table, kind), columns in zip(TABLES[:3], ROW_COLUMNS, strict=True)
    ]  # fmt: skip
    told = [chunk for table in tables for chunk in table["person_id"].chunks]
    persons = pa.chunked_array(told, pa.dictionary(pa.int32(), pa.string())).unify_dictionaries()
    numbers = pa.chunked_array([chunk.indices for chunk in persons.chunks], pa.int32())
    starts = accumulate(map(len, tables), initial=0)
    cases, measures, employment = (
        table.set_column(0, "person_id", numbers[start : start + len(table)]).to_pandas()
        for table, start in zip(tables, starts, strict=False)
    )
    return PersonRows(cases, measures, employment, wanted.until, wanted.untils, wanted.models)


def _coded(table: pa.Table) -> pa.Table:
    """Return a table with its texts as codes and their levels, and its days as points in time."""
    import pyarrow as pa

    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_string(column.type):
            column = column.dictionary_encode()
        columns[name] = column.cast(pa.timestamp("us")) if pa.types.is_date(column.type) else column
    return pa.table(columns)


DRAWS = 3
"""Different roundings a municipality's figures take turns with, from one published state to the next.

With one, the figures that move would be those of whoever came. With a new one each time, the mean of many releases
would be the exact count. With three, a count of 1 to 4 that never changes is guessed right in 47 of 100 cases after any
number of releases (by the binomial likelihood), against 40 after one, and known in none."""


def _turn(state: Sequence[Delivery], earlier: Sequence[frozenset[str]]) -> int:
    """Return which of the published states of a municipality this is, from 0; a new one comes after them."""
    persons = frozenset(each.delivery_id for each in state if each.kind in PERSON_KINDS)
    return earlier.index(persons) if persons in earlier else len(earlier) if persons else 0


# What has been published of each municipality's persons, and how far the deliveries in force are from it.
#
# Two releases that differ by a few persons tell of them, however well each is protected. So a municipality's figures
# stand as they are published until at least `threshold` persons' rows lie between, as records wait for company before
# they are published anew in incremental anonymisation (Byun, Sohn, Bertino and Li 2006, Secure anonymization for
# incremental datasets; Xiao and Tao 2007, m-Invariance, SIGMOD). Every earlier release is compared, not only the last.


PERSON_KINDS = tuple(kind for _, kind in TABLES[:3])
State = tuple[Delivery, ...]
NOTHING: frozenset[str] = frozenset()
"""What is published of a municipality before it delivers: fewer persons than the threshold do not lie between."""


def publishable(
    warehouse: Warehouse,
    counting: Mapping[str, Sequence[Delivery]],
    known: Known,
    threshold: int,
    synthetic: bool,
    shown: Sequence[Mapping[str, Any]] = (),
) -> dict[str, State]:
    """Return of each municipality the deliveries its figures may be made of, by code.

    Those in force, when they are published already or differ from everything published, and from nothing at all, by at
    least `threshold` persons; else the newest published ones that are within `known`, and nothing where there are none.
    So do not deliveries of which a person was forgotten since they were published: made anew they would differ by one.
    `shown`: releases that are published or frozen, should their line in the restricted database be lost. Answers to the
    questionnaire always count.
    """
    in_force: dict[str, list[Delivery]] = {}
    for deliveries in counting.values():
        for each in deliveries:
            in_force.setdefault(each.municipality_code or "", []).append(each)
    published = _published_states(warehouse, shown, synthetic)
    by_id = {each.delivery_id: each for each in _accepted(warehouse, synthetic)}
    allowed = {each.delivery_id for each in known.tell_until(_accepted(warehouse, synthetic, known))}
    chosen: dict[str, State] = {}
    outlived, contents = _outlived(warehouse), _contents(warehouse)
    for code, state in sorted(in_force.items()):
        persons = frozenset(each.delivery_id for each in state if each.kind in PERSON_KINDS)
        others = tuple(each for each in state if each.kind not in PERSON_KINDS)
        earlier = published.get(code, [])
        is_settled = not persons or (persons in earlier and persons not in outlived)
        near = [
            ids
            for ids in (() if is_settled else (NOTHING, *earlier))
            if _changed_persons(warehouse, contents, persons, ids, by_id, threshold) < threshold
        ]
        usable = [ids for ids in near if ids <= allowed and ids not in outlived]
        if near:
            state = [*(by_id[name] for name in sorted(usable[-1] if usable else ())), *others]
            log.info("the deliveries of %s differ too little from what is published; its figures stand", code)
        if state:
            chosen[code] = tuple(state)
    return chosen


def _outlived(warehouse: Warehouse) -> set[frozenset[str]]:
    """Return the published sets of person deliveries of which a person has been forgotten since."""
    if not (warehouse.exists("restricted.forgotten") and warehouse.exists("restricted.published_state")):
        return set()
    digits = r"regexp_replace({}, '\D', '', 'g')".format
    sql = (
        "SELECT list(name) FROM (SELECT rowid AS place, unnest(delivery_ids) AS name "
        "FROM restricted.published_state WHERE EXISTS (SELECT 1 FROM restricted.forgotten "
        f"WHERE list_contains(delivery_ids, delivery_id) AND {digits('forgotten_at')} > {digits('published_at')})) "
        "JOIN restricted.delivery ON delivery_id = name "
        "WHERE kind IN (SELECT unnest(?)) GROUP BY place"
    )
    return {frozenset(ids) for (ids,) in warehouse.rows(sql, [list(PERSON_KINDS)])}


def _published_states(
    warehouse: Warehouse, shown: Sequence[Mapping[str, Any]], synthetic: bool
) -> dict[str, list[frozenset[str]]]:
    """Return municipality -> the sets of person deliveries its published figures were made of, oldest first."""
    kinds = {str(name): str(kind) for name, kind in warehouse.rows("SELECT delivery_id, kind FROM restricted.delivery")}
    rows: list[tuple[str, list[str]]] = []
    if warehouse.exists("restricted.published_state"):
        sql = (
            "SELECT municipality_code, delivery_ids FROM restricted.published_state WHERE is_synthetic = ? "
            "ORDER BY published_at"
        )
        rows = [(str(code), list(ids)) for code, ids in warehouse.rows(sql, [synthetic])]
    for release in shown:
        if release.get("is_synthetic") == synthetic:
            rows += list((release.get("person_deliveries") or {}).items())
    found: dict[str, list[frozenset[str]]] = {}
    for code, ids in rows:
        state = frozenset(name for name in ids if kinds.get(name) in PERSON_KINDS)
        if state and state not in found.setdefault(code, []):
            found[code].append(state)
    return found


def _contents(warehouse: Warehouse) -> str:
    """Return the query of all rows of persons, superseded ones too: delivery_id, person_id and a hash of the rest."""
    parts = []
    for table, kind in TABLES[: len(PERSON_KINDS)]:
        names = [name for name in (table, _superseded(table)) if warehouse.exists(f"restricted.{name}")]
        if not names:
            continue
        columns = [
            column
            for column, _ in warehouse.columns(f"SELECT * FROM {quote_table(f'restricted.{names[0]}')}")
            if column not in ("delivery_id", "_row_number")
        ]
        listed = ", ".join(quote_identifier(column) for column in columns)
        parts += [
            f"SELECT delivery_id, person_id, hash({quote_literal(kind)}, {listed}) AS content "
            f"FROM {quote_table(f'restricted.{name}')}"
            for name in names
        ]
    return " UNION ALL ".join(parts)


def _changed_persons(
    warehouse: Warehouse,
    rows: str,
    one: frozenset[str],
    other: frozenset[str],
    by_id: Mapping[str, Delivery],
    enough: int,
) -> int:
    """Return how many persons have other rows in one set of deliveries than in the other; all when rows are gone.

    `rows`: see `_contents`. Against nothing everybody is new, and no more are counted than show that they are
    `enough`. Who was forgotten and is delivered again is no change, and nobody knows who that is: so many fewer are
    counted.
    """
    both = sorted(one | other)

    def of(ids: Iterable[str]) -> str:  # told in the query, by which groups of other deliveries are passed over
        return f"FROM ({rows}) WHERE delivery_id IN ({', '.join(map(quote_literal, ids)) or 'NULL'})"

    held = dict(warehouse.rows(f"SELECT delivery_id, count(*) {of(both)} GROUP BY ALL"))
    forgotten = forgotten_rows(warehouse)
    if any(held.get(name, 0) + forgotten.get(name, 0) < by_id[name].rows_accepted for name in both if name in by_id):
        return sum(int(count) for count in held.values()) + 1
    gone = 0
    if forgotten:
        sql = "SELECT count(DISTINCT forgotten_at) FROM restricted.forgotten WHERE delivery_id IN (SELECT unnest(?))"
        gone = int(warehouse.scalar(sql, [both]))
    if not other:
        some = f"SELECT count(DISTINCT person_id) FROM (SELECT person_id {of(both)} LIMIT "
        first = int(warehouse.scalar(f"{some} 10000)")) - gone
        return first if first >= enough else int(warehouse.scalar(f"{some} ALL)")) - gone
    side = "SELECT person_id, sum(content::HUGEINT) AS content {} GROUP BY ALL"
    return -gone + int(
        warehouse.scalar(
            f"SELECT count(*) FROM ({side.format(of(one))}) a FULL JOIN ({side.format(of(other))}) b "
            "USING (person_id) WHERE a.content IS DISTINCT FROM b.content"
        )
    )


def record_published(settings: Settings, release: Mapping[str, Any]) -> None:
    """Write down of which deliveries each municipality's figures are made, before a release or baseline is shown."""
    states: Mapping[str, Sequence[str]] = release.get("person_deliveries") or {}
    if not states or not (settings.restricted / FILE).is_file():
        return
    with open_deliveries(settings, read_only=False) as warehouse:
        warehouse.execute(
            "CREATE TABLE IF NOT EXISTS restricted.published_state (municipality_code VARCHAR, "
            "delivery_ids VARCHAR[], is_synthetic BOOLEAN, published_at VARCHAR)"
        )
        for code, ids in sorted(states.items()):
            new = [code, sorted(ids), bool(release["is_synthetic"])]
            warehouse.execute(
                "INSERT INTO restricted.published_state SELECT ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM "
                "restricted.published_state WHERE municipality_code = ? AND delivery_ids = ? AND is_synthetic = ?)",
                [*new, str(release["run_id"]), *new],
            )


def forgotten_rows(warehouse: Warehouse) -> dict[str, int]:
    """Return delivery id -> how many of its rows were deleted because a person asked to be forgotten."""
    if not warehouse.exists("restricted.forgotten"):
        return {}
    sql = "SELECT delivery_id, sum(rows_deleted)::BIGINT FROM restricted.forgotten GROUP BY ALL"
    return {str(name): int(count) for name, count in warehouse.rows(sql)}


def refuse_lost(warehouse: Warehouse, table: str, deliveries: Sequence[Delivery]) -> None:
    """Raise DataRefused naming the first superseded delivery whose rows are not all stored.

    They are kept for `keep_superseded_days`; earlier versions of the program deleted them when a correction came.
    """
    late = [delivery for delivery in deliveries if delivery.superseded_by is not None]
    if not late:
        return
    sql = f"SELECT delivery_id, count(*) FROM ({_stored(warehouse, table, superseded=True)}) GROUP BY ALL"
    stored = {str(name): int(count) for name, count in warehouse.rows(sql)}
    forgotten = forgotten_rows(warehouse)
    for delivery in late:
        held = stored.get(delivery.delivery_id, 0) + forgotten.get(delivery.delivery_id, 0)
        if held < delivery.rows_accepted:
            sql = "SELECT received_at FROM restricted.delivery WHERE delivery_id = ?"
            received = warehouse.scalar(sql, [delivery.superseded_by])
            raise DataRefused(
                f"{FILE}: delivery {delivery.delivery_id} ({delivery.kind} of {delivery.municipality_code} for "
                f"{delivery.period}) has not all of its rows left, since {delivery.superseded_by} replaced it "
                f"and rows replaced long ago are no longer kept; build as of {received[:10]} or "
                "later, or restore data/restricted from a backup of before"
            )


def open_deliveries(
    settings: Settings, *, read_only: bool, memory_limit: str = "1GB"
) -> AbstractContextManager[Warehouse]:
    """Open the restricted database; UsageError without a usable key."""
    key = load_keys(settings.key_file, settings.root).database_key
    return open_restricted(settings.restricted, key, read_only=read_only, memory_limit=memory_limit)


# A person's right to be forgotten: the rows go, and what is left says only how many went from which delivery.


@dataclass(frozen=True)
class Forgotten:
    """What was deleted of one person: rows per delivery, and the baselines that can no longer be built again."""

    rows: Mapping[str, int]
    baselines: tuple[str, ...]


def forget(settings: Settings, cpr_number: str, now: datetime) -> Forgotten:
    """Delete every row of the person behind a CPR number, superseded rows too, and write the database anew without.

    The pseudonym is worked out from the number and kept nowhere. What has been published or frozen are protected
    figures of many persons and stays; made anew they would tell of this one, so the next build leaves them out (see
    `publishable`), and a baseline made of these rows cannot be built again. A person delivered again is entered again.

    Raises UsageError when the text is no CPR number or there is no restricted database.
    """
    if not (settings.restricted / FILE).is_file():
        raise UsageError(f"{settings.restricted / FILE}: there are no person rows here")
    keys = load_keys(settings.key_file, settings.root)
    person_id = keys.pseudonymiser().pseudonym(cpr_number)
    if person_id is None:
        raise UsageError("that is no CPR number; rule: ten digits that begin with a day that exists; type it again")
    found: Counter[str] = Counter()
    with open_restricted(settings.restricted, keys.database_key) as warehouse:
        for table in person_tables(warehouse):
            sql = f"DELETE FROM {quote_table(f'restricted.{table}')} WHERE person_id = ? RETURNING delivery_id"
            found.update(str(name) for (name,) in warehouse.rows(sql, [person_id]))
        warehouse.execute(
            "CREATE TABLE IF NOT EXISTS restricted.forgotten "
            "(delivery_id VARCHAR, rows_deleted BIGINT, forgotten_at VARCHAR)"
        )
        for delivery_id, count in sorted(found.items()):
            entry = [delivery_id, count, utc_text(now)]
            warehouse.execute("INSERT INTO restricted.forgotten VALUES (?, ?, ?)", entry)
        warehouse.checkpoint()
    if found:
        _write_anew(settings.restricted, keys, keys)
    hit = [
        frozen.name
        for frozen in baselines(settings)
        if found.keys()
        & {name for ids in (frozen.manifest["release"].get("person_deliveries") or {}).values() for name in ids}
    ]
    return Forgotten(found, tuple(hit))


# Change of key: stored pseudonyms carried over and the restricted database encrypted anew, without a CPR number.


NEW = "rotating"


def rotate(key_file: Path, data_dir: Path) -> str:
    """Change to a new key and return its id. Run again after an interruption, it finishes what was begun.

    Every pseudonym changes in the same way for everybody, so persons still meet their earlier rows and a
    municipality's next delivery meets both. Raises UsageError when the key file or the database is not in order.
    """
    before, after = begin_rotation(key_file, data_dir)
    folder = data_dir / "restricted"
    if (folder / FILE).exists() and not _opens(folder, after):
        _write_anew(folder, before, after, carry_over=True)
    finish_rotation(key_file, data_dir)
    return after.key_id


def _opens(folder: Path, keys: Keys) -> bool:
    try:
        with open_restricted(folder, keys.database_key, read_only=True):
            return True
    except UsageError:
        return False


def _write_anew(folder: Path, before: Keys, after: Keys, *, carry_over: bool = False) -> None:
    """Build the database beside the old one, then put it in its place in one step; deleted rows leave no trace.

    With `carry_over` pseudonyms become those under the new key.
    """
    built = folder / NEW
    for left_over in (built / FILE, built / f"{FILE}.wal"):
        left_over.unlink(missing_ok=True)
    with open_restricted(folder, before.database_key) as old:
        old.checkpoint()
    with open_restricted(built, after.database_key) as warehouse:
        copy_database(warehouse, folder / FILE, before.database_key)
        step = KeyedHash(after.last_step())
        for table in person_tables(warehouse) if carry_over else ():
            ids = person_ids(warehouse, table)
            replace_person_ids(warehouse, table, dict(zip(ids, step.ids(ids), strict=True)))
        warehouse.checkpoint()
    (built / FILE).replace(folder / FILE)
    sync(folder)
    shutil.rmtree(built)
