"""Several teams in one environment: who belongs to which, by function or mapping, and who may hear whom."""

import dataclasses
import json
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from heliograph.adapters.mpe import make_crypto
from heliograph.adapters.pettingzoo import FromPettingZoo, ToParallel
from heliograph.cli import main
from heliograph.cli.describing import roles_of
from heliograph.envs.hearing import within_teams
from heliograph.experiments.choices import EnvChoice, build_env, facts_of
from heliograph.registry import UnknownNameError
from heliograph.rllib.multi_agent_env import FromMultiAgentEnv
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.testing import check_shapes, check_talk_steps
from heliograph.topologies.full import Full
from heliograph.topologies.given import Given
from heliograph.topologies.ring import Ring
from heliograph.types import Edges
from tests.adapters.spied import TEAMS, Spied, SpiedOfRLlib, only_alice, spied

WAYS = {"mapping": TEAMS, "function": TEAMS.get, "of agents": {"eve": 7, "alice": (1, 2), "bob": (1, 2)}}


def eve_apart(agent: str) -> bool:
    """For import paths."""
    return agent == "eve"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "adapted", [lambda **s: FromPettingZoo(Spied, **s), lambda **s: FromMultiAgentEnv(SpiedOfRLlib, **s)]
)
def test_agents_belong_to_the_teams_that_they_are_given(adapted: Any, way: str) -> None:
    env = adapted(team_of=WAYS[way])
    assert env.agents == ("eve", "bob", "alice") and env.team_of_agent.tolist() == [0, 1, 1]
    assert env.teams == (("7", "1_2") if way == "of agents" else ("spies", "ours"))
    assert facts_of(env).teams == env.teams and facts_of(env).team_of_agent == (0, 1, 1)


def test_all_are_one_team_by_default() -> None:
    env = FromPettingZoo(Spied)
    assert env.teams == ("team",) and env.team_of_agent.tolist() == [0, 0, 0]
    assert env.reset().hearing is None


def test_an_agent_goes_before_its_role() -> None:
    env = FromPettingZoo(
        Spied, role_of=lambda a: "guesser" if a != "alice" else a, team_of={"guesser": "a", "bob": "b", "alice": "b"}
    )
    assert dict(zip(env.agents, env.team_of_agent.tolist(), strict=True)) == {"eve": 0, "bob": 1, "alice": 1}
    assert "rivals share the network of guesser" in roles_of(env)


