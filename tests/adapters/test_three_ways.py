"""Every setting of an adapter can be given to `.environment()`, in `env_config`, and on the command line."""

import json
from typing import Any, Unpack

import pytest
import torch
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from heliograph.adapters.pettingzoo import FromPettingZoo
from heliograph.adapters.stacked import StackedSettings
from heliograph.cli.arguments import build_parser
from heliograph.cli.choosing import settings_from_arguments
from heliograph.envs.base import TeamEnv
from heliograph.experiments.choices import DECIDED_ELSEWHERE, EnvChoice, build_env
from heliograph.registry import UnknownNameError, settings_of
from heliograph.rllib.environments import ADAPTER_SETTINGS, COMMON_SETTINGS
from heliograph.rllib.multi_agent_env import FromMultiAgentEnv
from heliograph.rllib.ppo import CommPPOConfig
from tests.adapters.makes import Crowd

pytestmark = pytest.mark.filterwarnings("ignore:Generous paid agent")


class Generous(Crowd):
    """A crowd that begins later where the option `start` says so; bird_1 ends in step 4, and is paid on in step 5."""

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        super().reset(seed=seed)
        self.time = (options or {}).get("start", 0)
        return self._see(), self._infos()

    def step(self, actions: dict[str, int]) -> tuple[dict, dict, dict, dict, dict]:
        observations, rewards, terminated, truncated, infos = super().step(actions)
        if self.time == 4 and "bird_1" in self.agents:
            terminated["bird_1"] = True
            self.agents.remove("bird_1")
        return observations, {**rewards, **({"bird_1": 8.0} if self.time == 5 else {})}, terminated, truncated, infos


def crowd(**settings: Unpack[StackedSettings]) -> TeamEnv:
    """What the command line names: a function that passes the adapter's settings on."""
    return FromPettingZoo(Generous, **settings)


class Masked(Crowd):
    """Agents that may choose the first two actions alone, as their infos say."""

    def _infos(self) -> dict[str, dict[str, Any]]:
        return {agent: {**info, "action_mask": [1, 1, 0, 0]} for agent, info in super()._infos().items()}


def masked(**settings: Unpack[StackedSettings]) -> TeamEnv:
    """The same of agents with masks."""
    return FromPettingZoo(Masked, **settings)


def one_role_each(agent: str) -> str:
    return agent


def kind(agent: str) -> str:
    return agent.partition("_")[0]


def fish_alone(agent: str) -> bool:
    return agent.startswith("fish")


def twos(env: Any, agent: Any) -> list[int]:
    return [2, 3]


def always(env: Any) -> bool:
    return True


def whole(env: Any) -> list[list[int]]:
    return [[env.time, 2], [3, 4]]


def row(env: Any, agent: str) -> list[int]:
    return [env.time, len(agent)]


def birds(env: Any, agent: str) -> list[str]:
    return [other for other in env.agents if other.startswith("bird")]


VALUES: dict[str, Any] = {
    "role_of": one_role_each, "speaking": fish_alone, "meaning_fn": twos, "meaning_size": 2, "success_fn": always,
    "masks_in_infos": True, "time_limit": 2, "talk_steps": 3, "state": whole, "positions": row, "hearing": birds,
    "adjacency": birds, "reset_options": {"start": 3}, "time_limit_is_truncation": True, "paid_after_end": True,
    "num_workers": 2, "team_of": kind, "rivals_hear": False,
}  # fmt: skip
"""A value of every setting that is not the usual one; a new setting must be put in."""
BESIDE: dict[str, dict[str, Any]] = {
    "meaning_fn": {"meaning_size": 2},
    "meaning_size": {"meaning_fn": twos},
    "time_limit_is_truncation": {"time_limit": 6},
    "rivals_hear": {"team_of": kind},
}


def as_text(value: Any) -> str:
    """As it is written on the command line: functions by their import paths."""
    if callable(value):
        return f"{__name__}:{value.__name__}"
    return json.dumps(value)


def seen(choice: EnvChoice) -> str:
    """What an environment is, and shows until all of its episodes are over."""
    env = build_env(choice, num_envs=2, seed=0)
    step, found = env.reset(), [repr([(r.name, r.agents) for r in env.roles]), str(env.time_limit), repr(env.teams)]
    for _ in range(8):
        masks = sorted(step.action_mask or {})
        found += [repr((step.meaning.tolist(), step.speaking.tolist(), step.acting.tolist(), masks))]
        found += [repr((step.state.tolist(), step.positions, step.hearing, step.adjacency, step.rewards.tolist()))]
        found += [repr((step.truncated.tolist(), {k: v.tolist() for k, v in (step.info or {}).items()}))]
        actions = {r.name: torch.zeros(2, len(r.agents), dtype=torch.long) for r in env.roles}
        step = env.step(actions)
    return "\n".join(found)


