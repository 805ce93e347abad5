"""Colour-digit: the payoff by hand, its exact values by enumeration, and scripted protocols in simulation."""

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from heliograph.envs.colour_digit import ColourDigit, answer_colour, answer_parity, payoff
from heliograph.testing import episodes

NUM_EPISODES = 20_000
GAMES = torch.tensor(list(itertools.product(range(10), range(10), range(2), range(2))))
DIGITS, COLOURS = GAMES[:, :2], GAMES[:, 2:]


def returns_of(policy: Callable[[Tensor, Tensor], Tensor], **settings: str) -> tuple[float, float]:
    """Mean return and its standard error in the environment; `policy` sees all digits and colours."""
    env = ColourDigit(num_envs=2000, seed=4, **settings)
    returns, lengths = episodes(
        env, number=NUM_EPISODES, policy=lambda step: {"player": policy(*step.meaning.unbind(-1))}
    )
    assert lengths.unique().tolist() == [2]
    return returns.mean().item(), (returns.std() / len(returns) ** 0.5).item()


def blind(digit: Tensor, colour: Tensor) -> Tensor:
    return (digit + colour) % 2


def told_colour(digit: Tensor, colour: Tensor) -> Tensor:
    return answer_colour(colour.flip(-1), digit=digit)


def told_parity(digit: Tensor, colour: Tensor) -> Tensor:
    return answer_parity(digit.flip(-1) % 2, colour=colour)


@pytest.mark.parametrize(
    ("action", "digit", "colour", "expected"),
    [
        # a: 2(-1)^(0+0+1) + (-1)^(0+3+1) = -2 + 1; b: 2(-1)^(0+1+3) + (-1)^(0+1+0) = 2 - 1
        ([0, 0], [3, 1], [0, 1], [-1, 1]),
        # a: 2(-1)^(1+0+1) + (-1)^(1+3+1) = 2 - 1
        ([1, 0], [3, 1], [0, 1], [1, 1]),
        # a: 2(-1)^(0+1+4) + (-1)^(0+8+1) = -2 - 1; b: 2(-1)^(1+1+8) + (-1)^(1+4+1) = 2 + 1
        ([0, 1], [8, 4], [1, 1], [-3, 3]),
    ],
)
def test_the_payoff_by_hand(action: list[int], digit: list[int], colour: list[int], expected: list[int]) -> None:
    earned = payoff(torch.tensor(action), digit=torch.tensor(digit), colour=torch.tensor(colour))
    assert earned.tolist() == expected


def test_a_player_that_hears_nothing_earns_nothing_whatever_it_does() -> None:
    for action, digit, colour in itertools.product(range(2), range(10), range(2)):
        here = (DIGITS[:, 0] == digit) & (COLOURS[:, 0] == colour)
        earned = payoff(torch.full_like(DIGITS, action), digit=DIGITS, colour=COLOURS)[here, 0]
        assert len(earned) == 20
        assert earned.sum() == 0


@pytest.mark.parametrize(("policy", "value"), [(blind, 0), (told_colour, 1), (told_parity, 2)])
def test_blind_colour_and_parity_are_worth_0_1_and_2_exactly_and_in_simulation(policy: Callable, value: int) -> None:
    assert payoff(policy(DIGITS, COLOURS), digit=DIGITS, colour=COLOURS).mean() == value
    mean, error = returns_of(policy)
    assert mean == pytest.approx(value, abs=4 * error)
    assert error < 0.02


def test_seeing_everything_is_worth_no_more_than_the_parity() -> None:
    every = [payoff(torch.full_like(DIGITS, action), digit=DIGITS, colour=COLOURS) for action in range(2)]
    assert torch.maximum(*every).mean() == 2 == ColourDigit().bounds().full_information


