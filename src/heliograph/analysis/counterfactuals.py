"""What hearers would do if one message had been another: a recorded rollout is played to its team once more.

In each step in which the sender spoke, its message alone is replaced, all else stays as recorded, and the team moves on
until the message is read. The step is the one that sampling and learning run (`heliograph.team.step`).
"""

import dataclasses
from collections.abc import Iterator, Sequence

import torch
from gymnasium import spaces
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph import distributions
from heliograph.analysis.arrivals import arrived, times_of_arrival
from heliograph.analysis.candidate_messages import Candidates
from heliograph.analysis.utterances import edges_of
from heliograph.rollouts.rollout import Rollout
from heliograph.team.draws import RecordedDraws
from heliograph.team.inbox import RecordedStep, by_step, recorded_steps
from heliograph.team.participation import presence_in
from heliograph.team.state import StepOutput, TeamState
from heliograph.team.step import step
from heliograph.team.team import Team
from heliograph.team.unroll import recorded_features, replayed
from heliograph.types import Message, Timing, changed

__all__ = ["Moments", "moments_in"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """One row for each message of the sender that the hearer read and then acted on, in one rollout.

    `actions` [n, W, A] is how likely it acts with the message replaced by each of W, `silenced` [n, A] if the sender
    had not spoken, `zeroed` [n, A] if zeros had arrived. `said` is which of the W was said (-1: none of them), `says`
    [n, W] how likely the sender was to say each (None: unknown). `time`, `copy`: when and where it was said.
    """

    actions: Float[Tensor, "n W A"]
    silenced: Float[Tensor, "n A"]
    zeroed: Float[Tensor, "n A"]
    said: Int[Tensor, " n"]
    says: Float[Tensor, "n W"] | None
    time: Int[Tensor, " n"]
    copy: Int[Tensor, " n"]


@torch.no_grad()
def moments_in(
    team: Team, rollout: Rollout, *, sender: int, hearer: int, candidates: Candidates, round_index: int = 0,
    has_odds: bool = True,
) -> Moments:  # fmt: skip
    """Ask the team of a rollout of whole episodes, by slots of sender and hearer; `has_odds`: outputs are no values.

    Raises ValueError for hearers whose actions are real numbers: they have no table of probabilities.
    """
    question = _Question(team, rollout, sender=sender, hearer=hearer, round_index=round_index, has_odds=has_odds)
    rows = question.rows()
    time, copy = rows.nonzero(as_tuple=True)
    variants = [*candidates.payload, None, torch.zeros_like(candidates.payload[0])]
    found = torch.stack([question.answers(rows, variant) for variant in variants], 1)
    index = candidates.index_of(rollout.messages[round_index], sender)
    return Moments(
        actions=found[:, : len(candidates)], silenced=found[:, -2], zeroed=found[:, -1], said=index[time, copy],
        says=question.says(candidates, rows), time=time, copy=copy,
    )  # fmt: skip


class _Question:
    """One sender and one hearer in one rollout, recomputed once."""

    def __init__(
        self, team: Team, rollout: Rollout, *, sender: int, hearer: int, round_index: int, has_odds: bool
    ):  # fmt: skip
        self.team, self.rollout, self.round_index, self.has_odds = team, rollout, round_index, has_odds
        self.sender, self.hearer = sender, hearer
        self.serving = [p for p, seats in team.layout.seats.items() if hearer in seats.slots]
        space = team.layout.seats[self.serving[0]].action_space
        if isinstance(space, spaces.Box):
            raise ValueError(f"the hearer's actions are real numbers ({space}): they have no table of probabilities")
        early = all(team.policies[p].model.timing is Timing.NEXT_STEP for p in self.serving)
        self.lag = team.channel.delay_env_steps + int(early and round_index == 0)
        self.recorded, self.said = recorded_steps(rollout), by_step(rollout.messages)
        self.features = recorded_features(team, rollout, presence_in(rollout, team.layout))
        steps = list(replayed(team, rollout, self.features, lambda now: self._draws(now, self.said[now.time])))
        self.before = [rollout.initial, *(step.state for step in steps[:-1])]
        self.channel_inputs = [step.output.channel_inputs[round_index] for step in steps]

    def rows(self) -> Bool[Tensor, "T B"]:
        """The steps and copies in which the sender said something that the hearer read, and acted on."""
        rollout, steps = self.rollout, self.rollout.num_steps
        spoke = rollout.speaking[..., self.sender] & rollout.valid & self.team.talks[self.sender]
        arrives = times_of_arrival(
            arrived(self.team, rollout)[self.round_index], delay_env_steps=self.team.channel.delay_env_steps
        )
        acts = rollout.acting[..., self.hearer] & rollout.observing[:-1, :, self.hearer] & rollout.valid
        ended = (rollout.terminated | rollout.truncated)[..., [self.sender, self.hearer]].any(-1)
        found = spoke & (arrives[..., self.sender] >= 0) & self._hears()
        for k in range(self.lag + 1):
            found = found & _later(acts if k == self.lag else ~ended, k)
        return found if steps else spoke

    def _hears(self) -> Bool[Tensor, "T B"]:
        """Tell whether the edges let the hearer hear the sender when the message arrives."""
        edges, rollout = edges_of(self.rollout), self.rollout
        mask = edges.mask[..., self.hearer, :]
        from_sender = torch.arange(mask.shape[-1], device=mask.device) == self.sender
        if edges.senders is not None:
            from_sender = edges.senders[..., self.hearer, :] == self.sender
        return _later((mask & from_sender).any(-1).expand(rollout.valid.shape), self.team.channel.delay_env_steps)

    def answers(self, rows: Bool[Tensor, "T B"], payload: Float[Tensor, " P"] | None) -> Float[Tensor, "n A"]:
        """How likely the hearer acts in each way in some rows, with this message in the place of the sender's."""
        found = []
        for time in rows.any(1).nonzero().squeeze(1).tolist():
            *_, last = self._moved_on(time, payload)
            found.append(self._action_probabilities(last, time + self.lag)[rows[time]])
        return torch.cat(found) if found else self._nothing()

    def _nothing(self) -> Float[Tensor, "0 A"]:
        space = self.team.layout.seats[self.serving[0]].action_space
        return torch.zeros(0, _num_actions(space), dtype=torch.double)

    def _moved_on(self, time: int, payload: Float[Tensor, " P"] | None) -> Iterator[StepOutput]:
        """The team's steps from the one in which the message is replaced to the one in which it is read."""
        state: TeamState = self.before[time]
        for now in self.recorded[time : time + self.lag + 1]:
            messages, masks = self.said[now.time], now.masks
            if now.time == time and payload is None:
                speaking = masks.speaking.clone()
                speaking[:, self.sender] = False
                masks = dataclasses.replace(masks, speaking=speaking)
            elif now.time == time and payload is not None:
                messages = self._replaced(messages, payload)
            state = dataclasses.replace(state, assignment=masks.assignment)
            out = step(self.team, self.features[now.time], state, masks, self._draws(now, messages))
            state = self.team.cut(out.state, now.ended, masks.edges)
            yield out

    def _draws(self, now: RecordedStep, messages: Sequence[Message]) -> RecordedDraws:
        return RecordedDraws(now.draws, now.listening, messages=messages)

    def _replaced(self, messages: tuple[Message, ...], payload: Float[Tensor, " P"]) -> tuple[Message, ...]:
        said = messages[self.round_index]
        mine = torch.arange(said.payload.shape[-2], device=payload.device).unsqueeze(-1) == self.sender
        other = changed(said, payload=torch.where(mine, payload.to(said.payload.dtype), said.payload))
        return (*messages[: self.round_index], other, *messages[self.round_index + 1 :])

    def _action_probabilities(self, out: StepOutput, time: int) -> Float[Tensor, "B A"]:
        layout, masks = self.team.layout, self.rollout.action_mask
        legal = None if masks is None else {role: mask[time] for role, mask in masks.items()}
        chosen = None
        for policy in self.serving:
            seats = layout.seats[policy]
            place = seats.slots.index(self.hearer)
            inputs = self.team.policies[policy].model.act(out.after[policy])[:, place]
            mask = layout.action_mask(policy, legal, lead=1)
            table = _table(seats.action_space, inputs, None if mask is None else mask[:, place], has_odds=self.has_odds)
            assignment = self.recorded[time].masks.assignment
            mine = None if assignment is None else assignment[:, self.hearer] == layout.policies.index(policy)
            chosen = table if chosen is None or mine is None else torch.where(mine.unsqueeze(-1), table, chosen)
        assert chosen is not None
        return chosen

    def says(self, candidates: Candidates, rows: Bool[Tensor, "T B"]) -> Float[Tensor, "n W"] | None:
        """How likely the sender was to say each of the candidates; None where its channel cannot tell."""
        if candidates.words is None or not self.has_odds or self.team.channel.spelling is not None:
            return None
        channel_inputs = torch.stack([channel_input[:, self.sender] for channel_input in self.channel_inputs])[rows]
        try:
            logs = self.team.channel.symbol_log_probs(channel_inputs).double()
        except NotImplementedError:
            return None
        words = candidates.words.to(logs.device)
        each = logs.unsqueeze(1).expand(-1, len(words), -1, -1)
        found = each.gather(-1, words.expand(len(logs), -1, -1).unsqueeze(-1)).squeeze(-1)
        if self.team.channel.can_be_silent:  # the gate is one choice for the whole message
            gate = torch.logsumexp(logs[..., 1:], -1)
            found = torch.where(words > 0, found - gate.unsqueeze(1), found)
            first = torch.where(words[:, 0] > 0, gate[:, :1], 0.0)
            silent = (words == 0).all(-1)
            return torch.where(silent, logs[:, :1, 0], found.sum(-1) + first).exp()
        return found.sum(-1).exp()


def _later(flags: Bool[Tensor, "T B"], by: int) -> Bool[Tensor, "T B"]:
    """The flags of so many steps later; False past the end."""
    return torch.cat([flags[by:], torch.zeros_like(flags[:by])])[: len(flags)]


def _num_actions(space: spaces.Space) -> int:
    number = 1
    for part in distributions.num_choices(space):
        number *= part
    return number


def _table(
    space: spaces.Space, inputs: Float[Tensor, "B D"], mask: Bool[Tensor, "B D"] | None, *, has_odds: bool
) -> Float[Tensor, "B A"]:
    """The probabilities of all actions, of several parts jointly; of values the best action has all of it."""
    if mask is not None:
        inputs = torch.where(mask, inputs, distributions.MASKED_LOGIT)
    joint = inputs.new_ones(len(inputs), 1, dtype=torch.double)
    for part in inputs.double().split(distributions.num_choices(space), -1):
        best = torch.nn.functional.one_hot(part.argmax(-1), part.shape[-1]).double()
        joint = (joint.unsqueeze(-1) * (part.softmax(-1) if has_odds else best).unsqueeze(-2)).flatten(-2)
    return joint
