"""Messages as actions: one copy of a team environment, agent by agent, for algorithms that know no channel.

What an agent says is part of its action, what it hears part of its observation: what it says in a step is delivered
when its hearers next observe, and waits for them until then; of several messages of one sender the last stays.
"""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, TypedDict

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from heliograph import distributions
from heliograph.adapters.arrays import MASK
from heliograph.envs.base import TeamEnv
from heliograph.registry import UnknownNameError
from heliograph.topologies.base import Topology
from heliograph.topologies.full import Full
from heliograph.types import Role, TeamStep, Tree

FLAGS = ("acting", "speaking")


@dataclasses.dataclass(kw_only=True)
class TalkStep:
    """Record of what all agents are shown after a reset or a step; `taking_part` observe, act or speak in it.

    All agents stay in play until the episode is over, since slots may be filled again: only then is each of them
    terminated or truncated, and shown its final observation.
    """

    observations: dict[str, Any]
    taking_part: list[str]
    rewards: dict[str, float]
    terminated: dict[str, bool]
    truncated: dict[str, bool]
    over: bool
    infos: dict[str, dict[str, Any]]


class TalkSettings(TypedDict, total=False):
    """The settings of `TalkAsAction`."""

    vocab_size: int
    length: int
    speakers: Collection[str] | None
    topology: Topology | None
    flat: bool


