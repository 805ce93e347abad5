"""Runs logged to Weights & Biases and to MLflow beside their folder, by env steps; a resumed run goes on with the same.

Which run of a service it is stands in the run folder. Rows that a resumed run makes again are the same as before, and
are not logged twice.
"""

import contextlib
import json
import math
import os
import pathlib
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from heliograph.experiments.settings import TrainSettings
from heliograph.experiments.tracking import check_trackers
from heliograph.rllib.runs.run_lock import TRACKED
from heliograph.storage.run_folder import plain, write_json
from heliograph.storage.safe_files import read_json
from heliograph.texts import one_line

__all__ = ["Tracker", "tracked"]

STEP = "num_env_steps"
MOST_AT_ONCE = 100
MOST_CHARACTERS = 500
PLACE = "MLFLOW_TRACKING_URI"
OF_MLFLOW = re.compile(r"[^\w\-. /]")
"""What the names of metrics may not hold there."""


@runtime_checkable
class Tracker(Protocol):
    """One run at a service."""

    def add(self, row: Mapping[str, Any]) -> None:
        """Log a row of progress.csv."""

    def end(self, *, failed: bool) -> None:
        """Log no more for now."""


@contextlib.contextmanager
def tracked(settings: TrainSettings, folder: pathlib.Path) -> Iterator[list[Tracker]]:
    """Open a run at each service that the settings name, or the one that a resumed run had; end them at the end.

    Raises ValueError where a service is not installed or refuses.
    """
    check_trackers(settings)
    path = folder / TRACKED
    known = read_json(path) if path.is_file() else {}
    with contextlib.ExitStack() as stack:
        trackers: list[Tracker] = []
        for name, kind in (("wandb", WandbRun), ("mlflow", MlflowRun)):
            asked = getattr(settings, name)
            if asked is None:
                continue
            try:
                tracker = kind(asked, folder=folder, settings=_flat(settings), known=known.get(name))
            except Exception as error:  # whatever a service, or the way to it, brings about
                raise ValueError(f"{name}={asked!r}: cannot be logged to: {one_line(error)}") from error
            known = {**known, name: tracker.known}
            trackers.append(tracker)
            stack.push(lambda kind, error, trace, ended=tracker: ended.end(failed=error is not None))
            write_json(path, known)
        yield trackers


class WandbRun:
    """A run of Weights & Biases; WANDB_MODE=offline keeps it in the run folder, for `wandb sync`."""

    def __init__(self, project: str, *, folder: pathlib.Path, settings: Mapping[str, Any], known: Any):
        import wandb

        self.known = known if isinstance(known, str) else uuid.uuid4().hex
        self._run = wandb.init(
            project=project, id=self.known, resume="allow", name=folder.name, group=folder.parent.name,
            dir=str(folder), config=dict(settings), reinit="create_new",
            settings=wandb.Settings(console="off", silent=True),
        )  # fmt: skip
        self._run.define_metric(STEP, hidden=True)
        self._run.define_metric("*", step_metric=STEP)

    def add(self, row: Mapping[str, Any]) -> None:
        """Log the numbers of a row, at its env steps."""
        self._run.log(_numbers(row), step=int(row[STEP]))

    def end(self, *, failed: bool) -> None:
        """Close the run."""
        self._run.finish(exit_code=int(failed))


class MlflowRun:
    """A run of MLflow, at MLFLOW_TRACKING_URI, or else where MLflow keeps runs by itself."""

    def __init__(self, experiment: str, *, folder: pathlib.Path, settings: Mapping[str, Any], known: Any):
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        place = os.environ.get(PLACE) or (known["tracking_uri"] if isinstance(known, dict) else None)
        self._client = MlflowClient(tracking_uri=place)
        if isinstance(known, dict):
            self.known, self._id = known, known["run_id"]
            self._client.update_run(self._id, status="RUNNING")
            logged = self._client.get_metric_history(self._id, STEP)
            self._last = max((metric.step for metric in logged), default=-1)
            return
        found = self._client.get_experiment_by_name(experiment)
        number = self._client.create_experiment(experiment) if found is None else found.experiment_id
        tags = {"heliograph.folder": str(folder)}
        self._id, self._last = self._client.create_run(number, run_name=folder.name, tags=tags).info.run_id, -1
        self.known = {"run_id": self._id, "tracking_uri": self._client.tracking_uri}
        params = [Param(key, str(value)[:MOST_CHARACTERS]) for key, value in settings.items()]
        for place in range(0, len(params), MOST_AT_ONCE):
            self._client.log_batch(self._id, params=params[place : place + MOST_AT_ONCE])

    def add(self, row: Mapping[str, Any]) -> None:
        """Log the numbers of a row, at its env steps."""
        from mlflow.entities import Metric

        step, now = int(row[STEP]), int(time.time() * 1000)
        if step <= self._last:
            return
        found = [Metric(OF_MLFLOW.sub("_", key), value, now, step) for key, value in _numbers(row).items()]
        for place in range(0, len(found), MOST_AT_ONCE):
            self._client.log_batch(self._id, metrics=found[place : place + MOST_AT_ONCE])

    def end(self, *, failed: bool) -> None:
        """Close the run."""
        self._client.set_terminated(self._id, "FAILED" if failed else "FINISHED")


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    found = {key: value for key, value in row.items() if isinstance(value, (int, float))}
    return {key: float(value) for key, value in found.items() if math.isfinite(value)}


def _flat(settings: TrainSettings) -> dict[str, Any]:
    """Settings with a dot between the names of tables and theirs, as text where they are no single thing."""
    told: dict[str, Any] = json.loads(json.dumps(settings, default=plain))
    found: dict[str, Any] = {}
    for key, value in told.items():
        if isinstance(value, dict) and key.endswith("_settings"):
            found |= {f"{key.removesuffix('_settings')}.{name}": _single(part) for name, part in value.items()}
        else:
            found[key] = _single(value)
    return found


def _single(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (dict, list)) else value
