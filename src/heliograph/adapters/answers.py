"""What `reset` and `step` of an environment with many agents return, looked at before it is taken apart."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from heliograph.adapters.closing import name_of

__all__ = ["StepAnswer", "reset_answer", "step_answer"]

Dict = Mapping[Any, Any]


class StepAnswer(NamedTuple):
    """What a step returns: five dicts by agent."""

    observations: Dict
    rewards: Dict
    terminated: Dict
    truncated: Dict
    infos: Dict


NAMES = ("observations", "rewards", "terminations", "truncations", "infos")
FIVE_DICTS = [dict] * len(NAMES)
"""The types of what all but every environment returns."""
OLDER = {
    "reset": "older interfaces return observations alone: return (observations, {}) where there are no infos",
    "step": "older interfaces return one dict of dones: return it as terminations, with truncations beside it, which "
    "are true for agents that a time limit cuts off",
}


def reset_answer(env: Any, answer: Any) -> tuple[Dict, Dict]:
    """Observations and infos; raises ValueError where these are not what `reset` returned."""
    _check(env, answer, call="reset", names=("observations", "infos"))
    return answer[0], answer[1]


def step_answer(env: Any, answer: Any) -> StepAnswer:
    """What a step returned; raises ValueError where that is not five dicts."""
    if type(answer) is not tuple or [*map(type, answer)] != FIVE_DICTS:
        _check(env, answer, call="step", names=NAMES)
    return StepAnswer(*answer)


def _check(env: Any, answer: Any, *, call: str, names: tuple[str, ...]) -> None:
    wanted = f"{call}() of {name_of(env)} must return {len(names)} dicts by agent, {', '.join(names)}"
    if not isinstance(answer, (tuple, list)) or len(answer) != len(names):
        found = f"{len(answer)} values" if isinstance(answer, (tuple, list)) else f"a {type(answer).__name__}"
        raise ValueError(f"{wanted}; it returned {found} ({OLDER[call]})")
    for name, values in zip(names, answer, strict=True):
        if not isinstance(values, Mapping):
            raise ValueError(f"{wanted}; its {name} are a {type(values).__name__}, {values!r:.200}")
