"""Files and columns that nobody would write: each gives a table, or one clear message that names file or column."""

import json
import math
import pathlib
import random
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heliograph.analysis.corpus_checks import CorpusError
from heliograph.analysis.language_files import read_language
from heliograph.analysis.measure_table import analyze
from heliograph.analysis.row_groups import sampled_rows
from heliograph.cli import main
from heliograph.registry import names

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers(0, 3), max_size=3),
)
WORDS = st.lists(st.one_of(st.integers(0, 4), st.text("ab", max_size=2)), max_size=4)
ROWS = st.one_of(
    st.lists(WORDS, max_size=8), st.lists(ODD, max_size=8), st.lists(st.lists(ODD, max_size=3), max_size=6),
    st.lists(st.floats(-1, 1).map(lambda x: [x, x]), max_size=6),
)  # fmt: skip
COLUMN = st.sampled_from(
    ["meanings", "attributes", "actions", "hearer_actions", "predicted", "episodes", "seeds", "roles", "listener",
     "message_probabilities", "action_probabilities", "silent_probabilities", "other"]
)  # fmt: skip
FEW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@FEW
@given(messages=ROWS, more=st.dictionaries(COLUMN, ROWS, max_size=3))
def test_every_measure_of_any_columns_has_a_value_or_a_reason(messages: list[Any], more: dict[str, Any]) -> None:
    try:
        table = analyze({"messages": messages, **more}, permutations=3, bootstraps=3)
    except ValueError as error:
        assert str(error)
        return
    assert set(table["measure"]) <= set(names("measure"))
    for row in table.to_dict("records"):
        reason = "" if pd.isna(row["reason"]) else row["reason"]
        assert math.isnan(row["value"]) == bool(reason), row
        assert not reason.startswith(("IndexError", "KeyError", "AttributeError", "TypeError")), row


@pytest.mark.parametrize(
    ("messages", "meanings"),
    [([[1, 2]], [0]), ([[1], [1], [1]], [0, 1, 2]), ([[1], [2], [3]], [0, 0, 0]), ([[], []], [0, 1]),
     ([[0.5, 1.0], [0.25, 2.0]], [0, 1]), ([[1], [2, 3], []], [[0, 1], [1, 1], [1, 0]])],
)  # fmt: skip
def test_next_to_nothing_is_honest_for_every_measure(messages: list[Any], meanings: list[Any]) -> None:
    columns = {
        "messages": messages, "meanings": meanings, "actions": meanings, "hearer_actions": meanings,
        "predicted": meanings,
    }  # fmt: skip
    table = analyze(columns, permutations=5, bootstraps=5)
    odd = table["reason"].fillna("").str.match(r"\w*(Error|Warning)")
    assert not odd.any(), table.loc[odd, ["measure", "reason"]].to_dict("records")
    assert (table["value"].isna() == table["reason"].notna()).all()


def whole(kind: str, folder: pathlib.Path) -> pathlib.Path:
    """A sound file of a kind."""
    path, words = folder / f"language.{kind}", [[0, 1], [1, 0], [1, 1]]
    if kind == "parquet":
        pq.write_table(pa.table({"messages": words, "meanings": words}), path)
    elif kind == "npy":
        np.save(path, np.array(words))
    elif kind == "npz":
        np.savez(path, messages=np.array(words), meanings=np.array(words))
    elif kind == "json":
        path.write_text(json.dumps({"messages": words, "meanings": words}))
    else:
        path.write_text("".join(f"{json.dumps({'message': w, 'meaning': w})}\n" for w in words))
    return path


@pytest.mark.parametrize("kind", ["parquet", "npy", "npz", "json", "jsonl"])
def test_damaged_files_are_refused_by_name_or_read(kind: str, tmp_path: pathlib.Path) -> None:
    path = whole(kind, tmp_path)
    content, source, refused = path.read_bytes(), random.Random(0), 0
    for _ in range(60):
        at, size = source.randrange(len(content)), source.randrange(1, 9)
        path.write_bytes(
            source.choice((content[:at], content[:at] + source.randbytes(size) + content[at + size :], content[at:]))
        )
        try:
            read_language(path)
        except CorpusError as error:
            refused += 1
            assert str(path) in str(error) and "\n" not in str(error)
    assert refused > 20


@pytest.mark.parametrize("row", [[0.5, "a"], [None], [[1]], {"a": 1}, None, float("nan")])
def test_symbols_that_are_none_are_named_by_row_and_column(row: Any, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "language.jsonl"
    path.write_text("\n".join(json.dumps(word) for word in ([0], [1], row)))
    with pytest.raises(CorpusError, match=r"language\.jsonl, (row 2, column messages|line 3)"):
        read_language(path)


def test_folders_that_hold_no_language(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    assert main(["analyze", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_large_files_are_drawn_from_by_seed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "many.parquet"
    pd.DataFrame({"messages": [[number] for number in range(1000)]}).to_parquet(path, row_group_size=64)
    with pq.ParquetFile(path) as file:
        some, again, other, every = (
            [word[0] for word in sampled_rows(file, columns=["messages"], at_most=n, seed=s)["messages"].to_pylist()]
            for n, s in ((50, 0), (50, 0), (50, 1), (1000, 0))
        )
    assert some == again == sorted(set(some)) and len(some) == 50 and some != other
    assert every == list(range(1000))
