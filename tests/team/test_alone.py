"""One agent by itself does exactly what it does in its team, message for message and action for action."""

import dataclasses
from typing import Any

import pytest
import torch

from heliograph.registry import UnknownNameError
from heliograph.storage.run_folder import read_run
from heliograph.team.alone import AgentMemory, AgentMessage, LoneAgent
from heliograph.team.team import Team
from heliograph.testing.small_teams import ENVS
from heliograph.types import Choice, Edges, MessageForm, TeamStep, Timing, map_tensors
from tests.parts import MODELS, make_team

GREEDY: dict[str, Any] = {"choice": Choice.GREEDY, "form": MessageForm.EXECUTION}
Mail = dict[str, AgentMessage]


@dataclasses.dataclass(kw_only=True)
class Apart:
    """The agents of a team, each by itself, and the mail between them."""

    team: Team
    agents: dict[str, LoneAgent]
    memories: dict[str, AgentMemory]
    waiting: dict[str, Mail]

    @classmethod
    def of(cls, team: Team) -> "Apart":
        agents = {name: LoneAgent(team, name) for name in team.layout.agents}
        memories = {name: agent.begin() for name, agent in agents.items()}
        return cls(team=team, agents=agents, memories=memories, waiting={name: {} for name in agents})

    def step(self, seen: TeamStep, edges: Edges) -> tuple[dict[str, torch.Tensor], list[Mail]]:
        """Actions by agent, and what was said in each round."""
        here = {name: bool(seen.observing[0, slot]) for slot, name in enumerate(self.agents)}
        speaks = {name: bool(seen.speaking[0, slot]) for slot, name in enumerate(self.agents)}
        boxes: dict[str, list[Mail]] = {
            name: [self.waiting[name]] if agent.timing is Timing.NEXT_STEP and agent.rounds else []
            for name, agent in self.agents.items()
        }
        said = []
        for r in range(self.team.rounds):
            spoken = {
                name: agent.say(observed(seen, self.team, name), self.memories[name], heard=boxes[name])
                for name, agent in self.agents.items()
                if here[name] and speaks[name] and r < agent.model.rounds
            }
            said.append({name: message for name, message in spoken.items() if message is not None})
            for hearer, agent in self.agents.items():
                fresh = {name: m for name, m in said[-1].items() if hears(edges, self.team, hearer, name)}
                if r == 0 and agent.timing is Timing.NEXT_STEP:
                    self.waiting[hearer] = fresh if here[hearer] else {**self.waiting[hearer], **fresh}
                    continue
                old = self.waiting[hearer] if r == 0 else {}
                boxes[hearer].append({**old, **fresh})
                if r == 0:
                    self.waiting[hearer] = {} if here[hearer] else {**old, **fresh}
        return {name: self._acted(name, seen, boxes[name], here=here[name]) for name in self.agents}, said

    def _acted(self, name: str, seen: TeamStep, heard: list[Mail], *, here: bool) -> torch.Tensor | None:
        agent = self.agents[name]
        if not here:
            self.memories[name] = agent.wait(self.memories[name])
            return None
        role, place = role_of(self.team, name)
        mask = None if seen.action_mask is None or role not in seen.action_mask else seen.action_mask[role][0, place]
        out = agent.act(
            observed(seen, self.team, name), heard, self.memories[name], action_mask=mask,
            acting=bool(seen.acting[0, agent.slot]), speaking=bool(seen.speaking[0, agent.slot]),
        )  # fmt: skip
        self.memories[name] = out.memory
        return out.action

    def end(self, ended: list[str]) -> None:
        for name in ended:
            self.memories[name] = self.agents[name].begin()
            self.waiting = {
                hearer: {s: m for s, m in mail.items() if s != name} for hearer, mail in self.waiting.items()
            }
            self.waiting[name] = {}


def role_of(team: Team, name: str) -> tuple[str, int]:
    return next((role.name, role.agents.index(name)) for role in team.layout.roles if name in role.agents)


def observed(seen: TeamStep, team: Team, name: str) -> Any:
    role, place = role_of(team, name)
    return map_tensors(lambda leaf: leaf[0, place], seen.observations[role])


def hears(edges: Edges, team: Team, hearer: str, sender: str) -> bool:
    at, of = team.layout.agents.index(hearer), team.layout.agents.index(sender)
    mask = edges.mask.expand(1, len(team.layout.agents), -1)[0, at]
    senders = torch.arange(len(mask)) if edges.senders is None else edges.senders.expand(1, -1, -1)[0, at]
    return bool((mask & (senders == of)).any()) and hearer != sender


