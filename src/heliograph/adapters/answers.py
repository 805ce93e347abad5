"""What an environment with many agents answers when it is asked for spaces, reset or moved, looked at before use."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from heliograph.adapters.arrays import AgentID, Spaces
from heliograph.adapters.closing import name_of

__all__ = ["StepAnswer", "reset_answer", "spaces_answer", "step_answer"]

Dict = Mapping[Any, Any]


class StepAnswer(NamedTuple):
    """Record of what a step returns: five dicts by agent."""

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


def spaces_answer(
    env: Any, agents: Iterable[AgentID], *, sees: Callable[[AgentID], Any], does: Callable[[AgentID], Any]
) -> dict[AgentID, Spaces]:
    """The spaces of each agent; raises ValueError where an environment cannot tell them before its first reset."""
    try:
        known = {agent: (sees(agent), does(agent)) for agent in agents}
        unknown = [agent for agent, pair in known.items() if any(space is None for space in pair)]
        problem = f"a space of {unknown} is None" if unknown else None
    except (AttributeError, KeyError, TypeError, NotImplementedError) as error:
        known, problem = {}, f"{type(error).__name__}: {error}"
    if problem is not None:
        asked = [getattr(method, "__name__", "a method") for method in (sees, does)]
        raise ValueError(
            f"{name_of(env)} does not tell what its agents see and do before its first reset ({problem}): define "
            f"{asked[0]}(agent) and {asked[1]}(agent), or, where it knows them after a reset, have the "
            "function that makes it reset it once"
        )
    return known


def reset_answer(env: Any, answer: Any) -> tuple[Dict, Dict]:
    """Observations and infos; raises ValueError where these are not what `reset` returned."""
    _check(env, answer, call="reset", names=("observations", "infos"))
    return answer[0], answer[1]


def step_answer(env: Any, answer: Any) -> StepAnswer:
    """Return what a step returned; raises ValueError where that is not five dicts."""
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
