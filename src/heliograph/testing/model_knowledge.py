"""Checks of what an agent of a model knows: what it sees, remembers and is told, and nothing else."""

import dataclasses
from typing import Any

import torch
from torch import Tensor

from heliograph.envs.base import TeamEnv
from heliograph.experiments.choices import TeamChoices
from heliograph.team.team import Team
from heliograph.testing.contract import component_check, expect
from heliograph.testing.model_checks import CHANNELS, MakeModel, sampler_of
from heliograph.testing.small_teams import ENVS, all_close, perturbed, seeded, small_team, steps_of
from heliograph.types import Choice, Execution, Message, TeamStep, Tree, tensors_of

__all__ = [
    "StepOutcome", "check_knowledge", "check_memory", "check_nobody_heard", "check_unheard", "messages_of",
    "outcome_of",
]  # fmt: skip

WORDY = ("dru", "symbols")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepOutcome:
    """Record of what the agents of a team did in a step.

    Actions are greedy, their log-probability tells the logits apart.
    """

    log_prob: Tensor
    memory: dict[str, Tree]
    inbox: Tensor


def _same(now: Tree, then: Tree) -> bool:
    return all(all_close(a, b) for a, b in zip(tensors_of(now), tensors_of(then), strict=True))


def outcome_of(team: Team, step: TeamStep, state: Any, *, heard: Message | None = None) -> StepOutcome:
    """One step, with fixed messages where they are given."""
    told = None if heard is None else (lambda message, step, edges: heard)
    acted = team.step(step, state, generator=seeded(3), choice=Choice.GREEDY, intervention=told)
    return StepOutcome(log_prob=acted.action_log_prob, memory=acted.state.memory, inbox=acted.state.inbox.mask)


def messages_of(team: Team, step: TeamStep, state: Any) -> Message | None:
    """Return what is said in a step, in its first round; None where nothing is."""
    acted = team.step(step, state, generator=seeded(3))
    return acted.messages[0] if acted.messages else None


def _made(make_model: MakeModel, env: str, channel: str) -> tuple[TeamEnv, Team]:
    world = ENVS[env](num_envs=16)
    choices = TeamChoices(model=make_model, channel=channel, channel_settings=CHANNELS[channel])
    return world, small_team(world, choices)


@component_check
def check_knowledge(make_model: MakeModel) -> None:
    """Others' observations and the state are replaced, messages stay: what an agent does stays, unless CENTRALISED."""
    for channel in WORDY:
        for env in ENVS:
            world, team = _made(make_model, env, channel)
            central = any(p.model.execution is Execution.CENTRALISED for p in team.policies.values())
            changed = any(_changes(world, team, step, state) for step, state in steps_of(world, team, number=5))
            words = "CENTRALISED agents that look at the state" if central else "agents that know only what they see"
            expect(changed == central, f"{words}, remember and are told, in {env} on channel {channel!r}")


def _changes(world: TeamEnv, team: Team, step: TeamStep, state: Any) -> bool:
    """Tell whether anyone does otherwise where what others see, and the state, are replaced."""
    heard = messages_of(team, step, state)
    for role in world.roles:
        others = {other.name for other in world.roles} - {role.name}
        noise = perturbed(step.observations, roles=others)
        dream = dataclasses.replace(step, observations=noise, state=torch.randn_like(step.state))
        now, then = (outcome_of(team, seen, state, heard=heard) for seen in (step, dream))
        mine = world.slots(role.name)
        same = all_close(now.log_prob[:, mine], then.log_prob[:, mine])
        if not same or not _same(now.memory[role.name], then.memory[role.name]):
            return True
    return False


@component_check
def check_unheard(make_model: MakeModel) -> None:
    """Agents that are silent, or not heard, change nobody, in the step and in the next."""
    for channel in WORDY:
        world, team = _made(make_model, "mixed", channel)
        (step, state), *_ = steps_of(world, team, number=1)
        silent = step.speaking.clone()
        silent[:, world.slots("driver")] = False
        step = dataclasses.replace(step, speaking=silent)
        noise = dataclasses.replace(step, observations=perturbed(step.observations, roles={"driver"}))
        others = [0, 1, 5]
        now, then = (team.step(seen, state, generator=seeded(), choice=Choice.GREEDY) for seen in (step, noise))
        words = f"what silent agents saw to change nobody else on channel {channel!r}"
        expect(all_close(now.action_log_prob[:, others], then.action_log_prob[:, others]), words)
        later = [team.step(step, acted.state, generator=seeded(), choice=Choice.GREEDY) for acted in (now, then)]
        expect(all_close(*(acted.action_log_prob[:, others] for acted in later)), f"{words}, a step later either")


@component_check
def check_memory(make_model: MakeModel) -> None:
    """Memory is used where it is declared, and moves only where an agent observes."""
    world, team = _made(make_model, "mixed", "dru")
    moved = False
    for step, state in steps_of(world, team, number=7):
        after = team.step(step, state, generator=seeded()).state
        for policy, memory in after.memory.items():
            here = step.observing[:, team.layout.slots(policy)]
            before = state.memory[policy]
            for now, then in zip(tensors_of(memory), tensors_of(before), strict=True):
                expect(torch.equal(now[~here], then[~here]), "memory to stay where an agent does not observe")
                moved |= bool((now[here] != then[here]).any())
    declared = any(policy.model.memory_size for policy in team.policies.values())
    expect(moved == declared, "memory_size > 0 exactly where something is remembered")


@component_check
def check_nobody_heard(make_model: MakeModel) -> None:
    """A model runs where nobody is heard, and on a channel that carries nothing, where it neither speaks nor hears."""
    sampler = sampler_of(make_model, "mixed", topology="none")
    rollout = sampler.fragment(4)
    again = sampler.team.unroll(rollout).action_log_prob
    expect(all_close(again, rollout.action_log_prob), "a rollout again where nobody is heard")
    sampler = sampler_of(make_model, "identity", "none")
    expect(sampler.fragment(4).messages == (), "no messages on channel 'none'")
