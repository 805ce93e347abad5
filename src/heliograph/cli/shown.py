"""What people see: progress while training, and tables; plain lines where the output is no terminal."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from heliograph.texts import printable

if TYPE_CHECKING:
    from heliograph.experiments.settings import TrainSettings

PLAIN_WIDTH = 200
SECONDS_BETWEEN_LINES = 2.0
SHOWN = (
    ("return", "episode_return_mean", ".3f"),
    ("success", "success_rate", ".2f"),
    ("message bits", "entropy_bits", ".2f"),
    ("about the meaning", "mutual_information_bits", ".2f"),
)


def jsonable(value: Any) -> Any:
    """Plain JSON: NaN becomes null, and what is no JSON its plain form."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int, bool)):
        return value
    from heliograph.storage.run_folder import plain  # which imports torch

    return jsonable(plain(value))


class Plain(Console):
    """A console that shows texts as they are: names may be a stranger's, so none of them is markup or commands it."""

    def __init__(self, **settings: Any):
        super().__init__(highlight=False, markup=False, emoji=False, **settings)

    def render_str(self, text: str, **settings: Any) -> Text:
        """A text without what a terminal would obey."""
        return super().render_str("\n".join(map(printable, text.split("\n"))), **settings)

    def on_broken_pipe(self) -> None:
        """Leave it to the command: Rich would end the process with a code that means a failure."""
        raise BrokenPipeError


