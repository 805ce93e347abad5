"""The word for a protocol, and a verdict in sentences: do messages carry the meaning, does anyone listen, does it pay?

`TABLE` maps evidence to one of seven words; summaries, tables, pages and JSON take theirs from here. No word comes from
information alone where it would take an intervention to know.
"""

import dataclasses
import enum
import math
from collections.abc import Mapping, Sequence
from typing import Any

from scipy.special import stdtrit

from heliograph.analysis.diagnosis import Diagnosis
from heliograph.protocols.labels import number
from heliograph.types import Bounds

__all__ = [
    "TABLE",
    "Evidence",
    "ProtocolVerdict",
    "VerdictRule",
    "Word",
    "evidence_in",
    "evidence_of",
    "rule_of",
    "verdict",
    "word_in",
    "word_of",
]

MOST = 0.9
LEVEL = 0.025
"""How often returns that are equal may be found to differ, in one direction, whatever their unit.

Two standard errors where episodes are many, by Student's t more where they are few. A fall, and a distance from
silence, of four standard errors are then both found in 95 of 100 teams.
"""
ROUNDING = 1e-6
"""And by more than this share of the larger, the rounding of rewards in float32."""
MIN_REPLACED = 30
"""Where fewer messages were really replaced nobody can tell whether they are read."""
MIN_CHANGED = 0.01
"""Of episodes; where hearers do otherwise in fewer of them messages are not read."""


class Word(enum.StrEnum):
    """Choice of what a protocol is called."""

    USED = "used"
    REDUNDANT = "redundant"
    UNHEARD = "unheard"
    BABBLING = "babbling"
    COLLAPSED = "collapsed"
    SILENT = "silent"
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evidence:
    """Record of what is known of a protocol; None where nobody has looked, or could not tell.

    `tells`: what messages tell by themselves. `read`: hearers do otherwise where messages are resampled. `pays`: the
    return falls then, and is above that of silence and of the untrained team, as far as these are known.
    """

    tells: Diagnosis
    read: bool | None = None
    pays: bool | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class VerdictRule:
    """A row of the table: evidence that is asked for (None: any), the word, and what it means."""

    word: Word
    tells: Diagnosis | None = None
    read: bool | None = None
    pays: bool | None = None
    means: str

    def fits(self, evidence: Evidence) -> bool:
        """Tell whether the evidence is such."""
        asked = ((self.tells, evidence.tells), (self.read, evidence.read), (self.pays, evidence.pays))
        return all(wanted is None or wanted is found for wanted, found in asked)


TABLE = (
    VerdictRule(word=Word.SILENT, tells=Diagnosis.SILENT, means="nothing is said"),
    VerdictRule(word=Word.USED, pays=True, means="the return falls without them, and is above that of silence"),
    VerdictRule(word=Word.COLLAPSED, tells=Diagnosis.COLLAPSED, means="one message for all meanings"),
    VerdictRule(word=Word.BABBLING, tells=Diagnosis.BABBLING, means="messages vary, but do not tell the meaning"),
    VerdictRule(word=Word.REDUNDANT, read=True, pays=False, means="messages are read, but do no better than silence"),
    VerdictRule(word=Word.UNHEARD, read=False, means="hearers do the same whatever is said"),
    VerdictRule(word=Word.UNKNOWN, means="it takes messages resampled (evaluate, report) or more episodes to know"),
)
"""The first row that fits gives the word."""


def word_of(evidence: Evidence) -> Word:
    """The word for it."""
    return rule_of(evidence).word


def rule_of(evidence: Evidence) -> VerdictRule:
    """The row of the table that it falls into."""
    return next(rule for rule in TABLE if rule.fits(evidence))


def word_in(summary: Mapping[str, Any], *, silent: Mapping[str, Any] | None = None) -> str:
    """The word in a summary, of which that of the best control (`silent`) may change what a reader must call it.

    Earlier summaries know of information alone: what they call informative is unknown.
    """
    word = str(summary.get("diagnosis", Word.UNKNOWN))
    teams = summary.get("teams")
    if isinstance(teams, Mapping):
        return ", ".join(f"{name}: {found.get('diagnosis', Word.UNKNOWN)}" for name, found in teams.items())
    if word not in list(Word):
        return Word.UNKNOWN.value if word == "informative" else word
    if silent is None or summary.get("information") not in list(Diagnosis):
        return word
    return word_of(evidence_in(summary, silent=silent)).value


