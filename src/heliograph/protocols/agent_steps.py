"""The turns of a corpus: what an agent knew and had heard when it spoke or acted, and what it said and did."""

import math
from collections.abc import Iterator
from typing import Any

from heliograph.analysis.corpus import Corpus
from heliograph.envs.wording import Turn
from heliograph.protocols.labels import vector_label, word_label

__all__ = ["turns"]

JOINED = " · "


def turns(corpus: Corpus) -> list[Turn]:
    """All turns of agents that spoke, or acted on what they read, by episode and step.

    Raises ValueError where messages or actions are no symbols, or where the corpus does not say who read what.
    """
    _check(corpus)
    found: list[Turn] = []
    for _, episode in corpus.utterances.groupby("episode", sort=True):
        found += _of_episode(corpus, list(episode.itertuples()))
    return found


def _check(corpus: Corpus) -> None:
    if not len(corpus):
        return
    if not corpus.discrete:
        raise ValueError("messages are vectors: a decision table needs symbols or bits (channels symbols, dru)")
    if corpus.utterances["read"].isna().all():
        raise ValueError("the corpus does not say who read what, as those of earlier versions: record it again")
    rows = zip(corpus.utterances["action"], corpus.utterances["actions"], strict=True)
    for action in (action for own, others in rows for action in (own, *others)):
        if action is not None and any(float(number) % 1 for number in action):
            raise ValueError(f"action {list(action)} is no choice among some: a decision table needs discrete actions")


def _of_episode(corpus: Corpus, rows: list[Any]) -> Iterator[Turn]:
    """Turns of one episode, whose utterances are ordered by step, round and sender."""
    parts: dict[tuple[int, str], dict[str, Any]] = {}
    for row in rows:
        label = word_label([int(symbol) for symbol in row.symbols], vocabulary=corpus.metadata["vocabulary"])
        own = parts.setdefault((row.step, row.sender), {})
        own["knows"], own["does"] = tuple(int(z) for z in row.meaning), row.action
        steps = [_step(step) for step in row.read]
        own["read"] = own.get("read", False) or any(step is not None for step in steps)
        own.setdefault("says", []).append(label)
        for hearer, step, action in zip(row.hearers, steps, row.actions, strict=True):
            if step is not None:
                hears = parts.setdefault((step, hearer), {})
                hears.setdefault("heard", []).append(label)
                hears.setdefault("does", action)
    yield from _in_order(corpus, rows[0].episode, parts)


def _step(value: Any) -> int | None:
    """The step of a reading; None for one that never was, which comes from the disk as NaN."""
    return None if value is None or math.isnan(value) else int(value)


def _in_order(corpus: Corpus, episode: int, parts: dict[tuple[int, str], dict[str, Any]]) -> Iterator[Turn]:
    role_of = {agent: role for role, agents in corpus.metadata["roles"].items() for agent in agents}
    slots = {agent: slot for slot, agent in enumerate(corpus.metadata["agents"])}
    last: dict[str, Turn] = {}
    spoke: set[str] = set()
    for step in sorted({step for step, _ in parts}):
        now = sorted((agent for at, agent in parts if at == step), key=lambda agent: slots[agent])
        spoke |= {agent for agent in now if "says" in parts[step, agent]}
        for agent in now:
            part, before = parts[step, agent], last.get(agent)
            if "says" not in part and part.get("does") is None:
                continue
            last[agent] = Turn(
                episode=episode,
                step=step,
                agent=agent,
                role=role_of[agent],
                knows=part.get("knows", before.knows if before else ()),
                heard=_joined(part.get("heard")),
                says=_joined(part.get("says")),
                does=None if part.get("does") is None else vector_label(part["does"]),
                read=part.get("read", False),
                spoke=frozenset(spoke),
                heard_before=before.heard if before else None,
                said_before=before.says if before else None,
            )
            yield last[agent]


def _joined(words: list[str] | None) -> str | None:
    return JOINED.join(words) if words else None
