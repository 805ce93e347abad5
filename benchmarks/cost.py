"""What talking costs as teams grow: each model on each topology, with 16 to 4,096 agents.

    python benchmarks/cost.py [--models mean_field tarmac] [--topologies ring full] [--agents 16 64] [--repeats 5]
    python benchmarks/cost.py --show

Copies times agents is always 4,096, so that what costs in proportion to its edges costs the same in each column. Of
each cell: CPU microseconds per agent step of a rollout (environment, team, recording), and of the same rollout with its
unrolling and the backward pass; the median of some repeats, after one to warm up, of fragments of two steps, one
thread. Memory is what the process holds at its peak more than before the environment and the team were made (resident).
A cell that needs more than three gigabytes is left out, and says so. `edges` are messages that an agent is offered in
a step, on average; `slots` the places that a topology keeps for them.

All models have 64 units and the channel `continuous` with its four numbers. The topology `given` is the graph of
`graph_colouring`, whose rule of hearing leaves no other; on the others agents stand on a square, see four numbers and
choose one of four actions, as there. `--show` prints the tables of docs/growth.md from the results.
"""

import argparse
import dataclasses
import itertools
import json
import multiprocessing
import pathlib
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from gymnasium import spaces
from protocols import RESULTS, command, commit, machine
from torch import Tensor

from heliograph.envs.base import BaseSettings, EnvState, Outcome, TeamEnv, Unpack, View
from heliograph.envs.graph_colouring import GraphColouring
from heliograph.experiments.choices import TeamChoices, build_team, facts_of
from heliograph.rllib.runs.train import versions
from heliograph.rollouts.rollout import Rollout
from heliograph.rollouts.sampler import Sampler
from heliograph.storage.run_folder import write_json
from heliograph.team.team import Team
from heliograph.types import Role

