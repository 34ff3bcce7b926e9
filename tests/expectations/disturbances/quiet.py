"""Quiet nights: a new period and ordinary revisions, on which the rules should say nothing.

On each night the last build knows a source up to some period, and tonight's extract brings the next one, with a
hundredth of the other figures revised by up to two per cent. The revisions leave the figures beside them as they were,
so the rules that figures of a table add up are not counted.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.expectations.disturbances.bench import EVERY_PERIOD, bench, revised
from tests.expectations.disturbances.table import Verdict, names
from transforms.warehouse import quote_literal

NIGHTS = 24
ADD_UP = ("shares_after_placement_add_up", "benchmark_difference_adds_up")
KEPT = 8
"""Periods the last build knows at least."""


def quiet_nights(source_id: str, nights: int = NIGHTS) -> Iterator[Verdict]:
    """Yield the verdict on each night; rules that the whole extract of the source breaks by itself do not count."""
    with tempfile.TemporaryDirectory() as folder, bench(source_id, Path(folder), EVERY_PERIOD) as made:
        known = made.publish("known", [])
        made.disturb([])
        always = names(made.outcomes(known))
        possible = [n for n in range(1, len(made.periods)) if n >= min(KEPT, len(made.periods) - 1)]
        for night in range(nights):
            last = possible[-1 - night % len(possible)]
            later = f"DELETE FROM given WHERE {made.time} > {{}}"
            past = made.publish("past", [later.format(quote_literal(made.periods[last - 1]))])
            made.disturb([later.format(quote_literal(made.periods[last])), *revised(made, night)])
            broken = [o for o in made.outcomes(past) if not o.success and o.rule_id not in always]
            broken = [o for o in broken if not o.rule_id.startswith("total_") and o.rule_id not in ADD_UP]
            stops = tuple(o.rule_id for o in broken if o.severity == "critical")
            warns = tuple(o.rule_id for o in broken if o.severity != "critical")
            yield Verdict(source_id, f"night {night + 1}, up to {made.periods[last]}", "new", stops, warns)
