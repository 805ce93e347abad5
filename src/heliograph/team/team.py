"""A team: policies, a channel and a topology, run together.

`step` moves a team once and samples; `unroll` recomputes a rollout from its recorded draws, with gradients from
listener to speaker and through time. Both run the same step (`heliograph.team.step`), so they agree to rounding.
"""

from collections.abc import Mapping
from typing import final

import torch

from heliograph.rollouts.rollout import Rollout
from heliograph.team.act import act
from heliograph.team.draws import Intervention
from heliograph.team.participation import Participation
from heliograph.team.parts import TeamParts
from heliograph.team.state import Acted, TeamState
from heliograph.team.unroll import Unrolled, traced, unroll
from heliograph.types import Choice, MessageForm, TeamStep

__all__ = ["Intervention", "Team"]


@final
class Team(TeamParts):
    """Policies, a channel and a topology, run together; see the module docstring."""

    def step(
        self,
        step: TeamStep,
        state: TeamState,
        *,
        generator: torch.Generator | None = None,
        choice: Choice = Choice.SAMPLED,
        form: MessageForm = MessageForm.TRAINING,
        intervention: Intervention | None = None,
        epsilon: float | None = None,
    ) -> Acted:
        """Move once: perceive, talk, act. Draws come from `generator`; `choice` and `form` are chosen apart.

        With `epsilon` the outputs are values, and what is sampled is epsilon-greedy, actions and messages apart.
        Gradients of what is computed (not of what is drawn) are recorded where they are enabled.
        """
        return act(
            self, step, state, generator=generator, choice=choice, form=form, intervention=intervention, epsilon=epsilon
        )

    def unroll(
        self, rollout: Rollout, *, presence: Mapping[str, Participation] | None = None, as_heard: bool = False
    ) -> Unrolled:
        """Recompute a rollout from its draws, with gradients through channel and time; `presence` where it is known.

        With `as_heard` messages are heard as they were then, and not as they would be said under the present weights.
        """
        return unroll(self, rollout, presence=presence, as_heard=as_heard)

    def traced(self, rollout: Rollout) -> Unrolled:
        """Result of `unroll`, from the trace of a rollout of whole episodes that this team has just sampled."""
        return traced(self, rollout)
