"""An experiment as five choices by name, and how environments and teams are built from them (no ray)."""

import contextlib
import dataclasses
import importlib
import inspect
import pathlib
import re
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import torch
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from torch import Tensor, nn

from heliograph import registry
from heliograph.channels.base import Channel
from heliograph.envs.base import TeamEnv
from heliograph.envs.checking import EnvError, close, guarded, place_of, tried
from heliograph.envs.own_words import OwnWords
from heliograph.experiments.channel_layers import channel_text, layers_of
from heliograph.importing import absolute_names, file_of, imported
from heliograph.isolation import isolated
from heliograph.models.base import Model, ModelSpec
from heliograph.populations.base import Population
from heliograph.renamed import KEYWORDS, present_settings, renamed, understood_by
from heliograph.rollouts.meetings import Meetings
from heliograph.team.assignment import Layout, one_policy_per_role
from heliograph.team.policy import Policy
from heliograph.team.team import Team
from heliograph.topologies.base import Topology
from heliograph.types import Bounds, Role, StateMaker, held

RESERVED_POLICY = "team"
"""Name of the module that holds what belongs to nobody (channel, auxiliary networks); no policy may take it."""

ONE_A_TEAM = ("channel", "topology", "model")
MOST_THINGS = 1_000_000
COUNTS_OF_STEPS = ("env_steps", "time_limit")
"""How settings are called, or end, that count steps: they cost no memory, however large."""
FOREIGN = "heliograph.rllib.environments"
"""What adapts environments of other libraries: looked up by name where it is needed, since it stands above this."""
DECIDED_ELSEWHERE = {
    "num_envs": "num_envs_per_env_runner (training) or num_envs (evaluation)",
    "seed": "the seed of the run",
    "device": "the process that plays",
}
"""Settings that every environment has but a choice of one may not hold, and what sets them."""


class Choices(BaseModel):
    """A frozen settings structure that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())


Named = Annotated[Any, BeforeValidator(absolute_names)]
"""A component by name, "package.module:Name" or "./file.py:Name", or itself; paths become absolute."""
NamedSettings = Annotated[dict[str, Any], BeforeValidator(absolute_names)]
"""Settings in which paths of such names become absolute."""
Settings = Annotated[
    dict[str, Any], BeforeValidator(lambda given: absolute_names(present_settings(given)) if given else given)
]
"""Settings of a component, by their present names, whatever they were called when they were written down."""


class PolicyChoice(Choices):
    """One policy: the agents it serves, and a model or normaliser of its own where it differs from the team's."""

    agents: tuple[str, ...]
    model: Named = None
    model_settings: Settings = Field(default_factory=dict)
    normalise_observations: bool | None = None


class TeamChoices(Choices):
    """Model, channel and topology of a team, by name, with their settings; and its policies (default: one per role).

    With a `population` there are several policies for each role, and who plays whom is drawn for each episode.

    Channel wrappers are written outermost first, joined by `+`: "garbled+dru", or in full as a list of layers (see
    `channel_layers`). Names with a colon
    ("package.module:Name", "./file.py:Name") are imported; classes may be given as they are.
    """

    model: Named = "cnet"
    model_settings: Settings = Field(default_factory=dict)
    channel: Named = "dru"
    channel_settings: Settings = Field(default_factory=dict)
    topology: Named = "full"
    topology_settings: Settings = Field(default_factory=dict)
    population: Any = None
    population_settings: Settings = Field(default_factory=dict)
    policies: dict[str, PolicyChoice] | None = None
    normalise_observations: bool = False


class EnvChoice(Choices):
    """An environment by name (or class, or callable that makes one), with its settings."""

    env: Named
    settings: dict[str, Any] = Field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnvFacts:
    """Record of what a team must know of its environment to be built."""

    roles: tuple[Role, ...]
    state_size: int
    team_of_agent: tuple[int, ...]
    horizon: int | None
    ids: tuple[Any, ...] = ()
    teams: tuple[str, ...] = ("team",)
    """Names of the teams that `team_of_agent` counts."""
    own_words: OwnWords | None = None

    @property
    def ids_by_name(self) -> dict[str, Any]:
        """Return what functions of the user are given for each agent, by the agent's name."""
        return dict(zip(self.agents, self.ids or self.agents, strict=True))

    @property
    def agents(self) -> tuple[str, ...]:
        """All agents, in the order of their slots."""
        return tuple(agent for role in self.roles for agent in role.agents)


