"""Which combinations of the five choices make sense, and why the others do not: one table (no ray).

Any model runs on any channel and topology, so the table is short: it refuses what would train for nothing. What looks
odd but is a control stands in it too, as legal. Rules go by what components declare, so they hold for anybody's.
"""

import contextlib
import dataclasses
import enum
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from heliograph import registry
from heliograph.envs.base import TeamEnv
from heliograph.envs.checking import tried
from heliograph.experiments.choices import (
    EnvChoice,
    EnvFacts,
    TeamChoices,
    build_team,
    facts_of,
    opened,
    outline,
    resolve,
)
from heliograph.experiments.effects import check_effects
from heliograph.experiments.loss_trial import name_of_loss, try_losses
from heliograph.hardware import memory_bytes
from heliograph.isolation import isolated
from heliograph.losses.base import AuxiliaryLoss
from heliograph.memory import at_most, is_exhausted
from heliograph.rollouts.sampler import MAX_EPISODE_STEPS, Sampler
from heliograph.team.team import Team
from heliograph.texts import cut
from heliograph.types import Gradient, TeamStep, Timing

COPIES_IN_TRAINING = 4
"""Weights, gradients and two moments of Adam."""


class Verdict(enum.Enum):
    """Answer to whether a combination may be trained."""

    LEGAL = "legal"
    REFUSED = "refused"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """All choices but the algorithm, as built: what a rule may look at; `losses` by name."""

    env: TeamEnv
    step: TeamStep
    choices: TeamChoices
    team: Team
    losses: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def carries(self) -> bool:
        """True if the channel carries anything."""
        return self.team.channel.gradient is not Gradient.NONE

    @property
    def talks(self) -> bool:
        """True if any policy has something to say."""
        return any(policy.model.communicates for policy in self.team.policies.values())

    def losses_that(self, need: str) -> list[str]:
        """Names of the losses that declare a need, such as `needs_oracle`."""
        return [name for name, loss in self.losses.items() if getattr(loss, need, False)]

    @property
    def has_own_models(self) -> bool:
        """True if some policies have models of their own, a user's RLModule among them."""
        return any(policy.model is not None for policy in (self.choices.policies or {}).values())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
    """A combination, whether it is legal, why, and what to choose instead; `holds` tells where it is the case.

    With a `need` it is one of losses that declare it, and there must be any.
    """

    name: str
    verdict: Verdict
    why: str
    remedy: str
    holds: Callable[[Experiment], bool]
    need: str | None = None

    def concerns(self, experiment: Experiment) -> bool:
        """Tell whether an experiment is such a combination."""
        return (self.need is None or bool(experiment.losses_that(self.need))) and self.holds(experiment)


def _given_nothing(experiment: Experiment) -> bool:
    step = experiment.step
    return experiment.team.topology.needs_hearing and step.hearing is None and step.adjacency is None


def _arrives_too_late(experiment: Experiment) -> bool:
    """Tell whether even what is said in the first step of the longest episode is never read."""
    limits = [limit for limit in (experiment.env.horizon, experiment.env.time_limit) if limit is not None]
    talking = [policy.model for policy in experiment.team.policies.values() if policy.model.communicates]
    delay = experiment.team.channel.delay_env_steps
    late = all(model.timing is Timing.NEXT_STEP and model.rounds == 1 for model in talking)
    return bool(limits and talking) and delay + late >= min(limits)


