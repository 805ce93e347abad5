"""A user's own RLModule acts in a team that learns by Heliograph's path."""

from typing import Any

import pytest
import torch
from ray.rllib.algorithms.ppo.ppo_catalog import PPOCatalog
from ray.rllib.algorithms.ppo.torch.default_ppo_torch_rl_module import DefaultPPOTorchRLModule
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from torch import nn

from heliograph.registry import UnknownNameError
from heliograph.rllib.module import PolicyModule
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.storage.run_folder import read_run, write_config, write_team


class OneLayer(TorchRLModule):
    """The smallest module: logits from observations."""

    def setup(self) -> None:
        self.net = nn.Linear(self.observation_space.shape[0], self.action_space.n)

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {Columns.ACTION_DIST_INPUTS: self.model_config.get("gain", 1.0) * self.net(batch[Columns.OBS])}


class Remembers(OneLayer):
    """A module with a state, which nobody would carry."""

    def get_initial_state(self) -> dict[str, Any]:
        return {"h": torch.zeros(4)}


class Doubled(PolicyModule):
    """Heliograph's own module, changed by a user."""

    def setup(self) -> None:
        super().setup()
        self.was_here = True


class Wrong(OneLayer):
    """Puts out something else."""

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {"logits": self.net(batch[Columns.OBS])}


def config(spec: Any, env: str = "speaker_listener") -> CommPPOConfig:
    return (
        CommPPOConfig()
        .environment(env)
        .communication(model="feedforward", model_settings={"size": 16}, channel="symbols")
        .rl_module(rl_module_spec=spec)
        .env_runners(num_envs_per_env_runner=32)
        .training(train_batch_size_per_learner=256, minibatch_size=128)
        .debugging(seed=0)
    )


def of_listener(**spec: Any) -> MultiRLModuleSpec:
    return MultiRLModuleSpec(rl_module_specs={"listener": RLModuleSpec(**spec)})


def test_a_module_of_rllib_plays_the_listener() -> None:
    stock = DefaultModelConfig(fcnet_hiddens=[16, 16])
    spec = of_listener(module_class=DefaultPPOTorchRLModule, catalog_class=PPOCatalog, model_config=stock)
    trainer = LocalTrainer(config(spec))
    weights = [p.detach().clone() for p in trainer.team.policies["listener"].parameters()]
    progress = trainer.train()
    assert progress.learner["first_ratio_error"] <= 1e-5
    after = trainer.team.policies["listener"].parameters()
    assert any(not torch.equal(a, b) for a, b in zip(weights, after, strict=True))
    assert not trainer.team.policies["listener"].communicates and trainer.team.policies["speaker"].communicates


def test_one_specification_is_for_all_policies_and_learns() -> None:
    """In `identity` without a channel the best an agent can do needs nothing but its own observation."""
    trainer = LocalTrainer(config(RLModuleSpec(module_class=OneLayer, model_config={"gain": 2.0}), env="identity"))
    assert trainer.train().learner["first_ratio_error"] <= 1e-5
    assert all(type(p.model.module) is OneLayer for p in trainer.team.policies.values())
    assert trainer.team.silent


def test_its_run_folder_names_the_class_and_is_read_only_with_trust(tmp_path: Any) -> None:
    trainer = LocalTrainer(config(of_listener(module_class=OneLayer)))
    write_config(tmp_path, env=trainer.config.env_choice(), choices=trainer.config.choices())
    write_team(tmp_path, trainer.team)
    with pytest.raises(ValueError, match="trust"):
        read_run(tmp_path)
    read = read_run(tmp_path, trust=True).team.policies["listener"].state_dict()
    assert all(torch.equal(v, read[k]) for k, v in trainer.team.policies["listener"].state_dict().items())


def test_a_class_derived_from_ours_takes_its_place() -> None:
    trainer = LocalTrainer(config(of_listener(module_class=Doubled)))
    assert trainer.learner.module["listener"].was_here and trainer.env_runner.module["listener"].was_here
    trainer.train()


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        (of_listener(module_class=Remembers), ValueError, "stateful"),
        (of_listener(module_class=nn.Linear), ValueError, "no TorchRLModule"),
        (MultiRLModuleSpec(rl_module_specs={"lisener": RLModuleSpec()}), UnknownNameError, "lisener"),
    ],
)
def test_modules_that_cannot_work_are_refused(spec: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        LocalTrainer(config(spec))


def test_wrong_output_is_named() -> None:
    with pytest.raises(ValueError, match=r"Wrong.forward_train puts out \['logits'\]"):
        LocalTrainer(config(of_listener(module_class=Wrong))).train()