class TalkAsAction:
    """Puts the messages of a team environment (one copy) into its agents' actions and observations.

    After a step `said` holds the symbols of each agent that spoke in it, `heard_by` who could hear it; `num_steps`
    counts those of the episode.

    Settings: `vocab_size` symbols (0: nobody speaks), `length` symbols in a message, `speakers` (agents or roles that
    may speak; None: all), `topology` (who hears whom, within the environment's rule; None: everyone), and `flat`.

    Action spaces of those who may speak: where there is nothing to do but speak (`Discrete(1)`), `Discrete(V)`, or
    `MultiDiscrete` for longer messages; `Discrete` and `MultiDiscrete` are extended to a `MultiDiscrete` that ends in
    the symbols; `Box` becomes `Dict(action=..., message=...)`. Symbols of an agent that is not asked are ignored.

    Observations, where `flat`: one Box of what the agent sees, the last message from each agent as one-hot symbols
    (zeros where none has come) and two flags, whether it acts and whether it speaks now; else a Dict with the keys
    `observation`, `heard` (a symbol is 0 where none has come, else counted from 1) and `turn`. An agent that does not
    take part in a step is shown zeros.
    """

    def __init__(
        self,
        env: TeamEnv,
        *,
        vocab_size: int = 0,
        length: int = 1,
        speakers: Collection[str] | None = None,
        topology: Topology | None = None,
        flat: bool = True,
    ):
        if env.num_envs != 1:
            raise ValueError(f"num_envs={env.num_envs}: one agent at a time needs an environment of one copy")
        if vocab_size < 0 or vocab_size == 1 or length < 1:
            raise ValueError(f"vocab_size={vocab_size}, length={length}: needs 0 or at least 2 symbols, of length >= 1")
        self.env, self.vocab_size, self.length, self.flat = env, vocab_size, length if vocab_size else 0, flat
        self.agents = list(env.agents)
        self._topology = topology or Full()
        self._role = {agent: role for role in env.roles for agent in role.agents}
        self._speakers = self._who_speaks(speakers)
        self.action_spaces = {agent: self._action_space(agent) for agent in self.agents}
        self.observation_spaces = {agent: self._observation_space(agent) for agent in self.agents}
        self._inbox = np.zeros((len(self.agents), len(self.agents), self.length), np.int64)
        self._step: TeamStep | None = None
        self.num_steps: int | None = None
        self.said: dict[str, tuple[int, ...]] = {}
        self.heard_by: dict[str, tuple[str, ...]] = {}

    @property
    def running(self) -> bool:
        """True if an episode is in progress."""
        return self._step is not None

    def reset(self, *, seed: int | None = None) -> TalkStep:
        """Begin a new episode, from a fresh random stream where a seed is given."""
        if seed is not None:
            self.env.seed(seed)
        self._step = self.env.reset()
        self._inbox[:] = 0
        self.num_steps, self.said, self.heard_by = 0, {}, {}
        return self._turn(self._step)

    def step(self, actions: Mapping[str, Any]) -> TalkStep:
        """Move once; `actions` must have one for every agent that acts or speaks now, others are ignored."""
        if self._step is None:
            raise RuntimeError("call reset() first: no episode is running")
        chosen = {agent: self._split(agent, actions) for agent in self._asked(self._step)}
        self._deliver({agent: symbols for agent, (_, symbols) in chosen.items()}, self._step)
        self.num_steps = (self.num_steps or 0) + 1
        step = self.env.step(self._team_actions({agent: action for agent, (action, _) in chosen.items()}))
        over = bool(step.episode_over[0])
        if not over:
            self._inbox[_numpy(step.terminated | step.truncated)[0]] = 0
        self._step = None if over else step
        return self._turn(step, over=over)

    # ---- spaces ------------------------------------------------------------------------------------------------

    def _who_speaks(self, speakers: Collection[str] | None) -> set[str]:
        if not self.vocab_size or speakers is None:
            return set(self.agents) if self.vocab_size else set()
        names = {agent: {agent} for agent in self.agents} | {r.name: set(r.agents) for r in self.env.roles}
        for name in speakers:
            if name not in names:
                raise UnknownNameError(what="agent or role", name=name, valid=list(names))
        return set().union(*(names[name] for name in speakers))

    def _action_space(self, agent: str) -> spaces.Space:
        own = self._role[agent].action_space
        if agent not in self._speakers:
            return own
        symbols = [self.vocab_size] * self.length
        if isinstance(own, spaces.Box):
            return spaces.Dict(action=own, message=spaces.MultiDiscrete(symbols))
        nvec = [*_nvec(own), *symbols]
        return spaces.Discrete(nvec[0]) if len(nvec) == 1 else spaces.MultiDiscrete(nvec)

    def _observation_space(self, agent: str) -> spaces.Space:
        own = self._role[agent].observation_space
        senders = len(self.agents)
        if not self.flat:
            turn = spaces.MultiBinary(len(FLAGS))
            if not self.vocab_size:
                return spaces.Dict(observation=own, turn=turn)
            heard = spaces.MultiDiscrete(np.full(senders * self.length, self.vocab_size + 1))
            return spaces.Dict(observation=own, heard=heard, turn=turn)
        box = spaces.flatten_space(own)
        rest = np.zeros(senders * self.length * self.vocab_size + len(FLAGS))
        low, high = np.concatenate([box.low, rest]), np.concatenate([box.high, rest + 1])
        return spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)

    # ---- what agents do ----------------------------------------------------------------------------------------

    def _asked(self, step: TeamStep) -> list[str]:
        asked = _numpy(step.acting | step.speaking)[0]
        return [agent for agent, is_asked in zip(self.agents, asked, strict=True) if is_asked]

    def _split(self, agent: str, actions: Mapping[str, Any]) -> tuple[Any, np.ndarray | None]:
        """An agent's own action, and the symbols it says."""
        if agent not in actions:
            raise ValueError(f"agent {agent!r} acts or speaks now, but got no action; actions came for {list(actions)}")
        space, action = self.action_spaces[agent], actions[agent]
        if not space.contains(action):
            action = _cast(space, action)
        if agent not in self._speakers:
            return action, None
        if isinstance(space, spaces.Dict):
            return action["action"], np.asarray(action["message"])
        parts = np.atleast_1d(np.asarray(action))
        own, symbols = parts[: -self.length], parts[-self.length :]
        if isinstance(self._role[agent].action_space, spaces.Discrete):
            return (own[0] if len(own) else 0), symbols
        return own, symbols

    def _deliver(self, said: dict[str, np.ndarray | None], step: TeamStep) -> None:
        """Put what is said now into the inboxes of those who can hear it."""
        hears = self._hears(step)
        speaking = _numpy(step.speaking)[0]
        self.said, self.heard_by = {}, {}
        for sender, (agent, speaks) in enumerate(zip(self.agents, speaking, strict=True)):
            symbols = said.get(agent)
            if speaks and symbols is not None:
                self._inbox[hears[:, sender], sender] = symbols + 1
                self.said[agent] = tuple(int(symbol) for symbol in symbols)
                self.heard_by[agent] = tuple(self.agents[n] for n in np.flatnonzero(hears[:, sender]))

    def _hears(self, step: TeamStep) -> np.ndarray:
        """Return who hears whom, `[N, N]`."""
        edges = self._topology.edges(step)
        mask = _numpy(edges.mask)[0]
        if edges.senders is None:
            return mask
        hears = np.zeros((len(self.agents), len(self.agents)), bool)
        hearer, edge = np.nonzero(mask)
        hears[hearer, _numpy(edges.senders)[0][hearer, edge]] = True
        return hears

    def _team_actions(self, own: dict[str, Any]) -> dict[str, Tensor]:
        return {role.name: self._role_actions(role, own) for role in self.env.roles}

    def _role_actions(self, role: Role, own: dict[str, Any]) -> Tensor:
        actions = distributions.zero_action(role.action_space, (1, len(role.agents)), self.env.device)
        for place, agent in enumerate(role.agents):
            if agent in own:
                actions[0, place] = torch.as_tensor(own[agent], dtype=actions.dtype)
        return actions

    # ---- what agents see ---------------------------------------------------------------------------------------

    def _turn(self, step: TeamStep, *, over: bool = False) -> TalkStep:
        observing, acting, speaking = (_numpy(m)[0] for m in (step.observing, step.acting, step.speaking))
        part = np.ones_like(acting) if over else observing | acting | speaking
        asked = np.stack([acting, speaking], 1) & ~over
        shown = self._observations((over and step.final_observations) or step.observations, part, asked)
        self._inbox[part] = 0
        cut = _numpy(step.truncated & ~step.terminated)[0] & over
        return TalkStep(
            observations=shown,
            taking_part=[agent for agent, takes_part in zip(self.agents, part, strict=True) if takes_part],
            rewards=dict(zip(self.agents, step.rewards[0].tolist(), strict=True)),
            terminated=dict(zip(self.agents, (over & ~cut).tolist(), strict=True)),
            truncated=dict(zip(self.agents, cut.tolist(), strict=True)),
            over=over,
            infos={agent: self._info(n, agent, step, over) for n, agent in enumerate(self.agents)},
        )

    def _observations(self, seen: dict[str, Tree], part: np.ndarray, asked: np.ndarray) -> dict[str, Any]:
        shown = {}
        for role in self.env.roles:
            for place, agent in enumerate(role.agents):
                number = self.agents.index(agent)
                own = _pick(seen[role.name], place)
                shown[agent] = self._observation(agent, own, number, bool(part[number]), asked[number])
        return shown

    def _observation(self, agent: str, own: Tree, number: int, present: bool, asked: np.ndarray) -> Any:
        heard = self._inbox[number] * present
        space = self.observation_spaces[agent]
        if not self.flat:
            own = _unbatched(space["observation"], own) if present else _blank(space["observation"])
            parts = {"observation": own, "heard": heard.ravel(), "turn": asked.astype(np.int8)}
            return {key: parts[key] for key in space.spaces}
        role = self._role[agent]
        vector = spaces.flatten(role.observation_space, _unbatched(role.observation_space, own)) * present
        symbols = np.eye(self.vocab_size + 1, dtype=np.float32)[heard][..., 1:]
        return np.clip(np.concatenate([vector, symbols.ravel(), asked]).astype(np.float32), space.low, space.high)

    def _info(self, number: int, agent: str, step: TeamStep, over: bool) -> dict[str, Any]:
        flags = ("observing", *FLAGS)
        info: dict[str, Any] = {name: bool(getattr(step, name)[0, number]) and not over for name in flags}
        if not over:  # else the copy has restarted, and its step shows the meaning of the next episode
            info["meaning"] = tuple(step.meaning[0, number].tolist())
        elif "success" in step.info:
            info["success"] = bool(step.info["success"][0])
        role = self._role[agent]
        if step.action_mask is not None and role.name in step.action_mask:
            own = _numpy(step.action_mask[role.name])[0, role.agents.index(agent)]
            info[MASK] = self._mask(agent, own if info["acting"] else np.ones_like(own))
        return info

    def _mask(self, agent: str, own: np.ndarray) -> Any:
        """A mask in the form in which the agent's action space samples by it."""
        if agent not in self._speakers and isinstance(self.action_spaces[agent], spaces.Discrete):
            return own.astype(np.int8)
        nvec = _nvec(self._role[agent].action_space)
        parts = np.split(own.astype(np.int8), np.cumsum(nvec)[:-1])[: len(nvec)]
        parts += [np.ones(self.vocab_size, np.int8)] * (self.length if agent in self._speakers else 0)
        return parts[0] if isinstance(self.action_spaces[agent], spaces.Discrete) else tuple(parts)


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def _nvec(space: spaces.Space) -> list[int]:
    """The sizes of the choices of a space, none where there is no choice."""
    if isinstance(space, spaces.Discrete):
        return [int(space.n)] if space.n > 1 else []
    return [int(n) for n in space.nvec]


