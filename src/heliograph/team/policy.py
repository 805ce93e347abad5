"""A policy: a model, the encoder and decoder of messages that put it on a channel, and its observation normaliser."""

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from gymnasium import spaces
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from heliograph.channels.base import Channel
from heliograph.functional import surely_none
from heliograph.models.base import Model
from heliograph.models.blocks import MessageNorm, NormedDecoder, RunningMoments, is_image, leaf_spaces
from heliograph.models.linearly_heard import LinearlyHeard
from heliograph.models.structure import where_agents
from heliograph.models.word_networks import build_listener, build_speaker
from heliograph.renamed import present_weights
from heliograph.types import Gradient, Heard, Inputs, Tree


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spell:
    """Record of how the words of a round are spelt: the guides `[B, A, L, V]`, and what makes symbols by them."""

    guide: Float[Tensor, "*batch L V"]
    choose: Callable[[Tensor], Tensor]

    def of(self, slots: slice | list[int]) -> "Spell":
        """The part of some agents, on the axis after the first."""
        return Spell(guide=self.guide[:, slots], choose=self.choose)


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
        """Return what is normalised under a key, as vectors."""
        axes = self.axes[key]
        return (leaf.flatten(-axes) if axes else leaf.unsqueeze(-1)).float()

    def merge(self, moments: dict[str, tuple[Tensor, ...]]) -> None:
        """Take in the mean, variance and count of a batch of each vector, by the observation's keys."""
        for key, (mean, variance, count) in moments.items():
            self.moments[_name(key)].merge(mean, variance, count)


class Policy(nn.Module):
    """The network of one policy: normaliser, model, and encoder and decoder of messages.

    The encoder maps message features to what the channel takes, the decoder payloads to message features. A policy on a
    channel without gradient (`none`), or whose model does not communicate, has neither.
    """

    def __init__(self, model: Model, channel: Channel, *, normalise_observations: bool = False):
        super().__init__()
        self.model = model
        self.communicates = model.communicates and channel.gradient is not Gradient.NONE
        self.spells = self.communicates and channel.spelling is not None
        self.message_encoder = build_speaker(model, channel) if self.communicates else None
        self.message_decoder = build_listener(model, channel) if self.communicates else None
        self._norms = _norms_in(self.message_decoder)
        self.normaliser = ObservationNormaliser(model.spec.observation_space) if normalise_observations else None
        self.requires_grad_(model.trainable)
        self.register_load_state_dict_pre_hook(_take_older_names)

    def encode(self, inputs: Inputs) -> Tree:
        """Normalise the observation and encode it."""
        if self.normaliser is not None:
            with torch.no_grad():
                inputs.observation = self.normaliser(inputs.observation)
        return self.model.encode(inputs)

    def channel_input(self, hidden: Tree, *, round_index: int, spelling: Spell | None = None) -> Tensor:
        """Return what the channel gets from these agents in a round; on a channel of spelt words by a `spelling`."""
        if self.message_encoder is None:
            raise RuntimeError("this policy does not communicate")
        features = self.model.speak(hidden, round_index=round_index)
        if not self.spells:
            return self.message_encoder(features)
        if spelling is None:
            raise RuntimeError("this policy spells its words: say by which guide")
        return self.message_encoder(features, guide=spelling.guide, choose=spelling.choose)

    def hear(
        self,
        payload: Tensor,
        mask: Bool[Tensor, "*batch A K"],
        *,
        round_index: int = 0,
        draw: Tree = None,
        age: Int[Tensor, " B"] | None = None,
    ) -> Heard:
        """Return what these agents get from the channel; `payload` is [..., A or 1, K, P].

        `age`, how long the episodes have lasted, is what decoders need that normalise step by step.
        """
        if self.message_decoder is None:
            raise RuntimeError("this policy does not communicate")
        about: Any = {"mask": mask, "round_index": round_index, "draw": draw}
        if isinstance(self.message_decoder, nn.Linear):
            return LinearlyHeard(payload=payload, decoder=self.message_decoder, **about)
        if self.spells and surely_none(mask):  # nobody reads: to read words takes a step of a network for each symbol
            return Heard(messages=payload.new_zeros(*payload.shape[:-1], self.model.message_size), **about)
        if not self._norms:
            return Heard(messages=self.message_decoder(payload), **about)
        arriving = None
        if any(norm.per_step for norm in self._norms):  # all hearers may be offered the same messages
            arriving = mask.any(-2, keepdim=True) if payload.shape[-3] == 1 else mask
        return Heard(messages=self.message_decoder(payload, arriving=arriving, age=age), **about)

    def remember(self, hidden: Tree, memory: Tree, *, observing: Bool[Tensor, "B A"] | None) -> Tree:
        """The memory after listening, of those who observe (None: all do)."""
        kept = self.model.remember(hidden, memory)
        return kept if observing is None else where_agents(observing, kept, memory)

    def message_norms(self) -> list[MessageNorm]:
        """The normalisers of incoming messages, whose statistics the learner moves."""
        return self._norms


def _norms_in(decoder: nn.Module | None) -> list[MessageNorm]:
    if decoder is None:
        return []
    norms = [module for module in decoder.modules() if isinstance(module, MessageNorm)]
    if isinstance(decoder, NormedDecoder) and norms == [decoder[0]]:
        return norms
    if norms:
        raise TypeError(
            f"the message decoder is a {type(decoder).__name__} with a MessageNorm in it, which nobody would tell what "
            "arrives and when: return NormedDecoder(norm, *layers) from build_message_decoder"
        )
    return []


def _take_older_names(policy: nn.Module, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
    """Rename the weights that are loaded, where they were saved under older names."""
    own = {name.removeprefix(prefix): name for name in state_dict if name.startswith(prefix)}
    for name, present in zip(own, present_weights(own), strict=True):
        if present != name:
            state_dict[prefix + present] = state_dict.pop(prefix + name)


def _name(key: str) -> str:
    return f"leaf_{key}".replace(".", "_")
