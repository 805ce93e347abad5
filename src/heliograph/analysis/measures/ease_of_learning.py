"""How fast a fresh partner learns a frozen language."""

import dataclasses
from typing import Any

import numpy as np

from heliograph.analysis.measures.measure import AppliesTo, Better, Measure
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["MEASURE", "EaseOfLearning", "ease_of_learning"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EaseOfLearning:
    """`area` under the curve over its range of steps, in units of accuracy; `total`, the sum over epochs (EGG).

    Only areas over the same range of steps compare; totals only of the same number of epochs.
    """

    area: float
    total: float


def ease_of_learning(accuracy: Any, *, steps: Any = None, num_epochs: int | None = None) -> EaseOfLearning:
    """The area under the accuracy of a fresh listener (or speaker) of a frozen partner (Li & Bowling 2019).

    `accuracy` has one value for each epoch, or for each of `steps`, which increase (env steps, say); the area is by
    trapezoids, divided by the range of steps. With `num_epochs` a curve that stopped early goes on with 1, as EGG fills
    it: right only where it stopped because it was perfect. The area of a single value is undefined. Raises ValueError
    for values that are not finite, and steps that do not increase.
    """
    values = np.asarray(accuracy, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"accuracy has shape {values.shape}: must be a row of finite numbers")
    if num_epochs is not None:
        if steps is not None or num_epochs < len(values):
            raise ValueError(f"num_epochs={num_epochs}: must be {len(values)} or more, without steps")
        values = np.concatenate([values, np.ones(num_epochs - len(values))])
    at = np.arange(len(values), dtype=np.float64) if steps is None else np.asarray(steps, dtype=np.float64)
    if at.shape != values.shape or not (np.diff(at) > 0).all():
        raise ValueError("steps must increase, one for each accuracy")
    if len(values) == 1:
        return EaseOfLearning(area=Undefined("one value has no area"), total=float(values[0]))
    area = float(np.trapezoid(values, at) / (at[-1] - at[0]))
    return EaseOfLearning(area=area, total=float(values.sum()))


MEASURE = Measure(
    name="ease_of_learning", function=ease_of_learning, better=Better.HIGHER, applies_to=AppliesTo.BOTH,
    source="Li & Bowling 2019; Chaabouni et al. 2022", example=lambda: {"accuracy": [0.0, 0.5, 1.0]}, listed=False,
)  # fmt: skip
