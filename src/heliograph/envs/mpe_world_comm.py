"""The world with a leader: adversaries chase agents that eat and hide in forests, and one who sees all leads them."""

import functools
from collections.abc import Sequence
from typing import Any, Unpack

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.checks import check_positive
from heliograph.envs.own_words import check_words
from heliograph.envs.particle_chase import chase, fled, price_of_leaving
from heliograph.envs.particle_kinds import Particles, ParticleState
from heliograph.envs.particle_physics import distances_between, per_particle
from heliograph.envs.particle_task import ParticleSettings, ParticleTask

__all__ = ["MPEWorldComm"]

HUNTER_SIZE, PREY_SIZE = 0.075, 0.045
OBSTACLE_SIZE, FOOD_SIZE, FOREST_SIZE = 0.2, 0.03, 0.3
SPREAD = 0.9
SYMBOLS = 4
CATCH, MEAL = 5.0, 2.0
LEAVING = 2.0
FAR_FROM_PREY, FAR_FROM_FOOD = 0.1, 0.05


class MPEWorldComm(ParticleTask[ParticleState]):
    """Slow adversaries are to touch faster agents, which eat, and hide in forests; one adversary sees and leads.

    Two teams: `adversary` (`leadadversary_0` and the others) and `good`. In each step every adversary is paid 5 for
    each touch of an agent by any of them, less 0.1 times its distance from the nearest agent; an agent -5 for each
    adversary that touches it, 2 for each food that it touches, less 0.05 times its distance from the nearest food, and
    less twice what it costs to leave, as in `mpe_tag`. Everybody sees its velocity and place, the way to each
    obstacle, food and forest, whether it is in each forest (1 or -1), and where others are and how fast (other) good
    ones are: of those in the same forest, or of all outside where it is outside, and zeros of the rest. The leader sees
    all. Its `meaning` is, for each good agent, the number of the forest that it is in, from 1 on, and 0 for none.

    With `words="channel"` the leader speaks through a channel, which its own team hears alone. With `words="task"` its
    action is a move and one of 4 symbols (move + 5 x symbol), which stands in the next observation of each adversary,
    its own too, as published, or in its place what `heard` says: nothing, noise, or the words of other copies.

    Rules: `simple_world_comm_v3` of mpe2, after Lowe et al. 2017.
    """

    teams = ("adversary", "good")
    rivals_hear = False

    def __init__(
        self,
        *,
        adversaries: int = 4,
        good: int = 2,
        obstacles: int = 1,
        food: int = 2,
        forests: int = 2,
        words: str = "channel",
        heard: str = "said",
        **base: Unpack[ParticleSettings],
    ):
        counts = {"good": good, "obstacles": obstacles, "food": food, "forests": forests}
        for name, value in counts.items():
            check_positive(name, value)
        check_positive("adversaries", adversaries)
        if adversaries < 2:
            raise ValueError(f"adversaries={adversaries}: needs at least 2, a leader and one that is led")
        self.adversaries, self.good, self.food, self.forests = adversaries, good, food, forests
        self.words, told = words, check_words(words, heard)
        symbols = SYMBOLS if told else 0
        ways = 4 + 2 * (obstacles + food + forests) + 2 * (adversaries + good - 1) + forests
        hunter = functools.partial(Particles, sees=ways + 2 * good + symbols, size=HUNTER_SIZE, force=3.0, speed=1.0)
        super().__init__(
            (
                hunter(name="leadadversary", words=symbols),
                hunter(name="adversary", number=adversaries - 1),
                Particles(name="agent", number=good, sees=ways + 2 * (good - 1), size=PREY_SIZE, force=4.0, speed=1.3),
            ),
            landmarks=obstacles + food + forests,
            spread_of_landmarks=SPREAD,
            size_of_obstacle=OBSTACLE_SIZE,
            obstacles=obstacles,
            contact=True,
            heard=heard if told else None,
            **base,
        )
        self.team_of_agent = torch.tensor([0] * adversaries + [1] * good, device=self.device)
        sizes = [HUNTER_SIZE] * adversaries + [PREY_SIZE] * good
        self._forest_reach = torch.tensor(sizes, dtype=torch.float64, device=self.device).view(-1, 1, 1) + FOREST_SIZE

    @property
    def settings(self) -> dict[str, Any]:
        """Return what tells this task from others of its kind."""
        own = {
            name: getattr(self, name) for name in ("adversaries", "good", "obstacles", "food", "forests", "words")
        } | {"heard": str(self.heard)}
        return {**super().settings, **own}

    def may_speak(self) -> tuple[str, ...]:
        """The leader alone."""
        return ("leadadversary",)

    def oracle(self, state: ParticleState) -> dict[str, Tensor]:
        """Each adversary after the agent nearest to it, wherever it hides; agents away from them."""
        hunters = self.adversaries
        hunt, flight = chase(state, hunters=hunters), fled(state, hunters=hunters)
        return self.steered({"leadadversary": hunt[:, :1], "adversary": hunt[:, 1:], "agent": flight})

    def pay(self, state: ParticleState) -> Float[Tensor, "N B"]:
        """By who touches whom and what, how far all are from what they want, and who leaves."""
        place = per_particle(state.place)
        food = per_particle(state.landmark)[self.obstacles : self.obstacles + self.food]
        prey = place[self.adversaries :]
        apart, to_food = distances_between(place[: self.adversaries], prey), distances_between(prey, food)
        caught = (apart < HUNTER_SIZE + PREY_SIZE).sum(0) * CATCH
        eaten = (to_food < PREY_SIZE + FOOD_SIZE).sum(1) * MEAL
        good = eaten - caught - LEAVING * price_of_leaving(prey) - FAR_FROM_FOOD * to_food.amin(1)
        return torch.cat([caught.sum(0) - FAR_FROM_PREY * apart.amin(1), good])

    def seen(self, state: ParticleState) -> dict[str, Sequence[Float[Tensor, "A _k B"]]]:
        """Velocity and place, the way to what does not move, and what the forests leave to be seen of others."""
        place, velocity = per_particle(state.place), per_particle(state.velocity)
        hidden = self._hidden(state)
        flags = hidden.double() * 2 - 1
        sight = self._sight(hidden)
        found: dict[str, Sequence[Tensor]] = {}
        for role in ("leadadversary", "adversary", "agent"):
            slots = self.slots(role)
            others = self._others[slots]
            visible = sight[slots].gather(1, others[..., None].expand(-1, -1, self.num_envs)).double()
            ways = (self.mates(role, state).unflatten(1, (-1, 2)) * visible[:, :, None]).flatten(1, 2)
            good = self.good - (role == "agent")
            speeds = (
                (velocity[others[:, -good:]] * visible[:, -good:, None]).flatten(1, 2) if good else place[slots][:, :0]
            )
            rest = [flags[slots], speeds] if role == "agent" else [speeds, flags[slots], *self._told(state, role)]
            found[role] = [velocity[slots], place[slots], self.near(role, state), ways, *rest]
        return found

    def _hidden(self, state: ParticleState) -> Bool[Tensor, "N F B"]:
        """Return who is in which forest."""
        forest = per_particle(state.landmark)[self.obstacles + self.food :]
        return distances_between(per_particle(state.place), forest) < self._forest_reach

    def _sight(self, hidden: Bool[Tensor, "N F B"]) -> Bool[Tensor, "N N B"]:
        """Return who sees whom: those in one forest, those in none, and the leader everybody."""
        together = (hidden[:, None] & hidden[None]).any(2)
        open_to = ~hidden.any(1)
        sight = together | (open_to[:, None] & open_to[None])
        sight[0] = True
        return sight

    def _told(self, state: ParticleState, role: str) -> list[Float[Tensor, "A V B"]]:
        """Return what the leader said, where it is the task's own word."""
        if not self.num_words:
            return []
        return [per_particle(state.word)[:1].expand(len(self._others[self.slots(role)]), -1, -1)]

    def known(self, state: ParticleState) -> Int[Tensor, "B N Z"]:
        """In which forest each good agent is, for the leader."""
        hidden = self._hidden(state)[self.adversaries :]
        number = torch.arange(1, self.forests + 1, device=self.device).view(1, -1, 1)
        meaning = torch.full((self.num_envs, self.num_agents, self.good), -1, device=self.device)
        meaning[:, 0] = (hidden * number).amax(1).t()
        return meaning

    def names_of_landmarks(self) -> tuple[str, ...]:
        """Rocks, food and woods, which are the forests."""
        groups = (("rock", self.obstacles), ("food", self.food), ("wood", self.forests))
        return tuple(f"{name} {number}" for name, count in groups for number in range(count))

    def captioned(self, state: ParticleState, copy: int) -> str:
        """Return how many touch."""
        place = per_particle(state.place)[..., copy, None]
        touch = distances_between(place[: self.adversaries], place[self.adversaries :]) < HUNTER_SIZE + PREY_SIZE
        return f"{int(touch.sum())} touches"
