"""One frozen Settings for the whole program; nothing else reads the environment."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import date
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from transforms.errors import UsageError

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "KOMMUNEKORT_"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""What this computer calls itself."""
# Read beside the settings: whether errors are shown with their trace; two for the tests only.
ALSO_READ = frozenset({"KOMMUNEKORT_DEBUG", "KOMMUNEKORT_REAL"})


class _Below:
    """A place in the data folder."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, settings: Settings, _: type) -> Path:
        return settings.root / self.name


class DataFolder:
    """What lies in the data folder, and where."""

    snapshots = _Below("snapshots")
    """The raw layer."""
    builds = _Below("builds")
    """The built databases."""
    published = _Below("kommunekort.duckdb")
    """What analysts open: a symbolic link to the newest published build."""
    exports = _Below("exports")
    """Parquet and workbook exports."""
    report = _Below("report")
    """The HTML report."""
    receipts = _Below("receipts")
    """The delivery receipts."""
    restricted = _Below("restricted")
    """Person-level data (mode 0700)."""
    runs = _Below("runs")
    """The run records."""
    baselines = _Below("baselines")
    """The frozen baselines."""
    comparisons = _Below("comparisons")
    """What comparisons with them gave."""
    work = _Below(".work")
    """What a run that is at work is building."""
    candidate = _Below(".work/candidate.duckdb")
    """The database being built there."""
    refused = _Below("refused.duckdb")
    """The last build that broke a critical rule."""


class Settings(DataFolder, BaseSettings):
    """What can be set, by `KOMMUNEKORT_<NAME>` in the environment or by a flag of the command.

    An empty variable is one that is not set. UsageError for a variable of that prefix that names no setting.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    data: Path = Field(Path("data"), description="Folder of everything the program writes")
    key_file: Path = Field(
        Path("~/.config/kommunekort/pseudonym.key"), description="Key of the pseudonyms, outside `data`"
    )
    threads: int = Field(2, ge=1, description="Threads DuckDB may use")
    memory_limit: str = Field(
        "2GB", pattern=r"^[1-9]\d*(\.\d+)? ?[KMGT]i?B$", description="Memory DuckDB may use, such as 2GB or 800MB"
    )
    workers: int = Field(1, ge=1, description="Processes that count persons and read deliveries side by side")
    dask: str | None = Field(
        None, description="Scheduler of a Dask cluster whose workers count persons: tcp://host:8786 or tls://host:8786"
    )
    keep_builds: int = Field(5, ge=1, description="Published databases kept for rollback")
    keep_snapshots: int = Field(30, ge=1, description="Newest snapshots kept of each source, beside those in use")
    # Personal data are kept no longer than a rebuild needs them; frozen baselines keep theirs, see flows/run/night.py.
    keep_superseded_days: int = Field(
        730, ge=0, description="Days the person rows of a superseded delivery are kept to build the past again"
    )
    # Disclosure control, see transforms/disclosure.py; the first three rule every figure made of person rows.
    suppression_threshold: int = Field(5, ge=3, description="No smaller count of persons is published")
    minimum_denominator: int = Field(15, ge=1, description="No share or model figure over fewer persons is published")
    # Below 4 a count shown as 0 would be known to within one; releases of bases 4 and 9 side by side tell counts of 8.
    rounding_base: int = Field(
        5, ge=5, multiple_of=5, description="Counts of persons are rounded to multiples of this: 5, 10, 15 …"
    )
    least_rate_denominator: int = Field(
        20, ge=1, description="No rate of a register's counts over fewer is published: it is noise"
    )
    statbank_url: str = Field("https://api.statbank.dk/v1", description="Base of the StatBank API")
    jobindsats_url: str = Field("https://api.jobindsats.dk/v3", description="Base of the Jobindsats API")
    jobindsats_token: SecretStr | None = Field(None, description="Token of the Jobindsats API")
    contact: str = Field("", description="Contact address shown to the APIs in the User-Agent")
    boundaries: Path | None = Field(None, description="GeoJSON of the municipalities for the report's map")
    boundaries_source: str = Field("", description="Whom the report's map credits for those boundaries")
    pdf: bool = Field(False, description="Print every profile to a PDF as well, with the Chromium that is installed")
    chromium: Path | None = Field(None, description="The Chromium that prints them, when it is not on the path")
    files_as: tuple[str, ...] = Field(
        (), description="What files of a folder are, as a JSON list of FILE=TABLE (the option --as of run and fetch)"
    )
    sample_seed: int = Field(2016, description="Seed of the sample world")
    sample_url: str | None = Field(
        None, description="Base of a running stand-in (python -m flows.sample.standin); else a run starts its own"
    )
    sample_vintage: date | None = Field(None, description="The sample world as it was known on this day")
    webhook_url: SecretStr | None = Field(None, description="Address the alarm is posted to as JSON when a run fails")
    smtp_url: SecretStr | None = Field(None, description="Mail server of the alarm: smtp[s]://user:password@host:port")
    mail_to: str | None = Field(None, description="Who gets the alarm by e-mail")
    mail_from: str = Field("kommunekort@localhost", description="Sender of the alarm's e-mail")
    max_publication_age_days: int = Field(
        7, ge=1, description="Days after which a publication that no good run has confirmed is too old"
    )
    drop_folder: Path | None = Field(None, description="Folder watched for municipal deliveries")

    @model_validator(mode="before")
    @classmethod
    def _refuse_misspelt(cls, values: Any) -> Any:
        """Refuse variables that would rule nothing: a threshold misspelt is a threshold not kept."""
        known = {f"{PREFIX}{name.upper()}" for name in cls.model_fields} | ALSO_READ
        for name in sorted(os.environ):
            if name.upper().startswith(PREFIX) and name.upper() not in known:
                near = get_close_matches(name.upper(), known, n=1)
                meant = f"; did you mean {near[0]}?" if near else "; `kommunekort doctor` lists the settings"
                raise UsageError(f"{name}: no such setting{meant}")
        return values

    @model_validator(mode="after")
    def _refuse_open(self) -> Settings:
        """Refuse a model's figure over so few that the rounded number of them may stand for one or two persons."""
        if self.minimum_denominator < 2 * self.rounding_base:
            raise UsageError(
                f"{PREFIX}MINIMUM_DENOMINATOR={self.minimum_denominator}: must be at least twice "
                f"{PREFIX}ROUNDING_BASE={self.rounding_base}; set it to {2 * self.rounding_base} or more"
            )
        return self

    @cached_property
    def root(self) -> Path:
        """Return the absolute data folder."""
        try:
            root = self.data.expanduser().resolve()
        except (OSError, RuntimeError) as error:
            raise UsageError(
                f"--data {self.data}: cannot be told where that is ({error}); give a whole path, from / on"
            ) from None
        if re.search("[?\ud800-\udfff]", str(root)):  # DuckDB would take the rest for something else, or fail
            raise UsageError(f"--data {root}: DuckDB wants plain text, not a name with a question mark; take another")
        with suppress(PermissionError):  # whose folder it is, is told by who writes there
            there = next(path for path in (root, *root.parents) if path.exists())
            if not there.is_dir():
                raise UsageError(f"{root}: the data directory cannot be there: {there} is no folder; choose another")
        return root


