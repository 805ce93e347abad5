"""What may go wrong in the processes of a run, told so that a user can act on it (imports nothing heavy)."""

import traceback

__all__ = ["EnvRunnerError", "LearnerError", "RunError", "exit_called"]


class RunError(RuntimeError):
    """A run that ended because of something that failed outside Heliograph's own code."""


class EnvRunnerError(RunError):
    """An environment, a model or a channel raised while an env runner sampled; the message has its own traceback."""


class LearnerError(RunError):
    """A learner that died, or raised."""


def exit_called(error: SystemExit) -> RunError:
    """Return what a user must know where code of theirs ended the program, which by itself says nothing."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {frames[-1].filename}, line {frames[-1].lineno}" if frames else ""
    return RunError(f"sys.exit({error.code!r}) was called{where}: in a run, raise an error that says what is wrong")
