"""Runs logged to Weights & Biases and MLflow, both offline; and what is said where they are not installed."""

import importlib
import pathlib
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from heliograph.cli import main
from heliograph.experiments.settings import settings_from
from heliograph.experiments.tracking import check_trackers
from heliograph.rllib.runs.train import resume, train
from heliograph.storage.progress_file import read_progress
from heliograph.storage.safe_files import read_json
from tests.rllib.test_train import small

BLOCK, HEADER, MAGIC = 32_768, 7, 7
FULL_OR_FIRST, FULL_OR_LAST = (1, 2), (1, 4)


def records(path: pathlib.Path) -> Iterator[bytes]:
    """The records of a file that W&B writes offline: LevelDB's log format after a header of its own."""
    content, place, parts = path.read_bytes(), MAGIC, b""
    while place + HEADER <= len(content):
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        data = content[place + HEADER : place + HEADER + length]
        parts = data if kind in FULL_OR_FIRST else parts + data
        place += HEADER + length
        if kind in FULL_OR_LAST:
            yield parts


def steps_at_wandb(folder: pathlib.Path) -> list[list[int]]:
    """Env steps of the rows in each of the files of a run, oldest first."""
    proto: Any = importlib.import_module("wandb.proto.wandb_internal_pb2")
    found = []
    for path in sorted(folder.glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime_ns):
        steps = []
        for data in records(path):
            record = proto.Record()
            record.ParseFromString(data)
            if record.WhichOneof("record_type") == "history":
                items = {item.key or ".".join(item.nested_key): item.value_json for item in record.history.item}
                assert "episode_return_mean" in items
                steps.append(round(float(items["num_env_steps"])))
        found.append(steps)
    return found


def test_a_resumed_run_goes_on_with_the_same_run_at_wandb(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    train(small(wandb="lighthouses", iterations=2), out=tmp_path)
    known = read_json(tmp_path / "trackers.json")
    resume(tmp_path, iterations=4)
    rows = [row["num_env_steps"] for row in read_progress(tmp_path)]
    assert steps_at_wandb(tmp_path) == [rows[:2], rows[2:]]
    assert read_json(tmp_path / "trackers.json") == known
    assert all(known["wandb"] in path.name for path in tmp_path.glob("wandb/offline-run-*"))


def test_a_resumed_run_goes_on_with_the_same_run_at_mlflow(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    client: Any = pytest.importorskip("mlflow.tracking").MlflowClient
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    folder = tmp_path / "run"
    rows: list[Any] = []
    train(small(mlflow="lights", checkpoint_every=1), out=folder, on_progress=rows.append, stop=lambda: len(rows) == 2)
    number = read_json(folder / "trackers.json")["mlflow"]["run_id"]
    assert client().get_run(number).info.status == "FINISHED"
    resume(folder)
    run = client().get_run(number)
    assert run.data.params["channel"] == "dru" and run.info.run_name == "run"
    returns = [(metric.step, metric.value) for metric in client().get_metric_history(number, "episode_return_mean")]
    assert returns == [(row["num_env_steps"], row["episode_return_mean"]) for row in read_progress(folder)]
    assert len(client().search_runs([run.info.experiment_id])) == 1


def test_a_service_that_is_not_installed_is_refused_before_training(
    tmp_path: pathlib.Path, monkeypatch: Any, capsys: Any
) -> None:
    (tmp_path / "wandb").mkdir()  # as runs of W&B leave behind, which is no package
    monkeypatch.syspath_prepend(str(tmp_path))
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, *more: (
            importlib.machinery.PathFinder.find_spec(name, [str(tmp_path)])
            if name in ("wandb", "mlflow")
            else found(name, *more)
        ),
    )
    with pytest.raises(ValueError, match=r"wandb='a': .* not installed: pip install 'heliograph\[wandb\]'"):
        check_trackers(settings_from({"wandb": "a"}))
    assert main(["train", "speaker_listener", "--mlflow", "--out", str(tmp_path / "run")]) == 2
    assert "mlflow='heliograph': MLflow is not installed: pip install 'heliograph[mlflow]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
