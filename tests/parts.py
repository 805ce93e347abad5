"""Teams to test with: every channel and estimator, every model and environment, and parts made for tests."""

import dataclasses
import functools
import inspect
from typing import Any

import torch
from torch import Tensor, nn

from heliograph import registry
from heliograph.channels.wrapper import Wrapper
from heliograph.envs.base import TeamEnv
from heliograph.envs.predator_prey import PredatorPrey
from heliograph.experiments.choices import (
    EnvFacts,
    PolicyChoice,
    TeamChoices,
    build_channel,
    build_team,
    facts_of,
    resolve,
)
from heliograph.models.base import Model, ModelSpec, Perceived
from heliograph.models.blocks import InputTorso
from heliograph.models.commnet import CommNet
from heliograph.models.scripted import ScriptedOutput
from heliograph.rollouts.sampler import Sampler
from heliograph.team.team import Team
from heliograph.testing.small_teams import ENVS, stir
from heliograph.topologies.base import Topology
from heliograph.types import Edges, Heard, Inputs, TeamStep, Timing, tensors_of

MORE_ENVS = {"predator_prey": PredatorPrey}
ESTIMATORS = {"continuous": ("pathwise", "score"), "symbols": ("score", "gumbel", "straight_through")}


EACH_KIND = ("continuous-pathwise", "dru", "symbols-score")
SPELT = {"words-gru": ("garbled", "relabelled"), "words-lstm": ("noisy",), "words-transformer": ()}
"""Words that are spelt, and the wrappers in which they are tried: with one each is another."""
NEEDED: dict[str, dict[str, Any]] = {"limited": {"max_messages": 1}}
"""Settings without which a channel cannot be made."""


STACKS: dict[str, tuple[str, dict[str, Any]]] = {
    "garbled+gated+dru": ("garbled+gated+dru", {}),
    "gated+noisy+symbols-score": ("gated+noisy+symbols", {}),
    "garbled+gated+noisy+symbols-score": ("garbled+gated+noisy+symbols", {}),
    "delayed+limited+lossy+gated+dru": ("delayed+limited+lossy+gated+dru", {"max_messages": 2, "drop": 0.3}),
}


def changes_arrivals(name: str) -> bool:
    """Whether a wrapper decides which messages arrive."""
    return registry.load("channel", name).change_arrivals is not Wrapper.change_arrivals


def wraps(name: str) -> bool:
    """Whether a channel wraps another."""
    parameters = inspect.signature(registry.load("channel", name)).parameters.values()
    return any(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters)


def channels() -> dict[str, tuple[str, dict[str, Any]]]:
    """Every channel with each of its estimators, then each of these inside every wrapper, then some stacks of them.

    Wrappers that only decide what arrives do not care for estimators: they wrap one of each kind.
    """
    plain: dict[str, tuple[str, dict[str, Any]]] = {}
    for name in registry.names("channel"):
        if not wraps(name):
            own = {f"{name}-{g}": (name, {"gradient": g}) for g in ESTIMATORS.get(name, ())}
            plain |= own or {name: (name, {})}
    for network, gradient in (("gru", "score"), ("lstm", "gumbel"), ("transformer", "straight_through")):
        settings = {"gradient": gradient, "spelling": network, "spelling_size": 8, "length": 3, "eos": True}
        plain[f"words-{network}"] = ("symbols", settings)
    wrapped = {
        f"{wrapper}+{key}": (f"{wrapper}+{name}", {**settings, **NEEDED.get(wrapper, {})})
        for wrapper in filter(wraps, registry.names("channel"))
        for key, (name, settings) in plain.items()
        if name != "none"
        and (key in EACH_KIND or not changes_arrivals(wrapper))
        and (key not in SPELT or wrapper in SPELT[key])
        and (wrapper != "relabelled" or key in ("symbols-score", "symbols-gumbel", "words-gru"))
    }
    return plain | wrapped | STACKS


CHANNELS = channels()


def script(inputs: Inputs, memory: Tensor, heard: Heard | None, *, actions: int, channel_inputs: int) -> ScriptedOutput:
    """Deterministic, and it depends on everything that a script may depend on."""
    agent = inputs.last_action.shape[:-1]
    seen = sum(x.reshape(*agent, -1).float().sum(-1, keepdim=True) for x in tensors_of(inputs.observation))
    told = torch.zeros_like(seen) if heard is None else heard.total().sum(-1, keepdim=True)
    mood = torch.sin(seen + 0.7 * told + memory.sum(-1, keepdim=True))
    return ScriptedOutput(
        action_inputs=mood * torch.linspace(-1, 1, actions, device=mood.device),
        channel_input=mood * torch.linspace(-2, 2, channel_inputs, device=mood.device),
        memory=torch.cat([mood, memory[..., :1]], -1),
    )


