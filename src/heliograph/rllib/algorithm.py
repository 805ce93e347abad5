"""The training step that Heliograph's algorithms share: sample rollouts, learn jointly, send weights."""

import functools
import pathlib
import time
from typing import Any

import ray
import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.core import COMPONENT_RL_MODULE
from ray.rllib.env.env_runner_group import EnvRunnerGroup
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    ENV_RUNNER_SAMPLING_TIMER,
    LEARNER_RESULTS,
    LEARNER_UPDATE_TIMER,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    SYNCH_WORKER_WEIGHTS_TIMER,
    TIMERS,
)

from heliograph.experiments.curriculum import Curriculum
from heliograph.rllib.env_runner import TeamEnvRunner
from heliograph.rllib.learner_errors import learners_answering
from heliograph.rllib.runs.records import row_of
from heliograph.rllib.runs.saved import run_in_memory, save_run
from heliograph.rllib.runs.session import ray_only_where_it_runs
from heliograph.rllib.sampling import close_runners, failure_in, sample_batch
from heliograph.rllib.shared_weights import share_weights
from heliograph.rllib.teams import team_of
from heliograph.rollouts.rollout import Rollout, concatenate
from heliograph.rollouts.split_episodes import folded
from heliograph.storage.run_folder import Run

CURRICULUM = "curriculum"
"""Key of a checkpoint: how far the curriculum has come."""
ROWS = "progress"
"""Key of a checkpoint: rows of progress.csv and the seconds so far, where the algorithm keeps them."""
SHORTEST_SECONDS = 1e-9
CLOSING_SECONDS = 5.0
"""How long env runners have at the end of a run to close their environments."""
REMOTE_RUNNERS = "remote_env_runners"
"""Key of a checkpoint: the states of remote env runners by index (RLlib saves that of the local one alone)."""


