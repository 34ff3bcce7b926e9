"""A small catalogue of real StatBank tables and the forms their extracts come in, for the tests beside it."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from transforms.catalogue import Catalogue, load_catalogue

CODELISTS = """codelist;code;text_da;text_en;kind;leaves
sex;TOT;I alt;Total;total;*
sex;1;Mænd;Men;leaf;
sex;2;Kvinder;Women;leaf;
sex_mok;MOK;Mænd og kvinder i alt;Men and women, total;total;*
sex_mok;M;Mænd;Men;leaf;
sex_mok;K;Kvinder;Women;leaf;
age;IALT;Alder i alt;Age, total;total;*
age;0;0 år;0 years;leaf;
age;10;10 år;10 years;leaf;
age;18;18 år;18 years;leaf;
age_band;TOT;Alder i alt;Age, total;total;*
age_band;15-19;15-19 år;15-19 years;leaf;
age_band;20-24;20-24 år;20-24 years;leaf;
ancestry;TOT;I alt;Total;total;*
ancestry;1;Personer med dansk oprindelse;Persons of Danish origin;leaf;
ancestry;24;Indvandrere fra vestlige lande;Immigrants from western countries;leaf;
ancestry;25;Indvandrere fra ikke-vestlige lande;Immigrants from non-western countries;leaf;
ancestry;34;Efterkommere fra vestlige lande;Descendants from western countries;leaf;
ancestry;35;Efterkommere fra ikke-vestlige lande;Descendants from non-western countries;leaf;
ancestry_rate;0;I alt;Total;total;*
ancestry_rate;10;Personer med dansk oprindelse;Persons of Danish origin;leaf;
ancestry_rate;20;Indvandrere;Immigrants;leaf;
rate;BFK;Beskæftigelsesfrekvens;Employment rate;leaf;
rate;EFK;Erhvervsfrekvens;Activity rate;leaf;
education;TOT;I alt;Total;total;*
education;H10;H10 Grundskole;H10 Primary education;leaf;
education;H70;H70 Lange videregående uddannelser, LVU;H70 Masters programs;leaf;
income_unit;101;Antal personer;Number of people;leaf;
income_unit;116;Gennemsnit for alle personer (kr.);Average income for all people (DKK);leaf;
income;100;1 Disponibel indkomst (2+30-31-32-35);1 Disposable income (2+30-31-32-35);leaf;
status;TOT;I alt;Total;total;*
status;A;Uoplyst;Not stated;leaf;
status;B;Uoplyst;Not stated;leaf;
"""

ALL_AREAS = "[country, region, municipality, christiansoe]"


def _dimension(name: str, da: str, en: str, role: str, rest: str) -> str:
    column = {"Tid": "period"}.get(name, f"{name.lower()}_code")
    return f"  - {{id: {name}, text_da: {da}, text_en: {en}, column: {column}, role: {role}, {rest}}}"


def _area(name: str = "OMRÅDE", levels: str = ALL_AREAS) -> str:
    return _dimension(name, "område", "region", "area", f'levels: {levels}, select: ["*"]')


def _category(name: str, da: str, en: str, codelist: str, total: str | None) -> str:
    rest = f'codelist: {codelist}, select: ["*"]' + (f', total: "{total}"' if total else "")
    return _dimension(name, da, en, "category", rest)


TIME = _dimension("Tid", "tid", "time", "time", 'select: ["*"]')
SEX = _category("KØN", "køn", "sex", "sex", "TOT")
AGE = _category("ALDER", "alder", "age", "age", "IALT")

TABLES: dict[str, tuple[str, str, int, list[str]]] = {
    "FOLK1AM": ("month", "persons", 0, [_area(), SEX, AGE, TIME]),
    "FOLK1E": (
        "quarter",
        "persons",
        0,
        [_area(), SEX, AGE, _category("HERKOMST", "herkomst", "ancestry", "ancestry", "TOT"), TIME],
    ),
    "RAS200": (
        "year",
        "pct",
        1,
        [
            _area(),
            _category("HERKOMST", "herkomst", "ancestry", "ancestry_rate", "0"),
            _category("KØN", "køn", "sex", "sex_mok", "MOK"),
            _dimension("BEREGNING", "beregning", "frequency", "selector", "codelist: rate, select: [BFK]"),
            TIME,
        ],
    ),
    "HFUDD11": (
        "year",
        "persons",
        0,
        [
            _area("BOPOMR"),
            _category("HERKOMST", "herkomst", "ancestry", "ancestry", "TOT"),
            _category("HFUDD", "højeste fuldførte uddannelse", "highest education completed", "education", "TOT"),
            _category("ALDER", "alder", "age", "age_band", "TOT"),
            SEX,
            TIME,
        ],
    ),
    "INDKP101": (
        "year",
        "dkk",
        0,
        [
            _area(levels="[country, province, municipality]"),
            _dimension("ENHED", "enhed", "unit", "selector", 'codelist: income_unit, select: ["116"]'),
            _category("KOEN", "køn", "sex", "sex_mok", "MOK"),
            _dimension(
                "INDKOMSTTYPE", "indkomsttype", "type of income", "selector", 'codelist: income, select: ["100"]'
            ),
            TIME,
        ],
    ),
    "STAT1": ("year", "persons", 0, [_area(), _category("STATUS", "status", "status", "status", "TOT"), TIME]),
}


def catalogue_in(folder: Path, tables: Sequence[str] = tuple(TABLES)) -> Catalogue:
    """Write the source files of some tables and load them as the program does."""
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        frequency, unit, decimals, dimensions = TABLES[table]
        (folder / f"statbank_{table.lower()}.yml").write_text(
            f"id: statbank_{table.lower()}\nconnector: statbank\ntable: {table}\ntitle_da: Tabel {table} (dansk)\n"
            f"title_en: Table {table} (English)\nproducer: Danmarks Statistik\nlicence: CC BY 4.0\n"
            f"url: https://www.statistikbanken.dk/{table}\nowner: data-team\nfrequency: {frequency}\n"
            f"max_age_days: 400\nrequired: false\nunit: {unit}\ndecimals: {decimals}\ndimensions:\n"
            + "\n".join(dimensions)
            + "\n",
            encoding="utf-8",
        )
    codelists = folder / "codelists.csv"
    codelists.write_text(CODELISTS, encoding="utf-8")
    return load_catalogue(folder, codelists=codelists, dictionary=folder / "none.yml")


Cell = tuple[str, str, str]  # code, Danish text, English text

AREAS: list[Cell] = [
    ("000", "Hele landet", "All Denmark"),
    ("081", "Region Nordjylland", "Region Nordjylland"),
    ("101", "København", "Copenhagen"),
    ("411", "Christiansø", "Christiansø"),
    ("201", "Allerød", "Allerød"),
]
SEXES: list[Cell] = [("TOT", "I alt", "Total"), ("1", "Mænd", "Men"), ("2", "Kvinder", "Women")]
AGES: list[Cell] = [("IALT", "Alder i alt", "Age, total"), ("18", "18 år", "18 years")]
ANCESTRIES: list[Cell] = [
    ("TOT", "I alt", "Total"),
    ("24", "Indvandrere fra vestlige lande", "Immigrants from western countries"),
]
QUARTERS: list[Cell] = [("2024K1", "2024K1", "2024Q1"), ("2024K2", "2024K2", "2024Q2")]
FOLK1E_AXES = [AREAS, SEXES, AGES, ANCESTRIES, QUARTERS]
FOLK1E_IDS = ["OMRÅDE", "KØN", "ALDER", "HERKOMST", "TID"]


def folk1e_cells() -> list[tuple[tuple[Cell, ...], str]]:
    """All cells of a small FOLK1E with a value each; some are marks, some zero."""
    marks = {3: "..", 5: "-", 11: "0", 17: "..."}
    cells = list(product(*FOLK1E_AXES))
    return [(cell, marks.get(number, str(1000 + 37 * number))) for number, cell in enumerate(cells)]


def canonical_folk1e() -> bytes:
    """What every form of the small FOLK1E must become, byte for byte."""
    lines = [";".join([*FOLK1E_IDS, "INDHOLD"])]
    lines += [";".join([*(part[0] for part in cell), value]) for cell, value in folk1e_cells()]
    return ("\n".join(lines) + "\n").encode()


def shown(cell: Cell, language: str, presentation: str) -> str:
    """One cell as StatBank prints it."""
    text = cell[1] if language == "da" else cell[2]
    forms = {
        "Code": cell[0],
        "Value": text,
        "CodeAndValue": f"{cell[0]} {text}",
        "ValueAndCode": f"{text} {cell[0]}",
    }
    return forms[presentation]


def folk1e_text(
    language: str = "da", presentation: str = "Value", delimiter: str = ";", newline: str = "\r\n", quote: str = ""
) -> str:
    """The small FOLK1E as CSV text; the time column is never shown with both code and text."""
    lines = [delimiter.join(f"{quote}{name}{quote}" for name in [*FOLK1E_IDS, "INDHOLD"])]
    for cell, value in folk1e_cells():
        shows = [shown(part, language, presentation) for part in cell[:-1]]
        period = shown(cell[-1], language, "Code" if presentation == "Code" else "Value")
        lines.append(delimiter.join([*(f"{quote}{text}{quote}" for text in [*shows, period]), value]))
    return newline.join(lines) + newline


def write(path: Path, text: str, *, encoding: str = "utf-8", bom: bool = False, gz: bool = False) -> Path:
    """Write `text` as the bytes a publisher or a person would have saved."""
    content = (b"\xef\xbb\xbf" if bom else b"") + text.encode(encoding)
    path.write_bytes(gzip.compress(content) if gz else content)
    return path
