"""Graph colouring: the graphs, rewards by hand, exact scores, and a protocol that beats silence."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from heliograph.envs.graph_colouring import GraphColouring, recolour
from heliograph.testing import episodes
from heliograph.types import TeamStep
from tests.envs.states import put


def of_neighbours(values: Tensor, step: TeamStep) -> Tensor:
    senders = step.adjacency.senders
    return values.gather(1, senders.flatten(1)).view(senders.shape)


@pytest.mark.parametrize(("agents", "degree", "colours"), [(64, 4, 4), (60, 6, 3), (10, 2, 2), (4, 2, 4)])
def test_graphs_are_symmetric_regular_and_solved_by_the_hidden_groups(agents: int, degree: int, colours: int) -> None:
    env = GraphColouring(agents=agents, degree=degree, colours=colours, num_envs=20)
    step = env.reset()
    group = env.oracle(env.state)["agent"]
    assert (torch.nn.functional.one_hot(group, colours).sum(1) == agents // colours).all()
    assert (of_neighbours(group, step) != group[..., None]).all()
    count = torch.zeros(20, agents, agents)
    count.scatter_add_(2, step.adjacency.senders, torch.ones(20, agents, degree))
    assert torch.equal(count, count.transpose(1, 2))
    assert (count.sum(2) == degree).all()
    assert torch.equal(step.hearing.senders, step.adjacency.senders)
    assert step.hearing.mask.all()


def test_every_pair_of_groups_may_meet_and_graphs_are_new() -> None:
    env = GraphColouring(num_envs=50, steps=1)
    step = env.reset()
    group = env.state.group
    apart = (of_neighbours(group, step) - group[..., None]) % 4
    assert set(apart.unique().tolist()) == {1, 2, 3}
    before = env.state.neighbours.clone()
    env.step(env.oracle(env.state))
    assert (env.state.neighbours != before).any(2).float().mean() > 0.9


def test_rewards_by_hand() -> None:
    env = GraphColouring(agents=4, degree=2, colours=2, steps=2, turn=1.0)
    env.reset()
    put(env, neighbours=torch.tensor([[[3, 1], [0, 2], [1, 3], [2, 0]]]))  # the square 0 1 2 3
    for colours, rewards in [((0, 1, 0, 1), [0.5] * 4), ((0, 0, 0, 1), [0.25, 0, 0.25, 0.5])]:
        step = env.step({"agent": torch.tensor([colours])})
        assert step.rewards.tolist() == [rewards]
        assert step.info["success"].item() == (rewards == [0.5] * 4)
    assert step.episode_over.item()


def test_an_agent_sees_the_colour_it_picked_last() -> None:
    env = GraphColouring(agents=4, degree=2, colours=4)
    step = env.reset()
    assert not step.observations["agent"].any()
    assert (step.meaning == -1).all()
    step = env.step({"agent": torch.tensor([[3, 0, 2, 2]])})
    assert step.observations["agent"].argmax(-1).tolist() == [[3, 0, 2, 2]]
    assert step.meaning[..., 0].tolist() == [[3, 0, 2, 2]]


def test_the_blind_score_is_the_best_over_all_fixed_colourings() -> None:
    env = GraphColouring(agents=4, degree=2, colours=2, steps=1, num_envs=4000, seed=2)
    found = []
    for colours in itertools.product(range(2), repeat=4):
        fixed = torch.tensor(colours).expand(4000, 4)
        returns, _ = episodes(env, number=4000, policy=lambda _, fixed=fixed: {"agent": fixed})
        found.append(returns.mean().item())
    assert max(found) == pytest.approx(env.bounds().blind, abs=0.02)
    assert env.bounds().blind == pytest.approx(2 / 3)
    assert GraphColouring(agents=1024).bounds().blind == pytest.approx(1 - 255 / 1023)


@pytest.mark.parametrize("agents", [64, 1024])
def test_telling_ones_colour_beats_every_silent_team(agents: int) -> None:
    copies = 512 if agents == 64 else 16
    env, stream = GraphColouring(agents=agents, num_envs=copies, seed=3), torch.Generator().manual_seed(0)
    step, shares = env.reset(), []
    for _ in range(env.steps):
        own = step.meaning[..., 0]
        step = env.step({"agent": recolour(own, heard=of_neighbours(own, step), colours=4, generator=stream)})
        shares.append(16 * step.rewards.mean().item())
    edges = copies * agents * 2
    assert shares[0] == pytest.approx(0.75, abs=4 * math.sqrt(0.1875 / edges))
    assert shares == sorted(shares)
    assert shares[-1] > 0.99
    assert sum(shares) / 16 > env.bounds().blind + 0.15


def test_after_the_first_step_only_those_on_turn_move() -> None:
    env, stream = GraphColouring(num_envs=200, seed=4), torch.Generator().manual_seed(0)
    step, turns = env.reset(), []
    assert step.acting.all()
    for _ in range(10):
        before, acting = env.state.colour, step.acting
        step = env.step({"agent": torch.randint(4, (200, 64), generator=stream)})
        assert step.speaking.all()
        assert torch.equal(env.state.colour[~acting], before[~acting])
        assert (env.state.colour[acting] != before[acting]).float().mean() > 0.7
        turns.append(step.acting.float().mean().item())
    assert sum(turns) / 10 == pytest.approx(0.25, abs=4 * math.sqrt(0.1875 / (200 * 64 * 10)))
    for _ in range(6):
        step = env.step(env.oracle(env.state))
    assert step.episode_over.all()
    assert step.acting.all()


def test_recolour_by_hand() -> None:
    stream = torch.Generator().manual_seed(0)
    heard = torch.tensor([[1, 2, 3, 3]]).expand(200, 4)
    assert (recolour(torch.zeros(200).long(), heard=heard, colours=4, generator=stream) == 0).all()
    assert (recolour(torch.full((200,), 3), heard=heard, colours=4, generator=stream) == 0).all()
    crowded = torch.tensor([[0, 1, 2, 2]]).expand(200, 4)
    assert set(recolour(torch.full((200,), 2), heard=crowded, colours=3, generator=stream).tolist()) == {0, 1}
    fresh = recolour(torch.full((200,), -1), heard=torch.full((200, 4), -1), colours=4, generator=stream)
    assert set(fresh.tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"degree": 3}, "degree=3: must be even"),
        ({"colours": 1}, "colours=1: needs at least 2"),
        ({"agents": 30}, "agents=30: must be at least 4 and a multiple of the 4 colours"),
        ({"turn": 0.0}, "turn=0.0: must be a finite number above 0 and of at most 1"),
        ({"steps": 0}, "steps=0: must be a whole number of at least 1"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GraphColouring(**settings)
