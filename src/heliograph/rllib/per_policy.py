"""What RLlib lets a user set for single policies and modules: what counts here, and refusals of the rest by name."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.policy.policy import PolicySpec

from heliograph.adapters.actions import acted
from heliograph.adapters.arrays import without_mask
from heliograph.adapters.spaces import observed
from heliograph.checks import check_schedule
from heliograph.experiments.choices import RESERVED_POLICY
from heliograph.registry import UnknownNameError
from heliograph.rllib.alternating import Alternating
from heliograph.rllib.custom_module import is_guest
from heliograph.rllib.validation import has_weights_of_nobody
from heliograph.team.team import Team

if TYPE_CHECKING:
    from heliograph.rllib.config import CommunicationConfig

__all__ = ["as_specs", "check_modules", "check_own_lr", "check_policies", "lr_of", "own_choice"]

OVERRIDES = "algorithm_config_overrides_per_module"
OF_POLICY = ("model", "model_settings", "lr")
"""Keys that a PolicySpec's `config` may hold for its policy."""
JOINT = (
    "all policies learn by one joint loss, of whose settings lr alone is a module's own; set it in .training() for all "
    "of them, and a model in PolicySpec(config={'model': ..., 'model_settings': {...}})"
)
OF_ALL_MODULES = (
    "multi_rl_module_class", "observation_space", "action_space", "model_config", "load_state_path", "modules_to_load",
)  # fmt: skip
"""Fields of a MultiRLModuleSpec that are no specification of one policy."""
SPACES = "the environment's are used, and they differ; leave it out"


def as_specs(policies: Any) -> Any:
    """Policies as RLlib's `multi_agent` takes them, with tuples of four written as PolicySpecs."""
    if not isinstance(policies, Mapping):
        return policies
    return {name: _as_spec(spec) for name, spec in policies.items()}


def _as_spec(given: Any) -> Any:
    return PolicySpec(*given) if isinstance(given, (tuple, list)) and len(given) == 4 else given


def lr_of(config: "CommunicationConfig", policy: str) -> Any:
    """The learning rate (or schedule) of a policy: its own, or that of all."""
    return next(iter(_own_lr(config, policy).values()), config.lr)


def own_choice(config: "CommunicationConfig", policy: str) -> dict[str, Any]:
    """Model and settings of a PolicySpec."""
    _check_keys(config, policy)
    return {key: value for key, value in _own_config(config, policy).items() if key != "lr"}


def check_policies(config: "CommunicationConfig", spaces: Mapping[str, Any]) -> None:
    """Raise ValueError where something is set for single policies that would have no effect.

    `spaces`: what has `observation_space` and `action_space`, by the names of the policies.
    """
    for name, override in config.algorithm_config_overrides_per_module.items():
        if name not in (valid := [*spaces, RESERVED_POLICY]):
            raise UnknownNameError(what=f"module in {OVERRIDES}", name=name, valid=valid)
        for key, value in override.items():
            if key != "lr":
                raise ValueError(f"{OVERRIDES}: {key}={value!r} of {name!r} would have no effect: {JOINT}")
    for name, spec in _specs(config).items():
        _check_spec(name, spec, spaces.get(name))
        _check_keys(config, name)
    for name in (*spaces, RESERVED_POLICY):
        given = _own_lr(config, name)
        if len(given) > 1 and len({repr(lr) for lr in given.values()}) > 1:
            named = ", ".join(f"lr={lr!r} in {where}" for where, lr in given.items())
            raise ValueError(f"policy {name!r} has {named}: give it one")
        for lr in given.values():
            check_schedule(f"lr of policy {name!r}", lr, minimum=0)


def check_own_lr(config: "CommunicationConfig", team: Team) -> None:
    """Raise ValueError where a learning rate is given to what never learns."""
    for name in (*team.policies, RESERVED_POLICY):
        why = _never_learns(config, name, team) if _own_lr(config, name) else None
        if why is not None:
            raise ValueError(f"lr={lr_of(config, name)!r} of {name!r} would have no effect: {why}; leave it out")


