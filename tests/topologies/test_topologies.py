"""Who can hear whom: patterns, the environment's own rule, and both together."""

import functools

import pytest
import torch

from heliograph import registry
from heliograph.envs.identity import Identity
from heliograph.envs.switch_riddle import SwitchRiddle
from heliograph.experiments.choices import build_topology
from heliograph.testing import TOPOLOGY_CHECKS
from heliograph.testing.mixed import Mixed
from heliograph.testing.topology_checks import SIZES
from heliograph.topologies import distances
from heliograph.topologies.base import Topology, dense, intersect, no_edges
from heliograph.types import Edges, TeamStep
from tests.parts import Ring, replaced

PLAIN = [name for name in registry.names("topology")]
SETTINGS = {"grid": {"columns": 2}, "radius": {"radius": 1.5}}
PLACED = ("nearest", "radius")
"""They read the positions of the environment."""


def pairs(edges: Edges, *, copy: int = 0) -> set[tuple[int, int]]:
    """(hearer, sender) of all edges of a copy."""
    mask = edges.mask[copy if len(edges.mask) > 1 else 0]
    slots = torch.arange(mask.shape[1]).expand_as(mask)
    senders = slots if edges.senders is None else edges.senders[copy if len(edges.senders) > 1 else 0]
    return {(hearer, int(senders[hearer, k])) for hearer, k in mask.nonzero().tolist()}


def step_of(env=Mixed) -> TeamStep:
    return env(num_envs=3).reset()


def made(name: str, step: TeamStep) -> Topology:
    number = step.speaking.shape[1]
    settings = {"mask": [[True] * number] * number} if name == "given" else SETTINGS.get(name, {})
    return build_topology(name, settings)


def placed(*places: tuple[float, float]) -> TeamStep:
    """A step of three copies in which agents stand at these places, and all take part."""
    where = torch.tensor([places]).expand(3, -1, -1)
    flags, nothing = torch.ones(3, len(places), dtype=torch.bool), torch.zeros(3, len(places))
    return TeamStep(
        observations={}, rewards=nothing, terminated=~flags, truncated=~flags, episode_over=~flags[:, 0],
        observing=flags, acting=flags, speaking=flags, meaning=nothing.long()[..., None], state=nothing,
        positions=where,
    )  # fmt: skip


def team_of(number: int) -> TeamStep:
    return placed(*[(0.0, float(i)) for i in range(number)])


def test_the_topologies_of_this_package_are_exactly_these() -> None:
    assert PLAIN == ["exponential", "full", "given", "grid", "nearest", "none", "radius", "random", "ring", "self_only"]


@pytest.mark.parametrize("name", [*PLAIN, "mask", Ring])
@pytest.mark.parametrize("check", TOPOLOGY_CHECKS)
def test_conformance(name, check: str) -> None:
    sizes = {"mask": (4,)}.get(name, SIZES)
    own = {"name": "given", "settings": {"mask": [[True] * 4] * 4}} if name == "mask" else {"name": name}
    make = functools.partial(build_topology, **{"settings": SETTINGS.get(name, {}), **own})
    TOPOLOGY_CHECKS[check](make, sizes=sizes)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("env", [Identity, SwitchRiddle, Mixed])
def test_edges_respect_the_environment(name: str, env) -> None:
    step = step_of(env)
    if name in PLACED:
        step = replaced(step, positions=torch.rand(*step.speaking.shape, 2))
    edges = made(name, step).edges(step)
    ruled = step.hearing is not None and name != "self_only"  # no environment forbids to hear oneself
    for copy in range(3) if ruled else ():
        assert pairs(edges, copy=copy) <= pairs(step.hearing, copy=copy)


def test_full_is_everyone_else() -> None:
    edges = build_topology("full", {}).edges(step_of(Identity))
    assert pairs(edges) == {(0, 1), (1, 0)} and edges.senders is None and edges.mask.shape == (1, 2, 2)


def test_full_leaves_the_rule_of_the_environment_as_it_is() -> None:
    step = step_of(SwitchRiddle)
    assert build_topology("full", {}).edges(step) is step.hearing
    assert build_topology("given", {}).edges(step) is step.hearing


def test_none_has_no_slots() -> None:
    assert build_topology("none", {}).edges(step_of()).mask.shape == (1, 6, 0)


