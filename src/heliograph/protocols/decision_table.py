"""A protocol as a decision table: what agents say and do for what they know and hear, counted from a corpus."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from heliograph.envs.wording import Condition, Reading, Turn
from heliograph.protocols.labels import percent

__all__ = ["Decision", "DecisionTable", "tabulate"]

WORTH = 0.05
"""A finer condition is added where it decides this share of a role's turns more."""
MAX_ROWS = 100
"""Finer conditions never make more rows than this."""

Key = tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decision:
    """One row: the values of the conditions, the most frequent message and action then, and how sure they are.

    Messages and actions are as in a corpus. Messages that nobody read do not count (None: nobody read any, or none was
    said): `says_share` is a share of the others, `does_share` one of `num_turns`.
    """

    conditions: Key
    says: str | None
    does: str | None
    num_turns: int
    says_share: float
    does_share: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecisionTable:
    """All decisions of a role; `followed` is the share of its turns in which was said and done what the table says."""

    role: str
    reading: Reading
    conditions: tuple[Condition, ...]
    decisions: tuple[Decision, ...]
    followed: float
    num_turns: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_key", {row.conditions: row for row in self.decisions})

    _by_key: dict[Key, Decision] = dataclasses.field(init=False, repr=False, default_factory=dict)

    def decision(self, turn: Turn) -> Decision | None:
        """The row that a turn belongs to; None where the corpus has no such turn."""
        return self._by_key.get(_key(self.conditions, turn))

    @property
    def headings(self) -> tuple[str, ...]:
        """Headings of `rows`; without what the role never says, or never does."""
        says, does = self._parts
        own = (*([self.reading.says] if says else []), *([self.reading.does] if does else []))
        return (*(c.heading for c in self.conditions), *own, "turns", "sure")

    def rows(self) -> list[tuple[str, ...]]:
        """The table in the words of the environment."""
        says, does = self._parts
        return [
            (
                *row.conditions,
                *([self.reading.said(row.says)] if says else []),
                *([self.reading.done(row.does, role=self.role)] if does else []),
                str(row.num_turns),
                percent(min(row.says_share, row.does_share)),
            )
            for row in self.decisions
        ]

    @property
    def _parts(self) -> tuple[bool, bool]:
        """True if the role ever says, and ever does, anything."""
        return any(row.says is not None for row in self.decisions), any(row.does is not None for row in self.decisions)

    def as_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        names = [condition.heading for condition in self.conditions]
        rows = [
            {
                **dataclasses.asdict(row),
                "conditions": dict(zip(names, row.conditions, strict=True)),
                "says": None if row.says is None else self.reading.said(row.says),
                "does": None if row.does is None else self.reading.done(row.does, role=self.role),
            }
            for row in self.decisions
        ]
        return {"role": self.role, "decisions": rows, "followed_share": self.followed, "num_turns": self.num_turns}


def tabulate(found: Sequence[Turn], reading: Reading) -> list[DecisionTable]:
    """Count what each role said and did under each condition; raises ValueError where there are no turns.

    Conditions that never vary are left out. Where the others leave decisions open, the reading's finer ones are added
    as long as they decide more, the one that decides most first. What depends on more shows as a row that is not sure.
    """
    if not found:
        raise ValueError("nothing was said, or acted on: there is no protocol to tabulate")
    return [_table(role, [t for t in found if t.role == role], reading) for role in sorted({t.role for t in found})]


def _table(role: str, found: Sequence[Turn], reading: Reading) -> DecisionTable:
    conditions = _enough(found, reading)
    return DecisionTable(
        role=role,
        reading=reading,
        conditions=conditions,
        decisions=tuple(_decisions(found, conditions)),
        followed=_followed(found, conditions),
        num_turns=len(found),
    )


def _enough(found: Sequence[Turn], reading: Reading) -> tuple[Condition, ...]:
    conditions = tuple(c for c in reading.conditions if len({c.value(turn) for turn in found}) > 1)
    left = list(reading.finer)
    while left:
        now = _followed(found, conditions)
        scores = [_followed(found, (*conditions, finer)) for finer in left]
        best = max(range(len(left)), key=lambda place: scores[place])
        longer = (*conditions, left[best])
        if scores[best] < now + WORTH or len({_key(longer, turn) for turn in found}) > MAX_ROWS:
            break
        conditions = longer
        del left[best]
    return conditions


def _key(conditions: Sequence[Condition], turn: Turn) -> Key:
    return tuple(condition.value(turn) for condition in conditions)


def _grouped(found: Sequence[Turn], conditions: Sequence[Condition]) -> dict[Key, list[Turn]]:
    groups: dict[Key, list[Turn]] = defaultdict(list)
    for turn in found:
        groups[_key(conditions, turn)].append(turn)
    return groups


def _usual(group: Sequence[Turn]) -> tuple[str | None, str | None]:
    """The most frequent message that somebody read (None: nobody read any), and the most frequent action."""
    read = Counter(turn.says for turn in group if turn.read)
    says = read.most_common(1)[0][0] if read else None
    return says, Counter(turn.does for turn in group).most_common(1)[0][0]


def _followed(found: Sequence[Turn], conditions: Sequence[Condition]) -> float:
    number = 0
    for group in _grouped(found, conditions).values():
        says, does = _usual(group)
        number += sum(turn.does == does and (not turn.read or turn.says == says) for turn in group)
    return number / len(found)


def _decisions(found: Sequence[Turn], conditions: Sequence[Condition]) -> list[Decision]:
    rows = [_decision(key, group) for key, group in _grouped(found, conditions).items()]
    return sorted(rows, key=lambda row: [_number_first(value) for value in row.conditions])


def _decision(key: Key, group: Sequence[Turn]) -> Decision:
    says, does = _usual(group)
    read = [turn for turn in group if turn.read]
    return Decision(
        conditions=key,
        says=says,
        does=does,
        num_turns=len(group),
        says_share=sum(turn.says == says for turn in read) / len(read) if read else 1.0,
        does_share=sum(turn.does == does for turn in group) / len(group),
    )


def _number_first(value: str) -> tuple[int, float, str]:
    return (0, float(value), "") if value.isdecimal() else (1, 0.0, value)
