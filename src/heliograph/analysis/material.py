"""What measures are computed from: columns of utterances, by the names that measures need them by."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int

from heliograph.analysis.corpus import Corpus
from heliograph.analysis.measures.base import ids_of, joined, numbers_of, plain_rows, plain_table
from heliograph.analysis.measures.measure import AppliesTo, Measure, Needs
from heliograph.analysis.measures.words import words_of

__all__ = ["Material", "Part", "material_from", "material_of_corpus", "picked"]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Part:
    """The columns of one measure, by name, row by row, and within, by episode and by seed of what each row is."""

    columns: dict[str, Any]
    group: Int[np.ndarray, " n"]
    episodes: Int[np.ndarray, " n"]
    seeds: Int[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.group)

    def where(self, rows: Int[np.ndarray, " m"]) -> "Part":
        """Some of the rows."""
        return Part(
            columns={name: picked(column, rows) for name, column in self.columns.items()},
            group=_numbered(self.group[rows]),
            episodes=_numbered(self.episodes[rows]),
            seeds=_numbered(self.seeds[rows]),
        )


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Material:
    """Utterances: `columns` by name, each with an entry for each utterance (None: it has none), and what they lie in.

    `codes` stand for messages that are compared as a whole. Of `hearings`, the number of an utterance each, there may
    be several of one; `hearer_actions` has an entry for each. `single` holds what has no rows, such as a listener.
    """

    columns: dict[str, Any]
    role: np.ndarray
    group: Int[np.ndarray, " n"]
    episodes: Int[np.ndarray, " n"]
    seeds: Int[np.ndarray, " n"]
    vectors: bool = False
    codes: Any = None
    hearings: Int[np.ndarray, " h"] | None = None
    hearers: Int[np.ndarray, " h"] | None = None
    single: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.group)

    def lacks(self, measure: Measure) -> str | None:
        """Why a measure cannot be computed from it; None where it can."""
        missing = [name for name in measure.needs if name not in self.columns and name not in self.single]
        if missing:
            names = dict.fromkeys("meanings" if name == Needs.ATTRIBUTES else name for name in missing)
            return f"not given: {', '.join(names)}"
        if Needs.MESSAGES not in measure.needs:
            return None
        if self.vectors and measure.applies_to is AppliesTo.SYMBOLS:
            return "takes symbols: these messages are vectors"
        if not self.vectors and measure.applies_to is AppliesTo.VECTORS:
            return "takes vectors: these messages are symbols"
        return None

    def part_for(self, measure: Measure, *, role: str | None = None) -> Part:
        """Return what a measure takes, of one role: the rows in which nothing of it is missing."""
        heard = Needs.HEARER_ACTIONS in measure.needs and self.hearings is not None
        rows = self.hearings if heard and self.hearings is not None else np.arange(len(self))
        kept = np.ones(len(rows), dtype=bool) if role is None else self.role[rows] == role
        columns: dict[str, Any] = {}
        for name in measure.needs:
            if name in self.single:
                continue
            whole = name == Needs.MESSAGES and measure.applies_to is AppliesTo.WHOLE and self.codes is not None
            column = self.codes if whole else self.columns[name]
            columns[name] = column if heard and name == Needs.HEARER_ACTIONS else picked(column, rows)
            kept &= _present(columns[name])
        which = {name: getattr(self, name)[rows] for name in ("group", "episodes", "seeds")}
        if heard and self.hearers is not None:  # each hearer may do as it likes
            which["group"] = joined(which["group"], self.hearers)
        return Part(columns=columns, **which).where(np.flatnonzero(kept))


def material_from(columns: Mapping[str, Any], *, given: Any = None, eos: Any = None) -> Material:
    """Columns by name, `messages` among them, each with a row for each utterance, but functions and whatever has none.

    `episodes` and `seeds` say in which an utterance was made, `roles` whose it is. Raises ValueError where there is no
    message, and for columns of unequal length, by name.
    """
    columns = {name: column for name, column in columns.items() if column is not None}
    if Needs.MESSAGES not in columns:
        raise ValueError(f"there are no messages: columns are {', '.join(columns) or 'none'}")
    said = plain_rows(columns.pop(Needs.MESSAGES), what="messages")
    vectors = _are_vectors(said)
    if vectors:
        said = numbers_of(said)
    else:
        words = words_of(said, eos=eos)
        whole = len(set(words.lengths.tolist())) == 1 and all(isinstance(name, int) for name in words.names)
        said = np.array(words.names, dtype=np.int64)[words.codes] if whole and words.names else words.tuples()
    number = len(said)
    single = {name: columns.pop(name) for name in list(columns) if _has_no_rows(name, columns[name])}
    for name, column in columns.items():
        if len(column) != number:
            raise ValueError(f"{number} messages and {len(column)} {name}: there must be one for each")
    about = {name: columns.pop(name, None) for name in ("roles", "episodes", "seeds")}
    meanings = columns.get(Needs.MEANINGS, columns.get(Needs.ATTRIBUTES))
    if meanings is not None:
        columns = {Needs.MEANINGS: meanings, Needs.ATTRIBUTES: meanings, **columns}
        _check_numbers(meanings)
    if given is not None and len(given) != number:
        raise ValueError(f"{number} messages and given= of {len(given)}: there must be one value for each message")
    seeds = np.zeros(number, np.int64) if about["seeds"] is None else ids_of(about["seeds"], what="seeds")
    episodes = np.arange(number) if about["episodes"] is None else ids_of(about["episodes"], what="episodes")
    return Material(
        columns={Needs.MESSAGES: said, **{name: _column(name, column) for name, column in columns.items()}},
        role=np.array(["all"] * number if about["roles"] is None else [str(x) for x in about["roles"]], dtype=object),
        group=np.zeros(number, np.int64) if given is None else ids_of(given, what="given"),
        episodes=joined(seeds, episodes),  # those of another seed are others, whatever their numbers
        seeds=seeds,
        vectors=vectors,
        single=single,
    )


def material_of_corpus(corpus: Corpus, *, given: Any = None, eos: Any = None) -> Material:
    """The utterances of a corpus, within policy and round of each role unless something else is given."""
    if not len(corpus):
        raise ValueError("the corpus has no utterance: there is nothing to measure")
    table, vectors = corpus.utterances, corpus.vectors()
    columns: dict[str, Any] = {
        Needs.MESSAGES: corpus.contents(), Needs.MEANINGS: corpus.meanings(), "roles": table["role"].tolist(),
        "episodes": table["episode"].to_numpy(),
    }  # fmt: skip
    given = corpus.groups() if given is None else given
    found = material_from(columns, given=given, eos=corpus.eos if eos is None else eos)
    heard = [
        (row, hearer, done)
        for row, (hearers, actions) in enumerate(zip(table["hearers"], table["actions"], strict=True))
        for hearer, done in zip(hearers, actions, strict=True)
        if done is not None
    ]
    own = _column(Needs.ACTIONS, table["action"].tolist())
    more: dict[str, Any] = {Needs.ACTIONS: own} if _present(own).any() else {}
    if heard:
        more[Needs.HEARER_ACTIONS] = _column(Needs.HEARER_ACTIONS, [done for _, _, done in heard])
    return dataclasses.replace(
        found,
        columns=found.columns | more,
        vectors=vectors is not None,
        codes=None if vectors is None else corpus.codes(),
        hearings=np.array([row for row, _, _ in heard], dtype=np.int64) if heard else None,
        hearers=ids_of([hearer for _, hearer, _ in heard]) if heard else None,
    )


def picked(column: Any, rows: Int[np.ndarray, " m"]) -> Any:
    """Some rows of a column."""
    return column[rows] if isinstance(column, np.ndarray) else [column[row] for row in rows.tolist()]


def _column(name: str, rows: Any) -> Any:
    """A column as an array: of numbers, or of objects where it has others."""
    table = plain_table(rows, what=name)
    if isinstance(table, np.ndarray):
        return table
    found = np.empty(len(table), dtype=object)
    for place, row in enumerate(table):
        found[place] = row.tolist() if isinstance(row, np.ndarray) else row
    return found


def _present(column: Any) -> np.ndarray:
    if isinstance(column, np.ndarray) and column.dtype != object:
        return np.ones(len(column), dtype=bool)
    return np.array([row is not None for row in column], dtype=bool)


def _check_numbers(meanings: Any) -> None:
    """Refuse meanings with a NaN, which a reader may have put where one is missing."""
    table = plain_table(meanings, what="meanings")
    if isinstance(table, np.ndarray) and table.dtype.kind == "f" and (wrong := np.isnan(table)).any():
        raise ValueError(f"meaning {int(np.nonzero(wrong)[0][0])} has NaN: leave the row out, or give None for none")


def _has_no_rows(name: str, column: Any) -> bool:
    return name in (Needs.LISTENER, Needs.TEAM) or callable(column) or not hasattr(column, "__len__")


def _are_vectors(said: Any) -> bool:
    """Tell whether any part of a message is a number with a fraction (or none at all)."""
    if isinstance(said, np.ndarray):
        return said.dtype.kind == "f" and bool((said != np.floor(said)).any())
    return any(isinstance(part, float) and not part.is_integer() for row in said for part in row)


def _numbered(ids: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    return joined(ids) if len(ids) else ids
