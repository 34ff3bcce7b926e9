"""Twenty at once: every command that writes or reads, from two users, on one data folder, for minutes.

Nothing may get lost, nothing may be published by halves, and who is refused is told so in one sentence.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from flows.cli.health import examine
from flows.run.record import records
from flows.settings import Settings
from tests.faults.kills import leftovers, whole
from tests.faults.tally import Tally
from tests.faults.users import OTHER, OWNER, Answer, User, answers, give
from tests.unit.deliveries.delivery_files import CASES, case_rows, csv_bytes

REFUSALS = {
    OWNER: (
        "another run is writing here (process ",
        "nothing new",
        "there is no earlier build to go back to",
        "already frozen",
    ),
    OTHER: ("cannot write to the data directory (Permission denied): it belongs to user", "PREFECT_HOME="),
}
"""What a user may be told in place of what was asked for."""
MUNICIPALITIES = ("840", "101", "461", "561", "751", "851", "147", "157", "159", "161")
ASKED = "SELECT (SELECT count(*) FROM mart.mapping) AS rows, (SELECT string_agg(run_id) FROM meta.run) AS run_id"


@dataclass
class Crowd:
    """Who is at work on a data folder, and what came of it."""

    data: Path
    origin: Path
    inbox: Path
    tally: Tally
    users: dict[int, User]
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    delivered: set[str] = field(default_factory=set)
    frozen: set[str] = field(default_factory=set)
    published: int = 0
    number: int = 0
    began: float = field(default_factory=time.monotonic)

    def next(self) -> int:
        """Return a number nobody else has."""
        with self.lock:
            self.number += 1
            return self.number

    def is_over(self, seconds: float) -> bool:
        """Return whether the time is up, for up to four times as long not before each kind of writing got through."""
        gone = time.monotonic() - self.began
        return gone >= 4 * seconds or (gone >= seconds and bool(self.published and self.delivered and self.frozen))

    def loop(self, work: Callable[[], object], pause: float, seconds: float, seed: int) -> None:
        """Do one thing again and again for so long, with a pause of up to so many seconds."""
        dice = random.Random(seed)
        while not self.is_over(seconds):
            time.sleep(dice.uniform(0, pause))
            try:
                work()
            except Exception as error:
                self.complain(f"{type(error).__name__}: {error}")

    def complain(self, complaint: str, *, wrong: bool = False, rows: int = 0) -> None:
        with self.lock:
            self.tally.fail(complaint[:500], wrong=wrong, rows=rows)

    def ask(self, uid: int, *words: str | Path, hurried: bool = False) -> Answer:
        """Run a command as a user, judge how it ended, and return its answer."""
        answer = self.users[uid].run(*words, "--data", self.data, hurried=hurried)
        who = f"{words[0]} of user {'one' if uid == OWNER else 'two'}"
        fault = answer.fault()
        nothing_new = answer.code == 3 and uid == OWNER  # said in silence where silence is asked for
        if not (fault or nothing_new or not answer.code or any(known in answer.sentence for known in REFUSALS[uid])):
            fault = f"exit {answer.code}: {answer.sentence}"
        if fault:
            self.complain(f"{who}: {fault}")
        with self.lock:
            self.ended[who, {0: "done", 3: "nothing new"}.get(answer.code, "refused")] += 1
            if not fault:
                self.tally.survive()
        return answer

    def run(self, *, hurried: bool) -> None:
        if self.ask(OWNER, "run", "--plain", "--force", "--from", self.origin, "--quiet", hurried=hurried).code == 0:
            with self.lock:
                self.published += 1

    def deliver(self) -> None:
        number = self.next()
        path = self.inbox / f"sager-{number}.csv"
        path.write_bytes(csv_bytes(CASES, case_rows(40 + number % 7, start=40 * number)))
        year = 2016 + number // len(MUNICIPALITIES) % 10
        municipality = MUNICIPALITIES[number % len(MUNICIPALITIES)]
        answer = self.ask(OWNER, "deliver", path, "-m", municipality, "--period", str(year), "--json")
        if answer.code == 0:
            with self.lock:
                self.delivered |= {receipt["delivery_id"] for receipt in json.loads(answer.out)}

    def freeze(self) -> None:
        name = f"nulpunkt-{self.next()}"
        if self.ask(OWNER, "freeze", name, "--quiet").code == 0:
            with self.lock:
                self.frozen.add(name)

    def read(self, uid: int) -> None:
        answer = self.ask(uid, "sql", ASKED, "--format", "json")
        if answer.code == 0:
            (row,) = json.loads(answer.out)
            if row["rows"] != 98 or "," in row["run_id"]:
                self.complain(f"a reader saw {row}", wrong=True)

    def actors(self) -> list[tuple[Callable[[], object], float]]:
        """Return what the twenty do, each with its pause, the indispensable ones first."""
        few: list[tuple[Callable[[], object], float]] = [
            (lambda: self.run(hurried=True), 6),
            (self.deliver, 0.5),
            (self.freeze, 0.5),
            (lambda: self.ask(OWNER, "rollback", "--quiet"), 2),
            (lambda: self.read(OTHER), 1),
            (lambda: self.ask(OTHER, "run", "--plain", "--from", self.origin), 3),
        ]
        return [
            *few,
            *few,
            (lambda: self.run(hurried=False), 30),
            (lambda: self.ask(OWNER, "fetch", "--from", self.origin, "--quiet"), 1),
            (lambda: self.ask(OWNER, "report", "--quiet"), 1),
            (lambda: self.ask(OWNER, "workbook", "--quiet"), 1),
            (lambda: self.ask(OWNER, "build", "--from", self.origin, "--quiet"), 30),
            (lambda: self.read(OWNER), 1),
            (lambda: self.ask(OTHER, "deliver", self.inbox / "sager-0.csv", "-m", "840"), 3),
            (lambda: self.ask(OTHER, "report"), 3),
        ]


def twenty_at_once(folder: Path, base: Path, origin: Path, seconds: float, actors: int = 20) -> Tally:
    """Let twenty commands of two users meet on one data folder for so long; then nothing may be missing."""
    tally = Tally(f"{actors} at once, two users")
    data, own = folder / "crowd", folder / "crowd-own"
    shutil.copytree(base, data, symlinks=True)
    (own / "keys").mkdir(parents=True)
    inbox = folder / "crowd-inbox"
    inbox.mkdir()
    (inbox / "sager-0.csv").write_bytes(csv_bytes(CASES, case_rows(40)))
    # Pruning is part of every publication; of so few builds it always takes one.
    env = {"KOMMUNEKORT_KEEP_BUILDS": "2", "KOMMUNEKORT_KEY_FILE": str(own / "keys" / "pseudonym.key")}
    users = {OWNER: User(OWNER, env), OTHER: User(OTHER)}
    if answers((OWNER, OTHER)):
        give(OWNER, data, own, inbox, origin)
    else:
        tally.name = f"{actors} at once (one user: only root can be two)"
        users = {OWNER: User(None, env), OTHER: User(None, env)}
        REFUSALS[OTHER] = REFUSALS[OWNER]
    assert users[OWNER].run("keygen", "--data", data).code == 0
    crowd = Crowd(data, origin, inbox, tally, users)
    threads = [
        threading.Thread(target=crowd.loop, args=(work, pause, seconds, seed))
        for seed, (work, pause) in enumerate(crowd.actors()[:actors])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    judge(crowd)
    return tally


def judge(crowd: Crowd) -> None:
    """Hold what the crowd has left against what it was told."""
    owner, data, tally = crowd.users[OWNER], crowd.data, crowd.tally
    settings = Settings(data=data, threads=1)
    tally.table += [(" ".join(what), f"{count} times", True) for what, count in sorted(crowd.ended.items())]
    if not (crowd.published and crowd.delivered and crowd.frozen):
        crowd.complain(f"{crowd.published} published, {len(crowd.delivered)} delivered, {len(crowd.frozen)} frozen")
    known = {record["run_id"] for record in records(settings)}
    if fault := whole(settings, known):
        crowd.complain(fault, wrong=True)
    if strays := leftovers(settings):
        crowd.complain(f"left behind {strays}")
    if working := [record["run_id"] for record in records(settings) if record["status"] in ("running", "crashed")]:
        crowd.complain(f"never ended: {working}")
    for delivery in sorted(crowd.delivered):
        if not (data / "receipts" / f"{delivery}.html").exists():
            crowd.complain(f"the receipt of {delivery} is gone", rows=1)
    for name in sorted(crowd.frozen):
        answer = owner.run("freeze", name, "--verify", "--data", data)
        if answer.code:
            crowd.complain(f"the baseline {name}: {answer.sentence}", rows=1)
    last = owner.run("run", "--plain", "--force", "--from", crowd.origin, "--quiet", "--data", data, hurried=True)
    if last.code:
        crowd.complain(f"the next run ended {last.code}: {last.sentence}")
    if crowd.users[OWNER].uid is not None:
        subprocess.run(["chown", "-R", f"{os.getuid()}:{os.getgid()}", str(data)], check=True)
    found = [fault.found for faults in examine(settings).values() for fault in faults]
    tally.table.append(("doctor after the crowd", "; ".join(found) or "nothing", True))
