"""Multi-step digits: two players send each other one message a step, and at the end name the other's digit."""

import torch
from jaxtyping import Int
from torch import Tensor

from heliograph.checks import check_positive
from heliograph.envs.base import Unpack
from heliograph.envs.digit_game import DigitGame, DigitSettings, DigitState
from heliograph.envs.digit_images import NUM_DIGITS
from heliograph.types import Bounds

__all__ = ["MultistepDigits", "best_code_score", "binary_digit", "decode"]

SHARE = 0.5


class MultistepDigits(DigitGame):
    """Both see a grey digit and may speak in every step but the last of `steps`, in which each names the other's digit.

    Both get 0.5 for each digit that is named: 1 for both, 0.1 for guessing. With one bit a step the best code has
    2^(steps - 1) words (see `best_code_score`): in 5 steps a binary code of 4 bits names every digit. `meaning` is the
    digit and the step. Success is both digits named.
    Rules: Foerster et al. 2016, Learning to communicate, section 6.3. Differences: the images (8x8 unless `mnist_dir`
    is given), test images apart from those of training, uniform digits instead of MNIST's frequencies (which makes the
    scores exact), an action in the last step alone and no message in it (the published code asks for actions in all
    steps and heeds the last; its last message arrives nowhere).
    """

    def __init__(self, *, steps: int = 5, **base: Unpack[DigitSettings]):
        check_positive("steps", steps)
        if steps < 2:
            raise ValueError(f"steps={steps}: needs at least 2, one to speak and one to act")
        super().__init__(actions=NUM_DIGITS, colours=1, steps=steps, meaning_names=("digit", "step"), **base)

    def bounds(self) -> Bounds:
        """Exact: a blind guess is right once in ten."""
        guess = 1 / NUM_DIGITS
        return Bounds(random=guess, blind=guess, full_information=1.0, source="exact")

    def oracle(self, state: DigitState) -> dict[str, Tensor]:
        """Name the other's digit."""
        return {"player": state.digit.flip(1)}

    def rewards(self, state: DigitState, action: Tensor) -> Tensor:
        """A share for each digit that is named."""
        named = (action == state.digit.flip(1)).float()
        return SHARE * named.sum(1, keepdim=True).expand(-1, 2)

    def solved(self, state: DigitState, action: Tensor) -> Tensor:
        """Tell whether both digits are named."""
        return (action == state.digit.flip(1)).all(1)

    def meaning(self, state: DigitState) -> Tensor:
        """The digit and the step."""
        return torch.stack([state.digit, state.time[:, None].expand_as(state.digit)], -1)


def best_code_score(steps: int, *, vocabulary: int = 2) -> float:
    """The mean return of the best protocol with messages of so many values: each code word names one digit."""
    return min(vocabulary ** (steps - 1), NUM_DIGITS) / NUM_DIGITS


def binary_digit(digit: Int[Tensor, "*batch"], *, step: int) -> Int[Tensor, "*batch"]:
    """Return what the binary code says in a step: the digit's bits, lowest first."""
    return (digit >> step) & 1


def decode(bits: Int[Tensor, "*batch n"]) -> Int[Tensor, "*batch"]:
    """The digit that was said, lowest bit first; unsaid bits count as 0, which is right for one digit per word."""
    weight = 2 ** torch.arange(bits.shape[-1], device=bits.device)
    return (bits * weight).sum(-1).clamp(max=NUM_DIGITS - 1)
