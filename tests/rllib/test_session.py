"""Ray runs only where something needs it, and lets in only who knows its token."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import types
from typing import Any

import pytest
import ray
from ray._private import worker as ray_worker

from heliograph.experiments.settings import settings_from
from heliograph.rllib import cluster
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs import session
from heliograph.rllib.runs.train import num_actors

ROOT = pathlib.Path(__file__).parents[2]
VARIABLES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS")


def alone(script: str, *arguments: str) -> Any:
    """What a script prints, as JSON, in a process without any Ray."""
    environment = {key: value for key, value in os.environ.items() if key not in VARIABLES}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    command = [sys.executable, "-W", "ignore", "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


NO_ACTORS = """
import json, os, pathlib, sys
import ray
from heliograph.rllib.runs.train import resume, train
from tests.rllib.test_train import small

def listening():
    fds = [path for path in pathlib.Path("/proc/self/fd").iterdir() if path.exists()]
    mine = {os.readlink(path) for path in fds}
    rows = [row.split() for name in ("tcp", "tcp6") for row in open(f"/proc/self/net/{name}").readlines()[1:]]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in mine]

def look(row):
    children = open(f"/proc/self/task/{os.getpid()}/children").read().split()
    seen.append([ray.is_initialized(), len(children), listening()])

seen = []
train(small(iterations=2), out=sys.argv[1], on_progress=look)
resume(sys.argv[1], iterations=3, on_progress=look)
print(json.dumps(seen))
"""


@pytest.mark.slow
def test_without_actors_no_ray_is_started(tmp_path: pathlib.Path) -> None:
    assert alone(NO_ACTORS, str(tmp_path / "run")) == [[False, 0, []]] * 3


STRANGER = """
import sys
from ray._raylet import GcsClient
try:
    print(len(GcsClient(address=sys.argv[1]).internal_kv_keys(b"", None, 5)) > 0)
except Exception as error:
    print(type(error).__name__)
"""

WITH_ACTORS = (
    f"STRANGER = {STRANGER!r}\n"
    + """
import json, os, pathlib, subprocess, sys
import ray
from heliograph.rllib.runs.session import ray_running
from ray._private import worker

def stranger(**variables):
    others = {key: value for key, value in os.environ.items() if not key.startswith("RAY_AUTH")}
    command = [sys.executable, "-c", STRANGER, address]
    return subprocess.run(command, env={**others, **variables}, capture_output=True, text=True).stdout.strip()

found, tokens, folders = {}, [], []
for first in (True, False):
    with ray_running(num_actors=1):
        address, token = ray.get_runtime_context().gcs_address, os.environ["RAY_AUTH_TOKEN"]
        tokens.append(token)
        folders.append(worker._global_node.get_session_dir_path())
        if not first:
            continue
        found["worker"] = ray.get(ray.remote(lambda: os.environ["RAY_AUTH_TOKEN"]).remote()) == token
        found["friend"] = stranger(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token)
        found["without"] = stranger(RAY_AUTH_MODE="disabled")
        found["wrong"] = stranger(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="0" * 64)
