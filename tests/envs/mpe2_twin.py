"""Particle tasks beside mpe2 itself: the same states and actions, and how far apart what comes of them is."""

import dataclasses
import importlib
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from heliograph import registry
from heliograph.envs.particle_kinds import ParticleState
from heliograph.envs.particle_task import ParticleTask

NAMES = {
    "mpe_speaker_listener": "simple_speaker_listener_v4",
    "mpe_reference": "simple_reference_v3",
    "mpe_spread": "simple_spread_v3",
    "mpe_crypto": "simple_crypto_v3",
    "mpe_adversary": "simple_adversary_v3",
    "mpe_push": "simple_push_v3",
    "mpe_tag": "simple_tag_v3",
    "mpe_world_comm": "simple_world_comm_v3",
}
"""What each task is called in mpe2."""
WITH_WORDS = {"mpe_speaker_listener", "mpe_reference", "mpe_crypto", "mpe_world_comm"}
GOALS = {
    "mpe_speaker_listener": lambda world: [world.agents[0].goal_b],
    "mpe_reference": lambda world: [agent.goal_b for agent in world.agents],
    "mpe_adversary": lambda world: [world.agents[0].goal_a],
    "mpe_push": lambda world: [world.agents[0].goal_a],
    "mpe_crypto": lambda world: [world.agents[0].goal_a, of_colour(world, world.agents[2].key)],
}
"""The landmarks that are goals, in the order of our states."""


def of_colour(world: Any, colour: np.ndarray) -> Any:
    return next(landmark for landmark in world.landmarks if (landmark.color == colour).all())


@dataclasses.dataclass(kw_only=True)
class Apart:
    """The largest difference in observations, in rewards and in `state()`, and in how many steps ends differed.

    `paid` are the rewards of each step.
    """

    observations: float = 0.0
    rewards: float = 0.0
    states: float = 0.0
    ends: int = 0
    paid: list[Tensor] = dataclasses.field(default_factory=list, repr=False)


def originals(name: str, *, copies: int, first_seed: int = 0, **settings: Any) -> list[Any]:
    """So many environments of mpe2, after a reset with seeds from the first on."""
    made = [importlib.import_module(f"mpe2.{NAMES[name]}").parallel_env(**settings) for _ in range(copies)]
    for seed, env in enumerate(made, start=first_seed):
        env.reset(seed=seed)
    return made


def state_of(name: str, envs: list[Any], like: ParticleState) -> ParticleState:
    """The state of these environments in ours."""
    worlds = [env.unwrapped.world for env in envs]
    place = torch.tensor(np.array([[body.state.p_pos for body in world.agents] for world in worlds]))
    landmark = torch.tensor(np.array([[body.state.p_pos for body in world.landmarks] for world in worlds]))
    goals = [[world.landmarks.index(goal) for goal in GOALS.get(name, lambda _: [])(world)] for world in worlds]
    return dataclasses.replace(like, place=place, landmark=landmark, goal=torch.tensor(goals, dtype=torch.long))


def played_together(
    name: str,
    *,
    copies: int,
    continuous: bool,
    first_seed: int = 0,
    theirs: dict[str, Any] | None = None,
    **ours: Any,
) -> Apart:
    """One episode in each copy, with the same random actions on both sides, from mpe2's starts."""
    envs = originals(name, copies=copies, first_seed=first_seed, continuous_actions=continuous, **(theirs or {}))
    words = {"words": "task"} if name in WITH_WORDS else {}
    env: ParticleTask = registry.load("env", name)(num_envs=copies, continuous_actions=continuous, **words, **ours)
    env.plan_start(state_of(name, envs, env.start()))
    assert tuple(envs[0].possible_agents) == env.agents
    for role in env.roles:
        for agent in role.agents:
            assert_same_space(envs[0].action_space(agent), role.action_space)
            assert envs[0].observation_space(agent).shape == role.observation_space.shape
    step, apart, generator = env.reset(), Apart(), torch.Generator().manual_seed(first_seed)
    for _ in range(25):
        apart.states = max(apart.states, difference(step.state, [e.unwrapped.state() for e in envs]))
        actions = {role.name: drawn(role.action_space, (copies, len(role.agents)), generator) for role in env.roles}
        step = env.step(actions)
        told = [e.step(of_copy(env, actions, copy)) for copy, e in enumerate(envs)]
        shown = step.observations if step.final_observations is None else step.final_observations
        for role in env.roles:
            expected = [[answer[0][agent] for agent in role.agents] for answer in told]
            apart.observations = max(apart.observations, difference(shown[role.name], expected))
        apart.rewards = max(apart.rewards, difference(step.rewards, [[a[1][x] for x in env.agents] for a in told]))
        apart.paid.append(step.rewards)
        ends = ((step.terminated, 2), (step.truncated, 3))
        apart.ends += sum(flags.tolist() != [[a[at][x] for x in env.agents] for a in told] for flags, at in ends)
    return apart


def assert_same_space(theirs: spaces.Space, ours: spaces.Space) -> None:
    assert theirs == ours, f"{theirs} in mpe2, {ours} here"


def drawn(space: spaces.Space, batch: tuple[int, int], generator: torch.Generator) -> Tensor:
    if isinstance(space, spaces.Discrete):
        return torch.randint(int(space.n), batch, generator=generator)
    return torch.rand(*batch, *space.shape, generator=generator)


def of_copy(env: ParticleTask, actions: dict[str, Tensor], copy: int) -> dict[str, Any]:
    one = {}
    for role in env.roles:
        for number, agent in enumerate(role.agents):
            value = actions[role.name][copy, number]
            one[agent] = int(value) if isinstance(role.action_space, spaces.Discrete) else value.numpy()
    return one


def difference(ours: Tensor, theirs: list) -> float:
    return float((ours.double() - torch.tensor(np.array(theirs), dtype=torch.float64)).abs().max())
