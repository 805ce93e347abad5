"""Attention over messages that arrive: scores, weights, sums, heads of graph attention, and choices of edges."""

import dataclasses

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from heliograph.distributions import MASKED_LOGIT
from heliograph.functional import straight_through
from heliograph.models.blocks import orthogonal_

__all__ = ["GraphHeads", "Offered", "and_oneself", "chosen", "dot_products", "weighted_sum", "weights_of"]


def dot_products(query: Float[Tensor, "B A D"], keys: Float[Tensor, "B A_or_1 K D"]) -> Float[Tensor, "B A K"]:
    """Dot products of each hearer's query with the keys that it is offered."""
    if keys.shape[1] == 1:
        return query @ keys.squeeze(1).transpose(1, 2)
    return (query.unsqueeze(2) * keys).sum(-1)


def weights_of(scores: Float[Tensor, "*batch A K"], mask: Bool[Tensor, "*batch A K"]) -> Float[Tensor, "*batch A K"]:
    """Softmax over what arrives; zeros for a hearer to whom nothing does."""
    weights = torch.where(mask, scores, MASKED_LOGIT).softmax(-1)
    return torch.where(mask, weights, 0.0)


def weighted_sum(weights: Float[Tensor, "B A K"], values: Float[Tensor, "B A_or_1 K D"]) -> Float[Tensor, "B A D"]:
    """Weighted sum of what each hearer is offered; messages that do not arrive must have weight 0."""
    if values.shape[1] == 1:
        return weights @ values.squeeze(1)
    return (weights.unsqueeze(-1) * values).sum(2)


def and_oneself(mask: Bool[Tensor, "B A K"]) -> Bool[Tensor, "B A K1"]:
    """The same mask with a last slot for the hearer itself."""
    return torch.cat([mask, mask.new_ones(*mask.shape[:-1], 1)], -1)


def chosen(
    logits: Float[Tensor, "*batch 2"], *, noise: Float[Tensor, "*batch"] | None, temperature: float
) -> Float[Tensor, "*batch"]:
    """1 where the second of two is chosen, else 0, with the gradient of the relaxed choice (Jang et al. 2017).

    `noise` is the difference of two Gumbel draws, which is logistic; without it the larger logit is chosen.
    """
    lean = logits[..., 1] - logits[..., 0]
    lean = lean if noise is None else lean + noise
    return straight_through((lean > 0).to(lean.dtype), torch.sigmoid(lean / temperature))


@dataclasses.dataclass(kw_only=True)
class Offered:
    """Options that hearers may attend to with each head: scores and values of what they are offered, their own last."""

    scores: Float[Tensor, "B A heads K1"]
    theirs: Float[Tensor, "B A_or_1 K heads D"]
    own: Float[Tensor, "B A heads D"]

    def mixed(self, weights: Float[Tensor, "B A heads K1"]) -> Float[Tensor, "B A heads D"]:
        """The weighted sum of values; messages that do not arrive must have weight 0."""
        others, mine = weights[..., :-1], weights[..., -1:]
        if self.theirs.shape[1] == 1:
            heard = (others.transpose(1, 2) @ self.theirs.squeeze(1).transpose(1, 2)).transpose(1, 2)
        else:
            heard = (others.unsqueeze(-2) @ self.theirs.transpose(2, 3)).squeeze(-2)
        return heard + mine * self.own


class GraphHeads(nn.Module):
    """Heads of graph attention: values W h, and scores LeakyReLU(a . W h_i + b . W h_j) of an edge from j to i.

    Source: Velickovic et al. 2018, equations 1 to 3; no dropout, no bias.
    """

    def __init__(self, size_in: int, size_out: int, *, heads: int):
        super().__init__()
        self.heads = heads
        self.values = orthogonal_(nn.Linear(size_in, heads * size_out, bias=False))
        self.scores = nn.Parameter(0.1 * torch.randn(2, heads, size_out))

    def forward(self, own: Float[Tensor, "B A I"], messages: Float[Tensor, "B A_or_1 K I"]) -> Offered:
        """Return what each hearer is offered, itself among it."""
        mine, theirs = self._split(own), self._split(messages)
        to_me, from_me = self._scored(mine)
        _, from_them = self._scored(theirs)
        edges = to_me.unsqueeze(-1) + from_them.transpose(-1, -2)
        loop = (to_me + from_me).unsqueeze(-1)
        return Offered(scores=F.leaky_relu(torch.cat([edges, loop], -1), 0.2), theirs=theirs, own=mine)

    def among(
        self, own: Float[Tensor, "B A I"], messages: Float[Tensor, "B A_or_1 K I"], mask: Bool[Tensor, "B A K"]
    ) -> Float[Tensor, "B A K1 D"]:
        """Among all that reach a hearer, itself last: what each of them attends to among them, as a mean over heads."""
        if messages.shape[1] > 1:
            rows = self._among(own.flatten(0, 1).unsqueeze(1), messages.flatten(0, 1), mask.flatten(0, 1).unsqueeze(1))
            return rows.unflatten(0, own.shape[:2]).squeeze(2)
        return self._among(own, messages.squeeze(1), mask)

    def _among(self, own: Tensor, messages: Tensor, mask: Tensor) -> Float[Tensor, "B A K1 D"]:
        """The same where all hearers are offered the same messages `[B, K, I]`."""
        # [B, K1 sources, heads, A, K1 readers]: a softmax over few numbers is slow along the last axis.
        mine, theirs = self._split(own), self._split(messages)
        (to_me, from_me), (to_them, from_them) = self._scored(mine), self._scored(theirs)
        num_hearers = own.shape[1]
        to = torch.cat([_for_each(to_them, num_hearers), to_me.transpose(1, 2).unsqueeze(-1)], -1)
        from_ = torch.cat([from_them.unsqueeze(-1).expand(-1, -1, -1, num_hearers), from_me.mT.unsqueeze(1)], 1)
        scores = F.leaky_relu(from_.unsqueeze(-1) + to.unsqueeze(1), 0.2)
        barred = torch.where(and_oneself(mask), 0.0, MASKED_LOGIT).mT[:, :, None, :, None]
        weights = (scores + barred).softmax(1)
        of_others = weights[:, :-1].flatten(1, 2).flatten(2).mT @ theirs.flatten(1, 2)
        of_me = weights[:, -1].permute(0, 2, 3, 1) @ mine
        return (of_others.view_as(of_me) + of_me) / self.heads

    def _split(self, x: Tensor) -> Float[Tensor, "*batch heads D"]:
        return self.values(x).unflatten(-1, (self.heads, -1))

    def _scored(self, values: Tensor) -> tuple[Tensor, Tensor]:
        of_hearer, of_sender = self.scores
        return (values * of_hearer).sum(-1), (values * of_sender).sum(-1)


def _for_each(of_senders: Tensor, num_hearers: int) -> Tensor:
    """[B, heads, A, K] out of [B, K, heads]."""
    return of_senders.mT.unsqueeze(2).expand(-1, -1, num_hearers, -1)
