"""DIAL on the switch riddle with three prisoners, as published."""

from heliograph.recipes.base import Recipe

__all__ = ["dial_switch3"]


def dial_switch3() -> Recipe:
    """DIAL: the gradient of the listeners' TD loss teaches the speakers, one bit a day.

    Paper: Foerster, Assael, de Freitas and Whiteson 2016: 32 episodes an update, RMSProp at 5e-4, epsilon .05, sigma 2,
    the target team every 100 updates. Its momentum of .95 is .05 here, as in a public code. To reach: 0.99 of the
    return of full information (exact, over all 729 visiting sequences), where the best silent policy known has 0.722.
    """
    return Recipe(
        name="dial_switch3",
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
    )
