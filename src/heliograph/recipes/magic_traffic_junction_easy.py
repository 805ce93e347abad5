"""MAGIC on Traffic Junction, easy."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import Exploring, junction

__all__ = ["magic_traffic_junction_easy"]

BOLDER = Exploring(env_steps=1_200_000, until=400_000, over=900_000, coefficient=0.25)


def magic_traffic_junction_easy() -> Recipe:
    """Traffic Junction, easy: agents pass two messages within the step along a graph.

    Paper: Niu, Paleja and Gombolay 2021 (MAGIC), AAMAS; task: arXiv:1812.09755. Setting: one crossing, 5 cars,
    no sight beyond their own cell, arrival rate and length of IC3Net's; PPO in place of the paper's trainer,
    with more entropy than CommNet and IC3Net need: with theirs one team stopped at 0.86 (a trap; see `Exploring`).
    The scheduler is off, as in the paper's runs on this task: everyone takes every edge. To reach: success in
    0.93 of fresh episodes at the final rate, where always gas has 0.284 and a right of way that sees all 1.0.
    """
    return Recipe(
        name="magic_traffic_junction_easy",
        paper="Niu, Paleja and Gombolay 2021 (MAGIC), AAMAS; task: arXiv:1812.09755",
        target={"success_rate": 0.93},
        settings={
            **junction("easy", mean_ratio=0.0, exploring=BOLDER),
            "model": "magic",
            "model_settings": {"size": 128, "complete": "all", "self_loop": "forced"},
            "channel": "continuous",
            "channel_settings": {"size": 128, "noise_std": 0.0, "squash": "none"},
        },
    )
