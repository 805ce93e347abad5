"""Every model keeps the contract of the runtime: unrolling repeats the step, and nobody knows what it was not told."""

import dataclasses
from typing import Any

import pytest
import torch

from heliograph import registry
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.models.blocks import MessageNorm
from heliograph.models.cnet import CNet
from heliograph.rollouts.sampler import Sampler
from heliograph.team.inputs import ages_in
from heliograph.testing import MODEL_CHECKS
from heliograph.testing.model_knowledge import messages_of, outcome_of
from heliograph.testing.small_teams import ENVS, all_close, perturbed, seeded, steps_of
from heliograph.types import Choice, Gradient, MessageForm, tensors_of
from tests.parts import MODELS, Chatter, make_sampler, make_team, model_maker, replaced

each_model = pytest.mark.parametrize("model", MODELS)
each_env = pytest.mark.parametrize("env", ENVS)


def test_the_models_of_this_package_are_exactly_these() -> None:
    assert registry.names("model") == [
        "cnet", "commnet", "feedforward", "full_information", "gacomm", "graph_attention", "ic3net", "magic",
        "mean_field", "scripted", "silent", "tarmac",
    ]  # fmt: skip


# ---- what is shipped ----------------------------------------------------------------------------------------------


@each_model
@pytest.mark.parametrize("check", MODEL_CHECKS)
def test_conformance(model: str, check: str) -> None:
    MODEL_CHECKS[check](model_maker(model))


@each_model
@each_env
def test_unrolling_repeats_what_was_counted_and_said(model: str, env: str) -> None:
    sampler = make_sampler(env, model=MODELS[model], channel="symbols-gumbel")
    rollout = sampler.fragment(6)
    unrolled = sampler.team.unroll(rollout)
    assert len(unrolled.messages) == len(rollout.messages) == sampler.team.rounds
    said = rollout.speaking & sampler.team.talks
    for now, then in zip(unrolled.messages, rollout.messages, strict=True):
        assert all_close(now.payload[said], then.payload[said]) and torch.equal(now.bits, then.bits)
        assert torch.equal(now.symbols[said], then.symbols[said])


# ---- who knows what -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["cnet", "feedforward", "chatter", "silent"])
def test_agents_that_share_a_policy_know_nothing_of_each_other_either(model: str) -> None:
    world = ENVS["identity"](num_envs=32)
    team = make_team(world, model=MODELS[model], channel="dru")
    (step, state), *_ = steps_of(world, team, number=1)
    step = replaced(step, acting=torch.ones_like(step.acting))
    heard = messages_of(team, step, state)
    swapped = {"agent": torch.stack([step.observations["agent"][:, 0], 1 - step.observations["agent"][:, 1]], 1)}
    now, then = (outcome_of(team, s, state, heard=heard) for s in (step, replaced(step, observations=swapped)))
    assert torch.equal(now.log_prob[:, 0], then.log_prob[:, 0])
    assert not all_close(now.log_prob[:, 1], then.log_prob[:, 1])


@each_model
def test_what_ends_is_cut(model: str) -> None:
    world = ENVS["mixed"](num_envs=8)
    team = make_team(world, model=MODELS[model], channel="dru")
    step, state = steps_of(world, team, number=3)[-1]
    acted = team.step(step, state, generator=seeded())
    full = dataclasses.replace(acted.state.inbox, mask=torch.ones_like(acted.state.inbox.mask))
    ended = torch.zeros_like(step.terminated)
    ended[:4, 3] = True
    cut = team.cut(dataclasses.replace(acted.state, inbox=full), ended, acted.edges)
    assert (cut.last_action["driver"][:4, 1] == 0).all()
    for now, then in zip(*(tensors_of(s.memory["driver"]) for s in (cut, acted.state)), strict=True):
        assert (now[:4, 1] == 0).all()
        assert torch.equal(now[:, [0, 2]], then[:, [0, 2]]) and torch.equal(now[4:], then[4:])
    if not team.silent:
        assert not cut.inbox.mask[:4, 3].any() and not cut.inbox.mask[:4, :, 3].any()
        assert cut.inbox.mask[:4, [0, 1, 2, 4, 5]][:, :, [0, 1, 2, 4, 5]].all() and cut.inbox.mask[4:].all()


# ---- what a model declares ----------------------------------------------------------------------------------------


@each_model
def test_a_team_without_talk_has_no_rounds_and_no_inbox(model: str) -> None:
    sampler = make_sampler("identity", model=MODELS[model], channel="none")
    rollout = sampler.fragment(4)
    assert sampler.team.silent and rollout.messages == () and rollout.initial.inbox.mask.shape[-1] == 0
    assert sampler.team.policies["agent"].message_encoder is None


