"""The one door to DuckDB: connections, typed results, quoting, extensions.

No other module imports the duckdb client, so a change of version or of target
(a file today, DuckLake tomorrow) is a change of this file.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import duckdb

from transforms.errors import DataRefused, Interrupted, UsageError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


DatabaseError = duckdb.Error
MEMORY = ":memory:"
ROW_GROUP = 30_720
"""Rows that are stored and skipped together in an encrypted file: few enough to read a range of persons by itself, and
for a delivery of tens of thousands of rows to be written at once and not first into a log (half the time)."""
ROWS_OF_A_THREAD = 122_880
"""A row group of a plain file: DuckDB gives a thread no less of a table."""
HELD = re.compile(r"Conflicting lock is held in (.*?) \(PID (\d+)\)")


class Locked(UsageError):
    """Another process has the file open to write into it."""


def quote_identifier(name: str) -> str:
    """Return `name` as a double-quoted SQL identifier, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """Return `text` as a single-quoted SQL literal, for statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def quote_table(name: str) -> str:
    """Return `schema.table` with each part quoted."""
    return ".".join(quote_identifier(part) for part in name.split("."))


def extension_path(name: str) -> Path:
    """Return the file of a DuckDB extension installed as a wheel; UsageError when it is not there."""
    spec = importlib.util.find_spec("duckdb")
    if spec is None or spec.origin is None:
        raise UsageError("duckdb is not installed: run `make setup`")
    folder = Path(spec.origin).parent.parent / f"duckdb_extension_{name}"
    found = sorted(folder.rglob("*.duckdb_extension"))
    if not found:
        raise UsageError(f"the DuckDB extension {name} is not installed: run `make setup`")
    return found[0]


OF_THE_MACHINE = {
    "[Qq]uota": "the disk quota is reached; free space and run again",
    "File too large": "no file may grow that large here (`ulimit -f`, or the file system); raise that and run again",
    "No space left|[Cc]ould not write": "no space left on the disk; free some and run again",
    "Permission denied|Read-only file system": "cannot write there; check the rights of the data directory",
    "Out of Memory|bad_? ?alloc": "too little memory; raise KOMMUNEKORT_MEMORY_LIMIT, or free some, and run again",
    "Too many open files": "too many open files; raise `ulimit -n` and run again",
}
"""What DuckDB says of a fault of the machine -> what that is, and what helps."""


def explain_database_error(error: Exception, doing: str) -> DataRefused | UsageError:
    """Return the one-sentence error for what DuckDB says while `doing` something.

    A fault of the machine is a UsageError and stops the night; the rest is the data's (DataRefused). Errors that quote
    values are never the machine's, whatever the values say.
    """
    text = " ".join(str(error).split())
    if not isinstance(error, duckdb.DataError | duckdb.IntegrityError | duckdb.ProgrammingError):
        for pattern, told in OF_THE_MACHINE.items():
            if re.search(pattern, text):
                return UsageError(f"{doing}: {told} ({text[:160]})")
    return DataRefused(f"{doing}: {text[:400]}")


class Warehouse:
    """One open DuckDB connection. Use `Warehouse.open(...)` as a context manager."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path | str):
        self._connection = connection
        self.path = path

    @classmethod
    @contextmanager
    def open(
        cls,
        path: Path | str = MEMORY,
        *,
        read_only: bool = False,
        threads: int | None = None,
        memory_limit: str | None = None,
        temp_directory: Path | None = None,
        encryption_key: str | None = None,
    ) -> Iterator[Self]:
        """Open a database file (or memory) and close it whatever happens.

        With `encryption_key` the file is an encrypted one: it is attached and made the default catalogue.
        Raises UsageError when the file is locked by another process, cannot be opened, or the key is wrong.
        """
        config: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            # Files that DuckDB 1.3 and later read: texts are stored in a third less time than in the oldest form.
            "storage_compatibility_version": "v1.3.0",
        }
        limits = {"threads": threads, "memory_limit": memory_limit, "temp_directory": temp_directory}
        config |= {name: str(value) for name, value in limits.items() if value is not None}
        target = MEMORY if encryption_key is not None else str(path)
        try:
            connection = duckdb.connect(target, read_only=read_only and encryption_key is None, config=config)
        except duckdb.Error as error:
            raise _not_opened(path, error) from None
        try:
            connection.execute("SET enable_progress_bar = false")  # it would write over the command's own lines
            if encryption_key is not None:
                _attach_encrypted(connection, Path(path), encryption_key, read_only)
            yield cls(connection, path)
        finally:
            connection.close()

    @contextmanager
    def beside(self) -> Iterator[Warehouse]:
        """Open a second connection to the same database, for another thread."""
        with closing(self._connection.cursor()) as connection:
            connection.execute("SET enable_progress_bar = false")
            yield Warehouse(connection, self.path)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run statements as one: all of them last, or none."""
        self.execute("BEGIN TRANSACTION")
        try:
            yield
        except BaseException:
            self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")

    @contextmanager
    def threads_for(self, rows: int) -> Iterator[None]:
        """Work on so many rows; on those of one thread in one alone, since the others would only look for work."""
        threads = int(self.scalar("SELECT current_setting('threads')"))
        self.execute(f"SET threads = {1 if rows <= ROWS_OF_A_THREAD else threads}")
        try:
            yield
        finally:
            self.execute(f"SET threads = {threads}")

    def execute(self, sql: str, params: Sequence[Any] | None = None) -> None:
        """Run statements whose result nobody reads."""
        with _stoppable():
            self._connection.execute(sql, params if params else None)

    def rows(self, sql: str, params: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the result as a list of tuples."""
        with _stoppable():
            return self._connection.execute(sql, params if params else None).fetchall()

    def dicts(self, sql: str, params: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        """Return the result as a list of dicts by column name, decimals as floats."""
        with _stoppable():
            result = self._connection.execute(sql, params if params else None)
            names, rows = [column[0] for column in result.description or ()], result.fetchall()
        plain = ((float(value) if isinstance(value, Decimal) else value for value in row) for row in rows)
        return [dict(zip(names, row, strict=True)) for row in plain]

    def stream(self, sql: str, size: int = 10_000) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the result `size` rows at a time; never more than a few of them are held."""
        with _stoppable():
            result = self._connection.execute(sql)
            while rows := result.fetchmany(size):
                yield rows

    def columns(self, sql: str) -> list[tuple[str, str]]:
        """Return (name, type) of the columns a SELECT would give, without running it."""
        return [(str(row[0]), str(row[1])) for row in self.rows(f"DESCRIBE {sql}")]

    def columns_if_any(self, sql: str) -> list[str]:
        """Return the column names of a SELECT that gives a row, and none of one that does not; it is planned once."""
        with _stoppable():
            result = self._connection.execute(f"FROM ({sql}) LIMIT 1")
            return [str(column[0]) for column in result.description or ()] if result.fetchone() else []

    def scalar(self, sql: str, params: Sequence[Any] | None = None) -> Any:
        """Return the first column of the first row, or None without rows."""
        with _stoppable():
            row = self._connection.execute(sql, params if params else None).fetchone()
        return None if row is None else row[0]

    def arrow(self, sql: str, params: Sequence[Any] | None = None) -> pa.Table:
        """Return the result as an Arrow table."""
        with _stoppable():
            return self._connection.execute(sql, params if params else None).to_arrow_table()

    def frame(self, sql: str, params: Sequence[Any] | None = None) -> pd.DataFrame:
        """Return the result as a pandas frame, carried over as Arrow (eleven times faster than `.df()`)."""
        frame: pd.DataFrame = self.arrow(sql, params).to_pandas()
        return frame

    def register(self, name: str, data: pd.DataFrame | pa.Table) -> None:
        """Make a frame or Arrow table visible under `name`; frames cross as Arrow."""
        import pyarrow as pa

        table = data if isinstance(data, pa.Table) else pa.Table.from_pandas(data, preserve_index=False)
        self._connection.register(name, table)

    def unregister(self, name: str) -> None:
        """Forget a registered frame."""
        self._connection.unregister(name)

    @contextmanager
    def registered(self, name: str, data: pd.DataFrame | pa.Table) -> Iterator[None]:
        """Make a frame or Arrow table visible under `name` for some statements."""
        self.register(name, data)
        try:
            yield
        finally:
            self.unregister(name)

    def load(self, table: str, data: pd.DataFrame | pa.Table) -> None:
        """Create (or replace) `schema.table` from a frame or Arrow table."""
        with self.registered("_loading", data):
            self.execute(f"CREATE OR REPLACE TABLE {quote_table(table)} AS SELECT * FROM _loading")

    def attach(self, path: Path, alias: str) -> None:
        """Attach another database file under `alias`, to read from it."""
        self.execute(f"ATTACH {quote_literal(str(path))} AS {quote_identifier(alias)} (READ_ONLY)")

    def detach(self, alias: str) -> None:
        """Detach what `attach` attached."""
        self.execute(f"DETACH {quote_identifier(alias)}")

    def exists(self, table: str) -> bool:
        """Tell whether `schema.table` (table or view) exists."""
        schema, name = table.split(".")
        sql = "SELECT count(*) FROM information_schema.tables WHERE table_schema = ? AND table_name = ?"
        return bool(self.scalar(sql, [schema, name]))

    def checkpoint(self) -> None:
        """Write everything into the database file, so that no log file is left beside it."""
        self.execute("CHECKPOINT")


def _not_opened(path: Path | str, error: duckdb.Error) -> UsageError:
    """Return why a database file does not open, naming the process that holds it."""
    text = " ".join(str(error).split())
    holder = HELD.search(text)
    if holder is None:
        return UsageError(f"cannot open the database {path}: {text[:300]}")
    program, pid = Path(holder[1]).name, holder[2]
    return Locked(
        f"{path}: process {pid} ({program}) has opened it to write; close it there, and open it read-only next time"
    )


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let a signal end the program: DuckDB turns what its handler raises into a plain RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        if type(error) is RuntimeError and "interrupted" in str(error).casefold():
            raise Interrupted(str(error)) from None
        raise


def _attach_encrypted(connection: duckdb.DuckDBPyConnection, path: Path, encryption_key: str, read_only: bool) -> None:
    """Attach an encrypted file as the default catalogue; the key never appears in an error."""
    extension = extension_path("httpfs")
    try:
        connection.execute(f"LOAD {quote_literal(str(extension))}")  # which checks its signature too
    except duckdb.Error as error:
        told = " ".join(str(error).split())[:160]
        raise UsageError(f"{extension}: DuckDB does not load its extension ({told}); run `make setup` anew") from None
    options = f"ENCRYPTION_KEY {quote_literal(encryption_key)}, "
    options += "READ_ONLY" if read_only else f"ROW_GROUP_SIZE {ROW_GROUP}"
    try:
        connection.execute(f"ATTACH {quote_literal(str(path))} AS restricted_file ({options})")
    except duckdb.Error as error:
        text = " ".join(str(error).split()).replace(encryption_key, "***")
        raise UsageError(f"cannot open the encrypted database {path.name}: {text[:200]}") from None
    connection.execute("USE restricted_file")
