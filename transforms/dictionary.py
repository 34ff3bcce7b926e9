"""The dictionary: every column once, with type, unit, labels and meaning; tables take their columns from it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from transforms.catalogue import DICTIONARY, YamlFile
from transforms.errors import UsageError
from transforms.warehouse import quote_identifier, quote_literal

Protection = Literal["rounded", "model", "answer", "published", "label"]
"""How a column keeps persons safe in a table that is made of person rows: `rounded` counts and shares of them and
`model` figures over enough persons, both by `disclosure.Gate`; an `answer` of the municipality about itself; made of
`published` figures alone; a `label`, which is no figure."""


class Column(BaseModel):
    """What one column name means, everywhere it occurs."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    type: str
    label_da: str
    label_en: str
    description: str
    description_da: str = ""
    unit: str | None = None
    allowed: tuple[str, ...] | None = None
    nullable: bool = True
    protection: Protection | None = None

    def comment(self) -> str:
        """Return the comment stored in the database: Danish and English label, meaning, unit."""
        unit = f" Enhed/unit: {self.unit}." if self.unit else ""
        return f"{self.label_da} / {self.label_en}. {self.description}{unit}"

    def definition(self, name: str, *, key: bool, checked: bool, listed: bool = False) -> str:
        """Return the part of CREATE TABLE; unchecked, a bad value can be loaded and set aside with its rule.

        `listed` stores the allowed values as an ENUM, for columns our own code fills: a byte a row, loaded faster.
        """
        values = ", ".join(quote_literal(value) for value in self.allowed or ())
        parts = [quote_identifier(name), f"ENUM ({values})" if listed and values else self.type]
        if key or (checked and not self.nullable):
            parts.append("NOT NULL")
        if checked and values:
            parts.append(f"CHECK ({quote_identifier(name)} IN ({values}))")
        return " ".join(parts)


class Dictionary:
    """All columns by name."""

    def __init__(self, columns: dict[str, Column]):
        self.columns = columns

    def column(self, name: str, table: str) -> Column:
        """Return one column; UsageError telling where to add it when it is not described."""
        found = self.columns.get(name)
        if found is None:
            raise UsageError(
                f"transforms/dictionary.yml: the column {name} of {table} is not described; add it under `columns:`"
            )
        return found


@lru_cache(maxsize=4)
def load_dictionary(path: Path = DICTIONARY) -> Dictionary:
    """Read dictionary.yml; UsageError naming the column when an entry is wrong or given twice."""
    columns: dict[str, Column] = {}
    for name, entry in YamlFile(path, str(path), verb="described").data["columns"].items():
        try:
            columns[name] = Column.model_validate(entry)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UsageError(f"transforms/dictionary.yml: column {name}: {where}: {first['msg']}") from None
    return Dictionary(columns)
