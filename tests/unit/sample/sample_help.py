"""What the tests of the sample world share: a small world, and cells as numbers by code."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pandas as pd

from flows.sample.cubes import Cubes
from flows.sample.world import World, build_world
from transforms.catalogue import Catalogue, load_catalogue

PERSONS = 20_000


@cache
def small_world(seed: int = 2016, municipal_sd: float = 0.25) -> World:
    """Return a world of 20,000 persons, the same object at every call."""
    return build_world(seed, persons=PERSONS, municipal_sd=municipal_sd)


@cache
def catalogue() -> Catalogue:
    """Return the catalogue of the repository."""
    return load_catalogue()


@cache
def small_cubes(seed: int = 2016) -> Cubes:
    """Return the tables of the small world."""
    return Cubes(small_world(seed), catalogue())


def cells(table: str, **selection: Sequence[str] | str) -> pd.DataFrame:
    """Return an answer with `value` as a number (NaN for a mark); `*` means every code of the dimension."""
    cubes = small_cubes()
    source = catalogue().by_table(table)
    assert source is not None
    chosen: dict[str, list[str]] = {}
    for name, codes in selection.items():
        dimension = source.dimension(name)
        known = [code.code for code in catalogue().codes(source, dimension) if code.code != "_ALL"]
        chosen[dimension.id] = known if codes == "*" else [codes] if isinstance(codes, str) else list(codes)
    frame: pd.DataFrame = cubes.answer(table, chosen).to_pandas()
    return frame.assign(value=pd.to_numeric(frame["value"].where(frame["value"] != "..")))


def places(frame: pd.DataFrame, column: str = "OMRÅDE") -> pd.DataFrame:
    """Return the rows of municipalities and Christiansø."""
    return frame[frame[column].isin(small_world().places.codes)]
