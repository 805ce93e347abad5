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

from ray.rllib.core.learner.learner import DEFAULT_OPTIMIZER
from ray.rllib.utils.metrics import (
    ALL_MODULES,
    ENV_RUNNER_RESULTS,
    EPISODE_AGENT_RETURN_MEAN,
    LEARNER_RESULTS,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
)
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.record_writer import RecordWriter
from tensorboardX.summary import scalar

from heliograph.experiments.choices import EnvFacts
from heliograph.experiments.settings import LEARNT, OF_CALLBACKS, SAMPLED
from heliograph.rllib.env_runner import ROLE_RETURN_MEAN, TEAM_RETURN_MEAN
from heliograph.rollouts.statistics import OF_AGENT, OF_INFO, OF_ROLE, OF_TEAM
from heliograph.storage.atomic import replacing, telling
from heliograph.storage.progress_file import read_progress
from heliograph.storage.run_folder import PROGRESS

TENSORBOARD = "tensorboard"

MOST_AGENTS = 16
"""Up to so many agents have a column each for their returns."""
LEARNING_RATE = f"{DEFAULT_OPTIMIZER}_learning_rate"
OURS = (
    "num_agent_steps_sampled", "num_env_steps_sampled", "num_env_steps_sampled_lifetime", "num_episodes_lifetime",
    "num_env_steps_sampled_lifetime_throughput", "num_meanings", "num_utterances", "protocol_babbling",
    "protocol_collapsed",
)  # fmt: skip
"""What env runners log beside the columns."""

Row = dict[str, Any]


def row_of(results: Mapping[str, Any], *, seconds: float, took: float, steps_before: int, facts: EnvFacts) -> Row:
    """One row from what `Algorithm.train()` returns (in `took` seconds); None where a thing was not measured."""
    sampled, learnt = results.get(ENV_RUNNER_RESULTS, {}), results.get(LEARNER_RESULTS, {}).get(ALL_MODULES, {})
    num_env_steps = int(sampled.get(NUM_ENV_STEPS_SAMPLED_LIFETIME, 0))
    row: Row = {
        "iteration": int(results["training_iteration"]),
        "num_env_steps": num_env_steps,
        "seconds": round(seconds, 3),
        "env_steps_per_second": round((num_env_steps - steps_before) / took, 1),
    }
    row |= {key: _number(sampled.get(key)) for key in SAMPLED}
    row["num_episodes"] = _count(row["num_episodes"])
    row |= {key: _number(learnt.get(key)) for key in LEARNT}
    row |= {key: _number(value) for key, value in sampled.items() if key.startswith(("curriculum_", OF_INFO))}
    row |= {key: _number(value) for key, value in learnt.items() if key.startswith(("loss_", "coefficient_"))}
    row |= {f"lr/{name}": _number(rate) for name, rate in _rates(results.get(LEARNER_RESULTS, {})).items()}
    return row | _returns(sampled, facts) | _of_callbacks(sampled)


def _rates(learnt: Mapping[str, Any]) -> dict[str, Any]:
    """Learning rates by policy."""
    found = {name: values.get(LEARNING_RATE) for name, values in learnt.items() if isinstance(values, Mapping)}
    return {name: rate for name, rate in sorted(found.items()) if rate is not None}


def _returns(sampled: Mapping[str, Any], facts: EnvFacts) -> Row:
    """Returns of teams and roles, where there are several, and of agents, where there are few."""
    parts = {
        OF_TEAM: (TEAM_RETURN_MEAN, facts.teams if len(facts.teams) > 1 else ()),
        OF_ROLE: (ROLE_RETURN_MEAN, [role.name for role in facts.roles] if len(facts.roles) > 1 else ()),
        OF_AGENT: (EPISODE_AGENT_RETURN_MEAN, facts.agents if 1 < len(facts.agents) <= MOST_AGENTS else ()),
    }
    return {
        f"{begins}{name}": _number(sampled.get(key, {}).get(name))
        for begins, (key, names) in parts.items()
        for name in names
    }


def _of_callbacks(sampled: Mapping[str, Any]) -> Row:
    """Single numbers that neither RLlib nor Heliograph logs."""
    others = {key: value for key, value in sampled.items() if key not in (*SAMPLED, *OURS) and "curriculum_" not in key}
    numbers = {k: v for k, v in others.items() if not k.startswith(OF_INFO) and _is_single(v)}
    return {f"{OF_CALLBACKS}{key}": _number(value) for key, value in sorted(numbers.items())}


def _is_single(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


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
        self._columns = list(self.last)
        seen = int(self.last.get("num_env_steps", 0))
        self._board = Board(folder / TENSORBOARD, purge_step=seen + 1 if after else None)

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row, at once; where it has columns that there were not, the earlier rows get them too, empty."""
        new = [key for key in row if key not in self._columns]
        with telling(self.path):
            if new and self._columns:
                self._widen(new)
            header = not self._columns
            self._columns += new if header else []
            self._file.write(_lines([{key: row.get(key) for key in self._columns}], header=header))
            self._file.flush()
        self.last = dict(row)
        self._board.add(row)

    def _widen(self, new: Sequence[str]) -> None:
        self._file.close()
        rows = read_progress(self.path.parent)
        self._columns += new
        with replacing(self.path) as draft:
            draft.write_text(_lines([{key: r.get(key) for key in self._columns} for r in rows], header=True), "utf8")
        self._file = self.path.open("a", newline="", encoding="utf8")

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
    """TensorBoard's files, by env steps, written at once: tensorboardX's own queue waits for ever for a full disk."""

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
            self._write(Event(step=row["num_env_steps"], wall_time=time.time(), summary=scalar(key, value)))
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


def _number(value: Any) -> float | int | None:
    if value is None:
        return None
    number = value if isinstance(value, int) else float(value)
    return number if math.isfinite(number) else None


def _count(value: float | int | None) -> int | None:
    """RLlib adds up the counts of several runners to a float."""
    return None if value is None else round(value)
