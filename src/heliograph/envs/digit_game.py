"""What the two digit games of Foerster et al. 2016 share: two players, an image each, one action at the end."""

import dataclasses
from abc import abstractmethod
from typing import final

import torch
import torch.nn.functional as F
from gymnasium import spaces
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.envs.base import BaseSettings, EnvState, Outcome, TeamEnv, Unpack, View
from heliograph.envs.digit_images import NUM_DIGITS, load_digit_images
from heliograph.types import Role

__all__ = ["DigitGame", "DigitSettings", "DigitState"]

PLAYERS = 2
OBSERVATIONS = ("flat", "image")


class DigitSettings(BaseSettings, total=False):
    """Settings of both games: which images, from where, and in which form."""

    split: str
    mnist_dir: str | None
    observation: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class DigitState(EnvState):
    """The digit of each player, its colour, the number of its image, and env steps since the start."""

    digit: Int[Tensor, "B 2"]
    colour: Int[Tensor, "B 2"]
    image: Int[Tensor, "B 2"]
    time: Int[Tensor, " B"]


class DigitGame(TeamEnv[DigitState]):
    """Two players each see an image of a digit in every step, speak in all but the last, and act in the last.

    Digits and colours are uniform, images uniform among those of a digit. `split` ("train" or "test") and `mnist_dir`
    choose the images (see `load_digit_images`); `observation` is "flat" (each colour in turn, pixels from 0 to 1) or
    "image" (bytes, height x width x colours). The state holds digits, colours and time, no images.
    """

    def __init__(
        self,
        *,
        actions: int,
        colours: int,
        steps: int,
        meaning_names: tuple[str, ...],
        split: str = "train",
        mnist_dir: str | None = None,
        observation: str = "flat",
        **base: Unpack[BaseSettings],
    ):
        if observation not in OBSERVATIONS:
            raise ValueError(f"observation={observation!r}: must be 'flat' or 'image'")
        self.colours, self.steps, self.split, self.observation = colours, steps, split, observation
        images = load_digit_images(split=split, mnist_dir=mnist_dir)
        height, width = images.pixels.shape[1:]
        flat = spaces.Box(0.0, 1.0, (colours * height * width,))
        picture = spaces.Box(0, 255, (height, width, colours), dtype="uint8")
        role = Role(
            name="player",
            agents=tuple(f"player_{i}" for i in range(PLAYERS)),
            observation_space=flat if observation == "flat" else picture,
            action_space=spaces.Discrete(actions),
            meaning_names=meaning_names,
        )
        super().__init__((role,), **base)
        self._images = images.to(self.device)

    @property
    def horizon(self) -> int:
        """The steps of the game, after the talking."""
        return self.steps + self.talk_steps

    @abstractmethod
    def rewards(self, state: DigitState, action: Int[Tensor, "B 2"]) -> Float[Tensor, "B 2"]:
        """Return what the last actions earn."""

    @abstractmethod
    def solved(self, state: DigitState, action: Int[Tensor, "B 2"]) -> Bool[Tensor, " B"]:
        """Tell whether both players did the best they could."""

    @abstractmethod
    def meaning(self, state: DigitState) -> Int[Tensor, "B 2 Z"]:
        """Return what each player knows."""

    @final
    def start(self) -> DigitState:
        """New digits, colours and images."""
        shape, stream = (self.num_envs, PLAYERS), self.start_generator
        digit = torch.randint(NUM_DIGITS, shape, generator=stream, device=self.device)
        colour = torch.randint(self.colours, shape, generator=stream, device=self.device)
        image = self._images.draw(digit, generator=stream)
        return DigitState(digit=digit, colour=colour, image=image, time=torch.zeros_like(digit[:, 0]))

    @final
    def advance(self, state: DigitState, actions: dict[str, Tensor]) -> tuple[DigitState, Outcome]:
        """Pay in the last step."""
        action = actions["player"]
        paid = state.time == self.steps - 1
        next_state = dataclasses.replace(state, time=state.time + 1)
        over = next_state.time >= self.steps
        outcome = Outcome(
            rewards=torch.where(paid[:, None], self.rewards(state, action), 0.0),
            terminated=over[:, None].expand(-1, PLAYERS),
            episode_over=over,
            info={"success": self.solved(state, action) & paid},
        )
        return next_state, outcome

    @final
    def observe(self, state: DigitState) -> View:
        """Show each agent its image."""
        acting = (state.time >= self.steps - 1)[:, None].expand(-1, PLAYERS)
        return View(
            observations={"player": self._seen(state)},
            observing=torch.ones_like(acting),
            acting=acting,
            speaking=~acting,
            meaning=self.meaning(state),
            state=self._of_all(state),
        )

    def _seen(self, state: DigitState) -> Tensor:
        grey = self._images.pixels[state.image]
        colour = F.one_hot(state.colour, self.colours).to(grey.dtype)
        if self.observation == "image":
            return grey[..., None] * colour[:, :, None, None]
        return (grey.float() / 255)[:, :, None].mul(colour[..., None, None]).flatten(2)

    def _of_all(self, state: DigitState) -> Float[Tensor, "B S"]:
        parts = [F.one_hot(state.digit, NUM_DIGITS), F.one_hot(state.colour, self.colours)]
        told = [part.flatten(1) for part in (parts if self.colours > 1 else parts[:1])]
        return torch.cat([*told, state.time[:, None] / self.steps], 1)
