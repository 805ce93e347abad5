"""How a language came about: corpora that were recorded on the way, side by side."""

import dataclasses
import itertools
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from heliograph.analysis.corpus import METADATA, Corpus, load_corpus
from heliograph.analysis.corpus_checks import CorpusError
from heliograph.analysis.information import information_in, utterances_of
from heliograph.analysis.measures.language_drift import language_drift
from heliograph.protocols.labels import meaning_labels, message_labels
from heliograph.texts import cut, natural

__all__ = ["COLUMNS", "CORPORA", "Timelapse", "corpora_at", "timelapse_of"]

CORPORA = "corpora"
"""Where in a run folder corpora are that were recorded while it was trained."""
MOST_UTTERANCES = 5_000
"""Of each corpus, the first ones: more change no picture."""
NUM_PERMUTATIONS = 50
COLUMNS = (
    "role", "iteration", "num_env_steps", "episode_return_mean", "num_utterances", "num_messages", "entropy_bits",
    "mutual_information_bits", "mutual_information_chance_bits", "changed_share", "edit_distance", "born", "died",
    "changes",
)  # fmt: skip
OF_CURRICULUM = "curriculum"
OF_TEAM = ("env", "choices", "policies", "mixed")
"""Entries of a corpus's metadata which, where they change, say that the task or the team is another."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Timelapse:
    """A language over time.

    `rows` has a row for each role and moment (`COLUMNS`), `words` one for each message that was ever said: `role`,
    `message`, `first` and `last` iteration in which it was, `died` (the moment from which on it was not said any more;
    missing where it still is), and `uses`. `uses` of a message beside a meaning: `role`, `iteration`, `meaning`,
    `message`, `number`. `changes` says by iteration what was changed from outside: the task, or who plays whom.
    """

    rows: pd.DataFrame
    words: pd.DataFrame
    uses: pd.DataFrame
    changes: dict[int, str]

    @property
    def iterations(self) -> list[int]:
        """The moments, in order."""
        return [int(number) for number in sorted(self.rows["iteration"].unique())]

    @property
    def roles(self) -> list[str]:
        """The roles that ever said anything."""
        return list(dict.fromkeys(self.rows["role"]))


def corpora_at(sources: Sequence[str | pathlib.Path]) -> list[pathlib.Path]:
    """The folders of corpora in a run, in a folder of corpora, or those that are named, in the order of their names.

    Raises `CorpusError`, with a remedy, where there are no two of them.
    """
    paths = [pathlib.Path(source) for source in sources]
    if len(paths) > 1:
        return paths
    (path,) = paths
    if not path.is_dir():
        raise CorpusError(f"{path} is no folder: name a run, a folder of corpora, or several corpora")
    found: list[pathlib.Path] = []
    for parent in (path / CORPORA, path):
        found = found or [folder for folder in parent.glob("*") if (folder / METADATA).is_file()]
    if len(found) < 2:
        raise CorpusError(
            f"{path} holds {len(found)} recorded corpora, and a language over time takes two: train with "
            f"record_every (--record-every N), which writes them to {CORPORA}/, or name several corpora"
        )
    return sorted(found, key=lambda folder: natural(folder.name))


def timelapse_of(sources: Sequence[str | pathlib.Path]) -> Timelapse:
    """The language of a run, a folder of corpora, or several corpora, over time.

    Of vectors one code is made for all moments, so that a message stays the same message. The first 5,000 utterances
    of each corpus count. Raises `CorpusError` for what is no corpus, or another kind of messages than the first.
    """
    paths = corpora_at(sources)
    corpora = [load_corpus(path) for path in paths]
    _check_alike(paths, corpora)
    moments = _numbered(paths, corpora)
    firsts = [corpus.where(slice(0, MOST_UTTERANCES - 1)) for corpus in corpora]
    whole = _together(firsts)
    if not len(whole):
        raise CorpusError(f"{paths[0].parent}: nobody ever says anything in {len(paths)} corpora")
    told = pd.DataFrame(
        {
            "role": whole.utterances["role"].to_numpy(),
            "place": np.repeat(np.arange(len(firsts)), list(map(len, firsts))),
            "meaning": meaning_labels(whole), "message": message_labels(whole),
        }
    ).assign(iteration=lambda table: np.array(moments)[table["place"]])  # fmt: skip
    changes = _changes(moments, [corpus.metadata for corpus in corpora])
    words = _words(told, moments)
    rows = [row for role in told["role"].unique() for row in _rows(role, told, firsts, moments, words, changes)]
    uses = told.groupby(["role", "iteration", "meaning", "message"], sort=False).size().rename("number").reset_index()
    return Timelapse(rows=pd.DataFrame(rows, columns=list(COLUMNS)), words=words, uses=uses, changes=changes)


def _check_alike(paths: list[pathlib.Path], corpora: list[Corpus]) -> None:
    for path, corpus in zip(paths, corpora, strict=True):
        for key in ("vocabulary", "length", "roles"):
            mine, first = corpus.metadata[key], corpora[0].metadata[key]
            if mine != first:
                raise CorpusError(
                    f"{path / METADATA} has {key}={cut(repr(mine))}, {paths[0] / METADATA} {cut(repr(first))}: "
                    "these are no moments of one language"
                )


def _numbered(paths: list[pathlib.Path], corpora: list[Corpus]) -> list[int]:
    """The iteration of each corpus, as it or its folder says; else its place in order."""
    found: list[int] = []
    for place, (path, corpus) in enumerate(zip(paths, corpora, strict=True)):
        said = corpus.metadata.get("iteration")
        digits = re.search(r"(\d{1,15})$", path.name)
        if isinstance(said, int) and not isinstance(said, bool) and 0 <= said < 2**53:
            found.append(said)
        else:
            found.append(int(digits[1]) if digits else place)
    return found if all(a < b for a, b in itertools.pairwise(found)) else list(range(len(found)))


def _together(corpora: list[Corpus]) -> Corpus:
    """All utterances in one corpus, so that what is said in several moments has one name."""
    return Corpus(
        utterances=pd.concat([corpus.utterances for corpus in corpora], ignore_index=True),
        metadata=corpora[0].metadata,
    )


def _words(told: pd.DataFrame, moments: list[int]) -> pd.DataFrame:
    """First and last moment of each message, and from when on it was not said any more."""
    found = told.groupby(["role", "message"], sort=False)["place"].agg(["min", "max", "size"]).reset_index()
    iterations = np.array([*moments, -1])
    ended = found["max"].to_numpy() + 1
    died = pd.array(iterations[np.where(ended < len(moments), ended, -1)], dtype="Int64")
    died[np.asarray(ended >= len(moments))] = pd.NA
    return pd.DataFrame(
        {
            "role": found["role"], "message": found["message"], "first": iterations[found["min"]],
            "last": iterations[found["max"]], "died": died, "uses": found["size"],
        }
    )  # fmt: skip


def _rows(
    role: str, told: pd.DataFrame, corpora: list[Corpus], moments: list[int], words: pd.DataFrame,
    changes: Mapping[int, str],
) -> Iterator[dict[str, Any]]:  # fmt: skip
    own, before = words[words["role"] == role], None
    for place, (moment, corpus) in enumerate(zip(moments, corpora, strict=True)):
        part = told[(told["role"] == role) & (told["place"] == place)]
        row = {
            "role": role, "iteration": moment, "num_env_steps": corpus.metadata.get("num_env_steps"),
            "episode_return_mean": corpus.metadata.get("episode_return_mean"), "num_utterances": len(part),
            "num_messages": part["message"].nunique(), "born": int((own["first"] == moment).sum()),
            "died": int((own["died"] == moment).sum()), "changes": changes.get(moment),
        }  # fmt: skip
        yield {**row, **_information(corpus.of_role(role)), **_drift(before, part)}
        before = part if len(part) else before


def _information(corpus: Corpus) -> dict[str, Any]:
    if not len(corpus):
        return {}
    found = information_in(utterances_of(corpus), num_permutations=NUM_PERMUTATIONS, seed=0)
    return {
        "entropy_bits": found.entropy_bits, "mutual_information_bits": found.mutual_information_bits,
        "mutual_information_chance_bits": found.chance_bits,
    }  # fmt: skip


def _drift(before: pd.DataFrame | None, part: pd.DataFrame) -> dict[str, Any]:
    """Number of meanings that have another most frequent message than at the moment before.

    It comes with how far the most frequent ones lie apart.
    """
    if before is None or not len(part):
        return {}
    one, other = ([text.split() if " " in text else text for text in some["message"]] for some in (before, part))
    found = language_drift(one, before["meaning"].tolist(), other, part["meaning"].tolist())
    return {"changed_share": found.changed_share, "edit_distance": found.edit_distance}


def _changes(moments: list[int], metadata: list[dict[str, Any]]) -> dict[int, str]:
    """All that the metadata of each moment say of the task and the team that those of the moment before did not."""
    found = {}
    for moment, before, now in zip(moments[1:], metadata, metadata[1:], strict=False):
        told = [f"{key} {_short(before.get(key))} \N{RIGHTWARDS ARROW} {_short(now.get(key))}"
                for key in OF_TEAM if before.get(key) != now.get(key)]  # fmt: skip
        old, new = (some.get(OF_CURRICULUM) or {} for some in (before, now))
        if isinstance(old, dict) and isinstance(new, dict):
            told += [f"{name} {_short(old.get(name))} \N{RIGHTWARDS ARROW} {_short(new[name])}"
                     for name in new if name in old and old[name] != new[name]]  # fmt: skip
        if told:
            found[moment] = "; ".join(told)
    return found


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else cut(str(value))
