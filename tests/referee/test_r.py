"""The same figures by R: survival's life tables, lme4's restricted likelihood, and R's own complementary log-log GLM.

Skipped where R or these packages are missing (`apt-get install r-cran-lme4 r-cran-survival`).
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from transforms.models.durations import share_in_job
from transforms.statistics.hazard import build_cells, fit_hazard
from transforms.statistics.random_effect import Linear, restricted_likelihood
from transforms.statistics.tally import tally


class R:
    """Runs a program in R over frames, which it finds by name, and returns the frame `out` that it leaves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, program: str, **frames: pd.DataFrame) -> pd.DataFrame:
        for name, frame in frames.items():
            frame.to_csv(self.folder / f"{name}.csv", index=False)
        read = "".join(f'{name} <- read.csv("{name}.csv")\n' for name in frames)
        write = '\nwrite.csv(format(out, digits = 17), "out.csv", row.names = FALSE)\n'
        ended = subprocess.run(
            ["Rscript", "--vanilla", "-e", read + program + write], cwd=self.folder, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
        return pd.read_csv(self.folder / "out.csv")


@pytest.fixture
def r(tmp_path: Path) -> R:
    """Return R where it is installed with what is asked of it."""
    wanted = "quit(status = !all(sapply(c('lme4', 'survival'), requireNamespace, quietly = TRUE)))"
    if shutil.which("Rscript") is None or subprocess.run(["Rscript", "-e", wanted], capture_output=True).returncode:
        pytest.skip("no R with lme4 and survival: apt-get install r-cran-lme4 r-cran-survival")
    return R(tmp_path)


@pytest.mark.long
def test_life_tables_are_those_of_survival(r: R) -> None:
    rng = np.random.default_rng(5)
    interval, horizon = rng.integers(1, 13, 400), 12
    kind = rng.choice([0, 1, 2], 400, p=[0.2, 0.5, 0.3])  # censored after it, job, left
    at_risk, jobs, left = (
        np.array([[(interval > t).sum() for t in range(horizon)]], dtype=np.float64),
        *(np.array([[((interval == t + 1) & (kind == k)).sum() for t in range(horizon)]]) for k in (1, 2)),
    )
    # Leaving comes before the jobs of an interval, the end of following after them.
    persons = pd.DataFrame({"moment": interval + np.select([kind == 0, kind == 2], [0.25, -0.5], 0.0), "kind": kind})
    theirs = r(
        """
        fit <- survival::survfit(survival::Surv(moment, factor(kind)) ~ 1, data = persons)
        jobs <- summary(fit, times = c(4, 8, 12))$pstate[, 2]
        out <- data.frame(share = jobs)
        """,
        persons=persons,
    )
    hazard, leaving = jobs / (at_risk - left), left / at_risk
    ours = [share_in_job(hazard, leaving, intervals)[0] for intervals in (4, 8, 12)]
    assert ours == pytest.approx(theirs["share"].tolist(), abs=1e-9)


@pytest.mark.long
def test_restricted_likelihood_is_that_of_lme4(r: R, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.statistics.random_effect.EXTRA_PENALTY", 0.0)
    monkeypatch.setattr("transforms.statistics.random_effect.DISPERSION_PENALTY", 0.0)
    rng = np.random.default_rng(11)
    unit, area = np.arange(98), rng.integers(0, 14, 98)
    x = rng.normal(size=98)
    variance = 0.02 * rng.lognormal(0, 1.2, 98)
    level = 0.5 - 0.3 * x + rng.normal(0, 0.2, 98) + rng.normal(0, 0.25, 14)[area]
    level += rng.normal(0, np.sqrt(2.5 * variance))
    given = pd.DataFrame({"level": level, "x": x, "area": area, "unit": unit, "weight": 1 / variance})
    theirs = r(
        """
        allowed <- lme4::lmerControl(check.nobs.vs.nlev = "ignore", check.nobs.vs.nRE = "ignore",
                                     optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10))
        fit <- lme4::lmer(level ~ x + (1 | unit) + (1 | area), given, weights = weight, control = allowed)
        spread <- as.data.frame(lme4::VarCorr(fit))
        of <- function(name) spread$vcov[spread$grp == name]
        out <- data.frame(own = of("unit"), area = of("area"), dispersion = of("Residual"),
                          b0 = lme4::fixef(fit)[1], b1 = lme4::fixef(fit)[2])
        """,
        given=given,
    ).iloc[0]
    components = {"own": np.eye(98), "area": (area[:, None] == area[None, :]) * 1.0}
    year = Linear(level, variance, np.column_stack([np.ones(98), x]), components)
    found, (model,) = restricted_likelihood([year], {"own": 0.04, "area": 0.04, "dispersion": 2.0})
    assert 1 < theirs["dispersion"] < 6
    for name, value in found.items():
        assert value == pytest.approx(theirs[name], abs=1e-4), name
    assert model.coefficients == pytest.approx([theirs["b0"], theirs["b1"]], abs=1e-4)


@pytest.mark.long
def test_the_hazard_is_the_glm_of_r(r: R) -> None:
    rng = np.random.default_rng(7)
    n, periods = 900, 6
    persons = pd.DataFrame({
        "municipality_code": rng.choice(["101", "147", "461"], n), "age": rng.normal(35, 10, n).round(),
        "is_woman": rng.random(n) < 0.5, "first": 0, "stop": rng.integers(1, periods + 1, n),
    })  # fmt: skip
    odds = 0.5 - 0.02 * (persons["age"] - 35) - 0.4 * persons["is_woman"]
    persons["has_event"] = rng.random(n) < odds.clip(0.05, 0.95)
    names = ["municipality_code", "first", "stop", "has_event", "age", "is_woman"]
    cells = build_cells(tally(persons, names), ["age", "is_woman"], periods)
    fit = fit_hazard(cells, random_effect=False)
    spans = persons.loc[persons.index.repeat(persons["stop"])].assign(
        period=lambda rows: rows.groupby(level=0).cumcount()
    )
    spans["event"] = (spans["has_event"] & (spans["period"] == spans["stop"] - 1)).astype(int)
    spans["age"] = (spans["age"] - spans["age"].mean()) / spans["age"].std(ddof=0)
    spans["sex"] = (spans["is_woman"] != persons["is_woman"].loc[spans.index].mode()[0]).astype(int)
    theirs = r(
        """
        fit <- glm(event ~ 0 + factor(period) + age + sex, binomial("cloglog"), spans,
                   control = list(epsilon = 1e-12, maxit = 100))
        out <- data.frame(b = coef(fit), se = sqrt(diag(vcov(fit))))
        """,
        spans=spans[["event", "period", "age", "sex"]],
    )
    ours = dict(zip(cells.names, fit.beta, strict=True))
    assert [*fit.baseline, *ours.values()] == pytest.approx(theirs["b"].tolist(), abs=1e-4)
    assert np.sqrt(np.diag(fit.covariance)) == pytest.approx(theirs["se"].to_numpy(), abs=1e-4)
