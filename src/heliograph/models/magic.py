"""MAGIC: a scheduler draws a graph of who listens to whom, and graph attention mixes what travels along it."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from heliograph.checks import check_choice, check_number, check_positive
from heliograph.distributions import logistic
from heliograph.models.attention import GraphHeads, and_oneself, chosen, weights_of
from heliograph.models.base import Model, ModelSpec, Perceived
from heliograph.models.blocks import InputTorso, direct, lstm_step, mlp, orthogonal_, small_head
from heliograph.models.structure import side_by_side
from heliograph.types import Choice, Heard, Inputs, Timing, Tree

__all__ = ["Magic"]

COMPLETE = ("none", "first", "later", "all")
SELF_LOOPS = ("learned", "forced")
NORMALISED = ("chosen", "offered")
CODERS = ("none", "decoder", "both")


class Magic(Model):
    """An LSTM, then `rounds` rounds of graph attention within the step, each along a graph that a scheduler draws.

    A hearer's scheduler encodes what reaches it by graph attention (`encoder_heads` heads, averaged to `encoder_size`
    numbers); for each edge that the topology allows, an MLP of [its own code, the sender's] gives the logits of taking
    it or not, and a Gumbel-softmax of `temperature` chooses, hard, with the relaxed gradient (greedy: the larger one).
    Attention is logits times choice, softmax, times choice; with `normalise="chosen"` the weights of edges that are
    taken then sum to 1, with "offered" the others keep their share, with score 0. All rounds but the last have `heads`
    heads side by side and an ELU; the last has one of `size`. Agents act on [h, c], the LSTM's state and what came out.

    `complete` names the rounds that take every edge and have no scheduler: "all" in the paper's traffic junction.
    `self_loop`: one's own edge, which crosses no channel, is chosen like the others ("learned": the paper's predator-
    prey) or always taken ("forced": its traffic junction). `coders="both"`: a linear map before the first message and
    one after the last round; "decoder": the latter alone.

    Source: Niu, Paleja and Gombolay 2021, and its public code. Differences: every hearer schedules by what reaches it,
    which gives the paper's graph where all hear all without noise, and lets agents run alone; the scheduler of a later
    round reads the messages of that round, not the first ones, and none reuses an earlier graph; agents that are not
    heard take no share of a softmax; weights start orthogonal. Without a channel, c is the message that was not sent.
    """

    timing = Timing.SAME_STEP
    attends = True
    row_by_row = True

    def __init__(
        self, spec: ModelSpec, *, size: int = 128, heads: int = 4, rounds: int = 2, encoder_size: int = 32,
        encoder_heads: int = 8, complete: str = "none", self_loop: str = "learned", normalise: str = "chosen",
        coders: str = "none", temperature: float = 1.0,
    ):  # fmt: skip
        super().__init__(spec)
        numbers = {"size": size, "heads": heads, "rounds": rounds, "encoder_heads": encoder_heads}
        for name, number in numbers.items():
            check_positive(name, number)
        check_number("encoder_size", encoder_size, minimum=2)
        check_choice("complete", complete, valid=COMPLETE)
        check_choice("self_loop", self_loop, valid=SELF_LOOPS)
        check_choice("normalise", normalise, valid=NORMALISED)
        check_choice("coders", coders, valid=CODERS)
        check_number("temperature", temperature, above=0)
        if size % heads:
            raise ValueError(f"size={size}, heads={heads}: size must be a multiple of heads")
        self.size, self.rounds, self.normalise = size, rounds, normalise
        self.hidden_size, self.memory_size = {"state": size, "last": size}, {"state": size, "cell": size}
        self.message_size = size
        self.torso = InputTorso(spec, size, last_action=False, agent=False)
        self.cell = orthogonal_(nn.LSTMCell(size, size))
        self.message = orthogonal_(nn.Linear(size, size)) if coders == "both" else nn.Identity()
        self.decoder = nn.Identity() if coders == "none" else orthogonal_(nn.Linear(size, size))
        scheduling = {"encoder_size": encoder_size, "heads": encoder_heads}
        self.schedulers = nn.ModuleDict(
            {
                str(r): Scheduler(size, **scheduling, self_loop=self_loop, temperature=temperature)
                for r in range(rounds)
                if not _takes_all(complete, r)
            }
        )
        shapes = [(size // heads, heads)] * (rounds - 1) + [(size, 1)]
        self.layers = nn.ModuleList(GraphHeads(size, out, heads=count) for out, count in shapes)
        self.biases = nn.ParameterList(torch.zeros(size) for _ in range(rounds))
        self.head = small_head(2 * size, spec.action_inputs)

    @classmethod
    def idle(cls, settings: Mapping[str, Any]) -> Mapping[str, str]:
        """Return what belongs to choices that nobody makes, and to rounds that there are not."""
        complete, rounds = settings["complete"], settings["rounds"]
        found: dict[str, str] = {}
        if all(_takes_all(complete, r) for r in range(rounds)):
            why = f"with complete={complete!r} and rounds={rounds} every edge is taken, and none chosen; leave it out"
            found |= dict.fromkeys(("encoder_size", "encoder_heads", "normalise", "temperature"), why)
        if rounds == 1:
            found["heads"] = "the last round, with rounds=1 the only one, has a single head; leave it out"
        if rounds == 1 and complete == "later":
            found["complete"] = "with rounds=1 there is no later round; use more rounds, or leave it out"
        return found

    def encode(self, inputs: Inputs) -> Tensor:
        """The embedded observation."""
        return self.torso(inputs)

    def perceive(self, features: Tensor, memory: Tree, inbox: Heard | None) -> Perceived:
        """Step the LSTM; its state and the first message."""
        kept = lstm_step(self.cell, features, memory)
        return Perceived(hidden={"state": kept["state"], "last": self.message(kept["state"])}, memory=kept)

    def speak(self, hidden: Tree, *, round_index: int = 0) -> Tensor:
        """Return what came out of the last round."""
        return hidden["last"]

    def draw(
        self, shape: tuple[int, int, int], *, round_index: int, choice: Choice, generator: torch.Generator | None
    ) -> Tree:
        """Noise of the scheduler `[B, A, K + 1]`, one's own edge last."""
        if str(round_index) not in self.schedulers or choice is Choice.GREEDY:
            return None
        *lead, num_slots = shape
        return logistic((*lead, num_slots + 1), generator=generator, device=self.head.weight.device)

    def listen(self, hidden: Tree, heard: Heard) -> Tree:
        """A round of graph attention along the edges that are taken."""
        last = hidden["last"]
        layer, mask = heard.round_index, and_oneself(heard.mask)
        taken = self.schedulers[str(layer)](last, heard) if str(layer) in self.schedulers else mask.to(last.dtype)
        offered = self.layers[layer](last, heard.messages)
        heard.attention = weights = self._weights(offered.scores, taken=taken.unsqueeze(2), mask=mask.unsqueeze(2))
        mixed = offered.mixed(weights).flatten(2) + self.biases[layer]
        mixed = self.decoder(mixed) if layer + 1 == self.rounds else F.elu(mixed)
        return {"state": hidden["state"], "last": mixed}

    def act(self, hidden: Tree) -> Tensor:
        """Inputs of the action distribution."""
        return self.head(side_by_side(hidden, self.hidden_size))

    def build_message_encoder(self, input_size: int) -> nn.Module:
        """Nothing, where the channel carries as many numbers."""
        return direct(self.message_size, input_size)

    def build_message_decoder(self, payload_size: int) -> nn.Module:
        """Nothing, where the channel carries as many numbers."""
        return direct(payload_size, self.message_size)

    def _weights(self, scores: Tensor, *, taken: Tensor, mask: Tensor) -> Tensor:
        """Weight of each edge and head, with a gradient to the choice of edges; zeros where none is taken."""
        weights = weights_of(scores * taken, mask.expand_as(scores)) * taken
        if self.normalise == "offered":
            return weights
        total = weights.sum(-1, keepdim=True)
        return weights / torch.where(total > 0, total, 1.0)


