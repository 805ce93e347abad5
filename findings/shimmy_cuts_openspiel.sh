#!/usr/bin/env bash
# shimmy 2.0.1 (shimmy/openspiel_compatibility.py), OpenSpiel 2.0.2: moves of chance count against max_game_length, which
# OpenSpiel defines without them, so games with chance are truncated before their last decision and pay nothing.
# Seen: lewis_signaling, tiny_hanabi, kuhn_poker and trade_comm, 50 episodes each: none terminated, all returns 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check shimmy==2.0.1 open-spiel==2.0.2 pettingzoo==1.27.0
"$folder/bin/python" -W ignore - <<'PYTHON'
import random

import pyspiel
from shimmy import OpenSpielCompatibilityV0

for name in ("lewis_signaling", "tiny_hanabi", "kuhn_poker", "trade_comm"):
    ended = paid = 0
    for seed in range(50):
        env, draw = OpenSpielCompatibilityV0(env=pyspiel.load_game(name)), random.Random(seed)
        env.reset(seed=seed)
        for agent in env.agent_iter():
            _, reward, terminated, truncated, info = env.last()
            ended, paid = ended + terminated, paid + abs(reward)
            legal = [action for action, flag in enumerate(info["action_mask"]) if flag]
            env.step(None if terminated or truncated else draw.choice(legal))
    print(f"{name}: {ended} agents terminated, {paid} paid in 50 episodes")
    assert ended == 0 and paid == 0, "the behaviour has changed"
PYTHON
