"""RIAL on the switch riddle with three prisoners, as published."""

from heliograph.recipes.base import Recipe

__all__ = ["rial_switch3"]


def rial_switch3() -> Recipe:
    """RIAL: what is said is an action, with a Q head of its own, from two symbols.

    Paper: Foerster, Assael, de Freitas and Whiteson 2016, with the settings of `dial_switch3`; an agent is shown what
    it said last. To reach: 0.95 of the return of full information in the median seed; best silent policy known: 0.722.
    """
    return Recipe(
        name="rial_switch3",
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
    )
