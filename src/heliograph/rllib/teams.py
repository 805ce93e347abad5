"""The team that an algorithm trains, taken out of it."""

from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.core import COMPONENT_LEARNER, COMPONENT_RL_MODULE

from heliograph.team.team import Team

__all__ = ["team_of"]


def team_of(algo: Algorithm) -> Team:
    """A copy of the team that an algorithm trains, wherever its learners are."""
    module = algo.config.get_multi_rl_module_spec().build()
    state = algo.learner_group.get_state(f"{COMPONENT_LEARNER}/{COMPONENT_RL_MODULE}")
    module.set_state(state[COMPONENT_LEARNER][COMPONENT_RL_MODULE])
    return module.team.eval()
