"""Each change in a child process of one that has collected the tests: its tests are run there, nothing is written.

A first child runs every test once and tells which lines of the modules each executes and how long it takes. A change is
then shown to the tests that execute its statement, those first that have noticed most for their time.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
import types
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import hypothesis
import pytest

from tests.mutation.changes import MODULES, ROOT, Mutant

FOLDERS = ("tests/unit/models", "tests/referee")
"""The fast tests that answer for the statistics."""
PATIENCE_SECONDS = 20
PATIENCE_FACTOR = 20
"""A test that takes so many times its time, and so many seconds more, hangs."""
HANGS = "hangs"


def try_all(wanted: Sequence[Mutant], tell: Callable[[Mutant, str], None]) -> None:
    """Try each change and tell the test that noticed it, empty when none did.

    Raises SystemExit when a test fails without any change.
    """
    hypothesis.settings.register_profile(
        "mutation",
        derandomize=True,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    plain = [
        "-o",
        "addopts=--strict-markers",
        "-s",
        "-m",
        "not long",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-p",
        "no:terminal",
    ]
    plugin = _Trial(wanted, tell)
    code = pytest.main([*plain, "--hypothesis-profile=mutation", *FOLDERS], plugins=[plugin])
    if code or not plugin.has_run:
        raise SystemExit("the tests do not pass as they are, or could not be collected")


class _Trial:
    """A plugin of pytest that runs the tests of each change in a child, in place of all of them once."""

    def __init__(self, wanted: Sequence[Mutant], tell: Callable[[Mutant, str], None]):
        self.wanted, self.tell = wanted, tell
        self.failed, self.has_run = False, False

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember that a test failed."""
        self.failed |= report.failed

    @pytest.hookimpl
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests."""
        items = {item.nodeid: item for item in session.items}
        traced = self._in_child(lambda: self._trace(list(items.values())), 0)
        if traced is None:
            raise SystemExit("a test fails without any change")
        credit: dict[str, float] = defaultdict(float)
        for mutant in self.wanted:
            running = [n for n, (_, lines) in traced.items() if _executes(mutant, lines)]
            running.sort(key=lambda n: traced[n][0] / (1 + credit[n]))
            chosen = [(items[n], traced[n][0]) for n in running]
            noticed_by = self._in_child(lambda mutant=mutant, chosen=chosen: self._try(mutant, chosen), 1)
            for name in credit:
                credit[name] *= 0.9
            if noticed_by:
                credit[noticed_by] += 5
            self.tell(mutant, noticed_by)
        self.has_run = True
        return True

    def _in_child(self, work: Callable[[], Any], patience: int) -> Any:
        """Return what work in a child of this process comes to; HANGS when a clock that it set ended it."""
        with tempfile.TemporaryFile() as answer:
            child = os.fork()
            if child == 0:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(PATIENCE_SECONDS * patience)  # till a test sets its own
                try:
                    nowhere = os.open(os.devnull, os.O_RDWR)
                    for stream in (0, 1, 2):
                        os.dup2(nowhere, stream)
                    answer.write(json.dumps(work()).encode())
                    answer.flush()
                finally:
                    os._exit(0)
            state = os.waitpid(child, 0)[1]
            if patience and os.WIFSIGNALED(state):
                return HANGS
            answer.seek(0)
            return json.loads(answer.read() or b'"ends"')

    def _run(self, item: pytest.Item, following: pytest.Item | None) -> bool:
        """Return whether a test passes."""
        self.failed = False
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        return not self.failed

    def _trace(self, items: Sequence[pytest.Item]) -> dict[str, tuple[float, dict[str, list[int]]]] | None:
        """Return per test its seconds and the lines it executes of each module, None when one fails."""
        files = {str(ROOT / module): module for module in MODULES}
        found: dict[str, tuple[float, dict[str, list[int]]]] = {}
        for item, following in zip(items, [*items[1:], None], strict=True):
            lines: dict[str, set[int]] = defaultdict(set)

            def within(frame: types.FrameType, event: str, _: Any, lines: Any = lines) -> Any:
                lines[files[frame.f_code.co_filename]].add(frame.f_lineno)
                return within

            def calls(frame: types.FrameType, event: str, _: Any, within: Any = within) -> Any:
                return within(frame, event, _) if frame.f_code.co_filename in files else None

            began = time.perf_counter()
            sys.settrace(calls)
            passes = self._run(item, following)
            sys.settrace(None)
            if not passes:
                return None
            found[item.nodeid] = (time.perf_counter() - began, {m: sorted(seen) for m, seen in lines.items()})
        return found

    def _try(self, mutant: Mutant, chosen: Sequence[tuple[pytest.Item, float]]) -> str:
        """Return the first test that fails on the changed module, empty when none does."""
        try:
            change(mutant)
        except Exception:
            return "import"
        for (item, seconds), (following, _) in zip(chosen, [*chosen[1:], (None, 0.0)], strict=True):
            signal.alarm(int(PATIENCE_SECONDS + PATIENCE_FACTOR * seconds))
            if not self._run(item, following):
                return item.nodeid
        return ""


def _executes(mutant: Mutant, lines: dict[str, list[int]]) -> bool:
    """Return whether a test that executes these lines may notice: what stands at a module's top, any that uses it."""
    own = lines.get(mutant.module, [])
    return bool(own) and (not mutant.span or any(line in mutant.span for line in own))


def change(mutant: Mutant) -> None:
    """Put the changed module's code and values into the loaded one, and wherever they were imported to."""
    name = mutant.module.removesuffix(".py").replace("/", ".")
    loaded = sys.modules[name]
    fresh = types.ModuleType(name)
    fresh.__file__ = loaded.__file__
    # Dataclasses look their module up by name while they are made.
    sys.modules[name] = fresh
    try:
        exec(compile(mutant.text, str(loaded.__file__), "exec"), vars(fresh))
    finally:
        sys.modules[name] = loaded
    for key, new in vars(fresh).items():
        old = vars(loaded).get(key)
        if getattr(old, "__module__", None) == name:
            _replace(old, new)
        elif key in mutant.names and isinstance(old, dict):
            old.clear()
            old.update(new)
        elif not key.startswith("__") and (key in mutant.names or (_is_plain(new) and old != new)):
            for module in list(sys.modules.values()):
                if getattr(module, "__dict__", {}).get(key) is old:
                    setattr(module, key, new)


def _replace(old: Any, new: Any) -> None:
    """Let a function, or every function of a class, do what the changed one does."""
    if isinstance(old, type):
        for key, value in vars(new).items():
            if key in vars(old):
                _replace(vars(old)[key], value)
                if _is_plain(value) and not key.startswith("__") and vars(old)[key] != value:
                    setattr(old, key, value)
        return
    for inner in ("__func__", "fget", "func", "__wrapped__"):
        if hasattr(old, inner):
            _replace(getattr(old, inner), getattr(new, inner))
    if isinstance(old, types.FunctionType):
        old.__code__, old.__defaults__, old.__kwdefaults__ = new.__code__, new.__defaults__, new.__kwdefaults__


def _is_plain(value: Any) -> bool:
    """Return whether a value is made of numbers and texts alone."""
    if isinstance(value, dict):
        return all(_is_plain(each) for pair in value.items() for each in pair)
    if isinstance(value, list | tuple | set | frozenset):
        return all(_is_plain(each) for each in value)
    return value is None or isinstance(value, int | float | str)
