"""What is planted in the sample world: every coefficient the statistics must find again.

All figures are invented for the test bench; their signs follow what studies of refugees' way to work
report (KORA 2017; KL 2017 on placements by industry), their sizes are ours. The pipeline never reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.catalogue import YamlFile


def in_file(name: str) -> Any:
    """Return what a YAML file beside this module holds."""
    return YamlFile(Path(__file__).with_name(name)).data


INVENTED: dict[str, Any] = in_file("invented.yml")
"""Everything invented that stands in a table, by the names of the file."""
MEASURES: dict[str, dict[str, Any]] = INVENTED["measures"]
KINDS = tuple(MEASURES)
CONTEXTS: tuple[str, ...] = ("is_colocated", "job_consultants_z", "manufacturing_share_z", "has_danish_parallel")


def column(table: str, name: str) -> npt.NDArray[np.float64]:
    """Return one figure of every row of an invented table."""
    return np.array([row[name] for row in INVENTED[table].values()], dtype=float)


@dataclass(frozen=True)
class Coefficients:
    """Log-hazard coefficients of entering ordinary employment per four weeks, beside those of the file's tables."""

    baseline: float = -3.45
    """Log hazard of the reference person in the fourth year, average labour market."""
    start_penalty: float = -2.2
    """Added on the day of take-over, fading with `start_fade_steps`."""
    start_fade_steps: float = 11.0
    employed_before: float = 0.55
    """Added after the first ordinary job has ended."""
    stay_per_year_after_5: float = -0.05
    unemployment_per_point: float = -0.13
    """Per percentage point of unemployment in the commuting area, around 4 pct."""
    manufacturing_share_z: float = 0.12
    """Per standard deviation of the manufacturing share in the commuting area."""
    non_western_demand_z: float = 0.10
    """Per standard deviation of jobs in industries that hire newcomers, in the commuting area."""
    manufacturing_placement: float = 0.35
    """Extra effect of a private placement in manufacturing."""
    short_job_share: float = 0.22
    """Share of ordinary jobs that last less than 13 weeks, whoever gets them."""
    method_scale: float = 1.0
    """What every effect of the measures is multiplied by."""
