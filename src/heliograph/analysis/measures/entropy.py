"""Entropy of whole messages."""

from typing import Any

from heliograph.analysis.measures.base import entropy_of_ids, ids_of

__all__ = ["entropy"]


def entropy(messages: Any) -> float:
    """How much messages vary, in bits: the plug-in entropy of whole messages, one a row.

    0 where the same is always said, log2(n) where n messages are equally frequent. Rows may be numbers, strings, arrays
    or tensors, and may differ in length. Raises ValueError where there is no message.
    """
    return entropy_of_ids(ids_of(messages))
