"""How values of single agents make up one of the whole team: by their sum, or by a network that rises with each."""

import enum
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from heliograph.models.blocks import mlp

__all__ = ["AbstractMixer", "Mixing", "MonotonicMixer", "SumMixer", "build_mixer"]

EMBEDDING = 32


class Mixing(enum.StrEnum):
    """Choice of what a team's value is made of its agents' values by."""

    VDN = "vdn"
    QMIX = "qmix"


class AbstractMixer(nn.Module, ABC):
    """Base of mixers: the team's value never falls where an agent's rises, so that each may choose its own best."""

    @abstractmethod
    def forward(self, values: Float[Tensor, "*batch M"], state: Float[Tensor, "*batch S"]) -> Float[Tensor, "*batch"]:
        """Value of the team, of those of its agents and the state of the environment."""


class SumMixer(AbstractMixer):
    """The sum of all values; the state counts for nothing. Source: Sunehag et al. 2018 (VDN)."""

    def forward(self, values: Float[Tensor, "*batch M"], state: Float[Tensor, "*batch S"]) -> Float[Tensor, "*batch"]:
        """Sum."""
        return values.sum(-1)


class MonotonicMixer(AbstractMixer):
    """A network of one hidden layer whose weights, never negative, are made of the state by other networks.

    The team's value is w_2 . elu(W_1 q + b_1) + v, where W_1 and w_2 are sizes of linear maps of the state, b_1 is such
    a map, and v a network of the state with one hidden layer. `embedding` (32) is the size of all hidden layers.
    Source: Rashid et al. 2018 (QMIX).
    """

    def __init__(self, *, num_values: int, state_size: int, embedding: int = EMBEDDING):
        super().__init__()
        self.num_values, self.embedding = num_values, embedding
        self.first_weights = nn.Linear(state_size, num_values * embedding)
        self.first_bias = nn.Linear(state_size, embedding)
        self.last_weights = nn.Linear(state_size, embedding)
        self.last_bias = mlp([state_size, embedding, 1], activation=nn.ReLU)

    def forward(self, values: Float[Tensor, "*batch M"], state: Float[Tensor, "*batch S"]) -> Float[Tensor, "*batch"]:
        """Mix."""
        weights = self.first_weights(state).abs().unflatten(-1, (self.num_values, self.embedding))
        hidden = F.elu(torch.einsum("...m,...me->...e", values, weights) + self.first_bias(state))
        return (hidden * self.last_weights(state).abs()).sum(-1) + self.last_bias(state).squeeze(-1)


def build_mixer(mixing: Mixing, *, num_values: int, state_size: int) -> AbstractMixer:
    """The mixer of a name, of so many values and numbers in a state."""
    if mixing is Mixing.VDN:
        return SumMixer()
    return MonotonicMixer(num_values=num_values, state_size=state_size)
