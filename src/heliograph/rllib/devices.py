"""Where environments, rollouts and networks live."""

import os
from typing import Any

import torch
from ray.rllib.utils.framework import get_device
from torch import nn

from heliograph.checks import check_number, check_positive
from heliograph.hardware import num_cores

__all__ = ["check_gpus", "prepare_torch", "runner_device", "threads_for"]

GPU_SETTINGS = ("num_gpus_per_env_runner", "num_gpus_per_learner")
WEIGHTS_WORTH_A_THREAD = 100_000
MOST_THREADS = 4096


def prepare_torch(*, num_threads: int | None) -> None:
    """Settings of torch in a process that samples or learns, with one thread where nobody chose.

    RLlib, given a seed, has torch compute deterministically, and torch then also writes NaN into all memory before
    anything is computed into it; that costs a twentieth of an update on Traffic Junction, and decides nothing.
    """
    torch.set_num_threads(min(num_threads or 1, _most_threads()))
    torch.utils.deterministic.fill_uninitialized_memory = False


def threads_for(team: nn.Module, *, given: int | None) -> int:
    """As many threads as are given, or two for a team of 100,000 weights, which gains by them, and one below.

    A process takes no more than it has cores or than OMP_NUM_THREADS says. Ray sets that in all of its own processes,
    to one where no more CPUs are asked for.
    """
    if given is not None:
        check_positive("torch_num_threads", given)
        check_number("torch_num_threads", given, maximum=MOST_THREADS)
        return given
    num_weights = sum(parameter.numel() for parameter in team.parameters())
    return min(2 if num_weights >= WEIGHTS_WORTH_A_THREAD else 1, _most_threads())


def _most_threads() -> int:
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdecimal():
        return max(int(said), 1)
    return num_cores()


def runner_device(config: Any, *, worker_index: int) -> torch.device:
    """The device of an env runner: that of the learner whose process it shares, else as `num_gpus_per_env_runner` says.

    In one process environments, rollouts and learning then stay on one device, and nothing but weights is ever copied.
    """
    shares = worker_index == 0 and config.num_learners == 0
    gpus = config.num_gpus_per_learner if shares else config.num_gpus_per_env_runner
    return torch.device(get_device(config, gpus) if gpus else "cpu")


def check_gpus(config: Any) -> None:
    """Refuse GPUs where torch sees none in this process, and nothing else could have any."""
    for name in GPU_SETTINGS:
        number = getattr(config, name)
        remote = config.num_env_runners if name == "num_gpus_per_env_runner" else config.num_learners
        if number and not remote and not torch.cuda.is_available():
            raise ValueError(
                f"{name}={number}: torch {torch.__version__} sees no GPU in this process; set it to 0, install a build "
                "of torch with CUDA, or use remote env runners and learners on machines that have one"
            )
