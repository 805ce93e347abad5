"""TarMAC: agents choose by attention whom they listen to."""

import torch
from torch import Tensor, nn

from heliograph.checks import check_choice, check_positive
from heliograph.functional import tanh
from heliograph.models.attention import and_oneself, dot_products, weighted_sum, weights_of
from heliograph.models.base import Model, ModelSpec, Perceived
from heliograph.models.blocks import InputTorso, direct, orthogonal_, small_head
from heliograph.types import Heard, Inputs, Timing

__all__ = ["TarMAC"]

TIMINGS = {"next_step": Timing.NEXT_STEP, "same_step": Timing.SAME_STEP}


class TarMAC(Model):
    """A message is a signature and a value; hearers weigh values by how well signatures match their query.

    Weights are softmax(query . signature / sqrt(`signature_size`)) over what arrives and the hearer's own message,
    which crosses no channel. `timing="next_step"`: the weighted sum enters the GRU in the next step, as published.
    "same_step": `rounds` rounds after the GRU, each h' = tanh(W [c, h]), as the paper's several rounds and public codes
    have it. Source: Das et al. 2019; no code was released. Its centralised critic (over hidden states and actions) is
    nearest to the team's setting `critic="state"`. Difference: a query is made from what the hearer remembers when it
    reads. Agents are not told their index.
    """

    attends = True

    def __init__(
        self, spec: ModelSpec, *, size: int = 128, signature_size: int = 16, value_size: int = 32,
        timing: str = "next_step", rounds: int = 1,
    ):  # fmt: skip
        super().__init__(spec)
        numbers = {"size": size, "signature_size": signature_size, "value_size": value_size, "rounds": rounds}
        for name, number in numbers.items():
            check_positive(name, number)
        check_choice("timing", timing, valid=tuple(TIMINGS))
        if timing == "next_step" and rounds > 1:
            raise ValueError(f"rounds={rounds}: there is one from step to step; use timing='same_step' for more")
        self.size, self.signature_size, self.rounds = size, signature_size, rounds
        self.timing = TIMINGS[timing]
        self.row_by_row = self.timing is Timing.SAME_STEP
        self.hidden_size = self.memory_size = size
        self.message_size = signature_size + value_size
        self.torso = InputTorso(spec, size, agent=False)
        enters = value_size if self.timing is Timing.NEXT_STEP else 0
        self.cell = orthogonal_(nn.GRUCell(size + enters, size))
        self.message = nn.Linear(size, self.message_size, bias=False)
        self.query = nn.Linear(size, signature_size, bias=False)
        self.mix = None if enters else nn.Linear(size + value_size, size)
        self.head = small_head(size, spec.action_inputs)

    def encode(self, inputs: Inputs) -> Tensor:
        """Embedded observation and last action."""
        return tanh(self.torso(inputs))

    def perceive(self, features: Tensor, memory: Tensor, inbox: Heard | None) -> Perceived:
        """Step the GRU, over what was heard where messages come from the step before."""
        x = features
        if self.mix is None:
            x = torch.cat([features, self.attended(memory, inbox)], -1)
        state = self.cell(x.flatten(0, 1), memory.flatten(0, 1)).view_as(memory)
        return Perceived(hidden=state, memory=state)

    def speak(self, hidden: Tensor, *, round_index: int = 0) -> Tensor:
        """Signature and value."""
        return self.message(hidden)

    def listen(self, hidden: Tensor, heard: Heard) -> Tensor:
        """Mix in the messages of a round within the step."""
        if self.mix is None:
            return hidden
        return tanh(self.mix(torch.cat([self.attended(hidden, heard), hidden], -1)))

    def act(self, hidden: Tensor) -> Tensor:
        """Inputs of the action distribution."""
        return self.head(hidden)

    def attended(self, hidden: Tensor, heard: Heard | None) -> Tensor:
        """The weighted sum of values, one's own among them."""
        own, query = self.message(hidden), self.query(hidden) / self.signature_size**0.5
        signature, value = own[..., : self.signature_size], own[..., self.signature_size :]
        if heard is None or not heard.mask.shape[-1]:
            return value
        scores = dot_products(query, heard.messages[..., : self.signature_size])
        mine = (query * signature).sum(-1, keepdim=True)
        everything = torch.cat([scores, mine], -1)
        heard.attention = weights = weights_of(everything, and_oneself(heard.mask))
        return weighted_sum(weights[..., :-1], heard.messages[..., self.signature_size :]) + weights[..., -1:] * value

    def build_message_encoder(self, input_size: int) -> nn.Module:
        """Nothing, where the channel carries as many numbers."""
        return direct(self.message_size, input_size)

    def build_message_decoder(self, payload_size: int) -> nn.Module:
        """Nothing, where the channel carries as many numbers."""
        return direct(payload_size, self.message_size)