def evidence_in(summary: Mapping[str, Any], *, silent: Mapping[str, Any] | None = None) -> Evidence:
    """The evidence in a flat summary (see `judged`)."""
    resampled = {key.removesuffix(RESAMPLED): value for key, value in summary.items() if key.endswith(RESAMPLED)}
    untrained = {key.removesuffix(UNTRAINED): value for key, value in summary.items() if key.endswith(UNTRAINED)}
    return evidence_of(
        summary, resampled or None, silent=silent, blind=summary.get("blind_return"), untrained=untrained or None
    )


RESAMPLED, UNTRAINED = "_resampled", "_untrained"
"""How keys of a summary end that tell of resampled messages, and of the untrained team."""


def evidence_of(
    told: Mapping[str, Any],
    resampled: Mapping[str, Any] | None,
    *,
    silent: Mapping[str, Any] | None = None,
    blind: float | None = None,
    untrained: Mapping[str, Any] | None = None,
) -> Evidence:
    """Return what an evaluation, its row of resampled messages, and the returns of those who do without come to.

    `silent` is the evaluation of the best team that is told nothing: whichever of its controls does best. `blind`,
    the return of the best team that hears nothing, stands in for controls that were not trained.
    """
    tells = Diagnosis(told["information"])
    if resampled is None or not _replaced_enough(resampled):
        return Evidence(tells=tells)
    if silent is None and blind is not None:
        silent = {"episode_return_mean": blind, "episode_return_se": 0.0}
    others = [other for other in (silent, untrained) if other and other.get("episode_return_mean") is not None]
    resampled = {"num_episodes": told.get("num_episodes"), **resampled}
    pays = _all([_falls(resampled), *(_above(told, other) for other in others)])
    return Evidence(tells=tells, read=_read(resampled), pays=pays)


def _replaced_enough(resampled: Mapping[str, Any]) -> bool:
    number = resampled.get("num_replaced")
    return number is None or number >= MIN_REPLACED


def _read(resampled: Mapping[str, Any]) -> bool | None:
    """Return by what hearers do, else by whether the return changes either way."""
    changed = resampled.get("changed_share")
    if changed is not None:
        return bool(changed >= MIN_CHANGED)
    falls, rises = _falls(resampled), _falls({**resampled, "difference_mean": -resampled["difference_mean"]})
    return None if falls is None or rises is None else falls or rises


def _falls(resampled: Mapping[str, Any]) -> bool | None:
    """Tell whether the return falls, by the standard error of the differences of paired episodes."""
    drop = -float(resampled["difference_mean"])
    scale = max(abs(float(resampled["episode_return_mean"])), abs(drop))
    error = resampled["difference_se"]
    freedom = _freedom([(error or 0.0, resampled.get("num_episodes"))])
    return _exceeds(drop, standard_error=error, scale=scale, freedom=freedom)


