"""The switch riddle in words: days, visits, and a light that the next one in the room finds."""

from collections.abc import Sequence

from heliograph.envs.wording import Condition, Fact, Reading, Turn
from heliograph.texts import NOTHING

__all__ = ["riddle_reading"]

YES_NO = {True: "yes", False: "no"}


def riddle_reading(agents: Sequence[str]) -> Reading:
    """The reading of an episode: who is in the room on a day, what it knew, and how it left the light."""
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
    """Say that so many different prisoners have visited."""

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
