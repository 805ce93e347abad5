"""Batched callbacks, the corpus of every evaluation, and policies that take turns."""

import functools
import pathlib
from typing import Any

import pytest
import torch
from ray.rllib.callbacks.callbacks import RLlibCallback

from heliograph.analysis.corpus import load_corpus
from heliograph.registry import UnknownNameError
from heliograph.rllib.alternating import Alternating
from heliograph.rllib.callbacks import RecordCorpus, TeamCallbacks
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rollouts.statistics import Episodes


class Counts(TeamCallbacks):
    """Logs a number of its own."""

    def on_episodes_end(self, *, episodes: Episodes, env_runner: Any, metrics_logger: Any, **kwargs: Any) -> None:
        metrics_logger.log_value("best_return", float(episodes.returns.max()), window=1)
        metrics_logger.log_value("ended", len(episodes), reduce="sum")


class OneByOne(RLlibCallback):
    """What works in stock RLlib."""

    def on_episode_end(self, **kwargs: Any) -> None:
        raise AssertionError("never called")


def config() -> CommPPOConfig:
    return (
        CommPPOConfig()
        .environment("speaker_listener")
        .communication(model="feedforward", model_settings={"size": 16}, channel="symbols")
        .env_runners(num_envs_per_env_runner=32)
        .training(train_batch_size_per_learner=256, minibatch_size=128)
        .debugging(seed=0, log_level="ERROR")
    )


def test_episodes_are_reported_in_batches() -> None:
    found = LocalTrainer(config().callbacks(Counts)).train().env_runner
    assert found["best_return"] == found["episode_return_max"]
    assert found["ended"] == found["num_episodes"] == 128


def test_callbacks_that_nothing_would_call_are_said() -> None:
    """A class may well hold others that are called; a function is given for this alone."""
    with pytest.warns(UserWarning, match="on_episode_end is never called"):
        config().callbacks(OneByOne).validate()
    with pytest.raises(ValueError, match=r"^on_episode_end=.* would have no effect: .*on_episodes_end"):
        config().callbacks(on_episode_end=lambda **kwargs: None).validate()


def test_evaluations_leave_a_corpus(ray_session: None, tmp_path: pathlib.Path) -> None:
    settings = config().evaluation(evaluation_interval=1, evaluation_duration=40, evaluation_num_env_runners=1)
    algorithm = settings.callbacks(functools.partial(RecordCorpus, out=tmp_path)).build_algo()
    try:
        algorithm.train()
        algorithm.train()
    finally:
        algorithm.stop()
    folders = sorted(path.name for path in tmp_path.iterdir())
    assert len(folders) == 2
    corpus = load_corpus(tmp_path / folders[-1])
    assert corpus.metadata["num_episodes"] >= 40 and len(corpus) == corpus.metadata["num_episodes"]
    assert set(corpus.utterances["sender"]) == {"speaker_0"}


def test_policies_take_turns() -> None:
    turns = Alternating(["speaker", ["listener"]], num_env_steps=512)
    trainer = LocalTrainer(config().multi_agent(policies_to_train=turns))
    for learns, waits in (("speaker", "listener"),) * 2 + (("listener", "speaker"),) * 2 + (("speaker", "listener"),):
        before = {name: _weights(trainer, name) for name in (learns, waits)}
        trainer.train()
        assert torch.equal(before[waits], _weights(trainer, waits)), (learns, trainer.env_runner)
        assert not torch.equal(before[learns], _weights(trainer, learns))


def _weights(trainer: LocalTrainer, policy: str) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for p in trainer.team.policies[policy].parameters()])


def test_turns_are_checked() -> None:
    with pytest.raises(UnknownNameError, match="lisener"):
        config().multi_agent(policies_to_train=Alternating(["speaker", "lisener"], num_env_steps=10)).validate()
    with pytest.raises(ValueError, match="num_env_steps=0"):
        Alternating(["speaker", "listener"], num_env_steps=0)
    with pytest.raises(ValueError, match="at least two turns"):
        Alternating(["speaker"], num_env_steps=1)
