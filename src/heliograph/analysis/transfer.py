"""Corpora for tools that pre-train on an emergent language (XferBench, ELCC): one array of symbols a line, as JSON.

Such tools join all lines, in an order of their own, into one stream of tokens, and cut that into blocks.
"""

import dataclasses
import json
import pathlib
from collections.abc import Iterator

from heliograph.analysis.corpus import Corpus
from heliograph.storage.safe_files import write_text

__all__ = ["Transfer", "export_words", "notes_on"]

FEWEST_TOKENS = 256
"""XferBench cuts blocks of so many tokens, and fails where there is not one."""
MOST_SYMBOLS = 30_000
"""Ids of XferBench's tokens lie below."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transfer:
    """A file that was written, how much is in it, and what its reader should know before using it."""

    path: pathlib.Path
    num_words: int
    num_tokens: int
    notes: tuple[str, ...]


def export_words(corpus: Corpus, path: str | pathlib.Path, *, eos: int | None = None) -> Transfer:
    """Write the words of a corpus, a line each; with `eos` each ends with that symbol, so that boundaries stay.

    Raises ValueError for vectors, and for an `eos` that is a symbol already.
    """
    if not _in_words(corpus):
        raise ValueError("messages are vectors: there are no symbols to export (channels symbols, dru, vq have some)")
    _check_eos(corpus, eos)
    words = list(_words(corpus, eos=eos))
    write_text(pathlib.Path(path), "".join(f"{json.dumps(word)}\n" for word in words))
    return Transfer(
        path=pathlib.Path(path),
        num_words=len(words),
        num_tokens=sum(map(len, words)),
        notes=tuple(notes_on(corpus, eos=eos)),
    )


def notes_on(corpus: Corpus, *, eos: int | None = None) -> list[str]:
    """What a reader of its words should know: nothing, as a rule; nothing for vectors, which have none."""
    if not _in_words(corpus):
        return []
    number = sum(map(len, _words(corpus, eos=eos)))
    notes = []
    if number < FEWEST_TOKENS:
        notes.append(f"{number} tokens: XferBench fails with fewer than {FEWEST_TOKENS}; record more episodes")
    if corpus.metadata["vocabulary"] > MOST_SYMBOLS:
        notes.append(f"vocabulary {corpus.metadata['vocabulary']}: XferBench takes symbols below {MOST_SYMBOLS}")
    return notes


def _in_words(corpus: Corpus) -> bool:
    """Whether it holds symbols that are what is said, not those of gates before vectors."""
    return corpus.discrete and corpus.vectors() is None


def _words(corpus: Corpus, *, eos: int | None) -> Iterator[list[int]]:
    end = [] if eos is None else [eos]
    for word in corpus.utterances["symbols"]:
        yield [*(int(symbol) for symbol in word), *end]


def _check_eos(corpus: Corpus, eos: int | None) -> None:
    vocabulary = corpus.metadata["vocabulary"]
    if eos is not None and (isinstance(eos, bool) or not vocabulary <= eos < MOST_SYMBOLS):
        raise ValueError(
            f"eos={eos!r}: must be a whole number from {vocabulary} (which no symbol is) to {MOST_SYMBOLS - 1}"
        )
