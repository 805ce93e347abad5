"""CommNet: agents hear the mean of the others' hidden states."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from heliograph.checks import check_choice, check_positive
from heliograph.functional import tanh
from heliograph.models.base import Model, ModelSpec, Perceived
from heliograph.models.blocks import InputTorso, direct, lstm_step, orthogonal_, small_head
from heliograph.types import Heard, Inputs, Timing, Tree

__all__ = ["CommNet"]

CORES = {"mlp": None, "rnn": nn.RNNCell, "lstm": nn.LSTMCell}


class CommNet(Model):
    """Hidden states are messages; every agent adds a linear map of the mean (or sum) of those that it hears.

    `core="mlp"`: without memory, h' = tanh(H h + C c + S h0) in each of `rounds` rounds within a step, each with
    weights of its own, after a first layer that hears nothing (in the paper K = `rounds` + 1, and S h0 is its skip
    connection). "rnn" and "lstm": what was said in the last step enters the gates of the present one (its recurrent
    modules), and with `rounds` above 1 the same core runs again on what is said in each later round, within the step,
    and remembers it (`comm_passes` of IC3Net's public code). Means are over the messages that arrive: of all others
    who are there on the topology `full`. Agents are not told apart, so permuting them permutes what they do. Source:
    Sukhbaatar, Szlam and Fergus 2016. Differences: weights start orthogonal (N(0, 0.2) in the Lua code), and a channel
    of another size than `size` gets a linear map on both sides.
    """

    row_by_row = True

    def __init__(
        self, spec: ModelSpec, *, size: int = 128, core: str = "lstm", rounds: int = 1, combine: str = "mean",
        skip: bool = True,
    ):  # fmt: skip
        super().__init__(spec)
        check_positive("size", size)
        check_positive("rounds", rounds)
        check_choice("core", core, valid=tuple(CORES))
        check_choice("combine", combine, valid=("mean", "sum"))
        self.size, self.core, self.rounds, self.combine = size, core, rounds, combine
        self.message_size = size
        self.torso = InputTorso(spec, size, last_action=False, agent=False)
        self.head = small_head(size, spec.action_inputs)
        cell: Any = CORES[core]
        if cell is None:
            self.timing, self.hidden_size = Timing.SAME_STEP, {"state": size, "first": size}
            self.own = nn.ModuleList(orthogonal_(nn.Linear(size, size)) for _ in range(rounds + 1))
            self.others = nn.ModuleList(orthogonal_(nn.Linear(size, size, bias=False)) for _ in range(rounds))
            self.skips = nn.ModuleList(nn.Linear(size, size, bias=False) for _ in range(rounds if skip else 0))
        else:
            state = dict.fromkeys(("state", "cell") if core == "lstm" else ("state",), size)
            self.timing, self.memory_size, self.remembers = Timing.NEXT_STEP, state, rounds > 1
            self.hidden_size = {**state, "features": size} if self.remembers else {"state": size}
            self.cell = orthogonal_(cell(2 * size, size))

    @classmethod
    def idle(cls, settings: Mapping[str, Any]) -> Mapping[str, str]:
        """The skip connection, of a core that has none."""
        core = settings["core"]
        why = f"with core={core!r} there is no skip connection; use core='mlp', or leave it out"
        return {} if core == "mlp" else {"skip": why}

    def encode(self, inputs: Inputs) -> Tensor:
        """The first hidden state, r(s)."""
        return tanh(self.torso(inputs))

    def perceive(self, features: Tensor, memory: Tree, inbox: Heard | None) -> Perceived:
        """The first layer, or a step of the recurrent core over features and what was heard."""
        if self.core == "mlp":
            return Perceived(hidden={"state": tanh(self.own[0](features)), "first": features}, memory=memory)
        kept = self._stepped(features, memory, inbox)
        hidden = {**kept, "features": features} if self.remembers else {"state": kept["state"]}
        return Perceived(hidden=hidden, memory=kept)

    def speak(self, hidden: Tree, *, round_index: int = 0) -> Tensor:
        """The hidden state."""
        return hidden["state"]

    def listen(self, hidden: Tree, heard: Heard) -> Tree:
        """One more layer over the hidden state, what was heard, and the first hidden state; or the core once more."""
        if self.core != "mlp":
            return {**self._stepped(hidden["features"], hidden, heard), "features": hidden["features"]}
        layer = heard.round_index
        mixed = self.own[layer + 1](hidden["state"]) + self.others[layer](self._combined(heard))
        if len(self.skips):
            mixed = mixed + self.skips[layer](hidden["first"])
        return {"state": tanh(mixed), "first": hidden["first"]}

    def remember(self, hidden: Tree, memory: Tree) -> Tree:
        """Return what the core has made of the last round."""
        return {name: hidden[name] for name in memory}

    def act(self, hidden: Tree) -> Tensor:
        """Inputs of the action distribution."""
        return self.head(hidden["state"])

    def build_message_encoder(self, input_size: int) -> nn.Module:
        """Nothing, where the channel carries as many numbers."""
        return direct(self.message_size, input_size)

    def build_message_decoder(self, payload_size: int) -> nn.Module:
        """Nothing, where the channel carries as many numbers."""
        return direct(payload_size, self.message_size)

    def _stepped(self, features: Tensor, memory: Tree, heard: Heard | None) -> dict[str, Tensor]:
        """The memory after a step of the recurrent core: the hidden state, and the cell behind it."""
        told = torch.zeros_like(features) if heard is None else self._combined(heard)
        x = torch.cat([features, told], -1)
        if self.core == "lstm":
            return lstm_step(self.cell, x, memory)
        return {"state": self.cell(x.flatten(0, 1), memory["state"].flatten(0, 1)).unflatten(0, x.shape[:2])}

    def _combined(self, heard: Heard) -> Tensor:
        return heard.mean() if self.combine == "mean" else heard.total()
