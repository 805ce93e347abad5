"""Scripted languages in the games: what they score by hand, exactly, and played by the model `scripted`."""

import math

import pytest
import torch

from heliograph.analysis.exact import exact_return
from heliograph.envs.classification import ClassificationGame
from heliograph.envs.discrimination import DiscriminationGame
from heliograph.envs.lewis_game import LewisGame
from heliograph.envs.lewis_languages import (
    LewisCode,
    LewisScript,
    compositional,
    exact_return_of,
    holistic,
    random_code,
    scripted,
)
from heliograph.envs.reconstruction import ReconstructionGame
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_team, facts_of
from heliograph.rollouts.sampler import Sampler, play_episodes
from heliograph.team.team import Team
from heliograph.types import Choice

GAMES = {
    "reconstruction": (ReconstructionGame, {}),
    "reconstruction-exchange": (ReconstructionGame, {"exchange": True, "rounds": 2, "reward": "share", "listeners": 2}),
    "reconstruction-unseen": (ReconstructionGame, {"split": "test", "objects": "features"}),
    "classification-digits": (ClassificationGame, {"objects": "digits", "split": "test"}),
    "discrimination": (DiscriminationGame, {"objects": "symbols", "listeners": 2}),
    "discrimination-exchange": (DiscriminationGame, {"distractors": "one_attribute", "exchange": True, "rounds": 2}),
}
each_game = pytest.mark.parametrize("name", GAMES)
COPIES = 2000


def made(name: str, **base) -> LewisGame:
    game, settings = GAMES[name]
    return game(**settings, **base)


def team_of(script: LewisScript) -> Team:
    choices = TeamChoices(
        model="scripted",
        model_settings={"function": script},
        channel="symbols",
        channel_settings=script.sender.channel_settings,
    )
    return build_team(choices, facts_of(script.game)).eval()


def played(script: LewisScript, *, choice: Choice = Choice.GREEDY) -> tuple[float, float]:
    """Mean return of as many episodes as there are copies, and its standard error."""
    returns = play_episodes(Sampler(script.game, team_of(script), seed=1), COPIES, choice=choice)[0].returns.double()
    return returns.mean().item(), returns.std().item() / math.sqrt(len(returns))


@each_game
@pytest.mark.parametrize("language", [compositional, holistic])
def test_who_shares_a_language_without_ambiguity_is_always_right(name: str, language) -> None:
    game = made(name, num_envs=COPIES)
    spoken = language(game.objects)
    score = exact_return_of(game, sender=spoken, receiver=spoken)
    assert score == game.bounds().full_information
    assert played(scripted(game, sender=spoken, receiver=spoken)) == (score, 0.0)


@each_game
def test_who_answers_by_chance_scores_by_chance(name: str) -> None:
    game = made(name, num_envs=COPIES)
    spoken = compositional(game.objects)
    score = exact_return_of(game, sender=spoken, receiver=None)
    mean, error = played(scripted(game, sender=spoken, receiver=None), choice=Choice.SAMPLED)
    assert score == game.bounds().random == pytest.approx(mean, abs=4 * error)


@each_game
def test_ambiguous_and_foreign_words_score_as_computed(name: str) -> None:
    game = made(name, num_envs=COPIES)
    few = random_code(game.objects, vocabulary=3, length=2, seed=1)
    ambiguous = exact_return_of(game, sender=few, receiver=few)
    mean, error = played(scripted(game, sender=few, receiver=few))
    assert game.bounds().random < ambiguous < game.bounds().full_information
    assert mean == pytest.approx(ambiguous, abs=4 * error)
    one, other = holistic(game.objects, seed=3), compositional(game.objects)
    mean, error = played(scripted(game, sender=one, receiver=other))
    assert mean == pytest.approx(exact_return_of(game, sender=one, receiver=other), abs=4 * error + 1e-9)


def test_scores_by_hand() -> None:
    game = ReconstructionGame(attributes=2, values=2)
    half = LewisCode(words=game.objects.attributes[:, :1], vocabulary=2)  # tells the first attribute alone
    assert exact_return_of(game, sender=half, receiver=half) == 0.5
    share = ReconstructionGame(attributes=2, values=2, reward="share")
    assert exact_return_of(share, sender=half, receiver=half) == 0.75
    pair = DiscriminationGame(attributes=2, values=2, candidates=2)
    assert exact_return_of(pair, sender=half, receiver=half) == pytest.approx(2 / 3 + 1 / 3 / 2)
    one = DiscriminationGame(attributes=2, values=2, candidates=2, distractors="one_attribute")
    assert exact_return_of(one, sender=half, receiver=half) == 0.75
    turned = LewisCode(words=1 - half.words, vocabulary=2)
    assert exact_return_of(one, sender=turned, receiver=half) == pytest.approx(0.5 * 0 + 0.5 / 2)
    assert exact_return_of(game, sender=turned, receiver=half) == 0.0


def test_all_episodes_played_once_give_the_exact_score() -> None:
    game = ReconstructionGame(split="test", rounds=2)
    few = random_code(game.objects, vocabulary=4, seed=2)
    choice = EnvChoice(env="reconstruction", settings={"split": "test", "rounds": 2})
    score = exact_return_of(game, sender=few, receiver=few)
    assert exact_return(team_of(scripted(game, sender=few, receiver=few)), choice) == pytest.approx(score, abs=1e-6)


def test_languages_differ_in_structure_alone() -> None:
    objects = ReconstructionGame(attributes=2, values=5).objects
    spoken, dealt = compositional(objects), holistic(objects, seed=1)
    assert torch.equal(spoken.words, objects.attributes)
    assert sorted(dealt.words.tolist()) == sorted(spoken.words.tolist()) and not torch.equal(dealt.words, spoken.words)
    assert torch.equal(dealt.words, holistic(objects, seed=1).words)


def test_what_scripts_cannot_do_is_refused() -> None:
    game = ReconstructionGame()
    spoken, short = compositional(game.objects), random_code(game.objects, vocabulary=16)
    with pytest.raises(ValueError, match="both must use the same channel"):
        scripted(game, sender=spoken, receiver=short)
    with pytest.raises(ValueError, match="observation='image'"):
        scripted(ReconstructionGame(objects="digits", observation="image"), sender=spoken, receiver=None)
    with pytest.raises(ValueError, match="more than 1000000 words"):
        random_code(game.objects, vocabulary=101, length=3)
