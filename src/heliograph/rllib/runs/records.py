"""What a training run writes down: a row for each iteration, and TensorBoard's files."""

import contextlib
import csv
import io
import math
import os
import pathlib
import socket
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from ray.rllib.utils.metrics import ALL_MODULES, ENV_RUNNER_RESULTS, LEARNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.record_writer import RecordWriter
from tensorboardX.summary import scalar

from heliograph.experiments.settings import LEARNT, SAMPLED
from heliograph.rllib.env_runner import TEAM_RETURN_MEAN
from heliograph.rollouts.statistics import OF_TEAM
from heliograph.storage.atomic import replacing, telling
from heliograph.storage.run_folder import PROGRESS, RunFolderError
from heliograph.storage.safe_files import refuse_irregular

TENSORBOARD = "tensorboard"
WHOLE = ("iteration", "num_env_steps", "num_episodes")

Row = dict[str, Any]


def row_of(
    results: Mapping[str, Any], *, seconds: float, took: float, steps_before: int, teams: Sequence[str] = ()
) -> Row:
    """One row from what `Algorithm.train()` returns (in `took` seconds); None where a thing was not measured.

    `teams` are those that have a return of their own in it.
    """
    sampled, learnt = results.get(ENV_RUNNER_RESULTS, {}), results.get(LEARNER_RESULTS, {}).get(ALL_MODULES, {})
    num_env_steps = int(sampled.get(NUM_ENV_STEPS_SAMPLED_LIFETIME, 0))
    row: Row = {
        "iteration": int(results["training_iteration"]),
        "num_env_steps": num_env_steps,
        "seconds": round(seconds, 3),
        "env_steps_per_second": round((num_env_steps - steps_before) / took, 1),
    }
    row |= {key: _number(sampled.get(key)) for key in SAMPLED}
    row |= {f"{OF_TEAM}{name}": _number(sampled.get(TEAM_RETURN_MEAN, {}).get(name)) for name in teams}
    row["num_episodes"] = _count(row["num_episodes"])
    row |= {key: _number(learnt.get(key)) for key in LEARNT}
    row |= {key: _number(value) for key, value in sampled.items() if key.startswith("curriculum_")}
    return row | {key: _number(value) for key, value in learnt.items() if key.startswith("loss_")}


class ProgressWriter:
    """Writes progress.csv and TensorBoard's files; rows after `after` (of an earlier, longer life) are dropped."""

    def __init__(self, folder: pathlib.Path, *, after: int = 0):
        self.path = folder / PROGRESS
        rows = [row for row in read_progress(folder) if row["iteration"] <= after] if after else []
        self.last = rows[-1] if rows else {}
        self.seconds = float(self.last.get("seconds", 0.0))
        with replacing(self.path) as draft:
            draft.write_text(_lines(rows, header=True), encoding="utf8")
        with telling(self.path):
            self._file = self.path.open("a", newline="", encoding="utf8")
        self._board = Board(folder / TENSORBOARD, purge_step=after + 1 if after else None)

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row, at once."""
        with telling(self.path):
            self._file.write(_lines([row], header=not self.last))
            self._file.flush()
        self.last = dict(row)
        self._board.add(row)

    def sync(self) -> None:
        """Have the disk hold all rows."""
        with telling(self.path):
            os.fsync(self._file.fileno())

    def __enter__(self) -> "ProgressWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.ExitStack() as stack:
            if error:  # on a full disk closing fails too
                stack.enter_context(contextlib.suppress(OSError))
            stack.callback(self._board.close)
            stack.callback(self._file.close)
            self.sync()


class Board:
    """TensorBoard's files, written at once: tensorboardX's own queue would wait for ever for a full disk."""

    def __init__(self, folder: pathlib.Path, *, purge_step: int | None = None):
        self.folder = folder
        with telling(folder):
            folder.mkdir(parents=True, exist_ok=True)
            name = f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}.{os.getpid()}"
            self._events = RecordWriter(str(folder / name))
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        if purge_step is not None:
            self._write(Event(step=purge_step, session_log=SessionLog(status=SessionLog.START)))

    def add(self, row: Row | Mapping[str, Any]) -> None:
        """A point of every column that has a number."""
        points = {key: value for key, value in row.items() if key != "iteration" and value is not None}
        for key, value in points.items():
            self._write(Event(step=row["iteration"], wall_time=time.time(), summary=scalar(key, value)))
        with telling(self.folder):
            self._events.flush()

    def close(self) -> None:
        """Close the file."""
        with telling(self.folder):
            self._events.close()

    def _write(self, event: Event) -> None:
        with telling(self.folder):
            self._events.write(event.SerializeToString())


def _lines(rows: Sequence[Mapping[str, Any]], *, header: bool) -> str:
    if not rows:
        return ""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read_progress(folder: str | pathlib.Path) -> list[dict[str, Any]]:
    """The rows of progress.csv, numbers as numbers, None where a field is empty; a row cut short is left out."""
    path = pathlib.Path(folder) / PROGRESS
    if not path.exists():
        return []
    refuse_irregular(path)
    with path.open(newline="", encoding="utf8") as file:
        text = file.read()
    whole = io.StringIO(text[: text.rfind("\n") + 1], newline="")
    rows = [row for row in csv.DictReader(whole) if None not in row.values()]
    try:
        return [{key: _cell(key, value) for key, value in row.items()} for row in rows]
    except ValueError as error:
        raise RunFolderError(f"{path} is damaged: {error}") from error


def _number(value: Any) -> float | int | None:
    if value is None:
        return None
    number = value if isinstance(value, int) else float(value)
    return number if math.isfinite(number) else None


def _count(value: float | int | None) -> int | None:
    """RLlib adds up the counts of several runners to a float."""
    return None if value is None else round(value)


def _cell(key: str, text: str) -> float | int | None:
    if text == "":
        return None
    return int(text) if key in WHOLE else float(text)