@pytest.mark.parametrize(("model", "same_step"), [("cnet", False), ("feedforward", False), ("chatter", True)])
def test_timing(model: str, same_step: bool) -> None:
    """In the step in which it is said a message moves the hearer of a SAME_STEP model only; in the next, both."""
    world = ENVS["identity"](num_envs=8)
    team = make_team(world, model=MODELS[model], channel="dru")
    (step, state), *_ = steps_of(world, team, number=1)
    step = replaced(step, acting=torch.ones_like(step.acting))
    heard = messages_of(team, step, state)
    other = dataclasses.replace(heard, payload=1 - heard.payload)
    now, then = (outcome_of(team, step, state, heard=h) for h in (heard, other))
    assert all_close(now.log_prob, then.log_prob) != same_step
    assert bool(now.inbox.any()) != same_step


def test_the_second_round_answers_the_first() -> None:
    sampler = make_sampler("identity", model=Chatter, channel="dru")
    rollout = sampler.fragment(6)
    seen = rollout.observations["agent"].requires_grad_()
    unrolled = sampler.team.unroll(rollout)
    assert len(rollout.draws) == len(rollout.messages) == 2
    first, second = (torch.autograd.grad(i[0, :, 0].sum(), seen, retain_graph=True)[0] for i in unrolled.channel_inputs)
    assert first[0, :, 0].abs().sum() > 0 and first[0, :, 1].abs().sum() == 0
    assert second[0, :, 1].abs().sum() > 0, "agent 0 answers what agent 1 said"


def test_scripts_are_frozen() -> None:
    team = make_team(ENVS["identity"](), model="scripted")
    assert not list(team.policies["agent"].parameters())


def test_full_information_sees_the_state_and_not_the_observation() -> None:
    world = ENVS["identity"](num_envs=8)
    team = make_team(world, model="full_information")
    (step, state), *_ = steps_of(world, team, number=1)
    step = replaced(step, acting=torch.ones_like(step.acting))
    blind = replaced(step, observations=perturbed(step.observations, roles={"agent"}))
    other = replaced(step, state=1 - step.state)
    seen = [outcome_of(team, s, state).log_prob for s in (step, blind, other)]
    assert torch.equal(seen[0], seen[1]) and not all_close(seen[0], seen[2])


def test_feedforward_shows_last_actions_only_if_asked() -> None:
    for shown in (False, True):
        world = ENVS["switch_riddle"](num_envs=8)
        team = make_team(world, model="feedforward", model_settings={"last_action": shown})
        (step, state), *_ = steps_of(world, team, number=1)
        other = dataclasses.replace(state, last_action={"prisoner": 1 - state.last_action["prisoner"]})
        assert all_close(outcome_of(team, step, state).log_prob, outcome_of(team, step, other).log_prob) != shown


def test_cnet_is_the_published_network() -> None:
    env = build_env(EnvChoice(env="switch_riddle"), num_envs=1)
    published = {"initialisation": "uniform"} if "initialisation" in registry.settings_of(CNet) else {}
    choices = TeamChoices(model="cnet", model_settings=published, channel="dru")
    policy = build_team(choices, facts_of(env), seed=0).policies["prisoner"]
    model = policy.model
    assert (model.hidden_size, model.memory_size, len(model.cells)) == (128, 256, 2)
    assert model.out.weight.shape == (128, 128) and model.head.weight.shape == (2, 128)
    weights = torch.cat([w.detach().flatten() for w in model.cells.parameters()])
    assert weights.abs().max() <= 0.08 and abs(float(weights.std()) - 0.08 / 3**0.5) < 1e-3
    assert len(policy.message_norms()) == 1
    bare = build_team(TeamChoices(model_settings={"message_norm": "none", "size": 8, "layers": 1}), facts_of(env))
    assert bare.policies["prisoner"].message_norms() == [] and bare.policies["prisoner"].model.memory_size == 8


def test_observations_pass_as_many_layers_as_asked_for_and_keep_the_scale_of_messages() -> None:
    env = build_env(EnvChoice(env="colour_digit"), num_envs=256)
    step = env.reset()
    for layers in (1, 2, 3):
        choices = TeamChoices(model="cnet", model_settings={"observation_layers": layers}, channel="dru")
        team = build_team(choices, facts_of(env), seed=0)
        torso = team.policies["player"].model.torso
        deeper = torso.deeper or torch.nn.Identity()
        assert sum(isinstance(m, torch.nn.Linear) for m in deeper.modules()) == layers - 1
        scale = deeper(torso.observation(step.observations["player"])).square().mean().sqrt()
        assert scale > 2 if layers == 1 else 0.5 < scale < 2
    sampler = Sampler(env, team, seed=0)
    rollout = sampler.fragment(2)
    assert all_close(sampler.team.unroll(rollout).messages[0].payload, rollout.messages[0].payload)
    with pytest.raises(ValueError, match="observation_layers=0"):
        build_team(TeamChoices(model_settings={"observation_layers": 0}), facts_of(env))


