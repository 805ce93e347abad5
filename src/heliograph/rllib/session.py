"""Ray, started quietly where it does not run yet."""

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator

import ray

from heliograph.cores import num_cores
from heliograph.rllib.job import job_config

OBJECT_STORE_BYTES = 200_000_000
STDERR = 2
HARMLESS = (b"has constructor arguments in the object store and max_restarts > 0",)
RETOLD = "ray.rllib.utils.actor_manager"
"""RLlib's logger of processes that died: Heliograph tells of them in its own words."""
LOGGERS = ("ray", "ray.rllib", "ray.tune", "ray.train", "ray.data")


@contextlib.contextmanager
def ray_running(*, num_actors: int = 0) -> Iterator[None]:
    """Ray with room for that many actors; stopped at the end if it was started here.

    More actors than cores share them: Ray is told of as many cores as it needs, since it would wait for ever otherwise.
    Where the variable RAY_ADDRESS names a cluster, that one is used.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if "RAY_ADDRESS" not in os.environ:  # a cluster of the user's decides for itself
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    with quiet():
        if ray.is_initialized():
            yield
            return
        _start(num_actors)
        _set_levels(logging.ERROR)
        try:
            yield
        finally:
            ray.shutdown()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Ray's loggers say nothing below an error: what they warn of, a user of Heliograph cannot act on."""
    levels = {name: logging.getLogger(name).level for name in (*LOGGERS, RETOLD)}
    _set_levels(logging.ERROR)
    logging.getLogger(RETOLD).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def harmless_lines_dropped() -> Iterator[None]:
    """Hold back stderr, that of Ray's C++ too, and then let through what is not in `HARMLESS`."""
    sys.stderr.flush()
    kept = os.dup(STDERR)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), STDERR)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, STDERR)
            os.close(kept)
            held.seek(0)
            for line in held:
                if not any(words in line for words in HARMLESS):
                    os.write(STDERR, line)


def _start(num_actors: int) -> None:
    if "RAY_ADDRESS" in os.environ:
        ray.init(log_to_driver=False, logging_level="ERROR", job_config=job_config())
        return
    ray.init(
        address="local",
        num_cpus=max(num_cores(), num_actors + 1),
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        job_config=job_config(),
    )


def _set_levels(level: int) -> None:
    for name in LOGGERS:
        logging.getLogger(name).setLevel(level)
