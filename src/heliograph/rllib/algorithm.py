"""The training step that Heliograph's algorithms share: sample rollouts, learn jointly, send weights."""

from typing import Any

import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.execution.rollout_ops import synchronous_parallel_sample
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    ENV_RUNNER_SAMPLING_TIMER,
    LEARNER_RESULTS,
    LEARNER_UPDATE_TIMER,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    SYNCH_WORKER_WEIGHTS_TIMER,
    TIMERS,
)

from heliograph.rollout import Rollout, concatenate


class CommunicationAlgorithm(Algorithm):
    """Base of Heliograph's algorithms: synchronous, on-policy batches of aligned rollouts."""

    def training_step(self) -> None:
        """Sample a batch from all env runners, update the learners on it, and sync the weights back."""
        with self.metrics.log_time((TIMERS, ENV_RUNNER_SAMPLING_TIMER)):
            rollouts, results = synchronous_parallel_sample(
                worker_set=self.env_runner_group,
                max_env_steps=self.config.batch_env_steps(),
                sample_timeout_s=self.config.sample_timeout_s,
                _uses_new_env_runners=True,
                _return_metrics=True,
            )
            if not rollouts:
                return
            self.metrics.aggregate(results, key=ENV_RUNNER_RESULTS)
        with self.metrics.log_time((TIMERS, LEARNER_UPDATE_TIMER)):
            self.metrics.aggregate(self._learn(rollouts), key=LEARNER_RESULTS)
        with self.metrics.log_time((TIMERS, SYNCH_WORKER_WEIGHTS_TIMER)):
            self.env_runner_group.sync_weights(from_worker_or_learner_group=self.learner_group, inference_only=True)

    def _learn(self, rollouts: list[Rollout]) -> list[Any]:
        steps = self.metrics.peek((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME))
        settings = {
            "timesteps": {NUM_ENV_STEPS_SAMPLED_LIFETIME: steps},
            "num_epochs": self.config.num_epochs,
            "minibatch_size": self.config.minibatch_size,
        }
        if self.config.num_learners <= 1:
            return self.learner_group.update(**self._whole(rollouts), **settings)
        return self.learner_group.update(batches=_shards(rollouts, self.config.num_learners), **settings)

    def _whole(self, rollouts: list[Rollout]) -> dict[str, Any]:
        return {"episodes": rollouts} if self.config.num_learners == 0 else {"batches": [rollouts]}


def _shards(rollouts: list[Rollout], num_learners: int) -> list[list[Rollout]]:
    """Equal shares of the copies; the ragged rest is left out so that all learners take as many steps."""
    whole = concatenate(rollouts)
    size = whole.num_copies // num_learners
    if not size:
        raise ValueError(f"{whole.num_copies} copies cannot be shared by num_learners={num_learners}: use more copies")
    return [[whole.select(torch.arange(i * size, (i + 1) * size))] for i in range(num_learners)]
