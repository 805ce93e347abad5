"""How decisions are told in the words of an environment: what they may depend on, and what messages may mean."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from heliograph.protocols.agent_steps import Turn
from heliograph.protocols.labels import NOTHING

__all__ = ["Condition", "Fact", "Reading", "reading_of"]

YES_NO = {True: "yes", False: "no"}


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

    def said(self, label: str | None) -> str:
        """A message in the environment's words."""
        return NOTHING if label is None else self.symbols.get(label, label)

    def done(self, label: str | None) -> str:
        """An action in the environment's words."""
        return NOTHING if label is None else self.actions.get(label, label)


def reading_of(env: object, *, agents: Sequence[str], knows: int = 1) -> Reading:
    """The reading of an environment by its name; others are told by what agents know (`knows` numbers) and hear."""
    if env == "switch_riddle":
        return _riddle(agents)
    names = KNOWN.get(env) if isinstance(env, str) else None
    words = ACTIONS.get(env, ()) if isinstance(env, str) else ()
    word = "attribute" if env in LEWIS_GAMES else "knows"
    plain = _plain(names if names and len(names) == knows else tuple(f"{word} {i}" for i in range(knows)), agents)
    return dataclasses.replace(plain, actions={str(number): word for number, word in enumerate(words)})


KNOWN = {"speaker_listener": ("goal",), "colour_digit": ("digit", "colour"), "multistep_digits": ("digit", "step")}
"""What the numbers of a meaning are."""
LEWIS_GAMES = ("reconstruction", "discrimination", "classification")
"""Games in which these are attributes of an object, as many as the user likes."""
ACTIONS = {
    "traffic_junction": ("gas", "brake"),
    "predator_prey": ("up", "right", "down", "left", "stay"),
    "combat": ("up", "down", "left", "right", "stay", *(f"shoot {bot}" for bot in range(20))),
}
"""What the first actions are called, in environments with one role."""


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


def _riddle(agents: Sequence[str]) -> Reading:
    switch = {"0": "off", "1": "on"}

    def light(label: str | None) -> str:
        return NOTHING if label is None else switch.get(label, label)

    day = Condition(heading="day", value=lambda turn: str(turn.step + 1))
    here = (
        Condition(heading="been here before", value=lambda turn: YES_NO[turn.knows[0] > 0]),
        Condition(heading="light before", value=lambda turn: light(turn.heard)),
    )
    return Reading(
        step="day",
        first_step=1,
        message="light",
        says="light after",
        seen=(
            day,
            Condition(heading="in the room", value=lambda turn: turn.agent),
            Condition(heading="have visited", value=lambda turn: str(len(turn.spoke))),
            *here,
        ),
        conditions=(day, *here),
        finer=(
            Condition(heading="visits before", value=lambda turn: str(turn.knows[0])),
            Condition(heading="left the light", value=lambda turn: light(turn.said_before)),
            Condition(heading="found the light", value=lambda turn: light(turn.heard_before)),
        ),
        facts=(*_visitors(len(agents)), *_visits(agents)),
        symbols=switch,
        actions={"0": "nothing", "1": "tells"},
    )


def _visitors(number: int) -> list[Fact]:
    """That so many different prisoners have visited."""

    def fact(least: int) -> Fact:
        yes, no = f"{least} or more prisoners have visited", f"fewer than {least} prisoners have visited"
        return Fact(name=yes, value=lambda turn: yes if len(turn.spoke) >= least else no)

    return [fact(least) for least in range(2, number + 1)]


def _visits(agents: Sequence[str]) -> list[Fact]:
    """Facts about one's own visits, and about who was there."""

    def visited(agent: str) -> Fact:
        yes, no = f"{agent} has visited", f"{agent} has not visited"
        return Fact(name=yes, value=lambda turn: yes if agent in turn.spoke else no)

    def before(turn: Turn) -> str:
        return "I have been here before" if turn.knows[0] > 0 else "this is my first visit"

    def number(turn: Turn) -> str:
        return f"{len(turn.spoke)} prisoners have visited"

    return [
        Fact(name="whether I have been here before", value=before),
        *(visited(agent) for agent in agents),
        Fact(name="how many prisoners have visited", value=number),
    ]


def _heard(turn: Turn) -> str:
    return turn.heard or NOTHING


def _known(place: int) -> Callable[[Turn], str]:
    return lambda turn: str(turn.knows[place]) if place < len(turn.knows) and turn.knows[place] >= 0 else NOTHING


def _named(name: str, value: Callable[[Turn], str]) -> Callable[[Turn], str]:
    return lambda turn: f"{name} {value(turn)}"


def _all_of(facts: Sequence[Fact]) -> Callable[[Turn], str]:
    return lambda turn: " and ".join(fact.value(turn) for fact in facts)
