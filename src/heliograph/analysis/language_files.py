"""Languages in files of ours and of others, read without executing anything: columns of messages, meanings, ...

A folder with a corpus of ours, one of ELCC (`corpus.jsonl` beside its metadata) or emlangkit's arrays (`messages.npy`
and `observations.npy`); JSON and JSON lines of messages, of pairs of message and meaning (CSAR) or of objects; Parquet;
NumPy; EGG's stored interactions.
"""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from heliograph.analysis.corpus import SYMBOLS, UTTERANCES, Corpus, load_corpus
from heliograph.analysis.corpus_checks import CorpusError
from heliograph.analysis.egg_interactions import read_interaction
from heliograph.analysis.measures.measure import Needs
from heliograph.analysis.row_groups import sampled_rows
from heliograph.hardware import memory_bytes
from heliograph.storage.safe_files import RunFolderError, parse_json, refuse_irregular
from heliograph.texts import cut, one_line

__all__ = ["SUFFIXES", "Columns", "is_language", "read_language"]

Columns = dict[str, Any]
NAMES = {
    "message": "messages", "symbols": "messages", "meaning": "meanings", "observation": "meanings",
    "observations": "meanings", "episode": "episodes", "seed": "seeds", "role": "roles", "action": "actions",
}  # fmt: skip
"""Other names of columns."""
KNOWN = (*(need.value for need in Needs), "episodes", "seeds", "roles")
ARRAYS = ("messages.npy", "observations.npy", "meanings.npy")
TIMES_IN_MEMORY = 8
"""A file takes about so many times its size in memory, as Python's own numbers."""


def is_language(path: pathlib.Path) -> bool:
    """Tell whether a path is a language in files, and not a team that would have to be played."""
    if path.is_dir():
        return any((path / name).is_file() for name in (UTTERANCES, SYMBOLS, ARRAYS[0]))
    return path.suffix.lower() in SUFFIXES


def read_language(path: str | pathlib.Path, *, meanings: str | pathlib.Path | None = None) -> Corpus | Columns:
    """A corpus of ours, or columns by name; `meanings` names a second file that holds these alone, row by row.

    Raises `CorpusError` where there is none, naming file, row and column.
    """
    found = _read(pathlib.Path(path))
    if meanings is None:
        return found
    if isinstance(found, Corpus):
        raise CorpusError(f"{path} is a corpus with meanings of its own: {meanings} cannot take their place")
    other = _read(pathlib.Path(meanings))
    if isinstance(other, Corpus):
        raise CorpusError(f"{meanings} is a corpus: meanings must be a file of rows")
    found[Needs.MEANINGS] = other.get(Needs.MEANINGS, other[Needs.MESSAGES])
    return found


def _read(path: pathlib.Path) -> Corpus | Columns:
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        raise CorpusError(f"{path} does not exist: name a run folder, a corpus, or a file ({', '.join(SUFFIXES)})")
    reader = SUFFIXES.get(path.suffix.lower())
    if reader is None:
        raise CorpusError(f"{path}: must end in one of {', '.join(SUFFIXES)}")
    size, there = path.stat().st_size, memory_bytes()
    if TIMES_IN_MEMORY * size > there > 0 and reader is not _read_parquet:  # which reads as much as it needs
        raise CorpusError(f"{path} has {size:,} bytes: more than this machine's memory can hold as a table")
    try:
        refuse_irregular(path)
        found = reader(path)
    except CorpusError:
        raise
    except Exception as error:  # whatever a parser makes of a stranger's bytes
        raise CorpusError(f"{path} cannot be read: {one_line(error)}") from error
    if not len(found[Needs.MESSAGES]):
        raise CorpusError(f"{path} is empty: it has no message")
    return found


def _read_folder(folder: pathlib.Path) -> Corpus | Columns:
    if (folder / UTTERANCES).is_file():
        return load_corpus(folder)
    if (folder / ARRAYS[0]).is_file():
        found = _read(folder / ARRAYS[0])
        other = next((folder / name for name in ARRAYS[1:] if (folder / name).is_file()), None)
        more = {} if other is None else {Needs.MEANINGS.value: _read(other)[Needs.MESSAGES]}  # type: ignore[index]
        return {**found, **more}  # type: ignore[dict-item]
    if (folder / SYMBOLS).is_file():
        return _read(folder / SYMBOLS)
    raise CorpusError(f"{folder} holds no language: no {UTTERANCES}, {SYMBOLS} or {ARRAYS[0]}")


def _read_lines(path: pathlib.Path) -> Columns:
    rows = []
    with path.open(encoding="utf8") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                rows.append(_parsed(line, where=f"{path}, line {number}"))
    return _of_rows(rows, path)


