"""Memories and hidden features of several vectors."""

import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn

from heliograph.envs.base import flat_observation
from heliograph.models.base import Model, ModelSpec, Perceived
from heliograph.models.structure import side_by_side, taken_apart, total_size, where_agents, zeros_of
from heliograph.testing import check_model
from heliograph.types import Heard, Inputs, Tree
from tests.parts import make_sampler

SIZES = {"cell": 2, "state": 3}


def test_vectors_are_joined_in_the_order_of_their_sizes_and_taken_apart_again() -> None:
    joined = torch.arange(10.0).view(2, 1, 5)
    apart = taken_apart(joined, SIZES)
    assert apart["cell"].tolist() == [[[0, 1]], [[5, 6]]] and apart["state"].tolist() == [[[2, 3, 4]], [[7, 8, 9]]]
    assert torch.equal(side_by_side(dict(reversed(apart.items())), SIZES), joined)
    assert total_size(SIZES) == 5 and total_size(7) == 7
    assert taken_apart(joined, 5) is joined and side_by_side(joined, 5) is joined


def test_zeros_and_choices_are_made_of_each_vector() -> None:
    zeros = zeros_of(SIZES, 2, 4, device=torch.device("cpu"))
    assert {name: tuple(leaf.shape) for name, leaf in zeros.items()} == {"cell": (2, 4, 2), "state": (2, 4, 3)}
    ones = {name: leaf + 1 for name, leaf in zeros.items()}
    mask = torch.tensor([[True, False, False, True], [False, False, False, False]])
    for leaf in where_agents(mask, ones, zeros).values():
        assert torch.equal(leaf.amax(-1).bool(), mask) and torch.equal(leaf.amin(-1).bool(), mask)


class TwoClocks(Model):
    """Remembers a fast and a slow trace of what it sees."""

    def __init__(self, spec: ModelSpec, *, size: int = 8):
        super().__init__(spec)
        self.hidden_size, self.memory_size = {"fast": size, "slow": size}, {"fast": size, "slow": size}
        self.message_size = size
        self.embed = nn.Linear(spaces.flatdim(spec.observation_space), size)
        self.head = nn.Linear(2 * size, spec.action_inputs)

    def encode(self, inputs: Inputs) -> Tensor:
        return self.embed(flat_observation(self.spec.observation_space, inputs.observation))

    def perceive(self, features: Tensor, memory: Tree, inbox: Heard | None) -> Perceived:
        told = features if inbox is None else features + inbox.total()
        kept = {name: rate * memory[name] + told for name, rate in (("fast", 0.1), ("slow", 0.9))}
        return Perceived(hidden={name: torch.tanh(leaf) for name, leaf in kept.items()}, memory=kept)

    def speak(self, hidden: Tree, *, round_index: int = 0) -> Tensor:
        return hidden["fast"]

    def act(self, hidden: Tree) -> Tensor:
        return self.head(side_by_side(hidden, self.hidden_size))


def test_a_model_whose_memory_is_a_structure_passes_every_check() -> None:
    check_model(TwoClocks)


class Misnamed(TwoClocks):
    """Declares a vector that it does not return."""

    def __init__(self, spec: ModelSpec):
        super().__init__(spec)
        self.hidden_size = {"fast": 8, "glacial": 8}


def test_sizes_that_are_not_kept_are_told() -> None:
    with pytest.raises(
        AssertionError, match=r"sizes are declared of \['fast', 'glacial'\], but there is \['fast', 'slow'\]"
    ):
        check_model(Misnamed)


def test_a_state_saved_when_memories_were_single_vectors_goes_on() -> None:
    one, other = (make_sampler("mixed", model="ic3net", channel="continuous-pathwise") for _ in range(2))
    one.fragment(5)
    saved = one.get_state()
    sizes = {name: policy.model.memory_size for name, policy in one.team.policies.items()}
    saved["team"].memory = {name: side_by_side(memory, sizes[name]) for name, memory in saved["team"].memory.items()}
    other.set_state(saved)
    after, expected = other.fragment(4), one.fragment(4)
    assert torch.equal(after.rewards, expected.rewards)
    assert torch.equal(after.action_log_prob, expected.action_log_prob)
