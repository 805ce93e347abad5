"""Many runs as parallel trials of Ray Tune on a cluster, each of which leaves an ordinary run folder.

Tune stops a trial by killing its process, which would leave half a run. Here schedulers and Ctrl-C only *ask* a trial
to end, by a file that it looks for after each iteration; it then saves, evaluates and writes its summary.
"""

import contextlib
import dataclasses
import enum
import json
import logging
import os
import pathlib
import shutil
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from heliograph.experiments.settings import COLUMNS, TrainSettings, settings_from
from heliograph.registry import UnknownNameError
from heliograph.rllib.failures import exit_called
from heliograph.rllib.interrupts import Stop, interruptible
from heliograph.rllib.runs.checkpoints import complete_checkpoints
from heliograph.rllib.runs.configured import config_of
from heliograph.rllib.runs.finished import finished_run
from heliograph.rllib.runs.one_run import resume, train_alone
from heliograph.rllib.runs.run_lock import claimed
from heliograph.rllib.runs.session import ray_running
from heliograph.storage.atomic import telling
from heliograph.storage.run_folder import CONFIG, SUMMARY, RunFolderError, plain, read_config
from heliograph.storage.safe_files import make_folder, read_json

__all__ = [
    "SCHEDULERS",
    "Halving",
    "Observer",
    "Trial",
    "Unfinished",
    "check_trials",
    "finished_trial",
    "refuse_others",
    "sweep",
]

SCHEDULERS = ("none", "asha")
HALVING = 4
"""Of the trials that reach a rung of ASHA, about one in so many goes on; the next rung is so many times later."""
FOREVER_ITERATIONS = 100_000
OWN_FOLDER = ".sweep"
EVERYONE, FAILED = "everyone", ".failed"
SCORE = "score"
TUNE = {
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}
"""Ctrl-C is ours, trials write their own files, relative paths mean in them what they do here, Tune prints nothing."""


class Unfinished(enum.Enum):
    """Stands for a trial that was interrupted; to resume one opens its checkpoints, which are pickles."""

    ANEW = "anew"
    RESUMED = "resumed"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """One run of a sweep: its name, its settings, and its run folder."""

    name: str
    settings: TrainSettings
    out: pathlib.Path


@runtime_checkable
class Observer(Protocol):
    """Record of who is told how a sweep gets on."""

    def start(self, name: str) -> None:
        """A trial begins."""

    def row(self, name: str, row: Mapping[str, Any]) -> None:
        """An iteration of a trial has ended, with this row of progress.csv."""

    def end(self, name: str, summary: Mapping[str, Any]) -> None:
        """A trial has ended, and its folder is whole."""

    def fail(self, name: str, message: str) -> None:
        """A trial has failed; the others go on."""


def finished_trial(trial: Trial) -> dict[str, Any] | None:
    """The summary of a trial that was made before and not interrupted; None where it is still to be made."""
    return finished_run(trial.out)


def refuse_others(trial: Trial) -> None:
    """Refuse a trial whose folder holds a run of other settings."""
    if not (trial.out / CONFIG).exists():
        return
    found = read_config(trial.out).get("training")
    found = found if isinstance(found, dict) else {}
    wanted = json.loads(json.dumps(trial.settings, default=plain))
    usual = json.loads(json.dumps(TrainSettings(), default=plain))
    for key, value in wanted.items():
        if found.get(key, usual[key]) != value:
            was, now = json.dumps(found.get(key)), json.dumps(value)
            raise RunFolderError(f"{trial.out} holds a run with {key}={was}, not {now}: choose another --out")


