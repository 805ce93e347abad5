"""Recipes of the game of finding one object among others, by symbols."""

from heliograph.recipes.base import Recipe

__all__ = ["RECIPES"]

RECIPES = (
    Recipe(
        name="lewis_discrimination",
        about="""
        A receiver finds one of four objects by two symbols of six, trained by the policy gradient of what is said.

        Paper: Lazaridou, Peysakhovich and Baroni 2017, "Multi-agent cooperation and the emergence of (natural)
        language" (the game of finding an object among others; objects are two attributes of six values instead of
        images, the sender does not see the distractors, and the algorithm is PPO). A fifth of the combinations is held
        out. To reach: 0.8 of 1 on those of training (0.25 blind); evaluate with `--env split=test` for the unseen ones.
        """,
        paper="Lazaridou et al. 2017, arXiv:1612.07182",
        target={"episode_return_mean": 0.8},
        settings={
            "env": "discrimination",
            "env_settings": {"attributes": 2, "values": 6, "candidates": 4, "split": "train"},
            "model": "cnet",
            "model_settings": {"size": 64},
            "channel": "symbols",
            "channel_settings": {"vocabulary": 6, "length": 2},
            "algorithm": "ppo",
            "algorithm_settings": {
                "num_envs_per_env_runner": 1024,  # episodes of two steps: many copies and short rollouts are fastest
                "train_batch_size_per_learner": 2048,
                "minibatch_size": 512,
                "num_epochs": 4,
                "lr": [[0, 3e-3], [400_000, 3e-3], [520_000, 3e-4]],
                "entropy_coeff": 0.01,
            },
            "iterations": 260,
        },
    ),
)
