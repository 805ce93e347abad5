"""Runs as tables of pandas, and messages as texts."""

import json
import pathlib

import pandas as pd
import pytest

from heliograph.analysis.corpus import Corpus, load_corpus, with_texts
from heliograph.analysis.recording import record
from heliograph.experiments.choices import EnvChoice, TeamChoices
from heliograph.experiments.settings import settings_from
from heliograph.reports.run_tables import curves, results
from heliograph.storage.run_folder import PROGRESS, SUMMARY, RunFolderError, read_run, write_config

TEAMS = {"team_returns_mean": {"red": 1.0, "blue": -1.0}, "versions": {"torch": "2"}, "notes": [1]}


def written(folder: pathlib.Path, *, seed: int, lr: float | None = None, finished: bool = True) -> None:
    own = {} if lr is None else {"lr": lr}
    settings = settings_from({"seed": seed, "algorithm_settings": own})
    write_config(folder, env=EnvChoice(env="speaker_listener"), choices=TeamChoices(), training=settings, seed=seed)
    (folder / PROGRESS).write_text(f"iteration,num_env_steps,seconds\n1,64,0.5\n2,128,{seed}\n")
    if finished:
        summary = {"episode_return_mean": 0.5 + seed, "diagnosis": "used", "seed": seed, **TEAMS}
        (folder / SUMMARY).write_text(json.dumps(summary))


@pytest.fixture
def runs(tmp_path: pathlib.Path) -> pathlib.Path:
    written(tmp_path / "a" / "seed_0", seed=0)
    written(tmp_path / "a" / "seed_1", seed=1, lr=0.01)
    written(tmp_path / "b", seed=2, finished=False)
    return tmp_path


def test_a_row_a_run(runs: pathlib.Path) -> None:
    found = results(runs)
    assert found["run"].tolist() == [str(runs / "a/seed_0"), str(runs / "a/seed_1"), str(runs / "b")]
    assert found["seed"].tolist() == [0, 1, 2] and found["finished"].tolist() == [True, True, False]
    assert found["training.lr"].fillna(0).tolist() == [0, 0.01, 0] and found["channel"].tolist() == ["dru"] * 3
    assert found["episode_return_mean"].tolist()[:2] == [0.5, 1.5] and found["episode_return_mean"].isna()[2]
    assert found["team_returns_mean.red"].tolist()[:2] == [1.0, 1.0]
    assert not {"notes", "versions.torch"} & set(found.columns)
    assert results(runs / "a")["run"].tolist() == found["run"].tolist()[:2]


def test_a_row_an_iteration(runs: pathlib.Path) -> None:
    found = curves(runs / "a", runs / "b")
    assert len(found) == 6 and found["iteration"].tolist() == [1, 2] * 3
    assert found.groupby("run")["num_env_steps"].max().tolist() == [128] * 3
    assert found.loc[found["iteration"] == 2, "seconds"].tolist() == [0, 1, 2]


def test_what_is_no_run_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(RunFolderError, match="holds no run"):
        results(tmp_path)
    with pytest.raises(ValueError, match="name run folders"):
        curves()
    with pytest.raises(RunFolderError, match="team file"):
        results("recipe:dial_switch3")


def test_messages_are_texts_to_group_by(tmp_path: pathlib.Path) -> None:
    corpus = record(read_run("recipe:speaker_listener_symbols"), num_episodes=20, out=tmp_path / "corpus")
    assert corpus.utterances["message"].tolist() == [str(word[0]) for word in corpus.utterances["symbols"]]
    assert pd.crosstab(corpus.utterances["message"], corpus.utterances["role"]).to_numpy().sum() == 20
    lie = Corpus(utterances=corpus.utterances.assign(message="x"), metadata=corpus.metadata)
    assert load_corpus(lie.save(tmp_path / "other")).utterances["message"].equals(corpus.utterances["message"])
    vectors = pd.DataFrame({"vector": [[0.25, -1.0], [0.0] * 9, None]})
    assert with_texts(vectors, discrete=False)["message"].tolist() == [
        "0.25 -1.00",
        " ".join(["0.00"] * 8 + ["..."]),
        None,
    ]
