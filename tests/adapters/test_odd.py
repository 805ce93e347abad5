"""Environments that are odd and valid: masks of zeros, interfaces without base classes, resets with options, ..."""

import contextlib
import sys
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from gymnasium import spaces
from mpe2 import simple_reference_v3
from pettingzoo import ParallelEnv
from pettingzoo.classic import connect_four_v3, rps_v2, tictactoe_v3
from pettingzoo.utils.conversions import turn_based_aec_to_parallel
from ray.rllib.env.env_context import EnvContext

from heliograph.adapters.pettingzoo import FromPettingZoo
from heliograph.cli import main
from heliograph.cli.making import _show_roles
from heliograph.envs.checking import EnvError
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_env, build_team, facts_for, facts_of
from heliograph.experiments.settings import settings_from
from heliograph.rllib.environments import Place, at_work
from heliograph.rllib.multi_agent_env import FromMultiAgentEnv
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rollouts.sampler import Sampler
from heliograph.testing.play import random_actions
from heliograph.types import TeamStep
from tests.adapters.scripted import DONE, SEEN, OfAEC, OfParallel, OfRLlib, Part, Script

CELLS = 3
SHORT = Script(parts=((Part(first=0, last=2, cut=False),),) * 2, pay=((1.0, 2.0),) * 2, told="nothing")