RULES = (
    Rule(
        name="a channel, and a team of one agent",
        verdict=Verdict.REFUSED,
        why="nobody is there to hear",
        remedy="channel='none', or an environment with more agents",
        holds=lambda e: e.carries and e.env.num_agents == 1,
    ),
    Rule(
        name="a channel, and a model that never talks for all policies",
        verdict=Verdict.REFUSED,
        why="nothing is ever said, and its random-message control would hear nothing either",
        remedy="channel='none', or a model that talks, such as model='cnet'",
        holds=lambda e: e.carries and not e.talks and not e.has_own_models,
    ),
    Rule(
        name="a team without a policy that can learn",
        verdict=Verdict.REFUSED,
        why="a scripted model has no weights, so there is nothing to train",
        remedy="another model for at least one policy",
        holds=lambda e: not any(policy.model.trainable for policy in e.team.policies.values()),
    ),
    Rule(
        name="a topology that leaves hearing to the environment ('given' without a mask), and one with no rule of it",
        verdict=Verdict.REFUSED,
        why="nobody says who hears whom",
        remedy="topology='full', or topology.mask, a table mask[hearer][sender]",
        holds=_given_nothing,
    ),
    Rule(
        name="a loss of symbols, such as 'positive_signalling', and a channel without symbols",
        verdict=Verdict.REFUSED,
        why="the entropy of a vector message is not defined, so the loss would be 0",
        remedy="channel='symbols' or 'dru', or loss 'reconstruction'",
        need="needs_symbol_log_probs",
        holds=lambda e: e.carries and e.team.channel.vocabulary is None,
    ),
    Rule(
        name="a loss of silence, such as 'message_cost', and a channel on which nobody can be silent",
        verdict=Verdict.REFUSED,
        why="every message costs the same bits, so a price teaches nobody to say less",
        remedy="a gate in front of the channel, such as channel='gated+dru', or words that end (channel.eos=True)",
        need="needs_silence",
        holds=lambda e: e.carries and not e.team.channel.can_say_less,
    ),
    Rule(
        name="a loss that learns from a scripted solver, such as 'imitation', and an environment without one",
        verdict=Verdict.REFUSED,
        why="nobody says what it would have done",
        remedy="an environment whose oracle() is filled in, or leave the loss out",
        need="needs_oracle",
        holds=lambda e: not e.env.has_oracle,
    ),
    Rule(
        name="a channel, and episodes that are over before a message arrives",
        verdict=Verdict.REFUSED,
        why="nothing would ever be heard",
        remedy="longer episodes, a model that hears within the step, or where it is 'delayed' a smaller channel.steps",
        holds=lambda e: e.carries and _arrives_too_late(e),
    ),
    Rule(
        name="channel 'none', and a model that talks",
        verdict=Verdict.LEGAL,
        why="it is the no-communication control: the same network without a channel",
        remedy="",
        holds=lambda e: e.talks and not e.carries,
    ),
    Rule(
        name="channel 'none', and talk_steps or auxiliary losses",
        verdict=Verdict.LEGAL,
        why="the no-communication control keeps how long episodes are and the losses, of which those of messages are 0",
        remedy="",
        holds=lambda e: not e.carries and bool(e.env.talk_steps or e.losses),
    ),
    Rule(
        name="topology 'none', and a channel",
        verdict=Verdict.LEGAL,
        why="a control: messages are made and trained, and reach nobody",
        remedy="",
        holds=lambda e: e.carries and e.team.topology.hears_nobody,
    ),
    Rule(
        name="a policy with a model of its own that never talks",
        verdict=Verdict.LEGAL,
        why="some agents only listen, are scripted partners, or modules of yours",
        remedy="",
        holds=lambda e: e.has_own_models and not all(p.model.communicates for p in e.team.policies.values()),
    ),
)
"""docs/combinations.md shows it."""


def check(experiment: Experiment) -> None:
    """Raise ValueError where a rule refuses the combination, with the choices, the reason and the remedy."""
    for rule in RULES:
        if rule.verdict is Verdict.REFUSED and rule.concerns(experiment):
            chosen = experiment.choices
            named = ", ".join(f"{key}={getattr(chosen, key)!r}" for key in ("model", "channel", "topology"))
            named += "".join(f", loss={name!r}" for name in experiment.losses_that(rule.need or ""))
            env, agents = type(experiment.env).__name__, ", ".join(experiment.env.agents[:3])
            raise ValueError(f"{rule.name} ({named}; {env} of agents {agents}): {rule.why}; choose {rule.remedy}")


