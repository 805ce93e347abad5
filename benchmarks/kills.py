"""Kill a training process at random moments, let it go on, and compare with one that nobody killed, bit by bit.

`python benchmarks/kills.py --moments 100 --out benchmarks/results/kills.json` kills the loop without Ray, which saves
after every iteration. Each life is a fork of one warm process, killed by SIGKILL after a random time.
"""

import argparse
import hashlib
import json
import logging
import os
import pathlib
import platform
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from typing import Any

import torch

import heliograph
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.storage.state_file import read_state

STATE = "trainer.safetensors"
TIMES = {"seconds", "env_steps_per_second"}
"""What a clock measured: no two lives have the same."""


def config() -> CommPPOConfig:
    """As much state as there is: noise, messages in flight, normalisers, schedules, shuffled minibatches."""
    return (
        CommPPOConfig()
        .environment("speaker_listener", env_config={"rounds": 2})
        .communication(model="cnet", model_settings={"size": 8}, channel="dru")
        .communication(normalise_observations=True, normalise_rewards=True, losses=["reconstruction"])
        .env_runners(num_envs_per_env_runner=8, rollout_fragment_length=5)
        .training(train_batch_size_per_learner=40, minibatch_size=20, num_epochs=2)
        .training(lr=[[0, 1e-2], [2000, 1e-4]], entropy_coeff=[[0, 0.1], [2000, 0.0]])
        .debugging(seed=0)
    )


def warm() -> LocalTrainer:
    """A trainer that has done nothing yet, in a process that has loaded all that training needs."""
    logging.getLogger("ray.rllib").setLevel(logging.ERROR)
    LocalTrainer(config()).train()
    return LocalTrainer(config())


def live(trainer: LocalTrainer, folder: pathlib.Path, *, iterations: int) -> None:
    """One life: go on from what there is, and save after every iteration."""
    random.seed(0)  # Python draws a new seed in every fork
    torch.manual_seed(0)
    if (folder / STATE).exists():
        trainer.restore(folder / STATE)
    while trainer.iteration < iterations:
        trainer.train()
        trainer.save(folder / STATE)


def fork(trainer: LocalTrainer, folder: pathlib.Path, *, iterations: int) -> int:
    """Begin a life in a process of its own."""
    child = os.fork()
    if child:
        return child
    try:
        live(trainer, folder, iterations=iterations)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def unbroken(trainer: LocalTrainer, folder: pathlib.Path, *, iterations: int) -> float:
    """A life that nobody ends; returns its seconds."""
    started = time.perf_counter()
    _, status = os.waitpid(fork(trainer, folder, iterations=iterations), 0)
    if status:
        sys.exit("the unbroken run failed")
    return time.perf_counter() - started


def broken(trainer: LocalTrainer, folder: pathlib.Path, *, iterations: int, seconds: float) -> bool:
    """A life that is killed after that long, and one that goes on; False where the first had ended by itself."""
    child = fork(trainer, folder, iterations=iterations)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) and status:
        sys.exit("a life failed")
    unbroken(trainer, folder, iterations=iterations)
    return os.WIFSIGNALED(status)


def digest(folder: pathlib.Path) -> str:
    """Of everything that decides the future: weights, optimisers, streams, environments, messages, counters."""
    state = read_state(folder / STATE)
    state["learner"].pop("metrics_logger")
    content = hashlib.sha256()
    _feed(content, state)
    return content.hexdigest()


def _feed(content: Any, value: Any) -> None:
    if isinstance(value, dict):
        for key in sorted(value.keys() - TIMES, key=str):
            content.update(str(key).encode())
            _feed(content, value[key])
    elif isinstance(value, (list, tuple)):
        for item in value:
            _feed(content, item)
    elif hasattr(value, "__dataclass_fields__"):
        _feed(content, vars(value))
    elif hasattr(value, "numpy") or hasattr(value, "tobytes"):
        content.update((value.numpy() if hasattr(value, "numpy") else value).tobytes())
    else:
        content.update(repr(value).encode())


def measure(*, moments: int, iterations: int, seed: int) -> dict[str, Any]:
    """Kill at that many moments; how many lives were cut, and how many ended elsewhere than the unbroken run."""
    source, trainer = random.Random(seed), warm()
    killed = different = ended_before = 0
    with tempfile.TemporaryDirectory() as place:
        whole = pathlib.Path(place, "whole")
        whole.mkdir()
        seconds = unbroken(trainer, whole, iterations=iterations)
        expected = digest(whole)
        while killed < moments:
            folder = pathlib.Path(tempfile.mkdtemp(dir=place))
            moment = source.uniform(0.0, 0.95 * seconds)
            cut = broken(trainer, folder, iterations=iterations, seconds=moment)
            killed, ended_before = killed + cut, ended_before + (not cut)
            different += digest(folder) != expected
            if leftovers := {path.name for path in folder.iterdir()} - {STATE}:
                sys.exit(f"left behind: {leftovers}")
            shutil.rmtree(folder)
    versions = {"heliograph": heliograph.__version__, "torch": torch.__version__, "python": platform.python_version()}
    return {
        "killed": killed,
        "ended_before_they_were_killed": ended_before,
        "different_from_unbroken": different,
        "iterations_of_a_run": iterations,
        "seconds_of_an_unbroken_run": round(seconds, 3),
        "seed": seed,
        "hardware": {
            "system": platform.system(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "shared": True,
        },
        "versions": versions,
    }


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=100)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(moments=given.moments, iterations=given.iterations, seed=given.seed)
    text = json.dumps(found, indent=2, sort_keys=True)
    print(text)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