class Cells(ParallelEnv):
    """Two agents fill three cells in turns; both are paid 2 as the last one is filled.

    The mask of who does not move now, and of all at the end, is zeros.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "cells"}
    render_mode = None
    possible_agents: ClassVar[list[str]] = ["left", "right"]

    def observation_space(self, agent: str) -> spaces.Space:
        seen, mask = spaces.Box(0, 1, (CELLS,), np.float32), spaces.Box(0, 1, (CELLS,), np.int8)
        return spaces.Dict(observation=seen, action_mask=mask)

    def action_space(self, agent: str) -> spaces.Space:
        return spaces.Discrete(CELLS)

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        self.filled, self.agents = np.zeros(CELLS, np.float32), list(self.possible_agents)
        return self._see(), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, int]) -> tuple[dict, dict, dict, dict, dict]:
        agent, other = self.possible_agents[self._turn], self.possible_agents[1 - self._turn]
        assert not self.filled[actions[agent]] and actions[other] == 0
        self.filled[actions[agent]] = 1
        over = bool(self.filled.all())
        seen, old = self._see(), self.agents
        self.agents = [] if over else old
        pay = dict.fromkeys(old, 2.0 * over)
        return seen, pay, dict.fromkeys(old, over), dict.fromkeys(old, False), {agent: {} for agent in old}

    @property
    def _turn(self) -> int:
        return int(self.filled.sum()) % 2

    def _see(self) -> dict[str, Any]:
        masks = [(1 - self.filled) * (self._turn == number) for number in range(2)]
        named = zip(self.agents, masks, strict=True)
        return {
            agent: {"observation": self.filled.copy(), "action_mask": mask.astype(np.int8)} for agent, mask in named
        }


def play(env: Any, *, episodes: int) -> tuple[list[int], torch.Tensor, list[TeamStep]]:
    """Lengths and mean returns of episodes of one copy, with random legal actions, and all that was shown."""
    generator, step, shown = torch.Generator().manual_seed(0), env.reset(), []
    lengths, earned, time = [], torch.zeros(env.num_agents), 0
    while len(lengths) < episodes:
        shown.append(step)
        step, time = env.step(random_actions(env, step=step, generator=generator)), time + 1
        earned += step.rewards[0]
        if step.episode_over[0]:
            lengths, time = [*lengths, time], 0
    return lengths, earned / episodes, shown


def test_an_agent_without_a_legal_action_observes_and_does_not_act() -> None:
    lengths, earned, shown = play(FromPettingZoo(Cells), episodes=4)
    assert lengths == [3] * 4 and earned.tolist() == [2.0, 2.0]
    assert all(step.observing.all() and step.acting[0].sum() == 1 for step in shown)
    assert [step.acting[0].int().argmax().item() for step in shown[:3]] == [0, 1, 0]


@pytest.mark.parametrize("make", [tictactoe_v3.env, connect_four_v3.env])
def test_board_games_are_played_to_their_ends(make: Any) -> None:
    lengths, earned, shown = play(FromPettingZoo(make), episodes=2)
    assert all(5 <= length <= 42 for length in lengths) and earned.sum() == 0
    assert all(step.acting[0].sum() == 1 for step in shown)


def test_a_board_game_made_parallel_asks_those_in_turn() -> None:
    env = FromPettingZoo(lambda: turn_based_aec_to_parallel(tictactoe_v3.raw_env()))
    lengths, earned, shown = play(env, episodes=3)
    assert all(5 <= length <= 9 for length in lengths) and earned.sum() == 0
    assert all(step.observing.all() and step.acting[0].sum() == 1 for step in shown)


def test_a_game_of_simultaneous_moves_pays_what_its_rules_say() -> None:
    lengths, earned, _ = play(FromPettingZoo(lambda: rps_v2.env(max_cycles=3)), episodes=2)
    assert lengths == [6, 6] and earned.sum() == 0


class Without:
    """An environment as it is, without its base class."""

    def __init__(self, inner: Any, *names: str):
        self._inner, self._names = inner, ("reset", "step", "observation_space", "action_space", *names)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in (*self._names, "possible_agents", "close"):
            raise AttributeError(name)
        return getattr(self._inner, name)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Without(OfParallel(SHORT)),
        lambda: Without(OfParallel(SHORT), "agents"),
        lambda: Without(
            OfAEC(order=[0, 1], pay=[[1.0, 2.0]] * 2, cut=False), "agents", "agent_iter", "last", "agent_selection"
        ),
    ],
)
def test_what_has_the_interface_needs_no_base_class(make: Any) -> None:
    for env in (FromPettingZoo(make), build_env(CommPPOConfig().environment(make).env_choice(), num_envs=1)):
        lengths, earned, _ = play(env, episodes=2)
        assert lengths == [2, 2] and earned.tolist() == [2.0, 4.0]


# ---- seeds, options, shapes ----------------------------------------------------------------------------------------


class Starts(OfParallel):
    """Shows the number `start` of its options, or, where it is `loose`, another one after each reset."""

    def __init__(self, *, loose: bool = False):
        super().__init__(SHORT)
        self.loose, self.resets = loose, 0

    def reset(self, seed: Any = None, options: Any = None) -> tuple[dict, dict]:
        observations, infos = super().reset()
        self.resets += 1
        start = self.resets if self.loose else (options or {"start": 0})["start"]
        return {agent: np.array([start], np.float32) for agent in observations}, infos


def test_options_reach_every_reset() -> None:
    env = FromPettingZoo(Starts, reset_options={"start": 7}, num_envs=2)
    assert env.reset().observations["agent"].tolist() == [[[7.0]] * 2] * 2


def test_seeds_that_change_nothing_are_told_once_and_what_follows_is_not_disturbed() -> None:
    class Loose(Starts):
        def __init__(self) -> None:
            super().__init__(loose=True)

    choice = CommPPOConfig().environment(Loose).env_choice()
    with pytest.warns(UserWarning, match=r"Loose does not heed its seed.*reset\(seed=\)"):
        facts_for(choice)
    facts_for(choice)
    env = build_env(choice, num_envs=1)
    assert env.reset().observations["agent"][0, 0].item() == 1
    assert FromPettingZoo(Starts).heeds_seed() and not FromPettingZoo(Loose).heeds_seed()
    facts_of(FromPettingZoo(Starts))


@pytest.mark.parametrize(
    ("space", "given", "seen"),
    [
        (spaces.Discrete(3), np.array([1]), 1),
        (spaces.MultiDiscrete([3]), np.array(1), [1]),
        (spaces.MultiBinary(1), 1, [1]),
        (spaces.Box(0.0, 2.0, (1, 1)), 0.5, [[0.5]]),
    ],
)
def test_one_number_fits_a_space_of_one_and_a_dict_fits_no_box(space: spaces.Space, given: Any, seen: Any) -> None:
    class Odd(OfParallel):
        given: Any

        def observation_space(self, agent: Any) -> spaces.Space:
            return space

        def reset(self, seed: Any = None, options: Any = None) -> tuple[dict, dict]:
            return {agent: self.given for agent in super().reset()[0]}, {}

    Odd.given = given
    env = FromPettingZoo(lambda: Odd(SHORT))
    assert env.reset().observations["agent"].tolist() == [[seen, seen]]
    env.envs[0].given = {"image": 1}
    with pytest.raises(ValueError, match=r"agent 0.*a dict of \['image'\]: declare a Dict"):
        env.reset()


def test_spaces_that_are_not_known_yet_are_told_with_what_to_do() -> None:
    class Late(OfParallel):
        known: dict[Any, spaces.Space]

        def observation_space(self, agent: Any) -> spaces.Space:
            return self.known[agent]

    words = r"before its first reset \({}\): define {}\(agent\) and .*have the function that makes it reset it"
    with pytest.raises(ValueError, match="Late.*" + words.format("AttributeError.*'known'", "observation_space")):
        FromPettingZoo(lambda: Late(SHORT))
    for given, problem in ((None, r"a space of \[0, 1\] is None"), ({}, "KeyError: 0")):
        inner = OfRLlib(SHORT)
        inner.observation_spaces = given
        with pytest.raises(ValueError, match=words.format(problem, "get_observation_space")):
            FromMultiAgentEnv(inner)


def test_agents_without_a_list_are_those_of_dict_spaces_of_one_kind() -> None:
    class Unlisted(OfRLlib):
        def __init__(self, sees: spaces.Space):
            super().__init__(SHORT)
            self.possible_agents, self.agents = [], []
            self.observation_spaces = self.action_spaces = None
            self.observation_space, self.action_space = sees, spaces.Dict({0: DONE, 1: DONE})

    assert FromMultiAgentEnv(Unlisted(spaces.Dict({0: SEEN, 1: SEEN}))).agent_ids == (0, 1)
    with pytest.raises(ValueError, match="needs possible_agents"):
        FromMultiAgentEnv(Unlisted(spaces.Dict(place=SEEN, speed=SEEN)))


@pytest.mark.parametrize("code", [None, 0, 1, "lost"])
def test_an_environment_may_leave_when_it_is_closed_unless_it_says_that_it_failed(code: Any) -> None:
    class Leaving(OfParallel):
        def close(self) -> None:
            sys.exit(code)

    env = FromPettingZoo(lambda: Leaving(SHORT))
    with pytest.raises(EnvError, match=r"sys.exit.*close\(\) of Leaving") if code else contextlib.nullcontext():
        env.close()


# ---- surroundings --------------------------------------------------------------------------------------------------


def test_state_places_and_edges_come_from_functions_of_the_environment() -> None:
    lines = {0: [1], 1: []}
    env = FromPettingZoo(
        lambda: OfParallel(SHORT),
        num_envs=2,
        state=lambda env: [[env.inner.time, 5], [6, 7]],
        positions=lambda env, agent: [env.inner.time, agent, 1.5],
        hearing=lambda env, agent: [0, 1],
        adjacency=lambda env, agent: lines[agent],
    )
    env.reset()
    step = env.step({"agent": torch.zeros(2, 2, dtype=torch.long)})
    assert step.state.tolist() == [[1, 5, 6, 7]] * 2
    assert step.positions.tolist() == [[[1, 0, 1.5], [1, 1, 1.5]]] * 2
    assert step.hearing.mask.tolist() == [[[False, True], [True, False]]] * 2
    assert step.adjacency.mask.tolist() == [[[False, True], [False, False]]] * 2


@pytest.mark.parametrize(
    ("settings", "topology", "heard"),
    [
        ({"positions": lambda env, agent: [3.0 * agent]}, ("radius", {"radius": 2.0}), [False, False]),
        ({"positions": lambda env, agent: [1.0 * agent]}, ("radius", {"radius": 2.0}), [True, True]),
        ({"positions": lambda env, agent: [1.0 * agent]}, ("nearest", {"number": 1}), [True, True]),
        ({"hearing": lambda env, agent: [1]}, ("given", {}), [True, False]),
        ({"adjacency": lambda env, agent: [0]}, ("given", {}), [False, True]),
    ],
)
def test_topologies_go_by_what_functions_tell(settings: Any, topology: tuple[str, dict], heard: list[bool]) -> None:
    env = FromPettingZoo(lambda: OfParallel(SHORT), **settings)
    choices = TeamChoices(channel="continuous", topology=topology[0], topology_settings=topology[1])
    rollout = Sampler(env, build_team(choices, facts_of(env), seed=0)).fragment(2)
    assert rollout.edges is not None
    senders = rollout.edges.senders if rollout.edges.senders is not None else torch.arange(2).expand(2, 1, 2, 2)
    others = rollout.edges.mask & (senders != torch.arange(2)[:, None])
    assert others.any(-1)[:, 0].tolist() == [heard] * 2


def test_the_state_may_be_the_environments_own() -> None:
    env = FromPettingZoo(simple_reference_v3.parallel_env, state=True)
    state = env.reset().state
    assert state.tolist()[0] == env.envs[0].state().tolist()
    with pytest.raises(ValueError, match=r"state=True: OfRLlib has no state\(\)"):
        FromMultiAgentEnv(OfRLlib(SHORT), state=True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"positions": lambda env, agent: [0.0] * (1 + agent)}, "positions of agent 1: 2 numbers were given, but 1"),
        ({"positions": lambda env, agent: 3.0}, "positions of agent 0: 3.0 was given: must be a vector"),
        ({"state": lambda env: [float("nan")]}, "state: .*must be a vector of finite numbers"),
        ({"hearing": lambda env, agent: [5]}, r"hearing of agent 0: 5 is not one of the agents \[0, 1\]"),
        ({"adjacency": lambda env, agent: "01"}, "adjacency of agent 0: '01' was given: must be a list of agents"),
    ],
)
def test_answers_of_functions_are_checked(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FromPettingZoo(lambda: OfParallel(SHORT), **settings).reset()


# ---- by name -------------------------------------------------------------------------------------------------------


class Context(OfRLlib):
    """RLlib's way: made from an `env_config` that knows its place."""

    made: ClassVar[list[Any]] = []

    def __init__(self, config: Any):
        super().__init__(SHORT)
        self.made.append((type(config), config.vector_index, config.worker_index, config.num_workers, dict(config)))


