"""What kind of protocol numbers describe: whether messages vary, and whether they tell their senders' meanings."""

import enum
import math

from scipy.special import chdtrc

__all__ = ["Diagnosis", "diagnose"]

MIN_ENTROPY_SHARE = 0.1
MIN_INFORMATION_SHARE = 0.1
MIN_HEADROOM_SHARE = 0.01
MAX_P = 1e-3
"""Information counts where chance would reach it less often than that, in any of the groups that are looked at."""


class Diagnosis(enum.StrEnum):
    """Words for what the statistics of messages say by themselves.

    It takes more to say that a protocol is used: see `Word`.
    """

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
    num_groups: int = 1,
) -> Diagnosis:
    """SILENT: nothing is said. COLLAPSED: one message for all meanings, entropy below a tenth of that of the meanings.

    BABBLING: entropy without mutual information: above its baseline it has less than a tenth of what it could have
    above it, up to the smaller entropy. UNKNOWN: there are not two meanings to tell apart, or too few utterances, so
    that chance explains nearly all that could be told, or may explain what is. INFORMATIVE: none of these.
    `num_groups` says in how many groups of utterances one looks for any that tells something.
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
    p = p_by_chance(mutual_information_bits, baseline_bits=baseline_bits, num_utterances=num_utterances)
    return Diagnosis.INFORMATIVE if p < MAX_P / num_groups else Diagnosis.UNKNOWN


def p_by_chance(mutual_information_bits: float, *, baseline_bits: float, num_utterances: int) -> float:
    """How often messages that tell nothing have so much plug-in information, where their mean is `baseline_bits`.

    2 n ln(2) times such information has a chi-squared distribution, of as many degrees of freedom as its mean.
    """
    scale = 2 * num_utterances * math.log(2)
    return float(chdtrc(max(1.0, scale * baseline_bits), max(0.0, scale * mutual_information_bits)))
