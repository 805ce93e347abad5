"""Episodes that were played as a corpus: in memory, or written to a folder block by block, whatever their number."""

import pathlib
from collections.abc import Mapping
from typing import Any

from heliograph.analysis import corpus as corpora
from heliograph.analysis.corpus import Corpus
from heliograph.analysis.evaluate import Played, first_episodes, play_run, scores
from heliograph.analysis.own_words import speaking_team
from heliograph.rollouts.rollout import Keeping
from heliograph.storage.mixing import MIXED
from heliograph.storage.run_folder import Run
from heliograph.team.attention import attends
from heliograph.types import Choice

__all__ = ["corpus_of_played", "played_for_corpus", "record", "write_recording"]


def record(
    run: Run,
    *,
    num_episodes: int | None,
    out: str | pathlib.Path | None = None,
    choice: Choice = Choice.GREEDY,
    seed: int = 0,
    num_envs: int | None = None,
    at_least: int | None = None,
    overwrite: bool = False,
) -> Corpus:
    """Play episodes and return their corpus, saved to the folder `out` where one is given.

    Raises `CorpusError` where that holds a corpus already, unless `overwrite`.
    With `at_least` the corpus holds only the first episodes, as many as have so many utterances.
    `write_recording` writes a corpus that would not fit into memory.
    """
    how: Any = {"num_episodes": num_episodes, "choice": choice, "seed": seed, "num_envs": num_envs}
    if out is None:
        played = played_for_corpus(run, **how)
        return corpus_of_played(run, played, choice=choice, seed=seed, at_least=at_least)
    place = pathlib.Path(out).absolute()  # whatever becomes of the working directory
    write_recording(run, place, **how, at_least=at_least, overwrite=overwrite)
    return corpora.load_corpus(place)


def write_recording(
    run: Run,
    out: str | pathlib.Path,
    *,
    num_episodes: int | None,
    choice: Choice = Choice.GREEDY,
    seed: int = 0,
    num_envs: int | None = None,
    at_least: int | None = None,
    overwrite: bool = False,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Play episodes and write their corpus as `record` does, without holding it in memory; returns its metadata.

    `more` is added to them.
    """
    place = pathlib.Path(out).absolute()
    corpora.check_place(place, overwrite=overwrite)
    played = played_for_corpus(run, num_episodes=num_episodes, choice=choice, seed=seed, num_envs=num_envs)
    team = speaking_team(run)
    told = played.rollouts if at_least is None else first_episodes(team, played.rollouts, at_least=at_least)
    own = corpora.metadata_of(team, run.facts, told)
    metadata = {**own, **_about(run, played, choice=choice, seed=seed), **(more or {})}
    with corpora.writing_corpus(place, metadata=metadata) as write:
        for table in corpora.tables_of(team, run.facts, told):
            metadata["num_utterances"] += table.num_rows
            write(table)
    return metadata


def played_for_corpus(run: Run, **how: Any) -> Played:
    """Episodes with all that a corpus is made of: what was seen only where weights of attention are to be found."""
    return play_run(run, keeping=Keeping.SEEN if attends(run.team) else Keeping.SAID, **how)


def corpus_of_played(run: Run, played: Played, *, choice: Choice, seed: int, at_least: int | None = None) -> Corpus:
    """The corpus of episodes that were played (see `played_for_corpus`), or of the first of them."""
    team = speaking_team(run)
    told = played.rollouts if at_least is None else first_episodes(team, played.rollouts, at_least=at_least)
    metadata = _about(run, played, choice=choice, seed=seed)
    return corpora.from_rollouts(team, run.facts, told, metadata=metadata)


def _about(run: Run, played: Played, *, choice: Choice, seed: int) -> dict[str, Any]:
    """Return what metadata tell beside the team."""
    return {
        "env": run.config["env"],
        "choices": run.config["team"],
        "actions": choice.value,
        "seed": seed,
        "episode_return_mean": scores(played)["episode_return_mean"],
        **({MIXED: run.config[MIXED]} if MIXED in run.config else {}),
    }
