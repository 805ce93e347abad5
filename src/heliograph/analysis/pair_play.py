"""Two teams as one: some policies of the first, the rest of the second, played without measuring what they say."""

import copy
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from heliograph.analysis.distinct_play import begun_once, is_deterministic, play_begun, play_distinct
from heliograph.envs.base import TeamEnv
from heliograph.experiments.choices import PolicyChoice, build_team, build_topology
from heliograph.rollouts.meetings import Fixed
from heliograph.rollouts.rollout import Keeping
from heliograph.rollouts.sampler import Sampler, play_episodes
from heliograph.rollouts.statistics import Episodes
from heliograph.storage.run_folder import Run
from heliograph.team.assignment import Layout
from heliograph.team.policy import Policy
from heliograph.team.team import Team

__all__ = ["PairedTeam", "played_together", "script_run", "together"]

OWN, OTHER = "own", "other"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairedTeam:
    """Two teams as one, and who plays whom where both could play everybody (policy indices [N])."""

    team: Team
    assignment: Tensor | None


def together(one: Run, other: Run, *, exchanged: Sequence[str]) -> PairedTeam:
    """One's team with the exchanged policies of the other; with none named, one's first agent among the other's agents.

    The second way is that of teams in which a single policy plays all. Networks are shared with the runs, not copied.
    """
    base = one.team
    if exchanged:
        policies = {name: (other if name in exchanged else one).team.policies[name] for name in base.layout.policies}
        team = _with_policies(base, policies) or _assembled(one, base.layout, policies)
        return PairedTeam(team=team, assignment=None)
    (mine,), (theirs,) = base.policies.values(), other.team.policies.values()
    agents = base.layout.agents
    layout = Layout(base.layout.roles, {OWN: agents, OTHER: agents})
    assignment = torch.ones(len(agents), dtype=torch.long)
    assignment[0] = 0
    return PairedTeam(team=_assembled(one, layout, {OWN: mine, OTHER: theirs}), assignment=assignment)


def played_together(
    pair: PairedTeam, env: TeamEnv, *, num_episodes: int, seed: int
) -> tuple[Float[Tensor, " E"], Float[Tensor, " E"]]:
    """Returns and success of episodes that are the same for every pair: greedy, with messages in execution form.

    Copies that are alike are computed once where nothing of the team is random.
    """
    if is_deterministic(pair.team, env):
        if num_episodes <= env.num_envs and env.resumable:
            start = begun_once(env, seed=seed)
            return play_begun(pair.team, start, num_episodes=num_episodes, assignment=pair.assignment)
        env.seed(seed)
        return play_distinct(pair.team, env, num_episodes=num_episodes, assignment=pair.assignment)
    env.seed(seed)
    assign = None if pair.assignment is None else Fixed(pair.assignment.expand(env.num_envs, -1))
    episodes: Episodes = play_episodes(
        Sampler(env, pair.team, seed=seed, assign=assign), num_episodes, keeping=Keeping.SAID
    )[0]
    return episodes.returns, episodes.success


def script_run(like: Run, function: Any, *, memory_size: int = 0, name: str = "script") -> Run:
    """A team of the same task and channel in which a script plays everybody, to be a partner of trained teams.

    `function` is that of the model `scripted`: a callable, or "package.module:name".
    """
    settings = {"function": function, "memory_size": memory_size}
    policies = {
        policy: PolicyChoice(
            agents=tuple(like.team.layout.agents[slot] for slot in seats.slots),
            model="scripted",
            model_settings=settings,
        )
        for policy, seats in like.team.layout.seats.items()
    }
    choices = like.choices.model_copy(update={"policies": policies, "population": None, "population_settings": {}})
    team = build_team(choices, like.facts, seed=0)
    return dataclasses.replace(like, source=pathlib.Path(name), choices=choices, team=team.eval())


def _with_policies(base: Team, policies: dict[str, Policy]) -> Team | None:
    """The same team with other policies, where its tables are right for them; None where they must be made anew."""
    for name, policy in policies.items():
        ours, theirs = base.policies[name], policy
        if _outline(ours) != _outline(theirs) or any(norm.num_steps is not None for norm in theirs.message_norms()):
            return None
    team = copy.copy(base)
    team._modules = {**base._modules, "policies": nn.ModuleDict(policies)}
    return team


def _outline(policy: Policy) -> tuple[Any, ...]:
    """Return what a team's tables go by."""
    model = policy.model
    timed = any(norm.num_steps is not None for norm in policy.message_norms())
    return policy.communicates, model.timing, model.rounds, model.memory_size, model.remembers, timed, type(model)


def _assembled(run: Run, layout: Layout, policies: dict[str, Any]) -> Team:
    team = Team(
        layout,
        policies=policies,
        channel=run.team.channel,
        topology=build_topology(run.choices.topology, run.choices.topology_settings),
        team_of_agent=torch.tensor(run.facts.team_of_agent),
    )
    return team.eval()
