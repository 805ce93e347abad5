"""Several machines: env runners on nodes of their own, one of which is lost."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.xdist_group("cluster")  # its Ray is its own, in a process of its own
def test_training_goes_on_without_a_node_and_takes_in_a_new_one() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    environment |= {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    environment |= {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    command = [sys.executable, "-W", "ignore", "-m", "tests.rllib.cluster_run"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(set(found["before"])) == 2, "the runners are spread over the nodes"
    assert all(later - earlier >= 64 for earlier, later in zip([64, *found["steps"]], found["steps"], strict=False))
    assert len(set(found["after"])) == 2 and found["lost"] not in found["after"]


def test_the_example_file_is_one_that_ray_takes() -> None:
    given = yaml.safe_load((ROOT / "examples" / "cluster.yaml").read_text())
    validate_config(prepare_config(given))
    assert any("heliograph" in line for line in given["setup_commands"])