class Scheduler(nn.Module):
    """Chooses for each hearer among the edges from those who reach it and from itself."""

    def __init__(self, size: int, *, encoder_size: int, heads: int, self_loop: str, temperature: float):
        super().__init__()
        self.self_loop, self.temperature = self_loop, temperature
        self.encoder = GraphHeads(size, encoder_size, heads=heads)
        self.edge = mlp([2 * encoder_size, encoder_size // 2, encoder_size // 2, 2], activation=nn.ReLU)

    def forward(self, own: Float[Tensor, "B A I"], heard: Heard) -> Float[Tensor, "B A K1"]:
        """1 for each edge that is taken, one's own last, else 0; the gradient is that of the relaxed choice."""
        codes = self.encoder.among(own, heard.messages, heard.mask)
        pairs = torch.cat([codes[..., -1:, :].expand_as(codes), codes], -1)
        taken = chosen(self.edge(pairs), noise=heard.draw, temperature=self.temperature)
        if self.self_loop == "forced":
            taken = torch.cat([taken[..., :-1], torch.ones_like(taken[..., -1:])], -1)
        return taken * and_oneself(heard.mask)


def _takes_all(complete: str, round_index: int) -> bool:
    """Tell whether a round takes every edge that exists, under the setting `complete`."""
    return complete == "all" or complete == ("later" if round_index else "first")
