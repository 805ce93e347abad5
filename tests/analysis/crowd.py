"""A crowd of which one agent knows something: all may speak, as adapters have it, and most have nothing to say."""

import dataclasses
import pathlib

import torch
from gymnasium import spaces

from heliograph.envs.base import EnvState, Outcome, TeamEnv, View
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.models.scripted import ScriptedOutput, say_symbol
from heliograph.storage.run_folder import Run
from heliograph.types import Role

GOALS, CHATTER = 3, 4
KNOWS, WHO, CODE, HEARER = 3, 5, 6, 1
"""Columns of an observation after the goal: whether one knows it, what to chatter, who knows it, and by what code."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CrowdState(EnvState):
    goal: torch.Tensor
    knower: torch.Tensor
    chatter: torch.Tensor
    time: torch.Tensor


class Crowd(TeamEnv[CrowdState]):
    """`size` agents talk at once, then slot 1 names the goal that the first knows, or by turns some other than slot 1.

    `roles`: the agents are split into so many, each of which adds its number to what it says. `nothing` is what those
    mean who know nothing; all are paid `scale * (+-1) + offset` at the end.
    """

    def __init__(
        self, *, size: int = 10, anyone: bool = False, nothing: int = -1, scale: float = 1.0, offset: float = 0.0,
        roles: int = 1, **base,
    ):  # fmt: skip
        self.size, self.anyone, self.nothing, self.scale, self.offset = size, anyone, nothing, scale, offset
        seen, choice = spaces.Box(-1.0, 100.0, (7,)), spaces.Discrete(GOALS)
        parts = torch.arange(size).tensor_split(roles)
        named = [(f"r{i}", tuple(f"r{i}_{slot}" for slot in part.tolist())) for i, part in enumerate(parts)]
        own = [Role(name=n, agents=agents, observation_space=seen, action_space=choice) for n, agents in named]
        super().__init__(tuple(own), **base)
        self.parts = parts

    @property
    def horizon(self) -> int:
        return 2

    def start(self) -> CrowdState:
        draw, copies = {"generator": self.start_generator}, (self.num_envs,)
        goal = torch.randint(GOALS, copies, **draw)
        knower = torch.randint(self.size - 1, copies, **draw)
        knower = (knower + (knower >= HEARER)) * int(self.anyone)
        chatter = torch.randint(CHATTER, (self.num_envs, self.size), **draw)
        return CrowdState(goal=goal, knower=knower, chatter=chatter, time=torch.zeros_like(goal))

    def advance(self, state: CrowdState, actions) -> tuple[CrowdState, Outcome]:
        told = torch.cat([actions[role.name] for role in self.roles], 1)[:, HEARER]
        over = state.time == 1
        reward = torch.where(over, self.scale * ((told == state.goal) * 2.0 - 1.0) + self.offset, 0.0)
        rewards, ends = (x[:, None].expand(-1, self.size) for x in (reward, over))
        outcome = Outcome(rewards=rewards, terminated=ends, episode_over=over)
        return dataclasses.replace(state, time=state.time + 1), outcome

    def observe(self, state: CrowdState) -> View:
        knows = torch.arange(self.size) == state.knower[:, None]
        goal = torch.nn.functional.one_hot(state.goal, GOALS)[:, None] * knows[..., None]
        code = torch.cat([torch.full((len(part),), i) for i, part in enumerate(self.parts)]).expand(knows.shape)
        rest = (knows, state.chatter, state.knower[:, None].expand(knows.shape), code)
        seen = torch.cat([goal, *(column[..., None] for column in rest)], -1).float()
        talking = (state.time == 0)[:, None].expand(knows.shape)
        return View(
            observations={role.name: seen[:, self.slots(role.name)] for role in self.roles},
            observing=torch.ones_like(knows),
            acting=~talking,
            speaking=talking,
            meaning=torch.where(knows, state.goal[:, None], self.nothing)[..., None],
            state=seen.flatten(1),
        )


def chattering(inputs, memory, heard) -> ScriptedOutput:
    """Who knows the goal says it; the others say what comes into their heads."""
    return _said(inputs, heard, other=inputs.observation[..., 4].long())


def repeating(inputs, memory, heard) -> ScriptedOutput:
    """Who knows the goal says it; the others say always the same."""
    return _said(inputs, heard, other=torch.zeros_like(inputs.observation[..., 4].long()))


def babbling(inputs, memory, heard) -> ScriptedOutput:
    """Nobody says what it knows."""
    chatter = inputs.observation[..., 4].long()
    return _said(inputs, heard, other=chatter, goal=chatter)


def _said(inputs, heard, *, other, goal=None) -> ScriptedOutput:
    seen = inputs.observation
    goal = seen[..., :GOALS].argmax(-1) if goal is None else goal
    code = seen[..., CODE].long()
    symbol = (torch.where(seen[..., KNOWS] > 0, goal, other) + code) % CHATTER
    action = seen.new_zeros(*seen.shape[:-1], GOALS)
    if heard is not None:
        messages = heard.messages.expand(*heard.mask.shape, -1)
        who = seen[..., WHO].long()[..., None, None].expand(*seen.shape[:-1], 1, messages.shape[-1])
        word = messages.gather(-2, who).squeeze(-2).argmax(-1)
        action = say_symbol(word.clamp(max=GOALS - 1), GOALS)
    memory = seen.new_zeros(*seen.shape[:-1], 0)
    return ScriptedOutput(action_inputs=action, channel_input=say_symbol(symbol, CHATTER), memory=memory)


def crowd_run(function=chattering, **settings) -> Run:
    """A crowd that talks by a script."""
    choice = EnvChoice(env=Crowd, settings=settings)
    channel = {"channel": "symbols", "channel_settings": {"vocabulary": CHATTER}}
    choices = TeamChoices(model="scripted", model_settings={"function": function}, **channel)
    facts = facts_of(build_env(choice, num_envs=1))
    team = build_team(choices, facts, seed=0).eval()
    config = {"env": {"env": "tests.analysis.crowd:Crowd", "settings": settings}, "team": {}}
    return Run(folder=pathlib.Path("none"), config=config, env=choice, choices=choices, facts=facts, team=team)
