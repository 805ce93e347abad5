"""Pictures of a language: each gives the numbers that it shows, and what a corpus does not hold is left out."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from heliograph.analysis.corpus import Corpus
from heliograph.analysis.crossplay import CrossPlayTable
from heliograph.analysis.recording import record
from heliograph.reports import pictures, plots
from tests.analysis.teams import scripted_run

GRID = [(a, b) for a in range(3) for b in range(3)]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """A code by place: what is said are the two attributes, which the hearer's action names."""
    found = record(scripted_run(), num_episodes=45)
    meant = [list(GRID[place % 9]) for place in range(45)]
    table = found.utterances.assign(
        meaning=meant, symbols=[[a, b] for a, b in meant], actions=[[[float(a)]] for a, _ in meant]
    )
    return Corpus(utterances=table, metadata={**found.metadata, "length": 2})


def test_a_corpus_has_the_pictures_that_it_holds_enough_for(corpus: Corpus) -> None:
    found = pictures.pictures_of(corpus)
    assert list(found) == [
        "heat_map", "message_frequencies", "meaning_map", "rank_frequencies", "position_attributes", "distance_map",
        "action_map", "tsne", "pca",
    ]  # fmt: skip
    assert all(len(picture.table) and picture.axes in picture.figure.axes for picture in found.values())
    np.testing.assert_allclose(found["position_attributes"].table["bits"], [np.log2(3), 0, 0, np.log2(3)], atol=1e-9)
    apart = found["distance_map"].table
    assert (apart.loc[apart["message_distance"] == apart["meaning_distance"], "share"] == 1.0).all()
    shares = found["action_map"].table
    assert shares.loc[shares["message"].str[0].astype(int) == shares["action"], "probability"].eq(1.0).all()
    assert found["meaning_map"].table.groupby("message")["probability"].sum().eq(1.0).all()
    assert found["rank_frequencies"].table["count"].tolist() == [5] * 9


def test_what_is_missing_is_left_out(corpus: Corpus) -> None:
    same = corpus.where([meaning == [0, 0] for meaning in corpus.utterances["meaning"]])
    nothing = same.utterances.assign(actions=[[None]] * len(same))
    found = pictures.pictures_of(Corpus(utterances=nothing, metadata=same.metadata))
    assert not {"distance_map", "action_map"} & found.keys()
    assert pictures.pictures_of(corpus.where([False] * len(corpus))) == {}


def test_pictures_of_tables() -> None:
    drawn = pictures.lengths_by_frequency(["a", "a", "a", "bb", "bb", "ccc"])
    assert drawn.table.to_dict("list") == {"length": [1, 2, 3], "count": [3, 2, 1]}
    rows = [{"messages": "as-sent", "difference_mean": 0.0}, {"messages": "noise", "difference_mean": -1.0}]
    assert pictures.intervention_effects(rows).table["messages"].tolist() == ["noise"]
    scores = np.array([[1.0, 0.2], [0.6, 0.8]])
    table = CrossPlayTable(
        names=("one", "other"), exchanged=("listener",), returns=scores, standard_errors=0 * scores, success_rates=None,
        families=(), bridges=(), num_episodes=10,
    )  # fmt: skip
    drawn = pictures.cross_play_map(table)
    assert drawn.table["episode_return_mean"].tolist() == [1.0, 0.2, 0.6, 0.8]
    assert "0.20" in [text.get_text() for text in drawn.axes.texts]
    speed = pd.DataFrame({"num_env_steps": [1, 2], "env_steps_per_second": [10.0, 20.0]})
    assert pictures.speed_curve(speed).table["env_steps_per_second"].tolist() == [10.0, 20.0]
    one = {"role": "a", "measure": "posdis", "value": 0.5, "chance": 0.1, "low": 0.4, "high": 0.6, "unit": ""}
    bits = {**one, "measure": "entropy", "unit": "bits"}
    assert pictures.measure_dots(pd.DataFrame([one, bits])).table["measure"].tolist() == ["posdis"]


@pytest.mark.parametrize("spread", [0.0, 1e-12])
def test_tsne_never_gets_points_that_are_nearly_one(spread: float, monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn import manifold

    class StandIn:
        """Ends as the outside one may on such points, in a way that a test survives."""

        def __init__(self, **settings: Any):
            pass

        def fit_transform(self, points: np.ndarray) -> np.ndarray:
            if np.ptp(points, axis=0).max() < 1e-6 * np.abs(points).max():
                raise SystemExit("the process would be gone")
            return points[:, :2]

    monkeypatch.setattr(manifold, "TSNE", StandIn)
    points = 1.0 + spread * np.random.default_rng(0).standard_normal((40, 5))
    assert plots._project(points, method="tsne", seed=0).shape == (40, 2)
    usual = np.random.default_rng(0).standard_normal((40, 5))
    assert plots._project(usual, method="tsne", seed=0).shape == (40, 2)
