"""What agents are shown of their own past: their last actions, and on some channels what they said last."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph import distributions
from heliograph.functional import one_hot
from heliograph.rollouts.rollout import Rollout
from heliograph.team.assignment import Layout
from heliograph.team.state import Acted, TeamState
from heliograph.types import Inputs, Role, StateMaker, TeamStep, Tree, UnmadeState, held, map_tensors

__all__ = [
    "Past",
    "ages_in",
    "final_inputs",
    "inputs_of",
    "last_actions",
    "last_words",
    "recorded_inputs",
    "remembered",
]


@dataclasses.dataclass(kw_only=True)
class Past:
    """Last actions as features by role, and what each agent said last, one-hot (None where agents are not told)."""

    last_action: Mapping[str, Tensor]
    last_message: Float[Tensor, "*lead N C"] | None


def last_actions(
    previous: Mapping[str, Tensor],
    actions: Mapping[str, Tensor],
    *,
    roles: tuple[Role, ...],
    acting: Bool[Tensor, "*lead N"],
    observing: Bool[Tensor, "*lead N"],
) -> dict[str, Tensor]:
    """Actions as features: zero where an agent observed but was not asked to act, the earlier where it waited."""
    found, start = {}, 0
    for role in roles:
        slots = slice(start, start + len(role.agents))
        done = distributions.features(role.action_space, actions[role.name])
        now = torch.where(acting[..., slots].unsqueeze(-1), done, 0.0)
        found[role.name] = torch.where(observing[..., slots].unsqueeze(-1), now, previous[role.name])
        start = slots.stop
    return found


def forgotten_actions(
    last_action: Mapping[str, Tensor], *, roles: tuple[Role, ...], ended: Bool[Tensor, "*lead N"]
) -> dict[str, Tensor]:
    """Last actions without those of agents whose part has ended."""
    found, start = {}, 0
    for role in roles:
        slots = slice(start, start + len(role.agents))
        found[role.name] = last_action[role.name].masked_fill(ended[..., slots].unsqueeze(-1), 0.0)
        start = slots.stop
    return found


def remembered(
    layout: Layout, acted: Acted, step: TeamStep, *, symbols: Tensor | None, vocabulary: int | None
) -> TeamState:
    """The state after a step with what was done, and what was said whatever became of it on the way."""
    state = acted.state
    done = last_actions(
        state.last_action, acted.actions, roles=layout.roles, acting=step.acting, observing=step.observing
    )
    words = last_words(state.last_message, symbols, vocabulary=vocabulary, speaking=step.speaking)
    return dataclasses.replace(state, last_action=done, last_message=words)


def last_words(
    previous: Float[Tensor, "*lead N C"] | None,
    symbols: Int[Tensor, "*lead N L"] | None,
    *,
    vocabulary: int | None,
    speaking: Bool[Tensor, "*lead N"],
) -> Float[Tensor, "*lead N C"] | None:
    """The symbols that were said, one-hot; the earlier ones where an agent was silent."""
    if previous is None or symbols is None or vocabulary is None:
        return None
    return torch.where(speaking.unsqueeze(-1), one_hot(symbols, vocabulary).flatten(-2), previous)


def ages_in(rollout: Rollout) -> Int[Tensor, "T B"]:
    """Steps since each copy's episode began, in a rollout of a team that counts them."""
    age, found = rollout.initial.age, []
    if age is None:
        raise ValueError("the rollout is of a team that does not count steps")
    ended = (rollout.terminated | rollout.truncated).all(2)
    for over in ended:
        found.append(age)
        age = (age + 1).masked_fill(over, 0)
    return torch.stack(found)


def inputs_of(
    layout: Layout, policy: str, *, observations: Mapping[str, Tree], past: Past, state: Tensor | StateMaker, lead: int
) -> Inputs:
    """Return what a policy's agents perceive by themselves, with `lead` axes before that of the agents."""
    known: Any = UnmadeState(observations=observations, maker=state) if isinstance(state, StateMaker) else state
    done = layout.gather(policy, past.last_action, lead=lead)
    observation = layout.gather(policy, observations, lead=lead)
    own = None if past.last_message is None else past.last_message[..., layout.slots(policy), :]
    return Inputs(observation=observation, last_action=done, state=known, last_message=own)


def recorded_inputs(layout: Layout, policy: str, rollout: Rollout, *, steps: slice) -> Inputs:
    """Return what a policy's agents perceived in those steps of a rollout."""
    whole = (rollout.observations, rollout.last_action, rollout.last_message, held(rollout, "state"))
    observations, done, said, state = map_tensors(lambda leaf: leaf[steps], whole)
    past = Past(last_action=done, last_message=said)
    return inputs_of(layout, policy, observations=observations, past=past, state=state, lead=2)


def final_inputs(layout: Layout, rollout: Rollout, *, vocabulary: int | None) -> dict[str, Inputs]:
    """Inputs that agents would have perceived after each step, had it not been the last of an episode.

    {} if none was cut.
    """
    if rollout.final_observations is None:
        return {}
    done, said = map_tensors(lambda leaf: leaf[:-1], (rollout.last_action, rollout.last_message))
    symbols = rollout.messages[-1].symbols if rollout.messages else None
    past = Past(
        last_action=last_actions(
            done, rollout.actions, roles=layout.roles, acting=rollout.acting, observing=rollout.observing[:-1]
        ),
        last_message=last_words(said, symbols, vocabulary=vocabulary, speaking=rollout.speaking),
    )
    seen, state = rollout.final_observations, held(rollout, "final_state")
    return {p: inputs_of(layout, p, observations=seen, past=past, state=state, lead=2) for p in layout.policies}
