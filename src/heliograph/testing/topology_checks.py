"""Checks of a topology: the form of its edges, what it may look at, and a team that hears by it.

`make_topology` takes no arguments and returns a fresh topology. `sizes` are the numbers of agents that it can be asked
for, where these are not all.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from heliograph.envs.base import TeamEnv
from heliograph.envs.graph_colouring import GraphColouring
from heliograph.envs.predator_prey import PredatorPrey
from heliograph.experiments.choices import TeamChoices
from heliograph.rollouts.sampler import Sampler
from heliograph.testing.contract import component_check, expect
from heliograph.testing.play import equal
from heliograph.testing.small_teams import seeded, small_team
from heliograph.topologies.base import Topology, dense, intersect
from heliograph.types import Edges, TeamStep

MakeTopology = Callable[[], Topology]

COPIES = 3
SIZES = (2, 3, 4, 7)
RATIO = 1e-5


def placed(where: Tensor, *, speaking: Tensor | None = None) -> TeamStep:
    """A step in which agents stand at these places `[B, N, D]`, all hear of all by the graph, and all take part."""
    flags, nothing = torch.ones(where.shape[:2], dtype=torch.bool), torch.zeros(where.shape[:2])
    graph = dense(~torch.eye(where.shape[1], dtype=torch.bool).expand(where.shape[0], -1, -1))
    return TeamStep(
        observations={}, rewards=nothing, terminated=~flags, truncated=~flags, episode_over=~flags[:, 0],
        observing=flags, acting=flags, speaking=flags if speaking is None else speaking,
        meaning=nothing.long()[..., None], state=nothing, positions=where, adjacency=graph,
    )  # fmt: skip


def anywhere(size: int, *, seed: int = 0) -> TeamStep:
    """Such a step at random places, in which some are silent."""
    where = torch.rand(COPIES, size, 2, generator=seeded(seed))
    return placed(where, speaking=torch.rand(COPIES, size, generator=seeded(seed + 1)) < 0.8)


def hearing_pairs(edges: Edges, *, copy: int = 0) -> list[tuple[int, int]]:
    """(hearer, sender) of all edges of a copy."""
    mask = edges.mask[copy if len(edges.mask) > 1 else 0]
    slots = torch.arange(mask.shape[1]).expand_as(mask)
    senders = slots if edges.senders is None else edges.senders[copy if len(edges.senders) > 1 else 0]
    return [(hearer, int(senders[hearer, k])) for hearer, k in mask.nonzero().tolist()]


@component_check
def check_edges(make_topology: MakeTopology, *, sizes: Sequence[int] = SIZES) -> None:
    """Edges have shapes, dtypes and senders that exist; nobody hears anyone twice; K stays the same."""
    for size in sizes:
        topology = make_topology()
        widths = set()
        for seed in range(3):
            edges = topology.edges(anywhere(size, seed=seed))
            width = size if edges.senders is None else edges.mask.shape[-1]
            shape = list(edges.mask.shape)
            fits = edges.mask.shape[1:] == (size, width) and len(edges.mask) in (1, COPIES)
            expect(fits, f"a mask of shape [1 or {COPIES}, {size}, {width}], not {shape}")
            expect(edges.mask.dtype is torch.bool, f"a mask of torch.bool, not {edges.mask.dtype}")
            if edges.senders is not None:
                expect(edges.senders.shape[1:] == (size, width), "senders of the shape of the mask")
                expect(edges.senders.dtype is torch.long, f"senders of torch.int64, not {edges.senders.dtype}")
                expect(((edges.senders >= 0) & (edges.senders < size)).all(), f"senders from 0 to {size - 1}")
            for copy in range(COPIES):
                found = hearing_pairs(edges, copy=copy)
                expect(len(found) == len(set(found)), f"nobody to hear another twice in a team of {size}")
            expect(not topology.hears_nobody or not edges.mask.any(), "no edges, as it declares hears_nobody")
            widths.add(edges.mask.shape[-1])
        expect(len(widths) == 1, f"the same K in every step of a team of {size}, not {sorted(widths)}")


@component_check
def check_static(make_topology: MakeTopology, *, sizes: Sequence[int] = SIZES) -> None:
    """A static pattern is that of every step; none is drawn anew, and the process's random stream stays as it was."""
    for size in sizes:
        before = torch.get_rng_state()
        one, other, fresh = make_topology(), make_topology(), make_topology()
        first, second = anywhere(size), anywhere(size, seed=7)
        expect(equal(_seen(one.edges(first)), _seen(other.edges(first))), "the same edges of the same step")
        expect(torch.equal(before, torch.get_rng_state()), "nothing drawn from the random stream of the process")
        same = equal(_seen(one.edges(second)), _seen(fresh.edges(second)))
        expect(same, "edges that hang on the step alone, not on those before; a static pattern looks at no step")
        if one.static:
            expect(
                equal(_seen(one.edges(first)), _seen(fresh.edges(second))), "the same edges in every step, as static"
            )


def _seen(edges: Edges) -> list[Tensor]:
    return [edges.mask] if edges.senders is None else [edges.mask, edges.senders.masked_fill(~edges.mask, -1)]


@component_check
def check_hearing(make_topology: MakeTopology, *, sizes: Sequence[int] = SIZES) -> None:
    """Nobody hears whom the environment's rule of hearing forbids, and the pattern decides the rest."""
    for size in sizes:
        topology, step = make_topology(), anywhere(size)
        rule = dense(torch.rand(COPIES, size, size, generator=seeded(2)) < 0.5)
        pattern = topology.edges(step)
        step.hearing = rule
        found = topology.edges(step)
        ruled = rule if topology.yields_to_env else intersect(pattern, rule)
        expected = pattern if topology.hears_only_itself else ruled
        for copy in range(COPIES):
            same = set(hearing_pairs(found, copy=copy)) == set(hearing_pairs(expected, copy=copy))
            expect(same, "what both the pattern and the environment allow (or the environment alone, as yields_to_env)")


@component_check
def check_team_hears(make_topology: MakeTopology, *, sizes: Sequence[int] = SIZES) -> None:
    """A team that hears by it can be unrolled: log-probabilities are again those of the rollout."""
    size = min(sizes, key=lambda number: abs(number - 3))
    env: TeamEnv = PredatorPrey(num_envs=4, seed=0, size=4, predators=size)
    if make_topology().needs_hearing:
        env = GraphColouring(num_envs=4, seed=0, agents=8)
    team = small_team(env, TeamChoices(channel="dru", model_settings={"size": 16}, topology=make_topology))
    rollout = Sampler(env, team, seed=0).fragment(4)
    error = float((team.unroll(rollout).action_log_prob - rollout.action_log_prob).abs().max().detach())
    expect(error <= RATIO, f"the action_log_prob of a rollout again, not {error:.1e} off")
