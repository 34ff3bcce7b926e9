"""One question to a table of the sample world: its codes turned into sums over the world's own axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from flows.sample import cubes_axes as axes
from flows.sample.population import AGES, ANCESTRIES
from flows.sample.population_labour import AGE_GROUPS
from flows.sample.world import World
from flows.sample.world_areas import Floats, Ints, Places
from flows.sample.world_conditions import INDUSTRIES
from transforms.areas import areas
from transforms.catalogue import Catalogue
from transforms.codelists import Code
from transforms.errors import UsageError
from transforms.sources import Dimension, Source


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

    def by(self, dimension: str, leaves: axes.Leaves, size: int) -> Floats:
        """Return codes asked for × leaves of one of the world's axes."""
        return self._once(
            f"by {size}", dimension, lambda: axes.matrix(self.codes(dimension), self.known(dimension), leaves, size)
        )

    def sex(self, dimension: str) -> Floats:
        """Return codes asked for × (men, women)."""
        return self.by(dimension, axes.lookup(axes.SEX), 2)

    def age(self, dimension: str) -> Floats:
        """Return codes asked for × single ages."""
        return self.by(dimension, axes.ages, len(AGES))

    def age_group(self, dimension: str) -> Floats:
        """Return codes asked for × the 13 age groups of the labour market accounts."""
        starts = [0, *AGE_GROUPS.tolist()]
        return self.by(dimension, lambda code: [starts.index(int(axes.ages(code)[0]))], len(starts))

    def ancestry(self, dimension: str) -> Floats:
        """Return codes asked for × ancestries."""
        return self.by(dimension, axes.lookup(axes.ANCESTRY), len(ANCESTRIES))

    def industry(self, dimension: str) -> Floats:
        """Return codes asked for × industries."""
        return self.by(dimension, axes.industry, len(INDUSTRIES))

    def own(self, dimension: str, leaves: Sequence[str] | None = None) -> Floats:
        """Return codes asked for × the leaf codes of the dimension itself, or those named."""
        names = leaves or self.leaves(dimension)
        return self.by(dimension, lambda code: [names.index(code.code)] if code.code in names else [], len(names))

    def leaves(self, dimension: str) -> list[str]:
        """Return the leaf codes of a dimension, in the publisher's order."""
        return [code.code for code in self.known(dimension) if code.kind == "leaf"]

    def area(self, dimension: str) -> Floats:
        """Return areas asked for × (places + the dimension's extra codes)."""
        wanted = [code.code for code in self.codes(dimension)]
        return self._once(
            "area",
            dimension,
            lambda: axes.area_matrix(wanted, self.dimension(dimension), self.places, self._groups),
        )

    def _once(self, kind: str, dimension: str, make: Callable[[], Floats]) -> Floats:
        key = (kind, dimension)
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def dimension(self, name: str) -> Dimension:
        """Return a dimension of the table."""
        return self.source.dimension(name)

    @property
    def places(self) -> Places:
        """The world's places."""
        return self.world.places

    @cached_property
    def _groups(self) -> dict[str, str]:
        """Return municipality -> area code of its municipality group, by the group's Danish name."""
        names = {area.name_da: area.code for area in areas().values() if area.level == "municipality_group"}
        return axes.municipality_groups(names)


def with_extra(counts: Ints, extra: Ints) -> Ints:
    """Return counts with rows for the extra area codes put behind the places."""
    return np.concatenate([counts, extra[None] if extra.ndim < counts.ndim else extra], axis=0)
