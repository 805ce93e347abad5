#!/usr/bin/env bash
# multi-agent-rlenv 4.4.0 (marlenv/catalog/coordinated_grid.py): CoordinatedGrid declares observations of 23 numbers and shows 46,
# so that networks made from what it declares do not fit.
# Seen: observation_shape (23,), observations (2, 46).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check multi-agent-rlenv==4.4.0
"$folder/bin/python" -W ignore - <<'PYTHON'
from marlenv.catalog import CoordinatedGrid

env = CoordinatedGrid()
observation, _ = env.reset(seed=0)
print("CoordinatedGrid declares", env.observation_shape, "and shows", observation.data.shape)
assert env.observation_shape == (23,) and observation.data.shape == (2, 46), "the behaviour has changed"
PYTHON
