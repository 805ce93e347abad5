"""A corpus: one row for each utterance, with who said it to whom, what the sender knew, and what followed.

A folder of open formats, without pickle: `utterances.parquet`, `corpus.jsonl` (one integer array a line, discrete
channels only) and `metadata.json`.
"""

import contextlib
import dataclasses
import functools
import pathlib
import platform
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Float, Int, Num

import heliograph
from heliograph.analysis.corpus_checks import CorpusError, check_metadata, check_rows, check_size
from heliograph.analysis.utterance_columns import SCHEMA, frame_of, lines_of, texts_of
from heliograph.analysis.utterances import groups_of_slots, table_of
from heliograph.analysis.vector_codes import codes_within
from heliograph.channels.spelling import END_OF_WORD
from heliograph.experiments.choices import EnvFacts
from heliograph.experiments.older_defaults import FORMAT_VERSION, FORMATS, brought_up
from heliograph.memory import at_most
from heliograph.moved import moved_name
from heliograph.rollouts.rollout import Rollout
from heliograph.storage.atomic import whole_folder
from heliograph.storage.run_folder import write_json
from heliograph.storage.safe_files import RunFolderError, check_out, file_digest, read_json
from heliograph.team.team import Team
from heliograph.texts import cut, one_line

UTTERANCES, SYMBOLS, METADATA = "utterances.parquet", "corpus.jsonl", "metadata.json"
LATER = ("action", "read", "attention", "gate", "message")
"""Columns that corpora of earlier versions lack; they are read as nulls, `message` is made anew."""
CHECKSUM = "utterances_sha256"
SPARE_BYTES = 500_000_000
BLOCK = 20_000
"""About so many utterances are made into rows at the same time."""
DICTIONARIES = ["sender", "role", "hearers.list.element"]
"""Columns of few different values: looking for those of others takes longer than writing them."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Corpus:
    """`utterances`, a table with one row for each utterance (columns: `SCHEMA`; docs/analysis.md), and `metadata`."""

    utterances: pd.DataFrame
    metadata: dict[str, Any]

    def __len__(self) -> int:
        return len(self.utterances)

    @property
    def discrete(self) -> bool:
        """True if messages are symbols (else vectors)."""
        return self.metadata["vocabulary"] is not None

    @property
    def eos(self) -> int | None:
        """The symbol that ends words, which rows do not hold themselves; None where all are of one length."""
        return self.metadata.get("eos")

    def messages(self) -> Num[np.ndarray, "n D"]:
        """Return what was said: symbols as whole numbers, or vectors; words that ended hold `eos` from there on."""
        column = self.utterances["symbols" if self.discrete else "vector"]
        if self.eos is not None:
            longest = self.metadata["length"]
            column = pd.Series([[*word, *[self.eos] * (longest - len(word))] for word in column], dtype=object)
        return _matrix(column, dtype=np.int64 if self.discrete else np.float64)

    def codes(self) -> Int[np.ndarray, "n D"]:
        """The same as whole numbers in either case: symbols, or a code for each vector (see `vector_codes`).

        Vectors are told apart within groups (`groups`), and so are those that pass a gate, whose symbols say only that
        they do. Mutual information of codes is a lower bound of that of the vectors.
        """
        return self._codes

    @functools.cached_property
    def _codes(self) -> Int[np.ndarray, "n D"]:
        vectors = self.vectors()
        return self.messages() if vectors is None else codes_within(vectors, self.groups())[:, None]

    def contents(self) -> Num[np.ndarray, "n D"]:
        """Return what was said, behind a gate too: vectors, or symbols as whole numbers."""
        vectors = self.vectors()
        return self.messages() if vectors is None else vectors

    def vectors(self) -> Float[np.ndarray, "n D"] | None:
        """Return what was said where it is vectors, behind a gate too; None where it is symbols."""
        return self._vectors

    @functools.cached_property
    def _vectors(self) -> Float[np.ndarray, "n D"] | None:
        column = self.utterances["vector"]
        return _matrix(column, dtype=np.float64) if len(column) and column.notna().all() else None

    def meanings(self) -> Int[np.ndarray, "n Z"]:
        """Return what each sender privately knew when it spoke."""
        return _matrix(self.utterances["meaning"], dtype=np.int64)

    def groups(self) -> Int[np.ndarray, " n"]:
        """An integer for the sender's role and policy and the round: each may have a code of its own."""
        policies = self._policies()
        policy = self.utterances["sender"].map(lambda sender: policies.get(sender, ""))
        keys = [self.utterances["role"], policy, self.utterances["round"]]
        return self.utterances.groupby(keys, sort=True).ngroup().to_numpy(dtype=np.int64)

    def _policies(self) -> dict[str, str]:
        """The policy of each agent, where that is recorded."""
        known = self.metadata.get("policies")
        agents = zip(self.metadata["agents"], known, strict=False) if isinstance(known, list) else ()
        return {str(agent): str(policy) for agent, policy in agents}

    def of_role(self, role: str) -> "Corpus":
        """The utterances of one role."""
        return self.where(self.utterances["role"] == role)

    def where(self, keep: Any) -> "Corpus":
        """The utterances that a mask or an index keeps."""
        chosen = self.utterances.loc[keep].reset_index(drop=True)
        return dataclasses.replace(self, utterances=chosen)

    def save(self, folder: str | pathlib.Path) -> pathlib.Path:
        """Write the folder (the formats are those of the module's docstring) and return its path.

        A corpus that is there is replaced as a whole; raises `CorpusError` where the folder holds anything else.
        """
        folder = pathlib.Path(folder)
        check_place(folder)
        table = pa.Table.from_pandas(
            with_texts(self.utterances, discrete=self.discrete), schema=SCHEMA, preserve_index=False
        )
        with writing_corpus(folder, metadata=self.metadata) as write:
            write(table.drop_columns("message"))
        return folder


