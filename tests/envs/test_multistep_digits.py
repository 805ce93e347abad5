"""Multi-step digits: the score by hand, and the binary code played step by step in the environment."""

import pytest
import torch
from torch import Tensor

from heliograph.envs.multistep_digits import MultistepDigits, best_code_score, binary_digit, decode
from heliograph.testing import episodes
from heliograph.types import TeamStep

ALL = torch.arange(10)


class BinaryCode:
    """Each player says the bits of its digit, lowest first, and names what it heard."""

    def __init__(self) -> None:
        self.heard: list[Tensor] = []

    def __call__(self, step: TeamStep) -> dict[str, Tensor]:
        digit, time = step.meaning.unbind(-1)
        if not step.speaking.any():
            said = decode(torch.stack(self.heard, -1))
            self.heard = []
            return {"player": said}
        self.heard.append(binary_digit(digit, step=int(time[0, 0])).flip(1))
        return {"player": torch.zeros_like(digit)}


@pytest.mark.parametrize(("steps", "score"), [(2, 0.2), (3, 0.4), (4, 0.8), (5, 1.0), (6, 1.0)])
def test_the_binary_code_scores_what_the_best_code_can(steps: int, score: float) -> None:
    assert best_code_score(steps) == score
    env = MultistepDigits(steps=steps, num_envs=2000, seed=3)
    returns, lengths = episodes(env, number=20_000, policy=BinaryCode())
    error = (returns.std() / len(returns) ** 0.5).item()
    assert returns.mean().item() == pytest.approx(score, abs=4 * error + 1e-9)
    assert error < 0.004
    assert lengths.unique().tolist() == [steps]


@pytest.mark.parametrize("bits", [0, 1, 2, 3, 4])
def test_no_code_names_more_digits_than_it_has_words(bits: int) -> None:
    words = torch.stack([binary_digit(ALL, step=step) for step in range(bits)], -1) if bits else ALL.new_zeros(10, 0)
    right = decode(words) == ALL
    assert right.sum() == min(2**bits, 10)
    assert best_code_score(bits + 1) == right.double().mean().item()


def test_the_code_by_hand() -> None:
    assert [binary_digit(torch.tensor(6), step=step).item() for step in range(4)] == [0, 1, 1, 0]
    assert decode(torch.tensor([0, 1, 1, 0])) == 6
    assert decode(torch.tensor([1, 0, 0, 1])) == 9
    assert decode(torch.tensor([1, 1, 1, 1])) == 9  # no digit: any answer will do


def test_a_vocabulary_of_four_needs_three_steps() -> None:
    assert [best_code_score(steps, vocabulary=4) for steps in (2, 3)] == [0.4, 1.0]


def test_a_blind_team_names_one_digit_in_ten() -> None:
    env = MultistepDigits(num_envs=2000)
    returns, _ = episodes(env, number=20_000, policy=lambda step: {"player": torch.full((2000, 2), 3)})
    error = (returns.std() / len(returns) ** 0.5).item()
    assert returns.mean().item() == pytest.approx(env.bounds().blind, abs=4 * error)
    assert env.bounds().blind == env.bounds().random == 0.1


def test_an_episode_by_hand() -> None:
    env = MultistepDigits(num_envs=4)
    step = env.reset()
    digit = step.meaning[..., 0]
    other = digit.flip(1)
    for time in range(4):
        assert step.speaking.all() and step.observing.all() and not step.acting.any()
        assert torch.equal(step.meaning[..., 0], digit)
        assert step.meaning[..., 1].unique().tolist() == [time]
        assert step.state[:, -1].tolist() == pytest.approx([time / 5] * 4)
        step = env.step({"player": other})  # too early to count
        assert not step.rewards.any() and not step.episode_over.any()
    assert step.acting.all() and not step.speaking.any()
    wrong = (other + 1) % 10
    action = torch.where(torch.tensor([[True, True], [True, False], [False, True], [False, False]]), other, wrong)
    step = env.step({"player": action})
    assert step.rewards.tolist() == [[1.0, 1.0], [0.5, 0.5], [0.5, 0.5], [0.0, 0.0]]
    assert step.info["success"].tolist() == [True, False, False, False]
    assert step.terminated.all() and step.episode_over.all() and not step.truncated.any()


def test_the_image_is_grey_and_the_same_in_every_step() -> None:
    env = MultistepDigits(num_envs=8)
    step = env.reset()
    seen = step.observations["player"]
    assert seen.shape == (8, 2, 64)
    assert step.state.shape == (8, 2 * 10 + 1)
    for _ in range(4):
        step = env.step({"player": torch.zeros(8, 2, dtype=torch.long)})
        assert torch.equal(step.observations["player"], seen)


def test_talking_comes_before_the_game() -> None:
    env = MultistepDigits(steps=2, talk_steps=2)
    assert env.horizon == 4
    _, lengths = episodes(env, number=3)
    assert lengths.tolist() == [4, 4, 4]


@pytest.mark.parametrize(("steps", "words"), [(0, "steps=0"), (1, "steps=1.*at least 2")])
def test_bad_settings_are_refused(steps: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MultistepDigits(steps=steps)
