"""A policy: a model with the mouth and the ear that put it on a channel, and its observation normaliser."""

import torch
from gymnasium import spaces
from jaxtyping import Bool, Float
from torch import Tensor, nn

from heliograph.channels.base import Channel
from heliograph.models.base import Model
from heliograph.models.blocks import MessageNorm, RunningMoments, is_image, leaf_spaces
from heliograph.models.structure import where_agents
from heliograph.types import Gradient, Heard, Inputs, Tree


class ObservationNormaliser(nn.Module):
    """Running mean and variance of every vector of real numbers in an observation; images and symbols pass."""

    def __init__(self, space: spaces.Space):
        super().__init__()
        leaves = leaf_spaces(space)
        self.axes = {
            key: len(leaf.shape)
            for key, leaf in leaves.items()
            if isinstance(leaf, spaces.Box) and not is_image(leaf) and leaf.dtype != "uint8"
        }
        self.sizes = {key: int(spaces.flatdim(leaves[key])) for key in self.axes}
        self.moments = nn.ModuleDict({_name(key): RunningMoments(size) for key, size in self.sizes.items()})

    def forward(self, observation: Tree) -> Tree:
        """The normalised observation."""
        return self._normalised(observation, "")

    def _normalised(self, observation: Tree, key: str) -> Tree:
        if isinstance(observation, dict):
            return {k: self._normalised(part, f"{key}/{k}" if key else k) for k, part in observation.items()}
        if key not in self.axes:
            return observation
        return self.moments[_name(key)].normalise(self.flat(key, observation)).reshape(observation.shape)

    def flat(self, key: str, leaf: Tensor) -> Float[Tensor, "*batch D"]:
        """What is normalised under a key, as vectors."""
        axes = self.axes[key]
        return (leaf.flatten(-axes) if axes else leaf.unsqueeze(-1)).float()

    def merge(self, moments: dict[str, tuple[Tensor, ...]]) -> None:
        """Take in the mean, variance and count of a batch of each vector, by the observation's keys."""
        for key, (mean, variance, count) in moments.items():
            self.moments[_name(key)].merge(mean, variance, count)


class Policy(nn.Module):
    """The network of one policy: normaliser, model, mouth (intent to channel) and ear (payload to features).

    A policy on a channel without gradient (`none`), or whose model does not communicate, has neither mouth nor ear.
    """

    def __init__(self, model: Model, channel: Channel, *, normalise_observations: bool = False):
        super().__init__()
        self.model = model
        self.communicates = model.communicates and channel.gradient is not Gradient.NONE
        self.mouth = model.build_mouth(channel.intent_size) if self.communicates else None
        self.ear = model.build_ear(channel.payload_size) if self.communicates else None
        self._norms = [] if self.ear is None else [m for m in self.ear.modules() if isinstance(m, MessageNorm)]
        self.normaliser = ObservationNormaliser(model.spec.observation_space) if normalise_observations else None
        self.requires_grad_(model.trainable)

    def encode(self, inputs: Inputs) -> Tree:
        """Normalise the observation and encode it."""
        if self.normaliser is not None:
            with torch.no_grad():
                inputs.observation = self.normaliser(inputs.observation)
        return self.model.encode(inputs)

    def intent(self, hidden: Tree, *, round_index: int) -> Tensor:
        """What the channel gets from these agents in a round."""
        if self.mouth is None:
            raise RuntimeError("this policy does not communicate")
        return self.mouth(self.model.speak(hidden, round_index=round_index))

    def hear(
        self, payload: Tensor, mask: Bool[Tensor, "*batch A K"], *, round_index: int = 0, draw: Tree = None
    ) -> Heard:
        """What these agents get from the channel; `payload` is [..., A or 1, K, P]."""
        if self.ear is None:
            raise RuntimeError("this policy does not communicate")
        for norm in self._norms:
            if norm.per_step:
                norm.expect(mask, shared=payload.shape[-3] == 1)
        return Heard(messages=self.ear(payload), mask=mask, round_index=round_index, draw=draw)

    def remember(self, hidden: Tree, memory: Tree, *, observing: Bool[Tensor, "B A"] | None) -> Tree:
        """The memory after listening, of those who observe (None: all do)."""
        kept = self.model.remember(hidden, memory)
        return kept if observing is None else where_agents(observing, kept, memory)

    def message_norms(self) -> list[MessageNorm]:
        """The normalisers of incoming messages, whose statistics the learner moves."""
        return self._norms


def _name(key: str) -> str:
    return f"leaf_{key}".replace(".", "_")
