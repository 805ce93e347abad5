import dataclasses
import functools
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from gymnasium import spaces
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test

from heliograph import testing
from heliograph.adapters.pettingzoo import FromPettingZoo, ToAEC, ToParallel
from heliograph.adapters.talk import TalkAsAction
from heliograph.envs.base import EnvState, Outcome, TeamEnv, View
from heliograph.envs.identity import Identity
from heliograph.envs.predator_prey import PredatorPrey
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.envs.switch_riddle import SwitchRiddle
from heliograph.registry import UnknownNameError
from heliograph.rendering.frames import draw
from heliograph.types import Edges, Role
from tests.adapters.makes import NUM_STEPS, Counting, Crowd

TALKS = [{}, {"vocab_size": 3}, {"vocab_size": 3, "length": 2, "flat": False}]
OURS = [SpeakerListener, functools.partial(SpeakerListener, rounds=3), Identity, SwitchRiddle]
advisory = pytest.mark.filterwarnings("ignore::UserWarning")  # api_test: sizes differ, a Dict, zeros: all intended


def zeros(env: TeamEnv) -> dict[str, torch.Tensor]:
    return {r.name: torch.zeros(env.num_envs, len(r.agents), dtype=torch.long) for r in env.roles}


# ---- PettingZoo -> TeamEnv -----------------------------------------------------------------------------------------


def test_roles_are_agents_of_equal_spaces_in_contiguous_slots() -> None:
    env = FromPettingZoo(Crowd)
    assert env.agents == ("bird_0", "bird_1", "fish_0")
    assert [role.name for role in env.roles] == ["bird", "fish"]
    by_size = FromPettingZoo(Crowd, role_of=lambda agent: "all" if agent.startswith("bird") else "other")
    assert [role.name for role in by_size.roles] == ["all", "other"]
    with pytest.raises(ValueError, match="equal spaces"):
        FromPettingZoo(Crowd, role_of=lambda agent: "all")


def test_agents_that_share_a_name_and_differ_in_spaces_are_apart() -> None:
    class Renamed(Crowd):
        possible_agents: ClassVar[list[str]] = ["x_0", "x_1", "x_2"]

        def observation_space(self, agent: str) -> spaces.Space:
            return spaces.Box(0.0, 1.0, (2 if agent == "x_1" else 3,))

    roles = FromPettingZoo(Renamed).roles
    assert [(role.name, role.agents) for role in roles] == [("x_a", ("x_0", "x_2")), ("x_b", ("x_1",))]


def test_agents_come_and_go() -> None:
    env = FromPettingZoo(Crowd, num_envs=2, success_fn=lambda env: env.time == NUM_STEPS)
    shown = [env.reset()] + [env.step(zeros(env)) for _ in range(NUM_STEPS)]
    bird_0, bird_1 = 0, 1
    assert [bool(step.observing[0, bird_0]) for step in shown[:4]] == [True, True, False, False]
    assert [bool(step.observing[0, bird_1]) for step in shown[:5]] == [False, False, False, True, True]
    assert shown[2].truncated[0].tolist() == [True, False, False] and not shown[2].terminated.any()
    assert shown[2].observations["bird"][0, bird_0].tolist() == [2.0, 0.0]  # what it saw last, for its value
    assert not shown[3].observations["bird"][0, bird_0].any() and shown[3].meaning[0, bird_0] == -1
    assert not shown[2].episode_over.any() and shown[-1].episode_over.all()
    assert shown[-1].terminated.all() and not shown[-1].truncated.any() and shown[-1].info["success"].all()
    assert shown[-1].final_observations["fish"][0, 0].tolist() == [6.0, 0.0, 1.0]
    assert shown[-1].observations["fish"][0, 0].tolist() == [0.0, 9.0, 1.0]


def test_an_agent_falls_silent_and_only_some_may_speak() -> None:
    env = FromPettingZoo(Crowd, speaking=lambda agent: agent.startswith("fish"))
    spoke = [env.reset().speaking] + [env.step(zeros(env)).speaking for _ in range(5)]
    assert [step[0, 2].item() for step in spoke] == [True, True, True, True, False, True]
    assert not any(step[0, :2].any() for step in spoke)


