"""All runs of one command, written down before the first begins: `--resume` makes what is missing of them."""

import dataclasses
import pathlib
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from heliograph.experiments.controls import CONTROLS, USUAL_CONTROLS
from heliograph.experiments.jobs import Job
from heliograph.experiments.older_defaults import FORMAT_VERSION, FORMATS, training_brought_up
from heliograph.experiments.settings import settings_from
from heliograph.rllib.runs.finished import finished_run, spent
from heliograph.rllib.runs.run_lock import cleared
from heliograph.storage.run_folder import CONFIG, RunFolderError, read_config, write_json
from heliograph.storage.safe_files import VERSION, check_out, read_json

__all__ = [
    "PLAN",
    "Plan",
    "Standing",
    "discard_runs",
    "read_plan",
    "refuse_runs",
    "replanned",
    "standing",
    "write_plan",
]

PLAN = "plan.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """The runs that a command was to make, and the controls that each has beside it."""

    jobs: tuple[Job, ...]
    controls: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing:
    """How far some runs have come: summaries of those that are finished, and what is left to do."""

    done: dict[str, dict[str, Any]]
    left: tuple[Job, ...]


def write_plan(folder: pathlib.Path, plan: Plan) -> pathlib.Path:
    """Write a plan into the folder of its runs."""
    runs = [
        {
            "name": job.name,
            "folder": job.out.relative_to(folder).as_posix(),
            "settings": job.settings,
        }
        for job in plan.jobs
    ]
    write_json(folder / PLAN, {VERSION: FORMAT_VERSION, "controls": plan.controls, "runs": runs})
    return folder / PLAN


def read_plan(folder: pathlib.Path) -> Plan | None:
    """The plan in a folder; None where there is none, as in the folder of a single run."""
    path = folder / PLAN
    if not path.exists():
        return None
    content = read_json(path)
    if not isinstance(content, dict) or content.get(VERSION) not in FORMATS:
        raise RunFolderError(f"{path} is no plan of runs that this Heliograph reads: move it to another folder")
    try:
        jobs = tuple(_job(folder, run, version=content[VERSION]) for run in content["runs"])
        return Plan(jobs=jobs, controls=_kinds(content["controls"]))
    except (KeyError, TypeError, ValueError) as error:
        raise RunFolderError(f"{path} is damaged: {type(error).__name__}: {error}") from error


def _kinds(written: Any) -> tuple[str, ...]:
    """Names of controls; plans of before say whether there are the usual ones."""
    if isinstance(written, bool):
        return USUAL_CONTROLS if written else ()
    if unknown := set(written) - set(CONTROLS):
        raise ValueError(f"unknown controls {sorted(map(str, unknown))}")
    return tuple(written)


def replanned(plan: Plan, budget: Mapping[str, int | None]) -> Plan:
    """The plan on a new budget, where one is given."""
    jobs = [dataclasses.replace(job, settings=_with_budget(job.settings.model_dump(), budget)) for job in plan.jobs]
    return dataclasses.replace(plan, jobs=tuple(jobs))


def standing(jobs: Sequence[Job], *, budget_of: Callable[[Job], Mapping[str, int | None]]) -> Standing:
    """Return what is done of some runs, and what is to be begun or gone on with, on a new budget where there is one."""
    done, left = {}, []
    for job in jobs:
        begun = (job.out / CONFIG).exists()
        settings = _with_budget(_settings_in(job.out) if begun else job.settings.model_dump(), budget_of(job))
        summary = finished_run(job.out) if begun else None
        if summary is not None and spent(summary, settings):
            done[job.name] = summary
        else:
            left.append(dataclasses.replace(job, settings=settings, resume=begun))
    return Standing(done=done, left=tuple(left))


def refuse_runs(jobs: Sequence[Job], out: pathlib.Path, *, controls: Sequence[str]) -> None:
    """Before anything is trained, so that no work is lost."""
    check_out(out)
    if controls or len(jobs) > 1:
        read_plan(out)  # somebody else's file of that name is not to be replaced
    for job in jobs:
        check_out(job.out)
        for folder in (job.out, *(job.out / kind for kind in controls)):
            if (folder / CONFIG).exists():
                whole = out if (out / PLAN).exists() else folder
                does = "makes what is missing" if (whole / PLAN).exists() else "continues it"
                raise RunFolderError(
                    f"{folder} holds a run already: heliograph train --resume {shlex.quote(str(whole))} {does}; or "
                    "choose another --out, or say --overwrite"
                )


def discard_runs(jobs: Sequence[Job], out: pathlib.Path) -> None:
    """Delete what training wrote of earlier runs, their controls and their plan, so that others take their place."""
    for job in jobs:
        for folder in (job.out, *(job.out / kind for kind in CONTROLS)):
            if (folder / CONFIG).exists():
                cleared(folder, overwrite=True)
    if read_plan(out) is not None:
        (out / PLAN).unlink()


def _job(folder: pathlib.Path, run: Mapping[str, Any], *, version: int) -> Job:
    out = folder / run["folder"]
    if not out.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{run['folder']} leads out of the folder")
    settings = settings_from(training_brought_up(run["settings"], version=version))
    return Job(name=str(run["name"]), settings=settings, out=out)


def _settings_in(folder: pathlib.Path) -> Mapping[str, Any]:
    training = read_config(folder).get("training")
    if not isinstance(training, dict):
        raise RunFolderError(f"{folder / CONFIG} does not say how the team was trained: such a run cannot be resumed")
    return training


def _with_budget(given: Mapping[str, Any], budget: Mapping[str, int | None]) -> Any:
    new = dict(budget) if any(value is not None for value in budget.values()) else {}
    return settings_from({**given, **new})
