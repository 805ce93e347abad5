"""What all tests share: one torch thread, fixed seeds, and one Ray session for those that need Ray."""

import itertools
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("MPLBACKEND", "Agg")

import random
import signal
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from tests.shape_checks import checked

torch.set_num_threads(1)
_numbers = itertools.count()
WHOLE_RUNS = {"adapters", "rllib"}
"""Folders whose tests play and train whole teams, over and over through the same code, and such modules elsewhere."""
WHOLE_RUN_MODULES = {
    "test_bad_input", "test_broken_components", "test_commands", "test_closing", "test_docs", "test_effects",
    "test_examples", "test_choices", "test_damaged_files", "test_isolation", "test_lewis_learning", "test_loss_trial",
    "test_settings", "test_sharing", "test_shipped", "test_strangers",
}  # fmt: skip
SHAPES_CHECKED = {"test_a2c", "test_local", "test_qlearning", "test_recipes", "test_spaces"}
"""Modules among them in which shapes are checked: every algorithm, model and space comes in them."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use Ray, and keep them on one worker: one session serves them all."""
    for item in items:
        if "ray_session" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.ray)
        if item.get_closest_marker("ray"):
            item.add_marker(pytest.mark.xdist_group("ray"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Check shapes in some calls of every test, but in none of whole runs."""
    whole = item.path.parent.name in WHOLE_RUNS or item.path.stem in WHOLE_RUN_MODULES
    checked.none = whole and item.path.stem not in SHAPES_CHECKED
    checked.calls.clear()


@pytest.fixture(autouse=True)
def seeds() -> None:
    """Start every test from the same random numbers."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def trusting_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every test begins with a user who has trusted no code yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / f"config_{next(_numbers)}"))


@pytest.fixture
def heard_interrupts() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, as in a terminal: a shell has what it runs in the background ignore it."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A Ray of four pretended cores in this process and its children, until the last test is done."""
    import ray

    ray.init(
        num_cpus=4,
        object_store_memory=150_000_000,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    yield
    ray.shutdown()
