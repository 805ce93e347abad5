#!/usr/bin/env bash
# Ray 2.60.0 with torch 2.13.0 (ray/rllib/core/rl_module/torch/torch_rl_module.py, get_state; utils/numpy.py, convert_to_numpy): the
# state of a TorchRLModule holds float64 tensors as float32 and int64 tensors as int32, and restoring casts them back to what the
# module has. So a checkpoint that is read without complaint rounds float64 weights and statistics, and a counter past 2^31 is negative.
# Seen: a float64 buffer of 16777217 comes back as 16777216, an int64 buffer of 2147483653 as -2147483643, both in their own types.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check torch==2.13.0
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "ray[rllib]==2.60.0"
RAY_USAGE_STATS_ENABLED=0 "$folder/bin/python" -W ignore - <<'PYTHON'
import tempfile

import gymnasium
import torch
from ray.rllib.core.rl_module.torch import TorchRLModule


class Counting(TorchRLModule):
    def setup(self):
        self.register_buffer("weight_of_all", torch.tensor([2.0**24 + 1], dtype=torch.float64))
        self.register_buffer("steps", torch.tensor([2**31 + 5], dtype=torch.int64))

    def _forward(self, batch, **kwargs):
        return {}


def module():
    spaces = {"observation_space": gymnasium.spaces.Box(-1, 1, (1,)), "action_space": gymnasium.spaces.Discrete(2)}
    return Counting(**spaces, model_config={})


saved, restored = module(), module()
restored.weight_of_all.zero_(), restored.steps.zero_()
with tempfile.TemporaryDirectory() as checkpoint:
    saved.save_to_path(checkpoint)
    restored.restore_from_path(checkpoint)
print("saved   ", saved.weight_of_all, saved.steps)
print("restored", restored.weight_of_all, restored.steps)
assert (restored.weight_of_all.item(), restored.steps.item()) == (2.0**24, 2**31 + 5 - 2**32), "it has changed"
assert (restored.weight_of_all.dtype, restored.steps.dtype) == (torch.float64, torch.int64)
PYTHON
