"""Training runs: an algorithm, its budget, and the run folder that it leaves behind."""

import contextlib
import dataclasses
import os
import pathlib
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import ray
import torch

import heliograph
from heliograph.analysis.evaluate import play_run, scores
from heliograph.analysis.exact import enumerable
from heliograph.analysis.judging import FIRST_WEIGHTS, judged, untrained_numbers
from heliograph.envs.checking import EnvError
from heliograph.experiments.choices import facts_for, resolve
from heliograph.experiments.settings import EVALUATED, TrainSettings, settings_from
from heliograph.names import safe_names
from heliograph.registry import UnknownNameError, settings_of
from heliograph.rllib.algorithm import CommunicationAlgorithm
from heliograph.rllib.config import CommunicationConfig
from heliograph.rllib.failures import RunError, exit_called
from heliograph.rllib.interrupts import Stop, interruptible
from heliograph.rllib.learner_errors import learners_answering
from heliograph.rllib.mapping import OwnNetwork
from heliograph.rllib.runs.checkpoints import check_checkpoint, complete_checkpoints, iteration_of, write_checkpoint
from heliograph.rllib.runs.records import ProgressWriter, row_of
from heliograph.rllib.runs.run_lock import claimed, cleared
from heliograph.rllib.runs.session import harmless_lines_dropped, ray_running
from heliograph.rllib.teams import team_of
from heliograph.rollouts.rollout import Keeping
from heliograph.rollouts.statistics import OF_TEAM
from heliograph.storage.atomic import WriteError
from heliograph.storage.run_folder import (
    CONFIG,
    SUMMARY,
    Run,
    RunFolderError,
    read_config,
    rewrite_config,
    write_config,
    write_json,
    write_team,
)
from heliograph.team.team import Team

ENV_RUNNER_SETTINGS = ("num_envs_per_env_runner", "rollout_fragment_length", "batch_mode", "sample_timeout_s")
TRAINING_SETTINGS = (
    "gamma",
    "lr",
    "grad_clip",
    "grad_clip_by",
    "train_batch_size_per_learner",
    "num_epochs",
    "minibatch_size",
)
"""Of RLlib's own `.training()`; those that an algorithm adds are read off its signature."""
MOST_STARTS = 10_000
"""Starts that an evaluation during training plays at most, where it plays all."""

OnProgress = Callable[[dict[str, Any]], None]


def train(
    settings: TrainSettings,
    *,
    out: str | pathlib.Path,
    on_progress: OnProgress | None = None,
    stop: Stop | None = None,
    overwrite: bool = False,
    command: str | None = None,
) -> dict[str, Any]:
    """Train as the settings say and return the summary that also goes to summary.json.

    `on_progress` is called with each row of progress.csv. Training ends early, with a whole run folder, where `stop()`
    turns true (a string goes to `stopped_by`) or the user interrupts. A folder that holds a run already is refused
    unless `overwrite`.
    """
    config = config_of(settings)
    folder = cleared(pathlib.Path(out).absolute(), overwrite=overwrite)
    with claimed(folder), interruptible(stop) as stopped, ray_running(num_actors=num_actors(settings)):
        algo = _built(config, settings)
        about = {"training": settings, "seed": settings.seed, "versions": versions(), "command": command}
        write_config(folder, env=config.env_choice(), choices=config.choices(), **about)
        return _Life(algo=algo, settings=settings, folder=folder, command=command).live(on_progress, stopped)


