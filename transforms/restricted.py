"""The restricted database: person rows by pseudonym in an encrypted file, and the ledger of deliveries.

A delivery is one table of one municipality for one period. It replaces the delivery it corrects (see
`restricted_superseded`). The ledger keeps every delivery ever received, without its content.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from transforms.warehouse import Warehouse, quote_identifier, quote_literal, quote_table

FILE = "restricted.duckdb"
LEDGER_COMMENT = "Alle modtagne leverancer / Every delivery received. One row per delivery; none is ever deleted."


@dataclass(frozen=True)
class Delivery:
    """One line of the ledger. `content_id` is a keyed hash of the bytes; counts are rows, persons are distinct.

    `is_from_folder`: its content has lain in the drop folder; None: entered before that was recorded.
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


@dataclass(frozen=True)
class Known:
    """What is known of the ledger: lines received at or before `by` and entered no later than `upto`; None: no bound.

    `by` is a question about time. `upto` is what a build really met: receipts may be dated back, and deliveries of a
    night's own drop folder are received after its run has started.
    """

    by: datetime | None = None
    upto: str | None = None

    @property
    def bounds(self) -> list[str | None]:
        """Return both bounds as the ledger writes them, for the parameters of a query."""
        return [ledger_time(self.by) if self.by else None, self.upto]


