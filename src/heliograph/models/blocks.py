"""Parts that several models share: torsos over any observation space, running moments, initialisations."""

import dataclasses
import functools
import itertools
import math
from abc import ABC
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from gymnasium import spaces
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from heliograph.checks import check_positive
from heliograph.envs.base import flat_observation, pixel_scale
from heliograph.functional import tanh
from heliograph.memory import give_back
from heliograph.models.base import Model, ModelSpec, Perceived
from heliograph.types import Heard, Inputs, Tree


def is_image(space: spaces.Space) -> bool:
    """Tell whether a space is an image, height x width x channels."""
    return isinstance(space, spaces.Box) and len(space.shape) == 3


def leaf_spaces(space: spaces.Space) -> dict[str, spaces.Space]:
    """The spaces of the tensors in an observation by their paths: "" for a single one, "body/speed" in nested Dicts."""
    return dict(_paths(space.spaces, spaces.Dict)) if isinstance(space, spaces.Dict) else {"": space}


def leaf_tensors(observation: Tree) -> dict[str, Tensor]:
    """The tensors of an observation by the same paths."""
    return dict(_paths(observation, dict)) if isinstance(observation, dict) else {"": observation}


def _paths(parts: Any, kind: type) -> Iterator[tuple[str, Any]]:
    for key, part in parts.items():
        if isinstance(part, kind):
            yield from ((f"{key}/{path}", leaf) for path, leaf in _paths(part, kind))
        else:
            yield key, part


MOST_PIXELS = 2**20
"""Numbers in the images that pass an image torso at once: as floats, before and after convolutions, they are large."""


class ImageTorso(nn.Module):
    """Two strided convolutions and a linear map, for images `[..., height, width, channels]` scaled by their bounds.

    More than `MOST_PIXELS` go through in parts, which are computed once more in the backward pass, so that neither
    floats nor features of all are ever kept.
    """

    def __init__(self, space: spaces.Box, size: int):
        super().__init__()
        height, width, channels = space.shape
        self.scale = pixel_scale(space)
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, 16, 3, stride=2, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(inplace=True), nn.Flatten(),
        )  # fmt: skip
        self.out = nn.Linear(32 * math.ceil(height / 4) * math.ceil(width / 4), size)

    def forward(self, image: Tensor) -> Float[Tensor, "*batch F"]:
        """Features of a batch of images."""
        batch = image.shape[:-3]
        if not batch or image.numel() <= MOST_PIXELS:
            return self._features(image).reshape(*batch, -1)
        again = functools.partial(checkpoint, self._features, use_reentrant=False, preserve_rng_state=False)
        features = torch.cat([again(part) for part in _in_parts(image)])
        give_back()
        return features.reshape(*batch, -1)

    def _features(self, image: Tensor) -> Float[Tensor, "n F"]:
        images = image.reshape(-1, *image.shape[-3:])
        pixels = images.permute(0, 3, 1, 2).float()
        pixels = pixels / self.scale if images.is_floating_point() else pixels.div_(self.scale)
        return self.out(self.convolutions(pixels))


