"""Ray, started quietly and for this process alone, where something needs it and it does not run yet."""

import contextlib
import logging
import os
import pathlib
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import ray
from ray._private import worker as ray_worker
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]
from ray.rllib.env import env_runner_group

from heliograph.hardware import num_cores
from heliograph.rllib.cluster import answering_cluster
from heliograph.rllib.job import job_config

OBJECT_STORE_BYTES = 200_000_000
STDERR = 2
HARMLESS = (b"has constructor arguments in the object store and max_restarts > 0",)
RETOLD = "ray.rllib.utils.actor_manager"
"""RLlib's logger of processes that died: Heliograph tells of them in its own words."""
LOGGERS = ("ray", "ray.rllib", "ray.tune", "ray.train", "ray.data")
MODE, TOKENS = "RAY_AUTH_MODE", ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
TOKEN_BYTES = 32


@contextlib.contextmanager
def ray_running(*, num_actors: int = 0) -> Iterator[None]:
    """Ray with room for that many actors, none where there are no actors; stopped at the end if it was started here.

    More actors than cores share them: Ray is told of as many cores as it needs, since it would wait for ever otherwise.
    Where the variable RAY_ADDRESS names a cluster, that one is used. A Ray that is started here lets in only who knows
    its token, a random one that this process and its children have in their environment.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with quiet():
        if not num_actors or ray.is_initialized():
            yield
            return
        with _joined() if answering_cluster() else _started(num_actors):
            _set_levels(logging.ERROR)
            yield


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


@contextlib.contextmanager
def ray_only_where_it_runs() -> Iterator[None]:
    """Have RLlib's groups of env runners keep here what they would start Ray for, to store it for nobody."""
    before = env_runner_group.ray
    env_runner_group.ray = _RayWhereItRuns()
    try:
        yield
    finally:
        env_runner_group.ray = before


class _RayWhereItRuns:
    """Ray's own names, but `put`, which would start Ray."""

    def __getattr__(self, name: str) -> Any:
        return getattr(ray, name)

    def put(self, value: Any, **settings: Any) -> Any:
        """As Ray's where it runs; else the value itself."""
        return ray.put(value, **settings) if ray.is_initialized() else value


@contextlib.contextmanager
def _joined() -> Iterator[None]:
    """A cluster of the user's, who decides about it."""
    ray.init(log_to_driver=False, logging_level="ERROR", job_config=job_config())
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _started(num_actors: int) -> Iterator[None]:
    """A Ray of this process's own; what it wrote to its temporary folder is deleted at the end."""
    with _environment(_token()):
        ray.init(
            address="local",
            num_cpus=max(num_cores(), num_actors + 1),
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            job_config=job_config(),
        )
        folder = pathlib.Path(ray_worker._global_node.get_session_dir_path())
        try:
            yield
        finally:
            ray.shutdown()
            _forget(folder)


def _token() -> dict[str, str]:
    """Variables by which Ray asks for a random token; none where the user chose a mode, and no token beside theirs."""
    if os.environ.get(MODE):
        return {}
    own = any(os.environ.get(name) for name in TOKENS)
    return {MODE: "token"} if own else {MODE: "token", TOKENS[0]: secrets.token_hex(TOKEN_BYTES)}


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables of this process, which its children inherit, for the time of the block; Ray reads them anew."""
    os.environ.update(variables)  # none of them was set before
    _read_anew()
    try:
        yield
    finally:
        for name in variables:
            os.environ.pop(name, None)
        _read_anew()


def _read_anew() -> None:
    """Ray remembers its settings and its token from one start to the next."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _forget(session: pathlib.Path) -> None:
    latest = session.parent / "session_latest"
    with contextlib.suppress(OSError):
        if os.path.realpath(latest) == os.path.realpath(session):
            latest.unlink()
    shutil.rmtree(session, ignore_errors=True)


def _set_levels(level: int) -> None:
    for name in LOGGERS:
        logging.getLogger(name).setLevel(level)