def check_place(folder: pathlib.Path, *, overwrite: bool = True) -> None:
    """Refuse a place where no corpus can be written, or where anything else than a corpus would be replaced.

    Without `overwrite` a corpus is not to be replaced either.
    """
    if folder.is_symlink():
        raise CorpusError(f"{folder} is a link, which is not followed: name the folder itself, or another")
    for place in (folder, folder.absolute().parent):  # beside it its draft is written
        check_out(place)
    if folder.is_dir():
        others = sorted({path.name for path in folder.iterdir()} - {UTTERANCES, SYMBOLS, METADATA})
        if others:
            raise CorpusError(f"{folder} holds {cut(others[0])}: choose a folder that is new, or holds a corpus")
        if not overwrite and any(folder.iterdir()):
            told = "choose another folder, or say so (overwrite=True, --overwrite)"
            raise CorpusError(f"{folder} holds a corpus already: {told}")


@contextlib.contextmanager
def writing_corpus(folder: pathlib.Path, *, metadata: dict[str, Any]) -> Iterator[Callable[[pa.Table], None]]:
    """Write a corpus table by table, each with the columns of `SCHEMA` but `message`, into a folder of its own.

    Metadata that is added while tables are written is written too, last; so are the numbers of episodes and utterances.
    """
    discrete, number = metadata["vocabulary"] is not None, 0
    with whole_folder(folder) as draft, contextlib.ExitStack() as files:
        rows = files.enter_context(
            pq.ParquetWriter(
                draft / UTTERANCES,
                SCHEMA,
                use_dictionary=DICTIONARIES,
                use_byte_stream_split=["vector.list.element"],
                compression="zstd",
                write_statistics=False,
            )
        )
        words = files.enter_context((draft / SYMBOLS).open("w", encoding="utf8")) if discrete else None

        def write(table: pa.Table) -> None:
            nonlocal number
            number += table.num_rows
            said = table["symbols" if discrete else "vector"]
            rows.write_table(table.append_column(SCHEMA.field("message"), texts_of(said)).select(SCHEMA.names))
            if words is not None:
                words.write(lines_of(said))

        yield write
        files.close()
        about = {**metadata, "num_utterances": number, CHECKSUM: file_digest(draft / UTTERANCES)}
        write_json(draft / METADATA, about)


def from_rollouts(
    team: Team, facts: EnvFacts, rollouts: list[Rollout], *, metadata: Mapping[str, Any] | None = None,
    with_attention: bool = True,
) -> Corpus:  # fmt: skip
    """The corpus of whole episodes, as `heliograph.rollouts.sampler.play` returns them; `metadata` is added to its own.

    The team must be the one that played them, with the same weights, for its attention to be right.
    """
    blocks = tables_of(team, facts, rollouts, with_attention=with_attention)
    table = pa.concat_tables([SCHEMA.empty_table().drop_columns("message"), *blocks])
    about = metadata_of(team, facts, rollouts)
    said = texts_of(table["symbols" if about["vocabulary"] is not None else "vector"])
    utterances = frame_of(table).assign(message=pd.Series(said.to_pylist(), dtype=object))
    about |= {"num_utterances": len(utterances), **(metadata or {})}
    return Corpus(utterances=utterances[SCHEMA.names], metadata=about)


