"""One set of weights for an env runner and a learner in the same process."""

import torch
from torch import nn

from heliograph.rllib.env_runner import TeamEnvRunner
from heliograph.rllib.learner import TeamLearner

__all__ = ["share_weights"]


def share_weights(runner: TeamEnvRunner | None, learner: TeamLearner) -> None:
    """Give the env runner's networks the learner's own parameters, where both are on the same device.

    Where the learner goes once through whole episodes, what was computed to sample them is then what it needs: the
    runner keeps it (`Sampler.tracing`), and the forward pass is not done twice.
    """
    if runner is None or runner.device != torch.device(learner.device):
        return
    for name, module in runner.module.items():
        rebind(module, learner.module[name])
    if runner.sampler is not None:
        runner.sampler.tracing = learner.takes_traces


def rebind(module: nn.Module, source: nn.Module) -> None:
    """Put the parameters of `source` in the place of those of the same names."""
    parameters = dict(source.named_parameters())
    for path, _ in list(module.named_parameters()):
        parent, _, name = path.rpartition(".")
        setattr(module.get_submodule(parent), name, parameters[path])
