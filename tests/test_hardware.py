"""How processes share the cores of a machine."""

import os
import subprocess
import sys

import pytest

from heliograph import hardware as cores


@pytest.mark.parametrize(("processes", "threads"), [(1, "8"), (2, "4"), (3, "2"), (8, "1"), (20, "1")])
def test_processes_side_by_side_share_the_cores(processes: int, threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(cores, "num_cores", lambda: 8)
    assert cores.cores_each(processes) == {"OMP_NUM_THREADS": threads}


def test_who_chose_threads_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert cores.cores_each(2) == {}


@pytest.mark.parametrize(
    ("chosen", "spins"), [({}, cores.SPINS), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)]
)
def test_threads_of_the_command_line_do_not_wait_by_turning(
    chosen: dict[str, str], spins: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GOMP_SPINCOUNT", os.environ.get("GOMP_SPINCOUNT", ""))  # restored afterwards
    if "GOMP_SPINCOUNT" not in chosen:
        del os.environ["GOMP_SPINCOUNT"]
    cores.patient_threads()
    assert os.environ.get("GOMP_SPINCOUNT") == spins


def test_torch_is_not_there_before_threads_are_told() -> None:
    """libgomp reads its settings when it is loaded."""
    code = "import sys, heliograph.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