def resume(
    folder: str | pathlib.Path,
    *,
    iterations: int | None = None,
    env_steps: int | None = None,
    on_progress: OnProgress | None = None,
    stop: Stop | None = None,
    command: str | None = None,
) -> dict[str, Any]:
    """Continue a run from its last whole checkpoint to the end of its budget, or of a new one.

    A run that ended before its first checkpoint is begun anew. Trusted folders only: RLlib's checkpoints are pickles,
    and opening one can run any code.
    """
    folder = pathlib.Path(folder).absolute()
    content = read_config(folder)
    settings = resumed_settings(content, iterations=iterations, env_steps=env_steps)
    with claimed(folder), interruptible(stop) as stopped, ray_running(num_actors=num_actors(settings)):
        checkpoints = complete_checkpoints(folder)
        algo = _restored(checkpoints[-1], settings) if checkpoints else _built(config_of(settings), settings)
        rewrite_config(folder, {**content, "training": settings, "versions": versions()})
        return _Life(algo=algo, settings=settings, folder=folder, command=command).live(on_progress, stopped)


def resumed_settings(
    content: dict[str, Any], *, iterations: int | None = None, env_steps: int | None = None
) -> TrainSettings:
    """The settings in a run's configuration, with a new budget where one is given."""
    if not isinstance(content.get("training"), dict):
        raise RunFolderError(f"{CONFIG} does not say how the team was trained: such a run cannot be resumed")
    given = dict(content["training"])
    if iterations is not None or env_steps is not None:
        given |= {"iterations": iterations, "env_steps": env_steps}
    return settings_from(given)


def config_of(settings: TrainSettings) -> CommunicationConfig:
    """The RLlib configuration that the settings come to."""
    config: CommunicationConfig = resolve("algorithm", settings.algorithm)()
    known = [*TRAINING_SETTINGS, *(key for key in settings_of(type(config).training) if key != "kwargs")]
    for name in settings.algorithm_settings:
        if name not in (*known, *ENV_RUNNER_SETTINGS):
            what = f"setting of algorithm {settings.algorithm!r}"
            raise UnknownNameError(what=what, name=name, valid=sorted({*known, *ENV_RUNNER_SETTINGS}))
    given = settings.algorithm_settings
    team = ("model", "channel", "topology")
    chosen = {key: getattr(settings, key) for name in team for key in (name, f"{name}_settings")}
    normalise = {key: getattr(settings, key) for key in TrainSettings.model_fields if key.startswith("normalise_")}
    config.environment(settings.env, env_config=dict(settings.env_settings), curriculum=settings.curriculum)
    config.communication(**chosen, **normalise, freeze_team=settings.freeze_team)
    _check_teams_of(settings, config)
    config.communication(critic=settings.critic, critic_size=settings.critic_size)
    config.communication(losses=[tuple(x) if isinstance(x, list) else x for x in settings.losses])
    if settings.networks == "separate":
        ids = config.facts().ids_by_name
        names = {ids[agent]: name for agent, name in safe_names(ids).items()}
        config.multi_agent(policies=set(names.values()), policy_mapping_fn=OwnNetwork(names=names))
    config.communication(load_policies=settings.load_policies, torch_num_threads=settings.torch_num_threads)
    config.training(**{k: v for k, v in given.items() if k not in ENV_RUNNER_SETTINGS})
    config.env_runners(**{k: v for k, v in given.items() if k in ENV_RUNNER_SETTINGS})
    config.env_runners(num_env_runners=settings.num_env_runners).learners(num_learners=settings.num_learners)
    return config.debugging(seed=settings.seed, log_level="ERROR")


def _check_teams_of(settings: TrainSettings, config: CommunicationConfig) -> None:
    """Refuse to wait for the return of a team that there is not: training would never end."""
    asked = [key for key in settings.until if key.startswith(OF_TEAM)]
    teams = config.facts().teams if asked else ()
    for key in asked:
        if len(teams) == 1 or key.removeprefix(OF_TEAM) not in teams:
            valid = [f"{OF_TEAM}{name}" for name in teams if len(teams) > 1]
            raise UnknownNameError(what="metric in until", name=key, valid=valid)


def num_actors(settings: TrainSettings) -> int:
    """Processes that Ray starts for a run: env runners, learners, and the evaluating ones of a user's own algorithm."""
    config = resolve("algorithm", settings.algorithm)()
    return settings.num_actors + (int(config.evaluation_num_env_runners) if config.evaluation_interval else 0)


