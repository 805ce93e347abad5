"""Optional fields are there always or never: then what is replayed is what was sampled, in every environment."""

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pettingzoo import ParallelEnv

from heliograph import registry
from heliograph.adapters.pettingzoo import FromPettingZoo
from heliograph.envs.base import EnvError, TeamEnv
from heliograph.envs.combat import Combat
from heliograph.envs.identity import Identity
from heliograph.envs.predator_prey import PredatorPrey
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.envs.switch_riddle import SwitchRiddle
from heliograph.rollouts.rollout import concatenate
from heliograph.rollouts.sampler import Sampler
from heliograph.testing import CHECKS, ConformanceError
from heliograph.testing.mixed import Mixed
from heliograph.topologies.base import dense, fixed
from heliograph.types import Edges, map_tensors, stack
from tests.adapters.makes import Counting, Crowd
from tests.parts import make_team

COPIES = 4
TOLERANCE = 1e-5


def masks(env: TeamEnv) -> dict[str, torch.Tensor]:
    """One action out of three is legal, another one in each copy."""
    one = torch.arange(env.num_envs).remainder(3)
    return {"agent": torch.nn.functional.one_hot(one, 3).bool()[:, None].expand(-1, 2, -1)}


def one_way(env: TeamEnv) -> Edges:
    """Only the second agent hears."""
    return dense(torch.tensor([[False, False], [True, False]]).expand(env.num_envs, -1, -1))


def places(env: TeamEnv) -> torch.Tensor:
    return torch.arange(2.0).view(1, 2, 1).expand(env.num_envs, -1, 2)


FIELDS: dict[str, Callable[[TeamEnv], Any]] = {
    "action_mask": masks,
    "hearing": one_way,
    "positions": places,
    "adjacency": one_way,
    "state": lambda env: env.state.value.float(),
}
TOPOLOGIES = {"positions": ("radius", {"radius": 2.0}), "adjacency": ("given", {})}


class Patchy(Identity):
    """Shows one field where `shown(moves)` is true, and gives one info where it is."""

    def __init__(self, *, field: str, shown: Callable[[int], bool], change: Callable = lambda x: x, **base: Any):
        super().__init__(values=3, **base)
        self.field, self.shown, self.change = field, shown, change

    def observe(self, state: Any) -> Any:
        view = super().observe(state)
        view.state = None
        if self.field in FIELDS and self.shown(self._moves):
            setattr(view, self.field, self.change(FIELDS[self.field](self)))
        return view

    def advance(self, state: Any, actions: Any) -> Any:
        state, outcome = super().advance(state, actions)
        if self.field == "info" and not self.shown(self._moves + 1):
            outcome.info = {}
        return state, outcome


def sampled(env: TeamEnv, *, steps: int = 6, field: str = "", **team: Any) -> Any:
    topology, chosen = TOPOLOGIES.get(field, ("full", {}))
    return Sampler(env, make_team(env, topology=topology, topology_settings=chosen, **team)).fragment(steps)


def log_ratio(env: TeamEnv, *, steps: int = 6, **more: Any) -> float:
    """How far what is replayed is from what was sampled, at most."""
    topology, chosen = TOPOLOGIES.get(more.pop("field", ""), ("full", {}))
    sampler = Sampler(env, make_team(env, topology=topology, topology_settings=chosen, **more))
    rollouts = [sampler.fragment(steps), sampler.episodes(), sampler.fragment(2)]
    worst = 0.0
    for rollout in rollouts:
        unrolled = sampler.team.unroll(rollout)
        apart = (unrolled.action_log_prob - rollout.action_log_prob) * rollout.acting
        apart = apart + (unrolled.message_log_prob - rollout.message_log_prob) * rollout.speaking
        worst = max(worst, float((apart * rollout.valid.unsqueeze(-1)).detach().abs().max()))
    return worst


# ---- environments of ours -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "there"),
    [(field, there) for field in FIELDS for there in (True, False) if there or field not in TOPOLOGIES],
)
def test_a_field_that_is_there_always_or_never_is_replayed(field: str, there: bool) -> None:
    env = Patchy(field=field, shown=lambda moves: there, num_envs=COPIES)
    assert log_ratio(env, field=field, channel="symbols-score") <= TOLERANCE
    rollout = sampled(env, field=field)
    if field == "action_mask":
        assert (rollout.action_mask is not None) is there
        done = rollout.actions["agent"][rollout.acting]
        legal = torch.arange(COPIES).remainder(3)[None, :, None].expand(6, -1, 2)[rollout.acting]
        assert torch.equal(done, legal) is there
    if field == "hearing":
        assert (rollout.edges is not None) is there


