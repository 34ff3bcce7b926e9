"""Heavy imports read ahead in a thread, while the process waits for a server or for DuckDB."""

from __future__ import annotations

import threading
from importlib import import_module

HEAVY = ("great_expectations", "statsmodels.api", "sklearn.linear_model", "flows.sample.standin")
"""What takes seconds to import and every build needs."""


def import_ahead() -> None:
    """Begin the heavy imports in the background; whoever needs one meanwhile waits for it as for any import."""
    threading.Thread(target=_import_all, daemon=True, name="imports").start()


def _import_all() -> None:
    for name in HEAVY:
        import_module(name)
