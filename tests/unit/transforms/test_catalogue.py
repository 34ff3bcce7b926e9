"""The catalogue: a fault in a source file is told in one line with file and line, never as a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from transforms.catalogue import LEFT_OUT, SOURCES, Catalogue, Source, load_catalogue, load_codelists
from transforms.errors import UsageError

GOOD = """\
id: statbank_test1
connector: statbank
table: TEST1
title_da: Prøve
title_en: Test
producer: Danmarks Statistik
licence: CC BY 4.0
url: https://www.statistikbanken.dk/TEST1
owner: data-team
frequency: year
max_age_days: 500
required: false
unit: persons
dimensions:
  - {id: OMRÅDE, text_da: område, text_en: region, column: area_code, role: area, levels: [country], select: ["*"]}
  - {id: HERKOMST, text_da: herkomst, text_en: ancestry, column: ancestry_code, role: category,
     codelist: ancestry, total: TOT, select: ["2*"]}
  - {id: ENHED, text_da: enhed, text_en: unit, column: unit_code, role: selector, codelist: unit, select: ["116"]}
  - {id: Tid, text_da: tid, text_en: time, column: period, role: time, select: ["*"]}
"""
CODELISTS = """\
codelist;code;text_da;text_en;kind;leaves
ancestry;TOT;I alt;Total;total;*
ancestry;20;Indvandrere;Immigrants;subtotal;24 25
ancestry;24;Vestlige;Western;leaf;
ancestry;25;Ikke-vestlige;Non-western;leaf;
unit;101;Antal;Number;leaf;
unit;116;Gennemsnit;Average;leaf;
"""
DICTIONARY = "columns:\n  area_code: {}\n  ancestry_code: {}\n  unit_code: {}\n  period: {}\n"


def _load(
    folder: Path, source: str = GOOD, codelists: str = CODELISTS, dictionary: str | None = DICTIONARY
) -> Catalogue:
    (folder / "statbank_test1.yml").write_text(source, encoding="utf-8")
    (folder / "codelists.csv").write_text(codelists, encoding="utf-8")
    described = folder / "dictionary.yaml"
    if dictionary is not None:
        described.write_text(dictionary, encoding="utf-8")
    return load_catalogue(folder, codelists=folder / "codelists.csv", dictionary=described)


def _fault(folder: Path, source: str) -> str:
    with pytest.raises(UsageError) as raised:
        _load(folder, source)
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 1
    return str(raised.value)


def test_a_good_file_loads(tmp_path: Path) -> None:
    catalogue = _load(tmp_path)
    source = catalogue.sources["statbank_test1"]
    assert catalogue.by_table("test1") is source
    assert catalogue.by_table("TEST2") is None
    assert source.time.id == "Tid"
    assert [code.code for code in catalogue.codes(source, "enhed")] == ["101", "116"]
    assert catalogue.codes(source, "OMRÅDE")[0].text_en == "All Denmark"
    assert catalogue.codes(source, "Tid") == []
    assert catalogue.selected(source, source.dimension("HERKOMST")) == ["20", "24", "25"]
    assert catalogue.codes(source, "HERKOMST")[0].leaves == ("24", "25")


def test_elimination_defaults_by_role(tmp_path: Path) -> None:
    source = _load(tmp_path).sources["statbank_test1"]
    assert [dimension.elimination for dimension in source.dimensions] == [True, True, True, False]


def test_a_dimension_left_out_has_our_total_in_front(tmp_path: Path) -> None:
    text = GOOD.replace('total: TOT, select: ["2*"]', 'total: _ALL, select: ["_ALL"]')
    catalogue = _load(tmp_path, text)
    source = catalogue.source("statbank_test1")
    dimension = source.dimension("HERKOMST")
    assert dimension.is_left_out
    assert catalogue.selected(source, dimension) == [LEFT_OUT]
    first, *others = catalogue.codes(source, dimension)
    assert (first.code, first.kind, first.leaves) == (LEFT_OUT, "total", ("24", "25"))
    assert [code.code for code in others] == ["TOT", "20", "24", "25"]


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("owner: data-team", "owner: data-team\nowners: me", 10, "unknown key `owners`"),
        ("licence: CC BY 4.0\n", "", 1, "`licence` is missing"),
        ("role: selector, ", "role: selector, colour: red, ", 18, "unknown key `dimensions.2.colour`"),
        ('select: ["116"]', 'select: ["101", "116"]', 18, "must be pinned to exactly one code"),
        ('select: ["116"]', 'select: ["*"]', 18, "must be pinned to exactly one code"),
        ("codelist: ancestry,", "codelist: herkomst,", 17, "unknown code list herkomst"),
        ('select: ["2*"]', 'select: ["2*", "9"]', 17, "HERKOMST has no code 9"),
        ("total: TOT", "total: IALT", 17, "HERKOMST has no code IALT"),
        ('select: ["2*"]', "select: [24]", 17, "must be text"),
        ("column: unit_code", "column: unit", 18, "column unit is not described"),
        ("levels: [country]", "levels: [land]", 15, "dimensions.0.levels.0"),
        ("levels: [country], ", "", 15, "no `levels`"),
        ("levels: [country], ", 'levels: [country], extra_codes: ["951"], ', 15, "unknown area code 951"),
        ('role: time, select: ["*"]', 'role: time, select: ["latest"]', 19, "latest is no period"),
        ('role: time, select: ["*"]', 'role: time, select: ["2016K5"]', 19, "2016K5 is no period"),
        ("required: false", "required: maybe", 12, "required"),
        ("required: false", "required: false\nowner: twice", 13, "`owner` is given twice"),
        ("unit: persons", "unit: heads", 13, "unit"),
        ("id: statbank_test1", "id: statbank_test2", 1, "must be statbank_test1"),
        ("column: unit_code", "column: period", 1, "share the column period"),
        ('select: ["116"]', 'select: ["_ALL"]', 18, "leaves a category out"),
    ],
)
def test_a_fault_is_told_with_file_and_line(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    assert old in GOOD
    message = _fault(tmp_path, GOOD.replace(old, new))
    assert f"statbank_test1.yml:{line}: " in message
    assert said in message


def test_what_is_no_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    assert "statbank_test1.yml:7: " in _fault(tmp_path, GOOD.replace("producer: Danmarks", "producer: [Danmarks"))
    assert "statbank_test1.yml:1: " in _fault(tmp_path, "- id: statbank_test1\n")


def test_time_must_be_last_and_only_once(tmp_path: Path) -> None:
    lines = GOOD.splitlines(keepends=True)
    assert "time" in _fault(tmp_path, "".join([*lines[:14], lines[-1], *lines[14:-1]]))


def test_the_file_is_named_like_its_id(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the file is named statbank_test1\.yml"):
        _load(tmp_path, GOOD.replace("statbank_test1", "statbank_test2").replace("TEST1", "TEST2"))


def test_columns_are_not_asked_for_without_a_dictionary(tmp_path: Path) -> None:
    assert _load(tmp_path, GOOD.replace("unit_code", "anything"), dictionary=None).sources


JOBINDSATS = """jobindsats:
  table: y30r21
  period_kind: QMAT
  latest: 2
  measures:
    - {id: actual_pct, unit: pct, text_da: Faktisk andel, text_en: Actual share, headings: [Faktisk andel]}