def test_a_given_mask_is_read_hearer_by_sender() -> None:
    mask = [[False, True], [False, False]]
    assert pairs(build_topology("given", {"mask": mask}).edges(step_of(Identity))) == {(0, 1)}


def test_given_takes_the_graph_of_the_environment() -> None:
    graph = Edges(senders=torch.tensor([[[1], [0]]]).expand(3, 2, 1), mask=torch.ones(3, 2, 1, dtype=torch.bool))
    topology = build_topology("given", {})
    assert topology.edges(replaced(step_of(Identity), adjacency=graph)) is graph
    assert not topology.static and build_topology("given", {"mask": [[True]]}).static
    with pytest.raises(ValueError, match="mask="):
        topology.edges(step_of(Identity))


@pytest.mark.parametrize("mask", [[[True, False]], [True, False]])
def test_a_mask_is_square(mask: list) -> None:
    with pytest.raises((ValueError, TypeError), match="mask"):
        build_topology("given", {"mask": mask})


def test_a_mask_fits_the_team() -> None:
    with pytest.raises(ValueError, match="this team has 2 agents"):
        build_topology("given", {"mask": [[True]]}).edges(step_of(Identity))


def sparse(*senders: list[int], mask: list[list[bool]] | None = None) -> Edges:
    index = torch.tensor([senders])
    return Edges(senders=index, mask=torch.ones_like(index, dtype=torch.bool) if mask is None else torch.tensor([mask]))


def test_intersections_hold_what_both_allow_in_the_sparser_form() -> None:
    some = dense(torch.tensor([[[False, True, True], [True, False, False], [False, True, False]]]))
    other = dense(torch.tensor([[[False, True, False], [True, False, True], [False, True, False]]]))
    ring, wide = sparse([1], [2], [0]), sparse([1, 2], [0, 2], [0, 0], mask=[[True, True], [False, True], [True, True]])
    assert pairs(intersect(some, other)) == {(0, 1), (1, 0), (2, 1)}
    for one, two in ((some, ring), (ring, some)):
        both = intersect(one, two)
        assert pairs(both) == {(0, 1)} and both.mask.shape == (1, 3, 1)
    for one, two in ((ring, wide), (wide, ring)):
        assert pairs(intersect(one, two)) == {(0, 1), (1, 2), (2, 0)}
    nothing = no_edges(3, torch.device("cpu"))
    for edges in (some, ring, wide):
        assert pairs(intersect(edges, nothing)) == pairs(intersect(nothing, edges)) == set()
    many = Edges(senders=None, mask=some.mask.expand(4, 3, 3))
    assert intersect(many, other).mask.shape == (4, 3, 3)


# ---- patterns -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in PLAIN if name != "given"])
@pytest.mark.parametrize("number", [2, 3, 4, 7])
def test_nobody_hears_itself_or_anyone_twice(name: str, number: int) -> None:
    step = team_of(number)
    edges = made(name, step).edges(step)
    assert all((hearer == sender) == (name == "self_only") for hearer, sender in pairs(edges))
    assert int(edges.mask[0].sum()) == len(pairs(edges))


def test_a_ring() -> None:
    sides = {(0, 1), (1, 2), (2, 3), (3, 0)}
    assert pairs(build_topology("ring", {}).edges(team_of(4))) == sides | {(b, a) for a, b in sides}
    assert len(pairs(build_topology("ring", {"reach": 2}).edges(team_of(7)))) == 28
    assert pairs(build_topology("ring", {}).edges(team_of(2))) == {(0, 1), (1, 0)}


def test_a_grid() -> None:
    """0 1 2 / 3 4"""
    found = pairs(build_topology("grid", {"columns": 3}).edges(team_of(5)))
    one_way = {(0, 1), (1, 2), (0, 3), (1, 4), (3, 4)}
    assert found == one_way | {(b, a) for a, b in one_way}
    closed = build_topology("grid", {"columns": 3, "wrap": True}).edges(team_of(9))
    assert closed.mask.sum(-1).unique().tolist() == [4] and (0, 2) in pairs(closed) and (0, 6) in pairs(closed)
    with pytest.raises(ValueError, match="columns=3: 5 agents fill no whole rows"):
        build_topology("grid", {"columns": 3, "wrap": True}).edges(team_of(5))


