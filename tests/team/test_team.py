"""The runtime of a team: delivery over any edges, waiting inboxes, who plays whom, rivals, scripts."""

import dataclasses

import pytest
import torch

from heliograph.envs.base import View
from heliograph.envs.identity import Identity, IdentityState
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.experiments.choices import EnvChoice, PolicyChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.models.scripted import ScriptedOutput, say_bits, say_symbol
from heliograph.rollouts.sampler import Sampler, play_episodes
from heliograph.team.team import Team
from heliograph.testing.small_teams import steps_of, stir
from heliograph.topologies.base import dense
from heliograph.types import Choice, Edges, TeamStep
from tests.parts import Chatter, Ring, make_sampler, make_team, replaced


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def first_step(world, team: Team) -> tuple[TeamStep, object]:
    return steps_of(world, team, number=1)[0]


# ---- edges --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["cnet", "feedforward", Chatter])
def test_sparse_edges_carry_what_the_same_dense_ones_do(model) -> None:
    ring = [[sender == (hearer + 1) % 6 for sender in range(6)] for hearer in range(6)]
    found = []
    for topology, settings in ((Ring, {}), ("given", {"mask": ring})):
        sampler = make_sampler("mixed", model=model, topology=topology, topology_settings=settings)
        rollout = sampler.fragment(8)
        assert rollout.edges is None and rollout.static_edges.mask.shape[-1] == (1 if topology is Ring else 6)
        found.append((rollout, sampler.team.unroll(rollout)))
    (sparse, sparse_unrolled), (full, full_unrolled) = found
    assert torch.equal(sparse.rewards, full.rewards)
    assert torch.allclose(sparse_unrolled.action_log_prob, full_unrolled.action_log_prob, atol=1e-4)


def test_edges_of_the_environment_are_recorded_step_by_step() -> None:
    sampler = make_sampler("switch_riddle")
    rollout = sampler.fragment(8)
    assert rollout.static_edges is None and rollout.edges.senders.shape == (8, 6, 3, 1)
    reads = rollout.edges.mask[..., 0]
    assert (reads.sum(-1) <= 1).all() and reads.any()


def test_no_topology_no_message() -> None:
    world = Identity(num_envs=4)
    team = make_team(world, topology="none")
    step, state = first_step(world, team)
    acted = team.step(step, state, generator=stream())
    assert acted.messages and acted.state.inbox.mask.shape == (4, 2, 0)
    assert acted.state.inbox.mask.numel() == 0


# ---- inboxes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topology", ["full", Ring])
@pytest.mark.parametrize("model", ["cnet", "feedforward", Chatter])
def test_an_inbox_waits_until_its_owner_observes(model, topology) -> None:
    """A message said while its hearer looks away is heard as if it had been said just before."""
    world = Identity(num_envs=8)
    team = make_team(world, model=model, topology=topology)
    step, state = first_step(world, team)
    only_first = torch.tensor([[True, False]]).expand(8, 2)
    nobody = torch.zeros(8, 2, dtype=torch.bool)
    said = replaced(step, observing=only_first, speaking=only_first, acting=nobody)
    idle = replaced(step, observing=only_first, speaking=nobody, acting=nobody)
    listens = replaced(step, observing=~only_first, speaking=nobody, acting=~only_first)
    acted = team.step(said, state, generator=stream())
    at_once = team.step(listens, acted.state, generator=stream(), choice=Choice.GREEDY)
    for _ in range(3):
        acted = team.step(idle, acted.state, generator=stream(1))
        assert acted.state.inbox.mask[:, 1].any(-1).all()
    later = team.step(listens, acted.state, generator=stream(), choice=Choice.GREEDY)
    assert not later.state.inbox.mask[:, 1].any()
    assert torch.allclose(at_once.action_log_prob[:, 1], later.action_log_prob[:, 1])
    unheard = team.step(listens, state, generator=stream(), choice=Choice.GREEDY)
    assert not torch.allclose(unheard.action_log_prob[:, 1], later.action_log_prob[:, 1])


class Whisper(Identity):
    """Agent 1 hears in step 1 only, by a dense rule of hearing; both speak always; agent 1 looks again in step 2."""

    def observe(self, state: IdentityState) -> View:
        view = super().observe(state)
        yes = torch.ones_like(view.speaking)
        now = (state.time == 0)[:, None, None]
        mask = torch.tensor([[False, False], [True, False]]).expand(self.num_envs, 2, 2) & now
        return dataclasses.replace(view, speaking=yes, hearing=dense(mask))


