"""A cluster of three nodes on this machine, one of which is lost while a team trains (run by test_cluster.py)."""

import json
import time
from collections.abc import Callable
from typing import Any

import ray
from ray.cluster_utils import Cluster

from heliograph.rllib.ppo import CommPPOConfig


def config() -> CommPPOConfig:
    return (
        CommPPOConfig()
        .environment("speaker_listener")
        .communication(model="cnet", model_settings={"size": 8}, channel="symbols")
        .env_runners(num_env_runners=2, num_envs_per_env_runner=16)
        .training(train_batch_size_per_learner=64, minibatch_size=32, num_epochs=1)
        .debugging(seed=0, log_level="CRITICAL")
    )


def nodes_of(algorithm: Any) -> list[str]:
    return algorithm.env_runner_group.foreach_env_runner(
        lambda runner: ray.get_runtime_context().get_node_id(), local_env_runner=False
    )


def until(done: Callable[[], bool], algorithm: Any, *, seconds: float) -> int:
    """Train on until something holds; returns the last iteration."""
    deadline = time.monotonic() + seconds
    while True:
        iteration = algorithm.train()["training_iteration"]
        if done() or time.monotonic() > deadline:
            return iteration


def main() -> None:
    memory = {"object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **memory})
    workers = [cluster.add_node(num_cpus=1, **memory) for _ in range(2)]
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False, logging_level="CRITICAL")
    algorithm = config().build_algo()
    algorithm.train()
    before = nodes_of(algorithm)
    lost = next(node for node in workers if node.node_id == before[0])
    cluster.remove_node(lost, allow_graceful=False)
    after_loss = [algorithm.train() for _ in range(3)]
    steps = [result["env_runners"]["num_env_steps_sampled_lifetime"] for result in after_loss]
    cluster.add_node(num_cpus=1, **memory)
    last = until(lambda: len(nodes_of(algorithm)) == 2, algorithm, seconds=90)
    found = {"before": before, "after": nodes_of(algorithm), "lost": lost.node_id, "steps": steps, "last": last}
    algorithm.stop()
    ray.shutdown()
    cluster.shutdown()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
