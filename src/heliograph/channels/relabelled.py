"""Relabelled: in training hearers get the symbols under other names, drawn anew for each episode (other-play)."""

import dataclasses

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from heliograph.channels.base import Channel
from heliograph.channels.wrapper import Wrapper
from heliograph.checks import check_number
from heliograph.functional import one_hot
from heliograph.types import Choice, Message, MessageForm, Tree

__all__ = ["Relabelled"]


class Relabelled(Wrapper):
    """Wraps a channel of one-hot symbols: in training form each episode has its own names for them.

    A permutation of the symbols lies between all speakers and all hearers of an episode, drawn uniformly, in a `share`
    of the episodes; in the others, and in execution, symbols keep their names. So a team cannot rely on which of equal
    symbols means what, only on what any partner would see too: that a word is long or short, that a symbol comes again,
    that nothing was said. Symbol 0 keeps its name where it ends words or is silence. Source: Hu, Lerer, Peysakhovich
    and Foerster 2020, "Other-play for zero-shot coordination", for the symmetry of symbols; symmetries of environments
    are not looked for. Where a message is one symbol nothing is left to tell by, and with share=1 teams stay at the
    blind score, as they should: strangers do no better.
    """

    def __init__(self, inner: Channel, *, share: float = 1.0):
        super().__init__(inner)
        check_number("share", share, above=0, maximum=1)
        if self.vocabulary is None or self.payload_size != self.word_size:
            raise ValueError(f"{type(inner).__name__} does not say its symbols as one-hot vectors: use 'symbols'")
        self.share, self.is_deterministic = share, inner.is_deterministic
        self.fixed = int(self.ends_words or self.can_be_silent)
        """How many of the first symbols keep their names."""

    def draw_own(self, channel_input: Tensor, *, generator: torch.Generator | None, choice: Choice) -> dict[str, Tree]:
        """Names for an episode that begins now, and whether it has any; others keep theirs."""
        lead, device = channel_input.shape[:-2], channel_input.device
        assert self.vocabulary is not None
        order = torch.rand(*lead, self.vocabulary, generator=generator, device=device)
        order[..., : self.fixed] = torch.arange(self.fixed, device=device) - self.fixed
        renamed = torch.rand(lead, generator=generator, device=device) < self.share
        plain = torch.arange(self.vocabulary, device=device).expand(order.shape)
        return {"names": torch.where(renamed.unsqueeze(-1), order.argsort(-1), plain)}

    def send(self, channel_input: Tensor, *, draw: Tree, form: MessageForm, state: Tree = None) -> tuple[Message, Tree]:
        """Return what the wrapped channel says; in training form under the names of the episode."""
        if state is None:
            state = {"inner": None, "own": self.own_state(len(channel_input), 0, channel_input.device, rounds=1)}
        own = state["own"]
        names = torch.where(own["fresh"].unsqueeze(-1), draw["names"], own["names"])
        message, state = super().send(channel_input, draw=draw, form=form, state=state)
        kept = {**(state or {"inner": None}), "own": {"names": names, "fresh": torch.zeros_like(own["fresh"])}}
        if form is MessageForm.EXECUTION:
            return message, kept
        return dataclasses.replace(message, payload=self._renamed(message.payload, names)), kept

    def own_state(self, num_envs: int, num_agents: int, device: torch.device, *, rounds: int) -> Tree:
        """The names of each episode, drawn with its first message."""
        names = torch.arange(self.vocabulary or 0, device=device).expand(num_envs, -1).clone()
        return {"names": names, "fresh": torch.ones(num_envs, dtype=torch.bool, device=device)}

    def cut_own(self, own: Tree, ended: Bool[Tensor, "B N"]) -> Tree:
        """Forget the names where everybody's part has ended."""
        return {"names": own["names"], "fresh": own["fresh"] | ended.all(1)}

    def _renamed(self, payload: Tensor, names: Int[Tensor, "B V"]) -> Tensor:
        said = payload.unflatten(-1, (self.length, -1))
        table = one_hot(names, said.shape[-1])
        return torch.einsum("bnlv,bvw->bnlw", said, table).flatten(-2)
