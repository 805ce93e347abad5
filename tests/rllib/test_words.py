"""What training calls a protocol: an untrained team is not used, and its bits stand beside those of the trained."""

import json
import pathlib
from typing import Any

import pytest

from heliograph.analysis.judging import FIRST_WEIGHTS, untrained
from heliograph.cli import main
from heliograph.experiments.settings import settings_from
from heliograph.rllib.runs.train import resume, train
from heliograph.storage.run_folder import read_config, read_run

ONE_UPDATE = {
    "model_settings": {"size": 16},
    "algorithm_settings": {
        "lr": 1e-9, "num_envs_per_env_runner": 128, "train_batch_size_per_learner": 512, "minibatch_size": 512,
    },
    "iterations": 1,
    "evaluation_episodes": 200,
}  # fmt: skip
BITS = "mutual_information_bits"


@pytest.mark.parametrize(("channel", "seed"), [("symbols", 0), ("continuous", 1)])
def test_a_team_that_learnt_nothing_is_not_called_used(channel: str, seed: int, tmp_path: pathlib.Path) -> None:
    found = train(settings_from({**ONE_UPDATE, "channel": channel, "seed": seed}), out=tmp_path / "run")
    assert found["information"] == "above_chance" and found[BITS] > 0.5  # any net tells something
    assert found["diagnosis"] in ("unheard", "redundant")
    assert found[f"{BITS}_untrained"] == pytest.approx(found[BITS], abs=0.05)
    kept = read_config(tmp_path / "run")[FIRST_WEIGHTS]
    assert kept[BITS] == found[f"{BITS}_untrained"]


def test_the_word_and_the_untrained_bits_are_where_one_reads(tmp_path: pathlib.Path, capsys: Any) -> None:
    out = str(tmp_path / "run")
    sizes = [f"{section}.{key}={value}" for section, key, value in (
        ("model", "size", 16), ("training", "lr", 1e-9), ("training", "num_envs_per_env_runner", 128),
        ("training", "train_batch_size_per_learner", 512), ("training", "minibatch_size", 512),
    )]  # fmt: skip
    told = ["train", "speaker_listener", "--iterations", "1", "--out", out]
    assert main([*told, "--set", *sizes]) == 0
    _, row = (line for line in capsys.readouterr().out.splitlines() if "  " in line)
    run = read_run(out)
    bits = untrained(run, num_episodes=1000)
    assert bits is not None and f"(untrained {bits[BITS]:.2f})" in row
    assert row.split()[-1] == "unheard"
    assert main(["evaluate", out, "--episodes", "200", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["diagnosis"], found[f"{BITS}_untrained"]) == ("unheard", bits[BITS])
    assert main(["evaluate", out, "--episodes", "200", "--messages", "resampled", "--json"]) == 0
    replaced = json.loads(capsys.readouterr().out)
    assert replaced[BITS] == found[BITS] > 10 * replaced[f"heard_{BITS}"]
    assert 0.2 < replaced["replaced_share"] < 0.9 and replaced["diagnosis"] == "unknown"


def test_a_resumed_run_remembers_its_first_weights(tmp_path: pathlib.Path) -> None:
    first = train(settings_from({**ONE_UPDATE, "iterations": 2}), out=tmp_path / "run")
    again = resume(tmp_path / "run", iterations=3)
    assert {k: v for k, v in first.items() if k.endswith("_untrained")} == {
        k: v for k, v in again.items() if k.endswith("_untrained")
    }