def test_rewards_follow_actions_of_agents_in_play() -> None:
    env = FromPettingZoo(Crowd)
    env.reset()
    actions = {"bird": torch.tensor([[2, 3]]), "fish": torch.tensor([[1]])}
    rewards = [env.step(actions).rewards[0].tolist() for _ in range(5)]
    assert rewards == [[2, 0, 1], [2, 0, 1], [0, 0, 1], [0, 3, 1], [0, 3, 1]]


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"observations": {"fish_0": np.zeros(2)}}, "fish_0.*copy 0, step 1.*shape"),
        ({"observations": {"fish_0": np.full(3, np.nan)}}, "fish_0.*copy 0, step 1.*finite"),
        ({"observations": {"bird_7": np.zeros(2)}}, None),
        ({"rewards": {"fish_0": float("nan")}}, "fish_0.*copy 0, step 1.*reward"),
        ({"rewards": {"fish_0": None}}, "fish_0.*copy 0, step 1.*reward"),
        ({"missing": ["fish_0"]}, "fish_0.*copy 0, step 1.*no observation"),
        ({"unpaid": ["fish_0"]}, "fish_0.*acted and got no reward"),
    ],
)
def test_bad_output_names_agent_copy_and_step(faults: dict[str, Any], words: str | None) -> None:
    env = FromPettingZoo(functools.partial(Crowd, faults), num_envs=2)
    env.reset()
    if words is None:  # PettingZoo allows other keys, such as "common"
        env.step(zeros(env))
        return
    with pytest.raises(ValueError, match=words):
        env.step(zeros(env))


def test_meanings_come_from_infos_or_a_function_and_must_fit() -> None:
    env = FromPettingZoo(Crowd)
    env.reset()
    assert env.step(zeros(env)).meaning[0, :, 0].tolist() == [1, -1, 1]
    pair = FromPettingZoo(Crowd, meaning_fn=lambda env, agent: (env.time, 7), meaning_size=2)
    assert pair.reset().meaning[0].tolist() == [[0, 7], [-1, -1], [0, 7]]
    with pytest.raises(ValueError, match=r"bird_0.*meaning_size=1"):
        FromPettingZoo(Crowd, meaning_fn=lambda env, agent: (1, 2)).reset()


def test_copies_get_seeds_of_their_own_that_follow_from_ours() -> None:
    def seeds(seed: int) -> list[int]:
        env = FromPettingZoo(Crowd, num_envs=3, seed=seed)
        env.reset()
        return [inner.got_seed for inner in env.envs]

    assert seeds(1) == seeds(1) != seeds(2)
    assert len(set(seeds(1))) == 3


def test_aec_turns_are_env_steps_and_rewards_arrive_with_the_next_turn() -> None:
    env = FromPettingZoo(Counting)
    step = env.reset()
    assert step.acting.tolist() == step.observing.tolist() == [[True, False]]
    assert step.action_mask["player"][0, 0].all()
    step = env.step({"player": torch.tensor([[2, 0]])})
    assert step.acting.tolist() == [[False, True]] and not step.rewards.any()  # 0.25 waits for the turn to come
    assert step.action_mask["player"][0, 1].tolist() == [False, True, True]
    step = env.step({"player": torch.tensor([[0, 2]])})
    assert step.observations["player"][0, :, 0].tolist() == [4.0, 2.0] and step.rewards[0].tolist() == [0.25, 0.25]
    step = env.step({"player": torch.tensor([[2, 0]])})
    assert step.episode_over.all() and step.terminated.all() and step.rewards[0].tolist() == [1.0, -1.0]
    assert step.final_observations["player"][0, :, 0].tolist() == [6.0, 6.0]


def test_a_limit_of_the_inner_environment_truncates() -> None:
    env = FromPettingZoo(functools.partial(Counting, limit=2))
    env.reset()
    env.step(zeros(env))
    step = env.step(zeros(env))
    assert step.episode_over.all() and step.truncated.all() and not step.terminated.any()


