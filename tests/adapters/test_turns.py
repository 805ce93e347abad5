"""Turns of agents that may end in the middle of a game, held against a loop over `agent_iter` and `last`."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.adapters.pettingzoo import FromPettingZoo
from heliograph.functional import gae_over_turns
from heliograph.types import TeamStep
from tests.adapters.scripted import OfMortals, moves

EPISODES = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Told:
    """What `last()` tells an agent, and whether it is then asked."""

    agent: int
    seen: list[float]
    reward: float
    terminated: bool
    truncated: bool

    @property
    def asked(self) -> bool:
        return not (self.terminated or self.truncated)


def told_by(env: OfMortals) -> list[Told]:
    """One episode by PettingZoo's own loop."""
    env.reset()
    told = []
    for agent in env.agent_iter():
        seen, reward, terminated, truncated, _ = env.last()
        told.append(
            Told(agent=agent, seen=seen.tolist(), reward=reward, terminated=terminated, truncated=truncated)
        )  # fmt: skip
        env.step(0 if told[-1].asked else None)
    return told


def until_asked(told: list[Told]) -> list[list[Told]]:
    """What is told between one action and the next, last of all to the one that is asked then; cut where none is."""
    parts: list[list[Told]] = [[]]
    for one in told:
        parts[-1].append(one)
        if one.asked:
            parts.append([])
    return parts


def episodes(env: FromPettingZoo) -> list[list[list[TeamStep]]]:
    """Of each copy the first episodes: steps from the one that shows the start to the one that shows the end."""
    begun = [env.reset()]
    found: list[list[list[TeamStep]]] = [[[begun[0]]] for _ in range(env.num_envs)]
    zeros = {role.name: torch.zeros(env.num_envs, len(role.agents), dtype=torch.long) for role in env.roles}
    while any(len(own) <= EPISODES for own in found):
        step = env.step(zeros)
        for copy, own in enumerate(found):
            own[-1].append(step)
            if step.episode_over[copy]:
                own.append([step])
    return [own[:EPISODES] for own in found]


def of_copy(steps: list[TeamStep], name: str, copy: int) -> np.ndarray:
    return torch.stack([getattr(step, name)[copy] for step in steps]).numpy()


def credited(steps: list[TeamStep], copy: int) -> Iterator[tuple[int, float]]:
    """Of each turn of an episode, in order: whose it is, and what all that it is credited with adds up to."""
    turns = of_copy(steps, "observing", copy)
    turns[-1] = False  # of the next episode
    flags = {name: torch.from_numpy(of_copy(steps[1:], name, copy))[:, None] for name in ("terminated", "truncated")}
    rewards = torch.from_numpy(of_copy(steps[1:], "rewards", copy))[:, None]
    values = torch.zeros(len(steps), 1, turns.shape[1])
    found = gae_over_turns(
        rewards, values=values, turns=torch.from_numpy(turns)[:, None], **flags, gamma=1.0, lambda_=1.0
    )
    for time, agent in np.argwhere(turns):
        yield int(agent), float(found.targets[time, 0, agent])


def check(steps: list[TeamStep], told: list[Told], copy: int) -> None:
    parts = until_asked(told)
    assert len(steps) == len(parts)
    agents = steps[0].observing.shape[1]
    for time, (step, part, shown) in enumerate(zip(steps, parts, slots(parts, agents=agents), strict=True)):
        is_last = time == len(parts) - 1
        asked = [one.agent for one in part if one.asked]
        assert asked == ([] if is_last else torch.where(step.acting[copy])[0].tolist())
        for kind in ("terminated", "truncated") if time else ():
            ended = sorted(one.agent for one in part if getattr(one, kind))
            flagged = torch.where(getattr(step, kind)[copy])[0].tolist()
            assert set(ended) <= set(flagged) if is_last else ended == flagged
        seen: Any = step.final_observations if is_last else step.observations
        assert seen["agent"][copy].tolist() == shown
    assert of_copy(steps[1:], "rewards", copy).tolist() == paid(parts, agents=agents)[1:]
    assert list(credited(steps, copy)) == list(earned(told))  # small whole numbers


def slots(parts: list[list[Told]], *, agents: int) -> Iterator[list[list[float]]]:
    """What stands in the slots of all in each step: what each was told last, zeros before that and once it has left."""
    shown, gone = np.zeros((agents, 2)), list[int]()
    for part in parts:
        shown[gone] = 0.0
        for one in part:
            shown[one.agent] = one.seen
        gone = [one.agent for one in part if not one.asked]
        yield shown.tolist()


def paid(parts: list[list[Told]], *, agents: int) -> list[list[float]]:
    """Rewards of each step: in the one in which they are told; what comes with a first turn, in the one after it."""
    rewards, met = np.zeros((len(parts), agents)), set[int]()
    for time, part in enumerate(parts):
        for one in part:
            rewards[time if one.agent in met or not one.asked else time + 1, one.agent] += one.reward
            met |= {one.agent} if one.asked else set()
    return rewards.tolist()


def earned(told: list[Told]) -> Iterator[tuple[int, float]]:
    """The same from what was told: all that comes after a turn, and, for an agent's first turn, what came with it."""
    met = set()
    for time, one in enumerate(told):
        if one.asked:
            later = told[time + 1 if one.agent in met else time :]
            yield one.agent, sum(other.reward for other in later if other.agent == one.agent)
            met.add(one.agent)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_games_of_mortals_are_those_of_the_loop(data: st.DataObject) -> None:
    agents = data.draw(st.integers(1, 4))
    games = [data.draw(moves(agents=agents)) for _ in range(2)]
    ended_first = data.draw(st.booleans())
    left = iter(games)
    env = FromPettingZoo(lambda: OfMortals(next(left), ended_first=ended_first), num_envs=2)
    for copy, own in enumerate(episodes(env)):
        told = told_by(OfMortals(games[copy], ended_first=ended_first))
        for steps in own:
            check(steps, told, copy)