def _within_memory(build: Callable[..., Team]) -> Callable[..., Team]:
    """Have what this machine cannot hold refused by its settings, before the machine has to end something."""

    @functools.wraps(build)
    def within(env: EnvChoice, *given: Any, **more: Any) -> Team:
        there = memory_bytes()
        try:
            with at_most(there) if there else contextlib.nullcontext():
                return build(env, *given, **more)
        except Exception as error:
            if not is_exhausted(error):
                raise
            raise ValueError(
                f"environment {env.env!r} with the settings {cut(env.settings)}: two copies of it and its team do not "
                f"fit into this machine's {there / 1e9:,.1f} GB of memory; make it smaller"
            ) from error

    return within


@_within_memory
def rehearse(env: EnvChoice, choices: TeamChoices, losses: Sequence[tuple[Any, dict[str, Any]]] = ()) -> Team:
    """Build everything once, small, check the combination, play two steps, and call each loss on them, before training.

    Returns the team, untrained.
    Raises ValueError (or a subclass) that names the setting, its value and the remedy. `losses`: (loss, settings).
    """
    with opened(env, num_envs=2) as made:
        facts = facts_of(made)
        refuse_giant(choices, facts)
        team = build_team(choices, facts, seed=0)
        with torch.random.fork_rng(devices=[]):
            built = [build_loss(loss, team, settings) for loss, settings in losses]
        named = {name_of_loss(loss): own for (loss, _), own in zip(losses, built, strict=True)}
        experiment = Experiment(env=made, step=made.view(), choices=choices, team=team, losses=named)
        check(experiment)
        check_effects(experiment, {str(loss): (resolve("loss", loss), settings) for loss, settings in losses})
        sampler = Sampler(made, team)
        sampler.asks_oracle = bool(experiment.losses_that("needs_oracle"))
        with tried():
            rollout = sampler.fragment(2)
        chosen = [(loss, made) for (loss, _), made in zip(losses, built, strict=True)]
        try_losses(chosen, team=team, rollout=rollout, choices=choices)
        with tried():
            if made.horizon is None and made.time_limit is None:
                _ends(sampler, env)
    return team


def refuse_giant(choices: TeamChoices, facts: EnvFacts) -> None:
    """Raise ValueError where weights, gradients and the optimiser's state would not fit into memory."""
    try:
        needed = COPIES_IN_TRAINING * sum(x.numel() * x.element_size() for x in outline(choices, facts).values())
    except Exception as error:  # what cannot be built without memory, a user's model perhaps, is built with it
        if "overflow" not in str(error):  # of torch, where a tensor has more bytes than 64 bits can count
            return
        needed = 2**63
    there = memory_bytes()
    if needed > there > 0:
        raise ValueError(
            f"model={choices.model!r} with the settings {dict(choices.model_settings)}: to train it takes "
            f"{needed / 1e9:,.0f} GB of memory, and this machine has {there / 1e9:,.0f}; make it smaller"
        )


def build_loss(loss: Any, team: Team, settings: dict[str, Any]) -> Any:
    """An auxiliary loss from its name or class, built for a team; a callable is itself."""
    made = resolve("loss", loss)
    if not isinstance(made, type):
        if settings:
            raise ValueError(f"loss {loss!r} is a function: it takes no settings, but got {settings}")
        return made
    if not issubclass(made, AuxiliaryLoss):
        raise ValueError(f"loss {loss!r} is a {made.__name__}: must be an AuxiliaryLoss, or a function of a LossBatch")
    registry.check_settings(made, settings, what=f"loss {loss!r}")
    try:
        with isolated(f"the making of loss {loss!r}", error=ValueError):
            return made(team, **settings)
    except TypeError as error:
        raise ValueError(f"loss {loss!r} cannot be made of a team and the settings {settings}: {error}") from error


def _ends(sampler: Sampler, env: EnvChoice) -> None:
    """Episodes must end some time: evaluation plays whole ones."""
    for _ in range(MAX_EPISODE_STEPS):
        if len(sampler.take_finished()):
            return
        sampler.fragment(1)
    raise ValueError(
        f"environment {env.env!r} has no horizon, and no episode ended within {MAX_EPISODE_STEPS} env steps: set its "
        "time_limit (env.time_limit), so that episodes can be evaluated"
    )


__all__ = ["RULES", "Experiment", "Rule", "Verdict", "build_loss", "check", "rehearse"]
