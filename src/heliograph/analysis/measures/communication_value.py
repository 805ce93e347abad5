"""What talking is worth, from nothing to as much as knowing everything."""

from heliograph.analysis.measures.measure import AppliesTo, Better, Measure
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["MEASURE", "communication_value"]

LEAST_ROOM = 1e-9


def communication_value(episode_return: float, silent_return: float, full_return: float) -> float:
    """(R - R_silent) / (R_full - R_silent): 0 for no better than silence, 1 for as good as knowing everything.

    R_silent is the return of a no-communication control that was trained on an equal budget, not of the same team with
    its messages taken away: that one has learnt to rely on them. R_full is that of full information. Below 0 where
    talking harms, above 1 where the scores are no bounds. Undefined where full information gains nothing over silence.
    """
    room = full_return - silent_return
    if not room > LEAST_ROOM:
        return Undefined("full information gains nothing over silence")
    return (episode_return - silent_return) / room


MEASURE = Measure(
    name="communication_value", function=communication_value, better=Better.HIGHER, applies_to=AppliesTo.BOTH,
    listed=False,
    example=lambda: {"episode_return": 0.8, "silent_return": 0.3, "full_return": 1.0},
)  # fmt: skip
