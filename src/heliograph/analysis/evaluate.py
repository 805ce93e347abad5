"""Evaluation of a trained team: returns on fresh episodes, what its messages tell, and what replacing them does.

Everything is decided by `seed`; the same seed gives the same starts under every intervention.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.analysis import corpus as corpora
from heliograph.analysis.corpus import Corpus
from heliograph.analysis.diagnosis import Diagnosis
from heliograph.analysis.exact import all_starts
from heliograph.analysis.information import MAX_MEASURED, as_keys, information_in, utterances_of
from heliograph.analysis.interventions import (
    IN_TABLES,
    Messages,
    OfSenders,
    Watched,
    changed_share,
    intervention,
    num_replaced,
)
from heliograph.analysis.measures.communication_value import communication_value
from heliograph.analysis.members import member_keys
from heliograph.analysis.own_words import heard_otherwise, own_words_of, replaceable, speaking_team, with_words
from heliograph.analysis.verdict import Evidence, rule_of
from heliograph.envs.checking import guarded
from heliograph.experiments.choices import meetings_of, opened
from heliograph.moved import moved_name
from heliograph.renamed import renamed
from heliograph.rollouts.rollout import Keeping, Rollout
from heliograph.rollouts.sampler import EpisodeIntervention, Sampler, play_episodes
from heliograph.rollouts.statistics import OF_INFO, Episodes, episodes_of
from heliograph.storage.run_folder import Run
from heliograph.team.team import Team
from heliograph.types import Bounds, Choice, Message, MessageForm, Role, changed

FRESH = 0x5EED_0000
"""Keeps evaluation away from the seeds of training, so that its episodes are fresh."""
DEFAULT_COPIES = 1024
MAX_STARTS = 100_000
"""Starts that are played at most where all of them are."""
NUM_PERMUTATIONS = 200
"""Of meanings, to know what chance alone tells."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Played:
    """Episodes of a run, with all that was recorded; exact where they are all that there are.

    Rollouts hold messages as hearers got them; `said` holds those that were replaced, None where none were.
    """

    episodes: Episodes
    rollouts: list[Rollout]
    bounds: Bounds | None
    exact: bool = False
    said: list[tuple[Message, ...]] | None = None
    teams: tuple[str, ...] = ("team",)
    team_of_agent: tuple[int, ...] = ()
    roles: tuple[Role, ...] = ()

    def role_returns(self) -> dict[str, Float[Tensor, " E"]]:
        """Returns of each role, the mean over its agents; NaN where none of them was present."""
        agents = [agent for role in self.roles for agent in role.agents]
        return {r.name: self.episodes.of_team(torch.tensor([a in r.agents for a in agents])) for r in self.roles}

    def agent_returns(self) -> dict[str, Float[Tensor, " e"]]:
        """Returns of each agent in the episodes in which it was present."""
        agents = [agent for role in self.roles for agent in role.agents]
        return {agent: self.episodes.of_agent(slot) for slot, agent in enumerate(agents)}

    def team_returns(self) -> dict[str, Float[Tensor, " E"]]:
        """Returns of each of several teams, the mean over its members; NaN where none of them was present."""
        return self.episodes.team_returns(self.teams, self.team_of_agent)

    def replaced(self, team: Team, *, senders: Bool[Tensor, " N"] | None = None) -> dict[str, int | float]:
        """Number of messages that hearers got with another content, and their share.

        Those of some senders alone where given.
        """
        talks = team.talks if senders is None else team.talks & senders.to(team.talks.device)
        found, number = (0, 0) if self.said is None else num_replaced(self.said, self.rollouts, talks=talks)
        return {"num_replaced": found, "replaced_share": found / number if number else 0.0}

    def as_said(self) -> list[Rollout]:
        """The rollouts with messages as they were said."""
        if self.said is None:
            return self.rollouts
        pairs = zip(self.rollouts, self.said, strict=True)
        return [changed(rollout, messages=said) for rollout, said in pairs]


