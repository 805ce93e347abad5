"""Every environment passes every check, and every check fails on an environment that breaks its promise."""

import dataclasses
import functools

import pytest
import torch
from gymnasium import spaces

from heliograph import registry
from heliograph.envs.base import TeamEnv
from heliograph.envs.colour_digit import ColourDigit
from heliograph.envs.combat import Combat
from heliograph.envs.discrimination import DiscriminationGame
from heliograph.envs.graph_colouring import GraphColouring
from heliograph.envs.identity import Identity
from heliograph.envs.multistep_digits import MultistepDigits
from heliograph.envs.predator_prey import PredatorPrey
from heliograph.envs.reconstruction import ReconstructionGame
from heliograph.envs.scene import Mark
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.envs.switch_riddle import SwitchRiddle
from heliograph.envs.traffic_junction import TrafficJunction
from heliograph.testing import CHECKS, ConformanceError, check_env, episodes, random_actions
from heliograph.testing.mixed import DRIVERS, SCOUTS, Mixed

ENVS = {name: functools.partial(registry.load, "env", name) for name in registry.names("env")}
VARIANTS = {
    "mixed": Mixed,
    "speaker_listener-rounds-dict": functools.partial(SpeakerListener, goals=4, rounds=3, observation="dict"),
    "colour_digit-image": functools.partial(ColourDigit, observation="image", split="test", team_reward="sum"),
    "multistep_digits-2": functools.partial(MultistepDigits, steps=2, observation="image"),
    "combat-2": functools.partial(Combat, soldiers=2, size=6, steps=12, vision=2),
    "graph_colouring-2": functools.partial(GraphColouring, agents=6, degree=2, colours=2, steps=3),
    "predator_prey-cooperative": functools.partial(PredatorPrey, size=4, vision=1, mode="cooperative"),
    "predator_prey-competitive": functools.partial(PredatorPrey, size=3, steps=5, mode="competitive"),
    "traffic_junction-short": functools.partial(TrafficJunction, steps=6, cars=3, vision=1, p_arrive=0.7),
    "discrimination-digits": functools.partial(
        DiscriminationGame, objects="digits", observation="image", views="other", split="test"
    ),
    "reconstruction-exchange": functools.partial(
        ReconstructionGame, reward="share", split="train", listeners=2, exchange=True
    ),
    "switch_riddle-4": functools.partial(SwitchRiddle, prisoners=4),
}
MAAC = ("rover_tower", "treasure_collection")
each_env = pytest.mark.parametrize("name", [*ENVS, *VARIANTS])


def maker(name: str):
    return ENVS[name]() if name in ENVS else VARIANTS[name]


def test_the_environments_of_this_package_are_exactly_these() -> None:
    own = [
        "classification", "colour_digit", "combat", "discrimination", "graph_colouring", "identity", "levers",
        "mpe_adversary", "mpe_crypto", "mpe_push", "mpe_reference", "mpe_spread", "mpe_speaker_listener", "mpe_tag",
        "mpe_world_comm", "multistep_digits", "predator_prey", "reconstruction", "rover_tower", "speaker_listener",
        "switch_riddle", "traffic_junction", "treasure_collection",
    ]  # fmt: skip
    assert registry.names("env") == sorted(own)
    for name in registry.names("env"):
        assert issubclass(registry.load("env", name), TeamEnv)


@each_env
@pytest.mark.parametrize("check", CHECKS)
def test_conformance(name: str, check: str) -> None:
    CHECKS[check](maker(name))


@pytest.mark.parametrize("name", [name for name in (*ENVS, *VARIANTS) if not name.startswith(("mpe_", *MAAC))])
def test_rules_alone_never_truncate_but_in_tasks_that_are_cut_off(name: str) -> None:
    env = maker(name)(num_envs=8)
    step, generator = env.reset(), torch.Generator().manual_seed(0)
    for _ in range(30):
        step = env.step(random_actions(env, step=step, generator=generator))
        assert not step.truncated.any()


# ---- environments that break one promise each ------------------------------------------------------------------------


class DoubleRewards(Identity):
    def advance(self, state, actions):
        state, outcome = super().advance(state, actions)
        return state, dataclasses.replace(outcome, rewards=outcome.rewards.double())


class OutOfBounds(Identity):
    def observe(self, state):
        view = super().observe(state)
        return dataclasses.replace(view, observations={"agent": view.observations["agent"] * 2})


class ActsUnseeing(Identity):
    def observe(self, state):
        view = super().observe(state)
        return dataclasses.replace(view, observing=~view.acting)


class HeedsTheAbsent(SwitchRiddle):
    def advance(self, state, actions):
        state, outcome = super().advance(state, actions)
        return state, dataclasses.replace(outcome, rewards=outcome.rewards + actions["prisoner"].float())


class PaysTheGone(Mixed):
    def advance(self, state, actions):
        state, outcome = super().advance(state, actions)
        rewards = outcome.rewards.clone()
        rewards[:, DRIVERS] += 0.5
        return state, dataclasses.replace(outcome, rewards=rewards)


