"""Who plays whom: which slots of the team each policy serves, and how tensors move between roles, policies, team."""

import dataclasses
from collections.abc import Mapping

import torch
from gymnasium import spaces
from jaxtyping import Bool, Int
from torch import Tensor

from heliograph.registry import UnknownNameError
from heliograph.types import Role, Tree, map_tensors


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seats:
    """The slots that one policy serves (or may serve, where assignments change), in the order of its agent axis."""

    slots: tuple[int, ...]
    roles: tuple[str, ...]
    observation_space: spaces.Space
    action_space: spaces.Space


class Layout:
    """Fixed index work between per-role, per-policy `[..., A, *]` and per-team `[..., N, *]` tensors.

    `seats_of` maps a policy to the agents it serves. Where an agent has several candidates, `constant` is False and
    an `assignment` [B, N] of policy indices decides copy by copy; every candidate is then computed.
    """

    def __init__(self, roles: tuple[Role, ...], seats_of: Mapping[str, tuple[str, ...]]):
        self.roles = roles
        self.agents = tuple(agent for role in roles for agent in role.agents)
        self.policies = tuple(seats_of)
        self.seats = {policy: self._seats(policy, agents) for policy, agents in seats_of.items()}
        self._check_all_seated()
        self._local = {policy: self._local_index(policy) for policy in self.policies}
        self._slots = {policy: _contiguous(seats.slots) for policy, seats in self.seats.items()}
        order = [slot for policy in self.policies for slot in self.seats[policy].slots]
        self.constant = len(order) == len(self.agents)
        self._serving = {role.name: self._servants(role.name) for role in roles}
        self._in_order = order == list(range(len(self.agents)))
        self._inverse = torch.tensor(sorted(range(len(order)), key=order.__getitem__))

    def default_assignment(self) -> Int[Tensor, " N"]:
        """The policy index of each slot; the first candidate where there are several."""
        found = torch.full((len(self.agents),), -1)
        for index in reversed(range(len(self.policies))):
            found[list(self.seats[self.policies[index]].slots)] = index
        return found

    def gather(self, policy: str, by_role: Mapping[str, Tree], *, lead: int) -> Tree:
        """Inputs that a policy's agents see, `[..., A, *]`.

        They are gathered from trees by role with `lead` axes before the agent axis.
        """
        seats = self.seats[policy]
        trees = [by_role[name] for name in seats.roles]
        tree = map_tensors(lambda *leaves: torch.cat(leaves, lead), *trees) if len(trees) > 1 else trees[0]
        index = self._local[policy]
        if index is None:
            return tree
        return map_tensors(lambda leaf: leaf.index_select(lead, index.to(leaf.device)), tree)

    def action_mask(
        self, policy: str, by_role: Mapping[str, Tensor] | None, *, lead: int
    ) -> Bool[Tensor, "*lead A n"] | None:
        """Return which actions a policy's agents may choose; None where all."""
        served = [role for role in self.roles if role.name in self.seats[policy].roles]
        known = [by_role[role.name] for role in served if by_role is not None and role.name in by_role]
        if by_role is None or not known:
            return None
        some = known[0]
        free = {r.name: some.new_ones(*some.shape[:lead], len(r.agents), some.shape[-1]) for r in served}
        return self.gather(policy, {**free, **by_role}, lead=lead)

    def slots(self, policy: str) -> slice | list[int]:
        """The slots of a policy, as a slice where they are contiguous."""
        return self._slots[policy]

    def combine(
        self, by_policy: Mapping[str, Tensor], *, lead: int, assignment: Int[Tensor, "*lead N"] | None = None
    ) -> Tensor:
        """Put per-policy tensors `[..., A, *]` together as `[..., N, *]`; differentiable."""
        if not self.constant:
            return self._choose(by_policy, lead=lead, assignment=_given(assignment))
        parts = [by_policy[policy] for policy in self.policies]
        merged = torch.cat(parts, lead) if len(parts) > 1 else parts[0]
        return merged if self._in_order else merged.index_select(lead, self._inverse.to(merged.device))

    def by_role(
        self, by_policy: Mapping[str, Tensor], *, lead: int, assignment: Int[Tensor, "*lead N"] | None = None
    ) -> dict[str, Tensor]:
        """Put per-policy tensors together by role, where only policies of one role need equal trailing shapes."""
        return {r.name: self._role(by_policy, r.name, lead=lead, assignment=assignment) for r in self.roles}

    def _role(self, by_policy: Mapping[str, Tensor], role: str, *, lead: int, assignment: Tensor | None) -> Tensor:
        serving, index = self._serving[role]
        if index is None and len(serving) == 1:
            return by_policy[serving[0]]
        if self.constant:
            merged = torch.cat([by_policy[p] for p in serving], lead)
            return merged if index is None else merged.index_select(lead, index.to(merged.device))
        parts = []
        for slot in self._slots_of_role(role):
            candidates = [p for p in serving if slot in self.seats[p].slots]
            values = [by_policy[p].select(lead, self.seats[p].slots.index(slot)) for p in candidates]
            chosen = values[0]
            for policy, value in zip(candidates[1:], values[1:], strict=True):
                mine = _given(assignment)[..., slot] == self.policies.index(policy)
                chosen = torch.where(mine.view(*mine.shape, *[1] * (value.dim() - mine.dim())), value, chosen)
            parts.append(chosen)
        return torch.stack(parts, lead)

    def _choose(self, by_policy: Mapping[str, Tensor], *, lead: int, assignment: Tensor) -> Tensor:
        whole = None
        for index, policy in enumerate(self.policies):
            value, slots = by_policy[policy], list(self.seats[policy].slots)
            shape = (*value.shape[:lead], len(self.agents), *value.shape[lead + 1 :])
            placed = value.new_zeros(shape).index_copy(lead, torch.tensor(slots, device=value.device), value)
            mine = (assignment == index).view(*assignment.shape, *[1] * (value.dim() - assignment.dim()))
            whole = torch.where(mine, placed, torch.zeros_like(placed) if whole is None else whole)
        return whole

    def _local_index(self, policy: str) -> Tensor | None:
        seats = self.seats[policy]
        available = [slot for name in seats.roles for slot in self._slots_of_role(name)]
        place = {slot: index for index, slot in enumerate(available)}
        return None if available == list(seats.slots) else torch.tensor([place[s] for s in seats.slots])

    def _servants(self, role: str) -> tuple[list[str], Tensor | None]:
        """The policies of a role's agents, and where each agent is in what these put out together (None: in order)."""
        slots = self._slots_of_role(role)
        serving = [p for p in self.policies if not set(slots).isdisjoint(self.seats[p].slots)]
        order = [slot for p in serving for slot in self.seats[p].slots]
        place = {slot: index for index, slot in enumerate(order)}
        return serving, None if order == list(slots) else torch.tensor([place[slot] for slot in slots])

    def _slots_of_role(self, name: str) -> range:
        start = 0
        for role in self.roles:
            if role.name == name:
                return range(start, start + len(role.agents))
            start += len(role.agents)
        raise KeyError(name)

    def _seats(self, policy: str, agents: tuple[str, ...]) -> Seats:
        if not agents:
            raise ValueError(f"policy {policy!r} serves no agent; map an agent to it or leave it out")
        slot_of = {agent: slot for slot, agent in enumerate(self.agents)}
        for agent in agents:
            if agent not in slot_of:
                raise UnknownNameError(what=f"agent of policy {policy!r}", name=agent, valid=list(self.agents))
        slots = tuple(sorted(slot_of[agent] for agent in agents))
        roles = [role for role in self.roles if set(role.agents) & set(agents)]
        first = roles[0]
        for role in roles[1:]:
            if role.observation_space != first.observation_space or role.action_space != first.action_space:
                spaces_of = [f"{r.observation_space}, {r.action_space}" for r in (first, role)]
                raise ValueError(
                    f"policy {policy!r} serves roles {first.name!r} and {role.name!r}, whose spaces differ: "
                    f"{spaces_of[0]} and {spaces_of[1]}; give each its own policy"
                )
        names = tuple(role.name for role in roles)
        return Seats(
            slots=slots, roles=names, observation_space=first.observation_space, action_space=first.action_space
        )

    def _check_all_seated(self) -> None:
        seated = {slot for seats in self.seats.values() for slot in seats.slots}
        for slot, agent in enumerate(self.agents):
            if slot not in seated:
                raise ValueError(f"agent {agent!r} has no policy; map it to one of {', '.join(self.policies)}")


def _contiguous(slots: tuple[int, ...]) -> slice | list[int]:
    """The slots as a slice where that is possible."""
    around = range(slots[0], slots[0] + len(slots))
    return slice(around.start, around.stop) if slots == tuple(around) else list(slots)


def _given(assignment: Tensor | None) -> Tensor:
    if assignment is None:
        raise ValueError("an agent has several candidate policies: an assignment [B, N] must say who plays whom")
    return assignment


def one_policy_per_role(roles: tuple[Role, ...]) -> dict[str, tuple[str, ...]]:
    """The default: agents of a role share a policy named after the role."""
    return {role.name: role.agents for role in roles}
