"""Environments of each interface played as their own documentation says, without Heliograph, for comparison."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from heliograph.adapters.recognise import Interface, interface_of

MASK = "action_mask"


@dataclasses.dataclass(kw_only=True)
class RawStep:
    """What an environment shows: agents by name, all dicts without those that are not told of."""

    observations: dict[str, Any]
    asked: list[str]
    rewards: dict[str, float] = dataclasses.field(default_factory=dict)
    terminated: set[str] = dataclasses.field(default_factory=set)
    truncated: set[str] = dataclasses.field(default_factory=set)
    masks: dict[str, Any] = dataclasses.field(default_factory=dict)
    over: bool = False

    def __post_init__(self) -> None:
        for agent, seen in list(self.observations.items()):
            if isinstance(seen, Mapping) and MASK in seen:
                self.masks[agent] = seen[MASK]
                self.observations[agent] = {key: part for key, part in seen.items() if key != MASK}


class Parallel:
    """PettingZoo's `ParallelEnv`."""

    def __init__(self, env: Any, settings: Mapping[str, Any]):
        self.env, self.options = env, options_of(settings)
        self.spaces = {str(agent): env.observation_space(agent) for agent in env.possible_agents}

    def reset(self, seed: int) -> RawStep:
        """Begin an episode."""
        observations, _ = self.env.reset(seed=seed, **self.options)
        return RawStep(observations=_names(observations), asked=[str(agent) for agent in self.env.agents])

    def step(self, actions: Any, adapted: Any) -> RawStep:
        """Move once."""
        observations, rewards, terminated, truncated, _ = self.env.step(actions)
        ended = [{str(a) for a, flag in flags.items() if flag} for flags in (terminated, truncated)]
        asked = [str(agent) for agent in self.env.agents if str(agent) not in ended[0] | ended[1]]
        return RawStep(
            observations=_names(observations), asked=asked, rewards=_names(rewards), terminated=ended[0],
            truncated=ended[1] - ended[0], over=not asked,
        )  # fmt: skip


class Turns:
    """PettingZoo's `AECEnv`, an agent a turn; its reward comes as `last()` tells it."""

    def __init__(self, env: Any, settings: Mapping[str, Any]):
        self.env, self.options = env, options_of(settings)
        self.spaces = {str(agent): env.observation_space(agent) for agent in env.possible_agents}

    def reset(self, seed: int) -> RawStep:
        """Begin an episode."""
        self.env.reset(seed=seed, **self.options)
        return self._next()

    def step(self, action: Any, adapted: Any) -> RawStep:
        """Take the turn of the selected agent."""
        self.env.step(action)
        return self._next()

    def _next(self) -> RawStep:
        shown = RawStep(observations={}, asked=[])
        for agent in map(str, self.env.agent_iter()):
            observation, reward, terminated, truncated, _ = self.env.last()
            shown.rewards[agent] = reward
            shown.observations[agent] = observation
            if not terminated and not truncated:
                shown.asked = [agent]
                break
            (shown.terminated if terminated else shown.truncated).add(agent)
            self.env.step(None)
        shown.over = not shown.asked
        shown.__post_init__()
        return shown


class Multi:
    """RLlib's `MultiAgentEnv`."""

    def __init__(self, env: Any, settings: Mapping[str, Any]):
        self.env, self.options = env, options_of(settings)
        self.spaces = {str(agent): space for agent, space in (env.observation_spaces or {}).items()}

    def reset(self, seed: int) -> RawStep:
        """Begin an episode."""
        observations, _ = self.env.reset(seed=seed, **self.options)
        self.gone: set[Any] = set()
        return RawStep(observations=_names(observations), asked=list(_names(observations)))

    def step(self, actions: Any, adapted: Any) -> RawStep:
        """Move once; an episode is over where `__all__` says so."""
        observations, rewards, terminated, truncated, _ = self.env.step(actions)
        told = (terminated, truncated)
        flagged = [{str(a) for a, flag in flags.items() if flag and a != "__all__"} for flags in told]
        ended = [agents - self.gone for agents in flagged]  # some are flagged again in every later step
        over = bool(terminated.get("__all__") or truncated.get("__all__"))
        self.gone |= ended[0] | ended[1]
        return RawStep(
            observations=_names(observations),
            asked=[] if over else [agent for agent in _names(observations) if agent not in self.gone],
            rewards=_names(rewards),
            terminated=ended[0],
            truncated=ended[1] - ended[0],
            over=over,
        )


