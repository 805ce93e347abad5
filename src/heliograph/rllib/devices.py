"""Where environments, rollouts and networks live."""

from typing import Any

import torch
from ray.rllib.utils.framework import get_device

__all__ = ["check_gpus", "runner_device"]

GPU_SETTINGS = ("num_gpus_per_env_runner", "num_gpus_per_learner")


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