class Chatter(Model):
    """Two rounds of messages within the step, and a memory."""

    timing = Timing.SAME_STEP
    rounds = 2

    def __init__(self, spec: ModelSpec, *, size: int = 16):
        super().__init__(spec)
        self.hidden_size = self.message_size = self.memory_size = size
        self.torso = InputTorso(spec, size)
        self.cell = nn.GRUCell(size, size)
        self.mix = nn.Linear(size, size)
        self.head = nn.Linear(size, spec.action_inputs)

    def encode(self, inputs: Inputs) -> Tensor:
        return self.torso(inputs)

    def perceive(self, features: Tensor, memory: Tensor, inbox: Heard | None) -> Perceived:
        assert inbox is None
        state = self.cell(features.flatten(0, 1), memory.flatten(0, 1)).view_as(memory)
        return Perceived(hidden=state, memory=state)

    def listen(self, hidden: Tensor, heard: Heard) -> Tensor:
        return torch.tanh(hidden + self.mix(heard.total()))

    def act(self, hidden: Tensor) -> Tensor:
        return self.head(hidden)


class Ring(Topology):
    """Each agent hears the next one; sparse, K = 1."""

    def pattern(self, step: TeamStep) -> Edges:
        num_agents = step.speaking.shape[1]
        senders = (torch.arange(num_agents) + 1).remainder(num_agents).view(1, -1, 1)
        return Edges(senders=senders, mask=torch.ones_like(senders, dtype=torch.bool))


MODELS: dict[str, Any] = {
    **{name: name for name in registry.names("model")}, "chatter": Chatter,
    "commnet-rounds": functools.partial(CommNet, rounds=2),
}  # fmt: skip


def model_maker(name: str) -> Any:
    """What makes a small model from a specification; `name` is a key of `MODELS`."""
    if name == "scripted":
        return scripted
    cls = resolve("model", MODELS[name])
    return functools.partial(cls, size=16) if "size" in registry.settings_of(cls) else cls


def scripted(spec: ModelSpec) -> Model:
    """The script above as a model."""
    function = functools.partial(script, actions=spec.action_inputs, channel_inputs=spec.channel_input_size)
    return registry.load("model", "scripted")(spec, function=function, memory_size=2)


def choices(facts: EnvFacts, *, model: Any = "cnet", channel: str = "dru", **more: Any) -> TeamChoices:
    """Choices of a small team; `channel` is a key of `CHANNELS`."""
    name, settings = CHANNELS[channel]
    settings = {**settings, **more.pop("channel_settings", {})}
    base = TeamChoices(channel=name, channel_settings=settings, model=model, **more)
    if model != "scripted":
        return base
    policies, channel_inputs = {}, build_channel(name, settings).script_size
    for role in facts.roles:
        actions = ModelSpec(
            observation_space=role.observation_space, action_space=role.action_space, num_agents=1, state_size=0
        ).action_inputs
        function = functools.partial(script, actions=actions, channel_inputs=channel_inputs)
        own = {"function": function, "memory_size": 2}
        policies[role.name] = PolicyChoice(agents=role.agents, model="scripted", model_settings=own)
    return base.model_copy(update={"policies": policies})


def make_team(env: TeamEnv, *, model: Any = "cnet", channel: str = "dru", seed: int = 0, **more: Any) -> Team:
    """A team with weights large enough for everything to matter."""
    facts = facts_of(env)
    if model != "scripted" and "size" in registry.settings_of(resolve("model", model)):
        more["model_settings"] = {"size": 16, **more.get("model_settings", {})}
    return stir(build_team(choices(facts, model=model, channel=channel, **more), facts, seed=seed), seed=seed)


def make_sampler(name: str = "speaker_listener", *, copies: int = 6, seed: int = 0, **more: Any) -> Sampler:
    """A sampler of a team in one of `ENVS`; `time_limit` and the like in `env`."""
    env = {**ENVS, **MORE_ENVS}[name](num_envs=copies, seed=seed, **more.pop("env", {}))
    return Sampler(env, make_team(env, seed=seed, **more), seed=seed)


def replaced(step: TeamStep, **changes: Any) -> TeamStep:
    """A step with other fields."""
    return dataclasses.replace(step, **changes)