def _in_parts(images: Tensor) -> Iterator[Tensor]:
    """Images `[..., height, width, channels]` in parts of at most `MOST_PIXELS` numbers or of one image, not copied."""
    images = images.flatten(0, -4) if images.is_contiguous() else images
    size = math.prod(images.shape[1:])
    if size <= MOST_PIXELS or images.dim() == 4:
        yield from images.split(max(1, MOST_PIXELS // size))
    else:
        for row in images:
            yield from _in_parts(row)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Beside:
    """A vector that is embedded together with an observation, and the weight that embeds it."""

    vector: Float[Tensor, "*batch U"]
    weight: Float[Tensor, "F U"]


class Torso(nn.Module):
    """A linear map of any observation to `size` features: vectors and symbols flat, images through convolutions."""

    def __init__(self, space: spaces.Space, size: int):
        super().__init__()
        self.space = space
        leaves = leaf_spaces(space)
        self.images = nn.ModuleDict({_key(k): ImageTorso(s, size) for k, s in leaves.items() if is_image(s)})
        self.flat_spaces = {k: s for k, s in leaves.items() if not is_image(s)}
        flat_size = sum(int(spaces.flatdim(s)) for s in self.flat_spaces.values())
        self.flat = orthogonal_(nn.Linear(flat_size, size), gain=math.sqrt(size)) if flat_size else None

    def forward(self, observation: Tree, *, beside: Beside | None = None) -> Float[Tensor, "*batch F"]:
        """The sum of the linear features of all parts, and of what is given beside them."""
        leaves = leaf_tensors(observation)
        vectors = [flat_observation(s, leaves[k]) for k, s in self.flat_spaces.items()]
        weights = [] if self.flat is None else [self.flat.weight]
        if beside is not None:
            vectors, weights = [*vectors, beside.vector], [*weights, beside.weight]
        features = [self.images[_key(k)](leaves[k]) for k in leaves if _key(k) in self.images]
        if vectors:
            bias = None if self.flat is None else self.flat.bias
            features.append(F.linear(_joined(vectors), _joined(weights), bias))
        return features[0] if len(features) == 1 else torch.stack(features).sum(0)


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, -1)


def _key(name: str) -> str:
    return f"image_{name}".replace(".", "_")


class InputTorso(nn.Module):
    """Embeds observation, last action and agent index into `size` features each, and adds them.

    `use_state` puts what a fully informed team sees in the place of the observation. Without `last_action` last
    actions are not seen, and without `agent` those who share the policy are not told apart. With more `layers` than one
    the observation passes an MLP, with layer norm before each ReLU, so that pixels do not drown what is added to them.
    """

    def __init__(
        self, spec: ModelSpec, size: int, *, use_state: bool = False, last_action: bool = True, agent: bool = True,
        layers: int = 1,
    ):  # fmt: skip
        super().__init__()
        self.use_state = use_state
        self.observation = nn.Linear(spec.state_size, size) if use_state else Torso(spec.observation_space, size)
        self.deeper = deeper(size, layers - 1) if layers > 1 else None
        self.last_action = nn.Linear(spec.action_features, size, bias=False) if last_action else None
        self.agent = nn.Linear(spec.num_agents, size, bias=False) if agent and spec.num_agents > 1 else None

    def forward(self, inputs: Inputs) -> Float[Tensor, "*batch A F"]:
        """The sum of the embeddings; what is a vector goes through one matrix product."""
        if self.use_state or self.deeper is not None:
            features = self._apart(inputs)
        else:
            features = self.observation(inputs.observation, beside=self._beside(inputs))
        return features if self.agent is None else features + self._told_apart(inputs)

    def _told_apart(self, inputs: Inputs) -> Float[Tensor, "A F"] | Float[Tensor, "R 1 F"]:
        assert self.agent is not None
        by_agent = self.agent.weight.T
        return by_agent if inputs.slots is None else by_agent.index_select(0, inputs.slots).unsqueeze(1)

    def _apart(self, inputs: Inputs) -> Tensor:
        seen = inputs.state if self.use_state else inputs.observation
        features = self.observation(seen)
        if self.deeper is not None:
            features = self.deeper(features)
        features = features.unsqueeze(-2) if self.use_state else features
        return features if self.last_action is None else features + self.last_action(inputs.last_action)

    def _beside(self, inputs: Inputs) -> Beside | None:
        if self.last_action is None:
            return None
        return Beside(vector=inputs.last_action, weight=self.last_action.weight)


def deeper(size: int, layers: int) -> nn.Sequential:
    """Hidden layers after a first linear map: layer norm, ReLU and a linear map each."""
    parts: list[nn.Module] = []
    for _ in range(layers):
        parts += [nn.LayerNorm(size), nn.ReLU(), orthogonal_(nn.Linear(size, size), gain=math.sqrt(2))]
    return nn.Sequential(*parts)


class MessageNorm(nn.Module):
    """Batch normalisation of incoming messages, in rollouts and in losses alike.

    By running statistics, which the learner moves once an iteration, from the messages that were sent (`track`), so
    that the first ratio of the next batch is 1. Where an algorithm sets `per_step`, in training mode by those of the
    messages that arrive in the present step in all copies, as DIAL does. With `num_steps` each of so many steps of an
    episode has running statistics of its own (those after them share the last ones).
    """

    def __init__(self, size: int, *, momentum: float = 0.1, num_steps: int | None = None):
        super().__init__()
        self.momentum, self.num_steps = momentum, num_steps
        self.per_step = False
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))
        shape = (size,) if num_steps is None else (num_steps, size)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("variance", torch.ones(shape))

    def forward(
        self,
        payload: Float[Tensor, "*batch P"],
        *,
        arriving: Bool[Tensor, "*batch"] | None = None,
        age: Int[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "*batch P"]:
        """Normalise by the running statistics, or by those of the messages that are `arriving`.

        `age`: how many steps ago the episode of each copy began.
        """
        mean, variance = self.mean, self.variance
        if self.per_step and self.training and arriving is not None:
            mean, variance = self._of_step(payload, arriving.to(payload.dtype).unsqueeze(-1))
        elif self.num_steps is not None:
            if age is None:
                raise ValueError("age=None: a message norm with num_steps must be told how long episodes have lasted")
            row = age.clamp(max=self.num_steps - 1)
            mean, variance = (x[row].view(-1, *[1] * (payload.dim() - 2), x.shape[-1]) for x in (mean, variance))
        return (payload - mean) * (self.weight * torch.rsqrt(variance + 1e-5)) + self.bias

    @staticmethod
    def _of_step(payload: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        weight = weight / weight.sum().clamp(min=1)
        axes = tuple(range(payload.dim() - 1))
        mean = (payload * weight).sum(axes)
        return mean, ((payload - mean).square() * weight).sum(axes)

    @torch.no_grad()
    def track(self, mean: Float[Tensor, " P"], variance: Float[Tensor, " P"], *, step: int | None = None) -> None:
        """Move the running statistics (of a step) towards those of a batch."""
        place = slice(None) if step is None else step
        self.mean[place].lerp_(mean, self.momentum)
        self.variance[place].lerp_(variance, self.momentum)


class NormedDecoder(nn.Sequential):
    """A message decoder that begins with a message norm, whose arguments it takes."""

    def __init__(self, norm: MessageNorm, *layers: nn.Module):
        super().__init__(norm, *layers)

    def forward(self, payload: Tensor, *, arriving: Tensor | None = None, age: Tensor | None = None) -> Tensor:
        """The norm, and all that comes after it."""
        norm, *layers = self
        found: Tensor = norm(payload, arriving=arriving, age=age)
        for layer in layers:
            found = layer(found)
        return found


class RunningMoments(nn.Module):
    """Mean and variance of everything seen so far, merged batch by batch (Chan et al. 1979).

    `num_batches` limits the memory to about that many batches of the last size, for values that drift.
    """

    def __init__(self, size: int, *, num_batches: int | None = None):
        super().__init__()
        self.num_batches = num_batches
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("variance", torch.ones(size))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def merge(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Take in a batch by its moments; a batch of nothing changes nothing."""
        total = self.count + count
        share = torch.where(total > 0, count / total.clamp(min=1), 0.0).to(self.mean.dtype)
        shift = mean - self.mean
        fresh = self.count == 0
        merged = self.variance * (1 - share) + variance * share + shift.square() * share * (1 - share)
        self.variance.copy_(torch.where(fresh & (count > 0), variance, merged))
        self.mean.add_(shift * share)
        self.count.copy_(total if self.num_batches is None else torch.minimum(total, self.num_batches * count))

    def normalise(self, values: Tensor, *, limit: float = 10.0) -> Tensor:
        """Zero mean and unit variance, cut at `limit` standard deviations; unchanged before the first batch."""
        normal = ((values - self.mean) * torch.rsqrt(self.variance + 1e-8)).clamp(-limit, limit)
        return torch.where(self.count == 0, values, normal)

    def restore(self, values: Tensor) -> Tensor:
        """The inverse of `normalise`, without the cut."""
        return values if self.count == 0 else values * (self.variance + 1e-8).sqrt() + self.mean


@torch.no_grad()
def masked_moments(values: Float[Tensor, "*batch D"], mask: Bool[Tensor, "*batch"]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean [D], variance [D] and count of the values that the mask keeps."""
    weight = mask.to(values.dtype).unsqueeze(-1)
    count = weight.sum()
    safe = count.clamp(min=1)
    mean = (values * weight).flatten(0, -2).sum(0) / safe
    variance = ((values - mean).square() * weight).flatten(0, -2).sum(0) / safe
    return mean, variance, count.double()


class Tanh(nn.Module):
    """The hyperbolic tangent as a layer."""

    def forward(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Element by element."""
        return tanh(x)


def mlp(sizes: list[int], *, activation: type[nn.Module] = Tanh) -> nn.Sequential:
    """Linear maps with an activation after each but the last."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), activation()]
    return nn.Sequential(*layers[:-1])


def orthogonal_(module: nn.Module, *, gain: float = 1.0) -> nn.Module:
    """Orthogonal weights (gate by gate in recurrent cells) and zero biases: signals keep their scale on the way.

    The scale of first messages decides how soon anyone can listen to them: small uniform weights shrink the difference
    between two observations a hundredfold on their way through two recurrent layers.
    """
    for parameter in module.parameters():
        if parameter.dim() < 2:
            nn.init.zeros_(parameter)
            continue
        gates = parameter.shape[0] // parameter.shape[1] if isinstance(module, nn.RNNCellBase) else 1
        for block in parameter.data.chunk(max(1, gates)):
            _drawn_orthogonal_(block, gain)
    return module


def _drawn_orthogonal_(weight: Tensor, gain: float) -> None:
    """Nothing on `meta`, where there are no numbers and the decomposition takes a hundred times as long."""
    if not weight.is_meta:
        nn.init.orthogonal_(weight, gain)


def small_head(size_in: int, size_out: int, *, gain: float = 0.1) -> nn.Linear:
    """A linear head with small orthogonal weights and no bias at first, so that first actions are nearly uniform."""
    head = nn.Linear(size_in, size_out)
    _drawn_orthogonal_(head.weight, gain)
    nn.init.zeros_(head.bias)
    return head


def lstm_step(cell: nn.LSTMCell, x: Float[Tensor, "B A D"], memory: Tree) -> dict[str, Float[Tensor, "B A H"]]:
    """Step an LSTM cell whose memory is `{"state": [B, A, H], "cell": [B, A, H]}`, and return the memory after it."""
    after = cell(x.flatten(0, 1), (memory["state"].flatten(0, 1), memory["cell"].flatten(0, 1)))
    state, behind = (part.unflatten(0, x.shape[:2]) for part in after)
    return {"state": state, "cell": behind}


def direct(size_in: int, size_out: int) -> nn.Module:
    """Nothing between equal sizes, else a linear map: encoder and decoder of messages that are bare numbers."""
    return nn.Identity() if size_in == size_out else orthogonal_(nn.Linear(size_in, size_out, bias=False))


class QuietRecurrent(Model, ABC):
    """Base of models that run one GRU over their own inputs and exchange no messages."""

    communicates = False
    use_state: bool

    def __init__(self, spec: ModelSpec, *, size: int = 128):
        super().__init__(spec)
        check_positive("size", size)
        self.hidden_size = self.message_size = self.memory_size = size
        self.torso = InputTorso(spec, size, use_state=self.use_state)
        self.cell = nn.GRUCell(size, size)
        self.head = small_head(size, spec.action_inputs)

    def encode(self, inputs: Inputs) -> Tensor:
        """The sum of the embeddings."""
        return tanh(self.torso(inputs))

    def perceive(self, features: Tensor, memory: Tensor, inbox: Heard | None) -> Perceived:
        """Step the GRU."""
        batch = features.shape[:-1]
        state = self.cell(features.reshape(-1, features.shape[-1]), memory.reshape(-1, self.memory_size))
        state = state.reshape(*batch, -1)
        return Perceived(hidden=state, memory=state)

    def act(self, hidden: Tensor) -> Tensor:
        """Inputs of the action distribution."""
        return self.head(hidden)
