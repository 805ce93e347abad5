"""Languages that are taught: from scripts whose words are known, before play, and from generation to generation."""

import pathlib

import numpy as np
import pytest

from heliograph import CommPPOConfig, EnvChoice, LocalTrainer, TeamChoices, build_env, build_team, facts_of
from heliograph.analysis.corpus import Corpus, from_rollouts
from heliograph.analysis.exact import exact_return
from heliograph.analysis.teaching import Lessons, teach
from heliograph.envs.lewis_languages import compositional, scripted
from heliograph.experiments.choices import build_channel
from heliograph.registry import UnknownNameError
from heliograph.rllib.runs.generations import iterated_learning
from heliograph.rollouts.sampler import Sampler, play_episodes

GAME = EnvChoice(env="reconstruction", settings={"attributes": 2, "values": 3})


@pytest.fixture(scope="module")
def spoken() -> Corpus:
    """A compositional language, as a perfect team speaks it."""
    env = build_env(GAME, num_envs=64)
    code = compositional(env.objects)
    choices = TeamChoices(
        model="scripted", model_settings={"function": scripted(env, sender=code, receiver=code)}, channel="symbols",
        channel_settings=code.channel_settings,
    )  # fmt: skip
    team = build_team(choices, facts_of(env))
    return from_rollouts(team, facts_of(env), play_episodes(Sampler(env, team), 90)[1])


def learner(**settings):
    env = build_env(GAME, num_envs=64)
    choices = TeamChoices(
        model="feedforward", model_settings={"size": 32}, channel="symbols",
        channel_settings={"vocabulary": 3, "length": 2, **settings},
    )  # fmt: skip
    return env, build_team(choices, facts_of(env), seed=0)


@pytest.mark.parametrize("settings", [{}, {"spelling": "gru", "spelling_size": 16}, {"gradient": "straight_through"}])
def test_a_language_is_learnt_word_by_word(spoken: Corpus, settings: dict) -> None:
    """After lessons, and no play, both sides are perfect, and the words are the teacher's."""
    env, team = learner(**settings)
    losses = teach(team, env, spoken, updates=40, lr=3e-2)
    assert losses[0].speaking > 1.5 and losses[-1].speaking < 0.1 and losses[-1].hearing < 0.1
    assert exact_return(team, GAME) == 1.0
    rollouts = play_episodes(Sampler(env, team), 40)[1]
    said = from_rollouts(team, facts_of(env), rollouts).utterances
    assert (said["symbols"].map(list) == said["meaning"].map(list)).all()


def test_only_those_learn_who_are_named(spoken: Corpus) -> None:
    env, team = learner()
    before = {key: value.clone() for key, value in team.policies["receiver"].state_dict().items()}
    losses = teach(team, env, spoken, policies=["sender"], updates=5)
    assert np.isnan(losses[-1].hearing)
    assert all(bool((before[key] == value).all()) for key, value in team.policies["receiver"].state_dict().items())
    with pytest.raises(UnknownNameError, match="'speaker'"):
        teach(team, env, spoken, policies=["speaker"])


def test_a_corpus_that_does_not_fit_is_refused(spoken: Corpus) -> None:
    _, team = learner(vocabulary=4)
    with pytest.raises(ValueError, match=r"\(3, 2, None\), the channel \(4, 2, None\)"):
        Lessons(spoken, team)
    team.channel = build_channel("continuous", {})
    with pytest.raises(ValueError, match="a corpus of vectors"):
        Lessons(spoken, team)
    env, team = learner()
    other = spoken.utterances.assign(meaning=[[9, 9]] * len(spoken))
    with pytest.raises(ValueError, match="is it of this task"):
        teach(team, env, Corpus(utterances=other, metadata=spoken.metadata), updates=1)


def config(seed: int = 0) -> CommPPOConfig:
    return (
        CommPPOConfig()
        .environment("reconstruction", env_config=dict(GAME.settings))
        .communication(
            model="feedforward", model_settings={"size": 32}, channel="symbols",
            channel_settings={"vocabulary": 3, "length": 2},
        )
        .env_runners(num_envs_per_env_runner=128)
        .training(train_batch_size_per_learner=256, minibatch_size=128, num_epochs=2, lr=1e-3)
        .debugging(seed=seed)
    )  # fmt: skip


def test_prior_knowledge_is_there_from_the_first_iteration(spoken: Corpus, tmp_path: pathlib.Path) -> None:
    spoken.save(tmp_path / "corpus")
    knowing = LocalTrainer(config().communication(learn_from=str(tmp_path / "corpus"), learn_updates=60))
    assert knowing.train().env_runner["episode_return_mean"] > 0.3, "by chance it is 1/9"
    with pytest.raises(ValueError, match="learn_updates=7 would have no effect"):
        config().communication(learn_updates=7).validate()


def test_generations_hand_their_language_down() -> None:
    """The second begins, and stays, with words of the first for what it was told of."""
    found = iterated_learning(config(), generations=2, bottleneck=60, updates=60, iterations=1)
    first, second = (g.corpus.utterances for g in found)
    assert [g.number for g in found] == [0, 1] and len(first) == 60
    words = [{tuple(m): tuple(w) for m, w in zip(t["meaning"], t["symbols"], strict=True)} for t in (first, second)]
    shared = words[0].keys() & words[1].keys()
    same = np.mean([words[0][meaning] == words[1][meaning] for meaning in shared])
    assert len(shared) > 5 and same > 0.9
