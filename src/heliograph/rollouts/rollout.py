"""What a team did: aligned, time-major tensors of all agents, cut and shuffled only along the copies."""

import dataclasses
import enum
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.functional import may_read
from heliograph.team.state import StepOutput, TeamState
from heliograph.types import Edges, Message, OnDemand, StateMaker, Tree, changed, held, map_tensors, state_field

WHOLE = ("static_edges", "initial", "trace")
"""Fields of a rollout that have no time axis."""


class Keeping(enum.Enum):
    """Choice of what a rollout of whole episodes keeps: all, or nothing of what was seen, which is most of its memory.

    Without it `observations` are {}, `state` has no numbers, `listening` is empty, and what was said cannot be
    played to the team once more.
    """

    SEEN = "seen"
    SAID = "said"


@dataclasses.dataclass(kw_only=True)
class Rollout:
    """`T` steps of `B` copies of a team. Observations and `state` hold one step more, to bootstrap from.

    `draws`, `messages` and `listening` (what models drew to listen, by policy) have one entry per round. `edges` is
    None where they never change, and then `static_edges` holds them once; `action_mask`, `assignment` and the final
    observations are None where there is nothing to say. `valid` is False after the end of an episode in rollouts of
    whole episodes. `oracle` is what the scripted solver would have done, by role, where a loss learns from it.
    Where the environment gives no `state` of its own, none is kept: each access makes one of the observations, so ask
    a minibatch for it, and once. Times and counts are in env steps. `trace` is what was computed, with its gradients,
    where a sampler keeps that; it never leaves its process, and parts of a rollout have none.
    """

    observations: dict[str, Tree]
    state: OnDemand[Float[Tensor, "T1 B S"]] = state_field("observations")
    last_action: dict[str, Float[Tensor, "T1 B _A _U"]]
    observing: Bool[Tensor, "T1 B N"]
    acting: Bool[Tensor, "T B N"]
    speaking: Bool[Tensor, "T B N"]
    meaning: Int[Tensor, "T B N Z"]
    actions: dict[str, Tensor]
    action_log_prob: Float[Tensor, "T B N"]
    message_log_prob: Float[Tensor, "T B N"]
    draws: tuple[Tree, ...]
    listening: tuple[dict[str, Tree], ...]
    messages: tuple[Message, ...]
    rewards: Float[Tensor, "T B N"]
    terminated: Bool[Tensor, "T B N"]
    truncated: Bool[Tensor, "T B N"]
    episode_over: Bool[Tensor, "T B"]
    valid: Bool[Tensor, "T B"]
    edges: Edges | None = None
    static_edges: Edges | None = None
    action_mask: dict[str, Tensor] | None = None
    assignment: Int[Tensor, "T1 B N"] | None = None
    final_observations: dict[str, Tree] | None = None
    final_state: OnDemand[Float[Tensor, "T B S"]] | None = state_field("final_observations", optional=True)
    info: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    last_message: Float[Tensor, "T1 B N C"] | None = None
    oracle: dict[str, Tensor] | None = None
    initial: TeamState
    trace: tuple[StepOutput, ...] | None = None

    @property
    def num_steps(self) -> int:
        """T."""
        whole, _ = self.__dict__.get("_source", (self, None))
        return whole.rewards.shape[0]

    @property
    def num_envs(self) -> int:
        """B."""
        return self.rewards.shape[1]

    @property
    def num_copies(self) -> int:
        """The older name of `num_envs`."""
        warnings.warn("Rollout.num_copies is called num_envs now", DeprecationWarning, stacklevel=2)
        return self.num_envs

    def env_steps(self) -> int:
        """Steps of whole teams, those after the end of an episode not counted."""
        return int(self.valid.sum())

    def agent_steps(self) -> int:
        """Turns of single agents: steps in which an agent observed."""
        return int((self.observing[:-1] & self.valid.unsqueeze(-1)).sum())

    def __len__(self) -> int:
        return self.env_steps()

    def by_time(self) -> dict[str, Tree]:
        """The fields that are time-major."""
        return {f.name: held(self, f.name) for f in dataclasses.fields(self) if f.name not in WHOLE}

    def select(self, copies: Int[Tensor, " b"]) -> "Rollout":
        """The same rollout of some of its copies; most fields are taken when first asked for, as many never are."""
        part = object.__new__(Rollout)
        part.__dict__["_source"] = (self, copies)
        for name in EAGER:
            part.__dict__[name] = self._taken(name, copies)
        if isinstance(maker := held(self, "state"), StateMaker):
            part.state = maker
        return part

    def first(self, number: int) -> "Rollout":
        """The same rollout of so many of its copies, the first ones; itself where it has no more."""
        if number >= self.num_envs:
            return self
        return self.select(torch.arange(number, device=self.rewards.device))

    def _taken(self, name: str, copies: Int[Tensor, " b"]) -> Any:
        value = held(self, name)
        if name in ("static_edges", "trace"):
            return value if name == "static_edges" else None
        axis = 0 if name == "initial" else 1
        return map_tensors(lambda x: _rows(x, copies, axis=axis), value)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            source = self.__dict__.get("_source")
            if source is None or name not in FIELDS:
                raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
            whole, copies = source
            self.__dict__[name] = whole._taken(name, copies)
            return getattr(self, name)

    def __getstate__(self) -> dict[str, Any]:
        """All fields, of a part too: what it was taken from stays behind."""
        return {name: held(self, name) for name in FIELDS}

    def chunks(self, size: int) -> Iterator["Rollout"]:
        """The same rollout in parts of `size` copies (the last may be smaller), which share its memory."""
        fields = self.by_time()
        for start in range(0, self.num_envs, size):
            part = slice(start, start + size)
            initial = map_tensors(lambda x, part=part: x[part], self.initial)
            chosen = map_tensors(lambda x, part=part: x[:, part], fields)
            yield Rollout(initial=initial, static_edges=self.static_edges, **chosen)

    def to(self, device: torch.device) -> "Rollout":
        """The same rollout on a device; itself where it is there already."""
        if self.rewards.device == device:
            return self
        return map_tensors(lambda x: x.to(device), changed(self, trace=None))

    def split(self, num_parts: int, *, generator: torch.Generator | None = None) -> Iterator[Int[Tensor, " b"]]:
        """Shuffle the copies and cut them into equal parts (the ragged rest is left out): indices of each part."""
        order = torch.randperm(self.num_envs, generator=generator, device="cpu").to(self.rewards.device)
        size = self.num_envs // num_parts
        for part in range(num_parts):
            yield order[part * size : (part + 1) * size]


