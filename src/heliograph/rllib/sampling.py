"""Batches from all env runners, in the order of their indices, with those that die or hang in between brought back."""

import functools
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import ray
from ray.rllib.env.env_runner_group import EnvRunnerGroup

from heliograph.envs.checking import EnvError
from heliograph.rllib.failures import RunError
from heliograph.rllib.sampling_failures import SAMPLING_ERRORS, SamplingError
from heliograph.rollouts.rollout import Rollout

__all__ = ["close_runners", "failure_in", "sample_batch"]

LOG = logging.getLogger(__name__)
MAX_BARREN_ROUNDS = 3
RESTORE_SECONDS = 300.0
SECONDS_BETWEEN_PROBES = 1.0
FAILURE_SECONDS = 10.0
Round = list[tuple[list[Rollout], Any]]


def sample_batch(
    group: EnvRunnerGroup,
    *,
    num_env_steps: int,
    timeout_seconds: float,
    restore: Callable[[], list[int]],
    env_settings: Mapping[str, Any],
) -> tuple[list[Rollout], list[Any]]:
    """Rollouts of at least that many env steps, and the metrics of each runner's part.

    Environments have `env_settings` from now on. What a runner that died or hung owes, the others sample; where none
    is left, `restore` is called until it returns some.
    Raises `EnvRunnerError` with the traceback where a user's code failed, `EnvError` where it broke the contract,
    `RunError` where runners keep dying or hanging.
    """
    rollouts: list[Rollout] = []
    metrics: list[Any] = []
    barren = 0
    while sum(r.env_steps() for r in rollouts) < num_env_steps:
        found = _round(group, timeout_seconds, env_settings)
        barren = 0 if found else barren + 1
        if barren >= MAX_BARREN_ROUNDS:
            raise RunError(
                f"{barren} times in a row no env runner brought a sample: they died, or took longer than "
                f"sample_timeout_s={timeout_seconds}. Look for an environment that ends its process, hangs, or needs "
                "too much memory (train with --env-runners 0 to see), or allow more time"
            )
        if not found:
            _wait(group, restore)
        for sampled, measured in found:
            rollouts += sampled
            metrics.append(measured)
    return rollouts, metrics


def failure_in(group: EnvRunnerGroup | None, *, end_silent: bool = False) -> SamplingError | None:
    """The failure of a user's code that a remote runner remembers, once; runners that do not answer can be ended."""
    if group is None or group.num_remote_env_runners() == 0:
        return None
    healthy = set(group.healthy_env_runner_ids())
    found = group.foreach_env_runner(
        _take_failure, local_env_runner=False, healthy_only=False, timeout_seconds=FAILURE_SECONDS
    )
    failure = next((failure for _, failure in found if failure is not None), None)
    if end_silent and failure is None:
        _end(group, healthy - {index for index, _ in found}, why="hung in an evaluation")
    return failure


def close_runners(group: EnvRunnerGroup, *, timeout_seconds: float) -> list[EnvError]:
    """Have runners close their environments, and end the remote ones after that long in any case.

    Returns what kept an environment from being closed.
    """
    found = group.foreach_env_runner(_close, healthy_only=False, timeout_seconds=timeout_seconds)
    group._worker_manager.clear()
    return [error for error in found if isinstance(error, EnvError)]


def _round(group: EnvRunnerGroup, timeout_seconds: float, env_settings: Mapping[str, Any]) -> Round:
    if group.num_remote_env_runners() == 0:
        runner = group.local_env_runner
        runner.change_env(env_settings)
        return [(runner.sample(), runner.get_metrics())]
    sample = functools.partial(_sample, env_settings=dict(env_settings))
    asked = set(group.healthy_env_runner_ids())
    answers = group.foreach_env_runner(sample, local_env_runner=False, timeout_seconds=timeout_seconds)
    healthy = set(group.healthy_env_runner_ids())
    for index in sorted(asked - healthy):
        LOG.warning("env runner %d died (killed, out of memory, or its machine is gone): it is started anew", index)
    for _, answer in answers:
        if isinstance(answer, SAMPLING_ERRORS):
            raise answer
    _end(group, healthy - {index for index, _ in answers}, why=f"took longer than sample_timeout_s={timeout_seconds}")
    return [answer for _, answer in answers]


def _sample(runner: Any, *, env_settings: Mapping[str, Any]) -> tuple[int, Any]:
    """A failure travels as a value: as an exception, RLlib would only log it and start the runner anew."""
    try:
        runner.change_env(env_settings)
        return runner.worker_index, (runner.sample(), runner.get_metrics())
    except SAMPLING_ERRORS as error:
        return runner.worker_index, error


def _take_failure(runner: Any) -> tuple[int, SamplingError | None]:
    failure, runner.failure = runner.failure, None
    return runner.worker_index, failure


def _close(runner: Any) -> EnvError | None:
    try:
        runner.stop()
    except EnvError as error:
        return error
    return None


def _end(group: EnvRunnerGroup, indices: Iterable[int], *, why: str) -> None:
    """Kill runners that would keep whoever asks them waiting, for Ray to start them anew."""
    for index in sorted(indices):
        if not group._remote_args["max_restarts"]:
            raise RunError(f"env runner {index} {why}; restart_failed_env_runners=False lets none be started anew")
        LOG.warning("env runner %d %s: it is ended, and started anew", index, why)
        ray.kill(group._worker_manager.actors()[index], no_restart=False)
        group._worker_manager.set_actor_state(index, healthy=False)


def _wait(group: EnvRunnerGroup, restore: Callable[[], list[int]]) -> None:
    """Until a runner is healthy; Ray may need a while to start its process."""
    deadline = time.monotonic() + RESTORE_SECONDS
    while time.monotonic() < deadline:
        if group.num_healthy_remote_workers() > 0 or restore():
            return
        time.sleep(SECONDS_BETWEEN_PROBES)
