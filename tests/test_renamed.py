"""Keyword arguments and attributes under older names: they work, with a warning, wherever they may be given."""

import dataclasses
import inspect
from typing import Any

import pytest
import torch
from gymnasium import spaces

from heliograph.analysis import evaluate, judging
from heliograph.channels.base import Channel
from heliograph.channels.wrapper import Wrapper
from heliograph.cli.migrating import rewritten
from heliograph.cli.migrating_hooks import left_to_do
from heliograph.envs.base import TeamEnv
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_channel, build_env, make_env
from heliograph.models.base import ModelSpec
from heliograph.models.cnet import CNet
from heliograph.models.scripted import ScriptedOutput
from heliograph.renamed import KEYWORDS, present_keywords, present_weights
from heliograph.testing import check_channel
from heliograph.topologies.base import Topology, no_edges
from heliograph.types import Choice, Edges, Gradient, Message, MessageForm, TeamStep, Tree
from tests.parts import make_sampler

SPEC = ModelSpec(observation_space=spaces.Box(0, 1, (3,)), action_space=spaces.Discrete(2), num_agents=1, state_size=3)
warned = pytest.warns(DeprecationWarning, match="num_envs")


def warned_of(present: str) -> Any:
    return pytest.warns(DeprecationWarning, match=f"is called {present}= now")


def test_an_environment_takes_and_shows_its_number_under_the_older_name() -> None:
    with warned:
        env = SpeakerListener(num_copies=3)
    assert env.num_envs == 3
    with warned:
        assert env.num_copies == 3
    with warned:
        assert make_env("speaker_listener", num_copies=5).num_envs == 5


def test_both_names_at_once_are_refused() -> None:
    with pytest.raises(TypeError, match="num_copies= and num_envs= are two names of one argument"):
        SpeakerListener(num_copies=3, num_envs=3)


class Older(SpeakerListener):
    """An environment written with the older name throughout."""

    def __init__(self, *, num_copies: int = 1, device: str = "cpu", seed: int = 0) -> None:
        super().__init__(num_copies=num_copies, device=device, seed=seed)


def older_function(num_copies: int, seed: int, device: str) -> TeamEnv:
    """Make an environment, with the older name."""
    return SpeakerListener(num_envs=num_copies, seed=seed, device=device)


@pytest.mark.parametrize("made", [Older, older_function])
def test_what_was_written_for_the_older_name_is_called_by_it(made: Any) -> None:
    with warned:
        assert build_env(EnvChoice(env=made), num_envs=4).num_envs == 4
    by_path = EnvChoice(env=f"{__name__}:{made.__name__}")
    with warned:
        assert build_env(by_path, num_envs=4).num_envs == 4


def test_every_public_function_with_the_present_name_takes_the_older() -> None:
    for module in (evaluate, judging):
        for function in vars(module).values():
            public = (
                inspect.isfunction(function) and function.__module__ == module.__name__ and function.__name__[0] != "_"
            )
            if public and "num_envs" in inspect.signature(function).parameters:
                with pytest.raises(TypeError, match="two names of one argument"):
                    function(num_copies=1, num_envs=1)


def test_other_arguments_pass_through() -> None:
    assert present_keywords({"seed": 3}, what="it") == {"seed": 3}
    for old, new in KEYWORDS.items():
        with pytest.warns(DeprecationWarning, match=f"{old}= is called {new}= now"):
            assert present_keywords({old: 1}, what="it") == {new: 1}


def test_migrate_renames_in_files_that_name_heliograph_alone() -> None:
    assert rewritten("import heliograph as hg\nhg.make_env(num_copies=3)\n").endswith("hg.make_env(num_envs=3)\n")
    assert rewritten("import gym\ngym.make(num_copies=3)\n").endswith("gym.make(num_copies=3)\n")


def test_a_model_that_speaks_without_knowing_the_round_still_does() -> None:
    with pytest.warns(DeprecationWarning, match=r"Terse\.speak\(hidden\) is called with .* round_index now"):

        class Terse(CNet):
            """Says half of what it means."""

            def speak(self, hidden: torch.Tensor) -> torch.Tensor:
                return super().speak(hidden) / 2

    assert torch.equal(Terse(SPEC).speak(torch.ones(1, 1, 128), round_index=1), torch.full((1, 1, 128), 0.5))


def test_hooks_of_a_model_are_called_by_their_older_names() -> None:
    with pytest.warns(DeprecationWarning, match=r"Older.*\.build_mouth is called build_message_encoder now"):

        class OlderModel(CNet):
            """Halves what its parent's encoder says."""

            def build_mouth(self, size: int) -> torch.nn.Module:
                with pytest.warns(DeprecationWarning, match="build_mouth is called build_message_encoder now"):
                    own = super().build_mouth(size)
                torch.nn.init.constant_(own.weight, 0.5)
                return own

    with pytest.warns(DeprecationWarning, match="Model.intent_size is called message_size now"):
        assert OlderModel(SPEC).intent_size == 128
    assert OlderModel(SPEC).build_message_encoder(2).weight.unique().tolist() == [0.5]