TOTAL, STEPS, SIZE, NEIGHBOURS = 4096, 2, 64, 4
MEMORY_LIMIT = 3 * 2**30
AGENTS = (16, 64, 256, 1024, 4096)
MODELS: dict[str, dict[str, Any]] = {
    "cnet": {},
    "commnet": {},
    "feedforward": {},
    "gacomm": {"hard_size": SIZE},
    "graph_attention": {},
    "ic3net": {},
    "magic": {},
    "mean_field": {},
    "tarmac": {},
}
TOPOLOGIES: dict[str, Callable[[int], dict[str, Any]]] = {
    "none": lambda n: {},
    "ring": lambda n: {"reach": NEIGHBOURS // 2},
    "grid": lambda n: {"columns": round(n**0.5), "wrap": True},
    "random": lambda n: {"degree": NEIGHBOURS},
    "given": lambda n: {},
    "nearest": lambda n: {"number": NEIGHBOURS},
    "radius": lambda n: {"radius": (NEIGHBOURS / (torch.pi * n)) ** 0.5, "at_most": 2 * NEIGHBOURS},
    "exponential": lambda n: {},
    "full": lambda n: {},
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SquareState(EnvState):
    """Where agents stand `[B, N, 2]`, and the step `[B]`."""

    places: Tensor
    time: Tensor


class Square(TeamEnv[SquareState]):
    """Agents stand anywhere on a square of side 1, see where they are, and are paid for nothing; 16 steps."""

    def __init__(self, *, agents: int, **base: Unpack[BaseSettings]):
        role = Role(
            name="agent", agents=tuple(f"agent_{i}" for i in range(agents)),
            observation_space=spaces.Box(0.0, 1.0, (4,)), action_space=spaces.Discrete(4),
        )  # fmt: skip
        super().__init__((role,), **base)

    @property
    def horizon(self) -> int:
        """The steps of an episode."""
        return 16

    def start(self) -> SquareState:
        """New places."""
        shape = (self.num_envs, self.num_agents, 2)
        places = torch.rand(shape, generator=self.start_generator, device=self.device)
        return SquareState(places=places, time=torch.zeros(self.num_envs, dtype=torch.long, device=self.device))

    def advance(self, state: SquareState, actions: dict[str, Tensor]) -> tuple[SquareState, Outcome]:
        """Only the time goes on."""
        time = state.time + 1
        over = time >= self.horizon
        rewards = torch.zeros(self.num_envs, self.num_agents, device=self.device)
        outcome = Outcome(rewards=rewards, terminated=over[:, None].expand(-1, self.num_agents), episode_over=over)
        return SquareState(places=state.places, time=time), outcome

    def observe(self, state: SquareState) -> View:
        """Show each agent where it is."""
        everyone = torch.ones(self.num_envs, self.num_agents, dtype=torch.bool, device=self.device)
        return View(
            observations={"agent": torch.cat([state.places, 1 - state.places], -1)},
            observing=everyone, acting=everyone, speaking=everyone,
            meaning=(state.places[..., :1] * 4).long(), state=state.places.flatten(1), positions=state.places,
        )  # fmt: skip


def sampler_of(model: str, topology: str, agents: int, *, copies: int) -> Sampler:
    """A team at its environment."""
    make: Any = GraphColouring if topology == "given" else Square
    env = make(agents=agents, num_envs=copies)
    choices = TeamChoices(
        model=model, model_settings={"size": SIZE, **MODELS[model]}, channel="continuous",
        topology=topology, topology_settings=TOPOLOGIES[topology](agents),
    )  # fmt: skip
    return Sampler(env, build_team(choices, facts_of(env), seed=0))


def learn(team: Team, rollout: Rollout) -> None:
    """What a loss needs of a rollout, and its gradient."""
    scores = team.unroll(rollout).scores
    (scores.action_log_prob.sum() + scores.action_entropy.sum()).backward()
    team.zero_grad()


def measured(model: str, topology: str, agents: int, repeats: int) -> dict[str, Any]:
    """One cell, in a process of its own; a small team comes first, so that libraries are loaded."""
    small = sampler_of(model, topology, AGENTS[0], copies=1)
    learn(small.team, small.fragment(STEPS))
    before = resident_bytes()
    sampler = sampler_of(model, topology, agents, copies=max(1, TOTAL // agents))
    rolling, learning = [], []
    for _ in range(repeats + 1):
        started = time.process_time()
        rollout = sampler.fragment(STEPS)
        rolled = time.process_time()
        learn(sampler.team, rollout)
        rolling.append(rolled - started)
        learning.append(time.process_time() - started)
    edges = rollout.static_edges or rollout.edges
    assert edges is not None
    share = 1e6 / (STEPS * rollout.num_envs * agents)
    return {
        "edges": round(float(edges.mask.sum(-1).float().mean()), 2),
        "slots": edges.mask.shape[-1],
        "rollout_microseconds": round(share * statistics.median(rolling[1:]), 2),
        "rollout_and_learning_microseconds": round(share * statistics.median(learning[1:]), 2),
        "peak_mb": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / 2**20, 1),
    }


def resident_bytes() -> int:
    """What this process holds in memory now."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def work(cell: Mapping[str, Any], repeats: int, answer: Any) -> None:
    """Send what a cell costs, or why it was left out."""
    resource.setrlimit(resource.RLIMIT_DATA, (resident_bytes() + MEMORY_LIMIT, resource.RLIM_INFINITY))
    try:
        answer.send(measured(**cell, repeats=repeats))
    except (MemoryError, RuntimeError) as error:
        if "memory" not in str(error):
            raise
        answer.send({"left_out": f"needs more than {MEMORY_LIMIT / 2**30:g} GB"})


def apart(cell: Mapping[str, Any], repeats: int) -> dict[str, Any]:
    """Measure a cell in a child, whose memory begins small."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=work, args=(cell, repeats, theirs))
    child.start()
    theirs.close()
    try:
        return dict(ours.recv())
    except EOFError:
        raise SystemExit(f"{dict(cell)}: its process ended without a result") from None
    finally:
        child.join()


def show(result: Mapping[str, Any]) -> str:
    """The tables of docs/growth.md."""
    models = dict.fromkeys(cell["model"] for cell in result["cells"])
    return "\n\n".join(table([cell for cell in result["cells"] if cell["model"] == model]) for model in models)


def table(cells: list[dict[str, Any]]) -> str:
    """Of one model: a row a topology, a column a size of the team."""
    sizes = sorted({cell["agents"] for cell in cells})
    head = [f"`{cells[0]['model']}`", "edges", *(f"{n:,}" for n in sizes), "MB"]
    rows = [
        line_of([c for c in cells if c["topology"] == t], sizes) for t in dict.fromkeys(c["topology"] for c in cells)
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def line_of(cells: list[dict[str, Any]], sizes: list[int]) -> list[str]:
    """Edges an agent, microseconds by size, and memory, of the smallest teams and of the largest that were measured."""
    found = {cell["agents"]: cell for cell in cells if "edges" in cell}
    costs = [number(found[n]["rollout_and_learning_microseconds"]) if n in found else "-" for n in sizes]
    ends = [found[min(found)], found[max(found)]]
    edges, memory = ([number(cell[key]) for cell in ends] for key in ("edges", "peak_mb"))
    return [f"`{cells[0]['topology']}`", " to ".join(dict.fromkeys(edges)), *costs, " to ".join(memory)]


def number(value: float) -> str:
    """With two or three digits."""
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:.1f}"


def main() -> None:
    """Measure all cells, and write them as they come; or show the results."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--topologies", nargs="+", default=list(TOPOLOGIES), choices=list(TOPOLOGIES))
    parser.add_argument("--agents", nargs="+", type=int, default=list(AGENTS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS / "cost.json")
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    if given.show:
        print(show(json.loads(given.out.read_text(encoding="utf8"))))
        return
    torch.set_num_threads(1)
    torch.manual_seed(0)
    header = {
        "command": command(),
        "commit": commit(),
        "versions": versions(),
        "hardware": machine(),
        "settings": {"copies_times_agents": TOTAL, "steps": STEPS, "size": SIZE, "repeats": given.repeats},
    }
    cells = measured_before(given.out, header)
    for names in itertools.product(given.models, given.topologies, given.agents):
        cell = dict(zip(("model", "topology", "agents"), names, strict=True))
        if not any(cell.items() <= known.items() for known in cells):
            cells.append({**cell, **apart(cell, given.repeats), "commit": header["commit"]})
            print(json.dumps(cells[-1]), flush=True)
            write_json(given.out, {**header, "cells": cells})


def measured_before(out: pathlib.Path, header: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The cells that a file holds, each with its commit: a benchmark that was ended goes on."""
    if not out.exists():
        return []
    found = json.loads(out.read_text(encoding="utf8"))
    if (found["settings"], found["hardware"]["cpu"]) != (header["settings"], header["hardware"]["cpu"]):
        raise SystemExit(f"{out} holds cells of other settings or another processor: name another --out, or remove it")
    return list(found["cells"])


if __name__ == "__main__":
    main()
