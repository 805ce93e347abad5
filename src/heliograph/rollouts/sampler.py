"""Runs a team in its environment and records what happens: fragments for training, whole episodes for evaluation."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from heliograph import distributions, functional
from heliograph.envs.base import FinalViews, TeamEnv
from heliograph.envs.checking import OF_TEAM, check_legal, check_values, check_view, guarded
from heliograph.isolation import isolated
from heliograph.rollouts.recording import Record
from heliograph.rollouts.rollout import Keeping, Rollout
from heliograph.rollouts.statistics import Episodes, episodes_of, info_at_end
from heliograph.team.state import Inbox, TeamState
from heliograph.team.team import Team
from heliograph.types import (
    Arrivals,
    Choice,
    Edges,
    Message,
    MessageForm,
    TeamStep,
    changed,
    map_tensors,
    own_state,
    where,
)

Assign = Callable[[int], Int[Tensor, "B N"]]
"""Draws who plays whom in that many new episodes: policy indices of each copy and slot.

One that has a random stream of its own has `get_state` and `set_state`, or resumed runs differ.
"""

EpisodeIntervention = Callable[[Message, TeamStep, Edges, Bool[Tensor, " B"]], Message]
"""Replaces the messages of a step: like a team's `Intervention`, but told also which copies are in the episode that
counts (the others play on, and their messages must not be mixed with those that count)."""


@runtime_checkable
class Restarting(Protocol):
    """An intervention that remembers what was said, and forgets it when all copies begin new episodes."""

    def restart(self) -> None:
        """Forget."""


@runtime_checkable
class OnEdges(Protocol):
    """An intervention that replaces what some hearers alone get: see `heliograph.team.draws.EdgeIntervention`."""

    def received(self, inbox: Inbox, arrivals: Arrivals, edges: Edges) -> Inbox:
        """Replace what lies in the inboxes after the messages of a round have arrived."""


MAX_EPISODE_STEPS = 10_000
SAMPLING = "sampling from the team"
"""How a call of a team's models, channel and topology is named; those of its environment are named apart."""


