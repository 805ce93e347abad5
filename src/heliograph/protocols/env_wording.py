"""How decisions are told in the words of an environment: its own, or those that fit every environment."""

import dataclasses
from collections.abc import Callable, Sequence

from heliograph import registry
from heliograph.envs.base import TeamEnv
from heliograph.envs.wording import Condition, Fact, Reading, Turn
from heliograph.texts import NOTHING
from heliograph.types import Role

__all__ = ["reading_of"]


def reading_of(env: object, *, agents: Sequence[str], knows: int = 1, roles: Sequence[Role] = ()) -> Reading:
    """The reading of an environment: its own, where it has one, else by what agents know (`knows` numbers) and hear.

    `env` is a class or a name; one by path ("module:Class") is not imported for its words. What numbers and actions
    are called, roles say (`Role.meaning_names`, `Role.action_names`).
    """
    kind = registry.load("env", env) if isinstance(env, str) and env in registry.names("env") else env
    own = kind.reading(agents) if isinstance(kind, type) and issubclass(kind, TeamEnv) else None
    if own is not None:
        return own
    names = next((role.meaning_names for role in roles if role.meaning_names), ())
    plain = _plain(names if len(names) == knows else tuple(f"knows {i}" for i in range(knows)), agents)
    of_roles = {role.name: _numbered(role.action_names) for role in roles if role.action_names}
    return dataclasses.replace(plain, actions_of_roles=of_roles)


def _numbered(words: Sequence[str]) -> dict[str, str]:
    return {str(number): word for number, word in enumerate(words)}


def _plain(names: Sequence[str], agents: Sequence[str]) -> Reading:
    knows = tuple(Condition(heading=name, value=_known(place)) for place, name in enumerate(names))
    facts = tuple(Fact(name=name, value=_named(name, knows[place].value)) for place, name in enumerate(names))
    together = (Fact(name=" and ".join(names), value=_all_of(facts)),) if len(names) > 1 else ()
    return Reading(
        conditions=(*knows, Condition(heading="hears", value=_heard)),
        finer=(
            Condition(heading="step", value=lambda turn: str(turn.step)),
            Condition(heading="heard before", value=lambda turn: turn.heard_before or NOTHING),
            Condition(heading="said before", value=lambda turn: turn.said_before or NOTHING),
        ),
        facts=(*facts, *together, Fact(name="who speaks", value=lambda turn: turn.agent)),
    )


def _heard(turn: Turn) -> str:
    return turn.heard or NOTHING


def _known(place: int) -> Callable[[Turn], str]:
    return lambda turn: str(turn.knows[place]) if place < len(turn.knows) and turn.knows[place] >= 0 else NOTHING


def _named(name: str, value: Callable[[Turn], str]) -> Callable[[Turn], str]:
    return lambda turn: f"{name} {value(turn)}"


def _all_of(facts: Sequence[Fact]) -> Callable[[Turn], str]:
    return lambda turn: " and ".join(fact.value(turn) for fact in facts)
