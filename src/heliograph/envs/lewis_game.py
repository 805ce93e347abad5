"""What Lewis games share: a sender sees an object and speaks, then receivers, which do not see it, give an answer."""

import dataclasses
from abc import abstractmethod
from typing import TypeVar, Unpack

import numpy as np
import torch
import torch.nn.functional as F
from gymnasium import spaces
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.checks import check_choice, check_positive
from heliograph.envs.base import BaseSettings, EnvState, Outcome, TeamEnv, View
from heliograph.envs.lewis_objects import Objects, make_objects
from heliograph.envs.lewis_scene import lewis_scene
from heliograph.envs.scene import Scene
from heliograph.types import Bounds, Role

__all__ = ["LewisGame", "LewisSettings", "LewisState"]

OBSERVATIONS = ("flat", "image")
STEPS = 2
"""Env steps in a round: one to speak, one to answer."""


class LewisSettings(BaseSettings, total=False):
    """Settings of all Lewis games: which objects there are, which of them are drawn, and who plays how often."""

    objects: str
    attributes: int | None
    values: int | None
    objects_seed: int
    split: str
    held_out: str | None
    held_out_share: float | None
    listeners: int
    rounds: int
    exchange: bool
    observation: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class LewisState(EnvState):
    """The object of each round by number, the slot that speaks first, env steps, rounds in which all were right.

    `chosen` holds the last answers of the episode, -1 before; D numbers are an answer.
    """

    object: Int[Tensor, "B R"]
    first: Int[Tensor, " B"]
    time: Int[Tensor, " B"]
    hits: Int[Tensor, " B"]
    chosen: Int[Tensor, "B N D"]


L = TypeVar("L", bound=LewisState)