def test_only_fixed_agents_and_known_interfaces_are_taken() -> None:
    with pytest.raises(TypeError, match="ParallelEnv or AECEnv"):
        FromPettingZoo(dict)
    with pytest.raises(RuntimeError, match="resumable"):
        FromPettingZoo(Crowd).get_state()


@pytest.mark.parametrize("make", [Crowd, Counting])
def test_wrapped_environments_keep_the_contract(make: Any) -> None:
    testing.check_env(functools.partial(FromPettingZoo, make))


# ---- TeamEnv -> PettingZoo -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("talk", TALKS)
@pytest.mark.parametrize("make", OURS)
def test_parallel_form_passes_the_tests_of_pettingzoo(make: Any, talk: dict[str, Any]) -> None:
    parallel_api_test(ToParallel(make(), **talk), num_cycles=60)
    parallel_seed_test(lambda: ToParallel(make(), **talk), num_cycles=60)


@advisory
@pytest.mark.parametrize("talk", TALKS)
@pytest.mark.parametrize("make", OURS)
def test_aec_form_passes_the_tests_of_pettingzoo(make: Any, talk: dict[str, Any]) -> None:
    api_test(ToAEC(make(), **talk), num_cycles=30)
    seed_test(lambda: ToAEC(make(), **talk), num_cycles=30)


def there_and_back(make: Any, form: Any) -> tuple[TeamEnv, TeamEnv]:
    """An environment that went to PettingZoo and came back, and the same environment with the seed it was given."""
    back = make()
    there = FromPettingZoo(lambda: form(make()), seed=5, meaning_size=back.reset().meaning.shape[-1])
    back.seed(int(torch.randint(2**31 - 1, (1,), generator=torch.Generator().manual_seed(5 ^ 0x5EED))))
    return there, back


def random_actions(env: TeamEnv, generator: torch.Generator) -> dict[str, torch.Tensor]:
    return {r.name: torch.randint(r.action_space.n, (1, len(r.agents)), generator=generator) for r in env.roles}


@pytest.mark.parametrize("make", OURS)
def test_parallel_round_trip_changes_nothing(make: Any) -> None:
    there, back = there_and_back(make, ToParallel)
    shown, expected, generator = there.reset(), back.reset(), torch.Generator().manual_seed(1)
    while not expected.episode_over.all():
        for name in ("observing", "acting", "speaking", "meaning"):
            assert getattr(shown, name)[expected.observing].equal(getattr(expected, name)[expected.observing]), name
        actions = random_actions(back, generator)
        shown, expected = there.step(actions), back.step(actions)
        for name in ("rewards", "terminated", "truncated", "episode_over"):
            assert getattr(shown, name).equal(getattr(expected, name)), name


@pytest.mark.parametrize("make", OURS)
def test_aec_round_trip_earns_the_same_in_one_turn_after_the_other(make: Any) -> None:
    there, back = there_and_back(make, ToAEC)
    shown, expected, generator = there.reset(), back.reset(), torch.Generator().manual_seed(1)
    earned = torch.zeros(2, back.num_agents)
    while not expected.episode_over.all():
        actions = random_actions(back, generator)
        for _ in range(int((expected.observing | expected.acting | expected.speaking).sum())):
            assert shown.observing.sum() == 1
            shown = there.step(actions)
            earned[0] += shown.rewards[0]
        expected = back.step(actions)
        earned[1] += expected.rewards[0]
    assert shown.episode_over.all() and earned[0].equal(earned[1])


# ---- messages as actions -------------------------------------------------------------------------------------------


def test_action_spaces_take_up_messages() -> None:
    talk = TalkAsAction(SpeakerListener(goals=4), vocab_size=3, length=2, speakers=["speaker"])
    assert talk.action_spaces["speaker_0"] == spaces.MultiDiscrete([3, 3])
    assert talk.action_spaces["listener_0"] == spaces.Discrete(4)
    assert TalkAsAction(SpeakerListener(), vocab_size=3).action_spaces["speaker_0"] == spaces.Discrete(3)
    assert TalkAsAction(SpeakerListener(), vocab_size=5).action_spaces["listener_0"] == spaces.MultiDiscrete([3, 5])
    assert TalkAsAction(SpeakerListener()).action_spaces["speaker_0"] == spaces.Discrete(1)
    reach = TalkAsAction(Reach(), vocab_size=2).action_spaces["arm_0"]
    assert reach == spaces.Dict(action=spaces.Box(-1.0, 1.0, (2,)), message=spaces.MultiDiscrete([2]))
    with pytest.raises(UnknownNameError, match="speaker"):
        TalkAsAction(SpeakerListener(), vocab_size=3, speakers=["speakr"])
    with pytest.raises(ValueError, match="one copy"):
        TalkAsAction(SpeakerListener(num_envs=2))


