"""How often is the word for a protocol wrong? Teams are planted whose messages are known to matter, or not to.

    python benchmarks/verdict_errors.py --out benchmarks/results/verdict_errors.json

A planted team is not trained and plays nothing: utterances, guesses and returns are drawn by a rule, with and without
the messages of another episode, and judged by the functions that judge every run. Prints how often each kind of team
gets each word, as data. Kinds that do not communicate must not be called `used`; those that do must be, where the
return falls by at least four standard errors.
"""

import argparse
import collections
import dataclasses
import enum
import importlib.metadata
import itertools
import json
import math
import pathlib
import platform
from collections.abc import Iterator
from typing import Any

import numpy as np

from heliograph.analysis.diagnosis import Diagnosis
from heliograph.analysis.information import Utterances, information_in
from heliograph.analysis.verdict import Word, evidence_of, word_of
from heliograph.storage.run_folder import write_json

GOALS = 3
EFFECT = 4.0
"""Standard errors by which the return falls, and lies above that of silence, where messages matter."""


class Kind(enum.StrEnum):
    """What is planted."""

    SILENT = "silent"
    CONSTANT = "constant"
    BABBLING = "babbling"
    UNREAD = "informative but unread"
    REDUNDANT = "read but redundant"
    PARTLY = "partly informative"
    ONE_KNOWS = "one who knows among many"
    OPPOSITE = "opposite codes per role"


