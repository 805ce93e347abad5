"""Modules are restored bit by bit, counts beyond what single precision can hold too."""

import torch

from heliograph.rllib.ppo import CommPPOConfig

MANY = 2**24 + 1
"""The first whole number that single precision rounds."""
BEYOND = 2**31 + 5
"""A number that 32 bits make negative."""


def test_counts_of_running_moments_are_restored_exactly() -> None:
    config = CommPPOConfig().environment("identity").communication(normalise_observations=True)
    one, other = (config.get_multi_rl_module_spec().build()["agent"] for _ in range(2))
    for name, buffer in one.named_buffers():
        if name.endswith("count"):
            buffer.fill_(MANY)
    other.set_state(one.get_state())
    counts = [float(buffer) for name, buffer in other.named_buffers() if name.endswith("count")]
    assert len(counts) == 2 and set(counts) == {float(MANY)}


def test_whole_numbers_beyond_32_bits_are_restored_exactly() -> None:
    config = CommPPOConfig().environment("identity")
    one, other = (config.get_multi_rl_module_spec().build()["agent"] for _ in range(2))
    for module, number in ((one, BEYOND), (other, 0)):
        module.register_buffer("env_steps", torch.tensor(number))
    other.set_state(one.get_state())
    assert int(other.env_steps) == BEYOND
