"""The maths of learning, against numbers worked by hand and against plain definitions."""

import math

import pytest
import torch

from heliograph import functional
from heliograph.functional import gae_over_turns


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(-1, 1, 1)


def flags(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.bool).view(-1, 1, 1)


def gae(rewards, values, turns, *, ended=None, cut=None, final=None, gamma=0.9, lambda_=0.8):
    never = torch.zeros(len(rewards), 1, 1, dtype=torch.bool)
    found = gae_over_turns(
        column(*rewards),
        values=column(*values),
        turns=flags(*turns),
        terminated=never if ended is None else flags(*ended),
        truncated=never if cut is None else flags(*cut),
        final_values=None if final is None else column(*final),
        gamma=gamma,
        lambda_=lambda_,
    )
    return [x.flatten().tolist() for x in (found.advantages, found.targets, found.known)]


def test_turns_in_every_step() -> None:
    advantages, targets, known = gae([1.0, 2.0], [0.5, 0.25, 4.0], [1, 1, 1])
    second = 2 + 0.9 * 4 - 0.25
    first = 1 + 0.9 * 0.25 - 0.5 + 0.9 * 0.8 * second
    assert advantages == pytest.approx([first, second])
    assert targets == pytest.approx([first + 0.5, second + 0.25]) and known == [True, True]


def test_rewards_between_turns_accrue_undiscounted_to_the_last_turn() -> None:
    """Turns at 0 and 3; rewards 1, 2, 4 belong to turn 0."""
    advantages, targets, known = gae([1.0, 2.0, 4.0, 8.0], [0.5, 9.0, 9.0, 0.25, 3.0], [1, 0, 0, 1, 1])
    last = 8 + 0.9 * 3 - 0.25
    first = 7 + 0.9 * 0.25 - 0.5 + 0.9 * 0.8 * last
    assert advantages == pytest.approx([first, 0, 0, last])
    assert targets == pytest.approx([first + 0.5, 0, 0, last + 0.25]) and known == [True, False, False, True]


def test_a_turn_without_a_known_successor_is_left_out_and_those_before_bootstrap_from_its_value() -> None:
    advantages, _, known = gae([1.0, 2.0, 4.0], [0.5, 0.25, 9.0, 9.0], [1, 1, 0, 0])
    assert known == [True, False, False]
    assert advantages == pytest.approx([1 + 0.9 * 0.25 - 0.5, 0, 0])


def test_the_rules_end_without_bootstrap_and_cut_the_sum() -> None:
    advantages, _, known = gae([1.0, 2.0, 5.0], [0.5, 0.25, 1.0, 7.0], [1, 1, 1, 1], ended=[0, 1, 0])
    second = 2 - 0.25
    assert advantages == pytest.approx([1 + 0.9 * 0.25 - 0.5 + 0.72 * second, second, 5 + 0.9 * 7 - 1])
    assert known == [True] * 3


def test_a_part_that_ends_while_its_agent_waits_is_known() -> None:
    """The reward of the ending belongs to the last turn; what comes after, to nobody before it."""
    advantages, _, known = gae([1.0, 2.0, 5.0], [0.5, 9.0, 9.0, 9.0], [1, 0, 0, 0], ended=[0, 1, 0])
    assert advantages == pytest.approx([3 - 0.5, 0, 0]) and known == [True, False, False]


def test_a_limit_bootstraps_from_the_final_observation() -> None:
    advantages, _, _ = gae([1.0, 2.0], [0.5, 0.25, 7.0], [1, 1, 1], cut=[1, 0], final=[3.0, 99.0])
    assert advantages == pytest.approx([1 + 0.9 * 3 - 0.5, 2 + 0.9 * 7 - 0.25])


def test_who_terminates_at_the_limit_does_not_bootstrap() -> None:
    advantages, _, _ = gae([1.0], [0.5, 7.0], [1, 1], ended=[1], cut=[1], final=[3.0])
    assert advantages == pytest.approx([0.5])