"""


def _other(tmp_path: Path, connector: str, section: str) -> Source:
    head = GOOD.split("dimensions:")[0].replace("connector: statbank\ntable: TEST1", f"connector: {connector}")
    path = tmp_path / "statbank_test1.yml"
    path.write_text(head + section, encoding="utf-8")
    return load_catalogue(tmp_path).sources["statbank_test1"]


def test_other_connectors_carry_their_own_section(tmp_path: Path) -> None:
    source = _other(tmp_path, "jobindsats", JOBINDSATS)
    assert source.jobindsats is not None
    assert [dimension.column for dimension in source.dimensions] == ["area_code", "measure_name", "period"]
    assert source.period_kind == "rolling_year"
    with pytest.raises(UsageError, match="needs a `jobindsats:` section"):
        _other(tmp_path, "jobindsats", "")


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("  latest: 2", "  lates: 2", r"statbank_test1.yml:\d+: unknown key `jobindsats.lates`"),
        ("headings:", "heading:", r"statbank_test1.yml:\d+: unknown key `jobindsats.measures.0.heading`"),
        ("unit: pct", "unit: percent", r"statbank_test1.yml:\d+: jobindsats.measures.0.unit"),
        ("latest: 2", "latest: 0", r"statbank_test1.yml:\d+: jobindsats.latest"),
    ],
)
def test_a_misspelt_key_of_a_section_is_found_in_the_catalogue(
    tmp_path: Path, right: str, wrong: str, told: str
) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        _other(tmp_path, "jobindsats", JOBINDSATS.replace(right, wrong))
    lines = (tmp_path / "statbank_test1.yml").read_text(encoding="utf-8").splitlines()
    line = int(str(caught.value).split(":")[1])
    assert line >= 1 + next(n for n, text in enumerate(lines) if text.startswith("jobindsats"))


@pytest.mark.parametrize("name", sorted(path.name for path in SOURCES.glob("delivery_*.yml")))
def test_a_misspelt_key_of_a_delivery_is_found_in_the_catalogue(tmp_path: Path, name: str) -> None:
    text = (SOURCES / name).read_text(encoding="utf-8")
    (tmp_path / name).write_text(text.replace("  period_field:", "  period_feld:"), encoding="utf-8")
    line = 1 + next(n for n, row in enumerate(text.splitlines()) if row.startswith("  period_field:"))
    with pytest.raises(UsageError, match=rf"{name}:(\d+): unknown key `delivery.period_feld`") as caught:
        load_catalogue(tmp_path)
    assert int(str(caught.value).split(":")[1]) == line


def test_unknown_source_and_dimension_name_what_there_is(tmp_path: Path) -> None:
    catalogue = _load(tmp_path)
    with pytest.raises(UsageError, match="known: statbank_test1"):
        catalogue.source("statbank_folk9")
    with pytest.raises(UsageError, match="it has OMRÅDE, HERKOMST, ENHED, Tid"):
        catalogue.codes(catalogue.source("statbank_test1"), "KØN")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("ancestry;24;Igen;Again;leaf;", "already on line 4"),
        ("ancestry;30;Efterkommere;Descendants;group;", "kind 'group'"),
        ("ancestry;30;Efterkommere;Descendants;subtotal;34", "covers 34, which is no leaf"),
        ("ancestry;30;Efterkommere;Descendants;subtotal;", "only totals and subtotals have leaves"),
        ("ancestry;34;Efterkommere;Descendants;leaf;24", "only totals and subtotals have leaves"),
    ],
)
def test_a_faulty_code_list_is_told_with_its_line(tmp_path: Path, row: str, said: str) -> None:
    path = tmp_path / "codelists.csv"
    path.write_text(CODELISTS + row + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"codelists\.csv:8: ") as raised:
        load_codelists(path)
    assert said in str(raised.value)