@pytest.mark.parametrize(
    ("field", "at"), [*((field, at) for field in FIELDS for at in (1, 2, 5)), ("info", 2), ("info", 5)]
)
@pytest.mark.parametrize("there", [True, False])
def test_one_that_comes_or_goes_is_refused_by_name_and_step(field: str, at: int, there: bool) -> None:
    env = Patchy(field=field, shown=lambda moves: (moves == at) is not there, num_envs=COPIES)
    name = {"action_mask": "action_mask", "info": r"info\['success'\]"}.get(field, field)
    now, before = ("missing", "there") if there else ("there", "missing")
    words = f"^step {at} after reset.*: {name} is {now} in all copies, but was {before} at the first"
    with pytest.raises(EnvError, match=words):
        env.reset()
        for _ in range(at):
            env.step({"agent": torch.zeros(COPIES, 2, dtype=torch.long)})


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    field=st.sampled_from([*FIELDS, "info"]),
    pattern=st.lists(st.booleans(), min_size=8, max_size=8),
    again=st.booleans(),
)
def test_whatever_the_pattern_it_is_refused_or_replayed(field: str, pattern: list[bool], again: bool) -> None:
    """Also where it changes between two resets of one environment."""
    env = Patchy(field=field, shown=lambda moves: pattern[moves], num_envs=COPIES)
    seen = pattern[1:] if field == "info" else pattern
    actions = {"agent": torch.zeros(COPIES, 2, dtype=torch.long)}
    env.reset()
    with pytest.raises(EnvError, match="always or never") if len(set(seen)) > 1 else contextlib.nullcontext():
        steps = [env.step(actions) for _ in range(7)]
        assert len(stack([step.info for step in steps])) == (field != "info" or seen[0])
    if again and field != "info":
        pattern[0] = not pattern[0]
        with pytest.raises(EnvError, match=f"^at reset.*{field} is .*always or never"):
            env.reset()


