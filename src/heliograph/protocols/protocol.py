"""The protocol of a trained team: its decision table, what its messages mean, and what the table earns by itself."""

import dataclasses
import pathlib
from typing import Any

from heliograph.analysis import corpus as corpora
from heliograph.analysis.corpus import METADATA, UTTERANCES, Corpus
from heliograph.analysis.exact import enumerable
from heliograph.analysis.recording import record
from heliograph.envs.wording import Reading
from heliograph.experiments.choices import EnvChoice, bounds_of, facts_for
from heliograph.protocols.agent_steps import turns
from heliograph.protocols.decision_table import DecisionTable, tabulate
from heliograph.protocols.env_wording import reading_of
from heliograph.protocols.message_meanings import Interpretation, interpret
from heliograph.protocols.table_play import TablePlay, play_table, playable
from heliograph.recipes.pretrained import located
from heliograph.storage.run_folder import Run, check_trusted_names, read_run, refuse_large

__all__ = ["Protocol", "protocol_in", "protocol_of"]

EPISODES = 1000
MOST_STARTS = 10_000
"""Starts that are played at most where all of them are."""
ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol:
    """Record of what a corpus tells of a protocol. `played` is None where tables of the environment cannot be played.

    Returns are in units of reward, normalised ones over that of full information.
    """

    env: str
    num_episodes: int
    reading: Reading
    tables: tuple[DecisionTable, ...]
    meanings: tuple[Interpretation, ...]
    played: TablePlay | None
    team_return: float | None
    team_normalised_return: float | None

    @property
    def optimal(self) -> bool | None:
        """True if the table earns the return of full information, which no team can exceed; None: not known."""
        return None if self.played is None else self.played.normalised_return >= 1 - ROUNDING

    def as_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        played = dataclasses.asdict(self.played) if self.played else {}
        return {
            "env": self.env,
            "num_episodes": self.num_episodes,
            "tables": [table.as_json() for table in self.tables],
            "meanings": [meaning.as_json(self.reading) for meaning in self.meanings],
            "team_return": self.team_return,
            "team_normalised_return": self.team_normalised_return,
            **{f"table_{key}": value for key, value in played.items()},
            "table_optimal": self.optimal,
        }


def protocol_in(
    source: str | pathlib.Path, *, num_episodes: int | None = None, seed: int = 0, trust: bool = False
) -> Protocol:
    """The protocol of a run folder, team file, "recipe:NAME", or recorded corpus.

    A team plays `num_episodes`; without a number, every start once where the environment can enumerate them, else
    1,000 episodes. Raises `RunFolderError` where there is no such team, ValueError where it has no table.
    """
    path = located(source)
    if (path / UTTERANCES).exists():
        corpus = corpora.load_corpus(path)
        check_trusted_names(path / METADATA, {"env": corpus.metadata.get("env")}, trust=trust)
        if not trust:
            refuse_large(path / METADATA, _choice(corpus))
        return protocol_of(corpus)
    run = read_run(source, trust=trust)
    return protocol_of(corpus_of_run(run, num_episodes=num_episodes, seed=seed))


def corpus_of_run(run: Run, *, num_episodes: int | None = None, seed: int = 0) -> Corpus:
    """A corpus of a team, of every start once where no number is given and that is possible."""
    if num_episodes is None and not enumerable(run.env, at_most=MOST_STARTS):
        num_episodes = EPISODES
    return record(run, num_episodes=num_episodes, seed=seed)


def protocol_of(corpus: Corpus) -> Protocol:
    """The protocol that a corpus shows; raises ValueError where messages or actions are not discrete, or missing."""
    found, choice = turns(corpus), _choice(corpus)
    knows = max((len(turn.knows) for turn in found), default=1)
    agents, roles = corpus.metadata["agents"], facts_for(choice).roles
    reading = reading_of(choice.env, agents=agents, knows=knows, roles=roles)
    tables = tabulate(found, reading)
    mean, bounds = corpus.metadata.get("episode_return_mean"), bounds_of(choice)
    full = None if bounds is None or bounds.full_information <= 0 else bounds.full_information
    return Protocol(
        env=choice.env,
        num_episodes=corpus.metadata["num_episodes"],
        reading=reading,
        tables=tuple(tables),
        meanings=tuple(interpret(found, reading)),
        played=play_table(tables[0], choice) if playable(choice) else None,
        team_return=mean,
        team_normalised_return=None if mean is None or full is None else mean / full,
    )


def _choice(corpus: Corpus) -> EnvChoice:
    about = corpus.metadata.get("env")
    if not isinstance(about, dict) or not isinstance(about.get("env"), str):
        raise ValueError("the corpus does not say by name which environment it is from: record it with a run")
    return EnvChoice(**about)
