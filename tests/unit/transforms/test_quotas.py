from __future__ import annotations

import csv
from collections import Counter
from datetime import datetime

from tests.unit.models.sql_rows import Row, give, select, warehouse_with_reference
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


def quotas_known(as_of: datetime | None, *, synthetic: bool = False) -> list[Row]:
    """Return the announced quotas of Nordfyns and Aarhus a build of that day knows."""
    with warehouse_with_reference() as warehouse:
        give(warehouse, "run.run", "started_at as_of is_synthetic", [(datetime(2026, 1, 1), as_of, synthetic)])
        warehouse.execute("DELETE FROM reference.quotas")
        for row in (
            ("2015", "480", "90", "preliminary", "2014-10-01", "x"),
            ("2015", "480", "112", "final", "2015-03-27", "x"),
            ("2015", "751", "0", "final", "2015-03-27", "x"),
            ("2016", "480", "60", "preliminary", None, "x"),
        ):
            warehouse.execute("INSERT INTO reference.quotas VALUES (?, ?, ?, ?, ?, ?)", row)
        return select(warehouse, "core.measure_quotas", "area_code period value value_status")


def test_the_newest_announcement_by_the_day_counts() -> None:
    later = ("480", "2016", 60.0, "provisional")
    assert quotas_known(None) == [
        ("480", "2015", 112.0, "observed"), later, ("751", "2015", 0.0, "zero")
    ]  # fmt: skip
    assert quotas_known(datetime(2014, 12, 31)) == [("480", "2015", 90.0, "provisional")]
    assert quotas_known(datetime(2014, 1, 1)) == []


def test_real_quotas_never_meet_invented_figures() -> None:
    assert quotas_known(None, synthetic=True) == []