def test_lambda_one_is_the_discounted_return() -> None:
    generator = torch.Generator().manual_seed(0)
    rewards, values = torch.randn(6, 3, 2, generator=generator), torch.randn(7, 3, 2, generator=generator)
    never = torch.zeros(6, 3, 2, dtype=torch.bool)
    every = torch.ones(7, 3, 2, dtype=torch.bool)
    found = gae_over_turns(
        rewards, values=values, turns=every, terminated=never, truncated=never, gamma=0.9, lambda_=1.0
    )
    total = values[-1]
    for t in reversed(range(6)):
        total = rewards[t] + 0.9 * total
        assert torch.allclose(found.targets[t], total, atol=1e-5)


def test_clipped_loss_by_hand() -> None:
    log_ratio = torch.tensor([1.5, 1.5, 0.5, 0.5, 1.0]).log()
    advantages = torch.tensor([2.0, -2.0, 2.0, -2.0, 3.0])
    loss = functional.clipped_policy_loss(log_ratio, advantages, clip=0.2)
    assert loss.tolist() == pytest.approx([-2.4, 3.0, -1.0, 1.6, -3.0])


def test_clipped_loss_has_no_gradient_beyond_the_clip() -> None:
    log_ratio = torch.tensor([1.5, 1.5, 0.5, 0.5]).log().requires_grad_()
    functional.clipped_policy_loss(log_ratio, torch.tensor([2.0, -2.0, 2.0, -2.0]), clip=0.2).sum().backward()
    assert log_ratio.grad.tolist() == pytest.approx([0.0, 3.0, -1.0, 0.0])


def test_straight_through_has_the_value_of_one_and_the_gradient_of_the_other() -> None:
    soft, hard = torch.tensor([0.3, 0.7], requires_grad=True), torch.tensor([0.0, 1.0])
    out = functional.straight_through(hard, soft)
    (out * torch.tensor([2.0, 5.0])).sum().backward()
    assert out.tolist() == pytest.approx([0.0, 1.0]) and soft.grad.tolist() == [2.0, 5.0]


def test_masked_mean() -> None:
    values, mask = torch.tensor([1.0, float("inf"), 3.0]), torch.tensor([True, False, True])
    assert float(functional.masked_mean(values, mask)) == 2.0
    assert float(functional.masked_mean(values, torch.zeros(3, dtype=torch.bool))) == 0.0


def test_normalised_advantages() -> None:
    values, mask = torch.randn(5, 4, 3), torch.rand(5, 4, 3) < 0.5
    out = functional.normalise_advantages(values, mask)[mask]
    assert abs(float(out.mean())) < 1e-6 and abs(float(out.var(unbiased=False)) - 1) < 1e-5


def test_explained_variance() -> None:
    targets = torch.tensor([1.0, 2.0, 3.0, 9.0])
    mask = torch.tensor([True, True, True, False])
    assert functional.explained_variance(targets, targets, mask) == 1.0
    assert functional.explained_variance(targets, torch.zeros(4), mask) == pytest.approx(0.0)
    assert functional.explained_variance(targets, -targets, mask) == pytest.approx(-3.0)
    assert functional.explained_variance(torch.ones(4), targets, mask) == 0.0
    assert not math.isnan(functional.explained_variance(targets, targets, torch.zeros(4, dtype=torch.bool)))


def test_tanh_and_its_gradients_are_those_of_torch() -> None:
    x = torch.linspace(-12, 12, 4001)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    functional.tanh(ours).sum().backward()
    torch.tanh(theirs).sum().backward()
    assert torch.allclose(functional.tanh(x), torch.tanh(x), atol=3e-7, rtol=0)
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-6, rtol=0)
    assert torch.autograd.gradcheck(functional.tanh, torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True))