def check_modules(config: "CommunicationConfig", spaces: Mapping[str, Any]) -> None:
    """Raise ValueError where a specification of RLModules says what would have no effect."""
    given = config._rl_module_spec
    if isinstance(given, MultiRLModuleSpec):
        _check_multi(given)
    for name, spec in config.user_modules().items():
        own = not is_guest(spec.module_class)
        why = "Heliograph's own modules are built by .communication(model=..., model_settings={...}); set it there"
        refused: dict[str, tuple[Any, str]] = {
            "model_config": (spec.model_config if own else None, why),
            "catalog_class": (spec.catalog_class if own else None, why),
            "inference_only": (spec.inference_only or None, "each process builds what it needs; leave it out"),
            "learner_only": (spec.learner_only or None, "every policy acts; leave it out"),
        }
        for key in ("observation_space", "action_space"):
            refused[key] = (_other(getattr(spec, key), getattr(spaces.get(name), key, None), key), SPACES)
        _refuse(f"rl_module_spec of {name!r}", refused)


def _check_multi(given: MultiRLModuleSpec) -> None:
    why = "a team is built as a whole, from a specification for each policy in rl_module_specs; leave it out"
    usual = {field.name: field.default for field in dataclasses.fields(MultiRLModuleSpec)}
    for name in OF_ALL_MODULES:
        if (value := getattr(given, name)) != usual[name]:
            raise ValueError(f"MultiRLModuleSpec: {name}={value!r} would have no effect: {why}")


def _check_spec(name: str, spec: PolicySpec, seats: Any) -> None:
    what = f"PolicySpec of {name!r}"
    if spec.config is not None and not isinstance(spec.config, Mapping):
        raise ValueError(f"{what}: config must be a dictionary of {', '.join(OF_POLICY)}")
    refused = {"policy_class": (spec.policy_class, "policies are networks here; use config={'model': ...}")}
    for key in ("observation_space", "action_space"):
        refused[key] = (_other(getattr(spec, key), getattr(seats, key, None), key), SPACES)
    if seats is None and spec.config:
        refused["config"] = (spec.config, "no agent is mapped to this policy; give policy_mapping_fn too")
    _refuse(what, refused)


def _check_keys(config: "CommunicationConfig", policy: str) -> None:
    for key in _own_config(config, policy):
        if key not in OF_POLICY:
            raise UnknownNameError(what=f"override of policy {policy!r}", name=key, valid=list(OF_POLICY))


def _refuse(what: str, refused: Mapping[str, tuple[Any, str]]) -> None:
    for key, (value, why) in refused.items():
        if value is not None:
            raise ValueError(f"{what}: {key}={value!r} would have no effect: {why}")


def _other(given: Any, real: Any, key: str) -> Any:
    """A space that was given, where it is neither the real one nor one that an adapter maps to it."""
    if given is None or given == real:
        return None
    try:
        mapped = observed(without_mask(given)[0]) if key == "observation_space" else acted(given)
    except ValueError:
        return given
    return None if mapped.space == real else given


def _specs(config: "CommunicationConfig") -> dict[str, PolicySpec]:
    return dict(as_specs(config.policies)) if isinstance(config.policies, Mapping) else {}


def _own_config(config: "CommunicationConfig", policy: str) -> dict[str, Any]:
    return dict(getattr(_specs(config).get(policy), "config", None) or {})


def _own_lr(config: "CommunicationConfig", policy: str) -> dict[str, Any]:
    """The learning rates that a policy was given, by where that was."""
    places = {
        OVERRIDES: config.algorithm_config_overrides_per_module.get(policy, {}),
        "PolicySpec.config": _own_config(config, policy),
    }
    return {where: given["lr"] for where, given in places.items() if "lr" in given}


def _never_learns(config: "CommunicationConfig", name: str, team: Team) -> str | None:
    if name == RESERVED_POLICY:
        if config.freeze_team:
            return "freeze_team is set"
        known = has_weights_of_nobody(config, team)
        return None if known else "neither the channel nor a loss has weights that belong to no policy"
    if not team.policies[name].model.trainable:
        return "its model has no weights"
    trained: Iterable[str] | Callable[..., Any] | None = config.policies_to_train
    trained = trained.policies if isinstance(trained, Alternating) else trained
    if trained is None or callable(trained) or name in trained:
        return None
    return "it is not among policies_to_train"
