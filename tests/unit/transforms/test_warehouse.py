from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from expectations.check import prepare, run_set_rule
from expectations.rules import Rule
from transforms.errors import DataRefused, UsageError, fault_sentence
from transforms.warehouse import DatabaseError, Warehouse, explain_database_error, extension_path

HUNGRY = "SELECT list(i ORDER BY hash(i)) AS value FROM range(5_000_000) t(i)"


def error_of(sql: str, memory: str = "1GB", spill: Path | None = None) -> Exception:
    with (
        Warehouse.open(memory_limit=memory, threads=1, temp_directory=spill) as warehouse,
        pytest.raises(DatabaseError) as raised,
    ):
        warehouse.execute(sql)
    return raised.value


def test_too_little_memory_is_the_machine_s_fault(tmp_path: Path) -> None:
    told = explain_database_error(error_of(HUNGRY, "20MB", tmp_path), "loading x")
    assert isinstance(told, UsageError)
    assert str(told).startswith("loading x: too little memory; raise KOMMUNEKORT_MEMORY_LIMIT")


def test_a_full_disk_is_the_machine_s_fault() -> None:
    sql = "COPY (SELECT repeat('x', 1000) FROM range(10_000)) TO '/dev/full' (FORMAT csv)"
    assert isinstance(explain_database_error(error_of(sql), "exporting"), UsageError)


@pytest.mark.parametrize(
    "value", ["quota", "No space left", "Permission denied", "Out of Memory", "Could not write", "File too large"]
)
@pytest.mark.parametrize(
    "sql", ["SELECT '{}'::INTEGER", "CREATE TABLE t (c VARCHAR CHECK (c = 'x')); INSERT INTO t VALUES ('{}')"]
)
def test_a_value_never_makes_it_the_machine_s_fault(sql: str, value: str) -> None:
    assert isinstance(explain_database_error(error_of(sql.format(value)), "loading x"), DataRefused)


@pytest.mark.long
def test_a_rule_that_lacks_memory_needs_no_other_sql(tmp_path: Path) -> None:
    rule = Rule("hungry", "main.x", "set", "critical", "stop", "", HUNGRY)
    with Warehouse.open(memory_limit="20MB", threads=1, temp_directory=tmp_path) as warehouse:
        prepare(warehouse)
        with pytest.raises(UsageError, match="too little memory") as raised:
            run_set_rule(warehouse, rule, {})
    assert "correct its SQL" not in str(raised.value)


@pytest.mark.parametrize("fault", [MemoryError(), ImportError("x.so: failed to map segment from shared object")])
def test_too_little_memory_for_python_is_no_fault_of_the_program(fault: Exception) -> None:
    assert fault_sentence(fault).startswith("too little memory")


def test_an_extension_that_was_tampered_with_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checked_connect: Callable[..., duckdb.DuckDBPyConnection]
) -> None:
    monkeypatch.setattr(duckdb, "connect", checked_connect)
    content = bytearray(extension_path("httpfs").read_bytes())
    content[len(content) // 2] ^= 1
    tampered = tmp_path / "httpfs.duckdb_extension"
    tampered.write_bytes(content)
    monkeypatch.setattr("transforms.warehouse.extension_path", lambda name: tampered)
    with (
        pytest.raises(UsageError, match=r"httpfs\.duckdb_extension: .*signature.*make setup"),
        Warehouse.open(tmp_path / "restricted.duckdb", encryption_key="x" * 32),
    ):
        pass
    assert not (tmp_path / "restricted.duckdb").exists()
