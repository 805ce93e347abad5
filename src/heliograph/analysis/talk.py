"""How much is said in a corpus, by whom and when, and what it costs."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from heliograph.analysis.corpus import Corpus
from heliograph.analysis.measures.bandwidth import bandwidth

__all__ = ["talk_table"]

MAY_BE = ("role", "sender", "step", "round")


def talk_table(corpus: Corpus, *, by: Sequence[str] = ("role",), null: Any = None) -> pd.DataFrame:
    """One row for each role (or combination of `by`): utterances and bits an episode, and shares of utterances.

    `by` holds any of "role", "sender", "step" and "round"; () is one row for all. Columns: those of `by`,
    `utterances_per_episode`, `bits_per_episode`, `open_share` (of gates that are open; NaN without gates) and
    `null_share` (of utterances that are the message `null`; NaN where none is named). Episodes in which nobody spoke
    count. Raises ValueError for another name in `by`.
    """
    wrong = [name for name in by if name not in MAY_BE]
    if wrong:
        raise ValueError(f"by={list(by)}: {wrong[0]!r} is none of {', '.join(MAY_BE)}")
    groups = corpus.utterances.groupby(list(by), sort=True).indices if by else {(): slice(None)}
    rows = [_row(corpus, by, key, places, null=null) for key, places in groups.items()] if len(corpus) else []
    measured = ["utterances_per_episode", "bits_per_episode", "open_share", "null_share"]
    return pd.DataFrame(rows, columns=[*by, *measured])


def _row(corpus: Corpus, by: Sequence[str], key: Any, places: Any, *, null: Any) -> dict[str, Any]:
    some = corpus.where(corpus.utterances.index[places])
    gates = some.utterances["gate"]
    found = bandwidth(
        some.messages(),
        bits=some.utterances["bits"].to_numpy(dtype=float),
        num_episodes=max(1, corpus.metadata["num_episodes"]),
        gates=gates.to_numpy(dtype=float) if gates.notna().all() else None,
        null=null,
    )
    names = key if isinstance(key, tuple) else (key,)
    return {
        **dict(zip(by, names, strict=True)),
        "utterances_per_episode": found.utterances_per_episode,
        "bits_per_episode": found.bits_per_episode,
        "open_share": float(found.open_share),
        "null_share": float(found.null_share),
    }
