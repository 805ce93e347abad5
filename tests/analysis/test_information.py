"""What messages tell: the same in training, evaluation and reports, and blind to what must not matter."""

import dataclasses
import math
import pathlib
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.analysis import corpus as corpora
from heliograph.analysis.diagnosis import Diagnosis
from heliograph.analysis.evaluate import evaluate, messages_told, play_run
from heliograph.analysis.information import Utterances, information_in, protocol_statistics
from heliograph.analysis.measures.base import ids_of
from heliograph.analysis.measures.entropy import entropy
from heliograph.analysis.measures.mutual_information import mutual_information
from heliograph.analysis.recording import record
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.models.scripted import ScriptedOutput, say_symbol
from heliograph.rollouts.rollout import Rollout
from heliograph.storage.run_folder import Run
from heliograph.types import Message
from tests.analysis.crowd import babbling, chattering, crowd_run, repeating
from tests.analysis.teams import collapsed, perfect, scripted_run

SHARED = ("num_utterances", "num_meanings", "entropy_bits", "mutual_information_bits")
"""Metrics of one name that training, evaluation and reports all have."""


def untrained_run(env: str, *, model: str = "cnet", channel: str = "symbols", model_settings=None, **settings) -> Run:
    choice = EnvChoice(env=env, settings=settings)
    choices = TeamChoices(model=model, model_settings={"size": 8, **(model_settings or {})}, channel=channel)
    facts = facts_of(build_env(choice, num_envs=1))
    config = {"env": choice.model_dump(), "team": choices.model_dump()}
    team = build_team(choices, facts, seed=0).eval()
    return Run(folder=pathlib.Path("none"), config=config, env=choice, choices=choices, facts=facts, team=team)


@pytest.mark.parametrize(
    "make",
    [
        lambda: scripted_run(rounds=3),
        lambda: crowd_run(chattering, roles=3),
        lambda: crowd_run(repeating, anyone=True),
        lambda: untrained_run("switch_riddle", channel="dru"),
        lambda: untrained_run("predator_prey", channel="continuous", time_limit=4),
        lambda: untrained_run("predator_prey", channel="gated+continuous", model="ic3net", time_limit=4),
        lambda: untrained_run("predator_prey", model="commnet", model_settings={"rounds": 2}, time_limit=4),
    ],
)
def test_a_metric_of_one_name_is_the_same_in_training_evaluation_and_reports(make) -> None:
    run = make()
    played = play_run(run, num_episodes=60)
    in_training, diagnosis = protocol_statistics(run.team, played.rollouts[0])
    corpus = corpora.from_rollouts(run.team, run.facts, played.rollouts, with_attention=False)
    reported, evaluated = messages_told(corpus), evaluate(run, num_episodes=60)
    assert reported["num_utterances"] > 0
    for key in SHARED:
        assert in_training[key] == pytest.approx(reported[key], abs=1e-9), key
        assert evaluated[key] == reported[key], key
    assert diagnosis == evaluated["information"] == reported["information"]


def test_a_report_of_a_role_has_the_numbers_of_the_evaluation() -> None:
    run = crowd_run(chattering)
    played = play_run(run, num_episodes=80)
    corpus = corpora.from_rollouts(run.team, run.facts, played.rollouts)
    whole, role = messages_told(corpus), messages_told(corpus.of_role("r0"))
    assert whole == role


def test_policies_of_a_role_may_have_codes_of_their_own(tmp_path) -> None:
    """Recorded with a corpus; where that is not known, or makes no sense, roles are all that is told apart."""
    whole = corpora.load_corpus(record(crowd_run(chattering), num_episodes=30).save(tmp_path / "corpus"))
    assert whole.metadata["policies"] == ["r0"] * 10 and len(set(whole.groups())) == 1
    for policies, number in ((["a", "b"] * 5, 2), (None, 1), (["a"], 2), ({"a": 3}, 1), ([[3], 4, None], 4), ("ab", 1)):
        other = dataclasses.replace(whole, metadata={**whole.metadata, "policies": policies})
        assert len(set(other.groups())) == number
    earlier = dataclasses.replace(whole, metadata={k: v for k, v in whole.metadata.items() if k != "policies"})
    assert messages_told(earlier) == messages_told(whole)


def utterances(rows: list[tuple[int, int, int, int]]) -> Utterances:
    """From speaker, group, word and meaning of each; -1 is no meaning."""
    columns = np.array(rows)
    speaker, group, said, meant = (ids_of(column) for column in columns.T)
    return Utterances(said=said, meant=meant, speaker=speaker, group=group, knows=columns[:, 3] >= 0)


TOLD = ("entropy_bits", "meaning_entropy_bits", "mutual_information_bits", "num_meanings")
ROW = st.tuples(st.integers(0, 2), st.just(0), st.integers(0, 3), st.integers(0, 2))
ROWS = st.lists(ROW, min_size=40, max_size=80)


def knowing(rows: list) -> list:
    """Each speaker with two meanings at least."""
    return [*rows, *((speaker, 0, 0, meaning) for speaker in range(3) for meaning in range(2))]


