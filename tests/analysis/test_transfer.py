"""Words for XferBench: what is written, what is said about what the tool would refuse, and the end of words."""

import json

import pytest

from heliograph.analysis.evaluate import record
from heliograph.analysis.transfer import export_words, notes_on
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
    assert main([*told, "300"]) == 0
    assert "notes" not in json.loads(capsys.readouterr().out)
