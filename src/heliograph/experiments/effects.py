"""Settings that change nothing in a combination are refused before training, by name (no ray).

What a component can tell of its own settings it says in `idle`; what depends on several stands in the table here. A
value that says what is so anyway passes, and so does all that a no-communication control keeps of its model.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from heliograph import registry
from heliograph.experiments.channel_layers import layers_of
from heliograph.experiments.choices import TeamChoices, build_topology, resolve
from heliograph.topologies.base import Topology
from heliograph.types import changed

if TYPE_CHECKING:
    from heliograph.experiments.compatibility import Experiment

MANY_AGENTS = 256
"""Above so many nobody compares who hears whom."""

__all__ = ["IDLE", "Idle", "check_effects", "refuse_idle"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Idle:
    """A setting that has no effect where `holds` tells so; `given` tells what such settings were set to, by name."""

    setting: str
    where: str
    why: str
    given: Callable[["Experiment"], Mapping[str, Any]]
    holds: Callable[["Experiment"], bool]


def _topology(experiment: "Experiment") -> Mapping[str, Any]:
    chosen, usual = experiment.choices.topology, TeamChoices.model_fields["topology"].default
    return {} if resolve("topology", chosen) is resolve("topology", usual) else {"topology": chosen}


def _settings_of_odds(experiment: "Experiment") -> Mapping[str, Any]:
    return {
        name: value
        for channel, given in _channels(experiment)
        for name, value in given.items()
        if name in getattr(channel, "settings_of_odds", ()) and value != registry.settings_of(channel)[name].default
    }


def _own_message(experiment: "Experiment") -> Mapping[str, Any]:
    choices = experiment.choices
    own = [policy.model_settings for policy in (choices.policies or {}).values()]
    return next(({"own_message": True} for s in (choices.model_settings, *own) if s.get("own_message")), {})


def _chooses_symbols(experiment: "Experiment") -> bool:
    return experiment.team.channel.scored and experiment.team.channel.vocabulary is not None


def _sees_numbers(experiment: "Experiment") -> bool:
    return any(p.normaliser is not None and p.normaliser.sizes for p in experiment.team.policies.values())


IDLE = (
    Idle(
        setting="topology",
        where="channel 'none'",
        why="nobody says anything, so nobody is heard; leave it out, or choose a channel",
        given=_topology,
        holds=lambda e: not e.carries,
    ),
    Idle(
        setting="own_message",
        where="a channel whose messages are no symbols that are chosen as actions",
        why="there is no chosen symbol to be remembered; leave it out, or choose channel='symbols'",
        given=_own_message,
        holds=lambda e: e.carries and not _chooses_symbols(e),
    ),
    Idle(
        setting="temperature",
        where="a channel such as 'vq', which makes odds of symbols by it, and no loss that reads them",
        why="nothing but losses reads such odds; leave it out, or add the loss 'positive_signalling'",
        given=_settings_of_odds,
        holds=lambda e: not any(getattr(loss, "needs_symbol_log_probs", True) for loss in e.losses.values()),
    ),
    Idle(
        setting="time_limit",
        where="an environment whose episodes are never longer",
        why="its rules end every episode by then; leave it out, or make it smaller",
        given=lambda e: {} if e.env.time_limit is None else {"time_limit": e.env.time_limit},
        holds=lambda e: e.env.horizon is not None and (e.env.time_limit or 0) >= e.env.horizon,
    ),
    Idle(
        setting="normalise_observations",
        where="an environment whose observations hold no vector of real numbers",
        why="images and symbols are taken as they are; leave it out",
        given=lambda e: {"normalise_observations": True} if e.choices.normalise_observations else {},
        holds=lambda e: not _sees_numbers(e),
    ),
)
"""docs/combinations.md shows it."""


def check_effects(experiment: "Experiment", losses: Mapping[str, tuple[Any, Mapping[str, Any]]]) -> None:
    """Raise ValueError where a setting was given that changes nothing; `losses`: classes and settings by name."""
    for component, given in _components(experiment, losses):
        refuse_idle(component, given)
    _refuse_same_edges(experiment)
    for rule in IDLE:
        given = rule.given(experiment)
        if given and rule.holds(experiment):
            (name, value), *_ = given.items()
            raise ValueError(f"{name}={value!r} would have no effect with {rule.where}: {rule.why}")


def refuse_idle(component: Any, given: Mapping[str, Any]) -> None:
    """Raise ValueError where a component says that one of the settings given, not at its default, changes nothing."""
    idle = getattr(component, "idle", None)
    if idle is None:
        return
    usual = {name: parameter.default for name, parameter in registry.settings_of(component).items()}
    for name, why in idle({**usual, **given}).items():
        if name in given and given[name] != usual[name]:
            raise ValueError(f"{name}={given[name]!r} would have no effect: {why}")


def _refuse_same_edges(experiment: "Experiment") -> None:
    """Settings of a fixed topology without which a team of this size would hear the same."""
    choices, topology = experiment.choices, experiment.team.topology
    if not topology.static or not experiment.carries or experiment.env.num_agents > MANY_AGENTS:
        return
    heard, known = _heard(topology, experiment), registry.settings_of(resolve("topology", choices.topology))
    for name, value in choices.topology_settings.items():
        usual = known[name].default
        others = {key: own for key, own in choices.topology_settings.items() if key != name}
        if usual is inspect.Parameter.empty or usual is None or value == usual:
            continue
        if torch.equal(_heard(build_topology(choices.topology, others), experiment), heard):
            same = f"{experiment.env.num_agents} agents hear each other as with {name}={usual!r}"
            raise ValueError(f"{name}={value!r} would have no effect: {same}; leave it out, or take more agents")


def _heard(topology: Topology, experiment: "Experiment") -> Tensor:
    """Return who hears whom `[N, N]`, whichever form the edges have."""
    edges = topology.edges(changed(experiment.step, hearing=None))
    if edges.senders is None:
        return edges.mask[0]
    heard = torch.zeros(edges.mask.shape[1], edges.mask.shape[1], dtype=torch.long)
    return heard.scatter_add(1, edges.senders[0], edges.mask[0].long()) > 0


def _components(
    experiment: "Experiment", losses: Mapping[str, tuple[Any, Mapping[str, Any]]]
) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """Every component that was chosen, with those of the settings that are its own."""
    choices = experiment.choices
    yield from _channels(experiment)
    yield resolve("topology", choices.topology), choices.topology_settings
    own = [policy for policy in (choices.policies or {}).values() if policy.model is not None]
    if choices.policies is None or len(own) < len(choices.policies):
        yield resolve("model", choices.model), choices.model_settings
    for policy in own:
        yield resolve("model", policy.model), policy.model_settings
    yield from losses.values()


def _channels(experiment: "Experiment") -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """The channel that was chosen and its wrappers, with those of the settings that are their own."""
    choices = experiment.choices
    for layer in layers_of(choices.channel, choices.channel_settings):
        component = resolve("channel", layer.channel)
        known = registry.settings_of(component)
        own = {name: value for name, value in choices.channel_settings.items() if name in known}
        yield component, own if layer.settings is None else layer.settings
