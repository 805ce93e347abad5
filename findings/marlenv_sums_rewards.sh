#!/usr/bin/env bash
# multi-agent-rlenv 4.4.0 (marlenv/adapters/pettingzoo_adapter.py), mpe2 1.1.1: the team reward of the PettingZoo adapter is the sum
# over agents, also where all of them are paid the same reward of the team.
# Seen: simple_spread, local_ratio 0, three agents: the adapter pays three times what each agent gets.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check multi-agent-rlenv==4.4.0 pettingzoo==1.27.0 mpe2==1.1.1
"$folder/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from marlenv.adapters import PettingZoo
from mpe2 import simple_spread_v3

adapted, raw = PettingZoo(simple_spread_v3.parallel_env(local_ratio=0.0)), simple_spread_v3.parallel_env(local_ratio=0.0)
adapted.reset(seed=3)
raw.reset(seed=3)
reward = float(adapted.step(np.zeros(3, int)).reward[0])
rewards = list(raw.step(dict.fromkeys(raw.agents, 0))[1].values())
print("each agent gets", rewards, "and the team", reward)
assert len(set(rewards)) == 1 and np.isclose(reward, 3 * rewards[0]), "the behaviour has changed"
PYTHON
