"""What the arguments of `heliograph train` come to: settings, and the runs to make."""

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from heliograph import registry
from heliograph.experiments.controls import USUAL_CONTROLS
from heliograph.experiments.jobs import MAIN, Job
from heliograph.experiments.recipe_paths import recipe_at
from heliograph.experiments.settings import TrainSettings, settings_from
from heliograph.experiments.settings_file import settings_in
from heliograph.experiments.stopping import plain_goals
from heliograph.experiments.team_settings import BESIDE, LESSONS
from heliograph.experiments.tracking import TRACKERS
from heliograph.recipes.base import Recipe

SECTIONS = {
    "env": "env_settings",
    "curriculum": "curriculum",
    "model": "model_settings",
    "channel": "channel_settings",
    "topology": "topology_settings",
    "population": "population_settings",
    "training": "algorithm_settings",
}
TEAM = ("networks", *BESIDE, *LESSONS[1:])
"""Keys of the section `team`."""
OPTIONS = {
    "seed": "seed", "env_runners": "num_env_runners", "learners": "num_learners", "gpus": "num_gpus_per_learner",
    "threads": "torch_num_threads",
} | {
    name: name
    for name in ("freeze", "callbacks", "learn_from", "checkpoint_every", "evaluate_every", "record_every", *TRACKERS)
}  # fmt: skip
"""Options of commands that are settings as they are, and what these are called."""
FREEZING = ("freeze", "policies_to_train")
"""Keys that somebody who knows RLlib or files of settings looks for in `team`."""
OTHER_SECTIONS = ("team", "loss")
"""Sections whose keys are not settings of one component: those of `loss` are auxiliary losses, set to coefficients."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chosen:
    """Record of what is to be trained, and with which controls."""

    settings: TrainSettings
    controls: tuple[str, ...]


def settings_from_arguments(given: Any) -> Chosen:
    """Settings from arguments: those of the recipe, if there is one, with what is given in their place."""
    settings, controls = _base(given.target, config=given.config)
    for name in ("env", "model", "channel", "topology", "population", "algorithm"):
        value = getattr(given, name, None)
        value = _layers(value) if name == "channel" else value
        if value is not None and value != settings.get(name):
            settings[name] = value
            settings.pop(f"{name}_settings", None)
            if name == "env":
                settings.pop("curriculum", None)
    if getattr(given, "size", None) is not None:
        settings["population_settings"] = {**settings.get("population_settings", {}), "size": given.size}
    if given.loss:
        settings["losses"] = [_loss(text) for text in given.loss]
    if given.policy:
        seats = dict(pairs(given.policy, option="--policy"))
        before = settings.get("policies", {})
        own = {name: {**before.get(name, {}), "agents": agents.split(",")} for name, agents in seats.items()}
        settings["policies"] = {**before, **own}
    if given.load_policy:
        settings["load_policies"] = dict(pairs(given.load_policy, option="--load-policy"))
    _set(settings, given.set or ())
    settings |= _budget(given)
    plain = {name: getattr(given, option, None) for option, name in OPTIONS.items()}
    settings |= {name: value for name, value in plain.items() if value is not None}
    return Chosen(settings=settings_from(settings), controls=controls if given.controls is None else kinds_of(given))


def kinds_of(given: Any) -> tuple[str, ...]:
    """The controls that arguments ask for: `given.controls` is None or False for none, and [] for the usual ones."""
    if given.controls is None or given.controls is False:
        return ()
    return tuple(dict.fromkeys(given.controls)) or USUAL_CONTROLS


def _layers(text: str | None) -> Any:
    """A channel in its short form, or in full as JSON."""
    if text is not None and text.lstrip().startswith("{"):
        raise ValueError(
            f"--channel {text}: a team has one channel, of all its agents: its name, or a list of its layers"
        )
    if text is None or not text.lstrip().startswith("["):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(
            f'--channel {text}: is no JSON ({error}); write \'[["delayed", {{"steps": 2}}], "dru"]\''
        ) from None


def jobs_of(chosen: Chosen, *, out: pathlib.Path, seeds: Iterable[int] | None) -> list[Job]:
    """One run for each seed; controls are added by `controls_of`."""
    if seeds is None:
        return [Job(name=MAIN, settings=chosen.settings, out=out)]
    seeds = list(seeds)
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"--seeds {' '.join(map(str, seeds))}: each seed once")
    settings = {s: chosen.settings.model_copy(update={"seed": s}) for s in seeds}
    return [Job(name=f"seed_{s}", settings=settings[s], out=out / f"seed_{s}") for s in seeds]


def pairs(texts: Iterable[str], *, option: str) -> Iterable[tuple[str, str]]:
    """KEY=VALUE, split."""
    for text in texts:
        key, equals, value = text.partition("=")
        if not (equals and key):
            raise ValueError(f"{option} {text}: must be KEY=VALUE")
        yield key, value


def _base(target: str | None, *, config: str | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    written = {} if config is None else settings_in(pathlib.Path(config))
    if target is None and written:
        return written, ()
    settings, controls = _of_target(target)
    return {**settings, **{key: value for key, value in written.items() if key != "env"}}, controls


def _of_target(target: str | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    if target is None:
        raise ValueError("name an environment or a recipe, or a run to --resume; heliograph list shows what there is")
    recipes, envs = registry.names("recipe"), registry.names("env")
    if registry.is_known("recipe", target):
        recipe: Recipe = registry.load("recipe", target)()
        return dict(recipe.settings), recipe.control_kinds
    if ":" in target and (own := recipe_at(target)) is not None:
        return dict(own.settings), own.control_kinds
    if target in envs or ":" in target:
        return {"env": target}, ()
    raise registry.UnknownNameError(what="environment or recipe", name=target, valid=[*envs, *recipes])


def _set(settings: dict[str, Any], texts: Iterable[str]) -> None:
    for path, text in pairs(texts, option="--set"):
        section, _, key = path.partition(".")
        if section not in (valid := [*SECTIONS, *OTHER_SECTIONS]):
            raise registry.UnknownNameError(what="section in --set", name=section, valid=valid)
        if not key:
            raise ValueError(f"--set {path}={text}: must be SECTION.KEY=VALUE")
        if section == "team":
            if key in FREEZING:
                raise ValueError(f"--set {path}={text}: policies are frozen by an option of its own, --freeze NAME")
            if key not in TEAM:
                raise registry.UnknownNameError(what="setting of team", name=key, valid=list(TEAM))
            settings[key] = value_of(text)
        elif section == "loss":
            settings["losses"] = _with_loss(settings.get("losses", ()), key, value_of(text))
        else:
            inside: Mapping[str, Any] = settings.get(SECTIONS[section], {})
            settings[SECTIONS[section]] = {**inside, key: value_of(text)}


def _budget(given: Any) -> dict[str, Any]:
    budget: dict[str, Any] = {}
    if given.iterations is not None or given.env_steps is not None:
        budget |= {"iterations": given.iterations, "env_steps": given.env_steps}
    if given.until:
        budget["until"] = plain_goals(given.until, option="--until")
    if given.patience is not None:
        budget["patience"] = given.patience
    return budget


def _loss(text: str) -> Any:
    name, equals, coefficient = text.partition("=")
    return [name, _number(name, coefficient)] if equals else name


def _with_loss(losses: Iterable[Any], name: str, coefficient: Any) -> list[Any]:
    """The losses with another coefficient of one of them, which joins them where it is new."""
    found = {loss if isinstance(loss, str) else loss[0]: loss for loss in losses}
    before = found.get(name, name)
    own_settings = [] if isinstance(before, str) else list(before[2:])
    return list({**found, name: [name, coefficient, *own_settings]}.values())


def _number(key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{key}={text}: must be a number") from None


def value_of(text: str) -> Any:
    """Return what JSON makes of it, else the text itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
