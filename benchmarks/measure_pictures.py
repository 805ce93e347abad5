"""The pictures of docs/measures_*.md: made by the functions that reports use, from languages whose code is known.

python benchmarks/measure_pictures.py
"""

import pathlib

import numpy as np
import pandas as pd

from heliograph import read_run
from heliograph.analysis.corpus import Corpus
from heliograph.analysis.evaluate import interventions_table
from heliograph.analysis.recording import record
from heliograph.reports import pictures, plots

IMAGES = pathlib.Path(__file__).parent.parent / "docs" / "images"
TEAM = "recipe:speaker_listener_8_symbols"


def code_by_place(*, number: int = 600, noise: float = 0.1, seed: int = 0) -> Corpus:
    """Two symbols that say two attributes, each wrong now and then, in the shape of a recorded corpus."""
    rng = np.random.default_rng(seed)
    meant = rng.integers(5, size=(number, 2))
    said = np.where(rng.random(meant.shape) < noise, rng.integers(5, size=meant.shape), meant)
    table = pd.DataFrame(
        {"symbols": said.tolist(), "vector": None, "meaning": meant.tolist(), "role": "speaker", "round": 0,
         "sender": "speaker_0", "actions": [[[float(a)]] for a in meant[:, 0]], "attention": None, "gate": None}
    )  # fmt: skip
    about = {"vocabulary": 5, "length": 2, "agents": ["speaker_0"], "roles": {"speaker": ["speaker_0"]}}
    return Corpus(utterances=table, metadata={**about, "num_episodes": number})


def short_for_frequent(*, number: int = 2000, seed: int = 0) -> list[list[int]]:
    """Words whose length grows with the logarithm of their rank, said by Zipf's law."""
    rng = np.random.default_rng(seed)
    ranks = rng.zipf(2.0, size=number)
    return [[int(digit) for digit in np.base_repr(rank)] for rank in ranks[ranks < 500]]


def main() -> None:
    """Draw one picture a page."""
    corpus, run = code_by_place(), read_run(TEAM)
    spoken = record(run, num_episodes=300)
    made = {
        "measures_information": plots.heat_map(spoken),
        "measures_structure": pictures.distance_map(corpus),
        "measures_form": pictures.lengths_by_frequency(short_for_frequent()),
        "measures_hearers": pictures.intervention_effects(interventions_table(run, num_episodes=300)),
        "measures_representations": plots.embedding(corpus, method="pca"),
    }
    for name, picture in made.items():
        assert picture is not None
        picture.figure.savefig(IMAGES / f"{name}.svg", metadata={"Date": None}, facecolor="white")


if __name__ == "__main__":
    main()
