"""A sweep leaves ordinary run folders, is compared, stops weak trials whole, and goes on where it was."""

import json
import pathlib
from typing import Any

import pytest
from ray.tune.schedulers import TrialScheduler

from heliograph.analysis.evaluate import evaluate
from heliograph.cli import arguments, main
from heliograph.cli.choosing import _set
from heliograph.cli.grid import combinations, parse_grid, split_values, trial_name
from heliograph.registry import UnknownNameError
from heliograph.rllib.runs.sweep import (
    SCHEDULERS,
    Trial,
    Unfinished,
    _Asking,
    _made,
    check_trials,
    finished_trial,
    refuse_others,
)
from heliograph.rllib.runs.train import train
from heliograph.storage.run_folder import RunFolderError, read_run, write_json
from tests.rllib.test_train import FILES, small

TINY = ["model.size=8", "training.num_envs_per_env_runner=32", "training.train_batch_size_per_learner=64"]
TINY += ["training.minibatch_size=64"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray Tune, about its own parts
def test_a_grid_of_two_settings_and_two_seeds(ray_session: None, tmp_path: pathlib.Path, capsys: Any) -> None:
    out = tmp_path / "sweep"
    command = ["sweep", "speaker_listener", "--grid", "training.lr=1e-3,1e-2", "--seeds", "0", "1", "--iterations", "2"]
    command += ["--scheduler", "asha", "--grace", "1", "--jobs", "2", "--set", *TINY, "--out", str(out), "--json"]
    assert main(command) == 0
    said, progress = capsys.readouterr()
    found = json.loads(said)
    names = [f"training.lr={lr},seed={seed}" for seed in (0, 1) for lr in ("1e-3", "1e-2")]
    assert [trial["name"] for trial in found["trials"]] == names
    assert {path.name for path in out.iterdir()} == {*names, "compare.html", "sweep.json"}
    for trial in found["trials"]:
        folder = pathlib.Path(trial["folder"])
        assert {path.name for path in folder.iterdir()} == FILES
        assert trial["stopped_by"] == ("asha" if trial["iterations"] == 1 else "iterations")
        assert evaluate(read_run(folder), num_episodes=5)["num_episodes"] == 5
    assert [group["num_seeds"] for group in found["comparison"]["groups"]] == [2, 2]
    assert "trials=4/4" in progress
    weights = [(out / name / "team.safetensors").stat().st_mtime_ns for name in names]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["comparison"] == found["comparison"]
    assert [(out / name / "team.safetensors").stat().st_mtime_ns for name in names] == weights, "nothing is made again"
    assert main([*command, "--set", "model.layers=2"]) == 2
    assert "choose another --out" in capsys.readouterr().err


def test_an_interrupted_trial_goes_on_to_the_same_weights(ray_session: None, tmp_path: pathlib.Path) -> None:
    settings = small(checkpoint_every=1)
    whole, cut = (Trial(name=name, settings=settings, out=tmp_path / name) for name in ("whole", "cut"))
    train(settings, out=whole.out)
    rows: list[Any] = []
    train(settings, out=cut.out, on_progress=rows.append, stop=lambda: len(rows) == 2)
    assert len(rows) == 2 and finished_trial(cut) is None
    job = {"settings": settings.model_dump(mode="json"), "out": str(cut.out), "command": None}
    _made({**job, "unfinished": Unfinished.RESUMED.value}, on_progress=rows.append)
    assert [row["iteration"] for row in rows] == [1, 2, 3, 4] and finished_trial(cut) is not None
    assert (cut.out / "team.safetensors").read_bytes() == (whole.out / "team.safetensors").read_bytes()
    _made({**job, "unfinished": Unfinished.ANEW.value}, on_progress=rows.append)
    assert [row["iteration"] for row in rows[4:]] == [1, 2, 3, 4]


def test_a_run_says_why_it_was_stopped(ray_session: None, tmp_path: pathlib.Path) -> None:
    assert train(small(), out=tmp_path, stop=lambda: "asha")["stopped_by"] == "asha"


class Trialish:
    """What the scheduler sees of a trial of Tune's."""

    trial_id = "1"
    config = {"job": {"name": "weak"}}  # noqa: RUF012


class Strict(TrialScheduler):
    """Stops everything."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        return TrialScheduler.STOP


def test_a_weak_trial_is_asked_to_end_and_not_killed(tmp_path: pathlib.Path) -> None:
    asking = _Asking(inner=Strict(), name="asha", folder=tmp_path)
    assert asking.on_trial_result(None, Trialish(), {"score": None}) == TrialScheduler.CONTINUE
    assert not list(tmp_path.iterdir()), "what was not measured decides nothing"
    assert asking.on_trial_result(None, Trialish(), {"score": 0.0}) == TrialScheduler.CONTINUE
    assert (tmp_path / "weak").read_text() == "asha"


def test_what_is_finished_and_what_is_not(tmp_path: pathlib.Path) -> None:
    trial = Trial(name="a", settings=small(), out=tmp_path)
    assert finished_trial(trial) is None
    for reason, whole in (("asha", True), ("iterations", True), ("interrupt", False)):
        write_json(tmp_path / "summary.json", {"stopped_by": reason})
        assert (finished_trial(trial) is not None) == whole
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(RunFolderError, match=r"summary\.json is damaged"):
        finished_trial(trial)
    refuse_others(trial)
    config = {"format_version": 1, "env": {}, "team": {}, "training": small(iterations=9).model_dump(mode="json")}
    write_json(tmp_path / "config.json", config)
    with pytest.raises(RunFolderError, match="iterations=9, not 4"):
        refuse_others(trial)


def test_what_cannot_be_swept_is_refused(tmp_path: pathlib.Path) -> None:
    trial = Trial(name="a", settings=small(num_env_runners=1), out=tmp_path)
    with pytest.raises(ValueError, match="num_env_runners"):
        check_trials([trial], scheduler="none", metric="episode_return_mean", on_cluster=True)
    check_trials([trial], scheduler="none", metric="episode_return_mean")
    assert SCHEDULERS == arguments.SCHEDULERS
    with pytest.raises(UnknownNameError, match="'asha'"):
        check_trials([], scheduler="asa", metric="episode_return_mean")
    with pytest.raises(UnknownNameError, match="'success_rate'"):
        check_trials([], scheduler="asha", metric="success")


def test_the_coefficient_of_a_loss_is_set_beside_the_others() -> None:
    settings = {"losses": ["imitation", ["positive_signalling", 0.1, {"target_nats": 0.5}]]}
    _set(settings, ["loss.positive_signalling=0.3", "loss.message_cost=[[0, 0.0], [100, 1.0]]"])
    kept = ["positive_signalling", 0.3, {"target_nats": 0.5}]
    assert settings["losses"] == ["imitation", kept, ["message_cost", [[0, 0.0], [100, 1.0]]]]


def test_a_grid_is_read_as_it_is_typed() -> None:
    assert split_values('1e-3,[64,64],{"a":1,"b":2},"x,y",dru') == ["1e-3", "[64,64]", '{"a":1,"b":2}', '"x,y"', "dru"]
    grid = parse_grid(["channel=dru,symbols", "training.lr=1,2"])
    found = combinations(grid)
    assert len(found) == 4 and found[1] == (("channel", "dru"), ("training.lr", "2"))
    assert trial_name(found[1], 7, place=1) == "channel=dru,training.lr=2,seed=7"
    assert trial_name((("env.x", "a/b c"),), 0, place=0) == "env.x=a-b-c,seed=0"
    assert len(trial_name((("env.x", "y" * 300),), 0, place=3)) < 255
    with pytest.raises(ValueError, match="given twice"):
        parse_grid(["channel=dru", "channel=symbols"])
