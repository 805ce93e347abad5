"""What a report tells: every seed of a run and its controls, evaluated on equal terms."""

import dataclasses
import io
import math
import pathlib
from typing import Any

import pandas as pd

from heliograph.analysis.corpus import Corpus
from heliograph.analysis.evaluate import (
    Played,
    effects,
    evaluate,
    play_run,
    told_in,
    value_of_communication,
)
from heliograph.analysis.judging import untrained
from heliograph.analysis.own_words import says_nothing
from heliograph.analysis.recording import corpus_of_played, record
from heliograph.analysis.team_verdicts import judged_teams
from heliograph.experiments.choices import bounds_of
from heliograph.reports.run_results import MOST
from heliograph.rollouts.rollout import Keeping
from heliograph.storage.run_folder import CONFIG, PROGRESS, Run, RunFolderError, read_run
from heliograph.storage.safe_files import read_text
from heliograph.team.attention import attends
from heliograph.texts import one_line
from heliograph.types import Bounds, Choice

MOST_UTTERANCES = 50_000
"""A report reads the corpus of the first episodes, as many as have these: long messages fill memory and minutes."""
MAX_CURVE_BYTES = 400_000_000
"""Of progress.csv: those of a million iterations."""
FOLDERS = {"no-communication control": "silent", "random-message control": "garbled", "self-only control": "self"}
USUAL_NAMES = ("no-communication control", "random-message control")
SEED_FOLDERS = "seed_*"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TeamFindings:
    """A trained team, evaluated with greedy and, where it has odds, sampled actions; its learning curve, if any."""

    greedy: dict[str, Any]
    sampled: dict[str, Any] | None
    curve: pd.DataFrame | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeedFindings:
    """One seed: the team, and those of its controls that were trained, by their names in `FOLDERS`."""

    name: str
    team: TeamFindings
    controls: dict[str, TeamFindings]

    def value(self, bounds: Bounds | None) -> float | None:
        """The value of communication; None without a no-communication control or known bounds."""
        if bounds is None or "no-communication control" not in self.controls:
            return None
        silent = self.controls["no-communication control"].greedy["episode_return_mean"]
        full = bounds.full_information
        return value_of_communication(self.team.greedy["episode_return_mean"], silent=silent, full_information=full)

    @property
    def best_control(self) -> TeamFindings | None:
        """The control with the highest return, greedy."""
        return max(self.controls.values(), key=lambda control: control.greedy["episode_return_mean"], default=None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Findings:
    """Everything that a report shows. The protocol is that of the first seed; `untrained`: its team as it began.

    `rivals`: what is known of each of several teams (see `judged_teams`), of the first seed.
    """

    folder: pathlib.Path
    run: Run
    seeds: list[SeedFindings]
    bounds: Bounds | None
    corpus: Corpus
    interventions: list[dict[str, Any]]
    num_episodes: int
    untrained: dict[str, float | None] | None = None
    rivals: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)

    @property
    def told(self) -> dict[str, Any]:
        """The greedy evaluation of the first seed."""
        return self.seeds[0].team.greedy


def gather(folder: str | pathlib.Path, *, num_episodes: int, seed: int = 0, trust: bool = False) -> Findings:
    """Evaluate a run folder, its seeds (`seed_*`) and its controls (`silent`, `garbled`, `self`), if there are any."""
    folder = pathlib.Path(folder)
    folders = seed_folders(folder)
    run = read_run(folders[0], trust=trust)
    how: Any = {"num_episodes": num_episodes, "seed": seed}
    played = play_run(run, **how, keeping=Keeping.SAID)  # once for all that is asked of messages as sent
    told = told_in(run, played, seed=seed)
    seeds = [
        _seed_findings(path, trust=trust, told=None if place else told, **how) for place, path in enumerate(folders)
    ]
    return Findings(
        folder=folder,
        run=run,
        seeds=seeds,
        bounds=bounds_of(run.env),
        corpus=_corpus(run, played, **how),
        interventions=effects(run, played, **how),
        num_episodes=num_episodes,
        untrained=None if says_nothing(run) else untrained(run, **how),
        rivals=judged_teams(run, played, **how) if len(run.facts.teams) > 1 else {},
    )


def _corpus(run: Run, played: Played, *, num_episodes: int, seed: int) -> Corpus:
    """The corpus of the first episodes; where weights of attention are to be found they are played once more."""
    if attends(run.team):
        return record(run, num_episodes=num_episodes, seed=seed, at_least=MOST_UTTERANCES)
    return corpus_of_played(run, played, choice=Choice.GREEDY, seed=seed, at_least=MOST_UTTERANCES)


def seed_folders(folder: pathlib.Path) -> list[pathlib.Path]:
    """The folder itself where it is a run, else its seeds in order; raises `RunFolderError` where it is neither."""
    if folder.is_file() or (folder / CONFIG).exists():
        return [folder]
    found = [path for path in folder.glob(SEED_FOLDERS) if (path / CONFIG).exists()]
    if not found:
        raise RunFolderError(f"{folder} is no run folder: it has no {CONFIG}, and no folder {SEED_FOLDERS} with one")
    return sorted(found, key=lambda path: (len(path.name), path.name))


def read_curve(folder: pathlib.Path, *, column: str = "episode_return_mean") -> pd.DataFrame | None:
    """A learning curve in progress.csv, `num_env_steps` and one column more; None where there is none yet.

    A last row that was cut short is left out.
    """
    path = folder / PROGRESS
    if not path.exists():
        return None
    whole, end, _ = read_text(path, at_most=MAX_CURVE_BYTES).rpartition("\n")
    try:
        table = pd.read_csv(io.StringIO(whole + end), usecols=["num_env_steps", column], on_bad_lines="skip")
        table = table.apply(pd.to_numeric, errors="raise").replace([math.inf, -math.inf], math.nan).dropna()
        table = table.astype(float)
    except (ValueError, OverflowError, MemoryError) as error:
        raise RunFolderError(f"{path} is damaged: {one_line(error)}") from error
    for name in table:
        if float(table[name].abs().max()) > MOST or (name != column and float(table[name].min()) < 0):
            raise RunFolderError(f"{path} is damaged: {name} holds a number that it cannot be (at most {MOST:g})")
    return table if len(table) else None


def _seed_findings(
    folder: pathlib.Path, *, num_episodes: int, seed: int, trust: bool, told: dict[str, Any] | None = None
) -> SeedFindings:
    controls = {name: folder / sub for name, sub in FOLDERS.items() if (folder / sub / CONFIG).exists()}
    found = {
        name: _team_findings(
            path, num_episodes=num_episodes, seed=seed, trust=trust, told=told if name == "team" else None
        )
        for name, path in {"team": folder, **controls}.items()
    }
    return SeedFindings(name=folder.name, team=found.pop("team"), controls=found)


def _team_findings(
    folder: pathlib.Path, *, num_episodes: int, seed: int, trust: bool, told: dict[str, Any] | None
) -> TeamFindings:
    """Both evaluations; `told` is the greedy one where that is known already."""
    run = read_run(folder, trust=trust)
    greedy = evaluate(run, num_episodes=num_episodes, seed=seed) if told is None else told
    sampled = evaluate(run, num_episodes=num_episodes, choice=Choice.SAMPLED, seed=seed) if run.has_odds else None
    return TeamFindings(greedy=greedy, sampled=sampled, curve=read_curve(folder))
