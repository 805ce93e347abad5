"""Whether a simple classifier can read meanings out of messages, and no arbitrary labels."""

import dataclasses
import warnings
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from heliograph.analysis.measures.base import ids_of, numbers_of
from heliograph.analysis.measures.measure import AppliesTo, Better, Measure
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["MEASURE", "ProbeSelectivity", "probe_selectivity"]

MAX_ITERATIONS = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeSelectivity:
    """`selectivity` is `accuracy` less `control`: held-out shares of right answers, and the same of shuffled labels.

    `majority` is the share of the most frequent meaning. The others are undefined where no two meanings occur twice.
    """

    selectivity: float
    accuracy: float
    control: float
    majority: float


def probe_selectivity(messages: Any, meanings: Any, *, num_folds: int = 5, seed: int = 0) -> ProbeSelectivity:
    """A linear probe's held-out accuracy, less that with shuffled labels (Hewitt & Liang 2019).

    Logistic regression (lbfgs, L2 with C = 1, at most 1,000 iterations) on features that are standardised on the rows
    that it learns from: the symbol at each place, one-hot, or the numbers of a vector. Stratified folds, shuffled by
    `seed`, at most as many as the rarest meaning has rows; those that occur once are left out. A linear probe cannot
    read a meaning that lies in the order of equal symbols only. Raises ValueError where there is no message, or not one
    meaning for each.
    """
    rows, meant = numbers_of(messages), ids_of(meanings, what="meanings")
    if len(rows) != len(meant):
        raise ValueError(f"{len(rows)} messages and {len(meant)} meanings: there must be one meaning for each")
    counts = np.bincount(meant)
    keep = counts[meant] > 1
    majority = float(counts.max() / len(meant))
    if len(np.unique(meant[keep])) < 2 or num_folds < 2:
        nothing = Undefined("a probe needs two meanings that occur twice, and two folds")
        return ProbeSelectivity(accuracy=nothing, control=nothing, selectivity=nothing, majority=majority)
    features, labels = _features(rows)[keep], meant[keep]
    folds = min(num_folds, int(np.bincount(labels)[np.unique(labels)].min()))
    accuracy = _accuracy(features, labels, num_folds=folds, seed=seed)
    shuffled = np.random.default_rng(seed).permutation(labels)
    control = _accuracy(features, shuffled, num_folds=folds, seed=seed)
    return ProbeSelectivity(accuracy=accuracy, control=control, selectivity=accuracy - control, majority=majority)


def _features(rows: np.ndarray) -> Float[np.ndarray, "n D"]:
    if rows.dtype.kind != "i":
        return rows
    parts = [np.eye(int(i.max()) + 1)[i] for i in (np.unique(column, return_inverse=True)[1] for column in rows.T)]
    return np.concatenate(parts, 1)


def _accuracy(features: Float[np.ndarray, "n D"], labels: Int[np.ndarray, " n"], *, num_folds: int, seed: int) -> float:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MAX_ITERATIONS))
    folds = StratifiedKFold(n_splits=num_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return float(np.mean(cross_val_score(probe, features, labels, cv=folds)))


MEASURE = Measure(
    name="probe_selectivity", function=probe_selectivity, range=(-1.0, 1.0), better=Better.HIGHER,
    applies_to=AppliesTo.BOTH, source="Hewitt & Liang 2019", listed=False,
)  # fmt: skip
