"""How likely a team finds what it did in a rollout: log-probabilities and entropies of actions and messages."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from heliograph import distributions
from heliograph.rollout import Rollout
from heliograph.types import Tree, map_tensors
from heliograph.unrolled import Presence, Scores, Unrolled

if TYPE_CHECKING:
    from heliograph.models.team import Team

__all__ = ["explored_words", "message_terms", "of_actions", "scores_of"]


def explored_words(team: "Team", intent: Tensor, *, epsilon: float) -> Tensor:
    """Intents that make messages epsilon-greedy, where messages are symbols that are chosen."""
    if not team.spells:
        return intent
    words = intent.unflatten(-1, (team.channel.length, -1))
    return distributions.epsilon_greedy(words, epsilon=epsilon).flatten(-2)


def scores_of(team: "Team", rollout: Rollout, unrolled: Unrolled) -> Scores:
    """Scores `[T, B, N]` of recorded actions and messages under recomputed features and intents."""
    actions = of_actions(team, rollout, unrolled, done=rollout.actions)
    assignment = None if rollout.assignment is None else rollout.assignment[:-1]
    messages = message_terms(
        team, unrolled.intents, draws=rollout.draws, speaking=rollout.speaking, assignment=assignment, with_entropy=True
    )
    return Scores(
        action_log_prob=actions.log_prob,
        action_entropy=actions.entropy,
        message_log_prob=messages.log_prob,
        message_entropy=messages.entropy,
    )


def of_actions(team: "Team", rollout: Rollout, unrolled: Unrolled, *, done: dict[str, Tensor]) -> distributions.Score:
    """Scores `[T, B, N]` of actions by role, 0 where nobody acted."""
    found: dict[str, dict[str, Tensor]] = {"log_prob": {}, "entropy": {}}
    for policy, seats in team.layout.seats.items():
        here = Presence(steps=unrolled.presence[policy].steps[:-1])
        actions, masks = map_tensors(lambda leaf, span=here.span: leaf[span], (done, rollout.action_mask))
        score = distributions.score(
            seats.action_space,
            team.policies[policy].model.act(unrolled.after_in(policy, here.span)),
            team.layout.gather(policy, actions, lead=2),
            mask=team.layout.action_mask(policy, masks, lead=2),
        )
        for key, values in found.items():
            values[policy] = here.padded(getattr(score, key), num_steps=rollout.num_steps)
    assignment = None if rollout.assignment is None else rollout.assignment[:-1]
    whole = {key: team.layout.combine(values, lead=2, assignment=assignment) for key, values in found.items()}
    return distributions.Score(**{key: values * rollout.acting for key, values in whole.items()})


def message_terms(
    team: "Team",
    intents: tuple[Tensor, ...],
    *,
    draws: tuple[Tree, ...],
    speaking: Tensor,
    assignment: Tensor | None,
    with_entropy: bool,
) -> distributions.Score:
    """Of the messages of all rounds together, where they are actions; zeros on other channels."""
    log_prob = entropy = torch.zeros(speaking.shape, device=speaking.device)
    if not team.channel.scored:
        return distributions.Score(log_prob=log_prob, entropy=entropy)
    for r, (intent, draw) in enumerate(zip(intents, draws, strict=True)):
        talking = speaking & team.talking(r, assignment)
        log_prob = log_prob + torch.where(talking, team.channel.log_prob(intent, draw), 0.0)
        if with_entropy:
            entropy = entropy + torch.where(talking, team.channel.entropy(intent), 0.0)
    return distributions.Score(log_prob=log_prob, entropy=entropy)
