#!/usr/bin/env bash
# lbforaging 2.0.0 (foraging/environment.py) and rware 2.0.0 (warehouse.py), interface of Gymnasium: their time limits are reported
# as terminated, with truncated False and no max_episode_steps in the spec, so that a learner takes what follows as worth 0.
# Seen: idle agents, terminated at step 50 and 500, truncated False.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check lbforaging==2.0.0 rware==2.0.0
"$folder/bin/python" -W ignore - <<'PYTHON'
import gymnasium
import lbforaging
import rware

for name, limit in (("Foraging-8x8-2p-1f-v3", 50), ("rware-tiny-2ag-v2", 500)):
    env = gymnasium.make(name, disable_env_checker=True)
    env.reset(seed=0)
    steps, terminated, truncated = 0, False, False
    while not (terminated or truncated):
        _, _, terminated, truncated, _ = env.step((0, 0))
        steps += 1
    print(f"{name}: step {steps}, terminated {terminated}, truncated {truncated}, {env.spec.max_episode_steps=}")
    assert (steps, terminated, truncated, env.spec.max_episode_steps) == (limit, True, False, None), "it has changed"
PYTHON