def versions() -> dict[str, str]:
    """Of everything that the numbers depend on."""
    own = {"heliograph": heliograph.__version__, "python": platform.python_version()}
    return {**own, "torch": torch.__version__, "ray": ray.__version__, "platform": platform.platform()}


def _built(config: CommunicationConfig, settings: TrainSettings) -> CommunicationAlgorithm:
    torch.manual_seed(settings.seed)
    with harmless_lines_dropped() if settings.num_actors else contextlib.nullcontext():
        return config.build_algo()


def _restored(checkpoint: pathlib.Path, settings: TrainSettings) -> CommunicationAlgorithm:
    check_checkpoint(checkpoint)
    for kind in ("algorithm", "env"):
        if ":" in str(name := getattr(settings, kind)):
            resolve(kind, name)  # before pickles name its module
    with harmless_lines_dropped() if settings.num_actors else contextlib.nullcontext():
        algo = CommunicationAlgorithm.from_checkpoint(str(checkpoint))
    changed = _changed_roles(algo.config)
    if changed:
        algo.stop()
        raise RunFolderError(
            f"{checkpoint} was written for another {settings.env}: what {', '.join(changed)} see or do has changed "
            "since, with its code or its version; bring that back, or train anew"
        )
    return algo


def _changed_roles(config: CommunicationConfig) -> list[str]:
    """Roles of the environment that are not what they were when a configuration was saved."""
    then = {role.name: role for role in config.facts().roles}
    now = {role.name: role for role in facts_for(config.env_choice()).roles}
    return sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))


