"""A process that trains one run after another: jobs come as lines of JSON on stdin, events leave on stdout.

A job is `{"run", "settings", "out", "overwrite", "resume", "command"}`. Events have `run` and `event`: "start", "row",
"summary", or "error". When stdin ends, the run in progress ends with its iteration, and the process with it. One Ray
session serves all runs of a process.
"""

import contextlib
import json
import os
import pathlib
import queue
import sys
import threading
import traceback
from typing import Any, TextIO

from heliograph.experiments.settings import settings_from
from heliograph.rllib.failures import exit_called
from heliograph.rllib.runs.session import ray_running
from heliograph.rllib.runs.train import num_actors, resume, train
from heliograph.storage.run_folder import plain


def run_jobs() -> None:
    """Read jobs until stdin ends."""
    events = _private_stdout()
    jobs, ended = _read_jobs(sys.stdin)
    with contextlib.ExitStack() as stack:
        while (job := jobs.get()) is not None and not ended.is_set():
            _work(job, events, ended, session=stack)


def _work(job: dict[str, Any], events: TextIO, ended: threading.Event, *, session: contextlib.ExitStack) -> None:
    name = job["run"]
    _say(events, run=name, event="start")
    watching = {"on_progress": lambda row: _say(events, run=name, event="row", row=row), "stop": ended.is_set}
    try:
        session.enter_context(ray_running(num_actors=num_actors(settings_from(job["settings"]))))
        summary = _made(job, command=job["command"], **watching)
        _say(events, run=name, event="summary", summary=summary)
    except (Exception, SystemExit) as error:
        failure, trace = exit_called(error) if isinstance(error, SystemExit) else error, traceback.format_exc()
        _say(events, run=name, event="error", kind=type(failure).__name__, message=str(failure), traceback=trace)


def _made(job: dict[str, Any], **more: Any) -> dict[str, Any]:
    settings, out = settings_from(job["settings"]), pathlib.Path(job["out"])
    if job["resume"]:
        return resume(out, iterations=settings.iterations, env_steps=settings.env_steps, **more)
    return train(settings, out=out, overwrite=job["overwrite"], **more)


def _read_jobs(stdin: TextIO) -> tuple["queue.Queue[dict[str, Any] | None]", threading.Event]:
    jobs: queue.Queue[dict[str, Any] | None] = queue.Queue()
    ended = threading.Event()

    def read() -> None:
        for line in stdin:
            jobs.put(json.loads(line))
        ended.set()
        jobs.put(None)

    threading.Thread(target=read, daemon=True).start()
    return jobs, ended


def _private_stdout() -> TextIO:
    """Keep stdout for events; whatever else prints goes to stderr."""
    mine = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return mine


def _say(events: TextIO, **event: Any) -> None:
    with contextlib.suppress(BrokenPipeError):
        events.write(json.dumps(event, default=plain) + "\n")
        events.flush()


if __name__ == "__main__":
    run_jobs()
