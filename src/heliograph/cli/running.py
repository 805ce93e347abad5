"""Runs, one in this process or several in processes of their own."""

import contextlib
import dataclasses
import json
import os
import queue
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any, Protocol, runtime_checkable

from heliograph.cli.shown import Display
from heliograph.experiments.jobs import Job
from heliograph.hardware import cores_each
from heliograph.rllib.failures import RunError

Judge = Callable[[str, Mapping[str, Any]], str | None]
"""What says after an iteration of a run, by its row of progress.csv, why it is to end; None where it goes on."""


@runtime_checkable
class Watcher(Protocol):
    """Whoever is told how runs get on."""

    def start(self, name: str) -> None:
        """A run begins."""

    def row(self, name: str, row: Mapping[str, Any]) -> None:
        """An iteration of it has ended, with this row of progress.csv."""

    def end(self, name: str, summary: Mapping[str, Any]) -> None:
        """It has ended, and its folder is whole."""

    def fail(self, name: str, message: str) -> None:
        """It has failed; the others go on."""

    def say(self, text: str) -> None:
        """Anything else."""


USER_ERRORS = (
    "ValueError", "UnknownNameError", "PluginError", "RunFolderError", "EnvError", "FloatingPointError", "WriteError",
    "ConnectionError",
)  # fmt: skip
RUN_ERRORS = ("RunError", "EnvRunnerError", "LearnerError", "LearnerWaitError")
GRACE_SECONDS = 20
SHOWN_STDERR_CHARACTERS = 4000


def run_all(
    jobs: Sequence[Job], *, processes: int, display: Display, command: str, remedy: str
) -> dict[str, dict[str, Any]]:
    """Make all runs and return their summaries by name; after Ctrl-C those that were begun.

    `remedy`: what makes the missing ones where the process of one is killed.
    """
    if len(jobs) <= 1 or processes == 1:
        return _run_here(jobs, display=display, command=command)
    with Workers(min(processes, len(jobs)), display=display, command=command, remedy=remedy) as workers:
        return workers.work(jobs)


def _run_here(jobs: Sequence[Job], *, display: Display, command: str) -> dict[str, dict[str, Any]]:
    from heliograph.rllib.runs.one_run import train_alone

    summaries: dict[str, dict[str, Any]] = {}
    for job in jobs:
        display.start(job.name)
        row = lambda row, name=job.name: display.row(name, row)  # noqa: E731
        summaries[job.name] = (
            _resumed(job, on_progress=row, command=command)
            if job.resume
            else train_alone(job.settings, out=job.out, overwrite=job.overwrite, on_progress=row, command=command)
        )
        display.end(job.name, summaries[job.name])
        if summaries[job.name]["stopped_by"] == "interrupt":
            break
    return summaries


def _resumed(job: Job, **more: Any) -> dict[str, Any]:
    from heliograph.rllib.runs.one_run import resume

    return resume(job.out, iterations=job.settings.iterations, env_steps=job.settings.env_steps, **more)


@dataclasses.dataclass(kw_only=True)
class _Worker:
    process: subprocess.Popen[str]
    stderr: IO[str]
    listener: threading.Thread
    job: str | None = None

    def end(self) -> str:
        """How the process ended in the midst of its job."""
        code = self.process.wait()
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            return f"the process of {self.job} was ended by {name} (killed, or out of memory)"
        self.stderr.seek(0)
        told = self.stderr.read()[-SHOWN_STDERR_CHARACTERS:]
        return f"the process of {self.job} ended with exit code {code}:\n{told.rstrip()}\n"


def command_line() -> str:
    """Return what the user typed."""
    return shlex.join(["heliograph", *sys.argv[1:]])


