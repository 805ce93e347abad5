"""Experiments by name: what is built, and what is refused with the nearest valid name."""

import functools

import pytest
import torch

from heliograph import registry
from heliograph.channels.base import Channel
from heliograph.channels.dru import DRU
from heliograph.channels.garbled import Garbled
from heliograph.channels.symbols import Symbols
from heliograph.channels.wrapper import Wrapper
from heliograph.envs.base import TeamEnv
from heliograph.envs.identity import Identity
from heliograph.experiments.choices import (
    EnvChoice,
    EnvFacts,
    PolicyChoice,
    TeamChoices,
    build_channel,
    build_env,
    build_layout,
    build_team,
    build_topology,
    facts_of,
    resolve,
)
from heliograph.models.cnet import CNet
from heliograph.registry import UnknownNameError
from heliograph.types import Choice, Tree


@pytest.fixture
def facts() -> EnvFacts:
    return facts_of(Identity())


def test_environments_by_name_class_path_and_function() -> None:
    settings = {"values": 3}
    for env in ("identity", Identity, "heliograph.envs.identity:Identity", functools.partial(Identity)):
        made = build_env(EnvChoice(env=env, settings=settings), num_envs=5, seed=2)
        assert isinstance(made, Identity) and made.values == 3 and made.num_envs == 5


