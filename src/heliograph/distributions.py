"""Spaces as tensors: sizes, sampling, log-probabilities and entropies of actions; pure functions over Gymnasium spaces.

Distribution inputs are flat: logits for Discrete, concatenated logits for MultiDiscrete, (mean, log std) for Box.
Action tensors are `[...]` long for Discrete, `[..., n]` long for MultiDiscrete, `[..., *shape]` float for Box.
Means and standard deviations of a Box are in units of its bounds (see `BoxUnits`), actions and densities in its own.
Randomness comes only from the `torch.Generator` handed in (torch.distributions takes none).
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.functional import log_softmax, one_hot, straight_through
from heliograph.types import Choice

MASKED_LOGIT = -1e9
DISCRETE = (spaces.Discrete, spaces.MultiDiscrete)
LOG_STD_RANGE = (-5.0, 2.0)
LARGEST = float(np.finfo(np.float32).max) / 2
"""Bounds of this size are those of a number type, not of an action."""


def stream_on(device: torch.device) -> torch.Generator:
    """A random stream of a device; for `meta`, which has none and draws nothing, one of the CPU."""
    return torch.Generator(device="cpu" if device.type == "meta" else device)


def check_action_space(space: spaces.Space) -> None:
    """Refuse action spaces that no policy here can act in."""
    if isinstance(space, spaces.Discrete) and int(space.start) != 0:
        raise ValueError(f"action space {space}: Discrete spaces must start at 0")
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim != 1:
        raise ValueError(f"action space {space}: MultiDiscrete must have one axis")
    if not isinstance(space, (spaces.Discrete, spaces.MultiDiscrete, spaces.Box)):
        raise ValueError(f"action space {space} is not supported: use Discrete, MultiDiscrete or Box")
    if isinstance(space, spaces.Box) and np.dtype(space.dtype).kind != "f":
        raise ValueError(f"action space {space}: a Box must hold floats; for whole numbers use Discrete, MultiDiscrete")


def num_inputs(space: spaces.Space) -> int:
    """Return how many numbers a policy puts out to act in this space."""
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    if isinstance(space, spaces.MultiDiscrete):
        return int(space.nvec.sum())
    return 2 * math.prod(space.shape)


def num_choices(space: spaces.Discrete | spaces.MultiDiscrete) -> list[int]:
    """Return how many choices each part of a discrete action has."""
    return [int(space.n)] if isinstance(space, spaces.Discrete) else [int(n) for n in space.nvec]


def num_features(space: spaces.Space) -> int:
    """Size of an action as features, for example as the last action that a recurrent policy is shown."""
    return num_inputs(space) // 2 if isinstance(space, spaces.Box) else num_inputs(space)


def features(space: spaces.Space, action: Tensor) -> Float[Tensor, "*batch U"]:
    """An action as features: one-hot for discrete spaces, the flat numbers in units of the bounds for Box."""
    if isinstance(space, spaces.Discrete):
        return one_hot(action, int(space.n))
    if isinstance(space, spaces.MultiDiscrete):
        parts = [one_hot(action[..., i], int(n)) for i, n in enumerate(space.nvec)]
        return torch.cat(parts, -1).float()
    flat = action.flatten(-len(space.shape)) if len(space.shape) else action.unsqueeze(-1)
    units = units_of(space)
    return flat if units is None else (flat - _filled(units.centre, flat)) / _filled(units.half_width, flat)


def zero_action(space: spaces.Space, batch: tuple[int, ...], device: torch.device) -> Tensor:
    """The action of agents that are not asked for one: the first choices, or the centre of a Box (0 without bounds)."""
    if isinstance(space, spaces.Discrete):
        return torch.zeros(batch, dtype=torch.long, device=device)
    if isinstance(space, spaces.MultiDiscrete):
        return torch.zeros(*batch, len(space.nvec), dtype=torch.long, device=device)
    units, flat = units_of(space), torch.zeros((*batch, math.prod(space.shape)), device=device)
    return (flat if units is None else flat + _filled(units.centre, flat)).reshape((*batch, *space.shape))


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoxUnits:
    """Record of what a mean of 0 and a standard deviation of 1 are in each dimension of a Box, flat `[D]` and float32.

    Bounded on both sides: the centre and half the width. On one: that bound, and 1. Without bounds: 0 and 1.
    """

    centre: Float[np.ndarray, " D"]
    half_width: Float[np.ndarray, " D"]


def units_of(space: spaces.Box) -> BoxUnits | None:
    """The units of a Box; None where they are 0 and 1 throughout, as in Box(-1, 1)."""
    return _units(space.low.tobytes(), space.high.tobytes(), space.dtype.str)


@functools.lru_cache(maxsize=256)
def _units(low_bytes: bytes, high_bytes: bytes, dtype: str) -> BoxUnits | None:
    low, high = (np.frombuffer(values, dtype).astype(np.float64) for values in (low_bytes, high_bytes))
    largest = min(LARGEST, float(np.finfo(dtype).max) / 2)
    below, above = np.abs(low) < largest, np.abs(high) < largest
    low, high = np.where(below, low, 0.0), np.where(above, high, 0.0)
    centre = np.where(below & above, (low + high) / 2, low + high).astype(np.float32)
    half_width = np.where(below & above & (high > low), (high - low) / 2, 1.0).astype(np.float32)
    plain = not centre.any() and bool((half_width == 1).all())
    return None if plain else BoxUnits(centre=centre, half_width=np.maximum(half_width, np.finfo(np.float32).tiny))


def sample(
    space: spaces.Space,
    inputs: Float[Tensor, "*batch D"],
    *,
    choice: Choice,
    generator: torch.Generator | None = None,
    mask: Bool[Tensor, "*batch n"] | None = None,
) -> Tensor:
    """Draw (or pick the most likely) action; `mask` tells which discrete actions are legal."""
    if isinstance(space, spaces.Box):
        mean, log_std = _moments(inputs)
        if choice is Choice.SAMPLED:
            noise = torch.randn(mean.shape, generator=generator, device=mean.device)
            mean = mean + log_std.exp() * noise
        units = units_of(space)
        if units is not None:
            mean = _filled(units.centre, mean) + mean * _filled(units.half_width, mean)
        return mean.reshape((*mean.shape[:-1], *space.shape))
    parts = _logits(space, inputs, mask)
    picks = [categorical(part, choice=choice, generator=generator) for part in parts]
    return picks[0] if isinstance(space, spaces.Discrete) else torch.stack(picks, -1)


def categorical(
    logits: Float[Tensor, "*batch V"], *, choice: Choice, generator: torch.Generator | None = None
) -> Tensor:
    """Sample indices by the Gumbel-max rule, or take the largest logit."""
    if choice is Choice.SAMPLED:
        logits = logits + gumbel(logits.shape, generator=generator, device=logits.device)
    return logits.argmax(-1)


def straight_through_sample(
    logits: Float[Tensor, "*batch V"], *, temperature: float, generator: torch.Generator | None = None
) -> Float[Tensor, "*batch V"]:
    """A one-hot sample, with the gradient of the relaxed one softmax((logits + g) / temperature) (Jang et al. 2017)."""
    perturbed = logits + gumbel(logits.shape, generator=generator, device=logits.device)
    soft = torch.softmax(perturbed / temperature, -1)
    return straight_through(one_hot(perturbed.argmax(-1), logits.shape[-1]), soft)


def gaussian_sample(inputs: Float[Tensor, "*batch D"], *, generator: torch.Generator | None = None) -> Tensor:
    """A sample of numbers of a Box, in units of its bounds, with gradients to mean and deviation."""
    mean, log_std = _moments(inputs)
    return mean + log_std.exp() * torch.randn(mean.shape, generator=generator, device=mean.device)


def epsilon_greedy(
    values: Float[Tensor, "*batch V"], *, epsilon: float, mask: Bool[Tensor, "*batch V"] | None = None
) -> Float[Tensor, "*batch V"]:
    """Logits that pick the highest value, and with probability `epsilon` any legal one."""
    if mask is None:
        other = epsilon / values.shape[-1]
        low, high = (math.log(odds) if odds else MASKED_LOGIT for odds in (other, 1 - epsilon + other))
        return torch.full_like(values, low).scatter_(-1, values.argmax(-1, keepdim=True), high)
    legal = mask.to(values.dtype)
    best = torch.where(legal > 0, values, -torch.inf).argmax(-1, keepdim=True)
    odds = epsilon * legal / legal.sum(-1, keepdim=True).clamp(min=1)
    return odds.scatter_add(-1, best, torch.full_like(odds[..., :1], 1 - epsilon)).log().clamp(min=MASKED_LOGIT)


def gumbel(shape: torch.Size, *, generator: torch.Generator | None, device: torch.device) -> Tensor:
    """Standard Gumbel noise."""
    uniform = torch.rand(shape, generator=generator, device=device).clamp_(1e-10, 1 - 1e-7)
    return -torch.log(-torch.log(uniform))


def logistic(shape: tuple[int, ...], *, generator: torch.Generator | None, device: torch.device) -> Tensor:
    """Standard logistic noise: the difference of two independent Gumbel draws."""
    return torch.rand(shape, generator=generator, device=device).logit_(1e-7)


def log_prob(
    space: spaces.Space, inputs: Float[Tensor, "*batch D"], action: Tensor, *, mask: Tensor | None = None
) -> Float[Tensor, "*batch"]:
    """Log-probability (density for Box) of an action, in nats."""
    if isinstance(space, spaces.Box):
        mean, log_std = _moments(inputs)
        return normal_log_prob(mean, log_std, features(space, action)) - _log_volume(space)
    parts = _logits(space, inputs, mask)
    picks = [action] if isinstance(space, spaces.Discrete) else action.unbind(-1)
    return sum(categorical_log_prob(part, pick) for part, pick in zip(parts, picks, strict=True))


@dataclasses.dataclass(kw_only=True)
class Score:
    """Log-probability of a choice and the entropy of its distribution, in nats."""

    log_prob: Float[Tensor, "*batch"]
    entropy: Float[Tensor, "*batch"]


def score(
    space: spaces.Space, inputs: Float[Tensor, "*batch D"], action: Tensor, *, mask: Tensor | None = None
) -> Score:
    """`log_prob` and `entropy` at once."""
    if isinstance(space, spaces.Box):
        log_prob_of_it = log_prob(space, inputs, action)
        return Score(log_prob=log_prob_of_it, entropy=action_entropy(space, inputs).expand_as(log_prob_of_it))
    parts = [log_softmax(part) for part in _logits(space, inputs, mask)]
    picks = [action] if isinstance(space, spaces.Discrete) else action.unbind(-1)
    chosen = [part.gather(-1, pick.unsqueeze(-1)).squeeze(-1) for part, pick in zip(parts, picks, strict=True)]
    return Score(log_prob=sum(chosen), entropy=-sum((part.exp() * part).sum(-1) for part in parts))


def joint_log_probs(parts: Sequence[Float[Tensor, "*batch _n"]]) -> Float[Tensor, "*batch J"]:
    """Log-probabilities of all combinations of choices, from the logits of each; the last varies fastest."""
    joint = log_softmax(parts[0])
    for part in parts[1:]:
        joint = (joint.unsqueeze(-1) + log_softmax(part).unsqueeze(-2)).flatten(-2)
    return joint


def joint_index(picks: Int[Tensor, "*batch K"], sizes: Sequence[int]) -> Int[Tensor, "*batch"]:
    """The number of a combination of choices, in the order of `joint_log_probs`."""
    index = torch.zeros_like(picks[..., 0])
    for pick, size in zip(picks.unbind(-1), sizes, strict=True):
        index = index * size + pick
    return index


def categorical_log_prob(logits: Float[Tensor, "*batch V"], pick: Tensor) -> Float[Tensor, "*batch"]:
    """Log-probability of indices under logits, in nats."""
    return log_softmax(logits).gather(-1, pick.unsqueeze(-1)).squeeze(-1)


def categorical_entropy(logits: Float[Tensor, "*batch V"]) -> Float[Tensor, "*batch"]:
    """Entropy of a categorical distribution, in nats."""
    log_p = log_softmax(logits)
    return -(log_p.exp() * log_p).sum(-1)


def normal_log_prob(mean: Tensor, log_std: Tensor, value: Tensor) -> Float[Tensor, "*batch"]:
    """Log-density of independent normals, summed over the last axis."""
    z = (value - mean) * torch.exp(-log_std)
    return (-0.5 * z.square() - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)


def action_entropy(
    space: spaces.Space, inputs: Float[Tensor, "*batch D"], *, mask: Tensor | None = None
) -> Float[Tensor, "*batch"]:
    """Entropy (differential for Box) of the action distribution, in nats."""
    if isinstance(space, spaces.Box):
        return (_moments(inputs)[1] + 0.5 * math.log(2 * math.pi * math.e)).sum(-1) + _log_volume(space)
    return sum(categorical_entropy(part) for part in _logits(space, inputs, mask))


def legal(space: spaces.Space, action: Tensor) -> Tensor:
    """The action as an environment takes it: Box actions are clipped to their bounds."""
    if not isinstance(space, spaces.Box):
        return action
    low, high = (_filled(np.asarray(x), action) for x in (space.low, space.high))
    return torch.minimum(torch.maximum(action, low), high)


def _log_volume(space: spaces.Box) -> float:
    """Return what a density in the Box's own units has less than one in those of its bounds, in nats."""
    units = units_of(space)
    return 0.0 if units is None else float(np.log(units.half_width.astype(np.float64)).sum())


def _filled(values: np.ndarray, like: Tensor) -> Tensor:
    """One number where all values are equal, so that nothing is copied to a GPU in every step."""
    if values.size and (values == values.flat[0]).all():
        return torch.full((), float(values.flat[0]), dtype=like.dtype, device=like.device)
    return torch.as_tensor(values).to(like)


def _moments(inputs: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_std = inputs.chunk(2, -1)
    return mean, log_std.clamp(*LOG_STD_RANGE)


def _logits(space: spaces.Space, inputs: Tensor, mask: Tensor | None) -> list[Tensor]:
    if mask is not None:
        inputs = torch.where(mask, inputs, MASKED_LOGIT)
    if isinstance(space, spaces.Discrete):
        return [inputs]
    return list(inputs.split(num_choices(space), -1))
