#!/usr/bin/env bash
# Ray 2.60.0 (ray/rllib/connectors/connector_v2.py, ConnectorV2.__init__): a connector piece with a constructor of its own finds out
# what it was given by inspect.stack(), which makes a record of every frame above it and looks for the module and the source lines of
# each. So to build a learner costs time that grows with how deep in the program it is built (and with how many modules are loaded),
# not with what it learns: five of the default pieces do it (six with
# several agents). Found where tests built hundreds of learners, half of all their time.
# Seen: one piece made 10 frames deep and 210 deep: 15 and 215 frames looked up in 1 and 28 ms; the default pipeline of a learner: 85
# and 1,085 in 11 and 134 ms.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check torch==2.13.0
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "ray[rllib]==2.60.0"
RAY_USAGE_STATS_ENABLED=0 "$folder/bin/python" -W ignore - <<'PYTHON'
import inspect
import time

from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.connectors.learner import NumpyToTensor

looked_up, plain = 0, inspect.getframeinfo


def counting(*args, **kwargs):
    global looked_up
    looked_up += 1
    return plain(*args, **kwargs)


inspect.getframeinfo = counting
config = PPOConfig().environment("CartPole-v1")


def pipeline():
    return config.build_learner_connector(input_observation_space=None, input_action_space=None)


def deep(depth, make):
    return deep(depth - 1, make) if depth else make()


def frames(depth, make):
    global looked_up
    looked_up, started = 0, time.perf_counter()
    deep(depth, make)
    return looked_up, 1e3 * (time.perf_counter() - started)


for make in (NumpyToTensor, pipeline):
    frames(0, make)
    (few, quick), (many, slow) = frames(10, make), frames(210, make)
    pieces = 1 if make is NumpyToTensor else 5
    print(f"{make.__name__}: {few} frames, {quick:.1f} ms at a depth of 10; {many} frames, {slow:.1f} ms at 210")
    assert many - few == 200 * pieces, "it has changed"
PYTHON
