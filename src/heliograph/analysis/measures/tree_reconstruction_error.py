"""How far messages are from being sums of parts, one for each value of an attribute."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float

from heliograph.analysis.measures.base import check_convention
from heliograph.analysis.measures.cross_tables import concept_tables
from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import Better, Chance, Measure

__all__ = ["MEASURE", "tree_reconstruction_error"]

CONVENTIONS = {"mean": "over utterances", "korbak": "summed over utterances, as published code does"}
SMALL = 1e-9
"""Errors, as a share of the squared length of messages, that are none."""
SHORT = 1e-12
"""Squared directions that are shorter than so much of the longest are none."""


def tree_reconstruction_error(
    messages: Any, attributes: Any, *, convention: str = "mean", given: Any = None, eos: Any = None,
    unique: bool = False,
) -> float:  # fmt: skip
    """The squared distance of messages from the best sum of a free vector for each value of each attribute.

    Tree reconstruction error (Andreas 2019), additive, with exact least squares: messages are one-hot, place by place
    (the end of a shorter one counts as a symbol), distances squared L2, the mean over utterances; 0 is compositional.
    Other compositions, distances and optimisers have other scales, and a floor above 0. "korbak" sums over utterances.
    Raises ValueError where there is no message, or not one meaning for each.
    """
    check_convention(convention, CONVENTIONS)
    said = language_of(messages, attributes=attributes, given=given, eos=eos, unique=unique)
    return mean_within(lambda part: _error(part, convention=convention), said)


def _error(said: Language, *, convention: str = "mean") -> float:
    """The squared length of messages less that of their projection on what concepts of meanings can explain."""
    explained, places = 0.0, list(said.words.columns() + 1)
    if places and said.of_meanings.shape[1]:
        if "basis" not in said.apart:  # the same in every order of meanings
            said.apart["basis"] = _basis(said)
        explained = float(((np.concatenate(concept_tables(places, said)) @ said.apart["basis"]) ** 2).sum())
    total = float(said.times.sum())
    error = max(0.0, total * len(said.words.columns()) - explained)
    error = 0.0 if error < SMALL * total else error
    return error if convention == "korbak" else error / total


def _basis(said: Language) -> Float[np.ndarray, "C r"]:
    """Columns that make counts beside concepts into coordinates in the space that concepts span."""
    counts = np.concatenate(concept_tables(list(said.attributes.T), said))
    lengths, directions = np.linalg.eigh(counts)
    some = lengths > SHORT * max(float(lengths.max(initial=0.0)), SMALL)
    return directions[:, some] / np.sqrt(lengths[some])


MEASURE = Measure(
    name="tree_reconstruction_error", function=tree_reconstruction_error, range=(0.0, math.inf),
    better=Better.LOWER, chance=Chance.SHUFFLED_MEANINGS, source="Andreas 2019", resampling=resampled_by(_error),
    most_rows=20_000,
)  # fmt: skip