def facts_of(env: TeamEnv) -> EnvFacts:
    """Read off an environment what a team must know of it; resets it."""
    with tried(f"in reset() of {type(env).__name__}"):
        env.try_out()
        state = held(env.reset(), "state")
    state_size = state.size if isinstance(state, StateMaker) else state.shape[1]
    check_teams(env)
    return EnvFacts(
        roles=env.roles,
        state_size=state_size,
        team_of_agent=tuple(env.team_of_agent.tolist()),
        horizon=env.horizon,
        ids=env.agent_ids,
        teams=tuple(env.teams),
        own_words=env.own_words,
    )


def check_teams(env: TeamEnv) -> None:
    """Raise ValueError where the teams of an environment have no names of their own, or a name has no agent."""
    numbers, names = sorted(set(env.team_of_agent.tolist())), env.teams
    if numbers != list(range(len(names))) or len(set(names)) < len(names):
        kind = type(env).__name__
        raise ValueError(
            f"{kind}: team_of_agent has the numbers {numbers}, and teams={names!r}: set teams to as many names as "
            "there are teams, all of them different, and count from 0"
        )


def resolve(kind: str, name: Any) -> Any:
    """A component from its name, its import path "package.module:Name", or itself."""
    if not isinstance(name, str):
        if kind in ONE_A_TEAM and not callable(name):
            raise ValueError(f"{kind}={name!r}: must be a name, an import path or a class; a team has one {kind}")
        return name
    if ":" not in name:
        return registry.load(kind, name)
    try:
        with isolated(f"the import of {name.rpartition(':')[0]}", error=ImportError):
            return imported(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{kind} {name!r} cannot be imported: {error}{_by_path(name)}") from error
    except Exception as error:
        told = f"{type(error).__name__}: {error} ({place_of(error)})"
        raise ValueError(f"{kind} {name!r} cannot be imported: {told}") from error


def _by_path(name: str) -> str:
    """Return what to write instead where a module that is not found is a file in the folder where one is."""
    module, _, attribute = name.partition(":")
    file = pathlib.Path(f"{module.replace('.', '/')}.py")
    there = file_of(name) is None and not file.is_absolute() and file.is_file()
    return f"; did you mean './{file}:{attribute}'?" if there else ""


@renamed
def build_env(choice: EnvChoice, *, num_envs: int, seed: int = 0, device: str = "cpu") -> TeamEnv:
    """The environment of a choice, with that many copies.

    What an import path names may also be an environment of another library, or make one: it is then adapted.
    """
    make, what = resolve("env", choice.env), f"environment {choice.env!r}"
    may_adapt = isinstance(choice.env, str) and ":" in choice.env
    is_ours = not may_adapt or may_make_team(make)
    if is_ours and ((isinstance(make, type) and issubclass(make, TeamEnv)) or _names_settings(make)):
        registry.check_settings(make, choice.settings, what=what)
    _refuse_own(choice.settings)
    _refuse_giants(choice)
    env, base = None, {"num_envs": num_envs, "seed": seed, "device": device}
    if is_ours:
        env = _made_team(make, {**base, **functions_resolved(make, choice.settings)}, what=what, may_adapt=may_adapt)
    if env is None:
        adapter = importlib.import_module(FOREIGN).foreign_choice(make, choice.settings, name=repr(choice.env))
        env = _made(adapter.env, (), {**base, **adapter.settings}, what=what, error=EnvError)
    if not isinstance(env, TeamEnv):
        raise ValueError(
            f"env={choice.env!r} made a {type(env).__name__}: must make a heliograph TeamEnv; environments of "
            "PettingZoo pass through heliograph.adapters.pettingzoo.FromPettingZoo (in Python .environment() does that)"
        )
    return env


@renamed
def make_env(env: Any, *, num_envs: int = 1, seed: int = 0, device: str = "cpu", **settings: Any) -> TeamEnv:
    """Make an environment from its name, `package.module:Thing`, or a class or function, with settings of its own."""
    return build_env(EnvChoice(env=env, settings=settings), num_envs=num_envs, seed=seed, device=device)


def may_make_team(make: Any) -> bool:
    """Tell whether a class or function may be called with what every team environment takes."""
    if isinstance(make, type):
        return issubclass(make, TeamEnv)
    try:
        parameters = inspect.signature(make).parameters
    except (TypeError, ValueError):
        return True
    taken = {KEYWORDS.get(name, name) for name in parameters}
    return any(p.kind is p.VAR_KEYWORD for p in parameters.values()) or set(DECIDED_ELSEWHERE) <= taken


def _made_team(make: Any, settings: dict[str, Any], *, what: str, may_adapt: bool) -> Any:
    """Return what is made from the settings of a team environment; None where `make` knows no such environments.

    That shows where it takes any name, hands it on, and the environment within refuses those of a team environment; or
    where it takes them, and makes something else, which is closed.
    """
    try:
        env = _made(make, (), understood_by(make, settings), what=what, error=EnvError)
    except ValueError as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error.__cause__))
        if may_adapt and isinstance(error.__cause__, TypeError) and unknown and unknown[1] in DECIDED_ELSEWHERE:
            return None
        raise
    if may_adapt and not isinstance(env, TeamEnv):
        if callable(getattr(env, "close", None)):
            close(env)
        return None
    return env


