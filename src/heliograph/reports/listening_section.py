"""The sections of a report on attention and on gates; absent where models do not attend and nobody may be silent."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from heliograph.analysis.corpus import Corpus
from heliograph.analysis.listening import MAX_AGENTS, Attention, attention_of, gates, hearings, who_listens
from heliograph.protocols.labels import count, number, percent
from heliograph.reports import listening_plots
from heliograph.reports.page import Safe, element, figure, table

__all__ = ["listening"]

EVEN = 0.98
"""Attention whose entropy is at least this part of that of equal weights counts as even."""
MAX_MAPS = 4
MAX_MEANINGS = 20
MAX_CELLS_TOLD = 8
ATTENTION = """A hearer weighs the messages that it reads at the same moment; with several heads this is their mean, and
each of them may select more than it shows. A map may be even although attention selects: then whom an agent
listens to changes from moment to moment."""
REST = """Weight that is not on others stays with what a hearer has to say itself, or goes to nobody."""
GREEDY = """Played greedily: of two choices the likelier one is taken, here and wherever a model chooses whom to hear or
whether to speak."""


def listening(corpus: Corpus) -> Iterator[Safe]:
    """Maps of attention, its entropy beside that of equal weights, and how often gates are open."""
    heard, spoke = hearings(corpus), gates(corpus)
    if not len(heard) and not len(spoke):
        return
    if len(heard):
        yield from _attention(corpus, heard)
    if len(spoke):
        yield from _gates(corpus, spoke)
    if corpus.metadata.get("actions") == "greedy":
        yield element("p", GREEDY, class_="note")


def _attention(corpus: Corpus, heard: pd.DataFrame) -> Iterator[Safe]:
    found = attention_of(heard)
    num_rounds = len({part.round for part in found})
    yield element("h2", "Who listens to whom")
    yield element("p", ATTENTION)
    yield element("ul", *(element("li", words(part, num_rounds=num_rounds)) for part in found))
    rounds = sorted({part.round for part in found})[:MAX_MAPS]
    maps = (_map(corpus, heard, [p for p in found if p.round == r], num_rounds=num_rounds) for r in rounds)
    yield element("div", *(drawn for drawn in maps if drawn is not None), class_="figures")
    rows = [(_name(part, num_rounds=num_rounds), *_cells(part)) for part in found]
    headings = ("hearers", "read at once", "of these taken", "weight on others", "entropy, bits", "if even, bits")
    yield table(headings, rows, caption=f"Means over moments in which something is read. {REST}")


def words(found: Attention, *, num_rounds: int = 1) -> str:
    """Return what the numbers say, in two or three sentences."""
    who, read = _name(found, num_rounds=num_rounds), number(found.num_read, digits=1)
    takes = f" and choose {percent(found.taken)} of them" if found.hard else ""
    others = f"Others get {percent(found.on_others)} of the weight."
    return f"Hearers of role {who} read {read} messages at a time{takes}. {_choice(found)} {others}"


def _choice(found: Attention) -> str:
    if found.entropy_bits is None or found.even_bits is None:
        return "They never weigh two against each other."
    told = f"{number(found.entropy_bits)} bits of {number(found.even_bits)} if all were weighed alike"
    if found.entropy_bits >= EVEN * found.even_bits:
        return f"Attention is even ({told}): it does not select, and a plain mean would do as well."
    few, many = (number(2**bits, digits=1) for bits in (found.entropy_bits, found.even_bits))
    return f"Attention selects ({told}): as if they listened to {few} of {many}."


def _name(found: Attention, *, num_rounds: int) -> str:
    return f"{found.role} in round {found.round + 1}" if num_rounds > 1 else found.role


def _cells(found: Attention) -> tuple[str, ...]:
    entropies = (number(found.entropy_bits), number(found.even_bits))
    return number(found.num_read, digits=1), percent(found.taken), percent(found.on_others), *entropies


def _map(corpus: Corpus, heard: pd.DataFrame, found: list[Attention], *, num_rounds: int) -> Safe | None:
    """The map of a round; none where there is but one pair of agents or roles."""
    index, hard = found[0].round, any(part.hard for part in found)
    shares = who_listens(heard[heard["round"] == index], corpus, hard=hard)
    if shares.size < 2:
        return None
    drawn, _, tidy = listening_plots.attention_map(shares)
    what = "How often a message that is read is chosen" if hard else "Mean weight of a message that is read"
    most = tidy.sort_values("share", ascending=False, kind="stable").head(MAX_CELLS_TOLD).itertuples()
    told = "; ".join(f"{cell.hearer} hears {cell.sender}: {cell.share:.2f}" for cell in most)
    later = f", round {index + 1} of {num_rounds}" if num_rounds > 1 else ""
    whom = "" if len(corpus.metadata["agents"]) <= MAX_AGENTS else ", by role"
    caption = f"{what}{later}{whom}: hearers down, senders across; the largest is darkest, blank is never."
    return figure(drawn, name=f"attention{index}", alt=f"{what}{later}; most: {told}.", caption=caption)


def _gates(corpus: Corpus, spoke: pd.DataFrame) -> Iterator[Safe]:
    yield element("h2", "Who speaks when")
    roles = list(spoke.groupby("role", sort=False))
    yield element("ul", *(element("li", _openness(role, part)) for role, part in roles))
    agents = [agent for agent in corpus.metadata["agents"] if (spoke["sender"] == agent).any()]
    if 1 < len(agents) <= MAX_AGENTS and len(agents) > len(roles):
        parts = [(agent, spoke[spoke["sender"] == agent]) for agent in agents]
        rows = [(agent, percent(float(part["gate"].mean())), count(len(part))) for agent, part in parts]
        yield table(("agent", "gate open", "chances"), rows, caption="How often each agent speaks when it may")
    if 0 < spoke["gate"].mean() < 1:
        yield element("div", *_gate_figures(roles, spoke), class_="figures")


def _openness(role: str, part: pd.DataFrame) -> str:
    share, chances = float(part["gate"].mean()), f"{count(len(part))} chances to speak"
    if share == 1:
        return f"The gates of role {role} are open at all {chances}: they decide nothing."
    if share == 0:
        return f"The gates of role {role} are closed at all {chances}: nothing is ever said."
    return f"The gates of role {role} are open at {percent(share)} of {chances}."


def _gate_figures(roles: list[tuple[Any, pd.DataFrame]], spoke: pd.DataFrame) -> Iterator[Safe]:
    drawn, _, tidy = listening_plots.gates_by_step(spoke)
    told = "; ".join(f"{r.role}, step {r.step}: {percent(r.share)}" for r in tidy.head(MAX_CELLS_TOLD).itertuples())
    caption = "How often gates are open, by the step of the episode. Late steps may hold few episodes."
    yield figure(drawn, name="gates-step", alt=f"Open gates by step: {told}.", caption=caption)
    for place, (role, part) in enumerate(roles):
        if 1 < len({tuple(meaning) for meaning in part["meaning"]}) <= MAX_MEANINGS:
            drawn, _, tidy = listening_plots.gates_by_meaning(part)
            told = "; ".join(f"{r.meaning}: {percent(r.share)}" for r in tidy.itertuples())
            caption = f"How often gates of role {role} are open, by what the sender knows."
            yield figure(drawn, name=f"gates-meaning{place}", alt=f"Open gates by meaning: {told}.", caption=caption)
