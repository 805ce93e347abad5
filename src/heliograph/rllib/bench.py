"""How fast this machine trains: env steps per second, split into sampling and learning, beside the machine's limit."""

import time
from collections.abc import Callable
from typing import Any

import torch

from heliograph.rllib.local import LocalTrainer
from heliograph.rllib.settings import TrainSettings
from heliograph.rllib.train import config_of, versions

MATRIX_SIZE = 512


def measure(
    settings: TrainSettings, *, iterations: int = 5, on_progress: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """Train that many iterations after one to warm up, in this process and without Ray.

    Sampling is environment and inference, learning is all epochs of an update, syncing hands the weights back.
    `sgemm_gflops` is what one product of two 512 x 512 matrices reaches with as many threads: the machine's limit.
    """
    trainer = LocalTrainer(config_of(settings))
    seconds = {"sampling": 0.0, "learning": 0.0, "syncing": 0.0}
    for iteration in range(iterations + 1):
        split = _iteration(trainer)
        if iteration:
            seconds = {key: seconds[key] + split[key] for key in seconds}
            if on_progress is not None:
                on_progress(iteration)
    total = sum(seconds.values())
    num_env_steps = trainer.config.batch_env_steps() * iterations
    return {
        "env": settings.env,
        "model": settings.model,
        "channel": settings.channel,
        "iterations": iterations,
        "num_env_steps": num_env_steps,
        "wall_seconds": total,
        "env_steps_per_second": num_env_steps / total,
        "sampling_env_steps_per_second": num_env_steps / seconds["sampling"],
        "learning_env_steps_per_second": num_env_steps / seconds["learning"],
        **{f"{key}_seconds": value for key, value in seconds.items()},
        "num_parameters": sum(p.numel() for p in trainer.team.parameters()),
        "torch_num_threads": torch.get_num_threads(),
        "sgemm_gflops": sgemm_gflops(),
        "versions": versions(),
    }


def sgemm_gflops(*, size: int = MATRIX_SIZE, repeats: int = 20) -> float:
    """The best of some products of two single-precision matrices, in 10^9 operations per second."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best / 1e9


def _iteration(trainer: LocalTrainer) -> dict[str, float]:
    marks = [time.perf_counter()]
    rollouts = trainer.env_runner.sample(num_timesteps=trainer.config.batch_env_steps())
    trainer.env_runner.get_metrics()
    marks.append(time.perf_counter())
    trainer.learner.update(episodes=rollouts, timesteps={})
    marks.append(time.perf_counter())
    trainer.env_runner.set_state({"rl_module": trainer.learner.module.get_state(inference_only=True)})
    marks.append(time.perf_counter())
    names = ("sampling", "learning", "syncing")
    return {name: after - before for name, before, after in zip(names, marks, marks[1:], strict=False)}