def test_facts_of_an_environment(facts: EnvFacts) -> None:
    assert facts.agents == ("agent_0", "agent_1") and facts.horizon == 2
    assert facts.state_size == 4 and facts.team_of_agent == (0, 0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: resolve("env", "identiti"), "unknown env 'identiti'; did you mean 'identity'"),
        (lambda: resolve("model", "c_net"), "unknown model 'c_net'; did you mean 'cnet'"),
        (lambda: resolve("chanel", "dru"), "unknown kind of component 'chanel'; did you mean 'channel'"),
        (lambda: build_channel("garbled+dur", {}), "unknown channel 'dur'; did you mean 'dru'"),
        (lambda: build_env(EnvChoice(env="identity", settings={"value": 3}), num_envs=1), "did you mean 'values'"),
        (lambda: build_channel("dru", {"bit": 1}), "unknown setting of channel 'dru' 'bit'; did you mean 'bits'"),
        (lambda: build_topology("full", {"mask": []}), "unknown setting of topology 'full' 'mask'"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(make, words: str) -> None:
    with pytest.raises(UnknownNameError, match=words):
        make()


def test_unknown_settings_of_models_and_unknown_keys(facts: EnvFacts) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'layers'"):
        build_team(TeamChoices(model_settings={"layer": 3}), facts)
    with pytest.raises(ValueError, match="modell"):
        TeamChoices(modell="cnet")


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("model", "no.such.module:Thing", "cannot be imported"),
        ("model", "heliograph.models.cnet:Nett", "cannot be imported"),
    ],
)
def test_bad_import_paths(kind: str, name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        resolve(kind, name)


def test_an_environment_that_is_none() -> None:
    with pytest.raises(ValueError, match="must make a heliograph TeamEnv"):
        build_env(EnvChoice(env=lambda **settings: object()), num_envs=1)


# ---- channels and their wrappers ----------------------------------------------------------------------------------


def test_wrappers_are_written_outermost_first() -> None:
    channel = build_channel("garbled+dru", {"bits": 3})
    assert isinstance(channel, Garbled) and isinstance(channel.inner, DRU) and channel.inner.length == 3
    twice = build_channel(" garbled + garbled + symbols ", {"vocabulary": 7, "length": 2})
    assert isinstance(twice.inner.inner, Symbols) and twice.payload_size == 14


def test_classes_are_channels_too() -> None:
    assert isinstance(build_channel(DRU, {"bits": 5}), DRU)


class Loud(Wrapper):
    """A wrapper with settings, one of which it shares with the channel inside."""

    def __init__(self, inner: Channel, *, volume: float = 1.0, sigma: float = 0.0):
        super().__init__(inner)
        self.volume, self.sigma = volume, sigma

    def draw_own(
        self, channel_input: torch.Tensor, *, generator: torch.Generator | None, choice: Choice
    ) -> dict[str, Tree]:
        return {}


def test_settings_go_to_whoever_knows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heliograph.experiments.choices.resolve", lambda kind, name: {"loud": Loud, "dru": DRU}[name])
    channel = build_channel("loud+dru", {"volume": 3.0, "bits": 4, "sigma": 0.5})
    assert (channel.volume, channel.sigma, channel.inner.length, channel.inner.sigma) == (3.0, 0.5, 4, 0.5)
    with pytest.raises(UnknownNameError, match=r"Valid: anneal_env_steps, bits, .*sigma, .*threshold, volume"):
        build_channel("loud+dru", {"inner": 3})


@pytest.mark.parametrize(("name", "words"), [("garbled", "wraps another"), ("dru+symbols", "wraps no other")])
def test_senseless_wrapping_is_refused(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build_channel(name, {})


# ---- settings -----------------------------------------------------------------------------------------------------


def test_settings_are_those_of_the_constructor_and_for_environments_the_common_ones() -> None:
    common = {"num_envs", "device", "seed", "time_limit", "talk_steps"}
    assert set(registry.settings_of(Identity)) == {"values", *common}
    assert set(registry.settings_of(Symbols)) >= {"vocabulary", "length", "gradient", "temperature"}
    assert set(registry.settings_of(Garbled)) == set()
    assert set(registry.settings_of(resolve("channel", "none"))) == set()
    assert set(registry.settings_of(resolve("model", "silent"))) == {"size"}, "inherited with its constructor"
    assert set(registry.settings_of(CNet)) >= {"size", "layers", "message_norm"}
    assert registry.settings_of(Identity)["talk_steps"].default == 0
    for kind in ("channel", "model", "topology"):
        for name in registry.names(kind):
            assert not {"input_size", "payload_size", "spec"} & set(registry.settings_of(registry.load(kind, name)))


def test_settings_that_are_passed_on_are_settings() -> None:
    class Passing(Identity):
        def __init__(self, *, extra: int = 1, **settings):
            super().__init__(**settings)

    def make(*, size: int = 3, **base) -> TeamEnv:
        raise NotImplementedError

    assert set(registry.settings_of(Passing)) == {"extra", *registry.settings_of(Identity)}
    assert set(registry.settings_of(make)) == {"size"}


# ---- teams --------------------------------------------------------------------------------------------------------


def test_a_policy_may_have_a_model_of_its_own(facts: EnvFacts) -> None:
    policies = {
        "talker": PolicyChoice(agents=("agent_0",)),
        "mute": PolicyChoice(agents=("agent_1",), model="silent", model_settings={"size": 9}),
    }
    team = build_team(TeamChoices(policies=policies, model_settings={"size": 24}), facts)
    assert team.policies["talker"].model.hidden_size == 24 and team.policies["mute"].model.hidden_size == 9
    assert team.policies["mute"].message_encoder is None and team.talks.tolist() == [True, False]


def test_one_policy_name_is_reserved(facts: EnvFacts) -> None:
    with pytest.raises(ValueError, match="'team' is reserved"):
        build_layout(TeamChoices(policies={"team": PolicyChoice(agents=facts.agents)}), facts)


def test_a_seed_decides_the_weights_and_leaves_the_global_stream_alone(facts: EnvFacts) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, again, other = (build_team(TeamChoices(), facts, seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    pairs = zip(one.state_dict().values(), again.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(one.policies["agent"].message_encoder.weight, other.policies["agent"].message_encoder.weight)


@pytest.mark.parametrize("kind", ["channel", "topology", "model"])
def test_what_is_no_component_is_refused_by_name(kind: str) -> None:
    with pytest.raises(ValueError, match=rf"{kind}=\{{'agent_0': 'dru'\}}: must be a name, .* a team has one {kind}"):
        resolve(kind, {"agent_0": "dru"})
