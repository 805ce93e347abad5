#!/usr/bin/env bash
# shimmy 2.0.1 (shimmy/openspiel_compatibility.py), OpenSpiel 2.0.2: the last reward of the second player is told twice.
# Seen: tic_tac_toe, the first player wins: OpenSpiel returns [1.0, -1.0], last() tells 1.0 and, summed, -2.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check shimmy==2.0.1 open-spiel==2.0.2 pettingzoo==1.27.0
"$folder/bin/python" -W ignore - <<'PYTHON'
import pyspiel
from shimmy import OpenSpielCompatibilityV0

moves = [0, 3, 1, 4, 2]
state = pyspiel.load_game("tic_tac_toe").new_initial_state()
for move in moves:
    state.apply_action(move)
env = OpenSpielCompatibilityV0(env=pyspiel.load_game("tic_tac_toe"))
env.reset(seed=0)
told = dict.fromkeys(env.possible_agents, 0.0)
for agent in env.agent_iter():
    _, reward, terminated, truncated, _ = env.last()
    told[agent] += reward
    env.step(None if terminated or truncated else moves.pop(0))
print("OpenSpiel:", state.returns(), " through shimmy:", told)
assert state.returns() == [1.0, -1.0] and list(told.values()) == [1.0, -2.0], "the behaviour has changed"
PYTHON