class LewisGame(TeamEnv[L]):
    """A sender and `listeners` receivers play `rounds` rounds of two env steps; all is drawn at the start.

    The sender sees an object, drawn uniformly from those of the `split`, and speaks; then receivers answer. Each
    receiver gets its own score of the round, the sender their mean. With `exchange` all are players of one role: one
    that is drawn at random sends first, and after each round the next does. Success is that all answers were right.
    """

    def __init__(
        self,
        *,
        objects: str = "attributes",
        attributes: int | None = None,
        values: int | None = None,
        objects_seed: int = 0,
        split: str = "all",
        held_out: str | None = None,
        held_out_share: float | None = None,
        listeners: int = 1,
        rounds: int = 1,
        exchange: bool = False,
        observation: str = "flat",
        **base: Unpack[BaseSettings],
    ):
        check_positive("listeners", listeners)
        check_positive("rounds", rounds)
        check_choice("observation", observation, valid=OBSERVATIONS)
        self.objects: Objects = make_objects(
            objects=objects, attributes=attributes, values=values, split=split, held_out=held_out,
            held_out_share=held_out_share, objects_seed=objects_seed,
        )  # fmt: skip
        if observation == "image" and (exchange or not self.objects.is_picture):
            why = "players who exchange roles see more" if exchange else f"objects={objects!r} are no pictures"
            raise ValueError(f"observation='image': {why}; take 'flat'")
        self.listeners, self.rounds, self.exchange, self.observation = listeners, rounds, exchange, observation
        self.prepare()
        super().__init__(self._made_roles(), **base)
        self.objects = self.objects.to(self.device)

    # ---- what a game fills in ----------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make what else the game needs of its objects, before roles are made."""

    @property
    @abstractmethod
    def answer_space(self) -> spaces.Discrete | spaces.MultiDiscrete:
        """Return what a receiver may answer."""

    @abstractmethod
    def best(self, state: L) -> Int[Tensor, "B N D"]:
        """The right answer of each slot."""

    @abstractmethod
    def chances(self) -> tuple[float, float]:
        """Exact mean scores of a round: of uniformly random answers, and of the best blind ones."""

    def score(self, right: Bool[Tensor, "*batch D"]) -> Float[Tensor, "*batch"]:
        """Return what answers are worth, of which numbers are right: by default 1 where all are."""
        return right.all(-1).float()

    @property
    def num_offered(self) -> int:
        """Objects that a receiver sees."""
        return 0

    def offered(self, state: L) -> Int[Tensor, "B N C"]:
        """The objects that each slot may choose from, by number."""
        raise NotImplementedError

    # ---- the rules ---------------------------------------------------------------------------------------------

    @property
    def horizon(self) -> int:
        """Two env steps a round, after the talking."""
        return STEPS * self.rounds + self.talk_steps

    def bounds(self) -> Bounds:
        """Exact: rounds are alike and independent, and whoever hears nothing can do no better than the best guess."""
        random, blind = (self.rounds * chance for chance in self.chances())
        return Bounds(random=random, blind=blind, full_information=float(self.rounds), source="exact")

    def oracle(self, state: L) -> dict[str, Tensor]:
        """The right answer."""
        return self._by_role(self._as_actions(self.best(state)))

    def beginning(self, object: Int[Tensor, "B R"], first: Int[Tensor, " B"]) -> dict[str, Tensor]:
        """Fields of the state in which an episode with these objects and this first sender begins."""
        zero = torch.zeros_like(first)
        chosen = first.new_full((len(first), self.num_agents, self._answer_size), -1)
        return {"object": object, "first": first, "time": zero, "hits": zero, "chosen": chosen}

    def draw_first(self) -> Int[Tensor, " B"]:
        """The slot that sends first."""
        slots = self.num_agents if self.exchange else 1
        return torch.randint(slots, (self.num_envs,), generator=self.start_generator, device=self.device)

    def advance(self, state: L, actions: dict[str, Tensor]) -> tuple[L, Outcome]:
        """Pay in every second step."""
        answers = self._answers(actions)
        right = answers == self.best(state)
        answering = state.time % STEPS == 1
        receiving = ~self.sending(state)
        score = torch.where(receiving, self.score(right), 0.0)
        rewards = torch.where(receiving, score, score.sum(1, keepdim=True) / self.listeners)
        hits = state.hits + ((right.all(-1) | ~receiving).all(1) & answering)
        time = state.time + 1
        over = time >= STEPS * self.rounds
        outcome = Outcome(
            rewards=torch.where(answering[:, None], rewards, 0.0),
            terminated=over[:, None].expand(-1, self.num_agents),
            episode_over=over,
            info={"success": hits == self.rounds},
        )
        chosen = torch.where((over[:, None] & receiving)[..., None], answers, state.chosen)
        return dataclasses.replace(state, time=time, hits=hits, chosen=chosen), outcome

    def observe(self, state: L) -> View:
        """The object for the sender in its step, for receivers that it is their turn, and what they choose from."""
        sending = self.sending(state)
        answering = (state.time % STEPS == 1)[:, None]
        speaks, acts = sending & ~answering, ~sending & answering
        shown = self.shown(state)
        known = self.objects.attributes[shown]
        return View(
            observations=self._observations(state, shown, speaks, acts),
            observing=speaks | acts,
            acting=acts,
            speaking=speaks,
            meaning=torch.where(sending[..., None], known[:, None], -1),
            state=self._of_all(state, known, sending, acts),
        )

    def scene(self, state: L, copy: int = 0) -> Scene:
        """The object beside the sender, what receivers choose from, and at the end what they answered."""
        return lewis_scene(self, state, copy)

    def round_index(self, state: L) -> Int[Tensor, " B"]:
        """The present round, from 0; at the end of an episode its last."""
        return (state.time // STEPS).clamp(max=self.rounds - 1)

    def shown(self, state: L) -> Int[Tensor, " B"]:
        """The object of the present round, by number."""
        return state.object.gather(1, self.round_index(state)[:, None])[:, 0]

    def sending(self, state: L) -> Bool[Tensor, "B N"]:
        """Return which slot is the sender of the present round."""
        slot = (state.first + self.round_index(state)) % self.num_agents if self.exchange else state.first
        return F.one_hot(slot, self.num_agents).bool()

    # ---- roles, observations and answers -----------------------------------------------------------------------

    @property
    def _answer_size(self) -> int:
        space = self.answer_space
        return len(space.nvec) if isinstance(space, spaces.MultiDiscrete) else 1

    def _made_roles(self) -> tuple[Role, ...]:
        names = [f"player_{n}" for n in range(1 + self.listeners)]
        size, answer = self.objects.flat_size, self.answer_space
        called = tuple(f"attribute {k}" for k in range(self.objects.attributes.shape[1]))
        if self.exchange:
            seen = self._box(2 + size * (1 + self.num_offered))
            player = Role(
                name="player", agents=tuple(names), observation_space=seen, action_space=answer, meaning_names=called
            )
            return (player,)
        sees, receives = self._box(size), self._box(size * self.num_offered or 1)
        if self.observation == "image":
            sees = self.objects.space()
            receives = self.objects.space(beside=self.num_offered) if self.num_offered else receives
        receivers = tuple(f"receiver_{n}" for n in range(self.listeners))
        silent = spaces.Discrete(1)
        return (
            Role(
                name="sender", agents=("sender_0",), observation_space=sees, action_space=silent, meaning_names=called
            ),
            Role(name="receiver", agents=receivers, observation_space=receives, action_space=answer),
        )

    def _box(self, size: int) -> spaces.Box:
        return spaces.Box(self.objects.low, 1.0, (size,), dtype=np.float32)

    def _observations(self, state: L, shown: Tensor, speaks: Tensor, acts: Tensor) -> dict[str, Tensor]:
        shown = shown[:, None]
        pictures = self.observation == "image"
        if self.exchange:
            parts = [speaks.float()[..., None], acts.float()[..., None], self.objects.flat(shown) * speaks[..., None]]
            if self.num_offered:
                parts.append(self.objects.flat(self.offered(state)).flatten(2) * acts[..., None])
            return {"player": torch.cat(parts, -1)}
        seen = self.objects.pictures(shown[..., None]) if pictures else self.objects.flat(shown)
        given = acts[:, 1:].float()[..., None]
        if self.num_offered:
            offered = self.offered(state)[:, 1:]
            looks = self.objects.pictures(offered) if pictures else self.objects.flat(offered).flatten(2)
            given = looks * _like(acts[:, 1:], looks)
        return {"sender": seen * _like(speaks[:, :1], seen), "receiver": given}

    def _of_all(self, state: L, known: Tensor, sending: Tensor, acts: Tensor) -> Float[Tensor, "B S"]:
        """Attributes of the object, the right answers, and whose turn it is to do what."""
        attributes = F.one_hot(known, self.objects.num_values).float().flatten(1)
        parts = [attributes, sending.float(), acts.float()]
        if self.num_offered:
            parts.append(F.one_hot(self.best(state)[..., 0], self.num_offered).float().flatten(1))
        return torch.cat(parts, 1)

    def _answers(self, actions: dict[str, Tensor]) -> Int[Tensor, "B N D"]:
        given = actions["player" if self.exchange else "receiver"]
        given = given if isinstance(self.answer_space, spaces.MultiDiscrete) else given[..., None]
        return given if self.exchange else F.pad(given, (0, 0, 1, 0))

    def _as_actions(self, answers: Int[Tensor, "B N D"]) -> Tensor:
        return answers if isinstance(self.answer_space, spaces.MultiDiscrete) else answers[..., 0]

    def _by_role(self, actions: Tensor) -> dict[str, Tensor]:
        if self.exchange:
            return {"player": actions}
        idle = torch.zeros(len(actions), 1, dtype=torch.long, device=actions.device)
        return {"sender": idle, "receiver": actions[:, 1:]}


def _like(mask: Tensor, seen: Tensor) -> Tensor:
    """A mask over the first axes of something, in its dtype."""
    return mask.view(*mask.shape, *[1] * (seen.dim() - mask.dim())).to(seen.dtype)
