"""What kind of protocol this is, cheaply: statistics of a rollout while training, and warnings of collapse.

Torch only. The baseline is the mutual information under one shuffle of the meanings: it hardly varies over shuffles.
"""

import dataclasses
import enum
import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from heliograph.rollout import Rollout

MIN_ENTROPY_SHARE = 0.1
MIN_INFORMATION_SHARE = 0.1
MIN_HEADROOM_SHARE = 0.01
MAX_CODES = 2**40
"""So many different rows are told apart before those that occur are numbered anew."""


class Diagnosis(enum.StrEnum):
    """What the statistics of messages say; the last line of a training log and the first of a report."""

    SILENT = "silent"
    COLLAPSED = "collapsed"
    BABBLING = "babbling"
    INFORMATIVE = "informative"
    UNKNOWN = "unknown"


def diagnose(
    entropy_bits: float | None, mutual_information_bits: float | None, *, baseline_bits: float, num_meanings: int
) -> Diagnosis:
    """SILENT: nothing is said. COLLAPSED: one message for all meanings, entropy below a tenth of log2(meanings).

    BABBLING: entropy without mutual information: above its baseline it has less than a tenth of what it could have
    above it, up to min(entropy, log2(meanings)). UNKNOWN: there are not two meanings to tell apart, or too few
    utterances, so that nearly all would be told by chance. INFORMATIVE: none of these.
    """
    if entropy_bits is None or math.isnan(entropy_bits):
        return Diagnosis.SILENT
    if num_meanings < 2 or mutual_information_bits is None:
        return Diagnosis.UNKNOWN
    possible = math.log2(num_meanings)
    if entropy_bits < MIN_ENTROPY_SHARE * possible:
        return Diagnosis.COLLAPSED
    told, most = mutual_information_bits - baseline_bits, min(entropy_bits, possible) - baseline_bits
    if most < MIN_HEADROOM_SHARE * possible:
        return Diagnosis.UNKNOWN
    return Diagnosis.BABBLING if told < MIN_INFORMATION_SHARE * most else Diagnosis.INFORMATIVE


def protocol_statistics(rollout: Rollout, *, groups: Int[Tensor, " N"] | None = None) -> dict[str, int | float]:
    """Entropy of the messages and their mutual information with the senders' meanings, in bits, of any rollout.

    Keys: `num_utterances`, `num_meanings`, and where anything was said `entropy_bits`, `mutual_information_bits`,
    `mutual_information_chance_bits` (with meanings shuffled once). All are means within `groups` (the policy
    of each slot, say; default one group) and rounds. Words count as a whole; vectors as the signs of their entries, so
    their information is a lower bound.
    """
    said, meant, group = _utterances(rollout, groups)
    if len(said) == 0:
        return {"num_utterances": 0, "num_meanings": 0}
    bits, (_, counts_by_chance) = _joint_bits(said, meant, group), _joint(said, _shuffled(meant, group), group)
    return {
        "num_utterances": len(said),
        "num_meanings": int(meant.max()) + 1,
        "entropy_bits": max(0.0, bits.said - bits.group),
        "mutual_information_bits": max(0.0, bits.said + bits.meant - bits.all - bits.group),
        "mutual_information_chance_bits": max(
            0.0, bits.said + bits.meant - _entropy_bits(counts_by_chance / len(said)) - bits.group
        ),
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class _JointBits:
    """Entropies of groups, of what is said and of what is meant, each together with its group, and of all three."""

    group: float
    said: float
    meant: float
    all: float


def _joint_bits(said: Int[Tensor, " n"], meant: Int[Tensor, " n"], group: Int[Tensor, " n"]) -> _JointBits:
    num_said, num_meant = (int(ids.max()) + 1 for ids in (said, meant))
    code, counts = _joint(said, meant, group)
    in_said = code // num_meant
    in_group = in_said // num_said
    in_meant = in_group * num_meant + code % num_meant
    sums = [ids.bincount(weights=counts) for ids in (in_group, in_said, in_meant)]
    of_group, of_said, of_meant, of_all = (_entropy_bits(part / len(said)) for part in (*sums, counts))
    return _JointBits(group=of_group, said=of_said, meant=of_meant, all=of_all)


def _joint(said: Int[Tensor, " n"], meant: Int[Tensor, " n"], group: Int[Tensor, " n"]) -> tuple[Tensor, Tensor]:
    """Which triples occur, as numbers, and how often each does."""
    num_said, num_meant = (int(ids.max()) + 1 for ids in (said, meant))
    code, counts = ((group * num_said + said) * num_meant + meant).unique(return_counts=True)
    return code, counts.double()


def _shuffled(meant: Int[Tensor, " n"], group: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Meanings shuffled within groups, always alike, so that statistics are decided by the rollout."""
    generator = torch.Generator(device=meant.device).manual_seed(0)
    chance = torch.rand(meant.shape, generator=generator, device=meant.device).argsort()
    found = torch.empty_like(meant)
    found[group.argsort(stable=True)] = meant[chance[group[chance].argsort(stable=True)]]
    return found


def _utterances(rollout: Rollout, groups: Int[Tensor, " N"] | None) -> tuple[Tensor, Tensor, Tensor]:
    spoke = rollout.speaking & rollout.valid.unsqueeze(-1)
    num_agents = spoke.shape[-1]
    group = torch.zeros(num_agents, dtype=torch.long) if groups is None else groups
    group = group.to(spoke.device).expand(spoke.shape)[spoke]
    said, meant, in_group = [], [], []
    for index, message in enumerate(m for m in rollout.messages if m.payload.shape[-1]):
        said.append(message.payload[spoke] > 0 if message.symbols is None else message.symbols[spoke])
        meant.append(rollout.meaning[spoke])
        in_group.append(group + index * num_agents)
    if not said:
        return group[:0], group[:0], group[:0]
    return _ids(torch.cat(said)), _ids(torch.cat(meant)), _dense(torch.cat(in_group))


def _ids(rows: Tensor) -> Int[Tensor, " n"]:
    """An integer for each row `[n, D]`, from 0 and without gaps; rows of few values are read as digits (fast)."""
    if rows.numel() == 0:
        return torch.zeros(len(rows), dtype=torch.long, device=rows.device)
    rows = rows.long()
    digits = rows - rows.amin(0)
    code, num_codes = torch.zeros(len(rows), dtype=torch.long, device=rows.device), 1
    for column, size in zip(digits.unbind(1), (digits.amax(0) + 1).tolist(), strict=True):
        if num_codes * size > MAX_CODES:
            code, num_codes = _dense(code), len(rows)
        code, num_codes = code * size + column, num_codes * size
    return _dense(code)


def _dense(ids: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    return ids.unique(return_inverse=True)[1]


def _entropy_bits(share: Float[Tensor, " k"]) -> float:
    return float(-torch.special.xlogy(share, share).sum()) / math.log(2)
