"""How the agents of a team would decide in the steps of a rollout, and what they decided: for critics of all of them.

An agent decides on its action and, on channels whose messages are actions, on the symbols that it says.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import torch
from gymnasium import spaces
from jaxtyping import Float, Int
from torch import Tensor

from heliograph import distributions
from heliograph.envs.base import flat_observation, flat_size
from heliograph.functional import one_hot
from heliograph.models.structure import side_by_side, total_size
from heliograph.rollouts.replay import Minibatch
from heliograph.rollouts.rollout import Rollout
from heliograph.team.parts import TeamParts
from heliograph.team.unroll import Unrolled
from heliograph.types import Tree, map_tensors

__all__ = ["Decider", "Outlook", "decided", "deciders", "looking_ahead", "looking_now"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decider:
    """Record of what each agent of a policy decides in a step, and of how many numbers tell what it knows."""

    action_space: spaces.Space
    word_sizes: tuple[int, ...]
    num_agents: int
    known_size: int

    @property
    def is_discrete(self) -> bool:
        """True if it chooses among finitely many things."""
        return not isinstance(self.action_space, spaces.Box)

    @property
    def sizes(self) -> list[int]:
        """Return how many choices each part of a discrete decision has."""
        assert isinstance(self.action_space, (spaces.Discrete, spaces.MultiDiscrete))
        return [*distributions.num_choices(self.action_space), *self.word_sizes]

    @property
    def num_decisions(self) -> int:
        """Return how many different decisions there are; 0 where there is no end to them."""
        return math.prod(self.sizes) if self.is_discrete else 0

    @property
    def num_features(self) -> int:
        """Size of a decision as features."""
        return distributions.num_features(self.action_space) + sum(self.word_sizes)

    def features(self, decision: Tensor) -> Float[Tensor, "*batch U"]:
        """A decision as features: one-hot choices `[..., K]` side by side, or the numbers of a Box in its units."""
        if not self.is_discrete:
            return distributions.features(self.action_space, decision)
        parts = zip(decision.unbind(-1), self.sizes, strict=True)
        return torch.cat([one_hot(pick, size) for pick, size in parts], -1)


@dataclasses.dataclass(kw_only=True)
class Outlook:
    """Features that the agents of each policy know in `T` steps, and the logits of each part of what they decide there.

    Where they decide on the numbers of a Box there is one part, its distribution inputs. Who may not act or speak
    chooses the first of each.
    """

    known: dict[str, Float[Tensor, "T B _A _S"]]
    parts: dict[str, tuple[Tensor, ...]]


def carries(team: TeamParts) -> bool:
    """Tell whether agents know more than they see: what they remember, or hear."""
    return bool(team.with_memory) or not team.silent


def deciders(team: TeamParts) -> dict[str, Decider]:
    """The decider of each policy."""
    found = {}
    for policy, seats in team.layout.seats.items():
        network = team.policies[policy]
        words = (team.channel.vocabulary or 0,) * team.channel.length if team.spells and network.communicates else ()
        hidden = total_size(network.model.hidden_size) if carries(team) else 0
        found[policy] = Decider(
            action_space=seats.action_space,
            word_sizes=words,
            num_agents=len(seats.slots),
            known_size=flat_size(seats.observation_space) + hidden,
        )
    return found


def looking_now(team: TeamParts, unrolled: Unrolled, minibatch: Minibatch) -> Outlook:
    """How a team would decide in each step."""
    rollout = minibatch.rollout
    seen = map_tensors(lambda leaf: leaf[:-1], rollout.observations)
    found = Outlook(known={}, parts={})
    for policy in team.layout.policies:
        after, before = unrolled.after_in(policy, slice(None)), unrolled.before_in(policy, slice(-1))
        masks = (rollout.acting, rollout.speaking, rollout.action_mask)
        _fill(found, team, policy, seen=seen, after=after, before=before, masks=masks)
    return found


def looking_ahead(team: TeamParts, unrolled: Unrolled, minibatch: Minibatch) -> Outlook:
    """How a team would decide in the step after each, or in what a truncated episode ended with.

    What was said there in that very step is not known, so that nobody has heard it.
    """
    rollout, found = minibatch.rollout, Outlook(known={}, parts={})
    seen: Mapping[str, Tree] | None = rollout.final_observations
    if seen is None:
        seen = map_tensors(lambda leaf: leaf[1:], rollout.observations)
    cut = rollout.truncated & ~rollout.terminated
    for policy in team.layout.policies:
        last = map_tensors(lambda leaf: leaf.unsqueeze(0), unrolled.last[policy])
        before = unrolled.before_in(policy, slice(1, None))
        after = map_tensors(lambda x, y: torch.cat([x[1:], y]), unrolled.after_in(policy, slice(None)), last)
        if unrolled.final is not None:
            ended = cut[:, :, team.layout.slots(policy)].unsqueeze(-1)
            final = unrolled.final[policy]
            after, before = (
                map_tensors(lambda x, y, ended=ended: torch.where(ended, y, x), part, final) for part in (after, before)
            )
        masks = (minibatch.ahead.acting, minibatch.ahead.speaking, minibatch.ahead.action_mask)
        _fill(found, team, policy, seen=seen, after=after, before=before, masks=masks)
    return found


def _fill(
    outlook: Outlook, team: TeamParts, policy: str, *, seen: Mapping[str, Tree], after: Tree, before: Tree,
    masks: tuple[Tensor, Tensor, Mapping[str, Tensor] | None],
) -> None:  # fmt: skip
    layout, network = team.layout, team.policies[policy]
    acting, speaking, legal = masks
    seats, slots = layout.seats[policy], layout.slots(policy)
    known = [flat_observation(seats.observation_space, layout.gather(policy, seen, lead=2))]
    if carries(team):
        known.append(side_by_side(after, network.model.hidden_size).detach())
    inputs, mask = network.model.act(after), layout.action_mask(policy, legal, lead=2)
    parts = [inputs]
    if not isinstance(seats.action_space, spaces.Box):
        inputs = inputs if mask is None else torch.where(mask, inputs, distributions.MASKED_LOGIT)
        sizes = distributions.num_choices(seats.action_space)
        parts = [_only_first(part, unless=acting[:, :, slots]) for part in inputs.split(sizes, -1)]
    if team.spells and network.communicates:
        words = network.channel_input(before, round_index=0).unflatten(-1, (team.channel.length, -1))
        parts += [_only_first(part, unless=speaking[:, :, slots]) for part in words.unbind(-2)]
    outlook.known[policy] = known[0] if len(known) == 1 else torch.cat(known, -1)
    outlook.parts[policy] = tuple(parts)


def _only_first(logits: Tensor, *, unless: Tensor) -> Tensor:
    """Logits with which the first choice is certain, but where some may choose."""
    certain = torch.full_like(logits, distributions.MASKED_LOGIT)
    certain[..., 0] = 0.0
    return torch.where(unless.unsqueeze(-1), logits, certain)


def decided(team: TeamParts, rollout: Rollout, of: Mapping[str, Decider]) -> dict[str, Tensor]:
    """Decisions of the agents of each policy: choices `[T, B, A, K]`, or the numbers of a Box."""
    found = {}
    for policy, decider in of.items():
        slots = team.layout.slots(policy)
        action = team.layout.gather(policy, rollout.actions, lead=2)
        acting = rollout.acting[:, :, slots]
        if not decider.is_discrete:
            nothing = distributions.zero_action(decider.action_space, tuple(acting.shape), acting.device)
            found[policy] = torch.where(acting.view(*acting.shape, *[1] * (action.dim() - 3)), action, nothing)
            continue
        picks = action if isinstance(decider.action_space, spaces.MultiDiscrete) else action.unsqueeze(-1)
        picks = torch.where(acting.unsqueeze(-1), picks, 0)
        if decider.word_sizes:
            said, speaking = rollout.messages[0].symbols, rollout.speaking[:, :, slots]
            assert said is not None
            picks = torch.cat([picks, torch.where(speaking.unsqueeze(-1), said[:, :, slots], 0)], -1)
        found[policy] = picks
    return found


def drawn(parts: Sequence[Tensor], *, generator: torch.Generator) -> Int[Tensor, "*batch K"]:
    """Choices drawn from the logits of each part."""
    sampled = distributions.Choice.SAMPLED
    return torch.stack([distributions.categorical(part, choice=sampled, generator=generator) for part in parts], -1)
