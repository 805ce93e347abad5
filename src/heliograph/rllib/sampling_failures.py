"""What `sample()` may raise, and how it is told."""

import traceback

from heliograph.envs.base import EnvError
from heliograph.rllib.failures import EnvRunnerError

__all__ = ["SAMPLING_ERRORS", "SamplingError", "sampling_failure"]

SamplingError = EnvRunnerError | EnvError
SAMPLING_ERRORS = (EnvRunnerError, EnvError)
"""What `sample()` may raise: an environment that breaks its contract is told by its own message, which says where."""


def sampling_failure(error: BaseException, *, worker_index: int, env: object) -> SamplingError:
    """Return what a user must know of an exception in `sample()`: where it came from, what it was, its traceback."""
    if isinstance(error, EnvError) and not isinstance(error.__cause__, SystemExit):
        return error
    where = ", ".join(reversed(getattr(error, "__notes__", []))) or f"while sampling {type(env).__name__}"
    trace = "".join(traceback.format_exception(error))
    runner = f"env runner {worker_index}" if worker_index else "the env runner"
    return EnvRunnerError(f"{runner} failed {where}: {type(error).__name__}: {error}\n\n{trace}")
