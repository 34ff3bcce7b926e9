"""A generated StatBank extract as large as wanted: every code of FOLK1E in BULK form, its totals adding up.

SYNTHETIC: the figures count places, not people.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from transforms.areas import areas
from transforms.catalogue import Catalogue, Source
from transforms.warehouse import Warehouse, quote_literal

NOBODY_OLDER = 125
"""The oldest single age has nobody, and BULK leaves zero cells out."""
ROWS_PER_PERIOD = 105 * 3 * 126 * 6
BAD_PER_TEN_THOUSAND = 4
SOURCE = "statbank_folk1e"


def wide_source(catalogue: Catalogue) -> Source:
    """Return FOLK1E asking for every code, so that the table is as large as it can be."""
    source = catalogue.sources[SOURCE]
    dimensions = [d.model_copy(update={"select": ["*"]}) for d in source.dimensions]
    # The invented figures are no country's: what the real one's order of magnitude is does not hold for them.
    expectations = source.expectations.model_copy(update={"anchors": []})
    return source.model_copy(update={"dimensions": dimensions, "expectations": expectations})


def write_extract(path: Path, rows: int, catalogue: Catalogue) -> dict[str, list[str]]:
    """Write BULK of codes with about `rows` rows (whole quarters): CRLF, zero cells left out, totals that add up.

    Four in ten thousand figures of single cells are negative, so that the rules have something to find.
    Returns dimension id -> the codes asked for, as the connector keeps them in the manifest.
    """
    source = wide_source(catalogue)
    axes: list[str] = []
    asked: dict[str, list[str]] = {}
    for dimension in source.dimensions[:-1]:
        sizes = _sizes(source, dimension.id, catalogue)
        asked[dimension.id] = list(sizes)
        values = ", ".join(f"({quote_literal(code)}, {size})" for code, size in sizes.items())
        axes.append(f'(VALUES {values}) AS a{len(axes)}("{dimension.id}", n{len(axes)})')
    quarters = max(round(rows / ROWS_PER_PERIOD), 1)
    asked[source.time.id] = [f"{1960 + n // 4}K{n % 4 + 1}" for n in range(quarters)]
    times = ", ".join(f"({quote_literal(code)}, {n + 1})" for n, code in enumerate(asked[source.time.id]))
    names = ", ".join(f'"{dimension.id}"' for dimension in source.dimensions[:-1])
    spoilt = f'hash({names}, "TID") % 10000 < {BAD_PER_TEN_THOUSAND} AND n0 * n1 * n2 * n3 = 1'
    body = path.with_name(path.name + ".body")
    with Warehouse.open(threads=2) as warehouse:
        warehouse.execute("SET preserve_insertion_order = false")
        warehouse.execute(
            f'COPY (SELECT {names}, "TID", CASE WHEN {spoilt} THEN (-n4)::VARCHAR '
            f"ELSE (n0 * n1 * n2 * n3 * (n4 + 99))::VARCHAR END || chr(13) "
            f'FROM {", ".join(axes)}, (VALUES {times}) AS t("TID", n4) WHERE n0 * n1 * n2 * n3 > 0) '
            f"TO {quote_literal(str(body))} (DELIMITER ';', HEADER false, QUOTE '')"
        )
    header = ";".join([*(dimension.id.upper() for dimension in source.dimensions), "INDHOLD"])
    with path.open("wb") as whole, body.open("rb") as lines:
        whole.write(f"{header}\r\n".encode())
        shutil.copyfileobj(lines, whole, 1 << 22)
    body.unlink()
    return asked


def _sizes(source: Source, dimension_id: str, catalogue: Catalogue) -> dict[str, int]:
    """Return code -> how many leaves it stands for, so that every total is the sum of its parts."""
    dimension = source.dimension(dimension_id)
    if dimension.role == "area":
        return {code: _places(code) for code in catalogue.selected(source, dimension)}
    codes = catalogue.codes(source, dimension)
    empty = {str(NOBODY_OLDER)} if dimension.column == "age_code" else set()
    return {c.code: len(set(c.leaves) - empty) if c.leaves else int(c.code not in empty) for c in codes}


def _places(code: str) -> int:
    """Return how many municipalities (and Christiansø) an area holds."""
    area = areas()[code]
    places = [a for a in areas().values() if a.level in ("municipality", "christiansoe")]
    inside = {"country": places, "region": [a for a in places if a.region_code == code]}
    return len(inside.get(area.level, [area]))
