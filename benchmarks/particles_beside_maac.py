"""MAAC's two tasks beside the code that its authors published: the same states and actions, step by step.

    git clone https://github.com/shariqiqbal2810/MAAC            (commit 6174a01)
    git clone https://github.com/shariqiqbal2810/multiagent-particle-envs   (commit a3ccb43)
    python benchmarks/particles_beside_maac.py --maac MAAC --particles multiagent-particle-envs
        [--episodes 100] [--out FILE] [--record FILE]

Writes the largest differences of observations and rewards over all episodes, half of them with random actions and half
with our scripts', both action kinds. What the code draws anew in an episode (treasures) is put into our state after
each step, and every 25 steps its places and velocities are: in crowds of hunters rounding errors grow tenfold in ten
steps, on either side alone. `--record` keeps one episode of each task as numbers that tests replay: starts, actions,
rewards, and of each observation its sum weighted by cos(0), cos(1), ... The code needs an old gym and seaborn, of which
it uses names alone: they are stood in for.
"""

import argparse
import dataclasses
import importlib.util
import json
import pathlib
import sys
import types
from typing import Any

import numpy as np
import torch
from protocols import command, commit, machine

from heliograph.envs.particle_scores import random_pushes
from heliograph.envs.particle_task import ParticleTask
from heliograph.envs.rover_tower import RoverState, RoverTower
from heliograph.envs.treasure_collection import TreasureCollection
from heliograph.rllib.runs.train import versions
from heliograph.storage.run_folder import write_json

SCENARIOS = {"treasure_collection": "fullobs_collect_treasure", "rover_tower": "multi_speaker_listener"}
STEPS = {"treasure_collection": 100, "rover_tower": 25}
TOLERANCE = 1e-5
RECORDED = 50
SYNCHRONISED = 25
"""After how many steps ours is put where theirs is."""
THEIR_PUSH = [0, 2, 1, 4, 3]
"""Our pushes (none, left, right, down, up) in their order."""


def stand_in(maac: pathlib.Path, particles: pathlib.Path) -> None:
    """Make their code importable: names of gym and seaborn that it mentions, and its folders."""
    gym, spaces, envs, registration = (types.ModuleType(f"gym{end}") for end in ("", ".spaces", ".envs", ".envs.reg"))

    def space(*args: Any, **kwargs: Any) -> Any:
        return types.SimpleNamespace(n=args[0] if args else None)

    class MultiDiscrete:
        """Never made here: nobody both moves and speaks."""

    gym.Env, gym.spaces = object, spaces  # type: ignore[attr-defined]
    spaces.Discrete, spaces.Box, spaces.Tuple = space, space, space  # type: ignore[attr-defined]
    spaces.MultiDiscrete = MultiDiscrete  # type: ignore[attr-defined]
    registration.register = registration.EnvSpec = space  # type: ignore[attr-defined]
    seaborn = types.ModuleType("seaborn")
    seaborn.color_palette = lambda *_, n_colors=6: [[k / n_colors] * 3 for k in range(n_colors)]  # type: ignore[attr-defined]
    names = ("gym", "gym.spaces", "gym.envs", "gym.envs.registration", "seaborn")
    sys.modules.update(zip(names, (gym, spaces, envs, registration, seaborn), strict=True))
    sys.path.insert(0, str(particles))
    sys.path.append(str(maac))


def original(name: str, maac: pathlib.Path) -> Any:
    """One of their environments, as their `make_env` makes it."""
    from multiagent.environment import MultiAgentEnv

    where = maac / "envs" / "mpe_scenarios" / f"{SCENARIOS[name]}.py"
    spec = importlib.util.spec_from_file_location(SCENARIOS[name], where)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    scenario = module.Scenario()
    return MultiAgentEnv(
        scenario.make_world(),
        scenario.reset_world,
        scenario.reward,
        scenario.observation,
        post_step_callback=scenario.post_step,
        discrete_action=True,
    )


