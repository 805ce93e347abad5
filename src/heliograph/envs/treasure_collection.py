"""Cooperative treasure collection of MAAC: hunters gather treasures and bring each to the bank of its kind."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Unpack

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.checks import check_choice, check_positive
from heliograph.envs.base import BaseSettings
from heliograph.envs.particle_kinds import Particles, ParticleState
from heliograph.envs.particle_physics import distances_between, lengths, per_copy, per_particle, rest_points
from heliograph.envs.particle_scores import simulated_bounds
from heliograph.envs.particle_task import ParticleTask
from heliograph.envs.scene import Scene
from heliograph.envs.treasure_hunt import NOTHING, TreasureState, gives, shared_out, takes, told_apart
from heliograph.types import Bounds

__all__ = ["TreasureCollection"]

RULES = ("paper", "code")
HUNTER_SIZE, BANK_SIZE, TREASURE_SIZE = 0.05, 0.075, 0.025
HUNTER_MASS, BANK_MASS = 1.0, 2.25
FORCE, SPEED = 2.25, 1.0
SPREAD = 0.95
GONE = -999.0
"""Where the published code puts a treasure that was taken, for one step."""
MOST_SEEN = 7
"""How many others, and treasures, the published code shows: the nearest."""
GATHERED, COLLISION, PER_DISTANCE = 5.0, 5.0, 0.1
ROOM, DODGE = 0.25, 2.0
"""Of a script: how close to each other hunters make room, and how much."""


class TreasureCollection(ParticleTask[TreasureState]):
    """Hunters take treasures, each of as many kinds as there are banks, and bring them to the bank of their kind.

    A hunter that touches a treasure, and holds none, takes it, and a new one appears anywhere; a hunter that touches
    the bank of its treasure's kind gives it away. Hunters are paid 5 for each such taking by any of them, and all are
    paid 5 for each treasure that a bank is given. A hunter is also paid -5 for each other hunter that it touches and
    -0.1 times its distance from the nearest treasure, or while it holds one from the bank that is to have it; a bank
    -0.1 times its distance from the nearest hunter that holds one for it, or where none does from the mean place of
    the hunters. Everybody sees place and velocity of its own, and from the nearest on where all others and all
    treasures are, how fast others are, what they hold or which bank they are, and the kinds of treasures. Nobody knows
    what others do not, and `meaning` is -1. All may speak through a channel. The number `deposits` is told of episodes.

    `hunters` and `banks` are 6 and 2 as published, with as many treasures as hunters; here 4 agents are 3 and 1, and 12
    are 9 and 3.

    Rules: Iqbal and Sha 2019 (MAAC). Their text and code differ, and the text decides; `rules="code"` is
    `fullobs_collect_treasure` of their code step by step, in which banks are paid for takings, too, a treasure that was
    taken lies at (-999, -999) for a step before the new one appears, and agents see the nearest 7 others and 7
    treasures. The terms by distance are in the code alone, and here. Moves are numbered as in our other particle tasks
    (none, left, right, down, up; the code: none, right, left, up, down).
    """

    moves_at_once = True

    def __init__(
        self,
        *,
        hunters: int = 6,
        banks: int = 2,
        rules: str = "paper",
        steps: int = 100,
        continuous_actions: bool = False,
        **base: Unpack[BaseSettings],
    ):
        check_positive("hunters", hunters)
        check_positive("banks", banks)
        check_choice("rules", rules, valid=RULES)
        self.hunters, self.banks, self.rules = hunters, banks, rules
        most = hunters + banks if rules == "paper" else MOST_SEEN
        self._seen_agents, self._seen_treasures = min(most, hunters + banks - 1), min(most, hunters)
        sees = 4 + self._seen_agents * (4 + 2 * banks) + self._seen_treasures * (2 + banks)
        super().__init__(
            (
                Particles(
                    name="hunter", number=hunters, sees=sees + banks, size=HUNTER_SIZE, mass=HUNTER_MASS, force=FORCE,
                    speed=SPEED,
                ),
                Particles(
                    name="bank", number=banks, sees=sees, size=BANK_SIZE, mass=BANK_MASS, force=FORCE, speed=SPEED
                ),
            ),
            landmarks=hunters,
            spread_of_landmarks=SPREAD,
            contact=True,
            steps=steps,
            continuous_actions=continuous_actions,
            **base,
        )  # fmt: skip

    @property
    def settings(self) -> dict[str, Any]:
        """Return what tells this task from others of its kind."""
        return {**super().settings, "hunters": self.hunters, "banks": self.banks, "rules": self.rules}

    def bounds(self) -> Bounds:
        """Simulated: everyone sees everything, so that the blind do as well as the informed."""
        return simulated_bounds(self)

    def begun(self, drawn: ParticleState) -> TreasureState:
        """Draw the kinds of the treasures; nobody holds any."""
        kind = torch.randint(
            self.banks, (self.num_envs, self.hunters), generator=self.start_generator, device=self.device
        )
        holding = torch.full_like(kind, NOTHING)
        return TreasureState(**vars(drawn), kind=kind, holding=holding, deposits=torch.zeros_like(drawn.time))

    def between(self, state: TreasureState) -> TreasureState:
        """Have treasures taken, replaced and given away, by where all are; nothing before anybody has moved."""
        begun, gone = (state.time > 0)[:, None], self._gone(state)
        touching = self._touching_treasures(state) & begun[..., None]
        holding, found = takes(touching, holding=state.holding, kind=state.kind)
        fresh = found if self.rules == "paper" else gone & begun
        landmark, kind = self.new_treasures()
        landmark = torch.where(fresh[..., None], landmark, state.landmark)
        kind = torch.where(fresh, kind, state.kind)
        if self.rules == "code":
            landmark = torch.where(found[..., None], GONE, landmark)
        given = gives(self._touching_banks(state), holding=holding) & begun
        return dataclasses.replace(
            state,
            landmark=landmark,
            kind=kind,
            holding=torch.where(given, NOTHING, holding),
            deposits=state.deposits + self._given(state),
        )

    def new_treasures(self) -> tuple[Float[Tensor, "B M 2"], Int[Tensor, "B M"]]:
        """Draw places and kinds of treasures, for those that are to be replaced."""
        stream, shape = self.generator, (self.num_envs, self.hunters)
        place = torch.rand(*shape, 2, dtype=torch.float64, generator=stream, device=self.device) * 2 - 1
        return place * SPREAD, torch.randint(self.banks, shape, generator=stream, device=self.device)

    def _gone(self, state: TreasureState) -> Bool[Tensor, "B M"]:
        return (state.landmark == GONE).all(-1)

    def _touching_treasures(self, state: TreasureState) -> Bool[Tensor, "B H M"]:
        hunters = per_particle(state.place)[: self.hunters]
        apart = distances_between(hunters, per_particle(state.landmark))
        return per_copy(apart < HUNTER_SIZE + TREASURE_SIZE)

    def _touching_banks(self, state: TreasureState) -> Bool[Tensor, "B H K"]:
        return per_copy(self._to_banks(state) < HUNTER_SIZE + BANK_SIZE)

    def _to_banks(self, state: TreasureState) -> Float[Tensor, "H K B"]:
        place = per_particle(state.place)
        return distances_between(place[: self.hunters], place[self.hunters :])

    def _given(self, state: TreasureState) -> Int[Tensor, " B"]:
        """Return how many treasures banks are being given, and all are paid for."""
        return gives(self._touching_banks(state), holding=state.holding).sum(1)

    def measured(self, state: TreasureState) -> dict[str, Float[Tensor, " B"]]:
        """Count treasures that banks were given in this episode."""
        return {"deposits": (state.deposits + self._given(state)).float()}

    def pay(self, state: TreasureState) -> Float[Tensor, "N B"]:
        """By treasures taken and given away, collisions of hunters, and how far all are from what they want."""
        free = state.holding == NOTHING
        taken = (self._touching_treasures(state) & free[..., None]).sum((1, 2)) * GATHERED
        given = self._given(state) * GATHERED
        hunters = self._of_hunters(state) + taken + given
        banks = self._of_banks(state) + given + (taken if self.rules == "code" else 0.0)
        return torch.cat([hunters, banks])

    def _of_hunters(self, state: TreasureState) -> Float[Tensor, "H B"]:
        place = per_particle(state.place)[: self.hunters]
        own = torch.eye(self.hunters, dtype=torch.bool, device=self.device)[..., None]
        collisions = ((distances_between(place, place) < 2 * HUNTER_SIZE) & ~own).sum(1)
        to_treasure = distances_between(place, per_particle(state.landmark)).amin(1)
        holding = state.holding.t()
        to_bank = self._to_banks(state).gather(1, holding.clamp(min=0)[:, None])[:, 0]
        wanted = torch.where(holding == NOTHING, to_treasure, to_bank)
        return -COLLISION * collisions - PER_DISTANCE * wanted

    def _of_banks(self, state: TreasureState) -> Float[Tensor, "K B"]:
        away = self._to_banks(state)
        banks = torch.arange(self.banks, device=self.device)[None, :, None]
        brings = state.holding.t()[:, None] == banks
        nearest = torch.where(brings, away, torch.inf).amin(0)
        place = per_particle(state.place)
        seen = min(self._seen_agents, self.hunters)
        among = away.argsort(0)[:seen, :, None].expand(-1, -1, 2, -1)
        ways = place[: self.hunters, None] - place[None, self.hunters :]
        middle = lengths(ways.gather(0, among).mean(0))
        return -PER_DISTANCE * torch.where(brings.any(0), nearest, middle)

    def seen(self, state: TreasureState) -> dict[str, Sequence[Float[Tensor, "A _k B"]]]:
        """Place, velocity, what it holds; then others, then treasures, each from the nearest on."""
        place, velocity = per_particle(state.place), per_particle(state.velocity)
        holding = F.one_hot(state.holding + 1, self.banks + 1)[..., 1:].double()
        banks = torch.eye(self.banks, dtype=torch.float64, device=self.device).expand(self.num_envs, -1, -1)
        is_bank, holds = F.pad(banks, (0, 0, self.hunters, 0)), F.pad(holding, (0, 0, 0, self.banks))
        known = torch.cat([velocity, per_particle(torch.cat([is_bank, holds], -1))], 1)
        others = self._nearest(place, known, self._others, self._seen_agents)
        treasures = torch.arange(self.hunters, device=self.device).expand(self.num_agents, -1)
        kinds = per_particle(F.one_hot(state.kind, self.banks).double())
        prizes = self._nearest(place, kinds, treasures, self._seen_treasures, at=per_particle(state.landmark))
        hunters = slice(0, self.hunters)
        parts = [place, velocity, others, prizes]
        return {
            "hunter": [place[hunters], velocity[hunters], per_particle(holding), others[hunters], prizes[hunters]],
            "bank": [part[self.hunters :] for part in parts],
        }

    def _nearest(
        self,
        place: Float[Tensor, "N 2 B"],
        features: Float[Tensor, "M D B"],
        candidates: Int[Tensor, "N C"],
        number: int,
        *,
        at: Float[Tensor, "M 2 B"] | None = None,
    ) -> Float[Tensor, "N _k B"]:
        """Ways to the nearest so many candidates of each agent, each with its features."""
        ways = (place if at is None else at)[candidates] - place[:, None]
        order = lengths(ways).argsort(stable=True, dim=1)[:, :number, None]
        whole = torch.cat([ways, features[candidates]], 2)
        return whole.gather(1, order.expand(-1, -1, whole.shape[2], -1)).flatten(1, 2)

    def known(self, state: TreasureState) -> Int[Tensor, "B N 1"]:
        """Nothing that others do not know."""
        return torch.full((self.num_envs, self.num_agents, 1), -1, device=self.device)

    def oracle(self, state: TreasureState) -> dict[str, Tensor]:
        """Each hunter to a treasure of its own or to the bank, out of others' way; banks to who brings something."""
        rest = rest_points(state.place, state.velocity, at_once=True)
        hunters, banks = rest[:, : self.hunters], rest[:, self.hunters :]
        holds = (state.holding != NOTHING)[..., None]
        away = torch.where(holds, torch.inf, torch.cdist(hunters, state.landmark))
        prize = state.landmark.gather(1, shared_out(away)[..., None].expand(-1, -1, 2))
        bank = banks.gather(1, state.holding.clamp(min=0)[..., None].expand(-1, -1, 2))
        steps = torch.where(holds, bank, prize) - hunters + told_apart(hunters, room=ROOM) * DODGE
        kind = torch.arange(self.banks, device=self.device)[None, :, None]
        brings = state.holding[:, None] == kind
        nearest = torch.where(brings, torch.cdist(banks, hunters), torch.inf).argmin(2)
        meeting = hunters.gather(1, nearest[..., None].expand(-1, -1, 2))
        target = torch.where(brings.any(2, keepdim=True), meeting, hunters.mean(1, keepdim=True))
        return self.steered({"hunter": steps, "bank": target - banks})

    def blind(self, state: TreasureState) -> dict[str, Tensor]:
        """As the informed: everyone sees everything."""
        return self.oracle(state)

    def names_of_landmarks(self) -> tuple[str, ...]:
        """Treasures."""
        return tuple(f"treasure {number}" for number in range(self.hunters))

    def scene(self, state: TreasureState, copy: int = 0) -> Scene:
        """As of all particle tasks; a treasure has the colour of its kind, and one that is gone is not drawn."""
        gone, kinds = self._gone(state), state.kind[copy].tolist()
        shown = super().scene(
            dataclasses.replace(state, landmark=torch.where(gone[..., None], 0.0, state.landmark)), copy
        )
        things = tuple(
            dataclasses.replace(thing, kind=len(self.particles) + kind)
            for thing, kind, absent in zip(shown.things, kinds, gone[copy].tolist(), strict=True)
            if not absent
        )
        return dataclasses.replace(shown, things=things)

    def captioned(self, state: TreasureState, copy: int) -> str:
        """Return who holds what, and how much was brought to the banks."""
        holders = [f"{self.agents[h]} holds {k}" for h, k in enumerate(state.holding[copy].tolist()) if k != NOTHING]
        return ", ".join([*holders, f"{int(state.deposits[copy])} brought to banks"])
