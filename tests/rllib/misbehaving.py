"""Environments that hang, end the program or change directory; tests run commands with them."""

import os
import pathlib
import signal
import sys
import time
from typing import Any

import torch

from heliograph.envs.base import Outcome
from heliograph.envs.speaker_listener import SpeakerListener

MARK = "HELIOGRAPH_TEST_MARK"
"""Variable that names the file which appears when the misbehaviour begins."""


class _Misbehaving(SpeakerListener):
    steps, from_step = 0, 8

    def advance(self, state: Any, actions: dict[str, torch.Tensor]) -> tuple[Any, Outcome]:
        self.steps += 1
        if self.steps >= self.from_step:
            if MARK in os.environ:
                pathlib.Path(os.environ[MARK]).touch()
            self._misbehave()
        return super().advance(state, actions)

    def _misbehave(self) -> None:
        raise NotImplementedError


class Hangs(_Misbehaving):
    """Waits for ever for something that never comes."""

    def _misbehave(self) -> None:
        while True:
            time.sleep(0.1)


class HangsSoon(Hangs):
    """As soon as it is more than tried out."""

    from_step = 3


class Exits(_Misbehaving):
    """Ends the program."""

    def _misbehave(self) -> None:
        sys.exit(3)


class Dies(_Misbehaving):
    """Has its process killed."""

    def _misbehave(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Wanders(_Misbehaving):
    """Changes the working directory."""

    def _misbehave(self) -> None:
        os.makedirs("elsewhere", exist_ok=True)
        os.chdir("elsewhere")


class Grows(SpeakerListener):
    """Has more goals as soon as somebody edits it."""

    goals_now = 3

    def __init__(self, **settings: Any):
        super().__init__(goals=self.goals_now, **settings)
