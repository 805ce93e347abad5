"""How much is said, and what it costs."""

import dataclasses
import math
from typing import Any

import numpy as np

from heliograph.analysis.measures.base import ids_of, key_of
from heliograph.analysis.measures.measure import AppliesTo, Measure
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["MEASURE", "Bandwidth", "bandwidth", "bits_of_numbers"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bandwidth:
    """Means over episodes of bits and of utterances, and shares of utterances.

    `open_share` are those whose gate is open, `null_share` those that are the null message; undefined where no gate, or
    no null message, is known.
    """

    bits_per_episode: float
    utterances_per_episode: float
    open_share: float
    null_share: float


def bandwidth(
    messages: Any, *, bits: Any = None, num_episodes: int = 1, gates: Any = None, null: Any = None
) -> Bandwidth:
    """Return what was said in a number of episodes, silent ones counted (Singh et al. 2019; Kim et al. 2019).

    `bits` is what each message cost (None: `bits_of_numbers`, 32 a number of a float32 vector, or of words
    log2(symbols that occur) a symbol). `gates` tells of each whether its gate was open; `null` is the message that says
    nothing. For roles or steps apart pass their rows alone. Raises ValueError for columns of unequal length, or fewer
    than one episode.
    """
    number = len(ids_of(messages))
    if num_episodes < 1:
        raise ValueError(f"num_episodes={num_episodes}: must be at least 1")
    cost = bits_of_numbers(messages) if bits is None else np.asarray(bits, dtype=np.float64)
    is_open = None if gates is None else np.asarray(gates, dtype=np.float64)
    for name, column in (("bits", cost), ("gates", is_open)):
        if column is not None and len(column) != number:
            raise ValueError(f"{number} messages and {name} of {len(column)}: there must be one for each")
    silent = None if null is None else [key_of(row) == key_of(null) for row in messages]
    return Bandwidth(
        utterances_per_episode=number / num_episodes,
        bits_per_episode=float(cost.sum()) / num_episodes,
        open_share=Undefined("no gates are known") if is_open is None else float(is_open.mean()),
        null_share=Undefined("no null message is named") if silent is None else float(np.mean(silent)),
    )


def bits_of_numbers(messages: Any) -> np.ndarray:
    """Cost of each message: the bits of its numbers where it is a vector, else log2(kinds) for each symbol."""
    if hasattr(messages, "dtype") and "float" in str(messages.dtype):
        width = np.asarray(messages).reshape(len(messages), -1)
        return np.full(len(width), float(8 * width.dtype.itemsize * width.shape[1]))
    words = [key if isinstance(key, (tuple, str, bytes)) else (key,) for key in map(key_of, messages)]
    kinds = max(1, len({symbol for word in words for symbol in word}))
    return np.array([len(word) * math.log2(kinds) for word in words])


def _example() -> dict[str, Any]:
    return {"messages": [[0, 1], [0, 0]], "bits": [2.0, 2.0], "gates": [True, False], "null": [0, 0]}


MEASURE = Measure(
    name="bandwidth", function=bandwidth, unit="bits per episode", range=(0.0, math.inf), applies_to=AppliesTo.BOTH,
    source="Singh et al. 2019; Kim et al. 2019", listed=False, example=_example,
)  # fmt: skip