def test_what_is_said_to_others_does_not_replace_a_waiting_message() -> None:
    world = Whisper(num_envs=8)
    team = make_team(world, model="cnet")
    first, state = first_step(world, team)
    only_first = torch.tensor([[True, False]]).expand(8, 2)
    first = replaced(first, observing=only_first, speaking=only_first)
    acted = team.step(first, state, generator=stream())
    deaf = replaced(first, hearing=dense(torch.zeros(8, 2, 2, dtype=torch.bool)))
    later = team.step(deaf, acted.state, generator=stream(7))
    assert not torch.equal(acted.messages[0].payload, later.messages[0].payload)
    waiting = later.state.inbox
    assert waiting.mask[:, 1, 0].all()
    assert torch.equal(waiting.payload[:, 1, 0], acted.messages[0].payload[:, 0])


def test_unrolling_with_a_dense_rule_of_hearing() -> None:
    world = Whisper(num_envs=6)
    sampler = Sampler(world, make_team(world, model="cnet"), seed=0)
    rollout = sampler.fragment(6)
    assert rollout.edges is not None
    unrolled = sampler.team.unroll(rollout)
    assert torch.allclose(unrolled.action_log_prob, rollout.action_log_prob, atol=1e-5)


# ---- who plays whom -----------------------------------------------------------------------------------------------


def two_candidates(world, *, second: str = "cnet", seed: int = 0) -> Team:
    agents = tuple(world.agents)
    policies = {"a": PolicyChoice(agents=agents), "b": PolicyChoice(agents=agents, model=second)}
    return stir(build_team(TeamChoices(policies=policies, model="cnet"), facts_of(world), seed=seed), seed=seed)


def test_an_assignment_says_which_weights_act_in_which_copy() -> None:
    world = Identity(num_envs=32, seed=1)
    team = two_candidates(world)
    mixed = torch.randint(2, (32, 2), generator=stream())
    constants = [torch.full((32, 2), i) for i in range(2)]
    step = replaced(world.reset(), acting=torch.ones(32, 2, dtype=torch.bool))
    found = []
    for assignment in (mixed, *constants):
        state = team.initial_state(step, assignment=assignment)
        found.append(team.step(step, state, generator=stream(2)))
    by_policy = torch.stack([found[1].action_log_prob, found[2].action_log_prob])
    chosen = by_policy.gather(0, mixed[None])[0]
    pick = torch.stack([found[1].actions["agent"], found[2].actions["agent"]]).gather(0, mixed[None])[0]
    assert torch.equal(found[0].actions["agent"], pick)
    assert torch.equal(found[0].action_log_prob, chosen)


def test_assignments_are_redrawn_with_episodes_and_replayed() -> None:
    world = Identity(num_envs=16, seed=1)
    draws = stream(4)
    sampler = Sampler(world, two_candidates(world), assign=lambda b: torch.randint(2, (b, 2), generator=draws))
    sampler.fragment(3)
    rollout = sampler.fragment(8)
    assert rollout.assignment.shape == (9, 16, 2)
    changed = (rollout.assignment[1:] != rollout.assignment[:-1]).any(-1)
    assert changed.any() and (rollout.episode_over | ~changed).all()
    unrolled = sampler.team.unroll(rollout)
    assert torch.allclose(unrolled.action_log_prob, rollout.action_log_prob, atol=1e-5)


def test_without_an_assignment_the_first_candidate_plays() -> None:
    world = Identity(num_envs=4)
    state = first_step(world, two_candidates(world))[1]
    assert state.assignment.tolist() == [[0, 0]] * 4


def test_where_a_silent_candidate_plays_nothing_is_said() -> None:
    world = Identity(num_envs=16, seed=1)
    team = two_candidates(world, second="silent")
    step = world.reset()
    assignment = torch.tensor([[0, 1]]).expand(16, 2)
    acted = team.step(step, team.initial_state(step, assignment=assignment), generator=stream())
    assert acted.state.inbox.mask[:, 1, 0].all() and not acted.state.inbox.mask[:, 0].any()


def test_policies_of_fewer_rounds_fall_silent_in_the_later_ones() -> None:
    world = SpeakerListener(num_envs=8)
    policies = {
        "speaker": PolicyChoice(agents=("speaker_0",), model="cnet"),
        "listener": PolicyChoice(agents=("listener_0",), model=Chatter),
    }
    team = build_team(TeamChoices(policies=policies), facts_of(world), seed=0)
    assert team.rounds == 2
    assert team.talking(0, None).tolist() == [True, True] and team.talking(1, None).tolist() == [False, True]


