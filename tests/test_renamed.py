"""Keyword arguments and attributes under older names: they work, with a warning, wherever they may be given."""

import inspect
from typing import Any

import pytest
import torch
from gymnasium import spaces

from heliograph.analysis import evaluate, judging
from heliograph.cli.migrating import rewritten
from heliograph.envs.base import TeamEnv
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.experiments.choices import EnvChoice, build_env, make_env
from heliograph.models.base import ModelSpec
from heliograph.models.cnet import CNet
from heliograph.renamed import KEYWORDS, present_keywords

warned = pytest.warns(DeprecationWarning, match="num_envs")


def test_an_environment_takes_and_shows_its_number_under_the_older_name() -> None:
    with warned:
        env = SpeakerListener(num_copies=3)
    assert env.num_envs == 3
    with warned:
        assert env.num_copies == 3
    with warned:
        assert make_env("speaker_listener", num_copies=5).num_envs == 5


def test_both_names_at_once_are_refused() -> None:
    with pytest.raises(TypeError, match="num_copies= and num_envs= are two names of one argument"):
        SpeakerListener(num_copies=3, num_envs=3)


class Older(SpeakerListener):
    """An environment written with the older name throughout."""

    def __init__(self, *, num_copies: int = 1, device: str = "cpu", seed: int = 0) -> None:
        super().__init__(num_copies=num_copies, device=device, seed=seed)


def older_function(num_copies: int, seed: int, device: str) -> TeamEnv:
    """Make an environment, with the older name."""
    return SpeakerListener(num_envs=num_copies, seed=seed, device=device)


@pytest.mark.parametrize("made", [Older, older_function])
def test_what_was_written_for_the_older_name_is_called_by_it(made: Any) -> None:
    with warned:
        assert build_env(EnvChoice(env=made), num_envs=4).num_envs == 4
    by_path = EnvChoice(env=f"{__name__}:{made.__name__}")
    with warned:
        assert build_env(by_path, num_envs=4).num_envs == 4


def test_every_public_function_with_the_present_name_takes_the_older() -> None:
    for module in (evaluate, judging):
        for function in vars(module).values():
            public = (
                inspect.isfunction(function) and function.__module__ == module.__name__ and function.__name__[0] != "_"
            )
            if public and "num_envs" in inspect.signature(function).parameters:
                with pytest.raises(TypeError, match="two names of one argument"):
                    function(num_copies=1, num_envs=1)


def test_other_arguments_pass_through() -> None:
    assert present_keywords({"seed": 3}, what="it") == {"seed": 3}
    for old, new in KEYWORDS.items():
        with pytest.warns(DeprecationWarning, match=f"{old}= is called {new}= now"):
            assert present_keywords({old: 1}, what="it") == {new: 1}


def test_migrate_renames_in_files_that_name_heliograph_alone() -> None:
    assert rewritten("import heliograph as hg\nhg.make_env(num_copies=3)\n").endswith("hg.make_env(num_envs=3)\n")
    assert rewritten("import gym\ngym.make(num_copies=3)\n").endswith("gym.make(num_copies=3)\n")


def test_a_model_that_speaks_without_knowing_the_round_still_does() -> None:
    with pytest.warns(DeprecationWarning, match=r"Terse\.speak\(hidden\) is called with .* round_index now"):

        class Terse(CNet):
            """Says half of what it means."""

            def speak(self, hidden: torch.Tensor) -> torch.Tensor:
                return super().speak(hidden) / 2

    spec = ModelSpec(
        observation_space=spaces.Box(0, 1, (3,)), action_space=spaces.Discrete(2), num_agents=1, state_size=3
    )
    assert torch.equal(Terse(spec).speak(torch.ones(1, 1, 128), round_index=1), torch.full((1, 1, 128), 0.5))