def _read_json(path: pathlib.Path) -> Columns:
    found = _parsed(path.read_text(encoding="utf8"), where=str(path))
    if isinstance(found, dict):
        return _of_table(found, path)
    if not isinstance(found, list):
        raise CorpusError(f"{path} holds {cut(repr(found))}: must be a list of messages, or an object of columns")
    return _of_rows(found, path)


def _parsed(text: str, *, where: str) -> Any:
    try:
        return parse_json(text, where=where)
    except RunFolderError as error:
        raise CorpusError(f"{error}; it may have been cut off") from error


def _of_rows(rows: list[Any], path: pathlib.Path) -> Columns:
    """Messages, pairs of message and meaning, or objects, each a row."""
    if rows and all(isinstance(row, dict) for row in rows):
        names = list(dict.fromkeys(name for row in rows for name in row))
        return _of_table({name: [row.get(name) for row in rows] for name in names}, path)
    if rows and all(_is_pair(row) for row in rows):
        messages = [_word(pair[0], path, number) for number, pair in enumerate(rows)]
        return {"messages": messages, **_meanings_of_atoms([pair[1] for pair in rows])}
    return {"messages": [_word(row, path, number) for number, row in enumerate(rows)]}


def _meanings_of_atoms(rows: list[list[Any]]) -> Columns:
    """Collections of atoms as meanings, and as attributes.

    Each place is an attribute where all rows are equally long and no atom occurs at two places, else each atom is one,
    which a meaning has or not.
    """
    atoms = list(dict.fromkeys(atom for row in rows for atom in row))
    places = [set(column) for column in zip(*rows, strict=False)]
    apart = sum(map(len, places)) == len(atoms) and len({len(row) for row in rows}) == 1
    attributes = rows if apart else [[int(atom in row) for atom in atoms] for row in rows]
    return {"meanings": [sorted(row, key=repr) for row in rows], "attributes": attributes}


def _is_pair(row: Any) -> bool:
    return isinstance(row, list) and len(row) == 2 and all(isinstance(part, list) for part in row)


def _word(row: Any, path: pathlib.Path, number: int) -> Any:
    """A message: symbols, or a text, or a single symbol."""
    if isinstance(row, (str, int)):
        return row
    wrong = row if not isinstance(row, list) else next((x for x in row if not _is_symbol(x)), None)
    if not isinstance(row, list) or any(not _is_symbol(x) for x in row):
        raise CorpusError(
            f"{path}, row {number}, column messages: has {cut(repr(wrong))}: symbols must be whole numbers"
        )
    return row


def _is_symbol(part: Any) -> bool:
    return isinstance(part, (str, int)) or (isinstance(part, float) and part.is_integer())


def _of_table(table: dict[str, Any], path: pathlib.Path) -> Columns:
    found: Columns = {}
    for name, column in table.items():
        known = NAMES.get(name, name)
        if known in KNOWN and isinstance(column, (list, np.ndarray)):
            found.setdefault(known, column)
    if "messages" not in found:
        raise CorpusError(f"{path} has no column messages: it has {cut(', '.join(map(str, table)) or 'none')}")
    for row, word in enumerate(found["messages"]):
        if word is None:
            raise CorpusError(f"{path}, row {row}, column messages: is missing")
    return found


def _read_parquet(path: pathlib.Path) -> Columns:
    with pq.ParquetFile(path) as file:
        names = [name for name in file.schema_arrow.names if NAMES.get(name, name) in KNOWN]
        if not names:
            raise CorpusError(f"{path} has no column messages: it has {cut(', '.join(file.schema_arrow.names))}")
        table = sampled_rows(file, columns=names)
    return _of_table({name: table[name].to_pylist() for name in names}, path)


def _read_array(path: pathlib.Path) -> Columns:
    """One array of messages, a row each; pickled objects are refused."""
    with path.open("rb") as file:
        return {"messages": _numeric(np.load(file, allow_pickle=False), path)}


def _read_arrays(path: pathlib.Path) -> Columns:
    with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
        return _of_table({name: _numeric(file[name], path) for name in file.files}, path)


def _numeric(array: np.ndarray, path: pathlib.Path) -> np.ndarray:
    if not array.ndim:
        raise CorpusError(f"{path} holds a single number: must be an array with one row for each message")
    return array


SUFFIXES: dict[str, Callable[[pathlib.Path], Columns]] = {
    ".jsonl": _read_lines,
    ".json": _read_json,
    ".parquet": _read_parquet,
    ".npy": _read_array,
    ".npz": _read_arrays,
    ".pt": read_interaction,
    ".pth": read_interaction,
}
"""How files are read, by how their names end."""
