"""Who listens to whom, and who speaks when, as a corpus tells: weights of attention, their entropy, open gates."""

import dataclasses

import numpy as np
import pandas as pd

from heliograph.analysis.corpus import Corpus

__all__ = ["Attention", "attention_of", "gates", "hearings", "who_listens"]

MAX_HEARINGS = 500_000
MAX_AGENTS = 20
"""Up to so many agents are shown one by one; else roles."""
COLUMNS = ("episode", "step", "round", "hearer", "role", "sender", "sender_role", "weight")
MOMENT = ["episode", "step", "round", "hearer"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attention:
    """How the hearers of a role share their weight in a round, as means over the moments in which they read something.

    `num_read` messages are read at once; `on_others` is the weight that these get together, `taken` the share of them
    that get any: less than 1 where a model chooses whom to hear at all. Entropies are of the weights divided by their
    sum, and of equal weights, over the moments in which there is a choice: two messages, and some weight on them. None
    where there never is one.
    """

    role: str
    round: int
    num_moments: int
    num_read: float
    on_others: float
    taken: float
    entropy_bits: float | None
    even_bits: float | None

    @property
    def hard(self) -> bool:
        """True if some messages get no weight at all."""
        return self.taken < 1


def hearings(corpus: Corpus, *, at_most: int = MAX_HEARINGS) -> pd.DataFrame:
    """One row for each message that was read and weighed (columns: `COLUMNS`); `step` and `role` are the hearer's.

    Only the first episodes where there are more than `at_most`, but whole ones. Empty where nobody attends.
    """
    table = corpus.utterances[corpus.utterances["attention"].notna()]
    if not len(table):
        return pd.DataFrame(columns=list(COLUMNS))
    numbers = table["attention"].map(len)
    so_far = numbers.groupby(table["episode"], sort=True).sum().cumsum()
    episodes = so_far.index[: max(1, int((so_far <= at_most).sum()))]
    table = table[table["episode"].isin(episodes)]
    flat = {name: table[name].to_numpy().repeat(numbers.loc[table.index]) for name in ("episode", "round", "sender")}
    hearer = np.concatenate([np.array(list(names), dtype=object) for names in table["hearers"]])
    found = pd.DataFrame(
        {**flat, "step": _flat(table["read"]), "hearer": hearer, "weight": _flat(table["attention"])}
    ).dropna(subset="weight")
    role_of = {agent: role for role, agents in corpus.metadata["roles"].items() for agent in agents}
    found["role"], found["sender_role"] = found["hearer"].map(role_of), found["sender"].map(role_of)
    return found[list(COLUMNS)].reset_index(drop=True)


def attention_of(heard: pd.DataFrame) -> list[Attention]:
    """A summary of `hearings` for each role of hearers and each round."""
    if not len(heard):
        return []
    moments = _moments(heard)
    return [_summary(role, index, part) for (role, index), part in moments.groupby(["role", "round"], sort=True)]


def _moments(heard: pd.DataFrame) -> pd.DataFrame:
    """One row for each moment of a hearer: how much it read, its weights, and the entropy of their shares, in bits."""
    weight = heard["weight"].to_numpy(dtype=float)
    logs = np.log2(weight, where=weight > 0, out=np.zeros_like(weight))
    parts = heard.assign(taken=weight > 0, product=weight * logs)
    columns = {"num_read": ("weight", "size"), "total": ("weight", "sum"), "taken": ("taken", "sum")}
    found = parts.groupby([*MOMENT, "role"], sort=False).agg(**columns, product=("product", "sum")).reset_index()
    chooses = (found["num_read"] > 1) & (found["total"] > 0)
    total = found["total"].where(chooses)
    entropy = np.log2(total) - found["product"] / total
    return found.assign(entropy=entropy.clip(lower=0.0), even=np.log2(found["num_read"].where(chooses)))


def _summary(role: str, index: int, moments: pd.DataFrame) -> Attention:
    chosen = moments["entropy"].notna().any()
    return Attention(
        role=role,
        round=int(index),
        num_moments=len(moments),
        num_read=float(moments["num_read"].mean()),
        on_others=float(moments["total"].mean()),
        taken=float(moments["taken"].sum() / moments["num_read"].sum()),
        entropy_bits=float(moments["entropy"].mean()) if chosen else None,
        even_bits=float(moments["even"].mean()) if chosen else None,
    )


def who_listens(heard: pd.DataFrame, corpus: Corpus, *, hard: bool) -> pd.DataFrame:
    """Hearers by senders: the mean weight of a message that is read, or how often it gets any; NaN where none is.

    Agents where they are at most `MAX_AGENTS`, else roles; of those, who ever hears and who is ever heard.
    """
    agents = len(corpus.metadata["agents"]) <= MAX_AGENTS
    rows, columns = ("hearer", "sender") if agents else ("role", "sender_role")
    names = corpus.metadata["agents"] if agents else list(corpus.metadata["roles"])
    values = heard.assign(value=(heard["weight"] > 0).astype(float) if hard else heard["weight"].astype(float))
    found = values.pivot_table(index=rows, columns=columns, values="value", aggfunc="mean", sort=False)
    return found.reindex(index=[n for n in names if n in found.index], columns=[n for n in names if n in found.columns])


def gates(corpus: Corpus) -> pd.DataFrame:
    """One row for each chance to speak on a gated channel: the columns of the corpus, `gate` as 1 (open) or 0."""
    table = corpus.utterances[corpus.utterances["gate"].notna()]
    return table.assign(gate=table["gate"].astype(float))


def _flat(column: pd.Series) -> np.ndarray:
    return np.concatenate([np.array(list(values), dtype=float) for values in column])
