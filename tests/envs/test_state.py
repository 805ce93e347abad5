"""States: pure functions on them, and what every environment does with its own."""

import dataclasses

import pytest
import torch

from heliograph import registry
from heliograph.envs.base import EnvError, TeamEnv
from heliograph.envs.identity import Identity, IdentityState
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.envs.state import EnvState, clone, merge, named_tensors, refill, select
from heliograph.envs.switch_riddle import SwitchRiddle
from heliograph.testing import random_actions
from heliograph.testing.play import equal, trace


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inner(EnvState):
    flag: torch.Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outer(EnvState):
    number: torch.Tensor
    inner: Inner
    extra: dict[str, torch.Tensor]


def outer(start: int = 0) -> Outer:
    number = torch.arange(start, start + 3)
    return Outer(number=number, inner=Inner(flag=number % 2 == 0), extra={"table": number[:, None].expand(3, 2) * 1.5})


def test_the_tensors_of_a_state_have_names_and_go_back_by_them() -> None:
    assert list(named_tensors(outer())) == ["number", "inner.flag", "extra.table"]
    assert equal(refill(outer(), named_tensors(outer(5))), outer(5))
    with pytest.raises(KeyError, match=r"inner\.flag"):
        refill(outer(), {"number": torch.zeros(3)})


def test_copies_are_selected_and_merged_in_every_part() -> None:
    some = select(outer(), torch.tensor([2, 0, 2]))
    assert (some.number.tolist(), some.inner.flag.tolist()) == ([2, 0, 2], [True, True, True])
    assert some.extra["table"][:, 0].tolist() == [3.0, 0.0, 3.0]
    merged = merge(torch.tensor([True, False, False]), outer(5), outer())
    assert (merged.number.tolist(), merged.inner.flag.tolist()) == ([5, 1, 2], [False, False, True])
    assert merged.extra["table"].tolist() == [[7.5] * 2, [1.5] * 2, [3.0] * 2]
    old = outer()
    assert merge(torch.tensor([True, False, True]), old, old).number is old.number  # nothing to choose
    apart = clone(old)
    apart.number.add_(1)
    assert old.number.tolist() == [0, 1, 2]


class Wrong(Identity):
    given: EnvState

    def start(self):  # type: ignore[no-untyped-def]
        return self.given


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"value": 1}, "the state is a dict: must be of a class derived from EnvState"),
        (Inner(flag=torch.zeros(3)), r"at reset\(\): flag of the state has shape \[3\]: must begin with B = 2"),
        (Inner(flag=7), "flag is a int: a state holds tensors"),  # type: ignore[arg-type]
    ],
)
def test_a_state_that_is_none_is_told(state: EnvState, words: str) -> None:
    env = Wrong(num_envs=2)
    env.given = state
    with pytest.raises(EnvError, match=words):
        env.reset()


def test_a_state_that_is_set_is_gone_on_from() -> None:
    env = Identity(num_envs=2)
    with pytest.raises(RuntimeError, match=r"call reset\(\) first"):
        env.state  # noqa: B018 - read for its error
    env.state = IdentityState(value=torch.tensor([[0, 1], [1, 1]]), time=torch.tensor([1, 0]))
    step = env.step({"agent": torch.tensor([[1, 0], [1, 1]])})
    assert step.rewards.tolist() == [[1, 1], [0, 0]] and step.episode_over.tolist() == [True, False]
    with pytest.raises(EnvError, match=r"value of the state has shape \[1, 2\]: must begin with B = 2"):
        env.state = IdentityState(value=torch.tensor([[0, 1]]), time=torch.tensor([1]))


@pytest.mark.parametrize("name", registry.names("env"))
def test_setting_the_state_and_the_streams_back_repeats_what_came(name: str) -> None:
    env: TeamEnv = registry.load("env", name)(num_envs=4, seed=3)
    step = env.reset()
    step = env.step(random_actions(env, step=step, generator=torch.Generator().manual_seed(0)))
    state = env.state
    kept = clone(state)
    streams = [stream.get_state() for stream in (env.generator, env.start_generator)]
    moment = env._elapsed.clone()
    first = trace(env, fresh=False)
    assert equal(state, kept)  # it was not written into
    env.state, env._elapsed = state, moment
    for stream, before in zip((env.generator, env.start_generator), streams, strict=True):
        stream.set_state(before)
    assert equal(first, trace(env, fresh=False))


def test_selected_copies_go_their_own_way() -> None:
    env = SpeakerListener(num_envs=3, goals=5, rounds=4, seed=1)
    env.reset()
    part = env.selected(torch.tensor([2, 2, 0, 1]))
    assert part.num_envs == 4 and part.state.goal.tolist() == env.state.goal[[2, 2, 0, 1]].tolist()
    before = clone(env.state)
    for _ in range(3):
        part.step(part.oracle(part.state))
    assert equal(env.state, before) and part.state.hits.tolist() == [1] * 4
    assert torch.equal(env.generator.get_state(), SpeakerListener(seed=1).generator.get_state())


def test_a_planned_start_is_taken_once_by_each_copy() -> None:
    env = SwitchRiddle(num_envs=2, seed=4)
    env.reset()
    drawn = env.visits
    env.fix_visits(torch.tensor([[0, 1, 2, 0, 1, 2], [2, 2, 2, 2, 2, 2]]))
    assert torch.equal(env.visits, drawn)  # the present episodes go on
    tells = torch.zeros(2, 3, dtype=torch.long)
    tells[0] = 1
    env.step({"prisoner": tells})
    assert env.visits[0].tolist() == [0, 1, 2, 0, 1, 2] and torch.equal(env.visits[1], drawn[1])
    env.step({"prisoner": tells})
    assert env.visits[0].tolist() != [0, 1, 2, 0, 1, 2]
    env.step({"prisoner": tells.flip(0)})
    assert env.visits[1].tolist() == [2] * 6


def test_while_the_team_talks_the_state_stays_whatever_the_rules_do() -> None:
    env = Identity(num_envs=2, talk_steps=2)
    env.reset()
    before = clone(env.state)
    for _ in range(2):
        step = env.step({"agent": torch.zeros(2, 2, dtype=torch.long)})
        assert equal(env.state, before) and not step.info["success"].any()
    env.step({"agent": torch.zeros(2, 2, dtype=torch.long)})
    assert env.state.time.tolist() == [1, 1]
