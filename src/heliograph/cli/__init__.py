"""The command line `heliograph`; its commands: list, train, sweep, evaluate, record, protocol, replay, render, ..."""

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from heliograph.cli.arguments import build_parser
from heliograph.cores import patient_threads
from heliograph.rllib.failures import RunError, exit_called

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 1: a run failed, 2: the user got something wrong, 130: interrupted."""
    given = build_parser().parse_args(arguments)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    patient_threads()
    try:
        with _interruptible():
            _run(given)
    except (ValueError, FloatingPointError, OSError) as error:
        if given.debug:
            raise
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"heliograph {given.command}: error: {_one_line(error)}", file=sys.stderr)
        return 2
    except RunError as error:
        if given.debug:
            raise
        print(f"heliograph {given.command}: error: {error}", file=sys.stderr)
        return 1
    except SystemExit as error:  # of a user's code, which else would end the command without a word
        if given.debug:
            raise
        print(f"heliograph {given.command}: error: {exit_called(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM interrupt, in the background of a shell script too, where Python would ignore the first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(given: Any) -> None:
    sys.path.insert(0, os.getcwd())  # so that names like my_module:MyEnv are found, as under `python -m`
    with contextlib.redirect_stdout(sys.stderr) if given.json else contextlib.nullcontext():  # Ray may print
        result, show = _command(given.command)(given)
    if given.json:
        from heliograph.cli.shown import jsonable

        print(json.dumps(jsonable(result), indent=2, sort_keys=True))
    else:
        show(result)
    sys.stdout.flush()


def _command(name: str) -> Callable[[Any], tuple[Any, Callable[[Any], None]]]:
    if name in ("train", "demo"):
        from heliograph.cli import training

        return getattr(training, name)
    if name == "compare":
        from heliograph.cli.comparing import compare

        return compare
    if name == "sweep":
        from heliograph.cli.sweeping import sweep

        return sweep
    if name in ("protocol", "replay"):
        from heliograph.cli import telling

        return getattr(telling, name)
    if name == "render":
        from heliograph.cli.rendering import render

        return render
    from heliograph.cli import reading

    return getattr(reading, name if name != "list" else "list_")


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return "".join(x if x.isprintable() else ascii(x)[1:-1] for x in text)  # no colours from a stranger's file
