"""Plots show the numbers that they return, in an order that can be read."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from heliograph.analysis import corpus as corpora
from heliograph.analysis.measures.neighbour_purity import neighbour_purity
from heliograph.analysis.recording import record
from heliograph.protocols.labels import (
    meaning_label,
    message_label,
    message_labels,
    number,
    percent,
    shortened,
    vector_label,
    word_label,
)
from heliograph.reports import plots
from heliograph.types import Bounds
from tests.analysis.teams import collapsed, perfect_bits, scripted_run


def test_heat_map_of_a_perfect_code_is_a_diagonal() -> None:
    _, axes, tidy = plots.heat_map(record(scripted_run(), num_episodes=200))
    assert (tidy["meaning"] == tidy["message"]).tolist() == (tidy["probability"] == 1.0).tolist()
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "1", "2"]
    assert tidy.groupby("meaning")["probability"].sum().tolist() == pytest.approx([1.0] * 3)


@pytest.mark.parametrize("draw", [plots.heat_map, plots.message_frequencies])
def test_long_messages_leave_room_for_the_plot(draw, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hidden states of 128 numbers are words of 128 signs: counted whole, and shown by their beginning."""
    monkeypatch.setattr(plots, "message_labels", lambda corpus: [label + "+-" * 64 for label in message_labels(corpus)])
    figure, axes, tidy = draw(record(scripted_run(), num_episodes=200))
    figure.draw_without_rendering()
    assert set(tidy["message"]) == {f"{symbol}{'+-' * 64}" for symbol in range(3)}
    assert {tick.get_text() for tick in axes.get_xticklabels()} == {
        f"{symbol}+-+-+-+-\N{HORIZONTAL ELLIPSIS}" for symbol in range(3)
    }
    assert shortened("1001100110") == "1001100110" and axes.get_position().height > 0.3


def test_seriation_finds_a_hidden_diagonal() -> None:
    order = np.random.default_rng(0).permutation(8)
    shares = pd.DataFrame(np.eye(8)[:, order], index=[str(i) for i in range(8)], columns=[f"m{j}" for j in range(8)])
    assert np.array_equal(plots.seriated(shares.sample(frac=1, random_state=1)).to_numpy(), np.eye(8))


def test_frequencies_sum_to_one() -> None:
    _, _, tidy = plots.message_frequencies(record(scripted_run(perfect_bits, channel="dru"), num_episodes=200))
    assert set(tidy["message"]) == {"100", "010", "001"}
    assert tidy["share"].sum() == pytest.approx(1.0)
    assert tidy["share"].is_monotonic_decreasing


@pytest.mark.parametrize("method", ["tsne", "pca"])
@pytest.mark.parametrize("num_episodes", [1, 3, 40])
def test_embeddings_keep_different_messages_apart(method: str, num_episodes: int) -> None:
    _, _, tidy = plots.embedding(record(scripted_run(), num_episodes=num_episodes), method=method)
    assert len(tidy) == num_episodes
    assert np.isfinite(tidy[["x", "y"]]).all(axis=None)
    if method == "pca" and num_episodes == 40:
        centres = tidy.groupby("meaning")[["x", "y"]].mean().to_numpy()
        apart = np.linalg.norm(centres[:, None] - centres[None], axis=-1)[np.triu_indices(3, 1)]
        assert apart.min() > 5 * tidy.groupby("meaning")["x"].std().max()


def test_embedding_of_one_message_and_an_unknown_method() -> None:
    corpus = record(scripted_run(collapsed), num_episodes=30)
    assert len(plots.embedding(corpus, method="tsne")[2]) == 30
    with pytest.raises(ValueError, match="method='umap'"):
        plots.embedding(corpus, method="umap")


@pytest.mark.parametrize("blind", [-0.33, 0.9])
def test_learning_curves_of_seeds_and_bounds(blind: float) -> None:
    tables = [pd.DataFrame({"num_env_steps": [1, 2], "episode_return_mean": [x, 1.0]}) for x in (-0.3, 0.1)]
    bounds = Bounds(random=-0.35, blind=blind, full_information=1.0, source="exact")
    figure, axes, tidy = plots.learning_curves({"team": tables, "no-communication control": tables[:1]}, bounds=bounds)
    assert len(tidy) == 6
    names = [text.get_text().replace("\n", " ") for text in axes.texts]
    assert names == (["full information", "blind, random"] if blind < 0 else ["full information, blind", "random"])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["team", "no-communication control"]


