"""A small planted world: municipalities with known conditions and known own effects, and people drawn from it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from transforms.models.ranking import Floats

MUNICIPALITIES = [f"{100 + 7 * i}" for i in range(98)]


def sizes(rng: np.random.Generator, low: int = 80, high: int = 2500) -> Floats:
    """Return 98 target-group sizes, log-uniform: many small, few large."""
    return np.round(np.exp(rng.uniform(np.log(low), np.log(high), 98)))


def aggregates(
    seed: int, sd: float = 0.25, low: int = 80, high: int = 2500, slopes: tuple[float, ...] = (0.4, -0.3, 0.2)
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return counts, conditions and truth (effect on the logit scale, difference in points) for one world."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(98, len(slopes)))
    effect = rng.normal(0, sd, 98) if sd else np.zeros(98)
    linear = -0.6 + x @ np.array(slopes)
    p, fixed = 1 / (1 + np.exp(-linear - effect)), 1 / (1 + np.exp(-linear))
    n = sizes(rng, low, high)
    counts = pd.DataFrame({"municipality_code": MUNICIPALITIES, "n": n, "k": rng.binomial(n.astype(int), p) * 1.0})
    counts["value_status"] = "observed"
    conditions = pd.DataFrame(x, columns=[f"condition_{j}" for j in range(len(slopes))])
    conditions.insert(0, "municipality_code", MUNICIPALITIES)
    truth = pd.DataFrame({"municipality_code": MUNICIPALITIES, "effect": effect, "difference": 100 * (p - fixed)})
    return counts, conditions, truth
