import string
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st
from ray.rllib.core.rl_module import validate_module_id
from torch import nn

from heliograph.adapters.naming import agent_names, default_role, group_by_role
from heliograph.adapters.pettingzoo import FromPettingZoo
from heliograph.experiments.choices import PolicyChoice
from heliograph.experiments.settings import settings_from
from heliograph.names import safe_names
from heliograph.rllib.mapping import EpisodeHandle
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs.train import config_of
from tests.adapters.scripted import OfParallel, Part, Script

SAME = (spaces.Box(0.0, 1.0, (2,)), spaces.Discrete(2))
OTHER = (spaces.Box(0.0, 1.0, (3,)), spaces.Discrete(2))
IDS = st.one_of(st.text(max_size=6), st.integers(-3, 12), st.tuples(st.sampled_from("ab"), st.integers(0, 2)))


@pytest.mark.parametrize(
    ("agent", "role"),
    [
        ("agent_0", "agent"), ("drone0", "drone"), ("player12", "player"), ("agent-0", "agent"), ("agent 0", "agent"),
        (0, "agent"), ("7", "agent"), ((0, 1), "agent"), (("car", 2), "car"), ("", "agent"), ("uav2_0", "uav2"),
        ("red_leader", "red_leader"), ("2nd", "2nd"), ("agent_0_1", "agent_0"), ("-", "agent"),
    ],
)  # fmt: skip
def test_a_role_is_the_name_without_the_number_at_its_end(agent: Any, role: str) -> None:
    assert default_role(agent) == role


def test_agents_of_a_role_differ_in_their_numbers_alone_and_agree_in_their_spaces() -> None:
    agents = ["drone0", "drone1", "drone_2", 3, "4", "base-1"]
    roles, slots = group_by_role({**dict.fromkeys(agents, SAME), 3: OTHER})
    assert [(role.name, role.agents) for role in roles] == [
        ("drone", ("drone0", "drone1", "drone_2")), ("agent_a", ("3",)), ("agent_b", ("4",)), ("base", ("base-1",)),
    ]  # fmt: skip
    assert [slots[agent].number for agent in [*agents[:5], "base-1"]] == [0, 1, 2, 3, 4, 5]


def test_roles_keep_apart_what_looks_alike() -> None:
    given = {"x 1": SAME, "x 2": OTHER, "x_a": SAME, "X_A": SAME, "team_0": SAME, "train_0": SAME, "a/b": SAME}
    names = [role.name for role in group_by_role(given)[0]]
    assert names == ["x_a_3", "x_b", "x_a", "X_A_2", "team_agent", "train_agent", "a_b"]


def test_agents_whose_text_is_alike_are_numbered_and_texts_stay_as_they_are() -> None:
    assert agent_names([1, "1", (1,), "1_2"]) == {1: "1_3", "1": "1", (1,): "(1,)", "1_2": "1_2"}


@how(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(IDS, unique=True, max_size=8), st.lists(st.booleans(), min_size=8, max_size=8))
def test_names_are_safe_and_unique_whatever_agents_are_called(agents: list[Any], kinds: list[bool]) -> None:
    spaces_of = {agent: SAME if kind else OTHER for agent, kind in zip(agents, kinds, strict=False)}
    roles, slots = group_by_role(spaces_of)
    names, called = [role.name for role in roles], [agent for role in roles for agent in role.agents]
    assert len({name.casefold() for name in names}) == len(names) and len(set(called)) == len(called) == len(agents)
    assert sorted(slot.number for slot in slots.values()) == list(range(len(agents)))
    policies = nn.ModuleDict({name: nn.Identity() for name in [*names, *safe_names(set(called) - set(names)).values()]})
    for name in policies:
        validate_module_id(name, error=True)
    assert all(called[slot.number] == agent for agent, slot in slots.items() if isinstance(agent, str) and agent)
    assert all(set(name) - set(string.punctuation + " ") for name in names)


def test_functions_of_agents_get_their_very_ids() -> None:
    script = Script(parts=((Part(first=0, last=1, cut=False),),) * 2, pay=((1.0, 1.0),), told="nothing")
    got: dict[str, set[Any]] = {"role_of": set(), "speaking": set(), "meaning_fn": set(), "positions": set()}

    def noting(name: str, value: Any) -> Any:
        return lambda *given: got[name].add(given[-1]) or value

    env = FromPettingZoo(
        lambda: OfParallel(script),
        role_of=noting("role_of", "one"),
        speaking=noting("speaking", True),
        meaning_fn=noting("meaning_fn", 0),
        positions=noting("positions", [0.0]),
    )
    env.reset()
    assert all(agents == {0, 1} and {*map(type, agents)} == {int} for agents in got.values())


def test_mapping_functions_get_ids() -> None:
    script = Script(parts=((Part(first=0, last=1, cut=False),),) * 2, pay=((1.0, 1.0),), told="nothing")
    config = CommPPOConfig().environment(lambda: OfParallel(script))
    config.multi_agent(policies={"even", "odd"}, policy_mapping_fn=lambda agent, *_, **__: ["even", "odd"][agent % 2])
    mapping = config.policy_mapping()
    assert mapping is not None and mapping.seats == {"even": ("0",), "odd": ("1",)}
    assert mapping.ask("1", EpisodeHandle(id_="0")) == "odd"


class Odd(OfParallel):
    """Agents whose names no policy can have."""

    def __init__(self) -> None:
        parts = ((Part(first=0, last=1, cut=False),),) * 2
        super().__init__(Script(parts=parts, pay=((1.0, 1.0),), told="nothing"))
        self.possible_agents = [("a/b", 0), ("a b", 0)]

    def reset(self, seed: Any = None, options: Any = None) -> tuple[dict, dict]:
        self.agents = list(self.possible_agents)
        return {agent: np.zeros(1, np.float32) for agent in self.agents}, {}


def test_separate_networks_have_safe_names() -> None:
    settings = settings_from({"env": f"{__name__}:Odd", "networks": "separate"})
    policies = settings.choices().policies
    assert policies == {
        "a_b_0": PolicyChoice(agents=("('a/b', 0)",)), "a_b_0_2": PolicyChoice(agents=("('a b', 0)",)),
    }  # fmt: skip
    assert set(config_of(settings).policies) == set(policies)
