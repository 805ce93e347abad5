"""Lean optimisers move weights as torch's own do, bit by bit, and save the same state."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from heliograph.rllib.optimisers import FusedAdam, LeanRMSprop

PAIRS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "adam": (lambda w: FusedAdam(w, eps=1e-5), lambda w: torch.optim.Adam(w, eps=1e-5, fused=True)),
    "rmsprop": (
        lambda w: LeanRMSprop(w, alpha=0.97, eps=1e-6),
        lambda w: torch.optim.RMSprop(w, alpha=0.97, eps=1e-6, foreach=True),
    ),
    "momentum": (
        lambda w: LeanRMSprop(w, alpha=0.99, momentum=0.95),
        lambda w: torch.optim.RMSprop(w, alpha=0.99, momentum=0.95, foreach=True),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_steps_are_those_of_torch_bit_by_bit(name: str) -> None:
    stream = torch.Generator().manual_seed(0)
    sides = [[torch.nn.Parameter(torch.ones(3, 4)), torch.nn.Parameter(torch.zeros(4))] for _ in PAIRS[name]]
    lean, own = (make(weights) for make, weights in zip(PAIRS[name], sides, strict=True))
    for step in range(6):
        for place in range(2):
            gradient = torch.randn(sides[0][place].shape, generator=stream)
            for weights in sides:
                weights[place].grad = None if place and step in (0, 3) else gradient.clone()
        for optimiser in (lean, own):
            optimiser.param_groups[0]["lr"] = 0.1 / (1 + step)
            optimiser.step()
        if step == 2:
            lean.load_state_dict(copy.deepcopy(own.state_dict()))
    assert all(torch.equal(a, b) for a, b in zip(*sides, strict=True))
    found, expected = lean.state_dict(), own.state_dict()
    assert found["state"].keys() == expected["state"].keys()
    for index, state in expected["state"].items():
        assert all(torch.equal(torch.as_tensor(found["state"][index][k]), torch.as_tensor(v)) for k, v in state.items())
