"""A small StatBank for tests: two tables in a catalogue made by hand, and cubes that need no sample world."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import date, datetime
from functools import reduce

import numpy as np
import pyarrow as pa

from transforms.catalogue import Catalogue, Code, Source

PERIODS = {
    "FOLK1A": [f"{year}K{quarter}" for year in range(2008, 2026) for quarter in (1, 2, 3, 4)][:71],
    "RAS200": [str(year) for year in range(2008, 2024)],
    "RAS302": [str(year) for year in range(2018, 2024)],
}
CODELISTS: dict[str, list[Code]] = {
    "sex": [
        Code("TOT", "I alt", "Total", "total", ("1", "2")),
        Code("1", "Mænd", "Men"),
        Code("2", "Kvinder", "Women"),
    ],
    "age": [Code("IALT", "Alder i alt", "Age, total", "total")]
    + [Code(str(age), f"{age} år", f"{age} years") for age in range(126)],
    "status": [
        Code("TOT", "I alt", "Total", "total"),
        Code("U", "Ugift", "Never married"),
        Code("G", "Gift/separeret", "Married/separated"),
        Code("E", "Enke/enkemand", "Widowed"),
        Code("F", "Fraskilt", "Divorced"),
    ],
    "sex_mk": [Code("M", "Mænd", "Men"), Code("K", "Kvinder", "Women")],
    "frequency": [
        Code("BFK", "Beskæftigelsesfrekvens", "Employment rate"),
        Code("EFK", "Erhvervsfrekvens", "Activity"),
    ],
}
COMMON = {
    "connector": "statbank",
    "producer": "Danmarks Statistik",
    "licence": "CC BY 4.0",
    "owner": "test",
    "max_age_days": 200,
    "required": False,
}
AREA = {
    "id": "OMRÅDE",
    "text_da": "område",
    "text_en": "region",
    "column": "area_code",
    "role": "area",
    "levels": ["country", "region", "municipality", "christiansoe"],
    "select": ["*"],
    "elimination": True,
}
TIME = {"id": "Tid", "text_da": "tid", "text_en": "time", "column": "period", "role": "time"}


def _category(dimension: str, da: str, en: str, codelist: str, select: list[str], **more: object) -> dict[str, object]:
    return {
        "id": dimension,
        "text_da": da,
        "text_en": en,
        "column": f"{codelist}_code",
        "role": "category",
        "codelist": codelist,
        "select": select,
        **more,
    }


FOLK1A = Source.model_validate(
    {
        **COMMON,
        "id": "statbank_folk1a",
        "table": "FOLK1A",
        "title_da": "Folketal den 1. i kvartalet",
        "title_en": "Population at the first day of the quarter",
        "url": "https://www.statistikbanken.dk/FOLK1A",
        "frequency": "quarter",
        "unit": "persons",
        "dimensions": [
            AREA,
            _category("KØN", "køn", "sex", "sex", ["TOT"], total="TOT"),
            _category("ALDER", "alder", "age", "age", ["IALT", "30", "111"], total="IALT"),
            _category("CIVILSTAND", "civilstand", "marital status", "status", ["TOT"], total="TOT"),
            {**TIME, "select": ["2015K1", "2016K1"]},
        ],
    }
)
RAS200 = Source.model_validate(
    {
        **COMMON,
        "id": "statbank_ras200",
        "table": "RAS200",
        "title_da": "Beskæftigelsesfrekvens",
        "title_en": "Employment rate",
        "url": "https://www.statistikbanken.dk/RAS200",
        "frequency": "year",
        "unit": "pct",
        "decimals": 1,
        "dimensions": [
            {**AREA, "elimination": False},
            _category("KØN", "køn", "sex", "sex_mk", ["*"]),
            {
                **_category("BEREGNING", "beregning", "frequency", "frequency", ["BFK"]),
                "role": "selector",
            },
            {**TIME, "select": ["(-n+2)"]},
        ],
    }
)


RAS302 = Source.model_validate(
    {
        **COMMON,
        "id": "statbank_ras302",
        "table": "RAS302",
        "title_da": "Beskæftigede efter civilstand",
        "title_en": "Employed by marital status",
        "url": "https://www.statistikbanken.dk/RAS302",
        "frequency": "year",
        "unit": "persons",
        "dimensions": [
            AREA,
            _category("ALDER", "alder", "age", "age", ["*"], total="IALT"),
            _category("CIVILSTAND", "civilstand", "marital status", "status", ["*"], total="TOT"),
            _category("KØN", "køn", "sex", "sex_mk", ["_ALL"], total="_ALL"),
            {**TIME, "select": ["*"]},
        ],
    }
)


def small_catalogue() -> Catalogue:
    """Return FOLK1A (as large as the real one), RAS200 (a selector, decimals) and RAS302 (sex left out, CSV)."""
    return Catalogue({source.id: source for source in (FOLK1A, RAS200, RAS302)}, CODELISTS)


class FakeCubes:
    """Cubes by formula: FOLK1A counts persons (none older than 110), RAS200 has one decimal and one mark."""

    def __init__(self) -> None:
        self.answered: list[tuple[str, int]] = []
        self.updated_at = datetime(2025, 8, 11, 8, 0)
        self.vintage = date(2025, 8, 31)
        self._lock = threading.Lock()

    def periods(self, table: str) -> list[str]:
        """Return the periods of a table, none for one it does not have."""
        return PERIODS.get(table, [])

    def updated(self, table: str) -> datetime:
        """Return the same moment for every table."""
        return self.updated_at

    def answer(self, table: str, selection: Mapping[str, list[str]]) -> pa.Table:
        """Return the whole rectangle of the selection, last dimension fastest."""
        sizes = [len(codes) for codes in selection.values()]
        rows = reduce(int.__mul__, sizes, 1)
        with self._lock:
            self.answered.append((table, rows))
        columns: dict[str, pa.Array] = {}
        inner = rows
        for codes, size in zip(selection.values(), sizes, strict=True):
            inner //= size
            index = (np.arange(rows) // inner) % size
            columns[list(selection)[len(columns)]] = pa.array(codes, pa.string()).take(pa.array(index))
        columns["value"] = self._values(table, selection, columns, rows)
        return pa.table(columns)

    def _values(
        self, table: str, selection: Mapping[str, list[str]], columns: dict[str, pa.Array], rows: int
    ) -> pa.Array:
        if table == "RAS200":
            texts = [f"{40 + n % 50}.{n % 10}" for n in range(rows)]
            areas = columns["OMRÅDE"].to_pylist()
            return pa.array([".." if area == "411" else text for area, text in zip(areas, texts, strict=True)])
        ages = columns["ALDER"].dictionary_encode()
        old = np.array([code.isdigit() and int(code) > 110 for code in ages.dictionary.to_pylist()])
        counts = np.where(old[ages.indices.to_numpy()], 0, 1 + np.arange(rows) % 9973)
        return pa.array(counts).cast(pa.string())
