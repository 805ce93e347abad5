"""Interactions that EGG has stored: read without its code, and without executing anything."""

import pathlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from heliograph.analysis.corpus_checks import CorpusError
from heliograph.texts import cut

__all__ = ["read_interaction"]

FOREIGN = "egg.core.interaction.Interaction"
END = 0
"""The symbol that ends a message in EGG."""


class StoredInteraction:
    """Record of what stands for EGG's class while a file is read: a bare holder of attributes."""


def read_interaction(path: pathlib.Path) -> dict[str, Any]:
    """Messages, up to their length and without the end that EGG counts, and meanings: sender inputs, else labels.

    The file is unpickled with weights alone: tensors, plain containers and EGG's `Interaction`, in whose place stands a
    class without behaviour. Raises `CorpusError` where it holds anything else, or no message.
    """
    try:
        with torch.serialization.safe_globals([(StoredInteraction, FOREIGN)]):
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the library's own text tells users to trust the file, which they need not
        first = str(error).split("\n")[0]
        raise CorpusError(f"{path} is damaged, or holds more than an interaction of EGG: {cut(first)}") from error
    fields = stored if isinstance(stored, dict) else getattr(stored, "__dict__", {})
    message = fields.get("message")
    if not isinstance(message, Tensor) or message.ndim < 1:
        raise CorpusError(f"{path} has no messages: an interaction of EGG has a tensor called message")
    found: dict[str, Any] = {"messages": _words(message, fields.get("message_length"), path)}
    seen = next((x for x in (fields.get("sender_input"), fields.get("labels")) if _is_discrete(x, len(message))), None)
    if seen is not None:
        found["meanings"] = seen.reshape(len(seen), -1).long().numpy(force=True)
    return found


def _words(message: Tensor, lengths: Any, path: pathlib.Path) -> Any:
    symbols = message.argmax(-1) if message.is_floating_point() and message.ndim == 3 else message
    rows = symbols.reshape(len(symbols), -1).double().numpy(force=True)
    if not np.isfinite(rows).all() or (rows != np.floor(rows)).any():
        return rows
    table = rows.astype(np.int64)
    if not isinstance(lengths, Tensor) or table.shape[1] == 1:
        return table
    ends = lengths.reshape(-1).long().tolist()
    if len(ends) != len(table):
        raise CorpusError(f"{path} has {len(table)} messages and {len(ends)} lengths of them")
    words = [row[:end] for row, end in zip(table.tolist(), ends, strict=True)]
    return [word[:-1] if word and word[-1] == END else word for word in words]


def _is_discrete(column: Any, number: int) -> bool:
    if not isinstance(column, Tensor) or not column.ndim or len(column) != number:
        return False
    return bool((column == column.floor()).all()) if column.is_floating_point() else True
