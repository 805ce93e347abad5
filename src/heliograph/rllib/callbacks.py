"""Callbacks over whole batches of episodes, and one that records a corpus in every evaluation.

RLlib's `on_episode_*` callbacks never fire here: copies are stepped together, and no episode objects exist.
"""

import pathlib
from typing import Any

from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.env.env_runner import EnvRunner

from heliograph.analysis.corpus import from_rollouts
from heliograph.rllib.teams import team_of
from heliograph.rollouts.rollout import Rollout
from heliograph.rollouts.statistics import Episodes

__all__ = ["RecordCorpus", "TeamCallbacks"]

NEVER_CALLED = ("on_episode_created", "on_episode_start", "on_episode_step", "on_episode_end")


class TeamCallbacks(RLlibCallback):
    """RLlib's callbacks of algorithm, runner and evaluation, and batched ones of episodes in the place of its own."""

    def on_episodes_end(self, *, episodes: Episodes, env_runner: EnvRunner, metrics_logger: Any, **kwargs: Any) -> None:
        """Called once a sample with all episodes that ended in it: returns, lengths and success, as tensors.

        What is logged with `metrics_logger.log_value(name, value)` appears beside the runner's own metrics.
        """


class RecordCorpus(TeamCallbacks):
    """Writes what was said in each evaluation as a corpus: `<out>/iteration_000005`.

    Give it bound to a folder, `functools.partial(RecordCorpus, out="corpora")`; default: `corpora` in the folder of the
    algorithm. Fragments of episodes are not recorded: evaluate by `evaluation_duration_unit="episodes"` (the default).
    """

    def __init__(self, *, out: str | pathlib.Path | None = None):
        super().__init__()
        self.out = None if out is None else pathlib.Path(out).absolute()
        self.rollouts: list[Rollout] = []

    def on_sample_end(self, *, env_runner: EnvRunner, samples: list[Rollout], **kwargs: Any) -> None:
        """Keep the episodes of an evaluation until it ends."""
        if env_runner.config.in_evaluation and env_runner.config.evaluation_duration_unit == "episodes":
            self.rollouts.extend(samples)

    def on_evaluate_end(self, *, algorithm: Algorithm, **kwargs: Any) -> None:
        """Collect what all evaluation runners kept, and write it."""
        group = algorithm.eval_env_runner_group or algorithm.env_runner_group
        rollouts = [rollout for kept in group.foreach_env_runner(_take) for rollout in kept]
        if rollouts:
            folder = (self.out or pathlib.Path(algorithm.logdir) / "corpora") / f"iteration_{algorithm.iteration:06d}"
            metadata = {"iteration": algorithm.iteration}
            from_rollouts(team_of(algorithm), algorithm.config.facts(), rollouts, metadata=metadata).save(folder)


def never_called(config: Any) -> list[str]:
    """The callbacks that a user has filled in, in a class, and that nothing will ever call."""
    given = config.callbacks_class if isinstance(config.callbacks_class, (list, tuple)) else [config.callbacks_class]
    classes = [getattr(cls, "func", cls) for cls in given]
    return [name for name in NEVER_CALLED if _filled_in(classes, name)]


def _filled_in(classes: list[Any], name: str) -> bool:
    stock = getattr(RLlibCallback, name)
    return any(getattr(cls, name, stock) is not stock for cls in classes)


def _take(env_runner: Any) -> list[Rollout]:
    kept: list[Rollout] = []
    for callback in env_runner.callbacks:
        if isinstance(callback, RecordCorpus):
            kept, callback.rollouts = [*kept, *callback.rollouts], []
    return kept