class ShortHorizon(SpeakerListener):
    @property
    def horizon(self):
        return 1 + self.talk_steps


class Flickers(SpeakerListener):
    def observe(self, state):
        view = super().observe(state)
        noise = torch.rand(self.num_envs, 1, 1, generator=self.generator)
        return dataclasses.replace(view, observations={**view.observations, "listener": noise})


class NoLimit(SwitchRiddle):
    def start(self):
        self.time_limit = None
        return super().start()


class NeverWaits(SpeakerListener):
    @property
    def horizon(self):
        return 2


class GlobalRandomness(Identity):
    def start(self):
        return dataclasses.replace(super().start(), value=torch.randint(self.values, (self.num_envs, 2)))


class DeafToSeeds(Identity):
    def pass_seed(self, seed):
        self.generator.manual_seed(0)
        self.start_generator.manual_seed(0)


class HiddenState(SwitchRiddle):
    days_so_far = 0

    def advance(self, state, actions):
        state, outcome = super().advance(state, actions)
        self.days_so_far += 1
        return state, dataclasses.replace(outcome, rewards=outcome.rewards + self.days_so_far % 7)


class WritesIntoTheState(Identity):
    def advance(self, state, actions):
        moved, outcome = super().advance(state, actions)
        state.time.add_(1)
        return moved, outcome


class KeepsTheStart(SpeakerListener):
    """Its goal is in an attribute, of which the state knows nothing."""

    def start(self):
        state = super().start()
        self.goal = state.goal
        return state

    def advance(self, state, actions):
        moved, outcome = super().advance(dataclasses.replace(state, goal=self.goal), actions)
        self.goal = moved.goal
        return moved, outcome


class Grows(Identity):
    def advance(self, state, actions):
        moved, outcome = super().advance(state, actions)
        return dataclasses.replace(moved, time=moved.time.int()), outcome


class KnowsItsCopies(Identity):
    """Made for one number of copies."""

    def __init__(self, **base):
        super().__init__(**base)
        self.yes = torch.ones(self.num_envs, 2, dtype=torch.bool)

    def observe(self, state):
        view = super().observe(state)
        view.observing = self.yes
        return view


class Elsewhere(Identity):
    def observe(self, state):
        view = super().observe(state)
        return dataclasses.replace(view, positions=torch.zeros(self.num_envs, 2, 2, device="meta"))


class LosesSight(SwitchRiddle):
    def scene(self, state, copy=0):
        scene = super().scene(state, copy)
        return dataclasses.replace(scene, agents=tuple(a for a in scene.agents if a.mark is Mark.DONE))


class LonelyAndSad(SpeakerListener):
    def advance(self, state, actions):
        state, outcome = super().advance(state, actions)
        rewards = outcome.rewards - outcome.rewards.mean() if self.num_envs == 1 else outcome.rewards
        return state, dataclasses.replace(outcome, rewards=rewards)


class Boasts(SpeakerListener):
    def bounds(self):
        return dataclasses.replace(super().bounds(), random=0.0)


class SolvesBadly(SwitchRiddle):
    def oracle(self, state):
        return {"prisoner": torch.ones(self.num_envs, self.prisoners, dtype=torch.long)}


class Placed(Identity):
    def observe(self, state):
        places = torch.zeros(self.num_envs, 2, 2)
        return dataclasses.replace(
            super().observe(state), positions=places if self.generator.initial_seed() % 2 else None
        )


BROKEN = [
    (Placed, "check_fields", "always or never"),
    (DoubleRewards, "check_shapes", "rewards to be torch.float32"),
    (OutOfBounds, "check_spaces", r"observations\['agent'\] within Box"),
    (ActsUnseeing, "check_masks", "whoever acts to observe"),
    (HeedsTheAbsent, "check_masks", "not acting to change nothing"),
    (PaysTheGone, "check_masks", "no reward for an agent that is gone"),
    (ShortHorizon, "check_endings", "at most 1 steps"),
    (Flickers, "check_auto_reset", "observations of the new episode"),
    (NoLimit, "check_time_limit", "longer than time_limit=1"),
    (NeverWaits, "check_talk_steps", "horizon to grow by talk_steps"),
    (GlobalRandomness, "check_seeding", "from equal seeds"),
    (DeafToSeeds, "check_seeding", "from another seed"),
    (WritesIntoTheState, "check_states", "write nothing into the state"),
    (KeepsTheStart, "check_states", "keep all that changes in the state"),
    (Grows, "check_states", "shapes and dtypes"),
    (KnowsItsCopies, "check_states", "observing has shape"),
    (HiddenState, "check_state_round_trip", "keep all that changes in the state"),
    (Elsewhere, "check_device", "not on meta"),
    (LosesSight, "check_scene", "in the order of slots"),
    (LonelyAndSad, "check_statistics", "mean return for 1 copy"),
    (Boasts, "check_bounds", r"bounds\(\).random=0.0000"),
    (SolvesBadly, "check_bounds", r"bounds\(\).full_information=0.7407"),
]


