"""The first Ctrl-C says what the second does, and the second ends at once, whatever hangs; what hangs is ended."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import types
from typing import Any

import pytest
from ray.rllib.env.env_runner_group import EnvRunnerGroup

from heliograph.cli import main
from heliograph.rllib import sampling
from heliograph.rllib.failures import RunError, exit_called
from heliograph.rllib.interrupts import interruptible
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs.worker import _work
from tests.rllib.misbehaving import MARK
from tests.rllib.test_train import small

ROOT = pathlib.Path(__file__).parents[2]
TINY = ["model.size=8", "training.num_envs_per_env_runner=4", "training.train_batch_size_per_learner=16"]
TINY += ["training.minibatch_size=8", "training.num_epochs=1"]
SECONDS = 60.0


def test_the_first_says_what_the_second_does(heard_interrupts: None, capfd: pytest.CaptureFixture[str]) -> None:
    with interruptible(None) as stopped:
        assert not stopped()
        os.kill(os.getpid(), signal.SIGINT)
        assert stopped()
        assert capfd.readouterr().err == "ending the iteration; once more to end at once\n"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["train"],
        ["train", "--env-runners", "1"],
        ["sweep", "--grid", "training.lr=1e-3,1e-2", "--jobs", "2"],
    ],
    ids=["here", "runners", "sweep"],
)
def test_the_second_ends_at_once_what_hangs(tmp_path: pathlib.Path, command: list[str]) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", MARK: str(tmp_path / "mark")}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    name, *more = command
    given = [name, "tests.rllib.misbehaving:Hangs", *more, "--iterations", "50", "--out", str(tmp_path / "out")]
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "heliograph", *given, "--channel", "symbols", "--set", *TINY],
            env=environment, stdout=said, stderr=said, cwd=ROOT,
        )  # fmt: skip
        try:
            wait_until(lambda: (tmp_path / "mark").exists(), seconds=300)
            process.send_signal(signal.SIGINT)
            wait_until(lambda: "once more to end" in (tmp_path / "said").read_text(), seconds=SECONDS)
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=SECONDS) == 130
        finally:
            process.kill()
            process.wait()
    told = (tmp_path / "said").read_text()
    assert told.endswith("interrupted\n") and "Traceback" not in told


def wait_until(done: Any, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)


# ---- runners that hang -----------------------------------------------------------------------------------------------


class Group(EnvRunnerGroup):
    """Remote runners of which the second does not answer."""

    def __init__(self) -> None:
        self.healthy = {1: True, 2: True}
        actors = {1: "first", 2: "second"}
        self._remote_args = {"max_restarts": 1000}
        self._worker_manager = types.SimpleNamespace(actors=lambda: actors, set_actor_state=self.mark)

    def num_remote_env_runners(self) -> int:
        return len(self.healthy)

    def healthy_env_runner_ids(self) -> list[int]:
        return [index for index, healthy in self.healthy.items() if healthy]

    def foreach_env_runner(self, func: Any, *, timeout_seconds: float, **how: Any) -> list[Any]:
        first = {"worker_index": 1, "sample": list, "change_env": dict, "get_metrics": dict, "failure": None}
        return [func(types.SimpleNamespace(**first))]

    def mark(self, index: int, *, healthy: bool) -> None:
        self.healthy[index] = healthy


def test_a_runner_that_does_not_answer_is_ended(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    ended: list[Any] = []
    monkeypatch.setattr(sampling.ray, "kill", lambda actor, *, no_restart: ended.append((actor, no_restart)))
    group = Group()
    assert sampling._round(group, 5.0, {}) == [([], {})]
    assert ended == [("second", False)] and group.healthy == {1: True, 2: False}
    assert "env runner 2 took longer than sample_timeout_s=5.0: it is ended, and started anew" in caplog.text
    group = Group()
    group._remote_args = {"max_restarts": 0}
    with pytest.raises(RunError, match=r"env runner 2 took longer .* restart_failed_env_runners=False"):
        sampling._round(group, 5.0, {})


def test_a_runner_that_hangs_in_an_evaluation_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[Any] = []
    monkeypatch.setattr(sampling.ray, "kill", lambda actor, *, no_restart: ended.append(actor))
    group = Group()
    assert sampling.failure_in(group) is None and not ended, "it may be at work on the next evaluation"
    assert sampling.failure_in(group, end_silent=True) is None and ended == ["second"]


@pytest.mark.slow
def test_three_rounds_of_a_hanging_environment_take_three_timeouts(ray_session: None) -> None:
    config = (
        CommPPOConfig()
        .environment("tests.rllib.misbehaving:HangsSoon")
        .communication(model="cnet", model_settings={"size": 8}, channel="symbols")
        .env_runners(num_env_runners=1, num_envs_per_env_runner=4, sample_timeout_s=2.0)
        .training(train_batch_size_per_learner=16, minibatch_size=8, num_epochs=1)
        .debugging(seed=0, log_level="CRITICAL")
    )
    algorithm = config.build_algo()
    started = time.monotonic()
    try:
        with pytest.raises(RunError, match=r"3 times in a row .* took longer than sample_timeout_s=2\.0\. .*hangs"):
            algorithm.train()
    finally:
        algorithm.stop()
    assert time.monotonic() - started < 240  # three times two seconds, and two new processes on a busy machine


# ---- sys.exit --------------------------------------------------------------------------------------------------------


def test_an_environment_that_exits_is_a_failure_with_words(tmp_path: pathlib.Path, capsys: Any) -> None:
    command = ["train", "tests.rllib.misbehaving:Exits", "--iterations", "9", "--out", str(tmp_path / "run")]
    assert main([*command, "--channel", "symbols", "--set", *TINY]) == 1
    told = capsys.readouterr().err
    assert "sys.exit(3) was called in step() of" in told and "in _misbehave" in told
    assert f"heliograph train --resume {tmp_path / 'run'}" in told


def test_code_that_exits_elsewhere_is_a_failure_with_words(
    tmp_path: pathlib.Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from heliograph.rllib.runs.train import train

    with pytest.raises(RunError, match=r"sys\.exit\(7\) was called in .*test_interrupts\.py, line \d+(.|\n)*--resume"):
        train(small(), out=tmp_path / "run", on_progress=lambda row: sys.exit(7))
    monkeypatch.setattr("heliograph.cli.reading.read_run", lambda *given, **more: sys.exit(4), raising=False)
    monkeypatch.setattr("heliograph.storage.run_folder.read_run", lambda *given, **more: sys.exit(4))
    assert main(["evaluate", str(tmp_path / "run")]) == 1
    assert "heliograph evaluate: error: sys.exit(4) was called in " in capsys.readouterr().err


def test_a_worker_tells_of_code_that_exits(tmp_path: pathlib.Path) -> None:
    settings = small(env="tests.rllib.misbehaving:Exits", channel="symbols").model_dump(mode="json")
    how = {"overwrite": False, "resume": False, "command": None}
    job = {"run": "a", "settings": settings, "out": str(tmp_path / "a"), **how}
    with (tmp_path / "events").open("w+") as events:
        _work(job, events, types.SimpleNamespace(ended=threading.Event(), verdicts={}), session=contextlib.ExitStack())
    last = json.loads((tmp_path / "events").read_text().splitlines()[-1])
    assert (last["event"], last["kind"]) == ("error", "EnvRunnerError"), last
    assert "SystemExit: 3" in last["message"]
    assert "sys.exit(None)" in str(exit_called(SystemExit()))