def test_no_code_of_one_bit_is_worth_more_than_the_parity_and_no_other_bit_as_much() -> None:
    """All 16 codes of parity and colour, with the best answer to each."""
    values = {}
    kind = DIGITS % 2 * 2 + COLOURS
    for code in itertools.product((0, 1), repeat=4):
        said = torch.tensor(code)[kind[:, 1]]
        knows = DIGITS[:, 0] * 4 + COLOURS[:, 0] * 2 + said
        earned = torch.stack([payoff(torch.full_like(DIGITS, u), digit=DIGITS, colour=COLOURS)[:, 0] for u in (0, 1)])
        totals = torch.zeros(2, 40).index_add(1, knows, earned)
        values[code] = totals.max(0).values.sum().item() / len(GAMES)
    assert values[0, 0, 1, 1] == values[1, 1, 0, 0] == max(values.values()) == 2
    assert values[0, 1, 0, 1] == 1
    assert values[0, 0, 0, 0] == 0
    assert sum(value == 2 for value in values.values()) == 2


def test_the_published_scale_is_twice_that_of_the_mean() -> None:
    mean, error = returns_of(told_parity, team_reward="sum")
    assert mean == pytest.approx(4, abs=4 * error)
    assert ColourDigit(team_reward="sum").bounds().full_information == 4


def test_an_episode_by_hand() -> None:
    env = ColourDigit(num_envs=3, seed=1)
    step = env.reset()
    digit, colour = step.meaning.unbind(-1)
    assert step.speaking.all() and step.observing.all() and not step.acting.any()
    first = env.step({"player": torch.ones(3, 2, dtype=torch.long)})
    assert not first.rewards.any() and not first.episode_over.any()
    assert first.acting.all() and first.observing.all() and not first.speaking.any()
    assert torch.equal(first.observations["player"], step.observations["player"])
    action = torch.tensor([[0, 0], [0, 1], [1, 0]])
    last = env.step({"player": action})
    expected = payoff(action, digit=digit, colour=colour).mean(1)
    assert torch.equal(last.rewards, expected[:, None].expand(-1, 2))
    assert last.terminated.all() and last.episode_over.all() and not last.truncated.any()
    both = [bool((u + colour[i] + digit[i].flip(0)).remainder(2).sum() == 0) for i, u in enumerate(action)]
    assert last.info["success"].tolist() == both
    assert torch.equal(last.final_observations["player"], step.observations["player"])


def test_the_colour_says_which_half_of_the_picture_is_dark() -> None:
    flat, image = (ColourDigit(num_envs=64, seed=2, observation=form) for form in ("flat", "image"))
    one, other = flat.reset(), image.reset()
    halves = one.observations["player"].unflatten(-1, (2, 64)).amax(-1)
    colour = one.meaning[..., 1]
    assert torch.equal(halves.argmax(-1), colour)
    assert halves.amin(-1).max() == 0
    assert other.observations["player"].shape == (64, 2, 8, 8, 2)
    bytes_first = other.observations["player"].movedim(-1, 2).flatten(2)
    assert torch.equal(bytes_first.float() / 255, one.observations["player"])


def test_the_state_holds_digits_colours_and_time() -> None:
    env = ColourDigit(num_envs=4)
    step = env.reset()
    digit, colour = step.meaning.unbind(-1)
    assert step.state.shape == (4, 2 * 10 + 2 * 2 + 1)
    assert torch.equal(step.state[:, :20].unflatten(1, (2, 10)).argmax(-1), digit)
    assert torch.equal(step.state[:, 20:24].unflatten(1, (2, 2)).argmax(-1), colour)
    assert step.state[:, -1].tolist() == [0] * 4
    assert env.step({"player": digit % 2}).state[:, -1].tolist() == [0.5] * 4


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"team_reward": "max"}, "team_reward='max'.*'mean' or 'sum'"),
        ({"split": "validation"}, "split='validation'.*'train' or 'test'"),
        ({"observation": "dict"}, "observation='dict'.*'flat' or 'image'"),
        ({"mnist_dir": "nowhere"}, "mnist_dir='nowhere'.*is no folder"),
    ],
)
def test_bad_settings_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ColourDigit(**settings)
