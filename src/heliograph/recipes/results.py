"""What recipes reached when they were run: a table that comes with Heliograph, made by `benchmarks/collect.py`."""

import dataclasses
import functools
import json
import pathlib

__all__ = ["Measured", "measured"]

TABLE = pathlib.Path(__file__).parent / "results.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """A recipe's metric at the end of training by seed, its controls' without communication, and the data.

    `budget` is what a run was given, in words; `data` the file under `benchmarks/results`; `shipped` the metric of the
    trained team that comes with Heliograph (its card's score), None where none does. That team is a run of its own,
    with weights in half precision: its figure need not be among those of the seeds.
    """

    metric: str
    by_seed: tuple[float, ...]
    silent: tuple[float, ...]
    budget: str
    data: str
    shipped: float | None = None

    def __str__(self) -> str:
        shown = " ".join(f"{value:.3f}" for value in self.by_seed)
        silent = " ".join(f"{value:.3f}" for value in self.silent)
        controls = f"; no-communication control {silent}" if silent else ""
        team = "" if self.shipped is None else f"; shipped team {self.shipped:.3f}"
        return f"{self.metric} {shown} (every seed, {self.budget}{controls}{team})"


def measured(recipe: str) -> Measured | None:
    """Return what a recipe reached; None where it has not been run to its end."""
    found = _table().get(recipe)
    return None if found is None else Measured(**{**found, **{k: tuple(found[k]) for k in ("by_seed", "silent")}})


@functools.cache
def _table() -> dict[str, dict]:
    table: dict[str, dict] = json.loads(TABLE.read_text())
    return table