def test_the_names_of_all_curves_are_on_the_picture() -> None:
    table = pd.DataFrame({"num_env_steps": [1, 2], "episode_return_mean": [0.0, 1.0]})
    figure = plots.learning_curves({name: [table] for name in plots.CURVES}, bounds=None).figure
    figure.canvas.draw()
    assert figure.legends[0].get_window_extent().x1 <= figure.bbox.x1


def test_labels() -> None:
    assert word_label([1, 0, 2], vocabulary=4) == "102"
    assert word_label([1, 11], vocabulary=12) == "1 11"
    assert (meaning_label([-1, -1]), meaning_label([2, -1])) == ("\N{EN DASH}", "2,-1")
    assert vector_label([0.5, -0.001, -1.0, 3.14159]) == "0.5 0 \N{MINUS SIGN}1 3.14"
    assert (number(-0.001), number(-0.5, sign=True), number(0.5, sign=True)) == ("0.00", "\N{MINUS SIGN}0.50", "+0.50")
    assert (percent(None), percent(0.996), percent(1.0), percent(0.5)) == ("\N{EN DASH}", "99.6 %", "100 %", "50 %")


def test_long_vectors_are_strips_of_one_scale() -> None:
    assert message_label([0.5] * 8) == " ".join(["0.5"] * 8)
    assert message_label([-9.0, *[0.5] * 8, 9.0]) == "▁▆▆▆▆▆▆▆▆█"
    assert message_label([*[-9.0] * 64, *[9.0] * 64]) == "▁" * 8 + "█" * 8
    assert message_label([0.5] * 48) == "▆" * 16


class NeverCalled:
    def __init__(self, *arguments, **settings):
        raise AssertionError("t-SNE was given data without spread")


def vectors_of(values: np.ndarray, meant: np.ndarray) -> corpora.Corpus:
    """A corpus of vectors."""
    made = record(scripted_run(), num_episodes=len(values))
    vectors = pd.Series([row.tolist() for row in values], dtype=object)
    table = made.utterances.assign(symbols=None, vector=vectors, meaning=[[int(m)] for m in meant])
    return dataclasses.replace(made, utterances=table, metadata={**made.metadata, "vocabulary": None})


@pytest.mark.parametrize("method", ["tsne", "pca"])
@pytest.mark.parametrize("scales", [(1.0, 1.0, 1.0), (1e-6, 1.0, 1e6)])
@pytest.mark.parametrize("offsets", [(0.0, 0.0, 0.0), (1e4, -3e5, 0.0)])
def test_the_picture_shows_what_the_data_hold(method: str, scales, offsets) -> None:
    """Each column in its own unit and from its own origin: neighbours in the data are neighbours in the plane."""
    rng = np.random.default_rng(0)
    meant = rng.integers(3, size=90)
    values = (np.eye(3)[meant] + 0.05 * rng.standard_normal((90, 3))) * scales + offsets
    tidy = plots.embedding(vectors_of(values, meant), method=method)[2]
    assert neighbour_purity(tidy[["x", "y"]].to_numpy(dtype=float), meant).purity > 0.95


@pytest.mark.parametrize("value", [0.0, 1e4, 0.1])
@pytest.mark.parametrize("rounded", [False, True])
def test_data_without_spread_never_reach_tsne(value: float, rounded: bool, monkeypatch) -> None:
    monkeypatch.setattr("sklearn.manifold.TSNE", NeverCalled)
    values = np.full((40, 3), value, dtype=np.float32)
    if rounded:
        values[::2] = np.nextafter(values[::2], np.float32(2 * value))
    tidy = plots.embedding(vectors_of(values.astype(float), np.arange(40) % 3), method="tsne")[2]
    assert len(tidy) == 40 and np.isfinite(tidy[["x", "y"]]).all(axis=None)


def test_equal_looking_codes_have_names_of_their_own() -> None:
    values = np.array([[0.001], [0.002], [0.003]] * 20)
    labels = message_labels(vectors_of(values, np.arange(60) % 3))
    assert labels[:4] == ["0", "0 #2", "0 #3", "0"]
