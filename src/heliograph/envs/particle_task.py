"""What the particle tasks share: their state, how actions push and speak, episodes of fixed length, and the picture."""

import dataclasses
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from gymnasium import spaces
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.checks import check_positive
from heliograph.envs.base import BaseSettings, Outcome, TeamEnv, View
from heliograph.envs.own_words import HEARD, HEARING, OwnWords, WordsHeard, heard_instead
from heliograph.envs.particle_kinds import NUM_MOVES, P, Particles, ParticleState
from heliograph.envs.particle_physics import (
    REST_PER_FORCE,
    contact_forces,
    moved,
    obstacle_forces,
    others_of,
    pairs_of,
    per_copy,
    per_particle,
    yielding,
)
from heliograph.envs.particle_picture import particle_scene
from heliograph.envs.scene import Scene
from heliograph.envs.state import select
from heliograph.types import Edges, Role

__all__ = ["CLOSE", "ParticleSettings", "ParticleTask", "particle_places", "towards"]

LEFT, RIGHT, DOWN, UP = range(1, NUM_MOVES)
CLOSE = 0.1
"""Whoever is closer than this to a landmark has reached it."""


class ParticleSettings(BaseSettings, total=False):
    """Settings that all particle tasks take beside their own."""

    steps: int
    continuous_actions: bool


