"""Graph attention: rounds of multi-head attention over the graph of who hears whom."""

import torch.nn.functional as F
from torch import Tensor, nn

from heliograph.checks import check_positive
from heliograph.functional import tanh
from heliograph.models.attention import GraphHeads, and_oneself, weights_of
from heliograph.models.base import Model, ModelSpec, Perceived
from heliograph.models.blocks import InputTorso, direct, orthogonal_, small_head
from heliograph.models.structure import side_by_side
from heliograph.types import Heard, Inputs, Timing, Tree

__all__ = ["GraphAttention"]


class GraphAttention(Model):
    """A GRU whose hidden states pass through `rounds` layers of graph attention within the step.

    In each layer and head an edge from j to i scores LeakyReLU(a . W h_i + b . W h_j); the softmax over the edges
    of i, itself among them, weighs W h_j; heads are concatenated and pass an ELU. Agents act on the hidden state of
    the GRU beside that of the last layer. The graph is the topology's, and costs in proportion to its edges. Source:
    Velickovic et al. 2018, equations 1 to 5 (no dropout), laid out as MAGIC's message processor without its scheduler.
    """

    timing = Timing.SAME_STEP
    attends = True
    row_by_row = True

    def __init__(self, spec: ModelSpec, *, size: int = 128, heads: int = 4, rounds: int = 1):
        super().__init__(spec)
        for name, number in {"size": size, "heads": heads, "rounds": rounds}.items():
            check_positive(name, number)
        if size % heads:
            raise ValueError(f"size={size}, heads={heads}: size must be a multiple of heads")
        self.size, self.heads, self.rounds = size, heads, rounds
        self.hidden_size = {"state": size, "last": size}
        self.message_size = self.memory_size = size
        self.torso = InputTorso(spec, size, agent=False)
        self.cell = orthogonal_(nn.GRUCell(size, size))
        self.layers = nn.ModuleList(GraphHeads(size, size // heads, heads=heads) for _ in range(rounds))
        self.head = small_head(2 * size, spec.action_inputs)

    def encode(self, inputs: Inputs) -> Tensor:
        """Embedded observation and last action."""
        return tanh(self.torso(inputs))

    def perceive(self, features: Tensor, memory: Tensor, inbox: Heard | None) -> Perceived:
        """Step the GRU."""
        state = self.cell(features.flatten(0, 1), memory.flatten(0, 1)).view_as(memory)
        return Perceived(hidden={"state": state, "last": state}, memory=state)

    def speak(self, hidden: Tree, *, round_index: int = 0) -> Tensor:
        """The hidden state of the last layer."""
        return hidden["last"]

    def listen(self, hidden: Tree, heard: Heard) -> Tree:
        """One layer of attention."""
        last = hidden["last"]
        offered = self.layers[heard.round_index](last, heard.messages)
        mask = and_oneself(heard.mask).unsqueeze(2).expand_as(offered.scores)
        heard.attention = weights_of(offered.scores, mask)
        mixed = offered.mixed(heard.attention)
        return {"state": hidden["state"], "last": F.elu(mixed.flatten(2))}

    def act(self, hidden: Tree) -> Tensor:
        """Inputs of the action distribution."""
        return self.head(side_by_side(hidden, self.hidden_size))

    def build_message_encoder(self, input_size: int) -> nn.Module:
        """Nothing, where the channel carries as many numbers."""
        return direct(self.message_size, input_size)

    def build_message_decoder(self, payload_size: int) -> nn.Module:
        """Nothing, where the channel carries as many numbers."""
        return direct(payload_size, self.message_size)