@settings(deadline=None, max_examples=30)
@given(ROWS, st.integers(1, 30), st.sampled_from([-1, 0, 7]), st.booleans(), st.integers(0, 99))
def test_those_who_know_nothing_change_nothing(rows, number: int, nothing: int, repeats: bool, seed: int) -> None:
    rows, rng = knowing(rows), np.random.default_rng(seed)
    words = np.zeros((number, 20), dtype=int) if repeats else rng.integers(9, size=(number, 20))
    crowd = [(10 + agent, 0, int(word), nothing) for agent in range(number) for word in words[agent]]
    one, other = (information_in(utterances(some), num_permutations=1) for some in (rows, [*rows, *crowd]))
    for key in TOLD:
        assert getattr(one, key) == pytest.approx(getattr(other, key), abs=1e-9)
    assert one.diagnosis is other.diagnosis


@settings(deadline=None, max_examples=30)
@given(ROWS, st.permutations(range(4)), st.permutations(range(3)), st.permutations(range(3)), st.randoms())
def test_names_and_order_change_nothing(rows, words, agents, meanings, random) -> None:
    rows = knowing(rows)
    other = [(agents[speaker], 0, words[said], meanings[meant]) for speaker, _, said, meant in rows]
    random.shuffle(other)
    one, two = (information_in(utterances(some), num_permutations=1) for some in (rows, other))
    for key in TOLD:
        assert getattr(one, key) == pytest.approx(getattr(two, key), abs=1e-9)


@pytest.mark.parametrize("shifts", [(0, 0, 0), (0, 1, 2)])
def test_roles_may_have_codes_of_their_own(shifts) -> None:
    """Symbol 1 means another thing in each role: within roles everything is told."""
    rows = [(role, role, (meaning + shifts[role]) % 3, meaning) for role in range(3) for meaning in [0, 1, 2] * 20]
    found = information_in(utterances(rows), num_permutations=20)
    assert found.mutual_information_bits == pytest.approx(math.log2(3))
    assert found.diagnosis is Diagnosis.INFORMATIVE


@pytest.mark.parametrize("number", [1, 9, 60])
def test_one_role_that_tells_is_enough(number: int) -> None:
    """The others know something too, and chatter."""
    rng = np.random.default_rng(0)
    rows = [(0, 0, meaning, meaning) for meaning in [0, 1, 2] * 20]
    for role in range(1, number + 1):
        said, meant = rng.integers(3, size=(2, 60))
        rows += [(role, role, int(word), int(meaning)) for word, meaning in zip(said, meant, strict=True)]
    assert information_in(utterances(rows), num_permutations=2).diagnosis is Diagnosis.INFORMATIVE
    assert information_in(utterances(rows[60:]), num_permutations=2).diagnosis is not Diagnosis.INFORMATIVE


def test_agents_of_one_role_may_have_codes_of_their_own() -> None:
    rows = [(agent, 0, (meaning + agent) % 3, meaning) for agent in range(3) for meaning in [0, 1, 2] * 40]
    found = information_in(utterances(rows), num_permutations=2)
    assert found.mutual_information_bits == pytest.approx(0.0, abs=0.02)  # of whoever is not told who speaks
    assert found.diagnosis is Diagnosis.INFORMATIVE


@pytest.mark.parametrize("seed", range(40))
def test_chatter_of_a_crowd_in_which_anyone_may_know_is_babbling(seed: int) -> None:
    """Few utterances of each speaker are about something: that some line up by chance must not count."""
    rng = np.random.default_rng(seed)
    speaker, said = np.tile(np.arange(10), 200), rng.integers(4, size=2000)
    meant = np.where(rng.random(2000) < 0.1, rng.integers(3, size=2000), -1)
    rows = list(zip(speaker.tolist(), [0] * 2000, said.tolist(), meant.tolist(), strict=True))
    assert information_in(utterances(rows), num_permutations=1).diagnosis is Diagnosis.BABBLING


@pytest.mark.parametrize("size", [2, 10, 40])
@pytest.mark.parametrize("function", [chattering, repeating])
@pytest.mark.parametrize("settings_", [{}, {"nothing": 0}, {"anyone": True}, {"roles": 2}])
def test_one_who_knows_and_says_it_is_heard_among_many(size: int, function, settings_) -> None:
    """In training's warnings too, which take the same diagnosis."""
    run = crowd_run(function, size=size, **settings_)
    rollout = play_run(run, num_episodes=300).rollouts[0]
    statistics, diagnosis = protocol_statistics(run.team, rollout)
    assert diagnosis is Diagnosis.INFORMATIVE
    if not settings_.get("anyone"):
        assert statistics["mutual_information_bits"] == pytest.approx(math.log2(3), abs=0.02)


def test_a_crowd_that_says_nothing_of_it_babbles() -> None:
    for settings_ in ({}, {"anyone": True}):
        run = crowd_run(babbling, **settings_)
        assert protocol_statistics(run.team, play_run(run, num_episodes=600).rollouts[0])[1] is Diagnosis.BABBLING