def console(*, err: bool = False) -> Console:
    """Return where to print; wide enough for a table in one piece where nobody watches."""
    out = Plain(stderr=err)
    return out if out.is_terminal else Plain(stderr=err, width=PLAIN_WIDTH, soft_wrap=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table: the first column to the left, the others to the right."""
    out = console()
    grid = Table(box=None, pad_edge=False, header_style="bold" if out.is_terminal else "")
    for index, column in enumerate(columns):
        grid.add_column(column, justify="right" if index else "left", no_wrap=not (index and out.is_terminal))
    for row in rows:
        grid.add_row(*row)
    out.print(grid)


def listing(rows: Iterable[tuple[str, str]]) -> None:
    """Print names and what they stand for, in two columns."""
    out, rows = console(), [(printable(name), printable(text)) for name, text in rows]
    width = max((len(name) for name, _ in rows), default=0)
    if not out.is_terminal:
        print(*(f"{name:{width}}  {text}" for name, text in rows), sep="\n")
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for name, text in rows:
        grid.add_row(name, text)
    out.print(grid)


def formatted(value: Any, form: str = ".3f") -> str:
    """A number, or a dash where it is unknown."""
    return "-" if value is None else format(value, form)


def share_done(settings: "TrainSettings", row: Mapping[str, Any]) -> float | None:
    """How much of the budget is used, from 0 to 1; None where it has no end but `until`."""
    if settings.max_iterations is not None:
        return min(1.0, row["iteration"] / settings.max_iterations)
    return None if settings.env_steps is None else min(1.0, row["num_env_steps"] / settings.env_steps)


class Display:
    """Progress of all runs together: bars on a terminal, else a line for a run every two seconds."""

    def __init__(self, runs: Mapping[str, "TrainSettings"], *, err: bool):
        self.runs = dict(runs)
        self.console = console(err=err)
        self._lines: dict[str, float] = {}
        self._tasks: dict[str, TaskID] = {}
        self._bars = self._build_bars() if self.console.is_terminal else None

    def add(self, runs: Mapping[str, "TrainSettings"]) -> None:
        """More runs, made after the first ones."""
        self.runs |= runs
        if self._bars is not None:
            for name, settings in runs.items():
                total = None if share_done(settings, {"iteration": 0, "num_env_steps": 0}) is None else 1.0
                self._tasks[name] = self._bars.add_task(printable(name), total=total, start=False, facts="waiting")

    def start(self, name: str) -> None:
        """A run begins: Ray, the environment and the team are being built."""
        if self._bars is None:
            self.console.print(f"run={name} starting")
        else:
            self._bars.start_task(self._tasks[name])
            self._bars.update(self._tasks[name], facts="starting")

    def row(self, name: str, row: Mapping[str, Any]) -> None:
        """An iteration has ended."""
        share = share_done(self.runs[name], row)
        left = None if not share else row["seconds"] * (1 - share) / share
        if self._bars is not None:
            task = self._tasks[name]
            self._bars.update(task, completed=share or 0, facts=_facts(row, left))
        elif share == 1.0 or time.monotonic() - self._lines.get(name, -math.inf) >= SECONDS_BETWEEN_LINES:
            self._lines[name] = time.monotonic()
            self.console.print(_line(name, row, self.runs[name].max_iterations, left))

    def end(self, name: str, summary: Mapping[str, Any]) -> None:
        """A run has ended, and its team was played anew."""
        word = f"evaluated: return {formatted(summary['episode_return_mean'])}"
        if self._bars is None:
            self.console.print(f"run={name} {word} stopped_by={summary['stopped_by']}")
        else:
            self._bars.update(self._tasks[name], total=1.0, completed=1.0, facts=word)
            self._bars.stop_task(self._tasks[name])

    def fail(self, name: str, message: str) -> None:
        """Tell that a run failed; what went wrong is told in the end."""
        self.say(f"run={name} failed; the others go on")

    def say(self, text: str) -> None:
        """A line of its own."""
        self.console.print(text)

    def __enter__(self) -> "Display":
        if self._bars is not None:
            self._bars.start()
        self.add(self.runs)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()

    def _build_bars(self) -> Progress:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=20), TimeElapsedColumn())
        return Progress(*columns, TextColumn("{task.fields[facts]}", markup=False), console=self.console)


def _facts(row: Mapping[str, Any], left: float | None) -> str:
    words = [f"{name} {row[key]:{form}}" for name, key, form in SHOWN[:3] if row.get(key) is not None]
    words.append(f"{row['env_steps_per_second']:,.0f} env steps/s")
    return "  ".join([*words, "" if left is None else f"{left:.0f} s left"])


def _line(name: str, row: Mapping[str, Any], max_iterations: int | None, left: float | None) -> str:
    of = "" if max_iterations is None else f"/{max_iterations}"
    words = [f"run={name}", f"iteration={row['iteration']}{of}", f"num_env_steps={row['num_env_steps']}"]
    words += [f"{key}={row[key]:{form}}" for _, key, form in SHOWN if row.get(key) is not None]
    words.append(f"env_steps_per_second={row['env_steps_per_second']:.0f}")
    return " ".join(words if left is None else [*words, f"seconds_left={left:.0f}"])


def summary_table(summaries: Mapping[str, Mapping[str, Any]]) -> None:
    """The final metrics of some runs, a row each."""
    columns = ("run", *(name for name, _, _ in SHOWN), "of best", "env steps", "protocol")
    print_table(columns, [_summary_row(name, summaries) for name in summaries])


def _summary_row(name: str, summaries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    from heliograph.experiments.controls import CONTROLS

    summary, control = summaries[name], name.rpartition("/")[2] in CONTROLS
    silent = best_control(name, summaries)
    values = [cell(summary, key, form, control=control) for _, key, form in SHOWN]
    values.append(formatted(summary.get("normalised_return")))
    return [name, *values, f"{summary['num_env_steps']:,}", protocol_cell(summary, silent=silent, control=control)]


def best_control(name: str, summaries: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The summary of the best control of a run, of those in a table; None where there is none."""
    from heliograph.experiments.controls import CONTROLS

    found = [summaries.get(f"{name}/{kind}", summaries.get(kind)) for kind in CONTROLS]
    known = [control for control in found if control is not None and control.get("episode_return_mean") is not None]
    return max(known, key=lambda control: float(control["episode_return_mean"]), default=None)


def cell(summary: Mapping[str, Any], key: str, form: str, *, control: bool) -> str:
    """A number of a summary: what messages tell stands beside what they told before training; a dash for controls."""
    if key != "mutual_information_bits":
        return formatted(summary.get(key), form)
    before = summary.get(f"{key}_untrained")
    beside = "" if before is None else f" (untrained {formatted(before, form)})"
    return "-" if control else formatted(summary.get(key), form) + beside


def protocol_cell(summary: Mapping[str, Any], *, silent: Mapping[str, Any] | None, control: bool) -> str:
    """The word for a protocol; a dash for controls, whose messages nobody can hear."""
    from heliograph.analysis.verdict import word_in

    return "-" if control else word_in(summary, silent=silent)
