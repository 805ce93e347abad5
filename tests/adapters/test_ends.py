"""Who is asked, paid, ended and returned, held against plain loops over the script that an environment follows."""

import dataclasses
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from heliograph.adapters.pettingzoo import FromPettingZoo
from heliograph.adapters.stacked import StackedEnv
from heliograph.experiments.choices import TeamChoices, build_team, facts_of
from heliograph.functional import gae_over_turns
from heliograph.rllib.multi_agent_env import FromMultiAgentEnv
from heliograph.rollouts.sampler import Sampler
from heliograph.rollouts.sampler import play_episodes as run
from heliograph.types import TeamStep
from tests.adapters.makes import Crowd
from tests.adapters.scripted import DONE, SEEN, OfAEC, OfParallel, OfRLlib, Part, Script, scripts

PAID = st.one_of(st.none(), st.integers(-3, 3).map(float))
few = settings(max_examples=40, deadline=None, derandomize=True)


def play(env: StackedEnv) -> list[TeamStep]:
    """The reset and all steps of one episode of one copy."""
    shown = [env.reset()]
    zeros = {role.name: torch.zeros(1, len(role.agents), dtype=torch.long) for role in env.roles}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        while not shown[-1].episode_over[0]:
            assert len(shown) < 20
            shown.append(env.step(zeros))
    return shown


def returns(shown: list[TeamStep]) -> list[float]:
    """What is reported of each agent."""
    return torch.stack([step.rewards[0] for step in shown]).sum(0).tolist()


def learnt(shown: list[TeamStep]) -> list[float]:
    """What the first turns of an agent's parts are credited with: its return, as far as anybody learns from it."""
    turns = torch.stack([step.observing for step in shown])
    found = gae_over_turns(
        torch.stack([step.rewards for step in shown[1:]]),
        values=torch.zeros(turns.shape),
        turns=turns,
        terminated=torch.stack([step.terminated for step in shown[1:]]),
        truncated=torch.stack([step.truncated for step in shown[1:]]),
        gamma=1.0,
        lambda_=1.0,
    )
    total, fresh = np.zeros(turns.shape[2]), np.ones(turns.shape[2], bool)
    for time, step in enumerate(shown[1:]):
        first = turns[time, 0].numpy() & fresh
        total += np.where(first, found.targets[time, 0].numpy(), 0.0)
        fresh = (fresh & ~first) | (step.terminated | step.truncated)[0].numpy()
    return total.tolist()


def counts(script: Script, agent: int, step: int) -> bool:
    """Whether pay in a step counts: not after a part has ended, until the agent has had a turn again."""
    parts = script.parts[agent]
    return any(p.first < step <= p.last for p in parts) or not any(p.last < step for p in parts)


def earned(script: Script, agent: int, *, after_end: bool = False) -> float:
    steps = range(1, script.length + 1)
    return sum(script.pay[t - 1][agent] or 0.0 for t in steps if after_end or counts(script, agent, t))


def check(env: StackedEnv, script: Script) -> None:
    shown, agents = play(env), script.agents
    times = range(1, script.length + 1)
    assert len(shown) - 1 == script.length
    assert env.envs[0].before == [script.in_play(t - 1) for t in times]
    assert [torch.where(s.acting[0])[0].tolist() for s in shown[:-1]] == [script.in_play(t - 1) for t in times]
    assert returns(shown) == pytest.approx([earned(script, a) for a in agents])
    had_turns = torch.stack([s.observing[0] for s in shown[:-1]]).any(0)
    reported = torch.tensor(returns(shown)).masked_fill(~had_turns, 0.0)
    assert learnt(shown) == pytest.approx(reported.tolist())
    for t in times[:-1]:
        assert torch.where(shown[t].terminated[0])[0].tolist() == script.ending(t, cut=False)
        assert torch.where(shown[t].truncated[0])[0].tolist() == script.ending(t, cut=True)
    assert (shown[-1].terminated | shown[-1].truncated).all()
    assert set(script.ending(script.length, cut=True)) <= set(torch.where(shown[-1].truncated[0])[0].tolist())


@few
@given(scripts(told=("nothing", "never", "terminated", "truncated"), paid=PAID))
def test_rllib_episodes_are_those_of_their_script(script: Script) -> None:
    check(FromMultiAgentEnv(OfRLlib(script)), script)


@few
@given(scripts(told=("nothing",), paid=PAID))
def test_parallel_episodes_are_those_of_their_script(script: Script) -> None:
    check(FromPettingZoo(lambda: OfParallel(script)), script)


