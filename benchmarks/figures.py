"""The figures of README and docs/results.md, from the one table of what recipes and shipped teams reached.

    python benchmarks/collect.py

writes the table, `src/heliograph/recipes/results.json`, and with it the part of each page between its two marks.
README's rows stand in `benchmarks/published.md`, with `{recipe:seeds}` for "ten seeds", and `{recipe:spread}`, `silent`
and `shipped` for the lowest to the highest of its seeds and no-communication controls and the shipped team, with three
digits after the point, or as many as are written behind: `{recipe:spread1}`.
"""

import dataclasses
import pathlib
import re

from heliograph.recipes.pretrained import CARD, TEAMS
from heliograph.recipes.results import Measured
from heliograph.storage.safe_files import read_json

ROOT = pathlib.Path(__file__).parent.parent
PUBLISHED = pathlib.Path(__file__).parent / "published.md"
START, END = "<!-- figures: written by benchmarks/collect.py -->", "<!-- end of figures -->"
WORDS = "no one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen".split()
HEAD = """\
| recipe | metric | every seed | no-communication control | given | shipped team |
|---|---|---|---|---|---|"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figures:
    """What was measured of a recipe, to be named in a text."""

    of: Measured

    def __format__(self, spec: str) -> str:
        if spec == "seeds":
            return counted(len(self.of.by_seed))
        asked = re.fullmatch(r"(spread|silent|shipped)(\d?)", spec)
        if asked is None:
            raise ValueError(f"{spec!r}: must be seeds, or spread, silent or shipped with a number of digits")
        name, digits = asked.groups()
        values = {"spread": self.of.by_seed, "silent": self.of.silent, "shipped": (self.of.shipped,)}[name]
        lowest, highest = (f"{edge(values):.{digits or 3}f}" for edge in (min, max))
        return lowest if lowest == highest else f"{lowest} to {highest}"


def counted(seeds: int) -> str:
    """So many seeds, in words."""
    return f"{WORDS[seeds] if seeds < len(WORDS) else seeds} seed{'s' * (seeds != 1)}"


def pages(table: dict[str, Measured]) -> dict[pathlib.Path, str]:
    """Each page as it must be, by its path."""
    told = PUBLISHED.read_text(encoding="utf8").format(**{name: Figures(of=row) for name, row in table.items()})
    parts = {ROOT / "README.md": told.strip(), ROOT / "docs" / "results.md": all_recipes(table)}
    return {path: with_part(path.read_text(encoding="utf8"), part) for path, part in parts.items()}


def with_part(page: str, part: str) -> str:
    """A page with another text between its marks."""
    before, _, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"the page that begins {page[:20]!r} lacks the marks {START!r} and {END!r}")
    return f"{before}{START}\n\n{part}\n\n{END}{after}"


def all_recipes(table: dict[str, Measured]) -> str:
    """Every recipe that has been run: its seeds, its no-communication controls, and the team that comes with it."""
    return "\n".join([HEAD, *(f"| {' | '.join(cells(name, row))} |" for name, row in table.items())])


def cells(name: str, row: Measured) -> list[str]:
    """A recipe's row."""
    each, controls = (" ".join(f"{value:.3f}" for value in values) for values in (row.by_seed, row.silent))
    team = "" if row.shipped is None else f"{row.shipped:.3f} ({how(name, row.metric)})"
    return [f"`{name}`", row.metric, each, controls, row.budget, team]


def how(recipe: str, metric: str) -> str:
    """How the shipped team was played for its card."""
    card = read_json(TEAMS / f"{recipe}{CARD}")
    score = card["score"]
    told = [f"seed {card['seed']}", "exact" if score["exact"] else f"{score['num_episodes']:,} episodes"]
    if metric == "episode_return_mean" and score["episode_return_se"] > 0:
        told.append(f"standard error {score['episode_return_se']:.3f}")
    return ", ".join([*told, *(f"`--env {key}={value}`" for key, value in card["evaluation_env"].items())])
