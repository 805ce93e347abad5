"""Trials of a sweep that share a process: each comes to what it comes to alone, and none ends another."""

import pathlib
from collections.abc import Mapping
from typing import Any

from heliograph.cli.trial_processes import made_here
from heliograph.experiments.settings import TrainSettings
from heliograph.rllib.runs.sweep import Halving, Trial, finished_trial
from heliograph.rllib.runs.train import train
from heliograph.storage.progress_file import read_progress
from tests.rllib.test_train import small

TROUBLE = '''
import os
import random

import numpy as np
import torch

from heliograph.envs.speaker_listener import SpeakerListener


class Raises(SpeakerListener):
    """Leaves every random stream of the process elsewhere, and then fails."""

    def advance(self, state, actions):
        for stream in (random.seed, np.random.seed, torch.manual_seed):
            stream(7)
        raise LookupError("there is no such light")


class Ends(SpeakerListener):
    """Ends the whole process."""

    def advance(self, state, actions):
        os._exit(3)
'''


class Noted:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.ended: list[str] = []
        self.failed: dict[str, str] = {}

    def start(self, name: str) -> None:
        self.started.append(name)

    def row(self, name: str, row: Mapping[str, Any]) -> None: ...

    def end(self, name: str, summary: Mapping[str, Any]) -> None:
        self.ended.append(name)

    def fail(self, name: str, message: str) -> None:
        self.failed[name] = message

    def say(self, text: str) -> None: ...


def test_trials_of_one_process_come_to_what_they_come_to_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "trouble.py").write_text(TROUBLE)
    chosen: dict[str, TrainSettings] = {
        "first": small(seed=4, iterations=2),
        "raises": small(env=f"{tmp_path}/trouble.py:Raises"),
        "second": small(seed=5, iterations=2),
        "ends": small(env=f"{tmp_path}/trouble.py:Ends"),
        "third": small(seed=6, iterations=2, channel="symbols"),
    }
    trials = [Trial(name=name, settings=settings, out=tmp_path / "sweep" / name) for name, settings in chosen.items()]
    noted = Noted()
    how: dict[str, Any] = {"scheduler": "none", "metric": "episode_return_mean", "grace_iterations": 1}
    failures = made_here(trials, jobs=1, watcher=noted, resumed=False, **how)
    assert noted.started == list(chosen) and noted.ended == ["first", "second", "third"]
    assert failures == noted.failed and failures.keys() == {"raises", "ends"}
    assert "there is no such light" in failures["raises"] and "exit code 3" in failures["ends"]
    for name in noted.ended:
        alone, shared = tmp_path / name, tmp_path / "sweep" / name
        train(chosen[name], out=alone)
        assert (alone / "team.safetensors").read_bytes() == (shared / "team.safetensors").read_bytes()
        rows = [[row["episode_return_mean"] for row in read_progress(folder)] for folder in (alone, shared)]
        assert rows[0] == rows[1] and len(rows[0]) == 2
    assert [finished_trial(trial) is not None for trial in trials] == [True, False, True, False, True]


def test_a_weak_trial_is_judged_to_end(tmp_path: pathlib.Path) -> None:
    trials = [Trial(name=name, settings=small(iterations=9), out=tmp_path / name) for name in "abcde"]
    judge = Halving(trials, metric="success_rate", grace_iterations=2)
    assert judge("a", {"iteration": 1, "success_rate": 0.0}) is None, "not before its grace is over"
    assert judge("a", {"iteration": 2, "success_rate": None}) is None, "what was not measured decides nothing"
    for name in "abcd":
        assert judge(name, {"iteration": 2, "success_rate": 0.9}) is None
    assert judge("e", {"iteration": 2, "success_rate": 0.1}) == "asha"
