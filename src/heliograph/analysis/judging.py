"""The word for a team: what its messages tell, what resampling them does, and how it did before it learnt anything."""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

import torch

from heliograph.analysis.evaluate import effect, evaluate, play_run, told_in
from heliograph.analysis.interventions import Messages
from heliograph.analysis.own_words import says_nothing
from heliograph.analysis.team_verdicts import SEVERAL, judged_teams
from heliograph.analysis.verdict import RESAMPLED, UNTRAINED, Word, evidence_in, rule_of
from heliograph.experiments.choices import build_team
from heliograph.renamed import renamed
from heliograph.reports.run_results import best_control_of
from heliograph.rollouts.rollout import Keeping
from heliograph.storage.run_folder import Run, plain
from heliograph.types import Choice

__all__ = ["FIRST_WEIGHTS", "judged", "untrained", "untrained_numbers"]

FIRST_WEIGHTS = "untrained"
"""Key of a run's configuration under which training keeps `untrained_numbers` of the team that it began with."""
BEFORE = ("entropy_bits", "mutual_information_bits", "episode_return_mean", "episode_return_se")
"""What is kept of the untrained team."""
AFTER = ("episode_return_mean", "difference_mean", "difference_se", "num_replaced", "replaced_share", "changed_share")
"""What is kept of the same episodes with messages resampled."""


@renamed
def judged(
    run: Run,
    *,
    num_episodes: int | None = 1000,
    choice: Choice = Choice.GREEDY,
    seed: int = 0,
    num_envs: int | None = None,
) -> dict[str, Any]:
    """Return what `evaluate` finds, and the word for the protocol from all that there is to know of a team by itself.

    Beside the keys of `evaluate`: `diagnosis`, one of `verdict.Word`, and `diagnosis_means`; `blind_return`; keys that
    end in `_resampled`, of the same episodes with messages resampled; keys that end in `_untrained`, of the team as it
    began. The best control in the run folder that was read is asked too. Plays two to three times as many episodes.

    Where there are several teams there is no one word: `diagnosis` is `unknown`, and `teams` has one for each of them
    (see `judged_teams`), from as many episodes again for each team that speaks.
    """
    how: Any = {"num_episodes": num_episodes, "choice": choice, "seed": seed, "num_envs": num_envs}
    played = play_run(run, **how, keeping=Keeping.SAID)
    found = {**told_in(run, played, seed=seed), "blind_return": None if played.bounds is None else played.bounds.blind}
    if not says_nothing(run):
        replaced = play_run(run, **how, messages=Messages.RESAMPLED, keeping=Keeping.SAID)
        row = effect(run, played, replaced, kind=Messages.RESAMPLED)
        found |= {f"{key}{RESAMPLED}": row[key] for key in AFTER}
        before = untrained(run, **how)
        found |= {} if before is None else {f"{key}{UNTRAINED}": before[key] for key in BEFORE}
    teams = judged_teams(run, played, **how)
    if teams:
        return {**found, "diagnosis": Word.UNKNOWN.value, "diagnosis_means": SEVERAL, "teams": teams}
    rule = rule_of(evidence_in(found, silent=_best_control(run) if choice is Choice.GREEDY else None))
    return {**found, "diagnosis": rule.word.value, "diagnosis_means": rule.means}


@renamed
def untrained(
    run: Run,
    *,
    num_episodes: int | None = 1000,
    choice: Choice = Choice.GREEDY,
    seed: int = 0,
    num_envs: int | None = None,
) -> dict[str, float | None] | None:
    """Bits and return of a team before it learnt: with its first weights where training kept these numbers.

    Else with fresh weights, drawn from the seed of training; None where there is nothing to learn.
    """
    kept = _kept(run) if choice is Choice.GREEDY else None
    if kept is not None:
        return kept
    given = run.config.get("seed")
    fresh = build_team(run.choices, run.facts, seed=given if isinstance(given, int) and 0 <= given < 2**31 else 0)
    ours = run.team.state_dict()
    if all(torch.equal(tensor, ours[name]) for name, tensor in fresh.state_dict().items()):
        return None
    return untrained_numbers(
        dataclasses.replace(run, team=fresh.eval()), num_episodes=num_episodes, choice=choice, seed=seed,
        num_envs=num_envs,
    )  # fmt: skip


def untrained_numbers(run: Run, **how: Any) -> dict[str, float | None]:
    """Return what is kept of a run whose team has not learnt yet."""
    found = evaluate(run, **how)
    return {key: found[key] for key in BEFORE}


def _best_control(run: Run) -> dict[str, float] | None:
    read = run.source is not None and run.source.is_dir()
    return best_control_of(run.folder) if read and _at_home(run) else None


def _at_home(run: Run) -> bool:
    """Tell whether the team plays in the environment that its configuration tells of."""
    env = run.config.get("env")
    return isinstance(env, Mapping) and env.get("settings") == json.loads(json.dumps(run.env.settings, default=plain))


def _kept(run: Run) -> dict[str, float | None] | None:
    """Return what training wrote down, where it is about the environment in which the team plays now, and sound."""
    kept = run.config.get(FIRST_WEIGHTS)
    if not isinstance(kept, Mapping) or not _at_home(run):
        return None
    found = {key: kept.get(key) for key in BEFORE}
    sound = all(value is None or (isinstance(value, (int, float)) and math.isfinite(value)) for value in found.values())
    return found if sound and found["episode_return_mean"] is not None else None