def sweep(
    trials: Sequence[Trial],
    *,
    jobs: int,
    observer: Observer,
    scheduler: str = "none",
    metric: str = "episode_return_mean",
    grace_iterations: int = 10,
    command: str | None = None,
    unfinished: Unfinished = Unfinished.ANEW,
) -> dict[str, str]:
    """Train all trials, `jobs` at a time, one core each, and return what went wrong, by name.

    `scheduler` "asha" ends trials early whose `metric` (a column of progress.csv) is weak beside that of others at the
    same iteration, the first time after `grace_iterations`; their summary says so in `stopped_by`. The first Ctrl-C
    lets the trials in progress end whole. Trials must share one parent folder. Those that a folder holds a part of are
    begun anew, or go on from their last whole checkpoint (`unfinished`; trusted folders only).
    """
    check_trials(trials, scheduler=scheduler, metric=metric, on_cluster=True)
    own = trials[0].out.resolve().parent / OWN_FOLDER
    shared = {"own": str(own), "metric": metric, "command": command, "unfinished": unfinished.value}
    make_folder(own.parent)
    with claimed(own.parent), _emptied(own), interruptible(None, ending="the trials in progress") as stopped:
        with ray_running(num_actors=jobs), _tune_quiet():
            watch = _Watch(observer=observer, stopped=stopped, folder=own)
            asking = _Asking(inner=_inner(scheduler, trials, grace_iterations), name=scheduler, folder=own)
            tuner = tune.Tuner(
                tune.with_resources(_train, {"cpu": 1}),
                param_space={"job": tune.grid_search([{**_job(trial), **shared} for trial in trials])},
                tune_config=tune.TuneConfig(scheduler=asking, max_concurrent_trials=jobs, reuse_actors=True),
                run_config=tune.RunConfig(name="tune", storage_path=str(own), callbacks=[watch], stop=watch, verbose=0),
            )
            tuner.fit()
    return watch.failures


@contextlib.contextmanager
def _emptied(folder: pathlib.Path) -> Iterator[None]:
    """A folder for the time of the block alone."""
    shutil.rmtree(folder, ignore_errors=True)
    with telling(folder):
        folder.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_trials(trials: Sequence[Trial], *, scheduler: str, metric: str, on_cluster: bool = False) -> None:
    """Refuse what cannot be swept, before anything is written."""
    if scheduler not in SCHEDULERS:
        raise UnknownNameError(what="scheduler", name=scheduler, valid=list(SCHEDULERS))
    if metric not in COLUMNS:
        raise UnknownNameError(what="column of progress.csv", name=metric, valid=list(COLUMNS))
    for trial in trials:
        if trial.settings.num_actors and on_cluster:
            raise ValueError("num_env_runners and num_learners must be 0 on a cluster: a trial is one process")
        config_of(trial.settings)


def _job(trial: Trial) -> dict[str, Any]:
    settings = trial.settings.model_dump(mode="json", fallback=plain)
    return {"name": trial.name, "settings": settings, "out": str(trial.out.resolve())}


def _train(given: dict[str, Any]) -> None:
    """One trial, in a process of Ray's."""
    job, own = given["job"], pathlib.Path(given["job"]["own"])

    def asked() -> bool | str:
        if (own / EVERYONE).exists():
            return True
        mine = own / job["name"]
        return mine.read_text(encoding="utf8") if mine.exists() else False

    if asked():
        return
    try:
        _made(job, on_progress=lambda row: tune.report({**row, SCORE: row.get(job["metric"])}), stop=asked)
    except (Exception, SystemExit) as error:
        failure = exit_called(error) if isinstance(error, SystemExit) else error
        told = " ".join(str(failure).split()) or type(failure).__name__
        (own / f"{job['name']}{FAILED}").write_text(told, encoding="utf8")
        raise failure from error


def _made(job: dict[str, Any], **watching: Any) -> None:
    """Train, or go on with what is there."""
    goes_on = job["unfinished"] == Unfinished.RESUMED.value and complete_checkpoints(pathlib.Path(job["out"]))
    if goes_on:
        resume(job["out"], command=job["command"], **watching)
    else:
        train_alone(settings_from(job["settings"]), out=job["out"], overwrite=True, command=job["command"], **watching)


