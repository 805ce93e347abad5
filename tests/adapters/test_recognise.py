"""Which adapter takes what `.environment()` is given."""

import sys
import types
from typing import Any

import gymnasium
import pytest
from gymnasium import spaces

from heliograph.adapters.gymnasium_tuple import FromGymnasiumTuple
from heliograph.adapters.pettingzoo import FromPettingZoo
from heliograph.adapters.recognise import ADAPTERS, Interface, adapter_for, interface_of, remedy
from heliograph.envs.identity import Identity
from heliograph.experiments.choices import build_env
from heliograph.registry import UnknownNameError
from heliograph.rllib.ppo import CommPPOConfig
from tests.adapters.makes import Counting, Crowd
from tests.adapters.test_gymnasium_tuple import Meadow


class Alone(gymnasium.Env):
    """An environment of one agent."""

    def __init__(self, config: Any = None):
        self.observation_space, self.action_space = spaces.Discrete(2), spaces.Discrete(2)


class ByName(Alone):
    """An environment that names what may be agents."""

    def __init__(self, config: Any = None):
        self.observation_space = self.action_space = spaces.Dict(cat=spaces.Discrete(2), dog=spaces.Discrete(3))


def stand_in(monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> Any:
    """An object of a class of a library, as if it were imported."""
    base = type(name, (), {})
    monkeypatch.setitem(sys.modules, module, types.SimpleNamespace(**{name: base}))  # type: ignore[arg-type]
    return type("Own", (base,), {})()


@pytest.mark.parametrize(
    ("made", "interface"),
    [
        (Identity(), Interface.TEAM_ENV),
        (Crowd(), Interface.PETTINGZOO),
        (Counting(), Interface.PETTINGZOO),
        (Meadow(), Interface.GYMNASIUM_TUPLE),
        (Alone(), Interface.GYMNASIUM),
        (3, None),
    ],
)
def test_objects_are_recognised_by_their_classes(made: Any, interface: Interface | None) -> None:
    assert interface_of(made) is interface


@pytest.mark.parametrize(
    ("module", "name", "interface"),
    [
        ("pyspiel", "Game", Interface.OPENSPIEL),
        ("vmas.simulator.environment", "Environment", Interface.VMAS),
        ("marlenv", "MARLEnv", Interface.MARLENV),
    ],
)
def test_libraries_that_are_not_needed_are_looked_up_where_they_are_imported(
    module: str, name: str, interface: Interface, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert interface_of(stand_in(monkeypatch, module, name)) is interface
    monkeypatch.delitem(sys.modules, module)
    assert interface_of(Crowd()) is Interface.PETTINGZOO and module not in sys.modules


def test_every_adapter_is_there_and_rllibs_and_our_own_are_not_among_them() -> None:
    adapters = {interface: adapter_for(interface) for interface in Interface}
    assert all(adapters[interface].__name__ in path for interface, path in ADAPTERS.items())
    missing = {Interface.TEAM_ENV, Interface.RLLIB, Interface.GYMNASIUM}
    assert {interface for interface, adapter in adapters.items() if adapter is None} == missing


def test_environment_adapts_what_it_is_given() -> None:
    for env, adapter in (
        ((lambda config: Meadow(**config)), FromGymnasiumTuple),
        (lambda config: Crowd(), FromPettingZoo),
    ):
        choice = CommPPOConfig().environment(env, time_limit=3).env_choice()
        env = build_env(choice, num_envs=2)
        assert type(env) is adapter and env.num_envs == 2 and env.time_limit == 3
        env.close()
    given = {"ends_at": 2, "time_limit": 7}
    choice = CommPPOConfig().environment(lambda config: Meadow(**config), env_config=given).env_choice()
    env = build_env(choice, num_envs=1)
    assert env.envs[0].ends_at == 2 and env.time_limit == 7  # one key was the environment's, one the adapter's


def test_names_of_gymnasium_are_names_here() -> None:
    gymnasium.register("Meadow-v0", entry_point="tests.adapters.test_gymnasium_tuple:Meadow", kwargs={"ends_at": 3})
    try:
        choice = CommPPOConfig().environment("Meadow-v0", env_config={"team_reward": True}).env_choice()
        env = build_env(choice, num_envs=1)
        assert env.envs[0].unwrapped.team_reward and env.envs[0].unwrapped.ends_at == 3
    finally:
        gymnasium.registry.pop("Meadow-v0")
    with pytest.raises(UnknownNameError, match="'Meadow-v0'"):
        CommPPOConfig().environment("Meadow-v0").env_choice()


def test_vectorised_environments_are_told_how_many_copies_to_make_and_no_others_hear_of_it() -> None:
    heard: list[Any] = []

    def make(config: Any) -> Meadow:
        heard.append((config["num_envs"], config["device"], dict(config), config.get("num_envs", "no")))
        return Meadow()

    build_env(CommPPOConfig().environment(make).env_choice(), num_envs=1)
    assert heard == [(1, "cpu", {}, "no")]


def test_what_no_adapter_takes_is_refused_with_what_to_do() -> None:
    for env, told in (
        (Alone, r"a gymnasium.Env of one agent, who has nobody to talk to: train it with RLlib's own algorithms"),
        (ByName, r"with Dict spaces of \['cat', 'dog'\]: where these are its agents, hand it in as a PettingZoo"),
        (lambda config: 3, "made a int: must be a heliograph TeamEnv class, a RLlib MultiAgentEnv, a PettingZoo"),
    ):
        with pytest.raises(ValueError, match=told):
            build_env(CommPPOConfig().environment(env).env_choice(), num_envs=1)
    choice = CommPPOConfig().environment(lambda config: Crowd(), spiel_tensor="observation").env_choice()
    with pytest.raises(ValueError, match="spiel_tensor is no setting of FromPettingZoo, which adapts Crowd"):
        build_env(choice, num_envs=1)
    assert "of one agent" not in remedy(Meadow(), name="x")


def test_games_of_openspiel_are_given_as_they_are() -> None:
    pyspiel = pytest.importorskip("pyspiel")
    choice = CommPPOConfig().environment(pyspiel.load_game("tiny_hanabi"), spiel_tensor="observation").env_choice()
    assert build_env(choice, num_envs=3).envs[0].name == "tiny_hanabi"
    with pytest.raises(ValueError, match=r"env_config=\{'players': 3\}: kuhn_poker\(\) is made already"):
        choice = CommPPOConfig().environment(pyspiel.load_game("kuhn_poker"), env_config={"players": 3}).env_choice()
        build_env(choice, num_envs=1)
