"""What becomes of a run when one of its learners does not answer."""

import contextlib
from collections.abc import Iterator
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.rllib.core.learner.learner_group import LearnerGroup

from heliograph.rllib.failures import LearnerError
from heliograph.rllib.peers import LearnerWaitError

__all__ = ["learners_answering"]

USER_ERRORS = (ValueError, FloatingPointError)
PING_SECONDS = 10.0


@contextlib.contextmanager
def learners_answering(group: LearnerGroup) -> Iterator[None]:
    """Tell of a learner that died or raised in the block by a `LearnerError`; a user's mistake keeps its own class."""
    try:
        yield
    except RayError as error:
        cause = getattr(error, "cause", None)
        dead = _dead(group)
        if isinstance(cause, LearnerWaitError) and not dead:
            cause = _failure(group) or cause
        if isinstance(cause, (*USER_ERRORS, LearnerWaitError)) and not dead:
            raise cause from None
        if dead or isinstance(error, RayActorError):
            who = f"learner {', '.join(map(str, dead))} of {len(group)}" if dead else "a learner"
            raise LearnerError(
                f"{who} died (killed, out of memory, or its machine is gone), and with it the weights that it held"
            ) from error
        trace = error.traceback_str if isinstance(error, RayTaskError) else str(error)
        raise LearnerError(f"a learner failed:\n\n{trace}") from error


def _dead(group: LearnerGroup) -> list[int]:
    """Indices of the remote learners whose processes are gone."""
    return [index for index, actor in group._worker_manager.actors().items() if not _lives(actor)]


def _failure(group: LearnerGroup) -> Exception | None:
    """Return what a learner failed of while the others waited for it; None where each of them waited."""
    for actor in group._worker_manager.actors().values():
        with contextlib.suppress(RayError):
            failure = ray.get(actor.apply.remote(_remembered), timeout=PING_SECONDS)
            if failure is not None:
                return failure
    return None


def _remembered(learner: Any) -> Exception | None:
    return learner.failure


def _lives(actor: Any) -> bool:
    try:
        ray.get(actor.__ray_ready__.remote(), timeout=PING_SECONDS)
    except RayActorError:
        return False
    except RayError:  # busy, but there
        return True
    return True
