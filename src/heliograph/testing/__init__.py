"""The conformance suite of environments, for ours and for a stranger's: `check_env(make_env)`.

`make_env` takes the settings of `TeamEnv` as keywords (`num_copies`, `seed`, `device`, `time_limit`, `talk_steps`) and
returns a fresh environment: a class with default settings will do, or `functools.partial(MyEnv, size=4)`.
Every check is a public function of its own; a broken promise raises `ConformanceError`.
"""

from heliograph.testing.contract import ConformanceError, MakeEnv
from heliograph.testing.course import check_auto_reset, check_endings, check_talk_steps, check_time_limit
from heliograph.testing.play import episodes, random_actions
from heliograph.testing.runs import check_bounds, check_device, check_seeding, check_state_round_trip, check_statistics
from heliograph.testing.scenes import check_scene
from heliograph.testing.steps import check_fields, check_masks, check_shapes, check_spaces

__all__ = [
    "CHECKS", "ConformanceError", "MakeEnv", "check_auto_reset", "check_bounds", "check_device", "check_endings",
    "check_env", "check_fields", "check_masks", "check_scene", "check_seeding", "check_shapes", "check_spaces",
    "check_state_round_trip", "check_statistics", "check_talk_steps", "check_time_limit", "episodes", "random_actions",
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
