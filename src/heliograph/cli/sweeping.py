"""The command `sweep`: a grid of settings times seeds, trained side by side, and compared."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from heliograph.cli.choosing import kinds_of
from heliograph.cli.comparing import as_json, show_comparison
from heliograph.cli.grid import combinations, parse_grid, settings_of_combination, trial_name
from heliograph.cli.making import Making
from heliograph.cli.running import command_line
from heliograph.cli.shown import Display, console
from heliograph.cli.trial_processes import made_here
from heliograph.experiments.jobs import Job, controls_of
from heliograph.experiments.settings import COLUMNS
from heliograph.hardware import num_cores
from heliograph.reports.run_groups import Comparison, compare
from heliograph.rllib.cluster import answering_cluster
from heliograph.rllib.runs import sweep as trials_of
from heliograph.rllib.runs.plan import discard_runs
from heliograph.rllib.runs.sweep import Trial, Unfinished
from heliograph.rollouts.statistics import OF_TEAM
from heliograph.storage.run_folder import write_json

__all__ = ["run_sweep"]

Shown = tuple[Any, Callable[[Any], None]]
PAGE, RESULT = "compare.html", "sweep.json"
KEPT = ("stopped_by", "iterations", "num_env_steps", "wall_seconds", "episode_return_mean", "normalised_return")


def run_sweep(given: Any) -> Shown:
    """`heliograph sweep`."""
    trials = _trials(given)
    if given.overwrite:
        discard_runs([Job(name=trial.name, settings=trial.settings, out=trial.out) for trial in trials], trials[0].out)
    done = {trial.name: summary for trial in trials if (summary := trials_of.finished_trial(trial)) is not None}
    left = [trial for trial in trials if trial.name not in done]
    jobs = min(given.jobs or num_cores(), max(len(left), 1))
    failures: dict[str, str] = {}
    if left:
        with Display({}, err=given.json) as display:
            kept = f", {len(done)} finished before" if done else ""
            display.say(f"{len(trials)} trials{kept}; {jobs} at a time")
            failures = _make(left, given, jobs=jobs, display=display)
    if kinds_of(given) and not failures:
        failures = _make_controls(trials, given)
    result = _result(trials, given, failures)
    comparison = _comparison(trials, given)
    if comparison is not None:
        result |= {"comparison": as_json(comparison), "page": _page(comparison, given)}
    write_json(pathlib.Path(given.out) / RESULT, result)
    _tell_gaps(trials, failures, comparison, given)
    return result, lambda _: _show(comparison, result)


def _trials(given: Any) -> list[Trial]:
    """All trials, each combination with the first seed, then with the second, and so on; refused if any is wrong."""
    if given.seeds and len(set(given.seeds)) < len(given.seeds):
        raise ValueError(f"--seeds {' '.join(map(str, given.seeds))}: each seed once")
    out, grid = pathlib.Path(given.out), parse_grid(given.grid)
    chosen = [(combination, settings_of_combination(given, combination)) for combination in combinations(grid)]
    trials = []
    for seed in given.seeds or [chosen[0][1].seed]:
        for place, (combination, settings) in enumerate(chosen):
            name = trial_name(combination, seed, place=place)
            trials.append(Trial(name=name, settings=settings.model_copy(update={"seed": seed}), out=out / name))
    if len({trial.name for trial in trials}) < len(trials):
        raise ValueError("--grid: two values would have the same folder name; write them apart")
    how = {"scheduler": given.scheduler, "metric": _column(given), "on_cluster": answering_cluster()}
    trials_of.check_trials(trials, **how)
    for trial in trials if not given.overwrite else ():
        trials_of.refuse_others(trial)
    return trials


def _make_controls(trials: list[Trial], given: Any) -> dict[str, str]:
    """The controls of finished trials that are missing, each as long as its trial took where that was left open."""
    controls = []
    for trial in trials:
        summary = trials_of.finished_trial(trial)
        if summary is not None:
            job = Job(name=trial.name, settings=trial.settings, out=trial.out)
            steps = summary["num_env_steps"] if trial.settings.open_ended else None
            found = controls_of(job, kinds_of(given), env_steps=steps)
            controls += [Trial(name=t.name, settings=t.settings, out=t.out) for t in found]
    left = [control for control in controls if trials_of.finished_trial(control) is None]
    with Display({}, err=given.json) as display:
        making = Making(given=given, remedy="the same command again")
        jobs = [Job(name=control.name, settings=control.settings, out=control.out) for control in left]
        making.make(jobs, display, budget_of=lambda job: {"iterations": None, "env_steps": None})
    return {}


def _column(given: Any) -> str:
    """Return what trials are judged by in training; the normalised return has no column, and the same order."""
    return given.metric if given.metric in COLUMNS or given.metric.startswith(OF_TEAM) else "episode_return_mean"


def _make(left: list[Trial], given: Any, *, jobs: int, display: Display) -> dict[str, str]:
    """Make trials on the cluster that is named, or in processes here, each of which makes one trial after another."""
    if not answering_cluster():
        return made_here(
            left, jobs=jobs, watcher=_Watching(display, left), scheduler=given.scheduler, metric=_column(given),
            grace_iterations=given.grace, resumed=given.resume,
        )  # fmt: skip
    return trials_of.sweep(
        left,
        jobs=jobs,
        observer=_Watching(display, left),
        scheduler=given.scheduler,
        metric=_column(given),
        grace_iterations=given.grace,
        command=command_line(),
        unfinished=Unfinished.RESUMED if given.resume else Unfinished.ANEW,
    )


class _Watching:
    """Shows trials as they begin: a grid may have too many to list them all."""

    def __init__(self, display: Display, trials: list[Trial]):
        self.display, self.trials = display, {trial.name: trial for trial in trials}
        self.ended = 0

    def start(self, name: str) -> None:
        self.display.add({name: self.trials[name].settings})
        self.display.start(name)

    def row(self, name: str, row: Mapping[str, Any]) -> None:
        self.display.row(name, row)

    def end(self, name: str, summary: Mapping[str, Any]) -> None:
        self.display.end(name, summary)
        self._count()

    def fail(self, name: str, message: str) -> None:
        self.display.say(f"run={name} failed: {message}")
        self._count()

    def say(self, text: str) -> None:
        self.display.say(text)

    def _count(self) -> None:
        self.ended += 1
        self.display.say(f"trials={self.ended}/{len(self.trials)}")


def _result(trials: list[Trial], given: Any, failures: dict[str, str]) -> dict[str, Any]:
    found = [_trial_result(trial, failures.get(trial.name)) for trial in trials]
    names = ("target", "grid", "scheduler", "metric")
    seeds = list(dict.fromkeys(trial.settings.seed for trial in trials))
    return {
        **{name: getattr(given, name) for name in names},
        "seeds": seeds,
        "command": command_line(),
        "trials": found,
    }


def _trial_result(trial: Trial, failure: str | None) -> dict[str, Any]:
    summary = trials_of.finished_trial(trial) or {}
    about = {"name": trial.name, "folder": str(trial.out), "seed": trial.settings.seed}
    ended = {key: summary.get(key) for key in (*KEPT, "success_rate")}
    return {**about, **ended, "finished": bool(summary), "error": failure}


def _comparison(trials: list[Trial], given: Any) -> Comparison | None:
    whole = [trial.out for trial in trials if trials_of.finished_trial(trial) is not None]
    return compare(whole, metric=given.metric) if whole else None


def _page(comparison: Comparison, given: Any) -> str:
    from heliograph.reports.compare_page import write_page

    return str(write_page(comparison, pathlib.Path(given.out) / PAGE))


def _tell_gaps(trials: list[Trial], failures: dict[str, str], comparison: Comparison | None, given: Any) -> None:
    """Raise where trials failed or were interrupted, after what there is was shown."""
    missing = [trial.name for trial in trials if trials_of.finished_trial(trial) is None]
    if not missing:
        return
    if comparison is not None and not given.json:
        show_comparison(comparison)
    if failures:
        first = next(iter(failures))
        more = "" if len(failures) == 1 else f" (and {len(failures) - 1} more)"
        raise ValueError(f"{first} failed: {failures[first]}{more}; the same command again makes what is missing")
    console(err=True).print(f"{len(missing)} of {len(trials)} trials are missing: the same command again makes them")
    raise KeyboardInterrupt


def _show(comparison: Comparison | None, result: dict[str, Any]) -> None:
    if comparison is not None:
        show_comparison(comparison)
        console().print(f"\n{result['page']}")
