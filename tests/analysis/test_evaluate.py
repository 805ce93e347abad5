"""Evaluation: known scores for known protocols, decided by the seed, fresh, quick, and ready for JSON."""

import json
import math
import time
from typing import Any

import pytest
import torch

from heliograph.analysis import evaluate as evaluation
from heliograph.analysis.corpus import Corpus
from heliograph.analysis.evaluate import FRESH, evaluate, play_run, value_of_communication
from heliograph.analysis.recording import record
from heliograph.experiments.choices import build_env
from heliograph.storage.run_folder import RunFolderError, read_run
from heliograph.types import Choice
from tests.analysis.teams import collapsed, scripted_run

GUESS = -1 / 3


def test_a_perfect_protocol() -> None:
    found = evaluate(scripted_run(), num_episodes=600)
    assert (found["episode_return_mean"], found["episode_return_se"], found["success_rate"]) == (1.0, 0.0, 1.0)
    assert (found["normalised_return"], found["num_episodes"], found["episode_len_mean"]) == (1.0, 600, 2.0)
    assert (found["messages_per_episode"], found["bits_per_message"], found["num_meanings"]) == (1.0, 2.0, 3)
    assert found["entropy_bits"] == found["mutual_information_bits"] == pytest.approx(math.log2(3), abs=0.01)
    assert found["mutual_information_baseline_bits"] < 0.02
    assert found["mutual_information_p_value"] == pytest.approx(1 / 201)
    assert (found["information"], found["diagnosis"]) == ("above_chance", "unknown")  # nobody asked the hearers
    assert "resampled" in found["diagnosis_means"]


def test_one_symbol_for_all() -> None:
    found = evaluate(scripted_run(collapsed), num_episodes=900)
    assert abs(found["episode_return_mean"] - GUESS) < 4 * found["episode_return_se"]
    assert found["success_rate"] == pytest.approx((found["episode_return_mean"] + 1) / 2)
    assert (found["entropy_bits"], found["mutual_information_bits"]) == (0.0, 0.0)
    assert found["diagnosis"] == "collapsed"


def test_a_silent_team_has_no_statistics_of_messages() -> None:
    found = evaluate(scripted_run(channel="none"), num_episodes=50)
    assert found["num_utterances"] == 0
    assert found["entropy_bits"] is found["mutual_information_bits"] is found["bits_per_message"] is None
    assert found["diagnosis"] == "silent"


def test_it_is_json_and_decided_by_the_seed() -> None:
    run = scripted_run(channel="garbled+symbols")
    one, again, other = (
        evaluate(run, num_episodes=200, choice=Choice.SAMPLED, seed=seed, num_envs=64) for seed in (4, 4, 5)
    )
    assert json.loads(json.dumps(one)) == one == again
    assert one["episode_return_mean"] != other["episode_return_mean"]


def test_exactly_so_many_episodes() -> None:
    played = play_run(scripted_run(), num_episodes=70, num_envs=32)
    assert len(played.episodes) == 70
    assert sum(r.num_envs for r in played.rollouts) == 70
    with pytest.raises(ValueError, match="num_episodes=0"):
        play_run(scripted_run(), num_episodes=0)
    assert evaluate(scripted_run(), num_episodes=1)["episode_return_se"] is None


def test_evaluation_does_not_replay_the_episodes_of_training() -> None:
    run = scripted_run(rounds=8)
    played = play_run(run, num_episodes=16, seed=0).rollouts[0]
    for seed in (0, 1):
        training = build_env(run.env, num_envs=16, seed=seed).reset()
        assert not torch.equal(training.meaning, played.meaning[0])
    assert torch.equal(build_env(run.env, num_envs=16, seed=FRESH).reset().meaning, played.meaning[0])


def test_measures_are_taken_from_the_first_utterances_and_counts_from_all(monkeypatch: pytest.MonkeyPatch) -> None:
    run = scripted_run()
    whole = evaluate(run, num_episodes=500, num_envs=64)
    rows, make = [], evaluation.corpora.from_rollouts

    def counting(*args: Any, **settings: Any) -> Corpus:
        corpus = make(*args, **settings)
        rows.append(len(corpus))
        return corpus

    monkeypatch.setattr(evaluation.corpora, "from_rollouts", counting)
    monkeypatch.setattr(evaluation, "MAX_MEASURED", 100)
    part = evaluate(run, num_episodes=500, num_envs=64)
    assert (rows[0], part["num_utterances"]) == (100, 500)
    counts = ("num_utterances", "messages_per_episode", "episode_return_mean", "bits_per_message")
    assert all(part[key] == whole[key] for key in counts)
    assert part["entropy_bits"] != whole["entropy_bits"]


@pytest.mark.parametrize("reads", [evaluate, evaluation.interventions_table, record])
def test_nothing_that_was_seen_fills_the_memory(reads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, play = [], evaluation.play_episodes

    def watching(*args: Any, **how: Any) -> Any:
        episodes, rollouts = play(*args, **how)
        kept.extend(rollout.observations for rollout in rollouts)
        return episodes, rollouts

    monkeypatch.setattr(evaluation, "play_episodes", watching)
    reads(scripted_run(), num_episodes=10)
    assert kept and all(seen == {} for seen in kept)


def test_a_run_is_read_from_its_folder(tmp_path) -> None:
    scripted_run(folder=tmp_path)
    with pytest.raises(RunFolderError, match="would import code"):
        read_run(tmp_path)
    run = read_run(tmp_path, trust=True)
    assert evaluate(run, num_episodes=100)["episode_return_mean"] == 1.0
    assert len(record(run, num_episodes=10, out=tmp_path / "corpus")) == 10


def test_a_thousand_episodes_take_less_than_two_seconds() -> None:
    run = scripted_run()
    start = time.perf_counter()
    evaluate(run, num_episodes=1000)
    assert time.perf_counter() - start < 2.0


def test_value_of_communication() -> None:
    assert value_of_communication(1.0, silent=GUESS, full_information=1.0) == 1.0
    assert value_of_communication(GUESS, silent=GUESS, full_information=1.0) == 0.0
    assert value_of_communication(0.5, silent=1.0, full_information=1.0) is None
