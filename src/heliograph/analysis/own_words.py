"""Words of a task's own as utterances like any other: of teams that speak by actions, without a channel."""

import math
from typing import Any

import torch
import torch.nn.functional as F

from heliograph.analysis.interventions import NO_SYMBOL, Messages
from heliograph.envs.own_words import HEARD, HEARING, OwnWords, WordsHeard
from heliograph.experiments.choices import EnvChoice, PolicyChoice, build_team
from heliograph.rollouts.rollout import Rollout
from heliograph.storage.run_folder import Run
from heliograph.team.team import Team
from heliograph.types import Edges, Message, changed

__all__ = ["heard_otherwise", "own_words_of", "replaceable", "says_nothing", "speaking_team", "with_words"]

REPLACED = {
    Messages.RESAMPLED: WordsHeard.RESAMPLED,
    Messages.ZEROED: WordsHeard.NOTHING,
    Messages.NOISE: WordsHeard.NOISE,
}
"""Interventions that an environment makes of its own words."""


def own_words_of(run: Run) -> OwnWords | None:
    """Return the words that a team without a channel says by its actions; None where it says none."""
    return run.facts.own_words if run.team.silent else None


def says_nothing(run: Run) -> bool:
    """Tell whether a team says nothing, neither through a channel nor by its actions."""
    return run.team.silent and own_words_of(run) is None


def replaceable(run: Run, kind: Messages) -> bool:
    """Tell whether an intervention can be made of what a team says."""
    return kind in REPLACED if own_words_of(run) is not None else not run.team.silent


def heard_otherwise(run: Run, kind: Messages) -> EnvChoice:
    """The environment of a run in which words are heard as an intervention has it."""
    if kind is Messages.AS_SENT:
        return run.env
    if kind not in REPLACED:
        valid = ", ".join(repr(known.value) for known in REPLACED)
        raise ValueError(f"messages={kind.value!r}: words of the task's own can only be replaced by {valid}")
    return run.env.model_copy(update={"settings": {**run.env.settings, "heard": REPLACED[kind].value}})


def speaking_team(run: Run) -> Team:
    """The team that played, or one of the same policies whose channel has the task's own words, for its form alone."""
    own = own_words_of(run)
    if own is None:
        return run.team
    policies: dict[str, PolicyChoice] | None = run.choices.policies
    if policies is not None:
        policies = {
            name: choice.model_copy(update={"model": None, "model_settings": {}}) for name, choice in policies.items()
        }
    plain: dict[str, Any] = {
        "model": "feedforward", "model_settings": {"size": 1}, "channel": "symbols", "topology": "full",
        "channel_settings": {"vocabulary": own.vocabulary}, "topology_settings": {}, "policies": policies,
    }  # fmt: skip
    return build_team(run.choices.model_copy(update=plain), run.facts, seed=0)


def with_words(rollout: Rollout, own: OwnWords) -> tuple[Rollout, tuple[Message, ...]]:
    """The rollout with the words that were heard as its messages, and those that were said."""
    said = own.said(rollout.actions)
    speaks = rollout.speaking
    words = F.one_hot(said, own.vocabulary).float() * speaks.unsqueeze(-1)
    heard = rollout.info[HEARD]
    symbols = torch.where(heard.any(-1), heard.argmax(-1), NO_SYMBOL)
    bits = torch.where(speaks, math.log2(own.vocabulary), 0.0)
    arriving = Message(payload=heard.float(), symbols=symbols.unsqueeze(-1), bits=bits)
    edges = Edges(senders=None, mask=rollout.info[HEARING])
    told = changed(
        rollout, messages=(arriving,), draws=(said.unsqueeze(-1),), listening=({},), edges=edges, static_edges=None,
    )  # fmt: skip
    return told, (Message(payload=words, symbols=said.unsqueeze(-1), bits=bits),)