@pytest.mark.filterwarnings("ignore:.*outside of Box:UserWarning")
@pytest.mark.parametrize(("broken", "check", "words"), BROKEN)
def test_a_broken_promise_is_found_and_named(broken: type[TeamEnv], check: str, words: str) -> None:
    with pytest.raises(ConformanceError, match=f"^{broken.__name__} fails {check}: expected .*{words}"):
        CHECKS[check](broken)


def test_every_check_can_fail() -> None:
    assert {check for _, check, _ in BROKEN} == set(CHECKS)


def test_check_env_runs_all_checks_and_names_settings() -> None:
    check_env(Identity)
    with pytest.raises(ConformanceError, match=r"ShortHorizon\(goals=2\) fails check_endings"):
        check_env(functools.partial(ShortHorizon, goals=2))


def test_an_error_inside_an_environment_keeps_its_own_words() -> None:
    class Crashes(Identity):
        def observe(self, state):
            raise KeyError("beacon")

    with pytest.raises(KeyError, match="beacon") as caught:
        check_env(Crashes)
    assert "check_shapes" in caught.value.__notes__[0]


def test_random_actions_are_legal_and_cover_the_space() -> None:
    env = Mixed(num_envs=500)
    step = env.reset()
    actions = random_actions(env, step=step, generator=torch.Generator().manual_seed(0))
    allowed = step.action_mask["scout"]
    assert allowed.gather(-1, actions["scout"][..., None]).all()
    assert torch.bincount(actions["scout"].flatten()).min() > 150
    assert actions["driver"].flatten(0, 1).unique(dim=0).shape == (6, 2)
    assert actions["drone"].shape == (500, 1, 2)
    assert (actions["drone"].abs() <= 1).all()
    assert actions["drone"].std() > 0.5
    for role in env.roles:
        assert role.action_space.contains(actions[role.name][0, 0].numpy().astype(role.action_space.dtype))


def test_an_unbounded_box_is_drawn_from_a_normal() -> None:
    env = Identity(num_envs=500)
    env.roles = (dataclasses.replace(env.roles[0], action_space=spaces.Box(-torch.inf, torch.inf, (2,))),)
    actions = random_actions(env, step=env.reset(), generator=torch.Generator().manual_seed(0))["agent"]
    assert actions.shape == (500, 2, 2)
    assert actions.std() == pytest.approx(1.0, abs=0.1)


def test_episodes_are_whole_and_counted_once() -> None:
    returns, lengths = episodes(SpeakerListener(rounds=3, num_envs=10), number=25)
    assert len(returns) == len(lengths) == 30
    assert lengths.unique().tolist() == [6]
    assert set(returns.tolist()) <= {-3.0, -1.0, 1.0, 3.0}


def test_mixed_pays_what_it_says_step_by_step() -> None:
    env = Mixed(num_envs=64, seed=1)
    step = env.reset()
    offset, length = env.state.offset, env.state.length
    total = torch.zeros(64, 6)
    for time in range(7):
        on_turn = time % 2
        assert step.observing[:, SCOUTS].tolist() == [[on_turn == 0, on_turn == 1]] * 64
        away = (time > 1 + offset) & (time < 5 + offset)
        assert torch.equal(~step.observing[:, 4], away)
        assert step.speaking.any() == (time not in (2, 3))
        step = env.step(env.oracle(env.state))
        total += step.rewards
        over = step.episode_over[:, None]
        left = torch.stack([time == 2 + offset, time == 1 + offset], 1)
        assert torch.equal(step.terminated[:, 3:5], left | over)
        assert not step.terminated[:, [0, 1, 2, 5]][~step.episode_over].any()
        assert torch.equal(step.rewards[:, 4], torch.where(away, 0.0, 1.0 + 2.0 * left[:, 1]))
        owed = torch.tensor([0.0, 0.0]) if time == 0 else torch.tensor([float(on_turn), float(1 - on_turn)])
        extra = torch.tensor([float(1 - on_turn), float(on_turn)])
        assert torch.equal(step.rewards[:, SCOUTS], torch.where(over, owed + extra, owed))
    short = length == 7
    assert torch.equal(step.episode_over, short)
    assert total[short].unique(dim=0).tolist() == [[4, 3, 7, 9, 6, 7]]


def test_mixed_refills_a_slot_with_a_new_target() -> None:
    env = Mixed(num_envs=500, seed=2)
    step, changed = env.reset(), []
    for _ in range(4):
        before = env.oracle(env.state)["driver"].clone()
        step = env.step(env.oracle(env.state))
        refilled = step.terminated[:, 3]
        differs = (env.oracle(env.state)["driver"] != before).any(-1)
        assert not differs[:, 0].any()
        assert not differs[~refilled, 1].any()
        changed.append(differs[refilled, 1])
        assert step.observing[:, 3].all()
        assert (step.observations["driver"][refilled, 1, -1] == 0).all()
    assert torch.cat(changed).float().mean().item() == pytest.approx(5 / 6, abs=0.08)
