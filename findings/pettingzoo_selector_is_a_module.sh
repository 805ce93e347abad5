#!/usr/bin/env bash
# pettingzoo 1.27.0 (utils/__init__.py): the class agent_selector became AgentSelector, and the old import still works: it gives the
# module of that name. Environments written for 1.24 import, and fail when one is made (gobblet-rl 1.3.5, fanorona-aec 3.0.2 and
# sumo-rl 1.4.5 do, although their pins allow 1.27): install pettingzoo==1.24.3 beside them.
# Seen: the import gives a module; fanorona's env() raises TypeError, 'module' object is not callable; with 1.24.3 it has two players.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check pettingzoo==1.27.0 fanorona-aec==3.0.2
"$folder/bin/python" -W ignore - <<'PYTHON'
from pettingzoo.utils import agent_selector

from env.fanorona_env import env

try:
    env(render_mode=None)
except TypeError as error:
    print(type(agent_selector).__name__, repr(error))
    assert "'module' object is not callable" in str(error), "it has changed"
else:
    raise SystemExit("it has changed")
PYTHON
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check pettingzoo==1.24.3
"$folder/bin/python" -W ignore -c "
from env.fanorona_env import env
print(env(render_mode=None).possible_agents)"
