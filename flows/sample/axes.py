"""How a question to a StatBank table of the sample world becomes sums over the world's own axes.

SYNTHETIC / SYNTETISKE DATA.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from flows.sample.places import CHRISTIANSOE, INDUSTRIES, TEN_GROUP, Floats, Ints, Places
from flows.sample.truth import INVENTED
from flows.sample.world import AGE_GROUPS, AGES, ANCESTRIES, World
from transforms.areas import areas, reference_rows
from transforms.catalogue import Catalogue, Code, Dimension, Source
from transforms.errors import UsageError

# From the publisher's codes to the sample world's own axes: which leaves of an axis a code covers.


Leaves = Callable[[Code], Sequence[int] | Ints]

SEX: dict[str, Sequence[int]] = {"M": (0,), "K": (1,), "1": (0,), "2": (1,)}
# Ancestry as each table writes it -> positions among the world's.
ANCESTRY = {
    code: [ANCESTRIES.index(name) for name in names]
    for names, codes in ((row["of"], row["codes"]) for row in INVENTED["ancestry_codes"])
    for code in codes
}


def matrix(codes: Sequence[Code], known: Sequence[Code], leaves: Leaves, size: int) -> Floats:
    """Return codes × leaves of 0 and 1: a total or subtotal covers what its leaf codes cover."""
    by_code = {code.code: code for code in known}
    out = np.zeros((len(codes), size))
    for row, code in enumerate(codes):
        parts = [by_code[leaf] for leaf in code.leaves] if code.leaves else [code]
        for part in parts:
            out[row, np.asarray(leaves(part), dtype=np.int64)] = 1.0
    return out


def lookup(table: Mapping[str, Sequence[int]]) -> Leaves:
    """Return leaves read from a table of codes; UsageError for a code that is not there."""

    def leaves(code: Code) -> Sequence[int]:
        if code.code not in table:
            raise UsageError(f"the sample world does not know the code {code.code} ({code.text_en})")
        return table[code.code]

    return leaves


def ages(code: Code) -> Ints:
    """Return the single years of an age code such as `16-64`, `1666`, `-15`, `67-`, `6099`, `23`."""
    text = code.code
    if re.fullmatch(r"\d{1,3}", text):
        return np.asarray(AGES[int(text) == AGES])
    if match := re.fullmatch(r"(\d\d)-?(\d\d)|-(\d+)|(\d+)-|(\d+)OV", text):
        low = int(match[1] or match[4] or match[5] or 0)
        high = int(match[2] or match[3] or AGES[-1])
        return np.asarray(AGES[(low <= AGES) & (high >= AGES)])
    raise UsageError(f"the sample world does not know the age code {text}")


def industry(code: Code) -> Sequence[int]:
    """Return the industries of a letter group, or of one of the ten groups 1-11."""
    if code.code in TEN_GROUP:
        return [i for i, group in enumerate(TEN_GROUP) if group == code.code]
    return [i for i, letters in enumerate(INDUSTRIES) if letters == code.code]


def age_group(code: Code) -> Sequence[int]:
    """Return which of the 13 age groups of the labour market accounts a code is."""
    return [[0, *AGE_GROUPS].index(ages(code)[0])]


AXES: dict[str, tuple[Leaves, int]] = {
    "sex": (lookup(SEX), 2),
    "age": (ages, len(AGES)),
    "age_group": (age_group, len(AGE_GROUPS) + 1),
    "ancestry": (lookup(ANCESTRY), len(ANCESTRIES)),
    "industry": (industry, len(INDUSTRIES)),
    "ten_group": (lookup({str(n + 1): (n,) for n in range(11)}), 11),
}
"""The world's own axes: which leaves a code covers, and how many there are."""


