"""Who knows what a speaker knows: what the actions of each agent tell of it, partner and eavesdropper alike."""

import dataclasses

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Bool, Int

from heliograph.analysis.evaluate import Played
from heliograph.analysis.measures.base import ids_of
from heliograph.analysis.measures.permutation_baseline import permutation_baseline
from heliograph.experiments.choices import EnvFacts
from heliograph.registry import UnknownNameError
from heliograph.rollouts.rollout import Rollout

__all__ = ["Known", "known_by_actions"]

NUM_PERMUTATIONS = 200


@dataclasses.dataclass(frozen=True, kw_only=True)
class Known:
    """Bits that an agent's actions tell of a speaker's meaning, what as many actions tell by chance, their number."""

    bits: float
    chance_bits: float
    p_value: float
    num_actions: int


def known_by_actions(played: Played, facts: EnvFacts, *, speaker: str, last_step: bool = True) -> dict[str, Known]:
    """Return what every other agent that chooses among actions does, beside what the speaker means in the same step.

    With `last_step` only the last action of an agent in each episode counts: those of one episode are not independent,
    and the first may come before anything was heard. Agents that never choose while the speaker means anything are
    left out.
    """
    if speaker not in facts.agents:
        raise UnknownNameError(what="agent", name=speaker, valid=list(facts.agents))
    found: dict[str, Known] = {}
    for role in facts.roles:
        for place, agent in enumerate(role.agents):
            if agent == speaker or isinstance(role.action_space, spaces.Box):
                continue
            pairs = [
                _pairs(rollout, facts, speaker, agent, (role.name, place), last_step=last_step)
                for rollout in played.rollouts
            ]
            did, meant = (np.concatenate(part) for part in zip(*pairs, strict=True))
            if len(did):
                found[agent] = _known(did, meant)
    return found


def _pairs(
    rollout: Rollout, facts: EnvFacts, speaker: str, agent: str, where: tuple[str, int], *, last_step: bool
) -> tuple[Int[np.ndarray, "n _"], Int[np.ndarray, "n Z"]]:
    """Actions and meanings, in the steps that count."""
    one, other = facts.agents.index(speaker), facts.agents.index(agent)
    meaning = rollout.meaning[: rollout.num_steps, :, one]
    counts = rollout.valid & rollout.acting[..., other] & (meaning >= 0).any(-1)
    keep = _last(counts) if last_step else counts
    did = rollout.actions[where[0]][:, :, where[1]].unsqueeze(-1).flatten(2)
    return did[keep].numpy(force=True), meaning[keep].numpy(force=True)


def _last(counts: Bool[torch.Tensor, "T B"]) -> Bool[torch.Tensor, "T B"]:
    """The last step that counts in each episode."""
    after = counts.flip(0).long().cumsum(0).flip(0)
    return counts & (after == 1)


def _known(did: np.ndarray, meant: np.ndarray) -> Known:
    told = permutation_baseline(ids_of(did), ids_of(meant), num_permutations=NUM_PERMUTATIONS, seed=0)
    return Known(bits=told.observed_bits, chance_bits=told.mean_bits, p_value=told.p_value, num_actions=len(did))
