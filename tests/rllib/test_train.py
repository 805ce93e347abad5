import json
import pathlib
import subprocess
import threading
from typing import Any

import pytest
import safetensors.torch
import torch

from heliograph.analysis.evaluate import evaluate
from heliograph.analysis.exact import exact_return
from heliograph.cli import main, training
from heliograph.cli.running import run_all
from heliograph.cli.shown import Display
from heliograph.experiments.jobs import Job
from heliograph.experiments.settings import COLUMNS, TrainSettings, control_of, settings_from
from heliograph.hardware import num_cores
from heliograph.registry import UnknownNameError
from heliograph.rllib.runs.bench import measure
from heliograph.rllib.runs.checkpoints import complete_checkpoints, write_checkpoint
from heliograph.rllib.runs.records import ProgressWriter, read_progress
from heliograph.rllib.runs.train import config_of, resume, train
from heliograph.rollouts.statistics import OF_AGENT, OF_ROLE
from heliograph.storage.run_folder import RunFolderError, read_config, read_run

SMALL = {
    "model_settings": {"size": 8},
    "algorithm_settings": {
        "num_envs_per_env_runner": 32,
        "train_batch_size_per_learner": 64,
        "minibatch_size": 32,
        "num_epochs": 1,
    },
    "evaluation_episodes": 20,
    "checkpoint_every": 2,
}
FILES = {"config.json", "progress.csv", "summary.json", "team.safetensors", "checkpoints", "tensorboard"}
KEYS = {
    "episode_return_mean", "success_rate", "normalised_return", "entropy_bits", "mutual_information_bits",
    "wall_seconds", "num_env_steps", "env_steps_per_second", "versions", "seed", "command", "stopped_by",
}  # fmt: skip


def small(**changes: Any) -> TrainSettings:
    return settings_from({**SMALL, "iterations": 4, **changes})


def weights(folder: pathlib.Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "team.safetensors")


def test_a_run_leaves_a_whole_folder(ray_session: None, tmp_path: pathlib.Path) -> None:
    rows: list[dict[str, Any]] = []
    summary = train(small(seed=3), out=tmp_path / "run", on_progress=rows.append, command="as typed")
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES
    assert summary == json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary.keys() >= KEYS
    assert (summary["seed"], summary["command"], summary["num_env_steps"]) == (3, "as typed", 256)
    more = {"lr/speaker", "lr/listener", "coefficient_entropy", "coefficient_message_entropy"}
    returns = {f"{of}{name}{end}" for of, end in ((OF_ROLE, ""), (OF_AGENT, "_0")) for name in ("speaker", "listener")}
    assert list(rows[0])[: len(COLUMNS)] == list(COLUMNS) and set(rows[0]) == {*COLUMNS, *more, *returns}
    assert [row["num_env_steps"] for row in rows] == [64, 128, 192, 256]
    assert read_progress(tmp_path / "run") == rows
    assert len(complete_checkpoints(tmp_path / "run")) == 2
    assert list((tmp_path / "run" / "tensorboard").glob("events.out.tfevents.*"))
    config = read_config(tmp_path / "run")
    assert settings_from(config["training"]) == small(seed=3) and {"torch", "ray"} <= config["versions"].keys()
    again = evaluate(read_run(tmp_path / "run"), num_episodes=20, seed=3)
    assert again["episode_return_mean"] == summary["episode_return_mean"]


def test_a_run_is_evaluated_on_the_way_and_stops_when_good_enough(ray_session: None, tmp_path: pathlib.Path) -> None:
    rows: list[dict[str, Any]] = []
    riddle = {"env": "switch_riddle", "until": {"evaluation_return_mean": -1.0}, "evaluate_every": 2}
    summary = train(small(**riddle), out=tmp_path / "run", on_progress=rows.append)
    assert (summary["stopped_by"], summary["iterations"]) == ("until", 2)
    assert rows[0]["evaluation_return_mean"] is None
    team = read_run(tmp_path / "run")
    exact = exact_return(team.team, team.env)  # over all 729 visiting sequences
    assert rows[1]["evaluation_return_mean"] == pytest.approx(exact)
    assert rows[1]["evaluation_normalised_return"] == pytest.approx(exact / (20 / 27))
    assert read_progress(tmp_path / "run") == rows
    plain = {key: value for key, value in riddle.items() if key == "env"} | {"iterations": 2}
    train(small(**plain), out=tmp_path / "plain")  # evaluation changes nothing of the training
    first, second = weights(tmp_path / "run"), weights(tmp_path / "plain")
    assert all(torch.equal(value, second[key]) for key, value in first.items())