@dataclasses.dataclass(kw_only=True)
class _Life:
    """What one process does for a run: from a built or restored algorithm to the summary."""

    algo: CommunicationAlgorithm
    settings: TrainSettings
    folder: pathlib.Path
    command: str | None

    def live(self, on_progress: OnProgress | None, stopped: Stop) -> dict[str, Any]:
        with self._saying_how_to_go_on():
            try:
                with learners_answering(self.algo.learner_group):
                    stopped_by, last, seconds = self._iterate(on_progress or (lambda row: None), stopped)
                    team = self._save()
            finally:
                unclosed = self._stop()
            summary = self._summary(team, last, seconds) | {"stopped_by": stopped_by}
            write_json(self.folder / SUMMARY, summary)
            if unclosed is not None:
                raise unclosed
        return summary

    @contextlib.contextmanager
    def _saying_how_to_go_on(self) -> Iterator[None]:
        try:
            yield
        except SystemExit as error:
            raise self._with_remedy(exit_called(error)) from error
        except (RunError, WriteError) as error:
            raise self._with_remedy(error) from error

    def _with_remedy(self, error: Exception) -> Exception:
        stop = "." if isinstance(error, WriteError) else ""
        return type(error)(f"{error}{stop}\nThen go on with: heliograph train --resume {shlex.quote(str(self.folder))}")

    def _stop(self) -> EnvError | None:
        """End the algorithm; an environment that cannot be closed costs no summary, and is told after it."""
        error, unclosed = sys.exception(), None
        with contextlib.suppress(Exception) if error else contextlib.nullcontext():
            try:
                self.algo.end_at_once() if isinstance(error, KeyboardInterrupt) else self.algo.stop()
            except EnvError as problem:
                unclosed = problem
        with contextlib.suppress(OSError):  # RLlib leaves an empty folder in ~/ray_results
            os.rmdir(self.algo.logdir)
        return unclosed

    def _iterate(self, on_progress: OnProgress, stopped: Stop) -> tuple[str, dict[str, Any], float]:
        row: dict[str, Any] = {}
        teams = self.algo.config.facts().teams
        named = teams if len(teams) > 1 else ()
        with ProgressWriter(self.folder, after=self.algo.iteration) as progress:
            seconds, row = progress.seconds, progress.last
            first = None if self.algo.iteration or self.settings.load_policies else self._team_apart()
            while (reason := self._done(row, stopped)) is None:
                started, steps = time.perf_counter(), row.get("num_env_steps", 0)
                results = self.algo.train()
                took = time.perf_counter() - started
                seconds += took
                if first is not None:
                    self._keep_untrained(first)
                    first = None
                row = self._evaluated(row_of(results, seconds=seconds, took=took, steps_before=steps, teams=named))
                progress.add(row)
                (self.folder / SUMMARY).unlink(missing_ok=True)  # of an earlier end, which this row takes back
                on_progress(row)
                if row["iteration"] % self.settings.checkpoint_every == 0:
                    progress.sync()
                    self._save()
        return reason, row, seconds

    def _team_apart(self) -> Team:
        """A copy of the team as it is now; building it draws weights, which the run must not notice."""
        with torch.random.fork_rng(devices=[]):
            return team_of(self.algo)

    def _keep_untrained(self, first: Team) -> None:
        """Write down what the team told and reached before it learnt, once sampling has shown that it can play."""
        if first.silent:
            return
        with torch.random.fork_rng(devices=[]):
            some, seed = self.settings.evaluation_episodes, self.settings.seed
            found = untrained_numbers(self._run(first), num_episodes=some, seed=seed)
        rewrite_config(self.folder, {**read_config(self.folder), FIRST_WEIGHTS: found})

    def _evaluated(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row, with the scores of the team as it would be deployed, in the iterations that ask for them."""
        every = self.settings.evaluate_every
        if every is None:
            return row
        if row["iteration"] % every:
            return {**row, **dict.fromkeys(EVALUATED)}
        with torch.random.fork_rng(devices=[]):  # building the team anew draws weights
            run = self._run(team_of(self.algo))
            some = None if enumerable(run.env, at_most=MOST_STARTS) else self.settings.evaluation_episodes
            found = scores(play_run(run, num_episodes=some, seed=self.settings.seed, keeping=Keeping.SAID))
        return {**row, **dict(zip(EVALUATED, (found["episode_return_mean"], found["normalised_return"]), strict=True))}

    def _done(self, row: dict[str, Any], stopped: Stop) -> str | None:
        s = self.settings
        reached = {key: row.get(key) for key in s.until}
        if reached and all(value is not None and value >= s.until[key] for key, value in reached.items()):
            return "until"
        if s.max_iterations is not None and row.get("iteration", 0) >= s.max_iterations:
            return "iterations"
        if s.env_steps is not None and row.get("num_env_steps", 0) >= s.env_steps:
            return "env_steps"
        why = stopped()
        return why if isinstance(why, str) and why else "interrupt" if why else None

    def _save(self) -> Team:
        iteration = self.algo.iteration
        if not any(iteration_of(path) == iteration for path in complete_checkpoints(self.folder)):
            write_checkpoint(self.folder, iteration=iteration, save=self.algo.save_to_path)
        team = team_of(self.algo)
        write_team(self.folder, team)
        return team

    def _run(self, team: Team) -> Run:
        config = self.algo.config
        return Run(
            folder=self.folder,
            config=read_config(self.folder),
            env=config.env_choice(),
            choices=config.choices(),
            facts=config.facts(),
            team=team,
        )

    def _summary(self, team: Team, last: dict[str, Any], seconds: float) -> dict[str, Any]:
        num_env_steps = last.get("num_env_steps", 0)
        found = judged(self._run(team), num_episodes=self.settings.evaluation_episodes, seed=self.settings.seed)
        return {
            **found,
            "iterations": last.get("iteration", 0),
            "num_env_steps": num_env_steps,
            "wall_seconds": round(seconds, 3),
            "env_steps_per_second": round(num_env_steps / seconds, 1) if seconds else None,
            "seed": self.settings.seed,
            "versions": versions(),
            "command": self.command,
        }
