"""What each message makes its hearer do: a table of messages and actions."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float

from heliograph.analysis.measures.causal_influence import mixed_actions
from heliograph.analysis.measures.probability_tables import probabilities

__all__ = ["SymbolEffects", "symbol_effects"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SymbolEffects:
    """Means over situations, in a row for each message.

    `actions` [M, A] is how likely each action follows it, `shift` how much likelier than on average over messages, and
    `share` [M] how likely the message is said.
    """

    actions: Float[np.ndarray, "M A"]
    shift: Float[np.ndarray, "M A"]
    share: Float[np.ndarray, " M"]


def symbol_effects(actions: Any, says: Any = None) -> SymbolEffects:
    """The table of messages by actions, of `actions` [n, M, A] under each message and `says` [n, M] (None: uniform).

    A message whose effect differs by situation may show no shift on average; `causal_influence` sees it. Raises
    ValueError where a table holds no probabilities.
    """
    table = probabilities(actions, what="actions", num_axes=3)
    mixed = mixed_actions(table, says)
    number, kinds, _ = table.shape
    said = np.full((number, kinds), 1.0 / kinds) if says is None else probabilities(says, what="says")
    return SymbolEffects(
        actions=table.mean(0),
        shift=(table - mixed[:, None]).mean(0),
        share=np.broadcast_to(said, (number, kinds)).mean(0),
    )
