"""What more env runners bring on a slow Python environment, and what a model of it says of 16 and 128.

    python benchmarks/scaling.py [--iterations 3] [--out benchmarks/results/scaling.json]

The environment is a PettingZoo one that keeps its core busy for a millisecond a step. Measured are whole iterations
with 0, 1 and 2 env runners; then sampling, transfer of the rollouts to the driver, and learning by themselves. The
model: an iteration takes the sampling of one runner's share, the transfer of all shares (the driver takes them one by
one), learning, and sending the weights; runners do not sample while the learner learns.
"""

import argparse
import json
import pathlib
import platform
import time
from typing import Any

import numpy as np
import ray
import torch
from gymnasium import spaces
from pettingzoo import ParallelEnv
from protocols import commit, machine

from heliograph.adapters.pettingzoo import FromPettingZoo
from heliograph.envs.base import TeamEnv
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs.session import ray_running

RESULTS = pathlib.Path(__file__).parent / "results"
STEP_SECONDS, HORIZON, COPIES, BATCH = 1e-3, 16, 8, 2048
MODELLED_RUNNERS = (1, 2, 16, 128)


class Busy(ParallelEnv):
    """Two agents that must say the same number as the other sees; each step keeps a core busy for a millisecond."""

    metadata = {"name": "busy_v0"}  # noqa: RUF012 - PettingZoo's own way
    render_mode = None

    def __init__(self) -> None:
        self.possible_agents = ["left", "right"]
        self.observation_spaces = {a: spaces.Box(0.0, 1.0, (4,), np.float32) for a in self.possible_agents}
        self.action_spaces = {a: spaces.Discrete(4) for a in self.possible_agents}

    def observation_space(self, agent: str) -> spaces.Space:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space:
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        self.random = np.random.default_rng(seed)
        self.agents, self.time = list(self.possible_agents), 0
        return self._look(), {a: {} for a in self.agents}

    def step(self, actions: dict) -> tuple:
        ends = time.perf_counter() + STEP_SECONDS
        right = [actions["left"] == self.goals["right"], actions["right"] == self.goals["left"]]
        rewards = dict.fromkeys(self.agents, float(sum(right)) / 2)
        self.time += 1
        over = dict.fromkeys(self.agents, self.time >= HORIZON)
        observations, infos = self._look(), {a: {} for a in self.agents}
        self.agents = [] if self.time >= HORIZON else self.agents
        while time.perf_counter() < ends:
            pass
        return observations, rewards, over, dict.fromkeys(over, False), infos

    def _look(self) -> dict:
        self.goals = {a: int(self.random.integers(4)) for a in self.possible_agents}
        return {a: np.eye(4, dtype=np.float32)[g] for a, g in self.goals.items()}


def busy(num_envs: int = 1, seed: int = 0, device: str = "cpu") -> TeamEnv:
    """The environment for a team; a function, so that env runners can import it."""
    return FromPettingZoo(Busy, num_envs=num_envs, seed=seed, device=device)


def config(num_env_runners: int) -> CommPPOConfig:
    """A small team on it."""
    return (
        CommPPOConfig()
        .environment("scaling:busy")
        .communication(model="feedforward", model_settings={"size": 64}, channel="symbols")
        .env_runners(num_env_runners=num_env_runners, num_envs_per_env_runner=COPIES, rollout_fragment_length=HORIZON)
        .training(train_batch_size_per_learner=BATCH, minibatch_size=1024)
        .debugging(seed=0, log_level="ERROR")
    )


def fast(num_env_runners: int) -> CommPPOConfig:
    """The same team on an environment that costs next to nothing, where more runners cannot help."""
    settings = config(num_env_runners).environment("speaker_listener")
    settings.env_runners(num_envs_per_env_runner=1024, rollout_fragment_length=2)
    return settings.training(train_batch_size_per_learner=2 * BATCH)


def iterations(settings: CommPPOConfig, number: int) -> dict[str, float]:
    """Env steps per second of whole iterations, and the seconds of the parts, after one to warm up."""
    algorithm = settings.build_algo()
    try:
        algorithm.train()
        steps = -algorithm.metrics.peek(("env_runners", "num_env_steps_sampled_lifetime"))
        started = time.perf_counter()
        for _ in range(number):
            algorithm.train()
        seconds = time.perf_counter() - started
        steps += algorithm.metrics.peek(("env_runners", "num_env_steps_sampled_lifetime"))
        return {"env_steps_per_second": steps / seconds, "seconds_per_iteration": seconds / number, **parts(algorithm)}
    finally:
        algorithm.stop()


def parts(algorithm: Any) -> dict[str, float]:
    """Seconds per env step of sampling, of transfer, of learning; seconds of sending the weights."""
    group = algorithm.env_runner_group
    local = group.num_remote_env_runners() == 0
    runner = algorithm.env_runner if local else group._worker_manager.actors()[1]
    fragments = algorithm.config.batch_env_steps() // (
        algorithm.config.num_envs_per_env_runner * algorithm.config.rollout_fragment_length
    )
    started = time.perf_counter()
    held = [runner.sample() if local else runner.apply.remote(lambda r: r.sample()) for _ in range(fragments)]
    if not local:
        ray.wait(held, num_returns=fragments, fetch_local=False)
    sampled = time.perf_counter()
    rollouts = [rollout for part in (held if local else ray.get(held)) for rollout in part]
    transferred = time.perf_counter()
    algorithm._learn(rollouts)
    learnt = time.perf_counter()
    group.sync_weights(from_worker_or_learner_group=algorithm.learner_group, inference_only=True)
    sent = time.perf_counter()
    steps = sum(rollout.env_steps() for rollout in rollouts)
    return {
        "sampling_seconds_per_env_step": (sampled - started) / steps,
        "transfer_seconds_per_env_step": 0.0 if local else (transferred - sampled) / steps,
        "learning_seconds_per_env_step": (learnt - transferred) / steps,
        "sending_seconds": sent - learnt,
    }


def model(measured: dict[str, float], num_env_runners: int) -> float:
    """Env steps per second with so many runners, each on a core of its own, and a batch that grows with them."""
    batch = max(BATCH, num_env_runners * COPIES * HORIZON)
    seconds = measured["sampling_seconds_per_env_step"] * batch / num_env_runners
    seconds += (measured["transfer_seconds_per_env_step"] + measured["learning_seconds_per_env_step"]) * batch
    return batch / (seconds + measured["sending_seconds"])


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS / "scaling.json")
    given = parser.parse_args()
    with ray_running(num_actors=2):
        measured = {number: iterations(config(number), given.iterations) for number in (0, 1, 2)}
        quick = {number: iterations(fast(number), 10)["env_steps_per_second"] for number in (0, 2)}
    result = {
        "command": f"python benchmarks/scaling.py --iterations {given.iterations}",
        "commit": commit(),
        "versions": {"torch": torch.__version__, "ray": ray.__version__, "python": platform.python_version()},
        "hardware": machine(),
        "measured_by_env_runners": measured,
        "two_over_one": measured[2]["env_steps_per_second"] / measured[1]["env_steps_per_second"],
        "fast_environment_env_steps_per_second": quick,
        "modelled_env_steps_per_second": {number: model(measured[1], number) for number in MODELLED_RUNNERS},
    }
    given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
