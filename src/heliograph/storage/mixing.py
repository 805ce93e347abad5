"""Policies of several trained runs in one team, as they are: nothing is trained, and no weight or statistic changes."""

import copy
import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import torch

from heliograph.experiments.choices import PolicyChoice, TeamChoices, assemble
from heliograph.experiments.resolved import resolved_choices
from heliograph.registry import UnknownNameError
from heliograph.storage.run_folder import Run, RunFolderError, read_run
from heliograph.team.assignment import Seats

__all__ = ["check_mixable", "mix"]

Source = Run | str | pathlib.Path
MIXED = "mixed"
"""Key of a mixed run's configuration: where each policy that is not its own comes from."""


def mix(
    run: Source,
    others: Mapping[str, Source | tuple[Source, str]] | None = None,
    /,
    *,
    trust: bool = False,
    **policies: Source | tuple[Source, str],
) -> Run:
    """Put policies of other runs into a team: `mix(a, listener=b)` is a's team with the listener of b.

    Weights, normalisers and running statistics of each stay as they are, and the runs that were given, too. What is
    given are runs, run folders, team files or "recipe:NAME"; `(b, "other")` takes the policy of another name. Policies
    whose names are no Python names come in a mapping, `others`. Environment and topology are those of `run`.

    Raises `RunFolderError` where what a policy sees, does or hears would be something else than it was trained with.
    """
    base = _read(run, trust=trust)
    found = {}
    for name, given in {**(others or {}), **policies}.items():
        source, theirs = given if isinstance(given, tuple) else (given, name)
        found[name] = (_read(source, trust=trust), theirs)
    for name, (other, theirs) in found.items():
        check_mixable(base, name, other, theirs)
    team = assemble(
        _choices(base, found),
        base.facts,
        policies={
            name: copy.deepcopy((found[name][0] if name in found else base).team.policies[_name(found, name)])
            for name in base.team.layout.policies
        },
        channel=copy.deepcopy(base.team.channel),
    )
    return _mixed(base, found, team=team.eval())


def _read(source: Source, *, trust: bool) -> Run:
    return source if isinstance(source, Run) else read_run(source, trust=trust)


def _name(found: Mapping[str, tuple[Run, str]], name: str) -> str:
    return found[name][1] if name in found else name


def _mixed(base: Run, found: Mapping[str, tuple[Run, str]], *, team: Any) -> Run:
    choices = _choices(base, found)
    values = [run.algorithm for run in (base, *(other for other, _ in found.values())) if not run.has_odds]
    config = {
        "env": base.config["env"],
        "team": choices.model_dump(),
        "seed": base.config.get("seed"),
        "training": {"algorithm": values[0] if values else base.algorithm},
        MIXED: {name: {"run": other.place, "policy": own} for name, (other, own) in found.items()},
    }
    return dataclasses.replace(base, source=None, config=config, choices=choices, team=team)


def _choices(base: Run, found: Mapping[str, tuple[Run, str]]) -> TeamChoices:
    """Return what builds such a team: each policy with the model of its own run."""
    policies = {}
    for name, seats in base.team.layout.seats.items():
        run, own = found.get(name, (base, name))
        agents = tuple(base.team.layout.agents[slot] for slot in seats.slots)
        policies[name] = _choice(run.choices, own, agents)
    return base.choices.model_copy(update={"policies": policies})


def _choice(choices: TeamChoices, policy: str, agents: tuple[str, ...]) -> PolicyChoice:
    own = choices.policies[policy] if choices.policies else PolicyChoice(agents=agents)
    inherited = choices.model_settings if own.model is None else {}
    normalised = own.normalise_observations
    return PolicyChoice(
        agents=agents,
        model=choices.model if own.model is None else own.model,
        model_settings={**inherited, **own.model_settings},
        normalise_observations=choices.normalise_observations if normalised is None else normalised,
    )


def check_mixable(base: Run, name: str, other: Run, theirs: str) -> None:
    """Refuse a policy that would not be at home in the team, in one sentence that names both sides."""
    ours, seats = base.team.layout.seats, other.team.layout.seats
    if name not in ours:
        raise UnknownNameError(what=f"policy of {base.place}", name=name, valid=list(ours))
    if theirs not in seats:
        raise UnknownNameError(what=f"policy of {other.place}", name=theirs, valid=list(seats))
    what = f"policy {name!r} of {base.place} cannot be {theirs!r} of {other.place}"
    for word, one, two in (*_seen(ours[name], seats[theirs]), ("state", base.facts.state_size, other.facts.state_size)):
        if one != two:
            raise RunFolderError(f"{what}: {word} of the first is {one}, of the second {two}; mix runs of one task")
    same = all(getattr(base.choices, key) == getattr(other.choices, key) for key in ("channel", "channel_settings"))
    mine, its = ({}, {}) if same else (_channel(run) for run in (base, other))
    if mine != its:
        keys = [key for key in {**mine, **its} if mine.get(key) != its.get(key)]
        told = ", ".join(f"{key} {mine.get(key)} and {its.get(key)}" for key in keys)
        raise RunFolderError(f"{what}: their channels differ ({told}); train both on the same channel")
    _check_weights(base, other, what=what)


def _seen(ours: Seats, theirs: Seats) -> list[tuple[str, Any, Any]]:
    return [
        ("observation space", ours.observation_space, theirs.observation_space),
        ("action space", ours.action_space, theirs.action_space),
        ("number of agents", len(ours.slots), len(theirs.slots)),
    ]


def _channel(run: Run) -> dict[str, Any]:
    """The name of a channel and its settings, with defaults."""
    resolved = resolved_choices(run.env, run.choices, run.facts)["channel"]
    return {"channel": run.choices.channel, **resolved}


def _check_weights(base: Run, other: Run, *, what: str) -> None:
    ours, theirs = (dict(run.team.channel.named_parameters()) for run in (base, other))
    differ = sorted(key for key in ours.keys() & theirs.keys() if not torch.equal(ours[key], theirs[key]))
    if differ:
        raise RunFolderError(
            f"{what}: their channels have weights of their own ({', '.join(differ)}), which differ: the words of one "
            "are not those of the other, and a team has one channel"
        )
