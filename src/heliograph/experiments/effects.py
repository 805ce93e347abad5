"""Settings that change nothing in a combination are refused before training, by name (no ray).

What a component can tell of its own settings it says in `idle`; what depends on several stands in the table here. A
value that says what is so anyway passes, and so does all that a silent twin keeps of its model.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from heliograph import registry
from heliograph.channels.vq import VQ
from heliograph.experiments.choices import build_topology, resolve
from heliograph.topologies.base import Topology
from heliograph.topologies.full import Full
from heliograph.types import changed

if TYPE_CHECKING:
    from heliograph.experiments.compatibility import Experiment

MANY_AGENTS = 256
"""Above so many nobody compares who hears whom."""

__all__ = ["IDLE", "Idle", "check_effects", "refuse_idle"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Idle:
    """A setting that has no effect where `holds` tells so; `value` is what it was set to, None where it was not."""

    setting: str
    where: str
    why: str
    value: Callable[["Experiment"], Any]
    holds: Callable[["Experiment"], bool]


def _topology(experiment: "Experiment") -> Any:
    chosen = experiment.choices.topology
    return None if resolve("topology", chosen) is Full else chosen


def _temperature(experiment: "Experiment") -> Any:
    given = experiment.choices.channel_settings.get("temperature")
    return None if given == registry.settings_of(VQ)["temperature"].default else given


def _is_vq(experiment: "Experiment") -> bool:
    return any(isinstance(module, VQ) for module in experiment.team.channel.modules())


def _own_message(experiment: "Experiment") -> Any:
    choices = experiment.choices
    own = [policy.model_settings for policy in (choices.policies or {}).values()]
    return next((s["own_message"] for s in (choices.model_settings, *own) if s.get("own_message")), None)


def _chooses_symbols(experiment: "Experiment") -> bool:
    return experiment.team.channel.scored and experiment.team.channel.vocabulary is not None


def _sees_numbers(experiment: "Experiment") -> bool:
    return any(p.normaliser is not None and p.normaliser.sizes for p in experiment.team.policies.values())


IDLE = (
    Idle(
        setting="topology",
        where="channel 'none'",
        why="nobody says anything, so nobody is heard; leave it out, or choose a channel",
        value=_topology,
        holds=lambda e: not e.carries,
    ),
    Idle(
        setting="own_message",
        where="a channel whose messages are no symbols that are chosen as actions",
        why="there is no chosen symbol to be remembered; leave it out, or choose channel='symbols'",
        value=_own_message,
        holds=lambda e: e.carries and not _chooses_symbols(e),
    ),
    Idle(
        setting="temperature",
        where="channel 'vq', and no loss that reads the odds of symbols",
        why="it turns cosines into odds for losses; leave it out, or add the loss 'positive_signalling'",
        value=_temperature,
        holds=lambda e: _is_vq(e) and not any(getattr(loss, "reads_odds", True) for loss in e.losses),
    ),
    Idle(
        setting="time_limit",
        where="an environment whose episodes are never longer",
        why="its rules end every episode by then; leave it out, or make it smaller",
        value=lambda e: e.env.time_limit,
        holds=lambda e: e.env.horizon is not None and (e.env.time_limit or 0) >= e.env.horizon,
    ),
    Idle(
        setting="normalise_observations",
        where="an environment whose observations hold no vector of real numbers",
        why="images and symbols are taken as they are; leave it out",
        value=lambda e: e.choices.normalise_observations or None,
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
        value = rule.value(experiment)
        if value is not None and rule.holds(experiment):
            raise ValueError(f"{rule.setting}={value!r} would have no effect with {rule.where}: {rule.why}")


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
    """Who hears whom `[N, N]`, whichever form the edges have."""
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
    parts = choices.channel.split("+") if isinstance(choices.channel, str) else [choices.channel]
    for part in parts:
        component = resolve("channel", part.strip() if isinstance(part, str) else part)
        known = registry.settings_of(component)
        yield component, {name: value for name, value in choices.channel_settings.items() if name in known}
    yield resolve("topology", choices.topology), choices.topology_settings
    own = [policy for policy in (choices.policies or {}).values() if policy.model is not None]
    if choices.policies is None or len(own) < len(choices.policies):
        yield resolve("model", choices.model), choices.model_settings
    for policy in own:
        yield resolve("model", policy.model), policy.model_settings
    yield from losses.values()
