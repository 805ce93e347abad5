"""A worker process: some of the copies of a Python environment, adapted and stepped as another process orders.

Run by `heliograph.adapters.worker`, which hands over two descriptors: a socket to that process, which is its only sign
of life, and the memory that both share.
"""

import faulthandler
import os
import pickle
import random
import select
import signal
import threading
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle
import numpy as np
import torch

from heliograph.adapters.failures import Failure, Warned
from heliograph.adapters.numbering import numbered_from
from heliograph.adapters.orders import BEGIN, DONE, STEP, Call, Facts, Question, Reply, orders_for
from heliograph.adapters.shared import Memory, leaves, rows, write
from heliograph.adapters.stacked import StackedEnv
from heliograph.envs.checking import EnvError, close, guarded
from heliograph.isolation import isolated
from heliograph.types import Tree

__all__ = ["serve_copies"]

LEAVING_SECONDS = 3.0
"""How long environments may take to close when the other process has ended."""


def serve_copies(socket: int, memory: int) -> None:
    """Obey until the other process says or shows that it has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the other process, which tells this one
    faulthandler.enable()
    torch.set_num_threads(1)
    threading.Thread(target=_watch, args=(socket,), daemon=True).start()
    worker = Worker(Connection(socket), Memory(memory))
    warnings.simplefilter("default")
    warnings.showwarning = worker.note_warning
    worker.serve()


def _watch(socket: int) -> None:
    """End this process soon after the other one has ended, whatever an environment is doing."""
    poll = select.poll()
    poll.register(socket, 0)  # hang-ups alone
    poll.poll()
    time.sleep(LEAVING_SECONDS)
    os._exit(1)


class Worker:
    """The copies of a share, and where what they show and are told stands in shared memory."""

    def __init__(self, connection: Connection, memory: Memory):
        self._connection, self._memory = connection, memory
        self._env: StackedEnv | None = None
        self._view: list[torch.Tensor] | None = None
        self._outcome: list[torch.Tensor] | None = None
        self._latest: dict[str, Tree] = {}
        self._actions: dict[str, torch.Tensor] = {}
        self._warned: list[Warned] = []

    def note_warning(
        self, message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
    ) -> None:
        """Keep a warning for the other process."""
        self._warned.append(Warned(message=str(message), category=category, filename=filename, lineno=lineno))

    def serve(self) -> None:
        """Obey orders until there are no more to come, then close the environments."""
        while True:
            try:
                order = self._connection.recv_bytes()
            except (EOFError, OSError):
                break
            reply = self._obeyed(order)
            try:
                self._connection.send_bytes(reply)
            except OSError:
                break
        if self._env is not None:
            with isolated("close()"):
                self.close()

    def _obeyed(self, order: bytes) -> bytes:
        value = failure = None
        try:
            value = self._done(order)
        except Exception as error:
            failure = Failure.of(error)
        if value is None and failure is None and not self._warned:
            return DONE
        warned, self._warned = tuple(self._warned), []
        return cloudpickle.dumps(Reply(value=value, failure=failure, warned=warned))

    def _done(self, order: bytes) -> Any:
        if order == STEP:
            return self._step()
        if order == BEGIN:
            return self._begin()
        call: Call = pickle.loads(order)
        method: Callable[..., Any] = getattr(self, call.name)
        return method(**call.arguments)

    # ---- every step --------------------------------------------------------------------------------------------

    def _step(self) -> Tree:
        env = self._adapted()
        with guarded(env, "step"):
            outcome = env.move(self._actions, self._orders.moving)
            self._show(env)
        if self._outcome is None:
            self._latest["outcome"] = outcome
            return outcome
        write(outcome, self._outcome)
        return None

    def _begin(self) -> Tree:
        env, starting = self._adapted(), self._orders.starting
        with guarded(env, "reset"):
            env.begin(starting, seeds=self._orders.seeds.tolist())
            self._show(env)
        return None if self._view is not None else self._latest["view"]

    def _show(self, env: StackedEnv) -> None:
        view = env.look()
        if self._view is None:
            self._latest["view"] = view
        else:
            write(view, self._view)

    def _adapted(self) -> StackedEnv:
        if self._env is None:
            raise EnvError("the environments of this worker could not be made")
        return self._env

    # ---- now and then ------------------------------------------------------------------------------------------

    def make(
        self, *, adapt: bytes, settings: bytes, first: int, number: int, num_envs: int, entropy: list[int]
    ) -> Facts:
        """Make so many copies from one on, of all `num_envs`."""
        _seed_streams(entropy)
        self._first, self._number, self._num_envs = first, number, num_envs
        with isolated("the making of an environment", error=EnvError), numbered_from(first):
            make, given = pickle.loads(adapt), pickle.loads(settings)
            env = make(**{**given, "num_envs": number, "device": "cpu", "num_workers": 0})
        if not isinstance(env, StackedEnv):
            raise EnvError(f"num_workers= was given for a {type(env).__name__}: it is for adapters")
        self._env = env
        self._orders = self._mine(orders_for(number))
        env._elapsed = self._orders.elapsed
        return Facts(
            kind=type(env).__name__,
            roles=env.roles,
            agent_ids=env.agent_ids,
            role_rule=env.role_rule,
            described=env.described_spaces(),
        )

    def share(self, *, what: str) -> None:
        """From now on write views or outcomes, the latest one included, into shared memory."""
        latest = self._latest.pop(what)
        targets = list(leaves(self._mine(latest)))
        write(latest, targets)
        if what == "view":
            self._view = targets
        else:
            self._outcome = targets

    def expect(self, *, actions: dict[str, torch.Tensor]) -> None:
        """Find actions of these shapes and dtypes in shared memory from now on."""
        self._actions = self._mine(actions)

    def agree(self) -> None:
        """Ask the other process where copies must agree."""
        self._adapted().agree_by(self._asked)

    def heeds_seed(self) -> bool:
        """As of an adapter."""
        return self._adapted().heeds_seed()

    def try_out(self) -> None:
        """As of an adapter."""
        self._adapted().try_out()

    def close(self) -> None:
        """Close all copies."""
        env, self._env = self._env, None
        if env is not None:
            close(env)

    def _asked(self, found: bool) -> bool:
        self._connection.send_bytes(pickle.dumps(Question(found=found)))
        return bool(pickle.loads(self._connection.recv_bytes()))

    def _mine(self, like: Tree) -> Tree:
        return rows(self._memory.add(like, num_rows=self._num_envs), self._first, self._number)


def _seed_streams(entropy: list[int]) -> None:
    """Give environments that draw from global streams the same numbers in every run."""
    words = np.random.SeedSequence(entropy).generate_state(3).tolist()
    random.seed(words[0])
    np.random.seed(words[1])
    torch.manual_seed(words[2])
