"""Secret of the particle world: Alice tells Bob one of two things by a key that both have, and Eve overhears."""

from collections.abc import Sequence
from typing import Any, Unpack

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from heliograph.envs.own_words import check_words
from heliograph.envs.particle_kinds import Particles, ParticleState
from heliograph.envs.particle_physics import per_particle
from heliograph.envs.particle_task import ParticleSettings, ParticleTask

__all__ = ["MPECrypto"]

LANDMARKS = 2
SYMBOLS = 4
EVE, BOB, ALICE = range(3)
SECRET = 0
"""The key is the other goal."""


class MPECrypto(ParticleTask[ParticleState]):
    """Alice tells Bob a secret of one bit, by a key of one bit that both know; Eve hears every word and no key.

    Two teams: `spies` (Eve) and `ours` (Bob, Alice). Bob and Eve guess in every step, one of 4 numbers though the
    secret is 0 or 1, or with `continuous_actions` how likely each is; a guess costs its squared distance from the
    secret, one-hot: 2 where it is wrong. Eve is paid minus what hers costs, Alice and Bob what Eve's costs less what
    Bob's costs; a guess of zeros alone counts as none. Nobody moves. `meaning` is the secret, for Alice; a message that
    tells nothing of it by itself may tell all with the key.

    With `words="channel"` Alice speaks through a channel and does nothing else, and Eve sees nothing (a zero). With
    `words="task"` her action is one of 4 symbols, which stands in the next observations of Bob and Eve, as published,
    or in its place what `heard` says: nothing, noise, or the words of other copies.

    Rules: `simple_crypto_v3` of mpe2, after Lowe et al. 2017.
    """

    teams = ("spies", "ours")

    def __init__(self, *, words: str = "channel", heard: str = "said", **base: Unpack[ParticleSettings]):
        self.words, told = words, check_words(words, heard)
        symbols = SYMBOLS if told else 0
        super().__init__(
            (
                Particles(name="eve", sees=max(symbols, 1), moves=False, words=SYMBOLS),
                Particles(name="bob", sees=SYMBOLS + symbols, moves=False, words=SYMBOLS),
                Particles(name="alice", sees=2 * SYMBOLS, moves=False, words=symbols),
            ),
            landmarks=LANDMARKS,
            goals=2,
            heard=heard if told else None,
            **base,
        )
        self.team_of_agent = torch.tensor([0, 1, 1], device=self.device)

    @property
    def settings(self) -> dict[str, Any]:
        """Return what tells this task from others of its kind."""
        return {**super().settings, "words": self.words, "heard": str(self.heard)}

    def may_speak(self) -> tuple[str, ...]:
        """Alice alone."""
        return ("alice",)

    def oracle(self, state: ParticleState) -> dict[str, Tensor]:
        """Both guess right: what each team makes of it is the other's."""
        actions = {kind.name: self.silent(kind) for kind in self.particles}
        guess = state.goal[:, SECRET, None]
        guess = F.one_hot(guess, SYMBOLS).float() if self.continuous_actions else guess
        return {**actions, "eve": guess, "bob": guess}

    def pay(self, state: ParticleState) -> Float[Tensor, "N B"]:
        """Return what wrong guesses cost, and bring the others."""
        guess = per_particle(state.word)[:ALICE].double()
        secret = F.one_hot(state.goal[:, SECRET], SYMBOLS).t()
        cost = (guess - secret).square().sum(1) * guess.ne(0).any(1)
        ours = cost[EVE] - cost[BOB]
        return torch.stack([-cost[EVE], ours, ours])

    def seen(self, state: ParticleState) -> dict[str, Sequence[Float[Tensor, "A _k B"]]]:
        """Secret and key for Alice, the key for Bob; what Alice said for both others, where it is the task's own."""
        secret, key = per_particle(F.one_hot(state.goal, SYMBOLS).float())[:, None]
        said = per_particle(state.word)[ALICE:]
        told = [said] if self.words == "task" else []
        return {"eve": told or [torch.zeros_like(said[:, :1])], "bob": [key, *told], "alice": [secret, key]}

    def known(self, state: ParticleState) -> Int[Tensor, "B N 1"]:
        """The secret, which Alice alone knows."""
        return torch.cat([torch.full_like(state.goal, -1), state.goal[:, [SECRET]]], 1)[..., None]

    def captioned(self, state: ParticleState, copy: int) -> str:
        """The secret and the key."""
        secret, key = state.goal[copy].tolist()
        return f"secret {secret}, key {key}"