class Workers:
    """Processes that train (`heliograph.rllib.runs.worker`), each one run after another.

    They are in sessions of their own, so that Ctrl-C reaches this process alone: it closes their stdin, upon which they
    end their iteration and write their summaries. If this process dies they do the same.
    """

    def __init__(self, number: int, *, display: "Watcher", command: str, remedy: str, judge: "Judge | None" = None):
        self.display, self.command, self.remedy, self.judge = display, command, remedy, judge
        self.events: queue.Queue[tuple[int, dict[str, Any] | None]] = queue.Queue()
        self.share = cores_each(number)
        self.workers = [self._start() for _ in range(number)]
        self.summaries: dict[str, dict[str, Any]] = {}
        self.failures: dict[str, Exception] = {}
        self.told: dict[str, str] = {}
        """What went wrong, in one line."""

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error: Any) -> None:
        for worker in self.workers:
            self._close(worker)
        for worker in self.workers:
            try:
                worker.process.wait(timeout=0.1 if error[0] else GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            worker.listener.join()
            for stream in (worker.process.stdin, worker.process.stdout, worker.stderr):
                assert stream is not None
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def work(self, jobs: Sequence[Job]) -> dict[str, dict[str, Any]]:
        """Make all runs and return their summaries, in the order of the jobs.

        Raises the first failure, where runs failed, once the others are done.
        """
        self.make(jobs)
        for error in self.failures.values():
            raise error
        return {job.name: self.summaries[job.name] for job in jobs if job.name in self.summaries}

    def make(self, jobs: Sequence[Job]) -> None:
        """Hand out all jobs, and gather summaries and failures; after Ctrl-C those of the runs that were begun."""
        waiting = deque(jobs)
        for worker in self.workers:
            self._hand(worker, waiting)
        with contextlib.suppress(KeyboardInterrupt):
            self._gather(waiting)
            return
        self.display.say("ending the runs; once more to end them at once")
        for worker in self.workers:
            self._close(worker)
        self._gather(deque())

    def _gather(self, waiting: deque[Job]) -> None:
        while any(worker.job is not None for worker in self.workers):
            worker, event = self._next()
            if event is None:
                if worker.job is not None:
                    ended = worker.end()
                    self._fail(worker.job, RunError(f"{ended}; {self.remedy} goes on with it"), told=ended)
                    worker.job = None
                    self._replace(worker, waiting)
                continue
            self._take(event, worker)
            if event["event"] in ("summary", "error"):
                worker.job = None
                self._hand(worker, waiting)

    def _next(self) -> tuple[_Worker, dict[str, Any] | None]:
        while True:  # a wait without end could not be interrupted on every platform
            with contextlib.suppress(queue.Empty):
                process, event = self.events.get(timeout=0.5)
                return next(worker for worker in self.workers if worker.process.pid == process), event

    def _replace(self, worker: _Worker, waiting: deque[Job]) -> None:
        """Put a new process in the place of one that ended in the midst of a run, where there is more to do."""
        if waiting:
            new = self._start()
            self.workers.append(new)
            self._hand(new, waiting)

    def _take(self, event: dict[str, Any], worker: _Worker) -> None:
        name = event["run"]
        if event["event"] == "start":
            self.display.start(name)
        elif event["event"] == "row":
            self.display.row(name, event["row"])
            if self.judge is not None:
                self._tell(worker, {"verdict": self.judge(name, event["row"])})
        elif event["event"] == "summary":
            self.summaries[name] = event["summary"]
            self.display.end(name, event["summary"])
        elif event["kind"] in USER_ERRORS:
            self._fail(name, ValueError(f"{name}: {event['message']}"), told=event["message"])
        elif event["kind"] in RUN_ERRORS:
            self._fail(name, RunError(f"{name}: {event['message']}"), told=event["message"])
        else:
            told = f"{event['kind']}: {event['message']}"
            self._fail(name, RuntimeError(f"{name} failed:\n{event['traceback']}"), told=told)

    def _fail(self, name: str, error: Exception, *, told: str) -> None:
        self.failures[name] = error
        self.told[name] = " ".join(told.split())
        self.display.fail(name, self.told[name])

    def _hand(self, worker: _Worker, waiting: deque[Job]) -> None:
        if not waiting:
            return
        job = waiting.popleft()
        worker.job = job.name
        given = {"run": job.name, "settings": job.settings.model_dump(mode="json"), "out": str(job.out.absolute())}
        how = {"overwrite": job.overwrite, "resume": job.resume, "judged": self.judge is not None}
        self._tell(worker, {**given, **how, "command": self.command})

    def _tell(self, worker: _Worker, order: dict[str, Any]) -> None:
        assert worker.process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ValueError):  # it ended, or was told to
            worker.process.stdin.write(json.dumps(order) + "\n")
            worker.process.stdin.flush()

    def _start(self) -> _Worker:
        stderr = tempfile.TemporaryFile("w+", encoding="utf8")
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "heliograph.rllib.runs.worker_process"],  # -P: nothing of where one is
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**os.environ, **self.share},
            start_new_session=True,
        )
        listener = threading.Thread(target=self._listen, args=(process,), daemon=True)
        listener.start()
        return _Worker(process=process, stderr=stderr, listener=listener)

    def _listen(self, process: subprocess.Popen[str]) -> None:
        for event in _events(process):
            self.events.put((process.pid, event))
        self.events.put((process.pid, None))

    def _close(self, worker: _Worker) -> None:
        if worker.process.stdin is not None:
            with contextlib.suppress(OSError):
                worker.process.stdin.close()


def _events(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)
