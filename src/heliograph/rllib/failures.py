"""What may go wrong in the processes of a run, told so that a user can act on it (imports nothing heavy)."""

__all__ = ["EnvRunnerError", "LearnerError", "RunError"]


class RunError(RuntimeError):
    """A run that ended because of something that failed outside Heliograph's own code."""


class EnvRunnerError(RunError):
    """An environment, a model or a channel raised while an env runner sampled; the message has its own traceback."""


class LearnerError(RunError):
    """A learner that died, or raised."""
