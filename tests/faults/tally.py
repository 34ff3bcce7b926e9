"""What a proof by faults counts, and the table that shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Tally:
    """The result of one kind of fault. Everything but `injected`, `survived` and `slowest` must stay at zero."""

    name: str
    injected: int = 0
    survived: int = 0
    rows_lost: int = 0
    wrong: int = 0
    slowest: float = 0.0
    orphans: int = 0
    complaints: list[str] = field(default_factory=list)
    table: list[tuple[str, str, bool]] = field(default_factory=list)
    """Fault, what was said of it, and whether the publication is whole afterwards."""

    def survive(self, seconds: float = 0.0) -> None:
        """Count a fault after which everything was as it should be, recovered from in so many seconds."""
        self.injected += 1
        self.survived += 1
        self.slowest = max(self.slowest, seconds)

    def fail(self, complaint: str, *, wrong: bool = False, rows: int = 0) -> None:
        """Count a fault that did harm: a wrong publication, lost rows, or no recovery."""
        self.injected += 1
        self.wrong += wrong
        self.rows_lost += rows
        self.complaints.append(complaint)

    @property
    def holds(self) -> bool:
        """Tell whether there were faults and each was survived."""
        return (
            self.injected > 0 and self.injected == self.survived and not (self.rows_lost or self.wrong or self.orphans)
        )


def table(tallies: Iterable[Tally]) -> str:
    """Return the tallies as an aligned table, with the first complaints below it."""
    heads = ("fault", "injected", "survived", "rows lost", "wrong publications", "longest recovery s")
    tallies = list(tallies)
    rows = [
        (t.name, str(t.injected), str(t.survived), str(t.rows_lost), str(t.wrong), f"{t.slowest:.1f}") for t in tallies
    ]
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    lines = [
        "  ".join(
            cell.ljust(width) if not number else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in [heads, *rows]
    ]
    told = [f"{t.name}: {complaint}" for t in tallies for complaint in t.complaints[:5]]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], *told])


def told_of_damage(tallies: Iterable[Tally]) -> str:
    """Return one line per damage: what was broken, what was said of it, and whether the publication is whole again."""
    rows = [row for tally in tallies for row in tally.table]
    return "\n".join(f"{'whole' if whole else 'NOT WHOLE'}  {fault}  {said}" for fault, said, whole in rows)
