"""Training in this process without starting Ray: the same env runner and learner, for notebooks and tests."""

import dataclasses
import pathlib
import time
from typing import Any

import torch
from ray.rllib.utils.metrics import (
    ALL_MODULES,
    ENV_RUNNER_RESULTS,
    LEARNER_RESULTS,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
)
from torch import Tensor

from heliograph.experiments.curriculum import Curriculum
from heliograph.rllib.config import CommunicationConfig
from heliograph.rllib.env_runner import TeamEnvRunner
from heliograph.rllib.learner import TeamLearner
from heliograph.rllib.runs.records import row_of
from heliograph.rllib.runs.saved import run_in_memory, save_run
from heliograph.rllib.runs.session import quiet
from heliograph.rllib.shared_weights import share_weights
from heliograph.storage.run_folder import Run
from heliograph.storage.state_file import read_state, write_state
from heliograph.team.team import Team

__all__ = ["LocalTrainer", "Progress"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """One iteration: env steps so far, what the env runner measured, and what the learner measured."""

    num_env_steps: int
    env_runner: dict[str, Any]
    learner: dict[str, float]


class LocalTrainer:
    """Trains a team from a configuration, iteration by iteration, in this process; `save` and `restore` its state.

    For remote runners and learners, evaluation during training and Tune use `config.build_algo()`.
    """

    def __init__(self, config: CommunicationConfig):
        if config.num_env_runners or config.num_learners:
            raise ValueError(
                f"num_env_runners={config.num_env_runners}, num_learners={config.num_learners}: a LocalTrainer has "
                "none that are remote; use config.build_algo()"
            )
        self.config = config
        self.iteration, self.seconds = 0, 0.0
        self.rows: list[dict[str, Any]] = []
        self.curriculum = Curriculum(config.curriculum)
        with quiet():
            config.validate()
            self.env_runner: TeamEnvRunner = config.env_runner_cls(config=config)
            self.learner: TeamLearner = config.learner_class(
                config=config, module_spec=config.get_multi_rl_module_spec()
            )
            self.learner.build()
        share_weights(self.env_runner, self.learner)
        self._copies = self._pairs()
        self._sync()

    @property
    def team(self) -> Team:
        """The team as the learner holds it."""
        return self.learner.team_module.team

    def train(self) -> Progress:
        """Sample a batch, learn from it, and hand the weights back to the env runner."""
        started, columns = time.perf_counter(), self.curriculum.columns()
        self.env_runner.change_env(self.curriculum.settings())
        rollouts = self.env_runner.sample(num_timesteps=self.config.batch_env_steps())
        sampled = _values(self.env_runner.get_metrics())
        steps = self.env_runner.num_env_steps_sampled_lifetime
        results = self.learner.update(episodes=rollouts, timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: steps})
        self._sync()
        self.iteration += 1
        took = time.perf_counter() - started
        self.seconds += took
        self._keep_row({**sampled, **columns}, _values(results), took=took)
        self.curriculum.advance(num_env_steps=steps, metrics=sampled)
        return Progress(num_env_steps=steps, env_runner=sampled | columns, learner=_values(results[ALL_MODULES]))

    def _keep_row(self, sampled: dict[str, Any], learnt: dict[str, Any], *, took: float) -> None:
        steps = {NUM_ENV_STEPS_SAMPLED_LIFETIME: self.env_runner.num_env_steps_sampled_lifetime}
        results = {ENV_RUNNER_RESULTS: sampled | steps, LEARNER_RESULTS: learnt, "training_iteration": self.iteration}
        steps_before = self.rows[-1]["num_env_steps"] if self.rows else 0
        how: dict[str, Any] = {"steps_before": steps_before, "facts": self.config.facts()}
        self.rows.append(row_of(results, seconds=self.seconds, took=took, **how))

    def run(self) -> Run:
        """The team as it is now, as a run: to evaluate, record, or read."""
        return run_in_memory(self.config, self.team)

    def save_run(
        self, folder: str | pathlib.Path, *, overwrite: bool = False, evaluation_episodes: int | None = 1000
    ) -> Run:
        """Write the team and its settings as a run folder, evaluated on fresh episodes (None: not at all); read it."""
        trained = {
            "iterations": self.iteration,
            "num_env_steps": self.env_runner.num_env_steps_sampled_lifetime,
            "wall_seconds": self.seconds,
        }
        return save_run(
            folder, config=self.config, team=self.team, trained=trained, rows=self.rows, overwrite=overwrite,
            evaluation_episodes=evaluation_episodes,
        )  # fmt: skip

    def stop(self) -> None:
        """Close the environment; the trainer samples no more."""
        self.env_runner.stop()

    def get_state(self) -> dict[str, Any]:
        """Weights, optimisers, random streams, environments and messages in flight."""
        learner = self.learner.get_state()
        learner.pop("should_module_be_updated")  # the configuration says it, perhaps by a function
        runner, curriculum = self.env_runner.get_state(), self.curriculum.get_state()
        done = {"iteration": self.iteration, "seconds": self.seconds, "rows": list(self.rows)}
        return {"env_runner": runner, "learner": learner, "curriculum": curriculum, **done}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue exactly where `get_state` was called."""
        self.learner.set_state(state["learner"])
        self.env_runner.set_state(state["env_runner"])
        self.iteration = state["iteration"]
        self.seconds, self.rows = state.get("seconds", 0.0), list(state.get("rows", ()))
        self.curriculum.set_state(state["curriculum"])

    def save(self, path: str | pathlib.Path) -> None:
        """Write the whole state to one safetensors file, which is the old or the new one whatever ends the process."""
        write_state(path, self.get_state())

    def restore(self, path: str | pathlib.Path) -> None:
        """Continue exactly where `save` was called, in a trainer of the same configuration. Executes nothing."""
        self.set_state(read_state(path))

    def _pairs(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return what the env runner does not share with the learner, and the learner's that it is copied from."""
        ours = {name: module.state_dict() for name, module in self.learner.module.items()}
        theirs = {name: module.state_dict() for name, module in self.env_runner.module.items()}
        pairs = [(tensor, ours[name][key]) for name, tensors in theirs.items() for key, tensor in tensors.items()]
        apart = [pair for pair in pairs if pair[0].data_ptr() != pair[1].data_ptr()]
        return [pair[0] for pair in apart], [pair[1] for pair in apart]

    @torch.no_grad()
    def _sync(self) -> None:
        for theirs, ours in zip(*self._copies, strict=True):
            theirs.copy_(ours)


def _values(metrics: Any) -> Any:
    """Plain numbers from RLlib's statistics objects."""
    if isinstance(metrics, dict):
        return {key: _values(value) for key, value in metrics.items()}
    return float(metrics.peek()) if hasattr(metrics, "peek") else metrics