REWARDS = torch.tensor([[1.0, 0.0], [2.0, 6.0], [4.0, 0.0]]).unsqueeze(1)
"""Two agents, three steps: the part of the second ends in step 1, and another takes its slot in step 2."""
MIXED = {
    (0.0, 1.0): [[7, 6], [6, 6], [4, 0]],
    (1.0, 1.0): [[6.5, 6.5], [6, 6], [2, 2]],
    (0.25, 1.0): [[6.875, 6.125], [6, 6], [3.5, 0.5]],
    (0.5, 1.0): [[6.75, 6.25], [6, 6], [3, 1]],
    (0.0, 0.5): [[3, 3], [4, 6], [4, 0]],
    (1.0, 0.5): [[3, 3], [5, 5], [2, 2]],
}


@pytest.mark.parametrize(("mean_ratio", "gamma"), MIXED)
def test_monte_carlo_returns_of_agents_and_of_their_team(mean_ratio: float, gamma: float) -> None:
    no, yes = torch.zeros(3, 1, 2, dtype=torch.bool), torch.ones(4, 1, 2, dtype=torch.bool)
    terminated = no.clone()
    terminated[1, :, 1] = terminated[2] = True
    values = torch.arange(8.0).view(4, 1, 2)
    found = functional.gae_of_teams(
        REWARDS, mean_ratio=mean_ratio, team_of_agent=torch.zeros(2, dtype=torch.long), terminated=terminated,
        truncated=no, episode_over=torch.tensor([[False], [False], [True]]), values=values, turns=yes, gamma=gamma,
        lambda_=1.0,
    )  # fmt: skip
    expected = torch.tensor(MIXED[mean_ratio, gamma], dtype=torch.float)
    torch.testing.assert_close(found.targets[:, 0], expected)
    torch.testing.assert_close(found.advantages, found.targets - values[:-1])
    assert found.known.all()


def test_a_team_return_is_estimated_where_the_rollout_or_the_time_ends() -> None:
    no, turns = torch.zeros(3, 1, 2, dtype=torch.bool), torch.ones(4, 1, 2, dtype=torch.bool)
    about = {"mean_ratio": 1.0, "team_of_agent": torch.zeros(2, dtype=torch.long), "gamma": 1.0, "lambda_": 1.0}
    values = torch.full((4, 1, 2), 10.0)
    goes_on = {"terminated": no, "truncated": no, "episode_over": no[..., 0]}
    found = functional.gae_of_teams(REWARDS, values=values, turns=turns, **goes_on, **about)
    assert found.targets[:, 0, 0].tolist() == [16.5, 16.0, 12.0]
    cut = no.clone()
    cut[1] = True
    stops = {"terminated": no, "truncated": cut, "episode_over": cut[..., 0], "final_values": values[1:] / 2}
    found = functional.gae_of_teams(REWARDS, values=values, turns=turns, **stops, **about)
    assert found.targets[:, 0, 0].tolist() == [9.5, 9.0, 12.0]


@pytest.mark.parametrize("lambda_", [0.0, 0.9, 1.0])
def test_a_mixture_is_the_estimate_of_mixed_rewards_where_all_parts_end_at_once(lambda_: float) -> None:
    no, turns = torch.zeros(3, 1, 2, dtype=torch.bool), torch.ones(4, 1, 2, dtype=torch.bool)
    ends = no.clone()
    ends[1] = True
    about = {"turns": turns, "terminated": ends, "truncated": no, "gamma": 0.9, "lambda_": lambda_}
    values = torch.arange(8.0).view(4, 1, 2)
    team = {"team_of_agent": torch.zeros(2, dtype=torch.long), "episode_over": ends[..., 0], "mean_ratio": 0.25}
    found = functional.gae_of_teams(REWARDS, values=values, **team, **about)
    mixed = 0.75 * REWARDS + 0.25 * REWARDS.mean(-1, keepdim=True)
    expected = functional.gae_over_turns(mixed, values=values, **about)
    torch.testing.assert_close(found.targets, expected.targets)
    torch.testing.assert_close(found.advantages, expected.advantages)


def test_means_are_taken_within_teams() -> None:
    found = functional.mean_over_teams(torch.tensor([[1.0, 2.0, 3.0, 10.0]]), torch.tensor([0, 1, 0, 1]))
    assert found.tolist() == [[2.0, 6.0, 2.0, 6.0]]