def test_a_message_is_heard_at_the_next_step_and_only_then() -> None:
    env = ToParallel(SpeakerListener(rounds=2), vocab_size=3, speakers=["speaker"])
    observations, infos = env.reset(seed=0)
    assert infos["speaker_0"]["speaking"] and not infos["listener_0"]["acting"]
    assert not observations["listener_0"].any()
    observations, *_ = env.step({"speaker_0": 2, "listener_0": 0})
    heard = observations["listener_0"][1:7].reshape(2, 3)
    assert heard.tolist() == [[0, 0, 1], [0, 0, 0]] and observations["listener_0"][-2:].tolist() == [1, 0]
    env.step({"speaker_0": 1, "listener_0": 0})  # the speaker is not asked: it says nothing
    observations, *_ = env.step({"speaker_0": 0, "listener_0": 0})
    assert observations["listener_0"][1:7].reshape(2, 3)[0].tolist() == [1, 0, 0]


def test_a_message_says_what_the_listener_needs() -> None:
    env = ToAEC(SpeakerListener(rounds=4), vocab_size=3, speakers=["speaker"])
    env.reset(seed=3)
    earned = 0.0
    for agent in env.agent_iter():
        observation, reward, terminated, truncated, _ = env.last()
        earned += reward
        goal_or_heard = observation[:3] if agent == "speaker_0" else observation[1:4]
        env.step(None if terminated or truncated else int(goal_or_heard.argmax()))
    assert earned == 2 * 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reached(EnvState):
    time: torch.Tensor
    last: torch.Tensor


class Reach(TeamEnv[Reached]):
    """Box actions; arm_1 sleeps for two steps, hears only arm_0, and its slot is filled again at step 4."""

    def __init__(self, **base: Any):
        arm = spaces.Box(-1.0, 1.0, (2,))
        role = Role(name="arm", agents=("arm_0", "arm_1", "arm_2"), observation_space=arm, action_space=arm)
        super().__init__((role,), **base)

    def start(self) -> Reached:
        return Reached(time=torch.zeros(self.num_envs, dtype=torch.long), last=torch.zeros(self.num_envs, 3, 2))

    def advance(self, state: Reached, actions: dict[str, torch.Tensor]) -> tuple[Reached, Outcome]:
        time = state.time + 1
        ended = torch.zeros(self.num_envs, 3, dtype=torch.bool)
        ended[:, 1] = time == 4
        outcome = Outcome(rewards=actions["arm"].sum(-1), terminated=ended, episode_over=time >= 6)
        return Reached(time=time, last=actions["arm"]), outcome

    def observe(self, state: Reached) -> View:
        awake = torch.ones(self.num_envs, 3, dtype=torch.bool)
        awake[:, 1] = (state.time == 0) | (state.time >= 3)
        mask = torch.zeros(self.num_envs, 3, 1, dtype=torch.bool)
        mask[:, 1] = True
        return View(
            observations={"arm": state.last},
            observing=awake,
            acting=awake,
            speaking=awake,
            meaning=torch.full((self.num_envs, 3, 1), -1),
            hearing=Edges(senders=torch.zeros(self.num_envs, 3, 1, dtype=torch.long), mask=mask),
        )


