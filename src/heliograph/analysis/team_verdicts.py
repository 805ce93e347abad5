"""A word for each of several teams: what its own messages tell, and what it loses where they alone are replaced.

Its rivals learn too, so that the return of another day, or of a no-communication control with other rivals, proves
nothing: whether messages pay is decided by the paired episodes in which this team's messages are resampled and its
rivals' are not.
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from heliograph.analysis.evaluate import Played, differences, measured_corpus, messages_told, play_run
from heliograph.analysis.interventions import Messages, changed_share
from heliograph.analysis.own_words import speaking_team
from heliograph.analysis.verdict import RESAMPLED, Evidence, evidence_of, rule_of
from heliograph.rollouts.rollout import Keeping
from heliograph.storage.run_folder import Run

__all__ = ["SEVERAL", "judged_teams", "members_of"]

SEVERAL = "there are several teams, each with a word of its own: see teams"
"""What is said where one word cannot do."""


def members_of(run: Run, team: str) -> Bool[Tensor, " N"]:
    """Return which agents belong to a team."""
    return torch.tensor(run.facts.team_of_agent) == run.facts.teams.index(team)


def judged_teams(run: Run, played: Played, *, seed: int = 0, **how: Any) -> dict[str, dict[str, Any]]:
    """Return what the messages of each team tell and do, by its name; empty where there is only one.

    Keys are those of `judged`, about the members of a team alone: their mean return, their messages, and what follows
    for their return and their actions where these are resampled; `rivals_changed_share_resampled` tells in how many
    episodes rivals then do otherwise: they listen in. `played` are the same episodes with messages as sent.
    """
    if len(run.facts.teams) == 1:
        return {}
    return {team: _judged(run, played, team, seed=seed, **how) for team in run.facts.teams}


def _judged(run: Run, played: Played, team: str, *, seed: int, **how: Any) -> dict[str, Any]:
    members = members_of(run, team)
    corpus = measured_corpus(run, played.rollouts)
    names = [agent for agent, own in zip(run.facts.agents, members.tolist(), strict=True) if own]
    told = messages_told(corpus.where(corpus.utterances["sender"].isin(names)), seed=seed)
    found = {"agents": names, **_score(played, team), **told}
    if not told["num_utterances"]:
        return found
    again = play_run(run, messages=Messages.RESAMPLED, senders=members, seed=seed, keeping=Keeping.SAID, **how)
    row = _effect(run, played, again, team, members)
    number = int((~played.team_returns()[team].isnan()).sum())
    rule = rule_of(_evidence({**found, "num_episodes": number}, row))
    resampled = {f"{key}{RESAMPLED}": value for key, value in row.items()}
    return {**found, **resampled, "diagnosis": rule.word.value, "diagnosis_means": rule.means}


def _score(played: Played, team: str) -> dict[str, float | None]:
    mean, error = differences(played.team_returns()[team])
    return {"episode_return_mean": mean, "episode_return_se": 0.0 if played.exact else error}


def _effect(run: Run, before: Played, after: Played, team: str, members: Tensor) -> dict[str, Any]:
    drop, error = differences(after.team_returns()[team] - before.team_returns()[team])
    changed: Any = {"before": before.rollouts, "after": after.rollouts, "roles": run.facts.roles}
    return {
        "episode_return_mean": differences(after.team_returns()[team])[0],
        "difference_mean": drop,
        "difference_se": error,
        **after.replaced(speaking_team(run), senders=members),
        "changed_share": changed_share(**changed, among=members),
        "rivals_changed_share": changed_share(**changed, among=~members),
    }


def _evidence(told: Mapping[str, Any], row: Mapping[str, Any]) -> Evidence:
    """Return the evidence of one team; what cannot be told where it was never present."""
    known = row["difference_mean"] is not None and row["episode_return_mean"] is not None
    return evidence_of(told, row if known else None)
