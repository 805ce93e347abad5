"""C-Net: the recurrent network of RIAL and DIAL."""

import torch
from torch import Tensor, nn

from heliograph.checks import check_choice, check_number, check_positive
from heliograph.models.base import Model, ModelSpec, Perceived
from heliograph.models.blocks import InputTorso, MessageNorm, NormedDecoder, orthogonal_, small_head
from heliograph.types import Heard, Inputs, Timing

__all__ = ["CNet"]


NORMS = ("pooled", "by_step", "none")


class CNet(Model):
    """Embeds observation, incoming messages, last action and agent index, adds them, and runs a two-layer GRU.

    Messages are heard in the step after they are said. Each passes batch norm and a one-layer MLP; those of several
    senders are added. An output MLP feeds both the action and the message. Source: Foerster et al. 2016, section 6.1
    and appendix A. The heads put out Q-values under `qlearning`, logits under policy gradients. `own_message` adds an
    embedding of what the agent itself said last, where messages are symbols chosen as actions (RIAL has it). Batch norm
    is by the statistics of each step under `qlearning`, by running ones else (see `MessageNorm`): of all messages
    ("pooled"), or of those heard in each step of an episode (`message_norm="by_step"`). `observation_layers`
    is 2 in the paper's digit games. `message_gain` is the scale of the message encoder's first, orthogonal
    weights: where first messages are small beside the channel's noise, nobody can learn from them for long.
    Differences: weights start orthogonal, where the Lua code has `initialisation="uniform"`, recurrent weights in
    +-0.08; layer norm in the observation's MLP, not batch norm.
    """

    timing = Timing.NEXT_STEP
    row_by_row = True

    def __init__(
        self,
        spec: ModelSpec,
        *,
        size: int = 128,
        layers: int = 2,
        message_norm: str = "pooled",
        initialisation: str = "orthogonal",
        own_message: bool = False,
        observation_layers: int = 1,
        message_gain: float | None = None,
    ):
        super().__init__(spec)
        check_positive("size", size)
        check_positive("layers", layers)
        check_positive("observation_layers", observation_layers)
        if message_gain is not None:
            check_number("message_gain", message_gain, above=0)
        if initialisation not in ("orthogonal", "uniform"):
            raise ValueError(f"initialisation={initialisation!r}: must be 'orthogonal' or 'uniform' (as published)")
        check_choice("message_norm", message_norm, valid=NORMS)
        if message_norm == "by_step" and spec.horizon is None:
            raise ValueError("message_norm='by_step': needs an environment whose episodes have a horizon; use 'pooled'")
        self.size, self.layers, self.message_norm, self.message_gain = size, layers, message_norm, message_gain
        self.hidden_size = self.message_size = size
        self.memory_size = size * layers
        self.torso = InputTorso(spec, size, layers=observation_layers)
        self.cells = nn.ModuleList(nn.GRUCell(size, size) for _ in range(layers))
        self.out = nn.Linear(size, size)
        self.head = small_head(size, spec.action_inputs)
        self.own_message = nn.Linear(spec.word_size, size, bias=False) if own_message and spec.word_size else None
        self._initialise(initialisation)

    def _initialise(self, initialisation: str) -> None:
        if initialisation == "uniform":
            for weight in self.cells.parameters():
                nn.init.uniform_(weight, -0.08, 0.08)
            return
        for cell in self.cells:
            orthogonal_(cell)
        orthogonal_(self.out, gain=2**0.5)

    def encode(self, inputs: Inputs) -> Tensor:
        """The sum of the embeddings that do not depend on messages."""
        features = self.torso(inputs)
        if self.own_message is None or inputs.last_message is None:
            return features
        return features + self.own_message(inputs.last_message)

    def perceive(self, features: Tensor, memory: Tensor, inbox: Heard | None) -> Perceived:
        """Add what was heard, and step the GRU layers."""
        x = features if inbox is None else features + inbox.total()
        batch = x.shape[:-1]
        x = x.reshape(-1, self.size)
        states: list[Tensor] = []
        remembered = memory.reshape(-1, self.layers * self.size).chunk(self.layers, -1)
        for cell, state in zip(self.cells, remembered, strict=True):
            x = cell(x, state)
            states.append(x)
        hidden = torch.relu(self.out(x)).reshape(*batch, -1)
        return Perceived(hidden=hidden, memory=torch.cat(states, -1).reshape(*batch, -1))

    def act(self, hidden: Tensor) -> Tensor:
        """Logits."""
        return self.head(hidden)

    def build_message_encoder(self, input_size: int) -> nn.Module:
        """A linear map."""
        message_encoder = super().build_message_encoder(input_size)
        return message_encoder if self.message_gain is None else orthogonal_(message_encoder, gain=self.message_gain)

    def build_message_decoder(self, payload_size: int) -> nn.Module:
        """Batch norm and a one-layer MLP."""
        layers = [nn.Linear(payload_size, self.size), nn.ReLU()]
        if self.message_norm == "none":
            return nn.Sequential(*layers)
        num_steps = self.spec.horizon if self.message_norm == "by_step" else None
        return NormedDecoder(MessageNorm(payload_size, num_steps=num_steps), *layers)
