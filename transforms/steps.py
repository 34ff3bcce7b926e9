"""The tables computed in Python: `model.<name>`, what each reads, and the function that makes it."""

from __future__ import annotations

from transforms.runner import Model


def python_models(suppression_threshold: int) -> dict[str, Model]:
    """Return model table -> how it is computed. `suppression_threshold` is the smallest count shown."""
    return {}