def ledger_time(moment: datetime) -> str:
    """Return a moment as `received_at` writes it; such texts sort by time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


EVERYTHING = Known()

_LEDGER_TYPES = {"contract_version": "INTEGER", "rows_in": "BIGINT", "rows_accepted": "BIGINT",
                 "rows_rejected": "BIGINT", "persons": "BIGINT", "is_synthetic": "BOOLEAN",
                 "is_from_folder": "BOOLEAN"}  # fmt: skip


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
        temp_directory=folder / "spill",
    ) as warehouse:
        # What does not fit in memory is spilled to disk; that must be unreadable too.
        warehouse.execute("SET temp_file_encryption = true; SET preserve_insertion_order = false")
        path.chmod(0o600)
        if not read_only:
            _create_ledger(warehouse)
        yield warehouse


def use_all_threads(warehouse: Warehouse) -> None:
    """Let a large delivery be judged and stored on two threads."""
    warehouse.execute("SET threads = 2")


def _create_ledger(warehouse: Warehouse) -> None:
    if exists(warehouse, "delivery"):
        warehouse.execute("ALTER TABLE restricted.delivery ADD COLUMN IF NOT EXISTS is_from_folder BOOLEAN")
        return
    columns = ", ".join(f"{f.name} {_LEDGER_TYPES.get(f.name, 'VARCHAR')}" for f in fields(Delivery))
    warehouse.execute("CREATE SCHEMA IF NOT EXISTS restricted")
    warehouse.execute(f"CREATE TABLE restricted.delivery ({columns})")
    warehouse.execute(f"COMMENT ON TABLE restricted.delivery IS {quote_literal(LEDGER_COMMENT)}")


def prepare_table(warehouse: Warehouse, table: str, columns: Mapping[str, str], comments: Mapping[str, str]) -> None:
    """Create `restricted.<table>` with `columns` (name -> SQL type), or add those a newer contract has."""
    name = quote_table(f"restricted.{table}")
    stored = {"delivery_id": "VARCHAR", "municipality_code": "VARCHAR", "_row_number": "BIGINT", **columns}
    present = (
        {column for column, _ in warehouse.columns(f"SELECT * FROM {name}")} if exists(warehouse, table) else set()
    )
    if not present:
        listed = ", ".join(f"{quote_identifier(column)} {kind}" for column, kind in stored.items())
        warehouse.execute(f"CREATE TABLE {name} ({listed})")
    for column in [column for column in stored if column not in present]:
        quoted = quote_identifier(column)
        if present:
            warehouse.execute(f"ALTER TABLE {name} ADD COLUMN {quoted} {stored[column]}")
        if column in comments:
            warehouse.execute(f"COMMENT ON COLUMN {name}.{quoted} IS {quote_literal(comments[column])}")


def exists(warehouse: Warehouse, table: str) -> bool:
    """Tell whether there is a table `restricted.<table>`."""
    sql = (
        "SELECT count(*) FROM information_schema.tables WHERE table_catalog = current_database() "
        "AND table_schema = 'restricted' AND table_name = ?"
    )
    return bool(warehouse.scalar(sql, [table]))


def next_delivery_id(warehouse: Warehouse) -> str:
    """Return the id of the next delivery: L000001, L000002, …"""
    return f"L{int(warehouse.scalar('SELECT count(*) FROM restricted.delivery')) + 1:06d}"


def current_delivery(
    warehouse: Warehouse, kind: str, municipality: str, period: str | None, *, synthetic: bool
) -> Delivery | None:
    """Return the accepted delivery in force for municipality, kind and period, or None.

    Invented and real deliveries never meet: the sample must not put a municipality's own delivery out of force.
    """
    sql = (
        "SELECT * FROM restricted.delivery WHERE kind = ? AND municipality_code = ? AND period = ? "
        "AND is_synthetic = ? AND verdict <> 'afvist' AND superseded_by IS NULL"
    )
    rows = warehouse.rows(sql, [kind, municipality, period, synthetic])
    return Delivery(*rows[0]) if rows else None


def same_content(
    warehouse: Warehouse,
    kind: str,
    municipality: str | None,
    content_id: str,
    *,
    synthetic: bool,
    from_folder: bool = False,
) -> Delivery | None:
    """Return a delivery of the same bytes and sort that is in force, or was refused and not followed by another.

    With `from_folder` also one superseded since that came from there: a file and its correction lie side by side
    night after night, and would else supersede each other for ever.
    """
    sql = (
        "SELECT * FROM restricted.delivery WHERE kind = ? AND municipality_code IS NOT DISTINCT FROM ? "
        "AND content_id = ? AND is_synthetic = ? AND (superseded_by IS NULL OR (? AND coalesce(is_from_folder, true))) "
        "ORDER BY delivery_id DESC LIMIT 1"
    )
    rows = warehouse.rows(sql, [kind, municipality, content_id, synthetic, from_folder])
    return Delivery(*rows[0]) if rows else None


def mark_from_folder(warehouse: Warehouse, delivery: Delivery) -> None:
    """Note in the ledger that the content of a delivery has lain in the drop folder."""
    sql = "UPDATE restricted.delivery SET is_from_folder = true WHERE delivery_id = ?"
    warehouse.execute(sql, [delivery.delivery_id])


def enter(warehouse: Warehouse, delivery: Delivery) -> None:
    """Write a delivery into the ledger."""
    marks = ", ".join("?" for _ in fields(Delivery))
    warehouse.execute(f"INSERT INTO restricted.delivery VALUES ({marks})", astuple(delivery))


def last_delivery(warehouse: Warehouse, known: Known = EVERYTHING) -> str:
    """Return the id of the newest line of the ledger within `known.upto`; empty, which sorts first, without any."""
    sql = "SELECT max(delivery_id) FROM restricted.delivery WHERE delivery_id <= coalesce(?, delivery_id)"
    return str(warehouse.scalar(sql, [known.upto]) or "")


def find_delivery(warehouse: Warehouse, delivery_id: str) -> Delivery:
    """Return one line of the ledger."""
    return Delivery(*warehouse.rows("SELECT * FROM restricted.delivery WHERE delivery_id = ?", [delivery_id])[0])


def person_tables(warehouse: Warehouse) -> list[str]:
    """Return the tables that hold pseudonyms."""
    sql = (
        "SELECT table_name FROM information_schema.columns WHERE table_catalog = current_database() "
        "AND table_schema = 'restricted' AND column_name = 'person_id' ORDER BY 1"
    )
    return [str(name) for (name,) in warehouse.rows(sql)]


def person_ids(warehouse: Warehouse, table: str) -> list[str]:
    """Return the distinct pseudonyms of a table."""
    sql = f"SELECT DISTINCT person_id FROM {quote_table(f'restricted.{table}')} WHERE person_id IS NOT NULL"
    return [str(name) for (name,) in warehouse.rows(sql)]


def replace_person_ids(warehouse: Warehouse, table: str, mapping: Mapping[str, str]) -> None:
    """Replace every pseudonym of a table by the one it is mapped to."""
    import pyarrow as pa

    warehouse.register(
        "_mapping",
        pa.table({"old": pa.array(list(mapping), pa.string()), "new": pa.array(list(mapping.values()), pa.string())}),
    )
    try:
        name = quote_table(f"restricted.{table}")
        warehouse.execute(f"UPDATE {name} SET person_id = m.new FROM _mapping m WHERE person_id = m.old")
    finally:
        warehouse.unregister("_mapping")


def copy_database(warehouse: Warehouse, source: Path, key: str) -> None:
    """Copy everything of another encrypted restricted database into this empty one."""
    warehouse.execute("DROP SCHEMA restricted CASCADE")
    warehouse.execute(f"ATTACH {quote_literal(str(source))} AS copied (ENCRYPTION_KEY {quote_literal(key)}, READ_ONLY)")
    warehouse.execute("COPY FROM DATABASE copied TO restricted_file")
    warehouse.execute("DETACH copied")
