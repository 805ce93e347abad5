"""Whatever ends a command, `--resume` makes all that is missing of it; what was there stays until there is better."""

import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest
import safetensors.torch
import torch

from heliograph.cli import main
from heliograph.cli.running import run_all
from heliograph.cli.shown import Display
from heliograph.experiments.jobs import Job
from heliograph.importing import looking_in
from heliograph.rllib.failures import RunError
from heliograph.rllib.runs import one_run as training
from heliograph.rllib.runs.checkpoints import (
    CHECKPOINTS,
    check_checkpoint,
    complete_checkpoints,
    iteration_of,
    write_checkpoint,
)
from heliograph.rllib.runs.finished import finished_run, spent
from heliograph.rllib.runs.one_run import train_alone
from heliograph.rllib.runs.plan import PLAN, Plan, read_plan, standing, write_plan
from heliograph.rllib.runs.records import read_progress
from heliograph.rllib.runs.run_lock import claimed
from heliograph.rllib.runs.sweep import Trial, sweep
from heliograph.rllib.runs.train import resume, train
from heliograph.storage.run_folder import RunFolderError, read_config, write_json
from tests.rllib.misbehaving import Grows
from tests.rllib.test_train import FILES, small

TINY = ["model.size=8", "training.num_envs_per_env_runner=4", "training.train_batch_size_per_learner=16"]
TINY += ["training.minibatch_size=8", "training.num_epochs=1"]


@pytest.fixture(autouse=True)
def few_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Teams are judged on a few episodes: which words they get is of no matter here."""
    judged, untrained = training.judged, training.untrained_numbers
    monkeypatch.setattr(training, "judged", lambda run, **how: judged(run, **{**how, "num_episodes": 20}))
    monkeypatch.setattr(training, "untrained_numbers", lambda run, **how: untrained(run, **{**how, "num_episodes": 20}))


class Killed(BaseException):
    """What ends a process in the midst of its work, as nobody catches it."""


def command(*more: str) -> list[str]:
    return ["train", "speaker_listener", "--channel", "symbols", "--jobs", "1", *more, "--set", *TINY]


def killed_in(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the command be killed in its third iteration of that run, counted from 0."""
    begun: list[pathlib.Path] = []

    def watched(settings: Any, *, out: pathlib.Path, on_progress: Callable[[Any], None], **more: Any) -> Any:
        begun.append(out)

        def row(row: dict[str, Any]) -> None:
            on_progress(row)
            if len(begun) == number + 1 and row["iteration"] == 3:
                raise Killed

        return train_alone(settings, out=out, on_progress=row, **more)

    monkeypatch.setattr(training, "train_alone", watched)


def weights(folder: pathlib.Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "team.safetensors")


