"""The published systems that recipes train on the tasks of IC3Net."""

import dataclasses
from collections.abc import Mapping
from typing import Any

__all__ = ["COMMNET", "GACOMM", "HIDDEN_STATE", "IC3NET", "MAGIC", "PUBLISHED_TRAINER", "TARMAC", "System"]

PUBLISHED_TRAINER = (
    "A2C with RMSProp, sums over agents, gradients through 10 steps, batches of 8,000 env steps and 160 million in "
    "all, as the public code of IC3Net has them"
)
"""The trainer of IC3Net's paper, as texts tell it."""
TASK = "; task: arXiv:1812.09755"


@dataclasses.dataclass(frozen=True, kw_only=True)
class System:
    """A model and its channel with their source; `does` completes "agents ...".

    `on_ic3net_tasks` tells whether its own paper, or IC3Net's, has results on these tasks.
    """

    model: str
    paper: str
    does: str
    model_settings: Mapping[str, Any] = dataclasses.field(default_factory=lambda: {"size": 128})
    message_size: int = 128
    on_ic3net_tasks: bool = True

    def settings(self, *, channel: str = "continuous", **model_settings: Any) -> dict[str, Any]:
        """Return the settings of model and channel, those of the model with more beside its own."""
        return {
            "model": self.model,
            "model_settings": {**self.model_settings, **model_settings},
            "channel": channel,
            "channel_settings": {"size": self.message_size, "noise_std": 0.0, "squash": "none"},
        }


COMMNET = System(
    model="commnet",
    paper=f"Sukhbaatar, Szlam and Fergus 2016 (CommNet), arXiv:1605.07736{TASK}",
    does="hear the mean of the others, and raise the mean return",
    model_settings={"size": 128, "core": "lstm"},
)
HIDDEN_STATE = "The model is the paper's LSTM, as the paper of IC3Net used it"
"""What texts tell of CommNet's core."""
IC3NET = System(
    model="ic3net",
    paper="Singh, Jain and Sukhbaatar 2019 (IC3Net), arXiv:1812.09755",
    does="hear the mean of the others; each raises its own return",
)
TARMAC = System(
    model="tarmac",
    paper=f"Das et al. 2019 (TarMAC), arXiv:1810.11187{TASK}",
    does="choose whom they listen to, and raise the mean return",
    message_size=48,
)
MAGIC = System(
    model="magic",
    paper=f"Niu, Paleja and Gombolay 2021 (MAGIC), AAMAS{TASK}",
    does="pass two messages within the step along a graph",
    on_ic3net_tasks=False,
)
GACOMM = System(
    model="gacomm",
    paper=f"Liu et al. 2020 (G2ANet), arXiv:1911.10715{TASK}",
    does="choose whom they listen to, hard and soft, within the step",
    on_ic3net_tasks=False,
)
