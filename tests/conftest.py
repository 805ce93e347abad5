"""What all tests share: one torch thread, fixed seeds, and one Ray session for those that need Ray."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("MPLBACKEND", "Agg")

import pathlib
import random
from collections.abc import Iterator

import jaxtyping
import numpy as np
import pytest
import torch

torch.set_num_threads(1)
SHAPES_CHECKED = ("test_a2c", "test_local", "test_qlearning", "test_recipes")
"""Modules of tests/rllib in which shapes are checked: every algorithm and every model is trained in them."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use Ray, and keep them on one worker: one session serves them all."""
    for item in items:
        if "ray_session" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.ray)
        if item.get_closest_marker("ray"):
            item.add_marker(pytest.mark.xdist_group("ray"))


def trains(path: pathlib.Path) -> bool:
    """Whether tests of a module train whole teams, over and over through the same code."""
    return (path.parent.name == "rllib" and path.stem not in SHAPES_CHECKED) or path.stem == "test_settings"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Check the shapes in signatures in every call, but not where teams are trained: that takes half of the time."""
    jaxtyping.config.update("jaxtyping_disable", trains(item.path))


@pytest.fixture(autouse=True)
def seeds() -> None:
    """Start every test from the same random numbers."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


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