def parallel_env(*, limit: int = 1) -> OfParallel:
    """PettingZoo's way: made from settings by name."""
    return OfParallel(Script(parts=SHORT.parts, pay=SHORT.pay * limit, told="nothing"))


def handing_on(**settings: Any) -> OfParallel:
    """PettingZoo's other way."""
    return parallel_env(**settings)


def swallowing(**settings: Any) -> OfParallel:
    """Takes whatever comes."""
    return parallel_env()


def test_configs_tell_each_copy_its_place() -> None:
    env_config = {"size": 3, "time_limit": 2}
    for make in (Context, f"{__name__}:Context"):
        Context.made.clear()
        choice = CommPPOConfig().environment(make, env_config=env_config).env_choice()
        build_env(at_work(choice, Place(worker_index=2, num_workers=3)), num_envs=4)
        found = list(Context.made)
        assert [place for _, *place in found] == [[number, 2, 3, {"size": 3}] for number in range(4)]
        assert all(issubclass(kind, EnvContext) for kind, *_ in found)
    Context.made.clear()
    FromMultiAgentEnv(Context, env_config={}, num_envs=4)
    assert [place[1] for place in Context.made] == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["Context", "parallel_env", "handing_on", "swallowing"])
def test_import_paths_name_environments_of_other_libraries(name: str) -> None:
    choice = EnvChoice(env=f"{__name__}:{name}", settings={"speaking": f"{__name__}:never"})
    env = build_env(choice, num_envs=2)
    step = env.reset()
    assert step.observing.all() and not step.speaking.any() and env.num_envs == 2
    if name not in ("Context", "swallowing"):
        assert build_env(EnvChoice(env=choice.env, settings={"limit": 2}), num_envs=1).num_agents == 2
        with pytest.raises(ValueError, match="limits"):
            build_env(EnvChoice(env=choice.env, settings={"limits": 2}), num_envs=1)


def test_an_algorithm_is_built_on_a_function() -> None:
    config = CommPPOConfig().environment(parallel_env)
    assert config.algo_class._get_env_id_and_creator(parallel_env, config) == (parallel_env, parallel_env)


def never(agent: Any) -> bool:
    return False


def test_what_an_environment_is_can_be_asked(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr("heliograph.cli.describing.SECONDS", 0.05)
    assert main(["envs", f"{__name__}:Cells", "--env", "time_limit=9"]) == 0
    printed = capsys.readouterr().out
    _show_roles(settings_from({"env": f"{__name__}:Cells"}), err=False)
    assert "roles: left (left); right (right) [an agent's role is its name without" in capsys.readouterr().out
    for words in ("left", "right", "Discrete(3)", "without the number", "time limit: 9", "heeds seed: True", "raw env"):
        assert words in printed
