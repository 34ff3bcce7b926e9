"""Where in a YAML file a value stands, so that an error can name the line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from transforms.errors import UsageError

# The parser in C reads all source files in a tenth of a second instead of one.
if TYPE_CHECKING or not yaml.__with_libyaml__:
    from yaml import SafeLoader
else:
    from yaml import CSafeLoader as SafeLoader

__all__ = ["SafeLoader", "YamlFile"]

Location = Sequence[int | str]


class YamlFile:
    """A parsed YAML mapping that still knows its lines."""

    def __init__(self, path: Path, shown_as: str):
        """Read `path`; UsageError with the line when it is no YAML mapping or gives a key twice."""
        self.shown_as = shown_as
        text = path.read_text(encoding="utf-8")
        try:
            self._root = yaml.compose(text, Loader=SafeLoader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or "cannot be read as YAML"
            raise UsageError(f"{shown_as}:{mark.line + 1 if mark else 1}: {problem}") from None
        if not isinstance(self._root, yaml.MappingNode):
            raise UsageError(f"{shown_as}:1: expected `key: value` lines at the top")
        _refuse_double_keys(self._root, shown_as)
        self.data = yaml.load(text, Loader=SafeLoader)

    def error(self, location: Location, message: str) -> UsageError:
        """Return the error to raise for the value at `location`, with file and line."""
        return UsageError(f"{self.shown_as}:{self.line(location)}: {message}")

    def line(self, location: Location) -> int:
        """Return the line of the value at `location`, or of its nearest parent that exists."""
        node: yaml.Node | None = self._root
        line = 1
        for part in location:
            if isinstance(node, yaml.MappingNode):
                entry = next((pair for pair in node.value if pair[0].value == part), None)
                if entry is None:
                    break
                line, node = entry[0].start_mark.line + 1, entry[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
            else:
                break
        return line


def _refuse_double_keys(node: yaml.Node, shown_as: str) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_double_keys(item, shown_as)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise UsageError(f"{shown_as}:{key.start_mark.line + 1}: `{key.value}` is given twice; keep one")
            seen.add(key.value)
            _refuse_double_keys(value, shown_as)
