"""The maths of Q-learning, against numbers worked by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from heliograph import td
from heliograph.functional import gae_over_turns


def test_targets_of_a_three_step_episode_by_hand() -> None:
    """Two agents: the first acts on steps 0 and 2, the second on step 1. Rewards 1, 2, 4; gamma 1/2.

    First agent: 1 + 2 until its next turn, worth 8 -> 3 + 8/2 = 7; then 4 and the end. Second: 2 + 4 and the end.
    """
    rewards = torch.tensor([1.0, 2.0, 4.0]).view(3, 1, 1).expand(3, 1, 2)
    turns = torch.tensor([[True, False], [False, True], [True, False]]).unsqueeze(1)
    values = torch.tensor([[5.0, 6.0], [7.0, 9.0], [8.0, 3.0]]).unsqueeze(1)
    ended = torch.tensor([False, False, True]).view(3, 1, 1).expand(3, 1, 2)
    found = td.td_targets(
        rewards, values=values, turns=turns, terminated=ended, truncated=torch.zeros_like(ended), gamma=0.5
    )
    assert torch.equal(found.known, turns)
    assert found.targets[found.known].tolist() == pytest.approx([7.0, 6.0, 4.0])


def test_a_truncated_part_bootstraps_and_a_broken_off_one_is_unknown() -> None:
    rewards, turns = torch.ones(2, 1, 1), torch.ones(2, 1, 1, dtype=torch.bool)
    values, final, none = torch.full((2, 1, 1), 10.0), torch.full((2, 1, 1), 20.0), torch.zeros_like(turns)
    cut = torch.tensor([False, True]).view(2, 1, 1)
    found = td.td_targets(
        rewards, values=values, turns=turns, terminated=none, truncated=cut, final_values=final, gamma=0.5
    )
    assert found.targets.flatten().tolist() == pytest.approx([6.0, 11.0])
    broken = td.td_targets(rewards, values=values, turns=turns, terminated=none, truncated=none, gamma=0.5)
    assert broken.known.flatten().tolist() == [True, False]


@given(st.integers(0, 2**31), st.integers(1, 6), st.booleans())
def test_targets_are_those_of_advantages_over_turns_without_lambda(seed: int, num_steps: int, finals: bool) -> None:
    stream = torch.Generator().manual_seed(seed)
    rewards, values, final = torch.randn(3, num_steps, 4, 3, generator=stream)
    turns, terminated, truncated = torch.rand(3, num_steps, 4, 3, generator=stream) < 0.4
    found = td.td_targets(
        rewards, values=values, turns=turns, terminated=terminated, truncated=truncated,
        final_values=final if finals else None, gamma=0.5,
    )  # fmt: skip
    nothing = torch.zeros_like(values[:1])
    expected = gae_over_turns(
        rewards, values=torch.cat([values, nothing]), turns=torch.cat([turns, nothing.bool()]), terminated=terminated,
        truncated=truncated, final_values=final if finals else None, gamma=0.5, lambda_=0.0,
    )  # fmt: skip
    assert torch.equal(found.known, expected.known)
    assert torch.allclose(found.targets, expected.targets, atol=1e-5)
    assert torch.allclose(found.advantages, expected.advantages, atol=1e-5)


def test_best_and_chosen_values() -> None:
    values = torch.tensor([[1.0, 3.0, 2.0], [4.0, 0.0, 5.0]])
    mask = torch.tensor([[True, False, True], [True, True, True]])
    assert td.chosen_value(values, torch.tensor([2, 0])).tolist() == [2.0, 4.0]
    assert td.best_value(values).tolist() == [3.0, 5.0]
    assert td.best_value(values, mask=mask).tolist() == [2.0, 5.0]


@pytest.mark.parametrize(("average", "expected"), [(False, [2.0, 2.0, 6.0, 0.0]), (True, [4.0, 2.0, 6.0, 0.0])])
def test_a_head_bootstraps_from_itself_or_from_both(average: bool, expected: list[float]) -> None:
    own, other = torch.full((4,), 2.0), torch.full((4,), 6.0)
    available, other_available = torch.tensor([True, True, False, False]), torch.tensor([True, False, True, False])
    found = td.bootstrap_value(own, other, available=available, other_available=other_available, average=average)
    assert found.tolist() == expected


def test_counterfactual_advantage_and_soft_value_by_hand() -> None:
    """Values 1, 2, 6 under odds 1/2, 1/4, 1/4: mean 2.5; entropy 1.5 ln 2."""
    values, odds = torch.tensor([[1.0, 2.0, 6.0]] * 3), torch.tensor([[0.5, 0.25, 0.25]] * 3)
    found = td.counterfactual_advantage(values, odds.log(), torch.tensor([0, 1, 2]))
    assert found.tolist() == pytest.approx([-1.5, -0.5, 3.5])
    assert float((odds[0] * found).sum()) == pytest.approx(0.0)
    soft = td.soft_value(values, odds.log(), entropy_coeff=0.1)
    assert soft.tolist() == pytest.approx([2.5 + 0.1 * 1.5 * math.log(2)] * 3)
