"""Processes that die, users' code that raises, disks that are full: runs go on, or end with what to do next."""

import itertools
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME

from heliograph.envs.base import Outcome
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.experiments.settings import settings_from
from heliograph.registry import load
from heliograph.rllib.failures import EnvRunnerError, LearnerError
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs import checkpoints, one_run
from heliograph.rllib.runs.checkpoints import complete_checkpoints
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rllib.runs.records import read_progress
from heliograph.rllib.runs.rng_state import get_streams, mixed_seed, seed_streams, set_streams
from heliograph.rllib.runs.train import resume, train
from heliograph.storage.atomic import WriteError

RESTORED: list[int] = []


class Recreated(RLlibCallback):
    def on_env_runners_recreated(self, *, env_runner_indices: list[int], **kwargs: Any) -> None:
        RESTORED.extend(env_runner_indices)


def config(env: Any = "speaker_listener") -> CommPPOConfig:
    return (
        CommPPOConfig()
        .environment(env)
        .communication(model="cnet", model_settings={"size": 8}, channel="symbols")
        .env_runners(num_envs_per_env_runner=16)
        .training(train_batch_size_per_learner=64, minibatch_size=32, num_epochs=1)
        .debugging(seed=0, log_level="ERROR")
    )


def settings(**changes: Any) -> Any:
    batch = {"num_envs_per_env_runner": 16, "train_batch_size_per_learner": 64, "minibatch_size": 32, "num_epochs": 1}
    given = {"channel": "symbols", "model_settings": {"size": 8}, "algorithm_settings": batch}
    return settings_from({**given, "iterations": 4, "checkpoint_every": 2, "evaluation_episodes": 20, **changes})


def difference(first: dict, second: dict) -> float:
    pairs = [(first[m][k], second[m][k]) for m in first for k in first[m]]
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max(initial=0)) for a, b in pairs)


@pytest.mark.slow
def test_a_killed_env_runner_comes_back_with_the_weights_of_the_learner(ray_session: None) -> None:
    RESTORED.clear()
    algorithm = config().env_runners(num_env_runners=2).callbacks(Recreated).build_algo()
    try:
        algorithm.train()
        group = algorithm.env_runner_group
        pids = group.foreach_env_runner(lambda runner: os.getpid(), local_env_runner=False)
        os.kill(pids[0], signal.SIGKILL)
        results, deadline = [algorithm.train()], time.monotonic() + 60
        while not RESTORED and time.monotonic() < deadline:  # Ray takes seconds to start a process
            results.append(algorithm.train())
        found = group.foreach_env_runner(
            lambda runner: (os.getpid(), runner.module.get_state()), local_env_runner=False
        )
        expected = algorithm.learner_group._learner.module.get_state(inference_only=True)
    finally:
        algorithm.stop()
    assert [result["training_iteration"] for result in results] == list(range(2, len(results) + 2))
    steps = [result["env_runners"]["num_env_steps_sampled_lifetime"] for result in results]
    assert all(later - earlier >= 64 for earlier, later in itertools.pairwise(steps))
    assert RESTORED == [1]
    assert len(found) == 2 and {pid for pid, _ in found} & set(pids) == {pids[1]}
    assert all(difference(weights, expected) == 0.0 for _, weights in found)