@renamed
def play_run(
    run: Run,
    *,
    num_episodes: int | None,
    choice: Choice = Choice.GREEDY,
    messages: Messages | str = Messages.AS_SENT,
    seed: int = 0,
    num_envs: int | None = None,
    keeping: Keeping = Keeping.SEEN,
    senders: Bool[Tensor, " N"] | None = None,
    narrowed: Callable[[EpisodeIntervention], EpisodeIntervention] | None = None,
) -> Played:
    """Play fresh episodes with messages in execution form, as sent or replaced; `num_envs` at once.

    `senders`: whose messages are replaced; None: everybody's. `narrowed` makes of the intervention the one that is
    played, of which some of the messages alone undergo the former (see `heliograph.analysis.targeted`).

    Without a number every start is played once, where the environment can enumerate them (switch_riddle). With
    `Keeping.SAID` rollouts keep nothing of what was seen, which may fill gigabytes.
    """
    if num_episodes is not None and num_episodes < 1:
        raise ValueError(f"num_episodes={num_episodes}: must be at least 1")
    if choice is Choice.SAMPLED and not run.has_odds:
        raise ValueError("actions=sampled: a team trained by Q-learning has values of actions, not odds; take greedy")
    copies = min(num_episodes or 1, num_envs or DEFAULT_COPIES)
    rollouts: list[Rollout] = []
    own = own_words_of(run)
    place = run.env if own is None else heard_otherwise(run, Messages(messages))
    with opened(place, num_envs=copies, seed=FRESH + seed) as env:
        kind = messages if own is None else Messages.AS_SENT
        replace = intervention(kind, channel=run.team.channel, seed=seed, device=str(env.device))
        if replace is not None and senders is not None:
            replace = OfSenders(replace, senders)
        if replace is not None and narrowed is not None:
            replace = narrowed(replace)
        watched = None if replace is None else Watched(replace)
        how: Any = {"choice": choice, "form": MessageForm.EXECUTION, "intervention": watched, "keeping": keeping}
        for part in [env] if num_episodes else all_starts(place, at_most=MAX_STARTS):
            meetings = meetings_of(run.choices, run.facts, seed=FRESH + seed)
            sampler = Sampler(part, run.team, seed=FRESH + seed, assign=meetings)
            number = num_episodes or part.num_envs
            rollouts += play_episodes(sampler, number, **how)[1]
        with guarded(env, "bounds"):
            bounds = env.bounds()
    episodes = episodes_of(rollouts, counts_absent=env.counts_absent)
    exact = num_episodes is None and choice is Choice.GREEDY and run.choices.population is None
    said = None if watched is None else watched.taken(rollouts)
    if own is not None:
        told = [with_words(rollout, own) for rollout in rollouts]
        rollouts = [rollout for rollout, _ in told]
        said = None if messages == Messages.AS_SENT else [words for _, words in told]
    return Played(
        episodes=episodes, rollouts=rollouts, bounds=bounds, exact=exact, said=said, teams=run.facts.teams,
        team_of_agent=run.facts.team_of_agent, roles=run.facts.roles,
    )  # fmt: skip


@renamed
def evaluate(
    run: Run,
    *,
    num_episodes: int | None = 1000,
    choice: Choice = Choice.GREEDY,
    messages: Messages | str = Messages.AS_SENT,
    seed: int = 0,
    num_envs: int | None = None,
) -> dict[str, Any]:
    """Returns, success and what the messages tell, on fresh episodes; ready for JSON (None: unknown, or no messages).

    `num_episodes` None: every start once, so that returns are exact.

    `normalised_return` is the return over that of full information. Information is in bits, within roles, policies and
    rounds, taken from the first 20,000 utterances; it is that of the messages as they were said. Where they are
    replaced, keys that begin with `heard_` tell of what hearers got, and `replaced_share` how many got another content.
    """
    played = play_run(
        run, num_episodes=num_episodes, choice=choice, messages=messages, seed=seed, num_envs=num_envs,
        keeping=Keeping.SAID,
    )  # fmt: skip
    return told_in(run, played, seed=seed)


