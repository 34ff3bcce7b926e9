"""Tables of work: RAS200, RAS201, RAS302, RAS308, PEND100, PEND101, ERHV2."""

from __future__ import annotations

import numpy as np

from flows.sample import cubes_axes as axes
from flows.sample.cubes_ask import Ask
from flows.sample.cubes_axes import contract
from flows.sample.population import ANCESTRIES, EMPLOYED, OUTSIDE
from flows.sample.population_labour import COUNTRY_ANCESTRY
from flows.sample.world_areas import Floats, stream
from flows.sample.world_conditions import TEN_GROUP

# Wide age groups that the publisher added later: before their first year the cells hold no figure.
_LATER_AGES = {"16-65": 2020, "1666": 2022}
# Two of the publisher's groups end inside one of its own leaves, so their ages are spelled out here.
_WIDE_AGES = {"16-65": (16, 65), "1666": (16, 66)}
_ORIGIN_GROUP = {"30": (0,), "32": (1,), "34": (2,), "36": (3,), "38": (4,)}
_DESCENDANTS_PER_IMMIGRANT = {1: 3, 2: 4}


def rate(part: Floats, whole: Floats, factor: int = 100, decimals: int = 1) -> Floats:
    """Return factor × part / whole rounded half up to the decimals; NaN where the whole is 0."""
    step = 10**decimals
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, np.floor(factor * step * part / whole + 0.5 + 1e-9) / step, np.nan)


def ras201(ask: Ask, period: str) -> Floats:
    """Persons by area, labour market status, ancestry, age and sex, end of November."""
    counts, _ = ask.world.population.status(int(period))
    matrices = [ask.area("OMRÅDE"), ask.sex("KØN"), ask.age("ALDER"), ask.ancestry("HERKOMST"), ask.own("SOCIO")]
    return np.transpose(contract(counts, matrices), (0, 4, 3, 2, 1))


def ras200(ask: Ask, period: str) -> Floats:
    """Employment and activity rates in pct. by area, ancestry, age and sex, from the counts of RAS201."""
    counts, _ = ask.world.population.status(int(period))
    ages = ask.age("ALDER").copy()
    for row, code in enumerate(ask.selection["ALDER"]):
        if code in _WIDE_AGES:
            low, high = _WIDE_AGES[code]
            ages[row] = 0
            ages[row, low : high + 1] = 1
    cells = contract(counts, [ask.area("OMRÅDE"), ask.sex("KØN"), ages, ask.ancestry("HERKOMST"), None])
    cells = np.transpose(cells, (0, 3, 2, 1, 4))
    whole = cells.sum(axis=-1)
    part = {"BFK": cells[..., EMPLOYED], "EFK": whole - cells[..., OUTSIDE]}
    out = np.stack([rate(part[code], whole) for code in ask.selection["BEREGNING"]], axis=-1)
    for column, code in enumerate(ask.selection["ALDER"]):
        if int(period) < _LATER_AGES.get(code, 0):
            out[:, :, column] = np.nan
    return out


def ras302(ask: Ask, period: str) -> Floats:
    """Employed residents by area, industry, socio-economic group, age and sex, end of November."""
    cells = ask.world.labour.detailed(int(period))
    matrices = [
        ask.area("OMRÅDE"),
        ask.industry("BRANCHE07"),
        ask.own("SOCIO"),
        ask.age_group("ALDER"),
        ask.sex("KØN"),
    ]
    return contract(cells, matrices)


def ras308(ask: Ask, period: str) -> Floats:
    """Employed by country of origin, industry, socio-economic group, age and sex, whole country.

    A country is a share of its group's immigrants and, smaller, of its descendants.
    """
    year, labour = int(period), ask.world.labour
    cells = labour.origins(year)
    matrices = [None, ask.industry("BRANCHE07"), ask.own("SOCIO"), ask.age_group("ALDER"), ask.sex("KØN")]
    leaves = contract(cells, matrices)
    out = []
    for code in ask.codes("OPRINDLAND"):
        if code.code in COUNTRY_ANCESTRY:
            group, share = labour.country_share(code.code, year)
            young = share / _DESCENDANTS_PER_IMMIGRANT[group]
            out.append(np.floor(leaves[group] * share + leaves[group + 2] * young + 0.5))
        else:
            known = ask.known("OPRINDLAND")
            weights = axes.matrix([code], known, axes.lookup(_ORIGIN_GROUP), len(ANCESTRIES))
            out.append(contract(leaves, [weights, *[None] * 4])[0])
    return np.stack(out)


def pend100(ask: Ask, period: str) -> Floats:
    """Employed by area of residence, area of workplace (950 abroad) and sex, end of November."""
    flows = ask.world.labour.sums(int(period)).matrix
    return contract(flows, [ask.area("BOPKOM"), ask.area("ARBEJDSSTED"), ask.sex("KØN")])


def pend101(ask: Ask, period: str) -> Floats:
    """Employed by area, industry, direction of commuting and sex: night, in, out and day population."""
    sums = ask.world.labour.sums(int(period))
    night, day = sums.residents, sums.workers
    by_direction = {"NAT": night, "IND": day - sums.at_home, "UD": night - sums.at_home, "DAG": day}
    cells = np.stack([by_direction[code] for code in ask.leaves("PENDLING")], axis=2)
    return contract(cells, [ask.area("OMRÅDE"), ask.industry("BRANCHE07"), ask.own("PENDLING"), ask.sex("KØN")])


def erhv2(ask: Ask, period: str) -> Floats:
    """Workplaces and jobs by area of workplace and industry (ten groups), end of November."""
    world = ask.world
    sums = world.labour.sums(int(period))
    mains = sums.workers.sum(axis=2)
    groups = [str(number) for number in range(1, 12)]
    ten = np.array([[group == wanted for group in TEN_GROUP] for wanted in groups], dtype=float)
    mains = mains @ ten.T.astype(np.int64)
    abroad = sums.matrix[:, -1].sum()
    mains = np.vstack([mains, np.floor(abroad * ten.sum(axis=1) / ten.sum()).astype(np.int64)])
    offset = stream(world.seed, "jobs").random((2, *mains.shape))
    jobs = mains + np.floor(0.07 * mains + offset[0]).astype(np.int64) * (mains > 0)
    workplaces = np.where(jobs > 0, np.maximum(1, np.floor(jobs / 9.5 + offset[1])), 0)
    cells = np.stack([{"ARBSTED": workplaces, "ANSATTE": jobs}[code] for code in ask.leaves("TAL")], axis=2)
    if not ask.dimension("OMRÅDE").extra_codes:
        cells = cells[:-1]
    return contract(cells, [ask.area("OMRÅDE"), ask.own("BRANCHEDB0710", groups), ask.own("TAL")])
