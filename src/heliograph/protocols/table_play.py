"""A decision table of the switch riddle as a scripted policy, played over all visiting sequences."""

import dataclasses
from collections import Counter

import torch
from jaxtyping import Float, Int
from torch import Tensor

from heliograph.analysis.exact import enumerable, mean_over_starts
from heliograph.envs.base import TeamEnv
from heliograph.envs.switch_riddle import SwitchRiddle
from heliograph.experiments.choices import EnvChoice, bounds_of, opened
from heliograph.protocols.agent_steps import Turn
from heliograph.protocols.decision_table import DecisionTable

__all__ = ["TablePlay", "play_table", "playable"]

NONE = -1


@dataclasses.dataclass(frozen=True, kw_only=True)
class TablePlay:
    """What a table earns over all sequences, normalised by full information, and the share of turns without a row.

    Without a row a prisoner leaves the switch as it found it (the first message at first) and does nothing.
    """

    episode_return_mean: float
    normalised_return: float
    unknown_share: float


def playable(choice: EnvChoice) -> bool:
    """Whether tables of an environment can be played: the switch riddle up to 4 prisoners, without talk before it."""
    with opened(choice) as env:
        return isinstance(env, SwitchRiddle) and not env.talk_steps and enumerable(choice)


def play_table(table: DecisionTable, choice: EnvChoice) -> TablePlay:
    """Play the most frequent decision of each row over all visiting sequences; no network takes part.

    Raises ValueError for other environments, and for more sequences than `exact.MAX_STARTS` (those of 4 prisoners fit).
    """
    if not playable(choice):
        raise ValueError(f"env={choice.env!r}: only tables of switch_riddle can be played, up to 4 prisoners")
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
        self.num_turns = self.num_unknown = 0

    def returns(self, env: TeamEnv) -> Float[Tensor, " B"]:
        """The return of each copy, whose visits are fixed."""
        step = env.reset()
        copies = torch.arange(env.num_envs)
        light = torch.full((env.num_envs,), NONE)
        found, left = (torch.full((env.num_envs, env.num_agents), NONE) for _ in range(2))
        total, alive = torch.zeros(env.num_envs), torch.ones(env.num_envs, dtype=torch.bool)
        while bool(alive.any()):
            occupant = step.acting.long().argmax(1)
            knows = step.meaning[copies, occupant]
            now = torch.stack([*knows.unbind(1), light, found[copies, occupant], left[copies, occupant]], 1)
            says, tells = self._decide(now, counted=alive)
            found[copies, occupant], left[copies, occupant] = light, says
            light = says
            step = env.step({"prisoner": tells[:, None].expand(-1, env.num_agents).contiguous()})
            total += step.rewards.mean(1) * alive
            alive = alive & ~step.episode_over
        return total

    def _decide(self, now: Int[Tensor, "B 5"], *, counted: Tensor) -> tuple[Int[Tensor, " B"], Int[Tensor, " B"]]:
        kinds, which = now.unique(dim=0, return_inverse=True)
        made = [self._look_up(*kind) for kind in kinds.tolist()]
        known = torch.tensor([row[2] for row in made])[which]
        self.num_turns += int(counted.sum())
        self.num_unknown += int((counted & ~known).sum())
        return torch.tensor([row[0] for row in made])[which], torch.tensor([row[1] for row in made])[which]

    def _look_up(self, visits: int, day: int, light: int, found: int, left: int) -> tuple[int, int, bool]:
        """Return what is said and done in a situation, and whether the table has a row for it."""
        turn = Turn(
            step=day,
            role="prisoner",
            knows=(visits, day),
            heard=self._word(light),
            heard_before=self._word(found),
            said_before=self._word(left),
        )
        row = self.table.decision(turn)
        if row is None:
            return max(light, 0), 0, False
        return self.words.index(row.says) if row.says is not None else NONE, int(row.does or 0), True

    def _word(self, number: int) -> str | None:
        return None if number == NONE else self.words[number]
