"""Runs out of what trains them, or of an RLlib checkpoint: to be read at once, or saved as a run folder."""

import json
import pathlib
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from heliograph.analysis.judging import judged
from heliograph.experiments.choices import build_team
from heliograph.rllib.config import CommunicationConfig
from heliograph.rllib.runs.configured import beyond_settings, settings_of_config
from heliograph.rllib.runs.described import description, refuse_nameless, versions
from heliograph.rllib.runs.records import ProgressWriter
from heliograph.rllib.runs.run_lock import claimed, cleared
from heliograph.storage.provenance import write_sources
from heliograph.storage.run_folder import (
    SUMMARY,
    Run,
    RunFolderError,
    plain,
    read_config,
    read_run,
    remember_code,
    write_config,
    write_json,
    write_team,
)
from heliograph.team.team import Team
from heliograph.texts import one_line

__all__ = ["BEYOND", "run_in_memory", "run_of_checkpoint", "save_run"]

BEYOND = "beyond_settings"
"""Entry of config.json: what a configuration had that training settings cannot say."""
ARGUMENTS = "class_and_ctor_args.pkl"
MODULES = pathlib.PurePath("learner_group", "learner", "rl_module")


def run_in_memory(config: CommunicationConfig, team: Team, *, folder: pathlib.Path | None = None) -> Run:
    """A run in memory: a copy of a team as it is now, with the choices that it was made of."""
    env, choices, facts = config.env_choice(), config.choices(), config.facts()
    own = build_team(choices, facts, seed=0)
    own.load_state_dict(team.state_dict())
    about = {"env": env, "team": choices, "seed": config.seed, "training": settings_of_config(config)}
    told = json.loads(json.dumps(about, default=plain))
    place = pathlib.Path.cwd() if folder is None else folder
    return Run(folder=place, config=told, env=env, choices=choices, facts=facts, team=own.eval())


def save_run(
    folder: str | pathlib.Path,
    *,
    config: CommunicationConfig,
    team: Team,
    trained: dict[str, Any],
    rows: Sequence[Mapping[str, Any]],
    overwrite: bool = False,
    evaluation_episodes: int | None = 1000,
) -> Run:
    """Write a team and all that is known of its training as a run folder, evaluated unless that is None; read it back.

    `trained` are entries of summary.json: iterations, env steps and seconds so far. `rows` go to progress.csv and to
    TensorBoard's files.
    """
    budget = {"iterations": trained["iterations"], "evaluation_episodes": evaluation_episodes}
    settings = settings_of_config(config, {key: value for key, value in budget.items() if value})
    refuse_nameless({"env": config.env_choice(), "team": config.choices()})
    place = cleared(pathlib.Path(folder).absolute(), overwrite=overwrite)
    with claimed(place):
        about, beyond = description(config, settings), beyond_settings(config)
        write_config(
            place, env=config.env_choice(), choices=config.choices(), command=None, **about,
            **({BEYOND: beyond} if beyond else {}),
        )  # fmt: skip
        write_sources(place, about["sources"])
        remember_code(read_config(place))
        with ProgressWriter(place) as progress:
            for row in rows:
                progress.add(row)
        write_team(place, team)
        run = read_run(place, trust=True)
        if evaluation_episodes is not None:
            found = judged(run, num_episodes=evaluation_episodes, seed=settings.seed)
            more = {"stopped_by": "save_run", "seed": settings.seed, "versions": versions(), "command": None}
            write_json(place / SUMMARY, {**found, **trained, **more})
    return run


def run_of_checkpoint(folder: pathlib.Path) -> Run:
    """The run in a checkpoint of RLlib's, which is made of pickles: trusted folders only. Starts nothing of Ray."""
    try:
        with (folder / ARGUMENTS).open("rb") as file:
            held = pickle.load(file)
        config = held["ctor_args_and_kwargs"][0][0]
        if isinstance(config, dict):
            config = held["class"].get_default_config().update_from_dict(config)
    except Exception as error:  # whatever unpickling brings about
        raise RunFolderError(f"{folder} is an RLlib checkpoint that cannot be read: {one_line(error)}") from error
    if not isinstance(config, CommunicationConfig):
        raise RunFolderError(f"{folder} is an RLlib checkpoint of another algorithm: {type(config).__name__}")
    module = config.get_multi_rl_module_spec().build()
    with torch.no_grad():
        module.restore_from_path(str(folder.absolute() / MODULES))  # Ray takes relative paths for URIs
    return run_in_memory(config, module.team, folder=folder)
