"""Env steps per second of training: Heliograph beside stock RLlib PPO, on one machine, in one run.

    python benchmarks/speed.py [--rounds 3] [--out benchmarks/results/speed.json]

The same game (`speaker_listener`, three goals), the same networks (two layers of 64 tanh units for each agent's policy,
and two for its value), the same epochs, batch and minibatch, no entropy bonus, one thread each. RLlib plays the game as
a `MultiAgentEnv` whose messages are actions, once as shipped and once without its quadratic `to_numpy` (each episode is
converted once, not again at every step after it ended), each at its best number of copies. Seconds are those of whole
iterations after the first; of each subject the fastest round counts. Growth: cost per agent step against copies and
agents.
"""

import argparse
import json
import logging
import pathlib
import platform
import time
from collections.abc import Callable
from typing import Any

import ray
import torch
from protocols import commit, machine
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.tune.registry import register_env

from heliograph.experiments.settings import settings_from
from heliograph.rllib.multi_agent_env import ToMultiAgentEnv
from heliograph.rllib.runs.bench import measure, sgemm_gflops
from heliograph.rllib.runs.session import quiet

RESULTS = pathlib.Path(__file__).parent / "results"
BATCH, MINIBATCH, EPOCHS, SIZE = 4096, 2048, 4, 64
FORWARD_FLOPS = 37_632
"""Of one step of both agents through policies and values of two layers of 64 units (18,816 multiply-adds)."""
COPIES_OF_RLLIB = (32, 64, 128, 256)
GROWTH_COPIES, GROWTH_AGENTS = (1024, 4096, 16384), (2, 8, 32, 128, 256)


def once(to_numpy: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A `to_numpy` that converts an episode the first time it is called, and then returns at once."""
    done: set[str] = set()

    def convert(episode: Any) -> Any:
        if episode.id_ in done:
            return episode
        done.add(episode.id_)
        return to_numpy(episode)

    return convert


def stock(*, copies: int, iterations: int) -> float:
    """Env steps per second of stock RLlib PPO with that many copies."""
    register_env("talking", lambda config: ToMultiAgentEnv({"env": "speaker_listener", "vocab_size": 3}))
    config = (
        PPOConfig()
        .environment("talking")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=copies)
        .learners(num_learners=0)
        .multi_agent(policies={"speaker", "listener"}, policy_mapping_fn=lambda agent, *_, **__: agent.split("_")[0])
        .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[SIZE, SIZE], fcnet_activation="tanh"))
        .training(
            train_batch_size_per_learner=BATCH, minibatch_size=MINIBATCH, num_epochs=EPOCHS, lr=1e-3, entropy_coeff=0.0
        )
        .debugging(seed=0, log_level="ERROR")
    )
    algorithm = config.build_algo()
    try:
        algorithm.train()
        before = algorithm.metrics.peek(("env_runners", "num_env_steps_sampled_lifetime"))
        started = time.perf_counter()
        for _ in range(iterations):
            algorithm.train()
        seconds = time.perf_counter() - started
        return (algorithm.metrics.peek(("env_runners", "num_env_steps_sampled_lifetime")) - before) / seconds
    finally:
        algorithm.stop()


def ours(env: str, *, iterations: int, **settings: Any) -> dict[str, Any]:
    """What `heliograph bench` measures, for networks of the same size."""
    training = {
        "num_envs_per_env_runner": BATCH // 2, "train_batch_size_per_learner": BATCH, "minibatch_size": MINIBATCH,
        "num_epochs": EPOCHS, "target_kl": None, "entropy_coeff": 0.0, "message_entropy_coeff": 0.0,
    } | settings.pop("training", {})  # fmt: skip
    chosen = {"model": "feedforward", "model_settings": {"size": SIZE}, "channel": "symbols", "critic": "observation"}
    chosen |= settings
    return measure(settings_from({"env": env, "algorithm_settings": training, **chosen}), iterations=iterations)


def compare(rounds: int) -> dict[str, Any]:
    """Each subject by turns, the fastest round of each."""
    from ray.rllib.env import multi_agent_episode

    episode_class, shipped = multi_agent_episode.MultiAgentEpisode, multi_agent_episode.MultiAgentEpisode.to_numpy
    found: dict[str, Any] = {f"{kind}_{n}": 0.0 for kind in ("stock", "patched") for n in COPIES_OF_RLLIB}
    best: dict[str, Any] = {"env_steps_per_second": 0.0}
    for turn in range(rounds):
        mine = ours("speaker_listener", iterations=10)
        best = max(best, mine, key=lambda one: one["env_steps_per_second"])
        for copies in COPIES_OF_RLLIB:
            episode_class.to_numpy = once(shipped)
            found[f"patched_{copies}"] = max(found[f"patched_{copies}"], stock(copies=copies, iterations=2))
            episode_class.to_numpy = shipped
            if turn == 0:
                found[f"stock_{copies}"] = stock(copies=copies, iterations=1)
    fastest = {kind: max(v for k, v in found.items() if k.startswith(kind)) for kind in ("stock", "patched")}
    ratios = {f"times_{kind}": best["env_steps_per_second"] / value for kind, value in fastest.items()}
    share = {"fraction_of_derived_limit": best["env_steps_per_second"] / derived_limit(best["sgemm_gflops"])}
    return {"heliograph": best, "rllib_env_steps_per_second": found, **ratios, **share}


def derived_limit(gflops: float) -> float:
    """Env steps per second if only the matrix products of both agents in every step cost time.

    One forward pass to sample, one for values, and three (forward and backward) an epoch.
    """
    return gflops * 1e9 / (FORWARD_FLOPS * (2 + 3 * EPOCHS))


def growth() -> dict[str, Any]:
    """Microseconds per agent step of training: more copies, then more agents, in fragments of 16 steps."""
    copies, agents = {}, {}
    for number in GROWTH_COPIES:
        batch = {"num_envs_per_env_runner": number, "train_batch_size_per_learner": number * 2}
        found = ours("speaker_listener", iterations=2, training=batch)
        copies[number] = 1e6 / found["env_steps_per_second"] / 2
    for number in GROWTH_AGENTS:
        num_envs = max(8, 2048 // number)
        batch = {"num_envs_per_env_runner": num_envs, "train_batch_size_per_learner": 16 * num_envs}
        batch |= {"minibatch_size": 4 * num_envs, "rollout_fragment_length": 16}
        found = ours("switch_riddle", iterations=2, env_settings={"prisoners": number}, training=batch)
        agents[number] = 1e6 / found["env_steps_per_second"] / number
    return {"microseconds_per_agent_step_by_copies": copies, "microseconds_per_agent_step_by_agents": agents}


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS / "speed.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    logging.disable(logging.WARNING)
    with quiet():
        result = {
            "command": f"python benchmarks/speed.py --rounds {given.rounds}",
            "commit": commit(),
            "versions": {"torch": torch.__version__, "ray": ray.__version__, "python": platform.python_version()},
            "hardware": machine(),
            "sgemm_gflops_one_thread": sgemm_gflops(),
            "default_model": measure(settings_from({}), iterations=5),
            **compare(given.rounds),
            **growth(),
        }
    given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