def by_command_line(given: dict[str, Any], *, env: str = "crowd") -> EnvChoice:
    texts = [f"env.{name}={as_text(value)}" for name, value in given.items()]
    arguments = ["train", f"{__name__}:{env}", "--out", "unused", *(["--set", *texts] if texts else [])]
    return settings_from_arguments(build_parser().parse_args(arguments)).settings.env_choice()


def made(config: Any) -> Crowd:
    return Generous()


def test_every_setting_has_a_value_here_and_both_adapters_have_the_same() -> None:
    assert set(VALUES) == set(COMMON_SETTINGS)
    both = [set(settings_of(adapter)) - set(DECIDED_ELSEWHERE) for adapter in (FromPettingZoo, FromMultiAgentEnv)]
    assert both[0] == both[1] - {"env_config"} == set(COMMON_SETTINGS)
    assert set(ADAPTER_SETTINGS) - set(COMMON_SETTINGS) == {"reward_weights", "spiel_tensor"}


@pytest.mark.parametrize("name", [name for name in VALUES if name not in ("masks_in_infos", "num_workers")])
def test_three_ways_are_one(name: str) -> None:
    given = {name: VALUES[name], **BESIDE.get(name, {})}
    usual = seen(CommPPOConfig().environment(made).env_choice())
    by_name = seen(CommPPOConfig().environment(made, **given).env_choice())
    assert by_name != usual
    assert seen(CommPPOConfig().environment(made, env_config=given).env_choice()) == by_name
    assert seen(by_command_line(given)) == by_name
    assert seen(by_command_line({})) == usual


def test_masks_in_infos_are_read_where_all_three_ways_say_so() -> None:
    given = {"masks_in_infos": True}
    by_name = seen(CommPPOConfig().environment(lambda config: Masked(), **given).env_choice())
    assert "['bird', 'fish']" in by_name
    assert seen(CommPPOConfig().environment(lambda config: Masked(), env_config=given).env_choice()) == by_name
    assert seen(by_command_line(given, env="masked")) == by_name
    assert seen(by_command_line({}, env="masked")) == by_name  # the first reset shows them
    assert seen(by_command_line({"masks_in_infos": False}, env="masked")) != by_name


@pytest.mark.parametrize("name", [name for name, value in VALUES.items() if callable(value)])
def test_functions_may_be_import_paths_everywhere(name: str) -> None:
    given = {name: VALUES[name], **BESIDE.get(name, {})}
    texts = {key: as_text(value) if callable(value) else value for key, value in given.items()}
    found = [seen(CommPPOConfig().environment(made, env_config=each).env_choice()) for each in (given, texts)]
    assert found[0] == found[1]


def test_what_is_misspelt_is_refused_with_what_is_near() -> None:
    with pytest.raises(UnknownNameError, match="'speakin'; did you mean 'speaking'"):
        CommPPOConfig().environment(made, speakin=fish_alone)
    with pytest.raises(ValueError, match=r"unknown key 'speakin' of env_config.*did you mean 'speaking'"):
        seen(CommPPOConfig().environment(made, env_config={"speakin": fish_alone}).env_choice())
    with pytest.raises(UnknownNameError, match="'speakin'; did you mean 'speaking'"):
        seen(by_command_line({"speakin": fish_alone}))
    with pytest.raises(ValueError, match=r"time_limit is 3 in .environment.. and 2 in env_config: give it once"):
        CommPPOConfig().environment(made, env_config={"time_limit": 2}, time_limit=3)


@pytest.mark.parametrize(
    "read",
    [
        lambda config: config["time_limits"],
        lambda config: config.get("time_limits"),
        lambda config: dict(config),
        lambda config: (lambda **given: given)(**config),
        lambda config: {**config},
        lambda config: config.copy(),
    ],
)
def test_keys_that_the_environment_reads_are_its_own(read: Any) -> None:
    def make(config: Any) -> Crowd:
        read(config)
        return Crowd()

    seen(CommPPOConfig().environment(make, env_config={"time_limits": 2}).env_choice())


def test_rllib_environments_take_them_too() -> None:
    class Lonely(MultiAgentEnv):
        """Two agents that see the step and nothing else."""

        possible_agents = ("a_0", "a_1")  # type: ignore[assignment]

        def __init__(self, config: Any = None):
            super().__init__()
            self.agents = list(self.possible_agents)
            self.observation_spaces = dict.fromkeys(self.agents, Crowd().observation_space("bird_0"))
            self.action_spaces = dict.fromkeys(self.agents, Crowd().action_space("bird_0"))

        def reset(self, *, seed: Any = None, options: Any = None) -> Any:
            return {agent: torch.zeros(2).numpy() for agent in self.agents}, {}

        def step(self, actions: Any) -> Any:
            nobody = {"__all__": False}
            return self.reset()[0], dict.fromkeys(self.agents, 0.0), nobody, nobody, {}

    env = build_env(CommPPOConfig().environment(Lonely, time_limit=4, role_of=one_role_each).env_choice(), num_envs=1)
    assert env.time_limit == 4 and [role.name for role in env.roles] == ["a_0", "a_1"]
