"""Running the flow from a terminal: the server it needs, and Prefect kept from telling what the command tells."""

from __future__ import annotations

import logging
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.ahead import import_ahead
from transforms.errors import UsageError

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


def check_server() -> None:
    """Raise UsageError in one sentence when PREFECT_API_URL names a server that does not answer."""
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        return
    import httpx

    try:
        healthy = httpx.get(f"{url.rstrip('/')}/health", timeout=5.0).is_success
    except (httpx.HTTPError, httpx.InvalidURL):
        healthy = False
    if not healthy:
        raise UsageError(
            f"PREFECT_API_URL={url}: no Prefect server answers there; start it with `prefect server start`, "
            "unset the variable, or run with --plain"
        )


class _NoOutcomes(logging.Filter):
    """Drop Prefect's errors about the run, whose ending the command tells itself, and the warnings of libraries."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno < logging.ERROR and record.name != "py.warnings"


def flow_run_in_terminal(origin: str, data: Path, as_of: datetime | None, only: list[str], force: bool) -> State[Any]:
    """Run `nightly` here and return its final state; UsageError when Prefect itself cannot start."""
    from flows.nightly import nightly

    if not os.environ.get("KOMMUNEKORT_DEBUG"):
        for handler in logging.getLogger().handlers:
            handler.addFilter(_NoOutcomes())
    import_ahead()  # while the server starts, this process only waits
    try:
        return nightly(origin, data, as_of, only, force, return_state=True)
    except RuntimeError as error:
        if "ephemeral" not in str(error):
            raise
        raise UsageError("Prefect's own server did not start; run with --plain, or see `kommunekort doctor`") from None
