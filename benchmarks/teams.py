"""Ships the trained team of a recipe: from its run folder to `src/heliograph/recipes/teams/`, with a card beside it.

    heliograph train dial_switch3 --no-controls --seed 0 --out runs/dial_switch3
    python benchmarks/teams.py dial_switch3 runs/dial_switch3 [--commit HASH] [--set split=test] [--episodes 10000]
    python benchmarks/teams.py rial_colour_digit recipe:rial_colour_digit --set split=test --episodes 10000
    python benchmarks/collect.py

A run folder that `riddle.py`, `traffic.py` or `digits.py` wrote with `--teams DIR` will do as well. `recipe:NAME`
scores and judges the team that is shipped once more, and changes nothing else; `collect.py` then has README and results
tell it.

Weights are shipped in half precision. The score is that of the shipped weights: exact where all starts can be
enumerated (every visiting sequence of the riddle), else of 1,000 fresh episodes or `--episodes`; `--set` changes
settings of the environment for it, such as the split of images. The verdict in the card's `summary` is that of the
shipped weights too, in the environment of training. A team below the target of its recipe is refused, as is
one that was trained with other settings (budget and seed apart). After that `heliograph evaluate recipe:NAME` works.
"""

import argparse
import json
import math
import pathlib
import tempfile
from typing import Any

from protocols import commit, machine

from heliograph.analysis.evaluate import evaluate
from heliograph.analysis.exact import enumerable, exact_return
from heliograph.analysis.judging import judged
from heliograph.experiments.choices import build_env
from heliograph.experiments.settings import settings_from
from heliograph.recipes.base import Recipe
from heliograph.recipes.pretrained import CARD, PREFIX, SUFFIX, TEAMS, card_of, located
from heliograph.registry import load
from heliograph.storage.run_folder import SUMMARY, Run, read_run, write_json
from heliograph.storage.safe_files import read_json
from heliograph.storage.team_file import export

FREE = {
    "seed", "torch_num_threads", "iterations", "env_steps", "until", "evaluate_every", "evaluation_episodes",
    "checkpoint_every",
}  # fmt: skip
EPISODES = 1000
OF_TRAINING = (
    "command", "seed", "iterations", "num_env_steps", "env_steps_per_second", "stopped_by", "wall_seconds", "versions",
)  # fmt: skip
"""Keys of a summary that no evaluation tells."""


def ship(
    name: str, folder: pathlib.Path, *, changes: dict[str, Any], commit: str, episodes: int = EPISODES
) -> dict[str, Any]:
    """Write both files, and return the card."""
    recipe: Recipe = load("recipe", name)()
    run, summary = read_run(folder), read_json(folder / SUMMARY)
    refuse_other(recipe, run.config["training"])
    TEAMS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as draft:
        half = read_run(export(folder, pathlib.Path(draft) / f"{name}{SUFFIX}", half=True))
        score = score_of(half, changes, episodes)
    refuse_weak(recipe, score)
    team = export(folder, TEAMS / f"{name}{SUFFIX}", half=True, overwrite=True)
    made = folder_in(summary["command"], name, summary["seed"])
    card = {
        "recipe": name,
        "commands": [summary["command"], shipping(name, made, changes, episodes)],
        "commit": commit,
        "hardware": machine(),
        "versions": summary["versions"],
        "seed": summary["seed"],
        "bytes": team.stat().st_size,
        "target": recipe.goals,
        "score": score,
        "evaluation_env": changes,
        "summary": summary_of(summary, half),
        "training": run.config["training"],
    }
    write_json(TEAMS / f"{name}{CARD}", card)
    return card


