"""Attention over messages that arrive: scores, weights, and sums."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from heliograph.distributions import MASKED_LOGIT

__all__ = ["dot_products", "weighted_sum", "weights_of"]


def dot_products(query: Float[Tensor, "B A D"], keys: Float[Tensor, "B A_or_1 K D"]) -> Float[Tensor, "B A K"]:
    """Of each hearer's query with the keys that it is offered."""
    if keys.shape[1] == 1:
        return query @ keys.squeeze(1).transpose(1, 2)
    return (query.unsqueeze(2) * keys).sum(-1)


def weights_of(scores: Float[Tensor, "B A K"], mask: Bool[Tensor, "B A K"]) -> Float[Tensor, "B A K"]:
    """Softmax over what arrives; zeros for a hearer to whom nothing does."""
    weights = torch.where(mask, scores, MASKED_LOGIT).softmax(-1)
    return torch.where(mask, weights, 0.0)


def weighted_sum(weights: Float[Tensor, "B A K"], values: Float[Tensor, "B A_or_1 K D"]) -> Float[Tensor, "B A D"]:
    """Of what each hearer is offered; messages that do not arrive must have weight 0."""
    if values.shape[1] == 1:
        return weights @ values.squeeze(1)
    return (weights.unsqueeze(-1) * values).sum(2)
