"""Tables are built in order, from the dictionary, with keys, checks and comments."""

from __future__ import annotations

from pathlib import Path

import pytest

from transforms import tables
from transforms.dictionary import Column, Dictionary, load_dictionary
from transforms.errors import DataRefused, UsageError
from transforms.tables import SqlFile, read_sql_file, tables_read
from transforms.warehouse import Warehouse

DICTIONARY = Dictionary(
    {
        "area_code": Column(type="VARCHAR", label_da="Område", label_en="Area", description="Code."),
        "value": Column(
            type="DECIMAL(18, 4)", label_da="Værdi", label_en="Value", description="Figure.", unit="persons"
        ),
        "value_status": Column(
            type="VARCHAR",
            label_da="Status",
            label_en="Status",
            description="State.",
            allowed=("observed", "zero"),
            nullable=False,
        ),
        "_is_filled": Column(type="BOOLEAN", label_da="Udfyldt", label_en="Filled", description="Zero cell."),
    }
)


def sql_file(table: str, select: str, grain: tuple[str, ...] = ("area_code",)) -> SqlFile:
    return SqlFile(table, "Tabel", "Table", "One row per area.", grain, select)


def test_header_and_select_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "mart"
    folder.mkdir()
    path = folder / "thing.sql"
    path.write_text(
        "-- label_da: Ting\n-- label_en: Thing\n-- description: One row per thing,\n--   on two lines.\n"
        "-- grain: a, b\n-- a remark that is no key\nSELECT 1 AS a, 2 AS b\n",
        encoding="utf-8",
    )
    file = read_sql_file(path)
    assert file.table == "mart.thing"
    assert file.description == "One row per thing, on two lines."
    assert file.grain == ("a", "b")
    assert "SELECT 1 AS a" in file.select


