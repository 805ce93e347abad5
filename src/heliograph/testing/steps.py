"""Checks of a single step: shapes, spaces, and who takes part."""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Bool
from torch import Tensor

from heliograph import distributions
from heliograph.envs.base import TeamEnv
from heliograph.testing.contract import NUM_COPIES, NUM_STEPS, MakeEnv, conformance, expect
from heliograph.testing.play import equal, play, random_actions, stream
from heliograph.types import TeamStep, Tree

OPTIONAL = ("hearing", "action_mask", "positions", "adjacency", "info")
"""Fields of a step that an environment may leave out."""


@conformance
def check_shapes(make_env: MakeEnv) -> None:
    """Every field of a step has its shape and its kind of number; final observations come exactly with an ending."""
    env = make_env(num_envs=NUM_COPIES, seed=1, time_limit=NUM_STEPS // 2)
    expect(len(set(env.agents)) == len(env.agents), f"agent ids that differ, not {env.agents}")
    expect(len({role.name for role in env.roles}) == len(env.roles), "role names that differ")
    expect(env.team_of_agent.shape == (env.num_agents,), "team_of_agent of shape [N]")
    expect(sorted(set(env.team_of_agent.tolist())) == list(range(len(env.teams))), "a name in teams for every team")
    size_of_state = None
    for _, step in play(env, steps=NUM_STEPS):
        _check_step_shapes(env, step)
        size_of_state = size_of_state or step.state.shape[1]
        expect(step.state.shape == (env.num_envs, size_of_state), "state of a constant shape [B, S]")
        ended = bool(step.episode_over.any())
        expect((step.final_observations is not None) == ended, "final_observations exactly where a copy ended")
        expect((step.final_state is not None) == ended, "final_state exactly where a copy ended")


@conformance
def check_fields(make_env: MakeEnv) -> None:
    """Optional fields are there always or never, whatever seed and number of copies; all keep their shape and dtype."""
    found = []
    for copies, seed in ((NUM_COPIES, 18), (NUM_COPIES, 19), (1, 18)):
        env = make_env(num_envs=copies, seed=seed, time_limit=NUM_STEPS // 2)
        env.reset()
        steps = [step for _, step in play(env, steps=2 * NUM_STEPS)]  # the environment itself compares them
        found += [{name: _there(getattr(step, name)) for name in OPTIONAL} for step in (steps[1], steps[-1])]
    expect(found.count(found[0]) == len(found), f"optional fields that are there always or never, not {found}")


def _there(value: Tree) -> Any:
    """Return what of an optional field is there."""
    return {key: _there(part) for key, part in value.items()} if isinstance(value, dict) else value is not None


def _check_step_shapes(env: TeamEnv, step: TeamStep) -> None:
    team = (env.num_envs, env.num_agents)
    for name in ("terminated", "truncated", "observing", "acting", "speaking"):
        _expect_tensor(getattr(step, name), team, torch.bool, name)
    _expect_tensor(step.episode_over, team[:1], torch.bool, "episode_over")
    _expect_tensor(step.rewards, team, torch.float32, "rewards")
    expect(torch.isfinite(step.rewards).all(), "finite rewards")
    expect(step.state.is_floating_point() and torch.isfinite(step.state).all(), "a state of finite floats")
    _expect_tensor(step.meaning, (*team, step.meaning.shape[-1]), torch.long, "meaning")
    for edges in filter(None, (step.hearing, step.adjacency)):
        width = env.num_agents if edges.senders is None else edges.senders.shape[-1]
        _expect_tensor(edges.mask, (*team, width), torch.bool, "the mask of edges")
        if edges.senders is not None:
            _expect_tensor(edges.senders, (*team, width), torch.long, "the senders of edges")
            expect(((edges.senders >= 0) & (edges.senders < team[1])).all(), "senders that are agents")
    for name, mask in (step.action_mask or {}).items():
        role = {r.name: r for r in env.roles}[name]
        shape = (env.num_envs, len(role.agents), distributions.num_inputs(role.action_space))
        _expect_tensor(mask, shape, torch.bool, f"action_mask[{name!r}]")
    if step.positions is not None:
        expect(step.positions.shape[:2] == team, f"positions of shape [B, N, D], not {list(step.positions.shape)}")
    for name, value in step.info.items():
        expect(value.shape[:1] == team[:1], f"info[{name!r}] to start with the axis B")


def _expect_tensor(value: Tensor, shape: tuple[int, ...], dtype: torch.dtype, name: str) -> None:
    found = f"{value.dtype} {list(value.shape)}"
    expect(value.dtype == dtype and value.shape == shape, f"{name} to be {dtype} {list(shape)}, not {found}")


@conformance
def check_spaces(make_env: MakeEnv) -> None:
    """Every observation, final ones included, lies in the space of its role; action spaces are supported."""
    env = make_env(num_envs=NUM_COPIES, seed=2, time_limit=NUM_STEPS // 2)
    for role in env.roles:
        distributions.check_action_space(role.action_space)
    for _, step in play(env, steps=NUM_STEPS):
        for seen in filter(None, (step.observations, step.final_observations)):
            expect(set(seen) == {role.name for role in env.roles}, f"observations of all roles, not {sorted(seen)}")
            for role in env.roles:
                batch = (env.num_envs, len(role.agents))
                _expect_in_space(role.observation_space, seen[role.name], batch, f"observations[{role.name!r}]")


def _expect_in_space(space: spaces.Space, value: Tree, batch: tuple[int, ...], name: str) -> None:
    if isinstance(space, spaces.Dict):
        expect(isinstance(value, dict) and set(value) == set(space), f"{name} to have the keys {sorted(space)}")
        for key, sub in space.spaces.items():
            _expect_in_space(sub, value[key], batch, f"{name}[{key!r}]")
        return
    shape = (*batch, *(space.shape or ()))
    expect(value.shape == shape, f"{name} of shape {list(shape)} for {space}, not {list(value.shape)}")
    floating = np.issubdtype(space.dtype, np.floating)
    expect(value.is_floating_point() == floating, f"{name} in the numbers of {space}, not {value.dtype}")
    low, high = _limits(space)
    array = value.cpu().numpy()
    expect((array >= low).all() and (array <= high).all(), f"{name} within {space}")


def _limits(space: spaces.Space) -> tuple[Any, Any]:
    if isinstance(space, spaces.Box):
        return space.low, space.high
    if isinstance(space, spaces.MultiBinary):
        return 0, 1
    sizes = space.n if isinstance(space, spaces.Discrete) else space.nvec
    return space.start, space.start + sizes - 1


@conformance
def check_masks(make_env: MakeEnv) -> None:
    """Expect whoever acts or speaks to observe, and actions of those gone, or not asked, to change nothing."""
    env, twin = (make_env(num_envs=NUM_COPIES, seed=3) for _ in range(2))
    generator, other = stream(env, seed=0), stream(env, seed=1)
    step, shown = env.reset(), twin.reset()
    gone = torch.zeros_like(step.acting)
    for _ in range(NUM_STEPS):
        expect((~step.acting | step.observing).all(), "whoever acts to observe")
        expect((~step.speaking | step.observing).all(), "whoever speaks to observe")
        _expect_some_legal_action(env, step)
        actions = random_actions(env, step=step, generator=generator)
        noise = random_actions(env, step=step, generator=other)
        acting = step.acting
        step, shown = env.step(actions), twin.step(_mix(env, actions, noise, acting))
        expect(equal(step, shown), "the actions of agents that are not acting to change nothing")
        over = step.episode_over[:, None]
        expect((step.rewards[gone] == 0).all(), "no reward for an agent that is gone")
        expect(not (step.terminated & gone & ~over).any(), "an agent that is gone not to end again")
        gone = (gone | step.terminated) & ~step.observing & ~over


def _expect_some_legal_action(env: TeamEnv, step: TeamStep) -> None:
    for role in env.roles:
        if not step.action_mask or role.name not in step.action_mask:
            continue
        space, mask = role.action_space, step.action_mask[role.name]
        some = torch.stack([part.any(-1) for part in mask.split(distributions.num_choices(space), -1)]).all(0)
        expect((some | ~step.acting[:, env.slots(role.name)]).all(), "a legal action for every agent that acts")


def _mix(env: TeamEnv, yes: dict[str, Tensor], no: dict[str, Tensor], acting: Bool[Tensor, "B N"]) -> dict[str, Tensor]:
    mixed = {}
    for role in env.roles:
        asked = acting[:, env.slots(role.name)]
        asked = asked.view(*asked.shape, *[1] * (yes[role.name].dim() - 2))
        mixed[role.name] = torch.where(asked, yes[role.name], no[role.name])
    return mixed
