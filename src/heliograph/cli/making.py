"""What `heliograph train` does with the runs that were chosen: begins them, or goes on with what is missing of them."""

import dataclasses
import json
import pathlib
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from heliograph.cli.describing import roles_of, spaces_of
from heliograph.cli.running import command_line, run_all
from heliograph.cli.shown import Display, console, summary_table
from heliograph.experiments.choices import opened
from heliograph.experiments.jobs import MAIN, Job, controls_of
from heliograph.experiments.settings import TrainSettings
from heliograph.hardware import num_cores
from heliograph.rllib.runs.configured import config_of
from heliograph.rllib.runs.described import batch_of, batch_told
from heliograph.rllib.runs.one_run import resume, resumed_settings
from heliograph.rllib.runs.plan import PLAN, Plan, discard_runs, read_plan, replanned, standing, write_plan
from heliograph.rllib.runs.run_lock import claimed
from heliograph.rllib.runs.session import quiet
from heliograph.storage.run_folder import plain, read_config, untrusted_code

__all__ = ["Making", "begun", "continued", "names_code"]

Shown = tuple[Any, Callable[[Any], None]]
BudgetOf = Callable[[Job], Mapping[str, int | None]]


def begun(jobs: Sequence[Job], given: Any, *, controls: Sequence[str]) -> Shown:
    """Make runs, and their controls; where there are several, their plan is written down first."""
    _check_config(jobs[0].settings, err=given.json)
    _show_roles(jobs[0].settings, err=given.json)
    if given.overwrite:
        discard_runs(jobs, pathlib.Path(given.out).absolute())
    plan = Plan(jobs=tuple(jobs), controls=tuple(controls))
    if len(jobs) == 1 and not controls:
        return _make(plan, given, folder=given.out)
    with claimed(write_plan(pathlib.Path(given.out).absolute(), plan)):
        return _make(plan, given, folder=given.out)


def continued(given: Any) -> Shown:
    """Go on with a run, or with all runs that a folder has a plan of."""
    folder = pathlib.Path(given.resume).absolute()
    plan = read_plan(folder)
    if plan is not None:
        with claimed(folder / PLAN):
            path = write_plan(folder, replanned(plan, _budget(given)))
            with claimed(path):
                return _make(plan, given, folder=given.resume)
    if given.jobs is not None:
        raise ValueError(f"--jobs {given.jobs}: {given.resume} is a single run, in one process")
    budget: dict[str, Any] = _budget(given)
    settings = resumed_settings(read_config(folder), **budget)
    with Display({MAIN: settings}, err=given.json) as display:
        display.start(MAIN)
        row = lambda row: display.row(MAIN, row)  # noqa: E731
        summary = resume(folder, **budget, on_progress=row, command=command_line())
        display.end(MAIN, summary)
    return summary, lambda _: _show_runs({MAIN: summary}, folder=given.resume, trust=names_code(settings))


def _budget(given: Any) -> dict[str, int | None]:
    """Return what a resumed run is given anew; None where it keeps what it has."""
    return {"iterations": given.iterations, "env_steps": given.env_steps}


def _check_config(settings: TrainSettings, *, err: bool) -> None:
    """The same checks as when the algorithm is built, before folders and processes are made; tell the real batch."""
    with quiet():
        config = config_of(settings)
        config.validate()
    console(err=err).print(batch_told(batch_of(config)), soft_wrap=True)


def _show_roles(settings: TrainSettings, *, err: bool) -> None:
    with opened(settings.env_choice()) as env:
        console(err=err).print(roles_of(env), soft_wrap=True)
        if spaces := spaces_of(env):
            console(err=err).print(spaces, soft_wrap=True)


def _make(plan: Plan, given: Any, *, folder: str) -> Shown:
    """Make what is missing of a plan; the controls of runs with `until` come last: they take as long as those did."""
    jobs = plan.jobs
    making = Making(given=given, remedy=f"heliograph train --resume {shlex.quote(folder)}")
    anew = _budget(given) if given.resume is not None else {}
    with Display({}, err=given.json) as display:
        later = bool(plan.controls) and jobs[0].settings.open_ended
        controls = [] if later else [control for job in jobs for control in controls_of(job, plan.controls)]
        summaries = making.make([*jobs, *controls], display, budget_of=lambda job: anew)
        if later and making.all_ended:
            took = {job.name: summaries[job.name]["num_env_steps"] for job in jobs}
            controls = [t for job in jobs for t in controls_of(job, plan.controls, env_steps=took[job.name])]
            as_long: BudgetOf = lambda job: {"iterations": None, "env_steps": job.settings.env_steps}  # noqa: E731
            summaries |= making.make(controls, display, budget_of=as_long)
    if not making.all_ended:
        told = f"not all runs came to their end: {making.remedy} goes on with them"
        console(err=given.json).print(told, soft_wrap=True, markup=False, highlight=False)
    alone = len(summaries) == 1 and len(jobs) == 1
    result = summaries[jobs[0].name] if alone else {"runs": summaries, **_values(jobs, summaries)}
    return result, lambda _: _show_runs(summaries, folder=folder, trust=names_code(jobs[0].settings))


@dataclasses.dataclass(kw_only=True)
class Making:
    """Makes what is missing of some runs, as long as nobody interrupts."""

    given: Any
    remedy: str
    all_ended: bool = True

    def make(self, jobs: Sequence[Job], display: Display, *, budget_of: BudgetOf) -> dict[str, dict[str, Any]]:
        """Summaries of all these runs that have one."""
        now = standing(jobs, budget_of=budget_of)
        display.add({job.name: job.settings for job in now.left})
        how: dict[str, Any] = {"processes": self.given.jobs or num_cores(), "remedy": self.remedy}
        made = run_all(now.left, display=display, command=command_line(), **how)
        stopped = any(summary["stopped_by"] == "interrupt" for summary in made.values())
        self.all_ended = self.all_ended and len(made) == len(now.left) and not stopped
        found = now.done | made
        return {job.name: found[job.name] for job in jobs if job.name in found}


def _values(jobs: Sequence[Job], summaries: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The value of communication of each run that has a no-communication control and known bounds."""
    from heliograph.analysis.evaluate import value_of_communication
    from heliograph.experiments.choices import bounds_of

    settings = jobs[0].settings
    bounds = bounds_of(settings.env_choice())
    found = {}
    for job in jobs:
        silent = summaries.get("silent" if job.name == MAIN else f"{job.name}/silent")
        if bounds is not None and silent is not None and job.name in summaries:
            found[job.name] = value_of_communication(
                summaries[job.name]["episode_return_mean"],
                silent=silent["episode_return_mean"],
                full_information=bounds.full_information,
            )
    return {"value_of_communication": found} if found else {}


def names_code(settings: TrainSettings) -> bool:
    """Tell whether a run names code that the user has not trusted yet, so that to read it takes `--trust`."""
    chosen = {"env": settings.env_choice(), "team": settings.choices()}
    return bool(untrusted_code(json.loads(json.dumps(chosen, default=plain))))


def _show_runs(summaries: dict[str, dict[str, Any]], *, folder: str, trust: bool) -> None:
    summary_table(summaries)
    console().print(f"\n{folder}: read it with heliograph report {shlex.quote(folder)}{' --trust' if trust else ''}")
