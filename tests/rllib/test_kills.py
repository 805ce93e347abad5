"""Runs that are killed at any moment go on as if they never had been."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest
import safetensors.torch
import torch

from heliograph.cli import main
from heliograph.rllib.runs.checkpoints import complete_checkpoints
from heliograph.rllib.runs.records import read_progress
from heliograph.rllib.runs.run_lock import claimed
from heliograph.storage.run_folder import RunFolderError

ROOT = pathlib.Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT / "src")}
ITERATIONS = 12
TIMES = {"seconds", "env_steps_per_second"}


@pytest.mark.slow
def test_a_loop_killed_at_many_moments_ends_where_an_unbroken_one_does() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "kills.py"), "--moments", "12", "--iterations", "4"]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["killed"], found["different_from_unbroken"]) == (12, 0)


def command(*what: str) -> list[str]:
    return [sys.executable, "-m", "heliograph", "train", *what]


def begin(folder: pathlib.Path, *more: str) -> list[str]:
    settings = ["num_envs_per_env_runner=16", "train_batch_size_per_learner=64", "minibatch_size=32", "num_epochs=1"]
    given = ["speaker_listener", "--channel", "symbols", "--iterations", str(ITERATIONS), "--out", str(folder), *more]
    return command(*given, "--set", "model.size=8", *(f"training.{each}" for each in settings))


def run(arguments: list[str]) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 0, done.stderr


def kill_after(folder: pathlib.Path, arguments: list[str], *, rows: int) -> None:
    """SIGKILL once so many rows are written, in the middle of whatever comes next."""
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT) as process:
        deadline = time.monotonic() + 120
        while len(read_progress(folder)) < rows and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(random.uniform(0.0, 0.05))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL


def same(first: pathlib.Path, second: pathlib.Path) -> None:
    rows = [[{k: v for k, v in row.items() if k not in TIMES} for row in read_progress(p)] for p in (first, second)]
    assert [row["iteration"] for row in rows[1]] == list(range(1, ITERATIONS + 1))
    assert rows[0] == rows[1]
    weights = [safetensors.torch.load_file(path / "team.safetensors") for path in (first, second)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.slow
def test_the_command_killed_twice_ends_where_an_unbroken_one_does(tmp_path: pathlib.Path) -> None:
    run(begin(tmp_path / "whole"))
    broken = tmp_path / "broken"
    kill_after(broken, begin(broken), rows=4)  # the first checkpoint is that of iteration 10
    assert not complete_checkpoints(broken)
    kill_after(broken, command("--resume", str(broken)), rows=11)
    assert complete_checkpoints(broken)
    run(command("--resume", str(broken)))
    same(tmp_path / "whole", broken)
    summaries = [json.loads((path / "summary.json").read_text()) for path in (tmp_path / "whole", broken)]
    assert summaries[0]["episode_return_mean"] == summaries[1]["episode_return_mean"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ray.data, which remote learners load
def test_a_run_with_a_remote_runner_and_learners_killed_ends_where_an_unbroken_one_does(
    ray_session: None, tmp_path: pathlib.Path
) -> None:
    """It is killed with a Ray of its own, and goes on in another."""
    broken, more = tmp_path / "broken", ("--env-runners", "1", "--learners", "2")
    kill_after(broken, begin(broken, *more), rows=11)
    assert main(command("--resume", str(broken))[3:]) == 0
    assert main(begin(tmp_path / "whole", *more)[3:]) == 0
    same(tmp_path / "whole", broken)


def test_two_processes_cannot_write_the_same_run(tmp_path: pathlib.Path) -> None:
    with claimed(tmp_path):
        with pytest.raises(RunFolderError, match="another process"), claimed(tmp_path):
            pass
    with claimed(tmp_path):
        pass
