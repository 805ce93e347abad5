"""Of planted teams few are called by the wrong word, whatever their size and the unit and origin of their rewards."""

import collections
import dataclasses
import importlib
import pathlib
import sys
from types import ModuleType

import numpy as np
import pytest
from scipy.stats import binom

from heliograph.analysis.verdict import LEVEL, Word, evidence_of

ROOT = pathlib.Path(__file__).parents[2]
REPEATS = 100
FALSE, POWER, CERTAINTY = 0.05, 0.95, 0.95
QUIET = {
    "SILENT": (2, 200), "CONSTANT": (8, 200), "BABBLING": (2, 200), "UNREAD": (64, 2000), "REDUNDANT": (2, 400),
}  # fmt: skip
TALKING = {"PARTLY": (2, 200), "ONE_KNOWS": (8, 1000), "OPPOSITE": (4, 400)}


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """The module that plants teams."""
    if not (ROOT / "benchmarks").exists():
        pytest.skip("no benchmarks beside the tests")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
        return importlib.import_module("verdict_errors")


def words(benchmark: ModuleType, kind: str, size: tuple[int, int]) -> collections.Counter[Word]:
    agents, utterances = size
    chosen = (benchmark.Kind[kind],)
    found = benchmark.plants(repeats=REPEATS, agents=[agents], utterances=[utterances], kinds=chosen)
    (counts,) = benchmark.confusion(found).values()
    return counts


@pytest.mark.parametrize("kind", QUIET)
def test_few_teams_are_said_to_communicate_that_do_not(benchmark, kind: str) -> None:
    found = words(benchmark, kind, QUIET[kind])
    assert found.total() == REPEATS
    assert found[Word.USED] <= binom.ppf(CERTAINTY, REPEATS, FALSE)
    expected = {
        "SILENT": Word.SILENT, "CONSTANT": Word.COLLAPSED, "BABBLING": Word.BABBLING, "UNREAD": Word.UNHEARD,
        "REDUNDANT": Word.REDUNDANT,
    }[kind]  # fmt: skip
    assert found[expected] >= binom.ppf(1 - CERTAINTY, REPEATS, POWER)


@pytest.mark.parametrize("kind", TALKING)
def test_most_teams_are_found_whose_messages_matter_by_four_standard_errors(benchmark, kind: str) -> None:
    assert words(benchmark, kind, TALKING[kind])[Word.USED] >= binom.ppf(1 - CERTAINTY, REPEATS, POWER)


def test_twenty_utterances_prove_nothing(benchmark) -> None:
    for kind in (*QUIET, *TALKING):
        plant = benchmark.Plant(kind=benchmark.Kind[kind], agents=2, utterances=20)
        assert benchmark.word_for(plant) not in (Word.USED, Word.UNHEARD, Word.REDUNDANT)


def test_units_and_origins_of_rewards_do_not_matter(benchmark) -> None:
    plant = benchmark.Plant(kind=benchmark.Kind.PARTLY, agents=2, utterances=200, seed=1)
    changed = dataclasses.replace(plant, scale=1e3, offset=-5e4)
    assert benchmark.word_for(plant) is benchmark.word_for(changed)


@pytest.mark.parametrize("number", [3, 1000])
def test_chance_is_as_rare_in_few_episodes_as_in_many(number: int) -> None:
    """Of returns that do not differ about 2.5 % seem to fall, by Student's t."""
    rng, falls = np.random.default_rng(number), 0
    for values in rng.standard_normal((500, number)):
        error = float(values.std(ddof=1) / np.sqrt(number))
        row = {"episode_return_mean": 1.0, "difference_mean": float(values.mean()), "difference_se": error}
        told = {"information": "above_chance", "episode_return_mean": 1.0, "num_episodes": number}
        falls += evidence_of(told, row | {"num_replaced": 99, "changed_share": 1.0}).pays is True
    assert binom.ppf(0.001, 500, LEVEL) <= falls <= binom.ppf(0.999, 500, LEVEL)