class OlderChannel(Channel):
    """A wire, with the older names."""

    gradient = Gradient.PATHWISE

    def __init__(self) -> None:
        with pytest.warns(DeprecationWarning, match="intent_size= is called input_size= now"):
            super().__init__(intent_size=3, payload_size=3, vocabulary=None, length=0, bits_per_message=96.0)

    def sample(self, intent: torch.Tensor, *, generator: torch.Generator | None, choice: Choice) -> Tree:
        return None

    def send(self, intent: torch.Tensor, *, draw: Tree, form: MessageForm, state: Tree = None) -> tuple[Message, Tree]:
        return Message(payload=intent, symbols=None, bits=intent.new_full(intent.shape[:-1], 96.0)), state

    def babble(self, like: torch.Tensor, *, generator: torch.Generator | None) -> Message:
        return self.send(torch.rand(like.shape, generator=generator), draw=None, form=MessageForm.EXECUTION)[0]


def test_a_channel_of_older_names_works() -> None:
    channel = OlderChannel()
    assert channel.input_size == 3
    with pytest.warns(DeprecationWarning, match="Channel.intent_size is called input_size now"):
        assert channel.intent_size == 3
    check_channel(OlderChannel)


def test_what_a_script_says_may_be_called_intent() -> None:
    what = {"action_inputs": torch.zeros(1, 1, 2), "memory": torch.zeros(1, 1, 0)}
    with warned_of("channel_input"):
        assert ScriptedOutput(intent=torch.ones(1, 1, 3), **what).channel_input.sum() == 3


def test_settings_and_weights_of_older_files_are_read_by_present_names() -> None:
    choices = TeamChoices(model="cnet", model_settings={"mouth_gain": 2.0})
    assert choices.model_settings == {"message_gain": 2.0}
    own = {"intent": 1, "intent_size": 2, "num_copies": 3}  # a component of the user's may call its settings so
    assert TeamChoices(channel_settings=own, model_settings=own).channel_settings == own
    old = dict.fromkeys(("policies.ear.ear.0.weight", "policies.a.mouth.bias", "ear.1.bias", "policies.a.model.ear.b"))
    assert [*present_weights(old)] == [
        "policies.ear.message_decoder.0.weight",
        "policies.a.message_encoder.bias",
        "message_decoder.1.bias",
        "policies.a.model.ear.b",
    ]


def test_a_policy_takes_weights_that_were_saved_under_older_names() -> None:
    one, other = (make_sampler("mixed", model="cnet", channel="dru", seed=seed).team for seed in (1, 2))
    older = {
        name.replace("message_encoder", "mouth").replace("message_decoder", "ear"): value
        for name, value in one.state_dict().items()
    }
    assert older.keys() != one.state_dict().keys()
    other.load_state_dict(older)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_an_unrolled_rollout_tells_what_went_into_the_channel_under_the_older_name() -> None:
    sampler = make_sampler("mixed", model="cnet", channel="dru")
    unrolled = sampler.team.unroll(sampler.fragment(2))
    with pytest.warns(DeprecationWarning, match="Unrolled.intents is called channel_inputs now"):
        assert unrolled.intents is unrolled.channel_inputs


OLD_HOOKS = """from heliograph import TeamEnv, Topology, Wrapper


class Near(Topology):
    def _edges(self, step):
        return self._edges_of(step)

    def _edges_of(self, step): ...


class Loud(Wrapper):
    def _draw(self, channel_input, *, generator, choice):
        return {}

    def _said(self, message, *, draw):
        return super()._said(message, draw=draw)


class Fog(TeamEnv):
    def _seed(self, seed): super()._seed(seed)

    def _start(self, starting): ...


class Other:
    def _edges(self): ...
"""


def test_migrate_renames_hooks_of_own_classes_and_tells_the_rest() -> None:
    new = rewritten(OLD_HOOKS)
    assert "def pattern(self, step):\n        return self._edges_of(step)" in new
    assert "return super().change_message(message, draw=draw)" in new and "def draw_own(" in new
    assert "def pass_seed(self, seed): super().pass_seed(seed)" in new
    assert new.endswith("class Other:\n    def _edges(self): ...\n")
    (left,) = left_to_do(new)
    assert new.splitlines()[left[0] - 1] == "class Fog(TeamEnv):" and "fills in _start" in left[1]
    asked = "best = env.oracle()\nenv.scene(1)\nenv.oracle(env.state)\nenv.scene(state, 1)\n"
    assert [line for line, _ in left_to_do(asked)] == [1, 2]


def test_hooks_under_older_names_are_called_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match=r"Before\._edges is called pattern now"):

        class Before(Topology):
            def _edges(self, step: TeamStep) -> Edges:
                return no_edges(step.speaking.shape[1], step.speaking.device)

    env = SpeakerListener()
    assert Before().edges(env.reset()).mask.shape == (1, 2, 0)

    with pytest.warns(DeprecationWarning, match=r"Louder\._(draw|said) is called"):

        class Louder(Wrapper):
            def _draw(self, channel_input: Any, *, generator: Any, choice: Any) -> dict[str, Any]:
                return {}

            def _said(self, message: Message, *, draw: Any) -> Message:
                message = super()._said(message, draw=draw)
                return dataclasses.replace(message, payload=message.payload * 2)

    plain = build_channel("continuous", {})
    channel_input = torch.ones(3, 2, plain.input_size)
    draw = Louder(plain).sample(channel_input, generator=None, choice=Choice.SAMPLED)
    louder, _ = Louder(plain).send(channel_input, draw=draw, form=MessageForm.TRAINING)
    said, _ = plain.send(channel_input, draw=draw["said"], form=MessageForm.TRAINING)
    assert torch.equal(louder.payload, 2 * said.payload)
