"""A vector of real numbers with Gaussian noise."""

import torch
from torch import Tensor

from heliograph import distributions
from heliograph.channels.base import Channel, full_bits
from heliograph.checks import check_choice, check_number, check_positive
from heliograph.types import Choice, Gradient, Message, MessageForm, Tree

__all__ = ["Continuous"]

BITS_PER_FLOAT = 32
SQUASHES = ("tanh", "none")


class Continuous(Channel):
    """Carries `size` numbers in (-1, 1) plus noise of standard deviation `noise_std`.

    `squash="none"` carries them as they are, without a bound: with `noise_std=0.0` and as many numbers as a model has
    hidden units this is the channel of CommNet, IC3Net and MAGIC. `gradient="pathwise"`: the gradient passes through;
    execution is without noise. `gradient="score"`: the noisy vector is an action sampled from a normal, trained by its
    log-probability (and sent as it is in either form).
    """

    has_fixed_entropy = True

    def __init__(self, *, size: int = 4, noise_std: float = 0.1, gradient: str = "pathwise", squash: str = "tanh"):
        check_positive("size", size)
        check_choice("squash", squash, valid=SQUASHES)
        if gradient not in ("pathwise", "score"):
            raise ValueError(f"gradient={gradient!r}: the channel 'continuous' has 'pathwise' and 'score'")
        check_number("noise_std", noise_std, minimum=0)
        if noise_std == 0 and gradient == "score":
            raise ValueError(f"noise_std={noise_std}: must be above 0 for gradient='score', whose messages are sampled")
        bits = float(BITS_PER_FLOAT * size)
        super().__init__(input_size=size, payload_size=size, vocabulary=None, length=size, bits_per_message=bits)
        self.noise_std, self.squash = noise_std, squash
        self.gradient = Gradient.PATHWISE if gradient == "pathwise" else Gradient.ACTION

    def sample(self, channel_input: Tensor, *, generator: torch.Generator | None, choice: Choice) -> Tree:
        """Standard normal noise (pathwise; nothing where `noise_std` is 0), or the vector that is sent (score)."""
        if self.noise_std == 0:
            return None
        noise = torch.randn(channel_input.shape, generator=generator, device=channel_input.device)
        if self.gradient is Gradient.PATHWISE:
            return noise
        scale = self.noise_std if choice is Choice.SAMPLED else 0.0
        return (self._mean(channel_input) + scale * noise).detach()

    def send(self, channel_input: Tensor, *, draw: Tree, form: MessageForm, state: Tree = None) -> tuple[Message, Tree]:
        """The bounded channel input, with the noise in training form; or the sampled vector."""
        if self.gradient is Gradient.ACTION:
            payload = draw
        else:
            payload = self._mean(channel_input)
            if self.noise_std and form is MessageForm.TRAINING:
                payload = payload + self.noise_std * draw
        return Message(payload=payload, symbols=None, bits=full_bits(channel_input, self.bits_per_message)), state

    def log_prob(self, channel_input: Tensor, draw: Tree) -> Tensor:
        """Log-density of the sampled vector (score only)."""
        if self.gradient is not Gradient.ACTION:
            return super().log_prob(channel_input, draw)
        mean = self._mean(channel_input)
        return distributions.normal_log_prob(mean, self._log_std(mean), draw)

    def entropy(self, channel_input: Tensor) -> Tensor:
        """Differential entropy, a constant since the noise is fixed (score only)."""
        if self.gradient is not Gradient.ACTION:
            return super().entropy(channel_input)
        constant = 0.5 * torch.log(torch.tensor(2 * torch.pi * torch.e)) + self._log_std(channel_input)
        return constant.sum(-1)

    def babble(self, like: Tensor, *, generator: torch.Generator | None) -> Message:
        """Uniform vectors in (-1, 1)."""
        uniform = torch.rand((*like.shape[:-1], self.payload_size), generator=generator, device=like.device)
        return Message(payload=2 * uniform - 1, symbols=None, bits=full_bits(like, self.bits_per_message))

    def expected_payload(self, channel_input: Tensor) -> Tensor:
        """The numbers without the noise."""
        return self._mean(channel_input)

    def _mean(self, channel_input: Tensor) -> Tensor:
        return torch.tanh(channel_input) if self.squash == "tanh" else channel_input

    def _log_std(self, like: Tensor) -> Tensor:
        return torch.log(torch.full_like(like, self.noise_std))
