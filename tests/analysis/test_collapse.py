"""Statistics of a rollout equal the measures, cost little, and name the ways in which a protocol fails."""

import dataclasses
import math
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.analysis.collapse import Diagnosis, diagnose, protocol_statistics
from heliograph.analysis.evaluate import play_run
from heliograph.analysis.measures.base import entropy_of_ids, ids_of, joined
from heliograph.analysis.measures.mutual_information import mutual_information
from heliograph.rollout import Rollout
from heliograph.types import Message
from tests.analysis.teams import collapsed, perfect, scripted_run


@pytest.mark.parametrize(
    ("entropy_bits", "information_bits", "expected"),
    [
        (None, None, Diagnosis.SILENT),
        (float("nan"), None, Diagnosis.SILENT),
        (0.0, 0.0, Diagnosis.COLLAPSED),
        (0.1, 0.1, Diagnosis.COLLAPSED),
        (1.9, 0.03, Diagnosis.BABBLING),
        (1.9, 1.5, Diagnosis.INFORMATIVE),
        (1.0, 0.3, Diagnosis.INFORMATIVE),
    ],
)
def test_diagnoses(entropy_bits, information_bits, expected) -> None:
    assert diagnose(entropy_bits, information_bits, baseline_bits=0.01, num_meanings=3) is expected


def test_one_meaning_cannot_be_told_apart() -> None:
    assert diagnose(1.0, 0.0, baseline_bits=0.0, num_meanings=1) is Diagnosis.UNKNOWN


def test_what_chance_explains_already_cannot_be_told() -> None:
    """Ten predators on 20 x 20 cells: of 8.2 bits in so few utterances 7.5 come by chance, and all others are told."""
    assert diagnose(12.6, 8.23, baseline_bits=7.53, num_meanings=400) is Diagnosis.INFORMATIVE
    assert diagnose(12.6, 7.53, baseline_bits=7.53, num_meanings=400) is Diagnosis.BABBLING
    assert diagnose(12.0, 3.0, baseline_bits=3.0, num_meanings=8) is Diagnosis.UNKNOWN


def rollout_of(said: torch.Tensor, meant: torch.Tensor) -> Rollout:
    """A rollout of 2 steps, in which both agents of all copies always spoke: said [2, B, 2, L], meant [2, B, 2, Z]."""
    base = play_run(scripted_run(), num_episodes=said.shape[1]).rollouts[0]
    message = Message(payload=torch.ones(*said.shape[:3], 1), symbols=said, bits=torch.ones(said.shape[:3]))
    return dataclasses.replace(base, messages=(message,), meaning=meant, speaking=torch.ones_like(base.speaking))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_statistics_equal_the_measures(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    said = torch.randint(3, (2, 13, 2, 2), generator=generator)
    meant = torch.randint(-1, 2, (2, 13, 2, 2), generator=generator)
    rows, meanings, group = said.flatten(0, 2).numpy(), meant.flatten(0, 2).numpy(), [0, 1] * 26
    pooled = protocol_statistics(rollout_of(said, meant))
    assert pooled["entropy_bits"] == pytest.approx(entropy_of_ids(ids_of(rows)), abs=1e-9)
    assert pooled["mutual_information_bits"] == pytest.approx(mutual_information(rows, meanings), abs=1e-9)
    apart = protocol_statistics(rollout_of(said, meant), groups=torch.tensor([0, 1]))
    expected = mutual_information(rows, meanings, given=group)
    assert apart["mutual_information_bits"] == pytest.approx(expected, abs=1e-9)
    within = entropy_of_ids(joined(ids_of(group), ids_of(rows))) - entropy_of_ids(ids_of(group))
    assert apart["entropy_bits"] == pytest.approx(within, abs=1e-9)


def test_chance_is_what_nonsense_has_and_a_code_exceeds() -> None:
    generator = torch.Generator().manual_seed(0)
    meant = torch.randint(30, (2, 100, 2, 1), generator=generator)
    nonsense = protocol_statistics(rollout_of(meant[torch.randperm(2)][:, torch.randperm(100)], meant))
    code = protocol_statistics(rollout_of(meant + 3, meant))
    chance = code["mutual_information_chance_bits"]
    assert nonsense["mutual_information_bits"] == pytest.approx(chance, rel=0.1)
    assert chance == pytest.approx(29 * 29 / (2 * 400 * math.log(2)), rel=0.2)
    diagnoses = [
        diagnose(x["entropy_bits"], x["mutual_information_bits"], baseline_bits=chance, num_meanings=x["num_meanings"])
        for x in (nonsense, code)
    ]
    assert diagnoses == [Diagnosis.BABBLING, Diagnosis.INFORMATIVE]


@pytest.mark.parametrize(("function", "expected"), [(perfect, Diagnosis.INFORMATIVE), (collapsed, Diagnosis.COLLAPSED)])
def test_scripted_protocols_are_recognised(function, expected) -> None:
    found = protocol_statistics(play_run(scripted_run(function), num_episodes=300).rollouts[0])
    assert found["num_utterances"] == 300
    chance = found["mutual_information_chance_bits"]
    diagnosis = diagnose(found["entropy_bits"], found["mutual_information_bits"], baseline_bits=chance, num_meanings=3)
    assert diagnosis is expected


def test_a_silent_team_has_no_statistics() -> None:
    found = protocol_statistics(play_run(scripted_run(channel="none"), num_episodes=8).rollouts[0])
    assert found == {"num_utterances": 0, "num_meanings": 0}


def test_statistics_cost_little() -> None:
    generator = torch.Generator().manual_seed(0)
    rollout = rollout_of(
        torch.randint(8, (2, 1024, 2, 3), generator=generator), torch.randint(9, (2, 1024, 2, 2), generator=generator)
    )
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        protocol_statistics(rollout)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.02  # measured: 2 ms for 4096 words of three symbols; the margin is for busy machines
