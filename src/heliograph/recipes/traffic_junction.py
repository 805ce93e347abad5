"""Recipes of Traffic Junction: five systems by PPO, with sight where it is medium or hard, and two as published."""

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
from heliograph.recipes.trainers import Exploring, junction, junction_published

__all__ = ["RECIPES"]

TASKS = {"easy": "one crossing, 5 cars", "medium": "two two-way roads, 10 cars", "hard": "four junctions, 20 cars"}
BLIND = "no sight beyond their own cell"
BUDGETS = {
    "easy": ", with a two-hundredth of its env steps",
    "medium": ", with a hundredth of its env steps",
    "hard": ", on an eightieth of its env steps",
}
"""What PPO takes of the env steps of the paper's trainer."""
GOALS = {"easy": 0.93, "medium": 0.93, "hard": 0.85}
GOALS_AS_PUBLISHED = {"easy": 0.93, "medium": 0.893, "hard": 0.724}
ALWAYS_GAS = {"easy": "0.284", "medium": "0.031", "hard": "0.077"}
"""Success of cars that never brake."""
ORACLE = " and a right of way that sees all 1.0"

IC = f"{HIDDEN_STATE}; the no-communication control is that paper's IC."
IRIC = "The no-communication control is the paper's IRIC."
OPEN_GATES = f"Gates stay open, as in the paper's runs on this task. {IRIC}"
CENTRAL_CRITIC = "Values are learnt from the whole state, which is nearest to the paper's centralised critic."
NO_SCHEDULER = "The scheduler is off, as in the paper's runs on this task: everyone takes every edge."
ALL_EDGES = {"complete": "all", "self_loop": "forced"}
LONGER = Exploring(env_steps=1_600_000, until=500_000, over=1_200_000)
BOLDER = Exploring(env_steps=1_200_000, until=400_000, over=900_000, coefficient=0.25)


def _by_ppo(
    system: System,
    difficulty: str,
    *,
    mean_ratio: float,
    note: str = "",
    budget: str | None = None,
    beside: str = ORACLE,
    exploring: Exploring | None = None,
    model_settings: dict[str, Any] | None = None,
    **settings: Any,
) -> Recipe:
    """A recipe in our trainer; where it is not easy, cars see the cells around them."""
    vision = int(difficulty != "easy")
    origin = "as published" if system.on_ic3net_tasks else "of IC3Net's"
    if budget is None:
        budget = BUDGETS[difficulty] if system.on_ic3net_tasks else ""
    goal = GOALS[difficulty]
    return Recipe(
        name=f"{system.model}_traffic_junction_{difficulty}{'_sighted' * vision}",
        paper=system.paper,
        target={"success_rate": goal},
        settings={
            **junction(difficulty, mean_ratio=mean_ratio, exploring=exploring, vision=vision),
            **system.settings(**(model_settings or {})),
            **settings,
        },
        about=text_of(
            f"Traffic Junction, {difficulty}{', with sight' * vision}: agents {system.does}.",
            f"Paper: {system.paper}.",
            f"Setting: {TASKS[difficulty]}, {'vision 1' if vision else BLIND}, arrival rate and length {origin};",
            f"PPO in place of the paper's trainer{budget}.",
            note,
            f"To reach: success in {goal} of fresh episodes at the final rate, where always gas has",
            f"{ALWAYS_GAS[difficulty]}{beside}.",
        ),
    )


def _as_published(system: System, difficulty: str, *, mean_ratio: float, note: str) -> Recipe:
    """A recipe in the trainer of the paper, whose teams see no further than their own cell."""
    goal, is_easy = GOALS_AS_PUBLISHED[difficulty], difficulty == "easy"
    return Recipe(
        name=f"{system.model}_traffic_junction_{difficulty}_published",
        paper=system.paper,
        target={"success_rate": goal},
        controls=True if is_easy else ("silent", "garbled", "self"),
        settings={**junction_published(difficulty, mean_ratio=mean_ratio), **system.settings()},
        about=text_of(
            f"Traffic Junction, {difficulty}, in the paper's trainer: agents {system.does}.",
            f"Paper: {system.paper}.",
            f"Setting: {TASKS[difficulty]}, {BLIND}; {PUBLISHED_TRAINER}.",
            note,
            f"To reach{'' if is_easy else ', as published of IC3Net'}: success in {goal} of fresh episodes at the",
            f"final rate, where always gas has {ALWAYS_GAS[difficulty]}.",
        ),
    )


RECIPES = (
    _by_ppo(COMMNET, "easy", mean_ratio=1.0, note=IC),
    _by_ppo(COMMNET, "medium", mean_ratio=1.0, note=IC),
    _by_ppo(COMMNET, "hard", mean_ratio=1.0, note=IC),
    *(_as_published(COMMNET, difficulty, mean_ratio=1.0, note=IC) for difficulty in TASKS),
    _by_ppo(IC3NET, "easy", mean_ratio=0.0, note=OPEN_GATES),
    _by_ppo(IC3NET, "medium", mean_ratio=0.0, note=OPEN_GATES),
    _by_ppo(
        IC3NET,
        "hard",
        mean_ratio=0.0,
        note=OPEN_GATES,
        beside=", a right of way that sees all 1.0, and a script that hears nobody 0.93: with vision 1 this task does "
        "not need messages, and the team does not use them",
    ),
    *(_as_published(IC3NET, difficulty, mean_ratio=0.0, note=IRIC) for difficulty in TASKS),
    _by_ppo(
        TARMAC,
        "easy",
        mean_ratio=1.0,
        note=CENTRAL_CRITIC,
        budget=", with a hundredth of its env steps, exploring twice as long as CommNet and IC3Net do",
        exploring=LONGER,
        critic="state",
    ),
    _by_ppo(TARMAC, "medium", mean_ratio=1.0, note=CENTRAL_CRITIC, critic="state"),
    _by_ppo(TARMAC, "hard", mean_ratio=1.0, note=CENTRAL_CRITIC, critic="state"),
    _by_ppo(
        MAGIC,
        "easy",
        mean_ratio=0.0,
        note=NO_SCHEDULER,
        budget=", with more entropy than CommNet and IC3Net need: with theirs one team stopped at 0.86 (a trap; see "
        "`Exploring`)",
        exploring=BOLDER,
        model_settings=ALL_EDGES,
    ),
    *(
        _by_ppo(MAGIC, difficulty, mean_ratio=0.0, note=NO_SCHEDULER, model_settings=ALL_EDGES)
        for difficulty in ("medium", "hard")
    ),
    *(_by_ppo(GACOMM, difficulty, mean_ratio=0.0) for difficulty in TASKS),
)
