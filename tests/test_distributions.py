"""Actions of every space, against torch.distributions."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import distributions as reference

from heliograph import distributions
from heliograph.types import Choice

SPACES = (
    st.builds(spaces.Discrete, st.integers(1, 6))
    | st.builds(lambda n: spaces.MultiDiscrete(n), st.lists(st.integers(1, 4), min_size=1, max_size=3))
    | st.builds(
        lambda bounds, shape: spaces.Box(*bounds, shape),
        st.sampled_from([(-1.0, 1.0), (0.0, 1.0), (-90.0, 10.0), (1000.0, 2000.0), (5.0, np.inf), (-np.inf, np.inf)]),
        st.lists(st.integers(1, 3), max_size=2).map(tuple),
    )
)
UNITS = {1000.0: (1500.0, 500.0), 0.0: (0.5, 0.5), -90.0: (-40.0, 50.0), 5.0: (5.0, 1.0)}
"""Centre and half the width of the Boxes above, by their lower bound; the others have 0 and 1."""
BATCH = st.lists(st.integers(1, 3), max_size=2).map(tuple)


def stream(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parts_of(space: spaces.Space, inputs: torch.Tensor, mask: torch.Tensor | None = None) -> list:
    if isinstance(space, spaces.Box):
        mean, log_std = inputs.chunk(2, -1)
        centre, half_width = UNITS.get(float(space.low.flat[0]), (0.0, 1.0))
        return [reference.Normal(centre + half_width * mean, half_width * log_std.clamp(-5, 2).exp())]
    sizes = [int(space.n)] if isinstance(space, spaces.Discrete) else [int(n) for n in space.nvec]
    logits = inputs if mask is None else inputs.masked_fill(~mask, -1e9)
    return [reference.Categorical(logits=part) for part in logits.split(sizes, -1)]


def expected_log_prob(space: spaces.Space, inputs: torch.Tensor, action: torch.Tensor, mask=None) -> torch.Tensor:
    parts = parts_of(space, inputs, mask)
    if isinstance(space, spaces.Box):
        return parts[0].log_prob(action.reshape(*inputs.shape[:-1], -1)).sum(-1)
    picks = [action] if isinstance(space, spaces.Discrete) else action.unbind(-1)
    return sum(part.log_prob(pick) for part, pick in zip(parts, picks, strict=True))


@settings(deadline=None, max_examples=60)
@given(space=SPACES, batch=BATCH, seed=st.integers(0, 2**31), choice=st.sampled_from(Choice))
def test_log_prob_entropy_and_shapes(space: spaces.Space, batch: tuple, seed: int, choice: Choice) -> None:
    inputs = 3 * torch.randn(*batch, distributions.num_inputs(space), generator=stream(seed))
    action = distributions.sample(space, inputs, choice=choice, generator=stream(seed))
    zero = distributions.zero_action(space, batch, torch.device("cpu"))
    assert action.shape == zero.shape and action.dtype == zero.dtype
    got = distributions.log_prob(space, inputs, action)
    assert got.shape == batch and torch.allclose(got, expected_log_prob(space, inputs, action), atol=2e-3, rtol=1e-3)
    summed = [p.entropy().sum(-1) if isinstance(space, spaces.Box) else p.entropy() for p in parts_of(space, inputs)]
    assert torch.allclose(distributions.action_entropy(space, inputs), sum(summed), atol=1e-4, rtol=1e-4)
    assert space.contains(zero.reshape(-1, *zero.shape[len(batch) :])[0].numpy())
    shown = distributions.features(space, action)
    assert shown.shape == (*batch, distributions.num_features(space)) and shown.dtype == torch.float32
    legal = distributions.legal(space, action)
    assert legal.dtype == action.dtype
    for one in legal.reshape(-1, *legal.shape[len(batch) :]):
        assert space.contains(one.numpy().astype(space.dtype))


@settings(deadline=None, max_examples=40)
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3), seed=st.integers(0, 2**31))
def test_masked_actions_are_never_taken_and_weigh_nothing(sizes: list[int], seed: int) -> None:
    space = spaces.MultiDiscrete(sizes)
    inputs = torch.randn(64, sum(sizes), generator=stream(seed))
    mask = torch.rand(64, sum(sizes), generator=stream(seed)) < 0.5
    start = 0
    for size in sizes:
        mask[:, start] |= ~mask[:, start : start + size].any(-1)
        start += size
    for choice in Choice:
        action = distributions.sample(space, inputs, choice=choice, generator=stream(seed), mask=mask)
        chosen = distributions.features(space, action).bool()
        assert not (chosen & ~mask).any()
        got = distributions.log_prob(space, inputs, action, mask=mask)
        assert torch.allclose(got, expected_log_prob(space, inputs, action, mask), atol=1e-4)
    entropy = distributions.action_entropy(space, inputs, mask=mask)
    assert torch.allclose(entropy, sum(p.entropy() for p in parts_of(space, inputs, mask)), atol=1e-4)
    alone = mask.float().split(sizes, -1)
    forced = torch.stack([m.sum(-1) == 1 for m in alone]).all(0)
    assert torch.allclose(entropy[forced], torch.zeros(int(forced.sum())), atol=1e-6)


def test_greedy_takes_the_mode() -> None:
    inputs = torch.tensor([0.1, 0.9, 0.3, 2.0, 1.0])
    assert distributions.sample(spaces.MultiDiscrete([3, 2]), inputs, choice=Choice.GREEDY).tolist() == [1, 0]
    box = spaces.Box(-1, 1, (2,))
    assert distributions.sample(box, torch.tensor([0.5, 7.0, 0.0, 0.0]), choice=Choice.GREEDY).tolist() == [0.5, 7.0]


def test_samples_follow_the_distribution_and_equal_seeds_give_equal_samples() -> None:
    logits = torch.tensor([0.6, 0.3, 0.1]).log().expand(30_000, 3)
    one, again = (
        distributions.sample(spaces.Discrete(3), logits, choice=Choice.SAMPLED, generator=stream(1)) for _ in range(2)
    )
    assert torch.equal(one, again)
    shares = torch.bincount(one, minlength=3) / len(one)
    assert torch.allclose(shares, torch.tensor([0.6, 0.3, 0.1]), atol=0.02)
    box = spaces.Box(-np.inf, np.inf, (1,))
    values = distributions.sample(box, torch.tensor([[1.0, 0.5]]).log().expand(30_000, 2), choice=Choice.SAMPLED)
    assert abs(float(values.mean())) < 0.02 and abs(float(values.std()) - 0.5) < 0.02


def test_a_policy_of_a_box_works_in_units_of_its_bounds() -> None:
    box = spaces.Box(np.array([1000.0, -3.4e38, 5.0, 2.0], "f"), np.array([2000.0, 3.4e38, np.inf, 2.0], "f"))
    greedy = distributions.sample(box, torch.tensor([0.5, 0.5, 0.5, 0.5, 0, 0, 0, 0]), choice=Choice.GREEDY)
    assert greedy.tolist() == [1750.0, 0.5, 5.5, 2.5]
    assert distributions.features(box, greedy).tolist() == [0.5] * 4
    zero = distributions.zero_action(box, (3,), torch.device("cpu"))
    assert zero.tolist() == [[1500.0, 0.0, 5.0, 2.0]] * 3 and not distributions.features(box, zero).any()
    first = torch.zeros(2000, 8)  # as a network puts out at first
    played = distributions.legal(box, distributions.sample(box, first, choice=Choice.SAMPLED, generator=stream(0)))
    shares = torch.histc(played[:, 0], bins=4, min=1000, max=2000) / len(played)
    assert (shares > 0.15).all() and (played[:, 3] == 2.0).all()


@pytest.mark.parametrize("low", [-1.0, -np.inf, -3.4e38])
def test_where_units_are_plain_nothing_is_computed(low: float) -> None:
    """Bit by bit what a normal distribution gives."""
    space, inputs = spaces.Box(low, -low, (3,)), torch.randn(50, 6, generator=stream(1))
    mean, log_std = inputs.chunk(2, -1)
    action = distributions.sample(space, inputs, choice=Choice.SAMPLED, generator=stream(2))
    assert action.equal(mean + log_std.clamp(-5, 2).exp() * torch.randn(50, 3, generator=stream(2)))
    assert distributions.log_prob(space, inputs, action).equal(
        distributions.normal_log_prob(mean, log_std.clamp(-5, 2), action)
    )
    assert distributions.features(space, action).equal(action)


def test_box_actions_are_clipped_for_the_environment_alone() -> None:
    space = spaces.Box(np.array([-1.0, 0.0]), np.array([1.0, np.inf]), dtype=np.float64)
    action = torch.tensor([[3.0, 50.0], [-3.0, -2.0]])
    assert distributions.legal(space, action).tolist() == [[1.0, 50.0], [-1.0, 0.0]]
    assert distributions.legal(space, action).dtype == torch.float32


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(3, start=1), spaces.MultiDiscrete(np.ones((2, 2), int)), spaces.MultiBinary(3),
        spaces.Box(0, 5, (2,), np.int64),
    ],
)  # fmt: skip
def test_impossible_action_spaces_are_refused(space: spaces.Space) -> None:
    with pytest.raises(ValueError, match="action space"):
        distributions.check_action_space(space)


def test_epsilon_greedy_takes_the_best_legal_one_and_spreads_the_rest() -> None:
    values = torch.tensor([1.0, 5.0, 3.0, 2.0])
    mask = torch.tensor([True, False, True, True])
    odds = distributions.epsilon_greedy(values, epsilon=0.3, mask=mask).exp()
    assert odds.tolist() == pytest.approx([0.1, 0.0, 0.8, 0.1])
    assert distributions.epsilon_greedy(values, epsilon=0.0).exp().tolist() == [0.0, 1.0, 0.0, 0.0]


@given(space=SPACES, batch=BATCH, data=st.data())
def test_scores_are_both_at_once(space: spaces.Space, batch: tuple, data: st.DataObject) -> None:
    inputs = torch.randn(*batch, distributions.num_inputs(space), generator=stream(data.draw(st.integers(0, 99))))
    action = distributions.sample(space, inputs, choice=Choice.SAMPLED, generator=stream(1))
    found = distributions.score(space, inputs, action)
    assert torch.allclose(found.log_prob, distributions.log_prob(space, inputs, action), rtol=1e-5, atol=1e-6)
    assert torch.allclose(found.entropy, distributions.action_entropy(space, inputs), rtol=1e-5, atol=1e-6)


def test_joint_choices_by_hand() -> None:
    parts = [torch.tensor([0.25, 0.75]).log(), torch.tensor([0.5, 0.3, 0.2]).log()]
    joint = distributions.joint_log_probs(parts).exp()
    assert joint.tolist() == pytest.approx([0.125, 0.075, 0.05, 0.375, 0.225, 0.15])
    picks = torch.tensor([[0, 0], [0, 2], [1, 1]])
    assert distributions.joint_index(picks, [2, 3]).tolist() == [0, 2, 4]


def test_a_straight_through_sample_is_one_hot_with_the_gradient_of_the_relaxed_one() -> None:
    logits = torch.tensor([1.0, 0.0, -1.0], requires_grad=True)
    sample = distributions.straight_through_sample(logits, temperature=0.5, generator=stream(3))
    noise = distributions.gumbel(logits.shape, generator=stream(3), device=logits.device)
    soft = torch.softmax((logits.detach() + noise) / 0.5, 0)
    torch.testing.assert_close(sample.detach(), torch.eye(3)[soft.argmax()])
    weight = torch.tensor([1.0, 2.0, 4.0])
    (found,) = torch.autograd.grad((sample * weight).sum(), logits)
    by_hand = soft * (weight - (soft * weight).sum()) / 0.5
    torch.testing.assert_close(found, by_hand)
    many = distributions.straight_through_sample(logits.detach().expand(4000, 3), temperature=0.5, generator=stream(0))
    torch.testing.assert_close(many.mean(0), torch.softmax(logits.detach(), 0), atol=0.03, rtol=0)


def test_a_gaussian_sample_has_gradients_to_mean_and_deviation() -> None:
    inputs = torch.tensor([2.0, 0.0], requires_grad=True)
    sample = distributions.gaussian_sample(inputs.expand(5000, 2), generator=stream(0))
    drawn = sample.detach()
    assert float(drawn.mean()) == pytest.approx(2.0, abs=0.05) and float(drawn.std()) == pytest.approx(1, abs=0.05)
    (found,) = torch.autograd.grad(sample[0].sum(), inputs)
    assert found.tolist() == pytest.approx([1.0, float(drawn[0]) - 2.0], abs=1e-5)
