"""The commands that train: `train` and `demo`."""

import pathlib
import shlex
import sys
from collections.abc import Callable, Iterable
from typing import Any

from heliograph import registry
from heliograph.cli.choosing import MAIN, Chosen, Job, chosen, jobs_of, twins_of
from heliograph.cli.running import run_all
from heliograph.cli.shown import Display, console, summary_table
from heliograph.cores import num_cores
from heliograph.rllib.settings import TWINS, check, settings_from

Shown = tuple[Any, Callable[[Any], None]]
DEMO = {"dru": "speaker_listener_dru", "symbols": "speaker_listener_symbols"}
"""The recipes of the demo: the first with its twins."""
RIDDLE = "dial_switch3"
"""The recipe that the demo ends with."""
RIDDLE_BUDGET = {
    "seed": 1,
    "iterations": 1000,
    "until": {"evaluation_normalised_return": 0.999},
    "evaluate_every": 50,
    "checkpoint_every": 500,
}
"""How long that may take: until every visiting sequence is played perfectly."""


def train(given: Any) -> Shown:
    """`heliograph train`."""
    if given.resume is not None:
        return _resume(given)
    if given.out is None:
        raise ValueError("--out DIR is missing: where should the run folder be?")
    what = chosen(given)
    jobs = jobs_of(what, out=pathlib.Path(given.out), seeds=given.seeds)
    _refuse_runs(jobs, controls=what.controls)
    check(what.settings)
    _check_config(what.settings)
    summaries = _train_jobs(jobs, what, processes=given.jobs or num_cores(), json=given.json)
    alone = len(summaries) == 1
    result = summaries[jobs[0].name] if alone else {"runs": summaries, **_values(jobs, summaries)}
    return result, lambda _: _show_runs(summaries, folder=given.out)


def demo(given: Any) -> Shown:
    """`heliograph demo`."""
    from heliograph.cli.demo import findings, riddle_findings, show

    out = pathlib.Path(given.out)
    dru, symbols = (_demo_job(name, recipe, out) for name, recipe in DEMO.items())
    silent, garbled = (_replacing(job) for job in twins_of(dru))
    riddle = _demo_job(RIDDLE, RIDDLE, out, **RIDDLE_BUDGET)
    games = [dru, symbols, silent, garbled]
    jobs = [dru, riddle, symbols, silent, garbled]
    with Display({job.name: job.settings for job in jobs}, err=given.json) as display:
        summaries = run_all(jobs, processes=given.jobs, display=display, command=command_line())
        if len(summaries) < len(jobs):
            raise KeyboardInterrupt
        display.say("writing the report")
        result = findings(games, summaries=summaries) | {"riddle": riddle_findings(riddle.out)}
    return result, show


def _demo_job(name: str, recipe: str, out: pathlib.Path, **changes: Any) -> Job:
    settings = settings_from({**registry.load("recipe", recipe)().settings, **changes})
    folder = out if name == next(iter(DEMO)) else out / name
    return _replacing(Job(name=name, settings=settings, out=folder))


def _replacing(job: Job) -> Job:
    name = job.name.rpartition("/")[2]
    return Job(name=name, settings=job.settings, out=job.out, overwrite=True)


def _resume(given: Any) -> Shown:
    from heliograph.run_folder import read_config

    _refuse_with_resume(given)
    read_config(pathlib.Path(given.resume))
    from heliograph.rllib.train import resume, resumed_settings

    budget = {"iterations": given.iterations, "env_steps": given.env_steps}
    settings = resumed_settings(read_config(pathlib.Path(given.resume)), **budget)
    with Display({MAIN: settings}, err=given.json) as display:
        display.start(MAIN)
        row = lambda row: display.row(MAIN, row)  # noqa: E731
        summary = resume(given.resume, **budget, on_progress=row, command=command_line())
        display.end(MAIN, summary)
    return summary, lambda _: _show_runs({MAIN: summary}, folder=given.resume)


def _refuse_with_resume(given: Any) -> None:
    allowed = {"command", "resume", "iterations", "env_steps", "json", "debug"}
    for name, value in vars(given).items():
        if name not in allowed and value is not None:
            option = name if name == "target" else f"--{name.replace('_', '-')}"
            raise ValueError(f"{option} cannot go with --resume, which continues a run as it was begun")


def _check_config(settings: Any) -> None:
    """The same checks as when the algorithm is built, before folders and processes are made."""
    from heliograph.rllib.session import quiet
    from heliograph.rllib.train import config_of

    with quiet():
        config_of(settings).validate()


def _refuse_runs(jobs: Iterable[Job], *, controls: bool) -> None:
    """Before anything is trained, so that no work is lost."""
    from heliograph.run_folder import CONFIG, RunFolderError
    from heliograph.safe_files import check_out

    for job in jobs:
        check_out(job.out)
        for folder in [job.out, *((job.out / kind for kind in TWINS) if controls else ())]:
            if (folder / CONFIG).exists():
                raise RunFolderError(f"{folder} holds a run already: choose another --out, or --resume {folder}")


def _train_jobs(jobs: list[Job], what: Chosen, *, processes: int, json: bool) -> dict[str, dict[str, Any]]:
    later = what.controls and bool(what.settings.until)
    first = [*jobs, *(twin for job in jobs for twin in twins_of(job) if what.controls and not later)]
    with Display({job.name: job.settings for job in first}, err=json) as display:
        summaries = run_all(first, processes=processes, display=display, command=command_line())
        if later and len(summaries) == len(first):
            twins = [t for job in jobs for t in twins_of(job, env_steps=summaries[job.name]["num_env_steps"])]
            display.add({job.name: job.settings for job in twins})
            summaries |= run_all(twins, processes=processes, display=display, command=command_line())
    return summaries


def _values(jobs: list[Job], summaries: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The value of communication of each run that has a silent twin and known bounds."""
    from heliograph.analysis.evaluate import value_of_communication
    from heliograph.experiment import bounds_of

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


def _show_runs(summaries: dict[str, dict[str, Any]], *, folder: str) -> None:
    summary_table(summaries)
    console().print(f"\n{folder}: read it with heliograph report {shlex.quote(folder)}")


def command_line() -> str:
    """What the user typed."""
    return shlex.join(["heliograph", *sys.argv[1:]])
