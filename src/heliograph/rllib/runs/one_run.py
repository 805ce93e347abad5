"""One training run: an algorithm, its budget, and the run folder that it leaves behind."""

import contextlib
import dataclasses
import os
import pathlib
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from heliograph.analysis.evaluate import play_run, scores
from heliograph.analysis.exact import enumerable
from heliograph.analysis.judging import FIRST_WEIGHTS, judged, untrained_numbers
from heliograph.envs.checking import EnvError
from heliograph.experiments.choices import facts_for, resolve
from heliograph.experiments.settings import EVALUATED, OF_CALLBACKS, TrainSettings, settings_from
from heliograph.experiments.stopping import Patience
from heliograph.experiments.tracking import check_trackers
from heliograph.registry import UnknownNameError
from heliograph.rllib.algorithm import CommunicationAlgorithm
from heliograph.rllib.config import CommunicationConfig
from heliograph.rllib.failures import RunError, exit_called
from heliograph.rllib.interrupts import Stop, interruptible
from heliograph.rllib.learner_errors import learners_answering
from heliograph.rllib.runs.checkpoints import check_checkpoint, complete_checkpoints, iteration_of, write_checkpoint
from heliograph.rllib.runs.configured import Trainable, beyond_settings, config_of, given_settings
from heliograph.rllib.runs.described import description, refuse_nameless, versions
from heliograph.rllib.runs.moments import write_moment
from heliograph.rllib.runs.records import ProgressWriter, row_of
from heliograph.rllib.runs.run_lock import claimed, cleared
from heliograph.rllib.runs.saved import BEYOND
from heliograph.rllib.runs.session import harmless_lines_dropped, ray_running
from heliograph.rllib.runs.trackers import tracked
from heliograph.rllib.teams import team_of
from heliograph.rollouts.rollout import Keeping
from heliograph.storage.atomic import WriteError
from heliograph.storage.progress_file import read_progress
from heliograph.storage.provenance import told_changes, write_sources
from heliograph.storage.run_folder import (
    CONFIG,
    SUMMARY,
    Run,
    RunFolderError,
    read_config,
    remember_code,
    rewrite_config,
    write_config,
    write_json,
    write_team,
)
from heliograph.team.team import Team

MOST_STARTS = 10_000
"""Starts that an evaluation during training plays at most, where it plays all."""

AS_BEGUN = ("sources", "git", "made_in")
"""Entries of config.json that a resumed run keeps: they tell of the code that it began with."""

OnProgress = Callable[[dict[str, Any]], None]


def train_alone(
    what: Trainable,
    *,
    out: str | pathlib.Path,
    on_progress: OnProgress | None = None,
    stop: Stop | None = None,
    overwrite: bool = False,
    command: str | None = None,
    **budget: Any,
) -> dict[str, Any]:
    """Train one run; controls beside it stay as they are. All else is as in `heliograph.rllib.runs.train.train`."""
    settings = given_settings(what, budget)
    check_trackers(settings)
    own = isinstance(what, CommunicationConfig)
    config = what.copy(copy_frozen=False) if isinstance(what, CommunicationConfig) else config_of(settings)
    beyond = beyond_settings(config) if own else {}
    refuse_nameless({"env": config.env_choice(), "team": config.choices()} if own else {"": settings})
    folder = cleared(pathlib.Path(out).absolute(), overwrite=overwrite)
    with claimed(folder), interruptible(stop) as stopped, ray_running(num_actors=actors_of(config)):
        algo = _built(config, settings)
        about = {**description(algo.config, settings), "command": command, **({BEYOND: beyond} if beyond else {})}
        write_config(folder, env=config.env_choice(), choices=config.choices(), **about)
        write_sources(folder, about["sources"])
        remember_code(read_config(folder))
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
        if not checkpoints and content.get(BEYOND):
            told = ", ".join(sorted(map(str, content[BEYOND])))
            raise RunFolderError(f"{folder} has no checkpoint yet, and {told} of its configuration: call train() again")
        algo = _restored(checkpoints[-1], settings) if checkpoints else _built(config_of(settings), settings)
        told_changes(folder, content)
        now = {key: value for key, value in description(algo.config, settings).items() if key not in AS_BEGUN}
        rewrite_config(folder, {**content, **now})
        remember_code(content)
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


def num_actors(settings: TrainSettings) -> int:
    """Processes that Ray starts for a run: env runners, learners, and the evaluating ones of a user's own algorithm."""
    config = resolve("algorithm", settings.algorithm)()
    return settings.num_actors + (int(config.evaluation_num_env_runners) if config.evaluation_interval else 0)


def actors_of(config: CommunicationConfig) -> int:
    """The same of a configuration."""
    evaluating = int(config.evaluation_num_env_runners) if config.evaluation_interval else 0
    return int(config.num_env_runners) + int(config.num_learners) + evaluating


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
    """Record of what one process does for a run: from a built or restored algorithm to the summary."""

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
        facts, patience = self.algo.config.facts(), self._patience()
        with (
            ProgressWriter(self.folder, after=self.algo.iteration) as progress,
            tracked(self.settings, self.folder) as trackers,
        ):
            self.algo.rows = None
            seconds, row = progress.seconds, progress.last
            for earlier in read_progress(self.folder):
                patience.see(earlier)
            first = None if self.algo.iteration or self.settings.load_policies else self._team_apart()
            if not self.algo.iteration and self.settings.record_every:
                self._record({"iteration": 0, "num_env_steps": 0})
            while (reason := self._done(row, stopped, patience)) is None:
                started, steps = time.perf_counter(), row.get("num_env_steps", 0)
                results = self.algo.train()
                took = time.perf_counter() - started
                seconds += took
                if first is not None:
                    self._keep_untrained(first)
                    first = None
                row = self._evaluated(row_of(results, seconds=seconds, took=took, steps_before=steps, facts=facts))
                progress.add(row)
                for tracker in trackers:
                    tracker.add(row)
                patience.see(row)
                if self.settings.record_every and row["iteration"] % self.settings.record_every == 0:
                    self._record(row)
                self._check_until(row)
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

    def _record(self, row: dict[str, Any]) -> None:
        """Write down what the team says now, in the task that it is trained for; training does not notice."""
        with torch.random.fork_rng(devices=[]):
            write_moment(self._run(team_of(self.algo)), row, num_episodes=self.settings.evaluation_episodes)

    def _patience(self) -> Patience:
        """Return the patience of the settings, or one without end."""
        return Patience(self.settings.patience or sys.maxsize, goals=self.settings.goals())

    def _check_until(self, row: dict[str, Any]) -> None:
        """Refuse to wait for a column that there is not, once an episode has ended: training would never end."""
        if not row.get("num_episodes"):
            return
        for key in self.settings.until:
            if key not in row and not key.startswith(OF_CALLBACKS):
                raise UnknownNameError(what="metric in until", name=key, valid=list(row))

    def _done(self, row: dict[str, Any], stopped: Stop, patience: Patience) -> str | None:
        s = self.settings
        goals = s.goals()
        if goals and all(goal.reached(row.get(goal.key)) for goal in goals):
            return "until"
        if patience.ended:
            return "patience"
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
