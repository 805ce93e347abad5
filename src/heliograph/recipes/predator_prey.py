"""Recipes of Predator-Prey, mixed: five systems by PPO, and two in the trainer of the paper."""

from typing import Any

from heliograph.recipes.base import Recipe, text_of
from heliograph.recipes.systems import (
    COMMNET,
    GACOMM,
    HIDDEN_STATE,
    IC3NET,
    MAGIC,
    PUBLISHED_TRAINER,
    TARMAC,
    System,
)
from heliograph.recipes.trainers import ESTIMATING, prey, prey_published

__all__ = ["RECIPES"]

TASKS = {5: "3 predators without sight", 10: "5 predators with vision 1", 20: "10 predators with vision 1"}
"""By the size of the grid."""
BUDGETS = {
    5: ", on a fiftieth of its steps",
    10: ", with a fiftieth of its env steps",
    20: ", on 1.2 million env steps (published: 160 million)",
}
"""What PPO takes of the env steps of the paper's trainer."""
GOALS = {5: 8.5, 10: 12.5, 20: 45.0}
GOALS_AS_PUBLISHED = {5: 8.9, 10: 12.5, 20: 52.4}
BOUNDS = {5: "4.66", 10: "10.4", 20: "23.07"}
"""Steps below which no team comes."""

SECOND_ROUND = f"{HIDDEN_STATE}, with a second round within the step (`comm_passes` of its code)"
ESTIMATES = "agents learn to know the state (`state_estimation`), and the critic sees it."
IC = f"{HIDDEN_STATE}; the no-communication control is that paper's IC."
GATES = "Each chooses in every step whether to take part. The no-communication control is the paper's IRIC."
CENTRAL_CRITIC = (
    "Values are learnt from what agents know and the whole state, which is nearest to the paper's centralised critic."
)


def _by_ppo(
    system: System,
    size: int,
    *,
    mean_ratio: float,
    note: str = "",
    does: str | None = None,
    channel: str = "continuous",
    model_settings: dict[str, Any] | None = None,
    **settings: Any,
) -> Recipe:
    """A recipe in our trainer."""
    gates = channel.startswith("gated")
    return _recipe(
        system,
        size,
        goal=GOALS[size],
        does=does,
        how=f"PPO in place of the paper's trainer{BUDGETS[size] if system.on_ic3net_tasks else ''}",
        note=note,
        settings={
            **prey(size, mean_ratio=mean_ratio, gates=gates),
            **system.settings(channel=channel, **(model_settings or {})),
            **settings,
        },
    )


def _as_published(system: System, size: int, *, mean_ratio: float, note: str, channel: str = "continuous") -> Recipe:
    """A recipe in the trainer of the paper."""
    return _recipe(
        system,
        size,
        goal=GOALS_AS_PUBLISHED[size],
        ending="_published",
        where=", in the paper's trainer",
        how=PUBLISHED_TRAINER,
        note=note,
        settings={**prey_published(size, mean_ratio=mean_ratio), **system.settings(channel=channel)},
    )


def _recipe(
    system: System,
    size: int,
    *,
    goal: float,
    how: str,
    note: str,
    settings: dict[str, Any],
    does: str | None = None,
    ending: str = "",
    where: str = "",
) -> Recipe:
    return Recipe(
        name=f"{system.model}_predator_prey_{size}x{size}{ending}",
        paper=system.paper,
        target={},
        at_most={"episode_len_mean": goal},
        settings=settings,
        about=text_of(
            f"Predator-Prey, {size} x {size}{where}: agents {does or system.does}.",
            f"Paper: {system.paper}.",
            f"Setting: {TASKS[size]}; {how}.",
            note,
            f"To reach: at most {goal} steps on average until all are there, where {BOUNDS[size]} is the bound.",
        ),
    )


def _commnet(size: int, *, mean_ratio: float, note: str, does: str | None = None) -> Recipe:
    """CommNet by PPO, whose agents hear each other twice and learn to know the state."""
    return _by_ppo(
        COMMNET, size, mean_ratio=mean_ratio, note=note, does=does, model_settings={"rounds": 2}, losses=ESTIMATING
    )


RECIPES = (
    _commnet(
        5,
        mean_ratio=1.0,
        note=f"{SECOND_ROUND}; the no-communication control is that paper's IC. Not in the paper: {ESTIMATES}",
    ),
    _commnet(
        10,
        mean_ratio=0.5,
        does="hear the mean of the others, and raise their own return and the mean",
        note=f"{SECOND_ROUND}. Half of what an agent is paid is its own, half the mean, where that paper has the mean "
        "for CommNet and one's own for IC3Net; so the no-communication control lies between its IC and IRIC. In "
        f"neither paper: {ESTIMATES}",
    ),
    _commnet(
        20,
        mean_ratio=0.0,
        does=IC3NET.does,
        note=f"{SECOND_ROUND}. As in IC3Net, and not in that paper's CommNet, each agent is paid for its own steps: in "
        "the mean of ten, one's own way is a tenth. So the no-communication control is its IRIC. In neither paper: "
        f"{ESTIMATES}",
    ),
    *(_as_published(COMMNET, size, mean_ratio=1.0, note=IC) for size in TASKS),
    *(_by_ppo(IC3NET, size, mean_ratio=0.0, note=GATES, channel="gated+continuous") for size in TASKS),
    *(_as_published(IC3NET, size, mean_ratio=0.0, note=GATES, channel="gated+continuous") for size in TASKS),
    *(_by_ppo(TARMAC, size, mean_ratio=1.0, note=CENTRAL_CRITIC) for size in TASKS),
    *(_by_ppo(MAGIC, size, mean_ratio=0.0) for size in (5, 10)),
    *(_by_ppo(GACOMM, size, mean_ratio=0.0) for size in (5, 10)),
)
