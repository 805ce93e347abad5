"""Recipes of the game of naming an object's attributes, by symbols."""

from heliograph.recipes.base import Recipe

__all__ = ["RECIPES"]

RECIPES = (
    Recipe(
        name="lewis_reconstruction",
        about="""
        A sender names two attributes of six values in two symbols of six, by the policy gradient of what it says.

        Paper: Chaabouni, Kharitonov, Bouchacourt, Dupoux and Baroni 2020, "Compositionality and generalization in
        emergent languages" (its game of reconstruction; smaller, with words of fixed length whose symbols are chosen
        apart, PPO instead of REINFORCE on a cross entropy, and pay by the share of attributes that are right). A fifth
        of the combinations is held out. To reach: 0.8 of 1 on those of training (0.207 blind); evaluate with `--env
        split=test` for the unseen ones.
        """,
        paper="Chaabouni et al. 2020, arXiv:2004.09124",
        target={"episode_return_mean": 0.8},
        settings={
            "env": "reconstruction",
            "env_settings": {"attributes": 2, "values": 6, "reward": "share", "split": "train"},
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
                "lr": [[0, 3e-3], [200_000, 3e-3], [520_000, 3e-4]],
                "entropy_coeff": 0.01,
            },
            "iterations": 260,
        },
    ),
)
