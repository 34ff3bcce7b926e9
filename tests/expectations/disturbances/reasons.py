"""Why some disturbances cannot be seen in principle: beside them, so that nothing is unnoticed without a reason."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Unseen:
    """Disturbances (a pattern of their names) that cannot be seen in some sources, and why."""

    kinds: str
    because: str
    sources: str = ".*"
    nights: str = ".*"


UNSEEN: tuple[Unseen, ...] = ()


def reason(source_id: str, kind: str, night: str) -> str:
    """Return why a disturbance of a source cannot be seen on a night; empty where no reason is known."""
    return next(
        (
            each.because
            for each in UNSEEN
            if re.fullmatch(each.kinds, kind)
            and re.fullmatch(each.sources, source_id)
            and re.fullmatch(each.nights, night)
        ),
        "",
    )