@few
@given(st.data())
def test_turns_and_pay_of_an_aec_environment_are_those_of_its_script(data: st.DataObject) -> None:
    order = data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=6))
    pay = data.draw(st.lists(st.lists(PAID.map(lambda x: x or 0.0), min_size=3, max_size=3), min_size=6, max_size=6))
    cut = data.draw(st.booleans())
    env = FromPettingZoo(lambda: OfAEC(order=order, pay=pay, cut=cut))
    shown = play(env)
    assert [torch.where(s.acting[0])[0].tolist() for s in shown[:-1]] == [[agent] for agent in order]
    assert returns(shown) == pytest.approx(np.sum(pay[: len(order)], axis=0).tolist())
    reported = [value if agent in order else 0.0 for agent, value in enumerate(returns(shown))]
    assert learnt(shown) == pytest.approx(reported)
    assert shown[-1].truncated.all() == cut and shown[-1].terminated.all() != cut


@few
@given(scripts(told=("nothing", "terminated"), paid=PAID))
def test_all_pay_counts_where_agents_are_paid_after_their_end(script: Script) -> None:
    never_cut = tuple(tuple(dataclasses.replace(p, cut=False) for p in parts) for parts in script.parts)
    script = dataclasses.replace(script, parts=never_cut)
    shown = play(FromMultiAgentEnv(OfRLlib(script), paid_after_end=True))
    assert returns(shown) == pytest.approx([earned(script, a, after_end=True) for a in script.agents])
    had_turns = torch.stack([s.observing[0] for s in shown[:-1]]).any(0)
    assert learnt(shown) == pytest.approx(torch.tensor(returns(shown)).masked_fill(~had_turns, 0.0).tolist())


# ---- by hand -------------------------------------------------------------------------------------------------------


def two(*, parts: tuple[tuple[Part, ...], ...], pay: Any, told: str = "nothing") -> Script:
    return Script(parts=parts, pay=pay, told=told)


DIES = two(
    parts=((Part(first=0, last=6, cut=False),), (Part(first=0, last=1, cut=False),)), pay=((1.0, 1.0),) * 6
)  # fmt: skip


def test_team_reward_of_a_member_that_died_is_told_and_counts_where_it_is_asked_to() -> None:
    env = FromMultiAgentEnv(OfRLlib(DIES))
    env.reset()
    zeros = {"agent": torch.zeros(1, 2, dtype=torch.long)}
    env.step(zeros)
    with pytest.warns(UserWarning, match=r"OfRLlib paid agent 1 1 in step 2.*paid_after_end=True"):
        env.step(zeros)
    env.step(zeros)  # once
    shown = play(FromMultiAgentEnv(OfRLlib(DIES)))
    assert returns(shown) == learnt(shown) == [6.0, 1.0]
    shown = play(FromMultiAgentEnv(OfRLlib(DIES), paid_after_end=True))
    assert returns(shown) == learnt(shown) == [6.0, 6.0]
    assert not any(step.terminated[0, 1] for step in shown[:-1]) and not any(s.observing[0, 1] for s in shown[1:-1])


def test_the_dead_are_not_cut_by_a_time_limit_that_cuts_the_living() -> None:
    shown = play(FromMultiAgentEnv(OfRLlib(DIES), paid_after_end=True, time_limit=3))
    assert shown[-1].truncated[0].tolist() == [True, False] and shown[-1].terminated[0].tolist() == [False, True]
    assert returns(shown) == learnt(shown) == [3.0, 3.0]


@pytest.mark.parametrize("told", ["nothing", "never"])
def test_an_episode_is_over_when_nobody_is_in_play(told: str) -> None:
    ends = tuple((Part(first=0, last=4, cut=cut),) for cut in (False, True))
    shown = play(FromMultiAgentEnv(OfRLlib(two(parts=ends, pay=((1.0, 1.0),) * 4, told=told))))
    assert len(shown) == 5 and returns(shown) == [4.0, 4.0]
    assert shown[-1].terminated[0].tolist() == [True, False] and shown[-1].truncated[0].tolist() == [False, True]


def test_a_listener_that_appears_as_the_speaker_leaves_is_not_lost() -> None:
    parts = ((Part(first=0, last=1, cut=False),), (Part(first=1, last=2, cut=False),))
    shown = play(FromMultiAgentEnv(OfRLlib(two(parts=parts, pay=((None, None), (1.0, 1.0))))))
    assert len(shown) == 3 and shown[1].acting[0].tolist() == [False, True] and shown[1].terminated[0, 0]


def test_an_agent_that_comes_back_is_asked_again() -> None:
    again = (Part(first=0, last=2, cut=False), Part(first=4, last=6, cut=False))
    parts = ((Part(first=0, last=6, cut=False),), again)
    shown = play(FromMultiAgentEnv(OfRLlib(two(parts=parts, pay=((0.0, 1.0),) * 6))))
    assert [t for t in range(1, 7) if shown[t - 1].acting[0, 1]] == [1, 2, 5, 6]
    assert shown[2].terminated[0, 1] and returns(shown)[1] == learnt(shown)[1] == 4.0