def told_in(run: Run, played: Played, *, seed: int = 0) -> dict[str, Any]:
    """The same of episodes that were played."""
    team = speaking_team(run)
    number = sum(int(_utterances(team, rollout).sum()) for rollout in played.rollouts)
    counted = {"num_utterances": number, "messages_per_episode": number / len(played.episodes)}
    told = _told(run, played.as_said(), seed=seed)
    if played.said is not None:
        heard = _told(run, played.rollouts, seed=seed)
        told |= {f"{HEARD}{key}": heard[key] for key in TOLD if not key.startswith(OF_SENDERS)}
        told |= played.replaced(team)
    members = {} if played.said is not None else member_keys(run, num_episodes=len(played.episodes), seed=seed)
    return {**scores(played), **told, **counted, **members}


def _told(run: Run, rollouts: list[Rollout], *, seed: int) -> dict[str, Any]:
    return messages_told(measured_corpus(run, rollouts), seed=seed)


def measured_corpus(run: Run, rollouts: list[Rollout]) -> Corpus:
    """The corpus of the first episodes, as many as measures are taken from."""
    team = speaking_team(run)
    first = first_episodes(team, rollouts, at_least=MAX_MEASURED)
    return corpora.from_rollouts(team, run.facts, first, with_attention=False)


def _utterances(team: Team, rollout: Rollout) -> Int[Tensor, " B"]:
    """Return how many each copy has."""
    return (rollout.speaking & rollout.valid.unsqueeze(-1) & team.talks).sum((0, 2)) * len(rollout.messages)


def first_episodes(team: Team, rollouts: list[Rollout], *, at_least: int) -> list[Rollout]:
    """As many as have so many utterances, or all."""
    kept, before = [], 0
    for rollout in rollouts:
        upto = before + _utterances(team, rollout).cumsum(0)
        number = 1 + int((upto < at_least).sum())
        kept.append(rollout.first(number))
        before = int(upto[-1])
        if before >= at_least:
            break
    return kept


def scores(played: Played) -> dict[str, Any]:
    """Mean return with its standard error, success, normalised return and length (env steps) of played episodes.

    Where there are several teams `team_returns_mean` has the mean return of each, `role_returns_mean` that of several
    roles, and `agent_returns_mean` that of each of several agents. Keys that begin with `info_` are means of what the
    environment says in `info` as episodes end.
    """
    returns = played.episodes.returns.double().numpy(force=True)
    success = played.episodes.success
    mean = float(returns.mean())
    full = None if played.bounds is None else played.bounds.full_information
    return {
        "num_episodes": len(returns),
        "episode_return_mean": mean,
        "episode_return_se": 0.0 if played.exact else standard_error(returns),
        "success_rate": None if bool(torch.isnan(success).any()) else float(success.mean()),
        "normalised_return": mean / full if full is not None and full > 0 else None,
        "episode_len_mean": float(played.episodes.lengths.double().mean()),
        **{f"{OF_INFO}{key}": mean for key, mean in played.episodes.info_means().items()},
        **_of_teams(played),
    }


def _of_teams(played: Played) -> dict[str, Any]:
    parts = {"team": played.team_returns(), "role": played.role_returns(), "agent": played.agent_returns()}
    means = {what: {name: differences(r)[0] for name, r in found.items()} for what, found in parts.items()}
    return {f"{what}_returns_mean": found for what, found in means.items() if len(found) > 1}


def differences(values: Float[Tensor, " E"]) -> tuple[float | None, float | None]:
    """The mean of values without those that are NaN, and its standard error; None where there are too few."""
    known = values[~values.isnan()].double().numpy(force=True)
    return (float(known.mean()) if len(known) else None), standard_error(known)


