"""Trials of a sweep in processes of this machine, each of which makes one trial after another and starts no Ray.

What a trial comes to does not depend on the trials that shared its process: each draws from streams of its own seed.
"""

from collections.abc import Sequence

from heliograph.cli.running import Watcher, Workers, command_line
from heliograph.experiments.jobs import Job
from heliograph.rllib.runs.checkpoints import complete_checkpoints
from heliograph.rllib.runs.run_lock import claimed
from heliograph.rllib.runs.sweep import Halving, Trial
from heliograph.storage.safe_files import make_folder

__all__ = ["made_here"]

REMEDY = "the same command again"


def made_here(
    trials: Sequence[Trial],
    *,
    jobs: int,
    watcher: Watcher,
    scheduler: str,
    metric: str,
    grace_iterations: int,
    resumed: bool,
) -> dict[str, str]:
    """Make trials, `jobs` at a time, and return what went wrong, by name; a trial that fails ends no other.

    `scheduler`, `metric` and `grace_iterations` are as in `heliograph.rllib.runs.sweep`. Where `resumed`, trials that
    have a checkpoint go on from it.
    """
    folder = trials[0].out.resolve().parent
    make_folder(folder)
    judge = Halving(trials, metric=metric, grace_iterations=grace_iterations) if scheduler == "asha" else None
    with claimed(folder):
        number = min(jobs, len(trials))
        with Workers(number, display=watcher, command=command_line(), remedy=REMEDY, judge=judge) as workers:
            workers.make([_job(trial, resumed=resumed) for trial in trials])
    return workers.told


def _job(trial: Trial, *, resumed: bool) -> Job:
    goes_on = resumed and bool(complete_checkpoints(trial.out))
    return Job(name=trial.name, settings=trial.settings, out=trial.out, overwrite=not goes_on, resume=goes_on)
