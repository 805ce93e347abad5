"""Identity: each names the other's number."""

import pytest
import torch

from heliograph.envs.identity import Identity


def test_each_gets_one_for_the_number_of_the_other() -> None:
    env = Identity(values=3, num_envs=200)
    step = env.reset()
    own = step.observations["agent"].argmax(-1)
    assert torch.equal(step.meaning[..., 0], own)
    assert len(torch.unique(own[:, 0] * 3 + own[:, 1])) == 9
    talked = env.step({"agent": own.flip(1)})
    assert not talked.rewards.any()
    assert not talked.info["success"].any()
    guess = torch.stack([own[:, 1], torch.zeros(200, dtype=torch.long)], 1)
    answered = env.step({"agent": guess})
    expected = torch.stack([torch.ones(200), (own[:, 0] == 0).float()], 1)
    assert torch.equal(answered.rewards, expected)
    assert torch.equal(answered.info["success"], own[:, 0] == 0)
    assert answered.terminated.all()


def test_they_see_first_and_act_blind() -> None:
    env = Identity(num_envs=10)
    step = env.reset()
    assert (step.observations["agent"].sum(-1) == 1).all()
    assert step.speaking.all()
    assert not step.acting.any()
    step = env.step({"agent": torch.zeros(10, 2, dtype=torch.long)})
    assert not step.observations["agent"].any()
    assert step.acting.all()
    assert not step.speaking.any()


def test_the_chance_of_a_guess_is_the_blind_bound() -> None:
    bounds = Identity(values=4).bounds()
    assert (bounds.random, bounds.blind, bounds.full_information) == (0.25, 0.25, 1.0)


@pytest.mark.parametrize("values", [0, 1])
def test_too_few_values_are_refused(values: int) -> None:
    with pytest.raises(ValueError, match=f"values={values}"):
        Identity(values=values)