def test_the_gain_of_the_mouth_is_the_scale_of_first_messages() -> None:
    said = {}
    for gain in (1.0, 5.0):
        env = build_env(EnvChoice(env="colour_digit"), num_envs=256, seed=0)
        settings = {"observation_layers": 2, "message_gain": gain}
        choices = TeamChoices(model="cnet", model_settings=settings, channel="dru", channel_settings={"limit": None})
        team = build_team(choices, facts_of(env), seed=0)
        said[gain] = team.unroll(Sampler(env, team, seed=0).fragment(1)).channel_inputs[0].detach()
        assert team.policies["player"].message_encoder.weight.norm(dim=1).tolist() == pytest.approx([gain] * 2)
    assert float(said[5.0].std() / said[1.0].std()) == pytest.approx(5, rel=0.3)
    with pytest.raises(ValueError, match="message_gain=0"):
        build_team(TeamChoices(model_settings={"message_gain": 0.0}), facts_of(env))


def test_the_message_norm_moves_when_told_and_only_then() -> None:
    sampler = make_sampler("identity", model="cnet", channel="dru")
    (norm,) = sampler.team.policies["agent"].message_norms()
    before = norm.mean.clone()
    sampler.team.unroll(sampler.fragment(4))
    assert torch.equal(norm.mean, before)
    norm.track(torch.ones(2), torch.full((2,), 3.0))
    assert norm.mean.tolist() == pytest.approx([0.1, 0.1]) and norm.variance.tolist() == pytest.approx([1.2, 1.2])
    out = norm(torch.full((5, 2), 0.1))
    assert torch.allclose(out, norm.bias.expand(5, 2), atol=1e-6)


class NormedByOthers(CNet):
    """Puts its norm where nobody passes on what it needs."""

    def build_message_decoder(self, payload_size: int) -> torch.nn.Module:
        return torch.nn.Sequential(MessageNorm(payload_size), torch.nn.Linear(payload_size, self.message_size))


def test_a_norm_that_nobody_would_tell_what_arrives_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Sequential with a MessageNorm in it.*NormedDecoder"):
        build_team(TeamChoices(model=NormedByOthers), facts_of(build_env(EnvChoice(env="identity"), num_envs=1)))


def counting(env: str = "switch_riddle", **more: Any) -> Sampler:
    return make_sampler(env, model="cnet", channel="dru", model_settings={"message_norm": "by_step"}, **more)


def test_a_norm_by_step_needs_a_horizon() -> None:
    facts = dataclasses.replace(facts_of(build_env(EnvChoice(env="switch_riddle"), num_envs=1)), horizon=None)
    with pytest.raises(ValueError, match=r"message_norm='by_step'.*horizon"):
        build_team(TeamChoices(model_settings={"message_norm": "by_step"}), facts)


def test_a_team_that_normalises_by_step_counts_the_steps_of_each_copy() -> None:
    sampler = counting()
    rollout = sampler.fragment(20)
    age, expected = torch.zeros(rollout.num_envs, dtype=torch.long), []
    for over in rollout.episode_over:
        expected.append(age)
        age = torch.where(over, 0, age + 1)
    assert torch.equal(ages_in(rollout), torch.stack(expected)) and len(rollout.episode_over.any(1).unique()) == 2
    assert torch.equal(sampler._now[1].age, age)
    with pytest.raises(ValueError, match="does not count"):
        ages_in(make_sampler("switch_riddle", model="cnet", channel="dru").fragment(2))


def test_each_step_of_an_episode_is_normalised_by_its_own_statistics() -> None:
    sampler = counting()
    (norm,) = sampler.team.policies["prisoner"].message_norms()
    assert norm.mean.shape == (6, 2)
    norm.track(torch.full((2,), 9.0), torch.full((2,), 4.0), step=3)
    out = norm(torch.ones(2, 1, 3, 2), age=torch.tensor([3, 2]))
    scale = norm.weight * (1.3 + 1e-5) ** -0.5  # variance 1 + 0.1 (4 - 1), mean 0.1 of 9
    assert torch.allclose(out[0], 0.1 * scale + norm.bias.expand(1, 3, 2), atol=1e-6)
    assert torch.allclose(out[1], norm.weight * (1 + 1e-5) ** -0.5 + norm.bias.expand(1, 3, 2), atol=1e-6)
    assert torch.equal(*norm(torch.ones(2, 1, 3, 2), age=torch.tensor([40, 5])))
    with pytest.raises(ValueError, match="age=None"):
        norm(torch.ones(2, 1, 3, 2))
    rollout = sampler.fragment(9)
    assert all_close(sampler.team.unroll(rollout).action_log_prob, rollout.action_log_prob)


def test_execution_and_training_forms_differ_and_replay_is_of_training() -> None:
    sampler = make_sampler("identity", model="cnet", channel="dru")
    rollout = sampler.fragment(4, form=MessageForm.EXECUTION, choice=Choice.GREEDY)
    assert set(rollout.messages[0].payload.unique().tolist()) <= {0.0, 1.0}
    assert sampler.team.channel.gradient is Gradient.PATHWISE