def area_matrix(codes: Sequence[str], dimension: Dimension, places: Places, groups: dict[str, str]) -> Floats:
    """Return area codes × (places + extra codes); sums leave out Christiansø where the table has no row for it.

    Country, regions and provinces are sums of municipalities; the extra codes (abroad, unknown) stand alone.
    """
    has_islet = "christiansoe" in dimension.levels
    inside = np.array([code != CHRISTIANSOE or has_islet for code in places.codes])
    parents = {
        "country": ["000"] * len(places.codes),
        "region": list(places.regions),
        "province": list(places.provinces),
        "municipality_group": [groups.get(code, "") for code in places.codes],
    }
    out = np.zeros((len(codes), len(places.codes) + len(dimension.extra_codes)))
    for row, code in enumerate(codes):
        if code in dimension.extra_codes:
            out[row, len(places.codes) + dimension.extra_codes.index(code)] = 1.0
        elif code in places.index:
            out[row, places.index[code]] = 1.0
        else:
            out[row, : len(places.codes)] = (np.array(parents[areas()[code].level]) == code) & inside
    return out


def contract(counts: Ints | Floats, matrices: Sequence[Floats | None]) -> Floats:
    """Return an array with every axis summed by its matrix (None leaves the axis as it is)."""
    out = np.asarray(counts)
    todo = [axis for axis, weights in enumerate(matrices) if weights is not None]
    for axis in sorted(todo, key=lambda i: len(matrices[i]) / matrices[i].shape[1]):  # type: ignore[arg-type, union-attr]
        weights = matrices[axis]
        assert weights is not None
        chosen = weights.argmax(axis=1)
        if (weights.sum(axis=1) == 1).all():
            out = np.take(out, chosen, axis=axis)
        else:
            out = np.moveaxis(np.tensordot(weights, out.astype(np.float64), axes=(1, axis)), 0, axis)
    return np.asarray(out, dtype=np.float64)


# One question to a table of the sample world: its codes turned into sums over the world's own axes.


@dataclass(frozen=True)
class Ask:
    """A table and the codes asked for, per dimension in the table's order (time apart)."""

    world: World
    catalogue: Catalogue
    source: Source
    selection: dict[str, list[str]]
    _made: dict[tuple[str, str], Floats] = field(default_factory=dict, repr=False)
    """Matrices already made: they are the same for every period."""

    def codes(self, dimension: str) -> list[Code]:
        """Return the codes asked for; UsageError for one the table does not have."""
        known = {code.code: code for code in self.known(dimension)}
        wanted = self.selection[dimension]
        for code in wanted:
            if code not in known:
                raise UsageError(f"{self.source.table} has no code {code} in {dimension}")
        return [known[code] for code in wanted]

    def known(self, dimension: str) -> list[Code]:
        """Return every code of a dimension."""
        return self.catalogue.codes(self.source, dimension)

    def axis(self, dimension: str, kind: str) -> Floats:
        """Return codes asked for × leaves: of one of AXES, of the dimension itself (`own`), or `area`.

        Those of an area are the places, and the dimension's extra codes behind them.
        """
        key = (dimension, kind)
        if key not in self._made:
            codes, known = self.codes(dimension), self.known(dimension)
            if kind == "area":
                wanted = [code.code for code in codes]
                made = area_matrix(wanted, self.source.dimension(dimension), self.world.places, self._groups)
            elif kind == "own":
                names = self.leaves(dimension)
                own = {name: (n,) for n, name in enumerate(names)}
                made = matrix(codes, known, lambda code: own.get(code.code, ()), len(names))
            else:
                made = matrix(codes, known, *AXES[kind])
            self._made[key] = made
        return self._made[key]

    def sums(self, counts: Ints | Floats, **axes: str | Floats) -> Floats:
        """Return counts summed to the codes asked for, in the table's order of dimensions.

        `axes` names the dimension of each axis of the counts, with the kind of its leaves or a matrix of its own.
        """
        matrices = [self.axis(name, kind) if isinstance(kind, str) else kind for name, kind in axes.items()]
        names = list(axes)
        return np.transpose(contract(counts, matrices), [names.index(name) for name in self.selection if name in axes])

    def leaves(self, dimension: str) -> list[str]:
        """Return the leaf codes of a dimension, in the publisher's order."""
        return [code.code for code in self.known(dimension) if code.kind == "leaf"]

    @cached_property
    def _groups(self) -> dict[str, str]:
        """Return municipality -> area code of its municipality group, by the group's Danish name."""
        names = {area.name_da: area.code for area in areas().values() if area.level == "municipality_group"}
        return {row["municipality_code"]: names[row["group_da"]] for row in reference_rows("municipality_groups.csv")}