def test_missing_header_key_names_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "core"
    folder.mkdir()
    path = folder / "thing.sql"
    path.write_text("-- label_da: Ting\nSELECT 1 AS a\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"transforms/core/thing.sql: the header lacks `-- description"):
        read_sql_file(path)


def test_lineage_comes_from_the_parsed_sql() -> None:
    with Warehouse.open() as warehouse:
        sql = (
            "WITH a AS (SELECT * FROM staging.x) SELECT * FROM a JOIN core.y USING (k) "
            "WHERE k IN (SELECT k FROM reference.z)"
        )
        assert tables_read(warehouse, sql) == {"staging.x", "core.y", "reference.z"}
        with pytest.raises(UsageError):
            tables_read(warehouse, "SELEC 1")


def test_order_follows_dependencies_and_refuses_circles_and_the_unknown() -> None:
    with Warehouse.open() as warehouse:
        files = {
            "mart.b": sql_file("mart.b", "SELECT * FROM core.a"),
            "core.a": sql_file("core.a", "SELECT * FROM raw.source"),
        }
        assert tables.plan(warehouse, files, {}).order == ("core.a", "mart.b")
        files["core.a"] = sql_file("core.a", "SELECT * FROM mart.b")
        with pytest.raises(UsageError, match="circle"):
            tables.plan(warehouse, files, {})
        files["core.a"] = sql_file("core.a", "SELECT * FROM core.nowhere")
        with pytest.raises(UsageError, match=r"core/a.sql reads core.nowhere, which nothing builds"):
            tables.plan(warehouse, files, {})


def test_table_has_types_key_checks_and_comments() -> None:
    file = sql_file("core.t", "SELECT 'a' AS area_code, 1 AS value, 'observed' AS value_status")
    with Warehouse.open() as warehouse:
        tables.prepare(warehouse)
        assert tables.build_table(warehouse, file, DICTIONARY) == 1
        columns = warehouse.rows(
            "SELECT column_name, data_type, is_nullable, comment FROM duckdb_columns() WHERE table_name = 't'"
        )
        assert columns[0] == ("area_code", "VARCHAR", False, "Område / Area. Code.")
        assert columns[1][:2] == ("value", "DECIMAL(18,4)")
        assert columns[1][3] == "Værdi / Value. Figure. Enhed/unit: persons."
        assert "Grain: area_code" in warehouse.scalar("SELECT comment FROM duckdb_tables() WHERE table_name = 't'")


@pytest.mark.parametrize(
    ("select", "sentence"),
    [
        ("SELECT 'a' AS area_code, 1 AS value, 'odd' AS value_status", "CHECK constraint"),
        ("SELECT * FROM (VALUES ('a', 1, 'zero'), ('a', 2, 'zero')) t(area_code, value, value_status)", "uplicate key"),
        ("SELECT 'a' AS area_code, 'x' AS value, 'zero' AS value_status", "Could not convert"),
        ("SELECT NULL AS area_code, 1 AS value, 'zero' AS value_status", "NOT NULL"),
    ],
)
def test_data_that_break_the_contract_are_refused_in_one_line(select: str, sentence: str) -> None:
    with Warehouse.open() as warehouse:
        tables.prepare(warehouse)
        with pytest.raises(DataRefused, match=sentence) as refused:
            tables.build_table(warehouse, sql_file("core.t", select), DICTIONARY)
        assert "\n" not in str(refused.value)
        assert "building core.t" in str(refused.value)


def test_undescribed_column_says_where_to_add_it() -> None:
    with Warehouse.open() as warehouse:
        tables.prepare(warehouse)
        with pytest.raises(UsageError, match=r"dictionary.yml: the column mystery of core.t"):
            tables.build_table(warehouse, sql_file("core.t", "SELECT 1 AS area_code, 2 AS mystery"), DICTIONARY)


@pytest.mark.parametrize(
    ("text", "value", "status"),
    [
        ("5", 5, "observed"),
        ("0", 0, "zero"),
        ("0.0", 0, "zero"),
        ("-", 0, "zero"),
        ("..", None, "suppressed"),
        ("...", None, "missing"),
        (".", None, "not_applicable"),
        ("", None, "missing"),
        ("-3.5", -3.5, "observed"),
        ("abc", None, None),
    ],
)
def test_marks_become_a_status_and_never_zero(text: str, value: float | None, status: str | None) -> None:
    with Warehouse.open() as warehouse:
        tables.prepare(warehouse)
        found = warehouse.rows("SELECT stat_value(?)::DOUBLE, stat_status(?)", [text, text])
        assert found == [(value, status)]


def test_every_column_of_the_dictionary_is_described_in_both_languages() -> None:
    for name, column in load_dictionary().columns.items():
        assert column.label_da, name
        assert column.label_en, name
        assert column.description.strip().endswith("."), name


def test_a_column_described_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dictionary.yml"
    entry = "  a: {type: VARCHAR, label_da: A, label_en: A, description: A.}\n"
    path.write_text("columns:\n" + entry + entry, encoding="utf-8")
    with pytest.raises(UsageError, match="`a` is described twice"):
        load_dictionary(path)


def test_the_statuses_are_those_of_the_dictionary() -> None:
    assert load_dictionary().columns["value_status"].allowed == tables.STATUSES


def test_a_mark_becomes_a_status_of_the_columns_own_type() -> None:
    marks = {"12.5": "observed", "0": "zero", "0.0": "zero", "-": "zero", "..": "suppressed", ".": "not_applicable"}
    marks |= {"...": "missing", "": "missing", "-3": "observed"}
    with Warehouse.open() as warehouse:
        tables.prepare(warehouse)
        for mark, status in marks.items():
            found, kind = warehouse.rows("SELECT stat_status(?), typeof(stat_status(?))", [mark, mark])[0]
            assert (found, kind[:4]) == (status, "ENUM")
        assert warehouse.rows("SELECT stat_status(NULL), stat_status('x')") == [("missing", None)]


def header(grain: str) -> str:
    return f"-- label_da: A\n-- label_en: A\n-- description: A.\n-- grain: {grain}\n"


def test_a_new_measure_file_is_part_of_the_measures_by_itself(tmp_path: Path) -> None:
    for name, value in (("measure_one", 1), ("measure_two", 2), ("other", 3)):
        path = tmp_path / "core" / f"{name}.sql"
        path.parent.mkdir(exist_ok=True)
        path.write_text(header("area_code") + f"SELECT '{value}' AS area_code, {value} AS value", encoding="utf-8")
    (tmp_path / "core/measure.sql").write_text(header("area_code") + "FROM core.measure_*", encoding="utf-8")
    files = tables.read_all(tmp_path)
    with Warehouse.open() as warehouse:
        tables.prepare(warehouse)
        order = tables.plan(warehouse, files, {}).order
        tables.build(warehouse, files, {}, DICTIONARY, order)
        assert warehouse.rows("SELECT area_code FROM core.measure ORDER BY ALL") == [("1",), ("2",)]


def test_every_measure_file_of_the_project_is_read_by_the_measures() -> None:
    files = tables.read_all()
    with Warehouse.open() as warehouse:
        read = tables_read(warehouse, files["core.measure"].select)
    assert read == {name for name in files if name.startswith("core.measure_")}
    assert len(read) > 10


def test_a_union_of_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core/all.sql").write_text(header("area_code") + "FROM core.none_*", encoding="utf-8")
    with pytest.raises(UsageError, match=r"transforms/core/all.sql: no table is named core.none_…"):
        tables.read_all(tmp_path)