@contextlib.contextmanager
def opened(choice: EnvChoice, *, num_envs: int = 1, seed: int = 0) -> Iterator[TeamEnv]:
    """The environment of a choice for a while: it is closed in the end, whatever happens."""
    env = build_env(choice, num_envs=num_envs, seed=seed)
    try:
        yield env
    except BaseException:
        with contextlib.suppress(EnvError):  # what happened tells more than that it cannot be closed either
            close(env)
        raise
    close(env)


def facts_for(choice: EnvChoice) -> EnvFacts:
    """Return what a team must know of the environment of a choice, read off one copy."""
    with opened(choice) as env:
        return facts_of(env)


def bounds_of(choice: EnvChoice) -> Bounds | None:
    """The bounds of the environment of a choice, where it has any."""
    with opened(choice) as env, guarded(env, "bounds"):
        return env.bounds()


def functions_resolved(component: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with import paths ("package.module:name") imported where a component takes functions."""
    known = registry.settings_of(component) if inspect.isfunction(component) or inspect.isclass(component) else {}
    return {
        name: resolve("function", value) if name in known and _is_path(value, known[name].annotation) else value
        for name, value in settings.items()
    }


def _is_path(value: Any, annotation: Any) -> bool:
    return isinstance(value, str) and ":" in value and "Callable" in str(annotation)


def _names_settings(make: Any) -> bool:
    """Tell whether a function names all settings that it takes."""
    if not inspect.isfunction(make):
        return False
    parameters = inspect.signature(make).parameters.values()
    rest = [p.annotation for p in parameters if p.kind is p.VAR_KEYWORD]
    alone = all(p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD) for p in parameters)
    return alone and all(typing.get_origin(annotation) is typing.Unpack for annotation in rest)


def _refuse_own(settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        other = DECIDED_ELSEWHERE.get(KEYWORDS.get(name, name))
        if other:
            raise ValueError(f"env setting {name}={value!r}: is not set here, but by {other}")


def _refuse_giants(choice: EnvChoice) -> None:
    """Refuse numbers of things, in environments of ours, that no machine holds: the system would kill the process."""
    if not isinstance(choice.env, str) or ":" in choice.env:
        return
    for name, value in choice.settings.items():
        counts = isinstance(value, int) and not name.endswith(COUNTS_OF_STEPS)
        if counts and value > MOST_THINGS:
            raise ValueError(f"env setting {name}={value}: must be at most {MOST_THINGS:,}")


def _made(
    make: Any, arguments: tuple[Any, ...], settings: Mapping[str, Any], *, what: str,
    error: type[Exception] = ValueError,
) -> Any:  # fmt: skip
    """Call a constructor; that it cannot take what was given is the mistake of whoever gave it."""
    try:
        with isolated(f"the making of {what}", error=error):
            return make(*arguments, **settings)
    except (TypeError, ImportError) as problem:
        raise ValueError(f"{what} cannot be made with the settings {dict(settings)}: {problem}") from problem


def build_channel(channel: Any, settings: Mapping[str, Any]) -> Channel:
    """The channel of its layers, in full or in the short form ("garbled+dru"; see `channel_layers`)."""
    layers = layers_of(channel, settings)
    classes = [resolve("channel", layer.channel) for layer in layers]
    _check_wrapping([layer.channel for layer in layers], classes)
    what = f"channel {channel_text(channel)!r}"
    known = [*{key: None for cls in classes for key in registry.settings_of(cls)}]
    for key in settings:
        if key not in known:
            raise registry.UnknownNameError(what=f"setting of {what}", name=key, valid=known)
    built: tuple[Channel, ...] = ()
    for cls, layer in reversed([*zip(classes, layers, strict=True)]):
        if layer.settings is not None:
            registry.check_settings(cls, layer.settings, what=f"channel {layer.channel!r}")
        own = _own(cls, settings) if layer.settings is None else present_settings(layer.settings)
        registry.check_kinds(cls, own, what=what)
        built = (_made(cls, built, own, what=what),)
    return built[0]


def _check_wrapping(parts: list[Any], classes: list[Any]) -> None:
    for index, (part, cls) in enumerate(zip(parts, classes, strict=True)):
        wraps = any(p.kind is p.POSITIONAL_OR_KEYWORD for p in inspect.signature(cls).parameters.values())
        if wraps and index == len(classes) - 1:
            raise ValueError(f"channel {part!r} wraps another: write it first, as in '{part}+dru'")
        if not wraps and index < len(classes) - 1:
            raise ValueError(f"channel {part!r} wraps no other: write it last of {'+'.join(map(str, parts))!r}")


def _own(cls: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    known = registry.settings_of(cls)
    return {key: value for key, value in settings.items() if key in known}


def build_topology(name: Any, settings: Mapping[str, Any]) -> Topology:
    """The topology of a name."""
    cls = resolve("topology", name)
    registry.check_settings(cls, settings, what=f"topology {name!r}")
    return _made(cls, (), settings, what=f"topology {name!r}")


def build_model(name: Any, settings: Mapping[str, Any], spec: ModelSpec) -> Model:
    """The model of a name for one policy."""
    cls = resolve("model", name)
    registry.check_settings(cls, settings, what=f"model {name!r}")
    settings = {k: resolve("function", v) if k == "function" else v for k, v in settings.items()}
    return _made(cls, (spec,), settings, what=f"model {name!r}")


def build_population(choices: TeamChoices) -> Population | None:
    """The rule by which the members of a population meet; None for a team with one policy for each agent."""
    if choices.population is None:
        if choices.population_settings:
            raise ValueError(f"population_settings={choices.population_settings}: name a population too")
        return None
    if choices.policies is not None:
        raise ValueError(f"population={choices.population!r}: its members are the policies, so leave policies out")
    cls = resolve("population", choices.population)
    registry.check_settings(cls, choices.population_settings, what=f"population {choices.population!r}")
    return _made(cls, (), choices.population_settings, what=f"population {choices.population!r}")


def policies_of_members(choices: TeamChoices, facts: EnvFacts) -> dict[str, tuple[str, ...]]:
    """Names of the members of a population, role by role, with the agents that they may play."""
    rule = build_population(choices)
    size = 1 if rule is None else rule.size
    if rule is not None and rule.renews_role not in (None, *(valid := [role.name for role in facts.roles])):
        raise registry.UnknownNameError(what="role to be replaced", name=str(rule.renews_role), valid=valid)
    return {f"{role.name}_{number}": role.agents for role in facts.roles for number in range(size)}


def meetings_of(choices: TeamChoices, facts: EnvFacts, *, seed: int) -> Meetings | None:
    """Return what draws who plays whom in new episodes; None for a team with one policy for each agent."""
    rule = build_population(choices)
    if rule is None:
        return None
    roles = tuple(number for number, role in enumerate(facts.roles) for _ in role.agents)
    return Meetings(rule, role_of_agent=roles, seed=seed)


def build_layout(choices: TeamChoices, facts: EnvFacts) -> Layout:
    """Return which policy serves which agents."""
    if choices.population is not None:
        return Layout(facts.roles, policies_of_members(choices, facts))
    if choices.policies is None:
        return Layout(facts.roles, one_policy_per_role(facts.roles))
    if RESERVED_POLICY in choices.policies:
        raise ValueError(f"policy name {RESERVED_POLICY!r} is reserved for what belongs to nobody; rename it")
    return Layout(facts.roles, {name: tuple(policy.agents) for name, policy in choices.policies.items()})


def build_policy(choices: TeamChoices, facts: EnvFacts, name: str, *, channel: Channel) -> Policy:
    """One policy of a team: its model, with an encoder and a decoder of messages for the channel."""
    layout = build_layout(choices, facts)
    seats = layout.seats[name]
    spec = ModelSpec(
        observation_space=seats.observation_space,
        action_space=seats.action_space,
        num_agents=len(seats.slots),
        state_size=facts.state_size,
        channel_input_size=channel.script_size,
        payload_size=channel.payload_size,
        vocabulary=channel.vocabulary or 0,
        word_size=channel.word_size,
        can_be_silent=channel.can_be_silent,
        num_gate_logits=channel.num_gate_logits,
        horizon=facts.horizon,
    )
    own = choices.policies[name] if choices.policies else PolicyChoice(agents=())
    model_name = choices.model if own.model is None else own.model
    inherited = choices.model_settings if own.model is None else {}
    model = build_model(model_name, {**inherited, **own.model_settings}, spec)
    own_normaliser = own.normalise_observations
    normalised = choices.normalise_observations if own_normaliser is None else own_normaliser
    return Policy(model, channel, normalise_observations=normalised)


def assemble(choices: TeamChoices, facts: EnvFacts, *, policies: Mapping[str, Policy], channel: Channel) -> Team:
    """A team from parts that exist already."""
    return Team(
        build_layout(choices, facts),
        policies=policies,
        channel=channel,
        topology=build_topology(choices.topology, choices.topology_settings),
        team_of_agent=torch.tensor(facts.team_of_agent),
    )


def outline(choices: TeamChoices, facts: EnvFacts) -> dict[str, Tensor]:
    """Names, shapes and dtypes of a team's weights and buffers, on `meta`: without memory for them."""
    with torch.device("meta"):
        channel = build_channel(choices.channel, choices.channel_settings)
        names = build_layout(choices, facts).policies
        parts = {f"policies.{name}": build_policy(choices, facts, name, channel=channel) for name in names}
    whole: dict[str, nn.Module] = {**parts, "channel": channel}
    return {f"{part}.{key}": value for part, module in whole.items() for key, value in module.state_dict().items()}


def build_team(choices: TeamChoices, facts: EnvFacts, *, seed: int | None = None) -> Team:
    """A team with fresh weights, drawn from `seed` where one is given."""
    with torch.random.fork_rng(enabled=seed is not None, devices=[]):
        if seed is not None:
            torch.manual_seed(seed)
        channel = build_channel(choices.channel, choices.channel_settings)
        names = build_layout(choices, facts).policies
        policies = {name: build_policy(choices, facts, name, channel=channel) for name in names}
        return assemble(choices, facts, policies=policies, channel=channel)