def _above(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool | None:
    """Tell whether a return is above that of another team, as far as their standard errors are known."""
    high, low = float(one["episode_return_mean"]), float(other["episode_return_mean"])
    errors = [team.get("episode_return_se") or 0.0 for team in (one, other)]
    numbers = [team.get("num_episodes", one.get("num_episodes")) for team in (one, other)]
    freedom = _freedom(list(zip(errors, numbers, strict=True)))
    return _exceeds(high - low, standard_error=math.hypot(*errors), scale=max(abs(high), abs(low)), freedom=freedom)


def _freedom(parts: Sequence[tuple[float, int | None]]) -> float:
    """Degrees of freedom of a difference, of the standard error of each part and its number of episodes (Welch).

    Without end where no number is known.
    """
    spread = sum(error**2 for error, _ in parts)
    lost = sum(error**4 / (number - 1) for error, number in parts if number is not None and number > 1)
    return spread**2 / lost if lost > 0 else math.inf


def _exceeds(difference: float, *, standard_error: float | None, scale: float, freedom: float) -> bool | None:
    """Tell whether a difference is above 0 beyond chance and rounding; None where nobody knows how sure it is."""
    if standard_error is None:
        return None
    quantile = -float(stdtrit(freedom, LEVEL))
    return difference > max(quantile * standard_error, ROUNDING * scale)


def _all(answers: Sequence[bool | None]) -> bool | None:
    return False if False in answers else None if None in answers else True


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProtocolVerdict:
    """A word, a headline, and the evidence for it in sentences."""

    word: Word
    headline: str
    sentences: list[str]


def verdict(
    told: Mapping[str, Any],
    interventions: Sequence[Mapping[str, Any]],
    *,
    bounds: Bounds | None,
    silent: Mapping[str, Any] | None = None,
    untrained: Mapping[str, Any] | None = None,
) -> ProtocolVerdict:
    """Return what the evaluation of a team (`evaluate`) and its interventions (`interventions_table`) come to.

    `silent` and `untrained` are the evaluations of its best control and of the same team with its first weights.
    """
    rows = {row["messages"]: row for row in interventions}
    blind = None if bounds is None else bounds.blind
    told = {**told, **{key: rows["as-sent"].get(key) for key in ("episode_return_mean", "episode_return_se")}}
    found = evidence_of(told, rows.get("resampled"), silent=silent, blind=blind, untrained=untrained)
    word = word_of(found)
    if word is Word.SILENT:
        return ProtocolVerdict(
            word=word, headline="Nobody speaks", sentences=["No message was sent: there is no protocol."]
        )
    sentences = [_speaking(told, found.tells, untrained)]
    if "resampled" in rows:
        sentences.append(_listening(rows["resampled"], before=rows["as-sent"]["episode_return_mean"], found=found))
    return ProtocolVerdict(word=word, headline=_headline(told, word, found.tells), sentences=sentences)


def _headline(told: Mapping[str, Any], word: Word, tells: Diagnosis) -> str:
    share = "the meaning" if tells is Diagnosis.INFORMATIVE and informed_share(told) >= MOST else "part of the meaning"
    if tells is Diagnosis.INFORMATIVE and word is not Word.REDUNDANT:
        ends = {Word.USED: ", and hearers use it", Word.UNHEARD: ", but nobody listens"}
        return f"Messages carry {share}{ends.get(word, '; whether anyone listens is not known')}"
    return {
        Word.USED: "Messages matter, though not by telling what their senders know",
        Word.REDUNDANT: "Messages are read, but do no better than silence",
        Word.UNHEARD: "Messages do not matter: nobody listens",
        Word.BABBLING: "Babbling: messages vary but do not tell the meaning",
        Word.COLLAPSED: "One message for all meanings",
    }.get(word, "Whether messages matter is not known")


def informed_share(told: Mapping[str, Any]) -> float:
    """Mutual information above chance, over the entropy of the meanings."""
    chance, possible = told["mutual_information_baseline_bits"], told["meaning_entropy_bits"]
    return float((told["mutual_information_bits"] - chance) / max(possible - chance, 1e-9))


def _speaking(told: Mapping[str, Any], kind: Diagnosis, untrained: Mapping[str, Any] | None) -> str:
    information, possible = told["mutual_information_bits"], told["meaning_entropy_bits"]
    if kind is Diagnosis.UNKNOWN and told["num_meanings"] > 1:
        return f"There are too few utterances: of {possible:.2f} bits chance alone may tell what messages tell."
    if kind is Diagnosis.UNKNOWN:
        return "Senders had only one meaning, so what messages tell cannot be measured."
    if kind is Diagnosis.COLLAPSED:
        return f"Messages have {told['entropy_bits']:.2f} bits of entropy: nearly always the same one is said."
    before = None if untrained is None else untrained.get("mutual_information_bits")
    beside = "" if before is None else f" (untrained: {before:.2f})"
    measured = f"A message tells {information:.2f} of the {possible:.2f} bits of its sender's meaning{beside}"
    if kind is Diagnosis.BABBLING:
        chance = told["mutual_information_baseline_bits"]
        return f"{measured} ({chance:.2f} by chance), though it varies by {told['entropy_bits']:.2f} bits."
    if informed_share(told) >= MOST:
        return f"{measured}."
    capacity = told["bits_per_message"]
    if capacity < possible:
        return f"{measured}; the channel carries at most {capacity:.2f} bits."
    return f"{measured}; some meanings share a message."


def _listening(row: Mapping[str, Any], *, before: float, found: Evidence) -> str:
    after, share = row["episode_return_mean"], row.get("replaced_share")
    falls = _falls(row)
    span = f"{number(before)} to {number(after)}"
    change = f"falls from {span}" if falls else f"stays ({span})"
    really = "" if share is None else f" ({100 * share:.0f} % of them differ)"
    told = f"With messages of other episodes in their place{really} the return {change}"
    if found.read is None:
        return f"{told}; too few were replaced to tell whether they are read."
    if falls and found.pays is False:
        return f"{told}, but it is no higher than without talking, or without training."
    return f"{told}."