def test_a_resumed_run_ends_where_an_unbroken_one_does(ray_session: None, tmp_path: pathlib.Path) -> None:
    train(small(), out=tmp_path / "whole")
    stop = threading.Event()
    broken = train(small(), out=tmp_path / "broken", on_progress=lambda row: stop.set(), stop=stop.is_set)
    assert (broken["stopped_by"], broken["num_env_steps"]) == ("interrupt", 64)
    resumed = resume(tmp_path / "broken")
    assert (resumed["stopped_by"], resumed["num_env_steps"]) == ("iterations", 256)
    rows = read_progress(tmp_path / "broken")
    assert [row["iteration"] for row in rows] == [1, 2, 3, 4]
    assert [row["total_loss"] for row in rows] == [row["total_loss"] for row in read_progress(tmp_path / "whole")]
    first, second = weights(tmp_path / "whole"), weights(tmp_path / "broken")
    assert all(torch.equal(first[name], second[name]) for name in first)
    longer = resume(tmp_path / "broken", env_steps=300)
    assert longer["num_env_steps"] == 320 and longer["stopped_by"] == "env_steps"
    assert read_config(tmp_path / "broken")["training"]["env_steps"] == 300


def test_training_stops_where_a_metric_is_reached(ray_session: None, tmp_path: pathlib.Path) -> None:
    summary = train(small(until={"episode_return_mean": -1.0, "seconds": 0.0}), out=tmp_path / "run")
    assert (summary["stopped_by"], summary["iterations"]) == ("until", 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ray.data warns of its own defaults
def test_remote_runners_and_learners(ray_session: None, tmp_path: pathlib.Path) -> None:
    remote = small(iterations=1, num_env_runners=1, num_learners=1)
    assert train(remote, out=tmp_path / "run")["num_env_steps"] >= 64
    fresh = read_run(tmp_path / "run").team.state_dict()
    assert all(torch.isfinite(tensor).all() for tensor in fresh.values())


def test_the_command_trains_and_refuses_to_overwrite(ray_session: None, tmp_path: pathlib.Path, capsys: Any) -> None:
    command = ["train", "identity", "--channel", "none", "--iterations", "1", "--out", str(tmp_path / "run"), "--set"]
    command += [f"training.{key}={value}" for key, value in SMALL["algorithm_settings"].items()]  # type: ignore[attr-defined]
    assert main([*command, "model.size=8", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["num_env_steps"] == 64
    assert "iteration=1/1" in err and "env_steps_per_second=" in err and "seconds_left=" in err
    assert main([*command, "model.size=8"]) == 2
    assert "--resume" in capsys.readouterr().err


@pytest.mark.slow
def test_the_demo_compares_four_teams_and_can_be_repeated(
    ray_session: None, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    tiny, riddle = {**SMALL, "iterations": 1}, {"model_settings": {"size": 8}, "iterations": 1, "evaluate_every": 1}

    def smaller(given: dict[str, Any]) -> TrainSettings:
        return settings_from({**given, **(tiny if given["algorithm"] == "ppo" else riddle)})

    monkeypatch.setattr(training, "settings_from", smaller)
    command = ["demo", "--out", str(tmp_path), "--jobs", "1"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["runs"]) == ["dru", "garbled", "silent", "symbols"]
    assert found["riddle"]["protocol"]["num_episodes"] == 729 and found["riddle"]["episode"]["rows"]
    told = {"episode_return_mean", "success_rate", "value_of_communication", "entropy_bits"}
    told |= {"mutual_information_bits", "mutual_information_baseline_bits", "episode_return_mean_resampled"}
    assert all(found["runs"][name].keys() >= told for name in ("dru", "symbols"))
    assert found["report"] == str(tmp_path / "report.html") and (tmp_path / "report.html").exists()
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
    out = capsys.readouterr().out
    assert "no-communication control" in out and out.splitlines()[-1] == f"Open {tmp_path / 'report.html'}"


def test_nothing_is_overwritten_unless_it_is_said(tmp_path: pathlib.Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RunFolderError, match="holds a run already"):
        train(small(), out=tmp_path)
    with pytest.raises(RunFolderError, match="format_version"):
        train(small(), out=tmp_path, overwrite=True)


def test_controls_have_the_same_budget(tmp_path: pathlib.Path) -> None:
    settings = small(channel="symbols", channel_settings={"vocabulary": 5}, seed=4)
    silent, garbled = control_of(settings, "silent"), control_of(settings, "garbled")
    assert (silent.channel, silent.channel_settings) == ("none", {})
    assert (garbled.channel, garbled.channel_settings) == ("garbled+symbols", {"vocabulary": 5})
    same = settings.model_dump(exclude={"channel", "channel_settings"})
    assert all(control.model_dump(exclude={"channel", "channel_settings"}) == same for control in (silent, garbled))
    until = settings.model_copy(update={"until": {"success_rate": 1.0}})
    control = control_of(until, "silent", env_steps=128)
    assert (control.until, control.iterations, control.env_steps) == ({}, None, 128)
    assert config_of(silent).choices().channel == "none"


@pytest.mark.slow
@pytest.mark.ray
def test_processes_train_side_by_side_and_one_that_fails_leaves_the_others(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [Job(name=str(n), settings=small(seed=n, iterations=2), out=tmp_path / str(n)) for n in range(3)]
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "config.json").touch()
    threads = []

    def start(*arguments: Any, **given: Any) -> subprocess.Popen[str]:
        threads.append(given["env"]["OMP_NUM_THREADS"])
        return popen(*arguments, **given)

    popen = subprocess.Popen
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("heliograph.cli.running.subprocess.Popen", start)
    with Display({job.name: job.settings for job in jobs}, err=True) as display, pytest.raises(ValueError, match="0: "):
        run_all(jobs, processes=2, display=display, command="test", remedy="the same command")
    assert threads == [str(max(1, num_cores() // 2))] * 2
    summaries = [json.loads((tmp_path / name / "summary.json").read_text()) for name in "12"]
    assert [(summary["seed"], summary["num_env_steps"]) for summary in summaries] == [(1, 128), (2, 128)]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"iteration": 3}, "iterations"),
        ({"iterations": 0}, "iterations"),
        ({"iterations": 1, "env_steps": 1}, "one of them"),
        ({"until": {"reward": 1.0}}, "episode_return_mean"),
        ({"critic": "stat"}, "critic"),
    ],
)
def test_wrong_settings_are_refused(given: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        settings_from(given)


def test_settings_of_the_algorithm_are_known() -> None:
    config = config_of(small(algorithm_settings={"lr": 0.5, "entropy_coeff": 0.25, "batch_mode": "complete_episodes"}))
    assert (config.lr, config.entropy_coeff, config.batch_mode) == (0.5, 0.25, "complete_episodes")
    with pytest.raises(UnknownNameError, match="minibatch_size"):
        config_of(small(algorithm_settings={"sgd_minibatch_size": 2}))


def test_half_written_checkpoints_do_not_count(tmp_path: pathlib.Path) -> None:
    def save(path: str, *, fail: bool = False) -> None:
        pathlib.Path(path).mkdir()
        if fail:
            raise OSError("disk full")
        (pathlib.Path(path) / "state").touch()

    for iteration in (2, 4, 10):
        write_checkpoint(tmp_path, iteration=iteration, save=save)
    with pytest.raises(OSError):
        write_checkpoint(tmp_path, iteration=12, save=lambda path: save(path, fail=True))
    assert [path.name for path in complete_checkpoints(tmp_path)] == ["iteration_000004", "iteration_000010"]
    write_checkpoint(tmp_path, iteration=12, save=save)
    assert not list((tmp_path / "checkpoints").glob("draft_*"))


def test_progress_continues_after_the_checkpoint_and_survives_a_cut(tmp_path: pathlib.Path) -> None:
    with ProgressWriter(tmp_path) as progress:
        for iteration in (1, 2, 3):
            progress.add({"iteration": iteration, "num_env_steps": iteration, "seconds": 1.5 * iteration, "x": None})
    path = tmp_path / "progress.csv"
    path.write_text(path.read_text() + "4,4")
    assert [row["iteration"] for row in read_progress(tmp_path)] == [1, 2, 3]
    with ProgressWriter(tmp_path, after=2) as progress:
        assert progress.seconds == 3.0
        progress.add({"iteration": 3, "num_env_steps": 3, "seconds": 4.0, "x": 0.5})
    assert [(row["seconds"], row["x"]) for row in read_progress(tmp_path)] == [(1.5, None), (3.0, None), (4.0, 0.5)]


def test_bench_splits_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measure(small(), iterations=2)
    parts = [found[f"{part}_seconds"] for part in ("environment", "inference", "learning", "syncing")]
    assert found["num_env_steps"] == 128 and sum(parts) == pytest.approx(found["wall_seconds"]) and min(parts) > 0
    assert found["env_steps_per_second"] > 0 and found["sgemm_gflops"] > 0
    assert found["gflops"] == pytest.approx(found["flops_per_env_step"] * found["env_steps_per_second"] / 1e9)
    assert 0 < found["fraction_of_limit"] < 1


def test_bench_counts_the_env_steps_of_whole_episodes() -> None:
    """Q-learning asks for one env step and gets an episode of each copy: up to 6 steps in the riddle."""
    settings = settings_from(
        {"env": "switch_riddle", "algorithm": "qlearning", "model_settings": {"size": 8}, "iterations": 1}
        | {"channel_settings": {"bits": 1}, "algorithm_settings": {"num_envs_per_env_runner": 8}}
    )
    found = measure(settings, iterations=2)
    assert 2 * 8 <= found["num_env_steps"] <= 2 * 8 * 6


def test_a_run_ends_where_a_metric_is_low_enough(tmp_path: pathlib.Path) -> None:
    bounds = {"episode_len_mean": {"at_most": 2.0}, "agent_return_mean/speaker_0": -1.0}
    summary = train(small(until=bounds, channel="none"), out=tmp_path / "run")
    assert (summary["stopped_by"], summary["iterations"]) == ("until", 1)
    with pytest.raises(UnknownNameError, match="metric in until 'info_distance'"):
        train(small(until={"info_distance": 1.0}), out=tmp_path / "other")


def test_patience_ends_a_run_and_is_kept_by_a_resumed_one(tmp_path: pathlib.Path) -> None:
    still = {**SMALL["algorithm_settings"], "lr": 1e-30}  # type: ignore[dict-item]
    given = {
        "algorithm_settings": still,
        "channel": "none",
        "iterations": 50,
        "patience": 2,
        "until": {"seconds": {"at_most": -1.0}},
    }
    summary = train(small(**given), out=tmp_path / "run")  # seconds grow: the first iteration is the best
    assert (summary["stopped_by"], summary["iterations"]) == ("patience", 3)
    assert control_of(small(**given), "silent", env_steps=256).patience is None
    assert resume(tmp_path / "run")["iterations"] == 3


def test_new_columns_are_added_to_earlier_rows(tmp_path: pathlib.Path) -> None:
    row = {"iteration": 1, "num_env_steps": 64, "seconds": 1.0}
    with ProgressWriter(tmp_path) as progress:
        progress.add(row)
        progress.add({**row, "iteration": 2, "callback_x": 0.5})
        progress.add({**row, "iteration": 3})
    found = read_progress(tmp_path)
    assert [r["callback_x"] for r in found] == [None, 0.5, None] and [r["iteration"] for r in found] == [1, 2, 3]
