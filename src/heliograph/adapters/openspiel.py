"""Games of OpenSpiel (package `open_spiel`) as team environments, straight on `pyspiel`."""

import copy
import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack, final

import numpy as np
from gymnasium import spaces

from heliograph.adapters.arrays import MASK, AgentID
from heliograph.adapters.copies import copies_of
from heliograph.adapters.frames import ForeignStep
from heliograph.adapters.settings import StackedSettings
from heliograph.adapters.spiel_match import Match, loaded
from heliograph.adapters.stacked import StackedEnv

__all__ = ["FromOpenSpiel", "SpielTensor"]

DEALT: Mapping[str, Callable[[Match], Sequence[int]]] = {
    "kuhn_poker": lambda match: match.state.history()[:2],
    "leduc_poker": lambda match: match.state.history()[:2],
    "lewis_signaling": lambda match: match.state.history()[:1],
    "tiny_hanabi": lambda match: match.state.history()[:2],
    "trade_comm": lambda match: divmod(match.state.history()[0], match.game.get_parameters()["num_items"]),
}
"""By game: what chance has dealt the first players, each of whom sees their own and nobody else's."""


class SpielTensor(enum.StrEnum):
    """Choice of which of OpenSpiel's tensors players observe."""

    INFORMATION_STATE = "information_state"
    """All that a player has seen and done so far."""
    OBSERVATION = "observation"
    """What a player sees now; memory is left to the model."""


class SpielSettings(StackedSettings, total=False):
    """Settings of `FromOpenSpiel`: those of `StackedSettings`, and what players observe."""

    spiel_tensor: SpielTensor | str | None


@final
class FromOpenSpiel(StackedEnv):
    """`num_envs` games of OpenSpiel: a name such as "trade_comm(num_items=5)", a `pyspiel.Game`, or what makes one.

    The agents are `player_0`, `player_1`, ... In a game of turns one of them observes and acts in each env step; in a
    simultaneous game all do. Moves of chance take no step and come from the episode's seed. Only legal actions can be
    chosen. A player's rewards are what its return in OpenSpiel grows by, in the step in which it does; they sum to
    `returns()`. `spiel_tensor` is "information_state" or "observation"; None: the former, where the game has it.

    A run on it can be resumed bit by bit. `meaning_fn(match, agent)` and `success_fn(match)` get a `Match`, whose
    `state` is OpenSpiel's; without `meaning_fn` a player means the card, state or item that it was dealt, in the games
    of `DEALT`. For other settings see `StackedSettings`; `masks_in_infos` is always on.
    """

    resumable = True

    def __init__(
        self,
        game: str | Any | Callable[[], Any],
        *,
        spiel_tensor: SpielTensor | str | None = None,
        **settings: Unpack[StackedSettings],
    ):
        if settings.setdefault("masks_in_infos", True) is False:
            raise ValueError("masks_in_infos=False: only legal actions may reach a game of OpenSpiel: leave it out")
        settings["masks_in_infos"] = True
        make = game if callable(game) else lambda: game
        with copies_of(lambda: Match(_playable(loaded(make()))), num_envs=settings.get("num_envs", 1)) as matches:
            first: Match = matches[0]
            self._tensor_shown = _tensor_of(first.game, spiel_tensor)
            pair = (_observation_space(first.game, self._tensor_shown), _action_space(first.game))
            if settings.get("meaning_fn") is None and first.name in DEALT:
                settings["meaning_fn"] = dealt
            super().__init__(matches, {_name(player): pair for player in first.players}, **settings)

    def _reset_one(self, env: Match, *, seed: int) -> ForeignStep:
        env.begin(seed)
        return self._frame(env)

    def _step_one(self, env: Match, actions: dict[AgentID, Any]) -> ForeignStep:
        paid = env.move({_number(agent): action for agent, action in actions.items()})
        return self._frame(env, paid)

    def _frame(self, match: Match, paid: np.ndarray | None = None) -> ForeignStep:
        """Return what a match shows now: to all players what they know, and to those who are asked what is legal."""
        asked, over = match.asked, match.state.is_terminal()
        num_actions = match.game.num_distinct_actions()
        legal = {player: _flags(match.state.legal_actions(player), num_actions) for player in asked}
        everybody: list[AgentID] = [_name(player) for player in match.players]
        return ForeignStep(
            observations={_name(player): self._seen_by(match, player) for player in match.players},
            turn=[_name(player) for player in asked],
            rewards={} if paid is None else dict(zip(everybody, paid.tolist(), strict=True)),
            terminated=everybody if over else [],
            infos={_name(player): {MASK: flags} for player, flags in legal.items()},
            over=over,
        )

    def _seen_by(self, match: Match, player: int) -> np.ndarray:
        state = match.state
        told = self._tensor_shown is SpielTensor.INFORMATION_STATE
        tensor = state.information_state_tensor(player) if told else state.observation_tensor(player)
        return np.asarray(tensor, np.float32).reshape(_shape(match.game, self._tensor_shown))

    def extra_state(self) -> Any:
        """Every match, and what those who wait last had."""
        matches = [match.saved() for match in self.envs]
        views = self._views
        shown = {"meaning": views.meaning, "flags": views.legal.flags}  # those who wait keep what they last had
        shown |= {"presence": vars(self._presence)}
        return {"matches": matches, "shown": copy.deepcopy(shown), "steps": list(self._steps)}

    def set_extra_state(self, extra: Any) -> None:
        """Take them back."""
        self._steps = list(extra["steps"])
        for number, (match, saved) in enumerate(zip(self.envs, extra["matches"], strict=True)):
            match.restore(copy.deepcopy(saved))
            self._views.begin(number)
            self._take(number, self._frame(match))
        shown = copy.deepcopy(extra["shown"])
        self._views.restore(meaning=shown["meaning"], flags=shown["flags"])
        vars(self._presence).update(shown["presence"])


