"""What kind of protocol numbers describe: whether messages vary, and whether they tell their senders' meanings."""

import enum
import math

__all__ = ["Diagnosis", "diagnose"]

MIN_ENTROPY_SHARE = 0.1
MIN_INFORMATION_SHARE = 0.1
MIN_HEADROOM_SHARE = 0.01
STANDARD_ERRORS = 6
"""Information counts that lies so far above what one shuffle of the meanings gives."""


class Diagnosis(enum.StrEnum):
    """What the statistics of messages say by themselves. It takes more to say that a protocol is used: see `Word`."""

    SILENT = "silent"
    COLLAPSED = "collapsed"
    BABBLING = "babbling"
    INFORMATIVE = "above_chance"
    UNKNOWN = "unknown"


def diagnose(
    entropy_bits: float | None,
    mutual_information_bits: float | None,
    *,
    baseline_bits: float,
    meaning_entropy_bits: float,
    num_utterances: int,
) -> Diagnosis:
    """SILENT: nothing is said. COLLAPSED: one message for all meanings, entropy below a tenth of that of the meanings.

    BABBLING: entropy without mutual information: above its baseline it has less than a tenth of what it could have
    above it, up to the smaller entropy. UNKNOWN: there are not two meanings to tell apart, or too few utterances, so
    that chance explains nearly all that could be told, or may explain what is. INFORMATIVE: none of these.
    """
    if entropy_bits is None or math.isnan(entropy_bits):
        return Diagnosis.SILENT
    if meaning_entropy_bits <= 0 or mutual_information_bits is None:
        return Diagnosis.UNKNOWN
    if entropy_bits < MIN_ENTROPY_SHARE * meaning_entropy_bits:
        return Diagnosis.COLLAPSED
    told = mutual_information_bits - baseline_bits
    most = min(entropy_bits, meaning_entropy_bits) - baseline_bits
    if most < MIN_HEADROOM_SHARE * meaning_entropy_bits:
        return Diagnosis.UNKNOWN
    if told < MIN_INFORMATION_SHARE * most:
        return Diagnosis.BABBLING
    surely = told > STANDARD_ERRORS * standard_error_by_chance(baseline_bits, num_utterances=num_utterances)
    return Diagnosis.INFORMATIVE if surely else Diagnosis.UNKNOWN


def standard_error_by_chance(baseline_bits: float, *, num_utterances: int) -> float:
    """How far plug-in information of messages that tell nothing strays, in bits, where its mean is `baseline_bits`.

    2 n ln(2) times such information has a chi-squared distribution, whose variance is twice its mean.
    """
    return math.sqrt(max(baseline_bits, 0.0) / (max(num_utterances, 1) * math.log(2)))