def test_an_inbox_waits_until_its_owner_observes_and_ends_with_its_slot() -> None:
    talk = TalkAsAction(Reach(), vocab_size=5, flat=False)
    talk.reset(seed=0)
    heard = []
    for time in range(5):
        say = {"action": np.zeros(2, np.float32), "message": np.array([time])}
        turn = talk.step(dict.fromkeys(talk.agents, say))
        heard.append(turn.observations["arm_1"]["heard"].tolist())
        assert turn.observations["arm_0"]["heard"].tolist() == [0, 0, 0]  # only arm_1 can hear, and only arm_0
        assert "arm_1" in turn.taking_part or time < 2
    assert heard == [[0, 0, 0], [0, 0, 0], [3, 0, 0], [0, 0, 0], [5, 0, 0]]  # counted from 1; the last one stays
    assert not turn.over and not any(turn.terminated.values())
    assert talk.step(dict.fromkeys(talk.agents, say)).over


@advisory
def test_box_actions_and_given_hearing_pass_the_tests_of_pettingzoo() -> None:
    parallel_api_test(ToParallel(Reach(), vocab_size=3), num_cycles=30)
    api_test(ToAEC(Reach(), vocab_size=3), num_cycles=30)


def test_wrong_actions_are_refused() -> None:
    talk = TalkAsAction(Reach())
    talk.reset(seed=0)
    with pytest.raises(ValueError, match=r"arm_0.*no action"):
        talk.step({})
    with pytest.raises(ValueError, match="does not fit"):
        talk.step(dict.fromkeys(talk.agents, np.full(2, np.nan)))
    listener = TalkAsAction(SpeakerListener())
    with pytest.raises(RuntimeError, match="reset"):
        listener.step({})
    listener.reset()
    listener.step({"speaker_0": 0})
    with pytest.raises(ValueError, match="does not fit"):
        listener.step({"listener_0": 7})


# ---- pictures ------------------------------------------------------------------------------------------------------


def test_pictures_show_what_was_just_said_and_how_it_ended() -> None:
    env = ToParallel(SpeakerListener(), vocab_size=3, speakers=["speaker"], render_mode="rgb_array")
    assert env.metadata["render_modes"] == ["rgb_array"] and env.metadata["render_fps"] > 0
    with pytest.raises(RuntimeError, match="reset"):
        env.render()
    shown = []
    for symbol in (0, 0, 2):
        env.reset(seed=0)
        before = env.render()
        env.step({"speaker_0": symbol, "listener_0": 0})
        shown.append(env.render())
    assert before.dtype == np.uint8 and before.ndim == 3 and before.shape[2] == 3
    assert np.array_equal(shown[0], shown[1]) and not np.array_equal(shown[0], shown[2])
    assert not np.array_equal(before, shown[0])
    env.step({"speaker_0": 0, "listener_0": 0})
    assert not env.agents and not np.array_equal(env.render(), shown[2])


def test_the_last_picture_is_of_the_end_not_of_the_next_start() -> None:
    env = ToParallel(PredatorPrey(size=2, predators=2, steps=30), render_mode="rgb_array")
    env.reset(seed=1)
    while env.agents:
        best = env.talk.env.oracle(env.talk.env.state)["predator"][0].tolist()
        env.step(dict(zip(env.agents, best, strict=True)))
    assert env._picture._end.caption == "2 of 2 predators on the prey"
    assert env.talk.env.scene(env.talk.env.state).caption == "0 of 2 predators on the prey"
    assert not np.array_equal(env.render(), draw(env.talk.env.scene(env.talk.env.state), heading="step 1, the last"))


def test_pictures_of_turns_one_by_one() -> None:
    env = ToAEC(SpeakerListener(rounds=2), vocab_size=3, speakers=["speaker"], render_mode="rgb_array")
    env.reset(seed=0)
    for agent in env.agent_iter():
        *_, terminated, truncated, _ = env.last()
        env.step(None if terminated or truncated else env.action_space(agent).sample())
        assert env.render().dtype == np.uint8


@pytest.mark.parametrize("form", [ToParallel, ToAEC])
def test_without_a_render_mode_nothing_is_drawn_and_others_are_refused(form: Any) -> None:
    env = form(SpeakerListener())
    env.reset(seed=0)
    assert env.render() is None and env.talk.env.on_end is None
    with pytest.raises(ValueError, match="render_mode='human': must be 'rgb_array'"):
        form(SpeakerListener(), render_mode="human")