found["tokens"] = len(set(tokens))
found["after"] = [name for name in os.environ if name.startswith("RAY_AUTH")]
found["left"] = [folder for folder in folders if pathlib.Path(folder).exists()]
print(json.dumps(found))
"""
)


@pytest.mark.slow
def test_with_actors_a_stranger_without_the_token_is_refused() -> None:
    found = alone(WITH_ACTORS)
    assert found["worker"] and found["friend"] == "True"
    assert (found["without"], found["wrong"]) == ("AuthenticationError", "AuthenticationError")
    assert (found["tokens"], found["after"], found["left"]) == (2, [], [])


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> dict[str, Any]:
    """A pretended Ray that is not started yet; returns what it is started with."""
    given: dict[str, Any] = {}
    for name in (*VARIABLES, "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.delenv(name, raising=False)

    def init(**settings: Any) -> None:
        given.update(settings, variables={name: os.environ.get(name) for name in VARIABLES})

    node = types.SimpleNamespace(get_session_dir_path=lambda: str(tmp_path / "session_1"))
    monkeypatch.setattr(ray_worker, "_global_node", node)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: given.update(ended=True))
    monkeypatch.setattr(session, "_read_anew", lambda: None)
    return given


def test_ray_is_started_quietly(no_ray: dict[str, Any]) -> None:
    with session.ray_running(num_actors=3):
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert no_ray["num_cpus"] >= 4 and not no_ray["include_dashboard"] and not no_ray["log_to_driver"]
    assert no_ray["variables"]["RAY_AUTH_MODE"] == "token" and len(no_ray["variables"]["RAY_AUTH_TOKEN"]) == 64
    assert no_ray["ended"] and "RAY_AUTH_TOKEN" not in os.environ and "RAY_AUTH_MODE" not in os.environ


def test_ray_is_not_started_for_nobody(no_ray: dict[str, Any]) -> None:
    with session.ray_running(num_actors=0):
        assert not no_ray
    assert not no_ray


@pytest.mark.parametrize("mode", ["disabled", "token"])
def test_the_mode_of_the_user_stays(no_ray: dict[str, Any], monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    with session.ray_running(num_actors=1):
        pass
    assert no_ray["variables"] == {**dict.fromkeys(VARIABLES), "RAY_AUTH_MODE": mode}
    assert os.environ["RAY_AUTH_MODE"] == mode


@pytest.mark.parametrize("name", ["RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"])
def test_the_token_of_the_user_stays(no_ray: dict[str, Any], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "mine")
    with session.ray_running(num_actors=1):
        pass
    assert no_ray["variables"] == {**dict.fromkeys(VARIABLES), "RAY_AUTH_MODE": "token", name: "mine"}
    assert os.environ[name] == "mine" and "RAY_AUTH_MODE" not in os.environ


def test_a_cluster_of_the_user_is_joined_as_it_is(no_ray: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "answering_cluster", lambda: True)
    with session.ray_running(num_actors=1):
        pass
    assert not any(no_ray["variables"].values()) and "address" not in no_ray and no_ray["ended"]


def test_evaluating_runners_are_actors_too() -> None:
    assert num_actors(settings_from({})) == 0
    assert num_actors(settings_from({"num_env_runners": 2, "num_learners": 1})) == 3
    assert num_actors(settings_from({"algorithm": "tests.rllib.test_session:Evaluating"})) == 2


class Evaluating(CommPPOConfig):
    """An algorithm of a user's that evaluates in processes of its own."""

    def __init__(self, algo_class: Any = None):
        super().__init__(algo_class=algo_class)
        self.evaluation(evaluation_interval=1, evaluation_num_env_runners=2)


# ---- clusters --------------------------------------------------------------------------------------------------------


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "SECONDS", 0.4)
    monkeypatch.setattr(cluster, "SECONDS_BETWEEN_TRIES", 0.1)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server on this machine that RAY_ADDRESS names."""
    monkeypatch.setattr(cluster.services, "resolve_ip_for_localhost", lambda host: host)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{listening.getsockname()[1]}")
        yield listening


def test_no_cluster_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert not cluster.answering_cluster()
    for name in ("", "local"):
        monkeypatch.setenv("RAY_ADDRESS", name)
        assert not cluster.answering_cluster()


def test_an_address_where_nobody_is(server: socket.socket, patience: None) -> None:
    server.close()
    with pytest.raises(ConnectionError, match=r"RAY_ADDRESS=127\.0\.0\.1:\d+: no cluster answers there .*unset"):
        cluster.answering_cluster()


def test_an_address_where_nobody_speaks(server: socket.socket, patience: None) -> None:
    with pytest.raises(ConnectionError, match="no cluster answers there"):
        cluster.answering_cluster()


def test_an_address_where_a_server_of_ray_may_be(server: socket.socket, patience: None) -> None:
    heard: list[bytes] = []

    def answer() -> None:
        connection, _ = server.accept()
        heard.append(connection.recv(100))
        connection.sendall(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        connection.close()

    thread = threading.Thread(target=answer)
    thread.start()
    assert cluster.answering_cluster()
    thread.join()
    assert heard[0].startswith(b"PRI * HTTP/2.0")


def test_what_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nonsense", "ray://", "ray://host"):
        monkeypatch.setenv("RAY_ADDRESS", name)
        with pytest.raises(ValueError, match="must be auto, local, HOST:PORT or ray://HOST:PORT"):
            cluster.answering_cluster()


def test_no_cluster_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(address: str) -> str:
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(cluster.services, "canonicalize_bootstrap_address_or_die", none)
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    with pytest.raises(ConnectionError, match="RAY_ADDRESS=auto: no cluster runs on this machine"):
        cluster.answering_cluster()
