"""Great Expectations on DuckDB: a datasource whose engine keeps its connection open.

The stock SQL datasource of GX 1.24 leaves the connection before it fetches, and with duckdb-engine the result dies
with the connection: every metric fails (great_expectations issues 10738 and 11579). `_connection` and
`get_connection` are internals of GX, so it is pinned to a minor version and tests/unit/test_expectations_gx.py holds
one test per expectation used. Importing this module takes five seconds: import it where it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Type  # noqa: UP035

from great_expectations.datasource.fluent.sql_datasource import SQLDatasource
from great_expectations.execution_engine.sqlalchemy_execution_engine import SqlAlchemyExecutionEngine


class DuckDBExecutionEngine(SqlAlchemyExecutionEngine):
    """GX's SQL engine with one connection that stays open until the datasource is closed."""

    @contextmanager
    def get_connection(self) -> Iterator[Any]:
        """Yield the one connection, opened at first use."""
        if self._connection is None:
            self._connection = self.engine.connect()
        yield self._connection


class DuckDBDatasource(SQLDatasource):
    """A GX datasource for a DuckDB file; `context.data_sources.add_duckdb(name=…, connection_string=…)`."""

    type: Literal["duckdb"] = "duckdb"  # type: ignore[assignment]

    @property
    def execution_engine_type(self) -> Type[SqlAlchemyExecutionEngine]:  # noqa: UP006  `type` is a field here
        """The engine this datasource runs on."""
        return DuckDBExecutionEngine

    def close(self) -> None:
        """Let go of the database file, so that it can be opened again for writing."""
        execution = self.get_execution_engine()
        if execution._connection is not None:
            execution._connection.close()
        for engine in (execution.engine, self.get_engine()):
            engine.dispose()


def add_duckdb(context: Any, database: Path) -> DuckDBDatasource:
    """Return a read-only datasource for a database file, added to a GX context; close it after use."""
    url = f"duckdb:///{database.resolve()}?access_mode=READ_ONLY"
    source: DuckDBDatasource = context.data_sources.add_duckdb(name=database.stem, connection_string=url)
    return source
