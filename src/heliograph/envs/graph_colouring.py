"""Graph colouring: agents on a sparse random graph choose colours and must differ from their neighbours."""

import dataclasses

import torch
import torch.nn.functional as F
from gymnasium import spaces
from jaxtyping import Bool, Int
from torch import Tensor

from heliograph.checks import check_number, check_positive
from heliograph.envs.base import BaseSettings, EnvState, Outcome, TeamEnv, Unpack, View
from heliograph.envs.scene import Mark, Scene
from heliograph.types import Bounds, Edges, Role

__all__ = ["ColouringState", "GraphColouring", "recolour"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ColouringState(EnvState):
    """The hidden group and the colour (-1: none yet) of each agent, whose turn it is, the graph, and the time."""

    group: Int[Tensor, "B N"]
    colour: Int[Tensor, "B N"]
    on_turn: Bool[Tensor, "B N"]
    neighbours: Int[Tensor, "B N degree"]
    time: Int[Tensor, " B"]


class GraphColouring(TeamEnv[ColouringState]):
    """Agents on a random graph pick one of `colours` when it is their turn; each neighbour with another colour pays.

    In the first step all pick, then each with probability `turn` a step (who does not keeps its colour; if all moved at
    once, neighbours would chase each other). A step pays 1/steps times the share of neighbours of another colour, so an
    episode at most 1. Each episode has a new graph in which every agent has `degree` neighbours and which some
    colouring solves: agents are put into as many hidden groups of equal size as there are colours, and only members of
    different groups are neighbours (the union of degree / 2 random cycles, so two agents may be neighbours twice). An
    agent sees its colour, speaks in every step, and hears its neighbours only: `hearing` and `adjacency` have the form
    [B, N, degree], so that cost grows with the edges and thousands of agents will do. `meaning` is the colour. Success
    is that all differ in the last step.
    """

    def __init__(
        self,
        *,
        agents: int = 64,
        degree: int = 4,
        colours: int = 4,
        steps: int = 16,
        turn: float = 0.25,
        **base: Unpack[BaseSettings],
    ):
        for name, value in (("agents", agents), ("degree", degree), ("colours", colours), ("steps", steps)):
            check_positive(name, value)
        if degree % 2:
            raise ValueError(f"degree={degree}: must be even, as the graph is made of cycles")
        if colours < 2:
            raise ValueError(f"colours={colours}: needs at least 2, or neighbours cannot differ")
        if agents % colours or agents < 4:
            raise ValueError(f"agents={agents}: must be at least 4 and a multiple of the {colours} colours")
        check_number("turn", turn, above=0, maximum=1)
        self.degree, self.colours, self.steps, self.turn = degree, colours, steps, turn
        role = Role(
            name="agent",
            agents=tuple(f"agent_{i}" for i in range(agents)),
            observation_space=spaces.Box(0.0, 1.0, (colours,)),
            action_space=spaces.Discrete(colours),
        )
        super().__init__((role,), **base)

    @property
    def horizon(self) -> int:
        """The steps of an episode, after the talking."""
        return self.steps + self.talk_steps

    def bounds(self) -> Bounds:
        """Exact; without messages no team can do better than to share the colours evenly among its slots."""
        same = (self.num_agents // self.colours - 1) / (self.num_agents - 1)
        return Bounds(random=1 - 1 / self.colours, blind=1 - same, full_information=1.0, source="exact")

    def oracle(self, state: ColouringState) -> dict[str, Tensor]:
        """A colour for each hidden group."""
        return {"agent": state.group}

    def scene(self, state: ColouringState, copy: int = 0) -> Scene:
        """Agents in their colours, the graph between them, and who has the colour of a neighbour."""
        scene = super().scene(state, copy)
        colours, neighbours = state.colour[copy].tolist(), state.neighbours[copy].tolist()
        clash = [any(c == colours[n] >= 0 for n in around) for c, around in zip(colours, neighbours, strict=True)]
        agents = [
            dataclasses.replace(agent, kind=colour, mark=Mark.TROUBLE if clashes else Mark.NONE)
            for agent, colour, clashes in zip(scene.agents, colours, clash, strict=True)
        ]
        links = {(min(a, b), max(a, b)) for a, around in enumerate(neighbours) for b in around}
        caption = f"{sum(clash)} of {self.num_agents} agents have the colour of a neighbour"
        return dataclasses.replace(scene, agents=tuple(agents), links=tuple(sorted(links)), caption=caption)

    def start(self) -> ColouringState:
        """A new graph, all without a colour."""
        members = self._shuffled_slots()
        shape = (self.num_envs, self.num_agents)
        group = torch.arange(self.colours, device=self.device).expand(members.shape)
        group = torch.zeros(shape, dtype=torch.long, device=self.device).scatter(
            1, members.flatten(1), group.flatten(1)
        )
        cycles = [self._cycle(members) for _ in range(self.degree // 2)]
        neighbours = torch.cat(cycles, -1)
        return ColouringState(
            group=group,
            colour=torch.full_like(group, -1),
            on_turn=torch.ones_like(group, dtype=torch.bool),
            neighbours=neighbours,
            time=torch.zeros_like(group[:, 0]),
        )

    def _shuffled_slots(self) -> Int[Tensor, "B members colours"]:
        """The agents of each hidden group."""
        shape = (self.num_envs, self.num_agents)
        order = torch.rand(shape, generator=self.start_generator, device=self.device).argsort(1)
        return order.view(self.num_envs, -1, self.colours)

    def _cycle(self, members: Int[Tensor, "B members colours"]) -> Int[Tensor, "B N 2"]:
        """Both neighbours of each agent on a random cycle that goes round the groups in a random order."""
        stream, device = self.start_generator, self.device
        within = torch.rand(members.shape, generator=stream, device=device).argsort(1)
        groups = torch.rand(len(members), self.colours, generator=stream, device=device).argsort(1)
        cycle = members.gather(1, within).gather(2, groups[:, None].expand(members.shape)).flatten(1)
        beside = torch.stack([cycle.roll(1, 1), cycle.roll(-1, 1)], -1)
        return torch.zeros_like(beside).scatter(1, cycle[..., None].expand(beside.shape), beside)

    def advance(self, state: ColouringState, actions: dict[str, Tensor]) -> tuple[ColouringState, Outcome]:
        """Take the colours of those whose turn it is, pay, and draw whose turn is next."""
        colour = torch.where(state.on_turn, actions["agent"], state.colour)
        around = colour.gather(1, state.neighbours.flatten(1)).view(state.neighbours.shape)
        differ = around != colour[..., None]
        luck = torch.rand(colour.shape, generator=self.generator, device=self.device)
        time = state.time + 1
        over = time >= self.steps
        outcome = Outcome(
            rewards=differ.float().mean(-1) / self.steps,
            terminated=over[:, None].expand(-1, self.num_agents),
            episode_over=over,
            info={"success": differ.flatten(1).all(1)},
        )
        return dataclasses.replace(state, colour=colour, on_turn=luck < self.turn, time=time), outcome

    def observe(self, state: ColouringState) -> View:
        """Show each agent its colour; only neighbours hear each other."""
        everyone = torch.ones_like(state.colour, dtype=torch.bool)
        shades = torch.arange(self.colours, device=self.device)
        picked = (state.colour[..., None] == shades).float()
        group = F.one_hot(state.group, self.colours).float()
        time = state.time[:, None] / self.steps
        edges = Edges(senders=state.neighbours, mask=torch.ones_like(state.neighbours, dtype=torch.bool))
        return View(
            observations={"agent": picked},
            observing=everyone,
            acting=state.on_turn,
            speaking=everyone.clone(),
            meaning=state.colour[..., None],
            state=torch.cat([group.flatten(1), picked.flatten(1), time], 1),
            hearing=edges,
            adjacency=edges,
        )


def recolour(
    own: Int[Tensor, "*batch"], *, heard: Int[Tensor, "*batch degree"], colours: int, generator: torch.Generator
) -> Int[Tensor, "*batch"]:
    """A protocol that works: all tell their colour, and who clashes takes a colour that the fewest around it have.

    `own` and `heard` are colours, -1 for none. Whoever has none picks at random; equals are chosen among at random.
    """
    taken = F.one_hot(heard + 1, colours + 1)[..., 1:].sum(-2)
    luck = torch.rand(*own.shape, colours, generator=generator, device=own.device)
    best = (luck - taken).argmax(-1)
    clash = (heard == own[..., None]).any(-1)
    return torch.where((own < 0) | clash, best, own)