class ParticleTask(TeamEnv[P]):
    """A task of the particle world of mpe2, step by step, in tensors: base of all of them.

    Observations, agents, rewards and actions are mpe2's, and so is the end: an episode is cut off after `steps` (25),
    which truncates it. Actions are one of 5 pushes (none, left, right, down, up), or with `continuous_actions` how
    strong each is, from 0 to 1. A first push is felt late: an agent moves with the velocity that it had before.

    Fill in `pay`, `seen` and `known`. `obstacles` are the landmarks, from the first on, that press agents away,
    `spread_of_landmarks` is how far from the centre they lie along each axis.
    """

    bounds_exact = False
    sees_linearly: ClassVar[bool] = False
    """True where all that is seen are sums and differences of velocities, places and landmarks."""
    moves_at_once: ClassVar[bool] = False
    """True where agents move with the velocity that a push has given them, as in older worlds than mpe2's."""

    def __init__(
        self,
        particles: tuple[Particles, ...],
        *,
        landmarks: int,
        goals: int = 0,
        spread_of_landmarks: float = 1.0,
        size_of_obstacle: float = 0.0,
        obstacles: int = 0,
        contact: bool = False,
        heard: str | None = None,
        steps: int = 25,
        continuous_actions: bool = False,
        **base: Any,
    ):
        check_positive("steps", steps)
        self.particles, self.steps, self.continuous_actions = particles, steps, bool(continuous_actions)
        self.landmarks, self.goals, self.spread_of_landmarks = landmarks, goals, spread_of_landmarks
        self.obstacles, self.contact = obstacles, contact
        self.num_words = max(kind.words for kind in particles)
        roles = tuple(
            Role(
                name=kind.name,
                agents=kind.agents,
                observation_space=spaces.Box(-torch.inf, torch.inf, (kind.sees,)),
                action_space=kind.action_space(continuous=self.continuous_actions),
            )
            for kind in particles
        )
        super().__init__(roles, **base)
        sizes = self._of_each([kind.size for kind in particles])
        self.pairs = pairs_of(self.num_agents, device=self.device)
        self._reach = sizes[self.pairs].sum(0)[..., 0]
        self._yielding = None
        if any(kind.mass != 1 for kind in particles):
            self._yielding = yielding(self._of_each([kind.mass for kind in particles]), self.pairs)
        self._obstacle_reach = sizes + size_of_obstacle
        self._force = self._of_each([kind.force for kind in particles])
        limits = [torch.inf if kind.speed is None else kind.speed for kind in particles]
        self._max_speed = None if min(limits) == torch.inf else self._of_each(limits)
        kinds = [kind for kind in particles for _ in range(kind.number)]
        self._acting = torch.tensor([kind.moves or kind.words > 0 for kind in kinds], device=self.device)
        self._speaking = torch.tensor([kind.name in self.may_speak() for kind in kinds], device=self.device)
        self.heard = WordsHeard.SAID if heard is None else WordsHeard(heard)
        if heard is not None and not self.continuous_actions:
            moves = {kind.name: NUM_MOVES if kind.moves else 1 for kind in particles if kind.name in self.may_speak()}
            self.own_words = OwnWords(vocabulary=self.num_words, moves=moves)
        self._sizes = {kind.name: kind.sees for kind in particles}
        self._unit_sight: dict[str, Tensor] = {}
        self._others = others_of(self.num_agents, device=self.device)

    # ---- what a task fills in ----------------------------------------------------------------------------------

    @abstractmethod
    def pay(self, state: P) -> Float[Tensor, "N B"]:
        """Return what each agent is paid for a state that the team has come to."""

    @abstractmethod
    def seen(self, state: P) -> dict[str, Sequence[Float[Tensor, "A _k B"]]]:
        """The parts of what each role observes, in order."""

    @abstractmethod
    def known(self, state: P) -> Int[Tensor, "B N Z"]:
        """Return what each agent knows that others do not; -1 for nothing."""

    def reached(self, state: P) -> Bool[Tensor, " B"] | None:
        """Tell whether the team has done what it was to do; None where a task has no such thing."""
        return None

    def begun(self, drawn: ParticleState) -> P:
        """Return the state of a new episode, all of whose particles and goals are drawn; by default it is that."""
        return cast(P, drawn)

    def between(self, state: P) -> P:
        """Do what happens after a state has been seen and paid for, and before anybody moves; by default nothing."""
        return state

    def hearing(self, state: P) -> Edges | None:
        """Return who may hear whom; None, the default, for all."""
        return None

    def judged(self, state: P) -> tuple[Float[Tensor, "N B"], Bool[Tensor, " B"] | None]:
        """Return `pay` and `reached`; to be filled in where they are quicker found together."""
        return self.pay(state), self.reached(state)

    def measured(self, state: P) -> dict[str, Float[Tensor, " B"]]:
        """Further numbers to be told of each step, by name; those of last steps become metrics."""
        return {}

    def may_speak(self) -> tuple[str, ...]:
        """The roles whose agents may speak through a channel: by default all."""
        return tuple(role.name for role in self.roles)

    def names_of_landmarks(self) -> tuple[str, ...]:
        """Return what landmarks are called in the picture, each with a number."""
        return tuple(f"landmark {number}" for number in range(self.landmarks))

    def captioned(self, state: P, copy: int) -> str:
        """Return what is written under the picture of a copy."""
        return ""

    def blind(self, state: P) -> dict[str, Tensor]:
        """The best actions known of a team that hears nothing; agents use only what they see by themselves."""
        raise NotImplementedError(f"{type(self).__name__} has no script for those who hear nothing")

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that change the rules, as they were given."""
        return {"steps": self.steps, "continuous_actions": self.continuous_actions}

    # ---- what follows ------------------------------------------------------------------------------------------

    @property
    def has_blind(self) -> bool:
        """True if `blind` is filled in."""
        return type(self).blind is not ParticleTask.blind

    @property
    def horizon(self) -> int:
        """All episodes last `steps`, after the talking."""
        return self.steps + self.talk_steps

    def start(self) -> P:
        """Everybody anywhere, and at rest."""
        copies, stream = self.num_envs, self.start_generator
        place, landmark = (
            (torch.rand(number, 2, copies, dtype=torch.float64, generator=stream, device=self.device) * 2 - 1) * spread
            for number, spread in ((self.num_agents, 1.0), (self.landmarks, self.spread_of_landmarks))
        )
        goal = torch.randint(max(self.landmarks, 1), (copies, self.goals), generator=stream, device=self.device)
        drawn = ParticleState(
            place=per_copy(place),
            velocity=per_copy(torch.zeros_like(place)),
            landmark=per_copy(landmark),
            goal=goal,
            word=torch.zeros(copies, self.num_agents, self.num_words, device=self.device),
            time=torch.zeros(copies, dtype=torch.long, device=self.device),
        )
        return self.begun(drawn)

    def advance(self, state: P, actions: dict[str, Tensor]) -> tuple[P, Outcome]:
        """Push, press apart, move, and pay for where all have come to."""
        state = self.between(state)
        place, landmark = per_particle(state.place), per_particle(state.landmark)
        force = self._pushes(actions)
        if self.contact:
            contact_forces(place, self.pairs, reach=self._reach, yielding=self._yielding, onto=force)
        if self.obstacles:
            force += obstacle_forces(place, landmark[: self.obstacles], reach=self._obstacle_reach)
        velocity = per_particle(state.velocity)
        place, velocity = moved(place, velocity, force, max_speed=self._max_speed, at_once=self.moves_at_once)
        state = dataclasses.replace(
            state,
            place=per_copy(place),
            velocity=per_copy(velocity),
            word=self._heard(self._said(actions)) if self.num_words else state.word,
            time=state.time + 1,
        )
        over = state.time >= self.steps
        everyone = over[:, None].expand(-1, self.num_agents)
        pay, reached = self.judged(state)
        return state, Outcome(
            rewards=pay.t().float(),
            terminated=torch.zeros_like(everyone),
            truncated=everyone,
            episode_over=over,
            info={**self.measured(state), **({} if reached is None else {"success": reached}), **self._told_of(state)},
        )

    def observe(self, state: P) -> View:
        """Return what each agent sees of the others and of the landmarks, from where it is."""
        copies = (self.num_envs, -1)
        return View(
            observations=self._observed(state),
            observing=torch.ones_like(self._acting).expand(copies),
            acting=self._acting.expand(copies),
            speaking=self._speaking.expand(copies),
            meaning=self.known(state),
            hearing=self.hearing(state),
            positions=state.place.float(),
        )

    def _observed(self, state: P) -> dict[str, Float[Tensor, "B A O"]]:
        """Return what each role observes; at once by a product of matrices, where numbers are exact enough in it."""
        if not self.sees_linearly or torch.get_float32_matmul_precision() != "highest":
            return {name: _rows(parts) for name, parts in self.seen(state).items()}
        if not self._unit_sight:
            self._unit_sight = self._unit_views(state)
        bodies = [per_particle(part).flatten(0, 1) for part in (state.velocity, state.place, state.landmark)]
        numbers = torch.empty(sum(map(len, bodies)), self.num_envs, device=self.device)
        for rows, body in zip(numbers.split([len(body) for body in bodies]), bodies, strict=True):
            rows.copy_(body)
        flat = numbers.t()
        return {
            name: torch.mm(flat, sight).view(self.num_envs, -1, self._sizes[name])
            for name, sight in self._unit_sight.items()
        }

    def _unit_views(self, state: P) -> dict[str, Float[Tensor, "U AO"]]:
        """Return what is seen where one velocity, place or landmark is 1 along an axis, and all else is 0."""
        bodies = (self.num_agents, self.num_agents, self.landmarks)
        units = torch.eye(2 * sum(bodies), dtype=torch.float64, device=self.device)
        velocity, place, landmark = (part.unflatten(1, (-1, 2)) for part in units.split([2 * n for n in bodies], 1))
        nothing = torch.zeros(len(units), dtype=torch.long, device=self.device)
        few = dataclasses.replace(select(state, nothing), velocity=velocity, place=place, landmark=landmark)
        return {name: _rows(parts).flatten(1) for name, parts in self.seen(few).items()}

    def scene(self, state: P, copy: int = 0) -> Scene:
        """Agents, landmarks (goals are stars) and the task's own words; what lies within 1 of the centre, or more."""
        return particle_scene(
            state,
            copy,
            particles=self.particles,
            landmarks=self.names_of_landmarks(),
            caption=", ".join(filter(None, [self.captioned(state, copy), self._words_of(state, copy)])),
        )

    def steered(self, errors: dict[str, Float[Tensor, "B A 2"]]) -> dict[str, Tensor]:
        """Moves that take agents as far as `errors` from where they would come to rest; no word but the first."""
        actions = {}
        for kind in self.particles:
            step = kind.force * REST_PER_FORCE
            if not kind.moves:
                actions[kind.name] = self.silent(kind)
            elif self.continuous_actions:
                push = (errors[kind.name] / step).clamp(-1, 1)
                x, y = push.unbind(-1)
                parts = [torch.zeros_like(x), (-x).clamp(min=0), x.clamp(min=0), (-y).clamp(min=0), y.clamp(min=0)]
                actions[kind.name] = F.pad(torch.stack(parts, -1), (0, kind.words))
            else:
                actions[kind.name] = towards(errors[kind.name], step=step)
        return actions

    def silent(self, kind: Particles) -> Tensor:
        """Doing nothing, and saying the first word where there are words."""
        shape = (self.num_envs, kind.number)
        if self.continuous_actions and kind.moves * NUM_MOVES + kind.words:
            return torch.zeros(*shape, kind.moves * NUM_MOVES + kind.words, device=self.device)
        return torch.zeros(shape, dtype=torch.long, device=self.device)

    def near(self, part: str, state: P) -> Float[Tensor, "A _k B"]:
        """Return where all landmarks are, from where each agent of a role is."""
        own = per_particle(state.place)[self.slots(part)]
        return (per_particle(state.landmark)[None] - own[:, None]).flatten(1, 2)

    def mates(self, part: str, state: P) -> Float[Tensor, "A _k B"]:
        """Return where all other agents are, in order, from where each agent of a role is."""
        place, slots = per_particle(state.place), self.slots(part)
        return (place[self._others[slots]] - place[slots][:, None]).flatten(1, 2)

    def _of_each(self, values: Sequence[float]) -> Float[Tensor, "N 1 1"]:
        spread = [value for value, kind in zip(values, self.particles, strict=True) for _ in range(kind.number)]
        return torch.tensor(spread, dtype=torch.float64, device=self.device).view(-1, 1, 1)

    def _pushes(self, actions: dict[str, Tensor]) -> Float[Tensor, "N 2 B"]:
        """The forces by which agents push themselves."""
        parts = []
        for kind in self.particles:
            action = actions[kind.name]
            if not kind.moves:
                parts.append(torch.zeros(kind.number, 2, self.num_envs, dtype=torch.float64, device=self.device))
            elif self.continuous_actions:
                strength = per_particle(action)[:, :NUM_MOVES].double()
                parts.append(strength[:, RIGHT::2] - strength[:, LEFT::2])
            else:
                parts.append(_direction(action % NUM_MOVES if kind.words else action))
        return (parts[0] if len(parts) == 1 else torch.cat(parts)) * self._force

    def _said(self, actions: dict[str, Tensor]) -> Float[Tensor, "B N V"]:
        """Return what each agent says with its action; zeros for those that have no words."""
        parts = []
        for kind in self.particles:
            action = actions[kind.name]
            if not kind.words:
                parts.append(torch.zeros(self.num_envs, kind.number, self.num_words, device=self.device))
            elif self.continuous_actions:
                parts.append(action[..., kind.moves * NUM_MOVES :])
            else:
                parts.append(F.one_hot(action // NUM_MOVES if kind.moves else action, kind.words).float())
        return torch.cat(parts, 1)

    def _heard(self, word: Float[Tensor, "B N V"]) -> Float[Tensor, "B N V"]:
        return heard_instead(word, self.heard, speaking=self._speaking, generator=self.generator)

    def _told_of(self, state: P) -> dict[str, Tensor]:
        """Return what an analyst may know of the task's own words."""
        if self.own_words is None:
            return {}
        edges = self.hearing(state)
        others = ~torch.eye(self.num_agents, dtype=torch.bool, device=self.device)
        mask = (others & self._speaking).expand(self.num_envs, -1, -1) if edges is None else edges.mask
        if not self.rivals_hear:
            mask = mask & (self.team_of_agent[:, None] == self.team_of_agent)
        return {HEARD: state.word, HEARING: mask}

    def _words_of(self, state: P, copy: int) -> str:
        talkers = [self.slots(kind.name) for kind in self.particles if kind.words]
        slots = [slot for part in talkers for slot in range(self.num_agents)[part]]
        said = [(self.agents[slot], state.word[copy, slot]) for slot in slots if state.word[copy, slot].any()]
        return ", ".join(f"{name} says {int(word.argmax())}" for name, word in said)


def particle_places(landmark: Float[Tensor, "B M 2"], number: Int[Tensor, "B G"]) -> Float[Tensor, "B G 2"]:
    """Return where the landmarks of these numbers are."""
    return landmark.gather(1, number[..., None].expand(-1, -1, 2))


def _direction(move: Int[Tensor, "B A"]) -> Int[Tensor, "A 2 B"]:
    """Return where to, in the smallest numbers, as most of the time goes into memory."""
    small = move.to(torch.int8).t().contiguous()
    ahead, back = torch.stack([small == RIGHT, small == UP], 1), torch.stack([small == LEFT, small == DOWN], 1)
    return ahead.view(torch.int8) - back.view(torch.int8)


def _rows(parts: Sequence[Float[Tensor, "A _k B"]]) -> Float[Tensor, "B A O"]:
    """Parts side by side, copy by copy in memory, too."""
    whole = torch.cat([part.float() for part in parts], 1)
    agents, size, copies = whole.shape
    return whole.view(agents * size, copies).t().contiguous().view(copies, agents, size)


def towards(error: Float[Tensor, "B A 2"], *, step: float) -> Int[Tensor, "B A"]:
    """The push along the axis on which most is missing, where it does more good than harm."""
    x, y = error.unbind(-1)
    sideways, upright = torch.where(x > 0, RIGHT, LEFT), torch.where(y > 0, UP, DOWN)
    best = torch.where(x.abs() >= y.abs(), sideways, upright)
    return torch.where(torch.maximum(x.abs(), y.abs()) > step / 2, best, 0)
