from __future__ import annotations

import csv
from collections import Counter

from transforms.areas import REFERENCE, areas


def test_the_quotas_are_bitemporal_and_add_up_to_the_published_sums() -> None:
    with (REFERENCE / "quotas.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert len({(row["quota_year"], row["municipality_code"], row["announced_on"]) for row in rows}) == len(rows) == 43
    assert all(areas()[row["municipality_code"]].level == "municipality" for row in rows)
    assert Counter(row["status"] for row in rows) == {"final": 33, "preliminary": 10}
    sums: Counter[str] = Counter()
    for row in rows:
        sums[areas()[row["municipality_code"]].region_code] += int(row["quota"])
    # KKR Nordjylland and KKR Syddanmark, final (KL, 27 March 2015); Østjylland, preliminary, without a known day.
    assert sums == {"081": 1763, "083": 3015, "082": 1898}
    assert all(row["announced_on"] == ("2015-03-27" if row["status"] == "final" else "") for row in rows)
    assert all(row["source"].startswith("https://") for row in rows)
