"""IC3Net: agents hear the mean of the others' hidden states, and choose when to take part."""

import torch
from torch import Tensor, nn

from heliograph.checks import check_positive
from heliograph.models.base import Model, ModelSpec, Perceived
from heliograph.models.blocks import InputTorso, direct, lstm_step, orthogonal_, small_head
from heliograph.types import Heard, Inputs, Timing, Tree

__all__ = ["IC3Net"]


class IC3Net(Model):
    """An LSTM over the embedded observation plus a linear map of the mean of what the others said in the step before.

    On a `gated` channel (channel="gated+continuous") each agent chooses in every step whether it takes part: one whose
    gate was closed is counted as silent by all, and itself hears nothing in the next step. Without gates it is the
    paper's CommNet; on channel "none" its IC, and IRIC with rewards of one's own. Source: Singh, Jain and Sukhbaatar
    2019 (equations 1 to 4), and its public code: the mean is over all other living agents, gates closed or open; in an
    episode's first step nobody hears anything; gates are actions with the same advantage. Differences: weights start
    orthogonal; that gradients stop every so many steps is the algorithm's `detach_gap`.
    """

    timing = Timing.NEXT_STEP
    row_by_row = True

    def __init__(self, spec: ModelSpec, *, size: int = 128):
        super().__init__(spec)
        check_positive("size", size)
        self.hidden_size = self.message_size = size
        self.memory_size = {"state": size, "cell": size}
        self.torso = InputTorso(spec, size, last_action=False, agent=False)
        self.others = orthogonal_(nn.Linear(size, size, bias=False))
        self.cell = orthogonal_(nn.LSTMCell(size, size))
        self.head = small_head(size, spec.action_inputs)

    def encode(self, inputs: Inputs) -> Tree:
        """The embedded observation, and on channels with gates whether the agent's was open."""
        own = self.torso(inputs)
        if not self.spec.can_be_silent or inputs.last_message is None:
            return {"own": own}
        took_part = inputs.last_message.unflatten(-1, (-1, self.spec.vocabulary))[..., 0, 1:].sum(-1, keepdim=True)
        return {"own": own, "took_part": took_part}

    def perceive(self, features: Tree, memory: Tree, inbox: Heard | None) -> Perceived:
        """Step the LSTM."""
        x = features["own"]
        if inbox is not None:
            told = self.others(inbox.mean())
            x = x + (features["took_part"] * told if "took_part" in features else told)
        kept = lstm_step(self.cell, x, memory)
        return Perceived(hidden=kept["state"], memory=kept)

    def act(self, hidden: Tensor) -> Tensor:
        """Inputs of the action distribution."""
        return self.head(hidden)

    def build_message_encoder(self, input_size: int) -> nn.Module:
        """Nothing, where the channel carries as many numbers; beside them the logits of a gate, where it has one."""
        gate = self.spec.num_gate_logits
        if not gate:
            return direct(self.message_size, input_size)
        return MessageAndGate(direct(self.message_size, input_size - gate), nn.Linear(self.message_size, gate))

    def build_message_decoder(self, payload_size: int) -> nn.Module:
        """Nothing, where the channel carries as many numbers."""
        return direct(payload_size, self.message_size)


class MessageAndGate(nn.Module):
    """A message, and the logits of the gate after it."""

    def __init__(self, message: nn.Module, gate: nn.Module):
        super().__init__()
        self.message, self.gate = message, gate

    def forward(self, hidden: Tensor) -> Tensor:
        """Both, side by side."""
        return torch.cat([self.message(hidden), self.gate(hidden)], -1)