@pytest.mark.parametrize(
    ("team_of", "told"),
    [
        ({"eve": "x", "bob": "y"}, "agent 'alice' has no team"),
        ({"eve": ["x"], "bob": "y", "alice": "y"}, r"agent 'eve' is \['x'\]: must be a name"),
        ({"eve": None, "bob": "y", "alice": "y"}, "agent 'eve' is None"),
        ("spies", "must be a function of an agent, or a mapping"),
    ],
)
def test_what_names_no_team_is_refused(team_of: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        FromPettingZoo(Spied, team_of=team_of)


def test_an_unknown_agent_or_role_is_named() -> None:
    with pytest.raises(UnknownNameError, match="unknown role or agent in team_of 'alic'; did you mean 'alice'"):
        FromPettingZoo(Spied, team_of={**TEAMS, "alic": "ours"})


def test_names_of_teams_are_told_apart() -> None:
    teams = {"eve": "a b", "bob": "a_b", "alice": "!"}
    assert FromPettingZoo(Spied, team_of=teams).teams == ("a_b", "a_b_2", "team")


def test_teams_through_environment_and_by_import_path() -> None:
    config = CommPPOConfig().environment(Spied, team_of=TEAMS, rivals_hear=False)
    assert config.facts().teams == ("spies", "ours")
    for env in ("tests.adapters.spied:Spied", "tests.adapters.spied:SpiedOfRLlib"):
        env = build_env(EnvChoice(env=env, settings={"team_of": "tests.adapters.test_teams:eve_apart"}), num_envs=1)
        assert env.teams == ("True", "False") and env.team_of_agent.tolist() == [0, 1, 1]


def test_the_command_line_tells_the_teams(capsys: Any) -> None:
    given = ["envs", "tests.adapters.spied:spied", "--env", f"team_of={json.dumps(TEAMS)}", "--json"]
    assert main(given) == 0
    assert json.loads(capsys.readouterr().out)["teams"] == {"spies": "eve", "ours": "bob, alice"}


# ---- who hears whom -------------------------------------------------------------------------------------------


def heard(env: Any, topology: Any) -> dict[str, set[str]]:
    """Whom each agent hears."""
    edges = topology.edges(env.reset())
    assert edges.senders is None or edges.senders.shape == edges.mask.shape
    found = {}
    for n, agent in enumerate(env.agents):
        slots = edges.mask[0, n].nonzero().flatten().tolist()
        found[agent] = {env.agents[s if edges.senders is None else int(edges.senders[0, n, s])] for s in slots}
    return found


ALL = {"eve": {"bob", "alice"}, "bob": {"eve", "alice"}, "alice": {"eve", "bob"}}
OWN = {"eve": set(), "bob": {"alice"}, "alice": {"bob"}}


@pytest.mark.parametrize("topology", [Full(), Ring()], ids=["full", "ring"])
def test_rivals_overhear_unless_they_may_not(topology: Any) -> None:
    assert heard(spied(), topology) == ALL
    assert heard(spied(rivals_hear=False), topology) == OWN


def test_an_environments_own_hearing_is_kept_within_teams() -> None:
    own = {"hearing": lambda env, agent: {"bob": ["alice"], "eve": ["alice"], "alice": ["eve"]}[agent]}
    assert heard(spied(**own), Given()) == {"bob": {"alice"}, "eve": {"alice"}, "alice": {"eve"}}
    assert heard(spied(**own, rivals_hear=False), Given()) == {"bob": {"alice"}, "eve": set(), "alice": set()}


def test_rivals_do_not_hear_while_all_talk() -> None:
    env = spied(rivals_hear=False, talk_steps=1, hearing=lambda env, agent: [])
    assert heard(env, Full()) == OWN


def test_messages_as_actions_stay_in_the_team() -> None:
    for rivals_hear, told in ((True, ("eve", "bob")), (False, ("bob",))):
        env = ToParallel(spied(rivals_hear=rivals_hear), vocab_size=4, speakers=["alice"])
        env.reset(seed=0)
        env.step({"eve": 0, "bob": 0, "alice": 2})
        assert env.talk.heard_by["alice"] == told


def test_who_hears_whom_across_teams_needs_teams() -> None:
    with pytest.raises(ValueError, match="rivals_hear=False: all agents are one team"):
        FromPettingZoo(Spied, rivals_hear=False)
    with pytest.raises(ValueError, match="say who hears whom by hearing= too"):
        spied(rivals_hear=False, adjacency=lambda env, agent: [])


@given(st.data())
def test_edges_within_teams_are_those_between_team_mates(data: Any) -> None:
    n = data.draw(st.integers(1, 6))
    teams = torch.tensor(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    mask = torch.tensor(data.draw(st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=n, max_size=n)))
    senders = torch.arange(n).flip(0).expand(1, n, n)
    mates = teams.unsqueeze(1) == teams
    for edges, expected in (
        (Edges(senders=None, mask=mask[None]), mask & mates),
        (Edges(senders=senders, mask=mask[None]), mask & mates.flip(1)),
        (None, mates & ~torch.eye(n, dtype=torch.bool)),
    ):
        assert torch.equal(within_teams(edges, teams, num_envs=1).mask[0], expected)


# ---- the contract ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", [check_shapes, check_talk_steps])
def test_environments_of_teams_keep_the_contract(check: Any) -> None:
    check(lambda **settings: spied(rivals_hear=False, **settings))


def test_teams_without_names_are_refused() -> None:
    env = spied()
    env.teams = ("team",)
    with pytest.raises(ValueError, match=r"team_of_agent has the numbers \[0, 1\], and teams=\('team',\)"):
        facts_of(env)


def test_crypto_comes_with_its_teams() -> None:
    env = make_crypto(builtin_symbols=False, num_envs=8)
    step = env.reset()
    assert env.teams == ("spies", "ours") and env.agents == ("eve_0", "bob_0", "alice_0")
    assert env.roles[2].action_space.n == 1 and step.speaking[0].tolist() == [False, False, True]
    assert torch.equal(step.meaning[:, 2, 0], step.observations["alice"][:, 0, :4].argmax(-1))
    assert (step.meaning[:, :2] == -1).all() and len(step.meaning[:, 2].unique()) == 2
    wrong = {"eve": 2, "bob": 3, "alice": 0}
    paid = env.step({role: torch.full((8, 1), action) for role, action in wrong.items()}).rewards
    assert paid.tolist() == [[-2.0, 0.0, 0.0]] * 8  # a wrong guess costs 2, and both are wrong


def test_facts_of_one_team_and_of_two_differ() -> None:
    one, two = (facts_of(FromPettingZoo(Spied, speaking=only_alice, team_of=teams)) for teams in (None, TEAMS))
    assert dataclasses.replace(two, teams=one.teams, team_of_agent=one.team_of_agent, ids=one.ids) == one
