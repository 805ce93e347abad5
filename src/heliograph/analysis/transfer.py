"""Corpora for other tools, in open formats: words a line (XferBench, ELCC), pairs (CSAR), and arrays (emlangkit).

Tools that pre-train on an emergent language join all lines, in an order of their own, into one stream of tokens, and
cut that into blocks.
"""

import dataclasses
import json
import pathlib
from collections.abc import Iterator

import numpy as np

from heliograph.analysis.corpus import Corpus
from heliograph.storage.atomic import replacing
from heliograph.storage.safe_files import check_out, make_folder, write_text

__all__ = ["MEANINGS_FILE", "MESSAGES_FILE", "Transfer", "export_arrays", "export_pairs", "export_words", "notes_on"]

FEWEST_TOKENS = 256
"""XferBench cuts blocks of so many tokens, and fails where there is not one."""
MESSAGES_FILE, MEANINGS_FILE = "messages.npy", "observations.npy"
"""Arrays in a folder for emlangkit."""
NOTHING = -1
"""An attribute of a meaning that the sender does not know."""
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
    _check_words(corpus)
    _check_eos(corpus, eos)
    words = list(_words(corpus, eos=eos))
    write_text(pathlib.Path(path), "".join(f"{json.dumps(word)}\n" for word in words))
    return Transfer(
        path=pathlib.Path(path),
        num_words=len(words),
        num_tokens=sum(map(len, words)),
        notes=tuple(notes_on(corpus, eos=eos)),
    )


def export_pairs(corpus: Corpus, path: str | pathlib.Path) -> pathlib.Path:
    """Write pairs of a word and the atoms of its meaning, as CSAR reads them: a line of JSON for each utterance.

    A line is `[[symbols], [atoms]]`. The atoms of meaning (2, 0) are "a0=2" and "a1=0"; an attribute that is -1,
    nothing, has none. Raises ValueError for vectors.
    """
    _check_words(corpus)
    rows = zip(_words(corpus, eos=None), corpus.meanings().tolist(), strict=True)
    lines = [json.dumps([word, [f"a{k}={v}" for k, v in enumerate(row) if v != NOTHING]]) for word, row in rows]
    write_text(pathlib.Path(path), "".join(f"{line}\n" for line in lines))
    return pathlib.Path(path)


def export_arrays(corpus: Corpus, folder: str | pathlib.Path, *, pad: int | None = None) -> pathlib.Path:
    """Write `messages.npy` [n, L] and `observations.npy` [n, K] into a folder, int64 without pickle, for emlangkit.

    Words that are shorter than others end in `pad` (None: the vocabulary, which no symbol is); that tool counts it as a
    symbol, and raises for meanings of one attribute. Raises ValueError for vectors, and for a `pad` that is a symbol.
    """
    _check_words(corpus)
    fill = corpus.metadata["vocabulary"] if pad is None else pad
    if 0 <= fill < corpus.metadata["vocabulary"]:
        raise ValueError(
            f"pad={fill}: is a symbol; choose a number that none is, such as {corpus.metadata['vocabulary']}"
        )
    words = list(_words(corpus, eos=None))
    messages = np.full((len(words), max(map(len, words), default=0)), fill, dtype=np.int64)
    for row, word in zip(messages, words, strict=True):
        row[: len(word)] = word
    folder = pathlib.Path(folder)
    check_out(folder)
    make_folder(folder)
    for name, array in ((MESSAGES_FILE, messages), (MEANINGS_FILE, corpus.meanings())):
        with replacing(folder / name) as draft, draft.open("wb") as file:
            np.save(file, array, allow_pickle=False)
    return folder


def notes_on(corpus: Corpus, *, eos: int | None = None) -> list[str]:
    """Return what a reader of its words should know: nothing, as a rule; nothing for vectors, which have none."""
    if not _in_words(corpus):
        return []
    return notes_for(sum(map(len, _words(corpus, eos=eos))), vocabulary=corpus.metadata["vocabulary"])


def notes_for(number: int, *, vocabulary: int) -> list[str]:
    """Return the same of so many tokens."""
    notes = []
    if number < FEWEST_TOKENS:
        notes.append(f"{number} tokens: XferBench fails with fewer than {FEWEST_TOKENS}; record more episodes")
    if vocabulary > MOST_SYMBOLS:
        notes.append(f"vocabulary {vocabulary}: XferBench takes symbols below {MOST_SYMBOLS}")
    return notes


def _in_words(corpus: Corpus) -> bool:
    """Tell whether it holds symbols that are what is said, not those of gates before vectors."""
    return corpus.discrete and corpus.vectors() is None


def _check_words(corpus: Corpus) -> None:
    if not _in_words(corpus):
        raise ValueError("messages are vectors: there are no symbols to export (channels symbols, dru, vq have some)")


def _words(corpus: Corpus, *, eos: int | None) -> Iterator[list[int]]:
    end = [] if eos is None else [eos]
    for word in corpus.utterances["symbols"]:
        yield [*(int(symbol) for symbol in word), *end]


def _check_eos(corpus: Corpus, eos: int | None) -> None:
    vocabulary = corpus.metadata["vocabulary"]
    if eos is not None and eos == corpus.eos:
        return
    if eos is not None and (isinstance(eos, bool) or not vocabulary <= eos < MOST_SYMBOLS):
        raise ValueError(
            f"eos={eos!r}: must be a whole number from {vocabulary} (which no symbol is) to {MOST_SYMBOLS - 1}"
        )