def score_again(name: str, *, changes: dict[str, Any], episodes: int) -> dict[str, Any]:
    """Score the team that is shipped, write that into its card, and return the card."""
    card = card_of(located(f"{PREFIX}{name}"))
    score = score_of(read_run(f"{PREFIX}{name}"), changes, episodes)
    refuse_weak(load("recipe", name)(), score)
    trained, shipped = card["commands"][:2]
    command = shipping(name, shipped.split()[3], changes, episodes)
    summary = summary_of(card["summary"], read_run(f"{PREFIX}{name}"))
    card |= {"score": score, "evaluation_env": changes, "commands": [trained, command], "summary": summary}
    write_json(TEAMS / f"{name}{CARD}", card)
    return card


def score_of(run: Run, changes: dict[str, Any], episodes: int = EPISODES) -> dict[str, Any]:
    """What the team reaches, exactly where that is possible."""
    run = run.in_env(changes)
    bounds = build_env(run.env, num_envs=1).bounds()
    if not enumerable(run.env):
        found = evaluate(run, num_episodes=episodes)
        kept = (
            "episode_return_mean", "episode_return_se", "normalised_return", "success_rate", "episode_len_mean",
            "num_episodes",
        )  # fmt: skip
        return {"exact": False, **{key: found[key] for key in kept}}
    mean = exact_return(run.team, run.env)
    assert bounds is not None
    return {"exact": True, "episode_return_mean": mean, "normalised_return": mean / bounds.full_information}


def summary_of(summary: dict[str, Any], shipped: Run) -> dict[str, Any]:
    """What a training came to, with the verdict on the shipped weights."""
    training = {key: summary[key] for key in OF_TRAINING if key in summary}
    return {**training, **judged(shipped, num_episodes=EPISODES, seed=summary["seed"])}


def refuse_other(recipe: Recipe, training: dict[str, Any]) -> None:
    """A team must have been trained as its recipe says."""
    asked = settings_from(recipe.settings).model_dump(mode="json")
    other = {key for key in asked if key not in FREE and training.get(key, asked[key]) != asked[key]}
    if other:
        raise SystemExit(f"{recipe.name}: trained with other settings than the recipe: {', '.join(sorted(other))}")


def refuse_weak(recipe: Recipe, score: dict[str, Any]) -> None:
    """A shipped team reaches its target."""
    for key, goal in recipe.goals.items():
        value = score.get(key, math.nan)
        if not (value <= goal if key in recipe.at_most else value >= goal):
            raise SystemExit(f"{recipe.name}: {key} is {value}, and the target {goal}: train with another seed")


def shipping(name: str, folder: str, changes: dict[str, Any], episodes: int) -> str:
    """The command that ships a team."""
    words = ["python benchmarks/teams.py", name, folder, *(["--set"] if changes else [])]
    many = [] if episodes == EPISODES else [f"--episodes {episodes}"]
    return " ".join([*words, *(f"{key}={value}" for key, value in changes.items()), *many])


def folder_in(command: str, name: str, seed: int) -> str:
    """The run folder that a training command names, or makes in the folder that it names for teams."""
    words = command.split()
    if "--teams" in words:
        return f"{words[words.index('--teams') + 1]}/{name}_real_{seed}"
    return words[words.index("--out") + 1] if "--out" in words else "RUN"


def main() -> None:
    """Ship one team, or score the one that is shipped."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipe")
    parser.add_argument("run", help="its folder, or recipe:NAME for the team that is shipped")
    parser.add_argument("--commit", default=None, help="that the team was trained with (default: the present one)")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="of the environment, for the score")
    parser.add_argument("--episodes", type=int, default=EPISODES, help="for the score, where it is not exact")
    given = parser.parse_args()
    how = {"changes": dict(text.partition("=")[::2] for text in given.set), "episodes": given.episodes}
    if given.run == f"{PREFIX}{given.recipe}":
        card = score_again(given.recipe, **how)
    else:
        card = ship(given.recipe, pathlib.Path(given.run), commit=given.commit or commit(), **how)
    print(json.dumps({key: card[key] for key in ("recipe", "bytes", "target", "score")}))


if __name__ == "__main__":
    main()
