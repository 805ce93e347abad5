"""What a corpus that may be a stranger's is held against before anything is measured: sizes, kinds, and every row."""

import math
import pathlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from heliograph.channels.spelling import END_OF_WORD
from heliograph.hardware import memory_bytes
from heliograph.texts import cut

__all__ = ["CorpusError", "check_metadata", "check_rows", "check_size"]

KINDS: dict[str, Any] = {
    "vocabulary": (int, type(None)),
    "length": int,
    "agents": list,
    "roles": dict,
    "num_episodes": int,
    "num_utterances": int,
}
LEAST = {"vocabulary": 1, "length": 0, "num_episodes": 0, "num_utterances": 0}
MOST = 2**40
ALWAYS = ("episode", "step", "round", "sender", "role", "hearers", "length", "bits", "meaning", "actions", "reward")
"""Columns without nulls."""
BYTES_OF_A_VALUE, BYTES_OF_A_ROW = 8, 1000
"""About what a number in a list, and the objects of a row, take in memory."""


class CorpusError(ValueError):
    """A corpus folder that is missing, damaged, or written by something else."""


def check_metadata(path: pathlib.Path, metadata: dict[str, Any]) -> None:
    """Refuse what is missing, of another kind, out of range, or names agents that roles do not have."""
    missing = KINDS.keys() - metadata.keys()
    if missing:
        raise CorpusError(f"{path} lacks {', '.join(sorted(missing))}")
    for key, kind in KINDS.items():
        value = metadata[key]
        number = isinstance(value, int) and not LEAST.get(key, 0) <= value <= MOST
        if not isinstance(value, kind) or isinstance(value, bool) or number:
            raise CorpusError(f"{path} has {key}={cut(repr(value))}: damaged, or not written by Heliograph")
    eos = metadata.get("eos")
    if eos is not None and (isinstance(eos, bool) or eos != END_OF_WORD):
        raise CorpusError(f"{path} has eos={cut(repr(eos))}: must be {END_OF_WORD}, or null where no symbol ends words")
    mean = metadata.get("episode_return_mean")
    if mean is not None and (isinstance(mean, bool) or not isinstance(mean, (int, float)) or not math.isfinite(mean)):
        raise CorpusError(f"{path} has episode_return_mean={cut(repr(mean))}: must be a finite number")
    agents, roles = metadata["agents"], metadata["roles"]
    lists = [agents, *roles.values()]
    if not all(isinstance(some, list) and all(isinstance(name, str) for name in some) for some in lists):
        raise CorpusError(f"{path}: agents and roles must be lists of names")
    inside = [name for some in roles.values() for name in some]
    if sorted(inside) != sorted(set(agents)) or len(set(agents)) < len(agents):
        raise CorpusError(f"{path}: roles must hold each of the agents {cut(agents)} once; they hold {cut(inside)}")


def check_size(path: pathlib.Path, file: pq.ParquetFile, *, num_rows: int) -> int:
    """Refuse a file of other rows than are told of, or that this machine cannot hold; returns the bytes it may take."""
    about = file.metadata
    if about.num_rows != num_rows:
        raise CorpusError(f"{path} has {about.num_rows} rows: the metadata says {num_rows}")
    groups = [about.row_group(place) for place in range(about.num_row_groups)]
    values = sum(group.column(place).num_values for group in groups for place in range(group.num_columns))
    stored = sum(group.total_byte_size for group in groups)
    needed, there = stored + BYTES_OF_A_VALUE * values + BYTES_OF_A_ROW * num_rows, memory_bytes()
    if 2 * needed > there > 0:
        raise CorpusError(
            f"{path} has {num_rows:,} rows of {values:,} values: to read them takes about {2 * needed / 1e9:,.1f} GB "
            f"of memory, and this machine has {there / 1e9:,.1f}"
        )
    return 2 * needed


def check_rows(path: pathlib.Path, table: pa.Table, metadata: dict[str, Any]) -> None:
    """Refuse rows that could not have been said by these agents: the message names column and row."""
    if not table.num_rows:
        return
    for problem in _problems(table.combine_chunks(), metadata):
        raise CorpusError(f"{path}: {problem}; damaged, or not written by Heliograph")


