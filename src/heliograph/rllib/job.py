"""What Ray is told of the processes that it starts for us: where they look for modules."""

import os
import sys

from ray.job_config import JobConfig

__all__ = ["job_config"]

SUBMITTED = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by `ray job submit`, which decides for itself."""


def job_config() -> JobConfig:
    """Processes that look where this one looks: Ray would put the working directory in front, as a stranger's may be.

    Names `module:Name` are found all the same (`heliograph.importing`), since Ray's processes inherit the environment.
    """
    here = os.getcwd()
    in_front = any(os.path.abspath(path) == here for path in sys.path)
    return JobConfig(_client_job=not in_front and SUBMITTED not in os.environ)
