"""Iterated learning: each generation learns from some words of the one before, then plays, then is listened to."""

import dataclasses
from collections.abc import Callable
from typing import Any

from heliograph.analysis.corpus import Corpus
from heliograph.analysis.recording import record
from heliograph.checks import check_positive
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rllib.runs.rng_state import mixed_seed
from heliograph.storage.run_folder import Run

__all__ = ["Generation", "iterated_learning"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generation:
    """One generation: the team when it was grown up, the mean return of each of its iterations, what it passed on.

    `corpus` holds the utterances that the next generation learns from.
    """

    number: int
    run: Run
    returns: tuple[float, ...]
    corpus: Corpus


def iterated_learning(
    config: Any, *, generations: int, bottleneck: int, updates: int = 200, iterations: int = 20,
    on_generation: Callable[[Generation], None] | None = None,
) -> list[Generation]:  # fmt: skip
    """Train generation after generation of a configuration: fresh weights, a language that is handed down.

    Each begins with weights of its own, learns for `updates` from `bottleneck` utterances of the one before (the first
    from nobody), plays for `iterations`, and is then recorded, greedily, on fresh episodes. What the bottleneck leaves
    out must be guessed, so that languages whose parts can be reused have an advantage. Sources: Kirby 2001,
    "Spontaneous evolution of linguistic structure"; Li and Bowling 2019; Ren et al. 2020, "Compositional languages
    emerge in a neural iterated learning model" (learning, interaction and transmission in turn). Differences: speakers
    and hearers learn from the same utterances at once, and messages are greedy.

    A control without transmission is as many runs of other seeds. The same configuration gives the same generations.
    """
    for name, number in (("generations", generations), ("bottleneck", bottleneck), ("iterations", iterations)):
        check_positive(name, number)
    found: list[Generation] = []
    for number in range(generations):
        own = config.copy(copy_frozen=False).debugging(seed=mixed_seed(config.seed or 0, number))
        if found:
            own.communication(learn_from=found[-1].corpus, learn_updates=updates)
        trainer = LocalTrainer(own)
        returns = tuple(float(trainer.train().env_runner["episode_return_mean"]) for _ in range(iterations))
        run = trainer.run()
        trainer.stop()
        heard = record(run, num_episodes=bottleneck, seed=number)
        generation = Generation(
            number=number, run=run, returns=returns, corpus=heard.where(heard.utterances.index < bottleneck)
        )
        found.append(generation)
        if on_generation is not None:
            on_generation(generation)
    return found