def tables_of(
    team: Team, facts: EnvFacts, rollouts: list[Rollout], *, with_attention: bool = True
) -> Iterator[pa.Table]:
    """The rows of whole episodes as Arrow tables, some episodes at a time."""
    first = 0
    for rollout in rollouts:
        size = max(1, BLOCK // max(1, rollout.num_steps * rollout.speaking.shape[-1] * max(1, len(rollout.messages))))
        for part in rollout.chunks(size):
            yield table_of(team, facts, part, first_episode=first, with_attention=with_attention)
            first += part.num_envs


def metadata_of(team: Team, facts: EnvFacts, rollouts: list[Rollout]) -> dict[str, Any]:
    """Return what a corpus tells of its team and its episodes, but for the number of utterances."""
    fixed = all(rollout.assignment is None for rollout in rollouts)
    return {
        "format_version": FORMAT_VERSION,
        "vocabulary": team.channel.vocabulary,
        "length": team.channel.length,
        "eos": END_OF_WORD if team.channel.ends_words else None,
        "agents": list(facts.agents),
        "roles": {role.name: list(role.agents) for role in facts.roles},
        "policies": [policy for _, policy in groups_of_slots(team)] if fixed else None,
        "num_episodes": sum(rollout.num_envs for rollout in rollouts),
        "num_utterances": 0,
        "versions": writer_versions(),
    }


def with_texts(utterances: pd.DataFrame, *, discrete: bool) -> pd.DataFrame:
    """Rows with a column `message`, what was said as a text, by which rows can be grouped: "2 0 1", or "0.25 -1.00".

    Of a vector the first numbers, with two decimals; whatever such a column held before is made anew.
    """
    name = "symbols" if discrete else "vector"
    said = texts_of(pa.array(utterances[name].tolist(), SCHEMA.field(name).type))
    return utterances.assign(message=pd.Series(said.to_pylist(), utterances.index, dtype=object))


def writer_versions() -> dict[str, str]:
    """Versions of what wrote a file: Heliograph, Python, torch."""
    return {"heliograph": heliograph.__version__, "python": platform.python_version(), "torch": torch.__version__}


def load_corpus(folder: str | pathlib.Path) -> Corpus:
    """Read a corpus; raises `CorpusError` where the folder does not hold one."""
    folder = pathlib.Path(folder)
    metadata, path = _read_metadata(folder), folder / UTTERANCES
    if not path.is_file():
        raise CorpusError(f"{folder} is no corpus: it has no {UTTERANCES}")
    if metadata.get(CHECKSUM) not in (None, file_digest(path)):
        raise CorpusError(f"{path} is damaged: its content does not fit the checksum in {METADATA}")
    try:
        with pq.ParquetFile(path) as file:
            needed = check_size(path, file, num_rows=metadata["num_utterances"])
            with at_most(needed + SPARE_BYTES):  # a header may lie, and a short text stand for a long one
                table = _checked(path, file.read())
                check_rows(path, table, metadata)
                said = texts_of(table["symbols" if metadata["vocabulary"] is not None else "vector"])
                told = table.to_pandas().assign(message=pd.Series(said.to_pylist(), dtype=object))
                return Corpus(utterances=told, metadata=metadata)
    except CorpusError:
        raise
    except Exception as error:  # whatever the parser makes of a stranger's bytes
        raise CorpusError(f"{path} cannot be read: {one_line(error)}") from error


def _read_metadata(folder: pathlib.Path) -> dict[str, Any]:
    path = folder / METADATA
    if not path.exists():
        raise CorpusError(f"{folder} is no corpus: it has no {METADATA}")
    try:
        metadata = read_json(path)
    except RunFolderError as error:
        raise CorpusError(str(error)) from error
    version = metadata.get("format_version") if isinstance(metadata, dict) else None
    if version not in FORMATS:
        told = " and ".join(map(str, FORMATS))
        raise CorpusError(f"{path} has format_version {cut(repr(version))}: this Heliograph reads {told}")
    check_metadata(path, metadata)
    return brought_up(metadata, version=version)


def _checked(path: pathlib.Path, table: pa.Table) -> pa.Table:
    for field in SCHEMA:
        if field.name not in table.column_names and field.name in LATER:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
        if field.name not in table.column_names:
            raise CorpusError(f"{path} has no column {field.name!r}")
        found = table.schema.field(field.name).type
        try:
            table.column(field.name).cast(field.type)
        except pa.ArrowException as error:
            raise CorpusError(f"{path}: column {field.name!r} is {found}, must be {field.type}: {error}") from error
    return table.select(SCHEMA.names).cast(SCHEMA).replace_schema_metadata(None)


def _matrix(column: pd.Series, *, dtype: Any) -> np.ndarray:
    return np.array(column.tolist(), dtype=dtype).reshape(len(column), -1)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        return moved_name(__name__, name)
