"""How fast this machine trains: env steps per second, where the time goes, and the fraction of the machine's limit."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from heliograph.experiments.settings import TrainSettings
from heliograph.rllib.runs.configured import config_of
from heliograph.rllib.runs.described import versions
from heliograph.rllib.runs.local import LocalTrainer

MATRIX_SIZE = 512
PARTS = ("environment", "inference", "learning", "syncing")


def measure(
    settings: TrainSettings, *, iterations: int = 5, on_progress: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """Train that many iterations after one to warm up, in this process and without Ray.

    Time goes to the environment, to inference (the rest of sampling), to learning (all epochs of an update) and to
    syncing (handing the weights back). `gflops` is what was reached over all of it, counting matrix products alone;
    `sgemm_gflops` what one product of two 512 x 512 matrices reaches with as many threads: the machine's limit.
    """
    trainer = LocalTrainer(config_of(settings))
    _iteration(trainer)
    with FlopCounterMode(display=False) as counter:
        _iteration(trainer)
    seconds, before = dict.fromkeys(PARTS, 0.0), trainer.env_runner.num_env_steps_sampled_lifetime
    for iteration in range(iterations):
        for part, value in _iteration(trainer).items():
            seconds[part] += value
        if on_progress is not None:
            on_progress(iteration + 1)
    counted = {"num_env_steps": trainer.env_runner.num_env_steps_sampled_lifetime - before, "iterations": iterations}
    flops = counter.get_total_flops() * iterations
    return {**_about(settings, trainer), **counted, **rates(seconds, counted["num_env_steps"], flops=flops)}


def rates(seconds: Mapping[str, float], num_env_steps: int, *, flops: int) -> dict[str, Any]:
    """Seconds of the parts as shares and rates, and the arithmetic beside the machine's limit."""
    total, limit = sum(seconds.values()), sgemm_gflops()
    sampling = seconds["environment"] + seconds["inference"]
    return {
        "wall_seconds": total,
        "env_steps_per_second": num_env_steps / total,
        "sampling_env_steps_per_second": num_env_steps / sampling,
        "learning_env_steps_per_second": num_env_steps / seconds["learning"],
        **{f"{key}_seconds": value for key, value in seconds.items()},
        "flops_per_env_step": flops / num_env_steps,
        "gflops": flops / total / 1e9,
        "sgemm_gflops": limit,
        "fraction_of_limit": flops / total / 1e9 / limit,
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


def _about(settings: TrainSettings, trainer: LocalTrainer) -> dict[str, Any]:
    return {
        "env": settings.env,
        "model": settings.model,
        "channel": settings.channel,
        "num_envs": trainer.config.num_envs_per_env_runner,
        "minibatch_size": trainer.config.minibatch_size,
        "num_parameters": sum(p.numel() for p in trainer.team.parameters()),
        "torch_num_threads": torch.get_num_threads(),
        "versions": versions(),
    }


def _iteration(trainer: LocalTrainer) -> dict[str, float]:
    with _timed_steps(trainer) as environment:
        sampling = _seconds(lambda: trainer.env_runner.sample(num_timesteps=trainer.config.batch_env_steps()))
    trainer.env_runner.get_metrics()
    learning = _seconds(lambda: trainer.learner.update(episodes=sampling.result, timesteps={}))
    weights = trainer.learner.module.get_state(inference_only=True)
    syncing = _seconds(lambda: trainer.env_runner.set_state({"rl_module": weights}))
    stepping = sum(environment)
    found = (stepping, sampling.seconds - stepping, learning.seconds, syncing.seconds)
    return dict(zip(PARTS, found, strict=True))


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Timed:
    seconds: float
    result: Any


def _seconds(work: Callable[[], Any]) -> _Timed:
    started = time.perf_counter()
    result = work()
    return _Timed(seconds=time.perf_counter() - started, result=result)


@contextlib.contextmanager
def _timed_steps(trainer: LocalTrainer) -> Iterator[list[float]]:
    """The seconds of each step that the environment takes within the block."""
    env, taken = trainer.env_runner.env, []

    def step(actions: Any) -> Any:
        timed = _seconds(lambda: type(env).step(env, actions))
        taken.append(timed.seconds)
        return timed.result

    vars(env)["step"] = step
    try:
        yield taken
    finally:
        del vars(env)["step"]