def _inner(scheduler: str, trials: Sequence[Trial], grace_iterations: int) -> TrialScheduler:
    if scheduler == "none":
        return FIFOScheduler()
    longest = [trial.settings.max_iterations or FOREVER_ITERATIONS for trial in trials]
    return AsyncHyperBandScheduler(
        time_attr="iteration",
        metric=SCORE,
        mode="max",
        grace_period=grace_iterations,
        max_t=max(*longest, grace_iterations),
        reduction_factor=HALVING,
        stop_last_trials=False,
    )


class Halving:
    """Says which trials ASHA ends, of trials that are not Tune's."""

    def __init__(self, trials: Sequence[Trial], *, metric: str, grace_iterations: int):
        self.inner, self.metric = _inner("asha", trials, grace_iterations), metric
        self.trials = {trial.name: types.SimpleNamespace(trial_id=trial.name) for trial in trials}
        for trial in self.trials.values():
            self.inner.on_trial_add(None, trial)

    def __call__(self, name: str, row: Mapping[str, Any]) -> str | None:
        """Why a trial is to end after this row of its progress.csv; None where it goes on."""
        if row.get(self.metric) is None:
            return None
        result = {"iteration": row["iteration"], SCORE: row[self.metric]}
        stopped = self.inner.on_trial_result(None, self.trials[name], result)
        return "asha" if stopped == TrialScheduler.STOP else None


class _Unsaved:
    """Tune copies and saves what it is given; of these, which live in this process alone, nothing is to be saved."""

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def __reduce__(self) -> Any:
        return dict, ()


class _Asking(_Unsaved, TrialScheduler):
    """Asks a trial to end where the scheduler within would have it killed."""

    def __init__(self, *, inner: TrialScheduler, name: str, folder: pathlib.Path):
        super().__init__()
        self.inner, self.name, self.folder = inner, name, folder

    def set_search_properties(self, metric: Any, mode: Any, **spec: Any) -> bool:
        return True

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self.inner.on_trial_add(tune_controller, trial)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        self.inner.on_trial_error(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if result.get(SCORE) is not None:
            if self.inner.on_trial_result(tune_controller, trial, result) == TrialScheduler.STOP:
                (self.folder / _name(trial)).write_text(self.name, encoding="utf8")
        return TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        if result.get(SCORE) is not None:
            self.inner.on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        self.inner.on_trial_remove(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        return self.inner.choose_trial_to_run(tune_controller)

    def debug_string(self) -> str:
        return self.name


class _Watch(_Unsaved, tune.Callback, tune.Stopper):
    """Passes on what happens, and ends the sweep after Ctrl-C, once the trials in progress have ended."""

    def __init__(self, *, observer: Observer, stopped: Stop, folder: pathlib.Path):
        self.observer, self.stopped, self.folder = observer, stopped, folder
        self.running: set[str] = set()
        self.last: set[str] | None = None
        self.failures: dict[str, str] = {}

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if self.last is None and self.stopped():
            (self.folder / EVERYONE).touch()
            self.last = set(self.running)

    def stop_all(self) -> bool:
        return self.last is not None and not self.last & self.running

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        if self.last is None:
            self.running.add(_name(trial))
            self.observer.start(_name(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        self.observer.row(_name(trial), result)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.running.discard(_name(trial))
        summary = pathlib.Path(trial.config["job"]["out"]) / SUMMARY
        if summary.exists():  # a trial that was asked to end before it began has none
            self.observer.end(_name(trial), read_json(summary))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        name = _name(trial)
        self.running.discard(name)
        told = self.folder / f"{name}{FAILED}"
        self.failures[name] = told.read_text(encoding="utf8") if told.exists() else "its process died"
        self.observer.fail(name, self.failures[name])


def _name(trial: Any) -> str:
    return str(trial.config["job"]["name"])


@contextlib.contextmanager
def _tune_quiet() -> Iterator[None]:
    """Tune's environment variables, and its logger silent: what fails is told by us."""
    before = {key: os.environ.get(key) for key in TUNE}
    logger = logging.getLogger("ray.tune")
    level = logger.level
    os.environ.update(TUNE)
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
