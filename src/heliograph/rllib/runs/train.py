"""Training from Python: a run and the controls beside it, in the folders that `heliograph train` leaves."""

import contextlib
import pathlib
from collections.abc import Iterable
from typing import Any

from heliograph.experiments.jobs import MAIN, Job, check_controls, controls_named
from heliograph.rllib.config import CommunicationConfig
from heliograph.rllib.interrupts import Stop
from heliograph.rllib.runs.configured import Trainable, beyond_settings, config_of, given_settings
from heliograph.rllib.runs.controls import train_controls
from heliograph.rllib.runs.described import refuse_nameless, versions
from heliograph.rllib.runs.one_run import OnProgress, num_actors, resume, resumed_settings, train_alone
from heliograph.rllib.runs.plan import Plan, discard_runs, refuse_runs, write_plan
from heliograph.rllib.runs.run_lock import claimed

__all__ = ["config_of", "num_actors", "resume", "resumed_settings", "train", "versions"]


def train(
    what: Trainable,
    *,
    out: str | pathlib.Path,
    controls: bool | str | Iterable[str] = False,
    on_progress: OnProgress | None = None,
    stop: Stop | None = None,
    overwrite: bool = False,
    command: str | None = None,
    **budget: Any,
) -> dict[str, Any]:
    """Train, leave a run folder `out`, and return the summary that also goes to its summary.json.

    `what`: TrainSettings, or a mapping of them, or a file of them (YAML, JSON); a recipe, or its name; or an RLlib
    configuration such as CommPPOConfig, with all that it can say: policies, mapping, freezing, callbacks, modules.
    `budget` are settings that the latter lacks, or that are to be others: `iterations`, `env_steps`, `until`,
    `patience`, `checkpoint_every`, `evaluation_episodes`, `evaluate_every`, `record_every`, and of the former any.

    `controls`: those to be trained after it, in `out`/silent and so on, for as long as it took: True for the usual two,
    or names ("silent", "garbled", "self"); `train_controls` adds them later. `on_progress` is called with each row of
    progress.csv, of the run itself. Training ends early, with a whole run folder, where `stop()` turns true (a string
    goes to `stopped_by`) or the user interrupts, after which no control is begun. A folder that holds a run already is
    refused, for a control too, unless `overwrite`, which deletes what training wrote there, controls as well.
    """
    settings, kinds, place = given_settings(what, budget), controls_named(controls), pathlib.Path(out).absolute()
    own = what if isinstance(what, CommunicationConfig) else None
    check_controls(settings, kinds)
    refuse_nameless({"": settings} if own is None else {"env": own.env_choice(), "team": own.choices()})
    job = Job(name=MAIN, settings=settings, out=place)
    if overwrite:
        discard_runs([job], place)
    else:
        refuse_runs([job], place, controls=kinds)
    with contextlib.ExitStack() as stack:
        if kinds and not (own is not None and beyond_settings(own)):  # a plan says no more than settings do
            stack.enter_context(claimed(write_plan(place, Plan(jobs=(job,), controls=kinds))))
        how: dict[str, Any] = {"on_progress": on_progress, "stop": stop, "overwrite": overwrite, "command": command}
        summary = train_alone(what, out=place, **how, **budget)
        if kinds and summary["stopped_by"] != "interrupt":
            train_controls(place, config=own, only=kinds, command=command)
    return summary