def standard_error(values: np.ndarray) -> float | None:
    """Standard error of the mean of independent values; None where there is only one."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None


def messages_told(corpus: Corpus, *, seed: int = 0) -> dict[str, Any]:
    """Return what the messages of a corpus tell about their senders' meanings, and what that says of the protocol.

    Bits are those of senders who have something to tell (whose meaning varies), within roles, policies and rounds.
    `information` is a `Diagnosis` of them; `diagnosis` the word for the protocol as far as information alone gives it.
    """
    num_episodes = max(1, corpus.metadata["num_episodes"])
    counted = {"num_utterances": len(corpus), "messages_per_episode": len(corpus) / num_episodes}
    if not len(corpus):
        return {**counted, **dict.fromkeys(TOLD), **_diagnosed(Diagnosis.SILENT)}
    some = utterances_of(corpus.where(slice(0, MAX_MEASURED - 1)))
    found = information_in(some, num_permutations=NUM_PERMUTATIONS, seed=seed)
    bits = {"bits_per_message": float(corpus.utterances["bits"].mean())}
    return {**counted, **bits, **as_keys(found), **_diagnosed(found.diagnosis)}


def _diagnosed(kind: Diagnosis) -> dict[str, str]:
    rule = rule_of(Evidence(tells=kind))
    return {"information": kind.value, "diagnosis": rule.word.value, "diagnosis_means": rule.means}


TOLD = (
    "bits_per_message",
    "entropy_bits",
    "meaning_entropy_bits",
    "num_meanings",
    "mutual_information_bits",
    "mutual_information_baseline_bits",
    "mutual_information_baseline_95_bits",
    "mutual_information_p_value",
)
"""Keys of `messages_told` that are None where nothing is said."""
OF_SENDERS = ("meaning_entropy", "num_meanings")
"""How keys among them begin that do not depend on messages."""
HEARD = "heard_"
"""Keys of what hearers got begin so where it is not what was said."""


@renamed
def interventions_table(
    run: Run,
    *,
    num_episodes: int | None = 1000,
    choice: Choice = Choice.GREEDY,
    seed: int = 0,
    num_envs: int | None = None,
) -> list[dict[str, Any]]:
    """The return under each intervention and its difference from messages as sent, paired over episodes.

    One row for each kind of `IN_TABLES`, as sent first; a team that says nothing has that row alone. `replaced_share`
    tells how many messages got another content, `changed_share` in how many episodes somebody then did otherwise.
    """
    how: Any = {"num_episodes": num_episodes, "choice": choice, "seed": seed, "num_envs": num_envs}
    return effects(run, play_run(run, **how, keeping=Keeping.SAID), **how)


def effects(run: Run, as_sent: Played, **how: Any) -> list[dict[str, Any]]:
    """The same table of episodes that were played with messages as sent; `how` they were, to play them again."""
    rows = [effect(run, as_sent, as_sent, kind=Messages.AS_SENT)]
    for kind in IN_TABLES:
        if kind is not Messages.AS_SENT and replaceable(run, kind):
            rows.append(effect(run, as_sent, play_run(run, **how, messages=kind, keeping=Keeping.SAID), kind=kind))
    return rows


def effect(run: Run, as_sent: Played, played: Played, *, kind: Messages) -> dict[str, Any]:
    """A row of that table: the same episodes with messages as sent and replaced."""
    returns, before = (p.episodes.returns.double().numpy(force=True) for p in (played, as_sent))
    return {
        "messages": kind.value,
        **scores(played),
        "difference_mean": float((returns - before).mean()),
        "difference_se": standard_error(returns - before),
        **played.replaced(speaking_team(run)),
        "changed_share": changed_share(as_sent.rollouts, played.rollouts, roles=run.facts.roles),
    }


@renamed
def value_of_communication(episode_return: float, *, silent: float, full_information: float) -> float | None:
    """(R - R_silent) / (R_full - R_silent): 0 for no better than silence, 1 for as good as knowing everything.

    None where full information gains nothing over silence.
    """
    found = communication_value(episode_return, silent, full_information)
    return None if math.isnan(found) else found


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        return moved_name(__name__, name)