def dealt(match: Match, agent: str) -> int:
    """The card, state or item that a player was dealt; -1 for one that was dealt nothing. For games of `DEALT`."""
    cards, player = DEALT[match.name](match), _number(agent)
    return cards[player] if player < len(cards) else -1


def _playable(game: Any) -> Any:
    """Refuse what is no game, or none that agents here can play."""
    if not (hasattr(game, "new_initial_state") and hasattr(game, "get_type")):
        raise TypeError(f"game must be a pyspiel.Game or a name of one, not {type(game).__name__}")
    kind = game.get_type()
    if kind.dynamics.name == "MEAN_FIELD":
        raise ValueError(f"{game} is a mean-field game, which has no fixed number of players")
    return game


def _tensor_of(game: Any, wanted: SpielTensor | str | None) -> SpielTensor:
    kind = game.get_type()
    provided = {
        SpielTensor.INFORMATION_STATE: kind.provides_information_state_tensor,
        SpielTensor.OBSERVATION: kind.provides_observation_tensor,
    }
    found = [tensor for tensor, is_there in provided.items() if is_there]
    if not found:
        raise ValueError(f"{game} shows no tensor, neither of the information state nor of an observation: wrap it")
    if wanted is None:
        return found[0]
    if wanted not in found:
        valid = ", ".join(repr(str(tensor)) for tensor in found)
        raise ValueError(f"spiel_tensor={str(wanted)!r}: {kind.short_name} has {valid}")
    return SpielTensor(wanted)


def _shape(game: Any, tensor: SpielTensor) -> tuple[int, ...]:
    if tensor is SpielTensor.INFORMATION_STATE:
        return tuple(game.information_state_tensor_shape())
    return tuple(game.observation_tensor_shape())


def _observation_space(game: Any, tensor: SpielTensor) -> spaces.Space:
    return spaces.Box(-np.inf, np.inf, _shape(game, tensor), np.float32)


def _action_space(game: Any) -> spaces.Space:
    return spaces.Discrete(game.num_distinct_actions())


def _flags(legal: list[int], num_actions: int) -> np.ndarray:
    flags = np.zeros(num_actions, bool)
    flags[legal] = True
    return flags


def _name(player: int) -> str:
    return f"player_{player}"


def _number(agent: AgentID) -> int:
    return int(str(agent).rpartition("_")[2])
