"""Play environments without a policy: random actions, whole episodes, traces to compare."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Bool, Float
from torch import Tensor

from heliograph import distributions
from heliograph.envs.base import TeamEnv
from heliograph.testing.contract import NUM_STEPS, ConformanceError
from heliograph.types import Role, TeamStep, Tree, tensors_of

MAX_EPISODE_STEPS = 1000


def random_actions(
    env: TeamEnv, *, step: TeamStep, generator: torch.Generator, paired: bool = False
) -> dict[str, Tensor]:
    """Uniform legal actions per role, `[B, A, ...]`: within `step.action_mask`; normal where a Box has no bounds.

    `paired` draws once for all copies, so that copies in equal states do the same.
    """
    masks = step.action_mask or {}
    draws = 1 if paired else env.num_envs
    actions = {r.name: _random_action(r, draws, generator, masks.get(r.name)) for r in env.roles}
    return {name: action.expand(env.num_envs, *action.shape[1:]) for name, action in actions.items()}


def _random_action(role: Role, draws: int, generator: torch.Generator, mask: Tensor | None) -> Tensor:
    space, batch = role.action_space, (draws, len(role.agents))
    if isinstance(space, spaces.Box):
        return _random_numbers(space, (*batch, *space.shape), generator)
    sizes = distributions.num_choices(space)
    score = torch.rand(*batch, sum(sizes), generator=generator, device=generator.device)
    if mask is not None:
        score = torch.where(mask, score, -1.0)
    picks = [part.argmax(-1) for part in score.split(sizes, -1)]
    return picks[0] if isinstance(space, spaces.Discrete) else torch.stack(picks, -1)


def _random_numbers(space: spaces.Box, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    device = generator.device
    low, high = (torch.as_tensor(np.asarray(x, np.float32), device=device) for x in (space.low, space.high))
    uniform = low + (high - low) * torch.rand(shape, generator=generator, device=device)
    normal = torch.randn(shape, generator=generator, device=device)
    return distributions.legal(space, torch.where(torch.isfinite(uniform), uniform, normal))


def episodes(
    env: TeamEnv, *, number: int, policy: Callable[[TeamStep], dict[str, Tensor]] | None = None
) -> tuple[Float[Tensor, " E"], Float[Tensor, " E"]]:
    """Play at least so many whole episodes from a reset, in rounds of one per copy, with random actions by default.

    Returns their returns (mean over agents) and lengths in env steps, both float64. Raises `ConformanceError` where
    an episode does not end.
    """
    generator = stream(env, seed=2)
    act = policy or (lambda step: random_actions(env, step=step, generator=generator))
    rounds = [_one_episode_each(env, act) for _ in range(math.ceil(number / env.num_envs))]
    returns, lengths = zip(*rounds, strict=True)
    return torch.cat(returns), torch.cat(lengths)


def _one_episode_each(env: TeamEnv, act: Callable[[TeamStep], dict[str, Tensor]]) -> tuple[Tensor, Tensor]:
    step = env.reset()
    score = torch.zeros(env.num_envs, dtype=torch.float64, device=env.device)
    length, playing = torch.zeros_like(score), torch.ones_like(step.episode_over)
    for _ in range(MAX_EPISODE_STEPS):
        step = env.step(act(step))
        score += step.rewards.double().mean(1) * playing
        length += playing
        playing = playing & ~step.episode_over
        if not bool(playing.any()):
            return score, length
    raise ConformanceError(f"episodes of at most {MAX_EPISODE_STEPS} steps (a time_limit can see to it)")


def stream(env: TeamEnv, *, seed: int) -> torch.Generator:
    """A generator for random actions on the environment's device."""
    return torch.Generator(device=env.device).manual_seed(seed)


def play(env: TeamEnv, *, steps: int) -> Iterator[tuple[int, TeamStep]]:
    """A reset and so many steps of random actions, numbered from 0 (the reset)."""
    generator = stream(env, seed=3)
    step = env.reset()
    yield 0, step
    for time in range(steps):
        step = env.step(random_actions(env, step=step, generator=generator))
        yield time + 1, step


def trace(env: TeamEnv, *, fresh: bool = True) -> list[TeamStep]:
    """Return what teams see that all draw the same random actions; from a reset, or from the present state."""
    generator = stream(env, seed=4)
    steps = [env.reset() if fresh else env.view()]
    for _ in range(NUM_STEPS):
        actions = random_actions(env, step=steps[-1], generator=generator, paired=True)
        steps.append(env.step(actions))
    return steps


def equal(one: Tree, other: Tree) -> bool:
    """Tell whether two structures hold the same tensors, bit by bit."""
    a, b = tensors_of(one), tensors_of(other)
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def equal_at(one: Tree, other: Tree, *, copies: Bool[Tensor, " B"]) -> bool:
    """Tell whether two structures hold the same tensors in some copies, bit by bit."""
    a, b = tensors_of(one), tensors_of(other)
    return len(a) == len(b) and all(torch.equal(x[copies], y[copies]) for x, y in zip(a, b, strict=True))
