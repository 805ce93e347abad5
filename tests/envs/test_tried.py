"""An environment that fails when it is tried before training: what, where, and whose turn it was."""

import re
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from pettingzoo import ParallelEnv

from heliograph.envs.checking import EnvError
from heliograph.envs.identity import Identity
from heliograph.experiments.choices import EnvChoice, TeamChoices
from heliograph.experiments.compatibility import rehearse
from heliograph.rllib.ppo import CommPPOConfig

AGENTS = ["a", "b"]


class Faulty(ParallelEnv):
    """Does the wrong thing in `reset` or in `step`."""

    metadata = {"name": "faulty"}  # noqa: RUF012
    possible_agents = AGENTS

    def __init__(self, fault: str):
        self.fault, self.agents = fault, []

    def observation_space(self, agent: str) -> spaces.Space:
        return spaces.Box(0, 1, (2,))

    def action_space(self, agent: str) -> spaces.Space:
        return spaces.Discrete(2)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents = list(AGENTS)
        return None if self.fault == "reset" else (self._seen(), {agent: {} for agent in AGENTS})

    def step(self, actions: Any) -> Any:
        if self.fault == "raise":
            raise ValueError("bad dice")
        if self.fault == "exit":
            raise SystemExit(5)
        return {}, {}, {}, {}

    def _seen(self) -> dict[str, Any]:
        return {agent: np.zeros(2, np.float32) for agent in AGENTS}


@pytest.mark.parametrize(
    ("fault", "what", "where"),
    [
        ("raise", "ValueError: bad dice", "step() of Faulty, copy 0, step 1 of its episode, turn of ['a', 'b']; "),
        ("four", "step() of Faulty must return 5 dicts by agent", "step() of Faulty, copy 0, step 1 of its episode"),
        ("exit", "sys.exit(5) was called", "step() of Faulty, copy 0, step 1 of its episode"),
        ("reset", "reset() of Faulty must return 2 dicts by agent", "reset() of Faulty, copy 0, step 0 of its episode"),
    ],
)  # fmt: skip
def test_a_python_environment(fault: str, what: str, where: str) -> None:
    config = CommPPOConfig().environment(lambda given: Faulty(**given), env_config={"fault": fault})
    with pytest.raises(EnvError, match=re.escape(what)) as told:
        config.communication(model="cnet", channel="dru").validate()
    assert f"(in {where}" in str(told.value) and "line " in str(told.value)


def test_one_of_ours_and_not_a_model() -> None:
    class Broken(Identity):
        def advance(self, state: Any, actions: Any) -> Any:
            raise KeyError("goal")

    with pytest.raises(EnvError, match=r"KeyError: 'goal' \(in env step 1 of Broken; test_tried\.py, line"):
        rehearse(EnvChoice(env=Broken), TeamChoices())
