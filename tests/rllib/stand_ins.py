"""Stand-ins for Weights & Biases and MLflow: what Heliograph calls of them, with their signatures and their rules.

They keep what they are sent. Services themselves are heavy, and are tested where they are installed.
"""

import dataclasses
import importlib.machinery
import math
import re
import sys
import types
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

MLFLOW_NAME = re.compile(r"[\w\-. /:]+")
MOST_PARAMS, MOST_METRICS = 100, 1000


class WandbRun:
    """One run, as `wandb.init` returns it."""

    def __init__(self, given: dict[str, Any]):
        self.given, self.logged, self.defined = given, [], {}
        self.exit_code: int | None = None

    def define_metric(self, name: str, step_metric: str | None = None, *, hidden: bool | None = None) -> None:
        self.defined[name] = step_metric

    def log(self, data: dict[str, Any], step: int | None = None) -> None:
        assert self.exit_code is None, "W&B raises where a finished run is logged to"
        assert step is not None and all(step > before for before, _ in self.logged), "W&B drops steps that are past"
        self.logged.append((step, data))

    def finish(self, exit_code: int | None = None) -> None:
        self.exit_code = exit_code


class Wandb(types.ModuleType):
    """The module."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.runs: list[WandbRun] = []

    @staticmethod
    def Settings(*, console: str, silent: bool) -> dict[str, Any]:
        return {"console": console, "silent": silent}

    def init(
        self,
        *,
        project: str,
        dir: str,
        id: str,
        name: str,
        group: str,
        config: dict[str, Any],
        resume: str,
        reinit: str,
        settings: dict[str, Any],
    ) -> WandbRun:
        given = {"project": project, "dir": dir, "id": id, "name": name, "group": group, "config": config}
        assert resume == "allow" and reinit == "create_new" and settings
        self.runs.append(WandbRun(given))
        return self.runs[-1]


@dataclasses.dataclass(frozen=True)
class Param:
    key: str
    value: str


@dataclasses.dataclass(frozen=True)
class Metric:
    key: str
    value: float
    timestamp: int
    step: int


@dataclasses.dataclass
class MlflowRun:
    """What a store keeps of a run."""

    name: str
    tags: dict[str, str]
    status: str = "RUNNING"
    params: dict[str, str] = dataclasses.field(default_factory=dict)
    metrics: list[Metric] = dataclasses.field(default_factory=list)


class MlflowClient:
    """The client, on a store in memory that all of them share."""

    experiments: ClassVar[dict[str, str]] = {}
    runs: ClassVar[dict[str, MlflowRun]] = {}

    def __init__(self, tracking_uri: str | None = None):
        self.tracking_uri = tracking_uri or "memory"

    def get_experiment_by_name(self, name: str) -> Any:
        number = self.experiments.get(name)
        return None if number is None else types.SimpleNamespace(experiment_id=number)

    def create_experiment(self, name: str) -> str:
        assert name not in self.experiments, "MLflow refuses a second experiment of that name"
        return self.experiments.setdefault(name, str(len(self.experiments)))

    def create_run(self, experiment_id: str, tags: Mapping[str, str], run_name: str) -> Any:
        assert experiment_id in self.experiments.values()
        number = f"run{len(self.runs)}"
        self.runs[number] = MlflowRun(run_name, dict(tags))
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id=number))

    def update_run(self, run_id: str, status: str) -> None:
        self.runs[run_id].status = status

    def set_terminated(self, run_id: str, status: str) -> None:
        self.runs[run_id].status = status

    def log_batch(self, run_id: str, metrics: Sequence[Metric] = (), params: Sequence[Param] = ()) -> None:
        run = self.runs[run_id]
        assert run.status == "RUNNING" and len(params) <= MOST_PARAMS and len(metrics) <= MOST_METRICS
        assert all(MLFLOW_NAME.fullmatch(entry.key) for entry in (*metrics, *params))
        assert all(math.isfinite(metric.value) for metric in metrics)
        for param in params:
            assert isinstance(param.value, str) and run.params.get(param.key, param.value) == param.value
            run.params[param.key] = param.value
        run.metrics += metrics

    def get_metric_history(self, run_id: str, key: str) -> list[Metric]:
        return [metric for metric in self.runs[run_id].metrics if metric.key == key]


def stand_in(monkeypatch: Any) -> tuple[Wandb, type[MlflowClient]]:
    """Have both services imported from here, with nothing in them yet."""
    wandb, store = Wandb(), type("Store", (MlflowClient,), {"experiments": {}, "runs": {}})
    mlflow, entities, tracking = (types.ModuleType(name) for name in ("mlflow", "mlflow.entities", "mlflow.tracking"))
    entities.Param, entities.Metric, tracking.MlflowClient = Param, Metric, store  # type: ignore[attr-defined]
    for module in (wandb, mlflow, entities, tracking):
        module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None, origin="a stand-in")
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return wandb, store
