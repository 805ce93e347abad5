"""What each message means: the fact that, together with the step, tells best what will be said."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from heliograph.envs.wording import Fact, Reading, Turn
from heliograph.protocols.labels import percent

__all__ = ["Interpretation", "Meaning", "interpret"]

AS_GOOD = 0.005
"""Facts that hold this much less often than the best are as good, and the first of them is taken."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Meaning:
    """In these steps (None: in all) this message is what is said most often where the fact has this value."""

    steps: tuple[int, ...] | None
    message: str
    values: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interpretation:
    """Record of what a role's messages mean: the best fact, how often it tells them, and the code.

    `holds` is the share of the messages that somebody read which the fact and the step tell; `by_step` the share that
    the step alone tells; `others` are the shares of the other facts.
    """

    role: str
    fact: str
    holds: float
    by_step: float
    num_messages: int
    code: tuple[Meaning, ...]
    others: dict[str, float]

    def as_json(self, reading: Reading) -> dict[str, Any]:
        """All of it as plain data."""
        code = [{**dataclasses.asdict(item), "message": reading.said(item.message)} for item in self.code]
        return {**dataclasses.asdict(self), "code": code}

    def words(self, reading: Reading) -> list[str]:
        """The code in words, a line for each message, and how often it holds; one line where no fact tells anything."""
        if self.holds < self.by_step + AS_GOOD:
            number = f"{self.num_messages:,} messages that somebody read"
            return [f"no fact tells more of the {number} than the {reading.step} alone: {percent(self.by_step)}"]
        alone = Counter(meaning.steps for meaning in self.code)
        lines = [_line(meaning, reading, alone=alone[meaning.steps] == 1) for meaning in self.code]
        held = (
            f"This holds for {percent(self.holds)} of the {self.num_messages:,} messages that somebody read; the "
            f"{reading.step} alone tells {percent(self.by_step)}."
        )
        return [*lines, held]


def _line(meaning: Meaning, reading: Reading, *, alone: bool) -> str:
    said = reading.said(meaning.message)
    told = f"{reading.message} always {said}" if alone else f"{reading.message} {said}: {' or '.join(meaning.values)}"
    if meaning.steps is None:
        return told
    steps = ", ".join(str(step + reading.first_step) for step in meaning.steps)
    return f"{reading.step} {steps}: {told}"


def interpret(found: Sequence[Turn], reading: Reading) -> list[Interpretation]:
    """An interpretation for each role of which somebody read something; messages that nobody read do not count."""
    read = [turn for turn in found if turn.says is not None and turn.read]
    roles = sorted({turn.role for turn in read})
    return [_of_role(role, [turn for turn in read if turn.role == role], reading) for role in roles]


def _of_role(role: str, said: Sequence[Turn], reading: Reading) -> Interpretation:
    shares = {fact.name: _share(said, fact) for fact in reading.facts}
    most = max(shares.values())
    best = next(fact for fact in reading.facts if shares[fact.name] >= most - AS_GOOD)
    return Interpretation(
        role=role,
        fact=best.name,
        holds=shares[best.name],
        by_step=_share(said, Fact(name="", value=lambda turn: "")),
        num_messages=len(said),
        code=tuple(_code(said, best)),
        others={name: share for name, share in shares.items() if name != best.name},
    )


def _counts(said: Sequence[Turn], fact: Fact) -> dict[tuple[int, str], Counter[str]]:
    counts: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    for turn in said:
        counts[turn.step, fact.value(turn)][turn.says or ""] += 1
    return counts


def _share(said: Sequence[Turn], fact: Fact) -> float:
    return sum(count.most_common(1)[0][1] for count in _counts(said, fact).values()) / len(said)


def _code(said: Sequence[Turn], fact: Fact) -> list[Meaning]:
    """Return what is said most often for each value, steps with the same code together."""
    by_step: dict[int, dict[str, str]] = defaultdict(dict)
    for (step, value), count in sorted(_counts(said, fact).items()):
        by_step[step][value] = count.most_common(1)[0][0]
    merged: list[tuple[list[int], dict[str, str]]] = []
    for step in sorted(by_step, key=lambda step: -len(by_step[step])):
        for steps, code in merged:
            if all(code.get(value, message) == message for value, message in by_step[step].items()):
                steps.append(step)
                code |= by_step[step]
                break
        else:
            merged.append(([step], dict(by_step[step])))
    return [meaning for steps, code in merged for meaning in _meanings(steps, code, alone=len(merged) == 1)]


def _meanings(steps: list[int], code: dict[str, str], *, alone: bool) -> list[Meaning]:
    values: dict[str, list[str]] = defaultdict(list)
    for value, message in sorted(code.items()):
        values[message].append(value)
    when = None if alone else tuple(sorted(steps))
    return [Meaning(steps=when, message=message, values=tuple(found)) for message, found in sorted(values.items())]
