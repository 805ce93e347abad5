"""An environment in words: what its decisions may depend on, what messages may tell, and what both are called."""

import dataclasses
from collections.abc import Callable, Mapping

from heliograph.texts import NOTHING

__all__ = ["Condition", "Fact", "Reading", "Turn"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Turn:
    """One agent in one step. Messages and actions are written as text; None: nothing was heard, said or done.

    `knows` is the agent's private meaning when it last spoke. `spoke` are all that have spoken so far in the episode,
    itself included; `read` tells whether anybody read what it said; `heard_before` and `said_before` are those of the
    agent's turn before this one.
    """

    episode: int = 0
    step: int
    agent: str = ""
    role: str = ""
    knows: tuple[int, ...] = ()
    heard: str | None = None
    says: str | None = None
    does: str | None = None
    read: bool = False
    spoke: frozenset[str] = frozenset()
    heard_before: str | None = None
    said_before: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Condition:
    """Something that a decision may depend on: the heading of its column, and its value in a turn as text."""

    heading: str
    value: Callable[[Turn], str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fact:
    """Something that a message may tell: its value in a turn as text."""

    name: str
    value: Callable[[Turn], str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """An environment in words: what its decisions depend on, what messages may tell, and how both are called.

    `conditions` are those of every decision, `finer` ones are added where they decide more. Steps are shown from
    `first_step` on. `seen` is what a reader of an episode is told in each turn; without it episodes are told plainly.
    """

    step: str = "step"
    first_step: int = 0
    message: str = "message"
    says: str = "says"
    does: str = "does"
    seen: tuple[Condition, ...] = ()
    conditions: tuple[Condition, ...]
    finer: tuple[Condition, ...]
    facts: tuple[Fact, ...]
    symbols: Mapping[str, str] = dataclasses.field(default_factory=dict)
    actions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    actions_of_roles: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)

    def said(self, label: str | None) -> str:
        """A message in the environment's words."""
        return NOTHING if label is None else self.symbols.get(label, label)

    def done(self, label: str | None, *, role: str) -> str:
        """An action of a role in the environment's words."""
        return NOTHING if label is None else self.actions_of_roles.get(role, self.actions).get(label, label)
