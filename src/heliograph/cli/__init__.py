"""The command line `heliograph`; its commands: list, envs, train, sweep, show, evaluate, record, ..."""

import contextlib
import difflib
import importlib
import json
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from heliograph.cli.arguments import build_parser
from heliograph.hardware import patient_threads
from heliograph.importing import looking_in
from heliograph.memory import collecting_later, end_without_collecting, is_exhausted
from heliograph.rllib.failures import RunError, exit_called
from heliograph.texts import one_line, printable

__all__ = ["main"]

DRAWING = ("report", "compare", "sweep", "render", "demo", "timelapse")
"""Commands that draw figures."""
MODULES = {
    "train": "training",
    "demo": "training",
    "envs": "describing",
    "analyze": "analyzing",
    "timelapse": "elapsing",
    "compare": "comparing",
    "crossplay": "crossing",
    "sweep": "sweeping",
    "protocol": "telling",
    "replay": "telling",
    "migrate": "migrating",
    "render": "rendering",
    "controls": "controlling",
    "show": "showing",
    "diff": "showing",
}
"""Where the function `run_COMMAND` of a command is, if not in `reading`; it is imported with the command alone."""
TRAINING = (
    "clip_param", "entropy_coeff", "gamma", "grad_clip", "lambda_", "lr", "message_entropy_coeff", "minibatch_size",
    "num_envs_per_env_runner", "num_epochs", "target_kl", "train_batch_size_per_learner", "vf_loss_coeff",
)  # fmt: skip
"""Settings of `--set training`, of PPO's, that are likely to be given as options."""
ADVICE = "; if you trust it"
"""How the end of an error begins that code is not trusted."""
MOST = 4000
"""Characters of an error that are shown."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 1: a run failed, 2: the user got something wrong, 130: interrupted."""
    given = _parsed(list(sys.argv[1:] if arguments is None else arguments))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    patient_threads()
    end_without_collecting()
    try:
        with _interruptible():
            _run(given, typed=list(sys.argv[1:] if arguments is None else arguments))
    except BrokenPipeError:
        if given.debug:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (Exception, SystemExit) as error:
        code, told = _failure(error)
        if given.debug or not told:
            raise
        print(f"heliograph {given.command}: error: {told}", file=sys.stderr)
        return code
    return 0


def _parsed(words: list[str]) -> Any:
    """Arguments; an option that a command does not have is told with the nearest, and how settings are given."""
    given, others = build_parser().parse_known_args(words)
    if not others:
        return given
    unknown = next((word for word in others if word.startswith("-")), others[0])
    own = {name.replace("_", "-") for name in vars(given)} - {"command"}
    name, _, value = unknown.lstrip("-").partition("=")
    near = [f"--{found}" for found in difflib.get_close_matches(name, sorted(own), n=2)]
    key = name.replace("-", "_")
    meant = _setting_meant(key) if "set" in own and unknown.startswith("--") else None
    setting = [] if meant is None else [f"--set training.{meant}={value or 'VALUE'}"]
    hint = f"; did you mean {' or '.join([*near, *setting])}?" if near or setting else "."
    told = f"heliograph {given.command}: error: unknown {printable(unknown)}{hint}"
    print(f"{told} See heliograph {given.command} --help", file=sys.stderr)
    raise SystemExit(2)


def _setting_meant(key: str) -> str | None:
    """Return the setting of the algorithm that somebody gave as an option, if it is one."""
    initials = "".join(part[:1] for part in key.split("_"))
    near = difflib.get_close_matches(key, TRAINING, n=1, cutoff=0.7)
    return key if key in TRAINING else initials if initials in TRAINING else near[0] if near else None


def _failure(error: BaseException) -> tuple[int, str]:
    """The exit code for an error, and what to say of it; nothing where it is a fault of Heliograph's."""
    if isinstance(error, (ValueError, FloatingPointError, OSError)):
        return 2, one_line(error, at_most=MOST)
    if isinstance(error, RunError):
        return 1, "\n".join(map(printable, str(error).split("\n")))
    if isinstance(error, SystemExit):  # of a user's code, which else would end the command without a word
        return 1, str(exit_called(error))
    return 2, f"not enough memory: {one_line(error, at_most=MOST)}" if is_exhausted(error) else ""


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


def _run(given: Any, *, typed: list[str]) -> None:
    here = None if sys.flags.safe_path else os.getcwd()
    with looking_in(here), contextlib.redirect_stdout(sys.stderr) if given.json else contextlib.nullcontext():
        _settle_matplotlib(given.command)
        result, show = _trusting(lambda: _command(given.command)(given), typed=typed if hasattr(given, "trust") else [])
    if given.json:
        from heliograph.cli.shown import jsonable

        print(json.dumps(jsonable(result), indent=2, sort_keys=True))
    else:
        show(result)
    sys.stdout.flush()


def _trusting(command: Callable[[], Any], *, typed: Sequence[str]) -> Any:
    """Run a command; where it would import code that nobody has trusted, ask on a terminal, and else say what would."""
    while True:
        try:
            return command()
        except ValueError as error:
            names = getattr(error, "names", ())
            if type(error).__name__ != "UntrustedError" or not typed or ADVICE not in str(error):
                raise
            if not names or not _agreed(str(error), names):
                line = shlex.join(["heliograph", *typed, "--trust"])
                raise ValueError(f"{str(error).partition(ADVICE)[0]}{ADVICE}: {line}") from error


def _agreed(told: str, names: Sequence[str]) -> bool:
    """Ask the user whether code is trusted, and remember it; nobody is asked but at a terminal."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    from heliograph.importing import file_of
    from heliograph.storage.trusted import is_trusted, remember

    what = "\n".join(f"  {printable(name)} in {printable(str(file_of(name)))}" for name in names)
    print(f"{printable(told.partition(ADVICE)[0])}\n{what}", file=sys.stderr)
    print("Import it, now and as long as these files stay as they are? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        return False
    remember(names)
    return all(map(is_trusted, names))


def _settle_matplotlib(command: str) -> None:
    """Import it elsewhere: it would obey a `matplotlibrc` where one is, which may be a stranger's folder."""
    if command in DRAWING:
        with contextlib.chdir(os.sep):
            importlib.import_module("matplotlib")


def _command(name: str) -> Callable[[Any], tuple[Any, Callable[[Any], None]]]:
    with collecting_later():
        module = importlib.import_module(f"heliograph.cli.{MODULES.get(name, 'reading')}")
    command: Callable[[Any], tuple[Any, Callable[[Any], None]]] = getattr(module, f"run_{name}")
    return command
