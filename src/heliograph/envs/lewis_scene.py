"""What a copy of a Lewis game looks like: the object beside its sender, and beside receivers what they choose."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from heliograph.envs.scene import Actor, Mark, Presence, Scene, Shape

if TYPE_CHECKING:
    from heliograph.envs.lewis_game import LewisGame

__all__ = ["lewis_scene"]

OBJECT, SENDER, RECEIVER, ANSWER = range(4)
"""Columns."""
SPACING = 2
"""Rows between receivers, so that there is room for what is said."""


def lewis_scene(env: "LewisGame[Any]", state: Any, copy: int) -> Scene:
    """The scene of a copy: attributes stand on objects, and answers are marked as right or wrong."""
    sending = env.sending(state)[copy].tolist()
    answering = bool(state.time[copy] % 2)
    rows = iter(range(0, SPACING * env.listeners, SPACING))
    places = [(SENDER, 0) if sends else (RECEIVER, next(rows)) for sends in sending]
    kinds = [role for role, made in enumerate(env.roles) for _ in made.agents]
    agents = tuple(
        Actor(
            name=name,
            place=place,
            label="S" if sends else "R",
            kind=kind,
            presence=Presence.WAITING if sends is answering else Presence.ACTIVE,
        )
        for name, place, kind, sends in zip(env.agents, places, kinds, sending, strict=True)
    )
    shown = env.objects.attributes[env.shown(state)][copy].tolist()
    receivers = [(slot, place[1]) for slot, place in enumerate(places) if not sending[slot]]
    answers = [thing for slot, row in receivers for thing in _answers(env, state, copy, slot=slot, row=row)]
    hits, index = int(state.hits[copy]), int(env.round_index(state)[copy])
    return Scene(
        columns=ANSWER + max(1, env.num_offered),
        rows=SPACING * env.listeners,
        agents=agents,
        things=(_thing("object", (OBJECT, 0), shown, shape=Shape.STAR), *answers),
        caption=f"round {index + 1} of {env.rounds}; all were right in {hits}",
    )


def _answers(env: "LewisGame[Any]", state: Any, copy: int, *, slot: int, row: int) -> Iterator[Actor]:
    """The objects that a slot may choose from, or else what it has answered."""
    chosen, best = state.chosen[copy, slot].tolist(), env.best(state)[copy, slot].tolist()
    verdict = Mark.DONE if chosen == best else Mark.TROUBLE
    if env.num_offered:
        offered = env.objects.attributes[env.offered(state)[copy, slot]].tolist()
        for number, attributes in enumerate(offered):
            mark = verdict if [number] == chosen else Mark.NONE
            yield _thing(f"choice {number} of {env.agents[slot]}", (ANSWER + number, row), attributes, mark=mark)
    elif chosen[0] >= 0:
        yield _thing(f"answer of {env.agents[slot]}", (ANSWER, row), chosen, mark=verdict)


def _thing(
    name: str, place: tuple[int, int], numbers: Sequence[int], *, shape: Shape = Shape.SQUARE, mark: Mark = Mark.NONE
) -> Actor:
    label = ("" if max(numbers) < 10 else " ").join(map(str, numbers))
    return Actor(name=name, place=place, label=label, kind=numbers[0], shape=shape, mark=mark)
