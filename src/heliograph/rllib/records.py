"""What a training run writes down: a row for each iteration, TensorBoard's files, and checkpoints."""

import csv
import math
import os
import pathlib
import shutil
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from ray.rllib.utils.metrics import ALL_MODULES, ENV_RUNNER_RESULTS, LEARNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME
from tensorboardX import SummaryWriter

from heliograph.rllib.settings import LEARNT, SAMPLED
from heliograph.run_folder import PROGRESS, RunFolderError

CHECKPOINTS, TENSORBOARD = "checkpoints", "tensorboard"
KEPT_CHECKPOINTS = 2

Row = dict[str, Any]


def row_of(results: Mapping[str, Any], *, seconds: float, took: float, steps_before: int) -> Row:
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
    row |= {key: _number(learnt.get(key)) for key in LEARNT}
    return row | {key: _number(value) for key, value in learnt.items() if key.startswith("loss_")}


class ProgressWriter:
    """Writes progress.csv and TensorBoard's files; rows after `after` (of an earlier, longer life) are dropped."""

    def __init__(self, folder: pathlib.Path, *, after: int = 0):
        self.folder = folder
        rows = [row for row in read_progress(folder) if row["iteration"] <= after] if after else []
        self.last = rows[-1] if rows else {}
        self.seconds = float(self.last.get("seconds", 0.0))
        self._file = (folder / PROGRESS).open("w", newline="", encoding="utf8")
        self._writer: csv.DictWriter | None = None
        self._board = SummaryWriter(str(folder / TENSORBOARD), purge_step=after + 1 if after else None)
        for row in rows:
            self._write(row)
        self._file.flush()

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row, at once."""
        self._write(row)
        self._file.flush()
        for key, value in row.items():
            if key != "iteration" and value is not None:
                self._board.add_scalar(key, value, global_step=row["iteration"])

    def __enter__(self) -> "ProgressWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()
        self._board.close()

    def _write(self, row: Mapping[str, Any]) -> None:
        if self._writer is None:
            self._writer = csv.DictWriter(self._file, fieldnames=list(row))
            self._writer.writeheader()
        self._writer.writerow(dict(row))


def read_progress(folder: str | pathlib.Path) -> list[dict[str, Any]]:
    """The rows of progress.csv, numbers as numbers, None where a field is empty; a row cut short is left out."""
    path = pathlib.Path(folder) / PROGRESS
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf8") as file:
        rows = [row for row in csv.DictReader(file) if None not in row.values()]
    try:
        return [{key: _cell(key, value) for key, value in row.items()} for row in rows]
    except ValueError as error:
        raise RunFolderError(f"{path} is damaged: {error}") from error


def write_checkpoint(folder: pathlib.Path, *, iteration: int, save: Any) -> pathlib.Path:
    """Let `save(path)` write a checkpoint that is either there as a whole or not at all; older ones are deleted."""
    parent = folder.resolve() / CHECKPOINTS
    draft, final = parent / f"draft_{iteration:06d}", parent / f"iteration_{iteration:06d}"
    for leftover in parent.glob("draft_*"):
        shutil.rmtree(leftover)
    parent.mkdir(parents=True, exist_ok=True)
    save(str(draft))
    if final.exists():
        shutil.rmtree(final)
    os.replace(draft, final)
    for old in complete_checkpoints(folder)[:-KEPT_CHECKPOINTS]:
        shutil.rmtree(old)
    return final


def complete_checkpoints(folder: pathlib.Path) -> list[pathlib.Path]:
    """All whole checkpoints, oldest first."""
    return sorted((folder.resolve() / CHECKPOINTS).glob("iteration_*"))


def _number(value: Any) -> float | int | None:
    if value is None:
        return None
    number = value if isinstance(value, int) else float(value)
    return number if math.isfinite(number) else None


def _cell(key: str, text: str) -> float | int | None:
    if text == "":
        return None
    return int(text) if key in ("iteration", "num_env_steps", "num_episodes") else float(text)
