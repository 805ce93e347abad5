"""Newcomers in a population: members that are replaced begin anew, weights, statistics and optimiser alike."""

from typing import TYPE_CHECKING

import torch

from heliograph.experiments.choices import build_population
from heliograph.rllib.runs.rng_state import mixed_seed

if TYPE_CHECKING:
    from heliograph.rllib.learner import TeamLearner

__all__ = ["due", "renew_members"]


def due(num_updates: int, *, every: int, size: int) -> int | None:
    """The member that begins anew after so many updates, each in its turn; None where nobody does."""
    if every == 0 or num_updates == 0 or num_updates % every:
        return None
    return (num_updates // every - 1) % size


@torch.no_grad()
def renew_members(learner: "TeamLearner") -> None:
    """Replace the member whose turn it is after this update; the same weights on every learner and in every resume."""
    config, number = learner.config, learner.update_number
    rule = build_population(config.choices())
    if rule is None or (member := due(number, every=rule.renews_every, size=rule.size)) is None:
        return
    for place, role in enumerate(role.name for role in config.facts().roles):
        if rule.renews_role in (None, role):
            _renew(learner, f"{role}_{member}", seed=mixed_seed(config.seed or 0, number, place))


def _renew(learner: "TeamLearner", name: str, *, seed: int) -> None:
    module = learner.team_module[name]
    if not learner.is_trained(name):
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = config_module(learner, name)
    module.load_state_dict(fresh)
    for optimizer_name in learner._module_optimizers[name]:
        optimizer = learner.get_optimizer(name, optimizer_name)
        for parameter in module.parameters():
            optimizer.state.pop(parameter, None)


def config_module(learner: "TeamLearner", name: str) -> dict[str, torch.Tensor]:
    """The weights of a module as it is built at first, from the random stream of torch."""
    spec = learner.config.get_multi_rl_module_spec().rl_module_specs[name]
    return spec.build().state_dict()
