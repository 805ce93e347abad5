"""When a run has reached what it was to reach: bounds on columns of progress.csv, and patience."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from heliograph.checks import check_number
from heliograph.registry import UnknownNameError

__all__ = ["Goal", "Patience", "goals_of", "plain_goals"]

LIMITS = ("at_least", "at_most")
AMBIGUOUS = (
    "episode_len_mean", "total_loss", "policy_loss", "vf_loss", "td_loss", "message_td_loss", "gradient_norm",
    "mean_kl", "clip_fraction", "first_ratio_error",
)  # fmt: skip
"""Columns, beside those of losses, of which less may be better, so that a number alone does not say what to reach."""
OF_LOSSES = "loss_"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Goal:
    """Bounds that a column must keep to: at least, at most, or both."""

    key: str
    at_least: float | None = None
    at_most: float | None = None

    def reached(self, value: float | int | None) -> bool:
        """Tell whether a value keeps to them; one that was not measured does not."""
        if value is None:
            return False
        low = self.at_least is None or value >= self.at_least
        return low and (self.at_most is None or value <= self.at_most)


def goals_of(until: Mapping[str, Any]) -> list[Goal]:
    """Goals from plain values: a number is the least to reach, {"at_least": V, "at_most": V} says it.

    Raises ValueError where a number does not say whether more or less is wanted, or a bound is no number.
    """
    return [_goal(key, value) for key, value in until.items()]


def _goal(key: str, value: Any) -> Goal:
    if not isinstance(value, Mapping):
        if key in AMBIGUOUS or key.startswith(OF_LOSSES):
            raise ValueError(
                f"until {key}={value}: less may be better; say '{key}<={value}' or '{key}>={value}' (in settings "
                f'{{"at_most": {value}}} or {{"at_least": {value}}})'
            )
        check_number(f"until {key}", value)
        return Goal(key=key, at_least=float(value))
    for limit in value:
        if limit not in LIMITS:
            raise UnknownNameError(what=f"bound of {key} in until", name=str(limit), valid=list(LIMITS))
    bounds = {limit: bound for limit, bound in value.items() if bound is not None}
    if not bounds:
        raise ValueError(f"until {key}={dict(value)}: give at_least or at_most")
    for limit, bound in bounds.items():
        check_number(f"until {key}: {limit}", bound)
    return Goal(key=key, **{limit: float(bound) for limit, bound in bounds.items()})


def plain_goals(texts: Iterable[str], *, option: str) -> dict[str, Any]:
    """Goals from KEY>=V, KEY<=V and KEY=V, as `goals_of` takes them."""
    found: dict[str, Any] = {}
    for text in texts:
        sign = next((sign for sign in (">=", "<=", "=") if sign in text), None)
        key, _, number = text.partition(sign or "=")
        if sign is None or not key or not number:
            raise ValueError(f"{option} {text}: must be KEY>=VALUE, KEY<=VALUE, or KEY=VALUE for at least so much")
        try:
            value = float(number)
        except ValueError:
            raise ValueError(f"{option} {text}: {number} is no number") from None
        if sign == "=":
            found[key] = value
        else:
            before = found.get(key)
            bounds = before if isinstance(before, dict) else {} if before is None else {"at_least": before}
            found[key] = {**bounds, "at_least" if sign == ">=" else "at_most": value}
    return found


class Patience:
    """Counts iterations in a row in which a column was not better than ever before.

    More is better, or less where its goal is an upper bound alone. What was not measured counts as no better.
    """

    def __init__(self, iterations: int, *, goals: Iterable[Goal] = (), otherwise: str = "episode_return_mean"):
        goal = next(iter(goals), Goal(key=otherwise))
        self.iterations, self.key = iterations, goal.key
        self.sign = -1 if goal.at_least is None and goal.at_most is not None else 1
        self.best: float | None = None
        self.waited = 0

    def see(self, row: Mapping[str, Any]) -> None:
        """Take in an iteration; one in which the column is not measured at all (evaluation) is passed over."""
        value = row.get(self.key)
        if value is None and self.key.startswith("evaluation_"):
            return
        better = value is not None and (self.best is None or self.sign * value > self.sign * self.best)
        self.best, self.waited = (value, 0) if better else (self.best, self.waited + 1)

    @property
    def ended(self) -> bool:
        """True if there was none better for so many iterations."""
        return self.waited >= self.iterations
