"""A Python that has imported what scripts need, and runs each in a fork of itself: imports are paid for once."""

import contextlib
import dataclasses
import json
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Mapping

__all__ = ["Done", "WarmPython", "warm_python"]

SERVER = """
import atexit, json, os, runpy, signal, sys, traceback
import heliograph
for name in {names!r}:
    getattr(heliograph, name)

def run(job):
    signal.alarm(300)
    os.chdir(job["folder"])
    for number in (1, 2):
        os.dup2(os.open(job["out"][number - 1], os.O_WRONLY | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv, sys.path[0] = [job["script"]], os.path.dirname(job["script"])
    code = 0
    try:
        runpy.run_path(job["script"], run_name="__main__")
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

for line in sys.stdin:
    child = os.fork()
    if not child:
        run(json.loads(line))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@dataclasses.dataclass(frozen=True)
class Done:
    """What came of a script."""

    returncode: int
    stdout: str
    stderr: str


class WarmPython:
    """Runs scripts one after the other, each in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]):
        self._process = process

    def run(self, script: pathlib.Path, *, folder: pathlib.Path) -> Done:
        """Run a script in a folder, for at most five minutes; what it prints is written beside it."""
        out = [script.with_suffix(f".{name}") for name in ("stdout", "stderr")]
        job = {"script": str(script), "folder": str(folder), "out": [str(path) for path in out]}
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(job), file=self._process.stdin, flush=True)
        code = int(self._process.stdout.readline())
        stdout, stderr = (path.read_text() for path in out)
        return Done(returncode=code, stdout=stdout, stderr=stderr)


@contextlib.contextmanager
def warm_python(names: list[str], *, environment: Mapping[str, str]) -> Iterator[WarmPython]:
    """A Python that has imported these public names of Heliograph."""
    command = [sys.executable, "-W", "default", "-c", SERVER.format(names=names)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=dict(environment)) as process:
        try:
            yield WarmPython(process)
        finally:
            process.kill()