def test_exponential_reaches_all_in_few_steps() -> None:
    edges = build_topology("exponential", {}).edges(team_of(64))
    assert edges.mask.shape == (1, 64, 6) and {s for h, s in pairs(edges) if h == 0} == {1, 2, 4, 8, 16, 32}
    known = {0}
    for _ in range(6):
        known |= {sender for hearer, sender in pairs(edges) if hearer in known}
    assert len(known) == 64


def test_random_is_decided_by_its_seed() -> None:
    one, two, other = (build_topology("random", {"degree": 3, "seed": s}).edges(team_of(20)) for s in (0, 0, 1))
    assert pairs(one) == pairs(two) != pairs(other) and one.mask.sum(-1).unique().tolist() == [3]


def test_nearest_and_radius_read_positions() -> None:
    step = placed((0.0, 0.0), (0.0, 1.0), (0.0, 3.0), (9.0, 0.0))
    assert {p for p in pairs(build_topology("nearest", {"number": 1}).edges(step))} == {(0, 1), (1, 0), (2, 1), (3, 0)}
    within = {(0, 1), (1, 0), (1, 2), (2, 1)}
    assert pairs(build_topology("radius", {"radius": 2.0}).edges(step)) == within
    few = build_topology("radius", {"radius": 2.0, "at_most": 1}).edges(step)
    assert few.mask.shape == (3, 4, 1) and pairs(few) == within - {(1, 2)}
    silent = replaced(step, speaking=torch.tensor([[True, False, True, True]]).expand(3, -1))
    assert pairs(build_topology("nearest", {"number": 1}).edges(silent)) == {(0, 2), (1, 0), (2, 0), (3, 0)}
    with pytest.raises(ValueError, match="gives no positions"):
        build_topology("nearest", {}).edges(step_of(Identity))


@pytest.mark.parametrize(("name", "settings"), [("nearest", {"number": 5}), ("radius", {"radius": 0.1, "at_most": 5})])
def test_the_nearest_of_many_are_those_that_all_distances_give(
    name: str, settings: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some are silent, some stand in the same place, in one copy all but three are silent, in one everyone is."""
    number = distances.MANY_AGENTS
    step = placed(*[(0.0, float(i)) for i in range(number)])
    step.positions, step.speaking = torch.rand(3, number, 2), torch.rand(3, number) < 0.8
    step.positions[0, :4] = 0.5
    step.speaking[1] = torch.arange(number) < 3
    step.speaking[2] = False
    many = build_topology(name, settings).edges(step)
    monkeypatch.setattr(distances, "MANY_AGENTS", number + 1)
    few = build_topology(name, settings).edges(step)
    assert many.mask.shape == few.mask.shape == (3, number, 5) and not many.mask[2].any()
    assert torch.equal(many.mask.sum(-1), few.mask.sum(-1)) and int(many.mask.sum()) == len(
        {(b, *pair) for b in range(3) for pair in pairs(many, copy=b)}
    )
    for copy in (0, 1):
        apart = [distance_sums(step, edges, copy=copy) for edges in (many, few)]
        assert torch.allclose(*apart, atol=1e-5)
        assert all(hearer != sender and step.speaking[copy, sender] for hearer, sender in pairs(many, copy=copy))


def distance_sums(step: TeamStep, edges: Edges, *, copy: int) -> torch.Tensor:
    """How far those whom each agent hears are from it, together."""
    where = step.positions[copy]
    apart = (where[edges.senders[copy]] - where[:, None]).norm(dim=-1)
    return (apart * edges.mask[copy]).sum(-1)


def test_random_takes_all_choices_equally_often() -> None:
    """10 agents hear 3 of 9 others each: every ordered pair is there in a third of the seeds."""
    count = torch.zeros(10, 10)
    for seed in range(600):
        for hearer, sender in pairs(build_topology("random", {"degree": 3, "seed": seed}).edges(team_of(10))):
            count[hearer, sender] += 1
    share = count[~torch.eye(10, dtype=torch.bool)] / 600
    assert share.mean() == pytest.approx(1 / 3) and float((share - 1 / 3).abs().max()) < 0.085


def test_a_fixed_pattern_is_made_once_and_a_moving_one_in_every_step() -> None:
    fixed, moving = build_topology("random", {}), build_topology("nearest", {})
    assert fixed.edges(team_of(5)) is fixed.edges(team_of(5)) is not fixed.edges(team_of(6))
    assert moving.edges(team_of(5)) is not moving.edges(team_of(5))
