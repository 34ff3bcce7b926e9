"""The catalogue: every source file, checked against the code lists, the areas and the dictionary."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import ValidationError

from transforms.areas import areas, areas_at
from transforms.codelists import CODELISTS, LEFT_OUT, Code, left_out_code, load_codelists
from transforms.errors import UsageError
from transforms.sources import Dimension, Expectations, Source
from transforms.yaml_lines import SafeLoader, YamlFile

__all__ = ["LEFT_OUT", "Catalogue", "Code", "Dimension", "Expectations", "Source", "load_catalogue"]

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "flows" / "sources"
DICTIONARY = Path(__file__).parent / "dictionary.yml"
_PERIOD = r"(\d{4}|\d{4}K[1-4]|\d{4}M(0[1-9]|1[0-2]))"
_TIME_PATTERN = re.compile(
    rf"^(\*|\*K[1-4]|\*M\d\d|\d{{1,3}}\*\w*|{_PERIOD}|\(\d+\)|\(-n\+\d+\)|(>={_PERIOD})?(<={_PERIOD})?)$"
)


@dataclass(frozen=True)
class Catalogue:
    """All sources by id, with the codes of their dimensions."""

    sources: dict[str, Source]
    codelists: Mapping[str, list[Code]] = field(repr=False)

    def source(self, source_id: str) -> Source:
        """Return one source; UsageError listing the known ids when there is none."""
        if source_id not in self.sources:
            raise UsageError(f"no source {source_id}; known: {', '.join(sorted(self.sources))}")
        return self.sources[source_id]

    def by_table(self, table: str) -> Source | None:
        """Return the source of a StatBank table, whatever the case it is written in, or None."""
        wanted = table.casefold()
        return next((s for s in self.sources.values() if s.table and s.table.casefold() == wanted), None)

    def codes(self, source: Source | str, dimension: Dimension | str) -> list[Code]:
        """Return all codes the dimension can hold, in the publisher's order; none for the time dimension.

        For an area dimension: the areas of its levels (StatBank's hierarchical order), then its extra codes.
        A dimension that may be left out of the request has our code `_ALL` for its total in front.
        """
        owner = self.source(source) if isinstance(source, str) else source
        found = owner.dimension(dimension) if isinstance(dimension, str) else dimension
        if found.role == "area":
            wanted = areas_at(found.levels) + [areas()[code] for code in found.extra_codes]
            return [Code(area.code, area.name_da, area.name_en) for area in wanted]
        codes = self.codelists[found.codelist] if found.codelist else []
        return [left_out_code(codes), *codes] if found.total == LEFT_OUT else codes

    def selected(self, source: Source | str, dimension: Dimension | str) -> list[str]:
        """Return the codes the source asks for, patterns such as `*` and `1*` expanded, in the publisher's order.

        The time dimension is the publisher's to expand and gives an empty list.
        """
        owner = self.source(source) if isinstance(source, str) else source
        found = owner.dimension(dimension) if isinstance(dimension, str) else dimension
        if found.role == "time":
            return []
        if found.is_left_out:
            return [LEFT_OUT]
        patterns = [_as_regex(pattern) for pattern in found.select]
        codes = [code.code for code in self.codes(owner, found) if code.code != LEFT_OUT]
        return [code for code in codes if any(pattern.fullmatch(code) for pattern in patterns)]


def load_catalogue(
    directory: Path = SOURCES, *, codelists: Path = CODELISTS, dictionary: Path = DICTIONARY
) -> Catalogue:
    """Read every `*.yml` of `directory` into a Catalogue.

    Raises UsageError «flows/sources/x.yml:12: …» for an unknown key, a missing one (licence, owner, …), a selector
    that is not pinned to one code, an unknown code list or code, and a column the dictionary does not describe.
    """
    catalogue = Catalogue({}, load_codelists(codelists))
    columns = _described_columns(dictionary)
    for path in sorted(directory.glob("*.yml")):
        file = YamlFile(path, _shown(path))
        source = _parse(file)
        if source.id != path.stem:
            raise file.error(["id"], f"the id is {source.id}, but the file is named {path.name}")
        _check(file, catalogue, source, columns)
        catalogue.sources[source.id] = source
    return catalogue


def _parse(file: YamlFile) -> Source:
    try:
        return Source.model_validate(file.data)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        message = {
            "extra_forbidden": f"unknown key `{place}`; remove it or correct its spelling",
            "missing": f"`{place}` is missing; every source must state it",
            "string_type": f"`{place}` must be text; put it in quotes (codes keep their zeros)",
        }.get(fault["type"], f"{place}: {fault['msg']}".removeprefix(": ").replace("Value error, ", ""))
        raise file.error(fault["loc"], message) from None


def _check(file: YamlFile, catalogue: Catalogue, source: Source, columns: set[str] | None) -> None:
    for number, dimension in enumerate(source.dimensions):
        place: list[int | str] = ["dimensions", number]
        if dimension.codelist and dimension.codelist not in catalogue.codelists:
            raise file.error([*place, "codelist"], f"unknown code list {dimension.codelist}; add it to codelists.csv")
        unknown = [code for code in dimension.extra_codes if code not in areas()]
        if unknown:
            raise file.error([*place, "extra_codes"], f"unknown area code {unknown[0]}; add it to areas.csv")
        if columns is not None and dimension.column not in columns:
            raise file.error(
                [*place, "column"], f"column {dimension.column} is not described in transforms/dictionary.yml"
            )
        _check_select(file, place, catalogue, source, dimension)


def _check_select(
    file: YamlFile, place: list[int | str], catalogue: Catalogue, source: Source, dimension: Dimension
) -> None:
    if dimension.role == "time":
        wrong = [pattern for pattern in dimension.select if not _TIME_PATTERN.match(pattern) or not pattern]
        if wrong:
            raise file.error(
                [*place, "select"], f"{wrong[0]} is no period or period pattern (2016, *K1, (-n+5), >=2012)"
            )
        return
    codes = {code.code for code in catalogue.codes(source, dimension)}
    for pattern in dimension.select:
        if not any(_as_regex(pattern).fullmatch(code) for code in codes):
            raise file.error([*place, "select"], f"{dimension.id} has no code {pattern}")
    if dimension.total is not None and dimension.total not in codes:
        raise file.error([*place, "total"], f"{dimension.id} has no code {dimension.total}")


def _as_regex(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")))


def _described_columns(dictionary: Path) -> set[str] | None:
    if not dictionary.exists():
        return None
    with dictionary.open(encoding="utf-8") as stream:
        return set((yaml.load(stream, Loader=SafeLoader) or {}).get("columns") or {})


def _shown(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(ROOT))
    except ValueError:
        return str(path)
