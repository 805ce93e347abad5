#!/usr/bin/env bash
# lbforaging 2.0.0 (lbforaging/foraging/environment.py, spawn_players and _is_empty_location): reset(seed=5) takes the places in which
# the players stood before the reset as occupied, so that the same seed begins another episode than in a fresh environment.
# Seen: observations of the first player after four resets in a row with seed 5 alternate between two states; two fresh
# environments are equal.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check lbforaging==2.0.0
"$folder/bin/python" -W ignore - <<'PYTHON'
import gymnasium
import lbforaging


def fresh():
    return gymnasium.make("Foraging-8x8-2p-2f-v3", disable_env_checker=True)


env = fresh()
again = [env.reset(seed=5)[0][0].tolist() for _ in range(4)]
alone = [fresh().reset(seed=5)[0][0].tolist() for _ in range(2)]
print("one environment, seed 5:", *again, sep="\n  ")
print("fresh environments, seed 5:", *alone, sep="\n  ")
assert alone[0] == alone[1] == again[0] == again[2] and again[1] == again[3] != again[0], "the behaviour has changed"
PYTHON
