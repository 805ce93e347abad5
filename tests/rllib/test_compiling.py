"""Compiled losses: a minibatch's graph gives what the learner computes without it; what cannot be is refused."""

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._inductor import config as inductor_config

from heliograph.experiments.settings import settings_from
from heliograph.models.feedforward import Feedforward
from heliograph.rllib.compiling import CompileError, _apart
from heliograph.rllib.runs.configured import config_of
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rollouts.split_episodes import folded
from heliograph.team.participation import presence_in

TINY = {"num_envs_per_env_runner": 8, "train_batch_size_per_learner": 64, "minibatch_size": 32, "num_epochs": 2}


class Reading(Feedforward):
    """A model that looks at numbers: no graph is whole with it."""

    def act(self, hidden: Tensor) -> Tensor:
        """Half as much where the first number is above 0, whoever it belongs to."""
        return super().act(hidden) * (0.5 if bool(hidden.flatten()[0] > 0) else 1.0)


def trainer_of(**changes: Any) -> LocalTrainer:
    """A tiny trainer whose losses are compiled."""
    training = {**TINY, "compile": True, **changes.pop("training", {})}
    own = {"env": "switch_riddle", "model": "feedforward", "model_settings": {"size": 8}, "channel": "symbols"}
    return LocalTrainer(config_of(settings_from({**own, **changes, "algorithm_settings": training, "seed": 1})))


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Graphs run as they were traced, without a compiler; those that were made."""
    made: list[Any] = []

    def kept(graph: Any, example: Any) -> Any:
        made.append(graph)
        return graph

    monkeypatch.setattr("heliograph.rllib.compiling.compiled_by_torch", kept)
    return made


def both(trainer: LocalTrainer) -> tuple[Any, Any]:
    """Terms and gradients of a minibatch, of the graph and without it."""
    learner = trainer.learner
    rollout = folded(trainer.env_runner.sample(num_timesteps=trainer.config.batch_env_steps())[0])
    learner.update(episodes=[rollout], timesteps={"num_env_steps_sampled_lifetime": 50})
    prepared, presence = learner.prepare(rollout), presence_in(rollout, learner.team_module.team.layout)
    copies = torch.arange(rollout.num_envs)[: rollout.num_envs // 2]
    graph = learner._graph(rollout, prepared, presence)
    assert graph is not None
    minibatch = rollout.select(copies)
    terms = learner._terms(minibatch, learner._unrolled(minibatch, presence), prepared, copies)
    return graph(copies), (terms, learner.compute_gradients({"__all_modules__": terms["total_loss"]}))


def assert_equal(found: tuple[Any, Any], expected: tuple[Any, Any]) -> None:
    """Both have the same terms and gradients, to rounding."""
    assert found[0].keys() == expected[0].keys()
    for name, value in expected[0].items():
        torch.testing.assert_close(found[0][name], value.detach(), atol=1e-5, rtol=1e-4)
    moved = 0.0
    for key, gradient in expected[1].items():
        own = found[1][key]
        own = torch.zeros_like(gradient) if own is None and gradient is not None else own
        torch.testing.assert_close(own, gradient, atol=1e-5, rtol=1e-3)
        moved += 0.0 if gradient is None else float(gradient.abs().sum())
    assert moved > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"entropy_coeff": [[0, 0.3], [100, 0.1]]}},
        {"model": "cnet", "channel": "dru", "losses": ["reconstruction"], "normalise_observations": True},
        {
            "model": "ic3net",
            "channel": "gated+continuous",
            "critic": "hidden+state",
            "env": "traffic_junction",
            "env_settings": {"difficulty": "easy"},
        },
    ],
    ids=["schedule", "gru", "lstm of agents who come and go"],
)
def test_a_graph_gives_what_the_learner_computes(changes: dict[str, Any], uncompiled: list[Any]) -> None:
    trainer = trainer_of(**changes)
    assert_equal(*both(trainer))
    assert len(uncompiled) <= 2


@pytest.mark.slow
def test_a_compiled_graph_gives_the_same() -> None:
    trainer = trainer_of(env="speaker_listener", model_settings={"size": 4}, critic_size=4)
    with inductor_config.patch(compile_threads=1):  # one kernel is not worth processes that load PyTorch
        assert_equal(*both(trainer))
    assert trainer.learner._compiler is not None and trainer.learner._compiler.seconds > 0


def test_gradients_that_a_graph_gives_twice_are_clipped_once() -> None:
    one, other = torch.ones(3), torch.zeros(2)
    found = _apart([one, None, one, other])
    torch._foreach_mul_([g for g in found if g is not None], 0.5)
    assert [None if g is None else g[0].item() for g in found] == [0.5, None, 0.5, 0.0]


def test_batches_of_many_shapes_are_learnt_from_without_a_graph(
    uncompiled: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heliograph.rllib.compiling.MOST_GRAPHS", 1)
    trainer = trainer_of()
    trainer.train()
    rollout = trainer.env_runner._ready().fragment(3)
    learner = trainer.learner
    assert learner._graph(rollout, learner.prepare(rollout), presence_in(rollout, trainer.team.layout)) is None
    learner.update(episodes=[rollout], timesteps={})
    assert len(uncompiled) == 1


def test_what_reads_numbers_is_named_before_anything_is_learnt(uncompiled: list[Any]) -> None:
    trainer = trainer_of(model=f"{__name__}:Reading")
    before = [weight.detach().clone() for weight in trainer.team.parameters()]
    with pytest.raises(CompileError, match=r"test_compiling.py:\d+ .*torch.where there, or compile=False"):
        trainer.train()
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.team.parameters(), strict=True))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"compile": True, "num_learners": 2}, "compile=True, num_learners=2"),
        ({"compile": 1}, "compile=1"),
    ],
)
def test_what_is_not_compiled_is_refused(settings: dict[str, Any], words: str) -> None:
    config = config_of(settings_from({"env": "identity", "algorithm_settings": TINY}))
    config.learners(num_learners=settings.pop("num_learners", 0)).training(**settings)
    with pytest.raises(ValueError, match=words):
        config.validate()


@pytest.mark.parametrize("algorithm", ["a2c", "qlearning"])
def test_other_algorithms_refuse_it(algorithm: str) -> None:
    with pytest.raises(ValueError, match="'compile'"):
        config_of(settings_from({"algorithm": algorithm, "algorithm_settings": {"compile": True}}))
    with pytest.raises(ValueError, match="compile=True: only PPO's loss is compiled"):
        config_of(settings_from({"algorithm": algorithm})).training(compile=True)


def test_a_machine_without_a_compiler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise RuntimeError("No working C++ compiler found")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        monkeypatch.setattr("torch._inductor.cpp_builder.get_cpp_compiler", none)
    with pytest.raises(CompileError, match="no C\\+\\+ compiler; install one"):
        trainer_of()