def rollout_of(said: torch.Tensor, meant: torch.Tensor) -> tuple[Run, Rollout]:
    """A rollout of 2 steps, in which both agents of all copies always spoke: said [2, B, 2, L], meant [2, B, 2, Z]."""
    run = scripted_run()
    base = play_run(run, num_episodes=said.shape[1]).rollouts[0]
    message = Message(payload=torch.ones(*said.shape[:3], 1), symbols=said, bits=torch.ones(said.shape[:3]))
    return run, dataclasses.replace(base, messages=(message,), meaning=meant, speaking=torch.ones_like(base.speaking))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_statistics_equal_the_measures(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    said = torch.randint(3, (2, 13, 2, 2), generator=generator)
    meant = torch.randint(-1, 2, (2, 13, 2, 2), generator=generator)
    rows, meanings, role = said.flatten(0, 2).numpy(), meant.flatten(0, 2).numpy(), ["speaker", "listener"] * 26
    run, rollout = rollout_of(said, meant)
    found, _ = protocol_statistics(run.team, rollout)
    assert found["mutual_information_bits"] == pytest.approx(mutual_information(rows, meanings, given=role), abs=1e-9)
    apart = [entropy(rows[start::2]) for start in (0, 1)]
    assert found["entropy_bits"] == pytest.approx(sum(apart) / 2, abs=1e-9)


def test_chance_is_what_nonsense_has_and_a_code_exceeds() -> None:
    generator = torch.Generator().manual_seed(0)
    meant = torch.randint(30, (2, 400, 2, 1), generator=generator)
    mixed = meant[torch.tensor([1, 0])][:, torch.randperm(400, generator=generator)]
    made = [rollout_of(mixed, meant), rollout_of(meant + 3, meant)]
    (nonsense, one), (code, other) = (protocol_statistics(run.team, rollout) for run, rollout in made)
    chance = code["mutual_information_chance_bits"]
    assert nonsense["mutual_information_bits"] == pytest.approx(chance, rel=0.1)
    assert chance == pytest.approx(29 * 29 / (2 * 800 * math.log(2)), rel=0.2)
    assert (one, other) == (Diagnosis.BABBLING, Diagnosis.INFORMATIVE)


@pytest.mark.parametrize(("function", "expected"), [(perfect, Diagnosis.INFORMATIVE), (collapsed, Diagnosis.COLLAPSED)])
def test_scripted_protocols_are_recognised(function, expected) -> None:
    run = scripted_run(function)
    found, diagnosis = protocol_statistics(run.team, play_run(run, num_episodes=300).rollouts[0])
    assert (found["num_utterances"], diagnosis) == (300, expected)


def test_a_silent_team_has_no_statistics() -> None:
    run = scripted_run(channel="none")
    found = protocol_statistics(run.team, play_run(run, num_episodes=8).rollouts[0])
    assert found == ({"num_utterances": 0, "num_meanings": 0}, Diagnosis.SILENT)


def in_a_vector(inputs, memory, heard) -> ScriptedOutput:
    """The channel makes of it tanh(2 + one-hot(goal))."""
    seen = inputs.observation
    said, action = seen.new_zeros(*seen.shape[:-1], 4), seen.new_zeros(*seen.shape[:-1], 1)
    if seen.shape[-1] == 3:
        said[..., :3] = 2 + seen
    else:
        action = say_symbol(seen[..., 0].long() if heard is None else heard.total()[..., :3].argmax(-1), 3)
    return ScriptedOutput(action_inputs=action, channel_input=said, memory=seen.new_zeros(*seen.shape[:-1], 0))


def behind_a_gate(inputs, memory, heard) -> ScriptedOutput:
    """The same, with a gate that is always open."""
    out = in_a_vector(inputs, memory, heard)
    gate = out.channel_input.new_tensor([-9.0, 9.0]).expand(*out.channel_input.shape[:-1], 2)
    return dataclasses.replace(out, channel_input=torch.cat([out.channel_input, gate], -1))


@pytest.mark.parametrize(("function", "channel"), [(in_a_vector, "continuous"), (behind_a_gate, "gated+continuous")])
def test_a_vector_is_not_read_by_its_signs(function, channel: str) -> None:
    run = scripted_run(f"{__name__}:{function.__name__}", channel=channel)
    found = evaluate(run, num_episodes=300)
    assert found["episode_return_mean"] == 1.0
    assert found["mutual_information_bits"] == pytest.approx(math.log2(3), abs=0.02)
    assert found["information"] == Diagnosis.INFORMATIVE
    statistics, diagnosis = protocol_statistics(run.team, play_run(run, num_episodes=300).rollouts[0])
    assert statistics["mutual_information_bits"] == found["mutual_information_bits"]
    assert diagnosis is Diagnosis.INFORMATIVE


def test_statistics_cost_little() -> None:
    generator = torch.Generator().manual_seed(0)
    said, meant = (torch.randint(8, (2, 1024, 2, size), generator=generator) for size in (3, 2))
    run, rollout = rollout_of(said, meant)
    seconds = []
    for _ in range(10):
        start = time.process_time()
        protocol_statistics(run.team, rollout)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.05  # of this process; measured: 10 ms for 4096 words of three symbols