FIELDS = tuple(f.name for f in dataclasses.fields(Rollout))
EAGER = tuple(f.name for f in dataclasses.fields(Rollout) if f.default is not dataclasses.MISSING)
"""Fields whose default would be found on the class where they are not set."""


def _rows(leaf: Tensor, copies: Int[Tensor, " b"], *, axis: int) -> Tensor:
    """Some copies of a tensor; the bytes of images of a single copy are not copied."""
    if leaf.dtype is torch.uint8 and len(copies) == 1 and may_read(copies):
        return leaf.narrow(axis, int(copies), 1)
    return leaf.index_select(axis, copies)


def concatenate(rollouts: list[Rollout]) -> Rollout:
    """Rollouts side by side, as more copies; shorter ones, of whole episodes, go on with steps that are not valid."""
    if len(rollouts) == 1:
        return rollouts[0]
    longest = max(r.num_steps for r in rollouts)
    rollouts = [r if r.num_steps == longest else lengthened(r, longest) for r in rollouts]
    fields = [r.by_time() for r in _with_equal_fields(rollouts)]
    _check_equal_fields(fields)
    initial = [r.initial for r in rollouts]
    merged = map_tensors(lambda *leaves: torch.cat(leaves, 1), fields[0], *fields[1:])
    first = map_tensors(lambda *leaves: torch.cat(leaves, 0), initial[0], *initial[1:])
    return Rollout(initial=first, static_edges=rollouts[0].static_edges, **merged)


def _check_equal_fields(fields: list[dict[str, Tree]]) -> None:
    """Refuse rollouts of which some hold what others lack: it would be lost."""
    for name, value in fields[0].items():
        for other in (found[name] for found in fields[1:]):
            if (value is None) is not (other is None) or (isinstance(value, dict) and value.keys() != other.keys()):
                raise ValueError(
                    f"rollouts cannot be put side by side: some have {name} and others do not (or not of all roles); "
                    "environments must show the same fields in every copy and every env runner"
                )


def lengthened(rollout: Rollout, num_steps: int) -> Rollout:
    """The rollout with its last step again and again, which is not valid."""
    last = rollout.num_steps

    def again(leaf: Tensor) -> Tensor:
        size = num_steps + leaf.shape[0] - last
        return leaf.index_select(0, torch.arange(size, device=leaf.device).clamp(max=leaf.shape[0] - 1))

    longer = {key: map_tensors(again, value) for key, value in rollout.by_time().items()}
    longer["valid"][last:] = False
    return Rollout(**longer, initial=rollout.initial, static_edges=rollout.static_edges)


def _with_equal_fields(rollouts: list[Rollout]) -> list[Rollout]:
    """Give each rollout final observations where any has them (their values matter only at truncations)."""
    if all(r.final_observations is None for r in rollouts):
        return rollouts
    return [r if r.final_observations is not None else fill_final(r) for r in rollouts]


def fill_final(rollout: Rollout) -> Rollout:
    """The rollout with its next observations in the place of missing final ones."""
    nexts = map_tensors(lambda x: x[1:], rollout.observations)
    state = map_tensors(lambda x: x[1:], held(rollout, "state"))
    return changed(rollout, final_observations=nexts, final_state=state)
