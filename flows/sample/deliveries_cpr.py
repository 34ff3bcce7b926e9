"""Made-up CPR-like numbers for the invented people of the sample world.

No real person's number is meant. Away from 1 January every number fails the check digit, and such numbers have
not been issued for these birth dates, so they can be told from real ones. For births on 1 January numbers without
check digit do exist; there most of ours lack it too, as in the registers
(https://www.cpr.dk/cpr-systemet/personnumre-uden-kontrolciffer-modulus-11-kontrol/), and nothing but their origin tells
that they are invented.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from functools import partial

from transforms.pseudonym import birth_date, is_modulus11, sex_code

STEP = 7919  # prime, so that every serial comes once and neighbours look unrelated


def made_up_cpr(births: Sequence[date], sexes: Sequence[str]) -> list[str]:
    """Return a distinct ten-digit number for each person, true to birth date and sex (M, K), same every time."""
    waiting: dict[tuple[date, str], Iterator[str]] = {}
    numbers: list[str] = []
    for born, sex in zip(births, sexes, strict=True):
        key = (born, sex)
        if key not in waiting:
            waiting[key] = _candidates(born, sex)
        numbers.append(next(waiting[key]))
    return numbers


def _candidates(born: date, sex: str) -> Iterator[str]:
    start = f"{born:%d%m%y}"
    fits = partial(_fits, born, sex)
    all_numbers = (f"{start}{(step * STEP + born.toordinal()) % 10_000:04d}" for step in range(10_000))
    if (born.day, born.month) == (1, 1):
        return filter(fits, all_numbers)
    return filter(fits, (number for number in all_numbers if not is_modulus11(number)))


def _fits(born: date, sex: str, number: str) -> bool:
    return birth_date(number) == born and sex_code(number) == sex
