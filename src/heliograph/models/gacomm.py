"""GA-Comm: hard attention decides whom to listen to at all, soft attention how much."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from heliograph.checks import check_choice, check_number, check_positive
from heliograph.distributions import logistic
from heliograph.models.attention import chosen, dot_products, weighted_sum, weights_of
from heliograph.models.base import Model, ModelSpec, Perceived
from heliograph.models.blocks import InputTorso, direct, lstm_step, mlp, orthogonal_, small_head
from heliograph.models.structure import side_by_side, total_size
from heliograph.types import Choice, Heard, Inputs, Timing, Tree

__all__ = ["GAComm"]

HARD = ("sequence", "pairwise")
VALUES = ("projected", "hidden")


class GAComm(Model):
    """An LSTM, then one round within the step: x_i = sum over others j of hard_ij soft_ij v_j; agents act on [h, x].

    Messages are hidden states. Hard attention reads the pairs [h_i, h_j] of all j that reach i as a sequence, in the
    order of the team, with a bidirectional LSTM of `hard_size`; a linear map gives the logits of taking j or not, and a
    Gumbel-softmax of `temperature` chooses, hard, with the relaxed gradient (greedy: the larger one). Soft attention
    is softmax(W_q h_i . W_k h_j / sqrt(`key_size`)) over all that reach i; values are ReLU(W_v h_j) of `value_size`
    numbers, or with `values="hidden"` the hidden states. Nobody listens to itself.

    The sequence makes the order of agents matter: permuting them changes what they do. `hard_attention="pairwise"`
    reads each pair alone, by a layer of `hard_size`, and is free of it (not in the paper). Source: Liu et al. 2020
    (G2ANet), its policy form. Differences: the relaxed gradient of a hard choice at temperature 1, where public code
    has a soft one at 0.01, whose gradients vanish or explode; the soft weights of those that are not taken are
    dropped, not shared out; the first LSTM's weights start orthogonal. Without a channel, x is 0.
    """

    timing = Timing.SAME_STEP
    attends = True
    row_by_row = True

    def __init__(
        self, spec: ModelSpec, *, size: int = 128, hard_size: int = 128, key_size: int = 32, value_size: int = 32,
        hard_attention: str = "sequence", values: str = "projected", temperature: float = 1.0,
    ):  # fmt: skip
        super().__init__(spec)
        numbers = {"size": size, "hard_size": hard_size, "key_size": key_size, "value_size": value_size}
        for name, number in numbers.items():
            check_positive(name, number)
        check_choice("hard_attention", hard_attention, valid=HARD)
        check_choice("values", values, valid=VALUES)
        check_number("temperature", temperature, above=0)
        self.size, self.key_size, self.temperature = size, key_size, temperature
        self.told_size = value_size if values == "projected" else size
        self.hidden_size, self.memory_size = {"state": size, "told": self.told_size}, {"state": size, "cell": size}
        self.message_size = size
        self.torso = InputTorso(spec, size, last_action=False, agent=False)
        self.cell = orthogonal_(nn.LSTMCell(size, size))
        sequence = hard_attention == "sequence"
        self.edge = Sequence(2 * size, hard_size) if sequence else mlp([2 * size, hard_size, 2], activation=nn.ReLU)
        self.query = nn.Linear(size, key_size, bias=False)
        self.key = nn.Linear(size, key_size, bias=False)
        projected = nn.Sequential(nn.Linear(size, value_size, bias=False), nn.ReLU())
        self.value = projected if values == "projected" else nn.Identity()
        self.head = small_head(total_size(self.hidden_size), spec.action_inputs)

    @classmethod
    def idle(cls, settings: Mapping[str, Any]) -> Mapping[str, str]:
        """The size of values that are not projected."""
        why = "with values='hidden' what is heard has the size of hidden states; use 'projected', or leave it out"
        return {"value_size": why} if settings["values"] == "hidden" else {}

    def encode(self, inputs: Inputs) -> Tensor:
        """The embedded observation."""
        return self.torso(inputs)

    def perceive(self, features: Tensor, memory: Tree, inbox: Heard | None) -> Perceived:
        """Step the LSTM; nothing is heard yet."""
        kept = lstm_step(self.cell, features, memory)
        nothing = features.new_zeros(*features.shape[:2], self.told_size)
        return Perceived(hidden={"state": kept["state"], "told": nothing}, memory=kept)

    def speak(self, hidden: Tree, *, round_index: int = 0) -> Tensor:
        """The LSTM's state."""
        return hidden["state"]

    def draw(
        self, shape: tuple[int, int, int], *, round_index: int, choice: Choice, generator: torch.Generator | None
    ) -> Tree:
        """Noise of the hard attention `[B, A, K]`."""
        if choice is Choice.GREEDY:
            return None
        return logistic(shape, generator=generator, device=self.head.weight.device)

    def listen(self, hidden: Tree, heard: Heard) -> Tree:
        """Attend to some of what arrives."""
        state = hidden["state"]
        if not heard.mask.shape[-1]:
            return hidden
        scores = dot_products(self.query(state) / self.key_size**0.5, self.key(heard.messages))
        heard.attention = weights = weights_of(scores, heard.mask) * self.taken(state, heard)
        return {"state": state, "told": weighted_sum(weights, self.value(heard.messages))}

    def taken(self, state: Float[Tensor, "B A H"], heard: Heard) -> Float[Tensor, "B A K"]:
        """Hard attention: 1 for each message that is taken, else 0, with the gradient of the relaxed choice."""
        theirs = heard.messages.expand(-1, state.shape[1], -1, -1)
        pairs = torch.cat([state.unsqueeze(2).expand_as(theirs), theirs], -1)
        logits = self.edge(pairs, heard.mask) if isinstance(self.edge, Sequence) else self.edge(pairs)
        return chosen(logits, noise=heard.draw, temperature=self.temperature) * heard.mask

    def act(self, hidden: Tree) -> Tensor:
        """Inputs of the action distribution."""
        return self.head(side_by_side(hidden, self.hidden_size))

    def build_message_encoder(self, input_size: int) -> nn.Module:
        """Nothing, where the channel carries as many numbers."""
        return direct(self.message_size, input_size)

    def build_message_decoder(self, payload_size: int) -> nn.Module:
        """Nothing, where the channel carries as many numbers."""
        return direct(payload_size, self.message_size)


class Sequence(nn.Module):
    """A bidirectional LSTM over the pairs that the mask keeps, as if there were no others, and two logits of each."""

    def __init__(self, size_in: int, size: int):
        super().__init__()
        self.lstm = nn.LSTM(size_in, size, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * size, 2)

    def forward(self, pairs: Float[Tensor, "B A K D"], mask: Bool[Tensor, "B A K"]) -> Float[Tensor, "B A K 2"]:
        """Logits; without meaning where the mask keeps none."""
        kept, rows = mask.flatten(0, 1), pairs.flatten(0, 1)
        order = (~kept).to(torch.uint8).argsort(dim=-1, stable=True)
        lengths = kept.sum(-1).clamp(min=1).cpu()
        together = pack_padded_sequence(_taken(rows, order), lengths, batch_first=True, enforce_sorted=False)
        read, _ = pad_packed_sequence(self.lstm(together)[0], batch_first=True, total_length=kept.shape[-1])
        return self.out(_taken(read, order.argsort(dim=-1))).unflatten(0, mask.shape[:2])


def _taken(rows: Tensor, index: Tensor) -> Tensor:
    return rows.gather(1, index.unsqueeze(-1).expand(-1, -1, rows.shape[-1]))
