"""Cross-play: every team's speakers with every team's listeners, as they are, on the same episodes."""

import dataclasses
import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from heliograph.analysis.evaluate import DEFAULT_COPIES, FRESH, standard_error
from heliograph.analysis.measures.cross_play import CrossPlay, cross_play
from heliograph.analysis.pair_play import played_together, script_run, together
from heliograph.experiments.choices import bounds_of, opened
from heliograph.registry import UnknownNameError
from heliograph.storage.mixing import check_mixable
from heliograph.storage.run_folder import Run, RunFolderError, read_run

__all__ = ["CrossPlayTable", "bridges", "crossplay", "families", "understand"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CrossPlayTable:
    """Scores of team i with the exchanged policies of team j, `[R, R]`: partners lie on the diagonal.

    `success_rates` is None where the environment reports no success; `standard_errors` are those of `returns`.
    `families` groups teams that understand one another, by name; `bridges` are those who hold a family together.
    """

    names: tuple[str, ...]
    exchanged: tuple[str, ...]
    returns: Float[np.ndarray, "R R"]
    standard_errors: Float[np.ndarray, "R R"]
    success_rates: Float[np.ndarray, "R R"] | None
    families: tuple[tuple[str, ...], ...]
    bridges: tuple[str, ...]
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
    seed: int = 0, trust: bool = False, scripts: Mapping[str, Any] | None = None,
) -> CrossPlayTable:  # fmt: skip
    """Play every team with the policies of every other in the place of its own; nothing is trained or changed.

    `exchange` names the policies that come from the other team; None: all but the first, so that of speaker and
    listener the listener is exchanged. Where a single policy plays everybody, the first agent is of one team and all
    others are of the other. `scripts` are further teams in which a function plays everybody, by name (see the model
    `scripted`). All pairs play the same episodes, greedily, and what they say is not measured.

    Raises ValueError for fewer than two teams, and `RunFolderError` where they are not of one task and channel.
    """
    teams = [run if isinstance(run, Run) else read_run(run, trust=trust) for run in runs]
    teams += [script_run(teams[0], function, name=name) for name, function in (scripts or {}).items() if teams]
    if len(teams) < 2:
        raise ValueError(f"{len(teams)} run: cross-play needs two or more")
    exchanged = _exchanged(teams[0], exchange)
    for other in teams[1:]:  # what fits the first fits one another: tasks, spaces, channels, models are compared
        _check_pair(teams[0], other, exchanged)
    number = len(teams)
    returns, errors, success = (np.zeros((number, number)) for _ in range(3))
    with opened(teams[0].env, num_envs=min(num_episodes, DEFAULT_COPIES), seed=FRESH + seed) as env:
        for (i, one), (j, other) in itertools.product(enumerate(teams), repeat=2):
            pair = together(one, other, exchanged=exchanged)
            found, won = played_together(pair, env, num_episodes=num_episodes, seed=FRESH + seed)
            values = found.double().numpy(force=True)
            returns[i, j], success[i, j] = values.mean(), float(won.double().mean())
            error = standard_error(values)
            errors[i, j] = np.nan if error is None else error
    return _told(teams, exchanged, returns, errors, success, num_episodes)


def _told(
    teams: Sequence[Run], exchanged: tuple[str, ...], returns: np.ndarray, errors: np.ndarray, success: np.ndarray,
    num_episodes: int,
) -> CrossPlayTable:  # fmt: skip
    names = _names(teams)
    known = bounds_of(teams[0].env)
    blind = None if known is None else known.blind
    judged, floor = (returns, blind) if np.isnan(success).any() else (success, 0.0)
    close = understand(judged, floor=floor)
    return CrossPlayTable(
        names=names,
        exchanged=exchanged or (f"all agents but {teams[0].team.layout.agents[0]}",),
        returns=returns,
        standard_errors=errors,
        success_rates=None if np.isnan(success).any() else success,
        families=tuple(tuple(names[i] for i in family) for family in _connected(close)),
        bridges=tuple(names[i] for i in bridges(close)),
        num_episodes=num_episodes,
    )


def understand(scores: Float[np.ndarray, "R R"], *, floor: float | None = None) -> Bool[np.ndarray, "R R"]:
    """Tell which two teams understand one another.

    They do where each with the policies of the other scores more than half way from `floor`, what blind guesses
    earn (None: the worst score of all), to the mean of what the two score by themselves.
    """
    own, lowest = np.diag(scores), float(scores.min()) if floor is None else floor
    needed = (lowest + (own[:, None] + own[None, :]) / 2) / 2
    close = (scores > needed) & (scores > needed).T
    return close | np.eye(len(scores), dtype=bool)


def bridges(close: Bool[np.ndarray, "R R"]) -> tuple[int, ...]:
    """Teams without whom a family would fall apart: some of it would understand each other through nobody."""
    found = []
    for i in range(len(close)):
        rest = [j for j in range(len(close)) if j != i]
        without = _connected(close[np.ix_(rest, rest)])
        if len(without) > len(_connected(close)) - (close[i].sum() == 1):
            found.append(i)
    return tuple(found)


def families(scores: Float[np.ndarray, "R R"], *, floor: float | None = None) -> tuple[tuple[int, ...], ...]:
    """Group teams that understand one another, by number, in the order of their first members.

    Families are what pairs that understand one another (`understand`) connect (single linkage).
    """
    return _connected(understand(scores, floor=floor))


def _connected(close: Bool[np.ndarray, "R R"]) -> tuple[tuple[int, ...], ...]:
    reached = close.copy()
    for _ in range(len(close)):
        reached = (reached.astype(int) @ reached.astype(int)) > 0
    rows = dict.fromkeys(tuple(np.flatnonzero(row).tolist()) for row in reached)
    return tuple(rows)


def _exchanged(run: Run, exchange: Sequence[str] | None) -> tuple[str, ...]:
    policies = list(run.team.layout.policies)
    if exchange is None:
        return tuple(policies[1:])
    for name in exchange:
        if name not in policies:
            raise UnknownNameError(what=f"policy of {run.place}", name=name, valid=policies)
    if not exchange or set(exchange) == set(policies):
        raise ValueError(f"exchange={list(exchange)}: must be some of the policies {policies}, and not all")
    return tuple(exchange)


def _check_pair(one: Run, other: Run, exchanged: Sequence[str]) -> None:
    if one.env != other.env:
        raise RunFolderError(
            f"{one.place} plays {one.env.env} {one.env.settings}, {other.place} plays {other.env.env} "
            f"{other.env.settings}: cross-play is between teams of one task"
        )
    for run in (one, other):
        if run.choices.population is not None:
            raise RunFolderError(f"{run.place} is a population: cross its members with one another, by itself")
    if exchanged:
        for name in exchanged:
            check_mixable(one, name, other, name)
        return
    for run in (one, other):
        if len(run.team.layout.policies) > 1:
            raise RunFolderError(f"{run.place} has several policies, and the first team one: exchange= cannot be told")
    check_mixable(one, one.team.layout.policies[0], other, other.team.layout.policies[0])


def _names(teams: Sequence[Run]) -> tuple[str, ...]:
    """The last parts of their places, as many as tell them apart."""
    parts = [pathlib.PurePath(str(run.place)).parts for run in teams]
    longest = max(map(len, parts))
    for length in range(1, longest + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return tuple(names)
    return tuple(f"{name} ({i})" for i, name in enumerate(names))