def walk(team: Team, env: Any, *, number: int) -> int:
    """Play both side by side; returns how many actions were compared."""
    apart, seen, compared = Apart.of(team), env.reset(), 0
    state = team.initial_state(seen)
    for _ in range(number):
        edges = team.edges(seen)
        with torch.no_grad():
            acted = team.step(seen, state, **GREEDY)
        actions, said = apart.step(seen, edges)
        for r, spoken in enumerate(said):
            for name, message in spoken.items():
                own = acted.messages[r].payload[0, team.layout.agents.index(name)]
                assert torch.allclose(message.payload, own, atol=1e-5), (r, name)
        for name, action in actions.items():
            role, place = role_of(team, name)
            if action is not None and bool(seen.acting[0, team.layout.agents.index(name)]):
                theirs = acted.actions[role][0, place]
                assert torch.allclose(action.double(), theirs.double(), atol=1e-5), (name, action, theirs)
                compared += 1
        seen = env.step(acted.actions)
        ended = (seen.terminated | seen.truncated) | seen.episode_over.unsqueeze(1)
        state = team.cut(acted.state, ended, edges)
        apart.end([name for slot, name in enumerate(team.layout.agents) if bool(ended[0, slot])])
    return compared


@pytest.mark.parametrize("model", [name for name in MODELS if name not in ("full_information", "scripted")])
def test_agents_apart_do_what_their_team_does(model: str) -> None:
    world = ENVS["mixed"](num_envs=1)
    assert walk(make_team(world, model=MODELS[model], channel="symbols-score"), world, number=5) >= 5


@pytest.mark.parametrize("channel", ["dru", "gated+dru", "delayed+dru", "limited+dru", "vq"])
def test_what_a_channel_remembers_stays_with_its_speaker(channel: str) -> None:
    world = ENVS["identity"](num_envs=1)
    assert walk(make_team(world, model="cnet", channel=channel), world, number=6) == 6


def test_a_trained_team_apart_plays_the_same_episodes() -> None:
    run = read_run("recipe:dial_switch3")
    assert walk(run.team, ENVS["switch_riddle"](num_envs=1, seed=3), number=50) >= 15


def test_wrong_mail_is_refused() -> None:
    run = read_run("recipe:speaker_listener_symbols")
    listener, speaker = run.agent("listener_0"), run.agent("speaker_0")
    memory = listener.begin()
    seen = torch.zeros(listener.observation_space.shape)
    with pytest.raises(UnknownNameError, match="did you mean 'speaker_0'"):
        listener.act(seen, {"speaker": torch.zeros(4)}, memory)
    with pytest.raises(ValueError, match=r"has shape \(3,\), must be \(4,\)"):
        listener.act(seen, {"speaker_0": torch.zeros(3)}, memory)
    with pytest.raises(ValueError, match="2 rounds"):
        listener.act(seen, [{}, {}], memory)
    with pytest.raises(UnknownNameError, match="listener_0"):
        run.agent("listener")
    assert speaker.say(torch.tensor([0.0, 1.0, 0.0]), speaker.begin()).symbols is not None


def test_an_agent_that_needs_its_team_is_refused() -> None:
    world = ENVS["identity"](num_envs=1)
    with pytest.raises(ValueError, match="FullInformation is centralised"):
        LoneAgent(make_team(world, model="full_information", channel="none"), "agent_0")


def test_draws_of_a_step_are_the_same_whenever_it_is_asked_for() -> None:
    world = ENVS["identity"](num_envs=1)
    agent = LoneAgent(make_team(world, model="cnet", channel="symbols-score"), "agent_0", choice=Choice.SAMPLED)
    seen = map_tensors(lambda leaf: leaf[0, 0], next(iter(world.reset().observations.values())))
    drawn = {int(agent.say(seen, agent.begin(seed=seed)).symbols[0]) for seed in range(30)}
    assert len(drawn) > 1
    for seed in range(5):
        memory = agent.begin(seed=seed)
        out = agent.act(seen, {}, memory)
        assert torch.equal(out.messages[0].payload, agent.say(seen, memory).payload)
        assert torch.equal(agent.act(seen, {}, memory).action, out.action)
