"""When garbage is looked for."""

import gc
import subprocess
import sys

import pytest

from heliograph.memory import collecting_later

ENDING = """
import gc
from heliograph.memory import end_without_collecting

class Told:
    def __del__(self):
        print("collected", flush=True)

cycle = Told()
cycle.itself = cycle
for _ in range(1 + {twice}):
    end_without_collecting()
del cycle
"""


def test_garbage_is_looked_for_again_after_imports_that_fail() -> None:
    with pytest.raises(ImportError), collecting_later():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()


def test_who_looks_for_no_garbage_is_left_alone() -> None:
    gc.disable()
    try:
        with collecting_later():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_process_ends_without_a_last_search() -> None:
    run = [sys.executable, "-c", ENDING.format(twice=1)]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == ""
    plain = ENDING.replace("    end_without_collecting()\n", "    pass\n").format(twice=0)
    assert "collected" in subprocess.run([sys.executable, "-c", plain], capture_output=True, text=True).stdout