class CommunicationAlgorithm(Algorithm):
    """Base of Heliograph's algorithms: synchronous, on-policy batches of aligned rollouts."""

    seconds = 0.0
    """Of all iterations in this process."""
    rows: list[dict[str, Any]] | None = None
    """Rows of progress.csv, for `save_run`; None where somebody else writes them down."""

    @staticmethod
    def _get_env_id_and_creator(env_specifier: Any, config: Any) -> tuple[Any, Any]:
        """RLlib's, which knows names and classes; here functions, too, make environments."""
        if callable(env_specifier) and not isinstance(env_specifier, type):
            return env_specifier, env_specifier
        return Algorithm._get_env_id_and_creator(env_specifier, config)

    def setup(self, config: Any) -> None:
        """RLlib's; a local env runner and a local learner then share their weights."""
        self.rows = []
        with ray_only_where_it_runs():
            super().setup(config)
        if self.config.num_env_runners == 0 and self.config.num_learners == 0:
            runner = self.env_runner_group.local_env_runner
            self.learner_group.foreach_learner(lambda learner: share_weights(runner, learner))

    def run(self) -> Run:
        """The team as it is now, as a run: to evaluate, record, or read."""
        return run_in_memory(self.config, team_of(self))

    def save_run(
        self, folder: str | pathlib.Path, *, overwrite: bool = False, evaluation_episodes: int | None = 1000
    ) -> Run:
        """Write the team and its settings as a run folder, evaluated on fresh episodes (None: not at all); read it."""
        steps = self.metrics.peek((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME), default=0)
        return save_run(
            folder, config=self.config, team=team_of(self),
            trained={"iterations": self.iteration, "num_env_steps": int(steps), "wall_seconds": self.seconds},
            rows=self.rows or (), overwrite=overwrite, evaluation_episodes=evaluation_episodes,
        )  # fmt: skip

    def train(self) -> Any:
        """RLlib's: an iteration, and a row of what it measured."""
        results = super().train()
        if self.rows is not None:
            steps_before = self.rows[-1]["num_env_steps"] if self.rows else 0
            took = self.seconds - (self.rows[-1]["seconds"] if self.rows else 0.0)
            how: dict[str, Any] = {"steps_before": steps_before, "facts": self.config.facts()}
            self.rows.append(row_of(results, seconds=self.seconds, took=max(took, SHORTEST_SECONDS), **how))
        return results

    def step(self) -> Any:
        """RLlib's: an iteration, and the evaluation that is due."""
        started = time.perf_counter()
        try:
            with ray_only_where_it_runs():
                return super().step()
        finally:
            self.seconds += time.perf_counter() - started

    def training_step(self) -> None:
        """Sample a batch from all env runners, update the learners on it, and sync the weights back."""
        self._log_curriculum()
        with self.metrics.log_time((TIMERS, ENV_RUNNER_SAMPLING_TIMER)):
            rollouts, results = sample_batch(
                self.env_runner_group,
                num_env_steps=self.config.batch_env_steps(),
                timeout_seconds=self.config.sample_timeout_s,
                restore=self._restore_runners,
                env_settings=self.curriculum.settings(),
            )
            self.metrics.aggregate(results, key=ENV_RUNNER_RESULTS)
        with learners_answering(self.learner_group):
            with self.metrics.log_time((TIMERS, LEARNER_UPDATE_TIMER)):
                self.metrics.aggregate(self._learn(rollouts), key=LEARNER_RESULTS)
            with self.metrics.log_time((TIMERS, SYNCH_WORKER_WEIGHTS_TIMER)):
                self.env_runner_group.sync_weights(from_worker_or_learner_group=self.learner_group, inference_only=True)
        self._advance_curriculum()

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """RLlib's evaluation; a failure of the user's code in a remote runner is raised, one that hangs is ended."""
        started = time.monotonic()
        try:
            with ray_only_where_it_runs():
                results = super().evaluate(*args, **kwargs)
        except Exception:
            self._raise_failure_in_evaluation(started)
            raise
        self._raise_failure_in_evaluation(started)
        return results

    def _raise_failure_in_evaluation(self, started: float) -> None:
        late = time.monotonic() - started >= self.config.evaluation_sample_timeout_s
        failure = failure_in(self.eval_env_runner_group, end_silent=late)
        if failure is not None:
            raise failure

    def cleanup(self) -> None:
        """RLlib's, which waits for what every env runner is doing: those that hang are ended first.

        Then raises `EnvError` where an environment could not be closed, which RLlib only logs.
        """
        groups = self._runner_groups()
        failures = [error for group in groups for error in close_runners(group, timeout_seconds=CLOSING_SECONDS)]
        super().cleanup()
        if failures:
            raise failures[0]

    def end_at_once(self) -> None:
        """End all processes, whatever they are doing."""
        for group in self._runner_groups():
            group._worker_manager.clear()
        if self.learner_group.is_remote:
            self.learner_group._backend_executor.shutdown(graceful_termination=False)
        self.learner_group._is_shut_down = True

    def _runner_groups(self) -> list[EnvRunnerGroup]:
        return [group for group in (self.env_runner_group, self.eval_env_runner_group) if group is not None]

    def get_state(self, components: Any = None, *, not_components: Any = None, **kwargs: Any) -> dict[str, Any]:
        """RLlib's state, and those of remote env runners: environments, messages in flight, random streams."""
        state = super().get_state(components, not_components=not_components, **kwargs)
        if self.env_runner_group.num_remote_env_runners() and self._check_component(
            REMOTE_RUNNERS, components, not_components
        ):
            found = self.env_runner_group.foreach_env_runner(_state_of, local_env_runner=False)
            state[REMOTE_RUNNERS] = dict(found)
        if self._check_component(CURRICULUM, components, not_components):
            state[CURRICULUM] = self.curriculum.get_state()
        if self.rows and self._check_component(ROWS, components, not_components):
            state[ROWS] = {"rows": self.rows, "seconds": self.seconds}
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Take over a state; a remote runner that the saved run had not starts afresh."""
        with ray_only_where_it_runs():
            super().set_state(state)
        if ROWS in state:
            self.rows, self.seconds = list(state[ROWS]["rows"]), state[ROWS]["seconds"]
        if CURRICULUM in state:
            self.curriculum.set_state(state[CURRICULUM])
        if state.get(REMOTE_RUNNERS):
            states = ray.put(state[REMOTE_RUNNERS])
            self.env_runner_group.foreach_env_runner(lambda runner: _take(runner, states), local_env_runner=False)

    def restore_from_path(self, *args: Any, **kwargs: Any) -> None:
        """RLlib's."""
        with ray_only_where_it_runs():
            super().restore_from_path(*args, **kwargs)

    @functools.cached_property
    def curriculum(self) -> Curriculum:
        """How far the schedules of the environment's settings have come."""
        return Curriculum(self.config.curriculum)

    def _log_curriculum(self) -> None:
        for key, value in self.curriculum.columns().items():
            self.metrics.log_value((ENV_RUNNER_RESULTS, key), value, window=1)

    def _advance_curriculum(self) -> None:
        found = {name: self.metrics.peek((ENV_RUNNER_RESULTS, name), default=None) for name in self.curriculum.metrics}
        steps = self.metrics.peek((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME))
        self.curriculum.advance(num_env_steps=int(steps), metrics=found)

    def _restore_runners(self) -> list[int]:
        """As RLlib does before each training step, for a batch in which all runners died."""
        restored = self.restore_env_runners(self.env_runner_group)
        if restored:
            self._make_on_env_runners_recreated_callbacks(
                config=self.config,
                env_runner_group=self.env_runner_group,
                restored_env_runner_indices=restored,
            )
        return restored

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


def _state_of(runner: TeamEnvRunner) -> tuple[int, dict[str, Any]]:
    return runner.worker_index, runner.get_state(not_components=[COMPONENT_RL_MODULE])


def _take(runner: TeamEnvRunner, states: Any) -> None:
    state = ray.get(states).get(runner.worker_index)
    if state is not None:
        runner.set_state(state)


def _shards(rollouts: list[Rollout], num_learners: int) -> list[list[Rollout]]:
    """Shares of the copies of one batch, folded as a whole, that differ by one copy at most."""
    whole = folded(concatenate(rollouts))
    if whole.num_envs < num_learners:
        raise ValueError(f"{whole.num_envs} copies cannot be shared by num_learners={num_learners}: use more copies")
    shares = torch.arange(whole.num_envs).tensor_split(num_learners)
    return [[whole.select(share)] for share in shares]
