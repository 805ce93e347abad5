"""Corpora for other tools: what is written is read back, byte for byte, and what they would refuse is said so."""

import json

import numpy as np
import pandas as pd
import pytest

from heliograph.analysis.corpus import Corpus
from heliograph.analysis.recording import record
from heliograph.analysis.transfer import (
    MEANINGS_FILE,
    MESSAGES_FILE,
    export_arrays,
    export_pairs,
    export_words,
    notes_on,
)
from heliograph.cli import main
from tests.analysis.teams import scripted_run


def test_too_few_tokens_are_said_so_at_export(tmp_path) -> None:
    corpus = record(scripted_run(), num_episodes=100)
    found = export_words(corpus, tmp_path / "words.jsonl")
    assert (found.num_words, found.num_tokens) == (100, 100)
    assert found.notes == ("100 tokens: XferBench fails with fewer than 256; record more episodes",)
    assert [json.loads(line) for line in found.path.read_text().splitlines()] == corpus.messages().tolist()
    assert notes_on(record(scripted_run(), num_episodes=256)) == []


def test_words_end_where_that_is_asked_for(tmp_path) -> None:
    corpus = record(scripted_run(), num_episodes=128)
    found = export_words(corpus, tmp_path / "words.jsonl", eos=4)
    assert (found.num_tokens, found.notes) == (256, ())
    assert {tuple(json.loads(line)[1:]) for line in found.path.read_text().splitlines()} == {(4,)}


@pytest.mark.parametrize("eos", [0, 3, -1, 30_000, True])
def test_an_end_that_is_a_symbol_is_refused(eos, tmp_path) -> None:
    with pytest.raises(ValueError, match=r"eos=.*: must be a whole number from 4"):
        export_words(record(scripted_run(), num_episodes=5), tmp_path / "words.jsonl", eos=eos)
    assert not list(tmp_path.iterdir())


def test_vectors_have_no_words(tmp_path) -> None:
    corpus = record(scripted_run("tests.analysis.test_information:in_a_vector", channel="continuous"), num_episodes=5)
    with pytest.raises(ValueError, match="messages are vectors"):
        export_words(corpus, tmp_path / "words.jsonl")
    assert notes_on(corpus) == []


def test_record_says_so_too(tmp_path, capsys) -> None:
    scripted_run(folder=tmp_path / "run")
    told = ["record", str(tmp_path / "run"), "--out", str(tmp_path / "corpus"), "--trust", "--json", "--episodes"]
    assert main([*told, "100"]) == 0
    assert "XferBench fails" in json.loads(capsys.readouterr().out)["notes"][0]
    assert main([*told, "300", "--overwrite"]) == 0
    assert "notes" not in json.loads(capsys.readouterr().out)


SAID = [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2], [1, 2], [0, 0]]
MEANT = [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2], [1, 1], [0, 0]]


def corpus_of(said: list, meant: list) -> Corpus:
    table = pd.DataFrame({"symbols": said, "vector": [None] * len(said), "meaning": meant})
    return Corpus(utterances=table, metadata={"vocabulary": 3, "length": 2})


def test_words_are_written_byte_for_byte(tmp_path) -> None:
    found = export_words(corpus_of(SAID, MEANT), tmp_path / "words.jsonl")
    lines = b"[0, 0]\n[0, 1]\n[0, 2]\n[1, 0]\n[1, 1]\n[1, 2]\n[1, 2]\n[0, 0]\n"
    assert found.path.read_bytes() == lines
    assert (found.num_words, found.num_tokens) == (8, 16)


def test_pairs_are_read_back_line_by_line(tmp_path) -> None:
    path = export_pairs(corpus_of([[0, 2], [1]], [[2, 0], [-1, 1]]), tmp_path / "pairs.jsonl")
    assert path.read_bytes() == b'[[0, 2], ["a0=2", "a1=0"]]\n[[1], ["a1=1"]]\n'
    pairs = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(len(pair) == 2 and all(isinstance(part, list) for part in pair) for pair in pairs)


def test_arrays_are_read_back_without_pickle(tmp_path) -> None:
    folder = export_arrays(corpus_of([[0, 2], [1]], [[2, 0], [1, 1]]), tmp_path / "arrays")
    messages, meanings = (np.load(folder / name, allow_pickle=False) for name in (MESSAGES_FILE, MEANINGS_FILE))
    assert messages.tolist() == [[0, 2], [1, 3]] and meanings.tolist() == [[2, 0], [1, 1]]
    assert messages.dtype == meanings.dtype == np.int64
    again = export_arrays(corpus_of(SAID, MEANT), folder)
    assert np.load(again / MESSAGES_FILE).tolist() == SAID
    assert sorted(path.name for path in again.iterdir()) == [MESSAGES_FILE, MEANINGS_FILE]
    with pytest.raises(ValueError, match="pad=2: is a symbol"):
        export_arrays(corpus_of(SAID, MEANT), folder, pad=2)


@pytest.mark.parametrize("export", [export_pairs, export_arrays])
def test_vectors_have_neither_pairs_nor_arrays(export, tmp_path) -> None:
    corpus = record(scripted_run("tests.analysis.test_information:in_a_vector", channel="continuous"), num_episodes=5)
    with pytest.raises(ValueError, match="messages are vectors"):
        export(corpus, tmp_path / "out")
    assert not list(tmp_path.iterdir())
