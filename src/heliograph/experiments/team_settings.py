"""What belongs to a team beside its environment, as settings: written down here alone, for Python and commands alike.

A field added here is taken by `CommunicationConfig.communication()`, by training settings and their files, and by
`--set team.KEY`; it is checked, resolved, and written into run folders.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveInt, ValidationError
from pydantic.fields import FieldInfo

from heliograph.experiments.choices import Choices, Named, Settings
from heliograph.importing import absolute_names
from heliograph.models.critic import VIEWS
from heliograph.registry import UnknownNameError

COMPONENTS = ("model", "channel", "topology", "population")
"""What is chosen by name and has settings of its own."""


class TeamSettings(Choices):
    """The choices that make a team, and how it learns values: see the description of each field."""

    model: Named = Field(default="cnet", description="networks of the agents: a name, an import path, or a class")
    model_settings: Settings = Field(default_factory=dict, description="settings of the model")
    channel: Named = Field(default="dru", description="what carries messages: a name, wrappers before it, or layers")
    channel_settings: Settings = Field(default_factory=dict, description="settings of the channel")
    topology: Named = Field(default="full", description="who hears whom: a name, an import path, or a class")
    topology_settings: Settings = Field(default_factory=dict, description="settings of the topology")
    population: Named = Field(
        default=None, description="several policies for each role, and the rule by which they meet"
    )
    population_settings: Settings = Field(default_factory=dict, description="settings of the population")
    losses: Annotated[tuple[Any, ...], BeforeValidator(absolute_names)] = Field(
        default=(), description="auxiliary losses: names, or (name or callable, coefficient or schedule, settings)"
    )
    load_policies: dict[str, Any] = Field(
        default_factory=dict, description="weights to begin with: {policy: run folder or team file}"
    )
    learn_from: Any = Field(default=None, description="a corpus (or its folder) that policies learn before they play")
    learn_updates: PositiveInt = Field(default=200, description="updates in which they learn it")
    learn_policies: tuple[str, ...] = Field(default=(), description="names of those that learn it; empty: all")
    critic: Literal[VIEWS] | None = Field(  # type: ignore[valid-type]
        default=None, description=f"what values are learnt from: {', '.join(VIEWS)}; None: as the algorithm has it"
    )
    critic_size: int | None = Field(
        default=None, ge=0, description="units of the critic's hidden layers, 0: linear; None: as the algorithm has it"
    )
    normalise_observations: bool = Field(default=False, description="observations by their running mean and spread")
    normalise_rewards: bool = Field(default=False, description="rewards by the running spread of returns")
    normalise_values: bool = Field(default=True, description="values learnt by their running mean and spread")
    freeze_team: bool = Field(default=False, description="do not train what belongs to no policy")
    torch_num_threads: PositiveInt | None = Field(
        default=None, description="threads of each process; None: as many as its networks are worth"
    )

    def chosen(self) -> dict[str, Any]:
        """Return what the team is made of: model, channel and topology, each with its settings."""
        return {key: getattr(self, key) for key in CHOSEN}

    def lessons(self) -> dict[str, Any]:
        """Return what is learnt before play."""
        return {key: getattr(self, key) for key in LESSONS}

    def beside(self) -> dict[str, Any]:
        """Return the settings that are one plain value each, but for those that are None: the algorithm's count."""
        return {key: value for key in BESIDE if (value := getattr(self, key)) is not None}


FIELDS = TeamSettings.model_fields
CHOSEN = tuple(key for name in COMPONENTS for key in (name, f"{name}_settings"))
"""Fields that say what the team is made of."""
LESSONS = ("learn_from", "learn_updates", "learn_policies")
"""Fields that say what is learnt before play."""
BESIDE = tuple(name for name in FIELDS if name not in (*CHOSEN, *LESSONS, "losses", "load_policies"))
"""Fields that are one plain value each."""


def checked_team_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return those settings that are given, checked, without a critic or its size where they are left to the algorithm.

    Raises TypeError for a name that there is not, UnknownNameError for a view that critics do not have, ValueError for
    other values that a setting does not take.
    """
    for name in given:
        if name not in FIELDS:
            near = UnknownNameError(what="setting of a team", name=name, valid=list(FIELDS))
            raise TypeError(f"communication() got an unexpected keyword argument {name!r}: {near}")
    if given.get("critic") not in (None, *VIEWS):
        raise UnknownNameError(what="critic", name=str(given["critic"]), valid=list(VIEWS))
    try:
        checked = TeamSettings(**given)
    except ValidationError as error:
        raise ValueError(first_error(error)) from None
    found = {name: getattr(checked, name) for name in given}
    return {name: value for name, value in found.items() if value is not None or name == "torch_num_threads"}


def first_error(error: ValidationError) -> str:
    """Return in one line what is wrong first."""
    first = error.errors()[0]
    where, what = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
    return f"{where}={first['input']!r}: {what}" if where else what


def takes_team_settings(method: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a method of `**given` so that `help()` and editors show each team setting and its default."""
    own = next(iter(inspect.signature(method).parameters.values()))
    kinds = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_default(field), annotation=field.annotation)
        for name, field in FIELDS.items()
    ]
    method.__signature__ = inspect.Signature([own, *kinds])  # type: ignore[attr-defined]
    told = "\n".join(f"`{name}`: {field.description}." for name, field in FIELDS.items())
    method.__doc__ = f"{inspect.cleandoc(method.__doc__ or '')}\n\n{told}\n"
    return method


def _default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True)
