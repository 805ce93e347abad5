"""A language over time: corpora that were recorded on the way, the page of them, and what is no such thing."""

import json
import pathlib
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from heliograph.analysis.corpus import Corpus
from heliograph.analysis.corpus_checks import CorpusError
from heliograph.analysis.recording import record, write_recording
from heliograph.analysis.timelapse import corpora_at, timelapse_of
from heliograph.cli import main
from heliograph.reports.timelapse_page import write_timelapse
from tests.analysis.teams import scripted_run


def spoken(corpus: Corpus, code: dict[int, int], **metadata: Any) -> Corpus:
    """The same utterances with other symbols for the meanings 0, 1 and 2."""
    said = [[code[int(meaning[0])]] for meaning in corpus.utterances["meaning"]]
    return Corpus(utterances=corpus.utterances.assign(symbols=said), metadata={**corpus.metadata, **metadata})


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return record(scripted_run(), num_episodes=60)


@pytest.fixture
def folder(corpus: Corpus, tmp_path: pathlib.Path) -> pathlib.Path:
    """One message for all, then a code, then another code in an easier task that replaced the first."""
    codes = {0: {0: 3, 1: 3, 2: 3}, 2: {0: 0, 1: 1, 2: 2}, 10: {0: 1, 1: 0, 2: 2}}
    for iteration, code in codes.items():
        more = {"iteration": iteration, "num_env_steps": 100 * iteration, "curriculum": {"goals": 2 + iteration // 10}}
        spoken(corpus, code, **more).save(tmp_path / "corpora" / f"iteration_{iteration:06d}")
    return tmp_path


def test_words_live_and_die_and_meanings_drift(folder: pathlib.Path) -> None:
    found = timelapse_of([folder])
    assert found.iterations == [0, 2, 10] and found.roles == ["speaker"]
    assert found.rows["num_messages"].tolist() == [1, 3, 3]
    assert found.rows["born"].tolist() == [1, 3, 0] and found.rows["died"].tolist() == [0, 1, 0]
    np.testing.assert_allclose(found.rows["changed_share"].to_numpy(float), [np.nan, 1.0, 2 / 3])
    assert found.rows["mutual_information_bits"].iloc[0] == 0.0
    assert found.rows["mutual_information_bits"].iloc[1] == pytest.approx(found.rows["entropy_bits"].iloc[1])
    (dead,) = found.words[found.words["died"].notna()].itertuples()
    assert (dead.message, dead.first, dead.last, dead.died, dead.uses) == ("3", 0, 0, 2, 60)
    assert list(found.changes) == [10] and "goals 2" in found.changes[10]
    assert found.uses["number"].sum() == 180


def test_the_page_holds_every_moment_and_needs_no_network(folder: pathlib.Path, capsys: Any) -> None:
    assert main(["timelapse", str(folder)]) == 0
    page = (folder / "timelapse.html").read_text(encoding="utf8")
    assert str(folder / "timelapse.html") in capsys.readouterr().out.replace("\n", "")
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', page)
    told = json.loads(data)
    assert [moment["title"].split(",")[0] for moment in told["moments"]] == [
        "iteration 0",
        "iteration 2",
        "iteration 10",
    ]
    place = told["messages"].index("2"), told["meanings"].index("2")
    assert told["moments"][1]["shares"][place[1]][place[0]] == 1.0
    assert told["moments"][1]["died"] == ["3"] and "goals" in told["moments"][2]["changes"]
    assert not re.search(r'(src|href)="(https?:)?//', page)
    table = pd.read_csv(folder / "timelapse.csv")
    assert len(table) == 3 and table["iteration"].tolist() == [0, 2, 10]
    (folder / "timelapse.html").write_text("mine")
    assert main(["timelapse", str(folder)]) == 2
    assert "timelapse.html exists already" in capsys.readouterr().err
    assert (folder / "timelapse.html").read_text() == "mine"
    assert main(["timelapse", str(folder), "--overwrite"]) == 0
    assert (folder / "timelapse.html").read_text(encoding="utf8") == page


def test_a_strangers_words_cannot_end_the_script(corpus: Corpus, tmp_path: pathlib.Path) -> None:
    table = corpus.utterances.assign(role="</script><b>")
    metadata = {**corpus.metadata, "roles": {"</script><b>": corpus.metadata["agents"]}}
    for place in range(2):
        Corpus(utterances=table, metadata=metadata).save(tmp_path / f"moment_{place}")
    page = write_timelapse(tmp_path).read_text(encoding="utf8")
    assert "</script><b>" not in page


def test_vectors_have_one_code_for_all_moments(tmp_path: pathlib.Path) -> None:
    run = scripted_run(channel="continuous")
    for place in range(2):
        write_recording(run, tmp_path / f"moment_{place}", num_episodes=40)
    found = timelapse_of([tmp_path / "moment_0", tmp_path / "moment_1"])
    assert found.rows["num_messages"].tolist() == [3, 3] and found.rows["changed_share"].iloc[1] == 0.0


@pytest.mark.parametrize("number", [0, 1])
def test_one_corpus_has_no_time(corpus: Corpus, tmp_path: pathlib.Path, number: int) -> None:
    for place in range(number):
        corpus.save(tmp_path / "corpora" / f"iteration_{place}")
    with pytest.raises(CorpusError, match=f"holds {number} recorded corpora.*--record-every"):
        corpora_at([tmp_path])


def test_corpora_of_several_languages_are_no_moments_of_one(corpus: Corpus, tmp_path: pathlib.Path) -> None:
    corpus.save(tmp_path / "a")
    Corpus(utterances=corpus.utterances, metadata={**corpus.metadata, "vocabulary": 9}).save(tmp_path / "b")
    with pytest.raises(CorpusError, match="vocabulary=9"):
        timelapse_of([tmp_path])


def test_a_silent_team_has_no_language(tmp_path: pathlib.Path) -> None:
    for place in range(2):
        write_recording(scripted_run(channel="none"), tmp_path / f"m{place}", num_episodes=5)
    with pytest.raises(CorpusError, match="nobody ever says anything"):
        timelapse_of([tmp_path])
