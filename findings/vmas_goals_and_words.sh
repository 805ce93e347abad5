#!/usr/bin/env bash
# VMAS 1.5.2 (scenarios/mpe/simple_reference.py, simulator/environment), mpe2 1.1.1: all copies of a batch have the same goal, which
# reset_at() of one copy keeps, and in a discrete action the word is the low digit, where that of mpe2 is the high one.
# Seen: one goal in 64 copies; action 7 of 90 says word 7 in VMAS, in mpe2 (50 actions: 5 moves, 10 words) word 1 and moves.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check torch==2.13.0 vmas==1.5.2 mpe2==1.1.1
"$folder/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import torch
import vmas
from mpe2 import simple_reference_v3

env = vmas.make_env("simple_reference", num_envs=64, continuous_actions=False, seed=0)
colours = {tuple(row) for row in np.round(env.reset()[0][:, 8:11].numpy(), 3).tolist()}
env.reset_at(5)
after = {tuple(row) for row in np.round(env.get_from_scenario(True, False, False, False)[0][0][:, 8:11].numpy(), 3).tolist()}
print("goals shown to the first agent in 64 copies:", len(colours), ", after one is reset alone:", len(after))
seen = env.step([torch.full((64, 1), 7), torch.zeros(64, 1)])[0]
words = set(seen[1][:, 11:].argmax(-1).tolist())
other = simple_reference_v3.parallel_env()
other.reset(seed=0)
heard = int(other.step({"agent_0": 7, "agent_1": 0})[0]["agent_1"][11:].argmax())
print("action 7 says: VMAS", words, ", mpe2", heard)
assert len(colours) == len(after) == 1 and words == {7} and heard == 1, "the behaviour has changed"
PYTHON