def quiet_prefect(home: Path) -> None:
    """Set Prefect's defaults before it is imported: no telemetry, own home, patient start.

    Settings in pyproject.toml count only when the working directory is the repository's root, hence here.
    What the user has set in the environment wins. The home is made here, since its server cannot start without.
    Leases are kept in files: with those in its memory a server that restarts would stop the run that renews one.
    """
    chosen = Path(os.environ.setdefault("PREFECT_HOME", str(home)))
    try:
        chosen = chosen.expanduser()
        chosen.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = chosen / f".write-probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except (OSError, RuntimeError) as error:
        raise UsageError(
            f"PREFECT_HOME={chosen}: cannot be written ({getattr(error, 'strerror', None) or error}); set it to a "
            "folder that can, unset it, or run with --plain"
        ) from None
    keep_loopback_direct()
    debug = bool(os.environ.get("KOMMUNEKORT_DEBUG"))
    defaults = {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_LOGGING_LEVEL": "INFO",  # what a run tells of its steps is kept with the run
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO" if debug else "WARNING",
        "GX_ANALYTICS_ENABLED": "False",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def keep_loopback_direct() -> None:
    """Let what runs on this computer be reached directly where a proxy is set for the rest (`HTTP_PROXY`)."""
    for name in ("NO_PROXY", "no_proxy"):
        known = [part for part in os.environ.get(name, "").split(",") if part.strip()]
        missing = [host for host in LOOPBACK if host not in known]
        os.environ[name] = ",".join([*known, *missing])


def settings_from(data: Path | str | None) -> Settings:
    """Return the settings, with a data folder before the environment's; UsageError naming what is wrong."""
    try:
        return Settings() if data is None else Settings(data=Path(data))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]).upper()
        field = Settings.model_fields.get(str(first["loc"][0])) if first["loc"] else None
        meant = f" ({field.description})" if field else ""
        raise UsageError(f"KOMMUNEKORT_{name}: {first['msg']}{meant}") from None
