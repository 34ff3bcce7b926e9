"""Blocks of text turned into typed rows, column by column: each distinct text is read once, faults are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from flows.connectors.deliveries_contract import DeliveryField
from flows.connectors.deliveries_csv import Block
from flows.connectors.deliveries_faults import Fault, shown
from flows.connectors.deliveries_layout import Layout
from flows.connectors.deliveries_values import MISSING, Parsed, clean, parser_of
from transforms.pseudonym import Person, Pseudonymiser

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

REMEMBERED = 200_000
_NOBODY = Person("", date.min, "", False)  # stands in rejected rows, which are filtered out


@dataclass
class Tally:
    """What was seen so far: rows in and rejected, faults shown and counted, rows that were empty."""

    limit: int
    rows_in: int = 0
    rejected: int = 0
    blank: int = 0
    faults: list[Fault] = field(default_factory=list)
    totals: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, fault: Fault, count: int = 1) -> None:
        """Count a broken rule; keep the fault itself while there is room."""
        self.totals[fault.field, fault.rule] += count
        if len(self.faults) < self.limit:
            self.faults.append(fault)


class Parser:
    """Reads the blocks of one table. `expected` is field name -> value every row must have, where it has one."""

    def __init__(self, layout: Layout, people: Pseudonymiser, tally: Tally, expected: dict[str, str]):
        self.layout = layout
        self.tally = tally
        self._people = people
        self._expected = expected
        self._fields = [layout.contract.field(name) for name in layout.positions]
        self._parse: dict[str, Callable[[str], Parsed]] = {
            each.name: lru_cache(maxsize=REMEMBERED)(parser_of(each)) for each in self._fields if each.type != "cpr"
        }

    def typed(self, block: Block) -> pa.Table:
        """Return the accepted rows of a block: `row_number`, the stored columns, and `birth_date` for deriving ages.

        Every row that is not there is in the tally: rejected with its faults, or blank.
        """
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        for row in block.misshapen:
            self.tally.add(Fault(row, "", "row_shape"))
        self.tally.rows_in += len(block.misshapen)
        self.tally.rejected += len(block.misshapen)

        good = np.ones(len(block.rows), dtype=bool)
        filled = np.zeros(len(block.rows), dtype=bool)
        found: dict[str, pa.Array] = {}
        wrong: list[tuple[DeliveryField, np.ndarray, list[Parsed], list[str], np.ndarray]] = []
        for each in self._fields:
            texts, indices = _distinct(block.columns[each.name], each)
            parsed = self._people_in(texts) if each.type == "cpr" else [self._read(each, text) for text in texts]
            if not filled.all():
                text_there = pc.not_equal(pc.utf8_trim_whitespace(block.columns[each.name]), "")
                filled |= text_there.to_numpy(zero_copy_only=False)
            bad = _pick([rule is not None for _, rule in parsed], indices)
            if bad.any():
                wrong.append((each, bad, parsed, texts, indices))
                good &= ~bad
            found |= self._columns(each, parsed, indices)
        for each, bad, parsed, texts, indices in wrong:
            self._note(each, np.flatnonzero(bad & filled), parsed, texts, indices, block)
        blank = int((~filled).sum())
        self.tally.blank += blank
        self.tally.rows_in += len(good) - blank
        self.tally.rejected += int((filled & ~good).sum())
        table = pa.table({"row_number": pa.array(block.rows), **found})
        keep = good & filled
        return table if keep.all() else table.filter(pa.array(keep))

    def _read(self, each: DeliveryField, text: str) -> Parsed:
        value, rule = self._parse[each.name](text)
        if rule is None and value is not None and self._expected.get(each.name, value) != value:
            return None, f"other_{each.type}"
        return value, rule

    def _people_in(self, texts: list[str]) -> list[Parsed]:
        parsed: list[Parsed] = [(person, None) for person in self._people.people(texts)]
        for number, (found, _) in enumerate(parsed):
            if found is None:
                text = clean(texts[number])
                again = self._people.person(text)
                parsed[number] = (again, None if again else "required" if text.casefold() in MISSING else "cpr")
        return parsed

    def _columns(self, each: DeliveryField, parsed: list[Parsed], indices: np.ndarray) -> dict[str, pa.Array]:
        """Return the stored columns of one field."""
        import pyarrow as pa

        if each.type == "cpr":
            people = [person or _NOBODY for person, _ in parsed]
            found = {"person_id": pa.array([person.person_id for person in people], pa.string())}
            if "sex_code" in self.layout.contract.columns:
                found["birth_date"] = pa.array([person.birth_date for person in people], pa.date32())
                found["sex_code"] = pa.array([person.sex_code for person in people], pa.string())
                found["is_modulus11"] = pa.array([person.is_modulus11 for person in people], pa.bool_())
            return found
        if each.type in ("municipality", "period"):
            return {}
        return {each.name: pa.array([value for value, _ in parsed], _arrow_type(each)).take(pa.array(indices))}

    def _note(
        self, each: DeliveryField, where: np.ndarray, parsed: list[Parsed], texts: list[str], indices: np.ndarray,
        block: Block,
    ) -> None:  # fmt: skip
        """Put the faults of one column into the tally: all counted, the first ones kept with what may be shown."""
        by_rule = Counter(str(parsed[indices[row]][1]) for row in where)
        room = max(0, self.tally.limit - len(self.tally.faults))
        for row in where[:room]:
            rule = str(parsed[indices[row]][1])
            by_rule[rule] -= 1
            text = shown(texts[indices[row]], each, rule)
            self.tally.add(Fault(int(block.rows[row]), each.name, rule, text))
        for rule, count in by_rule.items():
            self.tally.totals[each.name, rule] += count


def _distinct(column: pa.Array, each: DeliveryField) -> tuple[list[str], np.ndarray]:
    """Return the distinct texts of a column and, per row, which it is.

    CPR numbers hardly repeat within a block, and telling them apart costs more than reading them one by one.
    """
    import numpy as np

    if each.type == "cpr":
        return column.to_pylist(), np.arange(len(column))
    encoded = column.dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy()


def _pick(flags: list[bool], indices: np.ndarray) -> np.ndarray:
    import numpy as np

    picked: np.ndarray = np.array(flags, dtype=bool)[indices]
    return picked


def _arrow_type(each: DeliveryField) -> Any:
    import pyarrow as pa

    kinds = {
        "date": pa.date32(), "decimal": pa.float64(), "integer": pa.int32(), "boolean": pa.bool_(),
        "presence": pa.bool_(), "industries": pa.list_(pa.string()), "municipalities": pa.list_(pa.string()),
    }  # fmt: skip
    return kinds.get(each.type, pa.string())