@pytest.mark.parametrize("cut", [True, False])
def test_an_end_at_the_limit_truncates_where_it_is_said_to_be_the_limits(cut: bool) -> None:
    shown = play(FromMultiAgentEnv(OfRLlib(DIES), time_limit=6, time_limit_is_truncation=cut))
    assert len(shown) == 7
    assert bool(shown[-1].truncated[0, 0]) == cut == (not shown[-1].terminated[0, 0])
    early = play(FromMultiAgentEnv(OfRLlib(DIES), time_limit=7, time_limit_is_truncation=True))
    assert early[-1].terminated[0, 0]
    with pytest.raises(ValueError, match="time_limit_is_truncation=True: set time_limit too"):
        FromMultiAgentEnv(OfRLlib(DIES), time_limit_is_truncation=True)


def test_an_agent_without_turns_is_told_of_once() -> None:
    parts = ((Part(first=0, last=1, cut=False),), ())
    env = FromMultiAgentEnv(lambda: OfRLlib(two(parts=parts, pay=((1.0, 0.0),))), num_envs=50)
    env.reset()
    zeros = {"agent": torch.zeros(50, 2, dtype=torch.long)}
    env.step(zeros)
    with pytest.warns(UserWarning, match=r"\[1\] had no turn in the first 100 episodes"):
        env.step(zeros)
    env.step(zeros)


def test_agents_that_never_come_have_no_return() -> None:
    here, never = (Part(first=0, last=2, cut=False),), ()
    script = two(parts=(here, here, here, *[never] * 7), pay=((2.0,) * 3 + (None,) * 7,) * 2)
    env = FromMultiAgentEnv(lambda: OfRLlib(script), num_envs=2)
    team = build_team(TeamChoices(channel="none"), facts_of(env), seed=0)
    ended, _ = run(Sampler(env, team), 2)
    assert ended.returns.tolist() == [4.0, 4.0] and ended.present.sum(1).tolist() == [3, 3]
    sampler = Sampler(env, team)
    sampler.fragment(4)
    in_fragments = sampler.take_finished()
    assert in_fragments.returns.tolist() == [4.0] * 4 and in_fragments.of_agent(9).tolist() == []


# ---- other answers -------------------------------------------------------------------------------------------------


class Answers(MultiAgentEnv):
    """Two agents whose environment answers as it is told."""

    def __init__(self, *, reset: Any = None, step: Any = None):
        super().__init__()
        self.possible_agents = self.agents = [0, 1]
        self.observation_spaces, self.action_spaces = ({0: space, 1: space} for space in (SEEN, DONE))
        self.answers = {"reset": reset, "step": step}

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        seen = {agent: np.zeros(1, np.float32) for agent in self.agents}
        return (seen, {}) if self.answers["reset"] is None else self.answers["reset"]

    def step(self, actions: Any) -> Any:
        return self.answers["step"]


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"reset": {0: np.zeros(1)}}, r"reset\(\) of Answers must return 2 dicts.*returned a dict.*observations, \{\}"),
        ({"step": ({}, {}, {}, {})}, r"step\(\) of Answers must return 5 dicts.*returned 4 values.*truncations"),
        ({"step": ({}, 1.0, {}, {}, {})}, "its rewards are a float, 1.0"),
        ({"step": None}, "it returned a NoneType"),
    ],
)
def test_answers_of_older_interfaces_are_named(answers: dict[str, Any], words: str) -> None:
    env = FromMultiAgentEnv(Answers(**answers))
    with pytest.raises(ValueError, match=words):
        env.reset()
        env.step({"agent": torch.zeros(1, 2, dtype=torch.long)})


def test_who_was_there_when_an_episode_was_cut_is_not_asked_about_in_the_next() -> None:
    asked: list[tuple[int, str]] = []

    def place(inner: Crowd, agent: str) -> list[float]:
        asked.append((inner.time, agent))
        return [0.0]

    env = FromPettingZoo(Crowd, positions=place, time_limit=4)
    env.reset()
    still = {role.name: torch.zeros(1, len(role.agents), dtype=torch.long) for role in env.roles}
    steps = [env.step(still) for _ in range(4)]
    assert steps[-2].observing.tolist() == [[False, True, True]] and bool(steps[-1].episode_over)
    assert [agent for time, agent in asked if time == 0] == ["bird_0", "fish_0"] * 2
    assert (3, "bird_1") in asked