class Tuples:
    """Gymnasium's `Env` with Tuple spaces."""

    def __init__(self, env: Any, settings: Mapping[str, Any]):
        self.env, self.agents = env, [f"agent_{n}" for n in range(len(env.action_space.spaces))]
        self.cuts = bool(settings.get("time_limit_is_truncation"))

    def reset(self, seed: int) -> RawStep:
        """Begin an episode."""
        self.time = 0
        return RawStep(observations=self._each(self.env.reset(seed=seed)[0]), asked=list(self.agents))

    def step(self, actions: Any, adapted: Any) -> RawStep:
        """Move once; what ends in the limit's step is truncated where the world says that it is."""
        observations, rewards, terminated, truncated, _ = self.env.step(actions)
        self.time += 1
        over = bool(np.all(terminated) or np.all(truncated))
        inner = self.env.unwrapped
        limit = getattr(inner, "_max_episode_steps", None) or getattr(inner, "max_steps", None)
        cut = over and (bool(np.all(truncated)) or (self.cuts and self.time == limit))
        team = set(self.agents) if over else set()
        paid = self._each(rewards) if np.ndim(rewards) else dict.fromkeys(self.agents, rewards)
        return RawStep(
            observations=self._each(observations), asked=[] if over else list(self.agents), rewards=paid,
            terminated=set() if cut else team, truncated=team if cut else set(), over=over,
        )  # fmt: skip

    def _each(self, values: Any) -> dict[str, Any]:
        return dict(zip(self.agents, values, strict=True))


class Spiel:
    """A game of OpenSpiel; the moves of chance are those of the adapted copy."""

    def __init__(self, game: Any, settings: Mapping[str, Any]):
        self.game, kind = game, game.get_type()
        self.told = "information_state_tensor" if kind.provides_information_state_tensor else "observation_tensor"
        self.seeded = "rng_seed" in kind.parameter_specification
        self.name = kind.short_name

    def reset(self, seed: int) -> RawStep:
        """Begin an episode."""
        import pyspiel

        game = (
            pyspiel.load_game(self.name, {**self.game.get_parameters(), "rng_seed": seed}) if self.seeded else self.game
        )
        self.state, self.rng = game.new_initial_state(), np.random.default_rng(seed)
        self._chance(None)
        return self._shown([0.0] * self.game.num_players())

    def step(self, actions: Mapping[int, int], adapted: Any) -> RawStep:
        """Move once."""
        before = list(self.state.returns())
        if self.state.is_simultaneous_node():
            self.state.apply_actions([actions.get(player, 0) for player in range(self.game.num_players())])
        else:
            self.state.apply_action(actions[self.state.current_player()])
        self._chance(adapted.envs[0].state.history())
        return self._shown([now - then for now, then in zip(self.state.returns(), before, strict=True)])

    def _chance(self, history: list[int] | None) -> None:
        while self.state.is_chance_node():
            outcomes, chances = zip(*self.state.chance_outcomes(), strict=True)
            drawn = int(np.searchsorted(np.cumsum(chances), self.rng.random() * sum(chances), side="right"))
            self.state.apply_action(outcomes[min(drawn, len(outcomes) - 1)])

    def _shown(self, paid: list[float]) -> RawStep:
        over, players = self.state.is_terminal(), range(self.game.num_players())
        together = not over and self.state.is_simultaneous_node()
        asked = [] if over else [p for p in players if together or p == self.state.current_player()]
        legal = {p: np.isin(np.arange(self.game.num_distinct_actions()), self.state.legal_actions(p)) for p in asked}
        return RawStep(
            observations={f"player_{p}": getattr(self.state, self.told)(p) for p in players},
            asked=[f"player_{p}" for p in asked],
            rewards={f"player_{p}": paid[p] for p in players},
            terminated={f"player_{p}" for p in players} if over else set(),
            masks={f"player_{p}": legal[p] for p in asked},
            over=over,
        )


