"""How things stand in one data folder, as plain values: for `status`, `doctor` and whatever watches from outside."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Any

from flows import alarms, freshness, ledger
from flows.origins import command, published_release
from flows.publish import builds, current
from flows.serve import served
from flows.settings import Settings
from flows.snapshots import SnapshotStore, newest_of_all
from transforms.catalogue import load_catalogue

LAST_RUNS = 5


def status_facts(settings: Settings, now: datetime | None = None) -> dict[str, Any]:
    """Return what is published, how old it and its sources are at `now`, the last runs, and every fault in a sentence.

    Sources are judged as the publication knows them: the newest snapshot of its kind (synthetic or real), and for a
    publication as of a day, on that day.
    """
    now = now or datetime.now(UTC)
    build = current(settings)
    release = published_release(settings) or {}
    good = ledger.last_good(settings)
    published_at = moment_of(build.run_id) if build else None
    confirmed = good["ended_at"] if good else published_at
    sources = source_facts(settings, release, now)
    facts: dict[str, Any] = {
        "published": str(build.path) if build else None,
        "run_id": build.run_id if build else None,
        "is_synthetic": bool(release.get("is_synthetic")),
        "published_at": published_at.isoformat() if published_at else None,
        "publication_age_days": freshness.age_in_days(published_at, now) if published_at else None,
        "confirmed_at": confirmed,
        "max_publication_age_days": settings.max_publication_age_days,
        "last_good_run": good["run_id"] if good else None,
        "builds": [kept.run_id for kept in builds(settings)],
        "sources": sources,
        "sources_ok": sum(1 for source in sources if source["status"] == "ok"),
        "sources_old": sum(1 for source in sources if source["status"] == "too old"),
        "sources_missing": sum(1 for source in sources if source["status"] == "missing"),
        "last_runs": [run_line(record) for record in islice(ledger.records(settings), LAST_RUNS)],
        "alarm": alarms.standing(settings),
        "schedule": schedule_facts(settings, now),
    }
    return {**facts, "faults": list(faults_of(settings, facts, now))}


def moment_of(run_id: str) -> datetime | None:
    """Return when a run started, as its id says, or None."""
    try:
        return datetime.strptime(run_id, "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC)
    except ValueError:
        return None


FETCHED = ("statbank", "jobindsats")


def source_facts(settings: Settings, release: dict[str, Any], now: datetime) -> list[dict[str, Any]]:
    """Return one row per fetched source: newest snapshot, age in days, age allowed, and ok, too old or missing.

    Deliveries come when they come, and the project's own tables do not come at all.
    """
    as_of = datetime.fromisoformat(release["as_of"]) if release.get("as_of") else None
    catalogue = load_catalogue()
    synthetic = bool(release.get("is_synthetic"))
    newest = newest_of_all(SnapshotStore(settings.snapshots), catalogue.sources, as_of, synthetic=synthetic)
    ages = freshness.source_ages(catalogue.sources, newest, as_of or now)
    rows = []
    for source_id, source in sorted(catalogue.sources.items()):
        if source.connector not in FETCHED:
            continue
        age = ages.get(source_id)
        state = "missing" if age is None else "too old" if age.too_old else "ok"
        rows.append(
            {
                "source_id": source_id,
                "snapshot": newest[source_id].path.name if age else None,
                "age_days": age.age_days if age else None,
                "max_age_days": source.max_age_days,
                "status": state,
            }
        )
    return rows


def run_line(record: dict[str, Any]) -> dict[str, Any]:
    """Return what is shown of a run; one that says `running` without a process has crashed."""
    lost = record["status"] == "running" and ledger.is_gone(record.get("process") or {})
    return {
        **{key: record.get(key) for key in ("run_id", "origin", "message")},
        "status": "crashed" if lost else record["status"],
    }


def schedule_facts(settings: Settings, now: datetime) -> dict[str, Any] | None:
    """Return the schedule kept here, by whom, and the next run; None when it is not set up."""
    note = served(settings)
    if note is None:
        return None
    due = freshness.next_run(note["cron"], note["timezone"], now)
    return {
        "cron": note["cron"],
        "timezone": note["timezone"],
        "is_served": not note["is_gone"],
        "served_since": note["started_at"],
        "kept_by": note.get("kept_by", "kommunekort serve"),
        "next_run": due.isoformat() if due else None,
    }


def faults_of(settings: Settings, facts: dict[str, Any], now: datetime) -> list[str]:
    """Return one sentence, with its cure, per thing that is wrong."""
    faults = []
    cure = command(settings, "run")
    if facts["alarm"] is not None:
        told = alarms.sentence(facts["alarm"]).removeprefix("kommunekort: ")  # whoever prints a fault says that
        faults.append(f"{told}; run `{cure}` when its cause is gone")
    faults += [
        f"run {run['run_id']} ended without a word (killed, or the machine went down); run `{cure}`"
        for run in facts["last_runs"][:1]
        if run["status"] == "crashed" and facts["alarm"] is None
    ]
    stale = freshness.publication_fault(facts["confirmed_at"], settings.max_publication_age_days, now, cure)
    if stale is not None and facts["published"]:
        faults.append(stale)
    faults += [
        f"{source['source_id']}: the newest snapshot is {source['age_days']} days old, more than "
        f"{source['max_age_days']}; fetch it again, or ask its producer"
        for source in facts["sources"]
        if source["status"] == "too old"
    ]
    schedule = facts["schedule"]
    if schedule is not None and not schedule["is_served"]:
        faults.append(f"nobody keeps the schedule ({schedule['cron']}): `kommunekort serve` was killed; start it again")
    return faults
