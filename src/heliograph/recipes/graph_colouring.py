"""Recipes of graph colouring: CommNet with 1,024 agents."""

from heliograph.recipes.base import Recipe

__all__ = ["RECIPES"]

RECIPES = (
    Recipe(
        name="commnet_graph_colouring_1024",
        about="""
        Agents on a random graph of 1,024 hear the mean of their four neighbours' symbols, two bits each, and differ.

        Paper: Sukhbaatar, Szlam and Fergus 2016, one round within the step, without memory; but not its messages, which
        are hidden states: here they are symbols (Gumbel-softmax in training). The task is this library's. To reach:
        0.82 with greedy actions, where no silent team has more than 0.751. All agents are alike, so greedy ones begin
        with the same colour and lose the first steps; sampled ones reach 0.95.
        """,
        paper="Sukhbaatar, Szlam and Fergus 2016 (CommNet), arXiv:1605.07736",
        target={"episode_return_mean": 0.82},
        settings={
            "env": "graph_colouring",
            "env_settings": {"agents": 1024},
            "model": "commnet",
            "model_settings": {"size": 32, "core": "mlp", "rounds": 1},
            "channel": "symbols",
            "channel_settings": {"vocabulary": 4, "gradient": "gumbel"},
            "topology": "given",
            "algorithm": "ppo",
            "algorithm_settings": {
                "num_envs_per_env_runner": 4,
                "rollout_fragment_length": 16,
                "train_batch_size_per_learner": 64,
                "minibatch_size": 16,
                "lr": 3e-3,
                "gamma": 0.9,
                "lambda_": 0.9,
                "entropy_coeff": 0.01,
                "target_kl": None,
            },
            "critic_size": 32,
            "iterations": 60,
            "evaluation_episodes": 100,
        },
    ),
)
