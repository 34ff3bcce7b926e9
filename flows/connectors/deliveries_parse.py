"""Blocks of text turned into typed rows, column by column: each distinct text is read once, faults are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from flows.connectors.deliveries_contract import DeliveryField
from flows.connectors.deliveries_csv import Block
from flows.connectors.deliveries_faults import Fault, shown
from flows.connectors.deliveries_layout import Layout
from flows.connectors.deliveries_values import MISSING, Parsed, clean, parser_of
from transforms.pseudonym import Pseudonymiser

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

REMEMBERED = 200_000


@dataclass(frozen=True)
class Column:
    """One field's column read: what is stored of it, which rows are wrong, and of a wrong row its text and rule."""

    field: DeliveryField
    stored: dict[str, pa.Array]
    wrong: np.ndarray
    text: Callable[[int], str]
    rule: Callable[[int], str]


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
        faulty: list[Column] = []
        for each in self._fields:
            texts = block.columns[each.name]
            if not filled.all():
                filled |= pc.not_equal(pc.utf8_trim_whitespace(texts), "").to_numpy(zero_copy_only=False)
            column = self._people_in(each, texts) if each.type == "cpr" else self._values_in(each, texts)
            if column.wrong.any():
                faulty.append(column)
                good &= ~column.wrong
            found |= column.stored
        for column in faulty:
            self._note(column, np.flatnonzero(column.wrong & filled), block)
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

    def _people_in(self, each: DeliveryField, texts: pa.StringArray) -> Column:
        """Read CPR numbers, all at once: they hardly repeat within a block."""
        people = self._people.people(texts, clean)
        stored: dict[str, pa.Array] = {"person_id": people.person_id}
        if "sex_code" in self.layout.contract.columns:
            stored |= {name: getattr(people, name) for name in ("birth_date", "sex_code", "is_modulus11")}

        def text(row: int) -> str:
            return str(texts[row].as_py())

        def rule(row: int) -> str:
            return "required" if clean(text(row)).casefold() in MISSING else "cpr"

        return Column(each, stored, people.person_id.is_null().to_numpy(zero_copy_only=False), text, rule)

    def _values_in(self, each: DeliveryField, texts: pa.StringArray) -> Column:
        """Read any other field: each distinct text once."""
        import numpy as np
        import pyarrow as pa

        encoded = texts.dictionary_encode()
        distinct, indices = encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
        parsed = [self._read(each, text) for text in distinct]
        stored = {}
        if each.type not in ("municipality", "period"):
            stored[each.name] = pa.array([value for value, _ in parsed], _arrow_type(each)).take(encoded.indices)
        wrong = np.array([rule is not None for _, rule in parsed], dtype=bool)[indices]
        return Column(
            each, stored, wrong, lambda row: str(distinct[indices[row]]), lambda row: str(parsed[indices[row]][1])
        )

    def _note(self, column: Column, where: np.ndarray, block: Block) -> None:
        """Put the faults of one column into the tally: all counted, the first ones kept with what may be shown."""
        by_rule = Counter(column.rule(row) for row in where)
        room = max(0, self.tally.limit - len(self.tally.faults))
        for row in where[:room]:
            rule = column.rule(row)
            by_rule[rule] -= 1
            text = shown(column.text(row), column.field, rule)
            self.tally.add(Fault(int(block.rows[row]), column.field.name, rule, text))
        for rule, count in by_rule.items():
            self.tally.totals[column.field.name, rule] += count


def _arrow_type(each: DeliveryField) -> Any:
    import pyarrow as pa

    kinds = {
        "date": pa.date32(), "decimal": pa.float64(), "integer": pa.int32(), "boolean": pa.bool_(),
        "presence": pa.bool_(), "industries": pa.list_(pa.string()), "municipalities": pa.list_(pa.string()),
    }  # fmt: skip
    return kinds.get(each.type, pa.string())
