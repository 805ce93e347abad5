"""The cores and the memory of this machine, and how processes share the cores."""

import os
import pathlib

__all__ = ["cores_each", "is_intel", "memory_bytes", "num_cores", "patient_threads"]

PROCESSORS = pathlib.Path("/proc/cpuinfo")

SPINS = "3000"
"""libgomp's default is 300,000: with as many threads again as there are cores a run then takes 35 times as long, with
this one twice; alone it is 4 % slower."""


def num_cores() -> int:
    """As many as this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_intel() -> bool:
    """Tell whether the processor is one of Intel's, where Linux says so."""
    try:
        with PROCESSORS.open(encoding="utf8") as lines:
            return any(line.startswith("vendor_id") and "GenuineIntel" in line for line in lines)
    except OSError:
        return False


def memory_bytes() -> int:
    """All memory of this machine; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 0


def cores_each(processes: int) -> dict[str, str]:
    """Variables to add to the environment of each of some processes.

    With them they have together no more threads than cores.

    Nothing where OMP_NUM_THREADS is set: somebody chose.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, num_cores() // processes))}


def patient_threads() -> None:
    """Have threads that wait for each other leave their core soon: somebody else's run may need it.

    Takes effect where torch is not imported yet, and nobody chose (OMP_WAIT_POLICY, GOMP_SPINCOUNT).
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
