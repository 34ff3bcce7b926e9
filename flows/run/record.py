"""What a run did, kept in the ledger and told by the alarm however it ends.

One module, since record, ending and alarm are three views of the same run.
"""

from __future__ import annotations

import json
import logging
import re
import smtplib
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from flows.deliveries.store import Known
from flows.run.processes import Terminated, ended_in_time, stopped, uninterrupted
from flows.settings import Settings
from flows.store import builds
from flows.store.builds import from_option, is_gone, published_release, this_process
from flows.store.snapshots import is_moment, read_json, remove, replace_synced
from transforms.errors import DataRefused, KommunekortError, NothingNew, UsageError, fault_sentence, of_the_machine
from transforms.periods import utc_text


@dataclass(frozen=True)
class Ending:
    """One way for a run to end: what ledger, command, Prefect and alarm make of it."""

    status: str
    exit_code: int
    prefect_type: Literal["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]
    prefect_name: str
    alarm: Literal["raise", "clear", "leave"]


ENDINGS = {
    ending.status: ending
    for ending in (
        Ending("published", 0, "COMPLETED", "Completed", "clear"),
        Ending("nothing_new", NothingNew.exit_code, "COMPLETED", "NothingNew", "clear"),
        # nothing new was seen, but not everybody was heard, or nobody looked at what is published
        Ending("unconfirmed", NothingNew.exit_code, "COMPLETED", "NothingNew", "leave"),
        Ending("validated", 0, "COMPLETED", "Completed", "leave"),
        Ending("fetched", 0, "COMPLETED", "Completed", "leave"),
        Ending("refused", DataRefused.exit_code, "FAILED", "Refused", "raise"),
        Ending("failed", UsageError.exit_code, "FAILED", "Failed", "raise"),
        Ending("crashed", UsageError.exit_code, "CRASHED", "Crashed", "raise"),
        Ending("cancelled", 130, "CANCELLED", "Cancelled", "leave"),
    )
}
"""Every ending of a run, by its status in the ledger."""


def status_of(error: KommunekortError) -> str:
    """Return what a run is called that an expected error ended."""
    return {NothingNew.exit_code: "nothing_new", DataRefused.exit_code: "refused"}.get(error.exit_code, "failed")


def error_of(status: str, message: str) -> KommunekortError | None:
    """Return the error a command ends with after a run that ended so; None when its exit code is 0."""
    code = ENDINGS[status].exit_code
    kinds: dict[int, type[KommunekortError]] = {3: NothingNew, 2: DataRefused}
    error = kinds.get(code, UsageError)(message)
    error.exit_code = code
    return error if code else None


# The alarm: files in the data folder and a call to a webhook or a mailbox, until a good run takes it back.
#
# Delivery is tried once and never hides the fault it tells of. Addresses and passwords are never written or logged.


TIMEOUT_SECONDS = 5.0
logger = logging.getLogger(__name__)


def settle_alarm(
    settings: Settings, run_id: str, status: str, message: str, troubles: Mapping[str, str] | None = None
) -> None:
    """Raise the alarm, take it back or leave it, as the ending of a run asks for.

    `troubles` of single sources (source -> what is wrong) raise it after any ending: the night goes on without them.
    """
    alarm = ENDINGS[status].alarm
    told = "; ".join(f"{source}: {reason.rstrip('.')}" for source, reason in (troubles or {}).items())
    if alarm == "raise":
        raise_alarm(settings, run_id, status, f"{message}; {told}" if told and told not in message else message)
    elif told:
        raise_alarm(settings, run_id, status, told)
    elif alarm == "clear":
        clear(settings)


ALARM_KEYS = ("run_id", "status", "message", "since", "at")


def standing_alarm(settings: Settings) -> dict[str, Any] | None:
    """Return the alarm that stands (run_id, status, message, since, at), or None."""
    try:
        found = read_json(settings.root / "ALARM.json")
        return {**found, **{key: str(found[key]) for key in ALARM_KEYS}}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return dict.fromkeys(ALARM_KEYS, "") | {"status": "failed", "message": "ALARM.json cannot be read"}


def raise_alarm(settings: Settings, run_id: str, status: str, message: str) -> dict[str, Any]:
    """Write `ALARM.json` and `ALARM.txt` and tell whoever is set to be told; return what was written.

    `since` is the first bad run of the row: it stays until a good run ends the alarm.
    """
    before = standing_alarm(settings) or {}
    now = utc_text(datetime.now(UTC))
    alarm: dict[str, Any] = {
        "run_id": run_id,
        "status": status,
        "message": without_secrets(settings, " ".join(message.split())),
        "since": before.get("since") or now,
        "at": now,
        "data": str(settings.root),
    }
    write_alarm(settings, alarm)  # before anybody is told: who is killed meanwhile has left it at least
    alarm["delivered"] = send_alarm(settings, alarm)
    write_alarm(settings, alarm)
    return alarm


def write_alarm(settings: Settings, alarm: dict[str, Any]) -> None:
    """Write `ALARM.json` for programs and `ALARM.txt` for people."""
    try:
        replace_synced(settings.root / "ALARM.txt", sentence(alarm) + "\n")
        replace_synced(settings.root / "ALARM.json", json.dumps(alarm, ensure_ascii=False, indent=1) + "\n")
    except OSError as error:
        logger.warning("the alarm cannot be written in %s (%s)", settings.root, error.strerror)


def clear(settings: Settings) -> None:
    """Take the alarm back."""
    for name in ("ALARM.json", "ALARM.txt"):
        remove(settings.root / name)


def sentence(alarm: dict[str, Any]) -> str:
    """Return the alarm in one line."""
    status = alarm["status"]
    goes_on = status in ENDINGS and ENDINGS[status].alarm != "raise"  # the alarm is for single sources
    stands = "all other sources are up to date" if goes_on else "what was published before stands"
    return f"kommunekort: run {alarm['run_id']} {status} (alarm since {alarm['since']}): {alarm['message']}; {stands}"


def without_secrets(settings: Settings, text: str) -> str:
    """Return the text with every configured secret starred, should an error message have quoted one."""
    kept = (settings.webhook_url, settings.smtp_url, settings.jobindsats_token)
    secrets = [secret.get_secret_value() for secret in kept if secret is not None]
    for secret in list(secrets):
        with suppress(ValueError):
            secrets.append(urlsplit(secret).password or "")
    for secret in secrets:
        if len(secret) > 3:
            text = text.replace(secret, "***")
    return text


def send_alarm(settings: Settings, alarm: dict[str, Any]) -> dict[str, str]:
    """Send the alarm to the webhook and by e-mail where set; return channel -> `ok` or why not, free of addresses."""
    channels = {
        "webhook": (_call_webhook, settings.webhook_url),
        "mail": (_send_mail, settings.smtp_url if settings.mail_to else None),
    }
    return {
        name: _tried(name, partial(send, settings, address.get_secret_value(), alarm))
        for name, (send, address) in channels.items()
        if address is not None
    }


def _tried(name: str, send: Callable[[], None]) -> str:
    """Return `ok`, or the kind of fault only: its text may quote the address."""
    try:
        send()
    except Exception as error:
        told = str(error) if isinstance(error, _NotAccepted) else type(error).__name__
        logger.warning("the alarm was not delivered by %s (%s)", name, told)
        return told
    return "ok"


class _NotAccepted(Exception):
    """The receiver answered, but not with success."""


def _call_webhook(settings: Settings, address: str, alarm: dict[str, Any]) -> None:
    """POST the alarm as JSON, with `text` as the chat services read it. Redirects are not followed."""
    import httpx

    body = {**alarm, "text": sentence(alarm)}
    with httpx.stream("POST", address, json=body, timeout=TIMEOUT_SECONDS) as response:
        if not response.is_success:
            raise _NotAccepted(f"answered {response.status_code}")


def _send_mail(settings: Settings, address: str, alarm: dict[str, Any]) -> None:
    """Send one plain message; `smtps://` from the first byte encrypted, `smtp://` as soon as the server offers it."""
    url = urlsplit(address)
    letter = EmailMessage()
    letter["Subject"] = f"kommunekort: run {alarm['run_id']} {alarm['status']}"
    letter["From"], letter["To"] = settings.mail_from, settings.mail_to
    letter.set_content(f"{sentence(alarm)}\n\nkommunekort status --data {alarm['data']}\n")
    tls = ssl.create_default_context()
    connect = partial(smtplib.SMTP_SSL, context=tls) if url.scheme == "smtps" else smtplib.SMTP
    with connect(url.hostname or "localhost", url.port or 0, timeout=TIMEOUT_SECONDS) as server:
        server.ehlo()
        if url.scheme != "smtps" and server.has_extn("starttls"):
            server.starttls(context=tls)
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        server.send_message(letter)


# The run ledger `data/runs/<run id>.json`: one record per run, written when it starts and again when it ends.
#
# A run that was killed leaves a record that still says `running`. It is found by its process: number, start and boot.


RUN_ID = "%Y%m%dT%H%M%S%fZ"
LOOK_BACK = 50
"""Records searched for unfinished runs: fifty nights."""


def records(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the records of the ledger, newest first; a file that is no record is passed over."""
    for path in sorted(settings.runs.glob("*.json"), reverse=True):
        try:
            record = read_json(path)
        except (OSError, ValueError):
            continue
        if is_record(record, path.stem):
            yield record


def is_record(found: Any, run_id: str) -> bool:
    """Tell whether what a file of the ledger holds is the record of that run, as far as anybody reads it."""
    return (
        isinstance(found, dict)
        and found.get("run_id") == run_id
        and isinstance(found.get("status"), str)
        and isinstance(found.get("process") or {}, dict)
        and moment_of(run_id) is not None
        and all(is_moment(found.get(key)) for key in ("started_at", "ended_at"))
    )


def moment_of(run_id: str) -> datetime | None:
    """Return when a run started, as its id says; None when it is no run id."""
    with suppress(ValueError):
        return begun_at(run_id)
    return None


def begun_at(run_id: str) -> datetime:
    """Return when a run started, as its id says; ValueError when it is no run id."""
    return datetime.strptime(run_id, RUN_ID).replace(tzinfo=UTC)


def find_record(settings: Settings, run_id: str) -> dict[str, Any] | None:
    """Return the record of a run, or None when it is not there or not readable."""
    return next((record for record in records(settings) if record["run_id"] == run_id), None)


def of_flow_run(settings: Settings, flow_run_id: str) -> dict[str, Any] | None:
    """Return the record of a Prefect flow run, or None when it never came to one."""
    recent = islice(records(settings), LOOK_BACK)
    return next((record for record in recent if record.get("flow_run_id") == flow_run_id), None)


def is_good(record: dict[str, Any]) -> bool:
    """Tell whether a run of the ledger left published what should be."""
    ending = ENDINGS.get(str(record.get("status")))
    return ending is not None and ending.alarm == "clear"


def last_good(settings: Settings) -> dict[str, Any] | None:
    """Return the record of the newest run that ended well, or None."""
    return next((record for record in records(settings) if is_good(record)), None)


def unfinished(settings: Settings) -> list[dict[str, Any]]:
    """Return the recent records that say `running`, newest first."""
    return [record for record in islice(records(settings), LOOK_BACK) if record.get("status") == "running"]


def close(settings: Settings, record: dict[str, Any], status: str, message: str) -> None:
    """Write the ending of a run that could not write it itself, and follow it with the alarm where that tells of it."""
    ended = {**record, "status": status, "message": message, "ended_at": datetime.now(UTC).isoformat()}
    replace_synced(settings.runs / f"{record['run_id']}.json", json.dumps(ended, ensure_ascii=False, indent=1))
    if record.get("is_watched", True):
        settle_alarm(settings, str(record["run_id"]), status, message)


def reconcile(settings: Settings, *, alone: bool) -> list[str]:
    """Mark runs whose process has ended as crashed; return their run ids, oldest first.

    `alone` is the word of whoever holds the writer lock: no other run can be at work, whatever its record says.
    """
    lost = [record for record in unfinished(settings) if alone or is_gone(record.get("process") or {})]
    for record in reversed(lost):
        close(settings, record, "crashed", "the process ended without a word (killed, or the machine went down)")
    return [str(record["run_id"]) for record in reversed(lost)]


# A run as it was asked for, and the candidate it builds.


@dataclass(frozen=True)
class RunInfo:
    """One run: its id (sorts in the order of the runs), when it started, and what it was asked.

    `last_delivery` is given to a rebuild: the last line of the ledger of deliveries it may know. `until` is given to a
    baseline of a period: figures and deliveries that tell of later are left out.
    """

    run_id: str
    started_at: datetime
    origin: str
    as_of: datetime | None = None
    last_delivery: str | None = None
    until: date | None = None
    told: Mapping[str, str] = field(default_factory=dict)
    """Source -> what its fetch met: why its extract was not taken, or what is new at its publisher."""

    @property
    def known(self) -> Known:
        """Return which deliveries the run knows."""
        return Known(self.as_of, self.last_delivery, self.until)

    @classmethod
    def start(cls, settings: Settings, origin: str, as_of: datetime | None = None) -> RunInfo:
        """Return a new run, named by the moment it starts; after every known run even when the clock has gone back."""
        now = datetime.now(UTC)
        ids = [*(path.stem for path in settings.runs.glob("*.json")), *(b.run_id for b in builds.builds(settings))]
        last = max((moment for run_id in ids if (moment := moment_of(run_id)) is not None), default=now)
        named = _run_id(now)
        if named <= _run_id(last) and ids:
            named = _run_id(last + timedelta(milliseconds=1))
        return cls(named, now, origin, as_of)


def _run_id(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%S") + f"{moment.microsecond // 1000:03d}Z"


# What a fetch brought, source by source, in plain words.


@dataclass
class FetchReport:
    """What became of every source and of every file that is none: plain words for the summary."""

    new: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    kept_old: dict[str, str] = field(default_factory=dict)
    refused_files: dict[str, str] = field(default_factory=dict)
    taken: list[dict[str, Any]] = field(default_factory=list)
    """Per file of a folder: what it was taken for, why, what was assumed, and what it holds."""
    earlier: list[str] = field(default_factory=list)
    """Sources without a file in this folder, whose snapshot of an earlier one stays in force."""
    warnings: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    """Sources that never came and nobody waits for, for want of a token or since they ended: no fault of this run."""
    lasting: list[str] = field(default_factory=list)
    """Sources whose failure will be the same tomorrow: refused, gone, changed. Of the others waiting may cure it."""
    closed: dict[str, str] = field(default_factory=dict)
    """Source -> what is wrong for good though there is a snapshot: its table is closed."""
    notes: dict[str, list[str]] = field(default_factory=dict)
    """Source -> what is new at its publisher, left out or assumed, in words."""

    @property
    def troubles(self) -> dict[str, str]:
        """Return source -> what will be the same tomorrow unless somebody acts: no fault of the network."""
        return {**{source: self.failed[source] for source in self.lasting if source in self.failed}, **self.closed}

    @property
    def passing(self) -> list[str]:
        """Return the sources whose failure waiting may cure: no answer in time, a fault of the server."""
        return [source for source in self.failed if source not in self.lasting]

    @property
    def told(self) -> dict[str, str]:
        """Return source -> everything its fetch met, for those who read the publication."""
        notes = {source: "; ".join(lines) for source, lines in self.notes.items()}
        return {**notes, **self.failed, **self.closed}

    def outcome_of(self, source: str) -> str:
        """Return in words what a source that failed is left with."""
        return "missing" if source in self.missing else "kept the old snapshot of"

    @property
    def sentence(self) -> str:
        """Return how many sources brought something new, and how many did not."""
        kept = len(self.failed.keys() - set(self.missing))
        counts = f"new: {len(self.new)}, unchanged: {len(self.unchanged)}, missing: {len(self.missing)}"
        return f"{counts}, kept their last snapshot: {kept}"

    @property
    def failed(self) -> dict[str, str]:
        """Return source -> reason for those that were asked and did not answer as they should."""
        return {source: reason for source, reason in self.kept_old.items() if source not in self.unasked}

    @property
    def silent(self) -> bool:
        """Tell whether every source asked failed: then the fault is on the way, or in the address."""
        return bool(self.kept_old) and not self.new and not self.unchanged

    @property
    def silence(self) -> str:
        """Tell in words how many of the sources asked did not answer, and the first reason."""
        failed = self.failed or self.kept_old
        source, reason = next(iter(failed.items()))
        asked = len(failed) + len(self.new) + len(self.unchanged)
        told = (
            f"none of {asked} sources answered" if self.silent else f"{len(failed)} of {asked} sources did not answer"
        )
        return f"{told} (first {source}: {reason.rstrip('.')})"


_PLACE = re.compile(r"(row \d+: )?('[^']*': )?")


def grouped_reasons(refused: dict[str, str]) -> dict[str, list[str]]:
    """Return reason -> the files it holds for, each told once; what is a file's own (its name, row and value) stays."""
    grouped: dict[str, list[str]] = {}
    for name, sentence in refused.items():
        reason = sentence.removeprefix(f"{name.rpartition('/')[2]}: ")
        alike = [other for other in refused.values() if _kind(other) == _kind(sentence)]
        grouped.setdefault(_kind(sentence) if len(alike) > 1 else reason, []).append(name)
    return grouped


def _kind(sentence: str) -> str:
    """Return a reason without file, row and value, so that equal reasons can be told once."""
    return _PLACE.sub("", sentence.partition(": ")[2], count=1)


@dataclass
class RunResult:
    """What a run did, for the summary, the ledger and the artifacts."""

    run: RunInfo
    status: str = "running"
    message: str = ""
    warnings: list[str] = field(default_factory=list)
    """What was not as it should be, stopped nothing and was mended where that could be."""
    fetched: FetchReport = field(default_factory=FetchReport)
    receipts: dict[str, int] = field(default_factory=dict)
    counts: list[dict[str, Any]] = field(default_factory=list)
    tables: dict[str, int] = field(default_factory=dict)
    rules: list[dict[str, Any]] = field(default_factory=list)
    release: dict[str, Any] = field(default_factory=dict)
    taken_back: dict[str, str] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    """What the mapping holds: indicators per source and completeness (see Candidate.made)."""
    revisions: dict[str, Any] = field(default_factory=dict)
    database: str | None = None
    ages: dict[str, dict[str, Any]] = field(default_factory=dict)
    flow_run_id: str | None = None
    is_watched: bool = True
    """The alarm tells of it. It tells of nights: who builds as of a day, or validates, sees how it ends."""
    process: dict[str, Any] = field(default_factory=this_process)

    @property
    def troubles(self) -> dict[str, str]:
        """Return source -> what is wrong with it for good: refused, closed, standing still, or an extract not used."""
        return {**self.standing_still, **self.fetched.troubles, **self.taken_back}

    @property
    def standing_still(self) -> dict[str, str]:
        """Return source -> in words that its newest period has not moved for longer than it should."""
        return {source: age["standing_still"] for source, age in self.ages.items() if age.get("standing_still")}

    @property
    def ending(self) -> Ending:
        """Return how the run ended: `unconfirmed` when nothing new was seen, but not all of it.

        Such a run neither takes an alarm back nor tells that what is published is still what it should be.
        """
        unheard = self.status == "nothing_new" and self.fetched.failed
        return ENDINGS["unconfirmed" if unheard else self.status]

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON-able values."""
        run = {
            "run_id": self.run.run_id,
            "started_at": self.run.started_at.isoformat(),
            "origin": self.run.origin,
            "as_of": self.run.as_of.isoformat() if self.run.as_of else None,
        }
        told = {key: value for key, value in asdict(self).items() if key != "run"}
        if self.status == "running":
            return {**run, **told, "ended_at": None}
        return {**run, **told, "status": self.ending.status, "ended_at": datetime.now(UTC).isoformat()}


def record(settings: Settings, result: RunResult) -> Path:
    """Write the run into the ledger `data/runs/<run id>.json`; return the file, or raise UsageError."""
    path = settings.runs / f"{result.run.run_id}.json"
    try:
        replace_synced(path, json.dumps(result.as_dict(), ensure_ascii=False, indent=1, default=str))
    except OSError as error:
        raise UsageError(
            f"{settings.runs}: the ledger cannot be written ({error.strerror}); free space or check the rights"
        ) from None
    return path


@contextmanager
def recorded(settings: Settings, result: RunResult) -> Iterator[RunResult]:
    """Keep ledger and alarm in step with a run, however it ends; runs that were killed earlier are closed first.

    The caller holds the writer lock. What is raised inside goes on; when sources did not answer, told as what it is.
    """

    def stopped_by(stop: BaseException) -> None:
        signalled = stop if isinstance(stop, Terminated) else stopped()
        result.status, result.message = "cancelled", "interrupted before its end"
        if signalled is not None:
            result.status, result.message = "crashed", str(signalled)

    try:
        with uninterrupted():
            reconcile(settings, alone=True)
            record(settings, result)
    except (OSError, UsageError) as error:
        told = error if isinstance(error, UsageError) else of_the_machine(error)
        if result.is_watched:
            settle_alarm(settings, result.run.run_id, "failed", str(told))
        raise told from None
    except (Terminated, KeyboardInterrupt) as stop:
        stopped_by(stop)
        enter(settings, result)
        raise

    def last_words(number: int) -> None:
        if result.status in ("running", "cancelled", "crashed"):
            result.status, result.message = "crashed", str(Terminated(number))
            enter(settings, result)

    try:
        with ended_in_time(last_words):
            yield result
        judge_unanswered(result)
    except KommunekortError as error:
        result.status, result.message = status_of(error), str(error)
        if result.status == "nothing_new":  # what is published is still made without the extracts taken back then
            result.taken_back = dict((published_release(settings) or {}).get("taken_back") or {})
        judge_unanswered(result)
        if result.message == str(error):
            raise
        raise (UsageError if result.status == "failed" else type(error))(result.message) from None
    except OSError as error:
        told = of_the_machine(error)
        result.status, result.message = "failed", str(told)
        raise told from None
    except Exception as fault:
        result.status, result.message = "failed", fault_sentence(fault)
        raise
    except BaseException as stop:
        stopped_by(stop)
        raise
    finally:
        with uninterrupted():
            if result.status == "running":  # a second signal, or one while the ending was told
                stopped_by(KeyboardInterrupt())
            enter(settings, result)


def enter(settings: Settings, result: RunResult) -> None:
    """Write the ending of a run into the ledger, and let the alarm follow it."""
    try:
        record(settings, result)
    except UsageError as error:
        result.status, result.message = "failed", str(error)
    if result.is_watched:
        settle_alarm(settings, result.run.run_id, result.ending.status, result.message, result.troubles)


def judge_unanswered(result: RunResult) -> None:
    """Let what did not answer count in how a run ended: nothing new where nobody was heard is a failure.

    Else a network that is down for weeks would look like weeks without news.
    """
    fetched = result.fetched
    if fetched.silent and result.status in ("nothing_new", "unconfirmed"):
        result.status = "failed"
        cure = "see the network" if fetched.passing else "correct what it says"
        result.message = f"{fetched.silence}; {cure} and run again"
    elif fetched.silent and result.status in ("failed", "refused"):
        result.message = f"{fetched.silence}; {result.message}"
    elif result.status == "nothing_new" and fetched.passing:
        result.message = f"{result.message}; {fetched.silence}, so there may be news unseen"
    elif result.status == "nothing_new" and fetched.failed:
        told = "; ".join(f"{source}: {reason.rstrip('.')}" for source, reason in fetched.failed.items())
        result.message = f"{result.message}; {told}"


def origin_in_use(settings: Settings) -> str | None:
    """Return where the published data came from; else where the newest good run, or the newest, took its from."""
    release = published_release(settings) or {}
    record = last_good(settings) or next(records(settings), {})
    found = release.get("origin") or record.get("origin")
    return None if found is None else str(found)


def command(settings: Settings, name: str, *flags: str) -> str:
    """Return a command as it is typed for the data this folder holds: without `--from` the sample would come."""
    origin = origin_in_use(settings)
    chosen = [from_option(origin)] if origin not in (None, "sample") else []
    return " ".join(["kommunekort", name, *map(str, chosen), *flags])
