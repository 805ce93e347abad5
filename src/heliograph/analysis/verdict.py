"""A verdict in plain words: do messages carry the meaning, and does anyone listen?"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from heliograph.analysis.collapse import Diagnosis
from heliograph.analysis.labels import number
from heliograph.types import Bounds

MOST = 0.9
STANDARD_ERRORS = 3
MIN_EFFECT_SHARE = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """A headline, and the evidence for it in sentences."""

    headline: str
    sentences: list[str]


def verdict(told: dict[str, Any], interventions: Sequence[dict[str, Any]], *, bounds: Bounds | None) -> Verdict:
    """What the evaluation of a team (`evaluate`) and its interventions (`interventions_table`) come to."""
    kind = Diagnosis(told["diagnosis"])
    if kind is Diagnosis.SILENT:
        return Verdict(headline="Nobody speaks", sentences=["No message was sent, so there is no protocol to read."])
    effect, heard = _listening(interventions, bounds)
    speaking = _speaking(told, kind)
    return Verdict(headline=_headline(told, kind, heard=heard), sentences=[speaking, effect])


def _headline(told: dict[str, Any], kind: Diagnosis, *, heard: bool) -> str:
    if kind is Diagnosis.COLLAPSED:
        return "One message for all meanings"
    if kind is Diagnosis.BABBLING:
        return "Babbling: messages vary but do not tell the meaning"
    if kind is Diagnosis.UNKNOWN:
        return "Messages matter" if heard else "Messages do not matter"
    share = "the meaning" if informed_share(told) >= MOST else "part of the meaning"
    return f"Messages carry {share}, and hearers use it" if heard else f"Messages carry {share}, but nobody listens"


def informed_share(told: dict[str, Any]) -> float:
    """Mutual information above chance, over the entropy of the meanings."""
    chance, possible = told["mutual_information_baseline_bits"], told["meaning_entropy_bits"]
    return (told["mutual_information_bits"] - chance) / max(possible - chance, 1e-9)


def _speaking(told: dict[str, Any], kind: Diagnosis) -> str:
    information, possible = told["mutual_information_bits"], told["meaning_entropy_bits"]
    if kind is Diagnosis.UNKNOWN and told["num_meanings"] > 1:
        return f"There are too few utterances: by chance alone messages would tell nearly all of {possible:.2f} bits."
    if kind is Diagnosis.UNKNOWN:
        return "Senders had only one meaning, so what messages tell cannot be measured."
    if kind is Diagnosis.COLLAPSED:
        return f"Messages have {told['entropy_bits']:.2f} bits of entropy: nearly always the same one is said."
    measured = f"A message tells {information:.2f} of the {possible:.2f} bits of its sender's meaning"
    if kind is Diagnosis.BABBLING:
        chance = told["mutual_information_baseline_bits"]
        return f"{measured} ({chance:.2f} by chance), though it varies by {told['entropy_bits']:.2f} bits."
    if informed_share(told) >= MOST:
        return f"{measured}."
    capacity = told["bits_per_message"]
    if capacity < possible:
        return f"{measured}; the channel carries at most {capacity:.2f} bits."
    return f"{measured}; some meanings share a message."


def _listening(interventions: Sequence[dict[str, Any]], bounds: Bounds | None) -> tuple[str, bool]:
    rows = {row["messages"]: row for row in interventions}
    if "resampled" not in rows:
        return "", False
    row, before = rows["resampled"], rows["as-sent"]["episode_return_mean"]
    drop, error = -row["difference_mean"], row["difference_se"] or 0.0
    room = abs(bounds.full_information - bounds.blind) if bounds is not None else abs(before)
    heard = drop > max(STANDARD_ERRORS * error, MIN_EFFECT_SHARE * room)
    span = f"{number(before)} to {number(row['episode_return_mean'])}"
    change = f"falls from {span}" if heard else f"stays ({span})"
    return f"With messages of other episodes in their place the return {change}.", heard
