"""Controls of runs that were trained without them."""

import json
import pathlib
from typing import Any

import pytest

from heliograph.cli import main
from heliograph.experiments.settings import settings_from
from heliograph.rllib.runs.configured import config_of
from heliograph.rllib.runs.described import description
from heliograph.storage.run_folder import SUMMARY, read_config, write_config

SMALL = {
    "model_settings": {"size": 8},
    "algorithm_settings": {"num_envs_per_env_runner": 32, "train_batch_size_per_learner": 64, "minibatch_size": 32},
    "evaluation_episodes": 10,
    "until": {"episode_return_mean": 0.9},
    "seed": 5,
}


def finished(folder: pathlib.Path, **changes: Any) -> pathlib.Path:
    """What a run leaves that took 128 env steps to be good enough."""
    settings = settings_from({**SMALL, **changes})
    config = config_of(settings)
    write_config(folder, env=config.env_choice(), choices=config.choices(), **description(config, settings))
    summary = {"episode_return_mean": 0.9, "num_env_steps": 128, "diagnosis": "used", "stopped_by": "until"}
    (folder / SUMMARY).write_text(json.dumps(summary))
    return folder


def test_a_control_is_trained_as_long_as_its_run_took(tmp_path: pathlib.Path, capsys: Any) -> None:
    run = finished(tmp_path / "seed_5")
    command = ["controls", str(tmp_path), "--only", "silent", "--jobs", "1", "--json"]
    assert main(command) == 0
    made = json.loads(capsys.readouterr().out)["runs"]["seed_5/silent"]
    assert (made["num_env_steps"], made["stopped_by"], made["seed"]) == (128, "env_steps", 5)
    control = read_config(run / "silent")
    assert control["team"]["channel"] == "none" and control["training"]["until"] == {}
    assert {path.name for path in run.iterdir()} == {"config.json", "summary.json", "silent"}
    before = (run / "silent" / SUMMARY).stat().st_mtime_ns
    assert main(command) == 0  # nothing is missing any more
    assert (run / "silent" / SUMMARY).stat().st_mtime_ns == before
    assert main([*command, "--overwrite"]) == 0
    assert (run / "silent" / SUMMARY).stat().st_mtime_ns > before


@pytest.mark.parametrize(
    ("changes", "edit", "words"),
    [
        ({"channel": "none"}, {}, "its own no-communication control"),
        ({}, {"beyond_settings": {"callbacks": "x"}}, "trained with callbacks"),
    ],
)
def test_runs_that_can_have_no_controls_are_refused(
    tmp_path: pathlib.Path, capsys: Any, changes: dict[str, Any], edit: dict[str, Any], words: str
) -> None:
    run = finished(tmp_path / "run", **changes)
    config = read_config(run)
    config.pop("sha256")
    (run / "config.json").write_text(json.dumps({**config, **edit}))
    assert main(["controls", str(run)]) == 2
    assert words in capsys.readouterr().err


def test_a_run_that_has_not_ended_is_resumed_first(tmp_path: pathlib.Path, capsys: Any) -> None:
    (finished(tmp_path / "run") / SUMMARY).unlink()
    assert main(["controls", str(tmp_path / "run")]) == 2
    assert "train --resume" in capsys.readouterr().err
