"""Running statistics of observations and messages, which a learner moves once an update."""

from collections.abc import Sequence

import torch
from torch import Tensor

from heliograph.models.blocks import MessageNorm, leaf_tensors
from heliograph.rllib.peers import Peers
from heliograph.rollouts.rollout import Rollout
from heliograph.team.inputs import ages_in
from heliograph.team.policy import ObservationNormaliser
from heliograph.team.team import Team

__all__ = ["means_of", "track_statistics"]


@torch.no_grad()
def track_statistics(team: Team, rollout: Rollout, *, peers: Peers, trained: Sequence[str]) -> None:
    """Move the statistics that the trained policies normalise by towards those of a rollout, of all learners."""
    valid = rollout.valid.unsqueeze(-1)
    for name in trained:
        policy, slots = team.policies[name], team.layout.slots(name)
        if policy.normaliser is not None:
            _track_observations(name, policy.normaliser, rollout, rollout.observing[:, :, slots], team, peers)
        if policy.message_norms() and rollout.messages:
            payload = torch.stack([m.payload for m in rollout.messages])
            spoken = (rollout.speaking & valid).expand(len(rollout.messages), -1, -1, -1)
            for norm in policy.message_norms():
                _track_messages(norm, payload, spoken, rollout, peers)


def _track_messages(norm: MessageNorm, payload: Tensor, spoken: Tensor, rollout: Rollout, peers: Peers) -> None:
    """Track all messages, or, step by step, those that are heard in it: they were said in the step before."""
    if norm.num_steps is None:
        mean, variance, count = peers.moments(payload, spoken)
        if count > 0:
            norm.track(mean, variance)
        return
    heard_at = ages_in(rollout).unsqueeze(-1) + 1
    for step in range(1, norm.num_steps):
        mean, variance, count = peers.moments(payload, spoken & (heard_at == step))
        if count > 0:
            norm.track(mean, variance, step=step)


def _track_observations(
    name: str, normaliser: ObservationNormaliser, rollout: Rollout, mask: Tensor, team: Team, peers: Peers
) -> None:
    leaves = {role: leaf_tensors(seen) for role, seen in rollout.observations.items()}
    moments = {}
    for key in normaliser.axes:
        part = {role: found[key] for role, found in leaves.items() if key in found}
        seen = team.layout.gather(name, part, lead=2)
        moments[key] = peers.moments(normaliser.flat(key, seen), mask)
    normaliser.merge(moments)


def means_of(logged: list[dict[str, Tensor]]) -> dict[str, float]:
    """The mean of each term over all steps of an update; nothing where there were none."""
    if not logged:
        return {}
    means = torch.stack([torch.stack(list(terms.values())).float() for terms in logged]).mean(0)
    return dict(zip(logged[0], means.tolist(), strict=True))