CHANGES: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "dtype of positions": (
        "positions",
        lambda x: x.double(),
        "positions has dtype torch.float64, but had torch.float32",
    ),
    "shape of positions": ("positions", lambda x: x[..., :1], r"positions has shape \[4, 2, 1\], but had \[4, 2, 2\]"),
    "device of the state": ("state", lambda x: x.to("meta"), "state has device meta, but had cpu"),
    "slots of edges": (
        "hearing",
        lambda x: fixed(torch.tensor([[1], [0]])),
        "hearing.senders is there in all copies, but was missing",
    ),
    "roles of masks": (
        "action_mask",
        lambda x: {},
        "action_mask of role 'agent' is missing in all copies, but was there",
    ),
    "size of masks": ("action_mask", lambda x: {"agent": x["agent"][..., :2]}, "action_mask of role 'agent' has shape"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_field_that_changes_in_more_than_its_values_is_refused(name: str) -> None:
    field, change, words = CHANGES[name]
    env = Patchy(field=field, shown=lambda moves: True, num_envs=COPIES)
    env.change = lambda x: change(x) if env._moves == 3 else x
    with pytest.raises(EnvError, match=f"^step 3 after reset.*: {words}"):
        sampled(env, field=field)


def test_an_observation_too() -> None:
    class Doubled(SpeakerListener):
        def observe(self, state: Any) -> Any:
            view = super().observe(state)
            if self._moves == 4:
                view.observations = {name: seen.double() for name, seen in view.observations.items()}
            return view

    with pytest.raises(EnvError, match=r"step 4 after reset.*observations of role 'speaker' has dtype torch\.float64"):
        sampled(Doubled(num_envs=COPIES), steps=6)


def test_masks_of_roles_that_are_not_there_and_of_boxes_are_refused() -> None:
    env = Patchy(field="action_mask", shown=lambda moves: True, num_envs=COPIES)
    env.change = lambda x: {"agents": x["agent"]}
    with pytest.raises(EnvError, match=r"action_mask has \['agents'\], which no role is called: roles are \['agent'\]"):
        env.reset()

    class Steered(Mixed):
        def observe(self, state: Any) -> Any:
            view = super().observe(state)
            view.action_mask["drone"] = torch.ones(self.num_envs, 1, 2, dtype=torch.bool)
            return view

    with pytest.raises(EnvError, match=r"action_mask of role 'drone': no mask limits actions of Box"):
        Steered(num_envs=2).reset()


@pytest.mark.parametrize("asked", [True, False])
def test_a_mask_must_allow_something_to_whoever_is_asked_in_any_step(asked: bool) -> None:
    env = Patchy(field="action_mask", shown=lambda moves: True, num_envs=COPIES)

    def none(mask: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        mask = mask["agent"].clone()
        mask[2, 1] = bool(env._moves != (5 if asked else 4))  # both act in every second step
        return {"agent": mask}

    env.change = none
    if not asked:
        sampled(env)
        return
    with pytest.raises(
        EnvError, match="agent 'agent_1', copy 2, step 1 of its episode: the action_mask allows no action"
    ):
        sampled(env)


def test_a_restored_environment_holds_its_fields_as_well() -> None:
    def shown(moves: int) -> bool:
        return moves < 3

    saved = Patchy(field="hearing", shown=shown, num_envs=COPIES)
    saved.reset()
    other = Patchy(field="hearing", shown=shown, num_envs=COPIES)
    other.set_state(saved.get_state())
    other.view()
    with pytest.raises(EnvError, match=r"step 3 after reset.*hearing is missing"):
        for _ in range(3):
            other.step({"agent": torch.zeros(COPIES, 2, dtype=torch.long)})


def test_rollouts_of_different_fields_are_not_put_side_by_side() -> None:
    for field in ("action_mask", "hearing", "info"):
        parts = [sampled(Patchy(field=field, shown=lambda moves, yes=yes: yes, num_envs=2)) for yes in (True, False)]
        for pair in (parts, parts[::-1]):
            with pytest.raises(
                ValueError, match=r"rollouts cannot be put side by side: some have (action_mask|edges|info)"
            ):
                concatenate(pair)


def test_structures_that_differ_are_not_mapped() -> None:
    some, none = torch.zeros(2), None
    for pair in ((some, none), (none, some), ({"a": some}, {}), ({}, {"a": some})):
        with pytest.raises((ValueError, TypeError, KeyError)):
            map_tensors(lambda *leaves: torch.stack(leaves), *pair)


SMALL = {
    "combat": functools.partial(Combat, soldiers=2, size=6, steps=12),
    "predator_prey": functools.partial(PredatorPrey, time_limit=8),
    "switch_riddle": functools.partial(SwitchRiddle, prisoners=3),
}


@pytest.mark.parametrize("channel", ["dru", "symbols-score"])
@pytest.mark.parametrize("name", registry.names("env"))
def test_every_environment_is_replayed_as_it_was_sampled(name: str, channel: str) -> None:
    env = SMALL.get(name, registry.load("env", name))(
        num_envs=COPIES, **({"time_limit": 8} if name not in SMALL else {})
    )
    assert log_ratio(env, steps=5, channel=channel) <= TOLERANCE


# ---- Python environments ---------------------------------------------------------------------------------------------


class Masked(ParallelEnv):
    """Two agents that choose one of three; `mask(agent, time)` is what their masks are, None for none.

    The masks stand in the observations, or in the infos.
    """

    metadata = {"name": "masked"}  # noqa: RUF012 - PettingZoo's own way
    possible_agents = ["a_0", "a_1"]  # noqa: RUF012

    def __init__(self, mask: Callable[[str, int], Any], *, in_infos: bool = False, space: spaces.Space | None = None):
        self.mask, self.in_infos, self.space = mask, in_infos, space or spaces.Discrete(3)
        self.chosen: list[tuple[int, str, Any]] = []

    def observation_space(self, agent: str) -> spaces.Space:
        seen = spaces.Box(0, 10, (2,))
        size = 3 if isinstance(self.space, spaces.Discrete) else 5
        return seen if self.in_infos else spaces.Dict(observation=seen, action_mask=spaces.MultiBinary(size))

    def action_space(self, agent: str) -> spaces.Space:
        return self.space

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple:
        self.agents, self.time = list(self.possible_agents), 0
        return self._shown()

    def step(self, actions: dict) -> tuple:
        self.chosen += [(self.time, agent, action) for agent, action in actions.items()]
        self.time += 1
        seen, infos = self._shown()
        never = dict.fromkeys(self.agents, False)
        over = dict.fromkeys(self.agents, self.time == 6)
        self.agents = [] if self.time == 6 else self.agents
        return seen, dict.fromkeys(over, 1.0), over, never, infos

    def _shown(self) -> tuple[dict, dict]:
        seen: dict[str, Any] = {a: np.full(2, self.time, np.float32) for a in self.agents}
        masks = {a: self.mask(a, self.time) for a in self.agents}
        given = {a: {} if mask is None else {"action_mask": mask} for a, mask in masks.items()}
        if self.in_infos:
            return seen, given
        return {a: {"observation": seen[a], **given[a]} for a in self.agents}, {a: {} for a in self.agents}


def adapted(mask: Callable[[str, int], Any], *, in_infos: bool, **more: Any) -> FromPettingZoo:
    own = {"space": more.pop("space")} if "space" in more else {}
    return FromPettingZoo(
        lambda: Masked(mask, in_infos=in_infos, **own),
        num_envs=2,
        **({"masks_in_infos": True} if in_infos else {}),
        **more,
    )


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(given_to=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=6, max_size=6), in_infos=st.booleans())
def test_a_mask_that_is_missing_allows_all(given_to: list[tuple[bool, bool]], in_infos: bool) -> None:
    """In any steps after the reset, for any of the agents; the last one given does not stay."""
    given_to = [(True, True), *given_to[1:]]
    only = {"a_0": 0, "a_1": 2}

    def mask(agent: str, time: int) -> Any:
        given_now = time < 6 and given_to[time][int(agent[-1])]
        return np.eye(3, dtype=np.int8)[only[agent]] if given_now else None

    env = adapted(mask, in_infos=in_infos)
    assert log_ratio(env, steps=9) <= TOLERANCE
    rollout = sampled(env, steps=6)
    for time, (first, second) in enumerate(given_to):
        allowed = rollout.action_mask["a"][time].sum(-1)
        assert allowed.tolist() == [[1 if first else 3, 1 if second else 3]] * 2
    for time, agent, action in env.envs[0].chosen:
        assert mask(agent, time) is None or action == only[agent]


def test_a_first_observation_without_the_mask_that_its_space_has_is_refused() -> None:
    env = adapted(lambda agent, time: np.ones(3) if time else None, in_infos=False)
    with pytest.raises(EnvError, match="agent 'a_0', copy 0, step 0: got no action_mask, though its space has one"):
        env.reset()


def test_infos_without_any_mask_at_the_reset_are_refused() -> None:
    env = adapted(lambda agent, time: np.ones(3) if time else None, in_infos=True)
    with pytest.raises(EnvError, match=r"copy 0, at reset\(\): masks_in_infos=True, but the info of no agent holds an"):
        env.reset()


def test_masks_in_infos_that_nothing_would_read_are_refused() -> None:
    env = FromPettingZoo(lambda: Masked(lambda agent, time: np.ones(3) if time == 2 else None, in_infos=True))
    with pytest.raises(
        EnvError, match=r"agent 'a_0', copy 0, step 2: has an action_mask in its info.*masks_in_infos=True"
    ):
        sampled(env)


def test_masks_of_actions_that_none_can_limit_are_refused() -> None:
    env = adapted(lambda agent, time: np.ones(3), in_infos=True, space=spaces.Box(-1, 1, (2,)))
    with pytest.raises(
        EnvError, match=r"agent 'a_0', copy 0, step 0: has an action_mask, but no mask limits actions of Box"
    ):
        env.reset()


@pytest.mark.parametrize("mask", [[1, 0, 0, 1, 0], ([1, 0], [0, 1, 0])], ids=["flat", "in parts"])
@pytest.mark.parametrize("in_infos", [True, False])
def test_masks_of_several_parts_limit_each(mask: Any, in_infos: bool) -> None:
    mask = tuple(map(np.array, mask)) if isinstance(mask, tuple) else np.array(mask)
    env = adapted(lambda agent, time: mask, in_infos=in_infos, space=spaces.MultiDiscrete([2, 3]))
    assert log_ratio(env) <= TOLERANCE
    assert {tuple(action.tolist()) for _, _, action in env.envs[0].chosen} == {(0, 1)}


@pytest.mark.parametrize("mask", [[0, 0], [1, 1]])
def test_masks_that_fit_no_action_are_refused(mask: list[int]) -> None:
    env = adapted(lambda agent, time: np.array(mask) if time == 3 else np.ones(3), in_infos=True)
    with pytest.raises(EnvError, match=r"agent 'a_0', copy 0, step 3: has the action mask .*needs 3 flags, not all 0"):
        sampled(env)


@pytest.mark.parametrize("make", [Crowd, Counting])
def test_python_environments_are_replayed_as_they_were_sampled(make: Any) -> None:
    env = FromPettingZoo(make, num_envs=3, time_limit=8)
    assert log_ratio(env, channel="symbols-score") <= TOLERANCE


# ---- the conformance suite -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", [*FIELDS, "info"])
def test_the_conformance_suite_finds_what_comes_and_goes(field: str) -> None:
    make = functools.partial(Patchy, field=field, shown=lambda moves: moves < 7)
    with pytest.raises(ConformanceError, match=r"fails check_fields: step 7 after reset.*always or never"):
        CHECKS["check_fields"](make)
