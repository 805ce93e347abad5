"""The conformance suites of all extension points, for ours and for a stranger's: `check_env`, `check_channel`, ...

Each takes what makes a component (a class with default settings will do, or `functools.partial(MyEnv, size=4)`), runs
every check on it, and raises `ConformanceError` at the first that fails, with the component, the check and what was
expected. `CHECKS`, `CHANNEL_CHECKS`, ... hold the single checks by name.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from heliograph.testing import (
    channel_checks,
    channel_in_team,
    loss_checks,
    measure_checks,
    model_checks,
    model_knowledge,
    recipe_checks,
    topology_checks,
)
from heliograph.testing.channel_checks import MakeChannel
from heliograph.testing.contract import ConformanceError, MakeEnv
from heliograph.testing.course import check_auto_reset, check_endings, check_talk_steps, check_time_limit
from heliograph.testing.measure_checks import Measure
from heliograph.testing.model_checks import MakeModel
from heliograph.testing.play import episodes, random_actions
from heliograph.testing.recipe_checks import MakeRecipe
from heliograph.testing.runs import check_bounds, check_device, check_seeding, check_state_round_trip, check_statistics
from heliograph.testing.scenes import check_scene
from heliograph.testing.states import check_states
from heliograph.testing.steps import check_fields, check_masks, check_shapes, check_spaces
from heliograph.testing.topology_checks import MakeTopology

__all__ = [
    "CHANNEL_CHECKS",
    "CHECKS",
    "LOSS_CHECKS",
    "MEASURE_CHECKS",
    "MODEL_CHECKS",
    "RECIPE_CHECKS",
    "TOPOLOGY_CHECKS",
    "ConformanceError",
    "MakeEnv",
    "check_auto_reset",
    "check_bounds",
    "check_channel",
    "check_device",
    "check_endings",
    "check_env",
    "check_fields",
    "check_loss",
    "check_masks",
    "check_measure",
    "check_model",
    "check_recipe",
    "check_scene",
    "check_seeding",
    "check_shapes",
    "check_spaces",
    "check_state_round_trip",
    "check_states",
    "check_statistics",
    "check_talk_steps",
    "check_time_limit",
    "check_topology",
    "episodes",
    "random_actions",
]  # fmt: skip

CHECKS = {
    check.__name__: check
    for check in (
        check_shapes,
        check_spaces,
        check_fields,
        check_masks,
        check_endings,
        check_auto_reset,
        check_time_limit,
        check_talk_steps,
        check_seeding,
        check_states,
        check_state_round_trip,
        check_device,
        check_scene,
        check_statistics,
        check_bounds,
    )
}
"""All checks by name, in the order in which `check_env` runs them."""


def check_env(make_env: MakeEnv) -> None:
    """Run every check on an environment; raises `ConformanceError` at the first that fails."""
    for check in CHECKS.values():
        check(make_env)


def _checks_in(*modules: Any) -> dict[str, Callable[..., None]]:
    """All checks of some modules, in the order in which they are written."""
    return {
        name: check
        for module in modules
        for name, check in vars(module).items()
        if name.startswith("check_") and check.__module__ == module.__name__
    }


CHANNEL_CHECKS = _checks_in(channel_checks, channel_in_team)
MODEL_CHECKS = _checks_in(model_checks, model_knowledge)
TOPOLOGY_CHECKS = _checks_in(topology_checks)
LOSS_CHECKS = _checks_in(loss_checks)
MEASURE_CHECKS = _checks_in(measure_checks)
RECIPE_CHECKS = _checks_in(recipe_checks)


def check_channel(make_channel: MakeChannel) -> None:
    """Run every check on a channel: a wrapper as `functools.partial(MyWrapper, DRU())`."""
    for check in CHANNEL_CHECKS.values():
        check(make_channel)


def check_model(make_model: MakeModel) -> None:
    """Run every check on a model, which is made from a `ModelSpec`: a small one, as it plays in many teams."""
    for check in MODEL_CHECKS.values():
        check(make_model)


def check_topology(make_topology: MakeTopology, *, sizes: Sequence[int] = topology_checks.SIZES) -> None:
    """Run every check on a topology; `sizes` are numbers of agents that it can be asked for."""
    for check in TOPOLOGY_CHECKS.values():
        check(make_topology, sizes=sizes)


def check_loss(make_loss: Any, *, env: MakeEnv | None = None) -> None:
    """Run every check on an auxiliary loss, a class or a function of a `LossBatch`.

    `env` is the game in which it can be computed, where that is not any.
    """
    for check in LOSS_CHECKS.values():
        check(make_loss, env=env)


def check_measure(measure: Measure) -> None:
    """Run every check on a measure, a function of messages, or of messages and meanings."""
    for check in MEASURE_CHECKS.values():
        check(measure)


def check_recipe(make_recipe: MakeRecipe, *, env_settings: Mapping[str, Any] | None = None) -> None:
    """Run every check on a recipe; `env_settings` replace some of its own, to check a large environment in small."""
    for check in RECIPE_CHECKS.values():
        check(make_recipe, env_settings=env_settings)
