"""Training in this process without starting Ray: the same env runner and learner, for notebooks and tests."""

import dataclasses
from typing import Any

from ray.rllib.utils.metrics import ALL_MODULES, NUM_ENV_STEPS_SAMPLED_LIFETIME

from heliograph.models.team import Team
from heliograph.rllib.config import CommunicationConfig
from heliograph.rllib.env_runner import TeamEnvRunner
from heliograph.rllib.learner import TeamLearner

__all__ = ["LocalTrainer", "Progress"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """One iteration: env steps so far, what the env runner measured, and what the learner measured."""

    num_env_steps: int
    env_runner: dict[str, Any]
    learner: dict[str, float]


class LocalTrainer:
    """Trains a team from a configuration, iteration by iteration, in this process.

    For remote runners and learners, evaluation during training, checkpoints and Tune use `config.build_algo()`.
    """

    def __init__(self, config: CommunicationConfig):
        if config.num_env_runners or config.num_learners:
            raise ValueError(
                f"num_env_runners={config.num_env_runners}, num_learners={config.num_learners}: a LocalTrainer has "
                "none that are remote; use config.build_algo()"
            )
        config.validate()
        self.config = config
        self.env_runner = TeamEnvRunner(config=config)
        learner_class = config.get_default_learner_class()
        self.learner: TeamLearner = learner_class(config=config, module_spec=config.get_multi_rl_module_spec())
        self.learner.build()
        self._sync()

    @property
    def team(self) -> Team:
        """The team as the learner holds it."""
        return self.learner.team_module.team

    def train(self) -> Progress:
        """Sample a batch, learn from it, and hand the weights back to the env runner."""
        rollouts = self.env_runner.sample(num_timesteps=self.config.batch_env_steps())
        sampled = _values(self.env_runner.get_metrics())
        steps = self.env_runner.num_env_steps_sampled_lifetime
        results = self.learner.update(episodes=rollouts, timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: steps})
        self._sync()
        return Progress(num_env_steps=steps, env_runner=sampled, learner=_values(results[ALL_MODULES]))

    def get_state(self) -> dict[str, Any]:
        """Weights, optimisers, random streams, environments and messages in flight."""
        return {"env_runner": self.env_runner.get_state(), "learner": self.learner.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue exactly where `get_state` was called."""
        self.learner.set_state(state["learner"])
        self.env_runner.set_state(state["env_runner"])

    def _sync(self) -> None:
        self.env_runner.set_state({"rl_module": self.learner.module.get_state(inference_only=True)})


def _values(metrics: Any) -> Any:
    """Plain numbers from RLlib's statistics objects."""
    if isinstance(metrics, dict):
        return {key: _values(value) for key, value in metrics.items()}
    return float(metrics.peek()) if hasattr(metrics, "peek") else metrics