class Vectors:
    """VMAS with one copy."""

    def __init__(self, env: Any, settings: Mapping[str, Any]):
        self.env, self.agents = env, [agent.name for agent in env.agents]
        env.terminated_truncated = True
        self.stream: list[Any] = list(env.vmas_random_state)

    def reset(self, seed: int) -> RawStep:
        """Begin an episode: the first for all copies, later ones of the copy alone, as VMAS's own loops do."""
        if not hasattr(self, "begun"):
            self.begun = True
        seen = self._alone(lambda: self.env.reset(seed=seed))
        return RawStep(observations=self._each(seen), asked=list(self.agents))

    def step(self, actions: Any, adapted: Any) -> RawStep:
        """Move once."""
        seen, rewards, terminated, truncated, _ = self._alone(lambda: self.env.step(actions))
        over, team = bool(terminated | truncated), set(self.agents)
        return RawStep(
            observations=self._each(seen), asked=[] if over else list(self.agents), rewards=self._each(rewards),
            terminated=team if bool(terminated) else set(), truncated=team if over and not bool(terminated) else set(),
            over=over,
        )  # fmt: skip

    def _alone(self, call: Any) -> Any:
        """Both copies draw from one stream of VMAS's: this one's is put in its place for a while."""
        shared = self.env.vmas_random_state
        others, shared[:] = list(shared), self.stream
        try:
            return call()
        finally:
            self.stream, shared[:] = list(shared), others

    def _each(self, values: Any) -> dict[str, Any]:
        return {name: value[0].numpy() for name, value in zip(self.agents, values, strict=True)}


class Marl:
    """marlenv's `MARLEnv`."""

    def __init__(self, env: Any, settings: Mapping[str, Any]):
        self.env, self.agents = env, [f"agent_{n}" for n in range(env.n_agents)]

    def reset(self, seed: int) -> RawStep:
        """Begin an episode."""
        return self._shown(self.env.reset(seed=seed)[0], 0.0, over=False, cut=False)

    def step(self, actions: Any, adapted: Any) -> RawStep:
        """Move once."""
        told = self.env.step(actions)
        cut = bool(told.truncated and not told.done)
        return self._shown(told.obs, float(told.reward[0]), over=bool(told.done or told.truncated), cut=cut)

    def _shown(self, observation: Any, reward: float, *, over: bool, cut: bool) -> RawStep:
        rows = enumerate(self.agents)
        team = set(self.agents) if over else set()
        return RawStep(
            observations={a: [observation.data[n].ravel(), observation.extras[n].ravel()] for n, a in rows},
            asked=[] if over else list(self.agents),
            rewards=dict.fromkeys(self.agents, reward),
            terminated=set() if cut else team,
            truncated=team if cut else set(),
            masks={a: observation.available_actions[n] for n, a in enumerate(self.agents)},
            over=over,
        )


class Pay:
    """What a raw copy pays in an episode, as Heliograph tells it: what comes before a first turn, with that turn."""

    def __init__(self, begun: RawStep):
        self.met, self.owed = set(begun.asked), dict[str, float]()

    def told(self, shown: RawStep) -> dict[str, float]:
        """Rewards of a step by agent."""
        left = shown.terminated | shown.truncated
        paid = {}
        for agent in shown.rewards.keys() | self.owed.keys():
            owed = self.owed.pop(agent, 0.0) + shown.rewards.get(agent, 0.0)
            due = agent in self.met or agent in left or shown.over
            (paid if due else self.owed)[agent] = owed
        self.met |= set(shown.asked)
        return paid


def options_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What `reset` is given beside a seed."""
    return {"options": settings["reset_options"]} if "reset_options" in settings else {}


def counted(space: spaces.Space | None, value: Any) -> Any:
    """A value of a space with each choice counted from 0, as Heliograph shows it."""
    if isinstance(space, (spaces.Discrete, spaces.MultiDiscrete)):
        return np.asarray(value) - space.start
    if isinstance(space, spaces.Tuple):
        return tuple(counted(part, own) for part, own in zip(space.spaces, value, strict=True))
    if isinstance(space, spaces.Dict):
        return {key: counted(space.spaces.get(key), own) for key, own in value.items()}
    return value


def _names(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(agent): value for agent, value in values.items() if agent not in ("__all__", "__common__")}


def raw_play(env: Any, settings: Mapping[str, Any]) -> Any:
    """The way to play an environment, by its interface."""
    kind = interface_of(env)
    if kind is Interface.PETTINGZOO:
        return (Turns if hasattr(env, "agent_iter") else Parallel)(env, settings)
    plays = {
        Interface.RLLIB: Multi, Interface.GYMNASIUM_TUPLE: Tuples, Interface.OPENSPIEL: Spiel,
        Interface.VMAS: Vectors, Interface.MARLENV: Marl,
    }  # fmt: skip
    if kind not in plays:
        raise TypeError(f"{type(env).__name__} has no interface that is known")
    return plays[kind](env, settings)
