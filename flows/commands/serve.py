"""serve: the schedule and the deployments, for a standing Prefect server."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from flows.console import DataOption, FromOption, out, settings_from
from flows.lock import prepare_folder
from flows.moments import TIMEZONE
from flows.settings import quiet_prefect
from transforms.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command of this module to the app."""
    app.command()(serve)


def serve(
    origin: FromOption = "sample",
    data: DataOption = None,
    cron: Annotated[str, typer.Option("--cron", help="When nightly runs, in Danish time.")] = "0 2 * * *",
    pool: Annotated[
        str | None, typer.Option("--pool", help="Register for the workers of this Prefect work pool, and end.")
    ] = None,
) -> None:
    """Run nightly on schedule, and fetch or build when asked. Example: kommunekort serve --from live"""
    from flows.origins import refuse_invented_over_real
    from flows.prefect_client import check_server

    settings = settings_from(data)
    prepare_folder(settings.root)
    refuse_invented_over_real(settings, origin)
    if not os.environ.get("PREFECT_API_URL"):
        raise UsageError(
            "serve needs a standing Prefect server: start `prefect server start`, "
            "then set PREFECT_API_URL=http://127.0.0.1:4200/api"
        )
    os.environ.setdefault("PREFECT_RUNNER_POLL_FREQUENCY", "5")
    quiet_prefect(settings.root / ".prefect")
    check_server()
    from flows import serve as serving

    if pool is not None:
        names = serving.register(settings, origin, cron, pool)
        out.print(f"registered for pool {pool}: {', '.join(names)}", soft_wrap=True, highlight=False)
        return
    out.print(
        f"serving nightly/nightly ({cron} {TIMEZONE}), fetch/fetch and build/build; Ctrl-C ends it",
        soft_wrap=True,
        highlight=False,
    )
    serving.serve(settings, origin, cron)
