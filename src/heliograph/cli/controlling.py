"""The command `controls`: the controls of runs that were trained without them."""

import pathlib
import shlex
from collections.abc import Callable
from typing import Any

from heliograph.cli.making import Making, names_code
from heliograph.cli.shown import Display, console, summary_table
from heliograph.experiments.controls import USUAL_CONTROLS
from heliograph.experiments.jobs import MAIN, Job, controls_of
from heliograph.experiments.settings import has_own_words
from heliograph.reports.run_results import find_runs, flat_settings, read_summary
from heliograph.rllib.runs.one_run import resumed_settings
from heliograph.rllib.runs.plan import PLAN
from heliograph.rllib.runs.run_lock import cleared
from heliograph.rllib.runs.saved import BEYOND
from heliograph.storage.run_folder import RunFolderError, read_config

__all__ = ["run_controls"]

Shown = tuple[Any, Callable[[Any], None]]


def run_controls(given: Any) -> Shown:
    """`heliograph controls`."""
    folder = pathlib.Path(given.run)
    runs = _runs(folder)
    kinds = (given.only,) if given.only else USUAL_CONTROLS
    controls = [control for job in runs for control in _controls(job, kinds)]
    for control in controls if given.overwrite else ():
        cleared(control.out, overwrite=True)
    making = Making(given=given, remedy=f"heliograph controls {shlex.quote(given.run)}")
    with Display({}, err=given.json) as display:
        summaries = making.make(controls, display, budget_of=lambda job: {"iterations": None, "env_steps": None})
    shown = {job.name: read_summary(job.out) for job in runs} | summaries
    if not making.all_ended:
        console(err=given.json).print(f"not all controls came to their end: {making.remedy} goes on with them")
    return {"runs": summaries}, lambda _: _show(shown, given.run, trust=any(names_code(job.settings) for job in runs))


def _runs(folder: pathlib.Path) -> list[Job]:
    """The finished runs in a folder, controls apart; refused where nobody can tell how they were trained."""
    finished, unfinished = ([path for path in some if not _is_control(path)] for some in find_runs([folder]))
    if unfinished:
        begun = folder if (folder / PLAN).exists() else unfinished[0]
        resumed = f"heliograph train --resume {shlex.quote(str(begun))}"
        raise RunFolderError(f"{unfinished[0]} has not ended: {resumed} goes on with it")
    jobs = []
    for path in sorted(finished):
        config = read_config(path)
        if config.get(BEYOND):
            told = ", ".join(sorted(map(str, config[BEYOND])))
            raise RunFolderError(f"{path} was trained with {told}, which no settings say: train its controls in Python")
        settings = resumed_settings(config)
        if settings.channel == "none" and not has_own_words(settings):
            raise RunFolderError(f"{path} has channel none: it is its own no-communication control")
        name = MAIN if path == folder else str(path.relative_to(folder))
        jobs.append(Job(name=name, settings=settings, out=path.absolute()))
    return jobs


def _is_control(path: pathlib.Path) -> bool:
    return path.is_dir() and "controls" in flat_settings(path, read_config(path))


def _controls(job: Job, kinds: tuple[str, ...]) -> list[Job]:
    """Those of a run, for as long as it took where it ended when it was good enough."""
    steps = read_summary(job.out)["num_env_steps"] if job.settings.open_ended else None
    return controls_of(job, kinds, env_steps=steps)


def _show(summaries: dict[str, dict[str, Any]], folder: str, *, trust: bool) -> None:
    summary_table(summaries)
    console().print(f"\n{folder}: read it with heliograph report {shlex.quote(folder)}{' --trust' if trust else ''}")