COMMUNICATES = (Kind.PARTLY, Kind.ONE_KNOWS, Kind.OPPOSITE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plant:
    """One team: each of its agents speaks once an episode. Rewards are scale * x + offset."""

    kind: Kind
    agents: int
    utterances: int
    scale: float = 1.0
    offset: float = 0.0
    seed: int = 0

    @property
    def episodes(self) -> int:
        return max(1, self.utterances // self.agents)


def word_for(plant: Plant) -> Word:
    """The word that the team gets."""
    rng = np.random.default_rng([plant.seed, plant.agents, plant.utterances, list(Kind).index(plant.kind)])
    meant, said = _spoken(plant, rng)
    if said is None:
        return word_of(evidence_of({"information": Diagnosis.SILENT.value}, None))
    told = {"information": _information(plant, meant, said).value}
    other = _resampled(said, rng)
    sent, replaced, silent = _returns(plant, meant, said, other, rng)
    guessed = [_guesses(plant, messages) for messages in (said, other)]
    row = {
        **_mean(replaced),
        "difference_mean": float((replaced - sent).mean()),
        "difference_se": _error(replaced - sent),
        "num_replaced": int((said != other).sum()),
        "changed_share": 0.0 if plant.kind is Kind.UNREAD else float((guessed[0] != guessed[1]).any(1).mean()),
    }
    return word_of(evidence_of({**told, **_mean(sent)}, row, silent=_mean(silent)))


def _spoken(plant: Plant, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray | None]:
    """Meanings and messages, [episodes, agents]."""
    shape = (plant.episodes, plant.agents)
    meant, noise = rng.integers(GOALS, size=shape), rng.integers(GOALS, size=shape)
    if plant.kind is Kind.SILENT:
        return meant, None
    if plant.kind is Kind.CONSTANT:
        return meant, np.zeros_like(meant)
    if plant.kind is Kind.BABBLING:
        return meant, noise
    if plant.kind is Kind.PARTLY:
        return meant, np.where(rng.random(shape) < 0.7, meant, noise)
    if plant.kind is Kind.ONE_KNOWS:
        meant[:, 1:] = -1
        return meant, np.where(meant >= 0, meant, noise)
    return meant, _coded(plant, meant)


def _coded(plant: Plant, symbols: np.ndarray, *, back: bool = False) -> np.ndarray:
    """By the code of each agent's role: those of odd numbers say the next symbol, where codes are opposite."""
    role = np.arange(plant.agents) % 2 if plant.kind is Kind.OPPOSITE else np.zeros(plant.agents, dtype=int)
    return (symbols + (-role if back else role)) % GOALS


def _information(plant: Plant, meant: np.ndarray, said: np.ndarray) -> Diagnosis:
    speaker = np.broadcast_to(np.arange(plant.agents), said.shape).ravel()
    flat = np.unique(meant.ravel(), return_inverse=True)[1]
    found = Utterances(
        said=said.ravel(), meant=flat, speaker=speaker, group=speaker % min(2, plant.agents),
        knows=(meant >= 0).ravel(),
    )  # fmt: skip
    return information_in(found, num_permutations=1, seed=plant.seed).diagnosis


def _resampled(said: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The messages of the next episode in a random cycle."""
    order = rng.permutation(len(said))
    found = np.empty_like(said)
    found[order] = said[np.roll(order, -1)]
    return found


def _guesses(plant: Plant, messages: np.ndarray) -> np.ndarray:
    return _coded(plant, messages, back=True)


def _returns(
    plant: Plant, meant: np.ndarray, said: np.ndarray, other: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of messages as sent, of messages resampled, and of the silent twin, [episodes]."""
    blind = rng.integers(GOALS, size=(2, *meant.shape))

    def score(guessed: np.ndarray) -> np.ndarray:
        right = guessed == meant
        return right[:, 0].astype(float) if plant.kind is Kind.ONE_KNOWS else right.mean(1)

    if plant.kind is Kind.UNREAD:
        sent = replaced = score(blind[0])
    else:
        sent, replaced = score(_guesses(plant, said)), score(_guesses(plant, other))
    silent = rng.permutation(sent) if plant.kind is Kind.REDUNDANT else score(blind[1])
    spread = _spread(plant, sent, replaced, silent)
    return tuple(  # type: ignore[return-value]
        plant.scale * (x + spread * rng.standard_normal(len(x))) + plant.offset for x in (sent, replaced, silent)
    )


def _spread(plant: Plant, sent: np.ndarray, replaced: np.ndarray, silent: np.ndarray) -> float:
    """Noise of returns: as much as leaves an effect of four standard errors, where messages matter; else some."""
    if plant.kind not in COMMUNICATES:
        return 0.5
    right = 0.7 + 0.3 / GOALS if plant.kind is Kind.PARTLY else 1.0
    effect, number = right - 1 / GOALS, len(sent)
    own = 0.0 if number < 2 else max(float(np.var(replaced - sent)), float(np.var(sent) + np.var(silent)))
    room = (effect / EFFECT) ** 2 * number - own
    return math.sqrt(max(room, 0.0) / 2)


def _mean(returns: np.ndarray) -> dict[str, float | None]:
    return {
        "episode_return_mean": float(returns.mean()),
        "episode_return_se": _error(returns),
        "num_episodes": len(returns),
    }


def _error(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None


def plants(*, repeats: int, agents: list[int], utterances: list[int], kinds: tuple[Kind, ...]) -> Iterator[Plant]:
    """Teams of each kind and size; the unit and origin of rewards go round."""
    units = list(itertools.product((1e-3, 1.0, 1e4), (-20.0, 0.0, 1e3)))
    for kind, size, number in itertools.product(kinds, agents, utterances):
        for seed in range(repeats):
            scale, origin = units[seed % len(units)]
            yield Plant(
                kind=kind, agents=size, utterances=number, scale=scale, offset=origin * scale, seed=seed
            )  # fmt: skip


def confusion(found: Iterator[Plant]) -> dict[Plant, collections.Counter[Word]]:
    """How often each cell, whatever the unit of rewards, gets each word."""
    counts: dict[Plant, collections.Counter[Word]] = {}
    for plant in found:
        cell = dataclasses.replace(plant, seed=0, scale=1.0, offset=0.0)
        counts.setdefault(cell, collections.Counter())[word_for(plant)] += 1
    return counts


def rows_of(counts: dict[Plant, collections.Counter[Word]]) -> list[dict[str, Any]]:
    """The matrix as data."""
    return [
        {
            "planted": cell.kind.value, "communicates": cell.kind in COMMUNICATES, "agents": cell.agents,
            "utterances": cell.utterances, "episodes": cell.episodes,
            "words": {word.value: number for word, number in sorted(words.items())},
        }
        for cell, words in counts.items()
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--agents", type=int, nargs="+", default=[2, 8, 64])
    parser.add_argument("--utterances", type=int, nargs="+", default=[20, 200, 2_000, 20_000])
    parser.add_argument("--out", type=pathlib.Path)
    given = parser.parse_args()
    every = plants(repeats=given.repeats, agents=given.agents, utterances=given.utterances, kinds=tuple(Kind))
    rows = rows_of(confusion(every))
    for row in rows:
        print(json.dumps(row))
    if given.out is not None:
        versions = {name: importlib.metadata.version(name) for name in ("heliograph", "numpy", "scipy")}
        about = {"repeats": given.repeats, "effect_standard_errors": EFFECT, "python": platform.python_version()}
        write_json(given.out, {**about, "versions": versions, "cells": rows})


if __name__ == "__main__":
    main()
