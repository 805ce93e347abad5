"""A channel of one's own: bits of which some are flipped on the way.

This example
------------
writes a whole channel. A channel draws its randomness in `sample`, which the rollout records, and carries messages in
`send`, a pure function of channel input and draw; so the loss replays exactly what was sent. This one says hard bits,
flips each with some probability, and lets the gradient through as if it had not (straight-through, from the sigmoid). A
class is used like a name: `.communication(channel=FlippedBits)`, and its keyword-only arguments are `channel_settings`.

How to run
----------
    python examples/custom_channel.py --iterations 25

With remote env runners, Tune and checkpoints, use the same configuration as `config(...).build_algo()`.

Results to expect
-----------------
On `speaker_listener` with two goals a team that does not talk gets 0. One bit of which one in ten is flipped would let
it get 0.8; the team says it three times, and by the majority gets 0.94 (about 20 seconds). When executed, no bit is
flipped.
"""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor

from heliograph import Channel, Choice, CommPPOConfig, Gradient, LocalTrainer, Message, MessageForm
from heliograph.channels.base import full_bits
from heliograph.functional import straight_through
from heliograph.types import Tree


class FlippedBits(Channel):
    """`bits` hard bits; in training each is flipped with `flip_probability`."""

    gradient = Gradient.PATHWISE

    def __init__(self, *, bits: int = 3, flip_probability: float = 0.1):
        if not 0 <= flip_probability <= 0.5:
            raise ValueError(f"flip_probability={flip_probability}: must lie between 0 and 0.5")
        super().__init__(input_size=bits, payload_size=bits, vocabulary=2, length=bits, bits_per_message=float(bits))
        self.flip_probability = flip_probability

    def sample(self, channel_input: Tensor, *, generator: torch.Generator | None, choice: Choice) -> Tree:
        """Which bits are flipped: 1 or 0 for each."""
        uniform = torch.rand(channel_input.shape, generator=generator, device=channel_input.device)
        return (uniform < self.flip_probability).float()

    def send(self, channel_input: Tensor, *, draw: Tree, form: MessageForm, state: Tree = None) -> tuple[Message, Tree]:
        """Hard bits, flipped in training; the gradient is that of the sigmoid."""
        said = (channel_input > 0).float()
        bits = straight_through(said, torch.sigmoid(channel_input))
        payload = bits + draw * (1 - 2 * bits) if form is MessageForm.TRAINING else said
        return Message(
            payload=payload, symbols=said.long(), bits=full_bits(channel_input, self.bits_per_message)
        ), state

    def babble(self, like: Tensor, *, generator: torch.Generator | None) -> Message:
        """Fair random bits, for random-message controls and interventions."""
        bits = torch.randint(2, (*like.shape[:-1], self.length), generator=generator, device=like.device)
        return Message(payload=bits.float(), symbols=bits, bits=full_bits(like, self.bits_per_message))

    def symbol_log_probs(self, channel_input: Tensor) -> Tensor:
        """How likely each bit is 0 and 1, by the sigmoid that the gradient is of: losses ask for it."""
        return torch.stack([F.logsigmoid(-channel_input), F.logsigmoid(channel_input)], -1)

    def expected_payload(self, channel_input: Tensor) -> Tensor:
        """What travels on average, of these odds."""
        return self.flip_probability + (1 - 2 * self.flip_probability) * torch.sigmoid(channel_input)

    def shifted(self, payload: Tensor, shift: Tensor) -> Tensor:
        """The other bit: the wrapper `noisy` asks for it."""
        return torch.where(shift % 2 == 1, 1 - payload, payload)


def config(seed: int = 0) -> CommPPOConfig:
    """PPO on `speaker_listener` with two goals."""
    return (
        CommPPOConfig()
        .environment("speaker_listener", env_config={"goals": 2})
        .communication(model="feedforward", channel=FlippedBits, channel_settings={"flip_probability": 0.1})
        .training(lr=0.002, train_batch_size_per_learner=1024, minibatch_size=512)
        .debugging(seed=seed)
    )


def main(iterations: int = 25) -> list[float]:
    """Train, and return the mean return of every iteration."""
    trainer = LocalTrainer(config())
    returns = []
    for iteration in range(iterations):
        returns.append(trainer.train().env_runner["episode_return_mean"])
        print(f"iteration {iteration + 1}: mean return {returns[-1]:.2f}")
    return returns


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A channel of one's own.")
    parser.add_argument("--iterations", type=int, default=25)
    main(parser.parse_args().iterations)
