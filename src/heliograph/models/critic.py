"""The critic: values that only learning needs, never acting."""

import itertools
import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from heliograph.models.blocks import RunningMoments, mlp, orthogonal_

LEAST_WEIGHT, LEAST_VARIANCE = 1e-5, 1e-2
VIEWS = ("hidden", "state", "observation", "hidden+state")


def normed_mlp(sizes: list[int]) -> nn.Sequential:
    """Linear maps with ReLU and layer norm after each but the last; orthogonal at first."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(sizes[:-1]):
        layers += [orthogonal_(nn.Linear(fan_in, fan_out), gain=math.sqrt(2)), nn.ReLU(), nn.LayerNorm(fan_out)]
    return nn.Sequential(*layers, orthogonal_(nn.Linear(*sizes[-2:])))


class DebiasedMoments(nn.Module):
    """Mean and variance of values that drift: exponential averages from zero on, divided by their weights.

    Each batch moves them by 1 - `decay`. Source: the value normaliser of MAPPO (Yu et al. 2022; `valuenorm.py` of
    github.com/marlbenchmark/on-policy), with its least weight and variance; before the first batch the mean is 0 and
    the variance the least one.
    """

    def __init__(self, *, decay: float):
        super().__init__()
        self.decay = decay
        for name in ("mean", "square", "weight"):
            self.register_buffer(name, torch.zeros(1))

    @torch.no_grad()
    def merge(self, mean: Float[Tensor, " 1"], variance: Float[Tensor, " 1"], count: Float[Tensor, ""]) -> None:
        """Take in a batch by its moments; a batch of nothing changes nothing."""
        share = torch.where(count > 0, 1 - self.decay, 0.0).to(self.mean.dtype)
        one = torch.ones_like(self.weight)
        for average, value in ((self.mean, mean), (self.square, variance + mean.square()), (self.weight, one)):
            average.lerp_(value.to(average.dtype), share)

    def normalise(self, values: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Zero mean and unit variance."""
        mean, deviation = self._moments()
        return ((values - mean) / deviation).to(values.dtype)

    def restore(self, values: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """The inverse of `normalise`."""
        mean, deviation = self._moments()
        return (values * deviation + mean).to(values.dtype)

    def _moments(self) -> tuple[Tensor, Tensor]:
        weight = self.weight.clamp(min=LEAST_WEIGHT)
        mean = self.mean / weight
        return mean, (self.square / weight - mean.square()).clamp(min=LEAST_VARIANCE).sqrt()


class Critic(nn.Module):
    """One value per agent, from what it had perceived before anyone spoke in this step.

    `view` is "hidden" (the policy's hidden features, gradient included), "observation" (a network of its own, `size`
    twice, over the encoded observation), "state" (the same over all that the environment knows: a centralised
    critic) or "hidden+state" (both, as an agent's future depends on its memory too; Baisero and Amato 2022). It never
    sees a message sent in its own step, so it is a lawful baseline of that message. Values are learnt in normalised
    units; `moments` hold those of the targets. With size 0 values are linear in what is seen. As in MAPPO, `layer_norm`
    has features and layers normalised, with ReLU and orthogonal weights at first, and moments may have a `decay`.
    """

    def __init__(
        self, *, view: str, input_size: int, num_agents: int, size: int = 64, state_size: int = 0,
        layer_norm: bool = False, decay: float | None = None,
    ):  # fmt: skip
        super().__init__()
        if view not in VIEWS:
            raise ValueError(f"critic={view!r}: must be one of {', '.join(map(repr, VIEWS))}")
        self.view = view
        extra = {"state": num_agents if num_agents > 1 else 0, "hidden+state": state_size}.get(view, 0)
        sizes = [input_size + extra, *([size] * (1 if view == "hidden" else 2) if size else []), 1]
        self.net = normed_mlp(sizes) if layer_norm else mlp(sizes)
        self.input_norm = nn.LayerNorm(input_size) if layer_norm else nn.Identity()
        self.num_agents, self.extra = num_agents, extra
        self.moments = RunningMoments(1, num_batches=20) if decay is None else DebiasedMoments(decay=decay)

    @property
    def looks_inside(self) -> bool:
        """True if it sees the policy's hidden features."""
        return self.view.startswith("hidden")

    @property
    def sees_state(self) -> bool:
        """True if it sees all that the environment knows."""
        return "state" in self.view

    def forward(self, features: Tensor, state: Tensor | None = None) -> Float[Tensor, "*batch A"]:
        """Normalised values from features `[..., A, F]`, from a state `[..., S]`, or from both, as `view` says.

        What all agents share is computed once, so that the cost grows with their number, and not with its square.
        """
        first: nn.Linear = self.net[0]
        features = self.input_norm(features)
        if self.view == "state" and not self.extra:
            return self.net(features).expand(*features.shape[:-1], self.num_agents)
        if not self.extra:
            return self.net(features).squeeze(-1)
        of_features, of_extra = first.weight.split([features.shape[-1], self.extra], 1)
        if self.view == "state":
            mixed = F.linear(features, of_features, first.bias).unsqueeze(-2) + of_extra.T
        else:
            mixed = F.linear(features, of_features) + F.linear(state, of_extra, first.bias).unsqueeze(-2)
        return self.net[1:](mixed).squeeze(-1)
