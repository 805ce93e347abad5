"""One game of OpenSpiel being played: its state, its chance, who is asked, and what has been paid."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from heliograph.envs.checking import EnvError

SEED_PARAMETER = "rng_seed"
"""The parameter by which a game that draws its own chance is seeded."""


class Match:
    """A game from its beginning to its end, players by number; `state` is OpenSpiel's own.

    Moves of chance are drawn by `rng` and made at once, so that `state` waits for players or is terminal. A game that
    draws its chance inside is loaded anew for each episode, with the episode's seed.
    """

    def __init__(self, game: Any):
        kind = game.get_type()
        self.game, self._loaded = game, game
        self.name: str = kind.short_name
        self.players = range(game.num_players())
        self._draws_inside = kind.chance_mode.name == "SAMPLED_STOCHASTIC"
        if self._draws_inside and SEED_PARAMETER not in kind.parameter_specification:
            warnings.warn(
                f"{self.name} draws its chance by a stream of its own that no parameter seeds: with one seed its "
                "episodes differ from run to run",
                stacklevel=2,
            )
            self._draws_inside = False
        self.seed, self.rng = 0, np.random.default_rng(0)
        self.state = game.new_initial_state()

    @property
    def asked(self) -> list[int]:
        """The players who choose now: one in a game of turns, all that can where they move at once."""
        if self.state.is_terminal():
            return []
        if self.state.is_simultaneous_node():
            return [player for player in self.players if self.state.legal_actions(player)]
        return [self.state.current_player()]

    def begin(self, seed: int) -> None:
        """Start a new episode, whose chance comes from the seed."""
        self.seed, self.rng = seed, np.random.default_rng(seed)
        self.state = self._seeded(seed).new_initial_state()
        self._let_chance_move()

    def move(self, actions: Mapping[int, int]) -> np.ndarray:
        """Play an action for each player who is asked; what each of all players was paid for it."""
        before = np.array(self.state.returns())
        for player, action in actions.items():
            legal = self.state.legal_actions(player)
            if action not in legal:
                raise EnvError(f"player {player} chose {action} in {self.name}, where only {legal} are legal")
        if self.state.is_simultaneous_node():
            self.state.apply_actions([actions.get(player, 0) for player in self.players])
        else:
            self.state.apply_action(actions[self.state.current_player()])
        self._let_chance_move()
        return np.array(self.state.returns()) - before

    def saved(self) -> dict[str, Any]:
        """The seed, all moves so far, and the random stream: enough to go on exactly from here."""
        return {"seed": self.seed, "moves": self.state.history(), "rng": self.rng.bit_generator.state}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `saved` told, by playing its moves again."""
        self.seed = saved["seed"]
        self.state = self._seeded(self.seed).new_initial_state()
        moves = list(saved["moves"])
        while moves:
            together = len(self.players) if self.state.is_simultaneous_node() else 1
            now, moves = moves[:together], moves[together:]
            self.state.apply_actions(now) if self.state.is_simultaneous_node() else self.state.apply_action(now[0])
        self.rng.bit_generator.state = saved["rng"]

    def close(self) -> None:
        """There is nothing to close."""

    def _seeded(self, seed: int) -> Any:
        if self._draws_inside:
            self.game = _pyspiel().load_game(self.name, {**self._loaded.get_parameters(), SEED_PARAMETER: seed})
        return self.game

    def _let_chance_move(self) -> None:
        while self.state.is_chance_node():
            outcomes, chances = zip(*self.state.chance_outcomes(), strict=True)
            drawn = np.searchsorted(np.cumsum(chances), self.rng.random() * sum(chances), side="right")
            self.state.apply_action(outcomes[min(int(drawn), len(outcomes) - 1)])


def _pyspiel() -> Any:
    try:
        import pyspiel
    except ImportError as error:
        raise ImportError("games of OpenSpiel need its package: pip install open_spiel") from error
    return pyspiel


def loaded(game: Any) -> Any:
    """A game from its name with parameters, "kuhn_poker(players=3)", or itself."""
    if isinstance(game, str):
        return _pyspiel().load_game(game)
    return game
