"""A process that trains one run after another: jobs come as lines of JSON on stdin, events leave on stdout.

A job is `{"run", "settings", "out", "overwrite", "resume", "command", "judged"}`. Events have `run` and `event`:
"start", "row", "summary", or "error". A run that is judged waits after each row for a line `{"verdict": ...}`, which
says why it is to end, or null. When stdin ends, the run in progress ends with its iteration, and the process with it.
One Ray session serves all runs of a process.
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
from heliograph.rllib.runs.one_run import num_actors, resume, train_alone
from heliograph.rllib.runs.session import ray_running
from heliograph.storage.run_folder import plain


def run_jobs() -> None:
    """Read jobs until stdin ends."""
    events = _private_stdout()
    orders = _Orders(sys.stdin)
    with contextlib.ExitStack() as stack:
        while (job := orders.jobs.get()) is not None and not orders.ended.is_set():
            _work(job, events, orders, session=stack)


def _work(job: dict[str, Any], events: TextIO, orders: "_Orders", *, session: contextlib.ExitStack) -> None:
    name, verdict = job["run"], None
    _say(events, run=name, event="start")

    def on_progress(row: dict[str, Any]) -> None:
        nonlocal verdict
        _say(events, run=name, event="row", row=row)
        verdict = orders.verdicts.get() if job.get("judged") else None

    watching: dict[str, Any] = {"on_progress": on_progress, "stop": lambda: orders.ended.is_set() or verdict or False}
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
    return train_alone(settings, out=out, overwrite=job["overwrite"], **more)


class _Orders:
    """Lines that come in: jobs, and verdicts on the one in progress; None of each once there will be no more."""

    def __init__(self, stdin: TextIO):
        self.jobs: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.verdicts: queue.Queue[str | None] = queue.Queue()
        self.ended = threading.Event()
        threading.Thread(target=self._read, args=(stdin,), daemon=True).start()

    def _read(self, stdin: TextIO) -> None:
        for line in stdin:
            order = json.loads(line)
            if "verdict" in order:
                self.verdicts.put(order["verdict"])
            else:
                self.jobs.put(order)
        self.ended.set()
        self.jobs.put(None)
        self.verdicts.put(None)


def _private_stdout() -> TextIO:
    """Keep stdout for events; whatever else prints goes to stderr."""
    mine = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return mine


def _say(events: TextIO, **event: Any) -> None:
    with contextlib.suppress(BrokenPipeError):
        events.write(json.dumps(event, default=plain) + "\n")
        events.flush()
