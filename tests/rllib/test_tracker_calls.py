"""What Weights & Biases and MLflow are sent, by stand-ins; where they are installed, these are held against them."""

import importlib
import inspect
import pathlib
from typing import Any

import pytest

from heliograph.rllib.runs.trackers import tracked
from heliograph.rllib.runs.train import resume, train
from heliograph.storage.progress_file import read_progress
from heliograph.storage.safe_files import read_json
from tests.rllib import stand_ins
from tests.rllib.test_train import small


def numbers(row: dict[str, Any]) -> dict[str, float]:
    return {key: value for key, value in row.items() if isinstance(value, (int, float))}


def test_both_services_get_every_row_once_and_a_resumed_run_goes_on(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    wandb, store = stand_ins.stand_in(monkeypatch)
    folder = tmp_path / "runs" / "first"
    train(small(wandb="lighthouses", mlflow="lights", iterations=1), out=folder)
    known = read_json(folder / "trackers.json")
    resume(folder, iterations=2)
    assert read_json(folder / "trackers.json") == known
    rows = read_progress(folder)
    assert len(rows) == 2

    assert [run.logged for run in wandb.runs] == [[(row["num_env_steps"], numbers(row))] for row in rows]
    for run in wandb.runs:
        assert {key: run.given[key] for key in ("project", "name", "group", "id", "dir")} == {
            "project": "lighthouses", "name": "first", "group": "runs", "id": known["wandb"], "dir": str(folder),
        }  # fmt: skip
        assert run.given["config"]["model.size"] == 8 and run.given["config"]["channel"] == "dru"
        assert run.defined == {"num_env_steps": None, "*": "num_env_steps"} and run.exit_code == 0

    (number,) = store.runs
    run = store.runs[number]
    assert known["mlflow"] == {"run_id": number, "tracking_uri": "memory"} and store.experiments == {"lights": "0"}
    assert (run.name, run.status, run.tags) == ("first", "FINISHED", {"heliograph.folder": str(folder)})
    assert run.params["model.size"] == "8" and run.params["channel"] == "dru"
    client = store()
    for key, name in (("episode_return_mean", "episode_return_mean"), ("lr/speaker", "lr/speaker")):
        sent = [(metric.step, metric.value) for metric in client.get_metric_history(number, name)]
        assert sent == [(row["num_env_steps"], row[key]) for row in rows]


def test_a_run_that_fails_is_closed_as_failed(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    wandb, store = stand_ins.stand_in(monkeypatch)
    with pytest.raises(RuntimeError, match="storm"), tracked(small(wandb="a", mlflow="b"), tmp_path) as trackers:
        for tracker in trackers:
            tracker.add({"num_env_steps": 64, "made up: per cent %": 1.0, "nothing": None, "lost": float("nan")})
        raise RuntimeError("storm")
    assert wandb.runs[0].logged == [(64, {"num_env_steps": 64.0, "made up: per cent %": 1.0})]
    assert wandb.runs[0].exit_code == 1
    (run,) = store.runs.values()
    assert run.status == "FAILED"
    assert {metric.key: metric.value for metric in run.metrics} == {"num_env_steps": 64.0, "made up_ per cent _": 1.0}


def test_a_service_that_refuses_is_named(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    wandb, _ = stand_ins.stand_in(monkeypatch)
    monkeypatch.setattr(wandb, "init", lambda **given: (_ for _ in ()).throw(ValueError("No API key\nfound")))
    with pytest.raises(ValueError, match=r"wandb='a': cannot be logged to: .*No API key found"):
        train(small(wandb="a", iterations=1), out=tmp_path)


@pytest.mark.parametrize(
    ("module", "name", "stand_in"),
    [
        ("wandb", "init", stand_ins.Wandb.init),
        ("wandb.sdk.wandb_run", "Run.log", stand_ins.WandbRun.log),
        ("wandb.sdk.wandb_run", "Run.define_metric", stand_ins.WandbRun.define_metric),
        ("wandb.sdk.wandb_run", "Run.finish", stand_ins.WandbRun.finish),
        ("mlflow.entities", "Param", stand_ins.Param),
        ("mlflow.entities", "Metric", stand_ins.Metric),
        *(
            ("mlflow.tracking", f"MlflowClient.{name}", getattr(stand_ins.MlflowClient, name))
            for name in ("get_experiment_by_name", "create_experiment", "create_run", "update_run", "set_terminated")
        ),
        ("mlflow.tracking", "MlflowClient.log_batch", stand_ins.MlflowClient.log_batch),
        ("mlflow.tracking", "MlflowClient.get_metric_history", stand_ins.MlflowClient.get_metric_history),
    ],
)
def test_stand_ins_take_what_the_services_take(module: str, name: str, stand_in: Any) -> None:
    pytest.importorskip(module.partition(".")[0])
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    real = list(inspect.signature(found).parameters)
    assert set(inspect.signature(stand_in).parameters) <= set(real)
