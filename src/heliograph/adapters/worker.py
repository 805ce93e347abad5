"""The other end of a worker process: it is started, ordered about, and ended here."""

import json
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from heliograph.adapters.orders import DONE, Call, Question, Reply
from heliograph.envs.checking import EnvError
from heliograph.importing import FOLDER

__all__ = ["WorkerHandle"]

START = """
import json, sys
path, socket, memory = json.loads(sys.argv[1])
sys.path[:] = path
from heliograph.adapters.worker_process import serve_copies
serve_copies(socket, memory)
"""
NOTHING = Reply()
LOOK_UP_SECONDS = 0.5
"""How long to wait in one go: a signal that comes just before a wait begins is heard when that ends."""
GRACE_SECONDS = 5.0
"""How long a worker may take to finish what it does, once nobody wants it any more."""


class WorkerHandle:
    """A process that holds some copies. It is started afresh: nothing of this one's threads or `__main__` is in it."""

    def __init__(self, copies: range, *, memory: int, what: str):
        ours, theirs = socket.socketpair()
        folder = os.environ.get(FOLDER)
        path = [*(os.getcwd() if entry == "" else entry for entry in sys.path), *([folder] if folder else [])]
        arguments = json.dumps([path, theirs.fileno(), memory])
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", START, arguments],
                pass_fds=(theirs.fileno(), memory),
                env={"OMP_NUM_THREADS": "1", **os.environ},
                start_new_session=True,  # Ctrl-C in a terminal is for this process
            )
        self._connection = Connection(ours.detach())
        self._coming = select.poll()
        self._coming.register(self._connection.fileno(), select.POLLIN)
        self.copies, self._what, self._owed, self._end = copies, what, 0, ""

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def call(self, name: str, **arguments: Any) -> None:
        """Order a method of the worker to be called."""
        self.order(pickle.dumps(Call(name=name, arguments=arguments)))

    def order(self, what: bytes) -> None:
        """Order what `receive` will tell the result of; what is left of an order that was broken off comes first."""
        while self._owed:
            if isinstance(self._received(), Question):
                self.answer(found=False)
            else:
                self._owed -= 1
        self._send(what)
        self._owed += 1

    def answer(self, *, found: bool) -> None:
        """Answer the worker's question."""
        self._send(pickle.dumps(found))

    def receive(self) -> Reply | Question:
        """Return what has come of the order; raises `EnvError` where the process has ended."""
        found = self._received()
        if isinstance(found, Reply):
            self._owed -= 1
        return found

    def is_free(self) -> bool:
        """Tell whether the worker is done with what it was ordered, now or soon."""
        try:
            while self._owed and self._coming.poll(GRACE_SECONDS * 1000):
                self.receive()
        except EnvError:
            return False
        return not self._owed

    def end(self) -> None:
        """End the process, by force where it does not end by itself."""
        self._connection.close()
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, what: bytes) -> None:
        try:
            self._connection.send_bytes(what)
        except OSError as error:
            raise self._ended() from error

    def _received(self) -> Reply | Question:
        try:
            while not self._connection.closed and not self._coming.poll(LOOK_UP_SECONDS * 1000):
                pass
            data = self._connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise self._ended() from error
        return NOTHING if data == DONE else pickle.loads(data)

    def _ended(self) -> EnvError:
        if self._connection.closed:
            return EnvError(f"{self._what} was closed: its worker processes have ended")
        try:
            status = self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        shown = f"copies {self.copies[0]} to {self.copies[-1]}" if len(self.copies) > 1 else f"copy {self.copies[0]}"
        return EnvError(f"the worker process of {shown} of {self._what} {_ending(status)}")


def _ending(status: int) -> str:
    if status >= 0:
        return f"ended with the exit code {status}: an environment ended it (os._exit), or see what it printed"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    why = {"SIGKILL": "the system kills what takes too much memory", "SIGSEGV": "compiled code failed"}
    return f"was ended by {name}" + (f": {why[name]}, as a rule" if name in why else "")


def all_ended(workers: Sequence[WorkerHandle]) -> None:
    """End all of them."""
    for worker in workers:
        worker.end()
