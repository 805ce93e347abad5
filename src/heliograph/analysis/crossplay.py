"""Cross-play: every team's speakers with every team's listeners, as they are, on the same episodes."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from heliograph.analysis.evaluate import evaluate
from heliograph.analysis.measures.cross_play import CrossPlay, cross_play
from heliograph.experiments.choices import bounds_of
from heliograph.registry import UnknownNameError
from heliograph.storage.mixing import mix
from heliograph.storage.run_folder import Run, RunFolderError, read_run

__all__ = ["CrossPlayTable", "crossplay", "families"]

RETURN, SUCCESS = "episode_return_mean", "success_rate"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CrossPlayTable:
    """Scores of team i with the exchanged policies of team j, `[R, R]`: partners lie on the diagonal.

    `success_rates` is None where the environment reports no success; `standard_errors` are those of `returns`.
    `families` groups teams that understand one another, by name.
    """

    names: tuple[str, ...]
    exchanged: tuple[str, ...]
    returns: Float[np.ndarray, "R R"]
    standard_errors: Float[np.ndarray, "R R"]
    success_rates: Float[np.ndarray, "R R"] | None
    families: tuple[tuple[str, ...], ...]
    num_episodes: int

    @property
    def of_returns(self) -> CrossPlay:
        """Mean return of partners and of strangers, their gap, and the asymmetry of the matrix."""
        return cross_play(self.returns)

    @property
    def of_successes(self) -> CrossPlay | None:
        """The same of success rates, where there are any."""
        return None if self.success_rates is None else cross_play(self.success_rates)


def crossplay(
    runs: Sequence[Run | str | pathlib.Path], *, exchange: Sequence[str] | None = None, num_episodes: int = 1000,
    seed: int = 0, trust: bool = False,
) -> CrossPlayTable:  # fmt: skip
    """Play every team with the policies of every other in the place of its own; nothing is trained or changed.

    `exchange` names the policies that come from the other team; None: all but the first, so that of speaker and
    listener the listener is exchanged. All pairs play the same episodes, greedily.

    Raises ValueError for fewer than two runs and for teams with a single policy, and `RunFolderError` where the teams
    are not of one task and channel.
    """
    teams = [run if isinstance(run, Run) else read_run(run, trust=trust) for run in runs]
    if len(teams) < 2:
        raise ValueError(f"{len(teams)} run: cross-play needs two or more")
    exchanged = _exchanged(teams[0], exchange)
    pairs = [[one if one is other else _mixed(one, other, exchanged) for other in teams] for one in teams]
    found = [[evaluate(pair, num_episodes=num_episodes, seed=seed) for pair in row] for row in pairs]
    returns = _table(found, RETURN)
    success = None if found[0][0].get(SUCCESS) is None else _table(found, SUCCESS)
    names = _names(teams)
    known = bounds_of(teams[0].env)
    blind = None if known is None else known.blind
    together = families(returns, floor=blind) if success is None else families(success, floor=0.0)
    return CrossPlayTable(
        names=names,
        exchanged=exchanged,
        returns=returns,
        standard_errors=_table(found, "episode_return_se"),
        success_rates=success,
        families=tuple(tuple(names[i] for i in family) for family in together),
        num_episodes=num_episodes,
    )


def families(scores: Float[np.ndarray, "R R"], *, floor: float | None = None) -> tuple[tuple[int, ...], ...]:
    """Group teams that understand one another, by number, in the order of their first members.

    Two teams do where each with the policies of the other scores more than half way from `floor`, what blind guesses
    earn (None: the worst score of all), to the mean of what the two score by themselves. Families are what such pairs
    connect (single linkage).
    """
    own, lowest = np.diag(scores), float(scores.min()) if floor is None else floor
    needed = (lowest + (own[:, None] + own[None, :]) / 2) / 2
    close = (scores > needed) & (scores > needed).T
    return _connected(close | np.eye(len(scores), dtype=bool))


def _connected(close: Bool[np.ndarray, "R R"]) -> tuple[tuple[int, ...], ...]:
    reached = close.copy()
    for _ in range(len(close)):
        reached = (reached.astype(int) @ reached.astype(int)) > 0
    rows = dict.fromkeys(tuple(np.flatnonzero(row).tolist()) for row in reached)
    return tuple(rows)


def _exchanged(run: Run, exchange: Sequence[str] | None) -> tuple[str, ...]:
    policies = list(run.team.layout.policies)
    if exchange is None:
        if len(policies) < 2:
            raise ValueError(
                f"{run.place} has the single policy {policies[0]!r}: nothing of it can be exchanged alone; train with "
                "networks='separate' (--set team.networks=separate), or name policies of your own"
            )
        return tuple(policies[1:])
    for name in exchange:
        if name not in policies:
            raise UnknownNameError(what=f"policy of {run.place}", name=name, valid=policies)
    if not exchange or set(exchange) == set(policies):
        raise ValueError(f"exchange={list(exchange)}: must be some of the policies {policies}, and not all")
    return tuple(exchange)


def _mixed(one: Run, other: Run, exchanged: Sequence[str]) -> Run:
    if one.env != other.env:
        raise RunFolderError(
            f"{one.place} plays {one.env.env} {one.env.settings}, {other.place} plays {other.env.env} "
            f"{other.env.settings}: cross-play is between teams of one task"
        )
    return mix(one, dict.fromkeys(exchanged, other))


def _names(teams: Sequence[Run]) -> tuple[str, ...]:
    """The last parts of their places, as many as tell them apart."""
    parts = [pathlib.PurePath(str(run.place)).parts for run in teams]
    longest = max(map(len, parts))
    for length in range(1, longest + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return tuple(names)
    return tuple(f"{name} ({i})" for i, name in enumerate(names))


def _table(found: Sequence[Sequence[dict[str, Any]]], key: str) -> Float[np.ndarray, "R R"]:
    return np.array([[np.nan if cell[key] is None else cell[key] for cell in row] for row in found], dtype=np.float64)