def same(first: pathlib.Path, second: pathlib.Path) -> bool:
    ours, theirs = weights(first), weights(second)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_controls_that_had_not_begun_are_made(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    begin = ("--controls", "--iterations", "4", "--checkpoint-every", "2")
    assert main(command(*begin, "--out", str(whole))) == 0
    with monkeypatch.context() as patch:
        killed_in(0, patch)
        with pytest.raises(Killed):
            main(command(*begin, "--out", str(broken)))
    assert not (broken / "silent").exists()
    capsys.readouterr()
    assert main(command(*begin, "--out", str(broken))) == 2
    assert f"heliograph train --resume {broken} makes what is missing" in capsys.readouterr().err
    assert main(["train", "--resume", str(broken), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["runs"]) == {"team", "silent", "garbled"} and "team" in found["value_of_communication"]
    for name in ("", "silent", "garbled"):
        assert same(whole / name, broken / name)
        assert [row["iteration"] for row in read_progress(broken / name)] == [1, 2, 3, 4]
    times = [(broken / name / "team.safetensors").stat().st_mtime_ns for name in ("", "silent", "garbled")]
    assert main(["train", "--resume", str(broken), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == found, "nothing is made again"
    assert times == [(broken / name / "team.safetensors").stat().st_mtime_ns for name in ("", "silent", "garbled")]


def test_seeds_that_had_not_begun_are_made(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    begin = ("--seeds", "0", "1", "2", "--iterations", "4", "--out", str(tmp_path))
    with monkeypatch.context() as patch:
        killed_in(1, patch)
        with pytest.raises(Killed):
            main(command(*begin))
    assert {path.name for path in tmp_path.iterdir()} == {PLAN, "seed_0", "seed_1"}
    assert main(command(*begin)) == 2
    assert f"--resume {tmp_path} makes what is missing" in capsys.readouterr().err
    assert main(["train", "--resume", str(tmp_path), "--jobs", "1"]) == 0
    for seed in (0, 1, 2):
        assert json.loads((tmp_path / f"seed_{seed}" / "summary.json").read_text())["stopped_by"] == "iterations"
        assert read_config(tmp_path / f"seed_{seed}")["training"]["seed"] == seed
    assert main(["train", "--resume", str(tmp_path), "--jobs", "1", "--iterations", "5"]) == 0
    for seed in (0, 1, 2):
        assert [row["iteration"] for row in read_progress(tmp_path / f"seed_{seed}")] == [1, 2, 3, 4, 5]
    plan = read_plan(tmp_path)
    assert plan is not None and [job.settings.iterations for job in plan.jobs] == [5, 5, 5]


def test_controls_of_a_run_with_a_goal_take_as_long_as_it_did(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    begin = ("--controls", "--until", "num_env_steps=64", "--out", str(tmp_path))
    with monkeypatch.context() as patch:
        killed_in(1, patch)
        with pytest.raises(Killed):
            main(command(*begin))
    assert not (tmp_path / "garbled").exists()
    assert main(["train", "--resume", str(tmp_path)]) == 0
    for kind in ("silent", "garbled"):
        assert json.loads((tmp_path / kind / "summary.json").read_text())["num_env_steps"] == 64


def test_an_interrupted_command_makes_no_controls_and_says_how_to_go_on(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def interrupted(settings: Any, **more: Any) -> Any:
        return train_alone(settings, stop=lambda: True, **more)

    with monkeypatch.context() as patch:
        patch.setattr(training, "train_alone", interrupted)
        assert main(command("--controls", "--until", "num_env_steps=64", "--out", str(tmp_path))) == 0
    assert not (tmp_path / "silent").exists()
    assert f"not all runs came to their end: heliograph train --resume {tmp_path}" in capsys.readouterr().out


def test_a_plan_is_read_as_it_was_written(tmp_path: pathlib.Path) -> None:
    assert read_plan(tmp_path) is None
    jobs = tuple(Job(name=f"seed_{s}", settings=small(seed=s), out=tmp_path / f"seed_{s}") for s in (0, 1))
    write_plan(tmp_path, Plan(jobs=jobs, controls=("silent", "garbled")))
    assert read_plan(tmp_path) == Plan(jobs=jobs, controls=("silent", "garbled"))
    now = standing(jobs, budget_of=lambda job: {"iterations": 7, "env_steps": None})
    assert not now.done and [(job.settings.iterations, job.resume) for job in now.left] == [(7, False)] * 2
    content = json.loads((tmp_path / PLAN).read_text())
    for runs in ([{**content["runs"][0], "folder": "../elsewhere"}], 3, [{"name": "a"}]):
        write_json(tmp_path / PLAN, {**content, "runs": runs})
        with pytest.raises(RunFolderError, match=r"plan\.json is damaged"):
            read_plan(tmp_path)
    write_json(tmp_path / PLAN, {**content, "format_version": 9})
    with pytest.raises(RunFolderError, match="no plan of runs that this Heliograph reads"):
        read_plan(tmp_path)
    assert main(command("--controls", "--out", str(tmp_path))) == 2
    assert json.loads((tmp_path / PLAN).read_text())["format_version"] == 9


def test_two_commands_do_not_make_the_same_plan(tmp_path: pathlib.Path, capsys: Any) -> None:
    jobs = (Job(name="seed_0", settings=small(), out=tmp_path / "seed_0"),)
    with claimed(write_plan(tmp_path, Plan(jobs=jobs, controls=()))):
        assert main(["train", "--resume", str(tmp_path)]) == 2
    assert "is being written by another process" in capsys.readouterr().err


def test_when_a_budget_is_spent() -> None:
    assert spent({"stopped_by": "until"}, small(iterations=9))
    assert spent({"stopped_by": "iterations", "iterations": 4}, small(iterations=4))
    assert not spent({"stopped_by": "iterations", "iterations": 4}, small(iterations=5))
    assert not spent({"stopped_by": "iterations", "iterations": 4}, small(iterations=None, env_steps=1000))
    assert spent({"stopped_by": "env_steps", "num_env_steps": 64}, small(iterations=None, env_steps=64))


# ---- what was there --------------------------------------------------------------------------------------------------


def test_a_resume_that_fails_deletes_nothing(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(small(), out=tmp_path)
    before = (tmp_path / "summary.json").read_bytes()

    def failing(*given: Any) -> Any:
        raise ValueError("other shapes")

    with monkeypatch.context() as patch:
        patch.setattr(training, "_restored", failing)
        with pytest.raises(ValueError, match="other shapes"):
            resume(tmp_path, iterations=6)
    assert (tmp_path / "summary.json").read_bytes() == before
    there: list[bool] = []
    resume(tmp_path, iterations=5, on_progress=lambda row: there.append((tmp_path / "summary.json").exists()))
    assert there == [False] and (tmp_path / "summary.json").read_bytes() != before


def test_an_environment_that_has_changed_since_is_named(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    train(small(env="tests.rllib.misbehaving:Grows"), out=tmp_path)
    before = (tmp_path / "summary.json").read_bytes()
    assert resume(tmp_path)["iterations"] == 4
    monkeypatch.setattr(Grows, "goals_now", 5)
    told = r"iteration_000004 was written for another .*Grows: what listener, speaker see or do has changed since"
    with pytest.raises(RunFolderError, match=told):
        resume(tmp_path, iterations=6)
    assert json.loads((tmp_path / "summary.json").read_text())["iterations"] == json.loads(before)["iterations"]


def test_a_summary_that_is_no_file_is_not_waited_for(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "summary.json")
    with pytest.raises(RunFolderError, match=r"summary\.json is damaged: .* is no file; delete"):
        finished_run(tmp_path)


def test_a_second_sweep_into_the_same_folder_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / ".sweep").mkdir()
    trial = Trial(name="a", settings=small(), out=tmp_path / "a")
    with claimed(tmp_path), pytest.raises(RunFolderError, match="is being written by another process"):
        sweep([trial], jobs=1, observer=Nobody())
    assert (tmp_path / ".sweep").exists()


class Nobody:
    """Looks on."""

    def start(self, name: str) -> None: ...

    def row(self, name: str, row: Any) -> None: ...

    def end(self, name: str, summary: Any) -> None: ...

    def fail(self, name: str, message: str) -> None: ...


# ---- checkpoints after a million iterations --------------------------------------------------------------------------


def test_checkpoints_are_in_the_order_of_their_numbers(tmp_path: pathlib.Path) -> None:
    def save(path: str) -> None:
        pathlib.Path(path).mkdir()

    for iteration in (999_980, 999_990, 1_000_000, 1_000_010):
        written = write_checkpoint(tmp_path, iteration=iteration, save=save)
        assert complete_checkpoints(tmp_path)[-1] == written
    assert [iteration_of(path) for path in complete_checkpoints(tmp_path)] == [1_000_000, 1_000_010]
    (tmp_path / CHECKPOINTS / "iteration_1000010" / "more").touch()
    with pytest.raises(RunFolderError, match="goes on from iteration_1000000"):
        check_checkpoint(complete_checkpoints(tmp_path)[-1])


# ---- directories and processes ---------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.* changed the working directory:UserWarning")
def test_an_environment_that_changes_directory_does_not_split_a_run(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["train", "tests.rllib.misbehaving:Wanders", "--iterations", "4", "--checkpoint-every", "2", "--out", "run"]
    assert main([*given, "--channel", "symbols", "--set", *TINY]) == 0
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES | {"source"}
    assert [iteration_of(path) for path in complete_checkpoints(tmp_path / "run")] == [2, 4]
    assert not list((tmp_path / "elsewhere").rglob("*.json"))
    for name in ("record", "report"):
        monkeypatch.chdir(tmp_path)
        out = f"{name}_of_it"
        assert main([name, "run", "--trust", "--out", out, "--episodes", "40"]) == 0
        assert (tmp_path / out).exists()
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--resume", "run", "--iterations", "6"]) == 0
    assert [row["iteration"] for row in read_progress(tmp_path / "run")] == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_a_worker_that_is_killed_is_told_in_a_line(tmp_path: pathlib.Path) -> None:
    settings = {"dies": small(env="tests.rllib.misbehaving:Dies", channel="symbols"), "lives": small()}
    jobs = [Job(name=name, settings=each, out=tmp_path / name) for name, each in settings.items()]
    remedy = f"heliograph train --resume {tmp_path}"
    with looking_in(os.getcwd()), Display(settings, err=True) as display, pytest.raises(RunError) as told:
        run_all(jobs, processes=2, display=display, command="test", remedy=remedy)
    assert str(told.value) == (
        f"the process of dies was ended by SIGKILL (killed, or out of memory); {remedy} goes on with it"
    )
    assert (tmp_path / "lives" / "summary.json").exists() and not (tmp_path / "dies" / "summary.json").exists()


def test_a_single_run_has_no_use_for_jobs(tmp_path: pathlib.Path, capsys: Any) -> None:
    assert main(["train", "--resume", str(tmp_path), "--jobs", "2"]) == 2
    assert "--jobs 2" in capsys.readouterr().err
