"""How likely a team finds actions and messages: log-probabilities and entropies, in nats."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from heliograph import distributions
from heliograph.rollouts.rollout import Rollout
from heliograph.team.participation import Participation
from heliograph.team.parts import TeamParts
from heliograph.team.present_rows import PresentRows
from heliograph.types import Tree, map_tensors

__all__ = ["action_terms", "message_terms"]


def action_terms(
    team: TeamParts,
    rollout: Rollout,
    *,
    after: Callable[[str, slice], Tree],
    rows: Callable[[str, slice], PresentRows | None],
    presence: Mapping[str, Participation],
    done: Mapping[str, Tensor],
) -> distributions.Score:
    """Scores `[T, B, N]` of actions by role in a rollout, 0 where nobody acted.

    `after(policy, steps)` are hidden features `[t, B, A, H]` after listening, and `rows` those of the agents that are
    there alone, where they are known; `presence` are the steps in which any agent of a policy observes.
    """
    found: dict[str, dict[str, Tensor]] = {"log_prob": {}, "entropy": {}}
    for policy, seats in team.layout.seats.items():
        here = Participation(steps=presence[policy].steps[:-1])
        actions, masks = map_tensors(lambda leaf, span=here.span: leaf[span], (dict(done), rollout.action_mask))
        there, model = rows(policy, here.span), team.policies[policy].model
        taken: Callable[[Tree], Tree] = (lambda whole: whole) if there is None else there.taken
        score = distributions.score(
            seats.action_space,
            model.act(after(policy, here.span) if there is None else there.rows),
            taken(team.layout.gather(policy, actions, lead=2)),
            mask=taken(team.layout.action_mask(policy, masks, lead=2)),
        )
        for key, values in found.items():
            scored = getattr(score, key)
            whole = scored if there is None else there.alone(scored)
            values[policy] = here.padded(whole, num_steps=rollout.num_steps)
    assignment = None if rollout.assignment is None else rollout.assignment[:-1]
    whole = {key: team.layout.combine(values, lead=2, assignment=assignment) for key, values in found.items()}
    return distributions.Score(**{key: values * rollout.acting for key, values in whole.items()})


def message_terms(
    team: TeamParts,
    channel_inputs: tuple[Tensor, ...],
    *,
    draws: tuple[Tree, ...],
    speaking: Tensor,
    assignment: Tensor | None,
    with_entropy: bool,
) -> distributions.Score:
    """Log-probabilities and entropies of the messages of all rounds together, where they are actions.

    Zeros on other channels.
    """
    log_prob = entropy = torch.zeros(speaking.shape, device=speaking.device)
    if not team.channel.scored:
        return distributions.Score(log_prob=log_prob, entropy=entropy)
    for r, (channel_input, draw) in enumerate(zip(channel_inputs, draws, strict=True)):
        talking = speaking & team.talking(r, assignment)
        log_prob = log_prob + torch.where(talking, team.channel.log_prob(channel_input, draw), 0.0)
        if with_entropy:
            entropy = entropy + torch.where(talking, team.channel.entropy(channel_input), 0.0)
    return distributions.Score(log_prob=log_prob, entropy=entropy)
