"""The alarm: files in the data folder and a call to a webhook or a mailbox, until a good run takes it back.

Delivery is tried once and never hides the fault it tells of. Addresses and passwords are never written or logged.
"""

from __future__ import annotations

import json
import logging
import smtplib
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit

from flows.settings import Settings
from flows.snapshots import replace_synced

GOOD = ("published", "nothing_new")
BAD = ("refused", "failed", "crashed")
TIMEOUT_SECONDS = 5.0
logger = logging.getLogger(__name__)


def follow(settings: Settings, run_id: str, status: str, message: str) -> None:
    """Raise the alarm after a bad ending, take it back after a good one; other endings leave it as it is."""
    if status in GOOD:
        clear(settings)
    elif status in BAD:
        sound(settings, run_id, status, message)


def standing(settings: Settings) -> dict[str, Any] | None:
    """Return the alarm that stands (run_id, status, message, since, at), or None."""
    try:
        found = json.loads((settings.root / "ALARM.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {"run_id": "", "status": "failed", "message": "ALARM.json cannot be read", "since": "", "at": ""}
    return dict(found)


def sound(settings: Settings, run_id: str, status: str, message: str) -> dict[str, Any]:
    """Write `ALARM.json` and `ALARM.txt` and tell whoever is set to be told; return what was written.

    `since` is the first bad run of the row: it stays until a good run ends the alarm.
    """
    before = standing(settings) or {}
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    alarm: dict[str, Any] = {
        "run_id": run_id,
        "status": status,
        "message": without_secrets(settings, " ".join(message.split())),
        "since": before.get("since") or now,
        "at": now,
        "data": str(settings.root),
    }
    alarm["delivered"] = deliver(settings, alarm)
    try:
        replace_synced(settings.root / "ALARM.txt", sentence(alarm) + "\n")
        replace_synced(settings.root / "ALARM.json", json.dumps(alarm, ensure_ascii=False, indent=1) + "\n")
    except OSError as error:
        logger.warning("the alarm cannot be written in %s (%s)", settings.root, error.strerror)
    return alarm


def clear(settings: Settings) -> None:
    """Take the alarm back."""
    for name in ("ALARM.json", "ALARM.txt"):
        (settings.root / name).unlink(missing_ok=True)


def sentence(alarm: dict[str, Any]) -> str:
    """Return the alarm in one line."""
    return (
        f"kommunekort: run {alarm['run_id']} {alarm['status']} (alarm since {alarm['since']}): {alarm['message']}; "
        "what was published before stands"
    )


def without_secrets(settings: Settings, text: str) -> str:
    """Return the text with every configured secret starred, should an error message have quoted one."""
    kept = (settings.webhook_url, settings.smtp_url, settings.jobindsats_token)
    secrets = [secret.get_secret_value() for secret in kept if secret is not None]
    secrets += [part for part in (_password(secret) for secret in secrets) if part]
    for secret in secrets:
        if len(secret) > 3:
            text = text.replace(secret, "***")
    return text


def _password(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:
        return None


def deliver(settings: Settings, alarm: dict[str, Any]) -> dict[str, str]:
    """Send the alarm to the webhook and by e-mail where set; return channel -> `ok` or why not, free of addresses."""
    channels: dict[str, Callable[[], None]] = {}
    if settings.webhook_url is not None:
        channels["webhook"] = lambda: _call_webhook(settings, alarm)
    if settings.smtp_url is not None and settings.mail_to:
        channels["mail"] = lambda: _send_mail(settings, alarm)
    return {name: _tried(name, send) for name, send in channels.items()}


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


def _call_webhook(settings: Settings, alarm: dict[str, Any]) -> None:
    """POST the alarm as JSON, with `text` as the chat services read it. Redirects are not followed."""
    import httpx

    assert settings.webhook_url is not None
    body = {**alarm, "text": sentence(alarm)}
    with httpx.stream("POST", settings.webhook_url.get_secret_value(), json=body, timeout=TIMEOUT_SECONDS) as response:
        if not response.is_success:
            raise _NotAccepted(f"answered {response.status_code}")


def _send_mail(settings: Settings, alarm: dict[str, Any]) -> None:
    """Send one plain message; `smtps://` from the first byte encrypted, `smtp://` as soon as the server offers it."""
    assert settings.smtp_url is not None
    url = urlsplit(settings.smtp_url.get_secret_value())
    letter = EmailMessage()
    letter["Subject"] = f"kommunekort: run {alarm['run_id']} {alarm['status']}"
    letter["From"], letter["To"] = settings.mail_from, settings.mail_to
    letter.set_content(f"{sentence(alarm)}\n\nkommunekort status --data {alarm['data']}\n")
    tls = ssl.create_default_context()
    host, port = url.hostname or "localhost", url.port or 0
    with (
        smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=tls)
        if url.scheme == "smtps"
        else smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
    ) as server:
        server.ehlo()
        if url.scheme != "smtps" and server.has_extn("starttls"):
            server.starttls(context=tls)
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        server.send_message(letter)
