"""Colour-digit: each of two players answers a question on the other's coloured digit; one bit is exchanged."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from heliograph.envs.base import Unpack
from heliograph.envs.digit_game import DigitGame, DigitSettings, DigitState
from heliograph.types import Bounds

__all__ = ["ColourDigit", "answer_colour", "answer_parity", "payoff"]

BEST_TERM = 2.0


class ColourDigit(DigitGame):
    """Both see a digit in one of two colours and speak; then each acts, 0 or 1, on its own image and the other's.

    Player a earns 2(-1)^(u_a + c_a + d_b) + (-1)^(u_a + d_a + c_b) for its action u_a, its own colour c_a and digit
    d_a and the other's c_b and d_b. Both get the mean of the two (`team_reward="mean"`), or their sum ("sum").
    With one bit from each, telling the parity of the digit is optimal and worth 2, as much as seeing everything;
    telling the colour is a local optimum worth 1, and without a message no policy gets more than 0 (twice that for
    "sum"). Success is both players having earned the larger term. `meaning` is the digit and the colour.
    Rules: Foerster et al. 2016, Learning to communicate, section 6.3. Differences: the images (8x8 unless `mnist_dir`
    is given), test images apart from those of training, uniform digits instead of MNIST's frequencies (which makes the
    scores exact), an action in the second step alone and a message in the first alone (the published code asks for both
    in both, and what it pays is the sum).
    """

    def __init__(self, *, team_reward: str = "mean", **base: Unpack[DigitSettings]):
        if team_reward not in ("mean", "sum"):
            raise ValueError(f"team_reward={team_reward!r}: must be 'mean' or 'sum'")
        self.team_reward = team_reward
        super().__init__(actions=2, colours=2, steps=2, meaning_names=("digit", "colour"), **base)

    @property
    def _scale(self) -> float:
        """Return what the mean of the two earnings is multiplied by."""
        return 1.0 if self.team_reward == "mean" else 2.0

    def bounds(self) -> Bounds:
        """Exact: whatever a player does, the other's digit and colour make each term +1 or -1 equally often."""
        return Bounds(random=0.0, blind=0.0, full_information=BEST_TERM * self._scale, source="exact")

    def oracle(self, state: DigitState) -> dict[str, Tensor]:
        """Win the larger term: it always outweighs the other."""
        return {"player": answer_parity(state.digit.flip(1) % 2, colour=state.colour)}

    def rewards(self, state: DigitState, action: Tensor) -> Tensor:
        """The mean or the sum of what both earned."""
        earned = payoff(action, digit=state.digit, colour=state.colour)
        return (self._scale * earned.mean(1, keepdim=True)).expand(-1, 2)

    def solved(self, state: DigitState, action: Tensor) -> Tensor:
        """Tell whether both won the larger term."""
        return (payoff(action, digit=state.digit, colour=state.colour) > 0).all(1)

    def meaning(self, state: DigitState) -> Tensor:
        """The digit and the colour."""
        return torch.stack([state.digit, state.colour], -1)


def payoff(
    action: Int[Tensor, "*batch 2"], *, digit: Int[Tensor, "*batch 2"], colour: Int[Tensor, "*batch 2"]
) -> Float[Tensor, "*batch 2"]:
    """Return what each of the two players earns by its own action."""
    return BEST_TERM * _sign(action + colour + digit.flip(-1)) + _sign(action + digit + colour.flip(-1))


def answer_parity(parity: Int[Tensor, "*batch"], *, colour: Int[Tensor, "*batch"]) -> Int[Tensor, "*batch"]:
    """The action that wins the larger term, given the parity of the other's digit and one's own colour."""
    return (parity + colour) % 2


def answer_colour(other: Int[Tensor, "*batch"], *, digit: Int[Tensor, "*batch"]) -> Int[Tensor, "*batch"]:
    """The action that wins the smaller term, given the other's colour and one's own digit."""
    return (other + digit) % 2


def _sign(exponent: Tensor) -> Tensor:
    return 1.0 - 2.0 * (exponent % 2)
