"""Recipes of the switch riddle: DIAL and RIAL as published, and PPO through DIAL's channel."""

from heliograph.recipes.base import Recipe, text_of

__all__ = ["RECIPES"]

RECIPES = (
    Recipe(
        name="dial_switch3",
        about="""
        DIAL: the gradient of the listeners' TD loss teaches the speakers, one bit a day.

        Paper: Foerster, Assael, de Freitas and Whiteson 2016: 32 episodes an update, RMSProp at 5e-4, epsilon .05,
        sigma 2, the target team every 100 updates. Its momentum of .95 is .05 here, as in a public code. To reach: 0.99
        of the return of full information (exact, over all 729 visiting sequences), where the best silent policy known
        has 0.722.
        """,
        paper="Foerster et al. 2016 (DIAL), arXiv:1605.06676",
        target={"normalised_return": 0.99},
        settings={
            "env": "switch_riddle",
            "env_settings": {"prisoners": 3},
            "model": "cnet",
            "model_settings": {},
            "channel": "dru",
            "channel_settings": {"bits": 1, "sigma": 2.0, "limit": None},
            "algorithm": "qlearning",
            "algorithm_settings": {"momentum": 0.05},
            "iterations": 5000,
        },
    ),
    Recipe(
        name="dial_switch4",
        about="""
        DIAL: the gradient of the listeners' TD loss teaches the speakers, one bit a day.

        Paper: Foerster, Assael, de Freitas and Whiteson 2016. Differences, without which teams stopped at 0.76 to 0.89:
        128 episodes an update and not 32, twice the learning rate, which falls, an epsilon of 0.2 and not 0.05, which
        falls last, and, outside training too, messages normalised by the day on which they are heard. To reach: 0.95 of
        the return of full information in most seeds; the best silent policy known, on its own visits alone, has 0.732.
        """,
        paper="Foerster et al. 2016 (DIAL), arXiv:1605.06676",
        target={"normalised_return": 0.95},
        settings={
            "env": "switch_riddle",
            "env_settings": {"prisoners": 4},
            "model": "cnet",
            "model_settings": {"message_norm": "by_step"},
            "channel": "dru",
            "channel_settings": {"bits": 1, "sigma": 2.0, "limit": None},
            "algorithm": "qlearning",
            "algorithm_settings": {
                "momentum": 0.05,
                "num_envs_per_env_runner": 128,
                "epsilon": [[0, 0.2], [3_200_000, 0.2], [4_800_000, 0.02], [5_800_000, 0.01]],
                "lr": [[0, 1e-3], [1_500_000, 1e-3], [4_000_000, 2e-4], [5_800_000, 2e-5]],
            },
            "iterations": 7000,
        },
    ),
    Recipe(
        name="rial_switch3",
        about="""
        RIAL: what is said is an action, with a Q head of its own, from two symbols.

        Paper: Foerster, Assael, de Freitas and Whiteson 2016, with the settings of `dial_switch3`; an agent is shown
        what it said last. To reach: 0.95 of the return of full information in the median seed; best silent policy
        known: 0.722.
        """,
        paper="Foerster et al. 2016 (RIAL), arXiv:1605.06676",
        target={"normalised_return": 0.95},
        settings={
            "env": "switch_riddle",
            "env_settings": {"prisoners": 3},
            "model": "cnet",
            "model_settings": {"own_message": True},
            "channel": "symbols",
            "channel_settings": {"vocabulary": 2},
            "algorithm": "qlearning",
            "algorithm_settings": {"momentum": 0.05},
            "iterations": 5000,
        },
    ),
    Recipe(
        name="rial_switch4",
        about="""
        RIAL: what is said is an action, with a Q head of its own, from two symbols.

        Paper: Foerster, Assael, de Freitas and Whiteson 2016, with the settings of `rial_switch3`, but for 128 episodes
        an update and not 32, and twice the learning rate, which falls in the second half (0.65 to 0.76 without). An
        epsilon of 0.2 as in `dial_switch4` costs: messages are explored too, so what is heard is wrong one time in ten.
        To reach: more than the best silent policy known, on its own visits alone, 0.732.
        """,
        paper="Foerster et al. 2016 (RIAL), arXiv:1605.06676",
        target={"normalised_return": 0.732},
        settings={
            "env": "switch_riddle",
            "env_settings": {"prisoners": 4},
            "model": "cnet",
            "model_settings": {"own_message": True},
            "channel": "symbols",
            "channel_settings": {"vocabulary": 2},
            "algorithm": "qlearning",
            "algorithm_settings": {
                "momentum": 0.05,
                "num_envs_per_env_runner": 128,
                "lr": [[0, 1e-3], [3_850_000, 1e-3], [7_700_000, 1e-4]],
            },
            "iterations": 7000,
        },
    ),
    Recipe(
        name="switch_riddle_dru",
        about=text_of(
            "Three prisoners share one bit, the switch, and must tell when all have been in the room; PPO through the "
            "channel.",
            "Paper: Foerster, Assael, de Freitas and Whiteson 2016 (network, channel, task; the algorithm is PPO",
            "instead of Q-learning, its critic sees the whole state in training: without that, most seeds stay at 0.91",
            "to 0.97). To reach: a normalised return above 0.95, where the best silent policy known has 0.722, within",
            "500,000 env steps.",
        ),
        paper="Foerster et al. 2016 (DIAL), arXiv:1605.06676",
        target={"normalised_return": 0.95},
        settings={
            "env": "switch_riddle",
            "env_settings": {"prisoners": 3},
            "model": "cnet",
            "model_settings": {"size": 64},
            "channel": "dru",
            "channel_settings": {"bits": 1},
            "algorithm": "ppo",
            "algorithm_settings": {
                "num_envs_per_env_runner": 512,
                "train_batch_size_per_learner": 6144,
                "minibatch_size": 1536,
                "lr": 2e-3,
                "gamma": 1.0,
                "entropy_coeff": [[0, 0.03], [250_000, 0.02], [400_000, 0.0]],
            },
            "critic": "state",
            "iterations": 81,
        },
    ),
)
