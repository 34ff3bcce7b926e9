"""The `kommunekort` command. Exit codes: 0 done, 1 program or usage error, 2 data refused, 3 nothing new."""

from __future__ import annotations

import os

# On matrices as small as ours a second thread of linear algebra only spins, and the last digits depend on the threads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TextIO

from flows.run import processes
from flows.run.processes import Terminated

with processes.nothing_to_tell():
    import typer

    from flows.cli import health, look, manage, run
    from flows.settings import keep_loopback_direct
    from transforms.errors import KommunekortError, NothingNew, UsageError, fault_sentence, of_the_machine

app = typer.Typer(
    name="kommunekort",
    help="Kortlægning af kommunernes afsæt, organisering og rammevilkår: "
    "build, check and publish the mapping of the Danish municipalities.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    *(run.run, run.fetch, run.build, run.validate, run.publish, run.rollback),
    *(look.report, look.workbook, look.describe, look.profile),
    *(manage.deliver, manage.keygen, manage.forget),
    *(health.sources, health.status, look.sql),
    *(manage.freeze, manage.compare, manage.new_source, manage.serve),
    health.doctor,
):
    app.command(command.__name__.replace("_", "-"))(command)


def main() -> NoReturn:
    """Run the command; whatever fails as foreseen ends in one sentence and its exit code."""
    prepare_streams()
    processes.raise_on_signals()
    os.umask(os.umask(0o022) | 0o022)  # what is written here is nobody else's to change
    keep_loopback_direct()
    try:
        Path.home()
    except RuntimeError:  # neither HOME nor an entry in passwd: what lies there is not there
        os.environ["HOME"] = "/nonexistent"
    try:
        with processes.ended_in_time(_tell_of_signal):
            code = _code_of_command()
        processes.end_at_once_on_signals()
    except (SystemExit, Exception):  # with KOMMUNEKORT_DEBUG whatever nobody foresaw
        raise
    except BaseException as stop:
        _stopped(stop)
    sys.exit(code)


def _code_of_command() -> int:
    try:
        if "" in sys.argv[1:]:
            raise UsageError("an argument is empty: a variable of the shell that is not set? Give it, or leave it out")
        ended = app(standalone_mode=False)
        sys.stdout.flush()
        # A command that raises typer.Exit comes back here with its code.
        return ended if isinstance(ended, int) else 0
    except BrokenPipeError:
        # Whoever read the output has had enough (`| head`); what is left must not be flushed into the closed pipe.
        _drop_output()
        return 0
    except KommunekortError as error:
        _tell(str(error), sys.stdout if isinstance(error, NothingNew) else sys.stderr)
        return error.exit_code
    except typer.Abort:
        return 1
    except OSError as error:
        _drop_output()
        _tell(str(of_the_machine(error)))
        return 1
    except Exception as error:
        return _unforeseen(error)


def _drop_output() -> None:
    """Let what is still to be printed go nowhere, where it cannot be: Python would try once more as it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def prepare_streams() -> None:
    """Let what is printed go out whatever the terminal can show; a closed stream swallows it."""
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            with suppress(OSError):  # what is opened next would else take the place of the closed stream
                while os.open(os.devnull, os.O_RDWR) < number:
                    pass
            setattr(sys, name, open(os.devnull, "w" if number else "r", encoding="utf-8"))  # noqa: PTH123, SIM115
        elif number and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _stopped(stop: BaseException) -> NoReturn:
    """Tell that a signal has ended the command, and end it at once: nothing that is still at work is waited for."""
    signalled = stop if isinstance(stop, Terminated) else processes.stopped()
    number = signalled.number if signalled else getattr(stop, "signal", None) or signal.SIGINT
    _tell_of_signal(number if signalled else None)
    os._exit(128 + number)


def _tell_of_signal(number: int | None) -> None:
    told = f"stopped by {signal.Signals(number).name}" if number else "interrupted"
    with suppress(OSError, ValueError):
        print(f"kommunekort: {told}; what was published before stands", file=sys.stderr, flush=True)


def _unforeseen(error: Exception) -> int:
    """Tell a usage error of the command line as it is, a fault of the program with where to look."""
    show = getattr(error, "format_message", None)
    if callable(show):
        _tell(f"{show()} (see `kommunekort --help`)")
        return 1
    if os.environ.get("KOMMUNEKORT_DEBUG"):
        raise error
    _tell(f"{fault_sentence(error)}; what was published before stands; set KOMMUNEKORT_DEBUG=1 to see where")
    return 1


def _tell(text: str, stream: TextIO | None = None) -> None:
    """Print how a command ended, without what may be a CPR number: somebody typed it, or a file was named by it."""
    from flows.deliveries.keys import mask_written

    print(f"kommunekort: {mask_written(' '.join(text.splitlines()))}", file=stream or sys.stderr)


if __name__ == "__main__":
    main()