def _cast(space: spaces.Space, action: Any) -> Any:
    """An action of another number type in its space; raises ValueError where it does not fit."""
    if isinstance(space, spaces.Dict):
        return {key: _cast(part, action[key]) for key, part in space.spaces.items()}
    cast = np.asarray(action, space.dtype)
    if isinstance(space, spaces.Box):
        if cast.shape != space.shape or not np.isfinite(cast).all():
            raise ValueError(f"action {action!r} does not fit {space}")
    elif not np.array_equal(cast, action) or not space.contains(cast):
        raise ValueError(f"action {action!r} does not fit {space}")
    return cast


def _pick(tree: Tree, place: int) -> Tree:
    return {key: _pick(part, place) for key, part in tree.items()} if isinstance(tree, dict) else tree[0, place]


def _unbatched(space: spaces.Space, own: Tree) -> Any:
    if isinstance(space, spaces.Dict):
        return {key: _unbatched(part, own[key]) for key, part in space.spaces.items()}
    return np.int64(own.item()) if isinstance(space, spaces.Discrete) else _numpy(own).astype(space.dtype)


def _blank(space: spaces.Space) -> Any:
    """The observation of nothing: zeros, or what is nearest to them in the space."""
    if isinstance(space, spaces.Dict):
        return {key: _blank(part) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Discrete):
        return np.int64(0)
    zeros = np.zeros(space.shape, space.dtype)
    return np.clip(zeros, space.low, space.high) if isinstance(space, spaces.Box) else zeros