class Told(TreasureCollection):
    """The task here, whose new treasures are those of the other side."""

    told: tuple[torch.Tensor, torch.Tensor]

    def new_treasures(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return places and kinds of all of theirs."""
        return self.told


def ours(name: str, *, continuous: bool) -> ParticleTask:
    """The same task here."""
    if name == "rover_tower":
        return RoverTower(words="task", continuous_actions=continuous)
    return Told(rules="code", continuous_actions=continuous)


def bodies_of(world: Any) -> dict[str, torch.Tensor]:
    """Places and velocities of their agents."""
    states = [body.state for body in world.agents]
    return {
        "place": torch.tensor(np.array([[state.p_pos for state in states]])),
        "velocity": torch.tensor(np.array([[state.p_vel for state in states]])),
    }


def state_of(world: Any, like: Any) -> Any:
    """The state of their world in ours."""
    bodies = bodies_of(world)
    landmark = torch.tensor(np.array([[body.state.p_pos for body in world.landmarks]]))
    if isinstance(like, RoverState):
        goal = torch.tensor([[world.landmarks.index(speaker.goal_b) for speaker in world.speakers]])
        tower_of = torch.tensor([[rover.speak_ind for rover in world.listeners]])
        return dataclasses.replace(like, **bodies, landmark=landmark, goal=goal, tower_of=tower_of)
    kind = torch.tensor([[int(treasure.type) for treasure in world.landmarks]])
    return dataclasses.replace(like, **bodies, landmark=landmark, kind=kind)


def their_actions(env: ParticleTask, actions: dict[str, torch.Tensor]) -> list[np.ndarray]:
    """Vectors as their agents give: one-hot of pushes in their order, or of words."""
    found = []
    for kind in env.particles:
        chosen = actions[kind.name][0]
        vectors = chosen.double() if env.continuous_actions else torch.nn.functional.one_hot(chosen, 5).double()
        found.extend((vectors[:, THEIR_PUSH] if kind.moves else vectors).numpy())
    return found


def scripted(env: ParticleTask, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """The script's moves, one in five of them random, and random words."""
    drawn, moves = random_pushes(env), env.oracle(env.state)
    if torch.rand((), generator=generator) < 0.2:
        return drawn
    return {kind.name: moves[kind.name] if kind.moves else drawn[kind.name] for kind in env.particles}


def played(name: str, maac: pathlib.Path, *, seed: int, continuous: bool, script: bool) -> dict[str, Any]:
    """One episode on both sides: the largest differences, and what happened."""
    np.random.seed(seed)
    generator = torch.Generator().manual_seed(seed)
    theirs, env = original(name, maac), ours(name, continuous=continuous)
    env.seed(seed)
    seen = theirs._reset()
    env.plan_start(state_of(theirs.world, env.start()))
    step = env.reset()
    new_treasures(env, theirs.world)
    apart = {"observations": observed_apart(step.observations, seen), "rewards": 0.0}
    told: dict[str, Any] = {"start": plain(env.state), "steps": []}
    for number in range(STEPS[name]):
        if number and number % SYNCHRONISED == 0:
            env.state = dataclasses.replace(env.state, **bodies_of(theirs.world))
        actions = scripted(env, generator) if script else random_pushes(env)
        seen, paid, *_ = theirs._step(their_actions(env, actions))
        step = env.step(actions)
        shown = step.observations if step.final_observations is None else step.final_observations
        apart["observations"] = max(apart["observations"], observed_apart(shown, seen))
        apart["rewards"] = max(apart["rewards"], float(np.abs(step.rewards[0].numpy() - np.array(paid)).max()))
        told["steps"].append(
            {
                "actions": {role: value[0].tolist() for role, value in actions.items()},
                "rewards": [round(float(x), 6) for x in paid],
                "observations": [round(float(np.dot(x, np.cos(np.arange(len(x))))), 5) for x in seen],
                **new_treasures(env, theirs.world),
            }
        )
    return {"apart": apart, "told": told, "paid": [step["rewards"] for step in told["steps"]]}


def new_treasures(env: ParticleTask, world: Any) -> dict[str, Any]:
    """Have ours lie where theirs have come to lie; returns those places and kinds.

    Theirs move after they were seen, ours as the next step begins.
    """
    if not isinstance(env, Told):
        return {}
    places = [treasure.state.p_pos.tolist() for treasure in world.landmarks]
    kinds = [int(treasure.type) for treasure in world.landmarks]
    env.told = torch.tensor([places], dtype=torch.float64), torch.tensor([kinds])
    return {"treasures": places, "kinds": kinds}


def observed_apart(shown: dict[str, torch.Tensor], seen: list[np.ndarray]) -> float:
    """The largest difference of observations; of numbers beyond 1, as a share of them, as ours are float32."""
    rows = [row for values in shown.values() for row in values[0].double().numpy()]
    shares = (np.abs(row - x) / np.maximum(np.abs(x), 1.0) for row, x in zip(rows, seen, strict=True))
    return max(float(share.max()) for share in shares)


def plain(state: Any) -> dict[str, Any]:
    """A state as numbers."""
    fields = ("place", "landmark", "goal", "tower_of", "kind")
    return {name: getattr(state, name)[0].tolist() for name in fields if hasattr(state, name)}


def main() -> None:
    """Compare, write, and fail where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--maac", type=pathlib.Path, required=True)
    parser.add_argument("--particles", type=pathlib.Path, required=True)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--record", type=pathlib.Path)
    given = parser.parse_args()
    stand_in(given.maac, given.particles)
    found, recorded = {}, {}
    for name in SCENARIOS:
        for continuous in (False, True):
            runs = [
                played(name, given.maac, seed=seed, continuous=continuous, script=seed % 2 == 0)
                for seed in range(given.episodes)
            ]
            worst = {key: max(run["apart"][key] for run in runs) for key in ("observations", "rewards")}
            paid = np.array([np.mean(run["paid"], 1).sum() for run in runs])
            key = f"{name}, {'continuous' if continuous else 'discrete'}"
            returns = {"scripts": float(paid[::2].mean()), "random": float(paid[1::2].mean())}
            found[key] = {**worst, "episodes": given.episodes, "steps": STEPS[name], "mean_return": returns}
            print(key, found[key], flush=True)
            if not continuous:
                recorded[name] = {**runs[0]["told"], "steps": runs[0]["told"]["steps"][:RECORDED]}
    if given.record:
        given.record.write_text(json.dumps(recorded))
    if given.out:
        about = {"command": command(), "commit": commit(), "versions": versions(), "machine": machine()}
        write_json(given.out, {**about, "largest_differences": found})
    if max(max(f["observations"], f["rewards"]) for f in found.values()) > TOLERANCE:
        sys.exit("the sides differ")


if __name__ == "__main__":
    main()