def _problems(table: pa.Table, metadata: dict[str, Any]) -> Iterator[str]:
    said, other = ("symbols", "vector") if metadata["vocabulary"] is not None else ("vector", "symbols")
    for name in (*ALWAYS, said):
        if table[name].null_count:
            yield _at(f"{name} is missing", pc.is_null(table[name]))
    behind_gates = [other] if other == "vector" and not table[other].null_count else []
    if not behind_gates and table[other].null_count < table.num_rows:
        yield _at(f"{other} is given beside {said}", pc.is_valid(table[other]))
    yield from _names(table, metadata)
    words = [said, *behind_gates]
    most = metadata["length"] if said == "symbols" and metadata.get("eos") is not None else None
    for name in (*words, "meaning"):
        yield from _even(name, table[name]) if name != "symbols" or most is None else _too_long(table[name], most)
    flat = {f"an entry of {name}": pc.list_flatten(table[name]) for name in (*words, "read")}
    spoken = {name: values for name, values in flat.items() if "read" not in name}
    numbers = {name: table[name] for name in ("bits", "reward")} | spoken
    for name, column in numbers.items():
        yield from _infinite(name, column)
    bounds = dict.fromkeys(("step", "round", "length", "an entry of read"), MOST)
    bounds["episode"] = metadata["num_episodes"]
    if said == "symbols":
        bounds["an entry of symbols"] = metadata["vocabulary"]
    for name, most in bounds.items():
        yield from _outside(name, flat[name] if name in flat else table[name], most)
    for name in ("actions", "read", "attention"):
        yield from _beside_hearers(name, table)


def _names(table: pa.Table, metadata: dict[str, Any]) -> Iterator[str]:
    """Senders, their roles and hearers are those of the metadata."""
    agents = pa.array(metadata["agents"], pa.string())
    role_of = {agent: role for role, some in metadata["roles"].items() for agent in some}
    for name, column in (("sender", table["sender"]), ("hearers", pc.list_flatten(table["hearers"]))):
        known = pc.is_in(column, value_set=agents)
        if not pc.all(known).as_py():
            yield f"{name} names {cut(column.filter(pc.invert(known))[0].as_py())!r}, which is none of the agents"
            return
    place = pc.index_in(table["sender"], value_set=agents)
    roles = pa.array([role_of[agent] for agent in metadata["agents"]], pa.string()).take(place.combine_chunks())
    wrong = pc.not_equal(pa.chunked_array([roles]), table["role"])
    if pc.any(wrong).as_py():
        yield _at("role is not that of the sender", wrong)


def _infinite(name: str, column: Any) -> Iterator[str]:
    if not pc.all(pc.is_finite(column)).as_py():
        yield _at(f"{name} is no finite number", pc.invert(pc.is_finite(column)))


def _outside(name: str, column: Any, most: int) -> Iterator[str]:
    """Whole numbers from 0 on and below `most`; nulls pass."""
    bounds = pc.min_max(column).as_py()
    if bounds["min"] is not None and not (bounds["min"] >= 0 and bounds["max"] < most):
        worst = bounds["min"] if bounds["min"] < 0 else bounds["max"]
        yield f"{name} is {worst}: must be from 0 to {most - 1}"


def _even(name: str, column: Any) -> Iterator[str]:
    lengths = pc.min_max(pc.list_value_length(column)).as_py()
    if lengths["min"] != lengths["max"]:
        yield f"{name} has {lengths['min']} entries in one row and {lengths['max']} in another"
    elif pc.list_flatten(column).null_count:
        yield f"{name} holds an entry that is missing"


def _too_long(column: Any, most: int) -> Iterator[str]:
    longest = pc.max(pc.list_value_length(column)).as_py()
    if longest is not None and longest > most:
        yield f"symbols has {longest} entries in one row: must be at most {most}"
    elif pc.list_flatten(column).null_count:
        yield "symbols holds an entry that is missing"
    elif pc.any(pc.equal(pc.list_flatten(column), END_OF_WORD)).as_py():
        yield "symbols holds 0, which ends a word and is left out"


def _beside_hearers(name: str, table: pa.Table) -> Iterator[str]:
    found, hearers = pc.list_value_length(table[name]), pc.list_value_length(table["hearers"])
    wrong = pc.not_equal(found, hearers)
    if pc.any(wrong).as_py():
        yield _at(f"{name} has not one entry for each of the hearers", wrong)


def _at(problem: str, wrong: Any) -> str:
    return f"{problem} in row {pc.index(wrong, value=True).as_py()}"