class Sampler:
    """Steps an environment with a team, `B` copies at once.

    `assign` redraws who plays whom when episodes start (None: it never changes). With `epsilon` the team's outputs
    are values, not logits, and what is sampled is epsilon-greedy. Where it is `tracing`, whole episodes that
    nothing cuts short keep what the team computed, with gradients, as their `trace`: for a learner of the same
    weights. Where it `asks_oracle`, rollouts say what the environment's scripted solver would have done. All
    randomness of the team comes from a generator of its own; `get_state` and `set_state` make sampling resumable
    bit by bit.
    """

    def __init__(
        self, env: TeamEnv, team: Team, *, seed: int = 0, assign: Assign | None = None, epsilon: float | None = None
    ):
        self.env, self.team, self.assign, self.epsilon = env, team, assign, epsilon
        env.final_views = FinalViews.TRUNCATED
        self.tracing = self.asks_oracle = False
        self.generator = distributions.stream_on(env.device)
        self.generator.manual_seed(seed)
        self._step: TeamStep | None = None
        self._state: TeamState | None = None
        self._returns = torch.zeros(env.num_envs, env.num_agents, device=env.device)
        self._lengths = torch.zeros(env.num_envs, dtype=torch.long, device=env.device)
        self._came = torch.zeros_like(self._returns, dtype=torch.bool)
        self._finished: list[tuple[Tensor, Episodes]] = []
        self._num_steps = 0

    def reset(self) -> None:
        """Start new episodes in all copies and forget unfinished ones."""
        with self._noting("at the reset before"), torch.no_grad():
            self._step = self.env.reset()
        assignment = None if self.assign is None else self.assign(self.env.num_envs).to(self.env.device)
        self._state = self.team.initial_state(self._step, assignment=assignment)
        for counted in (self._returns, self._lengths, self._came):
            counted.zero_()

    def fragment(
        self, num_steps: int, *, choice: Choice = Choice.SAMPLED, form: MessageForm = MessageForm.TRAINING
    ) -> Rollout:
        """The next `num_steps` steps of all copies, episodes restarting within."""
        with isolated(SAMPLING):
            if self._step is None:
                self.reset()
            record = Record(self._now[1], lengths=self._lengths, num_steps=num_steps)
            for _ in range(num_steps):
                self._move(record, choice=choice, form=form, intervention=None)
        return self._finish(record)

    def episodes(
        self,
        *,
        choice: Choice = Choice.SAMPLED,
        form: MessageForm = MessageForm.TRAINING,
        intervention: EpisodeIntervention | None = None,
        keeping: Keeping = Keeping.SEEN,
    ) -> Rollout:
        """One whole episode of every copy, from a joint reset; `valid` is False after an episode's end."""
        with isolated(SAMPLING):
            rollout = self._finish(self._played(choice, form, intervention, keeping))
        self._state = map_tensors(torch.detach, self._state)
        return rollout

    def _played(
        self, choice: Choice, form: MessageForm, intervention: EpisodeIntervention | None, keeping: Keeping
    ) -> Record:
        self.reset()
        if isinstance(intervention, Restarting):
            intervention.restart()
        record = Record(self._now[1], lengths=self._lengths, keeping=keeping, channel=self.team.channel)
        alive = torch.ones(self.env.num_envs, dtype=torch.bool, device=self.env.device)
        bounded = self.env.horizon or self.env.time_limit
        limit = bounded or MAX_EPISODE_STEPS
        for _ in range(limit):
            over = self._move(record, choice=choice, form=form, intervention=intervention, alive=alive)
            alive = alive & ~over
            if functional.surely_none(alive) or (not bounded and not bool(alive.any())):
                break
        if bool(alive.any()):
            raise ValueError(f"episodes did not end within {limit} env steps: set time_limit= on the environment")
        return record

    @torch.no_grad()
    def _finish(self, record: Record) -> Rollout:
        """The rollout, once its numbers are known to be sound."""
        rollout = record.finish(*self._now, static=self._static_edges())
        rewards, roles = {"reward": rollout.rewards}, self.env.roles
        check_values(roles, rollout.observations, rewards, own_state(rollout), when=record.when)
        check_legal(roles, rollout.action_mask, rollout.acting & rollout.valid.unsqueeze(-1), when=record.when)
        if rollout.final_observations is not None:
            check_values(roles, rollout.final_observations, {}, own_state(rollout, "final_state"), when=record.when)
        return rollout

    def take_finished(self) -> Episodes:
        """The episodes that ended since the last call."""
        done, self._finished = [_kept(episodes, over) for over, episodes in self._finished], []
        if not done:
            none = torch.zeros(0, device=self.env.device)
            nobody = torch.zeros(0, self.env.num_agents)
            return Episodes(agent_returns=nobody, present=nobody.bool(), lengths=none.long(), success=none)
        return map_tensors(lambda *leaves: torch.cat(leaves), done[0], *done[1:])

    def get_state(self) -> dict[str, Any]:
        """Everything that decides what will be sampled next (weights apart)."""
        return {
            "env": self.env.get_state() if self.env.resumable else None,
            "generator": self.generator.get_state(),
            "started": self._step is not None,
            "team": map_tensors(torch.clone, self._state),
            "returns": self._returns.clone(),
            "lengths": self._lengths.clone(),
            "came": self._came.clone(),
            "num_steps": self._num_steps,
            "assign": getattr(self.assign, "get_state", lambda: None)(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue where `get_state` was called; environments that cannot be saved start new episodes."""
        self.generator.set_state(state["generator"])
        self._num_steps = state["num_steps"]
        if state["assign"] is not None:
            self.assign.set_state(state["assign"])  # type: ignore[union-attr]
        if not state["started"] or state["env"] is None:
            self._step = self._state = None
            return
        self.env.set_state(state["env"])
        self._step = self.env.view()
        self._state = self.team.adopted(map_tensors(torch.clone, state["team"]))
        self._returns, self._lengths = state["returns"].clone(), state["lengths"].clone()
        self._came = state["came"].clone()

    @property
    def _now(self) -> tuple[TeamStep, TeamState]:
        if self._step is None or self._state is None:
            raise RuntimeError("call reset() first")
        return self._step, self._state

    @contextlib.contextmanager
    def _noting(self, doing: str) -> Iterator[None]:
        """Add to an exception where it came from: this many steps after the sampler was made."""
        try:
            yield
        except (Exception, SystemExit) as error:
            error.add_note(f"{doing} env step {self._num_steps + 1} of {type(self.env).__name__}")
            raise

    def _check_now(self, seen: TeamStep, record: Record) -> None:
        """Look at what will not be kept."""
        observations, state = map_tensors(lambda x: x.unsqueeze(0), (seen.observations, own_state(seen)))
        time = record.num_steps
        check_values(self.env.roles, observations, {}, state, when=lambda _, copy: record.when(time, copy))

    @contextlib.contextmanager
    def _blaming(self, seen: TeamStep, record: Record) -> Iterator[None]:
        """Look first, where a team cannot act, whether what it was shown breaks the contract."""
        try:
            yield
        except Exception:
            when = f"step {record.num_steps} of this rollout"
            check_view(self.env.roles, seen, num_envs=self.env.num_envs, when=when)
            raise

    def _static_edges(self) -> bool:
        return self.team.silent or (self.team.topology.static and self._now[0].hearing is None)

    def _move(
        self, record: Record, *, choice: Choice, form: MessageForm, intervention: EpisodeIntervention | None,
        alive: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        seen, state = self._now
        if alive is not None:  # what copies say after their episode must not enter statistics of the messages of a step
            seen = changed(seen, speaking=seen.speaking & alive.unsqueeze(1))
        if record.keeping is Keeping.SAID:
            self._check_now(seen, record)
        record.see(seen)
        told = None if intervention is None else _Told(intervention, alive)
        with self._noting(f"{OF_TEAM} chose its messages and actions in"), self._blaming(seen, record):
            with torch.set_grad_enabled(self.tracing):
                acted = self.team.step(
                    seen, state, generator=self.generator, choice=choice, form=form, intervention=told,
                    epsilon=self.epsilon,
                )  # fmt: skip
        with self._noting("in"), torch.no_grad():
            oracle = self._asked_oracle() if self.asks_oracle else None
            step = self.env.step(acted.actions)
        self._num_steps += 1
        record.add(state, acted, step, alive, oracle)
        self._count(seen, step, alive)
        ended = step.terminated | step.truncated
        self._step, self._state = step, self.team.cut(acted.state, ended, acted.edges)
        if self.tracing and self.team.detaches_after(record.num_steps):
            self._state = map_tensors(torch.detach, self._state)
        if self.assign is not None:
            new = self.assign(self.env.num_envs).to(self.env.device)
            self._state.assignment = where(step.episode_over, new, self._state.assignment)
        return step.episode_over

    def _asked_oracle(self) -> dict[str, Tensor]:
        with guarded(self.env, "oracle"):
            return self.env.oracle(self.env.state)

    def _count(self, seen: TeamStep, step: TeamStep, alive: Tensor | None) -> None:
        self._returns += step.rewards
        self._came |= seen.observing | (step.rewards != 0)
        self._lengths += 1
        over = step.episode_over if alive is None else step.episode_over & alive
        if not functional.surely_none(over):
            unknown = torch.full((len(over),), float("nan"), device=over.device)
            success = step.info["success"].float() if "success" in step.info else unknown
            present = self._came | self.env.counts_absent
            info = {key: value.clone() for key, value in info_at_end(step.info, lead=1).items()}
            ended = Episodes(
                agent_returns=self._returns, present=present, lengths=self._lengths, success=success, info=info
            )
            self._finished.append((over, ended))
        self._came = self._came & ~step.episode_over.unsqueeze(1)
        self._returns = self._returns.masked_fill(step.episode_over.unsqueeze(1), 0.0)
        self._lengths = self._lengths.masked_fill(step.episode_over, 0)


class _Told:
    """An intervention that is told which copies are in the episode that counts."""

    def __init__(self, inner: EpisodeIntervention, alive: Any):
        self._inner, self._alive = inner, alive

    def __call__(self, message: Message, step: TeamStep, edges: Edges) -> Message:
        """Replace what was said."""
        return self._inner(message, step, edges, self._alive)

    def received(self, inbox: Inbox, arrivals: Arrivals, edges: Edges) -> Inbox:
        """Replace what single hearers get, where the intervention does."""
        return self._inner.received(inbox, arrivals, edges) if isinstance(self._inner, OnEdges) else inbox


def _kept(episodes: Episodes, over: Bool[Tensor, " B"]) -> Episodes:
    return map_tensors(lambda leaf: leaf[over], episodes)


def spoken(message: Message) -> Tensor:
    """Return what was said, to be compared: symbols where there are any, else the vector."""
    return message.payload if message.symbols is None else message.symbols


def play_episodes(
    sampler: Sampler,
    num_episodes: int,
    *,
    choice: Choice = Choice.GREEDY,
    form: MessageForm = MessageForm.EXECUTION,
    intervention: EpisodeIntervention | None = None,
    keeping: Keeping = Keeping.SEEN,
) -> tuple[Episodes, list[Rollout]]:
    """Play exactly `num_episodes` episodes, assigned to copies beforehand so that short ones are not favoured."""
    how: Any = {"choice": choice, "form": form, "intervention": intervention, "keeping": keeping}
    rollouts = list(rounds(sampler, num_episodes, **how))
    return episodes_of(rollouts, counts_absent=sampler.env.counts_absent), rollouts


def rounds(
    sampler: Sampler,
    num_episodes: int,
    *,
    choice: Choice = Choice.GREEDY,
    form: MessageForm = MessageForm.EXECUTION,
    intervention: EpisodeIntervention | None = None,
    keeping: Keeping = Keeping.SEEN,
) -> Iterator[Rollout]:
    """The same, an episode of every copy at a time: where all that is seen in many would not fit into memory."""
    sampler.take_finished()
    for begun in range(0, num_episodes, sampler.env.num_envs):
        counted = min(num_episodes - begun, sampler.env.num_envs)
        how: Any = {"choice": choice, "form": form, "intervention": intervention, "keeping": keeping}
        yield sampler.episodes(**how).first(counted)
        sampler.take_finished()
