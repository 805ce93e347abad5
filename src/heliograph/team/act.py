"""A team acts: what it sees is encoded, it moves one step, and actions are drawn."""

import torch
from torch import Tensor

from heliograph import distributions
from heliograph.team.draws import FreshDraws, Intervention
from heliograph.team.inbox import StepMasks
from heliograph.team.inputs import Past, inputs_of, remembered
from heliograph.team.log_probs import message_terms
from heliograph.team.participation import all_observe, present_now
from heliograph.team.parts import TeamParts
from heliograph.team.present_rows import present_rows, worth_packing
from heliograph.team.state import Acted, StepOutput, TeamState
from heliograph.team.step import step
from heliograph.types import Choice, Edges, MessageForm, TeamStep, Tree, held

__all__ = ["act"]


def act(
    team: TeamParts,
    seen: TeamStep,
    state: TeamState,
    *,
    generator: torch.Generator | None,
    choice: Choice,
    form: MessageForm,
    intervention: Intervention | None,
    epsilon: float | None,
) -> Acted:
    """Move once; gradients of what is computed (not of what is drawn) are recorded where they are enabled."""
    edges, explored = team.edges(seen), epsilon if choice is Choice.SAMPLED else None
    everyone = all_observe(seen.observing)[0]
    masks = StepMasks(
        observing=seen.observing, speaking=seen.speaking, edges=edges, assignment=state.assignment, everyone=everyone
    )
    draws = FreshDraws(
        seen, edges, generator=generator, choice=choice, form=form, epsilon=explored, intervention=intervention
    )
    out = step(team, encoded(team, seen, state), state, masks, draws)
    with torch.no_grad():
        acted = with_actions(team, out, seen, edges, choice=choice, generator=generator, epsilon=explored)
        acted.state = remembered(team.layout, acted, seen, symbols=out.symbols, vocabulary=team.channel.vocabulary)
    acted.computed = out if torch.is_grad_enabled() else None
    return acted


def encoded(team: TeamParts, seen: TeamStep, state: TeamState) -> dict[str, Tree | None]:
    """Encoded observations of the policies that have any; None for the others."""
    past = Past(last_action=state.last_action, last_message=state.last_message)
    found: dict[str, Tree | None] = dict.fromkeys(team.layout.policies)
    for policy, here in present_now(seen.observing, team.layout).items():
        if here:
            inputs = inputs_of(
                team.layout, policy, observations=seen.observations, past=past, state=held(seen, "state"), lead=1
            )
            network, observing = team.policies[policy], seen.observing[:, team.layout.slots(policy)]
            if worth_packing(network.model, observing):
                found[policy] = present_rows(network, inputs, observing)
            else:
                found[policy] = network.encode(inputs)
    return found


def with_actions(
    team: TeamParts, out: StepOutput, seen: TeamStep, edges: Edges, *, choice: Choice,
    generator: torch.Generator | None, epsilon: float | None,
) -> Acted:  # fmt: skip
    """Draw the actions of a step, and score them and its messages."""
    actions: dict[str, Tensor] = {}
    log_probs: dict[str, Tensor] = {}
    for policy, seats in team.layout.seats.items():
        inputs = team.policies[policy].model.act(out.after[policy])
        mask = team.layout.action_mask(policy, seen.action_mask, lead=1)
        if epsilon is not None:
            inputs = distributions.epsilon_greedy(inputs, epsilon=epsilon, mask=mask)
        actions[policy] = distributions.sample(
            seats.action_space, inputs, choice=choice, generator=generator, mask=mask
        )
        log_probs[policy] = distributions.log_prob(seats.action_space, inputs, actions[policy], mask=mask)
    assignment = out.state.assignment
    said = message_terms(
        team, out.channel_inputs, draws=out.draws, speaking=seen.speaking, assignment=assignment, with_entropy=False
    )
    return Acted(
        actions=team.layout.by_role(actions, lead=1, assignment=assignment),
        action_log_prob=team.layout.combine(log_probs, lead=1, assignment=assignment) * seen.acting,
        message_log_prob=said.log_prob,
        draws=out.draws,
        messages=out.messages,
        listening=out.listening,
        edges=edges,
        state=out.state,
    )