@pytest.mark.slow
def test_all_env_runners_killed_at_once_lose_no_iteration(ray_session: None) -> None:
    algorithm = config().env_runners(num_env_runners=1).build_algo()
    try:
        algorithm.train()
        for pid in algorithm.env_runner_group.foreach_env_runner(lambda runner: os.getpid(), local_env_runner=False):
            os.kill(pid, signal.SIGKILL)
        result = algorithm.train()
    finally:
        algorithm.stop()
    assert result["env_runners"]["num_env_steps_sampled_lifetime"] == 128


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ray.data, which remote learners load
def test_a_learner_that_dies_ends_the_run_with_what_to_do(
    ray_session: None, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    algorithms: list[Any] = []
    built = one_run._built
    monkeypatch.setattr(one_run, "_built", lambda *given: algorithms.append(built(*given)) or algorithms[-1])

    def kill(row: dict[str, Any]) -> None:
        if row["iteration"] == 3:
            group = algorithms[0].learner_group
            pid = list(group.foreach_learner(lambda learner: os.getpid()))[-1].get()
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(LearnerError, match=r"died(.|\n)*heliograph train --resume") as told:
        train(settings(num_learners=2), out=tmp_path / "run", on_progress=kill)
    assert "learner 1 of 2 died" in str(told.value)
    summary = resume(tmp_path / "run")
    assert summary["iterations"] == 4
    assert [row["iteration"] for row in read_progress(tmp_path / "run")] == [1, 2, 3, 4]


class Faulty(SpeakerListener):
    """Raises in its fifth step."""

    def advance(self, state: Any, actions: dict[str, torch.Tensor]) -> tuple[Any, Outcome]:
        self.count = getattr(self, "count", 0) + 1
        if self.count == 5:
            raise ArithmeticError("the cage is open")
        return super().advance(state, actions)


TOLD = r"failed in env step 5 of Faulty: ArithmeticError: the cage is open(.|\n)*Traceback(.|\n)*in advance"


def test_an_environment_that_raises_here_is_told() -> None:
    trainer = LocalTrainer(config(Faulty))
    with pytest.raises(EnvRunnerError, match=TOLD):
        for _ in range(3):
            trainer.train()


@pytest.mark.slow
def test_an_environment_that_raises_in_a_remote_runner_is_told(ray_session: None) -> None:
    algorithm = config(Faulty).env_runners(num_env_runners=1).fault_tolerance(restart_failed_env_runners=True)
    algorithm = algorithm.build_algo()
    try:
        with pytest.raises(EnvRunnerError, match="env runner 1 " + TOLD):
            for _ in range(3):
                algorithm.train()
    finally:
        algorithm.stop()


@pytest.mark.slow
def test_an_environment_that_raises_in_remote_evaluation_is_told(ray_session: None) -> None:
    settings = config(Faulty).evaluation(evaluation_interval=1, evaluation_duration=200, evaluation_num_env_runners=1)
    algorithm = settings.training(train_batch_size_per_learner=32).build_algo()
    try:
        with pytest.raises(EnvRunnerError, match="env runner 1 " + TOLD):
            algorithm.train()
    finally:
        algorithm.stop()


def test_a_python_environment_that_raises_tells_whose_copy_and_turn() -> None:
    settings = {"builtin_symbols": False}
    trainer = LocalTrainer(
        config("heliograph.adapters.mpe:make_speaker_listener")
        .environment(env_config=settings)
        .env_runners(num_envs_per_env_runner=3)
    )
    env = trainer.env_runner.env.envs[2]
    trainer.env_runner.sample()
    env.step = lambda actions: 1 / 0
    told = r"in env step \d+ of FromPettingZoo, in step\(\) of \w+, copy 2, step \d+ of its episode, turn of \['speaker"
    with pytest.raises(EnvRunnerError, match=told):
        trainer.env_runner.sample()


# ---- disks ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system of one mebibyte."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("only root can mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_ends_the_run_and_leaves_the_last_checkpoint(ray_session: None, small_disk: pathlib.Path) -> None:
    def fill(row: dict[str, Any]) -> None:
        if row["iteration"] == 3:
            with pytest.raises(OSError), (small_disk / "others").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))

    folder = small_disk / "run"
    with pytest.raises(WriteError, match=r"cannot write .*: No space left on device; free some space.*\n.*--resume"):
        train(settings(), out=folder, on_progress=fill)
    assert [path.name for path in complete_checkpoints(folder)] == ["iteration_000002"]
    (small_disk / "others").unlink()
    assert resume(folder)["iterations"] == 4
    assert [row["iteration"] for row in read_progress(folder)] == [1, 2, 3, 4]


def test_what_cannot_be_written_is_named_and_the_old_stays(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    team = LocalTrainer(config()).team
    one_run.write_team(tmp_path, team)
    before = (tmp_path / "team.safetensors").read_bytes()

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(WriteError, match=r"team\.safetensors: No space left on device; free some space"):
        one_run.write_team(tmp_path, team)
    with pytest.raises(WriteError, match=r"iteration_000001: No space"):
        checkpoints.write_checkpoint(tmp_path, iteration=1, save=lambda path: pathlib.Path(path).mkdir())
    assert (tmp_path / "team.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.rglob("*") if path.name != "checkpoints"] == ["team.safetensors"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    def forbidden(*given: Any, **more: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.makedirs", forbidden)
    with pytest.raises(WriteError, match=r"cannot write .*run: Permission denied; make it writable for you"):
        train(settings(), out=tmp_path / "run")


def test_the_command_tells_a_failure_and_ends_with_one(ray_session: None, tmp_path: pathlib.Path) -> None:
    assert load("env", "speaker_listener") is SpeakerListener
    batch = ["num_envs_per_env_runner=16", "train_batch_size_per_learner=64", "minibatch_size=32"]
    command = ["train", "tests.rllib.test_faults:Faulty", "--iterations", "4", "--out", str(tmp_path / "run"), "--set"]
    from heliograph.cli import main

    with pytest.MonkeyPatch.context() as patch:
        told: list[str] = []
        patch.setattr(sys.stderr, "write", lambda text: told.append(text) or len(text))
        assert main([*command, "model.size=8", *(f"training.{each}" for each in batch)]) == 1
    text = "".join(told)
    assert "in env step 5 of Faulty: ArithmeticError: the cage is open" in text
    assert f"--resume {tmp_path / 'run'}" in text


def test_a_runner_that_joins_late_does_not_repeat_the_first_episodes() -> None:
    def streams(*num_env_steps: int) -> list[torch.Tensor]:
        runner = LocalTrainer(config()).env_runner
        for number in num_env_steps:
            runner.set_state({NUM_ENV_STEPS_SAMPLED_LIFETIME: number})
        return [
            runner.env.start_generator.get_state(),
            runner.env.generator.get_state(),
            runner.sampler.generator.get_state(),
        ]

    first, unchanged, late, again, later = streams(), streams(0), streams(640), streams(640, 704), streams(704)
    assert all(torch.equal(a, b) for a, b in zip(first, unchanged, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(late, again, strict=True)), (
        "only what has not sampled yet is begun anew"
    )
    assert not any(torch.equal(a, b) for a, b in zip(first, late, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(late, later, strict=True))


def test_streams_begin_anew_with_a_seed() -> None:
    def draws(*numbers: int) -> tuple[float, float, float]:
        seed_streams(mixed_seed(*numbers))
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    kept = get_streams()
    try:
        assert draws(0, 64, 1) == draws(0, 64, 1)
        assert len({*draws(0, 64, 1), *draws(0, 64, 0), *draws(0, 128, 1)}) == 9
    finally:
        set_streams(kept)