# ---- teams that compete -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topology", ["full", Ring])
def test_no_gradient_flows_to_a_rival(topology) -> None:
    sampler = make_sampler("mixed", model="cnet", topology=topology)
    unrolled = sampler.team.unroll(sampler.fragment(8))

    def felt(role: str, *, loss_of: slice) -> float:
        weights = list(sampler.team.policies[role].message_encoder.parameters())
        loss = unrolled.action_log_prob[..., loss_of].sum()
        found = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
        return sum(float(g.abs().sum()) for g in found if g is not None)

    scouts, drivers, drone = slice(0, 2), slice(2, 5), slice(5, 6)
    assert felt("scout", loss_of=drone) == 0 == felt("driver", loss_of=drone)
    assert felt("drone", loss_of=scouts) == 0 == felt("drone", loss_of=drivers)
    assert felt("driver", loss_of=scouts) > 0


def test_rivals_are_heard_all_the_same() -> None:
    world_team = make_sampler("mixed", model="cnet")
    world_team.fragment(2)
    inbox = world_team.fragment(1).initial.inbox
    assert inbox.mask[:, 5, :5].any()


# ---- scripts ------------------------------------------------------------------------------------------------------


def speak_goal(inputs, memory, heard) -> ScriptedOutput:
    goal = inputs.observation.argmax(-1)
    return ScriptedOutput(action_inputs=torch.zeros(*goal.shape, 1), channel_input=say_symbol(goal, 4), memory=memory)


def name_symbol(inputs, memory, heard) -> ScriptedOutput:
    word = heard.total()
    return ScriptedOutput(action_inputs=20 * word[..., :3], channel_input=torch.zeros_like(word), memory=memory)


def speak_bits(inputs, memory, heard) -> ScriptedOutput:
    goal = inputs.observation.argmax(-1)
    bits = torch.stack([goal % 2, goal // 2], -1)
    return ScriptedOutput(action_inputs=torch.zeros(*goal.shape, 1), channel_input=say_bits(bits), memory=memory)


def name_bits(inputs, memory, heard) -> ScriptedOutput:
    bits = heard.total().round().long()
    goal = (bits[..., 0] + 2 * bits[..., 1]).clamp(max=2)
    return ScriptedOutput(action_inputs=say_symbol(goal, 3), channel_input=torch.zeros(*goal.shape, 2), memory=memory)


@pytest.mark.parametrize(
    ("channel", "speaker", "listener"), [("symbols", speak_goal, name_symbol), ("dru", speak_bits, name_bits)]
)
def test_a_scripted_protocol_wins(channel: str, speaker, listener) -> None:
    env = build_env(EnvChoice(env="speaker_listener"), num_envs=50, seed=0)
    policies = {
        role: PolicyChoice(agents=(f"{role}_0",), model="scripted", model_settings={"function": function})
        for role, function in (("speaker", speaker), ("listener", listener))
    }
    team = build_team(TeamChoices(channel=channel, policies=policies), facts_of(env))
    for choice in Choice:
        episodes, _ = play_episodes(Sampler(env, team), 100, choice=choice)
        assert len(episodes) == 100 and (episodes.returns == 1.0).all()


# ---- action masks -------------------------------------------------------------------------------------------------


def test_a_mask_of_one_role_binds_a_policy_that_serves_two() -> None:
    world = SpeakerListener(num_envs=4)
    same = dataclasses.replace(world.roles[0], action_space=world.roles[1].action_space)
    listener = dataclasses.replace(world.roles[1], observation_space=same.observation_space)
    facts = dataclasses.replace(facts_of(world), roles=(same, listener))
    team = build_team(TeamChoices(policies={"both": PolicyChoice(agents=facts.agents)}), facts)
    mask = torch.tensor([[True, False, True]]).expand(4, 1, 3)
    found = team.layout.action_mask("both", {"listener": mask}, lead=1)
    assert found.tolist() == [[[True] * 3, [True, False, True]]] * 4
    for nothing in (None, {}):
        assert team.layout.action_mask("both", nothing, lead=1) is None


def test_illegal_actions_are_never_taken() -> None:
    rollout = make_sampler("mixed", copies=32).fragment(16)
    allowed = rollout.action_mask["scout"].gather(-1, rollout.actions["scout"].unsqueeze(-1))[..., 0]
    assert allowed[rollout.acting[..., :2]].all()
    assert isinstance(rollout.static_edges, Edges)
