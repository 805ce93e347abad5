"""What policies learn from a corpus before they play: the same in every process, as it hangs on the seed alone."""

from typing import TYPE_CHECKING

import torch

from heliograph.analysis.corpus import Corpus, load_corpus
from heliograph.analysis.teaching import Lessons, teach
from heliograph.checks import check_positive
from heliograph.experiments.choices import opened
from heliograph.registry import UnknownNameError
from heliograph.team.team import Team

if TYPE_CHECKING:
    from heliograph.rllib.config import CommunicationConfig

__all__ = ["check_lessons", "learn_first"]

COPIES = 128
"""Copies of the environment in which a corpus is learnt."""


def check_lessons(config: "CommunicationConfig", team: Team) -> None:
    """Raise ValueError where a corpus cannot be learnt from, or settings of it would have no effect."""
    if config.learn_from is None:
        for name, usual in (("learn_updates", 200), ("learn_policies", ())):
            if (value := getattr(config, name)) != usual:
                raise ValueError(f"{name}={value!r} would have no effect: there is no corpus; set learn_from too")
        return
    check_positive("learn_updates", config.learn_updates)
    for name in config.learn_policies:
        if name not in team.policies:
            raise UnknownNameError(what="policy in learn_policies", name=name, valid=list(team.policies))
    Lessons(corpus_of(config), team)


def corpus_of(config: "CommunicationConfig") -> Corpus:
    """The corpus that was given, or is in the folder that was."""
    return config.learn_from if isinstance(config.learn_from, Corpus) else load_corpus(config.learn_from)


def learn_first(config: "CommunicationConfig", team: Team) -> None:
    """Teach a team that has not begun to play, where there is a corpus to learn from."""
    if config.learn_from is None:
        return
    seed = config.seed or 0
    copies = min(COPIES, config.num_envs_per_env_runner)
    with opened(config.env_choice(), num_envs=copies, seed=seed) as env, torch.enable_grad():
        teach(
            team, env, corpus_of(config), policies=config.learn_policies or None, updates=config.learn_updates,
            seed=seed,
        )  # fmt: skip
