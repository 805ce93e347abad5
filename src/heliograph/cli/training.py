"""The commands that train: `train` and `demo`."""

import pathlib
from collections.abc import Callable
from typing import Any

from heliograph import registry
from heliograph.cli.choosing import jobs_of, settings_from_arguments
from heliograph.cli.overwriting import refuse_existing
from heliograph.cli.running import command_line, run_all
from heliograph.cli.shown import Display
from heliograph.experiments.jobs import Job, check_controls, controls_of
from heliograph.experiments.settings import check_training, settings_from
from heliograph.memory import collecting_later
from heliograph.storage.run_folder import CONFIG

Shown = tuple[Any, Callable[[Any], None]]
DEMO = {"dru": "speaker_listener_dru", "symbols": "speaker_listener_symbols"}
"""The recipes of the demo: the first with its controls."""
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


def run_train(given: Any) -> Shown:
    """`heliograph train`."""
    if given.resume is not None:
        _refuse_with_resume(given)
        with collecting_later():
            from heliograph.cli.making import continued

        return continued(given)
    if given.out is None:
        raise ValueError("--out DIR is missing: where should the run folder be?")
    what = settings_from_arguments(given)
    out = pathlib.Path(given.out).absolute()
    jobs = jobs_of(what, out=out, seeds=given.seeds)
    if given.controls is not None:
        check_controls(what.settings, what.controls)
    with collecting_later():
        from heliograph.rllib.runs.plan import refuse_runs

    if not given.overwrite:
        refuse_runs(jobs, out, controls=what.controls)
    check_training(what.settings)
    with collecting_later():
        from heliograph.cli.making import begun

    return begun(jobs, given, controls=what.controls)


def run_demo(given: Any) -> Shown:
    """`heliograph demo`."""
    from heliograph.cli.demo import findings, riddle_findings, show

    out = pathlib.Path(given.out).absolute()
    dru, symbols = (_demo_job(name, recipe, out) for name, recipe in DEMO.items())
    silent, garbled = (_replacing(job) for job in controls_of(dru))
    riddle = _demo_job(RIDDLE, RIDDLE, out, **RIDDLE_BUDGET)
    games = [dru, symbols, silent, garbled]
    jobs = [dru, riddle, symbols, silent, garbled]
    refuse_existing([job.out / CONFIG for job in jobs], given)
    with Display({job.name: job.settings for job in jobs}, err=given.json) as display:
        summaries = run_all(
            jobs, processes=given.jobs, display=display, command=command_line(), remedy="the same command"
        )
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


def _refuse_with_resume(given: Any) -> None:
    allowed = {"command", "resume", "iterations", "env_steps", "jobs", "json", "debug"}
    for name, value in vars(given).items():
        if name not in allowed and value is not None:
            option = name if name == "target" else f"--{name.replace('_', '-')}"
            raise ValueError(f"{option} cannot go with --resume, which continues a run as it was begun")
