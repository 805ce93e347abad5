"""A decision table as a scripted policy, played over all starts of an environment whose agents take turns."""

import dataclasses
from collections import Counter

import torch
from gymnasium import spaces
from jaxtyping import Float, Int
from torch import Tensor

from heliograph.analysis.exact import enumerable, mean_over_starts
from heliograph.envs.base import TeamEnv
from heliograph.envs.wording import Turn
from heliograph.experiments.choices import EnvChoice, bounds_of, opened
from heliograph.protocols.decision_table import DecisionTable

__all__ = ["TablePlay", "play_table", "playable"]

NONE = -1


@dataclasses.dataclass(frozen=True, kw_only=True)
class TablePlay:
    """Return of a table over all starts, normalised by full information, and the share of turns without a row.

    Without a row an agent says what it heard (the first message at first) and takes action 0.
    """

    episode_return_mean: float
    normalised_return: float
    unknown_share: float


def playable(choice: EnvChoice) -> bool:
    """Tell whether tables of an environment can be played.

    Its agents must take turns, be of one role with one discrete action, and not talk before the game; its starts and
    bounds must be known.
    """
    with opened(choice) as env:
        simple = len(env.roles) == 1 and isinstance(env.roles[0].action_space, spaces.Discrete)
        known = env.bounds() is not None
        return env.takes_turns and simple and known and not env.talk_steps and enumerable(choice)


def play_table(table: DecisionTable, choice: EnvChoice) -> TablePlay:
    """Play the most frequent decision of each row over all starts; no network takes part.

    Raises ValueError for environments of which no table can be played, see `playable`, and for more starts than
    `exact.MAX_STARTS` (those of four prisoners of the switch riddle fit).
    """
    if not playable(choice):
        raise ValueError(
            f"env={choice.env!r}: no table of it can be played; its agents must take turns "
            "(takes_turns, as in switch_riddle) and its starts be enumerable (up to 4 prisoners)"
        )
    bounds = bounds_of(choice)
    assert bounds is not None
    player = _Player(table)
    mean = mean_over_starts(choice, player.returns)
    share = player.num_unknown / max(1, player.num_turns)
    return TablePlay(episode_return_mean=mean, normalised_return=mean / bounds.full_information, unknown_share=share)


class _Player:
    """Plays a table; turns in equal situations are looked up once. Messages are numbers, those of `self.words`."""

    def __init__(self, table: DecisionTable):
        self.table = table
        said = Counter(row.says for row in table.decisions if row.says is not None)
        self.words = sorted(said)
        self.role = table.role
        self.num_turns = self.num_unknown = 0

    def returns(self, env: TeamEnv) -> Float[Tensor, " B"]:
        """The return of each copy, whose start is fixed."""
        step = env.reset()
        copies = torch.arange(env.num_envs)
        heard = torch.full((env.num_envs,), NONE)
        found, left = (torch.full((env.num_envs, env.num_agents), NONE) for _ in range(2))
        total, alive = torch.zeros(env.num_envs), torch.ones(env.num_envs, dtype=torch.bool)
        number = torch.zeros(env.num_envs, dtype=torch.long)
        while bool(alive.any()):
            actor = step.acting.long().argmax(1)
            knows = step.meaning[copies, actor].unbind(1)
            now = torch.stack([number, heard, found[copies, actor], left[copies, actor], *knows], 1)
            says, does = self._decide(now, counted=alive)
            found[copies, actor], left[copies, actor] = heard, says
            heard, number = says, number + 1
            step = env.step({self.role: does[:, None].expand(-1, env.num_agents).contiguous()})
            total += step.rewards.mean(1) * alive
            alive = alive & ~step.episode_over
        return total

    def _decide(self, now: Int[Tensor, "B S"], *, counted: Tensor) -> tuple[Int[Tensor, " B"], Int[Tensor, " B"]]:
        kinds, which = now.unique(dim=0, return_inverse=True)
        made = [self._look_up(*kind) for kind in kinds.tolist()]
        known = torch.tensor([row[2] for row in made])[which]
        self.num_turns += int(counted.sum())
        self.num_unknown += int((counted & ~known).sum())
        return torch.tensor([row[0] for row in made])[which], torch.tensor([row[1] for row in made])[which]

    def _look_up(self, number: int, heard: int, found: int, left: int, *knows: int) -> tuple[int, int, bool]:
        """Return what is said and done in a situation, and whether the table has a row for it."""
        turn = Turn(
            step=number,
            role=self.role,
            knows=knows,
            heard=self._word(heard),
            heard_before=self._word(found),
            said_before=self._word(left),
        )
        row = self.table.decision(turn)
        if row is None:
            return max(heard, 0), 0, False
        return self.words.index(row.says) if row.says is not None else NONE, int(row.does or 0), True

    def _word(self, number: int) -> str | None:
        return None if number == NONE else self.words[number]
