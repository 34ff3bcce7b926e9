"""What a source file may say: the shape of `flows/sources/<id>.yml`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from transforms.areas import Level
from transforms.codelists import LEFT_OUT
from transforms.errors import UsageError

Role = Literal["area", "category", "selector", "time"]
Text = Annotated[str, StringConstraints(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Dimension(_Strict):
    """One dimension of a table: the publisher's id and label, our column, its codes and what is asked for."""

    id: Text
    text_da: Text
    text_en: Text
    column: Text
    role: Role
    select: list[Text] = Field(min_length=1)
    codelist: str | None = None
    levels: list[Level] = []
    extra_codes: list[Text] = []
    elimination: bool = False
    total: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _eliminable_by_default(cls, data: Any) -> Any:
        if isinstance(data, dict) and "elimination" not in data:
            return {**data, "elimination": data.get("role") in ("category", "selector")}
        return data

    @property
    def is_left_out(self) -> bool:
        """Tell whether the request leaves this dimension out, so that the publisher sums over it.

        Needs a non-streaming format: BULK wants codes for every dimension.
        """
        return self.select == [LEFT_OUT]

    @model_validator(mode="after")
    def _fits_its_role(self) -> Self:
        if LEFT_OUT in self.select and (self.total != LEFT_OUT or not self.is_left_out or self.role != "category"):
            raise ValueError(
                f"{self.id}: {LEFT_OUT} leaves a category out of the request; it needs `total: {LEFT_OUT}`"
            )
        if self.role == "area" and not self.levels:
            raise ValueError(f"{self.id} has role area but no `levels`; list the levels the table holds")
        if self.role in ("category", "selector") and self.codelist is None:
            raise ValueError(f"{self.id} has role {self.role} but no `codelist`")
        if self.role == "selector" and (len(self.select) != 1 or "*" in self.select[0]):
            raise ValueError(
                f"{self.id} is a selector and must be pinned to exactly one code, not {', '.join(self.select)}; "
                "otherwise every figure is counted once per code"
            )
        return self


class Expectations(_Strict):
    """What every delivery of the source must satisfy before it is accepted."""

    min_rows: int = Field(default=1, ge=1)
    value_min: float | None = None
    value_max: float | None = None
    quarantine_max_share: float = Field(default=0.01, ge=0, le=1)


class ReferenceTable(_Strict):
    """Figures the project keeps itself, with the source of each row: the stem of `transforms/reference/<table>.csv`."""

    table: Text


class Source(_Strict):
    """One source: who publishes it under which licence, what is asked for, and what must be true of it."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    connector: Literal["statbank", "jobindsats", "delivery", "reference"]
    title_da: Text
    title_en: Text
    producer: Text
    licence: Text
    url: Text
    owner: Text
    frequency: Literal["year", "quarter", "month"] | None = None
    publication_lag_days: int = Field(default=0, ge=0)
    max_age_days: int = Field(gt=0)
    required: bool
    table: str | None = None
    unit: Literal["persons", "jobs", "dwellings", "pct", "dkk", "dkk_thousand", "count"] | None = None
    decimals: int = Field(default=0, ge=0, le=4)
    dimensions: list[Dimension] = []
    expectations: Expectations = Expectations()
    jobindsats: dict[str, Any] | None = None
    delivery: dict[str, Any] | None = None
    reference: ReferenceTable | None = None

    @model_validator(mode="after")
    def _fits_its_connector(self) -> Self:
        if self.connector != "statbank":
            if getattr(self, self.connector) is None:
                raise ValueError(f"connector {self.connector} needs a `{self.connector}:` section")
            return self
        missing = [key for key in ("table", "frequency", "unit", "dimensions") if not getattr(self, key)]
        if missing:
            raise ValueError(f"connector statbank needs `{missing[0]}`")
        if self.id != f"statbank_{(self.table or '').lower()}":
            raise ValueError(f"the id of table {self.table} must be statbank_{(self.table or '').lower()}")
        times = [dimension.id for dimension in self.dimensions if dimension.role == "time"]
        if times != [self.dimensions[-1].id]:
            raise ValueError("exactly one dimension must have role time, and it must be the last")
        for what in ("id", "column"):
            names = [getattr(dimension, what) for dimension in self.dimensions]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"two dimensions share the {what} {twice[0]}")
        return self

    def dimension(self, name: str) -> Dimension:
        """Return the dimension with this publisher id, case-insensitively; UsageError naming those there are."""
        for dimension in self.dimensions:
            if dimension.id.casefold() == name.casefold():
                return dimension
        known = ", ".join(dimension.id for dimension in self.dimensions)
        raise UsageError(f"{self.id} has no dimension {name}; it has {known}")

    @property
    def time(self) -> Dimension:
        """The time dimension of a StatBank source."""
        return self.dimensions[-1]
